"""Siting against brute force, against published optima, and with proofs that had to be earned."""
from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from anlan.engines import siting
from anlan.engines.siting import covering, kernels, mip, pmedian

ORLIB = Path(__file__).resolve().parents[6] / "shared" / "data" / "orlib"


def question(seed: int):
    """A small random p-median: grid, weighted, real-valued or full of ties; a third with fixed sites."""
    r = np.random.default_rng(seed)
    n, m = int(r.integers(4, 13)), int(r.integers(3, 18))
    p = int(r.integers(1, min(6, n)))
    x, y = r.integers(0, 60, (n, 2)), r.integers(0, 60, (m, 2))
    cost = np.abs(x[:, None] - y[None]).sum(2).astype(float)
    if seed % 4 == 1:
        cost *= r.integers(1, 5, m)[None]
    elif seed % 4 == 2:
        cost = np.hypot(*(x[:, None] - y[None]).transpose(2, 0, 1)) * r.random(m)[None]
    elif seed % 4 == 3:
        cost = r.integers(0, 4, (n, m)).astype(float)
    fixed = r.choice(n, int(r.integers(0, p)), replace=False) if seed % 3 == 0 else np.array([], int)
    return cost, p, fixed


def best_of(cost, p, fixed) -> float:
    rest = [j for j in range(cost.shape[0]) if j not in set(fixed.tolist())]
    return min(cost[[*fixed, *some]].min(axis=0).sum() for some in itertools.combinations(rest, p - fixed.size))


def test_ten_thousand_random_medians_equal_brute_force():
    for seed in range(10_000):
        cost, p, fixed = question(seed)
        best = best_of(cost, p, fixed)
        found = pmedian.solve(cost, p, fixed=fixed, seed=seed)
        assert found.proven and abs(found.cost - best) <= 1e-7 * (1 + best), (seed, best, found)
        assert found.bound <= best + 1e-6 * (1 + best) and set(fixed) <= set(found.sites) and found.sites.size == p


def test_branch_and_bound_finds_the_best_from_a_loosened_start():
    """The proof itself: told of a far worse answer, with poor prices, it must end at the optimum and nowhere else."""
    for seed in range(1_500):
        cost, p, fixed = question(seed)
        if seed % 4 == 2:
            continue  # integer costs: the unit is 1
        best = best_of(cost, p, fixed)
        state = np.zeros(cost.shape[0], np.int8)
        state[fixed] = 1
        price = np.random.default_rng(seed).random(cost.shape[1]) * cost.max()
        sites = np.zeros(p, np.int64)
        upper, _nodes, finished, _low = kernels.branch(cost, state, price, p, best + 25.0, 1 - 1e-6, 0, sites, 100_000)
        assert finished and upper == best and cost[sites].min(axis=0).sum() == best, (seed, best, upper)


def test_the_finish_by_integer_program_proves_too(monkeypatch):
    for seed in range(0, 400):
        cost, p, fixed = question(seed)
        n, m = cost.shape
        best = best_of(cost, p, np.array([], int))
        price, reduced, chosen = np.empty(m), np.empty(n), np.empty(p, np.int64)
        upper = best + (25.0 if seed % 2 else 0.0)
        bound, _theta = kernels.dual(cost, np.zeros(m), np.zeros(n, np.int8), p, upper, 1.0, 15, 1.0, 5, price, reduced, chosen)
        total, sites, low = mip.finish(cost, p, np.arange(n), np.zeros(n, bool), price, reduced, chosen, upper, 1e-6, bound, 20.0)
        assert min(total, upper) == pytest.approx(best, rel=1e-6, abs=1e-5), seed
        assert low is None or low <= best + 1e-4


@pytest.mark.parametrize("name", ["pmed1", "pmed4", "pmed6", "pmed13", "pmed17", "pmed20", "pmed25", "pmed30", "pmed35", "pmed40"])
def test_published_optima_are_proven(name):
    if not ORLIB.exists():
        pytest.skip("the OR-Library instances do not lie beside this checkout")
    optimum = next(int(line.split()[1]) for line in (ORLIB / "pmedopt.txt").read_text().splitlines() if line.split()[:1] == [name])
    answer = siting.solve(siting.read((ORLIB / f"{name}.txt").read_bytes(), "pmedian"), budget=120)
    assert answer["proven"] and answer["objective"] == answer["bound"] == optimum and answer["gap"] == 0


def test_covering_questions_equal_brute_force():
    for seed in range(250):
        r = np.random.default_rng(seed)
        n, m = int(r.integers(3, 10)), int(r.integers(3, 14))
        p = int(r.integers(1, n))
        cover = r.random((n, m)) < r.uniform(0.15, 0.7)
        for i in range(m):
            if not cover[:, i].any():
                cover[r.integers(n), i] = True
        fixed = r.choice(n, int(r.integers(0, min(p, 2) + 1)), replace=False) if seed % 3 == 0 else np.array([], int)
        sets = [list(c) for k in range(n + 1) for c in itertools.combinations(range(n), k) if set(fixed.tolist()) <= set(c)]
        price = r.integers(1, 6, n).astype(float) if seed % 2 else np.ones(n)
        times = 2 if seed % 5 == 0 and (cover.sum(axis=0) >= 2).all() else 1
        weight = r.integers(1, 20, m) * (1.0 if seed % 2 else r.random())
        distance = r.integers(0, 50, (n, m)).astype(float)
        found = covering.lscp(cover, price=price, times=times, fixed=fixed)
        assert found.proven and found.cost == min(price[c].sum() for c in sets if (cover[c].sum(axis=0) >= times).all()), seed
        most = covering.mclp(cover, weight, p, times=times, fixed=fixed)
        assert most.proven and most.cost == pytest.approx(max(weight[cover[c].sum(axis=0) >= times].sum() for c in sets if len(c) == p)), seed
        centre = covering.pcenter(distance, p, fixed=fixed)
        assert centre.proven and centre.cost == min(distance[c].min(axis=0).max() for c in sets if len(c) == p), seed


def ask(kind="pmedian", **changes):
    data = {
        "demands": [{"id": f"d{k}", "x": k % 5, "y": k // 5, "weight": 1 + k % 3} for k in range(15)],
        "sites": [{"id": f"s{k}", "x": k, "y": 1} for k in range(5)], "p": 2, "radius": 1.5,
    } | changes
    return siting.read(json.dumps(data).encode(), kind)


def test_capacities_are_kept_and_equal_brute_force():
    for seed in range(40):
        r = np.random.default_rng(seed)
        n, m, p = 4, 6, 2
        cost = r.integers(1, 30, (m, n)).astype(float)
        weight, room = r.integers(1, 5, m), r.integers(6, 14, n)
        data = {"demands": [{"weight": int(w)} for w in weight], "sites": [{"capacity": int(c)} for c in room], "p": p, "matrix": cost.tolist()}
        best = np.inf
        for some in itertools.combinations(range(n), p):
            for way in itertools.product(some, repeat=m):
                load = np.bincount(way, weights=weight, minlength=n)
                if (load <= room).all():
                    best = min(best, sum(weight[i] * cost[i, way[i]] for i in range(m)))
        try:
            answer = siting.solve(siting.read(json.dumps(data).encode(), "pmedian"))
        except siting.BadProblem:
            assert best == np.inf, seed
            continue
        assert answer["proven"] and answer["objective"] == pytest.approx(best), seed


def test_budget_fixed_sites_scenarios_and_levels():
    dear = siting.solve(ask(budget=3, p=None, sites=[{"id": f"s{k}", "x": k, "y": 1, "price": 1 + k} for k in range(5)]))
    assert dear["proven"] and sum(int(site[1:]) + 1 for site in dear["sites"]) <= 3
    held = siting.solve(ask(sites=[{"id": f"s{k}", "x": k, "y": 1, "fixed": k == 4} for k in range(5)]))
    assert "s4" in held["sites"]
    left, right = [1.0] * 5 + [0.0] * 10, [0.0] * 10 + [1.0] * 5
    worst = siting.solve(ask(scenarios=[{"weights": left}, {"weights": right}], goal="worst", p=1))
    # Both rows lie one step from the line of sites; the middle site serves either with 1·1 + √2·2 + √5·2.
    assert worst["sites"] == ["s2"] and worst["objective"] == pytest.approx(1 + 2 * 2**0.5 + 2 * 5**0.5)
    near = siting.solve(ask("mclp", radius=None, levels=[{"radius": 1, "share": 1.0}, {"radius": 1.5, "share": 0.5}]))
    assert near["proven"] and 0 < near["objective"] < sum(1 + k % 3 for k in range(15))
    twice = siting.solve(ask("lscp", one_site_lost=True, radius=2.3))
    assert twice["proven"] and len(twice["sites"]) >= 2


def hemmed(seed: int) -> dict:
    """A small question with capacities, prices, fixed sites and scenarios, each in some draws."""
    r = np.random.default_rng(seed)
    n, m = 4, 5
    weights = [r.integers(1, 5, m).tolist() for _ in range(2)]
    return {
        "demands": [{"id": i, "weight": weights[0][i]} for i in range(m)], "p": int(r.integers(2, 4)), "matrix": r.integers(1, 30, (m, n)).tolist(), "radius": int(r.integers(12, 26)),
        "sites": [{"id": j, "price": int(r.integers(1, 5)), "fixed": bool(j == 0 and seed % 3 == 0), **({"capacity": int(r.integers(5, 14))} if seed % 2 else {})} for j in range(n)],
        **({"budget": int(r.integers(4, 9))} if seed % 5 < 2 else {}), **({"scenarios": [{"weights": one} for one in weights], "goal": "worst"} if seed % 7 < 3 else {}),
    }


def by_hand(data: dict, kind: str) -> float | None:
    """Every set of sites, every way of serving, every case."""
    cost, n, m = np.array(data["matrix"]).T, len(data["sites"]), len(data["demands"])
    price, room = np.array([one["price"] for one in data["sites"]]), np.array([one.get("capacity", np.inf) for one in data["sites"]])
    fixed = {j for j, one in enumerate(data["sites"]) if one["fixed"]}
    loads = [np.array(one["weights"]) for one in data["scenarios"]] if data.get("scenarios") and kind in ("pmedian", "mclp") else [np.array([one["weight"] for one in data["demands"]])]
    lost, levels = data.get("one_site_lost"), data.get("levels")
    best = None
    for size in range(1, n + 1) if kind == "lscp" else [data["p"]]:
        for some in itertools.combinations(range(n), size):
            if not fixed <= set(some) or (kind != "lscp" and "budget" in data and price[list(some)].sum() > data["budget"]):
                continue
            worst: list[float] = []
            for load in loads:
                for gone in [None, *some] if lost else [None]:
                    left = [j for j in some if j != gone]
                    served = [w for w in itertools.product([*left, *([-1] if kind == "mclp" else [])], repeat=m) if (np.bincount([j for j in w if j >= 0], weights=[x for x, j in zip(load, w, strict=True) if j >= 0], minlength=n) <= room).all()]
                    if kind == "pmedian":
                        values = [sum(load[i] * cost[w[i], i] for i in range(m)) for w in served]
                    elif kind == "mclp":
                        def gives(j: int, i: int) -> float:
                            return 0.0 if j < 0 else max((one["share"] for one in levels if cost[j, i] <= one["radius"]), default=0.0) if levels else float(cost[j, i] <= data["radius"])

                        values = [-sum(load[i] * gives(w[i], i) for i in range(m)) for w in served]
                    elif kind == "pcenter":
                        values = [max(cost[w[i], i] for i in range(m)) for w in served]
                    else:
                        limit = [one["radius"] for one in levels] if levels else [data["radius"]]
                        near = [[j for j in left if cost[j, i] <= min(limit)] for i in range(m)]
                        values = [float(price[list(some)].sum()) for w in served if all(w[i] in near[i] for i in range(m))]
                    worst.append(min(values, default=np.inf))
            if max(worst) < np.inf and (best is None or max(worst) < best):
                best = max(worst)
    return best


@pytest.mark.parametrize("kind", ["pmedian", "pcenter", "lscp", "mclp"])
def test_capacities_budgets_fixed_sites_and_the_worst_of_scenarios_equal_every_set_tried_by_hand(kind):
    answered = 0
    for seed in range(60):
        data = hemmed(seed)
        if kind == "pcenter":
            data.pop("budget", None)
        if seed % 4 == 3 and kind == "mclp":
            data["levels"] = [{"radius": 8, "share": 1.0}, {"radius": data.pop("radius"), "share": 0.4}]
        best = by_hand(data, kind)
        if kind == "lscp" and best is not None and not all(any(cost <= data["radius"] for cost in row) for row in data["matrix"]):
            continue
        try:
            answer = siting.solve(siting.read(json.dumps(data).encode(), kind))
        except siting.BadProblem:
            assert best is None, seed
            continue
        if kind == "lscp" and answer["unserved"]:
            continue  # what nobody reaches is left out, by name
        assert best is not None and answer["proven"] and answer["objective"] == pytest.approx(-best if kind == "mclp" else best), (seed, best, answer)
        answered += 1
        assert {one["id"] for one in data["sites"] if one["fixed"]} <= set(answer["sites"])
        load: dict = {}
        for demand, site in answer["assignment"].items():
            load[site] = load.get(site, 0) + data["demands"][int(demand)]["weight"]
        if not data.get("scenarios"):
            assert all(units <= data["sites"][site].get("capacity", np.inf) for site, units in load.items())
    assert answered > 20


def test_any_one_site_may_be_lost():
    """p-median, p-center, lscp and mclp, over several scenarios, with and without capacities: against every set and every loss."""
    for seed in range(40):
        data = hemmed(seed) | {"one_site_lost": True}
        for name in ("budget", "scenarios", "goal"):
            if seed % 3:
                data.pop(name, None)
        best = by_hand(data, "pmedian")
        try:
            answer = siting.solve(siting.read(json.dumps(data).encode(), "pmedian"))
            assert best is not None and answer["proven"] and answer["objective"] == pytest.approx(best), seed
        except siting.BadProblem:
            assert best is None, seed
        distance = np.array(data["matrix"]).T
        sites = [{"id": j} for j in range(4)]
        plain = {"demands": data["demands"], "matrix": data["matrix"], "sites": sites, "one_site_lost": True, "p": data["p"]}
        far = min(np.partition(distance[list(some)], 1, axis=0)[1].max() for some in itertools.combinations(range(4), data["p"]))
        assert siting.solve(siting.read(json.dumps(plain).encode(), "pcenter"))["objective"] == far, seed
        twice = max(sum(one["weight"] for i, one in enumerate(data["demands"]) if (distance[list(some), i] <= data["radius"]).sum() > 1) for some in itertools.combinations(range(4), data["p"]))
        assert siting.solve(siting.read(json.dumps(plain | {"radius": data["radius"]}).encode(), "mclp"))["objective"] == twice, seed


@pytest.mark.parametrize(("more", "kind", "where"), [
    ({"one_site_lost": True, "p": 1}, "pmedian", "p"), ({"one_site_lost": True, "p": 1}, "pcenter", "p"), ({"times": 2}, "pmedian", "times"), ({"budget": 3}, "pcenter", "budget"),
    ({"one_site_lost": True, "budget": 3}, "mclp", "times"), ({"budget": 0, "p": None}, "mclp", ""),
])
def test_what_is_not_answered_together_is_said(more, kind, where):
    with pytest.raises(siting.BadProblem) as caught:
        siting.solve(ask(kind, **(({"sites": [{"id": "s", "x": 0, "y": 0, "price": 1, "fixed": True}]} if not where else {}) | more)))
    assert caught.value.where == where


def test_what_cannot_be_served_is_named_and_the_rest_solved():
    matrix = [[1, 2], [None, None], [3, 1]]
    problem = siting.read(json.dumps({"demands": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "sites": [{}, {}], "p": 1, "matrix": matrix}).encode(), "pmedian")
    answer = siting.solve(problem)
    assert answer["unserved"] == ["b"] and answer["objective"] == 3 and answer["proven"] and "b" not in answer["assignment"]


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b"", ""), (b"hello", ""), (b"{", ""), (b"[]", ""), (b"5 2 1\n1 9 3\n1 2 3", "edge 1"), (b"5 2 1\n1 2", "line 1"), (b"5 1 1\n1 2 -4", "edge 1"),
        (b'{"demands": [], "sites": [{}], "p": 1}', "demands"),
        (b'{"demands": [{"x": 0, "y": 0}, {"x": 0}], "sites": [{"x": 0, "y": 0}], "p": 1}', "demands[1].y"),
        (b'{"demands": [{"x": 0, "y": NaN}], "sites": [{"x": 0, "y": 0}], "p": 1}', "demands[0].y"),
        (b'{"demands": [{"id": 1, "x": 0, "y": 0}, {"id": 1, "x": 0, "y": 0}], "sites": [{"x": 0, "y": 0}], "p": 1}', "demands[1].id"),
        (b'{"demands": [{}], "sites": [{}], "p": 1, "matrix": [[NaN]]}', "matrix[0][0]"),
        (b'{"demands": [{}], "sites": [{}], "p": 1, "matrix": [[-1]]}', "matrix[0][0]"),
        (b'{"demands": [{}], "sites": [{}], "p": 2, "matrix": [[1]]}', "p"),
        (b'{"demands": [{"weight": -1}], "sites": [{}], "p": 1, "matrix": [[1]]}', "demands[0].weight"),
        (b'{"demands": [{"weight": 5}], "sites": [{"capacity": 2}], "p": 1, "matrix": [[1]]}', "capacity"),
        (b'{"demands": [{"lon": 200, "lat": 0}], "sites": [{"lon": 0, "lat": 0}], "p": 1}', "demands[0]"),
    ],
)
def test_a_wrong_question_is_refused_at_its_place(raw, where):
    with pytest.raises(siting.BadProblem) as caught:
        siting.solve(siting.read(raw, "pmedian"))
    assert caught.value.where == where and caught.value.why


def test_the_same_question_has_the_same_answer():
    cost = np.random.default_rng(3).random((60, 200))
    one, two = (pmedian.solve(cost, 7, seed=4) for _ in range(2))
    assert one.cost == two.cost and (one.sites == two.sites).all()
