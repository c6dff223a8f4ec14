"""What the ledger, the search by ability and the readiness board cost. Each part makes its own rows, in places nobody else's lie."""
from __future__ import annotations

import multiprocessing
import time
from typing import Any
from uuid import UUID

from django.db import connection, connections

from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.models import Region, RegionPath, SearchEntry
from anlan.kernel.registers import actions as registers

from . import actions, means, queries, supplies
from .models import Equipment, Movement, Stock, Team

Row = dict[str, Any]
CLIENTS, ASKED, THERE = 10, 10_000, 4_000
PIECES, TEAMS, REPEATS = 50_000, 1_000, 15


def _row(figure: str, value: Any, unit: str, note: str = "") -> Row:
    return {"figure": figure, "value": value, "unit": unit, "note": note}


def _middle(what: Any) -> float:
    took = []
    for _n in range(REPEATS):
        begun = time.perf_counter()
        what()
        took.append((time.perf_counter() - begun) * 1000)
    return round(sorted(took)[REPEATS // 2], 1)


def _client(warehouse: UUID, item: UUID, count: int, out: Any) -> None:
    """A process of its own asks for one piece, again and again; what it won and lost, and the CPU it took."""
    connections.close_all()
    actor, realm, won, lost = Actor.machine("bench"), realms.actual(), 0, 0
    begun = time.process_time()
    for _n in range(count):
        try:
            actions.issue(Act(actor, realm), warehouse=warehouse, lines=[{"item": str(item), "quantity": "1"}], party="bench")
            won += 1
        except Problem as problem:
            assert problem.kind.code == "resources.not_enough", problem
            lost += 1
    connections.close_all()
    out.put((won, lost, time.process_time() - begun))


def contention(asked: int = ASKED, there: int = THERE, clients: int = CLIENTS) -> list[Row]:
    """Ten processes ask for the same lot until long after it is gone."""
    actual, act = realms.actual(), lambda: Act(Actor.machine("bench"), realms.actual())
    code = f"BENCH{time.time_ns()}"
    item = registers.create(act(), register="resources.item", values={"code": code, "name": code, "unit": "piece"})
    place = registers.create(act(), register="resources.warehouse", values={"code": code, "name": code, "layer": "county"})
    actions.receive(act(), warehouse=place.pk, lines=[{"item": str(item.pk), "quantity": str(there)}])
    context = multiprocessing.get_context("fork")
    out = context.Queue()
    connections.close_all()
    workers = [context.Process(target=_client, args=(place.pk, item.pk, asked // clients, out)) for _n in range(clients)]
    begun = time.perf_counter()
    for worker in workers:
        worker.start()
    answers = [out.get() for _worker in workers]
    took = time.perf_counter() - begun
    for worker in workers:
        worker.join()
    won, lost, cpu = (sum(part) for part in zip(*answers, strict=True))
    left = Stock.plain.get(item=item).quantity
    wrong = len(supplies.audit(actual))
    entries = Movement.plain.filter(warehouse=place, kind=Movement.ISSUE).count()
    exact = won == there == entries and lost == asked - there and left == 0 and not wrong
    note = f"{clients} processes, one lot of {there:,}; {won:,} won, {lost:,} were told there is none; left {left}, entries {entries:,}, audit found {wrong}; {cpu:.0f} s of CPU in the clients"
    return [_row("issues of one lot under contention", round(asked / took), "1/s", note), _row("ledger exact afterwards", 1 if exact else 0, "", "1: as many issued as there were, every other asker refused")]


def ability() -> list[Row]:
    """Search over 50,000 pieces."""
    if Equipment.plain.exists():
        return [_row("search by ability over 50,000 pieces, p50", None, "ms", "not measured: this installation has equipment of its own")]
    region = Region.objects.filter(lon__isnull=False).order_by("pk").first()
    lon, lat = (region.lon, region.lat) if region else (119.0, 28.0)
    kinds = ["pump", "generator", "boat", "crane", "light"]
    Equipment.plain.bulk_create([
        Equipment(code=f"B{n:05}", name=f"测量装备{n}", kind=kinds[n % 5], ability=float(n * 7919 % 3000), region=region, lon=lon + (n * 7919 % 1000 - 500) / 1000, lat=lat + (n * 104729 % 1000 - 500) / 1000)
        for n in range(PIECES)
    ], batch_size=2000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE resources_equipment")
    actor, day = Actor.machine("bench"), clock.local(clock.now()).date()

    def ask() -> dict[str, Any]:
        return means.able(actor, kind="pump", least=500, lon=lon, lat=lat, within=60, day=day, limit=50)

    return [_row("search by ability over 50,000 pieces, p50", _middle(ask), "ms", f"pumps of at least 500 m³/h there within 60 min: {ask()['found']:,} found, the 50 soonest read")]


def board() -> list[Row]:
    """The readiness board of 1,000 teams."""
    if Team.plain.exists():
        return [_row("readiness board of 1,000 teams, p50", None, "ms", "not measured: this installation has teams of its own")]
    hazards = ["flood", "water", "mountain", "landslide", "collapse", "forest_fire", "chemical"]
    counties = list(Region.objects.filter(kind="county"))[:9] or [Region.objects.create(name=f"测量县{n}", kind="county") for n in range(9)]
    RegionPath.objects.bulk_create([RegionPath(ancestor=row, descendant=row, depth=0) for row in counties], ignore_conflicts=True)
    Team.plain.bulk_create([
        Team(code=f"B{n:04}", name=f"测量队{n}", kind="township", hazards=[hazards[n % 7], hazards[n * 3 % 7]], members=20, readiness="ready" if n % 3 else "resting", region=counties[n % len(counties)])
        for n in range(TEAMS)
    ])
    actor, actual, day = Actor.machine("bench"), realms.actual(), clock.local(clock.now()).date()
    return [_row("readiness board of 1,000 teams, p50", _middle(lambda: queries.board(actor, day, actual)), "ms", f"{len(counties)} counties; the query, without the page")]


def bench() -> list[Row]:
    """Figures of the ledger, the search and the board."""
    found = contention()
    found += ability() + board()
    Equipment.plain.filter(name__startswith="测量装备").delete()
    Team.plain.filter(name__startswith="测量队").delete()
    made = Region.objects.filter(name__startswith="测量县", kind="county")
    SearchEntry.objects.filter(region__in=made).delete()
    made.delete()
    return found
