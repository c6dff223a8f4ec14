"""Which truck drives when with what (车次): a plan's flows put onto single trucks with a load, a shift and several trips.

A trip goes from a depot to one need and back; it takes its whole time however little is on it. A truck is ready at some minute and must be back
before its shift ends; what would come after its deadline is not loaded. Each truck that is free first takes the trip that is worth most for its time,
first of what the plan says, then of whatever is still wanted and lies there; many orders of doing so are tried (seeded), later ones near the best, which is kept. What the
shifts have no room for is left over: it shows as unmet, never as late.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .dispatch import Line, Task


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
    """`truck` (index) leaves, arrives, is back; `cargo`: (good, units)."""

    truck: int
    depot: int
    need: int
    leave: float
    arrive: float
    back: float
    cargo: tuple[tuple[int, int], ...]


@dataclass
class Packed:
    """`lines`: what the trips carry together; `left`: lines of the plan that found no truck; `unmet_value`: priority × units not carried."""

    trips: list[Trip]
    lines: list[Line]
    left: list[Line]
    unmet_value: float
    unit_minutes: float
    used: list[float] = field(default_factory=list)  # minutes on the road of each truck


def pack(task: Task, lines: Sequence[Line], trucks: Sequence[Truck], *, handling: float = 0.0, tries: int = 24, seed: int = 1) -> Packed:
    """`handling` minutes to unload at each need. A good without load takes no room; a unit larger than every truck is left over."""
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
        found = _once(task, lines, trucks, handling, *now)
        if best is None or (found.unmet_value, found.unit_minutes) < (best.unmet_value, best.unit_minutes):
            best, (taste, haste, plan_first) = found, now
        if not best.left and turn == 0 and best.unmet_value == 0:
            break
    assert best is not None
    return best


def _once(task: Task, lines: Sequence[Line], trucks: Sequence[Truck], handling: float, taste: np.ndarray, haste: float, plan_first: bool) -> Packed:
    depots, needs = task.minutes.shape
    goods = task.need.shape[1]
    planned = np.zeros((depots, needs, goods), np.int64)
    for d, j, g, units in lines:
        planned[d, j, g] += units
    wanted, stock = task.need.astype(np.int64).copy(), task.stock.astype(np.int64).copy()
    ready = np.zeros(depots) if task.ready is None else task.ready
    allowed = np.ones((depots, needs, goods), bool) if task.allowed is None else task.allowed
    spare = allowed.copy()
    for d, j, g in task.shut:
        spare[d, j, g] = False
    drive = task.driven
    free = [max(one.ready, float(ready[one.depot])) for one in trucks]
    live = [k for k, one in enumerate(trucks) if one.load > 0]
    trips: list[Trip] = []
    # What a person decided goes before everything else.
    firm = np.zeros_like(planned)
    for d, j, g, units in task.kept:
        firm[d, j, g] += units
    follow = planned.copy()  # what of the plan is still to be carried
    while live:
        k = min(live, key=lambda one: (free[one], -trucks[one].load, one))
        truck, d, now = trucks[k], trucks[k].depot, free[k]
        choice: tuple[float, float, int, list[tuple[int, int]]] | None = None
        for j in range(needs):
            way = float(drive[d, j])
            if not np.isfinite(task.minutes[d, j]) or now + 2 * way + handling > truck.until + 1e-9:
                continue
            arrive = now + float(task.minutes[d, j])
            can = allowed[d, j] & (arrive <= task.deadline[j] + 1e-9)
            for source, bonus in ((follow[d, j], 2.0 if plan_first else 1.0), (np.where(spare[d, j], stock[d], 0), 1.0)):
                amount = np.where(can, np.minimum(np.minimum(source, wanted[j]), stock[d]), 0)
                if not amount.any():
                    continue
                room, cargo, worth = truck.load, [], 0.0
                order = sorted(np.flatnonzero(amount), key=lambda g: -(task.priority[j, g] + 1e6 * (firm[d, j, g] > 0)) / max(task.load[g], 1e-9))
                for g in map(int, order):
                    units = int(amount[g]) if task.load[g] <= 0 else min(int(amount[g]), int(room / task.load[g] + 1e-9))
                    if units > 0:
                        cargo.append((g, units))
                        room -= units * float(task.load[g])
                        worth += units * float(task.priority[j, g]) * (1e3 if firm[d, j, g] > 0 else 1.0)
                if cargo:
                    score = worth * bonus * taste[j] / max(2 * way + handling, 1.0) ** haste
                    if choice is None or score > choice[0]:
                        choice = (score, way, j, cargo)
        if choice is None:
            live.remove(k)
            continue
        _score, way, j, cargo = choice
        for g, units in cargo:
            stock[d, g] -= units
            wanted[j, g] -= units
            follow[d, j, g] = max(0, follow[d, j, g] - units)
            firm[d, j, g] = max(0, firm[d, j, g] - units)
        back = now + 2 * way + handling
        trips.append(Trip(k, d, j, now, now + float(task.minutes[d, j]), back, tuple(cargo)))
        free[k] = back
    sent = np.zeros_like(planned)
    for trip in trips:
        for g, units in trip.cargo:
            sent[trip.depot, trip.need, g] += units
    left = np.maximum(planned - sent, 0)
    # A line that another depot's truck has carried instead is not left over.
    lost = np.minimum(left, np.maximum(wanted, 0)[None])
    used = [0.0] * len(trucks)
    for trip in trips:
        used[trip.truck] += trip.back - trip.leave
    way_ = np.where(np.isfinite(task.minutes), task.minutes, 0.0)

    def listed(table: np.ndarray) -> list[Line]:
        return [(int(d), int(j), int(g), int(table[d, j, g])) for d, j, g in np.argwhere(table > 0)]

    return Packed(trips, listed(sent), listed(lost), float((np.maximum(wanted, 0) * task.priority).sum()), float((sent * way_[:, :, None]).sum()), used)
