"""The doorway between a plan of supply and the allocation engine: the question as rows have it, frozen as numbers; answers, judged and told in words."""
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import numpy as np
from django.db.models import F, Q, Sum
from django.utils.translation import gettext as _

from anlan.engines.allocation import dispatch, trips
from anlan.engines.allocation.dispatch import Line, Task
from anlan.engines.routing import Straight
from anlan.kernel import clock, codes
from anlan.kernel.models import RegionPath
from anlan.resources.compute import show, word
from anlan.resources.models import Item, Reservation, Stock, Warehouse

from . import compute, outside, queries
from .models import Blockage, SupplyPlan, Transport

GOALS = ("fast", "fair", "cheap")
SLICES = (1.4, 1.2, 1.0, 0.8, 0.6)  # what the first, second … fifth part of a need counts where fairness comes before time
FAR = 1e9
Frozen = dict[str, Any]
Tell = Callable[..., bool]


def policy(name: str) -> float:
    return float(codes.data("transport_policy", name)["value"])


def weight_of(priority: str) -> float:
    return float(codes.data("supply_priority", priority)["weight"])


def blocked_now(realm: Any) -> list[Blockage]:
    """What is blocked in a realm, whoever may see it: a search asks for the whole plan."""
    return list(Blockage.plain.filter(realm_id=realm.pk, state__in=queries.OPEN, lon__isnull=False).order_by("opened_at", "pk"))


def free_stock(plan: SupplyPlan, warehouses: Iterable[UUID], items: Iterable[UUID]) -> dict[tuple[UUID, UUID], int]:
    """What a plan may send: held, not expired, promised to nobody else; what is kept for its own loads counts."""
    today = clock.local(clock.now(plan.realm)).date()
    rows = Stock.plain.filter(Q(expires_on=None) | Q(expires_on__gte=today), realm_id=plan.realm_id, warehouse_id__in=list(warehouses), item_id__in=list(items), ended_at=None)
    found = {(place, item): free for place, item, free in rows.values_list("warehouse_id", "item_id").annotate(n=Sum(F("quantity") - F("reserved")))}
    mine = [f"transport:{key}" for key in Transport.plain.filter(plan=plan, state="ordered").values_list("pk", flat=True)]
    for place, item, kept in Reservation.plain.filter(realm_id=plan.realm_id, state=Reservation.OPEN, subject__in=mine).values_list("stock__warehouse_id", "stock__item_id").annotate(n=Sum("remaining")):
        found[place, item] = found.get((place, item), 0) + kept
    return {pair: math.floor(free) for pair, free in found.items()}


def under_way(plan: SupplyPlan) -> dict[tuple[str, str], int]:
    """(need, item) → units that have left or arrived: they are met, whatever a new search says."""
    found: dict[tuple[str, str], int] = {}
    for row in Transport.plain.filter(plan=plan, state__in=("left", "arrived")):
        for line in row.lines:
            key = (row.need, line.get("for") or line["item"])
            found[key] = found.get(key, 0) + int(line["units"])
    return found


def departed(plan: SupplyPlan) -> dict[tuple[str, str, str], int]:
    """(depot, need, item) → units of that line that have left or arrived."""
    found: dict[tuple[str, str, str], int] = {}
    for row in Transport.plain.filter(plan=plan, state__in=("left", "arrived")):
        for line in row.lines:
            if "for" not in line:
                key = (str(row.depot_id), row.need, line["item"])
                found[key] = found.get(key, 0) + int(line["units"])
    return found


def key_of(plan: SupplyPlan) -> str:
    """Changes when somebody changes what is asked."""
    return hashlib.sha256(json.dumps([plan.needs, plan.depots, plan.vehicle, plan.weather, plan.swaps, plan.transfers], sort_keys=True).encode()).hexdigest()[:16]


def authority(plan: SupplyPlan, places: Sequence[Warehouse]) -> dict[UUID, str]:
    """Warehouse → whose it is, seen from the plan's place: own, of a level above, or of others (code list `release_authority`)."""
    below = set(RegionPath.objects.filter(ancestor_id=plan.region_id).values_list("descendant_id", flat=True)) | {plan.region_id}
    above = set(RegionPath.objects.filter(descendant_id=plan.region_id).values_list("ancestor_id", flat=True))
    return {place.pk: "own" if place.region_id is None or place.region_id in below else "above" if place.region_id in above else "beside" for place in places}


def freeze(plan: SupplyPlan) -> Frozen:
    """The question as it stands now. What is missing is named in `notes`; the rest can still be solved."""
    now = clock.now(plan.realm)
    places = {row.pk: row for row in Warehouse.plain.filter(pk__in=[UUID(one["warehouse"]) for one in plan.depots])}
    asked = {line["item"] for need in plan.needs for line in need["items"]}
    items = {str(row.pk): row for row in Item.plain.filter(pk__in=asked | {one["item"] for one in plan.swaps if one["for"] in asked})}
    notes: list[str] = []
    depots = []
    for one in plan.depots:
        place = places.get(UUID(one["warehouse"]))
        if place is None or place.ended_at is not None or place.lon is None:
            notes.append(_("{depot} is left out: it has no position or is no longer in use").format(depot=place.name if place else one["warehouse"][-6:]))
        else:
            depots.append((place, one.get("trucks")))
    levels = authority(plan, [place for place, _trucks in depots])
    for place, _trucks in depots:
        rule = codes.data("release_authority", levels[place.pk])
        if rule["share"] < 1 or rule["wait_min"]:
            notes.append(_("{depot} ({level}): up to {share:.0f} % of what is free, {minutes} minutes for the release").format(
                depot=place.name, level=codes.name("release_authority", levels[place.pk]), share=100 * float(rule["share"]), minutes=rule["wait_min"]))
    order = sorted(items, key=lambda key: (items[key].name, key))
    column = {key: g for g, key in enumerate(order)}
    loads = []
    for key in order:
        weight = items[key].weight_kg
        if weight is None:
            notes.append(_("{item}: weight not entered, counted as {kg:g} kg a unit").format(item=items[key].name, kg=policy("unit_kg")))
        loads.append(float(weight if weight is not None else policy("unit_kg")) / 1000)
    stock = free_stock(plan, places, [UUID(key) for key in order])
    gone = under_way(plan)
    since = plan.since or now
    passed = (now - since).total_seconds() / 60
    shape = (len(plan.needs), len(order))
    need, priority, deadline = np.zeros(shape, np.int64), np.ones(shape), np.full(shape, FAR)
    for j, one in enumerate(plan.needs):
        for line in one["items"]:
            if line["item"] not in column:
                notes.append(_("{need}: an item that is no longer in the catalogue is left out").format(need=one["name"]))
                continue
            g = column[line["item"]]
            need[j, g] = max(0, int(line["units"]) - gone.get((one["id"], line["item"]), 0))
            priority[j, g] = weight_of(line.get("priority", "basic"))
            if line.get("hours"):
                deadline[j, g] = max(0.0, float(line["hours"]) * 60 - passed)
    trucks, hours = [], []
    for d, (place, listed) in enumerate(depots):
        if listed is None:
            hours.append(None)
            continue
        total = 0.0
        for one in listed:
            for n in range(int(one["count"])):
                total += float(one["load_t"]) * max(0.0, float(one["hours"]) * 60)
                trucks.append({"depot": d, "load": float(one["load_t"]), "until": float(one["hours"]) * 60, "name": one.get("name") or _("Truck {n}, {t:g} t").format(n=n + 1, t=float(one["load_t"]))})
        hours.append(total)
        if not listed:
            notes.append(_("{depot}: no trucks, nothing can leave").format(depot=place.name))
    roads, tables, rows = compute.router(), compute.tables(), blocked_now(plan.realm)
    here = np.array([(place.lon, place.lat) for place, _trucks in depots], float).reshape(-1, 2)
    there = np.array([(one["lon"], one["lat"]) for one in plan.needs], float).reshape(-1, 2)
    if len(here) and len(there):
        ways = compute.ways(
            here, there, roads=roads, data=tables, vehicle=plan.vehicle, weather=plan.weather, edits=queries.edits_of(rows, roads) if roads else (),
            names=([place.name for place, _t in depots], [one["name"] for one in plan.needs]), by=outside.service(),
        )
        minutes, how = ways.seconds / 60, ways.how
        notes += ways.notes
        drive, via = minutes.copy(), np.full(minutes.shape, -1)
        for t, point in enumerate(plan.transfers):
            leg = compute.ways(here, np.array([(point["lon"], point["lat"])], float), roads=roads, data=tables, vehicle=plan.vehicle, weather=plan.weather, edits=queries.edits_of(rows, roads) if roads else (), by=outside.service()).seconds[:, 0] / 60
            other = Straight(float(point["kmh"]), 1.0).matrix(np.array([point["lon"]]), np.array([point["lat"]]), there[:, 0], there[:, 1])[0] / 60
            whole = leg[:, None] + float(point["minutes"]) + other[None]
            better = whole < minutes - 1e-9
            minutes, drive, via = np.where(better, whole, minutes), np.where(better, leg[:, None], drive), np.where(better, t, via)
    else:
        minutes, how = np.zeros((len(here), len(there))), ""
        drive, via = minutes, np.full(minutes.shape, -1)
    return {
        "at": now.isoformat(), "key": key_of(plan), "how": how, "notes": notes, "vehicle": plan.vehicle, "weather": plan.weather, "by_road": roads is not None,
        "blocked": [{"id": str(row.pk), "name": row.road or row.title, "number": row.number} for row in rows],
        "depots": [
            {"id": str(place.pk), "name": place.name, "lon": place.lon, "lat": place.lat, "release": place.release, "level": levels[place.pk],
             "ready": float(place.load_min if place.load_min is not None else policy("load_min")) + float(codes.data("release_authority", levels[place.pk])["wait_min"])}
            for place, _t in depots
        ],
        "needs": [{"id": one["id"], "name": one["name"], "lon": one["lon"], "lat": one["lat"]} for one in plan.needs],
        "items": [{"id": key, "name": items[key].name, "unit": items[key].unit, "load": load} for key, load in zip(order, loads, strict=True)],
        "minutes": [[None if not np.isfinite(value) else round(float(value), 2) for value in row] for row in minutes],
        "drive": [[None if not np.isfinite(value) else round(float(value), 2) for value in row] for row in drive], "via": via.tolist(), "transfers": plan.transfers,
        "swaps": [[column[one["item"]], column[one["for"]]] for one in plan.swaps if one["item"] in column and one["for"] in column], "need": need.tolist(), "priority": priority.tolist(), "deadline": deadline.tolist(),
        "stock": [[math.floor(stock.get((place.pk, UUID(key)), 0) * float(codes.data("release_authority", levels[place.pk])["share"]) + 1e-9) for key in order] for place, _t in depots], "tonne_minutes": hours, "trucks": trucks, "handling": policy("handling_min"),
        "gone": [[need_, item, units] for (need_, item), units in gone.items()], "left": [[*key, units] for key, units in departed(plan).items()],
    }


def task_of(frozen: Frozen, manual: Sequence[dict[str, Any]] = ()) -> Task:
    """The engine's question; a person's decisions stand: so many units on that line, no more and no fewer."""
    goods, depots, needs = len(frozen["items"]), len(frozen["depots"]), len(frozen["needs"])
    task = Task(
        np.array([[np.inf if value is None else value for value in row] for row in frozen["minutes"]], float).reshape(depots, needs), np.array(frozen["need"], np.int64).reshape(needs, goods),
        np.array(frozen["priority"], float).reshape(needs, goods), np.array(frozen["deadline"], float).reshape(needs, goods), np.array(frozen["stock"], np.int64).reshape(depots, goods),
        np.array([one["load"] for one in frozen["items"]], float), np.array([np.inf if value is None else value for value in frozen["tonne_minutes"]], float),
        ready=np.array([one["ready"] for one in frozen["depots"]], float), drive=np.array([[np.inf if value is None else value for value in row] for row in frozen["drive"]], float).reshape(depots, needs),
    )
    at = places_of(frozen)
    for one in manual:
        try:
            line = (at[0][one["depot"]], at[1][one["need"]], at[2][one["item"]])
        except KeyError:
            continue  # the depot, place or item has been taken out of the plan since
        task.shut = [*task.shut, line]
        if one["units"]:
            task.kept = [*task.kept, (*line, int(one["units"]))]
    return task


def places_of(frozen: Frozen) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Keys of depots, needs and items → their rows and columns."""
    return tuple({one["id"]: k for k, one in enumerate(frozen[name])} for name in ("depots", "needs", "items"))  # type: ignore[return-value]


def judged_manual(frozen: Frozen, manual: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """(decisions that can stand, why others cannot): a road may have gone since, or the goods. The rest is still solved. What has left of a line counts towards it."""
    good: list[dict[str, Any]] = []
    dropped = []
    left = {(depot, need, item): units for depot, need, item, units in frozen["left"]}
    for given in manual:
        one = {**given, "units": max(0, given["units"] - left.get((given["depot"], given["need"], given["item"]), 0))}
        breaks = words_of(frozen, _breaks(task_of(frozen), task_of(frozen, [*good, one]).kept))
        if breaks:
            dropped.append(_("set by hand, no longer possible: {why}").format(why=breaks[0]))
        else:
            good.append(one)
    return good, dropped


def _breaks(task: Task, lines: Sequence[Line]) -> list[tuple[str, tuple[int, ...], float]]:
    return dispatch.judge(task, lines).breaks


# --- answers -------------------------------------------------------------------------------------------------------------


def solve(frozen: Frozen, manual: Sequence[dict[str, Any]], before: Sequence[Line] = (), *, tell: Tell = lambda **_more: True) -> dict[str, Any]:
    """Goal → answer. `tell(step, of, goal, round, rounds, value, bound)` answers no when a person wants what there is: alternatives not begun are left out."""
    found: dict[str, Any] = {}
    base = task_of(frozen, manual)
    base.before, base.change = before, policy("change_min") if before else 0.0
    rounds, budget = 150, policy("search_s")
    for step, goal in enumerate(GOALS):
        going = [True]

        def hear(turn: int, value: float, bound: float, step: int = step, goal: str = goal, going: list[bool] = going) -> bool:
            going[0] = tell(step=step, of=len(GOALS), goal=goal, round=turn, rounds=rounds, value=value, bound=bound)
            return going[0]

        task, fold = _variant(base, goal)
        plan = dispatch.solve(task, budget=budget, rounds=rounds, hear=hear)
        lines = fold(plan.lines)
        swaps = dispatch.substitute(base, lines, [(h, g) for h, g in frozen["swaps"]])
        found[goal] = answer(frozen, base, lines, goal, bound=plan.bound if goal == "fast" else None, swaps=swaps)
        if not going[0]:
            break
    return found


def _variant(base: Task, goal: str) -> tuple[Task, Callable[[Sequence[Line]], list[Line]]]:
    """The question under another order of goals, and how its lines are read in ours."""
    if goal == "cheap":
        mean = float(base.load[base.load > 0].mean()) if (base.load > 0).any() else 1.0
        return replace(base, weight=np.maximum(base.load / mean, 0.01)), list
    if goal == "fast":
        return base, list
    parts = len(SLICES)
    step = np.arange(parts + 1) / parts
    # Each need in five parts, the first dearest: nobody gets his last part before others had their first.
    cuts = np.ceil(base.need[:, None, :] * step[None, :, None]).astype(np.int64)
    need = np.diff(cuts, axis=1)  # (N, parts, G)

    def wide(table: np.ndarray) -> np.ndarray:
        return np.repeat(table, parts, axis=0)

    def spread(lines: Sequence[Line]) -> list[Line]:
        room, found = need.copy(), []
        for d, j, g, units in lines:
            for part in range(parts):
                take = min(units, int(room[j, part, g]))
                if take:
                    found.append((d, j * parts + part, g, take))
                    room[j, part, g] -= take
                    units -= take
        return found

    def fold(lines: Sequence[Line]) -> list[Line]:
        total: dict[tuple[int, int, int], int] = {}
        for d, j, g, units in lines:
            key = (d, j // parts, g)
            total[key] = total.get(key, 0) + units
        return [(*key, units) for key, units in sorted(total.items())]

    task = replace(
        base, minutes=np.repeat(base.minutes, parts, axis=1), drive=None if base.drive is None else np.repeat(base.drive, parts, axis=1), need=need.reshape(-1, base.need.shape[1]), priority=wide(base.priority) * np.tile(SLICES, len(base.need))[:, None],
        deadline=wide(base.deadline), kept=spread(base.kept), before=spread(base.before), shut=[(d, j * parts + part, g) for d, j, g in base.shut for part in range(parts)],
    )
    return task, fold


def _widened(task: Task, swaps: Sequence[dispatch.Swap]) -> tuple[Task, list[tuple[int, int]], list[Line]]:
    """(the question with a column of its own for each pair of goods of which one stands for the other, those pairs, the lines in them): such a column has just what goes out in it."""
    pairs = list(dict.fromkeys((h, g) for _d, _j, h, _u, g in swaps))
    goods = task.need.shape[1]
    need, stock = np.pad(task.need, ((0, 0), (0, len(pairs)))), np.pad(task.stock, ((0, 0), (0, len(pairs))))
    lines = []
    for d, j, h, units, g in swaps:
        k = goods + pairs.index((h, g))
        need[j, g] -= units
        need[j, k] += units
        stock[d, h] -= units
        stock[d, k] += units
        lines.append((d, j, k, units))
    sent, meant = [h for h, _g in pairs], [g for _h, g in pairs]
    return replace(
        task, need=need, stock=stock, priority=np.hstack([task.priority, task.priority[:, meant]]), deadline=np.hstack([task.deadline, task.deadline[:, meant]]), load=np.append(task.load, task.load[sent]),
        allowed=None if task.allowed is None else np.concatenate([task.allowed, task.allowed[:, :, sent]], axis=2), weight=None,
    ), pairs, lines


def answer(frozen: Frozen, task: Task, lines: Sequence[Line], goal: str, *, bound: float | None = None, hand: bool = False, swaps: Sequence[dispatch.Swap] = ()) -> dict[str, Any]:
    """Lines put onto trucks and judged: {lines, trips, unmet, numbers, breaks}. `hand`: a person's plan, of which nothing is filled up. `swaps`: what stands in for something else."""
    goods = task.need.shape[1]
    task, pairs, more = _widened(task, swaps)
    lines = [*lines, *more]

    def column(g: int) -> dict[str, int]:
        """A column as it is kept: which good goes, and which it stands for."""
        return {"g": g} if g < goods else {"g": pairs[g - goods][0], "for": pairs[g - goods][1]}

    counted = {d for d, value in enumerate(frozen["tonne_minutes"]) if value is not None}
    trucks = [trips.Truck(one["depot"], one["load"], 0.0, one["until"], one["name"]) for one in frozen["trucks"]]
    broken = dispatch.judge(task, lines).breaks
    free = [line for line in lines if line[0] not in counted]
    bound_ = [line for line in lines if line[0] in counted]
    left: list[Line] = []
    made: list[trips.Trip] = []
    if counted:
        asked = replace(task, need=task.need.copy(), stock=task.stock.copy())
        for _d, j, g, units in free:
            asked.need[j, g] = max(0, asked.need[j, g] - units)
        if hand:
            asked.need[:] = 0
            for _d, j, g, units in bound_:
                asked.need[j, g] += units
            asked.shut = [*asked.shut, *((int(d), int(j), int(g)) for d, j, g in np.ndindex(*task.minutes.shape, task.need.shape[1]))]
        packed = trips.pack(asked, bound_, trucks, handling=frozen["handling"])
        made, left = packed.trips, packed.left
        lines = sorted([*free, *packed.lines])
    last: dict[tuple[int, int, int], float] = {}
    for trip in made:
        for g, _units in trip.cargo:
            key = (trip.depot, trip.need, g)
            last[key] = max(last.get(key, 0.0), trip.arrive)
    sent = np.zeros((*task.minutes.shape, task.need.shape[1]), np.int64)
    for d, j, g, units in lines:
        sent[d, j, g] += units
    unmet = np.maximum(task.need - sent.sum(axis=0), 0)
    arrive = {(d, j, g): last.get((d, j, g), float(task.arrival[d, j])) for d, j, g, _u in lines}
    shown = [
        {"d": d, "j": j, **column(g), "units": units, "arrive": round(arrive[d, j, g], 1) if np.isfinite(arrive[d, j, g]) else None, "why": _why(task, sent, d, j, g, frozen, goal) if g < goods else {"code": "stands"}}
        for d, j, g, units in lines
    ]
    stub = dispatch.Plan(**{**vars(dispatch.judge(task, lines)), "unmet": unmet}, lines=list(lines))
    short: dict[tuple[int, int], dict[str, Any]] = {}
    for j, g, units, why in dispatch.why_unmet(task, stub):
        meant = column(g).get("for", g)
        short.setdefault((j, meant), {"j": j, "g": meant, "units": 0, "why": why})["units"] += units
    missing = list(short.values())
    for _d, j, g, _units in left:
        for one in missing:
            if (one["j"], one["g"]) == (j, column(g).get("for", g)) and one["why"] != "no way in time":
                one["why"] = "shift"
    if hand:
        for one in missing:
            if one["why"] == "worth less":
                one["why"] = "hand"  # there is some left and a truck for it: a person has set it so
    breaks = [{"rule": rule, "at": _named(rule, at, column), "by": round(by, 2)} for rule, at, by in broken if not (rule == "trucks" and counted)]
    breaks += [{"rule": "shift", "at": [d, j, column(g)["g"]], "by": units} for d, j, g, units in left] if hand else []
    return {
        "lines": shown, "unmet": missing, "breaks": breaks,
        "trips": [{"truck": one.truck, "d": one.depot, "j": one.need, "leave": round(one.leave, 1), "arrive": round(one.arrive, 1), "back": round(one.back, 1), "cargo": [[column(g)["g"], units] for g, units in one.cargo]} for one in made],
        "numbers": _numbers(frozen, task, sent, unmet, arrive, made, counted, bound),
    }


def _named(rule: str, at: Sequence[int], column: Callable[[int], dict[str, int]]) -> list[int]:
    """Where a rule is broken, with the good as it is kept."""
    found = list(at)
    if rule != "trucks":
        found[-1] = column(found[-1])["g"]
    return found


def _numbers(frozen: Frozen, task: Task, sent: np.ndarray, unmet: np.ndarray, arrive: dict, made: list[trips.Trip], counted: set[int], bound: float | None) -> dict[str, Any]:
    units = int(sent.sum())
    got = np.divide(task.need - unmet, task.need, out=np.ones(task.need.shape), where=task.need > 0)
    judged = dispatch.judge(replace(task, before=(), change=0.0), [(int(d), int(j), int(g), int(sent[d, j, g])) for d, j, g in np.argwhere(sent > 0)])
    hours = sum(one.back - one.leave for one in made) / 60
    standard = policy("truck_t")
    for d in range(len(task.minutes)):
        if d in counted:
            continue
        for j in np.flatnonzero(sent[d].any(axis=1)):
            loads = max(1, math.ceil(float((sent[d, j] * task.load).sum()) / standard - 1e-9))
            hours += loads * (2 * float(task.driven[d, j]) + frozen["handling"]) / 60
    times = [(value, int(sent[key])) for key, value in arrive.items() if np.isfinite(value)]
    total = sum(n for _value, n in times)
    found = {
        "units": units, "asked": int(task.need.sum()), "unmet": int(unmet.sum()), "unmet_weighted": float((unmet * task.priority).sum()),
        "worst_share": round(float(got[task.need > 0].min()), 4) if (task.need > 0).any() else 1.0, "mean_min": round(sum(value * n for value, n in times) / total, 1) if total else None,
        "last_min": round(max((value for value, _n in times), default=0.0), 1), "truck_hours": round(hours, 1), "yuan": round(hours * policy("truck_hour_yuan")), "value": judged.value,
    }
    if counted:
        found["capacity"] = _capacity(frozen, task, unmet, sent, counted)
    if bound is not None:
        found |= {"bound": bound, "gap": max(0.0, (judged.value - bound) / max(abs(bound), 1.0))}
    return found


def _capacity(frozen: Frozen, task: Task, unmet: np.ndarray, sent: np.ndarray, counted: set[int]) -> dict[str, Any]:
    """The gap of transport capacity: tonnes that lie in a depot in time and are not met only because no truck has time for them, and the truck hours they would take."""
    left = task.stock - sent.sum(axis=1)
    drive, rest = task.driven, unmet.copy()
    tonnes = hours = 0.0
    loads = [one["load"] for one in frozen["trucks"]]
    mean = sum(loads) / len(loads) if loads else policy("truck_t")
    for j, g in np.argwhere(rest > 0):
        for d in np.argsort(task.arrival[:, j], kind="stable"):
            if int(d) not in counted or not task.open[d, j, g] or left[d, g] <= 0 or rest[j, g] <= 0:
                continue
            units = int(min(left[d, g], rest[j, g]))
            left[d, g] -= units
            rest[j, g] -= units
            weight = units * float(task.load[g])
            tonnes += weight
            hours += weight / mean * (2 * float(drive[d, j]) + frozen["handling"]) / 60
    return {"tonnes": round(tonnes, 2), "hours": round(hours, 1), "trucks": math.ceil(hours / 12 - 1e-9)}


def _why(task: Task, sent: np.ndarray, d: int, j: int, g: int, frozen: Frozen, goal: str) -> dict[str, Any]:
    """Why this depot: it is the nearest that has it, or what became of the nearer ones."""
    if (d, j, g) in task.shut:
        return {"code": "hand"}
    arrival = task.arrival[:, j]
    nearer = [e for e in np.argsort(arrival, kind="stable") if arrival[e] < arrival[d] and task.stock[e, g] > 0 and task.open[e, j, g]]
    if not nearer:
        return {"code": "nearest"}
    for e in nearer:
        if sent[e, :, g].sum() < task.stock[e, g]:
            code = "trucks" if frozen["tonne_minutes"][e] is not None else "cost" if goal == "cheap" else "before" if any(line[:3] == (d, j, g) for line in task.before) else "together"
            return {"code": code, "depot": int(e)}
    return {"code": "spent", "depot": int(nearer[0])}


# --- in words ------------------------------------------------------------------------------------------------------------


def why_words(frozen: Frozen, why: dict[str, Any]) -> str:
    name = frozen["depots"][why["depot"]]["name"] if "depot" in why else ""
    return {
        "hand": _("set by hand"), "stands": _("stands in for what is missing"), "nearest": _("the nearest depot that has it and is there in time"), "spent": _("{depot} is nearer, but all it has goes out already").format(depot=name),
        "trucks": _("{depot} is nearer, but its trucks are needed elsewhere").format(depot=name), "cost": _("{depot} is nearer, but this way costs less").format(depot=name),
        "before": _("as before: few changes come first"), "together": _("{depot} is nearer; all needs together are served sooner this way").format(depot=name),
    }[why["code"]]


def unmet_words(why: str) -> str:
    return {
        "no way in time": _("no depot that has it can be there in time"), "stock": _("the depots that can be there in time have no more of it"),
        "hand": _("a line was set lower by hand; some is left"), "trucks": _("the depots that still have it have no truck time left"), "worth less": _("what went instead is worth more for its truck time"), "shift": _("no truck has time left in its shift"),
    }[why]


def words_of(frozen: Frozen, breaks: Iterable[Any]) -> list[str]:
    """Each broken rule as a sentence that says what to change."""
    names = {kind: [one["name"] for one in frozen[kind]] for kind in ("depots", "needs", "items")}
    found = []
    for one in breaks:
        rule, at, by = (one["rule"], one["at"], one["by"]) if isinstance(one, dict) else one
        if rule == "stock":
            text = _("{depot} has {n} fewer of {item} than the plan takes").format(depot=names["depots"][at[0]], item=names["items"][at[1]], n=show_units(by))
        elif rule == "more than needed":
            text = _("{need} gets {n} more of {item} than it asked for").format(need=names["needs"][at[0]], item=names["items"][at[1]], n=show_units(by))
        elif rule == "trucks":
            text = _("the trucks of {depot} have not enough hours for it").format(depot=names["depots"][at[0]])
        else:
            depot, need, item = names["depots"][at[0]], names["needs"][at[1]], names["items"][at[2]]
            text = {
                "late": _("{item} from {depot} comes to {need} {n} minutes after its deadline"), "no way": _("there is no way from {depot} to {need} at present ({item})"),
                "shift": _("{n} of {item} from {depot} to {need} fit on no truck within its shift"), "not allowed": _("{depot} may not send {item} to {need}"),
                "negative": _("{item} from {depot} to {need}: fewer than none"),
            }[rule].format(item=item, depot=depot, need=need, n=show_units(by))
        found.append(text)
    return found


def show_units(value: float) -> str:
    return f"{value:,.0f}"


def quantity(frozen: Frozen, g: int, units: Any) -> str:
    """`20 箱` and the like."""
    return f"{show(units) if not isinstance(units, int) else format(units, ',')} {word(frozen['items'][g]['unit'])}"


# --- what has changed ----------------------------------------------------------------------------------------------------


def lines_of(frozen: Frozen, answer_: dict[str, Any], into: Frozen | None = None) -> list[Line]:
    """The lines of an answer, without what stands in for something else, in the rows and columns of `into` (another question of the same plan); what is not there any more is left out."""
    if into is None:
        return [(one["d"], one["j"], one["g"], one["units"]) for one in answer_["lines"] if "for" not in one]
    at = places_of(into)
    found = []
    # What has left since is met, not taken away.
    since = {(depot, need, item): units for depot, need, item, units in into["left"]}
    for depot, need, item, units in frozen["left"]:
        since[depot, need, item] = since.get((depot, need, item), 0) - units
    for one in answer_["lines"]:
        if "for" in one:
            continue  # what stands in is chosen anew each time
        keys = (frozen["depots"][one["d"]]["id"], frozen["needs"][one["j"]]["id"], frozen["items"][one["g"]]["id"])
        if all(key in side for side, key in zip(at, keys, strict=True)):
            units = one["units"] - max(0, since.get(keys, 0))
            if units > 0:
                found.append((*(side[key] for side, key in zip(at, keys, strict=True)), units))
    return found  # type: ignore[return-value]


def changes(plan: SupplyPlan, old: Frozen, was: dict[str, Any], new: Frozen, now: dict[str, Any]) -> list[dict[str, Any]]:
    """Where two answers differ, in the new question's rows, each with the road that made it so where one did."""
    difference = dispatch.difference(lines_of(old, was, new), lines_of(new, now))
    if not difference:
        return []
    causes = _causes(plan, old, new, {(d, j) for d, j, *_rest in difference})
    by_need: dict[tuple[int, int], list[str]] = {}
    for d, j, g, _before, _after in difference:
        by_need.setdefault((j, g), [])
        by_need[j, g] += [name for name in causes.get((d, j), []) if name not in by_need[j, g]]
    return [{"d": d, "j": j, "g": g, "before": before, "after": after, "roads": by_need[j, g]} for d, j, g, before, after in difference]


def _causes(plan: SupplyPlan, old: Frozen, new: Frozen, pairs: set[tuple[int, int]]) -> dict[tuple[int, int], list[str]]:
    """Which newly blocked roads make these ways longer: each is tried alone on top of what was blocked before."""
    roads = compute.router()
    known = {one["id"] for one in old["blocked"]}
    rows = blocked_now(plan.realm)
    fresh = [row for row in rows if str(row.pk) not in known]
    if roads is None or not fresh or not pairs:
        return {}
    tables = compute.tables()
    here = np.array([(one["lon"], one["lat"]) for one in new["depots"]], float)
    there = np.array([(one["lon"], one["lat"]) for one in new["needs"]], float)

    def minutes(blocked: list[Blockage]) -> np.ndarray:
        return compute.ways(here, there, roads=roads, data=tables, vehicle=plan.vehicle, weather=plan.weather, edits=queries.edits_of(blocked, roads)).seconds / 60

    base = minutes([row for row in rows if str(row.pk) in known])
    found: dict[tuple[int, int], list[str]] = {}
    for row in fresh[:10]:
        slower = minutes([*(one for one in rows if str(one.pk) in known), row])
        for d, j in pairs:
            if slower[d, j] > base[d, j] * 1.02 + 0.5:
                found.setdefault((d, j), []).append(row.road or row.title)
    return found


def change_words(frozen: Frozen, changed: Sequence[dict[str, Any]]) -> list[str]:
    """"moved 2 pumps from A to B for C because G104 is blocked": what is taken from one depot and given by another is one sentence."""
    found = []
    groups: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for one in changed:
        groups.setdefault((one["j"], one["g"]), []).append(one)
    for (j, g), rows in groups.items():
        less = [[one["d"], one["before"] - one["after"]] for one in rows if one["after"] < one["before"]]
        more = [[one["d"], one["after"] - one["before"]] for one in rows if one["after"] > one["before"]]
        because = _(", because {roads} is blocked").format(roads=_(", ").join(rows[0]["roads"])) if rows[0]["roads"] else ""
        item, need = frozen["items"][g]["name"], frozen["needs"][j]["name"]
        while less and more:
            n = min(less[0][1], more[0][1])
            found.append(_("{item} for {need}: {n} moved from {old} to {new}{because}").format(
                n=quantity(frozen, g, n), item=item, need=need, old=frozen["depots"][less[0][0]]["name"], new=frozen["depots"][more[0][0]]["name"], because=because))
            for side in (less, more):
                side[0][1] -= n
                if not side[0][1]:
                    side.pop(0)
        found += [_("{item} for {need}: {n} less from {old}{because}").format(n=quantity(frozen, g, n), item=item, need=need, old=frozen["depots"][d]["name"], because=because) for d, n in less]
        found += [_("{item} for {need}: {n} more from {new}{because}").format(n=quantity(frozen, g, n), item=item, need=need, new=frozen["depots"][d]["name"], because=because) for d, n in more]
    return found


