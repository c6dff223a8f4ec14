"""What is wrong with a declaration: dead states, steps nobody may take, no way out. Said at start, and by `anlan loop lint`."""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.translation import override

from .. import access, codes, subjects
from ..models import CaseRow
from ..registers.declare import field_faults
from .declare import LOOPS, Loop, State, Step, Within

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_PART = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True)
class Fault:
    """A fault, with its short code; `grave` ones stop the start."""

    code: str
    text: str
    grave: bool = True

    def __str__(self) -> str:
        return self.text


def lint(declared: Loop) -> list[Fault]:
    """Every fault of one declaration; empty when it is sound."""
    found: list[Fault] = []

    def say(code: str, text: str, grave: bool = True) -> None:
        found.append(Fault(code, text, grave))

    if not _NAME.fullmatch(declared.name) or len(declared.name) > 60:
        say("name", f"the name {declared.name!r} is not room.thing")
    if not (isinstance(declared.model, type) and issubclass(declared.model, CaseRow)):
        say("model", f"{declared.model!r} is no CaseRow")
        return found
    known = subjects.KINDS.get(declared.kind)
    if known is not None and known.model.lower() != declared.model._meta.label_lower:
        say("subject", f"the subject kind {declared.kind!r} already means {known.model}; give another with subject=…")
    _names(declared, say)
    _graph(declared, say)
    _rights(declared, say)
    for step in (declared.open, *declared.step.values()):
        _step(declared, step, say)
    _times(declared, say)
    if declared.recheck is not None and not 0 < declared.recheck.share <= 1:
        say("share", f"recheck: the share {declared.recheck.share} is not above 0 and at most 1")
    if declared.sources and declared.sources not in codes.shipped():
        say("sources", f"sources: no room ships the code list {declared.sources!r}")
    try:
        if declared.number.format(year=2026, month="01", day="02", n=7) == declared.number.format(year=2026, month="01", day="02", n=8):
            say("number", f"number: {declared.number!r} does not hold {{n}}: two cases would be called the same")
        elif "{" in declared.number.partition("{n")[2]:
            say("number", f"number: in {declared.number!r} {{n}} must come last, it is counted within what stands before it")
    except (KeyError, IndexError, ValueError) as error:
        say("number", f"number: {declared.number!r} cannot be filled in ({error})")
    return found


def _names(declared: Loop, say: Any) -> None:
    for what, names in (("state", [state.name for state in declared.states]), ("step", [step.name for step in _steps(declared)])):
        for name in sorted({one for one in names if names.count(one) > 1}):
            say("twice", f"{what} {name!r} is declared twice")
        for name in names:
            if not _PART.fullmatch(name):
                say("name", f"{what} {name!r}: small letters, digits and underscores, at most 40")
    for thing in (declared, *declared.states, *_steps(declared)):
        if not str(thing.label):
            say("label", f"{thing.name}: has no label")
    with override("en"):
        for state in declared.states:
            labels = [str(step.label) for step in declared.steps_from(state.name)]
            for label in sorted({one for one in labels if labels.count(one) > 1}):
                say("label", f"state {state.name!r}: two steps are called “{label}”; nobody could tell the buttons apart")


def _steps(declared: Loop) -> tuple[Step, ...]:
    return (declared.open, *declared.steps, *((declared.reopen,) if declared.reopen else ()))


def _graph(declared: Loop, say: Any) -> None:
    """Every state can be reached, every state has a way to an end, and ends are ends."""
    states: dict[str, State] = declared.state
    if not declared.finals:
        say("no_end", "no state is final: a case could never be closed")
    if declared.open.from_:
        say("open_from", f"the opening step {declared.open.name!r} leads from a state; it can only begin")
    for step in _steps(declared):
        if step.to not in states:
            say("unknown_state", f"step {step.name!r} leads to {step.to!r}, which is no state")
        for name in step.from_:
            if name not in states:
                say("unknown_state", f"step {step.name!r} leads from {name!r}, which is no state")
    for step in declared.step.values():
        if not step.from_:
            say("never", f"step {step.name!r} leads from no state: it can never be taken")
    for step in declared.steps:
        for name in step.from_:
            if name in states and states[name].final:
                say("after_end", f"step {step.name!r} leads out of the final state {name!r}; only reopen= may")
    if declared.reopen:
        for name in declared.reopen.from_:
            if name in states and not states[name].final:
                say("reopen", f"reopen leads from {name!r}, which is not final")
        if declared.reopen.to in states and states[declared.reopen.to].final:
            say("reopen", f"reopen leads to the final state {declared.reopen.to!r}")
    leads: dict[str, set[str]] = {name: set() for name in states}
    for step in declared.step.values():
        for name in step.from_:
            if name in leads and step.to in leads:
                leads[name].add(step.to)
    reached = _closure({declared.open.to} & set(states), leads)
    for name in states:
        if name not in reached:
            say("dead", f"state {name!r} is dead: no way from the opening leads to it")
    back: dict[str, set[str]] = {name: {other for other, ends in leads.items() if name in ends} for name in states}
    ends = _closure(set(declared.finals), back)
    for name in states:
        if name in reached and name not in ends:
            say("no_way_out", f"state {name!r} has no way out: no step leads on to an end")


def _closure(start: set[str], leads: dict[str, set[str]]) -> set[str]:
    found, todo = set(start), list(start)
    while todo:
        for name in leads.get(todo.pop(), ()):
            if name not in found:
                found.add(name)
                todo.append(name)
    return found


def _rights(declared: Loop, say: Any) -> None:
    for what, capability in (("read", declared.read), *((f"step {step.name!r}", step.may) for step in _steps(declared)), *((("assign_may", declared.assign_may),) if declared.assign_may else ())):
        if not capability:
            say("nobody", f"{what}: names no capability, so nobody may")
        elif capability not in access.CAPABILITIES:
            say("nobody", f"{what}: nobody can hold {capability!r}; declare it with access.declare in apps.py")
    names = {step.name for step in _steps(declared)}
    for step in _steps(declared):
        for other in step.other_than:
            if other not in names:
                say("unknown_step", f"step {step.name!r}: other_than names {other!r}, which is no step")
            elif other == step.name:
                say("self", f"step {step.name!r}: other_than names itself; whoever did it once could never again")
        if step is declared.open and (step.other_than or step.not_by or step.holder):
            say("open_from", f"the opening step {step.name!r}: nobody came before and nobody has it yet")


def _step(declared: Loop, step: Step, say: Any) -> None:
    ours = {column.name for column in CaseRow._meta.get_fields()}
    names: set[str] = set()
    for item, field in zip(step.form, declared.form_of(step), strict=True):
        where = f"step {step.name!r}, field {field.name!r}"
        if field.name in names:
            say("twice", f"{where}: is there twice")
        names.add(field.name)
        column = field.name in declared.columns or field.name == "point"
        if isinstance(item, str) and not column:
            say("field", f"{where}: is no field of the case")
        elif field.name in ours and not column:
            say("field", f"{where}: is kept by the loop itself and cannot be typed")
        elif not column and not (field.kind and str(field.label)):
            say("field", f"{where}: is no column of the case, so it needs a kind and a label")
    whole = names | {field.name for field in declared.fields}
    for field in declared.form_of(step):
        for fault in field_faults(field, declared.model if field.name in declared.columns else None, whole):
            say("field", f"step {step.name!r}, field {field.name!r}: {fault}")
    if step.evidence.photos < 0 or step.evidence.files < 0 or step.evidence.photos + step.evidence.files > 20:
        say("evidence", f"step {step.name!r}: evidence of {step.evidence.photos} photographs and {step.evidence.files} files")
    if isinstance(step.opens, str) and step.opens not in LOOPS:
        say("opens", f"step {step.name!r} opens {step.opens!r}, which nobody declares")


def _times(declared: Loop, say: Any) -> None:
    limits = [(f"step {step.name!r}", step.within) for step in _steps(declared) if isinstance(step.within, Within)]
    further = [("escalate", declared.escalate.every)] if declared.escalate else []
    if declared.recheck:
        further.append(("recheck", declared.recheck.within))
    for where, limit in [*limits, *further, *([("remind", declared.remind)] if declared.remind else [])]:
        given = [bool(limit.working_days), bool(limit.days), bool(limit.hours), bool(limit.field)]
        if sum(given) != 1 or limit.working_days < 0 or limit.days < 0 or limit.hours < 0:
            say("time", f"{where}: a time is so many working days, days or hours, or a date field: exactly one of them")
        if limit.field:
            try:
                column = declared.model._meta.get_field(limit.field)
            except FieldDoesNotExist:
                say("time", f"{where}: the case has no field {limit.field!r}")
            else:
                if not isinstance(column, models.DateField):
                    say("time", f"{where}: {limit.field!r} is no date")
    for step in _steps(declared):
        if step.within is not None and step.to in declared.state and declared.state[step.to].final:
            say("time", f"step {step.name!r}: a deadline in the final state {step.to!r} means nothing")
    if any(step.within is not None for step in _steps(declared)) and declared.escalate is None:
        say("unheard", "there are deadlines, but nobody hears when one has passed; say escalate=Up(every=…)", grave=False)


def in_use(declared: Loop) -> list[Fault]:
    """What the declaration meets in this installation: rights nobody holds, steps only one person could take, stranded cases."""
    from ..models import Assignment, Grant

    found = []
    persons: dict[str, set[Any]] = {}
    for step in _steps(declared):
        if step.may not in persons:
            posts = Grant.objects.filter(access._in_force(access.clock.now()), capability=step.may, post__active=True).values("post_id")
            persons[step.may] = set(Assignment.objects.filter(access._in_force(access.clock.now()), post_id__in=posts).values_list("person_id", flat=True))
        if not persons[step.may]:
            found.append(Fault("nobody_here", f"step {step.name!r}: nobody here holds {step.may!r}", False))
    for step in declared.step.values():
        for other in step.other_than:
            done_by = declared.step.get(other) or declared.open
            if len(persons.get(step.may, set())) == 1 and persons[step.may] == persons.get(done_by.may):
                found.append(Fault("one_person", f"step {step.name!r} needs another person than {other!r}, but one person alone may do both", False))
    for state in declared.model.plain.filter(loop=declared.name).exclude(state__in=list(declared.state)).values_list("state", flat=True).distinct():
        count = declared.model.plain.filter(loop=declared.name, state=state).count()
        found.append(Fault("stranded", f"{count} cases stand in the state {state!r}, which is declared no more", True))
    return found


@checks.register()
def loops_are_sound(**_: Any) -> list[checks.CheckMessage]:
    """A wrong declaration is said at start."""
    return [
        (checks.Error if fault.grave else checks.Warning)(f"loop {one.name}: {fault}", id="kernel.E020" if fault.grave else "kernel.W020")
        for one in LOOPS.values() for fault in lint(one)
    ]
