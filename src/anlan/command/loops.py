"""Declared here: drills (演练) from the year's plan to the evaluation, and their findings, which close only when what they name has changed."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel import codes
from anlan.kernel.loops import Loop, State, Step, Up, Within, loop
from anlan.kernel.registers import Field

from . import drills
from .models import Drill, Finding


def limit(name: str) -> Any:
    return lambda case: Within(working_days=int(codes.data("drill_policy", name)["value"]))


def panel(request: Any, case: Drill) -> tuple[Any, str, dict[str, Any]]:
    """Script for those who may see it, what was told, measured and scored."""
    return _("How it is held"), "command/_drill.html", drills.shown(request.actor, case)


def named(request: Any, case: Finding) -> tuple[Any, str, dict[str, Any]]:
    change = drills.change_since(case)
    return _("What has to change"), "command/_finding.html", {"case": case, "wanted": drills.target_words(case), "change": change, "why": f"fact:{change.pk}" if change else ""}


REASON = Field("reason", label=_("Reason"), kind="longtext", required=True)

DRILL = loop(Loop(
    "command.drill", Drill, label=_("Drills"), one=_("Drill"), read="command.read", number="YL-{year}-{n:03}", icon="flag", panels=(panel,), new_page="command:drill_new",
    tabs=((_("Year plan and coverage"), "command:drills", "calendar"),),
    fields=(
        Field("title", required=True, column=True, search=True), Field("year", required=True, column=True, filter=True, min=2000, max=2100), Field("month", column=True, min=1, max=12), Field("form", column=True, filter=True, required=True),
        Field("breadth", filter=True), Field("plan_key", column=True),
    ),
    states=(
        State("planned", _("In the year plan"), rest=True), State("prepared", _("Prepared")), State("running", _("Running")), State("held", _("Held, to be evaluated")), State("evaluated", _("Evaluated"), final=True),
        State("cancelled", _("Cancelled"), final=True),
    ),
    open=Step("plan", _("Plan a drill"), to="planned", may="command.drill", form=("title", "year", "month", "form", "breadth", "plan_key", "region"), guard=drills.plannable),
    steps=(
        Step("prepare", _("Script and parts are ready"), from_=("planned",), to="prepared", may="command.drill", guard=drills.ready, assign=drills.lead),
        Step("begin", _("Begin the drill"), from_=("prepared",), to="running", may="command.drill", guard=drills.may_begin, after=drills.begin, assign=drills.lead, confirm=_("The exercise starts and its first messages go to the players. Begin?")),
        Step("stop", _("End the drill"), from_=("running",), to="held", may="command.drill", after=drills.stop, assign=drills.lead, within=limit("evaluate_days")),
        Step("evaluate", _("Write the evaluation"), from_=("held",), to="evaluated", may="command.drill", guard=drills.scored, after=drills.evaluate, form=(Field("conclusion", label=_("Conclusion"), kind="longtext", required=True),)),
        Step("cancel", _("Cancel the drill"), from_=("planned", "prepared"), to="cancelled", may="command.drill", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=5), levels=2),
))

FINDING = loop(Loop(
    "command.finding", Finding, label=_("Findings of drills"), one=_("Finding of a drill"), read="command.read", number="YLWT-{year}-{n:04}", icon="clipboard-list", subject="drillfinding", panels=(named,), by_hand=False,
    tabs=((_("Year plan and coverage"), "command:drills", "calendar"),),
    fields=(Field("title", column=True, search=True), Field("text"), Field("concerns", column=True, filter=True), Field("target"), Field("proof", readonly=True)),
    states=(State("open", _("To be put right")), State("named", _("Named, waits for the change")), State("closed", _("Put right"), final=True)),
    open=Step("find", _("Found"), to="open", may="command.drill", form=("title", "text", "concerns", "target", "region", "concerned"), assign=drills.concerned, within=limit("finding_days")),
    steps=(
        Step("name", _("Name what has to change"), from_=("open", "named"), to="named", may="command.read", holder=True, form=(Field("concerns", required=True), Field("target", required=True, help=_("The plan's key, the post's name, the entry's code or name: exactly as it stands there."))), guard=drills.target_known, within=limit("finding_days")),
        Step("close", _("It has changed: close"), from_=("open", "named"), to="closed", may="command.read", holder=True, guard=drills.changed, after=drills.keep_proof, form=(Field("remark", label=_("Remark"), kind="longtext"),)),
    ),
    escalate=Up(every=Within(working_days=5), levels=2),
))
