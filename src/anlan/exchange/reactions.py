"""What exchange does when it hears of something (see flow.py)."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView

from . import actions, publishing


def publish(fact: FactView) -> None:
    """What stands on the public page may have changed: write it anew. Nothing of a drill is asked for."""
    if fact.realm.is_actual and publishing.wanted():
        publishing.publish()


def sign(fact: FactView) -> None:
    """An alert of actual operations was issued: sign it for the feed. A drill has nothing to sign for."""
    if fact.realm.is_actual:
        act = Act(Actor.machine("exchange"), fact.realm, op_id=derived_id("exchange.sign", fact.id), cause=fact.id)
        actions.sign_alert(act, alert=UUID(str(fact.payload["alert"])))
