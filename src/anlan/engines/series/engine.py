"""The rule engine: batches of readings in, changes of colour out.

Meaning of "now". Every accepted reading re-judges its series at once, at the newest event time T the series has
shown so far, with everything that has arrived. A late reading therefore corrects the sums the moment it comes, and
cutting the same stream into other batches cannot change an answer: the result is that of taking readings one by one.

Cost, with b readings in a batch, n readings kept, S series, w readings in a window and k = readings of one series
in the batch that came out of order (usually 0 or 1):
  fold      O(b log n) for sums and levels, + O(b w) for rises, in k + 1 vector passes
            (+ O(n) amortised: sorted runs are merged geometrically, each reading O(log n) times)
  tick      O(S)
  snapshot  O(n + S)
"""
from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

UNKNOWN, NONE, BLUE, YELLOW, ORANGE, RED = -1, 0, 1, 2, 3, 4  # colours, and "we no longer know"
NEVER = np.iinfo(np.int64).max  # a threshold nothing reaches: the rule does not apply to that series
NEW, DUPLICATE, CONFLICT, OLD = 0, 1, 2, 3  # what became of a reading, see Folded.status
_TIME_BITS = 34  # seconds since 1970 fit until the year 2514; leaves 2^29 series
_NO_TIME = -1
_MERGE_FACTOR = 4


@dataclass(frozen=True)
class Rule:
    """One rule over all series of an engine.

    kind        "sum"      sum over (T - window, T] >= threshold
                "rise"     value at T minus lowest value in [T - window, T] >= threshold
                "level"    value >= threshold; falls back only below threshold - hysteresis
                "silence"  no reading for longer than `after`; see `silence`
    windows     int64 (4,), seconds, for blue..red; the CMA rainstorm table has another window for each colour.
                For "silence" windows[0] is the window of its measure.
    thresholds  int64 (S, 4), quanta, for blue..red; NEVER where a colour or the rule does not apply.
                For "silence" column 0: the measure from which a silent series counts as rising.
    hysteresis  int64 (S,), quanta ("level" only)
    after       int64 (S,), seconds ("silence" only; 0 = this series may be silent)
    stale_after seconds after T from which a colour is no longer known
    measure     "rise" or "sum": what "rising" means for "silence"
    """

    kind: str
    windows: Ints
    thresholds: Ints
    hysteresis: Ints | None = None
    after: Ints | None = None
    stale_after: int = 0
    measure: str = "rise"

    def __post_init__(self) -> None:
        if self.kind not in ("sum", "rise", "level", "silence"):
            raise ValueError(f"unknown kind of rule: {self.kind!r}")
        if self.thresholds.ndim != 2 or self.thresholds.shape[1] != 4 or self.windows.shape != (4,):
            raise ValueError("thresholds must be (series, 4) and windows (4,)")


@dataclass(frozen=True)
class Transitions:
    """Changes of colour, one element each, ordered by arrival of the reading that made them, then by rule.

    For a "silence" rule old and new are 0 reporting, 1 silent, 2 silent while rising.
    """

    arrival: Ints  # index of the reading in the batch; -1 from a tick
    series: Ints
    time: Ints  # T of the series, or the tick's time
    rule: Ints  # index into the engine's rules
    old: Ints
    new: Ints
    value: Ints  # the sum, rise or level judged, in quanta; for silence: seconds since T
    reading: Ints  # time of the reading that made it; for a tick: T

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def join(cls, parts: list[Transitions]) -> Transitions:
        names = cls.__dataclass_fields__
        if not parts:
            return cls(**{name: np.zeros(0, np.int64) for name in names})
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        order = np.lexsort((columns["rule"], columns["series"], columns["arrival"]))
        return cls(**{name: column[order] for name, column in columns.items()})

    def rows(self) -> list[tuple[int, ...]]:
        """(series, time, rule, old, new, value, reading) as plain tuples, for comparing and printing."""
        columns = (self.series, self.time, self.rule, self.old, self.new, self.value, self.reading)
        return list(zip(*(column.tolist() for column in columns), strict=True))


@dataclass(frozen=True)
class Folded:
    """What a batch did.

    status  int8 (b,): NEW; DUPLICATE (same series, time and value: ignored); CONFLICT (same series and time, another
            value: ignored, to be counted); OLD (further back than `keep`: taken on trust as not yet seen; moves only
            hysteresis, since no window reaches it).
    late    bool (b,): came after a reading of its series with a newer or equal event time
    same_s  int64 (b,): for how many seconds of event time the value has been exactly the same (0 for late ones)
    """

    status: NDArray[np.int8]
    late: NDArray[np.bool_]
    same_s: Ints
    transitions: Transitions


@dataclass
class _Run:
    """Readings sorted by key = series << 34 | time, with running sums, so that any window sum is two look-ups."""

    key: Ints
    value: Ints
    total: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.total = np.zeros(len(self.value) + 1, np.int64)
        np.cumsum(self.value, out=self.total[1:])


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


class Engine:
    """State of S series under a list of rules. Inputs are never changed."""

    def __init__(self, series: int, rules: list[Rule], keep: int | None = None) -> None:
        """keep: how far behind T readings are remembered, seconds; at least the longest window (the default)."""
        for rule in rules:
            if len(rule.thresholds) != series:
                raise ValueError(f"a rule speaks of {len(rule.thresholds)} series, the engine has {series}")
        self.series, self.rules = series, list(rules)
        longest = max((int(rule.windows.max()) for rule in rules), default=0)
        self.keep = max(longest, keep or 0)
        self.runs: list[_Run] = []
        self.newest = np.full(series, _NO_TIME, np.int64)
        self.last = np.zeros(series, np.int64)  # value at newest
        self.since = np.full(series, _NO_TIME, np.int64)  # since when the value at newest is unchanged
        self.clock = _NO_TIME  # time of the last tick
        self.colour = np.zeros((len(rules), series), np.int64)
        self.measure = np.zeros((len(rules), series), np.int64)  # rise or sum as last judged, for silence
        # Colour >= k  <=>  last reached later than last fallen. Two maxima of event times, so late readings need no
        # second pass over history, however long a level hovers inside its band.
        self.entered = np.full((len(rules), series, 4), _NO_TIME, np.int64)
        self.fallen = np.full((len(rules), series, 4), _NO_TIME, np.int64)

    # --- folding -----------------------------------------------------------------------------------------------

    def fold(self, series: Ints, time: Ints, value: Ints) -> Folded:
        """Take a batch in order of arrival: series index, event time (s), value (quanta); each int64 (b,)."""
        series, time, value = (np.asarray(column, np.int64) for column in (series, time, value))
        size = len(series)
        status, late, same = np.zeros(size, np.int8), np.zeros(size, bool), np.zeros(size, np.int64)
        if not size:
            return Folded(status, late, same, Transitions.join([]))
        if series.min() < 0 or series.max() >= self.series or time.min() < 0 or time.max() >= 1 << _TIME_BITS:
            raise ValueError("series or time outside the engine's range")
        order = np.argsort(series, kind="stable")
        grouped, times = series[order], time[order]
        starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
        group = np.cumsum(np.r_[True, grouped[1:] != grouped[:-1]]) - 1
        # Newest time before each reading: a running maximum that cannot leak between groups, as the group is on top.
        lifted = (group << _TIME_BITS) | times
        before = np.empty_like(lifted)
        before[1:] = np.maximum.accumulate(lifted)[:-1]
        before[starts] = group[starts] << _TIME_BITS
        known = self.newest[grouped]
        before = np.maximum(before - (group << _TIME_BITS), np.maximum(known, 0))
        first_ever = (known < 0) & np.isin(np.arange(size), starts, assume_unique=True)
        is_late = (times <= before) & ~first_ever
        # A reading out of order opens a new pass of its series: within a pass times only rise, so everything in it may
        # be put in at once, and looking back from each T finds exactly what had arrived.
        opened = np.cumsum(is_late)
        passes = opened - (opened[starts] - is_late[starts])[group]
        parts: list[Transitions] = []
        for number in range(int(passes.max()) + 1):
            chosen = order[passes == number] if number or passes.any() else order
            parts += self._pass(chosen, series[chosen], time[chosen], value[chosen], status, same)
        late[order] = is_late
        return Folded(status, late, same, Transitions.join(parts))

    def _pass(self, arrival: Ints, series: Ints, time: Ints, value: Ints, status: NDArray, same: Ints) -> list[Transitions]:
        """One pass: sorted by series, times strictly rising within a series (only its first may be late)."""
        fate = self._fate(series, time, value)
        status[arrival] = fate
        taken = fate == NEW
        old = fate == OLD
        # OLD ones touch hysteresis only, but that may change the colour at T.
        taken = taken | old
        if not taken.any():
            return []
        arrival, series, time, value, fate = arrival[taken], series[taken], time[taken], value[taken], fate[taken]
        starts = np.r_[True, series[1:] != series[:-1]]
        ends = np.r_[starts[1:], True]
        known = self.newest[series]
        advances = (fate == NEW) & (time > known)  # false at most for the first of a series
        at = np.where(advances, time, known)  # T for each reading
        newest_value = np.where(advances, value, self.last[series])
        previous = np.where(starts, self.last[series], np.r_[0, newest_value[:-1]])
        changed = advances & ((newest_value != previous) | (starts & (known < 0)))
        since = self._since(series, starts, changed, at)
        same[arrival] = np.where(advances, at - since, 0)
        fresh = fate == NEW
        if fresh.any():
            self._insert(_Run((series[fresh] << _TIME_BITS) | time[fresh], value[fresh]))
        parts = []
        for index, rule in enumerate(self.rules):
            colours, evidence = self._judge(index, rule, series, starts, time, value, fate, at, newest_value)
            parts += self._changes(index, arrival, series, starts, ends, at, time, colours, evidence)
        self.newest[series[ends]] = at[ends]
        self.last[series[ends]] = newest_value[ends]
        self.since[series[ends]] = since[ends]
        return parts

    def _fate(self, series: Ints, time: Ints, value: Ints) -> NDArray[np.int8]:
        key = (series << _TIME_BITS) | time
        fate = np.zeros(len(key), np.int8)
        for run in self.runs:
            place = np.searchsorted(run.key, key)
            inside = place < len(run.key)
            hit = np.zeros(len(key), bool)
            hit[inside] = run.key[place[inside]] == key[inside]
            equal = np.zeros(len(key), bool)
            equal[hit] = run.value[place[hit]] == value[hit]
            fate[hit] = np.where(equal[hit], DUPLICATE, CONFLICT)
        known = self.newest[series]
        # Judged by time, not by what merging has thrown away already: the answer must not depend on house-keeping.
        fate[(known >= 0) & (time <= known - self.keep) & (time != known)] = OLD
        return fate

    def _since(self, series: Ints, starts: NDArray, changed: NDArray, at: Ints) -> Ints:
        group = np.cumsum(starts) - 1
        mark = np.where(changed, at, np.where(starts, np.maximum(self.since[series], 0), 0))
        return np.maximum.accumulate((group << _TIME_BITS) | mark) - (group << _TIME_BITS)

    def _insert(self, run: _Run) -> None:
        self.runs.append(run)
        while len(self.runs) > 1 and len(self.runs[-2].key) < _MERGE_FACTOR * len(self.runs[-1].key):
            last, other = self.runs.pop(), self.runs.pop()
            key, value = np.concatenate((other.key, last.key)), np.concatenate((other.value, last.value))
            # Readings no window can reach any more are left behind here; _fate does not rely on them.
            alive = (key & ((1 << _TIME_BITS) - 1)) > self.newest[key >> _TIME_BITS] - self.keep - 1
            key, value = key[alive], value[alive]
            order = np.argsort(key, kind="stable")
            self.runs.append(_Run(key[order], value[order]))

    # --- judging -----------------------------------------------------------------------------------------------

    def _sum(self, series: Ints, at: Ints, window: int) -> Ints:
        base, total = series << _TIME_BITS, np.zeros(len(series), np.int64)
        for run in self.runs:
            high = np.searchsorted(run.key, base + at, side="right")
            low = np.searchsorted(run.key, base + np.maximum(at - window, -1), side="right")
            total += run.total[high] - run.total[low]
        return total

    def _lowest(self, series: Ints, at: Ints, window: int) -> Ints:
        base, lowest = series << _TIME_BITS, np.full(len(series), NEVER, np.int64)
        for run in self.runs:
            high = np.searchsorted(run.key, base + at, side="right")
            low = np.searchsorted(run.key, base + np.maximum(at - window, 0), side="left")
            count = high - low
            some = np.flatnonzero(count > 0)
            if not len(some):
                continue
            count = count[some]
            offsets = np.cumsum(count) - count
            flat = np.arange(count.sum()) + np.repeat(low[some] - offsets, count)
            lowest[some] = np.minimum(lowest[some], np.minimum.reduceat(run.value[flat], offsets))
        return lowest

    def _windowed(self, kind: str, series: Ints, at: Ints, value: Ints, window: int) -> Ints:
        return self._sum(series, at, window) if kind == "sum" else value - self._lowest(series, at, window)

    def _judge(self, index: int, rule: Rule, series: Ints, starts: NDArray, time: Ints, value: Ints, fate: NDArray,
               at: Ints, newest_value: Ints) -> tuple[Ints, Ints]:
        """Colour after each reading, and the value behind it for each of the four colours: (m,), (m, 4)."""
        size = len(series)
        colours, evidence = np.zeros(size, np.int64), np.zeros((size, 4), np.int64)
        limit = rule.thresholds[series]
        if rule.kind in ("sum", "rise"):
            done: dict[int, Ints] = {}
            for colour in range(4):
                window = int(rule.windows[colour])
                if window not in done:
                    done[window] = self._windowed(rule.kind, series, at, newest_value, window)
                evidence[:, colour] = done[window]
                colours[(done[window] >= limit[:, colour]) & (limit[:, colour] != NEVER)] = colour + 1
        elif rule.kind == "level":
            evidence[:] = newest_value[:, None]
            floor = np.where(limit == NEVER, limit, limit - rule.hysteresis[series][:, None])  # type: ignore[index]
            group = np.cumsum(starts) - 1
            lift = group << _TIME_BITS
            ends = np.r_[starts[1:], True]
            for colour in range(4):
                # +1 keeps "never" (-1) representable as 0 under the group bits.
                up = np.where((value >= limit[:, colour]) & (limit[:, colour] != NEVER), time + 1, 0)
                down = np.where(value < floor[:, colour], time + 1, 0)
                up = np.where(starts, np.maximum(up, self.entered[index, series, colour] + 1), up)
                down = np.where(starts, np.maximum(down, self.fallen[index, series, colour] + 1), down)
                up = np.maximum.accumulate(lift | up) - lift - 1
                down = np.maximum.accumulate(lift | down) - lift - 1
                colours[(up >= 0) & (up >= down)] = colour + 1
                self.entered[index, series[ends], colour] = up[ends]
                self.fallen[index, series[ends], colour] = down[ends]
        else:
            measure = self._windowed(rule.measure, series, at, newest_value, int(rule.windows[0]))
            ends = np.r_[starts[1:], True]
            self.measure[index, series[ends]] = measure[ends]
            still = self.clock - at > rule.after[series]  # type: ignore[index]
            colours = np.where(still, self.colour[index, series], NONE)
            evidence[:] = np.maximum(self.clock - at, 0)[:, None]
        return colours, evidence

    def _changes(self, index: int, arrival: Ints, series: Ints, starts: NDArray, ends: NDArray, at: Ints, time: Ints,
                 colours: Ints, evidence: Ints) -> list[Transitions]:
        old = np.where(starts, self.colour[index, series], np.r_[0, colours[:-1]])
        self.colour[index, series[ends]] = colours[ends]
        hit = np.flatnonzero(old != colours)
        if not len(hit):
            return []
        # A rise is shown by the value that reached the new colour, a fall by the one that no longer holds the old.
        column = np.clip(np.where(colours[hit] > 0, colours[hit], old[hit]) - 1, 0, 3)
        return [Transitions(arrival[hit], series[hit], at[hit], np.full(len(hit), index, np.int64), old[hit],
                            colours[hit], evidence[hit, column], time[hit])]

    # --- the clock ---------------------------------------------------------------------------------------------

    def tick(self, now: int) -> Transitions:
        """Tell the engine the time (s): series fall silent, colours nobody feeds any more become UNKNOWN."""
        self.clock = max(self.clock, int(now))
        parts = []
        for index, rule in enumerate(self.rules):
            old = self.colour[index]
            if rule.kind == "silence":
                new = silence(self.clock, self.newest, rule.after, self.measure[index], rule.thresholds[:, 0])  # type: ignore[arg-type]
                new = np.where((old > 0) & (new > 0), old, new)  # what it was when it fell silent stays true
            else:
                new = np.where(stale(self.clock, self.newest, old, rule.stale_after), UNKNOWN, old)
            hit = np.flatnonzero(old != new)
            if len(hit):
                gone = self.clock - self.newest[hit]
                parts.append(Transitions(np.full(len(hit), -1, np.int64), hit, np.full(len(hit), self.clock, np.int64),
                                         np.full(len(hit), index, np.int64), old[hit], new[hit],
                                         gone if rule.kind == "silence" else self.last[hit], self.newest[hit]))
                self.colour[index] = new
        return Transitions.join(parts)

    # --- keeping -----------------------------------------------------------------------------------------------

    def readings(self) -> tuple[Ints, Ints, Ints]:
        """Everything a window can still reach: series, time, value, sorted by series and time."""
        key = np.concatenate([run.key for run in self.runs]) if self.runs else np.zeros(0, np.int64)
        value = np.concatenate([run.value for run in self.runs]) if self.runs else np.zeros(0, np.int64)
        series, time = key >> _TIME_BITS, key & ((1 << _TIME_BITS) - 1)
        alive = time > self.newest[series] - self.keep - 1
        order = np.argsort(key[alive], kind="stable")
        return series[alive][order], time[alive][order], value[alive][order]

    def prime(self, series: Ints, time: Ints, value: Ints) -> None:
        """Put readings back without judging them (restart from stored history); unique by (series, time)."""
        series, time, value = (np.asarray(column, np.int64) for column in (series, time, value))
        if not len(series):
            return
        key = (series << _TIME_BITS) | time
        order = np.argsort(key, kind="stable")
        self._insert(_Run(key[order], value[order]))

    def resize(self, series: int, rules: list[Rule]) -> None:
        """Room for more series at the end; `rules` are the same ones, speaking of all of them."""
        more = series - self.series
        if more < 0 or len(rules) != len(self.rules) or any(len(rule.thresholds) != series for rule in rules):
            raise ValueError("an engine only grows, under the same rules")
        self.rules, self.series = list(rules), series
        self.newest = np.r_[self.newest, np.full(more, _NO_TIME, np.int64)]
        self.since = np.r_[self.since, np.full(more, _NO_TIME, np.int64)]
        self.last = np.r_[self.last, np.zeros(more, np.int64)]
        for name, empty in (("colour", 0), ("measure", 0)):
            setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more)), constant_values=empty))
        for name in ("entered", "fallen"):
            setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more), (0, 0)), constant_values=_NO_TIME))

    def relearn(self, index: int, series: Ints) -> None:
        """Work the hysteresis of a level rule out again from the readings kept, for these series (limits changed)."""
        rule = self.rules[index]
        self.entered[index, series], self.fallen[index, series] = _NO_TIME, _NO_TIME
        chosen = np.zeros(self.series, bool)
        chosen[series] = True
        which, time, value = self.readings()
        mine = chosen[which]
        which, time, value = which[mine], time[mine], value[mine]
        limit = rule.thresholds[which]
        floor = np.where(limit == NEVER, limit, limit - rule.hysteresis[which][:, None])  # type: ignore[index]
        for colour in range(4):
            up, down = (value >= limit[:, colour]) & (limit[:, colour] != NEVER), value < floor[:, colour]
            np.maximum.at(self.entered[index, :, colour], which[up], time[up])
            np.maximum.at(self.fallen[index, :, colour], which[down], time[down])

    def rejudge(self) -> Transitions:
        """Judge every series heard so far again, at its T, under the rules as they are now; UNKNOWN stays UNKNOWN.

        For the moment after rules or thresholds changed. Silence is the clock's business and is left alone.
        """
        parts = []
        for index, rule in enumerate(self.rules):
            if rule.kind == "silence":
                continue
            series = np.flatnonzero((self.newest >= 0) & (self.colour[index] != UNKNOWN))
            if not len(series):
                continue
            at, value, whole = self.newest[series], self.last[series], np.ones(len(series), bool)
            colours, evidence = self._judge(index, rule, series, whole, at, value, np.zeros(len(series), np.int8), at, value)
            parts += self._changes(index, np.full(len(series), -1, np.int64), series, whole, whole, at, at, colours, evidence)
        return Transitions.join(parts)

    def measured(self, kind: str, window: int) -> Ints:
        """"sum" or "rise" over the window at each series' T, quanta (S,); 0 for series never heard."""
        out = np.zeros(self.series, np.int64)
        series = np.flatnonzero(self.newest >= 0)
        if len(series):
            out[series] = self._windowed(kind, series, self.newest[series], self.last[series], window)
        return out

    _ARRAYS = ("newest", "last", "since", "colour", "measure", "entered", "fallen")

    def snapshot(self) -> bytes:
        """The whole state; `restore` on an engine with the same rules goes on exactly as this one would."""
        series, time, value = self.readings()
        file = io.BytesIO()
        np.savez_compressed(file, series=series, time=time, value=value, clock=np.int64(self.clock),
                            **{name: getattr(self, name) for name in self._ARRAYS})
        return file.getvalue()

    def restore(self, data: bytes) -> None:
        """Undo of `snapshot`. ValueError when the snapshot is of another number of series or rules."""
        with np.load(io.BytesIO(data), allow_pickle=False) as state:
            if state["colour"].shape != self.colour.shape:
                raise ValueError(f"snapshot of {state['colour'].shape} (rules, series), engine has {self.colour.shape}")
            for name in self._ARRAYS:
                setattr(self, name, state[name].copy())
            self.clock = int(state["clock"])
            self.runs = []
            self.prime(state["series"], state["time"], state["value"])
