"""Activation conditions of contingency plans: CEL over known terms, in three values, and the plan file that holds them.

Plain values in, plain values out; no Django, no network, no clock.

- `vocabulary`: the published list of terms a condition may use, with types and units.
- `syntax`: the part of CEL a condition may use, parsed with positions.
- `condition`: type check, evaluation (met / not met / cannot tell) and explanation.
- `planfile`: reads, checks and digests a plan file; refuses hostile ones.
- `coverage`: the area over which gauges exceed a value.
"""
from .condition import Condition, Outcome, PlaceSpec, Step, Verdict, compile_condition
from .planfile import PlanFile, Trouble, digest_of, read_plan
from .syntax import ConditionError
from .vocabulary import Key, TermSpec, Vocabulary

__all__ = [
    "Condition", "ConditionError", "Key", "Outcome", "PlaceSpec", "PlanFile", "Step", "TermSpec", "Trouble", "Verdict", "Vocabulary",
    "compile_condition", "digest_of", "read_plan",
]
