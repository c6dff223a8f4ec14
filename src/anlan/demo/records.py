"""Event packs: the record of a documented event as data, and what of it is played into Anlan.

Read from `data/events/<event>/`. Nothing here touches the database.
"""
from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from .errors import BAD_PACK, NO_EVENT

FOLDER = Path(__file__).parent / "data" / "events"


@dataclass(frozen=True)
class Row:
    """One line of the record. `when` is an aware instant, or a date when the hour is not known."""

    id: str
    when: datetime | date
    kind: str
    level: str
    issuer: str
    place: str
    text: str
    text_zh: str
    source: str
    note: str

    @property
    def has_hour(self) -> bool:
        return isinstance(self.when, datetime)

    @property
    def time(self) -> str:
        """As the record has it: an instant with its offset, or a date."""
        return self.when.isoformat(timespec="seconds") if isinstance(self.when, datetime) else self.when.isoformat()


@dataclass(frozen=True)
class Reading:
    """One published value of a series; `value` is None where the source says the gauge was lost or gives nothing."""

    station: str
    quantity: str
    unit: str
    at: datetime
    value: float | None


@dataclass
class Record:
    name: str
    folder: Path
    about: dict[str, Any]
    rows: list[Row]
    sources: dict[str, str] = field(default_factory=dict)

    def row(self, key: str) -> Row:
        return next(row for row in self.rows if row.id == key)

    def at(self, row: Row) -> datetime:
        """When the row enters the replay: its instant; for a date alone the start of that day, where its offset puts it."""
        if isinstance(row.when, datetime):
            return row.when
        return datetime.combine(row.when, time(0), tzinfo=self.start.tzinfo)

    @property
    def start(self) -> datetime:
        return datetime.fromisoformat(self.about["start"])

    @property
    def end(self) -> datetime:
        return datetime.fromisoformat(self.about["end"])

    @cached_property
    def readings(self) -> list[Reading]:
        """The series of all stations, by time. What is empty in the file is None here, and is never filled in."""
        found: list[Reading] = []
        for station in self.about.get("stations", []):
            with (self.folder / station["series"]).open(newline="", encoding="utf-8") as file:
                for line in csv.DictReader(file):
                    text = line["discharge_m3s"]
                    value = float(text) if text and not line["status"] else None
                    found.append(Reading(station["code"], station["quantity"], station["unit"], datetime.fromisoformat(line["time"]), value))
        return sorted(found, key=lambda reading: reading.at)

    @property
    def digest(self) -> str:
        """sha256 over the files of the pack."""
        hasher = hashlib.sha256()
        for path in sorted(self.folder.iterdir()):
            hasher.update(path.name.encode() + path.read_bytes())
        return f"sha256:{hasher.hexdigest()}"


def known() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/event.yaml"))


def load(event: str) -> Record:
    """Read a pack and check that what it plays is in its record. demo.no_event, demo.bad_pack."""
    if event not in known():
        raise NO_EVENT(event=event, known=", ".join(known()))
    folder = FOLDER / event
    about = yaml.safe_load((folder / "event.yaml").read_text(encoding="utf-8"))
    with (folder / "sources.csv").open(newline="", encoding="utf-8") as file:
        sources = {line["id"]: f"{line['title']} {line['address']}".strip() for line in csv.DictReader(file)}
    rows = []
    with (folder / "timeline.csv").open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            when = datetime.fromisoformat(line["time"]) if "T" in line["time"] else date.fromisoformat(line["time"])
            rows.append(Row(
                line["id"], when, line["kind"], line["level"], line["issuing_body"], line["place"], line["what"], line["what_zh"],
                line["source"], line["note"],
            ))
            for source in line["source"].split(";"):
                if source.strip() not in sources:
                    raise BAD_PACK(event=event, why=f"{line['id']}: source {source.strip()} is not in sources.csv")
    record = Record(event, folder, about, rows, sources)
    ids = {row.id for row in rows}
    posts = {post["key"] for post in about["posts"]}
    for step in about["play"]:
        if step["row"] not in ids:
            raise BAD_PACK(event=event, why=f"play names row {step['row']}, which is not in timeline.csv")
        if not record.row(step["row"]).has_hour:
            raise BAD_PACK(event=event, why=f"row {step['row']} has no hour and cannot be played")
        if step.get("by") and step["by"] not in posts:
            raise BAD_PACK(event=event, why=f"row {step['row']}: no post {step['by']}")
    for decision in about["decisions"]:
        if decision["row"] and decision["row"] not in ids:
            raise BAD_PACK(event=event, why=f"decisions names row {decision['row']}, which is not in timeline.csv")
    return record


def hours(since: datetime, until: datetime) -> float:
    """Hours from one instant to another, to a hundredth; negative when `until` is earlier."""
    return round((until - since) / timedelta(hours=1), 2)
