"""What this room measures of itself, for `anlan bench`: from a person's press of the button to the public page that says so.

The way is the real one: fact, seal, job, signature, second job, files, swapped link; the running workers do it. Nothing leaves the machine.
"""
from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from anlan.engines import cap
from anlan.kernel import clock, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import new_id
from anlan.kernel.models import Post
from anlan.warning import actions
from anlan.warning.bench import approved, two
from anlan.warning.models import Channel

from . import actions as exchange
from . import publishing

TRIALS = 7
PATIENCE_S = 60


def _until(look: Callable[[set[str]], bool]) -> float | None:
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_S:
        try:
            page = json.loads((publishing.folder() / "current" / "alerts.json").read_bytes())
            if look({one["id"] for one in page["in_force"]}):
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.01)
    return None


def bench() -> list[dict[str, Any]]:
    """How late the public page is, for an issue and for an all-clear."""
    names = ("public page: issued → on the page", "public page: all-clear → off the page")
    if (settings.HOME / "demo.json").exists():
        return [{"figure": name, "value": None, "unit": "s", "note": "not measured: a folder with demonstration accounts publishes nothing"} for name in names]
    region, author, approver = two()
    channel = Channel.objects.create(name=f"bench {new_id()}", adapter="cap_feed", audience="public", enabled=True)
    on, off = [], []
    for _trial in range(TRIALS):
        row = approved([str(channel.pk)], region, author, approver, status="Actual")
        actions.issue(Act(approver, realms.actual()), alert=row.pk)
        on.append(_until(lambda seen, key=str(row.pk): key in seen))  # type: ignore[misc]
        actions.end_as_prepared(Act(approver, realms.actual()), alert=row.pk, how="all_clear")
        off.append(_until(lambda seen, key=str(row.pk): key not in seen))  # type: ignore[misc]
    Channel.objects.filter(pk=channel.pk).update(enabled=False)
    rows = []
    for name, times in zip(names, (on, off), strict=True):
        known = sorted(one for one in times if one is not None)
        lost = f"; {len(times) - len(known)} of {len(times)} not within {PATIENCE_S} s" if len(known) < len(times) else ""
        rows.append({"figure": f"{name}, p50", "value": round(known[len(known) // 2], 2) if known else None, "unit": "s", "note": f"{TRIALS} times, worst {known[-1] if known else 0:.2f} s{lost}"})
    return rows


INBOUND = 20_500  # of which 10,000 in feeds, 10,000 behind an index, 500 pushed one by one
THREADS = 4
IN_FEED = 250
SINGLE = 500


def _foreign(number: int, mark: str) -> bytes:
    """A message as another issuer writes it; each over its own hundredth of a degree, of a county no one else has."""
    lat, lon, now = 20 + number % 100 / 100, 100 + number // 100 % 100 / 100, clock.now().replace(microsecond=0)
    ring = ((lat, lon), (lat, lon + 0.01), (lat + 0.01, lon + 0.01), (lat + 0.01, lon), (lat, lon))
    info = cap.Info(
        language="zh-CN", categories=("Met",), event="暴雨", urgency="Immediate", severity="Severe", certainty="Observed", expires=now + timedelta(hours=6), headline="暴雨橙色预警",
        sender_name="bench", areas=(cap.Area(description="bench", polygons=(ring,)),),
    )
    return cap.build(cap.Alert(identifier=f"{mark}-{number}", sender="bench@example.invalid", sent=now, status="Actual", msg_type="Alert", scope="Public", infos=(info,)))


def inbound(count: int = INBOUND) -> list[dict[str, Any]]:
    """Ten thousand alerts from outside, in feeds as a region's issuers serve them, as documents of their own behind an index, and some hundred pushed one by one: read, checked, placed, stored, stated, and on a desk."""
    region, _author, _approver = two()
    Post.objects.filter(region=region).update(kind="duty_officer")  # on whose desk they lie
    mark = new_id().hex[-6:]
    alerts = [_foreign(number, mark) for number in range(count)]
    actor = Actor.machine("exchange")

    def take(part: list[list[bytes]]) -> int:
        try:
            return sum(
                len(one["received"]) for lot in part
                for one in exchange.take_in_many(Act(actor, realms.actual(), op_id=new_id()), documents=lot, digest=hashlib.sha256(lot[0]).hexdigest(), source="bench", heard_by="api")
            )
        finally:
            connection.close()

    def measure(documents: list[list[bytes]]) -> tuple[float, float, int]:
        """(alerts in a minute by the clock, ms of this process's processor for each, how many)."""
        began, used = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(THREADS) as pool:
            taken = sum(pool.map(take, [documents[first::THREADS] for first in range(THREADS)]))
        return 60 * taken / (time.perf_counter() - began), 1000 * (time.process_time() - used) / max(1, taken), taken

    single = min(SINGLE, count // 10)
    rest = alerts[single:]
    half = len(rest) // 2
    lots = [rest[first:min(first + IN_FEED, half)] for first in range(0, half, IN_FEED)]
    feeds = [[_feed(rest[first:first + IN_FEED])] for first in range(half, len(rest), IN_FEED)]
    note = f"by {THREADS} threads of one process; database, sealer and followers on the same cores"
    rows = []
    for name, documents, how in (
        ("in feeds", feeds, f"{IN_FEED} a feed"), ("documents of their own behind an index", lots, f"{IN_FEED} together, as a poll takes them; without their calls"), ("pushed one by one", [[one] for one in alerts[:single]], "each a transaction"),
    ):
        speed, cost, taken = measure(documents)
        rows.append({"figure": f"outside alerts taken in, in a minute, {name}", "value": round(speed), "unit": "", "note": f"{taken:,} alerts, {how}; {note}"})
        rows.append({"figure": f"the same, {name}: processor of the process that takes them in", "value": round(cost, 2), "unit": "ms", "note": "each; without the database's"})
    return rows


def _feed(alerts: list[bytes]) -> bytes:
    """An Atom feed that carries its alerts in itself."""
    entries = b"".join(b"<entry><id>%d</id><title>bench</title><content type='application/cap+xml'>%s</content></entry>" % (number, raw.partition(b"?>")[2]) for number, raw in enumerate(alerts))
    return b"<feed xmlns='http://www.w3.org/2005/Atom'><id>bench</id><title>bench</title>" + entries + b"</feed>"


LONG = {"inbound": inbound}
