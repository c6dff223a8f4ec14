"""Compile the kernels ahead of the first batch: `python -m anlan.engines.series.warm`, and at the start of a sensing worker.

What is compiled is kept (beside the package, or in the user's cache directory): the second time this takes about a second.
"""
from __future__ import annotations

import numpy as np

from .engine import Engine, Grid
from .exact import Exact
from .rules import Colours, Measure, Rule, Term


def warm(exact: bool = False) -> None:
    """Run every kernel once on a handful of readings; with `exact` also those of the engine behind the watermark."""
    time, value = np.array([3600, 7200], np.int64), np.array([1, 2], np.int64)
    table = Rule("sum", np.array([7200, 3600, 3600, 3600], np.int64), np.array([[1, 2, 9, 9]], np.int64))
    for grid in (None, Grid(300, 0, 7200)):
        engine = Engine(1, [table], grid=grid)
        engine.fold(np.zeros(2, np.int64), time, value)
        engine.fold(np.zeros(2, np.int64), time + 7200, value + (1 << 20))  # too large for a ring of 16 bits: made anew with 32
        engine.rejudge()
    engine = Engine(1, [table])
    engine.newest[0], engine.last[0] = 7200, 2
    engine.prime(np.zeros(2, np.int64), time, value)
    if exact:
        judge = Exact(1, [Colours((Term(1, Measure("sum", 3600), 1),))], grid=Grid(300, 0, 7200))
        judge.fold(np.zeros(2, np.int64), time, value)
        judge.finish()


if __name__ == "__main__":
    warm(exact=True)
