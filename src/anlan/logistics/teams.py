"""Which teams to send (R46, R48): fit for the work, usable, rested, soon there, and with as many people as possible still covered at home; and where stations should stand."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from django.utils.translation import gettext as _

from anlan.engines.routing import Straight
from anlan.engines.siting import covering
from anlan.kernel import access, clock, codes
from anlan.kernel.models import Region
from anlan.resources import means
from anlan.resources import queries as forces
from anlan.resources.models import Base, Team

from . import compute, outside, queries

MOST = 400  # teams asked about
PLACES = 2000


def policy(name: str) -> float:
    return float(codes.data("team_policy", name)["value"])


@dataclass
class Offer:
    """A team that can go: minutes until it is there, and how many people nobody fit reaches in time any more once it (and those above it) have gone."""

    team: Team
    minutes: float | None
    lost: int = 0
    chosen: bool = False


@dataclass
class MoveUp:
    """A team that stays, moved to the place of one that has gone: so many people more are covered meanwhile."""

    team: Team
    to: Team
    people: int


@dataclass
class Proposal:
    offers: list[Offer]
    barred: list[tuple[Team, str, Any]]  # fit for it, but: out, rests (until), papers, no way
    moves: list[MoveUp]
    people: int  # of the places asked about
    covered: int
    left: int  # still covered when the chosen have gone
    limit: float
    how: str
    places: int
    notes: list[str] = field(default_factory=list)


def _places(actor: Any) -> list[Region]:
    """Villages, or towns where no village is known, of the actor's regions."""
    rows = Region.objects.filter(lon__isnull=False, lat__isnull=False, valid_to=None)
    scope = access.regions(actor, "logistics.read")
    if scope is not access.ALL:
        rows = rows.filter(pk__in=scope)
    return list(rows.filter(kind="village")[:PLACES]) or list(rows.filter(kind="town")[:PLACES])


def _at(team: Team) -> tuple[float, float] | None:
    if team.lon is not None:
        return team.lon, team.lat
    return (team.base.lon, team.base.lat) if team.base and team.base.lon is not None else None


def propose(actor: Any, realm: Any, *, hazard: str, lon: float, lat: float, count: int = 2, weather: str = "dry") -> Proposal:
    """`count` teams for work at a place, one after the other: each time the one that is there first, a team whose leaving uncovers people counting as later."""
    now = clock.now(realm)
    fit = [team for team in forces.teams(actor).filter(hazards__contains=[hazard]).select_related("base")[:MOST]]
    usable = set(forces.usable(Team.plain.filter(pk__in=[team.pk for team in fit]), clock.local(now).date()).values_list("pk", flat=True))
    out, rests = set(means.out(realm).values_list("team_id", flat=True)), means.resting(realm, now)
    barred: list[tuple[Team, str, Any]] = []
    free: list[Team] = []
    for team in fit:
        if team.pk in out:
            barred.append((team, "out", None))
        elif team.pk in rests:
            barred.append((team, "rests", rests[team.pk]))
        elif team.pk not in usable:
            barred.append((team, "unusable", None))
        elif _at(team) is None:
            barred.append((team, "nowhere", None))
        else:
            free.append(team)
    places = _places(actor)
    people = np.array([row.population or 0 for row in places], float)
    if not free:
        return Proposal([], barred, [], int(people.sum()), 0, 0, policy("limit_min"), "", len(places))
    roads, tables = compute.router(), compute.tables()
    stand = np.array([_at(team) for team in free], float)
    targets = np.array([(lon, lat), *((row.lon, row.lat) for row in places)], float)
    ways = compute.ways(stand, targets, roads=roads, data=tables, vehicle="truck", weather=weather, edits=queries.edits(actor, realm, roads) if roads else (), by=outside.service())
    start = np.array([team.assemble_min if team.assemble_min is not None else policy("assemble_min") for team in free], float)
    minutes = start[:, None] + ways.seconds / 60
    there, reach = minutes[:, 0], minutes[:, 1:] <= policy("limit_min")
    left = np.ones(len(free), bool)

    def covered(mask: np.ndarray) -> float:
        return float(people[reach[mask].any(axis=0)].sum()) if mask.any() else 0.0

    begin = level = covered(left)
    offers: list[Offer] = []
    total = max(float(people.sum()), 1.0)
    for _turn in range(min(count, len(free))):
        best: tuple[float, int, float] | None = None
        for k in map(int, np.flatnonzero(left & np.isfinite(there))):
            mask = left.copy()
            mask[k] = False
            after = covered(mask)
            score = float(there[k]) + policy("worth_min") * 100 * (level - after) / total
            if best is None or score < best[0]:
                best = (score, k, after)
        if best is None:
            break
        _score, k, after = best
        offers.append(Offer(free[k], float(there[k]), round(level - after), True))
        left[k], level = False, after
    gone = [free.index(one.team) for one in offers]
    for k in map(int, np.argsort(there, kind="stable")):
        if left[k]:
            mask = left.copy()
            mask[k] = False
            if np.isfinite(there[k]):
                offers.append(Offer(free[k], float(there[k]), round(level - covered(mask))))
            else:
                barred.append((free[k], "no way", None))
    return Proposal(offers, barred, _moves(free, gone, left, reach, minutes, start, people, level), int(people.sum()), int(begin), int(level), policy("limit_min"), ways.how, len(places), list(ways.notes))


def _moves(free: list[Team], gone: list[int], left: np.ndarray, reach: np.ndarray, minutes: np.ndarray, start: np.ndarray, people: np.ndarray, level: float) -> list[MoveUp]:
    """Move-ups (补防): one team after the other to a place that was left, while it covers more people."""
    found: list[MoveUp] = []
    reach, empty = reach.copy(), list(gone)
    stay = [int(k) for k in np.flatnonzero(left)]
    while empty and stay:
        best: tuple[float, int, int, np.ndarray] | None = None
        for r in stay:
            others = reach[[k for k in range(len(free)) if left[k] and k != r]]
            base = others.any(axis=0) if len(others) else np.zeros(reach.shape[1], bool)
            for g in empty:
                # From the place that was left, with this team's own time to assemble.
                row = minutes[g, 1:] - start[g] + start[r] <= policy("limit_min")
                value = float(people[base | row].sum())
                if value > level + 0.5 and (best is None or value > best[0]):
                    best = (value, r, g, row)
        if best is None:
            break
        value, r, g, row = best
        found.append(MoveUp(free[r], free[g], round(value - level)))
        reach[r], level = row, value
        empty.remove(g)
        stay.remove(r)
    return found


@dataclass
class Coverage:
    """People within the limit of a station today, and what the best layout of as many could cover; `add`: where one more would do most."""

    stations: int
    people: int
    today: int
    best: int
    bound: int
    limit: float
    how: str
    keep: list[Base]
    move: list[Base]
    new: list[Region]
    add: list[tuple[Region, int]]
    uncovered: list[tuple[Region, int]]
    small: list[tuple[Region, int]] = field(default_factory=list)  # 1+N: where small stations stand besides those of today, with the people each adds
    with_small: int = 0
    small_bound: int = 0
    small_limit: float = 0.0


def coverage(actor: Any, realm: Any, *, more: int = 3, kind: str = "", small: int = 0, air: str = "", lost: bool = False) -> Coverage:
    """Stations (驻地) of the actor's regions against the best layout: the same number anywhere among stations and towns, with its bound.

    `kind`: only stations where a team of that kind stands. `small`: 1+N (普通站+小型站): today's stations stay, and so many small ones, each with a shorter reach, are put where they add most, with the bound.
    `lost`: a place counts only where two stations reach it, so that any one may be out.
    `air`: only bases such aircraft (code list `aircraft_kind`) fly from, and their reach in a straight line.
    """
    rows = Base.objects.seen_by(actor).filter(ended_at=None, lon__isnull=False)
    if kind:
        rows = rows.filter(pk__in=forces.teams(actor).filter(kind=kind).values("base_id"))
    if air:
        rows = rows.filter(aircraft=air)
    bases = list(rows.order_by("name")[:MOST])
    places = [row for row in _places(actor) if row.population]
    towns = Region.objects.filter(kind="town", lon__isnull=False, lat__isnull=False, valid_to=None)
    scope = access.regions(actor, "logistics.read")
    if scope is not access.ALL:
        towns = towns.filter(pk__in=scope)
    sites = list(towns[:MOST])
    people = np.array([row.population or 0 for row in places], float)
    if not places or not bases:
        return Coverage(len(bases), int(people.sum()), 0, 0, 0, policy("limit_min"), "", bases, [], [], [], [])
    stand = np.array([(one.lon, one.lat) for one in [*bases, *sites]], float)
    there = np.array([(row.lon, row.lat) for row in places], float)
    ways = _by_air(stand, there, codes.data("aircraft_kind", air)) if air else compute.ways(stand, there, roads=compute.router(), data=compute.tables(), vehicle="truck", by=outside.service())
    reach = ways.seconds / 60 + (0.0 if air else policy("assemble_min")) <= policy("limit_min")
    times = 2 if lost else 1
    count: np.ndarray = reach[: len(bases)].sum(axis=0)
    now: np.ndarray = count >= times
    best = covering.mclp(reach, people, len(bases), times=times, budget=5.0, gap=0.001)
    chosen = set(best.sites.tolist())
    add: list[tuple[Region, int]] = []
    for _turn in range(more):
        gains = np.array([float(people[reach[len(bases) + k] & (count == times - 1)].sum()) for k in range(len(sites))]) if sites else np.zeros(0)
        if not gains.size or gains.max() <= 0:
            break
        k = int(gains.argmax())
        add.append((sites[k], round(float(gains[k]))))
        count = count + reach[len(bases) + k]
    order = [int(k) for k in np.argsort(-people) if not now[k]]
    limit = policy("small_min") if small else 0.0
    tiny, with_small, small_bound = _small(sites, people, now, ways.seconds[len(bases):] / 60 + policy("assemble_small_min") <= limit, small) if small else ([], 0, 0)
    return Coverage(
        len(bases), int(people.sum()), int(people[now].sum()), max(round(float(best.cost)), int(people[now].sum())), round(float(best.bound)), policy("limit_min"), ways.how, [one for k, one in enumerate(bases) if k in chosen],
        [one for k, one in enumerate(bases) if k not in chosen], [sites[k - len(bases)] for k in sorted(chosen) if k >= len(bases)], add, [(places[k], int(people[k])) for k in order[:20]], tiny, with_small, small_bound, limit,
    )


def _by_air(stand: np.ndarray, there: np.ndarray, kind: dict[str, Any]) -> compute.Ways:
    """Straight there, from the call to the arrival; beyond the range there is no way."""
    flight = Straight(float(kind["kmh"]), 1.0).matrix(stand[:, 0], stand[:, 1], there[:, 0], there[:, 1])
    seconds = np.where(flight / 3600 * float(kind["kmh"]) <= float(kind["range_km"]), flight + 60 * float(kind["ready_min"]), np.inf)
    return compute.Ways(seconds, _("By air in a straight line at {kmh:g} km/h, {ready:g} minutes until it has left, no farther than {range:g} km. Wind, weather, airspace and places to land are not seen.").format(
        kmh=float(kind["kmh"]), ready=float(kind["ready_min"]), range=float(kind["range_km"])), False)


def _small(sites: list[Region], people: np.ndarray, now: np.ndarray, reach: np.ndarray, count: int) -> tuple[list[tuple[Region, int]], int, int]:
    """(small stations with the people each adds, covered with them, what no choice of as many can exceed): only who is not covered today counts."""
    covered = float(people[now].sum())
    if not sites:
        return [], round(covered), round(covered)
    found = covering.mclp(reach, np.where(now, 0.0, people), count, budget=5.0, gap=0.001)
    chosen, have = [], now.copy()
    left = [int(k) for k in found.sites]
    while left:
        gains = [float(people[reach[k] & ~have].sum()) for k in left]
        best = int(np.argmax(gains))
        if gains[best] <= 0:
            break
        k = left.pop(best)
        chosen.append((sites[k], round(gains[best])))
        have |= reach[k]
    return chosen, round(float(people[have].sum())), round(covered + float(found.bound))
