"""Rules over time series of measurements: which series changed colour, when, and on what evidence.

    from anlan.engines.series import Engine, Rule

Everything is whole numbers. A value is fixed-point: an int64 count of the quantity's quantum (0.001 mm, 1 mm of
level ...), because running sums of binary fractions miss thresholds that are met exactly. Times are whole seconds
since 1970-01-01T00:00Z. No Django, no network and no clock: "now" is an argument.
"""
from .engine import (
    BLUE,
    CONFLICT,
    DUPLICATE,
    NEVER,
    NEW,
    NONE,
    OLD,
    ORANGE,
    RED,
    UNKNOWN,
    YELLOW,
    Engine,
    Folded,
    Rule,
    Transitions,
    silence,
    stale,
)

__all__ = [
    "BLUE", "CONFLICT", "DUPLICATE", "NEVER", "NEW", "NONE", "OLD", "ORANGE", "RED", "UNKNOWN", "YELLOW",
    "Engine", "Folded", "Rule", "Transitions", "silence", "stale",
]
