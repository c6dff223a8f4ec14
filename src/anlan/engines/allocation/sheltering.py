"""People to shelters (转移安置): the least walking (or riding) together, nobody beyond a shelter's room, no shelter unfit for the hazard; proven.

Leaving people out comes last, and those who need help are left out last of all. Groups may be kept whole (households, a village group).
"""
from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from . import transport
from .transport import FAR


@dataclass(frozen=True)
class Plan:
    """`flow` (groups, shelters): persons; `unplaced` persons of each group; `divided`: groups that no single shelter could take whole.

    `cost` is person × ms on the way, `bound` what no plan with the fewest unplaced can be below (groups divided as it likes).
    """

    flow: np.ndarray
    unplaced: np.ndarray
    divided: np.ndarray
    cost: int
    bound: int

    @property
    def gap(self) -> float:
        return (self.cost - self.bound) / max(self.bound, 1)


def rooms(area_m2: np.ndarray, per_person_m2: np.ndarray | float, fit: np.ndarray, arrived: np.ndarray | int = 0) -> np.ndarray:
    """Persons each shelter can still take: floor area over area per person, none where it is unfit for this hazard, less who has checked in."""
    return np.where(fit, np.maximum(np.floor(np.asarray(area_m2, float) / per_person_m2 + 1e-9) - arrived, 0), 0).astype(np.int64)


def solve(
    seconds: np.ndarray, persons: np.ndarray, room: np.ndarray, *, helpless: np.ndarray | None = None, farthest_s: float | None = None, whole: bool = True, extra: np.ndarray | None = None,
) -> Plan:
    """`seconds` (groups, shelters), infinite where there is no way that avoids the hazard; `helpless`: share of each group that needs help (0 … 1).

    `extra` (groups, shelters): seconds a way counts as longer than it is, for stairs before those who cannot climb them, or a plan already told; cost and bound hold it.
    """
    allowed = np.isfinite(seconds) & (seconds <= farthest_s if farthest_s is not None else True)
    if extra is not None:
        seconds = seconds + extra
    # Hundredths of a second where the ways are short: whole numbers, and one person left out weighs more than thirty of the longest ways.
    longest = float(seconds[allowed].max()) if allowed.any() else 0.0
    scale = next((one for one in (100.0, 10.0) if longest * one < 1e6), 1.0)
    cost = np.where(allowed, np.rint(np.where(allowed, seconds, 0) * scale), FAR).astype(np.int64)
    share = np.zeros(len(persons)) if helpless is None else np.clip(helpless, 0, 1)
    nowhere = (transport.LIMIT // 3 * (1 + share)).astype(np.int64)
    placed = transport.solve(cost, persons, room, nowhere=nowhere)
    flow = placed.flow[:, :-1].astype(np.int64)
    divided = np.flatnonzero(((placed.flow > 0).sum(axis=1)) > 1)
    if whole and divided.size:
        flow, divided = _keep_whole(flow, cost, np.asarray(persons, np.int64), np.asarray(room, np.int64), divided)
    left = np.asarray(persons, np.int64) - flow.sum(axis=1)
    total = int((flow * np.where(cost < FAR, cost, 0)).sum())
    bound = placed.bound - int((placed.unplaced * nowhere).sum())
    return Plan(flow, left, divided, round(total * 1000 / scale), round(bound * 1000 / scale))


def _keep_whole(flow: np.ndarray, cost: np.ndarray, persons: np.ndarray, room: np.ndarray, divided: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Largest first, put each divided group into the nearest shelter that can take it whole; what fits nowhere stays divided and is named."""
    flow = flow.copy()
    left = room - flow.sum(axis=0)
    still = []
    for i in divided[np.argsort(-persons[divided], kind="stable")]:
        if flow[i].sum() < persons[i]:
            still.append(i)  # some of it has no place at all: moving it whole would put others out
            continue
        space = left + flow[i]
        fits = (space >= persons[i]) & (cost[i] < FAR)
        if not fits.any():
            still.append(i)
            continue
        best = int(np.argmin(np.where(fits, cost[i], FAR)))
        left += flow[i]
        flow[i] = 0
        flow[i, best] = persons[i]
        left[best] -= persons[i]
    return flow, np.sort(np.array(still, int))


def waves(seconds: np.ndarray, flow: np.ndarray, persons_per_minute: np.ndarray, urgency: np.ndarray) -> np.ndarray:
    """Staged departure: minutes after the order at which each group sets out, so that no shelter's door is asked for more than it lets in
    a minute. The most urgent first, among them those with the longest way. NaN for groups that go nowhere."""
    leave = np.full(flow.shape[0], np.nan)
    for b in range(flow.shape[1]):
        who = np.flatnonzero(flow[:, b] > 0)
        if not who.size:
            continue
        order = who[np.lexsort((-seconds[who, b], -urgency[who]))]
        door = 0.0
        for i in order:
            way = seconds[i, b] / 60.0
            start = max(0.0, door - way)
            leave[i] = start if np.isnan(leave[i]) else max(leave[i], start)
            door = max(door, start + way) + flow[i, b] / persons_per_minute[b]
    return leave


def rides(ready: np.ndarray, seconds: np.ndarray, persons: np.ndarray, urgency: np.ndarray, *, buses: int, seats: int, board_min: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first departure, last arrival, trips) in minutes, when `buses` of so many seats drive to and fro: the most urgent group first, among them the one ready first.

    `ready`: minutes at which each group may set out, `seconds`: its way. The next free bus takes the next load; nobody is left standing, the last only rides later.
    """
    leave, there, trips = np.zeros(len(persons)), np.zeros(len(persons)), np.zeros(len(persons), np.int64)
    free = [0.0] * max(buses, 1)
    for i in np.lexsort((ready, -urgency)):
        way = seconds[i] / 60
        trips[i] = -(-int(persons[i]) // seats)
        for turn in range(trips[i]):
            start = max(heapq.heappop(free), ready[i])
            leave[i] = start if turn == 0 else leave[i]
            there[i] = max(there[i], start + board_min + way)
            heapq.heappush(free, start + 2 * (board_min + way))
    return leave, there, trips
