"""Gauges of the made-up city and of documented events, as entries of the sensing register; and the plan of the city."""
from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

from anlan.engines.geo import City, Gauge
from anlan.engines.text import pinyin
from anlan.kernel.actions import Act
from anlan.kernel.ids import derived_id
from anlan.kernel.registers import actions as registers
from anlan.sensing.actions import import_stations

from .records import Record

MADE_UP = "虚构，由种子 {seed} 生成"

QUANTITY = {"rain": "rain", "level": "level", "flow": "flow", "soil": "soil", "wind": "wind", "gas": "gas"}
UNIT = {"rain": "mm", "level": "m", "flow": "m3/s", "soil": "%", "wind": "m/s", "gas": "%LEL"}
INTERVAL_S = 600
PLAN_FILE = Path(__file__).parent / "data" / "plans" / "lanzhou-flood-demo.yaml"


GAUGES_EN = {"雨量站": "rain gauge", "水位站": "level gauge", "流量站": "flow gauge", "墒情站": "soil gauge", "测风站": "wind gauge", "气体探头": "gas probe"}


def _english(name: str) -> str:
    """松潭街道326水位站 → Songtan 326 level gauge."""
    found = re.fullmatch(r"(.+?)(?:街道|镇|乡)?(\d*)(\D+?[站头])", name)
    if not found:
        return ""
    return " ".join(filter(None, [pinyin(found[1]).capitalize(), found[2], GAUGES_EN.get(found[3], "gauge")]))


def entry(city: City, gauge: Gauge, regions: dict[str, UUID]) -> dict[str, Any]:
    """The register entry of a gauge."""
    thresholds: dict[str, Any] = {}
    if gauge.thresholds:
        thresholds = {QUANTITY[gauge.kind]: {**gauge.thresholds, "source": MADE_UP.format(seed=city.seed)}}
    return {
        "code": gauge.code, "name": gauge.name, "name_en": _english(gauge.name), "kind": gauge.kind, "quantities": [QUANTITY[gauge.kind]], "region": regions[gauge.town],
        "river": city.rivers[int(gauge.river)].name if gauge.river else "", "lon": gauge.lon, "lat": gauge.lat, "source_crs": "WGS84", "elevation_m": gauge.elevation_m,
        "datum": "虚构" if gauge.kind == "level" else "", "interval_s": INTERVAL_S, "silent_after_s": 3 * INTERVAL_S, "thresholds": thresholds,
        "owner": f"{city.city.name}（虚构）", "origin": MADE_UP.format(seed=city.seed),
    }


MOST_UPSTREAM = 30  # rain gauges named for one river gauge: with more, rain far off explains any rise, and nobody is asked


def upstream(city: City) -> dict[str, list[str]]:
    """Code of each level and flow gauge → the rain gauges whose water passes it, where these are few enough to say something."""
    at: dict[int, list[str]] = {}
    for gauge in city.gauges:
        if gauge.kind in ("level", "flow"):
            at.setdefault(gauge.node, []).append(gauge.code)
    found: dict[str, list[str]] = {}
    for gauge in city.gauges:
        node = gauge.node if gauge.kind == "rain" else -1
        while node >= 0:
            for code in at.get(node, ()):
                found.setdefault(code, []).append(gauge.code)
            node = int(city.water.down[node])
    return {code: sorted(rain) for code, rain in found.items() if len(rain) <= MOST_UPSTREAM}


def enter_gauges(act: Act, city: City, regions: dict[str, UUID]) -> int:
    """Enter the city's gauges in the register, and what the gas probes watch; returns how many gauges."""
    origin, above = MADE_UP.format(seed=city.seed), upstream(city)
    rows = {gauge.code: entry(city, gauge, regions) for gauge in city.gauges}
    for code, rain in above.items():
        rows[code]["upstream"] = {"rain": rain, "hours": 24, "mm": 5, "source": origin}
    for row, gauge in zip(rows.values(), city.gauges, strict=True):
        if gauge.kind == "gas":
            row["serves_id"] = derived_id("demo", "object", gauge.town)
    enter_objects(act.child(step="objects"), city, regions)
    # The rain gauges first: a river gauge names those above it.
    dry = [row for code, row in rows.items() if code not in above]
    import_stations(act.child(step="stations"), rows=dry, origin=origin)
    return len(dry) + import_stations(act.child(step="river gauges"), rows=[rows[code] for code in above], origin=origin)


def enter_objects(act: Act, city: City, regions: dict[str, UUID]) -> int:
    """High-risk objects: the parks the gas probes stand in, and in every sixth town one that nothing watches yet."""
    parks = {gauge.town for gauge in city.gauges if gauge.kind == "gas"}
    towns = [town for number, town in enumerate(city.towns) if town.code in parks or number % 6 == 0]
    for number, town in enumerate(towns):
        industry, word = ("chemical", "化工园区") if town.code in parks else UNWATCHED[number % len(UNWATCHED)]
        registers.create(
            act.child(step=town.code), register="sensing.object", id=derived_id("demo", "object", town.code),
            values={"code": f"DX{town.code}", "name": f"{town.name}{word}（虚构）", "industry": industry, "region": str(regions[town.code]), "point": [town.lon, town.lat], "note": MADE_UP.format(seed=city.seed)},
        )
    return len(towns)


UNWATCHED = [("mine", "尾矿库"), ("smelting", "铜冶炼厂"), ("chemical", "油库"), ("transport", "客运站"), ("gas", "燃气门站")]


def enter_event_gauges(act: Act, record: Record, regions: dict[str, UUID]) -> int:
    """Enter the gauges of a documented event, under the codes of its pack; returns how many."""
    rows = [
        {
            "code": station["code"], "name": station["name"], "name_en": station["name_en"], "kind": station["quantity"],
            "quantities": [station["quantity"]], "region": regions[station["region"]], "lon": station["lon"], "lat": station["lat"], "source_crs": "WGS84",
            "interval_s": station["interval_min"] * 60, "silent_after_s": 3 * station["interval_min"] * 60,
            "thresholds": {station["quantity"]: {**station["thresholds"], "source": station["source"]}},
            "origin": f"event {record.name}; coordinates {station['coordinates']}, for the map only",
        }
        for station in record.about.get("stations", [])
    ]
    return import_stations(act.child(step="stations"), rows=rows, origin=f"event {record.name}") if rows else 0


def control_gauges(city: City) -> dict[str, Gauge]:
    """The gauges the city's plan speaks of: `main` on the main river in the central district, `t1` … `t4` low on the largest tributaries."""
    central = {town.code for town in city.towns if town.parent == city.counties[0].code}
    levels = [gauge for gauge in city.gauges if gauge.kind == "level" and gauge.river]
    found = {"main": max((g for g in levels if g.river == "0" and g.town in central), key=lambda g: (g.catchment_km2, g.code))}
    number = 1
    for index in range(1, len(city.rivers)):
        own = [g for g in levels if g.river == str(index)]
        if own and number <= 4:
            found[f"t{number}"] = max(own, key=lambda g: (g.catchment_km2, g.code))
            number += 1
    return found


def plan_text(city: City) -> str:
    """The plan file of the city, with the marks of its control gauges filled in."""
    text = PLAN_FILE.read_text(encoding="utf-8")
    for alias, gauge in control_gauges(city).items():
        marks = f"{{warning: {gauge.thresholds['yellow']}, guarantee: {gauge.thresholds['orange']}, record: {gauge.thresholds['red']}}}"
        text = text.replace(f"@{alias},", f"{marks},")
    return text
