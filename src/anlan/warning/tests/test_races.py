"""Two persons press at the same moment: one wins, nothing happens twice."""
from __future__ import annotations

import pytest

from anlan.kernel import clock, journal
from anlan.kernel.errors import Problem
from anlan.runtime.testing import together
from anlan.warning import actions, delivery
from anlan.warning.adapters.sms.simulator import SETTINGS, Simulator
from anlan.warning.models import Attempt

from .builders import act, approved, channel, draft, issued


@pytest.mark.django_db(transaction=True)
def test_two_second_persons_approve_at_once_and_one_approval_stands(actual, county, alice, bob, commander):
    row = actions.submit(act(alice, actual), alert=draft(alice, actual, county).pk)
    first, second = together(
        lambda: actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash),
        lambda: actions.approve(act(commander, actual), alert=row.pk, seen_hash=row.content_hash),
    )
    assert sorted(isinstance(one, Problem) for one in (first, second)) == [False, True]
    row.refresh_from_db()
    assert row.approver in (bob.person_id, commander.person_id)
    assert [fact.kind for fact in journal.about(f"alert:{row.pk}")].count("warning.AlertApproved") == 1


@pytest.mark.django_db(transaction=True)
def test_two_people_issue_at_once_and_it_goes_out_once(actual, county, alice, bob, commander):
    row = approved(alice, bob, actual, county)
    together(lambda: actions.issue(act(bob, actual), alert=row.pk), lambda: actions.issue(act(commander, actual), alert=row.pk))
    assert [fact.kind for fact in journal.about(f"alert:{row.pk}")].count("warning.AlertIssued") == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_send_each_number_once(actual, county, alice, bob, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    numbers = [f"1380000{n:04d}" for n in range(10, 30)]
    with Simulator() as gateway:
        channel("sms", settings=SETTINGS | {"url": gateway.url, "numbers": numbers})
        row = issued(alice, bob, actual, county)
        together(lambda: delivery.deliver(row.pk), lambda: delivery.deliver(row.pk))
        assert sorted(message["to"] for message in gateway.messages) == numbers
    assert Attempt.plain.filter(alert=row, channel__adapter="sms", state="sent").count() == len(numbers)


@pytest.mark.django_db
def test_the_simulator_refuses_is_busy_and_takes_as_a_real_gateway(actual, county, alice, bob, settings, drain):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    with Simulator() as gateway:
        channel("sms", settings=SETTINGS | {"url": gateway.url, "numbers": ["13800000001", "13800000002", "13800000009"]})
        row = issued(alice, bob, actual, county)
        drain()
    states = dict(Attempt.plain.filter(alert=row, channel__adapter="sms", number=1).values_list("target", "state"))
    assert states == {"13800000001": "failed", "13800000002": "failed", "13800000009": "sent"}
    assert Attempt.plain.get(alert=row, target="13800000001", number=1).permanent and not Attempt.plain.get(alert=row, target="13800000002", number=1).permanent


@pytest.mark.django_db(transaction=True)
def test_two_alerts_at_once_share_the_pace_of_a_channel(actual, county, alice, bob, settings, monkeypatch):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    at = clock.now()  # a machine that stands still for a minute must not let a minute of pace pass
    monkeypatch.setattr(clock, "now", lambda realm=None: at)
    with Simulator() as gateway:
        one = channel("sms", settings=SETTINGS | {"url": gateway.url, "numbers": [f"1380000{n:04d}" for n in range(10, 60)]}, per_minute=20, again_if_unsure=True)
        rows = [issued(alice, bob, actual, county), issued(alice, bob, actual, county)]
        together(*[lambda row=row: delivery.deliver(row.pk) for row in rows])
        assert len(gateway.messages) == 20
        # What goes back into the queue, because its sender died, has been sent all the same.
        Attempt.plain.filter(channel=one, state="sent").update(state="claimed", claimed_at=at - 2 * delivery.STUCK)
        together(*[lambda row=row: delivery.deliver(row.pk) for row in rows])
        assert len(gateway.messages) == 20
