"""Warehouses, items and lots made by the actions people use, for tests."""
from __future__ import annotations

import itertools
from typing import Any

from anlan.kernel.actions import Act, Actor
from anlan.kernel.registers import actions as registers
from anlan.resources import actions

_count = itertools.count(1)


def item(actor: Any, realm: Any, **more: Any) -> Any:
    """Drinking water in bottles of a kilogram and a half, 24 in a box."""
    code = f"W{next(_count)}"
    values = {"code": code, "name": f"饮用水{code}", "unit": "piece", "per_box": "24", "weight_kg": "1.5", "major": "1", **more}
    # The catalogue has no place: a county's post may not write it.
    return registers.create(Act(Actor.machine("test"), realm), register="resources.item", values=values)


def warehouse(actor: Any, realm: Any, region: Any, **more: Any) -> Any:
    code = f"CK{next(_count)}"
    return registers.create(Act(actor, realm), register="resources.warehouse", values={"code": code, "name": f"仓库{code}", "layer": "county", "region": str(region.pk), **more})


def receive(actor: Any, realm: Any, place: Any, what: Any, quantity: Any, **more: Any) -> Any:
    return actions.receive(Act(actor, realm), warehouse=place.pk, lines=[{"item": str(what.pk), "quantity": str(quantity), **more}], party="供应商")


def issue(actor: Any, realm: Any, place: Any, what: Any, quantity: Any, op_id: Any = None, **more: Any) -> Any:
    act = Act(actor, realm, **({"op_id": op_id} if op_id else {}))
    return actions.issue(act, warehouse=place.pk, lines=[{"item": str(what.pk), "quantity": str(quantity), **more}], party="甲一镇")
