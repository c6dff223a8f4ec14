"""Reads about supplies: what there is by layer, form and place, what is missing, what runs out, what moved."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Case, Count, DateField, DecimalField, ExpressionWrapper, F, Max, Q, QuerySet, Sum, When
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from anlan.kernel import codes
from anlan.kernel.models import RegionPath

from .compute import policy, show, word
from .models import Entry, Holding, Item, Minimum, Movement, Norm, Reservation, Stock, SupplyAlert, Warehouse

ZERO = Decimal(0)


def stock(actor: Any, realm: Any) -> QuerySet[Stock]:
    return Stock.objects.seen_by(actor, realm).filter(ended_at=None)


def usable(rows: QuerySet[Stock], day: date) -> QuerySet[Stock]:
    """Of these, what may still be used: held, and not expired (the last day counts)."""
    return rows.filter(quantity__gt=0).exclude(expires_on__lt=day)


def expiring(actor: Any, realm: Any, day: date) -> list[Stock]:
    """What is held and has expired, or should be rotated by the item's own rule, else by the policy; what expires first on top."""
    soon = policy("expiring_days")
    rows = stock(actor, realm).filter(quantity__gt=0, expires_on__isnull=False).select_related("item", "warehouse").order_by("expires_on", "pk")
    begins = ExpressionWrapper(F("expires_on") - Coalesce(F("item__rotate_days"), soon), output_field=DateField())
    return list(rows.annotate(begins=begins).filter(begins__lt=day))


def below_minimum(actor: Any, realm: Any, day: date, minimums: Iterable[Minimum] | None = None) -> list[dict[str, Any]]:
    """[{minimum, held, short}] of every minimum that is not there; the largest gap, as a share, first."""
    rows = list(minimums if minimums is not None else Minimum.objects.seen_by(actor).filter(ended_at=None).select_related("warehouse", "item"))
    held = {
        (warehouse, item): n for warehouse, item, n in
        usable(Stock.plain.filter(realm_id=realm.pk, warehouse_id__in={row.warehouse_id for row in rows}), day).values_list("warehouse_id", "item_id").annotate(n=Sum("quantity"))
    }
    found = [{"minimum": row, "held": have, "short": row.quantity - have} for row in rows if (have := held.get((row.warehouse_id, row.item_id), ZERO)) < row.quantity]
    return sorted(found, key=lambda line: (line["held"] / line["minimum"].quantity, line["minimum"].pk))


def agreements(actor: Any, day: date, within: int = 60) -> list[Holding]:
    """Agreements and capacities that are over or soon will be."""
    rows = Holding.objects.seen_by(actor).filter(ended_at=None, valid_until__lt=day + timedelta(days=within))
    return list(rows.select_related("item").order_by("valid_until", "name"))


def layers(actor: Any, realm: Any, day: date, region: Any = None) -> list[dict[str, Any]]:
    """What is held of every item by layer and form, beside its standard: [{item, cells: [{layer, forms, held, norm, gap}], held, norm, gap}].

    Expired goods and agreements that are over count nothing. A capacity is counted apart: it is so much a day, not so much there.
    """
    mine = stock(actor, realm)
    others = Holding.objects.seen_by(actor).filter(Q(valid_until=None) | Q(valid_until__gte=day), ended_at=None)
    norms = Norm.objects.seen_by(actor).filter(ended_at=None)
    if region is not None:
        below = RegionPath.objects.filter(ancestor_id=region).values("descendant_id")
        mine, others, norms = (rows.filter(region_id__in=below) for rows in (mine, others, norms))
    held: dict[tuple[Any, str, str], Decimal] = {}
    for item, layer, n in usable(mine, day).values_list("item_id", "layer").annotate(n=Sum("quantity")):
        held[item, layer, "physical"] = n
    for item, layer, form, n in others.values_list("item_id", "layer", "form").annotate(n=Sum("quantity")):
        held[item, layer, form] = held.get((item, layer, form), ZERO) + n
    wanted = {(item, layer): n for item, layer, n in norms.values_list("item_id", "layer").annotate(n=Sum("quantity"))}
    items = Item.plain.filter(pk__in={key[0] for key in [*held, *wanted]}).order_by("major", "name")
    forms = list(codes.entries("reserve_form"))
    found = []
    for item in items:
        cells = []
        for layer in codes.entries("reserve_layer"):
            by_form = {form: held.get((item.pk, layer, form), ZERO) for form in forms}
            have, norm = sum((n for form, n in by_form.items() if form != "capacity"), ZERO), wanted.get((item.pk, layer))
            cells.append({"layer": layer, "forms": by_form, "held": have, "capacity": by_form.get("capacity", ZERO), "norm": norm, "gap": max(norm - have, ZERO) if norm is not None else None})
        norm = sum((cell["norm"] for cell in cells if cell["norm"] is not None), ZERO)
        found.append({
            "item": item, "cells": cells, "held": sum((cell["held"] for cell in cells), ZERO), "norm": norm or None, "gap": sum((cell["gap"] or ZERO for cell in cells), ZERO),
            "forms": {form: sum((cell["forms"][form] for cell in cells), ZERO) for form in forms},
        })
    return found


def places(actor: Any, realm: Any, day: date) -> list[dict[str, Any]]:
    """Every warehouse with what lies in it: lots, items, expired lots, value where a price is known, when last counted."""
    spoilt, value = Q(stock__quantity__gt=0, stock__expires_on__lt=day), F("stock__quantity") * F("stock__price_yuan")
    here = Q(stock__realm_id=realm.pk, stock__quantity__gt=0)
    rows = Warehouse.objects.seen_by(actor).filter(ended_at=None).select_related("region").defer("region__area_wkb").annotate(
        lots=Count("stock", filter=here), items=Count("stock__item", filter=here, distinct=True), spoilt=Count("stock", filter=here & spoilt),
        promised=Count("stock", filter=here & Q(stock__reserved__gt=0)), last_count=Max("stock__counted_at", filter=here),
        value=Sum(Case(When(here, then=value), output_field=DecimalField(max_digits=20, decimal_places=2))),
    )
    order = list(codes.entries("reserve_layer"))
    return [
        {"row": row, "layer": codes.name("reserve_layer", row.layer)} for row in sorted(rows, key=lambda row: (order.index(row.layer) if row.layer in order else 9, row.name))
    ]


def movements(actor: Any, realm: Any, *, kind: str = "", warehouse: Any = None, item: Any = None, since: datetime | None = None, until: datetime | None = None) -> QuerySet[Movement]:
    """Movements, newest first."""
    rows = Movement.objects.seen_by(actor, realm).select_related("warehouse", "other").order_by("-at", "-id")
    if kind:
        rows = rows.filter(kind=kind)
    if warehouse:
        rows = rows.filter(Q(warehouse_id=warehouse) | Q(other_id=warehouse))
    if item:
        rows = rows.filter(pk__in=Entry.plain.filter(realm_id=realm.pk, item_id=item).values("movement"))
    if since:
        rows = rows.filter(at__gte=since)
    return rows.filter(at__lt=until) if until else rows


def entries(rows: Iterable[Movement]) -> dict[Any, list[Entry]]:
    """The lines of these movements."""
    found: dict[Any, list[Entry]] = {}
    for entry in Entry.plain.filter(movement__in=[row.pk for row in rows]).select_related("item", "source", "target").order_by("item__name", "id"):
        found.setdefault(entry.movement_id, []).append(entry)
    return found


def history(row: Stock) -> list[dict[str, Any]]:
    """Every entry of a lot, oldest first, with the balance after it: recomputed from the entries, not read from the balance."""
    lines, balance = [], ZERO
    for entry in Entry.plain.filter(Q(source=row) | Q(target=row)).select_related("movement__warehouse", "movement__other").order_by("created_at", "id"):
        signed = entry.quantity if entry.target_id == row.pk else -entry.quantity
        balance += signed
        lines.append({"entry": entry, "movement": entry.movement, "signed": signed, "balance": balance})
    return lines


def promised(actor: Any, realm: Any) -> QuerySet[Reservation]:
    return Reservation.objects.seen_by(actor, realm).filter(state=Reservation.OPEN).select_related("stock__item", "stock__warehouse").order_by("until")


def audit(realm: Any) -> list[dict[str, Any]]:
    """Lots whose balance is not the sum of their entries, or whose promised part is not the sum of open reservations. Empty, or the ledger is broken."""
    sums: dict[Any, Decimal] = {}
    for side, sign in (("source", -1), ("target", 1)):
        for key, n in Entry.plain.filter(realm_id=realm.pk, **{f"{side}__isnull": False}).values_list(side).annotate(n=Sum("quantity")):
            sums[key] = sums.get(key, ZERO) + sign * n
    kept = dict(Reservation.plain.filter(realm_id=realm.pk, state=Reservation.OPEN).values_list("stock").annotate(n=Sum("remaining")))
    return [
        {"stock": key, "held": held, "entries": sums.get(key, ZERO), "reserved": reserved, "reservations": kept.get(key, ZERO)}
        for key, held, reserved in Stock.plain.filter(realm_id=realm.pk).values_list("pk", "quantity", "reserved")
        if held != sums.get(key, ZERO) or reserved != kept.get(key, ZERO)
    ]


def still(case: SupplyAlert, day: date) -> Any:
    """Why an alert holds still; nothing when what it says has been put right."""
    unit = word(case.item.unit) if case.item_id else ""
    if case.kind == "below":
        rows = Minimum.plain.filter(warehouse_id=case.warehouse_id, item_id=case.item_id, ended_at=None)
        short = below_minimum(None, case.realm, day, rows.select_related("warehouse", "item"))
        return _("{n} {unit} are still missing").format(n=show(short[0]["short"]), unit=unit) if short else None
    if case.kind in ("expiring", "expired"):
        left = Stock.plain.values_list("quantity", flat=True).get(pk=case.stock_id)
        return _("{n} {unit} of the lot still lie there").format(n=show(left), unit=unit) if left else None
    if case.kind == "agreement":
        row = Holding.plain.get(pk=case.holding_id)
        over = row.ended_at is None and row.valid_until is not None and row.valid_until < day
        return _("the register still says it is over: renew it there, or take it off the list") if over else None
    came = Entry.plain.filter(
        realm_id=case.realm_id, item_id=case.item_id, target__warehouse_id=case.warehouse_id, movement__kind__in=(Movement.RECEIVE, Movement.TRANSFER), created_at__gt=case.since,
    ).aggregate(n=Sum("quantity"))["n"] or ZERO
    return _("{came} of {n} {unit} have come in since").format(came=show(came), n=show(case.quantity), unit=unit) if came < case.quantity else None
