"""The one doorway between rows and the engine: compiled plans, known values, and what machines know of a place."""
from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import orjson
from django.db import connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from anlan.engines.conditions import Condition as Compiled
from anlan.engines.conditions import Key, Outcome, PlaceSpec, PlanFile, compile_condition, read_plan
from anlan.engines.conditions.coverage import covered_share, nearest
from anlan.engines.conditions.planfile import ConditionEntry
from anlan.engines.conditions.syntax import Literal, calls, parse
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Region, RegionPath
from anlan.kernel.models.base import home
from anlan.sensing.models import Reading, Series, Station
from anlan.sensing.quantities import QUANTITIES, UNJUDGED

from .faults import said
from .models import BoundPlace, Match, PlanBinding, PlanVersion, ResponseInForce, Term, WarningInForce
from .vocabulary import label, vocabulary

# Sums over a whole region cost a scan of its gauges' last day; between signals they are made at most this often.
REGION_SUMS_EVERY = timedelta(minutes=10)
# In a storm every gauge changes colour, each at its own second.
REGION_SUMS_AFTER_SIGNAL = timedelta(minutes=1)
# With gauges in reach of less than this share of a region, nobody can say what area a rain covers.
SEEN_ENOUGH = 0.6
COLOUR_RANK = {"": 0, "blue": 1, "yellow": 2, "orange": 3, "red": 4}
LEVEL_RANK = {"IV": 1, "III": 2, "II": 3, "I": 4, "Ⅳ": 1, "Ⅲ": 2, "Ⅱ": 3, "Ⅰ": 4, "4": 1, "3": 2, "2": 3, "1": 4, "blue": 1, "yellow": 2, "orange": 3, "red": 4}
HAZARDS = {"11B03": "rainstorm", "11B01": "typhoon", "X-FLOOD": "flood", "X-FLASHFLOOD": "flash_flood", "11D": "geohazard", "X-GEOHAZARD": "geohazard"}


@lru_cache(maxsize=512)
def _parsed(version: UUID) -> PlanFile:
    plan, troubles = read_plan(PlanVersion.objects.values_list("text", flat=True).get(pk=version), vocabulary())
    if plan is None:
        # Was accepted once: only a changed vocabulary can do this, and start-up must say so.
        raise RuntimeError(f"stored plan version does not read any more: {troubles[0]}")
    return plan


def plan_file(version: PlanVersion) -> PlanFile:
    """The parsed and compiled file of a version; kept, as versions never change and their key derives from what they say."""
    return _parsed(version.pk)


# --- places ----------------------------------------------------------------------------------------------------------


def place_key(*, station: Any = None, region: Any = None, site: str = "") -> str:
    """station:<id>, region:<id> or site:<name>: how a place is called in the table of known terms."""
    if station is not None:
        return f"station:{getattr(station, 'pk', station)}"
    if region is not None:
        return f"region:{getattr(region, 'pk', region)}"
    return f"site:{_fold(site)}"[:120] if site else ""


def _fold(name: str) -> str:
    return " ".join(name.casefold().split())


def names_of(bound: BoundPlace, plan: PlanFile) -> set[str]:
    entry = plan.places.get(bound.alias)
    names = [bound.alias, *(entry.label.values() if entry else ()), *(entry.also if entry else ())]
    if bound.station_id:
        names += [bound.station.name, bound.station.name_en, bound.station.code]
    if bound.region_id:
        names += [bound.region.name, bound.region.name_en]
    return {_fold(name) for name in names if name}


def find_place(text: str, realm: Any) -> str:
    """The place key somebody means by a key, an id or a name that an adopted plan knows; empty when none does."""
    text = str(text or "").replace("\x00", "").strip()[:200]
    if not text:
        return ""
    if text.startswith("site:"):
        return text if BoundPlace.objects.filter(place=text).exists() else ""
    kind, _, rest = text.rpartition(":")
    try:
        key = UUID(rest)
    except ValueError:
        key = None
    if key is not None and kind in ("", "station", "region"):
        if kind != "region" and Station.objects.filter(pk=key).exists():
            return place_key(station=key)
        return place_key(region=key) if kind != "station" and Region.objects.filter(pk=key).exists() else ""
    folded = _fold(text)
    for binding in bindings(realm):
        plan = plan_file(binding.version_of)
        for bound in binding.places.select_related("station", "region").all():
            if bound.place and folded in names_of(bound, plan):
                return bound.place
    region = Region.objects.filter(Q(name=text) | Q(name_en__iexact=text), valid_to=None).first()
    return place_key(region=region) if region else ""


def region_of(place: str) -> UUID | None:
    """The region a place key lies in, for the scope of its readers."""
    kind, _, key = place.partition(":")
    if kind == "region":
        return UUID(key)
    if kind == "station":
        return Station.objects.filter(pk=key).values_list("region_id", flat=True).first()
    return BoundPlace.objects.filter(place=place, binding__active=True).values_list("binding__region_id", flat=True).first()


def place_name(place: str) -> str:
    """A place key in words."""
    from anlan.kernel.shell import localname

    kind, _, key = place.partition(":")
    if kind == "region":
        return localname(Region.objects.filter(pk=key).first())
    if kind == "station":
        return localname(Station.objects.filter(pk=key).first())
    bound = BoundPlace.objects.filter(place=place, binding__active=True).select_related("binding__version_of").first()
    return bound_name(bound) if bound else key


def bound_name(bound: BoundPlace) -> str:
    from .vocabulary import in_words

    entry = plan_file(bound.binding.version_of).places.get(bound.alias)
    return in_words(entry.label) if entry else bound.alias


# --- adopted plans ---------------------------------------------------------------------------------------------------


@dataclass
class Adopted:
    """An adopted plan ready to be judged: its compiled conditions and where its places are."""

    binding: PlanBinding
    plan: PlanFile
    places: Mapping[str, str]

    @property
    def keys(self) -> Collection[Key]:
        """Every key its conditions ask for, in the plan's own names of places."""
        return self.plan.askers.keys()

    def asking(self, keys: Iterable[Key]) -> list[ConditionEntry]:
        """The conditions that ask for any of these, in the plan's order."""
        return [self.plan.conditions[number] for number in sorted({number for key in keys for number in self.plan.askers.get(key, ())})]

    def row(self, key: Key) -> tuple[str, str, str]:
        """(term, place key, qualifier): how a key of the plan is found in the table of known terms."""
        return key.term, self.places.get(key.place, "") if key.place else "", key.qualifier

    @cached_property
    def wanted(self) -> dict[Key, tuple[str, str, str]]:
        return {key: self.row(key) for key in self.keys}

    def known(self, realm: Any, now: datetime, rows: Mapping[tuple[str, str, str], Told] | None = None) -> Known:
        """What is known now for this plan's keys; too old values are set apart. `rows`: the table, where it was read for many plans at once."""
        wanted = self.wanted
        rows = known_terms(realm, [self]) if rows is None else rows
        values: dict[Key, Any] = {}
        stale: dict[Key, Told] = {}
        terms: dict[Key, Told] = {}
        for key, row in wanted.items():
            term = rows.get(row)
            absent = vocabulary()[key.term].absent
            if term is None:
                if absent is not None and (row[1] or not key.place):
                    values[key] = absent
            elif term.stale_at is not None and term.stale_at <= now:
                stale[key] = term
            else:
                values[key], terms[key] = term.value, term
        return Known(values, stale, terms)

    def judge(self, compiled: Compiled, known: Known) -> Outcome:
        return compiled.evaluate(known.values, known.stale)

    def inputs(self, keys: Iterable[Key], known: Known) -> list[dict[str, Any]]:
        """The values a condition was judged on, with age and source, as plain data."""
        out = []
        for key in keys:
            term = known.terms.get(key) or known.stale.get(key)
            out.append({
                "key": str(key), "term": key.term, "alias": key.place, "place": self.places.get(key.place, ""), "qualifier": key.qualifier,
                "value": known.values.get(key) if key not in known.stale else term.value if term else None,
                "event_time": term.event_time.isoformat() if term else None, "source": term.source if term else "",
                "stale": key in known.stale, "fact": str(term.fact) if term and term.fact else None,
            })
        return out


class Told(NamedTuple):
    """A known value as far as judging needs it: rows are read by the thousand."""

    value: Any
    event_time: datetime
    stale_at: datetime | None
    source: str
    fact: UUID | None


@dataclass
class Known:
    values: dict[Key, Any]
    stale: dict[Key, Told]
    terms: dict[Key, Told]


def bindings(realm: Any) -> QuerySet[PlanBinding]:
    """Adoptions that apply in a realm."""
    # Neither the plans' texts nor the outlines of places: they are read with every batch of readings.
    return (
        PlanBinding.objects.filter(Q(only_realm=None) | Q(only_realm_id=realm.pk), active=True)
        .select_related("version_of__plan", "plan", "region").defer("version_of__text", "region__area_wkb").order_by("id")
    )


def adopted(realm: Any, binding: Any = None) -> list[Adopted]:
    rows = bindings(realm)
    if binding is not None:
        rows = rows.filter(pk=getattr(binding, "pk", binding))
    found = list(rows)
    places: dict[UUID, dict[str, str]] = {row.pk: {} for row in found}
    for key, alias, place in BoundPlace.objects.filter(binding__in=list(places)).exclude(place="").values_list("binding_id", "alias", "place"):
        places[key][alias] = place
    return [Adopted(row, plan_file(row.version_of), places[row.pk]) for row in found]


# --- what machines know ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """A new value of a term at a place. `value` None: known no longer (too few gauges)."""

    name: str
    place: str
    qualifier: str
    value: Any
    event_time: datetime
    source: str = ""
    cause: UUID | None = None


def known_terms(realm: Any, plans: Collection[Adopted]) -> dict[tuple[str, str, str], Told]:
    """The table of known terms, as far as these plans ask for it."""
    wanted = {row for plan in plans for row in plan.wanted.values()}
    # The places by their adoptions: a list of thousands costs more to send than to look up.
    places = BoundPlace.objects.filter(binding__in=[plan.binding.pk for plan in plans]).exclude(place="").values("place")
    rows = Term.objects.of(realm).filter(Q(place__in=places) | Q(place=""), name__in={row[0] for row in wanted})
    return {(name, place, qualifier): Told(*told) for name, place, qualifier, *told in rows.values_list("name", "place", "qualifier", *Told._fields)}


STORE = """
INSERT INTO plans_term (id, version, home, created_at, realm_id, name, place, qualifier, value, event_time, received_at, stale_at, source, fact, region_id)
SELECT r.id, 1, %(home)s, now(), %(realm)s, r.name, r.place, r.qualifier, r.value, r.event_time, %(now)s, r.stale_at, r.source, r.fact, r.region
FROM jsonb_to_recordset(%(rows)s::jsonb) r(id uuid, name text, place text, qualifier text, value jsonb, event_time timestamptz, stale_at timestamptz, source text, fact uuid, region uuid)
ON CONFLICT (realm_id, name, place, qualifier) DO UPDATE SET version = plans_term.version + 1, value = EXCLUDED.value, event_time = EXCLUDED.event_time, received_at = EXCLUDED.received_at,
  stale_at = EXCLUDED.stale_at, source = EXCLUDED.source, fact = EXCLUDED.fact, region_id = EXCLUDED.region_id
RETURNING name, place, qualifier, id
"""


def store_terms(realm: Any, now: datetime, told: Mapping[tuple[str, str, str], Told], regions: Mapping[str, UUID | None]) -> dict[tuple[str, str, str], UUID]:
    """Write known values, in one statement and always in one order (two writers must not wait for each other); their keys."""
    rows = [
        {"id": derived_id("term", realm.pk, *row), "name": row[0], "place": row[1], "qualifier": row[2], "region": regions.get(row[1]), **told[row]._asdict()} for row in sorted(told)
    ]
    with connection.cursor() as cursor:
        cursor.execute(STORE, {"home": home(), "realm": realm.pk, "now": now, "rows": orjson.dumps(rows).decode()})
        return {(name, place, qualifier): key for name, place, qualifier, key in cursor.fetchall()}


class Stood(NamedTuple):
    """How a condition was judged last."""

    verdict: str
    asking: list[list[str]]
    since: Any
    fact: UUID | None
    steps: list[dict[str, Any]]
    version: int


NEVER = Stood("", [], None, None, [], 0)
_stood: dict[tuple[UUID, UUID], tuple[tuple[int, ...], dict[UUID, Stood]]] = {}  # by realm and adoption
STOOD_KEPT = 5000  # adoptions


def stood(realm: Any, bindings: Collection[UUID]) -> dict[UUID, dict[UUID, Stood]]:
    """By adoption and condition. Kept from one look to the next: every change of a row raises its version, so what the versions of an adoption's rows sum up to
    says whether what is kept still is what is stored; the newest transaction among them tells apart what was rolled back and written anew."""
    if not bindings:
        return {}
    keys = [str(key) for key in bindings]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT binding_id, count(*), sum(version), max(xmin::text::bigint) FROM plans_match WHERE realm_id = %s AND binding_id = ANY(%s::uuid[]) GROUP BY binding_id",
            [realm.pk, "{" + ",".join(keys) + "}"],
        )
        marks = {row[0]: row[1:] for row in cursor.fetchall()}
    kept = {key: _stood.get((realm.pk, key), ((), {})) for key in marks}
    changed = [key for key, mark in marks.items() if kept[key][0] != mark]
    fresh: dict[UUID, dict[UUID, Stood]] = {key: {} for key in changed}
    for binding, condition, *row in Match.objects.of(realm).filter(binding__in=changed).values_list("binding_id", "condition_id", *Stood._fields) if changed else ():
        fresh[binding][condition] = Stood(*row)
    if len(_stood) > STOOD_KEPT:
        _stood.clear()
    _stood.update(((realm.pk, key), (marks[key], rows)) for key, rows in fresh.items())
    return {key: dict(fresh[key] if key in fresh else kept[key][1] if key in kept else {}) for key in bindings}


def _spec(name: str) -> Any:
    return vocabulary()[name]


NEWER = """
SELECT v.name, b.place, s.id, s.quantity, station.name || ' (' || station.code || ')', t.event_time
FROM (SELECT DISTINCT place, station_id FROM plans_boundplace WHERE binding_id = ANY(%(bindings)s::uuid[]) AND station_id IS NOT NULL AND place <> '') b
JOIN sensing_series s ON s.realm_id = %(realm)s AND s.station_id = b.station_id
JOIN unnest(%(names)s::text[], %(quantities)s::text[]) v(name, quantity) ON v.quantity = s.quantity
JOIN sensing_station station ON station.id = b.station_id
LEFT JOIN plans_term t ON t.realm_id = %(realm)s AND t.name = v.name AND t.place = b.place AND t.qualifier = ''
"""


def station_updates(realm: Any, plans: Collection[Adopted]) -> Iterator[Update]:
    """Readings of bound gauges that are newer than what is known, oldest first: no crossing between two readings is missed."""
    wanted = {
        row for plan in plans for key, row in plan.wanted.items()
        if (spec := _spec(key.term)).source == "machine" and spec.quantity and spec.window is None and row[1].startswith("station:")
    }
    if not wanted:
        return
    names = {name: _spec(name).quantity for name, _place, _qualifier in wanted}
    found: list[Update] = []
    # The database joins gauges, series and what is known, in one question each: lists of thousands of keys cost more to send than to look up.
    given = {"bindings": [plan.binding.pk for plan in plans], "realm": realm.pk, "names": list(names), "quantities": list(names.values())}
    with connection.cursor() as cursor:
        for part in (
            f"WITH w(name, place, series, quantity, source, since) AS MATERIALIZED ({NEWER}) SELECT w.*, r.time, r.value, r.flags FROM w "
            f"JOIN {Reading._meta.db_table} r ON r.series_id = w.series AND r.time > w.since WHERE r.time > (SELECT min(since) FROM w)",
            # The first look takes the newest reading only: what lies before the adoption is history, not a crossing.
            f"SELECT w.*, r.time, r.value, r.flags FROM ({NEWER} WHERE t.id IS NULL) w(name, place, series, quantity, source, since) "
            f"JOIN LATERAL (SELECT time, value, flags FROM {Reading._meta.db_table} WHERE series_id = w.series ORDER BY time DESC LIMIT 1) r ON true",
        ):
            cursor.execute(part, given)
            for name, place, _series, quantity, source, _since, when, value, flags in cursor.fetchall():
                # A doubtful reading decides nothing: a frozen or impossible gauge is a gauge that does not know.
                if (name, place, "") in wanted and not flags & UNJUDGED:
                    found.append(Update(name, place, "", QUANTITIES[quantity].value(value), when, source))
    yield from sorted(found, key=lambda update: (update.event_time, update.place, update.name))


def sum_updates(realm: Any, plans: Iterable[Adopted], at: datetime, *, at_once: bool = False) -> Iterator[Update]:
    """Rain sums and covered areas at an event time, for the places that some plan asks about."""
    wanted: dict[str, set[str]] = {}
    for plan in plans:
        for key in plan.keys:
            spec = _spec(key.term)
            place = plan.places.get(key.place, "")
            if spec.source == "machine" and spec.window is not None and place:
                wanted.setdefault(place, set()).add(key.term)
    if not wanted:
        return
    known = {
        (place, name): when
        for place, name, when in Term.objects.of(realm).filter(place__in=wanted, name__in=set().union(*wanted.values()), qualifier="").values_list("place", "name", "event_time")
    }
    for place in sorted(wanted):
        pause = timedelta(0) if not place.startswith("region:") else REGION_SUMS_AFTER_SIGNAL if at_once else REGION_SUMS_EVERY
        names = {name for name in wanted[place] if (last := known.get((place, name))) is None or (last < at and at - last >= pause)}
        if names:
            yield from _sums_at(realm, place, names, at)


def _sums_at(realm: Any, place: str, names: Collection[str], at: datetime) -> Iterator[Update]:
    from django.db.models import Sum

    kind, _, key = place.partition(":")
    if kind == "station":
        stations = list(Station.objects.filter(pk=key).values_list("pk", "lon", "lat"))
    else:
        below = RegionPath.objects.filter(ancestor_id=key).values("descendant_id")
        stations = list(Station.objects.filter(region_id__in=below, active=True, quantities__contains="rain").order_by("pk").values_list("pk", "lon", "lat"))
    series = dict(Series.objects.filter(realm_id=realm.pk, quantity="rain", station_id__in=[row[0] for row in stations]).values_list("pk", "station_id"))
    if not series:
        return
    longest = max(_spec(name).window for name in names)
    windows = {hours: timedelta(hours=hours) for hours in sorted({int(_spec(name).window.total_seconds() // 3600) for name in names} | ({6} if "heavy_rain_area" in names else set()))}
    sums = (
        Reading.objects.filter(series_id__in=series, time__gt=at - longest, time__lte=at)
        .annotate(doubted=F("flags").bitand(UNJUDGED)).filter(doubted=0)
        .values("series_id")
        .annotate(**{f"h{hours}": Coalesce(Sum("value", filter=Q(time__gt=at - window)), 0) for hours, window in windows.items()})
    )
    scale = QUANTITIES["rain"]
    totals = {series[row["series_id"]]: {hours: scale.value(row[f"h{hours}"]) for hours in windows} for row in sums}
    if not totals:
        return
    source = f"{len(totals)}/{len(stations)}"
    for name in sorted(names):
        if name == "heavy_rain_area":
            area = _covered(key, [row for row in stations if row[0] in totals and row[1] is not None], totals)
            yield Update(name, place, "", area, at, source)
        else:
            hours = int(_spec(name).window.total_seconds() // 3600)
            yield Update(name, place, "", max(total[hours] for total in totals.values()), at, source)


def _covered(region: str, stations: list[tuple[UUID, float, float]], totals: Mapping[UUID, Mapping[int, float]]) -> float | None:
    ground = _ground(region)
    if ground is None or not stations:
        return None
    samples, km2 = ground
    owner = nearest(samples, np.array([[lon, lat] for _, lon, lat in stations]))
    share, seen = covered_share(owner, np.array([totals[pk][24] >= 100 or totals[pk][6] >= 50 for pk, _, _ in stations]))
    return round(share * km2, 1) if seen >= SEEN_ENOUGH else None


@lru_cache(maxsize=32)
def _ground(region: str) -> tuple[np.ndarray, float] | None:
    """Sample points inside a region and its area in km²; None without a polygon."""
    import shapely
    from pyproj import Geod

    row = Region.objects.filter(pk=region).first()
    if row is None or row.area_wkb is None:
        return None
    shape = shapely.from_wkb(bytes(row.area_wkb))
    west, south, east, north = shape.bounds
    # About 2,500 points: the share is then good to a per cent or so, far finer than the gauges are.
    step = max(((east - west) * (north - south) / 2500) ** 0.5, 1e-4)
    x, y = np.meshgrid(np.arange(west + step / 2, east, step), np.arange(south + step / 2, north, step))
    inside = shapely.contains_xy(shape, x.ravel(), y.ravel())
    samples = np.column_stack([x.ravel()[inside], y.ravel()[inside]])
    km2 = abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0]) / 1e6
    return samples, km2


class Tally:
    """Warnings in force, counted for each row that a plan asks for; a warning more is added to what was counted."""

    def __init__(self, plans: Iterable[Adopted]) -> None:
        rows = {row for plan in plans for key, row in plan.wanted.items() if _spec(key.term).source == "warning"}
        self.wanted = sorted(row for row in rows if row[1].startswith("region:"))
        self.found: dict[tuple[str, str, str], set[str]] = {row: set() for row in self.wanted}  # warnings, or counties
        self.sources: dict[tuple[str, str, str], set[str]] = {row: set() for row in self.wanted}
        regions = {row[1].partition(":")[2] for row in self.wanted}
        self.near = {region: _near(region) for region in regions}
        self.counties = {region: _counties(region) for region in regions}

    def add(self, warning: WarningInForce) -> list[tuple[str, str, str]]:
        """The rows it counts for."""
        told, fitting = set(map(str, warning.regions)), []
        for row in self.wanted:
            hazard, colour = row[2].split("|")
            region = row[1].partition(":")[2]
            if hazard not in ("any", warning.hazard) or COLOUR_RANK.get(warning.colour, 0) < COLOUR_RANK[colour] or not self.near[region] & told:
                continue
            self.found[row] |= {str(warning.alert)} if row[0] == "warned" else {county for county, chain in self.counties[region].items() if chain & told}
            self.sources[row].add(f"{warning.hazard}/{warning.colour}")
            fitting.append(row)
        return fitting

    def update(self, row: tuple[str, str, str], at: datetime, cause: UUID | None = None) -> Update:
        count = len(self.found[row])
        return Update(*row, count, at, "、".join(sorted(self.sources[row])) if count else "", cause)


def warning_updates(realm: Any, plans: Iterable[Adopted], at: datetime) -> Iterator[Update]:
    """Counts of warnings and of counties under a warning, from the warnings in force."""
    tally = Tally(plans)
    for warning in WarningInForce.objects.of(realm) if tally.wanted else ():
        tally.add(warning)
    yield from (tally.update(row, at) for row in tally.wanted)


def warnings_told(realm: Any, plans: Iterable[Adopted], told: list[tuple[WarningInForce, datetime]]) -> Iterator[Update]:
    """The same after each of these warnings, one after another, as far as it changes: each with the fact it came by."""
    tally = Tally(plans)
    if not tally.wanted:
        return
    for warning in WarningInForce.objects.of(realm).exclude(alert__in=[warning.alert for warning, _at in told]):
        tally.add(warning)
    for warning, at in told:
        for row in tally.add(warning):
            yield tally.update(row, at, warning.fact)


def _near(region: str) -> set[str]:
    """The region, all below it and all above it: a warning for any of them concerns it."""
    below = RegionPath.objects.filter(ancestor_id=region).values_list("descendant_id", flat=True)
    above = RegionPath.objects.filter(descendant_id=region).values_list("ancestor_id", flat=True)
    return {str(key) for key in (*below, *above)} | {region}


def _counties(region: str) -> dict[str, set[str]]:
    """Counties of the region, each with the areas it lies in: warned with any of them. A town's alarm is not its county's."""
    counties = Region.objects.filter(kind="county", above__ancestor_id=region).values_list("pk", flat=True)
    above: dict[str, set[str]] = {}
    for descendant, ancestor in RegionPath.objects.filter(descendant_id__in=counties).values_list("descendant_id", "ancestor_id"):
        above.setdefault(str(descendant), {str(descendant)}).add(str(ancestor))
    return above


def response_updates(realm: Any, plans: Iterable[Adopted], at: datetime) -> Iterator[Update]:
    """How many counties have a response of a level or higher."""
    wanted = {plan.row(key) for plan in plans for key in plan.keys if _spec(key.term).source == "response"}
    wanted = {row for row in wanted if row[1].startswith("region:")}
    if not wanted:
        return
    rows = list(ResponseInForce.objects.of(realm).filter(track="response", region__kind="county").values_list("region_id", "rank"))
    for name, place, qualifier in sorted(wanted):
        inside = set(RegionPath.objects.filter(ancestor_id=place.partition(":")[2]).values_list("descendant_id", flat=True))
        counties = {region for region, rank in rows if region in inside and rank >= LEVEL_RANK[qualifier]}
        yield Update(name, place, qualifier, len(counties), at, "")


def term_words(name: str, place: str) -> str:
    return f"{label(name)} · {place_name(place)}"


# --- from a document to a draft, and from a draft to a plan file ------------------------------------------------------

DRAFT_PLACES = {"area": {"kind": "region", "label": {"zh": "本行政区域", "en": "The area"}}, "gauge": {"kind": "gauge", "label": {"zh": "测站", "en": "The gauge"}}}
# A gauge in a sentence: 衡阳站, 归阳水文站. What sort of gauge it is (控制站) is no name.
GAUGE = re.compile(r"(?:干流|控制站|[，、（）\s]|^)((?!控制|水位|水文|河流)[\u4e00-\u9fff]{2,4}?)(?:水文站|水位站|站|水位(?=[超达逼接]))")
LEVEL_CODE = {"红色": "red", "橙色": "orange", "黄色": "yellow", "蓝色": "blue"}
LEVEL_COLOUR = {"I": "red", "II": "orange", "III": "yellow", "IV": "blue", **LEVEL_CODE}


def read_document(raw: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(draft, items) of a document; raises engines.text.files.BadPaper."""
    from anlan.engines.text import files, reader
    from anlan.engines.text.elements import elements

    source, warnings = files.text_of(raw)
    paper = reader.read(source)
    found = elements(paper)
    items: list[dict[str, Any]] = []
    for row in found["conditions"]:
        before = items[-1] if items else None
        cel = row["cel"]
        if '"gauge"' in cel and (named := GAUGE.search("".join(row["text"].split()))):
            cel = cel.replace('"gauge"', f'"{named[1]}站"')
        # "30人以上、50人以下" is one statement in two thresholds.
        if before and before["row"]["clause"] == row["clause"] and before["row"]["quantity"] == row["quantity"] and row["level"] == before["row"]["level"] and row["op"] in ("<", "<=") \
                and before["row"]["op"] in (">", ">=") and cel and before["found"]["when"] and row["span"][0] - before["end"] < 12:
            before["found"]["when"] += f" && {cel}"
            before["end"] = max(before["end"], row["span"][1])
            continue
        items.append({"row": row, "kind": "condition", "clause": row["clause"], "start": row["span"][0], "end": row["span"][1],
                      "found": {"level": LEVEL_CODE.get(row["level"], row["level"]), "when": cel, "why": "not exact" if not cel else "mark" if "mark(" in cel else ""}})
    for row in found["unmatched"]:
        items.append({"row": row, "kind": "condition", "clause": row["clause"], "start": row["span"][0], "end": row["span"][1],
                      "found": {"level": LEVEL_CODE.get(row["level"], row["level"]), "when": "", "why": row["why"]}})
    for row in found["actions"]:
        if row["level"]:
            items.append({"row": row, "kind": "action", "clause": row["clause"], "start": row["span"][0], "end": row["span"][1],
                          "found": {"level": LEVEL_CODE.get(row["level"], row["level"]), "post": row["unit"], "deadline_min": row["minutes"]}})
    for item in items:
        if not source[item["start"] : item["end"]].strip():  # a condition of which only the beginning was found is shown to the end of its line
            item["end"] = at if (at := source.find("\n", item["start"] + 1)) > 0 else len(source)
    items.sort(key=lambda item: (item["start"], item["kind"]))
    draft = {
        "title": paper.title[:300], "source": source, "hazard": next((row["hazard"] for row in found["conditions"] if row["hazard"]), ""),
        "about": {"number": paper.number, "date": paper.date, "issuer": paper.issuer, "warnings": [*warnings, *paper.warnings][:20],
                  "levels": [row | {"level": LEVEL_CODE.get(row["level"], row["level"])} for row in found["levels"]], "units": sorted({row["name"] for row in found["units"]})[:200]},
    }
    return draft, [{key: item[key] for key in ("kind", "clause", "start", "end", "found")} for item in items]


def draft_places(when: str) -> dict[str, PlaceSpec]:
    """The places a drafted rule may name: the area, and any gauge or site by its name. Each is bound to a station when the plan is adopted."""
    found = {"area": PlaceSpec("area", "region", {})}
    for call in calls(parse(when)):
        spec = vocabulary().get(call.name)
        kinds = [kind for kind in spec.places if kind != "region"] if spec else []
        if kinds and call.args and isinstance(call.args[0], Literal) and isinstance(name := call.args[0].value, str) and 0 < len(name) <= 60:
            found.setdefault(name, PlaceSpec(name, kinds[0], {}))
    return found


def _compiled(when: str) -> Any:
    return compile_condition(when, vocabulary(), draft_places(when))


def rule_fault(when: str) -> str:
    """Why a rule of a draft cannot be used; empty when it can."""
    from anlan.engines.conditions import ConditionError

    try:
        _compiled(when)
    except ConditionError as error:
        return f"{said(error.what)} ({error.line}:{error.column}){'; ' + said(error.todo) if error.todo else ''}"
    return ""


def rule_terms(when: str) -> list[tuple[str, str]]:
    """(term, who knows it) of a rule that compiles."""
    from anlan.engines.conditions import ConditionError

    try:
        compiled = _compiled(when)
    except ConditionError:
        return []
    return [(key.term, vocabulary()[key.term].source) for key in compiled.keys]


def plan_of(draft: Any, items: Iterable[Any], key: str) -> dict[str, Any]:
    """The plan file a draft's decided items make. Posts are the units named; who signs is who the document says decides."""
    rows = [item for item in items if item.state in ("confirmed", "people") and item.now.get("level")]
    codes = list(dict.fromkeys(item.now["level"] for item in rows if item.kind == "condition"))
    order = [code for code in ("IV", "III", "II", "I") if code in codes]
    decides = {row["level"]: row["decides"] for row in draft.about.get("levels", []) if row.get("decides")}
    posts: dict[str, str] = {}

    def post(name: str) -> str:
        name = " ".join(name.split()) or "指挥机构"
        return next((code for code, known in posts.items() if known == name), None) or posts.setdefault(f"p{len(posts) + 1}", name) and f"p{len(posts)}"

    clauses: dict[str, dict[str, Any]] = {}

    def clause(item: Any) -> str:
        code = f"c{item.start}"
        clauses.setdefault(code, {"title": {"zh": item.clause}, "text": {"zh": item.words[:6000]}})
        return code

    places: dict[str, dict[str, Any]] = {"area": DRAFT_PLACES["area"]}

    def rule(when: str) -> str:
        """The rule with a key for each place that is named in Chinese."""
        for name, spec in draft_places(when).items():
            alias = next((key for key, row in places.items() if row["label"]["zh"] == name), name if name.isascii() and re.fullmatch(r"[A-Za-z0-9][\w.()-]*", name) else f"place{len(places)}")
            places.setdefault(alias, DRAFT_PLACES.get(name) or {"kind": spec.kind, "label": {"zh": name}})
            when = re.sub(rf"""(["']){re.escape(name)}\1""", f'"{alias}"', when)
        return when

    conditions, actions = [], []
    for number, item in enumerate(rows, 1):
        now = item.now
        if item.kind == "condition":
            entry: dict[str, Any] = {"id": f"{now['level']}-{number}", "level": now["level"], "clause": clause(item), "label": {"zh": item.words[:280]}}
            conditions.append(entry | ({"when": rule(now["when"])} if item.state == "confirmed" else {"note": {"zh": "由人判断"}}))
        elif now["level"] in codes:
            entry = {"id": f"{now['level']}-a{number}", "level": now["level"], "post": post(now.get("post") or ""), "clause": clause(item), "text": {"zh": item.words[:6000]}}
            actions.append(entry | ({"deadline_min": int(now["deadline_min"])} if now.get("deadline_min") else {}))
    levels = [
        {"code": code, "kind": "response" if code in order else "measure", "rank": order.index(code) + 1 if code in order else 1, "colour": LEVEL_COLOUR.get(code, code if code in LEVEL_CODE.values() else ""),
         "label": {"zh": f"{code}级响应" if code in order else next((row["name"] for row in draft.about.get("levels", []) if row["level"] == code), code)},
         "approver": post(decides.get(code, "")), "clause": next(entry["clause"] for entry in conditions if entry["level"] == code)}
        for code in [*reversed(order), *(code for code in codes if code not in order)]
    ]
    used = {term for entry in conditions for term, _source in rule_terms(entry.get("when", ""))}
    asks = {term: post(name) for term, name in sorted(draft.about.get("asks", {}).items()) if term in used}
    return {
        "anlan_plan": 1, "id": key, "title": {"zh": draft.title}, "number": draft.about.get("number", ""), "hazard": draft.hazard, "adopted": draft.about.get("date", ""), "source": draft.digest,
        **({"issuer": {"zh": draft.about["issuer"]}} if draft.about.get("issuer") else {}),
        "places": places, "posts": {code: {"zh": name} for code, name in posts.items()}, "levels": levels, "clauses": clauses, "conditions": conditions, "actions": actions, **({"asks": asks} if asks else {}),
    }
