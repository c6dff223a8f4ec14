"""The flow: each fact once, in order, and a fault blocks only its own subject."""
from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction

from anlan import flow
from anlan.kernel import flowing, journal
from anlan.kernel.actions import Act, action
from anlan.kernel.ids import new_id
from anlan.kernel.journal import fact
from anlan.kernel.models import Parked, Position, ReactionDone


@fact("test.Happened")
class Happened:
    """Something happened in a test."""

    what: str


SEEN: list[str] = []
BROKEN: set[str] = set()


def listen(facts):
    for heard in facts:
        if heard.body.what in BROKEN:
            raise ValueError(f"cannot digest {heard.body.what}")
        SEEN.append(heard.body.what)


def listen_job(heard):
    listen([heard])


@action("test.happen")
def happen(act: Act, *, what: str, subject: str) -> None:
    act.state(Happened(what=what), subject=subject)


@pytest.fixture
def ear(monkeypatch):
    SEEN.clear()
    BROKEN.clear()
    follower = flow.Follower("test.ear", ["test.Happened"], f"{__name__}.listen")
    monkeypatch.setattr(flow, "FOLLOWERS", [follower])
    return follower


@pytest.fixture
def hand(monkeypatch):
    SEEN.clear()
    BROKEN.clear()
    monkeypatch.setattr(flow, "FOLLOWERS", [])
    monkeypatch.setattr(flow, "JOBS", [flow.Job("test.hand", ["test.Happened"], f"{__name__}.listen_job")])


@pytest.mark.django_db
def test_a_follower_hears_each_fact_once_and_in_order(actual, machine, ear, drain):
    for number in range(7):
        happen(Act(machine, actual), what=str(number), subject="thing:1")
    drain()
    drain()
    assert SEEN == [str(number) for number in range(7)]


@pytest.mark.django_db
def test_a_fault_is_parked_and_blocks_only_its_own_subject(actual, machine, ear, drain):
    BROKEN.add("bad")
    for what, subject in [("a1", "thing:a"), ("bad", "thing:b"), ("b2", "thing:b"), ("a2", "thing:a")]:
        happen(Act(machine, actual), what=what, subject=subject)
    drain()
    assert [what for what in SEEN if what.startswith("a")][-2:] == ["a1", "a2"]
    assert "b2" not in SEEN
    assert set(Parked.objects.values_list("subject", flat=True)) == {"thing:b"}
    happen(Act(machine, actual), what="b3", subject="thing:b")
    drain()
    assert "b3" not in SEEN, "what comes later about the same subject waits behind"
    BROKEN.clear()
    flowing.release(Parked.objects.order_by("id").first())
    assert [what for what in SEEN if what in ("bad", "b2", "b3")] == ["bad", "b2", "b3"]


@pytest.mark.django_db
def test_a_job_runs_once_even_when_it_is_deferred_and_delivered_twice(actual, machine, hand, drain):
    happen(Act(machine, actual), what="x", subject="thing:1")
    drain()
    done = ReactionDone.objects.get()
    flowing.run_job("test.hand", done.fact_id)
    flowing.defer_jobs([journal.get(done.fact_id)])
    drain()
    assert SEEN == ["x"]


@pytest.mark.django_db
def test_a_job_that_keeps_failing_goes_to_a_desk(actual, machine, hand, drain):
    BROKEN.add("x")
    happen(Act(machine, actual), what="x", subject="thing:1")
    drain()
    assert Parked.objects.get().reaction == "test.hand"
    assert journal.select("WHERE f.kind = 'kernel.ReactionParked'")


@pytest.mark.django_db(transaction=True)
def test_an_open_transaction_of_somebody_else_holds_back_no_fact(actual, machine, ear):
    """Decision 0002: a long import does not delay a warning."""
    started, finish = threading.Event(), threading.Event()

    def long_import():
        with transaction.atomic():
            happen(Act(machine, actual), what="import", subject="thing:import")
            started.set()
            finish.wait(20)
        connection.close()

    thread = threading.Thread(target=long_import)
    thread.start()
    assert started.wait(20)
    happen(Act(machine, actual), what="warning", subject="thing:warning")
    flowing.drain()
    assert SEEN == ["warning"]
    finish.set()
    thread.join(20)
    flowing.drain()
    assert SEEN == ["warning", "import"]
    assert journal.verify().ok


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_do_nothing_twice(actual, machine, ear):
    for number in range(60):
        happen(Act(machine, actual, op_id=new_id()), what=str(number), subject=f"thing:{number % 5}")

    def work():
        for _ in range(30):
            journal.seal()
            flowing.step_follower(ear, limit=7)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    flowing.drain()
    assert sorted(SEEN, key=int) == [str(number) for number in range(60)]
    assert journal.verify().ok and Position.objects.get(follower="test.ear").number >= 60
