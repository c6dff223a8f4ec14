"""A plan's document goes through its stages; what opens its revision; gaps of the matrix; cards and the contact tree."""
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import translation

from anlan.kernel import parties
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import WorkItem
from anlan.plans import actions, lives
from anlan.plans.models import Life, Plan

from .builders import act, adopt_hengyang, changed_pack, machine
from .test_adoption import KEY

pytestmark = pytest.mark.django_db
TODAY = datetime.now(UTC).date()
NEXT = (TODAY + timedelta(days=700)).isoformat()


def start(who, realm, region, **more):
    return cases.open(act(who, realm), loop="plans.life", values={"title": "甲县防汛预案", "kind": "special", "hazard": "flood", "region": str(region.pk), "plan_key": KEY, **more})


def step(who, case, name, **data):
    cases.step(act(who, case.realm), loop="plans.life", case=case.pk, step=name, data=data)
    case.refresh_from_db()
    return case


def in_force(alice, bob, realm, region, **more):
    case = start(alice, realm, region, **more)
    step(bob, case, "review", finding="可行")
    step(alice, case, "publish", paper_no="甲政办发〔2026〕1号", published_on="2026-01-05")
    step(alice, case, "file", filed_with="市应急管理局")
    return step(alice, case, "enter", valid_until=NEXT)


def test_six_stages_in_order_and_the_review_is_anothers(actual, alice, bob, county):
    case = start(alice, actual, county)
    with pytest.raises(Problem) as caught:
        step(alice, case, "review", finding="自评")
    assert caught.value.kind.code == "kernel.case_same_person"
    for wrong in ("publish", "file", "enter", "revise"):
        with pytest.raises(Problem):
            step(bob, case, wrong)
    case = in_force(alice, bob, actual, county)
    assert case.state == "in_force" and case.due_at.date() >= date.fromisoformat(NEXT) - timedelta(days=1) and Plan.objects.get(key=KEY).region_id == county.pk
    step(alice, case, "revise", trigger="risk", reason="新建水库")
    with pytest.raises(Problem):
        step(alice, case, "keep", finding="看过", valid_until="2020-01-01")
    assert step(alice, case, "keep", finding="看过，不改", valid_until=NEXT).state == "in_force"
    with pytest.raises(Problem) as caught:
        start(alice, actual, county, kind="manual")
    assert caught.value.kind.code == "kernel.case_not_allowed"


def test_a_changed_post_sends_its_plan_back_and_a_law_every_plan_that_names_it(actual, alice, bob, county, duty_post, drain):
    adopt_hengyang(actual, machine(), county, duty_post, posts={"office": [str(duty_post.pk)]})
    case = in_force(alice, bob, actual, county)
    drain()
    parties.save_post(act(alice, actual), key=duty_post.pk, name="防汛值班室", organisation=duty_post.organisation_id, kind=duty_post.kind, region=duty_post.region_id, superior=duty_post.superior_id)
    drain()
    case.refresh_from_db()
    assert (case.state, case.trigger) == ("revising", "organisation")
    step(alice, case, "keep", finding="仅更名", valid_until=NEXT)
    actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", lambda data: data["clauses"]["5.4.1(1)"]["text"].update(zh="依据《某某防洪条例》，3个以上县市区发布暴雨红色预警。")))
    assert {"law": "某某防洪条例", "plans": 1} in lives.named_laws()
    assert [plan.key for plan in lives.citing("《某某防洪条例》")] == [KEY] and lives.citing("《不存在的法》") == []
    assert lives.law_changed(act(alice, actual), law="《某某防洪条例》", reason="修订第三条") == 1
    case.refresh_from_db()
    assert (case.state, case.trigger) == ("revising", "law")


def test_the_matrix_shows_what_is_missing_and_what_has_run_out(actual, alice, bob, city, county, county2, duty_post):
    case = in_force(alice, bob, actual, county)
    found = lives.matrix(actual, city)
    cell = {(row["kind"], place.pk): cell["state"] for row in found["rows"] for place, cell in zip(found["places"], row["cells"], strict=True)}
    assert cell["flood", county.pk] == "valid" and cell["flood", county2.pk] == "gap" and cell["general", city.pk] == "gap" and cell["typhoon", county.pk] == ""
    adopt_hengyang(actual, machine(), county2, duty_post)
    found = lives.matrix(actual, city)
    assert any(cell["state"] == "unfiled" for row in found["rows"] if row["kind"] == "flood" for cell in row["cells"])
    before = found["gaps"]
    Life.plain.filter(pk=case.pk).update(valid_until=TODAY - timedelta(days=2))
    assert lives.matrix(actual, city)["gaps"] == before + 1


def test_cards_and_the_contact_tree(actual, alice, county, duty_post, commander_post, client, signed_in):
    binding = adopt_hengyang(actual, machine(), county, duty_post, posts={"commander": [str(commander_post.pk)], "water": [str(duty_post.pk)]})
    cards = {card["role"]: card for card in lives.cards(binding)}
    water = [(part["level"].key, [item["clause"] for item in part["items"]]) for part in cards["water"]["parts"]]
    assert ("II", ["5.6.2(9)"]) in water and next(part for part in cards["commander"]["parts"] if part["level"].key == "I")["signs"]
    assert lives.test_contacts(act(alice, actual), binding=binding.pk) == 2
    web = signed_in(client, alice)
    page = web.get(f"/plans/adopted/{binding.pk}/contacts").content.decode()
    assert "contacts" in page or "我已收到" in page
    assert web.post(f"/plans/adopted/{binding.pk}/contacts", {"answer": "1"}).status_code == 302
    states = dict(WorkItem.plain.filter(kind="plans.contact_test").values_list("first_post_id", "state"))
    assert states == {duty_post.pk: WorkItem.DONE, commander_post.pk: WorkItem.OPEN}
    rows = {row["role"]: row for row in lives.tree(binding, actual)}
    assert rows["市水利局"]["took"] is not None and rows["市气象局"]["faults"]
    for path in (f"/plans/adopted/{binding.pk}/cards", "/plans/matrix", "/plans/laws?law=防汛"):
        assert web.get(path).status_code == 200
    duty_post.active = False
    duty_post.save(update_fields=["active"])
    with translation.override("zh-hans"):
        assert any("岗位已撤销" in map(str, row["faults"]) for row in lives.tree(binding, actual)), "a post that exists no more is named before the day"


def test_a_version_shows_its_faults_its_own_tests_and_what_they_never_touch(actual, alice, client, signed_in):
    tests = [{"name": "衡山超警", "given": {'water_level("hengshan")': 49.2}, "level": "IV"}, {"name": "写错的期望", "given": {'water_level("hengshan")': 49.2}, "level": "I"}]
    version = actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", lambda data: data.update(tests=tests)))
    page = signed_in(client, alice).get(f"/plans/versions/{version.pk}/lint")
    told = page.context
    assert [(row["test"], row["passed"], row["found"]) for row in told["tests"]] == [("衡山超警", True, "IV"), ("写错的期望", False, "IV")] and "IV-3" not in told["never"] and "II-1" in told["never"]
    assert told["faults"] and "I-a1" in told["coverage"]["actions_never_reached"] and "写错的期望" in page.content.decode()
