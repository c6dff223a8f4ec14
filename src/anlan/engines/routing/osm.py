"""OpenStreetMap into a network: every way with a `highway` we know, split where ways meet.

Kept: class, one-way, bridge, tunnel, ford, surface, access, limits of speed, height and weight, name. Not read: turn restrictions,
barriers on a node, ferries, opening hours.
"""
from __future__ import annotations

import re
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .network import BRIDGE, CLASSES, FORD, NO_FOOT, NO_MOTOR, PRIVATE, TUNNEL, UNPAVED, Network, digest, metres

CLASS_OF = {name: place for place, name in enumerate(CLASSES)}
YES = ("yes", "true", "1")
ROUGH = ("unpaved", "gravel", "dirt", "ground", "earth", "mud", "sand", "grass", "fine_gravel", "pebblestone", "compacted", "rock", "woodchips")
ATTRIBUTION = "© OpenStreetMap contributors, Open Database License 1.0"


class BadMap(ValueError):
    """The file cannot be read as OpenStreetMap data, or holds no roads."""


def read(path: Path, progress: Callable[[int], Any] = lambda _ways: None) -> Network:
    """`progress` hears the number of ways read so far, every few thousand; what it raises stops the import."""
    import osmium

    if not path.is_file():
        raise BadMap(f"{path}: no such file")
    refs, lons, lats, ends = array("q"), array("d"), array("d"), array("q")
    rows: list[tuple] = []
    names = {"": 0}
    seen = outside = 0
    try:
        source = osmium.FileProcessor(str(path)).with_locations().with_filter(osmium.filter.EntityFilter(osmium.osm.WAY)).with_filter(osmium.filter.KeyFilter("highway"))
        stamp = source.header.get("osmosis_replication_timestamp") or source.header.get("timestamp") or ""
        way: Any
        for way in source:
            seen += 1
            if seen % 5000 == 0:
                progress(seen)
            tags = way.tags
            kind = CLASS_OF.get(tags.get("highway", ""))
            if kind is None or tags.get("area") == "yes":
                continue
            row: tuple | None = None
            run = len(refs)
            # Where a node lies outside the extract the line is cut: two parts, no invented road between them.
            for node in [*way.nodes, None]:
                if node is not None and node.location.valid():
                    refs.append(node.ref)
                    lons.append(node.location.lon)
                    lats.append(node.location.lat)
                    continue
                outside += node is not None
                if len(refs) - run >= 2:
                    row = row or _row(tags, kind, way.id, names)
                    ends.append(len(refs))
                    rows.append(row)
                else:
                    del refs[run:], lons[run:], lats[run:]
                run = len(refs)
    except (RuntimeError, ValueError, OSError) as error:
        raise BadMap(f"{path}: {error}") from error
    if not rows:
        raise BadMap(f"{path}: no roads in it")
    progress(seen)
    found = _split(np.array(refs), np.column_stack([lons, lats]), np.array(ends), rows, list(names))
    found.about = {"source": path.name, "digest": digest(path), "data_time": stamp, "attribution": ATTRIBUTION, "ways": seen, "outside": outside}
    return found


def _row(tags: Any, kind: int, way: int, names: dict[str, int]) -> tuple:
    get = tags.get
    flags = 0
    flags |= BRIDGE * (get("bridge", "no") not in ("no",)) | TUNNEL * (get("tunnel", "no") not in ("no", "building_passage")) | FORD * (get("ford") in YES)
    flags |= UNPAVED * (get("surface") in ROUGH or (CLASSES[kind] == "track" and get("surface") is None))
    access, motor = get("access"), get("motor_vehicle") or get("vehicle")
    flags |= PRIVATE * ((motor or access) in ("private", "delivery", "customers", "destination", "agricultural", "forestry", "permit"))
    flags |= NO_MOTOR * ((motor or access) == "no") | NO_FOOT * (get("foot") == "no" or (access == "no" and get("foot") is None))
    word = get("oneway") or ""
    oneway = -1 if word in ("-1", "reverse") else 1 if word in YES or (word == "" and (get("junction") == "roundabout" or CLASSES[kind] == "motorway")) else 0
    name = get("name") or get("ref") or ""
    return (kind, flags, oneway, way, _speed(get("maxspeed")), _measure(get("maxheight"), 0.3048), _measure(get("maxweight"), 0.9072), names.setdefault(name.replace("\n", " "), len(names)))


def _speed(text: str | None) -> float:
    """km/h; NaN when not a number (signals, national rules)."""
    if not text or not (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(km/h|kmh|kph|mph)?\s*", text)):
        return np.nan
    return float(match[1]) * (1.609344 if match[2] == "mph" else 1.0) or np.nan


def _measure(text: str | None, other: float) -> float:
    """Metres or tonnes; feet and short tons are converted; NaN when it is no number."""
    if not text:
        return np.nan
    text = text.strip().replace(",", ".")
    if match := re.fullmatch(r"(\d+)\s*'\s*(?:(\d+)\s*\"?)?", text):
        return int(match[1]) * 0.3048 + int(match[2] or 0) * 0.0254
    if not (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(m|t|kg|ft|st|lbs)?", text)):
        return np.nan
    scale = {"kg": 0.001, "ft": other, "st": other, "lbs": 0.000453592}.get(match[2] or "", 1.0)
    return float(match[1]) * scale or np.nan


def _split(refs: np.ndarray, places: np.ndarray, ends: np.ndarray, rows: list[tuple], names: list[str]) -> Network:
    """Cut the lines at every node that two lines share or a line meets twice, and at their ends."""
    ids, first, at, uses = np.unique(refs, return_index=True, return_inverse=True, return_counts=True)
    begins = np.r_[0, ends[:-1]]
    cut = uses[at] > 1
    cut[begins] = cut[ends - 1] = True
    last = np.zeros(refs.size, bool)
    last[ends - 1] = True
    # A segment begins at every cut node that does not end its line, and goes to the next cut node.
    cuts = np.flatnonzero(cut)
    here = cuts[~last[cuts]]
    there = cuts[np.searchsorted(cuts, here, side="right")]
    of = np.searchsorted(ends, here, side="right")
    junctions = np.unique(at[np.r_[here, there]])
    number = np.full(ids.size, -1, np.int32)
    number[junctions] = np.arange(junctions.size)
    step = np.r_[metres(places[:-1, 0], places[:-1, 1], places[1:, 0], places[1:, 1]), 0.0]
    along = np.r_[0.0, np.cumsum(step)]
    length = there - here + 1
    shape_start = np.r_[0, np.cumsum(length)]
    pick = np.repeat(here - shape_start[:-1], length) + np.arange(shape_start[-1])
    table = list(zip(*rows, strict=True))

    def column(k: int, kind: Any) -> np.ndarray:
        return np.array(table[k], kind)[of]

    return Network(
        lon=places[first[junctions], 0], lat=places[first[junctions], 1], tail=number[at[here]], head=number[at[there]], metres=along[there] - along[here],
        kind=column(0, np.uint8), flags=column(1, np.uint8), oneway=column(2, np.int8), way=column(3, np.int64), max_speed=column(4, np.float32),
        max_height=column(5, np.float32), max_weight=column(6, np.float32), name=column(7, np.int32), shape_start=shape_start, shape=places[pick], names=names,
    )
