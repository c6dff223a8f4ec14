"""Plan files: what is accepted, and what is refused with which words."""
from __future__ import annotations

import copy
import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines.conditions import digest_of, read_plan

from .test_conditions import VOCABULARY

# A busy machine must not fail a test: no clock decides here.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
GOOD = """
anlan_plan: 1
id: small-plan
title: {zh: 小预案, en: Small plan}
places:
  a: {kind: gauge, label: {zh: 甲站}, marks: {warning: 10}}
posts:
  chief: {zh: 指挥长}
levels:
  - {code: I, rank: 1, colour: red, label: {zh: 一级}, approver: chief, clause: "1"}
clauses:
  "1": {text: {zh: 水位超警戒的，启动一级响应。}}
conditions:
  - {id: c1, level: I, clause: "1", when: 'level("a") > mark("a", "warning")'}
actions:
  - {id: a1, level: I, post: chief, clause: "1", text: {zh: 坐镇指挥。}, deadline_min: 30}
"""


def troubles(text: str | bytes) -> list[str]:
    plan, found = read_plan(text, VOCABULARY)
    assert (plan is None) == bool(found)
    return [str(trouble) for trouble in found]


def test_a_good_plan_is_read():
    plan, found = read_plan(GOOD, VOCABULARY)
    assert not found and plan
    assert plan.conditions[0].compiled and plan.conditions[0].clause == "1"
    assert plan.actions[0].deadline_min == 30
    assert plan.digest.startswith("sha256:") and plan.digest == digest_of(dict(reversed(plan.data.items())))


def broken(change) -> list[str]:
    data = yaml.safe_load(GOOD)
    change(data)
    return troubles(json.dumps(data, ensure_ascii=False))


@pytest.mark.parametrize(("change", "words"), [
    (lambda d: d.pop("title"), "'title' is missing"),
    (lambda d: d.update(extra=1), "'extra' is not known here"),
    (lambda d: d.update(anlan_plan=2), "the format must be 1"),
    (lambda d: d.update(id="../x"), "cannot be the id"),
    (lambda d: d["conditions"][0].update(clause="9"), "there is no clause '9'"),
    (lambda d: d["conditions"][0].update(level="II"), "there is no level 'II'"),
    (lambda d: d["conditions"][0].update(when='levl("a") > 1'), "did you mean level?"),
    (lambda d: d["conditions"][0].pop("when"), "neither `when` nor `note`"),
    (lambda d: d["conditions"].append(copy.deepcopy(d["conditions"][0])), "'c1' is given twice"),
    (lambda d: d["actions"][0].update(post="boss"), "there is no post 'boss'"),
    (lambda d: d["actions"][0].update(deadline_min=-1), "a whole number from 0"),
    (lambda d: d["actions"][0].update(deadline_min=True), "a whole number from 0"),
    (lambda d: d["levels"][0].update(colour="pink"), "there is no colour 'pink'"),
    (lambda d: d["levels"].append({**d["levels"][0], "code": "II", "rank": 2}), "level II has no condition"),
    (lambda d: d["places"]["a"].update(kind="river"), "there is no kind of place 'river'"),
    (lambda d: d["places"]["a"]["marks"].update(warning="high"), "a mark is a number"),
    (lambda d: d.update(clauses=[]), "a table of keys and values"),
    (lambda d: d.update(title="x"), "a text by language"),
    (lambda d: d["asks"].update(x="y") if "asks" in d else d.update(asks={"nope": "chief"}), "there is no term 'nope'"),
])
def test_a_fault_is_named_with_its_place(change, words):
    found = broken(change)
    assert any(words in text for text in found), found


def test_a_fault_in_a_condition_points_into_the_file():
    plan, found = read_plan(GOOD.replace('level("a") > mark', 'levle("a") > mark'), VOCABULARY)
    assert plan is None and len(found) == 1
    line = GOOD.splitlines()[found[0].line - 1]
    assert line[found[0].column - 1:].startswith('level("a")') and found[0].where == "conditions[0].when"


@pytest.mark.parametrize(("text", "words"), [
    ("a: &x [1]\nb: *x", "anchors and aliases"),
    ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]", "anchors and aliases"),
    ("a: !!python/object/apply:os.system [ls]", "is not taken"),
    ("[" * 100 + "]" * 100, "nested too deep"),
    ("x: " + "[" * 40_000, "nested too deep"),
    ("a: 1\na: 2", "given twice"),
    ("", "empty"),
    ("a: [1", "not YAML"),
    ("--- 1\n--- 2", "not YAML"),
    ("- 1\n" * 40_000, "too many values"),
    (b"\xff\xfe\x00", "not UTF-8"),
    (b"x" * 2_000_000, "at most 1000000"),
    ("? [a, b]\n: 1", "a key must be a text"),
    ("just text", "a table of keys"),
    ("\x00", "not YAML"),
])
def test_a_hostile_file_is_refused(text, words):
    found = troubles(text)
    assert any(words in line for line in found), found


@PATIENT
@given(st.binary(max_size=300))
def test_any_bytes_are_answered_with_faults(raw):
    plan, found = read_plan(raw, VOCABULARY)
    assert plan is None and found
