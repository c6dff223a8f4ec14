"""What the room does by itself: reservations lapse, supplies are looked over once a day."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.actions import Act

from . import actions


def on_lapse(act: Act, subject: str, params: dict) -> None:
    actions.lapse(act, reservation=UUID(subject.partition(":")[2]))


def watch(act: Act) -> None:
    actions.watch(act)
