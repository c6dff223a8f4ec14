"""The Hengyang plan against answers worked out by hand from its text: each level from just below and at its condition."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines.conditions import Key, Verdict

from .builders import pack

PLAN = pack("hengyang_flood_2023")
CONDITIONS = {entry.key: entry for entry in PLAN.conditions}
C = "city"


def k(term: str, place: str = C, qualifier: str = "") -> Key:
    return Key(term, place, qualifier)


def level(**gauges: float) -> dict[Key, Any]:
    return {k("water_level", gauge): value for gauge, value in gauges.items()}


def peak(**gauges: float) -> dict[Key, Any]:
    return {k("level_forecast_peak", gauge): value for gauge, value in gauges.items()}


def rising(*gauges: str) -> dict[Key, Any]:
    return {k("level_forecast_rising", gauge): True for gauge in gauges}


def rain(area: float, continues: bool = True) -> dict[Key, Any]:
    return {k("heavy_rain_area"): area, k("rain_forecast_continues"): continues}


TRIBUTARIES_LOW = level(hengdong=45, leiyang=70, shenshantou=90, ouyanghai=80)
MAIN_LOW = level(hengyang=50, hengshan=45, guiyang=40)
NO_DROUGHT = {k("drought_class"): "none", k("drought_counties", C, "extreme"): 0, k("drought_counties", C, "severe"): 0, k("crop_drought_share"): 0,
              k("rural_water_short"): 0, k("urban_water_shortage"): 0}
DRY_STREETS = {k("street_water_depth"): 0, k("street_disruption"): "none", k("homes_flooded"): "none"}
Y, N, U = Verdict.MET, Verdict.NOT_MET, Verdict.CANNOT_TELL

ANSWERS = [
    # Level IV
    ("IV-1", {k("warned_counties", C, "rainstorm|red"): 3}, Y),
    ("IV-1", {k("warned_counties", C, "rainstorm|red"): 2, k("response_counties", C, "IV"): 2}, N),  # two red counties start nothing
    ("IV-1", {k("warned_counties", C, "rainstorm|red"): 0, k("response_counties", C, "IV"): 3}, Y),
    ("IV-2", rain(2000), Y),  # “reaches 0.2”
    ("IV-2", rain(1999.9), N),
    ("IV-2", rain(2000, False), N),
    ("IV-2", {k("heavy_rain_area"): 2500.0}, U),  # nobody has said whether it goes on
    ("IV-3", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=56.0), **peak(hengyang=56.6)}, Y),
    ("IV-3", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=56.0), **peak(hengyang=56.5)}, N),  # may pass 56.5, not reach it
    ("IV-3", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=55.99), **peak(hengyang=57)}, N),
    ("IV-3", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=56.2)}, U),
    ("IV-3", level(hengyang=56.51), Y),
    ("IV-3", level(hengshan=49.01), Y),
    ("IV-3", level(guiyang=45.51), Y),
    ("IV-3", level(guiyang=45.50), U),
    ("IV-3", {**MAIN_LOW, **level(hengdong=50.51, leiyang=77.51)}, Y),
    ("IV-3", {**MAIN_LOW, **level(hengdong=50.51, leiyang=77.50, shenshantou=96.0, ouyanghai=86.5)}, N),
    ("IV-4", {k("counties_flooded"): 2}, Y),
    ("IV-4", {k("counties_flooded"): 1, k("counties_flooded_seriously"): 1}, Y),
    ("IV-4", {k("counties_flooded"): 1, k("counties_flooded_seriously"): 0}, N),
    ("IV-5", {k("works_hazard"): "without_failure_danger"}, Y),
    ("IV-5", {k("works_hazard"): "failure_danger"}, N),
    ("IV-6", {k("street_water_depth"): 31, k("street_disruption"): "wide"}, Y),
    ("IV-6", {**DRY_STREETS, k("street_water_depth"): 30, k("street_disruption"): "wide"}, N),
    ("IV-6", {**DRY_STREETS, k("street_water_depth"): 31}, N),  # deep, but the traffic runs
    ("IV-6", {k("homes_flooded"): "fairly_serious"}, Y),
    ("IV-7", {k("drought_class"): "moderate"}, Y),
    ("IV-7", {**NO_DROUGHT, k("crop_drought_share"): 5}, Y),
    ("IV-7", {**NO_DROUGHT, k("crop_drought_share"): 4.9, k("rural_water_short"): 29_999}, N),
    ("IV-7", {**NO_DROUGHT, k("drought_counties", C, "severe"): 6}, Y),
    # Level III
    ("III-1", rain(2000), N),  # 0.2 itself is Level IV
    ("III-1", rain(2000.1), Y),
    ("III-1", rain(4000), Y),  # “0.4 included”
    ("III-2", {**level(hengyang=56.6, hengshan=49.1), **peak(hengyang=57.5, hengshan=48.5)}, Y),
    ("III-2", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=56.6, hengshan=49.1), **peak(hengyang=57.4, hengshan=50)}, N),
    ("III-2", level(guiyang=48.01), Y),
    ("III-2", {**level(hengdong=53.8, leiyang=79.6), **rising("hengdong", "leiyang")}, Y),  # within 0.5 m of 54.30 and 80.10
    ("III-2", {**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengdong=53.79, leiyang=79.6), **rising("hengdong", "leiyang")}, N),
    ("III-3", {k("rain_forecast"): "heavy", k("rain_forecast_extent"): "part"}, Y),
    ("III-3", {k("rain_forecast"): "none"}, N),
    ("III-4", {k("reservoirs_in_danger", C, "small"): 1}, Y),
    ("III-4", {k("reservoirs_in_danger", C, "small"): 0, k("reservoirs_in_danger", C, "key_small_1"): 0}, N),
    ("III-5", {k("dykes_in_danger", C, "tributary_town"): 1}, Y),
    ("III-6", {k("street_water_depth"): 51, k("street_disruption"): "very_wide"}, Y),
    ("III-6", {**DRY_STREETS, k("street_water_depth"): 51, k("street_disruption"): "wide"}, N),
    ("III-7", {**NO_DROUGHT, k("rural_water_short"): 50_000}, Y),
    ("III-8", {k("typhoon_forecast"): "part", k("warned", C, "any|blue"): 1}, Y),
    ("III-8", {k("typhoon_forecast"): "part", k("warned", C, "any|blue"): 0}, N),
    # Level II
    ("II-1", rain(4000), N),
    ("II-1", rain(4000.1), Y),
    ("II-1", rain(7000), Y),
    ("II-2", {**level(hengyang=58.1, hengshan=51.6), **rising("hengyang", "hengshan")}, Y),
    ("II-2", {**TRIBUTARIES_LOW, **level(hengyang=58.0, hengshan=51.6, guiyang=49.5), **rising("hengyang", "hengshan")}, N),
    ("II-2", level(guiyang=49.51), Y),
    ("II-2", {**level(hengdong=54.31, ouyanghai=88.71), **peak(hengdong=54.8, ouyanghai=89.9)}, Y),
    ("II-3", {k("rain_forecast"): "very_heavy", k("rain_forecast_extent"): "most"}, Y),
    ("II-3", {k("rain_forecast"): "very_heavy", k("rain_forecast_extent"): "part"}, N),
    ("II-4", {k("reservoirs_above", C, "medium|design"): 1}, Y),
    ("II-4", {k("reservoirs_above", C, "medium|design"): 0, k("reservoirs_above", C, "small|design"): 1}, N),
    ("II-5", {k("reservoirs_in_danger", C, "key_small_1"): 2}, Y),
    ("II-6", {k("dykes_in_danger", C, "main_III_or_higher"): 1}, Y),
    ("II-7", {k("street_water_depth"): 101, k("street_disruption"): "exceptional"}, Y),
    ("II-8", {**NO_DROUGHT, k("urban_water_shortage"): 20}, Y),
    ("II-9", {k("typhoon_forecast"): "serious", k("warned", C, "any|blue"): 1}, Y),
    ("II-9", {k("typhoon_forecast"): "part", k("warned", C, "any|blue"): 1}, N),
    # Level I
    ("I-1", rain(7000), N),
    ("I-1", rain(7000.1), Y),
    ("I-2", level(hengyang=60.59), Y),
    ("I-2", {**MAIN_LOW, **TRIBUTARIES_LOW, **peak(hengyang=60.58, hengshan=50, guiyang=45)}, N),
    ("I-2", peak(hengshan=54.88), Y),
    ("I-2", level(shenshantou=99.25, ouyanghai=90.36), Y),
    ("I-2", {**MAIN_LOW, **TRIBUTARIES_LOW, **peak(hengyang=50, hengshan=45, guiyang=40), **level(shenshantou=99.25)}, N),  # one tributary is not two
    ("I-3", {k("rain_forecast"): "extreme", k("rain_forecast_extent"): "most"}, Y),
    ("I-4", {k("reservoirs_above", C, "medium|check"): 2}, Y),
    ("I-4", {k("reservoirs_above", C, "medium|check"): 1}, N),
    ("I-5", {k("reservoirs_above", C, "medium|design"): 1, k("flow_forecast_record"): True}, Y),
    ("I-5", {k("reservoirs_above", C, "medium|design"): 1, k("works_hazard"): "none"}, U),
    ("I-5", {k("works_hazard"): "major_endangering_public"}, Y),
    ("I-6", {k("crop_drought_share"): 50}, Y),
    ("I-6", {k("crop_drought_share"): 49, k("rural_water_short"): 200_000}, Y),
    ("I-7", {k("soil_saturated"): True, k("geohazard_expected"): True}, Y),
    ("I-7", {k("soil_saturated"): False}, N),
    ("I-8", {k("low_ground_water"): "exceptional", k("street_disruption"): "paralysed"}, Y),
    ("I-8", {k("low_ground_water"): "exceptional", k("street_disruption"): "exceptional"}, N),
    # Linkage of annex 4
    ("link-red", {k("warned", C, "rainstorm|red"): 1}, Y),
    ("link-orange", {k("warned", C, "rainstorm|orange"): 1, k("warned", C, "rainstorm|red"): 0}, Y),
    ("link-orange", {k("warned", C, "rainstorm|orange"): 1, k("warned", C, "rainstorm|red"): 1}, N),
]


@pytest.mark.parametrize(("key", "known", "verdict"), ANSWERS, ids=[f"{key}-{i}" for i, (key, _, _) in enumerate(ANSWERS)])
def test_the_condition_says_what_the_text_says(key, known, verdict):
    assert CONDITIONS[key].compiled.evaluate(known).verdict is verdict


def test_every_machine_condition_has_an_answer_met_and_one_not_met():
    for key, entry in CONDITIONS.items():
        if entry.compiled:
            assert any(row[0] == key and row[2] is Y for row in ANSWERS), key


def test_every_condition_stands_at_its_sentence():
    for entry in PLAN.conditions:
        clause = PLAN.clauses[entry.clause]
        assert clause.text["zh"] and clause.text["en"]
        if entry.key.split("-")[0] in ("I", "II", "III", "IV"):
            assert entry.clause == f"{ {'IV': '5.4', 'III': '5.5', 'II': '5.6', 'I': '5.7'}[entry.level] }.1({entry.key.split('-')[1]})"


def test_who_signs():
    assert {row.code: row.approver for row in PLAN.levels if row.kind == "response"} == {
        "I": "commander", "II": "commander", "III": "executive_deputy", "IV": "secretary_general"}
    assert PLAN.level("IV").consent == "executive_deputy"


def test_what_is_asked_when_only_the_forecast_is_missing():
    assert CONDITIONS["III-1"].compiled.evaluate({k("heavy_rain_area"): 3000.0}).ask == (k("rain_forecast_continues"),)
    assert CONDITIONS["IV-3"].compiled.evaluate({**MAIN_LOW, **TRIBUTARIES_LOW, **level(hengyang=56.2)}).ask == (k("level_forecast_peak", "hengyang"),)
    assert CONDITIONS["III-1"].compiled.evaluate({}).ask == ()


MONOTONE = st.dictionaries(st.sampled_from([key for entry in PLAN.conditions if entry.compiled for key in entry.compiled.keys if key.term in ("water_level", "level_forecast_peak", "heavy_rain_area")]),
                           st.sampled_from([0.0, 48.5, 56.6, 58.1, 60.6, 3000.0, 8000.0]), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(MONOTONE, MONOTONE)
def test_more_gauges_never_take_a_level_back(known, more):
    for entry in PLAN.conditions:
        if entry.compiled:
            before = entry.compiled.verdict(known)
            assert before is U or entry.compiled.verdict({**more, **known}) is before


def test_zhengzhou_says_what_is_not_published():
    plan = pack("zhengzhou_2021")
    level_one = [entry for entry in plan.conditions if entry.level == "I"]
    assert len(level_one) == 7 and sum(entry.compiled is None for entry in level_one) == 6
    piping = {Key("reservoir_hazard", "changzhuang", ""): "piping"}
    assert level_one[0].compiled.evaluate(piping).verdict is Y
    assert level_one[0].compiled.evaluate({Key("reservoir_hazard", "changzhuang", ""): "hazard"}).verdict is N
    tunnel = next(entry for entry in plan.conditions if entry.key == "tunnel").compiled
    assert tunnel.evaluate({Key("tunnel_water_depth", "jingguang", ""): 40.0}).verdict is N
    assert tunnel.evaluate({Key("tunnel_water_depth", "jingguang", ""): 40.1}).verdict is Y


def test_poyo_asks_a_person_when_there_is_no_rain_upstream():
    red = next(entry for entry in pack("valencia_poyo").conditions if entry.key == "red").compiled
    flow, wet, warned, sure = k("discharge", "poyo"), k("rain_24h", "basin"), k("warned", "basin", "rainstorm|orange"), k("flow_confirmed", "poyo")
    dry = {flow: 184.0, wet: 0.0, warned: 0}
    assert red.evaluate(dry).verdict is U and red.evaluate(dry).ask == (sure,)  # 9 September 2025: a vehicle under the sensor
    assert red.evaluate({**dry, sure: False}).verdict is N
    assert red.evaluate({**dry, sure: True}).verdict is Y
    assert red.evaluate({flow: 258.0, warned: 1}).verdict is Y  # 29 October 2024: a red warning was in force
    assert red.evaluate({flow: 150.0, warned: 1}).verdict is N
