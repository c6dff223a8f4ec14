"""The full drill that ships is held from the year's plan to its findings: real ingest, rules, plans, orders, timers and evaluation; scripted players."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.command.models import Drill, Finding, Inject
from anlan.demo.drill import Example, hold_once
from anlan.demo.playing import Player
from anlan.kernel import flowing
from anlan.kernel.models import Order
from anlan.sensing import worker

pytestmark = pytest.mark.django_db


class Here(Player):
    """Readings and reactions in this process: no broker, no other process."""

    def __init__(self, realm):
        self.taker = worker.Processor()
        super().__init__(realm, self)

    def publish(self, realm, samples, ids):
        worker.feed(realm, samples, self.taker)

    def wait(self, realm):
        flowing.drain()


def test_the_curve_is_the_record_through_the_tables():
    example = Example("hengyang-2026")
    curve = list(example.curve())
    assert curve[0] == (0.0, 0.0) and (60.0, 208.207) in curve and (180.0, 809.594) in curve and curve[-1][0] == 230.0 and len(curve) == 24
    assert [example.level("hengshan", flow) for flow in (0, 75, 150, 250, 800, 1800, 5000)] == [47.5, 48.25, 49.0, 50.2, 51.8, 53.6, 53.6]


class Killed(Here):
    """A process that dies in the middle: after so many readings nothing more is taken or done."""

    def publish(self, realm, samples, ids):
        super().publish(realm, samples, ids)
        if realm.now_at >= Example("hengyang-2026").start + timedelta(minutes=100):
            raise KeyboardInterrupt


def test_the_hengyang_drill_is_held_measured_and_followed_up_though_its_process_died_half_way(actual):
    with pytest.raises(KeyboardInterrupt):
        hold_once("hengyang-2026", Killed)
    half = Drill.plain.get()
    assert half.state == "running" and Order.plain.filter(realm=half.exercise).exists()
    report = hold_once("hengyang-2026", Here)
    assert Drill.plain.get().pk == report.drill_id == half.pk
    assert report is not None and hold_once("hengyang-2026", Here) is None
    body, drill = report.body, Drill.plain.select_related("exercise").get(pk=report.drill_id)
    assert drill.state == "evaluated" and drill.exercise.is_over
    assert [(row["level"], row["late"]) for row in body["levels"]] == [("IV", False), ("III", False), ("II", False)]
    decisions = {row["what"].split()[-1]: (row["minutes"], row["limit"], row["late"]) for row in body["steps"] if row["step"] == "proposal_to_decision" and row["minutes"] is not None}
    assert decisions["IV"] == (10.0, 30.0, False) and decisions["III"] == (10.0, 20.0, False) and decisions["II"] == (20.0, 15.0, True)
    assert not Inject.objects.of(drill.exercise).filter(told_at=None).exists()
    read = [(row["minutes"], row["late"]) for row in body["steps"] if row["step"] == "message_to_read"]
    assert read == [(10.0, False), (None, True)]
    orders = list(Order.plain.filter(realm=drill.exercise))
    assert {row["minutes"] for row in body["steps"] if row["step"] == "order_to_accept" and not row["late"]} == {10.0} and len(body["touched"]["actions_ordered"]) > 40 and len(orders) >= len(body["touched"]["actions_ordered"])
    assert {"IV-3", "III-2"} <= set(body["touched"]["conditions_met"]) and set(body["touched"]["actions_never"]) >= {"I-a1"}
    assert Finding.plain.filter(drill=drill).count() == body["findings"] == sum(row["late"] for row in body["steps"]) + 1
