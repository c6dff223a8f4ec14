"""What goes from which depot to which need (物资调拨): many goods that share the depots' trucks, short of everything, and how near the best it is.

Unmet need counts first, by its priority; then the minutes every unit is on the road. A unit that would come after its deadline is not sent:
it shows as unmet. Goods of which one may stand for another, and the ways of a depot past a transfer point, are weighed in one go: each family of goods is
one transport problem, measured in what its goods have in common (a large pump is two small ones), solved exactly. The families hang together by the trucks and
the transfer points alone: with a price on each depot's truck minutes and on each point's throughput they fall apart (Held and Karp's bound); the prices are moved
until both suffice, and each round's flows are made to fit: what is worth least for its truck time stays at home, and what was freed is offered again.
Whole units, never more than is held.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np
from numba import njit

from . import transport
from .transport import FAR

UNMET = 10_000  # minutes that one unmet unit of priority 1 counts as
SCALE = 100  # hundredths of a minute
WINDOWS = 8  # deadlines told apart at a transfer point
PARTS = 5_000  # the finest common measure of goods that stand for one another

Line = tuple[int, int, int, int]  # way, need, column, units: without transfer points a way is a depot, without swaps a column is a good
Swap = tuple[int, int, float]  # the good that goes, the good it stands for, how many of it stand for one


@dataclass(frozen=True)
class Point:
    """A transfer point: so many truckloads a minute go through it, from minute `opens` to `closes`."""

    per_minute: float = np.inf
    opens: float = 0.0
    closes: float = np.inf


@dataclass
class Task:
    """D depots, R ways out of them, N needs, G goods. `minutes` (R, N), infinite where there is no way; `need` (N, G) units; `priority`, `deadline` (N, G), minutes;
    `stock` (D, G) units; `load` (G) truckloads of one unit; `trucks` (D) truck minutes, infinite where they do not count; `allowed` (D, N, G) or None:
    who may release what to whom. `kept`: lines a person has decided; they stand, and get no more where `shut` (way, need, column) says so. `before`: the plan until now; `change` minutes are what a unit on a new
    line must save. `ready` (D) minutes pass before the first truck leaves (loading, a release by the level above). `weight` (G): what a minute of one unit
    of a good counts; with the goods' loads in its place time is counted in loaded trucks, which is what costs. `drive` (R, N): minutes the depot's own
    trucks drive one way, where the rest of the way is somebody else's (a transfer point); else `minutes`. `handling` minutes a truck stands at a need besides.

    `home`, `via` (R): each way's depot and transfer point (-1: none); left out, each depot has one way. `points`: what goes through each. `swaps`: what may stand in for what, the likeliest
    first; the k-th is column G + k. `stand` minutes more count for each unit met so, twice that for the second that may stand for the same good, and so on.
    """

    minutes: np.ndarray
    need: np.ndarray
    priority: np.ndarray
    deadline: np.ndarray
    stock: np.ndarray
    load: np.ndarray
    trucks: np.ndarray
    allowed: np.ndarray | None = None
    kept: Sequence[Line] = ()
    before: Sequence[Line] = ()
    change: float = 0.0
    shut: Sequence[tuple[int, int, int]] = ()
    ready: np.ndarray | None = None
    weight: np.ndarray | None = None
    drive: np.ndarray | None = None
    handling: float = 0.0
    home: np.ndarray | None = None
    via: np.ndarray | None = None
    points: Sequence[Point] = ()
    swaps: Sequence[Swap] = ()
    stand: float = 0.0

    @property
    def homes(self) -> np.ndarray:
        """(R): the depot of each way."""
        return np.arange(len(self.minutes)) if self.home is None else self.home

    @property
    def past(self) -> np.ndarray:
        """(R): the transfer point of each way, or -1."""
        return np.full(len(self.minutes), -1) if self.via is None else self.via

    @property
    def goes(self) -> np.ndarray:
        """(K): the good that goes in each column."""
        return np.r_[np.arange(self.need.shape[1]), np.array([h for h, _g, _n in self.swaps], int)]

    @property
    def meant(self) -> np.ndarray:
        """(K): the good each column is counted for."""
        return np.r_[np.arange(self.need.shape[1]), np.array([g for _h, g, _n in self.swaps], int)]

    @property
    def columns(self) -> tuple[int, int, int]:
        return len(self.minutes), self.minutes.shape[1], self.need.shape[1] + len(self.swaps)

    @property
    def driven(self) -> np.ndarray:
        """(R, N): minutes of the depot's trucks one way; 0 where there is no way."""
        far = self.minutes if self.drive is None else self.drive
        return np.where(np.isfinite(self.minutes) & np.isfinite(far), far, 0.0)

    @property
    def trip(self) -> np.ndarray:
        """(R, N): minutes a truck is away on one trip. What is carried on part of a truck takes that part of them: never more than the trip, so the bound holds."""
        return 2 * self.driven + self.handling

    @property
    def begun(self) -> np.ndarray:
        """(R): minutes until the first truck leaves."""
        return np.zeros(len(self.minutes)) if self.ready is None else self.ready[self.homes]

    @property
    def waits(self) -> np.ndarray:
        """(R, N): minutes the first truck waits for a transfer point to open."""
        opens = np.r_[[one.opens for one in self.points], -np.inf][self.past]
        return np.maximum(opens[:, None] - (self.begun[:, None] + self.driven), 0.0)

    @property
    def arrival(self) -> np.ndarray:
        """(R, N): minutes until the first truck's load is there."""
        return self.minutes + self.begun[:, None] + self.waits

    @property
    def counted(self) -> np.ndarray:
        """(G): what a minute of one unit counts."""
        return np.ones(self.need.shape[1]) if self.weight is None else self.weight

    @property
    def open(self) -> np.ndarray:
        """(R, N, K): which lines are possible in time."""
        found = np.isfinite(self.minutes)[:, :, None] & (self.arrival[:, :, None] <= self.deadline[None][:, :, self.meant])
        if self.points:
            # The first truck must be at the point before it closes.
            closes = np.r_[[one.closes for one in self.points], np.inf][self.past]
            found &= (self.begun[:, None] + self.driven + self.waits <= closes[:, None])[:, :, None]
        return found if self.allowed is None else found & self.allowed[self.homes][:, :, self.goes]


def measures(goods: int, swaps: Sequence[Swap]) -> np.ndarray:
    """(G): each good in the common measure of its family: two small pumps for a large one make it 2 and 1. ValueError where the numbers contradict one another."""
    found: dict[int, Fraction] = {}
    for members in families(goods, swaps):
        found[members[0]] = Fraction(1)
        waiting = [members[0]]
        while waiting:
            a = waiting.pop()
            for h, g, number in swaps:
                ratio = Fraction(number).limit_denominator(100)
                if a not in (h, g):
                    continue
                b, value = (h, found[a] / ratio) if g == a else (g, found[a] * ratio)
                if b not in found:
                    found[b] = value
                    waiting.append(b)
                elif found[b] != value:
                    raise ValueError(f"swaps: {number:g} of good {h} for one of good {g} contradicts the others, by which it is {float(found[g] / found[h]):g}")
        whole = math.lcm(*(found[g].denominator for g in members))
        part = math.gcd(*(int(found[g] * whole) for g in members))
        for g in members:
            found[g] = found[g] * whole / part
            if found[g] > PARTS:
                raise ValueError(f"swaps: good {g} would be {int(found[g])} parts of another; choose rounder numbers")
    return np.array([int(found[g]) for g in range(goods)], np.int64)


def families(goods: int, swaps: Sequence[Swap]) -> list[list[int]]:
    """Goods that hang together because one may stand for another."""
    top = list(range(goods))
    for h, g, _number in swaps:
        a, b = top[h], top[g]
        top = [min(a, b) if one in (a, b) else one for one in top]
    return [[g for g in range(goods) if top[g] == one] for one in sorted(set(top))]


@dataclass
class Gates:
    """What may go through the transfer points until when: `cls` (R, N, G) the first window a line counts in (-1: none), `end` (W) one beyond the last window of its point,
    `room` (W) truckloads that can have gone through by then."""

    cls: np.ndarray
    end: np.ndarray
    room: np.ndarray
    point: np.ndarray
    until: np.ndarray


def gates(task: Task) -> Gates:
    """A load that must be through by minute p counts in every window that ends after p, and in the last that ends before it: so each window's throughput is enough for
    what must be through by then (earliest deadline first; Horn 1974), never a little too little."""
    cls = np.full((*task.minutes.shape, task.need.shape[1]), -1, np.int64)
    end: list[int] = []
    room: list[float] = []
    point: list[int] = []
    until: list[float] = []
    for t, one in enumerate(task.points):
        rows = np.flatnonzero(task.past == t)
        if not rows.size or not np.isfinite(one.per_minute):
            continue
        way, drive = task.minutes[rows], task.driven[rows]
        there = np.isfinite(way)
        if not there.any():
            continue
        first = max(one.opens, float((task.begun[rows][:, None] + drive)[there].min()))
        latest = np.minimum(task.deadline[None] - np.where(there, way - drive, 0.0)[:, :, None], one.closes)
        ends = np.unique(latest[there[:, :, None] & (task.need > 0)[None] & np.isfinite(latest)])
        ends = ends[ends >= first]
        if not ends.size:
            continue
        if ends.size > WINDOWS:
            ends = np.unique(ends[np.linspace(0, ends.size - 1, WINDOWS).astype(int)])
        base = len(end)
        found = np.searchsorted(ends, latest, side="right") - 1
        cls[rows] = np.where(np.isfinite(latest) & there[:, :, None], base + np.maximum(found, 0), -1)
        end += [base + ends.size] * ends.size
        room += [one.per_minute * (float(e) - first) for e in ends]
        point += [t] * ends.size
        until += ends.tolist()
    return Gates(cls, np.array(end, np.int64), np.array(room), np.array(point, np.int64), np.array(until))


def through(task: Task, gate: Gates, sent: np.ndarray) -> np.ndarray:
    """(W): truckloads that count in each window."""
    used = np.zeros(gate.room.size)
    if not used.size:
        return used
    for r, j, k in np.argwhere(sent > 0):
        first = gate.cls[r, j, task.meant[k]]
        if first >= 0:
            used[first : gate.end[first]] += sent[r, j, k] * task.load[task.goes[k]]
    return used


@dataclass
class Judged:
    """What a plan is worth by the rules, and which it breaks: (rule, place, by how much)."""

    unmet: np.ndarray  # (N, G) units, a part of one counting as one
    unmet_value: float
    unit_minutes: float
    changed: int
    value: float
    truck_minutes: np.ndarray
    breaks: list[tuple[str, tuple[int, ...], float]] = field(default_factory=list)


@dataclass
class Plan(Judged):
    """A plan that keeps every rule. No plan can be below `bound`; `truck_price`: minutes of `value` that one more truck minute would save; `point_price`: that one more
    truckload through each transfer point would."""

    lines: list[Line] = field(default_factory=list)
    bound: float = 0.0
    truck_price: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stock_price: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    point_price: np.ndarray = field(default_factory=lambda: np.zeros(0))
    rounds: int = 0

    @property
    def gap(self) -> float:
        return max(0.0, (self.value - self.bound) / max(abs(self.bound), 1.0))


def table(task: Task, lines: Sequence[Line]) -> np.ndarray:
    """(R, N, K): units on each line."""
    found = np.zeros(task.columns, np.int64)
    for r, j, k, units in lines:
        found[r, j, k] += units
    return found


def taken(task: Task, sent: np.ndarray) -> np.ndarray:
    """(D, G): units of each good that leave each depot."""
    found = np.zeros(task.stock.shape, np.int64)
    np.add.at(found, (task.homes[:, None], task.goes[None]), sent.sum(axis=1))
    return found


def met(task: Task, sent: np.ndarray, measure: np.ndarray) -> np.ndarray:
    """(N, G): what arrives for each need, in the common measure."""
    found = np.zeros(task.need.shape, np.int64)
    np.add.at(found.T, task.meant, (sent.sum(axis=0) * measure[task.goes][None]).T)
    return found


def extra(task: Task) -> np.ndarray:
    """(K): minutes that a unit in each column counts besides its way."""
    found, seen = np.zeros(task.columns[2]), [0] * task.need.shape[1]
    for k, (_h, g, number) in enumerate(task.swaps):
        seen[g] += 1
        found[task.need.shape[1] + k] = task.stand * seen[g] / number
    return found


def judge(task: Task, lines: Sequence[Line]) -> Judged:
    """Any plan, a person's too, by the same rules."""
    breaks: list[tuple[str, tuple[int, ...], float]] = [("negative", _at(task, r, j, k), float(units)) for r, j, k, units in lines if units < 0]
    sent, measure, gate = table(task, lines), measures(task.need.shape[1], task.swaps), gates(task)
    for r, j, k in np.argwhere((sent > 0) & ~task.open):
        late = task.arrival[r, j] - task.deadline[j, task.meant[k]]
        rule = "no way" if not np.isfinite(late) else "late" if late > 0 else "not allowed" if task.allowed is not None and not task.allowed[task.homes[r], j, task.goes[k]] else "point shut"
        breaks.append((rule, _at(task, r, j, k), float(late) if rule == "late" else 0.0))
    over = taken(task, sent) - task.stock
    breaks += [("stock", (int(d), int(g)), float(over[d, g])) for d, g in np.argwhere(over > 0)]
    beyond = met(task, sent, measure) - task.need * measure
    for j, g in np.argwhere(beyond > 0):
        # The last unit may be larger than what was missing; a whole one too many is not right.
        spare = beyond[j, g] / max(measure[task.goes[k]] for k in np.flatnonzero((task.meant == g) & (sent[:, j].sum(axis=0) > 0)))
        if spare >= 1:
            breaks.append(("more than needed", (int(j), int(g)), float(beyond[j, g] / measure[g])))
    way = np.where(np.isfinite(task.minutes), task.minutes, 0.0)
    used = np.bincount(task.homes, weights=np.einsum("rjk,rj,k->r", sent, task.trip, task.load[task.goes]), minlength=len(task.stock))
    breaks += [("trucks", (int(d),), float(used[d] - task.trucks[d])) for d in np.flatnonzero(used > task.trucks * (1 + 1e-9) + 1e-6)]
    passed = through(task, gate, sent)
    for w in np.flatnonzero(passed > gate.room * (1 + 1e-9) + 1e-6):
        breaks.append(("point", (int(gate.point[w]),), float(passed[w] - gate.room[w])))
    missing = np.maximum(-beyond, 0)
    old = table(task, task.before)
    changed = int(np.maximum(sent - old, 0).sum()) if task.before else 0
    new_lines = int(sent[old == 0].sum()) if task.before else 0
    unmet_value = float((missing / measure * task.priority).sum())
    minutes = float((sent * way[:, :, None] * task.counted[task.goes]).sum()) + float((sent * extra(task)).sum())
    return Judged(-(-missing // measure), unmet_value, minutes, changed, UNMET * unmet_value + minutes + task.change * new_lines, used, breaks)


def _at(task: Task, r: int, j: int, k: int) -> tuple[int, int, int]:
    """Depot, need and the good that goes."""
    return int(task.homes[r]), int(j), int(task.goes[k])


@njit(cache=True)
def _most(d, h, j, g, r, k, stock, wanted, trucks, trip_minutes, load, measure, cls, end, room):
    """How many whole units of h can still go on this line."""
    x = min(stock[d, h], -(-wanted[j, g] // measure[h]))
    each = trip_minutes * load[h]
    if each > 0.0 and x > 0 and trucks[d] < np.inf:
        x = min(x, np.int64(trucks[d] / each + 1e-9))
    w = cls[r, j, g]
    if w >= 0 and load[h] > 0.0 and x > 0:
        for v in range(w, end[w]):
            x = min(x, np.int64(room[v] / load[h] + 1e-9))
    return x


@njit(cache=True)
def _put(x, d, h, j, g, r, k, stock, wanted, trucks, trip_minutes, load, measure, cls, end, room, out):
    out[r, j, k] += x
    stock[d, h] -= x
    wanted[j, g] = max(wanted[j, g] - x * measure[h], 0)
    trucks[d] -= trip_minutes * load[h] * x
    w = cls[r, j, g]
    if w >= 0:
        for v in range(w, end[w]):
            room[v] -= x * load[h]


@njit(cache=True)
def _fit(way, need, column, units, trip, load, measure, home, goes, meant, trucks, stock, wanted, order, offer, near, serve, open_, cls, end, room, out):
    """Take the lines in `order` as far as stock, need, trucks and transfer points go; then offer what is still wanted (`offer`: need, good, the dearest first) by the
    nearest ways, as itself first, then as what may stand for it (`serve`). Changes stock, wanted, trucks and room; adds to `out` (R, N, K)."""
    for e in order:
        r, j, k = way[e], need[e], column[e]
        d, h, g = home[r], goes[k], meant[k]
        x = min(units[e], _most(d, h, j, g, r, k, stock, wanted, trucks, trip[r, j], load, measure, cls, end, room))
        if x > 0:
            _put(x, d, h, j, g, r, k, stock, wanted, trucks, trip[r, j], load, measure, cls, end, room, out)
    for e in range(offer.shape[0]):
        j, g = offer[e, 0], offer[e, 1]
        for s in range(serve.shape[1]):
            k = serve[g, s]
            if k < 0 or wanted[j, g] == 0:
                break
            h = goes[k]
            for n in range(near.shape[1]):
                r = near[j, n]
                d = home[r]
                if stock[d, h] == 0 or not open_[r, j, k]:
                    continue
                x = _most(d, h, j, g, r, k, stock, wanted, trucks, trip[r, j], load, measure, cls, end, room)
                if x > 0:
                    _put(x, d, h, j, g, r, k, stock, wanted, trucks, trip[r, j], load, measure, cls, end, room, out)
                    if wanted[j, g] == 0:
                        break


def check(task: Task) -> list[str]:
    """What is wrong with the numbers, named; empty when they can be used."""
    wrong = []
    if np.isnan(task.minutes).any() or (task.minutes < 0).any():
        wrong.append(f"minutes: not a number or negative at depot, need {np.argwhere(np.isnan(task.minutes) | (task.minutes < 0))[0].tolist()}")
    for name in ("need", "stock"):
        if (getattr(task, name) < 0).any():
            wrong.append(f"{name}: negative at {np.argwhere(getattr(task, name) < 0)[0].tolist()}")
    if (task.priority < 0).any() or task.priority.max(initial=0) * UNMET * 2 >= transport.LIMIT:
        wrong.append("priority: from 0 up to 1000")
    for k, (h, g, number) in enumerate(task.swaps):
        if h == g or not 0.01 <= number <= 100:
            wrong.append(f"swaps: two different goods and a number from 0.01 to 100 at {k}")
    for t, one in enumerate(task.points):
        if not one.per_minute > 0 or np.isnan(one.opens) or np.isnan(one.closes):
            wrong.append(f"points: nothing can go through point {t}")
    for r, j, k, units in task.kept:
        if units < 0 or not task.open[r, j, k]:
            wrong.append(f"kept: depot {task.homes[r]} cannot reach need {j} with good {task.goes[k]} in time, or may not")
    return wrong


def by_hand(task: Task, lines: Sequence[Line], beside: Sequence[Line] = ()) -> list[Line]:
    """A person says depot, need, column and units: each by the quickest of the depot's ways, as far as its transfer point lets through `beside` others, then by the next."""
    if task.home is None:
        return list(lines)
    gate, found = gates(task), []
    left = gate.room - through(task, gate, table(task, beside))
    for d, j, k, units in lines:
        rows = sorted((int(r) for r in np.flatnonzero(task.homes == d)), key=lambda r: (not task.open[r, j, k], task.arrival[r, j]))
        for r in rows:
            first, load = int(gate.cls[r, j, task.meant[k]]), float(task.load[task.goes[k]])
            last = r == rows[-1] or not task.open[rows[rows.index(r) + 1], j, k]
            windows = slice(first, int(gate.end[first])) if first >= 0 else slice(0, 0)
            can = units if last or first < 0 or not load else min(units, max(0, int(left[windows].min() / load + 1e-9)))
            if can:
                found.append((r, j, k, can))
                left[windows] -= can * load
                units -= can
            if not units:
                break
    return found


def solve(task: Task, *, budget: float = 10.0, gap: float = 0.003, rounds: int = 150, hear: Callable[[int, float, float], bool] = lambda _round, _value, _bound: True) -> Plan:
    """Stops at `rounds`, `budget` CPU seconds, the gap, or when `hear` (round, best value, bound) says no; always with the best plan so far.

    ValueError names what is wrong; kept lines beyond stock, need, trucks or transfer points are wrong too.
    """
    if wrong := check(task):
        raise ValueError("; ".join(wrong))
    began = time.process_time()
    goods = task.need.shape[1]
    depots = len(task.stock)
    measure, gate = measures(goods, task.swaps), gates(task)
    fixed = judge(task, task.kept)
    if fixed.breaks:
        rule, where, much = fixed.breaks[0]
        raise ValueError(f"kept: {rule} at {list(where)}, by {much:g}")
    kept = table(task, task.kept)
    home, goes, meant = task.homes, task.goes, task.meant
    column = {(int(h), int(g)): k for k, (h, g) in reversed(list(enumerate(zip(goes, meant, strict=True))))}
    stock, wanted, trucks = task.stock - taken(task, kept), np.maximum(task.need * measure - met(task, kept, measure), 0), task.trucks - fixed.truck_minutes
    room = gate.room - through(task, gate, kept)
    way, trip = np.where(np.isfinite(task.minutes), task.minutes, 0.0), task.trip
    open_ = task.open
    for r, j, k in task.shut:
        open_[r, j, k] = False
    news = np.zeros(task.columns)
    if task.before and task.change:
        news[:] = task.change
        for r, j, k, _units in task.before:
            news[r, j, k] = 0.0
    news += extra(task)
    scale = min(SCALE, int((transport.LIMIT - 1) / (UNMET * max(float(task.priority.max(initial=1)), 1.0))))
    # One price for each depot's trucks, then one for each window of a transfer point.
    bounded = np.r_[np.isfinite(trucks), np.ones(room.size, bool)]
    limits = np.where(bounded, np.r_[trucks, room], 0.0)
    # Truck minutes and truckloads are measured in what there is of each, so that one step suits both.
    size = np.maximum(limits, max(float(limits[:depots].mean()) * 1e-3, 1e-6)) if room.size else np.ones(limits.size)
    price, best_price = np.zeros(limits.size), np.zeros(limits.size)
    room_price: dict[int, np.ndarray] = {}
    kin = families(goods, task.swaps)
    groups = [[(np.flatnonzero(wanted[:, g] > 0), g) for g in members if (wanted[:, g] > 0).any()] for members in kin]
    serve = np.full((goods, 1 + max((sum(meant == g) for g in range(goods)), default=1)), -1)
    for g in range(goods):
        own = np.flatnonzero(meant == g)
        serve[g, : own.size] = own
    near = np.argsort(way + np.where(np.isfinite(task.minutes), 0, np.inf), axis=0, kind="stable").T.copy()
    jj, gg = np.nonzero(wanted > 0)
    offer = np.column_stack([jj, gg])[np.argsort(-(task.priority[jj, gg] / np.maximum(task.load[gg], 1e-9)), kind="stable")]
    low, best, best_value, best_judged = -np.inf, kept, np.inf, fixed
    theta, stall, direction, turn = 1.0, 0, np.zeros(limits.size), 0
    weight = task.counted
    base = float((news * kept).sum() + (way[:, :, None] * weight[goes] * kept).sum())
    for turn in range(1, rounds + 1):
        flows: list[tuple[np.ndarray, ...]] = []
        level, used = base, np.zeros(limits.size)
        toll = _tolls(gate, price[depots:])
        for f, members in enumerate(kin):
            if not groups[f]:
                continue
            spot = {member: n for n, member in enumerate(members)}
            cost_rows, leave, amount, picked = [], [], [], []
            for at, g in groups[f]:
                cost = np.full((at.size, depots, len(members)), FAR, np.int64)
                picks = np.zeros((at.size, depots, len(members)), np.int64)
                for k in np.flatnonzero(meant == g).tolist():
                    sent_as = int(goes[k])
                    exact = way[:, at] * weight[sent_as] + trip[:, at] * (task.load[sent_as] * price[home][:, None]) + news[:, at, k]
                    if room.size:
                        exact += toll[gate.cls[:, at, g]] * task.load[sent_as]
                    exact *= scale / measure[sent_as]
                    # Rounded down: the bound stays a bound.
                    each = np.where(open_[:, at, k] & (exact < transport.LIMIT), np.floor(exact), FAR).astype(np.int64)
                    if task.home is None:
                        cost[:, :, spot[sent_as]] = each.T
                    else:
                        for r in range(len(home)):
                            better = each[r] < cost[:, home[r], spot[sent_as]]
                            cost[better, home[r], spot[sent_as]] = each[r][better]
                            picks[better, home[r], spot[sent_as]] = r
                cost_rows.append(cost.reshape(at.size, -1))
                picked.append(picks.reshape(at.size, -1))
                leave.append((scale * UNMET / measure[g] * task.priority[at, g]).astype(np.int64))
                amount.append(wanted[at, g])
            space = (stock[:, members] * measure[members]).ravel()
            placed = transport.solve(np.concatenate(cost_rows), np.concatenate(amount), space, nowhere=np.concatenate(leave), first=room_price.get(f))
            room_price[f] = placed.price
            level += placed.bound / scale
            x, choice = placed.flow[:, :-1], np.concatenate(picked)
            who = np.concatenate([at for at, _g in groups[f]])
            what = np.concatenate([np.full(at.size, g) for at, g in groups[f]])
            group, cell = np.nonzero(x)
            from_, sort = cell // len(members), np.array(members)[cell % len(members)]
            by = from_ if task.home is None else choice[group, cell]
            to, good = who[group], what[group]
            share = x[group, cell] / measure[sort]
            flows.append((by, to, np.array([column[pair] for pair in zip(sort.tolist(), good.tolist(), strict=True)], np.int64), -(-x[group, cell].astype(np.int64) // measure[sort])))
            used[:depots] += np.bincount(from_, weights=share * task.load[sort] * trip[by, to], minlength=depots)
            if room.size:
                first = gate.cls[by, to, good]
                np.add.at(used[depots:], first[first >= 0], (share * task.load[sort])[first >= 0])
        if room.size:
            used[depots:] = _summed(gate, used[depots:])
        level -= float((price * limits).sum())
        if level > low:
            stall = 0 if level > low + 1e-6 * abs(low) else stall + 1
            low, best_price = level, price.copy()
        else:
            stall += 1
        by, to, which, sent = [np.concatenate(one) for one in zip(*flows, strict=True)] if flows else [np.zeros(0, np.int64)] * 4
        # What a unit is worth where it goes, for each truck minute it takes there.
        sort, good = goes[which], meant[which]
        worth = (UNMET * task.priority[to, good] * measure[sort] / measure[good] - way[by, to] * weight[sort]) / np.maximum(trip[by, to] * task.load[sort], 1e-9)
        out = kept.copy()
        _fit(by, to, which, sent, trip, task.load, measure, home, goes, meant, trucks.copy(), stock.copy(), wanted.copy(), np.argsort(-worth, kind="stable"), offer, near, serve, open_, gate.cls, gate.end, room.copy(), out)
        if task.swaps:
            trim(task, out, kept, measure)
        value = _value(task, out, way, news, measure)
        if value < best_value:
            best, best_value = out, value
        if not hear(turn, best_value, low) or best_value - low <= gap * abs(low) or time.process_time() - began > budget:
            break
        slope = np.where(bounded, used - limits, 0.0)
        slope[(price <= 0) & (slope < 0)] = 0.0
        if not slope.any():
            break
        if stall >= 3:
            theta, stall, price, direction = theta * 0.6, 0, best_price.copy(), np.zeros(limits.size)
            if theta < 1e-3:
                break
            continue
        direction = 0.5 * direction + slope / size
        if not direction.any():
            direction = slope / size  # two rounds took each other back exactly
        price = np.maximum(0.0, price + theta * max(best_value - level, 1.0) / float(direction @ direction) * direction / size)
    lines = [(int(r), int(j), int(k), int(best[r, j, k])) for r, j, k in np.argwhere(best > 0)]
    best_judged = judge(task, lines)
    stock_price = np.zeros((depots, goods))
    for f, of_room in room_price.items():
        stock_price[:, kin[f]] = of_room.reshape(depots, -1) * measure[kin[f]] / scale
    point_price = np.zeros(len(task.points))
    np.add.at(point_price, gate.point, best_price[depots:])
    return Plan(**vars(best_judged), lines=lines, bound=min(low, best_judged.value), truck_price=best_price[:depots], stock_price=stock_price, point_price=point_price, rounds=turn)


def trim(task: Task, out: np.ndarray, kept: np.ndarray, measure: np.ndarray) -> None:
    """Where a large unit has come last, small ones that are not needed any more stay at home."""
    over = met(task, out, measure) - task.need * measure
    for j, g in np.argwhere(over > 0):
        for k in sorted(np.flatnonzero(task.meant == g), key=lambda k: -measure[task.goes[k]]):
            for r in np.flatnonzero(out[:, j, k] > kept[:, j, k]):
                units = min(out[r, j, k] - kept[r, j, k], over[j, g] // measure[task.goes[k]])
                out[r, j, k] -= units
                over[j, g] -= units * measure[task.goes[k]]


def _tolls(gate: Gates, price: np.ndarray) -> np.ndarray:
    """(W + 1): what a truckload pays that counts from each window on; the last, for -1, nothing."""
    return np.array([price[w : gate.end[w]].sum() for w in range(price.size)] + [0.0])


def _summed(gate: Gates, first: np.ndarray) -> np.ndarray:
    """What counts from a window on counts in all later windows of its point."""
    found = np.zeros_like(first)
    for w in range(first.size):
        found[w : gate.end[w]] += first[w]
    return found


def _value(task: Task, sent: np.ndarray, way: np.ndarray, news: np.ndarray, measure: np.ndarray) -> float:
    unmet = np.maximum(task.need * measure - met(task, sent, measure), 0) / measure
    return float(UNMET * (unmet * task.priority).sum() + (sent * way[:, :, None] * task.counted[task.goes]).sum() + (sent * news).sum())


def why_unmet(task: Task, plan: Plan) -> list[tuple[int, int, int, str]]:
    """(need, good, units, reason) for everything not met: nobody has any, nobody who has it may send it, no depot in time, stock, a transfer point, trucks, or worth less than what went instead."""
    sent, gate = table(task, plan.lines), gates(task)
    left, spare, room = task.stock - taken(task, sent), task.trucks - plan.truck_minutes, gate.room - through(task, gate, sent)
    free = np.array([min(room[w : gate.end[w]]) for w in range(room.size)] + [np.inf])
    home, open_, goes = task.homes, task.open, task.goes
    anyone = open_ if task.allowed is None else replace(task, allowed=None).open
    per = np.r_[np.ones(task.need.shape[1]), np.array([n for _h, _g, n in task.swaps], float)]
    found = []
    for j, g in sorted(np.argwhere(plan.unmet > 0).tolist(), key=lambda at: -task.priority[at[0], at[1]]):
        own = np.flatnonzero(task.meant == g)
        could = open_[:, j, own] & (task.stock[home][:, goes[own]] > 0)
        holds = could & (left[home][:, goes[own]] > 0)
        with np.errstate(invalid="ignore"):
            passes = holds & (task.load[goes[own]][None] <= free[gate.cls[:, j, g]][:, None])
            carries = passes & (task.trip[:, j][:, None] * task.load[goes[own]][None] <= spare[home][:, None])
        reason = "none" if not (task.stock[:, goes[own]] > 0).any() else ("not allowed" if (anyone[:, j, own] & (task.stock[home][:, goes[own]] > 0)).any() else "no way in time") if not could.any() else "stock" if not holds.any() else "point" if not passes.any() else "trucks" if not carries.any() else "worth less"
        unmet = int(plan.unmet[j, g])
        rest = unmet if holds.any() else 0
        # What still lies there answers for as many units as it could have met; of the others there is no more.
        for d, k in {(int(home[r]), int(own[c])) for r, c in np.argwhere(holds)}:
            units = min(rest, int(left[d, goes[k]] / per[k]))
            left[d, goes[k]] -= units * per[k]
            rest -= units
        found += [(j, g, units, why) for units, why in ((unmet - rest, reason), (rest, "stock")) if units]
    return found


def difference(before: Sequence[Line], after: Sequence[Line]) -> list[tuple[int, int, int, int, int]]:
    """(depot, need, good, units before, units after) where two plans differ."""
    old: dict[tuple[int, int, int], int] = {}
    new: dict[tuple[int, int, int], int] = {}
    for plan, lines in ((old, before), (new, after)):
        for d, j, g, units in lines:
            plan[d, j, g] = plan.get((d, j, g), 0) + units
    return [(*key, old.get(key, 0), new.get(key, 0)) for key in sorted(old | new) if old.get(key, 0) != new.get(key, 0)]
