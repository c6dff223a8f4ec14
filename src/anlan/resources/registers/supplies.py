"""Supplies: the catalogue, the places, what must be there, what others hold; and the lots, which only the ledger writes."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import codes, subjects
from anlan.kernel.registers import Field, Personal, Register, register

from ..compute import word
from ..models import Holding, Item, Minimum, Norm, Stock, Warehouse
from .teams import CALL_OUT, CODE

SUPPLIES = ((_("Supplies"), "resources:supplies", "package"), (_("Stock"), "resources:stock", "boxes"), (_("Ledger"), "resources:ledger", "notebook-text"))


def item_check(values: dict[str, Any]) -> list[dict[str, str]]:
    """The class is the first digit of the standard's code, and a box is a pack of something else."""
    faults = []
    if values.get("gb_code") and values.get("major") and values["gb_code"][0] != values["major"]:
        faults.append({"field": "major", "why": str(_("is not the class of the code {code}").format(code=values["gb_code"]))})
    if values.get("unit") and codes.data("supply_unit", values["unit"]).get("dimension") == "pack":
        faults.append({"field": "unit", "why": str(_("the ledger is kept in what a box holds, not in boxes"))})
    if values.get("rotate_days") and values.get("keeps_days") and values["rotate_days"] >= values["keeps_days"]:
        faults.append({"field": "rotate_days", "why": str(_("is longer than it keeps at all"))})
    return faults


def units(rows: list[Any]) -> dict[Any, str]:
    """The unit each row's quantities are counted in: its item's, beside them on every list and sheet."""
    return {row.pk: word(row.item.unit) for row in rows}


UNIT = Field("unit", label=_("Unit"), of=units, column=True)


def holding_check(values: dict[str, Any]) -> list[dict[str, str]]:
    """An agreement has its number and its end; what lies in our own stores is in the ledger."""
    faults = []
    if values.get("form") in ("agreement", "capacity"):
        faults += [{"field": name, "why": str(_("an agreement has one"))} for name in ("agreement", "valid_until") if not values.get(name)]
    if values.get("form") == "physical" and values.get("layer") != "family":
        faults.append({"field": "form", "why": str(_("physical stock is kept in the ledger; only families declare it here"))})
    if values.get("signed_on") and values.get("valid_until") and str(values["valid_until"]) < str(values["signed_on"]):
        faults.append({"field": "valid_until", "why": str(_("lies before the day it was signed"))})
    return faults


register(Register(
    "resources.item", Item, label=_("Catalogue of supplies"), one=pgettext_lazy("supplies", "Item"), icon="book-marked", subject="item", read="resources.read", write="resources.write", key=("code",), note=("specification",),
    check=item_check, tabs=SUPPLIES,
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, synonyms=("编码", "物资编码")), Field("name", required=True, column=True, search=True, sort=True, synonyms=("物资名称", "品名")),
        Field("gb_code", pattern=r"[123]\d{6}", column=True, search=True, synonyms=("国标编码", "分类编码")), Field("major", codes="supply_class", filter=True, column=True, synonyms=("大类",)),
        Field("specification", search=True, column=True, synonyms=("规格型号", "规格")), Field("unit", codes="supply_unit", required=True, column=True, synonyms=("计量单位", "单位")),
        Field("per_box", min=0.001, max=1_000_000, synonyms=("装箱数",)), Field("weight_kg", unit="kg", min=0.0001, max=100_000, synonyms=("单重",)), Field("most", min=0.001, synonyms=("单笔上限",)),
        Field("keeps_days", group=_("How long it keeps"), unit=_("days"), max=36_500, synonyms=("保质期",)), Field("rotate_days", unit=_("days"), max=3650, synonyms=("轮换提前期",)),
        Field("hazards", codes="team_hazard", many=True, filter=True, synonyms=("适用灾种",)), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.warehouse", Warehouse, label=_("Warehouses and stores"), one=_("Warehouse"), icon="warehouse", subject="warehouse", read="resources.read", write="resources.write", key=("code",),
    fresh=timedelta(days=180), note=("layer", "address"), tabs=SUPPLIES,
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, synonyms=("编号", "仓库编号")), Field("name", required=True, column=True, search=True, sort=True, synonyms=("仓库名称", "储备点名称")),
        Field("layer", codes="reserve_layer", required=True, column=True, filter=True, synonyms=("储备层级", "层级")), Field("kind", codes="warehouse_kind", column=True, filter=True, synonyms=("类别",)),
        Field("release", filter=True, synonyms=("动用须审批",)), Field("address", column=True, search=True, synonyms=("地址",)), Field("area_m2", unit="m²", max=1_000_000, synonyms=("面积",)),
        Field("load_min", unit=_("minutes"), max=10_000, sort=True, synonyms=("装载时间",)), Field("duty_phone", kind="phone", group=_("Who answers"), synonyms=("值班电话",)),
        Field("keeper", personal=Personal(mask="name", **CALL_OUT), read="resources.contacts", synonyms=("保管员",)),
        Field("keeper_phone", kind="phone", personal=Personal(mask="phone", **CALL_OUT), read="resources.contacts", synonyms=("保管员电话",)), Field("note", synonyms=("备注",)),
    ),
))

register(Register(
    "resources.minimum", Minimum, label=_("Minimum levels"), one=_("Minimum level"), icon="chevrons-down", subject="minimum", read="resources.read", write="resources.write", key=("warehouse", "item"),
    title="item", note=("warehouse", "quantity"), sort="item", tabs=SUPPLIES,
    fields=(
        Field("warehouse", ref="resources.warehouse", required=True, column=True, filter=True, synonyms=("仓库", "仓库编号")), Field("item", ref="resources.item", required=True, column=True, filter=True, synonyms=("物资", "物资编码")),
        Field("quantity", required=True, column=True, min=0.001, synonyms=("最低储备量",)), UNIT, Field("basis", column=True, search=True, synonyms=("依据",)),
    ),
))

register(Register(
    "resources.norm", Norm, label=_("Reserve standards"), one=_("Reserve standard"), icon="ruler", subject="norm", read="resources.read", write="resources.write", key=("layer", "item", "region"),
    title="item", note=("layer", "quantity"), sort="item", tabs=SUPPLIES,
    fields=(
        Field("layer", codes="reserve_layer", required=True, column=True, filter=True, synonyms=("储备层级",)), Field("item", ref="resources.item", required=True, column=True, filter=True, synonyms=("物资", "物资编码")),
        Field("quantity", required=True, column=True, min=0.001, synonyms=("储备标准",)), UNIT, Field("basis", column=True, search=True, synonyms=("依据",)), Field("region", required=True, column=True, filter=True, synonyms=("区域", "行政区划")),
    ),
))

register(Register(
    "resources.holding", Holding, label=_("Reserves held by others"), one=_("Reserve"), icon="handshake", subject="holding", read="resources.read", write="resources.write", key=("code",),
    fresh=timedelta(days=365), note=("form",), check=holding_check, tabs=SUPPLIES,
    fields=(
        Field("code", required=True, pattern=CODE, column=True, search=True, synonyms=("编号",)), Field("name", required=True, column=True, search=True, sort=True, synonyms=("储备单位", "协议单位")),
        Field("form", codes="reserve_form", required=True, column=True, filter=True, synonyms=("储备形式",)), Field("layer", codes="reserve_layer", required=True, column=True, filter=True, synonyms=("储备层级",)),
        Field("item", ref="resources.item", required=True, column=True, filter=True, synonyms=("物资", "物资编码")), Field("quantity", required=True, column=True, min=0.001, synonyms=("数量",)), UNIT,
        Field("hours", unit=_("hours"), max=10_000, sort=True, synonyms=("到货时限",)), Field("agreement", search=True, show_when="form=agreement|capacity", synonyms=("协议编号",)),
        Field("signed_on", synonyms=("签订日期",)), Field("valid_until", column=True, sort=True, synonyms=("有效期至",)),
        Field("contact", group=_("Who answers"), personal=Personal(mask="name", **CALL_OUT), read="resources.contacts", synonyms=("联系人",)),
        Field("contact_phone", kind="phone", personal=Personal(mask="phone", **CALL_OUT), read="resources.contacts", synonyms=("联系电话",)), Field("note", synonyms=("备注",)),
    ),
))

# The lots themselves: a list like any other, written by the ledger's actions alone, with a page of their own.
subjects.register("stock", "resources.Stock", "resources:lot", _("Lot in stock"))
register(Register(
    "resources.stock", Stock, label=_("Stock"), one=_("Lot in stock"), icon="boxes", subject="stock", read="resources.read", write="resources.stock",
    title="item", note=("warehouse", "lot"), sort="expires_on", steps_only=True, tabs=SUPPLIES,
    fields=(
        Field("item", ref="resources.item", column=True, filter=True, search=True), Field("lot", column=True, search=True), Field("warehouse", ref="resources.warehouse", column=True, filter=True, search=True),
        Field("layer", codes="reserve_layer", column=True, filter=True), Field("quantity", column=True, sort=True), Field("reserved", column=True), UNIT, Field("made_on"),
        Field("expires_on", column=True, sort=True, filter=True), Field("price_yuan", unit=_("yuan")), Field("counted_at", sort=True),
    ),
))
