"""The HTTP door for readings: who sends, what is in the body, and onto the broker before anybody is told "taken"."""
from __future__ import annotations

import base64
import binascii
import threading
import time
from typing import Any

import nats.errors
import orjson

from anlan.kernel import clock
from anlan.kernel.errors import TOO_LARGE

from . import broker, compute, ingest, sources
from .actions import keep_refused
from .errors import BROKER_DOWN, CREDENTIAL, MALFORMED, NOTHING_GOOD, TOO_MANY
from .ingest import AT_MOST, FUTURE_S, REASONS, Refusal, Refuse, measured
from .models import Source
from .quantities import QUANTITIES

CBOR, ARROW = "application/cbor", ("application/vnd.apache.arrow.stream",)
BODY_LIMIT = 2 * 1024 * 1024
GUESSES = 20  # wrong credentials from one address within WINDOW_S; then it waits
WINDOW_S = 300

_guesses: dict[str, list[float]] = {}
_lock = threading.Lock()
_registry: compute.Registry | None = None


def credential(header: str, address: str) -> Source:
    """The source behind an Authorization header: Basic name:password, or Bearer name:password. sensing.credential otherwise."""
    now = time.monotonic()
    with _lock:
        recent = [at for at in _guesses.get(address, ()) if now - at < WINDOW_S]
        _guesses[address] = recent
        if len(_guesses) > 10_000:
            _guesses.clear()
    source = None
    if len(recent) < GUESSES and len(header) < 1000:
        scheme, _blank, rest = header.partition(" ")
        text = rest.strip()
        if scheme.lower() == "basic":
            try:
                text = base64.b64decode(text, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                text = ""
        elif scheme.lower() != "bearer":
            text = ""
        name, colon, password = text.partition(":")
        source = sources.check(name, password) if colon else None
    if source is None:
        with _lock:
            _guesses.setdefault(address, []).append(now)
        raise CREDENTIAL()
    return source


def items(body: bytes, kind: str = "") -> list[Any]:
    """The readings of a body: a JSON list, one JSON object, lines of JSON; by `kind` (Content-Type) a list in CBOR, or an Arrow stream with
    the columns s, q, t, v, u. sensing.malformed, sensing.too_many, kernel.too_large."""
    if len(body) > BODY_LIMIT:
        raise TOO_LARGE(size=len(body), limit=BODY_LIMIT)
    if kind.partition(";")[0].strip() in ARROW:
        return _arrow(body)
    if kind.partition(";")[0].strip() == CBOR:
        try:
            found = ingest.decode(body)
        except Refuse as no:
            raise MALFORMED(why=no.detail)
        return _checked(found)
    text = body.strip()
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as whole:
        lines = text.split(b"\n")
        if len(lines) < 2 or not text.startswith(b"{"):
            raise MALFORMED(why=str(whole)[:200])
        if len(lines) > AT_MOST:
            raise TOO_MANY(count=len(lines), limit=AT_MOST)
        found = []
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    found.append(orjson.loads(line))
                except orjson.JSONDecodeError as error:
                    raise MALFORMED(why=f"line {number}: {str(error)[:160]}")
    return _checked(found)


def _checked(found: Any) -> list[Any]:
    if isinstance(found, dict):
        found = [found]
    if not isinstance(found, list):
        raise MALFORMED(why="neither a list nor an object")
    if len(found) > AT_MOST:
        raise TOO_MANY(count=len(found), limit=AT_MOST)
    return found


def _arrow(body: bytes) -> list[Any]:
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(body) as reader:
            if set(reader.schema.names) != {"s", "q", "t", "v", "u"}:
                raise MALFORMED(why="the columns are s, q, t, v, u")
            rows: list[Any] = []
            for batch in reader:
                if len(rows) + batch.num_rows > AT_MOST:
                    raise TOO_MANY(count=len(rows) + batch.num_rows, limit=AT_MOST)
                rows += batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MALFORMED(why=str(error)[:200])
    return rows


def _stations() -> compute.Registry:
    """The register, read again when it has changed."""
    global _registry
    if _registry is None or _registry.revision != compute.revision():
        _registry = compute.registry(_registry)
    return _registry


def _check(item: Any, source: Source, registry: compute.Registry, limit: int) -> dict[str, Any]:
    """The reading as it goes onto the broker; Refuse says why not. The worker asks all this again: the register may change."""
    if not isinstance(item, dict) or not isinstance(item.get("s"), str) or not isinstance(item.get("q"), str):
        raise Refuse("malformed", "a reading is an object with s, q, t, v, u")
    station = registry.stations.get(item["s"])
    if station is None:
        raise Refuse("unknown_station", item["s"][:40])
    if not station.active:
        raise Refuse("retired")
    if station.source != source.pk.hex:
        raise Refuse("not_bound")
    if item["q"] not in station.quantities or item["q"] not in QUANTITIES:
        raise Refuse("quantity", item["q"][:40])
    at, _value, _flags = measured(item, item["q"])
    if at > limit:
        raise Refuse("future", str(item["t"])[:40])
    when = item["t"] if isinstance(item["t"], str) else item["t"].isoformat()
    return {"s": item["s"], "q": item["q"], "t": when, "v": item["v"], "u": item["u"]}


def take(source: Source, body: bytes, key: str = "", kind: str = "") -> dict[str, Any]:
    """Check and publish; returns when the broker has all of it on disk.

    Answer: {"accepted": n, "refused": [{"index", "reason", "text", "detail"}]}. With `key` (Idempotency-Key) a repeat
    within ten minutes is kept once. sensing.nothing_good when every reading is refused; sensing.broker_down.
    """
    given = items(body, kind)
    registry = _stations()
    limit = int(clock.now().timestamp()) + FUTURE_S
    good, bad, kept = [], [], []
    for index, item in enumerate(given):
        try:
            good.append(_check(item, source, registry, limit))
        except Refuse as no:
            bad.append({"index": index, "reason": no.reason, "text": str(REASONS[no.reason]), "detail": no.detail})
            named = item.get("s") if isinstance(item, dict) else None
            code = named if isinstance(named, str) else ""
            known = registry.stations.get(code)
            kept.append(Refusal(no.reason, "http", source=source.name, station=code[:40], region=known.region if known else None, detail=no.detail,
                                payload=orjson.dumps(item, default=str)[:2000], size=len(body)))
    if kept:
        keep_refused(kept, clock.now())
    if not good:
        raise NOTHING_GOOD(count=len(given), fields=[{"field": f"[{row['index']}]", "why": f"{row['text']} {row['detail']}".strip()} for row in bad[:100]])
    messages = ingest.pack(good, f"gate.v1.{source.pk.hex}")
    bridge = broker.bridge()

    async def send() -> int:
        nc = await bridge.connection()
        try:
            return await ingest.publish(nc, messages, ids=f"{source.pk.hex}.{key}" if key else "")
        except nats.errors.NoRespondersError:
            await ingest.ensure_streams(nc.jetstream())
            return await ingest.publish(nc, messages, ids=f"{source.pk.hex}.{key}" if key else "")

    try:
        bridge.run(send())
    except Exception as error:
        raise BROKER_DOWN(why=type(error).__name__)
    return {"accepted": len(good), "refused": bad}
