"""Equipment rates known beforehand, search by ability, call-outs with their clocks, papers that end, experts drawn twice the same, roll calls."""
from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from anlan.kernel import clock, subjects
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as loops
from anlan.kernel.models import Due, Organisation, WorkItem
from anlan.kernel.registers import actions as registers
from anlan.kernel.tests.test_loops_steps import png
from anlan.resources import calls, means, queries, reactions
from anlan.resources.models import CallOut, Compensation, Equipment, Item, Opinion, Requisition, RollCallTry, Team
from anlan.runtime.testing import make_actor, make_post, make_region

pytestmark = pytest.mark.django_db


def today():
    return clock.local(clock.now()).date()


def days(n):
    return (today() + timedelta(days=n)).isoformat()


@pytest.fixture
def enter(alice, actual, county):
    def make(register, **values):
        return registers.create(Act(alice, actual), register=f"resources.{register}", values={"region": str(county.pk), **values})

    return make


@pytest.fixture
def team(enter):
    return enter("team", code="T1", name="甲县综合队", kind="government", hazards=["flood"], readiness="ready", members=5, assemble_min=10, speed_kmh=60, point=[119.2, 28.2])


def step(actor, realm, loop, case, name, **data):
    return loops.step(Act(actor, realm), loop=f"resources.{loop}", case=case.pk, step=name, data=data)


def test_rates_are_recomputed_from_the_raw_rows(enter, alice, team, county):
    office = Organisation.objects.get(name=f"{county.name}应急管理局")
    Organisation.objects.filter(pk=office.pk).update(business_line="emergency", region=county)
    assert means.equipment_rates(alice, today())["q16"][2] is None  # nothing is required: no rate, not 100 %
    for holder, kind, quantity in (("government", "pump", 2), ("government", "satellite", 2), ("government", "video", 1), ("county_office", "satellite", 1)):
        enter("equipment_norm", holder=holder, kind=kind, quantity=quantity)
    sat = [enter("equipment", code=f"S{n}", name="卫星电话", kind="satellite", team=str(team.pk)) for n in range(3)]
    enter("equipment", code="P1", name="泵", kind="pump", amount=5, team=str(team.pk))  # three more than needed cover nothing else
    enter("equipment", code="P2", name="泵", kind="pump", state="repair", team=str(team.pk))
    enter("equipment", code="O1", name="卫星电话", kind="satellite", organisation=str(office.pk))
    found = means.equipment_rates(alice, today())
    assert found["q16"] == (2, 5, 40.0) and found["q14"] == (0, 4, 0.0) and found["q15"] == (0, 2, 0.0)  # gear that was never tested does not count
    enter("test", equipment=str(sat[0].pk), kind="link", done_on=days(-10), passed=True, valid_until=days(0))  # holds through today
    enter("test", equipment=str(sat[1].pk), kind="link", done_on=days(-10), passed=True)
    enter("test", equipment=str(sat[1].pk), kind="link", done_on=days(-1), passed=False)  # the last one counts
    enter("test", equipment=str(sat[2].pk), kind="link", done_on=days(-10), passed=True, valid_until=days(-1))
    found = means.equipment_rates(alice, today())
    assert found["q16"] == (3, 5, 60.0) and found["q14"] == (1, 4, 25.0) and found["q15"] == (1, 2, 50.0)
    assert {(one["kind"], one["short"]) for one in found["missing"] if one["holder"] == team.name} == {("satellite", 1), ("video", 1)}


def test_a_dead_spot_is_a_town_without_gear_that_passed(enter, alice, charlie, county, client, signed_in):
    near, far, none = (make_region(name, "town", county, population=people) for name, people in (("甲镇", 100), ("乙镇", 900), ("丙镇", 300)))
    stands = enter("equipment", code="S1", name="卫星电话", kind="satellite", region=str(near.pk))
    crew = enter("team", code="T2", name="乙镇队", kind="government", hazards=["flood"], readiness="ready", members=5, region=str(far.pk))
    enter("equipment", code="S2", name="卫星电话", kind="satellite", amount=2, team=str(crew.pk))
    enter("equipment", code="P1", name="泵", kind="pump", region=str(none.pk))  # no communication gear

    def spots():
        return [(spot["region"].name, spot["held"]) for spot in means.dead_spots(alice, today())]

    assert spots() == [("乙镇", 2), ("丙镇", 0), ("甲镇", 1)], "what was never tested does not count"
    enter("test", equipment=str(stands.pk), kind="link", done_on=days(-1), passed=True)
    assert spots() == [("乙镇", 2), ("丙镇", 0)]
    assert means.dead_spots(charlie, today()) == [], "towns of another county"
    signed_in(client, alice)
    assert [spot["name"] for spot in client.get("/api/v1/resources/equipment/rates").json()["dead_spots"]] == ["乙镇", "丙镇"]
    assert "丙镇" in client.get(reverse("resources:rates")).content.decode()


def test_a_plate_is_entered_once(enter, team):
    enter("equipment", code="A1", name="泵", kind="pump", maker="澜泵", serial="sn-7")
    for code, serial in (("A1", "other"), ("A2", "SN-7")):
        with pytest.raises(Problem) as refused:
            enter("equipment", code=code, name="泵", kind="pump", maker="澜泵", serial=serial)
        assert refused.value.kind.code == "kernel.invalid"
    assert Equipment.plain.count() == 1


def test_search_by_ability_knows_what_can_be_there_in_time(enter, alice, charlie, team):
    enter("equipment", code="NEAR", name="大泵", kind="pump", ability=800, team=str(team.pk))
    enter("equipment", code="SMALL", name="小泵", kind="pump", ability=200, team=str(team.pk))
    enter("equipment", code="FAR", name="远泵", kind="pump", ability=900, point=[120.9, 28.2])
    enter("equipment", code="BROKEN", name="坏泵", kind="pump", ability=900, state="repair", team=str(team.pk))
    failed = enter("equipment", code="FAILED", name="不合格泵", kind="pump", ability=900, team=str(team.pk))
    enter("test", equipment=str(failed.pk), kind="test", done_on=days(-1), passed=False)
    enter("equipment", code="NOWHERE", name="无位置泵", kind="pump", ability=900)
    found = means.able(alice, kind="pump", least=500, lon=119.3, lat=28.2, within=60, day=today())
    line, = found["rows"]
    km = 6371.0088 * 0.1 * 3.141592653589793 / 180 * 0.8813  # a tenth of a degree along the parallel of 28.2°
    assert line["row"].code == "NEAR" and line["km"] == pytest.approx(km, rel=1e-3) and line["minutes"] == pytest.approx(10 + km * 1.3, rel=1e-3)
    assert found["unplaced"] == 1 and means.able(alice, kind="pump", least=500, lon=119.3, lat=28.2, within=600, day=today())["found"] == 2
    assert means.able(charlie, kind="pump", day=today())["found"] == 0
    near = {part["register"].name: [line["row"].code for line in part["rows"]] for part in means.near(alice, 119.2, 28.2, 5)}
    assert near["resources.team"] == ["T1"] and near["resources.equipment"] == []
    assert [part["total"] for part in means.near(alice, 119.2, 28.2, 5, within=9, registers=["resources.team"])] == [0]  # ten minutes to assemble


def test_a_call_out_runs_by_its_clocks_and_only_fit_members_go(enter, alice, actual, team, county):
    for n in range(3):
        member = enter("member", code=f"M{n}", role="rescuer", team=str(team.pk), name="王强", insured_until=days(30))
        enter("certificate", member=str(member.pk), course="first_aid", passed_on=days(-20))
        enter("certificate", member=str(member.pk), course="rescue", passed_on=days(-200), valid_until=days(0 if n < 2 else -1))
    asked = {"team": str(team.pk), "hazard": "flood", "task": "排涝", "place": "甲一镇", "region": str(county.pk), "point": [119.3, 28.2]}
    with pytest.raises(Problem) as refused:
        loops.open(Act(alice, actual), loop="resources.callout", values={**asked, "hazard": "mine"})
    assert refused.value.kind.code == "kernel.case_not_allowed"
    case = loops.open(Act(alice, actual), loop="resources.callout", values=asked)
    assert case.eta_min == 13 and case.due_at - case.opened_at == timedelta(minutes=10)
    with pytest.raises(Problem):
        loops.open(Act(alice, actual), loop="resources.callout", values=asked)  # out already
    step(alice, actual, "callout", case, "accept")
    for crew, why in (("M0,M2", "M2"), ("M0 X9", "X9"), ("", "")):
        with pytest.raises(Problem) as refused:
            step(alice, actual, "callout", case, "depart", crew=crew, vehicles="1")
        assert why in refused.value.message
    step(alice, actual, "callout", case, "depart", crew="M0、M1", vehicles="1")  # a certificate that ends today still holds
    step(alice, actual, "callout", case, "arrive")
    row = CallOut.plain.get(pk=case.pk)
    assert row.crew_count == 2 and row.due_at - row.state_since == timedelta(minutes=30)
    assert Due.objects.filter(timer="loops.overdue", subject=f"callout:{case.pk}").exists()  # silence about people in danger goes up
    with pytest.raises(Problem):
        step(alice, actual, "callout", case, "account", present="1")
    step(alice, actual, "callout", case, "account", present="2")
    step(alice, actual, "callout", case, "release", result="排涝完成")
    assert not means.out(actual).exists() and not Compensation.plain.exists()  # the government's own team is not paid


def test_the_use_of_a_social_team_is_paid_by_the_rates(enter, alice, actual, county):
    social = enter("team", code="S1", name="同舟队", kind="social", hazards=["water"], readiness="ready", members=3, grade="2", grade_evidence="测评")
    member = enter("member", code="V1", role="volunteer", team=str(social.pk))
    asked = {"team": str(social.pk), "hazard": "water", "task": "搜救", "place": "江边", "region": str(county.pk)}
    with pytest.raises(Problem):
        loops.open(Act(alice, actual), loop="resources.callout", values={**asked, "grade": "1"})
    case = loops.open(Act(alice, actual), loop="resources.callout", values={**asked, "grade": "2"})
    for name, data in (("accept", {}), ("depart", {"crew": member.code, "vehicles": "2"}), ("arrive", {}), ("release", {"result": "完"})):
        step(alice, actual, "callout", case, name, **data)
    paid = Compensation.plain.get()
    assert (paid.hours, paid.amount_yuan) == (4, Decimal("1120.00"))  # at least four hours: 4 × (1 × 40 + 2 × 120)


def test_training_counts_and_names_who_runs_out(enter, alice):
    for n, passed in enumerate((-5, -5, None)):
        row = enter("member", code=f"I{n}", role="information")
        if passed:
            enter("certificate", member=str(row.pk), course="information", passed_on=days(passed), valid_until=days(0 if n else 300))
    found = means.training(alice, today())
    assert found["q20"] == (2, 3, pytest.approx(200 / 3)) and found["roles"][0]["fit"] == 2
    assert [one["member"].code for one in found["expiring"]] == ["I1"]
    assert means.training(alice, today() + timedelta(days=1))["roles"][0]["fit"] == 1


def test_experts_are_drawn_without_the_concerned_and_twice_the_same(enter, alice, actual, county):
    for n in range(6):
        enter("expert", code=f"E{n}", fields=["geology"], employer="甲县某矿" if n == 0 else f"单位{n}", available=n != 1, recusal="乙公司" if n == 2 else "")
    row = calls.draw(Act(alice, actual), field="geology", count=3, about="甲县某矿边坡", reason="会商", parties=["甲县某矿", "乙公司"], region=county.pk, seed="5eed")
    assert row.pool == ["E3", "E4", "E5"] and {code for code, _why in row.left_out} == {"E0", "E1", "E2"}
    assert row.chosen == calls.order_of(row.pool, "5eed")[:3] and Opinion.plain.count() == 3
    with pytest.raises(Problem) as refused:
        calls.draw(Act(alice, actual), field="geology", count=4, about="x", reason="y", parties=["甲县某矿", "乙公司"], region=county.pk)
    assert refused.value.kind.code == "resources.no_expert"
    case = Opinion.plain.first()
    assert step(alice, actual, "opinion", case, "give", opinion="立即撤离坡脚人员").state == "given"
    assert Opinion.plain.get(pk=case.pk).signature.startswith("sha256:")


def test_one_late_site_fails_the_thirty_minutes(enter, alice, actual, county):
    sites = [enter("site", code=f"P{n}", name=f"点位{n}", channels=["video", "satellite"]) for n in range(4)]
    roll = calls.start_roll(Act(alice, actual), title="月度点名", region=county.pk)

    def call(site, channel, result, minutes, quality=""):
        return calls.note_try(Act(alice, actual, occurred_at=roll.started_at + timedelta(minutes=minutes)), roll=roll.pk, site=site.pk, channel=channel, result=result, quality=quality)

    type(roll).plain.filter(pk=roll.pk).update(started_at=roll.started_at - timedelta(hours=1))
    roll.refresh_from_db()
    call(sites[0], "video", "connected", 1, "good")
    with pytest.raises(Problem) as refused:
        call(sites[1], "satellite", "connected", 2)
    assert refused.value.kind.code == "resources.channel_order"
    call(sites[1], "video", "failed", 2)
    call(sites[1], "satellite", "connected", 30, "poor")
    call(sites[2], "video", "connected", 31, "good")
    found = means.roll_rates(roll)
    assert (found["q17"], found["q18"], found["q19"]) == ((3, 4, 75.0), (2, 4, 50.0), (2, 4, 50.0))
    assert [line["next"] for line in found["lines"]] == [None, None, None, "video"]
    calls.end_roll(Act(alice, actual), roll=roll.pk)
    with pytest.raises(Problem):
        call(sites[3], "video", "connected", 40)


@pytest.fixture
def far(county):
    return make_region("甲二镇", "town", county, (119.2, 28.2, 0.1))


def test_the_platform_calls_where_its_turn_is_and_notes_what_comes_of_it(town, far, enter, alice, actual, machine, county, client, signed_in):
    keeper = make_actor("keeper", make_post("镇值班员", town, kind="town_duty", capabilities=["resources.read"]))
    first = enter("site", code="P1", name="镇点位", channels=["app", "landline"], region=str(town.pk), duty_phone="621000")
    later = enter("site", code="P2", name="县点位", channels=["radio", "app", "landline"])
    nobody = enter("site", code="P3", name="无人点位", channels=["app", "landline"], region=str(far.pk))
    roll = calls.start_roll(Act(alice, actual), title="点名", region=county.pk)

    def log(site):
        return [(one.channel, one.result, one.person) for one in RollCallTry.plain.filter(roll=roll, site=site).order_by("seq")]

    waiting = WorkItem.plain.filter(kind="roll_call", state="open")
    assert [(item.post.name, item.level) for item in waiting] == [("镇值班员", "red")] and log(nobody) == [("app", "failed", None)]
    page = reverse("resources:roll_answer", args=[roll.pk, first.pk])
    assert subjects.url(waiting.get().subject) == page
    with pytest.raises(Problem):
        calls.answer_roll(Act(alice, actual), roll=roll.pk, site=first.pk)  # it waits for another post
    signed_in(client, keeper)
    assert client.get(page).status_code == 200 and client.post(page, {"quality": "poor"}).status_code == 302
    assert log(first) == [("app", "connected", keeper.person_id)] and client.get(page).status_code == 404 and not Due.objects.filter(timer="resources.roll_silence").exists()
    calls.note_try(Act(alice, actual), roll=roll.pk, site=later.pk, channel="radio", result="no_answer")
    armed = Due.objects.get(timer="resources.roll_silence")
    assert waiting.get().post.name == "值班员" and armed.due_at == waiting.get().due_at
    reactions.on_roll_silence(Act(machine, actual), armed.subject, {})
    assert log(later) == [("radio", "no_answer", alice.person_id), ("app", "no_answer", None)] and not waiting.all()
    found = {line["site"].code: (line["next"], line["number"], line["own"]) for line in means.roll_rates(roll)["lines"]}
    assert found == {"P1": (None, "", False), "P2": ("landline", "", False), "P3": ("landline", "", False)}
    again = calls.start_roll(Act(alice, actual), title="再点", region=county.pk, sites=[str(first.pk)])
    calls.end_roll(Act(alice, actual), roll=again.pk)
    assert not waiting.all() and not Due.objects.filter(timer="resources.roll_silence").exists()


def test_a_survey_closes_when_every_entry_was_checked(enter, alice, actual, county, team):
    asked = {"title": "队伍核查", "register": "resources.team", "due_on": days(7), "region": str(county.pk)}
    Team.plain.update(verified_at=clock.now() - timedelta(days=400))
    case = loops.open(Act(alice, actual), loop="resources.survey", values=asked)
    with pytest.raises(Problem) as refused:
        step(alice, actual, "survey", case, "close")
    assert "1" in refused.value.message
    registers.verify(Act(alice, actual), register="resources.team", row=team.pk)
    assert step(alice, actual, "survey", case, "close").state == "done"


def test_pages_and_api(enter, alice, charlie, actual, county, team, client, signed_in):
    site = enter("site", code="P1", name="点位", channels=["video"])
    roll = calls.start_roll(Act(alice, actual), title="点名", region=county.pk)
    enter("expert", code="E1", fields=["geology"])
    pump = enter("equipment", code="PUMP", name="泵", kind="pump", ability=600, team=str(team.pk))
    signed_in(client, alice)
    for name in ("rates", "training", "draw", "rolls", "search", "near"):
        assert client.get(reverse(f"resources:{name}")).status_code == 200, name
    assert pump.code in client.get(reverse("resources:search"), {"kind": "pump", "least": 500, "lon": 119.25, "lat": 28.2, "within": 60}).content.decode()
    assert team.name in client.get(reverse("resources:near"), {"lon": 119.2, "lat": 28.2, "km": 3}).content.decode()
    assert client.post(reverse("resources:roll_try", args=[roll.pk]), {"site": str(site.pk), "channel": "video", "result": "connected:good"}).status_code == 302
    assert "100.0" in client.get(reverse("resources:roll", args=[roll.pk])).content.decode()
    answer = client.post(reverse("resources:draw"), {"field": "geology", "count": 1, "about": "滑坡", "reason": "会商"})
    assert answer.status_code == 302 and client.get(answer["Location"]).status_code == 200
    assert client.get("/api/v1/resources/equipment/able", {"kind": "pump", "least": 500}).json()["rows"][0]["code"] == "PUMP"
    assert client.get("/api/v1/resources/equipment/rates").json()["q16"]["percent"] is None
    item, store = enter("item", code="W", name="水", unit="piece"), enter("warehouse", code="CK", name="库", layer="county")
    line = {"warehouse": str(store.pk), "lines": [{"item": str(item.pk), "quantity": "3"}], "party": "镇"}
    assert client.post("/api/v1/resources/stock/receive", line, content_type="application/json").status_code == 200
    refused = client.post("/api/v1/resources/stock/issue", {**line, "lines": [{"item": str(item.pk), "quantity": "4"}]}, content_type="application/json")
    assert refused.status_code == 409 and refused.json()["error"]["code"] == "resources.not_enough"
    assert client.post("/api/v1/resources/stock/issue", line, content_type="application/json").json()["lines"][0]["quantity"] == "3.000"
    assert [client.get(f"/api/v1/resources/{path}").status_code for path in ("stock", "movements", "supplies/layers", "supplies/below-minimum")] == [200] * 4
    assert len(client.get("/api/v1/resources/near?lon=119.2&lat=28.2&km=5").json()) == 8
    signed_in(client, charlie)
    assert client.get("/api/v1/resources/stock").json()["rows"] == [] and client.get(reverse("resources:roll", args=[roll.pk])).status_code == 404


def test_who_was_out_long_rests_before_being_sent_again(enter, alice, actual, team, county):
    for n in range(2):
        member = enter("member", code=f"M{n}", role="driver", team=str(team.pk))
        enter("certificate", member=str(member.pk), course="driving", passed_on=days(-20))
    now = clock.now()
    asked = {"team": str(team.pk), "hazard": "flood", "task": "排涝", "place": "甲一镇", "region": str(county.pk)}
    case = loops.open(Act(alice, actual), loop="resources.callout", values=asked)
    for name, data in (("accept", {}), ("depart", {"crew": "M0", "vehicles": "1"}), ("arrive", {}), ("call_arrived", {"channel": "satellite", "reached": "队长", "outcome": "connected", "quality": "poor"})):
        step(alice, actual, "callout", case, name, **data)
    with pytest.raises(Problem):
        step(alice, actual, "callout", case, "miss", present="1", who="无人")
    step(alice, actual, "callout", case, "miss", present="0", who="M0，最后在堤上")
    row = CallOut.plain.get(pk=case.pk)
    assert row.due_at - row.state_since == timedelta(minutes=5)
    with pytest.raises(Problem):
        step(alice, actual, "callout", case, "release", result="完")  # nobody is released while somebody is missing
    step(alice, actual, "callout", case, "account", present="1")
    step(alice, actual, "callout", case, "release", result="完")
    assert means.resting(actual, now) == {}  # a short one
    CallOut.plain.filter(pk=case.pk).update(departed_at=now - timedelta(hours=9), closed_at=now - timedelta(hours=1))
    assert means.resting(actual, now) == {team.pk: now + timedelta(hours=7)} and means.tired(actual, team.pk, now) == {"M0": now + timedelta(hours=7)}
    found = queries.board(alice, today(), actual)
    assert found["usable"] == 0 and found["rest"] == [(team, now + timedelta(hours=7))]
    with pytest.raises(Problem) as refused:
        loops.open(Act(alice, actual), loop="resources.callout", values=asked)
    assert "休整" in refused.value.message or "rests" in refused.value.message
    CallOut.plain.filter(pk=case.pk).update(departed_at=now - timedelta(hours=19), closed_at=now - timedelta(hours=9))
    enter("shift", team=str(team.pk), starts_at=(now - timedelta(hours=12)).isoformat(), ends_at=(now - timedelta(hours=2)).isoformat(), crew="M1")
    case = loops.open(Act(alice, actual), loop="resources.callout", values=asked)
    step(alice, actual, "callout", case, "accept")
    with pytest.raises(Problem) as refused:
        step(alice, actual, "callout", case, "depart", crew="M0 M1", vehicles="1")
    assert "M1" in refused.value.message and "M0" not in refused.value.message
    step(alice, actual, "callout", case, "depart", crew="M0", vehicles="1")
    assert means.twice(now, [team.pk]) == []
    one, two, three = (enter("shift", team=str(team.pk), starts_at=(now + timedelta(hours=start)).isoformat(), ends_at=(now + timedelta(hours=end)).isoformat(), crew=crew) for start, end, crew in ((1, 9, "M0、M1"), (9, 17, "M1"), (8, 12, "M0")))
    assert means.twice(now, [team.pk]) == [("M0", one, three)] and queries.board(alice, today(), actual)["twice"] == [("M0", one, three)]  # M1 takes over from himself: long, but not twice at once
    for start, end in ((now, now), (now, now + timedelta(hours=25))):
        with pytest.raises(Problem):
            enter("shift", team=str(team.pk), starts_at=start.isoformat(), ends_at=end.isoformat(), crew="M1")


def test_what_is_requisitioned_is_paid_by_the_rates(enter, alice, actual, county):
    given = {"title": "征用挖掘机", "kind": "excavator", "what": "履带挖掘机", "quantity": "2", "owner": "某机械公司", "decision": "征〔2026〕1号", "purpose": "抢通道路", "region": str(county.pk)}
    with pytest.raises(Problem):
        loops.open(Act(alice, actual), loop="resources.requisition", values={**given, "quantity": "-2"})
    case = loops.open(Act(alice, actual), loop="resources.requisition", values=given)
    with pytest.raises(Problem):
        step(alice, actual, "requisition", case, "take", found="完好")  # a photograph says how it was
    shown = str(loops.hold(Act(alice, actual), loop="resources.requisition", case=case.pk, name="接收.png", content=png()).pk)
    loops.step(Act(alice, actual), loop="resources.requisition", case=case.pk, step="take", data={"found": "完好"}, files=[shown])
    Requisition.plain.filter(pk=case.pk).update(handed_over_at=clock.now() - timedelta(hours=2, minutes=10))
    step(alice, actual, "requisition", case, "return", condition="完好，油箱空", damage_yuan="300")
    paid = Compensation.plain.get()
    assert (paid.amount_yuan, paid.payee, paid.requisition_id) == (Decimal("1860.00"), "某机械公司", case.pk)  # 2 × 3 begun hours × 260 + 300


def test_a_county_s_post_works_with_the_common_catalogue(alice, charlie, actual, county):
    common = registers.create(Act(Actor.machine("test"), actual), register="resources.item", values={"code": "COMMON", "name": "编织袋", "unit": "piece"})
    assert [row.pk for row in Item.objects.seen_by(alice)] == [common.pk] == [row.pk for row in Item.objects.seen_by(charlie)]
    with pytest.raises(Problem):  # seen and used by everybody, changed by whom it belongs to
        registers.change(Act(alice, actual), register="resources.item", row=common.pk, changes={"name": "麻袋"})
