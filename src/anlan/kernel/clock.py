"""The only source of time. Aware UTC inside, local at the edge (design §3.7).

A realm has its own clock: `actual` runs on wall time, an exercise on wall time from its start or faster, a replay
stands still until it is advanced. Sessions, certificates, retries and locks use wall time: `now()` without a realm.
"""
from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from .models import Realm


def now(realm: Realm | None = None) -> datetime:
    """Aware UTC. With a realm, that realm's time; wall time otherwise."""
    return realm.time() if realm is not None else datetime.now(UTC)


def local(at: datetime) -> datetime:
    """The same instant in the installation's time zone."""
    from django.conf import settings

    return at.astimezone(ZoneInfo(settings.TIME_ZONE_LOCAL))
