"""The doorway between what we keep (road file, code lists, live edits) and the routing engine."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from anlan.engines import routing
from anlan.engines.routing import Edit, Metric, Router, Snapped, Straight, Vehicle

from . import outside

Tables = Mapping[str, Mapping[str, Mapping[str, Any]]]  # list → code → data


def road_file() -> Path:
    """The roads of this house: one installation is one government, and has one map of roads."""
    return Path(settings.HOME) / "roads" / "network.npz"


def shipped_tables() -> Tables:
    """Vehicles, weather and policy as this release ships them, for commands that need no database."""
    from anlan.kernel import codes

    return {name: {one["code"]: one["data"] for one in codes.shipped()[name]["codes"]} for name in ("road_vehicle", "road_weather", "road_policy")}


def tables() -> Tables:
    """The versions in force."""
    from anlan.kernel import codes

    return {name: {code: entry["data"] for code, entry in codes.entries(name).items()} for name in ("road_vehicle", "road_weather", "road_policy")}


@lru_cache(maxsize=2)
def _prepared(path: str, _stamp: float) -> Router:
    network, kept = routing.load(Path(path))
    return Router(network, kept)


def router(path: Path | None = None) -> Router | None:
    """The prepared map, kept in memory while its file does not change; None where there is no road file."""
    path = path or road_file()
    return _prepared(str(path), os.stat(path).st_mtime) if path.is_file() else None


@dataclass
class Ways:
    """Travel times between places of one question, by road or, without a map, by the straight line; `how` says which, for people."""

    seconds: np.ndarray  # (origins, targets); infinite where there is no way
    how: str
    by_road: bool
    notes: list[str] = field(default_factory=list)
    metric: Metric | None = None
    origins: Snapped | None = None
    targets: Snapped | None = None


def times(router: Router, data: Tables, vehicle: str, weather: str, edits: Sequence[Edit] = ()) -> routing.Times:
    return routing.times(router.network, vehicle_of(data, vehicle), weather=float(data["road_weather"][weather]["share"]), edits=edits)


def vehicle_of(data: Tables, name: str) -> Vehicle:
    return routing.vehicle.check(data["road_vehicle"][name])


def ways(
    origins: np.ndarray, targets: np.ndarray, *, roads: Router | None, data: Tables, vehicle: str = "truck", weather: str = "dry", edits: Sequence[Edit] = (),
    names: tuple[Sequence[str], Sequence[str]] | None = None, avoid: Any = None, straight_kmh: float | None = None, by: outside.Service | None = None,
) -> Ways:
    """`origins`, `targets`: (k, 2) longitude and latitude. `avoid`: a shapely area nobody enters, while whoever is in it may leave. `by`: another router
    to be asked first, for callers that need seconds only; where it cannot answer, our own does, and `notes` says why."""
    if by is not None:
        share, kind = float(data["road_weather"][weather]["share"]), vehicle_of(data, vehicle)
        try:
            if avoid is not None:
                raise outside.Failed(_("it does not know an area that can only be left"))
            found, unseen = outside.matrix(by, origins, targets, kind, edits=edits, network=roads.network if roads else None)
        except outside.Failed as error:
            rest = ways(origins, targets, roads=roads, data=data, vehicle=vehicle, weather=weather, edits=edits, names=names, avoid=avoid, straight_kmh=straight_kmh)
            rest.notes.insert(0, _("{service} was asked and not used: {why}").format(service=by.name, why=error))
            return rest
        if roads is None:
            unseen.append(_("{service} was told of no closures: they are put on roads with a road file of this house").format(service=by.name))
        how = _("By {service} with its own map and speeds, {vehicle}, {weather}, {edits} live edits").format(service=by.name, vehicle=_word("road_vehicle", vehicle), weather=_word("road_weather", weather), edits=len(edits))
        return Ways(found / share, how, True, unseen)
    if roads is None:
        policy = data["road_policy"]
        detour, speed = float(policy["detour"]["value"]), (straight_kmh or float(policy["straight_kmh"]["value"])) * float(data["road_weather"][weather]["share"])
        found = Straight(speed, detour).matrix(origins[:, 0], origins[:, 1], targets[:, 0], targets[:, 1])
        if avoid is not None:
            found = np.where(_crossing(origins, targets, avoid), np.inf, found)
        how = _("No road file: straight line × {detour:g} at {speed:g} km/h. Closures, bridges and rivers are not seen.").format(detour=detour, speed=speed)
        return Ways(found, how, False)
    set_ = times(roads, data, vehicle, weather, edits)
    reach = float(data["road_policy"]["snap_m"]["value"])
    # A place belongs to a road its vehicle can use at all, whatever is closed at the moment: else a closure would move the village.
    plain = times(roads, data, vehicle, weather) if edits else set_
    usable = np.minimum(plain.along, plain.against) < routing.NEVER
    if avoid is None:
        put = [roads.snap(points[:, 0], points[:, 1], within_m=reach, usable=usable) for points in (origins, targets)]
    else:
        set_, put = _round(set_, roads, avoid, (origins, targets), reach, usable)
    metric = roads.metric(set_)
    notes = []
    for side, (snapped, words) in enumerate(zip(put, (_("origins"), _("targets")), strict=True)):
        lost = np.flatnonzero(~snapped.found)
        if lost.size:
            labels = ", ".join(str(names[side][k]) if names else str(k + 1) for k in lost[:20])
            notes.append(_("{count} {what} have no road within {metres:g} m: {labels}").format(count=lost.size, what=words, metres=reach, labels=labels))
    about = roads.network.about
    how = _("By road ({source}, data to {date}), {vehicle}, {weather}, {edits} live edits").format(
        source=about.get("source") or _("unknown"), date=about.get("data_time") or _("unknown"), vehicle=_word("road_vehicle", vehicle), weather=_word("road_weather", weather), edits=len(edits))
    return Ways(metric.matrix(*put), how, True, notes, metric, *put)


def _crossing(origins: np.ndarray, targets: np.ndarray, avoid: Any) -> np.ndarray:
    """Which straight ways from outside the area lead into it or through it; out of it every way leads."""
    import shapely

    shapely.prepare(avoid)
    found = np.zeros((len(origins), len(targets)), bool)
    found[:, shapely.contains_xy(avoid, targets[:, 0], targets[:, 1])] = True
    for i in np.flatnonzero(~shapely.contains_xy(avoid, origins[:, 0], origins[:, 1])):
        found[i] |= shapely.intersects(avoid, shapely.linestrings(np.stack([np.broadcast_to(origins[i], targets.shape), targets], axis=1)))
    return found


def _round(set_: routing.Times, roads: Router, avoid: Any, sides: Sequence[np.ndarray], reach: float, usable: np.ndarray) -> tuple[routing.Times, list[Snapped]]:
    """Travel times on which the area can only be left, and the points on the roads: who is outside stands on a road that does not lead through it."""
    import shapely

    net = roads.network
    touching, inside = net.within(avoid), shapely.contains_xy(avoid, net.lon, net.lat)
    through = touching[~inside[net.tail[touching]] & ~inside[net.head[touching]]]
    outer = usable.copy()
    outer[through] = False
    put = []
    for points in sides:
        within = shapely.contains_xy(avoid, points[:, 0], points[:, 1])
        one, two = (roads.snap(points[:, 0], points[:, 1], within_m=reach, usable=which) for which in (usable, outer))
        put.append(Snapped(*(np.where(within, getattr(one, name), getattr(two, name)) for name in ("segment", "share", "off_m"))))
    leaves = put[0].segment[shapely.contains_xy(avoid, sides[0][:, 0], sides[0][:, 1])]
    return routing.left_only(set_, net, touching, inside, spare=leaves), put


CELL = 9  # H3 resolution of an isochrone's area: cells of 0.1 km²
STEP_M = 150.0  # no cell on the way is stepped over: they are 300 m across and more


def isochrones(
    origins: np.ndarray, minutes: Sequence[float], *, roads: Router, data: Tables, vehicle: str = "car", weather: str = "dry", edits: Sequence[Edit] = (),
) -> list[tuple[float, dict[str, Any], float]]:
    """(minutes, GeoJSON geometry, kilometres of road) of what can be gone to within each limit from the nearest origin: the cells its roads touch."""
    import h3

    metric = roads.metric(times(roads, data, vehicle, weather, edits))
    plain = times(roads, data, vehicle, weather) if edits else metric.times
    put = roads.snap(origins[:, 0], origins[:, 1], within_m=float(data["road_policy"]["snap_m"]["value"]), usable=np.minimum(plain.along, plain.against) < routing.NEVER)
    net, found = roads.network, []
    at = metric.reach(put)
    for limit, segments, share in metric.area(put, list(minutes)):
        cells = set()
        for segment, part in zip(segments.tolist(), share.tolist(), strict=True):
            line = net.line(segment)
            # From the end that is reached first, as far as the time goes.
            if at[net.head[segment]] < at[net.tail[segment]]:
                line = line[::-1]
            legs = np.hypot(*np.diff(line, axis=0).T)
            on, length = np.r_[0.0, np.cumsum(legs)], float(net.metres[segment])
            stops = np.linspace(0.0, part * on[-1], 2 + int(part * length / STEP_M))
            cells.update(h3.latlng_to_cell(lat, lon, CELL) for lon, lat in zip(np.interp(stops, on, line[:, 0]).tolist(), np.interp(stops, on, line[:, 1]).tolist(), strict=True))
        geometry = h3.cells_to_geo(cells) if cells else {"type": "MultiPolygon", "coordinates": []}
        found.append((float(limit), dict(geometry), float((net.metres[segments] * share).sum()) / 1000))
    return found


def _word(name: str, code: str) -> str:
    """The code in the reader's language, as shipped; a code of one's own stands for itself."""
    from anlan.kernel import codes

    chinese = (get_language() or "").startswith("zh")
    return next((one["name_zh" if chinese else "name"] for one in codes.shipped()[name]["codes"] if one["code"] == code), code)


def edits_from(features: Sequence[Mapping[str, Any]], roads: Router) -> list[Edit]:
    """GeoJSON features with `kind` (closed, slow, water), `share`, `depth_m`; a point means the nearest road, an area every road it touches.

    ValueError names the feature that cannot be used.
    """
    from shapely import get_coordinates
    from shapely.geometry import shape

    found = []
    for place, feature in enumerate(features):
        values = feature.get("properties") or {}
        kind = values.get("kind", "closed")
        try:
            area = shape(feature["geometry"])
            share = float(values.get("share", 0.5))
            depth = None if values.get("depth_m") is None else float(values["depth_m"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"features[{place}]: {error}") from error
        if kind not in ("closed", "slow", "water") or not 0 < share <= 1 or area.is_empty or not np.isfinite(get_coordinates(area)).all():
            raise ValueError(f"features[{place}]: kind is closed, slow (share above 0 up to 1) or water (depth_m), with a geometry")
        if area.geom_type == "Point":
            put = roads.snap(np.array([area.x]), np.array([area.y]), within_m=200.0)
            segments = put.segment[put.found]
        else:
            segments = roads.network.within(area, spare_bridges=kind == "water")
        found.append(Edit(kind, segments, share, depth))
    return found
