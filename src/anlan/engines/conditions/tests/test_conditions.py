"""Conditions in three values, against hand-made answers, a slow reference and the CEL library."""
from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines.conditions import ConditionError, Key, Verdict, Vocabulary, compile_condition
from anlan.engines.conditions.condition import PlaceSpec

# A busy machine must not fail a test: no clock decides here.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MET, NOT_MET, CANNOT_TELL = Verdict.MET, Verdict.NOT_MET, Verdict.CANNOT_TELL
VOCABULARY = Vocabulary.from_data({"terms": {
    "level": {"type": "number", "unit": "m", "places": ["gauge"], "source": "machine", "zh": "水位", "en": "Level"},
    "rising": {"type": "bool", "places": ["gauge"], "source": "forecast", "zh": "上涨", "en": "Rising"},
    "seen": {"type": "bool", "places": ["gauge"], "source": "reported", "zh": "见", "en": "Seen"},
    "state": {"type": "choice", "places": ["site"], "source": "reported", "choices": {"normal": ["正常", "normal"], "piping": ["管涌", "piping"]}, "zh": "险情", "en": "State"},
    "count": {"type": "number", "places": ["region"], "qualifiers": {"colour": ["orange", "red"]}, "source": "warning", "absent": 0, "zh": "数", "en": "Count"},
}})
PLACES = {name: PlaceSpec(name, kind, marks) for name, kind, marks in (
    ("a", "gauge", {"warning": 10.0, "record": 12.5}), ("b", "gauge", {"warning": 20.0}), ("c", "gauge", {}), ("d", "gauge", {}),
    ("dam", "site", {}), ("city", "region", {}))}
A, B, C, D = (Key("level", name) for name in "abcd")


def made(text: str):
    return compile_condition(text, VOCABULARY, PLACES)


@pytest.mark.parametrize(("text", "known", "verdict"), [
    ('level("a") > mark("a", "warning")', {A: 10.0}, NOT_MET),
    ('level("a") > mark("a", "warning")', {A: 10.01}, MET),
    ('level("a") >= mark("a", "record") - 0.5', {A: 12.0}, MET),
    ('level("a") >= mark("a", "record") - 0.5', {A: 11.99}, NOT_MET),
    ('level("a") > 10', {}, CANNOT_TELL),
    ('level("a") > 10 || level("b") > 5', {B: 6}, MET),
    ('level("a") > 10 || level("b") > 5', {B: 5}, CANNOT_TELL),
    ('level("a") > 10 && level("b") > 5', {B: 5}, NOT_MET),
    ('level("a") > 10 && level("b") > 5', {B: 6}, CANNOT_TELL),
    ('!(level("a") > 10)', {A: 10}, MET),
    ('state("dam") in ["piping"]', {Key("state", "dam"): "piping"}, MET),
    ('state("dam") != "piping"', {Key("state", "dam"): "normal"}, MET),
    ('count("city", "red") >= 3', {Key("count", "city", "red"): 3}, MET),
    ('count("city", "red") >= 3', {Key("count", "city", "orange"): 3}, CANNOT_TELL),
    ('rising("a") == true', {Key("rising", "a"): False}, NOT_MET),
    ('level("a") + level("b") * 2 > 20', {A: 10, B: 5}, NOT_MET),
    ('level("a") / 2 > -1', {A: 0}, MET),
])
def test_known_answers(text, known, verdict):
    outcome = made(text).evaluate(known)
    assert outcome.verdict is verdict


QUORUM = 'at_least(2, [level("a") > 1, level("b") > 1, level("c") > 1, level("d") > 1])'


@pytest.mark.parametrize(("known", "verdict"), [
    ({A: 2, B: 2}, MET),  # two hold: the two silent gauges do not matter
    ({A: 2, B: 0, C: 0, D: 0}, NOT_MET),
    ({A: 0, B: 0, C: 0}, NOT_MET),  # even the silent one could not make two
    ({A: 2, B: 0, C: 0}, CANNOT_TELL),
    ({}, CANNOT_TELL),
])
def test_a_quorum_counts_and_absorbs_the_silent(known, verdict):
    assert made(QUORUM).evaluate(known).verdict is verdict


def test_only_the_terms_that_still_matter_are_named():
    condition = made('(level("a") > 10 && rising("a")) || level("b") > 20')
    assert condition.evaluate({A: 5}).missing == (B,)  # a is too low, so whether it rises does not matter
    assert condition.evaluate({A: 11, B: 1}).missing == (Key("rising", "a"),)
    assert condition.evaluate({A: 5}, stale=[B]).stale == (B,)


def test_a_person_is_asked_only_when_the_machine_part_is_met():
    condition = made('level("a") > 10 && rising("a")')
    assert condition.evaluate({A: 11}).ask == (Key("rising", "a"),)
    assert condition.evaluate({}).ask == ()  # the gauge is silent: nothing to ask a forecaster yet
    assert condition.evaluate({A: 9}).ask == ()
    assert made('rising("a")').evaluate({}).ask == ()  # nothing a machine knows speaks for it
    either = made('level("a") > 10 && (level("b") > 1 || seen("a"))')
    assert either.evaluate({A: 11, B: 0}).ask == (Key("seen", "a"),)
    assert either.evaluate({A: 11}).ask == (Key("seen", "a"),)  # the other gauge is silent, a person can settle it


@pytest.mark.parametrize(("text", "column", "word"), [
    ('levle("a") > 1', 1, "did you mean level?"),
    ('level("x") > 1', 7, "no place"),
    ('level("dam") > 1', 7, "is a site"),
    ('level("a") > "high"', 14, "compared with a text"),
    ('level("a")', 1, "not a statement"),
    ('state("dam") == "pipping"', 17, "one of normal, piping"),
    ('state("dam") > "piping"', 1, "no order"),
    ('count("city", "pink") > 1', 15, "one of orange, red"),
    ('count("city") > 1', 1, "write count(place, colour)"),
    ('level("a") > mark("c", "warning")', 24, "has none"),
    ('level("a") > 1 &&', 18, "missing"),
    ('level("a") > 1 level("b") > 1', 16, "&&"),
    ('level("a") > 1 ; drop', 16, "cannot stand here"),
    ('level > 1', 1, "stands alone"),
    ('level("a") / level("b") > 1', 14, "fixed number"),
    ('at_least(5, [level("a") > 1])', 10, "from 1 to 1"),
    ('(level("a") > 1 && rising("a")) == true', 2, "joined"),
    ("1 < 2", 1, "no term"),
    ("", 1, "empty"),
    ('__import__("os")', 1, "no term"),
])
def test_a_faulty_condition_is_refused_with_the_place_and_a_remedy(text, column, word):
    with pytest.raises(ConditionError) as caught:
        made(text)
    assert (caught.value.line, caught.value.column) == (1, column)
    assert word in str(caught.value)


def test_a_position_counts_lines():
    with pytest.raises(ConditionError) as caught:
        made('level("a") > 1\n  && levl("a") > 2')
    assert (caught.value.line, caught.value.column) == (2, 6)


def test_hostile_conditions_are_refused_quickly():
    for text in ("(" * 5000, "(" * 900 + 'level("a")>1' + ")" * 900, "!" * 50 + 'rising("a")', "at_least(7, [" + ", ".join(['level("a") > 1'] * 14) + "])"):
        with pytest.raises(ConditionError):
            made(text)


# --- properties ------------------------------------------------------------------------------------------------------

ATOMS = ['level("a") > 1', 'level("b") <= 1', 'rising("a")', 'state("dam") == "piping"', 'count("city", "red") >= 2', 'level("a") + level("c") > 2']
KEYS = [A, B, C, Key("rising", "a"), Key("state", "dam"), Key("count", "city", "red")]


def joined(parts: list[str], op: str) -> str:
    return "(" + f" {op} ".join(parts) + ")"


TEXTS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.builds(joined, st.lists(inner, min_size=2, max_size=3), st.sampled_from(["&&", "||"])),
        st.builds(lambda part: f"!({part})", inner),
        st.builds(lambda parts, n: f"at_least({min(n, len(parts))}, [{', '.join(parts)}])", st.lists(inner, min_size=2, max_size=3), st.integers(1, 3)),
    ),
    max_leaves=8,
)


def value_of(key: Key):
    if key.term == "state":
        return st.sampled_from(["normal", "piping"])
    if key.term == "rising":
        return st.booleans()
    return st.sampled_from([0.0, 1.0, 2.0, 3.0])


KNOWN = st.fixed_dictionaries({}, optional={key: value_of(key) for key in KEYS})


@PATIENT
@given(TEXTS, KNOWN, KNOWN)
def test_more_knowledge_never_takes_back_a_verdict(text, known, more):
    """Kleene logic is monotone: as long as no value changes, met stays met and not met stays not met."""
    condition = made(text)
    before = condition.verdict(known)
    after = condition.verdict({**more, **known})
    assert before is CANNOT_TELL or after is before


@PATIENT
@given(TEXTS, KNOWN)
def test_the_explanation_agrees_with_cel(text, known):
    condition = made(text)
    truth, live = condition._truth(condition.tree, known)
    assert condition.verdict(known) is {True: MET, False: NOT_MET, None: CANNOT_TELL}[truth]
    assert (truth is None) == bool(live) and not live & set(known)


@PATIENT
@given(TEXTS, KNOWN)
def test_a_decided_verdict_is_what_every_completion_gives(text, known):
    """The slow reference: two-valued evaluation of all completions of what is unknown (a sound bound on Kleene logic)."""
    condition = made(text)
    verdict = condition.verdict(known)
    if verdict is CANNOT_TELL:
        return
    open_keys = [key for key in condition.keys if key not in known][:3]
    choices = [["normal", "piping"] if key.term == "state" else [True, False] if key.term == "rising" else [0.0, 3.0] for key in open_keys]
    rest = {key: "normal" if key.term == "state" else True if key.term == "rising" else 2.0 for key in condition.keys}
    for values in product(*choices):
        assert condition.verdict({**rest, **known, **dict(zip(open_keys, values, strict=True))}) is verdict


@PATIENT
@given(TEXTS, KNOWN)
def test_asked_terms_are_missing_ones_a_person_knows(text, known):
    outcome = made(text).evaluate(known)
    assert set(outcome.ask) <= set(outcome.missing)
    assert all(VOCABULARY[key.term].source in ("forecast", "reported") for key in outcome.ask)


@PATIENT
@given(st.text(max_size=60))
def test_any_text_is_compiled_or_refused(text):
    try:
        made(text)
    except ConditionError as error:
        assert error.line >= 1 and error.column >= 1
