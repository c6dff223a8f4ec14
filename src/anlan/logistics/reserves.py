"""What people need over the days by stated rates (R52), and the reserve that follows: by layer what must lie in store, what is agreed and what is made; beside what is held today."""
from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anlan.engines.allocation import needs
from anlan.kernel import clock, codes
from anlan.resources import supplies
from anlan.resources.compute import word
from anlan.resources.models import Item

SCALE = {("L", "l"): 1.0, ("l", "l"): 1.0, ("ml", "l"): 0.001, ("kg", "kg"): 1.0, ("g", "kg"): 0.001}


def amounts(people: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Rate → amount on each day, by the rates in force."""
    return needs.estimate([
        needs.Rate(code, one["data"]["who"], float(one["data"]["amount"]), float(one["data"].get("for_each", 1)), bool(one["data"].get("daily", True)))
        for code, one in codes.entries("need_rate").items() if one["data"]["who"] in people
    ], people)


def mapping() -> dict[str, Any]:
    """Which item of the catalogue serves which rate, by the words of the rate, and what one unit of it is where its name says so: a proposal for the form."""
    items = list(Item.plain.filter(ended_at=None).order_by("name"))
    found: dict[str, Any] = {}
    for code, one in codes.entries("need_rate").items():
        words = [*one["data"].get("words", ()), codes.name("need_rate", code, "zh-hans"), codes.name("need_rate", code, "en")]
        hit = next((item for word_ in words for item in items if word_ in item.name), None)
        if hit is not None:
            found[f"item_{code}"], found[f"each_{code}"] = str(hit.pk), _each(hit, str(one["data"].get("unit", "")))
    return found


def _each(item: Item, unit: str) -> float:
    """A bottle named “1.5 L” is 1.5 of a rate in litres."""
    said = re.search(r"(\d+(?:\.\d+)?)\s*(ml|l|L|kg|g)\b", item.name)
    factor = SCALE.get((said[2], unit.lower())) if said else None
    return float(said[1]) * factor if said and factor else 1.0


@dataclass
class Cell:
    target: int
    held: int

    @property
    def gap(self) -> int:
        return max(self.target - self.held, 0)


@dataclass
class Line:
    """A good: what is needed in all, in units of its item; by layer what must lie in store; what is agreed; what is made."""

    code: str
    name: str
    item: Item
    unit: str
    need: int
    layers: list[Cell]
    agreement: Cell
    capacity: Cell
    lead: tuple[float, float]  # days until agreed goods, and made ones, arrive
    by_day: list[int] = field(default_factory=list)

    @property
    def gap(self) -> int:
        return sum(cell.gap for cell in self.layers)


@dataclass
class Targets:
    region: Any
    people: dict[str, int]
    days: int
    lines: list[Line]
    missing: list[str]  # rates no item serves

    @property
    def short(self) -> int:
        return sum(one.gap > 0 or one.agreement.gap > 0 or one.capacity.gap > 0 for one in self.lines)


def targets(actor: Any, realm: Any, region: Any, given: Mapping[str, Any]) -> Targets:
    """For a share of the region's people (or the numbers given) over so many days; held is what the ledger and the agreements in force say today."""
    people = {name: int(given.get(name) or 0) for name in ("sheltered", "homeless", "infants", "injured")}
    if not people["sheltered"] and region.population:
        people["sheltered"] = round(region.population * float(given.get("share") or 0) / 100)
    days = int(given["days"])
    needed = amounts({name: [float(n)] * days for name, n in people.items()})
    today = clock.local(clock.now(realm)).date()
    held = {str(one["item"].pk): one for one in supplies.layers(actor, realm, today, region.pk)}
    shares = {code: float(entry["data"]["share"]) / 100 for code, entry in codes.entries("reserve_share").items()}
    items = {str(row.pk): row for row in Item.plain.filter(pk__in=[given[f"item_{code}"] for code in codes.entries("need_rate") if given.get(f"item_{code}")])}
    lines, missing = [], []
    for code, entry in codes.entries("need_rate").items():
        item, total = items.get(str(given.get(f"item_{code}") or "")), needed.get(code)
        if total is None or not total.sum():
            continue
        if item is None:
            missing.append(codes.name("need_rate", code))
            continue
        each = float(given.get(f"each_{code}") or 1)
        lead = (float(entry["data"].get("agreement_days", 0)), float(entry["data"].get("capacity_days", 0)))
        daily = total / each
        parts = needs.split(daily, agreement_days=lead[0], capacity_days=lead[1])
        cells, forms = {cell["layer"]: cell for cell in held.get(str(item.pk), {}).get("cells", ())}, held.get(str(item.pk), {}).get("forms", {})
        lines.append(Line(
            code, codes.name("need_rate", code), item, word(item.unit), _up(total.sum() / each),
            [Cell(_up(parts.physical * shares.get(layer, 0.0)), int(cells[layer]["forms"].get("physical", 0)) if layer in cells else 0) for layer in codes.entries("reserve_layer")],
            Cell(_up(parts.agreement), int(forms.get("agreement", 0))), Cell(_up(parts.capacity), int(forms.get("capacity", 0))), lead, [_up(value) for value in daily],
        ))
    return Targets(region, people, days, lines, missing)


def _up(value: float) -> int:
    return int(np.ceil(float(value) - 1e-9))
