"""Areas of CAP as geometry: (longitude, latitude), WGS 84."""
from __future__ import annotations

import numpy as np
from pyproj import Geod
from shapely import Point, Polygon, make_valid, union_all
from shapely.geometry.base import BaseGeometry

from .model import Area

WGS84 = Geod(ellps="WGS84")
CIRCLE_STEPS = 72


def circle(lat: float, lon: float, radius_km: float) -> BaseGeometry:
    """A geodesic circle of `CIRCLE_STEPS` corners; a point when the radius is 0 (CAP allows it)."""
    if radius_km <= 0:
        return Point(lon, lat)
    azimuth = np.linspace(0, 360, CIRCLE_STEPS, endpoint=False)
    ones = np.ones_like(azimuth)
    lons, lats, _ = WGS84.fwd(lon * ones, lat * ones, azimuth, radius_km * 1000 * ones)
    return Polygon(np.column_stack([lons, lats]))


def area_geometry(area: Area) -> BaseGeometry | None:
    """The union of the area's polygons and circles; None when it has neither (geocodes or words only)."""
    shapes = [make_valid(Polygon([(lon, lat) for lat, lon in ring])) for ring in area.polygons]
    shapes += [circle(*one) for one in area.circles]
    return union_all(shapes) if shapes else None
