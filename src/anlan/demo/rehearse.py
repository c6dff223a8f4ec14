"""A rehearsal: a plan file run over the record of an event, nothing stored, and set beside what was done then.

`anlan replay` runs the whole house; this asks the plan alone: which level, when, by which condition, and what was never touched. Readings, warnings and
reported facts of the record are given to the plan at their times; a term whose value is too old decides nothing.
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from anlan.engines.conditions import Key, PlanFile
from anlan.engines.conditions.lint import COLOURS, Coverage, judge, with_absent

from .records import Record, hours

QUANTITY_TERMS = {"flow": "discharge", "level": "water_level"}


def rehearse(plan: PlanFile, record: Record, places: dict[str, str] | None = None) -> dict[str, Any]:
    """{steps, reached, decisions, coverage, unmapped}. `places`: the plan's name of a place → where the record has it (gauge:CODE, region:CODE, site:NAME)."""
    where = places or (record.about["plan"]["places"] if record.about["plan"]["id"] == plan.key else _guess(plan, record))
    by_place: dict[str, list[str]] = {}
    for alias, target in where.items():
        by_place.setdefault(target, []).append(alias)
    asked = {key for entry in plan.conditions if entry.compiled for key in entry.compiled.keys}
    terms = {key.term: entry.compiled.vocabulary[key.term] for entry in plan.conditions if entry.compiled for key in entry.compiled.keys}
    known: dict[Key, Any] = {}
    since: dict[Key, datetime] = {}
    coverage = Coverage()
    steps: list[dict[str, Any]] = []
    state = ("", [])
    held: set[tuple[str, str, str]] = set()

    def put(key: Key, value: Any, at: datetime) -> None:
        if key in asked:
            known[key], since[key] = value, at

    for at, kind, item in _happenings(record):
        if kind == "reading":
            term = QUANTITY_TERMS.get(item.quantity)
            for alias in by_place.get(f"gauge:{item.station}", ()):
                if term:
                    put(Key(term, alias), item.value, at) if item.value is not None else known.pop(Key(term, alias), None)
        elif kind == "warning":
            held |= {(item["hazard"], item["colour"], area) for area in item["areas"]}
            for key in asked:
                if key.term in ("warned", "warned_counties"):
                    hazard, colour = (*key.qualifier.split("|"), "")[:2]
                    put(key, _counted(record, where.get(key.place, "").partition(":")[2], {(name, area) for name, shade, area in held if COLOURS.index(shade) >= COLOURS.index(colour) and hazard in (name, "any")}, key.term), at)
        else:
            put(Key(item["term"], item["place"]), float(item["value"]) if isinstance(item["value"], (int, float)) and not isinstance(item["value"], bool) else item["value"], at)
        fresh = {key: value for key, value in known.items() if terms[key.term].stale_after is None or at - since[key] <= terms[key.term].stale_after}
        level, measures, verdicts = judge(plan, with_absent(plan, fresh))
        coverage.take(level, measures, verdicts)
        if (level, measures) != state:
            state = (level, measures)
            steps.append({"at": at.isoformat(timespec="minutes"), "level": level, "measures": measures, "by": [key for key, verdict in verdicts.items() if verdict.value == "met"]})
    reached: dict[str, str] = {}
    for step in steps:
        for code in [step["level"], *step["measures"]]:
            if code:
                reached.setdefault(code, step["at"])
    decisions = []
    for row in record.about["decisions"]:
        done = record.row(row["row"]) if row.get("row") else None
        # The second wave is its own decision: counted from its own beginning.
        begins = datetime.fromisoformat(row["from"]) if row.get("from") else record.start
        mine = next((step["at"] for step in steps if row.get("level") in [step["level"], *step["measures"]] and row.get("level") and datetime.fromisoformat(step["at"]) >= begins), None)
        then = done.when if done is not None and isinstance(done.when, datetime) else None
        decisions.append({
            "decision": row["decision"], "level": row.get("level", ""), "plan_says_at": mine, "done_at": then.isoformat(timespec="minutes") if then else None,
            "hours_earlier": hours(datetime.fromisoformat(mine), then) if mine and then else None,
        })
    return {
        "plan": plan.key, "event": record.name, "steps": steps, "reached": reached, "decisions": decisions, "coverage": coverage.as_json(plan),
        "unmapped": [alias for alias in plan.places if alias not in where], "limits": record.about.get("limits", []),
    }


def _counted(record: Record, region: str, held: set[tuple[str, str]], term: str) -> float:
    """As the plans room counts: warnings for the region, for what lies in it or around it; counties that are warned or lie in a warned area."""
    parent = {place["code"]: place.get("parent", "") for place in record.about["places"]}
    kind = {place["code"]: place["kind"] for place in record.about["places"]}

    def chain(code: str) -> list[str]:
        return [code, *chain(parent[code])] if parent.get(code) else [code]

    covered = {area for _, area in held}
    if term == "warned":
        return float(len({(name, area) for name, area in held if region in chain(area) or area in chain(region)}))
    return float(sum(kind[code] == "county" and region in chain(code) and bool(set(chain(code)) & covered) for code in kind))


def _guess(plan: PlanFile, record: Record) -> dict[str, str]:
    """For a plan of elsewhere: its regions are the event's home; gauges and sites have to be named."""
    return {alias: f"region:{record.about['home']}" for alias, place in plan.places.items() if place.kind == "region"}


def _happenings(record: Record) -> list[tuple[datetime, str, Any]]:
    found: list[tuple[datetime, str, Any]] = [(reading.at, "reading", reading) for reading in record.readings if record.start <= reading.at <= record.end]
    for entry in record.about["play"]:
        if entry["as"] in ("warning", "fact"):
            found.append((max(record.at(record.row(entry["row"])), record.start), entry["as"], entry))
    return sorted(found, key=lambda one: one[0])
