"""What happens when other rooms state something. Repeating any of it changes nothing: keys derive from the fact."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, compute, lives

# Both say that there is something new among the readings. One look takes in all that is stored, so a run of them needs one.
LOOKS = {"sensing.ReadingsAccepted": "last", "sensing.SignalChanged": "reading_time"}


@dataclass
class Look:
    """A run of facts about readings of one realm that no other fact has interrupted."""

    fact: FactView
    last: str = ""
    rain: bool = False

    def add(self, fact: FactView) -> None:
        self.fact, self.last = fact, max(self.last, str(fact.payload[LOOKS[fact.kind]]))
        self.rain |= fact.kind == "sensing.SignalChanged" and fact.payload.get("quantity") == "rain"


def on_facts(facts: list[FactView]) -> None:
    """Follower plans.terms: each fact changes what is known, then the conditions it touches are judged."""
    adopted: dict[UUID, bool] = {}
    looks: dict[UUID, Look] = {}
    for fact in facts:
        if fact.payload.get("_erased") or fact.realm.is_over:
            continue
        if fact.kind in LOOKS:
            if fact.realm_id not in adopted:
                adopted[fact.realm_id] = compute.bindings(fact.realm).exists()
            if adopted[fact.realm_id]:
                looks.setdefault(fact.realm_id, Look(fact)).add(fact)
        elif fact.kind in actions.TAKERS:
            # What was measured before a report came in is judged before it.
            _look(looks.pop(fact.realm_id, None))
            _take(fact, fact.kind, fact.payload)
    for look in looks.values():
        _look(look)


def _look(look: Look | None) -> None:
    if look is not None:
        _take(look.fact, actions.LOOK, {"last": look.last, "rain": look.rain})


def _take(fact: FactView, kind: str, payload: dict[str, Any]) -> None:
    act = Act(Actor.machine("plans"), fact.realm, op_id=derived_id("plans.terms", fact.id), cause=fact.id, occurred_at=fact.occurred_at)
    actions.take_in(act, fact=fact.id, kind=kind, payload=payload, at=fact.occurred_at)


def on_stale(act: Act, subject: str, params: dict[str, Any]) -> None:
    """Timer plans.term_stale."""
    actions.term_stale(act, term=UUID(subject.partition(":")[2]))


def on_lapse(act: Act, subject: str, params: dict[str, Any]) -> None:
    """Timer plans.lapse."""
    actions.lapse(act, proposal=UUID(subject.partition(":")[2]))


def on_still_met(act: Act, subject: str, params: dict[str, Any]) -> None:
    """Timer plans.still_met."""
    _kind, binding, track = subject.split(":", 2)
    actions.propose_again(act, binding=UUID(binding), track=track)


def revise(fact: FactView) -> None:
    """Job plans.revise: a drill found something, a plan was used, or an organisation changed: the plans concerned are looked at again."""
    if fact.payload.get("_erased") or not fact.realm.is_actual:
        return
    for number, (case, trigger, reason) in enumerate(lives.concerned(fact)):
        act = Act(Actor.machine("plans"), fact.realm, op_id=derived_id("plans.revise", fact.id, number), cause=fact.id)
        lives.revise(act, case=case, trigger=trigger, reason=reason)
