"""Pages that find plans: which apply, clauses by words, questions answered with clauses."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _

from anlan.kernel import access, codes
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.models import Region

from . import compute, finding
from .models import ActionItem, Clause
from .vocabulary import in_words
from .words import reason_words, unmatched_words, until_words

LEVELS = ("I", "II", "III", "IV")
KINDS = ("province", "city", "county", "town")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _asked(request: HttpRequest) -> dict[str, Any]:
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    given = {name: request.GET.get(name, "").replace("\x00", "")[:200] for name in ("q", "hazard", "level", "region", "colour", "plan")}
    region = _uuid(given["region"]) if given["region"] else None
    rows = list(Region.objects.filter(kind__in=KINDS).defer("area_wkb").order_by("name")[:500])
    if region and all(row.pk != region for row in rows):
        rows += Region.objects.filter(pk=region).defer("area_wkb")
    return given | {"region": given["region"] if region else "", "key": region, "regions": rows, "levels": LEVELS}


def find(request: HttpRequest) -> HttpResponse:
    """One box: words give clauses, a question gives the actions that answer it; what was not found is named."""
    asked = _asked(request)
    context = asked | {"hazards": codes.choices("plan_hazard"), "found": {"rows": []}, "answers": [], "unmatched": [], "understood": [], "later": 0}
    if asked["q"].strip():
        narrow = {"plan": asked["plan"], "region": asked["key"], "hazard": asked["hazard"], "level": asked["level"]}
        told = finding.ask(asked["q"], **narrow)
        question = told["asked"]
        is_question = bool(question.units or (question.level and not asked["level"]) or question.within_min is not None)
        if is_question:
            context |= {"answers": [answer_row(row) for row in told["answers"]], "answer_count": told["count"], "later": told["later"], "unmatched": [unmatched_words(row) for row in told["unmatched"]], "understood": _understood(question)}
        if not is_question or question.words:
            text = question.words if is_question else asked["q"]
            found = finding.clauses(text, **narrow)
            for row in found["rows"]:
                row.shown = in_words(row.text)
            context["found"] = found
    return render(request, "plans/find.html", context)


def answer_row(row: dict[str, Any]) -> dict[str, Any]:
    item: ActionItem = row["item"]
    zh, _dot, en = row["unit"].partition(" · ")
    return row | {"words": in_words(item.text), "who": in_words({"zh": zh, "en": en or zh}), "until": until_words(item, row["timing"])}


def _understood(question: finding.Question) -> list[tuple[str, str]]:
    told = []
    if question.units:
        told.append((_("Unit"), question.units[0]))
    if question.level:
        told.append((_("Level"), question.level))
    if question.within_min is not None:
        told.append((_("Within"), _("{n} min").format(n=question.within_min) if question.within_min else _("at once")))
    if question.hazard:
        told.append((_("Kind of plan"), codes.name("plan_hazard", question.hazard)))
    if question.words:
        told.append((_("Words"), question.words))
    return told


def match(request: HttpRequest) -> HttpResponse:
    """The plans that apply to what happens, where, at which level or under which warning; in order, with reasons."""
    asked = _asked(request)
    context = asked | {"hazards": codes.choices("hazard"), "colours": codes.choices("warning_colour"), "rows": [], "unmatched": [], "asked": bool(asked["hazard"] or asked["key"])}
    if context["asked"]:
        counties = request.GET.get("counties", "1")
        told = finding.match(request.realm, hazard=asked["hazard"], region=asked["key"], colour=asked["colour"], level=asked["level"], counties=int(counties) if counties.isdecimal() else 1)  # type: ignore[attr-defined]
        context["rows"] = [
            {"found": row, "why": reason_words(row), "sets_off": "、".join(row.triggers[0]["levels"]) if row.triggers and row.triggers[0]["levels"] else (_("nothing") if asked["colour"] and row.binding else "")}
            for row in told["plans"][:200]
        ]
        context["unmatched"] = [unmatched_words(row) for row in told["unmatched"]]
    return render(request, "plans/match.html", context)


def clause(request: HttpRequest, key: UUID) -> HttpResponse:
    """A clause: its words, the conditions and actions that stand on it."""
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    row = Clause.objects.select_related("version_of__plan").filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("clause"), key=key)
    posts = compute.plan_file(row.version_of).posts
    items = [
        {"row": item, "words": in_words(item.text), "who": in_words(posts.get(item.role)), "until": until_words(item)}
        for item in row.version_of.actionitems.filter(clause=row).select_related("level")
    ]
    context = {"row": row, "title": in_words(row.title), "text": in_words(row.text), "items": items, "conditions": row.version_of.conditions.filter(clause=row).select_related("level")}
    return render(request, "plans/clause.html", context)


def action(request: HttpRequest, key: UUID) -> HttpResponse:
    """An action goes to its clause."""
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    row = ActionItem.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("action"), key=key)
    return redirect(f"{reverse('plans:clause', args=[row.clause_id])}#a-{row.key}")
