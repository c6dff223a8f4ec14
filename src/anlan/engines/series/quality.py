"""Which readings of a rain network are not to be believed, and why: each gauge against itself and against its neighbours.

    network = Network(lon, lat)
    flags = network.step(values)             # one interval of every gauge, in order of time; NaN = no report
    network.why(gauge)                       # the reasons of its flags, in numbers

The filters for faulty zeros and high influx are those of de Vos et al. 2019 (doi 10.1029/2019GL083731), with their limits; the others are our own.
A gauge with fewer than `at_least` neighbours reporting is judged by itself alone, and that is said (UNCHECKED).
"""
from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

IMPOSSIBLE, FROZEN, STUCK_ZERO, INFLUX, BIAS, UNCHECKED = 1, 2, 4, 8, 16, 32
NAMES = {IMPOSSIBLE: "range", FROZEN: "frozen", STUCK_ZERO: "stuck_zero", INFLUX: "high_influx", BIAS: "bias", UNCHECKED: "unchecked"}
DOUBTFUL = IMPOSSIBLE | FROZEN | STUCK_ZERO | INFLUX | BIAS
_EARTH_KM = 6371.0


@dataclass(frozen=True)
class Limits:
    """For intervals of five minutes, in the unit of the values (mm)."""

    reach_km: float = 10.0
    at_least: int = 5  # neighbours that report
    most: int = 20  # nearest ones that are asked
    impossible: float = 70.0  # a gauge's five minutes; the record for one minute on land is 31.2 mm
    frozen: int = 6  # intervals with the very same value, of `steady` at least: drizzle repeats one tip of the bucket
    steady: float = 0.5
    zeros: int = 6  # intervals with rain all around and none here
    dry: float = 0.4  # median of the neighbours below which it does not really rain there
    influx: float = 10.0  # what no gauge catches while it does not rain around it
    window: int = 288  # intervals over which sums are compared
    amount: float = 10.0  # the neighbours' sum from which a comparison says something
    factor: float = 3.0  # a gauge's sum so many times theirs, or a part of it,
    hold: int = 36  # for so many intervals: a cell that rains on one gauge alone is no fault of the gauge


@dataclass(frozen=True)
class Reason:
    """Why a flag was set: own value, the neighbours' median, how many they were, and at how many intervals so far."""

    flag: str
    own: float
    around: float
    neighbours: int
    times: int

    def __str__(self) -> str:
        return f"{self.flag}: own {self.own:g}, median of {self.neighbours} neighbours {self.around:g}; {self.times} intervals"


class Near:
    """The nearest others of each gauge within reach, found when asked."""

    def __init__(self, lon: Any, lat: Any, reach_km: float, most: int) -> None:
        lon, lat = np.radians(np.asarray(lon, float)), np.radians(np.asarray(lat, float))
        self._xyz = np.column_stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
        self._most, self._chord = most, np.nextafter(2 * np.sin(reach_km / (2 * _EARTH_KM)), np.inf)
        self._tree = cKDTree(self._xyz) if len(self._xyz) else None

    def of(self, gauges: NDArray[np.int64]) -> NDArray[np.int64]:
        """(len(gauges), most): nearest first, equally near ones in the order given; -1 where there are no more."""
        if self._tree is None or not len(gauges):
            return np.full((len(gauges), self._most), -1, np.int64)
        # One more than asked for, since the nearest to a gauge is the gauge itself, or one at the very same place.
        gap, found = self._tree.query(self._xyz[gauges], self._most + 1, distance_upper_bound=self._chord)
        found = np.where(np.isfinite(gap) & (found != gauges[:, None]), found, -1)
        order = np.lexsort((found, gap, found < 0), axis=1)[:, : self._most]
        return np.take_along_axis(found, order, 1).astype(np.int64)


def near(lon: Any, lat: Any, reach_km: float, most: int) -> NDArray[np.int64]:
    """(N, most): the nearest others within reach of every gauge."""
    return Near(lon, lat, reach_km, most).of(np.arange(len(lon)))


class Network:
    """The state of the judgement of all gauges of a network."""

    def __init__(self, lon: Any, lat: Any, limits: Limits = Limits()) -> None:
        self.limits = limits
        self.near = near(lon, lat, limits.reach_km, limits.most)
        count = len(self.near)
        self._last, self._same = np.full(count, np.nan), np.zeros(count, np.int64)
        self._zeros, self._stuck = np.zeros(count, np.int64), np.zeros(count, bool)
        self._kept: deque[tuple[NDArray, NDArray]] = deque()
        self._own, self._around, self._apart = np.zeros(count), np.zeros(count), np.zeros(count, np.int64)
        self._reasons: dict[int, dict[int, Reason]] = {}

    def step(self, values: Any) -> NDArray[np.uint8]:
        """Flags (N,) of one interval's values (N,); 0 also where nothing was reported."""
        limits, value = self.limits, np.asarray(values, float)
        there = ~np.isnan(value)
        flags = np.zeros(len(value), np.uint8)
        flags[there & ((value < 0) | (value > limits.impossible))] |= IMPOSSIBLE
        sound = np.where(there & (flags == 0), value, np.nan)
        # A gauge known to be stuck, or off by a factor, is no witness against others.
        witness = np.where(self._stuck | (self._apart > limits.hold), np.nan, sound)
        around = np.where(self.near >= 0, witness[self.near], np.nan)
        heard = (~np.isnan(around)).sum(1)
        enough = heard >= limits.at_least
        median = np.full(len(value), np.nan)
        if enough.any():
            median[enough] = np.nanmedian(around[enough], axis=1)
        self._same = np.where(there & (value == self._last) & (value >= limits.steady), self._same + 1, np.where(there, 0, self._same))
        self._last = np.where(there, value, self._last)
        flags[there & (self._same + 1 >= limits.frozen)] |= FROZEN
        with np.errstate(invalid="ignore"):
            # Rain all around and none here, time after time: zero until the gauge says something else.
            self._zeros = np.where(there & (value > 0), 0, np.where(there & enough & (median > 0), self._zeros + 1, np.where(there & enough, 0, self._zeros)))
            self._stuck = np.where(there & (value > 0), False, self._stuck | (self._zeros >= limits.zeros))
            flags[there & self._stuck] |= STUCK_ZERO
            influx = np.where(median < limits.dry, limits.influx, median * (limits.influx / limits.dry))
            flags[there & enough & (value > influx)] |= INFLUX
        both = there & enough & (flags == 0)
        mine, theirs = np.where(both, value, 0.0), np.where(both, median, 0.0)
        self._kept.append((mine, theirs))
        self._own, self._around = self._own + mine, self._around + theirs
        if len(self._kept) > limits.window:
            gone = self._kept.popleft()
            self._own, self._around = self._own - gone[0], self._around - gone[1]
        apart = ((self._around >= limits.amount) & (self._own * limits.factor < self._around)) | ((self._own >= limits.amount) & (self._own > limits.factor * self._around))
        self._apart = np.where(apart, self._apart + 1, 0)
        flags[there & (self._apart > limits.hold)] |= BIAS
        self._note(flags, value, median, heard)
        flags[there & ~enough] |= UNCHECKED
        return flags

    def _note(self, flags: NDArray, value: NDArray, median: NDArray, heard: NDArray) -> None:
        for i in np.flatnonzero(flags).tolist():
            mine = self._reasons.setdefault(i, {})
            for bit in NAMES:
                if flags[i] & bit:
                    own, around = (self._own[i], self._around[i]) if bit == BIAS else (value[i], median[i])
                    old, times = mine.get(bit), mine[bit].times + 1 if bit in mine else 1
                    if old and bit == STUCK_ZERO and not around > old.around:  # the interval that shows it best
                        mine[bit] = replace(old, times=times)
                    else:
                        mine[bit] = Reason(NAMES[bit], round(float(own), 3), round(float(around), 3), int(heard[i]), times)

    def why(self, gauge: int) -> list[Reason]:
        """The reasons of a gauge's flags, most frequent first."""
        return sorted(self._reasons.get(gauge, {}).values(), key=lambda reason: -reason.times)
