"""How long readings are kept: once a day, partitions are dropped all of whose readings came in longer ago than ANLAN_READINGS_DAYS."""
from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from anlan.kernel.actions import Act, Actor, action

from . import history
from .facts import ReadingsErased

LEAST_DAYS = 31  # windows, curves and reviews of the running month need them


def oldest(now: int) -> int:
    """Event time (s) before which nothing is taken any more: its partition may be gone, and a repeat would count twice."""
    return now - 86400 * max(LEAST_DAYS, settings.READINGS_DAYS) if settings.READINGS_DAYS > 0 else 0


def forget_readings(act: Act) -> None:
    """Daily chore. 0 (the default) keeps everything. A fact for each partition; roll-ups stay."""
    if settings.READINGS_DAYS <= 0:
        return
    before = act.now - timedelta(days=max(LEAST_DAYS, settings.READINGS_DAYS))
    for part in history.whole_before(before):
        erase(Act(Actor.machine("sensing"), act.realm, cause=act.cause), part=part, before=before)


@action("sensing.erase_readings")
def erase(act: Act, *, part: str, before: object) -> int:
    """Drop one partition; how many readings it held. States their count and digest."""
    dropped = history.drop(part)
    if dropped is None:
        return 0
    count, first, last, digest = dropped
    act.state(ReadingsErased(count=count, first=first, last=last, received_before=before, digest=digest), subject=f"realm:{act.realm.pk}")  # type: ignore[arg-type]
    return count
