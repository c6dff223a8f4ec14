"""Pages of drills: the year's plan and what was never drilled, a new one, its script, an observer's scores, a message to a player, the evaluation on paper."""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import yaml
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from anlan.kernel import access, clock, realms
from anlan.kernel.errors import FORBIDDEN, NOT_FOUND
from anlan.kernel.forms import attempt
from anlan.kernel.ids import new_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Post
from anlan.kernel.shell import localname, person_name, post_name, post_words
from anlan.plans.models import Plan
from anlan.plans.vocabulary import in_words

from . import drills
from .forms import regions_of
from .loops import DRILL
from .models import Drill, DrillReport, Inject
from .words import step_words

EXAMPLE = """# {parts}
plan_key: {plan}
begins_at: 2026-06-20T09:00+08:00
rate: 1          # exercise seconds per second
note: ""
parts:
  controller: []
  player: []
  observer: []
injects:
  - {{after_min: 0, kind: message, to: "", text: "", answer_min: 10}}
expects:
  - {{level: IV, by_min: 60}}
criteria:
  - {{code: c1, text: "", weight: 1}}
"""


class DrillForm(forms.Form):
    """A line of the year's drill plan."""

    title = forms.CharField(label=gettext_lazy("Matter"), max_length=200)
    region = forms.ChoiceField(label=gettext_lazy("Region"))
    year = forms.IntegerField(label=gettext_lazy("Year"), min_value=2000, max_value=2100)
    form = forms.ChoiceField(label=gettext_lazy("Form of drill"), choices=Drill.FORMS)
    breadth = forms.ChoiceField(label=gettext_lazy("Breadth"), choices=Drill.BREADTHS)
    month = forms.IntegerField(label=gettext_lazy("Month"), min_value=1, max_value=12, required=False, help_text=gettext_lazy("Empty for a double-blind drill: only its script says when."))
    plan_key = forms.ChoiceField(label=gettext_lazy("Plan"), required=False, help_text=gettext_lazy("Empty for a double-blind drill: only its script says which."))


class ScriptForm(forms.Form):
    """A script as text; only controllers come to this page."""

    script = forms.CharField(label=gettext_lazy("Script (YAML)"), widget=forms.Textarea(attrs={"rows": 28, "spellcheck": "false", "class": "mono"}))

    def clean_script(self) -> dict[str, Any]:
        try:
            given = yaml.safe_load(self.cleaned_data["script"])
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise forms.ValidationError(_("Line {line}: {why}").format(line=mark.line + 1 if mark else "?", why=getattr(error, "problem", "YAML"))) from None
        if not isinstance(given, dict):
            raise forms.ValidationError(_("The script is a table of names and values."))
        return given


def _actual(request: HttpRequest, **extra: Any) -> Any:
    """The act of this request in actual operations: a drill is planned, scored and evaluated there, also by who stands in its exercise."""
    act = request.act(**extra)  # type: ignore[attr-defined]
    act.realm = realms.actual()
    return act


def drill_list(request: HttpRequest) -> HttpResponse:
    """The drills of a year, and what of the adopted plans no drill has touched."""
    actor, realm = request.actor, realms.actual()  # type: ignore[attr-defined]
    access.require(actor, "command.read")
    this = clock.local(clock.now(realm)).year
    asked = request.GET.get("year", "")
    year = int(asked) if asked.isdecimal() and 2000 <= int(asked) <= 2100 else this
    rows = [{"row": row, "state": DRILL.state_label(row.state), "plan": drills.plan_title(row.plan_key) if row.plan_key else ""} for row in drills.year_plan(actor, realm, year)]
    reports = dict(DrillReport.objects.of(realm).filter(drill__in=[entry["row"].pk for entry in rows]).values_list("drill_id", "body"))
    for entry in rows:
        entry["total"] = (reports.get(entry["row"].pk) or {}).get("total")
        entry["report"] = entry["row"].pk in reports
    never = drills.never_drilled(realm)
    chosen = request.GET.get("plan", "")
    for entry in never:
        entry["open"] = entry["binding"].plan.key == chosen
        entry["items"] = [{"clause": item.clause.key, "level": item.level.key, "words": in_words(item.text)} for item in entry["actions"]] if entry["open"] else []
    return render(request, "command/drills.html", {"rows": rows, "year": year, "years": range(this - 2, this + 2), "never": never, "may": access.may(actor, "command.drill")})


def drill_new(request: HttpRequest) -> HttpResponse:
    actor, realm = request.actor, realms.actual()  # type: ignore[attr-defined]
    access.require(actor, "command.drill")
    form = DrillForm(request.POST or None, initial={"year": clock.local(clock.now(realm)).year})
    form.fields["region"].choices = [(str(row.pk), localname(row)) for row in regions_of(actor, "command.drill")]  # type: ignore[attr-defined]
    form.fields["plan_key"].choices = [("", "—"), *((plan.key, localname(plan)) for plan in Plan.objects.order_by("title_zh")[:2000])]  # type: ignore[attr-defined]
    if request.method == "POST":
        done, row = attempt(form, lambda: cases.open(_actual(request), loop="command.drill", values={name: value for name, value in form.cleaned_data.items() if value not in (None, "")}))
        if done:
            return redirect("kernel:case", row.pk)
    return render(request, "command/drill_new.html", {"form": form, "op_id": new_id()}, status=422 if request.method == "POST" else 200)


def script_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """The script, for its controllers alone. kernel.forbidden for everybody else, players first of all."""
    actor, realm = request.actor, realms.actual()  # type: ignore[attr-defined]
    case = drills.find(actor, realm, key)
    access.require(actor, "command.drill", region=case.region_id)
    script = drills.script_of(case)
    if script is not None and not drills.may_see_script(actor, case, script):
        raise FORBIDDEN(capability="command.drill")
    names = _post_names()
    form = ScriptForm(request.POST or None, initial={"script": _as_text(case, script, names)})
    if request.method == "POST":
        keys = {name: post for post, name in names.items()}
        done, _row = attempt(form, lambda: drills.save_script(_actual(request, expected_version=None), drill=case.pk, script=_with_posts(form.cleaned_data["script"], keys)))
        if done:
            messages.success(request, _("The script is kept. Only controllers and observers see it."))
            return redirect("kernel:case", case.pk)
    begun = case.state not in ("planned", "prepared")
    if begun:
        form.fields["script"].disabled = True
    return render(request, "command/drill_script.html", {"form": form, "case": case, "posts": sorted(names.values()), "begun": begun, "op_id": new_id()}, status=422 if request.method == "POST" else 200)


def _post_names() -> dict[str, str]:
    """Key → name of each post; with its key where two are called the same."""
    names = {str(post.pk): post_words(post) for post in Post.objects.filter(active=True).select_related("organisation")}
    often = Counter(names.values())
    return {key: name if often[name] == 1 else f"{name} {key}" for key, name in names.items()}


def _with_posts(script: Any, known: Mapping[str, str]) -> Any:
    """A script with posts called otherwise: by their names for a person, by their keys to be kept. What is not known stays as it is, and is named as a fault."""
    if not isinstance(script, dict):
        return script
    out = dict(script)
    if isinstance(out.get("parts"), dict):
        out["parts"] = {part: [known.get(str(one), one) for one in posts] if isinstance(posts, list) else posts for part, posts in out["parts"].items()}
    if isinstance(out.get("injects"), list):
        out["injects"] = [{**row, "to": known.get(str(row["to"]), row["to"])} if isinstance(row, dict) and row.get("to") else row for row in out["injects"]]
    return out


def _as_text(case: Drill, script: Any, names: Mapping[str, str]) -> str:
    if script is None:
        return EXAMPLE.format(plan=case.plan_key or '""', parts=_("Parts name posts as they are listed beside."))
    values = {
        "plan_key": script.plan_key, "begins_at": script.begins_at.isoformat() if script.begins_at else None, "clock_at": script.clock_at.isoformat() if script.clock_at else None, "rate": script.rate, "note": script.note,
        "parts": script.parts, "injects": script.injects, "expects": script.expects, "criteria": script.criteria,
    }
    return yaml.safe_dump(_with_posts(values, names), allow_unicode=True, sort_keys=False, width=160)


@require_POST
def score(request: HttpRequest, key: UUID) -> HttpResponse:
    case = drills.find(request.actor, realms.actual(), key)  # type: ignore[attr-defined]
    given = {name.partition("-")[2]: {"score": int(value), "remark": request.POST.get(f"remark-{name.partition('-')[2]}", "")} for name, value in request.POST.items() if name.startswith("score-") and value.isdecimal()}
    drills.score(_actual(request, expected_version=None), drill=case.pk, scores=given)
    messages.success(request, _("Your scores are kept."))
    return redirect("kernel:case", case.pk) if request.realm.is_actual else redirect("command:drills")  # type: ignore[attr-defined]


def inject(request: HttpRequest, key: UUID) -> HttpResponse:
    """A message of the drill, on the desk of the player it was given to."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    row = Inject.objects.of(realm).filter(pk=key, told_at__isnull=False).select_related("drill").first()
    if row is None or not (row.post_id in access.posts(actor) or drills.may_see_script(actor, row.drill, drills.script_of(row.drill))):
        raise NOT_FOUND(kind=_("drill message"), key=key)
    if request.method == "POST":
        drills.heard(request.act(expected_version=None), inject=row.pk)
        return redirect("/")
    return render(request, "command/drill_message.html", {"row": row, "to": post_name(row.post_id) if row.post_id else "", "mine": row.post_id in access.posts(actor), "op_id": new_id()})


def report(request: HttpRequest, key: UUID) -> HttpResponse:
    """The evaluation of a drill, to be read and printed."""
    case = drills.find(request.actor, realms.actual(), key)  # type: ignore[attr-defined]
    row = DrillReport.objects.of(case.realm_id).filter(drill=case).first()
    if row is None:
        raise NOT_FOUND(kind=_("evaluation"), key=key)
    body = dict(row.body)
    body["steps"] = [step | step_words(step) for step in body["steps"]]
    findings = case.findings.order_by("number")
    closed = sum(one.state == "closed" for one in findings)
    return render(request, "command/drill_report.html", {"case": case, "row": row, "body": body, "late": [step for step in body["steps"] if step["late"]], "plan": drills.plan_title(case.plan_key), "findings": findings, "closed": closed, "form_words": case.get_form_display(), "observers": sorted({person_name(one.observer) for one in case.scores.all()})})
