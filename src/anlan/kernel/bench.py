"""What a fact costs. `bench()` returns rows {figure, value, unit, note}; it writes into an exercise realm of its own."""
from __future__ import annotations

import statistics
import threading
import time

from django.db import connection, transaction

from . import clock, journal, realms
from .actions import Act, Actor, action
from .journal import fact
from .models import Realm


@fact("kernel.Measured")
class Measured:
    """A fact of a measurement; only in exercise realms."""

    number: int


@action("kernel.measure")
def measure(act: Act, *, number: int) -> None:
    """State one fact and nothing else."""
    act.state(Measured(number=number), subject=f"measure:{number}")


def _many(realm: Realm, count: int, times: list[float]) -> None:
    actor = Actor.machine("bench")
    for number in range(count):
        started = time.perf_counter()
        measure(Act(actor, realm), number=number)
        times.append(time.perf_counter() - started)
    connection.close()


def _writers(realm: Realm, writers: int, count: int) -> tuple[float, list[float]]:
    """Facts per second and the seconds each took, with that many writers at once."""
    times: list[list[float]] = [[] for _ in range(writers)]
    threads = [threading.Thread(target=_many, args=(realm, count, own)) for own in times]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return writers * count / (time.perf_counter() - started), sorted(value for own in times for value in own)


def bench() -> list[dict]:
    """Journal cost per fact with 1 and 8 writers, the sealer's rate, and a fact's delay while a long import is open."""
    actual = realms.actual()
    realm = realms.start(Act(Actor.machine("bench"), actual), kind="exercise", name="bench")
    rows = []
    for writers in (1, 8):
        rate, times = _writers(realm, writers, 150)
        note = f"{writers} writer(s); one action = one transaction with its key, its fact and its payload; fsync on"
        rows.append({"figure": f"journal: action with one fact, {writers} writer(s), p50", "value": round(statistics.median(times) * 1000, 2), "unit": "ms", "note": note})
        rows.append({"figure": f"journal: action with one fact, {writers} writer(s), p99", "value": round(times[int(len(times) * 0.99)] * 1000, 2), "unit": "ms", "note": note})
        rows.append({"figure": f"journal: facts per second, {writers} writer(s)", "value": round(rate), "unit": "1/s", "note": note})
    opened, finish = threading.Event(), threading.Event()

    def long_import() -> None:
        with transaction.atomic():
            measure(Act(Actor.machine("bench"), realm), number=-1)
            opened.set()
            finish.wait(60)
        connection.close()

    thread = threading.Thread(target=long_import)
    thread.start()
    opened.wait(60)
    delays = []
    for number in range(20):
        started = time.perf_counter()
        measure(Act(Actor.machine("bench"), realm), number=10_000 + number)
        while True:
            journal.seal()
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT 1 FROM kernel_seal s JOIN kernel_fact f ON f.id = s.fact_id WHERE f.realm_id = %s AND f.subject = %s",
                    [realm.pk, f"measure:{10_000 + number}"],
                )
                if cursor.fetchone():
                    break
            time.sleep(0.002)
        delays.append((time.perf_counter() - started) * 1000)
    finish.set()
    thread.join()
    rows.append({
        "figure": "journal: fact stated → sealed while an import's transaction is open, p50", "value": round(statistics.median(delays), 1), "unit": "ms",
        "note": f"worst {max(delays):.1f} ms; before decision 0002 it would have waited for the import",
    })
    started = time.perf_counter()
    verdict = journal.verify()
    took = time.perf_counter() - started
    rows.append({"figure": "journal: facts verified per second", "value": round(verdict.sealed / took), "unit": "1/s", "note": f"{verdict.sealed} facts, ok={verdict.ok}"})
    realms.stop(Act(Actor.machine("bench"), actual), realm=realm.pk, reason=f"measured {clock.now():%Y-%m-%d}")
    return rows
