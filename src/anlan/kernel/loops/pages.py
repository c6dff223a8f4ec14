"""Pages every declared loop has: index, board, list, map, a case with its timeline, the form of each step, statistics, re-checks, rules."""
from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from .. import access, access_log, clock, files, sheets, shell
from ..errors import FORBIDDEN, INVALID, NOT_FOUND
from ..forms import attempt
from ..ids import new_id
from ..middleware import address
from ..models import CaseRow, Organisation, Post, Recheck, RecheckDraw
from ..registers import exporting, listing
from ..registers import pages as register_pages
from . import actions, holidays, importing, lint, printing, queries, statistics
from .declare import LOOPS, Loop, Step, Within, get
from .forms import StepForm

GROUPS = 25  # lines of the statistics shown at first


def _loop(request: HttpRequest, name: str) -> Loop:
    """The loop, if this person reads it anywhere."""
    declared = LOOPS.get(name)
    if declared is None or not access.may(request.actor, declared.read):  # type: ignore[attr-defined]
        raise NOT_FOUND(kind=_("closed loop"), key=name[:40])
    return declared


def _links(declared: Loop) -> listing.Links:
    """Where the list's and the map's buttons lead."""
    here = [declared.name]
    at: dict[str, Any] = {
        "list": reverse("kernel:loop_list", args=here), "map": reverse("kernel:loop_map", args=here), "map_data": reverse("kernel:loop_map_data", args=here),
        "new": reverse("kernel:loop_new", args=here), "views": reverse("kernel:register_views", args=here), "export": reverse("kernel:loop_export", args=here),
        "print": reverse("kernel:loop_print", args=here), "chosen": "", "labels": "", "import": "", "template": "", "index": reverse("kernel:loops"), "index_label": _("Closed loops"),
        "new_label": str(declared.open.label), "tabs": _tabs(declared),
    }
    return listing.Links(at, lambda row: reverse("kernel:case", args=[row.pk]))


def _tabs(declared: Loop) -> list[dict[str, str]]:
    """The tabs beside list and map."""
    tabs = [{"key": "board", "url": reverse("kernel:loop", args=[declared.name]), "icon": "square-kanban", "label": _("Board")}]
    tabs.append({"key": "statistics", "url": reverse("kernel:loop_statistics", args=[declared.name]), "icon": "chart-column", "label": _("Statistics")})
    if declared.recheck:
        tabs.append({"key": "rechecks", "url": reverse("kernel:loop_rechecks", args=[declared.name]), "icon": "search-check", "label": _("Re-checks")})
    tabs.append({"key": "rules", "url": reverse("kernel:loop_rules", args=[declared.name]), "icon": "workflow", "label": _("Rules")})
    return tabs + listing.tabs(declared)


def _frame(request: HttpRequest, declared: Loop, here: str) -> dict[str, Any]:
    return {
        "loop": declared, "reg": declared.register, "links": _links(declared).at, "here": here,
        "may_open": access.may(request.actor, declared.open.may) and not request.realm.is_over and declared.by_hand,  # type: ignore[attr-defined]
    }


# --- index, board, list, map -------------------------------------------------------------------------------------------------


def index(request: HttpRequest) -> HttpResponse:
    """The loops this person may read: what is open, overdue, waits for him."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    lines = [{"loop": one, "counts": queries.counts(actor, realm, one), "may_open": access.may(actor, one.open.may) and one.by_hand} for one in sorted(queries.readable(actor), key=lambda one: not one.by_hand)]
    return render(request, "loops/index.html", {"lines": lines})


def board(request: HttpRequest, name: str) -> HttpResponse:
    """The board: one column for each state."""
    declared = _loop(request, name)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    params = {key: request.GET.get(key, "")[:60].replace("\x00", "") for key in queries.FILTERS}
    columns = queries.board(actor, realm, declared, params)
    now = clock.now(realm)
    for column in columns:
        for row in column.cards:
            row.left_words = queries.left(row, now)
    units = Organisation.objects.filter(pk__in=queries.cases(actor, realm, declared).filter(closed_at=None).exclude(organisation=None).values("organisation")).order_by("name")[:200]
    from .. import codes

    context = _frame(request, declared, "board") | {
        "columns": [column for column in columns if not column.final], "ends": [column for column in columns if column.final], "params": params,
        "units": [(str(unit.pk), shell.localname(unit)) for unit in units], "sources": codes.choices(declared.sources) if declared.sources else [],
        "total": sum(column.count for column in columns if not column.final), "overdue": sum(column.overdue for column in columns),
    }
    return render(request, "loops/_board.html" if request.headers.get("HX-Target") == "board" else "loops/board.html", context)


def rows(request: HttpRequest, name: str) -> HttpResponse:
    """The list: search, filters, saved views, columns, paging as every register has."""
    declared = _loop(request, name)
    return listing.listing(request, declared.register, _links(declared), realm=request.realm, extra=_frame(request, declared, "list"), template="loops/list.html")  # type: ignore[attr-defined]


def on_map(request: HttpRequest, name: str) -> HttpResponse:
    declared = _loop(request, name)
    return listing.map_page(request, declared.register, _links(declared), realm=request.realm, extra=_frame(request, declared, "map"))  # type: ignore[attr-defined]


def map_data(request: HttpRequest, name: str) -> JsonResponse:
    declared = _loop(request, name)
    return JsonResponse(listing.map_config(request, declared.register, points=reverse("kernel:loop_map_points", args=[name]), realm=request.realm))  # type: ignore[attr-defined]


def map_points(request: HttpRequest, name: str) -> JsonResponse:
    declared = _loop(request, name)
    return JsonResponse(listing.map_points(request, declared.register, _links(declared), realm=request.realm))  # type: ignore[attr-defined]


# --- a case ------------------------------------------------------------------------------------------------------------------


def case(request: HttpRequest, key: UUID, opened: frozenset[str] = frozenset()) -> HttpResponse:
    """A case: where it stands, what may be done now, what has been done."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    declared, row = queries.find(actor, realm, key)
    subject, now = declared.subject_of(row), clock.now(realm)
    choices = queries.choices(actor, declared, row)
    facts = queries.facts(actor, declared, row, opened)
    able = actions.posts_that_may({step.may for step in declared.steps_from(row.state)}, row) if not row.closed_at else []
    may_assign = not row.closed_at and not realm.is_over and (
        bool({row.post_id, row.escalated_to_id} & set(access.posts(actor))) or bool(declared.assign_may and access.may(actor, declared.assign_may, row.region_id, row.organisation_id))
    )
    lines = queries.timeline(actor, declared, row, opened)
    path = [(state, _place(declared, row, state.name, lines)) for state in declared.states]
    used = {key for line in lines for key in line.row.files}
    context = {
        "panels": register_pages._panels(request, declared, row), "loop": declared, "case": row, "state_label": declared.state_label(row.state), "state_note": declared.state[row.state].note if row.state in declared.state else "",
        "subject": subject, "choices": [one for one in choices if not one.why], "blocked": [one for one in choices if one.why], "lines": lines, "facts": facts,
        "left": queries.left(row, now), "now": now, "due_words": queries.day_words(row.due_at), "first_due_words": queries.day_words(row.first_due_at), "path": [(state, place) for state, place in path if place], "files": [file for file in files.of(actor, realm, subject) if file.pk not in used],
        "masked": [fact.label for fact in facts if fact.masked], "may_reveal": bool(queries.may_open(actor, declared, row)) and not opened and _has_personal(declared, facts, lines),
        "may_assign": may_assign, "posts": [(post, shell.post_name(post)) for post in able if post != row.post_id][:100], "opener": shell.person_name(row.opened_by),
        "small_map": reverse("web:map_data") + f"?at={row.lon},{row.lat}" if row.lon is not None and row.lat is not None else "",
        "source_text": _source(declared, row), "rechecks": Recheck.objects.of(realm).filter(of_case=row.pk).order_by("opened_at") if declared.recheck else [],
        "original": Recheck.objects.of(realm).get(pk=row.pk).of_case if isinstance(row, Recheck) and row.of_case else None, "over": realm.is_over,
    }
    return render(request, "loops/_case.html" if request.headers.get("HX-Target") == "case" else "loops/case.html", context)


def _place(declared: Loop, row: CaseRow, state: str, lines: list[queries.Line]) -> str:
    """Of a state on the way: now, been, ahead; empty for ends that were not reached."""
    if state == row.state:
        return "now"
    if any(line.row.to_state == state for line in lines):
        return "been"
    return "" if declared.state[state].final or row.closed_at else "ahead"


def _has_personal(declared: Loop, facts: list[queries.Fact], lines: list[queries.Line]) -> bool:
    names = {item.name for step in (declared.open, *declared.step.values()) for item in declared.form_of(step) if item.personal}
    return any(fact.masked for fact in facts) or any(names & set(line.row.data) for line in lines)


def _source(declared: Loop, row: CaseRow) -> str:
    from .. import codes

    return codes.name(declared.sources, row.source) if declared.sources and row.source else row.source


@require_POST
def reveal(request: HttpRequest, key: UUID) -> HttpResponse:
    """Show the personal fields of one case once, for a purpose; who, when and why is kept."""
    actor = request.actor  # type: ignore[attr-defined]
    declared, row = queries.find(actor, request.realm, key)  # type: ignore[attr-defined]
    purpose = request.POST.get("purpose", "").strip()[:120]
    if not purpose:
        raise INVALID([{"field": "purpose", "why": _("say what you need it for")}])
    opened = queries.may_open(actor, declared, row)
    if opened:
        access_log.note(actor, "read", declared.subject_of(row), fields=sorted(opened), purpose=purpose, address=address(request))
    return case(request, key, opened)


def _says(declared: Loop, choice: queries.Choice | None) -> str:
    """What pressing the button leads to, in a sentence."""
    if choice is None:
        return ""
    if choice.final:
        return _("The case is closed as “{state}”.").format(state=choice.next_label)
    parts = [_("It goes on to “{state}”.").format(state=choice.next_label)]
    if choice.next_post:
        parts.append(_("{post} has it next.").format(post=choice.next_post))
    if choice.due_at:
        parts.append(_("Deadline {when}.").format(when=choice.due_words))
    return (" " if shell.localname_is_english() else "").join(parts)


def step(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """The form of one step, and taking it."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    declared, row = queries.find(actor, realm, key)
    chosen = actions.step_of(declared, step)
    if request.method == "POST":
        form = StepForm(declared, chosen, actor, request.POST, request.FILES, row=row)
        done, _answer = attempt(form, lambda: _take(request, declared, chosen, row, form))
        if done:
            row.refresh_from_db(fields=["state"])
            messages.success(request, _("Done: {step}. The case is now “{state}”.").format(step=chosen.label, state=declared.state_label(row.state)))
            return redirect("kernel:case", key)
    else:
        actions.check(declared, chosen, row, actor)
        form = StepForm(declared, chosen, actor, row=row)
    choice = next((one for one in queries.choices(actor, declared, row) if one.step.name == step), None)
    context = {
        "loop": declared, "case": row, "step": chosen, "form": form, "says": _says(declared, choice if choice and not choice.why else None), "heading": chosen.label,
        "cancel": reverse("kernel:case", args=[key]), "crumb": f"{row.number} {row.title}", "late": row.due_at is not None and clock.now(realm) > row.due_at, "draft": f"{key}-{step}",
        "provisional": bool(choice and choice.provisional),
    }
    return render(request, "loops/step.html", context, status=422 if request.method == "POST" else 200)


def _take(request: HttpRequest, declared: Loop, chosen: Step, row: CaseRow, form: StepForm) -> CaseRow:
    act = request.act()  # type: ignore[attr-defined]
    with transaction.atomic():
        held = _hold(act, declared, row.pk, form)
        return actions.step(act, loop=declared.name, case=row.pk, step=chosen.name, data=form.values(), files=held, note=form.note)


def _hold(act: Any, declared: Loop, key: UUID, form: StepForm) -> list[str]:
    """Keep the uploads for the step; in its transaction, so that a refused step leaves none behind."""
    return [
        str(actions.hold(act.child(step=f"file {number}"), loop=declared.name, case=key, name=name, content=content).pk)
        for number, (name, content) in enumerate(form.uploads())
    ]


def new(request: HttpRequest, name: str) -> HttpResponse:
    """Open a case."""
    declared = _loop(request, name) if access.may(request.actor, get(name).read) else get(name)  # type: ignore[attr-defined]
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, declared.open.may)
    if not declared.by_hand:
        raise FORBIDDEN(capability=declared.open.may)
    if declared.new_page:
        return redirect(declared.new_page)
    if request.method == "POST":
        form = StepForm(declared, declared.open, actor, request.POST, request.FILES)
        key = _key(request.POST.get("case", ""))
        done, row = attempt(form, lambda: _open(request, declared, form, key))
        if done:
            messages.success(request, _("{number} is opened.").format(number=row.number))
            return redirect("kernel:case", row.pk)
    else:
        form, key = StepForm(declared, declared.open, actor), new_id()
        for field in set(form.fields) & set(request.GET):  # a page that leads here says what is known already
            form.fields[field].initial = request.GET[field][:200]
    label = declared.state_label(declared.open.to)
    context = {
        "loop": declared, "step": declared.open, "form": form, "key": key, "heading": declared.open.label, "says": _("It begins as “{state}”.").format(state=label),
        "cancel": reverse("kernel:loop", args=[name]), "crumb": "", "draft": f"new-{name}", "over": realm.is_over,
    }
    return render(request, "loops/step.html", context, status=422 if request.method == "POST" else 200)


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return new_id()


def _open(request: HttpRequest, declared: Loop, form: StepForm, key: UUID) -> CaseRow:
    act = request.act()  # type: ignore[attr-defined]
    with transaction.atomic():
        held = _hold(act, declared, key, form)
        return actions.open(act, loop=declared.name, values=form.values(), files=held, id=str(key))


@require_POST
def comment(request: HttpRequest, key: UUID) -> HttpResponse:
    declared, row = queries.find(request.actor, request.realm, key)  # type: ignore[attr-defined]
    act = request.act()  # type: ignore[attr-defined]
    act.expected_version = None
    actions.comment(act, loop=declared.name, case=row.pk, text=request.POST.get("text", ""))
    return redirect(reverse("kernel:case", args=[key]) + "#timeline")


@require_POST
def assign(request: HttpRequest, key: UUID) -> HttpResponse:
    declared, row = queries.find(request.actor, request.realm, key)  # type: ignore[attr-defined]
    given = request.POST.get("post", "")
    if not Post.objects.filter(pk=_key(given), active=True).exists():
        raise INVALID([{"field": "post", "why": _("choose a post")}])
    actions.assign(request.act(), loop=declared.name, case=row.pk, post=_key(given), note=request.POST.get("note", ""))  # type: ignore[attr-defined]
    messages.success(request, _("Given to {post}.").format(post=shell.post_name(_key(given))))
    return redirect("kernel:case", key)


# --- paper --------------------------------------------------------------------------------------------------------------------


def paper(request: HttpRequest, key: UUID) -> HttpResponse:
    """The case's file as PDF: facts, timeline, list of evidence. An exercise's paper says so on every page."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    declared, row = queries.find(actor, realm, key)
    access_log.note(actor, "print", declared.subject_of(row), count=1, purpose=_("case file"), address=address(request))
    content = printing.case_file(actor, declared, row, register_pages.watermark(request))
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(row.number)}.pdf"
    return response


def _asked(request: HttpRequest, declared: Loop) -> tuple[list[Any], list[Any], list[list[str]]]:
    """(rows, columns, cells) of what the list shows under its filters, at most 10,000."""
    from ..registers import queries as register_queries

    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    reg = declared.register
    wanted = listing.asked(reg, request.GET)
    found = register_queries.narrow(register_queries.scope(actor, reg, realm=realm), reg, q=wanted.q, filters=wanted.filters)
    order = (wanted.sort or reg.sort) if (wanted.sort or reg.sort).lstrip("-") in reg.columns else "-opened_at"
    shown = list(found.defer("words").select_related("region", "organisation", "post__organisation").order_by(order, "id")[:10_000])
    columns = [one for one in register_queries.columns(actor, reg, wanted.columns or list(reg.by_name)) if one.kind != "point"]
    names = listing.names_of(columns, shown)
    cells = []
    for row in shown:
        line = []
        for one in columns:
            cell = listing.covered(reg, actor, one, row, names)
            line.append(cell[0] if cell else "")
        cells.append([*line, shell.post_name(row.post_id) if row.post_id else ""])
    return shown, columns, cells


def export(request: HttpRequest, name: str) -> HttpResponse:
    """The cases under the list's filters as a spreadsheet, watermarked; the export is logged."""
    declared = _loop(request, name)
    shown, columns, cells = _asked(request, declared)
    access_log.note(request.actor, "export", f"loop:{name}", count=len(shown), purpose=_("list of cases"), address=address(request))  # type: ignore[attr-defined]
    content = sheets.write(str(declared.label), [*(one.title for one in columns), _("With")], cells, watermark=register_pages.watermark(request))
    return exporting.answer(content, f"{declared.label}.xlsx")


def printed(request: HttpRequest, name: str) -> HttpResponse:
    """The ledger under the list's filters as PDF."""
    declared = _loop(request, name)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    shown, _columns, _cells = _asked(request, declared)
    access_log.note(actor, "print", f"loop:{name}", count=len(shown), purpose=_("list of cases"), address=address(request))
    response = HttpResponse(printing.ledger(declared, realm, shown, register_pages.watermark(request)), content_type="application/pdf")
    response["Content-Disposition"] = f"inline; filename*=UTF-8''{quote(str(declared.label))}.pdf"
    return response


# --- figures, re-checks, rules ---------------------------------------------------------------------------------------------------


def _month(text: str) -> datetime | None:
    try:
        if not 1990 <= int(text[:4]) <= 2100:
            return None
        return clock.local(clock.now()).replace(year=int(text[:4]), month=int(text[5:7]), day=1, hour=0, minute=0, second=0, microsecond=0)
    except ValueError:
        return None


def _after(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


def _report(request: HttpRequest, declared: Loop, by: str = "") -> statistics.Report:
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    here = clock.local(clock.now(realm))
    start = _month(request.GET.get("from", "")) or here.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    last = _month(request.GET.get("to", "")) or here
    end = _after(max(start, last).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    return statistics.report(actor, realm, declared, start=start, end=end, by=by or request.GET.get("by", ""), level=request.GET.get("level", "county"))


def figures(request: HttpRequest, name: str) -> HttpResponse:
    """On-time closure, steps on time, time in each state, reopenings: by unit, place, source or month."""
    declared = _loop(request, name)
    found = _report(request, declared)
    if request.GET.get("export"):
        access_log.note(request.actor, "export", f"loop:{name}", count=len(found.groups), purpose=_("statistics"), address=address(request))  # type: ignore[attr-defined]
        title = f"{declared.label} {_('Statistics')} {found.start:%Y-%m}–{found.end - timedelta(days=1):%Y-%m}"
        return exporting.answer(sheets.write(title, statistics.head_words(), statistics.rows(found), watermark=register_pages.watermark(request)), f"{title}.xlsx")
    groups = [("organisation", _("Unit")), ("region", _("Place")), ("month", _("Month"))]
    if declared.sources:
        groups.insert(2, ("source", _("Source")))
    query = request.GET.copy()
    shown = found.groups if request.GET.get("all") else found.groups[:GROUPS]
    context = _frame(request, declared, "statistics") | {
        "found": found, "shown": shown, "more": len(found.groups) > len(shown), "first": f"{found.start:%Y-%m}", "last": f"{found.end - timedelta(days=1):%Y-%m}", "by_label": dict(groups)[found.by], "groups": groups, "level": request.GET.get("level", "county"),
        "levels": [("county", _("County")), ("town", _("Town"))], "query": query.urlencode(), "months": [f"{month:%Y-%m}" for month in statistics.months(request.realm, 36)],  # type: ignore[attr-defined]
    }
    return render(request, "loops/statistics.html", context)


def curve(request: HttpRequest, name: str) -> JsonResponse:
    """Closed and closed on time by month, for the chart."""
    declared = _loop(request, name)
    found = _report(request, declared, by="month")

    def points(value: Any) -> list[list[Any]]:
        return [[f"{one.key}-01T00:00:00+08:00", value(one), ""] for one in found.groups]

    return JsonResponse({
        "title": str(declared.label),
        "panels": [
            {"unit": _("cases"), "name": _("Closed"), "kind": "bar", "series": [
                {"name": _("Closed"), "points": points(lambda one: one.closed)}, {"name": _("Closed on time"), "points": points(lambda one: one.closed_on_time)},
            ]},
            {"unit": "%", "name": _("On-time closure, %"), "kind": "line", "series": [{"name": _("On-time closure, %"), "points": points(lambda one: one.closed_rate)}]},
        ],
        "gap_s": 40 * 86400, "from": found.start.isoformat(), "to": found.end.isoformat(),
    })


def rechecks(request: HttpRequest, name: str) -> HttpResponse:
    """The draws of closed cases: what was drawn, from how many, with which seed; and whether drawing again gives the same."""
    declared = _loop(request, name)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    if declared.recheck is None:
        raise NOT_FOUND(kind=_("page"), key=name)
    if request.method == "POST":
        month = _month(request.POST.get("month", ""))
        if month is None:
            raise INVALID([{"field": "month", "why": _("choose a month")}])
        made = actions.draw(request.act(), loop=name, closed_from=month.isoformat(), closed_to=_after(month).isoformat())
        messages.success(request, _("{n} of {all} closed cases were drawn.").format(n=len(made.chosen), all=len(made.population)))
        return redirect("kernel:loop_rechecks", name)
    may = access.may(actor, "loops.recheck", None)
    draws = []
    cases = {row.of_case: row for row in queries.cases(actor, realm, get("kernel.recheck")).filter(of_loop=name)} if may else {}
    for draw in RecheckDraw.objects.of(realm).filter(loop=name).order_by("-closed_from")[:24] if may else []:
        repeated = actions.pick([(UUID(key), weight) for key, weight in draw.population], draw.seed, len(draw.chosen))
        mine = [cases[key] for key in draw.chosen if key in cases]
        draws.append({
            "draw": draw, "same": repeated == draw.chosen, "who": shell.person_name(draw.drawn_by) or _("system"), "size": len(draw.population), "cases": mine, "other": len(draw.chosen) - len(mine),
            "period": f"{clock.local(draw.closed_from):%Y-%m-%d} – {clock.local(draw.closed_to) - timedelta(days=1):%Y-%m-%d}",
        })
    again = get("kernel.recheck")
    for one in draws:
        one["cases"] = [(row, again.state_label(row.state)) for row in one["cases"]]  # type: ignore[union-attr]
    context = _frame(request, declared, "rechecks") | {
        "draws": draws, "may_draw": may and not realm.is_over, "months": [f"{month:%Y-%m}" for month in statistics.months(realm, 13)[1:]], "share": round(declared.recheck.share * 100, 1), "may": may,
    }
    return render(request, "loops/rechecks.html", context)


def within_words(limit: Any) -> str:
    """A time limit in words."""
    if limit is None:
        return ""
    if not isinstance(limit, Within):
        return _("by the case")
    if limit.working_days:
        return _("{n} working days").format(n=limit.working_days)
    if limit.days:
        return _("{n} days").format(n=limit.days)
    if limit.hours:
        return _("{n} hours").format(n=f"{limit.hours:g}")
    return _("the date given")


def rules(request: HttpRequest, name: str) -> HttpResponse:
    """The declaration as a table: who may do what from where, with what in hand, until when."""
    declared = _loop(request, name)
    lines = []
    for one in (declared.open, *declared.step.values()):
        capability = access.CAPABILITIES.get(one.may)
        evidence = [part for part in (
            _("{n} photographs").format(n=one.evidence.photos) if one.evidence.photos else "", _("{n} files").format(n=one.evidence.files) if one.evidence.files else "",
        ) if part]
        lines.append({
            "step": one, "from": "、".join(declared.state_label(state) for state in one.from_) or "—", "to": declared.state_label(one.to), "may": capability.text if capability else one.may,
            "form": "、".join(field.title for field in declared.form_of(one)), "evidence": "、".join(evidence), "others": "、".join(declared.step_label(other) for other in one.other_than),
            "within": within_words(one.within) if not declared.state[one.to].final else "",
        })
    context = _frame(request, declared, "rules") | {
        "lines": lines, "escalate": within_words(declared.escalate.every) if declared.escalate else "", "share": round(declared.recheck.share * 100, 1) if declared.recheck else None,
        "faults": [str(fault) for fault in (*lint.lint(declared), *lint.in_use(declared))] if access.may(request.actor, "kernel.administer_system") else [],  # type: ignore[attr-defined]
    }
    return render(request, "loops/rules.html", context)


def calendar(request: HttpRequest) -> HttpResponse:
    """The working calendar of a year: what is no working day, what is worked instead, and whether the year is arranged yet."""
    here = clock.local(clock.now()).year
    given = request.GET.get("year", "")
    year = int(given) if given.isdigit() and 2001 <= int(given) <= 2100 else here
    months = []
    for month in range(1, 13):
        first = date(year, month, 1)
        days = [(first + timedelta(days=n)) for n in range((_next(first) - first).days)]
        months.append({"first": first, "lead": range(first.weekday()), "days": [(day, holidays.day(day)) for day in days]})
    special = [(day, found) for month in months for day, found in month["days"] if found.name and (found.working or day.weekday() < 5)]
    return render(request, "loops/calendar.html", {
        "year": year, "known": holidays.known(year), "months": months, "special": special, "last": max(holidays.published_years()), "list": holidays.LIST, "weekdays": [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")],
        "may_edit": access.may(request.actor, "codes.manage"),  # type: ignore[attr-defined]
    })


def _next(first: date) -> date:
    return (first + timedelta(days=32)).replace(day=1)


urlpatterns = [
    path("loops", index, name="loops"),
    path("loops/calendar", calendar, name="work_calendar"),
    path("loops/<str:name>", board, name="loop"),
    path("loops/<str:name>/list", rows, name="loop_list"),
    path("loops/<str:name>/map", on_map, name="loop_map"),
    path("loops/<str:name>/map/data", map_data, name="loop_map_data"),
    path("loops/<str:name>/map/points", map_points, name="loop_map_points"),
    path("loops/<str:name>/export", export, name="loop_export"),
    path("loops/<str:name>/print", printed, name="loop_print"),
    path("loops/<str:name>/new", new, name="loop_new"),
    path("loops/<str:name>/import", importing.page, name="loop_import"),
    path("loops/<str:name>/statistics", figures, name="loop_statistics"),
    path("loops/<str:name>/statistics/curve", curve, name="loop_curve"),
    path("loops/<str:name>/rechecks", rechecks, name="loop_rechecks"),
    path("loops/<str:name>/rules", rules, name="loop_rules"),
    path("case/<uuid:key>", case, name="case"),
    path("case/<uuid:key>/step/<slug:step>", step, name="case_step"),
    path("case/<uuid:key>/comment", comment, name="case_comment"),
    path("case/<uuid:key>/assign", assign, name="case_assign"),
    path("case/<uuid:key>/reveal", reveal, name="case_reveal"),
    path("case/<uuid:key>/paper", paper, name="case_paper"),
]
