"""Pages of a plan's life: the matrix with its gaps, laws that changed, cards for the pocket, the contact tree."""
from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from anlan.engines.conditions import lint as engine
from anlan.kernel import access
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.ids import new_id
from anlan.kernel.models import Region, WorkItem

from . import compute, lives
from .models import Match, PlanBinding, PlanVersion
from .vocabulary import in_words
from .words import finding_words, trigger_words


def matrix(request: HttpRequest) -> HttpResponse:
    """Which kinds of plans a place and those inside it have; what is missing, run out, or too long under revision."""
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    asked = request.GET.get("region", "")
    regions = list(Region.objects.filter(kind__in=("province", "city", "county")).defer("area_wkb").order_by("kind", "name")[:500])
    region = next((row for row in regions if str(row.pk) == asked), None) or next((row for row in regions if row.kind == "city"), regions[0] if regions else None)
    found = lives.matrix(request.realm, region)  # type: ignore[attr-defined]
    for row in found["rows"]:
        for cell in row["cells"]:
            words = cell["words"]
            cell["words"] = _(words) if words else ""
    return render(request, "plans/matrix.html", {"region": region, "regions": regions, **found, "may": access.may(request.actor, "plans.manage") and request.realm.is_actual})  # type: ignore[attr-defined]


def laws(request: HttpRequest) -> HttpResponse:
    """Which plans name a law or standard that has changed; open the revision of all of them."""
    access.require(request.actor, "plans.manage")  # type: ignore[attr-defined]
    law = (request.POST if request.method == "POST" else request.GET).get("law", "").replace("\x00", "")[:120]
    if request.method == "POST":
        count = lives.law_changed(request.act(expected_version=None), law=law, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
        messages.success(request, _("The revision of {n} plans in force was opened.").format(n=count))
        return redirect("plans:matrix")
    return render(request, "plans/laws.html", {"law": law, "plans": lives.citing(law) if law.strip() else [], "named": lives.named_laws(), "op_id": new_id()})


def lint(request: HttpRequest, key: UUID) -> HttpResponse:
    """What a version would do before the day: faults, what each warning sets off, its own table tests, and what neither they nor anything in this realm ever touched."""
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]
    version = PlanVersion.objects.select_related("plan").filter(pk=key).first()
    if version is None:
        raise NOT_FOUND(kind=_("version"), key=key)
    file = compute.plan_file(version)
    found = sorted(engine.findings(file), key=lambda one: one.weight != "fault")
    tests, coverage = engine.run_tests(file)
    told = coverage.as_json(file)
    context = {
        "version": version, "title": in_words(file.title), "findings": [{"row": one, "words": finding_words(one)} for one in found], "faults": sum(one.weight == "fault" for one in found),
        "triggers": [trigger_words(row | {"levels": [in_words(file.level(code).label) or code for code in row["levels"]]}) for row in engine.triggers(file) if row["met"]], "tests": tests, "passed": sum(row["passed"] for row in tests), "coverage": told,
    }
    lived = set(Match.objects.of(request.realm).filter(condition__version_of=version, verdict="met").values_list("condition__key", flat=True))  # type: ignore[attr-defined]
    context["never"] = [name for name in told["never_met"] if name not in lived]
    return render(request, "plans/lint.html", context)


def _binding(request: HttpRequest, key: UUID) -> PlanBinding:
    row = PlanBinding.objects.filter(pk=key).select_related("plan", "version_of", "region", "default_post__superior").first()
    if row is None:
        raise NOT_FOUND(kind=_("adopted plan"), key=key)
    access.require(request.actor, "plans.read", region=row.region_id)  # type: ignore[attr-defined]
    return row


def cards(request: HttpRequest, key: UUID) -> HttpResponse:
    """What each post does at each level, on cards of pocket size, to be printed."""
    row = _binding(request, key)
    role = request.GET.get("role", "")
    found = [card for card in lives.cards(row) if not role or card["role"] == role]
    return render(request, "plans/cards.html", {"binding": row, "title": in_words(compute.plan_file(row.version_of).title), "cards": found, "one": role})


def contacts(request: HttpRequest, key: UUID) -> HttpResponse:
    """Who would be reached now, and a test of it. A post that was asked answers here."""
    row = PlanBinding.objects.filter(pk=key).select_related("plan", "version_of", "region", "default_post__superior").first()
    if row is None:
        raise NOT_FOUND(kind=_("adopted plan"), key=key)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    waits = WorkItem.plain.filter(realm_id=realm.pk, kind="plans.contact_test", subject=f"binding:{row.pk}", state=WorkItem.OPEN, post_id__in=access.posts(actor)).exists()
    if not waits:
        access.require(actor, "plans.read", region=row.region_id)
    if request.method == "POST":
        if "answer" in request.POST:
            lives.answer_test(request.act(expected_version=None), binding=row.pk)  # type: ignore[attr-defined]
            messages.success(request, _("Noted: you are reached."))
        else:
            count = lives.test_contacts(request.act(expected_version=None), binding=row.pk)  # type: ignore[attr-defined]
            messages.success(request, _("{n} posts were asked to answer within 30 minutes.").format(n=count))
        return redirect("plans:contacts", key)
    rows = lives.tree(row, realm)
    context = {
        "binding": row, "rows": rows, "waits": waits, "faults": sum(bool(entry["faults"]) for entry in rows), "silent": sum(entry["silent"] for entry in rows), "may": access.may(actor, "plans.adopt", row.region_id), "op_id": new_id(),
    }
    return render(request, "plans/contacts.html", context)
