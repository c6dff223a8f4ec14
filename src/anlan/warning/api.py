"""Warning's HTTP API."""
from __future__ import annotations

import hmac
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from anlan.kernel import access, clock
from anlan.kernel.errors import NOT_FOUND

from . import actions, arrival, compute, delivery, devices, following, modelled, passing, proof, queries, secrets, texts
from .adapters.webhook.adapter import signature
from .models import Alert, Channel, Proposal

router = Router()


def shown(row: Alert) -> dict[str, Any]:
    """An alert as its readers get it."""
    return {
        "id": str(row.pk), "kind": row.kind, "state": row.state, "status": row.status, "msg_type": row.msg_type, "scope": row.scope, "audience": row.audience,
        "identifier": row.identifier, "sender": row.sender, "sent": row.sent, "hazard": row.hazard, "event": row.event, "colour": row.colour,
        "severity": row.severity, "urgency": row.urgency, "certainty": row.certainty, "headline": row.headline, "description": row.description,
        "instruction": row.instruction, "expires": row.expires, "issuer": row.issuer, "issuer_name": row.issuer_name, "regions": row.region_ids,
        "area_text": row.area_text, "drawn": row.drawn, "unmapped": row.unmapped, "repairs": row.repairs, "signature": row.signature, "heard_by": row.heard_by,
        "author": row.author, "approver": row.approver, "content_hash": row.content_hash, "predecessor": row.predecessor_id, "relay_of": row.relay_of_id,
        "version": row.version, "thread": row.thread, "silent": row.silent, "endings": row.endings, "ending": row.ending,
    }


class Content(Schema):
    kind: str = "prompt"
    hazard: str
    colour: str
    regions: list[UUID] = []
    drawn: dict[str, Any] | None = None
    headline: str
    description: str = ""
    instruction: str = ""
    expires: datetime | None = None
    channels: list[UUID] | None = None
    status: str = ""
    scope: str = ""
    translations: dict[str, dict[str, str]] = {}
    proposal: UUID | None = None


class Heard(Schema):
    hazard: str
    colour: str
    issuer: str
    regions: list[UUID]
    text: str = ""
    headline: str = ""
    heard_by: str = "phone"
    issuer_name: str = ""
    contact: str = ""
    sent: datetime | None = None
    expires: datetime | None = None


class Modelled(Schema):
    model: str
    version: str
    hazard: str
    colour: str = ""
    regions: list[UUID] = []
    footprint: dict[str, Any] | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    quantity: str = ""
    value: float | None = None
    unit: str = ""
    inputs: dict[str, Any] = {}


class Reason(Schema):
    reason: str = ""


class Correction(Schema):
    headline: str = ""
    description: str = ""
    instruction: str = ""
    contact: str = ""
    translations: dict[str, dict[str, str]] = {}


class Seen(Schema):
    seen_hash: str


class GatewayReceipt(Schema):
    reference: str
    ok: bool
    text: str = ""
    kind: str = ""


class DeviceReport(Schema):
    device: str
    kind: str = "heartbeat"
    id: str = ""
    text: str = ""


class DeviceReports(Schema):
    reports: list[DeviceReport]


class Told(Schema):
    region: UUID
    by: str


def _one(request: HttpRequest, key: UUID) -> Alert:
    row = Alert.objects.seen_by(request.actor, request.realm).filter(pk=key).first()  # type: ignore[attr-defined]
    if row is None:
        raise NOT_FOUND(kind="alert", key=key)
    return row


@router.get("/alerts", summary="Alerts the reader may see, newest first")
def alerts(request: HttpRequest, state: str = "live", colour: str = "", kind: str = "", q: str = "", limit: int = 50, offset: int = 0) -> Any:
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    rows = queries.alerts(request.actor, request.realm, state="" if state == "all" else state, colour=colour, kind=kind, text=q)  # type: ignore[attr-defined]
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"count": rows.count(), "items": [shown(row) for row in rows[offset:offset + limit]]}


@router.get("/alerts/{uuid:key}", summary="One alert, with its deliveries")
def alert(request: HttpRequest, key: UUID) -> Any:
    row = _one(request, key)
    deliveries = [
        {"channel": one["channel"].name, "states": one["states"], "receipts": one["receipts"], "errors": one["errors"]} for one in queries.deliveries(row)
    ]
    return shown(row) | {"deliveries": deliveries}


@router.get("/alerts/{uuid:key}/arrival", summary="How far an issued alert has come, and every place that has not confirmed it")
def alert_arrival(request: HttpRequest, key: UUID) -> Any:
    found = arrival.of(_one(request, key))
    if found is None:
        return {"places": 0, "accepted": 0, "shown": 0, "acted": 0, "unreached": []}
    return {name: found[name] for name in ("accepted", "shown", "acted", "people")} | {"places": len(found["places"]), "unreached": [
        {"region": place.region.pk, "name": place.region.name, "population": place.region.population, "level": place.level, "waiting": [
            {"name": target.name, "level": target.level, "error": target.error} for target in place.waiting
        ]} for place in found["unreached"]
    ]}


@router.get("/record", summary="Release coverage, accuracy and timeliness (Q28 to Q30) of the last days, in per cent")
def record(request: HttpRequest, days: int = 90) -> Any:
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    found = arrival.record(queries.issued(request.actor, request.realm, max(1, min(days, 366)))[:arrival.MOST])  # type: ignore[attr-defined]
    return {"alerts": len(found.lines), "coverage": found.coverage, "accuracy": found.accuracy, "timeliness": found.timeliness, "cannot_tell": found.cannot_tell, "minutes": found.minutes}


@router.post("/alerts", summary="Write a draft")
def compose(request: HttpRequest, body: Content) -> Any:
    values = body.dict() | {"regions": [str(key) for key in body.regions], "channels": None if body.channels is None else [str(key) for key in body.channels]}
    return shown(actions.compose(request.act(), **values))  # type: ignore[attr-defined]


@router.post("/alerts/by-hand", summary="Take down an outside warning heard by phone, fax or chat")
def by_hand(request: HttpRequest, body: Heard) -> Any:
    return shown(actions.enter_by_hand(request.act(), **(body.dict() | {"regions": [str(key) for key in body.regions]})))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/submit", summary="Put a draft to a second person")
def submit(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(actions.submit(request.act(), alert=key))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/approve", summary="Approve exactly the content seen, as the second person")
def approve(request: HttpRequest, key: UUID, body: Seen) -> Any:
    _one(request, key)
    return shown(actions.approve(request.act(), alert=key, seen_hash=body.seen_hash))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/send-back", summary="Refuse approval, with a reason")
def send_back(request: HttpRequest, key: UUID, body: Reason) -> Any:
    _one(request, key)
    return shown(actions.send_back(request.act(), alert=key, reason=body.reason))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/issue", summary="Let it go out")
def issue(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(actions.issue(request.act(), alert=key))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/cancel", summary="Cancel an issued alert")
def cancel(request: HttpRequest, key: UUID, body: Reason) -> Any:
    _one(request, key)
    return shown(actions.cancel(request.act(), alert=key, reason=body.reason))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/end/{how}", summary="Withdraw (cancel) or give the all-clear (all_clear) as prepared and approved with the warning")
def end_as_prepared(request: HttpRequest, key: UUID, how: str, body: Reason) -> Any:
    _one(request, key)
    return shown(actions.end_as_prepared(request.act(), alert=key, how=how, reason=body.reason))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/correct", summary="Start a silent correction: words and contact only, nobody is alarmed again")
def correct(request: HttpRequest, key: UUID, body: Correction) -> Any:
    _one(request, key)
    return shown(actions.correct(request.act(), alert=key, changes=body.dict(exclude_unset=True)))  # type: ignore[attr-defined]


@router.get("/alerts/{uuid:key}/reach", summary="Counties and towns the area touches, with the people inside and outside, by area")
def reach(request: HttpRequest, key: UUID) -> Any:
    return compute.reach(_one(request, key))


@router.get("/alerts/{uuid:key}/proof", summary="The signed proof a warning carries; `anlan cap prove` checks it without the database", openapi_extra={"responses": {200: {"description": "gzip of lines of JSON", "content": {"application/gzip": {}}}}})
def proof_bundle(request: HttpRequest, key: UUID) -> Any:
    return proof.file(request.actor, key)  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/relay", summary="Pass an outside warning on, unchanged")
def relay(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(actions.relay(request.act(), alert=key))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/pass-on-end", summary="Tell whoever heard a relayed warning from us that its issuer has lifted it; the key is that of the issuer's cancel")
def pass_on_end(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(following.pass_on_end(request.act(), alert=key))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/end-dropped", summary="Give the all-clear to the places an update leaves out")
def end_dropped(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(following.end_dropped(request.act(), alert=key))  # type: ignore[attr-defined]


@router.post("/alerts/{uuid:key}/acknowledge", summary="Confirm having seen an alert")
def acknowledge(request: HttpRequest, key: UUID) -> Any:
    _one(request, key)
    return shown(actions.acknowledge(request.act(), alert=key))  # type: ignore[attr-defined]


@router.get("/proposals", summary="Areas whose signals ask for a warning")
def proposals(request: HttpRequest, state: str = Proposal.OPEN) -> Any:
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    return [
        {
            "id": str(row.pk), "region": str(row.region_id), "hazard": row.hazard, "colour": row.colour, "now_colour": row.now_colour, "kind": row.kind,
            "state": row.state, "evidence": row.evidence, "opened_at": row.opened_at,
        }
        for row in queries.proposals(request.actor, request.realm, "" if state == "all" else state)[:500]  # type: ignore[attr-defined]
    ]


@router.post("/proposals", summary="A model hands in what it expects, as evidence on the proposals of the counties it touches; it warns nobody by itself")
def hand_in(request: HttpRequest, body: Modelled) -> Any:
    rows = Proposal.objects.of(request.realm).filter(pk__in=modelled.hand_in(request.act(), **body.dict()))  # type: ignore[attr-defined]
    return [{"id": str(row.pk), "region": str(row.region_id), "hazard": row.hazard, "colour": row.colour, "now_colour": row.now_colour, "state": row.state} for row in rows]


def _gateway(request: HttpRequest) -> Any:
    """A gateway proves itself with the channel's own secret: HMAC over time and body, as our webhooks do (Authorization: Anlan sha256=…)."""
    key = request.path.rstrip("/").rpartition("/")[2]
    try:
        channel = Channel.objects.filter(pk=UUID(key), enabled=True).first()
    except ValueError:
        return None
    secret = secrets.read(channel.settings.get("secret", "")) if channel else ""
    timestamp = request.headers.get("X-Anlan-Timestamp", "")
    if not secret or not timestamp.isdigit() or abs(int(timestamp) - clock.now().timestamp()) > 300:
        return None
    given = request.headers.get("Authorization", "").removeprefix("Anlan ")
    return channel if hmac.compare_digest(given, signature(secret, timestamp, request.body)) else None


@router.post("/receipts/{key}", auth=_gateway, summary="A gateway reports what became of a message")
def receipt(request: HttpRequest, key: UUID, body: GatewayReceipt) -> Any:
    return {"known": delivery.record_receipt(request.auth, body.reference, body.ok, body.text, body.kind)}  # type: ignore[attr-defined]


@router.post("/devices/{key}", auth=_gateway, summary="A platform of loudspeakers reports heartbeats, plays and test tones of its devices")
def device_reports(request: HttpRequest, key: UUID, body: DeviceReports) -> Any:
    reports = [report for one in body.reports[:1000] if (report := devices.report_of(one.dict())) is not None]
    return devices.take_reports(request.auth, reports)  # type: ignore[attr-defined]


@router.get("/alerts/{uuid:key}/nobody-skipped", summary="For each channel: the targets it was given held against the rows it has, by count and by a sum that needs no order")
def nobody_skipped(request: HttpRequest, key: UUID) -> Any:
    return queries.nobody_skipped(_one(request, key))


@router.post("/alerts/{uuid:key}/told", summary="Note that a place was told by voice, and who confirmed it there")
def told(request: HttpRequest, key: UUID, body: Told) -> Any:
    _one(request, key)
    return {"attempt": passing.told(request.act(), alert=key, region=body.region, by=body.by).pk}  # type: ignore[attr-defined]


@router.get("/loudspeakers", summary="Villages a loudspeaker reaches (Q21): heard lately, last test tone no older than a month")
def loudspeakers(request: HttpRequest) -> Any:
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    found = devices.coverage(request.actor, clock.now())  # type: ignore[attr-defined]
    if found is None:
        return {"villages": 0, "good": 0, "rate": None, "lacking": []}
    return {"villages": found["count"], "good": found["good"], "rate": found["rate"], "states": found["states"], "lacking": [
        {"region": one.region.pk, "name": one.region.name, "population": one.region.population, "state": one.state, "devices": one.devices, "heard_at": one.heard_at, "tone_at": one.tone_at}
        for one in found["lacking"][:2000]
    ]}


@router.get("/words", summary="Prepared words for a hazard and colour, Chinese and English")
def words(request: HttpRequest, hazard: str, colour: str, places: str = "") -> Any:
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    return texts.prepared(hazard, colour, places)
