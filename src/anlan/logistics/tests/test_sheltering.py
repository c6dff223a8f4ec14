"""Who shelters where: rooms by area, unfit shelters named, ways round the danger, approval by another, and on the day the rest of an overfull shelter goes elsewhere."""
from __future__ import annotations

import numpy as np
import pytest

from anlan.engines import routing
from anlan.engines.routing import Router, network
from anlan.kernel import journal
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as loops
from anlan.kernel.loops import get, lint
from anlan.kernel.models import Order, WorkItem
from anlan.logistics import actions, compute, moving, shelters
from anlan.logistics.models import Search, Sheltering
from anlan.logistics.tests.test_blockage import report
from anlan.resources.models import KeySite, Shelter
from anlan.runtime.testing import make_region

pytestmark = pytest.mark.django_db


class Valley:
    """Two villages in the danger area at 28.00, a school and a gym north of it, one shelter inside it."""

    def __init__(self, actor, realm, county, town):
        self.actor, self.realm, self.county, self.town = actor, realm, county, town
        self.a, self.b = self.village("甲村", 119.000, 120), self.village("乙村", 119.004, 90)
        self.school = self.shelter("中学", 119.000, 28.015, area_m2=240)  # 120 people at 2 m²
        self.gym = self.shelter("体育馆", 119.010, 28.015, area_m2=400, accessible=True)
        self.low = self.shelter("低处礼堂", 119.002, 28.001, area_m2=4000)

    def village(self, name, lon, people):
        row = make_region(name, "village", self.town)
        row.lon, row.lat, row.population = lon, 28.0, people
        row.save(update_fields=["lon", "lat", "population"])
        return row

    def shelter(self, name, lon, lat, **more):
        return Shelter.objects.create(**{"code": name, "name": name, "kind": "short", "hazards": ["flood"], "days": 15, "region": self.town, "lon": lon, "lat": lat, **more})

    def plan(self, **more):
        area = {"type": "Polygon", "coordinates": [[[118.99, 27.99], [119.02, 27.99], [119.02, 28.005], [118.99, 28.005], [118.99, 27.99]]]}
        return moving.make(Act(self.actor, self.realm), **{"title": "东江转移", "region": self.county.pk, "hazard": "flood", "area": area, "buses": 0, **more})

    def searched(self, plan, drain, **more):
        moving.search(Act(self.actor, self.realm), plan=plan.pk, **more)
        drain()
        plan.refresh_from_db()
        return plan.versions.order_by("-number").first()

    def table(self, version):
        f, found = version.frozen, {}
        for one in version.answer["moves"]:
            key = (f["groups"][one["g"]]["name"], f["shelters"][one["s"]]["name"])
            found[key] = found.get(key, 0) + one["persons"]
        return found


@pytest.fixture
def valley(alice, actual, county, town, settings, tmp_path):
    settings.HOME = tmp_path  # no road file: straight ways, which do not lead through the danger area
    return Valley(alice, actual, county, town)


def step(actor, realm, plan, name, **data):
    return loops.step(Act(actor, realm), loop="logistics.sheltering", case=plan.pk, step=name, data=data)


def test_the_declaration_is_sound():
    assert lint.lint(get("logistics.sheltering")) == []


def test_a_plan_lists_the_area_fills_rooms_by_area_and_names_what_is_unfit(valley, drain):
    valley.shelter("化工礼堂", 119.0, 28.02, area_m2=4000, hazards=["chemical"])
    valley.shelter("一日场", 119.0, 28.02, area_m2=4000, days=1)
    valley.shelter("未登记", 119.0, 28.02, hazards=[])
    KeySite.objects.create(code="K1", name="敬老院", kind="care", people=40, helpless=30, region=valley.town, lon=119.001, lat=28.0)
    KeySite.objects.create(code="K2", name="高处敬老院", kind="care", people=40, helpless=30, region=valley.town, lon=119.001, lat=28.1)
    valley.village("高处村", 119.0, 500).__class__.objects.filter(name="高处村").update(lat=28.2)
    plan = valley.plan()
    assert {one["name"]: (one["persons"], one["helpless"], one["urgency"]) for one in plan.people} == {"甲村": (120, 10, 1), "乙村": (90, 7, 1), "敬老院": (40, 30, 3)}
    version = valley.searched(plan, drain)
    table = valley.table(version)
    assert plan.current == 1 and sum(table.values()) == 250 and version.answer["numbers"]["unplaced"] == 0
    into = {name: sum(n for (_g, s), n in table.items() if s == name) for name in ("中学", "体育馆")}
    assert into["中学"] <= 120 and into["体育馆"] <= 200 and not {s for _g, s in table} - set(into), "by area over 2 m² each; nothing unfit is used"
    assert table["敬老院", "体育馆"] == 40, "those who cannot climb stairs go where there are none, together with the others of their home"
    assert {one["name"]: one["why"] for one in version.frozen["unfit"]} == {
        "低处礼堂": "位于危险区内", "化工礼堂": "未登记为适用于防汛抢险", "一日场": "最多只能开放 1 天", "未登记": "未登记适用的灾种"}
    assert version.answer["numbers"]["walk"] == 250 and "直线" in version.frozen["how"]
    there = {version.frozen["groups"][one["g"]]["name"]: one["leave"] + one["minutes"] for one in version.answer["moves"] if version.frozen["shelters"][one["s"]]["name"] == "体育馆"}
    assert min(there, key=lambda name: there[name]) == "敬老院", "the most urgent are at the door first"
    assert [fact.kind for fact in journal.about(f"sheltering:{plan.pk}")][-2:] == ["logistics.SearchAsked", "logistics.ShelterVersionMade"]


def test_too_little_room_leaves_the_fewest_out_and_says_why(valley, drain):
    Shelter.objects.everything().filter(pk=valley.gym.pk).update(area_m2=100)
    version = valley.searched(valley.plan(), drain)
    assert version.answer["numbers"]["unplaced"] == 210 - 170 and {one["why"] for one in version.answer["unplaced"]} == {"room"}
    assert all(not one["care"] for one in version.answer["unplaced"]), "those who need help are left out last"
    Shelter.objects.everything().filter(pk__in=[valley.gym.pk, valley.school.pk]).update(hazards=["chemical"])
    none = valley.searched(Sheltering.objects.of(valley.realm).get(), drain)
    assert none.answer["numbers"]["unplaced"] == 210 and {one["why"] for one in none.answer["unplaced"]} == {"no shelter"}


def test_ways_avoid_the_danger_and_a_blocked_road_proposes_another_plan(valley, drain, county, actual):
    """Each village has its road north; between them a road through the danger area, and north of it one round it."""
    lon = np.array([119.000, 119.004, 119.000, 119.010, 119.000, 119.010])
    lat = np.array([28.000, 28.000, 28.010, 28.010, 28.015, 28.015])
    tail, head = np.array([0, 1, 0, 2, 2, 3]), np.array([1, 3, 2, 3, 4, 5])
    net = network.straight(lon, lat, tail, head, kind=np.full(6, routing.CLASSES.index("residential"), np.uint8))
    net.save(compute.road_file(), **Router(net).kept)
    plan = valley.plan()
    version = valley.searched(plan, drain)
    assert valley.table(version) == {("甲村", "中学"): 90, ("甲村", "体育馆"): 30, ("乙村", "体育馆"): 90} and version.frozen["by_road"], "thirty with those who cannot climb stairs"
    line = next(one["line"] for one in version.answer["lines"] if version.frozen["groups"][one["g"]]["name"] == "乙村")
    assert line[0][:2] == pytest.approx([119.004, 28.0], abs=1e-4) and line[-1][1] == pytest.approx(28.015, abs=1e-3)
    report(valley.actor, actual, county, point=[119.007, 28.005], road="乙村路")  # there is another way, and nobody is told another shelter for it
    drain()
    assert plan.versions.count() == 1 and Search.objects.of(actual).order_by("-at").first().why == "无需调整。"
    report(valley.actor, actual, county, point=[119.010, 28.0125], road="体育馆路")
    drain()
    plan.refresh_from_db()
    changed = plan.versions.order_by("-number").first()
    assert changed.kind == "replan" and plan.current == version.number and changed.note == "体育馆路", "proposed, with the road that made it so"
    assert sum(valley.table(changed).values()) == 120 == sum(n for (_g, s), n in valley.table(changed).items() if s == "中学") and changed.answer["numbers"]["unplaced"] == 90
    moving.set_area(Act(valley.actor, actual), plan=plan.pk, area=plan.area, impassable=True, buses=0)
    cut = valley.searched(plan, drain)
    assert {one["why"] for one in cut.answer["unplaced"]} == {"no way"} and cut.answer["numbers"]["unplaced"] == 210


def test_a_person_sets_a_shelter_and_another_approves_and_orders_go_out_once(valley, drain, commander, actual):
    plan = valley.plan()
    valley.searched(plan, drain)
    b = str(valley.b.pk)
    with pytest.raises(Problem) as refused:
        moving.set_place(Act(valley.actor, actual), plan=plan.pk, group=b, shelter=valley.low.pk)
    assert "位于危险区内" in refused.value.fields[0]["why"]
    moving.set_place(Act(valley.actor, actual), plan=plan.pk, group=b, shelter=valley.gym.pk, why="教学楼停电")
    version = valley.searched(plan, drain)
    assert {s: n for (g, s), n in valley.table(version).items() if g == "乙村"} == {"体育馆": 90}
    step(valley.actor, actual, plan, "ask")
    with pytest.raises(Problem):
        step(valley.actor, actual, plan, "approve")  # whoever asks does not approve
    step(commander, actual, plan, "approve")
    first = set(Order.objects.of(actual).filter(source=f"sheltering:{plan.pk}", state="issued").values_list("pk", "text"))
    assert any("体育馆" in text and "90" in text for _pk, text in first) and any("甲村" in text and "步行" in text for _pk, text in first)
    plan.refresh_from_db()
    moving.shut(Act(valley.actor, actual), plan=plan.pk, shelter=valley.school.pk, why="进水")
    valley.searched(plan, drain)
    step(valley.actor, actual, plan, "change")
    step(commander, actual, plan, "approve")
    now = dict(Order.objects.of(actual).filter(source=f"sheltering:{plan.pk}").values_list("pk", "state"))
    assert {now[pk] for pk, text in first if "开放中学" in text} == {"withdrawn"} and list(now.values()).count("withdrawn") < len(now)
    step(valley.actor, actual, plan, "withdraw", reason="水退了")
    assert set(Order.objects.of(actual).filter(source=f"sheltering:{plan.pk}").values_list("state", flat=True)) == {"withdrawn"}


def test_an_overfull_shelter_sends_the_rest_elsewhere_with_few_changes(valley, drain, commander, bob, actual):
    plan = valley.plan()
    version = valley.searched(plan, drain)
    sent = valley.table(version)
    to_school = {g: n for (g, s), n in sent.items() if s == "中学"}
    step(valley.actor, actual, plan, "ask")
    step(commander, actual, plan, "approve")
    names = {one["name"]: one["id"] for one in plan.people}
    moving.check_in(Act(bob, actual), plan=plan.pk, shelter=valley.school.pk, counts=[{"group": names["甲村"], "persons": 30}])
    drain()
    assert plan.versions.count() == 1, "as expected: nothing changes"
    moving.check_in(Act(bob, actual), plan=plan.pk, shelter=valley.school.pk, counts=[{"group": "", "persons": 80}])  # eighty nobody had listed
    drain()
    proposed = plan.versions.order_by("-number").first()
    assert proposed.kind == "replan" and "中学" in proposed.note and WorkItem.objects.of(actual).filter(kind="logistics.replan", state="open").exists()
    table = valley.table(proposed)
    kept = sum(n for (_g, s), n in table.items() if s == "中学")
    assert kept <= 10, "120 places, 110 inside"
    moved = sum(to_school.values()) - 30 - kept
    assert sum(n for (_g, s), n in table.items() if s == "体育馆") == sum(n for (_g, s), n in sent.items() if s == "体育馆") + moved and sum(table.values()) == 180
    told = shelters.change_words(proposed.changes)
    assert told and all("体育馆" in one and "中学" in one for one in told), "only what the full shelter had to give up has changed"
    moving.check_in(Act(bob, actual), plan=plan.pk, shelter=valley.school.pk, counts=[{"group": "", "persons": 100}])
    drain()
    over = plan.versions.order_by("-number").first()
    assert valley.table(over)["中学：超出容量", "体育馆"] == 10, "130 are in a school for 120: ten go on"
    with pytest.raises(Problem) as still:
        step(valley.actor, actual, plan, "finish")
    assert "130" in f"{still.value.message} {still.value.fields}"


def test_buses_fetch_who_needs_help_and_a_stopped_search_keeps_what_there_is(valley, drain):
    plan = valley.plan(buses=1)
    version = valley.searched(plan, drain)
    riding = [one for one in version.answer["moves"] if one["bus"]]
    assert sum(one["persons"] for one in riding) == 10 * 3 + 7 * 3 == sum(one["care"] for one in version.answer["moves"]), "with their households of three"
    assert version.answer["numbers"]["walk"] == 210 - 51 and version.answer["numbers"]["trips"] >= 2
    spans = sorted((one["leave"], one["there"]) for one in riding)
    assert all(a[1] <= b[0] + 1e-6 for a, b in zip(spans, spans[1:], strict=False)), "one bus is in one place at a time"
    asked = moving.search(Act(valley.actor, valley.realm), plan=plan.pk)
    actions.stop(Act(valley.actor, valley.realm), search=asked.pk)
    drain()
    plan.refresh_from_db()
    kept = plan.versions.get(number=plan.current)
    assert kept.number == 2 and kept.answer["numbers"]["ride"] == 0 and kept.answer["numbers"]["placed"] == 210 and Search.plain.get(pk=asked.pk).state == "done"


def test_who_needs_help_rides_before_others_as_urgent_and_after_those_more_urgent(valley, drain, monkeypatch):
    """Everybody rides, by one bus: the gym takes those who need help, the school the others, nearer and so sooner at the door."""
    limit = shelters.policy
    monkeypatch.setattr(shelters, "policy", lambda name: 0.0 if name == "walk_min" else limit(name))
    people = [{"id": "far", "name": "远村", "lon": 119.0, "lat": 27.995, "persons": 90, "helpless": 0}, {"id": "home", "name": "敬老院", "lon": 119.0, "lat": 28.0, "persons": 60, "helpless": 60}]

    def order(urgent):
        plan = valley.plan(buses=1)
        moving.set_people(Act(valley.actor, valley.realm), plan=plan.pk, people=[people[0] | {"urgency": urgent}, people[1]])
        version = valley.searched(plan, drain)
        leave = {}
        for one in version.answer["moves"]:
            assert one["bus"]
            leave.setdefault(version.frozen["groups"][one["g"]]["id"], []).append(one["leave"])
        return leave

    alike, urgent = order(1), order(3)
    assert max(alike["home"]) < min(alike["far"]), "at the same urgency those who need help go first"
    assert max(urgent["far"]) < min(urgent["home"]), "but not before those for whom it is more urgent"


def test_the_pages_lead_from_the_area_to_the_door(valley, drain, client, signed_in, commander, charlie, actual):
    desk = signed_in(client, valley.actor)
    given = {"title": "东江转移", "region": str(valley.county.pk), "hazard": "flood", "stay": "short", "weather": "dry", "shape": "polygon", "corners": "118.99 27.99\n119.02 27.99\n119.02 28.005", "fill": "on"}
    assert desk.post("/logistics/sheltering/new", {**given, "corners": "118.99 27.99"}).status_code == 422
    made = desk.post("/logistics/sheltering/new", {**given, "corners": given["corners"] + "\n118.99 28.005"})
    plan = Sheltering.objects.of(actual).get()
    assert made.status_code == 302 and len(plan.people) == 2 and plan.buses is None
    a, b = (str(one.pk) for one in (valley.a, valley.b))
    lines = {f"persons-{a}": "100", f"helpless-{a}": "4", f"urgency-{a}": "3", f"persons-{b}": "90", f"helpless-{b}": "7", f"urgency-{b}": "1", "pasted": "工棚, 119.003, 28.0, 12, 2"}
    assert desk.post(f"/logistics/sheltering/{plan.pk}/people", {**lines, "pasted": "工棚, 119"}).status_code == 422
    desk.post(f"/logistics/sheltering/{plan.pk}/people", {**lines, "search": "1"})
    page = f"/logistics/sheltering/{plan.pk}"
    assert "progress" in desk.get(page).content.decode()
    drain()
    plan.refresh_from_db()
    assert {one["name"]: one["persons"] for one in plan.people} == {"甲村": 100, "乙村": 90, "工棚": 12}
    for by in ("group", "shelter"):
        text = desk.get(f"{page}?by={by}").content.decode()
        assert all(word in text for word in ("甲村", "中学", "低处礼堂", "位于危险区内")), by
    drawn = {layer["id"]: layer for layer in desk.get(f"{page}/map").json()["layers"]}
    assert drawn["flows"]["data"]["features"] and drawn["danger"]["data"]["features"] and len(drawn["people"]["data"]["features"]) == 3
    assert desk.get(f"{page}?xlsx=1").content[:2] == b"PK"
    assert desk.get(f"{page}/group/{b}").status_code == 200 and desk.get(f"{page}/area").status_code == 200
    desk.post(f"{page}/group/{b}", {"shelter": str(valley.gym.pk), "why": "近"})
    drain()
    plan.refresh_from_db()
    step(valley.actor, actual, plan, "ask")
    step(commander, actual, plan, "approve")
    door = f"{page}/counts/{valley.gym.pk}"
    assert "乙村" in desk.get(door).content.decode() and desk.post(door, {f"n-{b}": "x"}).status_code == 422
    assert desk.post(door, {f"n-{b}": "61", "n-others": "2"}).status_code == 302
    assert shelters.arrived(plan) == {(str(valley.gym.pk), b): 61, (str(valley.gym.pk), ""): 2} and "63" in desk.get(f"{page}/counts").content.decode()
    api = desk.get(f"/api/v1/logistics/sheltering/{plan.pk}").json()
    assert api["version"]["numbers"]["placed"] == 202 and {one["group"] for one in api["version"]["moves"]} == {"甲村", "乙村", "工棚"} and api["inside"] == 63
    away = signed_in(client, charlie)
    assert {away.get(page).status_code, away.get(f"{page}/counts").status_code, away.get(f"/api/v1/logistics/sheltering/{plan.pk}").status_code} == {404}
