"""What a plan's sentences say, as rows that point at them: levels, conditions with thresholds, actions, units, contacts, reporting limits.

    elements(paper) -> dict        the shapes of docs/plan-elements.md

Everything is found by rule. Each row's `text` is the exact substring of the source at its `span`. A condition whose threshold cannot be
written as an expression over the vocabulary goes to `unmatched` with the reason: listed, never guessed.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .actors import DURATION, UNIT_END, minutes, parts, who
from .reader import CN, READING, WALL, Clause, Paper
from .thresholds import thresholds
from .words import (
    ADJECTIVE,
    COLOURS,
    DISCRETE,
    HALF_WIDTH,
    LEVEL,
    LEVEL_COLOUR,
    ORDER,
    OWN_LEVEL,
    ROMAN,
    TITLES,
    hazard_of,
    kind_of,
    level_of,
    plain,
    simplified,
)

CONDITIONS = re.compile(r"启动条件|启动标准|响应条件|分级标准|响应启动|启动等级|预警标准|预警条件|预警分级|响应标准|适用情形|级预警$|启动情形|启动指标|灾害分级|事件分级|灾情分级|险情分级|火灾分级|级别划分|响应分级|损失情况|灾情标准")
ACTIONS = re.compile(r"响应行动|响应措施|应急措施|行动措施|处置措施|应对措施|响应内容|应急联动|工作措施|预警行动|预警响应措施|响应工作|应急行动|叫应|响应程序及措施|分灾种响应|分部门响应|先期处置|响应处置|防御措施|响应要求|应急处置$|反应措施")
NEITHER = re.compile(r"启动程序|启动与|响应终止|响应结束|职责|终止|解除|附则|术语|总则|培训|演练|保障$|恢复重建|善后")
LEADIN = re.compile(r"(?:下列|以下|如下|上述)(?:情况|情形|条件|标准)(?:之一|中的)?|之一的?[，,:：]?\s*(?:时|启动|为)|符合.{0,10}(?:之一|条件)|有下列|达到以下")
OTHER = re.compile(r"^[（(]?\d*[）)]?(?:其他|其它|符合其他|.{0,12}认为|.{0,8}需要启动|.{0,16}要求启动)")
STARTS = re.compile(r"(?:启动|进入|实施|宣布|发布|对应|为)(?:[^，,。;；]{0,16}?)(Ⅰ|Ⅱ|Ⅲ|Ⅳ|[ⅰ-ⅳ]|I{1,3}V?|IV|V|[一二三四])级(?:[（(][^）)]*[）)])?(?:[\u4e00-\u9fff]{0,8}?)(?:应急)?(响应|预警)")
INLINE = re.compile(r"^(?:其中[,，]|[^,。;:]{0,14}(?:如下|标准为?):|[^,。;:]{2,40}(?=[(（]1[)）]))?(?:[(（]?[\d一二三四五六七八九十]{1,3}[)）、.]|[①-⑳●◆])?\s*([^,。;，；:：]{0,24}?)[:：]")
# "蓝色预警对应50毫米以上,黄色预警对应100毫米以上": a level to each part.
COLOURED = re.compile(r"[^,。;:]{0,4}?([红橙黄蓝]色)预警(?:对应|为|是)")
RATED = re.compile(rf"响应(?:级别|等级)为{LEVEL.pattern}")
NAMED_LEVEL = re.compile(rf"(?:-{{2}})?{LEVEL.pattern}[^,。;]{{0,12}}?响应[,。]")
# "较大事故,是指…", and the grade as a line of its own that the page ran into its text: "较大森林火灾受害森林面积在…".
MEANT = re.compile(r"^(?:[^;。:]{0,80}:)?(?:[(（]?[\d一二三四五六七八九十]{1,3}[)）、.])?\s*(特别重大|特大|重大|较大|一般)(?:[^,。;]{0,14}?,?是?指(?!挥|导|定|示)|[^,。;:为]{0,8}(?:灾害|事件|事故|险情|灾情|火灾|疫情)(?=受害|死亡|造成|过火|直接|[(（]?1[)）.、]))")
GRADED = re.compile(r"(?:[(（]?[\d一二三四五六七八九十]{1,3}[)）、.])?(特别重大|特大型|特大|重大|大型|较大|中型|一般|小型)(?:[^,。;:级]{0,8}(?:灾害|事件|事故|险情|灾情|火灾|疫情))?:")
MEANS = re.compile(r"(?:初判为|定为|属于?|(?<![视认])为)(特别重大|重大|较大|一般|特大型|大型|中型|小型)[^,。;]{0,14}[。;]?$")


class _Slice:
    """A clause's own text made plain (no blanks, simplified, half width), and for each of its characters the place in the source."""

    def __init__(self, source: str, start: int, end: int, skip: str = "") -> None:
        self.source = source
        # A backslash is what a converter left of a formula ("48\\h").
        gone = {k for match in READING.finditer(source, start, end) for k in range(*match.span())}
        self.where = [k for k in range(start, end) if not source[k].isspace() and not "\ue000" <= source[k] <= "\uf8ff" and source[k] != "\\" and k not in gone]
        self.text = "".join(source[k] for k in self.where)
        for head in [skip.replace("\0", mark) for mark in ("", ".", "．", "、")] if skip else ():
            if self.text.startswith(head):  # number and heading are no sentence of the clause
                self.where, self.text = self.where[len(head) :], self.text[len(head) :]
                break
        self.text = re.sub(r"(?<![A-Za-z])l(?=[至~\d-])", "1", simplified(self.text).translate(HALF_WIDTH))  # a scanner's "l至4人"

    @property
    def gaps(self) -> list[int]:
        """Places before which the source has a blank within its line: a scanner's blank may stand for a lost stop or comma."""
        return [k for k in range(1, len(self.where)) if self.where[k] - self.where[k - 1] > 1 and "\n" not in self.source[self.where[k - 1] + 1 : self.where[k]]]

    def span(self, a: int, b: int) -> tuple[int, int]:
        return self.where[a], self.where[b - 1] + 1

    def exact(self, a: int, b: int) -> str:
        start, end = self.span(a, b)
        return self.source[start:end]

    def words(self, a: int, b: int) -> str:
        """The source's characters without blanks; a blank that stands for the 、 of a list becomes one."""
        out = ""
        for k in range(a, b):
            if k > a and self.where[k] - self.where[k - 1] > 1 and re.search(rf"{UNIT_END}$", out) and self.text[k] not in "、和及与或()等" and who(self.text[k:b] + "负责", bare=True):
                out += "、"
            out += self.source[self.where[k]]
        return out


def _skip(clause: Clause) -> str:
    """Number and heading, a NUL between them, as they stand in the source without blanks, when the heading is a line of its own."""
    if not clause.heading or clause.text.startswith(clause.heading):
        return ""
    return "\0".join(re.sub(r"[\s\ue000-\uf8ff\\]+", "", words) for words in (clause.number, clause.heading))


def _own(paper: Paper) -> dict[int, tuple[int, int]]:
    """Each clause's own range: its span up to where its first child begins."""
    found = {}
    for place, clause in enumerate(paper.clauses):
        end = clause.span[1]
        if place + 1 < len(paper.clauses):
            end = min(end, paper.clauses[place + 1].span[0])
        found[id(clause)] = (clause.span[0], max(end, clause.span[0]))
    return found


def _ancestors(paper: Paper) -> dict[int, list[Clause]]:
    """For each clause, itself first, then upward."""
    above: dict[int, list[Clause]] = {}

    def down(clause: Clause, chain: list[Clause]) -> None:
        above[id(clause)] = [clause, *chain]
        for child in clause.children:
            down(child, above[id(clause)])

    children = {id(child) for clause in paper.clauses for child in clause.children}
    for clause in paper.clauses:
        if id(clause) not in children:
            down(clause, [])
    return above


def elements(paper: Paper) -> dict[str, Any]:
    """All rows of a paper. See the module's description; the shapes are those of docs/plan-elements.md."""
    own, above = _own(paper), _ancestors(paper)
    inclusive = _inclusive(paper)
    title = simplified(paper.title)
    titled = next((name for name, words in TITLES if re.search(words, title)), "")
    whole = _whole(title)
    out: dict[str, Any] = {
        "title": paper.title, "inclusive": inclusive, "levels": [], "conditions": [], "definitions": [], "actions": [], "units": [], "contacts": [], "reporting_deadlines": [], "assignments": [], "unmatched": [],
    }
    levels, headed = _levels(paper, above, out)
    for clause in paper.clauses:
        start, end = own[id(clause)]
        piece = _Slice(paper.source, start, end, _skip(clause))
        if not piece.text:
            continue
        here = levels.get(id(clause))
        chain = above[id(clause)]
        if clause.kind != "table":
            mode = _mode(clause, chain, headed)
            if mode == "action" or mode == "" and here is None and STARTED.match(piece.text):
                _actions(piece, chain, here, titled, out)
            elif mode != "neither":
                _conditions(piece, clause, chain, here, mode, inclusive, titled, whole, out)
            _units(piece, clause, chain, out)
        _deadlines(piece, clause, out)
        _contacts(piece, clause, out)
        _assignments(piece, clause, out)
    if not any(row["kind"] != "grade" for row in out["conditions"]):
        _table_conditions(paper, own, inclusive, titled, whole, out)
    # A plan that says when its responses begin defines warnings and grades of events beside them: they start nothing by themselves,
    # but for the grades that its responses name ("发生特别重大…事故时,启动…").
    if any(row["kind"] == "response" for row in out["conditions"]):
        starts = {"response", "grade"} if _by_grade(paper) else {"response"}
        out["definitions"] = [row for row in out["conditions"] if row["kind"] not in starts]
        out["conditions"] = [row for row in out["conditions"] if row["kind"] in starts]
    _bounds(out["conditions"])
    return out


BY_GRADE = re.compile(r"(?:发生|达到|初判|研判|判定|认定|出现|造成|属于|为)[^,。;]{0,16}?(?:特别重大|重大|较大|一般)(?:[(][^)]{1,4}[)])?[^,。;]{0,16}?(?:事件|事故|灾害|险情|灾情|火灾|疫情)[^。;]{0,60}?(?:启动|进入)[^,。;]{0,12}响应|(?:特别重大|重大|较大|一般)[^,。;]{0,14}(?:事件|事故|灾害|险情|灾情|火灾|疫情)(?:由[^,。;]{2,20})?(?:对应|启动)[^,。;]{0,8}级[^,。;]{0,4}响应|达到(?:特别重大|重大|较大|一般)[^,。;]{0,8}(?:事件|事故|灾害)?级别")


def _by_grade(paper: Paper) -> bool:
    """Whether the plan starts its responses by the grades of events it defines."""
    return bool(BY_GRADE.search(plain(paper.source)))


def _bounds(rows: list[dict[str, Any]]) -> None:
    """"0.4~0.7万（含0.7万）" above "0.2~0.4万（含0.4万）": the level below has the number already."""
    held = {(row["kind"], row["quantity"], row["level"], row["value"]) for row in rows if row["op"] == "<=" and row["level"] in ORDER and row["unit"] not in DISCRETE}
    for row in rows:
        if row["op"] == ">=" and row["level"] in ORDER[:-1] and (row["kind"], row["quantity"], ORDER[ORDER.index(row["level"]) + 1], row["value"]) in held:
            row["op"], row["cel"] = ">", row["cel"].replace(" >= ", " > ", 1)


def _inclusive(paper: Paper) -> dict[str, Any]:
    """Whether 以上 and 以下 include the number, and where the plan says so; the usual reading when it does not."""
    source = simplified(paper.source)
    said = re.search(r"(?:逼近|接近)[^。；]{0,24}?是指[^。；]{0,30}?(\d+(?:\.\d+)?)\s*(?:m|米)\s*以?\s*内", source)
    near = float(said[1]) if said else None
    for match in re.finditer(r"[“\"「『]?以\s*上[”\"」』]?\s*[^。；\n]{0,12}?(不\s*)?[含包][含括]?\s*本\s*(?:数|级)[^。；\n]{0,24}", source):
        words = re.sub(r"\s+", "", match[0])
        below = re.search(r"[“\"「『]?以下[”\"」』]?[^。]{0,8}?(不)?(?:包含|包括|含)本", words)
        both = re.search(r"以上[”\"」』]?[、和及与][“\"「『]?以下[”\"」』]?[^。]{0,6}?(不)?(?:包含|包括|含)本", words)
        # "（含本数，下同）" speaks of 以上 alone.
        lower = both or below
        return {"above": match[1] is None, "below": bool(lower and not lower[1]), "near": near, "said": True, "span": [match.start(), match.end()]}
    return {"above": True, "below": False, "near": near, "said": False, "span": None}


def _whole(title: str) -> str:
    match = re.match(r"(.{2,12}?(?:省|市|县|区|自治州|自治区|镇|乡))", title)
    if match:
        return match[1]
    return "全国" if title.startswith(("国家", "中国")) else ""


# The sentence that closes a list of conditions: where no heading says the level, it may.
CLOSING = re.compile(r"(?:凡|当)?(?:符合|具备|达到|出现|发生|满足)(?:上述|以上|前述)[^。;,]{0,8}(?:条件|情形|情况|标准)之一")

# A grade of events by its name alone: "特别重大危险化学品事故".
GRADE = re.compile(r"(?:特别重大|重大|较大|一般)[^,。;:为]{0,12}(?:灾害|事件|事故|险情|灾情|火灾|疫情|地震)")
COLOUR_ACTS = re.compile(r"[红橙黄蓝]色(?:等级)?预警(?:信号)?(?:行动|响应|措施|响应行动|响应措施)")
HEADED = re.compile(r"响应|预警|状态|启动|级\)?$|级[(:]|灾害|事件|事故|险情|灾情|火灾|地震|疫情|标准")


def _levels(paper: Paper, above: dict[int, list[Clause]], out: dict[str, Any]) -> tuple[dict[int, tuple[str, str]], set[int]]:
    """(level, kind) each clause stands under, by the nearest heading that names one, and the clauses that are such headings; fills out["levels"]."""
    found: dict[int, tuple[str, str]] = {}
    headings: dict[int, str] = {}
    for clause in paper.clauses:
        run_in = bool(clause.heading) and clause.text.startswith(clause.heading)
        words = plain(clause.heading or (clause.text if len(clause.text) <= 30 else re.split(r"[\n。]", clause.text, maxsplit=1)[0])).rstrip("。:")
        if (run_in or not clause.heading) and (not LEVEL.search(words) or len(words) > 24) and not GRADE.fullmatch(words) and not COLOUR_ACTS.fullmatch(words):
            continue  # a sentence that names a colour or a grade is no heading
        if words and not words.startswith(("其他", "其它")) and not words.endswith("事项") and len(words) <= 32 and HEADED.search(words) and not re.search(r"情况|情形|条件之一|措施$|程序|终止|[。;]$|以上|以下$", words) and (said := level_of(words)):
            headings[id(clause)] = said
    for clause in paper.clauses:
        known = [headings.get(id(child), "") for child in clause.children]
        for place, child in enumerate(clause.children):
            # OCR reads Ⅳ as V: where its sisters have no Ⅳ it can be nothing else. "级响应启动" between Ⅲ and Ⅰ lost its numeral.
            if known[place] == "V" and "IV" not in known:
                headings[id(child)] = known[place] = "IV"
            elif re.match(r"级(?:应急)?(?:响应|预警)", plain(child.heading)):
                around = [ORDER.index(one) + step for one, step in ((known[place - 1] if place else "", -1), (known[place + 1] if place + 1 < len(known) else "", 1)) if one in ORDER]
                if around and 0 <= around[0] < len(ORDER) and ORDER[around[0]] not in known:
                    headings[id(child)] = known[place] = ORDER[around[0]]

    def kind(chain: list[Clause], at: int) -> str:
        return next((said for one in chain[at:] if (said := kind_of(one.heading or one.text[:30]))), "") or kind_of(paper.title) or "response"

    # A list stands under the sentence that opens it, though both are paragraphs of one rank.
    led: dict[int, list[Clause]] = {}
    opened, style = None, ""
    for clause in paper.clauses:
        if len(above[id(clause)]) > 1:
            continue
        shape = re.sub(r"[\d一二三四五六七八九十]+", "#", clause.number)
        if not clause.number:
            words = plain(clause.text)[-60:]
            opened, style = (clause, "") if words.endswith(":") and LEADIN.search(words) else (None, "")
        elif opened and style in ("", shape):
            led[id(clause)], style = [opened], shape
        else:
            opened = None
    closed: dict[int, tuple[str, str]] = {}
    for clause in paper.clauses:
        tail = plain(clause.children[-1].text)[-200:] if clause.children else ""
        if (ends := CLOSING.search(tail)) and (said_at_end := _only(tail[ends.start() :])):
            closed[id(clause)] = said_at_end
    for clause in paper.clauses:
        chain = above[id(clause)]
        for at, one in enumerate(chain):
            if id(one) in headings:
                found[id(clause)] = headings[id(one)], kind(chain, at)
                break
        else:
            if at_end := next((closed[id(one)] for one in chain[:2] if id(one) in closed), None):
                found[id(clause)] = at_end
                continue
            for one in chain[1:2] + led.get(id(clause), []) + [clause]:
                words = plain(one.text or one.heading)
                if re.search(r"基础上", words):
                    continue
                words = words[-60:] if one is not clause else words[:120]
                if LEADIN.search(words) and (match := _only(words)):
                    found[id(clause)] = match
                    break
                if LEADIN.search(words) and (meant := MEANS.search(words.rstrip(":"))):
                    found[id(clause)] = dict(ADJECTIVE)[meant[1]], "grade"
                    break
    signs = _signs(plain(paper.source))
    for clause in paper.clauses:
        if id(clause) not in headings:
            continue
        body = plain("。".join(f"{one.heading}。{one.text}" for one in [clause, *_below(clause)]))
        decided = re.search(rf"(?:由|报|经)?([^,。;:]{{0,22}}?{UNIT_END}(?:\([^)]{{0,60}}\))?)(?:研究|共同|直接)*(?:决定|批准|签发|宣布|下令|同意)(?:启动|后启动|后,?启动|进入)", body)
        level, what = found[id(clause)]
        who_decides = decided[1].lstrip("由报经") if decided else signs.get(level, "") if what == "response" else ""
        out["levels"].append({"level": level, "kind": what, "name": re.sub(r"\s+", "", clause.heading or clause.text), "decides": who_decides, "clause": clause.id, "span": list(clause.span)})
    return found, set(headings)


SIGNS = re.compile(r"((?:(?:特别重大|重大|较大|一般)?[(]?(?:Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}V?|IV|V|[一二三四])级[)]?[、和及]*)+)(?:应急)?(?:响应)(?:命令)?(?:的?启动)?(?:由|经|报)([^。;]{2,48}?)(?:签发|决定|批准|签署)")


def _signs(text: str) -> dict[str, str]:
    """Who signs which level, where one sentence says it for all ("Ⅱ级和Ⅰ级应急响应命令由局长签发")."""
    out: dict[str, str] = {}
    for match in SIGNS.finditer(text):
        name = match[2].rsplit(",", 1)[-1].lstrip("由报经")
        for level in LEVEL.finditer(match[1]):
            out.setdefault(ROMAN.get(level[1], level[1]), name)
    return out


def _only(words: str) -> tuple[str, str] | None:
    """The one level that a sentence says is started."""
    said = {(ROMAN.get(match[1], match[1]), "warning" if match[2] == "预警" else "response") for match in STARTS.finditer(words)}
    return said.pop() if len(said) == 1 else None


def _below(clause: Clause) -> Iterator[Clause]:
    for child in clause.children:
        yield child
        yield from _below(child)


def _mode(clause: Clause, chain: list[Clause], headed: set[int]) -> str:
    """What a clause's sentences are: "condition", "action", "neither", "level" (below a level's heading, no more said) or "" (anywhere)."""
    for depth, one in enumerate(chain):
        heading = plain(one.heading or (one.text if len(one.text) <= 20 else "")).rstrip(":")
        if depth and depth < 4:
            tail = plain(one.text or one.heading)[-80:]
            if re.search(r"(?:采取|落实|做好|组织实施|开展)(?:以下|下列|如下|相应)?(?:[^,。;]{0,12})?(?:措施|工作|行动|任务)[:。]?$", tail) or ACTIONS.search(tail[-12:]) and tail[-1:] in ":。" and len(tail) < 24:
                return "action"
            if LEADIN.search(tail) and not re.search(r"措施|工作组", tail[-20:]):
                return "condition"
        # "6.1.3 应急响应" below "6.1 Ⅰ级响应" is what is done at that level.
        if ACTIONS.search(heading) or heading == "应急响应" and depth + 1 < len(chain) and id(chain[depth + 1]) in headed:
            return "action"
        if CONDITIONS.search(heading):
            return "condition"
        if NEITHER.search(heading) and not one.text.startswith(one.heading) and not (heading.endswith("保障") and any(ACTIONS.search(plain(up.heading)) for up in chain[depth + 1 :])):
            return "neither"  # "1.通信保障" among the measures of a level is one of them, and no chapter of what is kept ready
        if id(one) in headed:
            # "3.2 响应措施" above "3.2.1 Ⅱ级响应": what the levels are listed for.
            return "action" if any(ACTIONS.search(plain(up.heading)) for up in chain[depth + 1 : depth + 3]) else "level"
    return ""


def _conditions(piece: _Slice, clause: Clause, chain: list[Clause], here: tuple[str, str] | None, mode: str, inclusive: dict[str, Any], titled: str, whole: str, out: dict[str, Any]) -> None:
    text = piece.text
    if (clause.children and LEADIN.search(text) and not thresholds(text, 0, len(text), inclusive)) or CONDITIONS.fullmatch(text.rstrip(":")):
        return  # the sentence that opens the list
    lead = "".join(plain(one.text)[-60:] + plain(one.heading) for one in chain[1:3])
    hazards = next((h for one in chain[:4] for h in [hazard_of(plain(one.heading), "")] if h and one.heading), "")
    scope = _scope(text, lead, whole)
    body = re.match(r"(?:\(\d+\)|\(?[一二三四五六七八九十]+\)|\d+[.、]|[①-⑳]|[a-z][)）])?", text)
    base = body.end() if body else 0
    running, offset, begun = here, 0, False
    for sentence in re.split(r"(?<=[;。])", text):
        first, offset = offset, offset + len(sentence)
        if here and here[1] == "response" and (named := NAMED_LEVEL.fullmatch(sentence)):
            here = ROMAN.get(named[1], named[1]), "response"  # "…;Ⅲ级响应。当…": the next level within the text of one
        level = here
        if here and here[1] == "warning" and (started := _only(sentence)) and started[1] == "response":
            level = started  # "…发布蓝色预警时,启动Ⅳ级响应" among the warnings
        if here is None:
            # No heading says the level: the sentence may.
            if head := INLINE.match(sentence):
                said = level_of(head[1] + ("响应" if not HEADED.search(head[1]) else ""))
                running = (said, kind_of(head[1]) or "response") if said else running
                base = max(base, first + head.end()) if said in COLOURS else base  # "橙色预警:" is the level and no warning to wait for
            if called := OWN_LEVEL.match(sentence):
                running, base = (called[1], "warning"), max(base, first + called.end())
            if named := NAMED_LEVEL.match(sentence):
                running = ROMAN.get(named[1], named[1]), "response"
            if rated := RATED.search(sentence):
                running = ROMAN.get(rated[1], rated[1]), "response"
            elif first == 0 or text[first - 1] == "。":
                # "死亡200人以上;转移100万人以上对应一级响应。": what the whole sentence starts, its parts do.
                running = _only(text[first : text.find("。", first) + 1]) or running
            level = _only(sentence) or running
            if graded := GRADED.match(sentence):
                level = running = dict(ADJECTIVE)[graded[1]], "grade"
            if meant := MEANT.match(sentence) or MEANS.search(sentence):
                level = running = dict(ADJECTIVE)[meant[1]], "grade"
            if sentence.endswith("。") and running and running[1] == "grade" and not INLINE.match(sentence):
                running = here
        if level is None and COLOURED.match(sentence):
            level = ("", "warning")  # each part says its own
        # "应对重大地震灾害,启动Ⅱ级响应。由省抗震救灾指挥部领导…": what follows the start of a level is done under it.
        begun = begun or here is None and mode == "" and bool(_only(sentence)) and sentence.endswith("。")
        if level is None or (mode == "level" or begun and not _only(sentence)) and _acts(piece, sentence, first, chain, level, titled, inclusive, out):
            continue
        at = first
        for segment in re.split(r"(?<=,)(?=或)|(?<=,)(?=[红橙黄蓝]色预警(?:对应|为|是))", sentence):
            a, b = at, at + len(segment)
            at = b
            if here is None and (coloured := COLOURED.match(segment)):
                level = coloured[1], "warning"
            inner = segment.strip(";,。")
            if a < base:
                inner = segment[base - a :].strip(";,。")
            if len(inner) < 3:
                continue
            hazard = hazards if hazards and hazards != "flood" else hazard_of(inner, titled) or hazard_of(lead, titled)
            rows = thresholds(text, max(a, base) if a < base < b else a, b, inclusive, unnamed=True)
            if level[1] == "warning":
                # The warning that is issued is no condition of itself ("…时,发布蓝色预警").
                own = LEVEL_COLOUR.get(level[0], level[0])
                rows = [row for row in rows if row["quantity"] != "warning" or not row["value"].endswith(own)]
            for row in rows:
                x, y = row.pop("at")
                out["conditions"].append({"level": level[0], "kind": level[1], "hazard": row.pop("hazard") or hazard, "scope": scope, "text": piece.exact(x, y), **row, "clause": clause.id, "span": list(piece.span(x, y))})
            if level[1] == "response" and not rows and mode != "action" and (higher := HIGHER.search(text, max(a, base), b)) and _rank(higher[1]) > _rank(whole):
                # "国家防总启动Ⅲ级以上应急响应": a level above does it first.
                x, y = higher.span()
                said = ROMAN.get(higher[2], higher[2])
                out["conditions"].append({
                    "level": level[0], "kind": level[1], "hazard": hazard, "scope": scope, "text": piece.exact(x, y), "quantity": "higher_response", "op": ">=", "value": said, "unit": "",
                    "cel": f'higher_response("area", "{said}")', "clause": clause.id, "span": list(piece.span(x, y)),
                })
                continue
            if not rows and mode == "condition" and not CLOSING.match(inner) and not DECIDED.search(inner) and not re.fullmatch(r"[^,。;]{0,16}?(?:条件|标准|情形|程序):?", inner):
                first_at = text.index(inner, a)
                why = "left to judgement" if OTHER.match(inner) else "no threshold that the vocabulary knows"
                out["unmatched"].append({"level": level[0], "kind": level[1], "text": piece.exact(first_at, first_at + len(inner)), "why": why, "clause": clause.id, "span": list(piece.span(first_at, first_at + len(inner)))})


HIGHER = re.compile(r"(?<![由经报请])((?:国家|国务院|中央|上级|省|自治区|市|县|区)[^,。;:、]{0,14}?)(?:已|宣布|决定)?(?:启动|发布)[^,。;]{0,12}?(Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}|IV|[一二三四])级(?:及?以上)?[^,。;]{0,8}?响应(?=[,。;]|$)")


def _rank(place: str) -> int:
    """How high a body or a plan's own place stands: the country's 3, a province's 2, a city's 1, a county's 0, a town's -1; a plan that names none is taken for a province's."""
    if re.match(r"国家|国务院|中央|上级|全国", place):
        return 3
    if not place or re.match(r"省|自治区", place) or re.search(r"(?:省|自治区)$", place):
        return 2
    if re.match("市", place) or re.search(r"[市州]$", place):
        return 1
    return -1 if re.search(r"[镇乡]$", place) else 0


DECIDED = re.compile(r"(?:决定|宣布|签发|下令|报请)[^,。;]{0,12}(?:启动|进入)|由[^,。;]{2,30}启动[^,。;]{0,10}响应[。;]?$")


def _acts(piece: _Slice, sentence: str, first: int, chain: list[Clause], level: tuple[str, str], titled: str, inclusive: dict[str, Any], out: dict[str, Any]) -> bool:
    """Below a level's heading, with nothing to say which is which: a sentence in which somebody acts is an action and no condition."""
    if level[1] == "grade" or not who(sentence) or thresholds(sentence, 0, len(sentence), inclusive):
        return False
    if DECIDED.search(sentence):
        return True  # who decides: the level's own row says it
    _actions(piece, chain, level, titled, out, first, first + len(sentence))
    return True


def _scope(text: str, lead: str, whole: str) -> str:
    for source in (text, lead):
        match = re.search(r"(全国|全省|全市|全县|全区|省级行政区域|市级行政区域|县级行政区域|全省行政区域|本市行政区域|本省|我市(?:大部分|部分)地区|湘江[^,;。]{0,4}流|省级|市级|县级)", source)
        if match:
            return match[1]
    return whole


# --- actions, units, limits --------------------------------------------------------------------------------------------


def _actions(piece: _Slice, chain: list[Clause], here: tuple[str, str] | None, titled: str, out: dict[str, Any], first: int = 0, last: int | None = None) -> None:
    """The acts of a clause (or of a part of it). Whoever acted last goes on where nobody else is named."""
    clause = chain[0]
    text = piece.text[first:last]
    if clause.children and len(text) < 40 and text[-1:] in ":,":
        return
    hazard = next((h for one in chain if (h := hazard_of(plain(one.heading), ""))), "") or hazard_of("", titled)
    gaps = frozenset(place - first for place in piece.gaps if first < place < (last or len(piece.text)))
    unit = _opener(chain)
    for part in parts(text, gaps):
        if started := STARTED.match(text, part.a):
            here = ROMAN.get(started[1], started[1]), "response"
        if part.unit:
            unit = piece.words(first + part.unit[0], first + part.unit[1])
        out["actions"].append({
            "level": here[0] if here else "", "kind": here[1] if here else "", "hazard": hazard, "unit": unit, "role": part.role, "text": piece.exact(first + part.a, first + part.b),
            "deadline": part.deadline[0] if part.deadline else "", "minutes": minutes(part.deadline) if part.deadline else None, "with": part.partner, "clause": clause.id, "span": list(piece.span(first + part.a, first + part.b)),
        })


# "启动Ⅲ级应急响应后,县安委办…": the acts of a paragraph under no heading that names a level.
STARTED = re.compile(r"(?:当|在)?(?:[\u4e00-\u9fff]{0,6}?(?:启动|进入|发布|宣布))?[\u4e00-\u9fff]{0,6}?(?<!第)(Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}|IV|[一二三四])级[^,。;]{0,10}?响应(?:启动)?(?:命令)?(?:发布|下达)?(?:以?后|期间|状态下),")


BODY = re.compile(rf"[各市省县区镇乡国]?[\u4e00-\u9fff、()]{{2,20}}?(?<!成员)(?<!组织)(?<!救援)(?<!指挥){UNIT_END}")


def _opener(chain: list[Clause]) -> str:
    """Who acts in a list that its parent opens ("省减灾委视情采取以下措施：(1)组织…", or a heading that is a body's name); nobody where its sentence names more than one."""
    if len(chain) < 2:
        return ""
    said = plain(chain[1].text).rstrip()
    if not said and BODY.fullmatch(name := plain(chain[1].heading)) and not ACTIONS.search(name):
        return re.sub(r"\s+", "", chain[1].heading)
    if not said.endswith(":"):
        return ""
    last = max(said.rfind(stop) for stop in "。;") + 1
    found = {said[last + part.unit[0] : last + part.unit[1]] for part in parts(said[last:].rstrip(":") + "如下") if part.unit}
    return found.pop() if len(found) == 1 else ""


DUTY = re.compile(rf"^(?:\(\d+\)|\d+[.、]|[①-⑳]|\([{CN}]+\))?([\u4e00-\u9fffA-Z()、“”]{{2,40}}?):(.{{4,}})")


def _units(piece: _Slice, clause: Clause, chain: list[Clause], out: dict[str, Any]) -> None:
    """`市教育局：负责…` under a heading of duties or bodies, and what stands below a heading that is a body's name."""
    if not any(re.search(r"职责|组织|机构|成员单位|工作组|指挥|分工", plain(one.heading + one.text[:30])) for one in chain[:5]):
        return
    # Lines are the source's; a duty begins with one.
    breaks = [0] + [k for k in range(1, len(piece.where)) if "\n" in piece.source[piece.where[k - 1] + 1 : piece.where[k]]] + [len(piece.where)]
    found = False
    for a, b in zip(breaks[:-1], breaks[1:], strict=True):
        match = DUTY.match(piece.text[a:b])
        if not match:
            continue
        name = match[1]
        if not re.search(rf"{UNIT_END}$|职责$|公司$|水电站$|电厂$|工务段$|分公司$", name) or len(name) > 30 or name in ("主任", "副主任", "成员单位", "成员", "组长", "副组长", "总指挥", "指挥长"):
            continue
        end, found = a + len(match[0]), True
        out["units"].append({"name": name.removesuffix("职责"), "duty": piece.exact(a + match.start(2), end), "clause": clause.id, "span": list(piece.span(a + match.start(1), end))})
    for one in chain[:2]:
        name = re.sub(r"(?:及其?|的)?(?:主要)?(?:组成|职责|任务)(?:[及和]职责|分工)?$", "", plain(one.heading))
        if not found and not one.text.startswith(one.heading or "\0") and 3 <= len(name) <= 24 and re.search(rf"{UNIT_END}$", name) and not re.search(r"机构$|组织|体系|、.*、|成员|响应", name) and any(re.search(r"职责|组织|机构|体系", plain(up.heading)) for up in chain[1:]):
            out["units"].append({"name": name, "duty": piece.exact(0, len(piece.text)), "clause": clause.id, "span": list(piece.span(0, len(piece.text)))})
            break


REPORTS = r"报告|上报|报送|续报|初报|核报|首报|报省|报市|报国|报县|通报"
LATEST = re.compile(rf"(?:晚于|迟于|超过)[^,。;]{{0,12}}?(\d+|[{CN}]+)个?(分钟|小时|日|天)")


def _deadlines(piece: _Slice, clause: Clause, out: dict[str, Any]) -> None:
    """One row a limit, with the part of the sentence it rules."""
    text = piece.text
    for match in sorted([*DURATION.finditer(text), *LATEST.finditer(text)], key=lambda one: one.start()):
        first = max(text.rfind(stop, 0, match.start()) for stop in "。;") + 1
        ends = [place for stop in "。;" if (place := text.find(stop, match.end())) >= 0]
        last = min(ends) if ends else len(text)
        if not re.search(REPORTS, text[first:last]):
            continue
        a = max(first, text.rfind(",", first, match.start()) + 1)
        a += cut.end() if (cut := re.match(r"\(\d+\)|\([一二三四五六七八九十]+\)|\d+[.、]|[①-⑳]", text[a:])) else 0
        # As far as the word that says report.
        said = re.compile(REPORTS).search(text, match.end(), last) or re.compile(REPORTS).search(text, a, last)
        if said is None:
            continue
        stop = re.compile(r"[,;。)]").search(text, max(said.end(), match.end()), last)
        b = stop.start() if stop else last
        out["reporting_deadlines"].append({
            "text": piece.exact(a, b), "limit": piece.exact(match.start(), match.end()), "minutes": minutes(match), "clause": clause.id, "span": list(piece.span(a, b)),
        })


PHONE = re.compile(r"(?<![\d.])(?:0\d{2,3}-?\d{7,8}|1[3-9]\d{9}|[2-8]\d{6,7}(?=[,;。)]|$))(?![\d.])")


def _contacts(piece: _Slice, clause: Clause, out: dict[str, Any]) -> None:
    for match in PHONE.finditer(piece.text):
        before = piece.text[max(0, match.start() - 30) : match.start()]
        if not re.search(r"电话|手机|传真|联系|值班|热线", before):
            continue
        name = re.search(r"([\u4e00-\u9fff]{2,20}?)(?:值班|联系|办公)?(?:电话|手机|传真|热线)", before)
        out["contacts"].append({"name": name[1] if name else "", "phone": match[0], "clause": clause.id, "span": list(piece.span(match.start(), match.end()))})


RESPONSIBLE = re.compile(r"[(（]责任单位:([^)）]*)[)）]")


def assignment(line: str) -> dict[str, Any]:
    """The parse of what stands after `责任单位:` (half width): lead, by_duty, supporting, plain units, open phrase, and whether 各镇区 are named."""
    found: dict[str, Any] = {"lead": [], "by_duty": [], "supporting": [], "plain": [], "open": "", "and_others": False, "towns": False}
    for part in re.split(r"[,;]", line):
        part = part.strip("。")
        if not part:
            continue
        if part == "各镇区" or re.fullmatch(r"各(?:镇|乡|街道|县|区|市|园区)[^、]{0,10}", part):
            found["towns"] = True
            continue
        key = "plain"
        for ending, name in ((r"牵头(?:负责)?$", "lead"), (r"按(?:照)?职责分工(?:负责)?$", "by_duty"), (r"(?:配合|协助|参与)$", "supporting"), (r"负责$", "plain")):
            if re.search(ending, part):
                part, key = re.sub(ending, "", part), name
                break
        names = [name for name in part.split("、") if name]
        if names and names[-1].endswith("等"):
            names[-1] = names[-1].removesuffix("等")
            found["and_others"] = True
        for name in names:
            if re.fullmatch(r"[省市县区]?(?:各)?(?:有关|相关)(?:部门|单位|部门和单位|单位和部门)", name):
                found["open"] = name
            elif name == "各镇区":
                found["towns"] = True
            else:
                found[key].append(name)
    return found


def _assignments(piece: _Slice, clause: Clause, out: dict[str, Any]) -> None:
    last = 0
    for match in RESPONSIBLE.finditer(piece.text):
        label = re.search(r"(?:^|[。)])([\u4e00-\u9fff]{2,14})。(?=[^。]*(?:。[^。]*)*$)", piece.text[last : match.start()])
        before = piece.text[last : match.start()]
        measure = label[1] if label else ""
        if four := re.findall(r"(?:^|[。)\u4e00-\u9fff])([\u4e00-\u9fff]{4})。", before):
            measure = four[0] if not label or len(four[0]) == 4 else measure
        parsed = assignment(match[1])
        out["assignments"].append({"measure": measure, **parsed, "text": piece.exact(match.start(), match.end()), "clause": clause.id, "span": list(piece.span(match.start(), match.end()))})
        for role, names in (("牵头", parsed["lead"]), ("按职责分工", parsed["by_duty"]), ("配合", parsed["supporting"]), ("", parsed["plain"]), ("按职责分工", [parsed["open"]] if parsed["open"] else []), ("各镇区", ["各镇区"] if parsed["towns"] else [])):
            for name in names:
                out["actions"].append({
                    "level": "", "kind": "task", "hazard": "", "unit": name, "role": role, "text": piece.exact(match.start(), match.end()), "deadline": "", "minutes": None, "with": "", "clause": clause.id,
                    "span": list(piece.span(match.start(), match.end())), "measure": measure,
                })
        last = match.end()


def _table_conditions(paper: Paper, own: dict[int, tuple[int, int]], inclusive: dict[str, Any], titled: str, whole: str, out: dict[str, Any]) -> None:
    """Conditions that stand only in a table: cells under the level their row or column names.

    Scanners shift cells: what stands before the first level of a column of levels belongs to that level; a number without its unit takes the
    unit of the column's head ("雨量(毫米)").
    """
    for clause in paper.clauses:
        if clause.kind != "table":
            continue
        place, level, early = own[id(clause)][0], None, []
        columns: dict[int, str] = {}
        heads: dict[int, str] = {}
        for line in paper.source[slice(*own[id(clause)])].split("\n"):
            cells, at, rest = re.split(rf"\t|{WALL}", line), place, []
            named = [_level_cell(cell) for cell in cells]
            if sum(map(bool, named)) >= 2:
                columns = {number: said for number, said in enumerate(named) if said}
            elif any(named):
                level = next(filter(None, named))
            for number, cell in enumerate(cells):
                words = plain(cell)
                if not named[number] or len(words) > 24:
                    rest.append((number, at, cell))
                if not named[number] and not re.search(r"\d", words) and words and (number not in heads or not level and not columns):
                    heads[number] = heads.get(number, "") + words  # a head may stand in several rows
                at += len(cell) + 1
            for number, start, cell in rest:
                here = columns.get(number) if columns else level
                if here:
                    # Where the columns are levels, the row's first cell says what is counted.
                    head = next((plain(words) for words in cells if plain(words)), "") if columns else heads.get(number, "")
                    _cell(paper, clause, start, cell, head, here, inclusive, titled, whole, out)
                elif not columns and len(plain(cell)) > 3:
                    early.append((start, cell))
            if level and early:
                for start, cell in early:
                    _cell(paper, clause, start, cell, "", level, inclusive, titled, whole, out)
                early = []
            place += len(line) + 1


def _level_cell(cell: str) -> str:
    words = plain(cell)
    if len(words) <= 24:
        return level_of(words if re.search(r"响应|预警", words) else words + "响应") or next((value for word, value in ADJECTIVE if re.match(word, words) and len(words) <= 10), "")
    bare = re.match(r".{0,12}?[(](Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}V?|IV|V|[一二三四])级[)]", words)
    return ROMAN.get(bare[1], bare[1]) if bare else ""


def _cell(paper: Paper, clause: Clause, start: int, cell: str, head: str, level: str, inclusive: dict[str, Any], titled: str, whole: str, out: dict[str, Any]) -> None:
    piece = _Slice(paper.source, start, start + len(cell))
    if not piece.text:
        return
    words = head + piece.text
    kind = kind_of(head) if kind_of(head) == "warning" else "response"
    # A bare number with its sign ("≥100", "50~100") is read with the head's words and unit, and points at the cell.
    if re.fullmatch(r"[≥≤<>=]*\d+(?:\.\d+)?(?:[~-]\d+(?:\.\d+)?)?(?:以[上下])?", piece.text) and (unit := re.search(r"[(]([^)]{1,6})[)]", head) or re.search("人(?=[数口])", head)):
        number = re.match(r"([≥≤<>=]*)(\d+(?:\.\d+)?(?:[~-]\d+(?:\.\d+)?)?)(.*)", piece.text)
        assert number
        words = head.replace(unit[0] if unit.re.groups else "", "") + number[1] + number[2] + unit[unit.re.groups] + number[3]
        for row in thresholds(words, 0, len(words), inclusive):
            row.pop("at")
            _table_row(piece, 0, len(piece.text), row, clause, level, kind, words, titled, whole, out)
        return
    offset = 0
    for segment in re.split(r"(?<=[;。●◆])", piece.text):
        rows, before = thresholds(piece.text, offset, offset + len(segment), inclusive), 0
        if not rows:
            rows, before = thresholds(words, len(head) + offset, len(head) + offset + len(segment), inclusive), len(head)
        for row in rows:
            a, b = (max(at - before, 0) for at in row.pop("at"))
            _table_row(piece, a, b, row, clause, level, kind, words, titled, whole, out)
        offset += len(segment)


def _table_row(piece: _Slice, a: int, b: int, row: dict[str, Any], clause: Clause, level: str, kind: str, words: str, titled: str, whole: str, out: dict[str, Any]) -> None:
    hazard = row.pop("hazard") or hazard_of(words, titled)
    out["conditions"].append({"level": level, "kind": kind, "hazard": hazard, "scope": whole, "text": piece.exact(a, b), **row, "clause": clause.id, "span": list(piece.span(a, b))})
