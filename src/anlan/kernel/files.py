"""Attachments: authorised by the record they belong to, known by their content, stored once under their SHA-256."""
from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from anlan.engines import pictures

from . import subjects
from .actions import Act, action
from .errors import FORBIDDEN, ILLEGAL_STEP, NOT_FOUND, TOO_LARGE, Kind
from .facts import FileAttached, FileRemoved
from .ids import new_id
from .models import Attachment
from .models.base import ScopedQuerySet

BAD_TYPE = Kind("kernel.bad_file_type", 422, _("{name}: files of this kind are not taken. Taken are pictures (JPEG, PNG, WebP), PDF, Word, Excel, PowerPoint, text, MP3, M4A, AMR and MP4."))
NOT_WHAT_IT_SAYS = Kind("kernel.file_not_what_it_says", 422, _("{name}: the content is {found}, which does not fit the name's ending. Rename it or save it anew."))
FILE_GONE = Kind("kernel.file_gone", 500, _("The content of {name} is not on this machine. Restore it from the backup."), blame="ours")
CANNOT_STRIP = Kind("kernel.cannot_strip", 422, _("{name} cannot be freed of its position marks and must not leave. Save it anew as JPEG or PNG."))

EVIDENCE_STAYS = Kind("kernel.evidence_stays", 409, _("{name} is evidence of a step and stays with it. Write a remark if it is wrong."))

MAX_BYTES = 32 * 1024 * 1024
OOXML = "application/vnd.openxmlformats-officedocument."
# Type by content → endings that fit it.
TYPES: dict[str, tuple[str, ...]] = {
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/webp": (".webp",),
    "application/pdf": (".pdf",),
    OOXML + "wordprocessingml.document": (".docx",),
    OOXML + "spreadsheetml.sheet": (".xlsx",),
    OOXML + "presentationml.presentation": (".pptx",),
    "text/plain": (".txt", ".csv", ".log"),
    "audio/mpeg": (".mp3",),
    "audio/mp4": (".m4a",),
    "audio/amr": (".amr",),
    "video/mp4": (".mp4", ".m4v"),
}
PICTURES = ("image/jpeg", "image/png", "image/webp")


def sniff(content: bytes) -> str:
    """The type by content, or an empty string. What a browser could run (HTML, SVG, scripts) is never one of ours."""
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    if content.startswith(b"%PDF-"):
        return "application/pdf"
    if content.startswith(b"#!AMR"):
        return "audio/amr"
    if content.startswith(b"ID3") or (len(content) > 1 and content[0] == 0xFF and content[1] & 0xE6 == 0xE2):
        return "audio/mpeg"
    if content[4:8] == b"ftyp":
        return "audio/mp4" if content[8:11] == b"M4A" else "video/mp4" if content[8:12] in (b"isom", b"iso2", b"mp41", b"mp42", b"avc1", b"M4V ", b"iso5", b"iso6") else ""
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    return "text/plain" if _is_text(content) else ""


def _office(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = set(packed.namelist())
            if any(name.lower().endswith("vbaproject.bin") for name in names) or "[Content_Types].xml" not in names:
                return ""
            if sum(item.file_size for item in packed.infolist()) > 20 * MAX_BYTES:
                return ""
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    for part, kind in (("word/document.xml", "wordprocessingml.document"), ("xl/workbook.xml", "spreadsheetml.sheet"), ("ppt/presentation.xml", "presentationml.presentation")):
        if part in names:
            return OOXML + kind
    return ""


def _is_text(content: bytes) -> bool:
    head = content[:65536]
    if not head or b"\x00" in head:
        return False
    for encoding in ("utf-8", "gb18030"):
        try:
            # A cut in the middle of a character is no fault of the file's.
            text = head.decode(encoding, errors="strict" if len(content) <= 65536 else "ignore")
        except UnicodeDecodeError:
            continue
        low = text.lstrip("\ufeff \t\r\n").lower()
        return not low.startswith(("<!doctype", "<html", "<svg", "<?xml", "<script", "#!")) and "<script" not in low
    return False


def check(name: str, content: bytes) -> str:
    """The type of an upload. kernel.too_large, kernel.bad_file_type, kernel.file_not_what_it_says."""
    if len(content) > MAX_BYTES:
        raise TOO_LARGE(size=len(content), limit=MAX_BYTES)
    mime = sniff(content)
    if not mime:
        raise BAD_TYPE(name=name)
    if Path(name).suffix.lower() not in TYPES[mime]:
        raise NOT_WHAT_IT_SAYS(name=name, found=mime)
    return mime


def folder() -> Path:
    return settings.HOME / "files"


def path_of(sha256: str) -> Path:
    return folder() / sha256[:2] / sha256[2:4] / sha256


def store(content: bytes) -> str:
    """Keep the bytes; returns their SHA-256. On disk, synced and renamed into place, before any row speaks of them."""
    sha256 = hashlib.sha256(content).hexdigest()
    path = path_of(sha256)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{sha256}.{new_id().hex[-8:]}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    return sha256


# --- who may ---------------------------------------------------------------------------------------------------------

# For records whose model has no scope of its own: kind → may(actor, realm, row).
READABLE: dict[str, Callable[[Any, Any, Any], bool]] = {}


def readable(kind: str, may: Callable[[Any, Any, Any], bool]) -> None:
    """Say who may read the attachments of a kind of record that has no SCOPE; call it in `apps.ready()`."""
    READABLE[kind] = may


def may_read(actor: Any, realm: Any, subject: str) -> bool:
    """Whoever may read the record may read what is attached to it; a record nobody vouches for is closed."""
    row = subjects.row(subject)
    if row is None or actor.is_nobody:
        return False
    kind = subjects.parse(subject)[0]
    if kind in READABLE:
        return READABLE[kind](actor, realm, row)
    manager = type(row).objects
    if isinstance(manager.all(), ScopedQuerySet):
        return manager.seen_by(actor, realm).filter(pk=row.pk).exists()
    return False


def of(actor: Any, realm: Any, subject: str) -> list[Attachment]:
    """The attachments of a record this actor may read; none otherwise."""
    if not may_read(actor, realm, subject):
        return []
    return list(Attachment.objects.of(realm).filter(subject=subject, removed_at=None).order_by("added_at"))


# --- actions ---------------------------------------------------------------------------------------------------------


def bare(name: str, length: int = 160) -> str:
    """An upload's own name: paths and control characters of other systems have no place in it."""
    return "".join(char for char in name.replace("\\", "/").rsplit("/", 1)[-1] if char >= " ")[-length:] or "file"


def attach(act: Act, subject: str, name: str, content: bytes, note: str = "") -> Attachment:
    """Check, store and attach an upload to a record of this realm that the actor may read. kernel.not_found."""
    if not may_read(act.actor, act.realm, subject) and not act.actor.machine_name:
        raise NOT_FOUND(kind="", key=subject)
    return take(act, subject, name, content, note)


def take(act: Act, subject: str, name: str, content: bytes, note: str = "") -> Attachment:
    """The same for a file whose right to the record was judged with the operation it belongs to."""
    name = bare(name)
    mime = check(name, content)
    return _attach(act, subject=subject, name=name, mime=mime, size=len(content), sha256=store(content), note=note)


@action("files.attach")
def _attach(act: Act, *, subject: str, name: str, mime: str, size: int, sha256: str, note: str = "") -> Attachment:
    row = subjects.row(subject)
    if row is None or getattr(row, "realm_id", act.realm.pk) != act.realm.pk:
        raise NOT_FOUND(kind="", key=subject)
    return record(act, subject=subject, region=getattr(row, "region_id", None), name=name, mime=mime, size=size, sha256=sha256, note=note)


def record(act: Act, *, subject: str, region: UUID | None, name: str, mime: str, size: int, sha256: str, note: str) -> Attachment:
    """Inside an action that has judged the right to it: the attachment's row and its fact."""
    file = act.create(
        Attachment, subject=subject, region_id=region, name=name, mime=mime, size=size, sha256=sha256, added_at=act.now, added_by=act.actor.person_id, note=note.strip()[:200]
    )
    act.state(FileAttached(file=file.pk, about=subject, digest=f"sha256:{sha256}", size=size), subject=subject, region=region)
    return file


@action("files.remove")
def remove(act: Act, *, file: UUID) -> Attachment:
    """Take one's own attachment off its record. The row and the bytes stay: what was decided on it must stay provable."""
    row = act.lock(Attachment, file)
    if not may_read(act.actor, act.realm, row.subject):
        raise NOT_FOUND(kind="", key=file)
    if row.added_by is None or row.added_by != act.actor.person_id:
        raise FORBIDDEN(capability="files.remove")
    if row.removed_at is not None:
        raise ILLEGAL_STEP(state="removed")
    from .models import CaseStep

    if CaseStep.plain.filter(case_id=subjects.row(row.subject).pk, files__contains=[row.pk]).exists():
        raise EVIDENCE_STAYS(name=row.name)
    row.removed_at = act.now
    act.save(row)
    act.state(FileRemoved(file=row.pk, about=row.subject), subject=row.subject, region=row.region_id)
    return row


# --- handing out -------------------------------------------------------------------------------------------------------


def content(row: Attachment) -> bytes:
    """The bytes, checked against their digest. kernel.file_gone."""
    try:
        found = path_of(row.sha256).read_bytes()
    except OSError:
        raise FILE_GONE(name=row.name)
    if hashlib.sha256(found).hexdigest() != row.sha256:
        raise FILE_GONE(name=row.name)
    return found


def outward(row: Attachment) -> bytes:
    """The bytes as they may leave the house: pictures without position and other marks. kernel.cannot_strip."""
    found = content(row)
    if row.mime not in PICTURES:
        return found
    try:
        return pictures.strip(found)
    except pictures.BadPicture:
        raise CANNOT_STRIP(name=row.name)


def readable_row(actor: Any, realm: Any, file: UUID) -> Attachment:
    """The attachment, if this actor may read its record in this realm. kernel.not_found."""
    from . import realms

    # A real order is answered from within an exercise, too: what is attached to it is found there.
    row = Attachment.objects.everything().filter(pk=file, removed_at=None, realm__in={realm.pk, realms.actual().pk}).select_related("realm").first()
    if row is None or not may_read(actor, row.realm, row.subject):
        raise NOT_FOUND(kind=_("attachment"), key=file)
    return row


