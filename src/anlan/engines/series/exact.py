"""The engine that waits: a bin is judged once, behind the watermark, whatever the order of arrival.

Every source has a watermark of its own: the newest event time it has shown, less `lateness`. What lies behind it is
judged; a reading that comes for it later is too late, counted and left out. One source's clock ahead, or its link down,
moves nobody else's watermark.

Series whose times lie on the grid are judged together, bin after bin, in vector passes over [bin][series]; a series that
reports off the grid is put in order in a buffer and judged by the other engine, reading by reading.
"""
from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .engine import (
    _NO_TIME,
    _NOTHING,
    CONFLICT,
    DUPLICATE,
    NEW,
    Columns,
    Engine,
    Folded,
    Grid,
    Transitions,
    tick_table,
    widened,
)
from .rules import AnyRule, Ints, Measure, Plan, Silence


class Exact:
    """State of S series under a list of rules, judged behind the watermark. Inputs are never changed."""

    def __init__(self, series: int, rules: Sequence[AnyRule], *, lateness: int = 900, grid: Grid | None = None, sources: Any = None,
                 extra: Sequence[Measure] = (), ahead: int = 600, idle: int = 0) -> None:
        """lateness: seconds of event time the watermark stays behind a source's newest reading, at least 1. sources: source number of
        each series (default: one source). ahead: seconds a reading may be ahead of the clock told with it. idle: seconds of
        a tick's clock without a newer reading after which everything a source has sent is judged (0 = it waits)."""
        self.plan = Plan(series, list(rules), extra)
        lateness = max(1, lateness)  # with 0 a reading would be behind the watermark it sets itself
        self.series, self.rules, self.lateness, self.grid, self.ahead, self.idle = series, list(rules), lateness, grid, ahead, idle
        self._sources = np.zeros(series, np.int64) if sources is None else np.asarray(sources, np.int64)
        if len(self._sources) != series:
            raise ValueError("a source for each series is needed")
        count = int(self._sources.max(initial=0)) + 1
        self._order = np.argsort(self._sources, kind="stable")  # ring column -> series: a source's columns lie side by side
        self._column = np.empty(series, np.int32)
        self._column[self._order] = np.arange(series, dtype=np.int32)
        self._straight = bool((self._order == np.arange(series)).all())
        bounds = np.searchsorted(self._sources[self._order], np.arange(count + 1))
        # by source: first column, behind the last, newest bin, newest judged bin, newest time (also off the grid)
        self._marks = np.full((count, 5), _NO_TIME, np.int64)
        self._marks[:, 0], self._marks[:, 1] = bounds[:-1], bounds[1:]
        self.counts = np.zeros((count + 1, 8), np.int64)  # by source, the last for series -1; FATES
        self.clock = _NO_TIME
        measures, signals = len(self.plan.measures), len(self.rules)
        step = grid.step if grid else 0
        self._flat = self.plan.flat(step or 1)
        if step:  # a source's columns are swept in ring order
            self._flat = self._flat._replace(table=np.ascontiguousarray(self._flat.table[:, self._order]))
        self._behind = -(-lateness // step) if step else 0
        deepest = int(self._flat.window.max(initial=0)) if step else 0
        self._rows = deepest + self._behind + 2 if step else 0
        self._ring = np.full((self._rows, series if step else 0), np.iinfo(np.int16).min, np.int16)
        self._wide_sums = any(m.kind == "index" for m in self.plan.measures)
        self._sums = np.zeros((measures, series if step else 0), np.int64 if self._wide_sums else np.int32)
        self._colour = np.zeros((signals, series), np.int8)  # in ring order
        self._on = np.zeros((self.plan.memory, series), np.uint8)  # hysteresis, in ring order
        self._columns, self._narrow = Columns(), Columns(np.int32, np.int32, np.int16)
        self._ticks = any(isinstance(s, Silence) or s.stale_after for s in self.plan.signals)
        self._newest = np.full(series if self._ticks else 0, _NO_TIME, np.int64)  # newest judged, in ring order; only if a tick asks
        self._aside = np.zeros(series, np.uint8)
        self._out = np.empty((max(4096, series * max(signals, 1) + 1), 8 + measures), np.int64)
        # What is off the grid: readings waiting for the watermark, and the engine that then judges them in order.
        self._side: Engine | None = None
        self._waiting = np.zeros((0, 3), np.int64)  # series, time, value
        if not step:
            self._aside[:] = 1

    # --- folding -----------------------------------------------------------------------------------------------

    def fold(self, series: Any, time: Any, value: Any, clock: Any = None) -> Folded:
        """Take a batch: series index (-1 = of no series known), event time (s), value (quanta); each (b,). clock: the
        receiver's time at each reading, against which the future is told. The changes are of the bins judged meanwhile."""
        from . import kernels

        short = [getattr(column, "dtype", None) for column in (series, time, value)] == [np.int32, np.int32, np.int16]  # 10 bytes a reading
        series, time, value = (self._narrow if short else self._columns).of(series, time, value)
        size = len(series)
        status = np.zeros(size, np.int8)
        none = np.zeros(0, bool), _NOTHING
        if not size:
            return Folded(status, *none, Transitions.join([], len(self.plan.measures)))
        if series.min() < -1 or series.max() >= self.series or time.min() < 0 or time.max() >= 1 << 40:
            raise ValueError("series or time outside the engine's range")
        clocks = np.require(clock, np.int64, ["C", "W"]) if clock is not None else _NOTHING
        parts: list[Transitions] = []
        waits = np.zeros(size, bool)
        step, phase = (self.grid.step, self.grid.phase) if self.grid else (0, 0)
        at = 0
        while True:
            at, rows, why = kernels.gather(
                series, time, value, clocks, self.ahead, at, self.lateness, step, phase, self._behind, self._sources, self._column, self._straight,
                self._marks, self._ring, self._sums, self._colour, self._on, self._newest, self._aside, self._side is not None, self.counts, status,
                waits, self.clock, self._out, *self._flat,
            )
            if rows:
                parts.append(self._taken(rows))
            if why == kernels.DONE:
                break
            if why == kernels.WIDEN:
                self._ring, self._sums = widened(self._ring), self._sums.astype(np.int64)
            elif why == kernels.ASIDE:
                self._leave(int(series[at]))
        waiting = np.flatnonzero(waits)
        if len(waiting):
            self._waiting = np.concatenate((self._waiting, np.stack([np.asarray(c)[waiting].astype(np.int64) for c in (series, time, value)], 1)))
        parts += self._release(status, waiting)
        return Folded(status, *none, Transitions.join(parts, len(self.plan.measures)))

    def _taken(self, rows: int) -> Transitions:
        table = self._out[:rows].copy()
        table[:, 1] = self._order[table[:, 1]]
        return Transitions.of(table)

    @property
    def sources(self) -> int:
        return len(self._marks)

    def source_of(self, series: int) -> int:
        return int(self._sources[series])

    def watermark(self, source: int) -> int:
        """Event time (s) up to which a source's readings are judged; -1 when nothing is."""
        return self._watermark(self._marks[source])

    def _watermark(self, mark: Ints) -> int:
        """Event time up to which a source's readings are judged."""
        judged = mark[3] if self.grid is None else mark[3] * self.grid.step + self.grid.phase if mark[3] >= 0 else _NO_TIME
        return max(int(judged), int(mark[4]) - self.lateness if mark[4] >= 0 else _NO_TIME)

    def _release(self, status: NDArray | None = None, fresh: Any = (), upto: Ints | None = None) -> list[Transitions]:
        """Judge what waits off the grid and lies behind its source's watermark, in order of event time."""
        if not len(self._waiting):
            return []
        waiting = self._waiting
        first = len(waiting) - len(fresh)  # rows from here on are this batch's
        order = np.lexsort((np.arange(len(waiting)), waiting[:, 1], waiting[:, 0]))
        sorted_ = waiting[order]
        again = np.r_[False, (sorted_[1:, :2] == sorted_[:-1, :2]).all(1)]
        if again.any():
            # Of readings with one time the first to come counts.
            leader = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
            fates = np.where(sorted_[:, 2] == sorted_[leader, 2], DUPLICATE, CONFLICT)
            for place in np.flatnonzero(again):
                self.counts[self._sources[sorted_[place, 0]], fates[place]] += 1
                if status is not None and order[place] >= first:
                    status[fresh[order[place] - first]] = fates[place]
            keep = np.ones(len(waiting), bool)
            keep[order[again]] = False
            waiting = waiting[keep]
        marks = np.array([self._watermark(mark) for mark in self._marks], np.int64) if upto is None else upto
        ready = waiting[:, 1] <= marks[self._sources[waiting[:, 0]]]
        self._waiting = waiting[~ready]
        due = waiting[ready]
        if not len(due):
            return []
        due = due[np.lexsort((due[:, 0], due[:, 1]))]
        if self._side is None:
            self._side = Engine(self.series, self.rules, extra=self.plan.extra)
        self._side.clock = self.clock
        folded = self._side.fold(due[:, 0], due[:, 1], due[:, 2])
        np.add.at(self.counts[:, NEW], self._sources[due[:, 0]], 1)
        moved = folded.transitions
        return [Transitions(np.full(len(moved), -1, np.int64), *(getattr(moved, name) for name in list(Transitions.__dataclass_fields__)[1:]))]

    def _leave(self, s: int) -> None:
        """A series that reports off the grid: from now on it is judged by itself."""
        assert self.grid is not None
        step, phase = self.grid.step, self.grid.phase
        column, mark = int(self._column[s]), self._marks[self._sources[s]]
        missing = np.iinfo(self._ring.dtype).min
        if self._side is None:
            self._side = Engine(self.series, self.rules, extra=self.plan.extra)
        side = self._side
        judged: list[Any] = []
        open_: list[Any] = []
        for b in range(max(int(mark[2]) - self._rows + 1, 0), int(mark[2]) + 1):
            x = self._ring[b % self._rows, column]
            if x != missing:
                (judged if b <= mark[3] else open_).append((s, b * step + phase, int(x)))
        self._ring[:, column] = missing
        self._aside[s] = 1
        self._sums[:, column] = 0
        if judged:
            side.newest[s], side.last[s], side.since[s] = judged[-1][1], judged[-1][2], judged[-1][1]
            side.prime(*zip(*judged, strict=True))
        elif self._ticks and self._newest[column] >= 0:
            side.newest[s] = self._newest[column]
        side.colour[:, s] = self._colour[:, column]
        for held, on in zip(range(len(self._on)), self._on[:, column], strict=True):
            then = max(int(side.newest[s]), 0)  # a long gap may have taken the reading itself out of the ring
            side.entered[held, s], side.fallen[held, s] = (then, _NO_TIME) if on else (_NO_TIME, then)
        if open_:
            self._waiting = np.concatenate((self._waiting, np.array(open_, np.int64)))
            self.counts[self._sources[s], NEW] -= len(open_)  # counted again when judged

    # --- the clock and the end -----------------------------------------------------------------------------------

    def tick(self, now: int) -> Transitions:
        """Tell the engine the time (s): series fall silent, colours nobody feeds become UNKNOWN, idle sources are judged to the end."""
        self.clock = max(self.clock, int(now))
        parts = []
        if self.idle:
            for source, mark in enumerate(self._marks):
                if mark[4] >= 0 and self.clock - mark[4] > self.idle:
                    parts.append(self._close(source))
        if self._ticks:
            newest, last = self.newest()
            colour = self.colour
            parts.append(tick_table(self.plan, self.clock, newest, last, colour, self._measured))
            self._colour[:] = colour[:, self._order]
            if self._side is not None:
                self._side.colour[:, self._aside == 1] = colour[:, self._aside == 1]
        return Transitions.join(parts, len(self.plan.measures))

    def finish(self) -> Transitions:
        """Judge everything sent so far: the stream has ended."""
        return Transitions.join([self._close(source) for source in range(len(self._marks))], len(self.plan.measures))

    def _close(self, source: int) -> Transitions:
        from . import kernels

        mark, parts = self._marks[source], []
        if self.grid is not None and mark[2] >= 0:
            while mark[3] < mark[2]:
                rows = kernels.close_one(source, self.grid.step, self.grid.phase, self._marks, self._ring, self._sums, self._colour, self._on, self._newest,
                                         self.clock, self._out, *self._flat)
                parts.append(self._taken(rows))
        if len(self._waiting):
            upto = np.full(len(self._marks), _NO_TIME, np.int64)
            upto[source] = mark[4]
            parts += self._release(upto=upto)
        if self.grid is None and mark[4] >= 0:
            mark[3] = max(mark[3], mark[4])
        elif self.grid is not None and mark[4] >= 0:
            mark[3] = max(mark[3], (mark[4] - self.grid.phase) // self.grid.step)
            mark[2] = max(mark[2], mark[3])
        return Transitions.join(parts, len(self.plan.measures))

    # --- reading the state -----------------------------------------------------------------------------------------

    @property
    def colour(self) -> Ints:
        """(G, S) as last judged."""
        out = self._colour[:, self._column].astype(np.int64)
        if self._side is not None:
            out[:, self._aside == 1] = self._side.colour[:, self._aside == 1]
        return out

    def newest(self) -> tuple[Ints, Ints]:
        """Newest time received of each series and the value there (what waits behind the watermark counts, too); (S,), (S,)."""
        newest, last = np.full(self.series, _NO_TIME, np.int64), np.zeros(self.series, np.int64)
        if self.grid is not None:
            missing = np.iinfo(self._ring.dtype).min
            newest = self._newest[self._column].copy() if self._ticks else newest
            for mark in self._marks:
                for b in range(max(int(mark[2]) - self._rows + 1, 0), int(mark[2]) + 1):
                    row = self._ring[b % self._rows, mark[0] : mark[1]]
                    hit = np.flatnonzero(row != missing)
                    mine = self._order[mark[0] + hit]
                    newest[mine], last[mine] = b * self.grid.step + self.grid.phase, row[hit]
        if self._side is not None:
            aside = self._aside == 1
            newest[aside], last[aside] = self._side.newest[aside], self._side.last[aside]
        for s, t, v in self._waiting[np.argsort(self._waiting[:, 1], kind="stable")].tolist():
            if t > newest[s]:
                newest[s], last[s] = t, v
        return newest, last

    def _measured(self, measure: Measure) -> Ints:
        """A measure at the newest *judged* reading of each series."""
        out = np.zeros(self.series, np.int64)
        place = self.plan.index_of[measure]
        if self.grid is not None:
            out[:] = self._sums[place][self._column]
        if self._side is not None:
            aside = self._aside == 1
            out[aside] = self._side._column(measure)[aside]
        return out

    _ARRAYS = ("_marks", "counts", "_ring", "_sums", "_colour", "_on", "_newest", "_aside", "_waiting")

    def snapshot(self) -> bytes:
        """The whole state; `restore` on an engine with the same rules goes on exactly as this one would."""
        file = io.BytesIO()
        side = np.frombuffer(self._side.snapshot(), np.uint8) if self._side is not None else np.zeros(0, np.uint8)
        np.savez(file, clock=np.int64(self.clock), side=side, **{name: getattr(self, name) for name in self._ARRAYS})
        return file.getvalue()

    def restore(self, data: bytes) -> None:
        """Undo of `snapshot`. ValueError when the snapshot is of other series or rules."""
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            if state["_colour"].shape != self._colour.shape or state["_ring"].shape != self._ring.shape or state["_sums"].shape != self._sums.shape:
                raise ValueError("the snapshot is of an engine with other series or rules")
            for name in self._ARRAYS:
                setattr(self, name, state[name].copy())
            self.clock, self._side = int(state["clock"]), None
            if len(state["side"]):
                self._side = Engine(self.series, self.rules, extra=self.plan.extra)
                self._side.restore(state["side"].tobytes())

