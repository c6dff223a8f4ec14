"""Channel secrets: outside the database, one file each in ANLAN_HOME/keys/channels, mode 0600."""
from __future__ import annotations

import os
import re
from pathlib import Path

from django.conf import settings

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}\Z")


def _path(name: str) -> Path:
    if not NAME.match(name):
        raise ValueError(f"not a name of a secret: {name[:40]!r}")
    return settings.HOME / "keys" / "channels" / name


def read(name: str) -> str:
    """The secret; '' when none was kept under that name."""
    try:
        return _path(name).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""


def keep(name: str, value: str) -> None:
    """Write it, readable by this process's user alone."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(value.strip())
    os.replace(fresh, path)
