"""One connection to the broker for code that is not asynchronous: the HTTP door and the replay's barrier."""
from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import nats

from anlan.kernel import brokers

T = TypeVar("T")


def address() -> str:
    """Where the broker is now. The embedded one's address is read afresh: it may have started, or moved, after us."""
    from django.conf import settings

    if settings.NATS_URL and settings.NATS_URL != settings.ADDRESSES.get("nats"):
        return settings.NATS_URL  # given by the operator
    try:
        return json.loads((settings.HOME / "run" / "addresses.json").read_text()).get("nats", "") or settings.NATS_URL
    except (OSError, ValueError):
        return settings.NATS_URL


def is_own() -> bool:
    """Whether the broker is the embedded one, not one the operator named."""
    from django.conf import settings

    return not settings.NATS_URL or settings.NATS_URL == settings.ADDRESSES.get("nats")


class Bridge:
    """A thread with an event loop and one connection, opened on first use and again when it is lost."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.nc: Any = None
        self._opening: asyncio.Lock | None = None
        threading.Thread(target=self.loop.run_forever, name="broker", daemon=True).start()

    async def connection(self) -> Any:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self.nc is None or self.nc.is_closed or not self.nc.is_connected:
                if self.nc is not None and not self.nc.is_closed:
                    await self.nc.close()
                self.nc = await nats.connect(**brokers.options(self.url), connect_timeout=3, allow_reconnect=False, name="anlan-door", error_cb=_quiet)
            return self.nc

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 20) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        async def end() -> None:
            if self.nc is not None:
                await self.nc.close()

        try:
            self.run(end(), 3)
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)


async def _quiet(error: Exception) -> None:
    """The caller of a failed call is told by an exception; nats-py's own printing would only repeat it."""


_bridge: Bridge | None = None
_lock = threading.Lock()


def bridge() -> Bridge:
    """The process's own bridge to the broker in the settings."""
    global _bridge
    with _lock:
        url = address()
        if _bridge is None or _bridge.url != url:
            _bridge = Bridge(url)
        return _bridge
