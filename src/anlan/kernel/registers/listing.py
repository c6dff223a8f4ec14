"""A list of rows as a page shows it: columns, filters as a link, cells as words. Registers and the cases of loops alike."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import access, shell
from ..middleware import address
from ..models import FieldConflict, Region
from . import forms, queries, values
from .declare import UNKNOWN_REGISTER, Field, Register

PAGE = 50
FIRST = 3  # filters that always stand open beside the search
STALE = ("yes", "no", "never")
PRINT_ROWS = 2000


def tabs(declared: Any) -> list[dict[str, str]]:
    """The room's own pages, as tabs beside list and map."""
    return [{"key": page, "url": reverse(page), "icon": icon, "label": str(label)} for label, page, icon in declared.tabs]


@dataclass
class Links:
    """Where a list's buttons lead; an empty address leaves its button out. `row` and `edit` make the address of one row."""

    at: dict[str, Any]
    row: Callable[[Any], str]
    edit: Callable[[Any], str] = lambda row: ""

    @classmethod
    def of(cls, declared: Register) -> Links:
        """Those of the register pages."""
        pages = {
            "list": "register", "map": "register_map", "map_data": "register_map_data", "new": "register_new", "import": "register_import", "export": "register_export",
            "print": "register_print", "labels": "register_labels", "template": "register_template", "views": "register_views", "chosen": "register_chosen",
        }
        at: dict[str, Any] = {key: reverse(f"kernel:{page}", args=[declared.name]) for key, page in pages.items()}
        at |= {"index": reverse("kernel:registers"), "index_label": _("Registers"), "new_label": _("New {one}").format(one=str(declared.one)[:1].lower() + str(declared.one)[1:]), "tabs": tabs(declared)}
        if declared.home:
            at["list"] = reverse(declared.home)
        if not declared.placed:
            at["map"] = at["labels"] = ""
        if not (declared.key and declared.imported):
            at["import"] = at["template"] = ""
        return cls(
            at, lambda row: reverse("kernel:register_row", args=[declared.name, row.pk]),
            lambda row: "" if row.ended_at else reverse("kernel:register_edit", args=[declared.name, row.pk]),
        )


def declared_of(request: HttpRequest, name: str) -> Register:
    """The register of an address, if this person reads it anywhere. Cases of loops lie in realms and have pages of their own."""
    declared = queries.require_read(request.actor, name)  # type: ignore[attr-defined]
    if declared.steps_only:
        raise UNKNOWN_REGISTER(name=name[:60])
    return declared


@dataclass
class Asked:
    """What the address asks for. `filters`: name → value, as `queries.narrow` takes them."""

    q: str = ""
    filters: dict[str, Any] = field(default_factory=dict)
    sort: str = ""
    columns: list[str] = field(default_factory=list)
    page: int = 1

    @property
    def filter_query(self) -> str:
        """Search and filters only: what "all under this filter" means."""
        return urlencode({**({"q": self.q} if self.q else {}), **self.filters})

    @property
    def any(self) -> bool:
        return bool(self.q or self.filters)


def asked(declared: Register, given: QueryDict) -> Asked:
    """Read the address of a list; names that are none are left aside, wrong values are the query's to refuse."""
    names = {one.name for one in queries.filter_fields(declared)} | {f"{one.name}__{end}" for one in queries.filter_fields(declared) for end in queries.OPERATORS}
    names |= {"stale", "ended", "placed", "conflict"} - ({"stale"} if "verified_at" not in declared.columns else set())
    sort, page = given.get("sort", ""), given.get("page", "1")
    return Asked(
        q=_text(given.get("q", ""), 80), filters={name: _text(given[name], 80) for name in given if name in names and given[name].strip()},
        sort=sort if sort.lstrip("-") in declared.sorts else "", columns=given.getlist("col")[:60], page=max(1, int(page)) if page.isdigit() and len(page) < 8 else 1,
    )


def _text(value: str, length: int) -> str:
    return value[:length].replace("\x00", "").strip()


# --- cells ---------------------------------------------------------------------------------------------------------------


def names_of(fields: list[Field], rows: list[Any]) -> dict[UUID, str]:
    """The words behind the rows' references, in the reader's language; they came along with the rows."""
    return {
        other.pk: shell.localname(other) if one.kind != "ref" else values.label(other)
        for one in fields if one.kind in values.REFERENCES for row in rows if hasattr(other := getattr(row, one.name, None), "pk")
    }


def word(one: Field, value: Any, names: dict[UUID, str], *, unit: bool = False) -> str:
    """A value as it stands on a page: large numbers in groups, the unit only when asked."""
    if one.kind == "integer" and isinstance(value, int) and not isinstance(value, bool):
        text = f"{value:,}" if abs(value) >= 10_000 else str(value)
        return f"{text} {one.unit}" if unit and one.unit else text
    return values.shown(one if unit else replace(one, unit=""), value, names=names)


def covered(declared: Register, actor: Any, one: Field, row: Any, names: dict[UUID, str]) -> tuple[str, bool] | None:
    """(text, masked) of a cell; None when the reader may know nothing of it.

    Personal values are masked on every list and page, also for whoever may read them: they are shown one entry at a time,
    for a purpose that is kept; unless the declaration lets this reader see them open (`Personal.open`).
    """
    value = values.of(one, row)
    if one.personal and not declared.stands_open(actor, one, row):
        return values.mask(one.personal, value), not values.empty(value)
    if one.read and not one.personal and not access.may(actor, one.read, row.region_id, row.organisation_id):
        return None
    return word(one, value, names), False


# --- the list ---------------------------------------------------------------------------------------------------------------


def _options(actor: Any, declared: Register, one: Field) -> list[tuple[str, str]]:
    """What a filter offers. References that are too many to list are left to the search."""
    if one.codes or one.choices:
        return one.options()
    if one.kind == "bool":
        return [("1", _("yes")), ("0", _("no"))]
    if one.kind in values.REFERENCES:
        return forms.choices(actor, one, declared.read) or forms.choices(actor, one, declared.read, kinds=("province", "city", "county")) or []
    return []


def filters_of(declared: Register, actor: Any, wanted: Asked) -> list[dict[str, Any]]:
    """The selects above a list: one a filter field, and what every register has."""
    found: list[dict[str, Any]] = []
    for one in queries.filter_fields(declared):
        options = _options(actor, declared, one)
        if options and (len(options) > 1 or one.name in wanted.filters):
            found.append({"name": one.name, "label": one.title, "options": options, "value": wanted.filters.get(one.name, "")})
    if "verified_at" in declared.columns:
        options = [("yes", _("to be checked")), ("never", _("never checked")), ("no", _("checked in time"))]
        found.append({"name": "stale", "label": _("Last checked"), "options": options, "value": wanted.filters.get("stale", "")})
    if not declared.steps_only:
        found.append({"name": "ended", "label": _("In the register"), "options": [("yes", _("removed ones only")), ("all", _("removed ones too"))], "value": wanted.filters.get("ended", "")})
    for place, offered in enumerate(found):
        # A handful stands open; the rest folds away unless it narrows the list.
        offered["first"] = place < FIRST or offered["name"] == "stale"
    return found


def _chips_of(declared: Register, filters: list[dict[str, Any]], wanted: Asked, given: QueryDict) -> list[dict[str, str]]:
    """What narrows the list, each part with the link that takes it away."""
    known = {one["name"]: one for one in filters}

    def without(name: str) -> str:
        rest = given.copy()
        for gone in (name, "page"):
            rest.pop(gone, None)
        return f"?{rest.urlencode()}"

    found = [{"label": _("Search"), "value": wanted.q, "url": without("q")}] if wanted.q else []
    for name, value in wanted.filters.items():
        label, text = name, value
        base, _sep, operator = name.partition("__")
        if name in known:
            label = known[name]["label"]
            text = dict(known[name]["options"]).get(value, value)
        elif name in ("placed", "conflict"):
            label, text = {"placed": _("Position"), "conflict": _("To decide")}[name], _("yes") if value in values.YES else _("no")
        elif base in declared.by_name:
            label = declared.by_name[base].title
            text = {"gte": "≥ ", "lte": "≤ ", "gt": "> ", "lt": "< ", "not": "≠ "}.get(operator, "") + value
            if operator == "empty":
                text = _("empty") if value in values.YES else _("filled in")
        found.append({"label": str(label), "value": str(text), "url": without(name)})
    return found


def chips(declared: Register, actor: Any, wanted: Asked, given: QueryDict) -> list[dict[str, str]]:
    """What narrows the list, in words."""
    return _chips_of(declared, filters_of(declared, actor, wanted), wanted, given)


def view_links(actor: Any, declared: Register, given: QueryDict) -> list[dict[str, Any]]:
    """The saved views of this reader."""
    here = view_params(declared, given)
    return [
        {"id": view.pk, "name": view.name, "query": _view_query(view.params), "current": view.params == here, "shared": view.post is not None, "may_drop": view.owner == actor.account_id}
        for view in queries.saved_views(actor, declared)
    ]


def view_params(declared: Register, given: QueryDict) -> dict[str, Any]:
    """What of an address is kept in a view."""
    wanted = asked(declared, given)
    found = {"q": wanted.q, "filters": wanted.filters, "sort": wanted.sort, "columns": wanted.columns}
    return {name: value for name, value in found.items() if value}


def _view_query(params: dict[str, Any]) -> str:
    pairs = [*([("q", params["q"])] if params.get("q") else []), *(params.get("filters") or {}).items(), *([("sort", params["sort"])] if params.get("sort") else [])]
    return urlencode([*pairs, *(("col", name) for name in params.get("columns") or [])])


def count_words(declared: Register, count: int, estimated: bool) -> str:
    number = f"{count:,}"
    return _("{label}: about {n}").format(label=declared.label, n=number) if estimated else _("{label}: {n}").format(label=declared.label, n=number)


def freshness(actor: Any, declared: Register, count: int, *, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None) -> tuple[int, int, str]:
    """(checked in time, percent, words) of what a list holds; ("", 0) where nothing goes stale."""
    if declared.good_for is None or "verified_at" not in declared.columns or not count:
        return 0, 0, ""
    fresh, estimated = queries.count(actor, declared, realm=realm, q=q, filters={**(filters or {}), "stale": "no"})
    fresh = min(fresh, count)
    percent = round(100 * fresh / count)
    return fresh, percent, _("checked within {days} days: {percent} %").format(days=declared.good_for.days, percent=percent)


def lines_of(actor: Any, declared: Register, rows: list[Any], columns: list[Field], links: Links, *, may_write: bool, verified: bool) -> list[dict[str, Any]]:
    """The rows as the table shows them."""
    names = names_of(columns, rows)
    disputed = set(FieldConflict.objects.filter(register=declared.name, state=FieldConflict.OPEN, row__in=[row.pk for row in rows]).values_list("row", flat=True)) if rows else set()
    writes: dict[tuple[Any, Any], bool] = {}

    def may(row: Any) -> bool:
        where = (row.region_id, row.organisation_id)
        if where not in writes:
            writes[where] = may_write and access.may(actor, declared.write, *where)
        return writes[where]

    found = []
    for row in rows:
        cells: list[dict[str, Any]] = []
        for place, one in enumerate(columns):
            shown = covered(declared, actor, one, row, names)
            text, masked = shown or ("", False)
            cells.append({
                "text": text, "label": one.title, "unit": one.unit, "num": one.kind in ("integer", "decimal"), "head": place == 0,
                "dial": text if one.kind == "phone" and text and not masked else "",
            })
        if verified:
            cells.append({"verified": True, "label": _("Last checked")})
        found.append({
            "row": row, "title": cells[0]["text"] or str(row.pk)[-6:], "url": links.row(row), "edit_url": links.edit(row) if may(row) else "", "cells": cells, "ended": row.ended_at is not None,
            "stale": row.ended_at is None and queries.stale(declared, row), "verified": getattr(row, "verified_at", None), "disputed": row.pk in disputed,
        })
    return found


def columns_of(declared: Register, actor: Any, chosen: list[str]) -> list[Field]:
    """The title first, then what the reader chose, or the declared columns."""
    title = declared.by_name.get(declared.title) or Field(declared.title, label=declared.one).bind(declared.model)
    return [title, *(one for one in queries.columns(actor, declared, chosen) if one.name != declared.title and one.kind != "point")]


def _has_verified(declared: Register, chosen: list[str]) -> bool:
    return "verified_at" in declared.columns and (not chosen or "verified_at" in chosen)


def _heads(declared: Register, columns: list[Field], wanted: Asked, given: QueryDict, verified: bool) -> list[dict[str, Any]]:
    sort = wanted.sort or declared.order
    heads: list[dict[str, Any]] = [{"name": one.name, "label": one.title, "unit": one.unit, "num": one.kind in ("integer", "decimal")} for one in columns]
    if verified:
        heads.append({"name": "verified_at", "label": _("Last checked"), "unit": "", "num": False})
    for head in heads:
        name = head["name"]
        if name in declared.sorts:
            other = given.copy()
            other.pop("page", None)
            other["sort"] = f"-{name}" if sort == name else name
            head["sort_url"] = f"?{other.urlencode()}"
            head["sorted"] = "ascending" if sort == name else "descending" if sort == f"-{name}" else ""
    return heads


def frame(request: HttpRequest, declared: Register, links: Links, *, realm: Any = None) -> tuple[Asked, dict[str, Any]]:
    """What list, map and print have in common: what was asked, filters, chips, views, and what this person may."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, declared.read)
    wanted = asked(declared, request.GET)
    filters = filters_of(declared, actor, wanted)
    rest = urlencode([(name, value) for name, found in request.GET.lists() if name != "page" for value in found if value])
    here = request.realm.is_actual or realm is not None  # type: ignore[attr-defined]
    return wanted, {
        "reg": declared, "links": links.at, "q": wanted.q, "filters": filters, "chips": _chips_of(declared, filters, wanted, request.GET), "filter_query": wanted.filter_query,
        "filtered": wanted.any, "shared_query": f"?{rest}" if rest else "", "views": view_links(actor, declared, request.GET),
        "carried_filters": [(name, value) for name in ("sort", "placed", "conflict") if (value := request.GET.get(name))] + [("col", name) for name in wanted.columns]
        + [(name, value) for name, value in wanted.filters.items() if "__" in name],
        "more_filters_open": any(one["value"] for one in filters if not one["first"]),
        "search_label": _("Search: {fields}").format(fields=shell.together(one.title for one in declared.all if one.search or one.name == declared.title)[:60]),
        "may_write": here and not declared.steps_only and access.may(actor, declared.capability("write")),
        "may_verify": here and not declared.steps_only and "verified_at" in declared.columns and access.may(actor, declared.capability("verify")),
        "may_remove": here and not declared.steps_only and access.may(actor, declared.capability("remove")),
    }


def listing(request: HttpRequest, declared: Register, links: Links, *, realm: Any = None, extra: dict[str, Any] | None = None, template: str = "registers/list.html") -> Any:
    """The list page, or its inside when htmx asks. `realm` for rows that lie in one; `extra` goes into the page."""
    actor = request.actor  # type: ignore[attr-defined]
    wanted, context = frame(request, declared, links, realm=realm)
    page = queries.listed(actor, declared, realm=realm, q=wanted.q, filters=wanted.filters, sort=wanted.sort, page=wanted.page, size=PAGE)
    columns, verified = columns_of(declared, actor, wanted.columns), _has_verified(declared, wanted.columns)
    queries.note_open(actor, declared, page.rows, columns, "list", address(request))
    reachable = min(page.count, queries.REACHABLE)
    _fresh, _percent, fresh_words = freshness(actor, declared, page.count, realm=realm, q=wanted.q, filters=wanted.filters) if "stale" not in wanted.filters and "ended" not in wanted.filters else (0, 0, "")
    context |= {
        "lines": lines_of(actor, declared, page.rows, columns, links, may_write=context["may_write"], verified=verified), "columns": _heads(declared, columns, wanted, request.GET, verified),
        "count": page.count, "count_words": count_words(declared, page.count, page.estimated), "fresh_words": fresh_words,
        "page": {
            "number": page.page, "pages": max(1, -(-reachable // PAGE)), "has_other_pages": page.count > PAGE, "has_previous": page.page > 1, "previous": page.page - 1, "has_next": page.more,
            "next": page.page + 1,
        },
        "choosable": bool(links.at.get("chosen")), "views_may_save": bool(links.at.get("views")),
        "empty_words": _("Nothing is entered yet. Enter the first by hand, or import a spreadsheet: an empty one with the right head row can be had under More.") if context["may_write"]
        else _("Nothing is entered yet for your region."),
    } | (extra or {})
    if getattr(request, "htmx", False) and not request.htmx.boosted:  # type: ignore[attr-defined]
        return render(request, "registers/_found.html", {**context, "oob": True, "target": links.at["list"]})
    shown = {one["name"] for one in context["columns"]}
    every = [one for one in queries.columns(actor, declared, list(declared.by_name)) if one.name != declared.title and one.kind not in ("point", "longtext")]
    context["all_columns"] = [{"name": one.name, "label": one.title, "on": one.name in shown} for one in every]
    if "verified_at" in declared.columns:
        context["all_columns"].append({"name": "verified_at", "label": _("Last checked"), "on": verified})
    context["carried"] = [(name, value) for name, found in request.GET.lists() if name not in ("col", "page") for value in found if value]
    return render(request, template, context)


# --- the map -------------------------------------------------------------------------------------------------------------


def bounds(actor: Any, capability: str) -> list[float] | None:
    """west, south, east, north of where the reader's right reaches; None: unknown."""
    reach = access.regions(actor, capability)
    rows = Region.objects.filter(west__isnull=False, valid_to=None)
    boxes = list((rows if reach is access.ALL else rows.filter(pk__in=reach)).values_list("west", "south", "east", "north")[:5000])
    if not boxes:
        return None
    west, south, east, north = (list(side) for side in zip(*boxes, strict=True))
    return [min(west), min(south), max(east), max(north)]


def map_page(request: HttpRequest, declared: Register, links: Links, *, realm: Any = None, extra: dict[str, Any] | None = None) -> Any:
    """The map tab: the same search and filters, the rows as points and groups."""
    actor = request.actor  # type: ignore[attr-defined]
    wanted, context = frame(request, declared, links, realm=realm)
    count, estimated = queries.count(actor, declared, realm=realm, q=wanted.q, filters=wanted.filters)
    lost, more = queries.count(actor, declared, realm=realm, q=wanted.q, filters={**wanted.filters, "placed": "no"}) if "placed" not in wanted.filters else (0, False)
    context |= {
        "count_words": count_words(declared, count, estimated), "fresh_words": freshness(actor, declared, count, realm=realm, q=wanted.q, filters=wanted.filters)[2] if "stale" not in wanted.filters else "",
        "without_position": (_("{n} without a position") if not more else _("more than {n} without a position")).format(n=f"{min(lost, queries.EXACT_UP_TO):,}") if lost else "",
        "without_position_query": urlencode({**({"q": wanted.q} if wanted.q else {}), **wanted.filters, "placed": "no"}),
    } | (extra or {})
    inside = getattr(request, "htmx", False) and not request.htmx.boosted  # type: ignore[attr-defined]
    return render(request, "registers/_map.html" if inside else "registers/map.html", {**context, "oob": inside, "target": links.at["map"]})


def map_config(request: HttpRequest, declared: Register, *, points: str, realm: Any = None) -> dict[str, Any]:
    """What the map needs: the quiet ground, and the rows as a layer asked for window by window at `points`."""
    query = asked(declared, request.GET).filter_query
    ground = [{"id": name, "label": label, "kind": kind, "url": reverse("web:map_layer", args=[name])} for name, label, kind in (("regions", _("Boundaries"), "area"), ("rivers", _("Rivers"), "line"))]
    return {"bbox": bounds(request.actor, declared.read), "layers": [*ground, {"id": "rows", "label": str(declared.label), "kind": "point", "tiles": f"{points}?{query}" if query else points}]}  # type: ignore[attr-defined]


def map_points(request: HttpRequest, declared: Register, links: Links, *, realm: Any = None) -> dict[str, Any]:
    """The rows of a window as GeoJSON: n (how many), state (fresh, mixed, stale), name, url, text."""
    wanted = asked(declared, request.GET)
    zoom = request.GET.get("zoom", "8")
    found = queries.clusters(
        request.actor, declared, realm=realm, bbox=request.GET.get("bbox", ""), zoom=float(zoom) if zoom.replace(".", "", 1).isdigit() else 8.0, q=wanted.q, filters=wanted.filters  # type: ignore[attr-defined]
    )
    features = []
    for one in found["clusters"]:
        stale = one.get("stale")
        state = "mixed" if stale is None else "fresh" if not stale else "stale" if stale == one["count"] else "mixed"
        features.append(_feature(one, {"n": one["count"], "label": _short(one["count"]), "state": state, "name": _("{n} here").format(n=f"{one['count']:,}"), "text": _("{n} to be checked").format(n=f"{stale:,}") if stale else ""}))
    for one in found["points"]:
        row = _Key(UUID(one["id"]))
        text = " · ".join(filter(None, (one["note"], _("to be checked") if one["stale"] else "")))
        features.append(_feature(one, {"n": 1, "label": "", "state": "stale" if one["stale"] else "fresh", "name": one["title"], "text": text, "url": links.row(row)}))
    return {"type": "FeatureCollection", "total": found["total"], "features": features}


@dataclass(frozen=True)
class _Key:
    """Enough of a row to make its address."""

    pk: UUID


def _feature(at: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [at["lon"], at["lat"]]}, "properties": properties}


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.1f}k" if count < 10_000 else f"{count // 1000}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"
