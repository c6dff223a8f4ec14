"""The made-up city and the events' places go in once, whole, and only where they may."""
from datetime import UTC, datetime

import pytest

from anlan.demo import actions, dangers, records
from anlan.demo.actions import event_post, event_region, key
from anlan.engines.geo import build
from anlan.inspection.models import Danger
from anlan.kernel import access, clock
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.models import Account, Assignment, CaseStep, Fact, Grant, Person, Post, Region, RegionCode, RegionPath
from anlan.resources.models import Team
from anlan.sensing.models import Station

pytestmark = pytest.mark.django_db


@pytest.fixture
def loaded(actual):
    return actions.load_city(Act(Actor.machine("demo"), actual), seed=7)


def test_the_city_is_as_large_as_promised(loaded):
    assert loaded["counties"] == 9 and loaded["towns"] == 180 and loaded["villages"] == 800
    assert Station.objects.count() == 2000 and Person.objects.count() == 300 and Account.objects.filter(machine=False).count() == 300
    assert Assignment.objects.count() == 300
    assert RegionPath.objects.filter(ancestor_id=key("region", 7, "990100"), depth__gt=0, hierarchy="administrative").count() == 989
    assert RegionCode.objects.filter(system="GB/T 2260").exclude(code__startswith="99").count() == 0
    assert Region.objects.exclude(source="虚构，由种子 7 生成").count() == 0
    assert Post.objects.filter(superior=None).exclude(kind__in=("commander", "system_administrator", "security_administrator", "audit_administrator")).count() == 0


def test_river_gauges_name_the_rain_above_them_and_objects_their_probes(loaded):
    """What is named lies upstream by the city's own water; where no rain gauge or too many lie above, none is named."""
    from anlan.demo.stations import MOST_UPSTREAM
    from anlan.sensing.models import RiskObject

    city = build(7)
    at = {gauge.code: gauge.node for gauge in city.gauges}
    named = {row.code: row.upstream["rain"] for row in Station.objects.exclude(upstream={})}
    assert len(named) > 100 and all(1 <= len(rain) <= MOST_UPSTREAM for rain in named.values())
    for code, rain in named.items():
        for above in rain:
            node = at[above]
            while node not in (at[code], -1):
                node = int(city.water.down[node])
            assert node == at[code]
    assert Station.objects.filter(kind="gas", serves=None).count() == 0 and RiskObject.plain.filter(stations=None).count() > 20


def test_nobody_can_sign_in_before_a_password_is_set(loaded):
    assert not any(account.has_usable_password() for account in Account.objects.all())


def test_no_person_holds_two_of_the_three_administrators(loaded):
    held = {}
    for assignment in Assignment.objects.select_related("post").filter(post__kind__in=("system_administrator", "security_administrator", "audit_administrator")):
        held.setdefault(assignment.person_id, set()).add(assignment.post.kind)
    assert len(held) == 3 and all(len(kinds) == 1 for kinds in held.values())
    assert not Grant.objects.filter(given_by=None).exists()


def test_a_township_reaches_its_own_ground_only(loaded):
    actor = Actor.of(Account.objects.get(name="township"))
    own = Post.objects.get(pk=actor.post_id).region_id
    other = Region.objects.filter(kind="town").exclude(pk=own).first()
    assert access.may(actor, "orders.read", region=own) and not access.may(actor, "orders.read", region=other.pk)
    power = [code for code, found in access.CAPABILITIES.items() if found.second_factor]
    assert power and not any(access.may(actor, code, region=own) for code in power)


def test_a_second_load_changes_nothing(loaded, actual):
    before = Fact.objects.count()
    assert actions.load_city(Act(Actor.machine("demo"), actual), seed=7) == {}
    assert Station.objects.count() == 2000 and Fact.objects.count() == before


def test_an_installation_in_use_is_left_alone(actual, alice):
    with pytest.raises(Problem) as problem:
        actions.load_city(Act(Actor.machine("demo"), actual), seed=7)
    assert problem.value.kind.code == "demo.not_empty"


@pytest.mark.parametrize("event", ["zhengzhou-2021", "valencia-2024"])
def test_an_event_brings_its_places_posts_and_gauges_once(actual, event):
    counts = actions.load_event(Act(Actor.machine("demo"), actual), event=event)
    record = records.load(event)
    assert counts["posts"] == len(record.about["posts"]) and counts["stations"] == len(record.about.get("stations", []))
    assert Region.objects.get(pk=event_region(event, record.about["home"])).name == record.about["places"][0]["name"]
    for post in record.about["posts"]:
        held = Assignment.objects.get(post_id=event_post(event, post["key"]))
        assert held.starts_at < record.start
    assert actions.load_event(Act(Actor.machine("demo"), actual), event=event) == {}


def test_a_row_of_the_record_keeps_its_own_time(actual, exercise):
    fact = actions.state_record(Act(Actor.machine("demo"), exercise, occurred_at=datetime(2021, 7, 20, 2, 30, tzinfo=UTC)), event="zhengzhou-2021", row="z16", region=None)
    stated = Fact.objects.get(pk=fact)
    assert stated.kind == "demo.RecordStated" and stated.occurred_at == datetime(2021, 7, 20, 2, 30, tzinfo=UTC)


def test_teams_and_dangers_are_entered_by_the_actions_people_use(loaded, drain):
    city, today = build(7), clock.local(clock.now()).date()
    assert actions.enter_teams(city, today) == 85 and actions.enter_teams(city, today) == 0
    assert Team.plain.filter(ended_at=None).count() == 60 and Team.plain.exclude(base=None).count() == 25
    stories = dangers.of(city, today)
    assert len(stories) == 200 and {story.steps[-1].step for story in stories} >= {"report", "file", "assess", "list", "order", "rectify", "accept", "release", "review", "close", "dismiss"}
    told = stories[:16]
    assert actions.play_dangers(7, told) == sum(len(story.steps) for story in told) and actions.play_dangers(7, told) == 0
    lines = CaseStep.plain.filter(kind="step")
    assert lines.count() == sum(len(story.steps) for story in told)
    for story in told:
        case = Danger.plain.get(pk=key("danger", 7, story.number))
        assert [line.step for line in lines.filter(case_id=case.pk).order_by("seq")] == [step.step for step in story.steps]
        assert case.region_id == key("region", 7, story.region) and case.opened_at == story.steps[0].at
    late = Danger.plain.filter(closed_at=None, due_at__lt=clock.now()).count()
    drain()
    assert late and Danger.plain.filter(escalated__gte=1).count() == late  # what was overdue has gone up
