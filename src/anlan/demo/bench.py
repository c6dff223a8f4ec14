"""Figures of this machine: signal to order, starts, and what the rooms measure of themselves.

Each room may bring `bench.py` with `bench() -> [{figure, value, unit, note}]`. Everything runs on real services with
fsync on, in exercise realms; approvals are given at once by a scripted officer, so that machine time is all there is.
"""
from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext as _

from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.models import Realm

Row = dict[str, Any]
TRIALS = 60
PATIENCE_S = 60.0


def _row(figure: str, value: float, unit: str, note: str = "") -> Row:
    return {"figure": figure, "value": value, "unit": unit, "note": note}


def percentile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


# --- signal to order -------------------------------------------------------------------------------------------------


class Trial:
    """One reading above a red threshold in a fresh exercise, until the order lies in the post's inbox."""

    def __init__(self, broker: Any) -> None:
        from . import records
        from .replay import Replay

        self.record = records.load("valencia-2024")
        self.replay = Replay(self.record, broker)
        # On wall time: this measures the machine, no clock has to be moved for it.
        Realm.objects.filter(pk=self.replay.realm.pk).update(clock="wall", now_at=None)
        self.replay.realm.refresh_from_db()
        self.replay._adopt()

    def run(self) -> dict[str, float]:
        """Seconds from the publish call to the proposal, and to the committed order."""
        from anlan.command import actions as command
        from anlan.kernel.models import Order
        from anlan.plans.models import ResponseProposal
        from anlan.sensing.ingest import Sample
        from anlan.warning import actions as warning

        realm, replay = self.replay.realm, self.replay
        warning.enter_by_hand(
            replay.act("warning"), hazard="11B03", colour="red", issuer="weather_service", regions=[str(key) for key in replay.regions.values()], text="bench",
        )
        replay.player.wait(realm)
        at = clock.now().replace(microsecond=0)
        started = time.perf_counter()
        replay.broker.publish(realm, [Sample("CHJ-POYO", "flow", at, 200.0, "m3/s")], f"bench.{realm.pk}")
        kept = time.perf_counter()
        proposal = _until(lambda: ResponseProposal.objects.of(realm).filter(level__key="red", state="open").first())
        proposed = time.perf_counter()
        command.approve_proposal(replay.act("approve", actor=replay.person("coordinator")), proposal=proposal.pk)
        _until(lambda: Order.objects.of(realm).first())
        ordered = time.perf_counter()
        realms.stop(Act(Actor.machine("bench"), realms.actual()), realm=realm.pk, reason="bench")
        return {"kept": kept - started, "proposed": proposed - started, "ordered": ordered - started}


def _until(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise TimeoutError("nothing came of the reading")
        time.sleep(0.004)


def signal_to_order(broker: Any, trials: int = TRIALS) -> list[Row]:
    Trial(broker).run()  # the first pays for compiling plans and opening connections
    times = [Trial(broker).run() for _ in range(trials)]
    note = f"{trials} exercises, one reading each; approval given at once; both stores with fsync"
    rows = []
    for part, words in (("kept", "reading published → on the broker's disk"), ("proposed", "reading published → level proposed"), ("ordered", "reading published → order in the inbox")):
        values = [entry[part] * 1000 for entry in times]
        rows += [_row(f"{words}, p50", round(percentile(values, 0.5), 1), "ms", note), _row(f"{words}, p99", round(percentile(values, 0.99), 1), "ms", note)]
    return rows


def under_import(broker: Any, trials: int = 20) -> list[Row]:
    """The same while a long import is open in the database and works."""
    from anlan.kernel.models import Installation

    home = Installation.current().pk
    finish, opened = threading.Event(), threading.Event()
    written = 0

    class Undo(Exception):
        """The import was for measuring only."""

    def load() -> None:
        nonlocal written
        try:
            with transaction.atomic():
                opened.set()
                while not finish.is_set():
                    # The server makes the rows: a writer in this process would slow the measurement itself.
                    with connection.cursor() as cursor:
                        cursor.execute(
                            "INSERT INTO kernel_region (id, version, home, created_at, name, name_en, short_name, kind, h3, source_crs, source, population_source) "
                            "SELECT gen_random_uuid(), 1, %s, now(), 'bench', '', '', 'zone', '', 'EPSG:4326', 'bench', '' FROM generate_series(1, 1000)",
                            [home],
                        )
                    written += 1000
                raise Undo
        except Undo:
            connection.close()

    thread = threading.Thread(target=load, name="import")
    thread.start()
    opened.wait(PATIENCE_S)
    try:
        times = [Trial(broker).run()["ordered"] * 1000 for _ in range(trials)]
    finally:
        finish.set()
        thread.join()
    note = f"{trials} exercises while one open transaction wrote {written} rows"
    return [
        _row("reading published → order in the inbox, during a long import, p50", round(percentile(times, 0.5), 1), "ms", note),
        _row("reading published → order in the inbox, during a long import, worst", round(max(times), 1), "ms", note),
    ]


# --- starts ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A data folder for the time of a measurement. Short path: a socket lies in it."""
    home = Path(tempfile.mkdtemp(prefix="anlan-bench-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def environment(home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATABASE_ADMIN_URL", "NATS_URL")}
    return {**own, "ANLAN_HOME": str(home), "ANLAN_PORT": "0", "ANLAN_MQTT_PORT": "0", "ANLAN_OUTBOUND_ALLOW": "127.0.0.1"}


def _start(home: Path) -> float:
    """Seconds from the command to ready, then stopped again."""
    read, write = os.pipe()
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-m", "anlan.runtime.cli", "serve", "--quiet", "--ready-fd", str(write)], env=environment(home), pass_fds=(write,),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            if not pipe.readline().startswith("ready"):
                raise RuntimeError("anlan serve did not become ready")
        return time.perf_counter() - started
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def starts() -> list[Row]:
    with folder() as home:
        cold, warm = _start(home), _start(home)
    return [
        _row("cold start: empty folder → ready", round(cold, 1), "s", "makes database, broker, keys, tables"),
        _row("warm start: existing folder → ready", round(warm, 1), "s", "/readyz answered: tables, broker, workers"),
    ]


# --- all of it -------------------------------------------------------------------------------------------------------


def of_rooms(only: str = "") -> list[tuple[str, Callable[[], list[Row]]]]:
    """The rooms' own measurements. What takes long (`LONG`) is measured only where it is asked for by name, `name:number` in another size."""
    asked, _colon, size = only.partition(":")
    found: list[tuple[str, Callable[[], list[Row]]]] = []
    for room in settings.ROOMS:
        name = f"anlan.{room}.bench"
        if room != "demo" and f"anlan.{room}" in settings.INSTALLED_APPS and importlib.util.find_spec(name):
            module = importlib.import_module(name)
            found.append((room, module.bench))
            found += [(only, partial(measure, *map(int, filter(None, [size])))) for part, measure in getattr(module, "LONG", {}).items() if part == asked]
    for part in ("loops", "registers"):
        found.append((part, importlib.import_module(f"anlan.kernel.{part}.bench").bench))
    return found


def collect(broker: Any, only: str = "") -> dict[str, list[Row]]:
    """All figures by part, or those of the parts whose name contains `only`."""
    parts: list[tuple[str, Callable[[], list[Row]]]] = [
        ("order", lambda: signal_to_order(broker)), ("import", lambda: under_import(broker)), ("start", starts), *of_rooms(only),
    ]
    found: dict[str, list[Row]] = {}
    for name, measure in parts:
        if only in name:
            print(_("measuring: {name}").format(name=name), file=sys.stderr, flush=True)
            found[name] = measure()
    return found


def in_own_folder(arguments: list[str]) -> int:
    """Run the measurement in a folder of its own, so that no installation is touched."""
    with folder() as home:
        return subprocess.run([sys.executable, "-m", "anlan.runtime.cli", "bench", "--here", *arguments], env=environment(home), check=False).returncode


def machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), model)
    return f"{os.cpu_count()} × {model}, {memory:.0f} GB, {platform.system()} {platform.release()}, Python {platform.python_version()}"


def _shown(row: Row) -> str:
    """The figure with its thousands; a dash where a part could not be measured (its note says why)."""
    return "—" if row["value"] is None else f"{row['value']:,}"


def as_table(rows: list[Row]) -> str:
    lines = [f"{machine()}; {clock.local(clock.now()):%Y-%m-%d}", ""]
    wide = max((len(row["figure"]) for row in rows), default=0)
    lines += [f"{row['figure']:<{wide}}  {_shown(row):>12} {row['unit']:<6} {row.get('note', '')}".rstrip() for row in rows]
    return "\n".join(lines)


def block(rows: list[Row]) -> str:
    """One part's figures for docs/benchmarks.md, with the machine they are of and how busy it was."""
    lines = [
        f"{machine()}; {clock.local(clock.now()):%Y-%m-%d}; load average of the last five minutes {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores.", "",
        "| figure | value | unit | how |", "|---|---:|---|---|",
    ]
    return "\n".join([*lines, *(f"| {row['figure']} | {_shown(row)} | {row['unit']} | {row.get('note', '')} |" for row in rows)])


def write(path: str, parts: dict[str, list[Row]]) -> None:
    """Put each part's figures between its marks; what stands outside them was written or measured by others and stays."""
    file = Path(path)
    text = file.read_text(encoding="utf-8") if file.exists() else "# Figures\n"
    for part, rows in parts.items():
        begin, end = f"<!-- anlan bench: {part} -->", f"<!-- /anlan bench: {part} -->"
        before, found, rest = text.partition(begin)
        if not found:
            before, rest = f"{text.rstrip()}\n\n## {part}\n\n", f"{end}\n"
        _old, closed, after = rest.partition(end)
        if not closed:
            raise ValueError(f"{path}: {begin} is not closed by {end}")
        text = f"{before}{begin}\n{block(rows)}\n{end}{after}"
    file.write_text(text, encoding="utf-8")
