"""The nouns of CAP 1.2 as frozen values; field order is the schema's, because the schema is a sequence."""
from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

NS12 = "urn:oasis:names:tc:emergency:cap:1.2"
NS11 = "urn:oasis:names:tc:emergency:cap:1.1"
NS10 = "http://www.incident.com/cap/1.0"
VERSIONS = {NS12: "1.2", NS11: "1.1", NS10: "1.0"}
DSIG = "http://www.w3.org/2000/09/xmldsig#"

STATUS = ("Actual", "Exercise", "System", "Test", "Draft")
MSG_TYPE = ("Alert", "Update", "Cancel", "Ack", "Error")
SCOPE = ("Public", "Restricted", "Private")
CATEGORY = ("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other")
RESPONSE_TYPE = ("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None")
URGENCY = ("Immediate", "Expected", "Future", "Past", "Unknown")
SEVERITY = ("Extreme", "Severe", "Moderate", "Minor", "Unknown")
CERTAINTY = ("Observed", "Likely", "Possible", "Unlikely", "Unknown")

Pair = tuple[str, str]  # valueName, value
Point = tuple[float, float]  # latitude, longitude: CAP's order


class CapError(ValueError):
    """A document that cannot be used at all. `code` is one word for machines, the text says what and where."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Reference:
    sender: str
    identifier: str
    sent: datetime


@dataclass(frozen=True, kw_only=True)
class Resource:
    description: str
    mime_type: str
    size: int | None = None  # bytes
    uri: str = ""
    deref_uri: str = ""  # base64 of the content itself
    digest: str = ""  # SHA-1 hex, by the standard


@dataclass(frozen=True, kw_only=True)
class Area:
    """Several polygons, circles and geocodes in one area are a union."""

    description: str
    polygons: tuple[tuple[Point, ...], ...] = ()  # closed: first = last, at least 4 pairs
    circles: tuple[tuple[float, float, float], ...] = ()  # latitude, longitude, radius in kilometres
    geocodes: tuple[Pair, ...] = ()
    altitude: float | None = None  # feet above mean sea level
    ceiling: float | None = None  # feet above mean sea level


@dataclass(frozen=True, kw_only=True)
class Info:
    event: str
    categories: tuple[str, ...]
    urgency: str
    severity: str
    certainty: str
    language: str = ""  # empty means the schema's default, en-US
    response_types: tuple[str, ...] = ()
    audience: str = ""
    event_codes: tuple[Pair, ...] = ()
    effective: datetime | None = None  # absent means the alert's `sent`
    onset: datetime | None = None
    expires: datetime | None = None
    sender_name: str = ""
    headline: str = ""
    description: str = ""
    instruction: str = ""
    web: str = ""
    contact: str = ""
    parameters: tuple[Pair, ...] = ()
    resources: tuple[Resource, ...] = ()
    areas: tuple[Area, ...] = ()

    def parameter(self, name: str) -> str:
        """The first value of that parameter, or ''."""
        return next((value for key, value in self.parameters if key.casefold() == name.casefold()), "")


@dataclass(frozen=True, kw_only=True)
class Alert:
    identifier: str
    sender: str
    sent: datetime
    status: str
    msg_type: str
    scope: str
    source: str = ""
    restriction: str = ""
    addresses: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    note: str = ""
    references: tuple[Reference, ...] = ()
    incidents: tuple[str, ...] = ()
    infos: tuple[Info, ...] = ()

    @property
    def identity(self) -> tuple[str, str, datetime]:
        """What makes two messages the same message: a later `sent` is another one."""
        return self.sender, self.identifier, self.sent.astimezone(UTC)

    @property
    def as_reference(self) -> Reference:
        return Reference(sender=self.sender, identifier=self.identifier, sent=self.sent)

    @property
    def expires(self) -> datetime | None:
        """When the last info ends; None when any info gives no end."""
        ends = [info.expires for info in self.infos]
        return max(ends) if ends and all(ends) else None  # type: ignore[type-var]


DATE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)([-+])(\d\d):(\d\d)\Z")
LOOSE_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ]+(\d\d:\d\d)(:\d\d)?([.,]\d+)?\s*(Z|z|UTC|GMT|[-+,]\d\d:?\d\d|)\Z"
)


def parse_date(text: str) -> datetime:
    """A date in CAP's form, `2021-07-20T06:00:00+08:00`, offset kept; ValueError for anything else."""
    match = DATE.match(text)
    if not match:
        raise ValueError(f"date not of the form YYYY-MM-DDThh:mm:ss±hh:mm: {text[:60]!r}")
    base, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    if int(minutes) > 59 or abs(offset) > timedelta(hours=14):
        raise ValueError(f"no such UTC offset: {text[-6:]}")
    return datetime.fromisoformat(base).replace(tzinfo=timezone(offset) if offset else UTC)


def parse_date_leniently(text: str) -> tuple[datetime, str]:
    """(date, what was repaired): fractions, a space for the T (GB/T 35965), Z, a missing offset (read as UTC)."""
    try:
        return parse_date(text), ""
    except ValueError:
        match = LOOSE_DATE.match(text)
        if not match:
            raise
    day, minute, second, fraction, zone = match.groups()
    faults = []
    if "T" not in text:
        faults.append("a space for the T")
    if not second:
        faults.append("no seconds")
    if fraction:
        faults.append("fractional seconds")
    if not zone:
        faults.append("no UTC offset, read as UTC")
    elif zone[0] not in "+-":
        faults.append(f"zone written {zone!r}, read as UTC" if zone[0] != "," else "a comma in the offset")
    elif ":" not in zone:
        faults.append("no colon in the offset")
    if zone and zone[0] in "+-,":
        zone = zone.replace(",", "+").replace(":", "")
        zone = f"{zone[:3]}:{zone[3:]}"
    else:
        zone = "-00:00"
    return parse_date(f"{day}T{minute}{second or ':00'}{zone}"), "; ".join(faults)


def format_date(value: datetime) -> str:
    """CAP's form, whole seconds, UTC written -00:00 as CAP 1.2 demands."""
    if value.tzinfo is None:
        raise ValueError("a CAP date needs a UTC offset")
    offset = value.utcoffset() or timedelta()
    if offset.total_seconds() % 60:
        raise ValueError("a CAP offset has whole minutes")
    base = value.replace(tzinfo=None, microsecond=0).isoformat()
    if not offset:
        return base + "-00:00"
    minutes = int(abs(offset).total_seconds() // 60)
    return f"{base}{'-' if offset < timedelta() else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
