"""What the reader drafts can run: every drafted expression compiles over the published vocabulary, and says of values what the sentence says."""
from __future__ import annotations

from pathlib import Path

import pytest

from anlan.engines.conditions import Key, PlaceSpec, Verdict, compile_condition
from anlan.engines.text.elements import elements
from anlan.engines.text.reader import read
from anlan.plans.vocabulary import vocabulary

TEXTS = Path(__file__).resolve().parents[5] / "shared" / "data" / "plans" / "texts"
PLACES = {"area": PlaceSpec("area", "region", {}), "gauge": PlaceSpec("gauge", "gauge", dict.fromkeys(("warning", "guarantee", "record", "design", "check", "ten_year"), 10.0))}


def drafts(source: str) -> list[dict]:
    return elements(read(source))["conditions"]


@pytest.mark.skipif(not TEXTS.exists(), reason="the real plans do not lie beside this checkout")
def test_every_draft_of_the_real_plans_compiles():
    drafted = [row for file in sorted(TEXTS.glob("*.txt")) for row in drafts(file.read_text()) if row["cel"]]
    assert len(drafted) > 200
    for row in drafted:
        compile_condition(row["cel"], vocabulary(), PLACES)


@pytest.mark.parametrize(
    ("sentence", "term", "yes", "no"),
    [
        ("过火面积10公顷以上", "fire_area", 10, 9.9), ("过火面积300亩以上", "fire_area", 20, 19), ("受威胁，需搬迁转移人数在500人以上", "threatened_persons", 500, 499),
        ("48小时尚未扑灭明火的森林火灾", "fire_hours", 48, 47), ("发生7.0级以上地震", "magnitude", 7, 6.9), ("最低气温降至4摄氏度以下", "temperature", 3.9, 4), ("直接经济损失1亿元以上", "economic_loss", 1e8, 9.9e7),
        ("能见度不足1公里", "visibility", 999, 1000), ("24小时降雨量100毫米以上", "rain_24h", 100, 99), ("道路积水深度超过0.5米", "street_water_depth", 51, 50), ("10人以上重伤", "injured_persons", 10, 9),
        ("70%以上供电用户停电", "power_cut_share", 70, 69),
    ],
)
def test_a_draft_says_what_the_sentence_says(sentence, term, yes, no):
    found = drafts(f"某市应急预案\n\n1 总则\n\n1.1 目的\n\n无。\n\n2 响应\n\n2.1 Ⅱ级响应\n\n2.1.1 启动条件\n\n出现下列情况之一的：\n\n（1）{sentence}；\n\n3 附则\n\n无。")
    condition = compile_condition(found[0]["cel"], vocabulary(), PLACES)
    assert condition.verdict({Key(term, "area"): float(yes)}) is Verdict.MET
    assert condition.verdict({Key(term, "area"): float(no)}) is Verdict.NOT_MET
    assert condition.verdict({}) is Verdict.CANNOT_TELL
