"""Exchange's pages: the public feed, and for those who mind the links their health, their logs, and what could not be used."""
from __future__ import annotations

import hashlib
import secrets
from typing import Any
from uuid import UUID

from cryptography import x509
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from anlan.engines import cap
from anlan.engines.cap.safe import MAX_BYTES
from anlan.kernel import access, pages_admin, parties, realms
from anlan.kernel.errors import REASON_NEEDED, TOO_LARGE, Problem
from anlan.kernel.ids import derived_id
from anlan.kernel.middleware import public
from anlan.kernel.models import TwoPersonRequest
from anlan.warning import issuers

from . import actions, keys, queries
from .models import FeedSource

app_name = "exchange"


# --- the public side -------------------------------------------------------------------------------------------------


@public
@require_GET
def cap_atom(request: HttpRequest) -> HttpResponse:
    """Our warnings in force as an Atom feed; asks the gate for each, answers 304 when nothing changed."""
    listed = queries.feed()
    etag = f'"{queries.feed_etag(listed)}"'
    if etag in [part.strip().removeprefix("W/") for part in request.headers.get("If-None-Match", "").split(",")]:
        answer: HttpResponse = HttpResponseNotModified()
    else:
        answer = HttpResponse(_feed(request, listed), content_type="application/atom+xml; charset=utf-8")
    answer["ETag"] = etag
    answer["Cache-Control"] = "no-cache"
    return answer


def _feed(request: HttpRequest, listed: list[queries.Listed]) -> bytes:
    return cap.build_atom(queries.as_feed(
        listed, link=request.build_absolute_uri(reverse("exchange:cap_atom")), message=lambda key: request.build_absolute_uri(reverse("exchange:cap_message", args=[key])),
    ))


@public
@require_GET
def cap_message(request: HttpRequest, key: UUID) -> HttpResponse:
    """One signed CAP message of the feed; 404 as soon as the gate would not let it pass."""
    one = queries.listed(key)
    if one is None:
        raise Http404
    answer = HttpResponse(bytes(one.signed.xml), content_type="application/cap+xml; charset=utf-8")
    answer["ETag"] = f'"{hashlib.sha256(bytes(one.signed.xml)).hexdigest()[:32]}"'
    return answer


@public
@require_GET
def certificate(request: HttpRequest) -> HttpResponse:
    """The certificate our signatures are checked with."""
    answer = HttpResponse(keys.certificate(), content_type="application/x-pem-file")
    answer["Content-Disposition"] = 'attachment; filename="anlan-cap-signing.crt"'
    return answer


# --- the side of those who mind the links ------------------------------------------------------------------------------


@require_GET
def feeds(request: HttpRequest) -> HttpResponse:
    """Links and their health, our feed, refused messages, unmapped areas."""
    access.require(request.actor, "exchange.read")
    refused = list(queries.refused(request.realm)[:20])
    for row in refused:
        row.remedy = queries.remedy(row.refused.partition(":")[0]) or queries.remedy("messages")
    return render(request, "exchange/feeds.html", {
        "sources": queries.sources(), "listed": queries.feed(), "key_id": keys.key_id(), "feed_url": request.build_absolute_uri(reverse("exchange:cap_atom")),
        "refused": refused, "refused_count": queries.refused(request.realm).count(),
        "unmapped": queries.unmapped(request.actor, request.realm)[:20], "may_manage": access.may(request.actor, "exchange.manage"),
        "may_enter": access.may(request.actor, "warning.enter"), "limit_mb": MAX_BYTES // 1024 // 1024,
    })


@require_http_methods(["GET", "POST"])
def signing_key(request: HttpRequest) -> HttpResponse:
    """Which key signs, who chose it; asking for another, which a second administrator confirms."""
    may_ask, may_confirm = parties.may_ask(request.actor, keys.SIGNING_KEY), parties.may_confirm(request.actor)
    if not may_ask and not may_confirm:
        access.require(request.actor, "exchange.read")
    problem = ""
    if request.method == "POST":
        if not may_ask:
            access.require(request.actor, parties.ADMINISTER, region=None)
        try:
            name = keys.stage(request.POST.get("key", "").strip().encode(), request.POST.get("certificate", "").strip().encode())
            row = _ask(request, keys.SIGNING_KEY, {"key_id": name})
        except Problem as error:
            problem = str(error)
        else:
            return HttpResponseRedirect(reverse("kernel:request", args=[row.pk]))
    raw = keys.certificate()
    answer = render(request, "exchange/key.html", {
        "key_id": keys.fingerprint(raw), "certificate": x509.load_pem_x509_certificate(raw), "chosen": keys.in_force(), "may_ask": may_ask, "problem": problem,
        "asked": TwoPersonRequest.objects.filter(kind=keys.SIGNING_KEY).select_related("requested_by", "confirmed_by").order_by("-requested_at")[:20], "may_see": may_ask or may_confirm,
        "states": pages_admin.STATES,
    }, status=422 if problem else 200)
    answer["Cache-Control"] = "no-store"
    return answer


def _ask(request: HttpRequest, kind: str, payload: dict[str, Any]) -> TwoPersonRequest:
    """What is decided by two stands in the actual journal, whichever realm is looked at; its key follows from the page's own."""
    act = request.act()
    act.realm, act.op_id, act.expected_version = realms.actual(), derived_id(kind, act.op_id), None
    return parties.ask(act, kind=kind, payload=payload, reason=request.POST.get("reason", "").strip())


@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """A CAP file (or feed, or EDXL-DE envelope) from this computer."""
    file = request.FILES.get("file")
    if file is None:
        return HttpResponseRedirect(reverse("exchange:feeds"))
    if file.size > MAX_BYTES:
        raise TOO_LARGE(size=file.size, limit=MAX_BYTES)
    raw = file.read()
    taken = actions.take_in(
        request.act(), raw=raw, digest=hashlib.sha256(raw).hexdigest(), source=file.name[:200], heard_by="file",
    )
    if len(taken["received"]) == 1 and not taken["refused"]:
        return HttpResponseRedirect(reverse("warning:alert", args=[taken["received"][0]]))
    return render(request, "exchange/taken.html", {"taken": taken, "name": file.name}, status=200 if taken["received"] or taken["duplicates"] or taken["links"] else 422)


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, key: UUID | None = None) -> HttpResponse:
    """Add or change a link. The credential of a push link is shown once, here, and kept nowhere. Address, issuer, reading and what proves a message hold when a second person has confirmed them."""
    access.require(request.actor, "exchange.manage")
    row = FeedSource.objects.filter(pk=key).first() if key else None
    if key and row is None:
        raise Http404
    if request.method == "POST":
        data = request.POST
        kind, token = data.get("kind", FeedSource.POLL), ""
        if kind == FeedSource.PUSH and (row is None or not row.token_hash or data.get("new_token")):
            token = secrets.token_urlsafe(32)
        wanted: dict[str, Any] = {
            "kind": kind, "mode": data.get("mode", "lenient"), "issuer": data.get("issuer", "other"), "issuer_name": data.get("issuer_name", "").strip()[:200],
            "certificate": "\n".join(data.get("certificate", "").split("\r\n")).strip(),
        }
        if kind == FeedSource.POLL:
            wanted |= {"url": data.get("url", "").strip(), "hosts": [line.strip() for line in data.get("hosts", "").replace(",", "\n").splitlines() if line.strip()]}
        # Of a new link the whole stands in the request, the kind chosen too: the second person sees what it will be.
        trust = {field: value for field, value in wanted.items() if row is None or value != getattr(row, field)} | ({"token_hash": token_digest(token)} if token else {})
        if trust:
            actions.check_words(trust)
            if not data.get("reason", "").strip():
                raise REASON_NEEDED(fields=[{"field": "reason", "why": str(_("is missing"))}])
        saved = actions.save_source(
            request.act(), source=key, name=data.get("name", ""), kind=kind,
            interval_s=int(data["interval_min"]) * 60 if data.get("interval_min", "").isdigit() else 300, enabled=bool(data.get("enabled")),
            silent_after_min=int(data["silent_h"]) * 60 if data.get("silent_h", "").isdigit() else None,
        )
        asked = _ask(request, actions.LINK_TRUST, {"source": str(saved.pk), **trust}) if trust else None
        if token:
            answer = render(request, "exchange/token.html", {"source": saved, "token": token})
            answer["Cache-Control"] = "no-store"
            return answer
        return HttpResponseRedirect(reverse("kernel:request", args=[asked.pk]) if asked else reverse("exchange:source", args=[saved.pk]))
    return render(request, "exchange/edit.html", {"source": row, "issuers": list(issuers.table().issuers.values())})


def token_digest(token: str) -> str:
    """What of a push credential is kept. It is 256 random bits, so a plain digest will do."""
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@require_GET
def source(request: HttpRequest, key: UUID) -> HttpResponse:
    """One link: settings, logs with cause and remedy."""
    access.require(request.actor, "exchange.read")
    row = FeedSource.objects.filter(pk=key).first()
    if row is None:
        raise Http404
    page = Paginator(row.logs.order_by("-at"), 50).get_page(request.GET.get("page"))
    for log in page:
        log.remedy = queries.remedy(log.code) if log.code else ""
    waiting = TwoPersonRequest.objects.filter(kind=actions.LINK_TRUST, state=TwoPersonRequest.OPEN, payload__source=str(row.pk)).select_related("requested_by")
    return render(request, "exchange/source.html", {
        "waiting": [(one, actions.describe_trust(one.payload)) for one in waiting], "may_see": parties.may_confirm(request.actor), "me": request.actor.person_id, "source": row, "page": page, "issuer": issuers.table().issuers.get(row.issuer), "may_manage": access.may(request.actor, "exchange.manage"),
    })


@require_POST
def poll_now(request: HttpRequest, key: UUID) -> HttpResponse:
    """Fetch a link at once; the answer is on its page."""
    access.require(request.actor, "warning.enter")
    row = FeedSource.objects.filter(pk=key, kind=FeedSource.POLL).exclude(url="").first()
    if row is None:
        raise Http404
    from .polling import poll

    poll(row)
    return HttpResponseRedirect(reverse("exchange:source", args=[key]))


urlpatterns = [
    path("", feeds, name="feeds"),
    path("cap.atom", cap_atom, name="cap_atom"),
    path("cap/<uuid:key>.xml", cap_message, name="cap_message"),
    path("cap-signing.crt", certificate, name="certificate"),
    path("signing-key", signing_key, name="signing_key"),
    path("upload", upload, name="upload"),
    path("links/new", edit, name="source_new"),
    path("links/<uuid:key>", source, name="source"),
    path("links/<uuid:key>/edit", edit, name="source_edit"),
    path("links/<uuid:key>/poll", poll_now, name="poll_now"),
]

