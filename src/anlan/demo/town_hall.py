"""Who works in the made-up city: organisations, posts in their line of command, 300 persons, and what each post may do.

Values in, values out; the action `load_city` writes them.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from anlan.engines.geo import City
from anlan.engines.geo.names import person_names


@dataclass(frozen=True)
class Unit:
    """key: its own; name in both languages; kind, business line (条线) and region code as in `kernel.Organisation`."""

    key: str
    name: str
    name_en: str
    kind: str
    line: str
    region: str
    parent: str = ""


@dataclass(frozen=True)
class Seat:
    """A post. superior: key of the post above, empty at the top; profile: what it may do (`PROFILES`); holders: persons."""

    key: str
    unit: str
    name: str
    name_en: str
    kind: str
    region: str
    superior: str
    profile: str
    holders: int = 1


@dataclass(frozen=True)
class Holder:
    """A person, the account's name, and the post held as A or B."""

    account: str
    name: str
    seat: str
    role: str
    mobile: str


@dataclass
class TownHall:
    units: list[Unit] = field(default_factory=list)
    seats: list[Seat] = field(default_factory=list)
    holders: list[Holder] = field(default_factory=list)


# Departments: key, Chinese, English, business line, seat name.
CITY_DEPARTMENTS = [
    ("water", "水利局", "Water Bureau", "water"),
    ("hydrology", "水文中心", "Hydrology Centre", "water"),
    ("met", "气象局", "Meteorological Bureau", "weather"),
    ("resources", "自然资源和规划局", "Natural Resources Bureau", "geology"),
    ("transport", "交通运输局", "Transport Bureau", "transport"),
    ("housing", "住房和城乡建设局", "Housing and Construction Bureau", "housing"),
    ("education", "教育局", "Education Bureau", "education"),
    ("health", "卫生健康委员会", "Health Commission", "health"),
    ("power", "供电公司", "Power Supply Company", "power"),
    ("telecom", "通信管理办公室", "Telecommunications Office", "telecom"),
    ("publicity", "委宣传部", "Publicity Department", "publicity"),
    ("fire", "消防救援支队", "Fire and Rescue Detachment", "rescue"),
]
COUNTY_DEPARTMENTS = CITY_DEPARTMENTS[:1] + CITY_DEPARTMENTS[2:5]
# The five roles `anlan demo` prints, and those needed to show two persons and three administrators.
ROLES = {
    "duty": "city.duty_officer", "commander": "city.commander", "water": "city.water", "township": "", "admin": "city.system_admin",
    "leader": "city.duty_leader", "security": "city.security_admin", "auditor": "city.auditor",
}
PRINTED = ("duty", "commander", "water", "township", "admin")
# Capabilities by profile. "+read": everything that ends in .read; "*": everything that is not administration or audit.
PROFILES: dict[str, tuple[str, ...]] = {
    "command": ("*",),
    "duty": ("*",),
    "department": ("+read", "orders.", "contacts.", "sensing.", "command.take_report", "command.report", "warning.compose", "warning.enter", "resources.", "inspection.report", "inspection.rectify", "logistics."),
    "township": ("+read", "command.take_report", "command.report", "resources.write", "resources.readiness", "resources.contacts", "resources.stock", "resources.call",
                 "inspection.report", "inspection.rectify", "logistics.report", "logistics.shelter"),
    "system": ("kernel.administer_system", "+admin", "+read", "realms.start", "realms.stop"),
    "security": ("kernel.administer_security",),
    "audit": ("kernel.audit", "journal.read"),
}
ADMINISTRATION = ("kernel.administer", "kernel.audit", "people.", "parties.", "accounts.", "grants.")


def capabilities(profile: str, known: list[str]) -> list[str]:
    """The capabilities of a profile among those the rooms have declared."""
    found: set[str] = set()
    for wanted in PROFILES[profile]:
        if wanted == "*":
            found |= {code for code in known if not code.startswith(ADMINISTRATION) or code.endswith(".read")}
        elif wanted == "+read":
            found |= {code for code in known if code.endswith(".read") and not code.startswith("journal")}
        elif wanted == "+admin":
            found |= {code for code in known if ".administer" in code or code.split(".")[-1].startswith(("manage", "edit", "configure"))}
            found -= {"kernel.administer_security", "kernel.audit"}
        elif wanted.endswith("."):
            found |= {code for code in known if code.startswith(wanted)}
        elif wanted in known:
            found.add(wanted)
    return sorted(found)


def people_of(city: City) -> TownHall:
    """The town hall of the made-up city: 20 city posts, 9 county lines, 180 township posts; 300 persons in all."""
    hall = TownHall()
    top = city.city.code
    hall.units += [
        Unit("city", f"{city.city.name}人民政府", "City Government", "government", "", top),
        Unit("city.emergency", f"{city.city.name}应急管理局", "City Emergency Management Bureau", "department", "emergency", top, "city"),
    ]
    hall.units += [
        Unit(f"city.{key}", f"{city.city.name}{name}", f"City {english}", "department", line, top, "city")
        for key, name, english, line in CITY_DEPARTMENTS
    ]
    seat = hall.seats.append
    seat(Seat("city.commander", "city", "市防汛抗旱指挥部总指挥", "Commander, city headquarters", "commander", top, "", "command"))
    seat(Seat("city.deputy", "city", "市防汛抗旱指挥部副总指挥", "Deputy commander, city headquarters", "deputy_commander", top, "city.commander", "command"))
    seat(Seat("city.secretary", "city.emergency", "市防指秘书长", "Secretary-general, city headquarters", "secretary_general", top, "city.deputy", "command"))
    seat(Seat("city.duty_leader", "city.emergency", "市应急指挥中心带班领导", "Leader in charge, city centre", "duty_leader", top, "city.secretary", "duty", 3))
    seat(Seat("city.duty_officer", "city.emergency", "市应急指挥中心值班员", "Duty officer, city centre", "duty_officer", top, "city.duty_leader", "duty", 6))
    for key, name, english, _line in CITY_DEPARTMENTS:
        holders = 2 if key in ("water", "met", "hydrology") else 1
        seat(Seat(f"city.{key}", f"city.{key}", f"市{name}值班员", f"Duty officer, City {english}", "department_duty", top, "city.duty_leader", "department", holders))
    for key, name, english, kind, profile in (
        ("system_admin", "系统管理员", "System administrator", "system_administrator", "system"),
        ("security_admin", "安全管理员", "Security administrator", "security_administrator", "security"),
        ("auditor", "审计管理员", "Audit administrator", "audit_administrator", "audit"),
    ):
        seat(Seat(f"city.{key}", "city.emergency", name, english, kind, top, "", profile))
    for county in city.counties:
        code, name, short = county.code, county.name, county.name
        hall.units += [
            Unit(code, f"{name}人民政府", "County Government", "government", "", code, "city"),
            Unit(f"{code}.emergency", f"{name}应急管理局", "County Emergency Management Bureau", "department", "emergency", code, code),
        ]
        seat(Seat(f"{code}.commander", code, f"{short}防指总指挥", "Commander, county headquarters", "commander", code, "city.duty_officer", "command"))
        seat(Seat(f"{code}.deputy", code, f"{short}防指副总指挥", "Deputy commander, county headquarters", "deputy_commander", code, f"{code}.commander", "command"))
        seat(Seat(f"{code}.duty_leader", f"{code}.emergency", f"{short}应急指挥中心带班领导", "Leader in charge, county centre", "duty_leader", code, f"{code}.deputy", "duty"))
        seat(Seat(f"{code}.duty_officer", f"{code}.emergency", f"{short}应急指挥中心值班员", "Duty officer, county centre", "duty_officer", code, f"{code}.duty_leader", "duty", 3))
        for key, department, english, line in COUNTY_DEPARTMENTS:
            hall.units.append(Unit(f"{code}.{key}", f"{name}{department}", f"County {english}", "department", line, code, code))
            seat(Seat(f"{code}.{key}", f"{code}.{key}", f"{short}{department}值班员", f"Duty officer, County {english}", "department_duty", code, f"{code}.duty_leader", "department"))
    for town in city.towns:
        kind = "街道办事处" if town.name.endswith("街道") else "人民政府"
        unit_name = town.name[:-2] + "街道办事处" if kind == "街道办事处" else town.name + kind
        hall.units.append(Unit(town.code, unit_name, "Township Government", "township", "", town.code, town.parent))
        seat(Seat(f"{town.code}.duty_officer", town.code, f"{town.name}值班员", "Township duty officer", "town_duty", town.code, f"{town.parent}.duty_officer", "township"))
    _fill(hall, city)
    return hall


def _fill(hall: TownHall, city: City) -> None:
    rng = np.random.default_rng([city.seed, 61])
    total = sum(seat.holders for seat in hall.seats)
    names = person_names(total, rng)
    role_of = {seat: account for account, seat in ROLES.items() if seat}
    role_of[f"{city.towns[0].code}.duty_officer"] = "township"
    number = 0
    for seat in hall.seats:
        for place in range(seat.holders):
            account = role_of[seat.key] if place == 0 and seat.key in role_of else f"u{number + 1:03d}"
            # No mobile number of China begins with 12: nobody can be rung up by mistake.
            hall.holders.append(Holder(account, names[number], seat.key, "A" if place == 0 else "B", f"12900{number:06d}"))
            number += 1
