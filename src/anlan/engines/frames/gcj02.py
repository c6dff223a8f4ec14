"""GCJ-02 and BD-09: the offset frames of Chinese web maps, to and from WGS 84.

GCJ-02 shifts WGS 84 by about 100-700 m, varying by place. The forward formula was published by reverse engineering and
is the one every open implementation carries (github.com/googollee/eviltransform, MIT; the constants below are its).
There is no official inverse: ours iterates the forward formula until the point it started from comes out again.

All functions take and return arrays (or floats) of degrees, longitude first, shape (N,); inputs are not changed.
"""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

Array = np.ndarray

# Krasovsky 1940, the ellipsoid the offset formula is written on.
SEMI_MAJOR_M = 6378245.0
ECCENTRICITY_SQUARED = 0.00669342162296594323
# Where the offset is applied; outside it the three frames are the same.
WEST, EAST, SOUTH, NORTH = 72.004, 137.8347, 0.8293, 55.8271


def outside_mainland(lon: Array, lat: Array) -> Array:
    """True where the offset is not applied: the box of the public implementations, a bounding box and not a border."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    return (lon < WEST) | (lon > EAST) | (lat < SOUTH) | (lat > NORTH)


def _offset(lon: Array, lat: Array) -> tuple[Array, Array]:
    """The shift in degrees (east, north) at a WGS 84 point."""
    x, y = lon - 105.0, lat - 35.0
    ripple = (20.0 * np.sin(6.0 * x * np.pi) + 20.0 * np.sin(2.0 * x * np.pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * np.sqrt(np.abs(x)) + ripple
    north = north + (20.0 * np.sin(y * np.pi) + 40.0 * np.sin(y / 3.0 * np.pi)) * 2.0 / 3.0
    north = north + (160.0 * np.sin(y / 12.0 * np.pi) + 320.0 * np.sin(y * np.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * np.sqrt(np.abs(x)) + ripple
    east = east + (20.0 * np.sin(x * np.pi) + 40.0 * np.sin(x / 3.0 * np.pi)) * 2.0 / 3.0
    east = east + (150.0 * np.sin(x / 12.0 * np.pi) + 300.0 * np.sin(x / 30.0 * np.pi)) * 2.0 / 3.0
    radians = lat / 180.0 * np.pi
    magic = 1.0 - ECCENTRICITY_SQUARED * np.sin(radians) ** 2
    root = np.sqrt(magic)
    north = north * 180.0 / (SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQUARED) / (magic * root) * np.pi)
    east = east * 180.0 / (SEMI_MAJOR_M / root * np.cos(radians) * np.pi)
    return east, north


def wgs84_to_gcj02(lon: Array, lat: Array) -> tuple[Array, Array]:
    """Degrees to degrees; points outside the box come back as they are."""
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    east, north = _offset(lon, lat)
    away = outside_mainland(lon, lat)
    return np.where(away, lon, lon + east), np.where(away, lat, lat + north)


def gcj02_to_wgs84(lon: Array, lat: Array, *, rounds: int = 12) -> tuple[Array, Array]:
    """Degrees to degrees by fixed-point iteration: guess, apply the forward shift, take the difference off the guess.

    The shift changes by less than a hundredth per degree, so each round gains about two decimals; `rounds` is a
    safety stop and four are enough for 1e-10 degrees (0.01 mm).
    """
    lon, lat = np.asarray(lon, float), np.asarray(lat, float)
    guess_lon, guess_lat = lon.copy(), lat.copy()
    for _ in range(rounds):
        there_lon, there_lat = wgs84_to_gcj02(guess_lon, guess_lat)
        step_lon, step_lat = lon - there_lon, lat - there_lat
        guess_lon, guess_lat = guess_lon + step_lon, guess_lat + step_lat
        if max(np.max(np.abs(step_lon), initial=0.0), np.max(np.abs(step_lat), initial=0.0)) < 1e-11:
            break
    away = outside_mainland(lon, lat)
    return np.where(away, lon, guess_lon), np.where(away, lat, guess_lat)


def bd09_to_wgs84(lon: Array, lat: Array) -> tuple[Array, Array]:
    """Baidu's second shift undone by its published approximate inverse (about 1 m), then GCJ-02 by iteration."""
    x, y = np.asarray(lon, float) - 0.0065, np.asarray(lat, float) - 0.006
    turn = np.pi * 3000.0 / 180.0
    radius = np.hypot(x, y) - 0.00002 * np.sin(y * turn)
    angle = np.arctan2(y, x) - 0.000003 * np.cos(x * turn)
    return gcj02_to_wgs84(radius * np.cos(angle), radius * np.sin(angle))


def _same(lon: Array, lat: Array) -> tuple[Array, Array]:
    return np.asarray(lon, float), np.asarray(lat, float)


# CGCS2000 and WGS 84 differ by millimetres to centimetres at a point: equal for warnings, not for survey.
FRAMES: dict[str, Callable[[Array, Array], tuple[Array, Array]]] = {
    "WGS84": _same,
    "CGCS2000": _same,
    "GCJ02": gcj02_to_wgs84,
    "BD09": bd09_to_wgs84,
}


def to_wgs84(frame: str, lon: Array, lat: Array) -> tuple[Array, Array]:
    """Degrees in `frame` (a key of FRAMES) to WGS 84; KeyError for a frame we do not know."""
    return FRAMES[frame](lon, lat)
