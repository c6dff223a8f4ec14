"""The two dynamic lists; board, case, statistics, ledger and forms are the loop's."""
from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils.translation import gettext as _

from anlan.kernel import access, access_log, clock, codes, sheets
from anlan.kernel.loops import get
from anlan.kernel.middleware import address
from anlan.kernel.registers import Personal
from anlan.kernel.registers.pages import watermark
from anlan.kernel.registers.values import mask

from . import queries
from .models import Danger

NAME = Personal(mask="name")


def _lines(rows: Any, open_name: bool) -> list[dict[str, Any]]:
    """A list's lines in words; `open_name`: say who is responsible unmasked, on a sheet that is logged."""
    declared, today = get(queries.LOOP), clock.local(clock.now()).date()
    return [
        {
            "row": row, "kind": codes.name("danger_kind", row.kind), "source": codes.name("danger_source", row.source), "grade": codes.name("danger_grade", row.grade) if row.grade else "",
            "state": declared.state_label(row.state), "late": bool(row.rectify_by and row.state == "rectifying" and row.rectify_by < today),
            "responsible": row.responsible if open_name else mask(NAME, row.responsible),
        }
        for row in rows
    ]


def lists(request: HttpRequest) -> HttpResponse:
    """Problems (问题隐患清单) and measures (制度措施清单) as they stand now; with ?xlsx=problems|measures as a spreadsheet."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, Danger.SCOPE)
    which = request.GET.get("xlsx", "")
    open_name = bool(which) and access.may(actor, "inspection.handle")
    problems, measures = (_lines(found[:2000], open_name) for found in (queries.problems(actor, realm), queries.measures(actor, realm)))
    if which in ("problems", "measures"):
        return _sheet(request, which, problems if which == "problems" else measures)
    return render(request, "inspection/lists.html", {"problems": problems, "measures": measures, "watermark": watermark(request)})


def _sheet(request: HttpRequest, which: str, lines: list[dict[str, Any]]) -> HttpResponse:
    def day(value: Any) -> str:
        return value.isoformat() if value else ""

    if which == "problems":
        title = _("List of problems")
        head = [_("Case number"), _("Hidden danger"), _("Source"), _("Grade"), _("Kind"), _("Premises"), _("Unit"), _("Region"), _("Found on"), _("State"), _("To be put right by")]
        rows = [
            [r.number, r.title, one["source"], one["grade"], one["kind"], r.premises, str(r.organisation or ""), str(r.region or ""), day(r.found_on), one["state"], day(r.rectify_by)]
            for one in lines if (r := one["row"])
        ]
    else:
        title = _("List of measures")
        head = [_("Case number"), _("Hidden danger"), _("Measures taken"), _("Unit"), _("Responsible person"), _("Funds"), _("To be put right by"), _("Precautions until then"), _("State")]
        rows = [
            [r.number, r.title, r.measures, str(r.organisation or ""), one["responsible"], r.funds_yuan, day(r.rectify_by), r.precautions, one["state"]]
            for one in lines if (r := one["row"])
        ]
    access_log.note(request.actor, "export", "danger", fields=["responsible"], count=len(rows), address=address(request))  # type: ignore[attr-defined]
    content = sheets.write(title, head, rows, watermark=watermark(request))
    response = HttpResponse(content, content_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
    response["Content-Disposition"] = f'attachment; filename="{which}.xlsx"'
    return response


app_name = "inspection"
urlpatterns = [path("lists", lists, name="lists")]
