"""The integer programs, solved by HiGHS; a status is never trusted, objectives are recomputed by the caller."""
from __future__ import annotations

import numpy as np


def run(costs, low, high, rows, row_low, row_high, integer, *, budget: float, maximise: bool = False, cutoff: float | None = None) -> tuple[np.ndarray | None, float | None, str]:
    """(values or None, proven bound or None, status). `rows` is a scipy.sparse CSR matrix; `budget` in CPU seconds (wall, one thread)."""
    import highspy

    rows = rows.tocsr()
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(costs), rows.shape[0]
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = np.asarray(costs, float), np.asarray(low, float), np.asarray(high, float)
    lp.row_lower_, lp.row_upper_ = np.asarray(row_low, float), np.asarray(row_high, float)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr.astype(np.int32), rows.indices.astype(np.int32), rows.data.astype(float)
    kinds = [highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger]
    lp.integrality_ = [kinds[int(one)] for one in integer]
    if maximise:
        lp.sense_ = highspy.ObjSense.kMaximize
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.setOptionValue("time_limit", max(0.1, budget))
    solver.setOptionValue("mip_rel_gap", 0.0)
    if cutoff is not None:
        solver.setOptionValue("objective_bound", float(cutoff))
    solver.passModel(lp)
    solver.run()
    status, info = solver.getModelStatus(), solver.getInfo()
    name = solver.modelStatusToString(status)
    is_mip = any(integer)
    values = np.asarray(solver.getSolution().col_value) if info.primal_solution_status == 2 else None
    bound: float | None
    if status == highspy.HighsModelStatus.kInfeasible:
        bound = -np.inf if maximise else np.inf
    elif status == highspy.HighsModelStatus.kObjectiveBound:
        bound = cutoff
    elif is_mip:
        bound = float(info.mip_dual_bound) if np.isfinite(info.mip_dual_bound) else None
    else:
        bound = float(info.objective_function_value) if status == highspy.HighsModelStatus.kOptimal else None
    return values, bound, name


def finish(cost, p, keep, opened, price, reduced, chosen, upper, unit, bound, budget) -> tuple[float, np.ndarray | None, float | None]:
    """p-median over the sites that are left, arcs that cannot be in a better answer left out (they would cost more than the slack)."""
    from scipy import sparse

    slack = upper - unit - bound
    inside = np.isin(np.arange(reduced.size), chosen)
    worst_in = reduced[inside].max()
    penalty = np.maximum(reduced[keep] - worst_in, 0.0)
    js, is_ = np.nonzero(np.maximum(cost[keep] - price[None, :], 0.0) + penalty[:, None] <= slack)
    nc, arcs, m = keep.size, js.size, cost.shape[1]
    number = np.arange(arcs)
    one = np.ones
    serve = sparse.csr_matrix((one(arcs), (is_, nc + number)), shape=(m, nc + arcs))
    link = sparse.csr_matrix((np.r_[one(arcs), -one(arcs)], (np.r_[number, number], np.r_[nc + number, js])), shape=(arcs, nc + arcs))
    count = sparse.csr_matrix((one(nc), (np.zeros(nc, int), np.arange(nc))), shape=(1, nc + arcs))
    low = np.zeros(nc + arcs)
    low[:nc][opened[keep]] = 1.0
    values, dual_bound, status = run(
        np.r_[np.zeros(nc), cost[keep[js], is_]], low, one(nc + arcs), sparse.vstack([count, serve, link]),
        np.r_[p, one(m), np.full(arcs, -np.inf)], np.r_[p, one(m), np.zeros(arcs)], np.r_[one(nc), np.zeros(arcs)].astype(int),
        budget=budget, cutoff=None,
    )
    if values is None:
        # Infeasible means: no set cheaper than `upper` exists among what could be cheaper.
        return np.inf, None, upper - unit if status == "Infeasible" else dual_bound
    sites = keep[np.argsort(-values[:nc])[:p]]
    total = float(cost[sites].min(axis=0).sum())
    # What was left out costs at least `upper − unit`.
    return total, sites, None if dual_bound is None else min(dual_bound, upper - unit)


def facility(
    cost: np.ndarray, *, p: int | None, cases: list[tuple[np.ndarray, int, float]], capacity: np.ndarray | None, price: np.ndarray | None, limit: float | None, fixed: np.ndarray,
    whole: bool, setup: np.ndarray | None = None, budget: float,
) -> tuple[float, float | None, np.ndarray | None, np.ndarray | None, str]:
    """Siting with capacities, a budget for prices, demands served whole or in shares, and the worst of several cases: (amounts, the site that is lost or -1, what is added).

    `cost[j, i]` per unit of demand, infinite where j may not serve i; `setup` what opening costs. Returns (objective, bound, sites, share (n, m) in the first case, status).
    Strong form: x_ij ≤ y_j on every arc, and Σ amount·x ≤ capacity·y. Where a site may be lost or is full, each case serves people its own way.
    """
    from scipy import sparse

    n, m = cost.shape
    js, is_ = np.nonzero(np.isfinite(cost))
    arcs = js.size
    number, ones = np.arange(arcs), np.ones(arcs)
    blocks_ = len(cases) if capacity is not None or any(lost >= 0 for _a, lost, _c in cases) else 1
    extra = 1 if len(cases) > 1 else 0
    width = n + blocks_ * arcs + extra
    blocks, low, high = [], [], []

    def row(matrix, lo, hi) -> None:
        blocks.append(matrix)
        low.append(np.broadcast_to(np.asarray(lo, float), (matrix.shape[0],)))
        high.append(np.broadcast_to(np.asarray(hi, float), (matrix.shape[0],)))

    over = np.ones(width)
    for b in range(blocks_):
        at, lost = n + b * arcs + number, cases[b][1]
        over[at[js == lost]] = 0.0
        left = np.bincount(is_[js != lost], minlength=m) > 0  # nobody else can serve the others when that site is lost
        row(sparse.csr_matrix((ones, (is_, at)), shape=(m, width)), left.astype(float), np.ones(m))
        row(sparse.csr_matrix((np.r_[ones, -ones], (np.r_[number, number], np.r_[at, js])), shape=(arcs, width)), -np.inf, 0)
        if capacity is not None:
            load, bounded = cases[b][0], np.flatnonzero(np.isfinite(capacity))
            place = np.full(n, -1)
            place[bounded] = np.arange(bounded.size)
            some = place[js] >= 0
            row(sparse.csr_matrix((np.r_[load[is_[some]], -capacity[bounded]], (np.r_[place[js[some]], np.arange(bounded.size)], np.r_[at[some], bounded])), shape=(bounded.size, width)), -np.inf, 0)
    if p is not None:
        row(sparse.csr_matrix((np.ones(n), (np.zeros(n, int), np.arange(n))), shape=(1, width)), p, p)
    if limit is not None:
        row(sparse.csr_matrix((price, (np.zeros(n, int), np.arange(n))), shape=(1, width)), -np.inf, limit)
    value = np.zeros(width)
    value[:n] = 0.0 if setup is None else setup
    for k, (load, _lost, plus) in enumerate(cases):
        at = n + (k if blocks_ > 1 else 0) * arcs + number
        if extra:
            row(sparse.csr_matrix((np.r_[load[is_] * cost[js, is_], -1.0], (np.zeros(arcs + 1, int), np.r_[at, width - 1])), shape=(1, width)), -np.inf, -plus)
            value[-1] = 1.0
        else:
            value[at] = load[is_] * cost[js, is_]
    under = np.zeros(width)
    under[fixed] = 1.0
    if extra:
        over[-1], under[-1] = np.inf, -np.inf
    integer = np.r_[np.ones(n), np.full(blocks_ * arcs, int(whole)), np.zeros(extra)].astype(int)
    values, bound, status = run(value, under, over, sparse.vstack(blocks), np.concatenate(low), np.concatenate(high), integer, budget=budget)
    if values is None:
        return np.inf, bound, None, None, status
    shares, worth = [], []
    for b in range(blocks_):
        share = np.zeros((n, m))
        share[js, is_] = np.clip(values[n + b * arcs : n + (b + 1) * arcs], 0.0, 1.0)
        shares.append(share / np.maximum(share.sum(axis=0, keepdims=True), 1e-12))
    for k, (load, _lost, plus) in enumerate(cases):
        share = shares[k if blocks_ > 1 else 0]
        worth.append(float(((np.where(share > 0, share * np.where(np.isfinite(cost), cost, 0.0), 0.0)) @ load).sum()) + plus)
    sites = np.flatnonzero(values[:n] > 0.5)
    paid = 0.0 if setup is None else float(setup[sites].sum())
    plus = 0.0 if extra or bound is None or not np.isfinite(bound) else cases[0][2]
    return max(worth) + paid, None if bound is None else bound + plus, sites, shares[0], status
