"""Replays: the record of a documented event, played into a fresh realm through the real ingest, rules, plans and orders.

Nobody here is clever. What the record shows is entered at its time; where it shows a decision, that decision is taken at
that time. Everything in between is what Anlan proposed, asked or passed up the line by itself.
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from anlan.command import actions as command
from anlan.command.models import Response
from anlan.kernel import realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Account, Realm
from anlan.plans import actions as plans
from anlan.plans import queries as plan_queries
from anlan.plans.models import ResponseProposal
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Station
from anlan.warning import actions as warning

from . import actions, records
from .actions import event_post, event_region, key
from .playing import Broker, Player, Step
from .records import Record, Row

MACHINE = Actor.machine("replay")
HAZARD = {"rainstorm": "11B03", "flood": "X-FLOOD"}


class Replay:
    """One replay of one event in a realm of its own."""

    def __init__(self, record: Record, broker: Broker, speed: float = 0.0, say: Callable[[str], None] = lambda text: None) -> None:
        self.record, self.broker, self.speed, self.say = record, broker, speed, say
        self.realm = self._realm()
        self.player = Player(self.realm, broker, speed)
        self.regions = {place["code"]: event_region(record.name, place["code"]) for place in record.about["places"]}
        self.home = self.regions[record.about["home"]]

    # --- before the first step ---------------------------------------------------------------------------------------

    def _realm(self) -> Realm:
        actual = realms.actual()
        actions.load_event(Act(MACHINE, actual, op_id=derived_id("demo.load_event", self.record.name, self.record.digest)), event=self.record.name)
        name = self.record.about["name"]
        return realms.start(
            Act(MACHINE, actual), kind=Realm.REPLAY, name=f"复盘 {name['zh']}", name_en=f"Replay: {name['en']}", clock="manual", now_at=self.record.start,
        )

    def _adopt(self) -> None:
        plan = self.record.about["plan"]
        places = {}
        for alias, where in plan["places"].items():
            kind, _colon, name = where.partition(":")
            places[alias] = {
                "gauge": lambda name=name: {"station": str(Station.objects.get(code=name).pk)},
                "region": lambda name=name: {"region": str(self.regions[name])},
                "site": lambda name=name: {"site": name},
            }[kind]()
        posts = {role: [str(event_post(self.record.name, post))] for role, post in plan["posts"].items()}
        plans.adopt(
            self.act("adopt"), plan=plan["id"], region=self.home, default_post=event_post(self.record.name, next(iter(plan["posts"].values()))),
            places=places, posts=posts,
        )

    def act(self, *parts: object, actor: Actor = MACHINE, at: datetime | None = None, cause: UUID | None = None) -> Act:
        """An act of this replay; its key comes from the realm and the parts, so that a repeat is done once."""
        return Act(actor, self.realm, op_id=derived_id("replay", self.realm.pk, *parts), occurred_at=at, cause=cause)

    def person(self, post: str) -> Actor:
        """The scripted person at a post. His second factor is the script: it acts only where the record has a decision."""
        account = Account.objects.get(pk=key("event", self.record.name, "account", post))
        return Actor.of(account, device="replay script", second_factor=True, post_id=event_post(self.record.name, post))

    # --- the steps ---------------------------------------------------------------------------------------------------

    def steps(self) -> list[Step]:
        """Everything of the record by time. What is older than the start is entered at the start, under its own time."""
        by_time: dict[datetime, Step] = {}

        def step(at: datetime) -> Step:
            at = max(at, self.record.start)
            return by_time.setdefault(at, Step(at))

        for reading in self.record.readings:
            if reading.value is not None and reading.at <= self.record.end:
                step(reading.at).samples.append(Sample(reading.station, reading.quantity, reading.at, reading.value, reading.unit))
        plays = {entry["row"]: entry for entry in self.record.about["play"]}
        for row in sorted(self.record.rows, key=lambda row: (self.record.at(row), row.id)):
            if self.record.at(row) <= self.record.end:
                step(self.record.at(row)).deeds.append(self._deed(row, plays.get(row.id)))
        step(self.record.end)
        return [by_time[at] for at in sorted(by_time)]

    def _deed(self, row: Row, entry: dict[str, Any] | None) -> Callable[[], None]:
        def do() -> None:
            at = self.record.at(row)
            region = self.regions.get(self.record.about["place_of"].get(row.place, ""), self.home)
            act = self.act("record", row.id, at=at)
            if not row.has_hour:
                act.precision = "date"
            fact = actions.state_record(act, event=self.record.name, row=row.id, region=region)
            self.say(f"{row.time}  {row.text}")
            if entry is not None:
                getattr(self, f"_play_{entry['as']}")(row, entry, at, region, fact)

        return do

    def _play_warning(self, row: Row, entry: dict[str, Any], at: datetime, region: UUID, fact: UUID) -> None:
        warning.enter_by_hand(
            self.act("warning", row.id, at=at, cause=fact), hazard=HAZARD[entry["hazard"]], colour=entry["colour"], issuer="weather_service",
            issuer_name=row.issuer, regions=[str(self.regions[code]) for code in entry["areas"]], text=row.text_zh, heard_by="other", sent=at,
            identifier=f"{self.record.name}.{row.id}",
        )

    def _play_fact(self, row: Row, entry: dict[str, Any], at: datetime, region: UUID, fact: UUID) -> None:
        where = self.record.about["plan"]["places"][entry["place"]].partition(":")[2]
        command.state_fact(
            self.act("fact", row.id, actor=self.person(entry["by"]), at=at, cause=fact), term=entry["term"], place=where, value=entry["value"],
            unit=entry.get("unit", ""), source=row.text_zh, region=region,
        )

    def _play_report(self, row: Row, entry: dict[str, Any], at: datetime, region: UUID, fact: UUID) -> None:
        by = entry.get("by") or next(post["key"] for post in self.record.about["posts"] if post["kind"] == "duty_officer")
        command.take_report(
            self.act("report", row.id, actor=self.person(by), at=at, cause=fact), kind="first", event="", place=row.place or "", region=region,
            text=row.text_zh, means="other", happened_at=at,
        )

    def _play_approve(self, row: Row, entry: dict[str, Any], at: datetime, region: UUID, fact: UUID) -> None:
        proposal = ResponseProposal.objects.of(self.realm).filter(level__key=entry["level"], state=ResponseProposal.OPEN).first()
        if proposal is None:
            self.say(_("  (nothing proposed at this level: the decision of the record stands alone)"))
            return
        command.approve_proposal(self.act("approve", row.id, actor=self.person(entry["by"]), at=at, cause=fact), proposal=proposal.pk)

    def _play_end(self, row: Row, entry: dict[str, Any], at: datetime, region: UUID, fact: UUID) -> None:
        for response in Response.objects.of(self.realm).filter(state="active").order_by("id"):
            command.end_response(
                self.act("end", row.id, response.pk, actor=self.person(entry["by"]), at=at, cause=fact), response=response.pk, reason=row.text_zh,
                # The record's own stand-down is a fact, whatever our conditions say by then.
                still_met=[entry["condition"] for entry in plan_queries.still_met(response.binding, self.realm, response.track)],
            )

    # --- all of it ---------------------------------------------------------------------------------------------------

    def run(self) -> Realm:
        """Play the whole record; returns the realm, whose journal holds the result."""
        self._adopt()
        self.player.wait(self.realm)
        self.player.play(self.steps())
        return self.realm


def run(
    event: str, broker: Broker, speed: float = 0.0, say: Callable[[str], None] = lambda text: None, begun: Callable[[], None] = lambda: None
) -> tuple[Record, Realm]:
    """Replay an event by name; `begun` is called when its realm is there. demo.no_event."""
    record = records.load(event)
    replay = Replay(record, broker, speed, say)
    begun()
    return record, replay.run()
