"""What the rules would have said in a documented event, scored: hit, miss, false alarm, lead, and the same for other thresholds.

One event is no statistics: the answer names how few impacts and days it rests on, and what the record does not hold.
"""
from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.template.loader import render_to_string
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from anlan.engines.scores import Score, episodes, score, worth
from anlan.kernel import shell
from anlan.sensing import preview, rules
from anlan.sensing.models import Station
from anlan.warning.models import COLOURS, RANK

from . import records
from .errors import BAD_SAID

STEPS = 24  # thresholds tried between the least and the greatest value
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
REST = timedelta(hours=1)


class Stopped(Exception):
    """Whoever asked wants no more of it."""


def backtest(
    event: str, horizon: timedelta = timedelta(hours=6), own: dict[str, float] | None = None, tell: Callable[[], bool] = lambda: True, sets: Sequence[str] = (),
    gauges: Mapping[str, Mapping[str, Any]] | None = None, said: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """{event, source digest, stations: [{rules: [{colour, threshold, score…}], thresholds: [{…}]}], limits}: every station's series of the pack.

    `own`: thresholds by colour in place of those the record's documents set. `sets`: texts of rule sets (sensing.rules), judged by the engine that judges
    readings, in place of thresholds; what a rule leaves to the gauge comes of `gauges` ({code: {quantity: thresholds}}) or of the record.
    `said`: what models handed in then ({model, version, colour, at, valid_to}), scored beside the gauges as a station each.
    `tell` is called for each threshold tried; False from it ends in Stopped. sensing.bad_rules.
    """
    read = [rules.parse(text) for text in sets]
    record = records.load(event)
    named = record.about.get("backtest", {})
    impacts = [row for row in record.rows if row.kind == "incident" and row.has_hour and row.id in named.get("impacts", [row.id])]
    answer: dict[str, Any] = {
        "event": event, "digest": record.digest, "horizon_h": horizon / timedelta(hours=1), "own": bool(own),
        "sets": [{name: head[name] for name in ("name", "label", "title", "title_zh")} for head, _specs in read],
        "impacts": [{"row": row.id, "time": row.time, "text": row.text, "source": row.source} for row in impacts],
        "stations": [_station(record, station, impacts, int(horizon.total_seconds()), own, tell, [spec for _head, specs in read for spec in specs], gauges or {}) for station in record.about.get("stations", [])],
    }
    answer["stations"] += _models(said, record, impacts, int(horizon.total_seconds()))
    return worded(answer)


def worded(answer: dict[str, Any]) -> dict[str, Any]:
    """The names and limits in the language of whoever reads: a kept answer is read by others than asked for it."""
    record, language = records.load(answer["event"]), "zh" if (get_language() or "zh").startswith("zh") else "en"
    named, stations = record.about.get("backtest", {}), {station["code"]: station for station in record.about.get("stations", [])}
    answer |= {"name": record.about["name"][language], "limits": [limit[language] for limit in named.get("limits", [])]}
    if not answer["stations"]:
        answer["limits"].append(_("The record holds no series a rule could be tried on."))
    if not answer["impacts"]:
        answer["limits"].append(_("The record holds no incident with its hour: nothing to be early for."))
    for impact in answer["impacts"]:
        row = next((one for one in record.rows if one.id == impact["row"]), None)
        impact["text"] = (row.text_zh if language == "zh" else row.text) if row else impact["text"]
    sets = answer.setdefault("sets", [])
    for one in sets:
        one["words"] = f"{one['title_zh' if language == 'zh' else 'title']} ({one['name']}@{one['label']})"
    for station in answer["stations"]:
        if sets and station["quantity"] and not station["rules"]:
            answer["limits"].append(_("No rule of the chosen sets judges {quantity}; rules of silence and rules for single regions are not tried.").format(quantity=shell.VALUE_WORDS["quantity"](station["quantity"])))
        station["name"] = stations.get(station["station"], {}).get("name" if language == "zh" else "name_en", station["station"])
        for rule in station["rules"]:
            rule["label"] = str(dict(COLOURS)[rule["colour"]])
    return answer


def gauges_here(event: str) -> dict[str, dict[str, Any]]:
    """The thresholds of the record's gauges as they stand in this installation's register, where they were entered."""
    codes = [station["code"] for station in records.load(event).about.get("stations", [])]
    return dict(Station.plain.filter(code__in=codes, ended_at=None).values_list("code", "thresholds"))


def tries(event: str, own: dict[str, float] | None = None, sets: bool = False) -> int:
    """How many thresholds will be tried."""
    return sum(STEPS + (0 if sets else len(own or station["thresholds"])) for station in records.load(event).about.get("stations", []))


def _whole(folder: Path, station: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, values) of the whole published series, not only of the hours that are replayed."""
    at, values = [], []
    with (folder / station["series"]).open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            text = line["discharge_m3s"]
            at.append(int(datetime.fromisoformat(line["time"]).timestamp()))
            values.append(float(text) if text and not line["status"] else np.nan)
    return np.array(at, np.int64), np.array(values, np.float64)


def _station(record: records.Record, station: dict[str, Any], impacts: list[records.Row], horizon: int, own: dict[str, float] | None, tell: Callable[[], bool],
             specs: list[rules.RuleSpec], gauges: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    at, values = _whole(record.folder, station)
    moments = [int(row.when.timestamp()) for row in impacts if isinstance(row.when, datetime)]
    begin, end, rest = int(at[0]), int(at[-1]), int(REST.total_seconds())

    def tried(threshold: float, starts: list[int] | None = None) -> dict[str, Any]:
        if starts is None:
            if not tell():
                raise Stopped
            starts = episodes(at, values, threshold, rest)
        return {"threshold": threshold, "alarms": [datetime.fromtimestamp(start, UTC).isoformat() for start in starts]} | _told(score(starts, moments, horizon, begin, end))

    least, most = float(np.nanmin(values[values > 0])), float(np.nanmax(values))
    thresholds = own or station["thresholds"]
    here = gauges.get(station["code"], {}).get(station["quantity"]) or {**station["thresholds"], "source": station["source"]}

    def judged() -> list[dict[str, Any]]:
        found = []
        for spec, colour, stretches in preview.spans(specs, station["quantity"], at, values, here):
            place = rules.COLOUR_NAMES.index(colour)
            limit, hours = (spec.thresholds[place] if spec.thresholds else here[colour]), spec.windows_s[place] / 3600
            starts = [begin for number, (begin, _end) in enumerate(stretches) if not number or begin - stretches[number - 1][1] > rest]
            found.append({"colour": colour, "rule": spec.code, "kind": spec.kind, "window_h": hours} | tried(float(limit or 0), starts))
        return sorted(found, key=lambda one: (-rules.COLOUR_NAMES.index(one["colour"]), one["rule"]))

    return {
        "station": station["code"], "quantity": station["quantity"], "unit": station["unit"], "source": "" if own else here.get("source", "") if specs else station["source"],
        "from": datetime.fromtimestamp(begin, UTC).isoformat(), "until": datetime.fromtimestamp(end, UTC).isoformat(), "values": int((~np.isnan(values)).sum()),
        "rules": judged() if specs else [{"colour": colour} | tried(float(thresholds[colour])) for colour, _label in COLOURS if colour in thresholds],
        "thresholds": [tried(round(float(step), 2)) for step in np.geomspace(max(least, most / 1000), most, STEPS)],
    }


def read_said(path: Path) -> list[dict[str, Any]]:
    """A file of what models handed in, a JSON object a line, as `POST /api/v1/warning/proposals` takes them with the time `at` (ISO 8601 with its offset). demo.bad_said names the line."""
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
            at, until = (datetime.fromisoformat(one[name]) if one.get(name) else None for name in ("at", "valid_to"))
            if at is None or at.tzinfo is None or (until is not None and (until.tzinfo is None or until <= at)):
                raise ValueError("at and valid_to are times with their offset, valid_to after at")
            if one.get("colour", "") not in RANK or not one.get("model") or not one.get("version"):
                raise ValueError("model, version and a colour (or none) are needed")
        except (ValueError, TypeError, AttributeError) as error:
            raise BAD_SAID(line=number, file=path.name, why=str(error)) from None
        found.append({"model": str(one["model"]), "version": str(one["version"]), "colour": one.get("colour", ""), "at": at, "valid_to": until})
    return sorted(found, key=lambda one: one["at"])


def _models(said: Sequence[dict[str, Any]], record: records.Record, impacts: list[records.Row], horizon: int) -> list[dict[str, Any]]:
    """Each version of a model as a station: an alarm of a colour begins when what it says rises to that colour."""
    moments = [int(row.when.timestamp()) for row in impacts if isinstance(row.when, datetime)]
    whole = [int(row.when.timestamp()) for row in record.rows if isinstance(row.when, datetime)] + [int(one["at"].timestamp()) for one in said]
    found = []
    for model, version in sorted({(one["model"], one["version"]) for one in said}):
        mine = [one for one in said if (one["model"], one["version"]) == (model, version)]
        rules_ = []
        for colour in sorted({one["colour"] for one in mine if one["colour"]}, key=lambda one: -RANK[one]):
            starts, until = [], None
            for one in mine:
                at = int(one["at"].timestamp())
                if RANK[one["colour"]] < RANK[colour]:
                    until = None
                    continue
                if until is None or at > until:
                    starts.append(at)
                until = int(one["valid_to"].timestamp()) if one["valid_to"] else max(whole)
            alarms = [datetime.fromtimestamp(start, UTC).isoformat() for start in starts]
            rules_.append({"colour": colour, "rule": version, "threshold": RANK[colour], "alarms": alarms} | _told(score(starts, moments, horizon, min(whole), max(whole))))
        found.append({
            "station": model, "quantity": "", "unit": "", "source": _("what the model handed in"), "from": datetime.fromtimestamp(min(whole), UTC).isoformat(),
            "until": datetime.fromtimestamp(max(whole), UTC).isoformat(), "values": len(mine), "rules": rules_, "thresholds": [],
        })
    return found


def _told(found: Score) -> dict[str, Any]:
    return {
        "hits": found.hits, "misses": found.misses, "false_alarms": found.false_alarms, "quiet": found.quiet, "detected": found.detected,
        "false_share": found.false_share, "success": found.success, "leads_min": [round(lead / 60) for lead in found.leads],
        "worth": [[ratio, None if (value := worth(found, ratio)) is None else round(value, 3)] for ratio in RATIOS],
    }


def page(answers: list[dict[str, Any]]) -> str:
    """The same as one page that needs nothing else: tables, and the cost-loss curve of each rule drawn in."""
    return render_to_string("demo/backtest.html", {"answers": drawn(answers), "ratios": RATIOS, "language": (get_language() or "zh")[:2]})


AXIS_X = [(40 + 30 * tenth, f"{tenth / 10:g}") for tenth in range(0, 11, 2)]
AXIS_Y = [(220 - 20 * tenth, f"{tenth / 10:g}") for tenth in range(0, 11, 2)]


def drawn(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each rule with the points of its curve and its shares in words: relative worth over the cost/loss ratio, 0 to 1 on both axes; what is worth less than nothing lies on the floor."""
    for answer in answers:
        for impact in answer["impacts"]:
            impact["moment"] = f"{impact['time'][:16].replace('T', ' ')} (UTC{impact['time'][19:]})"
        for station in answer["stations"]:
            station["span"] = " – ".join(f"{datetime.fromisoformat(station[end]):%Y-%m-%d %H:%M}" for end in ("from", "until")) + " UTC"
            station["quantity_name"] = shell.VALUE_WORDS["quantity"](station["quantity"]) if station["quantity"] else _("model")
            station["unit_name"] = station["unit"].replace("m3", "m³")
            taken: list[float] = []
            for rule in station["rules"]:
                rule["limit"] = f"{rule['threshold']:g}" + (f" / {rule['window_h']:g} h" if rule.get("window_h") else "")
                points = [(40 + 300 * ratio, 220 - 200 * max(0.0, value)) for ratio, value in rule["worth"] if value is not None]
                rule["curve"] = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
                for name in ("detected", "false_share"):
                    rule[f"{name}_words"] = "—" if rule[name] is None else f"{100 * rule[name]:.0f} %"
                if points:  # its word beside its end, below one that stands there already
                    y = points[-1][1] - 6
                    while any(abs(y - other) < 15 for other in taken):
                        y += 15 if y < 190 else -15
                    taken.append(y)
                    rule["word"] = (round(points[-1][0]) + 8, round(y))
    return answers


def rows(answers: list[dict[str, Any]]) -> list[list[Any]]:
    """The same as a sheet: a line for each rule and each threshold tried."""
    found: list[list[Any]] = [["event", "station", "quantity", "unit", "rule", "window_h", "colour", "threshold", "hits", "misses", "false_alarms", "quiet", "detected", "false_share", "success", "leads_min", *(f"worth_{ratio}" for ratio in RATIOS)]]
    for answer in answers:
        for station in answer["stations"]:
            for one in [*station["rules"], *station["thresholds"]]:
                found.append([
                    answer["event"], station["station"], station["quantity"], station["unit"], one.get("rule", ""), one.get("window_h", ""), one.get("colour", ""), one["threshold"], one["hits"], one["misses"], one["false_alarms"], one["quiet"],
                    one["detected"], one["false_share"], one["success"], " ".join(map(str, one["leads_min"])), *(value for _ratio, value in one["worth"]),
                ])
    return found
