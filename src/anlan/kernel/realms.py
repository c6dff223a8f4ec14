"""Realms: actual operations and exercises, each with its clock. Nothing of an exercise reaches a public channel."""
from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from . import access
from .actions import Act, action
from .errors import REASON_NEEDED, WRONG_REALM
from .facts import BalancesCopied, RealmEnded, RealmStarted
from .models import ACTUAL_ID, Due, Realm

# What an exercise starts from: balances and states of actual operations (design §3.3). what → copy(act in the exercise, actual realm) -> rows
COPIES: dict[str, Callable[[Act, Realm], int]] = {}


def copies(what: str, copy: Callable[[Act, Realm], int]) -> None:
    """Have `copy(act, source)` carry a room's balances or states from actual operations into each exercise that starts."""
    COPIES[what] = copy


def actual() -> Realm:
    """The realm of real operations; made on first use."""
    realm, _ = Realm.objects.get_or_create(pk=ACTUAL_ID, defaults={"kind": Realm.ACTUAL, "name": "实战", "name_en": "Actual operations"})
    return realm


@action("realms.start")
def start(
    act: Act, *, kind: str, name: str, name_en: str = "", clock: str = "wall", now_at: datetime | None = None, rate: float = 1.0
) -> Realm:
    """Begin an exercise or a replay. Needs realms.start; stated in the actual journal and in its own.

    An exercise starts from the balances and states of actual operations as they are now; a replay from none.
    """
    access.require(act, "realms.start")
    if kind not in (Realm.EXERCISE, Realm.REPLAY) or not act.realm.is_actual:
        raise WRONG_REALM()
    realm = Realm(kind=kind, name=name, name_en=name_en, clock=clock, now_at=now_at, clock_set_at=act.now, rate=rate)
    realm.save(force_insert=True)
    stated = act.state(RealmStarted(realm=realm.pk, kind=kind, name=name), subject=f"realm:{realm.pk}")
    inner = act.child(cause=stated)
    inner.realm, inner._now = realm, None
    inner.state(RealmStarted(realm=realm.pk, kind=kind, name=name), subject=f"realm:{realm.pk}")
    if kind == Realm.EXERCISE:
        for what, copy in COPIES.items():
            inner.state(BalancesCopied(what=what, count=copy(inner, act.realm)), subject=f"realm:{realm.pk}")
    return realm


@action("realms.stop")
def stop(act: Act, *, realm: Any, reason: str) -> Realm:
    """Stop a drill in one step. Anyone on duty may (realms.stop); done from the actual realm."""
    access.require(act, "realms.stop")
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row = Realm.objects.select_for_update().get(pk=realm)
    if row.is_actual:
        raise WRONG_REALM()
    if row.is_over:
        return row
    row.ended_at, row.ended_by = act.now, act.actor.person_id
    row.save(update_fields=["ended_at", "ended_by"])
    Due.objects.filter(realm=row).delete()
    act.state(RealmEnded(realm=row.pk, name=row.name, reason=reason), subject=f"realm:{row.pk}")
    return row


def running() -> list[Realm]:
    """Exercises and replays that are not over, newest first."""
    return list(Realm.objects.exclude(kind=Realm.ACTUAL).filter(ended_at=None).order_by("-started_at"))


def _set(realm: Realm, to: datetime) -> None:
    with transaction.atomic():
        Realm.objects.filter(pk=realm.pk, clock="manual").update(now_at=to)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify('advance', %s)", [str(realm.pk)])
    realm.now_at = to


def advance(realm: Realm, to: datetime, wait: Callable[[Realm], None]) -> None:
    """Move a manual clock to an instant, stopping at every timer that falls due on the way.

    `wait(realm)` must return only when the realm is quiet (`flowing.quiet`): a replay never runs ahead of its own queues.
    """
    wait(realm)
    while True:
        due = Due.objects.filter(realm=realm, due_at__lte=to).order_by("due_at").values_list("due_at", flat=True).first()
        if due is None:
            break
        _set(realm, max(due, realm.now_at))
        wait(realm)
    if to > realm.now_at:
        _set(realm, to)
    wait(realm)


def wait_until(condition: Callable[[], bool], timeout: float = 60.0, step: float = 0.005) -> None:
    """Poll with a growing pause; TimeoutError says the queues did not drain."""
    end, pause = time.monotonic() + timeout, step
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the realm's queues did not drain in time")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)
