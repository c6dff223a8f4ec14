"""From a device's MQTT publish to judged and durable, with every process of the installation counted; what 333 readings a second cost; workers.

Called by `bench.bench()`, in a folder of its own: it writes into that folder's actual operations, which is where MQTT leads.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import bcrypt
import numpy as np
import orjson
import paho.mqtt.client as mqtt
import psutil
from django.conf import settings
from django.db import connection

from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import new_id
from anlan.kernel.models import Fact

from . import compute, doubt, probe, queries, sources
from .ingest import Message
from .models import PARTITIONS, Partition, Reading, Register, Source, Station
from .worker import Processor

GAUGES, EACH = 2000, 50  # gauges; readings of one message
MESSAGES = 6000
SINGLES, ALARMS = 4000, 200
NEED = 1000 / 3  # readings a second: 100,000 gauges every five minutes
IDLE_S, STEADY_S, WAIT_S = 20, 30, 600
Row = dict[str, Any]


def _row(figure: str, value: float | None, unit: str, note: str) -> Row:
    return {"figure": f"sensing: {figure}", "value": None if value is None else round(value, 1), "unit": unit, "note": note}


PARTS = {"postgres": "database", "nats": "broker", "sense": "worker", "work": "journal and followers", "web": "web server"}
SENDER = "sender"


def processes() -> dict[int, tuple[str, psutil.Process]]:
    """The installation's processes with all their children, and this one: {pid: (part, process)}."""
    try:
        pids = json.loads((settings.HOME / "run" / "addresses.json").read_text())["pids"]
    except (OSError, ValueError, KeyError):
        pids = {}
    found: dict[int, tuple[str, psutil.Process]] = {}
    # The supervisor's children are the others: whoever has a name of its own comes last.
    for name, pid in sorted(pids.items(), key=lambda each: each[0] != "supervisor"):
        try:
            own = psutil.Process(pid)
            found.update({each.pid: (PARTS.get(name, name), each) for each in (own, *own.children(recursive=True))})
        except psutil.NoSuchProcess:
            continue
    return {**found, os.getpid(): (SENDER, psutil.Process())}


def spent() -> dict[str, float]:
    """Processor seconds of each part, of children that have ended as well."""
    total: dict[str, float] = {}
    for part, each in processes().values():
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        ended = times.children_user + times.children_system if part != SENDER else 0.0
        total[part] = total.get(part, 0.0) + times.user + times.system + ended
    return total


def between(before: dict[str, float]) -> dict[str, float]:
    """What each part has spent since, most first."""
    gone = {part: seconds - before.get(part, 0.0) for part, seconds in spent().items()}
    return dict(sorted(gone.items(), key=lambda each: -each[1]))


class Gauges:
    """Gauges of a source of this measurement's own, and its MQTT connection."""

    def __init__(self, codes: list[str] | None = None) -> None:
        self.codes = codes or [f"BENCH-{number:04d}" for number in range(GAUGES)]
        self.word = new_id().hex
        source, _new = Source.objects.get_or_create(name="bench-gauges", defaults={"kind": Source.MQTT})
        source.password_bcrypt, source.active = bcrypt.hashpw(self.word.encode(), bcrypt.gensalt(4)).decode(), True
        source.save()
        # Entered with the first probe, a minute after the start, and then the books are built anew: now, so that no figure pays for it.
        probe.sender(Act(Actor.machine("sensing"), realms.actual()))
        Station.objects.filter(code__in=self.codes).update(source=source, active=True)
        Register.changed()
        sources.write_broker_users()
        self.client = self._connect()

    def _connect(self) -> mqtt.Client:
        """A moment passes until the broker knows the source; longer with 100,000 gauges, whose topics it reads one by one."""
        host, port = settings.ADDRESSES["mqtt"].removeprefix("mqtt://").rsplit(":", 1)
        end = time.monotonic() + 180
        while True:
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="bench", protocol=mqtt.MQTTv311)
            client.username_pw_set("bench-gauges", self.word)
            client.max_inflight_messages_set(1000)
            client.max_queued_messages_set(0)
            let_in = threading.Event()
            client.on_connect = lambda _c, _d, _f, code, _p, let_in=let_in: None if code.is_failure else let_in.set()  # type: ignore[misc]
            client.connect(host, int(port))
            client.loop_start()
            if let_in.wait(5):
                return client
            client.loop_stop()
            client.disconnect()
            if time.monotonic() > end:
                raise TimeoutError("the broker does not let the gauges in")

    def publish(self, code: str, body: Any) -> mqtt.MQTTMessageInfo:
        return self.client.publish(f"anlan/v1/bench/{code}/rain", orjson.dumps(body), qos=1)

    def close(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()


def _taken(actual: Any) -> int:
    return Reading.objects.filter(series__realm=actual, series__station__code__startswith="BENCH-").count()


def _measured(actual: Any, send: Callable[[], int]) -> tuple[float, dict[str, float], int]:
    """(seconds, processor seconds of each part, readings) from the first publish until all are in the database."""
    before, cpu, began = _taken(actual), spent(), time.perf_counter()
    count = send()
    # What the broker has acknowledged is on disk; our stream takes its copy in its own time.
    realms.wait_until(lambda: queries.drained(actual) and _taken(actual) - before >= count, timeout=WAIT_S, step=0.05)
    return time.perf_counter() - began, between(cpu), count


def bench() -> list[Row]:
    if not settings.ADDRESSES.get("mqtt"):
        return [_row("from MQTT publish on", None, "readings/s", "not measured: no broker of our own runs here")]
    gauges = Gauges()
    try:
        rows = door(gauges)
    finally:
        gauges.close()
    return [*rows, *_doubts(gauges.codes), *_workers(realms.actual()), *engine_workers()]


def door(gauges: Gauges) -> list[Row]:
    """From a device's publish on: readings a second, time to a colour, what the real need of a province takes."""
    actual = realms.actual()
    return [*_rates(actual, gauges), *_latency(actual, gauges), *need(gauges)]


def _rates(actual: Any, gauges: Gauges) -> list[Row]:
    rng = np.random.default_rng(11)
    now = clock.now().replace(microsecond=0)

    def packed() -> int:
        waiting = []
        for number in range(MESSAGES):
            code, turn = gauges.codes[number % GAUGES], number // GAUGES
            # Three times fifty reports of a gauge, a minute apart, the newest now: rain that moves no colour but a few.
            first = now - timedelta(minutes=EACH * (MESSAGES // GAUGES - turn))
            waiting.append(gauges.publish(code, {"t": first.isoformat(), "dt": [60 * n for n in range(EACH)], "v": rng.gamma(0.05, 2, EACH).round(1).tolist(), "u": "mm"}))
        for each in waiting:
            each.wait_for_publish(WAIT_S)
        return MESSAGES * EACH

    def singly() -> int:
        at = (now + timedelta(seconds=1)).isoformat(), (now + timedelta(seconds=2)).isoformat()
        waiting = [gauges.publish(gauges.codes[number % GAUGES], {"t": at[number // GAUGES], "v": 0.1, "u": "mm"}) for number in range(SINGLES)]
        for each in waiting:
            each.wait_for_publish(WAIT_S)
        return SINGLES

    rows = []
    for words, send in ((f"MQTT publish to judged and durable, {EACH} readings a message", packed), ("MQTT publish to judged and durable, one reading a message", singly)):
        seconds, parts, count = _measured(actual, send)
        cpu = sum(parts.values())
        shares = ", ".join(f"{part} {share:.1f}" for part, share in parts.items() if share >= 0.05)
        note = f"{count:,} readings of {GAUGES:,} gauges, QoS 1, sync_interval always and fsync on; processor {cpu:.1f} s of all processes in {seconds:.1f} s: {shares}"
        rows += [_row(words, count / seconds, "readings/s", note), _row(f"{words}, for each second of processor", count / cpu, "readings/CPU-s", "twice this is the bound on two cores")]
    return rows


def _latency(actual: Any, gauges: Gauges) -> list[Row]:
    """A reading that is red by itself, one at a time, until its SignalChanged can be read."""
    times = []
    for code in gauges.codes[:ALARMS]:
        station = Station.objects.get(code=code)
        known = Fact.objects.filter(kind="sensing.SignalChanged", subject=f"station:{station.pk}").count()
        at, began = clock.now().isoformat(), time.perf_counter()
        gauges.publish(code, {"t": at, "v": 150, "u": "mm"})
        end = began + 30
        while Fact.objects.filter(kind="sensing.SignalChanged", subject=f"station:{station.pk}").count() == known:
            if time.perf_counter() > end:
                raise TimeoutError(f"no signal of {code}")
            time.sleep(0.002)
        times.append(time.perf_counter() - began)
    times.sort()
    note = f"{ALARMS} gauges, one after another; the database asked every 2 ms"
    return [_row(f"MQTT publish to SignalChanged, p{share}", 1000 * times[min(len(times) - 1, int(len(times) * share / 100))], "ms", note) for share in (50, 99)]


def need(gauges: Gauges) -> list[Row]:
    """What the platform spends while as many readings come as a province sends, above what it spends anyway."""
    def during(seconds: float, each: Callable[[int], Any] | None, per_s: float) -> dict[str, float]:
        before, began, sent = spent(), time.perf_counter(), 0
        while (past := time.perf_counter() - began) < seconds:
            while each is not None and sent < past * per_s:
                each(sent)
                sent += 1
            time.sleep(0.02)
        past = time.perf_counter() - began
        return {part: seconds / past for part, seconds in between(before).items() if part != SENDER}

    start = clock.now().replace(microsecond=0) + timedelta(seconds=5)

    def one(number: int) -> None:
        gauges.publish(gauges.codes[number % len(gauges.codes)], {"t": (start + timedelta(seconds=number // len(gauges.codes))).isoformat(), "v": 0, "u": "mm"})

    def many(number: int) -> None:
        first = start + timedelta(seconds=60 + EACH * (number // len(gauges.codes)))
        gauges.publish(gauges.codes[number % len(gauges.codes)], {"t": first.isoformat(), "dt": [*range(EACH)], "v": [0] * EACH, "u": "mm"})

    def shares(found: dict[str, float]) -> str:
        return ", ".join(f"{part} {100 * share:.1f}" for part, share in found.items() if abs(share) >= 0.0005)

    # What the readings before set off is done first: 200 gauges that turned red are no idle platform.
    began = time.perf_counter()
    for _round in range(36):
        if sum(during(2, None, 0).values()) < 0.1:
            break
    settled = time.perf_counter() - began
    idle = during(IDLE_S, None, 0)
    rows = [_row("idle, of one core", 100 * sum(idle.values()), "%", f"all services, {IDLE_S} s, {len(gauges.codes):,} gauges in the register: {shares(idle)}; quiet {settled:.0f} s after {ALARMS} gauges turned red")]
    for words, each, per_s in (("one reading a message", one, NEED), (f"{EACH} readings a message", many, NEED / EACH)):
        above = {part: share - idle.get(part, 0.0) for part, share in during(STEADY_S, each, per_s).items()}
        rows.append(_row(f"333 readings a second above idle, of one core, {words}", 100 * sum(above.values()), "%", f"{STEADY_S} s of MQTT, QoS 1, without the sender's own processor: {shares(above)}"))
    return rows


def _doubts(codes: list[str]) -> list[Row]:
    """The share of the doubt checks in parsing, judging and storing; in an exercise, in this process."""
    from .bench import START, _realm, _stop
    from .ingest import Sample, replay_messages

    rng = np.random.default_rng(3)
    samples = [Sample(code, "rain", START + timedelta(minutes=5 * (bin_ + 1)), float(value)) for bin_ in range(24) for code, value in zip(codes, rng.gamma(0.05, 4, len(codes)).round(1), strict=True)]
    realm = _realm("bench, doubts")
    messages = [Message("local", number, subject, body) for number, (subject, body) in enumerate(replay_messages(realm, samples), 1)]
    own, inside, real = Processor(), 0.0, doubt.judge

    def timed(*args: Any, **more: Any) -> Any:
        nonlocal inside
        began = time.process_time()
        try:
            return real(*args, **more)
        finally:
            inside += time.process_time() - began

    own.process(messages[:1])
    compute.doubt.judge = timed
    began = time.process_time()
    try:
        for start in range(1, len(messages), 8):
            own.process(messages[start:start + 8])
    finally:
        compute.doubt.judge = real
    whole = time.process_time() - began
    _stop(realm)
    return [_row("doubt checks, of parsing, judging and storing", 100 * inside / whole, "%", f"{len(samples):,} readings in packed messages; {1e6 * inside / len(samples):.1f} µs a reading of {1e6 * whole / len(samples):.1f} in this process")]


def _workers(actual: Any) -> list[Row]:
    """The whole ingest again with a second worker beside the first."""
    # Nothing of ours to stop it by but its own end: a second `anlan sense` on the same folder.
    child = subprocess.Popen([sys.executable, "-m", "anlan.runtime.cli", "sense"], env={**os.environ, "ANLAN_HOME": str(settings.HOME)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    rates = {}
    try:
        realms.wait_until(lambda: Partition.objects.exclude(owner="").values("owner").distinct().count() == 2, timeout=60)
        for count in (2, 1):
            if count == 1:
                child.terminate()
                child.wait(30)
                realms.wait_until(lambda: Partition.objects.exclude(owner="").values("owner").distinct().count() == 1 and not Partition.objects.filter(owner="").exists(), timeout=60)
            rates[count] = _backlog(count)
    except TimeoutError as error:
        return [_row("two workers", None, "x", f"not measured: {error}")]
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait(30)
        connection.close()
    return [_row("whole ingest with two workers, against one", rates[2] / rates[1], "x", f"{rates[2]:,.0f} against {rates[1]:,.0f} readings/s of an exercise, packed by partition; {PARTITIONS} partitions shared; with broker, database and sender on the same cores")]


def _backlog(count: int) -> float:
    """Readings a second of what lies on the broker already."""
    from . import broker, ingest
    from .bench import _drained, _realm, _stop, _storm

    codes = [f"BENCH-{number:04d}" for number in range(GAUGES)]
    realm, bridge = _realm(f"bench, {count} workers"), broker.bridge()
    samples = _storm(codes)

    async def send(part: list[Any]) -> None:
        await ingest.publish(await bridge.connection(), ingest.replay_messages(realm, part))

    bridge.run(send(samples[:GAUGES]), WAIT_S)  # the books are built, the series are there
    _drained(realm, WAIT_S)
    began = time.perf_counter()
    bridge.run(send(samples[GAUGES:]), WAIT_S)
    _drained(realm, WAIT_S)
    rate = (len(samples) - GAUGES) / (time.perf_counter() - began)
    _stop(realm)
    return rate


def engine_workers(stations: int = 20_000, bins: int = 144) -> list[Row]:
    """The engine part alone: all gauges in one process, then half of them in each of two that begin together."""
    def run(shares: int) -> tuple[float, float]:
        children = [
            subprocess.Popen([sys.executable, "-m", "anlan.engines.series.measure", str(stations // shares), str(bins)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _share in range(shares)
        ]
        for child in children:
            assert child.stdout is not None and child.stdout.readline().strip() == "ready"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        told = [json.loads(child.communicate(timeout=WAIT_S)[0]) for child in children]
        readings = sum(each["readings"] for each in told)
        return readings / max(each["seconds"] for each in told), readings / sum(each["cpu"] for each in told)

    rounds = [(run(1), run(2)) for _round in range(3)]  # in turns, the best of each: what else runs here takes its share of some
    one, two = ((max(speed for speed, _cpu in each), max(cpu for _speed, cpu in each)) for each in zip(*rounds, strict=True))
    note = f"best of three; {stations * bins:,} readings of {stations:,} gauges, judged at once; {one[0] / 1e6:.2f} M/s by one, {two[0] / 1e6:.2f} M/s by two; a second of processor judges {one[1] / 1e6:.2f} and {two[1] / 1e6:.2f} M"
    return [
        _row("engine part, two workers against one, by the clock", two[0] / one[0], "x", note),
        _row("engine part, two workers against one, by processor", 2 * two[1] / one[1], "x", "what two free cores would give: twice the readings a second of processor"),
    ]
