"""`anlan roads`, as a person at the command line meets it."""
from __future__ import annotations

import argparse
import json

import pytest

from anlan.logistics import commands

MAP = """<osm version="0.6"><node id="1" lon="120.00" lat="30.0"/><node id="2" lon="120.01" lat="30.0"/><node id="3" lon="120.02" lat="30.0"/>
<node id="4" lon="120.01" lat="30.01"/><node id="5" lon="120.02" lat="30.01"/>
<way id="11"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/><tag k="name" v="East Road"/></way>
<way id="12"><nd ref="2"/><nd ref="3"/><tag k="highway" v="primary"/><tag k="bridge" v="yes"/><tag k="maxweight" v="10"/></way>
<way id="13"><nd ref="2"/><nd ref="4"/><nd ref="5"/><nd ref="3"/><tag k="highway" v="tertiary"/></way>
<way id="14"><nd ref="3"/><nd ref="99"/><tag k="highway" v="primary"/></way>
<way id="15"><nd ref="4"/><nd ref="5"/><tag k="highway" v="footway"/></way></osm>"""


def anlan(capsys, *words):
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["roads", *map(str, words), "--json"])
    status = args.func(args)
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture
def town(tmp_path, capsys):
    (tmp_path / "town.osm").write_text(MAP)
    (tmp_path / "a.csv").write_text("id,lon,lat\ndepot,120.0,30.0\n")
    (tmp_path / "b.csv").write_text("id,lon,lat,weight\neast,120.02,30.0,70\nmiddle,120.0099,30.0,20\nsea,125,30,1\n")
    status, about = anlan(capsys, "import", tmp_path / "town.osm", "--to", tmp_path / "town.npz")
    assert status == 0 and (about["segments"], about["bridges"], about["outside"], about["weight_limits"]) == (6, 1, 1, 1)
    return tmp_path


def ask(town, capsys, what, *more):
    return anlan(capsys, what, "--from", town / "a.csv", "--to", town / "b.csv", "--network", town / "town.npz", *more)


def test_times_follow_the_vehicle_and_what_is_closed(town, capsys):
    _, car = ask(town, capsys, "matrix", "--vehicle", "car")
    east, middle, sea = car["seconds"][0]
    # 963 m a hundredth of a degree at 65 km/h.
    assert east == pytest.approx(2 * 963.0 / 65 * 3.6, abs=0.2) and middle < east and sea is None and car["by_road"]
    assert any("sea" in note for note in car["notes"])
    _, truck = ask(town, capsys, "matrix")
    assert truck["seconds"][0][0] > 2 * east, "twelve tonnes go round the weak bridge"
    closed = {"type": "Feature", "properties": {"kind": "closed"}, "geometry": {"type": "Point", "coordinates": [120.005, 30.0]}}
    (town / "e.json").write_text(json.dumps({"type": "FeatureCollection", "features": [closed]}))
    _, reach = ask(town, capsys, "reach", "--vehicle", "car", "--edits", town / "e.json", "--minutes", "30")
    assert [one["id"] for one in reach["cut_off"]] == ["east", "middle"] and reach["in_time_before"] == 90 and reach["never_reached"] == ["sea"]
    _, critical = ask(town, capsys, "reach", "--vehicle", "car")
    assert critical["critical"] == [], "two ways lead on from the depot's own road"
    _, truck = ask(town, capsys, "reach")
    assert [(one["weight"], one["places"]) for one in truck["critical"]] == [(70.0, ["east"])], "the bridge is no way for a truck"
    _, way = ask(town, capsys, "route", "--vehicle", "car")
    assert way["routes"][0]["metres"] == pytest.approx(2 * 963, abs=2) and way["routes"][0]["roads"] == ["East Road"]
    _, near = ask(town, capsys, "nearest", "-k", "2")
    assert near["nearest"]["sea"] == [] and near["nearest"]["east"][0]["from"] == "depot"


def test_without_a_map_it_says_so(town, capsys, settings):
    settings.HOME = town / "empty"
    _, answer = anlan(capsys, "matrix", "--from", town / "a.csv", "--to", town / "b.csv")
    assert not answer["by_road"] and "1.4" in answer["how"] and answer["seconds"][0][0] == pytest.approx(1926 * 1.4 / 40 * 3.6, rel=1e-2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("b.csv", "id,lon,lat\nx,abc,30\n"), ("b.csv", "id,lon,lat\nx,200,30\n"), ("b.csv", "id,lon,lat\nx,120,nan\n"), ("b.csv", "id,lon,lat\nx,120,30\nx,120,30\n"), ("b.csv", ""), ("town.npz", "no network"), ("town.osm", "no map")],
)
def test_wrong_files_are_refused_by_name(town, capsys, name, content):
    (town / name).write_text(content)
    status, answer = anlan(capsys, "import", town / "town.osm") if name == "town.osm" else ask(town, capsys, "matrix")
    assert status == 1 and answer["error"]["why"]


def test_isochrones_are_areas_that_grow_with_the_minutes_and_shrink_behind_a_closure(town, capsys):
    from shapely.geometry import Point, shape

    def areas(*more):
        status, answer = anlan(capsys, "isochrone", "--from", town / "a.csv", "--network", town / "town.npz", "--minutes", "1,3", *more)
        assert status == 0
        return {one["properties"]["minutes"]: (shape(one["geometry"]), one["properties"]["road_km"]) for one in answer["features"]}

    found = areas()
    east = Point(120.02, 30.0)
    # A kilometre a minute on the primary road: the bridge's far end is 1.8 minutes away.
    assert found[3.0][0].distance(east) < 0.002 < found[1.0][0].distance(east) and 0 < found[1.0][1] < found[3.0][1]
    # A straight road has no corners between its ends: it is in the area all the way, and no farther than the time goes.
    assert all(found[3.0][0].covers(Point(120.0 + step * 0.002, 30.0)) for step in range(11))
    assert found[1.0][0].covers(Point(120.008, 30.0)) and not found[1.0][0].covers(Point(120.014, 30.0))
    (town / "edits.geojson").write_text(json.dumps({"features": [{"type": "Feature", "properties": {"kind": "closed"}, "geometry": {"type": "Point", "coordinates": [120.005, 30.0]}}]}))
    assert areas("--edits", town / "edits.geojson")[3.0][1] < found[3.0][1] / 2, "closed in front of the door"
    status, refused = anlan(capsys, "isochrone", "--from", town / "a.csv", "--network", town / "town.npz", "--minutes", "0,x")
    assert status == 1 and "--minutes" in refused["error"]["why"]
