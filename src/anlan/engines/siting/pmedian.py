"""p-median: open p of n sites so that serving every demand from its nearest open site costs least; with a proof of how near that is.

Search gives a set, the Lagrangian dual a bound, reduced costs throw sites out, and branch and bound (few sites) or HiGHS (many)
closes what is left. The bound is as good as the proof: it is recomputed, never taken from a solver's status.
"""
from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from . import kernels

BRANCH_UP_TO = 40  # medians; above, the linear relaxation is nearly tight and HiGHS is the better finish (measured on pmed1–40)
SAMPLE = 8_000  # demands a start is searched on when there are more
BIG = 20_000_000  # cost entries above which a full pass takes a tenth of a second: fewer, longer steps


@dataclass
class Found:
    """`cost` and `bound` in the units of the cost matrix; `sites` are row numbers; proven when nothing cheaper can exist."""

    cost: float
    bound: float
    sites: np.ndarray
    proven: bool
    how: str


class Clock:
    """CPU seconds since the start, against a budget."""

    def __init__(self, budget: float) -> None:
        self.start, self.budget = time.process_time(), budget

    @property
    def left(self) -> float:
        return self.budget - (time.process_time() - self.start)


def solve(
    cost: np.ndarray, p: int, *, fixed: np.ndarray | None = None, where: np.ndarray | None = None, weight: np.ndarray | None = None,
    budget: float = 60.0, gap: float = 0.0, seed: int = 1,
) -> Found:
    """`cost` (n sites, m demands), finite, weights within; `fixed` sites are open whatever it costs (they count among the p).

    `where` (m, d) and `weight` (m) only help large cases to a good start. Stops at `budget` CPU seconds or when the gap is at most
    `gap` (a share of the bound), and says how far it came.
    """
    clock = Clock(budget)
    n, m = cost.shape
    fixed = np.unique(np.asarray([] if fixed is None else fixed, dtype=np.int64))
    integral = cost.size <= BIG and bool(np.all(cost == np.round(cost)))
    pool = np.setdiff1d(np.arange(n), fixed)
    if p >= n or fixed.size == p:
        sites = np.arange(n) if p >= n else fixed
        total = kernels.total_cost(cost, sites)
        return Found(total, total, sites, True, "no choice")
    rng = np.random.default_rng(seed)

    sites = np.concatenate([fixed, rng.choice(pool, p - fixed.size, replace=False)])
    guess = None
    if m > SAMPLE:
        sites, guess = _from_a_sample(cost, p, sites, pool, fixed, where, weight, rng, seed)
    if cost.size > BIG:
        upper = kernels.total_cost(cost, sites)
    else:
        upper, sites = kernels.search(cost, pool, sites, fixed.size, 12, 6, seed)

    def unit() -> float:
        # Integer costs: whoever is cheaper is cheaper by 1. Others: a proof to nine figures.
        return 1.0 - 1e-6 if integral else 1e-9 * (1.0 + abs(upper))

    def closed() -> bool:
        return bound > upper - unit() or upper - bound <= gap * abs(bound)

    state = np.zeros(n, np.int8)
    state[fixed] = 1
    price, reduced, chosen = np.empty(m), np.empty(n), np.empty(p, np.int64)
    two = np.partition(cost[sites], 1, axis=0)[1] if p > 1 else cost[sites][0]
    start = np.asarray(two, dtype=float) if guess is None else guess
    bound, theta = -np.inf, 1.5 if guess is None else 1.0
    kept_price, kept_reduced, kept_chosen = start, np.zeros(n), sites
    rounds = 45 if cost.size > BIG else 300
    for turn in range(40):
        own, theta = kernels.dual(cost, kept_price.copy(), state, p, upper, max(unit(), gap * abs(upper)), rounds, theta, 5 if cost.size > BIG else 20, price, reduced, chosen)
        progress = own - bound
        if own > bound:
            bound, kept_price, kept_reduced, kept_chosen = own, price.copy(), reduced.copy(), chosen.copy()
        if closed() or clock.left <= 0:
            break
        # The dual's own set is a good place to look from.
        begin = _fixed_first(kept_chosen, fixed)
        around = _worth_trying(kept_reduced, kept_chosen, state, upper - unit() - bound, pool)
        if cost.size > BIG:
            trial = begin.copy()
            ranked = pool[np.argsort(kept_reduced[pool])][: 3 * p]
            total = kernels.interchange(cost, ranked, trial, fixed.size)
        else:
            total, trial = kernels.search(cost, around, begin, fixed.size, 10, 6, seed + turn)
        better = total < upper - 1e-9 * (1.0 + abs(upper))
        if better:
            upper, sites = total, trial
        if closed() or clock.left <= 0:
            break
        theta = max(0.02, theta if cost.size > BIG else 0.9 * 0.6**turn)
        if turn >= 3 and not better and progress < 0.02 * (upper - bound) and (cost.size <= BIG or theta <= 0.03):
            break
    if closed():
        return _found(cost, sites, bound, upper, integral, gap, "bound")
    if cost.size <= BIG and clock.left > 0:
        # Once more, longer, where the optimum can still be.
        around = _worth_trying(kept_reduced, kept_chosen, state, upper - unit() - bound, pool)
        total, trial = kernels.search(cost, around, _fixed_first(sites, fixed), fixed.size, 40, 8, seed + 99)
        if total < upper - 1e-9 * (1.0 + abs(upper)):
            upper, sites = total, trial
        if closed():
            return _found(cost, sites, bound, upper, integral, gap, "bound")
    if clock.left <= 0:
        return _found(cost, sites, bound, upper, integral, gap, "budget")
    left, opened = _fixing(kept_reduced, kept_chosen, state, upper - unit() - bound)
    keep = np.flatnonzero(left)
    if cost.size > BIG:
        return _found(cost, sites, bound, upper, integral, gap, "budget")
    if p <= BRANCH_UP_TO:
        small = np.ascontiguousarray(cost[keep], dtype=float)
        inner = np.zeros(keep.size, np.int8)
        inner[opened[keep]] = 1
        local = np.zeros(p, np.int64)
        lowest, nodes = bound, 0
        per_node = max(1e-5, keep.size * m * 2e-9 * 90)
        upper2, nodes, finished, lowest = kernels.branch(small, inner, kept_price, p, upper, unit(), 0, local, max(50, int(clock.left / per_node)))
        if upper2 < upper - 1e-9 * (1.0 + abs(upper)):
            upper, sites = upper2, keep[local]
        bound = max(bound, upper - unit() if finished else min(lowest, upper - unit()))
        return _found(cost, sites, bound, upper, integral, gap, f"branch and bound, {nodes} nodes")
    from .mip import finish

    total, other, low = finish(cost, p, keep, opened, kept_price, kept_reduced, kept_chosen, upper, unit(), bound, clock.left)
    if other is not None and total < upper - 1e-9 * (1.0 + abs(upper)):
        upper, sites = total, other
    bound = max(bound, min(low, upper - unit()) if low is not None else bound)
    return _found(cost, sites, bound, upper, integral, gap, "HiGHS on what reduced costs left")


def _from_a_sample(cost, p, sites, pool, fixed, where, weight, rng, seed):
    """(a good set, prices or None): search and dual on some demands; every other demand asks its neighbours what a unit would pay."""
    m = cost.shape[1]
    some = rng.choice(m, SAMPLE, replace=False)
    part = np.ascontiguousarray(cost[:, some], dtype=float)
    upper, sites = kernels.search(part, pool, sites, fixed.size, 8, 6, seed)
    if where is None or weight is None or cost.size <= BIG:
        return sites, None
    from scipy.spatial import cKDTree

    state = np.zeros(cost.shape[0], np.int8)
    state[fixed] = 1
    price, reduced, chosen = np.empty(SAMPLE), np.empty(cost.shape[0]), np.empty(p, np.int64)
    first = np.partition(part[sites], 1, axis=0)[1] if p > 1 else part[sites][0].copy()
    kernels.dual(part, first, state, p, upper, 0.0, 500, 1.5, 15, price, reduced, chosen)
    total, other = kernels.search(part, pool, _fixed_first(chosen, fixed), fixed.size, 4, 6, seed + 1)
    if total < upper:
        upper, sites = total, other
    kernels.dual(part, price.copy(), state, p, upper, 0.0, 500, 0.3, 15, price, reduced, chosen)
    unit_price = price / np.maximum(weight[some], 1e-12)
    distance, neighbour = cKDTree(where[some]).query(where, k=3)
    share = 1.0 / (distance + 1e-9 * (1.0 + distance.max()))
    return sites, (unit_price[neighbour] * share).sum(axis=1) / share.sum(axis=1) * weight


def _found(cost, sites, bound, upper, integral, gap, how) -> Found:
    total = float(kernels.total_cost(cost, sites))
    if integral:
        total = round(total)
        proven = bound > total - 1.0 + 0.9e-6 or bound >= total
        bound = total if proven else float(np.ceil(bound - 1e-6))
    else:
        proven = bound >= total - 2e-9 * (1.0 + abs(total))
        bound = total if proven else min(bound, total)
    return Found(float(total), float(bound), np.sort(sites), bool(proven), how)


def _fixed_first(sites: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    return np.concatenate([fixed, np.setdiff1d(sites, fixed)]).astype(np.int64)


def _fixing(reduced: np.ndarray, chosen: np.ndarray, state: np.ndarray, slack: float) -> tuple[np.ndarray, np.ndarray]:
    """(sites that may still be in a better set, sites that are in every better set) by reduced costs."""
    inside = np.zeros(reduced.size, bool)
    inside[chosen] = True
    free = state == 0
    worst_in = reduced[inside & free].max() if (inside & free).any() else -np.inf
    best_out = reduced[~inside & free].min() if (~inside & free).any() else np.inf
    left = inside | (free & (reduced - worst_in <= slack))
    opened = (state == 1) | (inside & free & (best_out - reduced > slack))
    return left, opened


def _worth_trying(reduced, chosen, state, slack, pool) -> np.ndarray:
    left, _ = _fixing(reduced, chosen, state, slack)
    return np.intersect1d(np.flatnonzero(left), pool)
