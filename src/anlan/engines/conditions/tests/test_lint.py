"""A plan looked at before the day: levels that overlap or leave gaps, warnings that set off nothing, its own table tests, changes in words."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from anlan.engines.conditions import Vocabulary, lint, read_plan

DATA = Path(__file__).resolve().parents[3] / "plans" / "data"
VOCABULARY = Vocabulary.from_data(yaml.safe_load((DATA / "vocabulary.yaml").read_text()))


def plan(conditions: dict[str, str], **more):
    """A plan of levels IV to I with one condition a level."""
    data = {
        "anlan_plan": 1, "id": "p", "title": {"zh": "某县预案"}, "hazard": "flood", "places": {"city": {"kind": "region", "label": {"zh": "全县"}}, "g": {"kind": "gauge", "label": {"zh": "站"}, "marks": {"warning": 50.0}}},
        "posts": {"boss": {"zh": "指挥长"}}, "clauses": {"c": {"text": {"zh": "句"}}},
        "levels": [{"code": code, "rank": rank, "label": {"zh": code}, "approver": "boss", "clause": "c"} for rank, code in enumerate(("IV", "III", "II", "I"), 1) if code in conditions],
        "conditions": [{"id": f"{code}-1", "level": code, "clause": "c", "when": when} for code, when in conditions.items()],
        "actions": [{"id": f"{code}-a", "level": code, "post": "boss", "clause": "c", "text": {"zh": "值班"}, "deadline_min": 30} for code in conditions],
    } | more
    found, troubles = read_plan(yaml.safe_dump(data, allow_unicode=True, sort_keys=False), VOCABULARY)
    assert found is not None, [str(one) for one in troubles]
    return found


def kinds(one) -> list[str]:
    return [row.kind for row in lint.findings(one) if row.kind not in ("warning_without_action",)]


WARNED = ' || warned("city", "rainstorm", "blue") >= 1'


def test_a_plan_in_order_has_nothing_to_say():
    assert kinds(plan({"IV": 'rain_24h("city") >= 50' + WARNED, "III": 'rain_24h("city") >= 80', "II": 'rain_24h("city") >= 100'})) == []


@pytest.mark.parametrize(
    ("conditions", "kind"),
    [
        ({"IV": 'deaths("city") >= 3', "III": 'deaths("city") >= 3'}, "levels_overlap"),
        ({"IV": 'deaths("city") >= 10', "III": 'deaths("city") >= 3'}, "levels_upside_down"),
        ({"IV": 'deaths("city") >= 3', "III": 'injured_persons("city") >= 5', "II": 'deaths("city") >= 30'}, "level_left_out"),
        ({"IV": 'deaths("city") >= 3 && deaths("city") < 10', "III": 'deaths("city") >= 20 && deaths("city") < 50'}, "gap_between_levels"),
        ({"IV": 'temperature("city") < 0', "III": 'temperature("city") > 35'}, "term_used_two_ways"),
        ({"IV": 'water_level("g") > mark("g", "warning")', "III": 'water_level("g") > 50'}, "levels_overlap"),
        ({"IV": 'deaths("city") >= 3', "III": 'deaths("city") > 50 && deaths("city") < 30'}, "condition_never_met"),
        ({"IV": 'deaths("city") >= 3', "III": 'deaths("city") > 50 && deaths("city") < 30 || water_level("g") < 50 && water_level("g") >= mark("g", "warning")'}, "level_unreachable"),
    ],
)
def test_levels_that_cannot_be_meant_so(conditions, kind):
    assert kind in kinds(plan(conditions))


def test_what_some_value_meets_is_no_fault():
    assert not {"condition_never_met", "level_unreachable"} & set(kinds(plan({"IV": 'deaths("city") >= 3 && deaths("city") <= 3', "III": 'deaths("city") > 50 && deaths("city") < 30 || injured_persons("city") > 7'})))


def test_a_level_without_a_rule_an_action_or_a_limit_and_a_post_without_a_part():
    base = dict(plan({"IV": 'deaths("city") >= 3', "III": 'deaths("city") >= 9'}, posts={"boss": {"zh": "指挥长"}, "idle": {"zh": "闲职"}}).data)
    base["conditions"] = [base["conditions"][0], {"id": "III-1", "level": "III", "clause": "c", "note": {"zh": "由人判断"}}]
    base["actions"] = [{"id": "IV-a", "level": "IV", "post": "boss", "clause": "c", "text": {"zh": "值班"}}]
    one, troubles = read_plan(yaml.safe_dump(base, allow_unicode=True, sort_keys=False), VOCABULARY)
    assert one is not None, troubles
    assert {(row.kind, row.where) for row in lint.findings(one)} >= {("level_only_by_person", "III"), ("level_without_action", "III"), ("actions_without_deadline", "IV"), ("post_without_part", "idle")}


def test_a_level_nobody_may_sign():
    """A file is refused when its signer is no post of it; a plan made otherwise is found."""
    one = plan({"IV": 'deaths("city") >= 3'})
    nobody = replace(one, levels=tuple(replace(level, approver="") for level in one.levels))
    assert "level_nobody_signs" in [row.kind for row in lint.findings(nobody)]


def test_the_same_task_given_to_another_unit_by_the_higher_plan():
    mine = plan({"IV": 'deaths("city") >= 3'})
    theirs = plan({"IV": 'deaths("city") >= 3'}, id="province", posts={"boss": {"zh": "省防指"}}, actions=[{"id": "a", "level": "IV", "post": "boss", "clause": "c", "text": {"zh": "值 班。"}}])
    (found,) = [row for row in lint.findings(mine, [theirs]) if row.kind == "unit_differs"]
    assert found.data == {"here": ["指挥长"], "there": ["省防指"], "other": "province"}
    assert not [row for row in lint.findings(mine, [mine]) if row.kind == "unit_differs"]


def test_a_rain_rule_that_all_levels_share_is_no_overlap():
    shared = 'rain_24h("city") >= 100 && heavy_rain_area("city") >= {}'
    assert kinds(plan({"IV": shared.format(2000), "III": shared.format(4000)})) == []


def test_a_warning_that_sets_off_nothing_is_said_and_one_that_does_is_not():
    one = plan({"IV": 'warned_counties("city", "rainstorm", "red") >= 3'})
    silent = {(row.data["colour"], row.data["counties"]) for row in lint.findings(one) if row.kind == "warning_without_action"}
    assert ("red", 1) in silent and ("orange", 3) in silent and ("red", 3) not in silent
    # Zhengzhou's plan of 2021: red alone starts no response level.
    real, _ = read_plan((DATA / "plans" / "hengyang_flood_2023.yaml").read_bytes(), VOCABULARY)
    rows = {(row["colour"], row["counties"]): row["levels"] for row in lint.triggers(real)}
    assert rows["red", 1] == ["link-red"] or rows["red", 1] == ["link-orange", "link-red"]
    assert "IV" in rows["red", 3] and rows["yellow", 3] == []


def test_table_tests_run_and_say_what_they_never_touched():
    tests = [{"name": "三人", "given": {"deaths(city)": 3}, "level": "IV"}, {"given": {"deaths(city)": 2}, "level": "IV"}]
    one = plan({"IV": 'deaths("city") >= 3', "III": 'deaths("city") >= 30'}, tests=tests)
    rows, coverage = lint.run_tests(one)
    assert [(row["passed"], row["found"]) for row in rows] == [(True, "IV"), (False, "")]
    told = coverage.as_json(one)
    assert told["never_met"] == ["III-1"] and told["actions_never_reached"] == ["III-a"]


@pytest.mark.parametrize("given", [{"deaths(elsewhere)": 1}, {"nonsense": 1}, {"deaths(city)": "many"}, {"temperature(city)": 3}])
def test_a_table_test_of_values_nobody_asks_for_is_refused(given):
    data = dict(plan({"IV": 'deaths("city") >= 3'}).data) | {"tests": [{"given": given, "level": "IV"}]}
    found, troubles = read_plan(yaml.safe_dump(data, allow_unicode=True), VOCABULARY)
    assert found is None and troubles[0].where.startswith("tests[0].given")


def test_changes_are_said_in_numbers():
    old, new = plan({"II": 'rain_24h("city") >= 100'}), plan({"II": 'rain_24h("city") >= 80'})
    assert lint.changes(old, new) == [{"kind": "threshold", "level": "II", "where": "II-1", "term": "rain_24h(city)", "before": ">= 100", "after": ">= 80"}]
    assert lint.changes(old, old) == []


def test_another_plan_that_says_otherwise():
    mine, theirs = plan({"IV": 'deaths("city") >= 3', "III": 'deaths("city") >= 10'}), plan({"IV": 'deaths("city") >= 5'}, id="province")
    found = {(row.kind, row.where) for row in lint.findings(mine, [theirs]) if row.data.get("other")}
    assert found == {("threshold_differs", "IV"), ("level_only_here", "III")}
