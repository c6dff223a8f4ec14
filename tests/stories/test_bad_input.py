"""Bad input at every door in one night: each is refused with its reason, kept where that helps, and nothing stops the stream.

A real broker with its MQTT door and a running sensing worker; the other doors through the web server's own code.
"""
from __future__ import annotations

import base64
import io
import json
import zipfile
from datetime import timedelta

import orjson
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from anlan.exchange.tests.test_take_in import LAUGHS, message
from anlan.kernel import clock, journal
from anlan.kernel.models import RosterEntry
from anlan.plans.models import Plan, PlanVersion
from anlan.sensing import door, ingest, queries, sources
from anlan.sensing.models import Reading, Refused, Series
from anlan.sensing.tests.builders import source, station
from anlan.sensing.tests.test_worker import Running, device, make_streams, server, until  # noqa: F401
from anlan.warning.models import Alert, Original

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(city, county):
    """She keeps the whole city's register: sources are the installation's."""
    from anlan.kernel.access import CAPABILITIES
    from anlan.runtime.testing import make_actor, make_post

    return make_actor("alice", make_post("监测管理员", city, capabilities=list(CAPABILITIES)))


DEEP = b"[" * 100_000 + b"]" * 100_000


def at(minutes=0):
    return (clock.now() + timedelta(minutes=minutes)).isoformat()


def body(**changes):
    return orjson.dumps({"t": at(-3), "v": 1.0, "u": "mm"} | changes)


# What a device, a broken gateway or an attacker may send over MQTT, and the reason it is refused with.
HOSTILE = [
    (b"", "malformed"), (b"\xff\xfe\x00garbage", "malformed"), (DEEP[:60_000], "malformed"), (b'{"t":' * 5000, "malformed"), (b"x" * (ingest.MQTT_LIMIT + 1), "oversized"),
    (body(u="feet"), "unit"), (body(u=None), "unit"), (body(t="yesterday"), "no_time"), (body(t="2026-07-20T08:00:00"), "no_time"), (body(t=12), "no_time"),
    (body(t=at(600)), "future"), (body(t="9999-12-31T23:59:59Z"), "future"), (body(v="1; DROP TABLE sensing_reading"), "not_a_number"), (body(v=None), "not_a_number"),
    (b'{"t":"%s","v":1e999,"u":"mm"}' % at(-3).encode(), "malformed"), (body(v=-40), "out_of_range"), (body(v=90_000), "out_of_range"),
    (orjson.dumps([{}] * (ingest.AT_MOST + 1)), "too_many"), (b'"just a text"', "malformed"), (orjson.dumps([[[]]]), "malformed"),
]


def basic(name, word):
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{name}:{word}".encode()).decode()}


def sheet(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


def test_bad_input_at_every_door_is_refused_kept_and_stops_nothing(actual, county, alice, client, signed_in, server, settings, monkeypatch):  # noqa: F811
    monkeypatch.setattr(door, "_guesses", {})
    monkeypatch.setattr(door, "_registry", None)
    for code in ("R1", "R2"):
        station(actual, code, region=county)
    _row, word = source(actual, alice, "gauge-1", "gateway", ["R1"])
    own = server(sources.broker_users())
    settings.NATS_URL, settings.ADDRESSES = own.url(), {"nats": own.url()}
    make_streams(own)
    running = Running(own.url())
    good = 0

    def still_takes():
        """A good reading after the bad ones lands."""
        nonlocal good
        good += 1
        gauge.publish("anlan/v1/x/R1/rain", body(t=at(-60 + good), v=float(good)), qos=1).wait_for_publish(10)
        until(lambda: Reading.objects.count() == good)

    try:
        gauge = device(own, "gauge-1", word)
        still_takes()
        # MQTT
        for raw, _reason in HOSTILE:
            gauge.publish("anlan/v1/x/R1/rain", raw, qos=1).wait_for_publish(10)
        gauge.publish("anlan/v1/x/R1/level", body(u="m"), qos=1).wait_for_publish(10)  # not what this station measures
        still_takes()
        until(lambda: Refused.objects.count() >= len(HOSTILE) + 1)
        assert sorted(Refused.objects.values_list("reason", flat=True)) == sorted([*(reason for _raw, reason in HOSTILE), "quantity"])
        assert all(row.door == "mqtt" and row.size == len(HOSTILE[0][0]) or row.payload or row.size for row in Refused.objects.all())
        kept = Refused.objects.get(reason="not_a_number", payload__contains="DROP")
        assert kept.station == "R1" and kept.region_id == county.pk, "kept with where it came from, for whoever inspects it"

        # HTTP
        url = "/api/v1/sensing/readings"
        before = Refused.objects.count()
        assert client.post(url, b"[]", content_type="application/json").status_code == 401
        assert client.post(url, b"[]", content_type="application/json", **basic("gauge-1", "guess")).status_code == 401
        answers = {
            name: client.post(url, raw, content_type="application/json", **basic("gauge-1", word))
            for name, raw in {
                "garbage": b"\x00\x01", "deep": DEEP, "scalar": b"7", "large": b" " * (door.BODY_LIMIT + 10) + b"[]",
                "foreign": orjson.dumps([{"s": "R2", "q": "rain", "t": at(-2), "v": 1, "u": "mm"}]), "nobody": orjson.dumps([{"s": "' OR 1=1 --", "q": "rain", "t": at(-2), "v": 1, "u": "mm"}]),
            }.items()
        }
        assert {name: answer.status_code for name, answer in answers.items()} == {"garbage": 422, "deep": 422, "scalar": 422, "large": 413, "foreign": 422, "nobody": 422}
        assert all(set(answer.json()["error"]) >= {"code", "message"} for answer in answers.values()), "one shape of errors at the door"
        assert set(Refused.objects.order_by("-pk").values_list("reason", flat=True)[: Refused.objects.count() - before]) == {"not_bound", "unknown_station"}
        mixed = client.post(url, orjson.dumps([
            {"s": "R1", "q": "rain", "t": at(-20), "v": 5, "u": "mm"}, {"s": "R1", "q": "rain", "t": at(-19), "v": 5, "u": "kg"},
        ]), content_type="application/json", **basic("gauge-1", word))
        assert mixed.status_code == 202 and mixed.json()["accepted"] == 1 and [row["reason"] for row in mixed.json()["refused"]] == ["unit"]
        good += 1
        until(lambda: Reading.objects.count() == good)
        still_takes()

        # CAP
        signed_in(client, alice)
        for raw in (LAUGHS, b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>', b"<a>" * 5000, b"\x00\x01", b"<html/>", message()[:200]):
            answer = client.post(reverse("exchange:upload"), {"file": SimpleUploadedFile("a.xml", raw)})
            assert answer.status_code == 422, raw[:40]
            assert b"root:" not in answer.content
        originals = list(Original.plain.exclude(refused=""))
        assert len(originals) == 6 and all(row.refused for row in originals) and not Alert.plain.exists(), "each is kept with its reason, none became a warning"
        assert client.post(reverse("exchange:upload"), {"file": SimpleUploadedFile("a.xml", message())}).status_code == 302
        assert Alert.plain.count() == 1

        # Plan files
        plans = Plan.objects.count(), PlanVersion.objects.count()
        bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8))
        for text in (bomb, "!!python/object/apply:os.system ['id']", "key: [", "\x00", "- 1\n- 2", "plan: x\nconditions: [{when: '1 +'}]", "x" * 2_000_000):
            answer = client.post(reverse("plans:upload"), {"text": text, "note": ""})
            assert answer.status_code == 422 and b'role="alert"' in answer.content, text[:40]
        assert (Plan.objects.count(), PlanVersion.objects.count()) == plans

        # Spreadsheets
        for content in (
            b"", b"not a sheet", b"PK\x03\x04broken", sheet(a="<x/>"), sheet(xl__workbook='<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), sheet(bomb="0" * 70_000_000),
        ):
            answer = client.post(reverse("kernel:roster_import"), {"file": SimpleUploadedFile("r.xlsx", content)})
            assert answer.status_code in (200, 413, 422) and b'role="alert"' in answer.content, content[:20]
        assert not RosterEntry.objects.of(actual).exists()

        still_takes()
        until(lambda: queries.drained(actual))
        gauge.loop_stop()
        gauge.disconnect()
    finally:
        running.end()
    assert Series.objects.get(station__code="R1", quantity="rain").count == good
    verdict = journal.verify()
    assert verdict.ok, json.dumps(verdict.broken[:3])
