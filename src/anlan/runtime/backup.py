"""`anlan backup FILE`, `anlan restore FILE`: database, streams and files in one archive; keys apart and encrypted.

Order matters. The streams are taken before the database: what the database holds later than the stream is complete, and
what the stream still holds is delivered again and recognised as known. The other way round, readings acknowledged between
the two would be in neither.

    FILE       tar: manifest.json, database.dump, streams/<name>.json + .snapshot, files/…
    FILE.keys  JSON: scrypt parameters, AES-256-GCM nonce and ciphertext of the keys folder
"""
from __future__ import annotations

import argparse
import asyncio
import base64
import getpass
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from . import commands, errors, folder, postgres, settings
from .nats import Nats
from .speak import gettext as _
from .speak import say

FORMAT = 1
LEAST_PASSPHRASE = 12
SCRYPT = {"n": 2**17, "r": 8, "p": 1}  # 128 MB and about half a second for each guess
CHUNK = 128 * 1024
OWN_STREAMS = "$"  # the broker's own streams (MQTT sessions) are made anew
STREAM_SECONDS = 600.0


# --- keys ------------------------------------------------------------------------------------------------------------


def passphrase(confirm: bool) -> str:
    """From ANLAN_BACKUP_PASSPHRASE, else asked for at the terminal."""
    words = settings.env("ANLAN_BACKUP_PASSPHRASE")
    if not words and sys.stdin.isatty():
        words = getpass.getpass(_("Passphrase of the keys: "))
        if confirm and words != getpass.getpass(_("Once more: ")):
            words = ""
    if len(words) < LEAST_PASSPHRASE:
        raise errors.PASSPHRASE_NEEDED(least=LEAST_PASSPHRASE)
    return words


def _derive(words: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=n, r=r, p=p).derive(words.encode())


def lock_keys(keys: Path, words: str) -> bytes:
    """The files of the keys folder, encrypted."""
    content = json.dumps({path.name: base64.b64encode(path.read_bytes()).decode() for path in sorted(keys.iterdir()) if path.is_file()})
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    sealed = AESGCM(_derive(words, salt, **SCRYPT)).encrypt(nonce, content.encode(), b"anlan-keys-1")
    return json.dumps(
        {
            "format": 1, "kdf": "scrypt", **SCRYPT, "salt": base64.b64encode(salt).decode(), "cipher": "AES-256-GCM",
            "nonce": base64.b64encode(nonce).decode(), "ciphertext": base64.b64encode(sealed).decode(),
        }
    ).encode()  # fmt: skip


def unlock_keys(file: Path, words: str) -> dict[str, bytes]:
    """The files in an encrypted keys file, by name."""
    try:
        box = json.loads(file.read_text())
        n, r, p = int(box["n"]), int(box["r"]), int(box["p"])
        if box["kdf"] != "scrypt" or box["cipher"] != "AES-256-GCM" or n > 2**20 or r > 32 or p > 16:
            raise ValueError("unknown algorithm")
        key = _derive(words, base64.b64decode(box["salt"]), n, r, p)
        content = AESGCM(key).decrypt(base64.b64decode(box["nonce"]), base64.b64decode(box["ciphertext"]), b"anlan-keys-1")
    except InvalidTag as problem:
        raise errors.BAD_PASSPHRASE(file=file) from problem
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise errors.BAD_BACKUP(file=file, why=f"{type(problem).__name__}: {problem}") from problem
    found = {name: base64.b64decode(data) for name, data in json.loads(content).items()}
    if any(Path(name).name != name for name in found):
        raise errors.BAD_BACKUP(file=file, why="a name leads out of the folder")
    return found


# --- database --------------------------------------------------------------------------------------------------------


def _client(url: str, tool: str, *arguments: str) -> None:
    """Run pg_dump or pg_restore; the password goes by the environment, where `ps` does not show it."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    env = {**os.environ, "PGPASSWORD": str(parts.get("password") or ""), "PGCONNECT_TIMEOUT": "10"}
    where = [f"--host={parts.get('host', '')}", f"--username={parts.get('user', '')}", f"--dbname={parts.get('dbname', '')}"]
    if parts.get("port"):
        where.append(f"--port={parts['port']}")
    done = subprocess.run([postgres.programs() / tool, *where, "--no-password", *arguments], capture_output=True, env=env)
    if done.returncode:
        raise errors.TOOL_FAILED(tool=tool, why=done.stderr.decode(errors="replace").strip()[-800:])


# --- streams ---------------------------------------------------------------------------------------------------------


async def _snapshot(nc: Any, stream: str, file: Path) -> dict[str, Any]:
    """Save one stream with its consumers; returns its configuration and state."""
    inbox = nc.new_inbox()
    chunks = await nc.subscribe(inbox)
    request = {"deliver_subject": inbox, "no_consumers": False, "chunk_size": CHUNK, "jsck": True}
    answer = json.loads((await nc.request(f"$JS.API.STREAM.SNAPSHOT.{stream}", json.dumps(request).encode(), timeout=60)).data)
    if "error" in answer:
        raise errors.TOOL_FAILED(tool="nats snapshot", why=f"{stream}: {answer['error'].get('description')}")
    with open(file, "wb") as out:
        while True:
            message = await chunks.next_msg(timeout=60)
            if not message.data:
                status = (message.headers or {}).get("Status", "")
                if status and status != "204":
                    raise errors.TOOL_FAILED(tool="nats snapshot", why=f"{stream}: {status} {(message.headers or {}).get('Description', '')}")
                break
            out.write(message.data)
            if message.reply:
                await message.respond(b"")  # flow control: the broker waits for this
    await chunks.unsubscribe()
    return {"config": answer["config"], "state": answer["state"]}


async def save_streams(url: str, to: Path) -> dict[str, Any]:
    """Snapshot every stream of the installation into a folder."""
    import nats
    from nats.js.api import StorageType

    from anlan.kernel import brokers

    nc = await nats.connect(**brokers.options(url), name="anlan-backup")
    try:
        found = {}
        for info in await nc.jetstream().streams_info():
            name = info.config.name or ""
            if not name.startswith(OWN_STREAMS) and info.config.storage != StorageType.MEMORY:  # what lies in memory is of the moment
                found[name] = await _snapshot(nc, name, to / f"{name}.snapshot")
        return found
    finally:
        await nc.close()


async def load_streams(url: str, source: Path, streams: dict[str, Any]) -> None:
    """Make every saved stream again, with messages, sequence numbers and consumers."""
    import nats

    from anlan.kernel import brokers

    nc = await nats.connect(**brokers.options(url), name="anlan-restore")
    try:
        for name, saved in streams.items():
            request = json.dumps({"config": saved["config"], "state": saved["state"]}).encode()
            answer = json.loads((await nc.request(f"$JS.API.STREAM.RESTORE.{name}", request, timeout=60)).data)
            if "error" in answer:
                raise errors.TOOL_FAILED(tool="nats restore", why=f"{name}: {answer['error'].get('description')}")
            target = answer["deliver_subject"]
            with open(source / f"{name}.snapshot", "rb") as file:
                while chunk := file.read(CHUNK):
                    reply = await nc.request(target, chunk, timeout=60)
                    if b"error" in reply.data:
                        raise errors.TOOL_FAILED(tool="nats restore", why=f"{name}: {reply.data.decode(errors='replace')[:300]}")
            last = json.loads((await nc.request(target, b"", timeout=STREAM_SECONDS)).data)
            if "error" in last:
                raise errors.TOOL_FAILED(tool="nats restore", why=f"{name}: {last['error'].get('description')}")
    finally:
        await nc.close()


# --- the archive -----------------------------------------------------------------------------------------------------


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def backup(args: argparse.Namespace) -> int:
    """Write the archive and, beside it, the encrypted keys. Both appear whole or not at all."""
    target = Path(args.file).resolve()
    words = None if args.no_keys else passphrase(confirm=True)
    addresses = args.services.addresses
    admin = settings.env("DATABASE_ADMIN_URL") or settings.env("DATABASE_URL") or addresses["database_admin"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".anlan-backup-") as place:
        staging = Path(place)
        (staging / "streams").mkdir()
        streams = asyncio.run(save_streams(settings.env("NATS_URL") or addresses["nats"], staging / "streams"))
        _client(admin, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={staging / 'database.dump'}")
        members: dict[str, Path] = {"database.dump": staging / "database.dump"}
        members |= {f"streams/{name}.snapshot": staging / "streams" / f"{name}.snapshot" for name in streams}
        attachments = settings.HOME / "files"
        if attachments.exists():
            members |= {f"files/{path.relative_to(attachments)}": path for path in sorted(attachments.rglob("*")) if path.is_file()}
        with psycopg.connect(admin) as connection:
            server = connection.info.server_version // 10000
        sizes: dict[str, Any] = {name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for name, path in members.items()}
        manifest = {
            "format": FORMAT, "anlan": package_version("anlan"), "made": datetime.now(UTC).isoformat(), "postgresql": server,
            "streams": streams, "members": sizes,
        }  # fmt: skip
        (staging / "manifest.json").write_text(json.dumps(manifest, indent=1))
        archive = staging / "archive.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(staging / "manifest.json", "manifest.json")
            for name, path in members.items():
                tar.add(path, name, recursive=False)
        if words is not None:
            folder.write_private(target.with_name(target.name + ".keys"), lock_keys(settings.HOME / "keys", words))
        archive.chmod(0o600)
        with open(archive, "rb") as file:
            os.fsync(file.fileno())
        os.replace(archive, target)
    size = sum(member["bytes"] for member in sizes.values())
    if args.json:
        say(json.dumps({"file": str(target), "keys": None if words is None else f"{target}.keys", "bytes": size, "streams": len(streams)}))
        return 0
    say(_("Backup written: {file} ({size} MB).").format(file=target, size=f"{size / 1e6:.1f}"))
    if words is not None:
        say(_("Keys, encrypted: {file}.keys. Keep it, and its passphrase, in another place than the backup.").format(file=target))
    return 0


def _unpack(source: Path, to: Path) -> dict[str, Any]:
    """The manifest of an archive unpacked into `to`, every member checked against its digest."""
    try:
        with tarfile.open(source) as tar:
            tar.extractall(to, filter="data")
        manifest = json.loads((to / "manifest.json").read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']}, this version reads {FORMAT}")
        for name, member in manifest["members"].items():
            if _sha256(to / name) != member["sha256"]:
                raise ValueError(f"{name} was changed or damaged")
    except (OSError, ValueError, KeyError, tarfile.TarError) as problem:
        raise errors.BAD_BACKUP(file=source, why=str(problem)) from problem
    return manifest


def _must_be_empty(home: Path) -> None:
    for name in ("postgres", "nats", "files"):
        if (home / name).exists() and any((home / name).iterdir()):
            raise errors.NOT_EMPTY(folder=home)


def restore(args: argparse.Namespace) -> int:
    """Restore into an empty folder, hold all outward channels, verify the chain. Nothing is left behind on failure."""
    source = Path(args.file).resolve()
    home = settings.HOME
    external = settings.env("DATABASE_ADMIN_URL") or settings.env("DATABASE_URL")
    _must_be_empty(home)
    keys_file = source.with_name(source.name + ".keys")
    keys = {} if args.without_keys else unlock_keys(Path(args.keys or keys_file), passphrase(confirm=False))
    folder.private(home)
    lock = folder.Lock(home / "run" / "supervisor.lock")
    lock.acquire_or_refuse(home)
    database = None if external else postgres.Postgres(home)
    broker = None if settings.env("NATS_URL") else Nats(home)
    done = False
    try:
        with tempfile.TemporaryDirectory(dir=home, prefix=".restore-") as place:
            staging = Path(place)
            manifest = _unpack(source, staging)
            if manifest["postgresql"] > postgres.MAJOR:
                raise errors.BAD_BACKUP(file=source, why=f"made by PostgreSQL {manifest['postgresql']}, this Anlan brings {postgres.MAJOR}")
            for name, content in keys.items():
                folder.write_private(home / "keys" / name, content)
            if database:
                database.start()
            admin = external or database.url(postgres.OWNER)  # type: ignore[union-attr]
            _must_have_no_tables(admin, home)
            _client(admin, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(staging / "database.dump"))
            settings.ADDRESSES = {"database": settings.env("DATABASE_URL") or database.url(), "database_admin": admin}  # type: ignore[union-attr]
            commands.migrate(args, verbosity=0)
            _hold_and_forget_positions()
            if broker:
                broker.start()
            nats_url = settings.env("NATS_URL") or broker.url()  # type: ignore[union-attr]
            asyncio.run(load_streams(nats_url, staging / "streams", manifest["streams"]))
            if (staging / "files").exists():
                shutil.copytree(staging / "files", home / "files", dirs_exist_ok=True)
        verdict = _verify()
        done = True
    finally:
        from django.db import connection

        connection.close()
        for service in (broker, database):
            if service:
                service.stop()
        if not done and not external:
            for name in ("postgres", "postgres.new", "nats", "files"):
                shutil.rmtree(home / name, ignore_errors=True)
        lock.release()
    if args.json:
        say(json.dumps({"restored": str(source), "sealed": verdict.sealed, "verified": verdict.ok, "outward_held": True}))
        return 0
    say(_("Restored into {home}; {count} facts, the chain verifies.").format(home=home, count=f"{verdict.sealed:,}"))
    say(_("All outward channels are held. When you are sure no other copy is running, release them: anlan release-channels"))
    return 0


def _must_have_no_tables(admin: str, home: Path) -> None:
    with psycopg.connect(admin) as connection:
        if connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1").fetchone():
            raise errors.NOT_EMPTY(folder=home)


def _hold_and_forget_positions() -> None:
    """Hold the outward channels, as the original may still be sending; let every message still in a stream come again.

    The database of a backup is younger than its streams: its positions may lie beyond the stream's end, and readings
    that come later would carry numbers it believes to have seen. Without positions all of the stream is delivered
    again, and what is known already is recognised by station, quantity and time.
    """
    from django.apps import apps

    from anlan.kernel import realms
    from anlan.kernel.actions import Act, Actor
    from anlan.kernel.installation import hold_channels

    hold_channels(Act(Actor.machine("restore"), realms.actual()), why="restored from a backup")
    apps.get_model("sensing", "StreamPosition").objects.all().delete()


def _verify() -> Any:
    from anlan.kernel import journal

    verdict = journal.verify()
    if not verdict.ok:
        number, why = verdict.broken[0]
        raise errors.CHAIN_BROKEN(number=number, why=why)
    return verdict


def release(args: argparse.Namespace) -> int:
    """A named person with the power to administer lets the outward channels send again."""
    from anlan.kernel import realms, sign_in
    from anlan.kernel.actions import Act, Actor
    from anlan.kernel.installation import release_channels

    account = sign_in.verify(args.account, getpass.getpass(_("Password: ")), "terminal")
    sign_in.check_code(account, input(_("Code of the authenticator: ")), "terminal")
    release_channels(Act(Actor.of(account, second_factor=True, device="terminal"), realms.actual()), why=args.why)
    say(_("The outward channels are released."))
    return 0


def register(sub: Any) -> None:
    parser = sub.add_parser("backup", help=_("write database, streams and files to a file; keys apart, encrypted"))
    parser.add_argument("file", metavar=_("FILE"))
    parser.add_argument("--no-keys", action="store_true", help=_("leave the keys out"))
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=backup, services="data")

    parser = sub.add_parser("restore", help=_("restore a backup into an empty ANLAN_HOME; holds all outward channels"))
    parser.add_argument("file", metavar=_("FILE"))
    parser.add_argument("--keys", help=_("file with the encrypted keys; default: FILE.keys"))
    parser.add_argument("--without-keys", action="store_true", help=_("make new keys; earlier heads of the journal then cannot be checked"))
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(func=restore, services=None)

    parser = sub.add_parser("release-channels", help=_("after a restore: let the outward channels send again"))
    parser.add_argument("--account", required=True, help=_("account with the power to administer"))
    parser.add_argument("--why", required=True, help=_("reason, for the journal"))
    parser.set_defaults(func=release, services="data")
