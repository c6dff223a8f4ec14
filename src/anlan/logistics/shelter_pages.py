"""Pages of sheltering: a plan is begun, its people listed, its answer shown on map and tables, approved; on the day the shelters count who is in."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST

from anlan.kernel import access, access_log, clock, codes, sheets, shell, subjects
from anlan.kernel.errors import NOT_FOUND, Problem
from anlan.kernel.forms import attempt
from anlan.kernel.ids import new_id
from anlan.kernel.loops import get as loop
from anlan.kernel.loops.queries import choices
from anlan.kernel.middleware import address
from anlan.kernel.models import Order, Post, Region
from anlan.kernel.registers import exporting
from anlan.kernel.registers.pages import watermark
from anlan.resources.models import Shelter

from . import actions, forms, moving, searching, shelters
from .models import Blockage, CheckIn, Search, Sheltering, ShelterVersion

SHOWN = 400  # rows of a table; the export has all


def _plan(request: HttpRequest, key: UUID) -> Sheltering:
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    row = Sheltering.objects.seen_by(actor, realm).filter(pk=key).select_related("region", "post__organisation", "realm").defer("region__area_wkb").first()
    if row is None:
        raise NOT_FOUND(kind=_("plan of sheltering"), key=str(key)[-6:])
    return row


def plans(request: HttpRequest) -> HttpResponse:
    return redirect("kernel:loop", moving.PLANS)


def ground(region: Any) -> dict[str, Any]:
    """A map's quiet ground, with the box of a region."""
    layers: list[dict[str, Any]] = []
    if url := shell.address("web:map_layer", "", "regions"):
        layers.append({"id": "regions", "label": _("Boundaries"), "kind": "area", "url": url})
    if url := shell.address("web:map_layer", "", "rivers"):
        layers.append({"id": "rivers", "label": _("Rivers"), "kind": "line", "url": url, "on": False})
    box = [region.west, region.south, region.east, region.north] if region is not None and region.west is not None else None
    return {"bbox": box, "layers": layers, "plain": True}


def draw_map(request: HttpRequest) -> HttpResponse:
    """What lies under the danger area while it is drawn."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "logistics.read")
    region = Region.objects.filter(pk__in=Post.objects.filter(pk=actor.post_id).values("region_id")).defer("area_wkb").first() if actor.post_id else None
    return JsonResponse(ground(region))


def plan_new(request: HttpRequest) -> HttpResponse:
    """Begin a plan: which hazard, where, how long people stay, the danger area; its villages and key sites are listed already."""
    actor = request.actor  # type: ignore[attr-defined]
    access.require(actor, "logistics.plan")
    home = Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first() if actor.post_id else None
    about = request.GET.get("about", "")[:80]
    incident = subjects.row(about) if about else None
    start = {"region": str(getattr(incident, "region_id", None) or home or ""), "about": about if incident else "", "fill": True, "title": _("Sheltering for {what}").format(what=str(incident))[:200] if incident else "", "shape": ""}
    if incident is not None and getattr(incident, "lon", None) is not None:
        start |= {"shape": "circle", "circle_lon": incident.lon, "circle_lat": incident.lat, "circle_km": 2}
    form = forms.ShelteringForm(actor, request.POST or None, initial=start)
    if request.method == "POST":
        given = ("title", "hazard", "stay", "weather", "area", "impassable", "buses", "about", "fill")
        done, row = attempt(form, lambda: moving.make(request.act(), region=UUID(form.cleaned_data["region"]), **{name: form.cleaned_data[name] for name in given}))  # type: ignore[attr-defined]
        if done:
            return redirect("logistics:sheltering_people", row.pk)
    return render(request, "logistics/sheltering_new.html", {"form": form}, status=422 if request.method == "POST" else 200)


def danger(request: HttpRequest, key: UUID) -> HttpResponse:
    """Another danger area, other buses; the people of the area can be listed anew."""
    row = _plan(request, key)
    access.require(request.actor, "logistics.plan", row.region_id, row.organisation_id)  # type: ignore[attr-defined]
    form = forms.DangerForm(request.POST or None, initial=forms.DangerForm.of(row))
    if request.method == "POST":
        done, _row = attempt(form, lambda: moving.set_area(request.act(), plan=row.pk, **{name: form.cleaned_data[name] for name in ("area", "impassable", "buses", "fill")}))  # type: ignore[attr-defined]
        if done:
            return redirect("logistics:sheltering_people" if form.cleaned_data["fill"] else "logistics:sheltering", row.pk)
    return render(request, "logistics/sheltering_new.html", {"form": form, "plan": row}, status=422 if request.method == "POST" else 200)


def people(request: HttpRequest, key: UUID) -> HttpResponse:
    """Who leaves: villages, schools, households; corrected line by line, or pasted from a sheet."""
    row = _plan(request, key)
    access.require(request.actor, "logistics.plan", row.region_id, row.organisation_id)  # type: ignore[attr-defined]
    form, problem = forms.PeopleForm(row, request.POST if request.method == "POST" else None), ""
    if request.method == "POST":
        try:
            if form.is_valid():
                moving.set_people(request.act(), plan=row.pk, people=form.people)  # type: ignore[attr-defined]
                if "search" in request.POST:
                    moving.search(request.act(op_id=new_id()), plan=row.pk)  # type: ignore[attr-defined]
                return redirect("logistics:sheltering", row.pk)
            problem = "; ".join(form.errors)
        except Problem as error:
            problem = "; ".join(f"{one['field']}: {one['why']}" for one in error.fields) or error.message
    total = {"persons": sum(one["persons"] for one in row.people), "helpless": sum(one["helpless"] for one in row.people)}
    return render(request, "logistics/sheltering_people.html", {"plan": row, "form": form, "rows": row.people[:SHOWN], "hidden": max(0, len(row.people) - SHOWN), "problem": problem, "total": total}, status=422 if problem else 200)


def _search(row: Sheltering) -> dict[str, Any]:
    search = Search.plain.filter(pk=row.asked).first() if row.asked else None
    if search is None:
        return {"search": None, "searching": False}
    words = {"foot": _("ways on foot"), "bus": _("ways by bus"), "assign": _("who goes where"), "lines": _("lines for the map")}
    told = search.progress
    return {
        "search": search, "searching": search.state in (Search.WAITING, Search.RUNNING), "waiting": search.state == Search.WAITING, "done": round(100 * told.get("step", 0) / max(told.get("of", 1), 1)),
        "doing": words.get(told.get("goal", ""), ""), "gap": None, "progress_url": reverse("logistics:sheltering_progress", args=[row.pk]), "stop_url": reverse("logistics:sheltering_act", args=[row.pk, "stop"]),
    }


def plan(request: HttpRequest, key: UUID) -> HttpResponse:
    """The plan: figures, map, who goes where by group or by shelter, who has no place and why, shelters not used and why, versions, orders."""
    row = _plan(request, key)
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    declared = loop(moving.PLANS)
    wanted = request.GET.get("version", "")
    version = row.versions.filter(number=int(wanted) if wanted.isdigit() else row.current).first()
    by = "shelter" if request.GET.get("by") == "shelter" else "group"
    may_plan = access.may(actor, "logistics.plan", row.region_id, row.organisation_id)
    orders = list(Order.objects.of(realm).filter(source=f"sheltering:{row.pk}").exclude(state=Order.WITHDRAWN).select_related("post").order_by("-issued_at")[:100])
    context: dict[str, Any] = {
        "plan": row, "version": version, "by": by, "state_label": declared.state_label(row.state), "now": clock.now(realm), "editable": may_plan and row.state in searching.EDITABLE and not realm.is_over, "steps": choices(actor, declared, row),
        "versions": [
            {"row": one, "stands": one.number == row.current, "approved": one.number == row.approved, "proposed": one.kind == "replan" and one.number > row.current, "unplaced": one.answer["numbers"]["unplaced"], "changes": len(one.changes)}
            for one in row.versions.order_by("-number")[:30]
        ],
        "stands": version is not None and version.number == row.current, "orders": orders, "about_url": subjects.url(row.about) if row.about else "", "about_text": shell.describe(row.about)[0] if row.about else "",
        "hazard": codes.name("team_hazard", row.hazard), "stay": codes.name("shelter_stay", row.stay), "listed": len(row.people), "may_count": access.may(actor, "logistics.shelter"), **_search(row),
    }
    if version is not None:
        context |= _shown(row, version, by)
    if "xlsx" in request.GET and version is not None:
        return _xlsx(request, row, version)
    return render(request, "logistics/sheltering.html", context)


def _shown(row: Sheltering, version: ShelterVersion, by: str) -> dict[str, Any]:
    """The tables of a version in words."""
    frozen, answer = version.frozen, version.answer
    ways = {(one["g"], one["s"], one["bus"]): one for one in answer["lines"]}
    began = datetime.fromisoformat(frozen["at"])
    pinned = {one["group"]: one for one in row.manual}
    moves = [
        {**one, "group": frozen["groups"][one["g"]], "shelter": frozen["shelters"][one["s"]], "way": ways.get((one["g"], one["s"], one["bus"])), "leave_at": began + timedelta(minutes=one["leave"]),
         "there_at": began + timedelta(minutes=one["there"]), "by_hand": frozen["groups"][one["g"]]["id"] in pinned} for one in answer["moves"]
    ]
    groups: dict[int, dict[str, Any]] = {}
    for one in moves:
        side = one["g"] if by == "group" else one["s"]
        head = one["group"] if by == "group" else one["shelter"]
        groups.setdefault(side, {"head": head, "moves": [], "sent": 0})["moves"].append(one)
        groups[side]["sent"] += one["persons"]
    for one in groups.values():
        if by == "shelter":
            one["full"] = round(100 * (one["head"]["inside"] + one["sent"]) / max(one["head"]["capacity"], 1))
    unplaced = [{"group": frozen["groups"][one["g"]], **one, "why": shelters.unplaced_words(one["why"])} for one in answer["unplaced"]]
    ordered = sorted(groups.values(), key=lambda one: -one["sent"])
    numbers = answer["numbers"]
    return {
        "frozen": frozen, "groups": ordered[:SHOWN], "hidden": max(0, len(ordered) - SHOWN), "unplaced": unplaced, "numbers": numbers, "unfit": frozen["unfit"], "divided": [frozen["groups"][i]["name"] for i in answer["divided"]], "at": began,
        "share": 100 * numbers["placed"] / numbers["asked"] if numbers["asked"] else 100.0, "gap": 100 * numbers["gap"], "changed": shelters.change_words(version.changes), "stale": frozen["key"] != shelters.key_of(row),
        "decided": [{**one, "name": next((g["name"] for g in row.people if g["id"] == one["group"]), ""), "place": next((s["name"] for s in [*frozen["shelters"], *frozen["unfit"]] if s["id"] == one["shelter"]), ""),
                     "who": shell.person_name(UUID(one["by"])) if one.get("by") else _("system")} for one in row.manual],
        "open_order": sorted(({"shelter": frozen["shelters"][s], "first": min(one["leave"] + one["minutes"] for one in answer["moves"] if one["s"] == s), "ready": frozen["shelters"][s]["ready"]} for s in {one["s"] for one in answer["moves"]}), key=lambda one: one["first"])[:SHOWN],
        "mark": codes.shipped()["shelter_stay"]["source" if shell.localname_is_english() else "source_zh"], "m2": frozen["m2"],
    }


def _xlsx(request: HttpRequest, row: Sheltering, version: ShelterVersion) -> HttpResponse:
    """All moves and whoever has no place, as a sheet for the towns."""
    title = _("Who shelters where")
    access_log.note(request.actor, "export", "logistics", count=len(version.answer["moves"]), purpose=title, address=address(request))  # type: ignore[attr-defined]
    shown = _shown(row, version, "group")
    head = [pgettext("people", "From"), _("Persons"), _("Of them with people who need help"), _("How"), _("Shelter"), _("Minutes"), _("Sets out"), _("There"), _("Reason")]
    frozen = version.frozen
    rows: list[list[Any]] = [
        [frozen["groups"][one["g"]]["name"], one["persons"], one["care"], _("by bus") if one["bus"] else _("on foot"), frozen["shelters"][one["s"]]["name"], one["minutes"],
         clock.local(shown["at"] + timedelta(minutes=one["leave"])).strftime("%m-%d %H:%M"), clock.local(shown["at"] + timedelta(minutes=one["there"])).strftime("%m-%d %H:%M"), ""] for one in version.answer["moves"]
    ]
    rows += [[one["group"]["name"], one["persons"], one["care"], _("without a place"), "", "", "", "", one["why"]] for one in shown["unplaced"]]
    return exporting.answer(sheets.write(title, head, rows, watermark=watermark(request)), f"{row.number}.xlsx")


def plan_map(request: HttpRequest, key: UUID) -> HttpResponse:
    """The danger area, who leaves from where, shelters used and not used, and the ways between them."""
    row = _plan(request, key)
    wanted = request.GET.get("version", "")
    version = row.versions.filter(number=int(wanted) if wanted.isdigit() else row.current).first()
    config = ground(row.region)

    def collection(features: list[dict[str, Any]], at: str) -> dict[str, Any]:
        return {"type": "FeatureCollection", "features": features, "freshness": at}

    def point(one: dict[str, Any], text: str, mark: str) -> dict[str, Any]:
        return {"type": "Feature", "geometry": {"type": "Point", "coordinates": [one["lon"], one["lat"]]}, "properties": {"name": one["name"], "text": text, "mark": mark}}

    at = version.frozen["at"] if version else clock.now(row.realm).isoformat()
    if row.area:
        config["layers"].append({"id": "danger", "label": _("Danger area"), "kind": "danger", "data": collection([{"type": "Feature", "geometry": row.area, "properties": {"name": _("Danger area")}}], at)})
    if version is not None:
        frozen, answer = version.frozen, version.answer
        sent: dict[tuple[int, int], int] = {}
        for one in answer["moves"]:
            sent[one["g"], one["s"]] = sent.get((one["g"], one["s"]), 0) + one["persons"]
        drawn = {(one["g"], one["s"]): one["line"] for one in answer["lines"]}
        missing = {one["g"]: one["persons"] for one in answer["unplaced"]}
        flows = [
            {"type": "Feature", "geometry": {"type": "LineString", "coordinates": drawn.get((g, s)) or [[frozen["groups"][g]["lon"], frozen["groups"][g]["lat"]], [frozen["shelters"][s]["lon"], frozen["shelters"][s]["lat"]]]},
             "properties": {"name": f"{frozen['groups'][g]['name']} → {frozen['shelters'][s]['name']}", "text": _("{n} persons").format(n=n), "n": min(6, 1 + n // 200)}} for (g, s), n in sent.items()
        ]
        into: dict[int, int] = {}
        for (_g, s), n in sent.items():
            into[s] = into.get(s, 0) + n
        blocked = list(Blockage.objects.seen_by(request.actor, request.realm).filter(pk__in=[one["id"] for one in frozen["blocked"]], lon__isnull=False))  # type: ignore[attr-defined]
        config["layers"] += [
            {"id": "flows", "label": _("Ways"), "kind": "flow", "data": collection(flows, at)},
            {"id": "blocked", "marks": True, "mark": "cross", "label": _("Blocked roads"), "kind": "point", "data": collection([point({"lon": one.lon, "lat": one.lat, "name": one.road}, one.title, "cross") for one in blocked], at)},
            {"id": "unfit", "marks": True, "mark": "idle", "label": _("Shelters not used"), "kind": "point", "on": False, "data": collection([point(one, one["why"], "idle") for one in frozen["unfit"] if one["lon"] is not None], at)},
            {"id": "people", "marks": True, "mark": "met", "label": _("People"), "kind": "point", "data": collection([
                point(one, _("{n} persons, {m} of them without a place").format(n=one["persons"], m=missing[k]) if k in missing else _("{n} persons").format(n=one["persons"]), "short" if k in missing else "met") for k, one in enumerate(frozen["groups"])], at)},
            {"id": "shelters", "marks": True, "mark": "depot", "label": _("Shelters"), "kind": "point", "data": collection([
                point(one, _("{n} of {room} places").format(n=one["inside"] + into.get(k, 0), room=one["capacity"]), "depot" if k in into else "idle") for k, one in enumerate(frozen["shelters"])], at)},
        ]
        shown = [frozen["groups"][g] for g, _s in sent] + [frozen["shelters"][s] for _g, s in sent] + [frozen["groups"][g] for g in missing]
        if shown:
            lons, lats = [one["lon"] for one in shown], [one["lat"] for one in shown]
            config["bbox"] = [min(lons) - 0.01, min(lats) - 0.01, max(lons) + 0.01, max(lats) + 0.01]
    return JsonResponse(config)


def group(request: HttpRequest, key: UUID, group: str) -> HttpResponse:
    """Let a group go to a shelter by hand, or leave it to the search again: what it means is searched at once, with few changes elsewhere."""
    row = _plan(request, key)
    access.require(request.actor, "logistics.plan", row.region_id, row.organisation_id)  # type: ignore[attr-defined]
    one = next((one for one in row.people if one["id"] == group), None)
    version = row.versions.filter(number=row.current).first()
    if one is None or version is None:
        raise NOT_FOUND(kind=_("group of people"), key=group)
    if request.method == "POST":
        place = request.POST.get("shelter", "")
        try:
            moving.set_place(request.act(), plan=row.pk, group=group, shelter=UUID(place) if place else None, why=request.POST.get("why", ""))  # type: ignore[attr-defined]
            moving.search(request.act(op_id=new_id()), plan=row.pk)  # type: ignore[attr-defined]
        except ValueError:
            raise NOT_FOUND(kind=_("shelter"), key=place[-6:])
        messages.success(request, _("Set by hand. It stands in every later search until you take it back."))
        return redirect("logistics:sheltering", row.pk)
    into: dict[int, int] = {}
    for move in version.answer["moves"]:
        into[move["s"]] = into.get(move["s"], 0) + move["persons"]
    import numpy as np

    from anlan.engines.routing import network

    places = [{**place, "sent": into.get(k, 0), "free": place["room"] - into.get(k, 0), "km": float(network.metres(np.float64(one["lon"]), np.float64(one["lat"]), place["lon"], place["lat"])) / 1000} for k, place in enumerate(version.frozen["shelters"])]
    now = {version.frozen["shelters"][move["s"]]["id"]: move["persons"] for move in version.answer["moves"] if version.frozen["groups"][move["g"]]["id"] == group}
    return render(request, "logistics/sheltering_group.html", {
        "plan": row, "group": one, "places": sorted(places, key=lambda place: place["km"])[:60], "now": now, "pinned": next((entry["shelter"] for entry in row.manual if entry["group"] == group), ""), "unfit": version.frozen["unfit"],
    })


def counts(request: HttpRequest, key: UUID) -> HttpResponse:
    """The register on the day: every shelter of the plan, how many are in, how many are still to come."""
    row = _plan(request, key)
    version = row.versions.filter(number=row.approved or row.current).first()
    came = shelters.arrived(row)
    rows = []
    for k, place in enumerate(version.frozen["shelters"] if version else []):
        sent = sum(one["persons"] for one in version.answer["moves"] if one["s"] == k)  # type: ignore[union-attr]
        inside = sum(n for (shelter, _group), n in came.items() if shelter == place["id"])
        if sent or inside:
            coming = moving.still_to_come(row, version, place["id"])  # type: ignore[arg-type]
            rows.append({"place": place, "expected": sent + place["inside"], "inside": inside, "coming": coming, "over": max(0, inside + coming - place["capacity"])})
    total = {name: sum(one[name] for one in rows) for name in ("expected", "inside", "coming")}
    return render(request, "logistics/sheltering_counts.html", {"plan": row, "version": version, "rows": rows, "total": total, "now": clock.now(row.realm), "may_count": access.may(request.actor, "logistics.shelter")})  # type: ignore[attr-defined]


def count(request: HttpRequest, key: UUID, shelter: UUID) -> HttpResponse:
    """One shelter's door: who of whom has come, and whoever else."""
    row = _plan(request, key)
    place = Shelter.plain.filter(pk=shelter, ended_at=None).first()
    if place is None:
        raise NOT_FOUND(kind=_("shelter"), key=str(shelter)[-6:])
    if not access.may(request.actor, "logistics.shelter", place.region_id, place.organisation_id):  # type: ignore[attr-defined]
        access.require(request.actor, "logistics.shelter", row.region_id, row.organisation_id)  # type: ignore[attr-defined]
    version = row.versions.filter(number=row.approved or row.current).first()
    sent: dict[str, int] = {}
    if version is not None:
        for one in version.answer["moves"]:
            if version.frozen["shelters"][one["s"]]["id"] == str(shelter):
                name = version.frozen["groups"][one["g"]]["id"]
                sent[name] = sent.get(name, 0) + one["persons"]
    came = {group: n for (other, group), n in shelters.arrived(row).items() if other == str(shelter)}
    names = {one["id"]: one["name"] for one in row.people}
    wrong = ""
    listed = [key_ for key_ in {**sent, **came} if key_ in names]
    if request.method == "POST":
        given = []
        for name in [*listed, ""]:
            text = request.POST.get(f"n-{name or 'others'}", "").strip()
            if text and not (text.isdigit() and len(text) < 7):
                wrong = _("Write whole numbers, zero or more.")
            elif text and int(text) != came.get(name, -1):
                given.append({"group": name, "persons": int(text)})
        if not wrong:
            if given:
                moving.check_in(request.act(), plan=row.pk, shelter=shelter, counts=given)  # type: ignore[attr-defined]
            return redirect("logistics:sheltering_counts", row.pk)
    rows = [{"key": name, "name": names[name], "sent": sent.get(name, 0), "came": came.get(name)} for name in sorted(listed, key=lambda name: names[name])]
    last = CheckIn.plain.filter(plan=row, shelter=place).order_by("-at").first()
    return render(request, "logistics/sheltering_count.html", {"plan": row, "place": place, "rows": rows, "others": came.get("", ""), "wrong": wrong, "last": last, "room": moving.room_of(row, place), "inside": sum(came.values())}, status=422 if wrong else 200)


def progress(request: HttpRequest, key: UUID) -> HttpResponse:
    row = _plan(request, key)
    told = _search(row)
    if not told["searching"] and getattr(request, "htmx", False):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse("logistics:sheltering", args=[row.pk])})
    return render(request, "logistics/_search.html", {"plan": row, **told})


@require_POST
def act(request: HttpRequest, key: UUID, what: str) -> HttpResponse:
    """The small acts of the plan's page: search, stop, adopt, take a shelter out or back in."""
    row = _plan(request, key)
    given, doing = request.POST, request.act()  # type: ignore[attr-defined]
    if what == "search":
        moving.search(doing, plan=row.pk, kind="replan" if "replan" in given and row.current else "solve")
    elif what == "stop" and row.asked:
        actions.stop(doing, search=row.asked)
    elif what == "adopt" and given.get("number", "").isdigit():
        moving.adopt(doing, plan=row.pk, number=int(given["number"]))
    elif what in ("shut", "open"):
        try:
            place = UUID(given.get("shelter", ""))
        except ValueError:
            raise NOT_FOUND(kind=_("shelter"), key="")
        moving.shut(doing, plan=row.pk, shelter=place, why=given.get("why", ""), open_again=what == "open")
    elif what == "release":
        moving.set_place(doing, plan=row.pk, group=given.get("group", ""), shelter=None)
    else:
        raise NOT_FOUND(kind=_("step"), key=what)
    return redirect("logistics:sheltering", row.pk)


urlpatterns = [
    path("sheltering", plans, name="shelterings"),
    path("sheltering/new", plan_new, name="sheltering_new"),
    path("sheltering/ground", draw_map, name="draw_map"),
    path("sheltering/<uuid:key>", plan, name="sheltering"),
    path("sheltering/<uuid:key>/map", plan_map, name="sheltering_map"),
    path("sheltering/<uuid:key>/area", danger, name="sheltering_area"),
    path("sheltering/<uuid:key>/people", people, name="sheltering_people"),
    path("sheltering/<uuid:key>/group/<str:group>", group, name="sheltering_group"),
    path("sheltering/<uuid:key>/counts", counts, name="sheltering_counts"),
    path("sheltering/<uuid:key>/counts/<uuid:shelter>", count, name="sheltering_count"),
    path("sheltering/<uuid:key>/progress", progress, name="sheltering_progress"),
    path("sheltering/<uuid:key>/do/<slug:what>", act, name="sheltering_act"),
]
