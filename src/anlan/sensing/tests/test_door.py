"""The HTTP door: a credential of its own, a clear reason for each refusal, and nothing "taken" that the broker does not hold."""
from __future__ import annotations

import base64
from datetime import timedelta

import cbor2
import orjson
import pyarrow as pa
import pytest

from anlan.kernel import clock
from anlan.sensing import actions, door, worker
from anlan.sensing.ingest import Message
from anlan.sensing.models import Reading, Refused
from anlan.sensing.worker import Processor

from .builders import act, source, station

pytestmark = pytest.mark.django_db
URL = "/api/v1/sensing/readings"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(door, "_guesses", {})
    monkeypatch.setattr(door, "_registry", None)


@pytest.fixture
def kept(monkeypatch):
    """What reached the broker, in place of one."""
    sent: list[tuple[str, bytes]] = []

    class Fake:
        def run(self, work, timeout=20):
            import asyncio

            return asyncio.run(work)

        async def connection(self):
            return None

    async def publish(nc, messages, ids=""):
        sent.extend(messages)
        return len(messages)

    monkeypatch.setattr(door.broker, "bridge", Fake)
    monkeypatch.setattr(door.ingest, "publish", publish)
    return sent


def basic(name, word):
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}


def reading(code="R1", **changes):
    return {"s": code, "q": "rain", "t": (clock.now() - timedelta(minutes=1)).isoformat(), "v": 1.5, "u": "mm", **changes}


def test_a_list_and_lines_of_json_are_taken_and_stored(actual, alice, client, kept):
    station(actual, "R1")
    _row, word = source(actual, alice, "gw", "http", ["R1"])
    answer = client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", word))
    assert answer.status_code == 202 and answer.json() == {"accepted": 1, "refused": []}
    lines = b"\n".join(orjson.dumps(reading(t=(clock.now() - timedelta(minutes=n)).isoformat())) for n in (2, 3))
    assert client.post(URL, lines, content_type="application/x-ndjson", HTTP_AUTHORIZATION=f"Bearer gw:{word}").json()["accepted"] == 2
    worker.prepare()
    Processor().process([Message("local", n, subject, body) for n, (subject, body) in enumerate(kept, 1)])
    assert Reading.objects.count() == 3


@pytest.mark.parametrize("header", ["", "Basic", "Basic !!!!", "Basic Z3c6d3Jvbmc=", "Digest x", "Bearer gw", "Bearer gw:wrong", "Bearer nobody:x", "Basic " + "A" * 5000])
def test_a_wrong_credential_gets_nothing(actual, alice, client, kept, header):
    station(actual, "R1")
    source(actual, alice, "gw", "http", ["R1"])
    answer = client.post(URL, orjson.dumps([reading()]), content_type="application/json", **({"HTTP_AUTHORIZATION": header} if header else {}))
    assert answer.status_code == 401 and answer.json()["error"]["code"] in ("sensing.credential", "kernel.sign_in")
    assert kept == []


def test_a_source_for_mqtt_or_switched_off_may_not_use_this_door(actual, alice, client, kept):
    station(actual, "R1")
    row, word = source(actual, alice, "dev", "mqtt", ["R1"])
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("dev", word)).status_code == 401
    actions.save_source(act(actual, alice), source=row.pk, name="dev", kind="http", active=False)
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("dev", word)).status_code == 401


def test_after_many_guesses_even_the_right_password_waits(actual, alice, client, kept, monkeypatch):
    monkeypatch.setattr(door, "GUESSES", 3)
    station(actual, "R1")
    _row, word = source(actual, alice, "gw", "http", ["R1"])
    for _guess in range(3):
        client.post(URL, b"[]", content_type="application/json", **basic("gw", "guess"))
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", word)).status_code == 401


def test_good_ones_are_taken_and_each_bad_one_has_its_reason(actual, alice, client, kept):
    station(actual, "R1")
    station(actual, "R2")
    station(actual, "R3", active=False)
    _row, word = source(actual, alice, "gw", "http", ["R1", "R3"])
    bad = [
        reading("R2"), reading("NOPE"), reading("R3"), reading(q="level", u="m"), reading(u="kg"), reading(v=None), reading(v=-3), reading(t="now"),
        reading(t=(clock.now() + timedelta(hours=2)).isoformat()), 7, {"s": 1}, reading(s=["R1"]),
    ]
    answer = client.post(URL, orjson.dumps([reading(), *bad]), content_type="application/json", **basic("gw", word))
    assert answer.status_code == 202 and answer.json()["accepted"] == 1
    reasons = [row["reason"] for row in answer.json()["refused"]]
    assert reasons == [
        "not_bound", "unknown_station", "retired", "quantity", "unit", "not_a_number", "out_of_range", "no_time", "future", "malformed", "malformed", "malformed",
    ]
    assert Refused.objects.count() == len(bad) and set(Refused.objects.values_list("source", flat=True)) == {"gw"}
    assert all(row["text"] for row in answer.json()["refused"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "sensing.malformed"), (b"nonsense", 422, "sensing.malformed"), (b'{"a":1}\n{broken', 422, "sensing.malformed"), (b"5", 422, "sensing.malformed"),
        (b"[" * 60_000 + b"]" * 60_000, 422, "sensing.malformed"), (b"[" + b"{}," * 5000 + b"{}]", 413, "sensing.too_many"),
        (b"{}\n" * 5001, 413, "sensing.too_many"), (b" " * 100 + b"x" * (2 * 1024 * 1024 + 1), 413, "kernel.too_large"), (b"[{}]", 422, "sensing.nothing_good"),
        (b"[]", 422, "sensing.nothing_good"), (b"\xff\xfe", 422, "sensing.malformed"),
    ],
)
def test_bad_bodies_are_refused_whole(actual, alice, client, kept, body, status, code):
    station(actual, "R1")
    _row, word = source(actual, alice, "gw", "http", ["R1"])
    answer = client.post(URL, body, content_type="application/json", **basic("gw", word))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert kept == []


def test_without_a_broker_nothing_is_said_to_be_taken(actual, alice, client, settings):
    settings.NATS_URL, settings.ADDRESSES = "nats://127.0.0.1:9", {}
    station(actual, "R1")
    _row, word = source(actual, alice, "gw", "http", ["R1"])
    answer = client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", word))
    assert answer.status_code == 503 and answer.json()["error"]["blame"] == "ours"


def test_a_new_password_ends_the_old_one_at_once(actual, alice, client, kept):
    from anlan.sensing import sources

    station(actual, "R1")
    row, word = source(actual, alice, "gw", "http", ["R1"])
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", word)).status_code == 202
    fresh_word, hashed = sources.new_password()
    actions.set_credential(act(actual, alice), source=row.pk, password_bcrypt=hashed)
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", word)).status_code == 401
    assert client.post(URL, orjson.dumps([reading()]), content_type="application/json", **basic("gw", fresh_word)).status_code == 202


def test_cbor_and_arrow_are_the_same_readings_as_json(actual, alice, client, kept):
    station(actual, "R1")
    _row, word = source(actual, alice, "gw", "http", ["R1"])
    at = (clock.now() - timedelta(minutes=1)).replace(microsecond=0)
    rows = [reading(t=at.isoformat(), v=1.5), reading(t=at.isoformat(), v=-3)]
    table = pa.table({"s": ["R1", "R1"], "q": ["rain"] * 2, "t": pa.array([at, at], pa.timestamp("us", "UTC")), "v": [1.5, -3.0], "u": ["mm"] * 2})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    told = []
    for kind, body in (
        ("application/json", orjson.dumps(rows)), ("application/cbor", cbor2.dumps([{**row, "t": at} for row in rows])),
        ("application/vnd.apache.arrow.stream", sink.getvalue().to_pybytes()),
    ):
        answer = client.post(URL, body, content_type=kind, **basic("gw", word))
        told.append((answer.status_code, answer.json()["accepted"], [row["reason"] for row in answer.json()["refused"]]))
    assert told == [(202, 1, ["out_of_range"])] * 3
    (one,) = {(subject, tuple(map(tuple, (sorted(item.items()) for item in orjson.loads(body))))) for subject, body in kept}
    assert dict(one[1][0])["v"] == 1.5
    for kind, body in (("application/cbor", b"\x9f\x00"), ("application/cbor", b"\x81" * 5000), ("application/vnd.apache.arrow.stream", b"PAR1")):
        assert client.post(URL, body, content_type=kind, **basic("gw", word)).json()["error"]["code"] == "sensing.malformed"


def test_a_run_of_a_device_is_the_same_as_its_readings_one_by_one(actual, alice):
    """In CBOR, with its bad readings refused one by one; and what is no run at all is refused whole."""
    station(actual, "R1")
    station(actual, "R2")
    source(actual, alice, "gauge", "mqtt", ["R1", "R2"])
    worker.prepare()
    first = (clock.now() - timedelta(hours=2)).replace(microsecond=0)
    values = [0.2, 1.25, -1, 203.0, float("nan"), 3]
    run = {"t": first, "dt": [300 * n for n in range(6)], "v": values, "u": "mm"}
    single = [{"t": (first + timedelta(seconds=300 * n)).isoformat(), "v": v, "u": "mm"} for n, v in enumerate(values)]
    own = Processor()
    packed = own.process([Message("local", 1, "anlan.v1.x.R1.rain", cbor2.dumps(run))])
    each = own.process([Message("local", 2 + n, "anlan.v1.x.R2.rain", cbor2.dumps(item)) for n, item in enumerate(single)])
    assert (packed["readings"], packed["accepted"], packed["refused"]) == (6, 4, 2) and (each["accepted"], each["refused"]) == (4, 2)

    def stored(code):
        return list(Reading.objects.filter(series__station__code=code).order_by("time").values_list("time", "value", "flags"))

    assert stored("R1") == stored("R2") and len(stored("R1")) == 4
    reasons = []
    for bad in ({"dt": [0]}, {"dt": [0.5] * 6}, {"u": "m"}, {"t": 7}, {"v": ["1"] * 6}, {"dt": [1 << 70] * 6}):
        Refused.objects.all().delete()
        own.process([Message("local", 99, "anlan.v1.x.R1.rain", cbor2.dumps({**run, **bad}))])
        reasons.append(Refused.objects.get().reason)
    assert reasons == ["malformed", "no_time", "unit", "no_time", "not_a_number", "no_time"]
