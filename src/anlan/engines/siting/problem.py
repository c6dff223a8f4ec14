"""A siting question as data: read, checked, answered. The formats are described in docs/solve.md.

Faults name the entry; what cannot be served is left out by name and the rest is solved.
"""
from __future__ import annotations

import json
import math
import re
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import covering, mip, pmedian

KINDS = ("pmedian", "pcenter", "lscp", "mclp")
MAX_ENTRIES = 400_000_000  # of the cost matrix: 1.6 GB
MAX_MIP = 400_000  # arcs beyond which the general program (capacities, budgets, scenarios) will not end in reasonable time
EARTH_KM = 6371.0088


class BadProblem(ValueError):
    """The question cannot be asked so. `where` names the entry."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}" if where else why)
        self.where, self.why = where, why


@dataclass
class Problem:
    """`cost` (n sites, m demands) per unit of weight, infinite where a site cannot serve a demand."""

    kind: str
    cost: np.ndarray
    weight: np.ndarray
    site_ids: list[Any]
    demand_ids: list[Any]
    p: int | None = None
    fixed: list[int] = field(default_factory=list)
    capacity: np.ndarray | None = None
    price: np.ndarray | None = None
    budget: float | None = None
    whole: bool = True
    radius: np.ndarray | None = None
    levels: list[tuple[float, float]] = field(default_factory=list)
    scenarios: list[np.ndarray] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    worst: bool = False
    times: int = 1
    lost: bool = False
    where: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)


def read(raw: bytes, kind: str, *, p: int | None = None, radius: float | None = None) -> Problem:
    """OR-Library `pmed` text or the documented JSON. `p` and `radius` replace the file's. BadProblem says what is wrong and where."""
    text = raw.decode("utf-8-sig", errors="replace").strip()
    problem = _json(text, kind) if text[:1] in "{[" else _orlib(text, kind)
    if p is not None:
        problem.p = p
    if radius is not None:
        problem.radius = np.full(problem.cost.shape[1], float(radius))
    _check(problem)
    return problem


def _orlib(text: str, kind: str) -> Problem:
    words = text.split()
    try:
        numbers = np.array(words, dtype=float)
    except ValueError:
        bad = next(word for word in words if not re.fullmatch(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?", word))
        raise BadProblem("", f"neither JSON nor an OR-Library file: {bad[:40]!r} is not a number")
    if numbers.size < 3:
        raise BadProblem("line 1", "an OR-Library file begins with: vertices edges medians")
    n, m, p = (int(one) for one in numbers[:3])
    if not (0 < n <= 20_000 and m >= 0 and numbers.size >= 3 + 3 * m):
        raise BadProblem("line 1", f"{n} vertices and {m} edges are announced, {(numbers.size - 3) // 3} edges follow")
    edges = numbers[3 : 3 + 3 * m].reshape(m, 3)
    ends = edges[:, :2].astype(int) - 1
    for at, (a, b) in enumerate(ends):
        if not (0 <= a < n and 0 <= b < n):
            raise BadProblem(f"edge {at + 1}", f"vertex outside 1…{n}")
        if not edges[at, 2] >= 0:
            raise BadProblem(f"edge {at + 1}", f"length {edges[at, 2]} is not a length")
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import shortest_path

    # A repeated edge takes its last value: only so do the published optima hold.
    last = {(min(a, b), max(a, b)): length for (a, b), length in zip(ends.tolist(), edges[:, 2].tolist(), strict=True) if a != b}
    pairs = np.array(list(last), int).reshape(-1, 2)
    lengths = np.array(list(last.values()), float)
    # scipy reads a stored 0 as no edge: shift by a hair nobody's sum can reach, then round it away.
    hair = 1e-7 if (lengths == 0).any() else 0.0
    graph = coo_matrix((lengths + hair, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    cost = shortest_path(graph, method="D", directed=False)
    if hair:
        cost = np.round(cost, 3)
    ids = list(range(1, n + 1))
    problem = Problem(kind, cost, np.ones(n), ids, list(ids), p=p)
    if numbers.size > 3 + 3 * m:
        problem.notes.append(f"{numbers.size - 3 - 3 * m} numbers after the last edge were not read")
    return problem


def _json(text: str, kind: str) -> Problem:
    try:
        data = json.loads(text, parse_constant=lambda word: math.nan if word == "NaN" else math.inf)
    except ValueError as error:
        raise BadProblem("", f"not JSON: {error}")
    if not isinstance(data, dict):
        raise BadProblem("", "the question is one JSON object")
    kind = kind or str(data.get("problem", ""))
    demands, sites = _list(data, "demands"), _list(data, "sites")
    notes: list[str] = []
    demand_ids, site_ids = _ids(demands, "demands"), _ids(sites, "sites")
    weight = np.array([_number(one, "weight", f"demands[{k}]", 1.0, low=0.0) for k, one in enumerate(demands)])
    where = None
    if "matrix" in data:
        cost = _matrix(data["matrix"], len(sites), len(demands))
    else:
        where, to = _points(demands, "demands"), _points(sites, "sites")
        if len(where) * len(to) > MAX_ENTRIES:
            raise BadProblem("", f"{len(to)} sites × {len(where)} demands are more than {MAX_ENTRIES:,} pairs")
        geographic = data.get("metric", "haversine" if "lon" in demands[0] else "euclidean")
        if geographic not in ("haversine", "euclidean", "manhattan"):
            raise BadProblem("metric", f"{geographic!r} is none of haversine, euclidean, manhattan")
        factor = _number(data, "detour", "", 1.0, low=0.0)
        cost = np.empty((len(to), len(where)), np.float32 if len(where) * len(to) > pmedian.BIG else np.float64)
        for j, point in enumerate(to):
            cost[j] = _distance(geographic, point, where) * factor
    count = data.get("p")
    if count is not None and (not isinstance(count, int) or isinstance(count, bool)):
        raise BadProblem("p", "the number of sites is a whole number")
    fixed = [k for k, one in enumerate(sites) if one.get("fixed")]
    problem = Problem(kind, cost, weight, site_ids, demand_ids, p=count, fixed=fixed, where=where, notes=notes)
    if any("capacity" in one for one in sites):
        problem.capacity = np.array([_number(one, "capacity", f"sites[{k}]", math.inf, low=0.0) for k, one in enumerate(sites)])
    if any("price" in one for one in sites):
        problem.price = np.array([_number(one, "price", f"sites[{k}]", 1.0, low=0.0) for k, one in enumerate(sites)])
    if data.get("budget") is not None:
        problem.budget = _number(data, "budget", "", 0.0, low=0.0)
        problem.price = np.ones(len(sites)) if problem.price is None else problem.price
    problem.whole = not data.get("split", False)
    problem.lost = bool(data.get("one_site_lost"))
    problem.times = int(_number(data, "times", "", 2 if problem.lost else 1, low=1))
    if data.get("radius") is not None or any("radius" in one for one in demands):
        common = _number(data, "radius", "", math.nan, low=0.0) if data.get("radius") is not None else math.nan
        problem.radius = np.array([_number(one, "radius", f"demands[{k}]", common, low=0.0) for k, one in enumerate(demands)])
        if np.isnan(problem.radius).any():
            raise BadProblem(f"demands[{int(np.isnan(problem.radius).argmax())}]", "no radius, and none for all")
    for k, one in enumerate(data.get("levels", ())):
        problem.levels.append((_number(one, "radius", f"levels[{k}]", None, low=0.0), _number(one, "share", f"levels[{k}]", 1.0, low=0.0)))
    for k, one in enumerate(data.get("scenarios", ())):
        weights = one.get("weights")
        if not isinstance(weights, list) or len(weights) != len(demands):
            raise BadProblem(f"scenarios[{k}].weights", f"one weight for each of the {len(demands)} demands is needed")
        problem.scenarios.append(np.array([_number({"w": w}, "w", f"scenarios[{k}].weights[{i}]", None, low=0.0) for i, w in enumerate(weights)]))
        problem.chances.append(_number(one, "chance", f"scenarios[{k}]", 1.0, low=0.0))
    problem.worst = data.get("goal", "expected") == "worst"
    return problem


def _list(data: dict, name: str) -> list[dict]:
    found = data.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise BadProblem(name, "a list of objects is needed, at least one")
    return found


def _ids(entries: list[dict], name: str) -> list[Any]:
    ids = [one.get("id", k + 1) for k, one in enumerate(entries)]
    first: dict[Any, int] = {}
    for k, one in enumerate(ids):
        if not isinstance(one, (str, int)):
            raise BadProblem(f"{name}[{k}].id", "an id is text or a whole number")
        if one in first:
            raise BadProblem(f"{name}[{k}].id", f"{one!r} stands at {name}[{first[one]}] already")
        first[one] = k
    return ids


def _number(entry: Any, key: str, where: str, default: float | None, *, low: float | None = None) -> float:
    value = entry.get(key, default) if isinstance(entry, dict) else None
    label = f"{where}.{key}" if where else key
    if value is default and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise BadProblem(label, f"{value!r} is not a number")
    if low is not None and value < low:
        raise BadProblem(label, f"{value} is below {low:g}")
    return float(value)


def _points(entries: list[dict], name: str) -> np.ndarray:
    axes = ("lon", "lat") if "lon" in entries[0] else ("x", "y")
    found = np.array([[_number(one, axis, f"{name}[{k}]", None) for axis in axes] for k, one in enumerate(entries)])
    if axes[0] == "lon" and ((np.abs(found[:, 0]) > 180) | (np.abs(found[:, 1]) > 90)).any():
        k = int(((np.abs(found[:, 0]) > 180) | (np.abs(found[:, 1]) > 90)).argmax())
        raise BadProblem(f"{name}[{k}]", f"{found[k].tolist()} is no longitude and latitude")
    return found


def _distance(metric: str, point: np.ndarray, where: np.ndarray) -> np.ndarray:
    if metric == "euclidean":
        return np.hypot(where[:, 0] - point[0], where[:, 1] - point[1])
    if metric == "manhattan":
        return np.abs(where - point).sum(axis=1)
    lon, lat = np.radians(where[:, 0]), np.radians(where[:, 1])
    x, y = np.radians(point)
    a = np.sin((lat - y) / 2) ** 2 + np.cos(lat) * np.cos(y) * np.sin((lon - x) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(a, 0, 1)))


def _matrix(rows: Any, n: int, m: int) -> np.ndarray:
    """Rows are demands, columns sites (as people write it); null: cannot be reached."""
    if not isinstance(rows, list) or len(rows) != m:
        raise BadProblem("matrix", f"one row for each of the {m} demands is needed")
    cost = np.empty((n, m))
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != n:
            raise BadProblem(f"matrix[{i}]", f"one number for each of the {n} sites is needed")
        for j, value in enumerate(row):
            if value is None or value == math.inf:
                cost[j, i] = math.inf
            elif isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or value < 0:
                raise BadProblem(f"matrix[{i}][{j}]", f"{value!r} is no distance; null says that it cannot be reached")
            else:
                cost[j, i] = value
    return cost


def _check(problem: Problem) -> None:
    n, _m = problem.cost.shape
    if problem.kind not in KINDS:
        raise BadProblem("problem", f"{problem.kind!r} is none of {', '.join(KINDS)}")
    if problem.kind == "pcenter" or (problem.kind in ("pmedian", "mclp") and problem.budget is None):
        if problem.p is None:
            raise BadProblem("p", "how many sites?")
    if problem.p is not None and problem.kind != "lscp" and not 1 <= problem.p <= n:
        raise BadProblem("p", f"{problem.p} of {n} sites cannot be opened")
    if problem.kind != "lscp" and problem.p is not None and len(problem.fixed) > problem.p:
        raise BadProblem("sites", f"{len(problem.fixed)} sites are fixed, {problem.p} may be open")
    if problem.kind != "lscp" and problem.p is not None and problem.p < problem.times and problem.kind != "mclp":
        raise BadProblem("p", f"with one site lost {problem.p} sites serve nobody: at least {problem.times} are needed")
    if problem.times > 1 and not problem.lost and problem.kind == "pmedian":
        raise BadProblem("times", "belongs to covering; for p-median say one_site_lost")
    if problem.times > 1 and problem.kind != "pmedian" and _hemmed(problem):
        raise BadProblem("times", "covering several times is not answered together with capacities, a budget for mclp and pcenter, or the worst of scenarios: leave one of them out")
    if problem.budget is not None and problem.kind == "pcenter":
        raise BadProblem("budget", "for p-center say how many sites (p)")
    if problem.kind in ("lscp", "mclp") and problem.radius is None and not problem.levels:
        raise BadProblem("radius", "within what distance or time is a demand covered?")


def _hemmed(problem: Problem) -> bool:
    """Whether capacities, a budget or the worst of scenarios ask for the general program."""
    return problem.capacity is not None or (problem.budget is not None and problem.kind != "lscp") or (problem.worst and len(problem.scenarios) > 1 and problem.kind in ("pmedian", "mclp"))


def solve(problem: Problem, *, budget: float = 60.0, gap: float = 0.0, seed: int = 1) -> dict[str, Any]:
    """{"problem", "objective", "bound", "gap", "proven", "sites", "assignment", "unserved", "notes", "how", "seconds"}.

    `gap` is the share of the objective by which a better answer could beat it; 0 is proven best. `assignment` maps demand to site.
    """
    start = time.process_time()
    notes = list(problem.notes)
    cost = problem.cost
    reachable = np.isfinite(cost).any(axis=0)
    if problem.kind == "lscp" or (problem.kind == "mclp" and not problem.levels):
        reach = (cost <= problem.radius[None, :]) if problem.radius is not None else cost <= max(level for level, _ in problem.levels)
        reachable = reach.sum(axis=0) >= (problem.times if problem.kind == "lscp" else 0)
    left_out = np.flatnonzero(~reachable)
    keep = np.flatnonzero(reachable)
    if not keep.size:
        raise BadProblem("demands", "no demand can be served by any site")
    if left_out.size:
        notes.append(f"{left_out.size} demands can be served by no site and were left out")
        cost = cost[:, keep]
    weight, fixed = problem.weight[keep], np.array(problem.fixed, int)
    share = None
    if problem.scenarios and not problem.worst:
        # The expectation of a sum: one question with the mean weights.
        chances = np.array(problem.chances) / sum(problem.chances)
        weight = sum(chance * one[keep] for chance, one in zip(chances, problem.scenarios, strict=True))
    if problem.kind == "lscp" and problem.budget is not None:
        notes.append("the budget is not asked of lscp: it finds the cheapest set there is")
    if _hemmed(problem) or (problem.kind == "pmedian" and problem.lost):
        found, share, more = _general(problem, cost, weight, keep, fixed, budget)
        notes += more
    elif problem.kind == "pmedian":
        found, more = _pmedian(problem, cost, weight, keep, fixed, budget, gap, seed)
        notes += more
    elif problem.kind == "pcenter":
        if not np.isfinite(cost).all():
            cost = np.where(np.isfinite(cost), cost, 1e6 * (1.0 + cost[np.isfinite(cost)].max()))
        found = covering.pcenter(cost, problem.p or 1, times=problem.times, fixed=fixed, budget=budget)
    elif problem.kind == "lscp":
        stacked = []
        # Several levels: each demand must be reached within each radius.
        for radius, cover in _levels(problem, cost, keep):
            if missing := int((cover.sum(axis=0) < problem.times).sum()):
                notes.append(f"{missing} demands cannot be reached within {radius}: that level was left out for them")
            stacked.append(cover[:, cover.sum(axis=0) >= problem.times])
        found = covering.lscp(np.concatenate(stacked, axis=1), price=problem.price, times=problem.times, fixed=fixed, budget=budget)
    else:
        found = _mclp(problem, cost, weight, keep, fixed, budget, gap)
    ratio = 0.0 if found.proven else abs(found.cost - found.bound) / max(abs(found.bound) if problem.kind != "mclp" else abs(found.cost), 1e-12)
    open_cost = cost[found.sites]
    nearest = found.sites[np.argmin(open_cost, axis=0)]
    served = np.isfinite(cost[nearest, np.arange(keep.size)])
    if problem.kind in ("lscp", "mclp"):
        limit = problem.radius[keep] if problem.radius is not None else np.full(keep.size, max(level for level, _ in problem.levels))
        served = open_cost.min(axis=0) <= limit
    if share is not None:
        nearest, served = share.argmax(axis=0), share.sum(axis=0) > 0.5
    assignment = {str(problem.demand_ids[keep[i]]): problem.site_ids[nearest[i]] for i in range(keep.size) if served[i]}
    unserved = [problem.demand_ids[i] for i in left_out] + [problem.demand_ids[keep[i]] for i in np.flatnonzero(~served)]
    answer: dict[str, Any] = {
        "problem": problem.kind, "objective": found.cost, "bound": found.bound, "gap": ratio, "proven": found.proven,
        "sites": [problem.site_ids[j] for j in found.sites], "assignment": assignment, "unserved": unserved, "how": found.how, "notes": notes,
        "seconds": round(time.process_time() - start, 3),
    }
    if share is not None and not problem.whole:
        answer["shares"] = {
            str(problem.demand_ids[keep[i]]): {str(problem.site_ids[j]): round(float(share[j, i]), 6) for j in np.flatnonzero(share[:, i] > 1e-6)} for i in range(keep.size)
        }
    return answer


def _levels(problem: Problem, cost: np.ndarray, keep: np.ndarray) -> list[tuple[float | None, np.ndarray]]:
    """(radius, which site reaches which demand within it), each level of service its own."""
    if not problem.levels:
        return [(None, cost <= problem.radius[keep][None, :])] if problem.radius is not None else []
    return [(radius, cost <= radius) for radius, _share in problem.levels]


def _pmedian(problem, cost, weight, keep, fixed, budget, gap, seed):
    notes: list[str] = []
    if np.isfinite(cost).all():
        priced = cost if (weight == 1).all() else cost * weight[None, :].astype(cost.dtype)
    else:
        # Serving everybody comes first, then the way: one unserved demand costs more than all the ways together.
        fine = np.where(np.isfinite(cost), cost * weight[None, :], 0.0)
        fence = 1.0 + fine.max(axis=0).sum()
        priced = np.where(np.isfinite(cost), fine, fence)
    where = problem.where[keep] if problem.where is not None else None
    found = pmedian.solve(np.ascontiguousarray(priced), problem.p, fixed=fixed, where=where, weight=weight, budget=budget, gap=gap, seed=seed)
    if not np.isfinite(cost).all():
        lost = ~np.isfinite(cost[found.sites]).any(axis=0)
        if lost.any():
            notes.append(f"{int(lost.sum())} demands can be served by none of the {problem.p} sites: the objective is that of the others")
            found.cost -= fence * lost.sum()
            found.bound = max(0.0, found.bound - fence * lost.sum())
    return found, notes


def _general(problem: Problem, cost: np.ndarray, weight: np.ndarray, keep: np.ndarray, fixed: np.ndarray, budget: float) -> tuple[pmedian.Found, np.ndarray, list[str]]:
    """With capacities, a budget, the worst of scenarios or any one site lost: the integer program. (answer, which share of a demand goes where, notes)."""
    notes: list[str] = []
    n, m = cost.shape
    clock = pmedian.Clock(budget)
    loads = [one[keep] for one in problem.scenarios] if problem.worst and problem.scenarios else [weight]
    lost = [-1, *range(n)] if problem.lost else [-1]
    room, price = problem.capacity, problem.price
    arcs = int(np.isfinite(cost).sum()) * (len(loads) * len(lost) if room is not None or problem.lost else 1)
    if arcs > MAX_MIP:
        raise BadProblem("", f"capacities, budgets, scenarios and lost sites are answered up to {MAX_MIP:,} pairs of site and demand, each case its own; here are {arcs:,}: group demands or name fewer sites")
    count = None if problem.kind == "lscp" else problem.p
    most = None if room is None else np.sort(room)[::-1][:count].sum()
    if most is not None and problem.kind != "mclp" and most < (need := max(one.sum() for one in loads)):
        raise BadProblem("capacity", f"the {count or n} largest sites take {most:g}, the demands are {need:g}: {need - most:g} are missing")

    def run(costs: np.ndarray, cases: list[tuple[np.ndarray, int, float]], **more: Any) -> Any:
        settings = {"p": problem.p, "capacity": room, "price": price, "limit": problem.budget, "fixed": fixed, "setup": None} | more
        return mip.facility(costs, cases=cases, whole=problem.whole and settings["capacity"] is not None, budget=max(clock.left, 0.1), **settings)

    if problem.kind == "pmedian":
        value, bound, sites, share, status = run(cost, [(load, site, 0.0) for load in loads for site in lost])
    elif problem.kind == "mclp":
        gain = np.zeros((n, m))
        parts = [share for _radius, share in problem.levels] or [1.0]
        for part, (_radius, cover) in sorted(zip(parts, _levels(problem, cost, keep), strict=True), key=lambda pair: pair[0]):
            gain[cover] = part
        # One more site that is always open, takes everybody and gives nothing: what is least lost is most covered.
        most_gain = float(gain.max(initial=0.0))
        costs = np.vstack([np.where(gain > 0, most_gain - gain, np.inf), np.full(m, most_gain)])

        def wide(row: np.ndarray | None, last: float) -> np.ndarray | None:
            return None if row is None else np.r_[row, last]

        value, bound, sites, share, status = run(
            costs, [(load, -1, -most_gain * float(load.sum())) for load in loads], p=None if problem.p is None else problem.p + 1, capacity=wide(room, math.inf), price=wide(price, 0.0), fixed=np.r_[fixed, n],
        )
        value, bound = -value, None if bound is None else -bound
        if sites is not None:
            sites, share = sites[sites < n], share[:n]
    elif problem.kind == "lscp":
        reach = np.logical_and.reduce([cover | (cover.sum(axis=0) == 0)[None] for _radius, cover in _levels(problem, cost, keep)])
        setup = np.ones(n) if price is None else price
        value, bound, sites, share, status = run(np.where(reach, 0.0, np.inf), [(weight, -1, 0.0)], p=None, limit=None, setup=setup)
    else:
        # Bisection over the distances: can p sites, none too full, reach everybody within so much?
        radii, low = np.unique(cost[np.isfinite(cost)]), 0
        value, sites, share, status = 0.0, None, None, "Infeasible"
        high = radii.size
        while low < high:
            middle = (low + high) // 2
            found = run(np.where(cost <= radii[middle], 0.0, np.inf), [(weight, -1, 0.0)], limit=None) if (cost <= radii[middle]).any(axis=0).all() else (0.0, math.inf, None, None, "")
            if found[2] is not None:
                value, high, (sites, share, status) = float(radii[middle]), middle, found[2:]
            elif found[1] == math.inf:
                low = middle + 1
            else:
                notes.append("not every distance could be tried in the time given")
                break
        bound = float(radii[min(low, radii.size - 1)])
    if sites is None:
        raise BadProblem("", f"no answer within the limits of capacity and budget ({status}): allow more sites, more budget, or split demands")
    if bound is None:
        bound = 0.0 if problem.kind != "mclp" else max(float((gain.max(axis=0) * load).sum()) for load in loads)
        notes.append("no bound was reached in the time given")
    if problem.lost:
        notes.append("the objective is that of the worst loss of one site; the assignment is that without a loss")
    bound = max(bound, value) if problem.kind == "mclp" else min(bound, value)
    return pmedian.Found(value, bound, sites, abs(value - bound) <= 1e-6 * (1.0 + abs(value)), f"HiGHS: {status}"), share, notes


def _mclp(problem, cost, weight, keep, fixed, budget, gap):
    levels = problem.levels or [(None, 1.0)]
    if len(levels) == 1:
        radius, share = levels[0]
        cover = cost <= (problem.radius[keep][None, :] if radius is None else radius)
        return covering.mclp(cover, weight * share, problem.p, times=problem.times, fixed=fixed, budget=budget, gap=gap)
    # Gradual cover: within a nearer radius more of a demand counts. Each level adds what it gives beyond the next wider one.
    ordered = sorted(levels)
    covers, weights = [], []
    for k, (radius, share) in enumerate(ordered):
        beyond = share - (ordered[k + 1][1] if k + 1 < len(ordered) else 0.0)
        if beyond < 0:
            raise BadProblem("levels", "a nearer level must give at least the share of a farther one")
        covers.append(cost <= radius)
        weights.append(weight * beyond)
    return covering.mclp(np.concatenate(covers, axis=1), np.concatenate(weights), problem.p, times=problem.times, fixed=fixed, budget=budget, gap=gap)
