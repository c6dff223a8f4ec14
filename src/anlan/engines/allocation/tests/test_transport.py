"""Transport and shelters against linear programming, and proofs that stand by themselves."""
from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from anlan.engines.allocation import sheltering, transport
from anlan.engines.allocation.transport import FAR


def question(seed: int):
    r = np.random.default_rng(seed)
    n, width = int(r.integers(1, 12)), int(r.integers(1, 7))
    cost = r.integers(0, 8 if seed % 3 == 0 else 500, (n, width))
    cost = np.where(r.random((n, width)) < 0.2, FAR, cost)
    return r, cost, r.integers(0, 9, n), r.integers(0, 12, width)


def best_of(cost, amount, room, nowhere) -> float:
    n, width = cost.shape
    value = np.r_[np.where(cost < FAR, cost, 0).ravel(), np.broadcast_to(nowhere, n)].astype(float)
    high = np.r_[np.where(cost < FAR, np.inf, 0).ravel(), np.full(n, np.inf)]
    serve = np.concatenate([np.kron(np.eye(n), np.ones(width)), np.eye(n)], axis=1)
    hold = np.concatenate([np.kron(np.ones(n), np.eye(width)), np.zeros((width, n))], axis=1)
    return linprog(value, hold, room, serve, amount, bounds=list(zip(np.zeros_like(high), high, strict=True))).fun


def test_every_answer_is_feasible_proves_itself_and_equals_the_linear_program():
    for seed in range(400):
        r, cost, amount, room = question(seed)
        nowhere = r.integers(400, 2000, cost.shape[0])
        first = None if seed % 2 else r.integers(0, 300, cost.shape[1])
        found = transport.solve(cost, amount, room, nowhere=nowhere, first=first)
        assert (found.flow >= 0).all() and (found.flow.sum(axis=1) == amount).all() and (found.flow[:, :-1].sum(axis=0) <= room).all(), seed
        assert not found.flow[:, :-1][cost >= FAR].any() and found.cost == found.bound, (seed, found.cost, found.bound)
        if seed % 4 == 0:
            assert found.cost == pytest.approx(best_of(cost, amount, room, nowhere)), seed


def test_a_large_question_proves_itself_too():
    """Above a thousand groups the first prices come from a part of them; the proof does not care where prices come from."""
    r = np.random.default_rng(8)
    home, place = r.random((6000, 2)) * 50, r.random((60, 2)) * 50
    cost = np.rint(np.hypot(*(home[:, None] - place[None]).transpose(2, 0, 1)) * 100).astype(int)
    amount = r.integers(1, 100, 6000)
    room = np.rint(r.dirichlet(np.ones(60)) * amount.sum() * 1.03).astype(int)
    found = transport.solve(cost, amount, room)
    assert found.cost == found.bound and found.unplaced.sum() == 0 and (found.flow[:, :-1].sum(axis=0) <= room).all()
    short = transport.solve(cost, amount, room // 2)
    assert short.unplaced.sum() == amount.sum() - (room // 2).sum() and short.cost == short.bound


def test_who_needs_help_is_left_out_last_and_unfit_shelters_stay_empty():
    seconds = np.array([[600.0, 60.0, 5.0], [300.0, 60.0, 5.0], [np.inf, np.inf, np.inf]])
    room = sheltering.rooms(np.array([10.0, 31.0, 90.0]), 3.0, np.array([True, True, False]), np.array([0, 2, 0]))
    assert room.tolist() == [3, 8, 0]
    plan = sheltering.solve(seconds, np.array([8, 8, 2]), room, helpless=np.array([1.0, 0.0, 0.0]), whole=False)
    assert plan.unplaced.tolist() == [0, 5, 2] and plan.flow[:, 2].sum() == 0
    # The eight who need help stay together and near; three others take the far shelter from its near side.
    assert plan.flow.tolist() == [[0, 8, 0], [3, 0, 0], [0, 0, 0]] and plan.cost == plan.bound == 8 * 60_000 + 3 * 300_000


def test_households_stay_together_where_a_shelter_can_take_them():
    r = np.random.default_rng(2)
    seconds = np.rint(r.random((300, 12)) * 3000)
    persons = r.integers(1, 8, 300)
    room = np.full(12, int(persons.sum() / 12 * 1.08) + 1)
    free, together = (sheltering.solve(seconds, persons, room, whole=whole) for whole in (False, True))
    assert free.divided.size > 0 and together.divided.size < free.divided.size
    assert free.cost == free.bound == together.bound and 0 <= together.gap < 0.05
    assert (together.flow.sum(axis=0) <= room).all() and ((together.flow > 0).sum(axis=1) > 1).sum() == together.divided.size and together.unplaced.sum() == 0


def test_departures_are_staged_by_urgency_and_the_door():
    seconds, flow = np.array([[600.0], [60.0], [60.0]]), np.array([[100], [50], [50]])
    leave = sheltering.waves(seconds, flow, np.array([10.0]), np.array([0, 1, 0]))
    # The urgent fifty leave at once and are in after six minutes; the far hundred arrive at ten, and are in at twenty; the last come then.
    assert leave.tolist() == [0.0, 0.0, 19.0]


def test_costs_too_large_for_an_exact_proof_are_refused():
    with pytest.raises(ValueError, match="larger unit"):
        transport.solve(np.array([[transport.LIMIT]]), np.array([1]), np.array([1]))
    with pytest.raises(ValueError, match="amounts"):
        transport.solve(np.array([[1]]), np.array([-1]), np.array([1]))


def test_buses_drive_to_and_fro_the_most_urgent_first():
    """Two buses of 40, ten minutes each way, five to board: 100 people are three loads, and the urgent 30 take the first bus."""
    leave, there, trips = sheltering.rides(np.array([0.0, 0.0]), np.array([600.0, 600.0]), np.array([100, 30]), np.array([1.0, 3.0]), buses=2, seats=40, board_min=5.0)
    assert trips.tolist() == [3, 1] and leave.tolist() == [0, 0] and there.tolist() == [45.0, 15.0]


def test_a_way_that_counts_as_longer_is_taken_only_where_room_asks_for_it():
    """Both groups would choose the first shelter; the stairs send the second group on, and the cost says so."""
    seconds, stairs = np.array([[60.0, 120.0], [60.0, 120.0]]), np.array([[0.0, 0.0], [600.0, 0.0]])
    plan = sheltering.solve(seconds, np.array([5, 5]), np.array([10, 10]), extra=stairs)
    assert plan.flow.tolist() == [[5, 0], [0, 5]] and plan.cost == (5 * 60 + 5 * 120) * 1000
