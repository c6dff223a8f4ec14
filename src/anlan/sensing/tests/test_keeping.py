"""Readings are kept for ever, or as long as the setting says; what is erased is counted and digested in the journal; roll-ups stay."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError

from anlan.kernel import clock, daily, journal
from anlan.kernel.actions import Act, Actor
from anlan.sensing import keeping
from anlan.sensing.models import Part, Reading, Rollup
from anlan.sensing.worker import feed

from .builders import put, rain, station

pytestmark = pytest.mark.django_db
MONTH = 31 * 24 * 60
OF_THE_STORM = Part.objects.filter(parent="sensing_reading", first__year=2021)  # tests of the whole program leave partitions of today


def erased():
    return [fact.payload for fact in journal.select("WHERE f.kind = 'sensing.ReadingsErased' ORDER BY f.recorded_at")]


def parts():
    return list(OF_THE_STORM.order_by("first").values_list("name", flat=True))


def test_a_partition_goes_as_a_whole_with_count_and_digest_when_all_of_it_is_old(actual, replay, settings):
    station(actual, "R1")
    put(replay, 2 * MONTH)
    feed(replay, rain("R1", *[(n, 1.0) for n in range(7)], (MONTH, 2.0)))
    assert parts() == ["sensing_reading_20210701", "sensing_reading_20210801"]
    act = Act(Actor.machine("kernel"), actual)
    keeping.forget_readings(act)
    assert Reading.objects.count() == 8 and erased() == [], "without the setting everything is kept"
    settings.READINGS_DAYS = 35
    old = clock.now() - timedelta(days=40)
    Reading.objects.update(received_at=old)
    Reading.objects.filter(pk=Reading.objects.order_by("time").values_list("pk", flat=True)[3]).update(received_at=clock.now())
    keeping.forget_readings(act)
    assert parts() == ["sensing_reading_20210701"], "one reading of it came in lately: the month stays"
    Reading.objects.update(received_at=old)
    keeping.forget_readings(act)
    told = erased()
    assert parts() == [] and Reading.objects.count() == 0
    assert [row["count"] for row in told] == [1, 7] and told[0]["digest"] != told[1]["digest"] and told[1]["last"].startswith("2021-07-20T00:06")
    assert Rollup.objects.filter(span_s=86400).count() == 3, "what was measured is still known by the day"
    keeping.forget_readings(act)
    assert len(erased()) == 2, "nothing to erase states nothing"


def test_less_than_a_month_cannot_be_asked_for(actual, replay, settings):
    station(actual, "R1")
    feed(replay, rain("R1", (0, 1.0)))
    Reading.objects.update(received_at=clock.now() - timedelta(days=20))
    settings.READINGS_DAYS = 1
    keeping.forget_readings(Act(Actor.machine("kernel"), actual))
    assert Reading.objects.count() == 1 and "sensing.forget_readings" in daily.CHORES


def test_partitions_of_other_lengths_fit_between_those_that_are_there(actual, replay, settings):
    station(actual, "R1")
    put(replay, 3 * MONTH)
    feed(replay, rain("R1", (0, 1.0)))
    settings.READINGS_PART = "week"
    feed(replay, rain("R1", (MONTH + 1, 1.0), (12 * 24 * 60, 1.0), (20 * 24 * 60, 2.0)))
    found = list(OF_THE_STORM.order_by("first").values_list("first", "after"))
    assert Reading.objects.count() == 4 and len(found) == 4
    assert all(one[1] <= other[0] for one, other in zip(found, found[1:], strict=False)), "no two overlap"
    assert found[1] == (found[0][1], found[0][1] + timedelta(days=1)), "of the week that began in July what July's partition leaves"


def test_nobody_drops_another_table_through_the_function(actual):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT sensing_drop_part('kernel_fact')")
