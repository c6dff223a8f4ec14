"""From people and days to goods and amounts, by stated rates (需求测算); how much of it must lie in store, be agreed, or be made, from lead times."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rate:
    """`amount` of a good for each `for_each` persons of group `who`, every day (`daily`) or once, from day `first` (1) to day `last`."""

    good: str
    who: str
    amount: float
    for_each: float = 1.0
    daily: bool = True
    first: int = 1
    last: int = 10_000


def estimate(rates: Sequence[Rate], people: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    """Amount of each good on each day. `people`: persons of each group on each day; what is needed once is needed when the number rises."""
    days = max((len(row) for row in people.values()), default=0)
    found: dict[str, np.ndarray] = {}
    for rate in rates:
        row = np.zeros(days)
        given = np.asarray(people.get(rate.who, ()), float)
        row[: given.size] = given
        lots = np.ceil(row / rate.for_each) if rate.for_each > 1 else row
        day = np.arange(1, days + 1)
        inside = (day >= rate.first) & (day <= rate.last)
        if not rate.daily:
            # Only beyond the most there were before, within the days the rate holds.
            most = np.maximum.accumulate(np.where(inside, lots, 0.0))
            lots = np.diff(most, prepend=0.0)
        found[rate.good] = found.get(rate.good, np.zeros(days)) + np.where(inside, lots * rate.amount, 0.0)
    return found


@dataclass(frozen=True)
class Split:
    """How a need is met: from what lies in store, by agreed purchase, by production; and what is missing in store today."""

    physical: float
    agreement: float
    capacity: float
    gap: float


def split(need: np.ndarray, *, agreement_days: float, capacity_days: float, stock: float = 0.0) -> Split:
    """What is needed before agreed goods arrive must lie in store; what is needed before production delivers must be agreed; the rest is made.

    Days may be broken: half of the third day's need falls before day 2.5.
    """
    total = np.r_[0.0, np.cumsum(need)]

    def until(day: float) -> float:
        return float(np.interp(day, np.arange(total.size), total))

    first, second = until(min(agreement_days, need.size)), until(min(max(agreement_days, capacity_days), need.size))
    return Split(first, second - first, float(total[-1]) - second, max(0.0, first - stock))
