"""The doorway between what people write and what the ledger holds: quantities in units, readings of the calendar."""
from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from anlan.kernel import codes

from .errors import ABSURD, BAD_QUANTITY, NOT_WHOLE, UNIT_MIXED

STEP = Decimal("0.001")


def policy(name: str) -> int:
    """A value of the code list `supply_policy`."""
    return int(codes.data("supply_policy", name)["value"])


def number(value: Any, *, zero: bool = False) -> Decimal:
    """A positive quantity of at most three decimal places (`zero`: none at all is allowed). resources.bad_quantity."""
    try:
        found = value if isinstance(value, Decimal) else Decimal(str(value).strip().replace(",", ""))
    except (InvalidOperation, ValueError):
        raise BAD_QUANTITY(asked=str(value)[:40])
    if not found.is_finite() or found < 0 or (found == 0 and not zero) or found >= Decimal(10) ** 15 or found != found.quantize(STEP):
        raise BAD_QUANTITY(asked=str(value)[:40])
    return found.quantize(STEP)


def in_units(item: Any, value: Any, unit: str, *, zero: bool = False) -> Decimal:
    """`value` of `unit` in the item's own unit.

    Units of one dimension convert by their factors, boxes by the item's pack, mass and pieces by the weight of one; whatever
    else would mix units is refused. resources.unit_mixed, resources.not_whole, resources.absurd_quantity, resources.bad_quantity.
    """
    asked = number(value, zero=zero)
    base, known = item.unit, codes.entries("supply_unit")
    unit = unit or base
    mine, its = (known.get(name, {}).get("data") or {} for name in (base, unit))
    if not its:
        raise UNIT_MIXED(item=item.name, base=word(base), unit=unit[:20])
    if its.get("whole") and asked != asked.to_integral_value():
        raise NOT_WHOLE(item=item.name, asked=show(asked), unit=word(unit), found=show(asked), base=word(unit))
    if unit == base:
        found = asked
    elif its["dimension"] == mine.get("dimension") and its.get("factor") and mine.get("factor"):
        found = asked * Decimal(its["factor"]) / Decimal(mine["factor"])
    elif its["dimension"] == "pack" and item.per_box:
        found = asked * item.per_box
    elif its["dimension"] == "mass" and mine.get("dimension") == "count" and item.weight_kg:
        found = asked * Decimal(its["factor"]) / item.weight_kg
    else:
        raise UNIT_MIXED(item=item.name, base=word(base), unit=word(unit))
    if found != found.quantize(STEP) or (mine.get("whole") and found != found.to_integral_value()):
        raise NOT_WHOLE(item=item.name, asked=show(asked), unit=word(unit), found=f"{found:.3f}", base=word(base))
    most = item.most or Decimal(policy("most"))
    if found > most:
        raise ABSURD(item=item.name, found=show(found), base=word(base), most=show(most))
    return found.quantize(STEP)


def word(unit: str) -> str:
    return codes.name("supply_unit", unit)


def show(value: Decimal | None) -> str:
    """A quantity without superfluous zeros, thousands in groups."""
    if value is None:
        return ""
    text = f"{value:,.3f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
