"""Figures of targeting: a drawn polygon of 1,000 corners against 1,000,000 contacts, ours and geopandas' in the same run.

    python tools/target_bench.py [--contacts 1000000] [--corners 1000] [--peers]      # pip install geopandas for --peers

Contacts lie evenly over two by two degrees; the polygon is a rough star around the middle that holds about a fifth of them. Answers are compared
point by point. CPU time of one core, median of 15, warm: points (and the others' spatial index) are ready, the polygon is new to everybody.
"""
from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from shapely import Polygon, STRtree, contains_xy, points, prepare

from anlan.engines.geo.targeting import Contacts

ROUNDS = 15


def star(corners: int, seed: int = 2) -> Polygon:
    rng = np.random.default_rng(seed)
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    walk = np.cumsum(rng.normal(size=corners))
    walk -= np.linspace(0, walk[-1], corners)
    far = 0.6 * (1 + 0.35 * walk / np.abs(walk).max())
    return Polygon(np.column_stack([111 + far * np.cos(turn), 31 + far * np.sin(turn)]))


def median(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return sorted(times)[ROUNDS // 2] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=1_000_000)
    parser.add_argument("--corners", type=int, default=1_000)
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    lon, lat = 110 + 2 * rng.random(args.contacts), 30 + 2 * rng.random(args.contacts)
    area = star(args.corners)
    began = time.process_time()
    contacts = Contacts(lon, lat)
    print(f"{args.contacts:,} contacts put in order in {time.process_time() - began:.2f} s of CPU")
    found = np.sort(contacts.inside(area))
    ready = star(args.corners)
    prepare(ready)
    assert np.array_equal(found, np.nonzero(contains_xy(ready, lon, lat))[0]), "not the points shapely finds"
    print(f"{len(found):,} inside, the very points shapely finds")
    ours = median(lambda: contacts.inside(area))
    print(f"anlan                     {ours:10.2f} ms")
    tree = STRtree(points(lon, lat))
    theirs = median(lambda: tree.query(star(args.corners), predicate="contains"))
    print(f"shapely STRtree.query     {theirs:10.2f} ms  {theirs / ours:6.1f} times ours")
    if args.peers:
        geopandas = importlib.import_module("geopandas")
        people = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(lon, lat), crs=4326)
        people.sindex  # noqa: B018  built once, as ours is
        drawn = geopandas.GeoDataFrame(geometry=[area], crs=4326)
        assert len(geopandas.sjoin(people, drawn, predicate="within")) == len(found)
        theirs = median(lambda: geopandas.sjoin(people, drawn, predicate="within"))
        print(f"geopandas sjoin           {theirs:10.2f} ms  {theirs / ours:6.1f} times ours")


if __name__ == "__main__":
    main()
