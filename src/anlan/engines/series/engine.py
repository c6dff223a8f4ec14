"""The engine that judges at once: batches of readings in, changes of colour out.

Meaning of "now". Every accepted reading re-judges its series at once, at the newest event time T the series has
shown so far, with everything that has arrived. A late reading therefore corrects the sums the moment it comes, and
cutting the same stream into other batches cannot change an answer: the result is that of taking readings one by one.

Cost of a reading: O(windows) on the grid; the same in a list of its own, + O(log n) and a shift when it came late;
+ O(w) for a rise over w readings. A tick is O(S), a snapshot O(everything kept).
"""
from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rules import INDEX, LEVEL, NEVER, NONE, RISE, UNKNOWN, AnyRule, Ints, Measure, Plan, Rule, Silence

NEW, DUPLICATE, CONFLICT, OLD, FUTURE, UNHEARD, RANGE = range(7)  # what became of a reading, see Folded.status
FATES = ("new", "duplicate", "conflict", "too_late", "future", "unknown", "out_of_range", "late")
_NO_TIME = -1
_LATEST = 1 << 40  # seconds; later is no time
_NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Grid:
    """Where most series' times lie: phase, phase + step, ... seconds. slack: by how much series may lag behind the newest."""

    step: int
    phase: int = 0
    slack: int = 0


@dataclass(frozen=True)
class Transitions:
    """Changes of colour, one element each, ordered by arrival of the reading that made them, then by rule.

    For a "silence" rule old and new are 0 reporting, 1 silent, 2 silent while rising.
    """

    arrival: Ints  # index of the reading in the batch; -1 from a tick or from an exact pass
    series: Ints
    time: Ints  # T of the series, or the tick's time
    rule: Ints  # index into the engine's rules
    old: Ints
    new: Ints
    value: Ints  # the sum, rise or level judged, in quanta; for silence: seconds since T
    reading: Ints  # time of the reading that made it; for a tick: T
    measures: Ints = field(default_factory=lambda: np.zeros((0, 0), np.int64))  # (k, M): every measure of Plan.measures at T

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def of(cls, table: Ints) -> Transitions:
        """From the kernels' rows."""
        return cls(*(table[:, column] for column in range(8)), measures=table[:, 8:])  # type: ignore[misc]

    @classmethod
    def join(cls, parts: Sequence[Transitions], measures: int = 0) -> Transitions:
        names = [name for name in cls.__dataclass_fields__ if name != "measures"]
        columns = [np.concatenate([getattr(part, name) for part in parts]) if parts else _NOTHING for name in names]
        shown = np.concatenate([part.measures for part in parts]) if parts else np.zeros((0, measures), np.int64)
        return cls(*columns, shown)  # type: ignore[call-arg]

    def pick(self, chosen: Any) -> Transitions:
        """Some of them: a mask or indices."""
        return Transitions(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    def rows(self) -> list[tuple[int, ...]]:
        """(series, time, rule, old, new, value, reading) as plain tuples, for comparing and printing."""
        columns = (self.series, self.time, self.rule, self.old, self.new, self.value, self.reading)
        return list(zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True)
class Folded:
    """What a batch did.

    status  int8 (b,): NEW; DUPLICATE (same series, time and value: ignored); CONFLICT (same series and time, another
            value: ignored, to be counted); OLD (now: further back than `keep`, taken on trust as not yet seen, moves only
            hysteresis, since no window reaches it; exact: behind the watermark, ignored); FUTURE (ahead of the clock given:
            ignored); UNHEARD (series -1: ignored); RANGE (more than 2**31 - 2 quanta: ignored)
    late    bool (b,): came after a reading of its series with a newer or equal event time
    same_s  int64 (b,): for how many seconds of event time the value has been exactly the same (0 for late ones)
    """

    status: NDArray[np.int8]
    late: NDArray[np.bool_]
    same_s: Ints
    transitions: Transitions


def silence(now: int, newest: Ints, after: Ints, measure: Ints, rising_from: Ints) -> Ints:
    """0 reporting, 1 silent, 2 silent while rising, for each series at time `now`.

    newest: T of each series (-1 = never heard: not silent, since nothing was promised yet); measure: its rise (or sum)
    as last judged. A gauge that a flood tears away stops reporting; the rise just before is the evidence left.
    """
    silent = (newest >= 0) & (after > 0) & (now - newest > after)
    return np.where(silent, np.where(measure >= rising_from, 2, 1), 0).astype(np.int64)


def stale(now: int, newest: Ints, colour: Ints, stale_after: int | Ints) -> NDArray[np.bool_]:
    """Which colours are no longer known: raised, and nothing heard for `stale_after` seconds (0 = never stale).

    A silent gauge must not stay red for ever, and must not turn green either.
    """
    return (colour > NONE) & (np.asarray(stale_after) > 0) & (now - newest > stale_after)


class Columns:
    """Turns columns into the few types the kernels are compiled for: int32, int64, int64.

    Into the same memory every time: fresh pages for each batch would cost as much as judging it.
    """

    def __init__(self, *types: type) -> None:
        self._kept: list[NDArray] = [np.zeros(0, each) for each in types or (np.int32, np.int64, np.int64)]

    def of(self, *columns: Any) -> tuple[NDArray, NDArray, NDArray]:
        """Series, time, value; valid until the next call."""
        out = []
        for place, given in enumerate(columns):
            column, kept = np.asarray(given), self._kept[place]
            if column.dtype != kept.dtype or not column.flags.carray:
                if len(kept) < len(column):
                    self._kept[place] = kept = np.zeros(len(column), kept.dtype)
                np.copyto(kept[: len(column)], column, casting="unsafe")
                column = kept[: len(column)]
            out.append(column)
        return out[0], out[1], out[2]


def tick_table(plan: Plan, clock: int, newest: Ints, last: Ints, colour: Ints, measured: Any) -> Transitions:
    """What a clock's tick changes; writes `colour` (G, S). measured(measure) -> (S,) at each series' T."""
    parts = []
    for index, signal in enumerate(plan.signals):
        old = colour[index].copy()
        if isinstance(signal, Silence):
            after = np.broadcast_to(np.asarray(signal.after, np.int64), newest.shape)
            rising = measured(signal.measure) if signal.measure is not None else np.zeros(len(newest), np.int64)
            new = silence(clock, newest, after, rising, np.asarray(signal.rising_from) if signal.measure is not None else np.asarray(NEVER))
            new = np.where((old > 0) & (new > 0), old, new)  # what it was when it fell silent stays true
            shown = clock - newest
        else:
            new = np.where(stale(clock, newest, old, signal.stale_after), UNKNOWN, old)
            shown = last
        hit = np.flatnonzero(old != new)
        if len(hit):
            values = np.stack([measured(m)[hit] for m in plan.measures], 1) if plan.measures else np.zeros((len(hit), 0), np.int64)
            parts.append(Transitions(np.full(len(hit), -1, np.int64), hit, np.full(len(hit), clock, np.int64), np.full(len(hit), index, np.int64),
                                     old[hit], new[hit], shown[hit], newest[hit], values))
            colour[index] = new
    found = Transitions.join(parts, len(plan.measures))
    return found.pick(np.lexsort((found.rule, found.series)))


class Engine:
    """State of S series under a list of rules, judged at once. Inputs are never changed."""

    def __init__(self, series: int, rules: Sequence[AnyRule], keep: int | None = None, *, grid: Grid | None = None,
                 sources: Any = None, extra: Sequence[Measure] = (), ahead: int = 600) -> None:
        """keep: how far behind T readings are remembered, seconds; at least the longest window (the default).
        grid: where most series' times lie; without it every series has a list of its own. sources: source number of each
        series, for the counts. extra: measures to report with each change besides those the rules judge. ahead: seconds a
        reading may be ahead of the clock told with it."""
        self.plan = Plan(series, list(rules), extra)
        self.series, self.rules = series, list(rules)
        self.keep = max(self.plan.longest, keep or 0)
        self.grid, self.ahead = grid, ahead
        self.clock = _NO_TIME  # time of the last tick
        signals, measures = len(self.rules), len(self.plan.measures)
        self._signals, self._measures = signals, measures
        self._hot = _lines(series, 1 + signals + measures)
        self._tail = np.zeros((series, 2), np.int64)
        self._hot[:, 0] = self._tail[:, 1] = _NO_TIME
        self.entered = np.full((self.plan.memory, series), _NO_TIME, np.int64)
        self.fallen = np.full((self.plan.memory, series), _NO_TIME, np.int64)
        self._where = np.zeros(series, np.uint8)
        step, slack = (grid.step, max(-(-grid.slack // grid.step), 12)) if grid else (0, 0)
        self._rows = self.keep // step + slack + 3 if step else 0
        self._ring = np.full((self._rows, series), np.iinfo(np.int16).min, np.int16)
        self._turned = np.array([-1, step, grid.phase if grid else 0, slack, 0], np.int64)
        self._lists = np.zeros((series, 3 + measures), np.int64)
        self._pool, self._end = np.zeros((0 if step else 8 * series, 2), np.int64), np.zeros(1, np.int64)
        self._source = np.asarray(sources, np.int64) if sources is not None else _NOTHING
        self.counts = np.zeros((int(self._source.max(initial=0)) + 2, 8), np.int64)  # by source, the last for series -1; FATES
        self._columns = Columns()
        self._flatten()

    def _flatten(self) -> None:
        self._flat = self.plan.flat()
        self._bins = self.plan.flat(self.grid.step).window if self.grid else _NOTHING
        self._plain = all(m.kind == "sum" for m in self.plan.measures) and not any(isinstance(signal, Silence) for signal in self.plan.signals)
        self._out = np.empty((max(4096, 2 * len(self.rules)), 8 + self._measures), np.int64)

    # Columns of the state, to read and to set: T, the value there, since when it has been the same, colours (G, S).
    @property
    def newest(self) -> Ints:
        return self._hot[:, 0]

    @property
    def last(self) -> Ints:
        return self._tail[:, 0]

    @property
    def since(self) -> Ints:
        return self._tail[:, 1]

    @property
    def colour(self) -> Ints:
        return self._hot[:, 1 : 1 + self._signals].T

    # --- folding -----------------------------------------------------------------------------------------------

    def fold(self, series: Any, time: Any, value: Any, clock: Any = None) -> Folded:
        """Take a batch in order of arrival: series index (-1 = of no series known), event time (s), value (quanta); each (b,).
        clock: the receiver's time at each reading (b,), against which the future is told."""
        from . import kernels

        series, time, value = self._columns.of(series, time, value)
        size = len(series)
        status, late, same = np.zeros(size, np.int8), np.zeros(size, bool), np.zeros(size, np.int64)
        if not size:
            return Folded(status, late, same, Transitions.join([], self._measures))
        if series.min() < -1 or series.max() >= self.series or time.min() < 0 or time.max() >= _LATEST:
            raise ValueError("series or time outside the engine's range")
        clocks = np.require(clock, np.int64, ["C", "W"]) if clock is not None else _NOTHING
        parts, at = [], 0
        while True:
            at, rows, why = kernels.take(
                series, time, value, clocks, self.ahead, at, self.keep, self._bins, self._plain, self._hot, self._tail, self.entered, self.fallen, self._where,
                self._ring, self._turned, self._lists, self._pool, self._end, self._source, self.counts, status, late, same, self.clock, self._out,
                *self._flat,
            )
            if rows:
                parts.append(self._out[:rows].copy())
            if why == kernels.DONE:
                break
            self._make_room(why)
        table = np.concatenate(parts) if parts else np.zeros((0, self._out.shape[1]), np.int64)
        return Folded(status, late, same, Transitions.of(table))

    def _make_room(self, why: int) -> None:
        from . import kernels

        if why == kernels.WIDEN:
            self._ring = widened(self._ring)
        elif why == kernels.POOL:
            larger = np.zeros((max(1024, 2 * len(self._pool), 64 * int((self._where == kernels.LIST).sum())), 2), np.int64)
            larger[: self._end[0]] = self._pool[: self._end[0]]
            self._pool = larger
        elif len(self._out) < 1 << 16:
            self._out = np.empty((4 * len(self._out), self._out.shape[1]), np.int64)

    # --- the clock ---------------------------------------------------------------------------------------------

    def tick(self, now: int) -> Transitions:
        """Tell the engine the time (s): series fall silent, colours nobody feeds any more become UNKNOWN."""
        self.clock = max(self.clock, int(now))
        return tick_table(self.plan, self.clock, self.newest, self.last, self.colour, self._column)

    def _column(self, measure: Measure) -> Ints:
        return self._hot[:, 1 + self._signals + self.plan.index_of[measure]]

    # --- keeping -----------------------------------------------------------------------------------------------

    def readings(self, chosen: Any = None) -> tuple[Ints, Ints, Ints]:
        """Everything a window can still reach, of all series or those chosen (a mask): series, time, value, sorted by series and time."""
        parts: list[tuple[Ints, Ints, Ints]] = []
        chosen = np.ones(self.series, bool) if chosen is None else chosen
        counts = np.where(chosen, self._lists[:, 1], 0)
        owners = np.flatnonzero(counts)
        if len(owners):
            count = counts[owners]
            places = np.repeat(self._lists[owners, 0] - (np.cumsum(count) - count), count) + np.arange(count.sum())
            parts.append((np.repeat(owners, count), self._pool[places, 0], self._pool[places, 1]))
        if self._turned[0] >= 0:
            top, step, phase, rows = int(self._turned[0]), int(self._turned[1]), int(self._turned[2]), self._rows
            for b in range(max(top - rows + 1, 0), top + 1):
                row = self._ring[b % rows]
                held = np.flatnonzero((row != np.iinfo(row.dtype).min) & chosen)
                parts.append((held, np.full(len(held), b * step + phase, np.int64), row[held].astype(np.int64)))
        if not parts:
            return _NOTHING, _NOTHING, _NOTHING
        series, time, value = (np.concatenate(column) for column in zip(*parts, strict=True))
        alive = time > self.newest[series] - self.keep - 1
        order = np.lexsort((time[alive], series[alive]))
        return series[alive][order], time[alive][order], value[alive][order]

    def prime(self, series: Any, time: Any, value: Any) -> None:
        """Put readings back without judging them (restart from stored history), after `newest` and `last` were set."""
        from . import kernels

        series, time, value = self._columns.of(series, time, value)
        order = np.lexsort((time, series))
        series, time, value = series[order], time[order], value[order]
        if (self._where[series] == kernels.RING).any():
            raise ValueError("a series that is being judged on the grid cannot be primed")
        self._where[series] = kernels.LIST
        at, why = 0, -1
        while why != kernels.DONE:
            at, why = kernels.list_prime(series, time, value, self.keep, at, self._hot, self._tail, self._lists, self._pool, self._end, self._signals, *self._flat)
            if why == kernels.POOL:
                self._make_room(why)

    def forget(self, series: Ints) -> None:
        """Know nothing of these series any more but their colours: what is stored of them has changed, and is put back as by a restart."""
        self._hot[series, 0], self._hot[series, 1 + self._signals :], self._tail[series] = _NO_TIME, 0, (0, _NO_TIME)
        self.entered[:, series] = self.fallen[:, series] = _NO_TIME
        self._ring[:, series] = np.iinfo(self._ring.dtype).min
        self._where[series], self._lists[series, 1], self._lists[series, 3:] = 0, 0, 0

    def resize(self, series: int) -> None:
        """Room for more series at the end. No rule applies to them until `amend` says so; rules must be tables (`Rule`)."""
        more = series - self.series
        if more < 0 or not all(isinstance(rule, Rule) for rule in self.rules):
            raise ValueError("an engine only grows, and only under tables of rules")
        self.rules = [
            replace(
                rule, thresholds=np.pad(rule.thresholds, ((0, more), (0, 0)), constant_values=NEVER),
                hysteresis=None if rule.hysteresis is None else np.pad(rule.hysteresis, (0, more)), after=None if rule.after is None else np.pad(rule.after, (0, more)),
            )
            for rule in self.rules
            if isinstance(rule, Rule)
        ]
        self.plan, self.series = Plan(series, self.rules, self.plan.extra), series
        hot = _lines(series, self._hot.shape[1])
        hot[: series - more], hot[series - more :, 0] = self._hot, _NO_TIME
        self._hot = hot
        self._tail = np.concatenate((self._tail, np.tile(np.array([0, _NO_TIME], np.int64), (more, 1))))
        for name in ("entered", "fallen"):
            setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more)), constant_values=_NO_TIME))
        self._where = np.pad(self._where, (0, more))
        self._lists = np.pad(self._lists, ((0, more), (0, 0)))
        self._ring = np.pad(self._ring, ((0, 0), (0, more)), constant_values=np.iinfo(self._ring.dtype).min)
        if len(self._source):
            self._source = np.pad(self._source, (0, more))
        self._flatten()

    def amend(self, series: Ints, rules: Sequence[Rule]) -> None:
        """Say what the rules of these series are from now on; `rules` are the same ones, speaking of these only. After `resize`, which copied
        the tables: those first given are never written. Of series heard already, `relearn` level rules whose limits are others, and `rejudge`."""
        new = Plan(len(rules[0].thresholds) if rules else 0, list(rules), self.plan.extra)
        if len(rules) != len(self.rules) or (rules and new.series != len(series)) or series.max(initial=-1) >= self.series or new.measures != self.plan.measures:
            raise ValueError("other rules, or of other series")
        if not rules:
            return
        self.plan.table[:, series] = new.table
        for own, rule in zip(self.rules, rules, strict=True):
            for name in ("thresholds", "hysteresis", "after"):
                if (values := getattr(own, name)) is not None:
                    values[series] = getattr(rule, name)

    def relearn(self, index: int, series: Ints) -> None:
        """Work the hysteresis of a level rule out again from the readings kept, for these series (limits changed)."""
        held = self.plan.held[index]
        chosen = np.zeros(self.series, bool)
        chosen[series] = True
        which, time, value = self.readings(chosen)
        for j in range(self._flat.first[index], self._flat.first[index + 1]):
            row = int(self._flat.held[j])
            if row not in held:
                continue
            self.entered[row, series], self.fallen[row, series] = _NO_TIME, _NO_TIME
            limit = self._flat.table[self._flat.row[j]][which] if self._flat.row[j] >= 0 else np.full(len(which), self._flat.limit[j])
            slack = self._flat.table[self._flat.slack_row[j]][which] if self._flat.slack_row[j] >= 0 else np.full(len(which), self._flat.slack[j])
            real = limit != NEVER
            up, down = real & (value >= limit), real & (value < limit - slack)
            np.maximum.at(self.entered[row], which[up], time[up])
            np.maximum.at(self.fallen[row], which[down], time[down])

    def rejudge(self, series: Ints | None = None) -> Transitions:
        """Judge every series heard so far, or of these, again, at its T, under the rules as they are now; UNKNOWN stays UNKNOWN.

        For the moment after rules or thresholds changed. Silence is the clock's business and is left alone.
        """
        from . import kernels

        series = np.arange(self.series) if series is None else np.unique(series)
        series = series[self.newest[series] >= 0]
        before = self.colour[:, series]
        unknown = before == UNKNOWN
        out = np.empty((len(series) * len(self.rules) + 1, 8 + self._measures), np.int64)
        rows = kernels.judge_all(series, self._hot, self.entered, self.fallen, self.clock, out, *self._flat)
        self.colour[:, series] = np.where(unknown, UNKNOWN, self.colour[:, series])
        found = Transitions.of(out[:rows])
        found = found.pick(found.old != UNKNOWN)
        return found.pick(np.lexsort((found.series, found.rule)))

    def measured(self, kind: str, window: int) -> Ints:
        """A measure the rules or `extra` name, at each series' T, quanta (S,); 0 for series never heard."""
        return self._column(Measure(kind, window)).copy()

    def may_rise(self, series: int, total: int, lowest: int, highest: int) -> bool:
        """Whether readings of this series that come to `total`, none below `lowest` or above `highest` (quanta), could raise a colour, in
        whatever order and however late. True in doubt: that something leaves a window meanwhile is not reckoned with."""
        hot, flat = self._hot[series], self._flat
        if hot[0] < 0:
            return True
        last = int(self._tail[series, 0])
        for signal in range(self._signals):
            held = hot[1 + signal]
            for term in range(flat.first[signal], flat.first[signal + 1]):
                limit = flat.table[flat.row[term], series] if flat.row[term] >= 0 else flat.limit[term]
                if limit == NEVER or flat.colour[term] <= held:
                    continue
                measure = flat.measure[term]
                kind, now = flat.kind[measure], int(hot[1 + self._signals + measure])
                if kind == LEVEL:
                    most = highest
                elif kind == RISE:
                    most = max(last, highest) - min(last - now, lowest)
                elif kind == INDEX:
                    return True
                else:
                    most = now + total
                if most >= limit:
                    return True
        return False

    _ARRAYS = ("_hot", "_tail", "entered", "fallen", "_where", "_turned", "counts")

    def snapshot(self) -> bytes:
        """The whole state; `restore` on an engine with the same rules goes on exactly as this one would."""
        listed = np.flatnonzero(self._lists[:, 1])
        count = self._lists[listed, 1]
        places = np.repeat(self._lists[listed, 0] - (np.cumsum(count) - count), count) + np.arange(count.sum())
        file = io.BytesIO()
        np.savez(file, ring=self._ring, listed=listed, count=count, readings=self._pool[places], pointers=self._lists[listed, 3:],
                 clock=np.int64(self.clock), **{name: getattr(self, name) for name in self._ARRAYS})
        return file.getvalue()

    def restore(self, data: bytes) -> None:
        """Undo of `snapshot`. ValueError when the snapshot is of another number of series or rules."""
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            if state["_hot"].shape != self._hot.shape or state["ring"].shape != self._ring.shape or state["entered"].shape != self.entered.shape:
                raise ValueError("the snapshot is of an engine with other series or rules")
            for name in self._ARRAYS:
                setattr(self, name, state[name].copy())
            self._hot = _lines(*state["_hot"].shape)
            self._hot[:] = state["_hot"]
            self._ring, self.clock = state["ring"].copy(), int(state["clock"])
            listed, count, readings = state["listed"], state["count"], state["readings"]
            self._lists = np.zeros_like(self._lists)
            self._lists[listed, 0], self._lists[listed, 1], self._lists[listed, 2] = np.cumsum(count) - count, count, count
            self._lists[listed, 3:] = state["pointers"]
            self._pool, self._end = readings.copy(), np.array([len(readings)], np.int64)


def _lines(rows: int, columns: int) -> Ints:
    """Zeros (rows, columns rounded up to 8), each row on cache lines of its own: a reading then waits for one line, not two."""
    width = -(-columns // 8) * 8
    block = np.zeros(rows * width + 8, np.int64)
    start = -block.ctypes.data % 64 // 8
    return block[start : start + rows * width].reshape(rows, width)


def widened(ring: NDArray) -> NDArray:
    """The ring with 32 bits a value."""
    wide = ring.astype(np.int32)
    wide[ring == np.iinfo(ring.dtype).min] = np.iinfo(np.int32).min
    return wide
