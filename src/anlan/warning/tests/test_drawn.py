"""Whom: an area drawn as outline, circle, river reach or footprint; who lies in it, and who is told beyond it."""
from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from django.urls import reverse

from anlan.engines.geo.reaches import Reach
from anlan.kernel import journal
from anlan.kernel.errors import Problem
from anlan.kernel.models import AccessLog, Region
from anlan.runtime.testing import make_region
from anlan.warning import actions, compute, people
from anlan.warning.forms import Area
from anlan.warning.models import Alert, Responsible

from .builders import act, approved, channel, draft

KM = 1 / 111.2  # of a degree of latitude, near enough


@pytest.fixture
def river(county, town):
    """A river due north through the town and out of it, and three villages: on it, 3 km off, and beyond its town."""
    lon, south, north = (town.west + town.east) / 2, town.south, county.north
    line = shapely.LineString([(lon, south), (lon, north)])
    row = Region.objects.create(name="霁水", name_en="Ji River", kind="river", lon=lon, lat=south, area_wkb=shapely.to_wkb(line), west=lon, east=lon, south=south, north=north)
    for name, east, up, count in (("河边村", 0.2, 4, 300), ("坡上村", 3, 4, 500), ("上游村", 0.2, 25, 700)):
        make_region(name, "village", town if up < 10 else county, lon=lon + east * KM / np.cos(np.radians(28)), lat=south + up * KM, population=count, population_source="试验数据")
    return row


def test_a_strip_along_a_line_is_as_wide_and_long_as_said():
    reach = Reach(np.array([[119.0, 28.0], [119.0, 28.0 + 10 * KM]]))
    assert reach.long_km == pytest.approx(10, rel=0.01) and reach.at_km(119.05, 28.0 + 4 * KM) == pytest.approx(4, rel=0.01)
    assert compute.km2(reach.strip(1)) == pytest.approx(2 * reach.long_km + np.pi, rel=0.01)
    assert compute.km2(reach.strip(0.5, 2, 5)) == pytest.approx(3 + np.pi / 4, rel=0.01)
    assert reach.at_km(*reach.point(7.5)) == pytest.approx(7.5, abs=1e-6)
    with pytest.raises(ValueError):
        Reach(np.array([[119.0, 28.0], [119.0, 28.0]]))


def test_a_reach_is_named_in_the_message_stated_as_a_fact_and_kept_through_edits(actual, town, river, alice, bob):
    drawn = {"river": str(river.pk), "from": [river.lon, river.south + 1 * KM], "to": 6, "km": 1}
    row = approved(alice, bob, actual, town, regions=[], drawn=drawn)
    assert row.area_text.startswith("霁水 5.0 公里河段两岸各 1 公里：") and row.region_ids == [str(town.pk)]
    (fact,) = [one for one in journal.about(f"alert:{row.pk}") if one.kind == "warning.AreaDrawn"]
    assert fact.payload["shape"] == "river" and fact.payload["km2"] == pytest.approx(2 * 5 + np.pi, rel=0.02)
    same = actions.edit(act(alice, actual), alert=row.pk, drawn=drawn, regions=[])
    assert same.state == Alert.APPROVED and same.approver == bob.person_id
    wider = actions.edit(act(alice, actual), alert=row.pk, drawn={**drawn, "km": 2}, regions=[])
    assert wider.state == Alert.DRAFT and wider.approver is None and compute.km2(compute.area_of(wider)) > 20
    plain = actions.edit(act(alice, actual), alert=row.pk, regions=[str(town.pk)])
    assert plain.drawn == {} and plain.area_text == town.name


def test_villages_inside_and_beyond_are_told_apart_and_nobody_inside_is_left_out(actual, town, county, river, alice):
    shape = compute.drawn({"river": str(river.pk), "from": 0, "to": 10, "km": 1})
    assert compute.warned_by(shape) == [town.pk]
    found = compute.villages(shape, [town.pk])
    assert [(name, count, people) for name, count, people in found.counts] == [("inside", 1, 300), ("beyond", 1, 500), ("untold", 0, 0)]
    longer = compute.drawn({"river": str(river.pk), "km": 1})
    (untold,) = compute.villages(longer, [town.pk]).untold
    assert untold.name == "上游村" and compute.warned_by(longer) == [town.pk, untold.pk]


def test_an_area_of_chosen_places_has_few_corners_and_cuts_no_village_off(county):
    rng = np.random.default_rng(5)
    angles = np.sort(rng.random(900) * 2 * np.pi)
    ring = (119.2, 28.2) + 0.15 * (0.8 + 0.2 * rng.random(900))[:, None] * np.c_[np.cos(angles), np.sin(angles)]
    jagged, apart = shapely.Polygon(ring), shapely.box(119.6, 28.6, 119.7, 28.7)
    area = shapely.union_all([jagged, apart])
    Region.objects.filter(pk=county.pk).update(area_wkb=shapely.to_wkb(area))
    inside = [point for point in rng.uniform((119.0, 28.0), (119.4, 28.4), (2000, 2)) if jagged.contains(shapely.Point(point))][:400]
    inside += list(ring * 0.999 + np.array((119.2, 28.2)) * 0.001)  # in the very tips
    Region.objects.bulk_create(Region(name=f"v{n}", kind="village", lon=lon, lat=lat) for n, (lon, lat) in enumerate(inside))
    shape = compute.shape_of([county.pk])
    assert len(inside) > 600 and all(shapely.contains_xy(shape, lon, lat) for lon, lat in inside)
    assert [shapely.get_num_coordinates(part) <= compute.CORNERS for part in shape.geoms] == [True, True]
    assert shapely.union_all([part for part in shape.geoms if part.bounds[0] > 119.5]).equals(apart), "what has few corners stays as it is"


def test_a_small_circle_in_a_large_town_warns_that_town(actual, town, alice):
    row = draft(alice, actual, town, regions=[], drawn={"circle": [town.lon, town.lat, 0.5]})
    assert row.region_ids == [str(town.pk)] and compute.km2(compute.area_of(row)) == pytest.approx(np.pi / 4, rel=0.02)


@pytest.mark.parametrize("bad", [{"river": "x", "km": 1}, {"river": "019b0000-0000-7000-8000-000000000000", "km": 1}, {"line": [[119, 28]], "km": 1}, {"line": [[119, 28], [119.1, 28]], "km": 0},
                                 {"circle": [119, 28, 9999]}, {"footprint": {"type": "Point", "coordinates": [119, 28]}}, {"footprint": None},
                                 {"footprint": {"type": "Polygon", "coordinates": [[]]}}, {"footprint": {"type": "Polygon", "coordinates": 5}}, {"line": [[900, 28], [119.1, 1e300]], "km": 1}, {"circle": [119, 28, 10 ** 400]}])
def test_what_is_no_area_is_refused_with_its_reason(actual, town, alice, bad):
    with pytest.raises(Problem) as caught:
        draft(alice, actual, town, drawn=bad)
    assert caught.value.kind.code == "warning.bad_content"


def test_all_of_it_can_be_typed_and_is_shown_before_it_is_kept(client, signed_in, actual, town, river, alice):
    signed_in(client, alice)
    words = {"kind": "government", "colour": "red", "hazard": "X-FLASHFLOOD", "headline": "山洪红色预警", "description": "水位快速上涨。", "bank_km": "1"}
    typed = words | {"shape": "river", "river": str(river.pk), "reach_from": "0", "reach_to": f"{river.lon} {river.south + 10 * KM}"}
    shown = client.post(reverse("warning:compose_area"), typed).content.decode()
    assert "河边村" in shown and "1 个村" in shown and "300 人" in shown and "500 人" in shown and "MultiPolygon" not in shown
    answer = client.post(reverse("warning:compose"), typed)
    row = Alert.plain.get()
    assert answer.status_code == 302 and row.drawn["river"] == str(river.pk) and row.drawn["from"] == 0
    page = client.get(reverse("warning:alert", args=[row.pk])).content.decode()
    assert "霁水" in page and "区域外也会收到" in page
    again = client.get(reverse("warning:edit", args=[row.pk])).content.decode()
    assert f'value="{river.pk}" selected' in again
    for wrong in ({"shape": "polygon", "corners": "119 28\n119.1"}, {"shape": "circle", "circle_lon": "119"}, {"shape": "river"}, {"shape": ""}):
        assert client.post(reverse("warning:compose"), words | wrong).status_code == 422, wrong
    assert [one["id"] for one in json.loads(client.get(reverse("warning:draw_map")).content)["layers"]] == ["regions", "rivers"]


def test_what_was_drawn_comes_back_into_the_fields_it_was_typed_in(town):
    for drawn in ({"polygon": [[119.0, 28.0], [119.1, 28.0], [119.1, 28.1]]}, {"circle": [119.0, 28.0, 2.0]}, {"line": [[119.0, 28.0], [119.1, 28.0]], "km": 0.5},
                  {"footprint": {"type": "Polygon", "coordinates": [[[119.0, 28.0], [119.1, 28.0], [119.1, 28.1], [119.0, 28.0]]]}, "model": "inundation 3 run 12"}):
        form = Area(Area.drawn_as(drawn))
        assert form.is_valid(), form.errors
        assert form.cleaned_data["drawn"] == drawn


def test_those_who_answer_for_places_in_the_area_are_told_by_number_and_nobody_beyond_it(actual, town, county2, alice, river, monkeypatch):
    def person(code, name, lon=None, lat=None, region=town, kind="village"):
        return Responsible.plain.create(code=code, kind=kind, place=name, name=f"{name}责任人", mobile=f"138 0000 {code}", region=region, lon=lon, lat=lat)

    person("0001", "河边村", river.lon, river.south + 4 * KM)
    person("0002", "坡上村", river.lon + 0.04, river.south + 4 * KM)  # in the town, outside what was drawn
    person("0003", "全镇")  # without a position: by its region
    person("0004", "邻县村", region=county2)
    person("0005", "矿山", kind="enterprise")
    settings = {"url": "http://127.0.0.1:9/", "body": {"n": "{number}", "t": "{text}"}, "entries": [{"register": "warning.responsible", "phone": "mobile", "name": "name", "where": {"kind": "village"}}]}
    out = channel("sms", settings=settings)
    row = draft(alice, actual, town, regions=[], drawn={"river": str(river.pk), "from": 0, "to": 10, "km": 1})
    found = list(people.targets(out, row))
    assert [(one.address, one.name) for one in found] == [("13800000001", "河边村 河边村责任人"), ("13800000003", "全镇 全镇责任人")] and found[0].region == town.pk
    monkeypatch.setattr(people, "PORTION", 2)  # a large register is asked in portions
    assert sorted(one.address for one in people.targets(out, row)) == ["13800000001", "13800000003"]
    line = AccessLog.objects.filter(subject=f"alert:{row.pk}").order_by("pk").first()
    assert (line.fields, line.count) == (["warning.responsible.mobile"], 2)
    for wrong in ([{"register": "no.such", "phone": "x"}], [{"register": "warning.responsible", "phone": "place"}], "x", [{"register": "warning.responsible", "phone": "mobile", "where": {"no": 1}}]):
        assert people.problem({"entries": wrong})
