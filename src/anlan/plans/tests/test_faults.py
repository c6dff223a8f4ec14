"""Whatever an engine says of a faulty file, rule or value is said in the reader's language."""
from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from string import Formatter

import pytest
from django.utils import translation

from anlan.engines.conditions import (
    ConditionError,
    PlaceSpec,
    compile_condition,
    condition,
    planfile,
    read_plan,
    syntax,
)
from anlan.engines.text import files, reader
from anlan.plans import faults, words
from anlan.plans.vocabulary import vocabulary

SAYING = {"fail": (0, 2), "want": (2,), "ConditionError": (0, 3), "refuse": (2, 3), "fault": (1, 2), "append": (0,)}


def shapes(node: ast.AST) -> Iterator[str]:
    """The sentences an expression can be, with {} for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.replace("{", "{{").replace("}", "}}")
    elif isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    elif isinstance(node, ast.IfExp):
        yield from shapes(node.body)
        yield from shapes(node.orelse)
    elif isinstance(node, ast.BinOp):
        yield "{}" + next(shapes(node.right))


def spoken(module: object) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):  # type: ignore[arg-type]
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "append" and getattr(getattr(node.func, "value", None), "attr", getattr(getattr(node.func, "value", None), "id", "")) != "warnings":
                continue
            found |= {shape for at in SAYING.get(name, ()) if at < len(node.args) for shape in shapes(node.args[at])}
    return found - {""}


@pytest.mark.parametrize("module", [condition, syntax, planfile, reader])
def test_every_sentence_of_the_engines_has_its_pattern(module):
    known = {"".join(text + ("{}" if name else "") for text, name, _s, _c in Formatter().parse(sentence)) for sentence in faults.SENTENCES} | set(faults.WORDS)
    # What is handed on from a checker that was found at fault before is a sentence of the list by then.
    said = {shape.replace("{{", "{").replace("}}", "}") for shape in spoken(module)} - {"{}"}
    assert said and said <= known, said - known


@pytest.mark.parametrize("when, says", [
    ('deaths("area") / 0 > 1', "除数只能是不为 0 的固定数"), ('no_such("area") > 1', "没有名为 no_such 的要素"), ('deaths("nowhere") > 3', "没有名为 'nowhere' 的地点"), ("deaths(", "此处缺内容"),
    ("range(10000000).all(x, true)", "此处不能出现 '.'"), ("(" * 900 + "true", "括号嵌套过深"), ('deaths("area") > 1 ' + '&& deaths("area") > 1 ' * 900, "个字符"), ('deaths("area") > 1e400', "数值过大"),
    ('deaths("area") == "a"', "数与文字不能比较"), ('"a" + "b" > 1', "此处是文字；+ 两侧须为数"), ("1 > 0", "没有用到任何要素"),
])
def test_a_rule_that_cannot_run_is_refused_with_place_and_reason_in_chinese(when, says):
    with pytest.raises(ConditionError) as caught:
        compile_condition(when, vocabulary(), {"area": PlaceSpec("area", "region", {})})
    assert caught.value.line == 1 and caught.value.column >= 1
    with translation.override("zh-hans"):
        assert says in faults.said(caught.value.what)
    with translation.override("en"):
        assert faults.said(caught.value.what) == caught.value.what


def test_a_faulty_file_a_value_and_a_warning_are_named_in_chinese():
    _plan, troubles = read_plan("anlan_plan: 2\nid: x\nid: y\n", vocabulary())
    with translation.override("zh-hans"):
        assert faults.said(troubles[0].what) == "'id' 出现两次" and faults.said(troubles[0].todo) == "请保留一个"
        assert "不是 'many'" in faults.said(vocabulary()["deaths"].refuse("many"))
        _text, (warning,) = files.text_of("某县防汛应急预案\n".encode("gb18030"))
        assert faults.said(warning) == "按 gb18030 编码读取"
        assert faults.said("what no engine says") == "what no engine says"


def test_a_finding_names_terms_and_warnings_in_words():
    from anlan.engines.conditions.lint import Finding

    with translation.override("zh-hans"):
        overlap = words.finding_words(Finding("levels_overlap", "fault", "III-1", {"term": "rain_24h(city)", "value": 50, "lower": "IV", "higher": "III"}))
        silent = words.finding_words(Finding("warning_without_action", "fault", "blue", {"hazard": "rainstorm", "colour": "blue", "counties": 1, "asks": ["typhoon_forecast(city)"]}))
    assert "rain_24h" not in overlap and "24小时雨量" in overlap and "(city)" in overlap
    assert "暴雨蓝色" in silent and "typhoon_forecast" not in silent
