"""Judge a file of readings under a rule file: what `anlan sense file` does.

Order. With an `arrival` column readings are taken in order of arrival, and that is the clock against which futures are told
(unless it cannot be one: then it only orders). Without it, `now` takes each station's readings in the order of the file, and
`exact`, whose answer does not depend on order, takes them as if nothing had come too late.
"""
from __future__ import annotations

import csv
import tempfile
import time as clock
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .both import Both, Quorum
from .engine import FATES, Engine, Grid, Transitions
from .exact import Exact
from .rulefile import SILENCE_WORDS, WORDS, RuleFile, name_of, scale_of
from .rules import KINDS, Silence
from .tables import Table

BATCH = 100_000
STEPS = (86400, 43200, 21600, 10800, 7200, 3600, 1800, 1200, 900, 600, 300, 240, 180, 120, 60, 30, 20, 15, 10, 5, 4, 3, 2, 1)
RING_BYTES = 384 << 20
SLACK = 2 * 3600
IN_MEMORY = 1 << 22  # rows; more wait in a temporary file, ten bytes each, for their turn


@dataclass
class Report:
    """What became of a file's rows."""

    rows: int = 0
    readings: int = 0
    stations: int = 0
    fates: dict[str, int] = field(default_factory=dict)
    by_source: dict[str, dict[str, int]] = field(default_factory=dict)
    missing: int = 0
    bad: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)
    off_quantum: int = 0
    grid_s: int = 0
    order: str = ""
    transitions: int = 0
    revisions: int = 0
    cpu_read_s: float = 0.0
    cpu_judge_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def find_grid(series: NDArray, time: NDArray, count: int, longest: int, step: int = 0) -> Grid | None:
    """The widest grid on which 98 % of a sample of the times lie, if its ring fits into memory."""
    if not len(time):
        return Grid(step or 300)
    sample = time[:: max(1, len(time) // 100_000)]
    for each in (step,) if step else STEPS:
        phases, often = np.unique(sample % each, return_counts=True)
        if often.max() >= 0.98 * len(sample):
            return Grid(each, int(phases[often.argmax()]), SLACK) if 2 * count * ((longest + 2 * SLACK) // each + 20) <= RING_BYTES else None
    return None


def _fitting(series: NDArray, time: NDArray) -> NDArray:
    """An order in which each series keeps its own and all together move on in time: by the newest time it had shown."""
    by = np.argsort(series, kind="stable")
    lifted = (np.cumsum(np.r_[False, series[by][1:] != series[by][:-1]]) << 41) + time[by]
    newest = np.empty(len(time), np.int64)
    newest[by] = np.maximum.accumulate(lifted) & ((1 << 41) - 1)
    return np.argsort(newest, kind="stable")


def _narrow(column: NDArray, kinds: tuple[type, ...]) -> NDArray:
    """As few bytes as hold it: a province's day is 29 million rows."""
    low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
    return column.astype(next((kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max), np.int64))


class _Columns:
    """Rows: series number, time and arrival (s), value, source. Held as offsets, given out whole; parked in a file when there are many."""

    def __init__(self, series: NDArray[np.int32], time: NDArray, value: NDArray, arrival: NDArray | None, source: NDArray[np.int32] | None) -> None:
        self.first = int(time.min()) if len(time) else 0
        delay = None if arrival is None else _narrow(arrival - time, (np.int16, np.int32))
        self._held: list[NDArray | None] = [series, _narrow(time - self.first, (np.uint16, np.uint32)), _narrow(value, (np.int16, np.int32)), delay, source]
        self._size = len(time)
        self._parked: tuple[Any, list[int]] | None = None

    def __len__(self) -> int:
        return self._size

    def park(self, file: Any) -> None:
        """Move the rows to the end of a file; they are read from there again when asked for."""
        places = []
        for column in self._held:
            places.append(file.tell())
            if column is not None:
                file.write(column.data)
        self._parked = file, places
        self._held = [None if column is None else np.empty(0, column.dtype) for column in self._held]

    def _column(self, place: int) -> Any:
        column = self._held[place]
        if column is None or self._parked is None:
            return column
        file, places = self._parked
        out = np.empty(self._size, column.dtype)
        file.seek(places[place])
        file.readinto(out.data)
        return out

    @property
    def series(self) -> NDArray[np.int32]:
        return self._column(0)

    @property
    def time(self) -> NDArray[np.int64]:
        return self._column(1).astype(np.int64) + self.first

    @property
    def value(self) -> NDArray[Any]:
        return self._column(2)

    @property
    def arrival(self) -> NDArray[np.int64] | None:
        delay = self._column(3)
        return None if delay is None else self.time + delay

    @property
    def source(self) -> NDArray[np.int32] | None:
        return self._column(4)

    def loaded(self) -> _Columns:
        """The rows in memory."""
        return self.pick(slice(None)) if self._parked is not None else self

    def pick(self, chosen: Any) -> _Columns:
        """Some of the rows: a slice, a mask, indices."""
        out = object.__new__(_Columns)
        out.first, out._parked = self.first, None
        out._held = [None if column is None else column[chosen] for column in map(self._column, range(5))]
        out._size = len(out._held[0])  # type: ignore[arg-type]
        return out


def _read(table: Table, quantum: float, report: Report, file: Any) -> list[_Columns]:
    parts: list[_Columns] = []
    for part in table.parts():
        exact = part.value / quantum
        whole = np.rint(exact)
        report.off_quantum += int((np.abs(exact - whole) > 1e-6 * np.maximum(1, np.abs(exact))).sum())
        value = np.clip(whole, -(2**62), 2**62).astype(np.int64)
        parts.append(_Columns(part.station, part.time, value, part.arrival, part.source))
        if table.rows > IN_MEMORY:
            parts[-1].park(file)
    return parts


def _joined(parts: list[_Columns]) -> _Columns:
    def column(name: str) -> Any:
        every = [getattr(part, name) for part in parts]
        return np.concatenate(every) if every and every[0] is not None else None

    return _Columns(column("series"), column("time"), column("value"), column("arrival"), column("source"))


def _lag(parts: list[_Columns]) -> int:
    """By how much, at most, a reading is older than one before it."""
    top, lag = 0, 0
    for part in parts:
        if len(part):
            time = part.time
            running = np.maximum(np.maximum.accumulate(time), top)
            lag = max(lag, int((running - time).max()))
            top = int(running[-1])
    return lag


def judge_file(path: Path, rules: RuleFile, mode: str, out: Path) -> Report:
    """Read, judge, write; the report. TableError, RuleError (ValueErrors) say what is wrong with a file."""
    if mode not in ("exact", "now", "both"):
        raise ValueError("mode is exact, now or both")
    with tempfile.TemporaryFile(buffering=0) as file:
        return _judge_file(path, rules, mode, out, file)


def _judge_file(path: Path, rules: RuleFile, mode: str, out: Path, file: Any) -> Report:
    report, table, began = Report(), Table(path), clock.process_time()
    parts = _read(table, float(rules.quantum), report, file)
    report.rows, report.missing, report.bad, report.faults = table.rows, table.missing, table.bad, table.faults
    report.readings = sum(len(part) for part in parts)
    names = list(table.stations.number)
    report.stations = len(names)
    report.cpu_read_s = clock.process_time() - began
    began = clock.process_time()
    parts, clocked = _ordered(parts, rules, mode, report)
    rows = _Writer(out, table, rules, names, mode)
    try:
        _judge(parts, clocked, rules, mode, names, table, report, rows)
        rows.finish()
    finally:
        rows.close()
    report.transitions, report.revisions = rows.count, rows.revisions
    report.cpu_judge_s = clock.process_time() - began
    return report


def _ordered(parts: list[_Columns], rules: RuleFile, mode: str, report: Report) -> tuple[list[_Columns], bool]:
    """The parts in the order in which they are to be taken, and whether `arrival` is a clock."""
    parts = [part for part in parts if len(part)]
    if not parts:
        report.order = "file"
        return parts, False
    if parts[0].arrival is not None:
        ahead, sorted_, last = 0, True, -(1 << 62)
        for part in parts:
            arrived = part.arrival
            assert arrived is not None
            ahead += int((part.time > arrived + rules.ahead).sum())
            sorted_ = sorted_ and bool(arrived[0] >= last and (arrived[1:] >= arrived[:-1]).all())
            last = int(arrived[-1])
        clocked = 2 * ahead <= report.readings  # a receiver's time before the event time, for most, is no receiver's time
        report.order = "arrival" if clocked else "arrival, not a clock"
        if sorted_:
            return parts, clocked
        whole = _joined(parts)
        return [whole.pick(np.argsort(np.asarray(whole.arrival), kind="stable"))], clocked
    lag = _lag(parts)
    if mode == "now":
        report.order = "file"
        if lag <= SLACK:
            return parts, False
        whole = _joined(parts)
        return [whole.pick(_fitting(whole.series, whole.time))], False
    report.order = "file" if lag < rules.lateness else "time"
    if lag < rules.lateness:
        return parts, False
    whole = _joined(parts)
    # Of two reports of one time the first in the file counts: a stable sort.
    return [whole.pick(np.argsort(whole.time, kind="stable"))], False


def _sources(parts: list[_Columns], count: int) -> NDArray[np.int64] | None:
    """The source of each series: that of its last reading."""
    if not parts or parts[0].source is None:
        return None
    out = np.zeros(count, np.int64)
    for part in parts:
        out[part.series] = np.maximum(part.source, 0)  # type: ignore[arg-type]
    return out


def _judge(parts: list[_Columns], clocked: bool, rules: RuleFile, mode: str, names: list[Any], table: Table, report: Report, rows: _Writer) -> None:
    stations = [str(name) for name in names]
    signals = rules.signals(stations)
    engine: Engine | Exact | Both
    plan_longest = max([0, *(m.window for m in Exact(0, rules.signals([]), extra=rules.extra).plan.measures)])
    times = np.concatenate([part.time[:: max(1, len(part) // 20_000)].copy() for part in parts]) if parts else np.zeros(0, np.int64)
    grid = find_grid(np.zeros(0), times, len(names), plan_longest, rules.step)
    report.grid_s = grid.step if grid else 0
    sources = _sources(parts, len(names))
    many: dict[str, Any] = {"grid": grid, "sources": sources, "extra": rules.extra, "ahead": rules.ahead}
    if mode == "now":
        engine = Engine(len(names), signals, **many)
    elif mode == "exact":
        engine = Exact(len(names), signals, lateness=rules.lateness, idle=rules.idle, **many)
    else:
        engine = Both(len(names), signals, lateness=rules.lateness, idle=rules.idle, **many)
    inner: Engine | Exact = engine.exact if isinstance(engine, Both) else engine
    rows.measures = inner.plan.measures
    rows.silences = {index for index, signal in enumerate(inner.plan.signals) if isinstance(signal, Silence)}
    watches = [Quorum({area: [i for i in map(_index(stations).get, members) if i is not None] for area, members in rules.areas.items()}, watch.of, watch.stations)
               for watch in rules.watches]
    rows.quorums = list(zip(rules.watches, watches, strict=True))
    ticking = bool(rows.silences) or rules.stale_after > 0 or rules.idle > 0
    for part, upto in _batches(parts, clocked, rules.tick if ticking else 0):
        clocks = part.arrival if clocked else None
        if isinstance(engine, Both):
            _, said, judged, revisions = engine.fold(part.series, part.time, part.value, clocks)
            rows.add(said, "provisional")
            rows.add(judged, "exact")
            rows.revise(revisions)
        else:
            rows.add(engine.fold(part.series, part.time, part.value, clocks).transitions)
        if upto >= 0:
            told = (engine.now if isinstance(engine, Both) else engine).tick(upto)
            rows.add(told, "tick" if isinstance(engine, Both) else "")
    if isinstance(engine, Both):
        judged, revisions = engine.finish()
        rows.add(judged, "exact")
        rows.revise(revisions)
    elif isinstance(engine, Exact):
        rows.add(engine.finish())
    counts = inner.counts
    report.fates = dict(zip(FATES, counts.sum(0).tolist(), strict=True))
    named = list(table.sources.number) or ["-"]
    report.by_source = {str(name): dict(zip(FATES, counts[place].tolist(), strict=True)) for place, name in enumerate(named) if place < len(counts) - 1}


def _index(stations: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(stations)}


def _batches(parts: list[_Columns], clocked: bool, tick: int) -> Iterator[tuple[_Columns, int]]:
    """Batches in order, each with the tick that follows it (-1 = none). Without a receiver's time the newest event time is the clock."""
    top, told = -1, -1
    while parts:
        whole = parts.pop(0).loaded()  # given back as soon as it is judged
        for start in range(0, len(whole), BATCH):
            part = whole.pick(slice(start, start + BATCH))
            if not tick:
                yield part, -1
                continue
            now = part.arrival if clocked else np.maximum(np.maximum.accumulate(part.time), top)
            assert now is not None
            top = int(now[-1])
            if told < 0:
                told = int(now[0]) // tick
            turns = np.flatnonzero(np.diff(np.r_[told, now // tick]) > 0)
            at = 0
            for turn in turns.tolist():
                # Everything that came before the clock struck, then each stroke passed meanwhile.
                before = part.pick(slice(at, turn))
                reached = int(now[turn]) // tick
                for stroke in range(told + 1, reached + 1):
                    yield before, stroke * tick
                    before = part.pick(slice(0))
                at, told = turn, reached
            yield part.pick(np.s_[at:]), -1


class _Writer:
    """The output: station, time, quantity, old, new, and every measure; CSV, or Parquet or Arrow by the name of the file."""

    def __init__(self, path: Path, table: Table, rules: RuleFile, names: list[Any], mode: str) -> None:
        self.path, self.table, self.rules, self.names, self.mode = path, table, rules, names, mode
        self.measures: list[Any] = []
        self.silences: set[int] = set()
        self.quorums: list[tuple[Any, Quorum]] = []
        self.found: list[Transitions] = []
        self.kinds: list[str] = []
        self.revised: list[Any] = []
        self.count = self.revisions = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.stream = path.open("w", newline="", encoding="utf-8") if path.suffix.lower() not in (".parquet", ".arrow") else None

    def add(self, changes: Transitions, kind: str = "") -> None:
        if len(changes):
            self.found.append(changes)
            self.kinds.append(kind)

    def revise(self, revisions: list[Any]) -> None:
        self.revised += revisions

    def _columns(self) -> list[tuple[int, Any]]:
        return sorted(enumerate(self.measures), key=lambda each: (KINDS[each[1].kind], each[1].window))

    def _lines(self) -> Iterator[list[Any]]:
        both, columns = self.mode == "both", self._columns()
        for kind in ("",) if not both else ("provisional", "tick", "exact"):
            mine = [part for part, each in zip(self.found, self.kinds, strict=True) if each == kind]
            changes = Transitions.join(mine, len(self.measures))
            if self.mode == "exact" or kind == "exact":
                order = sorted(range(len(changes)), key=lambda i: (int(changes.time[i]), self._key(int(changes.series[i])), int(changes.rule[i])))
                changes = changes.pick(np.array(order, np.int64))
            for i in range(len(changes)):
                silent = int(changes.rule[i]) in self.silences
                words = SILENCE_WORDS if silent else WORDS
                yield [
                    self.names[int(changes.series[i])], self.table.written(int(changes.time[i])), self.rules.quantity + (".silence" if silent else ""),
                    words[int(changes.old[i])], words[int(changes.new[i])],
                    *(self.rules.shown(int(changes.measures[i, m]), scale_of(measure)) for m, measure in columns), *([kind] if both else []),
                ]
            colours = changes.pick(changes.rule == 0)
            for watch, quorum in self.quorums if kind in ("", "exact") else []:
                for area, at, holds, number in quorum.take(colours, ordered=self.mode != "now"):
                    change = ("none", WORDS[watch.colour]) if holds else (WORDS[watch.colour], "none")
                    yield [area, self.table.written(at), f"{self.rules.quantity}.quorum", *change, *("" for _ in self.measures), *([f"{kind} {number}"] if both else [])]
        for revision in sorted(self.revised, key=lambda r: (r.time, self._key(r.series), r.rule)):
            self.revisions += 1
            words = SILENCE_WORDS if revision.rule in self.silences else WORDS
            yield [self.names[revision.series], self.table.written(revision.time), self.rules.quantity, words[revision.said], words[revision.true],
                   *("" for _ in self.measures), "revision"]

    def _key(self, series: int) -> tuple[int, Any]:
        name = self.names[series]
        return (0, name) if isinstance(name, int) else (1, str(name))

    def finish(self) -> None:
        header = ["station", "time", "quantity", "old", "new", *(name_of(measure) for _, measure in self._columns()), *(["kind"] if self.mode == "both" else [])]
        lines = self._lines()
        if self.stream is not None:
            writer = csv.writer(self.stream, lineterminator="\n")
            writer.writerow(header)
            for line in lines:
                writer.writerow(line)
                self.count += 1
            return
        import pyarrow as pa
        import pyarrow.feather as feather
        import pyarrow.parquet as pq

        rows = list(lines)
        self.count = len(rows)
        columns: dict[str, Any] = {}
        for place, name in enumerate(header):
            every = [row[place] for row in rows]
            if 5 <= place < 5 + len(self.measures):
                columns[name] = pa.array([float(x) if x != "" else None for x in every], pa.float64())
            else:
                # A quorum's area is a name among whole-numbered stations: one type for the column.
                columns[name] = pa.array(every if all(isinstance(x, int) for x in every) and every else [str(x) for x in every])
        table = pa.table(columns)
        if self.path.suffix.lower() == ".parquet":
            pq.write_table(table, self.path)
        else:
            feather.write_feather(table, self.path, compression="uncompressed")

    def close(self) -> None:
        if self.stream is not None:
            self.stream.close()
