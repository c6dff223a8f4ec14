"""The county with its plan, on a replay clock; and a proposal of the lowest level."""
from __future__ import annotations

import pytest

from .builders import adopted, forward, rise


@pytest.fixture
def plan(replay, county, duty_post, commander_post):
    forward(replay, 5)
    return adopted(replay, county, duty_post, commander_post)


@pytest.fixture
def proposal(replay, plan, commander):
    return rise(replay, plan[1], {"hengshan": 49.2})
