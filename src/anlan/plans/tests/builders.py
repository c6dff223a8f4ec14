"""Things the tests of this room are built from: a city with gauges, the plans adopted, readings and facts of other rooms."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from anlan.engines.conditions import PlanFile, read_plan
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.facts import RealmStarted
from anlan.kernel.ids import new_id
from anlan.kernel.journal import FactView
from anlan.plans import actions, reactions
from anlan.plans.vocabulary import vocabulary

PACKS = Path(actions.PACKS)
GAUGES = ("hengyang", "hengshan", "guiyang", "leiyang", "hengdong", "shenshantou", "ouyanghai")
T0 = datetime(2026, 6, 20, 0, 0, tzinfo=UTC)


def pack(name: str) -> PlanFile:
    plan, troubles = read_plan((PACKS / f"{name}.yaml").read_bytes(), vocabulary())
    assert plan is not None, troubles
    return plan


def changed_pack(name: str, change: Any) -> str:
    """The file of a pack with one change, as JSON (which is YAML)."""
    import json

    data = yaml.safe_load((PACKS / f"{name}.yaml").read_text(encoding="utf-8"))
    change(data)
    return json.dumps(data, ensure_ascii=False)


def act(actor: Any, realm: Any, **extra: Any) -> Act:
    return Act(actor, realm, **extra)


def station(code: str, region: Any, quantity: str = "level", lon: float = 119.1, lat: float = 28.1) -> Any:
    from anlan.sensing.models import Station

    return Station.objects.create(code=code, name=f"{code}站", name_en=code, kind=quantity, quantities=[quantity], region=region, lon=lon, lat=lat)


def reading(realm: Any, gauge: Any, value: float, at: datetime, quantity: str = "level", flags: int = 0) -> None:
    """A stored reading, as the sensing worker leaves it."""
    from anlan.sensing import history
    from anlan.sensing.models import Series
    from anlan.sensing.quantities import QUANTITIES

    series, _ = Series.objects.get_or_create(realm=realm, station=gauge, quantity=quantity, defaults={"partition": 0})
    row = (np.array([series.pk]), np.array([int(at.timestamp())]), np.array([QUANTITIES[quantity].whole(value)]), np.array([flags], np.int16))
    history.store(*row, at)
    history.roll_up(*row, np.array([False]))


@action("plans.test_stand_in")
def stand_in(act: Act, *, key: Any) -> None:
    """A fact of that key, so that what is caused by it has a cause in the journal."""
    act.state(RealmStarted(realm=act.realm.pk, kind="test", name="stand-in"), subject="test:1", id=key)


def told(realm: Any, kind: str, payload: dict[str, Any], at: datetime | None = None, key: Any = None) -> FactView:
    """A fact of another room, as the follower sees it."""
    when = at or realm.time()
    plain = {name: value.isoformat() if isinstance(value, datetime) else str(value) if type(value).__name__ == "UUID" else value for name, value in payload.items()}
    key = key or new_id()
    stand_in(Act(Actor.machine("test"), realm, occurred_at=when), key=key)
    return FactView(
        id=key, kind=kind, realm_id=realm.pk, subject="test:1", region_id=None, cause_id=None, occurred_at=when, precision="minute", received_at=when,
        recorded_at=when, number=1, payload=plain,
    )


def heard(realm: Any, kind: str, payload: dict[str, Any], at: datetime | None = None, key: Any = None) -> FactView:
    """`told`, and fed to the plans."""
    fact = told(realm, kind, payload, at, key)
    reactions.on_facts([fact])
    return fact


def batch(realm: Any, at: datetime) -> FactView:
    return heard(realm, "sensing.ReadingsAccepted", {"count": 1, "duplicates": 0, "conflicts": 0, "late": 0, "first": at, "last": at, "digest": ""}, at)


def warn(realm: Any, regions: list[Any], colour: str, hazard: str = "11B03", at: datetime | None = None) -> str:
    alert = str(new_id())
    when = at or realm.time()
    heard(realm, "warning.OutsideWarningReceived", {"alert": alert, "issuer": "met", "issuer_name": "气象局", "hazard": hazard, "colour": colour,
                                                    "regions": [str(region.pk) for region in regions], "sent": when, "msg_type": "Alert", "heard_by": ""}, when)
    return alert


def observe(realm: Any, term: str, place: str, value: Any, at: datetime | None = None, unit: str = "", qualifier: str = "") -> FactView:
    when = at or realm.time()
    return heard(realm, "command.FactObserved", {"term": term, "place": place, "value": value, "unit": unit, "qualifier": qualifier, "occurred_at": when, "source": "电话报告"}, when)


def machine() -> Actor:
    return Actor.machine("plans")


def adopt_hengyang(realm: Any, actor: Any, region: Any, post: Any, gauges: dict[str, Any] | None = None, **extra: Any) -> Any:
    return actions.adopt(act(actor, realm), plan="hengyang-flood-2023", region=region.pk, default_post=post.pk,
                         places={name: {"station": str(gauge.pk)} for name, gauge in (gauges or {}).items()}, **extra)


def minutes(n: float) -> timedelta:
    return timedelta(minutes=n)


