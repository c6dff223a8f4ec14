"""Work items (待办): everything that waits for a person, from any room.

When half the time has gone by in silence, the next person on duty for the post (B role, leader in charge) is called by
name; when all of it has, the item goes one post up, where the same begins again.
"""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext

from . import access, due
from .actions import Act, Actor, action
from .facts import DutyCalled, WorkClosed, WorkEscalated, WorkOpened, WorkSeen, WorkUnanswered
from .ids import key_of
from .models import Post, WorkItem

LEAST_CALL = timedelta(minutes=2)  # half of less is over before anybody is reached


def open(
    act: Act, *, post: Any, kind: str, subject: str, msgid: str, params: dict[str, Any] | None = None, region: Any = None,
    due_at: datetime | None = None, level: str = "", on_silence: str = "escalate", cause: UUID | None = None,
) -> WorkItem:
    """Let something wait for a post. `msgid` is an English sentence with {names}, translated when shown.

    Called inside an action. The same kind and subject open once per post; a repeat returns the open one.
    """
    post_id = key_of(post)
    found = WorkItem.plain.filter(realm_id=act.realm.pk, kind=kind, subject=subject, first_post_id=post_id, state=WorkItem.OPEN).first()
    if found is not None:
        return found
    minutes = max(1, round((due_at - act.now).total_seconds() / 60)) if due_at else None
    item = act.create(
        WorkItem, post_id=post_id, first_post_id=post_id, kind=kind, subject=subject, region_id=key_of(region), msgid=msgid, params=params or {},
        level=level, since=act.now, due_at=due_at, on_silence=on_silence, minutes=minutes, cause=cause or act.cause,
    )
    act.state(
        WorkOpened(item=item.pk, kind=kind, about=subject, post=post_id, level=level, due_at=due_at.isoformat() if due_at else ""), about=item,
        cause=cause,
    )
    if due_at and on_silence:
        _arm(act, item)
    return item


def open_many(act: Act, items: list[dict[str, Any]]) -> None:
    """`open` for many subjects of which none is open yet, on a few trips to the database: `post`, `kind`, `subject`, `msgid`, `params`, `region`, `due_at`, `level`, `cause`."""
    rows = [
        WorkItem(
            realm_id=act.realm.pk, post_id=one["post"], first_post_id=one["post"], kind=one["kind"], subject=one["subject"], region_id=one["region"], msgid=one["msgid"], params=one["params"],
            level=one["level"], since=act.now, due_at=one["due_at"], minutes=max(1, round((one["due_at"] - act.now).total_seconds() / 60)), cause=one["cause"],
        )
        for one in items
    ]
    WorkItem.plain.bulk_create(rows)
    act.state_many(
        (WorkOpened(item=row.pk, kind=row.kind, about=row.subject, post=row.post_id, level=row.level, due_at=row.due_at.isoformat()), row, row.cause, None, None) for row in rows
    )
    due.at_many(act, [timer for row in rows for timer in _timers(act, row)])


def _arm(act: Act, item: WorkItem) -> None:
    due.at_many(act, _timers(act, item))


def _timers(act: Act, item: WorkItem) -> list[tuple[datetime, str, str]]:
    """When its silence is noticed, and when, half-way, the next person is called."""
    subject, left = f"work:{item.pk}", item.due_at - act.now
    return [(item.due_at, "work.silence", subject), *([(act.now + left / 2, "work.call", subject)] if left >= LEAST_CALL else [])]


def call_next(act: Act, post: Any, about: str, region: Any = None, cause: UUID | None = None) -> UUID | None:
    """Call by name whoever answers for a post when the first on duty is silent: B, else the leader in charge, else that first one.

    States kernel.DutyCalled, on which the other channels ring. Returns the person; None when nobody answers for the post at all.
    """
    from . import shift

    duties = shift.on_duty(post, act.now, act.realm)
    if not duties:
        return None
    first = duties[0].person.pk
    chosen = next((duty for duty in duties if duty.person.pk != first), duties[0])
    act.state(DutyCalled(post=key_of(post), person=chosen.person.pk, role=chosen.role, about=about), subject=about, region=region, cause=cause)
    return chosen.person.pk


def close(act: Act, *, kind: str | tuple[str, ...], subject: str, outcome: str = "done", post: Any = None) -> int:
    """Close the open items of this kind, or of several, and subject; returns how many. Called inside an action."""
    kinds = (kind,) if isinstance(kind, str) else kind
    items = WorkItem.plain.select_for_update().filter(realm_id=act.realm.pk, kind__in=kinds, subject=subject, state=WorkItem.OPEN)
    if post is not None:
        items = items.filter(post_id=key_of(post))
    count = 0
    for item in items.order_by("id"):
        item.state = WorkItem.OVERTAKEN if outcome == "overtaken" else WorkItem.DONE
        item.outcome, item.closed_at, item.closed_by = outcome, act.now, act.actor.person_id
        item.version += 1
        item.save(update_fields=["state", "outcome", "closed_at", "closed_by", "version"])
        if item.on_silence:  # only then timers wait for it
            due.cancel(act, ("work.silence", "work.call"), f"work:{item.pk}")
        act.state(WorkClosed(item=item.pk, kind=item.kind, about=subject, outcome=outcome), about=item)
        count += 1
    return count


@action("work.seen")
def seen(act: Act, *, item: UUID) -> WorkItem:
    """Acknowledge a red item: the sound stops, the item still waits."""
    row = act.lock(WorkItem, item)
    if row.post_id not in access.posts(act.actor):
        access.require(act, "work.read", region=row.region_id)
    if row.seen_at is None:
        row.seen_at = act.now
        act.save(row)
        act.state(WorkSeen(item=row.pk), about=row)
    return row


@action("work.call")
def call(act: Act, *, item: UUID) -> None:
    """Timer: half the time is gone and nobody has so much as acknowledged it. A post nobody answers for does not keep it for the other half."""
    row = act.lock(WorkItem, item)
    if row.state != WorkItem.OPEN or row.seen_at is not None:
        return
    if call_next(act, row.post_id, row.subject, row.region_id, row.cause) is None and row.post.superior_id is not None:
        silence(act, item=item)


@action("work.silence")
def silence(act: Act, *, item: UUID) -> None:
    """Timer: nobody answered in time. One post up, with the same time again; the last post keeps it."""
    row = act.lock(WorkItem, item)
    if row.state != WorkItem.OPEN:
        return
    again = act.now + timedelta(minutes=row.minutes or 30)
    superior = Post.objects.filter(pk=row.post_id).values_list("superior_id", flat=True).first()
    if superior is None:
        if row.due_at and row.escalations < 1000:
            act.state(WorkUnanswered(item=row.pk, kind=row.kind, about=row.subject, post=row.post_id), about=row)
        return
    before, row.post_id = row.post_id, superior
    row.escalations += 1
    row.due_at, row.seen_at = again, None
    act.save(row)
    act.state(WorkEscalated(item=row.pk, kind=row.kind, about=row.subject, from_post=before, to_post=superior), about=row)
    _arm(act, row)


def on_call(act: Act, subject: str, params: dict) -> None:
    call(act, item=UUID(subject.partition(":")[2]))


def on_silence(act: Act, subject: str, params: dict) -> None:
    silence(act, item=UUID(subject.partition(":")[2]))


def waiting_for(actor: Actor, realm: Any = None) -> QuerySet[WorkItem]:
    """Open items of the actor's posts, what runs out first on top; in every realm if none is named."""
    items = WorkItem.objects.everything().filter(Q(post_id__in=access.posts(actor)), state=WorkItem.OPEN, realm__ended_at=None)
    if realm is not None:
        items = items.filter(realm_id=key_of(realm))
    return items.select_related("post", "realm", "region").defer("region__area_wkb").order_by(F("due_at").asc(nulls_last=True), "since")


def text(item: WorkItem) -> str:
    """The item's sentence in the reader's language."""
    try:
        return gettext(item.msgid).format(**item.params)
    except (KeyError, IndexError, ValueError):
        return gettext(item.msgid)
