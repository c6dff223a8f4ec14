"""What happens when other rooms state something. Repeating any of it changes nothing: keys derive from the fact."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, compute

# Readings come by the batch; when one look has taken in everything stored, the batches behind it in the queue add nothing.
BULK = ("sensing.ReadingsAccepted",)


def on_facts(facts: list[FactView]) -> None:
    """Follower plans.terms: each fact changes what is known, then the conditions it touches are judged."""
    adopted: dict[UUID, bool] = {}
    for index, fact in enumerate(facts):
        if fact.kind not in actions.TAKERS or fact.payload.get("_erased") or fact.realm.is_over:
            continue
        if fact.realm_id not in adopted:
            adopted[fact.realm_id] = compute.bindings(fact.realm).exists()
        if fact.kind in BULK:
            later = facts[index + 1] if index + 1 < len(facts) else None
            if not adopted[fact.realm_id] or (later is not None and later.kind == fact.kind and later.realm_id == fact.realm_id):
                continue
        act = Act(Actor.machine("plans"), fact.realm, op_id=derived_id("plans.terms", fact.id), cause=fact.id, occurred_at=fact.occurred_at)
        actions.take_in(act, fact=fact.id, kind=fact.kind, payload=fact.payload, at=fact.occurred_at)


def on_stale(act: Act, subject: str, params: dict[str, Any]) -> None:
    """Timer plans.term_stale."""
    actions.term_stale(act, term=UUID(subject.partition(":")[2]))
