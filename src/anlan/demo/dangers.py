"""Hidden dangers of the made-up city with their histories: values in, values out; `actions.play_danger` takes the steps.

Everything is invented. Each story is told by the posts that would take part, so that no step is taken by somebody who may not.
"""
from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np

from anlan.engines.geo import Area, City
from anlan.engines.geo.names import person_names

LOOP = "inspection.danger"
NOTE = "（虚构演示数据）"
# Kind: what is inspected, title, what was found, measures. A story takes one of its kind's.
FOUND: dict[str, list[tuple[str, str, str, str]]] = {
    "fire": [("农贸市场", "疏散通道堆放货物", "二层疏散通道被货物占用约6米，应急照明3处失效。", "清空通道，更换应急照明，每日巡查登记。"), ("服装加工点", "电气线路私拉乱接", "车间内明敷线路未穿管，配电箱无漏电保护。", "由有资质单位重新布线，加装漏电保护。")],
    "chemical": [("化工仓储企业", "可燃气体报警器失效", "罐区5台可燃气体报警器中2台无信号，未及时维修。", "停用相关储罐，更换并标定报警器。"), ("涂料厂", "危化品混存", "氧化剂与易燃液体同库存放，无隔离。", "分库存放，完善台账和应急物资。")],
    "mine": [("采石场", "边坡未按设计放坡", "东侧工作面坡度大于设计值，坡顶见裂缝。", "停止该工作面作业，削坡减载，设置监测桩。"), ("尾矿库", "排洪沟淤堵", "排洪沟淤积约40%，汛期排洪能力不足。", "清淤并加固沟壁，汛前复核过流能力。")],
    "construction": [("房建工地", "深基坑支护变形超限", "基坑北侧水平位移累计超过预警值。", "回填反压，加密监测，专家论证支护方案。"), ("市政工地", "脚手架连墙件缺失", "三层以上连墙件缺失7处。", "停工补设，验收合格后使用。")],
    "road": [("县道临崖路段", "护栏缺失", "临崖急弯处波形护栏缺失约30米。", "设置临时警示，补装护栏。"), ("客运企业", "动态监控未落实", "3台车辆卫星定位装置离线超过一周。", "停运离线车辆，修复并复查。")],
    "gas": [("餐饮场所", "用气软管老化", "使用橡胶软管且超过使用年限，无熄火保护。", "更换金属软管，加装报警切断装置。"), ("燃气调压站", "防撞设施损坏", "调压箱防撞栏被撞变形，警示标识缺失。", "修复防撞栏并补齐标识。")],
    "special": [("商业综合体", "电梯超期未检", "2台扶梯定期检验超期1个月。", "停用并申请检验。"), ("食品厂", "锅炉安全阀未校验", "安全阀校验铅封过期。", "停炉校验，完善检验台账。")],
    "water": [("小型水库", "溢洪道障碍", "溢洪道进口有拦鱼网和倒伏树木。", "清除障碍，落实巡查责任人。"), ("江河堤防", "堤脚渗水", "堤脚见散浸，范围约15米。", "开挖导渗，铺设反滤，汛期加密巡查。")],
    "geology": [("滑坡隐患点", "截排水沟损坏", "坡顶截水沟断裂，雨水直接入渗。", "修复截水沟，加设裂缝监测。"), ("切坡建房点", "坡脚未支挡", "房后切坡高约8米，未设挡墙。", "撤离受威胁人员，修建挡墙。")],
    "crowd": [("学校", "消防水泵不能自动启动", "自动启动试验失败，值班人员不会手动操作。", "修复联动，开展操作培训。"), ("养老机构", "外窗安装防盗网", "二、三层外窗防盗网无逃生口。", "拆除或改装可开启逃生口。")],
}
# How far the stories have come: the state a story stops in, how many ordinary, how many major.
STOPS: dict[str, tuple[int, int]] = {
    "reported": (10, 0), "filed": (8, 0), "assessed": (5, 2), "listed": (0, 4), "rectifying": (28, 6), "rectified": (10, 2), "accepted": (4, 2), "released": (0, 4),
    "reviewed": (0, 2), "closed": (95, 14), "dismissed": (4, 0),
}


@dataclass(frozen=True)
class Told:
    """A step as it was taken: its name, the seat (key in `town_hall`) that took it, when, what was filled in, whether with a picture."""

    step: str
    seat: str
    at: datetime
    data: dict[str, Any] = field(default_factory=dict)
    picture: bool = False


@dataclass(frozen=True)
class Story:
    number: int
    unit: str
    region: str
    steps: list[Told]


def of(city: City, today: date) -> list[Story]:
    """Two hundred stories, the same for the same seed and day, in every state of the loop."""
    rng = np.random.default_rng([city.seed, 83])
    stops = [(stop, grade) for stop, counts in STOPS.items() for grade, count in zip(("ordinary", "major"), counts, strict=True) for _ in range(count)]
    order = rng.permutation(len(stops))
    names = person_names(len(stops), rng)
    return [_story(number, *stops[int(place)], city, today, rng, names[number]) for number, place in enumerate(order)]


def _story(number: int, stop: str, grade: str, city: City, today: date, rng: np.random.Generator, responsible: str) -> Story:
    town: Area = city.towns[int(rng.integers(len(city.towns)))]
    county = town.parent
    kind = str(rng.choice(list(FOUND)))
    place, title, text, measures = FOUND[kind][int(rng.integers(len(FOUND[kind])))]
    days = {"closed": 60, "reviewed": 55, "released": 50, "dismissed": 20, "accepted": 45, "rectified": 40, "rectifying": 35, "listed": 10, "assessed": 6, "filed": 4, "reported": 1}[stop]
    back = days + (60 if grade == "major" and stop in ("closed", "reviewed", "released") else 0) + int(rng.integers(0, 150 if stop == "closed" else 4))
    now = datetime(today.year, today.month, today.day, 1, 0, tzinfo=UTC) - timedelta(days=back)
    end = datetime(today.year, today.month, today.day, tzinfo=UTC)
    steps: list[Told] = []

    def told(step: str, seat: str, wait_h: float, picture: bool = False, **data: Any) -> None:
        nonlocal now
        now = min(now + timedelta(hours=wait_h), end - timedelta(minutes=60 - len(steps)))
        steps.append(Told(step, seat, now, data, picture))

    source = str(rng.choice(["self", "department", "third_party", "government"], p=[0.45, 0.3, 0.15, 0.1]))
    told(
        "report", f"{town.code}.duty_officer" if source == "self" else f"{county}.duty_officer", 0, picture=bool(rng.random() < 0.3), title=f"{town.name}{place}{title}", source=source, kind=kind,
        premises=f"{town.name}某{place}（虚构）", address=f"{town.name}（虚构地址）", text=text + NOTE, found_on=now.date(),
        point=[round(town.lon + float(rng.uniform(-0.01, 0.01)), 6), round(town.lat + float(rng.uniform(-0.01, 0.01)), 6)],
    )
    way = ["file", "assess", *(["list"] if grade == "major" else []), "order", "rectify", "accept", *(["release", "review"] if grade == "major" else []), "close"]
    reached = {"file": "filed", "assess": "assessed", "list": "listed", "order": "rectifying", "rectify": "rectified", "accept": "accepted", "release": "released", "review": "reviewed", "close": "closed"}
    if stop == "dismissed":
        told("dismiss", f"{county}.duty_officer", 20, reason="现场核实不构成隐患" + NOTE)
        way = []
    elif stop == "reported":
        way = []
    limit_days = int(rng.integers(7, 30)) + (15 if grade == "major" else 0)
    # One in seven is late; what is still being put right is late more often.
    late = bool(rng.random() < (0.35 if stop == "rectifying" else 0.14))
    for step in way:
        if step == "file":
            told(step, f"{county}.duty_officer", float(rng.uniform(3, 30)))
        elif step == "assess":
            told(step, f"{county}.duty_leader", float(rng.uniform(5, 40)), grade=grade, basis="本行业重大事故隐患判定标准（示例条款）" if grade == "major" else "现场检查记录（示例）")
        elif step == "list":
            told(step, "city.duty_officer", float(rng.uniform(10, 60)), supervisor=str(rng.choice(["county", "city"])), list_number=f"澜安委督〔{now.year}〕{number + 1}号（虚构）")
        elif step == "order":
            begun = (now + timedelta(hours=12)).date()
            # A story that stops here began long ago enough to be late, or has its limit still before it.
            by = today - timedelta(days=int(rng.integers(2, 18))) if stop == "rectifying" and late else today + timedelta(days=int(rng.integers(2, 25))) if stop == "rectifying" else begun + timedelta(days=limit_days)
            told(
                step, f"{county}.duty_leader", 12, measures=measures, responsible=responsible, funds_yuan=str(int(rng.integers(1, 400)) * 1000), rectify_by=max(by, begun),
                precautions="整改期间设专人看守，遇险情立即停用并撤离。",
            )
        elif step == "rectify":
            told(step, f"{town.code}.duty_officer", 24.0 * (limit_days + int(rng.integers(1, 12)) if late else limit_days * float(rng.uniform(0.3, 0.95))), picture=True, done="已按措施整改完毕" + NOTE)
        elif step == "accept":
            told(step, f"{county}.duty_officer", float(rng.uniform(8, 60)), picture=True, remark="现场验收合格" + NOTE)
        elif step == "release":
            told(step, "city.duty_officer", float(rng.uniform(10, 60)), remark="同意摘牌" + NOTE)
        elif step == "review":
            wait = 24.0 * float(rng.uniform(31, 38))
            told(step, f"{county}.deputy", wait, effect="lasting", reviewed_on=min(now + timedelta(hours=wait), end).date(), remark="摘牌后复查，整改成效稳定" + NOTE)
        else:
            told(step, f"{county}.duty_leader", float(rng.uniform(4, 40)), remark="同意销号" + NOTE)
        if reached[step] == stop:
            break
    return Story(number, town.code, town.code, steps)


def picture(number: int, step: str) -> bytes:
    """A made-up photograph: a small PNG of coloured stripes, another for every story and step. It shows nothing that exists."""
    rng = np.random.default_rng([number, zlib.crc32(step.encode())])
    width, height = 96, 64
    rows = np.repeat(np.repeat(rng.integers(40, 220, (8, 12, 3), dtype=np.uint8), 8, axis=0), 8, axis=1)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
