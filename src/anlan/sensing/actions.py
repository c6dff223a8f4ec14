"""The room's use cases; the only code that writes its rows (the worker's positions and leases apart: see worker)."""
from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import bcrypt
import numpy as np
import orjson
from django.conf import settings
from django.db import IntegrityError, connection
from django.db.models import F
from django.utils.translation import gettext as _

from anlan.engines.frames import FRAMES, to_wgs84
from anlan.engines.series import NEVER
from anlan.kernel import access, clock, due, journal, search
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import REASON_NEEDED
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.models import RegisterChange
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get as register_of
from anlan.kernel.registers.values import cell

from . import compute, history, questions, rules
from .compute import Book, Judged
from .errors import BAD_RULES, BAD_SOURCE, BAD_STATION, WRONG_REALM
from .facts import (
    GaugeHeard,
    GaugeSilent,
    MaintenanceSet,
    ReadingsAccepted,
    ReadingsExported,
    RulesAdopted,
    SignalChanged,
    SignalRevised,
    SourceChanged,
    StationChanged,
    StationsImported,
)
from .history import moment
from .ingest import Columns, Refusal, StationInfo
from .models import (
    CODE,
    NAME,
    Maintenance,
    Partition,
    RealmState,
    Refused,
    Register,
    RuleSet,
    Series,
    Signal,
    Source,
    Station,
)
from .quantities import COLOUR_NUMBER, COLOURS, PROBE, QUANTITIES, SPIKE, STEP, flag_names
from .rules import RuleSpec

# Frames coordinates may come in, by EPSG code or by the name they go by here.
CRS = {"EPSG:4326": "WGS84", "EPSG:4490": "CGCS2000", **{name: name for name in FRAMES}}
TICK = "sensing.tick"
TICK_SUBJECT = "sensing:clock"
SILENT_AT_ONCE = 2000  # gauges told silent in one transaction: when a province's network fails, no gauge that still reports waits long
DEAF_S = 60  # the worker has not caught up for so long: silence of gauges cannot be told from our own


# --- readings --------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What recording a batch of one realm did."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    transitions: int = 0


@dataclass
class Batch:
    """A realm's part of a batch, with the book it is folded into. In memory only: the fact carries count and digest."""

    columns: Columns
    book: Book
    outcome: Outcome | None = None
    told: list[tuple[str, str, int, int, int]] = field(default_factory=list)  # (code, quantity, seconds, quanta, flags) of what was stored, when somebody listens

    def __repr__(self) -> str:
        return f"<batch of {len(self.columns)}>"


class OutOfStep(RuntimeError):
    """The book in memory and the database disagree: the book is thrown away and built anew."""


@action("sensing.record")
def record(act: Act, *, batch: Any) -> Any:
    """Store a batch, judge it, and state what changed: readings, positions of series, signals and facts in one transaction.

    Only the worker calls this, inside the transaction that also moves its stream position.
    """
    columns, book = batch.columns, batch.book
    state = _beside(act.realm)
    if book.revision < 0 or state.revision != book.revision:
        book.sync()
    if book.changed != {}:
        _judge_again(act, book)
    now = math.floor(act.now.timestamp())
    received = clock.now()
    parts = book.fold(columns, now, settings.READING_HORIZON_H * 3600)
    done = Outcome()
    lines: list[str] = []
    times: list[int] = []
    codes: dict[int, str] = {}
    for part in parts:
        quantity_book = book.of(part.quantity)
        _store(part, received, book.parts)
        done.accepted += int(part.kept.sum())
        done.duplicates += part.duplicates
        done.conflicts += part.conflicts
        done.late += part.late
        for index in part.touched.tolist():
            codes[quantity_book.keys[index]] = quantity_book.stations[index].code
        keys, time, value = part.series[part.kept].tolist(), part.time[part.kept].tolist(), part.value[part.kept].tolist()
        if keys and act.realm.is_actual and book.registry.listeners:
            named = {quantity_book.keys[index]: quantity_book.stations[index].code for index in part.index.tolist()}
            batch.told += [(named[k], part.quantity, t, v, f) for k, t, v, f in zip(keys, time, value, part.flags[part.kept].tolist(), strict=True) if part.quantity != PROBE]
        if keys:
            lines += [f"{codes.get(k, k)}|{part.quantity}|{t}|{v}" for k, t, v in zip(keys, time, value, strict=True)]
            times += (min(time), max(time))
    if not done.accepted:
        return None
    cause = act.state(
        ReadingsAccepted(
            count=done.accepted, duplicates=done.duplicates, conflicts=done.conflicts, late=done.late, first=moment(min(times)), last=moment(max(times)),
            digest="sha256:" + hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        ),
        subject=f"readings:{act.realm.pk}",
    )
    wake: list[int] = []
    for part in parts:
        done.transitions += _announce(act, book, part, cause)
        _settle(act, book.of(part.quantity), part.due, cause)
        questions.ask(act, book.of(part.quantity), part, cause)
        wake += _move(book, part, received)
    wake += _raised(book, parts)
    if any(part.quantity == "rain" and (part.value[part.kept] > 0).any() for part in parts):
        questions.compare_later(act)
    _arm(act, state, min(wake, default=0), now)
    batch.outcome = done
    return done.accepted


def _beside(realm: Any) -> RealmState:
    """The realm's row as it stands while we go on. Workers hold no series in common and run beside one another; the clock's
    tick and the comparison with the neighbours run alone (`questions.alone`)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, 0))", [questions.TURN.format(realm.pk)])
    state = RealmState.objects.filter(pk=realm.pk).first()
    return state or RealmState.objects.get_or_create(pk=realm.pk)[0]


def _store(part: Judged, received: datetime, known: history.Parts) -> None:
    kept = part.kept
    if not kept.any():
        return
    series, time, value, flags = part.series[kept], part.time[kept], part.value[kept], part.flags[kept]
    try:
        history.store(series, time, value, flags, received, known)
    except IntegrityError as error:
        raise OutOfStep(f"{part.quantity}: of {int(kept.sum())} readings to store not all were new") from error
    history.roll_up(series, time, value, flags, part.fine[kept], known)


def _move(book: Book, part: Judged, received: datetime) -> list[int]:
    """Write the series' new positions; returns when they would fall silent (seconds)."""
    own = book.of(part.quantity)
    engine = own.engine
    new = part.kept
    counted = Counter(part.series[new].tolist())
    # A series that got only readings too late for the rules still counts them.
    by_key = {own.keys[index]: index for index in part.touched.tolist()}
    late_only = [key for key in counted if key not in by_key]
    rows = []
    wake = []
    for key, index in by_key.items():
        newest = int(engine.newest[index])
        after = own.after(index)
        silent_at = max(newest, own.heard.get(index, 0)) + after + 1 if after else None
        silent = int(engine.colour[own.silence, index]) if own.silence is not None else 0
        if silent_at is not None and not silent:
            wake.append(silent_at)
        rows.append((
            key, newest, int(engine.last[index]), own.last_flags[index], int(engine.since[index]), counted.get(key, 0), silent_at, silent,
            orjson.dumps(own.memory(index)).decode() if own.levels else None, *own.late.get(index, (None, None)),
        ))
        if index in own.late:
            wake.append(own.late[index][1] + 2 * settings.LATENESS_S)
    with connection.cursor() as cursor:
        if rows:
            *columns, memory, first, last = zip(*rows, strict=True)
            cursor.execute(
                "UPDATE sensing_series s SET last_time = to_timestamp(x.newest), last_value = x.value, last_flags = x.flags, last_received = %s, "
                "same_since = to_timestamp(x.since), count = s.count + x.n, silent_at = to_timestamp(x.silent_at), silent = x.silent, "
                "memory = coalesce(x.memory::jsonb, s.memory), late_from = to_timestamp(x.late_from), late_to = to_timestamp(x.late_to) "
                "FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::text[], "
                "%s::bigint[], %s::bigint[]) AS x(id, newest, value, flags, since, n, silent_at, silent, memory, late_from, late_to) WHERE s.id = x.id",
                [received, *map(history.array, columns), history.texts(memory), history.array(first), history.array(last)],
            )
        if late_only:
            cursor.execute(
                "UPDATE sensing_series s SET count = s.count + x.n, last_received = %s FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, n) WHERE s.id = x.id",
                [received, late_only, [counted[key] for key in late_only]],
            )
        if part.doubts:
            newest_held = {one.index: one for one in sorted(part.doubts, key=lambda one: one.time)}
            held = [*zip(*((own.keys[one.index], one.time, one.value, one.flags, own.after(one.index)) for one in newest_held.values()), strict=True)]
            # A gauge that says what nobody believes is not silent.
            cursor.execute(
                "UPDATE sensing_series s SET doubt_time = to_timestamp(x.at), doubt_value = x.value, doubt_flags = x.flags, silent_at = CASE WHEN x.after > 0 "
                "AND s.last_time IS NOT NULL THEN greatest(s.silent_at, to_timestamp(x.at + x.after + 1)) ELSE s.silent_at END FROM unnest(%s::bigint[], "
                "%s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[]) AS x(id, at, value, flags, after) WHERE s.id = x.id AND (s.doubt_time IS NULL OR s.doubt_time <= to_timestamp(x.at))",
                [[*column] for column in held],
            )
        if part.spikes:
            cursor.execute(
                "UPDATE sensing_reading r SET flags = (r.flags & ~%s) | %s FROM unnest(%s::bigint[], %s::bigint[]) AS x(id, at) WHERE r.series_id = x.id AND r.time = to_timestamp(x.at)",
                [STEP, SPIKE, [own.keys[index] for index, _at in part.spikes], [at for _index, at in part.spikes]],
            )
    return wake


def _announce(act: Act, book: Book, part: Judged, cause: UUID | None) -> int:
    """Facts and signal rows for a batch's changes of colour, in order."""
    own = book.of(part.quantity)
    moved = part.transitions
    latest: dict[tuple[int, int], Signal] = {}
    for place in range(len(moved)):
        index, rule = int(moved.series[place]), int(moved.rule[place])
        arrival = int(moved.arrival[place])
        flags = int(part.flags[arrival])
        change = Change(
            own.stations[index], own.specs[rule], int(moved.time[place]), int(moved.old[place]), int(moved.new[place]), int(moved.value[place]),
            int(moved.reading[place]), flags, _limit(own, rule, index, int(moved.new[place]), int(moved.old[place])),
        )
        if change.spec.kind == "silence":
            _heard(act, change, int(part.value[arrival]), cause)
            signal = _silence_signal(act, change, 0, cause)
        else:
            signal = _change(act, change, cause)
        if signal is not None:
            latest[index, rule] = signal
    _write_signals(latest.values())
    return len(moved)


@dataclass
class Change:
    """One change of colour, in whole numbers, before it becomes a fact."""

    station: StationInfo
    spec: RuleSpec
    time: int
    old: int
    new: int
    value: int
    reading: int
    flags: int
    limit: int
    mark: str = ""


def _limit(own: compute.QuantityBook, rule: int, index: int, new: int, old: int) -> int:
    colour = new if new > 0 else old
    return int(own.engine.rules[rule].thresholds[index, min(max(colour, 1), 4) - 1])


def _change(act: Act, change: Change, cause: UUID | None) -> Signal:
    """State SignalChanged and give back the signal's row, not yet written."""
    station, spec = change.station, change.spec
    quantity = QUANTITIES[spec.quantity]
    column = min(max(change.new if change.new > 0 else change.old, 1), 4) - 1
    threshold = None if change.limit == NEVER else quantity.value(change.limit)
    flags = flag_names(change.flags)
    at = moment(change.time)
    # Repeatable: the same reading under the same rules makes the same fact, in a replay of the stream as well.
    key = derived_id(
        "sensing.SignalChanged", act.realm.pk, spec.code, spec.version, station.id, spec.quantity, change.time, change.reading,
        COLOURS[change.old], COLOURS[change.new], change.mark,
    )
    dated = replace(act, occurred_at=at, precision="second")
    value = change.value / 1 if spec.kind == "silence" else quantity.value(change.value)
    fact = dated.state(
        SignalChanged(
            station=station.id, code=station.code, name=station.name, region=station.region, rule=spec.code, rule_version=spec.version, kind=spec.kind,
            hazard=spec.hazard, quantity=spec.quantity, old=COLOURS[change.old], new=COLOURS[change.new], value=value,
            unit="s" if spec.kind == "silence" else quantity.unit, window_s=spec.windows_s[column], threshold=threshold, event_time=at,
            reading_time=moment(change.reading), late=change.reading < change.time, flags=flags,
        ),
        subject=f"station:{station.id}", region=station.region, cause=cause, id=key,
    )
    return Signal(
        realm_id=act.realm.pk, station_id=station.id, region_id=station.region, quantity=spec.quantity, rule=spec.code, rule_version=spec.version,
        hazard=spec.hazard, colour=change.new, since=at, value=value, unit="s" if spec.kind == "silence" else quantity.unit,
        window_s=spec.windows_s[column], threshold=threshold, flags=flags, stale_s=0 if spec.kind == "silence" else spec.stale_s, fact=fact,
    )


def _silence_signal(act: Act, change: Change, new: int, cause: UUID | None) -> Signal | None:
    """A silence rule's colour: raised when the gauge fell silent while rising, gone when it is heard again."""
    old = change.spec.colour if change.old == 2 else 0
    if old == new:
        return None
    return _change(act, replace(change, old=old, new=new), cause)


def _heard(act: Act, change: Change, value: int, cause: UUID | None) -> None:
    quantity = QUANTITIES[change.spec.quantity]
    replace(act, occurred_at=moment(change.time), precision="second").state(
        GaugeHeard(
            station=change.station.id, code=change.station.code, name=change.station.name, region=change.station.region,
            quantity=quantity.code, event_time=moment(change.time), value=quantity.value(value), unit=quantity.unit,
        ),
        subject=f"station:{change.station.id}", region=change.station.region, cause=cause,
    )


def _settle(act: Act, own: compute.QuantityBook, due_: list[compute.Due], cause: UUID | None) -> int:
    """Judge stretches with late readings for good and state where something else had been said."""
    if not due_:
        return 0
    place = {f"station:{own.stations[one.index].id}": one.index for one in due_}
    said: compute.Said = {}
    for fact in journal.select(
        "WHERE f.realm_id = %s AND f.kind IN ('sensing.SignalChanged', 'sensing.SignalRevised') AND f.subject = ANY(%s) ORDER BY f.recorded_at",
        [act.realm.pk, list(place)],
    ):
        body = fact.payload
        if body["quantity"] != own.quantity.code:
            continue
        line = said.setdefault((place[fact.subject], body["rule"]), [])
        at = int(fact.occurred_at.timestamp())
        if fact.kind == "sensing.SignalRevised":
            before, until = [each for each in line if each[0] < at], int(datetime.fromisoformat(body["until"]).timestamp()) if body["until"] else None
            after = [each for each in line if until is not None and each[0] >= until]
            if until is not None and not (after and after[0][0] == until):
                after.insert(0, (until, next((colour for time, colour in reversed(line) if time <= until), 0)))
            line[:] = [*before, (at, COLOUR_NUMBER[body["true"]]), *(after or [each for each in line if each[0] > at])]
        elif body["kind"] not in ("stale", "withdrawn") and body["new"] != "unknown":  # "nobody knows any more" says nothing of the weather
            line[:] = [*(each for each in line if each[0] < at), (at, COLOUR_NUMBER[body["new"]])]
    revised = 0
    for number, spec, time, until, was, true in compute.exact(own, due_, said):
        station = own.stations[due_[number].index]
        key = derived_id("sensing.SignalRevised", act.realm.pk, spec.code, spec.version, station.id, spec.quantity, time, COLOURS[was], COLOURS[true])
        if journal.get(key) is not None:
            continue  # a stretch judged for the second time, because something came later still
        replace(act, occurred_at=moment(time), precision="second").state(
            SignalRevised(
                station=station.id, code=station.code, name=station.name, region=station.region, rule=spec.code, rule_version=spec.version, hazard=spec.hazard,
                quantity=spec.quantity, event_time=moment(time), until=None if until is None else moment(until), said=COLOURS[was], true=COLOURS[true],
            ),
            subject=f"station:{station.id}", region=station.region, cause=cause, id=key,
        )
        revised += 1
    return revised


def _write_signals(signals: Iterable[Signal]) -> None:
    rows = list(signals)
    if rows:
        Signal.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["realm", "station", "quantity", "rule"],
            update_fields=["region", "rule_version", "hazard", "colour", "since", "value", "unit", "window_s", "threshold", "flags", "stale_s", "fact", "revision"],
        )


def _raised(book: Book, parts: list[Judged]) -> list[int]:
    """When colours raised by this batch would become unknown."""
    out = []
    for part in parts:
        own = book.of(part.quantity)
        for index, rule in {(int(s), int(r)) for s, r in zip(part.transitions.series, part.transitions.rule, strict=True)}:
            spec = own.specs[rule]
            if spec.kind != "silence" and spec.stale_s and own.engine.colour[rule, index] > 0:
                out.append(int(own.engine.newest[index]) + spec.stale_s + 1)
    return out


def _arm(act: Act, state: RealmState, wake: int, now: int) -> None:
    """Arm the tick for `wake` unless one is armed that comes first. A tick that finds nothing arms the next one itself."""
    if not wake:
        return
    # One armed for long ago was lost (given up after failures): arm again.
    if _armed(state) and now - 600 < _armed(state) <= wake:
        return
    # A worker beside us may just have armed one that comes earlier still.
    state = RealmState.objects.select_for_update().get(pk=state.pk)
    if _armed(state) and now - 600 < _armed(state) <= wake:
        return
    when = compute.minute_after(max(wake, now))
    due.at(act, when, TICK, subject=TICK_SUBJECT)
    state.tick_at = when
    state.save(update_fields=["tick_at"])


def _armed(state: RealmState) -> int:
    return math.floor(state.tick_at.timestamp()) if state.tick_at else 0


def _judge_again(act: Act, book: Any) -> None:
    """Judge what is stored again after the register, the rules or what is believed changed, of all series or those concerned; withdraw
    signals of rules that are no more. A book built from an unchanged database finds nothing to do here."""
    mark = f"register {book.registry.revision}"
    which, book.changed = book.changed, {}
    for quantity, own in book.quantities.items():
        if which is not None and quantity not in which:
            continue
        changes = own.engine.rejudge(None if which is None else which[quantity])
        latest: dict[tuple[int, int], Signal] = {}
        for place in range(len(changes)):
            index, rule = int(changes.series[place]), int(changes.rule[place])
            change = Change(
                own.stations[index], own.specs[rule], int(changes.time[place]), int(changes.old[place]), int(changes.new[place]),
                int(changes.value[place]), int(changes.reading[place]), own.last_flags[index],
                _limit(own, rule, index, int(changes.new[place]), int(changes.old[place])), mark,
            )
            latest[index, rule] = _change(act, change, None)
        _write_signals(latest.values())
    if which is not None:
        return  # the rules are the same ones
    live = {quantity: {spec.code for spec in own.specs} for quantity, own in book.quantities.items()}
    for row in Signal.objects.of(act.realm).exclude(colour=0).select_related("station"):
        station = book.registry.by_id.get(row.station_id)
        if station is None or station.partition not in book.partitions or row.rule in live.get(row.quantity, {row.rule}):
            continue
        old, row.colour, row.since = COLOURS[row.colour], 0, act.now
        row.fact = act.state(
            SignalChanged(
                station=station.id, code=station.code, name=station.name, region=station.region, rule=row.rule, rule_version=row.rule_version,
                kind="withdrawn", hazard=row.hazard, quantity=row.quantity, old=old, new="none", value=row.value, unit=row.unit,
                window_s=row.window_s, threshold=row.threshold, event_time=act.now, reading_time=act.now, late=False, flags=[],
            ),
            subject=f"station:{station.id}", region=station.region,
        )
        act.save(row)


# --- the clock -------------------------------------------------------------------------------------------------------


def _deaf(realm: Any) -> bool:
    """Whether our own ear is closed: a worker holds (or held) partitions and has not caught up with the stream lately.

    Not asked on a manual clock: there the replay moves on only when everything is taken in.
    """
    if realm.clock == "manual":
        return False
    oldest = Partition.objects.exclude(token=0).order_by(F("heard_until").asc(nulls_first=True)).values_list("heard_until", flat=True).first()
    ever = Partition.objects.exclude(token=0).exists()
    return ever and (oldest is None or clock.now() - oldest > timedelta(seconds=DEAF_S))


@action("sensing.tick")
def tick(act: Act) -> int:
    """Tell the room the realm's time: gauges fall silent, colours nobody feeds become unknown. Arms the next tick: at once where more fell
    silent than one transaction takes, since no batch is judged while it runs."""
    state = questions.alone(act.realm)
    now = math.floor(act.now.timestamp())
    moved = 0
    if _deaf(act.realm):
        when = compute.minute_after(now + 60)
        due.at(act, when, TICK, subject=TICK_SUBJECT)
        state.tick_at = when
        state.save(update_fields=["tick_at"])
        return 0
    revision = state.revision + 1
    rows = list(
        Series.objects.select_for_update(of=("self",)).filter(realm_id=act.realm.pk, silent=0, silent_at__lte=moment(now), station__active=True).select_related("station")
        .order_by("station__code", "quantity")[:SILENT_AT_ONCE]
    )
    if rows:
        registry = compute.registry(only={row.station_id for row in rows})
        judged = compute.rising(act.realm.pk, registry, rows, act.now.month)
        rising: list[tuple[Series, UUID]] = []
        facts = []
        for row in rows:
            measure, is_rising, _spec = judged[row.pk]
            if act.realm.is_actual and any(begins <= now < ends for begins, ends, _why in registry.by_id[row.station_id].maintenance):
                is_rising = False  # it was switched off
            facts.append((_silent_fact(registry.by_id[row.station_id], row, measure, is_rising, now), row.station, None, None, new_id()))
            if is_rising:
                rising.append((row, facts[-1][-1]))
        act.state_many(facts)
        Series.objects.filter(pk__in=[row.pk for row in rows]).update(silent=1, revision=revision)
        Series.objects.filter(pk__in=[row.pk for row, _cause in rising]).update(silent=2)
        _write_signals([signal for row, cause in rising if (signal := _rising_signal(act, registry.by_id[row.station_id], row, judged[row.pk][2], now, revision, cause))])
        moved += len(rows)
    moved += _settle_waiting(act, now, revision)
    moved += _grow_stale(act, now, revision)
    if moved:
        state.revision = revision
    state.ticked_at = moment(now)
    # A timer fires once for each moment: the next part's is another one, and due already.
    following = moment(now) - timedelta(microseconds=revision) if len(rows) == SILENT_AT_ONCE else _next_tick(act.realm.pk, now)
    if following:
        due.at(act, following, TICK, subject=TICK_SUBJECT)
    state.tick_at = following
    state.save()
    return moved


def _silent_fact(station: StationInfo, row: Series, measure: int, is_rising: bool, now: int) -> GaugeSilent:
    quantity = QUANTITIES[row.quantity]
    assert row.last_time is not None  # it has a moment of falling silent, so it was heard
    return GaugeSilent(
        station=station.id, code=station.code, name=station.name, region=station.region, quantity=row.quantity, rising=is_rising,
        last_time=row.last_time, last_value=quantity.value(row.last_value), unit=quantity.unit, measure=quantity.value(measure), silent_s=now - int(row.last_time.timestamp()),
    )


def _rising_signal(act: Act, station: StationInfo, row: Series, spec: RuleSpec | None, now: int, revision: int, cause: UUID) -> Signal | None:
    """What a gauge says that fell silent while its value rose, where the rule has a colour for that."""
    if spec is None or not spec.colour:
        return None
    assert row.last_time is not None
    newest = int(row.last_time.timestamp())
    signal = _change(act, Change(station, spec, now, 0, spec.colour, now - newest, newest, row.last_flags, QUANTITIES[row.quantity].whole(spec.rising_from or 0)), cause)
    signal.revision = revision
    return signal


def _settle_waiting(act: Act, now: int, revision: int) -> int:
    """Judge for good what waits although its gauge says nothing more."""
    rows = list(Series.objects.select_for_update().filter(realm_id=act.realm.pk, late_to__lte=moment(now - 2 * settings.LATENESS_S)).order_by("station__code", "quantity"))
    if not rows:
        return 0
    registry = compute.registry(only={row.station_id for row in rows})
    groups: dict[str, list[Series]] = {}
    for row in rows:
        if row.station_id in registry.by_id:
            groups.setdefault(row.quantity, []).append(row)
    for quantity, series in groups.items():
        own = compute.QuantityBook(registry, quantity, act.now.month)
        own.add([registry.by_id[row.station_id] for row in series], [row.pk for row in series])
        _settle(act, own, [compute.Due(index, int(row.late_from.timestamp()), int(row.late_to.timestamp())) for index, row in enumerate(series) if row.late_from and row.late_to], None)
    Series.objects.filter(pk__in=[row.pk for row in rows]).update(late_from=None, late_to=None, revision=revision)
    return len(rows)


# Colours that are held and can become unknown, with their series.
RAISED = (
    "FROM sensing_signal g JOIN sensing_series s ON s.realm_id = g.realm_id AND s.station_id = g.station_id AND s.quantity = g.quantity "
    "WHERE g.realm_id = %s AND g.colour > 0 AND g.stale_s > 0"
)


def _grow_stale(act: Act, now: int, revision: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT g.id, extract(epoch FROM s.last_time)::bigint {RAISED} AND s.last_time < to_timestamp(%s) - make_interval(secs => g.stale_s)", [act.realm.pk, now])
        newest = dict(cursor.fetchall())
    if not newest:
        return 0
    for signal in Signal.objects.of(act.realm).filter(pk__in=newest).select_related("station").order_by("station__code", "quantity", "rule"):
        old, signal.colour, signal.since, signal.revision = COLOURS[signal.colour], -1, moment(now), revision
        signal.fact = act.state(
            SignalChanged(
                station=signal.station_id, code=signal.station.code, name=signal.station.name, region=signal.region_id, rule=signal.rule,
                rule_version=signal.rule_version, kind="stale", hazard=signal.hazard, quantity=signal.quantity, old=old, new="unknown", value=signal.value,
                unit=signal.unit, window_s=signal.window_s, threshold=signal.threshold, event_time=moment(now), reading_time=moment(newest[signal.pk]),
                late=False, flags=[],
            ),
            subject=f"station:{signal.station_id}", region=signal.region_id, cause=signal.fact,
        )
        act.save(signal)
    return len(newest)


def _next_tick(realm: UUID, now: int) -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT least("
            "(SELECT extract(epoch FROM min(s.silent_at)) FROM sensing_series s JOIN sensing_station t ON t.id = s.station_id AND t.active "
            " WHERE s.realm_id = %s AND s.silent = 0 AND s.silent_at > to_timestamp(%s)), "
            "(SELECT extract(epoch FROM min(late_to)) + %s FROM sensing_series WHERE realm_id = %s AND late_to IS NOT NULL), "
            f"(SELECT extract(epoch FROM min(s.last_time + make_interval(secs => g.stale_s))) + 1 {RAISED}))",
            [realm, now, 2 * settings.LATENESS_S, realm, realm],
        )
        (found,) = cursor.fetchone() or (None,)
    return compute.minute_after(max(math.ceil(found), now + 60)) if found is not None else None


# --- what was refused ------------------------------------------------------------------------------------------------

SAMPLES = 200  # of one batch, kept for inspection; all are counted


def keep_refused(refusals: list[Refusal], at: datetime) -> None:
    """Count all, keep samples of the newest. Called in the batch's transaction; rows of evidence, no decision of anybody."""
    if not refusals:
        return
    Refused.objects.bulk_create([
        Refused(
            at=at, realm_id=r.realm, door=r.door, subject=r.subject[:200].replace("\x00", ""), source=r.source[:64], station=r.station.replace("\x00", ""),
            region_id=r.region, reason=r.reason, detail=r.detail[:300].replace("\x00", ""),
            payload=r.payload.decode("utf-8", "replace").replace("\x00", "\ufffd"), size=r.size,
        )
        for r in refusals[:SAMPLES]
    ])
    hour = at.replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        for (door, reason), count in sorted(Counter((r.door, r.reason) for r in refusals).items()):  # one order of locks for all workers
            cursor.execute(
                "INSERT INTO sensing_refusedcount (hour, door, reason, count) VALUES (%s, %s, %s, %s) "
                "ON CONFLICT (hour, door, reason) DO UPDATE SET count = sensing_refusedcount.count + excluded.count",
                [hour, door, reason, count],
            )
        cursor.execute(
            "DELETE FROM sensing_refused WHERE id <= (SELECT id FROM sensing_refused ORDER BY id DESC OFFSET %s LIMIT 1)", [Refused.KEEP]
        )


# --- the register ----------------------------------------------------------------------------------------------------


def _only_actual(act: Act) -> None:
    if not act.realm.is_actual:
        raise WRONG_REALM()


FIELDS = (
    "name", "name_en", "kind", "quantities", "river", "elevation_m", "sensor_height_m", "datum", "owner", "interval_s", "silent_after_s", "thresholds",
    "upstream", "serves_id", "active", "origin",
)


def check_thresholds(thresholds: Any, quantities: list[str]) -> list[dict[str, str]]:
    """What is wrong with a station's thresholds, as [{"field", "why"}]."""
    wrong = []
    if not isinstance(thresholds, dict):
        return [{"field": "thresholds", "why": _("an object by quantity is needed")}]
    for quantity, given in thresholds.items():
        if quantity not in QUANTITIES or not isinstance(given, dict):
            wrong.append({"field": "thresholds", "why": _("{name}: no such quantity").format(name=str(quantity)[:20])})
            continue
        if quantity not in quantities:
            wrong.append({"field": "thresholds", "why": _("{name}: the station does not measure it").format(name=quantity)})
        steps = []
        for name, value in given.items():
            if name == "source":
                if not isinstance(value, str):
                    wrong.append({"field": "thresholds", "why": _("{name}: a text is needed").format(name=f"{quantity}.source")})
                continue
            if name not in (*rules.COLOUR_NAMES, "hysteresis"):
                wrong.append({"field": "thresholds", "why": _("{name}: only blue, yellow, orange, red, hysteresis and source are known").format(name=f"{quantity}.{str(name)[:20]}")})
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or abs(value) > 1e6:
                wrong.append({"field": "thresholds", "why": _("{name}: a number is needed").format(name=f"{quantity}.{name}")})
            elif name == "hysteresis" and value < 0:
                wrong.append({"field": "thresholds", "why": _("{name}: not below zero").format(name=f"{quantity}.hysteresis")})
        steps = [given[name] for name in rules.COLOUR_NAMES if isinstance(given.get(name), (int, float))]
        if steps != sorted(steps):
            wrong.append({"field": "thresholds", "why": _("{name}: thresholds must rise from blue to red").format(name=QUANTITIES[quantity].name)})
    return wrong


def check_upstream(upstream: Any, quantities: list[str]) -> list[dict[str, str]]:
    """What is wrong with what is said of the rain upstream, as [{"field", "why"}]."""
    if upstream == {}:
        return []
    if not isinstance(upstream, dict) or set(upstream) - {"rain", "hours", "mm", "source"} or not isinstance(upstream.get("rain"), list):
        return [{"field": "upstream.rain", "why": _("codes of rain gauges, hours, mm and a source")}]
    wrong = []
    if not {"level", "flow"} & set(quantities):
        wrong.append({"field": "upstream.rain", "why": _("only for stations that measure water level or discharge")})
    codes = [code for code in upstream["rain"] if isinstance(code, str)]
    known = set(Station.objects.filter(code__in=codes, quantities__contains="rain").values_list("code", flat=True))
    if missing := sorted({str(code) for code in upstream["rain"]} - known):
        wrong.append({"field": "upstream.rain", "why": _("no rain gauge with this code: {codes}").format(codes=", ".join(missing[:5]))})
    for name, most in (("hours", 240), ("mm", 1000)):
        value = upstream.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= most:
            wrong.append({"field": f"upstream.{name}", "why": _("a number above 0, at most {most}").format(most=most)})
    return wrong


def _check_station(values: dict[str, Any]) -> None:
    wrong = []
    if not CODE.fullmatch(str(values.get("code", ""))):
        wrong.append({"field": "code", "why": _("letters, digits and hyphens, at most 40, beginning with a letter or digit")})
    if not str(values.get("name", "")).strip() or len(values["name"]) > 120:
        wrong.append({"field": "name", "why": _("needed, at most 120 characters")})
    quantities = values.get("quantities")
    if not isinstance(quantities, list) or not quantities or set(quantities) - set(QUANTITIES):
        wrong.append({"field": "quantities", "why": _("one or more of {names}").format(names=", ".join(QUANTITIES))})
        quantities = []
    lon, lat = values.get("lon"), values.get("lat")
    if (lon is None) != (lat is None) or (lon is not None and not (-180 <= lon <= 180 and -90 <= lat <= 90)):  # type: ignore[operator]
        wrong.append({"field": "lon", "why": _("longitude and latitude in degrees, or neither")})
    if (values.get("source_crs") or "EPSG:4326") not in CRS:
        wrong.append({"field": "source_crs", "why": _("one of {names}").format(names=", ".join(CRS))})
    for name in ("interval_s", "silent_after_s"):
        if not isinstance(values.get(name, 0), int) or not 0 <= values.get(name, 0) <= 30 * 86400:
            wrong.append({"field": name, "why": _("0 to 2592000 seconds")})
    wrong += check_thresholds(values.get("thresholds", {}), quantities) + check_upstream(values.get("upstream", {}), quantities)
    if wrong:
        raise BAD_STATION(fields=wrong)


def _place(row: Station, values: dict[str, Any]) -> None:
    """Coordinates into our frame, and their cell."""
    lon, lat, row.source_crs = values.get("lon"), values.get("lat"), values.get("source_crs") or "EPSG:4326"
    if lon is not None and lat is not None:
        ours = to_wgs84(CRS[row.source_crs], np.array([lon], float), np.array([lat], float))
        lon, lat = float(ours[0][0]), float(ours[1][0])
    row.lon, row.lat, row.cell = lon, lat, cell(lon, lat)


@action("sensing.set_thresholds")
def set_thresholds(act: Act, *, station: UUID, thresholds: dict, upstream: dict | None = None) -> Station:
    """Set the thresholds of what a station measures, {quantity: {colour: value, "hysteresis", "source"}}, and which rain gauges lie
    upstream of it, {"rain": [codes], "hours", "mm", "source"} (None: as it was). sensing.bad_station."""
    _only_actual(act)
    row = act.lock(Station, station)
    access.require(act, "sensing.manage", region=row.region_id)
    upstream = row.upstream if upstream is None else upstream
    wrong = check_thresholds(thresholds, row.quantities) + check_upstream(upstream, row.quantities)
    if wrong:
        raise BAD_STATION(fields=wrong)
    before, row.thresholds, row.upstream = {"thresholds": row.thresholds, "upstream": row.upstream}, thresholds, upstream
    act.save(row)
    act.state(StationChanged(station=row.pk, code=row.code, what="thresholds", before=before, after={"thresholds": thresholds, "upstream": upstream}), about=row)
    Register.changed()
    return row


@action("sensing.maintain")
def maintain(act: Act, *, station: UUID, begins: datetime, ends: datetime, reason: str) -> Maintenance:
    """Say when people work on a station. An end in the past, or now, takes back what was said. sensing.bad_station."""
    _only_actual(act)
    row = act.lock(Station, station)
    access.require(act, "sensing.manage", region=row.region_id)
    wrong = []
    if not reason.strip():
        wrong.append({"field": "reason", "why": _("needed")})
    if not begins < ends <= begins + timedelta(days=366):
        wrong.append({"field": "ends", "why": _("after the beginning, at most a year later")})
    if wrong:
        raise BAD_STATION(fields=wrong)
    Maintenance.objects.filter(station=row, ends_at__gt=begins, begins_at__lt=ends).update(ends_at=begins)  # the newest word counts
    made = act.create(Maintenance, station=row, begins_at=begins, ends_at=ends, reason=reason[:200], by_id=act.actor.person_id)
    act.state(MaintenanceSet(station=row.pk, code=row.code, name=row.name, begins=begins, ends=ends, reason=reason[:200]), about=row)
    Register.changed()
    return made


@action("sensing.follow_register")
def follow_register(act: Act, *, ended: list) -> None:
    """The register of stations was written: the workers look again, and what left it is out of service."""
    Station.plain.filter(pk__in=ended).update(active=False)
    Register.changed()
    _later_broker_users()


@action("sensing.import_stations")
def import_stations(act: Act, *, rows: list, origin: str) -> int:
    """Enter many stations at once with their thresholds (the demonstration city, another system); existing codes are changed. Returns how many.

    Each row: the fields of the model, `region` and `source` by key, coordinates in `source_crs`. One fact with count and digest.
    sensing.bad_station names row and field; nothing is entered then.
    """
    _only_actual(act)
    access.require(act, "sensing.manage")
    known = {row.code: row for row in Station.objects.filter(code__in=[str(values.get("code", "")) for values in rows])}
    seen: set[str] = set()
    fresh, changed = [], []
    declared = register_of("sensing.station")
    for number, values in enumerate(rows):
        row = known.get(str(values.get("code", ""))) or Station(code=str(values.get("code", "")))
        full = {**{name: getattr(row, name) for name in FIELDS}, "code": row.code, "lon": None, "lat": None, **values}
        try:
            _check_station(full)
        except Exception as problem:
            fields = getattr(problem, "fields", [])
            raise BAD_STATION(fields=[{"field": f"rows[{number}].{f['field']}", "why": f["why"]} for f in fields])
        if row.code in seen:
            raise BAD_STATION(fields=[{"field": f"rows[{number}].code", "why": _("twice in this file")}])
        seen.add(row.code)
        if not isinstance(act.actor, Actor) or not act.actor.machine_name:
            access.require(act, "sensing.manage", region=values.get("region") or None)
        for name in FIELDS:
            setattr(row, name, full[name])
        _place(row, full)
        row.region_id = values.get("region") or None
        row.source_id = values.get("source") or row.source_id
        row.origin = origin[:200]
        row.ended_at, row.verified_at = None, act.now
        registers.settle(declared, row)
        (changed if row.code in known else fresh).append(row)
    Station.objects.bulk_create(fresh, batch_size=500)
    names = [*FIELDS, "lon", "lat", "cell", "words", "source_crs", "region", "source", "ended_at", "verified_at"]
    for row in changed:
        row.version += 1
    Station.objects.bulk_update(changed, [*names, "version"], batch_size=500)
    RegisterChange.objects.bulk_create([registers.entry(act, declared, row, "import", {}, origin) for row in [*fresh, *changed]], batch_size=2000)
    search.put(search.KINDS["station"], [*fresh, *changed])
    digest = hashlib.sha256("\n".join(f"{row.code}|{row.region_id}|{row.lon}|{row.lat}|{row.thresholds}" for row in [*fresh, *changed]).encode()).hexdigest()
    act.state(
        StationsImported(count=len(rows), created=len(fresh), digest=f"sha256:{digest}", origin=origin[:200]), subject=f"readings:{act.realm.pk}"
    )
    Register.changed()
    _later_broker_users()
    return len(rows)


# --- sources ---------------------------------------------------------------------------------------------------------


def _later_broker_users() -> None:
    """After the commit, give the broker the users it should know."""
    from django.db import transaction

    from . import sources

    transaction.on_commit(sources.write_broker_users)


@action("sensing.save_source")
def save_source(
    act: Act, *, name: str, kind: str, title: str = "", contact: str = "", active: bool = True, reads: bool = False, enters: bool = False, source: UUID | None = None
) -> Source:
    """Enter or change a source. It has no credential until one is set."""
    _only_actual(act)
    access.require(act, "sensing.sources", region=None)
    wrong = []
    if not NAME.fullmatch(name) or name in ("anlan", "replay"):
        wrong.append({"field": "name", "why": _("letters, digits, - and _, at most 64, and not a name the platform uses itself")})
    if kind not in dict(Source.KINDS):
        wrong.append({"field": "kind", "why": _("one of {names}").format(names=", ".join(dict(Source.KINDS)))})
    if Source.objects.filter(name=name).exclude(pk=source).exists():
        wrong.append({"field": "name", "why": _("this is taken already")})
    if len(title) > 120 or len(contact) > 120:
        wrong.append({"field": "title", "why": _("at most 120 characters")})
    if wrong:
        raise BAD_SOURCE(fields=wrong)
    row = act.lock(Source, source) if source else Source()
    row.name, row.kind, row.title, row.contact, row.active, row.reads, row.enters = name, kind, title, contact, active, reads, enters
    if source:
        act.save(row)
    else:
        row.save(force_insert=True)
    act.state(
        SourceChanged(source=row.pk, name=row.name, what="changed" if source else "entered", stations=Station.objects.filter(source=row).count()), about=row
    )
    Register.changed()
    _later_broker_users()
    return row


@action("sensing.set_credential")
def set_credential(act: Act, *, source: UUID, password_bcrypt: str) -> Source:
    """Give a source a new password; only its hash is handed in (`sources.new_password`), so nothing keeps the word itself."""
    _only_actual(act)
    access.require(act, "sensing.sources", region=None)
    try:
        bcrypt.checkpw(b"", password_bcrypt.encode())
    except ValueError:
        raise BAD_SOURCE(fields=[{"field": "password_bcrypt", "why": _("not a bcrypt hash")}])
    row = act.lock(Source, source)
    row.password_bcrypt, row.password_set_at = password_bcrypt, clock.now()
    act.save(row)
    act.state(SourceChanged(source=row.pk, name=row.name, what="credential", stations=Station.objects.filter(source=row).count()), about=row)
    Register.changed()
    _later_broker_users()
    return row


@action("sensing.bind")
def bind(act: Act, *, source: UUID, stations: list) -> Source:
    """Bind exactly these stations (by code) to the source; the others it had are bound to none."""
    _only_actual(act)
    access.require(act, "sensing.sources", region=None)
    row = act.lock(Source, source)
    codes = {str(code) for code in stations}
    found = {station.code for station in Station.objects.filter(code__in=codes)}
    if missing := sorted(codes - found):
        raise BAD_SOURCE(fields=[{"field": "stations", "why": _("no such station: {codes}").format(codes=", ".join(missing[:5]))}])
    Station.objects.filter(source=row).exclude(code__in=codes).update(source=None)
    Station.objects.filter(code__in=codes).update(source=row)
    act.save(row)
    act.state(SourceChanged(source=row.pk, name=row.name, what="stations", stations=len(codes)), about=row)
    Register.changed()
    _later_broker_users()
    return row


# --- rules -----------------------------------------------------------------------------------------------------------


@action("sensing.load_defaults")
def load_defaults(act: Act) -> int:
    """Enter the rule files of this release as versions; a set that has no version in force gets this one.

    A version in force, the user's own above all, is never replaced here: the rules page shows the difference.
    """
    made = 0
    for _file, text in rules.default_files():
        head, _parsed = rules.parse(text)
        digest = rules.digest(text)
        if RuleSet.objects.filter(name=head["name"], digest=digest).exists():
            continue
        first = not RuleSet.objects.filter(name=head["name"], in_force=True).exists()
        row = _ruleset(act, head, text, RuleSet.DEFAULT, first, None)
        made += 1
        if first:
            _adopted(act, row, "")
    if made:
        Register.changed()
    return made


def _ruleset(act: Act, head: dict[str, Any], text: str, origin: str, in_force: bool, based_on: RuleSet | None) -> RuleSet:
    return act.create(
        RuleSet, name=head["name"], label=head["label"], title=head["title"], title_zh=head["title_zh"], origin=origin, source=head["source"],
        mark=head["mark"], text=text, digest=rules.digest(text), in_force=in_force, based_on=based_on,
    )


def _adopted(act: Act, row: RuleSet, replaced: str) -> None:
    act.state(
        RulesAdopted(ruleset=row.pk, name=row.name, label=row.label, origin=row.origin, digest=row.digest, replaced=replaced), about=row
    )


@action("sensing.adopt_rules")
def adopt_rules(act: Act, *, ruleset: UUID | None = None, text: str = "", note: str = "") -> RuleSet:
    """Put a stored version in force, or the user's own text as a new version. sensing.bad_rules says why it cannot be."""
    _only_actual(act)
    access.require(act, "sensing.rules", region=None)
    if not note.strip():
        raise REASON_NEEDED(fields=[{"field": "note", "why": _("needed")}])
    if text:
        head, _parsed = rules.parse(text)
        row = RuleSet.objects.filter(name=head["name"], digest=rules.digest(text)).first()
        current = RuleSet.objects.filter(name=head["name"], in_force=True).first()
        if row is None:
            if RuleSet.objects.filter(name=head["name"], label=head["label"]).exists():
                raise BAD_RULES(why=_("the label {label} is taken by another version; give yours its own").format(label=head["label"]))
            row = _ruleset(act, head, text, RuleSet.OWN, False, current)
    else:
        found = RuleSet.objects.filter(pk=ruleset).first()
        if found is None:
            raise BAD_RULES(why=_("no such version"))
        row = found
    old = RuleSet.objects.select_for_update().filter(name=row.name, in_force=True).exclude(pk=row.pk).first()
    if old is not None:
        old.in_force = False
        act.save(old)
    row.in_force, row.note = True, note[:200]
    act.save(row)
    _adopted(act, row, str(old.label) if old else "")
    Register.changed()
    return row


@action("sensing.export_readings")
def export_readings(act: Act, *, path: Any, start: Any, end: Any, stations: Any = (), quantity: str = "") -> int:
    """Write a realm's readings in [start, end) to a Parquet file; how many."""
    count, digest = history.export(Path(path), act.realm.pk, start, end, codes=list(stations) or None, quantity=quantity)
    act.state(ReadingsExported(count=count, start=start, end=end, stations=list(stations), digest=digest), subject=f"readings:{act.realm.pk}")
    return count


def machine_act(realm: Any) -> Act:
    """An act of this room's own."""
    return Act(Actor.machine("sensing"), realm)
