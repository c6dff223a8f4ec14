"""What the house does once a day, early in the morning: erase what may no longer be kept, send the journal's head out.

A machine that was off at that hour does it when it starts. Rooms add their own with `chore` in `apps.ready()`.
"""
from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.module_loading import import_string

from . import clock, due, realms
from .actions import Act, Actor, action
from .models import Due

log = logging.getLogger("anlan.daily")
TIMER, SUBJECT = "kernel.daily", "installation:here"
AT = (3, 10)  # local time: after midnight's shift change has settled, before anybody prints the morning's papers
CHORES: dict[str, str] = {}


def chore(name: str, path: str) -> None:
    """Have `path(act)` called once a day on the actual realm's clock."""
    CHORES[name] = path


def _next(after: datetime) -> datetime:
    local = clock.local(after)
    at = local.replace(hour=AT[0], minute=AT[1], second=0, microsecond=0)
    return at if at > local else at + timedelta(days=1)


@action("daily.arm")
def arm(act: Act) -> None:
    due.at(act, _next(act.now), TIMER, subject=SUBJECT)


def ensure() -> None:
    """A worker that starts sees to it that the timer runs; an overdue one stays as it is and fires at once."""
    actual = realms.actual()
    if not Due.objects.filter(realm=actual, timer=TIMER, subject=SUBJECT).exists():
        arm(Act(Actor.machine("kernel"), actual))


def on_daily(act: Act, subject: str, params: dict) -> None:
    """Timer. Each chore alone: one that fails is parked for a person (its own timer), and the others are done."""
    arm(act.child(step="arm"))
    for name in CHORES:
        due.at(act, act.now, "kernel.chore", subject=f"chore:{name}")


def on_chore(act: Act, subject: str, params: dict) -> None:
    """Timer: one chore. A failure is tried again, and parked after that, like every timer's."""
    path: Any = CHORES.get(subject.partition(":")[2])
    if path is None:
        return  # of a room this release no longer has
    with transaction.atomic():
        import_string(path)(act)
