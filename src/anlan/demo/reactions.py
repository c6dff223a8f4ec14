"""What this room does when something happened: a backtest was asked for."""
from __future__ import annotations

import time
from datetime import timedelta
from uuid import UUID

from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.ids import derived_id
from anlan.kernel.journal import FactView
from anlan.sensing.models import RuleSet

from . import actions, backtest
from .models import Backtest

TOLD_EVERY_S = 0.25


def run_backtest(fact: FactView) -> None:
    """Job: work a backtest out. A crash runs it again; it writes nothing before it is done."""
    row = Backtest.plain.get(pk=UUID(fact.payload["backtest"]))
    if row.state not in (Backtest.WAITING, Backtest.RUNNING):
        return
    done, told = 0, 0.0

    def tell() -> bool:
        nonlocal done, told
        done += 1
        if time.monotonic() - told < TOLD_EVERY_S:
            return True
        told = time.monotonic()
        return actions.tell_backtest(row.pk, done)

    act = Act(Actor.machine("demo"), fact.realm, op_id=derived_id("demo.end_backtest", row.pk), cause=fact.id)
    try:
        sets = [one.text for one in RuleSet.objects.filter(pk__in=row.sets).order_by("name", "label")]
        answer = [backtest.backtest(event, timedelta(hours=row.horizon_h), row.own or None, tell, sets, backtest.gauges_here(event)) for event in row.events]
    except backtest.Stopped:
        actions.end_backtest(act, backtest=row.pk, outcome=Backtest.STOPPED, answer=[])
    except Problem as problem:
        actions.end_backtest(act, backtest=row.pk, outcome=Backtest.FAILED, answer=[], why=problem.message)
    else:
        actions.end_backtest(act, backtest=row.pk, outcome=Backtest.DONE, answer=answer)
