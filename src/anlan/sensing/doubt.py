"""Which readings of a batch are not to be believed, and why: against the gauge itself, its neighbours, and the rain upstream.

Cheap tests on arrays find the few readings there can be anything to ask about; only for these are series walked and neighbours read.
The limits are the code list `reading_quality`. What cannot be checked (no neighbour reports, nobody entered which rain gauges lie
upstream) is believed: not knowing is no reason to doubt.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import numpy as np
from django.db import connection

from anlan.engines.series import NEVER
from anlan.engines.series.quality import Near, near
from anlan.kernel import codes

from .ingest import Columns, StationInfo
from .quantities import (
    BIAS,
    DOUBTFUL,
    FAULTY,
    FROZEN,
    INFLUX,
    NO_RAIN,
    QUANTITIES,
    RANGE,
    SOUND,
    STEP,
    STUCK,
    flag_names,
)

if TYPE_CHECKING:
    from .compute import QuantityBook

LIST = "reading_quality"
FIVE_MINUTES = 300
STEPS = {"level": "level_step", "soil": "soil_step"}
NEIGHBOURS = 20  # nearest ones that are asked
COMPARED_AT_ONCE = 5000  # gauges whose neighbours of a day are held beside one another: 20 MB


def limit(name: str) -> float:
    return float(codes.data(LIST, name)["value"])


@dataclass
class Held:
    """One reading that is kept from the rules, with its reasons: {flag: numbers}."""

    index: int
    time: int
    value: int
    flags: int
    why: dict[str, dict[str, Any]]


@dataclass
class Verdict:
    """What judging a batch gave: flags (n,), which are kept from the rules (n,), repeats of such, and stored readings to flag anew."""

    flags: np.ndarray
    held: np.ndarray
    found: list[Held] = field(default_factory=list)
    repeats: dict[int, bool] = field(default_factory=dict)  # place -> the same value again
    spikes: list[tuple[int, int]] = field(default_factory=list)  # (index, time): what a jump turned out to be


class Limits:
    """The limits of a quantity as whole numbers, one for each series a book's engine has room for."""

    def __init__(self, book: QuantityBook, realm: UUID) -> None:
        self.room, quantity = book.engine.series, book.quantity
        self.size = 0
        never = np.full(self.room, NEVER, np.int64)
        self.interval = np.ones(self.room, np.int64)
        self.influx, self.frozen, self.level, self.rise = never, never.copy(), never.copy(), never.copy()
        self.fall = never.copy()  # discharge from which nothing falls to zero at once
        self.steady = np.full(self.room, quantity.whole(limit("rain_steady")) if quantity.code == "rain" else (-NEVER if quantity.zero_freezes else 1), np.int64)
        self.worked_on: list[int] = []
        self.realm = realm
        self.step = quantity.whole(limit(STEPS[quantity.code])) if quantity.code in STEPS else NEVER
        self.step_s = int(limit("step_minutes") * 60)
        self.rising = [number for number, spec in enumerate(book.specs) if spec.kind in ("level", "rise")]
        self.rises = [max(spec.windows_s) for spec in book.specs if spec.kind == "rise"] if quantity.code in ("level", "flow") else []
        self.grow(book)

    def grow(self, book: QuantityBook) -> None:
        """Work out those of the series that have come since."""
        self.lay_out(book, np.arange(self.size, len(book.stations)))
        self.size = len(book.stations)

    def lay_out(self, book: QuantityBook, places: np.ndarray) -> None:
        """Work out those of these series (k,), from what the register says of their stations now."""
        stations, quantity = [book.stations[place] for place in places.tolist()], book.quantity
        interval = self.interval[places] = np.array([max(station.interval_s, 1) for station in stations], np.int64)
        if quantity.code == "rain":
            self.influx[places] = np.round(limit("rain_influx") * np.maximum(interval, FIVE_MINUTES) / FIVE_MINUTES / quantity.quantum)
        if quantity.frozen_s:
            self.frozen[places] = np.maximum(quantity.frozen_s, int(limit("frozen_reports")) * interval)
        if self.realm == book.registry.actual:
            self.worked_on = sorted({*self.worked_on} - {*places.tolist()} | {place for place, station in zip(places.tolist(), stations, strict=True) if station.maintenance})
        # A rise is asked about where somebody entered which rain gauges lie upstream.
        asked = np.array([bool(station.upstream.get("rain")) for station in stations], bool)
        self.fall[places] = self.level[places] = self.rise[places] = NEVER
        for number, spec in enumerate(book.specs if quantity.code in ("level", "flow") else ()):
            lowest = book.engine.rules[number].thresholds[places].min(axis=1)  # type: ignore[union-attr]
            if spec.kind == "level":
                if quantity.code == "flow":
                    self.fall[places] = np.minimum(self.fall[places], lowest)
                self.level[places] = np.where(asked, np.minimum(self.level[places], lowest), self.level[places])
            elif spec.kind == "rise":
                self.rise[places] = np.where(asked, np.minimum(self.rise[places], lowest), self.rise[places])


def _previous(book: QuantityBook, series: np.ndarray, time: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each reading: value and time of the one before it in its series (-1: none), and since when the value is the very same."""
    engine = book.engine
    order = np.lexsort((np.arange(len(series)), series))
    s, t, v = series[order], time[order], value[order]
    first = np.r_[True, s[1:] != s[:-1]]
    before_t = np.where(first, engine.newest[s], np.r_[0, t[:-1]])
    before_v = np.where(first, engine.last[s], np.r_[0, v[:-1]])
    begins = (v != before_v) | (before_t < 0)
    since = np.where(begins, t, np.where(first, engine.since[s], -1))
    # A run's begin holds on until the next one.
    known = np.maximum.accumulate(np.where(since >= 0, np.arange(len(s)), 0))
    out = [np.empty(len(s), np.int64) for _ in range(3)]
    for column, values in zip(out, (before_v, before_t, since[known]), strict=True):
        column[order] = values
    return out[0], out[1], out[2]


def judge(book: QuantityBook, realm: UUID, series: np.ndarray, time: np.ndarray, value: np.ndarray, flags: np.ndarray, open_: np.ndarray, columns: Columns) -> Verdict:
    """Doubt readings of one quantity, in order of arrival. `open_`: those there is something to decide about; columns: the whole batch,
    since neighbours may come in the same one. Moves the book's memory of what was held."""
    out = Verdict(flags.copy(), np.zeros(len(series), bool))
    limits = book.limits
    if limits is None or limits.room != book.engine.series:
        limits = book.limits = Limits(book, realm)
    elif limits.size != len(book.stations):
        limits.grow(book)
    quantity, engine = book.quantity, book.engine
    before_v, before_t, same_from = _previous(book, series, time, value)
    newer = time > before_t
    # Equal reports far apart are no frozen sensor: a gauge that sends less often than was entered.
    frozen = newer & (value == before_v) & (time - before_t <= 2 * limits.interval[series]) & (time - same_from >= limits.frozen[series]) & (value >= limits.steady[series])
    near = newer & (before_t >= 0) & (time - before_t <= limits.step_s)
    step = near & (np.abs(value - before_v) >= limits.step) | near & (value == 0) & (before_v >= limits.fall[series])
    influx = value >= limits.influx[series]
    dry = newer & (value >= limits.level[series])
    # Once a believed reading has raised a colour, that the water is high is no question any more.
    calm = engine.colour[limits.rising].max(axis=0, initial=0) <= 0
    dry &= calm[series]
    rise = np.zeros(len(engine.newest), np.int64)
    for window in limits.rises:
        rise = np.maximum(rise, engine.measured("rise", window))
    # Of a gauge first heard of in this batch, its first reading here is what it rises from.
    named, first = np.unique(series, return_index=True)
    base = engine.last.copy()
    base[named] = np.where(engine.newest[named] >= 0, base[named], value[first])
    dry |= newer & calm[series] & (before_t >= 0) & (limits.rise[series] != NEVER) & (value - base[series] + rise[series] >= limits.rise[series])
    out.flags[frozen] |= FROZEN
    marked = open_ & (((out.flags & DOUBTFUL) > 0) | step | influx | dry)
    if quantity.frozen_s:
        marked = marked | open_ & (before_t >= 0) & ~newer  # repeats and late ones hide a run of the same value
    known = [*{*series[marked].tolist(), *book.held, *book.steps, *book.suspect, *book.verdict, *limits.worked_on}]
    if not known:
        return out
    mine = np.flatnonzero(open_ & np.isin(series, known))
    around = _around(book, realm, series, time, np.intersect1d(mine, np.flatnonzero(influx)).tolist(), columns) if influx.any() else {}
    upstream = _upstream(book, realm, series, time, np.intersect1d(mine, np.flatnonzero(dry)).tolist(), columns) if dry.any() else {}
    last: dict[int, tuple[int, int, int]] = {}  # index -> (time, value, since when the very same) of the newest believed
    believed: set[tuple[int, int]] = set()
    for i in mine.tolist():
        index, at, v = int(series[i]), int(time[i]), int(value[i])
        held = book.held.setdefault(index, {})
        if at in held:
            out.repeats[i] = held[at] == v
            continue
        if (index, at) in believed:
            continue
        then, was, since = last.get(index, (int(engine.newest[index]), int(engine.last[index]), int(engine.since[index])))
        begun = since if v == was and then >= 0 else at
        heard = max(then, book.heard.get(index, 0))
        out.flags[i] &= ~FROZEN
        if at > then and at - heard <= 2 * limits.interval[index] and at - begun >= limits.frozen[index] and v >= limits.steady[index]:
            out.flags[i] |= FROZEN
        found, why = int(out.flags[i]), cast(dict[str, dict[str, Any]], {})
        verdict = book.verdict.get(index)
        if verdict and verdict[1] >= at and verdict[0] == SOUND:
            found = found & ~DOUBTFUL | SOUND
        else:
            if verdict and verdict[1] >= at:
                found, why["faulty"] = found | FAULTY, {}
            for begins, ends, reason in book.stations[index].maintenance if limits.worked_on else ():
                if begins <= at < ends:
                    found, why["maintenance"] = found | FAULTY, {"reason": reason}
            if found & RANGE:
                why["range"] = {"value": quantity.value(v), "limit": quantity.doubtful, "unit": quantity.unit}
            if found & FROZEN:
                why["frozen"] = {"value": quantity.value(v), "unit": quantity.unit, "hours": round((at - begun) / 3600, 1)}
            flags_, reasons = book.suspect.get(index, (0, {}))
            # Zero is what a stuck gauge says; whatever else it says ends that.
            if flags_ & STUCK and v:
                flags_ &= ~STUCK
            found |= flags_
            why.update({name: reasons.get(name, {}) for name in flag_names(flags_)})
            if at > then >= 0 and at - then <= limits.step_s:
                jumped = book.steps.get(index)
                if abs(v - was) >= limits.step or v == 0 and was >= limits.fall[index]:
                    if jumped and (abs(v - jumped[1]) < limits.step if limits.step != NEVER else v == jumped[1]):
                        del book.steps[index]  # a second report says the same
                    else:
                        book.steps[index] = (at, v)
                        found, why["step"] = found | STEP, {"before": quantity.value(was), "value": quantity.value(v), "unit": quantity.unit, "minutes": round((at - then) / 60)}
                elif jumped:
                    del book.steps[index]
                    out.spikes.append((index, jumped[0]))
            elif index in book.steps and at > then:
                del book.steps[index]
            if i in around:
                found, why["high_influx"] = found | INFLUX, {"value": quantity.value(v), "unit": quantity.unit, **around[i]}
            if i in upstream:
                found, why["no_rain"] = found | NO_RAIN, {"value": quantity.value(v), "unit": quantity.unit, **upstream[i]}
        out.flags[i] = found
        if found & DOUBTFUL:
            out.held[i], held[at] = True, v
            book.heard[index] = max(book.heard.get(index, 0), at)
            out.found.append(Held(index, at, v, found, why))
            for old in [t for t in held if t < at - engine.keep]:
                del held[old]
        else:
            believed.add((index, at))
            if at > then:
                last[index] = (at, v, begun)
    book.held = {index: times for index, times in book.held.items() if times}
    return out


def _pairs(rows: Iterable[tuple[int, UUID, int, int]], realm: UUID) -> list[tuple[int, UUID, int | None, int | None, int | None]]:
    """Of (place, station, low, high): what that station's believed rain in (low, high] comes to, (place, station, sum, highest, newest time)."""
    place, station, low, high = ([*column] for column in zip(*rows, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.place, x.station, w.total, w.most, w.newest FROM unnest(%s::int[], %s::uuid[], %s::bigint[], %s::bigint[]) AS x(place, station, low, high) "
            "LEFT JOIN sensing_series s ON s.realm_id = %s AND s.station_id = x.station AND s.quantity = 'rain' LEFT JOIN LATERAL ("
            "SELECT sum(r.value)::bigint AS total, max(r.value) AS most, extract(epoch FROM max(r.time))::bigint AS newest FROM sensing_reading r "
            "WHERE r.series_id = s.id AND r.time > to_timestamp(x.low) AND r.time <= to_timestamp(x.high) AND r.flags & %s = 0) AS w ON true",
            [place, station, low, high, realm, DOUBTFUL],
        )
        return cursor.fetchall()


def _same_batch(columns: Columns, wanted: set[UUID]) -> dict[UUID, list[tuple[int, int]]]:
    """Rain of these stations that comes in this very batch: (time, quanta)."""
    out: dict[UUID, list[tuple[int, int]]] = defaultdict(list)
    rain = {place: station.id for place, (station, what) in enumerate(columns.named) if what == "rain" and station.id in wanted}
    for place, at, value, flags in zip(columns.which, columns.time, columns.value, columns.flags, strict=True):
        if place in rain and not flags & DOUBTFUL:
            out[rain[place]].append((at, value))
    return out


def _around(book: QuantityBook, realm: UUID, series: np.ndarray, time: np.ndarray, places: list[int], columns: Columns) -> dict[int, dict[str, Any]]:
    """Of heavy rain at these places of the batch: the numbers that speak against it. A neighbour counts that has reported of the same interval."""
    neighbours = book.registry.neighbours()
    rows = []
    for i in places:
        span = int(book.limits.interval[series[i]])
        rows += [(i, station, int(time[i]) - span, int(time[i]) + span // 2) for station in neighbours.of(book.stations[series[i]].id)]
    if not rows:
        return {}
    here = _same_batch(columns, {row[1] for row in rows})
    said: dict[int, list[int]] = defaultdict(list)
    for (place, _station, low, high), (_place, station, _sum, most, _newest) in zip(rows, _pairs(rows, realm), strict=True):
        found = [v for t, v in here.get(station, ()) if low < t <= high] + ([most] if most is not None else [])
        if found:
            said[place].append(max(found))
    out, km, least = {}, limit("reach_km"), int(limit("neighbours"))
    for i, values in said.items():
        if len(values) >= least:
            scale = max(int(book.limits.interval[series[i]]), FIVE_MINUTES) / FIVE_MINUTES
            middle = book.quantity.value(round(median(values)))
            if middle < limit("rain_dry") * scale:
                out[i] = {"n": len(values), "km": km, "around": middle}
    return out


def _upstream(book: QuantityBook, realm: UUID, series: np.ndarray, time: np.ndarray, places: list[int], columns: Columns) -> dict[int, dict[str, Any]]:
    """Of rises at these places of the batch: the numbers that say that it has not rained upstream. At least half of the gauges named must
    have reported lately; a gauge not heard says nothing."""
    rows = []
    for i in places:
        wish = book.stations[series[i]].upstream
        for code in wish.get("rain", ()):
            if (known := book.registry.stations.get(code)) is not None:
                rows.append((i, known.id, int(time[i]) - round(float(wish.get("hours", 12)) * 3600), int(time[i])))
    if not rows:
        return {}
    here = _same_batch(columns, {row[1] for row in rows})
    rain, fresh_s = QUANTITIES["rain"], limit("fresh_minutes") * 60
    told: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for (place, _station, low, high), (_place, station, total, _most, newest) in zip(rows, _pairs(rows, realm), strict=True):
        own = [(t, v) for t, v in here.get(station, ()) if low < t <= high and t > (newest or 0)]
        newest = max([t for t, _v in own], default=newest)
        told[place].append((rain.value((total or 0) + sum(v for _t, v in own)), newest is not None and newest >= high - fresh_s))
    out = {}
    for i, gauges in told.items():
        wish = book.stations[series[i]].upstream
        fresh = sum(heard for _sum, heard in gauges)
        most = max(total for total, _heard in gauges)
        if fresh and 2 * fresh >= len(gauges) and most < float(wish.get("mm", 5)):
            out[i] = {"n": fresh, "hours": float(wish.get("hours", 12)), "most": most, "least": float(wish.get("mm", 5))}
    return out


class Neighbours:
    """The nearest rain gauges of each rain gauge in service, within reach."""

    def __init__(self, stations: Iterable[StationInfo]) -> None:
        rows = sorted((station.code, station.id, station.place) for station in stations if station.active and station.place and "rain" in station.quantities)
        self.keys = [key for _code, key, _place in rows]
        self.index = {key: number for number, key in enumerate(self.keys)}
        self.near = Near([place[0] for *_, place in rows], [place[1] for *_, place in rows], limit("reach_km"), NEIGHBOURS)

    def of(self, station: UUID) -> list[UUID]:
        number = self.index.get(station)
        return [] if number is None else [self.keys[other] for other in self.near.of(np.array([number]))[0].tolist() if other >= 0]


# --- once an hour: against the neighbours over a day -------------------------------------------------------------------


def compare(realm: UUID, now: int) -> dict[int, tuple[int, dict[str, Any]]]:
    """What the neighbours of each rain gauge say of it over the last hours, out of the roll-ups: {series: (flags, {flag: numbers})}."""
    hours, least = int(limit("compare_hours")), int(limit("neighbours"))
    end = now // 3600 * 3600
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, t.lon, t.lat FROM sensing_series s JOIN sensing_station t ON t.id = s.station_id AND t.active AND t.lon IS NOT NULL "
            "WHERE s.realm_id = %s AND s.quantity = 'rain' ORDER BY s.id", [realm],
        )
        found = cursor.fetchall()
        if len(found) <= least:
            return {}
        keys = np.array([row[0] for row in found], np.int64)
        cursor.execute(
            "SELECT series_id, extract(epoch FROM start)::bigint, sum FROM sensing_rollup WHERE series_id = ANY(%s) AND span_s = 3600 "
            "AND start >= to_timestamp(%s) AND start < to_timestamp(%s)", [keys.tolist(), end - hours * 3600, end],
        )
        rows = cursor.fetchall()
    if not any(total for _key, _start, total in rows):
        return {}
    unit = QUANTITIES["rain"].quantum
    mm = np.full((hours, len(keys)), np.nan)
    for key, start, total in rows:
        mm[(start - end) // 3600 + hours, np.searchsorted(keys, key)] = total * unit
    table = near([row[1] for row in found], [row[2] for row in found], limit("reach_km"), NEIGHBOURS)
    out: dict[int, tuple[int, dict[str, Any]]] = {}
    stuck_h, wet, amount, factor = int(limit("stuck_hours")), limit("stuck_mm"), limit("bias_mm"), limit("bias_factor")
    for begin in range(0, len(keys), COMPARED_AT_ONCE):
        mine = np.arange(begin, min(begin + COMPARED_AT_ONCE, len(keys)))
        own, around = mm[:, mine], np.where(table[mine] >= 0, mm[:, table[mine]], np.nan)  # (hours, n), (hours, n, NEIGHBOURS)
        heard = (~np.isnan(around)).sum(2) >= least
        middle = np.full(own.shape, np.nan)
        middle[heard] = np.nanmedian(around[heard], axis=1)
        both = heard & ~np.isnan(own)
        zero = both & (middle >= wet) & (own == 0)
        # Hours of rain all around since it last said anything but zero.
        spoke = np.where(both & (own > 0), np.arange(hours)[:, None], -1).max(axis=0)
        stuck = (zero & (np.arange(hours)[:, None] > spoke)).sum(0)
        ours, theirs = (np.where(both, values, 0).sum(0) for values in (own, middle))
        bias = (both.sum(0) >= hours // 2) & (stuck < stuck_h) & (((theirs >= amount) & (ours * factor < theirs)) | ((ours >= amount) & (ours > factor * theirs)))
        for i in np.flatnonzero((stuck >= stuck_h) | bias).tolist():
            if bias[i]:
                said = BIAS, {"bias": {"own": round(float(ours[i]), 1), "around": round(float(theirs[i]), 1), "hours": int(both[:, i].sum()), "unit": "mm"}}
            else:
                said = STUCK, {"stuck_zero": {"hours": int(stuck[i]), "around": round(float(middle[zero[:, i], i].sum()), 1), "unit": "mm"}}
            out[int(keys[mine[i]])] = said
    return out


def explain(why: dict[str, dict[str, Any]]) -> list[str]:
    """The reasons in the reader's language, one sentence each."""
    from django.utils.translation import gettext as _

    words = {
        "range": _("{value} {unit} in one report: more than {limit} {unit} is beyond what is usual."),
        "frozen": _("The very same value, {value} {unit}, for {hours} h."),
        "step": _("From {before} to {value} {unit} within {minutes} min, and no second report says the same."),
        "spike": _("From {before} to {value} {unit} and back at once."),
        "stuck_zero": _("Nothing here in {hours} hours in which the neighbours had {around} {unit} (median)."),
        "high_influx": _("{value} {unit} here, while {n} neighbours within {km} km had {around} {unit} (median) in the same interval."),
        "bias": _("{own} {unit} here in {hours} h, while the neighbours had {around} {unit} (median)."),
        "no_rain": _("{value} {unit}, although {n} rain gauges upstream had at most {most} mm in {hours} h (asked below {least} mm)."),
        "maintenance": _("People work on the station: {reason}"),
        "faulty": _("A person said that this gauge is not to be believed for now."),
    }
    out = []
    for flag, numbers in why.items():
        try:
            out.append(words[flag].format(**{name: f"{value:g}" if isinstance(value, float) else value for name, value in numbers.items()}))
        except KeyError:
            from .quantities import FLAG_WORDS

            out.append(str(FLAG_WORDS.get(flag, flag)))
    return out
