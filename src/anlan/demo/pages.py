"""The demonstration's pages: backtests of thresholds on documented events, run in the background and kept."""
from __future__ import annotations

import csv
import io
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import get_language
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from anlan.kernel import access, shell
from anlan.kernel.models import Person
from anlan.sensing.models import RuleSet
from anlan.warning.models import COLOURS

from . import actions, backtest, records
from .errors import BAD_BACKTEST
from .models import Backtest

app_name = "demo"
PAGE = 20


def _packs() -> list[dict[str, Any]]:
    """What can be chosen: each event with its series, their own thresholds, and how many incidents have an hour."""
    found = []
    for name in records.known():
        record, language = records.load(name), "zh" if (get_language() or "zh").startswith("zh") else "en"
        named = record.about.get("backtest", {})
        found.append({
            "code": name, "name": record.about["name"][language], "incidents": sum(row.kind == "incident" and row.has_hour and row.id in named.get("impacts", [row.id]) for row in record.rows),
            "stations": [
                {**station, "quantity_name": shell.VALUE_WORDS["quantity"](station["quantity"]), "unit_name": station["unit"].replace("m3", "m³"), "words": station["name" if language == "zh" else "name_en"], "set": [(colour, station["thresholds"][colour]) for colour, _label in COLOURS if colour in station["thresholds"]]}
                for station in record.about.get("stations", [])
            ],
        })
    return found


@require_http_methods(["GET", "POST"])
def backtests(request: HttpRequest) -> HttpResponse:
    """Choose events and thresholds; the backtests kept, newest first."""
    access.require(request.actor, "warning.read")  # type: ignore[attr-defined]
    if request.method == "POST":
        data = request.POST
        try:
            sets = [UUID(key) for key in data.getlist("sets")] if data.get("rules") == "sets" else []
            own = {code: float(value) for code, _label in COLOURS if code and data.get("rules") == "own" and (value := data.get(code, "").strip())}
            horizon = float(data.get("horizon_h", ""))
        except ValueError:
            raise BAD_BACKTEST() from None
        if (data.get("rules") == "own" and not own) or (data.get("rules") == "sets" and not sets):
            raise BAD_BACKTEST()
        row = actions.ask_backtest(request.act(), events=data.getlist("events"), own=own, sets=sets, horizon_h=horizon)  # type: ignore[attr-defined]
        return HttpResponseRedirect(reverse("demo:backtest", args=[row.pk]))
    rows = Backtest.objects.seen_by(request.actor, request.realm).defer("answer").order_by("-at")  # type: ignore[attr-defined]
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    packs, versions = _packs(), list(RuleSet.objects.order_by("name", "-in_force", "-created_at"))
    told = {str(one.pk): str(one) for one in versions}
    names, people = {one["code"]: one["name"] for one in packs}, dict(Person.objects.filter(pk__in=[row.asked_by for row in page]).values_list("pk", "name"))
    for row in page:
        row.names, row.person = [names.get(event, event) for event in row.events], people.get(row.asked_by, "")
        row.set_names = [told.get(key, key) for key in row.sets]
    return render(request, "demo/backtests.html", {
        "packs": packs, "page": page, "versions": versions, "chinese": (get_language() or "zh").startswith("zh"), "colours": [pair for pair in COLOURS if pair[0]], "may_ask": access.may(request.actor, "warning.compose"),  # type: ignore[attr-defined]
    })


def _row(request: HttpRequest, key: UUID) -> Backtest:
    row = Backtest.objects.seen_by(request.actor, request.realm).filter(pk=key).first()  # type: ignore[attr-defined]
    if row is None:
        raise Http404
    return row


@require_GET
def one(request: HttpRequest, key: UUID) -> HttpResponse:
    """How far it is, then its answer: on the page, as paper, as JSON, as a sheet."""
    row = _row(request, key)
    form = request.GET.get("as", "")
    answers = [backtest.worded(answer) for answer in row.answer]
    if row.state == Backtest.DONE and form == "json":
        reply: HttpResponse = JsonResponse(answers, safe=False, json_dumps_params={"ensure_ascii": False, "indent": 1})
    elif row.state == Backtest.DONE and form == "csv":
        text = io.StringIO()
        csv.writer(text).writerows(backtest.rows(answers))
        reply = HttpResponse("\ufeff" + text.getvalue(), content_type="text/csv; charset=utf-8")
    else:
        person = Person.objects.filter(pk=row.asked_by).first()
        return render(request, "demo/backtest_page.html", {
            "layout": "shell/print.html" if form == "print" else "shell/base.html", "paper": form == "print", "row": row, "answers": backtest.drawn(answers), "ratios": backtest.RATIOS,
            "running": row.state in (Backtest.WAITING, Backtest.RUNNING), "person": person.name if person else "", "may_ask": access.may(request.actor, "warning.compose"),  # type: ignore[attr-defined]
            "axis_x": backtest.AXIS_X, "axis_y": backtest.AXIS_Y, "names": [pack["name"] for pack in _packs() if pack["code"] in row.events], "at": request.path,
        })
    reply["Content-Disposition"] = f'attachment; filename="backtest-{row.at:%Y%m%d-%H%M}.{form}"'
    return reply


@require_POST
def stop(request: HttpRequest, key: UUID) -> HttpResponse:
    """Stop one that waits or runs."""
    _row(request, key)
    actions.stop_backtest(request.act(), backtest=key)  # type: ignore[attr-defined]
    return HttpResponseRedirect(reverse("demo:backtest", args=[key]))


urlpatterns = [
    path("backtests", backtests, name="backtests"),
    path("backtests/<uuid:key>", one, name="backtest"),
    path("backtests/<uuid:key>/stop", stop, name="backtest_stop"),
]
