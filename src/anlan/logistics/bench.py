"""What this room's engines cost, for `anlan bench --only logistics`: CPU seconds of one thread, beside the libraries that are at hand.

scipy comes with us; igraph, rustworkx, PyVRP and VROOM are measured too where they are installed (`pip install igraph rustworkx pyvrp pyvroom`).
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
    # The same with three goods that others stand in for, and two transfer points, each with a narrow door, a hundred kilometres an hour beyond it.
    task.swaps, task.stand = [(0, 1, 2.0), (2, 3, 1.0), (5, 6, 4.0)], 30.0
    doors = r.random((2, 2)) * 300
    legs = [np.rint(np.hypot(*(depot - one).T) * 1.35 / 45 * 60) for one in doors]
    task.drive = np.vstack([minutes, *(np.broadcast_to(leg[:, None], minutes.shape) for leg in legs)])
    task.minutes = np.vstack([minutes, *(leg[:, None] + 20 + np.rint(np.hypot(*(place - one).T) / 100 * 60)[None] for leg, one in zip(legs, doors, strict=True))])
    task.home, task.via, task.points = np.tile(np.arange(50), 3), np.repeat([-1, 0, 1], 50), [dispatch.Point(1.0), dispatch.Point(0.5, 60.0, 400.0)]
    dispatch.solve(task, rounds=1)
    spent, plan = _spent(partial(dispatch.solve, task, gap=0.005, budget=60.0), 2)
    rows.append(_row("goods: the same with stand-ins and two transfer points, until within 0.5% of the bound", spent, f"{plan.gap:.2%} after {plan.rounds} rounds; {plan.unmet_value:,.0f} unmet by priority"))
    return rows


def routes() -> list[dict[str, Any]]:
    """Trucks of 10 t from one depot to 40 needs of 5 to 10 t each, in shifts that cannot serve all: several trips a truck, and one trip a truck. PyVRP and VROOM
    (`pip install pyvrp pyvroom`) answer the same where they are installed; VROOM knows no second trip. Five instances each; unmet by priority first, then minutes."""
    from anlan.engines.allocation import dispatch, trips

    rows = []
    for trucks, shift, several in ((6, 600, True), (28, 200, False)):
        found: dict[str, list[tuple[float, float, float]]] = {}
        for seed in range(5):
            r = np.random.default_rng(100 + seed)
            need, minutes, rank = r.integers(51, 101, 40), r.integers(20 if several else 41, 121 if several else 86, 40), r.choice([1, 3, 10], 40, p=[0.5, 0.3, 0.2])
            far = np.full((40, 1), 1e6)
            task = dispatch.Task(minutes[None].astype(float), need[:, None], rank[:, None].astype(float), far, np.array([[need.sum()]]), np.array([0.1]), np.array([np.inf]))
            lines = [(0, j, 0, int(need[j])) for j in range(40)]
            fleet = [trips.Truck(0, 10.0, 0.0, float(shift)) for _one in range(trucks)]
            spent, packed = _spent(partial(trips.pack, task, lines, fleet, handling=20.0), 1)
            found.setdefault("anlan", []).append((packed.unmet_value, sum(packed.used), spent))
            if find_spec("pyvrp"):
                found.setdefault("PyVRP", []).append(_pyvrp(need, minutes, rank, trucks, shift, several))
            if find_spec("vroom") and not several:
                found.setdefault("VROOM", []).append(_vroom(need, minutes, rank, trucks, shift))
        for name, each in found.items():
            unmet, road, spent = (sum(one[k] for one in each) for k in range(3))
            rows.append(_row(f"routes: 5 × 40 needs, {trucks} trucks, {'several trips' if several else 'one trip each'}: {name}", spent, f"{unmet:,.0f} unmet by priority, {road:,.0f} truck minutes"))
    return rows


def _pyvrp(need: np.ndarray, minutes: np.ndarray, rank: np.ndarray, trucks: int, shift: int, several: bool) -> tuple[float, float, float]:
    import pyvrp

    start = time.process_time()
    model = pyvrp.Model()
    at = [model.add_location(0, 0) for _one in range(41)]
    depot = model.add_depot(at[0])
    for place, units, worth in zip(at[1:], need.tolist(), rank.tolist(), strict=True):
        model.add_client(place, delivery=units, service_duration=20, prize=1000 * units * worth, required=False)
    model.add_vehicle_type(trucks, capacity=100, start_depot=depot, end_depot=depot, shift_duration=shift, unit_distance_cost=0, unit_duration_cost=1, reload_depots=[depot] if several else [])
    away = [0, *minutes.tolist()]
    for i in range(41):
        for j in range(41):
            if i != j:
                model.add_edge(at[i], at[j], distance=0, duration=away[i] + away[j])  # every way leads past the depot
    best = model.solve(pyvrp.stop.MaxIterations(2000), seed=1, display=False).best
    return best.uncollected_prizes() / 1000, float(best.duration()), time.process_time() - start


def _vroom(need: np.ndarray, minutes: np.ndarray, rank: np.ndarray, trucks: int, shift: int) -> tuple[float, float, float]:
    import vroom

    start = time.process_time()
    asked = vroom.Input()
    away = np.r_[0, minutes].astype(np.uint32)
    asked.set_durations_matrix("car", (away[:, None] + away[None]) * (1 - np.eye(41, dtype=np.uint32)))
    asked.add_vehicle([vroom.Vehicle(k + 1, start=0, end=0, capacity=[100], time_window=vroom.TimeWindow(0, shift)) for k in range(trucks)])
    # Its priorities run to 100: units × rank at most 1,000.
    asked.add_job([vroom.Job(j + 1, j + 1, default_service=20, delivery=vroom.Amount([int(need[j])]), priority=int(need[j] * rank[j] // 10)) for j in range(40)])
    answer = asked.solve(exploration_level=5, nb_threads=1)
    done = {int(k) - 1 for k in answer.routes["id"].dropna().tolist()}
    missed = [j for j in range(40) if j not in done]
    return float(sum(need[j] * rank[j] for j in missed)), float(sum(2 * minutes[j] + 20 for j in done)), time.process_time() - start


def bench() -> list[dict[str, Any]]:
    return [*roads(), *shelters(), *goods(), *routes()]
