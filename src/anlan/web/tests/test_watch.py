"""The watch over the desks: when none is looked at, the next person is called, once; when one is back, that ends."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from anlan.kernel import clock, journal
from anlan.kernel.actions import Act, Actor
from anlan.kernel.models import Due, RosterEntry, WorkItem
from anlan.web import actions
from anlan.web.models import DeskPresence

pytestmark = pytest.mark.django_db

BEGIN = datetime(2026, 7, 1, 18, 0, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch: Any) -> Any:
    """at(seconds): wall time stands that long after the beginning."""
    moment = {"now": BEGIN}
    monkeypatch.setattr(clock, "now", lambda realm=None: moment["now"])
    return lambda seconds: moment.update(now=BEGIN + timedelta(seconds=seconds))


def check(realm: Any) -> None:
    actions.check_desks(Act(Actor.machine("web"), realm))


def kinds() -> list[str]:
    return [fact.kind for fact in journal.select("WHERE f.kind LIKE 'web.%%' ORDER BY f.recorded_at, f.id")]


def test_a_desk_that_is_looked_at_calls_nobody(at, actual, alice):
    actions.here(alice, "on", True)
    at(actions.LIVE_S)
    check(actual)
    assert kinds() == [] and not WorkItem.objects.everything().exists()


def test_when_no_desk_is_live_it_is_said_once_and_waits_for_the_post(at, actual, alice, duty_post):
    actions.here(alice, "on", True)
    for seconds in (actions.LIVE_S + 1, actions.LIVE_S + 31, actions.LIVE_S + 61):
        at(seconds)
        check(actual)
    assert kinds() == ["web.NoDeskLive"]
    item = WorkItem.objects.everything().get()
    assert (item.kind, item.post_id) == ("web.no_desk", duty_post.pk)


def test_the_person_of_the_roster_is_called(at, actual, alice, bob, duty_post):
    RosterEntry.objects.create(realm=actual, post=duty_post, person_id=bob.person_id, role="A", starts_at=BEGIN - timedelta(hours=1), ends_at=BEGIN + timedelta(hours=8))
    actions.here(alice, "on", True)
    at(actions.LIVE_S + 1)
    check(actual)
    fact = journal.select("WHERE f.kind = 'web.NoDeskLive'")[0]
    assert fact.payload["person"] == str(bob.person_id)


def test_a_desk_that_comes_back_ends_it(at, actual, alice):
    actions.here(alice, "on", True)
    at(200)
    check(actual)
    actions.here(alice, "on", True)
    check(actual)
    assert kinds() == ["web.NoDeskLive", "web.DeskLive"]
    assert WorkItem.objects.everything().get().state == WorkItem.DONE


def test_the_watch_goes_on_by_itself(at, actual, alice):
    actions.here(alice, "on", True)
    assert Due.objects.filter(timer="web.desk_check").count() == 1
    check(actual)
    assert Due.objects.get(timer="web.desk_check").due_at == BEGIN + timedelta(seconds=actions.CHECK_S)


def test_a_commander_who_looks_is_no_desk(at, actual, alice, commander):
    actions.here(alice, "on", True)
    at(200)
    actions.here(commander, "on", True)
    check(actual)
    assert kinds() == ["web.NoDeskLive"]


def test_a_mute_desk_is_shown_as_mute(client, signed_in, actual, alice):
    signed_in(client, alice).post("/desk/here", {"sound": "mute", "visible": "visible"})
    assert DeskPresence.objects.get().sound == "mute"




class Recorder:
    """Stands in for a supplier's adapter and keeps what it was asked to send."""

    def __init__(self, fails: bool = False) -> None:
        self.sent: list[tuple[str, str]] = []
        self.fails = fails

    def call(self, channel: Any, number: str, text: str, reference: str) -> Any:
        from anlan.warning.ports import Outcome

        self.sent.append((number, text))
        if self.fails:
            raise OSError("line is dead")
        return Outcome(True)


@pytest.fixture
def gateway(db: Any, monkeypatch: Any) -> Recorder:
    from anlan.warning import ports
    from anlan.warning.models import Channel

    Channel.objects.exclude(adapter="in_app").delete()
    Channel.objects.create(name="短信", adapter="sms", enabled=True)
    recorder = Recorder()
    monkeypatch.setattr(ports, "adapters", lambda: {"sms": recorder})
    return recorder


def dark(at: Any, realm: Any, alice: Any) -> Any:
    actions.here(alice, "on", True)
    at(200)
    check(realm)
    return journal.select("WHERE f.kind = 'web.NoDeskLive'")[0]


def test_the_next_person_is_called_once_even_if_the_job_runs_again(at, actual, alice, gateway):
    from anlan.kernel.models import Person
    from anlan.web.calling import call

    Person.objects.filter(pk=alice.person_id).update(mobile="13800000001")
    fact = dark(at, actual, alice)
    call(fact)
    call(fact)
    assert [number for number, _text in gateway.sent] == ["13800000001"]
    assert [f.payload["ok"] for f in journal.select("WHERE f.kind = 'web.PersonCalled'")] == [True]


def test_a_dead_line_is_written_down_and_stops_nothing(at, actual, alice, gateway):
    from anlan.web.calling import call

    gateway.fails = True
    call(dark(at, actual, alice))
    (said,) = journal.select("WHERE f.kind = 'web.PersonCalled'")
    assert said.payload["ok"] is False and "line is dead" in said.payload["error"]


def test_nothing_goes_out_while_channels_are_held(at, actual, alice, gateway):
    from anlan.kernel.models import Installation
    from anlan.web.calling import call

    Installation.objects.filter(pk=Installation.current().pk).update(outward_held=True)
    call(dark(at, actual, alice))
    assert gateway.sent == []
