"""Credentials of sources: made, checked at the HTTP door, and handed to the broker."""
from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time

import bcrypt
import orjson
from django.conf import settings

from .models import Source, Station

_known: dict[tuple[str, str], tuple[str, float]] = {}
_lock = threading.Lock()
REMEMBER_S = 300  # a good password is not hashed again for so long: bcrypt is slow on purpose


def new_password() -> tuple[str, str]:
    """(password to tell the operator once, its bcrypt hash to store)."""
    word = secrets.token_urlsafe(18)
    return word, bcrypt.hashpw(word.encode(), bcrypt.gensalt(10)).decode()


def check(name: str, password: str) -> Source | None:
    """The active source of this name and password that may use the HTTP door, or None. Takes as long for a wrong name."""
    source = Source.objects.filter(name=name[:64]).first()
    stored = source.password_bcrypt if source and source.password_bcrypt else _DUMMY
    # Never the password itself as a key; with the stored hash, so that a new password ends the old one at once.
    key = (stored, hashlib.sha256(password.encode()).hexdigest())
    with _lock:
        hit = _known.get(key)
        good = hit is not None and hit[1] > time.monotonic()
    if not good:
        try:
            good = bcrypt.checkpw(password.encode()[:72], stored.encode())
        except ValueError:
            good = False
        if good:
            with _lock:
                if len(_known) > 10_000:
                    _known.clear()
                _known[key] = (name, time.monotonic() + REMEMBER_S)
    if not good or source is None or not source.password_bcrypt or not source.active:
        return None
    return source if source.kind in (Source.HTTP, Source.GATEWAY) else None


_DUMMY = bcrypt.hashpw(secrets.token_bytes(16).hex().encode(), bcrypt.gensalt(10)).decode()


def broker_users() -> dict[str, dict[str, object]]:
    """name -> {password_bcrypt, publish, subscribe}: each may publish its own stations' topics, hear what it may read, and nothing else."""
    users: dict[str, dict[str, object]] = {}
    bound: dict[object, list[str]] = {}
    for code, source, quantities in Station.objects.filter(active=True, source__isnull=False).order_by("code").values_list("code", "source_id", "quantities"):
        bound.setdefault(source, []).extend([f"anlan.v1.*.{code}.*", *(f"anlan.v1.sta.Datastreams({mark}{code}:{quantity}{mark})" for quantity in quantities for mark in ("'", ""))])
    for source in Source.objects.filter(active=True, kind__in=[Source.MQTT, Source.GATEWAY]).exclude(password_bcrypt=""):
        users[source.name] = {
            "password_bcrypt": source.password_bcrypt,
            "publish": bound.get(source.pk, []),
            # Stored observations of every station, under SensorThings' topics.
            **({"subscribe": ["v1//1.*.Observations"]} if source.reads else {}),
        }
    return users


def write_broker_users() -> bool:
    """Write ANLAN_HOME/keys/sources.json (0600) for the embedded broker when it changed; the supervisor takes it in."""
    path = settings.HOME / "keys" / "sources.json"
    text = orjson.dumps(broker_users(), option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    try:
        if path.read_bytes() == text:
            return False
    except OSError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
    return True
