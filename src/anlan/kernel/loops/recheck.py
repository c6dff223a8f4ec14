"""The loop of re-checks (复查抽查): a closed case is looked at again by somebody who had no hand in it; what fails reopens the case."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from ..models import CaseStep, Recheck
from ..registers.declare import Field
from .declare import LOOPS, Evidence, Loop, State, Step, Up, Within, get, loop


def hands(case: Any) -> Iterable[UUID]:
    """Every natural person who took a step of the case that is re-checked."""
    return CaseStep.plain.filter(case_id=case.of_case, kind=CaseStep.STEP).exclude(person=None).values_list("person", flat=True)


def time_limit(case: Any) -> Within:
    """As the loop of the re-checked case declares."""
    found = LOOPS.get(case.of_loop)
    return found.recheck.within if found and found.recheck else Within(working_days=20)


def reopen(act: Any, case: Any, data: dict[str, Any]) -> None:
    """The re-check found it undone: the case opens again, on the re-check's authority, where its loop has a way to."""
    from . import actions

    declared = get(case.of_loop)
    row = act.lock(declared.model, case.of_case, check_version=False)
    step = declared.reopen
    if step is not None and row.state in step.from_:
        actions.take(act, declared, step, row, note=f"{case.number}: {case.finding}")


FINDING = Field("finding", required=True)

RECHECK = Loop(
    "kernel.recheck", Recheck, label=_("Re-checks"), one=_("Re-check"), read="loops.recheck", number="FC-{year}-{n:05}", icon="search-check", by_hand=False,
    fields=(Field("title", column=True, search=True), Field("of_number", column=True, search=True), FINDING),
    states=(
        State("drawn", _("Drawn")), State("passed", _("Confirmed"), final=True, note=_("It was found as it was closed.")),
        State("failed", _("Not confirmed"), final=True, note=_("The case was opened again.")),
    ),
    open=Step("draw", _("Draw"), to="drawn", may="loops.recheck", within=time_limit),
    steps=(
        Step("confirm", _("Confirm"), from_=("drawn",), to="passed", may="loops.recheck", form=(FINDING,), evidence=Evidence(photos=1), not_by=hands),
        Step(
            "refute", _("Not in order"), from_=("drawn",), to="failed", may="loops.recheck", form=(FINDING,), evidence=Evidence(photos=1), not_by=hands, after=reopen, danger=True,
            confirm=_("This opens the case again. Go on?"),
        ),
    ),
    escalate=Up(every=Within(working_days=5)),
)


def start() -> None:
    """Called by the kernel's app, before the rooms' own loops."""
    if RECHECK.name not in LOOPS:
        loop(RECHECK)
