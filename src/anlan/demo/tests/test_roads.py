"""The made-up city's roads: one network, the same each time, with a bridge wherever a road crosses a river."""
import numpy as np
import pytest
import shapely

from anlan.demo import roads, villages
from anlan.engines import routing
from anlan.engines.geo import build
from anlan.logistics import compute


def test_neighbours_are_joined_where_no_third_lies_between():
    # A square with its middle: the middle is joined to each corner and cuts the diagonals; the sides stay, the middle lies on their circles' edge or outside.
    lon, lat = np.array([0.0, 2.0, 2.0, 0.0, 1.0]), np.array([0.0, 0.0, 2.0, 2.0, 0.9])
    assert {tuple(pair) for pair in roads.neighbours(lon, lat).tolist()} == {(0, 4), (1, 4), (2, 4), (3, 4), (1, 2), (2, 3), (0, 3)}


@pytest.fixture(scope="module")
def city():
    return build(7)


def test_every_village_is_reached_and_rivers_are_crossed_on_bridges(city, settings, tmp_path):
    settings.HOME = tmp_path
    made = roads.grow(city)
    assert made.main.all() and made.lon.size == len(city.towns) + villages.COUNT
    rivers = shapely.union_all([river.line for river in city.rivers])
    rng = np.random.default_rng(1)
    for segment in rng.choice(made.size, 200, replace=False).tolist():
        crosses = bool(shapely.LineString(made.line(segment)).intersects(rivers))
        assert crosses == bool(made.flags[segment] & routing.network.BRIDGE)
    assert {routing.CLASSES[kind] for kind in made.kind.tolist()} == {"trunk", "secondary", "tertiary"}
    assert roads.lay(city) == made.size and roads.lay(city) == 0, "roads that are there are left"
    seat, far = np.array([[city.towns[0].lon, city.towns[0].lat]]), np.array([[one.lon, one.lat] for one in villages.of(city)])
    ways = compute.ways(seat, far, roads=compute.router(), data=compute.shipped_tables())
    assert ways.by_road and np.isfinite(ways.seconds).all() and "虚构" in ways.how
