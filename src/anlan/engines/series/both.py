"""Both meanings of "when" over one stream, and what follows from colours: revisions and quorums."""
from __future__ import annotations

import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .engine import NEW, Engine, Folded, Grid, Transitions
from .exact import Exact
from .rules import AnyRule, Measure


@dataclass(frozen=True)
class Revision:
    """What the exact pass made of something said at once about a series at an event time: other than was said."""

    series: int
    time: int
    rule: int
    said: int  # colour said at once
    true: int  # colour judged behind the watermark


class Both:
    """A provisional judgement at once and the exact one behind the watermark, from the same accepted readings.

    At every bin at which either of the two changed a colour and the two differ, a Revision is published; what a reading
    too late for the exact pass would have changed is not said at once either.
    """

    def __init__(self, series: int, rules: Sequence[AnyRule], *, lateness: int = 900, grid: Grid | None = None, sources: Any = None,
                 extra: Sequence[Measure] = (), ahead: int = 600, idle: int = 0, keep: int | None = None) -> None:
        self.exact = Exact(series, rules, lateness=lateness, grid=grid, sources=sources, extra=extra, ahead=ahead, idle=idle)
        slack = Grid(grid.step, grid.phase, max(grid.slack, lateness)) if grid else None
        self.now = Engine(series, rules, keep, grid=slack, extra=extra)
        self._said: dict[tuple[int, int], list[tuple[int, int]]] = {}  # (series, rule) -> (event time, colour), times rising
        self._true: dict[tuple[int, int], int] = {}
        self._open: list[tuple[int, int, int]] = []  # (event time, series, rule) said and not yet judged

    def fold(self, series: Any, time: Any, value: Any, clock: Any = None) -> tuple[Folded, Transitions, Transitions, list[Revision]]:
        """(fates, said at once, judged behind the watermark, revisions) of a batch in order of arrival."""
        judged = self.exact.fold(series, time, value, clock)
        taken = judged.status == NEW
        said = self.now.fold(np.asarray(series)[taken], np.asarray(time)[taken], np.asarray(value)[taken]).transitions
        places = np.flatnonzero(taken)
        said = Transitions(places[said.arrival], *(getattr(said, name) for name in list(Transitions.__dataclass_fields__)[1:]))
        self._note(said)
        return judged, said, judged.transitions, self._compare(judged.transitions)

    def finish(self) -> tuple[Transitions, list[Revision]]:
        """Judge everything sent so far: the stream has ended."""
        judged = self.exact.finish()
        return judged, self._compare(judged, ended=True)

    def _note(self, said: Transitions) -> None:
        for s, at, rule, new in zip(said.series.tolist(), said.time.tolist(), said.rule.tolist(), said.new.tolist(), strict=True):
            line = self._said.setdefault((s, rule), [])
            if line and line[-1][0] == at:
                line[-1] = (at, new)
            else:
                line.append((at, new))
                bisect.insort(self._open, (at, s, rule))

    def _believed(self, key: tuple[int, int], at: int) -> int:
        line = self._said.get(key, [])
        place = bisect.bisect_right(line, (at, 99)) - 1
        return line[place][1] if place >= 0 else 0

    def _compare(self, judged: Transitions, ended: bool = False) -> list[Revision]:
        out = []
        events = {(at, s, rule): new for at, s, rule, new in
                  zip(judged.time.tolist(), judged.series.tolist(), judged.rule.tolist(), judged.new.tolist(), strict=True)}
        marks = [self.exact.watermark(source) for source in range(self.exact.sources)]
        due = [key for key in self._open if ended or key[0] <= marks[self.exact.source_of(key[1])]]
        if due:
            done = set(due)
            self._open = [key for key in self._open if key not in done]
        for key in sorted(set(due) | set(events)):
            at, s, rule = key
            if key in events:
                self._true[s, rule] = events[key]
            true = self._true.get((s, rule), 0)
            said = self._believed((s, rule), at)
            if said != true:
                out.append(Revision(s, at, rule, said, true))
            line = self._said.get((s, rule), [])
            keep_from = bisect.bisect_right(line, (at, 99)) - 1
            if keep_from > 0:
                del line[:keep_from]
        return out


class Quorum:
    """A signal of an area: `at_least` of its series have `colour` or more at the same time.

    Fed with the colour changes of one rule: at once in order of arrival, or (`ordered`) in order of event time, where all
    changes of one time count together.
    """

    def __init__(self, areas: Mapping[Any, Sequence[int]], colour: int, at_least: int) -> None:
        self.areas = {area: set(members) for area, members in areas.items()}
        self.colour, self.at_least = colour, at_least
        self._of: dict[int, list[Any]] = {}
        for area, members in self.areas.items():
            for series in members:
                self._of.setdefault(series, []).append(area)
        self._over: dict[Any, set[int]] = {area: set() for area in self.areas}
        self.holds = {area: False for area in self.areas}

    def take(self, changes: Transitions, ordered: bool = False) -> list[tuple[Any, int, bool, int]]:
        """(area, time, holds now, how many) for each area that changed."""
        out: list[tuple[Any, int, bool, int]] = []
        touched: dict[Any, None] = {}
        rows = list(zip(changes.series.tolist(), changes.time.tolist(), changes.new.tolist(), strict=True))
        if ordered:
            rows.sort(key=lambda row: row[1])
        for place, (series, at, new) in enumerate(rows):
            for area in self._of.get(series, ()):
                (self._over[area].add if new >= self.colour else self._over[area].discard)(series)
                touched[area] = None
            if ordered and place + 1 < len(rows) and rows[place + 1][1] == at:
                continue
            for area in touched:
                count = len(self._over[area])
                if (count >= self.at_least) != self.holds[area]:
                    self.holds[area] = not self.holds[area]
                    out.append((area, at, self.holds[area], count))
            touched = {}
        return out
