"""Roads of the made-up city: between neighbouring towns, and from each town to its villages. Values in, a network out; nothing of it is on any map."""
from __future__ import annotations

import numpy as np
import shapely
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path
from scipy.spatial import Delaunay

from anlan.engines.geo import City
from anlan.engines.routing import CLASSES, Network, Router, network
from anlan.logistics import compute

from . import villages
from .stations import MADE_UP

WINDING = 1.3  # a road of the hills over its straight line: our choice, no measurement
NAMES = {"trunk": "G990国道（虚构）", "secondary": "县道（虚构）", "tertiary": "乡道（虚构）"}


def neighbours(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """(E, 2): pairs between which no third lies (the Gabriel graph; Gabriel and Sokal 1969), as roads join neighbouring towns."""
    at = np.column_stack([lon * np.cos(np.radians(lat.mean())), lat])
    pairs = np.unique(np.sort(np.vstack([Delaunay(at).simplices[:, pick] for pick in ((0, 1), (1, 2), (0, 2))]), axis=1), axis=0)
    middle, reach = at[pairs].mean(axis=1), np.linalg.norm(at[pairs[:, 0]] - at[pairs[:, 1]], axis=1) / 2
    free = (np.linalg.norm(middle[:, None] - at[None], axis=2) < reach[:, None] * (1 - 1e-9)).sum(axis=1) == 0
    return pairs[free]


def grow(city: City) -> Network:
    """Towns joined to their neighbours, the ways between county seats as trunk roads; each town's villages on a tree of lanes. What crosses a river is a bridge."""
    people = villages.of(city)
    places = [*city.towns, *people]
    lon, lat = (np.array([getattr(one, name) for one in places]) for name in ("lon", "lat"))
    many = len(city.towns)
    between = neighbours(lon[:many], lat[:many])
    metres = network.metres(lon[between[:, 0]], lat[between[:, 0]], lon[between[:, 1]], lat[between[:, 1]])
    graph = coo_matrix((metres, between.T), shape=(many, many)).tocsr()
    seats = [int(np.argmin(network.metres(county.lon, county.lat, lon[:many], lat[:many]))) for county in city.counties]
    far, before = shortest_path(graph, directed=False, indices=seats, return_predecessors=True)
    joined = minimum_spanning_tree(far[:, seats]).tocoo()
    trunk: set[tuple[int, int]] = set()
    for a, b in zip(joined.row.tolist(), joined.col.tolist(), strict=True):
        at = seats[b]
        while at != seats[a]:
            last = int(before[a, at])
            trunk.add((min(at, last), max(at, last)))
            at = last
    edges, kinds = between.tolist(), ["trunk" if (a, b) in trunk else "secondary" for a, b in between.tolist()]
    number = {town.code: place for place, town in enumerate(city.towns)}
    for town in city.towns:
        mine = [number[town.code], *(many + place for place, village in enumerate(people) if village.parent == town.code)]
        apart = network.metres(lon[mine][:, None], lat[mine][:, None], lon[mine][None], lat[mine][None])
        lanes = minimum_spanning_tree(apart).tocoo()
        edges += [[mine[a], mine[b]] for a, b in zip(lanes.row.tolist(), lanes.col.tolist(), strict=True)]
        kinds += ["tertiary"] * lanes.nnz
    tail, head = np.array(edges, np.int64).T
    rivers = shapely.union_all([river.line for river in city.rivers])
    over = shapely.intersects(shapely.linestrings(np.stack([np.column_stack([lon[end], lat[end]]) for end in (tail, head)], axis=1)), rivers)
    words = ["", *NAMES.values()]
    made = network.straight(
        lon, lat, tail, head, metres=network.metres(lon[tail], lat[tail], lon[head], lat[head]) * WINDING, kind=np.array([CLASSES.index(kind) for kind in kinds], np.uint8),
        flags=np.where(over, network.BRIDGE, 0).astype(np.uint8), name=np.array([words.index(NAMES[kind]) for kind in kinds], np.int32),
    )
    made.names = words
    made.about = {"source": MADE_UP.format(seed=city.seed), "attribution": MADE_UP.format(seed=city.seed), "data_time": ""}
    return made


def lay(city: City) -> int:
    """Take them over as the roads of this house, unless it has some; how many segments are new."""
    if compute.road_file().exists():
        return 0
    made = grow(city)
    made.save(compute.road_file(), **Router(made).kept)
    return made.size
