"""Spreadsheets at the border: what comes in is checked, what goes out cannot run as a formula."""
from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from .errors import TOO_LARGE, Kind

BAD_SHEET = Kind("kernel.bad_sheet", 422, _("This is not a spreadsheet we can read (.xlsx): {why}"))
ROW_ERRORS = Kind("kernel.row_errors", 422, _("{count} entries of the sheet are wrong; nothing was taken over. Correct them and send the sheet again."))

MAX_BYTES = 5 * 1024 * 1024
MAX_UNPACKED = 60 * 1024 * 1024
MAX_ROWS = 5000
# A cell that begins so is run by spreadsheet programs (OWASP: CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def escape(value: Any) -> Any:
    """A cell that shows what it is and runs nothing. Numbers and dates stay what they are; aware times become local text."""
    if isinstance(value, bool) or value is None or isinstance(value, (int, float)):
        return value
    if isinstance(value, datetime):
        from . import clock

        return f"{clock.local(value):%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value
    text = "".join(char for char in str(value) if char >= " " or char in "\t\n\r")
    return "'" + text if text.startswith(_FORMULA) else text


def write(title: str, head: list[str], rows: Iterable[Iterable[Any]], *, watermark: str) -> bytes:
    """An .xlsx of one sheet: a first line that says who took it out and when, then the head, then the rows."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    sheet = book.active
    sheet.title = "".join(char for char in title if char not in "[]:*?/\\")[:31] or "1"
    sheet.append([escape(watermark)])
    sheet.cell(1, 1).font = Font(color="808080", italic=True)
    sheet.append([escape(name) for name in head])
    for cell in sheet[2]:
        cell.font = Font(bold=True)
    for row in rows:
        sheet.append([escape(value) for value in row])
    sheet.freeze_panes = "A3"
    for number, name in enumerate(head):
        sheet.column_dimensions[chr(65 + number) if number < 26 else "A"].width = max(12, 2 * len(str(name)) + 4)
    # On every printed page too.
    sheet.oddHeader.center.text = sheet.oddFooter.center.text = watermark.replace("&", "&&")
    book.properties.creator = watermark[:200]
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def read(content: bytes) -> list[list[Any]]:
    """The first sheet's rows of values. Formulas, bombs, macros and foreign files are refused: kernel.bad_sheet, kernel.too_large."""
    if len(content) > MAX_BYTES:
        raise TOO_LARGE(size=len(content), limit=MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            unpacked = sum(item.file_size for item in packed.infolist())
            if unpacked > MAX_UNPACKED or len(packed.infolist()) > 2000:
                raise TOO_LARGE(size=unpacked, limit=MAX_UNPACKED)
            for item in packed.infolist():
                if item.filename.lower().endswith((".xml", ".rels")):
                    with packed.open(item) as part:
                        if b"<!DOCTYPE" in part.read(4096).upper():
                            raise BAD_SHEET(why=_("it declares a document type"))
                if item.filename.endswith("vbaProject.bin"):
                    raise BAD_SHEET(why=_("it holds macros"))
        from openpyxl import load_workbook

        book = load_workbook(io.BytesIO(content), read_only=True, data_only=False)
        sheet = book.worksheets[0]
        rows: list[list[Any]] = []
        for row in sheet.iter_rows(max_col=40, values_only=True):
            if len(rows) >= MAX_ROWS:
                raise BAD_SHEET(why=str(_("it has more than {limit} rows")).format(limit=MAX_ROWS))
            rows.append(list(row))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, IndexError, EOFError, SyntaxError, AttributeError, TypeError) as error:
        raise BAD_SHEET(why=type(error).__name__)
    for number, row in enumerate(rows, 1):
        for value in row:
            if isinstance(value, str) and value.startswith("="):
                raise BAD_SHEET(why=str(_("row {row} holds a formula; paste values instead")).format(row=number))
    return rows
