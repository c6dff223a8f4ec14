"""Blocked roads: from the report to open traffic, the clearing time by the rule, and who is cut off meanwhile."""
from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from anlan.engines import routing
from anlan.engines.routing import Router, network
from anlan.inspection.tests.builders import png
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as loops
from anlan.kernel.loops import get, lint
from anlan.logistics import compute, queries
from anlan.resources.models import Base
from anlan.runtime.testing import make_region

pytestmark = pytest.mark.django_db
LOOP = "logistics.blockage"


def report(actor, realm, region, *, at=None, **more):
    values = {
        "title": "K12 塌方", "road": "G104 K12+300", "road_class": "national", "kind": "closed", "cause": "slide", "severity": "general", "region": str(region.pk), "point": [119.005, 28.0],
    } | more
    return loops.open(Act(actor, realm, occurred_at=at), loop=LOOP, values=values)


def opened(actor, realm, case):
    photo = str(loops.hold(Act(actor, realm), loop=LOOP, case=case.pk, name="通车.png", content=png()).pk)
    case = loops.step(Act(actor, realm), loop=LOOP, case=case.pk, step="order", data={"crew": "公路养护一队"})
    return loops.step(Act(actor, realm), loop=LOOP, case=case.pk, step="open", data={"done": "清理完毕"}, files=[photo])


def test_the_declaration_is_sound():
    assert lint.lint(get(LOOP)) == []


def test_the_mean_counts_trunk_roads_in_general_disasters_and_leaves_open_cases_apart(actual, county, alice, charlie):
    first, second = opened(alice, actual, report(alice, actual, county)), opened(alice, actual, report(alice, actual, county, road_class="expressway"))
    for other in ({"road_class": "village"}, {"severity": "major"}):
        opened(alice, actual, report(alice, actual, county, **other))
    still = report(alice, actual, county)
    # The clocks are the loop's own; the test sets them as if the work had taken 4 and 11 hours.
    for case, hours in ((first, 4), (second, 11)):
        type(case).objects.everything().filter(pk=case.pk).update(opened_at=case.closed_at - timedelta(hours=hours))
    figure = queries.clearing(alice, actual)
    assert figure.mean_h == pytest.approx(7.5) and figure.count == 2 and figure.limit_h == 8
    assert [round(hours) for _, hours in figure.over] == [11] and [row.pk for row, _ in figure.open_now] == [still.pk]
    assert queries.clearing(charlie, actual).count == 0, "the neighbour county sees none of it"


def test_a_crew_needs_a_place_and_opening_needs_a_photograph(actual, county, alice):
    nowhere = report(alice, actual, county, point=None)
    with pytest.raises(Problem):
        loops.step(Act(alice, actual), loop=LOOP, case=nowhere.pk, step="order", data={"crew": "一队"})
    with pytest.raises(Problem):
        loops.step(Act(alice, actual), loop=LOOP, case=report(alice, actual, county).pk, step="open", data={"done": "x"})


@pytest.fixture
def roads(settings, tmp_path, town):
    """One road from the base in the west to the town, another round it."""
    settings.HOME = tmp_path
    lon, lat = np.array([119.0, 119.01, 119.02, 119.01]) - 0.01, np.array([28.0, 28.0, 28.0, 28.02])
    net = network.straight(lon, lat, np.array([0, 1]), np.array([1, 2]), kind=np.full(2, routing.CLASSES.index("primary"), np.uint8))
    net.save(compute.road_file(), **Router(net).kept)
    return net


def test_the_town_behind_a_blocked_road_is_cut_off_until_it_is_open(actual, county, town, alice, roads):
    town.lon, town.lat, town.population = 119.0099, 28.0001, 3200
    town.save(update_fields=["lon", "lat", "population"])
    base = np.array([[118.991, 28.0]])
    assert queries.reach(alice, actual, base).cut_off == 0
    case = report(alice, actual, county)
    found = queries.reach(alice, actual, base)
    assert (found.cut_off, found.people, found.places[0].region.pk) == (1, 3200, town.pk) and found.places[0].before_s > 0
    loops.step(Act(alice, actual), loop=LOOP, case=case.pk, step="order", data={"crew": "一队"})
    loops.step(Act(alice, actual), loop=LOOP, case=case.pk, step="partly", data={"kind": "slow", "speed_left": 50})
    slow = queries.reach(alice, actual, base)
    assert slow.cut_off == 0 and slow.places[0].now_s > slow.places[0].before_s * 1.2


def test_a_case_of_a_drill_closes_no_actual_road(actual, exercise, county, town, alice, roads):
    report(alice, exercise, county)
    assert not queries.edits(alice, actual, compute.router()) and len(queries.edits(alice, exercise, compute.router())) == 1


def test_the_page_tells_the_mean_what_is_still_blocked_and_who_is_cut_off(actual, county, town, alice, charlie, roads, client, signed_in):
    town.lon, town.lat, town.population = 119.0099, 28.0001, 3200
    town.save(update_fields=["lon", "lat", "population"])
    Base.objects.create(code="B1", name="西站", region=county, lon=118.991, lat=28.0)
    done = opened(alice, actual, report(alice, actual, county))
    type(done).objects.everything().filter(pk=done.pk).update(opened_at=done.closed_at - timedelta(hours=9))
    still = report(alice, actual, county)
    page = signed_in(client, alice).get("/logistics/clearing").content.decode()
    assert "9.0" in page and still.number in page and done.number in page and town.name in page and "3,200" in page
    other = signed_in(client, charlie).get("/logistics/clearing").content.decode()
    assert still.number not in other and town.name not in other


def test_the_road_that_gives_most_people_a_way_again_is_cleared_first(actual, county, town, alice, settings, tmp_path, client, signed_in):
    """A small village behind the older blockage, a large town behind the newer one, and a third that only makes a way longer."""
    settings.HOME = tmp_path
    # 0 base, 1 fork, 2 village, 3 town; 1-4-3 a longer way to the town, blocked as well.
    lon, lat = np.array([119.0, 119.01, 119.02, 119.01, 119.04]) - 0.01, np.array([28.0, 28.0, 28.0, 28.02, 28.01])
    net = network.straight(lon, lat, np.array([0, 1, 1, 1, 4]), np.array([1, 2, 3, 4, 3]), kind=np.full(5, routing.CLASSES.index("primary"), np.uint8))
    net.save(compute.road_file(), **Router(net).kept)
    village = make_region("甲二村", "village", town)
    for region, point, population in ((village, (119.0099, 28.0), 90), (town, (119.0, 28.0199), 5000)):
        region.lon, region.lat, region.population = *point, population
        region.save(update_fields=["lon", "lat", "population"])
    Base.objects.create(code="B1", name="西站", region=county, lon=118.991, lat=28.0)
    older = report(alice, actual, county, road="X1", point=[119.005, 28.0])
    direct = report(alice, actual, county, road="X2", point=[119.0, 28.01])
    round_ = report(alice, actual, county, road="X3", point=[119.015, 28.005])
    found = queries.clear_first(alice, actual, np.array([[118.991, 28.0]]))
    assert [(one.row.pk, one.people) for one in found] == [(direct.pk, 5000), (older.pk, 90), (round_.pk, 0)] and found[0].places == [town.name]
    page = signed_in(client, alice).get("/logistics/clearing/order").content.decode()
    assert page.index("X2") < page.index("X1") < page.index("X3") and "5,000" in page


def test_how_far_one_gets_without_a_map_is_a_circle_that_says_so(alice, actual, town, settings, tmp_path, client, signed_in):
    """At 40 km/h and a detour of 1.4 half an hour is 14.3 km: the village 11 km away is within it, not within ten minutes."""
    settings.HOME = tmp_path
    village = make_region("河口村", "village", town)
    village.lon, village.lat, village.population = 119.0, 28.1, 700
    village.save(update_fields=["lon", "lat", "population"])
    found, how = queries.bands(alice, actual, 119.0, 28.0, [10.0, 30.0], vehicle="car", weather="dry")
    assert [(one.places, one.people, one.road_km) for one in found] == [(0, 0, None), (1, 700, None)] and "直线" in how
    north = max(lat for _lon, lat in found[1].geometry["coordinates"][0])
    assert (north - 28.0) * 111.32 == pytest.approx(40 / 1.4 / 2, rel=1e-3)
    desk, asked = signed_in(client, alice), "/logistics/reach?place=119.0,+28.0&minutes=10,30&vehicle=car&weather=dry"
    assert "700" in desk.get(asked).content.decode() and [one["kind"] for one in desk.get(asked + "&map=1").json()["layers"]].count("reach") == 2
    assert "最多五个" in desk.get(asked.replace("10,30", "x")).content.decode()
