"""The cast of this room's tests."""
from __future__ import annotations

import pytest


@pytest.fixture
def alice(city, county):
    """Here Alice keeps the city's register: sources and rules are the whole installation's. Charlie stays in his county."""
    from anlan.kernel.access import CAPABILITIES
    from anlan.runtime.testing import make_actor, make_post

    return make_actor("alice", make_post("监测管理员", city, capabilities=list(CAPABILITIES)))
