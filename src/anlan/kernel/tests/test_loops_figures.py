"""Statistics counted from the timelines against a count by hand; the draw of re-checks that anybody can repeat."""
from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from anlan.kernel import work
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.loops import Sample, actions, declare, loop, statistics
from anlan.kernel.models import CaseStep, Fact, Grant, Organisation, Recheck, RecheckDraw
from anlan.runtime.testing import LONG_AGO, make_actor, make_post

from .test_loops_steps import make_loop, mend, opened, png

pytestmark = pytest.mark.django_db


@pytest.fixture
def sampled(db):
    declared = loop(make_loop("test.sampled", recheck=Sample(share=0.3)))
    declare.write_rules()
    yield declared
    declare.forget(declared.name)


@pytest.fixture
def inspector(city):
    """Holds loops.recheck over the whole city and had no hand in anything."""
    return make_actor("inspector", make_post("督查专员", city, capabilities=("loops.recheck", "work.read", "files.read")))


def forward(realm, **by):
    realm.refresh_from_db()
    realm.now_at += timedelta(**by)
    realm.save()


def step(realm, actor, case, name, **data):
    return actions.step(Act(actor, realm), loop="test.sampled", case=case.pk, step=name, data=data)


def test_figures_by_hand(sampled, replay, alice, bob, county, county2, charlie):
    """Three cases: one closed in time; one whose mending was late; one closed in time, opened again, and still open and late."""
    first, second, third = (opened(replay, alice, county, title, name="test.sampled") for title in ("一", "二", "三"))
    forward(replay, hours=6)
    mend(replay, alice, first, 1, "test.sampled")
    mend(replay, alice, third, 3, "test.sampled")
    step(replay, bob, first, "accept")
    step(replay, bob, third, "accept")
    forward(replay, days=7)
    mend(replay, alice, second, 2, "test.sampled")  # allowed: three working days
    step(replay, bob, second, "accept")
    step(replay, bob, third, "reopen", why="又断了")
    start, end = datetime(2021, 7, 1, tzinfo=UTC), datetime(2021, 8, 1, tzinfo=UTC)
    total = statistics.report(alice, replay, sampled, start=start, end=end).total
    assert (total.opened, total.closed, total.closed_on_time, total.reopened, total.open_now) == (3, 3, 2, 1, 1)
    assert (total.closed_rate, total.reopen_rate) == (66.7, 33.3)
    # Steps with a deadline: three mendings (one late) and three acceptances within a day.
    assert (total.timed, total.on_time) == (6, 5)
    assert total.days == 0.2 or total.days == 0.3  # median of 6 h, 6 h and 7.25 days
    (mended,) = [stay for stay in statistics.report(alice, replay, sampled, start=start, end=end).stays if stay.state == "reported"]
    assert (mended.count, mended.late, round(mended.median, 1)) == (3, 1, 6.0)
    # Closed a second time, now in time: the lateness of a former life does not count, that of this life does.
    mend(replay, alice, third, 4, "test.sampled")
    step(replay, bob, third, "accept")
    assert statistics.report(alice, replay, sampled, start=start, end=end).total.closed_on_time == 3
    assert statistics.report(charlie, replay, sampled, start=start, end=end).total.opened == 0
    (month,) = statistics.report(alice, replay, sampled, start=start, end=end, by="month").groups
    assert (month.key, month.closed, month.opened) == ("2021-07", 4, 3)
    empty = statistics.report(alice, replay, sampled, start=end, end=end + timedelta(days=1)).total
    assert (empty.closed, empty.closed_rate, empty.step_rate) == (0, None, None)


def by_hand(lines, finals, key):
    """The same figures by a plain walk over the lines, as a clerk would count them."""
    groups: dict = {}
    for case in {line.case_id for line in lines}:
        late = False
        for line in sorted((one for one in lines if one.case_id == case), key=lambda one: one.seq):
            if line.step == "reopen":
                late = False
            group = groups.setdefault(key(line), Counter())
            if line.on_time is not None:
                group["timed"] += 1
                group["on_time"] += line.on_time
                late |= not line.on_time
            group["opened"] += line.from_state == ""
            if line.to_state in finals and line.from_state != line.to_state:
                group["closed"] += 1
                group["closed_on_time"] += not late
            group["reopened"] += line.step == "reopen"
    return groups


@pytest.mark.parametrize("seed", [1, 2])
def test_figures_of_random_histories_agree_with_a_plain_walk(sampled, replay, alice, bob, county, town, seed):
    chance = random.Random(seed)
    units = [Organisation.objects.create(name=f"单位{n}", region=county) for n in range(2)]
    cases = []
    for number in range(40):
        if number < 8:
            case = opened(replay, alice, chance.choice([county, town]), str(number), name="test.sampled")
            Recheck.plain.filter(pk=case.pk).update(organisation=chance.choice([*units, None]))
            case.refresh_from_db()
            cases.append(case)
        case = chance.choice(cases)
        case.refresh_from_db()
        name = chance.choice({"reported": ["mend"], "mended": ["accept", "reject"], "closed": ["reopen"]}[case.state])
        if name == "mend":
            mend(replay, alice, case, number, "test.sampled")
        else:
            step(replay, bob, case, name, **({"why": "x"} if name == "reopen" else {}))
        forward(replay, hours=chance.choice([1, 5, 30, 90]))
    lines = list(CaseStep.plain.filter(loop="test.sampled", realm=replay, kind="step"))
    found = statistics.report(alice, replay, sampled, start=datetime(2021, 1, 1, tzinfo=UTC), end=datetime(2022, 1, 1, tzinfo=UTC))
    wanted = by_hand(lines, sampled.finals, lambda line: str(line.organisation_id) if line.organisation_id else None)
    assert {one.key: (one.opened, one.closed, one.closed_on_time, one.timed, one.on_time, one.reopened) for one in found.groups if one.key in wanted} == {
        key: tuple(group[name] for name in ("opened", "closed", "closed_on_time", "timed", "on_time", "reopened")) for key, group in wanted.items()
    }
    assert found.total.closed == sum(group["closed"] for group in wanted.values()) > 0
    county_wise = statistics.report(alice, replay, sampled, start=datetime(2021, 1, 1, tzinfo=UTC), end=datetime(2022, 1, 1, tzinfo=UTC), by="region", level="county")
    assert [one.key for one in county_wise.groups] == [str(county.pk)] and county_wise.groups[0].closed == found.total.closed


# --- re-checks -----------------------------------------------------------------------------------------------------------------


def test_the_same_seed_draws_the_same_and_weight_counts():
    keys = [UUID(int=n) for n in range(1, 41)]
    heavy = [(key, 9.0 if key.int <= 20 else 1.0) for key in keys]
    assert actions.pick(heavy, "a", 10) == actions.pick(list(reversed(heavy)), "a", 10) != actions.pick(heavy, "b", 10)
    assert len(set(actions.pick(heavy, "a", 10))) == 10
    assert actions.pick([(keys[0], 0.0), (keys[1], 1.0)], "a", 2) == [keys[1]]  # no weight, no draw
    drawn = Counter(key.int <= 20 for seed in range(300) for key in actions.pick(heavy, str(seed), 4))
    # Drawn one by one without replacement at 9 : 1, about 0.89 of the first four are heavy; 1200 draws leave ±0.03.
    assert 0.85 < drawn[True] / 1200 < 0.93


def closed(realm, alice, bob, county, count):
    for number in range(count):
        case = opened(realm, alice, county, str(number), name="test.sampled")
        mend(realm, alice, case, number, "test.sampled")
        step(realm, bob, case, "accept")


def month_of(realm):
    realm.refresh_from_db()
    start = realm.now_at.replace(day=1, hour=0, minute=0, second=0)
    return {"closed_from": start.isoformat(), "closed_to": (start + timedelta(days=31)).isoformat()}


def test_a_draw_is_kept_and_what_fails_opens_the_case_again(sampled, replay, alice, bob, county, inspector):
    closed(replay, alice, bob, county, 7)
    period = month_of(replay)
    with pytest.raises(Problem) as early:
        actions.draw(Act(inspector, replay), loop="test.sampled", **period)
    assert early.value.kind.code == "kernel.recheck_too_early"
    forward(replay, days=40)
    with pytest.raises(Problem) as outsider:
        actions.draw(Act(alice, replay), loop="test.sampled", **period)  # her right ends at her county
    assert outsider.value.kind.code == "kernel.forbidden"
    made = actions.draw(Act(inspector, replay), loop="test.sampled", **period)
    assert len(made.population) == 7 and len(made.chosen) == 3  # 0.3 of 7, rounded up
    assert actions.pick([(UUID(key), weight) for key, weight in made.population], made.seed, 3) == made.chosen
    stated = Fact.objects.get(kind="kernel.RechecksDrawn")
    assert stated.payload_row.payload["seed"] == made.seed and stated.payload_row.payload["digest"] == made.digest
    with pytest.raises(Problem) as again:
        actions.draw(Act(inspector, replay), loop="test.sampled", **period)
    assert again.value.kind.code == "kernel.recheck_drawn" and RecheckDraw.plain.count() == 1
    cases = list(Recheck.plain.filter(loop="kernel.recheck", draw=made).order_by("number"))
    assert {case.of_case for case in cases} == set(made.chosen) and all(case.due_at for case in cases)
    first = cases[0]

    def look(actor, name):
        file = actions.hold(Act(actor, replay), loop="kernel.recheck", case=first.pk, name="a.png", content=png(99))
        return actions.step(Act(actor, replay), loop="kernel.recheck", case=first.pk, step=name, data={"finding": "线仍断"}, files=[str(file.pk)])

    with pytest.raises(Problem) as own_work:
        look(bob, "refute")  # he accepted it
    assert own_work.value.kind.code == "kernel.case_same_person"
    look(inspector, "refute")
    original = Recheck.plain.get(pk=first.of_case)
    assert (original.state, original.reopened, original.closed_at) == ("reported", 1, None)
    line = CaseStep.plain.get(case_id=original.pk, step="reopen")
    assert first.number in line.note and Fact.objects.get(pk=line.fact).cause is not None
    assert work.waiting_for(alice, replay).filter(kind="loop.case", subject=sampled.subject_of(original)).exists()


def test_the_machine_draws_the_month_on_its_first_day(sampled, replay, alice, bob, county, inspector, drain):
    Grant.objects.filter(post=alice.post_id, capability="loops.recheck").update(starts_at=LONG_AGO)
    closed(replay, alice, bob, county, 3)
    forward(replay, days=11)
    drain()
    assert RecheckDraw.plain.count() == 0
    forward(replay, days=2)
    drain()
    (made,) = RecheckDraw.plain.filter(loop="test.sampled")
    assert len(made.population) == 3 and len(made.chosen) == 1 and made.drawn_by is None
    assert Recheck.plain.filter(draw=made).exists()
