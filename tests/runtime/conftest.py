"""Installations of their own: real `anlan` processes on a folder of their own, with free ports."""
from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from anlan.runtime import process

OURS = ("DATABASE_URL", "DATABASE_ADMIN_URL", "NATS_URL", "ANLAN_TLS_CERT", "ANLAN_TLS_KEY", "ANLAN_HOST", "ANLAN_DEBUG")


def until(condition: Callable[[], Any], seconds: float = 180.0) -> Any:
    """The first true answer; fails the test when none comes. The limit only ends a hopeless wait."""
    end = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < end, f"waited in vain for {condition}"
        time.sleep(0.05)


class Installation:
    """`anlan` on one folder. `run(*args)` runs a command, `serve()` the supervisor."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("PYTEST")}
        self.env |= {"ANLAN_HOME": str(home), "ANLAN_PORT": "0", "ANLAN_MQTT_PORT": "0", "LANG": "C.UTF-8", "LC_ALL": "", "PYTHONFAULTHANDLER": "1"}
        self.server: subprocess.Popen | None = None

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, "-m", "anlan.runtime.cli", *args]

    def run(self, *args: str, status: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.argv(*args), env={**self.env, **env}, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900)
        if status is not None:
            assert done.returncode == status, f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        return done

    def serve(self, level: str = "data", **env: str) -> dict[str, Any]:
        """Start the supervisor and return its addresses when it says it is ready."""
        read, write = os.pipe()
        self.home.mkdir(exist_ok=True, mode=0o700)
        self.output = open(self.home.parent / f"{self.home.name}.out", "a+")
        # Dies with the test run, even when that is killed.
        self.server = process.spawn(
            self.argv("serve", "--level", level, "--ready-fd", str(write)), env={**self.env, **env}, log=self.output.fileno(), pass_fds=(write,)
        )
        os.close(write)
        with os.fdopen(read) as pipe:
            words = pipe.readline().strip()
        if words != "ready":
            self.server.wait(60)
        assert words == "ready", f"{words}\n{self.said()}\n{self.logs()}"
        return self.addresses()

    def addresses(self) -> dict[str, Any]:
        return json.loads((self.home / "run" / "addresses.json").read_text())

    def said(self) -> str:
        return (self.home.parent / f"{self.home.name}.out").read_text()

    def logs(self) -> str:
        folder = self.home / "logs"
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in folder.glob("*.log")) if folder.exists() else ""

    def get(self, path: str) -> tuple[int, bytes]:
        context = ssl._create_unverified_context()
        request = urllib.request.Request(self.addresses()["web"] + path, headers={"Host": "localhost"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as problem:
            return problem.code, problem.read()
        except OSError:
            return 0, b""

    def processes(self) -> list[psutil.Process]:
        """Every live process that belongs to this folder, found by command line or environment."""
        found = []
        for one in psutil.process_iter():
            try:
                if one.status() == psutil.STATUS_ZOMBIE or one.pid == os.getpid():
                    continue
                line = " ".join(one.cmdline())
                if str(self.home) in line or one.environ().get("ANLAN_HOME") == str(self.home) and "anlan" in line:
                    found.append(one)
            except psutil.Error:
                continue
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.server is not None
        self.server.send_signal(number)
        status = self.server.wait(60)
        self.output.close()
        self.server = None
        return status

    def end(self) -> None:
        if self.server is not None and self.server.poll() is None:
            self.server.kill()
            self.server.wait()
        until(lambda: not self.processes())


def _place() -> Path:
    """A folder that stays reachable for the service account: pytest closes its own again whenever another run starts."""
    return Path(tempfile.mkdtemp(prefix="anlan-runtime-"))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    place = _place()
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(scope="session")
def places() -> Iterator[Callable[[], Path]]:
    """Makes folders that last as long as the run."""
    made: list[Path] = []

    def make() -> Path:
        made.append(_place())
        return made[-1]

    yield make
    for place in made:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """An installation in an empty folder."""
    made = Installation(tmp_path / "home")
    yield made
    made.end()


@pytest.fixture(scope="session")
def prepared(places: Callable[[], Path]) -> Path:
    """A stopped data folder with all tables, to copy: making one takes several seconds."""
    made = Installation(places() / "home")
    try:
        made.serve("data")
        made.stop()
    finally:
        made.end()
    return made.home


@pytest.fixture
def ready(prepared: Path, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose tables are there already."""
    subprocess.run(["cp", "-a", str(prepared), str(tmp_path / "home")], check=True)
    made = Installation(tmp_path / "home")
    yield made
    made.end()
