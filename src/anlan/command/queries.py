"""Command's reads: incidents and reports, the order board, the timeline, losses, and what the wall shows."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from anlan.engines.text import document_tokens
from anlan.kernel import access, clock
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.journal import FactView
from anlan.kernel.models import Order, RegionPath
from anlan.plans import queries as plan_queries

from . import reviewing
from .models import Decision, Document, Incident, Instruction, ObservedFact, Report, Response, Review


def one(model: Any, key: Any, actor: Any, realm: Any) -> Any:
    """A row this actor may read in this realm; kernel.not_found else."""
    row = model.objects.seen_by(actor, realm).filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=model._meta.verbose_name, key=key)
    return row


def incidents(actor: Any, realm: Any, state: str = "") -> QuerySet[Incident]:
    rows = Incident.objects.seen_by(actor, realm).select_related("region").order_by("-opened_at")
    return rows.filter(state=state) if state else rows


def reports(actor: Any, realm: Any, *, text: str = "", kind: str = "", state: str = "") -> QuerySet[Report]:
    """Reports, newest first. state: open (no incident, not merged), merged, or empty for all."""
    rows = Report.objects.seen_by(actor, realm).select_related("region", "incident", "merged_into", "first").order_by("-received_at")
    if kind:
        rows = rows.filter(kind=kind)
    if state == "open":
        rows = rows.filter(incident=None, merged_into=None)
    elif state == "merged":
        rows = rows.exclude(merged_into=None)
    if text:
        rows = rows.filter(Q(text__icontains=text) | Q(place__icontains=text) | Q(caller__icontains=text))
    return rows


def similar(actor: Any, realm: Any, *, text: str, place: str = "", region: UUID | None = None, event: str = "", hours: float = 12, limit: int = 5) -> list[dict[str, Any]]:
    """Reports of the last hours that may speak of the same event: [{row, score, why}], best first.

    Score 0–1: share of common two-character tokens of text and place (Dice), plus a bonus for the same region and kind.
    """
    def pairs(words: str) -> set[str]:
        return {token for token in document_tokens(words) if len(token) > 1}

    mine = pairs(f"{text} {place}")
    if not mine and not region:
        return []
    found: list[dict[str, Any]] = []
    since = clock.now(realm) - timedelta(hours=hours)
    for row in reports(actor, realm).filter(received_at__gte=since, merged_into=None)[:300]:
        theirs = pairs(f"{row.text} {row.place}")
        common = 2 * len(mine & theirs) / (len(mine) + len(theirs)) if mine and theirs else 0.0
        same_place, same_kind = bool(region) and row.region_id == region, bool(event) and row.event == event
        score = min(1.0, common + 0.15 * same_place + 0.1 * same_kind)
        if common >= 0.3 or (same_place and same_kind) or (same_place and common >= 0.15):
            found.append({"row": row, "score": round(score, 2), "same_place": same_place, "same_kind": same_kind})
    return sorted(found, key=lambda entry: -entry["score"])[:limit]


def responses(actor: Any, realm: Any, state: str = "") -> QuerySet[Response]:
    rows = Response.objects.seen_by(actor, realm).select_related("region", "incident", "binding").order_by("-rank", "-started_at")
    return rows.filter(state=state) if state else rows


def board(actor: Any, realm: Any, *, source: str = "", state: str = "", region: UUID | None = None) -> QuerySet[Order]:
    """The order board: what waits longest and is due first on top."""
    rows = Order.objects.seen_by(actor, realm).select_related("post__organisation", "region", "escalated_to").defer("region__area_wkb").order_by("due_at", "issued_at")
    if source:
        rows = rows.filter(source=source)
    if region:
        rows = rows.filter(region_id__in=RegionPath.objects.filter(ancestor_id=region).values("descendant_id"))
    if state == "open":
        rows = rows.filter(state__in=Order.OPEN_STATES)
    elif state == "unanswered":
        rows = rows.filter(state__in=(Order.ISSUED, Order.DELIVERED, Order.READ))
    elif state == "overdue":
        rows = rows.filter(state__in=Order.OPEN_STATES, due_at__lt=clock.now(realm))
    elif state:
        rows = rows.filter(state=state)
    return rows


def order_counts(rows: Any, now: datetime) -> dict[str, int]:
    """{total, waiting, underway, done, refused, withdrawn, overdue, posts} of orders."""
    found = {"total": 0, "waiting": 0, "underway": 0, "done": 0, "refused": 0, "withdrawn": 0, "overdue": 0}
    groups = {Order.ISSUED: "waiting", Order.DELIVERED: "waiting", Order.READ: "waiting", Order.ACCEPTED: "underway", Order.PROGRESS: "underway"}
    posts = set()
    for row in rows:
        found["total"] += 1
        found[groups.get(row.state, row.state)] += 1
        found["overdue"] += row.state in Order.OPEN_STATES and row.due_at is not None and row.due_at < now
        posts.add(row.post_id)
    return found | {"posts": len(posts)}


def losses(rows: Any) -> dict[str, int | None]:
    """Casualties over reports: of each case (a first report and what follows it) the newest figure, added up. None where nobody said."""
    newest: dict[tuple[UUID, str], int] = {}
    for row in sorted(rows, key=lambda row: row.received_at):
        if row.merged_into_id is None:
            for name in Report.COUNTS:
                if getattr(row, name) is not None:
                    newest[(row.first_id or row.pk, name)] = getattr(row, name)
    return {name: (sum(values) if (values := [n for (_, what), n in newest.items() if what == name]) else None) for name in Report.COUNTS}


def _visible(facts: list[FactView], actor: Any) -> list[FactView]:
    """A line of a place the reader may not see is left out."""
    reach = access.regions(actor, "command.read")
    return [fact for fact in facts if fact.region_id is None or fact.region_id in reach or (actor.person_id and fact.person == actor.person_id)]


def timeline(actor: Any, realm: Any, *, incident: Incident | None = None, response: Response | None = None, limit: int = 300) -> list[FactView]:
    """What happened, newest first, from the journal alone; each line's key leads to its "why"."""
    found: dict[UUID, FactView] = {}
    if response is not None:
        found |= {fact.id: fact for fact in reviewing.timeline_of(response, realm)}
    if incident is not None:
        subjects = [f"incident:{incident.pk}"]
        subjects += [f"report:{key}" for key in Report.plain.filter(Q(incident=incident) | Q(first__incident=incident) | Q(merged_into__incident=incident), realm_id=realm.pk).values_list("pk", flat=True)]
        subjects += [f"observed:{key}" for key in ObservedFact.plain.filter(report__incident=incident).values_list("pk", flat=True)]
        for key, order in incident.instructions.values_list("pk", "order_id"):
            subjects += [f"instruction:{key}", f"order:{order}"]
        found |= {fact.id: fact for fact in reviewing.facts_about(subjects, realm)}
        for row in Response.plain.filter(realm_id=realm.pk, incident=incident):
            found |= {fact.id: fact for fact in reviewing.timeline_of(row, realm)}
    ordered = sorted(found.values(), key=lambda fact: (fact.received_at, fact.number or 1 << 62, fact.recorded_at), reverse=True)
    return _visible(ordered, actor)[:limit]


def decisions(actor: Any, realm: Any, response: Response) -> QuerySet[Decision]:
    return Decision.objects.seen_by(actor, realm).filter(response=response).select_related("person", "post__organisation", "recorded_by").order_by("decided_at", "created_at")


def preview(actor: Any, realm: Any, proposal: UUID) -> dict[str, Any]:
    """A proposal with the orders its approval would give: as many as approve_proposal gives, by the same question to the plan."""
    found = plan_queries.proposal(proposal, realm, actor)
    row = found["row"]
    items = plan_queries.actions_of(row.binding, row.level_id, {row.region_id})
    running = Response.plain.filter(realm_id=realm.pk, binding=row.binding, region_id=row.region_id, track=row.track, state=Response.ACTIVE).first()
    posts = {post for item in items for post in item["posts"]}
    return found | {"items": items, "orders": sum(len(item["posts"]) for item in items), "posts": len(posts), "running": running}


def instructions(actor: Any, realm: Any) -> QuerySet[Instruction]:
    return Instruction.objects.seen_by(actor, realm).select_related("order__post__organisation", "incident", "region").order_by("-given_at")


def documents(actor: Any, realm: Any) -> QuerySet[Document]:
    return Document.objects.seen_by(actor, realm).select_related("response", "incident", "region").order_by("-made_at")


def reviews(actor: Any, realm: Any) -> QuerySet[Review]:
    return Review.objects.seen_by(actor, realm).select_related("response__region").order_by("-written_at")


# --- for the web -----------------------------------------------------------------------------------------------------


def wall(actor: Any, realm: Any) -> dict[str, Any]:
    """For the wall view: {responses: [{id, name, level, colour, since, due_at}], losses: {words: number}, orders: counts}."""
    from .words import COUNTS, local_words

    now = clock.now(realm)
    shown = []
    for row in responses(actor, realm, Response.ACTIVE):
        due = board(actor, realm, source=f"response:{row.pk}", state="open").exclude(due_at=None).order_by("due_at").values_list("due_at", flat=True).first()
        shown.append({
            "id": row.pk, "name": f"{local_words(row.plan_title)} · {row.region.name}", "level": row.colour or row.level, "label": local_words(row.label) or row.level,
            "since": row.level_since, "due_at": due, "url": f"/command/responses/{row.pk}",
        })
    taken = reports(actor, realm).filter(received_at__gte=now - timedelta(days=7))
    counted = {str(COUNTS[name]): number for name, number in losses(taken).items() if number is not None}
    return {"responses": shown, "losses": counted, "orders": order_counts(board(actor, realm), now)}


def geojson(actor: Any, realm: Any) -> dict[str, Any]:
    """Open incidents with a place, as points for the map; the colour is that of the worst response running for them."""
    from django.urls import reverse

    features = []
    for row in incidents(actor, realm, Incident.OPEN).exclude(lon=None)[:2000]:
        worst = row.responses.filter(state=Response.ACTIVE).order_by("-rank").first()
        features.append({
            "type": "Feature", "geometry": {"type": "Point", "coordinates": [row.lon, row.lat]},
            "properties": {"id": str(row.pk), "name": row.title, "kind": row.kind, "level": worst.colour if worst else "", "text": row.place, "url": reverse("command:incident", args=[row.pk])},
        })
    return {"type": "FeatureCollection", "features": features}
