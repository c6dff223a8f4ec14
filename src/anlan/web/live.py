"""The live stream (`/live`): Server-Sent Events of sealed facts, each filtered for its reader.

One task per process listens to the database and reads the new facts once; each browser has a queue. Events carry the seal
number as their id, so a browser that reconnects says where it was and misses nothing. An event names what changed (kind and
subject), not its content: the page then asks for the content as itself, so a stream can never say more than a page.
"""
from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

import orjson
import psycopg
from django.db import close_old_connections, connection

log = logging.getLogger("anlan.live")

RECHECK_S = 30.0  # a session that ended elsewhere is noticed at the latest then; at once when a fact says so
KEEP_ALIVE_S = 15.0
QUEUE = 500  # a browser further behind than this starts over from the page
REPLAY = 1000
SESSION_FACTS = ("kernel.SignedIn", "kernel.SignedOut", "kernel.SessionEnded", "kernel.PersonChanged", "kernel.GrantGiven", "kernel.GrantEnded", "kernel.AssignmentEnded")


@dataclass(eq=False)
class Reader:
    """One browser: who reads, in which realm, and what waits for it."""

    scope: dict
    actor: Any = None
    realm_id: UUID | None = None
    running: bool = True
    queue: asyncio.Queue = field(default_factory=lambda: asyncio.Queue(QUEUE))
    floor: int = 0  # seal numbers up to here were sent while catching up


def who(scope: dict) -> tuple[Any, Any] | None:
    """(actor, realm) of the request's session as the pages' own middleware sees it; None when nobody is signed in."""
    from io import BytesIO

    from django.contrib.auth.middleware import AuthenticationMiddleware
    from django.contrib.sessions.middleware import SessionMiddleware
    from django.core.handlers.asgi import ASGIRequest
    from django.http import HttpResponse

    from anlan.kernel.middleware import ActorMiddleware

    found: list[Any] = []

    def end(request: Any) -> HttpResponse:
        found.append(request)
        return HttpResponse()

    close_old_connections()
    request = ASGIRequest({**scope, "method": "GET"}, BytesIO())
    SessionMiddleware(AuthenticationMiddleware(ActorMiddleware(end)))(request)
    actor, realm = found[0].actor, found[0].realm
    if actor.is_nobody:
        return None
    from anlan.kernel import access, seen

    # Warm the actor's cache here, in the thread that may ask the database: the filter then only looks up.
    access.posts(actor)
    for capability in {seen.JOURNAL, *seen.scopes().values()}:
        access.regions(actor, capability)
    return actor, realm


def read_after(number: int, limit: int) -> list[Any]:
    from anlan.kernel import journal

    close_old_connections()
    return journal.sealed_after(number, None, limit)


def clocks(realm_ids: set[UUID]) -> dict[UUID, tuple[str, bool]]:
    from anlan.kernel.models import Realm

    close_old_connections()
    return {realm.pk: (realm.time().isoformat(), realm.clock != "manual") for realm in Realm.objects.filter(pk__in=realm_ids)}


def event(name: str, data: Any, number: int | None = None) -> bytes:
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {name}\ndata: {orjson.dumps(data).decode()}\n\n".encode()


class Hub:
    """All browsers of this process."""

    def __init__(self) -> None:
        self.readers: set[Reader] = set()
        self.pool = ThreadPoolExecutor(4, thread_name_prefix="live")
        self.number: int | None = None
        self.task: asyncio.Task | None = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.stopping = False

    async def _run(self, function: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)

    # -- following the journal --

    async def follow(self) -> None:
        from anlan.kernel import journal

        wake = asyncio.Event()
        listener = asyncio.create_task(self._listen(wake))
        try:
            while not self.stopping:
                try:
                    if self.number is None:
                        self.number = await self._run(journal.head_number)
                    facts = await self._run(read_after, self.number, 500)
                    if facts:
                        self.number = facts[-1].number
                        self._spread(facts)
                        continue
                except Exception as error:
                    log.warning("live stream: %s; again in 1 s", error)
                    await asyncio.sleep(1)
                    continue
                try:
                    await asyncio.wait_for(wake.wait(), 2.0)
                except TimeoutError:
                    pass
                wake.clear()
        finally:
            listener.cancel()

    async def _listen(self, wake: asyncio.Event) -> None:
        while not self.stopping:
            try:
                given = {key: value for key, value in connection.get_connection_params().items() if key not in ("cursor_factory", "context", "prepare_threshold", "autocommit")}
                async with await psycopg.AsyncConnection.connect(**given, autocommit=True) as own:
                    await own.execute("LISTEN sealed")
                    await own.execute("LISTEN advance")
                    wake.set()
                    async for note in own.notifies():
                        wake.set()
                        if note.channel == "advance":
                            asyncio.create_task(self._tell_clocks(UUID(note.payload)))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("live stream: listening to the database: %s; again in 1 s", error)
                await asyncio.sleep(1)

    async def _tell_clocks(self, realm_id: UUID) -> None:
        readers = [reader for reader in self.readers if reader.realm_id == realm_id]
        if readers:
            now, running = (await self._run(clocks, {realm_id})).get(realm_id, ("", True))
            for reader in readers:
                self._put(reader, event("clock", {"now": now, "running": running}))

    def _spread(self, facts: list[Any]) -> None:
        from anlan.kernel import seen

        table = seen.scopes()
        for reader in list(self.readers):
            for fact in facts:
                if self._concerns(reader, fact, table):
                    self._put(reader, self._fact(reader, fact), fact.number)
            if any(fact.kind in SESSION_FACTS for fact in facts):
                asyncio.create_task(self._recheck(reader))

    def _concerns(self, reader: Reader, fact: Any, table: dict[str, str]) -> bool:
        from anlan.kernel import seen
        from anlan.kernel.models import ACTUAL_ID

        return fact.realm_id in (reader.realm_id, ACTUAL_ID) and seen.may_see(reader.actor, fact, table)

    def _fact(self, reader: Reader, fact: Any) -> bytes:
        return event("fact", {"kind": fact.kind, "subject": fact.subject, "here": fact.realm_id == reader.realm_id, "level": fact.payload.get("level") or fact.payload.get("colour") or ""}, fact.number)

    def _put(self, reader: Reader, message: bytes, number: int = 0) -> None:
        try:
            reader.queue.put_nowait((number, message))
        except asyncio.QueueFull:
            self._end(reader)

    def _end(self, reader: Reader) -> None:
        reader.running = False
        while not reader.queue.empty():
            reader.queue.get_nowait()
        reader.queue.put_nowait((0, event("bye", {})))

    async def _recheck(self, reader: Reader) -> None:
        try:
            found = await self._run(who, reader.scope)
        except Exception as error:
            log.warning("live stream: checking a session: %s", error)
            return
        if found is None or found[1].pk != reader.realm_id:
            self._end(reader)
        else:
            reader.actor = found[0]

    # -- one browser --

    async def serve(self, scope: dict, receive: Any, send: Any) -> None:
        """The ASGI application of /live."""
        if self.stopping:
            return await refuse(send, 503)
        if scope.get("method") != "GET":
            return await refuse(send, 405)
        try:
            found = await self._run(who, scope)
        except Exception:
            log.exception("live stream: checking a session")
            return await refuse(send, 503)
        if found is None:
            return await refuse(send, 401)
        if self.task is None or self.task.done():
            self.loop = asyncio.get_running_loop()
            self.task = asyncio.create_task(self.follow())
        reader = Reader(scope, found[0], found[1].pk)
        begin = begins(scope)
        self.readers.add(reader)
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [
                (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"),
            ]})
            await self._out(send, b"retry: 2000\n\n")
            now, running = (await self._run(clocks, {reader.realm_id})).get(reader.realm_id, ("", True))
            await self._out(send, event("clock", {"now": now, "running": running}))
            if begin >= 0:
                await self._catch_up(reader, begin, send)
            await self._pump(reader, receive, send)
        finally:
            self.readers.discard(reader)

    async def _catch_up(self, reader: Reader, begin: int, send: Any) -> None:
        """What was sealed since the page was drawn, or while the browser was away; the queue leaves out what was sent here (`floor`)."""
        from anlan.kernel import seen

        table = seen.scopes()
        at = begin
        for _round in range(REPLAY // 500):
            facts = await self._run(read_after, at, 500)
            for fact in facts:
                at = reader.floor = fact.number
                if self._concerns(reader, fact, table):
                    await self._out(send, self._fact(reader, fact))
            if len(facts) < 500:
                return
        # Too far behind for event by event: one word that everything may have changed.
        await self._out(send, event("fact", {"kind": "stream.reopened", "subject": "", "here": True, "level": ""}, self.number or at))

    async def _pump(self, reader: Reader, receive: Any, send: Any) -> None:
        gone = asyncio.create_task(_gone(receive))
        loop = asyncio.get_running_loop()
        checked = loop.time()
        try:
            while True:
                waiting = asyncio.create_task(reader.queue.get())
                done, _pending = await asyncio.wait({waiting, gone}, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
                if gone in done:
                    waiting.cancel()
                    return
                if waiting in done:
                    number, message = waiting.result()
                    if not number or number > reader.floor:
                        await self._out(send, message)
                else:
                    waiting.cancel()
                    await self._out(send, b": still here\n\n")
                if not reader.running and reader.queue.empty():
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
                    return
                if loop.time() - checked > RECHECK_S:
                    checked = loop.time()
                    await self._recheck(reader)
        finally:
            gone.cancel()

    async def _out(self, send: Any, body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": True})

    def close(self) -> None:
        """End every stream so that the server can stop. Safe from a signal handler or another thread."""
        self.stopping = True
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self._close)

    def _close(self) -> None:
        for reader in list(self.readers):
            self._end(reader)
        if self.task is not None:
            self.task.cancel()


def begins(scope: dict) -> int:
    """Seal number the browser has already: of its last event, else of the page it comes from; -1 when it does not say."""
    given = dict(scope.get("headers", ())).get(b"last-event-id", b"") or dict(parse_qsl(scope.get("query_string", b""))).get(b"since", b"")
    return int(given) if given.isdigit() and len(given) < 19 else -1


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain"), (b"cache-control", b"no-store")]})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
