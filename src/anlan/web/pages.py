"""The duty desk, the one map, the frame's small parts. Composition only: what is shown comes from the rooms' queries."""
from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from anlan.kernel.errors import FORBIDDEN, NOT_FOUND, UNEXPECTED
from anlan.kernel.ids import new_id

app_name = "web"


def back(request: HttpRequest, otherwise: str = "/") -> HttpResponse:
    """To the page the form says, when it is one of ours."""
    target = request.POST.get("next") or otherwise
    return redirect(target if url_has_allowed_host_and_scheme(target, {request.get_host()}) else otherwise)


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language; kept with the browser, and with the account when somebody is signed in."""
    chosen = request.POST.get("language", "")
    response = back(request)
    if chosen in dict(settings.LANGUAGES):
        response.set_cookie(settings.LANGUAGE_COOKIE_NAME, chosen, max_age=365 * 86400, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE)
    return response


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
        from django.http import JsonResponse

        return JsonResponse(problem.as_json(), status=problem.kind.status)
    return render(request, "shell/problem.html", {"problem": problem}, status=problem.kind.status)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, NOT_FOUND(kind=_("page"), key=request.path))


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return _page(request, FORBIDDEN(capability="—"))


def broken(request: HttpRequest) -> HttpResponse:
    return _page(request, UNEXPECTED(reference=str(new_id())[-12:]))


def desk(request: HttpRequest) -> HttpResponse:
    return render(request, "web/desk.html")


def todo(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


urlpatterns = [
    path("", desk, name="desk"),
    path("map", desk, name="map"),
    path("me", desk, name="me"),
    path("realms", desk, name="realms"),
    path("desk/language", language, name="language"),
    path("desk/theme", theme, name="theme"),
    path("desk/links", links, name="links"),
    path("desk/actual", todo, name="actual"),
    path("desk/alarm", todo, name="alarm"),
    path("desk/leave", todo, name="leave"),
    path("desk/stop", todo, name="stop"),
]
