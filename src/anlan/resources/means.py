"""Reads about means: the equipment rates, what can be where by when, who is fit to be sent, training, roll calls.

The rates are recomputed from the raw rows each time; nothing is kept that could be out of step with them.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Count, F, Q, QuerySet

from anlan.kernel import access, clock, codes
from anlan.kernel.models import Organisation, Region, RegionPath
from anlan.kernel.registers import get
from anlan.kernel.shell import localname_is_english

from .models import (
    CallOut,
    Certificate,
    Equipment,
    EquipmentNorm,
    EquipmentTest,
    Member,
    Opinion,
    RollCall,
    RollCallTry,
    Shift,
    Site,
    Team,
)

EARTH_KM = 6371.0088


def policy(name: str) -> float:
    """A value of the code list `callout_policy`."""
    return float(codes.data("callout_policy", name)["value"])


# --- equipment: Q14, Q15, Q16 --------------------------------------------------------------------------------------------


def last_tests(day: date, keys: Iterable[Any] | None = None) -> dict[Any, EquipmentTest]:
    """The last test (not maintenance) of each piece up to that day."""
    kinds = [code for code, entry in codes.entries("equipment_test").items() if entry["data"].get("tests")]
    rows = EquipmentTest.plain.filter(ended_at=None, kind__in=kinds, done_on__lte=day)
    if keys is not None:
        rows = rows.filter(equipment__in=keys)
    return {row.equipment_id: row for row in rows.order_by("equipment_id", "-done_on", "-created_at").distinct("equipment_id")}


def counts(row: Equipment, tests: dict[Any, EquipmentTest], day: date) -> bool:
    """Whether a piece counts as held and serviceable: in order, not failed, and of gear that must be tested, its last test passed and still valid."""
    if row.state not in usable_states():
        return False
    last = tests.get(row.pk)
    if last is None:
        return not codes.data("equipment_kind", row.kind).get("tested")
    return last.passed and (last.valid_until is None or last.valid_until >= day)


def usable_states() -> list[str]:
    return [code for code, entry in codes.entries("equipment_state").items() if entry["data"].get("usable")]


def share(held: Iterable[int], required: Iterable[int]) -> tuple[int, int, float | None]:
    """(held of what is required, required, rate in %): Σ min(held, required) / Σ required, so that a surplus of one covers no lack of another. No requirement: no rate."""
    pairs = list(zip(held, required, strict=True))
    have, wanted = sum(min(a, b) for a, b in pairs), sum(b for _a, b in pairs)
    return have, wanted, 100.0 * have / wanted if wanted else None


def equipment_rates(actor: Any, day: date) -> dict[str, Any]:
    """Q14 communication equipment of offices and grass-roots teams, Q15 small portable terminals of grass-roots teams, Q16 team equipment; each holder, and what is missing.

    {"q14", "q15", "q16": (held, required, rate), "holders": [{name, kind, lines, held, required, rate}], "missing": [{holder, kind, short}]}
    """
    norms: dict[str, list[EquipmentNorm]] = {}
    for norm in EquipmentNorm.plain.filter(ended_at=None).order_by("kind"):
        norms.setdefault(norm.holder, []).append(norm)
    pieces = list(Equipment.objects.seen_by(actor).filter(ended_at=None).only("pk", "kind", "state", "amount", "team_id", "organisation_id"))
    tests = last_tests(day)
    held: dict[tuple[Any, str], int] = {}
    for row in pieces:
        if counts(row, tests, day):
            owner = row.team_id or row.organisation_id
            held[owner, row.kind] = held.get((owner, row.kind), 0) + row.amount
    holders = [(row.pk, row.name, row.kind) for row in Team.objects.seen_by(actor).filter(ended_at=None).order_by("name")]
    reach = access.regions(actor, "resources.read")
    offices = Organisation.objects.filter(Q(kind="township") | Q(business_line="emergency")).order_by("name")
    if reach is not access.ALL:
        offices = offices.filter(region_id__in=reach)
    holders += [(row.pk, row.name, "town_office" if row.kind == "township" else "county_office") for row in offices]
    found: list[dict[str, Any]] = []
    gathered: dict[str, list[tuple[int, int]]] = {"q14": [], "q15": [], "q16": []}
    for key, name, kind in holders:
        about = codes.data("equipment_holder", kind)
        lines: list[dict[str, Any]] = []
        for norm in norms.get(kind, []):
            data, have = codes.data("equipment_kind", norm.kind), held.get((key, norm.kind), 0)
            pair = (have, norm.quantity)
            if not about.get("office"):
                gathered["q16"].append(pair)
            if data.get("comms") and (about.get("office") or about.get("grassroots")):
                gathered["q14"].append(pair)
            if data.get("portable") and about.get("grassroots"):
                gathered["q15"].append(pair)
            lines.append({"kind": norm.kind, "held": have, "required": norm.quantity, "short": max(norm.quantity - have, 0)})
        if lines:
            have, wanted, rate = share((line["held"] for line in lines), (line["required"] for line in lines))
            found.append({"key": key, "name": name, "kind": kind, "lines": lines, "held": have, "required": wanted, "rate": rate, "office": bool(about.get("office"))})
    missing = [{"holder": one["name"], "kind": line["kind"], "short": line["short"]} for one in found for line in one["lines"] if line["short"]]
    return {
        **{name: share([a for a, _b in pairs], [b for _a, b in pairs]) for name, pairs in gathered.items()}, "holders": sorted(found, key=lambda one: (one["rate"], one["name"])),
        "missing": sorted(missing, key=lambda one: (-one["short"], one["holder"])), "pieces": len(pieces),
    }


def dead_spots(actor: Any, day: date) -> list[dict[str, Any]]:
    """Towns in which no communication gear stands that passed its last test, the most populous first: {region, held: pieces that do not count}.

    A piece stands where it is kept: its own place, else its team's, its store's or its office's.
    """
    kinds = [code for code, entry in codes.entries("equipment_kind").items() if entry["data"].get("comms")]
    reach = access.regions(actor, "resources.read")
    towns = Region.objects.filter(kind="town", valid_to=None).defer("area_wkb")
    if reach is not access.ALL:
        towns = towns.filter(pk__in=reach)
    within = dict(RegionPath.objects.filter(hierarchy="administrative", ancestor__in=towns).values_list("descendant_id", "ancestor_id"))
    tests, live, held = last_tests(day), set(), Counter[Any]()
    for row in Equipment.objects.seen_by(actor).filter(ended_at=None, kind__in=kinds).select_related("team", "warehouse", "organisation"):
        owner = row.team or row.warehouse or row.organisation
        town = within.get(row.region_id) or within.get(owner.region_id if owner else None)
        held[town] += row.amount
        if counts(row, tests, day):
            live.add(town)
    return [{"region": town, "held": held[town.pk]} for town in towns.order_by(F("population").desc(nulls_last=True), "name") if town.pk not in live]


# --- where by when -------------------------------------------------------------------------------------------------------


def kilometres(lon: float, lat: float, lons: Any, lats: Any) -> Any:
    """Great-circle distances from a point to many, km; degrees in."""
    a, b, x, y = (np.radians(np.asarray(value, dtype=float)) for value in (lat, lats, lon, lons))
    inside = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin((y - x) / 2) ** 2
    return 2 * EARTH_KM * np.arcsin(np.sqrt(np.clip(inside, 0.0, 1.0)))


def minutes(km: Any, speed: Any, start: Any) -> Any:
    """Minutes until there: to get going, and the way by road at that speed. An estimate: no road is looked at."""
    return np.asarray(start, dtype=float) + np.asarray(km) * policy("detour") / np.maximum(np.asarray(speed, dtype=float), 1.0) * 60.0


def able(actor: Any, *, kind: str, least: float = 0, lon: float | None = None, lat: float | None = None, within: float | None = None, day: date, shared: bool = False, limit: int = 200) -> dict[str, Any]:
    """Pieces of a kind that can do at least so much, and be at a point within so many minutes; the soonest first.

    {"found": n, "rows": [{row, km, minutes, tested}], "unplaced": n}: one without any position of its own, its team's or its store's cannot be judged and is counted apart.
    """
    rows = Equipment.objects.seen_by(actor).filter(ended_at=None, kind=kind, state__in=usable_states())
    if least:
        rows = rows.filter(ability__gte=least)
    if shared:
        rows = rows.filter(shared=True)
    table = list(rows.values_list(
        "pk", "lon", "lat", "team__lon", "team__lat", "warehouse__lon", "warehouse__lat", "team__assemble_min", "team__speed_kmh", "warehouse__load_min",
    ))
    tests = last_tests(day, rows.values("pk")) if table else {}
    failed = {key for key, test in tests.items() if not test.passed or (test.valid_until and test.valid_until < day)}
    table = [line for line in table if line[0] not in failed]
    places = [next(((a, b) for a, b in (line[1:3], line[3:5], line[5:7]) if a is not None and b is not None), None) for line in table]
    keys = [line[0] for line in table]
    unplaced = sum(place is None for place in places)
    if lon is None or lat is None:
        chosen: list[tuple[Any, Any, Any]] = [(key, None, None) for key in keys[:limit]]
        found = len(keys)
    else:
        at = np.array([place or (np.nan, np.nan) for place in places], dtype=float).reshape(-1, 2)
        km = kilometres(lon, lat, at[:, 0], at[:, 1])
        speed = np.array([line[8] or policy("speed_kmh") for line in table], dtype=float)
        start = np.array([line[7] if line[7] is not None else line[9] if line[9] is not None else policy("load_min") for line in table], dtype=float)
        took = minutes(km, speed, start)
        good = np.flatnonzero(np.isfinite(took) & (took <= (within if within is not None else np.inf)))
        order = good[np.argsort(took[good], kind="stable")]
        found = len(order)
        chosen = [(keys[n], float(km[n]), float(took[n])) for n in order[:limit]]
    shown = {row.pk: row for row in Equipment.plain.filter(pk__in=[key for key, *_rest in chosen]).select_related("team", "warehouse", "organisation")}
    return {"found": found, "unplaced": unplaced, "rows": [{"row": shown[key], "km": km, "minutes": took, "test": tests.get(key)} for key, km, took in chosen]}


NEAR = ("resources.team", "resources.warehouse", "resources.equipment", "resources.vehicle", "resources.shelter", "resources.hospital", "resources.key_site", "resources.base")


def near(actor: Any, lon: float, lat: float, km: float, *, within: float | None = None, registers: Iterable[str] = NEAR, limit: int = 50) -> list[dict[str, Any]]:
    """What lies within so many kilometres of a point, and is there within so many minutes, register by register, the nearest first, each with its age.

    [{register, total, rows: [{row, km, minutes, stale}]}]
    """
    now = clock.now()
    north = km / 111.0
    east = north / max(0.05, float(np.cos(np.radians(lat))))
    answer = []
    for name in registers:
        declared = get(name)
        rows = declared.model.objects.seen_by(actor).filter(ended_at=None, lon__gte=lon - east, lon__lte=lon + east, lat__gte=lat - north, lat__lte=lat + north)
        # What moves by itself says how fast, what must assemble how long that takes.
        own = [name_ if name_ in declared.columns else None for name_ in ("speed_kmh", "assemble_min")]
        table = list(rows.values_list("pk", "lon", "lat", *(name_ for name_ in own if name_))[:20_000])
        away = kilometres(lon, lat, [line[1] for line in table], [line[2] for line in table])
        speed, start = ([line[3 + sum(map(bool, own[:n]))] or default if own[n] else default for line in table] for n, default in ((0, policy("speed_kmh")), (1, 0)))
        took = minutes(away, speed, start)
        order = [n for n in np.argsort(away, kind="stable") if away[n] <= km and (within is None or took[n] <= within)] if table else []
        shown = declared.rows().in_bulk([table[n][0] for n in order[:limit]])
        lines = []
        for n in order[:limit]:
            row = shown[table[n][0]]
            stale = row.verified_at is None or (declared.fresh is not None and now - row.verified_at > declared.fresh)
            lines.append({"row": row, "km": float(away[n]), "minutes": float(took[n]), "stale": stale})
        answer.append({"register": declared, "total": len(order), "rows": lines})
    return answer


# --- who is fit ----------------------------------------------------------------------------------------------------------


class Person(NamedTuple):
    """A line of the people's register, as the training page counts it."""

    pk: Any
    code: str
    role: str
    insured_until: date | None
    team: str | None
    organisation: str | None
    place: str | None
    place_en: str | None

    @property
    def unit(self) -> str:
        """Whose: the team's, else the unit's, else the place's."""
        return self.team or self.organisation or (self.place_en if localname_is_english() and self.place_en else self.place) or "–"


def grade_of(score: int, members: int, certified: int) -> str:
    """The best grade the rule gives a social team; empty when it gives none."""
    share = 100.0 * certified / members if members else 0.0
    return next((
        code for code, entry in sorted(codes.entries("team_grade_rule").items())
        if score >= entry["data"]["score"] and members >= entry["data"]["members"] and share >= entry["data"]["certified_percent"]
    ), "")


def courses_for(role: str) -> list[str]:
    """Courses somebody of a role must have in force before being sent."""
    return [code for code, entry in codes.entries("training_course").items() if role in (entry["data"].get("needed") or [])]


def ends(course: str, passed_on: date, valid_until: date | None) -> date | None:
    """The last day a certificate holds: as it says, else as long as the rule of its course."""
    if valid_until:
        return valid_until
    months = codes.data("training_course", course).get("months")
    if not months:
        return None
    year, month = divmod(passed_on.year * 12 + passed_on.month - 1 + int(months), 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(passed_on.day, last)) - timedelta(days=1)


def held(members: Any) -> dict[tuple[Any, str], date | None]:
    """(member, course) → the last day of the certificate that lasts longest; None: without end. `members`: keys, or a query of them."""
    found: dict[tuple[Any, str], date | None] = {}
    known = lru_cache(maxsize=None)(ends)  # thousands of papers, hundreds of days
    for member, course, passed_on, valid_until in Certificate.plain.filter(ended_at=None, member__in=members).values_list("member_id", "course", "passed_on", "valid_until"):
        end, key = known(course, passed_on, valid_until), (member, course)
        if key not in found or (found[key] is not None and (end is None or end > found[key])):
            found[key] = end
    return found


def unfit(members: Iterable[Any], day: date, have: dict[tuple[Any, str], date | None] | None = None) -> dict[Any, list[str]]:
    """Why each may not be sent on that day: courses that are missing or over, insurance that is over. Who is fit is not in it; a paper holds through its last day."""
    rows = list(members)
    if have is None:
        have = held([row.pk for row in rows])
    needed, found = {role: courses_for(role) for role in {row.role for row in rows}}, {}
    for row in rows:
        why = [code for code in needed[row.role] if (row.pk, code) not in have or (have[row.pk, code] is not None and have[row.pk, code] < day)]
        if row.insured_until and row.insured_until < day:
            why.append("insurance")
        if why:
            found[row.pk] = why
    return found


def training(actor: Any, day: date, since: date | None = None) -> dict[str, Any]:
    """Training by role and by unit, with who runs out within 60 days; Q20: information officers trained at least once in the period.

    {"roles", "units": [{code or name, people, fit, rate}], "q20": (trained, all, rate), "expiring": [{member, course, until}]}; a member here is a `Person`.
    """
    mine = Member.objects.seen_by(actor).filter(ended_at=None)
    members = [Person(*line) for line in mine.values_list("pk", "code", "role", "insured_until", "team__name", "organisation__name", "region__name", "region__name_en")]
    have = held(mine.values("pk"))
    bad = unfit(members, day, have)

    def shares(name: str) -> list[dict[str, Any]]:
        people, fit = Counter(getattr(row, name) for row in members), Counter(getattr(row, name) for row in members if row.pk not in bad)
        return [{"code": key, "people": n, "fit": fit[key], "rate": 100.0 * fit[key] / n} for key, n in people.items()]

    order = list(codes.entries("responder_role"))
    roles = sorted(shares("role"), key=lambda one: order.index(one["code"]) if one["code"] in order else len(order))
    officers = {row.pk for row in members if codes.data("responder_role", row.role).get("trained")}
    since = since or date(day.year // 5 * 5 + 1 if day.year % 5 else day.year - 4, 1, 1)  # the five-year plan's period
    trained = officers & set(Certificate.plain.filter(ended_at=None, course="information", passed_on__gte=since, passed_on__lte=day).values_list("member", flat=True))
    by, soon = {row.pk: row for row in members}, day + timedelta(days=60)
    needed = {role: set(courses_for(role)) for role in order}
    expiring = sorted(
        ({"member": by[key], "course": course, "until": until} for (key, course), until in have.items() if until is not None and until < soon and course in needed.get(by[key].role, ())),
        key=lambda one: (one["until"], one["member"].code),
    )
    return {
        "roles": roles, "units": sorted(shares("unit"), key=lambda one: (one["rate"], one["code"])), "people": len(members),
        "q20": (len(trained), len(officers), 100.0 * len(trained) / len(officers) if officers else None), "since": since, "expiring": expiring,
    }


def use_of_experts(actor: Any, realm: Any, day: date) -> list[dict[str, Any]]:
    """How often each expert was asked this year, and how often he gave an opinion; the most asked first."""
    rows = Opinion.objects.seen_by(actor, realm).filter(expert__isnull=False, opened_at__year=day.year)
    return list(rows.values("expert", "expert__code", "expert__level").annotate(asked=Count("pk"), given=Count("pk", filter=Q(state="given"))).order_by("-asked", "expert__code")[:30])


# --- calls ---------------------------------------------------------------------------------------------------------------


def out(realm: Any) -> QuerySet[CallOut]:
    """Call-outs that run: their teams are not to be had for another."""
    return CallOut.objects.of(realm).filter(closed_at=None).select_related("team")


def codes_in(text: str) -> list[str]:
    """Codes of people as they are written in a form: one a line or with commas."""
    return [one for one in dict.fromkeys(re.split(r"[\s,，、;；]+", text.strip())) if one]


def resting(realm: Any, now: datetime) -> dict[Any, datetime]:
    """Team → until when it rests: it came back from a call-out that lasted so long (from its departure) that rest must follow."""
    least, rest = timedelta(hours=policy("rest_after_h")), timedelta(hours=policy("rest_h"))
    back = CallOut.objects.of(realm).filter(departed_at__isnull=False, closed_at__gt=now - rest).values_list("team_id", "departed_at", "closed_at")
    return {team: end + rest for team, start, end in back if end - start >= least}


def tired(realm: Any, team: Any, now: datetime) -> dict[str, datetime]:
    """Code of a member → until when he rests: after a long call-out he was sent on, or a long shift that has ended."""
    least, rest = timedelta(hours=policy("rest_after_h")), timedelta(hours=policy("rest_h"))
    ended = [*CallOut.objects.of(realm).filter(team=team, departed_at__isnull=False, closed_at__gt=now - rest).values_list("crew", "departed_at", "closed_at")]
    ended += Shift.plain.filter(team=team, ended_at=None, ends_at__gt=now - rest, ends_at__lte=now).values_list("crew", "starts_at", "ends_at")
    found: dict[str, datetime] = {}
    for crew, start, end in ended:
        if end - start >= least:
            found |= {code: max(found.get(code, end), end + rest) for code in codes_in(crew)}
    return found


def on_shift(now: datetime, teams: Any) -> dict[Any, Shift]:
    """Team → its shift that runs now."""
    return {row.team_id: row for row in Shift.plain.filter(ended_at=None, starts_at__lte=now, ends_at__gt=now, team__in=teams).order_by("starts_at")}


def twice(now: datetime, teams: Any) -> list[tuple[str, Shift, Shift]]:
    """(member's code, the shift he is in, the one that begins before it ends), of shifts that are not over; a roster that was imported may ask for somebody twice."""
    last: dict[str, Shift] = {}
    found = []
    for row in Shift.plain.filter(ended_at=None, ends_at__gt=now, team__in=teams).select_related("team").order_by("starts_at", "id"):
        for code in codes_in(row.crew):
            before = last.get(code)
            if before is not None and row.starts_at < before.ends_at:
                found.append((code, before, row))
            if before is None or row.ends_at > before.ends_at:
                last[code] = row
    return found


RINGS = ("landline", "mobile", "satellite")  # channels a telephone can dial by itself
OWN = "app"  # the channel the platform tries by itself: the site's post is called through its inbox


def roll_rates(roll: RollCall) -> dict[str, Any]:
    """Q17–Q19 of a roll call, counted from its tries: connected at all, within the limit, with good quality; and each site's line.

    A site counts as connected by its first connection, and as good by its last judged one. A site that was never tried counts as not connected.
    """
    sites = {row.pk: row for row in Site.plain.filter(pk__in=roll.sites)}
    tries: dict[Any, list[RollCallTry]] = {}
    for one in RollCallTry.plain.filter(roll=roll).order_by("seq"):
        tries.setdefault(one.site_id, []).append(one)
    lines = []
    for key in roll.sites:
        site = next((row for pk, row in sites.items() if str(pk) == str(key)), None)
        if site is None:
            continue
        mine = tries.get(site.pk, [])
        first = next((one for one in mine if one.result == "connected"), None)
        judged = [one.quality for one in mine if one.quality]
        took = (first.at - roll.started_at).total_seconds() / 60 if first else None
        used = [one.channel for one in mine if one.result != "connected"]
        lines.append({
            "site": site, "tries": mine, "first": first, "minutes": took, "in_time": took is not None and took <= roll.limit_min, "quality": judged[-1] if judged else "",
            "next": (turn := site.turn(used) if first is None else None), "number": site.number(turn) if turn else "", "rings": turn in RINGS, "own": turn == OWN,
        })
    total = len(lines)

    def rate(n: int) -> tuple[int, int, float | None]:
        return n, total, 100.0 * n / total if total else None

    return {
        "q17": rate(sum(line["first"] is not None for line in lines)), "q18": rate(sum(line["in_time"] for line in lines)), "q19": rate(sum(line["quality"] == "good" for line in lines)),
        "lines": lines, "total": total,
    }
