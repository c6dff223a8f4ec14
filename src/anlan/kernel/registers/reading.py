"""Reading a spreadsheet somebody sent: .xlsx and .csv into rows of cells, with what cannot be trusted said.

Nothing is believed: the real unpacked size is counted, the grid's corners are checked before it is laid out in memory
(one cell at XFD1048576 would ask for 17 milliard), document types and macros are refused.
"""
from __future__ import annotations

import csv
import hashlib
import io
import re
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from ..errors import TOO_LARGE
from ..sheets import BAD_SHEET

MAX_BYTES = 64 * 1024 * 1024
MAX_UNPACKED = 600 * 1024 * 1024
MAX_ROWS = 200_000
MAX_COLUMNS = 104  # A … CZ
# References beyond MAX_ROWS or MAX_COLUMNS, as they stand in the XML.
_BEYOND = re.compile(rb"""r=(?<=\br=)["'](?:[A-Z]*(?:[2-9]\d{5}|\d{7,})|(?:[A-Z]{3,}|[D-Z][A-Z])\d+)["']""")
_DOUBTFUL = re.compile(rb"""<(?:\w+:)?f[\s>/]|\bt=["']e["']""")
# One of these stands wherever the pattern above is found; looking for them costs a tenth of it.
_HINTS = (b"<f", b":f", b't="e"', b"t='e'")


@dataclass
class Sheet:
    """A table as it was sent: `rows[0]` is line 1. `broken` names cells without a usable value: {(row, column): why}, from 0."""

    name: str
    rows: list[list[Any]]
    sha256: str
    size: int
    notes: list[str] = field(default_factory=list)
    broken: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return max((len(row) for row in self.rows[:200]), default=0)


def check_size(size: int) -> None:
    """Refuse what is too large by its size alone, before a byte is read. kernel.too_large."""
    if size > MAX_BYTES:
        raise TOO_LARGE(size=size, limit=MAX_BYTES)


def received(upload: Any) -> Sheet:
    """The sheet of a file a form sent (Django's UploadedFile). kernel.too_large, kernel.bad_sheet."""
    check_size(upload.size)
    with tempfile.NamedTemporaryFile() as file:
        for chunk in upload.chunks():
            file.write(chunk)
        file.flush()
        return read(Path(file.name), upload.name)


def read(path: Path, name: str = "") -> Sheet:
    """The first visible sheet of a file. kernel.too_large, kernel.bad_sheet."""
    name = name or path.name
    check_size(path.stat().st_size)
    content = path.read_bytes()
    digest, size = hashlib.sha256(content).hexdigest(), len(content)
    if content.startswith(b"PK\x03\x04"):
        rows, notes, broken = _xlsx(content)
    elif content.startswith(b"\xd0\xcf\x11\xe0"):
        raise BAD_SHEET(why=_("it is an old .xls file, or protected by a password; save it as .xlsx without one"))
    else:
        rows, notes, broken = _csv(content), [], {}
    while rows and all(value in ("", None) for value in rows[-1]):
        rows.pop()
    if len(rows) > MAX_ROWS:
        raise BAD_SHEET(why=_("it has more than {limit} rows; send it in parts").format(limit=f"{MAX_ROWS:,}"))
    if not rows:
        raise BAD_SHEET(why=_("it is empty"))
    return Sheet(name, rows, digest, size, notes, broken)


def _csv(content: bytes) -> list[list[Any]]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "gb18030"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise BAD_SHEET(why=_("its characters are neither UTF-8 nor GB 18030"))
    if "\x00" in text:
        raise BAD_SHEET(why=_("it is no text"))
    head = text[: 1 << 16].split("\n", 20)
    counts = {mark: sum(line.count(mark) for line in head[:20]) for mark in (",", "\t", ";")}
    rows: list[list[Any]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=max(counts, key=lambda mark: counts[mark])):
            if len(row) > MAX_COLUMNS and any(cell for cell in row[MAX_COLUMNS:]):
                raise BAD_SHEET(why=_("it has more than {limit} columns").format(limit=MAX_COLUMNS))
            rows.append(row[:MAX_COLUMNS])
            if len(rows) > MAX_ROWS + 50:
                raise BAD_SHEET(why=_("it has more than {limit} rows; send it in parts").format(limit=f"{MAX_ROWS:,}"))
    except csv.Error as error:
        raise BAD_SHEET(why=str(error)[:120])
    return rows


def _xlsx(content: bytes) -> tuple[list[list[Any]], list[str], dict[tuple[int, int], str]]:
    import python_calamine as calamine

    doubtful = set()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if len(packed.infolist()) > 2000:
                raise BAD_SHEET(why=_("it holds too many parts"))
            unpacked = 0
            for item in packed.infolist():
                if item.filename.lower().endswith("vbaproject.bin"):
                    raise BAD_SHEET(why=_("it holds macros"))
                if not item.filename.lower().endswith((".xml", ".rels")):
                    continue
                sheet = item.filename.startswith("xl/worksheets/")
                tail = b""
                with packed.open(item) as part:
                    first = True
                    while chunk := part.read(1 << 20):
                        unpacked += len(chunk)
                        if unpacked > MAX_UNPACKED:
                            raise TOO_LARGE(size=unpacked, limit=MAX_UNPACKED)
                        if first and b"<!DOCTYPE" in chunk[:8192].upper():
                            raise BAD_SHEET(why=_("it declares a document type"))
                        first = False
                        if sheet:
                            both = tail + chunk
                            if _BEYOND.search(both):
                                raise BAD_SHEET(why=_("it reaches beyond row {rows} or column {column}").format(rows=f"{MAX_ROWS:,}", column="CZ"))
                            if item.filename not in doubtful and any(hint in both for hint in _HINTS) and _DOUBTFUL.search(both):
                                doubtful.add(item.filename)
                            tail = chunk[-64:]
        book = calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        visible = [meta.name for meta in book.sheets_metadata if meta.visible == calamine.SheetVisibleEnum.Visible and meta.typ == calamine.SheetTypeEnum.WorkSheet]
        if not visible:
            raise BAD_SHEET(why=_("it has no visible sheet"))
        sheet_ = book.get_sheet_by_name(visible[0])
        if sheet_.total_height * max(1, sheet_.total_width) > MAX_ROWS * MAX_COLUMNS:
            raise BAD_SHEET(why=_("it reaches beyond row {rows} or column {column}").format(rows=f"{MAX_ROWS:,}", column="CZ"))
        rows: list[list[Any]] = sheet_.to_python(skip_empty_area=False)  # type: ignore[assignment]
        merged = sheet_.merged_cell_ranges or []
    except (calamine.CalamineError, calamine.PasswordError, calamine.XmlError, calamine.ZipError, zipfile.BadZipFile, OSError, EOFError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
        raise BAD_SHEET(why=str(error)[:120] or type(error).__name__)
    notes: list[str] = []
    if len(visible) > 1:
        notes.append(_("The file has several sheets; read is the first, “{name}”.").format(name=visible[0]))
    broken = _doubtful(content, visible[0], notes) if doubtful else {}
    _fill(rows, merged, notes)
    return rows, notes, broken


def _fill(rows: list[list[Any]], merged: list[Any], notes: list[str]) -> None:
    """Give every cell of a merged block the value shown over all of it."""
    filled = 0
    for (top, left), (bottom, right) in merged:
        if top >= len(rows) or left >= len(rows[top]):
            continue
        value = rows[top][left]
        for row in rows[top : bottom + 1]:
            span = min(right + 1, len(row)) - left
            filled += max(0, span)
            if filled > 2_000_000:
                raise BAD_SHEET(why=_("too much of it is merged cells"))
            if span > 0:
                row[left : left + span] = [value] * span
    if merged:
        notes.append(_("{count} merged blocks: their value was taken for each of their cells.").format(count=len(merged)))


def _doubtful(content: bytes, name: str, notes: list[str]) -> dict[tuple[int, int], str]:
    """Cells of a formula without a worked-out value, or with an error; counts the other formulas in the notes."""
    from lxml import etree

    broken: dict[tuple[int, int], str] = {}
    formulas = 0
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        with packed.open(_part_of(packed, name)) as part:
            line = -1
            for event, one in etree.iterparse(part, events=("start", "end"), resolve_entities=False, no_network=True, huge_tree=False):
                tag = etree.QName(one).localname
                if event == "start":
                    if tag == "row":
                        number = one.get("r", "")
                        line = int(number) - 1 if number.isdigit() else line + 1
                    continue
                if tag == "c":
                    value = next((child for child in one if etree.QName(child).localname == "v"), None)
                    formula = any(etree.QName(child).localname == "f" for child in one)
                    at = (line, _column(one.get("r", "")))
                    if one.get("t") == "e":
                        broken[at] = _("holds an error ({value})").format(value=(value.text if value is not None else "") or "?")
                    elif formula and (value is None or not value.text) and one.get("t") != "str":
                        broken[at] = _("holds a formula without a worked-out value; paste its value")
                    elif formula:
                        formulas += 1
                if tag == "row":
                    one.clear()
    if formulas:
        notes.append(_("{count} cells hold formulas: the value they last showed was taken.").format(count=formulas))
    return broken


def _part_of(packed: zipfile.ZipFile, name: str) -> str:
    """The part of the package that holds the sheet of this name."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    book = etree.fromstring(packed.read("xl/workbook.xml"), parser)
    links = etree.fromstring(packed.read("xl/_rels/workbook.xml.rels"), parser)
    key = next(value for sheet in book.iter("{*}sheet") if sheet.get("name") == name for at, value in sheet.attrib.items() if at.endswith("}id"))
    target = next(link.get("Target", "") for link in links if link.get("Id") == key)
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _column(reference: str) -> int:
    number = 0
    for letter in reference:
        if not letter.isalpha():
            break
        number = number * 26 + ord(letter.upper()) - 64
    return number - 1
