"""The ledger's forms. They parse; the actions judge."""
from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel import access, codes
from anlan.kernel.forms import LocalDateTime

from .models import Item, Movement, Stock, Warehouse

LINES = 6
DAY = {"type": "date"}
# kind → (what the button says, capability)
MOVES: dict[str, tuple[Any, str]] = {
    Movement.RECEIVE: (_("Receive supplies"), "resources.stock"), Movement.ISSUE: (_("Issue supplies"), "resources.stock"), Movement.TRANSFER: (_("Move supplies"), "resources.stock"),
    Movement.RETURN: (_("Take supplies back"), "resources.stock"), Movement.ROTATE: (_("Rotate supplies out"), "resources.stock"), Movement.LOSS: (_("Write supplies off"), "resources.write_off"),
    "reserve": (_("Reserve supplies"), "resources.stock"),
}


def places_of(actor: Any, capability: str) -> list[Warehouse]:
    """Warehouses over which this may be done."""
    rows = Warehouse.objects.seen_by(actor).filter(ended_at=None).order_by("name")
    return [row for row in rows if access.may(actor, capability, row.region_id, row.organisation_id)]


class MoveForm(forms.Form):
    """A movement of up to six lines; the item's lines follow the head."""

    warehouse = forms.ChoiceField(label=_("Warehouse"))
    to = forms.ChoiceField(label=_("To warehouse"), required=False)
    party = forms.CharField(label=_("From or to whom"), max_length=160, required=False)
    voucher = forms.CharField(label=_("Voucher"), max_length=60, required=False)
    until = LocalDateTime(label=_("Kept until"), required=False)
    reason = forms.CharField(label=_("Reason"), max_length=300, required=False)

    def __init__(self, kind: str, actor: Any, *args: Any, realm: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.kind, places = kind, [(str(row.pk), row.name) for row in places_of(actor, MOVES[kind][1])]
        self.fields["warehouse"].choices = [("", ""), *places]  # type: ignore[attr-defined]
        self.fields["to"].choices = [("", ""), *places]  # type: ignore[attr-defined]
        asked = {"warehouse", "voucher", "reason"} | ({"to"} if kind == Movement.TRANSFER else set()) | ({"until"} if kind == "reserve" else set())
        asked |= {"party"} if kind not in (Movement.TRANSFER, Movement.LOSS) else set()
        asked -= {"voucher"} if kind == "reserve" else set()
        for name in set(self.fields) - asked:
            del self.fields[name]
        for name, wanted in (("to", True), ("party", kind in (Movement.ISSUE, Movement.ROTATE, "reserve")), ("reason", kind == Movement.LOSS)):
            if name in self.fields:
                self.fields[name].required = wanted
        given = self.data or {}
        dated = kind == Movement.RECEIVE
        self.lines = [LineForm(given or None, prefix=f"l{n}", dated=dated, initial=(self.initial.get("line") or {}) if not n else {}) for n in range(LINES)]

    def is_valid(self) -> bool:
        return super().is_valid() & all([line.is_valid() for line in self.lines])

    def given(self) -> list[dict[str, Any]]:
        return [line.values() for line in self.lines if line.cleaned_data.get("item")]

    def wrong(self, fields: list[dict[str, str]]) -> None:
        """Put a fault of line n beside it."""
        filled = [line for line in self.lines if line.cleaned_data.get("item")]
        for fault in fields:
            parts = fault["field"].split(".")
            if parts[0] == "lines" and int(parts[1]) < len(filled):
                filled[int(parts[1])].add_error(parts[2] if parts[2] in filled[int(parts[1])].fields else None, fault["why"])


class LineForm(forms.Form):
    """One line: what, how many of which unit, which lot."""

    item = forms.CharField(label=pgettext_lazy("supplies", "Item"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "items", "autocomplete": "off", "size": 28}))
    quantity = forms.CharField(label=pgettext_lazy("supplies", "Quantity"), required=False, max_length=20, widget=forms.TextInput(attrs={"inputmode": "decimal", "class": "num", "size": 8}))
    unit = forms.ChoiceField(label=_("Unit"), required=False)
    lot = forms.CharField(label=_("Lot"), required=False, max_length=60)
    made_on = forms.DateField(label=_("Made on"), required=False, widget=forms.DateInput(attrs=DAY))
    expires_on = forms.DateField(label=_("Expires on"), required=False, widget=forms.DateInput(attrs=DAY))

    def __init__(self, *args: Any, dated: bool, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["unit"].choices = [("", _("the item's own")), *codes.choices("supply_unit")]  # type: ignore[attr-defined]
        if not dated:
            del self.fields["made_on"], self.fields["expires_on"]

    def clean_item(self) -> str:
        """By name and code as the list offers it, by code, or by a name only one item has."""
        text = self.cleaned_data["item"].strip()
        if not text:
            return ""
        code = text.rpartition(" · ")[2]
        rows = list(Item.plain.filter(ended_at=None, code=code)[:1]) or list(Item.plain.filter(ended_at=None, name=text)[:2])
        if len(rows) != 1:
            raise forms.ValidationError(_("There is no such item in the catalogue."))
        return str(rows[0].pk)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        if found.get("quantity") and not found.get("item") and "item" not in self.errors:
            self.add_error("item", _("is missing"))
        if found.get("item") and not found.get("quantity"):
            self.add_error("quantity", _("is missing"))
        return found

    def values(self) -> dict[str, Any]:
        return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in self.cleaned_data.items() if value not in (None, "")}


class StockTakeForm(forms.Form):
    warehouse = forms.ChoiceField(label=_("Warehouse"))
    due_on = forms.DateField(label=_("To be counted by"), widget=forms.DateInput(attrs=DAY))

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["warehouse"].choices = [("", ""), *((str(row.pk), row.name) for row in places_of(actor, "resources.stock"))]  # type: ignore[attr-defined]


def items_offered(realm: Any, warehouse: Any = None) -> list[str]:
    """What a line's list offers: "name · code"; of one warehouse only what lies there."""
    rows = Item.plain.filter(ended_at=None)
    if warehouse:
        rows = rows.filter(pk__in=Stock.plain.filter(realm_id=realm.pk, warehouse=warehouse, quantity__gt=0).values("item"))
    return [f"{name} · {code}" for name, code in rows.order_by("name").values_list("name", "code")[:2000]]
