"""OSRM and Valhalla as they document themselves, spoken by a small server; it answers from what it is asked, so a wrong question gives a wrong answer."""
from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from shapely.geometry import LineString, Polygon

from anlan.logistics import outside

from .test_roads_command import anlan, ask, town

__all__ = ["town"]


def apart(a, b):
    """Seconds between two points: 1,000 a hundredth of a degree; beyond a degree there is no way."""
    far = round(1e5 * (abs(a[0] - b[0]) + abs(a[1] - b[1])), 1)
    return None if far > 1e5 else far


def encoded(points):
    found, last = "", [0, 0]
    for lon, lat in points:
        for side, value in enumerate((round(lat * 1e6), round(lon * 1e6))):
            step = value - last[side]
            last[side] = value
            step = ~(step << 1) if step < 0 else step << 1
            while step >= 32:
                found += chr((32 | (step & 31)) + 63)
                step >>= 5
            found += chr(step + 63)
    return found


class Handler(BaseHTTPRequestHandler):
    def say(self, status, body):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        parts, asked = urlsplit(self.path), parse_qs(urlsplit(self.path).query)
        self.server.asked.append(self.path)
        if self.server.instead:
            return self.say(*self.server.instead)
        service, version, _profile, places = unquote(parts.path).strip("/").split("/")
        assert version == "v1"
        points = [tuple(map(float, one.split(","))) for one in places.split(";")]
        if service == "route":
            seconds = apart(*points)
            if seconds is None:
                return self.say(400, {"code": "NoRoute", "message": "Impossible route"})
            step = {"name": "East Road"}
            return self.say(200, {"code": "Ok", "routes": [{"duration": seconds, "distance": 963.0, "geometry": {"type": "LineString", "coordinates": points}, "legs": [{"steps": [step, step, {"name": ""}]}]}]})
        here, there = ([points[int(k)] for k in asked[side][0].split(";")] for side in ("sources", "destinations"))
        return self.say(200, {"code": "Ok", "durations": [[apart(a, b) for b in there] for a in here], "sources": [], "destinations": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        if self.server.instead:
            return self.say(*self.server.instead)
        shut = [Polygon(ring) for ring in body.get("exclude_polygons", ())]

        def time(a, b):
            a, b = (a["lon"], a["lat"]), (b["lon"], b["lat"])
            return None if any(ring.intersects(LineString([a, b])) for ring in shut) else apart(a, b)

        if self.path.endswith("/route"):
            a, b = body["locations"]
            if time(a, b) is None:
                return self.say(400, {"error_code": 442, "error": "No path could be found for input", "status_code": 400, "status": "Bad Request"})
            leg = {"shape": encoded([(a["lon"], a["lat"]), (b["lon"], b["lat"])]), "maneuvers": [{"street_names": ["East Road"]}, {}]}
            return self.say(200, {"trip": {"summary": {"time": time(a, b), "length": 0.963}, "legs": [leg], "units": "kilometers"}})
        table = [[{"from_index": i, "to_index": j, "time": time(a, b), "distance": 1.0} for j, b in enumerate(body["targets"])] for i, a in enumerate(body["sources"])]
        return self.say(200, {"sources_to_targets": table, "units": "kilometers"})


@pytest.fixture
def other(far_side):
    return far_side(Handler, asked=[], instead=None)


CLOSED = {"type": "Feature", "properties": {"kind": "closed"}, "geometry": {"type": "Point", "coordinates": [120.005, 30.0]}}
SLOW = {"type": "Feature", "properties": {"kind": "slow", "share": 0.5}, "geometry": {"type": "Point", "coordinates": [120.015, 30.0]}}


def edits(town, *features):
    (town / "e.json").write_text(json.dumps({"features": features}))
    return "--edits", town / "e.json"


@pytest.mark.parametrize("kind", ["osrm", "valhalla"])
def test_times_and_ways_come_from_the_service(town, capsys, other, kind, monkeypatch):
    monkeypatch.setattr(outside, "BLOCK", 2)  # three places: two questions
    by = ("--router", f"{kind}+{other.url}/")
    _, answer = ask(town, capsys, "matrix", *by)
    assert answer["seconds"] == [[2000.0, pytest.approx(990.0), None]] and not answer["notes"] and len(other.asked) == 2
    assert outside.KINDS[kind] in answer["how"]
    _, rain = ask(town, capsys, "matrix", "--weather", "rain", *by)
    assert rain["seconds"][0][0] > 2000, "weather is ours: no service knows of it"
    _, near = ask(town, capsys, "nearest", *by)
    assert near["nearest"]["sea"] == [] and near["nearest"]["east"] == [{"from": "depot", "seconds": 2000.0}]
    _, way = ask(town, capsys, "route", *by)
    east, _middle, sea = way["routes"]
    assert east == {"to": "east", "seconds": 2000.0, "metres": 963.0, "roads": ["East Road"], "line": [[120.0, 30.0], [120.02, 30.0]]} and sea["seconds"] is None


def test_a_closed_road_is_told_to_valhalla_and_what_it_cannot_know_is_said(town, capsys, other):
    _, answer = ask(town, capsys, "matrix", "--router", f"valhalla+{other.url}", *edits(town, CLOSED, SLOW))
    assert answer["seconds"] == [[None, None, None]] and any("1" in note for note in answer["notes"])
    assert other.asked[0]["costing"] == "truck" and other.asked[0]["costing_options"]["truck"]["weight"] == 12 and len(other.asked[0]["exclude_polygons"]) == 1
    _, way = ask(town, capsys, "route", "--router", f"valhalla+{other.url}", *edits(town, CLOSED))
    assert [one["seconds"] for one in way["routes"]] == [None, None, None]


def test_osrm_is_not_asked_where_it_would_forget_a_closure_or_let_people_drive(town, capsys, other):
    _, own = ask(town, capsys, "matrix", *edits(town, CLOSED))
    _, answer = ask(town, capsys, "matrix", "--router", f"osrm+{other.url}", *edits(town, CLOSED))
    assert not other.asked and answer["seconds"] == own["seconds"] and answer["how"] == own["how"] and "OSRM" in answer["notes"][0]
    ask(town, capsys, "matrix", "--router", f"osrm+{other.url}", "--vehicle", "foot")
    assert not other.asked


@pytest.mark.parametrize(
    ("kind", "instead", "words"),
    [
        ("osrm", (400, {"code": "TooBig", "message": "Too many table coordinates"}), "TooBig"), ("osrm", (200, {"code": "Ok", "durations": [[1, 2]]}), "OSRM"), ("osrm", (200, {"code": "Ok", "durations": [[1, -2, 3]]}), "OSRM"),
        ("osrm", (502, b"<html>"), "OSRM"), ("valhalla", (400, {"error_code": 171, "error": "No suitable edges near location"}), "171"), ("valhalla", (200, {"sources_to_targets": [["x"]]}), "Valhalla"), ("valhalla", (200, []), "Valhalla"),
    ],
)
def test_when_the_service_does_not_answer_our_own_map_does_and_says_so(town, capsys, other, kind, instead, words):
    _, own = ask(town, capsys, "matrix")
    other.instead = instead
    status, answer = ask(town, capsys, "matrix", "--router", f"{kind}+{other.url}")
    assert status == 0 and answer["seconds"] == own["seconds"] and words in answer["notes"][0] and answer["notes"][1:] == own["notes"]


def test_a_wrong_setting_or_address_is_named_in_the_answer(town, capsys, other, settings):
    _, own = ask(town, capsys, "matrix")
    for text, words in (("valhala+http://x", "valhala"), ("osrm", "osrm"), (f"osrm+http://localhost:{other.server_port}", "ANLAN_OUTBOUND_ALLOW"), ("osrm+http://127.0.0.1:1", "127.0.0.1")):
        settings.ROUTER = text
        _, answer = ask(town, capsys, "matrix")
        assert answer["seconds"] == own["seconds"] and words in answer["notes"][0], text
    settings.HOME = town / "empty"
    settings.ROUTER = f"osrm+{other.url}"
    _, answer = anlan(capsys, "matrix", "--from", town / "a.csv", "--to", town / "b.csv")
    assert answer["seconds"][0][0] == 2000 and len(answer["notes"]) == 1, "without a map of our own it says that closures are not told"
