"""A paper's file as text: .docx, .pdf, .txt, .md; numbering that Word counts by itself is written out.

What cannot be read is refused with its reason (BadPaper); nothing is unpacked beyond the limits.
"""
from __future__ import annotations

import io
import zipfile
from typing import Any

MAX_BYTES = 60 * 1024 * 1024
MAX_UNPACKED = 200 * 1024 * 1024
MAX_PAGES = 3_000


class BadPaper(ValueError):
    """The file cannot be read as a paper. `code` is one word for machines."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def text_of(raw: bytes) -> tuple[str, list[str]]:
    """(text, warnings) of a file by its content. BadPaper: too_large, empty, encoding, encrypted, broken, no_text, unknown."""
    if len(raw) > MAX_BYTES:
        raise BadPaper("too_large", f"{len(raw) >> 20} MB; at most {MAX_BYTES >> 20} MB are read")
    if not raw.strip():
        raise BadPaper("empty", "the file is empty")
    if raw.startswith(b"%PDF-") or b"%PDF-" in raw[:1024]:
        return _pdf(raw)
    if raw.startswith(b"PK\x03\x04"):
        return _docx(raw)
    if raw.startswith(b"\xd0\xcf\x11\xe0"):
        # A locked .docx lies in the old container, in a stream of this name.
        if "EncryptedPackage".encode("utf-16-le") in raw:
            raise BadPaper("encrypted", "the Word file is locked with a password: save it without one")
        raise BadPaper("unknown", "an old Word file (.doc): save it as .docx")
    return _plain(raw)


def _plain(raw: bytes) -> tuple[str, list[str]]:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        if b"\x00" in raw[:4096]:
            raise BadPaper("unknown", "neither .docx, .pdf nor text")
        encodings = ["utf-8-sig", "gb18030", "big5"]
    for encoding in encodings:
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        # A wrong guess shows: Chinese text is mostly of the common block.
        if encoding in ("gb18030", "big5") and _strange(text) > 0.2:
            continue
        return text.replace("\r\n", "\n").replace("\r", "\n"), [] if encoding == "utf-8-sig" else [f"read as {encoding}"]
    text = raw.decode("utf-8-sig", errors="replace")
    lost = text.count("\ufffd")
    if lost > 0.02 * len(text):
        raise BadPaper("encoding", "the encoding is none of UTF-8, GB 18030, Big5, UTF-16")
    return text.replace("\r\n", "\n").replace("\r", "\n"), [f"{lost} characters could not be decoded"]


def _strange(text: str) -> float:
    far = [char for char in text[:20_000] if ord(char) > 127]
    return sum(not ("\u4e00" <= char <= "\u9fff" or "\u2000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef" or "\u2150" <= char <= "\u24ff") for char in far) / max(len(far), 1)


def _pdf(raw: bytes) -> tuple[str, list[str]]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(raw)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise BadPaper("encrypted", "the PDF is locked with a password: save it without one")
        raise BadPaper("broken", f"the PDF is broken: {error}")
    try:
        if len(document) > MAX_PAGES:
            raise BadPaper("too_large", f"{len(document)} pages; at most {MAX_PAGES} are read")
        pages, bare = [], 0
        for number in range(len(document)):
            page = document[number]
            words = page.get_textpage().get_text_bounded()
            bare += not words.strip()
            pages.append(words.replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe", "").replace("\u0002", ""))
    except pypdfium2.PdfiumError as error:
        raise BadPaper("broken", f"the PDF is broken: {error}")
    finally:
        document.close()
    if bare == len(pages):
        raise BadPaper("no_text", "the PDF holds pictures of pages and no text: run it through OCR first (for example ocrmypdf with tesseract, language chi_sim)")
    return "\n".join(pages), [f"{bare} of {len(pages)} pages hold no text (pictures?)"] if bare else []


def _docx(raw: bytes) -> tuple[str, list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as packed:
            entries = packed.infolist()
            if sum(entry.file_size for entry in entries) > MAX_UNPACKED or len(entries) > 5_000:
                raise BadPaper("too_large", f"unpacked it is larger than {MAX_UNPACKED >> 20} MB")
            if any(entry.flag_bits & 1 for entry in entries):
                raise BadPaper("encrypted", "the file is locked with a password: save it without one")
            names = {entry.filename for entry in entries}
            if "word/document.xml" not in names:
                raise BadPaper("unknown", "a packed file, but no Word document (.docx)")
            for entry in entries:
                if entry.filename.endswith((".xml", ".rels")) and b"<!DOCTYPE" in packed.open(entry).read(2048).upper():
                    raise BadPaper("broken", "it declares a document type, which no Word file does")
        from docx import Document

        document = Document(io.BytesIO(raw))
        return _word(document)
    except BadPaper:
        raise
    except Exception as error:  # python-docx and lxml raise many kinds for a damaged file
        raise BadPaper("broken", f"the Word file is damaged: {type(error).__name__}: {str(error)[:120]}")


def _word(document: Any) -> tuple[str, list[str]]:
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    numbers = _Numbering(document)
    lines: list[str] = []
    for block in document.iter_inner_content():
        if isinstance(block, Paragraph):
            lines.append(numbers.of(block) + block.text)
        elif isinstance(block, Table):
            lines.append("[表]")
            for row in block.rows:
                seen, cells = None, []
                for cell in row.cells:
                    if cell._tc is not seen:  # a merged cell comes once
                        cells.append(" ".join(cell.text.split()))
                    seen = cell._tc
                lines.append("\t".join(cells))
            lines.append("[/表]")
    text = "\n".join(lines)
    if not text.strip():
        raise BadPaper("no_text", "the Word file holds no text (pictures of pages?)")
    return text, []


class _Numbering:
    """Word keeps "（一）" of an automatic list in another part than the text: count as Word counts."""

    def __init__(self, document: Any) -> None:
        from docx.oxml.ns import qn

        self.qn = qn
        self.levels: dict[tuple[str, int], tuple[str, str, int]] = {}
        self.lists: dict[str, str] = {}
        self.counts: dict[str, dict[int, int]] = {}
        self.styles: dict[str, tuple[str, int]] = {}
        try:
            root = document.part.numbering_part.element
        except (KeyError, NotImplementedError, AttributeError):
            return
        for abstract in root.findall(qn("w:abstractNum")):
            key = abstract.get(qn("w:abstractNumId"))
            for level in abstract.findall(qn("w:lvl")):
                at = int(level.get(qn("w:ilvl"), 0))

                def value(tag: str, level: Any = level) -> str:
                    found = level.find(qn(tag))
                    return found.get(qn("w:val"), "") if found is not None else ""

                self.levels[key, at] = (value("w:numFmt"), value("w:lvlText"), int(value("w:start") or 1))
        for number in root.findall(qn("w:num")):
            abstract = number.find(qn("w:abstractNumId"))
            if abstract is not None:
                self.lists[number.get(qn("w:numId"))] = abstract.get(qn("w:val"))

    def _place(self, paragraph: Any) -> tuple[str, int] | None:
        qn = self.qn
        properties = paragraph._p.pPr
        holders = [properties] if properties is not None else []
        style = paragraph.style
        while style is not None:
            if style.element.pPr is not None:
                holders.append(style.element.pPr)
            style = style.base_style
        for holder in holders:
            found = holder.find(qn("w:numPr"))
            if found is not None:
                number, level = found.find(qn("w:numId")), found.find(qn("w:ilvl"))
                if number is None or number.get(qn("w:val")) == "0":
                    return None
                return number.get(qn("w:val")), int(level.get(qn("w:val"), 0)) if level is not None else 0
        return None

    def of(self, paragraph: Any) -> str:
        place = self._place(paragraph) if self.lists else None
        if place is None or not paragraph.text.strip():
            return ""
        number, level = place
        abstract = self.lists.get(number, "")
        kind, shape, start = self.levels.get((abstract, level), ("", "", 1))
        if not kind or kind in ("none", "bullet"):
            return ""
        counts = self.counts.setdefault(abstract, {})
        counts[level] = counts.get(level, start - 1) + 1
        for deeper in [one for one in counts if one > level]:
            del counts[deeper]
        out = shape
        for at in range(level + 1):
            form = self.levels.get((abstract, at), ("decimal", "", 1))
            out = out.replace(f"%{at + 1}", _written(counts.get(at, form[2]), form[0]))
        return out + ("" if out.endswith(("、", "）", ")")) else " ")


def _written(value: int, kind: str) -> str:
    if kind.startswith(("chinese", "ideograph", "japaneseCounting", "taiwaneseCounting")):
        from anlan.engines.documents.values import chinese_ordinal

        return chinese_ordinal(value) if 1 <= value <= 99 else str(value) if value else "零"
    if kind == "decimalEnclosedCircle" and 1 <= value <= 20:
        return chr(0x245F + value)
    if kind in ("lowerLetter", "upperLetter") and 1 <= value <= 26:
        return chr((97 if kind == "lowerLetter" else 65) + value - 1)
    if kind in ("lowerRoman", "upperRoman"):
        out, rest = "", value
        for size, sign in ((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")):
            while rest >= size:
                out, rest = out + sign, rest - size
        return out if kind == "lowerRoman" else out.upper()
    return str(value)
