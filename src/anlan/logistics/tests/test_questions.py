"""Questions as JSON, through the command's own door."""
from __future__ import annotations

import json

import pytest

from anlan.logistics import questions

PEOPLE = [{"id": "east", "lon": 120.0, "lat": 30.0, "persons": 40, "helpless": 0.5}, {"id": "west", "lon": 119.9, "lat": 30.0, "persons": 30}]
HOUSES = [{"id": "school", "lon": 120.0, "lat": 30.01, "area_m2": 120}, {"id": "gym", "lon": 119.9, "lat": 30.02, "room": 50, "arrived": 10}, {"id": "cellar", "lon": 120.0, "lat": 30.0, "room": 900, "fit": False}]


def ask(**more):
    return questions.shelters(json.dumps({"people": PEOPLE, "shelters": HOUSES} | more).encode())


def test_people_go_to_the_nearest_fit_shelter_with_room(settings, tmp_path):
    settings.HOME = tmp_path
    answer = ask()
    assert answer["assignment"] == {"east": {"school": 40}, "west": {"gym": 30}} and answer["gap"] == 0 and not answer["unplaced"]
    assert answer["filled"] == {"school": [40, 40], "gym": [30, 40], "cellar": [0, 0]} and any("cellar" in note for note in answer["notes"])
    # 1.11 and 2.22 km of straight line × 1.4 at 4.5 km/h.
    assert answer["person_minutes"] == pytest.approx((40 * 1.112 + 30 * 2.224) * 1.4 / 4.5 * 60, rel=1e-2) and not answer["how"].startswith("By road")
    smaller = ask(per_person_m2=6)
    assert smaller["placed"] == 60 and smaller["unplaced"] and smaller["gap"] == 0
    assert ask(farthest_min=30)["unplaced"] == {"west": 30}


def test_check_in_counts_change_the_plan_and_given_minutes_are_taken():
    moved = ask(minutes=[[5, 10, 1], [5, None, 1]])
    assert moved["assignment"] == {"east": {"gym": 40}, "west": {"school": 30}} and moved["person_minutes"] == 40 * 10 + 30 * 5
    full = ask(minutes=[[5, 10, 1], [5, None, 1]], shelters=[HOUSES[0], {**HOUSES[1], "arrived": 50}, HOUSES[2]])
    assert full["placed"] == 40 and sum(full["unplaced"].values()) == 30 and "east" not in full["unplaced"]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"people": []}, "people"), ({"people": [{"persons": -1}]}, "people[0].persons"), ({"people": [{"persons": 1.5}]}, "people[0].persons"), ({"people": [PEOPLE[0], PEOPLE[0]]}, "people[1].id"),
        ({"people": [{"persons": 1}]}, "people[0].lon"), ({"shelters": [{"lon": 1, "lat": 1}]}, "shelters[0].area_m2"), ({"minutes": [[1, 2, float("nan")], [1, 2, 3]]}, "minutes[0][2].m"),
        ({"minutes": [[1]]}, "minutes"), ({"vehicle": "broom"}, "vehicle"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(more, where):
    with pytest.raises(questions.BadQuestion) as caught:
        ask(**more)
    assert caught.value.where == where and caught.value.why


GOODS = {
    "goods": [{"id": "water", "load": 0.1}, {"id": "pump", "load": 0.5}],
    "depots": [{"id": "D1", "stock": {"water": 50, "pump": 2}, "truck_minutes": 600}, {"id": "D2", "stock": {"water": 10}}],
    "needs": [{"id": "A", "items": [{"good": "water", "units": 40, "deadline_min": 60}, {"good": "pump", "units": 3, "priority": 10}]}, {"id": "B", "items": [{"good": "water", "units": 30}]}],
    "minutes": [[30, 50], [90, 20]],
}


def plan(**more):
    return questions.allocate(json.dumps(GOODS | more).encode())


def test_goods_go_where_they_are_worth_most_and_what_is_not_met_says_why():
    answer = plan()
    sent = {(one["depot"], one["need"], one["good"]): one["units"] for one in answer["lines"]}
    # Pumps first (priority 10): 60 truck minutes of 600. Water to A takes 6 minutes a unit; to B 10: 40 and 30; D2 has its own trucks.
    assert sent["D1", "A", "pump"] == 2 and sent["D2", "B", "water"] == 10 and sent["D1", "A", "water"] == 40
    assert sum(units for (_d, need, _g), units in sent.items() if need == "B") == 20, "what is left in D1's store"
    assert {(one["need"], one["good"], one["units"]) for one in answer["unmet"]} == {("A", "pump", 1), ("B", "water", 10)} and all(one["why"] for one in answer["unmet"])
    assert answer["gap"] < 0.01 and answer["depots"][0]["truck_minutes"] <= 600


def test_a_persons_plan_is_judged_and_a_new_one_says_what_moved():
    own = [{"depot": "D1", "need": "B", "good": "water", "units": 60}]
    judged = plan(plan=own)["judged"]
    assert {one["rule"] for one in judged["breaks"]} == {"stock", "more than needed"} and judged["unmet_units"] == 43
    before = plan()["lines"]
    answer = plan(minutes=[[None, 50], [50, 20]], before=before, change_minutes=10)
    assert {(one["depot"], one["need"]) for one in answer["changes"]} >= {("D1", "A"), ("D2", "A")} and all(one["depot"] == "D2" for one in answer["lines"] if one["need"] == "A")
    kept = plan(kept=[{"depot": "D2", "need": "B", "good": "water", "units": 3}], needs=[{**GOODS["needs"][0], "only_from": ["D1"]}, GOODS["needs"][1]])
    assert any(one["depot"] == "D2" and one["units"] >= 3 for one in kept["lines"])


def test_stand_ins_and_transfer_points_are_part_of_the_question():
    """Two small pumps for one that is missing; behind the landing lies C, which no road reaches."""
    more = {
        "goods": [*GOODS["goods"], {"id": "small", "load": 0.2}], "depots": [{**GOODS["depots"][0], "stock": {"water": 50, "pump": 2, "small": 5}}, GOODS["depots"][1]],
        "needs": [*GOODS["needs"], {"id": "C", "items": [{"good": "water", "units": 20, "priority": 5, "deadline_min": 120}]}], "minutes": [[30, 50, None], [90, 20, None]],
        "swaps": [{"good": "small", "for": "pump", "number": 2}], "transfers": [{"id": "landing", "to_min": [10, None], "on_min": [None, None, 60], "minutes": 20, "per_hour": 3, "from_min": 0}],
    }
    answer = plan(**more)
    lines = {(one["need"], one["good"], one.get("for"), one.get("transfer")): one["units"] for one in answer["lines"]}
    assert lines["A", "pump", None, None] == 2 and lines["A", "small", "pump", None] == 2, "one pump is missing: two small ones"
    assert lines["C", "water", None, "landing"] == 15, "from minute 10 to 40 half an hour at three loads: 1.5 loads of 0.1"
    assert {(one["need"], one["units"]) for one in answer["unmet"] if one["need"] == "C"} == {("C", 5)} and answer["transfers"][0]["minutes_saved_by_one_more_load"] > 0
    own = plan(**more, plan=[{"depot": "D1", "need": "C", "good": "water", "units": 20}, {"depot": "D1", "need": "A", "good": "small", "for": "pump", "units": 6}])["judged"]
    assert {(one["rule"], *one["at"]) for one in own["breaks"]} == {("point", "landing"), ("stock", "D1", "small")}
    by_place = {"minutes": None, "lon": 120.0, "lat": 30.0, "kmh": 10}
    placed = questions.allocate(json.dumps({
        "goods": [{"id": "water", "load": 0.1}], "depots": [{"id": "D", "lon": 120.0, "lat": 30.0, "stock": {"water": 9}}], "needs": [{"id": "N", "lon": 120.2, "lat": 30.0, "items": [{"good": "water", "units": 9, "deadline_min": 12}]}],
        "transfers": [{"id": "pad", **{key: value for key, value in by_place.items() if value is not None}, "kmh": 200}],
    }).encode())
    assert placed["lines"][0]["transfer"] == "pad" and placed["lines"][0]["minutes"] == pytest.approx(19.26 / 200 * 60, rel=0.01), "by air from the depot's own pad"


@pytest.mark.parametrize(("more", "where"), [
    ({"swaps": [{"good": "water", "for": "water"}]}, "swaps[0]"), ({"swaps": [{"good": "water", "for": "beer"}]}, "swaps[0]"), ({"swaps": [{"good": "water", "for": "pump", "number": 0}]}, "swaps[0].number"),
    ({"swaps": [{"good": "water", "for": "pump", "number": 2}, {"good": "pump", "for": "water", "number": 2}]}, "swaps"), ({"transfers": [{"to_min": [1], "on_min": [1, 2]}]}, "transfers[0].to_min"),
    ({"transfers": [{"to_min": [1, 2], "on_min": [1, float("nan")]}]}, "transfers[0].on_min"), ({"transfers": [{"to_min": [1, 2], "on_min": [1, 2], "per_hour": 0}]}, "transfers[0].per_hour"),
])
def test_what_is_wrong_with_stand_ins_and_transfer_points_is_named(more, where):
    with pytest.raises(questions.BadQuestion) as caught:
        plan(**more)
    assert caught.value.where == where


def test_needs_follow_the_rates_and_say_where_those_come_from():
    answer = questions.needed(json.dumps({"people": {"sheltered": [1000, 1000, 500], "dogs": 3}, "days": 3, "stock": {"water": 9000}}).encode())
    water = answer["goods"]["water"]
    assert water["each_day"] == [15_000, 15_000, 7_500] and (water["physical"], water["agreement"], water["capacity"], water["gap"]) == (15_000, 22_500, 0, 6_000)
    assert answer["goods"]["blanket"]["total"] == 2000 and answer["unused"] == ["dogs"] and "need_rate" in answer["how"]
    own = questions.needed(json.dumps({"people": {"flooded": 10}, "days": 2, "rates": [{"good": "pump", "who": "flooded", "amount": 1, "for_each": 4, "daily": False}]}).encode())
    assert own["goods"]["pump"]["total"] == 3
    with pytest.raises(questions.BadQuestion) as caught:
        questions.needed(b'{"people": {"sheltered": [-1]}}')
    assert caught.value.where == "people.sheltered[0].n"


@pytest.mark.parametrize(("more", "where"), [
    ({"kept": [{"depot": "D9", "need": "A", "good": "water", "units": 1}]}, "kept[0]"), ({"depots": [{"id": "D1", "stock": {"tent": 1}}]}, "depots[0].stock.tent"),
    ({"needs": [{"id": "A", "items": [{"good": "water", "units": -1}]}]}, "needs[0].items[0].units"), ({"depots": [{"id": "D1", "stock": {"water": 1.5}}]}, "depots[0].stock.water"),
    ({"kept": [{"depot": "D1", "need": "A", "good": "water", "units": 999}]}, "kept[0]"),
])
def test_a_wrong_question_about_goods_is_named_with_its_place(more, where):
    with pytest.raises(questions.BadQuestion) as caught:
        plan(**more)
    assert caught.value.where == where and caught.value.why
