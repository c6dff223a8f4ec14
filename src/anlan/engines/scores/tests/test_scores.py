"""Known answers a person can work out in the head."""
from __future__ import annotations

import numpy as np
import pytest

from anlan.engines.scores import Score, episodes, score, worth

HOUR = 3600


def test_a_dip_shorter_than_the_rest_is_the_same_episode_and_a_gap_begins_nothing():
    at = np.arange(10) * HOUR
    value = np.array([0, 5, 5, 4, 5, np.nan, 0, 0, 0, 6.0])
    assert episodes(at, value, 5, rest=2 * HOUR) == [HOUR, 9 * HOUR]
    assert episodes(at, value, 5, rest=HOUR) == [HOUR, 4 * HOUR, 9 * HOUR]


def test_hits_misses_and_false_alarms():
    found = score([10 * HOUR, 50 * HOUR], [14 * HOUR, 15 * HOUR, 90 * HOUR], horizon=6 * HOUR, begin=0, end=100 * HOUR)
    assert (found.hits, found.misses, found.false_alarms, found.leads) == (1, 1, 1, (4 * HOUR,))
    assert (found.detected, found.false_share) == (0.5, 0.5) and found.success == pytest.approx(1 / 3)


def test_an_alarm_after_the_impact_is_a_miss_and_false():
    found = score([15 * HOUR], [14 * HOUR], horizon=6 * HOUR, begin=0, end=20 * HOUR)
    assert (found.hits, found.misses, found.false_alarms) == (0, 1, 1)


def test_the_worth_of_a_perfect_rule_is_one_and_of_a_silent_one_nothing():
    assert worth(Score(2, 0, 0, 98, (1, 1)), 0.1) == pytest.approx(1)
    assert worth(Score(0, 2, 0, 98, ()), 0.1) == pytest.approx(0)
    assert worth(Score(1, 1, 0, 8, (1,)), 0.1) == pytest.approx((1.0 - 1.1) / (1.0 - 0.2))
    assert worth(Score(0, 0, 3, 7, ()), 0.1) is None
