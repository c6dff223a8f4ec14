"""The duty desk, the one map, the frame's small parts. Composition only: what is shown comes from the rooms' queries."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from anlan.kernel import access, clock, realms, shell, subjects, work
from anlan.kernel.errors import FORBIDDEN, INVALID, NOT_FOUND, UNEXPECTED
from anlan.kernel.ids import new_id
from anlan.kernel.middleware import public
from anlan.kernel.models import Realm, Region, WorkItem
from anlan.warning import delivery

from . import actions, layers
from . import desk as desk_room

app_name = "web"


def back(request: HttpRequest, otherwise: str = "/") -> HttpResponse:
    """To the page the form says, when it is one of ours."""
    target = request.POST.get("next") or otherwise
    return redirect(target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else otherwise)


@public
@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language; kept with the browser, and with the account when somebody is signed in."""
    chosen = request.POST.get("language", "")
    response = back(request)
    if chosen in dict(settings.LANGUAGES):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, chosen, max_age=365 * 86400, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response


@public
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Light or dark, kept with the browser so that the first paint is right."""
    response = back(request)
    chosen = request.POST.get("theme", "")
    if chosen in ("light", "dark"):
        response.set_cookie("theme", chosen, max_age=365 * 86400, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response


def links(request: HttpRequest) -> HttpResponse:
    return render(request, "shell/links.html")


def _page(request: HttpRequest, problem: Any) -> HttpResponse:
    if request.path.startswith("/api/"):
        return JsonResponse(problem.as_json(), status=problem.kind.status)
    return render(request, "shell/problem.html", {"problem": problem}, status=problem.kind.status)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, NOT_FOUND(kind=_("page"), key=request.path))


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, FORBIDDEN(capability="—"))


def broken(request: HttpRequest) -> HttpResponse:
    return _page(request, UNEXPECTED(reference=str(new_id())[-12:]))


def _waits(request: HttpRequest, wanted: Callable[[dict[str, Any]], bool] = lambda entry: True, most: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """(what is put before the person, how many of it there are). A warning among it has been shown, unless a tab that nobody looks at fetched it."""
    items = [entry for entry in desk_room.waiting(request.actor, request.realm) if wanted(entry)]  # type: ignore[attr-defined]
    for entry in items:
        entry["why"] = f"fact:{entry['item'].cause}" if entry["item"].cause else entry["item"].subject
    warned = [subjects.parse(entry["item"].subject)[1] for entry in items[:most] if entry["item"].kind == "warning.alert"]
    if warned and request.headers.get("Anlan-Visible") != "hidden":
        delivery.note_shown(request.actor, [UUID(str(key)) for key in warned])  # type: ignore[attr-defined]
    return items[:most], len(items)


def desk(request: HttpRequest) -> HttpResponse:
    """The duty desk; with ?wall=1 what hangs on the wall."""
    if request.GET.get("wall") == "1":
        return wall(request)
    return render(request, "web/desk.html", {"waits": _waits(request)[0], "lines": desk_room.timeline(request.actor, request.realm)})  # type: ignore[attr-defined]


def waits(request: HttpRequest) -> HttpResponse:
    return render(request, "web/_waits.html", {"waits": _waits(request)[0]})


def line(request: HttpRequest) -> HttpResponse:
    return render(request, "web/_line.html", {"lines": desk_room.timeline(request.actor, request.realm)})  # type: ignore[attr-defined]


def alarm(request: HttpRequest) -> HttpResponse:
    """Red items nobody acknowledged: actual ones wherever the reader stands, and those of his exercise."""
    return render(request, "web/_alarm.html", {"alarms": _waits(request, lambda entry: entry["alarm"])[0]})


def actual(request: HttpRequest) -> HttpResponse:
    """What waits in actual operations, shown above any exercise."""
    items, count = _waits(request, lambda entry: entry["real"], most=3)
    return render(request, "web/_actual.html", {"waits": items, "count": count})


@require_POST
def seen(request: HttpRequest, key: UUID) -> HttpResponse:
    """Acknowledge a red item: its sound stops for everybody at that post, the item still waits."""
    item = WorkItem.objects.everything().select_related("realm").filter(pk=key).first()
    if item is None:
        raise NOT_FOUND(kind=_("work item"), key=str(key)[-6:])
    act = request.act()  # type: ignore[attr-defined]
    act.realm, act.expected_version = item.realm, None
    work.seen(act, item=key)
    return alarm(request) if request.GET.get("alarm") else waits(request)


@require_POST
def here(request: HttpRequest) -> HttpResponse:
    """Heartbeat of a desk that is looked at."""
    actions.here(request.actor, request.POST.get("sound", ""), request.POST.get("visible") != "hidden")  # type: ignore[attr-defined]
    return HttpResponse(status=204)


@require_POST
def sound(request: HttpRequest) -> HttpResponse:
    """The person has tested the sound of this browser."""
    act = request.act()  # type: ignore[attr-defined]
    act.realm = realms.actual()
    actions.test_sound(act)
    return HttpResponse(status=204)


def stand_in(request: HttpRequest, realm: Realm) -> None:
    """Everything this session sees and does from now on is in that realm."""
    request.session["realm"] = str(realm.pk)


# --- realms ----------------------------------------------------------------------------------------------------------


def realm_list(request: HttpRequest) -> HttpResponse:
    """Exercises and replays: where one may go and look, and stop what runs."""
    rows = list(Realm.objects.exclude(kind=Realm.ACTUAL).order_by("-started_at")[:50])
    may_stop, may_start = access.may(request.actor, "realms.stop"), access.may(request.actor, "realms.start")  # type: ignore[attr-defined]
    return render(request, "web/realms.html", {"rows": rows, "may_stop": may_stop, "may_start": may_start})


@require_POST
def enter(request: HttpRequest, key: UUID) -> HttpResponse:
    """Stand in an exercise: everything this session then sees and does is in it."""
    row = Realm.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("exercise"), key=str(key)[-6:])
    stand_in(request, row)
    return back(request)


@require_POST
def leave(request: HttpRequest) -> HttpResponse:
    """Back to actual operations."""
    stand_in(request, realms.actual())
    return redirect("/")


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Begin an exercise on wall time and stand in it."""
    act = request.act()  # type: ignore[attr-defined]
    act.realm = realms.actual()
    name = request.POST.get("name", "").strip()[:160]
    if not name:
        raise INVALID(fields=[{"field": _("Name"), "why": _("Give the exercise a name.")}])
    row = realms.start(act, kind=Realm.EXERCISE, name=name)
    stand_in(request, row)
    return redirect("/")


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    """Stop a drill in one step; whoever presses is named with the reason in the journal."""
    key = request.POST.get("realm") or request.realm.pk  # type: ignore[attr-defined]
    row = actions.stop_drill(request.act(), key, request.POST.get("reason", "").strip() or "stopped from the band")  # type: ignore[attr-defined]
    stand_in(request, realms.actual())
    messages.success(request, _("{name} is stopped. You are in actual operations.").format(name=shell.localname(row)))
    return redirect("/")


# --- the one map -----------------------------------------------------------------------------------------------------


def map_page(request: HttpRequest) -> HttpResponse:
    if request.GET.get("wall") == "1":
        return wall(request)
    return render(request, "web/map.html")


def map_data(request: HttpRequest) -> HttpResponse:
    """Which layers there are and where to look; each layer's data has its own address."""
    view = layers.home(request.actor)  # type: ignore[attr-defined]
    mark = None
    if at := request.GET.get("at"):
        try:
            lon, lat = (float(part) for part in at.split(","))
            view, mark = [lon - 0.06, lat - 0.05, lon + 0.06, lat + 0.05], [lon, lat]
        except ValueError:
            raise INVALID(fields=[{"field": "at", "why": _("longitude,latitude in degrees")}])
    elif region := request.GET.get("region"):
        try:
            view = layers.bounds([UUID(region)]) or view
        except ValueError:
            raise INVALID(fields=[{"field": "region", "why": _("not a key")}])
    found = []
    for layer in layers.LAYERS:
        if not layers.offered(layer.id):
            continue
        found.append({"id": layer.id, "label": str(layer.label), "kind": layer.kind, "url": reverse("web:map_layer", args=[layer.id]), "on": layer.on, "cluster": layer.cluster})
    return JsonResponse({"bbox": view, "mark": mark, "layers": found, "area": reverse("web:map_area")})


def map_layer(request: HttpRequest, name: str) -> HttpResponse:
    layer = next((layer for layer in layers.LAYERS if layer.id == name), None)
    data = layer.source(request.actor, request.realm) if layer else None  # type: ignore[attr-defined]
    if data is None:
        raise NOT_FOUND(kind=_("layer"), key=name)
    response = HttpResponse(orjson.dumps(data, default=str), content_type="application/geo+json")
    if name == "regions":
        response["Cache-Control"] = "private, max-age=300"
    return response


def map_area(request: HttpRequest) -> HttpResponse:
    """The side sheet of a selected area."""
    region = None
    try:
        if key := request.GET.get("region"):
            region = Region.objects.filter(pk=UUID(key)).first()
        else:
            region = layers.region_at(float(request.GET["lon"]), float(request.GET["lat"]))
    except (KeyError, ValueError):
        raise INVALID(fields=[{"field": "lon, lat", "why": _("degrees")}])
    if region is None:
        return render(request, "web/_area.html", {"region": None})
    return render(request, "web/_area.html", layers.area_answer(request.actor, request.realm, region))  # type: ignore[attr-defined]


# --- phone and wall --------------------------------------------------------------------------------------------------


def me(request: HttpRequest) -> HttpResponse:
    """The phone's last tab: who I am here, how I want it, everything else."""
    return render(request, "web/me.html")


def wall(request: HttpRequest) -> HttpResponse:
    """Four things, legible at ten metres: map, responses with their clocks, orders by state, losses and forces."""
    from anlan.kernel.models import Order

    realm = request.realm  # type: ignore[attr-defined]
    rows = Order.objects.seen_by(request.actor, realm)  # type: ignore[attr-defined]
    states = dict(rows.values_list("state").annotate(n=Count("pk")))
    summary = layers.room_query("command", "wall")
    groups = [
        (_("waiting for an answer"), sum(states.get(state, 0) for state in ("issued", "delivered", "read"))), (_("under way"), states.get("accepted", 0) + states.get("progress", 0)),
        (_("done"), states.get("done", 0)), (_("past the deadline"), rows.filter(state__in=Order.OPEN_STATES, due_at__lt=clock.now(realm)).count()),
    ]
    context = {"groups": groups, "wall": summary(request.actor, realm) if summary else {}}  # type: ignore[attr-defined]
    return render(request, "web/_wall.html" if request.headers.get("HX-Target") == "wall" else "web/wall.html", context)


urlpatterns = [
    path("", desk, name="desk"),
    path("map", map_page, name="map"),
    path("map/data", map_data, name="map_data"),
    path("map/area", map_area, name="map_area"),
    path("map/layers/<slug:name>", map_layer, name="map_layer"),
    path("me", me, name="me"),
    path("realms", realm_list, name="realms"),
    path("realms/start", start, name="start"),
    path("realms/<uuid:key>/enter", enter, name="enter"),
    path("realms/leave", leave, name="leave"),
    path("realms/stop", stop, name="stop"),
    path("desk/waits", waits, name="waits"),
    path("desk/line", line, name="line"),
    path("desk/alarm", alarm, name="alarm"),
    path("desk/actual", actual, name="actual"),
    path("desk/seen/<uuid:key>", seen, name="seen"),
    path("desk/here", here, name="here"),
    path("desk/sound", sound, name="sound"),
    path("desk/language", language, name="language"),
    path("desk/theme", theme, name="theme"),
    path("desk/links", links, name="links"),
]
