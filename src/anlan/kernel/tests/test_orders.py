"""The order's states: no illegal step by any path, in any order, by anybody, twice."""
from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.kernel import journal, orders
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import Problem
from anlan.kernel.models import Fact, Order, OrderReceipt

pytestmark = pytest.mark.django_db


@action("test.order_something")
def order_something(act: Act, *, post: UUID, text: str) -> Order:
    return orders.issue(act, post=post, text=text, source="test:2", due_at=act.now + timedelta(hours=1))


STEPS = {
    "deliver": (orders.deliver, {}),
    "read": (orders.read, {}),
    "accept": (orders.accept, {}),
    "progress": (orders.progress, {"percent": 40}),
    "done": (orders.done, {}),
    "refuse": (orders.refuse, {"reason": "路断"}),
    "withdraw": (orders.withdraw, {"reason": "改派"}),
}
# Written by hand from the words of design §3 and issue: delivered → read → accepted → progress → done or refused.
LEGAL = {
    ("issued", "deliver"): "delivered", ("issued", "read"): "read", ("issued", "accept"): "accepted", ("issued", "refuse"): "refused",
    ("issued", "withdraw"): "withdrawn",
    ("delivered", "deliver"): "delivered", ("delivered", "read"): "read", ("delivered", "accept"): "accepted", ("delivered", "refuse"): "refused",
    ("delivered", "withdraw"): "withdrawn",
    ("read", "read"): "read", ("read", "accept"): "accepted", ("read", "refuse"): "refused", ("read", "withdraw"): "withdrawn",
    ("accepted", "accept"): "accepted", ("accepted", "progress"): "progress", ("accepted", "done"): "done", ("accepted", "refuse"): "refused",
    ("accepted", "withdraw"): "withdrawn",
    ("progress", "progress"): "progress", ("progress", "done"): "done", ("progress", "withdraw"): "withdrawn",
}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.booleans()), max_size=8))
def test_only_legal_steps_change_anything(actual, alice, charlie, steps):
    order = order_something(Act(alice, actual), post=alice.post_id, text="转移")
    state = "issued"
    for name, outsider in steps:
        function, values = STEPS[name]
        before = Fact.objects.count()
        try:
            function(Act(charlie if outsider else alice, actual), order=order.pk, **values)
            allowed = True
        except Problem:
            allowed = False
        assert allowed == (not outsider and (state, name) in LEGAL), (state, name, outsider)
        if allowed:
            state = LEGAL[state, name]
        else:
            assert Fact.objects.count() == before
        order.refresh_from_db()
        assert order.state == state
    states = list(OrderReceipt.plain.filter(order=order).order_by("at", "id").values_list("state", flat=True))
    assert len(states) <= len(steps)


def test_progress_outside_the_scale_is_refused(actual, alice):
    order = order_something(Act(alice, actual), post=alice.post_id, text="a")
    orders.accept(Act(alice, actual), order=order.pk)
    for percent in (-1, 101):
        with pytest.raises(Problem) as refusal:
            orders.progress(Act(alice, actual), order=order.pk, percent=percent)
        assert refusal.value.kind.code == "orders.bad_percent"


def test_a_refusal_needs_a_reason_and_goes_to_the_superior(actual, alice, commander):
    from anlan.kernel import work

    order = order_something(Act(alice, actual), post=alice.post_id, text="a")
    with pytest.raises(Problem):
        orders.refuse(Act(alice, actual), order=order.pk, reason="  ")
    orders.refuse(Act(alice, actual), order=order.pk, reason="桥断")
    (item,) = work.waiting_for(commander)
    assert item.kind == "orders.refused" and "桥断" in work.text(item)


def test_withdrawing_needs_the_second_factor(actual, alice, duty_post):
    from anlan.kernel.actions import Actor

    order = order_something(Act(alice, actual), post=alice.post_id, text="a")
    weak = Actor(account_id=alice.account_id, person_id=alice.person_id, post_id=alice.post_id)
    with pytest.raises(Problem) as refusal:
        orders.withdraw(Act(weak, actual), order=order.pk, reason="x")
    assert refusal.value.kind.code == "kernel.second_factor"


def test_an_order_says_why_back_to_its_cause(actual, alice):
    order = order_something(Act(alice, actual), post=alice.post_id, text="a")
    (issued,) = journal.why(f"order:{order.pk}")
    assert issued.body.post == alice.post_id and issued.account == alice.account_id and issued.action == "test.order_something"


def test_a_post_may_be_a_bare_key_where_rows_are_narrowed(actual, alice, charlie, monkeypatch):
    """A receipt names its post without referring to it: narrowing to one's own posts failed on such a table."""
    order = order_something(Act(alice, actual), post=alice.post_id, text="转移")
    orders.deliver(Act(alice, actual), order=order.pk)
    monkeypatch.setattr(OrderReceipt, "SCOPE", Order.SCOPE)
    assert [row.post for row in OrderReceipt.objects.seen_by(alice, actual)] == [alice.post_id] and not OrderReceipt.objects.seen_by(charlie, actual).exists()
