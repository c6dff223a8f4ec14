"""Declared here: the closed loop of blocked roads (道路抢通). What is open in it is closed in the router."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import codes
from anlan.kernel.loops import Evidence, Loop, State, Step, Up, Within, loop
from anlan.kernel.registers import Field

from .models import Blockage

KINDS = (("closed", _("Impassable")), ("slow", _("Slow")), ("water", _("Under water")))


def within(name: str) -> Any:
    return lambda case: Within(hours=float(codes.data("road_policy", name)["value"]))


def placed(case: Any, data: dict[str, Any]) -> Any:
    """Without a place no route can go round it."""
    return None if case.lon is not None else _("say where on the map: without a place no route can go round it")


loop(Loop(
    "logistics.blockage", Blockage, label=_("Blocked roads"), one=_("Blocked road"), read="logistics.read", number="DL-{year}-{n:05}", icon="construction",
    tabs=((_("Clearing times"), "logistics:clearing", "clock"),),
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
