"""The live stream: every reader gets the facts he may see, in order, once, also after a gap; nobody else gets any."""
from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from django.conf import settings

from anlan.kernel import journal
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.facts import RealmStarted
from anlan.web.live import Hub, begins

pytestmark = pytest.mark.django_db(transaction=True)


@action("tests.say")
def say(act: Act, *, name: str, region: Any = None) -> None:
    act.state(RealmStarted(realm=act.realm.pk, kind="test", name=name), subject=f"region:{region}", region=region)


class Browser:
    """Speaks ASGI to the hub as a browser would and collects the events."""

    def __init__(self, hub: Hub, cookie: str, since: int | None = None, last_id: int | None = None) -> None:
        headers = [(b"host", b"testserver")]
        if cookie:
            headers.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={cookie}".encode()))
        if last_id is not None:
            headers.append((b"last-event-id", str(last_id).encode()))
        query = f"since={since}".encode() if since is not None else b""
        self.scope = {"type": "http", "method": "GET", "path": "/live", "query_string": query, "headers": headers, "client": ("127.0.0.1", 1), "server": ("testserver", 80), "scheme": "http"}
        self.hub, self.status, self.text = hub, 0, ""
        self.gone = asyncio.Event()

    async def _receive(self) -> dict:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message.get("body", b"").decode()

    def start(self) -> Browser:
        self.task = asyncio.create_task(self.hub.serve(self.scope, self._receive, self._send))
        return self

    @property
    def facts(self) -> list[tuple[int, dict]]:
        found = []
        for block in self.text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if lines.get("event") == "fact":
                found.append((int(lines["id"]), orjson.loads(lines["data"])))
        return found

    async def until(self, condition: Any) -> None:
        for _i in range(400):
            if condition(self):
                return
            await asyncio.sleep(0.025)
        raise AssertionError(f"did not come: {self.text!r}")


def cookie_of(client: Any, signed_in: Any, actor: Any) -> str:
    from django.test import Client

    fresh = Client()
    signed_in(fresh, actor)
    return fresh.cookies[settings.SESSION_COOKIE_NAME].value


def run(scenario: Any) -> None:
    async def main() -> None:
        hub = Hub()
        hub.pool = ThreadPoolExecutor(1)  # one thread, so that its one connection can be closed at the end
        try:
            await scenario(hub)
        finally:
            hub._close()
            hub.stopping = True
            hub.pool.submit(_close).result()
            hub.pool.shutdown()

    asyncio.run(main())


def _close() -> None:
    from django.db import connections

    connections.close_all()


async def stated(realm: Any, name: str, region: Any = None) -> None:
    def work() -> None:
        try:
            say(Act(Actor.machine("tests"), realm), name=name, region=region)
            journal.seal()
        finally:
            _close()

    await asyncio.to_thread(work)


def test_nobody_gets_no_stream(actual):
    async def scenario(hub: Hub) -> None:
        browser = Browser(hub, "").start()
        await browser.task
        assert browser.status == 401

    run(scenario)


def test_readers_get_only_the_facts_of_their_regions(client, signed_in, actual, alice, charlie, county, county2):
    first, second = cookie_of(client, signed_in, alice), cookie_of(client, signed_in, charlie)

    async def scenario(hub: Hub) -> None:
        inside, outside = Browser(hub, first).start(), Browser(hub, second).start()
        await inside.until(lambda b: "event: clock" in b.text)
        await outside.until(lambda b: "event: clock" in b.text)
        await stated(actual, "in county", county.pk)
        await stated(actual, "in county two", county2.pk)
        await inside.until(lambda b: b.facts)
        await outside.until(lambda b: b.facts)
        assert [data["subject"] for _n, data in inside.facts] == [f"region:{county.pk}"]
        assert [data["subject"] for _n, data in outside.facts] == [f"region:{county2.pk}"]
        assert "in county" not in inside.text, "an event names what changed; its content is asked for as oneself"

    run(scenario)


def test_a_browser_that_was_away_gets_what_it_missed_in_order_and_once(client, signed_in, actual, alice, county):
    cookie = cookie_of(client, signed_in, alice)

    async def scenario(hub: Hub) -> None:
        first = Browser(hub, cookie).start()
        await first.until(lambda b: "event: clock" in b.text)
        await stated(actual, "one", county.pk)
        await first.until(lambda b: len(b.facts) == 1)
        first.gone.set()
        await first.task
        for name in ("two", "three", "four"):
            await stated(actual, name, county.pk)
        again = Browser(hub, cookie, last_id=first.facts[-1][0]).start()
        await again.until(lambda b: len(b.facts) >= 3)
        await stated(actual, "five", county.pk)
        await again.until(lambda b: len(b.facts) >= 4)
        await asyncio.sleep(0.2)
        numbers = [number for number, _data in again.facts]
        assert numbers == sorted(set(numbers)) and len(numbers) == 4
        assert numbers[0] == first.facts[-1][0] + 1

    run(scenario)


def test_a_reader_of_actual_operations_hears_nothing_of_an_exercise(client, signed_in, actual, exercise, alice, county):
    cookie = cookie_of(client, signed_in, alice)

    async def scenario(hub: Hub) -> None:
        browser = Browser(hub, cookie).start()
        await browser.until(lambda b: "event: clock" in b.text)
        await stated(exercise, "drill", county.pk)
        await stated(actual, "real", county.pk)
        await browser.until(lambda b: b.facts)
        assert len(browser.facts) == 1 and browser.facts[0][1]["here"] is True

    run(scenario)


def test_the_stream_ends_when_the_server_stops(client, signed_in, actual, alice):
    cookie = cookie_of(client, signed_in, alice)

    async def scenario(hub: Hub) -> None:
        browser = Browser(hub, cookie).start()
        await browser.until(lambda b: "event: clock" in b.text)
        hub.close()
        await asyncio.wait_for(browser.task, 5)
        assert browser.text.rstrip().endswith("data: {}") and "event: bye" in browser.text

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "query", "number"),
    [([], b"", -1), ([], b"since=12", 12), ([(b"last-event-id", b"30")], b"since=12", 30), ([], b"since=-4", -1), ([], b"since=9" + b"9" * 40, -1), ([(b"last-event-id", b"x")], b"", -1)],
)
def test_it_begins_where_the_browser_says(headers, query, number):
    assert begins({"headers": headers, "query_string": query}) == number
