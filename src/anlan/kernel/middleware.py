"""What every request passes: who acts, what went wrong, and what the page may load."""
from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied, SuspiciousOperation, ValidationError
from django.core.signals import got_request_exception
from django.db import DataError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import translation
from django.utils.http import url_has_allowed_host_and_scheme

from . import realms, sign_in
from .actions import Act, Actor
from .errors import FORBIDDEN, INVALID, NOT_FOUND, SECOND_FACTOR, SIGN_IN, UNEXPECTED, Problem
from .ids import derived_id, new_id
from .models import Realm

log = logging.getLogger("anlan.web")

# Answered without anybody signed in. A view elsewhere says so with @public; the rest is closed by default.
OPEN_PATHS = ("/static/", "/healthz", "/readyz", "/favicon.ico", "/robots.txt", "/desk/language", "/desk/theme", "/api/v1/openapi.json")
LANGUAGE_COOKIE = settings.LANGUAGE_COOKIE_NAME


def public(view: Any) -> Any:
    """Mark a page that answers to people who are not signed in (sign-in, the public CAP feed)."""
    view.public = True
    return view


def _wants_json(request: HttpRequest) -> bool:
    return request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", "").split(",")[0]


def _language(request: HttpRequest, account: Any) -> str:
    """The language chosen on this machine, else the account's, else the installation's: never the browser's guess."""
    known = dict(settings.LANGUAGES)
    for chosen in (request.COOKIES.get(LANGUAGE_COOKIE), getattr(account, "language", "")):
        if chosen in known:
            return chosen
    return settings.LANGUAGE_CODE


def _op_id(request: HttpRequest, actor: Actor) -> UUID:
    """The key of this operation: the form's hidden op_id or the Idempotency-Key header; a fresh one when neither is there."""
    given = request.headers.get("Idempotency-Key", "") or (request.POST.get("op_id", "") if request.method == "POST" and not _is_json(request) else "")
    if not given:
        return new_id()
    try:
        return UUID(given)
    except ValueError:
        # Clients may send any text as their key; it is theirs alone.
        return derived_id("idempotency", actor.account_id, given)


def _is_json(request: HttpRequest) -> bool:
    return request.content_type == "application/json"


def _expected_version(request: HttpRequest) -> int | None:
    given = request.headers.get("If-Match", "").strip('"')
    if not given and request.method == "POST" and not _is_json(request):
        given = request.POST.get("version", "")
    return int(given) if given.isdigit() else None


def address(request: HttpRequest) -> str:
    """The peer's address. Forwarded headers are not believed: anybody can write them."""
    return request.META.get("REMOTE_ADDR", "")[:45]


def realm_of(request: HttpRequest) -> Realm:
    """The realm this session stands in: the exercise it was switched to while that runs or can be looked at, else actual.

    In a demonstration nothing happens in actual operations: who has not chosen stands in the exercise that is playing.
    """
    chosen = request.session.get("realm")
    if chosen:
        realm = Realm.objects.filter(pk=chosen).first()
        if realm is not None:
            return realm
    if (settings.HOME / "demo.json").exists():
        playing = next((realm for realm in realms.running() if realm.kind == Realm.EXERCISE), None)
        if playing is not None:
            return playing
    return realms.actual()


class ActorMiddleware:
    """Gives the request its actor, realm and `act()`; shuts out who is not signed in, except from open pages."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        account = sign_in.account_of(request)
        language = _language(request, account)
        translation.activate(language)
        request.LANGUAGE_CODE = language
        request.account = account  # type: ignore[attr-defined]
        if account is None:
            request.actor = Actor(lang=language, device=address(request))  # type: ignore[attr-defined]
        else:
            request.actor = sign_in.actor_of(request, account, language)  # type: ignore[attr-defined]
        request.realm = realm_of(request)  # type: ignore[attr-defined]

        def act(**extra: Any) -> Act:
            """The act of this request, with its operation key and the version the person saw."""
            values = {"op_id": _op_id(request, request.actor), "expected_version": _expected_version(request)}  # type: ignore[attr-defined]
            return Act(request.actor, request.realm, **{**values, **extra})  # type: ignore[attr-defined]

        request.act = act  # type: ignore[attr-defined]
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        if getattr(view, "public", False) or request.path.startswith(OPEN_PATHS):
            return None
        if request.account is None:  # type: ignore[attr-defined]
            # Outside systems sign each API call themselves; the endpoint checks their credential.
            if request.path.startswith("/api/") and request.headers.get("Authorization"):
                return None
            return answer(request, SIGN_IN())
        if request.account.must_change_password and not getattr(view, "before_password", False):  # type: ignore[attr-defined]
            return HttpResponseRedirect(reverse("kernel:password"))
        return None


class ProblemMiddleware:
    """Turns what was raised into one shape: JSON for programs, a page that says what to do for people."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        problem = as_problem(exception)
        if problem is None:
            if settings.DEBUG:
                return None
            problem = unexpected(exception)
            got_request_exception.send(sender=type(self), request=request)
        return answer(request, problem)


def as_problem(exception: BaseException) -> Problem | None:
    """The problem behind an exception of ours or of Django's; None for what nobody foresaw."""
    if isinstance(exception, Problem):
        return exception
    if isinstance(exception, (Http404, ObjectDoesNotExist)):
        return NOT_FOUND(kind="", key="")
    if isinstance(exception, PermissionDenied):
        return FORBIDDEN(capability="")
    if isinstance(exception, ValidationError):
        if hasattr(exception, "error_dict"):
            return INVALID([{"field": field, "why": " ".join(errors)} for field, errors in exception.message_dict.items()])
        return INVALID([{"field": "", "why": message} for message in exception.messages])
    if isinstance(exception, (SuspiciousOperation, DataError)):
        # DataError: the database was handed what no column can hold (a NUL, a number out of range): wrong input, not our failure.
        return INVALID()
    return None


def unexpected(exception: BaseException) -> Problem:
    """Log it under a reference the user can read out on the telephone."""
    reference = new_id().hex[-8:]
    log.error("unexpected (reference %s)", reference, exc_info=exception)
    return UNEXPECTED(reference=reference)


def _back(request: HttpRequest) -> str:
    """The page to come back to: this one if it was only read, else the one the form stood on."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(referer, {request.get_host()}):
        parts = urlsplit(referer)
        return parts.path + (f"?{parts.query}" if parts.query else "")
    return "/"


def answer(request: HttpRequest, problem: Problem) -> HttpResponse:
    """The response for a problem, in the shape the asker understands."""
    status = problem.kind.status
    if _wants_json(request):
        return JsonResponse(problem.as_json(), status=status)
    # Not where the person wanted to go, but the only way there: sign in, or give the second factor, then come back.
    way = {SIGN_IN: "kernel:sign_in", SECOND_FACTOR: "kernel:second_factor"}.get(problem.kind)
    if way:
        target = f"{reverse(way)}?{urlencode({'next': _back(request)})}"
        if getattr(request, "htmx", False):
            return HttpResponse(status=204, headers={"HX-Redirect": target})
        return HttpResponseRedirect(target)
    context = {"problem": problem, "message": problem.message, "code": problem.kind.code, "status": status, "back": _back(request) if request.method not in ("GET", "HEAD") else ""}
    if getattr(request, "htmx", False):
        response = render(request, "kernel/problem_inline.html", context, status=status)
        response["X-Problem"] = problem.kind.code
        return response
    return render(request, "shell/problem.html", context, status=status)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404 of the URL table."""
    return answer(request, NOT_FOUND(kind="", key=request.path))


def server_error(request: HttpRequest) -> HttpResponse:
    """handler500: what failed outside a view."""
    return answer(request, UNEXPECTED(reference="-"))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that was open too long, or was sent from elsewhere."""
    log.warning("csrf: %s %s", reason, request.path)
    return answer(request, sign_in.FORM_TOO_OLD())


POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "media-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityMiddleware:
    """No inline script or style, nothing from another origin, and nothing of a signed-in page in a shared cache."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("Referrer-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(self), geolocation=(self), microphone=(), payment=(), usb=()")
        if getattr(request, "account", None) is not None and not request.path.startswith(settings.STATIC_URL):
            response.headers.setdefault("Cache-Control", "private, no-store")
        return response
