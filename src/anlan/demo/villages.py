"""Villages of the made-up city: where in each town they lie and how many live there. Values in, values out; `actions.load_city` writes them.

A village is a point, not an area: real villages seldom come with a boundary either, and whatever asks for areas must do without.
"""
from __future__ import annotations

import numpy as np
import shapely

from anlan.engines.geo import Area, City

COUNT = 800
# What a village of a hill county is called; none of these with a made-up town before it is anybody's.
FIRST = "前后上下东西里外高新老桥庙塘岭坪"
SECOND = "湾垅坑头岗畈屋冲塆坞"


def of(city: City) -> list[Area]:
    """800 villages, the same for the same seed: dealt out by the towns' people (largest remainders), each at a point inside its town."""
    rng = np.random.default_rng([city.seed, 113])
    people = np.array([town.population for town in city.towns], dtype=float)
    share = people / people.sum() * (COUNT - len(city.towns))
    many = 1 + share.astype(int)  # every town has one at least
    many[np.argsort(share.astype(int) - share, kind="stable")[: COUNT - int(many.sum())]] += 1
    names = [a + b for a in FIRST for b in SECOND]
    found = []
    for town, count in zip(city.towns, many.tolist(), strict=True):
        size = rng.dirichlet(np.full(count, 4.0)) * town.population * 0.8  # the rest live in the town itself
        for number, (name, (lon, lat)) in enumerate(zip(rng.permutation(len(names))[:count], _inside(town, count, rng), strict=True)):
            found.append(Area(f"{town.code}{200 + number}", f"{names[name]}村", "village", town.code, shapely.Point(lon, lat), lon, lat, int(size[number])))
    return found


def _inside(town: Area, count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Points drawn in the town's box until enough of them lie inside it."""
    west, south, east, north = town.shape.bounds
    points = np.empty((0, 2))
    while len(points) < count:
        drawn = rng.uniform([west, south], [east, north], (count * 4, 2)).round(6)
        points = np.vstack([points, drawn[shapely.contains_xy(town.shape, drawn[:, 0], drawn[:, 1])]])
    return [(float(lon), float(lat)) for lon, lat in points[:count]]
