"""Exchange's HTTP API: outside systems push CAP with a credential of their own; people with their session."""
from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest
from ninja import Router
from ninja.security import HttpBearer

from anlan.engines.cap.safe import MAX_BYTES
from anlan.kernel import access, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.session_auth import Session

from . import actions, polling, queries
from .errors import BAD_TOKEN, CAP_REFUSED, TOO_LARGE
from .models import FeedSource
from .pages import token_digest

router = Router()


class Push(HttpBearer):
    """`Authorization: Bearer …` of a push link."""

    def authenticate(self, request: HttpRequest, token: str) -> FeedSource:
        source = FeedSource.objects.filter(token_hash=token_digest(token), kind=FeedSource.PUSH, enabled=True).first()
        if source is None:
            raise BAD_TOKEN()
        return source


@router.post("/cap", auth=[Push(), Session()], summary="Take in a CAP message, a feed with embedded alerts, or an EDXL-DE envelope")
def take_in(request: HttpRequest) -> tuple[int, Any] | Any:
    """Body: the XML itself. Answers {kind, valid, received, duplicates, refused, links}; exchange.cap_refused when nothing could be used."""
    length = int(request.headers.get("Content-Length") or 0)
    if length > MAX_BYTES:
        raise TOO_LARGE(size=length, limit=MAX_BYTES)
    raw = request.body
    if isinstance(request.auth, FeedSource):  # type: ignore[attr-defined]
        # The realm comes from the credential, never from the payload: a push is for actual operations.
        source = request.auth  # type: ignore[attr-defined]
        act = Act(Actor.machine("exchange"), realms.actual(), op_id=derived_id("exchange.push", source.pk, request.act().op_id))  # type: ignore[attr-defined]
        taken = actions.take_in(act, raw=raw, digest=hashlib.sha256(raw).hexdigest(), source=source.name, heard_by="api", link=source.pk)
        polling.note_push(source, taken, act.now)
    else:
        taken = actions.take_in(
            request.act(), raw=raw, digest=hashlib.sha256(raw).hexdigest(), source=request.headers.get("X-File-Name", "API")[:200], heard_by="api",  # type: ignore[attr-defined]
        )
    if taken["refused"] and not taken["received"] and not taken["duplicates"]:
        raise CAP_REFUSED(reason="; ".join(one["reason"] for one in taken["refused"][:3]), code=taken["code"])
    return {name: taken[name] for name in ("kind", "valid", "received", "duplicates", "refused", "links")}


@router.get("/sources", summary="Links to other systems and their health")
def sources(request: HttpRequest) -> Any:
    access.require(request.actor, "exchange.read")  # type: ignore[attr-defined]
    return [
        {
            "id": str(one["source"].pk), "name": one["source"].name, "kind": one["source"].kind, "url": one["source"].url, "enabled": one["source"].enabled,
            "last_ok_at": one["source"].last_ok_at, "failures": one["source"].failures, "cause": one["last"].cause if one["last"] else "",
            "remedy": str(one["remedy"]),
        }
        for one in queries.sources()
    ]
