"""What a step costs when a hundred people step at once. `bench()` returns rows {figure, value, unit, note}."""
from __future__ import annotations

import statistics
import threading
import time
from datetime import timedelta
from typing import Any

from django.db import connection

from .. import clock, realms
from ..actions import Act, Actor
from ..errors import Problem
from ..ids import new_id
from ..models import Assignment, CaseStep, Grant, Organisation, Person, Post, Recheck, Region, RegionPath
from . import actions
from .declare import Loop, State, Step, Up, Within, forget, loop, write_rules

PEOPLE, EACH = 100, 6
MAY = "loops.recheck"


def _loop() -> Loop:
    """Back and forth between two hands, the second never the first."""
    return Loop(
        "kernel.bench", Recheck, label="Measurement", one="Case", read=MAY, number="BM-{year}-{n:06}", subject="bench_case",
        states=(State("here", "Here"), State("there", "There"), State("over", "Over", final=True)),
        open=Step("begin", "Begin", to="here", may=MAY, form=("title", "region")),
        steps=(
            Step("give", "Give", from_=("here",), to="there", may=MAY, within=Within(working_days=3)), Step("back", "Give back", from_=("there",), to="here", may=MAY, within=Within(working_days=3)),
            Step("end", "End", from_=("there",), to="over", may=MAY, other_than=("give",)),
        ),
        escalate=Up(every=Within(working_days=5)),
    )


def _people(count: int) -> tuple[Region, list[Actor]]:
    region = Region.objects.create(name="bench", kind="county")
    RegionPath.objects.create(ancestor=region, descendant=region, depth=0)
    unit = Organisation.objects.create(name="bench", region=region)
    post = Post.objects.create(name="bench", organisation=unit, region=region)
    since = clock.now() - timedelta(days=1)
    Grant.objects.create(post=post, capability=MAY, region=region, starts_at=since)
    found = []
    for number in range(count):
        person = Person.objects.create(name=f"bench {number}", organisation=unit)
        Assignment.objects.create(person=person, post=post, starts_at=since)
        found.append(Actor(account_id=new_id(), person_id=person.pk, post_id=post.pk, device="bench"))
    return region, found


def _free() -> int:
    """Connections the server can still give, some left for whoever else runs."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity) - 20")
        return max(4, cursor.fetchone()[0])


def _run(plan: list[tuple[Actor, Any, list[str]]], realm: Any) -> tuple[float, list[float], list[str]]:
    """Everybody does his list at once: (seconds in all, seconds of each step done, codes of those refused)."""
    gate = threading.Barrier(len(plan) + 1)
    connection.ensure_connection()
    slots = threading.BoundedSemaphore(min(len(plan), _free()))
    took: list[list[float]] = [[] for _one in plan]
    refused: list[list[str]] = [[] for _one in plan]

    def work(index: int, actor: Actor, case: Any, steps: list[str]) -> None:
        gate.wait(120)
        for name in steps:
            started = time.perf_counter()
            with slots:  # waiting for a connection is part of the step's time
                try:
                    actions.step(Act(actor, realm), loop="kernel.bench", case=case, step=name)
                    took[index].append(time.perf_counter() - started)
                except Problem as problem:
                    refused[index].append(problem.kind.code)
                finally:
                    connection.close()

    threads = [threading.Thread(target=work, args=(index, *one)) for index, one in enumerate(plan)]
    for thread in threads:
        thread.start()
    gate.wait(120)
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started, sorted(value for own in took for value in own), [code for own in refused for code in own]


def bench() -> list[dict[str, Any]]:
    """Steps a second and how long each took: one person alone, a hundred on a hundred cases, a hundred on ten cases (most come too late)."""
    actual = realms.actual()
    realm = realms.start(Act(Actor.machine("bench"), actual), kind="exercise", name="bench")
    loop(_loop())
    write_rules()
    rows: list[dict[str, Any]] = []
    try:
        region, people = _people(PEOPLE)
        cases = [actions.open(Act(people[0], realm), loop="kernel.bench", values={"title": f"case {number}", "region": str(region.pk)}).pk for number in range(PEOPLE + 11)]
        back_and_forth = ["give", "back"] * (EACH // 2)

        def say(title: str, took: float, times: list[float], refused: list[str], note: str) -> None:
            unexpected = [code for code in refused if code != "kernel.case_illegal_step"]
            assert not unexpected, unexpected
            rows.append({"figure": f"loops: {title}, steps per second", "value": round(len(times) / took, 1), "unit": "1/s", "note": note})
            for share, name in ((0.5, "p50"), (0.99, "p99")):
                value = statistics.median(times) if share == 0.5 else times[min(len(times) - 1, int(len(times) * share))]
                rows.append({"figure": f"loops: {title}, {name}", "value": round(value * 1000, 1), "unit": "ms", "note": note})

        spent = time.process_time()
        took, times, refused = _run([(people[0], cases[-1], back_and_forth * 5)], realm)
        spent = time.process_time() - spent
        rows.append({"figure": "loops: processor time of a step, without the database's", "value": round(spent / len(times) * 1000, 1), "unit": "ms", "note": "says what one process can do however busy the machine is"})
        say("one person", took, times, refused, f"{len(times)} steps; a step = row lock, timeline, work items, timers, 3 facts in one transaction; fsync on")
        took, times, refused = _run([(person, case, back_and_forth) for person, case in zip(people, cases, strict=False)], realm)
        say("100 people at once, each on a case", took, times, refused, f"{len(times)} steps done, {len(refused)} refused; 100 threads of one process, a connection for each step; fsync on")
        contested = cases[PEOPLE : PEOPLE + 10]
        before = CaseStep.plain.filter(case_id__in=contested, kind=CaseStep.STEP).count()
        took, times, refused = _run([(person, contested[number % 10], ["give"]) for number, person in enumerate(people)], realm)
        done = CaseStep.plain.filter(case_id__in=contested, kind=CaseStep.STEP).count() - before
        assert done == len(times) == 10, (done, len(times))
        say("100 people at once on 10 cases, the same step", took, times, refused, f"10 steps done, one a case; {len(refused)} came too late and were told who was quicker; no other error")
    finally:
        forget("kernel.bench")
        write_rules()
        realms.stop(Act(Actor.machine("bench"), actual), realm=realm.pk, reason=f"measured {clock.now():%Y-%m-%d}")
    return rows
