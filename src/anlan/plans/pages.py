"""Pages of the plans: the document with the live state of each condition, proposals, questions, known terms, versions."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from anlan.kernel import access, clock
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.forms import attempt
from anlan.kernel.ids import new_id
from anlan.kernel.models import Region
from anlan.kernel.shell import person_name, post_name
from anlan.kernel.work import WorkItem

from . import actions, compute, pages_finding, pages_lives, queries
from .faults import said
from .forms import AdoptForm, DocumentForm, ItemForm, PublishForm, UploadForm, ValueForm, regions_to_adopt
from .models import Adoption, Draft, DraftItem, Match, Plan, PlanBinding, PlanVersion, Question, ResponseProposal
from .vocabulary import in_words, label, qualifier_words, source_words, value_words, vocabulary
from .words import DRAFT_STATES, ITEM_KINDS, ITEM_STATES, KINDS, ORIGINS, SOURCES, STATES, VERDICTS

app_name = "plans"


def _seen(request: HttpRequest) -> None:
    access.require(request.actor, "plans.read")  # type: ignore[attr-defined]


def _sight(binding: PlanBinding, request: HttpRequest) -> bool:
    """Whether the live state of an adoption is this person's to see: what is known is scoped, the plan itself is not."""
    return access.may(request.actor, "plans.read", binding.region_id)  # type: ignore[attr-defined]


def _shown_inputs(rows: list[dict[str, Any]], plan: Any = None) -> list[dict[str, Any]]:
    """Inputs of a condition in words: what, where, value, age, source."""
    out = []
    for row in rows:
        entry = plan.places.get(row["alias"]) if plan else None
        out.append({
            "label": label(row["term"]), "where": in_words(entry.label) if entry else compute.place_name(row["place"]) if row["place"] else row["alias"],
            "qualifier": qualifier_words(row["qualifier"]), "value": None if row["value"] is None else value_words(row["term"], row["value"]),
            "at": datetime.fromisoformat(row["event_time"]) if row["event_time"] else None, "source": source_words(row["source"]), "stale": row["stale"], "unbound": not row["place"],
            "kind": SOURCES[vocabulary()[row["term"]].source] if row["term"] in vocabulary() else "", "key": row.get("key", ""),
        })
    return out


def plan_list(request: HttpRequest) -> HttpResponse:
    """What applies where, how it stands, and which plans there are."""
    _seen(request)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    rows = []
    open_by: dict[UUID, list[ResponseProposal]] = {}
    for proposal in queries.open_proposals(actor, realm):
        open_by.setdefault(proposal.binding_id, []).append(proposal)
    for binding in queries.adoptions(realm):
        counts = {"met": 0, "not_met": 0, "cannot_tell": 0}
        visible = _sight(binding, request)
        if visible:
            for state in queries.live(binding, realm).values():
                if state["verdict"]:
                    counts[state["verdict"]] += 1
        newest = queries.latest(binding.plan)
        rows.append({"binding": binding, "counts": counts, "visible": visible, "open": open_by.get(binding.pk, []),
                     "newer": newest if newest and newest.pk != binding.version_of_id else None})
    plans = [{"plan": plan, "version": queries.latest(plan), "count": plan.versions.count()} for plan in Plan.objects.order_by("key")]
    proposals = ResponseProposal.objects.seen_by(actor, realm).select_related("binding__plan", "level", "region", "post").order_by("-opened_at")[:20]
    questions = Question.objects.seen_by(actor, realm).filter(state=Question.OPEN).select_related("binding__plan", "post").order_by("due_at")
    context = {
        "rows": rows, "plans": plans, "proposals": proposals, "questions": [{"row": row, "label": label(row.name), "where": compute.place_name(row.place)} for row in questions],
        "states": STATES, "origins": ORIGINS, "may_manage": access.may(actor, "plans.manage") and realm.is_actual, "may_adopt": access.may(actor, "plans.adopt"),
        "may_state": access.may(actor, "plans.state"),
    }
    return render(request, "plans/list.html", context)


def _document(version: PlanVersion, binding: PlanBinding | None, states: dict[str, Any], now: datetime) -> list[dict[str, Any]]:
    """The plan level by level: its conditions with their sentences and states, its actions with their posts."""
    file = compute.plan_file(version)
    levels = []
    for level in version.levels.select_related("clause").order_by("-kind", "-rank"):
        conditions = []
        for row in version.conditions.filter(level=level).select_related("clause"):
            state = states.get(row.key, {"verdict": "", "inputs": [], "steps": [], "missing": [], "match": None, "since": None, "asking": []})
            conditions.append({
                "row": row, "label": in_words(row.label), "text": in_words(row.clause.text), "clause_title": in_words(row.clause.title), "note": in_words(row.note),
                "verdict": state["verdict"] if row.when else "person", "words": VERDICTS[state["verdict"]], "since": state["since"], "steps": state["steps"],
                "inputs": _shown_inputs(state["inputs"], file), "match": state["match"], "asking": bool(state.get("asking")),
            })
        items = queries.actions_of(binding, level.pk) if binding else [
            {"key": row.key, "text": row.text.get("zh"), "text_en": row.text.get("en"), "clause": row.clause.key, "deadline_min": row.deadline_min, "deadline": row.deadline, "posts": [], "unbound": False, "role": row.role}
            for row in level.actions.select_related("clause").order_by("order")
        ]
        for item in items:
            item["words"] = in_words({"zh": item["text"], "en": item["text_en"]})
            item["deadline_words"] = in_words(item["deadline"])
            item["role_words"] = in_words(file.posts.get(item["role"]))
            item["post_names"] = [post_name(key) for key in item["posts"]]
        levels.append({
            "row": level, "label": in_words(level.label), "approver": in_words(file.posts.get(level.approver)), "consent": in_words(file.posts.get(level.consent)) if level.consent else "",
            "approver_post": post_name(queries.approver(binding, level.approver)) if binding else "", "clause_text": in_words(level.clause.text),
            "minutes": (binding.answer_minutes.get(level.key) if binding else None) or level.answer_within_min,
            "conditions": conditions, "actions": items, "met": sum(row["verdict"] == "met" for row in conditions), "unknown": sum(row["verdict"] == "cannot_tell" for row in conditions),
            "not_met": sum(row["verdict"] == "not_met" for row in conditions), "by_person": sum(row["verdict"] == "person" for row in conditions),
        })
    return levels


def plan_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A plan as a document, in the newest or a chosen version; its adoptions and versions."""
    _seen(request)
    plan = Plan.objects.filter(pk=key).first()
    if plan is None:
        raise NOT_FOUND(kind=_("plan"), key=key)
    number = request.GET.get("v", "")
    version = plan.versions.filter(number=int(number)).first() if number.isdecimal() else queries.latest(plan)
    if version is None:
        raise NOT_FOUND(kind=_("version"), key=number)
    context = _head(version) | {
        "plan": plan, "version": version, "versions": plan.versions.order_by("-number"), "levels": _document(version, None, {}, clock.now(request.realm)),  # type: ignore[attr-defined]
        "adoptions": [row for row in queries.adoptions(request.realm) if row.plan_id == plan.pk], "origins": ORIGINS,  # type: ignore[attr-defined]
        "may_adopt": access.may(request.actor, "plans.adopt"), "may_manage": access.may(request.actor, "plans.manage") and request.realm.is_actual,  # type: ignore[attr-defined]
    }
    return render(request, "plans/plan.html", context)


def _head(version: PlanVersion) -> dict[str, Any]:
    file = compute.plan_file(version)
    return {"file": file, "title": in_words(file.title), "issuer": in_words(file.issuer), "notes": in_words(file.notes)}


def _binding(request: HttpRequest, key: UUID) -> PlanBinding:
    _seen(request)
    row = PlanBinding.objects.filter(pk=key).select_related("plan", "version_of", "region", "default_post", "only_realm").first()
    if row is None:
        raise NOT_FOUND(kind=_("adopted plan"), key=key)
    return row


def binding_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """An adopted plan: the document with each condition's state beside its sentence."""
    binding = _binding(request, key)
    access.require(request.actor, "plans.read", region=binding.region_id)  # type: ignore[attr-defined]
    realm = request.realm  # type: ignore[attr-defined]
    applies = binding.active and (binding.only_realm_id is None or binding.only_realm_id == realm.pk)
    states = queries.live(binding, realm) if applies else {}
    newest = queries.latest(binding.plan)
    places = [{"alias": row.alias, "label": compute.bound_name(row), "kind": KINDS[row.kind], "row": row} for row in binding.places.select_related("station", "region", "binding__version_of").order_by("created_at")]
    context = _head(binding.version_of) | {
        "binding": binding, "applies": applies, "levels": _document(binding.version_of, binding, states, clock.now(realm)), "places": places,
        "newer": newest if newest and newest.pk != binding.version_of_id else None,
        "open": ResponseProposal.objects.seen_by(request.actor, realm).filter(binding=binding, state=ResponseProposal.OPEN).select_related("level", "region"),  # type: ignore[attr-defined]
        "may_adopt": access.may(request.actor, "plans.adopt", binding.region_id), "op_id": new_id(),  # type: ignore[attr-defined]
        "cases": Adoption.objects.seen_by(request.actor, realm).filter(Q(binding=binding) | Q(terms__binding=str(binding.pk)), state__in=["proposed", "in_force"]).order_by("-opened_at"),  # type: ignore[attr-defined]
    }
    return render(request, "plans/binding.html", context)


@require_POST
def judge(request: HttpRequest, key: UUID) -> HttpResponse:
    binding = _binding(request, key)
    act = request.act()  # type: ignore[attr-defined]
    act.expected_version = None
    actions.judge_now(act, binding=binding.pk)
    messages.success(request, _("Every condition was judged again from what is known."))
    return redirect("plans:binding", key)


@require_POST
def upgrade(request: HttpRequest, key: UUID) -> HttpResponse:
    binding = _binding(request, key)
    version = binding.plan.versions.filter(number=int(to)).first() if (to := request.POST.get("to", "")).isdecimal() else None
    if version is None:
        raise NOT_FOUND(kind=_("version"), key=to)
    return redirect("kernel:case", _propose(request, binding, {"edition": str(version.pk)}).pk)


def _propose(request: HttpRequest, binding: PlanBinding, terms: dict[str, Any]) -> Adoption:
    """Another edition, other places or posts for an adoption in force: a second person puts them in force."""
    act = request.act(expected_version=None)  # type: ignore[attr-defined]
    case = actions.propose(act, region=binding.region_id, title=f"{binding.plan.name} · {binding.region.name}", terms={"plan": binding.plan.key, "binding": str(binding.pk), "seen": binding.version, **terms})
    messages.success(request, _("Proposed. It takes effect when another person puts it in force."))
    return case


@require_POST
def end(request: HttpRequest, key: UUID) -> HttpResponse:
    binding = _binding(request, key)
    actions.end_adoption(request.act(), binding=binding.pk, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
    messages.success(request, _("The plan no longer applies there."))
    return redirect("plans:plans")


def adopt(request: HttpRequest, key: UUID) -> HttpResponse:
    """Adopt a plan for a place: bind places and posts."""
    plan = Plan.objects.filter(pk=key).first()
    if plan is None:
        raise NOT_FOUND(kind=_("plan"), key=key)
    access.require(request.actor, "plans.adopt")  # type: ignore[attr-defined]
    version = queries.latest(plan)
    form = AdoptForm(compute.plan_file(version), regions_to_adopt(access.regions(request.actor, "plans.adopt")), request.POST or None)  # type: ignore[attr-defined]
    if request.method == "POST":
        def propose() -> Adoption:
            region = Region.objects.get(pk=form.cleaned_data["region"])
            return actions.propose(request.act(), region=region.pk, title=f"{plan.name} · {region.name}", terms={"plan": plan.key, "edition": str(version.pk), **form.given()})  # type: ignore[attr-defined]

        done, case = attempt(form, propose)
        if done:
            messages.success(request, _("Proposed. It takes effect when another person puts it in force."))
            return redirect("kernel:case", case.pk)
    return render(request, "plans/adopt.html", {"form": form, "plan": plan, "version": version, "op_id": new_id(), "title": in_words(compute.plan_file(version).title)},
                  status=422 if request.method == "POST" else 200)


def rebind(request: HttpRequest, key: UUID) -> HttpResponse:
    """Change the places and posts of an adoption."""
    binding = _binding(request, key)
    access.require(request.actor, "plans.adopt", region=binding.region_id)  # type: ignore[attr-defined]
    form = AdoptForm(compute.plan_file(binding.version_of), regions_to_adopt(access.regions(request.actor, "plans.adopt")), request.POST or None, binding=binding)  # type: ignore[attr-defined]
    if request.method == "POST":
        done, case = attempt(form, lambda: _propose(request, binding, form.given()))
        if done:
            return redirect("kernel:case", case.pk)
    return render(request, "plans/adopt.html", {"form": form, "plan": binding.plan, "binding": binding, "version": binding.version_of, "op_id": new_id(), "title": in_words(compute.plan_file(binding.version_of).title)},
                  status=422 if request.method == "POST" else 200)


def upload(request: HttpRequest) -> HttpResponse:
    """A user's own plan or version; every fault is shown with its line."""
    access.require(request.actor, "plans.manage")  # type: ignore[attr-defined]
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        done, version = attempt(form, lambda: actions.add_version(request.act(), text=form.cleaned_data["text"], note=form.cleaned_data["note"]))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Version {number} is added. No adoption was changed.").format(number=version.number))
            return redirect("plans:difference", version.pk) if version.based_on_id else redirect("plans:plan", version.plan_id)
    return render(request, "plans/upload.html", {"form": form, "op_id": new_id()}, status=422 if request.method == "POST" else 200)


def download(request: HttpRequest, key: UUID) -> HttpResponse:
    """The file of a version, to edit into an own one."""
    _seen(request)
    version = PlanVersion.objects.filter(pk=key).select_related("plan").first()
    if version is None:
        raise NOT_FOUND(kind=_("version"), key=key)
    response = HttpResponse(version.text, content_type="application/yaml; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{version.plan.key}-v{version.number}.yaml"'
    return response


def difference(request: HttpRequest, key: UUID) -> HttpResponse:
    """What a version changed against another: its base, or the one in ?from=."""
    _seen(request)
    version = PlanVersion.objects.filter(pk=key).select_related("plan", "based_on").first()
    if version is None:
        raise NOT_FOUND(kind=_("version"), key=key)
    number = request.GET.get("from", "")
    other = version.plan.versions.filter(number=int(number)).first() if number.isdecimal() else version.based_on or version.plan.versions.filter(number__lt=version.number).order_by("-number").first()
    changes = queries.difference(other, version) if other else []
    parts = {"head": _("Document head"), "places": _("Places"), "posts": _("Posts"), "clauses": _("Clauses"), "levels": _("Levels"), "conditions": _("Conditions"), "actions": _("Actions")}
    words = {"added": _("Added"), "removed": _("Removed"), "changed": _("Changed")}
    rows = [
        {"part_words": parts[row["part"]], "change_words": words[row["change"]], "key": f"{row['key']}{' · ' + where if where else ''}", "before": before, "after": after}
        for row in changes for where, before, after in _leaves(row["before"], row["after"])
    ]
    adoptions = [row for row in queries.adoptions(request.realm) if row.plan_id == version.plan_id and row.version_of_id != version.pk and access.may(request.actor, "plans.adopt", row.region_id)]  # type: ignore[attr-defined]
    return render(request, "plans/difference.html", {"version": version, "other": other, "rows": rows, "versions": version.plan.versions.order_by("-number"), "adoptions": adoptions, "op_id": new_id()})


def _leaves(before: Any, after: Any, path: str = "") -> list[tuple[str, str, str]]:
    """(where, before, after) of every single value that differs, so that a changed word does not hide in a page of text."""
    if isinstance(before, dict) or isinstance(after, dict):
        a, b = before if isinstance(before, dict) else {}, after if isinstance(after, dict) else {}
        return [leaf for key in [*a, *(key for key in b if key not in a)] if a.get(key) != b.get(key) for leaf in _leaves(a.get(key), b.get(key), f"{path}.{key}".strip("."))]
    plain = ["" if value is None else str(value).strip() for value in (before, after)]
    return [(path, plain[0], plain[1])]


def proposal_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A proposal: its inputs, its rule with the sentence of the plan, the alternatives, and what approval would order."""
    found = queries.proposal(key, request.realm, request.actor)  # type: ignore[attr-defined]
    row = found["row"]
    if request.method == "POST":
        actions.note_lapsed(request.act(), proposal=row.pk)  # type: ignore[attr-defined]
        return redirect("plans:proposal", row.pk)
    file = compute.plan_file(row.version_of)
    reasons = [{**reason, "words": in_words(reason["label"]), "sentence": in_words(reason["text"]), "shown": _shown_inputs(reason["inputs"], file), "at": datetime.fromisoformat(reason["since"])} for reason in found["reasons"]]
    states = queries.live(row.binding, request.realm)  # type: ignore[attr-defined]
    for reason in reasons:
        now = states.get(reason["condition"], {"verdict": ""})
        reason["now"] = now["verdict"]
        # First what carried the decision; the rest of the rule is there to be opened.
        carried = {key for step in reason["steps"] if step["holds"] for key in step.get("keys", ())}
        reason["decisive"] = [row for row in reason["shown"] if row["key"] in carried] or reason["shown"]
        reason["others"] = [row for row in reason["shown"] if row not in reason["decisive"]]
    for item in found["actions"]:
        item["words"], item["deadline_words"] = in_words({"zh": item["text"], "en": item["text_en"]}), in_words(item["deadline"])
        item["post_names"], item["role_words"] = [post_name(post) for post in item["posts"]], in_words(file.posts.get(item["role"]))
    item = WorkItem.plain.filter(realm_id=request.realm.pk, kind="plans.answer_proposal", subject=f"proposal:{key}").order_by("-since").first()  # type: ignore[attr-defined]
    context = {
        "found": found, "row": row, "title": in_words(file.title), "label": in_words(row.level.label), "reasons": reasons, "state": STATES[row.state],
        "alternatives": [{**other, "words": in_words(other["label"])} for other in found["alternatives"]], "who": post_name(item.post_id if item else row.post_id),
        "first": post_name(row.post_id), "due_at": item.due_at if item and item.state == "open" else None, "escalations": item.escalations if item else 0,
        "by": person_name(row.answered_by), "decide_url": decide_url(row.pk) if row.state == ResponseProposal.OPEN else "", "clause": in_words(row.level.clause.text),
        "orders": sum(len(action["posts"]) for action in found["actions"]), "subject": f"proposal:{row.pk}",
        "note_lapsed": row.state == ResponseProposal.LAPSED
        and WorkItem.plain.filter(realm_id=request.realm.pk, kind="plans.note_lapsed", subject=f"proposal:{key}", state=WorkItem.OPEN).exists(),  # type: ignore[attr-defined]
    }
    return render(request, "plans/proposal.html", context)


def decide_url(key: UUID) -> str:
    """The page of command on which the proposal is answered; empty while that room is not installed."""
    for name in ("command:decide", "command:proposal"):
        try:
            return reverse(name, args=[key])
        except NoReverseMatch:
            continue
    return ""


def match_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A condition's state goes to its place in the document."""
    row = Match.objects.seen_by(request.actor).filter(pk=key).select_related("condition").first()  # type: ignore[attr-defined]
    if row is None:
        raise NOT_FOUND(kind=_("condition"), key=key)
    return redirect(f"{reverse('plans:binding', args=[row.binding_id])}#c-{row.condition.key}")


def question_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One value a person is asked for, why, until when; and the form to answer."""
    realm, actor = request.realm, request.actor  # type: ignore[attr-defined]
    item = WorkItem.plain.filter(realm_id=realm.pk, kind="plans.state_term", subject=f"question:{key}").order_by("-since").first()
    row = Question.objects.seen_by(actor, realm).filter(pk=key).select_related("binding__plan", "binding__version_of", "region", "post").first()
    if row is None and item is not None and item.post_id in access.posts(actor):  # passed up the line to this reader
        row = Question.objects.of(realm).filter(pk=key).select_related("binding__plan", "binding__version_of", "region", "post").first()
    if row is None:
        raise NOT_FOUND(kind=_("question"), key=key)
    form = ValueForm(row.name, request.POST if request.method == "POST" and "unknown" not in request.POST else None, initial={"event_time": clock.now(realm), "source": person_name(actor.person_id)})
    if request.method == "POST":
        act = request.act()
        act.expected_version = None
        if "unknown" in request.POST:
            actions.answer_question(act, question=row.pk)
            messages.success(request, _("Recorded: it cannot be told now."))
            return redirect("plans:question", key)
        done, _answer = attempt(form, lambda: actions.answer_question(act, question=row.pk, **form.given()))
        if done:
            messages.success(request, _("Recorded. The conditions that waited for it are judged now."))
            return redirect("plans:question", key)
    conditions = [
        {"row": condition, "label": in_words(condition.label), "text": in_words(condition.clause.text)}
        for condition in row.binding.version_of.conditions.filter(key__in=row.conditions).select_related("clause", "level")
    ]
    context = {
        "row": row, "form": form, "label": label(row.name), "where": compute.place_name(row.place), "qualifier": qualifier_words(row.qualifier), "conditions": conditions,
        "plan_title": in_words(compute.plan_file(row.binding.version_of).title), "who": post_name(item.post_id if item else row.post_id), "state": STATES[row.state], "op_id": new_id(),
        "due_at": item.due_at if item and item.state == "open" else None, "by": person_name(row.answered_by),
    }
    return render(request, "plans/question.html", context, status=422 if request.method == "POST" else 200)


def terms(request: HttpRequest) -> HttpResponse:
    """Everything known, with value, age, source, and how long it may still be used."""
    _seen(request)
    realm = request.realm  # type: ignore[attr-defined]
    now = clock.now(realm)
    source = request.GET.get("source", "")
    rows = []
    for term in queries.terms(request.actor, realm)[:1000]:  # type: ignore[attr-defined]
        spec = vocabulary().get(term.name)
        if source and (spec is None or spec.source != source):
            continue
        rows.append({"row": term, "label": label(term.name), "where": compute.place_name(term.place), "qualifier": qualifier_words(term.qualifier), "value": value_words(term.name, term.value), "source": source_words(term.source),
                     "kind": SOURCES[spec.source] if spec else "", "stale": term.stale_at is not None and term.stale_at <= now, "why": f"fact:{term.fact}" if term.fact else ""})
    return render(request, "plans/terms.html", {"rows": rows, "sources": SOURCES, "source": source, "may_state": access.may(request.actor, "plans.state")})  # type: ignore[attr-defined]


def words(request: HttpRequest) -> HttpResponse:
    """The published vocabulary: every term a plan may use."""
    _seen(request)
    rows = [
        {"spec": spec, "label": in_words(spec.label), "source": SOURCES[spec.source], "places": [KINDS[kind] for kind in spec.places],
         "choices": [(choice, in_words(spec.choice_labels[choice])) for choice in spec.choices],
         "stale": spec.stale_after.total_seconds() / 3600 if spec.stale_after else None}
        for spec in vocabulary().values()
    ]
    return render(request, "plans/vocabulary.html", {"rows": rows})


def state(request: HttpRequest) -> HttpResponse:
    """Choose what to state, then state it."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "plans.state")
    term, place = request.GET.get("term", ""), request.GET.get("place", "")
    spec = vocabulary().get(term)
    if spec is None or not place:
        choices = [
            {"name": in_words(row["label"]), "kind": KINDS[row["kind"]], "place": row["place"], "terms": [(name, label(name)) for name in row["terms"]]}
            for row in queries.places_for_facts(realm)
        ]
        return render(request, "plans/state.html", {"choices": choices})
    form = ValueForm(term, request.POST or None, initial={"event_time": clock.now(realm), "source": person_name(actor.person_id)}, qualified=True)
    if request.method == "POST":
        done, _answer = attempt(form, lambda: actions.state_term(request.act(), term=term, place=place, **form.given()))
        if done:
            messages.success(request, _("Recorded. The conditions that waited for it are judged now."))
            return redirect("plans:terms")
    return render(request, "plans/state_value.html", {"form": form, "label": label(term), "where": compute.place_name(place), "op_id": new_id()}, status=422 if request.method == "POST" else 200)


# --- a document becomes a plan: the editor ----------------------------------------------------------------------------


def drafts(request: HttpRequest) -> HttpResponse:
    """Documents being turned into plans; a form to read another."""
    access.require(request.actor, "plans.manage")  # type: ignore[attr-defined]
    form = DocumentForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.draft(request.act(), document=form.cleaned_data["file"].read()))  # type: ignore[attr-defined]
        if done:
            return redirect("plans:draft", row.pk)
    rows = [{"row": row, "counts": queries.draft_progress(row), "state": DRAFT_STATES[row.state]} for row in Draft.objects.defer("source")[:50]]
    return render(request, "plans/drafts.html", {"form": form, "op_id": new_id(), "rows": rows}, status=422 if request.method == "POST" else 200)


def draft_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One item of a draft beside its sentence; Enter confirms and the next one comes. `?item=` chooses, else the first that waits."""
    access.require(request.actor, "plans.manage")  # type: ignore[attr-defined]
    row = Draft.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("draft"), key=key)
    item = queries.draft_item(row, request.GET.get("item", ""))
    form, status = None, 200
    if item is not None:
        item.draft = row
        terms = compute.rule_terms(item.now.get("when") or "")
        asked = {term: str(label(term)) for term, source in terms if source in ("forecast", "reported")}
        form = ItemForm(request.POST or None, item=item, asked=asked)
        if request.method == "POST":
            verb = request.POST.get("do", "confirmed")
            done, answer = attempt(form, lambda: _decide(request, item, verb, form))
            if done:
                # Split and joined items are shown again; after a decision the next that waits.
                onward = answer if verb in ("split", "&&", "||") else queries.draft_next(row, item)
                return redirect(f"{reverse('plans:draft', args=[row.pk])}{f'?item={onward.pk}' if onward else ''}")
            status = 422
    counts = queries.draft_progress(row)
    context = {"row": row, "item": item, "form": form, "counts": counts, "op_id": new_id(), "state": DRAFT_STATES[row.state], "publish": PublishForm(), "near": [], "noticed": [said(one) for one in row.about.get("warnings", [])]}
    if item is not None:
        context |= {
            "near": queries.draft_near(row, item), "before": row.source[max(0, item.start - 200) : item.start], "words": row.source[item.start : item.end], "after": row.source[item.end : item.end + 240],
            "terms": [{"label": label(term), "source": SOURCES[source]} for term, source in terms], "units": queries.draft_units(row) if asked else [],
            "section": queries.draft_section(item.clause), "kind": ITEM_KINDS[item.kind], "item_state": ITEM_STATES[item.state], "decider": person_name(item.decided_by) if item.decided_by else "",
        }
    return render(request, "plans/draft.html", context, status=status)


def draft_sections(request: HttpRequest, key: UUID) -> HttpResponse:
    """The items of one section under each other (`?at=`, else the first that waits), to decide those ticked in one step; the step can be taken back."""
    access.require(request.actor, "plans.manage")  # type: ignore[attr-defined]
    row = Draft.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("draft"), key=key)
    form, here, at = forms.Form(request.POST or None), reverse("plans:draft_sections", args=[row.pk]), request.GET.get("at", "")
    if request.method == "POST" and "undo" in request.POST:
        done, count = attempt(form, lambda: actions.undo_items(request.act(), fact=UUID(request.POST["undo"])))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Waiting again: {n}").format(n=count))
            return redirect(f"{here}?{urlencode({'at': at})}")
    elif request.method == "POST":
        ticked = {one: int(version) for one, _colon, version in (value.partition(":") for value in request.POST.getlist("item")) if version.isdecimal()}
        done, told = attempt(form, lambda: actions.decide_items(request.act(), draft=row.pk, items=ticked, state=request.POST.get("do", "")))  # type: ignore[attr-defined]
        if done:
            if told["left"]:
                messages.warning(request, _("Left to be looked at one by one, since they changed meanwhile or name no level or no sound rule: {n}").format(n=told["left"]))
            return redirect(f"{here}?{urlencode({'at': at, **({'done': told['fact'], 'n': told['done']} if told['fact'] else {})})}")
    sections = queries.draft_sections(row)
    names = list(sections)
    at = at if at in sections else next((name for name in names if sections[name]["open"]), names[0] if names else "")
    after = [*names[names.index(at) + 1 :], *names[: names.index(at)]] if at else []
    context = {
        "row": row, "counts": queries.draft_progress(row), "state": DRAFT_STATES[row.state], "sections": [{"name": name, **counts} for name, counts in sections.items()], "at": at, "form": form, "op_id": new_id(),
        "items": [
            {"row": item, "kind": ITEM_KINDS[item.kind], "state": ITEM_STATES[item.state], "words": item.words, "fit": bool(item.now.get("level")) and not (item.kind == DraftItem.CONDITION and compute.rule_fault(item.now.get("when") or ""))}
            for item in queries.draft_section_items(row, at)
        ],
        "next": next((name for name in after if sections[name]["open"]), ""), "undo": request.GET.get("done", "") if row.state == Draft.OPEN else "", "number": request.GET.get("n", ""),
    }
    return render(request, "plans/draft_sections.html", context, status=422 if request.method == "POST" else 200)


def _decide(request: HttpRequest, item: DraftItem, verb: str, form: Any) -> Any:
    act = request.act()  # type: ignore[attr-defined]
    if verb == "split":
        return actions.split_item(act, item=item.pk)
    if verb in ("&&", "||"):
        return actions.merge_item(act, item=item.pk, joined=verb)
    return actions.decide_item(act, item=item.pk, state=verb if verb in ("confirmed", "people", "dropped", "open") else "confirmed", said=form.given(), asks=form.asks())


@require_POST
def publish(request: HttpRequest, key: UUID) -> HttpResponse:
    """The draft as a version of a plan, when nothing waits any more."""
    form = PublishForm(request.POST)
    done, version = attempt(form, lambda: actions.publish_draft(request.act(), draft=key, key=form.cleaned_data["key"]))  # type: ignore[attr-defined]
    if done:
        messages.success(request, _("Version {number} is added. No adoption was changed.").format(number=version.number))
        return redirect("plans:plan", version.plan_id)
    for error in [*form.non_field_errors(), *form["key"].errors][:8]:
        messages.error(request, error)
    return redirect("plans:draft", key)


urlpatterns = [
    path("", plan_list, name="plans"),
    path("terms", terms, name="terms"),
    path("terms/state", state, name="state"),
    path("vocabulary", words, name="vocabulary"),
    path("find", pages_finding.find, name="find"),
    path("match", pages_finding.match, name="match_plans"),
    path("clauses/<uuid:key>", pages_finding.clause, name="clause"),
    path("actions/<uuid:key>", pages_finding.action, name="action"),
    path("matrix", pages_lives.matrix, name="matrix"),
    path("laws", pages_lives.laws, name="laws"),
    path("adopted/<uuid:key>/cards", pages_lives.cards, name="cards"),
    path("adopted/<uuid:key>/contacts", pages_lives.contacts, name="contacts"),
    path("upload", upload, name="upload"),
    path("drafts", drafts, name="drafts"),
    path("drafts/<uuid:key>", draft_page, name="draft"),
    path("drafts/<uuid:key>/sections", draft_sections, name="draft_sections"),
    path("drafts/<uuid:key>/publish", publish, name="publish"),
    path("adopted/<uuid:key>", binding_page, name="binding"),
    path("adopted/<uuid:key>/judge", judge, name="judge"),
    path("adopted/<uuid:key>/bind", rebind, name="rebind"),
    path("adopted/<uuid:key>/version", upgrade, name="upgrade"),
    path("adopted/<uuid:key>/end", end, name="end"),
    path("versions/<uuid:key>", difference, name="difference"),
    path("versions/<uuid:key>/lint", pages_lives.lint, name="lint"),
    path("versions/<uuid:key>/file", download, name="download"),
    path("proposals/<uuid:key>", proposal_page, name="proposal"),
    path("questions/<uuid:key>", question_page, name="question"),
    path("conditions/<uuid:key>", match_page, name="match"),
    path("<uuid:key>", plan_page, name="plan"),
    path("<uuid:key>/adopt", adopt, name="adopt"),
]
