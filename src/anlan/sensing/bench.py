"""What this room measures of itself, for `anlan bench`: the rule engine alone, and readings through the whole ingest."""
from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson

from anlan.engines.series import Engine, Grid, Rule
from anlan.kernel import realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.models import Realm

from . import actions, bench_door, bench_province, broker, ingest, queries
from .ingest import Sample
from .models import Register, Station
from .worker import Processor, feed, prepare

STATIONS, BINS = 2000, 36  # three hours of 5-minute reports
START = datetime(2021, 7, 20, tzinfo=UTC)
WAIT_S = 300


def _row(figure: str, value: float, unit: str, note: str) -> dict[str, Any]:
    return {"figure": figure, "value": round(value, 1), "unit": unit, "note": note}


def engine_rate() -> list[dict[str, Any]]:
    """The engine alone on arrays: 2,000 gauges, four days of 5-minute rain, batches of 10,000, CMA rainstorm rule."""
    rng = np.random.default_rng(20260601)
    bins = 4 * 288
    value = rng.gamma(0.05, 12_000, bins * STATIONS).astype(np.int64)
    series, at = np.tile(np.arange(STATIONS), bins), np.repeat(np.arange(bins) * 300 + 300, STATIONS)
    limits = np.tile(np.array([50_000, 50_000, 50_000, 100_000], np.int64), (STATIONS, 1))
    rules = [Rule("sum", np.array([43200, 21600, 10800, 10800], np.int64), limits)]
    engine = Engine(STATIONS, rules, grid=Grid(300, 0, 7200))
    # Compiled now, not in the figure: a ring of narrow numbers, and the wide one it becomes when a value needs it.
    for most in (1, int(value.max())):
        Engine(STATIONS, rules, grid=Grid(300, 0, 7200)).fold(series[:10], at[:10], np.minimum(value[:10], 0) + most)
    spent, batches, own, moved = 0.0, [], [], 0
    for start in range(0, len(series), 10_000):
        part = slice(start, start + 10_000)
        began, before = time.perf_counter(), time.thread_time()
        moved += len(engine.fold(series[part], at[part], value[part]).transitions)
        batches.append(time.perf_counter() - began)
        own.append(time.thread_time() - before)
        spent += batches[-1]
    note = f"judging at once, one thread, arrays in memory, {len(series):,} readings, {moved:,} changes of colour"
    return [
        _row("sensing: rule engine alone", len(series) / spent, "readings/s", note),
        _row("sensing: rule engine, batch of 10,000, p99", sorted(batches)[int(len(batches) * 0.99)] * 1000, "ms", f"of {len(batches)} batches; {note}"),
        _row("sensing: rule engine, batch of 10,000, p99 of processor", sorted(own)[int(len(own) * 0.99)] * 1000, "ms", "what other work on the machine cannot add to"),
    ]


def _stations() -> list[str]:
    codes = [f"BENCH-{number:04d}" for number in range(STATIONS)]
    if Station.objects.filter(code__startswith="BENCH-").count() < STATIONS:
        rows = [{"code": code, "name": code, "kind": "rain", "quantities": ["rain"]} for code in codes]
        actions.import_stations(Act(Actor.machine("bench"), realms.actual()), rows=rows, origin="bench")
    return codes


def _realm(name: str) -> Realm:
    return realms.start(Act(Actor.machine("bench"), realms.actual()), kind="replay", name=name, clock="manual", now_at=START + timedelta(hours=4))


def _storm(codes: list[str]) -> list[Sample]:
    rng = np.random.default_rng(7)
    value = rng.gamma(0.05, 20, (BINS, len(codes))).round(1)
    return [Sample(code, "rain", START + timedelta(minutes=5 * (bin_ + 1)), float(value[bin_, place])) for bin_ in range(BINS) for place, code in enumerate(codes)]


def bench() -> list[dict[str, Any]]:
    """Readings per second: the engine alone; parsing, judging and committing in one process; and the whole way over the
    broker with the running worker (only where services run). Leaves its stations out of service and its realms stopped."""
    rows = engine_rate()
    prepare()
    codes = _stations()
    samples = _storm(codes)
    realm = _realm("bench, in process")
    messages = [ingest.Message("local", number, subject, body) for number, (subject, body) in enumerate(ingest.replay_messages(realm, samples), 1)]
    own = Processor()
    feed(realm, samples[:1], own)
    began = time.perf_counter()
    for start in range(0, len(messages), 8):
        own.process(messages[start : start + 8])
    spent = time.perf_counter() - began
    rows.append(_row("sensing: parse, judge and commit, one process", len(samples) / spent, "readings/s", f"{len(samples):,} readings of {STATIONS:,} gauges in packed messages; fsync on"))
    _stop(realm)
    rows += _whole(samples)
    rows += bench_door.bench()
    Station.objects.filter(code__startswith="BENCH-").update(active=False)
    Register.changed()
    return rows


def door() -> list[dict[str, Any]]:
    """The way from MQTT alone."""
    prepare()
    _stations()
    gauges = bench_door.Gauges()
    try:
        return bench_door.door(gauges)
    finally:
        gauges.close()
        Station.objects.filter(code__startswith="BENCH-").update(active=False)
        Register.changed()


def province() -> list[dict[str, Any]]:
    """A province whole."""
    prepare()
    return bench_province.bench()


LONG = {"door": door, "province": province}  # `anlan bench --only door`: a part of `sensing`, by itself


def _stop(realm: Realm) -> None:
    realms.stop(Act(Actor.machine("bench"), realms.actual()), realm=realm.pk, reason="bench")


def _whole(samples: list[Sample]) -> list[dict[str, Any]]:
    """Published, on the broker's disk, through the running worker, in the database."""
    bridge = broker.bridge()
    realm = _realm("bench, whole way")
    try:
        async def send(part: list[Sample]) -> None:
            await ingest.publish(await bridge.connection(), ingest.replay_messages(realm, part))

        bridge.run(send(samples[:1]), 20)
        _drained(realm, 30)
    except Exception as error:
        _stop(realm)
        return [{"figure": "sensing: whole ingest", "value": None, "unit": "readings/s", "note": f"not measured: {type(error).__name__} (no running broker and worker)"}]
    began = time.perf_counter()
    bridge.run(send(samples[1:]), WAIT_S)
    published = time.perf_counter() - began
    _drained(realm, WAIT_S)
    spent = time.perf_counter() - began
    singles = [sample for sample in samples if sample.time == samples[0].time]
    later = [Sample(sample.station, "rain", sample.time + timedelta(hours=3, minutes=5), sample.value) for sample in singles]

    async def send_singly() -> None:
        await ingest.publish(
            await bridge.connection(),
            [(f"replay.v1.{realm.pk}._.{s.station}.rain", orjson.dumps(s.body())) for s in later],
        )

    began = time.perf_counter()
    bridge.run(send_singly(), WAIT_S)
    _drained(realm, WAIT_S)
    alone = time.perf_counter() - began
    _stop(realm)
    note = f"{len(samples):,} readings of {STATIONS:,} gauges, packed by partition; sync_interval always and fsync on"
    return [
        _row("sensing: whole ingest, published to committed", (len(samples) - 1) / spent, "readings/s", note),
        _row("sensing: published and on the broker's disk", (len(samples) - 1) / published, "readings/s", note),
        _row("sensing: whole ingest, one reading in each message", len(later) / alone, "readings/s", f"{len(later):,} messages, as from single devices"),
    ]


def _drained(realm: Realm, seconds: float) -> None:
    realms.wait_until(lambda: queries.drained(realm), timeout=seconds)
