"""What this room does when a realm's clock says so, and when somebody wrote into the register of stations."""
from __future__ import annotations

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, probe, questions


def tick(act: Act, subject: str, params: dict) -> None:
    """Timer sensing.tick: gauges fall silent, old colours become unknown."""
    actions.tick(act)


def compare(act: Act, subject: str, params: dict) -> None:
    """Timer sensing.compare: it has rained; what do the neighbours say of each gauge?"""
    questions.compare(act)


def on_probe(act: Act, subject: str, params: dict) -> None:
    """Timer sensing.probe: did the last one come back? Send the next."""
    probe.on_probe(act, subject, params)


def on_register(facts: list[FactView]) -> None:
    """Follower sensing.stations: stations were entered, changed or ended by the register's pages, its API, an import or a phone."""
    ours = [fact for fact in facts if fact.payload.get("register") == "sensing.station"]
    if ours:
        last = ours[-1]
        ended = [str(fact.payload["row"]) for fact in ours if fact.payload["op"] == "end"]
        actions.follow_register(Act(Actor.machine("sensing"), last.realm, op_id=derived_id("sensing.stations", last.id), cause=last.id), ended=ended)
