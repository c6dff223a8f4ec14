"""The compiled inner loops of siting. Costs lie site by site: `cost[j, i]` is what demand i costs when site j serves it.

Everything here is seeded and single-threaded, so the same question has the same answer.
"""
from __future__ import annotations

import numpy as np
from numba import njit

HUGE = 1e300


@njit(cache=True)
def _nearest_two(cost, sites, first, second):
    """Write the positions in `sites` of each demand's nearest and second nearest open site; returns the total cost."""
    total = 0.0
    for i in range(cost.shape[1]):
        a = b = -1
        da = db = HUGE
        for k in range(sites.size):
            d = cost[sites[k], i]
            if d < da:
                b, db, a, da = a, da, k, d
            elif d < db:
                b, db = k, d
        first[i], second[i] = a, b
        total += da
    return total


@njit(cache=True)
def total_cost(cost, sites):
    """The cost of serving every demand from the nearest of these sites."""
    total = 0.0
    for i in range(cost.shape[1]):
        best = HUGE
        for k in range(sites.size):
            d = cost[sites[k], i]
            if d < best:
                best = d
        total += best
    return total


@njit(cache=True)
def interchange(cost, pool, sites, n_fixed):
    """Swap one open site for one of `pool` as long as that saves anything; `sites` is changed in place, its first `n_fixed` stay.

    The saving of all swaps that bring in one site costs one pass over the demands (Whitaker 1983: what leaving site k loses, less
    what the newcomer catches); the first swap that saves is taken. Returns the total cost.
    """
    m, p = cost.shape[1], sites.size
    is_open = np.zeros(cost.shape[0], np.bool_)
    for k in range(p):
        is_open[sites[k]] = True
    first = np.empty(m, np.int64)
    second = np.empty(m, np.int64)
    d1 = np.empty(m)
    d2 = np.empty(m)
    loss = np.zeros(p)
    extra = np.empty(p)

    total = _nearest_two(cost, sites, first, second)
    for i in range(m):
        d1[i] = cost[sites[first[i]], i]
        d2[i] = cost[sites[second[i]], i] if second[i] >= 0 else HUGE
        loss[first[i]] += d2[i] - d1[i]
    if n_fixed >= p:
        return total
    idle, at = 0, 0
    while idle < pool.size:
        j = pool[at]
        at = at + 1 if at + 1 < pool.size else 0
        idle += 1
        if is_open[j]:
            continue
        gain = 0.0
        extra[:] = 0.0
        for i in range(m):
            dj = cost[j, i]
            if dj < d2[i]:
                if dj < d1[i]:
                    gain += d1[i] - dj
                    extra[first[i]] += d2[i] - d1[i]
                else:
                    extra[first[i]] += d2[i] - dj
        out = -1
        best = 1e-9 * (1.0 + abs(total))
        for k in range(n_fixed, p):
            saved = gain - loss[k] + extra[k]
            if saved > best:
                best, out = saved, k
        if out < 0:
            continue
        is_open[sites[out]] = False
        is_open[j] = True
        sites[out] = j
        idle = 0
        # Only demands that had the leaver first or second, or take the newcomer, change.
        for i in range(m):
            a, b, dj = first[i], second[i], cost[j, i]
            if a == out or b == out:
                loss[a] -= d2[i] - d1[i]
                na = nb = -1
                da = db = HUGE
                for k in range(p):
                    d = cost[sites[k], i]
                    if d < da:
                        nb, db, na, da = na, da, k, d
                    elif d < db:
                        nb, db = k, d
            elif dj < d1[i]:
                loss[a] -= d2[i] - d1[i]
                na, da, nb, db = out, dj, a, d1[i]
            elif dj < d2[i]:
                loss[a] -= d2[i] - d1[i]
                na, da, nb, db = a, d1[i], out, dj
            else:
                continue
            first[i], second[i], d1[i], d2[i] = na, nb, da, db
            loss[na] += db - da
        total = d1.sum()
    return total


@njit(cache=True)
def search(cost, pool, start, n_fixed, rounds, k_max, seed):
    """Variable neighbourhood search (Hansen and Mladenović 1997) from `start`: shake k open sites, interchange, keep what is better.

    Returns (total, sites). `rounds` counts shakes without an improvement.
    """
    np.random.seed(seed)
    p = start.size
    best = start.copy()
    total = interchange(cost, pool, best, n_fixed)
    free = p - n_fixed
    spare = 0
    for j in pool:
        seen = False
        for k in range(p):
            if best[k] == j:
                seen = True
        if not seen:
            spare += 1
    if free == 0 or spare == 0:
        return total, best
    k, idle = 1, 0
    is_open = np.zeros(cost.shape[0], np.bool_)
    while idle < rounds:
        trial = best.copy()
        is_open[:] = False
        for q in range(p):
            is_open[trial[q]] = True
        for _q in range(min(k, free, spare)):
            out = n_fixed + np.random.randint(free)
            j = pool[np.random.randint(pool.size)]
            while is_open[j]:
                j = pool[np.random.randint(pool.size)]
            is_open[trial[out]] = False
            is_open[j] = True
            trial[out] = j
        shuffled = pool.copy()
        np.random.shuffle(shuffled)
        found = interchange(cost, shuffled, trial, n_fixed)
        if found < total - 1e-9 * (1.0 + abs(total)):
            total, best, k, idle = found, trial, 1, 0
        else:
            idle += 1
            k = k + 1 if k < k_max else 1
    return total, best


@njit(cache=True, fastmath=True)
def _reduced(row, price):
    """Σ min(cost − price, 0) of one site: what opening it saves at these prices."""
    s = 0.0
    for i in range(price.size):
        s += min(row[i] - price[i], 0.0)
    return s


@njit(cache=True, fastmath=True)
def dual(cost, price, state, p, upper, unit, rounds, theta, patience, best_price, best_reduced, best_set):
    """Subgradient ascent on the Lagrangian dual of p-median with the assignment rows relaxed (Cornuéjols, Fisher, Nemhauser 1977).

    `price[i]` is what demand i would pay to be served; `state[j]`: 1 opened, −1 closed, 0 free (sites of this node of the search).
    Stops when the bound passes `upper − unit`. Writes the best prices, reduced costs and set; returns (bound, where `theta`, the length of the steps, has come to).
    `price` is used up.
    Deflected directions after Camerini, Fratta and Maffioli 1975.
    """
    n, m = cost.shape
    reduced = np.empty(n)
    chosen = np.empty(p, np.int64)
    count = np.empty(m)
    direction = np.zeros(m)
    bound, stall = -HUGE, 0
    n_open = 0
    for j in range(n):
        if state[j] == 1:
            n_open += 1
    for _round in range(rounds):
        value = 0.0
        for i in range(m):
            value += price[i]
        for j in range(n):
            reduced[j] = HUGE if state[j] == -1 else _reduced(cost[j], price)
        k = 0
        for j in range(n):
            if state[j] == 1:
                chosen[k] = j
                k += 1
                value += reduced[j]
        if k < p:
            for j in np.argsort(reduced):
                if state[j] == 0:
                    chosen[k] = j
                    k += 1
                    value += reduced[j]
                    if k == p:
                        break
        if value > bound:
            gained = value - bound > 1e-4 * abs(value)
            bound = value
            best_price[:] = price
            best_reduced[:] = reduced
            best_set[:] = chosen
            stall = 0 if gained else stall + 1
        else:
            stall += 1
        if bound > upper - unit:
            break
        if stall >= patience:
            theta *= 0.7
            stall = 0
            price[:] = best_price
            direction[:] = 0.0
            if theta < 1e-4:
                break
        count[:] = 0.0
        for k in range(p):
            row = cost[chosen[k]]
            for i in range(m):
                count[i] += 1.0 if row[i] < price[i] else 0.0
        norm = 0.0
        for i in range(m):
            direction[i] = 0.7 * direction[i] + (1.0 - count[i])
            norm += direction[i] * direction[i]
        if norm == 0.0:
            break
        step = theta * (upper - value + 0.01 * abs(upper)) / norm
        for i in range(m):
            price[i] = max(0.0, price[i] + step * direction[i])
    return bound, theta


@njit(cache=True)
def branch(cost, state0, price0, p, upper, unit, n_fixed, sites, max_nodes):
    """Depth-first branch and bound on the sites, every node bounded by `dual`. `sites` receives a better set when one is found.

    A node is dropped only when its bound exceeds `upper − unit` (costs are whole multiples of `unit`; a unit of 0 with a tolerance for
    others), when too few sites are left, or after its only set was priced. Returns (upper, nodes, finished, lowest bound left open).
    """
    n, m = cost.shape
    depth = 2 * n + 4
    states = np.empty((depth, n), np.int8)
    prices = np.empty((depth, m))
    bounds = np.empty(depth)
    states[0] = state0
    prices[0] = price0
    bounds[0] = -HUGE
    top, nodes = 1, 0
    price = np.empty(m)
    best_price = np.empty(m)
    reduced = np.empty(n)
    chosen = np.empty(p, np.int64)
    state = np.empty(n, np.int8)
    inside = np.empty(n, np.bool_)
    while top > 0:
        if nodes >= max_nodes:
            lowest = HUGE
            for q in range(top):
                lowest = min(lowest, bounds[q])
            return upper, nodes, False, lowest
        top -= 1
        state[:] = states[top]
        price[:] = prices[top]
        inherited = bounds[top]
        nodes += 1
        opened = closed = 0
        for j in range(n):
            if state[j] == 1:
                opened += 1
            elif state[j] == -1:
                closed += 1
        if opened > p or n - closed < p or inherited > upper - unit:
            continue
        own, _theta = dual(cost, price, state, p, upper, unit, 600 if nodes == 1 else 90, 1.2 if nodes == 1 else 0.7, 8, best_price, reduced, chosen)
        bound = max(own, inherited)
        total = total_cost(cost, chosen)
        if total < upper - 1e-9 * (1.0 + abs(upper)):
            upper = total
            sites[:] = chosen
        if bound > upper - unit or opened == p or n - closed == p:
            # All p opened, or exactly p left: the one set there is was priced just now.
            continue
        # Fixing by reduced costs at the best prices: swapping j in (out) costs at least the difference to the worst inside (best outside).
        inside[:] = False
        worst_in, best_out = -HUGE, HUGE
        for k in range(p):
            inside[chosen[k]] = True
        for j in range(n):
            if state[j] == 0:
                if inside[j]:
                    worst_in = max(worst_in, reduced[j])
                else:
                    best_out = min(best_out, reduced[j])
        slack = upper - unit - own  # the reduced costs belong to this node's own bound, not to an inherited one
        pick, value = -1, HUGE
        for j in range(n):
            if state[j] != 0:
                continue
            if inside[j] and best_out - reduced[j] > slack:
                state[j] = 1
            elif not inside[j] and reduced[j] - worst_in > slack:
                state[j] = -1
            elif inside[j] and reduced[j] < value:
                pick, value = j, reduced[j]
        if pick < 0:
            # Every free site of the chosen set is fixed open now: that set, priced above, is the only one left below the bound.
            continue
        states[top] = state
        states[top, pick] = -1
        prices[top] = best_price
        bounds[top] = bound
        top += 1
        states[top] = state
        states[top, pick] = 1
        prices[top] = best_price
        bounds[top] = bound
        top += 1
    return upper, nodes, True, HUGE
