"""A drill from the year's plan to its findings: who sees what before, what is told when, what is measured, and what closes a finding."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from anlan.command import actions, drills
from anlan.command.models import Drill, DrillReport, Finding, Inject
from anlan.kernel import clock, orders, realms
from anlan.kernel.actions import action
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as cases
from anlan.kernel.loops import queries as case_queries
from anlan.kernel.models import Order, Realm, WorkItem
from anlan.kernel.registers import actions as registers
from anlan.kernel.shell import post_name
from anlan.plans import actions as plans
from anlan.plans.models import ResponseProposal
from anlan.plans.tests.builders import batch, changed_pack, reading
from anlan.plans.tests.test_lives import in_force
from anlan.resources.tests import builders as goods
from anlan.runtime.testing import make_actor, make_post

from .builders import act, adopted, rise

pytestmark = pytest.mark.django_db
SECRET, KEY = "上游管涌密件", "hengyang-flood-2023"


@pytest.fixture
def observer(county):
    return make_actor("观察员甲", make_post("观察员", county, capabilities=["command.read", "command.drill"]))


@pytest.fixture
def plan(actual, county, duty_post, commander_post):
    return adopted(actual, county, duty_post, commander_post)


@pytest.fixture
def drill(actual, commander, county, plan):
    return cases.open(act(commander, actual), loop="command.drill", values={"title": "年度双盲演练", "year": 2026, "form": "blind", "breadth": "comprehensive", "region": str(county.pk)})


def script(commander, observer, alice, **more):
    return {
        "plan_key": KEY, "clock_at": "2024-06-20T08:00+08:00", "rate": 0, "note": "synthetic",
        "parts": {"controller": [str(make_controller(commander))], "player": [str(alice.post_id)], "observer": [str(observer.post_id)]},
        "injects": [
            {"after_min": 5, "kind": "message", "to": str(alice.post_id), "text": SECRET, "answer_min": 10}, {"after_min": 20, "kind": "fact", "term": "works_hazard", "place": "全市", "value": "none", "text": "巡查无险情"},
            {"after_min": 30, "kind": "report", "text": "低洼小区进水"},
        ],
        "expects": [{"level": "IV", "by_min": 30}, {"level": "III", "by_min": 60}], "criteria": [{"code": "c1", "text": "会商记录完整", "weight": 2}, {"code": "c2", "text": "信息报送规范"}], **more,
    }


def make_controller(commander):
    return commander.post_id


def step(who, realm, case, name, **data):
    return cases.step(act(who, realm), loop=case.loop, case=case.pk, step=name, data=data)


def test_a_double_blind_drill_tells_neither_when_nor_what(actual, commander, county, plan):
    for given in ({"month": 6}, {"plan_key": KEY}):
        with pytest.raises(Problem) as caught:
            cases.open(act(commander, actual), loop="command.drill", values={"title": "双盲", "year": 2026, "form": "blind", "region": str(county.pk), **given})
        assert caught.value.kind.code == "kernel.case_not_allowed"


def test_a_script_that_cannot_be_played_names_every_line(actual, commander, observer, alice, drill):
    bad = script(commander, observer, alice, rate=-1, plan_key="none")
    bad["parts"]["observer"] = [str(alice.post_id)]
    bad["injects"] = [{"after_min": -1, "kind": "message", "to": "x", "text": ""}, {"kind": "magic"}, {"after_min": 1, "kind": "warning", "hazard": "11B03", "colour": "pink"}]
    with pytest.raises(Problem) as caught:
        drills.save_script(act(commander, actual), drill=drill.pk, script=bad)
    assert {row["field"] for row in caught.value.fields} == {"rate", "plan_key", "parts", "injects.1", "injects.2", "injects.3"}
    with pytest.raises(Problem) as caught:
        step(commander, actual, drill, "prepare")
    assert caught.value.kind.code == "kernel.case_not_allowed"


def test_a_player_sees_nothing_before_it_is_told(actual, commander, observer, alice, drill, client, signed_in):
    drills.save_script(act(commander, actual), drill=drill.pk, script=script(commander, observer, alice, begins_at=(actual.time() + timedelta(minutes=30)).isoformat()))
    step(commander, actual, drill, "prepare")
    assert drills.may_see_script(commander, drill, drills.script_of(drill)) and drills.may_see_script(observer, drill, drills.script_of(drill))
    assert not drills.may_see_script(alice, drill, drills.script_of(drill))
    web = signed_in(client, alice)
    begins = drills.script_of(drill).begins_at
    for path, data in (
        (reverse("kernel:case", args=[drill.pk]), {}), ("/command/drills", {"year": 2026}), (reverse("kernel:loop", args=["command.drill"]), {}), ("/search", {"q": "管涌"}), ("/journal", {}), ("/", {}),
        (f"/api/v1/loops/command.drill/cases/{drill.pk}", {}), (f"/api/v1/loops/command.drill/cases/{drill.pk}/timeline", {}), ("/api/v1/loops/command.drill/cases", {}),
    ):
        page = web.get(path, data)
        text = page.content.decode()
        assert page.status_code == 200 and SECRET not in text and begins.isoformat()[:16] not in text and f"{clock.local(begins):%m-%d %H:%M}" not in text, path
        assert KEY not in text or path == "/command/drills", path
    assert web.get(f"/command/drills/{drill.pk}/script").status_code == 403
    with pytest.raises(Problem):
        drills.save_script(act(alice, actual), drill=drill.pk, script={})


def test_the_whole_drill(actual, commander, observer, alice, bob, county, duty_post, plan, drill, drain, client, signed_in):
    gauge = plan[1]["hengshan"]
    life = in_force(alice, bob, actual, county)
    drills.save_script(act(commander, actual), drill=drill.pk, script=script(commander, observer, alice))
    step(commander, actual, drill, "prepare")
    step(commander, actual, drill, "begin")
    drill.refresh_from_db()
    exercise = drill.exercise
    assert exercise.kind == "exercise" and exercise.clock == "manual" and drill.plan_key == KEY

    def to(minutes):
        realms.advance(exercise, exercise.now_at + timedelta(minutes=minutes), lambda _realm: drain())

    to(4)
    assert not Inject.objects.of(exercise).exclude(told_at=None).exists() and not WorkItem.plain.filter(realm=exercise, kind="command.inject").exists()
    to(2)
    inject = Inject.objects.of(exercise).get(post=duty_post)
    assert (inject.told_at - (exercise.now_at - timedelta(minutes=6))) == timedelta(minutes=5) and WorkItem.plain.filter(realm=exercise, kind="command.inject", post=duty_post).count() == 1
    to(4)
    drills.heard(act(alice, exercise), inject=inject.pk)
    reading(exercise, gauge, 49.2, exercise.now_at)
    batch(exercise, exercise.now_at)
    drain()
    proposal = ResponseProposal.objects.of(exercise).get(state="open")
    to(8)
    actions.approve_proposal(act(commander, exercise), proposal=proposal.pk)
    given = list(Order.plain.filter(realm=exercise).order_by("issued_at", "id"))
    assert given
    to(5)
    orders.accept(act(alice, exercise), order=given[0].pk)
    to(40)
    # Observers score; a player may not, and nobody scores what is not asked.
    with pytest.raises(Problem):
        drills.score(act(alice, actual), drill=drill.pk, scores={"c1": {"score": 5}})
    with pytest.raises(Problem):
        drills.score(act(observer, actual), drill=drill.pk, scores={"c1": {"score": 6}})
    step(commander, actual, drill, "stop")
    assert Realm.objects.get(pk=exercise.pk).is_over
    drills.score(act(observer, actual), drill=drill.pk, scores={"c1": {"score": 4}})
    with pytest.raises(Problem) as caught:
        step(commander, actual, drill, "evaluate", conclusion="x")
    assert caught.value.kind.code == "kernel.case_not_allowed"
    drills.score(act(observer, actual), drill=drill.pk, scores={"c2": {"score": 2, "remark": "续报迟缓"}})
    step(commander, actual, drill, "evaluate", conclusion="总体有序，接令偏慢")
    body = DrillReport.objects.of(actual).get(drill=drill).body
    assert [(row["level"], row["min"], row["late"]) for row in body["levels"]] == [("IV", 18.0, False), ("III", None, True)]
    steps = {}
    for row in body["steps"]:
        steps.setdefault(row["step"], []).append((row["minutes"], row["limit"], row["late"]))
    assert steps["proposal_to_decision"] == [(8.0, 30.0, False)] and steps["message_to_read"] == [(5.0, 10.0, False)]
    accepted = [row for row in steps["order_to_accept"] if not row[2]]
    assert accepted == [(5.0, 15.0, False)] and len(steps["order_to_accept"]) == len(given)
    # By hand: 1 decision, 1 message, 1 acceptance, decision to order and 1 level in time, of those judged; observers (4×2 + 2×1) / (5×3).
    judged = sum(limit is not None for rows in steps.values() for _took, limit, _late in rows) + 2
    on_time = sum(limit is not None and not late for rows in steps.values() for _took, limit, late in rows) + 1
    assert (body["on_time"], body["judged"]) == (on_time, judged) and body["total"] == round(100 * (0.6 * on_time / judged + 0.4 * 10 / 15), 1)
    assert "IV-3" in body["touched"]["conditions_met"] and len(body["touched"]["actions_ordered"]) == 15 and len(body["touched"]["actions_ordered"]) + len(body["touched"]["actions_never"]) == 83
    never = next(row for row in drills.never_drilled(actual) if row["binding"].plan.key == KEY)
    assert never["last"] is not None and {item.key for item in never["actions"]} == set(body["touched"]["actions_never"])
    web = signed_in(client, commander)
    page = web.get(f"/command/drills/{drill.pk}/report").content.decode()
    assert str(body["total"]) in page and "续报迟缓" in page
    assert SECRET in web.get(reverse("kernel:case", args=[drill.pk])).content.decode()

    # What was found sends the plan back to its makers.
    assert body["findings"] > 0
    drain()
    life.refresh_from_db()
    assert (life.state, life.trigger) == ("revising", "drill")

    # Each finding closes only when what it names has changed.
    finding = Finding.objects.of(actual).get(concerns="plan")
    with pytest.raises(Problem) as caught:
        step(commander, actual, finding, "close")
    assert caught.value.kind.code == "kernel.case_not_allowed"
    plans.add_version(act(commander, actual), text=changed_pack("hengyang_flood_2023", lambda data: data["levels"][2].update(answer_within_min=15)))
    step(commander, actual, finding, "close")
    finding.refresh_from_db()
    assert finding.state == "closed" and finding.proof.startswith("plans.PlanVersionAdded")
    low = Finding.objects.of(actual).get(title__contains="信息报送")
    with pytest.raises(Problem):
        step(commander, actual, low, "name", concerns="duty", target="没有这个岗位")
    step(commander, actual, low, "name", concerns="duty", target=duty_post.name)
    with pytest.raises(Problem):
        step(commander, actual, low, "close")
    from anlan.kernel import shift

    at = actual.time()
    shift.save_duty(act(commander, actual), post=duty_post.pk, person=alice.person_id, role="A", starts_at=at, ends_at=at + timedelta(hours=8))
    step(commander, actual, low, "close")
    low.refresh_from_db()
    assert low.state == "closed"


@action("test.find")
def find(act, *, title, region, concerned):
    return cases.follow(act.child(step="open"), loop="command.finding", values={"title": title, "text": "演练中发现", "concerns": "", "target": "", "region": region, "concerned": str(concerned)})


def still_open(alice, realm, finding):
    with pytest.raises(Problem) as caught:
        step(alice, realm, finding, "close")
    assert caught.value.kind.code == "kernel.case_not_allowed"


def test_findings_that_name_stock_or_training_close_when_goods_move_and_a_certificate_is_entered(actual, alice, county, client, signed_in):
    place, other, pumps = goods.warehouse(alice, actual, county), goods.warehouse(alice, actual, county), goods.item(alice, actual)
    member = registers.create(act(alice, actual), register="resources.member", values={"code": "RY-1", "role": "keeper", "region": str(county.pk)})
    goods.receive(alice, actual, place, pumps, 10)
    store, catalogue, trained = (find(act(alice, actual), title=title, region=county.pk, concerned=alice.post_id) for title in ("水泵不足", "水泵型号不符", "不会架设水泵"))
    step(alice, actual, store, "name", concerns="stock", target=place.name)
    step(alice, actual, catalogue, "name", concerns="stock", target=pumps.name)
    step(alice, actual, trained, "name", concerns="training", target="RY-1")
    # Goods elsewhere, another person's certificate and a mere look at the entry change nothing.
    goods.receive(alice, actual, other, goods.item(alice, actual), 5)
    second = registers.create(act(alice, actual), register="resources.member", values={"code": "RY-2", "role": "keeper", "region": str(county.pk)})
    registers.create(act(alice, actual), register="resources.certificate", values={"member": str(second.pk), "course": "stock", "passed_on": "2026-05-01", "region": str(county.pk)})
    for finding in (store, catalogue, trained):
        still_open(alice, actual, finding)
    goods.receive(alice, actual, place, pumps, 5)
    registers.create(act(alice, actual), register="resources.certificate", values={"member": str(member.pk), "course": "stock", "passed_on": "2026-05-01", "region": str(county.pk)})
    web = signed_in(client, alice)
    for finding, by in ((store, "resources.StockMoved"), (catalogue, "resources.StockMoved"), (trained, "kernel.RegisterRowChanged")):
        assert web.get(reverse("kernel:case", args=[finding.pk])).status_code == 200
        step(alice, actual, finding, "close")
        finding.refresh_from_db()
        assert finding.state == "closed" and finding.proof.startswith(by)


def test_a_plan_used_in_an_event_goes_back_to_its_makers(actual, commander, alice, bob, county, plan, drain):
    life = in_force(alice, bob, actual, county)
    response = actions.approve_proposal(act(commander, actual), proposal=rise(actual, plan[1], {"hengshan": 49.2}).pk)
    drain()
    life.refresh_from_db()
    assert life.state == "in_force"  # it still applies while it is used
    actions.end_response(act(commander, actual), response=response.pk, reason="水位已退", still_met=["IV-3"])
    drain()
    life.refresh_from_db()
    assert (life.state, life.trigger) == ("revising", "event")


def test_a_drill_is_planned_scripted_and_scored_on_its_pages(actual, commander, observer, alice, county, plan, client, signed_in):
    web = signed_in(client, commander)
    page = web.post("/command/drills/new", {"title": "桌面推演", "region": str(county.pk), "year": "2026", "form": "tabletop", "breadth": "special", "month": "6", "plan_key": KEY})
    assert page.status_code == 302
    key = page.url.rsplit("/", 1)[-1]
    import yaml

    assert web.post(f"/command/drills/{key}/script", {"script": "injects: ["}).status_code == 422
    assert web.post(f"/command/drills/{key}/script", {"script": yaml.safe_dump(script(commander, observer, alice))}).status_code == 302
    shown = web.get(f"/command/drills/{key}/script")
    text = shown.context["form"].initial["script"]
    # Posts stand in it by their names, and go back to keys.
    assert SECRET in shown.content.decode() and post_name(alice.post_id) in text and str(alice.post_id) not in text
    assert web.post(f"/command/drills/{key}/script", {"script": text}).status_code == 302
    kept = drills.script_of(Drill.plain.get(pk=key))
    assert kept.parts["player"] == [str(alice.post_id)] and kept.injects[0]["to"] == str(alice.post_id)
    assert "nobody" in web.post(f"/command/drills/{key}/script", {"script": text.replace(post_name(alice.post_id), "nobody")}).content.decode()
    # From an exercise its page says where it is kept.
    other = realms.start(act(commander, actual), kind="exercise", name="另一演练")
    with pytest.raises(Problem) as caught:
        case_queries.find(commander, other, kept.drill_id)
    assert caught.value.kind.code == "kernel.wrong_realm"
    with pytest.raises(Problem) as caught:
        case_queries.find(commander, other, actual.pk)
    assert caught.value.kind.code == "kernel.not_found"
    listed = web.get("/command/drills", {"year": "2026", "plan": KEY}).content.decode()
    assert "桌面推演" in listed and "衡阳市防汛抗旱应急预案" in listed and "83" in listed
