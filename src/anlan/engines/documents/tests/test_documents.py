"""The layout of GB/T 9704-2012 in PDF and docx, and what is refused."""
from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from docx import Document as read_docx
from docx.oxml.ns import qn
from docx.shared import Mm
from pypdfium2 import PdfDocument

from anlan.engines.documents import (
    Band,
    Column,
    DocumentRefused,
    Heading,
    Official,
    Pack,
    Paragraph,
    Table,
    chinese_date,
    chinese_ordinal,
    document_number,
    docx,
    pdf,
)

TABLE = Table(caption="雨量", columns=[Column(title="乡镇"), Column(title="毫米", align="right")], rows=[["甲一镇", "201.9"]], note="来源：雨量站")
PAPER = Official(
    organ="甲县防汛抗旱指挥部文件", number=document_number("甲汛", 2026, 7), title="关于启动防汛Ⅳ级应急响应的通知", addressee="各乡镇人民政府",
    body=[Heading(text="一、总体情况"), Paragraph(text="#panic() $x$ *重* <b>不是标记</b>"), TABLE], signer="甲县防汛抗旱指挥部", signed_on=chinese_date(date(2026, 7, 5)),
    attachments=["命令清单", "雨量表"], copies=["市防汛抗旱指挥部"], printer="甲县防办", printed_on="2026年7月5日印发", note="值班电话：0000-1", urgency="特急",
)


def text_of(body: bytes) -> str:
    """As another program reads it; each page ends with a form feed."""
    return "".join(page.get_textpage().get_text_bounded() + "\f" for page in PdfDocument(body))


def test_numbers_and_dates_are_written_as_the_standard_says():
    assert document_number("甲汛", 2026, 7) == "甲汛〔2026〕7号"
    assert chinese_date(date(2026, 7, 5)) == "2026年7月5日"
    assert [chinese_ordinal(n) for n in (1, 10, 11, 20, 45, 99)] == ["一", "十", "十一", "二十", "四十五", "九十九"]
    for wrong in (0, -3):
        with pytest.raises(DocumentRefused):
            document_number("甲汛", 2026, wrong)


def test_the_pdf_is_a4_and_carries_every_part():
    body = pdf(PAPER, made_at=datetime(2026, 7, 5, tzinfo=UTC))
    assert body.startswith(b"%PDF-")
    words = re.sub(r"\s", "", text_of(body))
    for part in ("甲县防汛抗旱指挥部文件", "甲汛〔2026〕7号", "特急", "关于启动防汛Ⅳ级应急响应的通知", "各乡镇人民政府：", "一、总体情况", "甲一镇", "201.9", "附件：", "1.命令清单", "2.雨量表", "2026年7月5日", "抄送：", "甲县防办", "—1—"):
        assert part in words, part


def test_text_is_never_read_as_markup():
    words = re.sub(r"\s", "", text_of(pdf(PAPER)))
    assert "#panic()$x$*重*<b>不是标记</b>" in words


def test_the_same_values_give_the_same_pdf():
    at = datetime(2026, 7, 5, tzinfo=UTC)
    assert pdf(PAPER, made_at=at) == pdf(PAPER, made_at=at)


def test_the_first_line_of_text_begins_where_the_margins_say():
    page = PdfDocument(pdf(PAPER))[0]
    assert page.get_size() == pytest.approx((595.28, 841.89), abs=0.5)
    letters = page.get_textpage()
    first, _count = letters.search("各乡镇").get_next()
    assert letters.get_charbox(first, loose=True)[0] == pytest.approx(28 / 25.4 * 72, abs=2.5)


def test_an_exercise_wears_its_name_on_every_page_and_an_actual_document_does_not():
    long = replace(PAPER, body=[Paragraph(text="汛情通报。" * 60)] * 6)
    name = "演练·夏汛一号"
    words = text_of(pdf(replace(long, band=Band(text=name))))
    pages = words.count("\f")
    assert pages >= 3 and words.count(name) == 2 * pages
    assert name not in text_of(pdf(long))
    word = read_docx(io.BytesIO(docx(replace(long, band=Band(text=name)))))
    section = word.sections[0]
    for part in (section.header, section.even_page_header):
        paragraph = part.paragraphs[0]
        assert name in paragraph.text and paragraph._p.pPr.find(qn("w:shd")).get(qn("w:val")) == "diagStripe"


def test_the_docx_is_editable_with_the_margins_and_faces_of_the_standard():
    word = read_docx(io.BytesIO(docx(PAPER)))
    section = word.sections[0]
    for found, wanted in ((section.top_margin, 37), (section.bottom_margin, 35), (section.left_margin, 28), (section.right_margin, 26), (section.page_width, 210), (section.page_height, 297)):
        assert abs(found - Mm(wanted)) < Mm(0.1)
    title = next(paragraph for paragraph in word.paragraphs if paragraph.text == PAPER.title)
    assert title.runs[0].font.size.pt == 22 and title.runs[0]._element.rPr.rFonts.get(qn("w:eastAsia")) == "方正小标宋简体"
    body = next(paragraph for paragraph in word.paragraphs if paragraph.text.startswith("#panic"))
    assert body.runs[0].font.size.pt == 16 and body.runs[0]._element.rPr.rFonts.get(qn("w:eastAsia")) == "仿宋_GB2312" and body.paragraph_format.first_line_indent.pt == 32
    assert [cell.text for cell in word.tables[0].rows[1].cells] == ["甲一镇", "201.9"]
    assert word.settings.odd_and_even_pages_header_footer


def test_a_pack_prints_its_tables_and_says_when_it_was_made():
    words = re.sub(r"\s", "", text_of(pdf(Pack(title="值班应急包", made="2026-07-20 08:00生成", body=[Heading(text="通讯录"), TABLE, Table(columns=[Column(title="命令")], rows=[], empty="没有")]))))
    assert "值班应急包" in words and "2026-07-2008:00生成" in words and "甲一镇" in words and "没有" in words


def test_what_cannot_be_laid_out_is_refused_by_name():
    for wrong, field in (
        (replace(PAPER, title=" "), "title"),
        (replace(PAPER, body=[replace(TABLE, rows=[["只有一格"]])]), "table"),
        (replace(PAPER, body=[replace(TABLE, rows=[["a", "b"]] * 5001)]), "table"),
        (replace(PAPER, body=[Heading(text="x", level=5)]), "heading"),
        (replace(PAPER, body=[Paragraph(text="长" * 20_001)]), "text"),
    ):
        for render in (pdf, docx):
            with pytest.raises(DocumentRefused) as caught:
                render(wrong)
            assert caught.value.field == field


def test_control_characters_are_dropped_and_do_not_break_either_form():
    odd = replace(PAPER, body=[Paragraph(text="甲\x00\x0b\ud800乙")])
    assert "甲乙" in "".join(paragraph.text for paragraph in read_docx(io.BytesIO(docx(odd))).paragraphs)
    assert "甲乙" in text_of(pdf(odd))
