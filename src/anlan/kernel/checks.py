"""Start-up checks: wrong settings are said at start, not at three in the morning."""
from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error, register


@register()
def times_are_utc(**_: Any) -> list[Error]:
    if settings.TIME_ZONE != "UTC" or not settings.USE_TZ:
        return [Error("TIME_ZONE must be UTC", hint="Local time belongs at the edge: ANLAN_TIME_ZONE.", id="kernel.E001")]
    return []


@register()
def flow_table_is_sound(**_: Any) -> list[Error]:
    """Every reaction's handler exists and every fact it names is declared."""
    from django.utils.module_loading import import_string

    from anlan import flow

    from .journal import REGISTRY

    problems = []
    for reaction in [*flow.FOLLOWERS, *flow.JOBS, *flow.TIMERS]:
        try:
            import_string(reaction.handler)
        except ImportError as error:
            problems.append(Error(f"flow.py: {reaction.name}: {error}", id="kernel.E002"))
        for kind in getattr(reaction, "facts", ()):
            if kind not in REGISTRY:
                problems.append(Error(f"flow.py: {reaction.name} waits for {kind}, which no room states", id="kernel.E003"))
    return problems
