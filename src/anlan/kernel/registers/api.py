"""Registers over HTTP, under /api/v1/registers/: the declaration, lists, the map, single rows, the change feed, and writing."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema

from ..middleware import address
from . import actions, feed, queries, values
from .declare import Register

router = Router(tags=["registers"])
_ASKED = ("q", "sort", "page", "size", "after", "fields", "bbox", "zoom")


class Values(Schema):
    """A new row: {field: value}. `id`: a UUIDv7 its maker gave it."""

    values: dict[str, Any]
    id: UUID | None = None


class Changes(Schema):
    """Changes of a row. `base`: {field: the value the writer had seen}; with it edits of different fields merge, and of the same
    field both values are kept until the owner decides. Without it, `If-Match: "<version>"` says which version was seen."""

    changes: dict[str, Any]
    base: dict[str, Any] | None = None


class Reason(Schema):
    reason: str = ""


class Decision(Schema):
    keep: str


def _filters(request: HttpRequest) -> dict[str, Any]:
    return {name: found if len(found) > 1 else found[0] for name, found in request.GET.lists() if name not in _ASKED and found}


def _line(request: HttpRequest, declared: Register, row: Any) -> dict[str, Any]:
    return queries.lines(request.actor, declared, [row], way="read", address=address(request))[0].as_json()  # type: ignore[attr-defined]


@router.get("", summary="The registers the caller may read")
def registers(request: HttpRequest) -> Any:
    """Their declarations: fields, kinds, codes, rights of the caller."""
    return [one.as_json(request.actor) for one in queries.registers(request.actor)]  # type: ignore[attr-defined]


@router.get("/{name}", summary="A list")
def listed(request: HttpRequest, name: str, q: str = "", sort: str = "", page: int = 1, size: int = 50, after: str = "", fields: str = "") -> Any:
    """Rows of the caller's regions and units. Every other parameter is a filter: `kind=fire`, `members__gte=10`, `region=<id>` (its
    subtree), `stale=yes`, `ended=yes`, repeated for several values. `after`: the cursor of the page before; without it by number,
    to 10,000 rows deep. `count` is exact to 10,000, above that `estimated`."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    filters = _filters(request)
    if "bbox" in request.GET:
        filters["bbox"] = request.GET["bbox"]
    found = queries.listed(request.actor, declared, realm=request.realm, q=q, filters=filters, sort=sort, page=page, size=size, after=after)  # type: ignore[attr-defined]
    lines = queries.lines(request.actor, declared, found.rows, fields.split(",") if fields else None, address=address(request))  # type: ignore[attr-defined]
    return {
        "count": found.count, "estimated": found.estimated, "page": found.page, "size": found.size, "more": found.more, "after": found.after,
        "items": [line.as_json() for line in lines],
    }


@router.get("/{name}/declaration", summary="A register's declaration")
def declaration(request: HttpRequest, name: str) -> Any:
    """Its fields with kinds, limits and codes; what the caller may do."""
    return queries.require_read(request.actor, name).as_json(request.actor)  # type: ignore[attr-defined]


@router.get("/{name}/map", summary="A map window")
def map_window(request: HttpRequest, name: str, bbox: str, zoom: float, q: str = "") -> Any:
    """GeoJSON: single rows while they are few, else clusters with their exact count. Filters as in the list."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return queries.geojson(request.actor, declared, bbox=bbox, zoom=zoom, realm=request.realm, q=q, filters=_filters(request))  # type: ignore[attr-defined]


@router.get("/{name}/changes", summary="The change feed")
def changes(request: HttpRequest, name: str, since: str = "", limit: int = 500) -> Any:
    """Rows written since the cursor, oldest first, with tombstones `{"id", "gone": true}`. Start without `since`, keep `cursor`,
    come back with it; while `more`, at once. 410 kernel.feed_start_again: read from the beginning."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return feed.changes(request.actor, declared, since=since, limit=limit, realm=request.realm, address=address(request))  # type: ignore[attr-defined]


@router.get("/{name}/{row}", summary="One row")
def one(request: HttpRequest, name: str, row: UUID) -> Any:
    """All its fields as the caller may see them; reads of personal fields are logged."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return _line(request, declared, queries.row(request.actor, declared, row, realm=request.realm))  # type: ignore[attr-defined]


@router.get("/{name}/{row}/history", summary="Who changed what")
def history(request: HttpRequest, name: str, row: UUID) -> Any:
    """Newest first; values before and after as the caller may see them."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return [
        {
            "at": values.plain(step.at), "op": step.op, "version": step.version, "person": step.person, "who": step.who, "post": step.post, "note": step.note,
            "changes": [{"field": field.name, "before": before, "after": after} for field, before, after in step.changes],
        }
        for step in queries.history(request.actor, declared, row, realm=request.realm)  # type: ignore[attr-defined]
    ]


@router.post("/{name}", response={201: dict}, summary="A new row")
def create(request: HttpRequest, name: str, body: Values) -> Any:
    """201 with the row. 422 names each wrong field."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    row = actions.create(request.act(), register=name, values=body.values, id=body.id)  # type: ignore[attr-defined]
    return 201, _line(request, declared, row)


@router.patch("/{name}/{row}", summary="Change a row")
def change(request: HttpRequest, name: str, row: UUID, body: Changes) -> Any:
    """The row as it is now; `conflicts` names fields where both values are kept until the owner decides."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    found = actions.change(request.act(), register=name, row=row, changes=body.changes, base=body.base)  # type: ignore[attr-defined]
    disputed = [one.field for one in getattr(found, "conflicts", [])]
    return {**_line(request, declared, queries.row(request.actor, declared, row, realm=request.realm)), "conflicts": disputed}  # type: ignore[attr-defined]


@router.post("/{name}/{row}/verify", summary="Say that a row is right")
def verify(request: HttpRequest, name: str, row: UUID) -> Any:
    """Its freshness begins anew."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return _line(request, declared, actions.verify(request.act(), register=name, row=row))  # type: ignore[attr-defined]


@router.post("/{name}/{row}/end", summary="Take a row off the list")
def end(request: HttpRequest, name: str, row: UUID, body: Reason) -> Any:
    """With a reason. It stays as a tombstone with its history."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return _line(request, declared, actions.end(request.act(), register=name, row=row, reason=body.reason))  # type: ignore[attr-defined]


@router.post("/{name}/conflicts/{conflict}", summary="Decide a conflict")
def decide(request: HttpRequest, name: str, conflict: UUID, body: Decision) -> Any:
    """`keep`: ours (what the register holds) or theirs (what came later)."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    return _line(request, declared, actions.decide(request.act(), conflict=conflict, keep=body.keep))  # type: ignore[attr-defined]
