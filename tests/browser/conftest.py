"""A live server with the real ASGI application, and a Chromium that may reach nothing but it."""
from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

# Playwright's synchronous interface runs a loop in this thread; Django would refuse the ORM beside it.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

ROOT = Path(__file__).resolve().parents[2]
# A page in half English would be the fault of a stale catalogue, not of the page.
subprocess.run([sys.executable, str(ROOT / "tools" / "messages.py"), "--compile"], check=True, capture_output=True)
DIST = Path(__file__).resolve().parents[2] / "src" / "anlan" / "web" / "static" / "dist" / "manifest.json"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--autoplay-policy=user-gesture-required"]


# Per module, so that Playwright's event loop is gone before the next file's tests want one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.fail("Chromium is needed for the browser tests: apt-get install chromium (make test does it for root)")
    if not DIST.exists():
        pytest.fail("the front end is not built: run make setup")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Server:
    """uvicorn with the product's own ASGI application, in a thread, on a free port."""

    def __init__(self) -> None:
        import uvicorn

        from anlan.web import asgi
        from anlan.web.live import Hub

        asgi.hub = Hub()  # a hub that was closed by an earlier server stays closed
        self.asgi = asgi
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.server = uvicorn.Server(uvicorn.Config(asgi.application, log_level="warning", access_log=False, timeout_graceful_shutdown=2))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]}, daemon=True)

    def start(self) -> None:
        self.thread.start()
        end = time.monotonic() + 20
        while not self.server.started:
            if time.monotonic() > end:
                raise RuntimeError("the web server did not start")
            time.sleep(0.02)

    def stop(self) -> None:
        self.asgi.close()
        self.server.should_exit = True
        self.thread.join(timeout=10)
        self.asgi.hub.pool.submit(_close_connections).result(timeout=5)
        self.socket.close()


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


@pytest.fixture
def server(transactional_db: Any, settings: Any) -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.stop()
    # Threads of the server's pool hold connections; the test database could not be emptied under them. Each end is waited for,
    # and this thread begins anew: an end that came late would hit the next test.
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
    connection.close()


@pytest.fixture
def open_browser(chromium: Any, server: Server, client: Any, signed_in: Callable) -> Iterator[Callable]:
    """open_browser(actor, phone=False, lang="zh-hans", dark=False) → a page, signed in. `page.outside` and `page.faults` collect what must not be."""
    contexts: list[Any] = []
    pages: list[Any] = []

    def make(actor: Any = None, *, phone: bool = False, lang: str = "zh-hans", dark: bool = False) -> Any:
        from django.conf import settings as django_settings

        context = chromium.new_context(
            viewport={"width": 390, "height": 844} if phone else {"width": 1440, "height": 900}, has_touch=phone, is_mobile=phone,
            locale="en-US" if lang == "en" else "zh-CN", color_scheme="dark" if dark else "light", reduced_motion="reduce",
        )
        contexts.append(context)
        cookies = [{"name": "django_language", "value": lang, "url": server.url}]
        if actor is not None:
            signed_in(client, actor)
            cookies.append({"name": django_settings.SESSION_COOKIE_NAME, "value": client.cookies[django_settings.SESSION_COOKIE_NAME].value, "url": server.url})
        context.add_cookies(cookies)
        page = context.new_page()
        page.outside, page.faults = [], []
        host = urlsplit(server.url).netloc

        def guard(route: Any) -> None:
            parts = urlsplit(route.request.url)
            if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
                page.outside.append(route.request.url)
                route.abort()
            else:
                route.continue_()

        context.route("**/*", guard)
        page.on("console", lambda message: page.faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.base = server.url
        click = page.click

        def arrive(*where: Any, **how: Any) -> None:
            """A link's page stands there before the scripts that hear what is done on it."""
            click(*where, **how)
            page.wait_for_load_state()

        def until(holds: str, seconds: float = 120) -> None:
            """Asked anew from here: Playwright polls in the page with eval, which our policy forbids as soon as the first look is not the last."""
            for _turn in range(round(seconds * 20)):
                if page.evaluate(holds):
                    return
                page.wait_for_timeout(50)
            raise AssertionError(f"never: {holds}")

        page.click, page.wait_for_function = arrive, until
        pages.append(page)
        return page

    yield make
    for context in contexts:
        context.close()
    for page in pages:
        assert page.outside == [], "a page asked another machine"
