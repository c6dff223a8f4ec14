"""The room's HTTP API under /api/v1/sensing/."""
from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router

from anlan.kernel import access, clock
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.middleware import address

from . import coverage, door, queries, sta_door
from .errors import BAD_FILTER
from .models import CODE, Signal, Station
from .quantities import COLOURS, QUANTITIES, flag_names

router = Router(tags=["sensing"])
PAGE = 500


@router.post("/readings", auth=None, response={202: dict}, summary="Send readings")
def send(request: HttpRequest) -> Any:
    """Readings of a source: [{"s": station, "q": quantity, "t": ISO time with zone, "v": number, "u": unit}], a JSON list or
    lines of JSON, at most 5,000; or the same list as application/cbor, or an Arrow stream (application/vnd.apache.arrow.stream) with
    the columns s, q, t, v, u. `Authorization: Basic` with the source's name and password (or `Bearer name:password`).

    202 means: on the broker's disk. Readings that cannot be taken are named in `refused`; the others are taken.
    Nothing at all is taken on any other status. Give an `Idempotency-Key` and repeat safely.
    """
    source = door.credential(request.headers.get("Authorization", ""), address(request))
    return 202, door.take(source, request.body, request.headers.get("Idempotency-Key", "")[:100], request.headers.get("Content-Type", ""))


@router.get("/sta/v1.1", auth=None, include_in_schema=False)
@router.get("/sta/v1.1/", auth=None, include_in_schema=False)
def sensor_things_root(request: HttpRequest) -> Any:
    """What there is of OGC SensorThings 1.1 (see sta.py)."""
    return sta_door.answer(request, "")


@router.api_operation(["GET", "POST", "PUT", "PATCH", "DELETE"], "/sta/v1.1/{path:rest}", auth=None, include_in_schema=False)
def sensor_things(request: HttpRequest, rest: str) -> Any:
    """OGC SensorThings 1.1 (see sta.py): a query language of its own, so not in the OpenAPI document."""
    return sta_door.answer(request, rest)


def _station(request: HttpRequest, key: str) -> Station:
    rows = queries.stations_seen_by(request.actor)  # type: ignore[attr-defined]
    try:
        found = rows.filter(pk=UUID(key)).first()
    except ValueError:
        found = rows.filter(code=key[:40]).first() if CODE.fullmatch(key) else None
    if found is None:
        raise NOT_FOUND(kind="station", key=key[:40])
    return found


def _shown(station: Station, colour: str) -> dict[str, Any]:
    return {
        "id": station.pk, "code": station.code, "name": station.name, "name_en": station.name_en, "kind": station.kind, "quantities": station.quantities,
        "region": station.region_id, "river": station.river, "lon": station.lon, "lat": station.lat, "interval_s": station.interval_s,
        "silent_after_s": station.silent_after_s, "thresholds": station.thresholds, "active": station.active, "colour": colour, "origin": station.origin,
    }


@router.get("/stations", summary="The register of stations")
def stations(
    request: HttpRequest, text: str = "", kind: str = "", region: UUID | None = None, colour: str = "", state: str = "", offset: int = 0, limit: int = PAGE
) -> Any:
    """Stations of the caller's regions, with their worst colour in the present realm."""
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    rows = queries.stations(request.actor, request.realm, text=text, kind=kind, region=region, colour=colour, state=state)  # type: ignore[attr-defined]
    offset, limit = min(max(offset, 0), 10**9), min(max(limit, 1), PAGE)
    page = list(rows[offset : offset + limit])
    colours = queries.worst(request.realm, [row.pk for row in page])  # type: ignore[attr-defined]
    return {"count": rows.count(), "items": [_shown(row, colours.get(row.pk, "none")) for row in page]}


@router.get("/stations/{key}", summary="A station, by key or code")
def station(request: HttpRequest, key: str) -> Any:
    """Register entry, newest reading of each quantity, and what the rules say now."""
    row = _station(request, key)
    realm = request.realm  # type: ignore[attr-defined]
    return {
        **_shown(row, queries.worst(realm, [row.pk]).get(row.pk, "none")), "latest": queries.latest(realm, stations=[row]),
        "signals": [
            {
                "rule": signal.rule, "rule_version": signal.rule_version, "quantity": signal.quantity, "colour": COLOURS[signal.colour], "since": signal.since,
                "value": signal.value, "unit": signal.unit, "threshold": signal.threshold, "window_s": signal.window_s, "flags": signal.flags,
            }
            for signal in queries.signals_of(realm, row)
        ],
    }


@router.get("/stations/{key}/readings", summary="History of a station")
def history(request: HttpRequest, key: str, quantity: str, start: datetime, end: datetime | None = None) -> Any:
    """Readings in (start, end], at most 20,000, oldest first."""
    row = _station(request, key)
    if quantity not in QUANTITIES:
        raise NOT_FOUND(kind=_("quantity"), key=quantity[:20])
    for at in (start, end):
        if at is not None and (at.tzinfo is None or not 1970 < at.year < 2500):
            raise BAD_FILTER(why=_("start and end are ISO times with a zone"))
    realm = request.realm  # type: ignore[attr-defined]
    points = queries.series_points(realm, row, quantity, start, end or clock.now(realm))
    return {"unit": QUANTITIES[quantity].unit, "items": [{"t": at, "v": value, "flags": flag_names(flags)} for at, value, flags in points]}


@router.get("/signals", summary="Raised signals")
def signals(request: HttpRequest) -> Any:
    """What the rules say now, worst first; only the caller's regions."""
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    rows = Signal.objects.seen_by(request.actor, request.realm).exclude(colour=0).select_related("station").order_by("-colour", "-since")[:2000]  # type: ignore[attr-defined]
    return [
        {
            "station": row.station_id, "code": row.station.code, "name": row.station.name, "region": row.region_id, "rule": row.rule,
            "rule_version": row.rule_version, "colour": COLOURS[row.colour], "since": row.since, "value": row.value, "unit": row.unit, "fact": row.fact,
        }
        for row in rows
    ]


@router.get("/map", summary="Stations as GeoJSON")
def geojson(request: HttpRequest) -> Any:
    """Stations with coordinates, their worst colour and newest values."""
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    return queries.geojson(request.actor, request.realm)  # type: ignore[attr-defined]


@router.get("/coverage", summary="Coverage of high-risk objects by data monitoring (Q23)")
def coverage_(request: HttpRequest) -> Any:
    """Objects connected of all on the register, in all and by industry, and those that are not connected with the reason. Only the caller's regions."""
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    found = coverage.coverage(request.actor, request.realm)  # type: ignore[attr-defined]
    return {
        "objects": found.all.objects, "connected": found.all.connected, "industries": [{"industry": each.name, "objects": each.objects, "connected": each.connected} for each in found.industries],
        "lacking": [{"id": each.pk, "code": each.code, "name": each.name, "industry": each.industry, "region": each.region, "why": each.why, "heard": each.heard} for each in found.lacking[:5000]],
    }


@router.get("/rain", summary="Rain by town")
def rain(request: HttpRequest, day: date, kind: str = "08-08", region: UUID | None = None) -> Any:
    """Rain of a rain day (the date on which it ends) by town, most first. Only the caller's regions."""
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    if kind not in queries.RAIN_DAYS:
        raise BAD_FILTER(why=_("the rain day is 08-08 or 20-20"))
    if not 1970 < day.year < 2500:
        raise BAD_FILTER(why=_("the day is written 2026-07-20"))
    reach = queries.reach(request.actor)  # type: ignore[attr-defined]
    return [row for row in queries.rain_by_town(request.realm, day, kind=kind, region=region) if row["region"] in reach]  # type: ignore[attr-defined]
