"""What this room measures of itself, for `anlan bench`: the gate's cost, and an alert's way to every receipt.

The way is the real one: the running workers send over HTTP to the gateway simulator in this process, and each receipt it
reports is recorded. It needs a folder of its own in which 127.0.0.1 may be called. `anlan bench --only million` tells a million
numbers, with the job worker killed in the middle (`million:20000` for another number).
"""
from __future__ import annotations

import json
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID

import psutil
from django.conf import settings
from django.db import connection, transaction

from anlan.kernel import journal, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import new_id
from anlan.kernel.models import Account, Assignment, Grant, Organisation, Person, Post, Region

from . import actions, delivery, people, proof, queries
from .adapters.sms.simulator import SETTINGS, Simulator
from .gate import may_be_sent
from .models import Alert, Attempt, Channel, Receipt

TARGETS = 1000
ASKED = 500
WAIT_S = 300
SINCE = datetime(2020, 1, 1, tzinfo=UTC)


def _row(figure: str, value: float | None, unit: str, note: str) -> dict[str, Any]:
    return {"figure": figure, "value": value if value is None else round(value, 2), "unit": unit, "note": note}


def _officer(post: Post) -> Actor:
    person = Person.objects.create(name=f"bench {new_id()}", organisation=post.organisation)
    account = Account.objects.create_account(f"bench-{person.pk.hex[-8:]}", new_id().hex, person=person)
    Assignment.objects.create(person=person, post=post, role="A", starts_at=SINCE)
    return Actor(account_id=account.pk, person_id=person.pk, post_id=post.pk, device="bench", second_factor=True)


def two() -> tuple[Region, Actor, Actor]:
    region = Region.objects.create(name=f"bench {new_id().hex[-6:]}", kind="county")
    post = Post.objects.create(name="bench", organisation=Organisation.objects.create(name="bench", region=region), region=region, kind="")
    for capability in ("warning.compose", "warning.approve", "warning.issue", "warning.issue_internal", "warning.read"):
        Grant.objects.create(post=post, capability=capability, region=region, starts_at=SINCE)
    return region, _officer(post), _officer(post)


def approved(channels: list[str], region: Region, author: Actor, approver: Actor, status: str = "Test") -> Alert:
    realm = realms.actual()
    row = actions.compose(
        Act(author, realm), kind="government", hazard="X-FLASHFLOOD", colour="red", regions=[str(region.pk)], headline="通道测试", description="这是一次测量，不是预警。",
        channels=channels, status=status,
    )
    actions.submit(Act(author, realm), alert=row.pk)
    return actions.approve(Act(approver, realm), alert=row.pk, seen_hash=row.content_hash)


def _gate() -> list[dict[str, Any]]:
    with transaction.atomic():
        region, author, approver = two()
        out = Channel.objects.create(name=f"bench {new_id()}", adapter="cap_feed", audience="public", enabled=True, test=True)
        row = actions.issue(Act(approver, realms.actual()), alert=approved([str(out.pk)], region, author, approver).pk)
        times = []
        for _number in range(ASKED):
            fresh = Alert.plain.select_related("realm").get(pk=row.pk)
            began = time.perf_counter()
            verdict = may_be_sent(fresh, out)
            times.append((time.perf_counter() - began) * 1000)
            assert verdict, verdict.reason
        transaction.set_rollback(True)
    times.sort()
    note = f"may_be_sent, asked {ASKED} times of a public alert on rows read afresh"
    return [_row("warning: gate, p50", times[len(times) // 2], "ms", note), _row("warning: gate, p99", times[int(len(times) * 0.99)], "ms", note)]


class Gateway(Simulator):
    """Takes messages over HTTP and reports each receipt from a thread of its own, again until its message is known to us."""

    def __init__(self, channel: UUID) -> None:
        super().__init__(callback="in this process")
        self.channel = channel

    def report(self, reference: str, ok: bool) -> None:
        row = Channel.objects.get(pk=self.channel)
        while not delivery.record_receipt(row, reference, ok):
            time.sleep(0.05)
        connection.close()


def _whole() -> list[dict[str, Any]]:
    if "127.0.0.1" not in settings.OUTBOUND_ALLOW:
        return [_row("warning: issued → every receipt in", None, "s", "not measured: 127.0.0.1 may not be called")]
    region, author, approver = two()
    key = new_id()
    with Gateway(key) as gateway:
        numbers = [f"129{number:08d}" for number in range(10_000, 10_000 + 2 * TARGETS) if number % 10_000 not in (1, 2, 3)][:TARGETS]
        Channel.objects.create(
            pk=key, name=f"bench {key}", adapter="sms", audience="public", enabled=True, test=True,
            settings={**SETTINGS, "url": gateway.url, "numbers": numbers},
        )
        row = approved([str(key)], region, author, approver)
        began = time.perf_counter()
        actions.issue(Act(approver, realms.actual()), alert=row.pk)
        first = sent = done = 0.0
        tried = Attempt.plain.filter(alert=row, channel_id=key)
        while not done and time.perf_counter() - began < WAIT_S:
            at = time.perf_counter() - began
            first = first or (at if tried.filter(state__in=[Attempt.SENT, Attempt.DELIVERED]).exists() else 0.0)
            sent = sent or (at if tried.filter(ended_at__isnull=False).count() == TARGETS else 0.0)
            done = at if Receipt.plain.filter(attempt__alert=row, attempt__channel_id=key).count() == TARGETS else 0.0
            time.sleep(0.01)
    Channel.objects.filter(pk=key).update(enabled=False)
    note = f"{TARGETS:,} numbers, one HTTP call each to a simulated gateway; a row for each attempt and receipt, fsync on"
    return [
        _row("warning: issued → first message out", first, "s", note), _row(f"warning: issued → {TARGETS:,} messages out", sent or None, "s", note),
        _row(f"warning: issued → {TARGETS:,} receipts in", done or None, "s", note),
    ]


def bench() -> list[dict[str, Any]]:
    """What the gate costs for one target, and how long an alert takes to every receipt through running services."""
    return _gate() + _whole()


# --- a million -------------------------------------------------------------------------------------------------------

BATCH = 500
KILL_AT = 0.3
LONGEST_S = 3600


class Bulk:
    """A gateway on loopback that takes many in one call. With `drops_repeats` a key it has had is answered, and not delivered again."""

    def __init__(self, drops_repeats: bool) -> None:
        self.drops_repeats = drops_repeats
        self.keys: set[int] = set()
        self.delivered, self.repeats, self.last, self.busy = 0, 0, 0.0, 0.0
        self.targets: set[int] = set()
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                messages = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"]
                raw = json.dumps({"results": [outer.take(one) for one in messages]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/send"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, message: dict[str, str]) -> dict[str, Any]:
        key, number = UUID(message["key"]).int, int(message["to"])
        with self.lock:
            now = time.perf_counter()
            self.busy += now - self.last if now - self.last < 2 else 0  # longer, and the worker was dead or waited for its dead rows
            self.last = now
            if self.drops_repeats and key in self.keys:
                self.repeats += 1
            else:
                self.keys.add(key)
                self.delivered += 1
                self.targets.add(number)
        return {"code": 0, "id": message["key"]}

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _jobs_pid() -> int | None:
    pids = json.loads((settings.HOME / "run" / "addresses.json").read_text())["pids"]
    return pids.get("work")


def _many(count: int, drops_repeats: bool, kill: bool, at: Callable[[Alert, Bulk], bool] | None = None) -> dict[str, Any]:
    """One alert to so many numbers through the running worker; killed at `KILL_AT` of them if asked."""
    region, author, approver = two()
    gateway, name = Bulk(drops_repeats), f"bench-{new_id().hex[-8:]}"
    path = people.list_path(name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"13{number:09d}\n" for number in range(count))
    channel = Channel.objects.create(
        name=name, adapter="sms", audience="public", enabled=True, test=True, again_if_unsure=drops_repeats,
        settings={
            "url": gateway.url, "list": name, "batch": BATCH, "each": {"to": "{number}", "key": "{id}", "content": "{text}"}, "body": {"messages": "{messages}"}, "results": "results",
            "ok": {"path": "code", "value": 0}, "reference": "id",
        },
    )
    row = approved([str(channel.pk)], region, author, approver)
    began = time.perf_counter()
    actions.issue(Act(approver, realms.actual()), alert=row.pk)
    found: dict[str, Any] = {"peak": 0.0, "queued": 0.0, "killed": 0.0, "resumed": 0.0, "first": 0.0}
    tried, ended, looked = Attempt.plain.filter(alert=row, channel=channel), False, 0.0
    while not ended and time.perf_counter() - began < LONGEST_S:
        time.sleep(0.05)
        now, pid = time.perf_counter(), _jobs_pid()
        if pid is not None and psutil.pid_exists(pid):
            try:
                found["peak"] = max(found["peak"], psutil.Process(pid).memory_info().rss / 2**20)
            except psutil.Error:
                pass
        if not found["queued"] and any(fact.kind == "warning.DeliveryQueued" and fact.payload["channel"] == str(channel.pk) for fact in journal.about(f"alert:{row.pk}")):
            found["queued"] = now - began
        if gateway.delivered and not found["first"]:
            found["first"] = now - began
        if kill and not found["killed"] and gateway.delivered >= KILL_AT * count and pid is not None:
            os.kill(pid, signal.SIGKILL)
            time.sleep(1)  # what it had on the line is answered meanwhile
            found["killed"], found["before"] = time.perf_counter(), gateway.delivered
            found["in_flight"] = tried.filter(state=Attempt.CLAIMED).count()
        if found["killed"] and not found["resumed"] and gateway.last > found["killed"]:
            found["resumed"] = gateway.last - found["killed"]
        if at is not None and at(row, gateway):
            at = None
            found["cancelled_at"] = gateway.delivered
        if found["queued"] and now - looked > 2:
            looked = now
            ended = not tried.filter(state__in=[Attempt.QUEUED, Attempt.CLAIMED]).exists()
    found["sent"], found["busy"] = gateway.last - began, gateway.busy
    found |= {"delivered": gateway.delivered, "repeats": gateway.repeats, "numbers": len(gateway.targets), "unsure": tried.filter(state=Attempt.UNSURE).count(), "ended": ended}
    found |= {"alert": row.pk, "approver": approver}
    found["refused"] = tried.filter(state=Attempt.REFUSED).count()
    found["whole"] = next((one for one in queries.nobody_skipped(Alert.plain.get(pk=row.pk)) if one["channel"] == str(channel.pk)), None)
    Channel.objects.filter(pk=channel.pk).update(enabled=False)
    gateway.close()
    path.unlink()
    return found


def _proof(alert: UUID, actor: Actor) -> list[dict[str, Any]]:
    """Its proof written to a file and checked again: what that costs beside the rows."""
    from anlan.engines.cap.proving import lines_of, prove

    path = settings.HOME / "run" / f"{new_id()}.jsonl.gz"
    peak = psutil.Process().memory_info().rss
    began, spent = time.perf_counter(), time.process_time()
    with path.open("wb") as file:
        file.writelines(proof.file(actor, alert))
    written, cost = time.perf_counter() - began, time.process_time() - spent
    size = path.stat().st_size / 1e6
    began = time.perf_counter()
    lines = prove(lines_of(path))
    checked = time.perf_counter() - began
    path.unlink()
    grown = max(0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - peak) / 2**20
    wrong = [line.what for line in lines if not line.ok]
    return [
        _row("a million: its proof written", written, "s", f"{size:.0f} MB packed, {cost:.1f} CPU-s here, beside PostgreSQL's"),
        _row("a million: its proof checked again", checked, "s", f"{len(lines)} lines, {'all hold' if not wrong else '; '.join(wrong)}"),
        _row("a million: memory of writing and checking", grown, "MB", "the most this process grew above what it held before"),
    ]


def million(count: int = 1_000_000) -> list[dict[str, Any]]:
    """One alert to a million numbers: pace, memory, a killed worker, a gateway that knows repeats and one that does not, a cancel in the middle."""
    if "127.0.0.1" not in settings.OUTBOUND_ALLOW:
        return [_row("a million: issued → all sent", None, "s", "not measured: 127.0.0.1 may not be called")]
    bound = delivery.SENDERS * BATCH
    once = _many(count, drops_repeats=True, kill=True)
    whole = once["whole"] or {}
    note = f"{count:,} numbers, {BATCH} a call to a gateway in another process, a row each, fsync on; the job worker killed (-9) at {KILL_AT:.0%}"
    rows = [
        _row("a million: rows made", count / once["queued"] if once["queued"] else None, "/s", note),
        _row("a million: messages sent", count / once["busy"] if once["busy"] else None, "/s", "while any were sent: pauses of two seconds and more (the kill, the wait for its open rows) left out"),
        _row("a million: issued → last message", once["sent"], "s", "the pause after the kill and the wait for its open rows in it"),
        _row("a million: memory of the job worker, most", once["peak"], "MB", "resident"),
        _row("a million: killed → sending again", once["resumed"], "s", "the supervisor starts a worker, the job is taken over, the rest is claimed"),
        _row("a million: numbers told exactly once", once["delivered"], "", f"gateway that drops repeats: {once['numbers']:,} numbers, {once['repeats']:,} repeats dropped, {once['in_flight']:,} were in flight"),
        _row("a million: rows held against the list", whole.get("rows"), "", f"same targets: {whole.get('same')}, without an end: {whole.get('open')}"),
    ]
    rows += _proof(once["alert"], once["approver"])
    part = max(count // 5, 4 * bound)
    blind = _many(part, drops_repeats=False, kill=True)
    rows.append(_row(
        "killed, gateway that knows no repeat: unknown", blind["unsure"], "", f"of {part:,}; never more than {bound:,} ({delivery.SENDERS} senders × {BATCH}); shown as unknown and sent again, being a warning: "
        f"{blind['delivered'] - blind['numbers']:,} numbers got it twice, {part - blind['numbers']:,} not at all",
    ))

    def cancel(row: Alert, gateway: Bulk) -> bool:
        if gateway.delivered < part * KILL_AT:
            return False
        actions.end_as_prepared(Act(_actor(Alert.plain.get(pk=row.pk).issued_by), realms.actual()), alert=row.pk, how="cancel")
        return True

    stopped = _many(part, drops_repeats=True, kill=False, at=cancel)
    after = stopped["delivered"] - stopped.get("cancelled_at", 0)
    rows.append(_row(
        "cancelled in the middle: messages after the cancel was kept", after, "",
        f"of {part:,}, cancelled at {stopped.get('cancelled_at', 0):,}; the cancel's own messages are among them; {stopped['refused']:,} of the warning's rows refused by the gate",
    ))
    return rows


def _actor(person: UUID | None) -> Actor:
    held = Assignment.objects.select_related("person").get(person=person)
    account = Account.objects.get(person=person)
    return Actor(account_id=account.pk, person_id=held.person_id, post_id=held.post_id, device="bench", second_factor=True)


LONG = {"million": million}
