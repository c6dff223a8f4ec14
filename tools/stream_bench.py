"""Figures of the rule engine: a province's day of rain, our engines, and others if they are installed.

    python tools/stream_bench.py [--gauges 100000] [--folder build/streams] [--peers]        # pip install polars duckdb for --peers

The workload: rain gauges, a report each 5 minutes, 24 h of event time; 0.5 % of the reports never arrive, 1 % arrive twice, 2 % are late by up
to 15 minutes; three rain bands and 16 moving cells over 1000 x 1000 km. It is the same everywhere: raw PCG64 bits, and a printed SHA-256.
What is right is worked out twice: by cumulative sums over whole days, and, for the first 300 gauges, by adding every window up from scratch.
Only CPU time is compared (user + system, best of several runs): other programs on the machine hardly change it.
"""
from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from anlan.engines.series import Colours, Engine, Exact, Grid, Measure, Term, Transitions

START, STEP, BINS = 1_780_272_000, 300, 288
HOURS = (1, 3, 6, 12, 24)
BATCHES = (100_000, 10_000)


def workload(count: int, seed: int = 20260601):
    """(series int32, time int32, value int16 in tenths of a millimetre, digest, dense values, present)."""
    rng = np.random.Generator(np.random.PCG64(seed))
    xy = rng.random((count, 2)) * 1000.0
    rain = np.zeros((count, BINS), np.float32)
    tick = np.arange(1, BINS + 1, dtype=np.float32)
    for _ in range(3):
        a, b, phase = rng.random(3)
        wave = np.sin(xy[:, :1] / (60 + 100 * a) + xy[:, 1:] / (80 + 100 * b) + phase * 6.28 + tick[None, :] / 30.0).astype(np.float32)
        rain += np.clip(wave - 0.8, 0, None) * 0.6
    for _ in range(16):
        cx, cy, radius, begin, lasts, speed, course, peak = rng.random(8)
        cx, cy, radius, begin, lasts = cx * 1000, cy * 1000, 8 + 14 * radius, int(begin * (BINS - 30)), int(18 + lasts * 60)
        vx, vy, peak = np.cos(course * 6.2832) * (speed * 1.2), np.sin(course * 6.2832) * (speed * 1.2), 2.0 + 5.0 * peak
        for j in range(begin, min(BINS, begin + lasts)):
            distance = (xy[:, 0] - cx - vx * (j - begin)) ** 2 + (xy[:, 1] - cy - vy * (j - begin)) ** 2
            near = np.nonzero(distance < (3 * radius) ** 2)[0]
            rain[near, j] += (peak * np.sin(np.pi * (j - begin + 0.5) / lasts) * np.exp(-distance[near] / (2 * radius * radius))).astype(np.float32)
    rain *= 0.5 + rng.random((count, BINS)).astype(np.float32)
    dense = np.floor(rain * 10 + 0.5).astype(np.int16)
    present = rng.random((count, BINS)) >= 0.005
    s, j = np.nonzero(present)
    s, t, v = s.astype(np.int32), (START + (j + 1) * STEP).astype(np.int32), dense[s, j]
    delay = rng.random(len(s)) * 30
    late = rng.random(len(s)) < 0.02
    delay = np.where(late, 30 + rng.random(len(s)) * 868, delay)
    twice = np.nonzero(rng.random(len(s)) < 0.01)[0]
    again = np.minimum(delay[twice] + rng.random(len(twice)) * 600, 899)
    s, t, v = np.concatenate((s, s[twice])), np.concatenate((t, t[twice])), np.concatenate((v, v[twice]))
    arrival = (t.astype(np.int64) - START) * 1000 + (np.concatenate((delay, again)) * 1000).astype(np.int64)
    order = np.argsort(arrival, kind="stable")
    s, t, v, arrival = s[order], t[order], v[order], arrival[order]
    digest = hashlib.sha256(b"".join(np.ascontiguousarray(c).tobytes() for c in (s, t, v, arrival))).hexdigest()[:16]
    return s, t, v, digest, dense, present


def right(dense, present):
    """Every change of colour, by cumulative sums: (series, time, old, new, five sums)."""
    total = np.zeros((len(dense), BINS + 1), np.int32)
    np.cumsum(np.where(present, dense, 0), axis=1, out=total[:, 1:])
    sums = []
    for hours in HOURS:
        window = total[:, 1:].copy()
        if hours * 12 < BINS:
            window[:, hours * 12 :] -= total[:, 1 : -hours * 12]
        sums.append(window)
    _s1, s3, s6, s12, _s24 = sums
    colour = np.where(s3 >= 1000, 4, np.where(s3 >= 500, 3, np.where(s6 >= 500, 2, np.where(s12 >= 500, 1, 0)))).astype(np.int8)
    out = []
    for s in np.nonzero((colour * present).any(axis=1))[0]:
        bins = np.nonzero(present[s])[0]
        mine = colour[s, bins]
        for i in np.nonzero(mine != np.concatenate(([0], mine[:-1])))[0]:
            j = bins[i]
            out.append((s, START + (j + 1) * STEP, mine[i - 1] if i else 0, mine[i], *(window[s, j] for window in sums)))
    return np.array(out, np.int64).reshape(-1, 9)


def slow_now(s, t, v, limit):
    """The first `limit` gauges judged at once: after each arrival every window added up from scratch at the newest time shown."""
    chosen = np.nonzero(s < limit)[0]
    seen, newest, colour, out = {}, {}, {}, []
    for g, at, value in zip(s[chosen].tolist(), t[chosen].tolist(), v[chosen].tolist(), strict=True):
        mine = seen.setdefault(g, {})
        if at in mine:
            continue
        mine[at] = value
        newest[g] = top = max(newest.get(g, 0), at)
        sums = [sum(mine.get(x, 0) for x in range(top - hours * 3600 + STEP, top + 1, STEP)) for hours in HOURS]
        new = 4 if sums[1] >= 1000 else 3 if sums[1] >= 500 else 2 if sums[2] >= 500 else 1 if sums[3] >= 500 else 0
        if new != colour.get(g, 0):
            out.append((g, top, colour.get(g, 0), new, *sums))
            colour[g] = new
    return np.array(out, np.int64).reshape(-1, 9)


def rule():
    def term(colour, hours, limit):
        return Term(colour, Measure("sum", hours * 3600), limit)

    return Colours((term(4, 3, 1000), term(3, 3, 500), term(2, 6, 500), term(1, 12, 500)))


EXTRA = [Measure("sum", hours * 3600) for hours in HOURS]


def table(parts):
    found = Transitions.join(parts, 5)
    rows = np.column_stack([found.series, found.time, found.old, found.new, found.measures]) if len(found) else np.zeros((0, 9), np.int64)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def run(make, columns, batch):
    """(readings a CPU-second, latencies of batches in ms, changes)."""
    engine, parts, spent = make(), [], []
    began = time.process_time()
    for start in range(0, len(columns[0]), batch):
        at = time.perf_counter()
        found = engine.fold(*(column[start : start + batch] for column in columns)).transitions
        spent.append(time.perf_counter() - at)
        if len(found):
            parts.append(found)
    if isinstance(engine, Exact):
        parts.append(engine.finish())
    return len(columns[0]) / (time.process_time() - began), np.array(spent) * 1000, table(parts), engine


def measure(columns, want, dense_count, repeat):
    engines = {"exact": lambda: Exact(dense_count, [rule()], grid=Grid(STEP), extra=EXTRA),
               "now": lambda: Engine(dense_count, [rule()], grid=Grid(STEP, 0, 7200), extra=EXTRA)}
    for name, make in engines.items():
        run(make, [column[:1000] for column in columns], 1000)  # compiled, or read from the cache
        for batch in BATCHES:
            best = max((run(make, columns, batch) for _ in range(repeat)), key=lambda result: result[0])
            rate, spent, rows, engine = best
            if name == "exact":
                verdict = f"{len(rows)} of {len(want)} changes, {'all equal' if rows.shape == want.shape and (rows == want).all() else 'NOT EQUAL'}"
            else:
                limit = min(dense_count, 400)
                slow, mine = slow_now(*columns, limit), rows[rows[:, 0] < limit]
                order = np.lexsort((np.arange(len(slow)), slow[:, 1], slow[:, 0]))
                verdict = f"{len(rows)} changes; of {limit} gauges {len(slow)}, {'all equal' if np.array_equal(mine, slow[order]) else 'NOT EQUAL'}"
            print(f"{name:5} batches of {batch:7,}: {rate / 1e6:6.1f} M readings/CPU-s; batch p50 {np.percentile(spent, 50):.2f} p99 {np.percentile(spent, 99):.2f} "
                  f"max {spent.max():.2f} ms; {verdict}; counts {engine.counts[0].tolist()}", flush=True)


def limits(columns, count, repeat):
    """What memory alone allows: the scatter of the readings and the five sums."""
    s, t, v = columns
    ring, place = np.zeros(count * BINS, np.int16), s.astype(np.int64) + count * ((t.astype(np.int64) - START) // STEP - 1)
    narrow = v.astype(np.int16)

    def timed(function):
        spent = []
        for _ in range(repeat):
            began = time.process_time()
            function()
            spent.append(time.process_time() - began)
        return min(spent)

    def sums():
        total, rows = np.zeros((5, count), np.int32), ring.reshape(BINS, count)
        for b in range(BINS):
            for q, hours in enumerate(HOURS):
                total[q] += rows[b]
                if b >= hours * 12:
                    total[q] -= rows[b - hours * 12]

    scatter, sweep = timed(lambda: ring.__setitem__(place, narrow)), timed(sums)
    print(f"bound of the layout: scatter {len(s) / scatter / 1e6:.0f} M/CPU-s, five sums {len(s) / sweep / 1e6:.0f} M/CPU-s, "
          f"together {len(s) / (scatter + sweep) / 1e6:.0f} M/CPU-s", flush=True)


PEERS = {
    "polars": """
import os, sys, time; os.environ["POLARS_MAX_THREADS"] = "1"
import polars as pl
began = time.process_time()
frame = pl.scan_parquet(sys.argv[1]).select("sensor", pl.from_epoch("t", time_unit="s").alias("ts"), "t", pl.col("v").cast(pl.Int32)).unique(["sensor", "t"]).sort("sensor", "t")
frame = frame.with_columns([pl.col("v").rolling_sum_by("ts", window_size=f"{h}h", closed="right").over("sensor").alias(f"s{h}") for h in (1, 3, 6, 12, 24)])
frame = frame.with_columns(pl.when(pl.col("s3") >= 1000).then(4).when(pl.col("s3") >= 500).then(3).when(pl.col("s6") >= 500).then(2).when(pl.col("s12") >= 500).then(1).otherwise(0).alias("new"))
frame = frame.with_columns(pl.col("new").shift(1).over("sensor").fill_null(0).alias("old")).filter(pl.col("old") != pl.col("new"))
print(len(frame.collect()), time.process_time() - began, pl.__version__)
""",
    "duckdb": """
import sys, time
import duckdb
began = time.process_time()
c = duckdb.connect(); c.execute("SET threads=1")
w = lambda h: f"sum(v) OVER (PARTITION BY sensor ORDER BY t RANGE BETWEEN {h * 3600 - 300} PRECEDING AND CURRENT ROW)::INT"
rows = c.execute(f\"\"\"WITH d AS (SELECT DISTINCT sensor,t,v FROM '{sys.argv[1]}'), s AS (SELECT sensor,t,{w(1)} s1,{w(3)} s3,{w(6)} s6,{w(12)} s12,{w(24)} s24 FROM d),
 k AS (SELECT *, CASE WHEN s3>=1000 THEN 4 WHEN s3>=500 THEN 3 WHEN s6>=500 THEN 2 WHEN s12>=500 THEN 1 ELSE 0 END col FROM s),
 l AS (SELECT *, coalesce(lag(col) OVER (PARTITION BY sensor ORDER BY t),0) old FROM k) SELECT * FROM l WHERE col<>old\"\"\").fetchall()
print(len(rows), time.process_time() - began, duckdb.__version__)
""",
}


def peers(columns, folder):
    import pyarrow as pa
    import pyarrow.parquet as pq

    s, t, v = columns
    path = folder / f"peers-{len(s)}.parquet"
    pq.write_table(pa.table({"sensor": s, "t": t, "v": v.astype(np.int16)}), path)
    for name, code in PEERS.items():
        done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{name}: not measured: {done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}", flush=True)
            continue
        changes, spent, version = done.stdout.split()
        print(f"{name} {version}: {len(s) / float(spent) / 1e6:.2f} M readings/CPU-s, one thread, from Parquet; {changes} changes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gauges", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--seed", type=int, default=20260601)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("build/streams"))
    parser.add_argument("--peers", action="store_true")
    args = parser.parse_args()
    for count in args.gauges:
        s, t, v, digest, dense, present = workload(count, args.seed)
        want = right(dense, present)
        del dense, present
        columns = (s, t, v)
        print(f"--- {count:,} gauges, {len(s):,} readings, seed {args.seed}, sha256 {digest}...", flush=True)
        measure(columns, want, count, args.repeat)
        limits(columns, count, args.repeat)
        if args.peers:
            args.folder.mkdir(parents=True, exist_ok=True)
            peers(columns, args.folder)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB (the making of the workload included)")


if __name__ == "__main__":
    main()
