"""How well the network reports: expected against received, what comes late or with a wrong clock, weak batteries, who is worked on."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Count, Min
from django.utils.translation import gettext as _

from anlan.kernel import clock
from anlan.kernel.ids import key_of
from anlan.kernel.models import Region, RegionPath
from anlan.kernel.shell import localname

from . import doubt, queries
from .models import Maintenance, Refused, Rollup, Source
from .quantities import LATE, QUANTITIES, TOO_LATE

HOURS = 24


def _percent(share: float) -> str:
    """Rounded down: 100 % is all of it."""
    return f"{int(share * 1000) / 10:g} %"


@dataclass
class Health:
    """One station over the last whole hours. `lacking` says in words what is wrong with it."""

    pk: UUID
    code: str
    name: str
    name_en: str
    region: UUID | None
    source: UUID | None
    expected: int
    received: int = 0
    doubted: int = 0
    flags: int = 0
    last: datetime | None = None
    delay_s: int = 0
    future: int = 0
    battery: float | None = None
    silent: int = 0
    worked_on: str = ""

    @property
    def share(self) -> float:
        return min(self.received / self.expected, 1.0) if self.expected else 1.0

    @property
    def percent(self) -> str:
        return _percent(self.share) if self.expected else "—"

    @property
    def lacking(self) -> list[str]:
        found = []
        if self.worked_on:
            found.append(_("worked on: {reason}").format(reason=self.worked_on))
        if self.last is None:
            found.append(_("never heard"))
        elif self.silent:
            found.append(_("silent"))
        if self.flags & (LATE | TOO_LATE):
            found.append(_("readings come late"))
        if self.future:
            found.append(_("its clock is ahead: {n} readings refused").format(n=self.future))
        if self.doubted:
            found.append(_("readings doubted: {n}").format(n=self.doubted))
        if self.battery is not None and self.battery < doubt.limit("battery_low"):
            found.append(_("battery low: {value} V").format(value=self.battery))
        return found


@dataclass
class Group:
    """Stations of one source or region, or all."""

    key: Any
    name: str
    stations: int = 0
    expected: int = 0
    received: int = 0
    silent: int = 0
    lacking: int = 0

    @property
    def share(self) -> float | None:
        return min(self.received / self.expected, 1.0) if self.expected else None

    @property
    def percent(self) -> str:
        return "—" if self.share is None else _percent(self.share)


@dataclass
class Network:
    all: Group
    sources: list[Group]
    regions: list[Group]
    worst: list[Health]
    start: datetime
    end: datetime
    maintenance: list[Maintenance] = field(default_factory=list)


def stations(actor: Any, realm: Any, pk: UUID | None = None) -> tuple[list[Health], datetime, datetime]:
    """Every station in service the actor may see, over the last whole hours of the realm's clock."""
    now = clock.now(realm)
    end = now.replace(minute=0, second=0, microsecond=0)
    start = end - timedelta(hours=HOURS)
    rows = queries.stations_seen_by(actor).filter(active=True)
    since = start if realm.is_actual else max(start, _fed_since(realm) or end)
    if pk is not None:
        rows = rows.filter(pk=pk)
    found: dict[UUID, Health] = {}
    for key, code, name, name_en, region, source, quantities, interval, created in rows.values_list(
        "pk", "code", "name", "name_en", "region_id", "source_id", "quantities", "interval_s", "created_at"
    ):
        seconds = (end - (max(start, created) if realm.is_actual else since)).total_seconds()
        found[key] = Health(key, code, name, name_en, region, source, max(0, int(seconds // max(interval, 1))) * len(quantities))
    worked: dict[UUID, int] = {}
    if realm.is_actual:
        for each in Maintenance.objects.filter(ends_at__gt=start, begins_at__lt=now, station__in=rows.values("pk")):
            station = found[each.station_id]
            overlap = (min(each.ends_at, end) - max(each.begins_at, start)).total_seconds()
            worked[each.station_id] = worked.get(each.station_id, 0) + max(0, int(overlap))
            if each.begins_at <= now < each.ends_at:
                station.worked_on = each.reason
        for key, seconds in worked.items():
            found[key].expected = int(found[key].expected * max(0, 1 - seconds / (HOURS * 3600)))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.station_id, s.quantity, s.last_time, s.last_received, s.last_value, s.silent, u.received, u.doubted, u.flags FROM sensing_series s LEFT JOIN LATERAL ("
            "SELECT sum(count) AS received, sum(flagged) AS doubted, bit_or(flags) AS flags FROM sensing_rollup WHERE series_id = s.id AND span_s = 3600 "
            "AND start >= %s AND start < %s) AS u ON true WHERE s.realm_id = %s AND s.station_id = ANY(%s)",
            [start, end, key_of(realm), list(found)],
        )
        for key, quantity, last, heard, value, silent, received, doubted, flags in cursor.fetchall():
            station = found[key]
            station.received, station.doubted = station.received + int(received or 0), station.doubted + int(doubted or 0)
            station.flags |= flags or 0
            station.silent = max(station.silent, silent)
            if last is not None and (station.last is None or last > station.last):
                station.last = last
                station.delay_s = int((heard - last).total_seconds()) if heard and realm.is_actual else 0
            if quantity == "battery" and last is not None:
                station.battery = QUANTITIES[quantity].value(value)
    if realm.is_actual:
        by_code = {station.code: station for station in found.values()}
        wrong = Refused.objects.filter(reason="future", at__gte=start, station__in=[*by_code]).values_list("station").annotate(n=Count("pk"))
        for code, count in wrong:
            if code in by_code:
                by_code[code].future = count
    return list(found.values()), start, end


def _fed_since(realm: Any) -> datetime | None:
    """The hour of the first reading of a realm: nothing is expected of an exercise before it began."""
    return Rollup.objects.filter(series__realm=realm, span_s=3600).aggregate(first=Min("start"))["first"]


def _groups(stations_: Iterable[Health], names: dict[Any, str], attribute: str) -> list[Group]:
    groups: dict[Any, Group] = {}
    for station in stations_:
        key = getattr(station, attribute)
        _add(groups.setdefault(key, Group(key, names.get(key, "—"))), station)
    return sorted(groups.values(), key=lambda group: (group.share if group.share is not None else 2, group.name))


def _add(group: Group, station: Health) -> None:
    group.stations += 1
    group.expected += station.expected
    group.received += min(station.received, station.expected)
    group.silent += bool(station.silent)
    group.lacking += bool(station.lacking)


def network(actor: Any, realm: Any, *, worst: int = 30) -> Network:
    """The network the actor sees: by source, by county, the worst stations. Those worked on are no bad ones."""
    found, start, end = stations(actor, realm)
    total = Group(None, "")
    for station in found:
        _add(total, station)
    regions = {station.region for station in found if station.region}
    counties = dict(RegionPath.objects.filter(hierarchy="administrative", descendant_id__in=regions, ancestor__kind="county").values_list("descendant_id", "ancestor_id"))
    for station in found:
        station.region = counties.get(station.region, station.region) if station.region else None
    spoken = {row.pk: localname(row) for row in Region.objects.filter(pk__in={station.region for station in found if station.region}).defer("area_wkb")}
    bad = [station for station in found if not station.worked_on and (station.share < 0.95 or station.lacking)]
    bad.sort(key=lambda station: (station.share, -len(station.lacking), station.code))
    return Network(
        total, _groups(found, {**{row.pk: row.name for row in Source.objects.all()}, None: _("bound to none")}, "source"),
        _groups(found, {**spoken, None: _("in no region")}, "region"), bad[:worst], start, end,
        list(Maintenance.objects.filter(ends_at__gt=clock.now(), station__in=[station.pk for station in found]).select_related("station").order_by("begins_at")[:50]) if realm.is_actual else [],
    )
