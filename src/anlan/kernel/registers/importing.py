"""Import of spreadsheets: read → propose a mapping → preview → run. One transaction or nothing; repeatable by the register's key.

The whole table is judged first, each wrong cell named; then rows go in by COPY, so that 100,000 of them take seconds.
"""
from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.conf import settings
from django.db import IntegrityError, connection
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from anlan.engines import frames
from anlan.engines.text import document_tokens

from .. import access, clock, files, places
from ..actions import Act, action
from ..errors import FORBIDDEN, INVALID, NOT_FOUND, STALE, Kind
from ..ids import new_id
from ..models import Organisation, Region
from ..models.base import home
from . import actions, queries, values
from .declare import Field, Register, get
from .facts import RegisterBatchDone
from .reading import MAX_BYTES, Sheet, check_size, read

NO_HEADER = Kind("kernel.no_header_row", 422, gettext_lazy("None of the first {rows} rows names columns of this register. Take the template, or choose what each column is."))
NO_KEY = Kind("kernel.register_no_key", 409, gettext_lazy("{register} has no key to tell rows apart by and cannot be imported."))
BY_HAND = Kind("kernel.register_by_hand", 409, gettext_lazy("{register} are entered by hand, one at a time."))
STOPPED = Kind("kernel.import_stopped", 409, gettext_lazy("The import was stopped; nothing was taken over."))

HEADER_WITHIN = 20
_ESCAPED = ("=", "+", "-", "@")
# How many wrong cells are listed on a page; the file of refused rows has them all.
SHOWN = 200
SAMPLE = 30
KEPT_FOR = timedelta(days=1)
RESULT_KEPT_FOR = timedelta(days=30)  # what came of it and the refused rows; the sheet itself is gone after a day
Progress = Callable[[str, int, int], None]


# --- mapping -----------------------------------------------------------------------------------------------------------


@dataclass
class Mapping:
    """Which line is the header (from 0) and which column feeds which field ({field: column}); `point.lon`/`point.lat` are columns too."""

    header: int
    columns: dict[str, int]
    unknown: list[str] = field(default_factory=list)  # headers nobody knows; their columns are left out
    missing: list[str] = field(default_factory=list)  # required fields no column feeds

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _plain_header(value: Any) -> str:
    text = values.folded(values.clean_text(value)).casefold()
    for bracket in ("(", "["):
        text = text.split(bracket)[0]
    return "".join(char for char in text if char.isalnum())


def targets(declared: Register) -> list[tuple[str, Field]]:
    """What a column may feed: (name, field); a point has two columns besides the one that holds both."""
    found: list[tuple[str, Field]] = []
    for one in declared.all:
        if one.of is not None:
            continue
        found.append((one.name, one))
        if one.kind == "point":
            found += [(f"{one.name}.lon", one), (f"{one.name}.lat", one)]
    return found


def target_label(name: str, one: Field) -> str:
    if name.endswith(".lon"):
        return _("Longitude")
    if name.endswith(".lat"):
        return _("Latitude")
    return one.title


def _headers(declared: Register) -> dict[str, str]:
    """Every word a header may be called by → target; names and labels of both languages before synonyms."""
    words: dict[str, str] = {}
    for name, one in targets(declared):
        words.setdefault(_plain_header(name), name)
        for language in ("zh-hans", "en"):
            with translation.override(language):
                words.setdefault(_plain_header(target_label(name, one)), name)
    for name, one in targets(declared):
        for synonym in one.synonyms:
            words.setdefault(_plain_header(synonym), name)
    for synonym, name in (("经度", "point.lon"), ("纬度", "point.lat"), ("lon", "point.lon"), ("lng", "point.lon"), ("lat", "point.lat"), ("坐标", "point")):
        words.setdefault(_plain_header(synonym), name)
    words.pop("", None)
    return words


def propose(declared: Register, sheet: Sheet) -> Mapping:
    """The header row and what its columns are, by field name, label in Chinese or English, or synonym. kernel.no_header_row."""
    words = _headers(declared)
    best: Mapping | None = None
    for number, row in enumerate(sheet.rows[:HEADER_WITHIN]):
        columns: dict[str, int] = {}
        unknown = []
        for at, value in enumerate(row):
            if values.empty(value):
                continue
            name = words.get(_plain_header(value)) if isinstance(value, str) else None
            if name is None:
                unknown.append(values.clean_text(value)[:60])
            elif name not in columns:
                columns[name] = at
        if columns and (best is None or len(columns) > len(best.columns)):
            best = Mapping(number, columns, unknown)
    if best is None:
        raise NO_HEADER(rows=HEADER_WITHIN)
    best.missing = _missing(declared, best.columns)
    return best


def _missing(declared: Register, columns: dict[str, int]) -> list[str]:
    return [one.name for one in declared.all if one.required and one.name not in columns and one.default in (None, "") and not (one.kind == "point" and "point.lon" in columns)]


def mapping_of(declared: Register, sheet: Sheet, header: int, columns: dict[str, Any]) -> Mapping:
    """A mapping a person chose, checked. kernel.invalid."""
    known = {name for name, _field in targets(declared)}
    faults = [{"field": name, "why": _("there is no such field")} for name in columns if name not in known]
    chosen = {}
    for name, at in columns.items():
        if at in ("", None) or name not in known:
            continue
        if not str(at).isdigit() or int(at) >= max(sheet.width, 1):
            faults.append({"field": name, "why": _("there is no such column")})
        else:
            chosen[name] = int(at)
    if len(set(chosen.values())) < len(chosen):
        faults.append({"field": "columns", "why": _("one column feeds two fields")})
    if faults or not 0 <= header < len(sheet.rows):
        raise INVALID(faults or [{"field": "header", "why": _("there is no such row")}])
    return Mapping(header, chosen, [], _missing(declared, chosen))


# --- judging -----------------------------------------------------------------------------------------------------------


@dataclass
class Fault:
    """One wrong cell: the line of the sheet (from 1), the field, and why."""

    row: int
    field: str
    why: str

    def as_json(self) -> dict[str, Any]:
        return {"row": self.row, "field": self.field, "why": self.why}


@dataclass
class Judged:
    """What an import would do, or did. Numbers are of rows; `refused` lists wrong cells, several of one row perhaps."""

    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused_rows: int = 0
    refused: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    written: int = 0
    seconds: float = 0.0
    sample: list[dict[str, Any]] = field(default_factory=list)  # the first rows: {line, what, values: {field: text}}
    missing: list[str] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)  # the first changed rows: {line, key, fields: {field: (before, after)}}

    @property
    def good(self) -> bool:
        return not self.refused_rows

    def as_json(self) -> dict[str, Any]:
        """As the command prints it, and a little more."""
        return {
            "read": self.read, "written": self.written, "refused": [fault.as_json() for fault in self.refused], "seconds": round(self.seconds, 2),
            "new": self.new, "changed": self.changed, "unchanged": self.unchanged, "refused_rows": self.refused_rows, "notes": self.notes,
        }


class _Column:
    """Converts the cells of one field: a plain text by `quick`, what repeats once, all else by `values.clean`, which alone refuses."""

    def __init__(self, one: Field, look: values.Lookup, fold: bool) -> None:
        self.field, self.look, self.fold = one, look, fold
        self.personal = one.personal is not None
        self.quick = one.kind in ("", "text", "longtext") and not (one.many or one.pattern)
        self.most = one.length or 1 << 30
        self.kept: dict[Any, Any] = {}

    def __call__(self, raw: Any) -> Any:
        # Texts and a spreadsheet's floating numbers; True and 1 would be one key, so other kinds are not kept.
        kind = type(raw)
        if self.quick and kind is str and len(raw) <= self.most and raw.isascii() and raw.isprintable() and (found := raw.strip()):
            return found
        keep = (kind is str and len(raw) < 80) or kind is float
        if keep and raw in self.kept:
            found = self.kept[raw]
            if isinstance(found, values.Refused):
                raise found
            return found
        try:
            found = values.clean(self.field, raw, self.look)
            if self.fold and isinstance(found, str):
                found = values.folded(found)
        except values.Refused as error:
            if keep and len(self.kept) < 5_000:
                self.kept[raw] = error
            raise
        if keep and len(self.kept) < 5_000:
            self.kept[raw] = found
        return found


@dataclass(slots=True)
class _Row:
    line: int
    values: dict[str, Any]
    old: tuple | None = None  # (id, version, {field: value}, region, organisation, left)
    changed: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    region: UUID | None = None
    key: Any = None


class _Work:
    """One sheet judged against one register, for one actor."""

    def __init__(self, actor: Any, declared: Register, sheet: Sheet, mapping: Mapping, *, frame: str, blanks: str, progress: Progress) -> None:
        self.actor, self.declared, self.sheet, self.mapping, self.blanks, self.progress = actor, declared, sheet, mapping, blanks, progress
        self.frame = places._frame(frame) if frame else "WGS84"
        self.look = values.Lookup()
        self.result = Judged(notes=list(sheet.notes), missing=list(mapping.missing))
        self.bad: set[int] = set()
        self.fields: dict[str, Field] = {}
        for name in mapping.columns:
            one = declared.by_name[name.partition(".")[0]]
            self.fields[one.name] = one
        self.rows: list[_Row] = []
        self._may: dict[tuple, bool] = {}

    def refuse(self, line: int, name: str, why: str) -> None:
        self.bad.add(line)
        self.result.refused.append(Fault(line, name, why))

    def may(self, capability: str, region: Any, org: Any) -> bool:
        key = (capability, region, org)
        if key not in self._may:
            self._may[key] = access.may(self.actor, *key)
        return self._may[key]

    def judge(self) -> None:
        self._convert()
        self._match()
        self._place()
        self._require()
        result = self.result
        result.refused.sort(key=lambda fault: fault.row)
        result.refused_rows = len(self.bad)
        good = [row for row in self.rows if row.line not in self.bad]
        result.new = sum(row.old is None for row in good)
        result.changed = sum(row.old is not None and bool(row.changed) for row in good)
        result.unchanged = len(good) - result.new - result.changed
        for row in self.rows[:20]:
            what = "refused" if row.line in self.bad else "new" if row.old is None else "changed" if row.changed else "unchanged"
            result.sample.append({"line": row.line, "what": what, "values": {name: value for name, value in row.values.items()}})
        for row in [row for row in good if row.changed][:SAMPLE]:
            result.changes.append({"line": row.line, "key": " ".join(map(str, row.key)), "fields": row.changed})

    def _convert(self) -> None:
        """Cells to values; empty lines and lines beginning with # are passed over."""
        columns = [(name, at, _Column(one, self.look, one.name in self.declared.key)) for name, at in self.mapping.columns.items() if (one := self.declared.by_name[name.partition(".")[0]]) and "." not in name]
        point = next((one for one in self.fields.values() if one.kind == "point"), None)
        lon_at, lat_at = (self.mapping.columns.get(f"{point.name}.{part}") if point else None for part in ("lon", "lat"))
        broken, lines, first = self.sheet.broken, self.sheet.rows, self.mapping.header + 1
        strict = [one for one in self.declared.all if one.show_when]
        total = len(lines) - first
        with_faults = bool(broken)
        for index in range(first, len(lines)):
            cells, line = lines[index], index + 1
            if (index - first) % 2000 == 0:
                self.progress("check", index - first, total)
            if (not any(cells) and all(value in ("", None) for value in cells)) or (isinstance(cells[0], str) and cells[0].startswith("#")):
                continue
            self.result.read += 1
            row = _Row(line, {})
            width = len(cells)
            for name, at, convert in columns:
                if with_faults and (index, at) in broken:
                    self.refuse(line, name, broken[index, at])
                    continue
                raw = cells[at] if at < width else ""
                if type(raw) is str and raw[:1] == "'" and raw[1:2] in _ESCAPED:
                    raw = raw[1:]  # as our own export writes what a spreadsheet would run
                if raw is None or raw == "" or (convert.personal and "*" in str(raw)):  # a mask tells nothing
                    if self.blanks == "clear" and not raw:
                        row.values[name] = values.blank(convert.field, self.declared.model)
                    continue
                try:
                    row.values[name] = convert(raw)
                except values.Refused as error:
                    self.refuse(line, name, str(error))
            if lon_at is not None and lat_at is not None and point is not None:
                pair = [cells[at] if at < width else "" for at in (lon_at, lat_at)]
                if not (values.empty(pair[0]) and values.empty(pair[1])):
                    try:
                        row.values[point.name] = values.clean(point, pair, self.look)
                    except values.Refused as error:
                        self.refuse(line, point.name, str(error))
            if strict:
                for one in strict:
                    if one.name in row.values and not one.asked(row.values) and one.show_when.partition("=")[0] in row.values:
                        row.values[one.name] = values.blank(one, self.declared.model)
            self.rows.append(row)
        if point is not None and self.frame not in ("WGS84", "CGCS2000"):
            placed = [row for row in self.rows if row.values.get(point.name)]
            if placed:
                points = np.array([row.values[point.name] for row in placed], float)
                lon, lat = frames.to_wgs84(self.frame, points[:, 0], points[:, 1])
                for row, x, y in zip(placed, lon, lat, strict=True):
                    row.values[point.name] = (round(float(x), 7), round(float(y), 7))

    def _match(self) -> None:
        """Which rows are in the register already, by its key; duplicates inside the sheet are refused."""
        declared, names = self.declared, self.declared.key
        seen: dict[tuple, int] = {}
        wanted: dict[tuple, _Row] = {}
        for row in self.rows:
            missing = [name for name in names if values.empty(row.values.get(name))]
            if missing:
                for name in missing:
                    if not any(fault.row == row.line and fault.field == name for fault in self.result.refused[-20:]):
                        self.refuse(row.line, name, _("is missing"))
                continue
            row.key = tuple(row.values[name] for name in names)
            if row.key in seen:
                self.refuse(row.line, names[0], _("the same as in row {row} of the sheet").format(row=seen[row.key]))
                continue
            seen[row.key] = row.line
            wanted[row.key] = row
        attributes = {one.name: values.attribute(declared.model, one.name) for one in self.fields.values() if one.kind != "point"}
        others = [one for one in declared.all if one.name not in self.fields and one.of is None and (one.required or declared.check or one.show_when)]
        more = {one.name: values.attribute(declared.model, one.name) for one in others if one.kind != "point"}
        columns = ["pk", "version", "region_id", "organisation_id", "left", "lon", "lat", *attributes.values(), *more.values(), *(values.attribute(declared.model, name) for name in names)]
        here = {name: at for at, name in enumerate(columns)}
        keys = sorted({key[0] for key in wanted}, key=str)
        for start in range(0, len(keys), 5000):
            self.progress("match", start, len(keys))
            column = declared.model._meta.get_field(names[0]).column
            found = declared.rows().filter(ended_at=None).extra(where=[f'"{declared.model._meta.db_table}"."{column}" = ANY(%s)'], params=[keys[start : start + 5000]])
            for old in found.values_list(*columns):
                key = tuple(old[here[values.attribute(declared.model, name)]] for name in names)
                row = wanted.get(key)
                if row is None:
                    continue
                if row.old is not None:  # only where the key is not unique
                    self.refuse(row.line, names[-1], _("several entries bear it; change this one by hand"))
                    continue
                have = {name: old[here[at]] for name, at in {**attributes, **more}.items()}
                have["point"] = None if old[5] is None or old[6] is None else (old[5], old[6])
                row.old = (old[0], old[1], have, old[2], old[3], old[4])
                for name, value in row.values.items():
                    before = have[name]
                    if value != before and values.plain(value) != values.plain(before):
                        row.changed[name] = (before, value)

    def _place(self) -> None:
        """The region a row lies in: given, kept, found from its point, or that of its unit."""
        units: dict[UUID, Any] = {}
        lost = []
        for row in self.rows:
            row.region = None if not self.declared.placed else row.values["region"] if "region" in row.values else row.old[3] if row.old else None
            if row.region is None and row.values.get("point"):
                lost.append(row)
        if lost:
            regions = sorted(
                (one for one in Region.objects.filter(valid_to=None, kind__in=("province", "city", "county", "town", "village"), area_wkb__isnull=False)),
                key=lambda one: (one.east - one.west) * (one.north - one.south) if None not in (one.east, one.west, one.north, one.south) else 1e9,
            )
            points = np.array([row.values["point"] for row in lost], float)
            for row, key in zip(lost, places.locate(points[:, 0], points[:, 1], regions), strict=True):
                row.region = key
        for row in self.rows:
            unit = self._unit(row)
            if row.region is None and unit is not None:
                if not units:
                    units = dict(Organisation.objects.values_list("pk", "region_id"))
                row.region = units.get(unit)

    def _unit(self, row: _Row) -> Any:
        return row.values["organisation"] if "organisation" in row.values else row.old[4] if row.old else None

    def _require(self) -> None:
        """Rights, required fields and the register's own rules, row by row."""
        declared = self.declared
        write = declared.capability("write")
        guarded = {name: one for name, one in self.fields.items() if one.write or one.readonly}
        required = [one for one in declared.all if one.required]
        defaults = {one.name: one.default for one in declared.all if one.default not in (None, "")}
        nothing = {one.name: values.blank(one, declared.model) if one.kind != "point" else None for one in declared.all if one.of is None} if declared.check else {}
        for row in self.rows:
            if row.line in self.bad:
                continue
            unit = self._unit(row)
            if row.old is not None and not row.changed:
                continue
            if not self.may(write, row.region, unit) or (row.old is not None and not self.may(write, row.old[3], row.old[4])):
                self.refuse(row.line, "region" if row.old is None else declared.key[0], _("lies where your post may not write"))
                continue
            for name in guarded:
                one = guarded[name]
                touched = name in row.changed if row.old is not None else name in row.values and row.values[name] != defaults.get(name)
                if touched and (one.readonly or not self.may(one.write, row.region, unit)):
                    self.refuse(row.line, name, _("your post may not change this"))
            whole = {**(row.old[2] if row.old else defaults), **row.values}
            for one in required:
                if values.empty(whole.get(one.name)) and one.asked(whole) and (row.old is None or one.name in row.values):
                    self.refuse(row.line, one.name, _("is missing"))
            if declared.check and row.line not in self.bad:
                for fault in declared.check({**nothing, **whole}):
                    self.refuse(row.line, fault["field"], fault["why"])


def _nothing(stage: str, done: int, total: int) -> None:
    """Nobody watches."""


def _ready(declared: Register) -> None:
    if declared.steps_only:
        raise actions.STEPS_ONLY(register=declared.label)
    if not declared.key:
        raise NO_KEY(register=declared.label)
    if not declared.imported:
        raise BY_HAND(register=declared.label)


def preview(actor: Any, declared: Register, sheet: Sheet, mapping: Mapping, *, frame: str = "", blanks: str = "keep", progress: Progress = _nothing) -> Judged:
    """What an import would do, with nothing written. `frame`: of the coordinates; `blanks`: what an empty cell says of a row that is
    there already: keep (nothing) or clear. kernel.forbidden."""
    _ready(declared)
    access.require(actor, declared.capability("write"))
    started = time.perf_counter()
    job = _Work(actor, declared, sheet, mapping, frame=frame, blanks=blanks, progress=progress)
    job.judge()
    for one in job.result.sample:
        one["values"] = {name: values.shown(declared.by_name[name], value, names=_names(declared, name, value)) for name, value in one["values"].items()}
    job.result.seconds = time.perf_counter() - started
    return job.result


def _names(declared: Register, name: str, value: Any) -> dict[UUID, str]:
    one = declared.by_name[name]
    return values.names_of(one, [value]) if one.kind in values.REFERENCES and value else {}


# --- writing -----------------------------------------------------------------------------------------------------------

_sheet: ContextVar[Sheet] = ContextVar("register_sheet")
_progress: ContextVar[Progress] = ContextVar("register_progress", default=_nothing)
_result: ContextVar[list[Judged]] = ContextVar("register_result")


def run(
    act: Act, declared: Register, sheet: Sheet, mapping: Mapping, *, good_rows: bool = False, frame: str = "", blanks: str = "keep", verified: bool = False,
    progress: Progress = _nothing,
) -> Judged:
    """Take the sheet over: everything in one transaction, or nothing. With `good_rows`, wrong rows are left out instead of refusing all.

    `verified`: the sheet says how things are today. A second run of the same sheet finds every row unchanged and writes
    nothing. The result lists every wrong cell; nothing is raised for them.
    """
    _ready(declared)
    started = time.perf_counter()
    result: list[Judged] = []
    tokens = _sheet.set(sheet), _progress.set(progress), _result.set(result)
    try:
        done = import_rows(
            act, register=declared.name, file=sheet.sha256, mapping=mapping.as_json(), good_rows=good_rows, frame=frame, blanks=blanks, verified=verified,
        )
    finally:
        for variable, token in zip((_sheet, _progress, _result), tokens, strict=True):
            variable.reset(token)  # type: ignore[arg-type]
    found = result[0] if result else Judged(**{name: done[name] for name in ("read", "new", "changed", "unchanged", "written", "refused_rows")})
    found.seconds = time.perf_counter() - started
    return found


@action("register.import")
def import_rows(act: Act, *, register: str, file: str, mapping: dict, good_rows: bool, frame: str, blanks: str, verified: bool) -> dict:
    """Write the rows of a sheet (SHA-256 `file`, handed over by `run`) into a register."""
    declared = get(register)
    actions.writable(act, declared)
    access.require(act, declared.capability("write"))
    with connection.cursor() as cursor:  # two imports into one register would only trip over each other's keys
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"register:{register}"])
    job = _Work(act.actor, declared, _sheet.get(), Mapping(**mapping), frame=frame, blanks=blanks, progress=_progress.get())
    job.judge()
    result = job.result
    _result.get().append(result)
    if result.good or good_rows:
        rows = [row for row in job.rows if row.line not in job.bad and (row.old is None or row.changed)]
        try:
            _write(act, job, rows, verified)
        except IntegrityError as error:
            if "_key" in str(error):
                raise STALE(expected=0, found=1)
            raise
        result.written = len(rows)
        if rows:
            fields = sorted({name for row in rows for name in (row.changed if row.old else row.values)})
            act.state(
                RegisterBatchDone(register=register, op="import", created=result.new, changed=result.changed, fields=fields, digest=f"sha256:{file}"),
                subject=f"register:{register}",
            )
    return {name: getattr(result, name) for name in ("read", "new", "changed", "unchanged", "written", "refused_rows")}


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(value: Any) -> str:
    """A value in COPY's text format."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value if value.isalnum() else value.translate(_ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, (list, dict)):
        return orjson.dumps(value).decode().translate(_ESCAPES)
    return str(value)


def _write(act: Act, job: _Work, rows: list[_Row], verified: bool) -> None:
    declared, model = job.declared, job.declared.model
    new, old = [row for row in rows if row.old is None], [row for row in rows if row.old is not None]
    tokens = _Tokens(declared)
    if new:
        _insert(act, job, new, tokens, verified)
    if old:
        _update(act, job, old, tokens, verified)
    job.progress("done", len(rows), len(rows))
    # Its statistics are what keeps the list quick after a table has grown tenfold; smaller growth waits for the database's own round.
    if len(rows) > max(5000, queries.size(declared) / 10):
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege(%s, 'MAINTAIN')" if connection.pg_version >= 170000 else "SELECT pg_get_userbyid(relowner) = current_user FROM pg_class WHERE relname = %s", [model._meta.db_table])
            if cursor.fetchone()[0]:
                cursor.execute(f'ANALYZE "{model._meta.db_table}"')


_TEXTS = ("text", "longtext", "phone", "url", "")


class _Tokens:
    """Search tokens, title and note of rows, each distinct text worked out once."""

    def __init__(self, declared: Register) -> None:
        self.declared = declared
        self.searched = [one for one in declared.all if one.name == declared.title or one.search or one.name in declared.key]
        self.shown = [declared.by_name[name] for name in (declared.title, *declared.note) if name in declared.by_name]
        self.looked_up = [one for one in {*self.searched, *self.shown} if one.kind not in _TEXTS]
        self.defaults = {one.name: one.default for one in declared.all if one.default not in (None, "")}
        self.kept: dict[tuple[str, Any], list[str]] = {}
        self.words: dict[tuple[str, Any], str] = {}

    def text(self, one: Field, value: Any) -> str:
        if one.kind in _TEXTS:
            return value or ""
        key = (one.name, tuple(value) if isinstance(value, list) else value)
        if key not in self.words:
            names = values.names_of(one, [value]) if one.kind in values.REFERENCES and value else {}
            self.words[key] = values.shown(one, value, names=names)
        return self.words[key]

    def warm(self, row: dict[str, Any], region: Any) -> None:
        """Look up what a row's words need, so that `of` asks the database nothing while it copies."""
        for one in self.looked_up:
            value = region if one.name == "region" else row.get(one.name, self.defaults.get(one.name))
            if value:
                self.text(one, value)

    def of(self, row: dict[str, Any]) -> tuple[str, str, str]:
        """(tsvector, title, note) of a row's values."""
        found: set[str] = set()
        for one in self.searched:
            text = self.text(one, row.get(one.name))
            key = (one.name, text)
            tokens = self.kept.get(key)
            if tokens is None:
                tokens = document_tokens(text[:200 if one.kind == "text" else 2000], name=one.name == self.declared.title)
                if len(self.kept) < 200_000:
                    self.kept[key] = tokens
            found.update(tokens)
        title, *note = [self.text(one, row.get(one.name)) for one in self.shown] or [""]
        return actions.tsvector(found), title[:200], " ".join(filter(None, note))[:300]


def _copy(table: str, columns: list[str], lines: Iterable[str], told: Callable[[int], None] | None = None) -> None:
    """Rows straight into a table: the server takes in one block while the next is made. `lines` must ask the database nothing."""
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(f'COPY "{table}" ({", ".join(columns)}) FROM STDIN') as copy:
        block: list[str] = []
        for number, line in enumerate(lines, 1):
            block.append(line)
            if len(block) == 500:
                copy.write(("\n".join(block) + "\n").encode())
                block.clear()
                if told:
                    told(number)
        if block:
            copy.write(("\n".join(block) + "\n").encode())


def _columns(model: Any, names: list[str]) -> list[tuple[str, str]]:
    """(quoted column, its type) of attributes."""
    found = []
    for name in names:
        column = model._meta.get_field(name.removesuffix("_id") if name in ("region_id", "organisation_id") else name)
        found.append((f'"{column.column}"', column.db_type(connection)))
    return found


def _raw(declared: Register, name: str) -> Callable[[Any], Any]:
    """How a value of this field is written into its column."""
    column = declared.model._meta.get_field(name)
    one = declared.by_name[name]
    if one.many and column.get_internal_type() == "ArrayField":
        return lambda value: "{" + ",".join(f'"{part}"' for part in value or []) + "}"
    if one.many:
        return lambda value: list(value or [])
    if column.null:
        return lambda value: None if value == "" and column.get_internal_type() not in ("CharField", "TextField") else value
    blank = values.blank(one, declared.model)
    if blank is None:
        blank = column.get_default()
    return lambda value: blank if value is None else value


_SEARCHED = ["kind", "key", "region_id", "title", "note", "words", "updated_at"]


def _insert(act: Act, job: _Work, rows: list[_Row], tokens: _Tokens, verified: bool) -> None:
    declared, model = job.declared, job.declared.model
    names = [name for name in job.fields if job.fields[name].kind != "point" and name not in ("region", "organisation")]
    raw = [(name, _raw(declared, name)) for name in names]
    defaults = {one.name: one.default for one in declared.all if one.default not in (None, "")}
    fixed = ["id", "region_id", "organisation_id", "lon", "lat", "cell", "words", *(values.attribute(model, name) for name in names), *(name for name, _of in declared.of_title)]
    constant: dict[str, Any] = {"version": 1, "home": home(), "created_at": clock.now(), "left": "{}", "changed_xid": 0, "changed_seq": 0}
    if verified and "verified_at" in declared.columns:
        constant |= {"verified_at": act.now, "verified_by": act.actor.person_id}
    for column in model._meta.concrete_fields:
        if column.attname not in fixed and column.attname not in constant:
            default = column.get_default()
            if isinstance(default, (list, dict)) and column.get_internal_type() != "JSONField":
                default = "{}"
            constant[column.attname] = defaults.get(column.name, default)
    same = "\t".join(map(_copied, constant.values()))
    # In the list's order, which most of the table's indexes follow: a page of theirs is written once, not once for each row.
    order = declared.order.lstrip("-")
    rows.sort(key=lambda row: str(row.values.get(order, "")))
    for row in rows:
        tokens.warm(row.values, row.region)
    keys: list[str] = []
    found: list[str] = []
    now = clock.now().isoformat()

    def lines() -> Iterator[str]:
        for row in rows:
            whole = {**defaults, **row.values, "region": row.region}
            point = row.values.get("point")
            words, title, note = tokens.of(whole)
            key, region = str(new_id()), _copied(row.region)
            keys.append(key)
            found.append(f"{declared.kind}\t{key}\t{region}\t{_copied(title)}\t{_copied(note)}\t{words}\t{now}")
            placed = f"{point[0]}\t{point[1]}\t{values.cell(*point)}" if point else "\\N\t\\N\t\\N"
            yield "\t".join((key, region, _copied(row.values.get("organisation")), placed, words, *[_copied(make(whole.get(name))) for name, make in raw], *[_copied(of(whole.get(declared.title) or "")) for _name, of in declared.of_title], same))

    columns = [f'"{column.column}"' for attname in (*fixed, *constant) for column in model._meta.concrete_fields if column.attname == attname]
    made = lines()
    with connection.cursor() as cursor:  # the search column's index is brought up to date a few times, not every thousand rows
        cursor.execute("SET LOCAL gin_pending_list_limit = '32MB'; SET LOCAL work_mem = '64MB'")
        _copy(model._meta.db_table, columns, islice(made, len(rows) - 1), lambda number: job.progress("write", number, len(rows)))
        cursor.execute("SET LOCAL gin_pending_list_limit = '64kB'")  # and wholly with the last row: nobody's search should have to
        _copy(model._meta.db_table, columns, made)
        cursor.execute("SET LOCAL gin_pending_list_limit TO DEFAULT; SET LOCAL work_mem TO DEFAULT")
    _history(act, declared, ((key, 1, "{}", None) for key in keys))
    job.progress("search", 0, len(rows))
    _copy("kernel_searchentry", _SEARCHED, found)


def _history(act: Act, declared: Register, changed: Iterable[tuple[str, int, Any, Any]]) -> None:
    """A line of history for each (row, version after it, changes, personal changes)."""
    actor = act.actor
    before = "\t".join(map(_copied, (declared.name, "import", act.now, act.occurred_at, actor.account_id, actor.person_id, actor.post_id, actor.device[:60], _sheet.get().name[:200], act.op_id)))
    columns = ["register", "op", "at", "occurred_at", "account", "person", "post", "device", "note", "act", "id", "row", "version", "changes", "personal"]
    _copy("kernel_registerchange", columns, (f"{before}\t{new_id()}\t{key}\t{version}\t{_copied(shown)}\t{_copied(personal)}" for key, version, shown, personal in changed))


def _update(act: Act, job: _Work, rows: list[_Row], tokens: _Tokens, verified: bool) -> None:
    declared, model = job.declared, job.declared.model
    touched = {name for row in rows for name in row.changed}
    names = [name for name in job.fields if name in touched and job.fields[name].kind != "point" and name not in ("region", "organisation")]
    worked_out = list(declared.of_title) if declared.title in touched else []
    raw = {name: _raw(declared, name) for name in names}
    changing = _columns(model, ["region_id", "organisation_id", "lon", "lat", "cell", "left", *names, *(name for name, _of in worked_out)])
    # The search column needs every searched field, also those the sheet does not speak of.
    missing = [one for one in {*tokens.searched, *tokens.shown} if one.name not in job.fields]
    others: dict[UUID, dict[str, Any]] = {}
    if missing:
        wanted = [values.attribute(model, one.name) for one in missing]
        for key, *rest in declared.rows().filter(pk__in=[row.old[0] for row in rows if row.old]).values_list("pk", *wanted):
            others[key] = dict(zip([one.name for one in missing], rest, strict=True))
    history: list[tuple[str, int, Any, Any]] = []

    def line(row: _Row) -> list[Any]:
        key, version, have, region, unit, left = row.old  # type: ignore[misc]
        whole = {**have, **others.get(key, {}), **row.values, "region": row.region}
        point = whole.get("point")
        now_unit = job._unit(row)
        gone = {str(one) for one in (region, unit) if one} - {str(row.region), str(now_unit)}
        shown, personal = {}, {}
        for name, (before, after) in row.changed.items():
            shown[name], secret = actions.pair(declared.by_name[name], before, after)
            if secret is not None:
                personal[name] = secret
        history.append((str(key), version + 1, shown, personal or None))
        return [
            key, version, *tokens.of(whole), row.region, now_unit, point[0] if point else None, point[1] if point else None, values.cell(*point) if point else None,
            "{" + ",".join(sorted({str(one) for one in left} | gone)) + "}", *(values.plain(raw[name](whole.get(name))) for name in names),
            *(of(whole.get(declared.title) or "") for _name, of in worked_out),
        ]

    table = model._meta.db_table
    given = [("id", "uuid"), ("version", "integer"), ("_words", "text"), ("_title", "text"), ("_note", "text"), *changing]
    bare = [column.strip('"') for column, _kind in given]
    # The rows come as JSON, not by a temporary table: the app role may make none.
    sent = f"json_to_recordset(%s::json) AS n({', '.join(f'{column} {kind}' for column, kind in given)})"
    verify = ", verified_at = %s, verified_by = %s::uuid" if verified and "verified_at" in declared.columns else ""
    with connection.cursor() as cursor:
        for start in range(0, len(rows), 2000):
            part = rows[start : start + 2000]
            job.progress("write", start, len(rows))
            body = orjson.dumps([dict(zip(bare, line(row), strict=True)) for row in part]).decode()
            params: list[Any] = [act.now, act.actor.person_id] if verify else []
            cursor.execute(
                f'UPDATE "{table}" t SET version = t.version + 1, words = n._words::tsvector, {", ".join(f"{column} = n.{column}" for column, _kind in changing)}{verify} '
                f"FROM {sent} WHERE t.id = n.id AND t.version = n.version",
                [*params, body],
            )
            if cursor.rowcount != len(part):
                raise STALE(expected=len(part), found=cursor.rowcount)
            cursor.execute(
                f"""INSERT INTO kernel_searchentry (kind, key, region_id, title, note, words, updated_at)
                    SELECT %s, id, region_id, _title, _note, _words::tsvector, %s FROM {sent}
                    ON CONFLICT (kind, key) DO UPDATE SET region_id = EXCLUDED.region_id, title = EXCLUDED.title, note = EXCLUDED.note,
                        words = EXCLUDED.words, updated_at = EXCLUDED.updated_at""",
                [declared.kind, clock.now(), body],
            )
    _history(act, declared, history)


# --- uploads kept between preview and run --------------------------------------------------------------------------------


@dataclass
class Upload:
    """A file on its way in, in a folder of its own under ANLAN_HOME/imports; only who brought it may go on with it."""

    token: str
    register: str
    name: str
    account: str

    @property
    def folder(self) -> Path:
        return settings.HOME / "imports" / self.token

    @property
    def path(self) -> Path:
        return self.folder / "file"

    def stop(self) -> None:
        """Ask the run to give up at its next step; the database takes everything back."""
        (self.folder / "stop").touch()

    def stopped(self) -> None:
        """Called at every step: kernel.import_stopped."""
        if (self.folder / "stop").exists():
            raise STOPPED()

    def sheet(self) -> Sheet:
        if not self.path.exists():
            raise NOT_FOUND(kind=_("file"), key=self.name)
        return read(self.path, self.name)

    def progress(self) -> dict[str, Any]:
        """{stage, done, total, state: waiting|running|done|failed|broken, result?, error?}; broken: the process that ran it is gone."""
        try:
            found = json.loads((self.folder / "progress.json").read_text())
        except (OSError, ValueError):
            return {"state": "waiting", "stage": "", "done": 0, "total": 0}
        if found["state"] == "running" and time.time() - found["at"] > 120:
            found["state"] = "broken"
        return found

    def tell(self, **what: Any) -> None:
        part = self.folder / f".{new_id().hex[-8:]}"
        part.write_text(json.dumps({"stage": "", "done": 0, "total": 0, "at": time.time(), **what}, ensure_ascii=False, default=str))
        os.replace(part, self.folder / "progress.json")


def keep(actor: Any, declared: Register, file: Any, name: str) -> Upload:
    """Keep an uploaded file (with .size and .chunks()) until it is run or a day is over. kernel.too_large before a byte is copied."""
    _ready(declared)
    access.require(actor, declared.capability("write"))
    check_size(file.size)
    _sweep()
    upload = Upload(str(new_id()), declared.name, files.bare(name, 120), str(actor.account_id))
    upload.folder.mkdir(parents=True, mode=0o700)
    taken = 0
    with os.fdopen(os.open(upload.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        for chunk in file.chunks():
            taken += len(chunk)
            check_size(taken)
            out.write(chunk)
    (upload.folder / "upload.json").write_text(json.dumps(asdict(upload), ensure_ascii=False))
    return upload


def kept(actor: Any, token: str) -> Upload:
    """The upload of this token, if the actor brought it. kernel.not_found."""
    try:
        upload = Upload(**json.loads((settings.HOME / "imports" / str(UUID(str(token))) / "upload.json").read_text()))
    except (OSError, ValueError, TypeError):
        raise NOT_FOUND(kind=_("file"), key=str(token)[:40])
    if upload.account != str(actor.account_id):
        raise NOT_FOUND(kind=_("file"), key=token)
    return upload


def _sweep() -> None:
    folder = settings.HOME / "imports"
    for one in folder.iterdir() if folder.exists() else ():
        age = time.time() - one.stat().st_mtime
        if age > RESULT_KEPT_FOR.total_seconds() or (age > KEPT_FOR.total_seconds() and not (one / "progress.json").exists()):
            shutil.rmtree(one, ignore_errors=True)
        elif (one / "file").exists() and time.time() - (one / "file").stat().st_mtime > KEPT_FOR.total_seconds():
            (one / "file").unlink()


def earlier(declared: Register, most: int = 20) -> list[dict[str, Any]]:
    """What came of the last imports into a register, newest first: {upload, at, state, result?, error?}. Work on many entries has no head row."""
    _sweep()
    found = []
    for path in (settings.HOME / "imports").glob("*/upload.json"):
        try:
            upload = Upload(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        state = upload.progress()
        if upload.register == declared.name and (upload.folder / "head.json").exists() and state["state"] in ("done", "failed", "broken"):
            found.append({"upload": upload, "at": datetime.fromtimestamp(state["at"], UTC), "refused": (upload.folder / "refused.xlsx").exists(), **{name: state.get(name) for name in ("state", "result", "error")}})
    return sorted(found, key=lambda one: one["at"], reverse=True)[:most]


# Up to here an import runs while the browser waits; a longer one in the background, with its progress to be asked for.
AT_ONCE = 3000


def start_many(actor: Any, declared: Register, heading: str, total: int, do: Callable[[], str]) -> Upload:
    """Run a long act upon many rows (`do` answers what came of it) in a thread of its own: followed and stopped like an import, all of it or nothing."""
    from ..errors import Problem

    _sweep()
    job = Upload(str(new_id()), declared.name, heading, str(actor.account_id))
    job.folder.mkdir(parents=True, mode=0o700)
    (job.folder / "upload.json").write_text(json.dumps(asdict(job), ensure_ascii=False))
    language, began = translation.get_language(), time.time()

    def tell(done: int, whole: int) -> None:
        job.stopped()
        job.tell(state="running", stage="write", done=done, total=whole, began=began)

    def work() -> None:
        token = actions.watched.set(tell)
        with translation.override(language):
            try:
                job.tell(state="done", stage="done", done=total, total=total, words=do())
            except Problem as problem:
                job.tell(state="failed", error=problem.as_json()["error"])
            except Exception:
                job.tell(state="failed", error={"code": "kernel.unexpected", "message": _("Something went wrong on our side; nothing was taken over.")})
                raise
            finally:
                actions.watched.reset(token)
                connection.close()

    job.tell(state="running", stage="write", done=0, total=total, began=began)
    threading.Thread(target=work, name=f"many {declared.name}", daemon=True).start()
    return job


def start(act: Act, upload: Upload, sheet: Sheet, mapping: Mapping, *, wait: bool | None = None, **options: Any) -> None:
    """Run an upload's import; its progress and result are read from `upload.progress()`. Large ones run in a thread of their own;
    if the process dies, the database takes the transaction back and nothing is half-imported."""
    from ..errors import Problem

    declared = get(upload.register)
    if upload.account != str(act.actor.account_id):
        raise FORBIDDEN(capability=declared.capability("write"))
    actions.writable(act, declared)
    language = translation.get_language()
    last, began = [0.0], time.time()
    (upload.folder / "stop").unlink(missing_ok=True)

    def tell(stage: str, done: int, total: int) -> None:
        if time.monotonic() - last[0] > 0.3:
            last[0] = time.monotonic()
            upload.stopped()
            upload.tell(state="running", stage=stage, done=done, total=total, began=began)

    def work(threaded: bool) -> None:
        with translation.override(language):
            try:
                result = run(act, declared, sheet, mapping, progress=tell, **options)
                if result.refused:
                    from .exporting import refused_file

                    (upload.folder / "refused.xlsx").write_bytes(refused_file(act.actor, declared, sheet, mapping, result))
                upload.tell(state="done", stage="done", done=result.read, total=result.read, result={**result.as_json(), "refused": [fault.as_json() for fault in result.refused[:SHOWN]], "refused_cells": len(result.refused)})
            except Problem as problem:
                upload.tell(state="failed", error=problem.as_json()["error"])
            except Exception:
                upload.tell(state="failed", error={"code": "kernel.unexpected", "message": _("Something went wrong on our side; nothing was taken over.")})
                raise
            finally:
                if threaded:
                    connection.close()

    upload.tell(state="running", stage="check", done=0, total=len(sheet.rows))
    if wait is True or (wait is None and len(sheet.rows) <= AT_ONCE):
        work(False)
    else:
        threading.Thread(target=work, args=(True,), name=f"import {upload.register}", daemon=True).start()


__all__ = ["MAX_BYTES", "Judged", "Mapping", "Upload", "keep", "kept", "mapping_of", "preview", "propose", "read", "run", "start"]
