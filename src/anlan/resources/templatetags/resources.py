"""How the room's pages write quantities and codes."""
from __future__ import annotations

from typing import Any

from django import template

from anlan.kernel import codes

from ..compute import show, word

register = template.Library()


@register.filter
def qty(value: Any) -> str:
    """A quantity without superfluous zeros; nothing for unknown."""
    return show(value) if value is not None else ""


@register.filter
def unit(item: Any) -> str:
    """The unit an item's ledger is kept in."""
    return word(getattr(item, "unit", item) or "")


@register.filter
def code(value: Any, name: str) -> str:
    """A code's name in the reader's language."""
    return codes.name(name, value) if value else ""
