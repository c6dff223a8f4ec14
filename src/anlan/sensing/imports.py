"""Files of readings: taken by the command, or out of the drop folders `ANLAN_HOME/inbox/MAPPING`, by a mapping (see reports.py).

Readings go the way of all others: onto the broker, checked, judged and stored by the worker. What is older than the mapping's
`judge_within_h` (2 hours) is history: stored, shown and summed, heard by no rule, so that a file of last month raises no alarm.
A drop folder's file is taken when it has not grown for some seconds; it ends in `accepted` or `refused`, with `NAME.reasons.txt` beside
it when something in it could not be read. While the broker is away, files wait.
"""
from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats.errors
from django.conf import settings
from django.db import close_old_connections

from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import TOO_LARGE, Problem

from . import broker, ingest, reports
from .actions import keep_refused
from .errors import BAD_FILE, BROKER_DOWN
from .facts import ReadingsImported
from .ingest import FILE, REASONS, Refusal
from .reports import Mapping, Read, Told

log = logging.getLogger("anlan.inbox")
JUDGE_WITHIN_H = 2
STILL_S, LOOK_S = 3.0, 2.0
KEPT = 1000  # reasons told in one list


def take(path: Path, how: Mapping, *, dry: bool = False) -> Told:
    """Parse a file and put its readings on the broker; returns when all are on its disk. sensing.bad_file when nothing in it is a reading."""
    size = path.stat().st_size
    if size > reports.BYTES:
        raise TOO_LARGE(size=size, limit=reports.BYTES)
    data = path.read_bytes()
    now = clock.now()
    old = now - timedelta(hours=float(how.body.get("judge_within_h", JUDGE_WITHIN_H)))
    told, items, times = Told(), [], []
    for each in reports.parse(data, how, now):
        if each.why:
            told.faults.append(each)
            continue
        assert each.time is not None
        history = each.time < old
        items.append({"s": each.station, "q": each.quantity, "t": each.time.isoformat(), "v": each.value, "u": each.unit, **({"h": 1} if history else {})})
        told.readings += 1
        told.history += history
        times.append(each.time)
    if not items:
        raise BAD_FILE(file=path.name, why=reason(told.faults[0]) if told.faults else REASONS["malformed"])
    if dry:
        return told
    digest = hashlib.sha256(data).hexdigest()
    bridge = broker.bridge()

    async def send() -> int:
        nc = await bridge.connection()
        await ingest.ensure_streams(nc.jetstream())
        # The same file again within ten minutes is kept once; later the worker knows each reading.
        return await ingest.publish(nc, ingest.pack(items, f"gate.v1.{FILE}"), ids=f"{digest}.{how.digest[-8:]}")

    try:
        bridge.run(send(), 600)
    except (OSError, nats.errors.Error, TimeoutError) as error:
        raise BROKER_DOWN(why=type(error).__name__)
    note(Act(Actor.machine("sensing"), realms.actual()), file=path.name, digest=f"sha256:{digest}", how=how, told=told, times=(min(times), max(times)))
    return told


@action("sensing.note_import")
def note(act: Act, *, file: str, digest: str, how: Any, told: Any, times: Any) -> None:
    """State what became of a file, and keep what could not be read among the refused."""
    if told.faults:
        keep_refused([Refusal(each.why, FILE, file, station=each.station[:40], detail=f"{each.line}: {each.detail}") for each in told.faults], clock.now())
    act.state(
        ReadingsImported(
            file=file[:200], digest=digest, mapping=how.name, label=how.label, mapping_digest=how.digest, readings=told.readings, history=told.history,
            refused=len(told.faults), first=times[0], last=times[1],
        ),
        subject=f"readings:{act.realm.pk}",
    )


def reason(each: Read) -> str:
    """A fault in words."""
    return " · ".join(filter(None, [f"{each.line}", each.station, str(REASONS.get(each.why, each.why)), each.detail]))


# --- drop folders ----------------------------------------------------------------------------------------------------


def root() -> Path:
    return settings.HOME / "inbox"


def watch(stop: threading.Event) -> None:
    """Look into the drop folders until `stop`. Several workers may: a file is whose rename of it succeeds."""
    while not stop.wait(LOOK_S):
        try:
            look()
        except Exception as error:
            log.warning("drop folders: %s: %s", type(error).__name__, error)
        finally:
            close_old_connections()


def look() -> int:
    """One look; how many files were taken or refused."""
    done = 0
    for name in reports.names():
        folder = root() / name
        for place in (folder, folder / "accepted", folder / "refused", folder / "working"):
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
        _bring_back(folder)
        for path in sorted(folder.iterdir()):
            if not path.is_file() or path.name.startswith(".") or path.suffix in (".part", ".tmp") or time.time() - path.stat().st_mtime < STILL_S:
                continue
            mine = folder / "working" / f"{os.getpid()}-{path.name}"
            try:
                path.rename(mine)
            except FileNotFoundError:
                continue  # another worker's
            if not _one(folder, mine, path.name):
                return done  # the broker is away: everything else waits, too
            done += 1
    return done


def _bring_back(folder: Path) -> None:
    """Files that a worker had in hand when it died."""
    for path in (folder / "working").iterdir():
        pid, _dash, name = path.name.partition("-")
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and name:
            path.rename(folder / name)


def _one(folder: Path, mine: Path, name: str) -> bool:
    try:
        told = take(mine, reports.mapping(folder.name))
        end, words = "accepted", [reason(each) for each in told.faults[:KEPT]]
        if len(told.faults) > KEPT:
            words.append(f"… {len(told.faults)}")
    except Problem as problem:
        if problem.kind is BROKER_DOWN:
            mine.rename(folder / name)
            return False
        end, words = "refused", [problem.message]
    except OSError as error:
        end, words = "refused", [str(error)]
    stamp = clock.local(clock.now()).strftime("%Y%m%dT%H%M%S")
    target = folder / end / f"{stamp}-{name}"
    mine.rename(target)
    if words:
        target.with_name(f"{target.name}.reasons.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    log.info("%s/%s: %s", folder.name, name, end)
    return True
