"""A drop folder: one text file (and the CAP message beside it) per alert, for loudspeaker systems and other neighbours.

settings: {"folder": "broadcast"} → ANLAN_HOME/outbox/broadcast. Written beside and renamed: a reader never sees half a file.
"""
from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings as django_settings
from django.utils.translation import gettext_lazy as _

from anlan.kernel import clock

from ... import texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target

FOLDER = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")


def folder_of(channel: Channel) -> Path:
    folder = django_settings.HOME / "outbox" / channel.settings["folder"]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(path: Path, content: bytes) -> None:
    """Written beside and renamed: a reader never sees half a file."""
    part = path.with_suffix(path.suffix + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def writable(channel: Channel) -> Outcome:
    """Whether something can be laid there now: a share that is gone or a full disk says so before a warning does."""
    probe = folder_of(channel) / ".alive"
    write(probe, b"")
    probe.unlink()
    return Outcome(True)


class TextFile(Adapter):
    code = "text_file"
    name = _("Text file in a drop folder")

    def problem(self, settings: dict[str, Any]) -> str:
        return "" if FOLDER.match(str(settings.get("folder", ""))) else "folder is a plain name: small letters, digits, - and _"

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        yield Target(f"outbox/{channel.settings['folder']}", channel.settings["folder"])

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        stem = f"{clock.local(alert.sent or clock.now(alert.realm)):%Y%m%d%H%M%S}_{attempt.pk}"
        folder = folder_of(channel)
        if alert.cap_xml:
            write(folder / f"{stem}.cap", bytes(alert.cap_xml))
        write(folder / f"{stem}.txt", (texts.plain(alert) + "\n").encode())
        return Outcome(True, delivered=True, reference=f"{stem}.txt")

    def alive(self, channel: Channel) -> Outcome:
        return writable(channel)

    def test(self, channel: Channel) -> Outcome:
        write(folder_of(channel) / "channel-test.txt", (texts.TEST_SENTENCE + "\n").encode())
        return Outcome(True, delivered=True)


ADAPTER = TextFile()
