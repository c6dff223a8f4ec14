"""What goes from which depot to which need (物资调拨): many goods that share the depots' trucks, short of everything, and how near the best it is.

Unmet need counts first, by its priority; then the minutes every unit is on the road. A unit that would come after its deadline is not sent:
it shows as unmet. The goods hang together by the trucks alone: with a price on each depot's truck minutes they fall apart into one transport
problem each, solved exactly (Held and Karp's bound); the prices are moved until the trucks suffice, and each round's flows are made to
fit: what is worth least for its truck time stays at home, and what was freed is offered again. Whole units, never more than is held.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numba import njit

from . import transport
from .transport import FAR

UNMET = 10_000  # minutes that one unmet unit of priority 1 counts as
SCALE = 100  # hundredths of a minute

Line = tuple[int, int, int, int]  # depot, need, good, units


@dataclass
class Task:
    """D depots, N needs, G goods. `minutes` (D, N), infinite where there is no way; `need` (N, G) units; `priority`, `deadline` (N, G), minutes;
    `stock` (D, G) units; `load` (G) truckloads of one unit; `trucks` (D) truck minutes, infinite where they do not count; `allowed` (D, N, G) or None:
    who may release what to whom. `kept`: lines a person has decided; they stand, and get no more where `shut` (depot, need, good) says so. `before`: the plan until now; `change` minutes are what a unit on a new
    line must save. `ready` (D) minutes pass before the first truck leaves (loading, a release by the level above). `weight` (G): what a minute of one unit
    of a good counts; with the goods' loads in its place time is counted in loaded trucks, which is what costs. `drive` (D, N): minutes the depot's own
    trucks drive one way, where the rest of the way is somebody else's (a transfer point); else `minutes`.
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

    @property
    def driven(self) -> np.ndarray:
        """(D, N): minutes of the depot's trucks one way; 0 where there is no way."""
        far = self.minutes if self.drive is None else self.drive
        return np.where(np.isfinite(self.minutes) & np.isfinite(far), far, 0.0)

    @property
    def arrival(self) -> np.ndarray:
        """(D, N): minutes until the first truck is there."""
        return self.minutes if self.ready is None else self.minutes + self.ready[:, None]

    @property
    def counted(self) -> np.ndarray:
        """(G): what a minute of one unit counts."""
        return np.ones(self.need.shape[1]) if self.weight is None else self.weight

    @property
    def open(self) -> np.ndarray:
        """(D, N, G): which lines are possible in time."""
        found = np.isfinite(self.minutes)[:, :, None] & (self.arrival[:, :, None] <= self.deadline[None])
        return found if self.allowed is None else found & self.allowed


@dataclass
class Judged:
    """What a plan is worth by the rules, and which it breaks: (rule, place, by how much)."""

    unmet: np.ndarray  # (N, G)
    unmet_value: float
    unit_minutes: float
    changed: int
    value: float
    truck_minutes: np.ndarray
    breaks: list[tuple[str, tuple[int, ...], float]] = field(default_factory=list)


@dataclass
class Plan(Judged):
    """A plan that keeps every rule. No plan can be below `bound`; `truck_price`: minutes of `value` that one more truck minute would save."""

    lines: list[Line] = field(default_factory=list)
    bound: float = 0.0
    truck_price: np.ndarray = field(default_factory=lambda: np.zeros(0))
    stock_price: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    rounds: int = 0

    @property
    def gap(self) -> float:
        return max(0.0, (self.value - self.bound) / max(abs(self.bound), 1.0))


def judge(task: Task, lines: Sequence[Line]) -> Judged:
    """Any plan, a person's too, by the same rules."""
    sent = np.zeros((*task.minutes.shape, task.need.shape[1]), np.int64)
    breaks: list[tuple[str, tuple[int, ...], float]] = []
    for d, j, g, units in lines:
        if units < 0:
            breaks.append(("negative", (d, j, g), float(units)))
        sent[d, j, g] += units
    for d, j, g in np.argwhere((sent > 0) & ~task.open):
        late = task.arrival[d, j] - task.deadline[j, g]
        breaks.append(("late" if np.isfinite(late) and late > 0 else "no way" if not np.isfinite(late) else "not allowed", (int(d), int(j), int(g)), float(late) if np.isfinite(late) else 0.0))
    over = sent.sum(axis=1) - task.stock
    breaks += [("stock", (int(d), int(g)), float(over[d, g])) for d, g in np.argwhere(over > 0)]
    beyond = sent.sum(axis=0) - task.need
    breaks += [("more than needed", (int(j), int(g)), float(beyond[j, g])) for j, g in np.argwhere(beyond > 0)]
    way = np.where(np.isfinite(task.minutes), task.minutes, 0.0)
    used = 2 * np.einsum("djg,dj,g->d", sent, task.driven, task.load)
    breaks += [("trucks", (int(d),), float(used[d] - task.trucks[d])) for d in np.flatnonzero(used > task.trucks * (1 + 1e-9) + 1e-6)]
    unmet = np.maximum(-beyond, 0)
    old = np.zeros_like(sent)
    for d, j, g, units in task.before:
        old[d, j, g] += units
    changed = int(np.maximum(sent - old, 0).sum()) if task.before else 0
    new_lines = int(sent[old == 0].sum()) if task.before else 0
    unmet_value, minutes = float((unmet * task.priority).sum()), float((sent * way[:, :, None] * task.counted).sum())
    return Judged(unmet, unmet_value, minutes, changed, UNMET * unmet_value + minutes + task.change * new_lines, used, breaks)


@njit(cache=True)
def _fit(depot, need, good, units, value, minutes, load, trucks, stock, wanted, order, offer, near, open_, out):
    """Take the lines in `order` as far as stock, need and trucks go; then offer what is still wanted (`offer`: need, good, the dearest first) to the
    nearest depots. Changes stock, wanted and trucks; adds to `out` (D, N, G)."""
    for e in order:
        d, j, g = depot[e], need[e], good[e]
        x = min(units[e], stock[d, g], wanted[j, g])
        each = 2.0 * minutes[d, j] * load[g]
        if each > 0.0 and x > 0:
            x = min(x, np.int64(trucks[d] / each + 1e-9)) if trucks[d] < np.inf else x
        if x > 0:
            out[d, j, g] += x
            stock[d, g] -= x
            wanted[j, g] -= x
            trucks[d] -= x * each
    for e in range(offer.shape[0]):
        j, g = offer[e, 0], offer[e, 1]
        if wanted[j, g] == 0:
            continue
        for k in range(near.shape[1]):
            d = near[j, k]
            if not open_[d, j, g] or stock[d, g] == 0:
                continue
            x = min(wanted[j, g], stock[d, g])
            each = 2.0 * minutes[d, j] * load[g]
            if each > 0.0 and trucks[d] < np.inf:
                x = min(x, np.int64(trucks[d] / each + 1e-9))
            if x > 0:
                out[d, j, g] += x
                stock[d, g] -= x
                wanted[j, g] -= x
                trucks[d] -= x * each
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
    for d, j, g, units in task.kept:
        if units < 0 or not task.open[d, j, g]:
            wrong.append(f"kept: depot {d} cannot reach need {j} with good {g} in time, or may not")
    return wrong


def solve(task: Task, *, budget: float = 10.0, gap: float = 0.003, rounds: int = 150, hear: Callable[[int, float, float], bool] = lambda _round, _value, _bound: True) -> Plan:
    """Stops at `rounds`, `budget` CPU seconds, the gap, or when `hear` (round, best value, bound) says no; always with the best plan so far.

    ValueError names what is wrong; kept lines beyond stock, need or trucks are wrong too.
    """
    if wrong := check(task):
        raise ValueError("; ".join(wrong))
    began = time.process_time()
    depots, needs = task.minutes.shape
    goods = task.need.shape[1]
    fixed = judge(task, task.kept)
    if fixed.breaks:
        rule, where, much = fixed.breaks[0]
        raise ValueError(f"kept: {rule} at {list(where)}, by {much:g}")
    kept = np.zeros((depots, needs, goods), np.int64)
    for d, j, g, units in task.kept:
        kept[d, j, g] += units
    stock, wanted, trucks = task.stock - kept.sum(axis=1), task.need - kept.sum(axis=0), task.trucks - fixed.truck_minutes
    way, drive = np.where(np.isfinite(task.minutes), task.minutes, 0.0), task.driven
    open_ = task.open
    for d, j, g in task.shut:
        open_[d, j, g] = False
    news = np.zeros((depots, needs, goods))
    if task.before and task.change:
        news[:] = task.change
        for d, j, g, _units in task.before:
            news[d, j, g] = 0.0
    scale = min(SCALE, int((transport.LIMIT - 1) / (UNMET * max(float(task.priority.max(initial=1)), 1.0))))
    bounded = np.isfinite(trucks)
    hours = np.where(bounded, trucks, 0.0)
    price, best_price = np.zeros(depots), np.zeros(depots)
    room_price = np.zeros((depots, goods), np.int64)
    places = [np.flatnonzero(wanted[:, g] > 0) for g in range(goods)]
    near = np.argsort(way + np.where(np.isfinite(task.minutes), 0, np.inf), axis=0, kind="stable").T.copy()
    jj, gg = np.nonzero(wanted > 0)
    offer = np.column_stack([jj, gg])[np.argsort(-(task.priority[jj, gg] / np.maximum(task.load[gg], 1e-9)), kind="stable")]
    low, best, best_value, best_judged = -np.inf, kept, np.inf, fixed
    theta, stall, direction, turn = 1.0, 0, np.zeros(depots), 0
    weight = task.counted
    base = float((news * kept).sum() + (way[:, :, None] * weight * kept).sum())
    for turn in range(1, rounds + 1):
        flows: list[tuple[np.ndarray, ...]] = []
        level, used = base, np.zeros(depots)
        for g in range(goods):
            at = places[g]
            if not at.size:
                continue
            exact = (way[:, at] * weight[g] + drive[:, at] * 2 * task.load[g] * price[:, None] + news[:, at, g]).T
            # Rounded down: the bound stays a bound.
            cost = np.where(open_[:, at, g].T & (exact * scale < transport.LIMIT), np.floor(exact * scale), FAR).astype(np.int64)
            placed = transport.solve(cost, wanted[at, g], stock[:, g], nowhere=(scale * UNMET * task.priority[at, g]).astype(np.int64), first=room_price[:, g])
            room_price[:, g] = placed.price
            x = placed.flow[:, :-1]
            level += placed.bound / scale
            group, home = np.nonzero(x)
            flows.append((home, at[group], np.full(home.size, g), x[group, home].astype(np.int64)))
            used += 2 * task.load[g] * np.bincount(home, weights=x[group, home] * drive[home, at[group]], minlength=depots)
        level -= float((price * hours).sum())
        if level > low:
            stall = 0 if level > low + 1e-6 * abs(low) else stall + 1
            low, best_price = level, price.copy()
        else:
            stall += 1
        from_, to, good, sent = [np.concatenate(column) for column in zip(*flows, strict=True)] if flows else [np.zeros(0, np.int64)] * 4
        # What a unit is worth where it goes, for each truck minute it takes there.
        worth = (UNMET * task.priority[to, good] - way[from_, to] * weight[good]) / np.maximum(2 * drive[from_, to] * task.load[good], 1e-9)
        out = kept.copy()
        _fit(from_, to, good, sent, worth, drive, task.load, trucks.copy(), stock.copy(), wanted.copy(), np.argsort(-worth, kind="stable"), offer, near, open_, out)
        value = _value(task, out, way, news)
        if value < best_value:
            best, best_value = out, value
        if not hear(turn, best_value, low) or best_value - low <= gap * abs(low) or time.process_time() - began > budget:
            break
        slope = np.where(bounded, used - hours, 0.0)
        slope[(price <= 0) & (slope < 0)] = 0.0
        if not slope.any():
            break
        if stall >= 3:
            theta, stall, price, direction = theta * 0.6, 0, best_price.copy(), np.zeros(depots)
            if theta < 1e-3:
                break
            continue
        direction = 0.5 * direction + slope
        price = np.maximum(0.0, price + theta * max(best_value - level, 1.0) / float(direction @ direction) * direction)
    lines = [(int(d), int(j), int(g), int(best[d, j, g])) for d, j, g in np.argwhere(best > 0)]
    best_judged = judge(task, lines)
    return Plan(**vars(best_judged), lines=lines, bound=min(low, best_judged.value), truck_price=best_price, stock_price=room_price / scale, rounds=turn)


def _value(task: Task, sent: np.ndarray, way: np.ndarray, news: np.ndarray) -> float:
    unmet = task.need - sent.sum(axis=0)
    return float(UNMET * (unmet * task.priority).sum() + (sent * way[:, :, None] * task.counted).sum() + (sent * news).sum())


def why_unmet(task: Task, plan: Plan) -> list[tuple[int, int, int, str]]:
    """(need, good, units, reason) for everything not met: no depot in time, stock, trucks, or worth less than what went instead."""
    sent = np.zeros((*task.minutes.shape, task.need.shape[1]), np.int64)
    for d, j, g, units in plan.lines:
        sent[d, j, g] += units
    left = task.stock - sent.sum(axis=1)
    spare = task.trucks - plan.truck_minutes
    open_ = task.open
    found = []
    for j, g in np.argwhere(plan.unmet > 0):
        could = open_[:, j, g] & (task.stock[:, g] > 0)
        holds = could & (left[:, g] > 0)
        with np.errstate(invalid="ignore"):
            carries = holds & (2 * task.driven[:, j] * task.load[g] <= spare)
        reason = "no way in time" if not could.any() else "stock" if not holds.any() else "trucks" if not carries.any() else "worth less"
        found.append((int(j), int(g), int(plan.unmet[j, g]), reason))
    return found


Swap = tuple[int, int, int, int, int]  # depot, need, the good that goes, units, the good it stands for


def substitute(task: Task, lines: Sequence[Line], swaps: Sequence[tuple[int, int]]) -> list[Swap]:
    """What may stand in (good sent, good it stands for; the likeliest first) for what `lines` leave unmet, from the stock and truck time they leave.

    A good serves its own needs first. Each pair is one exact transport question; it never takes what an earlier pair has taken.
    """
    sent = np.zeros((*task.minutes.shape, task.need.shape[1]), np.int64)
    for d, j, g, units in lines:
        sent[d, j, g] += units
    stock, unmet = task.stock - sent.sum(axis=1), np.maximum(task.need - sent.sum(axis=0), 0)
    drive = task.driven
    trucks = task.trucks - 2 * np.einsum("djg,dj,g->d", sent, drive, task.load)
    found: list[Swap] = []
    for h, g in swaps:
        if h == g or not unmet[:, g].any() or not (stock[:, h] > 0).any():
            continue
        pair = Task(
            task.minutes, unmet[:, [g]], task.priority[:, [g]], task.deadline[:, [g]], np.maximum(stock[:, [h]], 0), task.load[[h]], np.maximum(trucks, 0.0),
            allowed=None if task.allowed is None else task.allowed[:, :, [h]], ready=task.ready, drive=task.drive,
        )
        for d, j, _one, units in solve(pair, rounds=40).lines:
            found.append((d, j, h, units, g))
            stock[d, h] -= units
            unmet[j, g] -= units
            trucks[d] -= 2 * units * drive[d, j] * task.load[h]
    return found


def difference(before: Sequence[Line], after: Sequence[Line]) -> list[tuple[int, int, int, int, int]]:
    """(depot, need, good, units before, units after) where two plans differ."""
    old: dict[tuple[int, int, int], int] = {}
    new: dict[tuple[int, int, int], int] = {}
    for plan, lines in ((old, before), (new, after)):
        for d, j, g, units in lines:
            plan[d, j, g] = plan.get((d, j, g), 0) + units
    return [(*key, old.get(key, 0), new.get(key, 0)) for key in sorted(old | new) if old.get(key, 0) != new.get(key, 0)]
