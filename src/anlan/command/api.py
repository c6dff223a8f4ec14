"""Command's HTTP API."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from anlan.kernel.errors import INVALID

from . import actions, queries

router = Router()
LIMIT = 200


class ReportIn(Schema):
    kind: str = "first"
    text: str
    event: str = ""
    place: str = ""
    region: UUID | None = None
    caller: str = ""
    caller_phone: str = ""
    means: str = "phone"
    happened_at: datetime | None = None
    incident: UUID | None = None
    first: UUID | None = None
    dead: int | None = None
    missing: int | None = None
    injured: int | None = None
    trapped: int | None = None
    moved: int | None = None


class FactIn(Schema):
    term: str
    place: str
    value: bool | float | str
    unit: str = ""
    source: str = ""
    qualifier: str = ""
    region: UUID | None = None
    report: UUID | None = None
    observed_at: datetime | None = None


class IncidentIn(Schema):
    kind: str = ""
    title: str
    region: UUID | None = None
    place: str = ""
    lon: float | None = None
    lat: float | None = None
    report: UUID | None = None


class DecideIn(Schema):
    reason: str = ""
    behalf: UUID | None = None
    means: str = ""
    incident: UUID | None = None


class LevelIn(Schema):
    level: str
    reason: str
    behalf: UUID | None = None
    means: str = ""


class EndIn(Schema):
    reason: str
    carry: bool = False
    behalf: UUID | None = None
    means: str = ""


class DocumentIn(Schema):
    kind: str
    lang: str = "zh"


def _aware(at: datetime | None, field: str) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise INVALID(fields=[{"field": field, "why": "time zone needed, e.g. 2026-07-20T10:30:00+08:00"}])
    return at


def _report(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk, "version": row.version, "kind": row.kind, "event": row.event, "place": row.place, "region": row.region_id, "text": row.text, "means": row.means,
        "happened_at": row.happened_at, "received_at": row.received_at, "incident": row.incident_id, "first": row.first_id, "merged_into": row.merged_into_id,
        **{name: getattr(row, name) for name in row.COUNTS},
    }


def _incident(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk, "version": row.version, "kind": row.kind, "title": row.title, "region": row.region_id, "place": row.place, "lon": row.lon, "lat": row.lat,
        "state": row.state, "opened_at": row.opened_at, "closed_at": row.closed_at,
    }


def _response(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk, "version": row.version, "plan": row.plan_title, "plan_version": row.plan_version, "level": row.level, "colour": row.colour, "region": row.region_id,
        "state": row.state, "started_at": row.started_at, "level_since": row.level_since, "ended_at": row.ended_at, "proposal": row.proposal_id, "incident": row.incident_id,
    }


def _order(row: Any) -> dict[str, Any]:
    return {
        "id": row.pk, "version": row.version, "post": row.post_id, "post_name": row.post.name, "text": row.text, "clause": row.clause, "state": row.state, "source": row.source,
        "issued_at": row.issued_at, "due_at": row.due_at, "read_at": row.read_at, "accepted_at": row.accepted_at, "done_at": row.done_at, "percent": row.percent,
    }


def _page(rows: Any, offset: int, one: Any) -> dict[str, Any]:
    offset = max(0, min(offset, 1_000_000))
    return {"total": rows.count(), "offset": offset, "items": [one(row) for row in rows[offset:offset + LIMIT]]}


@router.get("/reports", summary="Reports, newest first")
def reports(request: HttpRequest, text: str = "", state: str = "", offset: int = 0) -> Any:
    return _page(queries.reports(request.actor, request.realm, text=text.replace("\x00", ""), state=state), offset, _report)  # type: ignore[attr-defined]


@router.post("/reports", summary="Take down a report")
def take_report(request: HttpRequest, body: ReportIn) -> Any:
    values = body.dict()
    values["happened_at"] = _aware(body.happened_at, "happened_at")
    return _report(actions.take_report(request.act(), **values))  # type: ignore[attr-defined]


@router.post("/facts", summary="State an observed fact; the plans judge it at once")
def state_fact(request: HttpRequest, body: FactIn) -> Any:
    values = body.dict()
    act = request.act(occurred_at=_aware(values.pop("observed_at"), "observed_at"))  # type: ignore[attr-defined]
    row = actions.state_fact(act, **values)
    return {"id": row.pk, "term": row.term, "place": row.place, "value": row.value, "observed_at": row.observed_at}


@router.get("/incidents", summary="Incidents, newest first")
def incidents(request: HttpRequest, state: str = "", text: str = "", offset: int = 0) -> Any:
    return _page(queries.incidents(request.actor, request.realm, state=state.replace("\x00", ""), text=text.replace("\x00", "")), offset, _incident)  # type: ignore[attr-defined]


@router.post("/incidents", summary="Open an incident")
def open_incident(request: HttpRequest, body: IncidentIn) -> Any:
    return _incident(actions.open_incident(request.act(), **body.dict()))  # type: ignore[attr-defined]


@router.get("/incidents/{key}", summary="One incident")
def incident(request: HttpRequest, key: UUID) -> Any:
    return _incident(queries.incident(request.actor, request.realm, key))  # type: ignore[attr-defined]


@router.get("/responses", summary="Responses, active ones first")
def responses(request: HttpRequest, state: str = "", offset: int = 0) -> Any:
    return _page(queries.responses(request.actor, request.realm, state=state.replace("\x00", "")), offset, _response)  # type: ignore[attr-defined]


@router.get("/responses/{key}/orders", summary="Orders of a response with their receipts")
def response_orders(request: HttpRequest, key: UUID) -> Any:
    row = queries.response(request.actor, request.realm, key)  # type: ignore[attr-defined]
    return {"items": [_order(order) for order in queries.orders_of(request.actor, request.realm, f"response:{row.pk}")[:1000]]}  # type: ignore[attr-defined]


@router.post("/proposals/{key}/approve", summary="Approve a proposed level; its orders are given at once")
def approve(request: HttpRequest, key: UUID, body: DecideIn) -> Any:
    return _response(actions.approve_proposal(request.act(), proposal=key, **body.dict()))  # type: ignore[attr-defined]


@router.post("/proposals/{key}/refuse", summary="Refuse a proposed level, with the reason")
def refuse(request: HttpRequest, key: UUID, body: DecideIn) -> Any:
    row = actions.refuse_proposal(request.act(), proposal=key, reason=body.reason, behalf=body.behalf, means=body.means)  # type: ignore[attr-defined]
    return {"id": row.pk, "kind": row.kind, "level": row.to_level, "reason": row.reason}


@router.post("/responses/{key}/level", summary="Raise or lower a running response, with the reason")
def change_level(request: HttpRequest, key: UUID, body: LevelIn) -> Any:
    return _response(actions.change_level(request.act(), response=key, **body.dict()))  # type: ignore[attr-defined]


@router.post("/responses/{key}/end", summary="End a response; a first review is written")
def end(request: HttpRequest, key: UUID, body: EndIn) -> Any:
    return _response(actions.end_response(request.act(), response=key, **body.dict()))  # type: ignore[attr-defined]


@router.post("/responses/{key}/documents", summary="Make a situation report or notice")
def make_document(request: HttpRequest, key: UUID, body: DocumentIn) -> Any:
    row = actions.make_document(request.act(), kind=body.kind, response=key, lang=body.lang)  # type: ignore[attr-defined]
    return {"id": row.pk, "number": row.number_text, "title": row.title}


@router.get("/orders", summary="The order board")
def orders(request: HttpRequest, state: str = "", late: bool = False, offset: int = 0) -> Any:
    return _page(queries.board(request.actor, request.realm, state=state.replace("\x00", ""), late=late), offset, _order)  # type: ignore[attr-defined]


@router.get("/responses/{key}/review", summary="The first review of an ended response")
def review(request: HttpRequest, key: UUID) -> Any:
    from anlan.kernel.errors import NOT_FOUND

    row = queries.response(request.actor, request.realm, key)  # type: ignore[attr-defined]
    found = getattr(row, "review", None)
    if found is None:
        raise NOT_FOUND(kind="review", key=key)
    return {"id": found.pk, "written_at": found.written_at, "steps": found.steps, "timeline": found.timeline}
