"""How to reach the broker of an address such as `tls://user:pass%40word@a.example,b.example:4222`.

The client library takes user name and password as they stand in the address, percent signs and all; here they are read
as in any other address. Several hosts with commas are the members of one cluster.
"""
from __future__ import annotations

import ssl
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings

PORT = 4222


def where(url: str) -> list[tuple[str, int]]:
    """(host, port) of each member; empty when the address names none."""
    scheme, _sep, rest = url.partition("://")
    hosts = rest.rpartition("@")[2].partition("/")[0].partition("?")[0]
    members = [urlsplit(f"{scheme}://{one.strip()}") for one in hosts.split(",") if one.strip()]
    return [(member.hostname or "", member.port or PORT) for member in members]


def options(url: str) -> dict[str, Any]:
    """Arguments for `nats.connect`: servers, user, password and, for tls://, whom to trust (ANLAN_NATS_CA, else the system)."""
    scheme, _sep, rest = url.partition("://")
    user, _sep, password = rest.rpartition("@")[0].partition(":")
    found: dict[str, Any] = {"servers": [f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}" for host, port in where(url)]}
    if user:
        found |= {"user": unquote(user), "password": unquote(password)}
    if scheme == "tls":
        found["tls"] = ssl.create_default_context(cafile=settings.NATS_CA or None)
    return found
