"""The change feed of a register: everything since a cursor, in an order that misses nothing.

Rows are stamped by a trigger with their transaction's number and a running one. A reader gets only what transactions wrote that
are older than every transaction still open: a slow one that commits late can therefore not slip in behind a reader who has
already passed. What left the list, or the reader's reach, comes as a tombstone.
"""
from __future__ import annotations

import base64
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Func, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import access
from ..errors import INVALID, Kind
from ..ids import new_id
from ..models import FeedEpoch
from . import queries
from .declare import REGISTERS, Register

START_AGAIN = Kind("kernel.feed_start_again", 410, gettext_lazy("The register was restored from a backup since; read it from the beginning (without `since`)."))
MOST = 1000


def _identity() -> str:
    """Which life of which database this is; a restore, into a new one or a recovered one, gives another."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT system_identifier FROM pg_control_system())::text || ':' || (SELECT timeline_id FROM pg_control_checkpoint()) || ':' || "
            "(SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        return cursor.fetchone()[0]


def epoch() -> UUID:
    """The feed's epoch; after a restore a new one, and every row is stamped anew, for its old stamp is of another database's count."""
    identity = _identity()
    found = FeedEpoch.objects.filter(pk=1, identity=identity).first()
    if found is not None:
        return found.epoch
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('register feed'))")
        found = FeedEpoch.objects.filter(pk=1).first()
        if found is None:
            return FeedEpoch.objects.create(pk=1, identity=identity).epoch
        if found.identity != identity:
            for model in {declared.model for declared in REGISTERS.values()}:
                with connection.cursor() as cursor:
                    cursor.execute(f'UPDATE "{model._meta.db_table}" SET changed_xid = 0')  # the trigger puts the new number
            found.identity, found.epoch = identity, new_id()
            found.save()
        return found.epoch


def _cursor(text: str, now: UUID) -> tuple[int, int]:
    if not text:
        return 0, 0
    try:
        of, xid, seq = base64.urlsafe_b64decode(text.encode() + b"===").decode().split(":")
        place = int(xid), int(seq)
    except ValueError:
        raise INVALID([{"field": "since", "why": _("this is no place in the feed; begin again")}])
    if of != now.hex:
        raise START_AGAIN()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        if place[0] >= cursor.fetchone()[0]:
            raise START_AGAIN()  # from the future: the disk was set back
    return place


class _Settled(Func):
    """The oldest transaction still open, seen by this very statement."""

    template = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    arity = 0


def changes(actor: Any, declared: Register, *, since: str = "", limit: int = 500, realm: Any = None, address: str = "") -> dict[str, Any]:
    """{items, cursor, more}: rows written since the cursor, oldest first, as the actor may see them; `{"id", "gone": true}` for what
    left the list or his reach. Keep the cursor and come back with it. kernel.forbidden, kernel.feed_start_again."""
    access.require(actor, declared.read)
    limit = min(max(1, limit), MOST)
    now = epoch()
    xid, seq = _cursor(since, now)
    visible = queries.scope(actor, declared, realm=realm)
    rows = declared.model.objects.of(realm) if "realm" in declared.columns else declared.model.objects.everything()
    if visible.query.where:
        capability = declared.capability("read")
        reach = queries._reach(actor, capability)
        mine = {*(() if reach is access.ALL else reach), *queries._units(actor, capability)}
        rows = rows.filter(Q(pk__in=visible.order_by().values("pk")) | Q(left__overlap=sorted(mine, key=str)))
    page = rows.filter(changed_xid__gte=xid, changed_xid__lt=_Settled()).filter(Q(changed_xid__gt=xid) | Q(changed_seq__gt=seq))
    places = list(page.order_by("changed_xid", "changed_seq").values_list("pk", F("changed_xid"), F("changed_seq"), "ended_at")[: limit + 1])
    more = len(places) > limit
    places = places[:limit]
    seen = set(visible.filter(pk__in=[place[0] for place in places], ended_at=None).values_list("pk", flat=True))
    lines = {line.id: line for line in queries.lines(actor, declared, queries.fetch(declared, [key for key in (place[0] for place in places) if key in seen]), way="feed", address=address)}
    if places:
        xid, seq = places[-1][1], places[-1][2]
    return {
        "items": [lines[place[0]].as_json() if place[0] in lines else {"id": str(place[0]), "gone": True} for place in places],
        "cursor": base64.urlsafe_b64encode(f"{now.hex}:{xid}:{seq}".encode()).decode().rstrip("="), "more": more,
    }
