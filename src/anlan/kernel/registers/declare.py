"""Declaring a register (台账): its fields, keys, rights and freshness. Everything else follows from the declaration."""
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from .. import access, codes, files, search, subjects
from ..errors import Kind
from ..models.registers import Listed, add_constraints, add_indexes, short

UNKNOWN_REGISTER = Kind("kernel.unknown_register", 404, _("There is no register {name}."))

# How a field is written, read and shown; `FORMS` on desk and phone and the spreadsheet reader know these and no others.
KINDS = (
    "text", "longtext", "integer", "decimal", "date", "datetime", "bool", "code", "choice", "ref", "region", "organisation", "person", "point", "phone",
    "url", "json",
)
MASKS = ("all", "phone", "name", "id", "email")


@dataclass(frozen=True)
class Personal:
    """What the law asks of a personal field: its class, purpose, legal basis, retention in days (None: as long as the row), mask.

    `open`: capability whose holders see it open on every list and page (a number to be dialled); each such list is noted. Everybody
    else who may read the field, and everybody where none is named, opens one entry at a time, for a purpose that is kept.
    """

    level: str = "personal"  # or "sensitive"
    purpose: Any = ""
    basis: str = ""
    retention_days: int | None = None
    mask: str = "all"
    open: str = ""


@dataclass(frozen=True)
class Field:
    """One field of a register, or of the form of a step. What is left out is taken from the model's field of that name.

    `read`/`write`: capabilities needed for this field, in the row's region; empty: those of the register.
    `show_when="kind=fire|flood"`: asked only then. `synonyms`: further headers an imported sheet may call it.
    `of`: rows → {key: text}, for what is no column but worked out of other tables for the rows shown; it is read only.
    """

    name: str
    label: Any = ""
    kind: str = ""
    required: bool | None = None
    column: bool = False  # shown in the list unless the reader chooses otherwise
    search: bool = False
    filter: bool = False
    sort: bool = False
    codes: str = ""
    choices: tuple = ()  # ((value, label), …)
    ref: str = ""
    many: bool = False  # a list of codes or choices
    unit: Any = ""
    min: float | None = None
    max: float | None = None
    length: int | None = None
    places: int | None = None  # decimal places
    pattern: str = ""
    personal: Personal | None = None
    read: str = ""
    write: str = ""
    help: Any = ""
    show_when: str = ""
    default: Any = None
    readonly: bool = False
    synonyms: tuple[str, ...] = ()
    group: Any = ""  # heading above it on form and detail page; said once, it holds for the fields that follow
    of: Callable[[list[Any]], dict[Any, str]] | None = None

    def bind(self, model: Any) -> Field:
        """This field with what the model says about it."""
        if self.name == "point":
            return replace(self, kind="point", label=self.label or _("Position"), required=bool(self.required))
        if self.of is not None:
            return replace(self, kind="text", readonly=True, required=False)
        try:
            column = model._meta.get_field(self.name)
        except FieldDoesNotExist:
            return self
        base = column.base_field if isinstance(column, ArrayField) else column
        found: dict[str, Any] = {"label": self.label or column.verbose_name, "help": self.help or getattr(column, "help_text", "")}
        if not self.kind:
            found["kind"] = self._kind(base)
        if not self.choices and base.choices:
            found["choices"] = tuple(base.choices)  # type: ignore[arg-type]
        if self.length is None and isinstance(base, models.CharField):
            found["length"] = base.max_length
        if self.places is None and isinstance(base, models.DecimalField):
            found["places"] = base.decimal_places
        if self.min is None and isinstance(base, (models.PositiveIntegerField, models.PositiveSmallIntegerField, models.PositiveBigIntegerField)):
            found["min"] = 0
        if self.max is None and isinstance(base, (models.SmallIntegerField, models.PositiveSmallIntegerField)):
            found["max"] = 32767
        elif self.max is None and isinstance(base, models.IntegerField) and not isinstance(base, models.BigIntegerField):
            found["max"] = 2147483647
        if isinstance(column, (ArrayField, models.JSONField)) and (self.codes or self.choices):
            found["many"] = True
        if self.required is None:
            found["required"] = not (column.blank or column.null or column.has_default()) and not isinstance(base, models.BooleanField)
        if self.default is None and column.has_default() and not callable(column.default):
            found["default"] = column.default
        return replace(self, **found)

    def _kind(self, column: Any) -> str:
        if self.codes:
            return "code"
        if self.ref:
            return "ref"
        if self.choices or column.choices:
            return "choice"
        if isinstance(column, models.ForeignKey):
            return {"region": "region", "organisation": "organisation", "person": "person"}.get(column.related_model._meta.model_name, "ref")
        for kind, classes in (
            ("bool", (models.BooleanField,)), ("datetime", (models.DateTimeField,)), ("date", (models.DateField,)), ("url", (models.URLField,)),
            ("longtext", (models.TextField,)), ("json", (models.JSONField,)), ("decimal", (models.DecimalField, models.FloatField)), ("integer", (models.IntegerField,)),
        ):
            if isinstance(column, classes):
                return kind
        return "text"

    @property
    def title(self) -> str:
        return str(self.label or self.name)

    def attribute(self, model: Any) -> str:
        """The row's attribute that holds the plain value (a key for a reference)."""
        return model._meta.get_field(self.name).attname

    def options(self) -> list[tuple[str, str]]:
        """(value, text in the reader's language) of a code or choice field."""
        if self.codes:
            return codes.choices(self.codes)
        return [(str(value), str(text)) for value, text in self.choices]

    def asked(self, values: dict[str, Any]) -> bool:
        """Whether `show_when` lets this field be asked, given the others' values."""
        if not self.show_when:
            return True
        name, _sep, wanted = self.show_when.partition("=")
        have = values.get(name)
        held = {str(one) for one in have} if isinstance(have, (list, tuple)) else {"" if have is None else str(have)}
        return bool(held & set(wanted.split("|")))

    def as_json(self) -> dict[str, Any]:
        """What a form needs to draw this field, on desk or phone."""
        found = {
            "name": self.name, "label": self.title, "kind": self.kind or "text", "required": bool(self.required), "help": str(self.help or ""),
            "unit": str(self.unit), "min": self.min, "max": self.max, "length": self.length, "places": self.places, "pattern": self.pattern,
            "many": self.many, "ref": self.ref, "codes": self.codes, "show_when": self.show_when, "default": self.default, "personal": self.personal is not None,
            "readonly": self.readonly, "column": self.column, "filter": self.filter,
        }
        if self.codes or self.choices:
            found["choices"] = [list(pair) for pair in self.options()]
        return {key: value for key, value in found.items() if value not in (None, "", False) or key in ("name", "label", "kind", "required")}


@dataclass(frozen=True)
class Register:
    """A register: a model of rows (`RegisterRow`, or the cases of a loop), and what the mechanism must know of it.

    `read`/`write`/`remove`/`verify` are capabilities, held where the row lies or over its unit. `key`: the fields that tell two
    rows apart; unique among listed rows, and what an import is repeatable by. `fresh`: how long a verification holds.
    `title`/`note`: the fields that name a row in lists, links and on the map. `sort`: the list's usual order (default: `title`).
    `panels`: callables (request, row) → (title, template, context) for the detail page.

    What few registers need: `unique=False`: two rows may bear the same key, and an import refuses a line that fits both. `own`: the
    column with the natural person an entry speaks of; he reads it whole and may say it is right. `find(actor, word)`: further rows a
    word finds. `of_title`: columns worked out from the title, to sort by. `before(act, row, op)`: what must happen in the same
    transaction before a row is saved (create, change, end, restore); it may change the columns `before_writes`. `imported=False`: entries
    come by hand only, because `before` must see each. `OPEN_WITHOUT_REGION` on the model: what lies nowhere is every reader's.
    """

    name: str
    model: Any
    label: Any
    one: Any
    read: str
    write: str
    fields: tuple[Field, ...]
    remove: str = ""
    verify: str = ""
    key: tuple[str, ...] = ()
    fresh: timedelta | tuple[str, str] | None = None  # or the code list and code that say how many days
    title: str = "name"
    note: tuple[str, ...] = ()
    sort: str = ""
    icon: str = "list"
    subject: str = ""
    page: str = ""
    panels: tuple[Callable, ...] = ()
    tabs: tuple[tuple[Any, str, str], ...] = ()  # (label, url name, icon) of further pages of the room, beside list and map
    steps_only: bool = False  # a loop's cases: changed by its steps, never by a form
    check: Callable[[dict[str, Any]], list[dict[str, str]]] | None = None  # values → [{field, why}]: rules over several fields
    home: str = ""  # url name of its list, where it has an address of its own
    unique: bool = True
    placed: bool = True  # False: entries have no position of their own and lie where their unit lies
    own: str = ""
    find: Callable[[Any, str], models.Q | None] | None = None
    of_title: tuple[tuple[str, Callable[[str], Any]], ...] = ()
    before: Callable[[Any, Any, str], None] | None = None
    before_writes: tuple[str, ...] = ()
    imported: bool = True

    @cached_property
    def all(self) -> tuple[Field, ...]:
        """The declared fields as the model completes them; unit, region and position come at the end unless declared."""
        bound = [field.bind(self.model) for field in self.fields]
        have = {field.name for field in bound}
        for extra in (Field("organisation", filter=True, synonyms=("所属单位", "主管单位", "单位")), Field("region", filter=True, synonyms=("所在区域", "行政区划", "区域", "地区", "县区", "乡镇", "辖区")), Field("point")):
            if extra.name not in have and (self.placed or extra.name != "point"):
                bound.append(extra.bind(self.model))
        return tuple(bound)

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.all}

    @cached_property
    def personal(self) -> tuple[Field, ...]:
        return tuple(field for field in self.all if field.personal)

    @property
    def kind(self) -> str:
        """The subject kind of its rows: `team:<uuid>`."""
        return self.subject or self.model._meta.model_name

    @property
    def good_for(self) -> timedelta | None:
        """How long a verification holds."""
        if isinstance(self.fresh, tuple):
            return timedelta(days=int(codes.data(*self.fresh)["value"]))
        return self.fresh

    @property
    def order(self) -> str:
        return self.sort or self.title

    @property
    def sorts(self) -> tuple[str, ...]:
        """Names a list can be sorted by: those with an index behind them."""
        first = [name for name in self.key[:1] if self.by_name[name].kind not in ("ref", "region", "organisation", "person")]
        found = [self.order.lstrip("-"), self.title, *first, *(f.name for f in self.all if f.sort), "verified_at"]
        return tuple(dict.fromkeys(name for name in found if name in self.by_name or name in self.columns))

    @cached_property
    def columns(self) -> set[str]:
        """Plain columns of the model."""
        return {column.name for column in self.model._meta.concrete_fields}

    def capability(self, what: str) -> str:
        return {"read": self.read, "write": self.write, "remove": self.remove or self.write, "verify": self.verify or self.write}[what]

    def rows(self) -> Any:
        """Every row, unscoped: inside the mechanism only."""
        return getattr(self.model, "plain", self.model.objects).all()

    def is_own(self, actor: Any, row: Any) -> bool:
        """Whether the entry speaks of this very person."""
        return bool(self.own) and actor.person_id is not None and getattr(row, self.own) == actor.person_id

    def stands_open(self, actor: Any, field: Field, row: Any) -> bool:
        """Whether a personal field of this row is shown open on lists and pages to this reader."""
        return self.is_own(actor, row) or bool(field.personal and field.personal.open) and access.may(actor, field.personal.open, row.region_id, row.organisation_id)  # type: ignore[union-attr]

    def may_field(self, actor: Any, field: Field, way: str, region: Any = access.ANYWHERE, org: Any = None) -> bool:
        """Whether the actor may read or write this field of a row lying there. What a register holds without more, its readers read."""
        special = field.read if way == "read" else field.write
        return access.may(actor, special or self.capability(way), region, org)

    def as_json(self, actor: Any = None) -> dict[str, Any]:
        """The declaration for a program: forms on the phone, clients of the API. With an actor, what he may do anywhere."""
        fields = []
        for field in self.all:
            entry = field.as_json()
            if actor is not None:
                if not self.may_field(actor, field, "read") and not field.personal:
                    continue
                if self.steps_only or not self.may_field(actor, field, "write"):
                    entry["readonly"] = True
            fields.append(entry)
        found = {
            "name": self.name, "label": str(self.label), "one": str(self.one), "icon": self.icon, "subject": self.kind, "key": list(self.key),
            "title": self.title, "note": list(self.note), "fresh_days": self.good_for.days if self.good_for else None, "sorts": list(self.sorts), "fields": fields,
        }
        if actor is not None:
            found["may"] = {what: access.may(actor, self.capability(what)) for what in ("read", "write", "remove", "verify")}
        return found


REGISTERS: dict[str, Register] = {}


def get(name: str) -> Register:
    """The register of that name; kernel.unknown_register."""
    found = REGISTERS.get(name)
    if found is None:
        raise UNKNOWN_REGISTER(name=name[:60])
    return found


def of(row: Any) -> Register | None:
    """The register a row belongs to."""
    return next((one for one in REGISTERS.values() if one.model is type(row)), None)


def register(declared: Register) -> Register:
    """Make a register known: its subject kind, its place in the search, its scope, and the indexes of its table."""
    if declared.name in REGISTERS:
        raise RuntimeError(f"register {declared.name} is declared twice")
    REGISTERS[declared.name] = declared
    model = declared.model
    model.SCOPE = declared.read
    label = model._meta.label
    if declared.kind not in subjects.KINDS:
        subjects.register(declared.kind, label, declared.page or (lambda key: reverse("kernel:register_row", args=[declared.name, key])), declared.one)
    from . import queries

    files.readable(declared.kind, lambda actor, realm, row: queries.may_read(actor, declared, row, realm))
    if declared.kind not in search.KINDS:
        search.register(declared.kind, label, lambda row: _found(declared, row), capability=declared.read)
    _indexes(declared)
    return declared


def _found(declared: Register, row: Any) -> tuple[str, str, str]:
    """Title, note and further words of a row for the search over everything."""
    from .values import text

    def words(name: str) -> str:
        field = declared.by_name.get(name)
        return text(field, row) if field else str(getattr(row, name, "") or "")

    return words(declared.title), " ".join(filter(None, map(words, declared.note))), " ".join(words(field.name) for field in declared.all if field.search)


def _indexes(declared: Register) -> None:
    """An index behind every promise of the list: the key, each filter, each order, the map."""
    model = declared.model
    if not issubclass(model, Listed):
        return
    table, listed = model._meta.db_table, models.Q(ended_at=None)
    here = {name: field for name, field in declared.by_name.items() if name in declared.columns}
    plain = [name for name, field in here.items() if field.filter and not field.many]
    order = declared.order.lstrip("-")
    indexes: list[models.Index] = [
        models.Index(fields=["cell"], include=["region", *(["verified_at"] if "verified_at" in declared.columns else []), *(name for name in plain if name != "region")][:6], condition=listed & models.Q(cell__isnull=False), name=short(table, "map")),
    ]
    for name in dict.fromkeys([*plain, "organisation", "region"]):
        indexes.append(models.Index(fields=list(dict.fromkeys([name, order, "id"])), condition=listed, name=short(table, f"by_{name}")))
    for name in (one for one in declared.sorts if one != "verified_at"):
        indexes.append(models.Index(fields=list(dict.fromkeys([name, "id"])), condition=listed, name=short(table, f"in_{name}")))
    for name in declared.sorts:
        if model._meta.get_field(name).null:  # downwards, what is empty comes last all the same
            indexes.append(models.Index(models.F(name).desc(nulls_last=True), models.F("id").desc(), condition=listed, name=short(table, f"down_{name}")))
    for name, field in here.items():
        if field.filter and field.many:
            from django.contrib.postgres.indexes import GinIndex

            indexes.append(GinIndex(fields=[name], name=short(table, f"has_{name}")))
    if "verified_at" in declared.columns:
        indexes.append(models.Index(fields=["verified_at", "id"], condition=listed, name=short(table, "verified")))
    add_indexes(model, *indexes)
    if declared.key and declared.unique:
        add_constraints(model, models.UniqueConstraint(fields=list(declared.key), condition=listed, name=short(table, "key")))


# --- lint --------------------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def field_faults(field: Field, model: Any = None, names: set[str] | None = None) -> list[str]:
    """What is wrong with the declaration of one field; for registers and for the forms of steps. `names`: its neighbours."""
    faults = []
    if field.kind and field.kind not in KINDS:
        faults.append(f"kind {field.kind!r} is none of {', '.join(KINDS)}")
    if field.codes and field.codes not in codes.shipped():
        faults.append(f"code list {field.codes!r} is not shipped")
    if field.ref and field.ref not in REGISTERS:
        faults.append(f"refers to the register {field.ref!r}, which nobody declares")
    if field.kind == "ref" and not field.ref:
        faults.append("a reference must say to which register (ref=…)")
    if field.kind == "choice" and not field.choices:
        faults.append("a choice without choices")
    for capability in filter(None, (field.read, field.write, field.personal.open if field.personal else "")):
        if capability not in access.CAPABILITIES:
            faults.append(f"capability {capability!r} is not declared")
    if field.personal:
        if field.personal.mask not in MASKS or field.personal.level not in ("personal", "sensitive"):
            faults.append(f"personal: mask is one of {', '.join(MASKS)}, level personal or sensitive")
        if not (field.personal.purpose and field.personal.basis):
            faults.append("a personal field must state its purpose and legal basis")
    if (field.personal or field.read) and (field.search or field.filter or field.sort):
        faults.append("a field not all readers see cannot be searched, filtered or sorted by: the answer would tell it")
    if field.show_when and names is not None and field.show_when.partition("=")[0] not in names:
        faults.append(f"show_when speaks of {field.show_when.partition('=')[0]!r}, which is no field")
    if field.pattern:
        try:
            re.compile(field.pattern)
        except re.error as error:
            faults.append(f"pattern: {error}")
    if field.of is not None and (field.search or field.filter or field.sort):
        faults.append("what is worked out has no column to be searched, filtered or sorted by")
    if model is not None and field.name != "point" and field.of is None:
        try:
            column = model._meta.get_field(field.name)
            if field.many and not isinstance(column, (ArrayField, models.JSONField)):
                faults.append("many=True needs an ArrayField or JSONField")
        except FieldDoesNotExist:
            faults.append(f"{model.__name__} has no field {field.name!r}")
    return faults


def lint(declared: Register) -> list[str]:
    """What is wrong with a declaration, each fault a sentence; empty when it is sound."""
    faults = [] if _NAME.fullmatch(declared.name) else [f"the name {declared.name!r} is not room.thing"]
    if not issubclass(declared.model, Listed):
        faults.append(f"{declared.model.__name__} is no RegisterRow")
        return faults
    names = [field.name for field in declared.all]
    faults += [f"{name}: declared twice" for name in {one for one in names if names.count(one) > 1}]
    for field in declared.all:
        faults += [f"{field.name}: {fault}" for fault in field_faults(field, declared.model, set(names))]
    for capability in {declared.capability(what) for what in ("read", "write", "remove", "verify")}:
        if capability not in access.CAPABILITIES:
            faults.append(f"capability {capability!r} is not declared")
    for name in (*declared.key, declared.title, *declared.note):
        if name not in declared.by_name and name not in declared.columns:
            faults.append(f"{name}: named as key, title or note, but it is no field")
    for name in declared.key:
        field = declared.by_name.get(name)
        if field and (field.personal or field.read or field.many or not field.required):
            faults.append(f"{name}: a key field is required, single and open to every reader")
    for name in (declared.title, *declared.note):
        field = declared.by_name.get(name)
        if field and (field.personal or field.read):
            faults.append(f"{name}: the title and note are shown to every reader, also on the map; they cannot be personal")
    if declared.order.lstrip("-") not in declared.columns:
        faults.append(f"sort: {declared.order!r} is no column")
    return faults


@checks.register()
def registers_are_sound(**_: Any) -> list[checks.Error]:
    """A wrong declaration is said at start."""
    return [checks.Error(f"register {one.name}: {fault}", id="kernel.E010") for one in REGISTERS.values() for fault in lint(one)]
