"""The port of every channel: a folder under adapters/ with an `adapter.py` that holds one `Adapter`. Found, not listed."""
from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, final
from urllib.parse import urlsplit
from uuid import UUID

from django.utils.translation import gettext as _

from anlan.kernel import outbound
from anlan.kernel.errors import Problem
from anlan.kernel.models import RegionPath

from . import encoding
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
    refused: bool = False  # the gate said no: nothing was tried


@dataclass(frozen=True)
class Report:
    """What the other side says by itself: what became of a message, or that a device lives."""

    kind: str  # delivered, read, acknowledged, failed; heartbeat; tone, tone_failed
    reference: str = ""  # the other side's key of the message, or the key we gave it
    device: str = ""
    text: str = ""
    at: datetime | None = None


class Adapter(ABC):
    """One kind of channel. Nothing leaves but through `send`, and `send` asks the gate as its last step; no adapter can go round it."""

    code: str = ""
    name: Any = ""  # translatable
    urgent: bool = False  # heard by everybody near it, at once: comes before all others
    personal: bool = False  # its targets are numbers or addresses of persons: masked in what leaves the house, erased after a year
    quiet: bool = False  # takes a correction without alarming anybody again
    longest: int = 0  # characters it carries; 0: no limit. A channel's own settings may say less (`longest`).
    segments: int = 0  # parts of a text message it carries; 0: it counts no parts

    def __init_subclass__(cls) -> None:
        for name in ("send", "send_many"):
            if name in cls.__dict__:
                raise TypeError(f"{cls.__name__} replaces {name}(): write hand_over(), the gate is asked before it")

    @final
    def send(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        """Ask the gate, then try once. May take seconds and raise anything: an exception is a failed attempt, never a stopped flow."""
        from .gate import may_be_sent

        verdict = may_be_sent(alert, channel)
        if not verdict.ok:
            return Outcome(False, verdict.reason, permanent=True, refused=True)
        return self.hand_over(channel, alert, attempt)

    @final
    def send_many(self, channel: Channel, alert: Alert, attempts: list[Attempt]) -> list[Outcome]:
        """Ask the gate, then hand over a batch in one call: for gateways that take many messages at once (`batch`)."""
        from .gate import may_be_sent

        verdict = may_be_sent(alert, channel)
        if not verdict.ok:
            return [Outcome(False, verdict.reason, permanent=True, refused=True)] * len(attempts)
        return self.hand_over_many(channel, alert, attempts)

    def batch(self, channel: Channel) -> int:
        """How many messages one call takes; 1: one by one."""
        return 1

    def hand_over_many(self, channel: Channel, alert: Alert, attempts: list[Attempt]) -> list[Outcome]:
        """As hand_over, for several; one outcome each, in their order. Called by `send_many` only."""
        raise NotImplementedError(f"{self.code} takes one message at a time")

    def collect(self, channel: Channel) -> Iterable[Report]:
        """Fetch what the other side has to say, where it does not call us. Reports go on being yielded until it is silent."""
        return ()

    def problem(self, settings: dict[str, Any]) -> str:
        """What is missing or wrong in a channel's settings, in words; '' when they will do."""
        return ""

    @abstractmethod
    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        """Whom to reach; one attempt row each."""

    @abstractmethod
    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        """Give it to the other side, once. Called by `send` only."""

    def text(self, alert: Alert) -> str:
        """What of it this channel carries, where that is text with a length; '' where it is not."""
        return ""

    def misfit(self, channel: Channel, alert: Alert) -> str:
        """Why the text does not fit this channel, in words; '' when it does. Nothing is cut: half a warning is another warning."""
        limit = min((n for n in (self.longest, channel.settings.get("longest")) if isinstance(n, int) and n > 0), default=0)
        parts = min((n for n in (self.segments, channel.settings.get("segments")) if isinstance(n, int) and n > 0), default=0)
        if parts:
            size = encoding.measure(channel.settings.get("prefix", "") + self.text(alert))
            if size.segments > parts:
                return _("its text makes {n} parts in {encoding}; this channel joins {limit}").format(n=size.segments, encoding=size.encoding, limit=parts)
        length = len(self.text(alert)) if limit else 0
        return _("its text has {length} characters; this channel carries {limit}").format(length=length, limit=limit) if length > limit > 0 else ""

    @final
    def within(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        """Its targets in the area it is registered for; one that lies nowhere counts, and our own posts are everywhere. Of an end for those an update leaves out: these, as they were told."""
        if alert.only_left_by is not None:
            from .gate import out_of_area

            rows = out_of_area(alert.only_left_by).filter(channel=channel).order_by("target", "-number").distinct("target")
            return (Target(row.target, row.target_name, row.region_id) for row in rows.iterator(2000))
        if channel.region_id is None or not channel.outward:
            return self.targets(channel, alert)
        inside = set(RegionPath.objects.filter(hierarchy="administrative", ancestor=channel.region_id).values_list("descendant_id", flat=True)) | {channel.region_id}
        return (target for target in self.targets(channel, alert) if target.region is None or target.region in inside)

    def count(self, channel: Channel, alert: Alert) -> int | None:
        """How many targets, for the words on the button; None when it is open to all."""
        return len({target.address for target in self.within(channel, alert)})

    def test(self, channel: Channel) -> Outcome:
        """Say a test sentence to the channel's own test target."""
        return Outcome(False, "this channel has no test", permanent=True)

    def alive(self, channel: Channel) -> Outcome | None:
        """Knock, and say nothing to anybody: does the other side answer? None: it cannot be asked, and its own reports are all there is."""
        return None

    def call(self, channel: Channel, number: str, text: str, reference: str) -> Outcome:
        """Reach one of our own people at a number: a call to the duty desk, never a warning."""
        return Outcome(False, "this channel reaches no single person", permanent=True)


def web_address(text: Any) -> bool:
    return urlsplit(str(text)).scheme in ("http", "https")


def knock(url: str, hosts: Iterable[str] = ()) -> Outcome | None:
    """Whether something behind a gateway's own address of health (`health_url`) answers; None where it has none."""
    if not url:
        return None
    try:
        answer = outbound.get(url, hosts=hosts, max_bytes=64 * 1024)
    except Problem as problem:
        return Outcome(False, str(problem), permanent=problem.kind is outbound.REFUSED)
    return Outcome(answer.status < 400, "" if answer.status < 400 else f"the gateway answered {answer.status}")


def personal() -> list[str]:
    """Codes of the adapters whose targets are persons."""
    return [code for code, adapter in adapters().items() if adapter.personal]


@cache
def adapters() -> dict[str, Adapter]:
    """Every adapter, by code."""
    from . import adapters as package

    found = {}
    for module in pkgutil.iter_modules(package.__path__):
        adapter = importlib.import_module(f"{package.__name__}.{module.name}.adapter").ADAPTER
        found[adapter.code] = adapter
    return found
