"""What this room does when a realm's clock says so."""
from __future__ import annotations

from anlan.kernel.actions import Act

from . import actions


def tick(act: Act, subject: str, params: dict) -> None:
    """Timer sensing.tick: gauges fall silent, old colours become unknown."""
    actions.tick(act)
