"""Orders (命令): issue → delivered → read → accepted → progress → done or refused; silence reminds, then goes up the line."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from . import access, due, work
from .actions import Act, Actor, action
from .errors import FORBIDDEN, ILLEGAL_STEP, REASON_NEEDED, Kind
from .facts import (
    OrderAccepted,
    OrderDelivered,
    OrderDone,
    OrderEscalated,
    OrderIssued,
    OrderOverdue,
    OrderProgressed,
    OrderRead,
    OrderRefused,
    OrderReminded,
    OrderWithdrawn,
)
from .ids import derived_id, key_of
from .models import Order, OrderReceipt, Post

BAD_PERCENT = Kind("orders.bad_percent", 422, _("Progress is a number from 0 to 100, not {percent}."))

# Which step is possible from which state. Read and accept may skip what the network skipped.
STEPS: dict[str, tuple[str, ...]] = {
    Order.DELIVERED: (Order.ISSUED,),
    Order.READ: (Order.ISSUED, Order.DELIVERED),
    Order.ACCEPTED: (Order.ISSUED, Order.DELIVERED, Order.READ),
    Order.PROGRESS: (Order.ACCEPTED, Order.PROGRESS),
    Order.DONE: (Order.ACCEPTED, Order.PROGRESS),
    Order.REFUSED: (Order.ISSUED, Order.DELIVERED, Order.READ, Order.ACCEPTED),
    Order.WITHDRAWN: Order.OPEN_STATES,
}
# A post gets this long to accept before it is reminded, unless the order says otherwise; data of the plan may.
ANSWER_MINUTES = 15


def issue(
    act: Act, *, post: Any, text: str, source: str, due_at: datetime | None = None, clause: str = "", region: Any = None, text_en: str = "",
    rule_version: str = "", answer_by: datetime | None = None, cause: UUID | None = None, key: Any = None,
) -> Order:
    """Give an order to a post. Called inside an action that has checked the right to. `key` makes it repeatable."""
    region = region or Post.objects.values_list("region_id", flat=True).get(pk=key_of(post))
    answer_by = answer_by or min(act.now + timedelta(minutes=ANSWER_MINUTES), due_at or datetime.max.replace(tzinfo=act.now.tzinfo))
    extra = {"id": derived_id("order", act.realm.pk, key)} if key is not None else {}
    order = act.create(
        Order, post_id=key_of(post), region_id=key_of(region), source=source, text=text, text_en=text_en, clause=clause, rule_version=rule_version,
        issued_at=act.now, issued_by=act.actor.person_id, answer_by=answer_by, due_at=due_at, **extra,
    )
    stated = act.state(
        OrderIssued(
            order=order.pk, post=order.post_id, source=source, text=text, clause=clause, due_at=due_at.isoformat() if due_at else ""
        ),
        about=order, cause=cause,
    )
    order.cause = stated
    order.save(update_fields=["cause"])
    due.at(act, answer_by, "orders.silence", subject=f"order:{order.pk}")
    if due_at:
        due.at(act, due_at, "orders.overdue", subject=f"order:{order.pk}")
    return order


def _mine(act: Act, order: Order) -> None:
    """The post it was given to, or where it went when that post was silent, answers; nobody else."""
    held = access.posts(act.actor)
    if not (order.post_id in held or (order.escalated_to_id and order.escalated_to_id in held) or act.actor.machine_name):
        raise FORBIDDEN(capability="orders.answer")


def _step(act: Act, order_id: UUID, state: str, body: Any, text: str = "", percent: int | None = None) -> Order:
    order = act.lock(Order, order_id)
    _mine(act, order)
    if order.state == state and state in (Order.DELIVERED, Order.READ, Order.ACCEPTED):
        return order
    if order.state not in STEPS[state]:
        raise ILLEGAL_STEP(state=order.state)
    order.state = state
    stamp = {Order.DELIVERED: "delivered_at", Order.READ: "read_at", Order.ACCEPTED: "accepted_at", Order.DONE: "done_at"}.get(state)
    at = act.occurred_at or act.now
    if stamp:
        setattr(order, stamp, at)
    if percent is not None:
        order.percent = percent
    if state == Order.REFUSED:
        order.refusal = text
    act.save(order)
    act.create(OrderReceipt, order=order, state=state, at=at, person=act.actor.person_id, post=act.actor.post_id, text=text, percent=percent)
    act.state(body, about=order, cause=order.cause)
    subject = f"order:{order.pk}"
    if state in (Order.ACCEPTED, Order.DONE, Order.REFUSED):
        due.cancel(act, "orders.silence", subject)
        work.close(act, kind="orders.unanswered", subject=subject)
    if state in (Order.DONE, Order.REFUSED):
        due.cancel(act, "orders.overdue", subject)
        work.close(act, kind="orders.overdue", subject=subject)
    return order


@action("orders.deliver")
def deliver(act: Act, *, order: UUID) -> Order:
    """The order has reached a device of the post."""
    return _step(act, order, Order.DELIVERED, OrderDelivered(order=order))


@action("orders.read")
def read(act: Act, *, order: UUID) -> Order:
    """A person of the post has opened it."""
    return _step(act, order, Order.READ, OrderRead(order=order))


@action("orders.accept")
def accept(act: Act, *, order: UUID) -> Order:
    """A person of the post takes it on."""
    return _step(act, order, Order.ACCEPTED, OrderAccepted(order=order))


@action("orders.progress")
def progress(act: Act, *, order: UUID, percent: int, text: str = "") -> Order:
    """How far it is, 0 to 100 percent."""
    if not 0 <= percent <= 100:
        raise BAD_PERCENT(percent=percent, fields=[{"field": "percent", "why": "0–100"}])
    return _step(act, order, Order.PROGRESS, OrderProgressed(order=order, percent=percent, text=text), text, percent)


@action("orders.done")
def done(act: Act, *, order: UUID, text: str = "") -> Order:
    """It is done."""
    return _step(act, order, Order.DONE, OrderDone(order=order, text=text), text, 100)


@action("orders.refuse")
def refuse(act: Act, *, order: UUID, reason: str) -> Order:
    """It cannot be done; the reason goes to whoever issued it."""
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row = _step(act, order, Order.REFUSED, OrderRefused(order=order, reason=reason), reason)
    superior = row.post.superior_id
    if superior:
        work.open(
            act, post=superior, kind="orders.refused", subject=f"order:{row.pk}", region=row.region_id, level="",
            msgid=gettext_noop("{post} refused the order “{text}”: {reason}"), params={"post": row.post.name, "text": row.text[:80], "reason": reason[:120]},
        )
    return row


@action("orders.withdraw")
def withdraw(act: Act, *, order: UUID, reason: str) -> Order:
    """Take it back. Needs orders.withdraw where the order runs."""
    row = act.lock(Order, order)
    access.require(act, "orders.withdraw", region=row.region_id)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    if row.state not in STEPS[Order.WITHDRAWN]:
        raise ILLEGAL_STEP(state=row.state)
    return _withdraw(act, row, reason)


def _withdraw(act: Act, row: Order, reason: str) -> Order:
    row.state, row.refusal = Order.WITHDRAWN, reason
    act.save(row)
    act.state(OrderWithdrawn(order=row.pk, reason=reason), about=row)
    for timer in ("orders.silence", "orders.overdue"):
        due.cancel(act, timer, f"order:{row.pk}")
    for kind in ("orders.unanswered", "orders.overdue"):
        work.close(act, kind=kind, subject=f"order:{row.pk}", outcome="overtaken")
    return row


def withdraw_all(act: Act, *, source: str, reason: str, keep: Iterable[UUID] = ()) -> int:
    """Withdraw what is still open of a source, except what is to be kept. Called inside an action that has checked the right to."""
    count = 0
    for row in Order.plain.select_for_update().filter(realm_id=act.realm.pk, source=source, state__in=Order.OPEN_STATES).exclude(pk__in=list(keep)).order_by("id"):
        _withdraw(act, row, reason)
        count += 1
    return count


@action("orders.remind")
def remind(act: Act, *, order: UUID) -> None:
    """Timer: not accepted in time. Once a reminder, which calls the next person on duty by name; then up the line."""
    row = act.lock(Order, order)
    if row.state not in (Order.ISSUED, Order.DELIVERED, Order.READ):
        return
    if row.reminders == 0:
        row.reminders = 1
        act.save(row)
        stated = act.state(OrderReminded(order=row.pk, reminder=1), about=row)
        work.call_next(act, row.post_id, f"order:{row.pk}", row.region_id, stated)
        wait = max(timedelta(minutes=1), ((row.answer_by or act.now) - row.issued_at) / 2)
        due.at(act, act.now + wait, "orders.silence", subject=f"order:{row.pk}")
        return
    superior = row.post.superior_id
    if superior is None:
        return
    row.escalated_to_id = superior
    act.save(row)
    stated = act.state(OrderEscalated(order=row.pk, to_post=superior), about=row)
    work.open(
        act, post=superior, kind="orders.unanswered", subject=f"order:{row.pk}", region=row.region_id, level="", cause=stated,
        due_at=act.now + timedelta(minutes=ANSWER_MINUTES),
        msgid=gettext_noop("{post} has not answered the order “{text}”"), params={"post": row.post.name, "text": row.text[:80]},
    )


@action("orders.mark_overdue")
def mark_overdue(act: Act, *, order: UUID) -> None:
    """Timer: the deadline has passed."""
    row = act.lock(Order, order)
    if row.state not in Order.OPEN_STATES:
        return
    stated = act.state(OrderOverdue(order=row.pk), about=row)
    work.open(
        act, post=row.post.superior_id or row.post_id, kind="orders.overdue", subject=f"order:{row.pk}", region=row.region_id, cause=stated,
        msgid=gettext_noop("{post}: the order “{text}” is past its deadline"), params={"post": row.post.name, "text": row.text[:80]},
    )


def on_silence(act: Act, subject: str, params: dict) -> None:
    remind(act, order=UUID(subject.partition(":")[2]))


def on_overdue(act: Act, subject: str, params: dict) -> None:
    mark_overdue(act, order=UUID(subject.partition(":")[2]))


def inbox(actor: Actor, realm: Any = None) -> QuerySet[Order]:
    """Orders to the actor's posts, or that came up to them; open ones first, what is due first on top."""
    held = access.posts(actor)
    rows = Order.objects.everything().filter(Q(post_id__in=held) | Q(escalated_to_id__in=held), realm__ended_at=None)
    if realm is not None:
        rows = rows.filter(realm_id=key_of(realm))
    return rows.select_related("post", "region", "realm").defer("region__area_wkb").order_by("due_at", "issued_at")
