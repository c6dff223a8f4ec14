"""The room's HTTP API: the ledger, the layers, the rates, the search. Registers and loops have theirs in the kernel."""
from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import AwareDatetime, Field

from anlan.kernel import access, clock

from . import actions, means, supplies
from .models import Movement, Reservation

router = Router()


class LineIn(Schema):
    """One line: an item, how much of which unit (empty: the item's own), and for goods that come in their lot."""

    item: UUID
    quantity: str = Field(max_length=20, description="a decimal number as text, so that nothing is rounded on the way")
    unit: str = Field("", max_length=10)
    lot: str = Field("", max_length=60)
    made_on: date | None = None
    expires_on: date | None = None
    price_yuan: Decimal | None = Field(None, ge=0, max_digits=14, decimal_places=2)


class MoveIn(Schema):
    warehouse: UUID
    lines: list[LineIn] = Field(min_length=1, max_length=500)
    to: UUID | None = None
    party: str = Field("", max_length=160)
    voucher: str = Field("", max_length=60)
    reason: str = Field("", max_length=300)


class ReserveIn(Schema):
    warehouse: UUID
    lines: list[LineIn] = Field(min_length=1, max_length=500)
    party: str = Field(max_length=160)
    reason: str = Field("", max_length=300)
    until: AwareDatetime | None = None


def _text(value: Any) -> Any:
    """Text without the signs no column can hold."""
    return "".join(char for char in value if char.isprintable()).encode("utf-8", "ignore").decode() if isinstance(value, str) else value


def _lines(given: list[LineIn]) -> list[dict[str, Any]]:
    return [{name: _text(str(value)) for name, value in line.dict().items() if value not in (None, "")} for line in given]


def _movement(row: Movement) -> dict[str, Any]:
    entries = supplies.entries([row]).get(row.pk, [])
    return {
        "id": row.pk, "kind": row.kind, "at": row.at, "warehouse": row.warehouse_id, "to": row.other_id, "party": row.party, "voucher": row.voucher, "reason": row.reason, "subject": row.subject,
        "lines": [
            {"item": entry.item_id, "code": entry.item.code, "out_of": entry.source_id, "into": entry.target_id, "lot": (entry.source or entry.target).lot, "quantity": str(entry.quantity), "unit": entry.item.unit}  # type: ignore[union-attr]
            for entry in entries
        ],
    }


def _ask(request: HttpRequest) -> tuple[Any, Any, date]:
    access.require(request.actor, "resources.read")  # type: ignore[attr-defined]
    return request.actor, request.realm, clock.local(clock.now(request.realm)).date()  # type: ignore[attr-defined]


@router.get("/stock")
def stock(request: HttpRequest, warehouse: UUID | None = None, item: UUID | None = None, after: UUID | None = None, limit: int = Query(200, ge=1, le=1000)) -> dict[str, Any]:
    """Lots with what is held, promised and free, in the order of their keys; `next` goes on."""
    actor, realm, _day = _ask(request)
    rows = supplies.stock(actor, realm).select_related("item").order_by("pk")
    for name, value in (("warehouse_id", warehouse), ("item_id", item)):
        if value:
            rows = rows.filter(**{name: value})
    found = list((rows.filter(pk__gt=after) if after else rows)[: limit + 1])
    return {
        "rows": [
            {"id": row.pk, "warehouse": row.warehouse_id, "item": row.item_id, "code": row.item.code, "lot": row.lot, "expires_on": row.expires_on, "held": str(row.quantity), "promised": str(row.reserved), "free": str(row.free), "unit": row.item.unit, "version": row.version}
            for row in found[:limit]
        ],
        "next": found[limit - 1].pk if len(found) > limit else None,
    }


@router.get("/movements")
def movements(request: HttpRequest, kind: str = "", warehouse: UUID | None = None, item: UUID | None = None, limit: int = Query(50, ge=1, le=500)) -> list[dict[str, Any]]:
    """Movements with their lines, newest first."""
    actor, realm, _day = _ask(request)
    return [_movement(row) for row in supplies.movements(actor, realm, kind=_text(kind[:10]), warehouse=warehouse, item=item)[:limit]]


DOES = {"receive": actions.receive, "issue": actions.issue, "transfer": actions.transfer, "return": actions.give_back, "rotate": actions.rotate, "write_off": actions.write_off}
TAKES = {"receive": ("party", "voucher", "reason"), "issue": ("party", "voucher", "reason"), "transfer": ("to", "voucher", "reason"), "return": ("party", "voucher", "reason"), "rotate": ("party", "voucher", "reason"), "write_off": ("reason", "voucher")}


def _do(request: HttpRequest, kind: str, body: MoveIn) -> dict[str, Any]:
    given = {name: _text(getattr(body, name)) for name in TAKES[kind]}
    return _movement(DOES[kind](request.act(), warehouse=body.warehouse, lines=_lines(body.lines), **given))  # type: ignore[attr-defined]


@router.post("/stock/receive")
def receive(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods come in."""
    return _do(request, "receive", body)


@router.post("/stock/issue")
def issue(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods go out; what expires first goes first. 409 resources.not_enough books nothing."""
    return _do(request, "issue", body)


@router.post("/stock/transfer")
def transfer(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods change their place."""
    return _do(request, "transfer", body)


@router.post("/stock/return")
def give_back(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods come back into their lot."""
    return _do(request, "return", body)


@router.post("/stock/rotate")
def rotate(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods near expiry are used up, and must be replenished."""
    return _do(request, "rotate", body)


@router.post("/stock/write-off")
def write_off(request: HttpRequest, body: MoveIn) -> dict[str, Any]:
    """Goods are lost or destroyed; needs a reason."""
    return _do(request, "write_off", body)


@router.post("/stock/reserve")
def reserve(request: HttpRequest, body: ReserveIn) -> list[dict[str, Any]]:
    """Keep goods for somebody until a time."""
    keys = actions.reserve(request.act(), warehouse=body.warehouse, lines=_lines(body.lines), party=_text(body.party), reason=_text(body.reason), until=body.until)  # type: ignore[attr-defined]
    return [{"id": row.pk, "stock": row.stock_id, "quantity": str(row.quantity), "until": row.until} for row in Reservation.plain.filter(pk__in=keys)]


@router.get("/supplies/layers")
def layers(request: HttpRequest, region: UUID | None = None) -> list[dict[str, Any]]:
    """What is held of every item by layer and form, beside its standard."""
    actor, realm, day = _ask(request)
    return [
        {
            "item": line["item"].pk, "code": line["item"].code, "name": line["item"].name, "unit": line["item"].unit, "forms": {form: str(n) for form, n in line["forms"].items()}, "gap": str(line["gap"]),
            "layers": [{"layer": cell["layer"], "held": str(cell["held"]), "standard": None if cell["norm"] is None else str(cell["norm"])} for cell in line["cells"]],
        }
        for line in supplies.layers(actor, realm, day, region)
    ]


@router.get("/supplies/below-minimum")
def below(request: HttpRequest) -> list[dict[str, Any]]:
    """Minimum levels that are not there."""
    actor, realm, day = _ask(request)
    return [
        {"warehouse": line["minimum"].warehouse_id, "item": line["minimum"].item_id, "minimum": str(line["minimum"].quantity), "held": str(line["held"]), "short": str(line["short"])}
        for line in supplies.below_minimum(actor, realm, day)
    ]


@router.get("/equipment/rates")
def rates(request: HttpRequest) -> dict[str, Any]:
    """Q14, Q15, Q16 recomputed from the raw rows: held of what is required, required, percent (null: nothing is required), and the towns without communication gear that works."""
    actor, _realm, day = _ask(request)
    found = means.equipment_rates(actor, day)
    return {name: {"held": found[name][0], "required": found[name][1], "percent": found[name][2]} for name in ("q14", "q15", "q16")} | {
        "missing": found["missing"][:1000], "dead_spots": [{"region": spot["region"].pk, "name": spot["region"].name, "held": spot["held"]} for spot in means.dead_spots(actor, day)[:1000]],
    }


@router.get("/equipment/able")
def able(
    request: HttpRequest, kind: str, least: float = Query(0, ge=0), lon: float | None = Query(None, ge=-180, le=180), lat: float | None = Query(None, ge=-90, le=90),
    within: float | None = Query(None, gt=0, description="minutes"), shared: bool = False, limit: int = Query(50, ge=1, le=500),
) -> dict[str, Any]:
    """Pieces that can do at least so much and be at the point in time, the soonest first."""
    actor, _realm, day = _ask(request)
    found = means.able(actor, kind=_text(kind[:30]), least=least, lon=lon, lat=lat, within=within, day=day, shared=shared, limit=limit)
    return {"found": found["found"], "unplaced": found["unplaced"], "rows": [{"id": line["row"].pk, "code": line["row"].code, "name": line["row"].name, "ability": line["row"].ability, "km": line["km"], "minutes": line["minutes"]} for line in found["rows"]]}


@router.get("/near")
def near(request: HttpRequest, lon: float = Query(ge=-180, le=180), lat: float = Query(ge=-90, le=90), km: float = Query(10, gt=0, le=500), within: float | None = Query(None, ge=1, le=10_000)) -> list[dict[str, Any]]:
    """What lies within so many kilometres, register by register, each with its last verification."""
    actor, _realm, _day = _ask(request)
    return [
        {"register": part["register"].name, "total": part["total"], "rows": [{"id": line["row"].pk, "name": str(line["row"]), "km": line["km"], "minutes": line["minutes"], "verified_at": line["row"].verified_at, "stale": line["stale"]} for line in part["rows"]]}
        for part in means.near(actor, lon, lat, km, within=within)
    ]
