"""Readings that are not believed: what they may not do, who is asked, and that a true flood is not held up."""
from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from anlan.kernel import journal
from anlan.kernel.errors import Problem
from anlan.kernel.models import Realm, WorkItem
from anlan.sensing import queries, questions
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Doubt, Reading, Series, Signal
from anlan.sensing.quantities import BIAS, FAULTY, INFLUX, NO_RAIN, RANGE, SOUND, SPIKE, STEP, STUCK
from anlan.sensing.worker import Processor, feed

from .builders import T0, act, at, level, put, rain, station
from .test_record import colours, facts, sweep

pytestmark = pytest.mark.django_db

POYO = Path(__file__).parents[2] / "demo" / "data" / "events" / "valencia-2024" / "poyo_flow_5min.csv"
# Reference flows of the gauge, written before the event, and the rain gauge of its basin (`shared/data/events/valencia_dana_20241029`).
LIMITS = {"flow": {"yellow": 30, "orange": 70, "red": 150}}
UPSTREAM = {"rain": ["CHIVA"], "hours": 12, "mm": 5, "source": "SAIH Júcar"}


def clock(realm, moment):
    Realm.objects.filter(pk=realm.pk).update(now_at=moment)
    realm.refresh_from_db()


def asked(realm):
    return [(p["code"], p["flags"], p["stands"], p["would"]) for p in facts(realm, "sensing.ReadingDoubted")]


def poyo():
    with POYO.open(encoding="utf-8-sig") as file:
        rows = [row for row in csv.reader(line for line in file if not line.startswith("#"))]
    out = []
    for row in rows[1:]:
        try:
            out.append((datetime.fromisoformat(row[0]), float(row[1])))
        except ValueError:
            continue  # FALLO: the gauge was lost
    return out


def test_the_true_wave_of_2024_is_judged_as_if_nobody_doubted(actual, replay):
    """It had rained 445.4 mm at Chiva from midnight to 22:00 (there is no hourly series: spread evenly), so no reading is questioned."""
    station(actual, "CHIVA")
    for code, upstream in (("POYO", UPSTREAM), ("PLAIN", {})):
        station(actual, code, ("flow",), thresholds=LIMITS, upstream=upstream)
    wave = [(moment, value) for moment, value in poyo() if moment >= datetime.fromisoformat("2024-10-29T06:00+01:00")]
    assert len(wave) > 100 and max(value for _m, value in wave) > 2000
    clock(replay, wave[-1][0].astimezone(UTC))
    stream = []
    for moment, value in wave:
        stream += [Sample("CHIVA", "rain", moment, 445.4 / 22 / 12)] + [Sample(code, "flow", moment, value) for code in ("POYO", "PLAIN")]
    feed(replay, stream)
    told = {code: [(p["event_time"], p["new"]) for p in facts(replay) if p["code"] == code] for code in ("POYO", "PLAIN")}
    assert told["POYO"] == told["PLAIN"] and [new for _at, new in told["POYO"]].count("red") >= 2
    first_red = next(moment for moment, new in told["POYO"] if new == "red")
    assert datetime.fromisoformat(first_red) == datetime.fromisoformat("2024-10-29T11:30+01:00")
    assert asked(replay) == [] and not Reading.objects.filter(series__quantity="flow").exclude(flags=0).exists()


def test_nine_false_alarms_in_fifteen_dry_days_are_nine_questions(actual, replay, county, duty_post):
    """5 to 19 November 2025: four yellow, four orange, one red at the gauge with no rain in the basin. Documented are the values of 5 November
    (133–147 m³/s from 11:25 to 11:50, 80–86 from 15:50 to 18:20); the other seven are made with the colours that are told."""
    station(actual, "CHIVA", region=county)
    station(actual, "POYO", ("flow",), region=county, thresholds=LIMITS, upstream=UPSTREAM)
    start = datetime(2025, 11, 5, tzinfo=UTC)
    alarms = [(0, "10:25", "10:50", 147), (0, "14:50", "17:20", 86), (2, "09:00", "09:20", 45), (4, "03:00", "04:00", 35), (6, "12:00", "12:10", 184),
              (8, "08:00", "09:00", 60), (10, "01:00", "01:30", 33), (12, "17:00", "18:00", 95), (14, "07:00", "07:15", 110)]
    values = {}
    for day, begin, end, top in alarms:
        moment, last = (start + timedelta(days=day, hours=int(text[:2]), minutes=int(text[3:])) for text in (begin, end))
        while moment <= last:
            values[moment], moment = top, moment + timedelta(minutes=5)
    own, bulk = Processor(), []
    for n in range(15 * 288):
        moment = start + timedelta(minutes=5 * n)
        near = any(abs(moment - each) <= timedelta(minutes=5) for each in values)
        if near or n % 12 == 0:  # every five minutes around the alarms, as they come; hourly between: the same to the rules
            bulk += [Sample("CHIVA", "rain", moment, 0.0), Sample("POYO", "flow", moment, float(values.get(moment, 0)))]
        if near and bulk:
            clock(replay, moment)
            feed(replay, bulk, own)
            bulk = []
    questions_ = asked(replay)
    assert [row[3] for row in questions_] == ["orange", "orange", "yellow", "yellow", "red", "yellow", "yellow", "orange", "orange"]
    assert all(flags == ["no_rain"] and stands == "none" for _code, flags, stands, _would in questions_)
    assert colours(replay) == [] and not Signal.objects.of(replay).exists()  # not one alarm
    assert Reading.objects.filter(flags=NO_RAIN).count() == len(values)
    items = WorkItem.plain.filter(realm=replay, kind="sensing.doubt")
    assert items.count() == 9 and set(items.values_list("post_id", flat=True)) == {duty_post.pk}
    row = Doubt.objects.of(replay).order_by("first").first()
    assert "147" not in row.why["no_rain"] and row.value == 147.0 and row.why["no_rain"]["most"] == 0.0 and "1" in questions.explained(row)[0]


def test_rain_gauges_that_say_nothing_do_not_speak_against_a_flood(actual, replay):
    station(actual, "CHIVA")
    station(actual, "POYO", ("flow",), thresholds=LIMITS, upstream=UPSTREAM)
    put(replay, 600)
    feed(replay, [Sample("CHIVA", "rain", at(60), 0.0), Sample("POYO", "flow", at(300), 200.0)])
    assert [row[2] for row in colours(replay)] == ["red"] and asked(replay) == []


def test_a_gauge_heard_for_the_first_time_has_not_risen_from_zero(actual, replay):
    """Its first readings come in one batch: what is new to us lies 404 m above the sea and stands still. One that rises in that batch is asked about."""
    station(actual, "CHIVA")
    for code in ("STILL", "RISES"):
        station(actual, code, ("level",), thresholds={"level": {"red": 500}}, upstream=UPSTREAM)
    put(replay, 320)
    minutes, still, rises = (280, 290, 300, 310), (404.87, 404.86, 404.88, 404.87), (404.87, 404.88, 405.6, 405.62)
    feed(replay, [
        *rain("CHIVA", *[(minute, 0) for minute in minutes]),
        *level("STILL", *zip(minutes, still, strict=True)), *level("RISES", *zip(minutes, rises, strict=True)),
    ])
    flags = {code: [*Reading.objects.filter(series__station__code=code).order_by("time").values_list("flags", flat=True)] for code in ("STILL", "RISES")}
    assert flags == {"STILL": [0] * 4, "RISES": [0, 0, NO_RAIN, NO_RAIN]}


def test_a_jump_waits_for_a_second_report_and_a_spike_raises_nothing(actual, replay, county, duty_post):
    station(actual, "L1", ("level",), region=county, thresholds={"level": {"yellow": 2.0, "red": 3.5}})
    put(replay, 600)
    own = Processor()
    feed(replay, level("L1", (0, 1.0), (5, 4.0)), own)
    assert colours(replay) == [] and asked(replay) == [("L1", ["step"], "none", "red")]
    assert queries.latest(replay)[0]["value"] == 1.0 and queries.latest(replay)[0]["doubted"]["value"] == 4.0
    feed(replay, level("L1", (10, 1.0)), own)
    assert Reading.objects.get(time=at(5)).flags == SPIKE
    assert not WorkItem.plain.filter(kind="sensing.doubt", state=WorkItem.OPEN).exists() and Doubt.objects.of(replay).get().state == Doubt.OVER
    # A real wave: the second report says the same, and is judged at once, by a process that was not there for the first.
    feed(replay, level("L1", (60, 1.0), (65, 4.0)), own)
    feed(replay, level("L1", (70, 4.2)), Processor())
    assert colours(replay)[-1][2] == "red" and Reading.objects.get(time=at(65)).flags == STEP
    # Nor does a flagged reading clear a red.
    feed(replay, level("L1", (75, 0.0)), own := Processor())
    assert Signal.objects.of(replay).get(rule="station-levels.level").colour == 4
    assert asked(replay)[-1][:3] == ("L1", ["step"], "red")
    feed(replay, level("L1", (75, 0.0)), own)
    assert Reading.objects.filter(time=at(75)).count() == 1


def test_a_torrent_that_reads_zero_at_once_has_not_gone(actual, replay):
    station(actual, "POYO", ("flow",), thresholds=LIMITS)
    put(replay, 600)
    feed(replay, [Sample("POYO", "flow", at(5 * n), value) for n, value in enumerate((20, 200, 0, 190, 120, 0, 0))])
    assert [row[1:3] for row in colours(replay)] == [("none", "red"), ("red", "orange"), ("orange", "none")]
    assert [reading.flags for reading in Reading.objects.order_by("time")] == [0, 0, SPIKE, 0, 0, STEP, 0]


def test_a_person_overrides_with_a_reason(actual, replay, county, alice, charlie, duty_post):
    station(actual, region=county)
    put(replay, 200)
    own = Processor()
    feed(replay, rain("R1", (60, 210)), own)
    row = Doubt.objects.of(replay).get()
    assert (row.state, row.flags, row.would) == (Doubt.OPEN, RANGE, 4) and colours(replay) == []
    assert queries.window_sum(replay, "rain", 3, at=at(60))[row.station_id]["sum"] == 0
    with pytest.raises(Problem):
        questions.answer(act(replay, charlie), doubt_=row.pk, true=True, reason="I was there")
    with pytest.raises(Problem):
        questions.answer(act(replay, alice), doubt_=row.pk, true=True, reason=" ")
    questions.answer(act(replay, alice), doubt_=row.pk, true=True, reason="The neighbour's bucket is full, too.")
    feed(replay, rain("R1", (65, 120)), own)  # what it says next is believed as well
    assert Reading.objects.get(time=at(60)).flags == SOUND and Reading.objects.get(time=at(65)).flags & SOUND
    assert colours(replay) == [("R1", "none", "red", 210.0)]
    assert queries.window_sum(replay, "rain", 3, at=at(65))[row.station_id]["sum"] == 330
    (fact,) = journal.select("WHERE f.realm_id = %s AND f.kind = 'sensing.DoubtAnswered'", [replay.pk])
    assert fact.payload["verdict"] == "sound" and fact.payload["reason"].startswith("The neighbour") and fact.cause_id is not None
    # The other way round: not believed for the next hours, whatever it says.
    station(actual, "R2", region=county)
    feed(replay, rain("R2", (60, 210)), own)
    other = Doubt.objects.of(replay).get(station__code="R2")
    questions.answer(act(replay, alice), doubt_=other.pk, true=False, reason="A child with a hose.")
    feed(replay, rain("R2", (65, 60)), own)
    assert Reading.objects.get(series__station__code="R2", time=at(65)).flags == FAULTY and len(colours(replay)) == 1


def network(actual, count=8, **extra):
    for n in range(count):
        station(actual, f"N{n}", lon=119.1 + 0.01 * (n % 3), lat=28.1 + 0.01 * (n // 3), **extra)


def test_heavy_rain_among_dry_neighbours_is_a_question_and_a_true_storm_is_not(actual, replay):
    network(actual)
    put(replay, 600)
    own = Processor()
    feed(replay, [s for m in (5, 10) for n in range(8) for s in rain(f"N{n}", (m, 0.0))], own)
    feed(replay, [s for n in range(7) for s in rain(f"N{n}", (15, 0.1))] + rain("N7", (15, 60)), own)
    flags = dict(Reading.objects.filter(time=at(15)).values_list("series__station__code", "flags"))
    assert flags.pop("N7") == INFLUX and set(flags.values()) == {0}
    assert [row[:2] for row in asked(replay)] == [("N7", ["high_influx"])]
    # All of them at once, in one batch, from nothing: a storm.
    feed(replay, [s for n in range(8) for s in rain(f"N{n}", (20, 55 + n))], own)
    assert not Reading.objects.filter(time=at(20)).exclude(flags=0).exists()
    assert len(colours(replay)) == 8 and len(asked(replay)) == 1


def test_zero_among_wet_neighbours_and_a_gauge_off_by_a_factor_are_told_by_the_neighbours(actual, replay):
    network(actual, interval_s=3600)
    own = Processor()
    for hour in range(14):
        put(replay, 60 * hour + 5)
        feed(replay, [s for n in range(8) for s in rain(f"N{n}", (60 * hour, (0.0 if n == 3 and hour > 4 else 20.0 + hour if n == 5 else 3.0 + 0.1 * hour + 0.01 * n)))], own)
        sweep()
    suspects = {row.station.code: row.suspect for row in Series.objects.filter(realm=replay, suspect__gt=0).select_related("station")}
    assert suspects == {"N3": STUCK, "N5": BIAS}
    stated = facts(replay, "sensing.GaugesCompared")
    assert {code for said in stated for code in said["doubted"]} == {"N3", "N5"} and all(said["doubted"] or said["cleared"] for said in stated)
    newest = dict(Reading.objects.filter(time=at(60 * 13)).values_list("series__station__code", "flags"))
    assert newest.pop("N3") == STUCK and newest.pop("N5") & BIAS and set(newest.values()) == {0}
    put(replay, 60 * 14 + 5)
    feed(replay, rain("N3", (60 * 14, 3.0)), own)
    assert Reading.objects.get(time=at(60 * 14)).flags == 0  # it speaks again


@pytest.mark.parametrize("seed", [3, 4])
def test_doubts_do_not_depend_on_how_the_stream_is_cut(seed, actual, replay):
    """One batch, and many with fresh processes: the same flags, questions and colours, repeats included."""
    dice = random.Random(seed)
    station(actual, "L1", ("level",), thresholds={"level": {"yellow": 2.0, "red": 3.5, "hysteresis": 0.2}})
    station(actual, "R1")
    other = Realm.objects.create(kind="replay", name="again", clock="manual", now_at=at(600))
    put(replay, 600)
    stream = []
    for n in range(40):
        stream += level("L1", (5 * n, 1 + (dice.choice([0, 3]) if dice.random() < 0.3 else 0))) + rain("R1", (5 * n, 210.0 if dice.random() < 0.1 else 4.0))
        if dice.random() < 0.2:
            stream.append(dice.choice(stream))
    feed(replay, stream)
    start = 0
    while start < len(stream):
        step = dice.choice([1, 3, 9])
        feed(other, stream[start : start + step], Processor())
        start += step
    for read in (lambda realm: sorted(colours(realm)), lambda realm: queries.canonical(realm), lambda realm: {row[0] for row in asked(realm)}):
        assert read(replay) == read(other)
    assert Reading.objects.exclude(flags=0).exists() and T0
