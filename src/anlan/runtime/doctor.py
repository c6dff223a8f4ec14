"""`anlan doctor`: each part's state, version, address and size; the journal's head; what the broker refused."""
from __future__ import annotations

import argparse
import json
import platform
import shutil
import ssl
import time
import urllib.request
from importlib.metadata import version as package_version
from typing import Any
from urllib.parse import urlsplit

import psycopg

from . import cli, folder, nats, postgres, serve, settings
from .speak import gettext as _
from .speak import say

VERIFY_AT_ONCE = 200_000  # seals; a longer journal is verified with --full (about 10 s per 100,000)


def masked(url: str) -> str:
    """An address without its password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return url.replace(f":{parts.password}@", ":***@", 1)


def _part(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, **more}


def _database(addresses: dict[str, Any]) -> dict[str, Any]:
    url = settings.env("DATABASE_URL") or addresses.get("database", "")
    size = folder.size(settings.HOME / "postgres")
    if not url:
        return _part("postgres", "stopped", version=postgres.version(), address="", bytes=size)
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            found = connection.info.server_version
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            assert row is not None
            sync = connection.execute("SHOW fsync").fetchone()
    except psycopg.Error as problem:
        return _part("postgres", "down", version="", address=masked(url), bytes=size, why=str(problem).strip().splitlines()[-1])
    return _part(
        "postgres", "up", version=f"{found // 10000}.{found % 10000}", address=masked(url), bytes=row[0],
        embedded=not settings.env("DATABASE_URL"), fsync=bool(sync and sync[0] == "on"),
    )  # fmt: skip


def _broker(addresses: dict[str, Any]) -> dict[str, Any]:
    url = settings.env("NATS_URL") or addresses.get("nats", "")
    size = folder.size(settings.HOME / "nats" / "js")
    refused = nats.refused_publishes(settings.HOME)
    if not url:
        return _part("nats", "stopped", version=nats.version(), address="", bytes=size, refused=refused)
    from anlan.kernel import brokers

    greeting, why = {}, ""
    for host, port in brokers.where(url):
        try:
            greeting = nats.greeting(host, port)
            break
        except OSError as problem:
            why = str(problem)
    if not greeting:
        return _part("nats", "down", version="", address=masked(url), bytes=size, refused=refused, why=why)
    found = _part("nats", "up", version=greeting.get("version", ""), address=masked(url), mqtt=addresses.get("mqtt", ""), bytes=size, refused=refused)
    if monitor := addresses.get("nats_monitor"):
        try:
            with urllib.request.urlopen(f"{monitor}/jsz", timeout=3) as answer:
                streams = json.load(answer)
            found |= {"streams": streams.get("streams", 0), "messages": streams.get("messages", 0), "bytes": streams.get("storage", size)}
        except (OSError, ValueError):
            pass
    return found


def _web(addresses: dict[str, Any]) -> dict[str, Any]:
    url = addresses.get("web", "")
    if not url:
        return _part("web", "stopped", version=package_version("anlan"), address="")
    context = ssl._create_unverified_context() if url.startswith("https") else None  # our own address, only asked whether it answers
    try:
        request = urllib.request.Request(f"{url}/healthz", headers={"Host": "localhost"})
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            state = "up" if answer.status == 200 else "down"
    except OSError as problem:
        return _part("web", "down", version=package_version("anlan"), address=url, why=str(problem))
    return _part("web", state, version=package_version("anlan"), address=url)


def _worker(name: str, addresses: dict[str, Any]) -> dict[str, Any]:
    beat = settings.HOME / "run" / f"{name}.beat"
    pid = addresses.get("pids", {}).get(name)
    try:
        age = time.time() - beat.stat().st_mtime
    except OSError:
        age = None
    if not pid and (age is None or age > 15):
        return _part(name, "stopped", version=package_version("anlan"), address="")
    state = "up" if age is not None and age < 15 else "silent"
    return _part(name, state, version=package_version("anlan"), address=f"pid {pid}" if pid else "", seconds_since_beat=None if age is None else round(age, 1))


def _journal(full: bool) -> dict[str, Any]:
    """The chain recomputed, and whether outward channels are held."""
    from django.db import connection

    from anlan.kernel import journal
    from anlan.kernel.models import Installation

    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM kernel_seal")
        (head,) = cursor.fetchone() or (0,)
    held = Installation.objects.filter(here=True, outward_held=True).exists()
    if head > VERIFY_AT_ONCE and not full:
        return _part("journal", "up", address="", version="", sealed=head, verified=None, outward_held=held)
    verdict = journal.verify()
    return _part(
        "journal", "up" if verdict.ok else "broken", version="", address="", sealed=verdict.sealed, unsealed=verdict.unsealed,
        erased=verdict.erased, head=verdict.head, verified=verdict.ok, broken=verdict.broken[:10], outward_held=held,
    )  # fmt: skip


def look(full: bool = False) -> dict[str, Any]:
    """Everything `anlan doctor --json` prints."""
    addresses = serve.running_addresses(settings.HOME)
    database = _database(addresses)
    parts = [database, _broker(addresses), _web(addresses), _worker("work", addresses), _worker("sense", addresses)]
    if database["state"] == "up":
        cli.use(addresses)
        try:
            parts.append(_journal(full))
        except Exception as problem:
            parts.append(_part("journal", "down", version="", address="", why=f"{type(problem).__name__}: {problem}".strip()))
    for part in parts:
        if part["name"] in addresses.get("restarts", {}):
            part["restarts"] = addresses["restarts"][part["name"]]
    free = shutil.disk_usage(settings.HOME if settings.HOME.exists() else "/").free
    return {
        "anlan": package_version("anlan"),
        "python": platform.python_version(),
        "home": str(settings.HOME),
        "bytes": folder.size(settings.HOME),
        "bytes_free": free,
        "running": bool(addresses),
        "demonstration": (settings.HOME / "demo.json").exists(),
        "parts": parts,
        "ok": all(part["state"] == "up" for part in parts),
    }


def _mb(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:,.1f} MB"


def command(args: argparse.Namespace) -> int:
    found = look(args.full)
    if args.json:
        say(json.dumps(found, ensure_ascii=False, default=str))
        return 0 if found["ok"] else 1
    say(
        _("Anlan {version}, Python {python}, data in {home} ({size}, {free} free)").format(
            version=found["anlan"], python=found["python"], home=found["home"], size=_mb(found["bytes"]), free=_mb(found["bytes_free"])
        )
    )
    states = {"up": _("up"), "down": _("DOWN"), "stopped": _("stopped"), "silent": _("SILENT"), "broken": _("BROKEN")}
    for part in found["parts"]:
        say(f"  {part['name']:<9} {states[part['state']]:<8} {part['version']:<8} {_mb(part.get('bytes')):>12}  {part['address']}")
        if part.get("why"):
            say(f"            {part['why']}")
        if part.get("mqtt"):
            say(f"            {part['mqtt']}")
        if part.get("restarts"):
            say("            " + _("started again {count} times").format(count=part["restarts"]))
        if part["name"] == "nats" and part.get("refused"):
            total = sum(part["refused"].values())
            say("            " + _("{count} publishes refused: {who}").format(count=total, who=", ".join(f"{who} {n}" for who, n in part["refused"].items())))
        if part["name"] == "journal" and "sealed" in part:
            verified = {True: _("chain verifies"), False: _("CHAIN IS BROKEN"), None: _("not verified now; use --full")}[part["verified"]]
            say("            " + _("{count} facts sealed, {verified}").format(count=f"{part['sealed']:,}", verified=verified))
            if part["outward_held"]:
                say("            " + _("outward channels are HELD since a restore; release them with `anlan release-channels`"))
    if found["demonstration"]:
        say("  " + _("This folder holds demonstration accounts and stays on this machine."))
    return 0 if found["ok"] else 1


def register(sub: Any) -> None:
    parser = sub.add_parser("doctor", help=_("each part's state, version, address, size; verifies the journal"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--full", action="store_true", help=_("verify the whole journal, however long"))
    parser.set_defaults(func=command, services=None)
