"""What this room's engines cost, for `anlan bench --only logistics`: CPU seconds of one thread, beside the libraries that are at hand.

scipy comes with us; igraph and rustworkx are measured too where they are installed (`pip install igraph rustworkx`).
"""
from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from anlan.engines import routing
from anlan.engines.routing import Edit, Router, Vehicle, network

CAR = Vehicle(dict.fromkeys(routing.CLASSES, 40.0))


def _row(figure: str, value: float, note: str) -> dict[str, Any]:
    return {"figure": figure, "value": round(value, 3), "unit": "CPU-s", "note": f"{note}; load {os.getloadavg()[0]:.1f}"}


def _spent(run: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    best, answer = np.inf, None
    for _ in range(times):
        start = time.process_time()
        answer = run()
        best = min(best, time.process_time() - start)
    return best, answer


def streets(wide: int = 500, deep: int = 400, seed: int = 1) -> network.Network:
    """A town of about 200,000 crossings: 15 % of the streets missing, a tenth one-way, three speeds."""
    r = np.random.default_rng(seed)
    g = np.arange(wide * deep).reshape(deep, wide)
    a, b = np.r_[g[:, :-1].ravel(), g[:-1].ravel()], np.r_[g[:, 1:].ravel(), g[1:].ravel()]
    keep = r.random(a.size) < 0.85
    a, b = a[keep], b[keep]
    n = wide * deep
    lon, lat = 113.0 + (np.arange(n) % wide) * 0.001, 34.0 + (np.arange(n) // wide) * 0.0009
    speed = r.choice([30, 50, 80], a.size, p=[0.6, 0.3, 0.1]).astype(np.float32)
    return network.straight(lon, lat, a, b, oneway=(r.random(a.size) < 0.1).astype(np.int8), metres=100 * (0.8 + 0.6 * r.random(a.size)), max_speed=speed)


def roads() -> list[dict[str, Any]]:
    net = streets()
    r = np.random.default_rng(2)
    router = Router(net)
    base = routing.times(net, CAR)
    some = np.unique(net.tail)
    start, end = r.choice(some, 50, replace=False), r.choice(some, 2000, replace=False)
    origins, targets = router.nodes(start), router.nodes(end)
    router.metric(base).matrix(origins, targets)  # compiled now, not in the figure
    order, _ = _spent(lambda: Router(net), 1)
    poured, metric = _spent(lambda: router.metric(base))
    asked, found = _spent(lambda: metric.matrix(origins, targets))
    closed = Edit("closed", r.choice(net.size, 300, replace=False))
    anew, _ = _spent(lambda: router.metric(routing.times(net, CAR, edits=[closed])).matrix(origins, targets))
    every, _ = _spent(lambda: metric.reach(origins))
    size = f"{net.lon.size:,} crossings, {net.size:,} segments"
    rows = [
        _row("roads: preparing the map, once", order, size), _row("roads: pouring in travel times", poured, size),
        _row("roads: matrix 50 × 2,000", asked, "the same sums as scipy"), _row("roads: from a closure of 300 segments to the new matrix", anew, "speeds, pouring, matrix"),
        _row("roads: from 50 origins to every crossing", every, size),
    ]
    e = np.r_[base.along, base.against]
    good = e < routing.NEVER
    tail, head, ms = np.r_[net.tail, net.head][good], np.r_[net.head, net.tail][good], e[good].astype(float)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    graph = coo_matrix((ms, (tail, head)), shape=(net.lon.size,) * 2).tocsr()
    spent, theirs = _spent(lambda: dijkstra(graph, indices=start)[:, end] / 1000, 1)
    same = np.array_equal(np.isfinite(found), np.isfinite(theirs)) and np.allclose(np.where(np.isfinite(found), found, 0), np.where(np.isfinite(theirs), theirs, 0), rtol=1e-6)
    rows.append(_row("roads: scipy, matrix 50 × 2,000", spent, "equal" if same else "NOT EQUAL"))
    if find_spec("igraph"):
        import igraph

        other = igraph.Graph(n=net.lon.size, edges=np.column_stack([tail, head]), directed=True)
        spent, _ = _spent(lambda: other.distances(source=start.tolist(), target=end.tolist(), weights=ms.tolist()), 1)
        rows.append(_row("roads: igraph, matrix 50 × 2,000", spent, igraph.__version__))
    if find_spec("rustworkx"):
        import rustworkx

        third = rustworkx.PyDiGraph()
        third.add_nodes_from(range(net.lon.size))
        third.add_edges_from(list(zip(tail.tolist(), head.tolist(), ms.tolist(), strict=True)))
        spent, _ = _spent(lambda: [rustworkx.dijkstra_shortest_path_lengths(third, int(s), float) for s in start], 1)
        rows.append(_row("roads: rustworkx, matrix 50 × 2,000", spent, rustworkx.__version__))
    return rows


def shelters() -> list[dict[str, Any]]:
    """20,000 groups of people, half of them in the middle, and 200 shelters with 105 % of the room."""
    from anlan.engines.allocation import transport

    r = np.random.default_rng(3)
    place = r.random((200, 2)) * 60
    home = np.concatenate([r.normal(30, 8, (10_000, 2)), r.random((10_000, 2)) * 60])
    persons = r.integers(1, 120, 20_000)
    room = np.ceil(r.dirichlet(np.ones(200) * 2) * persons.sum() * 1.05).astype(np.int64)
    minutes = np.rint(np.hypot(*(home[:, None] - place[None]).transpose(2, 0, 1)) * 1.35 / 4.5 * 60).astype(np.int64)
    transport.solve(minutes[:1100], persons[:1100], room)  # compiled now, not in the figure
    spent, found = _spent(lambda: transport.solve(minutes, persons, room), 2)
    note = f"{found.cost:,} person-minutes, bound {found.bound:,}, {int(found.unplaced.sum())} without a place; every pair of group and shelter allowed"
    return [_row("people: 20,000 groups to 200 shelters, to the proven optimum", spent, note)]


def goods() -> list[dict[str, Any]]:
    """50 depots, 2,000 needs, 8 goods, stock for 95 %, trucks shared by the goods."""
    from anlan.engines.allocation import dispatch

    r = np.random.default_rng(7)
    depot, place = r.random((50, 2)) * 300, r.random((2000, 2)) * 300
    minutes = np.rint(np.hypot(*(depot[:, None] - place[None]).transpose(2, 0, 1)) * 1.35 / 45 * 60)
    need = r.integers(0, 60, (2000, 8)) * (r.random((2000, 8)) < 0.6)
    priority, deadline = r.choice([1.0, 3.0, 10.0], (2000, 8), p=[0.5, 0.3, 0.2]), r.choice([120.0, 240.0, 480.0], (2000, 8))
    stock = (r.dirichlet(np.ones(50), 8).T * need.sum(axis=0) * 0.95).astype(int)
    load = np.array([0.002, 0.004, 0.01, 0.003, 0.006, 0.001, 0.02, 0.005])
    task = dispatch.Task(minutes, need, priority, deadline, stock, load, np.full(50, (need * load).sum() * 220 / 50))
    dispatch.solve(task, rounds=1)  # compiled now, not in the figure
    rows = []
    for gap in (0.005, 0.003):
        spent, plan = _spent(partial(dispatch.solve, task, gap=gap, budget=60.0), 2)
        rows.append(_row(f"goods: 50 depots × 2,000 needs × 8 goods, until within {gap:.1%} of the bound", spent,
                         f"{plan.gap:.2%} after {plan.rounds} rounds; {plan.unmet_value:,.0f} unmet by priority, {plan.unit_minutes:,.0f} unit-minutes"))
    return rows


def bench() -> list[dict[str, Any]]:
    return [*roads(), *shelters(), *goods()]
