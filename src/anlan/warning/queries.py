"""Warning's reads: who is on duty for a region, what may be seen, whom an alert would reach."""
from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum

from anlan.kernel import clock, parties
from anlan.kernel.ids import new_id
from anlan.kernel.models import Post, Region, RegionPath

from .models import RANK, Alert, Attempt, Channel, Proposal, Receipt

UNDER_WAY = (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED, Alert.ISSUED)


def approver_post(alert: Alert) -> Post | None:
    """Who is asked for the second approval: the leader of the shift there, else the commander."""
    return parties.post_for(alert.region_id, ["duty_leader", "deputy_commander", "commander"])


def county_of(region: UUID | None, kind: str = "county") -> UUID | None:
    """The region of that kind a region lies in; itself when it is one or lies in none."""
    if region is None:
        return None
    near = parties.around(region)
    kinds = dict(Region.objects.filter(pk__in=near).values_list("pk", "kind"))
    return next((key for key in near if kinds.get(key) == kind), region)


def alerts(actor: Any, realm: Any, *, kind: str = "", state: str = "", colour: str = "", hazard: str = "", region: UUID | None = None, text: str = "") -> QuerySet[Alert]:
    """Alerts this reader may see, newest first."""
    rows = Alert.objects.seen_by(actor, realm).select_related("region").defer("region__area_wkb")
    if kind:
        rows = rows.filter(kind=kind)
    if state == "live":
        rows = rows.filter(state__in=Alert.LIVE)
    elif state == "work":
        rows = rows.filter(state__in=[Alert.DRAFT, Alert.REVIEW, Alert.APPROVED])
    elif state:
        rows = rows.filter(state=state)
    if colour:
        rows = rows.filter(colour=colour)
    if hazard:
        rows = rows.filter(hazard=hazard)
    if region:
        below = RegionPath.objects.filter(ancestor_id=region).values("descendant_id")
        rows = rows.filter(Q(region_id__in=below) | Q(regions__region_id__in=below)).distinct()
    if text:
        rows = rows.filter(Q(headline__icontains=text) | Q(description__icontains=text) | Q(issuer_name__icontains=text))
    return rows.order_by("-created_at", "-pk")


def issued(actor: Any, realm: Any, days: int) -> QuerySet[Alert]:
    """Alerts of our own that went out in the last days, newest first; corrections and cancellations are part of another's life."""
    since = clock.now(realm) - timedelta(days=days)
    rows = Alert.objects.seen_by(actor, realm).filter(sent__gte=since, silent=False, msg_type__in=["Alert", "Update"]).exclude(kind=Alert.OUTSIDE)
    return rows.select_related("realm", "region").order_by("-sent", "-pk")


def thread(actor: Any, row: Alert) -> list[Alert]:
    """The whole series of one event, oldest first, as far as this reader may see it; empty when it is alone."""
    found = list(Alert.objects.seen_by(actor, row.realm_id).filter(series=row.thread).exclude(state=Alert.DROPPED).order_by("created_at", "pk")[:100])
    return found if len(found) > 1 else []


def live(actor: Any, realm: Any) -> list[Alert]:
    """Warnings in force, worst first: for the desk, the wall and the map. Drafts, drills and tests of others are not among them."""
    rows = list(alerts(actor, realm, state="live").exclude(status__in=["Test", "Draft", "System"])[:500])
    if realm.is_actual:
        rows = [row for row in rows if row.status == "Actual"]
    return sorted(rows, key=lambda row: (-RANK[row.colour], -(row.sent or row.created_at).timestamp()))


def open_for_hand_over(realm: Any, post: Post) -> list[dict[str, Any]]:
    """Live alerts of a post's region, what lies in it and what it lies in, for the shift hand-over."""
    near = set(RegionPath.objects.filter(ancestor_id=post.region_id).values_list("descendant_id", flat=True)) | set(parties.around(post.region_id))
    rows = Alert.objects.of(realm).filter(state__in=Alert.LIVE, regions__region_id__in=near).distinct().order_by("-created_at")[:100]
    return [
        {
            "kind": "alert", "subject": f"alert:{row.pk}", "text": str(row), "level": row.colour, "since": (row.sent or row.created_at).isoformat(),
            "due": row.expires.isoformat() if row.expires else "",
        }
        for row in rows
    ]


def proposals(actor: Any, realm: Any, state: str = Proposal.OPEN) -> QuerySet[Proposal]:
    rows = Proposal.objects.seen_by(actor, realm).select_related("region")
    return (rows.filter(state=state) if state else rows).order_by("-changed_at")


@dataclass
class Audience:
    """Whom pressing the button would reach."""

    posts: int = 0
    numbers: int = 0
    population: int | None = None  # None: not known for every region
    population_source: str = ""
    channels: list[tuple[Channel, int | None, str]] = field(default_factory=list)  # channel, targets (None: open to all), why it would not send


def audience(alert: Alert) -> Audience:
    """Counts named on the button before it is pressed; the reasons of the gate beside each channel."""
    from . import gate, ports

    found = Audience()
    regions = Region.objects.filter(pk__in=[UUID(key) for key in alert.region_ids])
    if alert.audience == "public" and regions:
        if not regions.filter(population=None).exists():
            found.population = regions.aggregate(total=Sum("population"))["total"]
            found.population_source = "; ".join(sorted({region.population_source for region in regions if region.population_source}))
    # Asked as if it were issued and approved as it stands: the reader wants what the gate would say then.
    asked = copy.copy(alert)
    if alert.state in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED):
        asked.state, asked.issued_by, asked.author, asked.editor = Alert.ISSUED, new_id(), new_id(), None
        asked.approver, asked.approved_hash = new_id(), alert.content_hash
    for channel in Channel.objects.filter(Q(pk__in=[UUID(key) for key in alert.channels]) | Q(adapter="in_app", enabled=True)).order_by("name"):
        adapter = ports.adapters().get(channel.adapter)
        if adapter is None:
            continue
        targets = adapter.count(channel, alert)
        verdict = gate.may_be_sent(asked, channel)
        found.channels.append((channel, targets, "" if verdict.ok else verdict.reason))
        if verdict.ok and targets:
            if channel.adapter == "in_app":
                found.posts += targets
            elif ports.adapters()[channel.adapter].personal:
                found.numbers += targets
    return found


def nobody_skipped(alert: Alert, most: int | None = None) -> list[dict[str, Any]]:
    """For each channel: how many targets it was given, how many have a row, how many no end yet, and whether they are the same ones (by `delivery.Sum`).

    A channel with more than `most` targets is left out: a page is not the place to read a million rows.
    """
    from anlan.kernel import journal

    from . import delivery

    given: dict[str, list[Any]] = {}
    for fact in journal.about(f"alert:{alert.pk}", alert.realm):
        if fact.kind == "warning.DeliveryQueued":
            given.setdefault(fact.payload["channel"], []).append(fact)
    found = []
    for channel, facts in given.items():
        targets = sum(fact.payload["targets"] for fact in facts)
        if most is not None and targets > most:
            continue
        rows = Attempt.plain.filter(delivery.BY_CHANNEL, alert=alert, channel=channel, number=1, created_at__lte=facts[-1].recorded_at)
        had = delivery.Sum()
        for target in rows.values_list("target", flat=True).iterator(20_000):
            had.add(target)
        last = Attempt.plain.filter(alert=alert, channel=channel).order_by("target", "-number").distinct("target")
        found.append({
            "channel": channel, "targets": targets, "rows": had.count, "same": str(had) == str(delivery.Sum(fact.payload["digest"] for fact in facts)),
            "open": Attempt.plain.filter(pk__in=last.values("pk"), state__in=[Attempt.QUEUED, Attempt.CLAIMED]).count(),
        })
    return found


def deliveries(alert: Alert) -> list[dict[str, Any]]:
    """Attempts of an alert by channel: counts by state, receipts by kind, latest errors."""
    rows = Attempt.plain.filter(alert=alert)
    states = rows.values("channel_id", "state").annotate(n=Count("pk"))
    receipts = Receipt.plain.filter(attempt__alert=alert).values("attempt__channel_id", "kind").annotate(n=Count("pk"))
    found = []
    for channel in Channel.objects.filter(pk__in={row["channel_id"] for row in states}).order_by("name"):
        found.append({
            "channel": channel,
            "states": {row["state"]: row["n"] for row in states if row["channel_id"] == channel.pk},
            "receipts": {row["kind"]: row["n"] for row in receipts if row["attempt__channel_id"] == channel.pk},
            "errors": list(rows.filter(channel=channel).exclude(error="").values_list("error", flat=True).order_by("error").distinct()[:3]),
            "attempts": rows.filter(channel=channel).order_by("-number", "target_name", "target")[:50],
        })
    return found


def geojson(actor: Any, realm: Any) -> dict[str, Any]:
    """Warnings in force as a map layer."""
    from . import compute

    return {"type": "FeatureCollection", "features": compute.features(live(actor, realm))}
