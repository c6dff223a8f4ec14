"""Rules as people state them, and the same rules as the flat arrays the kernels walk through."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

UNKNOWN, NONE, BLUE, YELLOW, ORANGE, RED = -1, 0, 1, 2, 3, 4  # colours, and "we no longer know"
NEVER = int(np.iinfo(np.int64).max)  # a threshold nothing reaches: the rule does not apply to that series
LEVEL, SUM, OVER, RISE, INDEX = range(5)
KINDS = {"level": LEVEL, "sum": SUM, "over": OVER, "rise": RISE, "index": INDEX}
DAY = 86400
INDEX_UNIT = 1_000_000  # an antecedent rain index is kept in millionths of a quantum


@dataclass(frozen=True)
class Measure:
    """What is judged of a series at its event time T; every one is a whole number.

    level  the value at T
    sum    of the values in (T - window, T]
    over   of max(value - floor, 0) in (T - window, T]: what accumulated over a threshold
    rise   value at T minus the lowest value in [T - window, T]
    index  antecedent rain: sum over the days i = 0 .. window / 1 d - 1 before T of decay**i * (rain of day i), where day i is
           (T - (i + 1) d, T - i d]; in millionths of a quantum. The weights are rounded once, so it is exact, too.
    """

    kind: str
    window: int = 0  # seconds
    floor: int = 0  # quanta, "over" only
    decay: float = 0.0  # a day, "index" only

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of rule: {self.kind!r}")
        if self.kind not in ("level",) and self.window <= 0:
            raise ValueError(f"{self.kind} needs a window of at least a second")
        if self.kind == "index" and (self.window % DAY or not 0 < self.decay <= 1):
            raise ValueError("a rain index is over whole days, with a decay above 0 and at most 1 a day")


@dataclass(frozen=True)
class Term:
    """`colour` holds while `measure` >= `limit` (quanta; one number, or one for each series).

    With hysteresis (level only) it is let go when the value is below limit - hysteresis.
    """

    colour: int
    measure: Measure
    limit: int | Ints
    hysteresis: int | Ints = 0


@dataclass(frozen=True)
class Colours:
    """One signal: of its terms that hold, the highest colour. stale_after: seconds after T until it is UNKNOWN (0 = never)."""

    terms: tuple[Term, ...]
    stale_after: int = 0
    kind: str = "colours"


@dataclass(frozen=True)
class Silence:
    """A signal of a clock's ticks: 0 reporting, 1 silent for longer than `after` (s; 0 = may be), 2 silent while rising:
    `measure` at the last reading was at least `rising_from`."""

    after: int | Ints
    measure: Measure | None = None
    rising_from: int | Ints = NEVER
    kind: str = "silence"
    stale_after: int = 0


@dataclass(frozen=True)
class Rule:
    """The usual table of four colours over all series of an engine.

    kind        "sum", "rise", "level" or "silence" (see Measure and Silence)
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

    def signal(self) -> Colours | Silence:
        if self.kind == "silence":
            window = int(self.windows[0])
            after = self.after if self.after is not None else 0
            return Silence(after, Measure(self.measure, window) if window else None, self.thresholds[:, 0])
        terms = []
        for column in range(4):
            window = int(self.windows[column])
            # A colour without a window has no limit either, yet its place in the table stays.
            measure = Measure("level") if self.kind == "level" or not window else Measure(self.kind, window)
            terms.append(Term(column + 1, measure, self.thresholds[:, column], 0 if self.hysteresis is None else self.hysteresis))
        return Colours(tuple(terms), self.stale_after)


AnyRule = Rule | Colours | Silence


class Flat(NamedTuple):
    """The rules as the kernels read them; G signals, M measures, J terms, S series."""

    kind: Ints  # (M,)
    window: Ints  # (M,) seconds, or bins on a grid
    floor: Ints  # (M,)
    parts: Ints  # (M + 1,) an index measure's share of part/weight
    part: Ints  # measures (sums over whole days) an index is made of
    weight: Ints
    first: Ints  # (G + 1,) terms of signal g are first[g] .. first[g + 1], colours rising
    measure: Ints  # (J,)
    colour: Ints  # (J,)
    limit: Ints  # (J,) one limit for all series, when row < 0
    row: Ints  # (J,) row of `table` with a limit for each series
    slack: Ints  # (J,) hysteresis, likewise
    slack_row: Ints
    held: Ints  # (J,) row of the hysteresis memory, -1 without
    after: Ints  # (G,) row of `table` with a silence signal's `after`, -1 for colours
    table: Ints  # (rows, S)


@dataclass
class Plan:
    """Rules of an engine of S series, made flat."""

    series: int
    rules: list[AnyRule]
    extra: Sequence[Measure] = ()
    measures: list[Measure] = field(default_factory=list)
    signals: list[Colours | Silence] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.signals = [rule.signal() if isinstance(rule, Rule) else rule for rule in self.rules]
        rows: list[Ints] = []
        columns: dict[str, list[int]]
        first, columns = [0], {name: [] for name in ("measure", "colour", "limit", "row", "slack", "slack_row", "held")}
        after, held = [], 0
        self.held: list[list[int]] = []  # by signal: its rows of hysteresis memory
        for measure in self.extra:
            self._place(measure)
        for signal in self.signals:
            mine: list[int] = []
            if isinstance(signal, Silence):
                after.append(self._row(rows, signal.after, force=True))
                if signal.measure is not None:
                    self._place(signal.measure)
            else:
                after.append(-1)
                for term in sorted(signal.terms, key=lambda term: term.colour):
                    keeps = term.measure.kind == "level"
                    if not keeps and np.any(np.asarray(term.hysteresis) != 0):
                        raise ValueError("hysteresis is for levels")
                    scale = INDEX_UNIT if term.measure.kind == "index" else 1
                    limit = self._row(rows, term.limit if scale == 1 or np.ndim(term.limit) == 0 else np.asarray(term.limit) * scale)
                    slack = self._row(rows, term.hysteresis)
                    columns["measure"].append(self._place(term.measure))
                    columns["colour"].append(term.colour)
                    columns["limit"].append(NEVER if limit >= 0 or int(term.limit) == NEVER else int(term.limit) * scale)  # type: ignore[arg-type]
                    columns["row"].append(limit)
                    columns["slack"].append(0 if slack >= 0 else int(term.hysteresis))  # type: ignore[arg-type]
                    columns["slack_row"].append(slack)
                    columns["held"].append(held if keeps else -1)
                    if keeps:
                        mine.append(held)
                        held += 1
            self.held.append(mine)
            first.append(len(columns["measure"]))
        self.memory = held
        self.table = np.array(rows, np.int64).reshape(len(rows), self.series)
        self._columns, self._first, self._after = columns, first, after
        self.longest = max((measure.window for measure in self.measures), default=0)
        # A rise looks at [T - window, T], closed at both ends.
        self.index_of = {measure: place for place, measure in enumerate(self.measures)}

    def _row(self, rows: list[Ints], given: int | Ints, force: bool = False) -> int:
        values = np.asarray(given, np.int64)
        if values.ndim == 0 and not force:
            return -1
        if values.ndim and len(values) != self.series:
            raise ValueError(f"a rule speaks of {len(values)} series, the engine has {self.series}")
        rows.append(np.broadcast_to(values, (self.series,)))
        return len(rows) - 1

    def _place(self, measure: Measure) -> int:
        if measure in self.measures:
            return self.measures.index(measure)
        if measure.kind == "index":
            for day in range(1, measure.window // DAY + 1):
                self._place(Measure("sum", day * DAY))
        self.measures.append(measure)
        return len(self.measures) - 1

    def flat(self, step: int = 1) -> Flat:
        """For times in seconds (step 1), or for bins of `step` seconds."""
        kinds = [KINDS[m.kind] for m in self.measures]
        # (T - W, T] holds ceil(W / step) bins, [T - W, T] reaches back floor(W / step).
        windows = [m.window // step if m.kind == "rise" else -(-m.window // step) for m in self.measures]
        parts, part, weight = [0], [], []
        for m in self.measures:
            if m.kind == "index":
                days = m.window // DAY
                share = [round(m.decay**i * INDEX_UNIT) for i in range(days)]
                # The nested sums 1 d, 2 d ... hold day i in all but the first i: their weights are differences.
                for i in range(days):
                    part.append(self.index_of[Measure("sum", (i + 1) * DAY)])
                    weight.append(share[i] - (share[i + 1] if i + 1 < days else 0))
            parts.append(len(part))
        whole = {name: np.array(column, np.int64) for name, column in self._columns.items()}
        return Flat(
            np.array(kinds, np.int64), np.array(windows, np.int64), np.array([m.floor for m in self.measures], np.int64),
            np.array(parts, np.int64), np.array(part, np.int64), np.array(weight, np.int64), np.array(self._first, np.int64),
            whole["measure"], whole["colour"], whole["limit"], whole["row"], whole["slack"], whole["slack_row"], whole["held"],
            np.array(self._after, np.int64), self.table,
        )
