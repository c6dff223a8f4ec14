"""Roll-ups say what adding up single readings says, whatever the order and the batches; the export holds every reading."""
from __future__ import annotations

import random
from datetime import date, timedelta

import pyarrow.parquet as pq
import pytest

from anlan.kernel import journal
from anlan.sensing import actions, queries
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Reading, Rollup, Station
from anlan.sensing.worker import Processor, feed

from .builders import T0, act, at, level, put, rain, station

pytestmark = pytest.mark.django_db


def test_sums_over_any_window_equal_the_readings_added_up(actual, replay):
    dice = random.Random(5)
    codes = ["R1", "R2", "R3"]
    for code in codes:
        station(actual, code, interval_s=60 if code == "R3" else 300)
    put(replay, 4 * 24 * 60)
    samples = [Sample(code, "rain", at(5 * n), round(dice.random() * 3, 1)) for n in range(1, 4 * 288 - 20) for code in codes if dice.random() > 0.1]
    late = dice.sample(samples, 60)
    own = Processor()
    kept = [sample for sample in samples if sample not in late]
    for start in range(0, len(kept), 400):
        feed(replay, kept[start : start + 400], own)
    feed(replay, late, own)
    feed(replay, samples[:50], own)  # twice: counts once
    keys = {code: Station.objects.get(code=code).pk for code in codes}
    for _try in range(25):
        end = T0 + timedelta(seconds=dice.randrange(0, 4 * 86400))
        hours = dice.choice([0.2, 1, 3, 24, 50.5, 80])
        got = queries.window_sum(replay, "rain", hours, at=end)
        for code in codes:
            mine = [sample for sample in samples if sample.station == code and end - timedelta(hours=hours) < sample.time <= end]
            if not mine:
                assert keys[code] not in got
                continue
            assert got[keys[code]]["sum"] == round(sum(sample.value for sample in mine), 6) and got[keys[code]]["count"] == len(mine)
            assert (got[keys[code]]["first"], got[keys[code]]["last"]) == (min(s.time for s in mine), max(s.time for s in mine))
    assert set(Rollup.objects.values_list("series__station__code", "span_s").distinct()) == {(c, s) for c in codes for s in (3600, 86400)} | {("R3", 300)}
    day = queries.rain_by_town(replay, date(2021, 7, 21), until=T0 + timedelta(hours=5, minutes=17))
    assert day == [], "gauges in no town are in no town's table"


def test_a_year_opens_as_a_curve_of_at_most_1500_points(actual, replay):
    station(actual, "L1", ("level",))
    put(replay, 400 * 1440)
    feed(replay, level("L1", *[(n * 720, 40 + n % 7) for n in range(1, 700)]))
    row = Station.objects.get(code="L1")
    span, found = queries.long_curve(replay, row, "level", at(0), at(365 * 1440))
    assert span == 6 * 3600 and len(found) == 699
    assert [entry[4] for entry in found[:8]] == [41, 42, 43, 44, 45, 46, 40, 41] and found[0][0] == at(720)
    span, found = queries.long_curve(replay, row, "level", at(0), at(365 * 1440), most=60)
    assert span == 7 * 86400 and len(found) <= 54 and max(entry[4] for entry in found) == 46 and min(entry[3] for entry in found) == 40


def test_the_export_holds_every_reading_and_is_told(actual, replay, tmp_path):
    station(actual, "R1")
    station(actual, "L1", ("level",))
    put(replay, 60 * 24 * 60)
    feed(replay, rain("R1", *[(5 * n, n / 10) for n in range(1, 50)], (40 * 1440, 7.7)) + level("L1", (5, 41.25)))
    told = actions.export_readings(act(replay), path=tmp_path / "out.parquet", start=at(0), end=at(50 * 1440))
    table = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert told == len(table) == Reading.objects.count() == 51
    assert {row["station"]: (row["quantity"], row["unit"]) for row in table} == {"R1": ("rain", "mm"), "L1": ("level", "m")}
    assert sorted(row["value"] for row in table if row["station"] == "R1")[-2:] == [4.9, 7.7] and [row["value"] for row in table if row["station"] == "L1"] == [41.25]
    assert {row["time"] for row in table if row["value"] == 7.7} == {at(40 * 1440)}
    only = actions.export_readings(act(replay), path=tmp_path / "one.parquet", start=at(0), end=at(20), stations=["R1"], quantity="rain")
    assert only == 3
    fact = journal.select("WHERE f.kind = 'sensing.ReadingsExported' ORDER BY f.recorded_at")[0].payload
    assert fact["count"] == 51 and fact["digest"].startswith("sha256:")
