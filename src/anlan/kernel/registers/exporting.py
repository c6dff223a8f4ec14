"""Taking registers out: lists as .xlsx or .csv (watermarked, escaped, logged), the template to fill in, the file of refused rows."""
from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .. import access, access_log, clock, sheets
from ..errors import Kind
from ..models import Account, Installation, Person
from . import queries, values
from .declare import Field, Register
from .importing import Judged, Mapping, target_label
from .reading import Sheet

TOO_MANY_OUT = Kind("kernel.register_export_too_large", 422, gettext_lazy("More than {limit} entries; narrow the list first."))
MOST = 200_000
BATCH = 2000
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def answer(content: bytes, name: str, media: str = XLSX) -> HttpResponse:
    """A file to keep, under a name that may be Chinese."""
    response = HttpResponse(content, content_type=media)
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def watermark(actor: Any) -> str:
    """Who took it out of which house, and when."""
    name = Person.objects.filter(pk=actor.person_id).values_list("name", flat=True).first() or actor.machine_name
    account = Account.objects.filter(pk=actor.account_id).values_list("name", flat=True).first() or ""
    return f"{Installation.current().name} · {name} ({account}) · {clock.local(clock.now()):%Y-%m-%d %H:%M}"


def _book(title: str, head: Sequence[Any], rows: Iterable[Iterable[Any]], mark: str, more: Iterable[tuple[str, list[list[Any]]]] = ()) -> bytes:
    """An .xlsx written row by row: the memory it takes does not grow with the list."""
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    book = Workbook(write_only=True)
    sheet = book.create_sheet("".join(char for char in title if char not in "[]:*?/\\")[:31] or "1")
    sheet.freeze_panes = "A3" if mark else "A2"
    for number, name in enumerate(head, 1):
        sheet.column_dimensions[get_column_letter(number)].width = max(12, 2 * len(str(name)) + 2)
    if mark:
        sheet.oddHeader.center.text = sheet.oddFooter.center.text = mark.replace("&", "&&")
        first = WriteOnlyCell(sheet, value=sheets.escape(f"# {mark}"))
        first.font = Font(color="808080", italic=True)
        sheet.append([first])
    cells = [WriteOnlyCell(sheet, value=sheets.escape(name)) for name in head]
    for cell in cells:
        cell.font = Font(bold=True)
    sheet.append(cells)
    for row in rows:
        sheet.append([sheets.escape(value) for value in row])
    for name, table in more:
        extra = book.create_sheet(name[:31])
        for number, width in enumerate((24, 12, 60), 1):
            extra.column_dimensions[get_column_letter(number)].width = width
        for line in table:
            extra.append([sheets.escape(value) for value in line])
    book.properties.creator = (mark or "Anlan")[:200]
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _heads(fields: Sequence[Field]) -> list[str]:
    found: list[str] = []
    for one in fields:
        found += [_("Longitude"), _("Latitude")] if one.kind == "point" else [one.title]
    return found


def _cells(fields: Sequence[Field], line: queries.Line, ambiguous: dict[str, set[str]]) -> list[Any]:
    found: list[Any] = []
    for one in fields:
        cell = line.cells.get(one.name)
        value = cell.value if cell and not cell.masked else None
        if one.kind == "point":
            found += list(value) if value else [None, None]
        elif cell is None:
            found.append("")
        elif cell.masked:
            found.append(cell.text)
        elif one.kind in ("integer", "decimal") and value is not None:
            found.append(float(value) if isinstance(value, str) else value)
        elif one.kind in ("ref", "region") and cell.text in ambiguous.get(one.name, ()):
            found.append(value)
        else:
            found.append(cell.text)
    return found


def rows(actor: Any, declared: Register, *, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None, fields: Sequence[Field], purpose: str = "", address: str = "") -> Iterator[list[Any]]:
    """Every row the list holds, cell by cell, in the list's order; that persons' data went out is noted at the end, in one line."""
    found = queries.narrow(queries.scope(actor, declared, realm=realm), declared, q=q, filters=filters, actor=actor)
    if found.order_by().values("pk")[: MOST + 1].count() > MOST:
        raise TOO_MANY_OUT(limit=f"{MOST:,}")
    order = declared.order
    keys = list(found.order_by(order, "pk").values_list("pk", flat=True))
    ambiguous = {one.name: _ambiguous(one) for one in fields if one.kind in ("ref", "region")}
    opened: set[str] = set()
    persons = 0
    for start in range(0, len(keys), BATCH):
        for line in queries.lines(actor, declared, queries.fetch(declared, keys[start : start + BATCH]), [one.name for one in fields], way=""):
            open_here = [name for name, cell in line.cells.items() if cell.field.personal and cell.text and not cell.masked]
            opened.update(open_here)
            persons += bool(open_here)
            yield _cells(fields, line, ambiguous)
    if persons or (declared.personal and keys):  # a list of persons that leaves the house is noted, masked or not
        access_log.note(actor, "export", f"register:{declared.name}", fields=sorted(opened), count=persons or len(keys), purpose=purpose, address=address)


def _ambiguous(one: Field) -> set[str]:
    """Names that several rows of a reference bear: they go out by key, so that the sheet can come back."""
    from django.db.models import Count

    from ..models import Region
    from .declare import get

    if one.kind == "region":
        return set(Region.objects.filter(valid_to=None).values("name").annotate(n=Count("pk")).filter(n__gt=1).values_list("name", flat=True))
    other = get(one.ref)
    return set(other.rows().filter(ended_at=None).values(other.title).annotate(n=Count("pk")).filter(n__gt=1).values_list(other.title, flat=True))


def export(
    actor: Any, declared: Register, *, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None, columns: Sequence[str] | None = None, kind: str = "xlsx",
    purpose: str = "", address: str = "",
) -> tuple[bytes, str, str]:
    """(content, media type, file name) of a list: all its fields, or the columns chosen. Ready to be changed and imported again.
    kernel.forbidden, kernel.register_export_too_large."""
    access.require(actor, declared.read)
    may = queries.open_fields(actor, declared)
    seen = [one for one in declared.all if one.name in may or one.personal]
    fields = [one for one in seen if one.name in columns] if columns else seen
    mark = watermark(actor)
    lines = rows(actor, declared, realm=realm, q=q, filters=filters, fields=fields, purpose=purpose, address=address)
    name = f"{declared.label} {clock.local(clock.now()):%Y-%m-%d}"
    if kind == "csv":
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow([f"# {mark}"])
        writer.writerow([sheets.escape(head) for head in _heads(fields)])
        for line in lines:
            writer.writerow([sheets.escape(value) for value in line])
        return out.getvalue().encode("utf-8-sig"), "text/csv; charset=utf-8", f"{name}.csv"
    return _book(str(declared.label), _heads(fields), lines, mark), XLSX, f"{name}.xlsx"


# --- template -------------------------------------------------------------------------------------------------------------


def asked(declared: Register, actor: Any = None) -> list[Field]:
    """The fields a template asks for: what is not worked out, and (with an actor) what he may write."""
    return [one for one in declared.all if not one.readonly and (actor is None or not one.write or access.may(actor, one.write))]


def explain(declared: Register, one: Field) -> str:
    """What may stand in a column, in a sentence or two."""
    kinds = {
        "integer": _("whole number"), "decimal": _("number"), "date": _("date, such as 2026-07-20"), "datetime": _("date and time, such as 2026-07-20 08:30"),
        "bool": _("yes or no"), "phone": _("telephone number"), "url": _("address on the web"), "region": _("region: name or code"), "organisation": _("unit: its name"),
        "person": _("person: name"), "point": _("degrees, WGS84"), "longtext": _("text"), "text": _("text"), "json": "JSON",
    }
    parts = []
    if one.required:
        parts.append(_("required"))
    if one.name in declared.key:
        parts.append(_("tells entries apart: the same one again changes that entry"))
    if one.codes or one.choices:
        parts.append((_("one or more of (separated by 、)") if one.many else _("one of")) + ": " + "；".join(f"{code} {text}" if code != text else code for code, text in one.options()))
    elif one.kind == "ref":
        from .declare import get

        parts.append(_("entry of {register}: its key or name").format(register=get(one.ref).label))
    else:
        parts.append(kinds.get(one.kind or "text", ""))
    if one.unit:
        parts.append(_("in {unit}").format(unit=one.unit))
    if one.min is not None or one.max is not None:
        parts.append(f"{'' if one.min is None else values._number(one.min)} … {'' if one.max is None else values._number(one.max)}")
    if one.length:
        parts.append(_("at most {count} characters").format(count=one.length))
    if one.show_when:
        parts.append(_("only when {rule}").format(rule=one.show_when))
    if one.help:
        parts.append(str(one.help))
    return "; ".join(part for part in parts if part)


def template_rows(declared: Register, actor: Any = None) -> list[tuple[str, str, str]]:
    """(name, label, explanation) of each column."""
    found = []
    for one in asked(declared, actor):
        for name in (f"{one.name}.lon", f"{one.name}.lat") if one.kind == "point" else (one.name,):
            found.append((name, target_label(name, one), explain(declared, one)))
    return found


def template(declared: Register, actor: Any = None) -> bytes:
    """An .xlsx to fill in: the header row, required columns marked with *, and a second sheet that explains every column and code."""
    lines = template_rows(declared, actor)
    required = {one.name for one in declared.all if one.required}
    table: list[list[Any]] = [[_("Column"), _("Field"), _("What may stand there")], *([label, name, text] for name, label, text in lines)]
    for one in asked(declared, actor):
        if one.codes or one.choices:
            table += [[], [one.title, _("Code"), _("Name")], *(["", code, text] for code, text in one.options())]
    return _book(str(declared.label), [f"{label} *" if name in required else label for name, label, _text in lines], [], "", [(_("Explanation"), table)])


# --- refused rows ---------------------------------------------------------------------------------------------------------


def refused_file(actor: Any, declared: Register, sheet: Sheet, mapping: Mapping, result: Judged) -> bytes:
    """The refused rows as they were sent, each with what is wrong: to be corrected there and sent again."""
    why: dict[int, list[str]] = {}
    for fault in result.refused:
        one = declared.by_name.get(fault.field)
        why.setdefault(fault.row, []).append(f"{one.title if one else fault.field}: {fault.why}")
    head = [*(values.clean_text(value) for value in sheet.rows[mapping.header]), _("# row of the sheet"), _("# what is wrong")]
    width = len(head) - 2
    lines = (
        [*(list(sheet.rows[line - 1]) + [""] * width)[:width], line, "\n".join(found)] for line, found in sorted(why.items())
    )
    return _book(_("Refused rows"), head, lines, watermark(actor))
