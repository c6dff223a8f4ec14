"""A Chinese official paper as a tree of clauses, each with its place in the source.

    read(text) -> Paper        title, issuer, number, date, clauses, warnings

What is not the paper's own goes by rule and is said: page marks, running heads, tables of contents. A number opens a clause only when it
is the one to be expected there, so that "2 座水库" or "56.5 m" never does. Spans are characters of `text` as given; a clause's `text` is
what stands in its span less the marks removed, lines broken by the page joined again.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .files import BadPaper

DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"〇": 0, "○": 0, "两": 2}
CN = "一二三四五六七八九十百零〇"
CIRCLED = {chr(0x2460 + k): k + 1 for k in range(20)}
END = "。；;！？!?：:"
MAX_CHARS = 20_000_000
TABLE, TABLE_END = "[表]", "[/表]"


@dataclass
class Clause:
    """`level` 1 is the top; `number` as printed; `span` characters of the source, end excluded, heading and text together."""

    id: str
    level: int
    number: str
    heading: str
    text: str
    span: tuple[int, int]
    kind: str = "clause"  # clause | table | annex
    children: list[Clause] = field(default_factory=list, repr=False)

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "level": self.level, "number": self.number, "heading": self.heading, "text": self.text, "span": list(self.span), "kind": self.kind}


@dataclass
class Paper:
    title: str
    issuer: str
    number: str
    date: str
    clauses: list[Clause]  # in reading order
    warnings: list[str]
    source: str = field(repr=False, default="")

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title, "issuer": self.issuer, "number": self.number, "date": self.date,
            "clauses": [clause.as_json() for clause in self.clauses], "warnings": self.warnings,
        }


def cn_number(text: str) -> int | None:
    """一百二十三 → 123, 二〇〇九 → 2009, 12 → 12; None when it is no number."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return int(text)
    if not text or any(char not in DIGITS and char not in "十百千廿" for char in text):
        return None
    if not any(char in "十百千廿" for char in text):
        return int("".join(str(DIGITS[char]) for char in text))
    total, current = 0, 0
    for char in text.replace("廿", "二十"):
        if char in DIGITS:
            current = DIGITS[char]
        else:
            total += (current or 1) * {"十": 10, "百": 100, "千": 1000}[char]
            current = 0
    return total + current


# --- what is not the paper's own ---------------------------------------------------------------------------------------


@dataclass
class _Line:
    text: str
    start: int  # of its first character in the source
    table: bool = False
    gap: bool = False  # an empty line stands before it
    made: bool = False  # a mark of ours around a drawn table: nothing in the source stands for it
    marks: tuple[tuple[int, int], ...] = ()  # positions in `text` after which so many source characters were taken out

    def at(self, offset: int) -> int:
        """The source position of a character of `text`."""
        return self.start + offset + sum(size for place, size in self.marks if place <= offset)

    @property
    def end(self) -> int:
        return self.start if self.made else self.at(max(len(self.text) - 1, 0)) + (1 if self.text else 0)


def _mechanical_marks(text: str) -> list[tuple[int, int]]:
    """Page marks `\\n7、` set by a machine every n characters: numbered from 1 without a gap and at equal distances of content."""
    found = list(re.finditer(r"\n(\d{1,4})、", text))
    chain, expected = [], 1
    for match in found:
        if int(match[1]) == expected:
            chain.append(match)
            expected += 1
    if len(chain) < 5:
        return []
    taken, places = 0, []
    for match in chain:
        places.append(match.start() - taken)
        taken += match.end() - match.start()
    steps = [b - a for a, b in zip(places[:-1], places[1:], strict=True)]
    usual = sorted(steps)[len(steps) // 2]
    if usual < 50 or sum(abs(step - usual) <= 2 for step in steps) < 0.9 * len(steps):
        return []
    return [(match.start(), match.end()) for match in chain]


# Tables drawn with lines, or written as Markdown does.
WALL = r"[┃│║|]"
DRAWN = re.compile(rf"\s*{WALL}.*{WALL}\s*$")
# Cells parted by tabs; not a number before its heading, nor a heading before its page.
TABBED = re.compile(r"(?!\s*[\d.、()（）一二三四五六七八九十①-⑳]+\t)[^\t]*[^\t\s][^\t]*\t+(?!\s*\d*\s*$)[^\n]*\S")
RULED = re.compile(r"\s*(?=.*[━─═\-].*[━─═\-])[\u2500-\u257f|:+\-\s]+$")
PAGE_NUMBER = re.compile(r"\s*(?:[-—–－·]\s*\d{1,4}\s*[-—–－·]?|\d{1,4}\s*[-—–－·]|第\s*\d{1,4}\s*页(?:\s*[共/]\s*\d{1,4}\s*页)?|\d{1,4}\s*/\s*\d{1,4}|\d{1,3})\s*")
# What a converter left; and the reading of a character that mirrors of web pages put behind it ("災(zāi)害").
TONED = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜü"
READING = re.compile(rf"(?<=[\u4e00-\u9fff])[(（](?=[a-z]{{0,6}}[{TONED}])[a-z{TONED}]{{1,7}}[)）]")
REMAINS = re.compile(rf"\[bookmark: [^\]]*\]|{READING.pattern}")
LEADER = re.compile(r"(?:\.\s*){2,}\d*\s*$|…+\s*\.*\s*\d*\s*$|[-—]\d{1,3}[-—]\s*$|\s\.?\s*\d{1,3}\s*$")


def _lines(text: str, warnings: list[str]) -> list[_Line]:
    marks = _mechanical_marks(text)
    if marks:
        warnings.append(f"{len(marks)} page marks set every few hundred characters were taken out")
    pieces: list[tuple[int, int]] = []
    at = 0
    for start, end in marks:
        pieces.append((at, start))
        at = end
    pieces.append((at, len(text)))
    # Content with the marks gone, and for each of its characters where it came from.
    content = "".join(text[a:b] for a, b in pieces)
    jumps: list[tuple[int, int]] = []
    length = 0
    for (_a, b), (c, _d) in zip(pieces[:-1], pieces[1:], strict=True):
        length += b - _a
        jumps.append((length, c - b))

    def source(offset: int) -> int:
        return offset + sum(size for place, size in jumps if place <= offset)

    lines: list[_Line] = []
    offset, table, gap, pages, remains, drawn = 0, False, False, 0, 0, False
    raws = content.split("\n")
    tabbed = [("\t" in raw) and bool(TABBED.fullmatch(raw.rstrip())) for raw in raws]
    for place, raw in enumerate(raws):
        start = offset
        offset += len(raw) + 1
        body = raw.rstrip("\r \t\u3000\x0c")
        lead = len(body) - len(body.lstrip(" \t\u3000\ufeff\x0c"))
        if not body.strip(" \t\u3000\ufeff\x0c"):
            gap = True
            continue
        stripped = body[lead:]
        cells = tabbed[place] and (place > 0 and tabbed[place - 1] or place + 1 < len(raws) and tabbed[place + 1])
        if not table and (DRAWN.match(body) or cells or (drawn and RULED.match(body))):
            if not drawn:
                lines.append(_Line(TABLE, source(start + lead), True, gap, True))
            drawn = True
            if not RULED.match(body):
                lines.append(_Line(body, source(start), True))
            continue
        if drawn:
            lines.append(_Line(TABLE_END, lines[-1].end, True, False, True))
            drawn = False
        elif not table and re.match(r"[┏┌╔┗└╚]", stripped) and RULED.match(body):
            continue  # the frame above the first row, or below the last
        if stripped == TABLE or stripped == TABLE_END:
            table = stripped == TABLE
            lines.append(_Line(stripped, source(start + lead), True, gap))
            gap = False
            continue
        if table:
            lines.append(_Line(body, source(start), True, gap))
            gap = False
            continue
        if PAGE_NUMBER.fullmatch(stripped):
            pages += 1
            continue
        inner: list[tuple[int, int]] = []
        first, last = start + lead, start + lead + len(stripped)
        for place, size in jumps:
            if first < place <= last:
                inner.append((place - first, size))
        gone = 0
        for match in REMAINS.finditer(stripped) if "[" in stripped or "(" in stripped or "（" in stripped else ():
            inner.append((match.start() - gone, len(match[0])))
            gone += len(match[0])
            remains += 1
        if gone:
            stripped = REMAINS.sub("", stripped)
        if stripped:
            if stripped.startswith("#"):
                cut = len(stripped) - len(stripped.lstrip("# "))
                lead, stripped = lead + cut, stripped[cut:]
            lines.append(_Line(stripped, source(start + lead), False, gap, marks=tuple(inner)))
        gap = False
    if drawn:
        lines.append(_Line(TABLE_END, lines[-1].end, True, False, True))
    if pages:
        warnings.append(f"{pages} lines that held only a page number were taken out")
    if remains:
        warnings.append(f"{remains} remains of a converter were taken out")
    return _contents(_heads(lines, warnings), warnings)


def _plain(text: str) -> str:
    return re.sub(r"[\s.…·\-—]+", "", text)


def _heads(lines: list[_Line], warnings: list[str]) -> list[_Line]:
    """Running heads: the same short line, four times or more, that is no clause."""
    times: dict[str, int] = {}
    for line in lines:
        if not line.table and 3 < len(line.text) <= 40 and not _first_marker(line.text) and line.text[-1] not in "。；;：:":
            times[line.text] = times.get(line.text, 0) + 1
    running = {text for text, count in times.items() if count >= 4}
    if not running:
        return lines
    kept, seen = [], set()
    for line in lines:
        if line.text in running and line.text in seen:
            continue
        seen.add(line.text)
        kept.append(line)
    warnings.append(f"running heads were taken out: {'; '.join(sorted(running))[:120]}")
    return kept


def _contents(lines: list[_Line], warnings: list[str]) -> list[_Line]:
    """The table of contents: a run of heading lines (with leaders or page numbers, or none) whose headings come again later."""
    def entry(line: _Line) -> bool:
        text = line.text
        if line.table or len(text) > 300:
            return False
        if re.fullmatch(r"目\s*[录錄次]|目\s+[录錄]", text):
            return True
        if LEADER.search(text) and not re.search(r"[。；]", text):
            return True
        return len(text) <= 45 and not re.search(r"[。；;：:]", text) and (bool(_first_marker(text)) or bool(re.match(r"前\s*言|附\s*[件录表图则]", text)))

    plain = [_plain(re.sub(LEADER, "", line.text)) for line in lines]
    at = 0
    while at < min(len(lines), 400):
        if not entry(lines[at]):
            at += 1
            continue
        end, misses, hits = at, 0, 0
        last = at
        while end < len(lines) and misses <= 1:
            if entry(lines[end]):
                hits, misses, last = hits + 1, 0, end
            else:
                misses += 1
            end += 1
        named = bool(re.fullmatch(r"目\s*[录錄次]", lines[at].text))
        first = next((k for k in range(at + named, last + 1) if plain[k]), at)
        later = [k for k in range(first + 1, min(len(lines), last + 400)) if plain[k] == plain[first]]
        # The body begins where the first heading comes again; a heading at the end of the run may be that one.
        if hits >= 6 and (later or named):
            stop = last + 1
            if later and later[0] <= last:
                stop = later[0]
            warnings.append(f"a table of contents of {stop - at} lines was left out")
            return lines[:at] + lines[stop:]
        at = last + 1
    return lines


def _inline_contents(lines: list[_Line], warnings: list[str]) -> list[_Line]:
    """A table of contents that runs on in one line: `取得成效-2-(二)…-3-` five times or more."""
    kept = []
    for line in lines:
        match = re.search(r"(?:目\s*录)?(?:[^-。\n]{1,70}?-\d{1,3}-){5,}", line.text) if len(line.text) > 200 else None
        if match is None:
            kept.append(line)
            continue
        warnings.append("a table of contents within a line was left out")
        kept += [_part(line, a, b) for a, b in ((0, match.start()), (match.end(), len(line.text))) if line.text[a:b].strip()]
    return kept


def _part(line: _Line, a: int, b: int) -> _Line:
    """A piece of a line, as a line after an empty one."""
    while a < b and line.text[a].isspace():
        a += 1
    marks = tuple((place - a, size) for place, size in line.marks if a < place <= b)
    return _Line(line.text[a:b].rstrip(), line.at(a), False, line.gap or a > 0, marks=marks)


# A heading within a text without line ends: "… 5.1.2 启动程序 灾害发生后…", "…。 6 灾后救助 6.1 …", "… 第三章 预警 第九条 …"; none that is only spoken of.
_HEAD = re.compile(
    rf"(?:(?<=\s)|(?<=[。；;：:）)]))(?:\d{{1,2}}(?:\s?[.．\ue000-\uf8ff]\s?\d{{1,2}}){{1,3}}[.．]?\s*(?!的|条|款|项|节|所|规定|中|和|至|、)[\u4e00-\u9fffⅠ-Ⅻⅰ-ⅻ]|\d{{1,2}}[.．]?\s+[\u4e00-\u9fff]{{2,14}}\s+(?=\d{{1,2}}[.．]1(?!\d))|第[{CN}]{{1,3}}[章节条]\s|[{CN}]{{1,3}}、[\u4e00-\u9fff]{{2,16}}\s)"
)
_SPOKEN_OF = re.compile(r"(?:见|按|照|第|本|上述|和|、|至|的|符合|达到|根据|依据)\s*$")
_HEADED = re.compile(rf"(?:\d{{1,2}}(?:\s?[.．\ue000-\uf8ff]\s?\d{{1,2}}){{0,3}}[.．]?|[{CN}]{{1,3}}、)\s*[^\s。；，,;：:、（(]{{2,20}}(?:[（(][^\s（）()]{{1,12}}[）)])?(?=\s)")


def _without_ends(lines: list[_Line], warnings: list[str]) -> list[_Line]:
    """A page without line ends is cut before its headings and behind them; where there are only one or two they are left to the sentence."""
    kept: list[_Line] = []
    for line in lines:
        cuts = [] if line.table or len(line.text) < 1500 else [
            one.start() for one in _HEAD.finditer(line.text) if not _SPOKEN_OF.search(line.text[max(0, one.start() - 6) : one.start()]) and not _MEASURED.match(line.text, one.start())
        ]
        if not 3 <= len(cuts) <= 2000:  # no page has more headings
            kept.append(line)
            continue
        behind = {end for at in cuts if (headed := _HEADED.match(line.text, at)) and (end := headed.end()) < len(line.text)}
        edges = sorted({0, len(line.text), *cuts, *behind})
        parts = [_part(line, a, b) for a, b in zip(edges, edges[1:], strict=False) if line.text[a:b].strip()]
        kept += _contents(parts, warnings)
    return kept


# --- numbers that open a clause ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Marker:
    style: str
    value: tuple[int, ...]
    printed: str
    size: int  # characters of the marker


MARKERS: tuple[tuple[str, re.Pattern], ...] = (
    ("chapter", re.compile(rf"第\s*([{CN}\d]+)\s*([编章节条])\s*")),
    ("cn", re.compile(rf"([{CN}]{{1,4}})\s*[、．.]\s*")),
    ("cn_gap", re.compile(rf"([{CN}]{{1,4}})\s+(?=[\u4e00-\u9fff])")),
    ("cnp", re.compile(rf"[（(]\s*([{CN}]{{1,4}})\s*[）)]\s*[、.]?\s*")),
    ("arp", re.compile(r"[（(]\s*(\d{1,3})\s*[）)]\s*[、.]?\s*")),
    # OCR loses the point to a blank or to a character of no meaning (private use).
    ("dec", re.compile(r"(\d{1,2}(?:\s*[.．\ue000-\uf8ff]\s*(?:\d{1,2}|[lI](?![a-zA-Z]))){1,4})(?![\d%％])\s*[.．、]?\s*")),
    ("dec_gap", re.compile(r"(\d{1,2}(?:\s+\d{1,2}){1,3})(?![\d%％.．])\s+")),
    ("one", re.compile(r"(\d{1,3})\s*([.．、])(?!\s*\d)\s*")),
    ("one_gap", re.compile(r"(\d{1,2})\s+(?=[\u4e00-\u9fff])")),
    ("one_bare", re.compile(r"(\d{1,2})(?=[\u4e00-\u9fff])")),
    ("arb", re.compile(r"(\d{1,3})\s*[)）]\s*")),
    ("circled", re.compile(r"([①-⑳])\s*")),
    ("dash", re.compile(r"(——|--)\s*(?=[\u4e00-\u9fffⅠ-Ⅻ])")),
)
INLINE = ("cnp", "arp", "one", "circled", "cn")
# A unit behind a number; not the word a heading begins with ("1.人员值守", "2.次生灾害", "3.台风").
UNITS = re.compile(
    r"\s*(?:米|m|M|毫米|mm|公里|km|千米|小时|h|分钟|天(?!气)|日(?!常)|月|年(?!度)|人(?![员民力身])|座|条(?!件)|个(?!人)|县(?![级政委])|处(?!置|理)|起|级(?!别)|万|亿|%|％|～|~|吨|户|间|站|次(?!生)|名(?![称词])|支(?![持援])|台(?!风(?!力))|时(?![限间])|℃|°)"
)
_MEASURED = re.compile(rf"[\d.．\s\ue000-\uf8ff]*(?:{UNITS.pattern})")


def _marker(text: str, at: int, style: str, pattern: re.Pattern) -> _Marker | None:
    match = pattern.match(text, at)
    if match is None:
        return None
    size = match.end() - at
    if style == "chapter":
        value = cn_number(match[1])
        return None if value is None else _Marker("chapter" + match[2], (value,), match[0].strip(), size)
    if style == "cn_gap" and (at or len(text) > 20 or not _titled(text[match.end() :])):
        return None  # "一 总则" alone on its line
    if style in ("cn", "cn_gap", "cnp"):
        value = cn_number(match[1])
        return None if not value else _Marker(style.removesuffix("_gap"), (value,), match[0].strip(), size)
    if style == "circled":
        return _Marker(style, (CIRCLED[match[1]],), match[1], size)
    if style == "dash":
        return _Marker(style, (0,), "——", size)
    if style in ("dec", "dec_gap"):
        if re.match(r"\s*(?:(?:km|mm|cm|m|M|h|s|t|kg|m³|m3)(?![a-zA-Z])|%|％|～|~|℃|°)", text[match.end() :]):
            return None
        return _Marker("dec", tuple(int(part) if part.isdigit() else 1 for part in re.findall(r"\d+|[lI]", match[1])), match[0].strip(), size)
    if style == "one_bare" and (at or len(text) > 20 or not _titled(text[match.end() :])):
        return None  # "1总则" alone on its line
    if style in ("one", "one_gap", "one_bare"):
        if style == "one_gap" and UNITS.match(text, match.end()):
            return None
        return _Marker("one" + (match[2] if style == "one" else " ").replace("．", "."), (int(match[1]),), match[0].strip(), size)
    if style == "arp" and "（" not in match[0]:
        style = "arp half"
    return _Marker(style, (int(match[1]),), match[0].strip(), size)


def _first_marker(text: str) -> _Marker | None:
    for style, pattern in MARKERS:
        if found := _marker(text, 0, style, pattern):
            return found
    return None


@dataclass
class _Open:
    style: str
    value: tuple[int, ...]
    clause: Clause
    ends: int = 0


def _titled(title: str) -> bool:
    """Whether what follows a number reads like a heading: short, no stop in it, no unit first ("1.5 倍于常年。")."""
    words = title.strip()
    return 2 <= len(words) <= 34 and not re.search(r"[。；;，,：:、]|\d{2}", words) and not UNITS.match(words) and bool(re.match(r"[\u4e00-\u9fffⅠ-Ⅻ“《IVX(（]", words)) and not re.match(r"倍|至|到|以|分", words)


class _Tree:
    """The open clauses from the top down; decides whether a number may stand here, and how deep."""

    def __init__(self, warnings: list[str]) -> None:
        self.stack: list[_Open] = []
        self.clauses: list[Clause] = []
        self.warnings = warnings
        self.ids: set[str] = set()
        self.again: dict[str, int] = {}
        self.decimals = False

    def depth_of(self, marker: _Marker, title: str, inline: bool, bare: bool = False) -> int | None:
        """How many of the open clauses stay open when this one begins; None when the number is not one to be expected here."""
        style, value = marker.style, marker.value
        stack = self.stack
        if style == "dec":
            return None if inline else self._decimal(value, title)
        if style.startswith("chapter"):
            order = "编章节条"
            for depth, one in enumerate(stack):
                if one.style.startswith("chapter") and order.index(one.style[-1]) >= order.index(style[-1]):
                    return depth
            return sum(one.style.startswith("chapter") for one in stack)
        if style == "dash":
            if inline or (stack and stack[-1].style == "dash"):
                return None if inline else len(stack) - 1
            return len(stack)
        short = len(title) <= 22 and not re.search(r"[。；，,;：:]", title)
        if style.startswith("one") and not inline and short and self.decimals:
            # "6 信息报告" among "5.7 …": the next chapter, whatever list is open below.
            for depth, one in enumerate(stack):
                if one.style.startswith("one") and depth == 0 and value[0] == one.value[0] + 1:
                    if one.style != style and any(below.style == style and below.value[0] + 1 == value[0] for below in stack[1:]):
                        break  # a list of this very style is open and has the number next
                    return 0
                if one.style == style and depth == 0 and 1 < value[0] - one.value[0] <= 9 and len(title) <= 12 and _titled(title) and stack[-1].style == "dec":
                    self.warnings.append(f"{marker.printed}: {value[0] - one.value[0] - 1} number(s) before it are missing")
                    return 0
        exact = any(one.style == style for one in stack)
        for depth in range(len(stack) - 1, -1, -1):
            one = stack[depth]
            # Brackets of the other width, or another stop after the number, carry a list on only where no list of their own is open.
            kin = one.style.split(" ")[0].rstrip(".、") == style.split(" ")[0].rstrip(".、") and value[0] == one.value[0] + 1 and not exact
            if one.style != style and not kin:
                continue
            if depth == 0 and self.decimals and style.startswith("one") and value[0] > 1 and not _titled(title):
                continue  # "6．城管局组织做好环卫、照明…" is the sixth of a list that was lost, not the chapter after the fifth
            step = value[0] - one.value[0]
            if step == 1:
                return depth
            if not inline and 1 < step <= 3 and (depth > 0 or short or style.startswith("arp")):
                self.warnings.append(f"{marker.printed}: {step - 1} number(s) before it are missing")
                return depth
            if value[0] == 1 and not inline and depth > 0 and depth == len(stack) - 1:
                # The list begins again: a second list of its parent.
                return depth
            if value[0] == one.value[0] and not inline and short and style in ("cn", "cnp"):
                self.warnings.append(f"{marker.printed} stands twice in a row; the second is taken as the next")
                return depth
            if value[0] == 1:
                break
        if value[0] == 1:
            # A new list, one deeper; (一) closes nothing, but may not stand below a list finer than itself.
            rank = {"cn": 1, "cnp": 2, "one.": 3, "one、": 3, "one ": 0, "arp": 4, "arp half": 4.5, "arb": 5, "circled": 6}
            depth = len(stack)
            while depth and not bare and rank.get(stack[depth - 1].style, -1) >= rank.get(style, 9) and stack[depth - 1].style != style:
                depth -= 1
            return depth
        if not inline and not stack and (value[0] <= 2 or value[0] <= 12 and self.decimals and style.startswith("one") and _titled(title)):
            return 0
        return None

    def _decimal(self, value: tuple[int, ...], title: str) -> int | None:
        base = 1 if self.stack and self.stack[0].style == "annex" else 0
        tops = [(depth, one) for depth, one in enumerate(self.stack) if one.style == "dec" or (one.style.startswith("one") and depth == base)]
        named = _titled(title)
        if not tops:
            # The paper begins in the middle, or its "1" was lost.
            return len(self.stack) if named or all(part == 1 for part in value[1:]) and value[0] <= 3 else None
        for depth, one in reversed(tops):
            known = one.value
            if len(value) == len(known) and value[:-1] == known[:-1] and 0 < value[-1] - known[-1] <= (5 if named else 2):
                return depth
            if len(value) == len(known) + 1 and value[:-1] == known and value[-1] <= 2:
                return depth + 1
            if len(value) > len(known) + 1 and value[: len(known)] == known and value[-1] == 1:
                return depth + 1
            if named and len(value) > len(known) and value[: len(known)] == known and max(value[len(known) :]) <= 9:
                self.warnings.append(f"{'.'.join(map(str, value))}: numbers before it are missing")
                return depth + 1
            if len(value) >= 2 and len(known) == 1 and (len(value) == 2 or named) and value[0] == known[0] + 1 and (value[1] == 1 or named):
                self.warnings.append(f"{'.'.join(map(str, value))}: its chapter heading was not found")
                return depth
        depth, one = tops[0]
        if named and len(value) <= 3 and len(one.value) > 1 and value > one.value and value[0] - one.value[0] <= 4:
            self.warnings.append(f"{'.'.join(map(str, value))}: chapters before it are missing")
            return depth
        return None

    def add(self, depth: int, marker: _Marker | None, heading: str, text: str, span: tuple[int, int], kind: str = "clause") -> Clause:
        del self.stack[depth:]
        parent = self.stack[-1].clause if self.stack else None
        if marker is None or marker.style.startswith("label"):
            key = (f"{parent.id}/" if parent and marker else "") + (heading[:12] or "0")
        elif marker.style == "dec":
            key = ".".join(map(str, marker.value))
        elif marker.style.startswith("one") and not parent:
            key = str(marker.value[0])
        elif marker.style == "dash":
            key = f"{parent.id if parent else ''}-{1 + sum(child.number == '——' for child in parent.children) if parent else 1}"
        else:
            bare = marker.printed.rstrip("、.．").replace("（", "(").replace("）", ")").replace(" ", "")
            key = (parent.id if parent else "") + (bare if bare[:1] in "(①②③④⑤⑥⑦⑧⑨⑩第" else f"/{bare}" if parent else bare)
        unique = key
        while unique in self.ids:
            self.again[key] = self.again.get(key, 1) + 1
            unique = f"{key}#{self.again[key]}"
        self.ids.add(unique)
        clause = Clause(unique, len(self.stack) + 1, marker.printed.rstrip("、．.") if marker else "", heading, text, span, kind)
        if parent:
            parent.children.append(clause)
        self.clauses.append(clause)
        if marker is not None:
            self.stack.append(_Open(marker.style, marker.value, clause))
        return clause


# "符合下列情形之一的，为重大事故：" above a list of its own.
NAMES_LEVEL = re.compile(r"[^。；;：:\d]{0,30}(?:之一|下列|以下|如下)[^。；;：:\d]{0,12}(?:为|启动|属于?)[^。；;：:\d]{2,24}[：:。]")
# A level's name alone on its line (a heading that lost its number, or the first cell of a row that came out cell by cell), and the name of what stands below it.
_NUMERAL = "(?:Ⅰ|Ⅱ|Ⅲ|Ⅳ|[ⅰ-ⅳ]|I{1,3}V?|IV|[一二三四])"
_GRADES = "特别重大|特别严重|重大|严重|较大|较重|一般"
LEVEL_LINE = re.compile(
    rf"(?:启动)?[(（]?{_NUMERAL}级[)）]?(?:[(（](?:{_GRADES}|[红橙黄蓝]色(?:预警)?)[)）])?(?:[\u4e00-\u9fff]{{0,8}}?(?:应急)?(?:响应|预警))?(?:的?(?:启动)?(?:条件|标准))?[:：]?"
    rf"|(?:{_GRADES})[\u4e00-\u9fff]{{0,12}}?(?:事件|事故|灾害|险情|灾情|火灾|疫情)(?:[(（]{_NUMERAL}级[)）])?[:：]?|[红橙黄蓝]色(?:等级)?预警(?:[(（]{_NUMERAL}级[)）])?(?:标准|条件)?[:：]?"
)
# The same behind a number, with what it is of: "（1）地质灾害气象风险蓝色预警".
LEVEL_OF = re.compile(rf"(?!.*(?:启动|发布|达到|进入|宣布))[\u4e00-\u9fff]{{2,14}}(?:{_NUMERAL}级(?:应急)?(?:响应|预警)|[红橙黄蓝]色(?:等级)?预警(?:信号)?)(?:[(（][^()（）]{{2,8}}[)）])?[:：]?")
PART_LINE = re.compile(r"(?:应急)?(?:响应)?(?:启动|触发|发布)(?:条件|标准|情形)[:：]?|响应(?:条件|标准)[:：]?|(?:应急)?(?:响应|处置|应对)(?:措施|行动)[:：]?")
ANNEX = re.compile(rf"附\s*[件录表图]\s*(?:[\d{CN}A-Z]{{1,3}})?\s*(?:[:：].*)?$")


def read(text: str) -> Paper:
    """The tree of a paper given as plain text. BadPaper when it is longer than MAX_CHARS or holds nothing."""
    if len(text) > MAX_CHARS:
        raise BadPaper("too_large", f"{len(text):,} characters; at most {MAX_CHARS:,} are read")
    if not text.strip():
        raise BadPaper("empty", "the text is empty")
    warnings: list[str] = []
    lines = _without_ends(_inline_contents(_lines(text, warnings), warnings), warnings)
    title, issuer, number, date, body = _front(lines)
    tree = _Tree(warnings)
    tree.decimals = sum(1 for line in lines if (found := _first_marker(line.text)) and found.style == "dec") >= 3
    widths = sorted(len(line.text) for line in lines if not line.table)
    state = _Writer(tree, widths[int(0.8 * len(widths))] if widths else 0)
    annexes = False
    for place, line in enumerate(lines):
        if line.table:
            state.table(line)
            continue
        following = lines[place + 1] if place + 1 < len(lines) else None
        if place >= body and ANNEX.match(line.text) and len(line.text) <= 60 and (line.gap or following is None or following.gap) and tree.clauses:
            if annexes or not re.search(r"[:：]\s*1\s*[.．、]", line.text):
                annexes = True
                marker = _Marker("annex", (0,), re.split(r"[:：]", line.text)[0].strip(), len(line.text))
                heading = re.split(r"[:：]", line.text, maxsplit=1)[1].strip() if re.search(r"[:：]", line.text) else ""
                state.open(0, marker, heading, line, 0, len(line.text), kind="annex")
                continue
        state.line(line, place < body, following)
    state.close()
    if not any(clause.number for clause in tree.clauses):
        warnings.append("no numbered clause was found: the paper is one piece of text")
    return Paper(title, issuer, number, date, tree.clauses, warnings, text)


class _Writer:
    """Feeds lines to the tree: finds where clauses begin, within a line too, and joins what the page broke."""

    def __init__(self, tree: _Tree, width: int) -> None:
        self.tree = tree
        self.now: Clause | None = None
        self.parts: list[str] = []
        self.rows: list[str] = []
        self.row_span: tuple[int, int] | None = None
        self.numbers = 0
        self.width = width
        from .words import simplified  # words builds on this module

        self.simplified = simplified

    def close(self) -> None:
        if self.now is not None:
            text = ""
            for part in self.parts:
                # A line that ends without an end was broken by the page.
                text += part if not text or text[-1] not in END else "\n" + part
            self.now.text = (self.now.text + text).strip() if not self.now.text else f"{self.now.text}\n{text}".strip()
            if self.now.number and not self.now.heading and (match := re.match(r"([^。；，,;：:、]{2,14})([。：:])(?=.)", self.now.text)):
                self.now.heading = match[1]
        self.parts = []

    def open(self, depth: int, marker: _Marker | None, heading: str, line: _Line, a: int, b: int, kind: str = "clause") -> None:
        self.close()
        self.now = self.tree.add(depth, marker, heading, "", (line.at(a), line.at(max(b - 1, a)) + 1), kind)

    def line(self, line: _Line, front: bool, after: _Line | None) -> None:
        text, at = line.text, 0
        cuts: list[tuple[int, _Marker, int]] = []
        if not front and after is not None and (re.fullmatch(r"[^。；，;,：:]{2,25}[：:]", text) or NAMES_LEVEL.fullmatch(text)) and not _first_marker(text) and (first := _first_marker(after.text)) and first.value == (1,):
            # "局应急办：" above a list of its own: a clause without a number.
            stack = self.tree.stack
            depth = next((k for k, one in enumerate(stack) if one.style == "label"), None)
            if depth is None:
                depth = next((k for k, one in enumerate(stack) if one.style == first.style and k), len(stack))
            self.open(depth, _Marker("label", (0,), "", 0), text[:-1], line, 0, len(text))
            return
        words = self.simplified(re.sub(r"\s+", "", text)) if len(text) <= 40 else text
        if not front and self.tree.clauses and len(words) <= 30 and (LEVEL_LINE.fullmatch(words) or PART_LINE.fullmatch(words)) and not (self.parts and self.parts[-1][-1:] in "，,、"):
            part = bool(PART_LINE.fullmatch(words))
            stack = self.tree.stack
            depth = next((k for k, one in enumerate(stack) if one.style in ("label", "label part") or one.style in ("arp", "arp half", "arb", "circled", "dash")), len(stack))
            if part and depth < len(stack) and stack[depth].style == "label":
                depth += 1
            self.open(depth, _Marker("label part" if part else "label", (0,), "", 0), text.rstrip("：:"), line, 0, len(text))
            return
        if not front:
            cuts = self._cuts(line)
        if not cuts or cuts[0][0] > 0:
            end = cuts[0][0] if cuts else len(text)
            self._more(line, 0, end)
        for k, (start, marker, depth) in enumerate(cuts):
            end = cuts[k + 1][0] if k + 1 < len(cuts) else len(text)
            at = start + marker.size
            rest = text[at:end].strip()
            # A line whose sentence goes on in the next line is no heading.
            whole = start == 0 and end == len(text) and (after is None or after.gap or after.table or bool(_first_marker(after.text)))
            # Nor was a short line broken by the page: where papers have no empty lines, that tells a heading from the sentence below it.
            if start == 0 and end == len(text) and not whole and len(text) < 0.6 * self.width and marker.style in ("dec", "cn", "cnp", "one.", "one ", "one、") and _titled(rest):
                whole = True
            if start == 0 and end == len(text) and len(rest) <= 40 and (words := self.simplified(re.sub(r"\s+", "", rest))) and (LEVEL_LINE.fullmatch(words) or LEVEL_OF.fullmatch(words) or PART_LINE.fullmatch(words)):
                whole = True  # known by its words
            heading = ""
            longest = 20 if marker.style.startswith(("arp", "circled", "arb", "dash")) else 45
            listed = longest == 20 and bool(re.search(r"\d", rest))  # "①造成20至49人中毒" says something, and heads nothing
            if rest and not listed and len(rest) <= longest and rest[-1] not in END + "，,、" and not re.search(r"[。；;]|\d.*以[上下]", rest) and (whole or k + 1 < len(cuts) or marker.style in ("cn", "cnp")):
                heading = rest
            self.open(depth, marker, heading, line, start, end)
            if rest and not heading:
                self.parts.append(rest)

    def _cuts(self, line: _Line) -> list[tuple[int, _Marker, int]]:
        """Where clauses begin in this line. The tree is asked with what was found before, so it is moved along as we go."""
        text = line.text
        found: list[tuple[int, _Marker, int]] = []
        saved = list(self.tree.stack)
        warned = len(self.tree.warnings)
        places = [0]
        # Within a line a number counts only after the end of a sentence (or of a heading that ran on).
        for match in re.finditer(r"(?<=[。；;：:！）)”])\s*(?=[（(\d①-⑳一二三四五六七八九十])", text):
            places.append(match.end())
        # A scanner lost the stop before "（2）": it counts where it is the next of an open list, and no reference ("见（2）", "（1）（2）项").
        weak = {match.start() for match in re.finditer(r"(?<=[\u4e00-\u9fff] )[（(]\s*\d{1,2}\s*[）)]|(?<=[\u4e00-\u9fff])[（(]\s*\d{1,2}\s*[）)](?=\s*[\u4e00-\u9fff]{4})", text)
                if not re.search(r"(?:见|按|第|条|项|款|附件|本|上述|和|、|至|的|符合|达到)\s*$", text[: match.start()])} - set(places)
        places += weak
        # A text without line ends: a heading runs straight into the next number.
        runs_on = len(text) > 1500
        if len(text) > 400:
            for match in re.finditer(rf"[（(][{CN}]{{1,3}}[）)]|(?<![\d.])\d{{1,2}}\s*[.．]\s*(?=[\u4e00-\u9fff])", text):
                places.append(match.start())
        if runs_on:
            places += [match.start() for match in re.finditer(rf"(?<![{CN}第、])[{CN}]{{1,3}}、(?=[\u4e00-\u9fff]{{3}})", text)]
        for place in sorted(set(places)):
            if place >= len(text):
                continue
            inline = place > 0
            for style, pattern in MARKERS:
                if inline and style not in INLINE:
                    continue
                marker = _marker(text, place, style, pattern)
                if marker is None or (place in weak and (style != "arp" or not any(one.style == marker.style and one.value[0] + 1 == marker.value[0] for one in self.tree.stack))):
                    continue
                if inline and style == "cn" and text[place - 1] not in "。；;" and not (runs_on and any(one.style == "cn" and one.value[0] + 1 == marker.value[0] for one in self.tree.stack)):
                    continue
                rest = text[place + marker.size :]
                title = rest if not inline else rest[:23]
                # Right below a heading that has no text yet, a list belongs to it, whatever its style.
                bare = not found and self.now is not None and bool(self.now.heading) and not self.parts and not self.now.text
                depth = self.tree.depth_of(marker, title, inline, bare)
                if depth is None:
                    continue
                if inline and style == "one" and depth >= len(self.tree.stack) and text[place - 1] not in "：:。；;" and not (runs_on and marker.value == (1,)):
                    continue
                found.append((place, marker, depth))
                # Move the stack as if it were open, for the next number in this line.
                del self.tree.stack[depth:]
                self.tree.stack.append(_Open(marker.style, marker.value, Clause("", 0, "", "", "", (0, 0))))
                break
        noted = self.tree.warnings[warned:]
        self.tree.stack = saved
        if found:
            self.tree.warnings[warned:] = noted
        return found

    def _more(self, line: _Line, a: int, b: int) -> None:
        text = line.text[a:b].strip()
        if not text:
            return
        if self.now is None or self.now.kind == "table":
            parent = self.tree.stack[-1].clause if self.tree.stack else None
            if parent is not None:
                self.close()
                self.now = parent
            else:
                self.open(0, None, "", line, a, b)
        assert self.now is not None
        if self.now.heading and not self.now.text and not self.parts and not line.gap and len(self.now.heading) + len(text) <= 45 and text[-1] not in END and self.now.kind == "annex":
            self.now.heading += text
        else:
            self.parts.append(text)
        self.now.span = (self.now.span[0], max(self.now.span[1], line.at(max(b - 1, a)) + 1))

    def table(self, line: _Line) -> None:
        if line.text == TABLE:
            self.close()
            self.rows, self.row_span = [], (line.start, line.end)
            return
        if self.row_span is None:
            self.rows, self.row_span = [], (line.start, line.end)
        self.row_span = (self.row_span[0], line.end)
        if line.text != TABLE_END:
            self.rows.append("\t".join(cell.strip() for cell in re.split(WALL, line.text.strip(" |┃│║"))) if DRAWN.match(line.text) else line.text)
            return
        self.numbers += 1
        stack = list(self.tree.stack)
        clause = self.tree.add(len(stack), None, f"表{self.numbers}", "\n".join(self.rows), self.row_span, "table")
        clause.id = f"{stack[-1].clause.id if stack else ''}[表{self.numbers}]"
        clause.heading = ""
        for one in stack:
            one.clause.span = (one.clause.span[0], max(one.clause.span[1], self.row_span[1]))
        self.now, self.row_span = clause, None
        self.parts = []


# --- title, issuer, number, date ---------------------------------------------------------------------------------------

NUMBER = re.compile(r"([\u4e00-\u9fff]{1,12})\s*[〔［\[(（【]\s*((?:19|20)\d\d)\s*[〕］\])）】]\s*(?:第\s*)?(\d{1,4})\s*号")
DATE = re.compile(r"((?:19|20)\d\d|[二一][〇○零ОO0一二三四五六七八九]{3})\s*年\s*(\d{1,2}|[一二三四五六七八九十]{1,3})\s*月\s*(\d{1,2}|[一二三四五六七八九十]{1,3})\s*日")
KINDS = "预案|规划|方案|办法|通知|规定|条例|意见|细则|制度|标准|指南|预案操作手册"


def _front(lines: list[_Line]) -> tuple[str, str, str, str, int]:
    """(title, issuer, number, date, the line with which the body begins)."""
    head = [line.text for line in lines[:40]]
    joined = "\n".join(head)
    number = ""
    if match := NUMBER.search(joined):
        number = f"{match[1]}〔{match[2]}〕{match[3]}号"
    date = ""
    for words in head:
        if len(words) <= 40 and (match := DATE.search(words)):
            date = _iso(*match.groups())
            break
    # The paper itself is the title that stands alone on a line; a notice that sends it names it in 《》.
    title, body = "", 0
    named = re.search(rf"关于\s*(?:印发|发布|公布)\s*《?([^》\n]{{2,60}}?(?:{KINDS}))(?:（[^）]*）|\([^)]*\))?》?\s*的\s*通\s*知", joined.replace("“十四五应急", "“十四五”应急"))
    wanted = _plain(named[1]) if named else ""
    for place, line in enumerate(lines[:60]):
        plain = _plain(line.text)
        if wanted and plain.startswith(wanted) and len(plain) <= len(wanted) + 14:
            title, body = line.text.strip(), place + 1
            break
    if not title:
        for place, line in enumerate(lines[:30]):
            text = re.sub(r"\s+", "", line.text)
            if re.fullmatch(rf".{{2,60}}(?:{KINDS})(?:（[^）]*）|\([^)]*\))?", text) and not text.endswith("通知") and not re.search(r"[。；，]", text):
                title, body = line.text.strip(), place + 1
                break
    if not title and named:
        title = re.sub(r"\s+", "", named[1])
    if not title and (match := re.search(rf"([^《》\s。,，:：]{{4,40}}(?:{KINDS}))(?:目录|前言)", joined)):
        title = match[1].lstrip("0123456789、")
    if not title and lines:
        title = lines[0].text[:60]
    issuer = ""
    for words in head[: body or 12]:
        plain = re.sub(r"\s+", "", words)
        if match := re.fullmatch(r"(.{2,30}?(?:人民政府|办公厅|办公室|委员会|厅|局|部|院|指挥部))文件", plain):
            issuer = match[1]
            break
        if match := re.fullmatch(r"(.{2,30}?(?:人民政府办公室|人民政府办公厅|人民政府|办公厅|委员会|应急管理部|厅|局|国务院))(?:关于印发.*|\d{4}年.*|二[○〇].*)?", plain):
            issuer = match[1]
            break
    return re.sub(r"\s+", "", title), issuer, number, date, body


def _iso(year: str, month: str, day: str) -> str:
    digits = re.sub("[○ОO0]", "〇", year) if not year.isdigit() else year
    y, m, d = cn_number(digits) if not digits.isdigit() else int(digits), cn_number(month), cn_number(day)
    if not (y and m and d and 1 <= m <= 12 and 1 <= d <= 31):
        return ""
    return f"{y:04d}-{m:02d}-{d:02d}"
