"""`anlan web`: the web server's process."""
from __future__ import annotations

import importlib
import socket
import sys
from typing import Any

import uvicorn

from . import serve, settings

GRACE_SECONDS = 3  # what a request in work may take after SIGTERM


class _Server(uvicorn.Server):
    """Tells the live streams to end before uvicorn waits for its clients: they would never leave by themselves."""

    def __init__(self, config: uvicorn.Config, asgi: Any) -> None:
        super().__init__(config)
        self._asgi = asgi

    def handle_exit(self, sig: int, frame: Any) -> None:
        if close := getattr(self._asgi, "close", None):
            close()
        super().handle_exit(sig, frame)


def run(fd: int | None = None) -> int:
    """Serve until SIGTERM. `fd` is a listening socket handed down by the supervisor; else we listen ourselves."""
    if fd is not None:
        sock = socket.socket(fileno=fd)
    else:
        host = settings.env("ANLAN_HOST")
        serve.check_exposure(settings.HOME, host, settings.env("ANLAN_TLS_CERT"), settings.env("ANLAN_TLS_KEY"))
        sock = serve.listen(host, int(settings.env("ANLAN_PORT")))
    asgi = importlib.import_module("anlan.web.asgi")
    config = uvicorn.Config(
        asgi.application,
        log_level="warning",
        access_log=False,
        lifespan="auto",
        server_header=False,
        proxy_headers=False,  # nobody stands in front of us unless told; a forged X-Forwarded-For must not count
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_certfile=settings.env("ANLAN_TLS_CERT") or None,
        ssl_keyfile=settings.env("ANLAN_TLS_KEY") or None,
    )
    server = _Server(config, asgi)
    try:
        server.run(sockets=[sock])
    except KeyboardInterrupt:
        pass
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(run())
