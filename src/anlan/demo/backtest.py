"""What the rules would have said in a documented event, scored: hit, miss, false alarm, lead, and the same for other thresholds.

One event is no statistics: the answer names how few impacts and days it rests on, and what the record does not hold.
"""
from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from django.template.loader import render_to_string
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from anlan.engines.scores import Score, episodes, score, worth
from anlan.warning.models import COLOURS

from . import records

STEPS = 24  # thresholds tried between the least and the greatest value
RATIOS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
REST = timedelta(hours=1)


def backtest(event: str, horizon: timedelta = timedelta(hours=6)) -> dict[str, Any]:
    """{event, source digest, rules: [{station, colour, threshold, score…}], thresholds: [{…}], limits}: every station's series of the pack."""
    record = records.load(event)
    named = record.about.get("backtest", {})
    impacts = [row for row in record.rows if row.kind == "incident" and row.has_hour and row.id in named.get("impacts", [row.id])]
    language = "zh" if (get_language() or "zh").startswith("zh") else "en"
    answer: dict[str, Any] = {
        "event": event, "name": record.about["name"][language], "digest": record.digest, "horizon_h": horizon / timedelta(hours=1),
        "impacts": [{"row": row.id, "time": row.time, "text": row.text, "source": row.source} for row in impacts], "stations": [], "limits": [limit[language] for limit in named.get("limits", [])],
    }
    if not record.about.get("stations"):
        answer["limits"].append(_("The record holds no series a rule could be tried on."))
    if not impacts:
        answer["limits"].append(_("The record holds no incident with its hour: nothing to be early for."))
    for station in record.about.get("stations", []):
        answer["stations"].append(_station(record, station, impacts, int(horizon.total_seconds())))
    return answer


def _whole(folder: Path, station: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, values) of the whole published series, not only of the hours that are replayed."""
    at, values = [], []
    with (folder / station["series"]).open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            text = line["discharge_m3s"]
            at.append(int(datetime.fromisoformat(line["time"]).timestamp()))
            values.append(float(text) if text and not line["status"] else np.nan)
    return np.array(at, np.int64), np.array(values, np.float64)


def _station(record: records.Record, station: dict[str, Any], impacts: list[records.Row], horizon: int) -> dict[str, Any]:
    at, values = _whole(record.folder, station)
    moments = [int(row.when.timestamp()) for row in impacts if isinstance(row.when, datetime)]
    begin, end, rest = int(at[0]), int(at[-1]), int(REST.total_seconds())

    def tried(threshold: float) -> dict[str, Any]:
        starts = episodes(at, values, threshold, rest)
        return {"threshold": threshold, "alarms": [datetime.fromtimestamp(start, UTC).isoformat() for start in starts]} | _told(score(starts, moments, horizon, begin, end))

    least, most = float(np.nanmin(values[values > 0])), float(np.nanmax(values))
    return {
        "station": station["code"], "name": station["name" if (get_language() or "zh").startswith("zh") else "name_en"], "quantity": station["quantity"], "unit": station["unit"], "source": station["source"],
        "from": datetime.fromtimestamp(begin, UTC).isoformat(), "until": datetime.fromtimestamp(end, UTC).isoformat(), "values": int((~np.isnan(values)).sum()),
        "rules": [{"colour": colour, "label": str(label)} | tried(float(station["thresholds"][colour])) for colour, label in COLOURS if colour in station["thresholds"]],
        "thresholds": [tried(round(float(step), 2)) for step in np.geomspace(max(least, most / 1000), most, STEPS)],
    }


def _told(found: Score) -> dict[str, Any]:
    return {
        "hits": found.hits, "misses": found.misses, "false_alarms": found.false_alarms, "quiet": found.quiet, "detected": found.detected,
        "false_share": found.false_share, "success": found.success, "leads_min": [round(lead / 60) for lead in found.leads],
        "worth": [[ratio, None if (value := worth(found, ratio)) is None else round(value, 3)] for ratio in RATIOS],
    }


def page(answers: list[dict[str, Any]]) -> str:
    """The same as one page that needs nothing else: tables, and the cost-loss curve of each rule drawn in."""
    for answer in answers:
        for station in answer["stations"]:
            for rule in station["rules"]:
                rule["curve"] = _curve(rule["worth"])
    return render_to_string("demo/backtest.html", {"answers": answers, "ratios": RATIOS, "language": (get_language() or "zh")[:2]})


def _curve(points: list[list[float | None]]) -> str:
    """Relative worth over the cost/loss ratio, 0 to 1 on both axes; what is worth less than nothing lies on the floor."""
    drawn = [(20 + 260 * ratio, 110 - 100 * max(0.0, value)) for ratio, value in points if ratio is not None and value is not None]
    return " ".join(f"{x:.0f},{y:.0f}" for x, y in drawn)
