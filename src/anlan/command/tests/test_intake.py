"""Reports, instructions, observed facts, incidents."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction

from anlan.command import actions, queries
from anlan.command.models import Incident, Report
from anlan.kernel import orders
from anlan.kernel.errors import Problem
from anlan.kernel.models import Due, Order, Realm, WorkItem
from anlan.plans.models import ResponseProposal

from .builders import act, forward

pytestmark = pytest.mark.django_db


def refused(code, do):
    with pytest.raises(Problem) as caught, transaction.atomic():
        do()
    assert caught.value.kind.code == code
    return caught.value


def take(actor, realm, **values):
    return actions.take_report(act(actor, realm), **{"kind": "first", "text": "常庄水库坝脚渗水浑浊，疑似管涌", "place": "常庄水库", **values})


@pytest.fixture
def drill(exercise):
    """An exercise with a clock that stands still until moved."""
    from datetime import UTC, datetime

    Realm.objects.filter(pk=exercise.pk).update(clock="manual", now_at=datetime(2026, 7, 20, 2, 0, tzinfo=UTC))
    exercise.refresh_from_db()
    return exercise


def test_a_first_report_starts_its_time_limits_and_asks_to_be_classified(drill, county, alice):
    row = take(alice, drill, region=county.pk)
    limits = {subject.split(":")[-1]: (at - drill.now_at) for subject, at in Due.objects.filter(realm=drill, timer="command.report_limit").values_list("subject", "due_at")}
    assert limits == {"first_up": timedelta(minutes=60), "follow_up": timedelta(minutes=1440)}
    assert WorkItem.objects.of(drill).get(kind="command.classify").subject == f"report:{row.pk}"
    assert row.happened_at == row.received_at == drill.now_at


def test_a_limit_that_runs_out_is_stated_and_waits_for_the_duty_officer(drill, county, alice, duty_post, drain):
    row = take(alice, drill, region=county.pk)
    forward(drill, 61)
    drain()
    item = WorkItem.objects.of(drill).get(kind="command.report_late.first_up")
    assert item.post_id == duty_post.pk and item.subject == f"report:{row.pk}"


def test_passing_on_in_time_stops_the_limit(drill, county, alice, drain):
    row = take(alice, drill, region=county.pk)
    actions.pass_on(act(alice, drill), report=row.pk)
    forward(drill, 61)
    drain()
    assert not WorkItem.objects.of(drill).filter(kind__startswith="command.report_late").exists()


def test_a_follow_up_starts_the_next_limit_and_a_final_report_stops_them(drill, county, alice):
    row = take(alice, drill, region=county.pk)
    forward(drill, 600)
    later = take(alice, drill, kind="follow_up", first=row.pk, dead=1)
    assert later.region_id == county.pk
    limit = Due.objects.get(realm=drill, timer="command.report_limit", subject=f"report:{row.pk}:follow_up")
    assert limit.due_at == drill.now_at + timedelta(minutes=1440)
    take(alice, drill, kind="final", first=row.pk)
    assert not Due.objects.filter(realm=drill, timer="command.report_limit").exists()


def test_what_is_missing_or_wrong_is_named_field_by_field(drill, county, alice, charlie):
    problem = refused("kernel.invalid", lambda: take(alice, drill, kind="rumour", text=" ", means="pigeon", dead=-1, region=county.pk, happened_at=drill.now_at + timedelta(hours=1)))
    assert {entry["field"] for entry in problem.fields} == {"kind", "text", "means", "dead", "happened_at"}
    refused("kernel.forbidden", lambda: take(charlie, drill, region=county.pk))


def test_likely_duplicates_are_found_and_merged_with_both_sources_kept(drill, county, alice, charlie):
    first = take(alice, drill, region=county.pk, caller="水库管理处", dead=1)
    take(alice, drill, region=county.pk, text="人民路路口信号灯不亮", place="人民路")
    found = queries.similar(alice, drill, text="常庄水库坝脚有浑水渗出", place="常庄水库", region=county.pk)
    assert [entry["row"].pk for entry in found][0] == first.pk
    assert queries.similar(charlie, drill, text="常庄水库坝脚有浑水渗出", place="常庄水库") == []
    second = take(alice, drill, region=county.pk, text="常庄水库坝脚有浑水渗出", caller="村民", dead=1)
    actions.merge_reports(act(alice, drill), report=second.pk, into=first.pk, reason="同一险情")
    kept = Report.objects.of(drill).get(pk=second.pk)
    assert kept.merged_into_id == first.pk and kept.caller == "村民" and kept.text == "常庄水库坝脚有浑水渗出"
    assert queries.losses(queries.reports(alice, drill))["dead"] == 1
    refused("command.merge_itself", lambda: actions.merge_reports(act(alice, drill), report=first.pk, into=first.pk))
    refused("command.merge_itself", lambda: actions.merge_reports(act(alice, drill), report=first.pk, into=second.pk))


def test_losses_take_the_newest_figure_of_each_case_and_unknown_stays_unknown(drill, county, alice):
    one = take(alice, drill, region=county.pk, dead=1, injured=4)
    take(alice, drill, region=county.pk, kind="follow_up", first=one.pk, dead=3)
    take(alice, drill, region=county.pk, text="塌方", dead=2)
    assert queries.losses(queries.reports(alice, drill)) == {"dead": 5, "missing": None, "injured": 4, "trapped": None, "moved": None}


def test_an_incident_is_opened_from_a_report_and_closed_with_a_reason(drill, county, alice):
    row = take(alice, drill, region=county.pk)
    incident = actions.open_incident(act(alice, drill), kind="11A", title="常庄水库险情", report=row.pk)
    assert Report.objects.of(drill).get(pk=row.pk).incident_id == incident.pk and incident.region_id == county.pk and incident.lon is not None
    assert WorkItem.objects.of(drill).get(kind="command.classify").outcome == "incident opened"
    refused("kernel.reason_needed", lambda: actions.close_incident(act(alice, drill), incident=incident.pk, reason=""))
    actions.close_incident(act(alice, drill), incident=incident.pk, reason="险情排除")
    assert Incident.objects.of(drill).get().state == "closed"
    refused("command.not_open", lambda: take(alice, drill, incident=incident.pk, kind="follow_up", region=county.pk))


def test_an_instruction_is_tracked_as_an_order_to_a_post(drill, county, alice, duty_post):
    row = actions.record_instruction(act(alice, drill), leader="王市长", text="务必于今晚前转移下游群众", post=duty_post.pk, due_at=drill.now_at + timedelta(hours=3))
    order = Order.objects.of(drill).get()
    assert row.order_id == order.pk and order.source == f"instruction:{row.pk}" and "王市长" in order.text
    orders.accept(act(alice, drill), order=order.pk)
    assert queries.instructions(alice, drill).get().order.state == "accepted"
    refused("kernel.invalid", lambda: actions.record_instruction(act(alice, drill), leader="", text="x", post=duty_post.pk))


def test_an_observed_fact_is_checked_against_the_vocabulary(drill, county, alice):
    refused("command.unknown_term", lambda: actions.state_fact(act(alice, drill), term="mood", place="site:x", value=1, region=county.pk))
    refused("command.bad_value", lambda: actions.state_fact(act(alice, drill), term="reservoir_hazard", place="site:x", value="leaky", region=county.pk))
    refused("kernel.invalid", lambda: actions.state_fact(act(alice, drill, occurred_at=drill.now_at + timedelta(hours=1)), term="reservoir_hazard", place="site:x", value="piping", region=county.pk))
    row = actions.state_fact(act(alice, drill, occurred_at=drill.now_at - timedelta(minutes=5)), term="reservoir_hazard", place="site:x", value="piping", region=county.pk, source="水库管理处电话")
    assert row.observed_at == drill.now_at - timedelta(minutes=5)


def test_a_reported_hazard_reaches_the_plan_at_once_and_proposes_a_level(replay, county, alice, commander, duty_post, commander_post, drain):
    from anlan.plans import actions as plan_actions
    from anlan.plans.models import BoundPlace
    from anlan.plans.tests.builders import machine, pack

    file = pack("zhengzhou_2021")
    plan_actions.adopt(act(machine(), replay), plan=file.key, region=county.pk, default_post=commander_post.pk)
    condition = next(row for row in file.conditions if row.level == "I" and row.compiled)
    (place,) = {BoundPlace.objects.get(alias=key.place).place for key in condition.compiled.keys if key.term == "reservoir_hazard"}
    forward(replay, 10)
    actions.state_fact(act(alice, replay), term="reservoir_hazard", place=place, value="major_hazard", region=county.pk, source="水库管理处电话")
    drain()
    proposal = ResponseProposal.objects.of(replay).get(state="open")
    assert proposal.level.key == "I"
    response = actions.approve_proposal(act(commander, replay), proposal=proposal.pk)
    assert response.level == "I" and Order.objects.of(replay).filter(source=f"response:{response.pk}").count() >= 2


def test_the_timer_of_a_report_is_cancelled_when_it_is_merged(drill, county, alice):
    first, second = take(alice, drill, region=county.pk), take(alice, drill, region=county.pk)
    actions.merge_reports(act(alice, drill), report=second.pk, into=first.pk)
    assert {subject.split(":")[1] for subject in Due.objects.filter(realm=drill, timer="command.report_limit").values_list("subject", flat=True)} == {str(first.pk)}
