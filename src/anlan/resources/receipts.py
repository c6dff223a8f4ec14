"""Goods received by sheet (入库单、期初库存导入): read as every register's sheet is, booked by the ledger; all rows or none, the same sheet once."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import derived_id
from anlan.kernel.registers import Field, Register, importing, values
from anlan.kernel.registers.values import plain

from . import actions, compute
from .forms import places_of
from .models import Item, Stock

MOST = 20_000


def form() -> Register:
    """The sheet's columns, as the spreadsheet reader knows forms."""
    return Register(
        "resources.receipt", Stock, label=gettext_lazy("Goods received"), one=gettext_lazy("Line"), read="resources.read", write="resources.stock", title="item", steps_only=True,
        fields=(
            Field("warehouse", ref="resources.warehouse", required=True, synonyms=("仓库", "仓库编号", "储备点")), Field("item", ref="resources.item", required=True, synonyms=("物资", "物资编码", "物资名称", "品名")),
            Field("quantity", required=True, min=0.001, synonyms=("数量",)), Field("unit", label=gettext_lazy("Unit"), kind="code", codes="supply_unit", synonyms=("单位", "计量单位")),
            Field("lot", synonyms=("批次", "批号")), Field("made_on", synonyms=("生产日期",)), Field("expires_on", synonyms=("有效期至", "失效日期")), Field("price_yuan", min=0, synonyms=("单价",)),
        ),
    )


def judge(actor: Any, realm: Any, sheet: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(lines as `receive_many` takes them, wrong cells [{row, field, why}]); nothing is written."""
    declared = form()
    mapping = importing.propose(declared, sheet)
    fields = [one.bind(Stock) for one in declared.fields]
    names = {at: name for name, at in mapping.columns.items() if name in {one.name for one in fields}}
    mine, items, look = {str(row.pk) for row in places_of(actor, "resources.stock")}, {row.pk: row for row in Item.plain.filter(ended_at=None)}, values.Lookup()
    lots, refused, dates = [], [], {}
    for number, cells in enumerate(sheet.rows[mapping.header + 1 :], mapping.header + 2):
        given = {name: cells[at] for at, name in names.items() if at < len(cells) and not values.empty(cells[at])}
        if not given or str(next(iter(given.values()))).startswith("#"):
            continue
        found, faults = values.clean_all(None, fields, {one.name: None for one in fields} | given, look)
        if not faults:
            line = {name: plain(value) for name, value in found.items() if not values.empty(value)}
            if line["warehouse"] not in mine:
                faults = [{"field": "warehouse", "why": _("your post may not do this there")}]
            try:
                compute.in_units(items[found["item"]], str(line["quantity"]), line.get("unit", ""))
            except Problem as problem:
                faults = [*faults, {"field": "quantity", "why": problem.message}]
            key = (line["warehouse"], line["item"], line.get("lot", ""))
            if dates.setdefault(key, line.get("expires_on")) != line.get("expires_on"):
                faults = [*faults, {"field": "expires_on", "why": _("another row says another day of the same lot")}]
            lots.append(line)
        refused += [{"row": number, **fault} for fault in faults]
        if len(lots) > MOST:
            refused.append({"row": number, "field": "", "why": _("more than {limit} rows at once").format(limit=MOST)})
            break
    return lots, refused


def book(actor: Any, realm: Any, sheet: Any, lots: list[dict[str, Any]]) -> int:
    """Book a judged sheet; the same sheet again books nothing."""
    act = Act(actor, realm, op_id=derived_id("resources.receipt", realm.pk, actor.account_id, sheet.sha256))
    return actions.receive_many(act, lots=lots, party="", reason=_("taken over from a sheet"))
