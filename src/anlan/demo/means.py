"""What the made-up city has: supplies in forty stores, equipment, shelters, people, experts. Values in, sheets out, taken over as any office's sheets are.

Everything is invented; the catalogue's names are ordinary, its quantities and standards are not anybody's. No mobile number of China begins with 12.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.utils import translation

from anlan.engines.geo import Area, City
from anlan.engines.geo.names import person_names
from anlan.kernel import realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Account
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get, importing, reading
from anlan.resources import actions
from anlan.resources.models import Item, Stock, Warehouse
from anlan.warning import devices
from anlan.warning.models import Channel
from anlan.warning.ports import Report

from . import teams, villages

NOTE = teams.NOTE
# code, name, class, unit, box holds, kg of one, keeps days, rotated before, lot sizes from–to, family's share of a store's
ITEMS: list[tuple[str, str, str, str, float | None, float | None, int | None, int | None, int, int]] = [
    ("WZ01", "瓶装饮用水（1.5 L）", "1", "piece", 12, 1.5, 540, 90, 600, 6000), ("WZ02", "压缩饼干", "1", "piece", 40, 0.25, 1095, 120, 400, 4000), ("WZ03", "方便面", "1", "piece", 24, 0.1, 180, 45, 300, 3000),
    ("WZ04", "自热米饭", "1", "piece", 24, 0.4, 365, 60, 200, 2000), ("WZ05", "大米", "1", "kg", None, None, 540, 90, 2000, 20000), ("WZ06", "食用油", "1", "l", None, None, 540, 90, 200, 2000),
    ("WZ07", "棉被", "1", "piece", 10, 3.0, None, None, 100, 1500), ("WZ08", "毛毯", "1", "piece", 10, 2.0, None, None, 100, 1500), ("WZ09", "折叠床", "1", "piece", 2, 8.0, None, None, 50, 800),
    ("WZ10", "棉大衣", "1", "piece", 10, 2.5, None, None, 100, 1000), ("WZ11", "12 m² 单帐篷", "1", "piece", 1, 45.0, 3650, 180, 20, 300), ("WZ12", "36 m² 棉帐篷", "1", "piece", 1, 160.0, 3650, 180, 5, 60),
    ("WZ13", "家庭应急包", "1", "piece", 6, 4.0, 1095, 120, 50, 900), ("WZ14", "饮用水净水片", "1", "piece", 100, 0.01, 1095, 120, 500, 8000), ("WZ15", "婴儿奶粉（900 g）", "1", "piece", 6, 1.1, 540, 90, 20, 300),
    ("ZB01", "救生衣", "2", "piece", 20, 0.8, 1825, 180, 50, 900), ("ZB02", "救生圈", "2", "piece", 10, 2.5, 1825, 180, 20, 300), ("ZB03", "冲锋舟（含船外机）", "2", "piece", None, 180.0, None, None, 1, 12),
    ("ZB04", "移动排水泵", "2", "piece", None, 90.0, None, None, 2, 20), ("ZB05", "汽油发电机（5 kW）", "2", "piece", None, 75.0, None, None, 2, 30), ("ZB06", "应急照明灯", "2", "piece", 4, 6.0, None, None, 10, 120),
    ("ZB07", "手持扩音器", "2", "piece", 10, 1.2, None, None, 10, 120), ("ZB08", "强光手电", "2", "piece", 20, 0.4, None, None, 50, 600), ("ZB09", "防毒面具", "2", "piece", 10, 0.9, 1825, 180, 20, 300),
    ("ZB10", "防化服", "2", "piece", 5, 2.2, 1825, 180, 5, 60), ("ZB11", "急救箱", "2", "piece", 5, 3.5, 730, 120, 10, 150), ("ZB12", "担架", "2", "piece", 2, 7.0, None, None, 5, 80),
    ("ZB13", "风力灭火机", "2", "piece", 1, 11.0, None, None, 5, 80), ("ZB14", "灭火弹", "2", "piece", 10, 2.0, 1095, 120, 50, 500), ("ZB15", "雨衣", "2", "piece", 50, 0.6, 1825, 180, 100, 2000),
    ("ZB16", "一次性医用口罩", "2", "piece", 2000, 0.004, 730, 120, 4000, 60000), ("ZB17", "消毒液", "2", "l", None, None, 365, 60, 100, 1500),
    ("GC01", "编织袋", "3", "piece", 500, 0.12, 1825, 180, 2000, 40000), ("GC02", "块石", "3", "t", None, None, None, None, 100, 2500), ("GC03", "砂石料", "3", "t", None, None, None, None, 100, 2500),
    ("GC04", "防水土工布", "3", "m2", None, None, 1825, 180, 500, 8000), ("GC05", "铅丝网片", "3", "m2", None, None, None, None, 200, 3000), ("GC06", "救援绳索", "3", "m", None, None, 1825, 180, 200, 3000),
    ("GC07", "木桩", "3", "piece", None, 12.0, None, None, 50, 800), ("GC08", "融雪剂", "3", "t", None, None, 730, 120, 5, 120),
]
FORCES = {"fire": 3, "government": 3, "department": 2, "enterprise": 2, "township": 1, "social": 1}  # pumps and the like a team of a kind has
NORMS: dict[str, dict[str, int]] = {
    "fire": {"pump": 2, "generator": 2, "detector": 2, "cutter": 4, "satellite": 2, "radio": 10, "video": 1, "drone": 1}, "government": {"pump": 2, "generator": 2, "blower": 10, "satellite": 2, "radio": 10, "video": 1, "drone": 1},
    "department": {"pump": 2, "generator": 2, "satellite": 1, "radio": 6}, "enterprise": {"gas": 4, "suit": 6, "satellite": 1, "radio": 6}, "township": {"pump": 1, "generator": 1, "radio": 4, "satellite": 1},
    "social": {"boat": 2, "radio": 4}, "county_office": {"satellite": 3, "video": 1, "radio": 6}, "town_office": {"satellite": 1, "radio": 2, "video": 1},
}
ABILITY = {"pump": (200, 3000), "generator": (5, 400), "boat": (6, 12), "crane": (8, 100), "cutter": (60, 250), "detector": (5, 30), "drone": (25, 60), "light": (1, 10), "fire_pump": (400, 3000), "blower": (2, 5), "radio": (3, 10), "repeater": (2, 15), "suit": (1, 3)}
NAMED = {"pump": "移动泵车", "generator": "发电机", "detector": "生命探测仪", "cutter": "破拆工具组", "satellite": "卫星电话", "radio": "对讲机", "video": "音视频终端", "drone": "无人机", "blower": "风力灭火机", "gas": "气体检测仪", "suit": "防化服", "boat": "冲锋舟"}


@dataclass(frozen=True)
class Table:
    """A sheet for a register: heads are names of fields."""

    register: str
    head: list[str]
    rows: list[list[Any]]


def _near(area: Area, rng: np.random.Generator, spread: float = 0.012) -> tuple[float, float]:
    lon, lat = (round(float(value + rng.uniform(-spread, spread)), 6) for value in (area.lon, area.lat))
    return lon, lat


def tables(city: City, today: date, unit: Any) -> Iterator[Table]:
    """The sheets in the order they can be taken over; `unit(key)` → key of an office of the town hall. The same for the same seed and day."""
    rng = np.random.default_rng([city.seed, 97])
    towns = sorted(city.towns, key=lambda town: -town.population)
    squad = teams.of(city, today)

    def day(low: int, high: int) -> date:
        return today + timedelta(days=int(rng.integers(low, high)))

    yield Table("resources.item", ["code", "name", "major", "unit", "per_box", "weight_kg", "keeps_days", "rotate_days", "most", "note"], [
        [code, name, major, base, box, kg, keeps, rotate, high * 20, NOTE] for code, name, major, base, box, kg, keeps, rotate, _low, high in ITEMS
    ])
    stores = _stores(city, towns, rng)
    keepers = iter(person_names(len(stores), rng))
    yield Table("resources.warehouse", ["code", "name", "layer", "kind", "release", "address", "area_m2", "load_min", "duty_phone", "keeper", "keeper_phone", "organisation", "region", "point.lon", "point.lat", "note"], [
        [f"CK{n:03d}", name, layer, kind, layer == "county", f"{area.name}（虚构地址）", int(rng.integers(80, 3000)), int(rng.integers(20, 90)), f"66{n:04d}", next(keepers), f"12902{n:06d}", unit(owner), area.code, *_near(area, rng), NOTE]
        for n, (name, layer, kind, area, owner) in enumerate(stores, 1)
    ])
    yield Table("resources.minimum", ["warehouse", "item", "quantity", "basis", "region"], [
        [f"CK{n:03d}", ITEMS[m][0], max(1, ITEMS[m][8] // 2), "本县储备定额（虚构）", area.code]
        for n, (_name, _layer, _kind, area, _owner) in enumerate(stores, 1) for m in sorted(rng.choice(len(ITEMS), size=4, replace=False).tolist())
    ])
    yield Table("resources.norm", ["layer", "item", "quantity", "basis", "region"], [
        [layer, item[0], item[9] * factor, "三年储备规划（虚构）", city.city.code] for item in ITEMS[:16] for layer, factor in (("county", 10), ("town", 2), ("community", 1))
    ])
    contacts = iter(person_names(70, rng))
    yield Table("resources.holding", ["code", "name", "form", "layer", "item", "quantity", "hours", "agreement", "signed_on", "valid_until", "contact", "contact_phone", "region", "note"], [
        [
            f"XY{n:03d}", f"{city.counties[n % 9].name}{['商超', '粮油企业', '建材企业', '医药企业', '志愿联合会', '家庭储备抽样'][n % 6]}{n}（虚构）", form, "family" if n % 6 == 5 else "county", ITEMS[int(rng.integers(len(ITEMS)))][0],
            int(rng.integers(50, 5000)), int(rng.choice([2, 4, 8, 12, 24])), f"协〔2026〕{n}号" if form in ("agreement", "capacity") else "", day(-500, -100),
            day(-40, 500) if form in ("agreement", "capacity") else "", next(contacts), f"12903{n:06d}", city.counties[n % 9].code, NOTE,
        ]
        for n in range(1, 61) for form in [("physical" if n % 6 == 5 else "social" if n % 6 == 4 else "capacity" if n % 6 == 3 else "agreement")]
    ])
    yield from _gear(city, towns, squad, today, rng, unit)
    kinds = ["school", "care", "mall", "station", "scenic", "plant", "lifeline", "culture"]
    words = {"school": "中心小学", "care": "敬老院", "mall": "商业广场", "station": "客运站", "scenic": "景区", "plant": "工业园企业", "lifeline": "水厂", "culture": "古建筑群"}
    leaders = iter(person_names(500, rng))
    yield Table("resources.key_site", ["code", "name", "kind", "people", "helpless", "address", "duty_phone", "contact", "contact_phone", "region", "point.lon", "point.lat", "note"], [
        [f"ZD{n:04d}", f"{town.name}{words[kind]}", kind, int(rng.integers(20, 3000)), int(rng.integers(0, 120)) if kind in ("care", "school") else 0, f"{town.name}（虚构地址）", f"65{n:04d}", next(leaders), f"12904{n:06d}", town.code, *_near(town, rng), NOTE]
        for n in range(200) for town, kind in [(towns[n * 7 % len(towns)], kinds[n % len(kinds)])]
    ])
    sizes = {"emergency": (200, 2000), "short": (300, 3000), "medium": (500, 4000), "long": (500, 5000), "central": (2000, 12000)}
    yield Table("resources.shelter", ["code", "name", "kind", "indoor", "hazards", "capacity", "area_m2", "days", "facilities", "accessible", "ready_min", "address", "duty_phone", "manager", "manager_phone", "region", "point.lon", "point.lat", "note"], [
        [
            f"BN{n:03d}", f"{town.name}{['中学', '体育馆', '文化礼堂', '中心小学', '人民广场', '村委会'][n % 6]}避难场所", kind, n % 6 != 4, "防汛抢险、建筑物倒塌搜救", size, int(size * 2.2), {"emergency": 1, "short": 15, "medium": 30, "long": 100, "central": 100}[kind],
            "、".join(rng.choice(["供水", "备用电源", "厕所", "厨房", "医疗点", "床位", "广播"], size=4, replace=False).tolist()), bool(rng.random() < 0.5), int(rng.choice([15, 30, 60, 120])), f"{town.name}（虚构地址）", f"64{n:04d}", next(leaders), f"12905{n:06d}",
            town.code, *_near(town, rng), NOTE,
        ]
        for n in range(300) for town, kind in [(towns[n % len(towns)], "central" if n % 60 == 0 else str(rng.choice(["emergency", "short", "medium", "long"], p=[0.5, 0.3, 0.12, 0.08])))] for size in [int(rng.integers(*sizes[kind]))]
    ])
    yield Table("resources.hospital", ["code", "name", "kind", "beds", "icu_beds", "ambulances", "specialties", "helipad", "address", "duty_phone", "region", "point.lon", "point.lat", "note"], [
        [f"YY{n:02d}", f"{area.name}{'第一人民医院' if n < 10 else '中心卫生院'}（虚构）", "3a" if n == 0 else "2" if n < 10 else "1", int(rng.integers(400, 1500) if n < 10 else rng.integers(20, 90)), int(rng.integers(10, 60) if n < 10 else 0), int(rng.integers(2, 15) if n < 10 else 1),
         "创伤、烧伤、儿科" if n < 10 else "创伤", n == 0, f"{area.name}（虚构地址）", f"63{n:04d}", area.code, *_near(area if area.kind == "town" else next(t for t in towns if t.parent == area.code or area.kind == "city"), rng), NOTE]
        for n, area in enumerate([city.city, *city.counties, *towns[:20]])
    ])
    yield Table("resources.site", ["code", "name", "channels", "video", "duty_phone", "mobile", "satellite", "video_address", "call_sign", "organisation", "region", "note"], [
        [
            f"LX{n:03d}", f"{area.name}应急指挥点", "video、landline、mobile、satellite" if n < 10 else "app、video、landline、mobile" if n % 3 else "app、landline、mobile、radio", n < 10 or bool(n % 3), f"62{n:04d}",
            f"12909{n:06d}", f"12910{n:06d}" if n < 10 else "", f"h323:{n:04d}" if n < 10 or n % 3 else "", "" if n < 10 or n % 3 else f"150.{n % 90:02d}0 澜{n:03d}", "", area.code, NOTE,
        ]
        for n, area in enumerate([city.city, *city.counties, *city.towns])
    ])
    yield from _people(city, squad, today, rng)
    yield Table("warning.device", ["code", "name", "kind", "channel", "keeper_name", "keeper_phone", "region", "point.lon", "point.lat"], [
        [f"LB{village.code}", f"{village.name}大喇叭（虚构）", "loudspeaker", LOUD, keeper, f"12911{number:06d}", village.code, village.lon, village.lat] for number, (village, keeper, _said) in enumerate(_speaking(city))
    ])


LOUD = "村村响大喇叭(虚构)"  # half-width, as the register keeps it


def _speaking(city: City) -> list[tuple[Area, str, tuple[str, ...]]]:
    """Villages with a loudspeaker, who minds it, and what it says of itself: most report and played their last test tone, some only report, some are silent."""
    rng = np.random.default_rng([city.seed, 131])
    every = villages.of(city)
    drawn = zip(every, person_names(len(every), rng), rng.random((len(every), 3)).tolist(), strict=True)
    return [(village, keeper, () if silent > 0.95 else ("tone",) if tone < 0.93 else ("heartbeat",)) for village, keeper, (has, silent, tone) in drawn if has < 0.96]


def let_speak(city: City) -> int:
    """What the loudspeakers say when the demonstration begins, as they would say it over their broker; how many were heard."""
    loud = Channel.objects.filter(name=LOUD, ended_at=None).first()
    said = [Report(kind, device=f"LB{village.code}", text="synthetic") for village, _keeper, kinds in _speaking(city) for kind in kinds]
    return devices.take_reports(loud, said)["known"] if loud else 0


def _stores(city: City, towns: list[Area], rng: np.random.Generator) -> list[tuple[str, str, str, Area, str]]:
    """Forty stores: name, layer, kind, place, owner."""
    found: list[tuple[str, str, str, Area, str]] = [(f"{city.city.name}应急物资储备中心", "county", "relief", city.city, "city.emergency"), (f"{city.city.name}防汛物资中心库", "county", "flood", city.city, "city.water")]
    for county in city.counties:
        found += [(f"{county.name}救灾物资储备库", "county", "relief", county, f"{county.code}.emergency"), (f"{county.name}防汛物资仓库", "county", "flood", county, f"{county.code}.water")]
    found += [(f"{town.name}应急物资储备点", "town", "town", town, town.code) for town in towns[:12]]
    return found + [(f"{town.name}中心社区储备点", "community", "community", town, town.code) for town in towns[12:20]]


def _gear(city: City, towns: list[Area], squad: teams.Teams, today: date, rng: np.random.Generator, unit: Any) -> Iterator[Table]:
    """Equipment by the standard of each team, a little short, a little broken, most of it tested; and vehicles."""
    yield Table("resources.equipment_norm", ["holder", "kind", "quantity", "basis"], [[holder, kind, n, "装备配备标准（虚构）"] for holder, wanted in NORMS.items() for kind, n in wanted.items()])
    pieces, tests, number = [], [], 0

    def piece(kind: str, owner: dict[str, Any], area: str, point: Any) -> None:
        nonlocal number
        number += 1
        low, high = ABILITY.get(kind, (0, 0))
        amount = int(rng.integers(2, 7)) if kind in ("radio", "suit", "blower", "gas") else 1
        code = f"ZC{number:04d}"
        pieces.append([
            code, f"{NAMED.get(kind, kind)}{number}", kind, amount, round(float(rng.uniform(low, high)), 0) if high else "", str(rng.choice(["serviceable", "repair", "unfit"], p=[0.92, 0.06, 0.02])), owner.get("team", ""), owner.get("organisation", ""),
            bool(rng.random() < 0.7), "澜安装备（虚构）", f"SN{number:06d}", today - timedelta(days=int(rng.integers(100, 3000))), area, *(point or ("", "")), NOTE,
        ])
        if kind in ("satellite", "radio", "video") and rng.random() < 0.94 or rng.random() < 0.4:
            done = today - timedelta(days=int(rng.integers(1, 300)))
            tests.append([code, "link" if kind in ("satellite", "radio", "video") else "test", done, bool(rng.random() < 0.95), done + timedelta(days=365), "装备管理员（虚构）"])

    for made in squad.teams:
        for kind, wanted in NORMS[made.values["kind"]].items():
            have = max(0, wanted - int(rng.random() < 0.15))
            while have > 0:
                piece(kind, {"team": made.values["code"]}, made.region, None)
                have -= pieces[-1][3]
    for area, key in [*((county, f"{county.code}.emergency") for county in city.counties), *((town, town.code) for town in city.towns)]:
        for kind in NORMS["county_office" if area.kind == "county" else "town_office"]:
            if rng.random() < 0.93:
                piece(kind, {"organisation": unit(key)}, area.code, (area.lon, area.lat))
    yield Table("resources.equipment", ["code", "name", "kind", "amount", "ability", "state", "team", "organisation", "shared", "maker", "serial", "bought_on", "region", "point.lon", "point.lat", "note"], pieces)
    yield Table("resources.test", ["equipment", "kind", "done_on", "passed", "valid_until", "done_by"], tests)
    kinds = ["truck", "bus", "offroad", "excavator", "ambulance", "tanker", "cold", "command"]
    drivers = iter(person_names(160, rng))
    yield Table("resources.vehicle", ["code", "name", "kind", "state", "load_t", "seats", "speed_kmh", "insured_until", "inspected_until", "driver", "driver_phone", "region", "point.lon", "point.lat", "note"], [
        [f"虚A{n:05d}", f"{town.name}{['应急货车', '转运客车', '越野车', '挖掘机', '救护车', '供水车', '冷藏车', '指挥车'][n % 8]}", kinds[n % 8], "serviceable" if rng.random() < 0.93 else "repair", [8, 0.5, 0.8, 0, 1, 10, 5, 1][n % 8], [3, 45, 7, 1, 6, 3, 3, 9][n % 8],
         [60, 65, 70, 30, 80, 60, 60, 70][n % 8], today + timedelta(days=int(rng.integers(-20, 360))), today + timedelta(days=int(rng.integers(-20, 360))), next(drivers), f"12906{n:06d}", town.code, *_near(town, rng), NOTE]
        for n in range(160) for town in [towns[n * 3 % len(towns)]]
    ])


def _people(city: City, squad: teams.Teams, today: date, rng: np.random.Generator) -> Iterator[Table]:
    """Five thousand people on posts with their papers, and a hundred experts."""
    people: list[list[Any]] = []
    papers: list[list[Any]] = []
    names = person_names(5000, rng)

    def somebody(role: str, team: str, area: str) -> str:
        number = len(people)
        code = f"RY{number:05d}"
        people.append([code, role, team, names[number], f"12907{number:06d}", today + timedelta(days=int(rng.integers(-10, 360))) if team else "", date(int(rng.integers(2012, 2026)), int(rng.integers(1, 13)), 1), area, NOTE])
        return code

    def paper(code: str, course: str, months: int, share: float) -> None:
        if rng.random() < share:
            papers.append([code, course, today - timedelta(days=int(rng.integers(10, months * 31))), f"虚构-{len(papers):05d}", "演示培训机构（虚构）"])

    for made in squad.teams:
        for place in range(min(int(made.values["members"]), 40)):
            role = "leader" if place == 0 else "driver" if place in (1, 2) else "rescuer" if made.values["kind"] != "social" or place % 2 else "volunteer"
            code = somebody(role, made.values["code"], made.region)
            if role in ("leader", "rescuer"):
                paper(code, "first_aid", 24, 0.95)
                paper(code, "rescue", 12, 0.93)
            if role == "leader":
                paper(code, "command", 36, 0.95)
            if role == "driver":
                paper(code, "driving", 24, 0.95)
    # Whoever is on duty today and tomorrow in the teams that are always there, by turns, from eight to eight.
    turns = []
    for made in squad.teams:
        if made.values["kind"] in ("fire", "government"):
            crew = [row[0] for row in people if row[2] == made.values["code"]]
            turns += [[made.values["code"], f"{today + timedelta(days=n)} 08:00", f"{today + timedelta(days=n + 1)} 08:00", "、".join(crew[n::3][:12]), made.region, NOTE] for n in range(2)]
    place = 0
    while len(people) < 5000:
        town = city.towns[place % len(city.towns)]
        role = ["information", "information", "information", "safety", "volunteer", "volunteer", "keeper", "volunteer"][place // len(city.towns) % 8]
        code = somebody(role, "", town.code)
        if role == "information":
            paper(code, "information", 34, 0.88)
        if role == "safety":
            paper(code, "supervision", 36, 0.9)
        place += 1
    yield Table("resources.member", ["code", "role", "team", "name", "phone", "insured_until", "joined_on", "region", "note"], people)
    yield Table("resources.certificate", ["member", "course", "passed_on", "number", "issuer"], papers)
    yield Table("resources.shift", ["team", "starts_at", "ends_at", "crew", "region", "note"], turns)
    fields = ["flood", "geology", "quake", "forest", "chemical", "mine", "structure", "medical", "power", "telecom", "weather", "law", "psychology"]
    named = person_names(100, rng)
    yield Table("resources.expert", ["code", "fields", "level", "title", "employer", "recusal", "available", "appointed_until", "name", "phone", "region", "note"], [
        [f"ZJ{n:03d}", "、".join(sorted({fields[n % 13], fields[int(rng.integers(13))]})), level, str(rng.choice(["教授级高工", "高级工程师", "主任医师", "研究员"])), f"虚构单位{n % 37}",
         f"虚构企业{n % 11}" if n % 4 == 0 else "", bool(rng.random() < 0.9), today + timedelta(days=int(rng.integers(-30, 900))), named[n], f"12908{n:06d}", city.counties[n % 9].code if level == "county" else city.city.code, NOTE]
        for n in range(100) for level in [str(rng.choice(["province", "city", "county"], p=[0.15, 0.5, 0.35]))]
    ])


def lots(city: City, today: date, stores: dict[str, UUID], items: dict[str, UUID]) -> list[dict[str, Any]]:
    """Two thousand lots, fifty a store: dates that fit the item, a few expired, some soon to be."""
    rng = np.random.default_rng([city.seed, 101])
    found = []
    for n, code in enumerate(sorted(stores)):
        scale = 1.0 if n < 2 else 0.5 if n < 20 else 0.1
        for number in range(50):
            item, _name, _major, base, _box, _kg, keeps, _rotate, low, high = ITEMS[int(rng.integers(len(ITEMS)))]
            made = today - timedelta(days=int(rng.integers(1, int((keeps or 2000) * (1.04 if rng.random() < 0.08 else 0.9)))))
            quantity = max(1, int(rng.integers(low, high + 1) * scale))
            found.append({
                "warehouse": str(stores[code]), "item": str(items[item]), "lot": f"{made:%y%m%d}-{number:02d}", "quantity": str(quantity), "unit": base, "made_on": made.isoformat(),
                "expires_on": (made + timedelta(days=keeps)).isoformat() if keeps else "", "price_yuan": str(round(float(rng.uniform(1, 90)), 2)),
            })
    return found


def _chinese(text: Any) -> str:
    """A label as the made-up city writes it, whatever language the terminal speaks."""
    with translation.override("zh-hans"):
        return str(text)


def enter(city: City, today: date, unit: Any) -> dict[str, int]:
    """Take the sheets over by the registers' import, and the lots by the ledger; what is there already is left as it is. Returns how many rows are new."""
    actual, counts = realms.actual(), {}

    def person() -> Actor:
        return Actor.of(Account.objects.get(name="duty"), second_factor=True)  # no machine enters what speaks to people

    if not Channel.objects.filter(name=LOUD, ended_at=None).exists():
        # Heard of once a week is enough here: between two starts of the demonstration nobody reports.
        settings = {"broker": {"host": "loudspeakers.invalid", "port": 8883}, "topic": "village/{device}/play", "status": "village/+/status"}
        registers.create(Act(person(), actual), register="warning.channel", values={"name": LOUD, "adapter": "loudspeaker", "settings": settings, "heartbeat_minutes": 10080})
    for table in tables(city, today, unit):
        declared = get(table.register)
        if declared.rows().exists():
            continue
        rows = [[value.isoformat() if isinstance(value, date) else "是" if value is True else "否" if value is False else value for value in row] for row in table.rows]
        sheet = reading.Sheet(f"{_chinese(declared.label)}（虚构）", [list(table.head), *rows], hashlib.sha256(repr(rows).encode()).hexdigest(), 0)
        mapping = importing.Mapping(0, {name: at for at, name in enumerate(table.head)})
        done = importing.run(Act(person() if table.register.startswith("warning.") else Actor.machine("demo"), actual), declared, sheet, mapping, verified=True)
        if done.refused:
            raise ValueError(f"{table.register}: {done.refused[0].as_json()} and {len(done.refused) - 1} more")
        counts[table.register] = done.written
    if not Stock.plain.filter(realm_id=actual.pk).exists():
        stores = dict(Warehouse.plain.filter(ended_at=None).values_list("code", "pk"))
        items = dict(Item.plain.filter(ended_at=None).values_list("code", "pk"))
        act = Act(Actor.machine("demo"), actual, op_id=derived_id("demo.lots", city.seed))
        counts["lots"] = actions.receive_many(act, lots=lots(city, today, stores, items), party="期初结转（虚构）", reason=NOTE)
    return counts
