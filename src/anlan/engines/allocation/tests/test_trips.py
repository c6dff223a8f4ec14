"""Trucks with shifts and several trips: against an integer program on small questions, and by rules anybody can check."""
from __future__ import annotations

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from anlan.engines.allocation import dispatch, trips
from anlan.engines.allocation.dispatch import Task
from anlan.engines.allocation.trips import Truck

SLOTS = 3


def question(seed: int) -> tuple[Task, list[Truck]]:
    r = np.random.default_rng(seed)
    depots, needs, goods = int(r.integers(1, 3)), int(r.integers(2, 4)), int(r.integers(1, 3))
    minutes = r.integers(10, 60, (depots, needs)).astype(float)
    load = r.choice([0.5, 1.0, 2.0], goods)
    trucks = [Truck(int(r.integers(depots)), float(r.choice([2.0, 4.0])), float(r.choice([0, 15])), float(r.choice([120, 180]))) for _ in range(int(r.integers(1, 4)))]
    hours = np.zeros(depots)
    for one in trucks:
        hours[one.depot] += one.load * (one.until - one.ready)
    task = Task(
        minutes, r.integers(0, 5, (needs, goods)), r.choice([1.0, 3.0, 10.0], (needs, goods)), r.choice([45.0, 90.0, 160.0], (needs, goods)), r.integers(0, 7, (depots, goods)), load, hours,
    )
    return task, trucks


def best_of(task: Task, trucks: list[Truck]) -> float:
    """The least unmet need any timetable of whole trips leaves: trucks × trips in order × needs."""
    needs, goods = task.need.shape
    y = np.arange(len(trucks) * SLOTS * needs).reshape(len(trucks), SLOTS, needs)
    x = y.size + np.arange(y.size * goods).reshape(*y.shape, goods)
    w = y.size + x.size + np.arange(x.size).reshape(x.shape)
    size = y.size + 2 * x.size
    value, high = np.zeros(size), np.ones(size)
    rows, top = [], []

    def row(limit, *terms):
        line = np.zeros(size)
        for at, factor in terms:
            line[at] += factor
        rows.append(line)
        top.append(limit)

    for k, truck in enumerate(trucks):
        way = task.minutes[truck.depot]
        row(truck.until - truck.ready, *((y[k, s, j], 2 * way[j] + task.handling) for s in range(SLOTS) for j in range(needs)))
        for s in range(SLOTS):
            row(1, *((y[k, s, j], 1) for j in range(needs)))
            if s:
                row(0, *((y[k, s, j], 1) for j in range(needs)), *((y[k, s - 1, j], -1) for j in range(needs)))
            before = [(y[k, e, j], 2 * way[j] + task.handling) for e in range(s) for j in range(needs)]
            for j in range(needs):
                row(0, *((x[k, s, j, g], task.load[g]) for g in range(goods)), (y[k, s, j], -truck.load))
                for g in range(goods):
                    value[x[k, s, j, g]], high[x[k, s, j, g]] = -task.priority[j, g], task.need[j, g]
                    row(0, (x[k, s, j, g], 1), (w[k, s, j, g], -float(task.need[j, g])))
                    row(task.deadline[j, g] + 1000 - truck.ready - way[j], *before, (w[k, s, j, g], 1000))
    for j in range(needs):
        for g in range(goods):
            row(task.need[j, g], *((x[k, s, j, g], 1) for k in range(len(trucks)) for s in range(SLOTS)))
    for d in range(len(task.minutes)):
        for g in range(goods):
            row(task.stock[d, g], *((x[k, s, j, g], 1) for k, one in enumerate(trucks) if one.depot == d for s in range(SLOTS) for j in range(needs)))
    found = milp(value, constraints=LinearConstraint(np.array(rows), -np.inf, top), integrality=np.ones(size), bounds=Bounds(0, high), options={"mip_rel_gap": 0.0})
    return float(found.fun + (task.need * task.priority).sum())


def legal(task: Task, trucks: list[Truck], packed: trips.Packed) -> None:
    sent, free = np.zeros((*task.minutes.shape, task.need.shape[1])), [one.ready for one in trucks]
    for trip in packed.trips:
        truck = trucks[trip.truck]
        assert trip.depot == truck.depot and trip.leave >= free[trip.truck] - 1e-9 and trip.back <= truck.until + 1e-9, "one trip after the other, within the shift"
        free[trip.truck] = trip.back
        assert sum(units * task.load[g] for g, units in trip.cargo) <= truck.load + 1e-9, "no more than the truck carries"
        for g, units in trip.cargo:
            assert units > 0 and trip.arrive <= task.deadline[trip.need, g] + 1e-9, "nothing comes late"
            sent[trip.depot, trip.need, g] += units
    assert (sent.sum(axis=1) <= task.stock).all() and (sent.sum(axis=0) <= task.need).all()
    assert float(((task.need - sent.sum(axis=0)) * task.priority).sum()) == packed.unmet_value


def test_small_timetables_against_the_integer_program():
    apart, asked = [], 0.0
    for seed in range(24):
        task, trucks = question(seed)
        plan = dispatch.solve(task, gap=0.0)
        packed = trips.pack(task, plan.lines, trucks, tries=40)
        legal(task, trucks, packed)
        best = best_of(task, trucks)
        assert best <= packed.unmet_value + 1e-6, (seed, "nothing is better than the best")
        apart.append(packed.unmet_value - best)
        asked += float((task.need * task.priority).sum())
    assert np.median(apart) == 0 and sum(apart) < 0.02 * asked, apart


def test_the_bound_counts_the_minutes_at_the_needs_and_no_timetable_beats_it():
    nearer = 0.0
    for seed in range(24):
        task, trucks = question(seed)
        loose = dispatch.solve(task, gap=0.0).bound
        task.handling = 20.0
        tight, best = dispatch.solve(task, gap=0.0).bound, best_of(task, trucks)
        # A timetable's unmet need alone is a floor of what it is worth: its minutes come on top.
        packed = trips.pack(task, dispatch.solve(task, gap=0.0).lines, trucks, handling=task.handling, tries=40)
        legal(task, trucks, packed)
        value = dispatch.UNMET * packed.unmet_value + packed.unit_minutes
        most = dispatch.UNMET * best + float((task.need * task.minutes.max(axis=0)[:, None]).sum())
        assert tight <= min(value, most) + 1e-6, (seed, tight, value, most)
        nearer += tight - loose
    assert nearer > 0


def test_one_truck_drives_again_and_what_its_shift_has_no_room_for_is_left():
    task = Task(np.array([[30.0]]), np.array([[10]]), np.ones((1, 1)), np.full((1, 1), 1e9), np.array([[10]]), np.array([1.0]), np.array([np.inf]))
    packed = trips.pack(task, [(0, 0, 0, 10)], [Truck(0, 4.0, until=150.0)])
    assert [(one.leave, one.arrive, one.back, one.cargo) for one in packed.trips] == [(0, 30, 60, ((0, 4),)), (60, 90, 120, ((0, 4),))]
    assert packed.left == [(0, 0, 0, 2)] and packed.unmet_value == 2 and packed.used == [120]


def test_what_a_person_decided_is_loaded_before_what_is_worth_more():
    task = Task(np.array([[30.0, 30.0]]), np.array([[4], [4]]), np.array([[10.0], [1.0]]), np.full((2, 1), 1e9), np.array([[8]]), np.array([1.0]), np.array([np.inf]), kept=[(0, 1, 0, 4)])
    packed = trips.pack(task, [(0, 0, 0, 4), (0, 1, 0, 4)], [Truck(0, 4.0, until=60.0)])
    assert packed.lines == [(0, 1, 0, 4)] and packed.left == [(0, 0, 0, 4)]


def test_trucks_wait_their_turn_at_a_transfer_point():
    """Two trucks of 10 at a landing 20 minutes away that lets half a load a minute through: each waits for the one before, and who must be there in 85 minutes gets the first."""
    task = Task(
        np.array([[60.0, 60.0]]), np.array([[10], [30]]), np.array([[10.0], [1.0]]), np.array([[85.0], [1e9]]), np.array([[100]]), np.array([1.0]), np.array([1e9]), drive=np.array([[20.0, 20.0]]),
        home=np.array([0]), via=np.array([0]), points=[dispatch.Point(0.5, closes=75.0)],
    )
    plan = dispatch.solve(task, gap=0.0)
    packed = trips.pack(task, plan.lines, [Truck(0, 10.0), Truck(0, 10.0)], handling=5.0)
    assert [(one.need, one.arrive, one.back) for one in packed.trips] == [(0, 80.0, 60.0), (1, 100.0, 80.0)], "through by 40 and by 60; at 80 a truck could be there again, and the landing closes at 75"
    assert sum(units for *_at, units in packed.lines) == 20 and packed.left == [(0, 1, 0, 7)], "by throughput alone 27 would pass"


def test_what_stands_in_is_loaded_by_its_number_and_only_the_plan_where_a_person_says_so():
    task = Task(np.array([[30.0]]), np.array([[0, 3]]), np.ones((1, 2)), np.full((1, 2), 1e9), np.array([[9, 1]]), np.array([1.0, 2.0]), np.array([1e9]), swaps=[(0, 1, 2.0)])
    plan = dispatch.solve(task, gap=0.0)
    assert plan.lines == [(0, 0, 1, 1), (0, 0, 2, 4)]
    packed = trips.pack(task, plan.lines, [Truck(0, 6.0)])
    assert packed.trips[0].cargo == ((1, 1), (2, 4)) and packed.unmet_value == 0
    assert trips.pack(task, [(0, 0, 2, 2)], [Truck(0, 6.0)]).lines == [(0, 0, 1, 1), (0, 0, 2, 4)], "filled up"
    assert trips.pack(task, [(0, 0, 2, 2)], [Truck(0, 6.0)], fill=False).lines == [(0, 0, 2, 2)]


def test_a_plan_that_fits_its_trucks_is_driven_as_it_is():
    """A truck of the far depot is free at once and could serve the near village; the plan says the near depot does, on its second trip."""
    task = Task(np.array([[10.0, 40.0], [40.0, 10.0]]), np.array([[8], [4]]), np.ones((2, 1)), np.full((2, 1), 1e9), np.array([[12], [12]]), np.array([1.0]), np.array([600.0, 600.0]))
    plan = dispatch.solve(task, gap=0.0)
    assert plan.lines == [(0, 0, 0, 8), (1, 1, 0, 4)]
    packed = trips.pack(task, plan.lines, [Truck(0, 4.0, until=300.0), Truck(1, 4.0, until=300.0)])
    assert packed.lines == plan.lines and packed.unit_minutes == plan.unit_minutes


def test_whoever_stops_gets_the_best_of_the_tries_made():
    """Three loads that no order fits into one shift: every try goes on for the best, and stops after the one in which somebody says so."""
    asked = []

    def hear() -> bool:
        asked.append(1)
        return len(asked) < 3

    task = Task(np.array([[30.0, 40.0, 50.0]]), np.array([[4], [4], [4]]), np.ones((3, 1)), np.full((3, 1), 1e9), np.array([[12]]), np.array([1.0]), np.array([np.inf]))
    lines = [(0, 0, 0, 4), (0, 1, 0, 4), (0, 2, 0, 4)]
    packed = trips.pack(task, lines, [Truck(0, 4.0, until=100.0)], hear=hear, budget=60.0)
    assert len(asked) == 3 and packed.trips and packed.left
    trips.pack(task, lines, [Truck(0, 4.0, until=100.0)], tries=10, budget=60.0, hear=lambda: not asked.append(1))
    assert len(asked) == 13
