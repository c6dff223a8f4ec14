"""Few corners for receivers with small memories, and no place cut off by that.

    covering(area, places, most)         an outline of at most `most` corners that holds every chosen place, and what it takes in besides
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from shapely import contains_xy, convex_hull, get_num_coordinates, minimum_rotated_rectangle
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Outline:
    area: BaseGeometry
    corners: int
    outside: int  # chosen places it would have cut off before it was widened; none is cut off in `area`
    share: float  # of its ground that the drawn area does not have, 0–1


def covering(area: BaseGeometry, places: NDArray[np.float64], most: int = 100) -> Outline:
    """An outline of at most `most` corners around the drawn area in which every chosen place (N, 2: lon, lat) lies that lay in the area.

    Receivers with small memories take few corners; what is cut for them must never be a place. Widens, never narrows.
    """
    places = np.asarray(places, np.float64).reshape(-1, 2)
    chosen = places[contains_xy(area, places[:, 0], places[:, 1])] if len(places) else places
    if get_num_coordinates(area) <= most:
        return Outline(area, int(get_num_coordinates(area)), 0, 0.0)
    if most < 5:
        raise ValueError("an outline needs at least five corners: a rectangle, closed")
    west, south, east, north = area.bounds
    size = max(east - west, north - south)
    cut_off, step = 0, size / 2000
    while step < size / 8:
        rough = area.simplify(step / 2)
        if len(chosen):
            cut_off = max(cut_off, int((~contains_xy(rough, chosen[:, 0], chosen[:, 1])).sum()))
        # Widened by as much as simplifying moves a corner, before and after: what was inside stays inside.
        wider = rough.buffer(step, join_style="mitre", mitre_limit=2).simplify(step / 2)
        if get_num_coordinates(wider) <= most and _holds(wider, chosen):
            return Outline(wider, int(get_num_coordinates(wider)), cut_off, _spilt(wider, area))
        step *= 1.4
    hull = convex_hull(area)
    if get_num_coordinates(hull) > most or not _holds(hull, chosen):
        hull = minimum_rotated_rectangle(hull).buffer(size * 1e-6, join_style="mitre")
    return Outline(hull, int(get_num_coordinates(hull)), cut_off, _spilt(hull, area))


def _holds(area: BaseGeometry, chosen: Any) -> bool:
    return not len(chosen) or bool(contains_xy(area, chosen[:, 0], chosen[:, 1]).all())


def _spilt(wider: BaseGeometry, area: BaseGeometry) -> float:
    return float(wider.difference(area).area / wider.area) if wider.area else 0.0
