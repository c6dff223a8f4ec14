"""The made-up city is whole: no gap, no overlap, water runs down, and the seed decides everything."""
import hashlib

import numpy as np
import pytest
import shapely

from anlan.engines.geo import Storm, build, run_storm
from anlan.engines.geo.mesh import make_mesh
from anlan.engines.geo.terrain import drain


@pytest.fixture(scope="module")
def city():
    return build(7)


def test_it_has_the_size_the_demonstration_promises(city):
    assert (len(city.counties), len(city.towns), len(city.gauges)) == (9, 180, 2000)
    codes = [area.code for area in [city.city, *city.counties, *city.towns, *city.basins]]
    assert len(set(codes)) == len(codes)
    assert all(area.code.startswith("99") for area in [city.city, *city.counties, *city.towns])
    assert len({area.name for area in city.towns}) == 180
    assert len({gauge.code for gauge in city.gauges}) == 2000


@pytest.mark.parametrize("seed", [7, 8, 20261122])
def test_areas_have_no_gap_and_no_overlap(seed):
    city = build(seed)
    for areas in (city.towns, city.counties, city.basins[1:]):
        shapes = [area.shape for area in areas]
        # GEOS checks the topology itself: every shared edge is the same edge, vertex by vertex.
        assert shapely.coverage_is_valid(shapes)
        assert all(shape.is_valid and shape.geom_type == "Polygon" for shape in shapes)
    # The towns' rim, edge by edge, is the city's: an edge inside is used twice, an edge of the rim once. A gap would leave a third kind.
    used: dict[tuple, int] = {}
    for town in city.towns:
        for ring in [town.shape.exterior, *town.shape.interiors]:
            points = list(ring.coords)
            for a, b in zip(points, points[1:], strict=False):
                used[tuple(sorted((a, b)))] = used.get(tuple(sorted((a, b))), 0) + 1
    once = {edge for edge, times in used.items() if times == 1}
    assert set(used.values()) == {1, 2}
    rim = list(city.city.shape.exterior.coords)
    assert not city.city.shape.interiors
    assert once == {tuple(sorted(pair)) for pair in zip(rim, rim[1:], strict=False)}


def test_towns_lie_in_their_county_and_gauges_in_their_town(city):
    county = {area.code: area.shape for area in city.counties}
    for town in city.towns:
        assert county[town.parent].contains(shapely.Point(town.lon, town.lat))
        assert shapely.relate_pattern(county[town.parent], town.shape, "******FF*")  # covers, by exact topology
    town = {area.code: area.shape for area in city.towns}
    assert all(town[gauge.town].covers(shapely.Point(gauge.lon, gauge.lat)) for gauge in city.gauges)


def test_rivers_run_downhill_to_where_they_join(city):
    water = city.water

    below = water.down >= 0
    assert (water.ground[below] > water.ground[water.down[below]]).all()

    # What leaves over the rim is all there is: no water is lost or made on the way.
    assert water.area_km2[~below].sum() == pytest.approx(water.cell_km2.sum())
    by_name = {river.name: river for river in city.rivers}
    for river in city.rivers[1:]:
        host = by_name[river.into]
        assert shapely.Point(river.line.coords[-1]).distance(host.line) < 0.01
        assert host.catchment_km2 > river.catchment_km2


def test_priority_flood_on_a_hill_a_person_can_follow():
    mesh = make_mesh(1, 6.0, 6.0, 1.0)
    height = mesh.points[:, 0] * 100  # a plane that falls to the west
    result = drain(mesh, height, np.ones(len(height)))
    inner = ~mesh.edge
    assert (result.down[mesh.edge] == -1).all()
    assert (height[result.down[inner]] < height[inner]).all()
    pit = height.copy()
    middle = int(np.flatnonzero(inner)[np.argmin(np.abs(mesh.points[inner] - 3.0).sum(axis=1))])
    pit[middle] = -500
    filled = drain(mesh, pit, np.ones(len(height)))
    lowest_way_out = min(filled.ground[n] for n in mesh.around(middle))
    assert filled.ground[middle] > lowest_way_out > -500


def digest(city) -> str:
    hasher = hashlib.sha256()
    for area in [*city.towns, *city.basins]:
        hasher.update(area.name.encode() + shapely.to_wkb(area.shape))
    for gauge in city.gauges:
        hasher.update(repr(gauge).encode())
    return hasher.hexdigest()


def test_the_seed_decides_everything(city):
    assert digest(city) == digest(build(7)) != digest(build(8))


def test_a_storm_reaches_every_colour_and_one_gauge_dies_while_rising(city):
    run = run_storm(city, Storm())
    assert set(run.values) == {gauge.code for gauge in city.gauges}
    rain = np.array([run.values[gauge.code] for gauge in city.gauges if gauge.kind == "rain"])
    three_hours = np.array([rain[:, i:i + 18].sum(axis=1) for i in range(rain.shape[1] - 17)]).max(axis=0)
    assert (three_hours >= 100).sum() >= 10 and (three_hours < 50).sum() > 500
    reached = {
        colour for gauge in city.gauges if gauge.kind == "level"
        for colour, value in gauge.thresholds.items() if run.values[gauge.code].max() >= value
    }
    assert reached == {"blue", "yellow", "orange", "red"}
    (code, index), = run.silent.items()
    assert run.values[code][index] > run.values[code][0] + 1.0
    again = run_storm(city, Storm())
    assert all(np.array_equal(run.values[code], again.values[code]) for code in run.values)


def test_water_is_kept_by_the_routing(city):
    from anlan.engines.geo.storm import route

    rain = np.zeros((60, len(city.water.down)))
    dry = route(city, rain, 10)
    assert np.allclose(dry[0], dry[-1], rtol=1e-6)  # base flow neither grows nor fades
    rain[0] = 100.0
    wet = route(city, rain, 10)
    assert (wet.sum(axis=0) >= dry.sum(axis=0) - 1e-9).all()
