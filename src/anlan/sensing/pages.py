"""The room's pages: register, station, sources, what was refused, rules, health, rain by town."""
from __future__ import annotations

import difflib
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Case, Q, Sum, When
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from anlan.kernel import access, clock, journal
from anlan.kernel.errors import NOT_FOUND, Problem
from anlan.kernel.ids import new_id
from anlan.kernel.middleware import public
from anlan.kernel.models import Region
from anlan.kernel.shell import address

from . import actions, coverage, imports, network, preview, probe, queries, questions, rules, sources, tables
from .errors import BAD_FILTER
from .forms import LIMIT_WORDS, AdoptForm, AnswerForm, BindForm, MaintainForm, RulesForm, SourceForm, ThresholdsForm
from .ingest import DOORS, REASONS
from .models import BatchStat, Doubt, Partition, Refused, RefusedCount, RuleSet, Series, Signal, Source, Station
from .quantities import COLOURS, DOUBTFUL, FLAG_WORDS, KINDS, PROBE, QUANTITIES, flag_names

PAGE = 50
CURVE_HOURS = {"24": 24, "72": 72, "168": 168, "720": 720, "8760": 8760}
LONG = timedelta(days=32)  # longer curves are drawn from the roll-ups
STATES = [("reporting", lambda: _("Reporting")), ("silent", lambda: _("Silent")), ("never", lambda: _("Never heard")), ("off", lambda: _("Out of service"))]
CHANGES = ("sensing.SignalChanged", "sensing.SignalRevised", "sensing.GaugeSilent", "sensing.GaugeHeard", "sensing.ReadingDoubted", "sensing.DoubtAnswered")
COLOUR_FILTERS = ["any", "red", "orange", "yellow", "blue", "unknown"]


def _colour_words() -> dict[str, str]:
    return {"any": _("Any signal"), "red": _("Red"), "orange": _("Orange"), "yellow": _("Yellow"), "blue": _("Blue"), "unknown": _("Unknown")}


def _chinese() -> bool:
    return (get_language() or "").startswith("zh")


def _read(request: HttpRequest) -> Any:
    access.require(request.actor, queries.CAPABILITY)  # type: ignore[attr-defined]
    return request.actor  # type: ignore[attr-defined]


def _find(request: HttpRequest, key: UUID) -> Station:
    row = queries.stations_seen_by(_read(request)).filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("station"), key=str(key)[-6:])
    return row


def _page(request: HttpRequest, rows: Any) -> Any:
    return Paginator(rows, PAGE).get_page(request.GET.get("page"))


def _filtered(request: HttpRequest) -> tuple[Any, dict[str, Any]]:
    actor = _read(request)
    get = request.GET
    region = None
    if get.get("region"):
        try:
            region = Region.objects.filter(pk=UUID(get["region"])).first()
        except ValueError:
            raise BAD_FILTER(why="region")
    chosen = {"text": get.get("text", "")[:60], "kind": get.get("kind", ""), "colour": get.get("colour", ""), "state": get.get("state", "")}
    rows = queries.stations(actor, request.realm, region=region, **chosen)  # type: ignore[attr-defined]
    return rows, {**chosen, "region": region}


def _lines(realm: Any, page: list[Station]) -> list[dict[str, Any]]:
    keys = [row.pk for row in page]
    worst = queries.worst(realm, keys)
    newest: dict[UUID, list[dict[str, Any]]] = {}
    for item in queries.latest(realm, stations=keys):
        newest.setdefault(item["station"], []).append(item)
    return [{"row": row, "colour": worst.get(row.pk, "none"), "latest": newest.get(row.pk, [])} for row in page]


def stations(request: HttpRequest) -> HttpResponse:
    """The register, with filters that can be shared as a link."""
    rows, chosen = _filtered(request)
    page = _page(request, rows)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    places = queries.reach(actor)
    counties = Region.objects.filter(kind="county").order_by("name")
    return render(request, "sensing/stations.html", {
        "page": page, "lines": _lines(realm, list(page)), "chosen": chosen, "summary": queries.summary(actor, realm), "kinds": KINDS,
        "states": [(code, word()) for code, word in STATES], "colours": [(code, _colour_words()[code]) for code in COLOUR_FILTERS],
        "counties": counties if places is access.ALL else counties.filter(pk__in=places), "may_manage": access.may(actor, "sensing.manage") and realm.is_actual,
    })


def station(request: HttpRequest, key: UUID) -> HttpResponse:
    """One station: curve with thresholds, what the rules say and why, newest values, register entry."""
    row = _find(request, key)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    hours = request.GET.get("hours", "72") if request.GET.get("hours", "72") in CURVE_HOURS else "72"
    latest = {item["quantity"]: item for item in queries.latest(realm, stations=[row])}
    facts = journal.about(f"station:{row.pk}", realm)
    changes = [_change(fact) for fact in reversed(facts) if fact.kind in CHANGES][:30]
    return render(request, "sensing/station.html", {
        "station": row, "hours": hours, "choices": [("24", _("24 h")), ("72", _("3 days")), ("168", _("7 days")), ("720", _("30 days")), ("8760", _("1 year"))],
        "quantities": [{"kind": QUANTITIES[code], "latest": latest.get(code), "flags": [FLAG_WORDS[f] for f in (latest.get(code) or {}).get("flags", [])], "doubted": _doubted(latest.get(code))} for code in row.quantities if code in QUANTITIES],
        "signals": [_signal(signal) for signal in queries.signals_of(realm, row)], "changes": changes,
        "health": next(iter(network.stations(actor, realm, row.pk)[0]), None), "maintain_form": MaintainForm(), "op_id": new_id(),
        "doubts": [_doubt(each) for each in Doubt.objects.seen_by(actor, realm).filter(station=row).order_by("-last")[:10]],
        "worst": queries.worst(realm, [row.pk]).get(row.pk, "none"), "may_manage": access.may(actor, "sensing.manage", row.region_id) and realm.is_actual,
        "thresholds": [
            {"quantity": QUANTITIES[code].name, "unit": QUANTITIES[code].unit, "lines": [(name, LIMIT_WORDS[name], given[name]) for name in (*rules.COLOUR_NAMES, "hysteresis") if name in given], "source": given.get("source", "")}
            for code, given in row.thresholds.items() if code in QUANTITIES
        ],
    })


def _doubted(item: dict[str, Any] | None) -> dict[str, Any] | None:
    """The newest value that is not believed, with its reasons in words."""
    found = (item or {}).get("doubted")
    return {**found, "words": [FLAG_WORDS[flag] for flag in found["flags"]]} if found else None


def _doubt(row: Doubt) -> dict[str, Any]:
    return {"row": row, "quantity": QUANTITIES[row.quantity].name, "unit": QUANTITIES[row.quantity].unit, "flags": [FLAG_WORDS[name] for name in flag_names(row.flags & DOUBTFUL)],
            "why": questions.explained(row), "would": COLOURS[row.would], "stands": COLOURS[row.stands]}


def doubts(request: HttpRequest) -> HttpResponse:
    """What is not believed, and why; what waits for a person first."""
    actor, realm = _read(request), request.realm  # type: ignore[attr-defined]
    rows = Doubt.objects.seen_by(actor, realm).select_related("station", "region", "answered_by")
    every = request.GET.get("all") == "1"
    if not every:
        rows = rows.filter(state__in=Doubt.LIVE)
    page = _page(request, rows.order_by(Case(When(state=Doubt.OPEN, then=0), default=1), "-would", "-last"))
    return render(request, "sensing/doubts.html", {"page": page, "lines": [_doubt(row) for row in page], "every": every})


def doubt_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One question: what came, why it is not believed, what it would change, and the answer."""
    actor, realm = _read(request), request.realm  # type: ignore[attr-defined]
    row = Doubt.objects.seen_by(actor, realm).select_related("station", "region", "answered_by").filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("doubtful readings"), key=str(key)[-6:])
    form = AnswerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        questions.answer(request.act(), doubt_=row.pk, **form.cleaned_data)  # type: ignore[attr-defined]
        messages.success(request, _("Answered. The rules judge anew."))
        return redirect("sensing:doubt", row.pk)
    return render(request, "sensing/doubt.html", {
        "doubt": _doubt(row), "form": form, "may_answer": row.state in (*Doubt.LIVE, Doubt.OVER) and access.may(actor, "sensing.judge", row.region_id), "op_id": new_id(),
        "start": (row.first - timedelta(hours=24)).isoformat(), "end": (row.last + timedelta(hours=6)).isoformat(),
    })


def _spec_words() -> dict[str, str]:
    """Text of every rule in force, in the reader's language."""
    return {
        spec.code: (spec.text_zh if _chinese() else spec.text) for ruleset in rules.in_force() for spec in rules.specs(ruleset)
    }


def _signal(signal: Signal) -> dict[str, Any]:
    words = _spec_words().get(signal.rule, signal.rule)
    return {"row": signal, "colour": COLOURS[signal.colour], "words": words, "hours": round(signal.window_s / 3600, 2) if signal.window_s else None,
            "flags": [FLAG_WORDS[flag] for flag in signal.flags if flag in FLAG_WORDS]}


def _change(fact: Any) -> dict[str, Any]:
    body = fact.payload
    return {"fact": fact, "kind": fact.kind, "body": body, "quantity": QUANTITIES[body["quantity"]].name if body.get("quantity") in QUANTITIES else ""}


def _span(request: HttpRequest, row: Station, now: datetime) -> tuple[datetime, datetime]:
    """What curve and CSV show: start and end as given, else the last hours; those before the newest reading when it is older than that."""
    realm = request.realm  # type: ignore[attr-defined]
    hours = timedelta(hours=CURVE_HOURS.get(request.GET.get("hours", "72"), 72))
    try:
        if request.GET.get("end"):
            end = datetime.fromisoformat(request.GET["end"])
        else:
            newest = max((item["time"] for item in queries.latest(realm, stations=[row])), default=now)
            # A replay's or a long silent gauge's story stays in the picture.
            end = now if now - newest < hours else newest
        start = datetime.fromisoformat(request.GET["start"]) if request.GET.get("start") else end - hours
        if start.tzinfo is None or end.tzinfo is None or not (1970 < start.year < 2500 and 1970 < end.year < 2500):
            raise ValueError
    except (ValueError, OverflowError):
        raise BAD_FILTER(why=_("start and end are ISO times with a zone"))
    return start, end


def _flag_text(flags: int) -> str:
    return ", ".join(str(FLAG_WORDS[name]) for name in flag_names(flags))


def _long_lines(realm: Any, row: Station, code: str, start: datetime, end: datetime) -> tuple[int, list[dict[str, Any]]]:
    """Span and lines of a long curve: sums of amounts, else the highest and the lowest of each span."""
    span, found = queries.long_curve(realm, row, code, start, end)
    hours = f"{span // 3600} h"
    if QUANTITIES[code].is_amount:
        return span, [{"name": _("Sum of {hours}").format(hours=hours), "points": [[at.isoformat(), total, _flag_text(flags)] for at, _n, total, _low, _high, flags in found]}]
    return span, [
        {"name": _("Highest of {hours}").format(hours=hours), "points": [[at.isoformat(), high, _flag_text(flags)] for at, _n, _sum, _low, high, flags in found]},
        {"name": _("Lowest of {hours}").format(hours=hours), "points": [[at.isoformat(), low, _flag_text(flags)] for at, _n, _sum, low, _high, flags in found]},
    ]


def curve(request: HttpRequest, key: UUID) -> JsonResponse:
    """The station's curves for the chart: a panel for each quantity, thresholds, gaps, flags."""
    row = _find(request, key)
    realm, now = request.realm, clock.now(request.realm)  # type: ignore[attr-defined]
    start, end = _span(request, row, now)
    panels, widest = [], 0
    for code in row.quantities:
        kind = QUANTITIES[code]
        if end - start > LONG:
            span, lines = _long_lines(realm, row, code, start, end)
        else:
            points = queries.series_points(realm, row, code, start, end)
            span, lines = 0, [{"name": str(kind.name), "points": [[at.isoformat(), value, _flag_text(flags)] for at, value, flags in points]}]
        widest = max(widest, span)
        panels.append({
            "name": str(kind.name), "unit": kind.unit, "kind": "bar" if kind.is_amount else "line",
            "series": lines,
            "thresholds": [{"value": line["value"], "level": line["colour"], "label": str(LIMIT_WORDS[line["colour"]])} for line in queries.thresholds_of(row, code)],
        })
    return JsonResponse({
        "title": row.name, "panels": panels, "gap_s": max(3 * row.interval_s, 900, 2 * widest), "now": now.isoformat() if end == now else None,
        "from": start.isoformat(), "to": end.isoformat(),
    })


def station_csv(request: HttpRequest, key: UUID) -> HttpResponseBase:
    """The station's readings as CSV: what the curve shows."""
    row = _find(request, key)
    realm = request.realm  # type: ignore[attr-defined]
    start, end = _span(request, row, clock.now(realm))

    def out() -> Any:
        for code in row.quantities:
            for at, value, flags in queries.series_points(realm, row, code, start, end, 200_000):
                yield [row.code, code, clock.local(at).isoformat(), value, QUANTITIES[code].unit, " ".join(flag_names(flags))]

    return tables.answer(f"{row.code}.csv", ["station", "quantity", "time", "value", "unit", "flags"], out())


def thresholds(request: HttpRequest, key: UUID) -> HttpResponse:
    """Set a station's thresholds; its entry is changed in the register."""
    row = _find(request, key)
    access.require(request.actor, "sensing.manage", region=row.region_id)  # type: ignore[attr-defined]
    form = ThresholdsForm(request.POST or None, station=row)
    if request.method == "POST" and form.is_valid():
        try:
            actions.set_thresholds(request.act(), station=row.pk, thresholds=form.values(), upstream=form.upstream())  # type: ignore[attr-defined]
        except Problem as problem:
            if not problem.fields:
                raise
            for fault in problem.fields:
                form.add_error(fault["field"] if fault["field"] in form.fields else None, fault["why"])
        else:
            messages.success(request, _("Saved: {name}.").format(name=row.name))
            return redirect("sensing:station", row.pk)
    return render(request, "sensing/thresholds.html", {"form": form, "station": row, "op_id": new_id()})


@require_POST
def maintain(request: HttpRequest, key: UUID) -> HttpResponse:
    """From now on people work on the station, for so many hours; 0 ends it."""
    row = _find(request, key)
    form = MaintainForm(request.POST)
    if form.is_valid():
        now = clock.now()
        hours = timedelta(hours=form.cleaned_data["hours"]) or timedelta(seconds=1)
        actions.maintain(request.act(expected_version=None), station=row.pk, begins=now, ends=now + hours, reason=form.cleaned_data["reason"])  # type: ignore[attr-defined]
        messages.success(request, _("Entered: {name} is worked on.").format(name=row.name))
    else:
        messages.error(request, _("Hours and a reason are needed."))
    return redirect("sensing:station", row.pk)


# --- sources ---------------------------------------------------------------------------------------------------------


def source_list(request: HttpRequest) -> HttpResponse:
    """Who sends readings, over which door, for how many stations, and when last."""
    access.require(request.actor, "sensing.sources", region=None)  # type: ignore[attr-defined]
    files = journal.select("WHERE f.kind = 'sensing.ReadingsImported' ORDER BY f.recorded_at DESC LIMIT 20", [])
    return render(request, "sensing/sources.html", {"lines": queries.sources_with_counts(), "files": files, "inbox": imports.root()})


def _source(key: UUID) -> Source:
    row = Source.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("source"), key=str(key)[-6:])
    return row


def edit_source(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    """One source: its entry, its stations, its credential."""
    access.require(request.actor, "sensing.sources", region=None)  # type: ignore[attr-defined]
    row = _source(key) if key else None
    initial = {name: getattr(row, name) for name in ("name", "title", "kind", "contact", "active", "reads", "enters")} if row else None
    form = SourceForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            saved = actions.save_source(request.act(), source=row.pk if row else None, **form.cleaned_data)  # type: ignore[attr-defined]
        except Problem as problem:
            if not problem.fields:
                raise
            for fault in problem.fields:
                form.add_error(fault["field"] if fault["field"] in form.fields else None, fault["why"])
        else:
            messages.success(request, _("Saved: {name}.").format(name=saved.name))
            return redirect("sensing:source", saved.pk)
    codes = list(Station.objects.filter(source=row).order_by("code").values_list("code", flat=True)) if row else []
    return render(request, "sensing/source.html", {"form": form, "source": row, "bind": BindForm(initial={"stations": "\n".join(codes)}), "codes": codes, "op_id": new_id()})


@require_POST
def set_credential(request: HttpRequest, key: UUID) -> HttpResponse:
    """Make a new password and show it once."""
    row = _source(key)
    word, hashed = sources.new_password()
    actions.set_credential(request.act(), source=row.pk, password_bcrypt=hashed)  # type: ignore[attr-defined]
    response = render(request, "sensing/credential.html", {"source": row, "word": word})
    response["Cache-Control"] = "no-store"
    return response


@require_POST
def bind(request: HttpRequest, key: UUID) -> HttpResponse:
    """Bind exactly these stations to the source."""
    row = _source(key)
    form = BindForm(request.POST)
    if form.is_valid():
        actions.bind(request.act(), source=row.pk, stations=form.codes())  # type: ignore[attr-defined]
        messages.success(request, _("{n} stations are bound to {name}.").format(n=len(form.codes()), name=row.name))
    return redirect("sensing:source", row.pk)


# --- refused, rules, health, rain ------------------------------------------------------------------------------------


def refused(request: HttpRequest) -> HttpResponse:
    """What was not taken, and why: samples of the newest, and how many of each reason."""
    actor = _read(request)
    places = queries.reach(actor)
    rows = Refused.objects.select_related("region").order_by("-at", "-pk")
    if places is not access.ALL:
        rows = rows.filter(region_id__in=places)
    reason = request.GET.get("reason", "")
    if reason in REASONS:
        rows = rows.filter(reason=reason)
    station = request.GET.get("station", "")[:40].replace("\x00", "")
    if station:
        rows = rows.filter(Q(station=station))
    page = _page(request, rows)
    counts = (
        RefusedCount.objects.filter(hour__gte=clock.now() - timedelta(days=1)).values("reason").annotate(n=Sum("count")).order_by("-n")
        if places is access.ALL else []
    )
    return render(request, "sensing/refused.html", {
        "page": page, "lines": [{"row": row, "reason": REASONS.get(row.reason, row.reason), "door": DOORS.get(row.door, row.door)} for row in page],
        "counts": [{"reason": REASONS.get(row["reason"], row["reason"]), "code": row["reason"], "n": row["n"]} for row in counts], "reason": reason, "station": station,
    })


def rule_list(request: HttpRequest) -> HttpResponse:
    """Rule sets: what is in force, with source and mark, and other versions."""
    _read(request)
    sets: dict[str, dict[str, Any]] = {}
    for row in RuleSet.objects.order_by("name", "-in_force", "-created_at"):
        entry = sets.setdefault(row.name, {"versions": [], "current": None, "specs": ()})
        entry["versions"].append(row)
        if row.in_force:
            entry["current"], entry["specs"], entry["source"], entry["mark"] = row, [_spec(spec) for spec in rules.specs(row)], rules.source_words(row, _chinese()), rules.MARK_WORDS.get(row.mark, row.mark)
    return render(request, "sensing/rules.html", {"sets": list(sets.values()), "chinese": _chinese()})


def ruleset(request: HttpRequest, key: UUID) -> HttpResponse:
    """One version: its rules, its text, the difference from what is in force, and how to make one's own."""
    actor = _read(request)
    row = RuleSet.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("rule set"), key=str(key)[-6:])
    current = RuleSet.objects.filter(name=row.name, in_force=True).first()
    difference = []
    if current is not None and current.pk != row.pk:
        for line in difflib.unified_diff(current.text.splitlines(), row.text.splitlines(), current.label, row.label, lineterm="", n=2):
            difference.append({"text": line, "kind": "add" if line.startswith("+") else "cut" if line.startswith("-") else ""})
    return render(request, "sensing/ruleset.html", {
        "ruleset": row, "source": rules.source_words(row, _chinese()), "mark": rules.MARK_WORDS.get(row.mark, row.mark), "specs": [_spec(spec) for spec in rules.specs(row)], "difference": difference, "current": current, "chinese": _chinese(),
        "may_adopt": access.may(actor, "sensing.rules", None) and request.realm.is_actual,  # type: ignore[attr-defined]
        "adopt": AdoptForm(), "own": RulesForm(initial={"text": row.text}),
    })


@require_POST
def preview_rules(request: HttpRequest) -> HttpResponse:
    """What a text would have said of the last storm, beside what is in force: a part of the rule's page."""
    actor, realm = _read(request), request.realm  # type: ignore[attr-defined]
    try:
        found, problem = preview.compare(realm, request.POST.get("text", "").replace("\r\n", "\n"), queries.stations_seen_by(actor).values("pk")), ""
    except Problem as wrong:
        found, problem = None, wrong.message
    return render(request, "sensing/_preview.html", {"found": found, "problem": problem})


def _spec(spec: rules.RuleSpec) -> dict[str, Any]:
    kind = QUANTITIES[spec.quantity]
    words = {"sum": _("Rolling sum"), "rise": _("Rate of rise"), "level": _("Value against its threshold"), "silence": _("Silence")}
    limits = []
    for place, name in enumerate(rules.COLOUR_NAMES):
        value = spec.thresholds[place] if spec.thresholds else None
        if value is not None:
            hours = spec.windows_s[place] / 3600
            limits.append({"colour": name, "value": value, "hours": f"{hours:g}" if hours else ""})
    if spec.kind == "silence" and spec.colour:
        limits.append({"colour": COLOURS[spec.colour], "value": spec.rising_from, "hours": f"{spec.windows_s[0] / 3600:g}"})
    return {"spec": spec, "kind": words[spec.kind], "quantity": kind.name, "unit": kind.unit, "limits": limits, "text": spec.text_zh if _chinese() else spec.text}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


@require_POST
def adopt(request: HttpRequest) -> HttpResponse:
    """Put a version, or the user's own text, in force."""
    given = request.POST.get("ruleset", "")
    text, note = request.POST.get("text", ""), request.POST.get("note", "")
    row = actions.adopt_rules(  # type: ignore[attr-defined]
        request.act(expected_version=None), ruleset=_uuid(given) if not text else None, text=text.replace("\r\n", "\n"), note=note  # type: ignore[attr-defined]
    )
    messages.success(request, _("In force now: {name} {label}.").format(name=row.name, label=row.label))
    return redirect("sensing:ruleset", row.pk)


def health(request: HttpRequest) -> HttpResponse:
    """Are the gauges, the doors and the workers well?"""
    actor = _read(request)
    realm = request.realm  # type: ignore[attr-defined]
    now = clock.now()
    batches = list(BatchStat.objects.order_by("-at")[:20])
    hour = BatchStat.objects.filter(at__gte=now - timedelta(hours=1)).aggregate(
        readings=Sum("readings"), accepted=Sum("accepted"), duplicates=Sum("duplicates"), conflicts=Sum("conflicts"), late=Sum("late"), refused=Sum("refused")
    )
    keys = queries.stations_seen_by(actor).filter(active=True).values("pk")
    silent = (
        Series.objects.filter(realm_id=realm.pk, silent__gt=0, station_id__in=keys).select_related("station__region").order_by("-silent", "last_time")
    )
    page = _page(request, silent)
    workers = Partition.objects.exclude(owner="").values_list("owner", flat=True)
    return render(request, "sensing/health.html", {
        "network": network.network(actor, realm), "probe": probe.state(), "map_url": address("web:map_data", ""), "source_word": _("Source"), "region_word": _("County"),
        "summary": queries.summary(actor, realm), "batches": batches, "hour": {name: value or 0 for name, value in hour.items()}, "page": page,
        "lines": [{"row": row, "value": QUANTITIES[row.quantity].value(row.last_value), "unit": QUANTITIES[row.quantity].unit, "quantity": QUANTITIES[row.quantity].name} for row in page],
        "workers": sorted({owner.split(":")[1] if owner.count(":") > 1 else owner for owner in workers}), "held": len(workers),
        "heard_until": Partition.objects.exclude(owner="").order_by("heard_until").values_list("heard_until", flat=True).first(),
    })


def feed(request: HttpRequest) -> HttpResponse:
    """What comes in, newest first. The part that renews itself is of one size, whatever the rate."""
    actor = _read(request)
    quantity = request.GET.get("quantity", "") if request.GET.get("quantity", "") in QUANTITIES else ""
    realm = request.realm  # type: ignore[attr-defined]
    lines = [{**each, "words": [FLAG_WORDS[flag] for flag in each["flags"]]} for each in queries.feed(actor, realm, quantity=quantity)]
    worst = queries.worst(realm, {each["station"].pk for each in lines})
    return render(request, "sensing/feed.html" if not getattr(request, "htmx", False) else "sensing/_feed.html", {
        "lines": [{**each, "colour": worst.get(each["station"].pk, "none")} for each in lines], "pace": queries.pace(), "quantity": quantity,
        "kinds": [(code, kind.name) for code, kind in QUANTITIES.items() if code != PROBE],
    })


def coverage_page(request: HttpRequest) -> HttpResponse:
    """How many of the high-risk objects on the register are watched by instruments that report (Q23), and which are not."""
    actor = _read(request)
    found = coverage.coverage(actor, request.realm)  # type: ignore[attr-defined]
    chosen = request.GET.get("industry", "")[:60]
    lacking = [each for each in found.lacking if not chosen or each.industry == chosen]
    if request.GET.get("csv"):
        return tables.answer("coverage.csv", ["code", "name", "industry", "region", "why", "last_heard"], ([each.code, each.name, each.industry, each.region, each.why, each.heard.isoformat() if each.heard else ""] for each in lacking))  # type: ignore[return-value]
    return render(request, "sensing/coverage.html", {"coverage": found, "page": _page(request, lacking), "chosen": chosen})


@public
@never_cache
def probe_state(request: HttpRequest) -> JsonResponse:
    """For a monitor outside: 200 while the platform's own reading of each minute comes back through broker, worker and database (or none
    was ever sent), 503 when it does not."""
    found = probe.state()
    return JsonResponse({"well": found["well"], "back": found["back"]}, status=503 if found["well"] is False else 200)


def rain(request: HttpRequest) -> HttpResponseBase:
    """Rain of a rain day by town, most first; as CSV with ?csv=1."""
    actor = _read(request)
    realm = request.realm  # type: ignore[attr-defined]
    now = clock.now(realm)
    kind = request.GET.get("kind", "08-08")
    if kind not in queries.RAIN_DAYS:
        raise BAD_FILTER(why=_("the rain day is 08-08 or 20-20"))
    local = clock.local(now)
    running = local.date() + timedelta(days=1 if local.hour >= queries.RAIN_DAYS[kind] else 0)
    try:
        day = date.fromisoformat(request.GET["day"]) if request.GET.get("day") else running
        if not 1970 < day.year < 2500:
            raise ValueError
    except ValueError:
        raise BAD_FILTER(why=_("the day is written 2026-07-20"))
    places = queries.reach(actor)
    rows = [row for row in queries.rain_by_town(realm, day, kind=kind, until=now) if row["region"] in places]
    start, end = queries.rain_day(day, kind)
    if request.GET.get("csv"):
        return tables.answer(
            f"rain-{day}-{kind}.csv", ["rank", "town", "county", "highest_mm", "highest_station", "mean_mm", "reported", "stations"],
            ([row["rank"], row["name"], row["county"], row["highest"], row["highest_station"], row["mean"], row["reported"], row["stations"]] for row in rows),
        )
    return render(request, "sensing/rain.html", {
        "lines": rows, "day": day, "kind": kind, "start": start, "end": end, "running": end > now, "until": min(now, end),
        "before": day - timedelta(days=1), "after": day + timedelta(days=1) if end <= now else None,
    })


app_name = "sensing"
urlpatterns = [
    path("", stations, name="stations"),
    path("station/<uuid:key>", station, name="station"),
    path("station/<uuid:key>/maintenance", maintain, name="maintain"),
    path("station/<uuid:key>/thresholds", thresholds, name="thresholds"),
    path("station/<uuid:key>/curve.json", curve, name="curve"),
    path("station/<uuid:key>/readings.csv", station_csv, name="station_csv"),
    path("doubts", doubts, name="doubts"),
    path("doubt/<uuid:key>", doubt_page, name="doubt"),
    path("sources", source_list, name="sources"),
    path("source/new", edit_source, name="new_source"),
    path("source/<uuid:key>", edit_source, name="source"),
    path("source/<uuid:key>/credential", set_credential, name="credential"),
    path("source/<uuid:key>/bind", bind, name="bind"),
    path("refused", refused, name="refused"),
    path("rules", rule_list, name="rules"),
    path("rules/<uuid:key>", ruleset, name="ruleset"),
    path("rules/preview", preview_rules, name="preview"),
    path("rules/adopt", adopt, name="adopt"),
    path("incoming", feed, name="incoming"),
    path("health", health, name="health"),
    path("coverage", coverage_page, name="coverage"),
    path("probe", probe_state, name="probe_state"),
    path("rain", rain, name="rain"),
]
