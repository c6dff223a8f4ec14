"""Silence: at half time the next person on duty is called by name, then it goes one post up; where nobody is, at once."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.kernel import journal, orders, realms, shift, work
from anlan.kernel.actions import Act, action
from anlan.kernel.models import Assignment, Due, Order, WorkItem


@action("test.wait")
def wait(act, *, post, minutes, subject="thing:1"):
    return work.open(act, post=post, kind="test.wait", subject=subject, msgid="Waits", due_at=act.now + timedelta(minutes=minutes))


@action("test.order")
def order(act, *, post, minutes):
    return orders.issue(act, post=post, text="Close the bridge", source="test:1", answer_by=act.now + timedelta(minutes=minutes))


@pytest.fixture
def pass_time(replay, drain):
    def go(minutes):
        realms.advance(replay, replay.now_at + timedelta(minutes=minutes), lambda _realm: drain())

    return go


def called(realm):
    return [(fact.payload["person"], fact.payload["role"], fact.payload["about"]) for fact in journal.select("WHERE f.kind = 'kernel.DutyCalled' AND f.realm_id = %s ORDER BY f.occurred_at", [realm.pk])]


@pytest.mark.django_db
def test_b_is_called_at_half_time_and_the_superior_gets_it_at_the_end(replay, machine, alice, bob, commander, duty_post, commander_post, pass_time):
    item = wait(Act(machine, replay), post=duty_post.pk, minutes=20)
    pass_time(9)
    assert called(replay) == []
    pass_time(2)
    assert called(replay) == [(str(bob.person_id), "B", "thing:1")]
    assert WorkItem.plain.get(pk=item.pk).post_id == duty_post.pk
    pass_time(10)
    item = WorkItem.plain.get(pk=item.pk)
    assert (item.post_id, item.escalations) == (commander_post.pk, 1)
    pass_time(10)
    assert called(replay)[1:] == [(str(commander.person_id), "A", "thing:1")], "the same again one post up, who is alone there"


@pytest.mark.django_db
def test_the_roster_names_who_is_called_before_the_assignments_do(replay, machine, alice, bob, commander, duty_post, pass_time):
    start = replay.now_at - timedelta(hours=1)
    for person, role in ((bob.person_id, "A"), (commander.person_id, "leader")):
        shift.save_duty(Act(alice, replay), post=duty_post.pk, person=person, role=role, starts_at=start, ends_at=start + timedelta(hours=12))
    wait(Act(machine, replay), post=duty_post.pk, minutes=10)
    pass_time(6)
    assert called(replay) == [(str(commander.person_id), "leader", "thing:1")], "alice is not on this shift"


@pytest.mark.django_db
def test_who_acknowledged_it_is_not_overtaken_by_his_second(replay, machine, alice, bob, duty_post, pass_time):
    item = wait(Act(machine, replay), post=duty_post.pk, minutes=10)
    work.seen(Act(alice, replay), item=item.pk)
    pass_time(6)
    assert called(replay) == []


@pytest.mark.django_db
def test_a_post_nobody_answers_for_does_not_keep_it_for_the_second_half(replay, machine, commander, duty_post, commander_post, pass_time):
    Assignment.objects.filter(post=duty_post).delete()
    item = wait(Act(machine, replay), post=duty_post.pk, minutes=20)
    pass_time(11)
    assert WorkItem.plain.get(pk=item.pk).post_id == commander_post.pk and called(replay) == []


@pytest.mark.django_db
def test_what_is_done_or_short_calls_nobody(replay, machine, alice, bob, duty_post, pass_time):
    @action("test.wait_done")
    def finish(act):
        work.close(act, kind="test.wait", subject="thing:1")

    wait(Act(machine, replay), post=duty_post.pk, minutes=30)
    finish(Act(machine, replay))
    assert not Due.objects.filter(realm=replay).exists()
    wait(Act(machine, replay), post=duty_post.pk, minutes=1, subject="thing:2")
    assert set(Due.objects.filter(realm=replay).values_list("timer", flat=True)) == {"work.silence"}


@pytest.mark.django_db
def test_the_reminder_of_an_order_calls_the_second_person_and_the_next_goes_up(replay, machine, alice, bob, commander, duty_post, commander_post, pass_time):
    row = order(Act(machine, replay), post=duty_post.pk, minutes=10)
    pass_time(11)
    assert called(replay) == [(str(bob.person_id), "B", f"order:{row.pk}")]
    pass_time(6)
    assert Order.plain.get(pk=row.pk).escalated_to_id == commander_post.pk
