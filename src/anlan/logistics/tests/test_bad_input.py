"""What is wrong with a question is named, with what to change, and the rest is still solved: through the command, the pages and the actions."""
from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from anlan.engines import routing
from anlan.engines.routing import Router, network
from anlan.kernel import codes
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.logistics import actions, commands, compute, outside
from anlan.logistics.models import Transport
from anlan.logistics.tests.test_supply import Ground, searched, step
from anlan.resources.tests.builders import receive, warehouse


@pytest.fixture
def solve(capsys, tmp_path, settings):
    settings.HOME = tmp_path

    def asked(kind, question):
        parser = argparse.ArgumentParser()
        commands.register(parser.add_subparsers())
        file = tmp_path / "question.json"
        file.write_text(json.dumps(question))
        args = parser.parse_args(["solve", kind, str(file), "--json"])
        status = args.func(args)
        return status, json.loads(capsys.readouterr().out)

    return asked


GOODS = {
    "goods": [{"id": "water", "load": 0.1}], "depots": [{"id": "D1", "stock": {"water": 50}}, {"id": "D2", "stock": {"water": 10}}],
    "needs": [{"id": "A", "items": [{"good": "water", "units": 40}]}, {"id": "B", "items": [{"good": "water", "units": 30}]}], "minutes": [[30, 50], [90, 20]],
}


def sent(answer):
    return {(one["depot"], one["need"]): one["units"] for one in answer["lines"]}


@pytest.mark.parametrize(("more", "where", "lines"), [
    ({"depots": [{"id": "D1", "stock": {"water": -5}}, GOODS["depots"][1]]}, "depots[0].stock.water", {("D2", "B"): 10}),
    ({"depots": [*GOODS["depots"], {"id": "D1", "stock": {"water": 9}}], "minutes": [*GOODS["minutes"], [1, 1]]}, "depots[2].id", {("D1", "A"): 40, ("D1", "B"): 10, ("D2", "B"): 10}),
    ({"needs": [*GOODS["needs"], {"id": "A", "items": []}], "minutes": [[30, 50, 1], [90, 20, 1]]}, "needs[2].id", {("D1", "A"): 40, ("D1", "B"): 10, ("D2", "B"): 10}),
    ({"minutes": [[30, float("nan")], [90, 20]]}, "minutes[0][1]", {("D1", "A"): 40, ("D2", "B"): 10}),
    ({"needs": [GOODS["needs"][0] | {"only_from": ["D9"]}, GOODS["needs"][1]]}, "needs[0].only_from", {("D1", "B"): 20, ("D2", "B"): 10}),
    ({"needs": [GOODS["needs"][0] | {"only_from": []}, GOODS["needs"][1]]}, "needs[0].only_from", {("D1", "B"): 20, ("D2", "B"): 10}),
    ({"kept": [{"depot": "D2", "need": "A", "good": "water", "units": 5}, {"depot": "D2", "need": "A", "good": "water", "units": 6}]}, "kept[1]", {("D1", "A"): 35, ("D2", "A"): 5, ("D1", "B"): 15, ("D2", "B"): 5}),
    ({"needs": [{"id": "A", "items": [{"good": "water", "units": 40}, {"good": "beer", "units": 1}]}, GOODS["needs"][1]]}, "needs[0].items[1].good", {("D1", "A"): 40, ("D1", "B"): 10, ("D2", "B"): 10}),
])
def test_goods_with_something_wrong_among_them(solve, more, where, lines):
    status, answer = solve("allocate", GOODS | more)
    assert status == 0 and [one["where"] for one in answer["left_out"]] in ([where], [f"{where}.m"]) and all(one["why"] for one in answer["left_out"]) and sent(answer) == lines


def test_a_rule_nobody_who_has_it_can_keep_is_named_and_so_is_a_place_without_a_way(solve):
    status, answer = solve("allocate", GOODS | {"depots": [{"id": "D1"}, GOODS["depots"][1]], "needs": [GOODS["needs"][0] | {"only_from": ["D1"]}, GOODS["needs"][1]]})
    assert status == 0 and sent(answer) == {("D2", "B"): 10} and not answer["left_out"]
    assert "无权" in next(one["why"] for one in answer["unmet"] if one["need"] == "A")
    status, answer = solve("allocate", GOODS | {"minutes": [[30, None], [90, None]]})
    assert sent(answer) == {("D1", "A"): 40} and "按时" in next(one["why"] for one in answer["unmet"] if one["need"] == "B")


def test_people_and_sites_with_something_wrong_among_them(solve):
    people = [{"id": "east", "persons": 40}, {"id": "east", "persons": 7}, {"id": "west", "persons": -30}, {"id": "hill", "persons": 20}]
    status, answer = solve("shelters", {"people": people, "shelters": [{"id": "school", "room": 50}, {"id": "gym", "area_m2": -1}], "minutes": [[5, 1], [5, 1], [5, 1], [None, 1]]})
    assert status == 0 and sorted(one["where"] for one in answer["left_out"]) == ["people[1].id", "people[1].persons", "shelters[1].area_m2"], "the second of the list is the third once the first fault is out"
    assert answer["assignment"] == {"east": {"school": 40}} and answer["unplaced"] == {"hill": 20}
    demands = [{"id": "a"}, {"id": "b", "weight": -1}, {"id": "c"}, {"id": "a"}]
    status, answer = solve("pmedian", {"demands": demands, "sites": [{"id": "x"}, {"id": "y"}], "p": 1, "matrix": [[1, 2], [1, 1], [float("nan"), 1], [9, 9]]})
    assert status == 0 and len(answer["left_out"]) == 3 and answer["proven"] and answer["assignment"] == {"a": "y", "c": "y"}
    status, answer = solve("pmedian", {"demands": [{"id": "b", "weight": -1}], "sites": [{}], "p": 1, "matrix": [[1]]})
    assert status == 1 and answer["error"]["where"] == "demands[0].weight", "nothing is left to solve"


@pytest.fixture
def ground(actual, county, alice, settings, tmp_path, db):
    settings.HOME = tmp_path
    return Ground(alice, actual, county)


@pytest.fixture
def roads(ground):
    net = network.straight(np.array([118.98, 119.02]), np.full(2, 28.0), np.array([0]), np.array([1]), kind=np.full(1, routing.CLASSES.index("primary"), np.uint8))
    net.save(compute.road_file(), **Router(net).kept)


def test_roads_in_two_pieces_leave_one_village_out_by_name(ground, drain, client, signed_in):
    lon, lat = np.array([118.98, 118.99, 119.20, 119.21]), np.full(4, 28.0)
    net = network.straight(lon, lat, np.array([0, 2]), np.array([1, 3]), kind=np.full(2, routing.CLASSES.index("primary"), np.uint8))
    net.save(compute.road_file(), **Router(net).kept)
    pumps = [{"item": str(ground.pump.pk), "units": 10}]
    plan = ground.plan(depots=[{"warehouse": str(ground.west.pk)}], needs=[{"id": "a", "name": "甲村", "lon": 118.99, "lat": 28.0, "items": pumps}, {"id": "b", "name": "乙村", "lon": 119.21, "lat": 28.0, "items": pumps}])
    version = searched(ground, plan, drain)
    assert ground.lines(version) == {("西库", "甲村", "水泵"): 10}, "the village on the depot's piece of road is served"
    assert [(version.frozen["needs"][one["j"]]["name"], one["why"]) for one in version.answer["unmet"]] == [("乙村", "no way in time")] and any("乙村" in note for note in version.frozen["notes"])
    page = signed_in(client, ground.actor).get(f"/logistics/plans/{plan.pk}").content.decode()
    assert page.count("乙村") >= 2, "among what is not met, and in the note on roads"


def test_a_need_in_the_sea_and_a_key_given_twice(ground, roads, drain, client, signed_in, actual):
    plan = ground.plan()
    twice = [{"id": "a", "name": name, "lon": 118.99, "lat": 28.0, "items": [{"item": str(ground.pump.pk), "units": 1}]} for name in ("甲村", "丙村")]
    with pytest.raises(Problem) as error:
        actions.set_needs(Act(ground.actor, actual), plan=plan.pk, needs=twice)
    assert error.value.fields[0]["field"] == "needs.1.id" and "丙村" in error.value.fields[0]["why"] and "甲村" in error.value.fields[0]["why"]
    sea = {"id": "s", "name": "外海平台", "lon": 123.0, "lat": 28.0, "items": [{"item": str(ground.pump.pk), "units": 3}]}
    actions.set_needs(Act(ground.actor, actual), plan=plan.pk, needs=[*plan.needs, sea])
    version = searched(ground, plan, drain)
    assert len({need for _depot, need, _item in ground.lines(version)}) == 2 and [version.frozen["needs"][one["j"]]["name"] for one in version.answer["unmet"]] == ["外海平台"]
    page = signed_in(client, ground.actor).get(f"/logistics/plans/{plan.pk}").content.decode()
    assert page.count("外海平台") >= 2, "among what is not met, and in the note on roads"


def test_more_than_there_is_can_neither_be_booked_out_nor_kept_for_a_plan(ground, drain, commander, actual):
    with pytest.raises(Problem):
        receive(ground.actor, actual, ground.west, ground.pump, -5)
    plan = ground.plan()
    version = searched(ground, plan, drain)
    assert (np.array(version.frozen["stock"]) >= 0).all()
    with pytest.raises(Problem) as error:
        actions.set_lines(Act(ground.actor, actual), plan=plan.pk, lines=[ground.line(ground.west, "a", ground.pump, -1)])
    assert error.value.fields[0]["field"] == "units"


def test_a_router_that_answers_with_no_number_is_not_believed(ground, roads, drain, monkeypatch, settings, client, signed_in):
    """The plan is worked out with our own roads, and says why."""
    settings.ROUTER = "osrm+http://127.0.0.1:9"
    monkeypatch.setattr(outside, "_call", lambda *_args, **_more: ({"code": "Ok", "durations": [[0.0] * 3, [float("nan")] * 3]}, 0))
    plan = ground.plan()
    version = searched(ground, plan, drain)
    assert version.answer["numbers"]["unmet"] == 0 and any("OSRM" in note or "osrm" in note for note in version.frozen["notes"])


def test_authority_that_releases_nothing_is_named_at_the_search_and_at_the_approval(ground, drain, city, county, commander, actual, machine, monkeypatch, client, signed_in):
    store = warehouse(machine, actual, city, name="市库", point=[118.985, 28.0], load_min="10")
    receive(machine, actual, store, ground.pump, 40)
    entries = codes.entries("release_authority")
    closed = {name: {**one, "data": {"share": 0.0, "wait_min": 60}} if name == "above" else one for name, one in entries.items()}
    monkeypatch.setattr(codes, "entries", lambda name, _real=codes.entries: closed if name == "release_authority" else _real(name))
    plan = ground.plan(depots=[{"warehouse": str(store.pk)}, {"warehouse": str(ground.west.pk)}])
    version = searched(ground, plan, drain)
    assert {depot for depot, _need, _item in ground.lines(version)} == {"西库"}, "the rest is solved"
    assert {one["why"] for one in version.answer["unmet"] if version.frozen["items"][one["g"]]["name"] == "水泵"} == {"not allowed"}
    page = signed_in(client, ground.actor).get(f"/logistics/plans/{plan.pk}").content.decode()
    assert "市库" in page and "物资动用权限" in page
    monkeypatch.undo()
    again = searched(ground, plan, drain)
    assert ("市库", "甲村", "水泵") in ground.lines(again)
    step(ground.actor, actual, plan, "ask")
    with pytest.raises(Problem) as refused:
        step(commander, actual, plan, "approve")
    assert refused.value.kind.code == "logistics.no_authority" and "市库" in refused.value.message and not Transport.objects.of(actual).exists()
