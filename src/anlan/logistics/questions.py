"""Questions that come as JSON: read and checked entry by entry, answered by the engines over the roads of this house. Formats: docs/solve.md."""
from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from anlan.engines import siting
from anlan.engines.allocation import dispatch, needs, sheltering
from anlan.engines.routing import Straight

from . import compute, outside


class BadQuestion(ValueError):
    """The question cannot be asked so. `where` names the entry."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.why = where, why


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except ValueError as error:
        raise BadQuestion("", f"JSON: {error}") from error
    if not isinstance(data, dict):
        raise BadQuestion("", _("the question is one JSON object"))
    return data


LEFT_OUT = 100  # faults after which a question is refused as a whole
ROWS = "demands|sites|people|shelters|depots|needs|goods|swaps|transfers|kept|before"
BESIDE = {"demands": ("matrix", 0), "sites": ("matrix", 1), "people": ("minutes", 0), "shelters": ("minutes", 1), "depots": ("minutes", 0), "needs": ("minutes", 1)}


def forgiving(answer: Callable[[bytes], dict[str, Any]], raw: bytes) -> dict[str, Any]:
    """The answer without what is wrong, which is named with its place in `left_out`; what is wrong with the question as a whole is refused."""
    left_out: list[dict[str, str]] = []
    first: Exception | None = None
    while True:
        try:
            return answer(raw) | {"left_out": left_out}
        except (BadQuestion, siting.BadProblem) as error:
            first = first or error
            if len(left_out) == LEFT_OUT or (rest := _without(raw, error.where)) is None:
                raise first from error
            left_out.append({"where": error.where, "why": error.why})
            raw = rest


def _without(raw: bytes, where: str) -> bytes | None:
    """The question without the entry at fault: a row and what belongs to it, one good of a stock, one item of a need, one number of a matrix (no way then)."""
    data = json.loads(raw.decode("utf-8-sig")) if (cell := re.match(rf"({ROWS}|matrix|minutes)\[(\d+)\](?:\[(\d+)\])?(?:\.(stock|items)(?:\.(.+)|\[(\d+)\]))?", where)) else None
    if data is None or cell is None:
        return None
    name, k, n, part, good, item = cell[1], int(cell[2]), cell[3], cell[4], cell[5], cell[6]
    if name in ("matrix", "minutes"):
        if n is None:
            return None
        data[name][k][int(n)] = None
    elif part == "stock" and good:
        del data[name][k]["stock"][good]
    elif part == "items" and item:
        del data[name][k]["items"][int(item)]
    else:
        del data[name][k]
        table, axis = BESIDE.get(name, ("", 0))
        if table in data:
            for row in [data[table]] if axis == 0 else data[table]:
                del row[k]
        for one in data.get("scenarios") or [] if name == "demands" else []:
            del one["weights"][k]
        for one in data.get("transfers") or []:
            for key, side in (("to_min", "depots"), ("on_min", "needs")):
                if name == side and isinstance(one.get(key), list):
                    del one[key][k]
    return json.dumps(data).encode()


def _entries(data: dict[str, Any], name: str) -> tuple[list[dict[str, Any]], list[str]]:
    rows = data.get(name)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise BadQuestion(name, _("a list of objects is needed, at least one"))
    ids = [str(row.get("id", place + 1)) for place, row in enumerate(rows)]
    first: dict[str, int] = {}
    for place, one in enumerate(ids):
        if one in first:
            raise BadQuestion(f"{name}[{place}].id", _("{id} stands at {name}[{place}] already").format(id=one, name=name, place=first[one]))
        first[one] = place
    return rows, ids


def _number(row: dict[str, Any], key: str, where: str, default: float | None = None, *, low: float = 0.0, high: float = 1e12, whole: bool = False) -> float:
    value = row.get(key, default)
    label = f"{where}.{key}" if where else key
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadQuestion(label, _("{value} is not a number").format(value=value))
    if not low <= value <= high:
        raise BadQuestion(label, _("{value} does not lie between {low:g} and {high:g}").format(value=value, low=low, high=high))
    if whole and value != int(value):
        raise BadQuestion(label, _("{value} is no whole number").format(value=value))
    return float(value)


def _column(rows: list[dict[str, Any]], name: str, key: str, default: float | None = None, **limits: Any) -> np.ndarray:
    return np.array([_number(row, key, f"{name}[{place}]", default, **limits) for place, row in enumerate(rows)])


def _times(data: dict[str, Any], origins: str, targets: str, network: Path | None, vehicle: str) -> compute.Ways:
    """Seconds from each origin to each target: the question's own matrix (`minutes`, null: no way), or by road."""
    from_rows, from_ids = _entries(data, origins)
    to_rows, to_ids = _entries(data, targets)
    if "minutes" in data:
        table = data["minutes"]
        if not isinstance(table, list) or len(table) != len(from_rows) or not all(isinstance(row, list) and len(row) == len(to_rows) for row in table):
            raise BadQuestion("minutes", _("one row for each of {origins}, one number for each of {targets}").format(origins=origins, targets=targets))
        seconds = np.empty((len(from_rows), len(to_rows)))
        for i, row in enumerate(table):
            for j, value in enumerate(row):
                seconds[i, j] = math.inf if value is None else 60.0 * _number({"m": value}, "m", f"minutes[{i}][{j}]")
        return compute.Ways(seconds, _("Travel times as given in the question"), False)
    places = [np.column_stack([_column(rows, name, "lon", low=-180, high=180), _column(rows, name, "lat", low=-90, high=90)]) for rows, name in ((from_rows, origins), (to_rows, targets))]
    tables = compute.shipped_tables()
    vehicle, weather = str(data.get("vehicle", vehicle)), str(data.get("weather", "dry"))
    for key, value, known in (("vehicle", vehicle, tables["road_vehicle"]), ("weather", weather, tables["road_weather"])):
        if value not in known:
            raise BadQuestion(key, _("{value} is none of {known}").format(value=value, known=", ".join(known)))
    roads = compute.router(network)
    if network and roads is None:
        raise BadQuestion("network", _("{file}: no such file").format(file=network))
    edits: list[Any] = []
    if data.get("edits") and roads is not None:
        try:
            edits = compute.edits_from(data["edits"]["features"], roads)
        except (ValueError, KeyError, TypeError) as error:
            raise BadQuestion("edits", str(error)) from error
    if roads is None and vehicle == "foot":
        # The estimate's speed is a vehicle's; people walk.
        tables = dict(tables) | {"road_policy": dict(tables["road_policy"]) | {"straight_kmh": {"value": tables["road_vehicle"]["foot"]["speeds"]["residential"]}}}
    found = compute.ways(*places, roads=roads, data=tables, vehicle=vehicle, weather=weather, edits=edits, names=(from_ids, to_ids), by=outside.service())
    if data.get("edits") and roads is None:
        found.notes.append(_("closures were left aside: there is no road file"))
    return found


def shelters(raw: bytes, network: Path | None = None) -> dict[str, Any]:
    """Who shelters where."""
    start = time.process_time()
    data = _parse(raw)
    people, ids = _entries(data, "people")
    houses, house_ids = _entries(data, "shelters")
    persons = _column(people, "people", "persons", whole=True, high=1e9).astype(np.int64)
    if persons.sum() >= 2**31:
        raise BadQuestion("people", _("more persons than can be counted exactly"))
    helpless = _column(people, "people", "helpless", 0.0, high=1.0)
    urgency = _column(people, "people", "urgency", 0.0)
    per_person = _number(data, "per_person_m2", "", 3.0, low=0.1)
    fit = np.array([bool(row.get("fit", True)) for row in houses])
    arrived = _column(houses, "shelters", "arrived", 0.0, whole=True)
    room = np.array([
        _number(row, "room", f"shelters[{k}]", whole=True, high=1e9) - arrived[k] if "room" in row else sheltering.rooms(np.array([_number(row, "area_m2", f"shelters[{k}]")]), per_person, np.array([True]), arrived[k])[0]
        for k, row in enumerate(houses)
    ])
    room = np.where(fit, np.maximum(room, 0), 0).astype(np.int64)
    door = _column(houses, "shelters", "per_minute", 30.0, low=0.1)
    farthest = _number(data, "farthest_min", "", low=0.1) * 60 if data.get("farthest_min") is not None else None
    ways = _times(data, "people", "shelters", network, "foot")
    plan = sheltering.solve(ways.seconds, persons, room, helpless=helpless, farthest_s=farthest, whole=not data.get("divide", False))
    leave = sheltering.waves(ways.seconds, plan.flow, door, urgency)
    placed = int(plan.flow.sum())
    notes = list(ways.notes)
    if unfit := [house_ids[k] for k in np.flatnonzero(~fit)]:
        notes.append(_("not fit for this hazard, left empty: {shelters}").format(shelters=", ".join(unfit)))
    no_way = np.flatnonzero(~(np.isfinite(ways.seconds) & (room > 0)[None, :]).any(axis=1) & (persons > 0))
    if no_way.size:
        notes.append(_("no way to any fit shelter with room: {people}").format(people=", ".join(ids[k] for k in no_way[:50])))
    missing = int(persons.sum() - room.sum())
    if missing > 0:
        notes.append(_("{count} places are missing in all: open more shelters, or allow less floor a person").format(count=missing))
    return {
        "placed": placed, "unplaced": {ids[i]: int(plan.unplaced[i]) for i in np.flatnonzero(plan.unplaced)}, "divided": [ids[i] for i in plan.divided],
        "assignment": {ids[i]: {house_ids[j]: int(plan.flow[i, j]) for j in np.flatnonzero(plan.flow[i])} for i in np.flatnonzero(plan.flow.any(axis=1))},
        "leave_minutes": {ids[i]: round(float(leave[i]), 1) for i in np.flatnonzero(np.isfinite(leave))},
        "filled": {house_ids[j]: [int(plan.flow[:, j].sum()), int(room[j])] for j in range(len(houses))},
        "person_minutes": plan.cost / 60_000, "bound": plan.bound / 60_000, "gap": plan.gap, "mean_minutes": plan.cost / 60_000 / placed if placed else None,
        "how": ways.how, "notes": notes, "seconds": round(time.process_time() - start, 3),
    }


def allocate(raw: bytes, network: Path | None = None, *, budget: float = 10.0, gap: float = 0.003) -> dict[str, Any]:
    """What goes from which depot to which need; and a person's own plan (`plan`), judged by the same rules."""
    start = time.process_time()
    data = _parse(raw)
    depots, depot_ids = _entries(data, "depots")
    needs, need_ids = _entries(data, "needs")
    goods, good_ids = _entries(data, "goods")
    place = {name: k for k, name in enumerate(good_ids)}
    load = _column(goods, "goods", "load", 0.0)
    stock = np.zeros((len(depots), len(goods)), np.int64)
    for k, row in enumerate(depots):
        for name in row.get("stock") or {}:
            if str(name) not in place:
                raise BadQuestion(f"depots[{k}].stock.{name}", _("{value} is none of {known}").format(value=name, known=", ".join(good_ids)))
            stock[k, place[str(name)]] = _number(row["stock"], name, f"depots[{k}].stock", whole=True, high=1e9)
    trucks = np.array([math.inf if row.get("truck_minutes") is None else _number(row, "truck_minutes", f"depots[{k}]") for k, row in enumerate(depots)])
    shape = (len(needs), len(goods))
    wanted, priority, deadline = np.zeros(shape, np.int64), np.ones(shape), np.full(shape, math.inf)
    for k, row in enumerate(needs):
        for n, item in enumerate(row.get("items") or []):
            where = f"needs[{k}].items[{n}]"
            if str(item.get("good")) not in place:
                raise BadQuestion(f"{where}.good", _("{value} is none of {known}").format(value=item.get("good"), known=", ".join(good_ids)))
            g = place[str(item["good"])]
            if wanted[k, g]:
                raise BadQuestion(where, _("{good} is asked for twice").format(good=good_ids[g]))
            wanted[k, g] = _number(item, "units", where, whole=True, high=1e9)
            priority[k, g] = _number(item, "priority", where, 1.0, high=1000)
            deadline[k, g] = _number(item, "deadline_min", where, 1e9)
    ways = _times(data, "depots", "needs", network, "truck")
    task = dispatch.Task(ways.seconds / 60.0, wanted, priority, deadline, stock, load, trucks, change=_number(data, "change_minutes", "", 0.0, high=10_000), stand=_number(data, "stand_minutes", "", 0.0, high=10_000))
    task.swaps = _swaps(data, good_ids)
    point_ids, notes = _points(data, task, network), list(ways.notes)
    for k, row in enumerate(needs):
        if row.get("only_from") is not None:
            if strange := [str(one) for one in row["only_from"] if str(one) not in depot_ids]:
                raise BadQuestion(f"needs[{k}].only_from", _("{value} is none of {known}").format(value=", ".join(strange), known=", ".join(depot_ids)))
            if not row["only_from"]:
                raise BadQuestion(f"needs[{k}].only_from", _("by this rule nobody may release anything: name a depot, or leave the rule out"))
            if task.allowed is None:
                task.allowed = np.ones((len(depots), *shape), bool)
            task.allowed[:, k] = np.isin(depot_ids, [str(one) for one in row["only_from"]])[:, None]
    sides = depot_ids, need_ids, good_ids, point_ids
    task.before = _lines(data, task, "before", *sides)
    for k in range(len(data.get("kept") or [])):
        # Each on top of those above it, so that the one that cannot stand is named.
        kept = [*task.kept, *_lines({"kept": data["kept"][: k + 1]}, task, "kept", *sides, skip=k, beside=task.kept)]
        if broken := dispatch.judge(task, kept).breaks:
            raise BadQuestion(f"kept[{k}]", _("breaks a rule ({rule}, by {by:g}): change it or take it back").format(rule=broken[0][0], by=broken[0][2]))
        task.kept = kept
    try:
        plan = dispatch.solve(task, budget=budget, gap=gap)
    except ValueError as error:
        raise BadQuestion("", str(error)) from error
    goods_sent, meant = task.goes, task.meant

    def line(r: int, j: int, k: int) -> dict[str, Any]:
        """By the names of the question; what stands in says for what, and what changes over says where."""
        return {
            "depot": depot_ids[task.homes[r]], "need": need_ids[j], "good": good_ids[goods_sent[k]], **({"for": good_ids[meant[k]]} if k >= len(goods) else {}), **({"transfer": point_ids[task.past[r]]} if task.past[r] >= 0 else {}),
        }

    def worth(judged: dispatch.Judged) -> dict[str, Any]:
        return {"value": judged.value, "unmet_units": int(judged.unmet.sum()), "unmet_by_priority": judged.unmet_value, "unit_minutes": judged.unit_minutes}

    reasons = {"none": _("no depot has any of it"), "not allowed": _("no depot that has it may release it to this place: widen the rule or ask the level it belongs to"), "point": _("no more goes through the transfer point in time"), "no way in time": _("no depot with it can be there in time"), "stock": _("the depots that can be there in time have no more of it"),
               "trucks": _("the depots that still have it have no truck time left"), "worth less": _("what went instead is worth more for its truck time")}
    answer = worth(plan) | {
        "bound": plan.bound, "gap": plan.gap, "lines": [{**line(r, j, k), "units": units, "minutes": round(float(task.minutes[r, j]), 1)} for r, j, k, units in plan.lines],
        "unmet": [{"need": need_ids[j], "good": good_ids[g], "units": units, "why": reasons[why]} for j, g, units, why in dispatch.why_unmet(task, plan)],
        "depots": [{"id": depot_ids[k], "truck_minutes": round(float(plan.truck_minutes[k]), 1), "of": None if math.isinf(trucks[k]) else trucks[k], "minutes_saved_by_one_more": round(float(plan.truck_price[k]), 2)} for k in range(len(depots))],
        **({"transfers": [{"id": name, "minutes_saved_by_one_more_load": round(float(price), 2)} for name, price in zip(point_ids, plan.point_price, strict=True)]} if point_ids else {}),
        "how": ways.how, "notes": notes, "rounds": plan.rounds,
    }
    if task.before:
        answer["changes"] = [{**line(r, j, k), "before": old, "after": new} for r, j, k, old, new in dispatch.difference(task.before, plan.lines)]
    if data.get("plan") is not None:
        own = dispatch.judge(task, _lines(data, task, "plan", *sides))
        places = {"stock": (depot_ids, good_ids), "trucks": (depot_ids,), "more than needed": (need_ids, good_ids), "point": (point_ids,)}
        answer["judged"] = worth(own) | {
            "breaks": [{"rule": rule, "at": [names[k] for names, k in zip(places.get(rule, (depot_ids, need_ids, good_ids)), where, strict=True)], "by": much} for rule, where, much in own.breaks],
            "above_bound": (own.value - plan.bound) / max(abs(plan.bound), 1.0),
        }
    return answer | {"seconds": round(time.process_time() - start, 3)}


def _swaps(data: dict[str, Any], good_ids: list[str]) -> list[dispatch.Swap]:
    found: list[dispatch.Swap] = []
    for k, row in enumerate(data.get("swaps") or []):
        pair = [str(row.get(key)) if isinstance(row, dict) else "" for key in ("good", "for")]
        if not set(pair) <= set(good_ids) or pair[0] == pair[1]:
            raise BadQuestion(f"swaps[{k}]", _("two different goods of the question are needed"))
        found.append((good_ids.index(pair[0]), good_ids.index(pair[1]), _number(row, "number", f"swaps[{k}]", 1.0, low=0.01, high=100)))
    try:
        dispatch.measures(len(good_ids), found)
    except ValueError as error:
        raise BadQuestion("swaps", str(error)) from error
    return found


def _points(data: dict[str, Any], task: dispatch.Task, network: Path | None) -> list[str]:
    """Put the ways past the question's transfer points into the task; their names."""
    if not data.get("transfers"):
        return []
    rows, ids = _entries(data, "transfers")
    depots, needs = task.minutes.shape
    minutes, drive, home, via, points = [task.minutes], [task.minutes], [np.arange(depots)], [np.full(depots, -1)], []
    for t, row in enumerate(rows):
        where = f"transfers[{t}]"
        change = _number(row, "minutes", where, 0.0, high=1440)
        if "to_min" in row or "on_min" in row:
            legs = []
            for key, count in (("to_min", depots), ("on_min", needs)):
                if not isinstance(row.get(key), list) or len(row[key]) != count:
                    raise BadQuestion(f"{where}.{key}", _("{count} numbers are needed, null where there is no way").format(count=count))
                legs.append(np.array([math.inf if value is None else _number({key: value}, key, where) for value in row[key]]))
            to, on = legs
        else:
            at = {**data, "point": [row]}
            at.pop("minutes", None)
            to = _times(at, "depots", "point", network, "truck").seconds[:, 0] / 60
            there = np.column_stack([_column(data["needs"], "needs", key) for key in ("lon", "lat")])
            on = Straight(_number(row, "kmh", where, low=0.5, high=1000), 1.0).matrix(np.array([row["lon"]], float), np.array([row["lat"]], float), there[:, 0], there[:, 1])[0] / 60
        minutes.append(to[:, None] + change + on[None])
        drive.append(np.broadcast_to(to[:, None], (depots, needs)))
        home.append(np.arange(depots))
        via.append(np.full(depots, t))
        rate, opens, closes = (_number(row, key, where, default, low=low) if key in row else default for key, default, low in (("per_hour", math.inf, 1e-9), ("from_min", 0.0, 0.0), ("until_min", math.inf, 0.0)))
        points.append(dispatch.Point(rate / 60, opens, closes))
    task.minutes, task.drive, task.home, task.via, task.points = np.vstack(minutes), np.vstack(drive), np.concatenate(home), np.concatenate(via), points
    return ids


def _lines(data: dict[str, Any], task: dispatch.Task, name: str, *ids: list[str], skip: int = 0, beside: Sequence[dispatch.Line] = ()) -> list[dispatch.Line]:
    """Lines as the question writes them; where no transfer point is named, the quickest ways of the depot. `skip`: the first are read already and stand `beside`."""
    rows = data.get(name) or []
    if not isinstance(rows, list):
        raise BadQuestion(name, _("a list of objects is needed, at least one"))
    known = [{one: k for k, one in enumerate(side)} for side in ids]
    ways = {(int(d), int(t)): r for r, (d, t) in enumerate(zip(task.homes, task.past, strict=True))}
    columns = {(int(h), int(g)): k for k, (h, g) in enumerate(zip(task.goes, task.meant, strict=True))}
    found: list[dispatch.Line] = []
    free: list[dispatch.Line] = []
    for k, row in list(enumerate(rows))[skip:]:
        try:
            d, j, g = (side[str(row[key])] for side, key in zip(known, ("depot", "need", "good"), strict=False))
            column = columns[g, known[2][str(row["for"])]] if "for" in row else g
            way = ways[d, known[3][str(row["transfer"])]] if "transfer" in row else None
        except (KeyError, TypeError) as error:
            raise BadQuestion(f"{name}[{k}]", _("depot, need and good of the question are needed ({why})").format(why=error)) from error
        units = int(_number(row, "units", f"{name}[{k}]", whole=True, high=1e9))
        found += [(way, j, column, units)] if way is not None else []
        free += [(d, j, column, units)] if way is None else []
    return [*found, *dispatch.by_hand(task, free, beside=[*beside, *found])]


def needed(raw: bytes, _network: Path | None = None) -> dict[str, Any]:
    """What people need over the days, by the rates of the code list `need_rate` or the question's own; what must lie in store, and what is missing."""
    from anlan.kernel import codes

    data = _parse(raw)
    groups = data.get("people")
    if not isinstance(groups, dict) or not groups:
        raise BadQuestion("people", _("persons of each group, one number for each day, are needed"))
    days = int(_number(data, "days", "", 7, low=1, high=366, whole=True))
    people = {}
    for name, row in groups.items():
        row = row if isinstance(row, list) else [row] * days
        people[str(name)] = [_number({"n": value}, "n", f"people.{name}[{k}]") for k, value in enumerate(row[:days])] + [0.0] * (days - len(row))
    shipped = codes.shipped()["need_rate"]
    rows = data.get("rates") or [{"good": one["code"], "name": one["name"], **one["data"]} for one in shipped["codes"]]
    rates = []
    for k, row in enumerate(rows):
        if not isinstance(row, dict) or not row.get("good") or not row.get("who"):
            raise BadQuestion(f"rates[{k}]", _("good and who are needed"))
        rates.append(needs.Rate(str(row["good"]), str(row["who"]), _number(row, "amount", f"rates[{k}]"), _number(row, "for_each", f"rates[{k}]", 1.0, low=1e-9), bool(row.get("daily", True))))
    stock = data.get("stock") or {}
    found = needs.estimate(rates, people)
    answer = {}
    for k, row in enumerate(rows):
        name = str(row["good"])
        if name in answer:
            continue
        parts = needs.split(found[name], agreement_days=_number(row, "agreement_days", f"rates[{k}]", 2.0), capacity_days=_number(row, "capacity_days", f"rates[{k}]", 7.0), stock=_number(stock, name, "stock", 0.0))
        answer[name] = {
            "unit": row.get("unit", ""), "each_day": [round(float(value), 3) for value in found[name]], "total": round(float(found[name].sum()), 3), "physical": round(parts.physical, 3),
            "agreement": round(parts.agreement, 3), "capacity": round(parts.capacity, 3), "in_stock": float(stock.get(name, 0)), "gap": round(parts.gap, 3),
        }
    own = bool(data.get("rates"))
    how = _("rates as given in the question") if own else _("rates of the code list need_rate, version {version}, to be verified: {source}").format(version=shipped["version"], source=shipped["source"])
    return {"days": days, "goods": answer, "unused": sorted(set(people) - {one.who for one in rates}), "how": how}
