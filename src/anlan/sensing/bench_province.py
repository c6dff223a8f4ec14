"""A province whole: 100,000 gauges in the register with half a day of readings behind each, in an installation that runs.

`anlan bench --only province`, in a folder of its own; some minutes, most of them to enter the gauges and their past.
"""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import psutil
from django.db import connection

from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.models import Fact

from . import actions, history
from .bench_door import PARTS, Gauges, _row, need, processes
from .ingest import partition_of
from .models import Reading, Register, Series, Signal, Station

GAUGES, BINS, STEP = 100_000, 144, 300  # gauges, reports of each before, seconds between them
CHANGES = 20


def _station(code: str) -> dict[str, Any]:
    """Somewhere in 1000 km by 1000 km, always the same."""
    rng = np.random.default_rng(int(code[-6:]))
    return {"code": code, "name": code, "kind": "rain", "quantities": ["rain"], "lon": round(rng.uniform(105, 114), 5), "lat": round(rng.uniform(24, 33), 5)}


def _enter(codes: list[str]) -> float:
    """Enter the gauges by the action an importer uses; seconds."""
    have = set(Station.objects.filter(code__startswith="BENCH-").values_list("code", flat=True))
    rows = [row for row in map(_station, codes) if row["code"] not in have]
    began = time.perf_counter()
    for first in range(0, len(rows), 10_000):
        actions.import_stations(Act(Actor.machine("bench"), realms.actual()), rows=rows[first:first + 10_000], origin="bench")
    return time.perf_counter() - began


def _past(codes: list[str]) -> tuple[int, float]:
    """Half a day of light rain of each gauge, stored as the worker stores it: readings, and seconds of the storing."""
    actual, now = realms.actual(), int(clock.now().timestamp()) // STEP * STEP
    stations = dict(Station.objects.filter(code__in=codes).values_list("code", "pk"))
    Series.objects.bulk_create(
        [Series(realm_id=actual.pk, station_id=stations[code], quantity="rain", partition=partition_of(code)) for code in codes], batch_size=5000, ignore_conflicts=True,
    )
    keys = np.array(Series.objects.filter(realm_id=actual.pk, quantity="rain", station__code__startswith="BENCH-").order_by("pk").values_list("pk", flat=True), np.int64)
    if Reading.objects.filter(series_id=int(keys[-1])).exists():
        return 0, 0.0
    rng, flags = np.random.default_rng(9), np.zeros(len(keys), np.int64)
    began = time.perf_counter()
    for bin_ in range(BINS):
        at = np.full(len(keys), now - STEP * (BINS - bin_), np.int64)
        value = np.round(rng.gamma(0.05, 2, len(keys)) * 10).astype(np.int64)
        history.store(keys, at, value, flags, clock.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE sensing_series SET last_time = to_timestamp(%s), last_value = x.value, same_since = to_timestamp(%s), count = %s, silent_at = to_timestamp(%s) "
            "FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, value) WHERE sensing_series.id = x.id",
            [int(at[0]), int(at[0]), BINS, now + 1800, keys.tolist(), value.tolist()],
        )
        cursor.execute("ANALYZE sensing_reading, sensing_series, sensing_station")
    return len(keys) * BINS, time.perf_counter() - began


def _worker() -> psutil.Process:
    return next(process for part, process in processes().values() if part == PARTS["sense"])


def _alarm(gauges: Gauges, code: str, limit_s: float = 300) -> float:
    """Seconds from the publish of a reading that is red by itself until its SignalChanged can be read."""
    station = Station.objects.get(code=code)
    told = Fact.objects.filter(kind="sensing.SignalChanged", subject=f"station:{station.pk}")
    known, at, began = told.count(), clock.now().isoformat(), time.perf_counter()
    gauges.publish(code, {"t": at, "v": 150, "u": "mm"})
    while told.count() == known:
        if time.perf_counter() - began > limit_s:
            raise TimeoutError(f"no signal of {code}")
        time.sleep(0.002)
    return time.perf_counter() - began


def bench() -> list[dict[str, Any]]:
    """The figures; the gauges are left out of service."""
    codes = [f"BENCH-{number:06d}" for number in range(GAUGES)]
    entering = _enter(codes)
    readings, storing = _past(codes)
    rows = [
        _row("province, gauges entered", GAUGES / entering, "stations/s", f"{GAUGES:,} by the importer's action, {entering:.0f} s"),
    ]
    if readings:
        rows.append(_row("province, readings stored in bulk", readings / storing, "readings/s", f"{readings:,} of half a day, without roll-ups; the past that the rules reach"))
    red = set(Signal.objects.of(realms.actual()).filter(colour__gt=0).values_list("station__code", flat=True))
    calm = [code for code in codes if code not in red]
    gauges = Gauges(codes)
    try:
        # What was stored past the worker it reads when it begins anew, as after a crash.
        _worker().kill()
        first = _alarm(gauges, calm[0])
        rows.append(_row("province, from the worker's death to the first signal of the next", first, "s", f"started by the supervisor; its books built from the database: {GAUGES:,} gauges, {GAUGES * BINS:,} readings within reach of the rules"))
        memory = _worker().memory_info().rss / 1e6
        rows.append(_row("province, memory of the worker", memory, "MB", f"resident, {GAUGES:,} gauges"))
        quiet = sorted(_alarm(gauges, code) for code in calm[1:51])
        rows += [_row(f"province, MQTT publish to SignalChanged, p{share}", 1000 * quiet[int(49 * share / 100)], "ms", "50 gauges, one after another") for share in (50, 99)]
        changed = []
        for turn, code in enumerate(calm[100:100 + CHANGES]):
            actions.import_stations(Act(Actor.machine("bench"), realms.actual()), rows=[{**_station(code), "name": f"{code} {turn}"}], origin="bench")
            changed.append(_alarm(gauges, calm[200 + turn]))
        changed.sort()
        rows.append(_row("province, MQTT publish to SignalChanged right after a change of the register, median", 1000 * changed[len(changed) // 2], "ms", f"{CHANGES} changes of one gauge each; worst {1000 * changed[-1]:.0f} ms"))
        rows += need(gauges)
    finally:
        gauges.close()
        Station.objects.filter(code__startswith="BENCH-").update(active=False)
        Register.changed()
    return rows
