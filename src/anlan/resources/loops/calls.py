"""Call-outs of teams with what is paid for them, experts' opinions, and surveys of the registers."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import clock
from anlan.kernel.loops import Evidence, Loop, State, Step, Up, Within, loop
from anlan.kernel.models import RegionPath
from anlan.kernel.registers import REGISTERS, Field, Personal

from .. import calls, means, queries
from ..models import CallOut, Compensation, Opinion, Requisition, RollCallTry, Survey, Team
from ..registers.teams import CALL_OUT
from .supplies import REASON


def call_panel(request: Any, case: CallOut) -> tuple[Any, str, dict[str, Any]] | None:
    """Whom to ring up, in order: the team, then the place it stands at. Its leader's number is opened in the register, where that is noted."""
    if case.closed_at is not None:
        return None
    numbers = [(case.team.name, case.team.duty_phone), *([(case.team.base.name, case.team.base.duty_phone)] if case.team.base else [])]
    return _("Ring up"), "resources/_call.html", {"numbers": [pair for pair in numbers if pair[1]], "team": case.team}


CALL = (
    Field("channel", label=_("Channel"), kind="code", codes="comm_channel", required=True), Field("reached", label=_("Who was called"), kind="text", required=True, length=120),
    Field("outcome", label=_("Result of the call"), kind="choice", required=True, choices=tuple(RollCallTry.RESULTS)), Field("quality", label=_("Quality"), kind="choice", choices=tuple(RollCallTry.QUALITIES[:2])),
)

# --- call-outs -----------------------------------------------------------------------------------------------------------


def minutes(value: float) -> Within:
    return Within(hours=value / 60)


def may_go(case: CallOut, data: dict[str, Any]) -> Any:
    """Usable today, fit for the work, graded for the task, and not out already."""
    today = clock.local(clock.now(case.realm)).date()
    team = case.team
    if not queries.usable(Team.plain.filter(pk=team.pk, ended_at=None), today).exists():
        return _("the team is not usable: its readiness or its papers say so")
    if case.hazard not in team.hazards:
        return _("the team is not fit for this work")
    if case.grade and team.kind == "social" and (not team.grade or team.grade > case.grade):
        return _("the task asks for a team of grade {grade} or better").format(grade=case.grade)
    if means.out(case.realm).filter(team=team).exists():
        return _("the team is out already")
    now = clock.now(case.realm)
    until = means.resting(case.realm, now).get(team.pk)
    return _("the team rests until {time}").format(time=f"{clock.local(until):%m-%d %H:%M}") if until else None


loop(Loop(
    "resources.callout", CallOut, label=_("Call-outs of teams"), one=_("Call-out"), read="resources.read", number="DD-{year}-{n:04}", icon="siren", subject="callout", assign_may="resources.call",
    tabs=((_("Readiness"), "resources:board", "gauge"),), panels=(call_panel,),
    fields=(
        Field("team", ref="resources.team", required=True, column=True, filter=True), Field("hazard", codes="team_hazard", required=True, column=True, filter=True), Field("grade", codes="team_grade"),
        Field("task", required=True, search=True), Field("place", required=True, column=True, search=True), Field("crew"), Field("crew_count", readonly=True), Field("vehicles", max=1000),
        Field("eta_min", unit=_("minutes"), readonly=True), Field("departed_at", readonly=True), Field("arrived_at", readonly=True), Field("accounted_at", readonly=True),
    ),
    states=(
        State("requested", _("Requested")), State("accepted", _("Accepted, assembling")), State("departed", _("On the way")),
        State("arrived", _("On the scene"), note=_("everybody is accounted for again and again")), State("missing", _("Somebody is missing")), State("released", _("Released"), final=True),
        State("declined", _("Declined"), final=True), State("cancelled", _("Cancelled"), final=True),
    ),
    open=Step("request", _("Call a team out"), to="requested", may="resources.call", form=("team", "hazard", "grade", "task", "place", "region", "point"), guard=may_go, after=calls.estimate,
              within=lambda case: minutes(means.policy("accept_min"))),
    steps=(
        Step("accept", _("Accept"), from_=("requested",), to="accepted", may="resources.readiness", within=lambda case: minutes(case.team.assemble_min or means.policy("assemble_min"))),
        Step("decline", _("Decline"), from_=("requested",), to="declined", may="resources.readiness", form=(REASON,), danger=True),
        Step("depart", _("Report departure"), from_=("accepted",), to="departed", may="resources.readiness", form=(Field("crew", required=True), Field("vehicles", required=True, max=1000)), guard=calls.fit_crew,
             after=calls.departed, within=lambda case: minutes(max(10, case.eta_min or 60))),
        Step("arrive", _("Report arrival"), from_=("departed",), to="arrived", may="resources.readiness", after=calls.arrived, within=lambda case: minutes(means.policy("account_min"))),
        Step("miss", _("Somebody is missing"), from_=("arrived",), to="missing", may="resources.readiness", guard=calls.some_missing, danger=True, within=lambda case: minutes(means.policy("missing_min")),
             form=(Field("present", label=_("Persons present"), kind="integer", required=True, min=0), Field("who", label=_("Who is missing, where last seen"), kind="longtext", required=True))),
        Step("account", _("All accounted for"), from_=("arrived", "missing"), to="arrived", may="resources.readiness", form=(Field("present", label=_("Persons present"), kind="integer", required=True, min=0),),
             guard=calls.all_there, after=calls.accounted, within=lambda case: minutes(means.policy("account_min"))),
        Step("release", _("Release the team"), from_=("arrived",), to="released", may="resources.call", after=calls.released, form=(Field("result", label=_("Result"), kind="longtext", required=True),)),
        # Who was rung up by which channel, when and with what success: each try stays in the case's timeline.
        *(Step(f"call_{state}", _("Note a call"), from_=(state,), to=state, may="resources.call", form=CALL) for state in ("requested", "accepted", "departed", "arrived", "missing")),
        Step("cancel", _("Cancel the call-out"), from_=("requested", "accepted", "departed"), to="cancelled", may="resources.call", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(hours=0.25)),
))


loop(Loop(
    "resources.requisition", Requisition, label=_("Requisitions"), one=_("Requisition"), read="resources.read", number="ZY-{year}-{n:04}", icon="hand-helping", subject="requisition", assign_may="resources.call",
    fields=(
        Field("kind", codes="requisition_rate", required=True, column=True, filter=True), Field("what", required=True, column=True, search=True), Field("quantity", required=True, min=0.01, max=100_000), Field("owner", label=_("Whose it is"), required=True, column=True, search=True),
        Field("owner_phone", kind="phone", personal=Personal(mask="phone", purpose=_("Take over, give back and pay for what was requisitioned"), basis=CALL_OUT["basis"]), read="resources.contacts"),
        Field("decision", required=True, search=True), Field("purpose", required=True, search=True), Field("handed_over_at", readonly=True), Field("given_back_at", readonly=True),
        Field("condition"), Field("damage_yuan", unit=_("yuan"), min=0),
    ),
    states=(
        State("ordered", _("Ordered")), State("taken", _("Handed over, in use")), State("returned", _("Given back"), final=True, note=_("the compensation is worked out at once")), State("cancelled", _("Cancelled"), final=True),
    ),
    open=Step("order", _("Order a requisition"), to="ordered", may="resources.call", form=("title", "kind", "what", "quantity", "owner", "owner_phone", "decision", "purpose", "region", "point"), within=Within(hours=12)),
    steps=(
        Step("take", _("Take over"), from_=("ordered",), to="taken", may="resources.readiness", evidence=Evidence(photos=1), form=(Field("found", label=_("Condition when taken over"), kind="longtext", required=True),), after=calls.handed_over,
             within=Within(days=30)),
        Step("return", _("Return it to its owner"), from_=("taken",), to="returned", may="resources.readiness", form=(Field("condition", required=True), "damage_yuan"), after=calls.given_back),
        Step("cancel", _("Cancel the requisition"), from_=("ordered",), to="cancelled", may="resources.call", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=2)),
))


loop(Loop(
    "resources.compensation", Compensation, label=_("Compensation for requisition"), one=_("Compensation"), read="resources.read", number="BC-{year}-{n:04}", icon="banknote", subject="compensation", by_hand=False,
    fields=(
        Field("payee", readonly=True, column=True, search=True), Field("team", ref="resources.team", filter=True), Field("persons", readonly=True), Field("vehicles", readonly=True), Field("hours", unit=_("hours"), readonly=True, column=True),
        Field("amount_yuan", unit=_("yuan"), readonly=True, column=True), Field("working", readonly=True), Field("paid_on"),
    ),
    states=(State("worked_out", _("Worked out")), State("checked", _("Checked")), State("paid", _("Paid"), final=True), State("refused", pgettext_lazy("callout", "Refused"), final=True)),
    open=Step("work_out", _("Work out by the rates"), to="worked_out", may="resources.call", form=("title", "region"), within=lambda case: Within(working_days=int(means.policy("paid_days")))),
    steps=(
        Step("check", _("Check"), from_=("worked_out",), to="checked", may="resources.compensate", within=lambda case: Within(working_days=int(means.policy("paid_days"))), form=(Field("remark", label=_("Remark"), kind="longtext"),)),
        Step("pay", _("Report as paid"), from_=("checked",), to="paid", may="resources.compensate", other_than=("check",), form=(Field("paid_on", required=True),)),
        Step("refuse", _("Refuse"), from_=("worked_out", "checked"), to="refused", may="resources.compensate", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=10)),
))


# --- experts' opinions ---------------------------------------------------------------------------------------------------

loop(Loop(
    "resources.opinion", Opinion, label=_("Experts' opinions"), one=_("Opinion"), read="resources.read", number="ZJ-{year}-{n:04}", icon="message-square-quote", subject="opinion", by_hand=False,
    tabs=((_("Draw experts"), "resources:draw", "dices"),),
    fields=(Field("expert", ref="resources.expert", column=True, filter=True), Field("question", search=True), Field("opinion", search=True), Field("signature", readonly=True)),
    states=(State("asked", pgettext_lazy("expert", "Asked")), State("given", _("Given and signed"), final=True), State("declined", _("Declined"), final=True)),
    open=Step("ask", _("Ask an expert"), to="asked", may="resources.draw", form=("title", "question", "region"), within=lambda case: Within(hours=means.policy("opinion_hours"))),
    steps=(
        Step("give", _("Give the opinion"), from_=("asked",), to="given", may="resources.draw", form=(Field("opinion", required=True),), after=calls.sign_opinion),
        Step("decline", _("Decline"), from_=("asked",), to="declined", may="resources.draw", form=(REASON,)),
    ),
    escalate=Up(every=Within(hours=12)),
))


# --- surveys (资源调查) -----------------------------------------------------------------------------------------------------


def unchecked(case: Survey) -> int:
    """Entries of the survey's register and region that nobody has verified since it began."""
    declared = REGISTERS.get(case.register)
    if declared is None:
        return 0
    rows = declared.rows().filter(ended_at=None, region_id__in=RegionPath.objects.filter(ancestor_id=case.region_id).values("descendant_id"))
    return rows.exclude(verified_at__gte=case.opened_at).count()


def known(case: Survey, data: dict[str, Any]) -> Any:
    declared = REGISTERS.get(case.register)
    if declared is None or not case.register.startswith("resources.") or "verified_at" not in declared.columns:
        return _("choose a register of resources")
    return None if case.region_id else _("choose a region")


def all_checked(case: Survey, data: dict[str, Any]) -> Any:
    left = unchecked(case)
    return _("{n} entries are not checked yet").format(n=left) if left else None


SURVEYED = (
    ("resources.team", _("Rescue teams")), ("resources.warehouse", _("Warehouses and stores")), ("resources.equipment", _("Equipment")), ("resources.vehicle", _("Vehicles and vessels")),
    ("resources.shelter", _("Shelters")), ("resources.hospital", _("Hospitals and first aid")), ("resources.key_site", _("Key sites")), ("resources.holding", _("Reserves held by others")),
    ("resources.expert", _("Experts")), ("resources.base", _("Bases of rescue teams")), ("resources.site", _("Sites of the command link")), ("resources.member", _("Emergency personnel")),
)

loop(Loop(
    "resources.survey", Survey, label=_("Resource surveys"), one=_("Survey"), read="resources.read", number="DC-{year}-{n:04}", icon="clipboard-list", subject="survey", assign_may="resources.call",
    fields=(Field("register", kind="choice", choices=SURVEYED, required=True, column=True, filter=True), Field("due_on", required=True, column=True), Field("found", column=True, readonly=True)),
    states=(State("open", _("Being checked")), State("done", _("Checked"), final=True), State("dropped", _("Given up"), final=True)),
    open=Step("open", _("Open a survey"), to="open", may="resources.call", form=("title", "register", "due_on", "region"), guard=known, within=Within(field="due_on")),
    steps=(
        Step("close", _("Close the survey"), from_=("open",), to="done", may="resources.write", guard=all_checked),
        Step("drop", _("Give the survey up"), from_=("open",), to="dropped", may="resources.call", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=3)),
))
