"""The sensing worker (`anlan sense`): takes messages off the broker and into the database, in order, once.

Where it stands is in the database, per stream and partition, moved in the transaction that stores the readings; the
broker is acknowledged afterwards. So a kill at any instant, of this process, the broker or the database, repeats
nothing and loses nothing: the next worker starts its consumer at the number after the position. Messages already in
the database are purged from the stream now and then; a stream that is full refuses new ones rather than forget old ones.
"""
from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import nats
import orjson
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction

from anlan.kernel import brokers, clock, realms
from anlan.kernel.ids import new_id
from anlan.kernel.models import Realm

from . import actions, broker, compute, imports, ingest, keeping, probe, queries, sources, sta_door
from .compute import Book, Registry
from .ingest import READINGS, REPLAY, Message, Reader, Refusal
from .models import PARTITIONS, BatchStat, LiveWorker, Partition, RuleSet

log = logging.getLogger("anlan.sense")
LEASE_S = 10
RENEW_S = 2.0
MESSAGES = 1000  # asked for at a time
AT_ONCE = 20_000  # readings in one transaction, about: packed messages are split over several
GATHER_S = 2.0  # so long may readings of devices wait for others that can raise no colour: a transaction costs as much as hundreds of them
PURGE_S = 30.0
EXERCISE_S = 0.25  # so long may actual readings that never pause keep the readings of exercises and replays waiting
STATS_DAYS = 7


Waiting = dict[tuple[str, int], tuple[int, int, int]]  # (quantity, index in its book) -> total, lowest, highest of what waits, quanta


class LeaseLost(RuntimeError):
    """Another worker holds a partition now: nothing of this batch may be committed."""


class Processor:
    """Turns batches of messages into rows. Used by the worker with leases, and by tests and tools in their own process."""

    def __init__(self, owner: str = "local", leased: bool = False) -> None:
        self.owner, self.leased = owner, leased
        self.tokens: dict[int, int] = {}
        self.partitions: set[int] = set() if leased else set(range(PARTITIONS))
        self.registry: Registry | None = None
        self.books: dict[UUID, Book] = {}
        self.past: dict[str, dict[int, int]] = {}
        self.created: dict[str, str] = {}
        self.told: list[tuple[str, str, int, int, int]] = []  # stored and not told to SensorThings' subscribers yet
        self.actual: Realm | None = None
        self.busy = False  # another thread has the books: nothing may be asked of them

    def forget(self) -> None:
        """Throw away what is held in memory; the database decides again."""
        self.registry, self.books, self.past, self.actual = None, {}, {}, None

    # --- leases ------------------------------------------------------------------------------------------------

    def lease(self) -> bool:
        """Renew our partitions and take free ones up to a fair share; True when the set changed."""
        with transaction.atomic():
            if Partition.objects.count() < PARTITIONS:
                Partition.objects.bulk_create([Partition(number=number) for number in range(PARTITIONS)], ignore_conflicts=True)
            rows = list(Partition.objects.select_for_update().order_by("number"))
            now, until = clock.now(), clock.now() + timedelta(seconds=LEASE_S)  # after the wait for who holds the rows
            host = socket.gethostname()
            # Who waits for a share is alive, too: else the first to come would keep everything.
            LiveWorker.objects.update_or_create(owner=self.owner, defaults={"seen_at": now})
            LiveWorker.objects.filter(seen_at__lt=now - timedelta(seconds=LEASE_S)).delete()
            live = {self.owner, *(owner for owner in LiveWorker.objects.values_list("owner", flat=True) if not _dead(owner, host))}
            held = {row.number for row in rows if row.owner and row.leased_until and row.leased_until > now and not _dead(row.owner, host)}
            live |= {row.owner for row in rows if row.number in held}
            share = -(-PARTITIONS // len(live))
            mine = [row for row in rows if row.owner == self.owner and self.tokens.get(row.number) == row.token]
            for row in mine[share:]:
                row.owner, row.leased_until = "", None
                row.save(update_fields=["owner", "leased_until"])
            mine = mine[:share]
            for row in rows:
                if len(mine) >= share:
                    break
                if row in mine or (row.number in held and row.owner != self.owner):
                    continue
                row.owner, row.token = self.owner, row.token + 1
                row.save(update_fields=["owner", "token"])
                mine.append(row)
            Partition.objects.filter(pk__in=[row.pk for row in mine]).update(leased_until=until)
        tokens = {row.number: row.token for row in mine}
        if tokens != self.tokens:
            self.tokens, self.partitions = tokens, set(tokens)
            self.forget()
            return True
        return False

    def caught_up(self, ago_s: float = 0) -> None:
        """Note that everything published until so long ago is in the database: silence of a gauge is then the gauge's own."""
        Partition.objects.filter(owner=self.owner, number__in=self.partitions).update(heard_until=clock.now() - timedelta(seconds=ago_s))

    def release(self) -> None:
        """Give the partitions back at once (a clean stop)."""
        Partition.objects.filter(owner=self.owner).update(owner="", leased_until=None)
        LiveWorker.objects.filter(owner=self.owner).delete()

    def _fence(self) -> None:
        if not self.leased:
            return
        held = dict(Partition.objects.select_for_update().filter(owner=self.owner, number__in=self.partitions).order_by("number").values_list("number", "token"))
        if held != self.tokens:
            raise LeaseLost(self.owner)

    # --- positions ---------------------------------------------------------------------------------------------

    def positions(self, stream: str, created: str) -> int:
        """Load where our partitions stand in this stream; returns the lowest. Another stream of that name starts at 0."""
        found = {number: 0 for number in self.partitions}
        with connection.cursor() as cursor:
            cursor.execute("SELECT partition, seq FROM sensing_streamposition WHERE stream = %s AND created = %s", [stream, created])
            found.update({part: seq for part, seq in cursor.fetchall() if part in found})
        self.past[stream], self.created[stream] = found, created
        return min(found.values(), default=0)

    def _advance(self, stream: str, seq: int) -> None:
        parts = [part for part, at in self.past[stream].items() if at < seq]
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO sensing_streamposition (stream, partition, created, seq) SELECT %s, x, %s, %s FROM unnest(%s::smallint[]) AS t(x) "
                "ON CONFLICT (stream, partition) DO UPDATE SET created = excluded.created, seq = excluded.seq",
                [stream, self.created[stream], seq, parts],
            )

    # --- batches -----------------------------------------------------------------------------------------------

    def _book(self, realm: Realm) -> Book:
        month = realm.time().month
        book = self.books.get(realm.pk)
        assert self.registry is not None
        if book is None or book.month != month or not book.follow(self.registry):
            book = self.books[realm.pk] = Book(realm.pk, self.registry, self.partitions, month, self._hold)
        return book

    def _hold(self) -> None:
        """Keep the lease while a book is built: that of a province takes longer than a lease lasts."""
        if self.leased:
            Partition.objects.filter(owner=self.owner, number__in=self.partitions).update(leased_until=clock.now() + timedelta(seconds=LEASE_S))
            LiveWorker.objects.filter(owner=self.owner).update(seen_at=clock.now())

    def _ready(self) -> None:
        if self.registry is None or self.registry.revision != compute.revision():
            self.registry = compute.registry(self.registry)
        self.actual = self.actual or realms.actual()

    def calm(self, message: Message, waiting: Waiting) -> bool:
        """Whether a message may wait for others: a device's, and nothing in it, with what waits already, can raise a colour. Asks what is in
        memory, and notes the message in `waiting`; in doubt it may not."""
        words = message.subject.split(".")
        if len(words) != 5 or words[0] != "anlan" or self.registry is None or self.actual is None:
            return False
        station, book = self.registry.stations.get(words[3]), self.books.get(self.actual.pk)
        if station is None or station.partition not in self.partitions:
            return True  # refused, or another worker's
        own = book.quantities.get(words[4]) if book is not None else None
        index = own.place.get(station.id) if own is not None else None
        if own is None or index is None:
            return False
        try:
            values = ingest.quanta(message.data, own.quantity)
        except ingest.Refuse:
            return True
        if not values:
            return True
        total, lowest, highest = waiting.get((words[4], index), (0, values[0], values[0]))
        found = total + sum(value for value in values if value > 0), min(lowest, *values), max(highest, *values)
        waiting[words[4], index] = found
        return not own.engine.may_rise(index, *found)

    def process(self, messages: list[Message]) -> dict[str, int]:
        """One batch of one stream, in one transaction; counts of what it did. Raises, with nothing done, when it cannot."""
        started = time.monotonic()
        stream = messages[0].stream if messages else ""
        self._ready()
        assert self.registry is not None
        known = {realm.pk.hex: realm for realm in Realm.objects.exclude(kind=Realm.ACTUAL).filter(pk__in=_named(messages))}
        assert self.actual is not None
        actual = self.actual
        now = {realm.pk: int(realm.time().timestamp()) for realm in (actual, *known.values())}
        reader = Reader(self.registry.stations, self.registry.sources_on, known, actual.pk, self.partitions, now, self.past, keeping.oldest(now[actual.pk]))
        for message in messages:
            reader.take(message)
        by_key = {actual.pk: actual, **{realm.pk: realm for realm in known.values()}}
        totals = dict.fromkeys(("messages", "readings", "accepted", "duplicates", "conflicts", "late", "refused", "transitions"), 0)
        told: list[tuple[str, str, int, int, int]] = []
        totals["messages"], totals["readings"], totals["refused"] = len(messages), reader.readings, len(reader.refusals)
        try:
            # Read before the fence: who has the same token then was the only writer meanwhile.
            books = {key: self._book(by_key[key]) for key, columns in reader.columns.items() if len(columns)}
            with transaction.atomic():
                self._fence()
                for key, columns in sorted(reader.columns.items()):  # one order of locks for all workers
                    if not len(columns):
                        continue
                    batch = actions.Batch(columns, books[key])
                    actions.record(actions.machine_act(by_key[key]), batch=batch)
                    outcome, told = batch.outcome, [*told, *batch.told]
                    if outcome is not None:
                        for name in ("accepted", "duplicates", "conflicts", "late", "transitions"):
                            totals[name] += getattr(outcome, name)
                    else:
                        totals["duplicates"] += len(columns)
                actions.keep_refused(reader.refusals, clock.now())
                if messages and stream in self.past:
                    self._advance(stream, messages[-1].seq)
                if messages:
                    BatchStat.objects.create(
                        at=clock.now(), worker=self.owner, stream=stream, first_seq=messages[0].seq, last_seq=messages[-1].seq,
                        seconds=time.monotonic() - started, **totals,
                    )
        except BaseException:
            # The engines may be ahead of the database now.
            self.books = {}
            raise
        self.told += told
        if stream in self.past:
            self.past[stream] = {part: max(at, messages[-1].seq) for part, at in self.past[stream].items()}
        return totals

    def take(self, messages: list[Message]) -> dict[str, int]:
        """`process`, whatever is in the messages: one that cannot be digested is refused alone and the rest goes on."""
        try:
            return self.process(messages)
        except (OperationalError, InterfaceError, LeaseLost):
            raise
        except Exception:
            log.exception("a batch of %s messages failed; again, one by one", len(messages))
        totals: dict[str, int] = {}
        for message in messages:
            try:
                one = self.process([message])
            except (OperationalError, InterfaceError, LeaseLost):
                raise
            except Exception as error:
                log.exception("message %s of %s set aside", message.seq, message.stream)
                one = self._set_aside(message, error)
            for name, value in one.items():
                totals[name] = totals.get(name, 0) + value
        return totals

    def _set_aside(self, message: Message, error: Exception) -> dict[str, int]:
        with transaction.atomic():
            self._fence()
            actions.keep_refused(
                [Refusal("internal", "replay" if message.stream == REPLAY else "mqtt", message.subject, detail=repr(error), payload=message.data[:2000], size=len(message.data))],
                clock.now(),
            )
            if message.stream in self.past:
                self._advance(message.stream, message.seq)
        if message.stream in self.past:
            self.past[message.stream] = {part: max(at, message.seq) for part, at in self.past[message.stream].items()}
        return {"messages": 1, "refused": 1}


def _named(messages: list[Message]) -> set[UUID]:
    """The realms that subjects name."""
    found = set()
    for message in messages:
        if message.subject.startswith("replay.v1."):
            try:
                found.add(UUID(message.subject.split(".")[2]))
            except (ValueError, IndexError):
                pass
    return found


def _dead(owner: str, host: str) -> bool:
    """Whether the owner was a process of this machine that is gone: its lease need not be waited for."""
    name, _colon, rest = owner.partition(":")
    pid = rest.partition(":")[0]
    if name != host or not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass
    return False


def prepare() -> None:
    """What must be there before the first reading: the actual realm, the default rules, the broker's users."""
    realm = realms.actual()
    if not RuleSet.objects.exists() or _new_defaults():
        actions.load_defaults(actions.machine_act(realm))
    sources.write_broker_users()


def _new_defaults() -> bool:
    from . import rules

    stored = set(RuleSet.objects.values_list("digest", flat=True))
    return any(rules.digest(text) not in stored for _name, text in rules.default_files())


def feed(realm: Any, samples: list[ingest.Sample], processor: Processor | None = None) -> dict[str, int]:
    """Take readings into a realm in this process, without a broker: for tests and tools. The same code as the worker's."""
    prepare()
    own = processor or Processor()
    if getattr(realm, "is_actual", False):
        messages = [
            Message("local", number, f"anlan.v1._.{sample.station}.{sample.quantity}", orjson.dumps(sample.body())) for number, sample in enumerate(samples, 1)
        ]
    else:
        messages = [
            Message("local", number, f"replay.v1.{realm.pk}._.{sample.station}.{sample.quantity}", orjson.dumps(sample.body()))
            for number, sample in enumerate(samples, 1)
        ]
    return own.process(messages) if messages else {}


# --- the process -----------------------------------------------------------------------------------------------------


class Feed:
    """One stream of the broker, from our position on, with one pull request always under way.

    What comes is gathered until it is `ripe`: at once, or, where every message of devices may wait (`Processor.calm`), after GATHER_S.
    """

    def __init__(self, nc: Any, stream: str, processor: Processor, wake: asyncio.Event) -> None:
        self.nc, self.stream, self.processor, self.wake = nc, stream, processor, wake
        owner = processor.owner
        self.consumer = "sense-" + "".join(letter if letter.isalnum() else "-" for letter in owner)
        self.come: deque[Any] = deque()  # not looked at yet
        self.batch: list[Message] = []
        self.size = 0
        self.waiting: Waiting = {}
        self.hasty = False  # something in the batch may not wait
        self.since = 0.0
        self.inbox = nc.new_inbox()
        self.open = 0  # messages asked for and not come yet
        self.last = 0
        self.pending = 1
        self.sub: Any = None

    async def begin(self, after: int) -> None:
        """(Re)make the consumer behind `after`, the position in the database."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        js = self.nc.jetstream()
        try:
            await js.delete_consumer(self.stream, self.consumer)
        except NotFoundError:
            pass
        await js.add_consumer(
            self.stream,
            ConsumerConfig(
                durable_name=self.consumer, deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1, ack_policy=AckPolicy.ALL,
                ack_wait=120, max_ack_pending=4 * MESSAGES, inactive_threshold=300,
            ),
        )
        self.last, self.open, self.pending = after, 0, 1
        self.come.clear()
        self.taken()
        if self.sub is not None:
            await self.sub.unsubscribe()
        self.inbox = self.nc.new_inbox()
        self.sub = await self.nc.subscribe(self.inbox, cb=self._come, pending_msgs_limit=8 * MESSAGES, pending_bytes_limit=512 * 1024 * 1024)

    async def _come(self, msg: Any) -> None:
        self.come.append(msg)
        if not self.processor.busy:
            self.look()
            if self.ripe():
                self.wake.set()

    async def ask(self) -> None:
        if self.open <= 0:
            self.open = MESSAGES
            body = orjson.dumps({"batch": MESSAGES, "max_bytes": 16 * 1024 * 1024, "expires": 5_000_000_000})
            await self.nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self.consumer}", body, self.inbox)
            self.asked = time.monotonic()
        elif time.monotonic() - self.asked > 7:
            self.open = 0  # the request has run out and its answer was lost

    def look(self) -> None:
        """Put what has come to the batch, in order, up to about AT_ONCE readings' worth of bytes."""
        while self.come and not self.full:
            msg = self.come.popleft()
            if not msg.reply or not msg.reply.startswith("$JS.ACK."):
                self.open = 0  # a status: the request ran out, or there is nothing
                continue
            self.open -= 1
            words = msg.reply.split(".")
            seq, pending = int(words[-4]), int(words[-2])
            self.pending = pending
            if seq <= self.last:
                continue  # delivered again
            self.last, self.reply = seq, msg.reply
            message = Message(self.stream, seq, msg.subject, msg.data)
            if not self.batch:
                self.since = time.monotonic()
            self.batch.append(message)
            self.size += len(msg.data)
            self.hasty = self.hasty or self.stream != READINGS or not self.processor.calm(message, self.waiting)

    @property
    def full(self) -> bool:
        return len(self.batch) >= MESSAGES or self.size >= AT_ONCE * 60

    def ripe(self) -> bool:
        return bool(self.batch) and (self.hasty or self.full or time.monotonic() - self.since >= GATHER_S)

    def taken(self) -> list[Message]:
        """The batch; the next one begins."""
        batch, self.batch, self.size, self.waiting, self.hasty = self.batch, [], 0, {}, False
        return batch

    async def done(self, reply: str) -> None:
        """Tell the broker that everything up to this message is kept."""
        await self.nc.publish(reply, b"+ACK")


class Worker:
    def __init__(self, stop: threading.Event, beat: Callable[[], None] | None = None, url: str = "") -> None:
        self.stop, self.beat, self.url = stop, beat, url
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{new_id().hex[-6:]}"
        self.processor = Processor(self.owner, leased=True)
        # All database work in one thread: Django's connections belong to threads, and batches go one after another.
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="sense")
        self.mark: tuple[int, int] | None = None  # (last number of the MQTT bridge, the mark's number in READINGS)
        self.suspect = True

    async def db(self, function: Callable[..., Any], *values: Any) -> Any:
        self.processor.busy = True
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, function, *values)
        finally:
            self.processor.busy = False

    async def main(self) -> None:
        while not self.stop.is_set():
            try:
                await self.session()
            except Exception as error:
                level = logging.WARNING if _passing(error) else logging.ERROR
                log.log(level, "%s: %s; again in 0.5 s", type(error).__name__, error, exc_info=None if _passing(error) else error)
                await self.db(self._drop)
                await asyncio.sleep(0.5)
        try:
            await self.db(self.processor.release)
        except Exception as error:
            log.warning("leases were not given back: %s", error)
        await self.db(lambda: connection.close())

    def _drop(self) -> None:
        self.processor.forget()
        self.processor.tokens, self.processor.partitions = {}, set()
        connection.close()

    async def session(self) -> None:
        """From connecting to the first thing that goes wrong."""
        lost = asyncio.Event()

        async def gone(*_: Any) -> None:
            lost.set()

        nc = await nats.connect(**brokers.options(self.url or broker.address()), allow_reconnect=False, connect_timeout=5, disconnected_cb=gone, closed_cb=gone, error_cb=_log_error, name="anlan-sense")
        try:
            await self.db(prepare)
            await self.db(probe.ensure)
            js = nc.jetstream(timeout=10)
            await ingest.ensure_streams(js)
            await ingest.ensure_told(js)
            self.mark, self.suspect = None, True
            await self._settle_mqtt(js)
            await self.db(self.processor.lease)
            wake = asyncio.Event()
            feeds = [Feed(nc, stream, self.processor, wake) for stream in (READINGS, REPLAY)]
            await self._begin(js, feeds)
            renewed = purged = beaten = turned = time.monotonic()
            while not self.stop.is_set() and not lost.is_set():
                at = time.monotonic()
                if at - beaten > 0.5 and self.beat:
                    self.beat()
                    beaten = at
                if at - renewed > RENEW_S:
                    renewed = at
                    if await self.db(self.processor.lease):
                        await self._begin(js, feeds)
                    elif all(feed.pending == 0 and not feed.come for feed in feeds):
                        await self.db(self.processor.caught_up, max((at - feed.since for feed in feeds if feed.batch), default=0.0))
                if at - purged > PURGE_S:
                    purged = at
                    await self._purge(js)
                if not self.processor.partitions:
                    await asyncio.sleep(0.2)
                    continue
                busy = False
                for feed in feeds:  # actual operations first, without stopping exercises where their readings never pause
                    await feed.ask()
                    feed.look()
                    if feed.ripe():
                        busy, reply = True, feed.reply
                        await self.db(self.processor.take, feed.taken())
                        await feed.done(reply)
                        await self._tell(nc)
                    if feed.stream == READINGS and feed.come and at - turned < EXERCISE_S:
                        break
                else:
                    turned = at
                if not busy:
                    await self._wait(feeds)
            if lost.is_set() and not self.stop.is_set():
                raise ConnectionError("the broker is gone")
        finally:
            try:
                await asyncio.wait_for(nc.close(), 2)
            except Exception as error:
                log.debug("closing: %s", error)

    async def _wait(self, feeds: list[Feed]) -> None:
        """Until a message comes, at most 100 ms."""
        wake = feeds[0].wake
        try:
            await asyncio.wait_for(wake.wait(), 0.1)
        except TimeoutError:
            pass
        wake.clear()
        for feed in feeds:
            # Asked and nothing on the way: nothing is pending.
            if not feed.come and feed.open == MESSAGES and time.monotonic() - feed.asked > 0.5:
                feed.pending = 0

    async def _tell(self, nc: Any) -> None:
        """Say what was stored to who subscribes to a Datastream. After the commit and once: who was away reads it by HTTP."""
        told, self.processor.told = self.processor.told, []
        for subject, body in sta_door.told(told):
            await nc.publish(subject, body)

    async def _begin(self, js: Any, feeds: list[Feed]) -> None:
        for feed in feeds:
            info = await js.stream_info(feed.stream)
            await feed.begin(await self.db(self.processor.positions, feed.stream, queries.made(info)))

    async def _settle_mqtt(self, js: Any) -> None:
        """Let go of what the MQTT bridge keeps, once READINGS has it in the database; copy it over where READINGS may lack it.

        A mark published into READINGS stands behind everything that was on its way there when the bridge's last number was read:
        when all partitions are past the mark, the bridge's copies up to that number are not needed any more.
        """
        if not await ingest.keep_mqtt(js, own_broker=broker.is_own()):
            return
        if self.suspect:
            count = await ingest.recover_mqtt(js)
            self.mark, self.suspect = None, False
            if count:
                log.info("%d readings acknowledged over MQTT were copied again", count)
        elif self.mark is None:
            last, _made = await ingest.kept_mqtt(js)
            if last:
                self.suspect = True  # READINGS may be full and have refused what the bridge acknowledged: until the mark is in
                answer = await js.publish(ingest.MARK, b"[]")
                self.mark, self.suspect = (last, answer.seq), False
        else:
            info = await js.stream_info(READINGS)
            if await self.db(queries.lowest, READINGS, queries.made(info)) >= self.mark[1]:
                await js.purge_stream(ingest.MQTT_STREAM, seq=self.mark[0] + 1, subject=ingest.MQTT_SUBJECT)
                self.mark = None

    async def _purge(self, js: Any) -> None:
        """Free the broker of what is in the database for all partitions, whoever holds them."""
        await self._settle_mqtt(js)
        for stream in ingest.STREAMS:
            info = await js.stream_info(stream)
            low = await self.db(queries.lowest, stream, queries.made(info))
            if low and info.state.first_seq <= low:
                await js.purge_stream(stream, seq=low + 1)
        await self.db(_trim)


def _trim() -> None:
    BatchStat.objects.filter(at__lt=clock.now() - timedelta(days=STATS_DAYS)).delete()
    close_old_connections()


def _passing(error: BaseException) -> bool:
    """What passes by itself when a part restarts: no need for a traceback."""
    return isinstance(error, (OperationalError, InterfaceError, OSError, LeaseLost, actions.OutOfStep, asyncio.TimeoutError, nats.errors.Error))


async def _log_error(error: Exception) -> None:
    log.warning("broker: %s", error)


def run(stop: threading.Event, beat: Callable[[], None] | None = None, url: str = "") -> None:
    """`anlan sense`: until `stop` is set. Several such processes share the partitions."""
    from anlan.engines.series.warm import warm

    # On a new installation the compiler needs some seconds: better now than when the first reading comes.
    threading.Thread(target=warm, daemon=True, name="warm").start()
    if broker.is_own() or not url:
        threading.Thread(target=imports.watch, args=(stop,), daemon=True, name="inbox").start()
    worker = Worker(stop, beat, url)
    try:
        asyncio.run(worker.main())
    finally:
        worker.pool.shutdown(wait=True)
