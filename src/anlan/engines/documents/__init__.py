"""Official documents as PDF and editable .docx, laid out after GB/T 9704-2012 (党政机关公文格式). Values in, bytes out.

    from anlan.engines.documents import Official, Paragraph, pdf, docx
    data = pdf(Official(organ="…", number="…", title="…", body=[Paragraph(text="…")], signer="…", signed_on="…"))

Time of one page is about 0.1 s; the same values and `made_at` give the same PDF bytes.
"""
from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from .pdf import pdf
from .values import (
    Band,
    Block,
    Column,
    DocumentRefused,
    Heading,
    Official,
    Pack,
    Paragraph,
    Picture,
    Table,
    Words,
    chinese_date,
    chinese_ordinal,
    document_number,
)


def docx(document: Official | Pack, *, made_at: datetime | None = None, pictures: Mapping[str, bytes] | None = None) -> bytes:
    """`word.docx`; its package is read when the first one is asked for."""
    from .word import docx as made

    return made(document, made_at=made_at, pictures=pictures)


__all__ = [
    "Band", "Block", "Column", "DocumentRefused", "Heading", "Official", "Pack", "Paragraph", "Picture", "Table", "Words",
    "chinese_date", "chinese_ordinal", "document_number", "docx", "pdf",
]
