"""Sentences for what the loops state, and words for their states and steps."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from .. import shell
from .declare import LOOPS

shell.words_for({
    "kernel.CaseOpened": _("{number} opened: {case_state}"),
    "kernel.CaseStepped": _("{number}: {case_step}; now {case_state}"),
    "kernel.CaseCommented": _("A remark on {number}"),
    "kernel.CaseAssigned": _("{number} was given to {to_post}"),
    "kernel.CaseReminded": _("{number} runs out soon; {post} was reminded"),
    "kernel.CaseOverdue": _("{number} is overdue ({case_state}); gone up to {to_post}"),
    "kernel.CaseDeadlineMoved": _("The deadline of {number} was counted again: the working calendar changed"),
    "kernel.RechecksDrawn": _("Of {population} closed cases some were drawn for re-checking, with the seed {seed}"),
})


def _state(value: Any) -> str:
    loop, _slash, name = str(value).partition("/")
    return LOOPS[loop].state_label(name) if loop in LOOPS else str(value)


def _step(value: Any) -> str:
    loop, _slash, name = str(value).partition("/")
    return LOOPS[loop].step_label(name) if loop in LOOPS else str(value)


shell.values_for({"case_state": _state, "case_step": _step})
