"""What this room measures of itself, for `anlan bench`: from a person's press of the button to the public page that says so.

The way is the real one: fact, seal, job, signature, second job, files, swapped link; the running workers do it. Nothing leaves the machine.
"""
from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from anlan.kernel import realms
from anlan.kernel.actions import Act
from anlan.kernel.ids import new_id
from anlan.warning import actions
from anlan.warning.bench import approved, two
from anlan.warning.models import Channel

from . import publishing

TRIALS = 7
PATIENCE_S = 60


def _until(look: Callable[[set[str]], bool]) -> float | None:
    began = time.perf_counter()
    while time.perf_counter() - began < PATIENCE_S:
        try:
            page = json.loads((publishing.folder() / "current" / "alerts.json").read_bytes())
            if look({one["id"] for one in page["in_force"]}):
                return time.perf_counter() - began
        except OSError:
            pass
        time.sleep(0.01)
    return None


def bench() -> list[dict[str, Any]]:
    """How late the public page is, for an issue and for an all-clear."""
    names = ("public page: issued → on the page", "public page: all-clear → off the page")
    if (settings.HOME / "demo.json").exists():
        return [{"figure": name, "value": None, "unit": "s", "note": "not measured: a folder with demonstration accounts publishes nothing"} for name in names]
    region, author, approver = two()
    channel = Channel.objects.create(name=f"bench {new_id()}", adapter="cap_feed", audience="public", enabled=True)
    on, off = [], []
    for _trial in range(TRIALS):
        row = approved([str(channel.pk)], region, author, approver, status="Actual")
        actions.issue(Act(approver, realms.actual()), alert=row.pk)
        on.append(_until(lambda seen, key=str(row.pk): key in seen))  # type: ignore[misc]
        actions.end_as_prepared(Act(approver, realms.actual()), alert=row.pk, how="all_clear")
        off.append(_until(lambda seen, key=str(row.pk): key not in seen))  # type: ignore[misc]
    Channel.objects.filter(pk=channel.pk).update(enabled=False)
    rows = []
    for name, times in zip(names, (on, off), strict=True):
        known = sorted(one for one in times if one is not None)
        lost = f"; {len(times) - len(known)} of {len(times)} not within {PATIENCE_S} s" if len(known) < len(times) else ""
        rows.append({"figure": f"{name}, p50", "value": round(known[len(known) // 2], 2) if known else None, "unit": "s", "note": f"{TRIALS} times, worst {known[-1] if known else 0:.2f} s{lost}"})
    return rows
