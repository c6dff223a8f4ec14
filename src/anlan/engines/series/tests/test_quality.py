"""Faulty gauges are found and named with numbers; rain that fell is not taken for a fault."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from anlan.engines.series.quality import (
    BIAS,
    DOUBTFUL,
    FROZEN,
    IMPOSSIBLE,
    INFLUX,
    STUCK_ZERO,
    UNCHECKED,
    Limits,
    Network,
    near,
)

SHARED = Path(__file__).resolve().parents[6] / "shared" / "data" / "streams"


def square(side=4, step=0.01):
    """Gauges about a kilometre apart."""
    lon, lat = np.meshgrid(119 + step * np.arange(side), 28 + step * np.arange(side))
    return lon.ravel(), lat.ravel()


def judged(values, **limits):
    network = Network(*square(), Limits(**limits))
    return np.array([network.step(row) for row in values]), network


def shower(intervals, gauges=16, mm=0.8, seed=3):
    return np.round(np.random.default_rng(seed).gamma(4, mm / 4, (intervals, gauges)) + 0.1, 1)


def test_the_nearest_within_reach_are_those_of_all_pairs():
    rng = np.random.default_rng(1)
    lon, lat = 119 + rng.random(300), 28 + rng.random(300)
    got = near(lon, lat, 9.0, 8)
    a = np.radians(np.stack((lon, lat)))
    for i in range(300):
        half = np.sin((a[1] - a[1, i]) / 2) ** 2 + np.cos(a[1]) * np.cos(a[1, i]) * np.sin((a[0] - a[0, i]) / 2) ** 2
        km = 2 * 6371 * np.arcsin(np.sqrt(half))
        want = [j for j in np.argsort(km, kind="stable") if j != i and km[j] <= 9][:8]
        assert [j for j in got[i] if j >= 0] == want


def test_a_gauge_that_says_zero_while_it_rains_all_around_is_stuck_until_it_says_more():
    values = shower(30)
    values[:20, 5] = 0
    flags, network = judged(values)
    assert [(flags[t, 5] & STUCK_ZERO) > 0 for t in range(30)] == [False] * 5 + [True] * 15 + [False] * 10
    assert not (flags[:, [g for g in range(16) if g != 5]] & DOUBTFUL).any()
    (reason,) = network.why(5)
    assert reason.flag == "stuck_zero" and reason.own == 0 and reason.around > 0 and reason.neighbours >= 5 and reason.times == 15


def test_water_poured_in_is_high_influx_and_a_cloudburst_on_all_is_not():
    values = np.zeros((12, 16))
    values[4, 3] = 14.0
    values[8] = 14.0
    flags, _network = judged(values)
    assert flags[4, 3] & INFLUX and not (flags[8] & DOUBTFUL).any() and not (np.delete(flags[4], 3) & DOUBTFUL).any()


def test_a_gauge_off_by_a_factor_is_found_in_hours_and_one_cell_on_one_gauge_is_not():
    values = shower(80)
    values[:, 7] = np.round(values[:, 7] * 5, 1)
    values[40:43, 2] += 9  # a cell of a quarter of an hour: 27 mm
    flags, network = judged(values)
    assert (flags[60:, 7] & BIAS).all() and not (flags[:20, 7] & BIAS).any()
    assert not (flags[:, 2] & BIAS).any() and network.why(7)[0].flag == "bias"


def test_the_impossible_and_the_frozen_stand_for_themselves_and_the_lonely_gauge_says_so():
    values = np.full((10, 16), np.nan)
    values[:, 0] = 1.5
    values[2, 0] = 300
    flags, _network = judged(values)
    assert flags[2, 0] & IMPOSSIBLE and flags[9, 0] & FROZEN and not flags[4, 0] & FROZEN
    assert (flags[:, 0] & UNCHECKED).all() and not flags[:, 1:].any(), "a gauge that says nothing has no flag"


@pytest.mark.skipif(not SHARED.exists(), reason="the real streams are not beside the repository")
def test_amsterdam_september_2017_the_stuck_the_wild_and_the_true_storm():
    with open(SHARED / "amsterdam_pws_rain_5min_20170906_09.csv") as file:
        head, *lines = csv.reader(file)
    with open(SHARED / "amsterdam_pws_stations.csv") as file:
        at = {row["station"]: (float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)}
    names = head[1:]
    values = np.array([[float(cell) if cell else np.nan for cell in line[1:]] for line in lines])
    network = Network(*zip(*(at[name] for name in names), strict=True))
    flags = np.array([network.step(row) for row in values])
    often = {name: [(reason.flag, reason.times) for reason in network.why(place)] for place, name in enumerate(names)}
    stuck = {name for name, reasons in often.items() if dict(reasons).get("stuck_zero", 0) > 500}
    assert stuck == {"ams9", "ams11", "ams61", "ams83", "ams92"}, "the five the data's own notes name"
    assert often["ams84"][0][0] == "bias" and ("high_influx", 1) in often["ams5"]  # 183 mm where 30 fell; 16 mm out of a dry sky
    sound = (flags & DOUBTFUL) == 0
    kept, all_of = np.where(sound, np.nan_to_num(values), 0), np.nan_to_num(values)
    assert kept.sum() > 0.96 * all_of.sum(), "the storm survives"
    worst = np.median(all_of, axis=1).argsort()[-36:]  # the three hours in which it rained most on all
    assert kept[worst].sum() > 0.95 * all_of[worst].sum() and len(set(np.flatnonzero(~sound[worst].all(0)))) < 16
    assert len([name for place, name in enumerate(names) if (~sound[:, place]).mean() > 0.02]) <= 20
