"""The flow: each fact once, in order, and a fault blocks only its own subject."""
from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django.test import Client

from anlan import flow
from anlan.kernel import clock, due, flowing, journal
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.journal import fact
from anlan.kernel.models import Due, Grant, Parked, Position, ReactionDone, WorkItem


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
def test_a_follower_whom_nothing_concerns_moves_on_with_the_others(actual, machine, ear):
    deaf = flow.Follower("test.deaf", ["test.Never"], f"{__name__}.listen")
    for number in range(3):
        happen(Act(machine, actual), what=str(number), subject="thing:1")
        journal.seal()
        for _ in range(2):
            flowing.step_followers([ear, deaf])
    assert SEEN == ["0", "1", "2"]
    assert set(Position.objects.filter(follower__in=["test.ear", "test.deaf"]).values_list("number", flat=True)) == {journal.head_number()}


@pytest.mark.django_db
def test_a_fault_is_parked_and_blocks_only_its_own_subject(actual, machine, alice, ear, drain):
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
    waits = WorkItem.objects.everything().filter(kind="flow.parked")
    assert [item.subject for item in waits] == [f"parked:{flowing.parked().get().pk}"], "one item for the fault, none for what queues behind it"
    with pytest.raises(Problem) as still:
        flowing.retry(Act(alice, actual), parked=flowing.parked().get().pk)
    assert still.value.kind.code == "kernel.still_failing" and waits.get().state == WorkItem.OPEN
    BROKEN.clear()
    flowing.retry(Act(alice, actual), parked=flowing.parked().get().pk)
    assert not Parked.objects.filter(released=False).exists() and waits.get().state == WorkItem.DONE
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
def test_a_job_that_keeps_failing_goes_to_a_desk(actual, machine, alice, hand, drain):
    BROKEN.add("x")
    happen(Act(machine, actual), what="x", subject="thing:1")
    drain()
    happen(Act(machine, actual), what="y", subject="thing:1")
    drain()
    assert [(row.reaction, row.released) for row in Parked.objects.order_by("id")] == [("test.hand", False)] * 2 and SEEN == []
    first = flowing.parked().get()
    flowing.retry(Act(alice, actual), parked=first.pk)
    drain()
    assert flowing.parked().get().pk == first.pk, "it failed anew and waits again"
    assert WorkItem.objects.everything().filter(kind="flow.parked", state=WorkItem.OPEN).count() == 1
    with pytest.raises(Problem):
        flowing.give_up(Act(alice, actual), parked=first.pk, reason=" ")
    flowing.give_up(Act(alice, actual), parked=first.pk, reason="x is wrong")
    drain()
    assert SEEN == ["y"] and not flowing.parked().exists()
    assert len(journal.select("WHERE f.kind = 'kernel.ParkedDecided'")) == 2


def tick(act, subject, params):
    if params["what"] in BROKEN:
        raise ValueError("cannot")
    SEEN.append(params["what"])


@pytest.mark.django_db
def test_a_timer_that_keeps_failing_goes_to_a_desk_and_can_be_set_again(actual, machine, alice, hand, drain, monkeypatch):
    monkeypatch.setattr(flow, "TIMERS", [flow.Timer("test.tick", f"{__name__}.tick")])
    BROKEN.add("tick")
    due.at(Act(machine, actual), clock.now(), "test.tick", subject="thing:1", what="tick")
    drain()
    assert SEEN == [] and not Due.objects.filter(timer="test.tick").exists()
    row = flowing.parked().get()
    assert row.fact is None and row.timer["params"] == {"what": "tick"} and "cannot" in row.error
    BROKEN.clear()
    flowing.retry(Act(alice, actual), parked=row.pk)
    drain()
    assert SEEN == ["tick"] and not flowing.parked().exists()


@pytest.mark.django_db
def test_only_whoever_administers_the_system_decides_about_what_is_stuck(client, actual, machine, alice, charlie, signed_in, hand, drain):
    BROKEN.add("x")
    happen(Act(machine, actual), what="x", subject="thing:1")
    drain()
    row = flowing.parked().get()
    Grant.objects.filter(post_id=charlie.post_id, capability="kernel.administer_system").delete()
    with pytest.raises(Problem):
        flowing.give_up(Act(charlie, actual), parked=row.pk, reason="no")
    assert signed_in(Client(), charlie).get("/admin/stuck").status_code == 403
    page = signed_in(client, alice).get("/admin/stuck").content.decode()
    assert "test.hand" in page and "cannot digest x" in page
    BROKEN.clear()
    assert client.post(f"/admin/stuck/{row.pk}", {"do": "retry"}).status_code == 302
    drain()
    assert SEEN == ["x"]
    assert "test.hand" not in client.get("/admin/stuck").content.decode()


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
            flowing.step_followers([ear])
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    flowing.drain()
    assert sorted(SEEN, key=int) == [str(number) for number in range(60)]
    assert journal.verify().ok and Position.objects.get(follower="test.ear").number >= 60
