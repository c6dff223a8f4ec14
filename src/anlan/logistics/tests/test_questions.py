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
