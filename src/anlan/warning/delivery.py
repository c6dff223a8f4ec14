"""Getting an issued alert out: rows first, claim by conditional UPDATE, send after commit, the gate asked last.

Nothing here runs inside the action that issued the alert. A claimed row whose sender died is *unsure*; `_take_back` says what then.
"""
from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models import Sum as Total
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _

from anlan.engines.cap.proving import BY_VOICE, ERASED, FINISHED, Sum, attempt_line, receipt_line
from anlan.kernel import access, clock, due
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.facts import PersonalErased
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Due, Installation, Operation, RegionPath
from anlan.kernel.retention import BASIS

from . import gate, ports
from .errors import IN_FLIGHT, NOT_POSSIBLE, NOT_SENT
from .facts import ChannelTested, DeliveryAsked, DeliveryFinished, DeliveryQueued
from .gate import heard, may_be_sent
from .models import Alert, Attempt, Channel, Pace, Receipt

log = logging.getLogger("anlan.warning")

STUCK = timedelta(minutes=2)  # longer than any adapter's time limit: a claim this old has no sender
PORTION = 2000  # targets made into rows at a time
TRIES = 4
MANY, SENDERS = 16, 8
BY_CHANNEL = ~Q(target__startswith=BY_VOICE)  # rows a channel was given; a place told by voice is a row, too
SETTLED = timedelta(minutes=1)  # a receipt this old has been written, or never will be
RECOUNT = timedelta(minutes=10)
BEFORE = datetime.min.replace(tzinfo=UTC)
BACK_OFF = (timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10))


def deliver(alert_id: UUID, cause: UUID | None = None) -> None:
    """Make the attempt rows (once), then send what waits. Idempotent: rows have derived keys, sent rows are not claimed again.

    Devices come first, then desks and feeds, and all of them before the first number is listed: a siren does not wait for a million rows,
    nor does what stands in for it.
    """
    alert = Alert.plain.select_related("realm").get(pk=alert_id)
    channels = _channels(alert)
    for numbers in (False, True):
        for channel in channels:
            if ports.adapters()[channel.adapter].personal == numbers:
                _queue(alert, channel)
        # Whatever has rows that wait: those channels, and what they have passed on to.
        for channel in sorted(Channel.objects.filter(pk__in=_open(alert_id)), key=_turn):
            send_waiting(alert_id, channel)
        act = Act(Actor.machine("warning"), alert.realm, op_id=derived_id("warning.sum_up", alert_id, cause, *(["numbers"] if numbers else [])), cause=cause)
        sum_up(act, alert=alert_id)


def _turn(channel: Channel) -> tuple[bool, bool, bool, str]:
    adapter = ports.adapters()[channel.adapter]
    return adapter.personal, not adapter.urgent, channel.outward, str(channel.pk)


def _open(alert_id: UUID) -> set[UUID]:
    return set(Attempt.plain.filter(alert_id=alert_id, state__in=[Attempt.QUEUED, Attempt.CLAIMED]).values_list("channel_id", flat=True).distinct())


def _channels(alert: Alert) -> list[Channel]:
    chosen = list(Channel.objects.filter(pk__in=[UUID(key) for key in alert.channels]))
    if alert.only_left_by is not None:
        told = gate.out_of_area(alert.only_left_by).values("channel_id")
        return sorted(Channel.objects.filter(pk__in=told), key=_turn)
    # Our own posts always hear of it, also in an exercise and also when nothing else was chosen.
    own = list(Channel.objects.filter(adapter="in_app", enabled=True).exclude(pk__in=[channel.pk for channel in chosen]))
    if alert.msg_type == "Cancel":  # an end goes wherever the warning was taken, also by a channel that stood in for another
        own += Channel.objects.filter(pk__in=heard(alert).values("channel_id")).exclude(pk__in=[channel.pk for channel in (*chosen, *own)])
    return sorted([*chosen, *own], key=_turn)


def _queue(alert: Alert, channel: Channel) -> None:
    """A row for every target, in portions that are kept at once: killed in between, the next run goes on where this one was."""
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
    if Operation.objects.filter(pk=_queued(alert, channel)).exists():
        return
    asked, seen = Sum(), set()

    def fresh() -> Iterator[ports.Target]:
        for target in ports.adapters()[channel.adapter].within(channel, alert):
            # 16 bytes of each are enough to know it again, and a million of them fit in memory.
            mark = hashlib.sha256(target.address[:300].encode()).digest()[:16]
            if mark not in seen:
                seen.add(mark)
                yield target
        # Whoever was taken off its list since: the warning was read under this number, and so is its end.
        for address, name, region in _knew(alert, channel).iterator(20_000) if alert.msg_type == "Cancel" and alert.only_left_by_id is None and ports.adapters()[channel.adapter].personal else ():
            mark = hashlib.sha256(address.encode()).digest()[:16]
            if mark not in seen:
                seen.add(mark)
                yield ports.Target(address, name, region)

    targets = fresh()
    stood_in = alert.msg_type == "Cancel" and channel.outward and str(channel.pk) not in alert.channels
    while portion := list(islice(targets, PORTION)):
        if stood_in:  # it had some of its targets warned, and these hear the end
            knew = set(heard(alert).filter(channel=channel, target__in=[target.address[:300] for target in portion]).values_list("target", flat=True))
            portion = [target for target in portion if target.address[:300] in knew]
        queue_targets(alert, channel, portion)
        for target in portion:
            asked.add(target.address[:300])
    act = Act(Actor.machine("warning"), alert.realm, op_id=_queued(alert, channel), cause=alert.last_fact)
    note_queued(act, alert=alert.pk, channel=channel.pk, targets=asked.count, digest=str(asked))


def _knew(alert: Alert, channel: Channel) -> Any:
    """(address, name, region) of whoever may have heard by this channel what an alert ends, in its places or nowhere in particular."""
    here = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=alert.region_ids).values("descendant_id")
    found = heard(alert).filter(Q(region_id__in=here) | Q(region_id__in=alert.region_ids) | Q(region=None), channel=channel)
    # Whom an update had left out has heard the end already.
    cleared = Attempt.plain.filter(alert__only_left_by__in=gate.chain(alert), channel=channel, state__in=gate.TAKEN).values("target")
    return found.exclude(target__startswith=ERASED).exclude(target__in=cleared).values_list("target", "target_name", "region_id")


def _queued(alert: Alert, channel: Channel) -> UUID:
    return derived_id("warning.queued", alert.pk, channel.pk)


def queue_targets(alert: Alert, channel: Channel, targets: list[ports.Target]) -> list[Attempt]:
    """Attempt rows for these targets; those that are new."""
    rows = [
        Attempt(
            id=derived_id("warning.attempt", alert.pk, channel.pk, target.address), realm_id=alert.realm_id, alert=alert, channel=channel,
            target=target.address[:300], target_name=target.name[:160], region_id=target.region,
        )
        for target in targets
    ]
    have = set(Attempt.plain.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    fresh = {row.pk: row for row in rows if row.pk not in have}
    Attempt.plain.bulk_create(fresh.values(), ignore_conflicts=True, batch_size=1000)
    return list(fresh.values())


@action("warning.note_queued")
def note_queued(act: Act, *, alert: UUID, channel: UUID, targets: int, digest: str) -> None:
    """State how many targets a channel was given, before the first is tried: what its rows are held against."""
    row = act.lock(Alert, alert, check_version=False)
    act.state(DeliveryQueued(alert=row.pk, channel=channel, targets=targets, digest=digest), about=row, cause=act.cause)


def send_waiting(alert_id: UUID, channel: Channel) -> None:
    """Send what waits on a channel, claimed in portions; two workers never send the same row. Stops at the channel's pace: the rest waits for the next turn."""
    now = clock.now()
    _take_back(alert_id, channel, now)
    waiting = Attempt.plain.filter(alert_id=alert_id, channel=channel, state=Attempt.QUEUED).exclude(not_before__gt=now)
    size = ports.adapters()[channel.adapter].batch(channel)
    if connection.in_atomic_block or waiting[: MANY * size].count() < MANY * size:  # another connection would not see rows that are not committed
        _send_all(alert_id, channel, size)
        return
    # A thousand messages must not wait for one another's answers. The claim keeps two senders off one row.
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="send") as pool:
        for done in [pool.submit(_in_thread, alert_id, channel, size, get_language()) for _sender in range(SENDERS)]:
            done.result()


def _take_back(alert_id: UUID, channel: Channel, now: datetime) -> None:
    """Rows whose sender died: whether they went out nobody knows, and never more of them than senders were at work.

    A channel that drops repeats gets them again under the same key, so exactly once. Otherwise they are *unsure*: a warning is sent
    again, because one too few is worse than one too many; an all-clear waits for a person, because twice or too late it confuses.
    """
    old = Attempt.plain.filter(alert_id=alert_id, channel=channel, state=Attempt.CLAIMED, claimed_at__lt=now - STUCK)
    if channel.again_if_unsure:
        old.update(state=Attempt.QUEUED, claimed_at=None)
        return
    found = list(old)
    old.filter(pk__in=[row.pk for row in found]).update(state=Attempt.UNSURE, error="the sender died after it had claimed this row", ended_at=now)
    if found and found[0].alert.msg_type != "Cancel" and not found[0].alert.silent:
        for row in found:
            if row.number < TRIES:
                again(row)


def _in_thread(alert_id: UUID, channel: Channel, size: int, language: str | None) -> None:
    try:
        with override(language):
            _send_all(alert_id, channel, size)
    finally:
        connection.close()


def _send_all(alert_id: UUID, channel: Channel, size: int) -> None:
    while _send(alert_id, channel, size):
        pass


# The array is made once. As a plain IN the subquery may be run again for each row of a nested loop, and would each time lock and take others: the pace was not held.
CLAIM = """UPDATE warning_attempt SET state = 'claimed', claimed_at = %s, version = version + 1 WHERE id = ANY(ARRAY(
    SELECT id FROM warning_attempt WHERE alert_id = %s AND channel_id = %s AND state = 'queued' AND (not_before IS NULL OR not_before <= %s)
    LIMIT %s FOR UPDATE SKIP LOCKED)) RETURNING id"""


def _claim(alert_id: UUID, channel: Channel, size: int, now: datetime) -> list[UUID]:
    """Keys of up to so many rows, now this sender's, and no more than the channel's pace has left for all alerts and all senders of the last minute.

    The tally is apart from the rows: a row that goes back into the queue has been sent all the same.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        second = now.replace(microsecond=0)
        if channel.per_minute:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"warning.pace:{channel.pk}"])
            # A second's figure counts until the last of it is a minute old.
            Pace.objects.filter(channel=channel, second__lte=now - timedelta(seconds=61)).delete()
            size = min(size, channel.per_minute - (Pace.objects.filter(channel=channel).aggregate(taken=Total("taken"))["taken"] or 0))
            if size <= 0:
                return []
        cursor.execute(CLAIM, [now, alert_id, channel.pk, now, size])
        keys = [row[0] for row in cursor.fetchall()]
        if channel.per_minute and keys:
            Pace.objects.update_or_create(channel=channel, second=second, defaults={"taken": F("taken") + len(keys)}, create_defaults={"taken": len(keys)})
    return keys


def _send(alert_id: UUID, channel: Channel, size: int) -> bool:
    """Claim up to so many rows, hand them over, write what became of each. False when nothing waits, or the pace allows no more."""
    keys = _claim(alert_id, channel, size, clock.now())
    if not keys:
        return False
    # Rows read this instant: a cancel or a hold a second ago still counts. The gate is asked last, inside `send`.
    alert, channel = Alert.plain.select_related("realm").get(pk=alert_id), Channel.objects.get(pk=channel.pk)
    attempts = list(Attempt.plain.filter(pk__in=keys))
    for attempt in attempts:
        attempt.alert, attempt.channel = alert, channel
    adapter = ports.adapters()[channel.adapter]
    try:
        outcomes = adapter.send_many(channel, alert, attempts) if adapter.batch(channel) > 1 else [adapter.send(channel, alert, attempt) for attempt in attempts]
    except Exception as error:  # a dead supplier is a failed attempt; it must never stop the flow
        log.warning("channel %s: %s", channel.name, error)
        outcomes = [ports.Outcome(False, f"{type(error).__name__}: {error}"[:500])] * len(attempts)
    _finish(alert, channel, list(zip(attempts, outcomes, strict=True)))
    return True


def _finish(alert: Alert, channel: Channel, pairs: list[tuple[Attempt, ports.Outcome]]) -> None:
    """What became of each, in one statement; then receipts that came at once, the channel's health, and what is tried again."""
    now = clock.now()
    for attempt, outcome in pairs:
        if outcome.refused:
            attempt.state = Attempt.REFUSED
        elif outcome.ok:
            attempt.state = Attempt.DELIVERED if outcome.delivered else Attempt.SENT
        else:
            attempt.state = Attempt.FAILED
        attempt.error, attempt.permanent, attempt.reference, attempt.ended_at = outcome.error[:2000], outcome.permanent, outcome.reference[:200], now
    rows = [attempt for attempt, _outcome in pairs]
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE warning_attempt a SET state = v.state, error = v.error, permanent = v.permanent,
                   reference = v.reference, ended_at = %s, version = a.version + 1
               FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::boolean[], %s::text[]) AS v (id, state, error, permanent, reference) WHERE a.id = v.id""",
            [now, [row.pk for row in rows], *([getattr(row, name) for row in rows] for name in ("state", "error", "permanent", "reference"))],
        )
    arrived = [row for row in rows if row.state == Attempt.DELIVERED]
    Receipt.plain.bulk_create(
        [Receipt(realm_id=row.realm_id, attempt=row, kind="delivered", at=clock.now(alert.realm)) for row in arrived], ignore_conflicts=True
    )
    if any(outcome.ok for _attempt, outcome in pairs):
        Channel.objects.filter(pk=channel.pk).update(last_ok_at=now)
    failed = [(attempt, outcome) for attempt, outcome in pairs if not outcome.ok and not outcome.refused]
    if failed:
        Channel.objects.filter(pk=channel.pk).update(last_error=failed[0][1].error[:500], last_error_at=now)
    for attempt, outcome in failed:
        if not outcome.permanent and attempt.number < TRIES:
            again(attempt, wait=BACK_OFF[min(attempt.number, len(BACK_OFF)) - 1])


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
    """State one fact per channel whose attempts have all ended, again when more of them have; arm the timer for what is tried again; pass on what failed."""
    from . import following, passing

    row = act.lock(Alert, alert, check_version=False)
    stated, until = _stated(row), clock.now()
    still = _open(row.pk)
    if still:
        # Retries wait on wall time; the realm's clock is wall time wherever anything can leave.
        due.at(act, act.now + BACK_OFF[0], "warning.retry", subject=f"alert:{row.pk}")
    for key in sorted(set(Attempt.plain.filter(alert=row).values_list("channel_id", flat=True).distinct()) - still, key=str):
        before = stated.get(str(key))
        if Attempt.plain.filter(BY_CHANNEL, alert=row, channel_id=key, ended_at__gt=before.recorded_at if before else BEFORE).exists():
            _count(act, row, key, until)
        passing.pass_on(act, row, Channel.objects.get(pk=key))
    passing.call_again(act, row)
    passing.watch(act, row)
    following.out_of_area(act, row)


def _stated(row: Alert) -> dict[str, Any]:
    """The journal's last count of each channel."""
    from anlan.kernel import journal

    return {fact.payload["channel"]: fact for fact in journal.about(f"alert:{row.pk}", row.realm) if fact.kind == FINISHED}


def _count(act: Act, row: Alert, channel: UUID, until: datetime) -> None:
    """State what stands of a channel whose attempts have all ended, so that no row of it can be changed, removed or added unseen; once more when more receipts have come."""
    counts: Counter[str] = Counter()
    tried, heard_until = Sum(), act.now - SETTLED
    rows = Attempt.plain.filter(BY_CHANNEL, alert=row, channel_id=channel)
    came = Receipt.plain.filter(attempt__in=rows)
    failed_after_all = set(came.filter(kind="failed").values_list("attempt_id", flat=True))
    last = None
    for target, state, key, number, reference, claimed, ended in (
        rows.order_by("target", "-number").values_list("target", "state", "pk", "number", "reference", "claimed_at", "ended_at").iterator(20_000)
    ):
        if target != last:
            counts[state] += 1
            last = target
        at = claimed or ended
        if at is not None and at <= until:
            tried.add(attempt_line(str(key), number, state, reference, at, key in failed_after_all))
    told = Sum()
    for key, kind, at, text in came.filter(at__lte=heard_until).values_list("attempt_id", "kind", "at", "text").iterator(20_000):
        told.add(receipt_line(str(key), kind, at, text))
    act.state(
        DeliveryFinished(
            alert=row.pk, channel=channel, counts=dict(sorted(counts.items())), attempts=tried.count, receipts=told.count, until=until.isoformat(), heard_until=heard_until.isoformat(),
            digest=str(Sum([str(tried), str(told)])),
        ),
        about=row, cause=act.cause or row.last_fact,
    )
    due.at(act, act.now + RECOUNT, "warning.recount", subject=f"alert:{row.pk}")


@action("warning.recount")
def recount(act: Act, *, alert: UUID) -> None:
    """Timer: count the channels anew that have had receipts since they were counted; again after a while, for as long as more come."""
    row = act.lock(Alert, alert, check_version=False)
    still, until = _open(row.pk), clock.now()
    for key, fact in sorted(_stated(row).items()):
        since = datetime.fromisoformat(fact.payload["heard_until"]) if fact.payload.get("heard_until") else BEFORE
        if UUID(key) not in still and Receipt.plain.filter(attempt__alert=row, attempt__channel=UUID(key), at__gt=since, at__lte=act.now - SETTLED).filter(
            ~Q(attempt__target__startswith=BY_VOICE)
        ).exists():
            _count(act, row, UUID(key), until)


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
    # The row itself says how the last try went; its version stays, a test changes nothing a second person confirmed.
    Channel.objects.filter(pk=row.pk).update(**({"last_ok_at": act.now} if ok else {"last_error": error[:500], "last_error_at": act.now}))
    act.state(ChannelTested(channel=row.pk, ok=ok, error=error[:300]), about=row)


def held_back(channel: Channel) -> None:
    """Refuse while nothing may leave the house at all."""
    if channel.outward and not channel.test:
        if Installation.current().outward_held:
            raise NOT_SENT(reason=_("the outward channels are held after a restore; a person must release them"))
        if (settings.HOME / "demo.json").exists():
            raise NOT_SENT(reason=_("this data folder holds demonstration accounts"))


def test_channel(act: Act, channel: Channel) -> ports.Outcome:
    """Send the channel's test sentence to its own test target, outside any transaction, and note the result.

    Only the fixed sentence "this is a test" can leave this way; no text of an alert ever does.
    """
    access.require(act, "warning.issue_internal")
    held_back(channel)
    try:
        outcome = ports.adapters()[channel.adapter].test(channel)
    except Exception as error:
        outcome = ports.Outcome(False, f"{type(error).__name__}: {error}"[:300])
    note_test(act, channel=channel.pk, ok=outcome.ok, error=outcome.error)
    return outcome


KINDS = ("delivered", "read", "acknowledged", "failed")


def record_receipt(channel: Channel, reference: str, ok: bool, text: str = "", kind: str = "") -> bool:
    """The other side reports what became of a message it took: arrived, read, confirmed (a key pressed), or failed after all.

    `reference` is its own key or ours. Returns whether it was one of ours; a repeat changes nothing.
    """
    with transaction.atomic():
        rows = Attempt.plain.select_for_update().filter(channel=channel)
        attempt = rows.filter(reference=reference).exclude(reference="").first() or (rows.filter(pk=found).first() if (found := _key(reference)) else None)
        if attempt is None:
            return False
        kind = "failed" if not ok else kind if kind in KINDS else "delivered"
        _receipt, made = Receipt.plain.get_or_create(
            attempt=attempt, kind=kind, defaults={"realm_id": attempt.realm_id, "at": clock.now(), "text": text[:500]}
        )
        if made and attempt.state in (Attempt.SENT, Attempt.UNSURE):
            attempt.state = Attempt.DELIVERED if ok else Attempt.FAILED
            attempt.error = "" if ok else text[:500]
            attempt.version += 1
            attempt.ended_at = attempt.ended_at if ok else clock.now()  # counted anew
            attempt.save(update_fields=["state", "error", "version", "ended_at"])
            if not ok:
                _look_again(attempt)
        return True


def _look_again(attempt: Attempt) -> None:
    """Soon, once for all that fail until then: the next channel, or a person, has to bring what the other side took and could not."""
    act, subject = Act(Actor.machine("warning"), attempt.alert.realm, cause=attempt.alert.last_fact), f"alert:{attempt.alert_id}"
    if attempt.alert.state == Alert.ISSUED and not Due.objects.filter(realm=act.realm, timer="warning.retry", subject=subject).exists():
        due.at(act, act.now + BACK_OFF[0], "warning.retry", subject=subject)


def note_shown(actor: Actor, alerts: Iterable[UUID]) -> None:
    """A page has put these alerts before somebody who holds a post they were sent to: a receipt (read) for each such post that has none."""
    held = [f"post:{key}" for key in access.posts(actor)]
    rows = list(Attempt.plain.filter(alert__in=alerts, channel__adapter="in_app", target__in=held, state=Attempt.SENT).select_related("realm"))
    if rows:
        with transaction.atomic():
            Receipt.plain.bulk_create(
                [Receipt(realm_id=row.realm_id, attempt=row, kind="read", at=clock.now(row.realm), person=actor.person_id) for row in rows], ignore_conflicts=True
            )
            Attempt.plain.filter(pk__in=[row.pk for row in rows]).update(state=Attempt.DELIVERED, version=F("version") + 1)


def _key(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


KEPT = timedelta(days=365)  # as Attempt.PERSONAL says


@action("warning.forget_targets")
def forget_targets(act: Act) -> int:
    """Each day: erase numbers and addresses of persons from attempts whose alert ended a year ago. The rows stay and still count."""
    rows = Attempt.plain.filter(realm=act.realm, alert__ended_at__lt=act.now - KEPT, channel__adapter__in=ports.personal()).exclude(target__startswith=ERASED)
    found = list(rows[:5000])
    for row in found:
        row.target, row.target_name, row.error = f"{ERASED}{row.pk}", "", ""
    Attempt.plain.bulk_update(found, ["target", "target_name", "error"], batch_size=500)
    if found:
        act.state(PersonalErased(about="warning.attempt", fields=["target", "target_name", "error"], basis=BASIS), subject=f"realm:{act.realm.pk}")
    return len(found)
