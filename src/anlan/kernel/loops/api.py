"""The loops' HTTP API: the declaration, cases, one case with its timeline, opening, stepping, files. The same actions as the pages."""
from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Schema
from pydantic import Field

from .. import access, clock
from ..errors import INVALID, NOT_FOUND
from ..registers import queries as register_queries
from ..registers.values import plain
from . import actions, queries, statistics
from .declare import LOOPS, Loop

router = Router()


class FileIn(Schema):
    name: str = Field(max_length=160)
    content: str = Field(description="base64")
    note: str = ""


class OpenIn(Schema):
    """A case to open. `id`: the key it is to have, made by the caller; needed when files are held for it beforehand."""

    values: dict[str, Any]
    id: UUID | None = None
    files: list[UUID] = []
    attach: list[FileIn] = Field([], max_length=20)
    occurred_at: datetime | None = None


class StepIn(Schema):
    """A step to take. `version`: the version the caller saw; left out, the state alone decides."""

    step: str
    data: dict[str, Any] = {}
    files: list[UUID] = []
    attach: list[FileIn] = Field([], max_length=20)
    note: str = Field("", max_length=4000)
    version: int | None = None
    occurred_at: datetime | None = None


class CommentIn(Schema):
    text: str = Field(max_length=4000)


class AssignIn(Schema):
    post: UUID
    note: str = ""


def _loop(request: HttpRequest, name: str) -> Loop:
    declared = LOOPS.get(name)
    if declared is None or not (access.may(request.actor, declared.read) or access.may(request.actor, declared.open.may)):  # type: ignore[attr-defined]
        raise NOT_FOUND(kind=_("loop"), key=name[:60])
    return declared


def _case(request: HttpRequest, name: str, key: UUID) -> tuple[Loop, Any]:
    declared, row = queries.find(request.actor, request.realm, key)  # type: ignore[attr-defined]
    if declared.name != name:
        raise NOT_FOUND(kind=declared.one, key=str(key)[-6:])
    return declared, row


def _act(request: HttpRequest, occurred_at: datetime | None = None, version: int | None = None) -> Any:
    if occurred_at is not None and occurred_at.tzinfo is None:
        raise INVALID([{"field": "occurred_at", "why": "with its time zone, as 2026-07-20T14:05:00+08:00"}])
    act = request.act(occurred_at=occurred_at)  # type: ignore[attr-defined]
    if version is not None:
        act.expected_version = version
    return act


def _hold(act: Any, declared: Loop, key: UUID, sent: list[FileIn], known: list[UUID]) -> list[str]:
    held = [str(one) for one in known]
    for number, one in enumerate(sent):
        try:
            content = base64.b64decode(one.content, validate=True)
        except (binascii.Error, ValueError):
            raise INVALID([{"field": f"attach.{number}.content", "why": "base64"}])
        held.append(str(actions.hold(act.child(step=f"file {number}"), loop=declared.name, case=key, name=one.name, content=content, note=one.note).pk))
    return held


@router.get("", response=dict, summary="The loops the caller may read")
def index(request: HttpRequest) -> Any:
    return {"loops": [{"name": one.name, "label": str(one.label), **queries.counts(request.actor, request.realm, one)} for one in queries.readable(request.actor)]}  # type: ignore[attr-defined]


@router.get("/{name}", response=dict, summary="A loop's declaration: states, steps, forms")
def declaration(request: HttpRequest, name: str) -> Any:
    return _loop(request, name).as_json(request.actor)  # type: ignore[attr-defined]


@router.get("/{name}/cases", response=dict, summary="Cases, a page at a time")
def cases(request: HttpRequest, name: str, q: str = "", state: str = "", mine: bool = False, sort: str = "", page: int = 1, size: int = 50) -> Any:
    """Filters of the list as parameters of the same names; `page` from 1, `size` at most 200."""
    declared = _loop(request, name)
    actor, realm, reg = request.actor, request.realm, declared.register  # type: ignore[attr-defined]
    known = {one.name for one in register_queries.filter_fields(reg)}
    filters = {key: value for key, value in request.GET.items() if key.partition("__")[0] in known and value}
    page = min(max(1, page), 10_000)
    if state and state not in declared.state:
        raise INVALID([{"field": "state", "why": ", ".join(declared.state)}])
    if mine:
        rows = queries.chosen(actor, queries.cases(actor, realm, declared), {"mine": "1"}).order_by("due_at", "id")
        rows = rows.filter(state=state) if state else rows.filter(closed_at=None)
        size = min(max(1, size), 200)
        shown = list(rows[(page - 1) * size : page * size])
        return {"count": rows.count(), "cases": [queries.as_json(actor, declared, row) for row in shown]}
    found = register_queries.listed(actor, reg, realm=realm, q=q, filters=filters, sort=sort, page=page, size=size)
    return {"count": found.count, "estimated": found.estimated, "more": found.more, "cases": [queries.as_json(actor, declared, row) for row in found.rows]}


@router.post("/{name}/cases", response={201: dict}, summary="Open a case")
def open_case(request: HttpRequest, name: str, said: OpenIn) -> Any:
    """Open a case. Send an Idempotency-Key: a repeat answers with the first case. kernel.invalid, kernel.forbidden, kernel.case_evidence."""
    declared = _loop(request, name)
    act = _act(request, said.occurred_at)
    if said.attach and said.id is None:
        raise INVALID([{"field": "id", "why": "files need the key of the case they are for"}])
    with transaction.atomic():
        held = _hold(act, declared, said.id, said.attach, said.files) if said.id else [str(one) for one in said.files]
        row = actions.open(act, loop=name, values=said.values, files=held, id=str(said.id) if said.id else None)
    return 201, queries.as_json(request.actor, declared, row)  # type: ignore[attr-defined]


@router.get("/{name}/cases/{key}", response=dict, summary="A case, and what the caller may do with it now")
def one(request: HttpRequest, name: str, key: UUID) -> Any:
    declared, row = _case(request, name, key)
    return queries.as_json(request.actor, declared, row, steps=True)  # type: ignore[attr-defined]


@router.post("/{name}/cases/{key}/steps", response=dict, summary="Take a step")
def step(request: HttpRequest, name: str, key: UUID, said: StepIn) -> Any:
    """Take a step. Send an Idempotency-Key: a repeat answers as the first. kernel.case_illegal_step when somebody was quicker."""
    declared, row = _case(request, name, key)
    act = _act(request, said.occurred_at, said.version)
    with transaction.atomic():
        held = _hold(act, declared, row.pk, said.attach, said.files)
        row = actions.step(act, loop=name, case=row.pk, step=said.step, data=said.data, files=held, note=said.note)
    return queries.as_json(request.actor, declared, row, steps=False)  # type: ignore[attr-defined]


@router.get("/{name}/cases/{key}/timeline", response=dict, summary="Every line of a case, oldest first")
def timeline(request: HttpRequest, name: str, key: UUID) -> Any:
    declared, row = _case(request, name, key)
    lines = reversed(queries.timeline(request.actor, declared, row))  # type: ignore[attr-defined]
    return {"lines": [
        {
            "seq": line.row.seq, "kind": line.row.kind, "step": line.row.step, "what": line.what, "from": line.row.from_state, "to": line.row.to_state, "at": plain(line.row.at),
            "written_at": plain(line.row.created_at), "due_at": plain(line.row.due_at), "on_time": line.row.on_time, "who": line.who, "person": plain(line.row.person), "post": plain(line.row.post),
            "to_post": plain(line.row.to_post), "note": line.row.note, "data": [{"label": label, "text": text} for label, text in line.data], "rules": line.row.rules,
            "files": [{"id": str(file.pk), "name": file.name, "mime": file.mime, "size": file.size, "sha256": file.sha256} for file in line.files],
        }
        for line in lines
    ]}


@router.post("/{name}/cases/{key}/comments", response=dict, summary="Write a remark")
def comment(request: HttpRequest, name: str, key: UUID, said: CommentIn) -> Any:
    declared, _row = _case(request, name, key)
    row = actions.comment(_act(request), loop=name, case=key, text=said.text)
    return queries.as_json(request.actor, declared, row)  # type: ignore[attr-defined]


@router.post("/{name}/cases/{key}/assign", response=dict, summary="Give a case to another post")
def assign(request: HttpRequest, name: str, key: UUID, said: AssignIn) -> Any:
    declared, _row = _case(request, name, key)
    row = actions.assign(_act(request), loop=name, case=key, post=said.post, note=said.note)
    return queries.as_json(request.actor, declared, row)  # type: ignore[attr-defined]


@router.get("/{name}/statistics", response=dict, summary="Figures of a period, counted anew from the timelines")
def figures(request: HttpRequest, name: str, start: datetime | None = None, end: datetime | None = None, by: str = "organisation", level: str = "county") -> Any:
    """By organisation, region (rolled up to `level`), source or month; without a period, this year. Shares are percent, null when there is nothing to share."""
    declared = _loop(request, name)
    if not access.may(request.actor, declared.read):  # type: ignore[attr-defined]
        raise NOT_FOUND(kind=_("loop"), key=name[:60])
    here = clock.local(clock.now(request.realm))  # type: ignore[attr-defined]
    first = start or here.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    last = end or here
    if first.tzinfo is None or last.tzinfo is None:
        raise INVALID([{"field": "start", "why": "with its time zone, as 2026-01-01T00:00:00+08:00"}])
    if not (1990 <= first.year <= 2100 and 1990 <= last.year <= 2100):
        raise INVALID([{"field": "start", "why": "1990 – 2100"}])
    found = statistics.report(request.actor, request.realm, declared, start=first, end=last, by=by, level=level)  # type: ignore[attr-defined]
    return {
        "start": plain(first), "end": plain(last), "by": found.by, "total": found.total.as_json(), "groups": [one.as_json() for one in found.groups],
        "states": [{"state": stay.state, "label": stay.label, "stays": stay.count, "median_hours": stay.median, "p90_hours": stay.p90, "with_deadline": stay.timed, "late": stay.late} for stay in found.stays],
    }
