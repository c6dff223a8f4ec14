"""Warning's pages: parse, call one action, answer."""
from __future__ import annotations

import difflib
import json
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import shapely
import yaml
from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from anlan.kernel import access, clock, journal, shell, work
from anlan.kernel.errors import INVALID
from anlan.kernel.forms import attempt
from anlan.kernel.models import Installation, Person, Post, Region
from anlan.kernel.registers import listing
from anlan.kernel.registers import pages as register_pages

from . import (
    actions,
    arrival,
    compute,
    delivery,
    devices,
    encoding,
    following,
    hazards,
    hearing,
    issuers,
    passing,
    proof,
    queries,
    secrets,
    standing,
    texts,
)
from .forms import Area, Compose, HandEntry, IssuerTableForm, StandingForm, names, resolve
from .models import COLOURS, Alert, AlertRegion, Attempt, Channel, IssuerTable, Original, Proposal, Standing
from .registers import CHANNELS

app_name = "warning"
PAGE = 50


# --- lists -----------------------------------------------------------------------------------------------------------


@require_GET
def alerts(request: HttpRequest) -> HttpResponse:
    """Alerts by state, colour, kind, words; what is in force first by default."""
    access.require(request.actor, "warning.read")
    state, colour, kind, text = (request.GET.get(name, "") for name in ("state", "colour", "kind", "q"))
    rows = queries.alerts(request.actor, request.realm, state="" if state == "all" else state or "live", colour=colour, kind=kind, text=text)
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    for row in page:
        row.hazard_name = hazards.name(row.hazard) or row.event
    context = {
        "page": page, "state": state or "live", "colour": colour, "kind": kind, "q": text, "colours": COLOURS, "kinds": Alert.KINDS,
        "states": [("live", _("in force")), ("work", _("in preparation")), *[(code, name) for code, name in Alert.STATES if code in ("updated", "cancelled", "expired")], ("all", _("all"))],
        "open_proposals": queries.proposals(request.actor, request.realm).count(), "may_compose": access.may(request.actor, "warning.compose"),
        "may_enter": access.may(request.actor, "warning.enter"),
    }
    if request.headers.get("HX-Request") and not request.headers.get("HX-Boosted"):
        return render(request, "warning/_alerts.html", context)
    return render(request, "warning/alerts.html", context)


PERIODS = (7, 30, 90, 365)


@require_GET
def record(request: HttpRequest) -> HttpResponse:
    """How many places our alerts reached, how soon, and whether the gauges bore them out (Q28 to Q30)."""
    access.require(request.actor, "warning.read")
    days = int(value) if (value := request.GET.get("days", "")).isdigit() and int(value) in PERIODS else 90
    found = arrival.record(queries.issued(request.actor, request.realm, days)[:arrival.MOST])
    for line in found.lines:
        line.alert.hazard_name = hazards.name(line.alert.hazard) or line.alert.event
    return render(request, "warning/record.html", {
        "record": found, "days": days, "periods": PERIODS, "most": arrival.MOST, "now": clock.now(request.realm), "more": len(found.lines) == arrival.MOST,
        "limits": [(code, label, arrival.limit_minutes(code)) for code, label in COLOURS if code], "villages": devices.coverage(request.actor, clock.now()),
    })


@require_GET
def proposals(request: HttpRequest) -> HttpResponse:
    """Areas whose signals ask for a warning."""
    access.require(request.actor, "warning.read")
    state = request.GET.get("state", Proposal.OPEN)
    page = Paginator(queries.proposals(request.actor, request.realm, "" if state == "all" else state), PAGE).get_page(request.GET.get("page"))
    for row in page:
        row.hazard_name = hazards.name(row.hazard)
        row.signals = sum(bool(line["colour"]) for line in row.evidence)
    return render(request, "warning/proposals.html", {"page": page, "state": state, "states": [*Proposal.STATES, ("all", _("all"))]})


def _proposal(request: HttpRequest, key: UUID) -> Proposal:
    row = Proposal.objects.seen_by(request.actor, request.realm).select_related("region").filter(pk=key).first()
    if row is None:
        raise Http404
    return row


@require_http_methods(["GET", "POST"])
def proposal(request: HttpRequest, key: UUID) -> HttpResponse:
    """One proposal: its evidence, rule by rule, and what can be made of it."""
    row = _proposal(request, key)
    if request.method == "POST":
        actions.dismiss_proposal(request.act(), proposal=key, reason=request.POST.get("reason", ""))
        return HttpResponseRedirect(reverse("warning:proposals"))
    ours = issuers.table().ours
    government, why_not = issuers.table().allows(ours.code, row.hazard, Alert.GOVERNMENT, "public")
    return render(request, "warning/proposal.html", {
        "proposal": row, "hazard_name": hazards.name(row.hazard), "subject": f"warning_proposal:{row.pk}", "government": government, "why_not": why_not,
        "alerts": row.alerts.all(), "may_compose": access.may(request.actor, "warning.compose", row.region_id),
    })


# --- one alert -------------------------------------------------------------------------------------------------------


def _alert(request: HttpRequest, key: UUID) -> Alert:
    row = Alert.objects.seen_by(request.actor, request.realm).select_related("realm", "region", "relay_of", "predecessor", "proposal", "original", "standing").filter(pk=key).first()
    if row is None:
        raise Http404
    return row


def _people(*keys: Any) -> dict[Any, str]:
    return dict(Person.objects.filter(pk__in=[key for key in keys if key]).values_list("pk", "name"))


@require_GET
def alert(request: HttpRequest, key: UUID) -> HttpResponse:
    """One alert: content, who wrote and approved it, whom it reaches, attempts and receipts by channel, why."""
    row = _alert(request, key)
    delivery.note_shown(request.actor, [row.pk])
    person, author_side = request.actor.person_id, {row.author, row.editor} | actions.wrote(row)
    region = row.region_id
    public = row.audience == "public"
    steps = set()
    if access.may(request.actor, "warning.compose", region) and row.kind != Alert.OUTSIDE:
        if row.state in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED):
            steps |= {"edit", "drop"}
        if row.state == Alert.DRAFT and public:
            steps.add("submit")
        if row.state == Alert.ISSUED:
            steps |= {"cancel"} | ({"update"} if row.kind != Alert.RELAY else set())
            steps |= {"correct"} if row.kind != Alert.RELAY and row.msg_type != "Cancel" else set()
    if row.state in (Alert.REVIEW, Alert.APPROVED) and public and access.may(request.actor, "warning.approve", region):
        steps.add("send_back")
        if row.state == Alert.REVIEW and person not in author_side:
            steps.add("approve")
    if (row.state == Alert.APPROVED and access.may(request.actor, "warning.issue", region)) if public else (
        row.state in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED) and access.may(request.actor, "warning.issue_internal", region)
    ):
        steps.add("issue")
    if row.state == Alert.ISSUED and row.endings and access.may(request.actor, "warning.issue_internal", region):
        steps |= {"end_as_prepared"}
    after = following.waits(row)
    if after and access.may(request.actor, "warning.issue_internal", region):
        steps.add(after)
    if row.kind == Alert.OUTSIDE and row.state == Alert.RECEIVED:
        if access.may(request.actor, "warning.compose") and row.status in ("Actual", "Exercise"):
            steps.add("relay")
        if access.may(request.actor, "warning.enter"):
            steps.add("end_outside")
    if row.state in Alert.LIVE or work.waiting_for(request.actor, request.realm).filter(kind__in=(following.WITHDRAWN, "warning.outside"), subject=f"alert:{row.pk}").exists():
        steps.add("acknowledge")
    found = queries.audience(row) if row.kind != Alert.OUTSIDE else None
    context = {
        "alert": row, "steps": steps, "subject": f"alert:{row.pk}", "hazard_name": hazards.name(row.hazard) or row.event, "audience": found,
        "people": _people(row.author, row.editor, row.approver, row.issued_by), "deliveries": queries.deliveries(row),
        "regions": AlertRegion.plain.filter(alert=row).select_related("region").order_by("region__name"),
        "facts": [(fact, shell.say(fact)) for fact in journal.about(f"alert:{row.pk}", request.realm)[-50:]], "original": row.original, "waits_for_second": public and row.state == Alert.REVIEW and person in author_side,
        "thread": queries.thread(request.actor, row),
        "successors": Alert.objects.seen_by(request.actor, request.realm).filter(predecessor=row), "relays": Alert.objects.seen_by(request.actor, request.realm).filter(relay_of=row),
        "whom": _whom(compute.area_of(row), [UUID(key) for key in row.region_ids], row.drawn) if row.drawn else None,
        "map_url": reverse("warning:alert_map", args=[row.pk]), "now": clock.now(request.realm), "arrival": arrival.of(row),
        "may_resend": access.may(request.actor, "warning.issue_internal"), "calling": work.waiting_for(request.actor, request.realm).filter(kind=passing.CALL, subject=f"alert:{row.pk}").exists(),
        "kept_whole": queries.nobody_skipped(row, most=5000), "speech": [(language, texts.speech(row, language)) for language in dict.fromkeys([row.language, *sorted(row.translations)])] if row.kind != Alert.OUTSIDE else [], "size": encoding.measure(texts.short(row)) if row.kind != Alert.OUTSIDE else None,
        "remarks": texts.remarks(row) if row.kind not in (Alert.OUTSIDE, Alert.RELAY) and row.state in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED) else [],
    }
    if request.headers.get("HX-Request") and not request.headers.get("HX-Boosted"):
        return render(request, "warning/_alert.html", context)
    return render(request, "warning/alert.html", context)


@require_POST
def do(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    """One step of an alert's life."""
    row = _alert(request, key)
    reason = request.POST.get("reason", "")
    if step == "submit":
        actions.submit(request.act(), alert=key)
    elif step == "approve":
        actions.approve(request.act(), alert=key, seen_hash=request.POST.get("seen_hash", ""))
    elif step == "send_back":
        actions.send_back(request.act(), alert=key, reason=reason)
    elif step == "drop":
        actions.drop(request.act(), alert=key, reason=reason)
    elif step == "issue":
        actions.issue(request.act(), alert=key)
    elif step == "cancel":
        row = actions.cancel(request.act(), alert=key, reason=reason)
    elif step == "update":
        row = actions.update(request.act(), alert=key)
        return HttpResponseRedirect(reverse("warning:edit", args=[row.pk]))
    elif step == "correct":
        row = actions.update(request.act(), alert=key, changes={"silent": True})
        return HttpResponseRedirect(reverse("warning:edit", args=[row.pk]))
    elif step in ("withdraw", "all_clear"):
        row = actions.end_as_prepared(request.act(), alert=key, how="cancel" if step == "withdraw" else step, reason=reason)
    elif step == "acknowledge":
        actions.acknowledge(request.act(), alert=key)
    elif step == "told":
        passing.told(request.act(), alert=key, region=UUID(request.POST.get("region", "")), by=request.POST.get("by", ""))
    elif step == "called":
        passing.close_call_down(request.act(), alert=key)
    elif step == "relay":
        row = actions.relay(request.act(), alert=key, audience=request.POST.get("audience", "public"))
    elif step == "pass_on_end":
        row = following.pass_on_end(request.act(), alert=key)
    elif step == "end_dropped":
        row = following.end_dropped(request.act(), alert=key)
    elif step == "end_outside":
        actions.end_outside(request.act(), alert=key, reason=reason)
    else:
        raise Http404
    return HttpResponseRedirect(reverse("warning:alert", args=[row.pk]))


@require_POST
def resend(request: HttpRequest, key: UUID) -> HttpResponse:
    """Send one failed attempt again."""
    row = Attempt.objects.of(request.realm).filter(pk=key).first()
    if row is None:
        raise Http404
    _alert(request, row.alert_id)
    delivery.resend(request.act(), attempt=key)
    return HttpResponseRedirect(reverse("warning:alert", args=[row.alert_id]) + "#deliveries")


@require_GET
def cap_file(request: HttpRequest, key: UUID) -> HttpResponse:
    """The CAP message as issued, or the original as received, byte for byte; always a download."""
    row = _alert(request, key)
    raw = bytes(row.cap_xml) if row.cap_xml else bytes(row.original.raw) if row.original else b""
    if not raw:
        raise Http404
    answer = HttpResponse(raw, content_type="application/octet-stream")
    answer["Content-Disposition"] = f'attachment; filename="{row.pk}.{"cap" if raw.lstrip()[:1] == b"<" else "txt"}"'
    return answer


@require_GET
def proof_file(request: HttpRequest, key: UUID) -> StreamingHttpResponse:
    """How this warning came to be and what became of it, signed: `anlan cap prove` checks it without the database."""
    return proof.file(request.actor, key)  # type: ignore[attr-defined]


@require_GET
def alert_map(request: HttpRequest, key: UUID) -> HttpResponse:
    """What the small map of an alert shows: boundaries, and the alert's own area."""
    row = _alert(request, key)
    found = compute.features([row])
    layers = [{"id": "regions", "label": _("Boundaries"), "kind": "area", "url": url, "on": True} for url in [shell.address("web:map_layer", "", "regions")] if url]
    layers.append({"id": "alerts", "label": _("Alert"), "kind": "area", "data": {"type": "FeatureCollection", "features": found}, "on": True})
    return JsonResponse({"bbox": compute.bounds(row), "layers": layers})


# --- writing ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def compose(request: HttpRequest) -> HttpResponse:
    """Write a message of our own, from nothing or from a proposal."""
    access.require(request.actor, "warning.compose")
    key = request.GET.get("proposal") or request.POST.get("proposal") or ""
    found = _proposal(request, UUID(key)) if key else None
    if request.method == "POST":
        form = Compose(request.POST)

        def write() -> Alert:
            return actions.compose(request.act(), kind=form.cleaned_data["kind"], proposal=found.pk if found else None, **form.values())

        done, row = attempt(form, write)
        if done:
            return HttpResponseRedirect(reverse("warning:alert", args=[row.pk]))
    else:
        form = Compose(initial=_initial(request, found))
    return render(request, "warning/compose.html", {"form": form, "proposal": found, "hazard_name": hazards.name(found.hazard) if found else ""}, status=422 if request.method == "POST" else 200)


@require_POST
def compose_words(request: HttpRequest) -> HttpResponse:
    """The text fields, filled with the prepared words of the hazard and colour that are chosen; nothing is stored."""
    access.require(request.actor, "warning.compose")
    data = request.POST
    words = texts.prepared(data.get("hazard", ""), data.get("colour", ""), "、".join(one.name for one in resolve(data.get("places", "")[:2000])[0]))
    kept = {name: data.get(name, "") for name in ("headline", "description", "instruction", "headline_en", "description_en")}
    return render(request, "warning/_words.html", {"form": Compose(initial=kept | {name: text for name, text in words.items() if text}), "no_words": not words.get("description")})


@require_POST
def compose_area(request: HttpRequest) -> HttpResponse:
    """Who lies in the area as it stands in the form, and who is told beyond it; nothing is stored."""
    access.require(request.actor, "warning.compose")
    form = Area(request.POST)
    if not form.is_valid():
        return render(request, "warning/_whom.html", {"errors": [error for rows in form.errors.values() for error in rows]})
    drawn = form.cleaned_data["drawn"]
    regions = compute.warned_by(form.area) if drawn else [UUID(key) for key in form.cleaned_data["places"]]
    shape = compute.outline(form.area) if drawn else compute.shape_of(regions)
    return render(request, "warning/_whom.html", _whom(shape, regions, drawn))


def _whom(shape: Any, regions: list[UUID], drawn: dict[str, Any]) -> dict[str, Any]:
    """What `_whom.html` shows of an area: its outline, who lives in it, whom its towns tell besides."""
    places = list(Region.objects.filter(pk__in=regions).defer("area_wkb").order_by("name"))
    if shape is None or shape.is_empty:
        return {"places": places, "drawn_as": ""}
    return {
        "places": places, "drawn_as": compute.said(drawn), "km2": compute.km2(shape), "villages": compute.villages(shape, regions), "reach": compute.reach_of(shape)[:40] if drawn else [],
        "outline": json.dumps({"type": "Feature", "properties": {"level": ""}, "geometry": shapely.geometry.mapping(shapely.set_precision(shape, 0.00001))}) if drawn else "",
        "corners": shapely.get_num_coordinates(shape),
    }


@require_GET
def draw_map(request: HttpRequest) -> HttpResponse:
    """The map an area is drawn on: boundaries and rivers, around the place of the reader's post or what is drawn already."""
    access.require(request.actor, "warning.compose")
    layers = [
        {"id": name, "label": str(label), "kind": kind, "url": shell.address("web:map_layer", "", name), "on": True}
        for name, label, kind in (("regions", _("Boundaries"), "area"), ("rivers", _("Rivers"), "line")) if name != "rivers" or Region.objects.filter(kind="river").exists()
    ]
    view = None
    if key := request.GET.get("alert"):
        view = compute.bounds(_alert(request, UUID(key)))
    elif post := Post.objects.filter(pk=request.actor.post_id).select_related("region").first():
        region = post.region
        view = [region.west, region.south, region.east, region.north] if region and region.west is not None else None
    return JsonResponse({"bbox": view, "layers": layers, "plain": True})


def _initial(request: HttpRequest, found: Proposal | None) -> dict[str, Any]:
    channels = [str(one.pk) for one in Channel.objects.filter(enabled=True, test=False)]
    if found is None:
        post = Post.objects.filter(pk=request.actor.post_id).select_related("region").first()
        return {"kind": request.GET.get("kind", "prompt"), "places": post.region.name if post and post.region else "", "channels": channels}
    hazard = hazards.table()[found.hazard].name_zh
    worst = [line for line in found.evidence if line["colour"] == found.now_colour][:5] or found.evidence[:5]
    lines = [f"{_spoken_by(line)}：{_reading(line)}" for line in worst]
    models = sum(bool(line["colour"] and line.get("model")) for line in found.evidence)
    stations = sum(bool(line["colour"]) for line in found.evidence) - models
    counted = "、".join([f"{stations}处监测站超阈值"] * bool(stations) + [f"{models}个模型预报"] * bool(models))
    shape = next((line["model"]["drawn"] for line in worst if line.get("model") and line["model"]["drawn"]), {})
    return (Compose.drawn_as(shape) if shape else {}) | {
        "kind": found.kind, "colour": found.colour, "hazard": found.hazard, "places": found.region.name, "channels": channels,
        "headline": f"{found.region.name}{hazard}{actions.COLOUR_ZH[found.colour]}信号，{counted}",
        "description": "；".join(lines) + "。", "instruction": "请立即核实情况，检查隐患点，做好转移准备，并回复确认。",
    }


def _spoken_by(line: dict[str, Any]) -> str:
    """A gauge by its name; a model as one, with the time it speaks of."""
    about = line.get("model")
    if not about:
        return line["name"]
    times = [clock.local(datetime.fromisoformat(about[name])).strftime("%m-%d %H:%M") if about[name] else "" for name in ("valid_from", "valid_to")]
    return f"模型{line['name']}预报" + (f"（{times[0]}至{times[1]}）" if any(times) else "")


def _reading(line: dict[str, Any]) -> str:
    if line["value"] is None:
        return _("model {version}").format(version=line["rule_version"])
    value = f"{line['value']:g}" if isinstance(line["value"], (int, float)) else str(line["value"])
    limit = f"（阈值 {line['threshold']:g}）" if isinstance(line.get("threshold"), (int, float)) else ""
    return f"{line['window']} {value} {line['unit']}{limit}".strip()


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, key: UUID) -> HttpResponse:
    """Change a draft; what was approved loses its approval."""
    row = _alert(request, key)
    if request.method == "POST":
        form = Compose(request.POST, said=row.translations)
        form.fields["kind"].required = False
        if row.kind == Alert.RELAY:
            regions, unknown = resolve(request.POST.get("places", ""))
            if not unknown and regions:
                actions.edit(request.act(), alert=key, regions=[str(one.pk) for one in regions], channels=request.POST.getlist("channels"))
                return HttpResponseRedirect(reverse("warning:alert", args=[key]))
        done, _row = attempt(form, lambda: actions.edit(request.act(), alert=key, **form.values()))
        if done:
            return HttpResponseRedirect(reverse("warning:alert", args=[key]))
    else:
        english = row.translations.get("en-US", {})
        form = Compose(said=row.translations, initial={
            "kind": row.kind, "colour": row.colour, "hazard": row.hazard, "places": names(row.region_ids), "headline": row.headline,
            "description": row.description, "instruction": row.instruction, "headline_en": english.get("headline", ""),
            "description_en": english.get("description", ""), "expires": row.expires, "contact": row.contact, "channels": row.channels,
            **Compose.drawn_as(row.drawn),
        })
    return render(request, "warning/compose.html", {"form": form, "alert": row, "relay": row.kind == Alert.RELAY}, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "POST"])
def enter(request: HttpRequest) -> HttpResponse:
    """Take down an outside warning by hand: paste or type, check, Enter."""
    access.require(request.actor, "warning.enter")
    if request.method == "POST":
        form = HandEntry(request.POST)

        def take_down() -> Alert:
            data = form.cleaned_data
            return actions.enter_by_hand(
                request.act(), hazard=data["hazard"], colour=data["colour"], issuer=data["issuer"], issuer_name=data["issuer_name"],
                regions=data["places"], text=data["text"], heard_by=data["heard_by"], sent=data["sent"], contact=data["contact"], expires=data["expires"],
            )

        done, row = attempt(form, take_down)
        if done:
            messages.success(request, _("Taken down. Plans and posts have it."))
            return HttpResponseRedirect(reverse("warning:alert", args=[row.pk]))
    else:
        form = HandEntry(initial={"issuer": "weather_service", "hazard": "11B03", "heard_by": "phone"})
    return render(request, "warning/enter.html", {"form": form}, status=422 if request.method == "POST" else 200)


@require_POST
def enter_parse(request: HttpRequest) -> HttpResponse:
    """The fields below the text, filled from what it says; nothing is stored."""
    access.require(request.actor, "warning.enter")
    text = request.POST.get("text", "")
    places = Region.objects.exclude(kind__in=["basin", "grid", "province"]).values_list("pk", "name")
    heard = hearing.read(text, clock.now(request.realm), ZoneInfo(settings.TIME_ZONE_LOCAL), places)
    kept = request.POST
    form = HandEntry(initial={
        "colour": heard.colour or kept.get("colour", ""), "hazard": heard.hazard or kept.get("hazard", ""), "issuer": heard.issuer or kept.get("issuer", ""),
        "issuer_name": heard.issuer_name or kept.get("issuer_name", ""), "places": names(heard.regions) or kept.get("places", ""),
        "sent": heard.sent or kept.get("sent", ""), "heard_by": kept.get("heard_by", "phone"), "contact": kept.get("contact", ""),
        "expires": kept.get("expires", ""),
    })
    return render(request, "warning/_enter_fields.html", {"form": form})


@require_GET
def places(request: HttpRequest) -> HttpResponse:
    """What the typed names stand for, while typing."""
    regions, unknown = resolve(request.GET.get("places", "")[:2000])
    near = {word: list(Region.objects.filter(name__contains=word).exclude(kind__in=["basin", "grid"]).values_list("name", flat=True)[:4]) for word in unknown[:5]}
    return render(request, "warning/_places.html", {"regions": regions, "unknown": near})


# --- channels, issuers, originals ------------------------------------------------------------------------------------


@require_GET
def channels(request: HttpRequest) -> HttpResponse:
    """Every way out and its health: the register, with what holds them all said above it."""
    actions.in_app_channel()
    notices = []
    if Installation.current().outward_held:
        notices.append(_("All outward channels are held after a restore. A person must release them."))
    if (settings.HOME / "demo.json").exists():
        notices.append(_("This data folder holds demonstration accounts: nothing leaves it."))
    return listing.listing(request, CHANNELS, listing.Links.of(CHANNELS), extra={"notices": notices})


@require_GET
def device_list(request: HttpRequest) -> HttpResponse:
    """The register of devices, from the channels' page."""
    return HttpResponseRedirect(reverse("kernel:register", args=["warning.device"]))


@require_GET
def responsible(request: HttpRequest) -> HttpResponse:
    """Who answers for telling a place, from the channels' page."""
    return HttpResponseRedirect(reverse("kernel:register", args=["warning.responsible"]))


@require_GET
def words(request: HttpRequest) -> HttpResponse:
    """The prepared words of every hazard for one colour, as written, as read aloud and in English; over all colours, what is missing or hard to take in."""
    access.require(request.actor, "warning.read")
    colour = request.GET.get("colour", "red")
    if colour not in texts.COLOUR_ZH:
        raise Http404
    found = texts.gaps()
    lacking: dict[tuple[str, str], list[str]] = {}
    for hazard, of, language, why in found:
        lacking.setdefault((hazard, of), []).append(f"{language} {why}")
    rows = []
    for code, one in hazards.table().items():
        said = texts.prepared(code, colour)
        spoken = texts.spoken(f"{said['headline']}。{said['description']}{said['instruction']}")
        written_en = f"{said['headline_en']}. {said['description_en']}"
        spoken_en = texts.spoken(written_en, "en")
        rows.append({"code": code, "hazard": one, "said": said, "spoken": spoken, "spoken_en": spoken_en if spoken_en != written_en else "", "lacking": lacking.get((code, colour), [])})
    return render(request, "warning/words.html", {
        "rows": rows, "colour": colour, "colours": [(code, sum(of == code for _hazard, of, _language, _why in found)) for code in texts.COLOUR_ZH], "cells": len(rows) * len(texts.COLOUR_ZH) * len(texts.LANGUAGES), "lacking": len({one[:3] for one in found}),
    })


@require_POST
def channel_do(request: HttpRequest, key: UUID, step: str) -> HttpResponse:
    row = Channel.objects.filter(pk=key).first()
    if row is None:
        raise Http404
    if step == "confirm":
        read = request.POST.get("seen_version", "")
        actions.confirm_channel(request.act(), channel=key, seen_version=int(read) if read.isdigit() else -1)
    elif step == "secret":
        name = str((row.settings or {}).get("secret", ""))
        if not secrets.NAME.match(name) or not request.POST.get("secret"):
            raise INVALID([{"field": "secret", "why": _("the settings must name it first (\"secret\")")}])
        actions.renew_secret(request.act(), channel=key)
        secrets.keep(name, request.POST["secret"])
    elif step == "off":
        actions.switch_off_channel(request.act(), channel=key, reason=request.POST.get("reason", ""))
    elif step == "tone":
        devices.sound_tones(request.act(), channel=key)
        outcome = devices.ask_for_tones(row)
        if outcome.ok:
            messages.success(request, _("The test tone was asked for; what each device answers stands on its page."))
        else:
            messages.error(request, _("The test by {name} failed: {error}").format(name=row.name, error=outcome.error))
    elif step == "test":
        outcome = delivery.test_channel(request.act(), row)
        if outcome.ok:
            messages.success(request, _("The test message was accepted by {name}.").format(name=row.name))
        else:
            messages.error(request, _("The test by {name} failed: {error}").format(name=row.name, error=outcome.error))
    else:
        raise Http404
    return HttpResponseRedirect(reverse("warning:channel", args=[key]))


MARKS = {"V1": gettext_lazy("law text read"), "V2": gettext_lazy("two public sources agree"), "V3": gettext_lazy("one public source"), "own": gettext_lazy("rule of this platform")}


def _rules(table: issuers.Table) -> list[dict[str, Any]]:
    return [
        {
            "issuer": table.issuers[rule.issuer], "hazards": [_("all hazards") if one == "*" else hazards.name(one) for one in rule.hazards], "rule": rule,
            # A law named from memory stays "unverified" on every page until somebody has read it.
            "mark": MARKS.get(rule.mark, ""), "unverified": rule.mark not in MARKS,
        }
        for rule in table.rules
    ]


def _yaml(body: Any) -> str:
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False, width=160)


def _difference(old: Any, new: Any) -> list[dict[str, str]]:
    """Lines of the difference between two bodies, written the same way."""
    lines = difflib.unified_diff(_yaml(old).splitlines(), _yaml(new).splitlines(), lineterm="", n=1)
    return [{"text": line, "kind": {"+": "add", "-": "cut"}.get(line[0], "")} for line in list(lines)[2:] if not line.startswith("@@")]


@require_http_methods(["GET", "POST"])
def issuer_table(request: HttpRequest) -> HttpResponse:
    """Who may warn whom of what, with the source of each line; other versions; making one's own."""
    access.require(request.actor, "warning.read")
    table = issuers.table()
    default, own = issuers.default_body(), IssuerTable.objects.filter(in_force=True).first()
    body = own.body if own else default
    form = IssuerTableForm(request.POST or None, initial={"text": _yaml(body)})
    if request.method == "POST":
        def ask() -> IssuerTable:
            data = form.cleaned_data
            return actions.ask_issuer_table(request.act(), label=data["label"], body=issuers.read(data["text"]), source=data["source"])

        done, row = attempt(form, ask)
        if done:
            messages.success(request, _("Put forward. It takes effect when a second person confirms it."))
            return HttpResponseRedirect(reverse("warning:issuer_version", args=[row.pk]))
    versions = list(IssuerTable.objects.order_by("-created_at")[:20])
    return render(request, "warning/issuers.html", {
        "rows": _rules(table), "table": table, "own": own, "versions": versions, "people": _people(*[row.asked_by for row in versions], *[row.confirmed_by for row in versions]),
        "form": form, "may_manage": access.may(request.actor, "warning.channels"), "difference": _difference(default, body) if own else [],
    }, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "POST"])
def issuer_version(request: HttpRequest, key: UUID) -> HttpResponse:
    """One version of the table: what it would change, who asked, and the second person's decision."""
    access.require(request.actor, "warning.read")
    row = IssuerTable.objects.filter(pk=key).first()
    if row is None:
        raise Http404
    if request.method == "POST":
        if request.POST.get("step") == "confirm":
            actions.confirm_issuer_table(request.act(), table=key, seen_digest=request.POST.get("seen_digest", ""))
            messages.success(request, _("In force now: {name}.").format(name=row.label))
        else:
            actions.refuse_issuer_table(request.act(), table=key, reason=request.POST.get("reason", ""))
        return HttpResponseRedirect(reverse("warning:issuers"))
    current = IssuerTable.objects.filter(in_force=True).first()
    waits = not (row.confirmed_by or row.refused_by)
    may = waits and access.may(request.actor, "warning.channels")
    return render(request, "warning/issuer_version.html", {
        "row": row, "rows": _rules(issuers.parse(row.body, row.label)), "difference": _difference(current.body if current else issuers.default_body(), row.body),
        "people": _people(row.asked_by, row.confirmed_by, row.refused_by), "waits": waits, "may_end": may, "may_confirm": may and row.asked_by != request.actor.person_id,
        "text": _yaml(row.body),
    })


# --- standing authorisations -----------------------------------------------------------------------------------------


@require_GET
def standings(request: HttpRequest) -> HttpResponse:
    """What two persons have allowed beforehand, and what waits for the second."""
    access.require(request.actor, "warning.read")
    rows = Standing.objects.seen_by(request.actor, request.realm).select_related("region").order_by("-asked_at")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    for row in page:
        row.hazard_name = hazards.name(row.hazard)
    return render(request, "warning/standings.html", {
        "page": page, "people": _people(*[row.asked_by for row in page], *[row.confirmed_by for row in page]), "may_ask": access.may(request.actor, "warning.issue"),
    })


@require_http_methods(["GET", "POST"])
def standing_new(request: HttpRequest) -> HttpResponse:
    """Put one forward."""
    access.require(request.actor, "warning.issue")
    post = Post.objects.filter(pk=request.actor.post_id).select_related("region").first()
    form = StandingForm(request.POST or None, initial={
        "places": post.region.name if post and post.region else "", "channels": [str(one.pk) for one in Channel.objects.filter(test=False, enabled=True)],
    })
    if request.method == "POST":
        done, row = attempt(form, lambda: standing.ask(request.act(), **form.values()))
        if done:
            return HttpResponseRedirect(reverse("warning:standing", args=[row.pk]))
    return render(request, "warning/standing_form.html", {"form": form}, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "POST"])
def standing_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """One authorisation: its words, its sources as they stand now, who gave it, when it was used."""
    row = Standing.objects.seen_by(request.actor, request.realm).select_related("region", "realm").filter(pk=key).first()
    if row is None:
        raise Http404
    if request.method == "POST":
        step = request.POST.get("step", "")
        if step == "confirm":
            standing.confirm(request.act(), standing=key, seen_digest=request.POST.get("seen_digest", ""))
        elif step == "end":
            standing.end(request.act(), standing=key, reason=request.POST.get("reason", ""))
        elif step == "seen":
            standing.seen_over(request.act(), standing=key)
        else:
            raise Http404
        return HttpResponseRedirect(reverse("warning:standing", args=[key]))
    now = clock.now(request.realm)
    live = row.state in (Standing.ASKED, Standing.IN_FORCE)
    lines = standing.sources(row, request.realm, now) if live else []
    chosen = [one for one in Channel.objects.order_by("name") if str(one.pk) in row.channels]
    waits = row.state == Standing.ASKED
    return render(request, "warning/standing.html", {
        "row": row, "hazard_name": hazards.name(row.hazard), "subject": f"standing:{row.pk}", "people": _people(row.asked_by, row.confirmed_by, row.ended_by), "live": live,
        "sources": lines, "enough": len(lines) >= row.least, "channels": chosen, "alerts": row.alerts.order_by("-issued_at")[:20],
        "may_confirm": waits and row.asked_by != request.actor.person_id and access.may(request.actor, "warning.approve", row.region_id),
        "waits_for_second": waits and row.asked_by == request.actor.person_id,
        "may_end": live and access.may(request.actor, "warning.issue_internal", row.region_id), "over": row.state == Standing.EXPIRED,
    })


@require_http_methods(["GET", "POST"])
def original(request: HttpRequest, key: UUID) -> HttpResponse:
    """A message as it came, shown as text; a refused one with its reason, and the way to enter it by hand."""
    access.require(request.actor, "warning.read")
    row = Original.objects.seen_by(request.actor, request.realm).filter(pk=key).first()
    if row is None:
        raise Http404
    if request.method == "POST":
        actions.looked_at_refused(request.act(), original=key)
        return HttpResponseRedirect(reverse("warning:original", args=[key]))
    if request.GET.get("raw"):
        answer = HttpResponse(bytes(row.raw), content_type="application/octet-stream")
        answer["Content-Disposition"] = f'attachment; filename="{row.pk}.bin"'
        return answer
    text = bytes(row.raw)[:20_000].decode("utf-8", "replace")
    return render(request, "warning/original.html", {"original": row, "text": text, "size": len(bytes(row.raw)), "may_enter": access.may(request.actor, "warning.enter")})


urlpatterns = [
    path("", alerts, name="alerts"),
    path("compose", compose, name="compose"),
    path("enter", enter, name="enter"),
    path("enter/parse", enter_parse, name="enter_parse"),
    path("places", places, name="places"),
    path("record", record, name="record"),
    path("proposals", proposals, name="proposals"),
    path("proposals/<uuid:key>", proposal, name="proposal"),
    path("alerts/<uuid:key>", alert, name="alert"),
    path("alerts/<uuid:key>/edit", edit, name="edit"),
    path("alerts/<uuid:key>/cap", cap_file, name="cap_file"),
    path("alerts/<uuid:key>/proof", proof_file, name="proof_file"),
    path("alerts/<uuid:key>/map", alert_map, name="alert_map"),
    path("alerts/<uuid:key>/do/<slug:step>", do, name="do"),
    path("attempts/<uuid:key>/resend", resend, name="resend"),
    path("channels", channels, name="channels"),
    path("devices", device_list, name="devices"),
    path("responsible", responsible, name="responsible"),
    path("words", words, name="words"),
    path("compose/words", compose_words, name="compose_words"),
    path("compose/area", compose_area, name="compose_area"),
    path("compose/map", draw_map, name="draw_map"),
    path("channels/new", register_pages.create, {"name": CHANNELS.name}, name="channel_new"),
    path("channels/<uuid:key>", register_pages.entry, {"name": CHANNELS.name}, name="channel"),
    path("channels/<uuid:key>/do/<slug:step>", channel_do, name="channel_do"),
    path("issuers", issuer_table, name="issuers"),
    path("issuers/<uuid:key>", issuer_version, name="issuer_version"),
    path("standing", standings, name="standings"),
    path("standing/new", standing_new, name="standing_new"),
    path("standing/<uuid:key>", standing_page, name="standing"),
    path("originals/<uuid:key>", original, name="original"),
]

