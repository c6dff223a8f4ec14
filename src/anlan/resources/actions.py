"""The ledger's use cases, and what opens cases about supplies. The registers' and loops' own rows are written by the kernel's actions."""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum
from django.utils.translation import gettext as _

from anlan.kernel import access, clock, due, realms, search
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID, NOT_FOUND, REASON_NEEDED
from anlan.kernel.ids import derived_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.loops import get as loop
from anlan.kernel.registers import actions as rows
from anlan.kernel.registers import get as register

from .compute import in_units, number, policy, show, word
from .errors import BOOK_MOVED, EXPIRED, LOT_DIFFERS, NEEDS_RELEASE, NO_RESERVATION, NOT_ENOUGH, NOTHING, SAME_PLACE
from .facts import ReservationEnded, StockMoved, StockReserved, StockTakeOpened
from .models import Entry, Holding, Item, Minimum, Movement, Reservation, Stock, StockCount, SupplyAlert, Warehouse

TOLD = 20  # lines of a movement its fact names; the rest is in its count and digest
APPROVED = {"release"}  # subjects behind which a second person's approval stands; a room above adds its own
Line = tuple[Item, Stock | None, Stock | None, Decimal, Decimal, str]  # item, out of, into, quantity, as written, in which unit


def today(act: Act) -> date:
    return clock.local(act.now).date()


# --- what every movement needs -------------------------------------------------------------------------------------------


def _place(act: Act, key: Any, capability: str = "resources.stock") -> Warehouse:
    """A warehouse that is still in use, over which the actor may do this."""
    found = Warehouse.plain.select_related("region").filter(pk=key, ended_at=None).first()
    if found is None:
        raise NOT_FOUND(kind=_("warehouse"), key=str(key)[-6:])
    access.require(act, capability, found.region_id, found.organisation_id)
    return found


def _items(lines: list[dict[str, Any]]) -> dict[UUID, Item]:
    if not lines:
        raise NOTHING()
    keys = {_key(line.get("item"), number_, "item") for number_, line in enumerate(lines)}
    found = {row.pk: row for row in Item.plain.filter(pk__in=keys, ended_at=None)}
    for number_, line in enumerate(lines):
        if UUID(str(line["item"])) not in found:
            raise INVALID([{"field": f"lines.{number_}.item", "why": _("there is nothing of this key")}])
    return found


def _key(value: Any, line: int, field: str) -> UUID:
    try:
        return UUID(str(value))
    except ValueError:
        raise INVALID([{"field": f"lines.{line}.{field}", "why": _("is missing")}])


def _locked(act: Act, warehouses: Iterable[UUID], items: Iterable[UUID]) -> list[Stock]:
    """The stock of these items in these places, locked in the order of their keys, so that no two movements wait for each other in a circle."""
    return list(Stock.plain.select_for_update(of=("self",)).select_related("item", "warehouse").filter(realm_id=act.realm.pk, warehouse_id__in=set(warehouses), item_id__in=set(items)).order_by("pk"))


def _lot(act: Act, have: list[Stock], place: Warehouse, item: Item, lot: str, *, made_on: date | None = None, expires_on: date | None = None, price: Any = None) -> Stock:
    """The stock row of a lot in a place, made when it is new. resources.lot_differs when the book knows another date."""
    found = next((row for row in have if row.warehouse_id == place.pk and row.item_id == item.pk and row.lot == lot), None)
    if found is not None:
        if expires_on != found.expires_on and (expires_on or lot):
            raise LOT_DIFFERS(item=item.name, lot=lot or "—", day=found.expires_on or _("no date"))
        return found
    row = Stock(
        realm_id=act.realm.pk, warehouse=place, item=item, lot=lot, layer=place.layer, made_on=made_on, expires_on=expires_on, price_yuan=price, region_id=place.region_id,
        organisation_id=place.organisation_id, lon=place.lon, lat=place.lat, cell=place.cell,
    )
    rows.settle(register("resources.stock"), row)
    row.save(force_insert=True)
    have.append(row)
    return row


def _post(
    act: Act, kind: str, place: Warehouse, lines: list[Line], *, other: Warehouse | None = None, party: str = "", voucher: str = "", reason: str = "", subject: str = "",
) -> Movement:
    """Write a movement with its entries and its fact. The rows it touches are locked already."""
    if not lines:
        raise NOTHING()
    at = min(act.occurred_at or act.now, act.now)
    made = act.create(
        Movement, kind=kind, warehouse=place, other=other, region_id=place.region_id, organisation_id=place.organisation_id, at=at, party=party.strip()[:160], voucher=voucher.strip()[:60],
        reason=reason.strip()[:300], subject=subject, account=act.actor.account_id, person=act.actor.person_id, by_post=act.actor.post_id, lines=len(lines),
    )
    Entry.plain.bulk_create([
        Entry(realm_id=act.realm.pk, movement=made, item=item, source=source, target=target, quantity=quantity, said=said, unit=unit)
        for item, source, target, quantity, said, unit in lines
    ])
    told = [{"item": item.name, "lot": (source or target).lot, "quantity": str(quantity), "unit": item.unit} for item, source, target, quantity, _said, _unit in lines]  # type: ignore[union-attr]
    digest = hashlib.sha256("\n".join(f"{line['item']} {line['lot']} {line['quantity']}" for line in told).encode()).hexdigest()
    made.fact = act.state(
        StockMoved(movement=made.pk, kind=kind, warehouse=place.pk, other=other.pk if other else None, party=made.party, voucher=made.voucher, count=len(told), lines=told[:TOLD], digest=f"sha256:{digest}"),
        about=made,
    )
    made.save(update_fields=["fact"])
    if kind in (Movement.ISSUE, Movement.TRANSFER, Movement.LOSS, Movement.COUNT, Movement.ROTATE):
        _watch_minimum(act.child(cause=made.fact), place, {item.pk: item for item, *_rest in lines})
    return made


# --- in ------------------------------------------------------------------------------------------------------------------


@action("stock.receive")
def receive(act: Act, *, warehouse: UUID, lines: list, party: str = "", voucher: str = "", reason: str = "") -> Movement:
    """Goods come in. `lines`: [{item, quantity, unit?, lot?, made_on?, expires_on?, price_yuan?}]. Needs resources.stock there."""
    place, items = _place(act, warehouse), _items(lines)
    have = _locked(act, [place.pk], items)
    entries: list[Line] = []
    for line in lines:
        item = items[UUID(str(line["item"]))]
        quantity = in_units(item, line.get("quantity"), line.get("unit", ""))
        made_on, expires_on = _day(line.get("made_on")), _day(line.get("expires_on"))
        if made_on and made_on <= today(act) and expires_on is None and item.keeps_days:
            expires_on = made_on + timedelta(days=item.keeps_days)
        if made_on and (made_on > today(act) or (expires_on and expires_on < made_on)):
            raise INVALID([{"field": "made_on", "why": _("lies in the future, or after the day it expires")}])
        lot = _lot(act, have, place, item, str(line.get("lot") or "").strip()[:60], made_on=made_on, expires_on=expires_on, price=line.get("price_yuan") or None)
        entries.append((item, None, lot, quantity, number(line.get("quantity")), line.get("unit") or item.unit))
    return _post(act, Movement.RECEIVE, place, entries, party=party, voucher=voucher, reason=reason)


def _day(value: Any) -> date | None:
    if value in (None, ""):
        return None
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
    except ValueError:
        raise INVALID([{"field": "expires_on", "why": _("write a date as 2026-07-20")}])


@action("stock.return")
def give_back(act: Act, *, warehouse: UUID, lines: list, party: str = "", voucher: str = "", reason: str = "") -> Movement:
    """Goods that had gone out come back into their lot. `lines`: [{item, lot?, quantity, unit?}]."""
    place, items = _place(act, warehouse), _items(lines)
    have = _locked(act, [place.pk], items)
    entries: list[Line] = []
    for line in lines:
        item, lot = items[UUID(str(line["item"]))], str(line.get("lot") or "").strip()
        found = next((row for row in have if row.item_id == item.pk and row.lot == lot), None)
        if found is None:
            raise NOT_FOUND(kind=_("lot"), key=f"{item.name} {lot}")
        entries.append((item, None, found, in_units(item, line.get("quantity"), line.get("unit", "")), number(line.get("quantity")), line.get("unit") or item.unit))
    return _post(act, Movement.RETURN, place, entries, party=party, voucher=voucher, reason=reason)


# --- out -----------------------------------------------------------------------------------------------------------------


def _take(act: Act, have: list[Stock], place: Warehouse, items: dict[UUID, Item], lines: list[dict[str, Any]], *, expired: bool = False) -> list[tuple[Stock, Decimal, Decimal, str]]:
    """Which lots give what: the lot a line names, else what expires first; what is promised or expired gives nothing. resources.not_enough, resources.expired."""
    taken: dict[UUID, Decimal] = {}
    found = []
    for line in lines:
        item = items[UUID(str(line["item"]))]
        wanted = in_units(item, line.get("quantity"), line.get("unit", ""))
        lots = [row for row in have if row.warehouse_id == place.pk and row.item_id == item.pk]
        if line.get("stock") or line.get("lot"):
            lots = [row for row in lots if (str(row.pk) == str(line["stock"]) if line.get("stock") else row.lot == str(line["lot"]).strip())]
            if not lots:
                raise NOT_FOUND(kind=_("lot"), key=f"{item.name} {line.get('lot') or ''}")
        good = [row for row in lots if expired or row.expires_on is None or row.expires_on >= today(act)]
        if lots and not good and any(row.free > 0 for row in lots):
            worst = max(lots, key=lambda row: row.expires_on)
            raise EXPIRED(item=item.name, lot=worst.lot or "—", day=worst.expires_on)
        left = wanted
        for row in sorted(good, key=lambda row: (row.expires_on or date.max, row.created_at, row.pk)):
            give = min(left, row.free - taken.get(row.pk, Decimal(0)))
            if give > 0:
                taken[row.pk] = taken.get(row.pk, Decimal(0)) + give
                found.append((row, give, number(line["quantity"]) if give == wanted else give, (line.get("unit") or item.unit) if give == wanted else item.unit))
                left -= give
            if not left:
                break
        if left:
            raise NOT_ENOUGH(
                item=item.name, asked=show(wanted), free=show(wanted - left), unit=word(item.unit), place=place.name, reserved=show(sum((row.reserved for row in lots), Decimal(0))),
                barred=show(sum((row.quantity for row in lots if row not in good), Decimal(0))),
            )
    return found


def _out(act: Act, kind: str, place: Warehouse, lines: list[dict[str, Any]], *, expired: bool = False, **more: Any) -> Movement:
    items = _items(lines)
    have = _locked(act, [place.pk], items)
    entries: list[Line] = [(row.item, row, None, quantity, said, unit) for row, quantity, said, unit in _take(act, have, place, items, lines, expired=expired)]
    return _post(act, kind, place, entries, **more)


@action("stock.issue")
def issue(act: Act, *, warehouse: UUID, lines: list, party: str, voucher: str = "", reason: str = "", subject: str = "") -> Movement:
    """Goods go out to be used: what expires first goes first, expired goods never. `lines`: [{item, quantity, unit?, lot? or stock?}].

    Needs resources.stock there. resources.not_enough (nothing is booked), resources.needs_release where goods leave only after approval.
    """
    place = _place(act, warehouse)
    if place.release:
        raise NEEDS_RELEASE(place=place.name)
    if not party.strip():
        raise INVALID([{"field": "party", "why": _("say to whom")}])
    return _out(act, Movement.ISSUE, place, lines, party=party, voucher=voucher, reason=reason, subject=subject)


@action("stock.issue_kept")
def issue_kept(act: Act, *, warehouse: UUID, subject: str, voucher: str = "", reason: str = "") -> Movement:
    """What was kept for a subject (a release, an order) goes out, all of it. resources.no_reservation when nothing is kept for it any more."""
    place = _place(act, warehouse)
    if place.release and subject.partition(":")[0] not in APPROVED:
        raise NEEDS_RELEASE(place=place.name)
    kept = list(Reservation.plain.select_for_update(of=("self",)).filter(realm_id=act.realm.pk, subject=subject, state=Reservation.OPEN, stock__warehouse=place).select_related("stock__item").order_by("stock_id"))
    if not kept:
        raise NO_RESERVATION()
    _locked(act, [place.pk], [row.stock.item_id for row in kept])
    lines: list[Line] = []
    for row in kept:
        if row.stock.expires_on and row.stock.expires_on < today(act):
            raise EXPIRED(item=row.stock.item.name, lot=row.stock.lot or "—", day=row.stock.expires_on)
        lines.append((row.stock.item, row.stock, None, row.remaining, row.remaining, row.stock.item.unit))
        row.state, row.remaining, row.ended_at = Reservation.USED, Decimal(0), act.now
        row.save(update_fields=["state", "remaining", "ended_at"])
        due.cancel(act, "resources.lapse", f"reservation:{row.pk}")
    return _post(act, Movement.ISSUE, place, lines, party=kept[0].party, voucher=voucher, reason=reason, subject=subject)


@action("stock.transfer")
def transfer(act: Act, *, warehouse: UUID, to: UUID, lines: list, voucher: str = "", reason: str = "") -> Movement:
    """Goods change their place, lot for lot. Needs resources.stock over both."""
    place, target = _place(act, warehouse), _place(act, to)
    if place.pk == target.pk:
        raise SAME_PLACE()
    items = _items(lines)
    have = _locked(act, [place.pk, target.pk], items)
    entries: list[Line] = []
    for row, quantity, said, unit in _take(act, have, place, items, lines):
        into = _lot(act, have, target, row.item, row.lot, made_on=row.made_on, expires_on=row.expires_on, price=row.price_yuan)
        entries.append((row.item, row, into, quantity, said, unit))
    return _post(act, Movement.TRANSFER, place, entries, other=target, voucher=voucher, reason=reason)


@action("stock.write_off")
def write_off(act: Act, *, warehouse: UUID, lines: list, reason: str, voucher: str = "") -> Movement:
    """Goods are lost, spoilt or destroyed; expired ones too. Needs resources.write_off and a reason."""
    place = _place(act, warehouse, "resources.write_off")
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": _("say why")}])
    return _out(act, Movement.LOSS, place, lines, expired=True, voucher=voucher, reason=reason)


@action("stock.rotate")
def rotate(act: Act, *, warehouse: UUID, lines: list, party: str, voucher: str = "", reason: str = "") -> Movement:
    """Goods near expiry go out to be used up (轮换), and as much must come in again (回补): a case is opened that closes only then."""
    place = _place(act, warehouse)
    made = _out(act, Movement.ROTATE, place, lines, party=party, voucher=voucher, reason=reason)
    gone = Entry.plain.filter(movement=made).values("item").annotate(n=Sum("quantity")).order_by("item")
    names = {row.pk: row for row in Item.plain.filter(pk__in=[one["item"] for one in gone])}
    for one in gone:
        alert(act.child(cause=made.fact), "replenish", place, names[one["item"]], quantity=one["n"], key=f"{made.pk}:{one['item']}")
    return made


# --- promised ------------------------------------------------------------------------------------------------------------


@action("stock.reserve")
def reserve(act: Act, *, warehouse: UUID, lines: list, party: str, reason: str = "", subject: str = "", until: datetime | None = None) -> list:
    """Keep goods for somebody until a time; nobody else gets them meanwhile. Returns the keys of the reservations."""
    place = _place(act, warehouse)
    return [row.pk for row in _reserve(act, place, lines, party=party, reason=reason, subject=subject, until=until)]


def _reserve(act: Act, place: Warehouse, lines: list[dict[str, Any]], *, party: str, reason: str, subject: str, until: datetime | None) -> list[Reservation]:
    if not party.strip():
        raise INVALID([{"field": "party", "why": _("say to whom")}])
    until = until or act.now + timedelta(hours=policy("reserve_hours"))
    if until <= act.now:
        raise INVALID([{"field": "until", "why": _("lies in the past")}])
    items = _items(lines)
    have = _locked(act, [place.pk], items)
    made = []
    for row, quantity, _said, _unit in _take(act, have, place, items, lines):
        one = act.create(
            Reservation, stock=row, region_id=place.region_id, organisation_id=place.organisation_id, quantity=quantity, remaining=quantity, party=party.strip()[:160], reason=reason.strip()[:300],
            subject=subject, until=until, person=act.actor.person_id, made_at=act.now,
        )
        due.at(act, until, "resources.lapse", subject=f"reservation:{one.pk}")
        made.append(one)
    act.state(
        StockReserved(
            warehouse=place.pk, party=party, about=subject, until=until.isoformat(),
            lines=[{"item": row.stock.item.name, "lot": row.stock.lot, "quantity": str(row.quantity), "unit": row.stock.item.unit} for row in made],
        ), about=place,
    )
    return made


@action("stock.end_reservation")
def end_reservation(act: Act, *, reservation: UUID, reason: str = "") -> Reservation:
    """Give a reservation back; what is left of it is free again."""
    row = act.lock(Reservation, reservation)
    access.require(act, "resources.stock", row.region_id, row.organisation_id)
    if row.state != Reservation.OPEN:
        raise NO_RESERVATION()
    _end(act, row, Reservation.ENDED, reason)
    return row


def _end(act: Act, row: Reservation, outcome: str, reason: str = "") -> None:
    left = row.remaining
    row.state, row.ended_at = outcome, act.now
    row.reason = f"{row.reason} {reason}".strip()[:300]
    act.save(row)
    due.cancel(act, "resources.lapse", f"reservation:{row.pk}")
    act.state(ReservationEnded(reservation=row.pk, outcome=outcome, remaining=str(left)), about=row)


@action("stock.lapse")
def lapse(act: Act, *, reservation: UUID) -> None:
    """Timer: nobody came for what was kept."""
    row = act.lock(Reservation, reservation)
    if row.state == Reservation.OPEN and row.until and row.until <= act.now:
        _end(act, row, Reservation.LAPSED)


# --- counted -------------------------------------------------------------------------------------------------------------


@action("stock.take")
def open_stock_take(act: Act, *, warehouse: UUID, due_on: date, items: list | None = None) -> int:
    """Open a stock-take (盘点): a count for every lot the book holds there, blind, each on the telephone of whoever counts. Returns how many."""
    place = _place(act, warehouse)
    due_on = _day(due_on) or today(act)
    if due_on < today(act):
        raise INVALID([{"field": "due_on", "why": _("lies in the past")}])
    declared = loop("resources.count")
    counted = StockCount.plain.filter(realm_id=act.realm.pk, closed_at=None).values("stock")
    found = Stock.plain.filter(realm_id=act.realm.pk, warehouse=place, quantity__gt=0).exclude(pk__in=counted).select_related("item").order_by("item__name", "lot")
    if items:
        found = found.filter(item_id__in=items)
    count = 0
    for row in found:
        given = {"title": _("Count {item} {lot} in {place}").format(item=row.item.name, lot=row.lot, place=place.name)[:200], "lot": row.lot, "due_on": due_on, "region": str(place.region_id) if place.region_id else None}
        case = cases._open(act.child(step=f"count {row.pk}"), declared, given, [], None, "", trusted=True)
        case.stock, case.item, case.seen = row, row.item, row.version
        case.save(update_fields=["stock", "item", "seen"])
        count += 1
    act.state(StockTakeOpened(warehouse=place.pk, counts=count, due_on=due_on.isoformat()), about=place)
    return count


def _book_of(act: Act, case: StockCount) -> Stock:
    """The lot a count is about, locked, as it was when the count was asked for. resources.book_moved: never merged."""
    row = Stock.plain.select_for_update(of=("self",)).select_related("item", "warehouse").get(pk=case.stock_id)
    if row.version != case.seen:
        raise BOOK_MOVED(seen=case.seen, found=row.version)
    return row


def counted(act: Act, case: StockCount, data: dict[str, Any]) -> None:
    """After the step "count": judged against the book it was asked for; what agrees is closed at once."""
    row = _book_of(act, case)
    case.difference = in_units(row.item, case.counted, case.unit, zero=True) - row.quantity
    case.save(update_fields=["difference"])
    Stock.plain.filter(pk=row.pk).update(counted_at=act.now)
    if not case.difference:
        cases.take(act.child(step="agree"), loop("resources.count"), loop("resources.count").step["agree"], case)


def count_again(act: Act, case: StockCount, data: dict[str, Any]) -> None:
    """After the step "again": the book as it is now is what the next count is judged against."""
    case.seen = Stock.plain.values_list("version", flat=True).get(pk=case.stock_id)
    case.counted, case.difference, case.unit = None, None, ""
    case.save(update_fields=["seen", "counted", "difference", "unit"])


def book_count(act: Act, case: StockCount, data: dict[str, Any]) -> None:
    """After the step "book": another person has agreed; the difference goes into the ledger."""
    row = _book_of(act, case)
    access.require(act, "resources.write_off", row.region_id, row.organisation_id)
    more, quantity = (case.difference or 0) > 0, abs(case.difference or Decimal(0))
    if not more and quantity > row.free:
        raise NOT_ENOUGH(item=row.item.name, asked=show(quantity), free=show(row.free), unit=word(row.item.unit), place=row.warehouse.name, reserved=show(row.reserved), barred="0")
    line: Line = (row.item, None if more else row, row if more else None, quantity, quantity, row.item.unit)
    _post(act, Movement.COUNT, row.warehouse, [line], reason=str(data.get("reason", "")), subject=f"count:{case.pk}")


# --- approved releases ---------------------------------------------------------------------------------------------------


def release_approved(act: Act, case: Any, data: dict[str, Any]) -> None:
    """After the step "approve": the goods are kept at once, so that an approval is never empty."""
    hours = policy("issue_hours")
    _reserve(
        act, case.warehouse, [{"item": str(case.item_id), "quantity": str(case.quantity), "unit": case.unit}], party=case.party, reason=case.purpose, subject=f"release:{case.pk}",
        until=act.now + timedelta(hours=max(hours * 6, 24)),
    )


def release_issued(act: Act, case: Any, data: dict[str, Any]) -> None:
    issue_kept(act, warehouse=case.warehouse_id, subject=f"release:{case.pk}", voucher=str(data.get("voucher") or case.number))


def release_dropped(act: Act, case: Any, data: dict[str, Any]) -> None:
    let_go(act, f"release:{case.pk}", str(data.get("reason", "")))


def keep(act: Act, warehouse: UUID, lines: list[dict[str, Any]], *, party: str, reason: str, subject: str, until: datetime) -> list[Reservation]:
    """Keep goods on the authority of a room above that has let them go: called inside its action, which has judged the right to."""
    return _reserve(act, Warehouse.plain.get(pk=warehouse), lines, party=party, reason=reason, subject=subject, until=until)


def let_go(act: Act, subject: str, reason: str) -> None:
    """What was kept for a subject is free again."""
    for row in Reservation.plain.select_for_update().filter(realm_id=act.realm.pk, subject=subject, state=Reservation.OPEN).order_by("stock_id"):
        _end(act, row, Reservation.ENDED, reason)


# --- what must be put right ----------------------------------------------------------------------------------------------


def alert(act: Act, kind: str, place: Warehouse | None, item: Item | None, *, stock: Stock | None = None, holding: Holding | None = None, quantity: Any = None, key: str = "") -> SupplyAlert | None:
    """Open a case about supplies unless the same is open already. Called inside an action."""
    same = SupplyAlert.plain.filter(realm_id=act.realm.pk, kind=kind, closed_at=None, warehouse=place, item=item, stock=stock, holding=holding)
    if same.exists() and kind != "replenish":
        return None
    from anlan.kernel import codes

    what = " · ".join(str(one) for one in (stock or item, holding, place) if one)
    region = (place or holding).region_id if (place or holding) else None
    given = {"title": f"{codes.name('supply_alert', kind)}：{what}"[:200], "kind": kind, "quantity": quantity, "region": str(region) if region else None}
    case: Any = cases._open(act.child(step=f"alert {kind} {key or what}"), loop("resources.alert"), given, [], None, "", trusted=True)
    case.warehouse, case.item, case.stock, case.holding, case.since = place, item, stock, holding, act.now
    case.save(update_fields=["warehouse", "item", "stock", "holding", "since"])
    return case


def _watch_minimum(act: Act, place: Warehouse, items: dict[UUID, Item]) -> None:
    """After goods went out: is there still what must be there?"""
    least = dict(Minimum.plain.filter(warehouse=place, item_id__in=items, ended_at=None).values_list("item_id", "quantity"))
    if not least:
        return
    usable = Stock.plain.filter(realm_id=act.realm.pk, warehouse=place, item_id__in=least).exclude(expires_on__lt=today(act))
    held = dict(usable.values_list("item_id").annotate(n=Sum("quantity")))
    for key, wanted in least.items():
        if held.get(key, Decimal(0)) < wanted:
            alert(act, "below", place, items[key], quantity=wanted - held.get(key, Decimal(0)))


@action("resources.watch")
def watch(act: Act) -> int:
    """Once a day: what is below its minimum, expiring, expired, and which agreements are over. Returns how many cases were opened."""
    from . import supplies

    day, opened = today(act), 0
    open_now = set(SupplyAlert.plain.filter(realm_id=act.realm.pk, closed_at=None).values_list("kind", "warehouse_id", "item_id", "stock_id", "holding_id"))
    for line in supplies.below_minimum(act.actor, act.realm, day):
        row = line["minimum"]
        if ("below", row.warehouse_id, row.item_id, None, None) not in open_now:
            opened += alert(act, "below", row.warehouse, row.item, quantity=line["short"]) is not None
    for lot in supplies.expiring(act.actor, act.realm, day):
        kind = "expired" if lot.expires_on < day else "expiring"
        if (kind, lot.warehouse_id, lot.item_id, lot.pk, None) not in open_now:
            opened += alert(act, kind, lot.warehouse, lot.item, stock=lot, quantity=lot.quantity) is not None
    for row in Holding.plain.filter(ended_at=None, valid_until__lt=day).select_related("item"):
        if ("agreement", None, row.item_id, None, row.pk) not in open_now:
            opened += alert(act, "agreement", None, row.item, holding=row, quantity=row.quantity) is not None
    return opened


# --- into an exercise ----------------------------------------------------------------------------------------------------


def copy_stock(act: Act, source: Any) -> int:
    """Carry the balances into an exercise that starts: every lot with what is held of it, as one movement "carried over"."""
    made = act.create(Movement, kind=Movement.OPENING, at=act.now, account=act.actor.account_id, person=act.actor.person_id, by_post=act.actor.post_id)
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH old AS (SELECT * FROM resources_stock WHERE realm_id = %(from)s AND quantity > 0),
                    new AS (INSERT INTO resources_stock (id, version, home, created_at, realm_id, warehouse_id, item_id, lot, layer, made_on, expires_on, price_yuan, quantity, reserved,
                                                         counted_at, region_id, organisation_id, lon, lat, cell, words, "left", changed_xid, changed_seq)
                            SELECT gen_random_uuid(), 1, home, now(), %(to)s, warehouse_id, item_id, lot, layer, made_on, expires_on, price_yuan, 0, 0, counted_at, region_id, organisation_id,
                                   lon, lat, cell, words, '{}', 0, 0 FROM old RETURNING 1)
               SELECT count(*) FROM new""",
            {"from": source.pk, "to": act.realm.pk},
        )
        count = cursor.fetchone()[0]
        cursor.execute(
            """INSERT INTO resources_entry (id, version, home, created_at, realm_id, movement_id, item_id, source_id, target_id, quantity, said, unit)
               SELECT gen_random_uuid(), 1, n.home, now(), n.realm_id, %s, n.item_id, NULL, n.id, o.quantity, o.quantity, i.unit
               FROM resources_stock n JOIN resources_stock o ON o.realm_id = %s AND o.warehouse_id = n.warehouse_id AND o.item_id = n.item_id AND o.lot = n.lot
                    JOIN resources_item i ON i.id = n.item_id WHERE n.realm_id = %s AND o.quantity > 0""",
            [made.pk, source.pk, act.realm.pk],
        )
    made.lines = count
    made.save(update_fields=["lines"])
    return count


realms.copies("stock", copy_stock)


# --- many at once --------------------------------------------------------------------------------------------------------


@action("stock.receive_many")
def receive_many(act: Act, *, lots: list, party: str, voucher: str = "", reason: str = "") -> int:
    """Take over an opening stock or a delivery to many places, by COPY-like bulk rows: one movement and one fact a warehouse.

    `lots`: [{warehouse, item, lot, quantity, unit?, made_on?, expires_on?, price_yuan?}]. Returns how many lines.
    """
    by_place: dict[str, list[dict[str, Any]]] = {}
    for line in lots:
        by_place.setdefault(str(line["warehouse"]), []).append(line)
    declared, indexed = register("resources.stock"), []
    for key, lines in sorted(by_place.items()):
        place, items = _place(act, key), _items(lines)
        have = {(row.item_id, row.lot): row for row in _locked(act, [place.pk], items)}
        new: list[Stock] = []
        entries: list[Line] = []
        for line in lines:
            item, lot = items[UUID(str(line["item"]))], str(line.get("lot") or "").strip()[:60]
            quantity, expires_on = in_units(item, line.get("quantity"), line.get("unit", "")), _day(line.get("expires_on"))
            row = have.get((item.pk, lot))
            if row is None:
                row = have[item.pk, lot] = Stock(
                    id=derived_id("stock", act.op_id, place.pk, item.pk, lot), realm_id=act.realm.pk, warehouse=place, item=item, lot=lot, layer=place.layer, made_on=_day(line.get("made_on")),
                    expires_on=expires_on, price_yuan=line.get("price_yuan") or None, region_id=place.region_id, organisation_id=place.organisation_id, lon=place.lon, lat=place.lat, cell=place.cell,
                )
                rows.settle(declared, row)
                new.append(row)
            elif row.expires_on != expires_on:
                raise LOT_DIFFERS(item=item.name, lot=lot or "—", day=row.expires_on or _("no date"))
            entries.append((item, None, row, quantity, number(line.get("quantity")), line.get("unit") or item.unit))
        Stock.plain.bulk_create(new, batch_size=1000)
        indexed += new
        _post(act, Movement.RECEIVE, place, entries, party=party, voucher=voucher, reason=reason)
    search.put(search.KINDS[declared.kind], indexed)
    return len(lots)
