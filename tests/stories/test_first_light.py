"""The whole loop once, through the doors people and machines use: reading → signal → proposal → approval → order → receipt → report → stand-down → review."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest

from anlan.kernel import clock, journal
from anlan.kernel.actions import Act, Actor
from anlan.kernel.models import Order
from anlan.plans import actions as plans
from anlan.runtime.testing import make_actor, make_post
from anlan.sensing import actions as sensing
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Station
from anlan.sensing.worker import feed

pytestmark = pytest.mark.django_db
API = "/api/v1"


@pytest.fixture
def say(client, signed_in):
    """say(actor, method, path, data): the answer of the API, as that person."""

    def ask(actor, method, path, data=None, status=200):
        signed_in(client, actor)
        answer = getattr(client, method)(f"{API}{path}", data=json.dumps(data) if data is not None else None, content_type="application/json")
        assert answer.status_code == status, f"{path}: {answer.status_code} {answer.content[:800]!r}"
        return answer.json()

    return ask


@pytest.fixture
def gauge(actual, city, county, duty_post, commander_post):
    """A flow gauge with its source, and a plan that speaks of it, bound to the posts of the county."""
    machine = Actor.machine("test")
    administrator = make_actor("设备管理员", make_post("设备管理员", city, capabilities=["sensing.sources"]))
    source = sensing.save_source(Act(administrator, actual), name="gateway", kind="mqtt")
    sensing.import_stations(Act(machine, actual), origin="test", rows=[{
        "code": "F1", "name": "甲河水文站", "kind": "flow", "quantities": ["flow"], "region": county.pk, "source": source.pk, "lon": 119.1, "lat": 28.1,
        "thresholds": {"flow": {"yellow": 30, "orange": 70, "red": 150, "source": "test"}},
    }])
    station = Station.objects.get(code="F1")
    plans.adopt(
        Act(machine, actual), plan="valencia-poyo-2024", region=county.pk, default_post=duty_post.pk,
        places={"poyo": {"station": str(station.pk)}, "basin": {"region": str(county.pk)}},
        posts={"coordinator": [str(commander_post.pk)], "hydrology": [str(duty_post.pk)]},
    )
    return station


def kinds(facts):
    return [fact.kind for fact in facts]


def test_from_a_reading_to_a_review(actual, county, gauge, alice, commander, charlie, say, client, signed_in, drain):
    # A warning comes in by telephone and is taken down.
    say(alice, "post", "/warning/alerts/by-hand", {
        "hazard": "11B03", "colour": "red", "issuer": "weather_service", "regions": [str(county.pk)], "text": "暴雨红色预警", "heard_by": "phone",
    })
    drain()
    # The gauge reports; the river is above its red mark.
    at = clock.now() - timedelta(seconds=5)
    assert feed(actual, [Sample("F1", "flow", at, 208.2, "m3/s")])["accepted"] == 1
    drain()
    proposals = say(alice, "get", "/plans/proposals?state=open")
    assert [(row["level"], row["post"]) for row in proposals] == [("red", str(commander.post_id))]
    key = proposals[0]["id"]
    # Nobody of the neighbour county sees it; the duty officer may see but the level waits for the commander.
    assert say(charlie, "get", "/plans/proposals?state=open") == []
    preview = say(commander, "get", f"/command/proposals/{key}")
    assert preview["orders"] == 2 and preview["clauses"] == ["red"]
    assert Order.objects.of(actual).count() == 0  # a level never changes without a person
    response = say(commander, "post", f"/command/proposals/{key}/approve", {})
    assert response["level"] == "red" and response["state"] == "active"
    drain()
    # The order lies in the inbox of the post, and its receipts come back.
    order = Order.objects.of(actual).get(post_id=alice.post_id)
    signed_in(client, alice)
    assert order.text in client.get("/orders").content.decode()
    assert client.post("/orders/delivered").status_code == 204
    assert client.post(f"/orders/{order.pk}/read").status_code == 204
    for step, data in (("accept", {}), ("progress", {"percent": "50", "text": "已电话通报"}), ("done", {"text": "已书面通报"})):
        assert client.post(f"/orders/{order.pk}/{step}", data).status_code == 302
    order.refresh_from_db()
    assert order.state == Order.DONE and order.delivered_at and order.read_at and order.accepted_at and order.done_at
    # Why: from the order back to the reading, without a gap.
    chain = kinds(journal.why(f"order:{order.pk}"))
    wanted = ["sensing.ReadingsAccepted", "plans.ConditionMet", "plans.LevelProposed", "command.ResponseApproved", "kernel.OrderIssued", "kernel.OrderAccepted", "kernel.OrderDone"]
    assert [kind for kind in chain if kind in wanted] == wanted
    # The situation report writes itself; as PDF and as an editable file.
    document = say(commander, "post", "/command/documents", {"kind": "flash", "response": response["id"]})
    signed_in(client, commander)
    assert client.get(f"{API}/command/documents/{document['id']}/file?form=pdf").content.startswith(b"%PDF")
    assert client.get(f"{API}/command/documents/{document['id']}/file?form=docx").content.startswith(b"PK")
    # Stand-down opens the review.
    say(commander, "post", f"/command/responses/{response['id']}/end", {"reason": ""}, status=422)
    # The river still stands above its mark: who stands down must say that he has seen it.
    refused = say(commander, "post", f"/command/responses/{response['id']}/end", {"reason": "洪水已退"}, status=409)
    assert refused["error"]["code"] == "command.conditions_hold"
    [field] = refused["error"]["fields"]
    ended = say(commander, "post", f"/command/responses/{response['id']}/end", {"reason": "洪水已退", "still_met": field["why"].split(", ")})
    assert ended["state"] == "ended"
    drain()
    written = [fact for fact in journal.about(f"response:{response['id']}") if fact.kind == "command.ResponseEnded"]
    assert len(written) == 1
    review = journal.select("WHERE f.kind = 'command.ReviewWritten' AND f.realm_id = %s", [actual.pk])
    assert len(review) == 1
    steps = say(commander, "get", f"/command/reviews/{review[0].payload['review']}")["steps"]
    assert steps
    # The commander's own order was still open: stood down, it was withdrawn, not forgotten.
    assert Order.objects.of(actual).get(post_id=commander.post_id).state == Order.WITHDRAWN
    verdict = journal.verify()
    assert verdict.ok and verdict.unsealed == 0


def test_a_refused_proposal_gives_no_order(actual, county, gauge, alice, commander, say, drain):
    say(alice, "post", "/warning/alerts/by-hand", {
        "hazard": "11B03", "colour": "red", "issuer": "weather_service", "regions": [str(county.pk)], "text": "暴雨红色预警", "heard_by": "phone",
    })
    feed(actual, [Sample("F1", "flow", clock.now() - timedelta(seconds=5), 208.2, "m3/s")])
    drain()
    key = say(alice, "get", "/plans/proposals?state=open")[0]["id"]
    say(commander, "post", f"/command/proposals/{key}/refuse", {"reason": ""}, status=422)
    say(commander, "post", f"/command/proposals/{key}/refuse", {"reason": "测站故障，已派人核实"})
    drain()
    assert Order.objects.of(actual).count() == 0
    assert say(alice, "get", "/plans/proposals?state=open") == []


def test_a_flow_alarm_without_rain_is_a_question_to_a_person(actual, gauge, alice, commander, say, drain):
    """The same gauge gave false alarms, once because of a parked vehicle: without rain or a warning a person is asked first."""
    feed(actual, [Sample("F1", "flow", clock.now() - timedelta(seconds=5), 184.0, "m3/s")])
    drain()
    assert say(alice, "get", "/plans/proposals?state=open") == []
    asked = journal.select("WHERE f.kind = 'plans.ConditionUnknown' AND f.realm_id = %s", [actual.pk])
    assert asked and {entry["term"] for fact in asked for entry in fact.payload["asked"]} >= {"flow_confirmed"}
