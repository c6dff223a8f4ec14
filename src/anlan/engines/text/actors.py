"""Who does what: a sentence of measures cut where the actor changes, each part with its unit, its role and its time limit.

`parts(text, gaps)` works on a clause made plain; `gaps` are the places before which the source held a blank (scanners lose stops there).
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .reader import CN, cn_number

DURATION = re.compile(rf"(?:((?<!\d)\d+|[{CN}]+)个?)(分钟|小时|时|日|天|个?工作日)(?:之?内|以内)")
_ENDS = (
    "人民政府 政府办公厅 政府办公室 办公厅 办公室 党委 政府 委员会 指挥部 指挥机构 减灾委 减灾办 安委办 防指 防办 防总 "
    "森防办 抗指 管理局 监管局 分局 局 厅 部 委 办 总队 支队 大队 中队 中心 公司 集团 医院 学校 学院 科学院 院 所 "
    "站 台 军分区 军区 警备区 红十字会 慈善总会 妇联 科协 工会 团委 团省委 团市委 总社 协会 联合会 部门 单位 机构 企业 "
    "组 队 队伍 司 处 署 行 银行 园区 街道 乡镇 镇区 领导小组 专家组 工作组 行业 省长 市长 县长 区长 镇长 乡长 主任 "
    "局长 厅长 部长 司长 处长 队长 站长 主席 书记 副指挥 副指挥长 总指挥 总指挥长 指挥长 秘书长 负责同志 领导同志 同志 负责人 领导 成员 责任人 值班员 人员 职工 民警 官兵 警力 机关 专家 组长 建设局 "
    "办公会 解放军 民兵 部队 武警 省委 市委 县委 国务院 军队 县市区 镇 村 社区 气象台 党组 司令部 各方 物业 居委会 经营者 业主 总经理 经理 班组 班长 消防班 维修班 抢修班 网格员 干部 巡查员 幼儿园 工地 船长 "
)
# The longest first: "部门" before "部".
UNIT_END = "(?:" + "|".join([*sorted(_ENDS.split(), key=len, reverse=True), r"县\(?市?、?区?\)?", r"市\(?州?\)?", r"\(园区\)", r"乡\(?镇?\)?", r"村\(?社区\)?"]) + ")"
# What may follow whoever acts: verbs, and the words that stand before verbs.
VERB = (r"(?:科学|商(?![务贸业])|停止|按照|按|根据|依据|迅速|及时|立即|紧急|视情|负责(?!人|同志)|组织|指导|协调|派出(?!所)|启动|做好|会同|主持|开展|加强|统一|统筹|牵头|配合|协助|督促|实行|下达|调|发布|向|率|赴|在|实时|密切|领导(?=[^,。;]{0,12}(?:工作|应急|抢险|处置))|应|要|可|每日|每|会商|提出|决定|提供|落实|保障|需|须|"
        r"汇总|制定|制订|建立|通知|通报|报告|报送|监测|监视|检查|核查|抢修|救治|转移|安置|参与|承担|对|将|为|与|主动|适时|全力|积极|优先|第一时间|依法|尽快|进一步|必要时|召开|召集|申请|请求|宣布|坐镇|到岗|上岗|在岗|值班|赶赴|分赴|开赴|到|完成|严格|切实|认真|接|收集|搜集|指挥|动员|引导|指定|设立|成立|设置|抽调|巡查|预置|"
        r"运用|滚动|采取|抓好|抓|继续|强化|确保|支持|支援|监督|管理|处理|实施|审核|签发|联合|参加|跟踪|分析|研判|研究|评估|上报|转发|部署|调度|调动|调集|调配|调拨|恢复|关闭|疏散|撤离|救援|处置|维护|维持|组建|征用|增派|提前|协同|分别|统计|推进|安排|编辑|编制|保持|申报|调运|发放|拨付|筹集|储备|下拨|抢险|排查|管控|警戒|广泛|充分|保证|进入|建议|"
        r"邀请|履行|叫应|因|针对|具体|注意|提醒|进|了解|掌握|随时|随|通过|利用|关注|结合|带领|带|全天|坚守|充实|取消|快速|立刻|马上|火速|尽量|避免|防范|防御|限制|暂停|共同|当|从|给予|尽|执行|受|把|依托|按需|出动|集结|待命|搜救|营救|扑救|扑灭|封锁|隔离|划定|疏导|清理|清除|拆除|加固|转达|传达|传递|播报|滚动|报请|报|请|提请|(?<!\d)\d+(?:小时|分钟|日))")
# A sentence that begins with a verb names nobody ("组织专家组赴现场" is no act of the 专家组), unless the verb is part of a name.
NAMED_SO = re.compile(rf"(?:应急(?!响应|处置)|预报|监测|监视|指挥|救援|抢险|通信|管理|评估|宣传|保障|组织部|检查|巡查|转移|报道|调度|处置|统计|编辑|接待|联合|支援|警戒|维护|防范|防御|搜救|扑救)[^,、]{{0,6}}?{UNIT_END}")
# Verbs that also begin the names of bodies ("运输部门", "检测中心"): they tell who acts from behind, and not that nobody is named.
FOLLOWING = rf"(?:{VERB}|启用|派员|派|加密|责令|查明|查封|深入|驻守|驻点|加大|严防|测报|检测|检验|检疫|消毒|收治|接诊|供应|筹措|补充|运送|运输|投放|下发|印发|公布|公开|回应|澄清|编发|播发|推送|停工|停课|停产|停运|关停|切断|带班|值守|包保|摸排|复核|核实|核定|会诊|勘查|踏勘|评价|对接|联动|联络|沟通|通告|提示|劝导|引领|服从|参战|增援|驰援|前往|开设|搭建|搭设|修复|恢复|护送|护航|担任|任(?=[^,。]{{0,6}}(?:指挥|组长))|巡护|看护|入户|到村|到场|照料|救助|抚慰|安抚)"
NAMES = re.compile(rf"{UNIT_END}(?:\([^)]{{0,60}}\))?(?:等)?")
FOLLOWS = re.compile(rf"(?:,(?=应))?{FOLLOWING}")
SUBJECTLESS = re.compile(rf"(?:{VERB}|就近|酌情|逐级|派|使|让|和|或|及|等|经|由于|如|若|并|且|也|已|未|不|其中|包括|有是|指|提出|决定)")
RELATIVE = re.compile(r"(?:进入|参加|参与|受|负责|涉及|到达|执行|承担)[^,、]{0,14}的")
STARTS_STRICT = r"(?:由?[省市县区州镇]|自治[县州]|由|国家|中央|全[省市县区]|各|事发地|灾区|当地|受灾|属地|有关|相关|其[他它]|宣传|应急|气象|水利|水文|公安|交通|消防|卫生|卫健|民政|财政|教育|住建|住房|农业|林业|自然资源|国土|环境|生态|电力|通信|供电|工信|发[改展]|商务|文旅|武警|解放军|民航|铁路|海事|海洋|驻|指挥部|防[指办]|防汛|森|减灾|安委|国务院|专家|现场|前线|[省市县]委)"
STRONG = r"(?:部门|单位|[局厅]|支队|总队|大队|指挥部|委员会|办公室|防指|减灾委|军分区|公司|政府|红十字会)(?:\([^)]{0,60}\))?$"


@dataclass(frozen=True)
class Part:
    """One act: places in the text, and the unit with its place (None: the one before goes on)."""

    a: int
    b: int
    unit: tuple[int, int] | None
    role: str
    partner: str
    deadline: re.Match | None


CIRCUMSTANCE = re.compile(
    r"(?:(?:根据|按照|视)(?:工作|抢险救援|实际|防汛)?需要,?|视情(?:况)?,?|(?:必要时|同时|此外|原则上|一般情况下|其中|紧急情况下|特殊情况下|条件允许时)[,:]?|[\u4e00-\u9fff]{2,6}:(?=.{4})|"
    r"(?:根据|当(?!地)|按照|按|依据|视|为|在|针对|遇|遇有|进入(?![^,]{0,12}的)|启动|经|如|若|一旦|接|接到|发生(?!地)|结合|对于|因|随着|具体|涉及|依托|签署|鉴于|收到|受(?=[^,]{2,24}委托,)|市防指启动)[^,。;]{1,60},|[^,。;]{2,44}(?:(?<![及实随适同临])时|后|期间|中|前|情况下|基础上|(?:小时|分钟|日|天|时间)内|的),)")


# "Ⅰ级响应为最高级别响应", "每级响应行动包含…": says what levels are, and nothing to do.
DESCRIBED = re.compile(r"(?:每级|各级|(?:Ⅰ|Ⅱ|Ⅲ|Ⅳ|I{1,3}|IV|[一二三四])级)?(?:应急)?响应(?:行动|级别|等级|措施)?(?:为|是|包含|包括|分为|共分)")
# "灾情发生24小时内,发慰问电,由救援组负责": whoever is named last, after what is to be done.
LAST_NAMED = re.compile(rf",由((?:(?!由)[\u4e00-\u9fff()、]){{2,24}}?{UNIT_END})(?:负责|承担|落实|实施)$")


def parts(text: str, gaps: frozenset[int] = frozenset()) -> Iterator[Part]:
    """The acts of a clause's text, in order; labels ("指挥调度。") are none."""
    for number, (a, b) in enumerate(_sentences(text, gaps)):
        body = text[a:b]
        cut = re.match(r"(?:[:,;]|(?:应急)?(?:响应|预警|防御|处置)(?:行动|措施)[:。]|[a-z][.)、]|第[一二三四五六七八九十百]+条|\(\d+\)|\(?[一二三四五六七八九十]+[)、]|\d+[.、]|[①-⑳]|-{2}|[●◆])+", body)
        a += cut.end() if cut else 0
        body = text[a:b].rstrip("。;:")
        if not body or len(body) < 4 or re.search(r"(?:以下|下列|如下)(?:[^,。]{0,8})?(?:措施|工作|行动)$", body) and all(re.search("按|根据|依据|结合|视", words) for words in body.split(",")[:-1]):
            continue
        if re.fullmatch(r"[一二三四五六七八九十、]*(?:应急)?(?:响应|反应|处置)?(?:行动|措施|程序|条件)", body):
            continue  # a heading in a sentence's place
        if DESCRIBED.match(body):
            continue
        found = who(body)
        if found is None and (last := LAST_NAMED.search(body)):
            found = last.start(1), last.end(1), "", ""
        if number == 0 and len(body) <= 14 and "," not in body and len(text) > len(body) + 6 and text[b - 1 : b] in "。:" and (found is None or found[1] - found[0] < 3) and not DURATION.search(body):
            continue
        yield from _split(text, a, a + len(body), found)


def _sentences(text: str, gaps: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Ends at 。 and ；; where the source holds a blank, also before a unit that acts, unless the blank stands in a list of units."""
    stops = {match.end() for match in re.finditer(r"[。;]", text)}
    for gap in sorted(gaps):
        before, rest = text[max(0, gap - 40) : gap], text[gap:]
        if not before or not "\u4e00" <= before[-1] <= "\u9fff":
            continue
        since = text[max([place for place in stops if place <= gap] + [max(text.rfind(stop, 0, gap) for stop in ",:") + 1]) : gap]
        if len(since) <= 12 and not re.search(VERB, since):
            continue  # a list of units whose commas were lost
        if re.match(r"必要时|同时,", rest) or (re.match(STARTS_STRICT, rest) and (said := who(rest, bare=True)) and not re.search(rf"{UNIT_END}$", before) and not _goes_on(before, rest, said)):
            stops.add(gap)
    at = 0
    for stop in sorted(stops | {len(text)}):
        if stop > at:
            yield at, stop
        at = stop


def _goes_on(before: str, rest: str, said: tuple[int, int, str, str]) -> bool:
    """Whether the words before still want what comes: "会同 省财政厅", "向 省政府"."""
    return bool(re.search(r"(?:会同|率领?|向|由|与|和|及|或|对|请|报|赴|在|为|指导|督促|组织|协调|通知|要求|协助|配合|国家|根据)$", before))


def _split(text: str, a: int, b: int, found: tuple[int, int, str, str] | None) -> Iterator[Part]:
    """A sentence cut where, after a comma, somebody else begins to act."""
    cuts: list[tuple[int, tuple[int, int, str, str] | None]] = [(a, found)]
    for match in re.finditer(",", text[a:b]):
        place = a + match.end()
        rest = text[place:b]
        if len(rest) < 6 or (found and place < a + found[1]) or not re.match(STARTS_STRICT, rest):
            continue
        said = who(rest, bare=True)
        if said is None or "组成的" in rest[: said[1]] or re.match(r"参加|为|任|是|在内|因|将|应当?为|当|与|对|受|到(?!岗|位)|进(?!行)|从|给|请|报(?!告|送)", rest[said[1] :]) or re.match(r"(?:根据|按照|由|经|向|会同|包括|如|对|为|在|当)", text[a : place - 1].rsplit(",", 1)[-1]) and found is None:
            continue
        cuts.append((place, said))
    if len(cuts) == 2 and cuts[0][1] is None and text[cuts[1][0]] == "由" and (last := cuts[1][1]):
        # "掌握动态信息,由领导小组统一发布": whoever is named last does it all.
        yield Part(a, b, (cuts[1][0] + last[0], cuts[1][0] + last[1]), last[2], last[3], DURATION.search(text[a:b]))
        return
    for (start, said), end in zip(cuts, [place - 1 for place, _ in cuts[1:]] + [b], strict=True):
        body = text[start:end]
        yield Part(start, end, (start + said[0], start + said[1]) if said else None, said[2] if said else "", said[3] if said else "", DURATION.search(body))


# "县应急局接到报告后,立即派出…": whoever acts stands in the circumstance itself.
ON_HEARING = re.compile(rf"((?!接|收|到|根据|按)[^,。;:]{{1,30}}?{UNIT_END})(?=(?:接[到报]|收到|到达|抵达|赶到|赶赴|获悉|得知)[^,。;]{{0,40}}(?:后|时),)")


# "区住建局:组织除雪铲冰": the label of a line is who acts in it.
LABEL = re.compile(rf"((?!其中|一是|二是|主要|责任单位|成员单位|参加单位|牵头单位|配合单位)[\u4e00-\u9fff()、]{{2,30}}?{UNIT_END}):(?=.{{4}})")


def who(body: str, bare: bool = False) -> tuple[int, int, str, str] | None:
    """(start, end, role, those it acts with) of the unit that acts in a sentence; None when none is named. `bare`: no circumstances before it."""
    found = _who(body, bare)
    if found is None and not bare and (heard := ON_HEARING.match(body) or LABEL.match(body)):
        return 0, len(heard[1]), "", ""
    return found


def _who(body: str, bare: bool) -> tuple[int, int, str, str] | None:
    start = 0
    while not bare and (match := CIRCUMSTANCE.match(body, start)) and len(body) - match.end() >= 4:
        # Circumstances first ("根据…，", "当…时，"), then whoever acts.
        start = match.end()
    if opens := re.compile("(?:可|应|应当|一般|原则上)?由").match(body, start):
        start = opens.end()
    head = body[start : start + 90]
    if not head:
        return None
    for match in NAMES.finditer(head):
        if re.match(r"[、和与或]|及(?!时)|以及|\)", head[match.end() :]):
            continue
        end = match.end()
        while further := re.match(r"(?:等)?(?:(?:和|及)?(?:有关|相关|直属|成员|其他)?(?:部门|单位|机构)(?:和(?:部门|单位))?|(?:全体|各)?(?:成员|人员)(?:单位)?|(?:应急|抢险|救援|救灾|专业|巡查|志愿)*(?:队伍|队员|分队))", head[end:]):
            end += further.end()
        candidate = head[:end]
        if re.search(r"[;。:]", candidate):
            break
        if len(candidate) < 2 or re.match(r"管理(?:部门|局|委|厅|处|所|单位|中心)|指挥(?:部|长|员|机构|中心)|监测站|应急(?:管理|局|办|厅)|预报司|调度中心|分管|的", head[end:]) or candidate.endswith("所") and re.match("[在属有]", head[end:]):
            continue
        if re.match(rf"[\u4e00-\u9fff]{{1,6}}的[^,。;]{{0,10}}?{UNIT_END}", head[end:]):
            continue  # "分管领导带队的检查组"
        if not FOLLOWS.match(head, end) and not (re.search(STRONG, candidate) and re.match(r"[\u4e00-\u9fff]", head[end:]) and not re.match(rf"[长内外门员之]|主要|所属|系统|.{{0,8}}?{UNIT_END}", head[end:])):
            continue
        if SUBJECTLESS.match(candidate) and not RELATIVE.match(candidate) and not NAMED_SO.match(candidate) and not re.match(r"当地|应急|受灾|受影响|受威胁", candidate):
            return None
        if "," in candidate or re.search(r"(?:会同|组织(?!部|委)|指导|协助|督促|派出(?!所)|通知|要求|向|对(?!口|外)|负责(?!同志|人)|参加)(?!的)", candidate[1:]) and not re.search(r"的[^的]*$", candidate):
            return None
        if passive := re.match(r"[^,由]{3,}(?<![自理经缘])由(?=[\u4e00-\u9fff]{2})", candidate):
            # "大型机械由市应急局调配"
            start, end = start + passive.end(), end - passive.end()
            head, candidate = head[passive.end() :], candidate[passive.end() :]
        rest = head[end:]
        if re.match(r"[^,。;]{0,4}(?:决定|认为|要求)的?[^,。;]{0,8}(?:其他|其它|事项|情形|情况|需要)", rest):
            return None  # "市人民政府决定的其他事项"
        role = "牵头" if rest.startswith("牵头") else "配合" if rest.startswith(("配合", "协助")) else "按职责分工" if re.match(r"按(?:照)?(?:各自)?职责(?:分工)?", rest) else ""
        partner = ""
        if other := re.match(rf"(?:视情|及时|应)?会同(.{{2,30}}?{UNIT_END}(?:等[^,]{{0,6}}?(?:部门|单位))?)", rest):
            partner = other[1]
        return start, start + end, role, partner
    return None


def minutes(match: re.Match) -> int:
    number = cn_number(match[1]) or 0
    return number * {"分钟": 1, "小时": 60, "时": 60}.get(match[2], 1440)
