"""What comes in at the doors: subjects, bodies, refusals; and helpers that put readings on the broker.

Subjects, and who may write them (the broker sees to it):
  anlan.v1.<region>.<station>.<quantity>             a source over MQTT (anlan/v1/…), its own stations only; realm actual
  anlan.v1.sta.Datastreams('<station>:<quantity>')   the same as a SensorThings Observation (v1.1/Datastreams('…')/Observations, which the broker maps to it)
  gate.v1.<source>.<partition>                       our HTTP door, after it has checked the credential; realm actual
  gate.v1.file.<partition>                           files an operator put in (imports.py), of any station; "h": history, which no rule hears; realm actual
  replay.v1.<realm>.<region>.<station>.<quantity>    the replay credential; the only way into an exercise
  replay.v1.<realm>._.<partition>._                  the same, packed: many stations in one message

Body, in JSON or CBOR: {"t": ISO time with zone, "v": number, "u": unit}, or a list of them; packed ones also name "s" station and
"q" quantity. A device that sends many at once: {"t": first time, "dt": [seconds behind it, …], "v": [number, …], "u": unit}.
The region in a subject is never used: where a station stands is in the register.
"""
from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from zlib import crc32

import cbor2
import numpy as np
import orjson
from django.utils.translation import gettext_lazy as _

from .models import PARTITIONS
from .quantities import QUANTITIES, RANGE, TOO_LATE, Quantity

READINGS, REPLAY = "READINGS", "REPLAY"
STREAMS = {READINGS: ["anlan.v1.>", "gate.v1.>"], REPLAY: ["replay.v1.>"]}
MQTT_LIMIT = 64 * 1024  # bytes of a message from a device
PACKED_LIMIT = 1024 * 1024
AT_MOST = 5000  # readings in one message or request
FUTURE_S = 600  # clocks of gauges run ahead; more than this is a wrong clock, and would poison every window

REASONS = {
    "subject": _("The topic is not anlan/v1/region/station/quantity."),
    "malformed": _("The body is neither JSON nor CBOR of the agreed shape."),
    "oversized": _("The message is too large."),
    "too_many": _("Too many readings in one message."),
    "no_time": _("The time is missing, has no time zone, or is no ISO 8601 time."),
    "not_a_number": _("The value is missing or no finite number."),
    "unit": _("The unit is missing or does not belong to the quantity."),
    "unknown_station": _("There is no such station in the register."),
    "retired": _("The station is out of service in the register."),
    "not_bound": _("The station is not bound to this source."),
    "source_off": _("The source is switched off or does not exist."),
    "quantity": _("The register does not say that the station measures this."),
    "future": _("The time lies in the future: the sender's clock is wrong."),
    "too_old": _("The time lies before what this installation keeps."),
    "out_of_range": _("The value is physically impossible."),
    "unknown_realm": _("There is no such exercise, or readings may not be sent to it."),
    "realm_over": _("The exercise has ended."),
    "internal": _("The platform failed on this message; it was set aside so that the stream goes on."),
}
DOORS = {"mqtt": "MQTT", "http": "HTTP", "replay": _("Replay"), "file": _("File")}
FILE = "file"


def partition_of(code: str) -> int:
    """The fixed partition of a station code."""
    return crc32(code.encode()) % PARTITIONS


@dataclass(frozen=True)
class Message:
    """One message of a stream, as the broker numbered it."""

    stream: str
    seq: int
    subject: str
    data: bytes


@dataclass(frozen=True, slots=True)
class StationInfo:
    """What a worker must know of a station."""

    id: UUID
    code: str
    name: str
    region: UUID | None
    quantities: frozenset[str]
    source: str  # hex of the source's key, empty when bound to none
    source_on: bool
    active: bool
    silent_after_s: int
    thresholds: dict[str, Any]
    partition: int
    fine: bool  # reports more often than every five minutes
    interval_s: int = 300
    upstream: dict[str, Any] = field(default_factory=dict)
    maintenance: tuple[tuple[int, int, str], ...] = ()  # (begins, ends, why), in actual operations
    place: tuple[float, float] | None = None  # longitude and latitude, degrees


@dataclass
class Refusal:
    reason: str
    door: str
    subject: str = ""
    source: str = ""
    station: str = ""
    realm: UUID | None = None
    region: UUID | None = None
    detail: str = ""
    payload: bytes = b""
    size: int = 0


@dataclass
class Columns:
    """Readings of one realm in order of arrival, column by column: whole numbers of seconds and quanta."""

    named: list[tuple[StationInfo, str]] = field(default_factory=list)  # station and quantity, each pair once
    which: list[int] = field(default_factory=list)  # of the reading: its place in `named`
    time: list[int] = field(default_factory=list)
    value: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    places: dict[tuple[str, str], int] = field(default_factory=dict)

    def place(self, station: StationInfo, quantity: str) -> int:
        at = self.places.setdefault((station.code, quantity), len(self.named))
        if at == len(self.named):
            self.named.append((station, quantity))
        return at

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"<{len(self)} readings>"


class Refuse(Exception):
    """Raised inside parsing: the reason's code, and a detail for the inspector."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@lru_cache(maxsize=20_000)
def seconds(text: str) -> int:
    """Whole seconds since 1970 of an ISO time with zone; Refuse("no_time")."""
    if len(text) > 40:
        raise Refuse("no_time", text[:40])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Refuse("no_time", text)
    if at.tzinfo is None:
        raise Refuse("no_time", f"{text}: no time zone")
    whole = math.floor(at.timestamp())
    if whole < 0:
        raise Refuse("no_time", f"{text}: before 1970")
    return whole


def instant(at: Any) -> int:
    """Whole seconds since 1970 of a time as JSON or CBOR carry it: ISO text with zone, or CBOR's own time."""
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise Refuse("no_time", f"{at}: no time zone")
        return seconds(at.isoformat())
    if not isinstance(at, str):
        raise Refuse("no_time", repr(at)[:60])
    return seconds(at)


def decode(data: bytes) -> Any:
    """A body: JSON, or CBOR when it begins with a list or map of CBOR, which no JSON does. Refuse("malformed")."""
    try:
        if data[:1] and 0x80 <= data[0] <= 0xBF:
            return cbor2.loads(data)
        return orjson.loads(data)
    except (orjson.JSONDecodeError, cbor2.CBORDecodeError, RecursionError, ValueError, OverflowError, TypeError) as error:
        raise Refuse("malformed", str(error)[:200])


def _is_number(given: Any) -> bool:
    return not isinstance(given, bool) and isinstance(given, (int, float)) and -1e300 <= given <= 1e300  # CBOR has whole numbers of any length


def quanta(data: bytes, kind: Quantity) -> list[int]:
    """The values in a device's message that can be read, before anything is checked: for who must know at once what they could do."""
    body = decode(data)
    if isinstance(body, dict) and isinstance(body.get("v"), list):
        items = [(number, body.get("u")) for number in body["v"]]
    else:
        items = [(item.get("v"), item.get("u")) for item in (body if isinstance(body, list) else [body]) if isinstance(item, dict)]
    factors = [(number, kind.units.get(unit) if isinstance(unit, str) else None) for number, unit in items if _is_number(number)]
    return [round(number * factor / kind.quantum) for number, factor in factors if factor is not None]


def measured(item: Any, quantity: str) -> tuple[int, int, int]:
    """(seconds, quanta, flags) of one JSON reading of that quantity; Refuse says what is wrong."""
    if not isinstance(item, dict):
        raise Refuse("malformed", "a reading is an object with t, v, u")
    at, number, unit = item.get("t"), item.get("v"), item.get("u")
    time = instant(at)
    if not _is_number(number):
        raise Refuse("not_a_number", repr(number)[:60])
    kind = QUANTITIES[quantity]
    factor = kind.units.get(unit) if isinstance(unit, str) else None
    if factor is None:
        raise Refuse("unit", f"{unit!r} for {quantity}: {', '.join(kind.units)}"[:200])
    value = number if factor == 1 else number * factor
    if not kind.lowest <= value <= kind.highest:
        raise Refuse("out_of_range", f"{number} {unit}: {kind.lowest} to {kind.highest} {kind.unit}")
    return time, round(value / kind.quantum), RANGE if value > kind.doubtful else 0


STREAM = re.compile(r"Datastreams\('?([A-Za-z0-9][A-Za-z0-9-]{0,39}):([a-z]{1,12})'?\)")


def sta_item(body: Any, quantity: str, now: int) -> dict[str, Any]:
    """A SensorThings Observation as a reading: of an interval its end, without a time now; in the quantity's own unit."""
    if not isinstance(body, dict):
        raise Refuse("malformed", "an Observation is an object with result and phenomenonTime")
    at = body.get("phenomenonTime") or body.get("resultTime") or datetime.fromtimestamp(now, UTC).isoformat()
    if isinstance(at, str):
        at = at.rpartition("/")[2]
    return {"t": at, "v": body.get("result"), "u": QUANTITIES[quantity].unit if quantity in QUANTITIES else ""}


class Reader:
    """Turns messages into columns per realm, and what cannot be taken into refusals. Never raises on input."""

    def __init__(self, stations: Mapping[str, StationInfo], sources_on: set[str], realms: Mapping[str, Any], actual: UUID,
                 partitions: set[int], now: dict[UUID, int], past: Mapping[str, Mapping[int, int]] | None = None, oldest: int = 0) -> None:
        """realms: hex of key -> Realm, of exercises; now: realm -> seconds on its clock; past: stream -> partition ->
        number up to which everything is done already; oldest: what is measured before would be erased at once."""
        self.stations, self.sources_on, self.realms, self.actual = stations, sources_on, realms, actual
        self.partitions, self.now, self.past, self.oldest = partitions, now, past or {}, oldest
        self.columns: dict[UUID, Columns] = {}
        self.refusals: list[Refusal] = []
        self.readings = 0

    def take(self, message: Message) -> None:
        words = message.subject.split(".")
        past = self.past.get(message.stream, {})
        door, source, code, quantity, realm, packed = "mqtt", "", "", "", self.actual, -1
        try:
            sensor_things = False
            if words[:2] == ["anlan", "v1"] and len(words) == 5:
                code, quantity = words[3], words[4]
            elif words[:3] == ["anlan", "v1", "sta"] and len(words) == 4 and (stream := STREAM.fullmatch(words[3])):
                sensor_things, code, quantity = True, stream[1], stream[2]
            elif words[:2] == ["gate", "v1"] and len(words) == 4 and words[3].isdigit():
                door, source, packed = ("file", "", int(words[3])) if words[2] == FILE else ("http", words[2], int(words[3]))
            elif words[:2] == ["replay", "v1"] and len(words) == 6:
                door = "replay"
                if words[3] == "_" and words[5] == "_" and words[4].isdigit():
                    packed = int(words[4])
                else:
                    code, quantity = words[4], words[5]
            else:
                # Nobody's partition: the holder of partition 0 says so.
                if 0 in self.partitions and message.seq > past.get(0, 0):
                    raise Refuse("subject", message.subject[:200])
                return
            part = packed if packed >= 0 else partition_of(code)
            if part >= PARTITIONS:
                raise Refuse("subject", "no such partition")
            if part not in self.partitions or message.seq <= past.get(part, 0):
                return
            if door == "replay":
                found = self.realms.get(words[2].replace("-", ""))
                if found is None:
                    raise Refuse("unknown_realm", words[2][:60])
                realm = found.pk
                if found.is_over:
                    raise Refuse("realm_over", str(found.name)[:60])
            size = len(message.data)
            if size > (PACKED_LIMIT if packed >= 0 or door == "replay" else MQTT_LIMIT):
                raise Refuse("oversized", f"{size} bytes")
            body = decode(message.data)
            if isinstance(body, dict) and "dt" in body and isinstance(body.get("v"), list) and packed < 0:
                self._run(message, body, door, source, code, quantity, realm)
                return
            items = body if isinstance(body, list) else [body]
            if sensor_things:
                items = [sta_item(item, quantity, self.now[realm]) for item in items]
            if len(items) > AT_MOST:
                raise Refuse("too_many", f"{len(items)}, at most {AT_MOST}")
        except Refuse as no:
            self._refuse(message, no, door, source, code, realm)
            return
        columns = self.columns.setdefault(realm, Columns())
        limit = self.now[realm] + FUTURE_S
        for item in items:
            self.readings += 1
            try:
                if packed >= 0:
                    if not isinstance(item, dict):
                        raise Refuse("malformed", "a reading is an object with s, q, t, v, u")
                    named, what = item.get("s"), item.get("q")
                    if not isinstance(named, str) or not isinstance(what, str):
                        raise Refuse("malformed", "s and q name station and quantity")
                    code, quantity = named, what
                    if partition_of(code) != packed:
                        raise Refuse("subject", "station of another partition")
                station = self._bound(door, source, code, quantity)
                time, value, flags = measured(item, quantity)
                if door == "file" and item.get("h"):
                    flags |= TOO_LATE
                if time > limit:
                    raise Refuse("future", f"{str(item['t'])[:40]} is {time - limit + FUTURE_S} s ahead")
                if door != "replay" and time < self.oldest:
                    raise Refuse("too_old", str(item["t"])[:40])
            except Refuse as no:
                self._refuse(message, no, door, source, code, realm, item)
                continue
            columns.which.append(columns.place(station, quantity))
            columns.time.append(time)
            columns.value.append(value)
            columns.flags.append(flags)

    def _bound(self, door: str, source: str, code: str, quantity: str) -> StationInfo:
        """The station, when this door may speak for it and it measures this; Refuse otherwise."""
        station = self.stations.get(code)
        if station is None:
            raise Refuse("unknown_station", code[:40])
        if not station.active:
            raise Refuse("retired")
        if door == "http":
            if source not in self.sources_on:
                raise Refuse("source_off")
            if station.source != source:
                raise Refuse("not_bound")
        elif door == "mqtt" and not station.source_on:
            raise Refuse("source_off" if station.source else "not_bound")
        if quantity not in station.quantities or quantity not in QUANTITIES:
            raise Refuse("quantity", quantity[:40])
        return station

    def _run(self, message: Message, body: dict[str, Any], door: str, source: str, code: str, quantity: str, realm: UUID) -> None:
        """A run of readings of one series, {"t": first time, "dt": [seconds behind it], "v": [numbers], "u": unit}: judged as arrays."""
        station = self._bound(door, source, code, quantity)
        first, after, numbers, unit = body.get("t"), body.get("dt"), body["v"], body.get("u")
        if not isinstance(after, list) or len(after) != len(numbers):
            raise Refuse("malformed", "dt and v are lists of the same length")
        if len(numbers) > AT_MOST:
            raise Refuse("too_many", f"{len(numbers)}, at most {AT_MOST}")
        kind = QUANTITIES[quantity]
        factor = kind.units.get(unit) if isinstance(unit, str) else None
        if factor is None:
            raise Refuse("unit", f"{unit!r} for {quantity}: {', '.join(kind.units)}"[:200])
        if not {*map(type, after)} <= {int}:
            raise Refuse("no_time", "dt is a list of whole seconds")
        if not {*map(type, numbers)} <= {int, float}:
            raise Refuse("not_a_number", "v is a list of numbers")
        try:
            time = np.array(after, np.int64) + instant(first)
            value = np.array(numbers, float) * factor
        except OverflowError:
            raise Refuse("no_time", "dt out of range")
        self.readings += len(time)
        oldest, latest = 0 if door == "replay" else self.oldest, self.now[realm] + FUTURE_S
        good = (value >= kind.lowest) & (value <= kind.highest) & (time >= max(oldest, 0)) & (time <= latest)
        if not good.all():
            wrong = np.select([~np.isfinite(value), (value < kind.lowest) | (value > kind.highest), time < 0, time > latest, time < oldest], [1, 2, 3, 4, 5], 0)
            for i in np.flatnonzero(wrong).tolist():
                reason = ("not_a_number", "out_of_range", "no_time", "future", "too_old")[wrong[i] - 1]
                self._refuse(message, Refuse(reason, f"{after[i]} s: {numbers[i]} {unit}"), door, source, code, realm, {"dt": after[i], "v": numbers[i], "u": unit})
            time, value = time[good], value[good]
            if not len(time):
                return
        columns = self.columns.setdefault(realm, Columns())
        columns.which += [columns.place(station, quantity)] * len(time)
        columns.time += time.tolist()
        columns.value += np.round(value / kind.quantum).astype(np.int64).tolist()
        columns.flags += np.where(value > kind.doubtful, RANGE, 0).tolist()

    def _refuse(self, message: Message, no: Refuse, door: str, source: str, code: Any, realm: UUID, item: Any = None) -> None:
        try:
            payload = message.data[:2000] if item is None else orjson.dumps(item)[:2000]
        except (TypeError, orjson.JSONEncodeError):
            payload = message.data[:2000]
        known = self.stations.get(code) if isinstance(code, str) else None
        place = realm if no.reason != "unknown_realm" else None
        self.refusals.append(
            Refusal(no.reason, door, message.subject, source, str(code or "")[:40], place, known.region if known else None, no.detail, payload, len(message.data))
        )


# --- putting readings on the broker ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """One reading to publish: station code, quantity, aware time, value in `unit`."""

    station: str
    quantity: str
    time: datetime
    value: float
    unit: str = ""

    def body(self, packed: bool = False) -> dict[str, Any]:
        unit = self.unit or QUANTITIES[self.quantity].unit
        body = {"t": self.time.astimezone(UTC).isoformat(), "v": self.value, "u": unit}
        return {"s": self.station, "q": self.quantity, **body} if packed else body


def pack(samples: Iterable[Any], prefix: str, suffix: str = "") -> list[tuple[str, bytes]]:
    """(subject, body) of packed messages: one per partition for every 2,000 readings. Order within a station is kept."""
    boxes: dict[int, list[dict[str, Any]]] = {}
    for sample in samples:
        body = sample.body(packed=True) if isinstance(sample, Sample) else sample
        boxes.setdefault(partition_of(body["s"]), []).append(body)
    return [
        (f"{prefix}.{part}{suffix}", orjson.dumps(box[start : start + 2000]))
        for part, box in sorted(boxes.items())
        for start in range(0, len(box), 2000)
    ]


def replay_messages(realm: Any, samples: Iterable[Sample]) -> list[tuple[str, bytes]]:
    """Packed messages for an exercise or replay."""
    return pack(samples, f"replay.v1.{getattr(realm, 'pk', realm)}._", "._")


async def ensure_streams(js: Any) -> None:
    """Make the two streams, or bring them up to this release. Actual readings never queue behind a replay's."""
    from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
    from nats.js.errors import NotFoundError

    for name, subjects in STREAMS.items():
        config = StreamConfig(
            name=name, subjects=subjects, storage=StorageType.FILE, retention=RetentionPolicy.LIMITS, num_replicas=1,
            # Full is refused, not forgotten: what was acknowledged stays until it is in the database (see worker.purge).
            discard=DiscardPolicy.NEW, max_bytes=8 * 1024**3, duplicate_window=600, allow_direct=True,
        )
        try:
            await js.stream_info(name)
        except NotFoundError:
            await js.add_stream(config)
        else:
            await js.update_stream(config)


TOLD = "TOLD"


async def ensure_told(js: Any) -> None:
    """Where a worker says which observations were stored; the broker tells them on to SensorThings' own topics. In memory: nobody asks twice."""
    from nats.js.api import RePublish, StorageType, StreamConfig
    from nats.js.errors import NotFoundError

    try:
        await js.stream_info(TOLD)
    except NotFoundError:
        await js.add_stream(StreamConfig(
            name=TOLD, subjects=["told.*"], storage=StorageType.MEMORY, max_msgs=1,
            republish=RePublish(src="told.*", dest="v1//1.{{wildcard(1)}}.Observations"),
        ))


MARK = "gate.v1.mark.0"  # an empty packed message of no source
MQTT_STREAM, KEPT, MQTT_SUBJECT = "$MQTT_msgs", "anlan-kept", "$MQTT.msgs.anlan.v1.>"


async def keep_mqtt(js: Any, *, own_broker: bool = True) -> bool:
    """See to it that what a device was told is taken (QoS 1) is on disk before it is told so. Whether the bridge's stream is there.

    The broker writes a QoS 1 message twice: onto its own subject, where READINGS takes it in its own time, and into the stream of
    its MQTT bridge, after which it acknowledges. That stream keeps only what somebody wants; a durable consumer that nobody reads
    is that wish. `Worker._recover` copies from it what READINGS never got.
    """
    from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
    from nats.js.errors import NotFoundError

    try:
        await js.stream_info(MQTT_STREAM)
    except NotFoundError:
        if not own_broker:  # a cluster makes it with its own number of copies when the first device comes
            return False
        # As the broker itself would at the first device; before it, so that not even its first message is unwanted.
        await js.add_stream(StreamConfig(name=MQTT_STREAM, subjects=["$MQTT.msgs.>"], storage=StorageType.FILE, retention=RetentionPolicy.INTEREST))
    await js.add_consumer(MQTT_STREAM, ConsumerConfig(durable_name=KEPT, ack_policy=AckPolicy.EXPLICIT, filter_subject=MQTT_SUBJECT))
    return True


async def kept_mqtt(js: Any) -> tuple[int, str]:
    """(number of the last message the bridge keeps, when its stream was made)."""
    info = await js.stream_info(MQTT_STREAM)
    return (info.state.last_seq if info.state.messages else 0), str(info.created)


async def recover_mqtt(js: Any, *, batch: int = 500) -> int:
    """Copy everything the MQTT bridge still keeps onto READINGS, then let go of it; how many. Repeats are dropped by the worker.

    Called whenever this side or the broker was away: nothing that was acknowledged can then be missing from READINGS.
    """
    from nats.errors import TimeoutError as NothingMore
    from nats.js.api import AckPolicy, ConsumerConfig

    last, made = await kept_mqtt(js)
    if not last:
        return 0
    reader = await js.pull_subscribe(MQTT_SUBJECT, stream=MQTT_STREAM, config=ConsumerConfig(ack_policy=AckPolicy.NONE, inactive_threshold=60))
    count = seq = 0
    try:
        while seq < last:
            try:
                messages = await reader.fetch(batch, timeout=2)
            except NothingMore:
                break
            for message in messages:
                seq = message.metadata.sequence.stream
                await js.publish(message.subject.removeprefix("$MQTT.msgs."), message.data, headers={"Nats-Msg-Id": f"mqtt.{made}.{seq}"})
                count += 1
    finally:
        await reader.unsubscribe()
    await js.purge_stream(MQTT_STREAM, seq=last + 1, subject=MQTT_SUBJECT)
    return count


async def publish(nc: Any, messages: Iterable[tuple[str, bytes]], *, ids: str = "", timeout: float = 10, window: int = 64) -> int:
    """Put messages on the broker and return when every one is acknowledged (on disk); how many.

    In order, at most `window` under way. `ids`: prefix of Nats-Msg-Id, so that a repeat after a failure is not kept
    twice. Raises nats.errors.Error when one could not be kept; those before it are kept.
    """
    js = nc.jetstream()
    messages = iter(messages)
    for subject, body in messages:  # the first alone: it sets up the connection's reply subject
        await js.publish(subject, body, timeout=timeout, headers={"Nats-Msg-Id": f"{ids}.0"} if ids else None)
        break
    else:
        return 0
    waiting: list[asyncio.Task] = []
    count = 1
    try:
        for number, (subject, body) in enumerate(messages, 1):
            headers = {"Nats-Msg-Id": f"{ids}.{number}"} if ids else None
            waiting.append(asyncio.ensure_future(js.publish(subject, body, timeout=timeout, headers=headers)))
            await asyncio.sleep(0)  # lets it be written before the next: order is kept
            if len(waiting) >= window:
                await waiting.pop(0)
            count += 1
        for task in waiting:
            await task
    except BaseException:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        raise
    return count


async def publish_replay(nc: Any, realm: Any, samples: Iterable[Sample], *, ids: str = "") -> int:
    """Publish readings into an exercise or replay realm, with a connection of the `replay` credential."""
    return await publish(nc, replay_messages(realm, samples), ids=ids)
