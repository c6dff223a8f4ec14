"""Declared here: the closed loop of hidden dangers (隐患排查治理闭环). Who may do what, from where, with what in hand, until when."""
from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from anlan.kernel import clock, codes
from anlan.kernel.loops import Evidence, Loop, Sample, State, Step, Up, Within, loop
from anlan.kernel.registers import Field, Personal

from . import queries
from .models import Danger

MAJOR = "major"
EFFECTS = (("lasting", _("Lasting")), ("relapsed", _("Not lasting")))


def days(name: str) -> int:
    """A time limit of the code list `danger_policy`."""
    return int(codes.data("danger_policy", name)["value"])


def within(name: str) -> Callable[[Any], Within]:
    return lambda case: Within(working_days=days(name))


def only_major(case: Any, data: dict[str, Any]) -> Any:
    return None if case.grade == MAJOR else _("only a major danger is listed, released and reviewed")


def listed_first(case: Any, data: dict[str, Any]) -> Any:
    """An ordinary danger is put right at once; a major one goes on the list before."""
    if case.grade == MAJOR and case.state == "assessed":
        return _("a major danger is put on the supervision list first")
    return None


def reviewed_first(case: Any, data: dict[str, Any]) -> Any:
    """A major danger is struck off only after its release and the later review of the effect."""
    if case.grade == MAJOR and case.state != "reviewed":
        return _("a major danger is struck off after its release and the review of the effect")
    return None


def late_enough(case: Any, data: dict[str, Any]) -> Any:
    """The effect is reviewed some time after the release: what was put right must have held."""
    first = clock.local(case.state_since).date() + timedelta(days=days("effect_after_days"))
    if case.reviewed_on < first:
        return _("the effect is reviewed on {day} at the earliest").format(day=first)
    if case.reviewed_on > clock.local(clock.now(case.realm)).date():
        return _("the day of the review is not yet")
    return None


REASON = Field("reason", label=_("Reason"), kind="longtext", required=True)
REMARK = Field("remark", label=_("Remark"), kind="longtext", required=True)

loop(Loop(
    "inspection.danger", Danger, label=_("Hidden dangers"), one=_("Hidden danger"), read="inspection.read", number="YH-{year}-{n:05}",
    icon="triangle-alert", sources="danger_source", assign_may="inspection.handle",
    tabs=((_("Two lists"), "inspection:lists", "clipboard-list"),),
    fields=(
        Field("title", required=True, column=True, search=True, synonyms=("隐患名称",)), Field("source", codes="danger_source", required=True, column=True, filter=True, synonyms=("隐患来源",)),
        Field("kind", codes="danger_kind", required=True, filter=True, column=True, synonyms=("隐患类别",)), Field("premises", required=True, search=True, synonyms=("受检单位",)),
        Field("address", search=True), Field("text", required=True, synonyms=("隐患描述",)), Field("found_on", required=True, synonyms=("发现日期",)),
        Field("grade", codes="danger_grade", filter=True, column=True, synonyms=("隐患等级",)), Field("basis"), Field("measures"),
        Field("responsible", personal=Personal(mask="name", purpose=_("Say who answers for putting it right"), basis="Work Safety Law art. 41: duty of the unit"), read="inspection.handle"),
        Field("funds_yuan", unit=_("yuan"), min=0), Field("rectify_by", sort=True, synonyms=("整改期限",)), Field("precautions"),
        Field("supervisor", codes="danger_supervisor", filter=True), Field("list_number"), Field("reviewed_on"), Field("effect", choices=EFFECTS),
    ),
    states=(
        State("reported", _("Reported")), State("filed", _("Filed")), State("assessed", _("Assessed")), State("listed", _("Listed for supervision")),
        State("rectifying", _("Being put right")), State("rectified", _("Put right, to be accepted")), State("accepted", _("Acceptance passed")),
        State("released", _("Taken off the list"), note=_("the effect is reviewed later")), State("reviewed", _("Effect reviewed")),
        State("closed", _("Struck off"), final=True), State("dismissed", _("No danger"), final=True),
    ),
    open=Step(
        "report", _("Report a danger"), to="reported", may="inspection.report", within=within("file_days"),
        form=("title", "source", "kind", "organisation", "premises", "region", "address", "point", "text", "found_on"),
    ),
    steps=(
        Step("dismiss", _("Dismiss: no danger"), from_=("reported",), to="dismissed", may="inspection.handle", form=(REASON,), confirm=_("Nothing more is done about it. Dismiss it?"), danger=True),
        Step("file", _("Put on file"), from_=("reported",), to="filed", may="inspection.handle", within=within("assess_days")),
        Step(
            "assess", _("Assess the danger"), from_=("filed",), to="assessed", may="inspection.handle", within=within("order_days"),
            form=(Field("grade", codes="danger_grade", required=True), Field("basis", required=True)),
        ),
        Step(
            "list", _("List for supervision"), from_=("assessed",), to="listed", may="inspection.supervise", guard=only_major, within=within("order_days"),
            form=(Field("supervisor", codes="danger_supervisor", required=True), Field("list_number", required=True)),
        ),
        Step(
            "order", _("Order to put right"), from_=("assessed", "listed"), to="rectifying", may="inspection.handle", guard=listed_first,
            within=Within(field="rectify_by"), assign=queries.unit,
            form=(Field("measures", required=True), "responsible", "funds_yuan", Field("rectify_by", required=True), Field("precautions", required=True)),
        ),
        Step(
            "rectify", _("Report as put right"), from_=("rectifying",), to="rectified", may="inspection.rectify", evidence=Evidence(photos=1), within=within("accept_days"),
            form=(Field("done", label=_("What was done"), kind="longtext", required=True),),
        ),
        Step(
            "return", _("Send back"), from_=("rectified",), to="rectifying", may="inspection.handle", other_than=("rectify",), within=Within(field="rectify_by"), assign=queries.unit,
            form=(REASON, Field("rectify_by", required=True)),
        ),
        Step(
            "accept", _("Accept as put right"), from_=("rectified",), to="accepted", may="inspection.handle", other_than=("rectify",), evidence=Evidence(photos=1), within=within("close_days"),
            form=(REMARK,),
        ),
        Step(
            "release", _("Take off the list"), from_=("accepted",), to="released", may="inspection.supervise", guard=only_major, other_than=("rectify",),
            within=lambda case: Within(days=days("effect_within_days")), form=(REMARK,),
        ),
        Step(
            "review", _("Review the effect"), from_=("released",), to="reviewed", may="inspection.supervise", guard=late_enough, other_than=("rectify",), within=within("close_days"),
            form=(Field("reviewed_on", required=True), Field("effect", choices=EFFECTS[:1], required=True), REMARK),
        ),
        Step(
            "relapse", _("Not lasting: begin again"), from_=("released",), to="assessed", may="inspection.supervise", within=within("order_days"),
            form=(Field("effect", choices=EFFECTS[1:], required=True), REASON), danger=True,
        ),
        Step("close", _("Strike off"), from_=("accepted", "reviewed"), to="closed", may="inspection.handle", guard=reviewed_first, other_than=("rectify",), form=(REMARK,)),
    ),
    reopen=Step("reopen", _("Reopen"), from_=("closed", "dismissed"), to="filed", may="inspection.handle", within=within("assess_days"), form=(REASON,)),
    remind=Within(working_days=1), escalate=Up(every=Within(working_days=5)),
    recheck=Sample(share=0.1), risk=lambda case: float(codes.data("danger_grade", case.grade).get("risk", 1)),
))
