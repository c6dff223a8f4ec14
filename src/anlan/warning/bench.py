"""What this room measures of itself, for `anlan bench`: the gate's cost, and an alert's way to every receipt.

The way is the real one: the running workers send over HTTP to the gateway simulator in this process, and each receipt it
reports is recorded. It needs a folder of its own in which 127.0.0.1 may be called.
"""
from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from anlan.kernel import realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import new_id
from anlan.kernel.models import Account, Assignment, Grant, Organisation, Person, Post, Region

from . import actions, delivery
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
