"""Pages of command: intake, incidents, decisions, responses, the order board, instructions, papers and reviews."""
from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from anlan.engines import documents as engine
from anlan.kernel import access, clock, codes, files
from anlan.kernel.forms import attempt
from anlan.kernel.middleware import address as peer
from anlan.kernel.shell import address, person_name, post_name, say
from anlan.plans import compute as plan_compute
from anlan.plans import finding
from anlan.plans import queries as plan_queries
from anlan.plans.forms import ValueForm
from anlan.plans.models import Level
from anlan.plans.vocabulary import in_words, label, source_words, value_words, vocabulary
from anlan.plans.words import reason_words
from anlan.sensing import queries as sensing_queries

from . import actions, pages_drills, papers, queries
from .forms import DecisionForm, FactForm, IncidentForm, InstructionForm, IntakeForm, region_in, regions_of
from .models import Decision, Document, Gap, Incident, Instruction, ObservedFact, Report, Response, Review
from .settings import reporting_limits
from .words import CONFIRMATION, COUNTS, PRECISION, STATES, STEPS, level_words, local_words, step_words

app_name = "command"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def _reader(request: HttpRequest) -> tuple[Any, Any]:
    access.require(request.actor, "command.read")  # type: ignore[attr-defined]
    return request.actor, request.realm  # type: ignore[attr-defined]


def _paged(request: HttpRequest, rows: Any, size: int = 50) -> Any:
    return Paginator(rows, size).get_page(request.GET.get("page"))


def _line(fact: Any) -> dict[str, Any]:
    return {"id": fact.id, "at": fact.received_at, "text": say(fact), "subject": fact.subject, "kind": fact.kind}


def _lang() -> str:
    return "en" if (get_language() or "").startswith("en") else "zh"


# --- intake ----------------------------------------------------------------------------------------------------------


def _askable(realm: Any) -> list[tuple[str, str]]:
    """What can be observed for the plans adopted here: [("term|place", words)]."""
    return [
        (f"{term}|{row['place']}", f"{in_words(row['label'])} · {label(term)}")
        for row in plan_queries.places_for_facts(realm) for term in row["terms"] if vocabulary()[term].source == "reported" and not vocabulary()[term].qualifiers
    ]


@require_http_methods(["GET", "POST"])
def intake(request: HttpRequest) -> HttpResponse:
    """Take down a report while on the telephone; possible duplicates show while typing."""
    access.require(request.actor, "command.take_report")  # type: ignore[attr-defined]
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    earlier = list(queries.reports(actor, realm).filter(kind="first", merged_into=None)[:40])
    if request.method == "POST":
        form = IntakeForm(request.POST, earlier=earlier)
        done, row = attempt(form, lambda: actions.take_report(request.act(), **form.values(actor)))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Taken down at {at}.").format(at=f"{clock.local(row.received_at):%H:%M:%S}"))
            return redirect("command:report", row.pk)
    else:
        form = IntakeForm(earlier=earlier, initial={"kind": "follow_up" if request.GET.get("first") else "first", "first": request.GET.get("first", ""), "means": "phone", "precision": "minute"})
    context = {
        "form": form, "regions": regions_of(actor, "command.take_report"), "recent": earlier[:8], "limits": [row | {"words": local_words(row["text"])} for row in reporting_limits()],
        "facts": FactForm(offered=_askable(realm)), "places": sorted({row.place for row in earlier if row.place} | {in_words(row["label"]) for row in plan_queries.places_for_facts(realm)}),
    }
    return render(request, "command/intake.html", context, status=422 if request.method == "POST" else 200)


@require_POST
def hints(request: HttpRequest) -> HttpResponse:
    """While typing: the region the place lies in, and reports that may speak of the same event. Nothing is stored."""
    access.require(request.actor, "command.take_report")  # type: ignore[attr-defined]
    text, place = request.POST.get("text", "")[:2000], request.POST.get("place", "")[:160]
    region = region_in(request.POST.get("region", "")) or region_in(place)
    found = queries.similar(request.actor, request.realm, text=text, place=place, region=region.pk if region else None, event=request.POST.get("event", ""))  # type: ignore[attr-defined]
    return render(request, "command/_hints.html", {"region": region, "found": found})


@require_GET
def fact_value(request: HttpRequest) -> HttpResponse:
    """The field in which the value of an observation is typed, as its type wants it."""
    access.require(request.actor, "command.take_report")  # type: ignore[attr-defined]
    term = request.GET.get("what", "").partition("|")[0]
    if vocabulary().get(term) is None:
        return HttpResponse("")
    return render(request, "command/_value.html", {"field": ValueForm(term)["value"], "unit": vocabulary()[term].unit})


@require_POST
def state_fact(request: HttpRequest) -> HttpResponse:
    """An observed fact goes to the plans at once."""
    form = FactForm(request.POST, offered=_askable(request.realm))  # type: ignore[attr-defined]

    def state() -> ObservedFact:
        term, _bar, place = form.cleaned_data["what"].partition("|")
        act = request.act(occurred_at=form.cleaned_data["event_time"])  # type: ignore[attr-defined]
        report = request.POST.get("report", "")
        return actions.state_fact(
            act, term=term, place=place, value=form.cleaned_data["value"], unit=vocabulary()[term].unit, source=form.cleaned_data["source"],
            region=_region_of_place(place, request.actor), report=UUID(report) if report else None,  # type: ignore[attr-defined]
        )

    done, row = attempt(form, state)
    if done:
        messages.success(request, _("Recorded: {what}. The plans are judging it.").format(what=f"{label(row.term)} = {value_words(row.term, row.value)}"))
        return redirect("command:report", row.report_id) if row.report_id else redirect("command:intake")
    return render(request, "command/fact.html", {"facts": form}, status=422)


def _region_of_place(place: str, actor: Any) -> UUID | None:
    """region:<id> itself, a station's region, else the area of the reporter's post."""
    from anlan.kernel.models import Post
    from anlan.sensing.models import Station

    kind, _colon, key = place.partition(":")
    if kind == "region":
        return UUID(key)
    if kind == "station":
        return Station.objects.filter(pk=key).values_list("region_id", flat=True).first()
    return Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first()


@require_GET
def report_list(request: HttpRequest) -> HttpResponse:
    actor, realm = _reader(request)
    state, kind, text = request.GET.get("state", ""), request.GET.get("kind", ""), request.GET.get("q", "")[:80]
    page = _paged(request, queries.reports(actor, realm, text=text, kind=kind, state=state))
    return render(request, "command/reports.html", {"page": page, "state": state, "kind": kind, "q": text, "kinds": Report.KINDS})


@require_GET
def report_page(request: HttpRequest, key: UUID) -> HttpResponse:
    actor, realm = _reader(request)
    row = queries.one(Report, key, actor, realm)
    alike = [entry for entry in queries.similar(actor, realm, text=row.text, place=row.place, region=row.region_id, event=row.event) if entry["row"].pk != row.pk]
    context = {
        "row": row, "subject": f"report:{row.pk}", "precision": PRECISION.get(row.precision, row.precision), "counts": [(COUNTS[name], getattr(row, name)) for name in Report.COUNTS if getattr(row, name) is not None], "event": codes.name("hazard", row.event) if row.event else "",
        "taken_by": person_name(row.taken_by), "later": row.later.order_by("received_at"), "merged": row.merged.order_by("received_at"), "alike": alike,
        "incidents": queries.incidents(actor, realm, Incident.OPEN)[:50], "open_form": IncidentForm(initial={"kind": row.event, "title": row.place or row.text[:40], "region": row.region.name if row.region else "", "place": row.place}),
        "may_take": access.may(actor, "command.take_report", row.region_id), "may_open": access.may(actor, "command.incident", row.region_id), "observed": row.observed.order_by("observed_at"),
        "facts": FactForm(offered=_askable(realm), initial={"source": row.caller}), "regions": regions_of(actor, "command.incident"), "label": label,
        "observed_words": [(entry, label(entry.term), value_words(entry.term, entry.value)) for entry in row.observed.order_by("observed_at")],
        "files": files.of(actor, realm, f"report:{row.pk}"),
    }
    return render(request, "command/report.html", context)


@require_POST
def report_do(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """Pass on, merge, attach, or open an incident from a report."""
    actor, realm = _reader(request)
    row = queries.one(Report, key, actor, realm)
    if step == "pass-on":
        actions.pass_on(request.act(), report=row.pk)  # type: ignore[attr-defined]
    elif step == "merge":
        into = queries.one(Report, request.POST.get("into") or None, actor, realm)
        actions.merge_reports(request.act(), report=row.pk, into=into.pk, reason=request.POST.get("reason", "")[:300])  # type: ignore[attr-defined]
        return redirect("command:report", into.pk)
    elif step == "attach":
        at = queries.one(Incident, request.POST.get("incident") or None, actor, realm)
        actions.attach_report(request.act(expected_version=None), report=row.pk, incident=at.pk)  # type: ignore[attr-defined]
        return redirect("command:incident", at.pk)
    else:
        raise Http404
    return redirect("command:report", row.pk)


# --- incidents -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def incident_list(request: HttpRequest) -> HttpResponse:
    """Incidents and running responses; a form to open one (from a report when it is named)."""
    actor, realm = _reader(request)
    form = IncidentForm(request.POST or None)
    if request.method == "POST":
        report = request.POST.get("report", "")

        def open_it() -> Incident:
            source = queries.one(Report, report, actor, realm) if report else None
            return actions.open_incident(request.act(), **form.cleaned_data, report=source.pk if source else None)  # type: ignore[attr-defined]

        done, row = attempt(form, open_it)
        if done:
            return redirect("command:incident", row.pk)
    state = request.GET.get("state", "open")
    rows = []
    page = _paged(request, queries.incidents(actor, realm, state if state in ("open", "closed") else ""))
    for row in page:
        worst = row.responses.filter(state=Response.ACTIVE).order_by("-rank").first()
        rows.append({"row": row, "worst": worst, "worst_words": level_words(worst) if worst else "", "kind": codes.name("hazard", row.kind) if row.kind else "", "reports": row.reports.count(), "state": STATES[row.state]})
    context = {
        "rows": rows, "page": page, "state": state, "form": form, "responses": [_response_row(actor, realm, row) for row in queries.responses(actor, realm, Response.ACTIVE)],
        "ended": [_response_row(actor, realm, row) for row in queries.responses(actor, realm, Response.ENDED)[:10]],
        "proposals": plan_queries.open_proposals(actor, realm) if access.may(actor, "plans.read") else [], "regions": regions_of(actor, "command.incident"), "may_open": access.may(actor, "command.incident"),
        "unclassified": queries.reports(actor, realm, state="open").filter(kind="first")[:10],
    }
    return render(request, "command/incidents.html", context, status=422 if form.is_bound and form.errors else 200)


def _response_row(actor: Any, realm: Any, row: Response) -> dict[str, Any]:
    return {"row": row, "plan": local_words(row.plan_title), "words": level_words(row), "counts": queries.order_counts(queries.board(actor, realm, source=f"response:{row.pk}"), clock.now(realm))}


@require_GET
def incident_page(request: HttpRequest, key: UUID) -> HttpResponse:
    actor, realm = _reader(request)
    row = queries.one(Incident, key, actor, realm)
    taken = list(queries.reports(actor, realm).filter(incident=row))
    counted = queries.losses(taken)
    applies = finding.match(realm, hazard=row.kind, region=row.region_id)["plans"][:5] if row.kind and row.region_id and access.may(actor, "plans.read") else []
    context = {
        "applies": [{"found": one, "why": reason_words(one)} for one in applies],
        "row": row, "state": STATES[row.state], "kind": codes.name("hazard", row.kind) if row.kind else "", "reports": taken,
        "losses": [(COUNTS[name], number) for name, number in counted.items()], "responses": [_response_row(actor, realm, one) for one in queries.responses(actor, realm).filter(incident=row)],
        "lines": [_line(fact) for fact in queries.timeline(actor, realm, incident=row, limit=150)], "documents": queries.documents(actor, realm).filter(incident=row),
        "instructions": queries.instructions(actor, realm).filter(incident=row), "may_close": access.may(actor, "command.incident", row.region_id), "may_supply": access.may(actor, "logistics.plan", row.region_id), "may_take": access.may(actor, "resources.call", row.region_id), "may_report": access.may(actor, "command.report", row.region_id),
    }
    return render(request, "command/incident.html", context)


@require_POST
def incident_close(request: HttpRequest, key: UUID) -> HttpResponse:
    actor, realm = _reader(request)
    queries.one(Incident, key, actor, realm)
    actions.close_incident(request.act(), incident=key, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
    return redirect("command:incident", key)


@require_GET
def incident_map(request: HttpRequest, key: UUID) -> HttpResponse:
    """The house's map turned to the incident's place: the web's own layers around it, a mark on it."""
    actor, realm = _reader(request)
    row = queries.one(Incident, key, actor, realm)
    address_of_map = address("web:map_data", "")
    return redirect(f"{address_of_map}?at={row.lon},{row.lat}" if row.lon is not None else address_of_map)


# --- decisions -------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def decide(request: HttpRequest, key: UUID) -> HttpResponse:
    """A proposal: the evidence, the sentence of the plan, the alternatives, and who would get which orders."""
    actor, realm = _reader(request)
    found = queries.preview(actor, realm, key)
    row = found["row"]
    deciders = actions.deciders(row)
    form = DecisionForm(request.POST or None, posts=deciders, actor=actor)
    if request.method == "POST":
        step = request.POST.get("step", "")

        def answer() -> Any:
            values = form.values()
            act = request.act(occurred_at=form.cleaned_data["decided_at"] if values["behalf"] else None)  # type: ignore[attr-defined]
            if step == "refuse":
                return actions.refuse_proposal(act, proposal=row.pk, **values)
            if step != "approve":
                raise Http404
            incident = request.POST.get("incident", "")
            at = queries.one(Incident, incident, actor, realm).pk if incident else None
            return actions.approve_proposal(act, proposal=row.pk, incident=at, **values)

        done, answered = attempt(form, answer)
        if done and isinstance(answered, Response):
            messages.success(request, _("Orders given: {n}").format(n=found["orders"]))
            return redirect("command:response", answered.pk)
        if done:
            messages.success(request, _("Refused; the reason is kept with the proposal."))
            return redirect("plans:proposal", row.pk)
    items = [{
        "words": local_words({"zh": item["text"], "en": item["text_en"]}), "clause": item["clause"], "sentence": in_words(item["clause_text"]), "posts": [post_name(post) for post in item["posts"]],
        "minutes": item["deadline_min"], "deadline": local_words(item["deadline"]), "unbound": item["unbound"],
    } for item in found["items"]]
    texts = {clause.key: in_words(clause.text) for clause in row.version_of.clauses.all()}
    reasons = [{"clause": reason["clause"], "sentence": texts.get(reason["clause"], ""), "inputs": [{
        "label": label(entry["term"]), "value": None if entry["value"] is None else value_words(entry["term"], entry["value"]), "source": source_words(entry["source"]), "at": papers.moment(entry["event_time"]),
        "where": plan_compute.place_name(entry["place"]) if entry.get("place") else entry["alias"],
    } for entry in reason.get("inputs", [])]} for reason in row.reasons]
    mine = any(post in access.posts(actor) for post in deciders)
    context = {
        "found": found, "row": row, "form": form, "items": items, "reasons": reasons, "title": local_words(found["plan_title"]), "words": local_words(found["level"]["label"]) or found["level"]["code"],
        "who": post_name(deciders[0]) if deciders else "", "mine": mine, "may": access.may(actor, "command.approve", row.region_id), "may_record": access.may(actor, "command.record", row.region_id),
        "incidents": queries.incidents(actor, realm, Incident.OPEN)[:50], "alternatives": [entry | {"words": local_words(entry.get("label")) or entry["level"]} for entry in row.alternatives],
        "running_words": level_words(found["running"]) if found["running"] else "", "answer_url": request.path, "open": row.state == "open", "clause_text": in_words(found["clause"]["text"]),
    }
    return render(request, "command/decide.html", context, status=422 if request.method == "POST" else 200)


@require_GET
def response_page(request: HttpRequest, key: UUID) -> HttpResponse:
    return _response(request, queries.one(Response, key, *_reader(request)))


def _response(request: HttpRequest, row: Response, form: Any = None) -> HttpResponse:
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    role = Level.objects.filter(pk=row.level_id_now).values_list("approver", flat=True).first() or ""
    posts = actions.line_up(plan_queries.approver(row.binding, role))
    given = list(queries.board(actor, realm, source=f"response:{row.pk}")[:500])
    decisions = [{
        "row": entry, "confirmation": CONFIRMATION[entry.confirmation], "post": post_name(entry.post_id), "from": entry.from_level, "to": entry.to_level,
        "mine": entry.confirmation == Decision.WAITING and entry.person_id == actor.person_id,
    } for entry in queries.decisions(actor, realm, row)]
    context = {
        "row": row, "subject": f"response:{row.pk}", "plan": local_words(row.plan_title), "words": level_words(row), "state": STATES[row.state], "orders": given, "counts": queries.order_counts(given, clock.now(realm)), "decisions": decisions,
        "levels": [entry | {"words": local_words(entry["label"]) or entry["code"]} for entry in plan_queries.levels_of(row.binding) if entry["code"] != row.level] if row.track == "response" else [],
        "lines": [_line(fact) for fact in queries.timeline(actor, realm, response=row, limit=150)], "documents": queries.documents(actor, realm).filter(response=row), "review": Review.objects.seen_by(actor, realm).filter(response=row).first(),
        "may": access.may(actor, "command.approve", row.region_id) or access.may(actor, "command.record", row.region_id), "may_report": access.may(actor, "command.report", row.region_id),
        "form": form or DecisionForm(posts=posts, actor=actor), "now": clock.now(realm),
        "holding": [entry | {"words": local_words(entry["label"])} for entry in plan_queries.still_met(row.binding, realm, row.track)] if row.state == Response.ACTIVE else [],
    }
    return render(request, "command/response.html", context, status=422 if form is not None else 200)


@require_POST
def response_do(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """Raise, lower or end a response."""
    actor, realm = _reader(request)
    row = queries.one(Response, key, actor, realm)
    role = Level.objects.filter(pk=row.level_id_now).values_list("approver", flat=True).first() or ""
    posts = actions.line_up(plan_queries.approver(row.binding, role))
    higher = next((entry for entry in plan_queries.levels_of(row.binding) if entry["code"] == request.POST.get("level", "")), None)
    if higher:
        posts = list(dict.fromkeys([*posts, *actions.line_up(higher["approver"])]))
    form = DecisionForm(request.POST, posts=posts, actor=actor)

    def decide_it() -> Any:
        values = form.values()
        act = request.act(occurred_at=form.cleaned_data["decided_at"] if values["behalf"] else None)  # type: ignore[attr-defined]
        if step == "level":
            return actions.change_level(act, response=row.pk, level=request.POST.get("level", ""), **values)
        if step != "end":
            raise Http404
        return actions.end_response(act, response=row.pk, carry=request.POST.get("carry") == "1", still_met=request.POST.getlist("still_met"), **values)

    done, _answer = attempt(form, decide_it)
    return redirect("command:response", row.pk) if done else _response(request, row, form)


@require_http_methods(["GET", "POST"])
def decision_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A decision recorded by telephone: whoever gave it confirms or denies it here."""
    actor, realm = _reader(request)
    row = queries.one(Decision, key, actor, realm)
    if request.method == "POST":
        actions.confirm_decision(request.act(), decision=row.pk, confirm=request.POST.get("step") == "confirm", remark=request.POST.get("remark", "")[:1000])  # type: ignore[attr-defined]
        return redirect("command:decision", row.pk)
    context = {"row": row, "post": post_name(row.post_id), "confirmation": CONFIRMATION[row.confirmation], "mine": row.confirmation == Decision.WAITING and row.person_id == actor.person_id}
    return render(request, "command/decision.html", context)


# --- orders, instructions --------------------------------------------------------------------------------------------


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """Every order of the reader's area with its receipts, what is due first on top."""
    actor, realm = _reader(request)
    access.require(actor, "orders.read")
    state = request.GET.get("state", "open")
    rows = queries.board(actor, realm, state="" if state == "all" else state)
    now = clock.now(realm)
    context = {"page": _paged(request, rows, 100), "state": state, "now": now, "counts": queries.order_counts(queries.board(actor, realm), now), "states": [
        ("open", _("open")), ("unanswered", _("waiting for an answer")), ("overdue", _("past the deadline")), ("done", _("done")), ("refused", _("refused")), ("all", _("all"))]}
    return render(request, "command/board.html", context)


@require_http_methods(["GET", "POST"])
def instruction_list(request: HttpRequest) -> HttpResponse:
    """Leaders' instructions and what became of them; record one."""
    actor, realm = _reader(request)
    may = access.may(actor, "command.instruct")
    events = list(queries.incidents(actor, realm, Incident.OPEN)[:100])
    form = InstructionForm(request.POST or None, actor=actor, incidents=events) if may or request.method == "POST" else None
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.record_instruction(request.act(), **form.values()))  # type: ignore[attr-defined,union-attr]
        if done:
            messages.success(request, _("Recorded and given to {post} as an order.").format(post=post_name(row.order.post_id)))
            return redirect("command:instruction_list")
    page = _paged(request, queries.instructions(actor, realm))
    for entry in page:
        entry.photographs = sum(len(files.of(actor, realm, subject)) for subject in (f"instruction:{entry.pk}", f"order:{entry.order_id}"))
    context = {"page": page, "form": form, "now": clock.now(realm)}
    return render(request, "command/instructions.html", context, status=422 if request.method == "POST" else 200)


@require_GET
def instruction(request: HttpRequest, key: UUID) -> HttpResponse:
    row = queries.one(Instruction, key, *_reader(request))
    return redirect("kernel:order", row.order_id)


# --- papers ----------------------------------------------------------------------------------------------------------


@require_GET
def document_list(request: HttpRequest) -> HttpResponse:
    actor, realm = _reader(request)
    return render(request, "command/documents.html", {"page": _paged(request, queries.documents(actor, realm))})


@require_POST
def make_document(request: HttpRequest) -> HttpResponse:
    """One click: number it, freeze it, show it."""
    actor, realm = _reader(request)
    response, incident = request.POST.get("response", ""), request.POST.get("incident", "")
    about = queries.one(Response, response, actor, realm).pk if response else None
    event = queries.one(Incident, incident, actor, realm).pk if incident else None
    row = actions.make_document(request.act(), kind=request.POST.get("kind", ""), response=about, incident=event, lang=request.POST.get("lang") or _lang())  # type: ignore[attr-defined]
    return redirect("command:document", row.pk)


@require_GET
def document_page(request: HttpRequest, key: UUID) -> HttpResponse:
    row = queries.one(Document, key, *_reader(request))
    return render(request, "command/document.html", {"row": row, "values": row.values, "made_by": person_name(row.made_by)})


@require_GET
def document_file(request: HttpRequest, key: UUID, form: str) -> HttpResponse:
    """The document as PDF or editable .docx, laid out from its frozen values."""
    if form not in ("pdf", "docx"):
        raise Http404
    row = queries.one(Document, key, *_reader(request))
    official = papers.official(row.values)
    body, kind = (engine.pdf(official, made_at=row.made_at, pictures=papers.pictures(row)), "application/pdf") if form == "pdf" else (engine.docx(official, made_at=row.made_at, pictures=papers.pictures(row)), DOCX)
    return _download(body, kind, f"{papers.file_name(row)}.{form}")


def _download(body: bytes, kind: str, name: str) -> HttpResponse:
    answer = HttpResponse(body, content_type=kind)
    from urllib.parse import quote

    answer["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    return answer


@require_GET
def shift_pack(request: HttpRequest) -> HttpResponse:
    """The pack to print before the machine fails: responses, orders, plan cards, telephone numbers as far as the reader may see them."""
    actor, realm = _reader(request)
    pack = papers.shift_pack(actor, realm, _lang(), peer(request))
    return _download(engine.pdf(pack, made_at=clock.now(realm)), "application/pdf", f"shift-pack-{clock.local(clock.now(realm)):%Y%m%d-%H%M}.pdf")


@require_GET
def rain(request: HttpRequest) -> HttpResponse:
    """Rain by town of a rain day (08–08), most first."""
    actor, realm = _reader(request)
    now = clock.now(realm)
    local = clock.local(now)
    try:
        day = date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        day = local.date() if local.hour < 8 else local.date() + timedelta(days=1)
    reach = access.regions(actor, "command.read")
    rows = [row for row in sensing_queries.rain_by_town(realm, day, until=now) if row["region"] in reach]
    start, end = sensing_queries.rain_day(day)
    return render(request, "command/rain.html", {"rows": rows, "day": day, "start": start, "end": min(end, max(now, start)), "before": day - timedelta(days=1), "after": day + timedelta(days=1)})


# --- review ----------------------------------------------------------------------------------------------------------


@require_GET
def review_page(request: HttpRequest, key: UUID) -> HttpResponse:
    actor, realm = _reader(request)
    row = queries.one(Review, key, actor, realm)
    steps = [step | step_words(step) | {"since": papers.moment(step["from"]), "until": papers.moment(step["to"])} for step in row.steps]
    lines = [_line(fact) for fact in reversed(queries.timeline(actor, realm, response=row.response, limit=1000))]
    context = {
        "row": row, "response": row.response, "plan": local_words(row.response.plan_title), "words": level_words(row.response), "steps": steps, "late": sum(step["late"] for step in steps), "lines": lines,
        "gaps": [
            {"row": gap, "words": STEPS.get(gap.step, gap.step), "state": STATES[gap.state], "post": post_name(gap.post_id) if gap.post_id else "", "mine": gap.post_id in access.posts(actor)}
            for gap in row.gaps.order_by("created_at")
        ], "may": access.may(actor, "command.approve", row.region_id),
    }
    return render(request, "command/review.html", context)


@require_http_methods(["GET", "POST"])
def gap(request: HttpRequest, key: UUID) -> HttpResponse:
    row = queries.one(Gap, key, *_reader(request))
    if request.method == "POST":
        actions.close_gap(request.act(), gap=row.pk, changed=request.POST.get("changed", ""))  # type: ignore[attr-defined]
    return redirect("command:review", row.review_id)


urlpatterns = [
    path("intake", intake, name="intake"),
    path("intake/hints", hints, name="hints"),
    path("facts", state_fact, name="state_fact"),
    path("facts/value", fact_value, name="fact_value"),
    path("reports", report_list, name="reports"),
    path("reports/<uuid:key>", report_page, name="report"),
    path("reports/<uuid:key>/<slug:step>", report_do, name="report_do"),
    path("incidents", incident_list, name="incidents"),
    path("incidents/<uuid:key>", incident_page, name="incident"),
    path("incidents/<uuid:key>/close", incident_close, name="incident_close"),
    path("incidents/<uuid:key>/map", incident_map, name="incident_map"),
    path("decide/<uuid:key>", decide, name="decide"),
    path("responses/<uuid:key>", response_page, name="response"),
    path("responses/<uuid:key>/<slug:step>", response_do, name="response_do"),
    path("decisions/<uuid:key>", decision_page, name="decision"),
    path("board", board, name="board"),
    path("instructions", instruction_list, name="instruction_list"),
    path("instructions/<uuid:key>", instruction, name="instructions"),
    path("documents", document_list, name="documents"),
    path("documents/make", make_document, name="make_document"),
    path("documents/<uuid:key>", document_page, name="document"),
    path("documents/<uuid:key>.<slug:form>", document_file, name="document_file"),
    path("shift-pack.pdf", shift_pack, name="shift_pack"),
    path("rain", rain, name="rain"),
    path("reviews/<uuid:key>", review_page, name="review"),
    path("gaps/<uuid:key>", gap, name="gap"),
    path("drills", pages_drills.drill_list, name="drills"),
    path("drills/new", pages_drills.drill_new, name="drill_new"),
    path("drills/<uuid:key>/script", pages_drills.script_page, name="drill_script"),
    path("drills/<uuid:key>/score", pages_drills.score, name="drill_score"),
    path("drills/<uuid:key>/report", pages_drills.report, name="drill_report"),
    path("drills/messages/<uuid:key>", pages_drills.inject, name="inject"),
]
