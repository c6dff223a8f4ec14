"""Which fact sets off which reaction in which room. The one table; read it top to bottom and you know the house.

A *follower* reads sealed facts in order and commits its position with its effects: `handler(facts)`.
A *job* is durable and retried, in order per subject: `handler(fact)`; it must be idempotent.
A *timer* fires on a realm's clock: `handler(act, subject, params)`.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Follower:
    name: str
    facts: list[str] = field(default_factory=list)
    handler: str = ""


@dataclass(frozen=True)
class Job:
    name: str
    facts: list[str]
    handler: str


@dataclass(frozen=True)
class Timer:
    name: str
    handler: str


FOLLOWERS: list[Follower] = [
    Follower("loops.calendar", ["kernel.CodesLoaded"], "anlan.kernel.loops.reactions.on_codes"),
    Follower("sensing.stations", ["kernel.RegisterRowChanged", "kernel.RegisterBatchDone"], "anlan.sensing.reactions.on_register"),
    Follower("warning.proposals", ["sensing.SignalChanged"], "anlan.warning.reactions.on_signals"),
    Follower("warning.revisions", ["sensing.SignalRevised"], "anlan.warning.reactions.on_revisions"),
    Follower("warning.standing", ["sensing.SignalChanged", "warning.OutsideWarningReceived", "warning.WarningEnded"], "anlan.warning.reactions.on_sources"),
    Follower(
        "plans.terms",
        [
            "sensing.ReadingsAccepted", "sensing.SignalChanged", "sensing.GaugeSilent", "warning.OutsideWarningReceived", "warning.AlertIssued",
            "warning.WarningEnded", "plans.TermStated", "command.FactObserved", "command.ResponseApproved", "command.ResponseLevelChanged", "command.ResponseEnded",
        ],
        "anlan.plans.reactions.on_facts",
    ),
    Follower("logistics.roads", ["kernel.CaseOpened", "kernel.CaseStepped"], "anlan.logistics.reactions.on_roads"),
]

JOBS: list[Job] = [
    Job("kernel.export_head", ["kernel.HeadTaken"], "anlan.kernel.heads.export"),
    Job("web.call", ["web.NoDeskLive", "kernel.DutyCalled"], "anlan.web.reactions.call_next"),
    Job("demo.backtest", ["demo.BacktestAsked"], "anlan.demo.reactions.run_backtest"),
    Job("exchange.sign", ["warning.AlertIssued"], "anlan.exchange.reactions.sign"),
    Job("exchange.publish", ["exchange.AlertSigned", "warning.WarningEnded", "warning.DeliveryFinished", "warning.ChannelChanged", "exchange.SigningKeyChanged"], "anlan.exchange.reactions.publish"),
    Job("logistics.search", ["logistics.SearchAsked"], "anlan.logistics.reactions.search"),
    Job("plans.revise", ["command.DrillEvaluated", "command.ResponseEnded", "kernel.PartyChanged"], "anlan.plans.reactions.revise"),
    Job("warning.deliver", ["warning.AlertIssued", "warning.DeliveryAsked"], "anlan.warning.reactions.deliver"),
]

TIMERS: list[Timer] = [
    Timer("sensing.tick", "anlan.sensing.reactions.tick"),
    Timer("sensing.probe", "anlan.sensing.reactions.on_probe"),
    Timer("sensing.compare", "anlan.sensing.reactions.compare"),
    Timer("warning.expire", "anlan.warning.reactions.on_expire"),
    Timer("warning.standing_expire", "anlan.warning.reactions.on_standing_expire"),
    Timer("warning.retry", "anlan.warning.reactions.on_retry"),
    Timer("warning.model_over", "anlan.warning.reactions.on_model_over"),
    Timer("warning.recount", "anlan.warning.reactions.on_recount"),
    Timer("warning.unheard", "anlan.warning.reactions.on_unheard"),
    Timer("web.desk_check", "anlan.web.reactions.desk_check"),
    Timer("loops.remind", "anlan.kernel.loops.actions.on_remind"),
    Timer("loops.overdue", "anlan.kernel.loops.actions.on_overdue"),
    Timer("loops.draw", "anlan.kernel.loops.actions.on_draw"),
    Timer("kernel.daily", "anlan.kernel.daily.on_daily"),
    Timer("kernel.chore", "anlan.kernel.daily.on_chore"),
    Timer("work.call", "anlan.kernel.work.on_call"),
    Timer("work.silence", "anlan.kernel.work.on_silence"),
    Timer("orders.silence", "anlan.kernel.orders.on_silence"),
    Timer("orders.overdue", "anlan.kernel.orders.on_overdue"),
    Timer("resources.lapse", "anlan.resources.reactions.on_lapse"),
    Timer("resources.roll_silence", "anlan.resources.reactions.on_roll_silence"),
    Timer("plans.lapse", "anlan.plans.reactions.on_lapse"),
    Timer("plans.still_met", "anlan.plans.reactions.on_still_met"),
    Timer("plans.term_stale", "anlan.plans.reactions.on_stale"),
    Timer("command.inject", "anlan.command.drills.on_inject"),
    Timer("command.report_limit", "anlan.command.actions.on_report_limit"),
]


def followers() -> Iterator[Follower]:
    """Every follower, and the one that defers the jobs."""
    yield from FOLLOWERS
    yield Follower("flow.jobs", sorted({kind for job in JOBS for kind in job.facts}) or ["-"], "anlan.kernel.flowing.defer_jobs")
