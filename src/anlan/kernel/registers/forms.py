"""Forms of registers, drawn from their fields; the mechanism judges the values, so that desk, phone and import judge alike."""
from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from .. import access
from ..forms import LocalDateTime
from ..models import Organisation, Region, RegionLink, RegionPath
from ..shell import localname, localname_is_english
from . import declare, queries, values
from .declare import Field, Register

# Up to here a reference is chosen from a list in the page; above it is looked up while typing.
SHORT_LIST = 300
FOUND = 30
KEY_MARK = " · "
# What the form opened with, in its page. With an underscore: a register may have a field called base.
SEEN = "_seen"
REGIONS = ("province", "city", "county", "town", "village", "grid")


# --- looking up rows other fields point at ---------------------------------------------------------------------------------


def _pointed(actor: Any, field: Field, write: str = "") -> Any:
    """The rows a reference of this actor may point at; with `write`, only regions where he holds that capability."""
    if field.kind == "region":
        rows = Region.objects.filter(valid_to=None, kind__in=REGIONS).order_by("name")
        reach = access.regions(actor, write) if write else access.ALL
        return rows if reach is access.ALL else rows.filter(pk__in=reach)
    if field.kind == "organisation":
        return _units(actor, write).order_by("name")
    if field.kind == "person":
        from ..contacts import CONTACTS

        return queries.scope(actor, CONTACTS).filter(ended_at=None).order_by("name")
    target = declare.get(field.ref)
    return queries.scope(actor, target).filter(ended_at=None).order_by(target.order, "pk")


def _units(actor: Any, write: str) -> Any:
    """Units there, and those above: a county's pump may be the province's. The neighbour's are not offered."""
    reach = access.regions(actor, write) if write else access.ALL
    if reach is access.ALL:
        return Organisation.objects.all()
    own = {grant.organisation_id for grant in access.grants(actor).get(write, ()) if grant.organisation_id}
    above = RegionPath.objects.filter(descendant_id__in=reach).values("ancestor_id")
    return Organisation.objects.filter(Q(region_id__in=reach) | Q(region_id__in=above) | Q(region=None) | Q(pk__in=own))


def _labels(field: Field, rows: list[Any]) -> list[tuple[str, str]]:
    """(key, label): what tells one row from another, its name and then its key; a town with its county before it."""
    if field.kind == "region":
        above = {
            link.child_id: localname(link.parent)
            for link in RegionLink.objects.filter(child__in=[row.pk for row in rows if row.kind in ("town", "village", "grid")], hierarchy="administrative").select_related("parent")
        }
        return [(str(row.pk), " ".join(filter(None, (above.get(row.pk, ""), localname(row))))) for row in rows]
    if field.kind in ("organisation", "person"):
        return [(str(row.pk), localname(row)) for row in rows]
    target = declare.get(field.ref)
    found = []
    for row in rows:
        name = str(getattr(row, target.title, "") or "")
        key = str(getattr(row, target.key[0], "") or "") if target.key else ""
        found.append((str(row.pk), f"{name}{KEY_MARK}{key}" if key and key != name else name))
    return found


def look_up(actor: Any, field: Field, text: str, write: str = "") -> list[tuple[str, str]]:
    """Up to 30 rows whose name or key begins or continues so: [(key, label)]."""
    rows = _pointed(actor, field, write)
    text = text.strip()[:60].replace("\x00", "")
    if text:
        if field.kind in ("region", "organisation", "person"):
            names = ["name"] + (["name_en"] if field.kind == "region" and localname_is_english() else [])
        else:
            target = declare.get(field.ref)
            names = [target.title, *target.key[:1]]
        found = Q()
        # A town is offered as "county town": its last word is its name.
        for part in text.split(KEY_MARK) if field.kind != "region" else text.split(" ")[-1:]:
            for name in names:
                found |= Q(**{f"{name}__icontains": part})
        rows = rows.filter(found)
    return _labels(field, list(rows[:FOUND]))


# --- widgets ---------------------------------------------------------------------------------------------------------------


class PointWidget(forms.Widget):
    """Longitude and latitude, typed, pressed on a map, or taken from the device."""

    template_name = "registers/_point.html"

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        lon, lat = value or ("", "")
        here = f"?at={lon},{lat}" if lon not in ("", None) and lat not in ("", None) else ""
        context["widget"] |= {"lon": "" if lon is None else lon, "lat": "" if lat is None else lat, "map": reverse("web:map_data") + here}
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        lon, lat = (data.get(f"{name}_{part}", "").strip() for part in ("lon", "lat"))
        return (lon, lat) if lon or lat else None

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}_lon" not in data

    def id_for_label(self, id_: str, index: Any = None) -> str:
        return f"{id_}_0"


class LookupWidget(forms.TextInput):
    """A field that is typed and completed from the server's answers."""

    template_name = "registers/_lookup.html"

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address = address

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["address"] = self.address
        return context


# --- fields ----------------------------------------------------------------------------------------------------------------


class Plain(forms.CharField):
    """Text as it was typed; the mechanism reads it."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return str(initial if initial is not None else "").replace("\r\n", "\n") != str(data or "").replace("\r\n", "\n")


class PointField(forms.Field):
    widget = PointWidget

    def clean(self, value: Any) -> Any:
        if value is None:
            if self.required:
                raise ValidationError(_("is missing"))
            return None
        try:
            lon, lat = (float(part) for part in value)
        except (TypeError, ValueError):
            raise ValidationError(_("Longitude and latitude are numbers in degrees, as 119.12345 and 28.12345."))
        if not (-180 <= lon <= 180 and -90 <= lat <= 90):
            raise ValidationError(_("Longitude lies between -180 and 180, latitude between -90 and 90."))
        return [lon, lat]

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return [round(float(part), 6) for part in initial or ()] != [round(float(part), 6) for part in data or ()]
        except (TypeError, ValueError):
            return True


class Json(forms.JSONField):
    """Structured text; nothing yet is an empty field, not the word null."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)


class LookupField(forms.CharField):
    """A reference chosen while typing; cleans to the row's key. Accepts the label, the key of the row, or its business key."""

    def __init__(self, actor: Any, declared: Field, address: str, write: str = "", **kwargs: Any) -> None:
        super().__init__(widget=LookupWidget(address), **kwargs)
        self.actor, self.declared, self.write = actor, declared, write

    def prepare_value(self, value: Any) -> Any:
        try:
            rows = list(_pointed(self.actor, self.declared).filter(pk=UUID(str(value))))
        except ValueError:
            return value
        return _labels(self.declared, rows)[0][1] if rows else ""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        found = [key for key, label in look_up(self.actor, self.declared, text, self.write) if text in (label, key, label.rpartition(KEY_MARK)[2])]
        if len(found) != 1:
            raise ValidationError(_("Choose one of the list: {text} is not in it.").format(text=text) if not found else _("Several are called so; choose one of the list."))
        return found[0]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return self.prepare_value(initial) != (data or "")


def choices(actor: Any, field: Field, write: str, *, kinds: tuple[str, ...] = ()) -> list[tuple[str, str]] | None:
    """The choices of a reference when they are few; None: look them up. `kinds`: only these kinds of regions."""
    pointed = _pointed(actor, field, write)
    if kinds and field.kind == "region":
        pointed = pointed.filter(kind__in=kinds)
    rows = list(pointed[: SHORT_LIST + 1])
    return None if len(rows) > SHORT_LIST else _labels(field, rows)


def form_field(actor: Any, field: Field, *, address: str = "", write: str = "", required: bool | None = None) -> forms.Field:
    """The form field for a declared one. `address`: where references are looked up; `write`: the capability that limits the regions to choose from."""
    need = bool(field.required) if required is None else required
    words: dict[str, Any] = {"label": field.title, "help_text": str(field.help or ""), "required": need and not field.show_when}
    attrs: dict[str, Any] = {"maxlength": field.length} if field.length else {}
    made: forms.Field
    if field.kind == "point":
        made = PointField(**words)
    elif field.many:
        made = forms.MultipleChoiceField(choices=field.options(), widget=forms.CheckboxSelectMultiple, **words)
    elif field.kind in ("code", "choice"):
        made = forms.ChoiceField(choices=[("", "—" if not need else _("choose")), *field.options()], **words)
    elif field.kind in ("ref", "region", "organisation", "person"):
        listed = choices(actor, field, write)
        if listed is None:
            made = LookupField(actor, field, address, write, **words)
        else:
            made = forms.ChoiceField(choices=[("", "—"), *listed], **words)
    elif field.kind == "bool":
        made = forms.BooleanField(**(words | {"required": False}))
    elif field.kind == "date":
        made = Plain(widget=forms.DateInput(attrs={"type": "date"}), **words)
    elif field.kind == "datetime":
        made = LocalDateTime(**words)
    elif field.kind == "json":
        made = Json(widget=forms.Textarea(attrs={"rows": 10, "spellcheck": "false", "class": "mono"}), **words)
    elif field.kind == "longtext":
        made = Plain(widget=forms.Textarea(attrs={"rows": 3, **attrs}), **words)
    else:
        kinds: dict[str, dict[str, str]] = {
            "integer": {"inputmode": "numeric"}, "decimal": {"inputmode": "decimal"}, "phone": {"type": "tel"}, "url": {"type": "url", "placeholder": "https://"},
        }
        made = Plain(widget=forms.TextInput(attrs={"autocomplete": "off", **attrs, **kinds.get(field.kind, {})}), **words)
    made.is_point = field.kind == "point"  # type: ignore[attr-defined]
    made.is_check = field.kind == "bool"  # type: ignore[attr-defined]
    made.unit = str(field.unit or "")  # type: ignore[attr-defined]
    made.show_when = field.show_when  # type: ignore[attr-defined]
    made.group = str(field.group or "")  # type: ignore[attr-defined]
    if field.personal:
        made.personal_words = _("Personal data: {purpose}.").format(purpose=field.personal.purpose) if field.personal.purpose else _("Personal data.")  # type: ignore[attr-defined]
    return made


# --- the form --------------------------------------------------------------------------------------------------------------


class RegisterForm(forms.Form):
    """Create or change one row. `values()` are what the person typed; `changes()` only what differs from what he saw."""

    def __init__(self, register: Register, actor: Any, data: Any = None, *, row: Any = None, seen: dict[str, Any] | None = None, only: list[str] | None = None, optional: bool = False) -> None:
        super().__init__(data)
        self.register, self.actor, self.row, self.seen = register, actor, row, seen or {}
        region = row.region_id if row is not None else access.ANYWHERE
        org = row.organisation_id if row is not None else None
        for field in register.all:
            if field.readonly or (only is not None and field.name not in only) or not register.may_field(actor, field, "write", region, org):
                continue
            self.fields[field.name] = form_field(actor, field, address=reverse("kernel:register_lookup", args=[register.name, field.name]), write=register.write, required=False if optional else None)
            self.fields[field.name].initial = self.seen[field.name] if field.name in self.seen else None if row is not None else field.default
            if row is not None and field.personal and field.name not in self.seen:
                # Who may write it but not read it leaves it empty to keep it.
                self.fields[field.name].required = False
                self.fields[field.name].widget.attrs["placeholder"] = _("covered; leave empty to keep it")

    @property
    def groups(self) -> list[dict[str, Any]]:
        """[{label, fields}] in the order of the declaration; where it lies comes under a heading of its own."""
        found: list[dict[str, Any]] = [{"label": "", "fields": []}]
        for field in self.visible_fields():
            group = field.field.group or (_("Unit and place") if field.name == "organisation" and not any(g["label"] for g in found) else "")  # type: ignore[attr-defined]
            if group and group != found[-1]["label"]:
                found.append({"label": group, "fields": []})
            found[-1]["fields"].append(field)
        return [group for group in found if group["fields"]]

    def values(self) -> dict[str, Any]:
        """Everything that was asked, JSON-able: empty as None."""
        return {name: _plain(self.cleaned_data.get(name)) for name in self.fields if self._asked(name)}

    def changes(self) -> dict[str, Any]:
        """What differs from what the person saw when the form was opened."""
        found = {}
        for name in self.changed_data:
            value = _plain(self.cleaned_data.get(name))
            if value is None and name not in self.seen and self.register.by_name[name].personal:
                continue
            if self._asked(name):
                found[name] = value
        return found

    def _asked(self, name: str) -> bool:
        field = self.register.by_name[name]
        return field.asked({key: _plain(value) for key, value in self.cleaned_data.items()}) if field.show_when else True

    @property
    def base(self) -> str:
        """What the person saw, for the hidden field: a later save is compared with it."""
        return json.dumps(self.seen, ensure_ascii=False, default=str)


def _plain(value: Any) -> Any:
    if value in ("", None):
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value


def given_base(text: str) -> dict[str, Any]:
    """The hidden field read back; nonsense is as if nothing had been seen."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class BulkForm(RegisterForm):
    """Values to set in many rows at once: only the ticked fields count."""

    prefix = "to"  # a register's field may be called row, set or all, as the page's own are

    def __init__(self, register: Register, actor: Any, data: Any = None, *, ticked: list[str] | None = None) -> None:
        # A key or title would make them the same row; a position would put them on one spot.
        names = [field.name for field in register.all if field.name not in (*register.key, register.title) and field.kind not in ("point", "longtext") and not field.personal]
        super().__init__(register, actor, data, only=names, optional=True)
        self.ticked = [name for name in ticked or [] if name in self.fields]
        for field in self.fields.values():
            field.show_when = ""  # type: ignore[attr-defined]

    def chosen(self) -> dict[str, Any]:
        return {name: _plain(self.cleaned_data.get(name)) for name in self.ticked}


def seen(register: Register, actor: Any, row: Any) -> dict[str, Any]:
    """{field: plain value} of what this person may read and write: what the form opens with, and what a later save is compared with."""
    may = queries.open_fields(actor, register, row)
    return {
        one.name: values.plain(values.of(one, row)) for one in register.all
        if one.name in may and not one.readonly and register.may_field(actor, one, "write", row.region_id, row.organisation_id)
    }
