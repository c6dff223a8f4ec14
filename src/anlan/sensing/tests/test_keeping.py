"""Readings are kept for ever, or as long as the setting says; what is erased is counted and digested in the journal."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.kernel import clock, daily, journal
from anlan.kernel.actions import Act, Actor
from anlan.sensing import keeping
from anlan.sensing.models import Reading
from anlan.sensing.worker import feed

from .builders import rain, station

pytestmark = pytest.mark.django_db


def erased():
    return [fact.payload for fact in journal.select("WHERE f.kind = 'sensing.ReadingsErased' ORDER BY f.recorded_at")]


def test_old_readings_are_erased_with_their_count_and_digest_and_new_ones_stay(actual, replay, settings, monkeypatch):
    station(actual, "R1")
    feed(replay, rain("R1", *[(n, 1.0) for n in range(7)]))
    old = Reading.objects.order_by("time").values_list("pk", flat=True)[:5]
    for key in list(old):
        Reading.objects.filter(pk=key).update(received_at=clock.now() - timedelta(days=40))
    act = Act(Actor.machine("kernel"), actual)
    keeping.forget_readings(act)
    assert Reading.objects.count() == 7 and erased() == [], "without the setting everything is kept"
    settings.READINGS_DAYS = 35
    monkeypatch.setattr(keeping, "BATCH", 3)
    keeping.forget_readings(act)
    told = erased()
    assert Reading.objects.count() == 2 and [row["count"] for row in told] == [3, 2] and len({row["digest"] for row in told}) == 2
    keeping.forget_readings(act)
    assert len(erased()) == 2, "nothing to erase states nothing"


def test_less_than_a_month_cannot_be_asked_for(actual, replay, settings):
    station(actual, "R1")
    feed(replay, rain("R1", (0, 1.0)))
    Reading.objects.update(received_at=clock.now() - timedelta(days=20))
    settings.READINGS_DAYS = 1
    keeping.forget_readings(Act(Actor.machine("kernel"), actual))
    assert Reading.objects.count() == 1 and "sensing.forget_readings" in daily.CHORES
