"""Stations, sources and readings for this room's tests."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from anlan.kernel.actions import Act, Actor
from anlan.sensing import actions, sources
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Station

T0 = datetime(2021, 7, 20, 0, 0, tzinfo=UTC)  # where the `replay` realm's clock stands at first


def act(realm, actor=None):
    return Act(actor or Actor.machine("test"), realm)


def station(actual, code="R1", quantities=("rain",), region=None, **extra):
    values = {
        "code": code, "name": f"站{code}", "kind": quantities[0], "quantities": list(quantities), "region": region.pk if region else None,
        "lon": 119.1, "lat": 28.1, **extra,
    }
    actions.import_stations(act(actual), rows=[values], origin="test")
    return Station.objects.get(code=code)


def source(actual, alice, name="gw", kind="http", stations=()):
    """(source, password)"""
    row = actions.save_source(act(actual, alice), name=name, kind=kind)
    word, hashed = sources.new_password()
    actions.set_credential(act(actual, alice), source=row.pk, password_bcrypt=hashed)
    actions.bind(act(actual, alice), source=row.pk, stations=list(stations))
    row.refresh_from_db()
    return row, word


def at(minutes):
    return T0 + timedelta(minutes=minutes)


def rain(code, *pairs):
    """Samples of (minutes after T0, mm)."""
    return [Sample(code, "rain", at(minutes), value) for minutes, value in pairs]


def level(code, *pairs):
    return [Sample(code, "level", at(minutes), value) for minutes, value in pairs]


def put(realm, minutes):
    """Set the manual clock of a replay."""
    from anlan.kernel.models import Realm

    Realm.objects.filter(pk=realm.pk).update(now_at=at(minutes))
    realm.refresh_from_db()
