"""The room's reads: blocked roads as they are now, clearing times by the rule, who is cut off."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.db.models import QuerySet

from anlan.engines import routing
from anlan.kernel import access, clock, codes, shell
from anlan.kernel.models import Region

from . import compute
from .models import Blockage

OPEN, DONE = ("reported", "clearing"), "opened"
PLACES = 2000  # places reached or not, told one by one


def blocked(actor: Any, realm: Any) -> QuerySet[Blockage]:
    """What is blocked now, the longest first."""
    return Blockage.objects.seen_by(actor, realm).filter(state__in=OPEN).select_related("region", "post").order_by("opened_at")


@dataclass
class Clearing:
    """Mean time from the report to the first vehicle through, on trunk roads in general disasters; open cases stand apart."""

    limit_h: float
    mean_h: float | None
    count: int
    over: list[tuple[Blockage, float]]
    open_now: list[tuple[Blockage, float]]
    since: Any


def clearing(actor: Any, realm: Any, *, days: int = 365) -> Clearing:
    """RULE: mean of (opened − reported) over trunk roads in general disasters; what is open is not averaged, it is shown with its hours so far."""
    trunk = [code for code, entry in codes.entries("highway_class").items() if (entry.get("data") or {}).get("trunk")]
    now = clock.now(realm)
    since = now - timedelta(days=days)
    rows = Blockage.objects.seen_by(actor, realm).filter(road_class__in=trunk, severity="general").select_related("region")
    limit = float(codes.data("road_policy", "clear_hours")["value"])

    def hours(row: Blockage, until: Any) -> float:
        return (until - row.opened_at).total_seconds() / 3600

    done = [(row, hours(row, row.closed_at)) for row in rows.filter(state=DONE, closed_at__gte=since).order_by("-closed_at")]
    still = [(row, hours(row, now)) for row in rows.filter(state__in=OPEN).order_by("opened_at")]
    return Clearing(limit, sum(h for _, h in done) / len(done) if done else None, len(done), [one for one in done if one[1] > limit], still, since)


def edits(actor: Any, realm: Any, roads: routing.Router) -> list[routing.Edit]:
    """What is blocked now, as the router takes it."""
    return edits_of(blocked(actor, realm), roads)


def edits_of(blockages: Iterable[Blockage], roads: routing.Router) -> list[routing.Edit]:
    """The road nearest to each place, within 200 m."""
    rows = [row for row in blockages if row.lon is not None]
    put = roads.snap(np.array([row.lon for row in rows]), np.array([row.lat for row in rows]), within_m=200.0) if rows else None
    return [
        routing.Edit(row.kind, np.array([segment]), share=(row.speed_left or 50) / 100, depth_m=None if row.depth_cm is None else row.depth_cm / 100)
        for row, segment in zip(rows, put.segment if put else (), strict=True) if segment >= 0
    ]


@dataclass
class Place:
    """A town or village and how it is reached: seconds before the blockages and now; None where there is no way."""

    region: Region
    before_s: float | None
    now_s: float | None

    @property
    def cut_off(self) -> bool:
        return self.before_s is not None and self.now_s is None

    @property
    def before_min(self) -> float | None:
        return None if self.before_s is None else self.before_s / 60

    @property
    def now_min(self) -> float | None:
        return None if self.now_s is None else self.now_s / 60


@dataclass
class Reach:
    """`places`: cut off first, then what takes longer than before. `how` says which roads, or why there is no answer."""

    how: str
    places: list[Place]
    cut_off: int
    people: int  # in the places cut off, where their number is known
    unknown: int  # places cut off whose population is not known
    total: int
    missing: bool = False  # no road file, no origins or no places


def reach(actor: Any, realm: Any, origins: np.ndarray, *, vehicle: str = "car", weather: str = "dry") -> Reach:
    """Towns and villages of the actor's regions from the given origins (longitude, latitude), before the blockages and with them."""
    roads = compute.router()
    regions = Region.objects.filter(kind__in=("town", "village"), lon__isnull=False, lat__isnull=False, valid_to=None)
    scope = access.regions(actor, "logistics.read")
    if scope is not access.ALL:
        regions = regions.filter(pk__in=scope)
    rows = list(regions[:PLACES])
    if roads is None or not rows or not len(origins):
        return Reach("", [], 0, 0, 0, len(rows), missing=True)
    tables = compute.tables()
    live = edits(actor, realm, roads)
    there = np.array([(row.lon, row.lat) for row in rows])
    ways = compute.ways(origins, there, roads=roads, data=tables, vehicle=vehicle, weather=weather, edits=live)
    now = ways.seconds.min(axis=0)
    before = roads.metric(compute.times(roads, tables, vehicle, weather)).reach_points(ways.origins, ways.targets) if live else now
    places = [Place(row, None if np.isinf(b) else float(b), None if np.isinf(n) else float(n)) for row, b, n in zip(rows, before, now, strict=True)]
    worse = [one for one in places if one.cut_off or (one.now_s is not None and one.before_s is not None and one.now_s > one.before_s + 1)]
    worse.sort(key=lambda one: (not one.cut_off, -((one.now_s or 0) - (one.before_s or 0)), -(one.region.population or 0)))
    cut = [one for one in worse if one.cut_off]
    return Reach(ways.how, worse, len(cut), sum(one.region.population or 0 for one in cut), sum(one.region.population is None for one in cut), len(rows))


@dataclass
class Band:
    """What can be gone to within so many minutes: area (GeoJSON), kilometres of road (None without a map), places and their people."""

    minutes: float
    geometry: dict[str, Any]
    road_km: float | None
    places: int
    people: int


def bands(actor: Any, realm: Any, lon: float, lat: float, minutes: list[float], *, vehicle: str, weather: str) -> tuple[list[Band], str]:
    """(bands, by which roads) from a point, round what is blocked now. Without a road file circles, which say so."""
    roads, tables = compute.router(), compute.tables()
    regions = Region.objects.filter(kind="village", lon__isnull=False, lat__isnull=False, valid_to=None).defer("area_wkb")
    scope = access.regions(actor, "logistics.read")
    if scope is not access.ALL:
        regions = regions.filter(pk__in=scope)
    rows, live = list(regions[:PLACES]), edits(actor, realm, roads) if roads else []
    here = np.array([(lon, lat)])
    kmh = float(tables["road_vehicle"]["foot"]["speeds"]["residential"]) if vehicle == "foot" else None
    there = np.array([(row.lon, row.lat) for row in rows] or [(lon, lat)])
    ways = compute.ways(here, there, roads=roads, data=tables, vehicle=vehicle, weather=weather, edits=live, straight_kmh=kmh)
    if roads is not None:
        shapes = compute.isochrones(here, minutes, roads=roads, data=tables, vehicle=vehicle, weather=weather, edits=live)
    else:
        policy = tables["road_policy"]
        speed = (kmh or float(policy["straight_kmh"]["value"])) * float(tables["road_weather"][weather]["share"]) / float(policy["detour"]["value"])
        shapes = [(limit, circle(lon, lat, speed * limit / 60), None) for limit in minutes]
    reached = [(row, ways.seconds[0, k] / 60) for k, row in enumerate(rows)]
    return [Band(limit, geometry, km, sum(m <= limit for _row, m in reached), sum(row.population or 0 for row, m in reached if m <= limit)) for limit, geometry, km in shapes], ways.how


def circle(lon: float, lat: float, km: float) -> dict[str, Any]:
    """A polygon of 72 corners."""
    turn, angle = km / 111.32, np.arange(72) * np.pi / 36
    rim = np.column_stack([lon + turn / np.cos(np.radians(lat)) * np.cos(angle), lat + turn * np.sin(angle)]).round(6).tolist()
    return {"type": "Polygon", "coordinates": [[*rim, rim[0]]]}


FIRST = 12  # blocked roads judged for the order of clearing; the oldest ones


@dataclass
class ClearFirst:
    """A blocked road in the order in which crews give most people a way again: people reached again, and minutes saved, when it is opened after those above it."""

    row: Blockage
    people: int
    places: list[str]
    minutes: int  # people × minutes saved, where the way had only become longer


def clear_first(actor: Any, realm: Any, origins: np.ndarray, *, vehicle: str = "car", weather: str = "dry") -> list[ClearFirst]:
    """Which blocked road to open first, second …: each time the one that gives most people (then most time) a way again; who has no known population counts as one."""
    roads, rows = compute.router(), [row for row in blocked(actor, realm) if row.lon is not None][:FIRST]
    regions = Region.objects.filter(kind__in=("town", "village"), lon__isnull=False, lat__isnull=False, valid_to=None)
    scope = access.regions(actor, "logistics.read")
    if scope is not access.ALL:
        regions = regions.filter(pk__in=scope)
    places = list(regions[:PLACES])
    if roads is None or not rows or not places or not len(origins):
        return []
    tables = compute.tables()
    there = np.array([(row.lon, row.lat) for row in places])
    people = np.array([row.population or 1 for row in places])
    plain = compute.ways(origins, there, roads=roads, data=tables, vehicle=vehicle, weather=weather)

    def reached(left: list[Blockage]) -> np.ndarray:
        return roads.metric(compute.times(roads, tables, vehicle, weather, edits_of(left, roads))).reach_points(plain.origins, plain.targets)

    found: list[ClearFirst] = []
    left, now = rows, reached(rows)
    while left:
        trials = [(row, reached([one for one in left if one is not row])) for row in left]

        def gain(then: np.ndarray, now: np.ndarray = now) -> tuple[int, float]:
            back = np.isfinite(then) & ~np.isfinite(now)
            both = np.isfinite(then) & np.isfinite(now)
            return int(people[back].sum()), float((people[both] * (now[both] - then[both])).sum()) / 60

        row, then = max(trials, key=lambda pair: gain(pair[1]))
        back = np.flatnonzero(np.isfinite(then) & ~np.isfinite(now))
        again, saved = gain(then)
        found.append(ClearFirst(row, again, [shell.localname(places[k]) for k in back[np.argsort(-people[back])][:8]], round(saved)))
        left, now = [one for one in left if one is not row], then
        if not again and saved < 1 and len(left) > 3:
            # What is left opens a way only together with others: oldest first, without trying every order.
            found += [ClearFirst(one, 0, [], 0) for one in left]
            break
    return found
