"""When a channel fails or stays silent: the next one takes over, and at last a person calls (叫应).

Missing is a target whose last try failed for good, or, on a channel that gives receipts within `silent_minutes`, one without a
receipt by then. Its place passes to the targets the next channel has there; what has no next goes on the call-down list of a person.
"""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.engines.cap.proving import BY_VOICE
from anlan.kernel import access, due, parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import NOT_FOUND, REASON_NEEDED
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Assignment, Post, Region, RegionPath

from . import arrival, delivery, hazards, ports
from .errors import NOT_POSSIBLE
from .facts import DeliveryAsked, DeliveryPassedOn, DeliveryQueued, PlaceTold
from .gate import TAKEN, heard, may_be_sent
from .models import Alert, Attempt, Channel, Receipt

CALL = "warning.call_down"
MANY = 5000  # missing targets looked at in one turn: beyond that the whole channel is down, and its places say enough


def missing(alert: Alert, channel: Channel, now: Any) -> list[Attempt]:
    """The last tries that reached nobody. One that was refused by the gate reached nobody because nobody was to be reached."""
    last = Attempt.plain.filter(alert=alert, channel=channel).order_by("target", "-number").distinct("target")
    lost = Attempt.plain.filter(pk__in=last.values("pk"), state__in=[Attempt.FAILED, Attempt.UNSURE])
    found = list(lost[:MANY])
    if channel.silent_minutes is not None:
        # A channel known to be silent is not waited for.
        limit = now if channel.silent_since else now - timedelta(minutes=channel.silent_minutes)
        quiet = Attempt.plain.filter(pk__in=last.values("pk"), state=Attempt.SENT, ended_at__lte=limit, receipts=None)
        found += list(quiet[:MANY])
    if alert.msg_type == "Cancel" and Attempt.plain.filter(alert=alert, channel=channel, state=Attempt.REFUSED).exists():
        # Switched off, held, or too long for it: whoever heard the warning by this channel has to hear the end by another, or by a person.
        ended = Attempt.plain.filter(alert=alert, channel=channel, state__in=TAKEN).values("target")
        found += list(heard(alert).filter(channel=channel).exclude(target__in=ended).order_by("target", "-number").distinct("target")[:MANY])
    return found


def pass_on(act: Act, alert: Alert, channel: Channel) -> None:
    """Give what a channel did not bring to the next, or to a person. Called inside an action with the alert locked; repeatable."""
    if alert.state != Alert.ISSUED or channel.adapter == "in_app" or alert.silent:
        return
    lost = missing(alert, channel, act.now)
    if not lost:
        return
    left, seen, nearest = lost, {channel.pk}, channel
    while left and nearest.fallback_id and nearest.fallback_id not in seen:
        nearest = Channel.objects.get(pk=nearest.fallback_id)
        seen.add(nearest.pk)
        if not may_be_sent(alert, nearest).ok:
            continue  # switched off, held, or not for this text: whoever comes after it
        took, fresh = _hand_to(alert, nearest, left)
        left = [row for row in left if row.pk not in took]
        if fresh:
            added = delivery.Sum()
            for row in fresh:
                added.add(row.target)
            act.state(DeliveryPassedOn(alert=alert.pk, channel=channel.pk, to=str(nearest.pk), missing=len(took), silent=lost[0].state == Attempt.SENT), about=alert, cause=alert.last_fact)
            act.state(DeliveryQueued(alert=alert.pk, channel=nearest.pk, targets=added.count, digest=str(added)), about=alert, cause=alert.last_fact)
            act.state(DeliveryAsked(alert=alert.pk), about=alert, cause=alert.last_fact)
    if left and alert.kind != Alert.PROMPT:
        _to_a_person(act, alert, channel, left)


def _hand_to(alert: Alert, channel: Channel, lost: list[Attempt]) -> tuple[set[UUID], list[Attempt]]:
    """(attempts a channel has targets for, the rows that are new). Their places, around and below; a target nowhere is everybody's."""
    where = {row.region_id for row in lost if row.region_id}
    paths = list(RegionPath.objects.filter(hierarchy="administrative", descendant_id__in=where).exclude(ancestor__kind__in=arrival.WIDE).values_list("descendant_id", "ancestor_id"))
    paths += list(RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=where).values_list("ancestor_id", "descendant_id"))
    near: dict[UUID, set[UUID]] = {}
    for place, other in paths:
        near.setdefault(other, set()).add(place)
    for place in where:
        near.setdefault(place, set()).add(place)
    nowhere = any(row.region_id is None for row in lost)
    took: set[Any] = set()
    chosen = []
    for target in ports.adapters()[channel.adapter].within(channel, alert):
        if target.region is None or nowhere:
            chosen.append(target)
            took |= {None} | (where if target.region is None else set())
        elif target.region in near:
            chosen.append(target)
            took |= near[target.region]
    fresh = [row for first in range(0, len(chosen), delivery.PORTION) for row in delivery.queue_targets(alert, channel, chosen[first:first + delivery.PORTION])]
    return {row.pk for row in lost if row.region_id in took}, fresh


def call_again(act: Act, alert: Alert) -> None:
    """Places that a person told of what this alert changes or ends hear of that by a person, too."""
    if alert.state != Alert.ISSUED or alert.predecessor_id is None or alert.silent or alert.only_left_by_id:
        return
    here = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=alert.region_ids).values("descendant_id")
    # Only there: an all-clear for some places is none for the others.
    told = list(heard(alert).filter(Q(region_id__in=here) | Q(region_id__in=alert.region_ids), target__startswith=BY_VOICE).order_by("region_id").distinct("region_id"))
    if told:
        _to_a_person(act, alert, told[0].channel, told, gettext_noop("{count} places were told by voice of what “{headline}” changes or ends: call them again and note who confirms."))


def _to_a_person(
    act: Act, alert: Alert, channel: Channel, left: list[Attempt],
    msgid: str = gettext_noop("{channel} did not reach {count} of its targets with “{headline}”: call the places on the list and note who confirms."),
) -> None:
    post = keepers_post(channel, act.now) or parties.duty_post(alert.region_id)
    if post is None:
        return
    subject = f"alert:{alert.pk}"
    if any(fact.payload.get("channel") == str(channel.pk) and not fact.payload["to"] for fact in _stated(alert)):
        return
    minutes = hazards.proposal_rules()["answer_minutes"].get(alert.colour, 30)
    work.open(
        act, post=post, kind=CALL, subject=subject, region=alert.region_id,
        msgid=msgid,
        params={"channel": channel.name, "count": len(left), "headline": alert.headline},
        due_at=act.now + timedelta(minutes=minutes), level=alert.colour, cause=alert.last_fact,
    )
    act.state(DeliveryPassedOn(alert=alert.pk, channel=channel.pk, to="", missing=len(left), silent=left[0].state == Attempt.SENT), about=alert, cause=alert.last_fact)


def _stated(alert: Alert) -> list[Any]:
    from anlan.kernel import journal

    return [fact for fact in journal.about(f"alert:{alert.pk}", alert.realm) if fact.kind == "warning.DeliveryPassedOn"]


def keepers_post(channel: Channel, now: Any) -> Post | None:
    if channel.keeper_id is None:
        return None
    held = Assignment.objects.filter(parties.in_force(now), person=channel.keeper_id, post__active=True).select_related("post").order_by("role").first()
    return held.post if held else None


def watch(act: Act, alert: Alert) -> None:
    """Arm the next look at channels whose receipts are late."""
    waits = [
        row.ended_at + timedelta(minutes=row.channel.silent_minutes)
        for row in Attempt.plain.filter(alert=alert, state=Attempt.SENT, channel__silent_minutes__isnull=False).select_related("channel").order_by("channel_id", "-ended_at").distinct("channel_id")
    ]
    later = [at for at in waits if at > act.now]
    if alert.state == Alert.ISSUED and later:
        due.at(act, min(later) + timedelta(seconds=1), "warning.unheard", subject=f"alert:{alert.pk}")


@action("warning.look_for_silence")
def look_for_silence(act: Act, *, alert: UUID) -> None:
    """Timer: receipts that had to be here by now are not."""
    row = act.lock(Alert, alert, check_version=False)
    for channel in Channel.objects.filter(silent_minutes__isnull=False, pk__in=Attempt.plain.filter(alert=row).values("channel_id")):
        pass_on(act, row, channel)
    watch(act, row)


# --- the call-down list ----------------------------------------------------------------------------------------------


@action("warning.told")
def told(act: Act, *, alert: UUID, region: UUID, by: str) -> Attempt:
    """A person has told a place by voice; `by` says who confirmed it there. Counts as acted on, at this moment or when it is said to have been."""
    row = act.lock(Alert, alert, check_version=False)
    access.require(act, "warning.issue_internal", region=region)
    if row.state != Alert.ISSUED:
        raise NOT_POSSIBLE(state=row.get_state_display())
    if not by.strip():
        raise REASON_NEEDED(fields=[{"field": "by", "why": str(_("Name who confirmed it."))}])
    place = Region.objects.filter(pk=region).first()
    inside = {UUID(key) for key in row.region_ids}
    above = set(RegionPath.objects.filter(hierarchy="administrative", descendant_id=region).values_list("ancestor_id", flat=True)) | {region}
    if place is None or not inside & above:
        raise NOT_FOUND(kind="region", key=region)
    from .actions import in_app_channel

    target = f"{BY_VOICE}{region}"
    attempt, _made = Attempt.plain.get_or_create(
        id=derived_id("warning.attempt", row.pk, "voice", target),
        defaults={
            "realm_id": act.realm.pk, "alert": row, "channel": in_app_channel(), "target": target, "target_name": str(_("by voice")),
            "region": place, "state": Attempt.DELIVERED, "ended_at": act.now,
        },
    )
    Receipt.plain.get_or_create(
        attempt=attempt, kind="acknowledged",
        defaults={"realm_id": act.realm.pk, "at": act.occurred_at or act.now, "person": act.actor.person_id, "text": by.strip()[:500]},
    )
    act.state(PlaceTold(alert=row.pk, region=region), about=row, region=region, cause=row.last_fact)
    found = arrival.of(row)
    if found is not None and not found["unreached"]:
        work.close(act, kind=CALL, subject=f"alert:{row.pk}", outcome="done")
    return attempt


@action("warning.close_call_down")
def close_call_down(act: Act, *, alert: UUID) -> int:
    """Whoever had the list is done with it: the rest is told otherwise, or is nobody to be told."""
    row = act.lock(Alert, alert, check_version=False)
    access.require(act, "warning.issue_internal", region=row.region_id)
    return work.close(act, kind=CALL, subject=f"alert:{row.pk}", outcome="done")
