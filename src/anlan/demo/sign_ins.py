"""Demonstration sign-ins: random passwords and authenticator secrets, kept in ANLAN_HOME/demo.json (0600).

The file marks the folder: with it the server refuses any address but loopback and every outward channel.
"""
from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import pyotp

from .town_hall import ROLES

# Without the letters and digits people mistake for one another.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def read(home: Path) -> dict[str, Any]:
    """The folder's sign-ins, or {} when it has none."""
    try:
        return json.loads((home / "demo.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def make(home: Path, seed: int) -> dict[str, Any]:
    """Make passwords and secrets for the roles and write them down, before anything can use them."""
    accounts = {
        role: {"name": role, "password": "-".join("".join(secrets.choice(LETTERS) for _ in range(4)) for _ in range(4)), "totp": pyotp.random_base32()}
        for role in ROLES
    }
    found = {"seed": seed, "accounts": accounts}
    path = home / "demo.json"
    fd = os.open(path.with_suffix(".new"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path.with_suffix(".new"), path)
    return found
