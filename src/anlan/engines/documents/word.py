"""Editable .docx by python-docx, with the standard's own fonts by name (the reader's machine has them)."""
from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from docx import Document as new_document
from docx.enum.section import WD_ORIENT
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Mm, Pt, RGBColor

from .values import Official, Pack, as_json

FANGSONG, XIAOBIAO, HEI, KAI = "仿宋_GB2312", "方正小标宋简体", "黑体", "楷体_GB2312"
RED, VIOLET = RGBColor(0xD7, 0x00, 0x0F), RGBColor(0x5B, 0x21, 0xB6)
SIDES = {"left": WD_ALIGN_PARAGRAPH.LEFT, "center": WD_ALIGN_PARAGRAPH.CENTER, "right": WD_ALIGN_PARAGRAPH.RIGHT}


def _set(element: Any, tag: str, **attributes: str) -> Any:
    child = OxmlElement(tag)
    for name, value in attributes.items():
        child.set(qn(f"w:{name}"), value)
    element.append(child)
    return child


def _run(paragraph: Any, text: str, face: str, size: float, color: RGBColor | None = None) -> Any:
    run = paragraph.add_run(text)
    run.font.name = "Times New Roman"  # Latin letters and figures; the Chinese face is the eastAsia one
    run._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), face)
    run.font.size = Pt(size)
    if color is not None:
        run.font.color.rgb = color
    return run


def _field(paragraph: Any, code: str, size: float) -> None:
    for kind, text in (("begin", None), (None, code), ("end", None)):
        run = _run(paragraph, "", "宋体", size)
        if kind:
            _set(run._element, "w:fldChar", fldCharType=kind)
        else:
            instruction = OxmlElement("w:instrText")
            instruction.set(qn("xml:space"), "preserve")
            instruction.text = text
            run._element.append(instruction)


def _border(paragraph: Any, side: str, eighths: int, color: str) -> None:
    borders = OxmlElement("w:pBdr")
    _set(borders, f"w:{side}", val="single", sz=str(eighths), space="4", color=color)
    properties = paragraph._p.get_or_add_pPr()
    # The schema wants pBdr before spacing, ind and jc.
    properties.insert_element_before(borders, "w:shd", "w:tabs", "w:spacing", "w:ind", "w:jc", "w:rPr")


def _line(paragraph: Any, points: float | None = 28.95, align: Any = None, indent_chars: float = 0, right_chars: float = 0, size: float = 16) -> Any:
    layout = paragraph.paragraph_format
    layout.space_before = layout.space_after = Pt(0)
    if points:
        layout.line_spacing_rule, layout.line_spacing = WD_LINE_SPACING.EXACTLY, Pt(points)
    if indent_chars:
        layout.first_line_indent = Pt(size * indent_chars)
    if right_chars:
        layout.right_indent = Pt(size * right_chars)
    if align is not None:
        paragraph.alignment = align
    return paragraph


def _band(section: Any, text: str) -> None:
    """Violet diagonal stripes in head and foot of every page, odd and even."""
    for part in (section.header, section.even_page_header):
        part.is_linked_to_previous = False
        paragraph = part.paragraphs[0] if part.paragraphs else part.add_paragraph()
        _line(paragraph, None, WD_ALIGN_PARAGRAPH.CENTER)
        _run(paragraph, f"　{text}　", HEI, 12, VIOLET)
        shading = OxmlElement("w:shd")
        for name, value in (("val", "diagStripe"), ("color", "C4B5FD"), ("fill", "EDE9FE")):
            shading.set(qn(f"w:{name}"), value)
        paragraph._p.get_or_add_pPr().insert_element_before(shading, "w:tabs", "w:spacing", "w:ind", "w:jc", "w:rPr")


def _cells(row: Any, texts: list[str], aligns: list[str], face: str, size: float) -> None:
    for cell, text, align in zip(row.cells, texts, aligns, strict=True):
        paragraph = cell.paragraphs[0]
        _line(paragraph, None, SIDES[align])
        _run(paragraph, text, face, size)


def _table(word: Any, block: dict, width: float, size: float) -> None:
    if block["caption"]:
        _run(_line(word.add_paragraph(), None, WD_ALIGN_PARAGRAPH.CENTER), block["caption"], HEI, size + 1)
    columns = block["columns"]
    table = word.add_table(rows=1, cols=len(columns), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    total = sum(column["share"] for column in columns)
    for column, made in zip(columns, table.columns, strict=True):
        made.width = Mm(width * column["share"] / total)
    head = table.rows[0]
    _set(head._tr.get_or_add_trPr(), "w:tblHeader", val="true")
    _cells(head, [column["title"] for column in columns], ["center"] * len(columns), HEI, size)
    aligns = [column["align"] for column in columns]
    for row in block["rows"]:
        _cells(table.add_row(), row, aligns, FANGSONG, size)
    for row in table.rows:
        for column, cell in zip(columns, row.cells, strict=True):
            cell.width = Mm(width * column["share"] / total)
    if not block["rows"]:
        merged = table.add_row().cells
        cell = merged[0].merge(merged[-1])
        _run(_line(cell.paragraphs[0], None, WD_ALIGN_PARAGRAPH.CENTER), block["empty"], FANGSONG, size)
    if block["note"]:
        _run(_line(word.add_paragraph(), None), block["note"], FANGSONG, size - 1.5)


def _picture(word: Any, block: dict, content: bytes | None, width: float, size: float) -> None:
    if content:
        paragraph = _line(word.add_paragraph(), None, WD_ALIGN_PARAGRAPH.CENTER)
        paragraph.paragraph_format.keep_with_next = True
        with contextlib.suppress(Exception):  # WebP, or damaged on its way: the caption stays, the report goes out
            shape = paragraph.add_run().add_picture(io.BytesIO(content), width=Mm(width * 0.8))
            if shape.height > Mm(110):
                shape.width, shape.height = int(shape.width * Mm(110) / shape.height), Mm(110)
    if block["caption"]:
        _run(_line(word.add_paragraph(), None, WD_ALIGN_PARAGRAPH.CENTER), block["caption"], FANGSONG, size)


def _blocks(word: Any, blocks: list[dict], width: float, body: float, table: float, points: float | None, pictures: Mapping[str, bytes]) -> None:
    for block in blocks:
        if block["kind"] == "heading":
            face = {1: HEI, 2: KAI}.get(block["level"], FANGSONG)
            paragraph = _line(word.add_paragraph(), points, indent_chars=2, size=body)
            paragraph.paragraph_format.keep_with_next = True
            _run(paragraph, block["text"], face, body)
        elif block["kind"] == "paragraph":
            for text in block["text"].split("\n"):
                paragraph = _line(word.add_paragraph(), points, indent_chars=2 if block["indent"] else 0, size=body)
                _run(paragraph, text, FANGSONG, body)
        elif block["kind"] == "picture":
            _picture(word, block, pictures.get(block["key"]), width, table)
        else:
            _table(word, block, width, table)


def _page(word: Any, top: float, bottom: float, left: float, right: float) -> Any:
    section = word.sections[0]
    section.orientation = WD_ORIENT.PORTRAIT
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin = Mm(top), Mm(bottom)
    section.left_margin, section.right_margin = Mm(left), Mm(right)
    section.header_distance = Mm(12)
    return section


def _page_numbers(word: Any, section: Any, distance: float) -> None:
    section.footer_distance = Mm(distance)
    word.settings.odd_and_even_pages_header_footer = True
    for part, align in ((section.footer, WD_ALIGN_PARAGRAPH.RIGHT), (section.even_page_footer, WD_ALIGN_PARAGRAPH.LEFT)):
        part.is_linked_to_previous = False
        paragraph = _line(part.paragraphs[0], None, align)
        layout = paragraph.paragraph_format
        layout.right_indent = layout.left_indent = Pt(14)
        _run(paragraph, "— ", "宋体", 14)
        _field(paragraph, "PAGE", 14)
        _run(paragraph, " —", "宋体", 14)


def _official(word: Any, d: dict, pictures: Mapping[str, bytes]) -> None:
    section = _page(word, 37, 35, 28, 26)
    _set(section._sectPr, "w:docGrid", type="linesAndChars", linePitch="579", charSpace="-849") if section._sectPr.find(qn("w:docGrid")) is None else None
    _page_numbers(word, section, 25)
    center, zh = WD_ALIGN_PARAGRAPH.CENTER, d["lang"] == "zh"
    for text in (d["copy_no"], d["secrecy"], d["urgency"]):
        if text:
            _run(_line(word.add_paragraph()), text, HEI, 16)
    _line(word.add_paragraph())
    size = min(42.0, 442 / max(1, len(d["organ"]) * (1 if zh else 0.56)) * 0.98)
    _run(_line(word.add_paragraph(), None, center), d["organ"], XIAOBIAO, int(size), RED)
    _line(word.add_paragraph())
    number = _line(word.add_paragraph(), align=center)
    _run(number, d["number"], FANGSONG, 16)
    _border(number, "bottom", 18, "D7000F")
    _line(word.add_paragraph())
    _run(_line(word.add_paragraph(), 34, center), d["title"], XIAOBIAO, 22)
    _line(word.add_paragraph())
    if d["addressee"]:
        _run(_line(word.add_paragraph()), d["addressee"] + d["words"]["colon"], FANGSONG, 16)
    _blocks(word, d["body"], 156, 16, 11, 28.95, pictures)
    for number_, name in enumerate(d["attachments"], 1):
        if number_ == 1:
            _line(word.add_paragraph())
        lead = d["words"]["attachment"] if number_ == 1 else "　　　"
        text = name if len(d["attachments"]) == 1 else f"{number_}. {name}"
        _run(_line(word.add_paragraph(), indent_chars=2), lead + text, FANGSONG, 16)
    _line(word.add_paragraph())
    for text, chars in ((d["signer"], 2), (d["signed_on"], 4)):
        paragraph = _line(word.add_paragraph(), align=WD_ALIGN_PARAGRAPH.RIGHT, right_chars=chars)
        paragraph.paragraph_format.keep_with_next = text == d["signer"]
        _run(paragraph, text, FANGSONG, 16)
    if d["note"]:
        _run(_line(word.add_paragraph(), indent_chars=2), f"（{d['note']}）" if zh else f"({d['note']})", FANGSONG, 16)
    if d["copies"] or d["printer"]:
        _line(word.add_paragraph())
        imprint = []
        if d["copies"]:
            imprint.append(d["words"]["copies"] + ("，" if zh else ", ").join(d["copies"]) + d["words"]["stop"])
        if d["printer"]:
            imprint.append(f"{d['printer']}\t{d['printed_on']}")
        for place, text in enumerate(imprint):
            paragraph = _line(word.add_paragraph(), None)
            paragraph.paragraph_format.left_indent = paragraph.paragraph_format.right_indent = Pt(14)
            paragraph.paragraph_format.tab_stops.add_tab_stop(Mm(146), alignment=2)
            _run(paragraph, text, FANGSONG, 14)
            _border(paragraph, "top", 8 if place == 0 else 6, "000000")
        last = _line(word.add_paragraph(), 6)
        _border(last, "top", 8, "000000")


def _pack(word: Any, d: dict, pictures: Mapping[str, bytes]) -> None:
    section = _page(word, 22, 22, 18, 16)
    _page_numbers(word, section, 10)
    _run(_line(word.add_paragraph(), None), d["title"], HEI, 17)
    _run(_line(word.add_paragraph(), None), d["made"], FANGSONG, 10)
    _blocks(word, d["body"], 176, 10.5, 9.5, None, pictures)
    if d["foot"]:
        _run(_line(word.add_paragraph(), None), d["foot"], FANGSONG, 9)


def docx(document: Official | Pack, *, made_at: datetime | None = None, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """The document as .docx bytes, for a person to edit; pictures by the keys of its Picture blocks (JPEG, PNG). Raises DocumentRefused when the values cannot be laid out."""
    values = as_json(document)
    word = new_document()
    properties = word.core_properties
    properties.title, properties.author, properties.comments = values["title"], values.get("organ", ""), ""
    if made_at is not None:
        properties.created = properties.modified = made_at.replace(tzinfo=None)
    (_official if isinstance(document, Official) else _pack)(word, values, pictures or {})
    if values["band"]:
        _band(word.sections[0], values["band"]["text"])
    out = io.BytesIO()
    word.save(out)
    return out.getvalue()
