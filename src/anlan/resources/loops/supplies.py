"""Declared here: the closed loops about supplies. Releases, counts, and what must be put right."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import clock
from anlan.kernel.errors import Problem
from anlan.kernel.loops import Loop, State, Step, Up, Within, loop
from anlan.kernel.registers import Field

from .. import actions, supplies
from ..compute import in_units, policy
from ..models import Release, StockCount, SupplyAlert

REASON = Field("reason", label=_("Reason"), kind="longtext", required=True)


def hours(name: str) -> Callable[[Any], Within]:
    return lambda case: Within(hours=policy(name))


def days(name: str) -> Callable[[Any], Within]:
    return lambda case: Within(working_days=policy(name))


# --- releases (动用审批) -----------------------------------------------------------------------------------------------------


def of_the_place(case: Release, data: dict[str, Any]) -> Any:
    """Who decides follows from the place: it must be the warehouse's own, and the quantity one the item can have."""
    if case.region_id != case.warehouse.region_id:
        return _("choose the region the warehouse lies in: {place}").format(place=case.warehouse.region)
    try:
        in_units(case.item, case.quantity, case.unit)
    except Problem as problem:
        return problem.message
    return None


loop(Loop(
    "resources.release", Release, label=_("Releases of supplies"), one=_("Release"), read="resources.read", number="DY-{year}-{n:04}", icon="package-open", subject="release",
    assign_may="resources.release",
    fields=(
        Field("warehouse", ref="resources.warehouse", required=True, column=True, filter=True), Field("item", ref="resources.item", required=True, column=True, filter=True),
        Field("quantity", required=True, column=True, min=0.001), Field("unit", codes="supply_unit", required=True, column=True), Field("party", required=True, column=True, search=True),
        Field("purpose", required=True, search=True),
    ),
    states=(
        State("asked", _("Asked for")), State("approved", _("Approved, goods kept")), State("issued", pgettext_lazy("supplies", "Issued"), final=True), State("refused", pgettext_lazy("supplies", "Refused"), final=True),
        State("withdrawn", _("Withdrawn"), final=True),
    ),
    open=Step("ask", _("Ask for a release"), to="asked", may="resources.stock", form=("warehouse", "item", "quantity", "unit", "party", "purpose", "region"), guard=of_the_place, within=hours("approve_hours")),
    steps=(
        Step("approve", _("Approve the release"), from_=("asked",), to="approved", may="resources.release", other_than=("ask",), within=hours("issue_hours"), after=actions.release_approved,
             form=(Field("remark", label=_("Remark"), kind="longtext"),)),
        Step("refuse", _("Refuse"), from_=("asked",), to="refused", may="resources.release", form=(REASON,), danger=True),
        Step("issue", _("Issue the goods"), from_=("approved",), to="issued", may="resources.stock", after=actions.release_issued, form=(Field("voucher", label=_("Voucher"), kind="text"),)),
        Step("withdraw", _("Withdraw"), from_=("asked", "approved"), to="withdrawn", may="resources.stock", form=(REASON,), after=actions.release_dropped, danger=True),
    ),
    escalate=Up(every=Within(hours=2)),
))


# --- counts (盘点) ---------------------------------------------------------------------------------------------------------

loop(Loop(
    "resources.count", StockCount, label=_("Stock-takes"), one=_("Count of a lot"), read="resources.read", number="PD-{year}-{n:05}", icon="scan-barcode", subject="count", by_hand=False,
    assign_may="resources.stock", marks=lambda case: [str(case.stock_id or ""), f"{case.item.code} {case.lot}".strip() if case.item_id else ""],
    fields=(
        Field("item", ref="resources.item", column=True, filter=True, readonly=True), Field("lot", column=True, search=True), Field("due_on", column=True),
        Field("counted", min=0), Field("unit", codes="supply_unit"), Field("difference", column=True, readonly=True),
    ),
    states=(
        State("asked", _("To be counted")), State("counted", _("Differs from the book"), note=_("another person decides about the difference")),
        State("agreed", _("Agrees"), final=True), State("booked", _("Difference booked"), final=True), State("dropped", _("Not counted"), final=True),
    ),
    open=Step("ask", _("Open a stock-take"), to="asked", may="resources.stock", form=("title", "lot", "due_on", "region"), within=Within(field="due_on")),
    steps=(
        Step("count", _("Enter the count"), from_=("asked",), to="counted", may="resources.stock", within=days("book_days"), after=actions.counted,
             form=(Field("counted", required=True, min=0), Field("unit", codes="supply_unit", required=True), Field("remark", label=_("Remark"), kind="longtext"))),
        Step("agree", _("Agrees with the book"), from_=("counted",), to="agreed", may="resources.stock", guard=lambda case, data: _("it differs from the book") if case.difference else None),
        Step("again", _("Count again"), from_=("asked", "counted"), to="asked", may="resources.stock", within=Within(field="due_on"), after=actions.count_again, form=(REASON,)),
        Step("book", _("Book the difference"), from_=("counted",), to="booked", may="resources.write_off", other_than=("count",), after=actions.book_count, form=(REASON,)),
        Step("drop", _("Drop the count"), from_=("asked", "counted"), to="dropped", may="resources.write_off", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=5)),
))


# --- what must be put right (储备预警) ------------------------------------------------------------------------------------------


def put_right(case: SupplyAlert, data: dict[str, Any]) -> Any:
    """An alert closes only when what it says is true no longer: the book and the registers decide, not whoever closes it."""
    return supplies.still(case, clock.local(clock.now(case.realm)).date())


loop(Loop(
    "resources.alert", SupplyAlert, label=_("Supply alerts"), one=_("Supply alert"), read="resources.read", number="CB-{year}-{n:05}", icon="package-x", subject="supply_alert", by_hand=False,
    assign_may="resources.stock", tabs=((_("Supplies"), "resources:supplies", "package"),),
    fields=(
        Field("kind", codes="supply_alert", column=True, filter=True), Field("warehouse", ref="resources.warehouse", column=True, filter=True), Field("item", ref="resources.item", column=True, filter=True),
        Field("holding", ref="resources.holding"), Field("quantity", column=True),
    ),
    states=(State("found", pgettext_lazy("alert", "Found")), State("planned", _("Being put right")), State("settled", _("Put right"), final=True), State("set_aside", _("Set aside"), final=True)),
    open=Step("find", _("Supplies need attention"), to="found", may="resources.stock", form=("title", "kind", "quantity", "region"), within=Within(working_days=5)),
    steps=(
        Step("plan", _("Say how it is put right"), from_=("found",), to="planned", may="resources.stock", within=days("settle_days"), form=(Field("measures", label=pgettext_lazy("alert", "Measures"), kind="longtext", required=True),)),
        Step("settle", _("Put right"), from_=("found", "planned"), to="settled", may="resources.stock", guard=put_right),
        Step("set_aside", _("Set aside"), from_=("found", "planned"), to="set_aside", may="resources.release", form=(REASON,), danger=True),
    ),
    escalate=Up(every=Within(working_days=5)),
))
