"""What warning does when it hears of something (see flow.py)."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, delivery, hazards, modelled, passing, queries, standing
from .models import RANK


def on_signals(facts: list[FactView]) -> None:
    """Signals of an area and hazard become one proposal, in the order they were stated."""
    rules = hazards.proposal_rules()
    for fact in facts:
        told = fact.payload
        if fact.realm.is_over or told.get("_erased"):
            continue
        region = queries.county_of(fact.region_id or (UUID(told["region"]) if told.get("region") else None), rules["area"])
        hazard = rules["words"].get(told.get("hazard", "")) or rules["quantities"].get(told.get("quantity", ""))
        if region is None or hazard is None:
            continue
        colour = told.get("new", "")
        if colour == "unknown":
            continue  # a gauge nobody hears tells nothing new: what it last said stands until it speaks again
        colour = colour if colour in RANK else ""
        act = Act(Actor.machine("warning"), fact.realm, op_id=derived_id("warning.propose", fact.id), cause=fact.id, occurred_at=fact.occurred_at, precision=fact.precision)
        actions.propose(
            act, region=region, hazard=hazard, station=str(told.get("station", "")), name=told.get("name", ""), rule=told.get("rule", ""),
            rule_version=str(told.get("rule_version", "")), quantity=told.get("quantity", ""), value=told.get("value"), unit=told.get("unit", ""),
            window=_window(told.get("window_s")), threshold=told.get("threshold"), colour=colour, at=fact.occurred_at.isoformat(), fact=fact.id,
        )


def on_revisions(facts: list[FactView]) -> None:
    """Where a signal was not what was said of it, the proposals that rest on it are told."""
    for fact in facts:
        told = fact.payload
        if fact.realm.is_over or told.get("_erased"):
            continue
        act = Act(Actor.machine("warning"), fact.realm, op_id=derived_id("warning.note_revision", fact.id), cause=fact.id)
        actions.note_revision(
            act, station=str(told["station"]), name=told["name"], rule=told["rule"], said=told["said"], true=told["true"], at=fact.occurred_at.isoformat(), fact=fact.id,
        )


def _window(seconds: int | None) -> str:
    if not seconds:
        return ""
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"


def on_sources(facts: list[FactView]) -> None:
    """A source rose, fell or spoke: do the sources of a standing authorisation agree now? Asked once a batch; the tables are the truth."""
    latest = {fact.realm_id: fact for fact in facts if not fact.realm.is_over}
    for fact in latest.values():
        for key in standing.concerned(fact.realm):
            act = Act(Actor.machine("warning"), fact.realm, op_id=derived_id("warning.use_standing", key, fact.id), cause=fact.id)
            standing.use(act, standing=key)


def deliver(fact: FactView) -> None:
    """An alert was issued: one attempt row per target, then send. A crash in between sends nothing twice."""
    delivery.deliver(UUID(str(fact.payload["alert"])), cause=fact.id)


def on_expire(act: Act, subject: str, params: dict) -> None:
    actions.expire(act, alert=UUID(subject.partition(":")[2]))


def on_standing_expire(act: Act, subject: str, params: dict) -> None:
    standing.expire(act, standing=UUID(subject.partition(":")[2]))


def on_retry(act: Act, subject: str, params: dict) -> None:
    """Timer: what failed for the moment is tried again, as a new row."""
    delivery.ask_again(act, alert=UUID(subject.partition(":")[2]))


def on_model_over(act: Act, subject: str, params: dict) -> None:
    modelled.over(act, proposal=UUID(subject.partition(":")[2]))


def on_recount(act: Act, subject: str, params: dict) -> None:
    """Timer: receipts that came since a channel was counted."""
    delivery.recount(act, alert=UUID(subject.partition(":")[2]))


def on_unheard(act: Act, subject: str, params: dict) -> None:
    """Timer: receipts that had to be here by now are not."""
    passing.look_for_silence(act, alert=UUID(subject.partition(":")[2]))
