"""Rescue teams and bases of the made-up city: values in, values out; `actions.load_teams` enters them in the register.

People, numbers and papers are made up: no mobile number of China begins with 12.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from anlan.engines.geo import Area, City
from anlan.engines.geo.names import person_names
from anlan.resources import means

NOTE = "虚构演示数据"
# kind: how many, hazards one of them is fit for, members from–to, minutes to assemble from–to.
KINDS: dict[str, tuple[int, list[list[str]], tuple[int, int], tuple[int, int]]] = {
    "fire": (10, [["water", "collapse", "road"], ["water", "chemical", "collapse"], ["mountain", "collapse", "water"]], (28, 90), (1, 3)),
    "government": (5, [["forest_fire", "mountain"], ["flood", "water"]], (20, 50), (5, 15)),
    "department": (11, [["flood"], ["power"], ["telecom"], ["road"], ["medical"], ["landslide"], ["forest_fire"], ["flood", "landslide"]], (12, 60), (15, 45)),
    "enterprise": (6, [["chemical"], ["mine"], ["mine", "collapse"], ["chemical", "collapse"]], (15, 45), (10, 20)),
    "township": (20, [["flood", "road"], ["forest_fire", "flood"], ["flood", "landslide"]], (10, 30), (15, 40)),
    "social": (8, [["water"], ["mountain"], ["water", "mountain"], ["medical"]], (18, 120), (60, 180)),
}
WORD = {
    "flood": "防汛抢险", "water": "水域救援", "mountain": "山地救援", "landslide": "地质灾害救援", "collapse": "建筑物搜救", "forest_fire": "森林消防", "chemical": "危化品救援",
    "mine": "矿山救护", "road": "道路抢通", "power": "电力抢修", "telecom": "通信保障", "medical": "医疗救护",
}
# Line of the department whose team it is, by its first hazard (town_hall's keys).
DEPARTMENT = {"flood": "water", "power": "power", "telecom": "telecom", "road": "transport", "medical": "health", "landslide": "resources", "forest_fire": "emergency"}


@dataclass(frozen=True)
class Made:
    """unit: key of the owner in `town_hall`; region: code of the place; base: code of the base it stands at; values as the register takes them."""

    unit: str
    region: str
    values: dict[str, Any]
    base: str = ""


@dataclass
class Teams:
    bases: list[Made] = field(default_factory=list)
    teams: list[Made] = field(default_factory=list)


def of(city: City, today: date) -> Teams:
    """About 25 bases and 60 teams, the same for the same seed and day."""
    rng = np.random.default_rng([city.seed, 71])
    found = Teams()
    total = sum(count for count, *_ in KINDS.values())
    names = iter(person_names(total, rng))
    by_size = sorted(city.towns, key=lambda town: -town.population)
    number = 0
    for kind, (count, fitness, members, minutes) in KINDS.items():
        for place in range(count):
            number += 1
            hazards = fitness[place % len(fitness)]
            area, unit, name = _who(city, by_size, kind, place, hazards)
            spot = next((town for town in by_size if town.parent == area.code), None) or (area if area.kind == "town" else by_size[0])
            lon, lat = (round(float(value + rng.uniform(-0.008, 0.008)), 6) for value in (spot.lon, spot.lat))
            base = ""
            if kind in ("fire", "government", "enterprise") or (kind == "department" and place % 3 == 0):
                base = f"ZD{number:03d}"
                found.bases.append(Made(unit, area.code, {
                    "code": base, "name": f"{name}驻地", "address": f"{spot.name}（虚构地址）", "point": [lon, lat], "duty_phone": f"67{number:04d}",
                    "beds": int(rng.integers(10, 80)), "note": NOTE,
                }))
            found.teams.append(Made(unit, area.code, {
                "code": f"DW{number:03d}", "name": name, "kind": kind, "hazards": hazards, "address": f"{spot.name}（虚构地址）", "point": [lon, lat], "note": NOTE,
                **_strength(kind, int(rng.integers(members[0], members[1] + 1)), hazards, rng), "assemble_min": int(rng.integers(minutes[0], minutes[1] + 1)),
                "readiness": str(rng.choice(["ready", "standby", "deployed", "resting", "unfit"], p=[0.5, 0.32, 0.04, 0.08, 0.06])),
                "duty_phone": f"68{number:04d}", "leader": next(names), "leader_phone": f"12901{number:06d}",
                # One in eight has papers that have run out or soon will.
                "certificates_until": today + timedelta(days=int(rng.integers(-60, 40) if rng.random() < 0.12 else rng.integers(90, 1000))),
                "insured_until": today + timedelta(days=int(rng.integers(-30, 30) if rng.random() < 0.12 else rng.integers(60, 360))),
                "founded": date(int(rng.integers(1998, 2024)), int(rng.integers(1, 13)), int(rng.integers(1, 28))),
            }, base))
    return found


def _who(city: City, towns: list[Area], kind: str, place: int, hazards: list[str]) -> tuple[Area, str, str]:
    """Its place, its owner's key in `town_hall`, and its name."""
    county = city.counties[place % len(city.counties)]
    word = WORD[hazards[0]]
    if kind == "fire":
        return (city.city, "city.fire", f"{city.city.name}消防救援支队特勤大队") if place == 0 else (city.counties[place - 1], "city.fire", f"{city.counties[place - 1].name}消防救援大队")
    if kind == "government":
        return county, f"{county.code}.emergency", f"{county.name}综合应急救援队"
    if kind == "department":
        return (city.city if place < 6 else county), (f"city.{DEPARTMENT[hazards[0]]}" if place < 6 else f"{county.code}.emergency"), f"{city.city.name if place < 6 else county.name}{word}队"
    if kind == "enterprise":
        return county, f"{county.code}.emergency", f"{county.name}{'澜化' if hazards[0] == 'chemical' else '岚矿'}企业{word}队（虚构企业）"
    if kind == "township":
        town = towns[3 * place]
        return town, town.code, f"{town.name}“三合一”应急救援队"
    return county, f"{county.code}.emergency", f"{county.name}{['蓝溪', '远山', '同舟', '晨光'][place % 4]}{word}志愿队"


def _strength(kind: str, members: int, hazards: list[str], rng: np.random.Generator) -> dict[str, Any]:
    """People and means that fit the kind and what the team is for."""
    professional = kind in ("fire", "government", "department", "enterprise")
    wet = bool({"flood", "water"} & set(hazards))
    found: dict[str, Any] = {
        "members": members, "full_time": members if kind in ("fire", "government") else members // 2 if professional else 0, "certified": int(members * rng.uniform(0.35, 0.95)),
        "vehicles": int(rng.integers(3, 14) if professional else rng.integers(1, 4)), "boats": int(rng.integers(1, 9)) if wet else 0,
        "pump_m3h": int(rng.choice([200, 500, 1000, 3000])) if "flood" in hazards else 0, "generator_kw": int(rng.choice([30, 75, 120, 400])) if professional else 5,
        "drones": int(rng.integers(0, 4)), "detectors": int(rng.integers(1, 5)) if "collapse" in hazards else 0, "satellite_phones": int(rng.integers(1, 4)) if professional else 0,
    }
    if kind == "social":
        score = int(rng.integers(55, 100))
        found |= {"grade": means.grade_of(score, members, found["certified"]), "grade_score": score, "grade_evidence": "能力测评成绩单（虚构）"}
    return found
