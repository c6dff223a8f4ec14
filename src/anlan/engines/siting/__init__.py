"""Siting (选址): where to open what, with a proof of how near to the best the answer is.

    read(raw, kind) -> Problem        OR-Library `pmed` text or JSON (docs/solve.md)
    solve(problem) -> dict            p-median, p-center, LSCP, MCLP; fixed sites, capacities, budgets, levels, scenarios
    pmedian.solve, covering.lscp / mclp / pcenter      the same on arrays

No Django, no network, no clock but the CPU's; seeded.
"""
from .problem import BadProblem, Problem, read, solve

__all__ = ["BadProblem", "Problem", "read", "solve"]
