"""`anlan serve`: starts every part that was not given an address, brings back what dies, stops cleanly.

Order: database and broker, then the migration, then workers and web. All children are started by the main thread and die
with it (PR_SET_PDEATHSIG), so even SIGKILL of the supervisor leaves no orphan. The web server's socket is opened here and
handed down: while the web process is being restarted, browsers wait in the queue instead of being refused.
"""
from __future__ import annotations

import json
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from . import errors, folder, process, settings
from .nats import Nats
from .postgres import OWNER, Postgres
from .speak import gettext as _
from .speak import say, warn

LEVELS = {
    "data": ("postgres", "nats"),
    "workers": ("postgres", "nats", "work", "sense"),
    "all": ("postgres", "nats", "work", "sense", "web"),
}
FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0  # seconds before a dead part is started again, doubling
CALM_SECONDS = 30.0  # a part that lived this long starts again without delay
STOP_SECONDS = 4.0  # what a worker or the web server may take to end its current piece of work
READY_SECONDS = 180.0  # a first start on a busy two-core machine has taken 90
PACKAGE = Path(__file__).resolve().parent.parent


class _Busy(Exception):
    """Another supervisor took the folder between looking and starting."""


class Stop(BaseException):
    """SIGTERM or SIGINT came while still starting."""


class Part:
    """One child process and how it is brought back."""

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]], stop_signal: int = signal.SIGTERM) -> None:
        self.name, self.start, self.stop_signal = name, start, stop_signal
        self.child: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.delay = 0.0
        self.again_at: float | None = None
        self.restarts = 0

    def up(self) -> None:
        self.child = self.start()
        self.started = time.monotonic()
        self.again_at = None

    def look(self, now: float) -> bool:
        """Notice a death, start again when its delay is over. True when something changed."""
        if self.child is not None and self.child.poll() is not None:
            status, self.child = self.child.returncode, None
            if now - self.started > CALM_SECONDS:
                self.delay = 0.0
            self.again_at = now + self.delay
            self.restarts += 1
            warn(_("{part} ended ({status}); starting it again in {seconds} s").format(part=self.name, status=status, seconds=f"{self.delay:.1f}"))
            self.delay = min(max(self.delay * 2, FIRST_DELAY), LONGEST_DELAY)
            return True
        if self.child is None and self.again_at is not None and now >= self.again_at:
            self.up()
            return True
        return False


def check_exposure(home: Path, host: str, certificate: str, key: str) -> None:
    """Refuse to listen where others can reach us without TLS, or with demonstration accounts (design §8)."""
    if settings.is_loopback(host):
        return
    if (home / "demo.json").exists():
        raise errors.DEMO_ONLY_LOCAL(folder=home)
    if not (certificate and key and Path(certificate).is_file() and Path(key).is_file()):
        raise errors.TLS_NEEDED(host=host)


def listen(host: str, port: int) -> socket.socket:
    """The web server's socket. Raises OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
    except OSError:
        sock.close()
        raise
    return sock


class Supervisor:
    def __init__(self, home: Path, level: str = "all", *, announce: bool = True, ready: IO[str] | None = None) -> None:
        self.home, self.level, self.announce, self.ready = home, level, announce, ready
        self.host = settings.env("ANLAN_HOST")
        self.certificate, self.key = settings.env("ANLAN_TLS_CERT"), settings.env("ANLAN_TLS_KEY")
        self.lock = folder.Lock(home / "run" / "supervisor.lock")
        self.parts: dict[str, Part] = {}
        self.postgres: Postgres | None = None
        self.nats: Nats | None = None
        self.web: socket.socket | None = None
        self.stopping = False
        self.starting = True
        self._reload = False

    # --- signals ---------------------------------------------------------------------------------------------------
    def _on_stop(self, _signal: int, _frame: Any) -> None:
        self.stopping = True
        if self.starting:
            raise Stop

    def _on_hangup(self, _signal: int, _frame: Any) -> None:
        self._reload = True

    # --- life ------------------------------------------------------------------------------------------------------
    def run(self) -> int:
        """Blocks until SIGTERM or SIGINT; returns the exit status."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_hangup)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to wake the loop at once
        waker, wake_end = socket.socketpair()
        waker.setblocking(False)
        wake_end.setblocking(False)
        signal.set_wakeup_fd(wake_end.fileno(), warn_on_full_buffer=False)
        try:
            self._start()
            self.starting = False
            while not self.stopping:
                self._turn()
                select.select([waker], [], [], self._next_look())
                try:
                    while waker.recv(512):
                        pass
                except BlockingIOError:
                    pass
        except Stop:
            pass
        finally:
            self.starting, self.stopping = False, True
            self._stop()
            signal.set_wakeup_fd(-1)
        return 0

    def _start(self) -> None:
        check_exposure(self.home, self.host, self.certificate, self.key)
        folder.private(self.home)
        self.lock.acquire_or_refuse(self.home)
        for beat in ("work", "sense"):
            (self.home / "run" / f"{beat}.beat").unlink(missing_ok=True)
        wanted = LEVELS[self.level]
        if not settings.env("DATABASE_URL"):
            self.postgres = Postgres(self.home)
            self.postgres.start()
            self.parts["postgres"] = part = Part("postgres", self.postgres.spawn, signal.SIGINT)
            part.child, part.started = self.postgres.child, time.monotonic()
        if not settings.env("NATS_URL"):
            certificate, key = (Path(self.certificate), Path(self.key)) if self.certificate and self.key else (None, None)
            self.nats = Nats(self.home, mqtt_host=self.host, certificate=certificate, key=key)
            self.nats.start()
            self.parts["nats"] = part = Part("nats", self.nats.spawn)
            part.child, part.started = self.nats.child, time.monotonic()
            self._say_port("MQTT", int(settings.env("ANLAN_MQTT_PORT")), self.nats.ports["mqtt"])
        if "web" in wanted:
            self.web = self._listen()
        self._write_addresses()
        self._migrate()
        for name in ("work", "sense", "web"):
            if name in wanted:
                part = Part(name, self._python_child(name))
                part.up()
                self.parts[name] = part
        self._write_addresses()
        if "web" in wanted:
            self._wait_ready()
        elif "work" in wanted:
            self._wait_beats()
        if self.announce:
            if self.web is not None:
                say(_("Anlan is ready: {address}").format(address=self.web_url()))
            else:
                say(_("The services are ready."))
        if self.ready is not None:
            self.ready.write("ready\n")
            self.ready.close()
            self.ready = None

    def _listen(self) -> socket.socket:
        ports = folder.Ports(self.home / "run" / "ports.json")
        wanted = int(settings.env("ANLAN_PORT"))
        for attempt in range(20):
            port = ports.choose("web", self.host, wanted if attempt == 0 else 0)
            try:
                sock = listen(self.host, port)
            except OSError:  # taken between looking and binding
                ports.known.pop("web", None)
                continue
            self._say_port(_("Web server"), wanted, port)
            return sock
        raise errors.UNREACHABLE(part="web", address=self.host, why="no port")

    def _say_port(self, what: str, wanted: int, got: int) -> None:
        if wanted and wanted != got and self.announce:
            say(_("{what}: port {wanted} is in use, {got} is taken instead").format(what=what, wanted=wanted, got=got))

    def web_url(self) -> str:
        assert self.web is not None
        port = self.web.getsockname()[1]
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)
        if ":" in host:
            host = f"[{host}]"
        return f"{'https' if self.certificate and self.key else 'http'}://{host}:{port}"

    def _python_child(self, name: str) -> Callable[[], subprocess.Popen[bytes]]:
        def start() -> subprocess.Popen[bytes]:
            argv: list[str] = [sys.executable, "-m", "anlan.runtime.cli", name]
            fds: tuple[int, ...] = ()
            if name == "web":
                assert self.web is not None
                argv += ["--fd", str(self.web.fileno())]
                fds = (self.web.fileno(),)
            log = folder.open_log(self.home, name)
            try:
                return process.spawn(argv, log=log, env=self._env(), pass_fds=fds)
            finally:
                log.close()

        return start

    def _env(self) -> dict[str, str]:
        return {**os.environ, "ANLAN_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def _migrate(self) -> None:
        """Bring the tables up to this version, unless this very version did so before on this folder."""
        stamp = self.home / "run" / "migrated"
        now = schema_stamp()
        if self.postgres is not None and stamp.exists() and stamp.read_text() == now:
            return
        if self.announce:
            say(_("Preparing the database …"))
        with folder.open_log(self.home, "migrate") as log:
            child = process.spawn([sys.executable, "-m", "anlan.runtime.cli", "migrate"], log=log, env=self._env())
            try:
                status = child.wait()
            except Stop:
                process.stop(child, signal.SIGTERM, 1)
                raise
        if status:
            path = self.home / "logs" / "migrate.log"
            raise errors.NOT_STARTED(part="migrate", log=path, tail=folder.tail(path))
        folder.write_private(stamp, now)

    def _write_addresses(self) -> None:
        """`run/addresses.json`: how every process of this installation finds the others. 0600: it holds passwords."""
        found: dict[str, Any] = {
            "level": self.level,
            "database": self.postgres.url() if self.postgres else settings.env("DATABASE_URL"),
            "database_admin": self.postgres.url(OWNER) if self.postgres else settings.env("DATABASE_ADMIN_URL") or settings.env("DATABASE_URL"),
            "nats": self.nats.url() if self.nats else settings.env("NATS_URL"),
            "nats_replay": self.nats.url("replay") if self.nats else settings.env("NATS_URL"),
            "nats_monitor": self.nats.monitor if self.nats else "",
            "mqtt": self.nats.mqtt if self.nats else "",
            "web": self.web_url() if self.web is not None else "",
            "pids": {"supervisor": os.getpid(), **{name: part.child.pid for name, part in self.parts.items() if part.child}},
            "restarts": {name: part.restarts for name, part in self.parts.items()},
        }
        folder.write_private(self.home / "run" / "addresses.json", json.dumps(found, indent=1))

    def _wait_ready(self) -> None:
        """Ready means ready: /readyz has checked the tables, the broker and both workers."""
        until = time.monotonic() + READY_SECONDS
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        assert self.web is not None
        address = f"{self.web_url().split('://')[0]}://{host}:{self.web.getsockname()[1]}/readyz"
        context = ssl._create_unverified_context() if address.startswith("https") else None  # our own server, by number
        why = ""
        while True:
            self._turn()
            request = urllib.request.Request(address, headers={"Host": "localhost"})
            try:
                with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError as problem:
                why = problem.read(2000).decode(errors="replace")
            except OSError as problem:
                why = str(problem)
            if time.monotonic() > until:
                tails = "\n".join(f"--- {name}\n{folder.tail(self.home / 'logs' / f'{name}.log', 600)}" for name in ("web", "work", "sense"))
                raise errors.NOT_STARTED(part="web", log=self.home / "logs", tail=f"{why}\n{tails}")
            time.sleep(0.1)

    def _wait_beats(self) -> None:
        until = time.monotonic() + READY_SECONDS
        beats = [self.home / "run" / "work.beat", self.home / "run" / "sense.beat"]
        while not all(beat.exists() for beat in beats):
            self._turn()
            if time.monotonic() > until:
                tails = "\n".join(f"--- {name}\n{folder.tail(self.home / 'logs' / f'{name}.log', 600)}" for name in ("work", "sense"))
                raise errors.NOT_STARTED(part="work", log=self.home / "logs", tail=tails)
            time.sleep(0.05)

    def _turn(self) -> None:
        now = time.monotonic()
        changed = [part for part in self.parts.values() if part.look(now)]
        if changed:
            self._write_addresses()
        if self.nats is not None:
            self.nats.child = self.parts["nats"].child
            self.nats.reload_if_changed()
        if self.postgres is not None:
            self.postgres.child = self.parts["postgres"].child
        self._reload = False

    def _next_look(self) -> float:
        due = [part.again_at for part in self.parts.values() if part.again_at is not None]
        return max(0.0, min([1.0, *(at - time.monotonic() for at in due)]))

    def _stop(self) -> None:
        """Web and workers first, together; the database and the broker when nobody needs them any more."""
        people = [part for name, part in self.parts.items() if name not in ("postgres", "nats") and part.child is not None]
        for part in people:
            if part.child is not None and part.child.poll() is None:
                part.child.send_signal(part.stop_signal)
        until = time.monotonic() + STOP_SECONDS
        for part in people:
            assert part.child is not None
            try:
                part.child.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                warn(_("{part} did not stop in time and is ended by force").format(part=part.name))
                part.child.kill()
                part.child.wait()
        if self.nats is not None:
            if "nats" in self.parts:
                self.nats.child = self.parts["nats"].child
            self.nats.stop()
        if self.postgres is not None:
            if "postgres" in self.parts:
                self.postgres.child = self.parts["postgres"].child
            self.postgres.stop()
        if self.web is not None:
            self.web.close()
        if self.lock._file is not None:
            (self.home / "run" / "addresses.json").unlink(missing_ok=True)
            self.lock.release()


def schema_stamp(base: Path = PACKAGE) -> str:
    """Changes with all that migrating writes: tables, the roles' rights, the moves of loops, counts of registers, shipped data; and each month."""
    import hashlib
    from importlib.util import find_spec

    # The month is in it because a migration also prepares the coming months' partitions.
    digest = hashlib.sha256(time.strftime("%Y-%m", time.gmtime()).encode())
    # All of the code and not a list of files: registers, loops and code lists are declared all over it, and one forgotten is an upgrade half done.
    places = [path for kind in ("*.py", "*.yaml") for path in sorted(base.rglob(kind)) if "tests" not in path.parts]
    for path in places:
        digest.update(str(path.relative_to(base)).encode() + path.read_bytes())
    spec = find_spec("procrastinate")
    if spec and spec.origin:
        for path in sorted((Path(spec.origin).parent / "contrib" / "django" / "migrations").glob("*.py")):
            digest.update(path.name.encode())
    return digest.hexdigest()


# --- for commands: use the running services, or start them for the time of the command -----------------------------------


class Services:
    """The services a command needs. `addresses`; `wait()` blocks until they end or the person stops us."""

    def __init__(self, home: Path, level: str) -> None:
        self.home, self.level = home, level
        self.addresses: dict[str, Any] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._users = folder.Lock(home / "run" / "users.lock", shared=True)

    def start(self) -> Services:
        if settings.env("DATABASE_URL") and settings.env("NATS_URL") and self.level == "data":
            self.addresses = {"database": settings.env("DATABASE_URL"), "nats": settings.env("NATS_URL"), "nats_replay": settings.env("NATS_URL")}
            return self
        until = time.monotonic() + READY_SECONDS
        while True:
            self._users.acquire(wait=True)
            running = running_addresses(self.home)
            if running and set(LEVELS[self.level]) <= set(LEVELS[running.get("level", "data")]):
                self.addresses = running
                return self
            if not running:
                try:
                    self._spawn()
                    return self
                except _Busy:
                    pass  # another command was quicker; use its services
            self._users.release()
            if time.monotonic() > until:
                raise errors.FOLDER_BUSY(folder=self.home)
            time.sleep(0.2)  # a short command is using a smaller set of services; it will be done soon

    def _spawn(self) -> None:
        folder.private(self.home)
        warn(_("Starting the services …") if (self.home / "run" / "migrated").exists() else _("Preparing the database and starting the services …"))
        read, write = os.pipe()
        with folder.open_log(self.home, "supervisor") as log:
            self._child = process.spawn(
                [sys.executable, "-m", "anlan.runtime.cli", "serve", "--level", self.level, "--quiet", "--ready-fd", str(write)],
                log=log, env={**os.environ, "ANLAN_HOME": str(self.home)}, pass_fds=(write,),
            )  # fmt: skip
        os.close(write)
        with os.fdopen(read) as pipe:
            words = pipe.readline()
        if not words.startswith("ready"):
            self._child.wait()
            self._child = None
            if words.startswith("runtime.folder_busy"):
                raise _Busy
            path = self.home / "logs" / "supervisor.log"
            raise errors.NOT_STARTED(part="Anlan", log=path, tail=words or folder.tail(path))
        self.addresses = running_addresses(self.home)

    @property
    def temporary(self) -> bool:
        """Whether the services run for this command only."""
        return self._child is not None

    def wait(self) -> None:
        """Block until Ctrl-C, SIGTERM, or the end of the services."""
        supervisor = self.addresses.get("pids", {}).get("supervisor")
        try:
            if self._child is not None:
                self._child.wait()
            else:
                while supervisor and _alive(supervisor):
                    time.sleep(0.5)
        except KeyboardInterrupt:
            pass

    def stop(self) -> None:
        self._users.release()
        if self._child is None:
            return
        everybody = folder.Lock(self._users.path)
        if not everybody.acquire():
            warn(_("Another command still uses these services; they stop when it is done."))
            everybody.acquire(wait=True)
        process.stop(self._child, signal.SIGTERM, 15)
        self._child = None
        everybody.release()

    def __enter__(self) -> Services:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def running_addresses(home: Path) -> dict[str, Any]:
    """Addresses of the supervisor running on this folder, or {} when none does. The lock tells: a file may be left over."""
    if not (home / "run" / "supervisor.lock").exists() or not folder.Lock(home / "run" / "supervisor.lock").held_by_other():
        return {}
    return folder.read_json(home / "run" / "addresses.json")
