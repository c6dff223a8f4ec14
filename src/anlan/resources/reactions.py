"""What the room does by itself: reservations lapse, calls nobody answers are over, supplies are looked over once a day."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.actions import Act

from . import actions, calls


def on_lapse(act: Act, subject: str, params: dict) -> None:
    actions.lapse(act, reservation=UUID(subject.partition(":")[2]))


def on_roll_silence(act: Act, subject: str, params: dict) -> None:
    roll, _dot, site = subject.partition(":")[2].partition(".")
    calls.roll_silence(act, roll=UUID(roll), site=UUID(site))


def watch(act: Act) -> None:
    actions.watch(act)
