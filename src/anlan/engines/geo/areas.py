"""Areas that grow over a mesh from seats, and their outlines."""
from __future__ import annotations

import heapq

import numpy as np
import shapely

from .mesh import Mesh

Array = np.ndarray


def grow(mesh: Mesh, seats: Array, cost: Array, allowed: Array | None = None) -> tuple[Array, Array]:
    """Each node joins the seat that reaches it most cheaply (Dijkstra from all seats at once; O(N log N)).

    cost: (N,) price per km at a node. Returns (label (N,), -1 where not reached; price (N,)). An area is connected by
    construction: a node is reached only through its own area.
    """
    count = len(cost)
    price, label = np.full(count, np.inf), np.full(count, -1)
    heap: list[tuple[float, int, int]] = []
    for index, seat in enumerate(seats):
        price[seat] = 0.0
        heapq.heappush(heap, (0.0, index, int(seat)))
    points = mesh.points
    while heap:
        paid, index, node = heapq.heappop(heap)
        if label[node] >= 0:
            continue
        label[node] = index
        around = mesh.around(node)
        steps = np.hypot(*(points[around] - points[node]).T) * (cost[around] + cost[node]) / 2
        for other, step in zip(around.tolist(), steps.tolist(), strict=True):
            if label[other] < 0 and paid + step < price[other] and (allowed is None or allowed[other]):
                price[other] = paid + step
                heapq.heappush(heap, (paid + step, index, other))
    return label, price


def without_holes(mesh: Mesh, inside: Array) -> Array:
    """`inside` (N,) bool with every enclosed hole filled: what cannot reach the rim is inside."""
    outside, stack = np.zeros(len(inside), bool), [int(n) for n in np.flatnonzero(mesh.edge & ~inside)]
    outside[stack] = True
    while stack:
        for other in mesh.around(stack.pop()):
            if not inside[other] and not outside[other]:
                outside[other] = True
                stack.append(int(other))
    return ~outside


def outlines(mesh: Mesh, label: Array, count: int) -> list[shapely.Geometry]:
    """One (multi)polygon per label 0..count-1, in km: the union of its cells. Neighbours keep the very same vertices."""
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(count + 1))
    return [shapely.coverage_union_all(mesh.cells[order[bounds[i]:bounds[i + 1]]]) for i in range(count)]


def spread(points: Array, weight: Array, count: int, rng: np.random.Generator, power: float = 1.0) -> Array:
    """`count` well-spaced picks: the best of a handful of weighted candidates is the one farthest from those already picked."""
    chance = weight / weight.sum()
    picks = [int(rng.choice(len(points), p=chance))]
    gap = np.hypot(*(points - points[picks[0]]).T)
    while len(picks) < count:
        candidates = rng.choice(len(points), size=12, p=chance)
        best = candidates[int(np.argmax(gap[candidates] * weight[candidates] ** (power * 0.1)))]
        picks.append(int(best))
        gap = np.minimum(gap, np.hypot(*(points - points[best]).T))
    return np.array(picks)
