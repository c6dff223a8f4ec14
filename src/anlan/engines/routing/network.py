"""A road network as arrays: junctions, the segments between them, what each segment is, its shape."""
from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

EARTH_M = 6_371_008.8
CLASSES = (
    "motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "residential", "living_street", "service", "track", "road",
    "motorway_link", "trunk_link", "primary_link", "secondary_link", "tertiary_link", "pedestrian", "footway", "cycleway", "path", "steps", "bridleway",
)
BRIDGE, TUNNEL, UNPAVED, PRIVATE, NO_MOTOR, FORD, NO_FOOT = 1, 2, 4, 8, 16, 32, 64
FORMAT = 1


@dataclass
class Network:
    """`lon`, `lat` of N junctions in degrees; E segments from `tail` to `head`.

    `way`: OpenStreetMap's id; `kind`: place in CLASSES; `oneway`: 1 along, −1 against, 0 both; `flags`: bits above. Limits are NaN where not tagged.
    `shape_start` (E + 1) cuts `shape` (lon, lat) into the segments' lines, ends included.
    """

    lon: np.ndarray
    lat: np.ndarray
    tail: np.ndarray
    head: np.ndarray
    metres: np.ndarray
    kind: np.ndarray
    oneway: np.ndarray
    flags: np.ndarray
    way: np.ndarray
    max_speed: np.ndarray  # km/h
    max_height: np.ndarray  # m
    max_weight: np.ndarray  # t
    name: np.ndarray  # place in `names`, 0 is none
    shape_start: np.ndarray
    shape: np.ndarray
    names: list[str] = field(default_factory=lambda: [""])
    about: dict[str, Any] = field(default_factory=dict)  # source, data_time, digest, counts, attribution

    @property
    def size(self) -> int:
        return self.tail.size

    @cached_property
    def lines(self) -> Any:
        """The segments' lines in Mercator metres (distances are right after multiplying with the cosine of the latitude)."""
        import shapely

        points = mercator(self.shape[:, 0], self.shape[:, 1])
        return shapely.linestrings(points, indices=np.repeat(np.arange(self.size), np.diff(self.shape_start)))

    @cached_property
    def tree(self) -> Any:
        from shapely import STRtree

        return STRtree(self.lines)

    @cached_property
    def main(self) -> np.ndarray:
        """Which segments hang together with the largest part of the map. A point is put on a road one can leave."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        n = self.lon.size
        _, label = connected_components(coo_matrix((np.ones(self.size, np.int8), (self.tail, self.head)), shape=(n, n)), directed=False)
        return label[self.tail] == np.bincount(label[self.tail]).argmax()

    def line(self, segment: int) -> np.ndarray:
        """(k, 2) longitude and latitude."""
        return self.shape[self.shape_start[segment] : self.shape_start[segment + 1]]

    def within(self, area: Any, *, spare_bridges: bool = False) -> np.ndarray:
        """Segments that touch a shapely geometry in longitude and latitude; a flood may spare bridges."""
        import shapely

        moved = shapely.transform(area, lambda xy: mercator(xy[:, 0], xy[:, 1]))
        found = np.sort(self.tree.query(moved, predicate="intersects"))
        return found[(self.flags[found] & BRIDGE) == 0] if spare_bridges else found

    def save(self, path: Path, **more: Any) -> None:
        """One .npz without pickles, written whole or not at all."""
        arrays: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in ("names", "about")}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays, **more, names=np.frombuffer("\n".join(self.names).encode(), np.uint8),
                            about=np.frombuffer(json.dumps(self.about | {"format": FORMAT}).encode(), np.uint8))
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(path)


def load(path: Path) -> tuple[Network, dict[str, np.ndarray]]:
    """(network, the other arrays kept with it). ValueError when it is none of ours."""
    with np.load(path, allow_pickle=False) as store:
        about = json.loads(store["about"].tobytes())
        if about.get("format") != FORMAT:
            raise ValueError(f"{path}: format {about.get('format')} of a road network, this version reads {FORMAT}")
        own = {one.name for one in fields(Network)} - {"names", "about"}
        names = store["names"].tobytes().decode().split("\n")
        return Network(**{name: store[name] for name in own}, names=names, about=about), {name: store[name] for name in store.files if name not in own | {"names", "about"}}


def mercator(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Metres at the equator; angles are kept, so the nearest road is the nearest road at every latitude."""
    return np.column_stack([EARTH_M * np.radians(lon), EARTH_M * np.arcsinh(np.tan(np.radians(np.clip(lat, -85, 85))))])


def metres(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Any:
    """The great circle."""
    x1, y1, x2, y2 = (np.radians(one) for one in (lon1, lat1, lon2, lat2))
    a = np.sin((y2 - y1) / 2) ** 2 + np.cos(y1) * np.cos(y2) * np.sin((x2 - x1) / 2) ** 2
    return 2 * EARTH_M * np.arcsin(np.sqrt(np.clip(a, 0, 1)))


def straight(lon: np.ndarray, lat: np.ndarray, tail: np.ndarray, head: np.ndarray, **given: np.ndarray) -> Network:
    """A network of straight two-way segments, for tests, benchmarks and sketches."""
    size = tail.size
    shape = np.stack([np.column_stack([lon[end], lat[end]]) for end in (tail, head)], 1).reshape(-1, 2)
    none = np.full(size, np.nan, np.float32)
    parts: dict[str, Any] = {
        "metres": metres(lon[tail], lat[tail], lon[head], lat[head]), "kind": np.full(size, CLASSES.index("unclassified"), np.uint8),
        "oneway": np.zeros(size, np.int8), "flags": np.zeros(size, np.uint8), "way": np.arange(size), "max_speed": none, "max_height": none, "max_weight": none,
        "name": np.zeros(size, np.int32),
    } | given
    return Network(lon, lat, tail.astype(np.int32), head.astype(np.int32), shape_start=np.arange(0, 2 * size + 1, 2), shape=shape, **parts)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
