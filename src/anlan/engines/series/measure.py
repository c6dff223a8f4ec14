"""The engine on one share of a province's gauges, as one of several workers would run it: `python -m anlan.engines.series.measure STATIONS BINS`.

Waits for a line on standard input after compiling, so that several can begin together; prints {"readings", "seconds", "cpu"}.
"""
from __future__ import annotations

import json
import sys
import time

import numpy as np

from .engine import Engine, Grid
from .rules import Rule

BATCH = 10_000


def main(stations: int, bins: int) -> None:
    rng = np.random.default_rng(stations)
    value = rng.gamma(0.05, 12_000, bins * stations).astype(np.int64)
    series, at = np.tile(np.arange(stations), bins), np.repeat(np.arange(bins) * 300 + 300, stations)
    limits = np.tile(np.array([50_000, 50_000, 50_000, 100_000], np.int64), (stations, 1))
    rules = [Rule("sum", np.array([43200, 21600, 10800, 10800], np.int64), limits)]
    for most in (1, int(value.max())):  # narrow and wide ring
        Engine(stations, rules, grid=Grid(300, 0, 7200)).fold(series[:10], at[:10], np.minimum(value[:10], 0) + most)
    engine = Engine(stations, rules, grid=Grid(300, 0, 7200))
    print("ready", flush=True)
    sys.stdin.readline()
    began, spent = time.perf_counter(), time.process_time()
    for start in range(0, len(series), BATCH):
        part = slice(start, start + BATCH)
        engine.fold(series[part], at[part], value[part])
    print(json.dumps({"readings": len(series), "seconds": time.perf_counter() - began, "cpu": time.process_time() - spent}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
