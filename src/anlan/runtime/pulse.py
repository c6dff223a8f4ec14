"""The stop event handed to a worker, which also is its pulse: the worker shows that it lives by asking whether to stop."""
from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

BEAT_SECONDS = 1.0


class Pulse(threading.Event):
    """A `threading.Event` set by SIGTERM and SIGINT. Each look at it (at most once a second) touches the beat file.

    A worker that hangs stops looking, its beat grows old, and /readyz and `anlan doctor` say so.
    """

    def __init__(self, beat: Path) -> None:
        super().__init__()
        self.beat = beat
        self._last = 0.0
        beat.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not set() right here: the handler may interrupt a wait() that holds the lock set() needs.
            signal.signal(number, lambda *_: threading.Thread(target=self.set).start())

    def _touch(self) -> None:
        now = time.monotonic()
        if now - self._last >= BEAT_SECONDS:
            self._last = now
            self.beat.touch()

    def is_set(self) -> bool:
        self._touch()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            self._touch()
            left = BEAT_SECONDS if until is None else min(BEAT_SECONDS, until - time.monotonic())
            if super().wait(max(0.0, left)):
                return True
            if until is not None and time.monotonic() >= until:
                return False
