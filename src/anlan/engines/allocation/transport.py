"""The transport problem with many groups and few places: who goes where at the least total cost, no place beyond its room, with a proof.

Every group begins where its way and the place's price are least together; where too many have come, the cheapest are sent on to where
there is room, or where a price asks for more than came (shortest ways on a graph of the places alone: the step from a to b costs what the
cheapest group of a would lose by going to b; Ford and Fulkerson 1962, with the potentials of Edmonds and Karp 1972). The first prices
come from a part of the groups, so that little is left to send on. The prices that remain are the proof: no assignment can cost less than they
say. Whole numbers throughout, so the proof is exact.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

FAR = 1_000_000_000  # "cannot go there"
LIMIT = 100_000_000  # costs stay below, so that sums of two prices fit in 32 bits
PART = 1_000  # groups above which the first prices are sought on an eighth of them


@dataclass(frozen=True)
class Placed:
    """`flow` (groups, places + 1): how many of each group go where, the last column nowhere; `price` of a place's room."""

    flow: np.ndarray
    price: np.ndarray
    cost: int
    bound: int

    @property
    def unplaced(self) -> np.ndarray:
        return self.flow[:, -1]


@njit(cache=True)
def _losses(own, here, i, row, name):
    """Let group i, now in a place that costs it `here`, offer itself for every step out of that place."""
    for b in range(row.size):
        step = own[b] - here if own[b] < FAR else FAR
        better = step < row[b]
        row[b] = step if better else row[b]
        name[b] = i if better else name[b]


@njit(cache=True)
def _flow(cost, amount, room, first):
    """(flow, price): `cost` (groups, places), the last place takes everybody; `first` are prices of 0 and more to begin with."""
    n, width = cost.shape
    t = width  # the end of every way: whoever stays in a place goes on to t through its room
    flow = np.zeros((n, width), np.int32)
    members = np.empty((width, n), np.int32)
    count = np.zeros(width, np.int64)
    load = np.zeros(width + 1, np.int64)
    price = np.zeros(width + 1, np.int32)
    price[:width] = first
    loss = np.full((width, width), FAR, np.int32)
    who = np.full((width, width), -1, np.int32)
    for i in range(n):
        best, least = width - 1, np.int64(4 * FAR)
        for b in range(width):
            total = np.int64(cost[i, b]) + price[b]
            if total < least:
                best, least = b, total
        if amount[i] == 0:
            continue
        flow[i, best] = amount[i]
        members[best, count[best]] = i
        count[best] += 1
        load[best] += amount[i]
        _losses(cost[i], cost[i, best], np.int32(i), loss[best], who[best])
    out = np.empty(width, np.int64)
    excess = np.empty(width + 1, np.int64)
    for b in range(width):
        out[b] = room[b] if price[b] > 0 else min(load[b], room[b])
        excess[b] = load[b] - out[b]
    excess[t] = out.sum() - amount.sum()
    dist = np.empty(width + 1, np.int32)
    key = np.empty(width + 1, np.int32)
    came = np.empty(width + 1, np.int32)
    start = 0
    while True:
        looked = 0
        while looked <= width and excess[start] <= 0:
            start = start + 1 if start < width else 0
            looked += 1
        if excess[start] <= 0:
            break
        dist[:] = FAR
        key[:] = FAR
        came[:] = -1
        dist[start] = key[start] = 0
        end = -1
        while True:
            least = np.int32(FAR)
            for b in range(width + 1):
                least = min(least, key[b])
            if least >= FAR:
                break
            v = 0
            while key[v] != least:
                v += 1
            if excess[v] < 0:
                end = v
                break
            key[v] = FAR
            base = np.int32(least - price[v])
            if v < t:
                row = loss[v]
                for b in range(width):
                    way = np.int32(base + row[b] + price[b])
                    if row[b] < FAR and way < dist[b]:
                        dist[b] = key[b] = way
                        came[b] = v
                if out[v] < room[v] and base + price[t] < dist[t]:
                    dist[t] = key[t] = base + price[t]
                    came[t] = v
            else:
                for b in range(width):
                    if out[b] > 0 and base + price[b] < dist[b]:
                        dist[b] = key[b] = base + price[b]
                        came[b] = v
        if end < 0:
            break
        far = dist[end]
        for b in range(width + 1):
            if dist[b] < far:
                price[b] += far - dist[b]
        most = min(excess[start], -excess[end])
        b = end
        while b != start:
            a = came[b]
            if b == t:
                most = min(most, room[a] - out[a])
            elif a == t:
                most = min(most, out[b])
            else:
                most = min(most, np.int64(flow[who[a, b], a]))
            b = a
        excess[start] -= most
        excess[end] += most
        b = end
        while b != start:
            a = came[b]
            if b == t:
                out[a] += most
            elif a == t:
                out[b] -= most
            else:
                i = who[a, b]
                flow[i, a] -= most
                if flow[i, b] == 0:
                    members[b, count[b]] = i
                    count[b] += 1
                    _losses(cost[i], cost[i, b], i, loss[b], who[b])
                flow[i, b] += most
                if flow[i, a] == 0:
                    # Gone from a: the steps out of it are looked through anew.
                    kept = 0
                    loss[a, :] = FAR
                    who[a, :] = -1
                    for k in range(count[a]):
                        j = members[a, k]
                        if flow[j, a] > 0:
                            members[a, kept] = j
                            kept += 1
                            _losses(cost[j], cost[j, a], j, loss[a], who[a])
                    count[a] = kept
            b = a
    return flow, price[:width] - price[t]


def solve(cost: np.ndarray, amount: np.ndarray, room: np.ndarray, *, nowhere: np.ndarray | int = LIMIT - 1, first: np.ndarray | None = None) -> Placed:
    """`cost` (groups, places): whole numbers for each unit, FAR or more where it may not go; `amount` of each group, `room` of each place.

    `nowhere`: what leaving one unit out costs, for all or for each group. `first`: prices of an earlier answer, when little has changed.
    """
    n, width = cost.shape
    table = np.empty((n, width + 1), np.int32)
    table[:, :width] = np.minimum(cost, FAR)
    table[:, width] = nowhere
    if ((table < FAR) & (np.abs(table) >= LIMIT)).any():
        raise ValueError(f"costs of {LIMIT:,} and more: choose a larger unit")
    amount = np.asarray(amount, np.int64)
    space = np.r_[np.maximum(np.asarray(room, np.int64), 0), int(amount.sum()) + 1]
    if (amount < 0).any() or amount.sum() >= 2**31:
        raise ValueError("amounts are whole numbers from 0, below two thousand million together")
    table[:, :-1][:, space[:-1] == 0] = FAR
    if first is None:
        guess = _first_prices(table, amount, space, np.random.default_rng(1))
    else:
        guess = np.r_[np.clip(np.asarray(first, np.int32), 0, LIMIT), np.int32(0)].astype(np.int32)
    flow, price = _flow(table, amount, space, guess)
    total = int((flow.astype(np.int64) * np.where(table < FAR, table, 0)).sum())
    price = np.maximum(price, 0)
    return Placed(flow, price[:width], total, _bound(table, amount, space, price))


def _first_prices(table: np.ndarray, amount: np.ndarray, space: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Prices from an eighth of the groups, with an eighth of the room; from an eighth of those first, where there are many."""
    n, width = table.shape
    if n <= PART or not amount.any():
        return np.zeros(width, np.int32)
    some = np.sort(rng.choice(n, n // 8, replace=False))
    part, held = table[some], amount[some]
    room = np.rint(space * (held.sum() / amount.sum())).astype(np.int64)
    room[-1] = held.sum() + 1
    _, price = _flow(part, held, room, _first_prices(part, held, room, rng))
    price = np.clip(price, 0, LIMIT)
    price[-1] = 0
    return price.astype(np.int32)


def _bound(table: np.ndarray, amount: np.ndarray, space: np.ndarray, price: np.ndarray) -> int:
    """What no assignment can cost less than, by these prices: every unit at its cheapest, less what the room is worth."""
    level = np.where(table < FAR, table.astype(np.int64) + price[None, :], 4 * FAR).min(axis=1)
    return int((level * amount).sum() - (price.astype(np.int64)[:-1] * space[:-1]).sum())
