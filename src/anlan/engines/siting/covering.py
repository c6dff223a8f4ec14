"""Covering: LSCP (fewest sites that cover everybody), MCLP (p sites that cover most), p-center (smallest radius for p sites).

Toregas et al. 1971; Church and ReVelle 1974; Minieka 1970. `cover` is a boolean (n sites, m demands): site j reaches demand i in time.
"""
from __future__ import annotations

import numpy as np
from scipy import sparse

from . import mip
from .pmedian import Clock, Found


def lscp(cover: np.ndarray, *, price: np.ndarray | None = None, times: np.ndarray | int = 1, fixed: np.ndarray | None = None, budget: float = 60.0) -> Found:
    """The cheapest set (price 1 each unless given) that covers every demand `times` times. Every demand must be coverable: ask first.

    Found.cost is the price of the set; `bound` is proven.
    """
    clock = Clock(budget)
    n, m = cover.shape
    worth = np.ones(n) if price is None else np.asarray(price, float)
    need = np.broadcast_to(np.asarray(times, int), (m,)).copy()
    fixed = np.asarray([] if fixed is None else fixed, int)
    start = _greedy_cover(cover, worth, need, fixed)
    # A demand that asks for all another asks for (same or more sites reach the other) is covered when the harder one is.
    rows, wanted = _hardest(cover, need)
    low = np.zeros(n)
    low[fixed] = 1.0
    upper = float(worth[start].sum())
    values, bound, _ = mip.run(worth, low, np.ones(n), sparse.csr_matrix(rows.astype(float)), wanted, np.full(len(wanted), np.inf), np.ones(n, int), budget=clock.left)
    sites = start
    if values is not None:
        other = np.flatnonzero(values > 0.5)
        if (cover[other].sum(axis=0) >= need).all() and worth[other].sum() < upper - 1e-9:
            sites, upper = other, float(worth[other].sum())
    floor = float(worth[fixed].sum()) if bound is None or not np.isfinite(bound) else bound
    if np.all(worth == np.round(worth)):
        floor = float(np.ceil(floor - 1e-6))
    floor = min(floor, upper)
    return Found(upper, floor, np.sort(sites), floor >= upper - 1e-9 * (1 + upper), "HiGHS")


def mclp(cover: np.ndarray, weight: np.ndarray, p: int, *, times: int = 1, fixed: np.ndarray | None = None, budget: float = 60.0, gap: float = 0.0) -> Found:
    """p sites that cover the greatest weight (covered: by `times` open sites). Found.cost is the covered weight; `bound` is above it."""
    clock = Clock(budget)
    fixed = np.asarray([] if fixed is None else fixed, int)
    # Demands reached by the same sites are one demand.
    packed = np.packbits(cover, axis=0).T
    _, where, back = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    total = np.bincount(back.ravel(), weights=np.asarray(weight, float))
    a = cover[:, where]
    n, m = a.shape
    p = min(p, n)
    matrix = sparse.csr_matrix(a)
    sites = _greedy_most(matrix, total, p, fixed, times)
    value = _covered(a, total, sites, times)
    bound = float(total[a.any(axis=0)].sum())
    if times == 1:
        sites, value, bound = _climb(matrix, a, total, p, fixed, sites, value, bound, gap, clock)
    if bound <= value * (1 + gap) + 1e-9 * (1 + value) or clock.left <= 0:
        return Found(value, max(bound, value), np.sort(sites), bound <= value + 1e-9 * (1 + value), "Lagrangian bound")
    low = np.zeros(n + m)
    low[fixed] = 1.0
    link = sparse.hstack([-matrix.T.astype(float), sparse.identity(m) * float(times)])
    count = sparse.csr_matrix(np.r_[np.ones(n), np.zeros(m)][None])
    values, dual, _ = mip.run(
        np.r_[np.zeros(n), total], low, np.ones(n + m), sparse.vstack([count, link]), np.r_[p, np.full(m, -np.inf)], np.r_[p, np.zeros(m)],
        np.r_[np.ones(n), np.full(m, int(times > 1))].astype(int), budget=clock.left, maximise=True,
    )
    if values is not None:
        other = np.argsort(-values[:n])[:p]
        if (found := _covered(a, total, other, times)) > value:
            sites, value = other, found
    if dual is not None:
        bound = min(bound, dual)
    if np.all(total == np.round(total)):
        bound = float(np.floor(bound + 1e-6))
    bound = max(bound, value)
    return Found(value, bound, np.sort(sites), bound <= value + 1e-9 * (1 + value), "HiGHS")


def pcenter(distance: np.ndarray, p: int, *, times: int = 1, fixed: np.ndarray | None = None, budget: float = 60.0) -> Found:
    """p sites whose farthest demand is nearest: bisection over the distances, each step a covering question answered with proof. `times`: the farthest from its times-th nearest site,
    so that with 2 any one site may be lost."""
    clock = Clock(budget)
    n, m = distance.shape

    def reached(sites: np.ndarray) -> float:
        return float(np.partition(distance[sites], times - 1, axis=0)[times - 1].max())

    fixed = np.asarray([] if fixed is None else fixed, int)
    radii = np.unique(distance)
    sites = _farthest_first(distance, p, fixed)
    upper = reached(sites)
    # Nobody can be served nearer than his nearest site.
    low = int(np.searchsorted(radii, np.partition(distance, times - 1, axis=0)[times - 1].max()))
    high = int(np.searchsorted(radii, upper))
    asked = "bisection"
    while low < high:
        middle = (low + high) // 2
        cover = distance <= radii[middle]
        trial = _greedy_cover(cover, np.ones(n), np.full(m, times), fixed)
        if len(trial) > p:
            if clock.left <= 0:
                asked = "budget"
                break
            found = lscp(cover, times=times, fixed=fixed, budget=clock.left)
            if len(found.sites) > p:
                if found.bound <= p:
                    asked = "budget"
                    break
                low = middle + 1
                continue
            trial = found.sites
        sites = trial
        high = int(np.searchsorted(radii, reached(sites)))
    if len(sites) < p:  # more sites never hurt
        rest = np.setdiff1d(np.arange(n), sites)
        sites = np.r_[sites, rest[: p - len(sites)]]
    upper = reached(sites)
    bound = float(radii[min(low, len(radii) - 1)])
    return Found(upper, min(bound, upper), np.sort(sites), bound >= upper, asked)


def _greedy_cover(cover, worth, need, fixed) -> np.ndarray:
    missing = need.astype(float).copy()
    chosen: list[int] = []
    used = np.zeros(cover.shape[0], bool)
    for j in fixed:
        chosen.append(int(j))
        used[j] = True
        missing -= cover[j]
    while (missing > 0).any():
        gain = cover[:, missing > 0].sum(axis=1) / np.maximum(worth, 1e-12)
        gain[used] = -1
        j = int(np.argmax(gain))
        if gain[j] <= 0:
            raise ValueError("a demand cannot be covered")
        chosen.append(j)
        used[j] = True
        missing -= cover[j]
    spare = cover[chosen].sum(axis=0) - need
    for j in sorted(set(chosen) - set(map(int, fixed)), key=lambda one: -worth[one]):
        if (spare - cover[j] >= 0).all():
            spare = spare - cover[j]
            chosen.remove(j)
    return np.array(sorted(chosen), int)


def _hardest(cover, need) -> tuple[np.ndarray, np.ndarray]:
    """The rows that decide: one of each pattern, and none whose sites contain another's that asks as much."""
    packed = np.packbits(cover, axis=0).T
    _, where, back = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    wanted = np.zeros(where.size, int)
    np.maximum.at(wanted, back.ravel(), need)
    rows = cover[:, where].T
    if rows.shape[0] > 3000:
        return rows, wanted
    size = rows.sum(axis=1)
    both = rows.astype(np.float32) @ rows.T.astype(np.float32)
    inside = (both == size[None, :]) & (wanted[:, None] <= wanted[None, :])  # [a, b]: b's sites are all a's
    np.fill_diagonal(inside, False)
    keep = ~inside.any(axis=1)
    return rows[keep], wanted[keep]


def _covered(a, weight, sites, times) -> float:
    return float(weight[a[sites].sum(axis=0) >= times].sum())


def _greedy_most(matrix, weight, p, fixed, times) -> np.ndarray:
    chosen = [int(j) for j in fixed]
    count = np.asarray(matrix[chosen].sum(axis=0)).ravel() if chosen else np.zeros(matrix.shape[1])
    used = np.zeros(matrix.shape[0], bool)
    used[chosen] = True
    while len(chosen) < p:
        gain = matrix @ (weight * np.where(count < times, 1.0 / np.maximum(times - count, 1), 0.0))
        gain[used] = -1.0
        j = int(np.argmax(gain))
        chosen.append(j)
        used[j] = True
        count += np.asarray(matrix[[j]].todense()).ravel()
    return np.array(chosen, int)


def _climb(matrix, a, weight, p, fixed, sites, value, bound, gap, clock):
    """Subgradient on the covering rows: demand i pays price ≤ weight to its sites; p best-paid sites and the unpaid rest bound the answer."""
    n, m = a.shape
    price = weight / np.maximum(a[sites].sum(axis=0), 1)
    theta, stall, best_price = 1.0, 0, price.copy()
    low = np.isin(np.arange(n), fixed)
    for turn in range(400):
        paid = matrix @ price
        order = np.r_[np.flatnonzero(low), np.argsort(-np.where(low, -np.inf, paid), kind="stable")][:p]
        level = float((weight - price).sum() + paid[order].sum())
        if level < bound - 1e-12:
            stall = 0 if level < bound - 1e-5 * abs(bound) else stall + 1
            bound, best_price = level, price.copy()
        else:
            stall += 1
        found = _covered(a, weight, order, 1)
        if found > value:
            value, sites = found, order
        if turn % 50 == 49:
            swapped = _swap(a, weight, order, fixed)
            if (found := _covered(a, weight, swapped, 1)) > value:
                value, sites = found, swapped
        if bound <= value * (1 + gap) + 1e-9 * (1 + value) or clock.left <= 0:
            break
        if stall >= 10:
            theta, stall, price = theta * 0.6, 0, best_price.copy()
            if theta < 1e-3:
                break
            continue
        # The relaxed z_i is 1 (what is not paid counts), its sites' share Σ y: the difference is the subgradient.
        slope = a[order].sum(axis=0) - 1.0
        norm = float((slope * slope).sum())
        if norm == 0:
            break
        price = np.clip(price - theta * max(level - value, 1e-9) / norm * slope, 0.0, weight)
    return sites, value, bound


def _swap(a, weight, sites, fixed) -> np.ndarray:
    sites = [int(j) for j in sites]
    keep = set(map(int, fixed))
    for _round in range(20):
        count = a[sites].sum(axis=0)
        loss = np.array([np.inf if j in keep else weight[(count == 1) & a[j]].sum() for j in sites])
        out = int(np.argmin(loss))
        rest = count - a[sites[out]]
        gain = a @ (weight * (rest == 0))
        gain[sites] = -1
        j = int(np.argmax(gain))
        if gain[j] <= loss[out] + 1e-12:
            break
        sites[out] = j
    return np.array(sites, int)


def _farthest_first(distance, p, fixed) -> np.ndarray:
    chosen = [int(j) for j in fixed] or [int(np.argmin(distance.max(axis=1)))]
    near = distance[chosen].min(axis=0)
    while len(chosen) < p:
        j = int(np.argmin(distance[:, int(np.argmax(near))]))
        if j in chosen:
            j = next(k for k in range(distance.shape[0]) if k not in chosen)
        chosen.append(j)
        near = np.minimum(near, distance[j])
    return np.array(chosen, int)
