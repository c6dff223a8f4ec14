"""A full drill that ships: the Hengyang plan over a recorded flood of elsewhere, its gauges mapped to the plan's, with scripted players. All of it synthetic and named so.

`command` holds the drill; this plays the gauges through the ingest, lets the scripted persons act at their times, and nothing more: what is measured is read
off the exercise's journal like that of any drill.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml

from anlan.command import actions as command
from anlan.command import drills
from anlan.command.models import Drill, DrillReport, Inject
from anlan.kernel import clock, orders, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.loops import actions as cases
from anlan.kernel.models import Account, Order, Realm
from anlan.plans import actions as plans
from anlan.plans.models import PlanBinding, Question, ResponseProposal
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Station

from . import actions, records
from .actions import event_post, event_region, key
from .errors import NO_DRILL
from .playing import Player, Step
from .records import Record

FOLDER = Path(__file__).parent / "data" / "drills"
MACHINE = Actor.machine("drill")


def known() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/drill.yaml"))


class Example:
    """A drill as it ships: who, what is told when, and the curve of each gauge."""

    def __init__(self, name: str) -> None:
        if name not in known():
            raise NO_DRILL(drill=name, known=", ".join(known()))
        self.name = name
        self.about: dict[str, Any] = yaml.safe_load((FOLDER / name / "drill.yaml").read_text(encoding="utf-8"))
        self.start = datetime.fromisoformat(self.about["clock_at"])

    @cached_property
    def record(self) -> Record:
        """Places, posts and gauges in the form a documented event has them in."""
        gauges = [
            {**gauge, "quantity": "level", "unit": "m", "region": self.about["home"], "lon": 112.8, "lat": 27.0, "coordinates": "approximate", "thresholds": {}, "source": "synthetic", "interval_min": self.about["every_min"]}
            for gauge in self.about["gauges"].values()
        ]
        return Record(self.name, FOLDER / self.name, {**self.about, "stations": gauges}, [])

    def curve(self) -> Iterator[tuple[float, float]]:
        """(minutes after the beginning, m³/s) of the record, its segments one after the other, every `every_min` minutes."""
        offset = 0.0
        readings = [row for row in records.load(self.about["event"]).readings if row.station == self.about["series"] and row.value is not None]
        for first, last in self.about["segments"]:
            begins, ends = datetime.fromisoformat(first), datetime.fromisoformat(last)
            for row in readings:
                minutes = (row.at - begins).total_seconds() / 60
                if begins <= row.at <= ends and minutes % self.about["every_min"] == 0 and (offset == 0 or minutes > 0):
                    yield offset + minutes, float(row.value or 0)
            offset += (ends - begins).total_seconds() / 60

    def level(self, gauge: str, flow: float) -> float:
        table = self.about["gauges"][gauge]["map"]
        for (x0, y0), (x1, y1) in zip(table[:-1], table[1:], strict=True):
            if flow <= x1:
                return round(y0 + (y1 - y0) * (flow - x0) / (x1 - x0), 2)
        return float(table[-1][1])

    def samples(self) -> dict[datetime, list[Sample]]:
        return {
            self.start + timedelta(minutes=minutes): [Sample(gauge["code"], "level", self.start + timedelta(minutes=minutes), self.level(alias, flow), "m") for alias, gauge in self.about["gauges"].items()]
            for minutes, flow in self.curve()
        }


def hold_once(name: str, player_of: Callable[[Realm], Player]) -> DrillReport | None:
    """Hold a drill that ships where it was not held yet, so that its room shows one; None where it was. What was killed half-way goes on where it stood."""
    found = Drill.plain.filter(title=Example(name).about["name"]["zh"]).order_by("created_at").first()
    if found is not None and found.state in ("evaluated", "cancelled"):
        return None
    return Exercise(name, player_of).run(found)


class Exercise:
    """One playing of the example. `player_of(realm)` moves its clock: over the broker in `anlan drill`, in this process in a test."""

    def __init__(self, name: str, player_of: Callable[[Realm], Player], say: Callable[[str], None] = lambda text: None) -> None:
        self.example, self.player_of, self.say = Example(name), player_of, say
        self.about = self.example.about
        self.actual = realms.actual()
        actions.load_drill(Act(MACHINE, self.actual, op_id=derived_id("demo.load_drill", name, self.example.record.digest)), drill=name)
        self.home = event_region(name, self.about["home"])

    def post(self, name: str) -> UUID:
        return event_post(self.example.name, name)

    def person(self, name: str) -> Actor:
        account = Account.objects.get(pk=key("event", self.example.name, "account", name))
        return Actor.of(account, device="drill script", second_factor=True, post_id=self.post(name))

    def act(self, name: str, realm: Realm) -> Act:
        return Act(self.person(name), realm)

    def script(self) -> dict[str, Any]:
        """The script the controllers keep, with keys for names."""
        injects = [{**row, **({"to": str(self.post(row["to"]))} if row.get("to") else {}), **({"regions": [str(event_region(self.example.name, code)) for code in row["regions"]]} if row.get("regions") else {})} for row in self.about["injects"]]
        readings = [
            {"after_min": (at - self.example.start).total_seconds() / 60, "kind": "reading", "station": one.station, "quantity": one.quantity, "value": one.value}
            for at, samples in self.example.samples().items() for one in samples
        ]
        return {
            "plan_key": self.about["plan"], "clock_at": self.about["clock_at"], "rate": 0, "note": f"合成情景：{self.about['event']} 实测过程换算为本预案测站水位。Synthetic: the record of {self.about['event']}, mapped to the plan's gauges.",
            "parts": {part: [str(self.post(name)) for name in names] for part, names in self.about["parts"].items()}, "injects": injects + readings, "expects": self.about["expects"], "criteria": self.about["criteria"],
        }

    def run(self, case: Any = None) -> DrillReport:
        """Plan, script, hold, score and evaluate it, or what is left of a `case` that was begun; returns the report."""
        control = self.about["parts"]["controller"][0]

        def step(name: str, **data: Any) -> Any:
            return cases.step(self.act(control, self.actual), loop="command.drill", case=case.pk, step=name, **data)

        if case is None:
            case = cases.open(
                self.act(control, self.actual), loop="command.drill",
                values={"title": self.about["name"]["zh"], "year": clock.local(clock.now(self.actual)).year, "form": self.about["form"], "breadth": "comprehensive", "region": str(self.home)},
            )
        if case.state == "planned":
            drills.save_script(self.act(control, self.actual), drill=case.pk, script=self.script())
            case = step("prepare")
        if case.state == "prepared":
            case = step("begin")
        if case.state == "running":
            realm = Drill.plain.select_related("exercise").get(pk=case.pk).exercise
            assert realm is not None
            if not PlanBinding.objects.filter(only_realm=realm).exists():
                self._adopt(realm)
            self._play(realm)
            case = step("stop")
        drills.score(self.act("observer", self.actual), drill=case.pk, scores=self.about["observed"])
        step("evaluate", data={"conclusion": self.about["conclusion"]})
        return DrillReport.objects.of(self.actual).select_related("drill").get(drill_id=case.pk)

    def _adopt(self, realm: Realm) -> None:
        places = {alias: {"station": str(Station.objects.get(code=gauge["code"]).pk)} for alias, gauge in self.about["gauges"].items()}
        plans.adopt(
            Act(MACHINE, realm), plan=self.about["plan"], region=self.home, default_post=self.post(self.about["default_post"]), places=places, posts={role: [str(self.post(name))] for role, name in self.about["roles"].items()},
        )

    def _play(self, realm: Realm) -> None:
        samples, every = self.example.samples(), timedelta(minutes=self.about["every_min"])
        self.player = self.player_of(realm)
        at, steps = self.example.start, []
        while at <= max(samples):
            if at >= realm.now_at:  # what lies behind was played before the process was killed
                steps.append(Step(at, samples.get(at, []), [lambda: self._people(realm)]))
            at += every
        self.player.play(steps)

    def _people(self, realm: Realm) -> None:
        """What the scripted players do by now. Each does it once, when it has had it for its minutes."""
        told, now = self.about["players"], clock.now(realm)

        def due(since: datetime, minutes: float | None) -> bool:
            return minutes is not None and now >= since + timedelta(minutes=minutes)

        name_of = {self.post(row["key"]): row["key"] for row in self.about["posts"]}
        for inject in Inject.objects.of(realm).filter(told_at__isnull=False, post__isnull=False):
            name = name_of[inject.post_id]
            if due(inject.told_at, told["reads"].get(name)):
                drills.heard(Act(self.person(name), realm, op_id=derived_id("drill.heard", inject.pk)), inject=inject.pk)
        for question in Question.objects.of(realm).filter(state=Question.OPEN):
            row = next((row for row in told["answers"] if row["term"] == question.name and question.alias in row["values"]), None)
            if row and due(question.asked_at, row["after_min"]):
                plans.answer_question(self.act(row["by"], realm), question=question.pk, value=row["values"][question.alias], source="演练")
        for proposal in ResponseProposal.objects.of(realm).filter(state=ResponseProposal.OPEN).select_related("level"):
            decides = told["approves"].get(proposal.level.key)
            if decides and due(proposal.opened_at, decides["after_min"]):
                command.approve_proposal(self.act(decides["by"], realm), proposal=proposal.pk)
                self.say(f"{clock.local(now):%H:%M}  {proposal.level.key}")
        for order in Order.plain.filter(realm_id=realm.pk, state__in=Order.OPEN_STATES).select_related("post"):
            name = name_of[order.post_id]
            if order.accepted_at is None and due(order.issued_at, told["accepts"].get(name)):
                orders.accept(self.act(name, realm), order=order.pk)
            elif order.accepted_at is not None and due(order.issued_at, told["done"].get(name)):
                orders.done(self.act(name, realm), order=order.pk)
