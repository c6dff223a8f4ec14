"""Every fault of a declaration is said, and a sound one is passed."""
from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils.translation import gettext_lazy as _

from anlan.kernel import checks  # noqa: F401
from anlan.kernel.loops import LOOPS, Evidence, Sample, State, Step, Up, Within, declare, lint, loop
from anlan.kernel.models import LoopRule, Recheck, Region
from anlan.kernel.registers import Field

from .test_loops_steps import fix, make_loop, opened  # noqa: F401

END = State("closed", _("Closed"), final=True)


def codes(declared) -> set[str]:
    return {fault.code for fault in lint.lint(declared)}


def with_step(step: Step, **more):
    sound = make_loop()
    return replace(sound, steps=(*sound.steps, step), **more)


def changed(name: str, **more):
    """The sound loop with one step changed."""
    sound = make_loop()
    return replace(sound, steps=tuple(replace(step, **more) if step.name == name else step for step in sound.steps))


def step(name="extra", **more) -> Step:
    return Step(name, _("Extra"), **{"from_": ("reported",), "to": "mended", "may": "loops.recheck", **more})


def test_a_sound_loop_and_every_shipped_one_passes():
    assert lint.lint(make_loop()) == []
    for declared in LOOPS.values():
        assert [str(fault) for fault in lint.lint(declared)] == []


FAULTS = {
    "dead": lambda: replace(make_loop(), states=(*make_loop().states[:-1], State("limbo", _("Limbo")), END)),
    "no_way_out": lambda: with_step(step(to="trap"), states=(*make_loop().states, State("trap", _("Trap")))),
    "no_end": lambda: replace(make_loop(), states=tuple(replace(state, final=False) for state in make_loop().states), reopen=None),
    "nobody": lambda: changed("mend", may="test.nobody_declared_this"),
    "never": lambda: with_step(step(from_=())),
    "unknown_state": lambda: with_step(step(to="mars")),
    "unknown_step": lambda: changed("accept", other_than=("dream",)),
    "self": lambda: changed("accept", other_than=("accept",)),
    "after_end": lambda: with_step(step(from_=("closed",))),
    "reopen": lambda: replace(make_loop(), reopen=replace(make_loop().reopen, from_=("mended",))),
    "open_from": lambda: replace(make_loop(), open=replace(make_loop().open, from_=("reported",))),
    "twice": lambda: with_step(step("mend")),
    "label": lambda: with_step(Step("other", _("Mend"), from_=("reported",), to="mended", may="loops.recheck")),
    "name": lambda: replace(make_loop(), name="Test Fix"),
    "model": lambda: replace(make_loop(), model=Region),
    "subject": lambda: replace(make_loop(), subject="order"),
    "number": lambda: replace(make_loop(), number="GZ-{year}"),
    "field": lambda: changed("mend", form=(Field("state"),)),
    "evidence": lambda: changed("mend", evidence=Evidence(photos=-1)),
    "opens": lambda: changed("accept", opens="test.nowhere"),
    "time": lambda: changed("mend", within=Within()),
    "share": lambda: replace(make_loop(), recheck=Sample(share=1.5)),
    "sources": lambda: replace(make_loop(), sources="no_such_list"),
    "unheard": lambda: replace(make_loop(), escalate=None),
}


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_each_fault_is_found(code):
    assert code in codes(FAULTS[code]())


@pytest.mark.parametrize(
    ("declared", "code"),
    [
        (lambda: changed("mend", form=("nothing_of_the_kind",)), "field"),
        (lambda: changed("mend", form=(Field("free"),)), "field"),  # neither a column nor with a kind and a label
        (lambda: changed("mend", within=Within(working_days=1, hours=2)), "time"),
        (lambda: changed("mend", within=Within(field="title")), "time"),  # no date
        (lambda: changed("accept", within=Within(hours=1)), "time"),  # a deadline in the final state
        (lambda: replace(make_loop(), escalate=Up(every=Within(hours=-1))), "time"),
        (lambda: replace(make_loop(), number="{n:04}-{year}"), "number"),
        (lambda: replace(make_loop(), number="{who}-{n}"), "number"),
        (lambda: replace(make_loop(), read=""), "nobody"),
        (lambda: replace(make_loop(), open=replace(make_loop().open, to="mars")), "unknown_state"),
    ],
)
def test_and_its_kin(declared, code):
    assert code in codes(declared())


def test_a_grave_fault_stops_the_start_and_a_remark_does_not(monkeypatch):
    bad = replace(FAULTS["dead"](), escalate=None, name="test.bad")
    monkeypatch.setitem(LOOPS, bad.name, bad)
    said = [message for message in lint.loops_are_sound() if bad.name in message.msg]
    assert {message.id for message in said} == {"kernel.E020", "kernel.W020"}
    assert {message.id: message.is_serious() for message in said} == {"kernel.E020": True, "kernel.W020": False}


@pytest.mark.django_db
def test_what_the_declaration_meets_here_is_said(fix, actual, alice, county):  # noqa: F811
    assert "one_person" in {fault.code for fault in lint.in_use(fix)}  # alice alone may mend and accept
    opened(actual, alice, county)
    fewer = replace(fix, states=fix.states[1:])
    assert "stranded" in {fault.code for fault in lint.in_use(fewer)}


@pytest.mark.django_db
def test_the_command_says_it(fix, capsys, monkeypatch):  # noqa: F811
    import argparse
    import json

    from anlan.kernel.loops import commands

    assert commands.lint_command(argparse.Namespace(name="test.fix", json=False)) == 0  # remarks only
    monkeypatch.setitem(LOOPS, "test.bad", replace(FAULTS["dead"](), name="test.bad"))
    capsys.readouterr()
    assert commands.lint_command(argparse.Namespace(name="test.bad", json=True)) == 1
    assert "dead" in {fault["code"] for fault in json.loads(capsys.readouterr().out)["faults"]}
    assert commands.show_command(argparse.Namespace(name="kernel.recheck", json=False)) == 0
    assert "refute" in capsys.readouterr().out
    assert commands.list_command(argparse.Namespace(json=True)) == 0
    assert any(line["name"] == "test.fix" for line in json.loads(capsys.readouterr().out))


@pytest.mark.django_db
def test_the_databases_rules_are_the_declarations(fix):  # noqa: F811
    rules = {(rule.loop, rule.step, rule.from_state, rule.to_state, tuple(rule.others)) for rule in LoopRule.objects.all()}
    assert rules == {(one.name, *move) for one in LOOPS.values() for move in one.moves}
    assert ("test.fix", "accept", "mended", "closed", ("mend",)) in rules


def test_a_loop_is_declared_once(monkeypatch):
    monkeypatch.setitem(LOOPS, "test.once", make_loop("test.once"))
    with pytest.raises(RuntimeError):
        loop(make_loop("test.once"))
    assert declare.get("kernel.recheck").model is Recheck
