"""The room's reads. What pages and the API call takes an actor; what rooms above call in reactions takes a realm only."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import get_language

from anlan.kernel import access, clock
from anlan.kernel.ids import key_of
from anlan.kernel.models import RegionPath

from . import broker, history, ingest, rules
from .models import PARTITIONS, BatchStat, Series, Signal, Source, Station
from .quantities import COLOURS, PROBE, QUANTITIES, flag_names

CAPABILITY = "sensing.read"


def reach(actor: Any) -> Any:
    """Regions whose stations the actor may see: ALL or a set."""
    return access.regions(actor, CAPABILITY)


def stations_seen_by(actor: Any) -> QuerySet[Station]:
    """The register, limited to the actor's regions. Stations in no region are seen by whoever may see any."""
    rows = Station.plain.filter(ended_at=None).select_related("region", "source").defer("region__area_wkb")
    places = reach(actor)
    if places is access.ALL:
        return rows
    if not places:
        return rows.none()
    return rows.filter(Q(region_id__in=places) | Q(region=None))


def inside(region: Any, hierarchy: str = "administrative") -> Any:
    """Keys of a region and everything below it."""
    return RegionPath.objects.filter(ancestor_id=key_of(region), hierarchy=hierarchy).values("descendant_id")


def stations(actor: Any, realm: Any, *, text: str = "", kind: str = "", region: Any = None, colour: str = "", state: str = "") -> QuerySet[Station]:
    """The register with filters. state: silent, reporting, never, off; colour: raised now in this realm (any = any)."""
    rows = stations_seen_by(actor)
    text, kind = text.replace("\x00", "")[:60], kind.replace("\x00", "")[:12]
    if text:
        rows = rows.filter(Q(code__icontains=text) | Q(name__icontains=text) | Q(name_en__icontains=text) | Q(river__icontains=text))
    if kind:
        rows = rows.filter(kind=kind)
    if region:
        rows = rows.filter(region_id__in=inside(region))
    raised = Signal.objects.of(realm).filter(colour__gt=0)
    if colour == "any":
        rows = rows.filter(pk__in=raised.values("station_id"))
    elif colour == "unknown":
        rows = rows.filter(pk__in=Signal.objects.of(realm).filter(colour=-1).values("station_id"))
    elif colour in COLOURS.values():
        rows = rows.filter(pk__in=raised.filter(colour={name: number for number, name in COLOURS.items()}[colour]).values("station_id"))
    series = Series.objects.filter(realm_id=key_of(realm))
    if state == "silent":
        rows = rows.filter(active=True, pk__in=series.filter(silent__gt=0).values("station_id"))
    elif state == "reporting":
        rows = rows.filter(active=True, pk__in=series.filter(silent=0, last_time__isnull=False).values("station_id"))
    elif state == "never":
        rows = rows.filter(active=True).exclude(pk__in=series.filter(last_time__isnull=False).values("station_id"))
    elif state == "off":
        rows = rows.filter(active=False)
    return rows.order_by("code")


def worst(realm: Any, station_ids: Iterable[UUID]) -> dict[UUID, str]:
    """The worst colour of each station now; "unknown" only when nothing worse is known. Stations without a signal are absent."""
    found: dict[UUID, int] = {}
    for station, colour in Signal.objects.of(realm).filter(station_id__in=list(station_ids)).exclude(colour=0).values_list("station_id", "colour"):
        found[station] = max(found.get(station, -1), colour)
    return {station: COLOURS[colour] for station, colour in found.items()}


def latest(realm: Any, *, stations: Iterable[Any] | None = None, quantity: str = "", codes: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Newest reading of each series of a realm: station, code, region, quantity, value, unit, time, flags, silent (0, 1, 2); of those
    that are believed. `doubted`: a newer one that is not, or None.

    A system read, for reactions of the rooms above; pages use `station_state`.
    """
    rows = Series.objects.filter(realm_id=key_of(realm), last_time__isnull=False).select_related("station")
    if stations is not None:
        rows = rows.filter(station_id__in=[key_of(station) for station in stations])
    if codes is not None:
        rows = rows.filter(station__code__in=list(codes))
    if quantity:
        rows = rows.filter(quantity=quantity)
    return [
        {
            "station": row.station_id, "code": row.station.code, "name": row.station.name, "region": row.station.region_id, "quantity": row.quantity,
            "value": QUANTITIES[row.quantity].value(row.last_value), "unit": QUANTITIES[row.quantity].unit, "time": row.last_time,
            "flags": flag_names(row.last_flags), "silent": row.silent,
            "doubted": {"value": QUANTITIES[row.quantity].value(row.doubt_value), "time": row.doubt_time, "flags": flag_names(row.doubt_flags)}
            if row.doubt_time is not None and row.doubt_time > row.last_time else None,
        }
        for row in rows.order_by("station__code", "quantity")
    ]


def value_at(realm: Any, station: Any, quantity: str, at: datetime | None = None) -> dict[str, Any] | None:
    """The newest reading of one series up to an instant: value, unit, time, flags; None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.time, r.value, r.flags FROM sensing_reading r JOIN sensing_series s ON s.id = r.series_id "
            "WHERE s.realm_id = %s AND s.station_id = %s AND s.quantity = %s AND r.time <= coalesce(%s, 'infinity'::timestamptz) ORDER BY r.time DESC LIMIT 1",
            [key_of(realm), key_of(station), quantity, at],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    kind = QUANTITIES[quantity]
    return {"time": row[0], "value": kind.value(row[1]), "unit": kind.unit, "flags": flag_names(row[2])}


def window_sum(
    realm: Any, quantity: str, hours: float, *, at: datetime | None = None, stations: Iterable[Any] | None = None, region: Any = None
) -> dict[UUID, dict[str, Any]]:
    """Sum over (at - hours, at] of each station: {"sum", "count", "first", "last", "unit"}; at = the realm's time if not given.

    Hours without a report are simply missing from the sum: `count` and `last` say how much is known. Only what is an
    amount (rain) can be added up.
    """
    kind = QUANTITIES[quantity]
    if not kind.is_amount:
        raise ValueError(f"{quantity} is no amount")
    end = at or clock.now(realm)
    where, values = "", []
    if stations is not None:
        where, values = " AND s.station_id = ANY(%s)", [[key_of(station) for station in stations]]
    if region is not None:
        where += " AND t.region_id IN (SELECT descendant_id FROM kernel_regionpath WHERE ancestor_id = %s AND hierarchy = 'administrative')"
        values.append(key_of(region))
    with connection.cursor() as cursor:
        table, times = history.summed(end - timedelta(hours=hours), end)
        cursor.execute(
            "SELECT s.station_id, w.sum, w.count, w.first, w.last FROM sensing_series s "
            f"JOIN sensing_station t ON t.id = s.station_id CROSS JOIN LATERAL {table} AS w WHERE s.realm_id = %s AND s.quantity = %s{where} AND w.count > 0",
            [*times, key_of(realm), quantity, *values],
        )
        return {
            station: {"sum": kind.value(total), "count": count, "first": first, "last": last, "unit": kind.unit}
            for station, total, count, first, last in cursor.fetchall()
        }


def change_over(realm: Any, station: Any, quantity: str, hours: float, at: datetime | None = None) -> dict[str, Any] | None:
    """Newest value minus the lowest within the hours before it: {"rise", "value", "time", "unit"}; None when nothing is known."""
    now = value_at(realm, station, quantity, at)
    if now is None:
        return None
    kind = QUANTITIES[quantity]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(r.value) FROM sensing_reading r JOIN sensing_series s ON s.id = r.series_id WHERE s.realm_id = %s AND s.station_id = %s "
            "AND s.quantity = %s AND r.time >= %s AND r.time <= %s",
            [key_of(realm), key_of(station), quantity, now["time"] - timedelta(hours=hours), now["time"]],
        )
        (low,) = cursor.fetchone() or (0,)
    return {"rise": round(now["value"] - kind.value(low), 6), "value": now["value"], "time": now["time"], "unit": kind.unit}


# --- rain by town (08–08) --------------------------------------------------------------------------------------------

# The rain day is data (design §3.7): the hour, in Beijing time, at which it begins.
RAIN_DAYS = {"08-08": 8, "20-20": 20}


def rain_day(day: date, kind: str = "08-08") -> tuple[datetime, datetime]:
    """The rain day named by the date on which it ends: (start, end], aware UTC. 20 July = 19 July 08:00 to 20 July 08:00."""
    zone = ZoneInfo(settings.TIME_ZONE_LOCAL)
    end = datetime.combine(day, time(RAIN_DAYS[kind]), zone)
    return (end - timedelta(days=1)).astimezone(UTC), end.astimezone(UTC)


def rain_by_town(realm: Any, day: date, *, kind: str = "08-08", region: Any = None, until: datetime | None = None) -> list[dict[str, Any]]:
    """Rain of a rain day by town, most first: rank, region, name, county, mean, highest, highest station, stations, reported.

    `until` cuts the day short (the table of a day still running). Mean over the stations that reported at all; a town
    none of whose gauges reported has mean and highest None and comes last: unknown is not zero.
    """
    start, end = rain_day(day, kind)
    if until is not None:
        end = min(end, max(until, start))
    where, values = "", []
    if region is not None:
        where = "AND t.region_id IN (SELECT descendant_id FROM kernel_regionpath WHERE ancestor_id = %s AND hierarchy = 'administrative')"
        values = [key_of(region)]
    table, times = history.summed(start, end)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH gauge AS (
              SELECT t.id, t.code, t.name, t.name_en, t.region_id, w.sum AS total
              FROM sensing_station t LEFT JOIN sensing_series s ON s.realm_id = %s AND s.station_id = t.id AND s.quantity = 'rain'
              LEFT JOIN LATERAL {table} AS w ON true WHERE t.active AND t.region_id IS NOT NULL AND t.quantities ? 'rain' {where}
            )
            SELECT g.region_id, p.name, p.name_en, p.kind, up.name, up.name_en, count(*), count(g.total), avg(g.total), max(g.total),
                   (array_agg(g.name ORDER BY g.total DESC NULLS LAST, g.code))[1], (array_agg(g.name_en ORDER BY g.total DESC NULLS LAST, g.code))[1],
                   (array_agg(g.id ORDER BY g.total DESC NULLS LAST, g.code))[1]
            FROM gauge g JOIN kernel_region p ON p.id = g.region_id
            LEFT JOIN LATERAL (
              SELECT a.name, a.name_en FROM kernel_regionpath x JOIN kernel_region a ON a.id = x.ancestor_id
              WHERE x.descendant_id = g.region_id AND x.hierarchy = 'administrative' AND x.depth > 0 AND a.kind = 'county' ORDER BY x.depth LIMIT 1
            ) up ON true
            GROUP BY g.region_id, p.name, p.name_en, p.kind, up.name, up.name_en
            ORDER BY max(g.total) DESC NULLS LAST, avg(g.total) DESC NULLS LAST, p.name
            """,
            [key_of(realm), *times, *values],
        )
        rows = cursor.fetchall()
    kind_ = QUANTITIES["rain"]
    return [
        {
            "rank": number, "region": key, "name": name, "name_en": name_en, "kind": what, "county": county or "", "county_en": county_en or "", "stations": count, "reported": reported,
            "mean": None if mean is None else round(kind_.value(round(mean)), 1), "highest": None if most is None else round(kind_.value(most), 1),
            "highest_station": place if most is not None else "", "highest_station_en": (place_en or "") if most is not None else "", "highest_station_id": place_id if most is not None else None,
            "start": start, "end": end, "unit": kind_.unit,
        }
        for number, (key, name, name_en, what, county, county_en, count, reported, mean, most, place, place_en, place_id) in enumerate(rows, 1)
    ]


# --- one station -----------------------------------------------------------------------------------------------------


def series_points(realm: Any, station: Station, quantity: str, start: datetime, end: datetime, limit: int = 20_000) -> list[tuple[datetime, float, int]]:
    """(time, value, flags) in (start, end], oldest first."""
    kind = QUANTITIES[quantity]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.time, r.value, r.flags FROM sensing_reading r JOIN sensing_series s ON s.id = r.series_id "
            "WHERE s.realm_id = %s AND s.station_id = %s AND s.quantity = %s AND r.time > %s AND r.time <= %s ORDER BY r.time LIMIT %s",
            [key_of(realm), station.pk, quantity, start, end, limit],
        )
        return [(at, kind.value(value), flags) for at, value, flags in cursor.fetchall()]


def long_curve(realm: Any, station: Station, quantity: str, start: datetime, end: datetime, most: int = 1500) -> tuple[int, list[tuple[datetime, int, float, float, float, int]]]:
    """(span in seconds, [(end of the span, count, sum, lowest, highest, flags)]) in the quantity's unit, out of the roll-ups."""
    key = Series.objects.filter(realm_id=key_of(realm), station=station, quantity=quantity).values_list("pk", flat=True).first()
    if key is None:
        return 0, []
    value = QUANTITIES[quantity].value
    span, found = history.coarse(key, start, end, most)
    return span, [(at, count, value(total), value(low), value(high), flags) for at, total, count, low, high, flags in found]


FEED = 60  # lines of the feed: what a browser redraws stays the same however much comes in


def feed(actor: Any, realm: Any, *, quantity: str = "") -> list[dict[str, Any]]:
    """The series that were heard last, newest first, one line each: so a thousand readings a second are still FEED lines."""
    rows = Series.objects.filter(realm_id=key_of(realm), last_received__isnull=False, station__in=stations_seen_by(actor).values("pk")).select_related("station")
    if quantity:
        rows = rows.filter(quantity=quantity)
    found = []
    for row in rows.order_by("-last_received", "-last_time")[:FEED]:
        kind = QUANTITIES[row.quantity]
        doubted = row.doubt_time is not None and (row.last_time is None or row.doubt_time > row.last_time)
        found.append({
            "station": row.station, "quantity": kind.name, "unit": kind.unit, "decimals": kind.decimals, "value": kind.value(row.doubt_value if doubted else row.last_value),
            "time": row.doubt_time if doubted else row.last_time, "received": row.last_received, "flags": flag_names(row.doubt_flags if doubted else row.last_flags), "doubted": doubted,
        })
    return [each for each in found if each["time"] is not None]


def pace(minutes: int = 1) -> dict[str, float]:
    """Readings taken and refused in the last minutes, a second. Of the whole installation."""
    from django.db.models import Sum

    got = BatchStat.objects.filter(at__gte=clock.now() - timedelta(minutes=minutes)).aggregate(taken=Sum("accepted"), refused=Sum("refused"))
    return {name: (count or 0) / (60 * minutes) for name, count in got.items()}


def signals_of(realm: Any, station: Station) -> QuerySet[Signal]:
    return Signal.objects.of(realm).filter(station=station).order_by("-colour", "rule")


def thresholds_of(station: Station, quantity: str) -> list[dict[str, Any]]:
    """The lines to draw: colour, value, source; of the rules in force whose threshold is a value of the quantity itself."""
    lines = []
    for ruleset in rules.in_force():
        for spec in rules.specs(ruleset):
            if spec.quantity != quantity or spec.kind != "level":
                continue
            given = station.thresholds.get(quantity) or {}
            for place, name in enumerate(rules.COLOUR_NAMES):
                value = given.get(name) if spec.thresholds is None else spec.thresholds[place]
                if value is not None:
                    lines.append({"colour": name, "value": value, "rule": spec.code, "version": spec.version, "source": given.get("source", "") if spec.thresholds is None else rules.source_words(ruleset, (get_language() or "").startswith("zh"))})
    return lines


# --- state of the whole ----------------------------------------------------------------------------------------------


def summary(actor: Any, realm: Any) -> dict[str, Any]:
    """Counts for the head of a page: stations, reporting, silent, silent while rising, by colour; and how fresh."""
    keys = stations_seen_by(actor).filter(active=True)
    series = Series.objects.filter(realm_id=key_of(realm), station__in=keys.values("pk"))
    counts = dict.fromkeys(COLOURS.values(), 0)
    seen: dict[UUID, int] = {}
    for station, colour in Signal.objects.seen_by(actor, realm).exclude(colour=0).values_list("station_id", "colour"):
        seen[station] = max(seen.get(station, -1), colour)
    for colour in seen.values():
        counts[COLOURS[colour]] += 1
    newest = series.order_by("-last_time").exclude(last_time=None).values_list("last_time", flat=True).first()
    total = keys.count()
    reporting = series.filter(silent=0, last_time__isnull=False).values("station_id").distinct().count()
    silent = series.filter(silent__gt=0).values("station_id").distinct().count()
    return {
        "stations": total, "reporting": reporting, "silent": silent, "rising": series.filter(silent=2).values("station_id").distinct().count(),
        "never": max(total - series.exclude(last_time=None).values("station_id").distinct().count(), 0), "colours": counts, "newest": newest,
    }


def freshness(realm: Any) -> dict[str, Any]:
    """For the bar on top: newest event time, silent series, all series of the realm. A system count, no values."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(last_time), count(*) FILTER (WHERE silent > 0), count(*) FILTER (WHERE last_time IS NOT NULL), max(last_received) "
            "FROM sensing_series WHERE realm_id = %s AND quantity <> %s",
            [key_of(realm), PROBE],
        )
        newest, silent, heard, received = cursor.fetchone() or (None, 0, 0, None)
    return {"newest": newest, "silent": silent, "heard": heard, "received": received}


def signals_in(realm: Any, region: Any, *, least: int = 1) -> list[Signal]:
    """Raised signals of a region and below, worst first: for the proposals of the room above."""
    return list(
        Signal.objects.of(realm).filter(region_id__in=inside(region), colour__gte=least).select_related("station").order_by("-colour", "-since", "station__code")
    )


def canonical(realm: Any) -> dict[str, Any]:
    """Readings and signals of a realm in a form two runs can be compared by: counts and digests, without keys and receipt times."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.code || '|' || s.quantity || '|' || extract(epoch FROM r.time)::bigint || '|' || r.value || '|' || r.flags "
            "FROM sensing_reading r JOIN sensing_series s ON s.id = r.series_id JOIN sensing_station t ON t.id = s.station_id "
            "WHERE s.realm_id = %s ORDER BY t.code COLLATE \"C\", s.quantity COLLATE \"C\", r.time",
            [key_of(realm)],
        )
        readings = [row[0] for row in cursor.fetchall()]
        cursor.execute(
            "SELECT t.code || '|' || g.rule || '|' || g.rule_version || '|' || g.colour || '|' || extract(epoch FROM g.since)::bigint || '|' || g.value "
            "FROM sensing_signal g JOIN sensing_station t ON t.id = g.station_id WHERE g.realm_id = %s ORDER BY 1",
            [key_of(realm)],
        )
        signals = sorted(row[0] for row in cursor.fetchall())
    return {
        "readings": len(readings), "readings_digest": "sha256:" + hashlib.sha256("\n".join(readings).encode()).hexdigest(),
        "signals": signals,
    }


# --- is everything taken in? -----------------------------------------------------------------------------------------


def lowest(stream: str, created: str) -> int:
    """Up to which message of a stream every partition's readings are in the database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), min(seq) FROM sensing_streamposition WHERE stream = %s AND created = %s", [stream, created])
        count, low = cursor.fetchone() or (0, 0)
    return low if count == PARTITIONS else 0


def made(info: Any) -> str:
    """Which stream this is: one made anew counts from one again."""
    return str(info.created)[:40]


async def _last(nc: Any, stream: str, subject: str) -> tuple[int, str]:
    from nats.js.errors import NotFoundError

    js = nc.jetstream(timeout=5)
    try:
        info = await js.stream_info(stream)
    except NotFoundError:
        return 0, ""
    if not info.state.messages:
        return 0, made(info)
    try:
        last = await js.get_last_msg(stream, subject)
    except NotFoundError:
        return 0, made(info)
    return last.seq or 0, made(info)


async def _ends(nc: Any, realm: Any) -> list[tuple[str, int, str]]:
    if getattr(realm, "is_actual", False):
        subjects = [(ingest.READINGS, "anlan.v1.>"), (ingest.READINGS, "gate.v1.>")]
    else:
        subjects = [(ingest.REPLAY, f"replay.v1.{key_of(realm)}.>")]
    return [(stream, *await _last(nc, stream, subject)) for stream, subject in subjects]


def _reached(*ends: tuple[str, int, str]) -> bool:
    for stream, seq, created in ends:
        if not seq:
            continue
        if lowest(stream, created) < seq:
            return False
    return True


def drained(realm: Any) -> bool:
    """Whether every message published for the realm is in the database: the replay's barrier.

    True when the broker's last message of the realm's subjects is not beyond any partition's position. Raises
    nats.errors.Error or TimeoutError when the broker cannot be asked: then nobody knows.
    """
    bridge = broker.bridge()

    async def ask() -> list[tuple[str, int, str]]:
        return await _ends(await bridge.connection(), realm)

    try:
        return _reached(*bridge.run(ask(), timeout=15))
    except TimeoutError as error:
        raise TimeoutError("the broker does not answer") from error


def sources_with_counts() -> list[dict[str, Any]]:
    """Every source with its stations, how many of them report, and when it was last heard."""
    now = clock.now()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.source_id, count(DISTINCT t.id), count(DISTINCT s.station_id) FILTER (WHERE s.last_received > %s), max(s.last_received) "
            "FROM sensing_station t LEFT JOIN sensing_series s ON s.station_id = t.id WHERE t.source_id IS NOT NULL GROUP BY t.source_id",
            [now - timedelta(hours=1)],
        )
        counts = {row[0]: row[1:] for row in cursor.fetchall()}
    return [
        {"source": row, "stations": counts.get(row.pk, (0, 0, None))[0], "heard": counts.get(row.pk, (0, 0, None))[1], "last": counts.get(row.pk, (0, 0, None))[2]}
        for row in Source.objects.order_by("name")
    ]



# --- the map ---------------------------------------------------------------------------------------------------------


def geojson(actor: Any, realm: Any) -> dict[str, Any]:
    """Stations in service with coordinates, for the map: level (red … blue, "" none, "unknown"), text, url; `freshness` = newest reading."""
    from django.urls import NoReverseMatch, reverse
    from django.utils.translation import get_language
    from django.utils.translation import gettext as _

    places = reach(actor)
    english = (get_language() or "").startswith("en")
    rows = list(
        stations_seen_by(actor).filter(active=True, lon__isnull=False)
        .values_list("pk", "code", "name", "name_en", "kind", "region_id", "lon", "lat")
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT station_id, quantity, last_value, last_time, silent FROM sensing_series WHERE realm_id = %s AND last_time IS NOT NULL ORDER BY quantity",
            [key_of(realm)],
        )
        found = cursor.fetchall()
        cursor.execute("SELECT station_id, max(colour) FROM sensing_signal WHERE realm_id = %s AND colour <> 0 GROUP BY station_id", [key_of(realm)])
        colours = dict(cursor.fetchall())
    state: dict[UUID, list[tuple[str, int, datetime, int]]] = {}
    for station, quantity, value, at, silent in found:
        state.setdefault(station, []).append((quantity, value, at, silent))
    newest = None
    features = []
    try:
        pattern = reverse("sensing:station", args=[UUID(int=0)])
    except NoReverseMatch:
        pattern = ""
    for key, code, name, name_en, kind, region, lon, lat in rows:
        words, quiet, last = [], False, None
        for quantity, value, at, silent in state.get(key, []):
            what = QUANTITIES[quantity]
            words.append(f"{what.name} {what.value(value):.{what.decimals}f} {what.unit} · {clock.local(at):%m-%d %H:%M}")
            quiet = quiet or bool(silent)
            last = at if last is None else max(last, at)
        if last is not None:
            newest = last if newest is None else max(newest, last)
        if quiet:
            words.append(_("not reporting"))
        if not words:
            words.append(_("no reading yet"))
        level = COLOURS[colours.get(key, 0)]
        features.append({
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [round(lon, 6), round(lat, 6)]},
            "properties": {
                "id": str(key), "code": code, "name": name_en if english and name_en else name, "kind": kind, "region": str(region or ""),
                "level": "" if level in ("none", "unknown") else level, "unknown": level == "unknown", "silent": quiet, "text": "；".join(words) if not english else "; ".join(words),
                "url": pattern.replace(str(UUID(int=0)), str(key)),
            },
        })
    return {"type": "FeatureCollection", "features": features, "freshness": newest.isoformat() if newest else None, "partial": places is not access.ALL}
