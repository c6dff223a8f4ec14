"""The journal's signed head, to be kept where this machine's administrators cannot reach it: cutting off the tail then shows.

Whoever holds the machine can cut the chain and its heads together, and what is left verifies. A head that left the house
before says how long the chain was and how it ended.
"""
from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import clock, journal, outbound
from .actions import Act, Actor, action
from .errors import Kind
from .facts import HeadExported, HeadTaken
from .ids import derived_id
from .models import Installation

FORMAT = "anlan-journal-head-1"
WRITTEN = re.compile(r"(\d+):([0-9a-f]{16,64})")  # as printed: number and the beginning of the digest
SHOWN = 16  # characters of the digest on paper
BAD_HEAD = Kind("kernel.bad_head", 422, gettext_lazy("{file} is no head of a journal: {why}."))


def head() -> dict[str, Any] | None:
    """The end of the chain now, signed: what leaves the house. None while nothing is sealed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number, digest FROM kernel_seal ORDER BY number DESC LIMIT 1")
        row = cursor.fetchone()
    if row is None:
        return None
    number, digest = row
    key_id, signature = journal.sign(number, digest)
    here = Installation.current()
    return {
        "format": FORMAT, "installation": str(here.pk), "name": here.name, "number": number, "digest": digest, "algorithm": "Ed25519", "key_id": key_id,
        "public_key": journal.public_key().hex(), "signature": signature, "taken_at": clock.now().isoformat(timespec="seconds"),
    }


def on_paper(head: dict[str, Any]) -> str:
    """What a printed report carries of a head; `anlan journal verify --against` takes it as it stands there."""
    return f"{head['number']}:{head['digest'].rpartition(':')[2][:SHOWN]}"


def read(text: str) -> dict[str, Any]:
    """A head from a file or as printed (number:digest). kernel.bad_head, also when its signature is not by the key it names."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if printed := WRITTEN.fullmatch(text.strip()):
        return {"number": int(printed[1]), "digest": printed[2]}
    try:
        found = json.loads(Path(text).read_text())
        if found["format"] != FORMAT:
            raise ValueError(f"format {found['format']}")
        public = bytes.fromhex(found["public_key"])
        if hashlib.sha256(public).hexdigest()[:16] != found["key_id"]:
            raise ValueError(_("the key is not the one it names"))
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(found["signature"]), f"{found['number']} {found['digest']}".encode())
    except InvalidSignature:
        raise BAD_HEAD(file=text, why=_("its signature is wrong")) from None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise BAD_HEAD(file=text, why=f"{type(problem).__name__}: {problem}") from None
    return found


def compare(known: dict[str, Any]) -> str:
    """What is wrong with our chain, seen from a head that had left the house; empty when it goes on from there."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(number) FROM kernel_seal")
        last = cursor.fetchone()[0] or 0
        cursor.execute("SELECT digest FROM kernel_seal WHERE number = %s", [known["number"]])
        row = cursor.fetchone()
    if row is None:
        return _("the chain ends at {last}, the head says {number}: its tail was cut off").format(last=last, number=known["number"])
    if not row[0].rpartition(":")[2].startswith(known["digest"].rpartition(":")[2]):
        return _("number {number} is another one than the head says: the chain was written anew").format(number=known["number"])
    return ""


# --- each day ----------------------------------------------------------------------------------------------------------


def wanted() -> bool:
    return bool(settings.HEAD_FOLDER or settings.HEAD_URL)


@action("journal.take_head")
def take(act: Act) -> None:
    """Each day: state the head that is to leave the house, when a place for it is set."""
    found = head() if wanted() else None
    if found is not None:
        act.state(HeadTaken(number=found["number"], digest=found["digest"], key_id=found["key_id"]), subject=f"installation:{found['installation']}")


@action("journal.note_export")
def note(act: Act, *, number: int, where: str) -> None:
    act.state(HeadExported(number=number, where=where), subject=f"installation:{Installation.current().pk}")


def export(fact: Any) -> None:
    """Job on kernel.HeadTaken: the head as it was then, into the folder and to the address that are set. Fails until it is there."""
    known = head()
    assert known is not None
    number, digest = fact.payload["number"], fact.payload["digest"]
    key_id, signature = journal.sign(number, digest)
    known |= {"number": number, "digest": digest, "key_id": key_id, "signature": signature, "taken_at": fact.recorded_at.isoformat(timespec="seconds")}
    content = (json.dumps(known, ensure_ascii=False, indent=1) + "\n").encode()
    machine = Actor.machine("journal")
    if settings.HEAD_FOLDER:
        # The folder is a share or a stick: made by its owner, never by us, or a head would land on this very disk when it is not there.
        place = Path(settings.HEAD_FOLDER)
        target = place / f"anlan-head-{known['installation'][:8]}-{number:012d}.json"
        half = target.with_suffix(".part")
        with open(half, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, target)
        note(Act(machine, fact.realm, op_id=derived_id("journal.export", fact.id, "folder"), cause=fact.id), number=number, where=str(place))
    if settings.HEAD_URL:
        answer = outbound.request("POST", settings.HEAD_URL, headers={"Content-Type": "application/json"}, content=content)
        if not 200 <= answer.status < 300:
            raise outbound.FAILED(host=settings.HEAD_URL, reason=f"HTTP {answer.status}")
        note(Act(machine, fact.realm, op_id=derived_id("journal.export", fact.id, "url"), cause=fact.id), number=number, where=settings.HEAD_URL)
