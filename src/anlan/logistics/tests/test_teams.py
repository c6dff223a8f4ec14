"""Which teams go: fit, usable, rested, soon there, and who is left uncovered at home; where stations should stand. Known answers on a straight line."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.kernel import clock
from anlan.logistics import teams
from anlan.resources.models import Base, Team
from anlan.resources.registers.teams import base_check
from anlan.runtime.testing import make_region

pytestmark = pytest.mark.django_db
# At 40 km/h and a detour of 1.4 a hundredth of a degree of latitude (1.11 km) takes 2.3 minutes.
SCENE = {"hazard": "flood", "lon": 119.0, "lat": 28.00}


@pytest.fixture
def valley(county, town, settings, tmp_path):
    settings.HOME = tmp_path

    def village(name, lat, people):
        row = make_region(name, "village", town)
        row.lon, row.lat, row.population = 119.0, lat, people
        row.save(update_fields=["lon", "lat", "population"])
        return row

    def team(name, lat, **more):
        values = {"code": name, "name": name, "kind": "social", "hazards": ["flood"], "region": county, "lon": 119.0, "lat": lat, "readiness": "ready", "assemble_min": 5, "members": 20} | more
        return Team.objects.create(**values)

    return village, team


def test_the_first_there_goes_unless_too_many_people_would_be_left_uncovered(actual, alice, valley):
    village, team = valley
    village("河口村", 28.02, 100)
    big = village("大镇村", 28.20, 900)
    near = team("近队", 28.10)  # the only one that covers the large village
    far = team("远队", 28.11 - 0.22)  # one minute later on the scene, covers nobody the other does not
    team("消防不对口", 28.0, hazards=["fire"])
    team("证件过期", 28.0, insured_until=clock.local(clock.now(actual)).date() - timedelta(days=1))
    there = team("现场队", 28.0)
    found = teams.propose(alice, actual, count=1, **SCENE)
    assert [one.team.pk for one in found.offers if one.chosen] == [there.pk], "stands at the scene, and nobody depends on it"
    two = teams.propose(alice, actual, count=2, **SCENE)
    assert [one.team.pk for one in two.offers if one.chosen] == [there.pk, far.pk] and two.left == 1000
    three = teams.propose(alice, actual, count=3, **SCENE)
    assert three.offers[2].team.pk == near.pk and three.offers[2].lost == 1000 and three.left == 0 and big.population == 900
    assert {(one.name, why) for one, why, _until in found.barred} == {("证件过期", "unusable")}
    assert three.offers[0].minutes == pytest.approx(5, abs=0.1) and "直线" in three.how


def test_who_stays_moves_up_to_the_place_that_was_left(actual, alice, valley):
    village, team = valley
    village("大镇村", 28.00, 5000)
    goes, stays = team("首派", 28.01), team("留守", 31.0)
    found = teams.propose(alice, actual, count=1, **SCENE)
    assert [one.team.pk for one in found.offers if one.chosen] == [goes.pk] and found.covered == 5000 and found.left == 0
    assert [(one.team.pk, one.to.pk, one.people) for one in found.moves] == [(stays.pk, goes.pk, 5000)]


def test_coverage_today_stands_beside_the_best_layout_of_as_many(actual, alice, county, town, valley, client, signed_in):
    village, _team = valley
    village("东村", 28.00, 1000)
    village("西村", 29.00, 3000)
    other = make_region("甲三镇", "town", county)
    for row, lat in ((town, 28.01), (other, 29.01)):
        row.lon, row.lat = 119.0, lat
        row.save(update_fields=["lon", "lat"])
    base = Base.objects.create(code="B1", name="东站", region=county, lon=119.0, lat=28.0)
    found = teams.coverage(alice, actual)
    assert (found.stations, found.people, found.today, found.best, found.bound) == (1, 4000, 1000, 3000, 3000)
    assert [one.pk for one in found.move] == [base.pk] and [one.pk for one in found.new] == [other.pk] and [(row.pk, n) for row, n in found.add] == [(other.pk, 3000)]
    plus = teams.coverage(alice, actual, small=2)
    assert [(row.pk, n) for row, n in plus.small] == [(other.pk, 3000)] and (plus.with_small, plus.small_bound) == (4000, 4000), "1+N: the station stays, the small one adds the west"
    assert teams.coverage(alice, actual, kind="fire").stations == 0, "no fire team stands there"
    second = Base.objects.create(code="B2", name="东二站", region=county, lon=119.0, lat=28.02)
    spare = teams.coverage(alice, actual, lost=True)
    assert (spare.today, spare.best, spare.bound, spare.add) == (1000, 1000, 1000, []), "the east has two stations, the west could have one"
    assert 'name="lost" checked' in signed_in(client, alice).get("/logistics/coverage?lost=on&small=2").content.decode()
    second.delete()
    desk = signed_in(client, alice)
    assert "100.0" in desk.get("/logistics/coverage?small=2").content.decode() and desk.get("/logistics/coverage?small=x&kind=fire").status_code == 200
    page = desk.get("/logistics/coverage").content.decode()
    assert "75.0" in page and "25.0" in page and other.name in page
    _village, team = valley
    team("近队", 28.0)
    page = desk.get("/logistics/teams?hazard=flood&place=%E4%B8%9C%E6%9D%91&count=1").content.decode()
    assert "近队" in page and "resources.callout" in page
    assert desk.get("/logistics/teams?hazard=flood&place=nowhere&count=1").status_code == 200


def test_aviation_bases_reach_in_a_straight_line_as_far_as_they_fly(actual, alice, county, town, valley, client, signed_in):
    village, _team = valley
    village("东村", 28.10, 1000)  # 11 km from the base
    village("北村", 29.90, 4000)  # 211 km: beyond a helicopter's range
    town.lon, town.lat = 119.0, 29.80
    town.save(update_fields=["lon", "lat"])
    Base.objects.create(code="B1", name="消防站", region=county, lon=119.0, lat=29.9)
    base = Base.objects.create(code="H1", name="直升机坪", region=county, lon=119.0, lat=28.0, aircraft="helicopter", aircraft_source="托管合同")
    found = teams.coverage(alice, actual, air="helicopter")
    assert (found.stations, found.today, found.best) == (1, 1000, 4000) and [one.pk for one in found.move] == [base.pk] and [row.pk for row in found.new] == [town.pk]
    assert "200" in found.how and teams.coverage(alice, actual, air="drone").stations == 0, "no drone stands anywhere"
    desk = signed_in(client, alice)
    assert "直升机" in desk.get("/logistics/coverage?air=helicopter").content.decode() and "没有" in desk.get("/logistics/coverage?air=drone&small=3").content.decode()
    assert base_check({"aircraft": "drone"})[0]["field"] == "aircraft_source" and not base_check({"aircraft": "drone", "aircraft_source": "x"}) and not base_check({})
