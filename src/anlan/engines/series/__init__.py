"""Rules over time series of measurements: which series changed colour, when, and on what evidence.

    from anlan.engines.series import Engine, Exact, Rule

`Engine` judges each reading at once, `Exact` each bin once behind the watermark, `Both` says what the second makes of the
first. `rules.py` says what can be judged, `kernels.py` how fast.

Everything is whole numbers. A value is fixed-point: an int64 count of the quantity's quantum (0.001 mm, 1 mm of
level ...), because running sums of binary fractions miss thresholds that are met exactly. Times are whole seconds
since 1970-01-01T00:00Z. No Django, no network and no clock: "now" is an argument.
"""
from .both import Both, Quorum, Revision
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
from .exact import Exact
from .rules import BLUE, NEVER, NONE, ORANGE, RED, UNKNOWN, YELLOW, Colours, Measure, Rule, Silence, Term

__all__ = [
    "BLUE", "CONFLICT", "DUPLICATE", "FATES", "FUTURE", "NEVER", "NEW", "NONE", "OLD", "ORANGE", "RANGE", "RED", "UNHEARD", "UNKNOWN", "YELLOW",
    "Both", "Colours", "Engine", "Exact", "Folded", "Grid", "Measure", "Quorum", "Revision", "Rule", "Silence", "Term", "Transitions", "silence", "stale",
]
