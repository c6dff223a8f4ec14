"""What a plan's sentences say, as rows that point at them: levels, conditions with thresholds, actions, units, contacts, reporting limits.

    elements(paper) -> dict        the shapes of docs/plan-elements.md

Everything is found by rule. Each row's `text` is the exact substring of the source at its `span`. A condition whose threshold cannot be
written as an expression over the vocabulary goes to `unmatched` with the reason: listed, never guessed.
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .reader import CN, Clause, Paper, cn_number

ROMAN = {"Ⅰ": "I", "Ⅱ": "II", "Ⅲ": "III", "Ⅳ": "IV", "Ⅴ": "V", "一": "I", "二": "II", "三": "III", "四": "IV", "五": "V", "1": "I", "2": "II", "3": "III", "4": "IV"}
LEVEL = re.compile(r"(?<![A-Za-zⅠⅡⅢⅣ])(Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}V?|IV|V|[一二三四])级")
ADJECTIVE = (("特别重大", "I"), ("重大", "II"), ("较大", "III"), ("一般", "IV"))
COLOUR = {"红色": "I", "橙色": "II", "黄色": "III", "蓝色": "IV"}
NUMBER = r"(?:\d+(?:[.．]\d+)?|[一二两三四五六七八九十百]{1,4}(?=[个座条名人起处市县省]))"
SCALE = {"": 1, "十": 10, "百": 100, "千": 1_000, "万": 10_000, "十万": 100_000, "百万": 1_000_000, "亿": 100_000_000}


@dataclass(frozen=True)
class Quantity:
    """A term of the vocabulary: its name in expressions, the words that announce it, the units it is counted in (base unit first)."""

    name: str
    words: str
    units: tuple[str, ...]
    hazard: str = ""


# The order decides when several words stand before a number: the nearest one wins, and among equals the first here.
QUANTITIES = (
    Quantity("deaths", r"死亡(?:\(?含失踪\)?|和失踪|、失踪|失踪)?|遇难|死亡或可能死亡", ("人", "名")),
    Quantity("missing", r"失踪|失联", ("人", "名")),
    Quantity("injured", r"受伤|重伤|伤亡|中毒", ("人", "名")),
    Quantity("trapped", r"被困|受困|涉险", ("人", "名")),
    Quantity("people_relocated", r"转移安置|紧急转移|生活救助(?!人数)|疏散", ("人", "名")),
    Quantity("people_needing_aid_share", r"需(?:政府)?救助人数占|救助人数占|占当地农牧业人口|占农业人口", ("%",), "drought"),
    Quantity("people_needing_aid", r"需(?:要)?(?:政府)?救助(?:人数|人口)?", ("人",), "drought"),
    Quantity("people_affected", r"受灾人口|受影响人口|受灾人数", ("人",)),
    Quantity("people_short_of_water", r"饮水困难(?:人口)?|临时饮水困难", ("人",), "drought"),
    Quantity("houses_damaged_rooms", r"倒塌|损坏房屋|倒损|房屋", ("间",)),
    Quantity("houses_damaged_households", r"倒塌|损坏房屋|倒损|房屋", ("户",)),
    Quantity("economic_loss", r"经济损失|财产损失|损失", ("元",)),
    Quantity("crop_drought_share", r"受旱面积占[^，；。]{0,12}|作物受旱", ("%",), "drought"),
    Quantity("water_shortage_share", r"缺水率", ("%",), "drought"),
    Quantity("soil_moisture", r"土壤(?:相对)?(?:含水量|湿度|墒情)", ("%",), "drought"),
    Quantity("rain", r"降雨(?:量)?|降水(?:量)?|雨量|面雨量|雨强", ("毫米", "mm")),
    Quantity("snow", r"降雪(?:量)?|积雪", ("毫米", "mm", "厘米", "cm")),
    Quantity("rain_area", r"笼罩面积|覆盖面积|面积达", ("平方公里", "km²", "平方千米")),
    Quantity("water_depth", r"积水(?:深度)?|水深|淹没深度", ("厘米", "cm", "米", "m"), "urban_flood"),
    Quantity("water_level", r"水位|站", ("米", "m")),
    Quantity("flow", r"流量|入库|出库", ("立方米每秒", "立方米/秒", "m³/s", "m3/s", "个流量")),
    Quantity("return_period", r"重现期|一遇", ("年一遇", "年")),
    Quantity("reservoirs", r"", ("座",)),
    Quantity("rivers", r"", ("条",)),
    Quantity("wind_force", r"风力|阵风|大风|平均风", ("级",), "wind"),
    Quantity("wind_speed", r"风速|阵风|大风", ("米/秒", "m/s", "米每秒"), "wind"),
    Quantity("temperature", r"气温|温度", ("摄氏度", "℃", "°C")),
    Quantity("visibility", r"能见度", ("米", "m", "公里")),
    Quantity("magnitude", r"地震|震级|发生|以上地震", ("级",), "earthquake"),
    Quantity("intensity", r"烈度", ("度", "级"), "earthquake"),
    Quantity("fire_area", r"过火面积|受害(?:森林)?面积|火场面积|森林面积", ("公顷", "亩"), "forest_fire"),
    Quantity("fire_hours", r"燃烧|明火|持续|火场|扑灭", ("小时",), "forest_fire"),
    Quantity("fires", r"火灾|火场|火点", ("起", "处"), "forest_fire"),
    Quantity("hours", r"持续|中断|停电|停水", ("小时", "天", "日")),
    Quantity("power_cut_share", r"减供负荷|停电", ("%",)),
    Quantity("volume", r"方量|体积|滑坡|泥石流", ("立方米",), "geological"),
    Quantity("counties", r"", ("个",)),
    Quantity("provinces", r"", ("个",)),
    Quantity("cities", r"", ("个",)),
    Quantity("towns", r"", ("个",)),
    Quantity("stations", r"", ("个",)),
)
BASE = {"mm": "毫米", "cm": "厘米", "m": "米", "km²": "平方公里", "平方千米": "平方公里", "名": "人", "立方米/秒": "立方米每秒", "m³/s": "立方米每秒", "m3/s": "立方米每秒",
        "个流量": "立方米每秒", "m/s": "米每秒", "米/秒": "米每秒", "℃": "摄氏度", "°C": "摄氏度", "年一遇": "年"}
UNITS = sorted({unit for quantity in QUANTITIES for unit in quantity.units}, key=len, reverse=True)
DISCRETE = {"级", "个", "座", "条", "处", "起", "度"}
COUNTS = {"reservoirs": r"座[^，；。、]{0,8}(?:水库|水电站|大坝)", "rivers": r"条[^，；。、]{0,6}(?:河|江|流)", "counties": r"个[^，；。]{0,6}(?:县|区县|市县)", "provinces": r"个[^，；。]{0,4}省",
          "cities": r"个[^，；。]{0,5}(?:市|城市|地区|地市)", "towns": r"个[^，；。]{0,4}(?:乡|镇)", "stations": r"个[^，；。]{0,6}(?:站|测站)", "points": r"处"}
# Levels of water that carry a name instead of a number.
NAMED = re.compile(r"(超过?|达到或超过|达到|接近|逼近|高于|突破|将?超)(警戒水位|保证水位|历史最高水位|历史最大流量|设计水位|校核水位|汛限水位|(?:\d+|[一二三四五六七八九十]+)年一遇(?:标准)?的?(?:洪水|水位|洪水水位)?)")
WARNED = re.compile(r"(?:发布|发出|启动)([^，。；]{0,14}?)(红色|橙色|黄色|蓝色)(?:[、及和或](?:红色|橙色|黄色|蓝色))*[^，。；]{0,6}?(?:预警|警报)|([\u4e00-\u9fff]{2,6})(红色|橙色|黄色|蓝色)预警")
VALUE = re.compile(rf"({NUMBER})\s*(十万|百万|万|亿|千|百)?\s*({'|'.join(map(re.escape, UNITS))}|个|座|条|处)?")
HAZARDS = (("drought", r"干旱|旱灾|旱情|抗旱|受旱|缺水|饮水困难|气象干早"), ("typhoon", r"台风|热带气旋|热带风暴|超强台风"), ("urban_flood", r"内涝|积水|下穿|隧道|渍涝"),
           ("geological", r"滑坡|泥石流|崩塌|地质灾害|山体"), ("earthquake", r"地震"), ("forest_fire", r"森林火|草原火|火场|过火"), ("snow", r"暴雪|冰冻|道路结冰|低温|寒潮"),
           ("heat", r"高温"), ("sand", r"沙尘"), ("fog", r"大雾|霾"), ("hail", r"冰雹|雷电|风雹"), ("frost", r"霜冻"), ("wind", r"大风"), ("rainstorm", r"暴雨|降雨|强降水"),
           ("flood", r"洪水|水位|水库|堤防|防汛|洪涝|山洪|垮坝|溃坝|河"), ("hazmat", r"危险化学品|危化品|泄漏|爆炸"), ("epidemic", r"疫情|传染病"))
TITLES = (("flood_drought", r"防汛抗旱"), ("flood", r"防汛|防洪|洪涝"), ("drought", r"抗旱|干旱"), ("typhoon", r"台风|防台"), ("earthquake", r"地震"), ("forest_fire", r"森林|草原"), ("geological", r"地质"),
          ("meteorological", r"气象"), ("relief", r"自然灾害|救助|救灾"), ("snow", r"雪|冰冻|低温"), ("hazmat", r"危险化学品|生产安全|危化"), ("fire", r"火灾|消防"), ("epidemic", r"疫"))
DURATION = re.compile(rf"(?:(\d+|[{CN}]+)个?)(分钟|小时|时|日|天|个?工作日)(?:之?内|以内)")
CONDITIONS = re.compile(r"启动条件|启动标准|响应条件|分级标准|响应启动|预警标准|预警条件|响应标准|适用情形|级预警$|启动情形")
ACTIONS = re.compile(r"响应行动|响应措施|应急措施|行动措施|处置措施|应对措施|响应内容|应急联动|工作措施|预警行动|响应工作|应急行动|叫应|响应程序及措施")
LEADIN = re.compile(r"(?:下列|以下|如下)(?:情况|情形|条件|标准)(?:之一|中的)?|之一的?[，,:：]?\s*(?:启动|为)|符合.{0,10}(?:之一|条件)|有下列")
OTHER = re.compile(r"^[（(]?\d*[）)]?(?:其他|其它|符合其他|.{0,12}认为|.{0,8}需要启动)")
UNIT_END = (r"(?:人民政府|政府办公厅|政府办公室|办公厅|办公室|党委|政府|委员会|指挥部|减灾委|减灾办|安委办|防指|防办|防总|管理局|监管局|分局|局|厅|部|委|办|总队|支队|大队|中队|中心|公司|集团|医院|学校|学院|科学院|院|所|站|台|"
            r"军分区|军区|警备区|红十字会|慈善总会|妇联|科协|工会|团委|团省委|团市委|总社|协会|联合会|部门|单位|机构|企业|组|队|司|处|署|行|银行|园区|街道|乡镇|各镇区|领导小组|专家组|工作组|"
            r"省长|市长|县长|区长|主任|副主任|主席|书记|总指挥|副总指挥|指挥长|秘书长|负责同志|负责人|领导同志|领导|成员|责任人|值班员|建设局|办公会|民兵|部队|武警|省委|市委|县委|国务院)")
VERB = re.compile(r"(?:科学|停止|按照|按|根据|依据|迅速|及时|立即|紧急|视情|负责|组织|指导|协调|派出|启动|做好|会同|主持|开展|加强|统一|牵头|配合|协助|督促|实行|下达|调|发布|向|率|赴|在|实时|密切|应|要|可|每日|每|会商|统筹|迅|研究|提出|决定|提供|落实|保障|"
                  r"汇总|制定|建立|通知|通报|报告|监测|检查|核查|抢修|救治|转移|安置|参与|承担|对|将|为|与|主动|适时|全力|积极|优先|第一时间|依法|尽快|进一步|必要时|召开|召集|申请|请求|宣布|坐镇|到岗|值班|赶赴|到|完成|严格|切实|认真|接|收集|指挥|动员|引导|指定|设立|成立|设置|抽调|巡查|预置|叫应|运用|"
                  r"滚动|采取|抓好|抓|继续|强化|确保|支持|监督|管理|处理|实施|审核|签发|联合|参加|跟踪|分析|评估|上报|报|传|转发|部署|调度|恢复|关闭|停|疏散|撤离|救援|处置|维护|组建|征用|增派|提前|协同|分别|统计|推进|安排|编辑|保持|申报|调运|发放|拨付|筹集|储备|下拨|抢险|排查|管控|警戒|广泛|充分|保证|进入|建议|预报|响应|履行|落|实|同|商)")


HALF_WIDTH = str.maketrans("（），；：％～—－．０１２３４５６７８９", "(),;:%~--.0123456789")


class _Slice:
    """A clause's own text without blanks, and for each of its characters the place in the source."""

    def __init__(self, source: str, start: int, end: int, skip: str = "") -> None:
        self.source = source
        self.where = [k for k in range(start, end) if not source[k].isspace() and not "\ue000" <= source[k] <= "\uf8ff"]
        self.text = "".join(source[k] for k in self.where)
        # Half and full width are one; indexes stay.
        if skip and self.text.startswith(skip):
            # Number and heading are no sentence of the clause.
            self.where, self.text = self.where[len(skip) :], self.text[len(skip) :]
        self.text = self.text.translate(HALF_WIDTH)

    def span(self, a: int, b: int) -> tuple[int, int]:
        return self.where[a], self.where[b - 1] + 1

    def exact(self, a: int, b: int) -> str:
        start, end = self.span(a, b)
        return self.source[start:end]


def _skip(clause: Clause) -> str:
    """Number and heading as they stand in the source, without blanks, when the heading is a line of its own."""
    if not clause.heading or clause.text.startswith(clause.heading):
        return ""
    return re.sub(r"[\s\ue000-\uf8ff]+", "", clause.number + clause.heading)


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


def level_of(text: str) -> tuple[str, str] | None:
    """(level I…IV, "response" or "warning") that a heading names; None when it names none or several."""
    plain = re.sub(r"\s+", "", text)
    found = {ROMAN.get(match[1], match[1]) for match in LEVEL.finditer(plain)}
    kind = "warning" if "预警" in plain and "响应" not in plain else "response"
    if len(found) == 1:
        return found.pop(), kind
    if not found and "响应" in plain or "预警" in plain:
        colours = {level for word, level in COLOUR.items() if word in plain}
        if len(colours) == 1:
            return colours.pop(), kind
    return None


def elements(paper: Paper) -> dict[str, Any]:
    """All rows of a paper. See the module's description; the shapes are those of docs/plan-elements.md."""
    own, above = _own(paper), _ancestors(paper)
    inclusive = _inclusive(paper)
    titled = next((name for name, words in TITLES if re.search(words, paper.title)), "")
    whole = _whole(paper)
    out: dict[str, Any] = {
        "title": paper.title, "inclusive": inclusive, "levels": [], "conditions": [], "actions": [], "units": [], "contacts": [], "reporting_deadlines": [], "assignments": [], "unmatched": [],
    }
    levels = _levels(paper, above, out)
    for clause in paper.clauses:
        start, end = own[id(clause)]
        piece = _Slice(paper.source, start, end, _skip(clause))
        if not piece.text:
            continue
        here = levels.get(id(clause))
        chain = above[id(clause)]
        if clause.kind != "table":
            if here and _is_condition(clause, chain):
                _conditions(piece, clause, chain, here, inclusive, titled, whole, out)
            elif _is_action(clause, chain):
                _actions(piece, clause, here, titled, out)
            _units(piece, clause, chain, out)
        _deadlines(piece, clause, out)
        _contacts(piece, clause, out)
        _assignments(piece, clause, out)
    if not out["conditions"]:
        _table_conditions(paper, own, inclusive, titled, whole, out)
    return out


def _inclusive(paper: Paper) -> dict[str, Any]:
    """Whether 以上 and 以下 include the number, and where the plan says so; the usual reading when it does not."""
    for match in re.finditer(r"[“\"]?以\s*上[”\"]?\s*[^。；\n]{0,12}?(不\s*)?[含包][含括]?\s*本\s*(?:数|级)[^。；\n]{0,24}", paper.source):
        plain = re.sub(r"\s+", "", match[0])
        below = re.search(r"[“\"]?以下[”\"]?[^。]{0,8}?(不)?[含包]括?本", plain)
        # "（含本数，下同）" speaks of 以上 alone.
        return {"above": match[1] is None, "below": bool(below and not below[1]), "said": True, "span": [match.start(), match.end()]}
    return {"above": True, "below": False, "said": False, "span": None}


def _whole(paper: Paper) -> str:
    match = re.match(r"(.{2,12}?(?:省|市|县|区|自治州|自治区|镇|乡))", paper.title)
    if match:
        return match[1]
    return "全国" if paper.title.startswith(("国家", "中国")) else ""


def _levels(paper: Paper, above: dict[int, list[Clause]], out: dict[str, Any]) -> dict[int, tuple[str, str]]:
    """The level each clause stands under, by the nearest heading that names one; fills out["levels"]."""
    found: dict[int, tuple[str, str]] = {}
    headings: dict[int, tuple[str, str]] = {}
    for clause in paper.clauses:
        words = _plain(clause.heading or (clause.text if len(clause.text) <= 30 else ""))
        if words and not words.startswith(("其他", "其它")) and (said := level_of(words)) and re.search(r"响应|预警|启动|级$", words) and not re.search(r"情况|情形|[。;；]$", words):
            headings[id(clause)] = said
    # OCR reads Ⅳ as V: before a Ⅲ among its sisters it can be nothing else.
    for clause in paper.clauses:
        known = {headings[id(child)][0] for child in clause.children if id(child) in headings}
        for child in clause.children:
            if headings.get(id(child), ("",))[0] == "V" and "IV" not in known:
                headings[id(child)] = ("IV", headings[id(child)][1])
            # "级响应启动" between Ⅲ and Ⅰ lost its numeral.
    for clause in paper.clauses:
        for one in above[id(clause)]:
            if id(one) in headings:
                found[id(clause)] = headings[id(one)]
                break
        else:
            for one in above[id(clause)][1:2]:
                said = level_of(one.text[-60:]) if LEADIN.search(one.text) else None
                if said:
                    found[id(clause)] = said
            said = level_of(clause.text[:80]) if LEADIN.search(clause.text[:120]) else None
            if said and id(clause) not in found:
                found[id(clause)] = said
    for clause in paper.clauses:
        if id(clause) not in headings:
            continue
        level, kind = headings[id(clause)]
        body = re.sub(r"\s+", "", "".join(one.heading + one.text for one in [clause, *_below(clause)]))
        who = re.search(r"(?:由|报|经)?([^，。；]{2,24}?)(?:决定|批准|签发|宣布)(?:启动|后启动|进入)", body)
        out["levels"].append({"level": level, "kind": kind, "name": re.sub(r"\s+", "", clause.heading or clause.text), "decides": who[1].lstrip("由报经") if who else "", "clause": clause.id, "span": list(clause.span)})
    return found


def _below(clause: Clause) -> Iterator[Clause]:
    for child in clause.children:
        yield child
        yield from _below(child)


def _plain(text: str) -> str:
    return re.sub(r"\s+", "", text)


def _is_condition(clause: Clause, chain: list[Clause]) -> bool:
    for one in chain[:4]:
        heading = _plain(one.heading)
        if ACTIONS.search(heading):
            return False
        if CONDITIONS.search(heading):
            return True
        if one is not clause and LEADIN.search(_plain(one.text)[-80:]) and not ACTIONS.search(_plain(one.text)[-40:]) and "措施" not in _plain(one.text)[-20:]:
            return True
    return False


def _is_action(clause: Clause, chain: list[Clause]) -> bool:
    for one in chain[:5]:
        heading = _plain(one.heading)
        if CONDITIONS.search(heading) and not ACTIONS.search(heading):
            return False
        if re.search(r"启动程序|启动与|响应终止|职责|响应等级", heading):
            return False
        if ACTIONS.search(heading):
            return True
        if one is not clause and re.search(r"(?:采取|落实|做好)(?:以下|下列|如下)?(?:[^，。；]{0,6})?(?:措施|工作|行动)[:：]?$", _plain(one.text)):
            return True
    return False


def _hazard(text: str, titled: str) -> str:
    for name, words in HAZARDS:
        if re.search(words, text):
            if titled in ("flood_drought", "flood") and name == "rainstorm":
                return "flood"
            return name
    return {"flood_drought": "flood", "meteorological": "", "relief": "natural_disaster"}.get(titled, titled)


def _conditions(piece: _Slice, clause: Clause, chain: list[Clause], here: tuple[str, str], inclusive: dict[str, Any], titled: str, whole: str, out: dict[str, Any]) -> None:
    text = piece.text
    level, kind = here
    if clause.children and LEADIN.search(text):
        return  # the sentence that opens the list
    lead = "".join(_plain(one.text)[-60:] + _plain(one.heading) for one in chain[1:3])
    hazards = next((h for one in chain[:4] for h in [_hazard(_plain(one.heading), "")] if h and one.heading), "")
    scope = _scope(text, lead, whole)
    body = re.match(r"(?:\(\d+\)|\(?[一二三四五六七八九十]+\)|\d+[.、]|[①-⑳]|[a-z][)）])?", text)
    base = body.end() if body else 0
    offset = 0
    for segment in re.split(r"(?<=[;。])|(?<=,)(?=或)|(?<=[;,])(?=或者)", text):
        a, b = offset, offset + len(segment)
        offset = b
        inner = segment.strip(";,。")
        if a < base:
            inner = segment[base - a :].strip(";,。")
        if len(inner) < 3:
            continue
        hazard = hazards if hazards and hazards != "flood" else _hazard(inner, titled) or _hazard(lead, titled)
        rows = _thresholds(segment, a, piece, inclusive)
        for row in rows:
            out["conditions"].append({
                "level": level, "kind": kind, "hazard": row.pop("hazard", "") or hazard, "scope": scope, **row, "clause": clause.id,
            })
        if not rows:
            first = text.index(inner, a)
            why = "left to judgement" if OTHER.match(inner) else "no threshold that the vocabulary knows"
            out["unmatched"].append({"level": level, "kind": kind, "text": piece.exact(first, first + len(inner)), "why": why, "clause": clause.id, "span": list(piece.span(first, first + len(inner)))})


def _scope(text: str, lead: str, whole: str) -> str:
    for source in (text, lead):
        match = re.search(r"(全国|全省|全市|全县|全区|省级行政区域|市级行政区域|县级行政区域|全省行政区域|本市行政区域|本省|我市(?:大部分|部分)地区|湘江[^,;。]{0,4}流|省级|市级|县级)", source)
        if match:
            return match[1]
    return whole


def _value(number: str, scale: str | None) -> float:
    digits = number.replace("．", ".")
    value = float(digits) if re.fullmatch(r"\d+(\.\d+)?", digits) else float(cn_number(digits.replace("两", "二")) or 0)
    return value * SCALE.get(scale or "", 1)


def _thresholds(segment: str, start: int, piece: _Slice, inclusive: dict[str, Any]) -> list[dict[str, Any]]:
    """The thresholds of one part of a sentence; `start` is its place in the slice."""
    rows: list[dict[str, Any]] = []

    def row(name: str, op: str, value: Any, unit: str, a: int, b: int, cel: str, hazard: str = "", extra: dict[str, Any] | None = None) -> None:
        rows.append({
            "text": piece.exact(start + a, start + b), "quantity": name, "op": op, "value": value, "unit": unit, "cel": cel, "span": list(piece.span(start + a, start + b)), "hazard": hazard, **(extra or {}),
        })

    taken: list[tuple[int, int]] = []
    for match in WARNED.finditer(segment):
        colour = match[2] or match[4]
        hazard_word = re.search(r"(暴雨|台风|暴雪|寒潮|大风|沙尘暴|低温|高温|干旱|霜冻|冰冻|大雾|霾|雷电|冰雹|道路结冰|地质灾害|山洪(?:灾害)?|洪水|森林火险|[\u4e00-\u9fff]{2,4})$", (match[1] or match[3] or "").strip("的了"))
        what = hazard_word[1] if hazard_word else ""
        count = re.search(rf"({NUMBER})个?(?:及)?以上(?:的)?(?:县|市|区|省)[^,;。]{{0,6}}", segment[: match.end()])
        if count:
            value = _value(count[1], None)
            row("warning_counties", ">=", _tidy(value), "县", min(count.start(), match.start()), match.end(), f'warnings("{what}", "{colour}").counties >= {value:g}', extra={"warning": f"{what}{colour}"})
            taken.append((count.start(), count.end()))
        else:
            row("warning", "==", f"{what}{colour}", "", match.start(), match.end(), f'warnings("{what}", "{colour}").count >= 1', extra={"warning": f"{what}{colour}"})
        taken.append(match.span())
    for match in re.finditer(rf"({NUMBER})个?(?:及)?(?:以上)?个?(?:的)?(?:县|市|区|省)[^,;。]{{0,8}}启动([ⅠⅡⅢⅣ]|I{{1,3}}V?|IV|[一二三四])级(?:应急)?响应", segment):
        said = ROMAN.get(match[2], match[2])
        row("response_counties", ">=", _tidy(_value(match[1], None)), "县", _begin(segment, match.start()), match.end(), f'responses("{said}").counties >= {_tidy(_value(match[1], None))}')
        taken.append(match.span())
    for match in NAMED.finditer(segment):
        if any(a <= match.start() < b for a, b in taken):
            continue
        word = match[1]
        op = "near" if word in ("接近", "逼近") else ">" if word.startswith(("超", "高于", "突破", "将超")) else ">="
        name = "flow" if "流量" in match[2] else "water_level"
        places = _places(segment[: match.start()])
        first = _begin(segment, match.start())
        cel = "" if op == "near" else f'{name} {op} reference("{match[2]}")'
        row(name, op, match[2], "", first, match.end(), cel, "flood", {"places": places} if places else None)
        taken.append(match.span())
    last = 0
    sentence = piece.text.rfind("。", 0, start) + 1
    for found in _ranges(segment):
        a, b, parts = found
        if any(x <= a < y for x, y in taken):
            continue
        # What the sentence spoke of before "或" goes on: "救助人数占 20% 以上，或 100 万人以上".
        context = piece.text[sentence:start]
        quantity, note = _quantity(context + segment, len(context) + a, len(context) + b, parts[0][3])
        if quantity is None:
            continue
        for op, value, _scale, unit in parts:
            unit = BASE.get(unit, unit)
            base = {"厘米": ("米", 0.01)}.get(unit) if quantity.name == "water_depth" else None
            number = value * base[1] if base else value
            op = {">=": ">=" if inclusive["above"] else ">", "<": "<=" if inclusive["below"] else "<"}.get(op, op) if op in ("≥", "<") else op
            op = (">=" if inclusive["above"] else ">") if op == "≥" else op
            term = quantity.name if not note else f'{quantity.name}("{note}")'
            begin = max(_begin(segment, a), last)
            if quantity.name in COUNTS and (noun := re.compile(COUNTS[quantity.name]).search(segment, a, b + 16)):
                b = max(b, noun.end())
            row(quantity.name, op, _tidy(value), unit, begin, b, f"{term} {op} {_tidy(number)}", quantity.hazard, {"window": note} if note else None)
        last = b
    return rows


def _tidy(value: float) -> float | int:
    return int(value) if float(value).is_integer() else round(value, 6)


def _begin(segment: str, a: int) -> int:
    """Where the words that belong to a number begin: after the last stop before it."""
    begin = match.end() if (match := re.match(r"\(?\d+[).、]|[①-⑳]|[a-z]\)", segment)) and match.end() <= a else 0
    begin = max([begin] + [segment.rfind(stop, 0, a) + 1 for stop in ";,。或、:\n"])
    while begin < a and segment[begin] in "()者且达":
        begin += 1
    return begin


def _places(text: str) -> list[str]:
    return re.findall(r"([\u4e00-\u9fff]{2,3})站", text)[-4:]


def _ranges(segment: str) -> Iterator[tuple[int, int, list[tuple[str, float, str, str]]]]:
    """(start, end, [(op, value, scale, unit)…]) for each number with a comparison; op "≥" and "<" follow what the plan says of 以上 and 以下."""
    at = 0
    while match := VALUE.search(segment, at):
        at = match.end()
        number, scale, unit = match[1], match[2] or "", match[3] or ""
        before, after = segment[: match.start()], segment[match.end() :]
        # 0.2~0.4万(含0.4万)平方公里; 3~5万人; 5%-10%
        span = re.match(rf"(?:(?:~|-|至|到)({NUMBER})(十万|百万|万|亿|千|百)?(?:\(含[^)]*\))?({'|'.join(map(re.escape, UNITS))}|个|座|条|处)?)", after)
        if span and (span[3] or unit):
            unit2 = span[3] or unit
            shared = span[2] or scale
            high_included = "含" in span[0]
            yield match.start(), match.end() + span.end(), [
                (">" if high_included else ">=", _value(number, scale or shared), scale or shared, unit2), ("<=" if high_included or unit2 in DISCRETE else "<", _value(span[1], shared), shared, unit2),
            ]
            at = match.end() + span.end()
            continue
        if not unit:
            continue
        if re.match(r"(?:以)?[内前]|时(?:间)?内", after) or re.search(r"(?:过去|未来|预计|前|近|每)$", before):
            continue
        tail = re.match(r"\s*(?:(?:及)?以(上|下|内)|(?:及)?以(上|下))?(?:\((不?)含[^)]*\))?", after)
        word = (tail[1] or tail[2] or "") if tail else ""
        end = match.end() + (tail.end() if tail and word else 0)
        lead = re.search(r"(不足|少于|低于|小于|降至|以下)$|(超过|大于|高于|多于|超)$|(达到或超过|达到|达|至少|不少于|不低于|≥|满)$", re.sub(r"[约到]$", "", before))
        if word in ("上", "下", "内"):
            op = "≥" if word == "上" else "<"
        elif lead:
            op = "<" if lead[1] else ">" if lead[2] else ">="
        else:
            # "20万间或6万户以上": the comparison stands after the second number.
            later = re.match(rf"或({NUMBER})(十万|百万|万|亿|千|百)?({'|'.join(map(re.escape, UNITS))})以(上|下)", after)
            if later is not None:
                op = "≥" if later[4] == "上" else "<"
            elif unit in ("个", "座", "条"):
                op = "≥"  # "2 条河流": so many of them, or more
            else:
                continue
        if tail and tail[3] == "不" and word:
            op = ">" if word == "上" else "<"
        yield match.start(), end, [(op, _value(number, scale), scale, unit)]


def _quantity(segment: str, a: int, b: int, unit: str) -> tuple[Quantity | None, str]:
    """The quantity a number stands for: by its unit and the nearest word before it; and the window (24小时) it is taken over."""
    before = segment[:a]
    window = ""
    if match := re.search(r"(\d+|[一二三六十]+)(小时|天|日|h)[^,;。]{0,12}$", before):
        window = f"{match[1]}{match[2]}".replace("h", "小时")
    best: tuple[int, Quantity] | None = None
    for quantity in QUANTITIES:
        if unit not in quantity.units or not quantity.words:
            continue
        places = [match.end() for match in re.finditer(quantity.words, before)]
        if places and (best is None or places[-1] > best[0]):
            best = (places[-1], quantity)
    if best is not None:
        return best[1], window if best[1].name in ("rain", "snow") else ""
    after = segment[a : b + 14]
    for name, shape in COUNTS.items():
        if re.search(shape, after):
            found = next((quantity for quantity in QUANTITIES if quantity.name == name), None)
            return (found, "") if found else (None, "")
    if unit in ("毫米", "mm") and re.search(r"雨|降水", segment):
        return next(quantity for quantity in QUANTITIES if quantity.name == "rain"), window
    return None, ""


# --- actions, units, limits --------------------------------------------------------------------------------------------


def _actions(piece: _Slice, clause: Clause, here: tuple[str, str] | None, titled: str, out: dict[str, Any]) -> None:
    text = piece.text
    if clause.children and len(text) < 40 and text[-1:] in ":," :
        return
    unit = ""
    offset = 0
    for sentence in re.split(r"(?<=[。;])", text):
        a = offset
        offset += len(sentence)
        body = re.sub(r"^(?:\(\d+\)|\([一二三四五六七八九十]+\)|\d+[.、]|[①-⑳]|-{2})", "", sentence)
        a += len(sentence) - len(body)
        body = body.rstrip("。;:")
        # A label ("指挥调度。") is the name of what follows, not an action.
        if not body or body.endswith("以下措施") or (len(body) <= 14 and "," not in body and len(text) > len(sentence) and not _who(body)):
            continue
        who = _who(body)
        role = ""
        if who:
            unit = who[0]
            role = who[1]
        deadline = DURATION.search(body)
        out["actions"].append({
            "level": here[0] if here else "", "kind": here[1] if here else "", "hazard": _hazard("", titled), "unit": unit, "role": role, "text": piece.exact(a, a + len(body)),
            "deadline": deadline[0] if deadline else "", "minutes": _minutes(deadline) if deadline else None, "with": who[2] if who else "", "clause": clause.id, "span": list(piece.span(a, a + len(body))),
        })


def _who(body: str) -> tuple[str, str, str] | None:
    """(unit, role, those it acts with) at the head of a sentence; None when it does not begin with one."""
    head = body
    while True:
        # Circumstances first ("根据…，", "当…时，"), then whoever acts.
        shorter = re.sub(r"^(?:(?:根据|按照)(?:工作)?需要,?|视情(?:况)?,?|[\u4e00-\u9fff]{2,6}:(?=.{4})|(?:根据|当|按照|按|依据|视|为|在|针对|遇|进入|启动|经|如|若|一旦|接|发生|结合|对于|因|随着|具体)[^,。;]{1,40},|(?:必要时|同时|此外|原则上),?|[^,]{2,14}(?:(?<![及实随适同临])时|后|期间|中),)", "", head)
        if shorter == head or len(shorter) < 6:
            break
        head = shorter
    if not re.match(r"由|应急|报|市|省|县|对外", head) and VERB.match(head):
        return None
    match = re.match(r"(?:由)?(.{2,60}?)(?=" + VERB.pattern + ")", head)
    while match:
        candidate = match[1].rstrip(",")
        if re.search(rf"{UNIT_END}(?:\([^)]*\))?$|(?:等)?(?:部门|单位|同志)$", candidate) and not re.search(r"[;。:]", candidate):
            rest = head[match.end() :]
            role = "牵头" if rest.startswith("牵头") else "配合" if rest.startswith(("配合", "协助")) else ""
            partner = ""
            if rest.startswith("会同"):
                other = re.match(rf"会同(.{{2,30}}?{UNIT_END}(?:等[^,]{{0,6}})?)", rest)
                partner = other[1] if other else ""
            return candidate, role, partner
        # The verb stood inside a name (市发展和改革委员会): look for the next one.
        following = VERB.search(head, match.end() + 1)
        if not following or following.start() > 60:
            return None
        begin = int(head.startswith("由"))
        match = re.match(f"{'由' * begin}(.{{{following.start() - begin}}})", head)
    return None


def _minutes(match: re.Match) -> int:
    number = cn_number(match[1]) or 0
    return number * {"分钟": 1, "小时": 60, "时": 60}.get(match[2], 1440)


DUTY = re.compile(rf"^(?:\(\d+\)|\d+[.、]|[①-⑳]|\([{CN}]+\))?([\u4e00-\u9fffA-Z()、“”]{{2,40}}?):(.{{4,}})")


def _units(piece: _Slice, clause: Clause, chain: list[Clause], out: dict[str, Any]) -> None:
    """`市教育局：负责…` under a heading of duties or bodies."""
    if not any(re.search(r"职责|组织|机构|成员单位|工作组|指挥|分工", _plain(one.heading + one.text[:30])) for one in chain[:5]):
        return
    # Lines are the source's; a duty begins with one.
    breaks = [0] + [k for k in range(1, len(piece.where)) if "\n" in piece.source[piece.where[k - 1] + 1 : piece.where[k]]] + [len(piece.where)]
    for a, b in zip(breaks[:-1], breaks[1:], strict=True):
        match = DUTY.match(piece.text[a:b])
        if not match:
            continue
        name = match[1]
        if not re.search(rf"{UNIT_END}$|职责$|公司$|水电站$|电厂$|工务段$|分公司$", name) or len(name) > 30 or name in ("主任", "副主任", "成员单位", "成员"):
            continue
        end = a + len(match[0])
        out["units"].append({"name": name.removesuffix("职责"), "duty": piece.exact(a + match.start(2), end), "clause": clause.id, "span": list(piece.span(a + match.start(1), end))})


def _deadlines(piece: _Slice, clause: Clause, out: dict[str, Any]) -> None:
    seen = set()
    for match in DURATION.finditer(piece.text):
        a = max(piece.text.rfind(stop, 0, match.start()) for stop in "。;") + 1
        ends = [place for stop in "。;" if (place := piece.text.find(stop, match.end())) >= 0]
        b = min(ends) if ends else len(piece.text)
        if (a, _minutes(match)) in seen:
            continue
        seen.add((a, _minutes(match)))
        if re.search(r"报告|上报|报送|续报|初报|核报|报省|报市|报国|通报", piece.text[a:b]):
            out["reporting_deadlines"].append({
                "text": piece.exact(a, b), "limit": piece.exact(match.start(), match.end()), "minutes": _minutes(match), "clause": clause.id, "span": list(piece.span(a, b)),
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
    """Conditions that stand only in a table: cells under the level their row or column names; OCR shifts cells, so each row says its table."""
    for clause in paper.clauses:
        if clause.kind != "table":
            continue
        start, end = own[id(clause)]
        level: tuple[str, str] | None = None
        columns: dict[int, tuple[str, str]] = {}
        place = start
        for line in paper.source[start:end].split("\n"):
            cells, at = line.split("\t"), place
            for number, cell in enumerate(cells):
                said = level_of(cell if re.search(r"响应|预警", cell) else cell + "响应") if len(_plain(cell)) <= 24 else None
                if said is None and len(_plain(cell)) <= 24:
                    said = next(((value, "response") for word, value in ADJECTIVE if word in cell), None)
                if said:
                    if number == 0:
                        level = said
                    columns[number] = said
                elif len(_plain(cell)) > 3:
                    here = level if level and 0 in columns else columns.get(number) or level
                    if here:
                        piece = _Slice(paper.source, at, at + len(cell))
                        offset = 0
                        for segment in re.split(r"(?<=[;。●◆])", piece.text):
                            for row in _thresholds(segment, offset, piece, inclusive):
                                out["conditions"].append({"level": here[0], "kind": here[1], "hazard": row.pop("hazard", "") or _hazard(segment, titled), "scope": whole, **row, "clause": clause.id})
                            offset += len(segment)
                at += len(cell) + 1
            place += len(line) + 1
