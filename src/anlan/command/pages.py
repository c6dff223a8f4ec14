"""Command's pages: intake while on the phone, incidents, the decision, the order board, documents, the review."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from anlan.kernel import access, clock, codes, shell
from anlan.kernel.errors import FORBIDDEN
from anlan.kernel.forms import attempt
from anlan.kernel.ids import new_id
from anlan.kernel.models import Assignment, Order, Post
from anlan.plans import queries as plan_queries
from anlan.plans.models import ResponseProposal
from anlan.plans.vocabulary import label as term_label
from anlan.plans.vocabulary import vocabulary

from . import actions, papers, queries
from .forms import DecideForm, DocumentForm, FactForm, IncidentForm, InstructionForm, ReportForm
from .models import Decision, Gap, Incident, Report, Response

app_name = "command"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def _read(request: HttpRequest) -> None:
    if not access.may(request.actor, "command.read"):  # type: ignore[attr-defined]
        raise FORBIDDEN(capability="command.read")


def _page(request: HttpRequest, rows: Any, size: int = 40) -> Any:
    return Paginator(rows, size).get_page(request.GET.get("page"))


def _key(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


# --- intake ----------------------------------------------------------------------------------------------------------


def intake(request: HttpRequest) -> HttpResponse:
    """One screen while on the phone: type, Tab, Enter. What may be the same event shows while typing."""
    access.require(request.actor, "command.take_report")  # type: ignore[attr-defined]
    first = _key(request.GET.get("first") or request.POST.get("first"))
    before = queries.report(request.actor, request.realm, first) if first else None  # type: ignore[attr-defined]
    form = ReportForm(request.POST or None, initial={
        "kind": "follow_up" if before else "first", "happened_at": clock.now(request.realm), "event": before.event if before else "",  # type: ignore[attr-defined]
        "place": before.place if before else "", "region": before.region_id if before else None,
    })
    done, row = (False, None)
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.take_report(request.act(), first=first, **form.values()))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Report taken. Now classify it."))
            return redirect("command:report", row.pk)
    places = Report.objects.seen_by(request.actor, request.realm).exclude(place="").order_by().values_list("place", flat=True).distinct()[:200]  # type: ignore[attr-defined]
    return render(request, "command/intake.html", {"form": form, "before": before, "places": places, "op_id": request.POST.get("op_id") or new_id()})


@require_GET
def like_this(request: HttpRequest) -> HttpResponse:
    """Reports that may speak of the same event, while the text is being typed."""
    found = queries.duplicates(
        request.actor, request.realm, text=request.GET.get("text", "")[:2000], place=request.GET.get("place", "")[:160], region=_key(request.GET.get("region")),  # type: ignore[attr-defined]
        event=request.GET.get("event", ""),
    )
    return render(request, "command/_alike.html", {"alike": found})


@require_GET
def report_list(request: HttpRequest) -> HttpResponse:
    _read(request)
    state, text = request.GET.get("state", ""), request.GET.get("q", "").strip()
    page = _page(request, queries.reports(request.actor, request.realm, text=text, state=state))  # type: ignore[attr-defined]
    return render(request, "command/reports.html", {"page": page, "q": text, "state": state, "states": [("", _("all")), ("open", _("to be classified")), ("merged", _("merged"))]})


def report_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A report: what was said, what may be the same, and what becomes of it."""
    row = queries.report(request.actor, request.realm, key)  # type: ignore[attr-defined]
    form = IncidentForm(initial={"title": row.text[:40], "kind": row.event, "region": row.region_id, "place": row.place})
    if request.method == "POST":
        do = request.POST.get("do")
        if do == "open":
            form = IncidentForm(request.POST)
            done, incident = attempt(form, lambda: actions.open_incident(request.act(expected_version=None), report=row.pk, **form.values()))  # type: ignore[attr-defined]
            if done:
                return redirect("command:incident", incident.pk)
        elif do == "merge" and _key(request.POST.get("into")):
            actions.merge_reports(request.act(), report=row.pk, into=_key(request.POST["into"]), reason=_("same event"))  # type: ignore[attr-defined]
            messages.success(request, _("Merged; both sources are kept."))
            return redirect("command:report", row.pk)
        elif do == "attach" and _key(request.POST.get("incident")):
            actions.attach_report(request.act(), report=row.pk, incident=_key(request.POST["incident"]))  # type: ignore[attr-defined]
            return redirect("command:incident", _key(request.POST["incident"]))
        elif do == "pass_on":
            actions.pass_on(request.act(), report=row.pk)  # type: ignore[attr-defined]
            return redirect("command:report", row.pk)
    context = {
        "row": row, "form": form, "event": codes.name("hazard", row.event) if row.event else "", "later": row.later.order_by("received_at"), "merged": row.merged.order_by("received_at"),
        "alike": [] if row.merged_into_id else queries.duplicates(request.actor, request.realm, text=row.text, place=row.place, region=row.region_id, event=row.event, at=row.happened_at, not_this=row.pk),  # type: ignore[attr-defined]
        "incidents": queries.incidents(request.actor, request.realm, state=Incident.OPEN)[:50], "taken_by": shell.person_name(row.taken_by),  # type: ignore[attr-defined]
        "counts": [(_(label), getattr(row, name)) for name, label in COUNT_WORDS if getattr(row, name) is not None], "op_id": new_id(), "subject": f"report:{row.pk}",
        "may_open": access.may(request.actor, "command.incident", row.region_id),  # type: ignore[attr-defined]
    }
    return render(request, "command/report.html", context)


COUNT_WORDS = (("dead", "dead"), ("missing", "missing"), ("injured", "injured"), ("trapped", "trapped"), ("moved", "moved to safety"))


def fact_page(request: HttpRequest) -> HttpResponse:
    """State an observed fact in the plans' own terms; they judge it at once."""
    access.require(request.actor, "command.take_report")  # type: ignore[attr-defined]
    spots = plan_queries.places_for_facts(request.realm)  # type: ignore[attr-defined]
    names = sorted({term for spot in spots for term in spot["terms"]})
    english = shell.localname_is_english()
    terms = [(name, f"{term_label(name)}{f' ({vocabulary()[name].unit})' if vocabulary()[name].unit else ''}") for name in names]
    places = [(spot["place"], spot["label"].get("en" if english else "zh") or spot["place"]) for spot in spots]
    form = FactForm(terms, places, request.POST or None, initial={"observed_at": clock.now(request.realm)})  # type: ignore[attr-defined]
    if request.method == "POST":
        def do() -> Any:
            data = form.cleaned_data
            return actions.state_fact(request.act(occurred_at=data["observed_at"]), term=data["term"], place=data["place"], value=data["value"], source=data["source"])  # type: ignore[attr-defined]

        done, row = attempt(form, do)
        if done:
            messages.success(request, _("Stated: {term}. The plans are judging it.").format(term=term_label(row.term)))
            return redirect("command:fact")
    recent = queries.observed(request.actor, request.realm)[:20]  # type: ignore[attr-defined]
    return render(request, "command/fact.html", {"form": form, "recent": [(row, term_label(row.term)) for row in recent], "op_id": request.POST.get("op_id") or new_id(), "any": bool(terms)})


# --- incidents -------------------------------------------------------------------------------------------------------


@require_GET
def incident_list(request: HttpRequest) -> HttpResponse:
    _read(request)
    state, text = request.GET.get("state", "open"), request.GET.get("q", "").strip()
    page = _page(request, queries.incidents(request.actor, request.realm, state="" if state == "all" else state, text=text))  # type: ignore[attr-defined]
    running = [(row, queries.response_name(row)) for row in queries.responses(request.actor, request.realm, state=Response.ACTIVE)[:50]]  # type: ignore[attr-defined]
    ended = [(row, queries.response_name(row)) for row in queries.responses(request.actor, request.realm, state=Response.ENDED).order_by("-ended_at")[:10]]  # type: ignore[attr-defined]
    return render(request, "command/incidents.html", {
        "page": page, "q": text, "state": state, "states": [("open", _("open")), ("closed", _("closed")), ("all", _("all"))], "running": running, "ended": ended,
        "proposals": plan_queries.open_proposals(request.actor, request.realm)[:20], "may_open": access.may(request.actor, "command.incident"),  # type: ignore[attr-defined]
    })


def incident_new(request: HttpRequest) -> HttpResponse:
    access.require(request.actor, "command.incident")  # type: ignore[attr-defined]
    form = IncidentForm(request.POST or None)
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.open_incident(request.act(), **form.values()))  # type: ignore[attr-defined]
        if done:
            return redirect("command:incident", row.pk)
    return render(request, "command/incident_new.html", {"form": form, "op_id": request.POST.get("op_id") or new_id()})


def incident_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """An incident: timeline, reports, responses, instructions, documents."""
    row = queries.incident(request.actor, request.realm, key)  # type: ignore[attr-defined]
    if request.method == "POST" and request.POST.get("do") == "close":
        actions.close_incident(request.act(), incident=row.pk, reason=request.POST.get("reason", ""))  # type: ignore[attr-defined]
        return redirect("command:incident", row.pk)
    if request.method == "POST" and request.POST.get("do") == "document":
        made = actions.make_document(request.act(), kind=request.POST.get("kind", "flash"), incident=row.pk, lang=_lang())  # type: ignore[attr-defined]
        return redirect("command:document", made.pk)
    lines = queries.timeline(request.actor, request.realm, row)  # type: ignore[attr-defined]
    return render(request, "command/incident.html", {
        "row": row, "event": codes.name("hazard", row.kind) if row.kind else "", "reports": row.reports.order_by("-received_at")[:100], "lines": [(fact, shell.say(fact)) for fact in lines[:200]],
        "responses": [(response, queries.response_name(response)) for response in row.responses.select_related("region").order_by("-started_at")],
        "instructions": queries.instructions(request.actor, request.realm, row.pk), "documents": row.documents.order_by("-made_at"),  # type: ignore[attr-defined]
        "counts": [(_(label), papers.counts(row)[name]) for name, label in COUNT_WORDS], "op_id": new_id(), "subject": f"incident:{row.pk}",
        "may": access.may(request.actor, "command.incident", row.region_id), "may_report": access.may(request.actor, "command.report", row.region_id),  # type: ignore[attr-defined]
    })


def instruction_page(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    """Leaders' instructions: record one, and see what became of each."""
    _read(request)
    form = InstructionForm(request.POST or None, initial={"given_at": clock.now(request.realm)})  # type: ignore[attr-defined]
    may = access.may(request.actor, "command.instruct")  # type: ignore[attr-defined]
    if request.method == "POST":
        done, _row = attempt(form, lambda: actions.record_instruction(request.act(), incident=_key(request.POST.get("incident")), **form.values()))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Recorded and given out as an order."))
            return redirect("command:instructions")
    page = _page(request, queries.instructions(request.actor, request.realm))  # type: ignore[attr-defined]
    return render(request, "command/instructions.html", {"page": page, "form": form, "may": may, "op_id": request.POST.get("op_id") or new_id(), "incident": request.GET.get("incident", ""), "chosen": key})


# --- decisions -------------------------------------------------------------------------------------------------------


def _lang() -> str:
    return "en" if shell.localname_is_english() else "zh"


def _deciders(line: list[UUID], not_this: Any) -> list[tuple[str, str]]:
    """People who hold a post that may decide: whose decision by telephone can be written down."""
    now = clock.now()
    held = Assignment.objects.filter(post_id__in=line, starts_at__lte=now).exclude(ends_at__lte=now).exclude(person_id=not_this).select_related("person", "post")
    return list({str(row.person_id): (str(row.person_id), f"{row.person.name} · {shell.localname(row.post)}") for row in held}.values())


def _behalf(form: DecideForm) -> dict[str, Any]:
    data = form.cleaned_data
    return {"behalf": _key(data["behalf"]), "means": data["means"] or ""} if data["behalf"] else {}


def decide(request: HttpRequest, key: UUID) -> HttpResponse:
    """The decision on a proposed level: evidence, sentence of the plan, alternatives, and whom it orders to do what."""
    found = plan_queries.proposal(key, request.realm, request.actor)  # type: ignore[attr-defined]
    row = found["row"]
    line = actions._deciders(row)
    english = shell.localname_is_english()
    lang = "en" if english else "zh"
    form = DecideForm(_deciders(line, request.actor.person_id), queries.incidents(request.actor, request.realm, state=Incident.OPEN), request.POST or None)  # type: ignore[attr-defined]
    if request.method == "POST" and row.state == ResponseProposal.OPEN:
        do = request.POST.get("do")

        def approve() -> Any:
            incident = form.cleaned_data["incident"]
            return actions.approve_proposal(request.act(occurred_at=form.cleaned_data["said_at"]), proposal=row.pk, reason=form.cleaned_data["reason"], incident=incident.pk if incident else None, **_behalf(form))  # type: ignore[attr-defined]

        def refuse() -> Any:
            return actions.refuse_proposal(request.act(occurred_at=form.cleaned_data["said_at"]), proposal=row.pk, reason=form.cleaned_data["reason"], **_behalf(form))  # type: ignore[attr-defined]

        done, answer = attempt(form, approve if do == "approve" else refuse)
        if done:
            if do == "approve":
                messages.success(request, _("Approved; the orders are out."))
                return redirect("command:response", answer.pk)
            messages.success(request, _("Refused; the reason is kept with the proposal."))
            return redirect("web:desk")
    posts = {post.pk: post for post in Post.objects.filter(pk__in=[post for item in found["actions"] for post in item["posts"]]).select_related("organisation")}
    items = [
        {**item, "words": item["text_en"] if english and item["text_en"] else item["text"], "names": [shell.localname(posts[post]) for post in item["posts"] if post in posts]}
        for item in found["actions"]
    ]
    reasons = [{**reason, "words": _in(reason.get("label"), lang), "sentence": _in(reason.get("text"), lang)} for reason in found["reasons"]]
    count = sum(len(item["posts"]) for item in found["actions"])
    label = _in(found["level"]["label"], lang) or found["level"]["code"]
    running = Response.objects.seen_by(request.actor, request.realm).filter(binding_id=row.binding_id, region_id=row.region_id, track=row.track, state=Response.ACTIVE).first()  # type: ignore[attr-defined]
    return render(request, "command/decide.html", {
        "found": found, "row": row, "label": label, "title": _in(found["plan_title"], lang), "clause": _in(found["clause"]["text"], lang), "reasons": reasons, "items": items, "form": form,
        "count": count, "post_count": len(posts), "who": shell.post_name(row.post_id), "mine": any(post in line for post in access.posts(request.actor)),  # type: ignore[attr-defined]
        "may": access.may(request.actor, "command.approve", row.region_id), "may_record": access.may(request.actor, "command.record", row.region_id),  # type: ignore[attr-defined]
        "alternatives": [{**other, "words": _in(other.get("label"), lang)} for other in found["alternatives"]], "running": running, "op_id": request.POST.get("op_id") or new_id(),
        "press": ngettext("Approve {level}: issue {n} order to {posts} post(s)", "Approve {level}: issue {n} orders to {posts} post(s)", count).format(level=label, n=count, posts=len(posts)),
        "subject": f"proposal:{row.pk}", "open": row.state == ResponseProposal.OPEN,
    })


def _in(words: Any, lang: str) -> str:
    if isinstance(words, str) or not words:
        return words or ""
    return words.get(lang) or words.get("zh") or words.get("en") or ""


def response_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A response: level and clock, orders with receipts, decisions, timeline; raise, lower, end, report."""
    row = queries.response(request.actor, request.realm, key)  # type: ignore[attr-defined]
    line = actions._answerable(row)
    form = DecideForm(_deciders(line, request.actor.person_id), Incident.plain.none(), request.POST or None)  # type: ignore[attr-defined]
    if request.method == "POST":
        do = request.POST.get("do", "")
        if do == "document":
            made = actions.make_document(request.act(expected_version=None), kind=request.POST.get("kind", ""), response=row.pk, lang=_lang())  # type: ignore[attr-defined]
            return redirect("command:document", made.pk)

        def level() -> Any:
            return actions.change_level(request.act(occurred_at=form.cleaned_data["said_at"]), response=row.pk, level=request.POST.get("level", ""), reason=form.cleaned_data["reason"], **_behalf(form))  # type: ignore[attr-defined]

        def end() -> Any:
            return actions.end_response(request.act(occurred_at=form.cleaned_data["said_at"]), response=row.pk, reason=form.cleaned_data["reason"], carry=request.POST.get("carry") == "1", **_behalf(form))  # type: ignore[attr-defined]

        if do in ("level", "end"):
            done, _row = attempt(form, level if do == "level" else end)
            if done:
                messages.success(request, _("Done; it is in the journal."))
                return redirect("command:response", row.pk)
    orders = list(queries.orders_of(request.actor, request.realm, f"response:{row.pk}"))  # type: ignore[attr-defined]
    tally = [(label, sum(1 for order in orders if order.state in states)) for label, states in TALLY]
    lines = queries.timeline(request.actor, request.realm, row)  # type: ignore[attr-defined]
    english = shell.localname_is_english()
    return render(request, "command/response.html", {
        "row": row, "name": queries.response_name(row), "label": papers.level_words(row, "en" if english else "zh"), "orders": orders, "tally": [(_(label), n) for label, n in tally],
        "decisions": row.decisions.select_related("person", "post", "recorded_by").order_by("-decided_at"), "lines": [(fact, shell.say(fact)) for fact in lines[:200]], "form": form,
        "levels": [{**level, "words": _in(level["label"], "en" if english else "zh")} for level in plan_queries.levels_of(row.binding)] if row.track == "response" else [],
        "documents": row.documents.order_by("-made_at"), "kinds": DocumentForm().fields["kind"].choices, "review": getattr(row, "review", None), "op_id": new_id(),
        "may": access.may(request.actor, "command.approve", row.region_id), "may_record": access.may(request.actor, "command.record", row.region_id),  # type: ignore[attr-defined]
        "may_report": access.may(request.actor, "command.report", row.region_id), "active": row.state == Response.ACTIVE, "subject": f"response:{row.pk}",  # type: ignore[attr-defined]
        "open_count": sum(1 for order in orders if order.state in Order.OPEN_STATES),
    })


TALLY = (
    ("not yet read", ("issued", "delivered")), ("read", ("read",)), ("under way", ("accepted", "progress")), ("done", ("done",)), ("refused", ("refused",)),
)


def confirm(request: HttpRequest, key: UUID) -> HttpResponse:
    """补签: confirm or deny a decision that was written down on one's behalf."""
    row = Decision.objects.seen_by(request.actor, request.realm).filter(pk=key).select_related("person", "recorded_by", "response", "post").first()  # type: ignore[attr-defined]
    if row is None:
        from anlan.kernel.errors import NOT_FOUND

        raise NOT_FOUND(kind=_("decision"), key=key)
    if request.method == "POST":
        actions.confirm_decision(request.act(), decision=row.pk, confirm=request.POST.get("do") == "confirm", remark=request.POST.get("remark", ""))  # type: ignore[attr-defined]
        return redirect("command:confirm", row.pk)
    return render(request, "command/confirm.html", {"row": row, "mine": row.person_id == request.actor.person_id, "op_id": new_id()})  # type: ignore[attr-defined]


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """The order board: every order of one's regions with its receipts."""
    state, late = request.GET.get("state", ""), request.GET.get("late") == "1"
    page = _page(request, queries.board(request.actor, request.realm, state=state, late=late, post=_key(request.GET.get("post")), source=request.GET.get("source", "")[:80]), 60)  # type: ignore[attr-defined]
    return render(request, "command/_board.html" if request.headers.get("HX-Target") == "board" else "command/board.html", {
        "page": page, "state": state, "late": late, "states": ["", *Order.OPEN_STATES, Order.DONE, Order.REFUSED, Order.WITHDRAWN], "now": clock.now(request.realm),  # type: ignore[attr-defined]
    })


# --- papers ----------------------------------------------------------------------------------------------------------


@require_GET
def document_page(request: HttpRequest, key: UUID) -> HttpResponse:
    row = queries.document(request.actor, request.realm, key)  # type: ignore[attr-defined]
    return render(request, "command/document.html", {"row": row, "blocks": row.values["body"], "made_by": shell.person_name(row.made_by)})


@require_GET
def document_file(request: HttpRequest, key: UUID, kind: str) -> HttpResponse:
    row = queries.document(request.actor, request.realm, key)  # type: ignore[attr-defined]
    data, mime = (papers.as_docx(row), DOCX) if kind == "docx" else (papers.as_pdf(row), "application/pdf")
    answer = HttpResponse(data, content_type=mime)
    answer["Content-Disposition"] = f'attachment; filename="anlan-{row.kind}-{row.year}-{row.number}.{kind}"'
    return answer


@require_GET
def shift_pack(request: HttpRequest) -> HttpResponse:
    """What to print before the machine fails: telephones, plan cards, open orders."""
    _read(request)
    answer = HttpResponse(papers.shift_pack(request.actor, request.realm, _lang()), content_type="application/pdf")  # type: ignore[attr-defined]
    answer["Content-Disposition"] = 'attachment; filename="anlan-shift-pack.pdf"'
    return answer


@require_GET
def review_page(request: HttpRequest, key: UUID) -> HttpResponse:
    row = queries.review(request.actor, request.realm, key)  # type: ignore[attr-defined]
    from datetime import datetime

    steps = [{**step, "from_at": datetime.fromisoformat(step["from"]), "to_at": datetime.fromisoformat(step["to"]) if step["to"] else None} for step in row.steps]
    return render(request, "command/review.html", {
        "row": row, "name": queries.response_name(row.response), "steps": steps, "late": sum(1 for step in steps if step["late"]), "gaps": row.gaps.order_by("id"),
        "lines": [(fact, shell.say(fact)) for fact in queries.timeline(request.actor, request.realm, row.response)], "op_id": new_id(),  # type: ignore[attr-defined]
        "may": access.may(request.actor, "command.approve", row.region_id),  # type: ignore[attr-defined]
    })


@require_POST
def close_gap(request: HttpRequest, key: UUID) -> HttpResponse:
    row: Gap = actions.close_gap(request.act(), gap=key, changed=request.POST.get("changed", ""))  # type: ignore[attr-defined]
    return redirect("command:review", row.review_id)


urlpatterns = [
    path("intake", intake, name="intake"),
    path("intake/alike", like_this, name="alike"),
    path("reports", report_list, name="reports"),
    path("reports/<uuid:key>", report_page, name="report"),
    path("facts", fact_page, name="fact"),
    path("incidents", incident_list, name="incidents"),
    path("incidents/new", incident_new, name="incident_new"),
    path("incidents/<uuid:key>", incident_page, name="incident"),
    path("instructions", instruction_page, name="instructions"),
    path("instructions/<uuid:key>", instruction_page, name="instructions"),
    path("proposals/<uuid:key>", decide, name="decide"),
    path("responses/<uuid:key>", response_page, name="response"),
    path("decisions/<uuid:key>", confirm, name="confirm"),
    path("orders", board, name="board"),
    path("documents/<uuid:key>", document_page, name="document"),
    path("documents/<uuid:key>.<str:kind>", document_file, name="document_file"),
    path("shift-pack.pdf", shift_pack, name="shift_pack"),
    path("reviews/<uuid:key>", review_page, name="review"),
    path("gaps/<uuid:key>/close", close_gap, name="close_gap"),
]
