"""What the loops do when something is stated elsewhere."""
from __future__ import annotations

from ..actions import Act, Actor
from ..ids import derived_id
from ..journal import FactView
from ..models import Realm
from . import actions, holidays
from .declare import LOOPS


def on_codes(facts: list[FactView]) -> None:
    """The calendar of working days has another version: count every provisional deadline again."""
    changed = [fact for fact in facts if fact.payload.get("list") == holidays.LIST and fact.payload.get("in_force")]
    if not changed:
        return
    fact = changed[-1]
    for realm in Realm.objects.filter(ended_at=None):
        for declared in list(LOOPS.values()):
            rows = declared.model.plain.filter(realm=realm, loop=declared.name, due_provisional=True, closed_at=None)
            for key in rows.order_by("id").values_list("pk", flat=True):
                act = Act(Actor.machine("loops"), realm, op_id=derived_id("loops.calendar", fact.id, key), cause=fact.id)
                actions.recount(act, loop=declared.name, case=key)
