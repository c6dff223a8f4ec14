"""Pages: clearing times and who is cut off; plans of supply from the needs to the waybill. Lists and case pages are the loops'."""
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import numpy as np
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST

from anlan.kernel import access, access_log, clock, codes, sheets, shell, subjects
from anlan.kernel.errors import INVALID, NOT_FOUND, Problem
from anlan.kernel.forms import LocalDateTime, attempt
from anlan.kernel.ids import new_id
from anlan.kernel.loops import get as loop
from anlan.kernel.loops.queries import choices
from anlan.kernel.middleware import address, public
from anlan.kernel.models import Post, Region
from anlan.kernel.registers import exporting
from anlan.kernel.registers.pages import qr, watermark
from anlan.resources.models import Base

from . import actions, forms, queries, reserves, searching, shelter_pages, supply, teams
from .models import Blockage, Pass, PlanVersion, Search, SupplyPlan, Transport

GOALS = {"fast": lambda: _("Faster"), "fair": lambda: _("Fairer"), "cheap": lambda: _("Cheaper")}


def clearing(request: HttpRequest) -> HttpResponse:
    """Mean time to clear trunk roads (open cases apart), and the towns and villages that nobody reaches at present."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, Blockage.SCOPE)
    bases = list(Base.objects.seen_by(actor).filter(ended_at=None, lon__isnull=False, lat__isnull=False).values_list("lon", "lat"))
    found = queries.reach(actor, realm, np.array(bases, float).reshape(-1, 2))
    return render(request, "logistics/clearing.html", {
        "figure": queries.clearing(actor, realm), "blocked": queries.blocked(actor, realm).count(), "reach": found, "bases": len(bases), "now": clock.now(realm),
    })


def clear_first(request: HttpRequest) -> HttpResponse:
    """The order in which crews give most people a way again; asked for by the page of clearing times, for it takes a second."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, Blockage.SCOPE)
    bases = list(Base.objects.seen_by(actor).filter(ended_at=None, lon__isnull=False, lat__isnull=False).values_list("lon", "lat"))
    return render(request, "logistics/_clear_first.html", {"order": queries.clear_first(actor, realm, np.array(bases, float).reshape(-1, 2)), "may_clear": access.may(actor, "logistics.clear")})


# --- teams ---------------------------------------------------------------------------------------------------------------


def teams_page(request: HttpRequest) -> HttpResponse:
    """Who goes: teams proposed for a work at a place, who cannot and why, what stays covered at home, who moves up."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    form = forms.TeamForm(actor, request.GET if "hazard" in request.GET else None, initial={"count": 2, "place": request.GET.get("place", "")})
    found, place = None, ("", 0.0, 0.0)
    if form.is_bound and form.is_valid():
        place = form.cleaned_data["place"]
        found = teams.propose(actor, realm, hazard=form.cleaned_data["hazard"], lon=place[1], lat=place[2], count=form.cleaned_data["count"])
    why = {"out": _("on a call-out"), "rests": _("rests"), "unusable": _("not ready, or papers run out"), "nowhere": _("no position entered"), "no way": _("no way at present")}
    return render(request, "logistics/teams.html", {
        "form": form, "found": found, "place": place[0], "hazard": form.cleaned_data.get("hazard", "") if found else "", "barred": [(team, why[code], until) for team, code, until in found.barred] if found else [],
        "may_call": access.may(actor, "resources.call"), "now": clock.now(realm), "share": 100 * found.covered / found.people if found and found.people else None, "after": 100 * found.left / found.people if found and found.people else None,
        "names": [shell.localname(row) for row in form.rows.order_by("name")[:2000]],
    })


def coverage(request: HttpRequest) -> HttpResponse:
    """Stations today against the best layout of as many, and where one more would do most."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    kinds = codes.choices("team_kind")
    kind = request.GET.get("kind", "") if request.GET.get("kind", "") in dict(kinds) else ""
    wanted = request.GET.get("small", "")
    small = min(int(wanted), 200) if wanted.isdecimal() and len(wanted) < 4 else 0
    flies = codes.choices("aircraft_kind")
    air = request.GET.get("air", "") if request.GET.get("air", "") in dict(flies) else ""
    lost = "lost" in request.GET
    small = 0 if air or lost else small
    found = teams.coverage(actor, realm, kind=kind, small=small, air=air, lost=lost)
    share = (lambda n: 100 * n / found.people) if found.people else (lambda n: 0.0)
    return render(request, "logistics/coverage.html", {"found": found, "today": share(found.today), "best": share(found.best), "bound": share(found.bound), "with_small": share(found.with_small), "small_bound": share(found.small_bound), "small": small, "kind": kind, "kinds": kinds, "air": air, "lost": lost, "flies": flies, "air_name": dict(flies).get(air, ""), "now": clock.now(realm)})


def reach_page(request: HttpRequest) -> HttpResponse:
    """How far one gets from a place within so many minutes, round what is blocked now: bands on the map, places and people in each."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    asked = "place" in request.GET and request.GET.get("minutes")
    form = forms.ReachForm(actor, request.GET if asked else None, initial={"place": request.GET.get("place", ""), "vehicle": "car", "weather": "dry"})
    found, how, place = None, "", ("", 0.0, 0.0)
    if form.is_bound and form.is_valid():
        place = form.cleaned_data["place"]
        found, how = queries.bands(actor, realm, place[1], place[2], form.cleaned_data["minutes"], vehicle=form.cleaned_data["vehicle"], weather=form.cleaned_data["weather"])
        if "map" in request.GET:
            config, at = shelter_pages.ground(None), clock.now(realm).isoformat()
            for band in reversed(found):
                config["layers"].append({"id": f"reach-{band.minutes:g}", "label": _("{n} minutes").format(n=f"{band.minutes:g}"), "kind": "reach", "data": {
                    "type": "FeatureCollection", "freshness": at, "features": [{"type": "Feature", "geometry": band.geometry, "properties": {"name": f"{band.minutes:g} min"}}]}})
            blocked = queries.blocked(actor, realm).filter(lon__isnull=False)
            config["layers"].append({"id": "blocked", "marks": True, "mark": "cross", "label": _("Blocked roads"), "kind": "point", "data": {"type": "FeatureCollection", "freshness": at, "features": [
                {"type": "Feature", "geometry": {"type": "Point", "coordinates": [one.lon, one.lat]}, "properties": {"name": one.road, "text": one.title, "mark": "cross"}} for one in blocked]}})
            config["mark"] = [place[1], place[2]]
            corners = [pair for polygon in ([found[-1].geometry["coordinates"]] if found[-1].geometry["type"] == "Polygon" else found[-1].geometry["coordinates"]) for ring in polygon for pair in ring] or [[place[1] - 0.1, place[2] - 0.1], [place[1] + 0.1, place[2] + 0.1]]
            config["bbox"] = [min(x for x, _y in corners), min(y for _x, y in corners), max(x for x, _y in corners), max(y for _x, y in corners)]
            return JsonResponse(config)
    return render(request, "logistics/reach.html", {"form": form, "found": found, "how": how, "place": place[0], "now": clock.now(realm), "names": [shell.localname(row) for row in form.rows.defer("area_wkb").order_by("name")[:2000]]})


# --- reserves ------------------------------------------------------------------------------------------------------------


def reserve_page(request: HttpRequest) -> HttpResponse:
    """What must lie in store, be agreed and be made for so many people and days, by layer and form, beside what is held today; ?xlsx for a sheet."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    access.require(actor, "resources.read")
    home = Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first() if actor.post_id else None
    start = {"region": str(home or ""), "days": 7, "share": 2.0, **reserves.mapping()}
    form = forms.ReserveForm(actor, {**start, **request.GET.dict()} if "days" in request.GET else None, initial=start)
    given = form.cleaned_data if form.is_bound and form.is_valid() else None if form.is_bound else start
    region = Region.objects.filter(pk=(given or start)["region"] or None, valid_to=None).first() if (given or start)["region"] else None
    found = reserves.targets(actor, realm, region, given) if given and region else None
    layers, split_forms = codes.choices("reserve_layer"), [(code, codes.name("reserve_form", code)) for code in ("physical", "agreement", "capacity")]
    if found and "xlsx" in request.GET:
        title = _("Reserve targets")
        access_log.note(actor, "export", "logistics", count=len(found.lines), purpose=title, address=address(request))
        head = [pgettext("supplies", "Good"), _("Unit"), _("Needed"), *(f"{name} {what}" for _code, name in layers for what in (_("target"), _("held"))), *(f"{name} {what}" for _code, name in split_forms[1:] for what in (_("target"), _("held"))), pgettext("supplies", "Gap")]
        rows = [
            [one.name, one.unit, one.need, *(value for cell in one.layers for value in (cell.target, cell.held)), one.agreement.target, one.agreement.held, one.capacity.target, one.capacity.held, one.gap] for one in found.lines
        ]
        return exporting.answer(sheets.write(title, head, rows, watermark=watermark(request)), f"{title}.xlsx")
    return render(request, "logistics/reserves.html", {
        "form": form, "found": found, "layers": layers, "now": clock.now(realm), "mark": codes.shipped()["need_rate"]["source" if shell.localname_is_english() else "source_zh"],
        "share_source": codes.shipped()["reserve_share"]["source" if shell.localname_is_english() else "source_zh"], "groups": [form[name] for name in forms.CalculationForm.GROUPS],
        "rates": [{"name": codes.name("need_rate", code), "data": entry["data"], "item": form[f"item_{code}"], "each": form[f"each_{code}"]} for code, entry in codes.entries("need_rate").items()],
    }, status=422 if form.is_bound and given is None else 200)


# --- plans of supply -----------------------------------------------------------------------------------------------------


def _plan(request: HttpRequest, key: UUID) -> SupplyPlan:
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    row = SupplyPlan.objects.seen_by(actor, realm).filter(pk=key).select_related("region", "post__organisation", "realm").defer("region__area_wkb").first()
    if row is None:
        raise NOT_FOUND(kind=_("plan of supply"), key=str(key)[-6:])
    return row


def plans(request: HttpRequest) -> HttpResponse:
    """The room's door: its plans, as every closed loop lists its cases."""
    return redirect("kernel:loop", actions.PLANS)


def plan_new(request: HttpRequest) -> HttpResponse:
    """Begin a plan: what for, where, with which vehicles; depots of the region are chosen already."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "logistics.plan")
    home = Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first() if actor.post_id else None
    about = request.GET.get("about", "")[:80]
    incident = subjects.row(about) if about else None
    start = {"region": str(getattr(incident, "region_id", None) or home or ""), "about": about if incident else "", "title": _("Supplies for {what}").format(what=str(incident))[:200] if incident else ""}
    form = forms.PlanForm(actor, request.POST or None, initial=start)
    if request.method == "POST":
        done, row = attempt(form, lambda: actions.make(
            request.act(), **{**form.cleaned_data, "region": UUID(form.cleaned_data["region"])}, depots=forms.default_depots(actor, form.cleaned_data["region"])))  # type: ignore[attr-defined]
        if done:
            return redirect("logistics:needs", row.pk)
    return render(request, "logistics/plan_new.html", {"form": form}, status=422 if request.method == "POST" else 200)


def plan(request: HttpRequest, key: UUID) -> HttpResponse:
    """The plan: on the map, as a table by depot, vehicle or need, with its reasons, what is not met, the alternatives and the versions."""
    row = _plan(request, key)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    declared = loop(actions.PLANS)
    wanted = request.GET.get("version", "")
    number = int(wanted) if wanted.isdigit() else row.current
    version = row.versions.filter(number=number).first() if number else None
    by = request.GET.get("by") if request.GET.get("by") in ("depot", "vehicle", "need") else "need"
    may_plan = access.may(actor, "logistics.plan", row.region_id, row.organisation_id)
    context: dict[str, Any] = {
        "plan": row, "version": version, "by": by, "state_label": declared.state_label(row.state), "now": clock.now(realm), "may_plan": may_plan, "editable": may_plan and row.state in searching.EDITABLE and not realm.is_over,
        "steps": choices(actor, declared, row), "versions": _versions(row), "about_url": subjects.url(row.about) if row.about else "", "about_text": shell.describe(row.about)[0] if row.about else "",
        "needs": len(row.needs), "depots": len(row.depots), "stands": number == row.current, "loads": list(row.transports.filter(plan_version__isnull=False).order_by("number")), "transport": loop("logistics.transport"),
        **_search(row),
    }
    context["together"] = may_plan and not realm.is_over and any(load.state == "ordered" for load in context["loads"])
    for load in context["loads"]:
        load.state_label = context["transport"].state_label(load.state)
    if version is not None:
        context |= _shown(row, version, by, request.GET.get("q", "").strip()[:60], request.GET.get("only", ""))
        if (context["capacity"] or {}).get("trucks") and access.may(actor, "resources.call", row.region_id, row.organisation_id):
            known = {
                "kind": "truck", "title": _("Trucks for {plan}").format(plan=row.title), "what": codes.name("requisition_rate", "truck"), "quantity": context["capacity"]["trucks"],
                "purpose": f"{row.number} {row.title}", "region": row.region_id or "",
            }
            context["requisition"] = f"{reverse('kernel:loop_new', args=['resources.requisition'])}?{urlencode(known)}"
    return render(request, "logistics/plan.html", context)


def _versions(row: SupplyPlan) -> list[dict[str, Any]]:
    found = []
    for one in row.versions.order_by("-number")[:30]:
        numbers = one.answer["numbers"]
        found.append({
            "row": one, "who": shell.person_name(one.person) if one.person else _("system"), "unmet": numbers["unmet"], "changes": len(one.changes), "goal": GOALS[one.goal](),
            "stands": one.number == row.current, "approved": one.number == row.approved, "proposed": one.kind == "replan" and one.number > row.current,
        })
    return found


def _search(row: SupplyPlan) -> dict[str, Any]:
    """How far the newest search is: [0, 100], in words, and whether it can be stopped."""
    search = Search.plain.filter(pk=row.asked).first() if row.asked else None
    if search is None:
        return {"search": None, "searching": False}
    told = search.progress
    step, of, turn, rounds = (told.get(name, 0) for name in ("step", "of", "round", "rounds"))
    share = (step + turn / max(rounds, 1)) / max(of, 1)
    gap = (told["value"] - told["bound"]) / max(abs(told["bound"]), 1.0) if told.get("bound") else None
    return {
        "search": search, "searching": search.state in (Search.WAITING, Search.RUNNING), "done": round(100 * share), "doing": GOALS[told["goal"]]() if told.get("goal") in GOALS else "",
        "gap": None if gap is None else max(0.0, 100 * gap), "waiting": search.state == Search.WAITING,
        "progress_url": reverse("logistics:progress", args=[row.pk]), "stop_url": reverse("logistics:plan_act", args=[row.pk, "stop"]),
    }


def _names(q: str, *words: str) -> bool:
    """Whether one of the words holds what is looked for."""
    return not q or any(q.casefold() in word.casefold() for word in words)


def _shown(row: SupplyPlan, version: PlanVersion, by: str, q: str = "", only: str = "") -> dict[str, Any]:
    """The tables of a version in words; of the lines those that hold `q` and are `only` late, set by hand or not met."""
    frozen, answer = version.frozen, version.answer
    lines = [
        {
            **one, "depot": frozen["depots"][one["d"]], "need": frozen["needs"][one["j"]], "item": frozen["items"][one["g"]], "quantity": supply.quantity(frozen, one["g"], one["units"]),
            "for": frozen["items"][one["for"]] if "for" in one else None, "via": supply.point_of(frozen, one),
            "why": supply.why_words(frozen, one["why"]), "by_hand": one["why"]["code"] == "hand", "late": one["arrive"] is not None and one["arrive"] > frozen["deadline"][one["j"]][one["g"]],
            "url": f"{reverse('logistics:line', args=[row.pk])}?depot={frozen['depots'][one['d']]['id']}&need={frozen['needs'][one['j']]['id']}&item={frozen['items'][one['g']]['id']}",
        } for one in answer["lines"]
    ]
    began = datetime.fromisoformat(frozen["at"])
    groups: list[dict[str, Any]] = []
    fits: dict[str, Callable[[dict[str, Any]], bool]] = {"": lambda _one: True, "late": lambda one: one["late"], "hand": lambda one: one["by_hand"], "unmet": lambda _one: False}
    only = only if only in fits else ""
    if by == "vehicle":
        for k, truck in enumerate(frozen["trucks"]):
            trips = [
                {**one, "need": frozen["needs"][one["j"]]["name"], "leave_at": began + timedelta(minutes=one["leave"]), "arrive_at": began + timedelta(minutes=one["arrive"]), "back_at": began + timedelta(minutes=one["back"]),
                 "cargo": "、".join(f"{frozen['items'][g]['name']} {supply.quantity(frozen, g, units)}" for g, units in one["cargo"]),
                 "full": round(100 * sum(units * frozen["items"][g]["load"] for g, units in one["cargo"]) / truck["load"])} for one in answer["trips"] if one["truck"] == k
            ]
            trips = [one for one in trips if _names(q, one["need"], one["cargo"], truck["name"], frozen["depots"][truck["depot"]]["name"])]
            if trips:
                groups.append({"name": f"{frozen['depots'][truck['depot']]['name']} · {truck['name']}", "trips": trips, "hours": sum(one["back"] - one["leave"] for one in trips) / 60})
    else:
        names = [one["name"] for one in frozen["depots" if by == "depot" else "needs"]]
        side = "d" if by == "depot" else "j"
        for k, name in enumerate(names):
            mine = [one for one in lines if one[side] == k and fits[only](one) and _names(q, one["depot"]["name"], one["need"]["name"], one["item"]["name"], one["for"]["name"] if one["for"] else "")]
            missing = [one for one in answer["unmet"] if by == "need" and one["j"] == k and only in ("", "unmet") and _names(q, name, frozen["items"][one["g"]]["name"])]
            if mine or missing:
                groups.append({
                    "name": name, "id": frozen["depots" if by == "depot" else "needs"][k]["id"], "lines": mine,
                    "missing": [{"item": frozen["items"][one["g"]], "quantity": supply.quantity(frozen, one["g"], one["units"]), "why": supply.unmet_words(one["why"])} for one in missing],
                })
    unmet = [
        {"need": frozen["needs"][one["j"]]["name"], "item": frozen["items"][one["g"]]["name"], "quantity": supply.quantity(frozen, one["g"], one["units"]), "why": supply.unmet_words(one["why"])}
        for one in answer["unmet"]
    ]
    alternatives = [{"goal": goal, "name": GOALS[goal](), "numbers": version.answers[goal]["numbers"], "stands": goal == version.goal} for goal in GOALS if goal in version.answers]
    for one in alternatives:
        one["met"] = 1000 * one["numbers"]["units"] // one["numbers"]["asked"] / 10 if one["numbers"]["asked"] else 100.0  # rounded down: not all is met while one is missing
        one["worst"] = 100 * one["numbers"]["worst_share"]
    alike = {tuple(one["numbers"].get(name) for name in ("unmet", "mean_min", "last_min", "truck_hours", "yuan")) for one in alternatives}
    counts = {"late": sum(one["late"] for one in lines), "hand": sum(one["by_hand"] for one in lines), "unmet": len(answer["unmet"]) if by == "need" else 0}
    words = {"late": _("late"), "hand": _("set by hand"), "unmet": _("not met")}
    at = supply.places_of(frozen)
    decided = [
        {**one, "depot_name": frozen["depots"][at[0][one["depot"]]]["name"], "need_name": frozen["needs"][at[1][one["need"]]]["name"], "quantity": supply.quantity(frozen, at[2][one["item"]], one["units"]),
         "item_name": frozen["items"][at[2][one["item"]]]["name"], "who": shell.person_name(UUID(one["by"])) if one.get("by") else _("system"), "when": datetime.fromisoformat(one["at"]) if one.get("at") else None}
        for one in row.manual if one["depot"] in at[0] and one["need"] in at[1] and one["item"] in at[2]
    ]
    return {
        "same": " / ".join(str(one["name"]) for one in alternatives) if len(alternatives) > 1 and len(alike) == 1 else "",
        "find": {
            "q": q, "only": only, "kinds": [(code, words[code], n) for code, n in counts.items() if n or code == only],
            "shown": sum(len(group.get("trips", ())) + len(group.get("lines", ())) + len(group.get("missing", ())) for group in groups), "of": len(answer["trips"]) if by == "vehicle" else len(lines) + counts["unmet"],
        },
        "frozen": frozen, "groups": groups, "lines": lines, "unmet": unmet, "alternatives": alternatives, "numbers": answer["numbers"], "capacity": answer["numbers"].get("capacity"), "breaks": supply.words_of(frozen, answer["breaks"]), "decided": decided,
        "changed": supply.change_words(frozen, version.changes), "stale": version.frozen["key"] != supply.key_of(row), "at": began, "gap": 100 * answer["numbers"]["gap"] if "gap" in answer["numbers"] else None, "whole_trips": bool(frozen["trucks"]),

    }


def plan_map(request: HttpRequest, key: UUID) -> HttpResponse:
    """Depots, needs and what flows between them, on the house's ground."""
    row = _plan(request, key)
    wanted = request.GET.get("version", "")
    version = row.versions.filter(number=int(wanted) if wanted.isdigit() else row.current).first()
    layers: list[dict[str, Any]] = []
    if address := shell.address("web:map_layer", "", "regions"):
        layers.append({"id": "regions", "label": _("Boundaries"), "kind": "area", "url": address})
    if address := shell.address("web:map_layer", "", "rivers"):
        layers.append({"id": "rivers", "label": _("Rivers"), "kind": "line", "url": address, "on": False})
    box = None
    if version is not None:
        frozen, answer = version.frozen, version.answer
        sent: dict[tuple[int, int], list[str]] = {}
        for one in answer["lines"]:
            sent.setdefault((one["d"], one["j"]), []).append(f"{frozen['items'][one['g']]['name']} {supply.quantity(frozen, one['g'], one['units'])}")
        short: dict[int, list[str]] = {}
        for one in answer["unmet"]:
            short.setdefault(one["j"], []).append(f"{frozen['items'][one['g']]['name']} {supply.quantity(frozen, one['g'], one['units'])}")

        def collection(features: list[dict[str, Any]]) -> dict[str, Any]:
            return {"type": "FeatureCollection", "features": features, "freshness": frozen["at"]}

        def point(one: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
            return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [one["lon"], one["lat"]]}, "properties": {"name": one["name"], "text": text, **more}}

        used = {d for d, _j in sent}
        blocked = list(Blockage.objects.seen_by(request.actor, request.realm).filter(pk__in=[one["id"] for one in frozen["blocked"]], lon__isnull=False))  # type: ignore[attr-defined]
        layers += [
            {"id": "flows", "label": _("Loads"), "kind": "flow", "data": collection([
                {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[frozen["depots"][d]["lon"], frozen["depots"][d]["lat"]], [frozen["needs"][j]["lon"], frozen["needs"][j]["lat"]]]},
                 "properties": {"name": f"{frozen['depots'][d]['name']} → {frozen['needs'][j]['name']}", "text": "、".join(texts), "n": len(texts)}} for (d, j), texts in sent.items()])},
            {"id": "blocked", "marks": True, "mark": "cross", "label": _("Blocked roads"), "kind": "point", "data": collection([point({"lon": one.lon, "lat": one.lat, "name": one.road}, one.title, url=reverse("kernel:case", args=[one.pk]), mark="cross") for one in blocked])},
            {"id": "needs", "marks": True, "mark": "met", "label": _("Needs"), "kind": "point", "data": collection([
                point(one, _("not met: {what}").format(what="、".join(short[j])) if j in short else _("met"), mark="short" if j in short else "met") for j, one in enumerate(frozen["needs"])])},
            {"id": "depots", "marks": True, "mark": "depot", "label": _("Depots"), "kind": "point", "data": collection([point(one, "；".join(f"{frozen['needs'][j]['name']}：{'、'.join(texts)}" for (e, j), texts in sent.items() if e == d), mark="depot" if d in used else "idle") for d, one in enumerate(frozen["depots"])])},
        ]
        shown = [frozen["depots"][d] for d in used] + frozen["needs"]
        if shown:
            lons, lats = [one["lon"] for one in shown], [one["lat"] for one in shown]
            box = [min(lons) - 0.02, min(lats) - 0.02, max(lons) + 0.02, max(lats) + 0.02]
    return JsonResponse({"bbox": box, "layers": layers, "plain": True})


def needs(request: HttpRequest, key: UUID) -> HttpResponse:
    """Who needs what, until when: typed line by line, or worked out from people and days."""
    row = _plan(request, key)
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "logistics.plan", row.region_id, row.organisation_id)
    form, calculation = forms.NeedsForm(row), forms.CalculationForm(initial={"priority": "urgent", **reserves.mapping()})
    problem, status = "", 200
    if request.method == "POST":
        try:
            if "calculate" in request.POST:
                calculation = forms.CalculationForm(request.POST)
                found = _calculated(row, calculation) if calculation.is_valid() else None
                if found is not None:
                    actions.set_needs(request.act(), plan=row.pk, needs=found)  # type: ignore[attr-defined]
                    messages.success(request, _("The calculated needs are in the list below. Change them as you know better."))
                    return redirect("logistics:needs", row.pk)
                status = 422
            else:
                form = forms.NeedsForm(row, request.POST)
                if form.is_valid():
                    actions.set_needs(request.act(), plan=row.pk, needs=form.needs)  # type: ignore[attr-defined]
                    return redirect("logistics:needs" if "more" in request.POST else "logistics:depots" if not row.current else "logistics:plan", row.pk)
                status = 422
        except Problem as error:
            problem, status = "; ".join(f"{one['field']}: {one['why']}" for one in error.fields) or error.message, 422
    rate_rows = [
        {"code": code, "name": codes.name("need_rate", code), "data": entry["data"], "item": calculation[f"item_{code}"], "each": calculation[f"each_{code}"]} for code, entry in codes.entries("need_rate").items()
    ]
    return render(request, "logistics/needs.html", {
        "plan": row, "form": form, "calculation": calculation, "rates": rate_rows, "problem": problem, "items": [f"{one.name} · {one.code}" for one in form.items.values()], "names": [shell.localname(one) for one in form.places],
        "groups": [calculation[name] for name in forms.CalculationForm.GROUPS], "open": "calculate" in request.POST or not row.needs, "mark": codes.shipped()["need_rate"]["source" if shell.localname_is_english() else "source_zh"],
    }, status=status)


def _calculated(row: SupplyPlan, form: forms.CalculationForm) -> list[dict[str, Any]] | None:
    """The plan's needs with what a place's people need over the days, by the rates in force; nothing when no item was chosen."""
    import math

    given = form.cleaned_data
    place = next((one for one in forms.places(row) if shell.localname(one) == given["place"].strip()), None)
    if place is None:
        form.add_error("place", _("Choose a place of the list."))
        return None
    people = {name: [float(given.get(name) or 0)] * given["days"] for name in forms.CalculationForm.GROUPS}
    listed = codes.entries("need_rate")
    amounts = reserves.amounts(people)
    lines: dict[str, dict[str, Any]] = {}
    for code in listed:
        item, total = given.get(f"item_{code}"), float(np.sum(amounts.get(code, 0)))
        if item and total > 0:
            units = math.ceil(total / float(given.get(f"each_{code}") or 1) - 1e-9)
            lines[item] = {"item": item, "units": units + lines.get(item, {}).get("units", 0), "priority": given["priority"], **({"hours": given["hours"]} if given.get("hours") else {})}
    if not lines:
        form.add_error(None, _("Enter people, and choose for at least one good which item of the catalogue serves it."))
        return None
    kept = [one for one in row.needs if one["name"] != shell.localname(place)]
    old = next((one for one in row.needs if one["name"] == shell.localname(place)), None)
    merged = {line["item"]: line for line in (old or {}).get("items", [])} | lines
    return [*kept, {**({"id": old["id"]} if old else {}), "name": shell.localname(place), "lon": place.lon, "lat": place.lat, "items": list(merged.values())}]


def depots(request: HttpRequest, key: UUID) -> HttpResponse:
    """From where, with which trucks."""
    row = _plan(request, key)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.plan", row.region_id, row.organisation_id)
    form, problem = forms.DepotsForm(row, actor, realm, request.POST or None), ""
    if request.method == "POST":
        try:
            actions.set_depots(request.act(), plan=row.pk, depots=form.depots)  # type: ignore[attr-defined]
            if (form.swaps, form.transfers) != (row.swaps, row.transfers):
                actions.set_rules(request.act(op_id=new_id()), plan=row.pk, swaps=form.swaps, transfers=form.transfers)  # type: ignore[attr-defined]
            if "search" in request.POST:
                actions.search(request.act(op_id=new_id()), plan=row.pk)  # type: ignore[attr-defined]
            return redirect("logistics:plan", row.pk)
        except Problem as error:
            problem = "; ".join(one["why"] for one in error.fields) or error.message
    return render(request, "logistics/depots.html", {"plan": row, "form": form, "problem": problem, "fleet": forms.fleet(actor, row.region_id)}, status=422 if problem else 200)


def line(request: HttpRequest, key: UUID) -> HttpResponse:
    """Change a line by hand, or move it to another depot: judged at once (`try`), kept as a decision when saved."""
    row = _plan(request, key)
    access.require(request.actor, "logistics.plan", row.region_id, row.organisation_id)  # type: ignore[attr-defined]
    version = row.versions.filter(number=row.current).first()
    if version is None:
        raise NOT_FOUND(kind=_("version"), key="")
    frozen = version.frozen
    given = request.POST if request.method == "POST" else request.GET
    at = supply.places_of(frozen)
    names = {side: given.get(side, "") for side in ("depot", "need", "item")}
    if names["need"] not in at[1] or names["item"] not in at[2]:
        raise NOT_FOUND(kind=_("line"), key=names["need"])
    j, g = at[1][names["need"]], at[2][names["item"]]
    table = supply.by_depot(frozen, supply.lines_of(frozen, version.answer))
    typed = {one["id"]: given.get(f"units-{one['id']}") for one in frozen["depots"]}
    if request.method == "GET" and given.get("to") in at[0] and names["depot"] in at[0]:
        # Dragged: all of it to the other depot.
        moved = table.get((at[0][names["depot"]], j, g), 0)
        typed[names["depot"]], typed[given["to"]] = "0", str(moved + table.get((at[0][given["to"]], j, g), 0))
    rows, changed = [], []
    wrong = ""
    for d, depot in enumerate(frozen["depots"]):
        now = table.get((d, j, g), 0)
        text = typed[depot["id"]]
        units = int(text) if text is not None and text.strip().isdigit() and len(text.strip()) < 10 else now
        if text is not None and not (text.strip().isdigit() and len(text.strip()) < 10):
            wrong = _("Write whole numbers, zero or more.")
        held, minutes = frozen["stock"][d][g], frozen["minutes"][d][j]
        if held or now or units:
            rows.append({"depot": depot, "now": now, "units": units, "held": supply.quantity(frozen, g, held), "minutes": None if minutes is None else minutes + depot["ready"]})
        if units != now:
            changed.append({"depot": depot["id"], "need": names["need"], "item": names["item"], "units": units})
    judged = None
    if changed and not wrong:
        answer, _decided = actions.bent(version, row.manual, changed)
        before, after = version.answer["numbers"], answer["numbers"]
        told = (("unmet", _("units not met")), ("mean_min", _("minutes on average")), ("last_min", _("minutes to the last")), ("truck_hours", _("truck hours")), ("yuan", _("yuan")))
        judged = {
            "breaks": supply.words_of(frozen, answer["breaks"]), "missing": [supply.quantity(frozen, one["g"], one["units"]) for one in answer["unmet"] if (one["j"], one["g"]) == (j, g)],
            "numbers": [{"name": words, "before": before[name], "after": after[name]} for name, words in told],
        }
    rows.sort(key=lambda one: (one["minutes"] is None, one["minutes"] or 0.0))
    reasons = [f"{frozen['depots'][one['d']]['name']}: {supply.why_words(frozen, one['why'])}" for one in version.answer["lines"] if (one["j"], one["g"]) == (j, g)]
    reasons += [f"{supply.quantity(frozen, g, one['units'])}: {supply.unmet_words(one['why'])}" for one in version.answer["unmet"] if (one["j"], one["g"]) == (j, g)]
    context = {"reasons": reasons, "plan": row, "version": version, "need": frozen["needs"][j], "item": frozen["items"][g], "rows": rows, "judged": judged, "wrong": wrong, "asked": supply.quantity(frozen, g, frozen["need"][j][g]), "names": names, "why": given.get("why", "")}
    if request.method == "POST" and "try" not in request.POST and changed and not wrong:
        actions.set_lines(request.act(), plan=row.pk, lines=changed, why=request.POST.get("why", ""))  # type: ignore[attr-defined]
        messages.success(request, _("Set by hand. It stands in every later search until you take it back."))
        return redirect("logistics:plan", row.pk)
    if "try" in request.POST:
        return render(request, "logistics/_judged.html", context)
    return render(request, "logistics/line.html", context, status=422 if wrong else 200)


def progress(request: HttpRequest, key: UUID) -> HttpResponse:
    """How far the search is; the whole page anew when it has ended."""
    row = _plan(request, key)
    told = _search(row)
    if not told["searching"] and getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("logistics:plan", args=[row.pk])})
    return render(request, "logistics/_search.html", {"plan": row, "editable": True, **told})


@require_POST
def act(request: HttpRequest, key: UUID, what: str) -> HttpResponse:
    """The small acts of the plan's page: search, stop, choose, adopt, drop."""
    row = _plan(request, key)
    given, doing = request.POST, request.act()  # type: ignore[attr-defined]
    if what == "search":
        actions.search(doing, plan=row.pk, kind="replan" if "replan" in given and row.current else "solve", reason=given.get("reason", "")[:300])
    elif what == "stop" and row.asked:
        actions.stop(doing, search=row.asked)
    elif what == "choose":
        actions.choose(doing, plan=row.pk, goal=given.get("goal", ""))
    elif what == "adopt" and given.get("number", "").isdigit():
        actions.adopt(doing, plan=row.pk, number=int(given["number"]))
    elif what == "convoy":
        loads = given.getlist("load")
        try:
            actions.drive_together(doing, plan=row.pk, loads=loads, convoy=given.get("convoy", ""), leave_by=LocalDateTime(required=False).clean(given.get("leave_by", "")))
        except ValidationError as error:
            raise INVALID([{"field": "leave_by", "why": error.messages[0]}]) from error
        messages.success(request, _("{n} loads drive in the convoy {name}.").format(n=len(loads), name=given.get("convoy", "")))
    elif what == "drop":
        actions.drop_decision(doing, plan=row.pk, depot=given.get("depot", ""), need=given.get("need", ""), item=given.get("item", ""))
    else:
        raise NOT_FOUND(kind=_("step"), key=what)
    return redirect("logistics:plan", row.pk)


def waybill(request: HttpRequest, key: UUID) -> HttpResponse:
    """A transport order as it goes with the load: what, from where, to whom, with a code that opens it."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    row = Transport.objects.seen_by(actor, realm).filter(pk=key).select_related("plan", "depot", "realm").first()
    if row is None:
        raise NOT_FOUND(kind=_("transport order"), key=str(key)[-6:])
    declared = loop("logistics.transport")
    return render(request, "logistics/waybill.html", {
        "row": row, "state_label": declared.state_label(row.state), "qr": qr(request.build_absolute_uri(reverse("kernel:case", args=[row.pk]))), "watermark": watermark(request), "now": clock.now(realm),
        "lines": [{**one, "unit_word": codes.name("supply_unit", one["unit"])} for one in row.lines],
    })


@require_POST
def pass_ask(request: HttpRequest, key: UUID) -> HttpResponse:
    """Ask for a pass for a load, for so many hours."""
    hours = request.POST.get("hours", "")
    until = clock.now(request.realm) + timedelta(hours=min(float(hours), 720.0) if hours.replace(".", "", 1).isdecimal() else 24.0)  # type: ignore[attr-defined]
    row = actions.ask_pass(request.act(), transport=key, valid_until=until, plates=request.POST.get("plates", ""), route=request.POST.get("route", "")[:400])  # type: ignore[attr-defined]
    return redirect("kernel:case", row.pk)


def pass_paper(request: HttpRequest, key: UUID) -> HttpResponse:
    """The certificate as it lies behind the windscreen."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    row = Pass.objects.seen_by(actor, realm).filter(pk=key).exclude(code="").select_related("realm", "region").defer("region__area_wkb").first()
    if row is None:
        raise NOT_FOUND(kind=_("pass"), key=str(key)[-6:])
    return render(request, "logistics/pass.html", {"row": row, "holds": _holds(row), "qr": qr(request.build_absolute_uri(reverse("logistics:pass_check", args=[row.code]))), "watermark": watermark(request)})


def _holds(row: Pass) -> str:
    """valid, drill, revoked or over: what whoever stops the vehicle must know."""
    if row.state == "given" and row.valid_until > clock.now(row.realm) and not row.realm.is_over:
        return "valid" if row.realm.is_actual else "drill"
    return "revoked" if row.state == "revoked" else "over"


@public
def pass_check(request: HttpRequest, code: str) -> HttpResponse:
    """What its QR code leads to, for whoever stops the vehicle, signed in or not: whether it holds, for which plates and way; no driver, no load."""
    row = Pass.objects.everything().filter(code=code[:40]).exclude(code="").select_related("realm").first() if code else None
    return render(request, "logistics/pass_check.html", {"row": row, "holds": _holds(row) if row else "unknown"}, status=200 if row else 404)


app_name = "logistics"
urlpatterns = [
    *shelter_pages.urlpatterns,
    path("clearing", clearing, name="clearing"),
    path("clearing/order", clear_first, name="clear_first"),
    path("teams", teams_page, name="teams"),
    path("coverage", coverage, name="coverage"),
    path("reach", reach_page, name="reach"),
    path("reserves", reserve_page, name="reserves"),
    path("plans", plans, name="plans"),
    path("plans/new", plan_new, name="plan_new"),
    path("plans/<uuid:key>", plan, name="plan"),
    path("plans/<uuid:key>/map", plan_map, name="plan_map"),
    path("plans/<uuid:key>/needs", needs, name="needs"),
    path("plans/<uuid:key>/depots", depots, name="depots"),
    path("plans/<uuid:key>/line", line, name="line"),
    path("plans/<uuid:key>/progress", progress, name="progress"),
    path("plans/<uuid:key>/do/<slug:what>", act, name="plan_act"),
    path("transports/<uuid:key>/waybill", waybill, name="waybill"),
    path("transports/<uuid:key>/pass", pass_ask, name="pass_ask"),
    path("passes/<uuid:key>", pass_paper, name="pass_paper"),
    path("pass/<str:code>", pass_check, name="pass_check"),
]
