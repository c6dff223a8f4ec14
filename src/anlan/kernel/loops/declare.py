"""How a room declares a closed loop (闭环): states, steps, deadlines; everything else comes from the declaration.

    loop(Loop("inspection.danger", Danger, label=_("Hidden dangers"), …, states=(…), open=Step(…), steps=(…)))

in `<room>/loops.py`, which the kernel imports at start. `loops/lint.py` says what is wrong with a declaration.
"""
from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import access, subjects
from ..registers.declare import Field, Register, register
from . import holidays
from .errors import NO_LOOP

LOOPS: dict[str, Loop] = {}


@dataclass(frozen=True)
class Within:
    """A length of time: working days, calendar days (moved to a working day), hours, or until a date in a field of the case."""

    working_days: int = 0
    days: int = 0
    hours: float = 0
    field: str = ""

    def after(self, since: datetime, case: Any = None) -> holidays.Deadline | None:
        """The deadline counted from `since` (aware UTC); None when the named field is empty."""
        if self.field:
            value = getattr(case, self.field, None)
            if isinstance(value, datetime):
                return holidays.Deadline(value)
            return holidays.end_of(value) if isinstance(value, date) else None
        if self.working_days:
            return holidays.after(since, self.working_days)
        if self.days:
            return holidays.days_after(since, self.days)
        return holidays.Deadline(since + timedelta(hours=self.hours))

    def before(self, deadline: datetime) -> datetime:
        """That long before a deadline, for a reminder."""
        if self.working_days:
            return holidays.before(deadline, self.working_days)
        return deadline - timedelta(days=self.days, hours=self.hours)


@dataclass(frozen=True)
class State:
    """A state a case can stand in. A final one closes it; one at `rest` waits for nobody until its deadline is near."""

    name: str
    label: Any
    final: bool = False
    rest: bool = False
    note: Any = ""


@dataclass(frozen=True)
class Evidence:
    """What must be handed in with a step: so many photographs, so many files of any kind."""

    photos: int = 0
    files: int = 0


@dataclass(frozen=True)
class Up:
    """What is overdue goes one post up, and again after each period; `levels` limits how far."""

    every: Within
    levels: int = 9


@dataclass(frozen=True)
class Sample:
    """Closed cases looked at again: a share of those closed in a month, drawn by weight (default: the case's risk)."""

    share: float
    weight: Callable[[Any], float] | None = None
    within: Within = Within(working_days=20)


@dataclass(frozen=True)
class Step:
    """A move from one of some states to a state.

    `may`: capability, over the case's region or its unit. `holder`: only the post that has the case, or one it went up to.
    `form`: fields; one named like a column of the case is written to it. `other_than`: steps whose doer (a natural person)
    may not do this one; `not_by(case)`: further persons who may not. `within`: deadline of the state reached, or a function
    of the case that gives it. `guard(case, data)`: a sentence why not, or None. `opens`: a loop, or a function
    (case, data) → {"loop", "values"} or None. `assign(case)`: the post that has it next. `confirm`: a question asked first.
    `after(act, case, data)`: done in the same transaction.
    """

    name: str
    label: Any
    from_: tuple[str, ...] = ()
    to: str = ""
    may: str = ""
    form: tuple[Any, ...] = ()  # Field, or the name of one of the case's own
    evidence: Evidence = Evidence()
    other_than: tuple[str, ...] = ()
    not_by: Callable[[Any], Iterable[Any]] | None = None
    holder: bool = False
    within: Within | Callable[[Any], Within | None] | None = None
    guard: Callable[[Any, dict[str, Any]], Any] | None = None
    opens: str | Callable[[Any, dict[str, Any]], dict[str, Any] | None] | None = None
    assign: Callable[[Any], Any] | None = None
    after: Callable[[Any, Any, dict[str, Any]], None] | None = None
    confirm: Any = ""
    danger: bool = False

    def limit(self, case: Any) -> Within | None:
        return self.within(case) if callable(self.within) else self.within


@dataclass(frozen=True)
class Loop:
    """A closed loop. `number` may hold {year}, {month}, {day} and {n} (counted within the rest); `reopen` leads out of final states."""

    name: str
    model: Any
    label: Any
    one: Any
    read: str
    states: tuple[State, ...]
    open: Step
    steps: tuple[Step, ...]
    fields: tuple[Field, ...] = ()
    number: str = "{year}-{n:05}"
    reopen: Step | None = None
    assign_may: str = ""
    remind: Within | None = None
    escalate: Up | None = None
    recheck: Sample | None = None
    risk: Callable[[Any], float] | None = None
    subject: str = ""
    icon: str = "refresh-cw"
    sources: str = ""  # code list of the column `source`
    by_hand: bool = True  # whether people open its cases; else only other steps and draws do
    tabs: tuple[tuple[Any, str, str], ...] = ()  # (label, url name, icon) of further pages of the room, beside board and list
    panels: tuple[Callable, ...] = ()  # (request, case) → (title, template, context) for the case's page
    marks: Callable[[Any], Iterable[str]] | None = None  # (case) → keys and codes of labels that open it on a telephone
    new_page: str = ""  # url name of the room's own page that opens a case, where a form of fields will not do

    @cached_property
    def kind(self) -> str:
        """The subject kind of its cases: `danger` in `danger:<uuid>`."""
        return self.subject or self.name.rpartition(".")[2]

    @cached_property
    def state(self) -> dict[str, State]:
        return {state.name: state for state in self.states}

    @cached_property
    def step(self) -> dict[str, Step]:
        """Every step but the one that opens, by name."""
        return {step.name: step for step in (*self.steps, *((self.reopen,) if self.reopen else ()))}

    @cached_property
    def finals(self) -> tuple[str, ...]:
        return tuple(state.name for state in self.states if state.final)

    def steps_from(self, state: str) -> list[Step]:
        return [step for step in self.step.values() if state in step.from_]

    @cached_property
    def moves(self) -> list[tuple[str, str, str, tuple[str, ...]]]:
        """(step, from, to, others) of every move the declaration allows."""
        return [(self.open.name, "", self.open.to, ())] + [
            (step.name, state, step.to, step.other_than) for step in self.step.values() for state in step.from_
        ]

    @cached_property
    def digest(self) -> str:
        """Which rules these are: changes when a state, a move, a right or a form changes."""
        shape = [
            [[state.name, state.final] for state in self.states], sorted([*move[:3], sorted(move[3])] for move in self.moves),
            sorted([step.name, step.may, step.evidence.photos, step.evidence.files, sorted(name_of(item) for item in step.form)] for step in (self.open, *self.step.values())),
        ]
        return hashlib.sha256(json.dumps(shape).encode()).hexdigest()[:16]

    def subject_of(self, case: Any) -> str:
        return f"{self.kind}:{getattr(case, 'pk', case)}"

    @cached_property
    def columns(self) -> set[str]:
        """Columns of the case's table that a form may write: those the room added, and what says what and where the case is."""
        from ..models import CaseRow

        ours = {column.name for column in CaseRow._meta.get_fields()} - {"title", "source", "region", "organisation"}
        return {column.name for column in self.model._meta.concrete_fields} - ours - {"id", "version", "home", "created_at", "realm"}

    @cached_property
    def fields_bound(self) -> tuple[Field, ...]:
        """The case's own fields, as the model completes them."""
        return tuple(item.bind(self.model) for item in self.fields)

    def form_of(self, step: Step) -> list[Field]:
        """The step's fields as the model completes them; a name stands for the case's own field."""
        return self._forms[step.name]

    @cached_property
    def _forms(self) -> dict[str, list[Field]]:
        own = {item.name: item for item in self.fields}
        return {
            step.name: [(own.get(item, Field(item)) if isinstance(item, str) else item).bind(self.model) for item in step.form]
            for step in (self.open, *self.step.values())
        }

    @cached_property
    def register(self) -> Register:
        """The cases as a list: search, filters, saved views, columns, export come from the registers' mechanism; writes only through steps."""
        given = {item.name: item for item in self.fields}
        listed = (
            Field("number", label=_("Case number"), column=True, search=True, sort=True, readonly=True), given.pop("title", Field("title", column=True, search=True)),
            Field("state", kind="choice", choices=tuple((state.name, state.label) for state in self.states), column=True, filter=True, readonly=True),
            Field("due_at", column=True, sort=True, readonly=True), Field("late", label=_("Late"), filter=True, readonly=True),
            given.pop("source", Field("source", codes=self.sources, filter=bool(self.sources))), *given.values(),
            Field("opened_at", sort=True, readonly=True), Field("closed_at", sort=True, readonly=True), Field("reopened", readonly=True), Field("escalated", readonly=True),
        )
        return Register(
            self.name, self.model, label=self.label, one=self.one, read=self.read, write=self.open.may, fields=listed, title="title", note=("number",), sort="-opened_at",
            icon=self.icon, subject=self.kind, page="kernel:case", steps_only=True,
        )

    def state_label(self, name: str) -> str:
        return str(self.state[name].label) if name in self.state else name

    def step_label(self, name: str) -> str:
        if name == self.open.name:
            return str(self.open.label)
        return str(self.step[name].label) if name in self.step else name

    def as_json(self, actor: Any = None) -> dict[str, Any]:
        """The declaration in the reader's language, for the API and the phone; `may` says whether the actor may anywhere."""

        def of(step: Step) -> dict[str, Any]:
            limit = step.within if isinstance(step.within, Within) else None
            return {
                "name": step.name, "label": str(step.label), "from": list(step.from_), "to": step.to, "to_label": self.state_label(step.to),
                # What people do not open by a form of fields, a telephone does not offer either.
                "may": not (step is self.open and (self.new_page or not self.by_hand)) and (actor is None or access.may(actor, step.may) if step.may else True),
                "form": [item.as_json() for item in self.form_of(step)],
                "evidence": {"photos": step.evidence.photos, "files": step.evidence.files},
                "other_than": list(step.other_than), "holder": step.holder, "confirm": str(step.confirm), "danger": step.danger,
                "within": {"working_days": limit.working_days, "days": limit.days, "hours": limit.hours, "field": limit.field} if limit else None,
            }

        return {
            "name": self.name, "label": str(self.label), "one": str(self.one), "icon": self.icon, "subject": self.kind, "rules": self.digest,
            "states": [{"name": state.name, "label": str(state.label), "final": state.final, "note": str(state.note)} for state in self.states],
            "fields": [item.as_json() for item in self.fields_bound],
            "open": of(self.open), "steps": [of(step) for step in self.step.values()],
        }


def name_of(item: Field | str) -> str:
    return item if isinstance(item, str) else item.name


def loop(declared: Loop) -> Loop:
    """Make a loop known: its pages, its list, its subject, its place in the search."""
    if declared.name in LOOPS:
        raise RuntimeError(f"loop {declared.name} is declared twice")
    LOOPS[declared.name] = declared
    if declared.kind not in subjects.KINDS:
        subjects.register(declared.kind, declared.model._meta.label, "kernel:case", declared.one)
    register(declared.register)
    return declared


def get(name: str) -> Loop:
    """The declared loop. kernel.no_loop."""
    if name not in LOOPS:
        raise NO_LOOP(loop=name)
    return LOOPS[name]


def forget(name: str) -> None:
    """Take a declaration back; for tests."""
    from ..registers.declare import REGISTERS

    LOOPS.pop(name, None)
    REGISTERS.pop(name, None)


def write_rules() -> int:
    """Tell the database which moves the declarations allow: its trigger refuses every other, whoever writes. Returns how many."""
    from django.db import connection, transaction

    from ..models import LoopRule

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('kernel_looprule')")
            if cursor.fetchone()[0] is None:
                return 0
        LoopRule.objects.all().delete()
        rules = [LoopRule(loop=one.name, step=step, from_state=start, to_state=end, others=list(others)) for one in LOOPS.values() for step, start, end, others in one.moves]
        LoopRule.objects.bulk_create(rules)
    return len(rules)
