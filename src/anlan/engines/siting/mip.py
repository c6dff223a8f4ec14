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
    cost: np.ndarray, *, p: int | None, amount: np.ndarray, capacity: np.ndarray | None, price: np.ndarray | None, limit: float | None, fixed: np.ndarray,
    whole: bool, worst_of: list[np.ndarray] | None, budget: float,
) -> tuple[float, float | None, np.ndarray | None, np.ndarray | None, str]:
    """Siting with capacities, a budget for prices, demands served whole or in shares, and the worst of several scenarios of amounts.

    `cost[j, i]` per unit of demand, infinite where j may not serve i; returns (objective, bound, sites, share (n, m), status).
    Strong form: x_ij ≤ y_j on every arc, and Σ amount·x ≤ capacity·y.
    """
    from scipy import sparse

    n, m = cost.shape
    js, is_ = np.nonzero(np.isfinite(cost))
    arcs = js.size
    number, ones = np.arange(arcs), np.ones(arcs)
    extra = 1 if worst_of else 0
    width = n + arcs + extra
    blocks, low, high = [], [], []

    def row(matrix, lo, hi) -> None:
        blocks.append(matrix)
        low.append(np.broadcast_to(np.asarray(lo, float), (matrix.shape[0],)))
        high.append(np.broadcast_to(np.asarray(hi, float), (matrix.shape[0],)))

    row(sparse.csr_matrix((ones, (is_, n + number)), shape=(m, width)), 1, 1)
    row(sparse.csr_matrix((np.r_[ones, -ones], (np.r_[number, number], np.r_[n + number, js])), shape=(arcs, width)), -np.inf, 0)
    if p is not None:
        row(sparse.csr_matrix((np.ones(n), (np.zeros(n, int), np.arange(n))), shape=(1, width)), p, p)
    if limit is not None:
        row(sparse.csr_matrix((price, (np.zeros(n, int), np.arange(n))), shape=(1, width)), -np.inf, limit)
    for load in worst_of or [amount]:
        if capacity is not None:
            bounded = np.flatnonzero(np.isfinite(capacity))
            place = np.full(n, -1)
            place[bounded] = np.arange(bounded.size)
            some = place[js] >= 0
            row(sparse.csr_matrix((np.r_[load[is_[some]], -capacity[bounded]], (np.r_[place[js[some]], np.arange(bounded.size)], np.r_[n + number[some], bounded])),
                                  shape=(bounded.size, width)), -np.inf, 0)
        if worst_of:
            row(sparse.csr_matrix((np.r_[load[is_] * cost[js, is_], -1.0], (np.zeros(arcs + 1, int), np.r_[n + number, width - 1])), shape=(1, width)), -np.inf, 0)
    value = np.r_[np.zeros(n), np.zeros(arcs) if worst_of else amount[is_] * cost[js, is_], np.ones(extra)]
    under = np.zeros(width)
    under[fixed] = 1.0
    over = np.ones(width)
    if extra:
        over[-1] = np.inf
    integer = np.r_[np.ones(n), np.full(arcs, int(whole)), np.zeros(extra)].astype(int)
    values, bound, status = run(value, under, over, sparse.vstack(blocks), np.concatenate(low), np.concatenate(high), integer, budget=budget)
    if values is None:
        return np.inf, bound, None, None, status
    share = np.zeros((n, m))
    share[js, is_] = np.clip(values[n : n + arcs], 0.0, 1.0)
    share /= share.sum(axis=0, keepdims=True)
    loads = [np.where(share > 0, share * np.where(np.isfinite(cost), cost, 0.0), 0.0) @ one for one in (worst_of or [amount])]
    return float(max(one.sum() for one in loads)), bound, np.flatnonzero(values[:n] > 0.5), share, status
