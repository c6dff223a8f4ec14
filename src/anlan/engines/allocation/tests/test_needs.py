"""Needs by rates: known answers."""
from __future__ import annotations

import numpy as np
import pytest

from anlan.engines.allocation.needs import Rate, estimate, split


def test_daily_goods_follow_the_people_and_lasting_goods_their_peak():
    people = {"sheltered": [100, 250, 200], "infants": [10]}
    found = estimate([Rate("water_l", "sheltered", 15), Rate("tent", "sheltered", 1, for_each=4, daily=False), Rate("water_l", "infants", 5), Rate("stove", "sheltered", 1, for_each=100, daily=False, first=2)], people)
    assert found["water_l"].tolist() == [1550, 3750, 3000]
    assert found["tent"].tolist() == [25, 38, 0], "63 tents for 250 people; nobody gives them back on day 3"
    assert found["stove"].tolist() == [0, 3, 0]
    assert estimate([Rate("water_l", "nobody", 15)], {})["water_l"].size == 0


def test_lead_times_decide_what_lies_in_store():
    need = np.array([100.0, 100.0, 200.0, 200.0])
    found = split(need, agreement_days=1.5, capacity_days=3, stock=120)
    assert (found.physical, found.agreement, found.capacity, found.gap) == (150, 250, 200, 30)
    assert sum((found.physical, found.agreement, found.capacity)) == need.sum()
    all_in_store = split(need, agreement_days=30, capacity_days=2)
    assert (all_in_store.physical, all_in_store.agreement, all_in_store.capacity, all_in_store.gap) == (600, 0, 0, 600)
    assert split(need, agreement_days=0, capacity_days=0).capacity == pytest.approx(600)
