"""The values a document is made of: plain frozen dataclasses that travel to both renderers as JSON."""
from __future__ import annotations

import unicodedata
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Literal

# A budget, so that one wrong query cannot fill the memory of the printing process.
MAX_ROWS = 5_000
MAX_TEXT = 20_000

Align = Literal["left", "center", "right"]


class DocumentRefused(ValueError):
    """The values cannot be laid out; `field` names the value at fault and `why` says what to do."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field, self.why = field, why


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading inside the body. Levels 1–4 are 一、 （一） 1. （1） of GB/T 9704-2012 §7.3.3; the number is part of the text."""

    text: str
    level: int = 1
    kind: str = field(default="heading", init=False)


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Running text; `indent` False for a line that begins at the margin (the addressee is its own field)."""

    text: str
    indent: bool = True
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True, kw_only=True)
class Column:
    """Head of a table column: its title (with the unit), its share of the width, and how its cells stand."""

    title: str
    share: float = 1.0
    align: Align = "left"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text cells under columns; `note` stands below (source, age, what is missing)."""

    columns: list[Column]
    rows: list[list[str]]
    caption: str = ""
    note: str = ""
    empty: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A photograph by its key; the bytes are handed to the renderer apart, so that frozen values stay small."""

    key: str
    caption: str = ""
    kind: str = field(default="picture", init=False)


Block = Heading | Paragraph | Table | Picture


@dataclass(frozen=True, kw_only=True)
class Band:
    """The hatched violet band an exercise or a replay wears on every page."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Words:
    """The fixed words of an official document, so that the renderers know no language."""

    attachment: str = "附件："
    copies: str = "抄送："
    colon: str = "："
    stop: str = "。"


@dataclass(frozen=True, kw_only=True)
class Official:
    """An official document (公文) in the layout of GB/T 9704-2012.

    organ        name of the issuing organ as it stands in red (发文机关标志)
    number       document number (发文字号), see `document_number`
    title        the title (标题)
    addressee    main recipients (主送机关), without the colon
    body         blocks in order
    attachments  names of attachments (附件说明), without numbers
    signer       issuing organ in the signature (发文机关署名); `signed_on` is the text of the date (成文日期)
    note         remark in brackets under the date (附注), e.g. contact person and telephone
    copies       organs the document is copied to (抄送)
    printer      printing organ and `printed_on` its date (印发机关和印发日期)
    urgency      特急 / 加急, or empty      secrecy  密级, or empty      copy_no  份号, six digits, or empty
    """

    organ: str
    number: str
    title: str
    body: list[Block]
    signer: str
    signed_on: str
    addressee: str = ""
    attachments: list[str] = field(default_factory=list)
    note: str = ""
    copies: list[str] = field(default_factory=list)
    printer: str = ""
    printed_on: str = ""
    urgency: str = ""
    secrecy: str = ""
    copy_no: str = ""
    band: Band | None = None
    lang: str = "zh"
    words: Words = field(default_factory=Words)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A working paper to print: title, a line saying when it was made and until when it is good, then blocks."""

    title: str
    made: str
    body: list[Block]
    foot: str = ""
    band: Band | None = None
    lang: str = "zh"


def document_number(prefix: str, year: int, number: int) -> str:
    """Document number: prefix of the organ, year in six-cornered brackets, running number without leading zeros or 第.

    GB/T 9704-2012 §7.2.5.

    >>> document_number("安应急", 2026, 7)
    '安应急〔2026〕7号'
    """
    if not 1000 <= year <= 9999 or number < 1:
        raise DocumentRefused("number", "the year has four digits and the number counts from 1")
    return f"{prefix}〔{year}〕{number}号"


def chinese_date(day: date) -> str:
    """Date in Arabic figures, month and day without leading zero (GB/T 9704-2012 §7.3.5.4).

    >>> chinese_date(date(2026, 7, 5))
    '2026年7月5日'
    """
    return f"{day.year}年{day.month}月{day.day}日"


_DIGITS = "零一二三四五六七八九"


def chinese_ordinal(number: int) -> str:
    """1 → 一, 12 → 十二, 20 → 二十, up to 99, for headings 一、 二、 …

    >>> [chinese_ordinal(n) for n in (1, 10, 12, 20, 99)]
    ['一', '十', '十二', '二十', '九十九']
    """
    if not 1 <= number <= 99:
        raise DocumentRefused("number", "headings are numbered 1 to 99")
    tens, ones = divmod(number, 10)
    return ("" if not tens else ("十" if tens == 1 else _DIGITS[tens] + "十")) + ("" if tens and not ones else _DIGITS[ones])


def clean(value: Any) -> Any:
    """The value with every text free of control and surrogate characters (neither PDF nor XML takes them)."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise DocumentRefused("text", f"one text has {len(value)} characters, at most {MAX_TEXT} are laid out")
        return "".join(ch for ch in value if ch == "\n" or unicodedata.category(ch) not in ("Cc", "Cs", "Cn"))
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def as_json(document: Official | Pack) -> dict[str, Any]:
    """The document as JSON-able values, checked: every row as wide as its head, not more than the budget."""
    if not document.title.strip():
        raise DocumentRefused("title", "a document needs a title")
    total = 0
    for block in document.body:
        if isinstance(block, Table):
            total += len(block.rows)
            if not block.columns or any(column.share <= 0 for column in block.columns):
                raise DocumentRefused("table", f"table “{block.caption}” needs columns, each with a share above 0")
            for number, row in enumerate(block.rows, 1):
                if len(row) != len(block.columns):
                    raise DocumentRefused("table", f"table “{block.caption}”, row {number}: {len(row)} cells under {len(block.columns)} columns")
        elif isinstance(block, Heading) and not 1 <= block.level <= 4:
            raise DocumentRefused("heading", "headings have levels 1 to 4")
    if total > MAX_ROWS:
        raise DocumentRefused("table", f"{total} rows, at most {MAX_ROWS} are laid out; narrow the selection")
    return clean(asdict(document))
