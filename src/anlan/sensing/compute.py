"""The one doorway between this room's rows and the arrays of engines.series.

A `Book` is what a worker holds of one realm: for each quantity an engine over the series of the worker's partitions.
It is built from the database and can be thrown away at any time; what is stored decides.
"""
from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.conf import settings
from django.db import connection
from django.db.models import Q

from anlan.engines.series import CONFLICT, DUPLICATE, NEVER, NEW, OLD, Engine, Rule, Transitions
from anlan.kernel import clock, realms
from anlan.kernel.models import RegionCode, RegionPath

from . import doubt, history, rules
from .history import FINE, moment
from .ingest import Columns, StationInfo
from .models import Maintenance, Series, Source, Station
from .quantities import DOUBTFUL, LATE, QUANTITIES, STEP, TOO_LATE, UNJUDGED
from .rules import RuleSpec


@dataclass
class Registry:
    """Stations, sources and rules as they stood at one revision of the register."""

    revision: int
    stations: dict[str, StationInfo]
    by_id: dict[UUID, StationInfo]
    sources_on: set[str]
    specs: list[RuleSpec]
    members: dict[str, set[UUID]]  # region code named by a rule -> regions inside
    actual: UUID | None = None
    near: doubt.Neighbours | None = None
    listeners: bool = False  # whether any source may hear what is stored
    # What it was made of, to be brought up to date: (active, kind) of each source, maintenance of stations, and the transaction from which on
    # writes may not have been seen.
    sources: dict[UUID, tuple[bool, str]] = field(default_factory=dict)
    worked_on: dict[UUID, list[tuple[int, int, str]]] = field(default_factory=dict)
    seen: int = 0

    def neighbours(self) -> doubt.Neighbours:
        """Rain gauges near each rain gauge; worked out when first asked."""
        if self.near is None:
            self.near = doubt.Neighbours(self.by_id.values())
        return self.near


def revision() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT revision FROM sensing_register WHERE id = 1")
        row = cursor.fetchone()
        return row[0] if row else 0


_EMPTY: dict[str, Any] = {}  # one for all: a province has 100,000 stations
_set = lru_cache(maxsize=256)(lambda *quantities: frozenset(quantities))


def registry(known: Registry | None = None, only: Iterable[UUID] | None = None) -> Registry:
    """Read the register and the rules in force. Of one that is `known`, only the stations that were written since are read; the others, and what
    has not changed of the rules, are the very same objects. `only`: of these stations."""
    from .ingest import partition_of

    number = revision()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")  # whatever is not committed yet is written with this number or a later one
        seen = cursor.fetchone()[0]  # type: ignore[index]
    sources = {row.pk: row for row in Source.objects.all()}
    worked_on: dict[UUID, list[tuple[int, int, str]]] = {}
    for each in Maintenance.objects.filter(ends_at__gte=clock.now() - timedelta(hours=settings.READING_HORIZON_H)).order_by("begins_at", "pk"):
        worked_on.setdefault(each.station_id, []).append((int(each.begins_at.timestamp()), int(each.ends_at.timestamp()), each.reason))
    state = {pk: (row.active, row.kind) for pk, row in sources.items()}
    names = ("id", "code", "name", "region_id", "quantities", "active", "silent_after_s", "interval_s", "thresholds", "upstream", "source_id", "lon", "lat")
    rows = Station.objects.values_list(*names, named=True)
    if only is not None:
        rows = rows.filter(pk__in=list(only))
    elif known is not None:
        others = [pk for pk in {*state, *known.sources} if state.get(pk) != known.sources.get(pk)]
        at_work = [pk for pk in {*worked_on, *known.worked_on} if worked_on.get(pk) != known.worked_on.get(pk)]
        rows = rows.filter(Q(changed_xid__gte=known.seen) | Q(source__in=others) | Q(pk__in=at_work))
    by_id, near = (dict(known.by_id), known.near) if known is not None else ({}, None)
    for row in rows.iterator(2000):
        source = sources.get(row.source_id)
        info = StationInfo(
            row.id, row.code, row.name, row.region_id, _set(*row.quantities), source.pk.hex if source else "", bool(source and source.active and source.kind != source.REPLAY),
            row.active, row.silent_after_s, row.thresholds or _EMPTY, partition_of(row.code), row.interval_s < FINE, row.interval_s, row.upstream or _EMPTY,
            tuple(worked_on.get(row.id, ())), None if row.lon is None or row.lat is None else (row.lon, row.lat),
        )
        was = by_id.get(row.id)
        if was != info:
            by_id[row.id] = info
            if was is None or (was.place, was.active, was.quantities, was.code) != (info.place, info.active, info.quantities, info.code):
                near = None
    specs = [spec for ruleset in rules.in_force() for spec in rules.specs(ruleset)]
    return Registry(
        number, {info.code: info for info in by_id.values()}, by_id, {row.pk.hex for row in sources.values() if row.active}, specs, members(specs), realms.actual().pk, near,
        listeners=any(row.active and row.reads and row.password_bcrypt for row in sources.values()), sources=state, worked_on=worked_on, seen=seen,
    )


def members(specs: Iterable[RuleSpec]) -> dict[str, set[UUID]]:
    """The regions inside each region that a rule names by its code."""
    return {
        code: set(RegionPath.objects.filter(ancestor__in=RegionCode.objects.filter(code=code).values("region")).values_list("descendant_id", flat=True))
        for code in {code for spec in specs for code in spec.regions}
    }


def limits(spec: RuleSpec, station: StationInfo) -> tuple[list[int], int]:
    """Thresholds blue..red and hysteresis in quanta; NEVER where the station has none."""
    quantity = QUANTITIES[spec.quantity]
    given: Mapping[str, Any]
    hysteresis = spec.hysteresis
    if spec.thresholds is None:
        given = station.thresholds.get(spec.quantity) or {}
        hysteresis = given.get("hysteresis", hysteresis)
        found = [given.get(name) for name in rules.COLOUR_NAMES]
    else:
        found = list(spec.thresholds)
    return [NEVER if value is None else quantity.whole(value) for value in found], quantity.whole(hysteresis)


def specs_for(registry: Registry, quantity: str, month: int) -> list[RuleSpec]:
    """The rules of a quantity in that month; of several silence rules the first, by name of the set."""
    found, silence = [], False
    for spec in registry.specs:
        if spec.quantity != quantity or (spec.months and month not in spec.months) or (spec.kind == "silence" and silence):
            continue
        silence = silence or spec.kind == "silence"
        found.append(spec)
    return found


def _applies(registry: Registry, spec: RuleSpec, station: StationInfo) -> bool:
    return not spec.regions or any(station.region in registry.members[code] for code in spec.regions)


def engine_rules(registry: Registry, specs: list[RuleSpec], stations: list[StationInfo]) -> list[Rule]:
    """The rules as arrays over these stations."""
    out = []
    for spec in specs:
        table = np.full((len(stations), 4), NEVER, np.int64)
        hysteresis, after = np.zeros(len(stations), np.int64), np.zeros(len(stations), np.int64)
        here = np.array([_applies(registry, spec, station) for station in stations], bool) if spec.regions else np.ones(len(stations), bool)
        if spec.kind == "silence":
            if spec.rising_from is not None:
                table[here, 0] = QUANTITIES[spec.quantity].whole(spec.rising_from)
            after[here] = spec.after_s if spec.after_s is not None else np.array([station.silent_after_s for station in stations], np.int64)[here]
        elif spec.thresholds is not None and stations:
            table[here], hysteresis[here] = limits(spec, stations[0])  # the same for all
        else:
            for index in np.flatnonzero(here).tolist():
                table[index], hysteresis[index] = limits(spec, stations[index])
        out.append(
            Rule(spec.kind, np.array(spec.windows_s, np.int64), table, hysteresis=hysteresis, after=after, stale_after=spec.stale_s, measure=spec.measure)
        )
    return out


@dataclass
class Due:
    """A stretch of event times of a series that is judged for good now; `without`: readings of the batch that came after that moment."""

    index: int
    first: int
    last: int
    without: set[int] = field(default_factory=set)


@dataclass
class Judged:
    """What folding one quantity of a batch gave: arrays over the readings taken to it, in order."""

    quantity: str
    index: np.ndarray  # in the book
    series: np.ndarray  # row keys of the series
    time: np.ndarray
    value: np.ndarray
    flags: np.ndarray
    kept: np.ndarray  # bool: to be stored
    duplicates: int
    conflicts: int
    late: int
    transitions: Transitions
    touched: np.ndarray  # index in the book of series whose newest reading may have moved
    fine: np.ndarray  # bool: of a station that reports more often than every five minutes
    due: list[Due]
    doubts: list[doubt.Held]
    spikes: list[tuple[int, int]]  # (index, time) of stored readings that were a jump and are a spike


class QuantityBook:
    """The engine of one quantity, and which station and series row stands behind each of its indices."""

    def __init__(self, registry: Registry, quantity: str, month: int) -> None:
        self.registry, self.quantity = registry, QUANTITIES[quantity]
        self.specs = specs_for(registry, quantity, month)
        self.stations: list[StationInfo] = []
        self.keys: list[int] = []
        self.place: dict[UUID, int] = {}
        self.last_flags: list[int] = []
        self.fine: list[bool] = []
        self.late: dict[int, tuple[int, int]] = {}  # index -> (late_from, late_to), seconds
        self.limits: doubt.Limits | None = None
        # What is known of doubt, by index: readings kept from the rules in reach of a repeat, the newest of them, a jump that waits for a
        # second report, what the neighbours say of the gauge, and what a person said (flag, until).
        self.held: dict[int, dict[int, int]] = {}
        self.heard: dict[int, int] = {}
        self.steps: dict[int, tuple[int, int]] = {}
        self.suspect: dict[int, tuple[int, dict[str, Any]]] = {}
        self.verdict: dict[int, tuple[int, int]] = {}
        self.asked: set[int] = set()  # with a live Doubt
        self.history: dict[int, int] = {}  # newest stored reading that came as history, for no rule to hear
        self.silence = next((index for index, spec in enumerate(self.specs) if spec.kind == "silence"), None)
        self.levels = [index for index, spec in enumerate(self.specs) if spec.kind == "level"]
        self.engine = Engine(0, engine_rules(registry, self.specs, []))

    def add(self, stations: Iterable[StationInfo], keys: Iterable[int]) -> None:
        """More series. Costs what the new ones cost: the engine has room in front of them, twice as much whenever it is full."""
        first = len(self.stations)
        for station, key in zip(stations, keys, strict=True):
            self.place[station.id] = len(self.stations)
            self.stations.append(station)
            self.keys.append(key)
            self.last_flags.append(0)
            self.fine.append(station.fine)
        if len(self.stations) > self.engine.series:
            self.engine.resize(max(len(self.stations), 2 * self.engine.series))
        self.engine.amend(np.arange(first, len(self.stations)), engine_rules(self.registry, self.specs, self.stations[first:]))

    def change(self, stations: Iterable[StationInfo]) -> np.ndarray:
        """Take over what the register says of series that are here, as if the book were built anew; which they are (k,). Their colours stand
        until they are judged again."""
        engine, mine = self.engine, [station for station in stations if station.id in self.place]
        places = np.array([self.place[station.id] for station in mine], np.int64)
        for place, station in zip(places.tolist(), mine, strict=True):
            self.stations[place], self.fine[place] = station, station.fine
        before = [(rule.thresholds[places], rule.hysteresis[places]) for rule in (engine.rules[index] for index in self.levels)]  # type: ignore[index, union-attr]
        engine.amend(places, engine_rules(self.registry, self.specs, mine))
        for index, (limits, hysteresis) in zip(self.levels, before, strict=True):
            rule = engine.rules[index]
            others = (rule.thresholds[places] != limits).any(axis=1) | (rule.hysteresis[places] != hysteresis)  # type: ignore[index, union-attr]
            others &= engine.newest[places] >= 0
            if others.any():
                engine.relearn(index, places[others])
        if self.limits is not None:
            self.limits.lay_out(self, places)
        return places

    def memory(self, index: int) -> dict[str, Any]:
        """What hysteresis must remember of a series, with the limits it was learned under."""
        engine = self.engine
        return {
            self.specs[rule].code: {
                "limits": engine.rules[rule].thresholds[index].tolist(), "hysteresis": int(engine.rules[rule].hysteresis[index]),  # type: ignore[index]
                "entered": engine.entered[rows, index].tolist(), "fallen": engine.fallen[rows, index].tolist(),
            }
            for rule in self.levels
            for rows in [engine.plan.held[rule]]
        }

    def recall(self, rule: int, index: int, memory: dict[str, Any]) -> bool:
        """Take up what was remembered; False when the limits are others now."""
        known = memory.get(self.specs[rule].code)
        own = self.engine.rules[rule]
        if not known or known["limits"] != own.thresholds[index].tolist() or known["hysteresis"] != int(own.hysteresis[index]):  # type: ignore[index]
            return False
        rows = self.engine.plan.held[rule]
        self.engine.entered[rows, index], self.engine.fallen[rows, index] = known["entered"], known["fallen"]
        return True

    def after(self, index: int) -> int:
        """Seconds until the series counts as silent; 0 never."""
        return int(self.engine.rules[self.silence].after[index]) if self.silence is not None else 0  # type: ignore[index]


_KEPT = (  # of a series
    "id", "station_id", "quantity", "last_time", "last_value", "same_since", "last_flags", "doubt_time", "doubt_value", "doubt_flags", "suspect", "suspect_why",
    "verdict", "verdict_until", "late_from", "late_to", "memory",
)
_AT_ONCE = 10_000  # series whose readings are fetched together: 144 each are 23 MB


class Book:
    """All of one realm that this worker's partitions hold."""

    def __init__(self, realm: UUID, registry: Registry, partitions: set[int], month: int, beat: Callable[[], object] = lambda: None) -> None:
        """`beat` is called every now and then while it is built."""
        self.realm, self.registry, self.partitions, self.month, self.beat = realm, registry, partitions, month, beat
        self.revision = -1
        self.quantities: dict[str, QuantityBook] = {}
        self.parts: history.Parts = {}
        self.changed: dict[str, np.ndarray] | None = None  # by quantity, series to be judged again; None: all
        self._load()

    # --- building ----------------------------------------------------------------------------------------------

    def follow(self, registry: Registry) -> bool:
        """Take over a later state of the register at the cost of what changed; False when this book must be built anew: other rules, or a
        station that is another worker's now."""
        old, self.registry = self.registry, registry
        if registry is old:
            return True
        if registry.specs != old.specs or registry.members != old.members:
            return False
        changed = [(old.by_id[pk], station) for pk, station in registry.by_id.items() if pk in old.by_id and old.by_id[pk] is not station]
        if any(was.partition != station.partition for was, station in changed):
            return False
        for quantity, book in self.quantities.items():
            book.registry = registry
            self._noted(quantity, book.change(station for _was, station in changed))
        return True

    def of(self, quantity: str) -> QuantityBook:
        if quantity not in self.quantities:
            self.quantities[quantity] = QuantityBook(self.registry, quantity, self.month)
        return self.quantities[quantity]

    def _load(self) -> None:
        """Every series of ours, from the database."""
        groups: dict[str, list[Any]] = {}
        for row in self._kept().filter(partition__in=self.partitions).iterator(5000):
            if row.station_id in self.registry.by_id:
                groups.setdefault(row.quantity, []).append(row)
        for quantity, rows in groups.items():
            book = self.of(quantity)
            book.add([self.registry.by_id[row.station_id] for row in rows], [row.id for row in rows])
            self._restore(book, rows)
        self.sync(force=True)

    def _kept(self) -> Any:
        return Series.objects.filter(realm_id=self.realm).order_by("id").values_list(*_KEPT, named=True)

    def _restore(self, book: QuantityBook, rows: list[Any]) -> None:
        """Readings a window can still reach, what is known of doubt, and what hysteresis remembers of these series; nothing is known of them yet."""
        engine, index = book.engine, {row.id: book.place[row.station_id] for row in rows}
        for row in rows:
            place = index[row.id]
            if row.last_time is not None:
                engine.newest[place] = int(row.last_time.timestamp())
                engine.last[place] = row.last_value
                engine.since[place] = int(row.same_since.timestamp()) if row.same_since else engine.newest[place]
            book.last_flags[place] = row.last_flags
            if row.doubt_time is not None:
                book.heard[place] = int(row.doubt_time.timestamp())
                if row.doubt_flags & STEP and book.heard[place] > engine.newest[place]:
                    book.steps[place] = (book.heard[place], row.doubt_value)
            if row.suspect:
                book.suspect[place] = (row.suspect, row.suspect_why)
            if row.verdict and row.verdict_until is not None:
                book.verdict[place] = (row.verdict, int(row.verdict_until.timestamp()))
            if row.late_from is not None and row.late_to is not None:
                book.late[place] = int(row.late_from.timestamp()), int(row.late_to.timestamp())
        self._prime(book, index)
        for rule in book.levels:
            forgotten = [index[row.id] for row in rows if row.last_time is not None and not book.recall(rule, index[row.id], row.memory)]
            if forgotten:
                engine.relearn(rule, np.array(forgotten, np.int64))

    def _prime(self, book: QuantityBook, index: dict[int, int]) -> None:
        keys = list(index)
        with connection.cursor() as cursor:
            for first in range(0, len(keys), _AT_ONCE):
                self.beat()
                # The database puts a series' readings into one piece: by the row they would be a hundred times as many objects.
                cursor.execute(
                    "SELECT s.id, string_agg(timestamptz_send(r.time), ''::bytea), string_agg(int8send(r.value), ''::bytea) FROM unnest(%s::bigint[]) AS k(id) "
                    "JOIN sensing_series s ON s.id = k.id JOIN sensing_reading r ON r.series_id = s.id AND r.time > s.last_time - make_interval(secs => %s) "
                    "AND r.flags & %s = 0 GROUP BY s.id",
                    [history.array(keys[first : first + _AT_ONCE]), book.engine.keep + 1, UNJUDGED],
                )
                if found := cursor.fetchall():
                    time, value = (np.frombuffer(b"".join(column), ">i8").astype(np.int64) for column in list(zip(*found, strict=True))[1:])
                    place = np.repeat([index[key] for key, _time, _value in found], [len(each) // 8 for _key, each, _value in found])
                    book.engine.prime(place, time // 1_000_000 + history.EPOCH, value)
            heard = {key: book.heard[place] for key, place in index.items() if place in book.heard}
            cursor.execute(
                "SELECT r.series_id, extract(epoch FROM r.time)::bigint, r.value FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, heard) "
                "JOIN sensing_reading r ON r.series_id = x.id AND r.time > to_timestamp(x.heard - %s) AND r.flags & %s <> 0",
                [[*heard], [*heard.values()], book.engine.keep + 1, DOUBTFUL],
            )
            for key, at, value in cursor.fetchall():
                book.held.setdefault(index[key], {})[int(at)] = value
            cursor.execute("SELECT series_id FROM sensing_doubt WHERE series_id = ANY(%s) AND state IN ('noted', 'open')", [history.array(keys)])
            book.asked |= {index[key] for key, in cursor.fetchall()}
            if self.realm == self.registry.actual:
                cursor.execute(
                    "SELECT series_id, extract(epoch FROM max(last))::bigint FROM sensing_rollup WHERE series_id = ANY(%s) AND span_s = 86400 AND start > %s AND flags & %s <> 0 GROUP BY 1",
                    [history.array(keys), clock.now() - timedelta(hours=settings.READING_HORIZON_H + 24), TOO_LATE],
                )
                book.history.update({index[key]: int(newest) for key, newest in cursor.fetchall()})

    def _again(self, book: QuantityBook, places: list[int]) -> None:
        """Read anew what is stored of a few series: a person's answer has changed it."""
        for known in (book.held, book.heard, book.steps, book.suspect, book.verdict, book.late, book.history):
            for place in places:
                known.pop(place, None)  # type: ignore[attr-defined]
        book.asked -= set(places)
        book.engine.forget(np.array(places, np.int64))
        self._restore(book, list(self._kept().filter(pk__in=[book.keys[place] for place in places])))
        self._noted(book.quantity.code, np.array(places, np.int64))

    def _noted(self, quantity: str, places: np.ndarray) -> None:
        """These series are to be judged again."""
        if self.changed is not None and len(places):
            self.changed[quantity] = np.concatenate((self.changed.get(quantity, places[:0]), places))

    def sync(self, force: bool = False) -> None:
        """Take over what others wrote: the clock's tick (silent series, colours that became unknown), the comparison with the neighbours, a
        person's answer to a doubt. Call under the realm's lock."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT revision, extract(epoch FROM ticked_at)::bigint FROM sensing_realmstate WHERE realm_id = %s", [self.realm])
            row = cursor.fetchone() or (0, None)
            if row[0] == self.revision and not force:
                return
            since = -1 if force else self.revision
            cursor.execute(
                "SELECT quantity, station_id, silent, late_to IS NULL, suspect, suspect_why, verdict, extract(epoch FROM verdict_until)::bigint FROM sensing_series "
                "WHERE realm_id = %s AND revision > %s", [self.realm, since],
            )
            rows = cursor.fetchall()
            cursor.execute("SELECT quantity, station_id, rule, colour FROM sensing_signal WHERE realm_id = %s AND revision > %s", [self.realm, since])
            colours = cursor.fetchall()
        for book in self.quantities.values():
            if row[1] is not None:
                book.engine.clock = int(row[1])
        answered: dict[str, list[int]] = {}
        for quantity, station, state, settled, suspect, why, verdict, until in rows:
            own = self.quantities.get(quantity)
            if own is None or station not in own.place:
                continue
            if verdict and own.verdict.get(own.place[station]) != (verdict, until):
                answered.setdefault(quantity, []).append(own.place[station])
            own.suspect.pop(own.place[station], None)
            if suspect:
                own.suspect[own.place[station]] = (suspect, why if isinstance(why, dict) else orjson.loads(why))
            if settled:
                own.late.pop(own.place[station], None)
            if own.silence is not None:
                own.engine.colour[own.silence, own.place[station]] = state
        for quantity, station, rule, colour in colours:
            own = self.quantities.get(quantity)
            if own is None or station not in own.place:
                continue
            for index, spec in enumerate(own.specs):
                if spec.code == rule and spec.kind != "silence":
                    own.engine.colour[index, own.place[station]] = colour
        for quantity, places in answered.items():
            self._again(self.quantities[quantity], places)
        self.revision = row[0]

    def series(self, wanted: Iterable[tuple[StationInfo, str]]) -> None:
        """Make sure that every station and quantity has its series, here and in the database."""
        missing: dict[str, list[StationInfo]] = {}
        for station, quantity in wanted:
            if station.id not in self.of(quantity).place:
                missing.setdefault(quantity, []).append(station)
        for quantity, stations in missing.items():
            unique = list({station.id: station for station in stations}.values())
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO sensing_series (realm_id, station_id, quantity, partition, last_value, last_flags, count, silent, memory, revision) "
                    "SELECT %s, x.station, %s, x.part, 0, 0, 0, 0, '{}', 0 FROM unnest(%s::uuid[], %s::smallint[]) AS x(station, part) "
                    "ON CONFLICT DO NOTHING",
                    [self.realm, quantity, [station.id for station in unique], [station.partition for station in unique]],
                )
                cursor.execute(
                    "SELECT station_id, id FROM sensing_series WHERE realm_id = %s AND quantity = %s AND station_id = ANY(%s)",
                    [self.realm, quantity, [station.id for station in unique]],
                )
                keys = dict(cursor.fetchall())
            self.of(quantity).add(unique, [keys[station.id] for station in unique])

    # --- folding -----------------------------------------------------------------------------------------------

    def fold(self, columns: Columns, now: int, horizon_s: int) -> list[Judged]:
        """Judge a batch. `now`: the realm's clock in seconds; what is more than `horizon_s` behind it is only stored."""
        self.series(columns.named)
        which, *rest = (np.array(getattr(columns, name), np.int64) for name in ("which", "time", "value", "flags"))
        index = np.array([self.of(quantity).place[station.id] for station, quantity in columns.named], np.int64)
        out = []
        for quantity in dict.fromkeys(quantity for _station, quantity in columns.named):
            chosen = np.flatnonzero(np.array([what == quantity for _station, what in columns.named])[which])
            time, value, flags = (column[chosen] for column in rest)
            out.append(self._fold(self.of(quantity), index[which[chosen]], time, value, flags, now - horizon_s, columns))
        return out

    def _fold(self, book: QuantityBook, series: np.ndarray, time: np.ndarray, value: np.ndarray, flags: np.ndarray, horizon: int, columns: Columns) -> Judged:
        engine = book.engine
        keys = np.array([book.keys[index] for index in series.tolist()], np.int64)
        too_late = (time < horizon) | ((flags & TOO_LATE) > 0)
        # What the engine cannot have in memory is looked up: stored long ago, or never judged.
        far = too_late | ((engine.newest[series] >= 0) & (time <= engine.newest[series] - engine.keep))
        # A reading of this very batch may push T so far that an earlier-timed one behind it falls out of memory, too.
        top = np.full(engine.series, -1, np.int64)
        np.maximum.at(top, series, time)
        far |= time <= top[series] - engine.keep
        # History of a file is stored within reach of the rules and unknown to the engine.
        far |= time <= np.array([book.history.get(index, -1) for index in series.tolist()], np.int64) if book.history else False
        drop = np.zeros(len(series), bool)
        duplicates = conflicts = 0
        if far.any():
            stored = self._stored(keys[far], time[far])
            for i in np.flatnonzero(far):
                key = (int(keys[i]), int(time[i]))
                if key in stored:
                    drop[i] = True
                    if stored[key] == int(value[i]):
                        duplicates += 1
                    else:
                        conflicts += 1
                else:
                    stored[key] = int(value[i])
        said = doubt.judge(book, self.realm, series, time, value, flags, ~drop & ~too_late, columns)
        flags = said.flags
        for again, same in said.repeats.items():
            drop[again] = True
            duplicates, conflicts = duplicates + int(same), conflicts + int(not same)
        if said.held.any():
            # One of an event time the engine knows already is a repeat, too.
            old = said.held & (time <= engine.newest[series]) & ~far
            stored = self._stored(keys[old], time[old]) if old.any() else {}
            for i in np.flatnonzero(old):
                if (key := (int(keys[i]), int(time[i]))) in stored:
                    drop[i], said.held[i] = True, False
                    same = stored[key] == int(value[i])
                    duplicates, conflicts = duplicates + int(same), conflicts + int(not same)
                    book.held.get(int(series[i]), {}).pop(int(time[i]), None)
                    said.found = [one for one in said.found if (one.index, one.time) != (series[i], time[i])]
            flags[said.held & (time <= engine.newest[series])] |= LATE
        judged = ~drop & ~too_late & ~said.held
        place = np.flatnonzero(judged)
        before = engine.newest[series]
        folded = engine.fold(series[place], time[place], value[place])
        status = np.full(len(series), NEW, np.int8)
        status[place] = folded.status
        duplicates += int((folded.status == DUPLICATE).sum())
        conflicts += int((folded.status == CONFLICT).sum())
        kept = ~drop & ((status == NEW) | (status == OLD))
        flags[too_late] |= TOO_LATE
        for each in np.flatnonzero(kept & too_late & (time >= horizon)).tolist():
            book.history[int(series[each])] = max(book.history.get(int(series[each]), -1), int(time[each]))
        flags[place[folded.late]] |= LATE
        taken = place[(folded.status == NEW) | (folded.status == OLD)]
        for i in taken[time[taken] == engine.newest[series[taken]]].tolist():
            book.last_flags[series[i]] = int(flags[i])
        due = self._late(book, series[place], time[place], before[place], folded.status == NEW, folded.late)
        moved = replace(folded.transitions, arrival=place[folded.transitions.arrival])
        return Judged(
            book.quantity.code, series, keys, time, value, flags, kept, duplicates, conflicts, int((kept & ((flags & (LATE | TOO_LATE)) > 0)).sum()),
            moved, np.unique(series[taken]), np.array([book.fine[index] for index in series.tolist()], bool), due, said.found, said.spikes,
        )

    @staticmethod
    def _late(book: QuantityBook, series: np.ndarray, time: np.ndarray, before: np.ndarray, new: np.ndarray, late: np.ndarray) -> list[Due]:
        """Note what came late, reading by reading, and give out what no reading on its way can change any more.

        Only series with late readings are walked: of the others what is said at once is right for good.
        """
        concerned = [*{*series[new & late].tolist(), *book.late}]
        mine = np.flatnonzero(new & np.isin(series, concerned)) if concerned else ()
        due: list[Due] = []
        newest: dict[int, int] = {}
        for i in (int(i) for i in mine):
            index, at = int(series[i]), int(time[i])
            top = newest.setdefault(index, int(before[i]))
            held = book.late.get(index)
            if at <= top:
                book.late[index] = (min(at, held[0]) if held else at, top)
                for one in due:
                    if one.index == index and at <= one.last:
                        one.without.add(at)
                continue
            newest[index] = at
            if held and at >= held[1] + settings.LATENESS_S:
                due.append(Due(index, *book.late.pop(index)))
        return due

    @staticmethod
    def _stored(keys: np.ndarray, time: np.ndarray) -> dict[tuple[int, int], int]:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT r.series_id, extract(epoch FROM r.time)::bigint, r.value FROM unnest(%s::bigint[], %s::bigint[]) AS x(k, t) "
                "JOIN sensing_reading r ON r.series_id = x.k AND r.time = to_timestamp(x.t)",
                [keys.tolist(), time.tolist()],
            )
            return {(key, int(at)): value for key, at, value in cursor.fetchall()}


Said = dict[tuple[int, str], list[tuple[int, int]]]  # (index, rule) -> (event time, colour), times rising


def exact(book: QuantityBook, due: list[Due], said: Said) -> list[tuple[int, RuleSpec, int, int | None, int, int]]:
    """Judge stretches of event time behind the watermark, from the stored readings in order, and compare with what was said at once:
    (place in `due`, rule, event time, until, said, true), one for each time at which either changed and they differ."""
    chosen = [spec for spec in book.specs if spec.kind != "silence"]
    if not due or not chosen:
        return []
    stations = [book.stations[one.index] for one in due]
    engine = Engine(len(due), engine_rules(book.registry, chosen, stations))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.place, extract(epoch FROM r.time)::bigint, r.value FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS x(place, id, low, high) "
            "JOIN sensing_reading r ON r.series_id = x.id AND r.time > to_timestamp(x.low) AND r.time <= to_timestamp(x.high) AND r.flags & %s = 0 ORDER BY 1, 2",
            [list(range(len(due))), [book.keys[one.index] for one in due], [one.first - engine.keep - 1 for one in due], [one.last for one in due], UNJUDGED],
        )
        found = [row for row in cursor.fetchall() if row[1] not in due[row[0]].without]
    place, time, value = (np.array(column, np.int64) for column in zip(*found, strict=True)) if found else (np.zeros(0, np.int64),) * 3
    old = time < np.array([one.first for one in due], np.int64)[place]
    for p, t, v in zip(place[old].tolist(), time[old].tolist(), value[old].tolist(), strict=True):
        engine.newest[p], engine.last[p], engine.since[p] = t, v, t
    engine.prime(place[old], time[old], value[old])

    def believed(index: int, rule: str, at: int) -> int:
        line = said.get((index, rule), [])
        return line[i][1] if (i := bisect.bisect_right(line, (at, 99)) - 1) >= 0 else 0

    for g, spec in enumerate(chosen):
        for p, one in enumerate(due):
            colour = max(believed(one.index, spec.code, one.first - 1), 0)
            engine.colour[g, p] = colour
            for j, row in enumerate(engine.plan.held[g]):
                then = max(int(engine.newest[p]), 0)
                engine.entered[row, p], engine.fallen[row, p] = (then, -1) if colour > j else (-1, then)
    moved = engine.fold(place[~old], time[~old], value[~old]).transitions
    true: dict[tuple[int, str], dict[int, int]] = {}
    for p, t, g, new in zip(moved.series.tolist(), moved.time.tolist(), moved.rule.tolist(), moved.new.tolist(), strict=True):
        true.setdefault((p, chosen[g].code), {})[t] = new
    out = []
    for p, one in enumerate(due):
        for spec in chosen:
            changes = true.get((p, spec.code), {})
            held = max(believed(one.index, spec.code, one.first - 1), 0)
            times = sorted({*changes, *(t for t, _c in said.get((one.index, spec.code), []) if one.first <= t <= one.last)})
            for at, until in itertools.zip_longest(times, times[1:]):
                held = changes.get(at, held)
                if (was := max(believed(one.index, spec.code, at), 0)) != held:
                    out.append((p, spec, at, until, was, held))
    return out


def supposing(book: QuantityBook, doubts: Iterable[doubt.Held]) -> dict[int, tuple[int, int, int]]:
    """What would be said if readings that are doubted were true: {index: (rule, the colour that stands, the colour it would be)}, where that differs;
    the worst of its rules."""
    chosen = [number for number, spec in enumerate(book.specs) if spec.kind != "silence"]
    held: dict[int, list[doubt.Held]] = {}
    for one in doubts:
        held.setdefault(one.index, []).append(one)
    if not held or not chosen:
        return {}
    indices = list(held)
    first = [min(one.time for one in held[index]) for index in indices]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT x.place, extract(epoch FROM r.time)::bigint, r.value FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS x(place, id, low) "
            "JOIN sensing_reading r ON r.series_id = x.id AND r.time > to_timestamp(x.low) AND r.flags & %s = 0",
            [list(range(len(indices))), [book.keys[index] for index in indices], [at - book.engine.keep - 1 for at in first], UNJUDGED],
        )
        believed = sorted((at, place, value) for place, at, value in cursor.fetchall())
    doubted = [(one.time, place, one.value) for place, index in enumerate(indices) for one in held[index]]
    without, with_ = (_told(book, chosen, indices, first, sorted(rows)) for rows in (believed, [*believed, *doubted]))
    out: dict[int, tuple[int, int, int]] = {}
    for at, place, _value in sorted(doubted):
        for g, number in enumerate(chosen):
            stands, would = without(g, place, at), with_(g, place, at)
            index = indices[place]
            if stands != would and (index not in out or max(stands, would) > max(out[index][1:])):
                out[index] = (number, stands, would)
    return out


def _told(book: QuantityBook, chosen: list[int], indices: list[int], first: list[int], rows: list[tuple[int, int, int]]) -> Callable[[int, int, int], int]:
    """Judge readings (time, place, value) in order from `first` of each place on; gives the colour of (rule, place) at a time."""
    engine = Engine(len(indices), engine_rules(book.registry, [book.specs[number] for number in chosen], [book.stations[index] for index in indices]))
    old = [row for row in rows if row[0] < first[row[1]]]
    for at, place, value in old:
        engine.newest[place], engine.last[place], engine.since[place] = at, value, at
    if old:
        engine.prime([place for _t, place, _v in old], [t for t, _p, _v in old], [v for _t, _p, v in old])
    for g, number in enumerate(chosen):
        if engine.plan.held[g]:
            engine.relearn(g, np.arange(len(indices)))
        # What held before, as far as it was said: hysteresis may remember more than is read here.
        live = np.array([book.engine.newest[index] < at for index, at in zip(indices, first, strict=True)])
        if live.any():
            for mine, theirs in zip(engine.plan.held[g], book.engine.plan.held[number], strict=True):
                engine.entered[mine][live], engine.fallen[mine][live] = book.engine.entered[theirs, indices][live], book.engine.fallen[theirs, indices][live]
    if old:
        engine.rejudge()
    start = engine.colour.copy()
    new = [row for row in rows if row[0] >= first[row[1]]]
    moved = engine.fold([place for _t, place, _v in new], [t for t, _p, _v in new], [v for _t, _p, v in new]).transitions
    line: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for place, at, g, colour in zip(moved.series.tolist(), moved.time.tolist(), moved.rule.tolist(), moved.new.tolist(), strict=True):
        line.setdefault((g, place), []).append((at, colour))

    def colour_at(g: int, place: int, at: int) -> int:
        return max(next((colour for then, colour in reversed(line.get((g, place), [])) if then <= at), int(start[g, place])), 0)

    return colour_at


def rising(realm: UUID, registry: Registry, rows: list[Series], month: int) -> dict[int, tuple[int, bool, RuleSpec | None]]:
    """Of series that fell silent: the measure (rise or sum, quanta) before their last reading, and whether it counts
    as rising, by series key. Reads only the readings of that window."""
    out: dict[int, tuple[int, bool, RuleSpec | None]] = {}
    groups: dict[str, list[Series]] = {}
    for row in rows:
        groups.setdefault(row.quantity, []).append(row)
    for quantity, series in groups.items():
        spec = next((spec for spec in specs_for(registry, quantity, month) if spec.kind == "silence"), None)
        stations = [registry.by_id[row.station_id] for row in series]
        if spec is None:
            out.update({row.pk: (0, False, None) for row in series})
            continue
        engine = Engine(len(series), engine_rules(registry, [spec], stations))
        index = {row.pk: place for place, row in enumerate(series)}
        for row in series:
            assert row.last_time is not None
            engine.newest[index[row.pk]], engine.last[index[row.pk]] = int(row.last_time.timestamp()), row.last_value
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT s.id, extract(epoch FROM r.time)::bigint, r.value FROM unnest(%s::bigint[]) AS k(id) JOIN sensing_series s ON s.id = k.id "
                "JOIN sensing_reading r ON r.series_id = s.id AND r.time >= s.last_time - make_interval(secs => %s) AND r.time <= s.last_time "
                "AND r.flags & %s = 0",
                [list(index), int(max(spec.windows_s)), UNJUDGED],
            )
            found = cursor.fetchall()
        if found:
            key, time, value = (np.array(column, np.int64) for column in zip(*found, strict=True))
            engine.prime(np.array([index[k] for k in key.tolist()], np.int64), time, value)
        measure = engine.measured(spec.measure, int(spec.windows_s[0]))
        limit = engine.rules[0].thresholds[:, 0]
        for row in series:
            place = index[row.pk]
            out[row.pk] = (int(measure[place]), bool(limit[place] != NEVER and measure[place] >= limit[place]), spec)
    return out


def minute_after(seconds: int) -> datetime:
    """The first whole minute at or after an instant: ticks come by the minute."""
    return moment(-(-seconds // 60) * 60)
