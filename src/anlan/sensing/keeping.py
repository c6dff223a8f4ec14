"""How long readings are kept: once a day, those that came in longer ago than ANLAN_READINGS_DAYS are erased, batch by batch."""
from __future__ import annotations

import hashlib
from datetime import timedelta

from django.conf import settings
from django.db import connection

from anlan.kernel.actions import Act, Actor, action

from .facts import ReadingsErased

BATCH = 50_000
LEAST_DAYS = 31  # windows, curves and reviews of the running month need them


def forget_readings(act: Act) -> None:
    """Daily chore. 0 (the default) keeps everything. A fact for each batch; what one day leaves, the next takes."""
    if settings.READINGS_DAYS <= 0:
        return
    before = act.now - timedelta(days=max(LEAST_DAYS, settings.READINGS_DAYS))
    for number in range(40):  # two million a day at most, in the chore's one transaction: 2,000 gauges send 576,000
        if erase(Act(Actor.machine("sensing"), act.realm, cause=act.cause), before=before.isoformat(), number=number) < BATCH:
            return


@action("sensing.erase_readings")
def erase(act: Act, *, before: str, number: int) -> int:
    """Erase up to BATCH readings received before an instant, oldest first; returns how many. States their count and digest."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM sensing_reading r USING (SELECT series_id, time FROM sensing_reading WHERE received_at < %s ORDER BY received_at LIMIT %s FOR UPDATE SKIP LOCKED) old "
            "WHERE r.series_id = old.series_id AND r.time = old.time RETURNING r.series_id, r.time, r.value, r.flags, r.received_at",
            [before, BATCH],
        )
        rows = sorted(cursor.fetchall(), key=lambda row: (row[0], row[1]))
    if not rows:
        return 0
    digest = hashlib.sha256()
    for series, time, value, flags, _received in rows:
        digest.update(f"{series} {time.timestamp():.0f} {value} {flags}\n".encode())
    act.state(
        ReadingsErased(
            count=len(rows), first=min(row[1] for row in rows), last=max(row[1] for row in rows), received_before=max(row[4] for row in rows),
            digest=f"sha256:{digest.hexdigest()}",
        ),
        subject=f"realm:{act.realm.pk}",
    )
    return len(rows)
