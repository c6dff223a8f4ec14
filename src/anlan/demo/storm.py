"""The synthetic storm over the made-up city, in an exercise realm: gauges report, and script players answer for posts nobody sits at.

All of it is labelled synthetic. The posts whose sign-ins `anlan demo` prints are left to the people at the screen; the
other posts are played by the script, which is named as the device in every journal line it causes.
"""
from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from anlan.engines.geo import City, Storm, StormRun, build, run_storm
from anlan.kernel import clock, orders, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Account, Assignment, Order, Realm
from anlan.plans import actions as plans
from anlan.plans.models import Plan, PlanBinding, PlanVersion, Question
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Station
from anlan.warning import actions as warning

from . import stations, town_hall
from .actions import key
from .playing import Broker, Player, Step
from .stations import QUANTITY, UNIT

MACHINE = Actor.machine("demo")
DEVICE = "script"
# The quiet first hours are published at once, so that curves have a past and the first signal comes within a minute or two.
HISTORY_STEPS = 30
# What the weather bureau calls in: step of the storm, colour, how many of the wettest counties.
CALLS = [(34, "orange", 3), (40, "red", 3)]
NAME, NAME_EN = "演练：澜州市合成暴雨（演示）", "Exercise: synthetic storm over the made-up city"


PLAN_KEY = "demo-city-flood"


def plan_adopted(seed: int) -> bool:
    """Whether the city's plan is in force there already."""
    return PlanBinding.objects.filter(plan__key=PLAN_KEY, region_id=key("region", seed, "990100"), only_realm=None, active=True).exists()


def adopt_plan(city: City) -> None:
    """The city's plan becomes a version and is adopted. Its roles are bound to the posts of the made-up city."""
    actual = realms.actual()
    text = stations.plan_text(city)
    act = Act(MACHINE, actual, op_id=derived_id("demo.plan", city.seed, text))
    version = plans.add_version(act, text=text, note="演示城市预案")
    assert isinstance(version, PlanVersion)
    region = key("region", city.seed, city.city.code)
    plan = Plan.objects.get(pk=version.plan_id)

    def post(seat: str) -> str:
        return str(key("post", city.seed, seat))

    commander = [post("city.commander")]
    posts: dict[str, Any] = {
        # One commander answers for all levels here, so that one person at one screen can play the whole loop.
        "commander": commander, "deputy": commander, "secretary_general": commander, "office": [post("city.duty_officer")],
        "water": [post("city.water")], "hydrology": [post("city.hydrology")], "met": [post("city.met")], "resources": [post("city.resources")],
        "transport": [post("city.transport")], "education": [post("city.education")], "fire": [post("city.fire")],
        "county": [post(f"{county.code}.duty_officer") for county in city.counties],
    }
    places = {alias: {"station": gauge.code} for alias, gauge in stations.control_gauges(city).items()}
    plans.adopt(Act(MACHINE, actual), plan=plan.key, region=region, default_post=UUID(post("city.duty_officer")), places=places, posts=posts)


class Exercise:
    """One run of the storm. A stopped process goes on where its realm's clock stands."""

    def __init__(self, city: City, broker: Broker, speed: float, say: Callable[[str], None] = lambda text: None, seed: int = 7) -> None:
        self.city, self.say = city, say
        self.storm = Storm(seed=seed)
        self.run: StormRun = run_storm(city, self.storm)
        self.realm, self.start = self._realm()
        self.player = Player(self.realm, broker, speed, on_tick=self.players_act)
        self._actors: dict[UUID, Actor] = {}
        self._own = {key("post", city.seed, seat) for seat in town_hall.ROLES.values() if seat} | {key("post", city.seed, f"{city.towns[0].code}.duty_officer")}

    def _realm(self) -> tuple[Realm, datetime]:
        history = timedelta(minutes=HISTORY_STEPS * self.storm.step_min)
        for realm in Realm.objects.filter(kind=Realm.EXERCISE, name=NAME, ended_at=None).order_by("-started_at"):
            # When a storm began is read off its own first fact: the clock has moved since.
            from anlan.kernel import journal

            started = journal.select("WHERE f.realm_id = %s AND f.kind = 'kernel.RealmStarted' ORDER BY s.number LIMIT 1", [realm.pk])
            if started:
                return realm, started[0].occurred_at - history
        now = clock.now().replace(second=0, microsecond=0)
        now -= timedelta(minutes=now.minute % self.storm.step_min)
        return realms.start(Act(MACHINE, realms.actual()), kind=Realm.EXERCISE, name=NAME, name_en=NAME_EN, clock="manual", now_at=now), now - history

    # --- readings ----------------------------------------------------------------------------------------------------

    def samples(self, index: int) -> list[Sample]:
        """What every gauge that still lives reports at the end of a step."""
        at = self.start + timedelta(minutes=int(self.run.minutes[index]))
        found = []
        for gauge in self.city.gauges:
            if index < self.run.silent.get(gauge.code, len(self.run.minutes)):
                found.append(Sample(gauge.code, QUANTITY[gauge.kind], at, float(self.run.values[gauge.code][index]), UNIT[gauge.kind]))
        return found

    def steps(self) -> list[Step]:
        found = []
        if not Station.objects.filter(series__realm=self.realm).exists():
            history = Step(self.realm.now_at)
            for index in range(HISTORY_STEPS):
                history.samples += self.samples(index)
            found.append(history)
        for index in range(HISTORY_STEPS, len(self.run.minutes)):
            at = self.start + timedelta(minutes=int(self.run.minutes[index]))
            if at > self.realm.now_at:
                found.append(Step(at, self.samples(index), [self._call(*call[1:], index) for call in CALLS if call[0] == index]))
        return found

    # --- the script's players ----------------------------------------------------------------------------------------

    def _actor(self, post: UUID) -> Actor | None:
        if post not in self._actors:
            held = Assignment.objects.filter(post_id=post, role="A").values_list("person_id", flat=True).first()
            account = Account.objects.filter(person_id=held).first() if held else None
            if account is None:
                return None
            self._actors[post] = Actor.of(account, device=DEVICE, post_id=post)
        return self._actors[post]

    def _act(self, actor: Actor, *parts: object) -> Act:
        return Act(actor, self.realm, op_id=derived_id("storm", self.realm.pk, *parts))

    def _call(self, colour: str, counties: int, index: int) -> Callable[[], None]:
        """The weather bureau rings: a signal for the counties with the most rain so far."""

        def wet(code: str) -> float:
            towns = {town.code for town in self.city.towns if town.parent == code}
            return max(float(self.run.values[g.code][max(0, index - 17):index + 1].sum()) for g in self.city.gauges if g.kind == "rain" and g.town in towns)

        def do() -> None:
            chosen = sorted(self.city.counties, key=lambda county: -wet(county.code))[:counties]
            words = {"orange": ("橙色", "50"), "red": ("红色", "100")}[colour]
            warning.enter_by_hand(
                self._act(MACHINE, "call", colour, index), hazard="11B03", colour=colour, issuer="weather_service", issuer_name="澜州市气象局（虚构）",
                regions=[str(key("region", self.city.seed, county.code)) for county in chosen], heard_by="phone",
                text=f"【演练】{'、'.join(county.name for county in chosen)}未来3小时雨量将达{words[1]}毫米以上，发布暴雨{words[0]}预警信号。",
                sent=self.realm.now_at, identifier=f"storm-{self.realm.pk}-{colour}-{index}",
            )

        return do

    def players_act(self, realm: Realm) -> None:
        """Posts nobody sits at read, accept and finish their orders, most of them; the bureaus answer what they are asked."""
        now = realm.now_at
        for order in Order.objects.of(realm).filter(state__in=Order.OPEN_STATES).exclude(post_id__in=self._own):
            dice = random.Random(str(order.pk))  # the order's own dice: the same at every look
            wait, share, silent = dice.uniform(1, 9), dice.uniform(0.3, 1.1), dice.random() < 0.06
            actor = self._actor(order.post_id)
            if silent or actor is None:
                continue
            if order.state in (Order.ISSUED, Order.DELIVERED, Order.READ):
                if now >= order.issued_at + timedelta(minutes=wait):
                    orders.accept(self._act(actor, "accept", order.pk), order=order.pk)
                elif order.state != Order.READ and now >= order.issued_at + timedelta(minutes=wait / 2):
                    orders.read(self._act(actor, "read", order.pk), order=order.pk)
            elif order.due_at and now >= order.issued_at + (order.due_at - order.issued_at) * share:
                orders.done(self._act(actor, "done", order.pk), order=order.pk, text="已完成（演练脚本）")
        for question in Question.objects.of(realm).filter(state=Question.OPEN).exclude(post_id__in=self._own):
            actor = self._actor(question.post_id)
            if actor is not None and question.name == "rain_forecast_continues" and now >= question.asked_at + timedelta(minutes=4):
                plans.answer_question(self._act(actor, "answer", question.pk), question=question.pk, value=True, source="市气象局（演练脚本）")

    def play(self) -> None:
        """Until the storm has run off, or somebody stops the exercise."""
        self.player.play(self.steps())


def grow(seed: int = 7) -> City:
    return build(seed)
