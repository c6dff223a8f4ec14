"""Moving a realm's clock through a script: readings go out, persons act, and time goes on only when all is quiet.

`Player` knows no event and no city; `replay` and `storm` give it their steps.
"""
from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import nats
from django.db import InterfaceError, OperationalError, connection

from anlan.kernel import brokers, flowing, realms
from anlan.kernel.errors import Problem
from anlan.kernel.models import ReactionDone, Realm, Unsealed
from anlan.sensing import ingest, queries
from anlan.sensing.ingest import Sample

from .errors import BAD_SPEED, STUCK

log = logging.getLogger("anlan.demo")
WAIT_S = 120.0
# After a database or broker is killed it needs a moment to come back; what is tried again has a key and is done once.
TRIES, PAUSE_S = 240, 0.25


class Broker:
    """The replay's own connection to the broker, with the credential that may publish `replay.v1.>` and nothing else."""

    def __init__(self, url: Callable[[], str]) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.connection: Any = None

    def publish(self, realm: Realm, samples: list[Sample], ids: str) -> int:
        """Put readings on the broker; returns when they are on its disk. Repeats after a failure are kept once (`ids`)."""
        return self.loop.run_until_complete(self._publish(realm, samples, ids))

    async def _publish(self, realm: Realm, samples: list[Sample], ids: str) -> int:
        for attempt in range(TRIES):
            try:
                if self.connection is None or self.connection.is_closed:
                    self.connection = await nats.connect(**brokers.options(self.url()), connect_timeout=3, allow_reconnect=False, error_cb=_quiet, name="anlan-replay")
                return await ingest.publish_replay(self.connection, realm, samples, ids=ids)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                await self._drop()
                if attempt == TRIES - 1:
                    raise
                log.debug("broker: %s; again", error)
                await asyncio.sleep(PAUSE_S)
        raise AssertionError("unreachable")

    async def _drop(self) -> None:
        if self.connection is not None and not self.connection.is_closed:
            try:
                await self.connection.close()
            except (nats.errors.Error, OSError):
                log.debug("closing a broken connection", exc_info=True)
        self.connection = None

    def close(self) -> None:
        self.loop.run_until_complete(self._drop())
        self.loop.close()


async def _quiet(error: Exception) -> None:
    log.debug("broker: %s", error)


@dataclass
class Step:
    """What happens at an instant: readings first, then what persons do."""

    at: datetime
    samples: list[Sample] = field(default_factory=list)
    deeds: list[Callable[[], None]] = field(default_factory=list)


def steady(work: Callable[[], Any]) -> Any:
    """Do something again while the database is away. Only for reads, and for actions with an `op_id` of their own."""
    for attempt in range(TRIES):
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            connection.close()
            if attempt == TRIES - 1:
                raise
            log.debug("database: %s; again", error)
            time.sleep(PAUSE_S)


def speed_of(text: str) -> float:
    """`max` (0: no waiting) or event seconds per wall second. demo.bad_speed."""
    if text == "max":
        return 0.0
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 < speed < 1e6:
        raise BAD_SPEED(speed=text, fields=[{"field": "speed", "why": "max, or a number above 0"}])
    return speed


class Player:
    """Plays steps into a realm with a manual clock. Its barrier: all readings in the database, the flow quiet."""

    def __init__(self, realm: Realm, broker: Broker, speed: float = 0.0, on_tick: Callable[[Realm], None] | None = None, wait_s: float = WAIT_S) -> None:
        self.realm, self.broker, self.speed, self.on_tick, self.wait_s = realm, broker, speed, on_tick, wait_s
        self.stopped = False
        self._on_the_way = True  # readings were published since the broker was last seen drained
        self._still: datetime | None = None  # the realm's time at which it was last seen quiet, and nothing was done since

    def quiet(self) -> bool:
        # In this order: what a reading sets off is there before its message counts as processed.
        try:
            if self._on_the_way:
                if not steady(lambda: queries.drained(self.realm)):
                    return False
                self._on_the_way = False
            return bool(steady(lambda: flowing.quiet(self.realm)))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.debug("broker: %s; nobody knows whether it is quiet", error)
            return False

    def wait(self, realm: Realm) -> None:
        """Return when the realm is quiet. demo.stuck when that takes too long."""
        if self._still is not None and self._still == realm.now_at:
            return
        try:
            realms.wait_until(self.quiet, timeout=self.wait_s, step=0.02)
        except TimeoutError:
            raise STUCK(seconds=int(self.wait_s), at=realm.now_at, what=self.why_not())
        self._still = realm.now_at

    def why_not(self) -> str:
        """What still moves, for the person who has to find out."""
        unsealed = Unsealed.objects.filter(fact__realm=self.realm).count()
        open_jobs = list(ReactionDone.objects.filter(realm=self.realm, done=False).values_list("reaction", flat=True)[:5])
        return f"drained={queries.drained(self.realm)}, unsealed={unsealed}, jobs={open_jobs}"

    def play(self, steps: Iterable[Step]) -> None:
        """Play until the last step; returns early when the realm was stopped by somebody."""
        for step in steps:
            if not self._go_to(step.at):
                self.stopped = True
                return
            if step.samples:
                # The instant and the realm name the batch: published again after a crash it is the same batch.
                self._on_the_way, self._still = True, None
                self.broker.publish(self.realm, step.samples, f"{self.realm.pk}.{step.at.timestamp():.0f}")
                self.wait(self.realm)
            for deed in step.deeds:
                self._still = None
                steady(deed)
                self.wait(self.realm)

    def _go_to(self, at: datetime) -> bool:
        if self.speed and at > self.realm.now_at:
            # Watchable: the clock moves in small pieces, so that deadlines run out before the eyes.
            start, begin = self.realm.now_at, time.monotonic()
            while True:
                reached = start + (at - start) * min(1.0, (time.monotonic() - begin) * self.speed / max((at - start).total_seconds(), 1e-9))
                if not self._advance(min(reached, at)):
                    return False
                if self.on_tick is not None:
                    self._still = None
                    self.on_tick(self.realm)
                if reached >= at:
                    return True
                time.sleep(min(1.0, (at - reached).total_seconds() / self.speed))
        return self._advance(at)

    def _advance(self, to: datetime) -> bool:
        steady(self.realm.refresh_from_db)
        if self.realm.is_over:
            return False
        try:
            steady(lambda: realms.advance(self.realm, to, self.wait))
        except Problem as problem:
            if problem.kind.code == "kernel.exercise_over":
                return False
            raise
        return True
