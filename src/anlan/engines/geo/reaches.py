"""A reach of a river, and the strip of land along it: lines and kilometres in, areas out. Lines are (N, 2) lon, lat, WGS 84, from source to mouth.

    reach = Reach(line)
    reach.long_km                        length of the whole line
    reach.at_km(lon, lat)                how far from its beginning the nearest place of the line lies
    reach.point(km)                      (lon, lat) at that distance
    reach.strip(1.5, from_km, to_km)     all land within 1.5 km of that part, on both sides; round at the ends
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.enums import TransformDirection
from shapely import LineString, Point, transform
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring


class Reach:
    """A line in a plane of its own (azimuthal equidistant around its middle), where metres are metres."""

    def __init__(self, line: NDArray[np.float64]) -> None:
        line = np.asarray(line, np.float64)
        if line.ndim != 2 or line.shape[1] < 2 or len(line) < 2 or not np.isfinite(line).all():
            raise ValueError("a line needs two places at least")
        if np.abs(line[:, 0]).max() > 180 or np.abs(line[:, 1]).max() > 90:
            raise ValueError("longitude and latitude in degrees")
        lon, lat = line[:, :2].mean(axis=0)
        plane = f"+proj=aeqd +lon_0={lon} +lat_0={lat} +ellps=WGS84 +units=km"
        self._there = Transformer.from_crs("EPSG:4326", plane, always_xy=True)
        self.line = LineString(np.column_stack(self._there.transform(line[:, 0], line[:, 1])))
        if self.line.length == 0:
            raise ValueError("a line needs two places at least")

    @property
    def long_km(self) -> float:
        return float(self.line.length)

    def at_km(self, lon: float, lat: float) -> float:
        return float(self.line.project(Point(*self._there.transform(lon, lat))))

    def point(self, km: float) -> tuple[float, float]:
        here = self.line.interpolate(km)
        lon, lat = self._there.transform(here.x, here.y, direction=TransformDirection.INVERSE)
        return float(lon), float(lat)

    def _back(self, xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(self._there.transform(xy[:, 0], xy[:, 1], direction=TransformDirection.INVERSE))

    def strip(self, bank_km: float, from_km: float = 0.0, to_km: float | None = None) -> BaseGeometry:
        part = substring(self.line, min(from_km, self.long_km), self.long_km if to_km is None else min(to_km, self.long_km))
        return transform(part.buffer(bank_km, quad_segs=8), self._back)
