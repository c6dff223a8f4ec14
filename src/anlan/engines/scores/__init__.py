"""How well a threshold would have warned: hits, misses, false alarms, lead time, and what heeding it is worth.

    episodes(at, value, threshold, rest)          when a series came to stand at or above a threshold
    score(starts, impacts, horizon, begin, end)   a 2 x 2 table over windows of one horizon, and the lead of each hit
    worth(score, ratio)                           relative economic value at a cost/loss ratio (Richardson 2000): 1 perfect, 0 no better than always or never

Times are whole seconds. A missing value (NaN) neither begins nor ends anything.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Score:
    hits: int
    misses: int
    false_alarms: int
    quiet: int  # windows with neither an alarm nor an impact
    leads: tuple[int, ...]  # seconds from the alarm to the impact, one a hit

    @property
    def detected(self) -> float | None:
        """Probability of detection; None without impacts."""
        return self.hits / (self.hits + self.misses) if self.hits + self.misses else None

    @property
    def false_share(self) -> float | None:
        """Share of the alarms that were false; None without alarms."""
        return self.false_alarms / (self.hits + self.false_alarms) if self.hits + self.false_alarms else None

    @property
    def success(self) -> float | None:
        """Critical success index: hits among everything that was alarmed or happened."""
        every = self.hits + self.misses + self.false_alarms
        return self.hits / every if every else None


def episodes(at: NDArray[np.int64], value: NDArray[np.float64], threshold: float, rest: int) -> list[int]:
    """Starts of the times the series stood at or above the threshold; one that comes back within `rest` seconds is the same."""
    known = ~np.isnan(value)
    at, above = at[known], value[known] >= threshold
    starts: list[int] = []
    last = None
    for when, up in zip(at.tolist(), above.tolist(), strict=True):
        if up:
            if last is None or when - last > rest:
                starts.append(when)
            last = when
    return starts


def score(starts: list[int], impacts: list[int], horizon: int, begin: int, end: int) -> Score:
    """An impact is hit when an alarm came within `horizon` before it; an alarm is false when no impact follows within `horizon`.

    Impacts within one horizon of each other are one, the first: people are warned of the flood, not of each house.
    """
    merged: list[int] = []
    for impact in sorted(impacts):
        if begin <= impact <= end + horizon and (not merged or impact - merged[-1] > horizon):
            merged.append(impact)
    leads = []
    for impact in merged:
        before = [start for start in starts if impact - horizon <= start <= impact]
        if before:
            leads.append(impact - min(before))
    false = sum(1 for start in starts if not any(start <= impact <= start + horizon for impact in merged))
    busy = len({(moment - begin) // horizon for moment in [*starts, *merged]})
    windows = max(1, -(-(end - begin) // horizon))
    return Score(len(leads), len(merged) - len(leads), false, max(0, windows - busy), tuple(leads))


def worth(found: Score, ratio: float) -> float | None:
    """Relative value of heeding the alarms for whom protection costs `ratio` of the loss it prevents (0 < ratio < 1)."""
    happened = found.hits + found.misses
    every = happened + found.false_alarms + found.quiet
    plain = min(every * ratio, float(happened))  # the better of always and never protecting
    perfect = happened * ratio
    if not happened or plain - perfect <= 0:
        return None
    return (plain - ((found.hits + found.false_alarms) * ratio + found.misses)) / (plain - perfect)


__all__ = ["Score", "episodes", "score", "worth"]
