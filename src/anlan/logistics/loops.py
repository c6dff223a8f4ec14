"""Declared here: blocked roads (道路抢通; what is open in it is closed in the router), plans of supply (物资调拨), transport orders (运输令)."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import codes
from anlan.kernel.loops import Evidence, Loop, State, Step, Up, Within, loop
from anlan.kernel.loops.actions import posts_that_may
from anlan.kernel.registers import Field

from . import actions, moving, shelters, supply
from .models import Blockage, Pass, Sheltering, SupplyPlan, Transport

KINDS = (("closed", _("Impassable")), ("slow", _("Slow")), ("water", _("Under water")))


def within(name: str) -> Any:
    return lambda case: Within(hours=float(codes.data("road_policy", name)["value"]))


def placed(case: Any, data: dict[str, Any]) -> Any:
    """Without a place no route can go round it."""
    return None if case.lon is not None else _("say where on the map: without a place no route can go round it")


loop(Loop(
    "logistics.blockage", Blockage, label=_("Blocked roads"), one=_("Blocked road"), read="logistics.read", number="DL-{year}-{n:05}", icon="construction",
    tabs=((_("Clearing times"), "logistics:clearing", "clock"), (_("Within so many minutes"), "logistics:reach", "map")),
    fields=(
        Field("title", required=True, column=True, search=True), Field("road", required=True, search=True, column=True, synonyms=("路线",)),
        Field("road_class", codes="highway_class", required=True, filter=True, column=True, synonyms=("公路等级",)),
        Field("kind", choices=KINDS, required=True, filter=True, column=True), Field("speed_left", unit="%", min=1, max=100, show_when="kind=slow"), Field("depth_cm", unit="cm", max=2000, show_when="kind=water"),
        Field("cause", codes="blockage_cause", filter=True, synonyms=("阻断原因",)), Field("severity", codes="disaster_severity", required=True, filter=True, synonyms=("灾害等级",)),
        Field("crew", search=True, column=True), Field("expected_at"),
    ),
    states=(
        State("reported", _("Reported")), State("clearing", _("Being cleared")), State("opened", _("Open to traffic"), final=True), State("dismissed", _("Not blocked"), final=True),
    ),
    open=Step("report", _("Report a blocked road"), to="reported", may="logistics.report", within=within("order_hours"),
              form=("title", "road", "road_class", "kind", "speed_left", "depth_cm", "cause", "severity", "region", "point")),
    steps=(
        Step("dismiss", _("Dismiss: not blocked"), from_=("reported",), to="dismissed", may="logistics.clear", danger=True,
             form=(Field("reason", label=_("Reason"), kind="longtext", required=True),)),
        Step("order", _("Order a crew"), from_=("reported",), to="clearing", may="logistics.clear", guard=placed, within=within("clear_hours"), form=(Field("crew", required=True), "expected_at")),
        Step("partly", _("Partly open"), from_=("clearing",), to="clearing", may="logistics.clear", within=within("clear_hours"), form=(Field("kind", choices=KINDS, required=True), "speed_left", "depth_cm", "expected_at")),
        Step("open", _("Open to traffic"), from_=("reported", "clearing"), to="opened", may="logistics.clear", evidence=Evidence(photos=1),
             form=(Field("done", label=pgettext_lazy("road", "What was done"), kind="longtext", required=True),)),
    ),
    reopen=Step("block", _("Blocked again"), from_=("opened", "dismissed"), to="reported", may="logistics.report", within=within("order_hours"),
                form=(Field("reason", label=_("Reason"), kind="longtext", required=True),)),
    escalate=Up(every=Within(hours=2)),
))


# --- plans of supply -----------------------------------------------------------------------------------------------------


def soon(name: str) -> Any:
    return lambda case: Within(hours=supply.policy(name))


def plan_panel(request: Any, case: SupplyPlan) -> tuple[Any, str, dict[str, Any]]:
    return _("Plan of supply"), "logistics/_plan_panel.html", {"version": case.versions.filter(number=case.current).first() if case.current else None, "loads": case.transports.count()}


REASON = Field("reason", label=_("Reason"), kind="longtext", required=True)

loop(Loop(
    "logistics.supply", SupplyPlan, label=_("Plans of supply"), one=_("Plan of supply"), read="logistics.read", number="DB-{year}-{n:04}", icon="route", new_page="logistics:plan_new", panels=(plan_panel,),
    tabs=((_("Plans of sheltering"), "logistics:shelterings", "tent"), (_("Which teams go"), "logistics:teams", "siren"), (_("Coverage of stations"), "logistics:coverage", "radar"), (_("Clearing times"), "logistics:clearing", "clock")),
    fields=(Field("title", required=True, column=True, search=True), Field("about", readonly=True), Field("vehicle", codes="road_vehicle"), Field("weather", codes="road_weather")),
    states=(
        State("draft", _("Being planned"), rest=True), State("asked", _("To be approved")), State("approved", _("Approved, loads ordered"), rest=True), State("done", _("Delivered"), final=True),
        State("withdrawn", _("Withdrawn"), final=True),
    ),
    open=Step("plan", _("Plan supplies"), to="draft", may="logistics.plan", form=("title", "region", "about", "vehicle", "weather")),
    steps=(
        Step("ask", _("Submit for approval"), from_=("draft",), to="asked", may="logistics.plan", guard=actions.fit_to_approve, within=soon("approve_hours"),
             form=(Field("remark", label=_("Remark"), kind="longtext"),)),
        Step("approve", _("Approve and order the loads"), from_=("asked",), to="approved", may="logistics.approve", other_than=("ask", "change"), guard=actions.fit_to_approve, after=actions.approved),
        Step("return", _("Return to be changed"), from_=("asked",), to="draft", may="logistics.approve", form=(REASON,)),
        Step("change", _("Submit the changed plan"), from_=("approved",), to="asked", may="logistics.plan", guard=actions.changed_since_approved, within=soon("approve_hours")),
        Step("finish", _("All delivered"), from_=("approved",), to="done", may="logistics.plan", guard=actions.nothing_on_the_road),
        Step("withdraw", _("Withdraw the plan"), from_=("draft", "asked", "approved"), to="withdrawn", may="logistics.plan", form=(REASON,), after=actions.withdrawn, danger=True,
             confirm=_("Loads that have not left are called back. Withdraw the plan?")),
    ),
    escalate=Up(every=Within(hours=1)),
))


# --- plans of sheltering -------------------------------------------------------------------------------------------------


def shelter_soon(case: Sheltering) -> Within:
    return Within(hours=shelters.policy("approve_hours"))


def sheltering_panel(request: Any, case: Sheltering) -> tuple[Any, str, dict[str, Any]]:
    return _("Plan of sheltering"), "logistics/_sheltering_panel.html", {"version": case.versions.filter(number=case.current).first() if case.current else None}


loop(Loop(
    "logistics.sheltering", Sheltering, label=_("Plans of sheltering"), one=_("Plan of sheltering"), read="logistics.read", number="ZY-{year}-{n:04}", icon="tent", new_page="logistics:sheltering_new", panels=(sheltering_panel,),
    tabs=((_("Plans of supply"), "logistics:plans", "route"),),
    fields=(
        Field("title", required=True, column=True, search=True), Field("about", readonly=True), Field("hazard", codes="team_hazard", required=True, column=True, filter=True), Field("stay", codes="shelter_stay"),
        Field("weather", codes="road_weather"), Field("impassable"), Field("buses", max=10_000),
    ),
    states=(
        State("draft", _("Being planned"), rest=True), State("asked", _("To be approved")), State("approved", _("Approved, people are led"), rest=True), State("done", _("Over, everybody is home"), final=True),
        State("withdrawn", _("Withdrawn"), final=True),
    ),
    open=Step("plan", _("Plan sheltering"), to="draft", may="logistics.plan", form=("title", "region", "about", "hazard", "stay", "weather", "impassable", "buses")),
    steps=(
        Step("ask", _("Submit for approval"), from_=("draft",), to="asked", may="logistics.plan", guard=moving.fit_to_approve, within=shelter_soon, form=(Field("remark", label=_("Remark"), kind="longtext"),)),
        Step("approve", _("Approve and give the orders"), from_=("asked",), to="approved", may="logistics.approve", other_than=("ask", "change"), guard=moving.fit_to_approve, after=moving.approved),
        Step("return", _("Return to be changed"), from_=("asked",), to="draft", may="logistics.approve", form=(REASON,)),
        Step("change", _("Submit the changed plan"), from_=("approved",), to="asked", may="logistics.plan", guard=moving.changed_since_approved, within=shelter_soon),
        Step("finish", _("Everybody is home"), from_=("approved",), to="done", may="logistics.plan", guard=moving.finished),
        Step("withdraw", _("Withdraw the plan"), from_=("draft", "asked", "approved"), to="withdrawn", may="logistics.plan", form=(REASON,), after=moving.withdrawn, danger=True,
             confirm=_("Whoever was told is told that it no longer holds. Withdraw the plan?")),
    ),
    escalate=Up(every=Within(hours=1)),
))


# --- transport orders ----------------------------------------------------------------------------------------------------


def waybill_panel(request: Any, case: Transport) -> tuple[Any, str, dict[str, Any]]:
    return _("Waybill"), "logistics/_waybill_panel.html", {}


loop(Loop(
    "logistics.transport", Transport, label=_("Transport orders"), one=_("Transport order"), read="logistics.read", number="YS-{year}-{n:05}", icon="truck", panels=(waybill_panel,),
    marks=lambda case: [str(case.pk), case.number],
    fields=(
        Field("title", column=True, search=True), Field("start", required=True, column=True, search=True), Field("goal", required=True, column=True, search=True), Field("cargo", required=True, search=True),
        Field("tonnes", unit="t", min=0, max=5000), Field("leave_by", column=True), Field("arrive_by", column=True), Field("vehicle", column=True, search=True), Field("driver"), Field("convoy", filter=True, search=True),
        Field("depot", ref="resources.warehouse", filter=True, readonly=True), Field("received", readonly=True),
    ),
    states=(
        State("ordered", _("Ordered")), State("left", _("On the road")), State("arrived", _("Arrived and signed for"), final=True), State("void", _("Not driven"), final=True),
    ),
    open=Step("order", _("Order a transport"), to="ordered", may="logistics.plan", within=Within(field="leave_by"), assign=lambda case: next(iter(posts_that_may(("resources.stock",), case)), None),
              form=("title", "region", "point", "start", "goal", "cargo", "tonnes", "leave_by", "arrive_by", "vehicle", "driver", "convoy")),
    steps=(
        Step("leave", _("The load has left"), from_=("ordered",), to="left", may="resources.stock", within=Within(field="arrive_by"), after=actions.left,
             form=(Field("vehicle", required=True), Field("driver", required=True))),
        Step("arrive", _("Arrived and signed for"), from_=("left",), to="arrived", may="logistics.carry",
             form=(Field("received", required=True), Field("remark", label=_("Shortages and damage"), kind="longtext"))),
        Step("join", _("Drive in a convoy"), from_=("ordered",), to="ordered", may="logistics.plan", form=(Field("convoy", required=True), Field("leave_by"))),
        Step("void", _("Call the load back"), from_=("ordered",), to="void", may="logistics.plan", form=(REASON,), after=actions.voided, danger=True),
    ),
    escalate=Up(every=Within(hours=1)),
))


# --- passes (应急车辆通行证) -------------------------------------------------------------------------------------------------


def pass_panel(request: Any, case: Pass) -> tuple[Any, str, dict[str, Any]] | None:
    return (_("Certificate"), "logistics/_pass_panel.html", {}) if case.code else None


loop(Loop(
    "logistics.pass", Pass, label=_("Passes"), one=_("Pass"), read="logistics.read", number="TX-{year}-{n:05}", icon="badge-check", panels=(pass_panel,),
    fields=(
        Field("title", column=True, search=True), Field("plates", required=True, column=True, search=True), Field("drivers"), Field("start", required=True, column=True), Field("goal", required=True, column=True),
        Field("cargo", required=True, search=True), Field("route"), Field("valid_until", required=True, column=True),
    ),
    states=(
        State("asked", _("Asked for")), State("given", _("Valid"), rest=True), State("ended", _("Over"), final=True), State("revoked", _("Revoked"), final=True), State("refused", _("Refused"), final=True),
    ),
    open=Step("ask", _("Ask for a pass"), to="asked", may="logistics.plan", within=soon("approve_hours"), form=("title", "region", "plates", "drivers", "start", "goal", "cargo", "route", "valid_until")),
    steps=(
        Step("give", _("Give the pass"), from_=("asked",), to="given", may="logistics.approve", guard=actions.pass_sound, within=Within(field="valid_until"), after=actions.pass_given),
        Step("refuse", _("Refuse"), from_=("asked",), to="refused", may="logistics.approve", form=(REASON,)),
        Step("revoke", _("Revoke the pass"), from_=("given",), to="revoked", may="logistics.approve", form=(REASON,), danger=True),
        Step("end", _("The trip is over"), from_=("given",), to="ended", may="logistics.plan"),
    ),
    escalate=Up(every=Within(hours=8), levels=1),
))
