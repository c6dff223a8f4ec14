"""The very points shapely finds, for any polygon with holes and parts; an outline with fewer corners cuts off no place."""
from __future__ import annotations

import numpy as np
import pytest
from shapely import MultiPolygon, Polygon, box, contains_xy, get_num_coordinates, make_valid

from anlan.engines.geo.outlines import covering
from anlan.engines.geo.targeting import Contacts


def star(corners: int, x: float = 111, y: float = 31, far: float = 0.6, rough: float = 0.35, seed: int = 2) -> Polygon:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    out = far * (1 + rough * (rng.random(corners) - 0.5))
    return Polygon(np.column_stack([x + out * np.cos(turn), y + out * np.sin(turn)]))


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(5)
    return 110 + 2 * rng.random(20_000), 30 + 2 * rng.random(20_000)


@pytest.fixture(scope="module")
def contacts(points):
    return Contacts(*points)


def same(contacts, points, area):
    return np.array_equal(np.sort(contacts.inside(area)), np.nonzero(contains_xy(area, *points))[0])


def test_any_star_with_a_hole_gives_the_points_shapely_finds(contacts, points):
    rng = np.random.default_rng(9)
    for seed in range(60):
        area = make_valid(star(int(rng.integers(3, 200)), 111 + rng.normal(), 31 + rng.normal(), float(rng.random() * 1.5 + 0.001), 0.9, seed))
        assert same(contacts, points, area.difference(star(7, far=0.2))), seed


def test_several_parts_and_an_area_beyond_all_points(contacts, points):
    assert same(contacts, points, MultiPolygon([star(40, 110.3, 30.3, 0.2), star(40, 111.6, 31.6, 0.2)]))
    assert len(contacts.inside(box(100, 20, 120, 40))) == 20_000
    assert len(contacts.inside(box(0, 0, 1, 1))) == 0 and len(contacts.inside(Polygon())) == 0


def test_points_on_one_line_and_a_single_point():
    line = Contacts(np.full(100, 110.0), np.linspace(30, 31, 100))
    assert len(line.inside(box(109, 30.5, 111, 32))) == 50
    assert len(Contacts(np.array([110.0]), np.array([30.0])).inside(box(109, 29, 111, 31))) == 1
    assert len(Contacts(np.array([]), np.array([])).inside(box(109, 29, 111, 31))) == 0
    with pytest.raises(ValueError, match="finite"):
        Contacts(np.array([np.nan]), np.array([30.0]))


@pytest.mark.parametrize("most", [8, 30, 100])
def test_an_outline_with_few_corners_keeps_every_chosen_place(points, most):
    area, places = star(1500), np.column_stack(points)[:3000]
    found = covering(area, places, most)
    inside = contains_xy(area, places[:, 0], places[:, 1])
    assert found.corners == get_num_coordinates(found.area) <= most and 0 < found.share < 0.6
    assert contains_xy(found.area, places[inside, 0], places[inside, 1]).all()


def test_an_outline_with_few_corners_already_stays_as_drawn():
    area = box(110, 30, 111, 31)
    assert covering(area, np.empty((0, 2)), 10).area == area
