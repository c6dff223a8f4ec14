"""Coverage of high-risk objects by data monitoring (Q23): objects connected, of all on the register, by industry and region; and those that are not, with the reason.

An object is connected when a station in service that serves it is heard: not silent by its own entry, and heard at all within a day. The plan
(001 §四(一)) asks for full coverage and gives no formula; this is R30's, and the page says it.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, Max, Min, OuterRef, QuerySet
from django.utils.translation import gettext as _

from anlan.kernel import clock, codes
from anlan.kernel.shell import localname

from .models import RiskObject, Series, Station

HEARD = timedelta(hours=24)


@dataclass
class Share:
    """So many of so many."""

    name: str
    objects: int = 0
    connected: int = 0

    @property
    def percent(self) -> str:
        return "—" if not self.objects else f"{int(1000 * self.connected / self.objects) / 10:g} %"


@dataclass(frozen=True)
class Lacking:
    """An object that is not connected, and why."""

    pk: UUID
    code: str
    name: str
    industry: str
    region: str
    why: str
    heard: datetime | None


@dataclass
class Coverage:
    all: Share
    industries: list[Share]
    regions: list[Share]
    lacking: list[Lacking]


def objects_seen_by(actor: Any) -> QuerySet[RiskObject]:
    return RiskObject.objects.seen_by(actor).filter(ended_at=None).select_related("region").defer("region__area_wkb")


def coverage(actor: Any, realm: Any) -> Coverage:
    """Over the objects the actor may see, on the realm's clock."""
    since = clock.now(realm) - HEARD
    stations = Station.objects.filter(serves=OuterRef("pk"), active=True, ended_at=None)
    series = Series.objects.filter(realm_id=realm.pk, station__serves=OuterRef("pk"), station__active=True, station__ended_at=None)
    rows = objects_seen_by(actor).annotate(
        served=Exists(stations), connected=Exists(series.filter(silent=0, last_time__gte=since)),
        heard=series.order_by().values("station__serves").annotate(at=Max("last_time")).values("at")[:1], quiet=series.order_by().values("station__serves").annotate(n=Min("silent")).values("n")[:1],
    )
    total, industries, regions, lacking = Share(""), {}, {}, []
    for row in rows.order_by("code"):
        name, place = codes.name("risk_industry", row.industry), localname(row.region) if row.region else _("in no region")
        for share in (total, industries.setdefault(name, Share(name)), regions.setdefault(place, Share(place))):
            share.objects += 1
            share.connected += bool(row.connected)
        if not row.connected:
            why = _("no station in service serves it") if not row.served else _("never heard") if row.heard is None else _("silent") if row.quiet else _("not heard for a day")
            lacking.append(Lacking(row.pk, row.code, row.name, name, place, why, row.heard))
    order = lambda share: (share.connected / share.objects, share.name)  # noqa: E731
    return Coverage(total, sorted(industries.values(), key=order), sorted(regions.values(), key=order), lacking)
