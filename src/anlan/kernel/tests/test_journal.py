"""The journal: one fact with its rows, one answer per key, a chain that shows every change."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection, transaction

from anlan.kernel import due, flowing, journal, orders, realms, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import Problem
from anlan.kernel.facts import OrderRead
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.models import Fact, Order, UnscopedRead, WorkItem

pytestmark = pytest.mark.django_db


@action("test.give_order")
def give_order(act: Act, *, post: UUID, text: str, fail: bool = False) -> Order:
    order = orders.issue(act, post=post, text=text, source="test:1", due_at=act.now + timedelta(hours=1), clause="2.1")
    if fail:
        raise RuntimeError("boom")
    return order


def test_a_repeat_returns_the_first_answer_and_states_nothing_new(actual, alice):
    key = new_id()
    first = give_order(Act(alice, actual, op_id=key), post=alice.post_id, text="去")
    again = give_order(Act(alice, actual, op_id=key), post=alice.post_id, text="去")
    assert first == again
    assert Fact.objects.filter(kind="kernel.OrderIssued").count() == 1


def test_the_same_key_for_another_thing_is_refused(actual, alice):
    key = new_id()
    give_order(Act(alice, actual, op_id=key), post=alice.post_id, text="去")
    with pytest.raises(Problem) as refusal:
        give_order(Act(alice, actual, op_id=key), post=alice.post_id, text="来")
    assert refusal.value.kind.code == "kernel.op_reused"


def test_a_failing_action_leaves_no_row_and_no_fact(actual, alice):
    before = Fact.objects.count()
    with pytest.raises(RuntimeError):
        give_order(Act(alice, actual), post=alice.post_id, text="去", fail=True)
    assert Fact.objects.count() == before and Order.plain.count() == 0


def test_facts_are_chained_and_the_chain_verifies(actual, alice):
    journal.seal()  # what loading the code lists stated
    before = journal.verify()
    for text in "abc":
        give_order(Act(alice, actual), post=alice.post_id, text=text)
    assert journal.seal() == 3
    verdict = journal.verify()
    assert verdict.ok and verdict.unsealed == 0
    assert (verdict.sealed, verdict.heads) == (before.sealed + 3, before.heads + 1)


@pytest.mark.parametrize(
    "tamper, complaint",
    [
        ("UPDATE kernel_factpayload SET payload = jsonb_set(payload, '{text}', '\"x\"') WHERE fact_id = %s", "payload was changed"),
        ("UPDATE kernel_fact SET subject = 'order:other' WHERE id = %s", "fact was changed"),
        ("UPDATE kernel_seal SET digest = 'sha256:0' WHERE fact_id = %s", "seal digest is wrong"),
        ("DELETE FROM kernel_seal WHERE fact_id = %s", "the tail was cut off"),
    ],
)
def test_every_kind_of_tampering_shows(actual, alice, tamper, complaint):
    give_order(Act(alice, actual), post=alice.post_id, text="a")
    give_order(Act(alice, actual), post=alice.post_id, text="b")
    journal.seal()
    last = Fact.objects.order_by("-seal__number").first()
    with connection.cursor() as cursor:
        cursor.execute(tamper, [last.pk])
    verdict = journal.verify()
    assert not verdict.ok
    assert any(complaint in what for _number, what in verdict.broken), verdict.broken


def test_erasing_a_payload_is_journaled_and_the_chain_still_verifies(actual, alice):
    order = give_order(Act(alice, actual), post=alice.post_id, text="张三的电话")
    journal.seal()

    @action("test.erase" + new_id().hex)
    def erase(act: Act) -> None:
        journal.erase(act, order.cause, "PIPL art. 47")

    erase(Act(alice, actual))
    journal.seal()
    verdict = journal.verify()
    assert verdict.ok and verdict.erased == 1
    assert journal.get(order.cause).body is None


def test_a_payload_survives_its_way_through_the_database(actual, alice, machine):
    from anlan.kernel.journal import canonical, payload_of

    body = OrderRead(order=new_id())
    assert journal.body_of("kernel.OrderRead", 1, payload_of(body)) == body
    assert canonical({"b": 1, "a": [1.5, None]}) == b'{"a":[1.5,null],"b":1}'


def test_why_goes_back_to_the_first_cause(actual, alice):
    order = give_order(Act(alice, actual), post=alice.post_id, text="a")
    orders.accept(Act(alice, actual), order=order.pk)
    kinds = [fact.kind for fact in journal.why(f"order:{order.pk}")]
    assert kinds == ["kernel.OrderIssued", "kernel.OrderAccepted"]


def test_silence_reminds_then_goes_up_the_line(replay, alice, commander, commander_post):
    order = give_order(Act(alice, replay), post=alice.post_id, text="a")
    realms.advance(replay, replay.now_at + timedelta(minutes=16), lambda realm: flowing.drain())
    assert Fact.objects.filter(kind="kernel.OrderReminded").count() == 1
    assert not work.waiting_for(commander).exists()
    realms.advance(replay, replay.now_at + timedelta(minutes=10), lambda realm: flowing.drain())
    (item,) = work.waiting_for(commander)
    assert item.kind == "orders.unanswered" and item.post_id == commander_post.pk
    orders.accept(Act(alice, replay), order=order.pk)
    assert not work.waiting_for(commander).exists()


def test_a_work_item_nobody_answers_goes_one_post_up(replay, alice, commander, duty_post, commander_post):
    @action("test.wait" + new_id().hex)
    def wait(act: Act) -> WorkItem:
        return work.open(act, post=duty_post, kind="test.answer", subject="test:1", msgid="Answer {what}", params={"what": "it"}, due_at=act.now + timedelta(minutes=10))

    item = wait(Act(alice, replay))
    assert [row.pk for row in work.waiting_for(alice)] == [item.pk]
    realms.advance(replay, replay.now_at + timedelta(minutes=10), lambda realm: flowing.drain())
    assert not work.waiting_for(alice).exists()
    assert [row.pk for row in work.waiting_for(commander)] == [item.pk]


def test_an_outsider_sees_and_answers_nothing(actual, alice, charlie):
    order = give_order(Act(alice, actual), post=alice.post_id, text="a")
    assert not Order.objects.seen_by(charlie, actual).exists()
    assert Order.objects.seen_by(alice, actual).get() == order
    with pytest.raises(Problem) as refusal:
        orders.accept(Act(charlie, actual), order=order.pk)
    assert refusal.value.kind.code == "kernel.forbidden"


def test_a_read_without_a_scope_raises(actual):
    with pytest.raises(UnscopedRead):
        list(Order.objects.all())
    with pytest.raises(UnscopedRead):
        Order.objects.filter(state="issued").count()


def test_a_row_of_an_exercise_cannot_point_at_an_actual_one(actual, exercise, alice):
    from django.db import IntegrityError

    from anlan.kernel.models import OrderReceipt

    order = give_order(Act(alice, actual), post=alice.post_id, text="a")
    with pytest.raises(IntegrityError), transaction.atomic():
        OrderReceipt.plain.create(realm=exercise, order=order, state="read", at=order.issued_at)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_an_exercise_that_was_stopped_takes_nothing_more(actual, exercise, alice):
    realms.stop(Act(alice, actual), realm=exercise.pk, reason="real rain")
    with pytest.raises(Problem) as refusal:
        give_order(Act(alice, exercise), post=alice.post_id, text="a")
    assert refusal.value.kind.code == "kernel.exercise_over"


def test_a_stale_page_is_refused(actual, alice):
    order = give_order(Act(alice, actual), post=alice.post_id, text="a")
    orders.read(Act(alice, actual), order=order.pk)
    with pytest.raises(Problem) as refusal:
        orders.accept(Act(alice, actual, expected_version=1), order=order.pk)
    assert refusal.value.kind.code == "kernel.stale"


def test_a_due_row_is_replaced_not_doubled(replay, machine):
    from anlan.kernel.models import Due

    act = Act(machine, replay)
    due.at(act, act.now + timedelta(minutes=5), "work.silence", subject="work:x")
    due.at(act, act.now + timedelta(minutes=9), "work.silence", subject="work:x")
    assert Due.objects.count() == 1


def test_derived_keys_are_repeatable():
    assert derived_id("a", 1) == derived_id("a", 1) != derived_id("a1")
    assert Actor.machine("x").account_id == Actor.machine("x").account_id
