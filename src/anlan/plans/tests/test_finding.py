"""Which plans apply, in order and with reasons; clauses by the words of the trade; questions answered with clauses, and what was not found is named."""
from __future__ import annotations

import json

import pytest

from anlan.engines.text import query_expression
from anlan.plans import commands, finding
from anlan.plans.models import Plan

from .builders import act, adopt_hengyang, batch, changed_pack, machine, reading, station
from .test_adoption import KEY

pytestmark = pytest.mark.django_db


def keys(found):
    return {row.key for row in found["rows"] if row.version_of.plan.key == KEY}


def test_a_word_finds_its_synonyms_and_a_sign_alone_is_not_part_of_a_word():
    groups = [["汛", "洪水"], ["溃坝", "垮坝"]]
    assert query_expression("垮坝预警", groups) == "(('溃坝') | ('垮坝')) & '预警'"
    assert query_expression("汛", groups) == "(('汛') | ('洪水'))" and query_expression("汛期", groups) == "'汛期'"
    assert query_expression("dam', '水' | '火", groups) == "'dam':* & '水' & '火'" and query_expression("：？", groups) == ""


def test_clauses_are_found_by_any_word_of_the_trade(db):
    dam, breach = keys(finding.clauses("垮坝", plan=KEY)), keys(finding.clauses("溃坝", plan=KEY))
    texts = " ".join(str(row.text["zh"]) for row in finding.clauses("溃坝", plan=KEY)["rows"])
    assert dam == breach and dam and "垮坝" in texts
    assert keys(finding.clauses("撤离", plan=KEY)) == keys(finding.clauses("疏散", plan=KEY)) > keys({"rows": [row for row in finding.clauses("疏散", plan=KEY)["rows"] if "疏散" in row.text["zh"]]})
    assert not finding.clauses("溃坝", hazard="fire")["rows"] and not finding.clauses("垮坝台账样表", plan=KEY)["rows"]
    assert all(row.key.startswith(("5.6.1", "5.6.2")) for row in finding.clauses("水位", plan=KEY, level="II")["rows"])


@pytest.mark.parametrize("question", ["水利局在Ⅱ级响应第一个小时内必须做什么？", "what must the water bureau do at level II within the first hour?", "2级响应1小时内，市水务局要做哪些事"])
def test_a_question_is_answered_with_clauses(db, question):
    told = finding.ask(question, plan=KEY)
    asked = told["asked"]
    assert (asked.level, asked.within_min, asked.words) == ("II", 60, "") and "水利局" in asked.units
    # Read by hand: one action of its own, eight sentences that list it among others; the plan sets no minutes, which is said and not guessed.
    told_by = {how: sorted(row["item"].key for row in told["answers"] if row["how"] == how) for how in ("unit", "named")}
    assert told_by == {"unit": ["II-a9"], "named": ["II-a13", "II-a14", "II-a15", "II-a3", "II-a4", "II-a5a", "II-a5b", "II-a7"]}
    assert {row["item"].level.key for row in told["answers"]} == {"II"} and [kind for kind, _values in told["unmatched"]] == ["no_limit"]


def test_a_limit_is_compared_and_what_comes_later_is_counted(actual, alice):
    from anlan.plans import actions

    def change(data):
        data["id"] = "short-limits"
        for row, minutes in zip([row for row in data["actions"] if row["level"] == "II"], (30, 120, None), strict=False):
            row["post"], row["deadline_min"] = "water", minutes
            if minutes is None:
                del row["deadline_min"]

    actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", change))
    told = finding.ask("市水利局Ⅱ级响应1小时内做什么", plan="short-limits")
    own = [(row["timing"], row["item"].deadline_min) for row in told["answers"] if row["how"] == "unit"]
    assert own == [("within", 30), ("none", None), ("none", None)] and told["later"] == 1
    # An edit replaces what is found; the older version is found no more.
    actions.add_version(act(alice, actual), text=changed_pack("hengyang_flood_2023", lambda data: (change(data), data["clauses"]["5.6.1(1)"].update(text={"zh": "独一无二之改文"}))))
    assert [(row.key, row.version_of.number) for row in finding.clauses("独一无二")["rows"]] == [("5.6.1(1)", 2)]
    assert {row.version_of.number for row in finding.clauses("会商", plan="short-limits")["rows"]} == {2}


def test_what_a_question_asks_in_vain_is_said(db):
    told = finding.ask("地震局在Ⅰ级响应时检查核电站", plan=KEY)
    assert ("word", {"word": "地震局"}) in told["unmatched"] or any(kind == "word" for kind, _values in told["unmatched"])
    assert finding.ask("教育局在Ⅳ级响应时做什么", plan="valencia-poyo-2024")["answers"] == []


def test_plans_that_apply_stand_in_order_with_reasons(actual, alice, city, county, duty_post):
    gauge = station("HY-hengshan", county)
    adopt_hengyang(actual, machine(), county, duty_post, {"hengshan": gauge})
    Plan.objects.filter(key="zhengzhou-flood-2021").update(region=city)
    Plan.objects.filter(key="valencia-poyo-2024").update(region=county, hazard="relief")
    rows = finding.match(actual, hazard="X-FLOOD", region=county.pk, level="II")["plans"]
    told = [(row.plan.key, [kind for kind, _values in row.reasons]) for row in rows]
    assert told[:3] == [
        (KEY, ["hazard_own", "place_own", "adopted", "level"]), ("zhengzhou-flood-2021", ["hazard_own", "place_above", "not_adopted"]), ("valencia-poyo-2024", ["hazard_leads", "place_own", "not_adopted"]),
    ]
    assert rows[0].actions == 16 and finding.match(actual, hazard="11C", region=county.pk)["unmatched"][0][0] == "no_plan_for_hazard"
    reading(actual, gauge, 49.2, actual.time())
    batch(actual, actual.time())
    first = finding.match(actual, hazard="X-FLOOD", region=county.pk)["plans"][0]
    assert first.reasons[0] == ("met_now", {"level": "IV", "conditions": ["IV-3"]}) and first.level.key == "IV"


def test_a_red_warning_that_sets_off_nothing_is_said_loudly(actual, city, county, duty_post):
    adopt_hengyang(actual, machine(), city, duty_post)
    told = finding.match(actual, hazard="11B03", region=city.pk, colour="yellow")
    assert told["plans"][0].plan.key == KEY and [kind for kind, _values in told["plans"][0].reasons] == ["hazard_leads", "place_own", "adopted"]
    assert any(kind == "warning_sets_off_nothing" for kind, _values in told["unmatched"])
    red = finding.match(actual, hazard="11B03", region=city.pk, colour="red")
    assert red["plans"][0].triggers[0]["levels"] == ["link-red"] and not any(kind == "warning_sets_off_nothing" for kind, _values in red["unmatched"])


def test_pages_api_and_command(actual, alice, county, duty_post, client, signed_in, capsys):
    adopt_hengyang(actual, machine(), county, duty_post)
    web = signed_in(client, alice)
    page = web.get("/plans/find", {"q": "水利局Ⅲ级响应时做什么"}).content.decode()
    assert "5.5.2(15)" in page and "正确处理排涝与防洪的关系" in page
    clause = finding.clauses("正确处理排涝", plan=KEY)["rows"][0]
    assert "市水利局" in web.get(f"/plans/clauses/{clause.pk}").content.decode()
    page = web.get("/plans/match", {"hazard": "11B03", "region": str(county.pk), "colour": "red"}).content.decode()
    assert "衡阳市防汛抗旱应急预案" in page and "link-red" in page
    told = web.get("/api/v1/plans/ask", {"q": "what must the water bureau do at level III?"}).json()
    assert told["understood"] == {"units": told["understood"]["units"], "level": "III", "within_min": None, "kind": None, "words": ""} and "5.5.2(15)" in {row["clause"] for row in told["answers"] if row["how"] == "unit"}
    assert web.get("/api/v1/plans/match", {"hazard": "11B03", "region": str(county.pk)}).json()["plans"][0]["plan"] == KEY
    assert web.get("/api/v1/plans/clauses", {"q": "溃坝"}).json()["count"] >= 1

    import argparse

    capsys.readouterr()
    assert commands.ask(argparse.Namespace(question="水利局Ⅲ级响应时做什么", plan=KEY, json=True)) == 0 and json.loads(capsys.readouterr().out)["answers"]
    assert commands.match(argparse.Namespace(hazard="11B03", region=county.name, colour="red", level="", json=False)) == 0 and KEY in capsys.readouterr().out
