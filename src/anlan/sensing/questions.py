"""What is asked of a person: readings that are not believed and would change a colour, and what he answers."""
from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.kernel import access, due, parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import REASON_NEEDED
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Due

from . import compute, doubt, history
from .compute import Judged, QuantityBook
from .errors import ANSWERED
from .facts import DoubtAnswered, GaugesCompared, ReadingDoubted
from .history import moment
from .models import Doubt, RealmState, Series, Station
from .quantities import COLOURS, DOUBTFUL, FAULTY, QUANTITIES, SOUND, UNJUDGED, flag_names

WORK = "sensing.doubt"
COMPARE, SUBJECT = "sensing.compare", "sensing:network"
TURN = "sensing {}"  # name of a realm's lock: shared by the workers' batches, held alone by what writes series of all of them


def alone(realm: Any) -> RealmState:
    """The realm's row, with no batch of any worker under way until this transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [TURN.format(realm.pk)])
    return RealmState.objects.get_or_create(pk=realm.pk)[0]


def ask(act: Act, own: QuantityBook, part: Judged, cause: UUID | None) -> None:
    """Note what a batch brought that is not believed; ask where believing it would change a colour; let go of what is over."""
    doubted = {one.index for one in part.doubts}
    over = {int(index) for index in part.touched} & own.asked - doubted
    if not doubted and not over:
        return
    keys = {own.keys[index]: index for index in doubted | over}
    live = {keys[row.series_id]: row for row in Doubt.objects.of(act.realm).select_for_update().filter(series_id__in=keys, state__in=Doubt.LIVE)}
    _over(act, own, [live[index] for index in over if index in live])
    if not doubted:
        return
    # The same value again can change nothing that is not said already; of a gauge that a person does not believe nobody asks.
    would = compute.supposing(own, [
        one for one in part.doubts if not one.flags & FAULTY and (one.value != own.engine.last[one.index] or own.engine.newest[one.index] < 0)
    ])
    for index in sorted(doubted):
        mine = [one for one in part.doubts if one.index == index]
        row = live.get(index)
        if row is None:
            row = _begin(act, own, index, mine[0])
            own.asked.add(index)
        quantity = own.quantity
        row.first, row.last = min(row.first, moment(mine[0].time)), max(row.last, moment(mine[-1].time))
        row.count += len(mine)
        row.value = max(row.value, *(quantity.value(one.value) for one in mine))
        for one in mine:
            row.flags |= one.flags
            row.why = {**row.why, **one.why}
        if index in would and (row.state == Doubt.NOTED or would[index][2] > row.would):
            number, row.stands, row.would = would[index]
            _question(act, own, index, row, next(one for one in reversed(mine)), cause)
        row.save()


def _begin(act: Act, own: QuantityBook, index: int, one: doubt.Held) -> Doubt:
    station = own.stations[index]
    return act.create(
        Doubt, series_id=own.keys[index], station_id=station.id, region_id=station.region, quantity=own.quantity.code, first=moment(one.time), last=moment(one.time),
        value=own.quantity.value(one.value), flags=one.flags, why=one.why,
    )


def _question(act: Act, own: QuantityBook, index: int, row: Doubt, one: doubt.Held, cause: UUID | None) -> None:
    station, quantity = own.stations[index], own.quantity
    row.state = Doubt.OPEN
    dated = replace(act, occurred_at=moment(one.time), precision="second")
    row.fact = dated.state(
        ReadingDoubted(
            doubt=row.pk, station=station.id, code=station.code, name=station.name, region=station.region, quantity=quantity.code, value=quantity.value(one.value),
            unit=quantity.unit, event_time=moment(one.time), flags=flag_names(row.flags & DOUBTFUL), why=row.why, stands=COLOURS[row.stands], would=COLOURS[row.would],
        ),
        subject=f"station:{station.id}", region=station.region, cause=cause,
        id=derived_id("sensing.ReadingDoubted", act.realm.pk, station.id, quantity.code, one.time, row.would),
    )
    post = parties.duty_post(station.region)
    if post is not None:
        work.open(
            act, post=post, kind=WORK, subject=f"doubt:{row.pk}", region=station.region, cause=row.fact, level=COLOURS[max(row.would, row.stands)],
            due_at=act.now + timedelta(minutes=doubt.limit("answer_minutes")),
            msgid=gettext_noop("{name} reports {value} {unit}, and there is reason to doubt it. Is it true?"),
            params={"name": station.name, "value": quantity.value(one.value), "unit": quantity.unit},
        )


def _over(act: Act, own: QuantityBook, rows: list[Doubt]) -> None:
    """A believed reading came behind them. Doubted amounts stay a question: they would still count in every sum."""
    for row in rows:
        if row.state == Doubt.OPEN and own.quantity.is_amount:
            continue
        if row.state == Doubt.OPEN:
            work.close(act, kind=WORK, subject=f"doubt:{row.pk}", outcome="overtaken")
        row.state = Doubt.OVER
        row.save(update_fields=["state"])
        own.asked.discard(own.place[row.station_id])


@action("sensing.answer_doubt")
def answer(act: Act, *, doubt_: UUID, true: bool, reason: str) -> Doubt:
    """Say whether doubted readings are true, and why. True ones are judged at once like any other, and so is what the gauge says in the
    next hours; else the gauge is not believed for as long."""
    state = alone(act.realm)
    row = act.lock(Doubt, doubt_)
    access.require(act, "sensing.judge", region=row.region_id)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": _("needed")}])
    if row.state in (Doubt.SOUND, Doubt.FAULTY):
        raise ANSWERED()
    series = Series.objects.select_for_update().get(pk=row.series_id)
    until = max(act.now, row.last) + timedelta(hours=doubt.limit("verdict_hours"))
    with connection.cursor() as cursor:
        change = f"(flags & ~{DOUBTFUL}) | {SOUND}" if true else f"flags | {FAULTY}"
        cursor.execute(
            f"UPDATE sensing_reading SET flags = {change} WHERE series_id = %s AND time >= %s AND time <= %s AND flags & %s <> 0",
            [series.pk, row.first, row.last, DOUBTFUL],
        )
        count = cursor.rowcount
        # What the rules know of the series begins again from what is stored.
        cursor.execute("SELECT time, value, flags FROM sensing_reading WHERE series_id = %s AND flags & %s = 0 ORDER BY time DESC LIMIT 1", [series.pk, UNJUDGED])
        newest = cursor.fetchone()
    if newest is not None and newest[0] != series.last_time:
        series.last_time, series.last_value, series.last_flags, series.same_since = *newest, newest[0]
    series.verdict, series.verdict_until = (SOUND if true else FAULTY), until
    series.memory = {} if true else series.memory
    # What the worker holds of it is read anew before its next batch.
    series.revision = state.revision = state.revision + 1
    series.save()
    state.save(update_fields=["revision"])
    history.recount(series.pk, row.first, row.last)
    row.state = Doubt.SOUND if true else Doubt.FAULTY
    row.answered_by_id, row.answered_at, row.reason = act.actor.person_id, act.now, reason[:300]
    act.save(row)
    station = row.station
    act.state(
        DoubtAnswered(
            doubt=row.pk, station=station.pk, code=station.code, name=station.name, region=row.region_id, quantity=row.quantity, verdict=row.state, reason=reason[:300],
            count=count, flags=flag_names(row.flags & DOUBTFUL), first=row.first, last=row.last, until=until,
        ),
        subject=f"station:{station.pk}", region=row.region_id, cause=row.fact,
    )
    work.close(act, kind=WORK, subject=f"doubt:{row.pk}", outcome="answered")
    return row


# --- once an hour of rain --------------------------------------------------------------------------------------------


def compare_later(act: Act) -> None:
    """It rains: arm the comparison with the neighbours, unless it is armed."""
    if not Due.objects.filter(realm_id=act.realm.pk, timer=COMPARE, subject=SUBJECT).exists():
        due.at(act, moment((int(act.now.timestamp()) // 3600 + 1) * 3600 + 300), COMPARE, subject=SUBJECT)


@action("sensing.compare")
def compare(act: Act) -> int:
    """Hold each rain gauge against its neighbours over the last hours. What they say of it, all its next readings carry, until they say otherwise."""
    found = doubt.compare(act.realm.pk, int(act.now.timestamp()))
    state = alone(act.realm)  # of a province the comparison takes seconds: batches go on meanwhile
    rows = Series.objects.select_for_update().filter(Q(pk__in=found) | Q(suspect__gt=0), realm_id=act.realm.pk, quantity="rain").order_by("pk")
    changed = [row for row in rows if (row.suspect, row.suspect_why) != found.get(row.pk, (0, {}))]
    for row in changed:
        row.suspect, row.suspect_why = found.get(row.pk, (0, {}))
        row.revision = state.revision + 1
    if changed:
        Series.objects.bulk_update(changed, ["suspect", "suspect_why", "revision"], batch_size=1000)
        state.revision += 1
        state.save(update_fields=["revision"])
        codes = dict(Station.plain.filter(pk__in=[row.station_id for row in changed]).values_list("pk", "code"))
        said = {flag: sorted(codes[row.station_id] for row in changed if bool(row.suspect) == flag) for flag in (True, False)}
        act.state(GaugesCompared(doubted=said[True], cleared=said[False]), subject=SUBJECT, region=None)
    return len(changed)


def explained(row: Doubt) -> list[str]:
    return doubt.explain(row.why)


def unit_of(row: Doubt) -> Any:
    return QUANTITIES[row.quantity]
