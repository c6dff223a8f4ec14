"""Files of readings in other people's forms: CSV, coded text reports, frames of telemetry stations. What stands where is a mapping.

A mapping is a YAML file with a version and its source: those of the release in `data/mappings`, the installation's own in
ANLAN_HOME/mappings, which win by name. Parsing gives readings with line numbers, and for each thing that cannot be read its line and why.
"""
from __future__ import annotations

import binascii
import codecs
import csv
import hashlib
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from django.conf import settings

from .errors import BAD_MAPPING
from .quantities import PROBE, QUANTITIES

SHIPPED = Path(__file__).parent / "data" / "mappings"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
BYTES = 256 * 1024 * 1024
FORMATS = ("csv", "codes", "sl651")
_PAIR = re.compile(r"([A-Z][A-Z0-9]*)(?:\s+(-?\d+(?:\.\d+)?)(?![\w.]))?")


@dataclass(frozen=True)
class Mapping:
    name: str
    label: str
    mark: str
    digest: str
    own: bool
    body: dict[str, Any]
    zone: ZoneInfo

    def title(self, chinese: bool) -> str:
        return str(self.body.get("title_zh" if chinese else "title") or self.name)

    def source(self, chinese: bool) -> str:
        return str(self.body.get("source_zh" if chinese else "source") or "")


@dataclass(frozen=True)
class Read:
    """One reading of a file, or why there is none: `why` is a reason of ingest.REASONS."""

    line: int
    station: str = ""
    quantity: str = ""
    time: datetime | None = None
    value: float = math.nan
    unit: str = ""
    why: str = ""
    detail: str = ""


@dataclass
class Told:
    """What became of a file."""

    readings: int = 0
    history: int = 0
    faults: list[Read] = field(default_factory=list)


def names() -> list[str]:
    own = settings.HOME / "mappings"
    return sorted({path.stem for folder in (SHIPPED, own) if folder.is_dir() for path in folder.glob("*.yaml") if NAME.fullmatch(path.stem)})


def mapping(name: str) -> Mapping:
    """The mapping of that name, the installation's own before the release's. sensing.bad_mapping."""
    if not NAME.fullmatch(name):
        raise BAD_MAPPING(name=name[:40], why="name")
    own = settings.HOME / "mappings" / f"{name}.yaml"
    path = own if own.is_file() else SHIPPED / f"{name}.yaml"
    try:
        data = path.read_bytes()
        body = yaml.safe_load(data)
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise BAD_MAPPING(name=name, why=str(error)[:200])
    try:
        return Mapping(name, str(body["label"]), str(body.get("mark", "own")), f"sha256:{hashlib.sha256(data).hexdigest()}", path == own, body, _checked(body))
    except (KeyError, TypeError, ValueError, AttributeError, re.error, ZoneInfoNotFoundError) as error:
        raise BAD_MAPPING(name=name, why=f"{type(error).__name__}: {error}"[:200])


def _checked(body: dict[str, Any]) -> ZoneInfo:
    """The zone of a mapping's times, once all of it makes sense; any error says it does not."""
    if body["format"] not in FORMATS:
        raise ValueError(f"format: {', '.join(FORMATS)}")
    tables = {"csv": ("columns",), "codes": ("codes",), "sl651": ("elements", "groups")}[body["format"]]
    for table in tables:
        for code, what in (body.get(table) or {}).items():
            if what["quantity"] not in QUANTITIES or what["quantity"] == PROBE or what["unit"] not in QUANTITIES[what["quantity"]].units:
                raise ValueError(f"{table}.{code}")
    if body["format"] == "csv":
        if not isinstance(body["station"], str) or not isinstance(body["time"], str) or not (body.get("columns") or body.get("value")):
            raise ValueError("station, time, columns")
    if body["format"] == "codes":
        re.compile(body["record"])
        if not {"station", "time"} <= {*re.compile(body["head"]).groupindex}:
            raise ValueError("head: (?P<station>…), (?P<time>…)")
    codecs.lookup(body.get("encoding", "utf-8-sig"))
    return ZoneInfo(body.get("zone", settings.TIME_ZONE_LOCAL))


def parse(data: bytes, how: Mapping, now: datetime) -> Iterator[Read]:
    """The readings of a file, in its order."""
    if how.body["format"] == "sl651":
        yield from _frames(data, how)
        return
    text = _text(data, how)
    if text is None:
        yield Read(1, why="malformed", detail=f"not {how.body.get('encoding', 'utf-8')}")
        return
    yield from (_csv if how.body["format"] == "csv" else _coded)(text, how, now)


def _text(data: bytes, how: Mapping) -> str | None:
    """In the mapping's encoding; without one UTF-8, else GB 18030, which older systems write."""
    for encoding in [how.body["encoding"]] if "encoding" in how.body else ["utf-8-sig", "gb18030"]:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _station(code: str, how: Mapping) -> str:
    code = code.strip()
    return str((how.body.get("stations") or {}).get(code, f"{how.body.get('station_prefix', '')}{code}"))


def _when(text: str, how: Mapping, now: datetime) -> datetime:
    """The instant; without a zone the mapping's, without a year the newest that is not ahead. ValueError."""
    form = how.body.get("time_format")
    text = text.strip()
    if not form:
        at = datetime.fromisoformat(text.replace("/", "-"))
    elif "%y" not in form.lower():
        local = now.astimezone(how.zone)
        for year in (local.year + 1, local.year, local.year - 1, local.year - 2, local.year - 3, local.year - 4):
            try:
                at = datetime.strptime(f"{year} {text}", f"%Y {form}").replace(tzinfo=how.zone)
            except ValueError:
                if year == local.year - 4:
                    raise
                continue
            if at <= now + timedelta(days=1):
                break
    else:
        at = datetime.strptime(text, form)  # noqa: DTZ007  (the zone comes below)
    at = at if at.tzinfo else at.replace(tzinfo=how.zone)
    if not 1970 <= at.year < 2500:
        raise ValueError(text)
    return at.astimezone(UTC)


def _csv(text: str, how: Mapping, now: datetime) -> Iterator[Read]:
    body = how.body
    missing = {str(each) for each in body.get("missing", ("",))}
    head = text.split("\n", 1)[0]
    rows = csv.reader(io.StringIO(text), delimiter=body.get("delimiter") or max(",;\t", key=head.count))
    try:
        names_ = [name.strip() for name in next(rows)]
    except (StopIteration, csv.Error):
        yield Read(1, why="malformed", detail="empty")
        return
    wide = {name: what for name, what in (body.get("columns") or {}).items() if name in names_}
    needed = [body["station"], body["time"], *([] if body.get("columns") else [body["value"], body["quantity"], body["unit"]])]
    if lacking := [name for name in needed if name not in names_] or ([] if wide or not body.get("columns") else [*body["columns"]]):
        yield Read(1, why="malformed", detail=f"columns: {', '.join(lacking)}")
        return
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Read(rows.line_num, why="malformed", detail=str(error))
            return
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(names_, cells, strict=False))
        code = _station(row.get(body["station"], ""), how)
        try:
            at = _when(row.get(body["time"], ""), how, now)
        except ValueError:
            yield Read(rows.line_num, code, why="no_time", detail=row.get(body["time"], "")[:60])
            continue
        given = ((wide[name]["quantity"], wide[name]["unit"], row.get(name, ""), wide[name].get("factor", 1)) for name in wide) if body.get("columns") else (
            (row.get(body["quantity"], "").strip(), row.get(body["unit"], "").strip(), row.get(body["value"], ""), 1),)
        for quantity, unit, number, factor in given:
            number = number.strip()
            if number not in missing:
                yield _measured(rows.line_num, code, quantity, at, number, unit, factor)


def _measured(line: int, code: str, quantity: str, at: datetime, number: str, unit: str, factor: float = 1) -> Read:
    try:
        value = float(number) * factor
    except ValueError:
        return Read(line, code, quantity, at, why="not_a_number", detail=number[:60])
    return Read(line, code, quantity, at, value, unit)


def _coded(text: str, how: Mapping, now: datetime) -> Iterator[Read]:
    """Records of pairs of code and value behind a head that names station and time."""
    body = how.body
    known, ignored = body["codes"], {str(each) for each in body.get("ignore", ())}
    end, line = 0, 1
    for record in re.finditer(body["record"], text):
        if text[end:record.start()].strip():
            yield Read(line + text.count("\n", end, record.start()) - text[end:record.start()].rstrip("\n").count("\n"), why="malformed", detail=text[end:record.start()].strip()[:80])
        line += text.count("\n", end, record.start())
        start, end = line, record.end()
        line += record[0].count("\n")
        head = re.search(body["head"], record[0])
        if not head:
            yield Read(start, why="malformed", detail=record[0][:80])
            continue
        code = _station(head["station"], how)
        try:
            at = _when(head["time"], how, now)
        except ValueError:
            yield Read(start, code, why="no_time", detail=head["time"])
            continue
        for pair in _PAIR.finditer(record[0], head.end()):
            if pair[1] in known and pair[2] is not None:
                what = known[pair[1]]
                yield _measured(start, code, what["quantity"], at, pair[2], what["unit"], what.get("factor", 1))
            elif pair[1] in known:
                yield Read(start, code, known[pair[1]]["quantity"], at, why="not_a_number", detail=pair[0])
            elif pair[1] not in ignored:
                yield Read(start, code, time=at, why="quantity", detail=pair[1])
    if text[end:].strip():
        yield Read(line, why="malformed", detail=text[end:].strip()[:80])


# --- frames of SL 651 ------------------------------------------------------------------------------------------------


def _frames(data: bytes, how: Mapping) -> Iterator[Read]:
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), 1):
        text = re.sub(r"\s", "", line)
        if not text:
            continue
        try:
            yield from _frame(binascii.unhexlify(text), how, number)
        except (binascii.Error, ValueError, IndexError) as error:
            yield Read(number, why="malformed", detail=str(error)[:80])


def _crc(data: bytes) -> int:
    """CRC-16 with the polynomial A001 (as MODBUS)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def _digits(data: bytes) -> str:
    """Binary coded decimals; ValueError for what are none."""
    text = data.hex()
    if not text.isdigit():
        raise ValueError(f"BCD: {text}")
    return text


def _frame(frame: bytes, how: Mapping, line: int) -> Iterator[Read]:
    """7E7E, centre, station (5), password (2), function, length (2), 02, number (2), sent (6), elements, 03 or 17, CRC (2)."""
    body = how.body
    if frame[:2] != b"\x7e\x7e" or len(frame) < 24:
        raise ValueError("7E7E")
    if _crc(frame[:-2]) != int.from_bytes(frame[-2:], "big"):
        raise ValueError("CRC")
    length = int.from_bytes(frame[11:13], "big")
    if length & 0x8000 or frame[13] != 0x02 or len(frame) != 14 + length + 3:
        raise ValueError("length")
    code = _station(_digits(frame[3:8]), how)
    rest = frame[14 + 8:14 + length]
    if frame[10] == 0x2F:
        return  # the link is kept alive: no readings
    groups, elements = body.get("groups") or {}, body.get("elements") or {}
    at, found = None, []
    while rest:
        mark = rest[0]
        if mark == 0xF1:
            _digits(rest[2:7])
            rest = rest[8:]  # address and kind of station
            continue
        if mark == 0xF0:
            at = datetime.strptime(_digits(rest[2:7]), "%y%m%d%H%M").replace(tzinfo=how.zone).astimezone(UTC)
            rest = rest[7:]
            continue
        name, size, decimals = f"{mark:02X}", rest[1] >> 3, rest[1] & 7
        value, rest = rest[2:2 + size], rest[2 + size:]
        if len(value) != size or at is None:
            raise ValueError(name if at else "F0")
        found.append((name, at, decimals, value))
    # The rain of each five minutes is better than the rain since the last report, which is the same water.
    instead = {str(groups[name].get("instead_of", "")) for name, _at, _decimals, _value in found if name in groups}
    for name, when, decimals, value in found:
        if name in groups:
            group = groups[name]
            if len(value) != group["count"] * group["bytes"]:
                raise ValueError(name)
            for place in range(group["count"]):  # the last of them ends at the time of observation
                part = value[place * group["bytes"]:(place + 1) * group["bytes"]]
                if part.hex().upper() != str(group["missing"]):
                    ends = when - timedelta(seconds=group["every_s"] * (group["count"] - 1 - place))
                    yield Read(line, code, group["quantity"], ends, round(int.from_bytes(part, "big") * group["scale"], 6), group["unit"])
        elif name in elements and name not in instead:
            if value.strip(b"\xff") and value.strip(b"\xaa"):  # all FF or AA: the station has no value
                yield Read(line, code, elements[name]["quantity"], when, round(int(_digits(value)) / 10 ** decimals, 6), elements[name]["unit"])
        elif name not in {str(each) for each in body.get("ignore", ())} | instead:
            yield Read(line, code, time=when, why="quantity", detail=f"{name}H")
