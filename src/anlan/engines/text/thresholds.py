"""The thresholds of a sentence: a quantity, a comparison, a value with its unit, and the expression they make.

`thresholds(text, start, end, inclusive)` works on a clause made plain (`words.plain` keeps places); a row's `at` are places in that text.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .words import (
    BASE,
    BY_NAME,
    COLOUR_WORD,
    COUNTS,
    DISCRETE,
    LEVEL_COLOUR,
    NUMBER,
    QUANTITIES,
    ROMAN,
    SCALES,
    UNIT,
    WARNED_OF,
    WARNED_TERM,
    Quantity,
    tidy,
    value_of,
)

OF = "|".join(sorted(WARNED_OF, key=len, reverse=True))
COLOUR = "红色|橙色|黄色|蓝色"
# A forecast that a standard of warnings will be reached ("达到暴雨蓝色预警以上标准") is no warning issued.
WARNED = re.compile(rf"(?:(?:发布|发出|启动|收到|接到|达到)(?:的|了)?[^,。;、]{{0,10}}?)?(?:({OF})(?:灾害)?(?:气象)?(?:预警)?(?:信号)?)?((?:{COLOUR})(?:[、及和或/](?:{COLOUR}))*)(?:\([^)]{{0,60}}\))?(?:及?以上)?(?:级别?)?(?:的)?(?:气象)?(?:灾害)?(?:风险)?(?:预警|警报)(?!标准|量级|(?:响应)?(?:措施)?的?基础|以上标准|级别?以上标准|以上预警标准)")
WARNED_LEVEL = re.compile(rf"(?:(?:发布|发出|启动|收到|接到|达到)(?:的|了)?)?({OF})(?:灾害)?(?:气象)?(Ⅰ|Ⅱ|Ⅲ|Ⅳ|IV|I{{1,3}}|[一二三四])级(?:[(](?:{COLOUR})[)])?(?:及?以上)?(?:气象)?(?:灾害)?(?:预警|警报)(?!标准|响应)")
MARKS = r"警戒(?:水位|流量)|保证(?:水位|流量)|历史最高(?:洪)?水位|历史最大流量|历史(?:实测)?最高值|设计(?:洪)?水位|校核(?:洪)?水位|汛限(?:水位)?|防洪高水位|死水位|警戒潮位|(?!历史)[\u4e00-\u9fff]{2,6}(?<!最高)(?<!的)(?:水位|潮位)"
NAMED = re.compile(rf"(达到或(?:超过|可能超过)|达到或接近|将?超过?|达到|接近|逼近|高于|突破|低于|到达)({MARKS}|(?:\d+|[一二三四五六七八九十百]+)年一遇(?:标准)?(?:的|以上)?(?:洪水水位|洪水|水位)?)")
OVER_MARK = re.compile(r"(\d+(?:\.\d+)?)(?:米|m)?(?:(?:~|-+|至|到)(\d+(?:\.\d+)?))?(?:米|m)(?:及?以上)?(?![³3/])")
# An index has no unit to know it by.
AIR = re.compile(r"(?:AQI|空气质量指数)(?:\([^)]{0,12}\))?(?:日均值|小时值|指数|将|预计|连续)*(>=|[≥>]|大于|超过|高于|达到或超过|达到|达)(\d{2,3})(?!\d|级)")
AIR_RANGE = re.compile(r"(?:AQI|空气质量指数)(?:\([^)]{0,12}\))?(?:日均值|小时值|指数|将|预计|在|为|介于|达到|达)*(\d{2,3})[~-](\d{2,3})(?!\d|级)")
VALUE = re.compile(rf"({NUMBER})(?:多|余)?({SCALES})?({UNIT})?")
SHARE = re.compile(r"(\d{1,2}/\d{1,2}|[二三四五]分之[一二三四]|半数)(?:及)?以上(?:的)?(县|市|区|乡|镇|街道|村|社区)")
SHARES = {"半数": "1/2", "二分之一": "1/2", "三分之一": "1/3", "三分之二": "2/3", "四分之一": "1/4", "四分之三": "3/4", "五分之一": "1/5", "五分之二": "2/5", "五分之三": "3/5", "五分之四": "4/5"}
BEFORE = re.compile(r"(?P<less>(?:小于|低于|少于)(?:或|和)?等于|不足|不满|未满|未达到?|少于|低于|小于|降至|降到|≤|<=|<|[不未]超过|不大于|不高于)$|(?P<more>(?:大于|超过|高于)(?:或|和)?等于|>=|≥|不小于)$|(?P<over>超过|大于|高于|多于|超|>)$|(?P<reach>达到或超过|达到|达|至少|不少于|不低于|满)$")
INCLUDED = r"\((?P<{}>不?)(?:含|包括)(?:本[数级]?|该数|\d[^)]*)?\)"
AFTER = re.compile(rf"(?:{INCLUDED.format('pre')})?(?:\((?:或)?{NUMBER}(?:{SCALES})?(?:{UNIT})\)|\)|\((?=或以上))?(?:(?:及|和|或)?以(?P<way>上|下|内))(?:{INCLUDED.format('not')})?")


def thresholds(text: str, start: int, end: int, inclusive: dict[str, Any], unnamed: bool = False) -> list[dict[str, Any]]:
    """The thresholds of text[start:end]; the rest of `text` before it is the context. `at` are places in `text`. `unnamed`: also of what the vocabulary does not know."""
    segment = text[start:end]
    rows: list[dict[str, Any]] = []
    taken: list[tuple[int, int]] = []

    def row(name: str, op: str, value: Any, unit: str, a: int, b: int, cel: str, hazard: str = "", **extra: Any) -> None:
        rows.append({"quantity": name, "op": op, "value": value, "unit": unit, "cel": cel, "at": (start + a, start + b), "hazard": hazard, **extra})

    for match in WARNED.finditer(segment):
        what = match[1] or ""
        what = WARNED_OF.get(what) or what
        count = re.search(rf"({NUMBER})个?(?:及)?以上(?:的)?个?(?:县|市|区|省|乡|镇)[^,;。]{{0,6}}", segment[(near := max(0, match.start() - 40, *(segment.rfind(stop, 0, match.start()) + 1 for stop in ",;。"))) : match.end()])
        begin = min(count.start() + near, match.start()) if count else match.start()
        for colour in re.findall(COLOUR, match[2]):
            term, shade = WARNED_TERM.get(what, "any" if not what else ""), COLOUR_WORD[colour]
            value = tidy(value_of(count[1], None)) if count else None
            if count:
                row("warning_counties", ">=", value, "县", begin, match.end(), f'warned_counties("area", "{term}", "{shade}") >= {value}' if term else "", warning=what + colour)
            else:
                row("warning", "==", what + colour, "", begin, match.end(), f'warned("area", "{term}", "{shade}") >= 1' if term else "", warning=what + colour)
        taken.append((begin, match.end()))
    for match in WARNED_LEVEL.finditer(segment):
        # "暴雨Ⅱ级预警": levels of warnings are their colours (I red … IV blue).
        what = WARNED_OF.get(match[1]) or match[1]
        shade = LEVEL_COLOUR[ROMAN[match[2]] if match[2] in ROMAN else match[2]]
        term = WARNED_TERM.get(what, "")
        row("warning", "==", what + shade, "", match.start(), match.end(), f'warned("area", "{term}", "{COLOUR_WORD[shade]}") >= 1' if term else "", warning=what + shade)
        taken.append(match.span())
    for match in re.finditer(rf"({NUMBER})个?(?:及)?(?:以上)?个?(?:的)?(?:县|市|区|省|乡|镇)[^,;。]{{0,10}}启动[^,;。、或]{{0,10}}?([ⅠⅡⅢⅣ]|I{{1,3}}V?|IV|[一二三四])级(?:及?以上)?[^,;。]{{0,8}}?响应", segment):
        said, value = ROMAN.get(match[2], match[2]), tidy(value_of(match[1], None))
        row("response_counties", ">=", value, "县", _begin(segment, match.start()), match.end(), f'response_counties("area", "{said}") >= {value}')
        taken.append(match.span())
    for match in SHARE.finditer(segment):
        row("share_of_places", ">=", SHARES.get(match[1], match[1]), match[2], match.start(), match.end(), "")
        taken.append(match.span())
    for match in NAMED.finditer(segment):
        if any(a <= match.start() < b for a, b in taken):
            continue
        word, mark = match[1], match[2]
        op = "near" if "近" in word else "<" if word == "低于" else ">=" if word.startswith(("达到", "到达")) else ">"
        places = re.findall(r"([\u4e00-\u9fff]{2,3})站", segment[max(0, match.start() - 80) : match.start()])[-4:]
        name = "flow" if "流量" in mark else "water_level"
        if above := OVER_MARK.match(segment[match.end() :]):
            # "超警戒水位0.5米以上": the mark and so much more; "0.5~1米" is a range above it.
            end = match.end() + above.end()
            for sign, metres in [(">=", above[1])] + ([("<", above[2])] if above[2] else []):
                row(name, sign, f"{mark}+{metres}", "", _begin(segment, match.start()), end, _mark_cel(sign, mark, None, metres), "flood")
            taken.append((match.start(), end))
            continue
        row(name, op, mark, "", _begin(segment, match.start()), match.end(), _mark_cel(op, mark, inclusive.get("near")), "flood", **({"places": places} if places else {}))
        taken.append(match.span())
        # "超过历史最大流量或最高水位": the second mark shares the comparison.
        if again := re.match(rf"(?:或|和|、|及)({MARKS}|历史最高水位|最高水位)", segment[match.end() :]):
            taken.append((match.end(), match.end() + again.end()))
        # What stands in brackets right after a mark is its value, said once more.
        if note := re.match(r"\([^)]{0,60}\)", segment[match.end() :]):
            taken.append((match.end(), match.end() + note.end()))
    for match in AIR.finditer(segment):
        op = ">" if re.search(r">|大于|超过|高于", match[1]) and "≥" not in match[1] else ">="
        row("air_quality", op, int(match[2]), "", match.start(), match.end(), "", "pollution")
        taken.append(match.span())
    for match in AIR_RANGE.finditer(segment):
        for op, index in ((">=", match[1]), ("<=", match[2])):
            row("air_quality", op, int(index), "", match.start(), match.end(), "", "pollution")
        taken.append(match.span())
    last = 0
    sentence = text.rfind("。", 0, start) + 1
    for a, b, parts in _ranges(segment):
        if taken and any(x <= a < y for x, y in taken):
            continue
        # What the sentence spoke of before "或" goes on: "救助人数占 20% 以上，或 100 万人以上".
        context = text[max(sentence, start - 200) : start]
        near = max(0, a - 200)
        around = (context if near == 0 else "") + segment[near : b + 60]
        ahead = len(around) - len(segment[near : b + 60]) - near
        quantity, window = _quantity(around, ahead + a, ahead + b, parts[0][3])
        quantity = quantity or (_unnamed(segment, a, b, parts[0][3], parts[0][1]) if unnamed else None)
        if quantity is None:
            continue
        for op, value, _scale, unit in parts:
            unit = BASE.get(unit, unit)
            if unit == "成":
                value, unit = value * 10, "%"
            op = {"≥": ">=" if inclusive["above"] else ">", "≤": "<=" if inclusive["below"] else "<"}.get(op, op)
            begin = _begin(segment, a, last)
            if quantity.name in COUNTS and (noun := re.compile(COUNTS[quantity.name]).search(segment, a, b + 16)):
                b = max(b, noun.end())
            row(quantity.name, op, tidy(value), unit, begin, b, _cel(quantity, op, value, unit, window, bool(FORECAST.search(segment[:a]))), quantity.hazard, **({"window": window} if window else {}))
        last = b
    rows.sort(key=lambda one: one["at"])
    return rows


FORECAST = re.compile(r"(?:预报|预计|预测|未来|可能|将)[^,;。]{0,30}$")
MARK_NAMES = (("警戒", "warning"), ("保证", "guarantee"), ("历史", "record"), ("设计", "design"), ("校核", "check"), ("汛限", "flood_limit"), ("防洪高水位", "flood_high"), ("10年一遇", "ten_year"), ("十年一遇", "ten_year"))


def _mark_cel(op: str, mark: str, near: float | None, over: str = "") -> str:
    """Against the gauge's own marks; "near" only where the plan says how near."""
    name = next((name for words, name in MARK_NAMES if mark.startswith(words)), "")
    if not name or "死水位" in mark or (op == "near" and near is None):
        return ""
    term = "discharge" if "流量" in mark else "water_level"
    return f'{term}("gauge") >= mark("gauge", "{name}") - {near}' if op == "near" else f'{term}("gauge") {op} mark("gauge", "{name}")' + (f" + {over}" if over else "")


def _cel(quantity: Quantity, op: str, value: float, unit: str, window: str, forecast: bool = False) -> str:
    """Over the published terms: a term's unit is fixed, so 1 米 of street water is 100. "" where the term wants more than the sentence says."""
    if not quantity.term:
        return ""
    if quantity.name == "rain":
        hours = re.match(r"(\d+)小时", window)
        if not hours or hours[1] not in ("1", "3", "6", "24"):
            return ""
        # What is forecast is asked of the forecaster, not of the gauges.
        return f'rain_forecast_{hours[1]}h("area") {op} {tidy(value)}' if forecast else f'rain_{hours[1]}h("area") {op} {tidy(value)}'
    if quantity.name in ("water_level", "flow"):
        return f'{quantity.term}("gauge") {op} {tidy(value)}'
    if quantity.name in COUNTS or quantity.name in ("hours", "return_period"):
        return ""  # so many of what, in which state: the rest of the sentence says it
    if quantity.name == "water_depth" and unit == "米":
        value *= 100
    if quantity.name == "snow":
        return f'snow_24h("area") {op} {tidy(value)}' if unit == "毫米" and window == "24小时" else ""  # a depth is no water
    if quantity.name == "visibility" and unit == "公里":
        value *= 1000
    if quantity.name == "fire_area":
        value *= {"亩": 1 / 15, "平方公里": 100}.get(unit, 1)
    return f'{quantity.term}("area") {op} {tidy(value)}'


def _begin(segment: str, a: int, last: int = 0) -> int:
    """Where the words that belong to a number begin: after the last stop before it."""
    begin = match.end() if (match := re.match(r"\(?\d+[).、]|\([一二三四五六七八九十]+\)|[①-⑳]|[a-z][).]|-{2}", segment)) and match.end() <= a else 0
    # Stops within brackets divide nothing: "3个以上县(市、区)日雨量".
    flat = re.sub(r"\([^()]*\)", lambda one: "#" * len(one[0]), segment[:a])
    begin = max([begin, last] + [flat.rfind(stop) + 1 for stop in ";,。或、:\n"])
    if (scope := re.match(r"\([^()]{1,12}\)", segment[begin:a])) and begin and segment[begin - 1] in "县市区省州":
        begin += scope.end()  # "3个以上县(市、区)24小时降雨量": the bracket belongs to the county
    while begin < a and segment[begin] in "()者且达●•◆■▪·*○":
        begin += 1
    if numbered := re.match(r"\d{1,2}[.、](?=\d+(?:小时|天|日)[\u4e00-\u9fff])", segment[begin:a]):
        begin += numbered.end()  # "1.24小时降雨量": a list's number that looks like part of the figure
    return begin


def _ranges(segment: str) -> Iterator[tuple[int, int, list[tuple[str, float, str, str]]]]:
    """(start, end, [(op, value, scale, unit)…]) for each number with a comparison; ops "≥" and "≤" follow what the plan says of 以上 and 以下."""
    at = 0
    while match := VALUE.search(segment, at):
        at = match.end()
        number, scale, unit = match[1], match[2] or "", match[3] or ""
        below = -1 if unit in ("摄氏度", "℃", "°C") and re.search(r"零下$|(?<!\d)(?<![℃度C])-$", segment[max(0, match.start() - 3) : match.start()]) else 1  # "-10℃以下"
        # What stands further off says nothing of this number, and a sentence of a megabyte stays cheap.
        before, after = segment[max(0, match.start() - 60) : match.start()], segment[match.end() : match.end() + 80]
        if not unit and scale and scale[-1] in "万亿" and re.match("以[上下]", after) and re.search("经济损失|财产损失", before[-20:] + after[:30]):
            unit = "元"  # "5000万以上1亿元以下直接经济损失"
        # 0.2~0.4万(含0.4万)平方公里; 3~5万人; 5%-10%; 6.5级至7.0级
        span = re.match(rf"(?:\(含[^)]*\))?(?:(?:~|-+|至|到)({NUMBER})({SCALES})?(?:\(含[^)]*\))?({UNIT})?)(以上)?", after)
        if span and not span[4] and (span[3] or unit) and not re.search(r"第$|附件$", before):
            unit2 = span[3] or unit
            shared = span[2] or scale
            high_included = "含" in span[0]
            yield match.start(), match.end() + span.end(), [
                (">=", value_of(number, scale or shared), scale or shared, unit2), ("<=" if high_included or (unit2 in DISCRETE and "." not in span[1]) or span[1].endswith("9") or (len(span[1]) == 1 and not shared and unit2 in ("人", "名", "例")) else "<", value_of(span[1], shared), shared, unit2),
            ]
            at = match.end() + span.end()
            continue
        if not unit:
            # "3.0≤M<4.0级"
            if both := re.match(rf"([≤<]=?)[A-Za-z]{{1,3}}([≤<]=?)({NUMBER})({UNIT})?", after):
                signs = {"≤": "<=", "<": "<", "<=": "<="}
                yield match.start(), match.end() + both.end(), [
                    (">=" if signs[both[1]] == "<=" else ">", value_of(number, ""), "", both[4] or "级"), (signs[both[2]], value_of(both[3], ""), "", both[4] or "级"),
                ]
                at = match.end() + both.end()
            continue
        if re.match(r"(?:以)?前|时(?:间)?内|后|报|值守|值班|(?:连续)?滚动", after) or unit not in ("公里", "千米") and re.match("以?内", after) or re.search(r"(?:过去|未来|预计|前|近|每|第|后)$", before):
            continue
        tail = AFTER.match(after)
        word = tail["way"] if tail else ""
        end = match.end() + (tail.end() if tail else 0)
        before = before if below == 1 else re.sub(r"(?:零下|-)$", "", before)
        lead = BEFORE.search(re.sub(r"(?<!低|高|大|小|多|少|等)[约到于在为](?=$)", "", before) if not re.search(r"达到$|降到$", before) else before)
        if word:
            op = "≥" if word == "上" else "≤" if word == "下" else "<="  # 以内 holds its number (Civil Code, art. 1259)
            if tail and (tail["pre"] == "不" or tail["not"] == "不"):
                op = ">" if word == "上" else "<"
            elif tail and (tail["pre"] is not None or tail["not"] is not None):
                op = ">=" if word == "上" else "<="
        elif lead:
            op = "<=" if (lead["less"] or "").endswith(("≤", "<=", "不超过", "未超过", "等于", "不大于", "不高于")) else "<" if lead["less"] else ">" if lead["over"] else ">="
        elif unit in ("小时", "天", "日") and re.match(r"(?:或[^,。;]{0,16}?\d+(?:小时|天))?(?:尚|仍|还)?(?:未|不能|无法)", after):
            op = ">="  # "48小时尚未扑灭明火"
        elif far := re.search(r"(超过|大于|高于)[\u4e00-\u9fff]{2,8}(?:面积|总数|人数|人口|负荷|总量|产值)的?$|(?:达到|达|占)[\u4e00-\u9fff]{2,10}(?:面积|总数|人数|人口|负荷|总量|产值)的?$", before):
            op = ">" if far[1] else ">="  # "超过耕地面积65%"
        elif unit == "%" and (share := re.search(r"(超过|大于|高于|低于|少于|不足|达到|占)[\u4e00-\u9fff]{2,12}的?$", before)):
            op = {"超": ">", "大": ">", "高": ">", "低": "<", "少": "<", "不": "<"}.get(share[1][0], ">=")  # "低于正常库存量的50%"
        elif unit in ("小时", "天", "日", "周") and re.search(r"持续(?:时间)?(?:达到?)?$", before):
            op = ">="  # "紧急状态持续10天"
        elif re.search(r"人数$", before) and unit in ("人", "名", "例") or re.search(r"(?:风力|阵风|平均风)$", before) and unit == "级":
            op = ">="  # "中毒人数100人", "海上风力7级": so much, or more
        elif unit in ("人", "名") and re.search(r"(?:造成|导致|致|发生|出现|有)$", before) and re.match(r"(?:人员)?(?:死亡|失踪|遇难|重伤|受伤|中毒|被困)", after):
            op = ">="  # "造成1人死亡": it has happened, or more
        elif later := re.match(rf"(?:或|、)({NUMBER})({SCALES})?({UNIT})以(上|下)", after):
            op = "≥" if later[4] == "上" else "≤"  # "20万间或6万户以上": the comparison stands after the second number
        elif unit in ("个", "座", "条", "起") and not (unit == "个" and number in ("一", "1") and re.match(r"[县市区乡镇省地]|平均", after)) and not re.search(r"[分为共设]有?$|某$|(?<![区域内,])有$", before):
            op = "≥"  # "2 条河流": so many of them, or more
        else:
            continue
        yield match.start(), end, [(op, below * value_of(number, scale), scale, unit)]
        if "(或" not in segment[match.end() : end]:
            at = max(at, end)


COMPARED = re.compile(r"(?:达到或超过|大于等于|小于等于|达到|超过|低于|少于|高于|大于|小于|不足|不满|至少|[≥≤<>=达超将约为在的至到或且并和已共]|累计|一次性)+$")


def _unnamed(segment: str, a: int, b: int, unit: str, value: float) -> Quantity | None:
    """A threshold of something the vocabulary does not know keeps the plan's own noun, before the number or behind it, as its quantity: listed, never drafted."""
    if unit in ("小时", "天", "日", "周", "年", "个月") or unit == "个" and value == 1:
        return None  # a span of time is a window or a limit, unless a word says what lasts
    before = COMPARED.sub("", re.split(r"[,;。、:()]|\d(?:小时|天|日)内?", segment[max(0, a - 40) : a])[-1])
    noun = re.search(r"[\u4e00-\u9fff]{2,12}$", before) or re.match(r"(?:的)?(?:(?!出现|发生|遭受)[\u4e00-\u9fff]){2,8}", segment[b : b + 12])
    return Quantity(noun[0].removeprefix("的"), "", (unit,)) if noun else None


# What these units count needs no word.
ALONE = {"立方米每秒": "flow", "立方米/秒": "flow", "m³/s": "flow", "m3/s": "flow", "个流量": "flow", "年一遇": "return_period"}


def _quantity(segment: str, a: int, b: int, unit: str) -> tuple[Quantity | None, str]:
    """The quantity a number stands for: by its unit and the nearest word before it, or the word right after; and the window (24小时) it is taken over."""
    before = segment[:a]
    window = ""
    if match := re.search(r"(\d+|[一二三六十]+)(小时|天|日|h)[^,;。]{0,12}$", before):
        window = f"{match[1]}{match[2]}".replace("h", "小时")
    elif re.search(r"日(?:面|累计|累积)?(?:降[雨雪水]|雨|雪)量?(?:将|达|达到|超过|大于|在|≥|>)?$", before):
        window = "24小时"
    windowed = ("rain", "snow")
    fit = [quantity for quantity in QUANTITIES if unit in quantity.units]
    # "3人以上、10人以下重伤": what stands right behind the (second) number names both.
    follows = re.match(rf"(?:[、,至~-]?(?:{NUMBER}(?:{SCALES})?(?:{UNIT})以[上下]|(?:不足|不满|未满){NUMBER}(?:{SCALES})?(?:{UNIT})))?", segment[b:])
    if unit in ("小时", "天") and (other := re.match(rf"或[^,。;]{{0,16}}?\d+{unit}", segment[b:])):
        follows = other  # "2小时或其他地区4小时尚未得到控制": what is not done is said once
    behind = segment[b + (follows.end() if follows else 0) :][:24]
    for quantity in fit:
        if quantity.after and quantity.after != "." and re.match(rf"(?:以上|以下|的|\([^)]{{0,60}}\))*{quantity.after}", behind):
            return quantity, window if quantity.name in windowed else ""
    best: tuple[int, Quantity] | None = None
    for quantity in fit:
        if not quantity.words:
            continue
        places = [match.end() for match in re.finditer(quantity.words, before)]
        if places and (best is None or places[-1] > best[0]):
            best = (places[-1], quantity)
    if best is not None and unit not in ("个",):
        return best[1], window if best[1].name in windowed else ""
    after = segment[a : b + 14]
    nearest = min(((found.end(), name) for name, shape in COUNTS.items() if (found := re.search(shape, after))), default=None)
    if nearest:
        return BY_NAME[nearest[1]], ""
    if unit == "个" and (placed := re.search(r"([县市区乡镇])(?:\([^)]{1,8}\))?(?:数量?)?(?:达到?|超过|有|为)?$", before)):
        return BY_NAME[{"市": "cities", "乡": "towns", "镇": "towns"}.get(placed[1], "counties")], ""  # "…的县(市、区)达到10个以上"
    if unit == "个" and re.search(r"站(?:点|水位)?$", before):
        return BY_NAME["stations"], ""
    for quantity in fit:
        if quantity.after == "." or unit in ALONE and quantity.name == ALONE[unit]:
            return quantity, ""
    if unit in ("毫米", "mm") and re.search(r"雨|降水", segment):
        return BY_NAME["rain"], window
    return None, ""
