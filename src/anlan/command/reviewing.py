"""The first review of a response: its timeline and each step against its limit, read off the journal and nothing else."""
from __future__ import annotations

from datetime import datetime
from typing import Any

from anlan.kernel import clock, journal
from anlan.kernel.journal import FactView
from anlan.kernel.models import Order
from anlan.plans.models import ResponseProposal

from .models import Response
from .settings import review_limits


def facts_about(subjects: list[str], realm: Any) -> list[FactView]:
    """All facts about these things, in the order of the realm's clock (journal order where it stands still)."""
    return journal.select(
        "WHERE f.realm_id = %s AND f.subject = ANY(%s) ORDER BY f.received_at, coalesce(s.number, 9223372036854775807), f.recorded_at",
        [realm.pk, subjects],
    )


def subjects_of(response: Response) -> list[str]:
    """The response, its proposals, decisions and orders."""
    source = f"response:{response.pk}"
    found = [source, f"proposal:{response.proposal_id}"]
    for key, proposal in response.decisions.values_list("pk", "proposal_id"):
        found += [f"decision:{key}"] + ([f"proposal:{proposal}"] if proposal else [])
    found += [f"order:{key}" for key in Order.plain.filter(realm_id=response.realm_id, source=source).values_list("pk", flat=True)]
    return list(dict.fromkeys(found))


def causes_of(response: Response, realm: Any) -> list[FactView]:
    """What led to the approval, first cause first: reading, signal, warning, condition, proposal."""
    own = journal.about(f"response:{response.pk}", realm)
    return [*reversed(list(journal.chain(own[0].id))[1:])] if own else []


def timeline_of(response: Response, realm: Any) -> list[FactView]:
    """Causes, then everything about the response and its orders; each fact once."""
    found = [*causes_of(response, realm), *facts_about(subjects_of(response), realm)]
    once = {fact.id: fact for fact in found}
    return sorted(once.values(), key=lambda fact: (fact.received_at, fact.number or 1 << 62, fact.recorded_at))


def _step(step: str, what: str, since: datetime, until: datetime | None, limit: float | None, now: datetime, fact: Any = None, post: Any = None) -> dict[str, Any]:
    """One line of the review; `post` had it in hand, and gets the gap if it was late. What never happened is late once its limit has passed; without a limit nothing is late."""
    minutes = ((until or now) - since).total_seconds() / 60
    return {
        "step": step, "what": what, "from": since.isoformat(), "to": until.isoformat() if until else None, "minutes": round(minutes, 1) if until else None,
        "limit": None if limit is None else round(limit, 1), "late": limit is not None and minutes > limit, "fact": str(fact) if fact else None,
        "post": str(post) if post else None,
    }


def review(response: Response, realm: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(steps, timeline). Limits: the plan's and the order's own where there are any, else data/reporting.yaml."""
    now = clock.now(realm)
    limits = review_limits()
    plan = response.plan_title.get("zh") or response.plan_title.get("en") or ""
    first = response.decisions.filter(kind="approve").order_by("decided_at").first()
    steps: list[dict[str, Any]] = []
    for fact in causes_of(response, realm):
        if fact.kind == "sensing.SignalChanged":
            steps.append(_step("reading_to_signal", fact.payload.get("name") or fact.subject, fact.occurred_at, fact.received_at, limits["reading_to_signal"], now, fact.id))
        if fact.kind in ("warning.OutsideWarningReceived", "warning.AlertIssued") and first is not None:
            what = fact.payload.get("issuer_name") or fact.payload.get("hazard") or fact.subject
            steps.append(_step("warning_to_decision", what, fact.occurred_at, first.decided_at, limits["warning_to_decision"], now, fact.id))
    for decision in response.decisions.exclude(proposal=None).order_by("decided_at"):
        proposal: ResponseProposal = decision.proposal
        allowed = (proposal.answer_by - proposal.opened_at).total_seconds() / 60 if proposal.answer_by else None
        steps.append(_step("proposal_to_decision", f"{plan} {decision.to_level}".strip(), proposal.opened_at, decision.decided_at, allowed, now, post=proposal.post_id))
    given = list(Order.plain.filter(realm_id=realm.pk, source=f"response:{response.pk}").select_related("post").order_by("issued_at", "id"))
    if given and first is not None:
        last = max((order for order in given if order.rule_version == response.plan_version), key=lambda order: order.issued_at, default=given[-1])
        start = max((row.decided_at for row in response.decisions.all() if row.decided_at <= last.issued_at), default=first.decided_at)
        steps.append(_step("decision_to_order", f"{len(given)}", start, last.issued_at, limits["decision_to_order"], now))
    for order in given:
        what = f"{order.post.name}：{order.text[:120]}"
        if order.state == Order.WITHDRAWN and order.accepted_at is None and (order.answer_by is None or order.answer_by >= now):
            continue  # withdrawn before its time was up: nobody was late
        allowed = (order.answer_by - order.issued_at).total_seconds() / 60 if order.answer_by else limits["order_to_accept"]
        if order.read_at:
            steps.append(_step("order_to_read", what, order.issued_at, order.read_at, None, now, order.cause, order.post_id))
        refused = order.receipts.filter(state=Order.REFUSED).order_by("at").first()
        answered = order.accepted_at or (refused.at if refused else None)
        steps.append(_step("order_to_accept", what, order.issued_at, answered, allowed, now, order.cause, order.post_id))
        if order.due_at and order.state not in (Order.REFUSED, Order.WITHDRAWN):
            steps.append(_step("order_to_done", what, order.issued_at, order.done_at, (order.due_at - order.issued_at).total_seconds() / 60, now, order.cause, order.post_id))
    timeline = [
        {"fact": str(fact.id), "kind": fact.kind, "at": fact.received_at.isoformat(), "subject": fact.subject} for fact in timeline_of(response, realm)
    ]
    return steps, timeline
