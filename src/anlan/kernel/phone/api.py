"""The telephone's door: register a device, take the copy along, hand in what was done, send files in parts."""
from __future__ import annotations

import gzip
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from ninja import Router, Schema
from pydantic import Field

from .. import clock, realms
from ..models import PhoneDevice
from . import bundle, files, sync

router = Router()


class Enrolment(Schema):
    device: UUID = Field(description="key of the device, made on it")
    secret: str = Field(min_length=32, max_length=200, description="made on the device; it asks with it whether it must wipe itself")
    name: str = Field("", max_length=120)


class Question(Schema):
    device: UUID
    wiped: bool = Field(False, description="the device has deleted its copy")


@router.get("/me", response=dict, summary="Who is signed in")
def who(request: HttpRequest) -> Any:
    """The account signed in on this device: its copy is kept under that name."""
    return {"account": str(request.actor.account_id), "csrf": get_token(request)}  # type: ignore[attr-defined]


@router.post("/device", response=dict, summary="Register a device")
def enrol(request: HttpRequest, said: Enrolment) -> Any:
    """Register the device under the signed-in account. Repeatable. phone.unknown_device when it is another account's, phone.revoked."""
    act = request.act()  # type: ignore[attr-defined]
    act.realm = realms.actual()  # a device belongs to its account, whatever drill runs
    row = sync.enrol(
        act, device=said.device, secret_hash=sync.digest_of(said.secret), name=said.name.replace("\x00", ""),
        session=str(request.session.get("sign_in") or ""),
    )
    return {"device": str(row.pk), "account": str(row.account_id), "now": clock.now().isoformat()}


@router.get("/bundle", response=dict, summary="The copy to take along")
def take_along(request: HttpRequest, device: UUID, since: str = "", further: str = "") -> HttpResponse:
    """The next page of what this person takes along: his posts' orders, tasks and cases, his regions' registers, forms, map.
    `since` is the cursor of the last page; ask again while `more` is true. The part `left` says of which registers how many entries were left out (beyond
    10,000 only that it is more); `further` names one of which as many again are to come. Gzipped when the device takes that; X-Size is the size before."""
    sync.device_of(request.actor, device)  # type: ignore[attr-defined]
    body = orjson.dumps(bundle.page(request.actor, request.realm, since, further), default=str)  # type: ignore[attr-defined]
    size = str(len(body))
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(gzip.compress(body, 6) if zipped else body, content_type="application/json")
    response["X-Size"] = size
    if zipped:
        response["Content-Encoding"] = "gzip"
    response["Vary"] = "Accept-Encoding"
    return response


@router.post("/sync", response=dict, summary="Hand in what was done")
def take_in(request: HttpRequest, batch: sync.Batch) -> Any:
    """Do a batch of operations, each once per op_id. For each: done, merged, conflict, kept, refused, or later (send it again)."""
    return sync.take(request.actor, request.realm, batch, clock.now())  # type: ignore[attr-defined]


@router.post("/files", response=dict, summary="Announce a file")
def announce(request: HttpRequest, said: files.Announced) -> Any:
    """Say that a file comes; answers how many bytes of it are here already."""
    return files.state(files.announce(sync.device_of(request.actor, said.device), said))  # type: ignore[attr-defined]


@router.put("/files/{uuid:key}", response=dict, summary="Send a part of a file", openapi_extra={"requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}})
def part(request: HttpRequest, key: UUID, device: UUID, offset: int) -> Any:
    """The bytes from `offset` on, at most 256 KiB. phone.offset says where to go on when it is another place."""
    return files.state(files.take_part(request.actor, sync.device_of(request.actor, device), key, offset, request.body))  # type: ignore[attr-defined]


@router.post("/state", auth=None, response=dict, summary="May this device keep its copy?")
def ask(request: HttpRequest, said: Question) -> Any:
    """For a device that is no longer let in: `open`, `revoked` or `closed` with the reason. On the last two it deletes its copy
    and says so. Needs no sign-in but the device's own secret (`Authorization: Device …`)."""
    secret = request.headers.get("Authorization", "").removeprefix("Device ")
    row = PhoneDevice.objects.select_related("account").filter(pk=said.device, secret_hash=sync.digest_of(secret)).first()
    if row is None:
        raise sync.UNKNOWN_DEVICE()
    state = "revoked" if row.revoked_at else "open" if row.account.is_active else "closed"
    if said.wiped and state != "open" and row.wiped_at is None:
        PhoneDevice.objects.filter(pk=row.pk).update(wiped_at=clock.now())
    return {"state": state, "why": row.revoked_why if row.revoked_at else str(sync.CLOSED) if state == "closed" else ""}
