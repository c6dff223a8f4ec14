"""Cases of a declared loop: who may step, in which order, with which evidence, by whom; and what the database itself refuses."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from anlan.kernel import work
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.loops import Evidence, Loop, State, Step, Up, Within, actions, declare, loop
from anlan.kernel.models import CaseStep, Fact, Recheck
from anlan.kernel.registers import Field

pytestmark = pytest.mark.django_db
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001000005fe02fea7"
    "0000000049454e44ae426082"
)


def png(n: int = 0) -> bytes:
    """A small picture, each n another content."""
    return PNG + bytes([n])


def make_loop(name: str = "test.fix", **more) -> Loop:
    """Reported → mended (by whoever may) → accepted by somebody else, with a photograph."""
    given = {
        "label": _("Faults"), "one": _("Fault"), "read": "loops.recheck", "number": "GZ-{year}-{n:04}",
        "fields": (Field("title"), Field("finding")),
        "states": (State("reported", _("Reported")), State("mended", _("Mended")), State("closed", _("Closed"), final=True)),
        "open": Step("report", _("Report"), to="reported", may="loops.recheck", form=("title", Field("region", required=True)), within=Within(working_days=3)),
        "steps": (
            Step("mend", _("Mend"), from_=("reported",), to="mended", may="loops.recheck", form=(Field("finding", required=True),), evidence=Evidence(photos=1), within=Within(hours=24)),
            Step("accept", _("Accept"), from_=("mended",), to="closed", may="loops.recheck", other_than=("mend",)),
            Step("reject", _("Send back"), from_=("mended",), to="reported", may="loops.recheck", within=Within(working_days=2)),
        ),
        "reopen": Step("reopen", _("Open again"), from_=("closed",), to="reported", may="loops.recheck", form=(Field("why", label=_("Why"), kind="text", required=True),)),
        "escalate": Up(every=Within(working_days=1)),
    }
    return Loop(name, Recheck, **{**given, **more})


@pytest.fixture
def fix(db):
    declared = loop(make_loop())
    declare.write_rules()
    yield declared
    declare.forget(declared.name)


def opened(realm, actor, county, title="路灯断线", name="test.fix"):
    return actions.open(Act(actor, realm), loop=name, values={"title": title, "region": str(county.pk)})


def mend(realm, actor, case, n=0, name="test.fix", **more):
    file = actions.hold(Act(actor, realm), loop=name, case=case.pk, name=f"{n}.png", content=png(n))
    return actions.step(Act(actor, realm, **more), loop=name, case=case.pk, step="mend", data={"finding": "已接线"}, files=[str(file.pk)])


def refused(code, function, *args, **kwargs):
    before = Fact.objects.count(), CaseStep.plain.count()
    with pytest.raises(Problem) as problem:
        function(*args, **kwargs)
    assert problem.value.kind.code == code, problem.value
    assert (Fact.objects.count(), CaseStep.plain.count()) == before
    return problem.value


def test_a_case_goes_its_way_and_every_step_is_kept(fix, actual, alice, bob, county):
    case = opened(actual, alice, county)
    assert case.state == "reported" and case.number.startswith("GZ-") and case.number.endswith("-0001")
    assert opened(actual, alice, county).number.endswith("-0002")
    mend(actual, alice, case)
    actions.step(Act(bob, actual), loop="test.fix", case=case.pk, step="accept")
    case.refresh_from_db()
    assert case.state == "closed" and case.closed_at is not None and case.post_id is None and case.due_at is None
    lines = list(CaseStep.plain.filter(case_id=case.pk).order_by("seq"))
    assert [(line.seq, line.step, line.from_state, line.to_state, line.person) for line in lines] == [
        (1, "report", "", "reported", alice.person_id), (2, "mend", "reported", "mended", alice.person_id), (3, "accept", "mended", "closed", bob.person_id),
    ]
    assert lines[1].data == {"finding": "已接线"} and len(lines[1].files) == 1 and lines[1].on_time is True and lines[2].on_time is True
    assert Fact.objects.filter(pk__in=[line.fact for line in lines]).count() == 3
    assert not work.waiting_for(alice, actual).filter(kind="loop.case", subject=fix.subject_of(case)).exists()


def test_what_is_not_legal_is_refused_and_says_what_would_be(fix, actual, alice, bob, charlie, county, machine):
    case = opened(actual, alice, county)
    step = lambda actor, name, **more: actions.step(Act(actor, actual), loop="test.fix", case=case.pk, step=name, **more)  # noqa: E731
    said = refused("kernel.case_illegal_step", step, bob, "accept")
    assert "Mend" in said.message or str(fix.step["mend"].label) in said.message
    refused("kernel.not_found", step, charlie, "mend")
    refused("kernel.no_step", step, alice, "burn")
    refused("kernel.invalid", step, alice, "mend")
    refused("kernel.case_evidence", step, alice, "mend", data={"finding": "x"})
    mend(actual, alice, case)
    refused("kernel.case_same_person", step, alice, "accept")
    refused("kernel.case_same_person", step, machine, "accept")
    step(bob, "reject")
    used = CaseStep.plain.get(case_id=case.pk, step="mend").files
    refused("kernel.case_file", step, bob, "mend", data={"finding": "y"}, files=[str(used[0])])


def test_the_same_picture_again_is_no_new_evidence(fix, actual, alice, bob, county):
    case, other = opened(actual, alice, county), opened(actual, alice, county)
    file = actions.hold(Act(alice, actual), loop="test.fix", case=other.pk, name="a.png", content=png())
    refused("kernel.case_file", actions.step, Act(alice, actual), loop="test.fix", case=case.pk, step="mend", data={"finding": "x"}, files=[str(file.pk)])


def test_a_repeat_answers_as_before_and_a_stale_page_is_told(fix, actual, alice, bob, county):
    case = opened(actual, alice, county)
    mend(actual, alice, case)
    key = new_id()
    first = actions.step(Act(bob, actual, op_id=key), loop="test.fix", case=case.pk, step="accept")
    again = actions.step(Act(bob, actual, op_id=key), loop="test.fix", case=case.pk, step="accept")
    assert first.pk == again.pk and CaseStep.plain.filter(case_id=case.pk, step="accept").count() == 1
    other = opened(actual, alice, county)
    file = actions.hold(Act(alice, actual), loop="test.fix", case=other.pk, name="3.png", content=png(3))
    refused(
        "kernel.stale", actions.step, Act(alice, actual, expected_version=99), loop="test.fix", case=other.pk, step="mend", data={"finding": "x"}, files=[str(file.pk)]
    )


@pytest.mark.parametrize(
    "line",
    [
        {"step": "accept", "from_state": "reported", "to_state": "closed"},  # skips a state
        {"step": "mend", "from_state": "reported", "to_state": "closed"},  # a step to where it does not lead
        {"step": "mend", "from_state": "mended", "to_state": "mended"},  # says it came from elsewhere
        {"step": "report", "from_state": "", "to_state": "reported"},  # opens twice
        {"step": "burn", "from_state": "reported", "to_state": "closed"},
    ],
)
def test_the_database_refuses_what_no_declaration_allows(fix, actual, alice, county, line):
    case = opened(actual, alice, county)
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseStep.plain.create(
            realm=actual, loop="test.fix", case_id=case.pk, seq=2, kind="step", at=case.opened_at, person=alice.person_id, rules="", **line
        )


def test_the_database_keeps_the_other_person_rule_the_state_and_the_timeline(fix, actual, alice, bob, county):
    case = opened(actual, alice, county)
    with pytest.raises(IntegrityError), transaction.atomic():
        Recheck.plain.filter(pk=case.pk).update(state="closed")
    mend(actual, alice, case)
    line = {"realm": actual, "loop": "test.fix", "case_id": case.pk, "kind": "step", "step": "accept", "from_state": "mended", "to_state": "closed", "at": case.opened_at, "rules": ""}
    for person, seq in ((alice.person_id, 3), (None, 3), (bob.person_id, 4)):
        with pytest.raises(IntegrityError), transaction.atomic():
            CaseStep.plain.create(person=person, seq=seq, **line)
    first = CaseStep.plain.get(case_id=case.pk, seq=1)
    for sql in ("UPDATE kernel_casestep SET person = NULL WHERE id = %s", "DELETE FROM kernel_casestep WHERE id = %s"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql, [first.pk])
    CaseStep.plain.filter(pk=first.pk).update(data={}, note="")  # what the law may ask to be erased
    CaseStep.plain.create(person=bob.person_id, seq=3, **line)


def test_overdue_goes_up_one_level_each_period_and_comes_down_with_the_step(fix, replay, alice, bob, commander, county, drain):
    case = opened(replay, alice, county)
    assert case.first_due_at == case.due_at

    def go(**forward):
        replay.refresh_from_db()
        replay.now_at += timedelta(**forward)
        replay.save()
        drain()
        case.refresh_from_db()

    subject = fix.subject_of(case)
    go(days=2, hours=20)  # one working day before the end
    assert CaseStep.plain.filter(case_id=case.pk, kind="remind").count() == 1
    assert work.waiting_for(alice, replay).filter(kind="loop.remind", subject=subject).count() == 1
    go(days=1)
    assert case.escalated == 1 and case.late and case.escalated_to_id == commander.post_id and case.post_id == alice.post_id
    assert work.waiting_for(commander, replay).filter(kind="loop.overdue", subject=subject).count() == 1
    go(days=30)  # nobody further up: it stays with the commander
    assert case.escalated == 1
    assert CaseStep.plain.filter(case_id=case.pk, kind="overdue").values_list("to_post", flat=True).last() is None
    mend(replay, alice, case)
    case.refresh_from_db()
    assert case.escalated == 0 and case.escalated_to_id is None and case.late
    line = CaseStep.plain.get(case_id=case.pk, step="mend")
    assert line.on_time is False and line.due_at is not None
    assert not work.waiting_for(commander, replay).filter(kind="loop.overdue", subject=subject).exists()
