"""Readings from files: Parquet, Arrow or CSV with station, time, value and, if there, arrival and source.

Times are ISO 8601 (without a zone: UTC) or whole epoch seconds, milli-, micro- or nanoseconds. A value that is empty or
not a number (NaN) is a report without a value and is left out; a row that cannot be read is told with its line.
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

NAMES = {
    "station": ("station", "sensor", "station_id", "id", "code"), "time": ("time", "t", "time_utc", "timestamp"), "value": ("value", "v"),
    "arrival": ("arrival", "arr", "received", "received_at"), "source": ("source",),
}
ROWS = 1 << 20
_EPOCHS = ((10**17, 10**9), (10**14, 10**6), (10**11, 10**3))  # from this size on it is counted in so many a second
_MOST = 1 << 40


class TableError(ValueError):
    """A file that cannot be read at all."""


@dataclass
class Names:
    """Ids in order of first appearance, each with a number."""

    number: dict[Any, int] = field(default_factory=dict)

    def of(self, column: pa.ChunkedArray | pa.Array) -> NDArray[np.int32]:
        """The number of each id; -1 for null."""
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        known = np.array([self.number.setdefault(name, len(self.number)) if name is not None else -1 for name in coded.dictionary.to_pylist()], np.int32)
        where = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        return np.r_[known, np.int32(-1)][where]


@dataclass
class Part:
    """Some rows of a file: station number (-1 = none), seconds, value (float64; NaN = none), receiver's time, source number."""

    station: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    arrival: NDArray[np.int64] | None
    source: NDArray[np.int32] | None


@dataclass
class Table:
    """A file being read: iterate `parts()`; afterwards the counts are whole."""

    path: Path
    stations: Names = field(default_factory=Names)
    sources: Names = field(default_factory=Names)
    rows: int = 0
    missing: int = 0
    bad: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)  # (line or row, why), the first ones
    time_form: str = ""  # "epoch:1", "epoch:1000" ..., "naive" or "zoned": how times are written out again
    faults_kept: int = 50

    def fault(self, line: int, why: str) -> None:
        self.bad += 1
        if len(self.faults) < self.faults_kept:
            self.faults.append((line, why))

    def parts(self) -> Iterator[Part]:
        for number, (columns, lines) in enumerate(self._columns()):
            if columns.num_rows or not number:
                yield self._part(columns, lines)

    # --- formats ---------------------------------------------------------------------------------------------------

    def _columns(self) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        suffix = self.path.suffix.lower()
        try:
            with self.path.open("rb") as stream:
                head = stream.read(4096)
        except OSError as error:
            raise TableError(f"{self.path}: {error.strerror}") from None
        try:
            if head[:4] == b"PAR1":
                import pyarrow.parquet as pq

                file = pq.ParquetFile(self.path)
                names = self._pick(file.schema_arrow.names)
                yield from self._numbered(file.iter_batches(ROWS, columns=list(names.values()), use_threads=False), names)
            elif head[:6] == b"ARROW1":
                with pa.memory_map(str(self.path)) as source:
                    reader = pa.ipc.open_file(source)
                    names = self._pick(reader.schema.names)
                    yield from self._numbered((reader.get_batch(i) for i in range(reader.num_record_batches)), names)
            elif suffix in (".arrow", ".arrows", ".ipc", ".feather") or head[:4] == b"\xff\xff\xff\xff":
                with pa.memory_map(str(self.path)) as source:
                    stream_reader = pa.ipc.open_stream(source)
                    names = self._pick(stream_reader.schema.names)
                    yield from self._numbered(stream_reader, names)
            else:
                yield from self._csv(head)
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self.path}: {error}") from None

    def _pick(self, found: list[str]) -> dict[str, str]:
        lower = {str(name).strip().lstrip("\ufeff").lower(): name for name in found}
        names = {}
        for role, words in NAMES.items():
            hit = next((lower[word] for word in words if word in lower), None)
            if hit is not None:
                names[role] = hit
        lacking = [role for role in ("station", "time", "value") if role not in names]
        if lacking:
            raise TableError(f"{self.path}: no column {', '.join(lacking)}; found {', '.join(map(str, found))}. Needed: station,time,value[,arrival]")
        return names

    def _numbered(self, batches: Any, names: dict[str, str]) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        row = 1
        for batch in batches:
            for start in range(0, batch.num_rows, ROWS):
                piece = batch.slice(start, ROWS)
                yield pa.table({role: piece[name] for role, name in names.items()}), np.arange(row, row + piece.num_rows)
                row += piece.num_rows

    def _csv(self, head: bytes) -> Iterator[tuple[pa.Table, NDArray[np.int64]]]:
        import pyarrow.csv as csv

        first = head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()
        if not head.strip():
            return
        comma = next((mark for mark in (",", ";", "\t") if mark in first), ",")
        words = [word.strip().strip('"').lower() for word in first.split(comma)]
        named = any(word in known for word in words for known in NAMES.values())
        if named:
            names = self._pick(words)
        else:
            words = ["station", "time", "value", "arrival", "source"][: len(words)]
            names = self._pick(words)
        skipped: list[int] = []

        def refuse(row: Any) -> str:
            line = row.number if row.number is not None else 0
            skipped.append(line)
            if row.text.strip():
                self.rows += 1
                self.fault(line, f"{row.actual_columns} fields, expected {row.expected_columns}: {row.text[:60]}")
            return "skip"

        reader = csv.open_csv(
            self.path,
            csv.ReadOptions(column_names=words, skip_rows=1 if named else 0, use_threads=False, block_size=1 << 24),
            csv.ParseOptions(delimiter=comma, ignore_empty_lines=False, invalid_row_handler=refuse),
            csv.ConvertOptions(column_types={word: pa.string() for word in words}, include_columns=list(names.values()), strings_can_be_null=True,
                               null_values=["", "NA", "NaN", "nan", "null", "NULL", "None"]),
        )
        read, at = 0, 1 if named else 0  # lines before the first row
        # The reader parses a block ahead: lines left out are settled against all that are known when a block comes.
        for batch in reader:
            count = batch.num_rows
            lines = np.arange(count) + read + at + 1
            for line in sorted(skipped):
                lines[lines >= line] += 1
            read += count
            piece = pa.table({role: batch[name] for role, name in names.items()})
            empty = pc.and_(pc.and_(pc.is_null(piece["station"]), pc.is_null(piece["time"])), pc.is_null(piece["value"]))
            if pc.any(empty).as_py():  # a blank line is nothing
                piece, lines = piece.filter(pc.invert(empty)), lines[~empty.to_numpy()]
            yield piece, lines

    # --- values ----------------------------------------------------------------------------------------------------

    def _part(self, table: pa.Table, lines: NDArray[np.int64]) -> Part:
        count = table.num_rows
        self.rows += count
        station = self._ids(table["station"], self.stations)
        time, time_why = self._times(table["time"], "time", lines)
        value, value_why = self._values(table["value"], lines)
        arrival = arrival_why = None
        if "arrival" in table.column_names:
            arrival, arrival_why = self._times(table["arrival"], "arrival", lines)
        ok = (time >= 0) & ~np.isinf(value)
        if arrival is not None:
            ok &= arrival >= 0
        ok &= station >= 0
        for i in np.flatnonzero(~ok).tolist():
            why = (time_why.get(i, "the time is missing") if time[i] < 0 else value_why.get(i, "the value is not finite") if math.isinf(value[i])
                   else "the station is missing" if station[i] < 0 else (arrival_why or {}).get(i, "the arrival is missing"))
            self.fault(int(lines[i]), why)
        missing = ok & np.isnan(value)
        self.missing += int(missing.sum())
        ok &= ~missing
        source = self._ids(table["source"], self.sources) if "source" in table.column_names else None
        if ok.all():
            return Part(station, time, value, arrival, source)
        return Part(station[ok], time[ok], value[ok], arrival[ok] if arrival is not None else None, source[ok] if source is not None else None)

    @staticmethod
    def _ids(column: pa.ChunkedArray, names: Names) -> NDArray[np.int32]:
        if pa.types.is_floating(column.type):
            column = pc.cast(column, pa.int64(), safe=False)
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.utf8_trim_whitespace(column)
        return names.of(column)

    def _values(self, column: pa.ChunkedArray, lines: NDArray[np.int64]) -> tuple[NDArray[np.float64], dict[int, str]]:
        why: dict[int, str] = {}
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            text = pc.utf8_trim_whitespace(column)
            try:
                return pc.cast(text, pa.float64()).fill_null(math.nan).to_numpy().astype(np.float64), why
            except pa.ArrowInvalid:
                out = np.full(len(text), math.nan)
                for i, word in enumerate(text.to_pylist()):
                    if word:
                        try:
                            out[i] = float(word)
                        except ValueError:
                            out[i], why[i] = math.inf, f"the value is no number: {word[:40]!r}"
                return out, why
        return pc.cast(column, pa.float64()).fill_null(math.nan).to_numpy().astype(np.float64), why

    def _times(self, column: pa.ChunkedArray, role: str, lines: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[int, str]]:
        """Whole seconds, -1 where there is none."""
        kind = column.type
        why: dict[int, str] = {}
        if pa.types.is_dictionary(kind):
            column, kind = pc.cast(column, kind.value_type), kind.value_type
        if pa.types.is_timestamp(kind):
            self._form(role, "zoned" if kind.tz else "naive")
            per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
            whole = pc.cast(column, pa.int64())
            return self._floor(whole.fill_null(-1).to_numpy(), per), why
        if pa.types.is_date(kind):
            self._form(role, "naive")
            return pc.cast(pc.cast(column, pa.timestamp("s")), pa.int64()).fill_null(-1).to_numpy(), why
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self._epoch(pc.cast(column, pa.int64(), safe=False).fill_null(-1).to_numpy(), role), why
        text = pc.utf8_trim_whitespace(column)
        try:
            return self._epoch(pc.cast(text, pa.int64()).fill_null(-1).to_numpy(), role), why
        except pa.ArrowInvalid:
            pass
        for zone in ("UTC", None):
            try:
                parsed = pc.cast(text, pa.timestamp("us", zone))
                self._form(role, "zoned" if zone else "naive")
                return self._floor(pc.cast(parsed, pa.int64()).fill_null(-1).to_numpy(), 10**6), why
            except pa.ArrowInvalid:
                continue
        coded = text.combine_chunks().dictionary_encode() if isinstance(text, pa.ChunkedArray) else text.dictionary_encode()
        known, broken = [], {}
        for place, word in enumerate(coded.dictionary.to_pylist()):
            try:
                known.append(self._one(word, role))
            except ValueError:
                known.append(-1)
                broken[place] = f"the {role} is neither ISO 8601 nor epoch seconds: {str(word)[:40]!r}"
        where = coded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
        out = np.r_[np.array(known, np.int64), np.int64(-1)][where]
        if broken:
            for i in np.flatnonzero(np.isin(where, list(broken))).tolist():
                why[i] = broken[int(where[i])]
        return out, why

    def _one(self, word: str, role: str) -> int:
        if word.lstrip("-").isdigit():
            return int(self._epoch(np.array([int(word)], np.int64), role)[0])
        at = datetime.fromisoformat(word)
        self._form(role, "zoned" if at.tzinfo else "naive")
        whole = math.floor((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
        if whole < 0:
            raise ValueError
        return whole

    def _epoch(self, whole: NDArray[np.int64], role: str) -> NDArray[np.int64]:
        typical = int(np.median(whole[whole >= 0])) if (whole >= 0).any() else 0
        per = next((per for size, per in _EPOCHS if typical >= size), 1)
        self._form(role, f"epoch:{per}")
        return self._floor(whole, per)

    @staticmethod
    def _floor(whole: NDArray[np.int64], per: int) -> NDArray[np.int64]:
        seconds = whole if per == 1 else whole // per
        return np.where((seconds < 0) | (seconds >= _MOST), -1, seconds).astype(np.int64)

    def _form(self, role: str, form: str) -> None:
        if role == "time" and not self.time_form:
            self.time_form = form

    def written(self, seconds: int) -> Any:
        """A time as this file writes times: epoch number or ISO text."""
        if self.time_form.startswith("epoch:"):
            return seconds * int(self.time_form[6:])
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return text if self.time_form == "naive" else text + "Z"


def grid_of(path: Path) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """(times, stations, values (T, N)) of a file in rows, or of a CSV with one column for each station; NaN = no report. For a network's
    reports of one interval length: what fits into memory as a grid."""
    import pyarrow.csv as csv

    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig") as file:
            head = [word.strip() for word in file.readline().split(",")]
        if head[0].lower() in NAMES["time"] and not any(word.lower() in NAMES["value"] for word in head):
            try:
                wide = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types={head[0]: pa.string(), **{word: pa.float64() for word in head[1:]}}))
            except pa.ArrowInvalid as error:
                raise TableError(f"{path}: {error}") from None
            values = np.column_stack([wide[word].to_numpy() for word in head[1:]])
            return wide[head[0]].to_pylist(), head[1:], values
    table = Table(path)
    parts = list(table.parts())
    station, time, value = (np.concatenate([getattr(part, name) for part in parts]) for name in ("station", "time", "value"))
    times, place = np.unique(time, return_inverse=True)
    values = np.full((len(times), len(table.stations.number)), math.nan)
    values[place, station] = value
    return [str(table.written(int(at))) for at in times], [str(name) for name in table.stations.number], values
