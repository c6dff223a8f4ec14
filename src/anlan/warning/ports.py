"""The port of every channel: a folder under adapters/ with an `adapter.py` that holds one `Adapter`. Found, not listed."""
from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from .models import Alert, Attempt, Channel


@dataclass(frozen=True)
class Target:
    address: str  # number, mail address, path, URL key or post:<uuid>
    name: str = ""
    region: UUID | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt. `permanent` errors are not tried again; `delivered` is a receipt that came at once."""

    ok: bool
    error: str = ""
    permanent: bool = False
    delivered: bool = False
    reference: str = ""


class Adapter(ABC):
    """One kind of channel. The alert was judged by the gate just before `send`; an adapter never decides that itself."""

    code: str = ""
    name: Any = ""  # translatable

    def problem(self, settings: dict[str, Any]) -> str:
        """What is missing or wrong in a channel's settings, in words; '' when they will do."""
        return ""

    @abstractmethod
    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        """Whom to reach; one attempt row each."""

    @abstractmethod
    def send(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        """Try once. May take seconds and raise anything: an exception is a failed attempt, never a stopped flow."""

    def count(self, channel: Channel, alert: Alert) -> int | None:
        """How many targets, for the words on the button; None when it is open to all."""
        return sum(1 for _ in self.targets(channel, alert))

    def test(self, channel: Channel) -> Outcome:
        """Say a test sentence to the channel's own test target."""
        return Outcome(False, "this channel has no test", permanent=True)

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        """Reach one of our own people at a number: a call to the duty desk, never a warning."""
        return Outcome(False, "this channel reaches no single person", permanent=True)


@cache
def adapters() -> dict[str, Adapter]:
    """Every adapter, by code."""
    from . import adapters as package

    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        adapter = importlib.import_module(f"{package.__name__}.{module.name}.adapter").ADAPTER
        found[adapter.code] = adapter
    return found
