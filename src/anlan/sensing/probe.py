"""A reading the platform sends itself every minute, in at the HTTP door with a credential of its own and through broker, stream, worker and
database, like any gauge's; and the alarm when it does not come back. Peers stop taking readings in silence. Where no web server runs
beside us it goes onto the broker.

The job worker's clock sends and looks. `GET /sensing/probe` looks again, in the web process: there a monitor outside sees a dead
clock and a dead worker alike.
"""
from __future__ import annotations

import base64
import logging
import os
import secrets
import ssl
import threading
import urllib.request
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import bcrypt
import orjson
from django.conf import settings
from django.utils.translation import gettext_noop

from anlan.kernel import clock, due, parties, realms, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.models import Due

from . import broker, ingest, sources
from .facts import ProbeBack, ProbeLost, SourceChanged, StationChanged
from .models import Probe, Register, Series, Source, Station
from .quantities import PROBE

log = logging.getLogger("anlan.probe")
TIMER, SUBJECT, WORK = "sensing.probe", "sensing:probe", "sensing.probe_lost"
CODE, SOURCE = "ANLAN-PROBE", "anlan-probe"
LOST_S = 150  # sent so long ago and not back: two more have been sent since


def ensure() -> None:
    """A sensing worker starts: see to it that the clock sends. 0 seconds switch it off."""
    actual = realms.actual()
    if settings.PROBE_S and not Due.objects.filter(realm=actual, timer=TIMER, subject=SUBJECT).exists():
        arm(Act(Actor.machine("sensing"), actual))


@action("sensing.arm_probe")
def arm(act: Act) -> None:
    due.at(act, act.now + timedelta(seconds=settings.PROBE_S), TIMER, subject=SUBJECT)


def on_probe(act: Act, subject: str, params: dict) -> None:
    """Timer."""
    if settings.PROBE_S:
        look(act)
        # The broker may hang, and all other timers wait for this one.
        threading.Thread(target=_send_quietly, args=(sender(act), act.now), daemon=True, name="probe").start()


def sender(act: Act) -> Source:
    """The source the probe is sent by, bound to its station; its password lies in the key folder, where only the platform reads it."""
    found = Source.objects.filter(stations__code=CODE).first() or enter(act.child(step="enter")).source
    assert found is not None
    if sources.check(found.name, _word()) is None:
        give_word(act.child(step="word"), source=found.pk)
        found.refresh_from_db()
    return found


def _word() -> str:
    """The probe's password; made when it is first asked for."""
    path = settings.HOME / "keys" / "probe"
    try:
        return path.read_text().strip()
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            word = secrets.token_urlsafe(18)
            file.write(word)
        return word


def _hash() -> str:
    return bcrypt.hashpw(_word().encode(), bcrypt.gensalt(10)).decode()


@action("sensing.give_probe_word")
def give_word(act: Act, *, source: UUID) -> None:
    """The key folder is a new one, or the credential was changed: let the probe in by what lies there."""
    row = act.lock(Source, source)
    row.password_bcrypt, row.password_set_at = _hash(), clock.now()
    act.save(row)
    act.state(SourceChanged(source=row.pk, name=row.name, what="credential", stations=1), about=row)
    Register.changed()


@action("sensing.enter_probe")
def enter(act: Act) -> Station:
    """Enter the probe in the register, when it is first sent."""
    source, new = Source.objects.get_or_create(name=SOURCE, defaults={"kind": Source.HTTP, "title": "Anlan", "password_bcrypt": _hash(), "password_set_at": clock.now()})
    if new:
        act.state(SourceChanged(source=source.pk, name=source.name, what="entered", stations=0), about=source)
    found, new = Station.objects.get_or_create(code=CODE, defaults={
        "name": "平台探针", "name_en": "Probe of the platform", "kind": "level", "quantities": [PROBE], "source": source, "interval_s": 60, "silent_after_s": 0,
        "origin": "anlan", "verified_at": clock.now(), "ended_at": clock.now(),  # in no list of the register
    })
    if new:
        act.state(StationChanged(station=found.pk, code=found.code, what="entered", before={}, after={"quantities": found.quantities}), about=found)
    Register.changed()
    return found


def message(source: Source, at: datetime) -> list[tuple[str, bytes]]:
    return ingest.pack([ingest.Sample(CODE, PROBE, at, at.timestamp() // 60)], f"gate.v1.{source.pk.hex}")


def send(source: Source, at: datetime) -> None:
    """In at the HTTP door, or onto the broker where there is no web server; returns when it is on disk there."""
    web = str(settings.ADDRESSES.get("web", ""))
    if web:
        [sample] = [ingest.Sample(CODE, PROBE, at, at.timestamp() // 60).body(packed=True)]
        token = base64.b64encode(f"{source.name}:{_word()}".encode()).decode()
        request = urllib.request.Request(f"{web}/api/v1/sensing/readings", orjson.dumps([sample]), {"Authorization": f"Basic {token}", "Content-Type": "application/json"})
        # Our own server, by the name it listens on: its certificate speaks of another.
        with urllib.request.urlopen(request, timeout=20, context=ssl._create_unverified_context() if web.startswith("https") else None) as answer:
            assert answer.status == 202
        return
    bridge = broker.bridge()

    async def publish() -> None:
        await ingest.publish(await bridge.connection(), message(source, at))

    bridge.run(publish())


def _send_quietly(source: Source, at: datetime) -> None:
    try:
        send(source, at)
    except Exception as error:
        log.warning("the probe could not be sent: %s", error)  # it will not come back, and that is told


@action("sensing.look_for_probe")
def look(act: Act) -> Probe:
    """Is what was sent back? States when it is lost and when it is found, asks a person, and arms the next."""
    row, _new = Probe.objects.get_or_create(pk=1)
    row = Probe.objects.select_for_update().get(pk=1)
    row.back_at = _newest(act.realm) or row.back_at or act.now
    late = row.sent_at is not None and row.sent_at - row.back_at > timedelta(seconds=LOST_S)
    if late and row.lost_since is None:
        assert row.sent_at is not None
        row.lost_since = row.back_at
        fact = act.state(ProbeLost(sent=row.sent_at, back=row.back_at), subject=SUBJECT, region=None)
        post = parties.duty_post(None)
        if post is not None:
            work.open(
                act, post=post, kind=WORK, subject=SUBJECT, region=None, cause=fact, level="red", due_at=act.now + timedelta(minutes=10),
                msgid=gettext_noop("The platform's own probe reading does not come back: readings of gauges may not arrive. Look at broker and sensing worker."),
            )
            work.call_next(act, post, SUBJECT, cause=fact)
    elif not late and row.lost_since is not None:
        act.state(ProbeBack(lost_since=row.lost_since), subject=SUBJECT, region=None)
        row.lost_since = None
        work.close(act, kind=WORK, subject=SUBJECT, outcome="done")
    row.sent_at = act.now.replace(microsecond=0)
    row.save()
    due.at(act, act.now + timedelta(seconds=settings.PROBE_S), TIMER, subject=SUBJECT)
    return row


def _newest(realm: Any) -> datetime | None:
    return Series.objects.filter(realm=realm, station__code=CODE, quantity=PROBE).values_list("last_time", flat=True).first()


def state() -> dict[str, Any]:
    """For the pages and the address that a monitor outside asks: when the newest probe that came back was sent, and whether that is lately;
    None when none was ever sent. Reads the tables itself, so that a clock that stands still shows."""
    row = Probe.objects.filter(pk=1).first()
    if not settings.PROBE_S or row is None or row.back_at is None:
        return {"well": None, "back": None, "lost_since": None}
    back = max(_newest(realms.actual()) or row.back_at, row.back_at)
    return {"well": clock.now() - back <= timedelta(seconds=settings.PROBE_S + LOST_S), "back": back, "lost_since": row.lost_since}
