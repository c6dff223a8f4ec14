"""A made-up mountain city: a border, 9 counties, 180 towns, rivers, basins and gauges, all grown from one seed.

The terrain comes first. Towns grow from seats in the valleys at a price that rises with the ground, so borders tend to
follow ridges; counties are whole towns; basins are what drains to a river's mouth. Nothing here copies a real place.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely

from . import names
from .areas import grow, outlines, spread, without_holes
from .mesh import Mesh, make_mesh
from .terrain import Drainage, basins, drain, heights, noise

Array = np.ndarray

WIDTH_KM, HEIGHT_KM, SPACING_KM = 168.0, 144.0, 1.3
CITY_KM2 = 12_400.0
COUNTIES, TOWNS, BASINS = 9, 180, 12
# South-west corner of the mesh. Mountain country of the right climate; the place itself is made up.
LON0, LAT0 = 109.20, 26.60
KM_PER_LAT = 110.574
KM_PER_LON = 111.320 * float(np.cos(np.radians(LAT0 + HEIGHT_KM / KM_PER_LAT / 2)))
# How many gauges of each kind: 2,000 in all.
GAUGES = {"rain": 1120, "level": 330, "flow": 110, "soil": 200, "wind": 140, "gas": 100}


def to_degrees(points: Array) -> Array:
    """(…, 2) km of the mesh → (…, 2) longitude, latitude in degrees (equirectangular: fine for a place that does not exist)."""
    return np.asarray(points) / [KM_PER_LON, KM_PER_LAT] + [LON0, LAT0]


@dataclass(frozen=True)
class Area:
    """code: the demonstration's own; parent: code of the area above it, empty at the top; shape and point in degrees."""

    code: str
    name: str
    kind: str
    parent: str
    shape: shapely.Geometry
    lon: float
    lat: float
    population: int = 0
    km2: float = 0.0


@dataclass(frozen=True)
class River:
    """line: from source to mouth, in degrees; catchment: km² at the mouth; into: name of the river it joins."""

    name: str
    line: shapely.LineString
    catchment_km2: float
    into: str


@dataclass(frozen=True)
class Gauge:
    """kind: rain (mm), level (m), flow (m³/s), soil (% by volume), wind (m/s), gas (% of the lower explosive limit).

    thresholds: level → value in the kind's unit, for the kinds that have their own; node: where on the mesh it stands.
    """

    code: str
    name: str
    kind: str
    town: str
    lon: float
    lat: float
    elevation_m: float
    node: int
    river: str = ""
    catchment_km2: float = 0.0
    datum_m: float = 0.0
    thresholds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Water:
    """What the storm needs: points (N, 2) degrees; ground (N,) m; cell_km2 (N,); down, order, area_km2 as in `Drainage`."""

    points: Array
    ground: Array
    cell_km2: Array
    down: Array
    order: Array
    area_km2: Array


@dataclass(frozen=True)
class City:
    seed: int
    city: Area
    counties: list[Area]
    towns: list[Area]
    basins: list[Area]  # the first is the whole main river's, the others lie in it
    rivers: list[River]
    gauges: list[Gauge]
    water: Water


def build(seed: int = 7) -> City:
    """The whole city from a seed; a few seconds of one core, the same on every machine with the same numpy and GEOS."""
    rng = np.random.default_rng([seed, 3])
    mesh = make_mesh(seed, WIDTH_KM, HEIGHT_KM, SPACING_KM)
    cell_km2 = np.minimum(shapely.area(mesh.cells), SPACING_KM**2 * 2)
    drainage = drain(mesh, heights(mesh.points, seed), cell_km2)
    ground = drainage.ground
    # A smooth border: how far a node is from the middle, bent by noise and made dear by height.
    inside = _border(mesh, cell_km2, ground, seed)
    valley = np.flatnonzero(inside & (drainage.area_km2 > 6))
    valley_weight = np.log(drainage.area_km2[valley]) / (1 + ((ground[valley] - ground[valley].min()) / 500) ** 2)
    seats = valley[spread(mesh.points[valley], valley_weight, TOWNS, rng)]
    cost = 1 + np.maximum(0, ground - ground[inside].min()) / 260 + 0.6 * (noise(mesh.points, seed + 21, 9) + 1)
    town_of, _ = grow(mesh, seats, cost, allowed=inside)
    county_of_town = _counties(mesh, seats, town_of, drainage)
    town_shapes = outlines(mesh, town_of, TOWNS)
    areas = _areas(rng, mesh, seats, town_shapes, county_of_town, drainage)
    city, counties, towns, town_index = areas
    rivers, river_of = _rivers(mesh, drainage)
    basin_areas = _basins(mesh, drainage, rivers)
    gauges = _gauges(rng, mesh, drainage, town_of, [towns[i] for i in town_index], inside, river_of, cell_km2)
    return City(
        seed=seed, city=city, counties=counties, towns=towns, basins=basin_areas,
        rivers=[River(name, line, round(float(area), 1), into) for name, line, area, into, _ in rivers],
        gauges=gauges,
        water=Water(to_degrees(mesh.points), ground, cell_km2, drainage.down, drainage.order, drainage.area_km2),
    )


def _border(mesh: Mesh, cell_km2: Array, ground: Array, seed: int) -> Array:
    centre = np.array([WIDTH_KM, HEIGHT_KM]) / 2
    price = 0.4 + 2.6 * (noise(mesh.points, seed + 31, 55, 4) + 0.75).clip(0) + (ground - ground.min()) / 1500
    core = int(np.argmin(np.hypot(*(mesh.points - centre).T)))
    _, paid = grow(mesh, np.array([core]), price, allowed=~mesh.edge)
    order = np.argsort(paid, kind="stable")
    size = np.cumsum(cell_km2[order])
    inside = np.zeros(len(paid), bool)
    inside[order[: int(np.searchsorted(size, CITY_KM2))]] = True
    return without_holes(mesh, inside)


def _counties(mesh: Mesh, seats: Array, town_of: Array, drainage: Drainage) -> Array:
    """(TOWNS,) county of each town: whole towns, connected, about equal in number."""
    owner = np.repeat(np.arange(len(mesh.points)), np.diff(mesh.starts))
    a, b = town_of[owner], town_of[mesh.links]
    touching = np.unique(np.column_stack([a, b])[(a >= 0) & (b >= 0) & (a != b)], axis=0)
    near: list[list[int]] = [[] for _ in range(TOWNS)]
    for one, other in touching.tolist():
        near[one].append(other)
    at = mesh.points[seats]
    # Seats of counties: the big-river town nearest the middle, then the towns farthest from all seats so far.
    middle = mesh.points[town_of >= 0].mean(axis=0)
    picks = [int(np.argmin(np.hypot(*(at - middle).T) - 2.0 * np.log(drainage.area_km2[seats])))]
    gap = np.hypot(*(at - at[picks[0]]).T)
    while len(picks) < COUNTIES:
        score = np.minimum(gap, 42.0) + 1.2 * np.log(drainage.area_km2[seats])
        picks.append(int(np.argmax(np.where(np.isin(np.arange(TOWNS), picks), -np.inf, score))))
        gap = np.minimum(gap, np.hypot(*(at - at[picks[-1]]).T))
    county = np.full(TOWNS, -1)
    county[picks] = np.arange(COUNTIES)
    # The smallest county that still has a free neighbour takes the nearest one: connected, and none is left out.
    while (county < 0).any():
        for c in np.argsort(np.bincount(county[county >= 0], minlength=COUNTIES), kind="stable"):
            free = {t for own in np.flatnonzero(county == c) for t in near[own] if county[t] < 0}
            if free:
                best = min(free, key=lambda t: (float(np.hypot(*(at[t] - at[picks[c]]))), t))
                county[best] = c
                break
    return county


def _areas(rng: np.random.Generator, mesh: Mesh, seats: Array, shapes: list, county_of: Array, drainage: Drainage) -> tuple:
    size = np.bincount(county_of, minlength=COUNTIES)
    city_shape = shapely.coverage_union_all(shapes)
    # The central town's county is the city's main district; the rest are named from north-west to south-east.
    middle = mesh.points[seats].mean(axis=0)
    county_seat = [np.flatnonzero(county_of == c) for c in range(COUNTIES)]
    centres = np.array([mesh.points[seats[own]].mean(axis=0) for own in county_seat])
    first = int(np.argmin(np.hypot(*(centres - middle).T)))
    others = sorted((c for c in range(COUNTIES) if c != first), key=lambda c: float(centres[c][0] - centres[c][1]))
    rank = {c: i for i, c in enumerate([first, *others])}
    people = 380_000 * rng.uniform(0.75, 1.25, COUNTIES)
    people[first] *= 1.9
    counties: list[Area] = [None] * COUNTIES  # type: ignore[list-item]
    for c in range(COUNTIES):
        name = names.COUNTIES[rank[c]]
        code = f"9901{2 + rank[c] if name.endswith('区') else 20 + rank[c]:02d}"
        shape = shapely.coverage_union_all([shapes[t] for t in county_seat[c]])
        counties[rank[c]] = _area(code, name, "county", "990100", shape, population=int(people[c]))
    town_codes: list[Area] = []
    town_index = np.empty(TOWNS, int)
    labels = iter(names.town_names(TOWNS, rng))
    for c in sorted(range(COUNTIES), key=lambda c: rank[c]):
        county = counties[rank[c]]
        own = county_seat[c]
        weight = np.log(drainage.area_km2[seats[own]] + 2) * rng.uniform(0.6, 1.4, len(own))
        by_size = own[np.argsort(-weight, kind="stable")]
        for place, town in enumerate(by_size):
            urban = county.name.endswith("区") and place < size[c] // 2
            rural = place >= size[c] * 2 // 3
            ending = "街道" if urban else "乡" if rural else "镇"
            number = (1 if urban else 200 if rural else 100) + place
            share = weight[list(own).index(town)] / weight.sum()
            seat = to_degrees(mesh.points[seats[town]])
            town_index[town] = len(town_codes)
            town_codes.append(_area(
                f"{county.code}{number:03d}", next(labels) + ending, "town", county.code, shapes[town],
                at=seat, population=int(county.population * share),
            ))
    total = sum(area.population for area in counties)
    city = _area("990100", names.CITY, "city", "", city_shape, population=total)
    return city, counties, town_codes, town_index


def _area(code: str, name: str, kind: str, parent: str, shape_km: shapely.Geometry, at: Array | None = None, population: int = 0) -> Area:
    # A vertex maps to degrees by itself alone, so neighbours still share theirs to the last bit.
    shape = shapely.transform(shape_km, to_degrees)
    if at is None or not shapely.contains_xy(shape, at[0], at[1]):
        at = shapely.get_coordinates(shapely.point_on_surface(shape))[0]
    return Area(
        code, name, kind, parent, shape, round(float(at[0]), 6), round(float(at[1]), 6), population,
        round(float(shapely.area(shape_km)), 1),
    )


def _rivers(mesh: Mesh, drainage: Drainage) -> tuple[list[tuple], Array]:
    """Named rivers as (name, line, catchment, into, nodes from source to mouth), and (N,) index of the river a node lies on."""
    big = drainage.area_km2 > 45
    river_of = np.full(len(big), -1)
    rivers: list[tuple] = []
    # The main river's mouth is the largest catchment; a tributary's mouth is a big node whose water joins a bigger course.
    mouth = int(np.argmax(drainage.area_km2))
    below, main = drainage.down, drainage.main
    joins = [
        int(n) for n in np.flatnonzero(big)
        if below[n] >= 0 and main[below[n]] != n and drainage.area_km2[n] > 90
    ]
    root = _root(drainage)
    tributaries = sorted((n for n in joins if root[n] == mouth), key=lambda n: (-drainage.area_km2[n], n))
    label = iter(names.RIVERS)
    for start in [mouth, *tributaries[: len(names.RIVERS)]]:
        nodes = [start]
        while (up := int(main[nodes[-1]])) >= 0 and drainage.area_km2[up] > 14:
            nodes.append(up)
        name = names.RIVER_MAIN if start == mouth else next(label)
        end = [int(below[start])] if below[start] >= 0 else []
        line = np.array(mesh.points[[*end, *nodes]][::-1])
        for _ in range(2):  # Chaikin's corner cutting, ends kept
            cut = np.empty((2 * len(line) - 2, 2))
            cut[0::2], cut[1::2] = 0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]
            line = np.vstack([line[:1], cut, line[-1:]])
        into = rivers[river_of[end[0]]][0] if end and river_of[end[0]] >= 0 else ""
        river_of[nodes] = len(rivers)
        rivers.append((name, shapely.linestrings(to_degrees(line).round(6)), drainage.area_km2[start], into, nodes[::-1]))
    return rivers, river_of


def _root(drainage: Drainage) -> Array:
    root = np.arange(len(drainage.down))
    for node in drainage.order:
        if drainage.down[node] >= 0:
            root[node] = root[drainage.down[node]]
    return root


def _basins(mesh: Mesh, drainage: Drainage, rivers: list[tuple]) -> list[Area]:
    """The main river's basin and, inside it, those of its largest tributaries plus what drains to the main stem itself."""
    tributaries = [(name, nodes[-1]) for name, _, _, into, nodes in rivers[1:] if into == rivers[0][0]][: BASINS - 1]
    mouths = np.array([rivers[0][4][-1], *[mouth for _, mouth in tributaries]])
    # Cells on the rectangle's rim have no natural edge; leave them out.
    label = np.where(mesh.edge, -1, basins(drainage, mouths))
    shapes = outlines(mesh, label, len(mouths))
    whole = shapely.coverage_union_all(shapes)
    areas = [_area("B9900", f"{rivers[0][0]}流域", "basin", "", whole), _area("B9901", f"{rivers[0][0]}干流区间", "basin", "B9900", shapes[0])]
    for index, (name, _) in enumerate(tributaries, 1):
        areas.append(_area(f"B99{index + 1:02d}", f"{name}流域", "basin", "B9900", shapes[index]))
    return areas


def _gauges(
    rng: np.random.Generator, mesh: Mesh, drainage: Drainage, town_of: Array, towns: list[Area], inside: Array, river_of: Array,
    cell_km2: Array,
) -> list[Gauge]:
    ground, area, points = drainage.ground, drainage.area_km2, mesh.points
    nodes = np.flatnonzero(inside)
    low = ground[nodes].min()
    slope = np.abs(noise(points, 97, 11))
    wet = np.flatnonzero(inside & (area > 22))
    plain = nodes[ground[nodes] < np.quantile(ground[nodes], 0.15)]
    where = {
        "rain": nodes[spread(points[nodes], 1 / (1 + (ground[nodes] - low) / 900), GAUGES["rain"], rng)],
        "level": wet[spread(points[wet], np.log(area[wet]), GAUGES["level"], rng)],
        "flow": wet[spread(points[wet], area[wet] ** 0.7, GAUGES["flow"], rng)],
        "soil": nodes[spread(points[nodes], 0.05 + slope[nodes], GAUGES["soil"], rng)],
        "wind": nodes[spread(points[nodes], np.maximum(1.0, ground[nodes] - low), GAUGES["wind"], rng)],
        # Gas detectors stand in two industrial parks on low ground.
        "gas": np.repeat(plain[spread(points[plain], np.ones(len(plain)), 2, rng)], GAUGES["gas"] // 2),
    }
    chinese = {"rain": "雨量站", "level": "水位站", "flow": "流量站", "soil": "墒情站", "wind": "测风站", "gas": "气体探头"}
    gauges: list[Gauge] = []
    for prefix, (kind, chosen) in enumerate(where.items(), 1):
        for number, node in enumerate(chosen.tolist(), 1):
            town = towns[town_of[node]]
            reach = 0.25 * SPACING_KM if kind != "gas" else 0.7 * SPACING_KM
            at = points[node] + (rng.uniform(-reach, reach, 2) if kind not in ("level", "flow") else 0)
            lon, lat = to_degrees(at).tolist()
            if not shapely.contains_xy(town.shape, lon, lat):  # jittered over the border: stand where the cell stands
                lon, lat = to_degrees(points[node]).tolist()
            bed = round(float(ground[node]), 1)
            stage = rise_m(200.0, float(area[node]))  # a flood of 200 mm of rain in a day, roughly bank-full here
            gauges.append(Gauge(
                code=f"99{prefix}{number:05d}", name=f"{town.name}{number:03d}{chinese[kind]}", kind=kind, town=town.code,
                lon=round(lon, 6), lat=round(lat, 6), elevation_m=bed, node=int(node),
                river="" if river_of[node] < 0 or kind not in ("level", "flow") else str(river_of[node]),
                catchment_km2=round(float(area[node]), 1), datum_m=bed,
                thresholds=_thresholds(kind, bed, stage, float(area[node])),
            ))
    return gauges


def base_flow(area_km2: Array | float) -> Array | float:
    """m³/s on a dry day: 0.02 per km²."""
    return 0.02 * np.asarray(area_km2)


def flood_flow(rain_mm_day: float, area_km2: Array | float) -> Array | float:
    """Peak m³/s for a day of rain, with an areal reduction (A^0.85): a rule of thumb, enough to set made-up thresholds."""
    return 0.055 * rain_mm_day / 10 * np.asarray(area_km2) ** 0.85


def rise_m(rain_mm_day: float, area_km2: float) -> float:
    return float(stage(flood_flow(rain_mm_day, area_km2), area_km2))


def stage(flow: Array | float, area_km2: Array | float) -> Array | float:
    """Water depth in m over the bed for a flow in m³/s: wide rectangular channel after Manning, width growing with the catchment."""
    width = 4 + 1.3 * np.sqrt(np.asarray(area_km2))
    return 0.4 + (np.asarray(flow) * 0.035 / (width * np.sqrt(0.002))) ** 0.6


def _thresholds(kind: str, bed: float, bank: float, area: float) -> dict[str, float]:
    """blue, yellow, orange, red. Rain and silence use rule tables instead; these are made up with the city."""
    if kind == "level":
        steps = {"blue": 0.75, "yellow": 0.9, "orange": 1.05, "red": 1.25}
        return {colour: round(bed + bank * part, 2) for colour, part in steps.items()}
    if kind == "flow":
        return {c: round(float(flood_flow(mm, area)), 1) for c, mm in (("blue", 110), ("yellow", 150), ("orange", 210), ("red", 290))}
    if kind == "soil":
        return {"blue": 38.0, "yellow": 42.0, "orange": 45.0, "red": 48.0}
    if kind == "wind":
        return {"blue": 10.8, "yellow": 17.2, "orange": 24.5, "red": 32.7}
    if kind == "gas":
        return {"yellow": 10.0, "orange": 20.0, "red": 40.0}
    return {}
