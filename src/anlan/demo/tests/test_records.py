"""What the packs say is what the sources gave: nothing filled in, nothing without a source."""
import csv
from datetime import UTC, date, datetime

import pytest

from anlan.demo import records
from anlan.kernel.errors import Problem


@pytest.mark.parametrize("event", records.known())
def test_every_row_has_a_source_and_both_languages(event):
    record = records.load(event)
    assert record.rows and all(row.source and row.text and row.text_zh for row in record.rows)


def test_zhengzhou_has_one_rain_hour_of_seventy_two():
    with (records.FOLDER / "zhengzhou-2021" / "rainfall.csv").open() as file:
        hours = list(csv.DictReader(file))
    given = [hour for hour in hours if hour["mm"]]
    assert len(hours) == 72 and [(hour["hour_start"], hour["mm"]) for hour in given] == [("2021-07-20T16:00+08:00", "201.9")]
    assert records.load("zhengzhou-2021").readings == []


def test_rows_known_to_the_day_stay_days():
    rows = records.load("zhengzhou-2021").rows
    third = next(row for row in rows if "no. 3" in row.text)
    assert third.when == date(2021, 7, 20) and not isinstance(third.when, datetime) and third.time == "2021-07-20"
    played = {step["row"] for step in records.load("zhengzhou-2021").about["play"]}
    assert not played & {row.id for row in rows if not row.has_hour}


def test_the_poyo_series_is_as_released():
    readings = records.load("valencia-2024").readings
    by_time = {reading.at.astimezone(UTC): reading.value for reading in readings}
    assert by_time[datetime(2024, 10, 29, 10, 25, tzinfo=UTC)] == 57.633 and by_time[datetime(2024, 10, 29, 10, 30, tzinfo=UTC)] == 208.207
    assert max(value for value in by_time.values() if value is not None) == 2282.904
    # Lost from 19:00 local: empty, not zero and not the last value again.
    after = [value for at, value in by_time.items() if at >= datetime(2024, 10, 29, 18, 0, tzinfo=UTC)]
    assert len(after) == 216 and all(value is None for value in after)


def test_an_unknown_event_is_refused_with_the_known_ones():
    with pytest.raises(Problem) as problem:
        records.load("atlantis")
    assert problem.value.kind.code == "demo.no_event" and "valencia-2024" in problem.value.message


def test_a_pack_that_plays_what_has_no_hour_is_refused(tmp_path, monkeypatch):
    import shutil

    shutil.copytree(records.FOLDER / "zhengzhou-2021", tmp_path / "zhengzhou-2021")
    about = tmp_path / "zhengzhou-2021" / "event.yaml"
    about.write_text(about.read_text(encoding="utf-8").replace("{row: z13, as: warning", "{row: z10, as: warning"), encoding="utf-8")
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    with pytest.raises(Problem) as problem:
        records.load("zhengzhou-2021")
    assert problem.value.kind.code == "demo.bad_pack" and "no hour" in problem.value.message
