"""What happens when other rooms state something. Repeating any of it changes nothing: keys derive from the fact."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, compute, lives

# Both say that there is something new among the readings. One look takes in all that is stored, so a run of them needs one.
LOOKS = {"sensing.ReadingsAccepted": "last", "sensing.SignalChanged": "reading_time"}
RUNS = dict.fromkeys(LOOKS, actions.LOOK) | {"warning.OutsideWarningReceived": actions.WARNED, "warning.AlertIssued": actions.WARNED, "warning.WarningEnded": actions.ENDED}


@dataclass
class Run:
    """Facts of one kind and realm that no other fact has interrupted."""

    kind: str
    facts: list[FactView] = field(default_factory=list)

    def payload(self) -> dict[str, Any]:
        if self.kind != actions.LOOK:
            return {"run": [{**fact.payload, "fact": str(fact.id), "heard": fact.occurred_at.isoformat()} for fact in self.facts]}
        return {
            "last": max(str(fact.payload[LOOKS[fact.kind]]) for fact in self.facts),
            "rain": any(fact.kind == "sensing.SignalChanged" and fact.payload.get("quantity") == "rain" for fact in self.facts),
        }


def on_facts(facts: list[FactView]) -> None:
    """Follower plans.terms: each fact changes what is known, then the conditions it touches are judged. Runs of readings and of warnings are one step."""
    adopted: dict[UUID, bool] = {}
    runs: dict[UUID, Run] = {}
    for fact in facts:
        if fact.payload.get("_erased") or fact.realm.is_over:
            continue
        kind = RUNS.get(fact.kind, "")
        if kind == actions.LOOK:
            if fact.realm_id not in adopted:
                adopted[fact.realm_id] = compute.bindings(fact.realm).exists()
            if not adopted[fact.realm_id]:
                continue
        elif not kind and fact.kind not in actions.TAKERS:
            continue
        run = runs.get(fact.realm_id)
        if run is not None and run.kind != kind:
            # What came before is judged before it.
            _take(run.facts[-1], run.kind, runs.pop(fact.realm_id).payload())
            run = None
        if kind:
            runs.setdefault(fact.realm_id, Run(kind)).facts.append(fact)
        else:
            _take(fact, fact.kind, fact.payload)
    for run in runs.values():
        _take(run.facts[-1], run.kind, run.payload())


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
