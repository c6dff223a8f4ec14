"""Whom does an area reach: a million points against a drawn polygon, exactly, in about a millisecond.

    contacts = Contacts(lon, lat)        arrays (N,), degrees, WGS 84; sorted into a grid once
    contacts.inside(area)                indices (int32) of the points inside a Polygon or MultiPolygon, in no order

A cell of the grid is inside as a whole, outside as a whole, or cut by an edge. Whole cells are taken as runs of the sorted points; only the points of cut
cells are tested, against the edges of their own row. Even-odd over all rings, so holes and several parts cost nothing extra. A point exactly on an
edge may fall on either side.
"""
from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

PER_CELL = 16


class Contacts:
    """Points in a grid, sorted by cell. About 24 bytes a point; built in a fraction of a second for a million."""

    def __init__(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
        lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
        if lon.shape != lat.shape or lon.ndim != 1 or not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise ValueError("lon and lat must be one-dimensional, of one length, and finite")
        self.size = len(lon)
        side = max(1, int(np.sqrt(self.size / PER_CELL)))
        self.west, self.south = (float(lon.min()), float(lat.min())) if self.size else (0.0, 0.0)
        east, north = (float(lon.max()), float(lat.max())) if self.size else (1.0, 1.0)
        # A hair wider than the points, so that the outermost fall into the last cells.
        self.wide = max((east - self.west) / side * (1 + 1e-12), 1e-9)
        self.high = max((north - self.south) / side * (1 + 1e-12), 1e-9)
        self.side = side
        column = np.minimum(((lon - self.west) / self.wide).astype(np.int64), side - 1)
        row = np.minimum(((lat - self.south) / self.high).astype(np.int64), side - 1)
        cell = row * side + column
        self.order = np.argsort(cell, kind="stable").astype(np.int32)
        self.lon, self.lat = lon[self.order], lat[self.order]
        self.start = np.searchsorted(cell[self.order], np.arange(side * side + 1)).astype(np.int32)

    def inside(self, area: BaseGeometry) -> NDArray[np.int32]:
        edges = edges_of(area)
        if not self.size or not len(edges):
            return np.empty(0, np.int32)
        return _inside(edges, self.lon, self.lat, self.order, self.start, self.west, self.south, self.wide, self.high, self.side)


def edges_of(area: BaseGeometry) -> NDArray[np.float64]:
    """(M, 4) x1, y1, x2, y2 of every ring; level edges are left out, a ray never crosses them."""
    found = []
    for part in getattr(area, "geoms", [area]):
        if isinstance(part, Polygon) and not part.is_empty:
            for ring in (part.exterior, *part.interiors):
                xy = np.asarray(ring.coords)[:, :2]
                found.append(np.hstack([xy[:-1], xy[1:]]))
    return np.ascontiguousarray(np.concatenate(found)) if found else np.empty((0, 4))


@njit(cache=True)
def _inside(edges, lon, lat, order, start, west, south, wide, high, side):  # type: ignore[no-untyped-def]
    low, top = edges[:, 1].min(), edges[:, 1].max()
    for index in range(len(edges)):
        low, top = min(low, edges[index, 3]), max(top, edges[index, 3])
    first = max(0, int(np.floor((low - south) / high)) - 1)
    last = min(side - 1, int(np.floor((top - south) / high)) + 1)
    if last < first:
        return np.empty(0, np.int32)
    rows = last - first + 1
    # Edges by the rows they touch: count, then fill.
    begin = np.zeros(rows + 1, np.int64)
    for index in range(len(edges)):
        y1, y2 = edges[index, 1], edges[index, 3]
        a = max(first, int(np.floor((min(y1, y2) - south) / high)) - 1)
        b = min(last, int(np.floor((max(y1, y2) - south) / high)) + 1)
        for row in range(a, b + 1):
            begin[row - first + 1] += 1
    for row in range(rows):
        begin[row + 1] += begin[row]
    bucket = np.empty(begin[rows], np.int32)
    filled = begin[:rows].copy()
    for index in range(len(edges)):
        y1, y2 = edges[index, 1], edges[index, 3]
        a = max(first, int(np.floor((min(y1, y2) - south) / high)) - 1)
        b = min(last, int(np.floor((max(y1, y2) - south) / high)) + 1)
        for row in range(a, b + 1):
            bucket[filled[row - first]] = index
            filled[row - first] += 1
    size = 0
    found = np.empty(1024, np.int32)
    cut = np.zeros(side, np.bool_)
    for row in range(first, last + 1):
        down, up = south + row * high, south + (row + 1) * high
        middle = 0.5 * (down + up)
        mine = bucket[begin[row - first]:begin[row - first + 1]]
        if len(mine) == 0:
            continue
        cut[:] = False
        crossings = np.empty(len(mine), np.float64)
        crossed = 0
        for index in mine:
            x1, y1, x2, y2 = edges[index, 0], edges[index, 1], edges[index, 2], edges[index, 3]
            # The part of the edge within this row, a hair wider, marks the cells it runs through.
            under, over = down - 1e-9 * high, up + 1e-9 * high
            if max(y1, y2) >= under and min(y1, y2) <= over:
                if y1 == y2:
                    xa, xb = x1, x2
                else:
                    ta, tb = (under - y1) / (y2 - y1), (over - y1) / (y2 - y1)
                    if ta > tb:
                        ta, tb = tb, ta
                    ta, tb = max(0.0, ta), min(1.0, tb)
                    xa, xb = x1 + ta * (x2 - x1), x1 + tb * (x2 - x1)
                if xa > xb:
                    xa, xb = xb, xa
                ca = int(np.floor((xa - west) / wide - 1e-9))
                cb = int(np.floor((xb - west) / wide + 1e-9))
                for column in range(max(0, ca), min(side - 1, cb) + 1):
                    cut[column] = True
            if (y1 > middle) != (y2 > middle):
                crossings[crossed] = x1 + (middle - y1) * (x2 - x1) / (y2 - y1)
                crossed += 1
        across = np.sort(crossings[:crossed])
        passed = 0
        column = 0
        while column < side:
            centre = west + (column + 0.5) * wide
            while passed < crossed and across[passed] <= centre:
                passed += 1
            if cut[column]:
                cell = row * side + column
                for point in range(start[cell], start[cell + 1]):
                    x, y = lon[point], lat[point]
                    odd = False
                    for index in mine:
                        y1, y2 = edges[index, 1], edges[index, 3]
                        if (y1 > y) != (y2 > y):
                            x1, x2 = edges[index, 0], edges[index, 2]
                            if x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
                                odd = not odd
                    if odd:
                        if size == len(found):
                            bigger = np.empty(2 * len(found), np.int32)
                            bigger[:size] = found[:size]
                            found = bigger
                        found[size] = order[point]
                        size += 1
                column += 1
                continue
            if passed % 2 == 0:
                column += 1
                continue
            run = column
            while run < side and not cut[run]:
                run += 1
            a, b = start[row * side + column], start[row * side + run - 1 + 1]
            need = size + b - a
            if need > len(found):
                bigger = np.empty(max(need, 2 * len(found)), np.int32)
                bigger[:size] = found[:size]
                found = bigger
            found[size:need] = order[a:b]
            size = need
            column = run
    return found[:size].copy()
