"""Warnings from outside: by hand, relayed unchanged, updated, cancelled, expired, and drills that stay drills."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.engines import cap
from anlan.kernel import journal, work
from anlan.kernel.errors import Problem
from anlan.warning import actions, texts
from anlan.warning.models import Alert, Attempt

from .builders import act, channel

TEXT = "市气象台6时50分发布暴雨红色预警信号。"


def by_hand(actor, realm, region, **extra):
    values = {"hazard": "11B03", "colour": "red", "issuer": "weather_service", "regions": [str(region.pk)], "text": TEXT}
    return actions.enter_by_hand(act(actor, realm, **extra.pop("act", {})), **(values | extra))


def test_it_tells_the_plans_and_wakes_the_duty_officer(actual, county, alice):
    row = by_hand(alice, actual, county)
    fact = next(f for f in journal.about(f"alert:{row.pk}") if f.kind == "warning.OutsideWarningReceived")
    assert fact.payload["hazard"] == "11B03" and fact.payload["colour"] == "red" and fact.payload["regions"] == [str(county.pk)]
    assert [item.kind for item in work.waiting_for(alice, actual)] == ["warning.outside"]
    assert bytes(row.original.raw).decode() == TEXT


def test_the_event_time_is_the_issuers_and_the_machine_may_enter_for_a_replay(replay, county, machine):
    sent = replay.now_at - timedelta(hours=1)
    row = by_hand(machine, replay, county, sent=sent)
    fact = next(f for f in journal.about(f"alert:{row.pk}") if f.kind == "warning.OutsideWarningReceived")
    assert fact.occurred_at == sent and fact.received_at == replay.now_at and row.status == "Exercise"


def test_a_relay_keeps_text_issuer_and_time_and_needs_the_second_person(actual, county, alice, bob, drain):
    channel("text_file", settings={"folder": "relay"})
    outside = by_hand(alice, actual, county, headline="暴雨红色预警信号")
    row = actions.relay(act(alice, actual), alert=outside.pk)
    assert row.state == "review" and (row.headline, row.description, row.issuer_name, row.sent) == (outside.headline, TEXT, outside.issuer_name, outside.sent)
    with pytest.raises(Problem):
        actions.edit(act(alice, actual), alert=row.pk, headline="改过的")
    with pytest.raises(Problem):
        actions.approve(act(alice, actual), alert=row.pk, seen_hash=row.content_hash)
    actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    row = actions.issue(act(bob, actual), alert=row.pk)
    drain()
    assert Attempt.plain.get(alert=row, channel__adapter="text_file").state == "delivered"
    assert "气象部门" in texts.plain(row) and TEXT in texts.plain(row)
    kinds = [f.kind for f in journal.chain(next(f.id for f in journal.about(f"alert:{row.pk}") if f.kind == "warning.AlertIssued"))]
    assert kinds[-1] == "warning.OutsideWarningReceived"


def test_a_later_warning_of_the_same_issuer_replaces_the_earlier_one(actual, county, alice):
    first = by_hand(alice, actual, county, colour="orange", headline="暴雨橙色预警")
    by_hand(alice, actual, county, colour="red")
    first.refresh_from_db()
    assert first.state == "updated"
    ended = [f for f in journal.about(f"alert:{first.pk}") if f.kind == "warning.WarningEnded"]
    assert [f.payload["outcome"] for f in ended] == ["updated"]


def test_it_expires_on_the_realms_clock(replay, county, alice, drain):
    row = by_hand(alice, replay, county, expires=replay.now_at + timedelta(hours=3))
    drain()
    assert Alert.plain.get(pk=row.pk).state == "received"
    type(replay).objects.filter(pk=replay.pk).update(now_at=replay.now_at + timedelta(hours=3))
    drain()
    assert Alert.plain.get(pk=row.pk).state == "expired"


def test_lifting_it_needs_a_reason_and_ends_it(actual, county, alice):
    row = by_hand(alice, actual, county)
    with pytest.raises(Problem):
        actions.end_outside(act(alice, actual), alert=row.pk, reason="")
    assert actions.end_outside(act(alice, actual), alert=row.pk, reason="气象台电话解除").state == "cancelled"


@pytest.mark.parametrize("wrong", [{"hazard": "99X"}, {"colour": "purple"}, {"colour": ""}, {"issuer": "nobody"}, {"issuer": "government"}, {"regions": []}])
def test_nonsense_is_refused_with_a_reason(actual, county, alice, wrong):
    with pytest.raises(Problem) as caught:
        by_hand(alice, actual, county, **wrong)
    assert caught.value.kind.code.startswith("warning.") and not Alert.plain.exists()


def test_an_update_of_ours_replaces_and_references_the_first(actual, county, alice, bob):
    from .builders import issued

    first = issued(alice, bob, actual, county)
    second = actions.update(act(alice, actual), alert=first.pk, changes={"colour": "orange", "headline": "山洪橙色预警"})
    actions.submit(act(alice, actual), alert=second.pk)
    actions.approve(act(bob, actual), alert=second.pk, seen_hash=second.content_hash)
    second = actions.issue(act(bob, actual), alert=second.pk)
    first.refresh_from_db()
    (message,) = cap.read(bytes(second.cap_xml)).messages
    (reference,) = message.alert.references
    assert first.state == "updated" and message.alert.msg_type == "Update" and message.valid
    assert (reference.sender, reference.identifier, reference.sent) == (first.sender, first.identifier, first.sent)
