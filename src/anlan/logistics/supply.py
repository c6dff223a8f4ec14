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
    """A rule of the list in force; one that came later than somebody's own edition of the list, as it was shipped."""
    found = codes.data("transport_policy", name) or next(one["data"] for one in codes.shipped()["transport_policy"]["codes"] if one["code"] == name)
    return float(found["value"])


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


def under_way(plan: SupplyPlan) -> dict[tuple[str, str], float]:
    """(need, item) → units that have left or arrived: they are met, whatever a new search says. What stands in counts by its number."""
    found: dict[tuple[str, str], float] = {}
    for row in Transport.plain.filter(plan=plan, state__in=("left", "arrived")):
        for line in row.lines:
            key = (row.need, line.get("for") or line["item"])
            found[key] = round(found.get(key, 0) + line["units"] / line.get("number", 1), 6)
    return found


def departed(plan: SupplyPlan) -> dict[tuple[str, str, str, str], int]:
    """(depot, need, item, what it is counted for) → units of that line that have left or arrived."""
    found: dict[tuple[str, str, str, str], int] = {}
    for row in Transport.plain.filter(plan=plan, state__in=("left", "arrived")):
        for line in row.lines:
            key = (str(row.depot_id), row.need, line["item"], line.get("for") or line["item"])
            found[key] = found.get(key, 0) + int(line["units"])
    return found


def left_of(frozen: Frozen) -> dict[tuple[str, str, str, str], int]:
    """What had left when the question was frozen, as `departed` tells it."""
    return {(depot, need, item, more[0] if more else item): units for depot, need, item, units, *more in frozen.get("left", ())}


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
    share = {place.pk: float(codes.data("release_authority", levels[place.pk])["share"]) for place, _trucks in depots}
    released = [[math.floor(stock.get((place.pk, UUID(key)), 0) * share[place.pk] + 1e-9) for key in order] for place, _t in depots]
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
            need[j, g] = max(0, math.ceil(line["units"] - gone.get((one["id"], line["item"]), 0)))
            priority[j, g] = weight_of(line.get("priority", "basic"))
            if line.get("hours"):
                deadline[j, g] = max(0.0, float(line["hours"]) * 60 - passed)
    trucks, hours = [], []
    ready = {place.pk: float(place.load_min if place.load_min is not None else policy("load_min")) + float(codes.data("release_authority", levels[place.pk])["wait_min"]) for place, _t in depots}
    for d, (place, listed) in enumerate(depots):
        if listed is None:
            hours.append(None)
            continue
        total = 0.0
        for one in listed:
            for n in range(int(one["count"])):
                total += float(one["load_t"]) * max(0.0, float(one["hours"]) * 60 - ready[place.pk])
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
        direct, how = ways.seconds / 60, ways.how
        notes += ways.notes
        roads_out: list[dict[str, Any]] = [{"d": d, "t": -1, "minutes": direct[d], "drive": direct[d]} for d in range(len(here))]
        for t, point in enumerate(plan.transfers):
            leg = compute.ways(here, np.array([(point["lon"], point["lat"])], float), roads=roads, data=tables, vehicle=plan.vehicle, weather=plan.weather, edits=queries.edits_of(rows, roads) if roads else (), by=outside.service()).seconds[:, 0] / 60
            other = Straight(float(point["kmh"]), 1.0).matrix(np.array([point["lon"]]), np.array([point["lat"]]), there[:, 0], there[:, 1])[0] / 60
            if not np.isfinite(leg).any():
                notes.append(_("{point}: no depot reaches this transfer point at present").format(point=point["name"]))
            roads_out += [{"d": d, "t": t, "minutes": leg[d] + float(point["minutes"]) + other, "drive": np.full(len(there), leg[d])} for d in np.flatnonzero(np.isfinite(leg)).tolist()]
    else:
        direct, how, roads_out = np.zeros((len(here), len(there))), "", [{"d": d, "t": -1, "minutes": np.zeros(len(there)), "drive": np.zeros(len(there))} for d in range(len(here))]
    minutes = np.full((len(here), len(there)), np.inf)
    for one in roads_out:
        minutes[one["d"]] = np.minimum(minutes[one["d"]], one["minutes"])
    return {
        "at": now.isoformat(), "key": key_of(plan), "how": how, "notes": notes, "vehicle": plan.vehicle, "weather": plan.weather, "by_road": roads is not None,
        "blocked": [{"id": str(row.pk), "name": row.road or row.title, "number": row.number} for row in rows],
        "depots": [
            {"id": str(place.pk), "name": place.name, "lon": place.lon, "lat": place.lat, "release": place.release, "level": levels[place.pk],
             "ready": ready[place.pk]}
            for place, _t in depots
        ],
        "needs": [{"id": one["id"], "name": one["name"], "lon": one["lon"], "lat": one["lat"]} for one in plan.needs],
        "items": [{"id": key, "name": items[key].name, "unit": items[key].unit, "load": load} for key, load in zip(order, loads, strict=True)],
        "minutes": _plain(minutes), "ways": [{**one, "minutes": _plain(one["minutes"]), "drive": _plain(one["drive"])} for one in roads_out], "transfers": plan.transfers,
        "swaps": [[column[one["item"]], column[one["for"]], float(one.get("number") or 1)] for one in plan.swaps if one["item"] in column and one["for"] in column], "need": need.tolist(), "priority": priority.tolist(), "deadline": deadline.tolist(),
        "stock": released, "withheld": [[stock.get((place.pk, UUID(key)), 0) - out for key, out in zip(order, row, strict=True)] for (place, _t), row in zip(depots, released, strict=True)], "tonne_minutes": hours, "trucks": trucks, "handling": policy("handling_min"),
        "gone": [[need_, item, units] for (need_, item), units in gone.items()], "left": [[depot, need_, item, units, meant] for (depot, need_, item, meant), units in departed(plan).items()],
    }


def _plain(minutes: np.ndarray) -> Any:
    """Numbers as JSON has them; none where there is no way."""
    return [_plain(row) for row in minutes] if minutes.ndim > 1 else [None if not np.isfinite(value) else round(float(value), 2) for value in minutes]


def ways_of(frozen: Frozen) -> list[dict[str, Any]]:
    """The ways out of the depots; a question frozen before there were several has one each."""
    return frozen.get("ways") or [{"d": d, "t": -1, "minutes": row, "drive": frozen.get("drive", frozen["minutes"])[d]} for d, row in enumerate(frozen["minutes"])]


def point_of(frozen: Frozen, line: dict[str, Any]) -> str:
    """The name of the transfer point a line goes by, or nothing."""
    t = line.get("t", frozen["via"][line["d"]][line["j"]] if "via" in frozen else -1)
    return frozen["transfers"][t]["name"] if t >= 0 else ""


def task_of(frozen: Frozen, manual: Sequence[dict[str, Any]] = ()) -> Task:
    """The engine's question; a person's decisions stand: so many units on that line, no more and no fewer."""
    goods, depots, needs = len(frozen["items"]), len(frozen["depots"]), len(frozen["needs"])
    ways = ways_of(frozen)

    def numbers(name: str) -> np.ndarray:
        return np.array([[np.inf if value is None else value for value in one[name]] for one in ways], float).reshape(len(ways), needs)

    task = Task(
        numbers("minutes"), np.array(frozen["need"], np.int64).reshape(needs, goods), np.array(frozen["priority"], float).reshape(needs, goods), np.array(frozen["deadline"], float).reshape(needs, goods),
        np.array(frozen["stock"], np.int64).reshape(depots, goods), np.array([one["load"] for one in frozen["items"]], float), np.array([np.inf if value is None else value for value in frozen["tonne_minutes"]], float),
        ready=np.array([one["ready"] for one in frozen["depots"]], float), drive=numbers("drive"), handling=float(frozen["handling"]), swaps=[(h, g, more[0] if more else 1.0) for h, g, *more in frozen.get("swaps", ())], stand=policy("stand_min"),
        points=[dispatch.Point(*(float(one[name]) * by if one.get(name) is not None else other for name, by, other in (("t_per_h", 1 / 60, math.inf), ("from_h", 60, 0.0), ("until_h", 60, math.inf)))) for one in frozen.get("transfers", ())],
    )
    if len(ways) > depots:
        task.home, task.via = np.array([one["d"] for one in ways], int), np.array([one["t"] for one in ways], int)
    at = places_of(frozen)
    lines: list[Line] = []
    for one in manual:
        try:
            line = (at[0][one["depot"]], at[1][one["need"]], at[2][one["item"]])
        except KeyError:
            continue  # the depot, place or item has been taken out of the plan since
        task.shut = [*task.shut, *((int(r), *line[1:]) for r in np.flatnonzero(task.homes == line[0]))]
        if one["units"]:
            lines.append((*line, int(one["units"])))
    task.kept = dispatch.by_hand(task, lines)
    return task


def places_of(frozen: Frozen) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Keys of depots, needs and items → their rows and columns."""
    return tuple({one["id"]: k for k, one in enumerate(frozen[name])} for name in ("depots", "needs", "items"))  # type: ignore[return-value]


def judged_manual(frozen: Frozen, manual: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """(decisions that can stand, why others cannot): a road may have gone since, or the goods. The rest is still solved. What has left of a line counts towards it."""
    good: list[dict[str, Any]] = []
    dropped = []
    left = left_of(frozen)
    for given in manual:
        one = {**given, "units": max(0, given["units"] - left.get((given["depot"], given["need"], given["item"], given["item"]), 0))}
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
        def pack_on(value: float = plan.value, bound: float = plan.bound, hear: Callable[..., bool] = hear, going: list[bool] = going) -> bool:
            return going[0] and hear(rounds, value, bound)

        found[goal] = answer(frozen, base, fold(plan.lines), goal, bound=plan.bound if goal == "fast" else None, hear=pack_on)
        if before and goal == "fast":
            # What stands is judged by today's question too: loads may fall onto trucks so that the search's answer is no better.
            stood = answer(frozen, base, before, goal, bound=plan.bound)
            if not stood["breaks"] and stood["numbers"]["value"] <= found[goal]["numbers"]["value"]:
                found[goal] = stood
        if not going[0]:
            break
    return best_of(found)


FEWER = ("unmet_weighted", "unmet", "late", "mean_min", "last_min", "truck_hours", "yuan")


def best_of(found: dict[str, Any]) -> dict[str, Any]:
    """Goal → answer, in place of one that another beats in every figure, that other: the search does not see how loads fall onto trucks, and no plan is shown as the faster one that is slower and dearer."""
    bound = found["fast"]["numbers"].get("bound") if "fast" in found else None

    def figures(answer: dict[str, Any]) -> tuple[float, ...]:
        numbers = answer["numbers"]
        return (*(numbers.get(name) or 0.0 for name in FEWER), -numbers["worst_share"])

    chosen = {}
    for goal, own in found.items():
        best = own
        for other in found.values():
            if figures(other) != figures(best) and all(a <= b for a, b in zip(figures(other), figures(best), strict=True)):
                best = other
        chosen[goal] = {**best, "numbers": {name: value for name, value in best["numbers"].items() if name not in ("bound", "gap")}}
    if bound is not None:
        chosen["fast"]["numbers"] |= _held(chosen["fast"]["numbers"]["value"], bound)
    return chosen


def _held(value: float, bound: float) -> dict[str, float]:
    return {"bound": bound, "gap": max(0.0, (value - bound) / max(abs(bound), 1.0))}


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

    measure = dispatch.measures(base.need.shape[1], base.swaps)

    def spread(lines: Sequence[Line]) -> list[Line]:
        room, found = need * measure, []
        for r, j, k, units in lines:
            each = measure[base.goes[k]]
            for part in range(parts):
                left = room[j, part]
                take = int(min(units, -(-left[base.meant[k]] // each)))
                if take:
                    found.append((r, j * parts + part, k, take))
                    left[base.meant[k]] = max(0, left[base.meant[k]] - take * each)
                    units -= take
        return found

    def fold(lines: Sequence[Line]) -> list[Line]:
        sent = dispatch.table(base, [(r, j // parts, k, units) for r, j, k, units in lines])
        dispatch.trim(base, sent, dispatch.table(base, base.kept), measure)  # what stood in for a part may be too much for the whole
        return [(int(r), int(j), int(k), int(sent[r, j, k])) for r, j, k in np.argwhere(sent > 0)]

    task = replace(
        base, minutes=np.repeat(base.minutes, parts, axis=1), drive=None if base.drive is None else np.repeat(base.drive, parts, axis=1), need=need.reshape(-1, base.need.shape[1]), priority=wide(base.priority) * np.tile(SLICES, len(base.need))[:, None],
        deadline=wide(base.deadline), kept=spread(base.kept), before=spread(base.before), shut=[(r, j * parts + part, k) for r, j, k in base.shut for part in range(parts)],
    )
    return task, fold


def answer(frozen: Frozen, task: Task, lines: Sequence[Line], goal: str, *, bound: float | None = None, hand: bool = False, hear: Callable[[], bool] = lambda: True) -> dict[str, Any]:
    """Lines put onto trucks and judged: {lines, trips, unmet, numbers, breaks}. `hand`: a person's plan, of which nothing is filled up."""
    home, past, goes, meant = task.homes, task.past, task.goes, task.meant
    goods = task.need.shape[1]

    def column(k: int) -> dict[str, int]:
        """A column as it is kept: which good goes, and which it stands for."""
        return {"g": int(goes[k])} if k < goods else {"g": int(goes[k]), "for": int(meant[k])}

    counted = {d for d, value in enumerate(frozen["tonne_minutes"]) if value is not None}
    trucks = [trips.Truck(one["depot"], one["load"], 0.0, one["until"], one["name"]) for one in frozen["trucks"]]
    broken = dispatch.judge(task, lines).breaks
    free = [line for line in lines if home[line[0]] not in counted]
    bound_ = [line for line in lines if home[line[0]] in counted]
    # Loads whose trucks do not count go through a transfer point one after the other, the most urgent first.
    arrive = {line[:3]: float(task.arrival[line[0], line[1]]) for line in free}
    doors = [0.0] * len(task.points)
    for r, j, k, units in sorted(free, key=lambda one: task.deadline[one[1], meant[one[2]]]):
        if past[r] >= 0 and np.isfinite(task.points[past[r]].per_minute):
            rest = float(task.minutes[r, j] - task.driven[r, j])
            doors[past[r]] = max(doors[past[r]], arrive[r, j, k] - rest) + units * float(task.load[goes[k]]) / task.points[past[r]].per_minute
            arrive[r, j, k] = doors[past[r]] + rest
    left: list[Line] = []
    made: list[trips.Trip] = []
    if counted:
        packed = trips.pack(task, bound_, trucks, handling=frozen["handling"], fill=not hand, beside=free, gates=doors, hear=hear)
        made, left = packed.trips, packed.left
        lines = sorted([*free, *packed.lines])
    for trip in made:
        for k, _units in trip.cargo:
            key = (trip.way, trip.need, k)
            arrive[key] = max(arrive.get(key, 0.0), trip.arrive)
    sent = dispatch.table(task, lines)
    arrive |= {line[:3]: float(task.arrival[line[0], line[1]]) for line in lines if line[:3] not in arrive}
    shown = [
        {"d": int(home[r]), "j": j, **column(k), **({"t": int(past[r])} if past[r] >= 0 else {}), "units": units, "arrive": round(arrive[r, j, k], 1) if np.isfinite(arrive[r, j, k]) else None, "why": _why(task, sent, r, j, k, frozen, goal) if k < goods else {"code": "stands"}}
        for r, j, k, units in lines
    ]
    stub = dispatch.Plan(**vars(dispatch.judge(task, lines)), lines=list(lines))
    missing: list[dict[str, Any]] = [{"j": j, "g": g, "units": units, "why": why} for j, g, units, why in dispatch.why_unmet(task, stub)]
    kept_back, reach = np.array(frozen.get("withheld", np.zeros(task.stock.shape)), float).reshape(task.stock.shape), task.open
    for one in missing:
        if one["why"] in ("none", "no way in time", "stock") and (reach[:, one["j"], one["g"]] & (kept_back[:, one["g"]][home] > 0)).any():
            one["why"] = "not allowed"
    for _r, j, k, _units in left:
        for one in missing:
            if (one["j"], one["g"]) == (j, int(meant[k])) and one["why"] not in ("none", "no way in time", "point"):
                one["why"] = "shift"
    if hand:
        for one in missing:
            if one["why"] == "worth less":
                one["why"] = "hand"  # there is some left and a truck for it: a person has set it so
    breaks = [{"rule": rule, "at": list(at), "by": round(by, 2)} for rule, at, by in broken if not (rule == "trucks" and counted)]
    breaks += [{"rule": "shift", "at": [int(home[r]), j, int(goes[k])], "by": units} for r, j, k, units in left] if hand else []
    return {
        "lines": shown, "unmet": missing, "breaks": breaks,
        "trips": [
            {"truck": one.truck, "d": one.depot, "j": one.need, "leave": round(one.leave, 1), "arrive": round(one.arrive, 1), "back": round(one.back, 1), "cargo": [[int(goes[k]), units] for k, units in one.cargo], **({"t": int(past[one.way])} if past[one.way] >= 0 else {})}
            for one in made
        ],
        "numbers": _numbers(frozen, task, sent, stub, arrive, made, counted, missing, bound),
    }


def _numbers(
    frozen: Frozen, task: Task, sent: np.ndarray, judged: dispatch.Plan, arrive: dict, made: list[trips.Trip], counted: set[int], missing: list[dict[str, Any]], bound: float | None,
) -> dict[str, Any]:
    unmet = judged.unmet
    got = np.divide(task.need - unmet, task.need, out=np.ones(task.need.shape), where=task.need > 0)
    value = dispatch.judge(replace(task, before=(), change=0.0), judged.lines).value
    hours = sum(one.back - one.leave for one in made) / 60
    standard = policy("truck_t")
    for r, d in enumerate(task.homes):
        if d in counted:
            continue
        for j in np.flatnonzero(sent[r].any(axis=1)):
            loads = max(1, math.ceil(float((sent[r, j] * task.load[task.goes]).sum()) / standard - 1e-9))
            hours += loads * (2 * float(task.driven[r, j]) + frozen["handling"]) / 60
    times = [(at, int(sent[key])) for key, at in arrive.items() if np.isfinite(at)]
    total = sum(n for _at, n in times)
    found = {
        "units": int((task.need - unmet).sum()), "asked": int(task.need.sum()), "unmet": int(unmet.sum()), "unmet_weighted": judged.unmet_value,
        "worst_share": round(float(got[task.need > 0].min()), 4) if (task.need > 0).any() else 1.0, "mean_min": round(sum(at * n for at, n in times) / total, 1) if total else None,
        "last_min": round(max((at for at, _n in times), default=0.0), 1), "late": sum(int(sent[key]) for key, at in arrive.items() if at > task.deadline[key[1], task.meant[key[2]]]), "truck_hours": round(hours, 1), "yuan": round(hours * policy("truck_hour_yuan")), "value": value,
    }
    if counted:
        found["capacity"] = _capacity(frozen, task, missing, sent, counted)
    if bound is not None:
        found |= _held(value, bound)
    return found


def _capacity(frozen: Frozen, task: Task, missing: list[dict[str, Any]], sent: np.ndarray, counted: set[int]) -> dict[str, Any]:
    """The gap of transport capacity: tonnes that lie in a depot in time and are not met only because no truck has time for them, and the truck hours they would take."""
    left, home, open_ = task.stock - dispatch.taken(task, sent), task.homes, task.open
    tonnes = hours = 0.0
    loads = [one["load"] for one in frozen["trucks"]]
    mean = sum(loads) / len(loads) if loads else policy("truck_t")
    for one in missing:
        j, g, rest = one["j"], one["g"], one["units"]
        if one["why"] == "point":
            continue
        for r in np.argsort(task.arrival[:, j], kind="stable"):
            if int(home[r]) not in counted or not open_[r, j, g] or left[home[r], g] <= 0 or rest <= 0:
                continue
            units = int(min(left[home[r], g], rest))
            left[home[r], g] -= units
            rest -= units
            weight = units * float(task.load[g])
            tonnes += weight
            hours += weight / mean * (2 * float(task.driven[r, j]) + frozen["handling"]) / 60
    return {"tonnes": round(tonnes, 2), "hours": round(hours, 1), "trucks": math.ceil(hours / 12 - 1e-9)}


def _why(task: Task, sent: np.ndarray, r: int, j: int, g: int, frozen: Frozen, goal: str) -> dict[str, Any]:
    """Why this depot: it is the nearest that has it, or what became of the nearer ones."""
    if (r, j, g) in task.shut:
        return {"code": "hand"}
    home, arrival = task.homes, np.where(task.open[:, j, g], task.arrival[:, j], np.inf)
    mine = home[r]
    nearest: dict[int, float] = {}
    for e in np.argsort(arrival, kind="stable"):
        nearest.setdefault(int(home[e]), float(arrival[e]))
    nearer = [e for e, at in nearest.items() if at < arrival[r] and e != mine and task.stock[e, g] > 0]
    if not nearer:
        return {"code": "nearest"}
    taken = dispatch.taken(task, sent)[:, g]
    for e in nearer:
        if taken[e] < task.stock[e, g]:
            code = "trucks" if frozen["tonne_minutes"][e] is not None else "cost" if goal == "cheap" else "before" if any(line[:3] == (r, j, g) for line in task.before) else "together"
            return {"code": code, "depot": e}
    return {"code": "spent", "depot": nearer[0]}


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
        "none": _("none of the plan's depots has any of it"), "no way in time": _("no depot that has it can be there in time"), "stock": _("the depots that can be there in time have no more of it"),
        "hand": _("a line was set lower by hand; some is left"), "not allowed": _("more of it lies in depots of another level, which by the rules release no more: ask that level, or change the list “Who may release what”"), "point": _("no more goes through the transfer point in time"), "trucks": _("the depots that still have it have no truck time left"), "worth less": _("what went instead is worth more for its truck time"), "shift": _("no truck has time left in its shift"),
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
        elif rule == "point":
            text = _("{point} lets {t} t too little through in time").format(point=frozen["transfers"][at[0]]["name"], t=show(round(by, 2)))
        else:
            depot, need, item = names["depots"][at[0]], names["needs"][at[1]], names["items"][at[2]]
            text = {
                "late": _("{item} from {depot} comes to {need} {n} minutes after its deadline"), "no way": _("there is no way from {depot} to {need} at present ({item})"),
                "shift": _("{n} of {item} from {depot} to {need} fit on no truck within its shift"), "not allowed": _("{depot} may not send {item} to {need}"), "point shut": _("the transfer point is closed when {item} from {depot} for {need} gets there"),
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
    """The lines of an answer as ways and columns of `into` (another question of the same plan); what is not there any more is left out."""
    into_ = into or frozen
    at, ways = places_of(into_), {(one["d"], one["t"]): r for r, one in enumerate(ways_of(into_))}
    columns = {(g, g): g for g in range(len(into_["items"]))} | {(h, g): len(into_["items"]) + k for k, (h, g, *_number) in enumerate(into_.get("swaps", ()))}
    # What has left since is met, not taken away.
    since = left_of(into_) if into else {}
    for key, units in left_of(frozen).items() if into else ():
        since[key] = since.get(key, 0) - units
    found = []
    for one in answer_["lines"]:
        keys = (frozen["depots"][one["d"]]["id"], frozen["needs"][one["j"]]["id"], frozen["items"][one["g"]]["id"])
        meant = frozen["items"][one.get("for", one["g"])]["id"]
        if not all(key in side for side, key in zip(at, keys, strict=True)) or meant not in at[2] or (at[2][keys[2]], at[2][meant]) not in columns:
            continue
        gone = min(one["units"], max(0, since.get((*keys, meant), 0)))
        if gone:
            since[*keys, meant] -= gone
        if one["units"] > gone:
            d = at[0][keys[0]]
            found.append((ways.get((d, one.get("t", -1)), ways[d, -1]), at[1][keys[1]], columns[at[2][keys[2]], at[2][meant]], one["units"] - gone))
    return found


def by_depot(frozen: Frozen, lines: Iterable[Line]) -> dict[tuple[int, int, int], int]:
    """(depot, need, column) → units, whichever way they go."""
    ways, found = ways_of(frozen), dict[tuple[int, int, int], int]()
    for r, j, k, units in lines:
        key = (ways[r]["d"], j, k)
        found[key] = found.get(key, 0) + units
    return found


def changes(plan: SupplyPlan, old: Frozen, was: dict[str, Any], new: Frozen, now: dict[str, Any]) -> list[dict[str, Any]]:
    """Where two answers differ, in the new question's rows, each with the road that made it so where one did."""
    before, after = (by_depot(new, lines) for lines in (lines_of(old, was, new), lines_of(new, now)))
    difference = dispatch.difference([(*key, units) for key, units in before.items()], [(*key, units) for key, units in after.items()])
    if not difference:
        return []
    causes = _causes(plan, old, new, {(d, j) for d, j, *_rest in difference})
    by_need: dict[tuple[int, int], list[str]] = {}
    for d, j, g, _before, _after in difference:
        by_need.setdefault((j, g), [])
        by_need[j, g] += [name for name in causes.get((d, j), []) if name not in by_need[j, g]]
    goods = len(new["items"])
    return [
        {"d": d, "j": j, "g": k if k < goods else new["swaps"][k - goods][0], **({} if k < goods else {"for": new["swaps"][k - goods][1]}), "before": before, "after": after, "roads": by_need[j, k]} for d, j, k, before, after in difference
    ]


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
    groups: dict[tuple[int, int, int], list[dict[str, Any]]] = {}
    for one in changed:
        groups.setdefault((one["j"], one["g"], one.get("for", one["g"])), []).append(one)
    for (j, g, meant), rows in groups.items():
        less = [[one["d"], one["before"] - one["after"]] for one in rows if one["after"] < one["before"]]
        more = [[one["d"], one["after"] - one["before"]] for one in rows if one["after"] > one["before"]]
        because = _(", because {roads} is blocked").format(roads=_(", ").join(rows[0]["roads"])) if rows[0]["roads"] else ""
        item, need = frozen["items"][g]["name"], frozen["needs"][j]["name"]
        if meant != g:
            item = _("{item} in place of {other}").format(item=item, other=frozen["items"][meant]["name"])
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


