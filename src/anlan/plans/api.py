"""HTTP API of the plans: read plans and proposals, try a plan on given values, state what is known."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Field, Router, Schema

from anlan.kernel import access
from anlan.kernel.errors import NOT_FOUND

from . import actions, compute, finding, queries
from .models import Plan, PlanVersion, ResponseProposal
from .vocabulary import vocabulary

router = Router()


class TermIn(Schema):
    """A value for a dry run. `place` is the name the plan uses; `qualifier` joins several with |."""

    term: str
    place: str = ""
    qualifier: str = ""
    value: float | bool | str
    unit: str = ""


class DryRunIn(Schema):
    """Which plan (its key, and a version number if not the newest), and what is assumed to be known."""

    plan: str
    version: int | None = None
    terms: list[TermIn] = Field(default_factory=list, max_length=2000)


class StateIn(Schema):
    """A value a person states. `place` is a place key, an id, or a name an adopted plan knows."""

    term: str
    place: str
    qualifier: str = ""
    value: float | bool | str
    unit: str = ""
    event_time: datetime | None = None
    source: str = ""


class CheckIn(Schema):
    """A plan file as text."""

    text: str


def _reader(request: HttpRequest) -> Any:
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    return request.actor  # type: ignore[attr-defined]


def _version(plan: str, number: int | None) -> PlanVersion:
    rows = PlanVersion.objects.filter(plan__key=plan.replace("\x00", "")).select_related("plan")
    row = rows.filter(number=number).first() if number is not None else rows.order_by("-number").first()
    if row is None:
        raise NOT_FOUND(kind="plan", key=plan)
    return row


@router.get("/plans", summary="Plans and their newest versions")
def list_plans(request: HttpRequest) -> list[dict[str, Any]]:
    _reader(request)
    out = []
    for plan in Plan.objects.order_by("key"):
        version = queries.latest(plan)
        out.append({"id": plan.pk, "key": plan.key, "title": {"zh": plan.title_zh, "en": plan.title_en}, "hazard": plan.hazard,
                    "version": version.number if version else None, "digest": version.digest if version else None})
    return out


@router.get("/plans/{key}", summary="A plan's data")
def one_plan(request: HttpRequest, key: str, version: int | None = None) -> dict[str, Any]:
    _reader(request)
    row = _version(key, version)
    return {"version": row.number, "origin": row.origin, "digest": row.digest, "plan": compute.plan_file(row).data}


@router.get("/vocabulary", summary="The terms a condition may use")
def terms_known(request: HttpRequest) -> list[dict[str, Any]]:
    _reader(request)
    return [
        {"term": spec.name, "type": spec.type, "unit": spec.unit, "label": dict(spec.label), "places": spec.places, "choices": spec.choices, "source": spec.source,
         "qualifiers": {known.name: known.choices for known in spec.qualifiers}, "stale_after_h": spec.stale_after.total_seconds() / 3600 if spec.stale_after else None, "absent": spec.absent}
        for spec in vocabulary().values()
    ]


@router.post("/dry-run", summary="Try a plan on given values; nothing is stored")
def dry_run(request: HttpRequest, data: DryRunIn) -> dict[str, Any]:
    _reader(request)
    return queries.dry_run(_version(data.plan, data.version), [row.dict() for row in data.terms])


@router.post("/check", summary="Check a plan file; nothing is stored")
def check(request: HttpRequest, data: CheckIn) -> dict[str, Any]:
    from anlan.engines.conditions import read_plan

    _reader(request)
    plan, troubles = read_plan(data.text, vocabulary())
    return {"ok": plan is not None, "id": plan.key if plan else None, "digest": plan.digest if plan else None, "troubles": [trouble.as_json() for trouble in troubles]}


@router.get("/adopted", summary="Adopted plans and the state of their conditions")
def adopted(request: HttpRequest) -> list[dict[str, Any]]:
    actor = _reader(request)
    realm = request.realm  # type: ignore[attr-defined]
    out = []
    for binding in queries.adoptions(realm):
        states: dict[str, Any] = {}
        if access.may(actor, "plans.read", binding.region_id):
            states = {key: {"verdict": state["verdict"], "since": state["since"], "missing": state["missing"], "inputs": state["inputs"]} for key, state in queries.live(binding, realm).items()}
        out.append({"id": binding.pk, "plan": binding.plan.key, "version": binding.version_of.number, "region": binding.region_id, "place": binding.region.name, "conditions": states})
    return out


@router.get("/proposals", summary="Proposals, newest first")
def proposals(request: HttpRequest, state: str = "", limit: int = 100) -> list[dict[str, Any]]:
    rows = ResponseProposal.objects.seen_by(_reader(request), request.realm).select_related("level", "version_of__plan", "region").order_by("-opened_at")  # type: ignore[attr-defined]
    if state:
        rows = rows.filter(state=state.replace("\x00", ""))
    return [
        {"id": row.pk, "state": row.state, "level": row.level.key, "colour": row.level.colour, "kind": row.level.kind, "plan_version": row.version_of.label, "region": row.region_id,
         "place": row.region.name, "post": row.post_id, "opened_at": row.opened_at, "answer_by": row.answer_by, "conditions": [reason["condition"] for reason in row.reasons]}
        for row in rows[: max(1, min(limit, 500))]
    ]


@router.get("/proposals/{key}", summary="A proposal with its reasons and what approval would order")
def one_proposal(request: HttpRequest, key: UUID) -> dict[str, Any]:
    found = queries.proposal(key, request.realm, _reader(request))  # type: ignore[attr-defined]
    found.pop("row")
    return found


@router.get("/terms", summary="What is known")
def terms(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"term": row.name, "place": row.place, "qualifier": row.qualifier, "value": row.value, "event_time": row.event_time, "stale_at": row.stale_at, "source": row.source}
        for row in queries.terms(_reader(request), request.realm)[:2000]  # type: ignore[attr-defined]
    ]


@router.post("/terms", summary="State a forecast or an observed fact")
def state_term(request: HttpRequest, data: StateIn) -> dict[str, Any]:
    return actions.state_term(request.act(), **data.dict())  # type: ignore[attr-defined]


@router.get("/match", summary="Plans that apply to an event: by hazard (code), place, level, warning colour; in order, with reasons")
def match(request: HttpRequest, hazard: str = "", region: UUID | None = None, colour: str = "", level: str = "", counties: int = 1) -> dict[str, Any]:
    _reader(request)
    return finding.match_json(finding.match(request.realm, hazard=hazard, region=region, colour=colour, level=level, counties=counties))  # type: ignore[attr-defined]


@router.get("/ask", summary="A question answered with actions of plans: who must do what, at which level, within what time")
def ask(request: HttpRequest, q: str, plan: str = "", region: UUID | None = None, hazard: str = "", level: str = "") -> dict[str, Any]:
    _reader(request)
    return finding.ask_json(finding.ask(q.replace("\x00", ""), plan=plan, region=region, hazard=hazard, level=level))


@router.get("/clauses", summary="Clauses that hold the words, in any form of the trade")
def clauses(request: HttpRequest, q: str, plan: str = "", region: UUID | None = None, hazard: str = "", level: str = "", limit: int = 50) -> dict[str, Any]:
    _reader(request)
    found = finding.clauses(q.replace("\x00", ""), plan=plan, region=region, hazard=hazard, level=level, limit=max(1, min(limit, 200)))
    return {"count": found["count"], "more": found["more"], "clauses": [{"plan": row.version_of.plan.key, "clause": row.key, "text": row.text, "source": row.source} for row in found["rows"]]}
