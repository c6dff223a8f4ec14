"""A plan file run over the record of an event, nothing stored: known times of two disasters."""
from __future__ import annotations

from anlan.demo import records
from anlan.demo.rehearse import rehearse
from anlan.plans.tests.builders import pack


def test_zhengzhou_level_one_was_due_six_hours_earlier():
    told = rehearse(pack("zhengzhou_2021"), records.load("zhengzhou-2021"))
    assert told["reached"] == {"seat": "2021-07-19T21:59+08:00", "I": "2021-07-20T10:30+08:00", "tunnel": "2021-07-20T15:00+08:00"}
    first = told["decisions"][0]
    assert (first["level"], first["done_at"], first["hours_earlier"]) == ("I", "2021-07-20T16:30+08:00", 6.0)
    assert told["coverage"]["never_met"] == [] and told["coverage"]["by_person"]


def test_valencia_both_waves_are_counted_from_their_own_beginning():
    told = rehearse(pack("valencia_poyo"), records.load("valencia-2024"))
    assert [row["plan_says_at"] for row in told["decisions"][:3]] == ["2024-10-29T11:30+01:00", "2024-10-29T11:30+01:00", "2024-10-29T17:25+01:00"]


def test_a_plan_of_elsewhere_says_which_of_its_places_the_record_does_not_have():
    told = rehearse(pack("hengyang_flood_2023"), records.load("zhengzhou-2021"))
    assert told["unmapped"] and "link-red" in told["reached"] and told["coverage"]["never_judged"]
