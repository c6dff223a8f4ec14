"""Opening many cases from a sheet (台账导入): every row is the form of the opening step; all of them are opened, or none.

Headers, dates, digits, codes and names are read as for registers. The same sheet again opens nothing new.
"""
from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import access
from ..actions import Act, action
from ..errors import INVALID, Kind, Problem
from ..ids import derived_id
from ..models import Operation
from ..registers import exporting, importing, reading
from ..registers.declare import Register
from ..registers.values import empty, plain
from . import actions, values
from .declare import Loop, get

MOST = 2000
TOO_MANY = Kind("kernel.loop_too_many_rows", 422, gettext_lazy("{count} rows are too many for one sheet of cases; send at most {limit}."))
NEEDS_EVIDENCE = Kind("kernel.loop_needs_evidence", 409, gettext_lazy("{loop}: each case begins with photographs or files, so cases cannot be opened from a sheet."))


def form(declared: Loop) -> Register:
    """The opening form as the spreadsheet reader knows forms; unit, region and position by the words every register knows them by."""
    return replace(declared.register, fields=tuple(field for field in declared.form_of(declared.open) if field.name not in ("organisation", "region", "point")), key=())


def judge(act: Act, declared: Loop, sheet: reading.Sheet) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(rows [{row, values}], wrong cells [{row, field, why}]) of a sheet; nothing is written."""
    if declared.open.evidence.photos or declared.open.evidence.files:
        raise NEEDS_EVIDENCE(loop=declared.label)
    asked = {field.name for field in declared.form_of(declared.open)}
    mapping = importing.propose(form(declared), sheet)
    names = {at: name for name, at in mapping.columns.items() if name in asked or name.startswith("point.")}
    rows, refused = [], []
    for number, cells in enumerate(sheet.rows[mapping.header + 1 :], mapping.header + 2):
        given = {name: cells[at] for at, name in names.items() if at < len(cells) and not empty(cells[at])}
        if not given or str(next(iter(given.values()))).startswith("#"):
            continue
        refused += [{"row": number, "field": names[at], "why": why} for (line, at), why in sheet.broken.items() if line == number - 1 and at in names]
        point = [given.pop(f"point.{part}", None) for part in ("lon", "lat")]
        if all(one is not None for one in point):
            given["point"] = point
        row = declared.model(realm_id=act.realm.pk, loop=declared.name)
        try:
            taken = values.clean(declared, declared.open, row, given)
            values.put(declared, declared.open, row, taken)
            if not access.may(act.actor, declared.open.may, row.region_id, row.organisation_id):
                raise INVALID([{"field": "region", "why": _("your post may not do this there")}])
        except Problem as problem:
            refused += [{"row": number, "field": fault["field"], "why": fault["why"]} for fault in problem.fields]
            continue
        rows.append({"row": number, "values": {name: plain(value) for name, value in taken.items()}})
    if len(rows) > MOST:
        raise TOO_MANY(count=len(rows), limit=MOST)
    return rows, refused


def run(actor: Any, realm: Any, declared: Loop, sheet: reading.Sheet, *, preview: bool = False) -> dict[str, Any]:
    """Open a case for every row, or none. {"read", "written", "refused": [{row, field, why}], "seconds"}. `preview`: only judge them."""
    access.require(actor, declared.open.may)
    begun = time.perf_counter()
    act = Act(actor, realm, op_id=derived_id("loop.import", realm.pk, declared.name, actor.account_id, sheet.sha256))
    rows, refused = judge(act, declared, sheet)
    again = Operation.objects.filter(op_id=act.op_id).exists()
    written = 0 if preview or refused or again or not rows else open_all(act, loop=declared.name, rows=rows)
    return {"read": len(rows) + len({one["row"] for one in refused}), "written": written, "refused": refused, "seconds": round(time.perf_counter() - begun, 2)}


@action("loop.import")
def open_all(act: Act, *, loop: str, rows: list) -> int:
    """Open a case for each row [{row, values}]; returns how many."""
    declared = get(loop)
    for row in rows:
        actions._open(act.child(step=f"row {row['row']}"), declared, row["values"], [], None, "")
    return len(rows)


def page(request: HttpRequest, name: str) -> HttpResponse:
    """Send a sheet: look it over, or open the cases. With ?template, the empty sheet with every code explained."""
    declared = get(name)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, declared.open.may)
    if "template" in request.GET:
        return exporting.answer(exporting.template(form(declared), actor), f"{declared.label}.xlsx")
    context: dict[str, Any] = {"loop": declared, "limit": MOST}
    if request.method == "POST" and "file" in request.FILES:
        sheet = reading.received(request.FILES["file"])
        if "look" in request.POST:
            rows, refused = judge(request.act(), declared, sheet)  # type: ignore[attr-defined]
            context |= {"looked": True, "good": len(rows), "refused": refused}
        else:
            done = run(actor, realm, declared, sheet)
            context |= {"done": done, "good": done["written"], "refused": done["refused"]}
            if not done["refused"]:
                messages.success(request, _("{n} cases are opened.").format(n=done["written"]))
                return redirect(reverse("kernel:loop_list", args=[name]))
    titles = {field.name: field.title for field in declared.form_of(declared.open)}
    for fault in context.get("refused", []):
        fault["title"] = titles.get(fault["field"], fault["field"])
    return render(request, "loops/import.html", context, status=422 if context.get("refused") else 200)
