"""Pages about supplies: what there is by layer, form and place, what is missing or runs out, the lots, the ledger, its forms and its import."""
from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST

from anlan.kernel import access, access_log, clock, codes, sheets, shell
from anlan.kernel.errors import NOT_FOUND, Problem
from anlan.kernel.forms import LocalDateTime, attempt
from anlan.kernel.middleware import address
from anlan.kernel.models import Region
from anlan.kernel.registers import exporting, get, listing, pages, queries, reading, wizard
from anlan.kernel.registers.pages import watermark

from . import actions, receipts, supplies
from .compute import show, word
from .forms import LINES, MOVES, MoveForm, StockTakeForm, items_offered, places_of
from .models import Movement, Stock, Warehouse


def _reader(request: HttpRequest) -> tuple[Any, Any, date]:
    access.require(request.actor, "resources.read")  # type: ignore[attr-defined]
    return request.actor, request.realm, clock.local(clock.now(request.realm)).date()  # type: ignore[attr-defined]


def _xlsx(request: HttpRequest, title: str, head: list[str], rows: Any) -> HttpResponse:
    access_log.note(request.actor, "export", "resources", count=0, purpose=title, address=address(request))  # type: ignore[attr-defined]
    return exporting.answer(sheets.write(title, head, rows, watermark=watermark(request)), f"{title}.xlsx")


def overview(request: HttpRequest) -> HttpResponse:
    """Four layers and forms beside the standard; below minimum, expiring, agreements that end; stock by place. ?xlsx for the first table."""
    actor, realm, day = _reader(request)
    region = _region(request)
    lines = supplies.layers(actor, realm, day, region.pk if region else None)
    layer_names, form_names = codes.choices("reserve_layer"), codes.choices("reserve_form")
    if "xlsx" in request.GET:
        head = [pgettext("supplies", "Item"), _("Code"), _("Unit"), *(f"{name} {what}" for _code, name in layer_names for what in (_("held"), _("standard"))), *(name for _code, name in form_names), pgettext("supplies", "Gap")]
        rows = [
            [line["item"].name, line["item"].code, word(line["item"].unit), *(value for cell in line["cells"] for value in (show(cell["held"]), show(cell["norm"]))), *(show(n) for n in line["forms"].values()), show(line["gap"])]
            for line in lines
        ]
        return _xlsx(request, _("Supplies by layer and form"), head, rows)
    below, soon = supplies.below_minimum(actor, realm, day), supplies.expiring(actor, realm, day)
    ends = supplies.agreements(actor, day)
    context = {
        "lines": lines, "layers": layer_names, "forms": form_names, "below": below[:25], "below_count": len(below), "soon": soon[:25], "soon_count": len(soon),
        "spoilt_count": sum(row.expires_on < day for row in soon), "ends": ends[:100], "over_count": sum(row.valid_until < day for row in ends), "places": supplies.places(actor, realm, day), "today": day,
        "gaps": sum(bool(line["gap"]) for line in lines), "promised": supplies.promised(actor, realm)[:50], "moves": _moves(actor), "region": region, "now": clock.now(realm),
        "may_count": access.may(actor, "resources.stock"), "reserves": shell.address("logistics:reserves", ""), "here": "resources:supplies", "tabs": listing.tabs(get("resources.stock")),
    }
    return render(request, "resources/supplies.html", context)


def _region(request: HttpRequest) -> Region | None:
    try:
        return Region.objects.filter(pk=UUID(request.GET.get("region", ""))).first()
    except ValueError:
        return None


def _moves(actor: Any) -> list[tuple[str, Any]]:
    return [(kind, label) for kind, (label, capability) in MOVES.items() if access.may(actor, capability)]


# --- lots ----------------------------------------------------------------------------------------------------------------


def _links() -> listing.Links:
    at = {
        "list": reverse("resources:stock"), "index": reverse("resources:supplies"), "index_label": _("Supplies"), "map": "", "map_data": "", "new": "", "import": reverse("resources:receipts"),
        "export": reverse("resources:stock_export"), "print": reverse("resources:stock_print"), "labels": reverse("resources:stock_labels"), "template": reverse("resources:receipts") + "?template", "views": "", "chosen": "",
        "new_label": "", "tabs": listing.tabs(get("resources.stock")),
    }
    return listing.Links(at, lambda row: reverse("resources:lot", args=[row.pk]))


def stock(request: HttpRequest) -> HttpResponse:
    """Every lot: search, filters, columns and paging as every register has."""
    return listing.listing(request, get("resources.stock"), _links(), realm=request.realm, extra={"here": "resources:stock"})  # type: ignore[attr-defined]


def stock_export(request: HttpRequest) -> HttpResponse:
    declared = get("resources.stock")
    wanted = listing.asked(declared, request.GET)
    return wizard.take_out(request, declared, wanted.q, wanted.filters, realm=request.realm, columns=wanted.columns or None)  # type: ignore[attr-defined]


def stock_print(request: HttpRequest) -> HttpResponse:
    """The lots of the list on paper, by place: a counting sheet without the book's figure with ?blind."""
    actor, realm, day = _reader(request)
    declared = get("resources.stock")
    wanted = listing.asked(declared, request.GET)
    rows = queries.narrow(queries.scope(actor, declared, realm=realm), declared, q=wanted.q, filters=wanted.filters).filter(quantity__gt=0)
    rows = rows.select_related("item", "warehouse").order_by("warehouse__name", "item__name", "expires_on")[: listing.PRINT_ROWS]
    return render(request, "resources/stock_print.html", {"rows": rows, "today": day, "blind": "blind" in request.GET, "watermark": watermark(request), "now": clock.now(realm)})


def stock_labels(request: HttpRequest) -> HttpResponse:
    """A sheet of labels for the lots of the list: on a telephone one opens the lot's count, at a desk its page."""
    actor, realm, _day = _reader(request)
    declared = get("resources.stock")
    wanted = listing.asked(declared, request.GET)
    found = queries.narrow(queries.scope(actor, declared, realm=realm), declared, q=wanted.q, filters=wanted.filters).filter(quantity__gt=0).select_related("item", "warehouse").order_by("warehouse__name", "item__name", "lot")
    made = [
        {"qr": pages.qr(request.build_absolute_uri(reverse("resources:lot", args=[row.pk]))), "title": row.item.name, "code": row.label, "note": row.warehouse.name}
        for row in found[: pages.LABELS]
    ]
    count = found.count()
    return render(request, "registers/labels.html", {"reg": declared, "labels": made, "cut": pages.cut(len(made), count)})


def lot(request: HttpRequest, key: UUID) -> HttpResponse:
    """A lot: what is held, promised and free, and every entry that made it so."""
    actor, realm, day = _reader(request)
    row = supplies.stock(actor, realm).select_related("item", "warehouse__region").defer("warehouse__region__area_wkb").filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("lot"), key=str(key)[-6:])
    lines = supplies.history(row)
    context = {
        "row": row, "lines": lines[::-1], "unit": word(row.item.unit), "expired": bool(row.expires_on and row.expires_on < day), "reservations": row.reservations.filter(state="open"),
        "sound": not lines or lines[-1]["balance"] == row.quantity, "may": access.may(actor, "resources.stock", row.region_id, row.organisation_id), "moves": _moves(actor), "now": clock.now(realm),
        "outside": Movement.OUTSIDE,
    }
    return render(request, "resources/lot.html", context)


@require_POST
def end_reservation(request: HttpRequest, key: UUID) -> HttpResponse:
    row = actions.end_reservation(request.act(), reservation=key, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
    messages.success(request, _("The reservation is given back."))
    return redirect("resources:lot", row.stock_id)


# --- the ledger ----------------------------------------------------------------------------------------------------------


def ledger(request: HttpRequest) -> HttpResponse:
    """Movements with their lines, newest first; by kind, place, item and time. ?xlsx, and printable."""
    actor, realm, day = _reader(request)
    asked = {name: request.GET.get(name, "")[:40] for name in ("kind", "warehouse", "item", "since", "until")}

    def key(name: str) -> Any:
        try:
            return UUID(asked[name])
        except ValueError:
            return None

    def moment(name: str, more: int = 0) -> Any:
        try:
            return LocalDateTime().to_python(str(date.fromisoformat(asked[name]) + timedelta(days=more)))
        except (ValueError, OverflowError):
            return None

    rows = supplies.movements(actor, realm, kind=asked["kind"] if asked["kind"] in dict(Movement.KINDS) else "", warehouse=key("warehouse"), item=key("item"), since=moment("since"), until=moment("until", 1))
    if "xlsx" in request.GET:
        found = list(rows[:5000])
        lines = supplies.entries(found)
        head = [_("When"), _("Kind"), _("Voucher"), _("Warehouse"), _("To warehouse"), _("From or to whom"), pgettext("supplies", "Item"), _("Lot"), pgettext("supplies", "Quantity"), _("Unit"), _("Reason")]
        return _xlsx(request, _("Ledger of supplies"), head, [
            [row.at, row.get_kind_display(), row.voucher, str(row.warehouse or ""), str(row.other or ""), row.party, entry.item.name, (entry.source or entry.target).lot, show(entry.quantity), word(entry.item.unit), row.reason]
            for row in found for entry in lines.get(row.pk, [])
        ])
    page = Paginator(rows, 40).get_page(request.GET.get("page"))
    lines = supplies.entries(page.object_list)
    for row in page.object_list:
        row.shown = lines.get(row.pk, [])
        row.who = shell.person_name(row.person) if row.person else _("system")
    places = Warehouse.objects.seen_by(actor).filter(ended_at=None).order_by("name")
    rest = request.GET.copy()
    rest.pop("page", None)
    context = {
        "page": page, "asked": asked, "kinds": Movement.KINDS, "places": places, "moves": _moves(actor), "query": rest.urlencode(), "here": "resources:ledger",
        "tabs": listing.tabs(get("resources.stock")), "outside": Movement.OUTSIDE, "filtered": any(asked.values()),
    }
    return render(request, "resources/ledger.html", context)


def movement(request: HttpRequest, key: UUID) -> HttpResponse:
    """One voucher, as it is printed and signed."""
    actor, realm, _day = _reader(request)
    row = supplies.movements(actor, realm).filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("movement"), key=str(key)[-6:])
    return render(request, "resources/movement.html", {"row": row, "lines": supplies.entries([row]).get(row.pk, []), "who": shell.person_name(row.person) if row.person else _("system"), "watermark": watermark(request)})


def move(request: HttpRequest, kind: str) -> HttpResponse:
    """The form of a movement or a reservation, and doing it."""
    actor, realm, _day = _reader(request)
    if kind not in MOVES:
        raise Http404
    label, capability = MOVES[kind]
    access.require(actor, capability)
    if request.method == "POST":
        form = MoveForm(kind, actor, request.POST, realm=realm)
        done, answer = attempt(form, lambda: _move(request, form))
        if done:
            messages.success(request, _("Booked: {what}.").format(what=label))
            return redirect("resources:movement", answer.pk) if isinstance(answer, Movement) else redirect("resources:supplies")
    else:
        start: dict[str, Any] = {"warehouse": request.GET.get("warehouse", "")}
        chosen = Stock.objects.seen_by(actor, realm).filter(pk=_uuid(request.GET.get("stock", ""))).select_related("item").first()
        if chosen:
            start |= {"warehouse": str(chosen.warehouse_id), "line": {"item": f"{chosen.item.name} · {chosen.item.code}", "lot": chosen.lot}}
        form = MoveForm(kind, actor, realm=realm, initial=start)
    inward = kind in (Movement.RECEIVE, Movement.RETURN)
    context = {"form": form, "kind": kind, "heading": label, "items": items_offered(realm), "lines": LINES, "inward": inward, "has_places": bool(places_of(actor, capability))}
    return render(request, "resources/move.html", context, status=422 if request.method == "POST" else 200)


def _uuid(text: str) -> Any:
    try:
        return UUID(text)
    except ValueError:
        return None


def _move(request: HttpRequest, form: MoveForm) -> Any:
    given, act = dict(form.cleaned_data), request.act()  # type: ignore[attr-defined]
    lines, place = form.given(), given.pop("warehouse")
    does: dict[str, Any] = {
        Movement.RECEIVE: actions.receive, Movement.ISSUE: actions.issue, Movement.TRANSFER: actions.transfer, Movement.RETURN: actions.give_back, Movement.ROTATE: actions.rotate,
        Movement.LOSS: actions.write_off, "reserve": actions.reserve,
    }
    try:
        return does[form.kind](act, warehouse=UUID(place), lines=lines, **{name: value for name, value in given.items() if value not in (None, "")})
    except Problem as problem:
        form.wrong(problem.fields)
        raise


def take_stock(request: HttpRequest) -> HttpResponse:
    """Open a stock-take: one count for every lot, on the telephones of those who count."""
    actor, realm, day = _reader(request)
    access.require(actor, "resources.stock")
    form = StockTakeForm(actor, request.POST or None, initial={"warehouse": request.GET.get("warehouse", ""), "due_on": day + timedelta(days=7)})
    if request.method == "POST":
        done, count = attempt(form, lambda: actions.open_stock_take(request.act(), warehouse=UUID(form.cleaned_data["warehouse"]), due_on=form.cleaned_data["due_on"]))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("{n} counts are open.").format(n=count))
            return redirect("kernel:loop_list", "resources.count")
    return render(request, "resources/take.html", {"form": form}, status=422 if request.method == "POST" else 200)


# --- import --------------------------------------------------------------------------------------------------------------


def receipts_page(request: HttpRequest) -> HttpResponse:
    """A sheet of goods received, or of the opening stock: look it over, or book it. All rows or none. ?template for the empty sheet."""
    actor, realm, _day = _reader(request)
    access.require(actor, "resources.stock")
    if "template" in request.GET:
        return exporting.answer(exporting.template(receipts.form(), actor), f"{_('Goods received')}.xlsx")
    context: dict[str, Any] = {}
    if request.method == "POST" and "file" in request.FILES:
        sheet = reading.received(request.FILES["file"])
        lots, refused = receipts.judge(actor, realm, sheet)
        titles = {one.name: one.title for one in receipts.form().fields}
        for fault in refused:
            fault["title"] = titles.get(fault["field"], fault["field"])
        context = {"looked": True, "good": len(lots), "refused": refused}
        if "look" not in request.POST and not refused and lots:
            receipts.book(actor, realm, sheet, lots)
            messages.success(request, _("{n} lines are booked.").format(n=len(lots)))
            return redirect("resources:ledger")
    return render(request, "resources/receipts.html", context, status=422 if context.get("refused") else 200)


urlpatterns = [
    path("supplies", overview, name="supplies"),
    path("supplies/stock", stock, name="stock"),
    path("supplies/stock/export", stock_export, name="stock_export"),
    path("supplies/stock/print", stock_print, name="stock_print"),
    path("supplies/stock/labels", stock_labels, name="stock_labels"),
    path("supplies/stock/<uuid:key>", lot, name="lot"),
    path("supplies/ledger", ledger, name="ledger"),
    path("supplies/ledger/<uuid:key>", movement, name="movement"),
    path("supplies/move/<str:kind>", move, name="move"),
    path("supplies/reservations/<uuid:key>/end", end_reservation, name="end_reservation"),
    path("supplies/take", take_stock, name="take"),
    path("supplies/import", receipts_page, name="receipts"),
]
