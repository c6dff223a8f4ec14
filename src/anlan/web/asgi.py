"""The web process: the live stream on the event loop, every page on a pool of threads with their own database connections.

A page served by WSGI threads costs a quarter of what Django's ASGI handler costs here, and its connection stays open.
"""
from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "anlan.runtime.settings")

from a2wsgi import WSGIMiddleware
from django.core.wsgi import get_wsgi_application

from .live import Hub

WORKERS = 16

hub = Hub()
_pages: Any = WSGIMiddleware(get_wsgi_application(), workers=WORKERS)  # type: ignore[arg-type]


async def application(scope: dict, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                hub.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})
    elif scope["type"] == "http":
        if scope["path"] == "/live":
            await hub.serve(scope, receive, send)
        else:
            await _pages(scope, receive, send)


def close() -> None:
    """Called when the server is asked to stop: streams would never leave by themselves."""
    hub.close()
