"""An irregular mesh over a rectangle: jittered points, their Voronoi cells, and who is whose neighbour.

A raster would draw rivers and borders in 45° steps; cells of random shape look grown, and neighbours still share their
edges vertex by vertex, which is what keeps areas free of gaps and overlaps.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

Array = np.ndarray


@dataclass(frozen=True)
class Mesh:
    """points: (N, 2) km east and north; cells: (N,) polygons in km; neighbours of n: `links[starts[n]:starts[n+1]]`, ascending."""

    points: Array
    cells: Array
    starts: Array
    links: Array
    edge: Array  # (N,) bool: on the rim of the rectangle

    def around(self, node: int) -> Array:
        return self.links[self.starts[node]:self.starts[node + 1]]


def make_mesh(seed: int, width_km: float, height_km: float, spacing_km: float) -> Mesh:
    """Hexagonal lattice with jitter; O(N log N). Cells of the rim reach beyond the rectangle and are not meant to be shown."""
    rng = np.random.default_rng([seed, 1])
    rows = np.arange(0.0, height_km + 1e-9, spacing_km * np.sqrt(3) / 2)
    columns = np.arange(0.0, width_km + 1e-9, spacing_km)
    x = columns[None, :] + np.where(np.arange(len(rows)) % 2 == 0, 0.0, spacing_km / 2)[:, None]
    y = np.broadcast_to(rows[:, None], x.shape)
    points = np.column_stack([x.ravel(), y.ravel()])
    points = points + rng.uniform(-0.33, 0.33, points.shape) * spacing_km
    cloud = shapely.multipoints(points)
    cells = np.array(shapely.get_parts(shapely.voronoi_polygons(cloud, ordered=True)), dtype=object)
    # Triangles carry the input's own coordinates back, so a sorted view of the points names their corners.
    corners = shapely.get_coordinates(shapely.delaunay_triangles(cloud)).reshape(-1, 4, 2)[:, :3]
    order = np.lexsort((points[:, 1], points[:, 0]))
    keys = points[order, 0]
    flat = corners.reshape(-1, 2)
    found = order[np.searchsorted(keys, flat[:, 0])]
    if not np.array_equal(points[found], flat):
        raise ValueError("two mesh points share a coordinate; take another seed")
    triangles = found.reshape(-1, 3)
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.unique(np.concatenate([pairs, pairs[:, ::-1]]), axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(len(points) + 1))
    rim = spacing_km * 0.8
    edge = (
        (points[:, 0] < rim) | (points[:, 0] > columns[-1] - rim) | (points[:, 1] < rim) | (points[:, 1] > rows[-1] - rim)
    )
    return Mesh(points=points, cells=cells, starts=starts, links=pairs[:, 1], edge=edge)
