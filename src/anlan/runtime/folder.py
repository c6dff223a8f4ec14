"""The data folder (ANLAN_HOME): who may use it, its passwords, its ports, its logs.

    keys/       passwords and private keys, 0600; never inside a backup unencrypted
    postgres/   the embedded database       nats/   the embedded broker
    files/      attachments                 logs/   one per part
    run/        locks, addresses and heartbeats; safe to delete while nothing runs
"""
from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from pathlib import Path
from typing import IO, Any

from . import errors

LOG_LIMIT = 16 * 1024 * 1024  # bytes; one older log is kept


def private(folder: Path) -> Path:
    """The folder, made if needed, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, mode 0600."""
    private(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def passwords(path: Path, names: tuple[str, ...]) -> dict[str, str]:
    """The generated passwords in `path`, made for the names that have none yet."""
    known = read_json(path)
    missing = [name for name in names if name not in known]
    if missing:
        known |= {name: secrets.token_urlsafe(24) for name in missing}
        write_private(path, json.dumps(known, indent=1))
    return known


class Lock:
    """A lock on a file that the kernel drops when its holder dies. Exclusive unless `shared`."""

    def __init__(self, path: Path, *, shared: bool = False) -> None:
        self.path, self.shared = path, shared
        self._file: IO[str] | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        private(self.path.parent)
        file = open(self.path, "a")
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def acquire_or_refuse(self, folder: Path) -> None:
        until = time.monotonic() + 1.0
        while not self.acquire():  # somebody may only be looking whether it is held
            if time.monotonic() > until:
                raise errors.FOLDER_BUSY(folder=folder)
            time.sleep(0.02)

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def held_by_other(self) -> bool:
        """Whether somebody holds it exclusively now."""
        look = Lock(self.path, shared=True)
        if look.acquire():
            look.release()
            return False
        return True


def port_is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


class Ports:
    """Ports chosen once and kept across restarts, so that clients find the services again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, int] = read_json(path)

    def choose(self, name: str, host: str = "127.0.0.1", wanted: int = 0) -> int:
        """`wanted` if free, else the port of last time if free, else any free one."""
        for port in (wanted, self.known.get(name, 0)):
            if port and port_is_free(host, port) and port not in (used for key, used in self.known.items() if key != name):
                break
        else:
            port = free_port(host)
        if self.known.get(name) != port:
            self.known[name] = port
            write_private(self.path, json.dumps(self.known, indent=1))
        return port


def open_log(home: Path, name: str):
    """The log of a part, opened for appending; a log over the limit becomes `<name>.log.1` first."""
    path = private(home / "logs") / f"{name}.log"
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        os.replace(path, path.with_suffix(".log.1"))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return os.fdopen(fd, "wb", buffering=0)


def tail(path: Path, characters: int = 1200) -> str:
    try:
        return path.read_text(errors="replace")[-characters:]
    except OSError:
        return ""


def size(folder: Path) -> int:
    """Bytes of all files below the folder; what vanishes meanwhile counts nothing."""
    total = 0
    for place, _folders, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(place, file)).st_size
            except OSError:
                continue
    return total
