"""Photographs from a telephone: announced, sent in parts that may break off anywhere, checked whole, then attached.

The bytes lie under `uploads/` in the data folder until they are whole; the row says how many of them count.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Sum
from django.utils.translation import gettext_lazy as _
from ninja import Schema
from pydantic import Field

from .. import clock, files, subjects
from ..actions import Act, Actor
from ..errors import NOT_FOUND, TOO_LARGE, Kind, Problem
from ..ids import derived_id
from ..models import KeptEvidence, PhoneDevice, PhoneFile, PhoneOp

WRONG_OFFSET = Kind("phone.offset", 409, _("The file goes on at byte {received}."))
DAMAGED = Kind("phone.damaged", 422, _("{name} arrived damaged and is sent again from the beginning."))
OTHER_FILE = Kind("phone.other_file", 409, _("This key was used for another file."))
TOO_MANY = Kind("phone.too_many", 429, _("Too many unfinished files ({count}) from this device. Let it finish some, then go on."))

PART = 256 * 1024  # bytes a part may have; the device sends smaller ones on a slow link
MAX_UNFINISHED, MAX_UNFINISHED_BYTES = 2000, 2 * 1024**3
KEPT_DAYS = 30


class Announced(Schema):
    """A file that will come, and what is known of it."""

    device: UUID
    id: UUID
    op: UUID = Field(description="operation it belongs to")
    name: str = Field(min_length=1, max_length=160)
    size: int = Field(ge=1, le=2**53)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    taken_at: str = Field("", max_length=40, description="the camera's own time, as it says it")
    lon: float | None = Field(None, ge=-180, le=180)
    lat: float | None = Field(None, ge=-90, le=90)
    accuracy_m: float | None = Field(None, ge=0, le=1e7)


def path_of(key: UUID) -> Path:
    return settings.HOME / "uploads" / f"{key}.part"


def announce(device: PhoneDevice, said: Announced) -> PhoneFile:
    """Expect a file; announcing it again tells how much of it is here. kernel.too_large, phone.other_file, phone.too_many."""
    if said.size > files.MAX_BYTES:
        raise TOO_LARGE(size=said.size, limit=files.MAX_BYTES)
    forget_old(device)
    with transaction.atomic():
        PhoneDevice.objects.select_for_update().get(pk=device.pk)
        row = PhoneFile.objects.filter(pk=said.id).first()
        if row is not None:
            if (row.device_id, row.op, row.sha256, row.size) != (device.pk, said.op, said.sha256, said.size):
                raise OTHER_FILE()
            return row
        unfinished = PhoneFile.objects.filter(device=device, attachment=None, refused="").aggregate(n=Count("pk"), bytes=Sum("size"))
        if unfinished["n"] >= MAX_UNFINISHED or (unfinished["bytes"] or 0) + said.size > MAX_UNFINISHED_BYTES:
            raise TOO_MANY(count=unfinished["n"])
        return PhoneFile.objects.create(
            id=said.id, device=device, op=said.op, name=said.name.replace("\x00", ""), size=said.size, sha256=said.sha256, taken_at=said.taken_at.replace("\x00", ""),
            lon=said.lon, lat=said.lat, accuracy_m=said.accuracy_m, added_at=clock.now(),
        )


def take_part(actor: Actor, device: PhoneDevice, key: UUID, offset: int, part: bytes) -> PhoneFile:
    """Add a part. phone.offset tells where to go on; phone.damaged when the whole is not what was announced."""
    if len(part) > PART:
        raise TOO_LARGE(size=len(part), limit=PART)
    with transaction.atomic():
        row = PhoneFile.objects.select_for_update().filter(pk=key, device=device).first()
        if row is None:
            raise NOT_FOUND(kind=_("file"), key=str(key)[-6:])
        if row.attachment or row.refused or row.received == row.size:
            return row
        if row.received and not path_of(key).exists():
            row.received = 0  # after a restore: the parts lie in no backup
        if offset != row.received or row.received + len(part) > row.size or not part:
            raise WRONG_OFFSET(received=row.received)
        _write(path_of(key), offset, part)
        row.received += len(part)
        if row.received == row.size and hashlib.sha256(path_of(key).read_bytes()).hexdigest() != row.sha256:
            row.received = 0
        row.save(update_fields=["received"])
        whole = row.received == row.size
    if row.received == 0:
        raise DAMAGED(name=row.name)
    if whole:
        with transaction.atomic():
            hand_over(actor, PhoneFile.objects.select_for_update().get(pk=key))
        row.refresh_from_db()
    return row


def _write(path: Path, offset: int, part: bytes) -> None:
    """On disk before its row says so; what a crash left beyond the row's count is written over."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.seek(offset)
        file.write(part)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def words(row: PhoneFile) -> str:
    """Time and place of a photograph, as its device told them."""
    parts = [row.taken_at] if row.taken_at else []
    if row.lon is not None and row.lat is not None:
        parts.append(f"{row.lon:.5f}, {row.lat:.5f}" + (f" ±{row.accuracy_m:.0f} m" if row.accuracy_m is not None else ""))
    return " · ".join(parts)


def hand_over(actor: Actor, row: PhoneFile) -> UUID | None:
    """Attach a whole file to what its operation became; it waits here while that is not known. Returns the attachment."""
    op = PhoneOp.objects.select_related("realm").filter(pk=row.op, device=row.device_id).first()
    if op is None or row.attachment or row.refused or row.received != row.size:
        return row.attachment
    if op.outcome == "kept":
        subject = f"evidence:{KeptEvidence.plain.values_list('pk', flat=True).get(op=op)}"
    else:
        subject = op.subject if op.outcome != "refused" else ""
    from .sync import KINDS

    told = KINDS[op.kind].attached if op.kind in KINDS and op.outcome != "kept" else None
    return attach(Act(actor, op.realm), row, subject, told)


def attach(act: Act, row: PhoneFile, subject: str, told: Any = None) -> UUID | None:
    """Make the whole file an attachment of the record its operation became, by the rules of every attachment; what they refuse says why."""
    part = path_of(row.pk)
    act = replace(act, op_id=derived_id("phone.file", row.pk), expected_version=None)  # from the file's key: a repeat attaches nothing twice
    try:
        with transaction.atomic():
            if not subject or subjects.row(subject) is None:
                raise NOT_FOUND(kind=_("record"), key=subject[-6:])
            made = files.take(act, subject, row.name, part.read_bytes(), words(row))
            row.attachment = made.pk
    except Problem as problem:
        row.refused = problem.message[:300]
    except OSError:  # the parts lay in no backup
        row.refused = files.FILE_GONE(name=row.name).message[:300]
    if row.attachment and told is not None:
        with contextlib.suppress(Problem), transaction.atomic():  # who may not read the case he reported has attached his photograph all the same
            told(act, subject, made)
    row.save(update_fields=["attachment", "refused"])
    transaction.on_commit(lambda: part.unlink(missing_ok=True))
    return row.attachment


def forget_old(device: PhoneDevice) -> None:
    """Drop the parts of files nobody has gone on with for a month."""
    for row in PhoneFile.objects.filter(device=device, attachment=None, refused="", added_at__lt=clock.now() - timedelta(days=KEPT_DAYS)):
        row.refused = str(_("never finished"))
        row.save(update_fields=["refused"])
        path_of(row.pk).unlink(missing_ok=True)


def state(row: PhoneFile) -> dict[str, Any]:
    """What the device needs to go on."""
    return {"id": str(row.pk), "received": row.received, "size": row.size, "attachment": str(row.attachment) if row.attachment else None, "refused": row.refused}
