"""What this room measures of itself, for `anlan bench`: the rain sums of a whole city, as a plan asks for them in a storm."""
from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from shapely.geometry import box

from anlan.kernel import realms
from anlan.kernel.ids import new_id
from anlan.kernel.models import Region, RegionPath
from anlan.sensing.models import Series, Station

from . import compute
from .vocabulary import vocabulary

GAUGES, DAYS, TRIALS = 2000, 1, 15
NOW = datetime(2021, 7, 20, 12, tzinfo=UTC)


def storm() -> tuple[Region, set[str]]:
    """A region with 2,000 gauges and a day of five-minute reports (576,000 readings), and the terms of sums over it."""
    realm = realms.actual()
    mark = new_id().hex[-8:]
    region = Region.objects.create(name=f"bench {mark}", kind="city", area_wkb=box(119, 28, 120, 29).wkb, west=119, south=28, east=120, north=29, lon=119.5, lat=28.5)
    RegionPath.objects.create(hierarchy="administrative", ancestor=region, descendant=region, depth=0)
    stations = Station.objects.bulk_create(
        Station(code=f"B{mark}-{n}", name=f"B{n}", kind="rain", quantities=["rain"], region=region, lon=119 + (n % 50) / 50, lat=28 + (n // 50) / 40) for n in range(GAUGES)
    )
    Series.objects.bulk_create(Series(realm=realm, station=station, quantity="rain", partition=0) for station in stations)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sensing_reading (series_id, time, value, received_at, flags) SELECT s.id, t, (random() * 2000)::int, t, 0 FROM sensing_series s "
            "CROSS JOIN generate_series(%s::timestamptz, %s::timestamptz, interval '5 minutes') t WHERE s.station_id = ANY(%s)",
            [NOW - timedelta(days=DAYS), NOW, [station.pk for station in stations]],
        )
        cursor.execute("ANALYZE sensing_reading")
    names = {name for name in vocabulary() if vocabulary()[name].source == "machine" and vocabulary()[name].window is not None}
    return region, names


def sums(region: Region, names: set[str], trials: int = TRIALS) -> list[float]:
    """Seconds of one look at every rain sum and the covered area of the region, sorted."""
    times = []
    for number in range(trials):
        began = time.perf_counter()
        found = list(compute._sums_at(realms.actual(), f"region:{region.pk}", names, NOW - timedelta(minutes=5 * number)))
        times.append(time.perf_counter() - began)
        assert len(found) == len(names)
    return sorted(times)


def bench() -> list[dict[str, Any]]:
    """Rain sums over 2,000 gauges: what one rain signal costs the plans. Everything is rolled back."""
    with transaction.atomic():
        region, names = storm()
        times = sums(region, names)
        transaction.set_rollback(True)
    note = f"{len(names)} terms (sums of 1 to {max(int(vocabulary()[name].window.total_seconds() // 3600) for name in names)} h, covered area) of one city, {GAUGES:,} gauges, five-minute reports"
    return [
        {"figure": "plans: rain sums of a city, p50", "value": round(times[len(times) // 2] * 1000, 1), "unit": "ms", "note": note},
        {"figure": "plans: rain sums of a city, worst", "value": round(times[-1] * 1000, 1), "unit": "ms", "note": note},
    ]
