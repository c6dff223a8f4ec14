"""Things the tests of this room are built from: a county with gauges and the Hengyang plan adopted, and a proposal."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from anlan.kernel.actions import Act
from anlan.kernel.models import Realm
from anlan.plans.models import ResponseProposal
from anlan.plans.tests.builders import GAUGES, adopt_hengyang, batch, machine, reading, station


def act(actor: Any, realm: Any, **extra: Any) -> Act:
    return Act(actor, realm, **extra)


def forward(realm: Any, minutes: float) -> Any:
    """Move a manual clock on by minutes; the instant reached."""
    realm.now_at += timedelta(minutes=minutes)
    Realm.objects.filter(pk=realm.pk).update(now_at=realm.now_at)
    return realm.now_at


def adopted(realm: Any, region: Any, default_post: Any, commander_post: Any) -> tuple[Any, dict[str, Any]]:
    """(binding, gauges): the commander signs every level; all other roles fall to the default post."""
    gauges = {name: station(f"HY-{name}", region) for name in GAUGES}
    posts = {role: [str(commander_post.pk)] for role in ("commander", "secretary_general", "deputy_commander") if role in roles()}
    return adopt_hengyang(realm, machine(), region, default_post, gauges, posts=posts), gauges


def roles() -> set[str]:
    from anlan.plans.tests.builders import pack

    return set(pack("hengyang_flood_2023").posts)


def rise(realm: Any, gauges: dict[str, Any], values: dict[str, float]) -> ResponseProposal:
    """Readings at the realm's present; the proposal that stands open after them."""
    at = realm.time()
    for name, value in values.items():
        reading(realm, gauges[name], value, at)
    batch(realm, at)
    return ResponseProposal.objects.of(realm).get(state="open")
