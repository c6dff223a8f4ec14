"""Command's HTTP API: the same actions and the same reads as the pages."""
from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema

from anlan.engines import documents as engine
from anlan.kernel import access, clock
from anlan.kernel.errors import INVALID
from anlan.sensing import queries as sensing_queries

from . import actions, papers, queries
from .models import Decision, Document, Gap, Incident, Instruction, ObservedFact, Report, Response, Review

router = Router()


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
    precision: str = "minute"
    incident: UUID | None = None
    first: UUID | None = None
    dead: int | None = None
    missing: int | None = None
    injured: int | None = None
    trapped: int | None = None
    moved: int | None = None


class MergeIn(Schema):
    into: UUID
    reason: str = ""


class FactIn(Schema):
    """An observed fact. `place` is a place key: site:<name>, region:<id>, station:<id>."""

    term: str
    place: str
    value: float | bool | str
    unit: str = ""
    qualifier: str = ""
    source: str = ""
    region: UUID | None = None
    report: UUID | None = None
    occurred_at: datetime | None = None


class IncidentIn(Schema):
    kind: str
    title: str
    region: UUID | None = None
    place: str = ""
    lon: float | None = None
    lat: float | None = None
    report: UUID | None = None


class InstructionIn(Schema):
    leader: str
    text: str
    post: UUID
    leader_post: str = ""
    means: str = "phone"
    given_at: datetime | None = None
    due_at: datetime | None = None
    incident: UUID | None = None


class DecisionIn(Schema):
    """`behalf` (a person) and `means` only for a decision given by telephone; `decided_at` is when it was given."""

    reason: str = ""
    behalf: UUID | None = None
    means: str = ""
    decided_at: datetime | None = None


class ApproveIn(DecisionIn):
    incident: UUID | None = None


class LevelIn(DecisionIn):
    level: str


class EndIn(DecisionIn):
    """`still_met`: keys of the plan's conditions that still hold, as whoever stands down has seen them."""

    carry: bool = False
    still_met: list[str] = []


class ReasonIn(Schema):
    reason: str


class ConfirmIn(Schema):
    confirm: bool
    remark: str = ""


class DocumentIn(Schema):
    """kind: flash, follow_up (of an incident or response), start, adjust, end (of a response)."""

    kind: str
    response: UUID | None = None
    incident: UUID | None = None
    lang: str = "zh"


class GapIn(Schema):
    changed: str


def _reader(request: HttpRequest) -> tuple[Any, Any]:
    access.require(request.actor, "command.read")  # type: ignore[attr-defined]
    return request.actor, request.realm  # type: ignore[attr-defined]


def _act(request: HttpRequest, given: DecisionIn | None = None) -> Any:
    return request.act(occurred_at=given.decided_at if given and given.behalf else None)  # type: ignore[attr-defined]


def _values(given: DecisionIn, *names: str) -> dict[str, Any]:
    return {name: getattr(given, name) for name in ("reason", "behalf", "means", *names)}


def _fields(row: Any, *names: str) -> dict[str, Any]:
    return {"id": row.pk, "version": row.version, **{name: getattr(row, name) for name in names}}


def _report(row: Report) -> dict[str, Any]:
    return _fields(
        row, "kind", "event", "region_id", "place", "text", "caller", "means", "happened_at", "precision", "received_at", *Report.COUNTS, "incident_id", "first_id", "merged_into_id", "passed_on_at",
    )


def _incident(row: Incident) -> dict[str, Any]:
    return _fields(row, "kind", "title", "region_id", "place", "lon", "lat", "state", "opened_at", "closed_at", "closing")


def _response(row: Response) -> dict[str, Any]:
    return _fields(
        row, "plan_title", "plan_version", "proposal_id", "track", "level", "rank", "colour", "label", "region_id", "incident_id", "state", "started_at", "level_since", "ended_at",
    )


def _decision(row: Decision) -> dict[str, Any]:
    return _fields(
        row, "kind", "response_id", "proposal_id", "from_level", "to_level", "reason", "clause", "person_id", "post_id", "decided_at", "recorded_by_id", "means", "confirmation", "confirmed_at", "remark",
    )


def _order(row: Any) -> dict[str, Any]:
    return _fields(row, "post_id", "region_id", "source", "text", "clause", "state", "issued_at", "answer_by", "due_at", "delivered_at", "read_at", "accepted_at", "done_at", "percent", "reminders", "escalated_to_id")


def _document(row: Document) -> dict[str, Any]:
    return _fields(row, "kind", "number_text", "title", "response_id", "incident_id", "made_at")


def _lines(facts: list[Any]) -> list[dict[str, Any]]:
    return [{"fact": fact.id, "kind": fact.kind, "at": fact.received_at, "subject": fact.subject, "cause": fact.cause_id, "number": fact.number} for fact in facts]


def _limit(limit: int) -> int:
    if not 1 <= limit <= 500:
        raise INVALID(fields=[{"field": "limit", "why": "1–500"}])
    return limit


@router.get("/reports", summary="Reports, newest first")
def reports(request: HttpRequest, q: str = "", kind: str = "", state: str = "", limit: int = 100) -> Any:
    return {"reports": [_report(row) for row in queries.reports(*_reader(request), text=q, kind=kind, state=state)[:_limit(limit)]]}


@router.get("/reports/similar", summary="Reports that may speak of the same event")
def similar(request: HttpRequest, text: str, place: str = "", region: UUID | None = None, event: str = "") -> Any:
    found = queries.similar(*_reader(request), text=text, place=place, region=region, event=event)
    return {"reports": [{"report": _report(entry["row"]), "score": entry["score"]} for entry in found]}


@router.post("/reports", summary="Take down a report")
def take_report(request: HttpRequest, given: ReportIn) -> Any:
    return _report(actions.take_report(_act(request), **given.dict()))


@router.post("/reports/{uuid:key}/merge", summary="Merge a report into another; both sources stay")
def merge(request: HttpRequest, key: UUID, given: MergeIn) -> Any:
    actor, realm = _reader(request)
    queries.one(Report, key, actor, realm)
    queries.one(Report, given.into, actor, realm)
    return _report(actions.merge_reports(_act(request), report=key, into=given.into, reason=given.reason))


@router.post("/reports/{uuid:key}/pass-on", summary="The report was passed on to the level above")
def pass_on(request: HttpRequest, key: UUID) -> Any:
    queries.one(Report, key, *_reader(request))
    return _report(actions.pass_on(_act(request), report=key))


@router.post("/facts", summary="State an observed fact; the plans judge it at once")
def state_fact(request: HttpRequest, given: FactIn) -> Any:
    values = given.dict()
    act = request.act(occurred_at=values.pop("occurred_at"))  # type: ignore[attr-defined]
    row: ObservedFact = actions.state_fact(act, **values)
    return _fields(row, "term", "place", "qualifier", "value", "unit", "observed_at", "source", "region_id", "report_id")


@router.get("/incidents", summary="Incidents, newest first")
def incidents(request: HttpRequest, state: str = "", limit: int = 100) -> Any:
    return {"incidents": [_incident(row) for row in queries.incidents(*_reader(request), state)[:_limit(limit)]]}


@router.post("/incidents", summary="Open an incident")
def open_incident(request: HttpRequest, given: IncidentIn) -> Any:
    if given.report is not None:
        queries.one(Report, given.report, *_reader(request))
    return _incident(actions.open_incident(_act(request), **given.dict()))


@router.get("/incidents/{uuid:key}", summary="An incident with its reports, responses, losses and timeline")
def incident(request: HttpRequest, key: UUID) -> Any:
    actor, realm = _reader(request)
    row = queries.one(Incident, key, actor, realm)
    taken = list(queries.reports(actor, realm).filter(incident=row))
    return _incident(row) | {
        "reports": [_report(entry) for entry in taken], "losses": queries.losses(taken), "responses": [_response(entry) for entry in queries.responses(actor, realm).filter(incident=row)],
        "timeline": _lines(queries.timeline(actor, realm, incident=row)),
    }


@router.post("/incidents/{uuid:key}/close", summary="Close an incident, with the reason")
def close_incident(request: HttpRequest, key: UUID, given: ReasonIn) -> Any:
    queries.one(Incident, key, *_reader(request))
    return _incident(actions.close_incident(_act(request), incident=key, reason=given.reason))


@router.get("/instructions", summary="Leaders' instructions with the state of their orders")
def instructions(request: HttpRequest, limit: int = 100) -> Any:
    rows = queries.instructions(*_reader(request))[:_limit(limit)]
    return {"instructions": [_fields(row, "leader", "leader_post", "text", "means", "given_at", "incident_id", "order_id") | {"state": row.order.state} for row in rows]}


@router.post("/instructions", summary="Record a leader's instruction; it is given as an order")
def record_instruction(request: HttpRequest, given: InstructionIn) -> Any:
    row: Instruction = actions.record_instruction(_act(request), **given.dict())
    return _fields(row, "leader", "text", "order_id", "given_at")


@router.get("/proposals/{uuid:key}", summary="What approval of a proposal would order, and of whom")
def preview(request: HttpRequest, key: UUID) -> Any:
    found = queries.preview(*_reader(request), key)
    return {
        "id": found["id"], "state": found["state"], "level": found["level"], "region": found["region"], "plan_version": found["plan_version"], "answer_by": found["answer_by"], "clauses": found["clauses"],
        "reasons": found["reasons"], "alternatives": found["alternatives"], "orders": found["orders"], "posts": found["posts"],
        "items": [{name: item[name] for name in ("key", "text", "text_en", "clause", "deadline_min", "posts", "unbound")} for item in found["items"]],
    }


@router.post("/proposals/{uuid:key}/approve", summary="Approve a proposed level; its orders are given at once")
def approve(request: HttpRequest, key: UUID, given: ApproveIn) -> Any:
    _reader(request)
    return _response(actions.approve_proposal(_act(request, given), proposal=key, **_values(given, "incident")))


@router.post("/proposals/{uuid:key}/refuse", summary="Refuse a proposed level, with the reason")
def refuse(request: HttpRequest, key: UUID, given: DecisionIn) -> Any:
    _reader(request)
    return _decision(actions.refuse_proposal(_act(request, given), proposal=key, **_values(given)))


@router.get("/responses", summary="Responses, most severe first")
def responses(request: HttpRequest, state: str = "", limit: int = 100) -> Any:
    return {"responses": [_response(row) for row in queries.responses(*_reader(request), state)[:_limit(limit)]]}


@router.get("/responses/{uuid:key}", summary="A response with its decisions, orders and timeline")
def response(request: HttpRequest, key: UUID) -> Any:
    actor, realm = _reader(request)
    row = queries.one(Response, key, actor, realm)
    given = list(queries.board(actor, realm, source=f"response:{row.pk}"))
    return _response(row) | {
        "decisions": [_decision(entry) for entry in queries.decisions(actor, realm, row)], "orders": [_order(entry) for entry in given], "counts": queries.order_counts(given, clock.now(realm)),
        "timeline": _lines(queries.timeline(actor, realm, response=row)),
    }


@router.post("/responses/{uuid:key}/level", summary="Raise or lower a response, with the reason")
def change_level(request: HttpRequest, key: UUID, given: LevelIn) -> Any:
    queries.one(Response, key, *_reader(request))
    return _response(actions.change_level(_act(request, given), response=key, **_values(given, "level")))


@router.post("/responses/{uuid:key}/end", summary="End a response, with the reason; writes the first review")
def end(request: HttpRequest, key: UUID, given: EndIn) -> Any:
    queries.one(Response, key, *_reader(request))
    return _response(actions.end_response(_act(request, given), response=key, **_values(given, "carry", "still_met")))


@router.post("/decisions/{uuid:key}/confirm", summary="Confirm or deny a decision recorded on your behalf")
def confirm(request: HttpRequest, key: UUID, given: ConfirmIn) -> Any:
    queries.one(Decision, key, *_reader(request))
    return _decision(actions.confirm_decision(_act(request), decision=key, confirm=given.confirm, remark=given.remark))


@router.get("/board", summary="The order board, what is due first on top")
def board(request: HttpRequest, state: str = "", source: str = "", region: UUID | None = None, limit: int = 200) -> Any:
    actor, realm = _reader(request)
    access.require(actor, "orders.read")
    rows = queries.board(actor, realm, state=state, source=source, region=region)
    return {"counts": queries.order_counts(rows, clock.now(realm)), "orders": [_order(row) for row in rows[:_limit(limit)]]}


@router.get("/documents", summary="Situation reports and notices")
def documents(request: HttpRequest, limit: int = 100) -> Any:
    return {"documents": [_document(row) for row in queries.documents(*_reader(request))[:_limit(limit)]]}


@router.post("/documents", summary="Make a situation report or notice: numbered, frozen")
def make_document(request: HttpRequest, given: DocumentIn) -> Any:
    actor, realm = _reader(request)
    if given.response is not None:
        queries.one(Response, given.response, actor, realm)
    if given.incident is not None:
        queries.one(Incident, given.incident, actor, realm)
    return _document(actions.make_document(_act(request), **given.dict()))


@router.get("/documents/{uuid:key}", summary="A document's frozen values")
def document(request: HttpRequest, key: UUID) -> Any:
    row = queries.one(Document, key, *_reader(request))
    return _document(row) | {"values": row.values}


@router.get("/documents/{uuid:key}/file", summary="The document as PDF (form=pdf) or .docx (form=docx)")
def document_file(request: HttpRequest, key: UUID, form: str = "pdf") -> HttpResponse:
    row = queries.one(Document, key, *_reader(request))
    if form not in ("pdf", "docx"):
        raise INVALID(fields=[{"field": "form", "why": "pdf or docx"}])
    from .pages import DOCX

    official = papers.official(row.values)
    body = engine.pdf(official, made_at=row.made_at, pictures=papers.pictures(row)) if form == "pdf" else engine.docx(official, made_at=row.made_at, pictures=papers.pictures(row))
    return HttpResponse(body, content_type="application/pdf" if form == "pdf" else DOCX)


@router.get("/rain", summary="Rain by town of the rain day (08–08) that ends on the day, most first")
def rain(request: HttpRequest, day: date) -> Any:
    actor, realm = _reader(request)
    reach = access.regions(actor, "command.read")
    return {"towns": [row for row in sensing_queries.rain_by_town(realm, day, until=clock.now(realm)) if row["region"] in reach]}


@router.get("/reviews/{uuid:key}", summary="A first review: steps against their limits, gaps")
def review(request: HttpRequest, key: UUID) -> Any:
    row = queries.one(Review, key, *_reader(request))
    return _fields(row, "response_id", "written_at", "steps", "timeline") | {"gaps": [_fields(gap, "step", "text", "state", "changed", "closed_at") for gap in row.gaps.order_by("created_at")]}


@router.post("/gaps/{uuid:key}/close", summary="Close a gap, saying what was changed")
def close_gap(request: HttpRequest, key: UUID, given: GapIn) -> Any:
    queries.one(Gap, key, *_reader(request))
    return _fields(actions.close_gap(_act(request), gap=key, changed=given.changed), "step", "text", "state", "changed", "closed_at")


@router.get("/wall", summary="What the wall shows: responses, losses, orders by state")
def wall(request: HttpRequest) -> Any:
    return queries.wall(*_reader(request))


