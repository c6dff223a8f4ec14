"""A text message gateway that sends nothing: takes messages as real ones do, refuses as real ones do, and reports receipts.

POST /send {"to", "content", "key"} → {"code": 0, "id": …}. Numbers ending in 0001 are refused for good (code 17), in 0002 the
gateway is busy (503), in 0003 the message is taken and its receipt says failed; the rest is delivered. The same key
again gives the first answer. GET /messages lists what came.
"""
from __future__ import annotations

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from anlan.kernel import clock

from ..webhook.adapter import signature

LIMIT = 64 * 1024
SETTINGS: dict[str, Any] = {"body": {"to": "{number}", "content": "{text}", "key": "{id}"}, "ok": {"path": "code", "value": 0}, "reference": "id"}


class Simulator:
    """Serves on loopback from a thread of its own; `url` is known at once."""

    def __init__(self, port: int = 0, callback: str = "", secret: str = "", echo: bool = False) -> None:
        self.callback, self.secret, self.echo = callback, secret, echo
        self.messages: list[dict[str, str]] = []
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                if self.path != "/send" or size > LIMIT:
                    return self.answer(404 if size <= LIMIT else 413, {"code": 1, "message": "no"})
                try:
                    body = json.loads(self.rfile.read(size))
                    message = {name: str(body[name]) for name in ("to", "content", "key")}
                except (ValueError, KeyError, TypeError):
                    return self.answer(400, {"code": 2, "message": "want JSON with to, content, key"})
                self.answer(*outer.take(message))

            def do_GET(self) -> None:
                self.answer(200 if self.path == "/messages" else 404, outer.messages)

            def answer(self, status: int, body: Any) -> None:
                raw = json.dumps(body, ensure_ascii=False).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/send"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def take(self, message: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            if message["key"] in self.answers:
                return self.answers[message["key"]]
            tail = message["to"][-4:]
            if tail == "0002":
                return 503, {"code": 9, "message": "busy"}
            if tail == "0001":
                answer = (200, {"code": 17, "message": "number refused"})
            else:
                self.messages.append(message)
                answer = (200, {"code": 0, "id": f"sim-{len(self.messages)}"})
            self.answers[message["key"]] = answer
        if self.echo:
            print(json.dumps({**message, "answer": answer[1]}, ensure_ascii=False), flush=True)
        if self.callback and answer[1]["code"] == 0:
            threading.Thread(target=self.report, args=(answer[1]["id"], tail != "0003"), daemon=True).start()
        return answer

    def report(self, reference: str, ok: bool) -> None:
        """Tell the platform what became of it, signed as a real gateway would. Loopback only: it is a simulator."""
        body = json.dumps({"reference": reference, "ok": ok, "text": "" if ok else "absent subscriber"}).encode()
        timestamp = str(int(clock.now().timestamp()))
        headers = {"Content-Type": "application/json", "X-Anlan-Timestamp": timestamp, "Authorization": f"Anlan {signature(self.secret, timestamp, body)}"}
        try:
            urllib.request.urlopen(urllib.request.Request(self.callback, body, headers), timeout=10).close()
        except OSError as error:
            print(f"receipt for {reference}: {error}", flush=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def wait(self) -> None:
        self.thread.join()
