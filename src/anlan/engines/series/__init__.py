"""Rules over time series of measurements: which series changed colour, when, and on what evidence.

    from anlan.engines.series import Engine, Rule

Everything is whole numbers. A value is fixed-point: an int64 count of the quantity's quantum (0.001 mm, 1 mm of
level ...), because running sums of binary fractions miss thresholds that are met exactly. Times are whole seconds
since 1970-01-01T00:00Z. No Django, no network and no clock: "now" is an argument.
"""
from .engine import (
    CONFLICT,
    DUPLICATE,
    FATES,
    FUTURE,
    NEW,
    OLD,
    RANGE,
    UNHEARD,
    Engine,
    Folded,
    Grid,
    Transitions,
    silence,
    stale,
)
from .rules import BLUE, NEVER, NONE, ORANGE, RED, UNKNOWN, YELLOW, Colours, Measure, Rule, Silence, Term

__all__ = [
    "BLUE", "CONFLICT", "DUPLICATE", "FATES", "FUTURE", "NEVER", "NEW", "NONE", "OLD", "ORANGE", "RANGE", "RED", "UNHEARD", "UNKNOWN", "YELLOW",
    "Colours", "Engine", "Folded", "Grid", "Measure", "Rule", "Silence", "Term", "Transitions", "silence", "stale",
]
