"""Which truck drives when with what (车次): a plan's flows put onto single trucks with a load, a shift and several trips.

A trip goes from a depot to one need and back; it takes its whole time however little is on it. A truck is ready at some minute and must be back
before its shift ends; what would come after its deadline is not loaded. Each truck that is free first takes the trip that is worth most for its time: at first
only what the plan says, and when no truck can carry more of that, whatever is still wanted and lies there. Where that leaves anything, many orders of doing so are tried (seeded), later ones near the best, which is kept. What the
shifts have no room for is left over: it shows as unmet, never as late. Past a transfer point the loads go through one after the other, as fast as it lets them; a truck
waits for its turn.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from .dispatch import Line, Task, measures, met, table, taken


@dataclass(frozen=True)
class Truck:
    """One vehicle: where it stands (depot), its load in the unit of `Task.load`, from when and until when it may drive (minutes)."""

    depot: int
    load: float
    ready: float = 0.0
    until: float = np.inf
    name: str = ""


@dataclass(frozen=True)
class Trip:
    """`truck` (index) leaves, arrives, is back; `cargo`: (column, units); `way`: by which of the depot's ways."""

    truck: int
    depot: int
    need: int
    leave: float
    arrive: float
    back: float
    cargo: tuple[tuple[int, int], ...]
    way: int = 0


@dataclass
class Packed:
    """`lines`: what the trips carry together; `left`: lines of the plan that found no truck; `unmet_value`: priority × units not carried."""

    trips: list[Trip]
    lines: list[Line]
    left: list[Line]
    unmet_value: float
    unit_minutes: float
    used: list[float] = field(default_factory=list)  # minutes on the road of each truck


def pack(
    task: Task, lines: Sequence[Line], trucks: Sequence[Truck], *, handling: float = 0.0, tries: int = 24, seed: int = 1, budget: float = 5.0, fill: bool = True, beside: Sequence[Line] = (), gates: Sequence[float] = (),
    hear: Callable[[], bool] = lambda: True,
) -> Packed:
    """Ends after `tries`, after `budget` CPU seconds, or when `hear` (asked after each try) says no, with the best so far. `handling` minutes to unload at each need. A good without load takes no room; a unit larger than every truck is left over. `fill`: what is still wanted is loaded too, not
    only what the plan says. `beside`: lines others carry; `gates`: from when each transfer point has a hand free."""
    began = time.process_time()
    rng = np.random.default_rng(seed)
    needs = task.minutes.shape[1]
    best: Packed | None = None
    # One taste for a whole try: how dear each need is, and how much a minute counts beside what is carried. First at random, then near the best so far.
    taste, haste, plan_first = np.ones(needs), 1.0, True
    for turn in range(max(1, tries)):
        if turn == 0:
            now = taste, haste, plan_first
        elif turn < tries // 3:
            now = np.asarray(rng.uniform(0.6, 1.4, needs)), float(rng.uniform(0.3, 1.1)), turn % 2 == 0
        else:
            now = taste * rng.uniform(0.8, 1.25, needs), max(0.1, haste + float(rng.uniform(-0.15, 0.15))), plan_first
        found = _once(task, lines, trucks, handling, fill, beside, gates, turn == 0, *now)
        if best is None or (found.unmet_value, found.unit_minutes) < (best.unmet_value, best.unit_minutes):
            best, (taste, haste, plan_first) = found, now
        if (not best.left and turn == 0 and best.unmet_value == 0) or time.process_time() - began > budget or not hear():
            break
    assert best is not None
    return best


def _once(task: Task, lines: Sequence[Line], trucks: Sequence[Truck], handling: float, fill: bool, beside: Sequence[Line], gates: Sequence[float], strict: bool, taste: np.ndarray, haste: float, plan_first: bool) -> Packed:
    goods = task.need.shape[1]
    measure, goes, meant, home = measures(goods, task.swaps), task.goes, task.meant, task.homes
    planned = table(task, lines)
    asked = task.need * measure - met(task, table(task, beside), measure)
    wanted = np.maximum(asked if fill else met(task, planned, measure), 0)
    stock = task.stock - taken(task, table(task, beside))
    ready = np.zeros(len(stock)) if task.ready is None else task.ready
    allowed = np.ones(task.columns, bool) if task.allowed is None else task.allowed[home][:, :, goes]
    spare = allowed & fill
    for r, j, k in task.shut:
        spare[r, j, k] = False
    drive, way_ = task.driven, np.where(np.isfinite(task.minutes), task.minutes, 0.0)
    door = [max(one.opens, gates[t] if t < len(gates) else 0.0) for t, one in enumerate(task.points)]
    ways = [[int(r) for r in np.flatnonzero(home == d)] for d in range(len(stock))]
    free = [max(one.ready, float(ready[one.depot])) for one in trucks]
    live = [k for k, one in enumerate(trucks) if one.load > 0]
    parked: list[int] = []
    load, priority, deadline = task.load[goes], task.priority[:, meant] * (measure[goes] / measure[meant])[None], task.deadline[:, meant]
    trips: list[Trip] = []
    # What a person decided goes before everything else.
    firm = table(task, task.kept)
    follow = planned.copy()  # what of the plan is still to be carried
    while live:
        n = min(live, key=lambda one: (free[one], -trucks[one].load, one))
        truck, d, now = trucks[n], trucks[n].depot, free[n]
        choice: tuple[float, float, float, float, int, int, list[tuple[int, int]]] | None = None
        asking = wanted.any(axis=1)
        for r in ways[d]:
            t = int(task.past[r])
            point = task.points[t] if t >= 0 and task.points else None
            rate = point.per_minute if point else np.inf
            for j in np.flatnonzero(asking & follow[r].any(axis=1) if strict else asking).tolist():
                way = float(drive[r, j])
                if not np.isfinite(task.minutes[r, j]) or now + 2 * way + handling > truck.until + 1e-9:
                    continue
                at = max(now + way, door[t]) if point else now + way
                arrive = at + float(task.minutes[r, j]) - way
                can = allowed[r, j] & (arrive <= deadline[j] + 1e-9)
                if not can.any():
                    continue
                missing = -(-wanted[j, meant] // measure[goes])
                # As much as goes through the door before it closes and before the truck must turn back.
                door_room = np.inf if not point else max(0.0, (point.closes - at) * rate if np.isfinite(rate) else np.inf if at <= point.closes else 0.0)
                door_room = min(door_room, (truck.until - at - way) * rate) if np.isfinite(rate) else door_room
                for source, bonus in ((follow[r, j], 2.0 if plan_first else 1.0), *(() if strict else ((np.where(spare[r, j], stock[d, goes], 0), 1.0),))):
                    amount = np.where(can, np.minimum(np.minimum(source, missing), stock[d, goes]), 0)
                    if not amount.any():
                        continue
                    room, cargo, worth, loaded = min(truck.load, door_room), [], 0.0, 0.0
                    rest, held = wanted[j].copy(), stock[d].copy()
                    order = sorted(np.flatnonzero(amount), key=lambda k: -(priority[j, k] + 1e6 * (firm[r, j, k] > 0)) / max(load[k], 1e-9))
                    for k in map(int, order):
                        # What shares the truck waits for the whole truck to go through.
                        most = min(room, (deadline[j, k] - arrive) * rate) if np.isfinite(rate) else room
                        units = int(min(amount[k], held[goes[k]], -(-rest[meant[k]] // measure[goes[k]])))
                        units = units if load[k] <= 0 else min(units, int((most - loaded) / load[k] + 1e-9))
                        if units > 0:
                            cargo.append((k, units))
                            room, loaded = most, loaded + units * float(load[k])
                            rest[meant[k]] = max(0, rest[meant[k]] - units * measure[goes[k]])
                            held[goes[k]] -= units
                            worth += units * float(priority[j, k]) * (1e3 if firm[r, j, k] > 0 else 1.0)
                    if cargo:
                        last = loaded / rate if np.isfinite(rate) else 0.0
                        back = at + max(handling, last) + way
                        score = worth * bonus * taste[j] / max(back - now, 1.0) ** haste
                        if choice is None or score > choice[0]:
                            choice = (score, arrive + last, back, at + last, r, j, cargo)
        if choice is None:
            live.remove(n)
            if strict:
                parked.append(n)
            if strict and not live:
                strict, live = False, parked
            continue
        _score, arrive, back, done, r, j, cargo = choice
        for k, units in cargo:
            stock[d, goes[k]] -= units
            wanted[j, meant[k]] = max(0, wanted[j, meant[k]] - units * measure[goes[k]])
            follow[r, j, k] = max(0, follow[r, j, k] - units)
            firm[r, j, k] = max(0, firm[r, j, k] - units)
        if task.past[r] >= 0 and np.isfinite(task.points[task.past[r]].per_minute):
            door[int(task.past[r])] = done
        trips.append(Trip(n, d, j, now, arrive, back, tuple(cargo), r))
        free[n] = back
    sent = np.zeros_like(planned)
    for trip in trips:
        for k, units in trip.cargo:
            sent[trip.way, trip.need, k] += units
    left = np.maximum(planned - sent, 0)
    # A line that another truck has carried instead is not left over.
    lost = np.minimum(left, -(-wanted[:, meant] // measure[goes])[None])
    used = [0.0] * len(trucks)
    for trip in trips:
        used[trip.truck] += trip.back - trip.leave

    def listed(found: np.ndarray) -> list[Line]:
        return [(int(r), int(j), int(k), int(found[r, j, k])) for r, j, k in np.argwhere(found > 0)]

    return Packed(trips, listed(sent), listed(lost), float((wanted / measure * task.priority).sum()), float((sent * way_[:, :, None]).sum()), used)
