"""Values of fields: what people type, paste and upload becomes what the table holds, and the other way round.

One reader for desk, phone, API and spreadsheet, so that 2026年7月20日 and １２ mean the same everywhere.
"""
from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from .. import clock, codes
from ..models import Organisation, Person, Region, RegionCode
from ..models.registers import CELL_RESOLUTION
from .declare import Field, Personal, Register
from .declare import get as register_of

YES = {"true", "1", "yes", "y", "on", "是", "有", "对", "√", "✓", "t"}
NO = {"false", "0", "no", "n", "off", "否", "无", "没有", "×", "f"}
REFERENCES = ("ref", "region", "organisation", "person")
_DATE = re.compile(r"(\d{4})\s*(?:[-/.]|年)\s*(\d{1,2})\s*(?:[-/.]|月)\s*(\d{1,2})\s*日?(?:\s*T?\s*(.*))?")
_DAY = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(r"(\d{1,2})(?:[::时点])(\d{1,2})(?:分|(?::(\d{1,2})(?:\.\d+)?)?)\s*秒?(Z|[+-]\d{2}:?\d{2})?")
_PHONE = re.compile(r"(?=(?:\D*\d){3})[+()\-\s\d/;,、转xX#]{3,}")
_URL = re.compile(r"https?://[^\s<>\"']+", re.I)
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
# Excel counts days from here (its 1900 was a leap year, so serials below 61 are off by one; no register is that old).
_EXCEL = date(1899, 12, 30)


class Refused(ValueError):
    """A value that cannot be taken; the text says why and what is wanted."""


def folded(value: str) -> str:
    """Full-width letters, digits and signs as their plain forms; outer blanks gone."""
    return value if value.isascii() and value == value.strip() else unicodedata.normalize("NFKC", value).strip()


def clean_text(value: Any) -> str:
    """A cell or entry as text: whole numbers without `.0`, no control characters."""
    if isinstance(value, str):
        text = value
    elif value is None:
        return ""
    elif isinstance(value, bool):
        return "1" if value else "0"
    elif isinstance(value, float):
        text = str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    elif isinstance(value, datetime):
        text = value.isoformat(sep=" ", timespec="minutes") if value.time() != datetime.min.time() else value.date().isoformat()
    else:
        text = str(value)
    if text.isprintable():
        return text.strip()
    return "".join(char for char in text.replace("\r\n", "\n").replace("\r", "\n") if char == "\n" or char == "\t" or char >= " ").strip()


class Lookup:
    """Finds what a text means in a reference or code field; keeps what it found, for the length of a form or an import."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def option(self, field: Field, text: str) -> str | None:
        """The code of a code or choice field: by code, or by its Chinese or English name."""
        def make() -> dict[str, str]:
            found: dict[str, str] = {}
            if field.codes:
                for code, entry in codes.entries(field.codes).items():
                    for word in (entry["name_zh"], entry["name"], *(entry.get("data") or {}).get("synonyms", ())):
                        found.setdefault(folded(str(word)).casefold(), code)
                found.update({folded(code).casefold(): code for code in codes.entries(field.codes)})
            else:
                for value, label in field.choices:
                    for language in ("zh-hans", "en"):
                        with translation.override(language):
                            found.setdefault(folded(str(label)).casefold(), str(value))
                found.update({folded(str(value)).casefold(): str(value) for value, _label in field.choices})
            return found

        return self._once(("option", field.codes or field.choices), make).get(folded(text).casefold())

    def _index(self, pairs: Iterable[tuple[Any, UUID]]) -> dict[str, set[UUID]]:
        found: dict[str, set[UUID]] = {}
        for word, key in pairs:
            if word:
                found.setdefault(folded(str(word)).casefold(), set()).add(key)
        return found

    def reference(self, field: Field, text: str) -> UUID:
        """The key of a region (key, code, name), unit or person (key, name), or row of a register (key, natural key). Refused."""
        try:
            key = UUID(text)
        except ValueError:
            key = None
        index = self._once((field.kind, field.ref), lambda: self._make(field))
        if key is not None:
            keys = self._once((field.kind, field.ref, "keys"), lambda: set().union(*index.values()) if index else set())
            if key not in keys:
                raise Refused(_("there is nothing of this key"))
            return key
        found = index.get(folded(text).casefold(), set())
        if not found and field.kind == "region":
            # A path (甲县/甲一镇, 甲县 甲一镇): the last name, below the one before.
            found = self._path(index, text)
        if not found:
            raise Refused(_("“{value}” is not known here").format(value=text[:40]))
        if len(found) > 1:
            raise Refused(_("“{value}” means several; give its code or key").format(value=text[:40]))
        return next(iter(found))

    def _make(self, field: Field) -> dict[str, set[UUID]]:
        if field.kind == "region":
            pairs = [(name, key) for name, key in Region.objects.filter(valid_to=None).values_list("name", "pk")]
            pairs += [(name, key) for name, key in Region.objects.filter(valid_to=None).exclude(name_en="").values_list("name_en", "pk")]
            pairs += list(RegionCode.objects.filter(valid_to=None).values_list("code", "region_id"))
            return self._index(pairs)
        if field.kind == "organisation":
            return self._index([pair for name, en, key in Organisation.objects.values_list("name", "name_en", "pk") for pair in ((name, key), (en, key))])
        if field.kind == "person":
            return self._index(Person.objects.filter(active=True).values_list("name", "pk"))
        other = register_of(field.ref)
        names = list(other.key or (other.title,))
        pairs = []
        for key, title, *parts in other.rows().filter(ended_at=None).values_list("pk", other.title, *names):
            pairs += [(" ".join(str(part) for part in parts), key), (title, key)]
        return self._index(pairs)

    def _path(self, index: dict[str, set[UUID]], text: str) -> set[UUID]:
        from ..models import RegionPath

        parts = [part for part in re.split(r"[/、>\s]+", folded(text)) if part]
        if len(parts) < 2:
            return set()
        found = index.get(parts[-1].casefold(), set())
        for part in parts[:-1]:
            above = index.get(part.casefold(), set())
            found = set(RegionPath.objects.filter(descendant_id__in=found, ancestor_id__in=above).values_list("descendant_id", flat=True))
        return found


def empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or (isinstance(value, str) and not value.strip())


def blank(field: Field, model: Any = None) -> Any:
    """What an empty entry becomes."""
    if field.many:
        return []
    if field.kind in ("text", "longtext", "code", "choice", "phone", "url", ""):
        return ""
    if field.kind == "json":
        return {}
    if field.kind == "bool" and (model is None or not model._meta.get_field(field.name).null):
        return False
    return None


def clean(field: Field, raw: Any, look: Lookup) -> Any:
    """The value the table holds. Raises Refused. An empty entry is `blank`, whether it may be is not asked here."""
    if empty(raw):
        return blank(field)
    if field.many:
        parts = raw if isinstance(raw, (list, tuple)) else [part for part in re.split(r"[、,，;；/|\n]+", str(raw)) if part.strip()]
        found = [_option(field, part, look) for part in parts if not empty(part)]
        return list(dict.fromkeys(found))
    if field.personal and "*" in str(raw):
        raise Refused(_("is a masked value"))
    value = _CLEAN[field.kind or "text"](field, raw, look)
    if isinstance(value, str):
        if field.length and len(value) > field.length:
            raise Refused(_("longer than {limit} characters").format(limit=field.length))
        if field.pattern and not re.fullmatch(field.pattern, value) and not re.fullmatch(field.pattern, value := folded(value)):
            raise Refused(_("does not have the form asked for"))
    elif isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        if field.min is not None and value < field.min:
            raise Refused(_("less than {limit}").format(limit=_number(field.min)))
        if field.max is not None and value > field.max:
            raise Refused(_("more than {limit}").format(limit=_number(field.max)))
    return value


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


def _text(field: Field, raw: Any, look: Lookup) -> str:
    if isinstance(raw, (dict, list, tuple)):
        raise Refused(_("a text is wanted"))
    text = clean_text(raw)
    return " ".join(text.split()) if "\n" in text or "\t" in text else text


def _longtext(field: Field, raw: Any, look: Lookup) -> str:
    if isinstance(raw, (dict, list, tuple)):
        raise Refused(_("a text is wanted"))
    return clean_text(raw)


def _digits(field: Field, raw: Any) -> str:
    """The digits of a number as typed: full-width, grouped by thousands, followed by the field's unit in either language."""
    text = folded(clean_text(raw)).replace(" ", "")
    if not field.unit or text[-1:].isdigit():
        return text.replace(",", "") if _GROUPED.fullmatch(text) else text
    for language in ("zh-hans", "en"):
        with translation.override(language):
            unit = folded(str(field.unit))
        if unit and text.endswith(unit):
            text = text[: -len(unit)]
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


def _integer(field: Field, raw: Any, look: Lookup) -> int:
    if isinstance(raw, bool):
        raise Refused(_("a whole number is wanted"))
    if isinstance(raw, int) or (isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15):
        return int(raw)
    try:
        number = Decimal(_digits(field, raw))
    except InvalidOperation:
        raise Refused(_("a whole number is wanted"))
    if not number.is_finite() or number != number.to_integral_value() or abs(number) > 10**15:
        raise Refused(_("a whole number is wanted"))
    return int(number)


def _decimal(field: Field, raw: Any, look: Lookup) -> Any:
    if isinstance(raw, bool):
        raise Refused(_("a number is wanted"))
    try:
        number = Decimal(repr(raw) if isinstance(raw, (int, float)) else _digits(field, raw))
    except InvalidOperation:
        raise Refused(_("a number is wanted"))
    if not number.is_finite() or abs(number) > 10**15:
        raise Refused(_("a number is wanted"))
    return float(number) if field.places is None else round(number, field.places)


def _date(field: Field, raw: Any, look: Lookup) -> date:
    return _datetime_of(raw)[0]


def _datetime(field: Field, raw: Any, look: Lookup) -> datetime:
    if isinstance(raw, datetime) and raw.tzinfo:
        return raw.astimezone(UTC)
    day, rest, zone = _datetime_of(raw)
    local = datetime(day.year, day.month, day.day, tzinfo=zone or ZoneInfo(settings.TIME_ZONE_LOCAL)) + rest
    return local.astimezone(UTC)


def _datetime_of(raw: Any) -> tuple[date, timedelta, Any]:
    """Day, time of day and zone (None: local) of a date in any of its usual forms, a spreadsheet's day number included."""
    if isinstance(raw, datetime):
        return raw.date(), timedelta(hours=raw.hour, minutes=raw.minute, seconds=raw.second), None
    if isinstance(raw, date):
        return raw, timedelta(), None
    wanted = _("a date is wanted, such as 2026-07-20")
    if isinstance(raw, bool):
        raise Refused(wanted)
    text = folded(clean_text(raw))
    try:
        if isinstance(raw, (int, float)) or re.fullmatch(r"\d{5}(\.\d+)?", text):
            number = float(raw) if isinstance(raw, (int, float)) else float(text)
            if 19000101 <= number <= 29991231 and number == int(number):
                text = str(int(number))
            elif 367 <= number < 401769:  # 1901 … 2999
                days = math.floor(number)
                return _EXCEL + timedelta(days=days), timedelta(seconds=round((number - days) * 86400)), None
            else:
                raise Refused(wanted)
        if match := _DAY.fullmatch(text):
            return date(*map(int, match.groups())), timedelta(), None
        if match := _DATE.fullmatch(text):
            day = date(*(int(match.group(part)) for part in (1, 2, 3)))
            rest = (match.group(4) or "").strip()
            if not rest:
                return day, timedelta(), None
            if clock_ := _TIME.fullmatch(rest):
                hour, minute, second = (int(clock_.group(part) or 0) for part in (1, 2, 3))
                if hour < 24 and minute < 60 and second < 60:
                    return day, timedelta(hours=hour, minutes=minute, seconds=second), _zone(clock_.group(4))
    except (ValueError, OverflowError) as error:
        if isinstance(error, Refused):
            raise
    raise Refused(wanted)


def _zone(text: str | None) -> Any:
    if not text:
        return None
    return UTC if text == "Z" else datetime.strptime(text.replace(":", ""), "%z").tzinfo


def _bool(field: Field, raw: Any, look: Lookup) -> bool:
    text = folded(clean_text(raw)).casefold()
    if text in YES:
        return True
    if text in NO:
        return False
    raise Refused(_("yes or no is wanted"))


def _option(field: Field, raw: Any, look: Lookup) -> str:
    text = clean_text(raw)
    found = look.option(field, text)
    if found is None:
        raise Refused(_("“{value}” is none of the values possible here").format(value=text[:40]))
    return found


def _reference(field: Field, raw: Any, look: Lookup) -> UUID:
    return look.reference(field, str(raw) if isinstance(raw, UUID) else clean_text(raw))


def _point(field: Field, raw: Any, look: Lookup) -> tuple[float, float]:
    if isinstance(raw, dict):
        raw = [raw.get("lon"), raw.get("lat")]
    parts = raw if isinstance(raw, (list, tuple)) else [part for part in re.split(r"[,，;；\s]+", folded(str(raw))) if part]
    try:
        lon, lat = (part if isinstance(part, float) else float(folded(str(part)).rstrip("°EeNn东经北纬")) for part in parts)
    except (ValueError, TypeError):
        raise Refused(_("longitude and latitude in degrees are wanted"))
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise Refused(_("longitude and latitude in degrees are wanted"))
    return round(lon, 7), round(lat, 7)


def _phone(field: Field, raw: Any, look: Lookup) -> str:
    text = folded(clean_text(raw))
    if not _PHONE.fullmatch(text):
        raise Refused(_("a telephone number is wanted"))
    return text


def _url(field: Field, raw: Any, look: Lookup) -> str:
    text = clean_text(raw)
    if not _URL.fullmatch(text):
        raise Refused(_("an address beginning with http:// or https:// is wanted"))
    return text


def _json(field: Field, raw: Any, look: Lookup) -> Any:
    if isinstance(raw, (dict, list)):
        return raw
    try:
        return json.loads(clean_text(raw))
    except ValueError:
        raise Refused(_("is no valid JSON"))


_CLEAN = {
    "json": _json,
    "text": _text, "longtext": _longtext, "integer": _integer, "decimal": _decimal, "date": _date, "datetime": _datetime, "bool": _bool, "code": _option,
    "choice": _option, "ref": _reference, "region": _reference, "organisation": _reference, "person": _reference, "point": _point, "phone": _phone, "url": _url,
}


def key_of(declared: Register, values: dict[str, Any]) -> tuple:
    """The natural key of a row; texts folded, so that ＡＢ－１ and AB-1 are one."""
    return tuple(folded(value) if isinstance(value, str) else value for value in (values.get(name) for name in declared.key))


def clean_all(declared: Register | None, fields: Iterable[Field], given: dict[str, Any], look: Lookup, *, have: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """(clean values, faults [{field, why}]) of what was given for these fields; `have`: the row's other values, for `show_when`
    and required fields. Also for the form of a step (declared=None)."""
    known = {field.name: field for field in fields}
    faults: list[dict[str, str]] = [{"field": name, "why": _("there is no such field")} for name in given if name not in known]
    found: dict[str, Any] = {}
    keys = declared.key if declared else ()
    for name, field in known.items():
        if name not in given:
            continue
        try:
            value = clean(field, given[name], look)
            found[name] = folded(value) if name in keys and isinstance(value, str) else value
        except Refused as error:
            faults.append({"field": name, "why": str(error)})
    whole = {**(have or {}), **found}
    bad = {fault["field"] for fault in faults}
    for name, field in known.items():
        if not field.asked(whole):
            if name in found and not empty(found[name]) and field.kind != "bool":
                found[name] = blank(field)
        elif field.required and name not in bad and (have is None or name in found) and empty(whole.get(name)):
            faults.append({"field": name, "why": _("is missing")})
    if declared is not None and declared.check and not faults:
        faults += declared.check(whole)
    return found, faults


# --- rows ---------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def attribute(model: Any, name: str) -> str:
    return model._meta.get_field(name).attname


def of(field: Field, row: Any) -> Any:
    """The row's value of a field, as the table holds it."""
    if field.kind == "point":
        return None if row.lon is None or row.lat is None else (row.lon, row.lat)
    if field.of is not None:
        if field.name not in row.__dict__:
            row.__dict__[field.name] = field.of([row]).get(row.pk, "")
        return row.__dict__[field.name]
    return getattr(row, attribute(type(row), field.name))  # type: ignore[arg-type]


def put(field: Field, row: Any, value: Any) -> None:
    """Give the row a clean value."""
    if field.kind == "point":
        row.lon, row.lat = value or (None, None)
        row.cell = cell(row.lon, row.lat)
        return
    column = row._meta.get_field(field.name)
    if value is None and not column.null:
        value = blank(field, type(row))
    elif value == "" and column.null and column.get_internal_type() not in ("CharField", "TextField"):
        value = None
    setattr(row, column.attname, value)


def cell(lon: float | None, lat: float | None) -> int | None:
    """The H3 cell of a point as the table keeps it."""
    if lon is None or lat is None:
        return None
    from h3.api import basic_int

    return basic_int.latlng_to_cell(lat, lon, CELL_RESOLUTION)


def plain(value: Any) -> Any:
    """The value as JSON has it; equal values give equal results."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal)):
        return str(value)
    if isinstance(value, tuple):
        return list(value)
    return value


def mask(personal: Personal | None, value: Any) -> str:
    """What those see who may not read a personal field."""
    text = "" if value is None else str(plain(value))
    if not text:
        return ""
    how = personal.mask if personal else "all"
    if how == "phone":
        digits = text.strip()
        return f"{digits[:3]}****{digits[-4:]}" if len(digits) >= 8 else "*" * len(digits)
    if how == "name":
        return text[0] + "*" * max(1, len(text) - 1)
    if how == "id":
        return f"{text[:3]}{'*' * max(3, len(text) - 5)}{text[-2:]}" if len(text) >= 8 else "*" * len(text)
    if how == "email" and "@" in text:
        return f"{text[0]}***@{text.rsplit('@', 1)[1]}"
    return "***"


def shown(field: Field, value: Any, *, names: dict[UUID, str] | None = None) -> str:
    """A plain value as a person reads it; `names` gives the words of references."""
    if empty(value):
        return ""
    if field.many:
        from ..shell import together

        return together(_option_name(field, str(one)) for one in value)
    if field.kind in ("code", "choice"):
        return _option_name(field, str(value))
    if field.kind in REFERENCES:
        return (names or {}).get(UUID(str(value)), "") or str(value)
    if field.kind == "bool":
        return _("yes") if value in (True, "true") else _("no")
    if field.kind == "point":
        return f"{value[0]:.5f}, {value[1]:.5f}"
    if field.kind == "datetime":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        return f"{clock.local(moment):%Y-%m-%d %H:%M}"
    if field.kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    if field.kind in ("integer", "decimal"):
        number = f"{value:g}" if isinstance(value, float) else value
        if not isinstance(value, int) and "." in (number := str(number)):
            number = number.rstrip("0").rstrip(".")  # the database keeps 45.0000; nobody writes it
        return f"{number} {field.unit}" if field.unit else str(number)
    return str(value)


def _option_name(field: Field, value: str) -> str:
    if field.codes:
        return codes.name(field.codes, value)
    return next((str(label) for one, label in field.choices if str(one) == value), value)


def text(field: Field, row: Any) -> str:
    """A row's value as a person reads it; references by their name."""
    if field.kind in REFERENCES:
        other = getattr(row, field.name, None)
        if isinstance(other, UUID):
            return names_of(field, [other]).get(other, "")
        return "" if other is None else label(other)
    return shown(field, of(field, row))


def label(row: Any) -> str:
    """The words of a row of any kind."""
    from .declare import of as declared_of

    declared = declared_of(row)
    return text(declared.by_name[declared.title], row) if declared and declared.title in declared.by_name else str(getattr(row, declared.title)) if declared else str(row)


def names_of(field: Field, keys: Iterable[UUID]) -> dict[UUID, str]:
    """The words behind keys of a reference field."""
    wanted = {UUID(str(key)) for key in keys if key}
    if not wanted:
        return {}
    if field.kind == "ref":
        other = register_of(field.ref)
        return dict(other.rows().filter(pk__in=wanted).values_list("pk", other.title))
    model = {"region": Region, "organisation": Organisation, "person": Person}[field.kind]
    return dict(model.objects.filter(pk__in=wanted).values_list("pk", "name"))


def words(declared: Register, row: Any) -> list[str]:
    """The tokens a row is found by: its title as a name (pinyin and initials too), and every searched field."""
    from anlan.engines.text import document_tokens

    found: set[str] = set()
    for field in declared.all:
        if field.name == declared.title or (field.search and field.kind in ("text",)):
            found.update(document_tokens(str(of(field, row) or "")[:200], name=field.name == declared.title))
        elif field.search or field.name in declared.key:
            found.update(document_tokens(text(field, row)[:2000]))
    return sorted(found)
