"""Readings become rows, colours and facts; once, in any cutting, and the same after a restart."""
from __future__ import annotations

from datetime import timedelta
from random import Random

import orjson
import pytest
from django.db import connection
from django.utils import translation

from anlan.kernel import clock, flowing, journal, shell
from anlan.kernel.models import Due, Fact, FactPayload, Realm
from anlan.sensing import actions, compute, doubt, worker
from anlan.sensing.ingest import Message, Sample
from anlan.sensing.models import BatchStat, Reading, RealmState, Refused, Register, RuleSet, Series, Signal, Station
from anlan.sensing.quantities import FROZEN, LATE, TOO_LATE
from anlan.sensing.worker import Processor, feed

from .builders import act, at, level, put, rain, source, station

pytestmark = pytest.mark.django_db


def sweep():
    """What is due on every realm's clock; this room alone, without the reactions of the rooms above."""
    while flowing.sweep():
        pass


def facts(realm, kind="sensing.SignalChanged"):
    rows = Fact.objects.filter(realm=realm, kind=kind).order_by("occurred_at", "recorded_at")
    return [FactPayload.objects.get(pk=row.pk).payload for row in rows]


def colours(realm):
    return [(p["code"], p["old"], p["new"], p["value"]) for p in facts(realm)]


def test_a_downpour_becomes_orange_then_red(actual, replay, county):
    station(actual, region=county, name_en="Upper bridge")
    put(replay, 200)
    feed(replay, rain("R1", (60, 20), (120, 20), (180, 20)))
    feed(replay, rain("R1", (190, 40)))
    assert colours(replay) == [("R1", "none", "orange", 60.0), ("R1", "orange", "red", 100.0)]
    signal = Signal.objects.of(replay).get()
    assert (signal.colour, signal.value, signal.threshold, signal.window_s) == (4, 100.0, 100.0, 3 * 3600)
    assert signal.rule_version == "cma-rainstorm@2007" and signal.region_id == county.pk
    assert Fact.objects.get(pk=signal.fact).occurred_at == at(190)
    cause = Fact.objects.get(pk=Fact.objects.get(pk=signal.fact).cause_id)
    assert cause.kind == "sensing.ReadingsAccepted"
    assert Reading.objects.count() == 4
    # A reader in English reads the gauge's English name, a Chinese one the name the fact bears.
    for language, name in (("en", "Upper bridge:"), ("zh-hans", "站R1：")):
        with translation.override(language):
            assert shell.say(journal.get(signal.fact)).startswith(name)


def test_the_same_reading_twice_changes_nothing_and_another_value_is_counted(actual, replay):
    station(actual)
    put(replay, 60)
    feed(replay, rain("R1", (10, 5)))
    again = feed(replay, rain("R1", (10, 5), (10, 6), (20, 1)))
    assert (again["accepted"], again["duplicates"], again["conflicts"]) == (1, 1, 1)
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1000, 5000]


def test_a_late_reading_is_marked_and_corrects_the_sum(actual, replay):
    station(actual)
    put(replay, 200)
    feed(replay, rain("R1", (60, 30), (180, 10)))
    feed(replay, rain("R1", (120, 10)))
    assert colours(replay) == [("R1", "none", "orange", 50.0)]
    assert Reading.objects.get(time=at(120)).flags == LATE
    assert facts(replay)[0]["late"] and facts(replay)[0]["flags"] == ["late"]


def test_what_is_older_than_the_horizon_is_kept_but_raises_nothing(actual, replay):
    station(actual)
    put(replay, 80 * 60)
    feed(replay, rain("R1", (60, 120)))
    assert colours(replay) == []
    assert Reading.objects.get().flags == TOO_LATE
    assert Series.objects.get().last_time is None and Series.objects.get().count == 1
    assert feed(replay, rain("R1", (60, 120)))["duplicates"] == 1


def test_a_value_frozen_too_long_is_flagged(actual, replay):
    station(actual)
    put(replay, 200)
    feed(replay, rain("R1", *[(5 * n, 2.4) for n in range(1, 15)]))
    assert Reading.objects.get(time=at(65)).flags == FROZEN
    assert Reading.objects.get(time=at(60)).flags == 0
    feed(replay, rain("R1", *[(70 + 5 * n, 0) for n in range(1, 20)]))  # no rain is no frozen sensor
    # Nor is one tip of the bucket in every report: an hour of steady light rain.
    station(actual, "R2")
    feed(replay, rain("R2", *[(5 * n, 0.5) for n in range(1, 40)]))
    assert not Reading.objects.filter(series__station__code="R2").exclude(flags=0).exists()
    assert Reading.objects.filter(value=0).exclude(flags=0).count() == 0


def test_a_restart_between_any_two_batches_changes_nothing(actual, replay):
    """One processor over the whole stream, and a fresh one for every batch: same facts, same keys."""
    station(actual, "R1")
    station(actual, "L1", ("level",), thresholds={"level": {"yellow": 2.0, "red": 3.0, "hysteresis": 0.5}})
    other = Realm.objects.create(kind="replay", name="again", clock="manual", now_at=at(600))
    put(replay, 600)
    stream = [
        *rain("R1", (60, 20), (120, 20)), *level("L1", (60, 1.9), (70, 2.1), (80, 1.6)), *rain("R1", (180, 20), (150, 5), (190, 60)),
        *level("L1", (90, 3.2), (85, 1.2), (100, 2.6), (110, 2.4)), *rain("R1", (400, 0)), *level("L1", (120, 1.4)),
    ]
    one = Processor()
    feed(replay, stream, one)
    for sample in stream:
        feed(other, [sample], Processor())
    first, second = colours(replay), colours(other)
    assert sorted(first) == sorted(second) and len(first) >= 6
    assert set(Signal.objects.of(replay).values_list("rule", "colour", "since")) == set(Signal.objects.of(other).values_list("rule", "colour", "since"))


def test_hysteresis_is_remembered_longer_than_any_window(actual, replay):
    station(actual, "L1", ("level",), thresholds={"level": {"yellow": 2.0, "hysteresis": 0.5}})
    put(replay, 60 * 60)
    feed(replay, level("L1", (0, 2.1)))
    # Inside the band for two days; a fresh process every time.
    for hour in range(1, 50):
        feed(replay, level("L1", (60 * hour, 1.7)), Processor())
    assert Signal.objects.of(replay).get(rule="station-levels.level").colour == 2
    feed(replay, level("L1", (60 * 50, 1.4)), Processor())
    assert Signal.objects.of(replay).get(rule="station-levels.level").colour == 0


def test_silence_and_silence_while_rising_on_the_realms_clock(actual, replay):
    station(actual, "L1", ("level",), silent_after_s=1800)
    station(actual, "L2", ("level",), silent_after_s=1800)
    put(replay, 31)
    feed(replay, [*level("L1", (0, 1.0), (30, 1.4)), *level("L2", (0, 1.0), (30, 1.1))])
    put(replay, 60)
    sweep()
    assert facts(replay, "sensing.GaugeSilent") == []
    put(replay, 61)
    sweep()
    silent = {p["code"]: p["rising"] for p in facts(replay, "sensing.GaugeSilent")}
    assert silent == {"L1": True, "L2": False}
    assert colours(replay) == [("L1", "none", "orange", 1860.0)]
    put(replay, 70)
    feed(replay, level("L1", (69, 1.5)))
    assert [p["code"] for p in facts(replay, "sensing.GaugeHeard")] == ["L1"]
    assert colours(replay)[-1][:3] == ("L1", "orange", "none")
    assert Series.objects.get(station__code="L1").silent == 0
    # And it can fall silent again.
    put(replay, 102)
    sweep()
    assert [p["code"] for p in facts(replay, "sensing.GaugeSilent")] == ["L1", "L2", "L1"]


def test_a_whole_network_that_falls_silent_is_told_in_parts(actual, replay, monkeypatch):
    """As many as fit in a transaction at a time, all of them in the same minute of the realm's clock."""
    monkeypatch.setattr(actions, "SILENT_AT_ONCE", 3)
    for number in range(7):
        station(actual, f"L{number}", ("level",), silent_after_s=600)
    put(replay, 60)
    feed(replay, [sample for number in range(7) for sample in level(f"L{number}", (0, 2), (30, 2 + 0.05 * number), (60, 2 + 0.1 * number))])
    put(replay, 72)
    sweep()
    rows = {row.station.code: row for row in Series.objects.filter(realm=replay).select_related("station")}
    assert {code: row.silent for code, row in rows.items()} == {f"L{number}": 2 if number >= 3 else 1 for number in range(7)}
    assert len({row.revision for row in rows.values()}) == 3
    told = facts(replay, "sensing.GaugeSilent")
    assert sorted(p["code"] for p in told) == sorted(rows) and {p["silent_s"] for p in told} == {720}
    raised = {signal.station.code: signal for signal in Signal.objects.of(replay).filter(rule__endswith="silence").select_related("station")}
    assert {code: signal.colour for code, signal in raised.items()} == {f"L{number}": 3 for number in range(3, 7)}
    for signal in raised.values():
        cause = Fact.objects.get(pk=Fact.objects.get(pk=signal.fact).cause_id)
        assert (cause.kind, cause.subject) == ("sensing.GaugeSilent", f"station:{signal.station_id}")


def test_a_colour_nobody_feeds_becomes_unknown_and_comes_back(actual, replay):
    station(actual, silent_after_s=1800)
    put(replay, 61)
    own = Processor()
    feed(replay, rain("R1", (60, 120)), own)
    assert Signal.objects.of(replay).get(rule="cma-rainstorm.rainstorm").colour == 4
    for hour in range(2, 16):
        put(replay, 60 * hour)
        sweep()
    assert Signal.objects.of(replay).get(rule="cma-rainstorm.rainstorm").colour == -1
    assert ("R1", "red", "unknown", 120.0) in colours(replay)
    feed(replay, rain("R1", (15 * 60, 0)), own)  # the same process: it must have heard of it
    assert Signal.objects.of(replay).get(rule="cma-rainstorm.rainstorm").colour == 0


def test_colours_that_are_held_do_not_keep_the_clock_busy(actual, replay):
    """The next tick is for the first of them that can really become unknown: not the oldest reading with the shortest patience of another gauge."""
    station(actual, silent_after_s=0)
    station(actual, "L1", ("level",), silent_after_s=0, thresholds={"level": {"orange": 5}})
    station(actual, "S1", silent_after_s=600)
    put(replay, 301)
    feed(replay, [*rain("R1", (60, 120)), *level("L1", (300, 6)), *rain("S1", (300, 0))])
    assert colours(replay) == [("R1", "none", "red", 120.0), ("L1", "none", "orange", 6.0)]
    for minutes, following in ((311, 661), (480, 661), (661, 781), (781, None)):  # S1 falls silent; nothing; L1 after 6 h; R1 after 12 h
        put(replay, minutes)
        sweep()
        assert RealmState.objects.get(pk=replay.pk).tick_at == (None if following is None else at(following)), minutes
    assert [(code, new) for code, _old, new, _value in colours(replay)[2:]] == [("L1", "unknown"), ("R1", "unknown")]


def test_the_tick_arms_itself_only_when_something_can_happen(actual, replay):
    station(actual, silent_after_s=0)
    put(replay, 10)
    feed(replay, rain("R1", (1, 1)))
    assert not Due.objects.filter(timer="sensing.tick").exists()
    station(actual, "R2", silent_after_s=600)
    feed(replay, rain("R2", (1, 1)))
    assert Due.objects.get(timer="sensing.tick").due_at == at(12)
    feed(replay, rain("R2", (9, 1)))
    assert Due.objects.get(timer="sensing.tick").due_at == at(12)  # not moved by every reading
    put(replay, 12)
    sweep()
    assert Due.objects.get(timer="sensing.tick").due_at == at(20)


def test_silence_is_not_told_while_our_own_ear_is_closed(actual, replay):
    from datetime import timedelta

    from anlan.kernel import clock
    from anlan.sensing import actions
    from anlan.sensing.models import Partition

    now = clock.now()
    station(actual, source=None, silent_after_s=60)
    row = Series.objects.create(realm=actual, station_id=station(actual, "R9", silent_after_s=60).pk, quantity="rain", partition=0,
                                last_time=now - timedelta(minutes=10), silent_at=now - timedelta(minutes=9))
    Partition.objects.create(number=0, owner="x", token=1, heard_until=now - timedelta(minutes=5))
    actions.tick(actions.machine_act(actual))
    row.refresh_from_db()
    assert row.silent == 0
    Partition.objects.update(heard_until=now)
    actions.tick(actions.machine_act(actual))
    row.refresh_from_db()
    assert row.silent == 1


def test_new_thresholds_judge_what_is_stored_again(actual, replay):
    from anlan.sensing import actions

    from .builders import act

    row = station(actual, "L1", ("level",), thresholds={"level": {"yellow": 3.0}})
    put(replay, 60)
    own = Processor()
    feed(replay, level("L1", (10, 2.5)), own)
    assert Signal.objects.of(replay).count() == 0
    actions.set_thresholds(act(actual), station=row.pk, thresholds={"level": {"yellow": 2.0}})
    feed(replay, level("L1", (15, 2.4)), own)
    assert colours(replay) == [("L1", "none", "yellow", 2.5)]


def test_an_exercise_never_touches_actual_rows(actual, replay):
    station(actual)
    put(replay, 60)
    feed(replay, rain("R1", (10, 120)))
    assert Signal.objects.of(actual).count() == 0 and Series.objects.filter(realm=actual).count() == 0


# --- bad input ---------------------------------------------------------------------------------------------------------

GOOD = {"t": "2021-07-20T00:10:00Z", "v": 1.5, "u": "mm"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed"), (b"\xff\xfe\x00", "malformed"), (b"[[[[", "malformed"), (b"NaN", "malformed"), (b'{"t":1', "malformed"),
        (b"[" * 100_000 + b"]" * 100_000, "oversized"), (b"[" * 30_000 + b"]" * 30_000, "malformed"), (b"7", "malformed"), (b'"text"', "malformed"),
        (b"null", "malformed"), (b'{"t":"2021-07-20T00:10:00Z","v":NaN,"u":"mm"}', "malformed"),
        (orjson.dumps({**GOOD, "v": None}), "not_a_number"), (orjson.dumps({**GOOD, "v": True}), "not_a_number"),
        (orjson.dumps({**GOOD, "v": "1.5"}), "not_a_number"), (b'{"t":"2021-07-20T00:10:00Z","v":1e999,"u":"mm"}', "malformed"),
        (orjson.dumps({**GOOD, "v": [1]}), "not_a_number"), (orjson.dumps({**GOOD, "v": -1}), "out_of_range"), (orjson.dumps({**GOOD, "v": 1e300}), "out_of_range"),
        (orjson.dumps({**GOOD, "u": "m"}), "unit"), (orjson.dumps({"t": GOOD["t"], "v": 1}), "unit"), (orjson.dumps({**GOOD, "u": {"x": 1}}), "unit"),
        (orjson.dumps({**GOOD, "t": "2021-07-20T00:10:00"}), "no_time"), (orjson.dumps({**GOOD, "t": 1626739800}), "no_time"),
        (orjson.dumps({**GOOD, "t": "yesterday"}), "no_time"), (orjson.dumps({**GOOD, "t": "1969-12-31T23:59:59Z"}), "no_time"),
        (orjson.dumps({**GOOD, "t": "2021-07-20T23:00:00Z"}), "future"), (orjson.dumps({**GOOD, "t": "9999-12-31T23:59:59Z"}), "future"),
        (orjson.dumps([GOOD] * 5001), "oversized"), (b"x" * 70_000, "oversized"),
    ],
)
def test_bad_bodies_over_mqtt_are_refused_with_a_reason_and_the_next_is_taken(actual, county, alice, body, reason):
    from datetime import timedelta

    from anlan.kernel import clock

    from .builders import source

    station(actual, region=county)
    source(actual, alice, "gauge", "mqtt", ["R1"])
    worker.prepare()
    # On the wall clock: shift the sample's day to today.
    now = clock.now()
    shift = (now - at(60)).days
    for day in (b"2021-07-20", b"2021-07-21"):
        moved = (at(60) + timedelta(days=shift)).date().isoformat().encode()
        body = body.replace(day, moved if b"T23:00" not in body else (now + timedelta(days=1)).date().isoformat().encode())
    good = orjson.dumps({**GOOD, "t": (now - timedelta(minutes=5)).isoformat()})
    own = Processor()
    done = own.process([Message("local", 1, "anlan.v1.x.R1.rain", body), Message("local", 2, "anlan.v1.x.R1.rain", good)])
    assert done["accepted"] == 1
    row = Refused.objects.get()
    assert row.reason == reason and row.station == "R1" and row.size == len(body)
    assert len(row.payload) <= 2000 and row.region_id in (county.pk, None)
    assert BatchStat.objects.get().refused == 1


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("anlan.v1.x.NOPE.rain", "unknown_station"), ("anlan.v1.x.R1.level", "quantity"), ("anlan.v1.x.R1.rain.more", "subject"), ("anlan.v1.R1", "subject"),
        ("anlan.v1.x.OFF.rain", "retired"), ("anlan.v1.x.FREE.rain", "not_bound"), ("replay.v1.nonsense.x.R1.rain", "unknown_realm"),
        ("replay.v1.00000000-0000-0000-0000-000000000000.x.R1.rain", "unknown_realm"), ("gate.v1.ff.99", "subject"),
    ],
)
def test_bad_subjects_are_refused(actual, alice, subject, reason):
    from anlan.kernel import clock

    from .builders import source

    station(actual, "R1")
    station(actual, "OFF", active=False)
    station(actual, "FREE")
    source(actual, alice, "gauge", "mqtt", ["R1", "OFF"])
    worker.prepare()
    body = orjson.dumps({**GOOD, "t": clock.now().isoformat()})
    Processor().process([Message("local", 1, subject, body)])
    assert [row.reason for row in Refused.objects.all()] == [reason]
    assert Reading.objects.count() == 0


def test_a_reading_never_enters_the_actual_realm_through_the_replay_door_nor_the_other_way(actual, replay, alice):
    from .builders import source

    station(actual, "R1")
    source(actual, alice, "gauge", "mqtt", ["R1"])
    worker.prepare()
    put(replay, 60)
    Processor().process([Message("local", 1, f"replay.v1.{actual.pk}.x.R1.rain", orjson.dumps(GOOD))])
    assert [row.reason for row in Refused.objects.all()] == ["unknown_realm"]
    Processor().process([Message("local", 1, f"replay.v1.{replay.pk}.x.R1.rain", orjson.dumps(GOOD))])
    assert [row.realm_id for row in Series.objects.all()] == [replay.pk]


def test_an_ended_exercise_takes_nothing_more(actual, replay):
    from anlan.kernel import clock

    station(actual, "R1")
    put(replay, 60)
    Realm.objects.filter(pk=replay.pk).update(ended_at=clock.now())
    feed(replay, rain("R1", (10, 1)))
    assert [row.reason for row in Refused.objects.all()] == ["realm_over"]


def test_the_http_door_is_held_to_its_source(actual, alice):
    from anlan.kernel import clock
    from anlan.sensing.ingest import pack

    from .builders import source

    station(actual, "R1")
    station(actual, "R2")
    one, _word = source(actual, alice, "one", "http", ["R1"])
    worker.prepare()
    now = clock.now()
    for subject, body in pack([Sample("R1", "rain", now, 1), Sample("R2", "rain", now, 1)], f"gate.v1.{one.pk.hex}"):
        Processor().process([Message("local", 1, subject, body)])
    assert [row.reason for row in Refused.objects.all()] == ["not_bound"]
    assert Reading.objects.count() == 1


def test_a_message_the_platform_chokes_on_is_set_aside_and_the_rest_goes_on(actual, replay, monkeypatch):
    from anlan.sensing import ingest

    station(actual, "R1")
    put(replay, 60)
    worker.prepare()
    real = ingest.measured

    def choke(item, quantity):
        if item.get("v") == 13:
            raise ZeroDivisionError("a fault of ours")
        return real(item, quantity)

    monkeypatch.setattr(ingest, "measured", choke)
    body = [orjson.dumps({**GOOD, "t": f"2021-07-20T00:{n:02d}:00Z", "v": 13 if n == 2 else n}) for n in range(1, 5)]
    own = Processor()
    own.take([Message("local", n, f"replay.v1.{replay.pk}.x.R1.rain", text) for n, text in enumerate(body, 1)])
    assert Reading.objects.count() == 3
    assert [(row.reason, row.payload) for row in Refused.objects.all()] == [("internal", body[1].decode())]


def test_refused_samples_are_capped_and_all_are_counted(actual, monkeypatch):
    from anlan.kernel import clock
    from anlan.sensing import actions
    from anlan.sensing.ingest import Refusal
    from anlan.sensing.models import RefusedCount

    monkeypatch.setattr(Refused, "KEEP", 50)
    for _round in range(3):
        actions.keep_refused([Refusal("malformed", "mqtt", "s\x00", payload=b"\x00\xff") for _ in range(230)], clock.now())
    assert Refused.objects.count() <= 51
    assert sum(RefusedCount.objects.values_list("count", flat=True)) == 690


def test_only_the_holder_of_a_lease_may_commit(actual, replay):
    from anlan.sensing.worker import LeaseLost

    station(actual, "R1")
    put(replay, 60)
    first, second = Processor("here:1:a", leased=True), Processor("there:2:b", leased=True)
    first.lease()
    assert len(first.partitions) == 64
    feed(replay, rain("R1", (1, 1)), first)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE sensing_partition SET leased_until = now() - interval '1 minute'")
        cursor.execute("UPDATE sensing_liveworker SET seen_at = now() - interval '1 minute'")
    second.lease()
    assert len(second.partitions) == 64
    with pytest.raises(LeaseLost):
        feed(replay, rain("R1", (2, 1)), first)
    feed(replay, rain("R1", (3, 1)), second)
    assert Reading.objects.count() == 2


def test_two_workers_share_the_partitions(actual):
    first, second = Processor("here:1:a", leased=True), Processor("there:2:b", leased=True)
    first.lease()
    second.lease()
    for _round in range(3):
        first.lease()
        second.lease()
    assert len(first.partitions) == len(second.partitions) == 32 and not first.partitions & second.partitions
    second.release()
    first.lease()
    assert len(first.partitions) == 64


def same_rules(mine, theirs):
    """Rules and limits of doubt of two books over the same series, the one with room for more."""
    size = len(theirs.stations)
    for own, other in zip(mine.engine.rules, theirs.engine.rules, strict=True):
        for name in ("thresholds", "hysteresis", "after"):
            assert getattr(own, name)[:size].tolist() == getattr(other, name)[:size].tolist()
    assert mine.engine.plan.table[:, :size].tolist() == theirs.engine.plan.table[:, :size].tolist()
    for name in ("interval", "influx", "steady", "frozen", "level", "rise", "fall"):
        assert getattr(mine.limits, name)[:size].tolist() == getattr(theirs.limits, name)[:size].tolist(), name
    assert mine.limits.worked_on == theirs.limits.worked_on


def test_a_book_that_followed_the_register_is_one_built_anew(actual, county, alice):
    """Whatever of a station is changed, also behind the actions: the worker that had its book judges on as one that began afterwards would, and
    has read no station that was not written."""
    rng = Random(8)
    codes = [f"G{number}" for number in range(8)]
    began = clock.now().replace(microsecond=0) - timedelta(hours=3)

    def limits():
        return {"level": {"yellow": rng.choice((9.5, 10, 10.5)), "red": rng.choice((11, 12)), "hysteresis": rng.choice((0, 0.2, 0.6))}}

    for code in codes:
        station(actual, code, quantities=("level",), region=county, thresholds=limits())
    station(actual)
    source(actual, alice, stations=codes[:4])
    row, _word = source(actual, alice, name="gw2", stations=codes[4:])
    own = Processor()

    def report(number):
        feed(actual, [Sample(code, "level", began + timedelta(minutes=5 * number), round(10 + 0.1 * rng.randint(-12, 12), 1)) for code in codes], own)

    for turn in range(24):
        report(turn)
        had, stations = own.books[actual.pk], own.registry.by_id
        code = rng.choice(codes)
        pk, far = next(pk for pk, info in stations.items() if info.code == code), clock.now() + timedelta(days=1)
        change = turn % 8
        if change == 0:
            actions.set_thresholds(act(actual), station=pk, thresholds=limits())
        elif change == 1:
            station(actual, code, quantities=("level",), interval_s=rng.choice((60, 300, 900)), silent_after_s=rng.choice((0, 1800, 3600)))
        elif change == 2:
            actions.maintain(act(actual), station=pk, begins=clock.now() - timedelta(hours=rng.randint(0, 5)), ends=far, reason="test")
        elif change == 3:
            actions.save_source(act(actual, alice), source=row.pk, name="gw2", kind="http", active=row.pk.hex not in own.registry.sources_on)
        elif change == 4:
            actions.set_thresholds(act(actual), station=pk, thresholds=limits(), upstream={"rain": ["R1"], "hours": 6, "mm": 5, "source": "test"})
        elif change == 5:
            Station.plain.filter(pk=pk).update(thresholds={})  # no action at all
            Register.changed()
        elif change == 6:
            actions.maintain(act(actual), station=pk, begins=clock.now(), ends=clock.now() + timedelta(seconds=1), reason="test")
        else:
            actions.bind(act(actual, alice), source=row.pk, stations=rng.sample(codes[4:], 3))
        report(turn + 0.5)
        assert had.registry is own.registry
        assert own.books[actual.pk] is had
        untouched = sum(own.registry.by_id[one] is info for one, info in stations.items())
        assert untouched >= len(stations) - (4 if change in (3, 7) else 1)
        fresh = compute.registry()
        assert (fresh.by_id, fresh.stations, fresh.sources_on, fresh.worked_on) == (own.registry.by_id, own.registry.stations, own.registry.sources_on, own.registry.worked_on)
        anew = compute.Book(actual.pk, fresh, own.partitions, had.month)
        mine, theirs = had.of("level"), anew.of("level")
        theirs.limits = doubt.Limits(theirs, actual.pk)
        same_rules(mine, theirs)
        assert mine.engine.colour[:, :8].tolist() == theirs.engine.colour.tolist() and len(theirs.engine.rejudge()) == 0
    assert {p["new"] for p in facts(actual)} >= {"yellow", "red", "none"}
    registry = own.registry
    rules_text = RuleSet.objects.get(name="station-levels", in_force=True)
    actions.adopt_rules(act(actual, alice), text=rules_text.text.replace('label: "1"', 'label: "2"').replace("hysteresis: 0.05", "hysteresis: 0.1"), note="test")
    report(30)
    assert own.books[actual.pk] is not had and own.registry.by_id == registry.by_id


def test_a_book_that_grew_gauge_by_gauge_is_one_laid_out_at_once(actual, replay, county):
    """Gauges that come batch after batch: rules, limits of doubt and outcome are those of a book built from the database, at a cost of the new alone."""
    station(actual)
    for number in range(7):
        station(
            actual, f"G{number}", quantities=("level",), region=county, interval_s=300 * (1 + number % 3), silent_after_s=1800 + number,
            thresholds={"level": {"yellow": 10 + number, "red": 20 + number, "hysteresis": 0.1 * number}}, upstream={"rain": ["R1"], "hours": 6, "mm": 5, "source": "test"} if number % 2 else {},
        )
    put(replay, 100)
    own, laid = Processor(), []
    for number in range(7):
        feed(replay, [Sample(f"G{number}", "level", at(60), 9.5 + number)], own)
        laid.append(own.books[replay.pk].of("level").engine.series)
    assert laid == [1, 2, 4, 4, 8, 8, 8]  # doubled when full, not laid out anew for each
    grown = own.books[replay.pk].of("level")
    again = Processor()
    feed(replay, [Sample("G0", "level", at(61), 9.6)], again)
    fresh = again.books[replay.pk].of("level")
    assert grown.keys == fresh.keys and fresh.engine.series == 7
    same_rules(grown, fresh)
    assert len({*grown.engine.rules[grown.levels[0]].thresholds[:7, 3].tolist()}) == 7 and grown.engine.colour[:, 7:].max() == 0
    feed(replay, [*rain("R1", (95, 0)), *(Sample(f"G{number}", "level", at(99), 10.2 + number) for number in range(7))], own)
    assert {p["code"] for p in facts(replay) if p["new"] == "yellow"} == {f"G{number}" for number in (0, 2, 4, 6)}
