"""The access log: every read of personal fields, and every export, in a table apart, partitioned by month."""
from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connection

from . import clock
from .ids import new_id
from .models import AccessLog

MONTHS_AHEAD = 18


def _month(at: datetime, plus: int = 0) -> datetime:
    index = at.year * 12 + at.month - 1 + plus
    return datetime(index // 12, index % 12 + 1, 1, tzinfo=UTC)


def make_partitions(months: int = MONTHS_AHEAD) -> list[str]:
    """Make the partitions of this month and the coming ones that are not there yet; returns the names made.

    Runs after every migration, as the owner. A month whose rows already lie in the rest partition keeps them there:
    moving them would lock the log while people read.
    """
    made = []
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('kernel_accesslog')")
        if cursor.fetchone()[0] is None:
            return made
        for ahead in range(months + 1):
            first, after = _month(now, ahead), _month(now, ahead + 1)
            name = f"kernel_accesslog_{first:%Y_%m}"
            cursor.execute("SELECT to_regclass(%s), EXISTS (SELECT 1 FROM kernel_accesslog_rest WHERE at >= %s AND at < %s)", [name, first, after])
            there, in_rest = cursor.fetchone()
            if there is None and not in_rest:
                cursor.execute(f"CREATE TABLE {name} PARTITION OF kernel_accesslog FOR VALUES FROM ('{first:%Y-%m-%d}') TO ('{after:%Y-%m-%d}')")
                made.append(name)
    return made


def note(actor: Any, kind: str, subject: str, *, fields: list[str] | None = None, count: int = 1, purpose: str = "", address: str = "") -> None:
    """Write one line: `kind` is read, list, export, print or file; `fields` names the personal fields shown; `count` persons."""
    AccessLog.objects.create(
        id=new_id(), at=clock.now(), account=actor.account_id, person=actor.person_id, post=actor.post_id,
        address=address or getattr(actor, "device", "")[:45], kind=kind, subject=subject, fields=fields or [], count=count, purpose=purpose[:120],
    )
