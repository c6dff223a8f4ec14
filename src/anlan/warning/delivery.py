"""Getting an issued alert out: rows first, claim by conditional UPDATE, send after commit, the gate asked last.

Nothing here runs inside the action that issued the alert. A claimed row whose sender died is *unsure*, never sent again
by itself: a person decides, because a doubled call to flee and a missing one are both wrong.
"""
from __future__ import annotations

import hashlib
import logging
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from anlan.kernel import access, clock, due
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.facts import PersonalErased
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Installation
from anlan.kernel.retention import BASIS

from . import ports
from .errors import IN_FLIGHT, NOT_POSSIBLE, NOT_SENT
from .facts import ChannelTested, DeliveryAsked, DeliveryFinished
from .gate import may_be_sent
from .models import Alert, Attempt, Channel, Receipt

log = logging.getLogger("anlan.warning")

STUCK = timedelta(minutes=10)  # longer than any adapter's time limit: a claim this old has no sender
TRIES = 4
MANY, SENDERS = 16, 8
BACK_OFF = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))


def deliver(alert_id: UUID, cause: UUID | None = None) -> None:
    """Make the attempt rows (once), then send what waits. Idempotent: rows have derived keys, sent rows are not claimed again."""
    alert = Alert.plain.select_related("realm").get(pk=alert_id)
    channels = _channels(alert)
    with transaction.atomic():
        for channel in channels:
            _queue(alert, channel)
    for channel in channels:
        send_waiting(alert_id, channel)
    act = Act(Actor.machine("warning"), alert.realm, op_id=derived_id("warning.sum_up", alert_id, cause), cause=cause)
    sum_up(act, alert=alert_id)


def _channels(alert: Alert) -> list[Channel]:
    chosen = list(Channel.objects.filter(pk__in=[UUID(key) for key in alert.channels]))
    # Our own posts always hear of it, also in an exercise and also when nothing else was chosen.
    own = list(Channel.objects.filter(adapter="in_app", enabled=True).exclude(pk__in=[channel.pk for channel in chosen]))
    return sorted([*chosen, *own], key=lambda channel: (channel.outward, str(channel.pk)))


def _queue(alert: Alert, channel: Channel) -> None:
    verdict = may_be_sent(alert, channel)
    if not verdict.ok:
        # One row says that the gate refused and why; there is no list of people it might have gone to.
        Attempt.plain.get_or_create(
            id=derived_id("warning.attempt", alert.pk, channel.pk, "gate"),
            defaults={
                "realm_id": alert.realm_id, "alert": alert, "channel": channel, "target": "", "state": Attempt.REFUSED, "error": verdict.reason,
                "permanent": True, "ended_at": clock.now(),
            },
        )
        return
    adapter = ports.adapters()[channel.adapter]
    rows = [
        Attempt(
            id=derived_id("warning.attempt", alert.pk, channel.pk, target.address), realm_id=alert.realm_id, alert=alert, channel=channel,
            target=target.address[:300], target_name=target.name[:160], region_id=target.region,
        )
        for target in adapter.targets(channel, alert)
    ]
    Attempt.plain.bulk_create({row.pk: row for row in rows}.values(), ignore_conflicts=True, batch_size=1000)


def send_waiting(alert_id: UUID, channel: Channel) -> None:
    """Send every waiting attempt of a channel, one claim at a time; two workers never send the same row."""
    now = clock.now()
    Attempt.plain.filter(alert_id=alert_id, channel=channel, state=Attempt.CLAIMED, claimed_at__lt=now - STUCK).update(
        state=Attempt.UNSURE, error="the sender died after it had claimed this row", ended_at=now
    )
    waiting = Attempt.plain.filter(alert_id=alert_id, channel=channel, state=Attempt.QUEUED).exclude(not_before__gt=now)
    keys = list(waiting.order_by("number", "pk").values_list("pk", flat=True))
    if len(keys) < MANY or connection.in_atomic_block:  # another connection would not see rows that are not committed
        for key in keys:
            _send(key)
        return
    # A thousand messages must not wait for one another's answers. The claim keeps two senders off one row.
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="send") as pool:
        for done in [pool.submit(_send_all, keys[first::SENDERS], get_language()) for first in range(SENDERS)]:
            done.result()


def _send_all(keys: list[UUID], language: str | None) -> None:
    try:
        with override(language):
            for key in keys:
                _send(key)
    finally:
        connection.close()


def _send(key: UUID) -> None:
    claimed = Attempt.plain.filter(pk=key, state=Attempt.QUEUED).update(state=Attempt.CLAIMED, claimed_at=clock.now(), version=F("version") + 1)
    if not claimed:
        return
    attempt = Attempt.plain.select_related("channel", "alert", "alert__realm").get(pk=key)
    alert, channel = attempt.alert, attempt.channel
    try:
        # Asks the gate on rows read this instant: a cancel or a hold a second ago still counts.
        outcome = ports.adapters()[channel.adapter].send(channel, alert, attempt)
    except Exception as error:  # a dead supplier is a failed attempt; it must never stop the flow
        log.warning("channel %s: %s", channel.name, error)
        outcome = ports.Outcome(False, f"{type(error).__name__}: {error}"[:500])
    if outcome.refused:
        _finish(attempt, Attempt.REFUSED, outcome.error, permanent=True)
        return
    if outcome.ok:
        _finish(attempt, Attempt.DELIVERED if outcome.delivered else Attempt.SENT, "", reference=outcome.reference)
        if outcome.delivered:
            Receipt.plain.get_or_create(attempt=attempt, kind="delivered", defaults={"realm_id": attempt.realm_id, "at": clock.now(alert.realm)})
        Channel.objects.filter(pk=channel.pk).update(last_ok_at=clock.now())
        return
    _finish(attempt, Attempt.FAILED, outcome.error, permanent=outcome.permanent)
    Channel.objects.filter(pk=channel.pk).update(last_error=outcome.error[:500], last_error_at=clock.now())
    if not outcome.permanent and attempt.number < TRIES:
        again(attempt, wait=BACK_OFF[min(attempt.number, len(BACK_OFF)) - 1])


def _finish(attempt: Attempt, state: str, error: str, permanent: bool = False, reference: str = "") -> None:
    attempt.state, attempt.error, attempt.permanent, attempt.reference, attempt.ended_at = state, error[:2000], permanent, reference[:200], clock.now()
    attempt.version += 1
    attempt.save(update_fields=["state", "error", "permanent", "reference", "ended_at", "version"])


def again(attempt: Attempt, wait: timedelta = timedelta()) -> Attempt:
    """A re-send is a new row that points at the first one."""
    number = attempt.number + 1
    row, _fresh = Attempt.plain.get_or_create(
        id=derived_id("warning.attempt", attempt.alert_id, attempt.channel_id, attempt.target, number),
        defaults={
            "realm_id": attempt.realm_id, "alert_id": attempt.alert_id, "channel_id": attempt.channel_id, "target": attempt.target,
            "target_name": attempt.target_name, "region_id": attempt.region_id, "number": number, "first_id": attempt.first_id or attempt.pk,
            "not_before": clock.now() + wait,
        },
    )
    return row


@action("warning.sum_up")
def sum_up(act: Act, *, alert: UUID) -> None:
    """State one fact per channel whose attempts have all ended: counts and digest; arm the timer for what is tried again."""
    from anlan.kernel import journal

    row = act.lock(Alert, alert, check_version=False)
    stated = {fact.payload["channel"] for fact in journal.about(f"alert:{alert}", act.realm) if fact.kind == "warning.DeliveryFinished"}
    open_states = (Attempt.QUEUED, Attempt.CLAIMED)
    for channel in sorted(set(Attempt.plain.filter(alert=row).values_list("channel_id", flat=True)), key=str):
        attempts = list(Attempt.plain.filter(alert=row, channel_id=channel).order_by("target", "number").values_list("target", "number", "state"))
        if any(state in open_states for _to, _n, state in attempts):
            # Retries wait on wall time; the realm's clock is wall time wherever anything can leave.
            due.at(act, act.now + BACK_OFF[0], "warning.retry", subject=f"alert:{alert}")
            continue
        if str(channel) in stated:
            continue
        last = {target: state for target, _n, state in attempts}
        digest = "sha256:" + hashlib.sha256("\n".join(f"{target} {state}" for target, state in sorted(last.items())).encode()).hexdigest()
        act.state(DeliveryFinished(alert=row.pk, channel=channel, counts=dict(sorted(Counter(last.values()).items())), digest=digest), about=row, cause=act.cause or row.last_fact)


@action("warning.ask_again")
def ask_again(act: Act, *, alert: UUID) -> None:
    """Let the job send what waits: sending never happens inside a transaction."""
    row = act.lock(Alert, alert, check_version=False)
    act.state(DeliveryAsked(alert=row.pk), about=row, cause=row.last_fact)


@action("warning.resend")
def resend(act: Act, *, attempt: UUID) -> Attempt:
    """A person sends a failed or unsure attempt again: a new row; refused while one is in flight."""
    row = act.lock(Attempt, attempt)
    access.require(act, "warning.issue_internal", region=row.alert.region_id)
    if row.state in (Attempt.QUEUED, Attempt.CLAIMED):
        raise IN_FLIGHT()
    if row.state not in (Attempt.FAILED, Attempt.UNSURE, Attempt.SENT):
        raise NOT_POSSIBLE(state=row.get_state_display())
    verdict = may_be_sent(row.alert, row.channel)
    if not verdict.ok:
        raise NOT_SENT(reason=verdict.reason)
    if Attempt.plain.filter(alert=row.alert_id, channel=row.channel_id, target=row.target, state__in=[Attempt.QUEUED, Attempt.CLAIMED]).exists():
        raise IN_FLIGHT()
    latest = Attempt.plain.filter(alert=row.alert_id, channel=row.channel_id, target=row.target).order_by("-number").first()
    fresh = again(latest or row)
    ask_again(act, alert=row.alert_id)
    return fresh


@action("warning.test_channel")
def note_test(act: Act, *, channel: UUID, ok: bool, error: str) -> None:
    row = act.lock(Channel, channel, check_version=False)
    act.state(ChannelTested(channel=row.pk, ok=ok, error=error[:300]), about=row)


def test_channel(act: Act, channel: Channel) -> ports.Outcome:
    """Send the channel's test sentence to its own test target, outside any transaction, and note the result.

    Only the fixed sentence "this is a test" can leave this way; no text of an alert ever does.
    """
    access.require(act, "warning.issue_internal")
    if channel.outward and not channel.test:
        if Installation.current().outward_held:
            raise NOT_SENT(reason=_("the outward channels are held after a restore; a person must release them"))
        if (settings.HOME / "demo.json").exists():
            raise NOT_SENT(reason=_("this data folder holds demonstration accounts"))
    try:
        outcome = ports.adapters()[channel.adapter].test(channel)
    except Exception as error:
        outcome = ports.Outcome(False, f"{type(error).__name__}: {error}"[:300])
    note_test(act, channel=channel.pk, ok=outcome.ok, error=outcome.error)
    return outcome


def record_receipt(channel: Channel, reference: str, ok: bool, text: str = "") -> bool:
    """A gateway reports what became of a message it took. Returns whether it was one of ours; a repeat changes nothing."""
    with transaction.atomic():
        attempt = Attempt.plain.select_for_update().filter(channel=channel, reference=reference).exclude(reference="").first()
        if attempt is None:
            return False
        _receipt, made = Receipt.plain.get_or_create(
            attempt=attempt, kind="delivered" if ok else "failed", defaults={"realm_id": attempt.realm_id, "at": clock.now(), "text": text[:500]}
        )
        if made and attempt.state in (Attempt.SENT, Attempt.UNSURE):
            attempt.state = Attempt.DELIVERED if ok else Attempt.FAILED
            attempt.error = "" if ok else text[:500]
            attempt.version += 1
            attempt.save(update_fields=["state", "error", "version"])
        return True


KEPT = timedelta(days=365)  # as Attempt.PERSONAL says
ERASED = "erased:"


@action("warning.forget_targets")
def forget_targets(act: Act) -> int:
    """Each day: erase numbers and addresses of persons from attempts whose alert ended a year ago. The rows stay and still count."""
    rows = Attempt.plain.filter(realm=act.realm, alert__ended_at__lt=act.now - KEPT, channel__adapter__in=("sms", "email")).exclude(target__startswith=ERASED)
    found = list(rows[:5000])
    for row in found:
        row.target, row.target_name, row.error = f"{ERASED}{row.pk}", "", ""
    Attempt.plain.bulk_update(found, ["target", "target_name", "error"], batch_size=500)
    if found:
        act.state(PersonalErased(about="warning.attempt", fields=["target", "target_name", "error"], basis=BASIS), subject=f"realm:{act.realm.pk}")
    return len(found)
