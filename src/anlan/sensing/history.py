"""The bulk tables: readings go in by COPY, roll-ups move with them, sums and long curves come out of the roll-ups.

Called by `actions` (the writing part, inside its transactions) and by `queries`. Where a partition begins and ends is in
`sensing_part`; how long a new one is, in the setting ANLAN_READINGS_PART.
"""
from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import connection

from .quantities import DOUBTFUL, QUANTITIES

HOUR, DAY, FINE = 3600, 86400, 300
EPOCH = 946_684_800  # 2000-01-01, from which PostgreSQL counts
# A row of COPY ... (FORMAT BINARY): the number of fields, then each with its length in front, all big-endian.
_ROW = np.dtype([("n", ">i2")] + [(name, kind) for field, kind in (("series", ">i8"), ("time", ">i8"), ("value", ">i8"), ("received", ">i8"), ("flags", ">i2"))
                                  for name, kind in ((f"{field}_length", ">i4"), (field, kind))])
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0), struct.pack(">h", -1)


def moment(seconds: int) -> datetime:
    """Aware UTC of whole seconds since 1970."""
    return datetime.fromtimestamp(int(seconds), UTC)


def array(numbers: Iterable[int | None]) -> str:
    """Whole numbers as PostgreSQL writes an array. The driver quotes lists element by element, in Python: ten times slower."""
    return "{" + ",".join(map(str, numbers)).replace("None", "NULL") + "}"


def texts(words: Iterable[str | None]) -> str:
    """The same of texts."""
    return "{" + ",".join("NULL" if word is None else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "}"


# --- partitions ------------------------------------------------------------------------------------------------------


Parts = dict[str, list[tuple[int, int]]]  # by table: (first, after) of partitions that were there when last looked


def make_parts(parent: str, seconds: np.ndarray, unit: str, known: Parts | None = None) -> None:
    """See to it that every one of these instants has its partition. `known` is asked first, and brought up to date."""
    low, high = int(seconds.min()), int(seconds.max())
    if known is not None and any(first <= low and high < after for first, after in known.get(parent, ())):
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(extract(epoch FROM first), -1)::bigint, extract(epoch FROM after)::bigint FROM sensing_part WHERE parent = %s", [parent])
        parts = cursor.fetchall()
        if known is not None:
            known[parent] = parts
        lacking = np.ones(len(seconds), bool)
        for first, after in parts:
            lacking &= (seconds < first) | (seconds >= after)
        while lacking.any():
            at = int(seconds[lacking].min())
            cursor.execute("SELECT sensing_make_part(%s, to_timestamp(%s), %s)", [parent, at, unit])
            cursor.execute("SELECT extract(epoch FROM after)::bigint FROM sensing_part WHERE parent = %s AND first <= to_timestamp(%s) AND after > to_timestamp(%s)", [parent, at, at])
            lacking &= seconds >= cursor.fetchone()[0]  # type: ignore[index]
            for first, after in parts:
                lacking &= (seconds < first) | (seconds >= after)


# --- writing ---------------------------------------------------------------------------------------------------------


def store(series: np.ndarray, time: np.ndarray, value: np.ndarray, flags: np.ndarray, received: datetime, known: Parts | None = None) -> None:
    """Readings that are not there yet, by series key. IntegrityError when one of them is."""
    make_parts("sensing_reading", time, settings.READINGS_PART, known)
    rows = np.empty(len(series), _ROW)
    rows["n"] = 5
    for name, length in (("series", 8), ("time", 8), ("value", 8), ("received", 8), ("flags", 2)):
        rows[f"{name}_length"] = length
    rows["series"], rows["time"], rows["value"], rows["flags"] = series, (time - EPOCH) * 1_000_000, value, flags
    rows["received"] = round((received - datetime(2000, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))
    with connection.cursor() as cursor, connection.wrap_database_errors, \
            cursor.copy("COPY sensing_reading (series_id, time, value, received_at, flags) FROM STDIN (FORMAT BINARY)") as copy:  # type: ignore[attr-defined]
        copy.write(_HEAD)
        copy.write(rows.tobytes())
        copy.write(_TAIL)


def roll_up(series: np.ndarray, time: np.ndarray, value: np.ndarray, flags: np.ndarray, fine: np.ndarray, known: Parts | None = None) -> None:
    """Add readings just stored to their hours and days, and to five minutes where `fine`; in one statement."""
    parts: list[list[np.ndarray]] = []
    for span, chosen in ((HOUR, slice(None)), (DAY, slice(None)), (FINE, fine)):
        s, t, v, f = series[chosen], time[chosen], value[chosen], flags[chosen]
        if not len(s):
            continue
        start = (t - 1) // span * span
        order = np.lexsort((t, start, s))
        s, t, v, f, start = s[order], t[order], v[order], f[order], start[order]
        heads = np.flatnonzero(np.r_[True, (s[1:] != s[:-1]) | (start[1:] != start[:-1])])
        tails = np.r_[heads[1:], len(s)] - 1
        doubtful = (f & DOUBTFUL) != 0
        # What is not believed is counted and seen in lowest and highest, and adds nothing to a sum.
        parts.append([
            s[heads], np.full(len(heads), span), start[heads], t[heads], t[tails], tails - heads + 1, np.add.reduceat(doubtful.astype(np.int64), heads),
            np.bitwise_or.reduceat(f, heads), np.add.reduceat(np.where(doubtful, 0, v), heads), np.minimum.reduceat(v, heads), np.maximum.reduceat(v, heads),
        ])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    make_parts("sensing_rollup", columns[2], "year", known)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO sensing_rollup AS r (series_id, span_s, start, first, last, count, flagged, flags, sum, lowest, highest) "
            "SELECT x.s, x.p, to_timestamp(x.b), to_timestamp(x.a), to_timestamp(x.z), x.n, x.d, x.f, x.t, x.l, x.h FROM unnest(%s::bigint[], %s::int[], %s::bigint[], "
            "%s::bigint[], %s::bigint[], %s::int[], %s::int[], %s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS x(s, p, b, a, z, n, d, f, t, l, h) "
            "ON CONFLICT (series_id, span_s, start) DO UPDATE SET first = least(r.first, excluded.first), last = greatest(r.last, excluded.last), "
            "count = r.count + excluded.count, flagged = r.flagged + excluded.flagged, flags = r.flags | excluded.flags, sum = r.sum + excluded.sum, "
            "lowest = least(r.lowest, excluded.lowest), highest = greatest(r.highest, excluded.highest)",
            [array(column.tolist()) for column in columns],
        )


def recount(series: int, first: datetime, last: datetime) -> None:
    """Make the roll-ups of (first, last] anew from the readings: their flags were changed."""
    with connection.cursor() as cursor:
        for span in (HOUR, DAY, FINE):
            low, high = (int(first.timestamp()) - 1) // span * span, -(-int(last.timestamp()) // span) * span
            cursor.execute(
                "UPDATE sensing_rollup u SET sum = x.total, flagged = x.doubted, flags = x.flags FROM (SELECT (extract(epoch FROM time)::bigint - 1) / %s * %s AS start, "
                "coalesce(sum(value) FILTER (WHERE flags & %s = 0), 0)::bigint AS total, count(*) FILTER (WHERE flags & %s <> 0) AS doubted, bit_or(flags) AS flags "
                "FROM sensing_reading WHERE series_id = %s AND time > to_timestamp(%s) AND time <= to_timestamp(%s) GROUP BY 1) AS x "
                "WHERE u.series_id = %s AND u.span_s = %s AND u.start = to_timestamp(x.start)",
                [span, span, DOUBTFUL, DOUBTFUL, series, low, high, series, span],
            )


# --- reading ---------------------------------------------------------------------------------------------------------


def _pieces(start: datetime, end: datetime) -> list[tuple[int, datetime, datetime]]:
    """(span, from, to) that make up (start, end]: whole days, whole hours, and 0 for single readings at the edges."""
    out: list[tuple[int, datetime, datetime]] = []

    def cover(low: int, high: int, spans: tuple[int, ...]) -> None:
        if low >= high:
            return
        if not spans:
            out.append((0, moment(low), moment(high)))
            return
        span, rest = spans[0], spans[1:]
        first, last = -(-low // span) * span, high // span * span
        if first >= last:
            cover(low, high, rest)
            return
        cover(low, first, rest)
        out.append((span, moment(first), moment(last)))
        cover(last, high, rest)

    cover(int(start.timestamp()), int(end.timestamp()), (DAY, HOUR))
    return out


def summed(start: datetime, end: datetime) -> tuple[str, list[Any]]:
    """SQL of a table (sum, count, first, last) over (start, end] of the series `s.id`, to stand behind LATERAL, and its values."""
    parts, values = [], []
    for span, low, high in _pieces(start, end):
        if span:
            parts.append("SELECT sum, count, first, last FROM sensing_rollup WHERE series_id = s.id AND span_s = %s AND start >= %s AND start < %s")
            values += [span, low, high]
        else:
            parts.append("SELECT CASE WHEN flags & %s = 0 THEN value ELSE 0 END, 1, time, time FROM sensing_reading WHERE series_id = s.id AND time > %s AND time <= %s")
            values += [DOUBTFUL, low, high]
    inner = " UNION ALL ".join(parts) or "SELECT 0::bigint, 0, NULL::timestamptz, NULL::timestamptz WHERE false"
    return f"(SELECT sum(p.sum)::bigint AS sum, sum(p.count)::bigint AS count, min(p.first) AS first, max(p.last) AS last FROM ({inner}) AS p(sum, count, first, last))", values


def coarse(series: int, start: datetime, end: datetime, most: int) -> tuple[int, list[tuple[datetime, int, int, int, int, int]]]:
    """(span, [(end of span, sum, count, lowest, highest, flags)]) over about (start, end], the finest in which there are at most `most`."""
    seconds = (end - start).total_seconds()
    for base, times in ((HOUR, (1, 2, 3, 6, 12)), (DAY, (1, 7, 30))):
        for each in times:
            if seconds / (base * each) <= most:
                return base * each, _grouped(series, start, end, base, base * each)
    return DAY * 30, _grouped(series, start, end, DAY, DAY * 30)


def _grouped(series: int, start: datetime, end: datetime, base: int, span: int) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT to_timestamp((extract(epoch FROM start)::bigint / %s + 1) * %s), sum(sum)::bigint, sum(count)::bigint, min(lowest), max(highest), bit_or(flags) "
            "FROM sensing_rollup WHERE series_id = %s AND span_s = %s AND start >= %s AND start < %s GROUP BY 1 ORDER BY 1",
            [span, span, series, base, moment(int(start.timestamp()) // span * span), end],
        )
        return cursor.fetchall()


# --- out -------------------------------------------------------------------------------------------------------------

_OUT = np.dtype([("n", ">i2")] + [(name, kind) for field, kind in (("series", ">i8"), ("time", ">i8"), ("value", ">i8"), ("flags", ">i2"))
                                  for name, kind in ((f"{field}_length", ">i4"), (field, kind))])
ROWS = 1 << 20


def rows(start: datetime, end: datetime, series: list[int]) -> Iterator[np.ndarray]:
    """Readings in [start, end) of these series, by event time within a partition, as arrays with series, time (s), value, flags."""
    names: list[tuple[datetime, datetime]]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT CASE WHEN first < %s THEN %s ELSE first END, least(after, %s) FROM sensing_part WHERE parent = 'sensing_reading' AND first < %s AND after > %s ORDER BY first",
            [start, start, end, end, start],
        )
        names = cursor.fetchall()
        for low, high in names:
            held = bytearray()
            with cursor.copy(  # type: ignore[attr-defined]
                "COPY (SELECT series_id, extract(epoch FROM time)::bigint, value, flags FROM sensing_reading WHERE time >= %s AND time < %s AND series_id = ANY(%s) "
                "ORDER BY time, series_id) TO STDOUT (FORMAT BINARY)", [low, high, series],
            ) as copy:
                begun = False
                for data in copy:
                    held += data
                    if not begun and len(held) >= len(_HEAD):
                        del held[: len(_HEAD)]
                        begun = True
                    if len(held) >= ROWS * _OUT.itemsize:
                        yield np.frombuffer(bytes(held[: ROWS * _OUT.itemsize]), _OUT)
                        del held[: ROWS * _OUT.itemsize]
            if len(held) > len(_TAIL):
                yield np.frombuffer(bytes(held[: -len(_TAIL)]), _OUT)


def export(path: Path, realm: UUID, start: datetime, end: datetime, *, codes: list[str] | None = None, quantity: str = "") -> tuple[int, str]:
    """Write readings in [start, end) as Parquet (station, quantity, time, value, unit, flags); how many, and the file's SHA-256.

    `anlan sense file` reads what it writes.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.id, t.code, s.quantity FROM sensing_series s JOIN sensing_station t ON t.id = s.station_id WHERE s.realm_id = %s "
            "AND (%s::text[] IS NULL OR t.code = ANY(%s)) AND (%s = '' OR s.quantity = %s) ORDER BY s.id",
            [realm, codes, codes, quantity, quantity],
        )
        known = cursor.fetchall()
    keys = np.array([key for key, _code, _quantity in known], np.int64)
    stations, of_station = np.unique(np.array([code for _key, code, _quantity in known], str), return_inverse=True)
    kinds = list(QUANTITIES)
    of_kind = np.array([kinds.index(what) for _key, _code, what in known], np.int32)
    quantum = np.array([QUANTITIES[what].quantum for what in kinds])
    words = pa.string()
    schema = pa.schema([("station", pa.dictionary(pa.int32(), words)), ("quantity", pa.dictionary(pa.int32(), words)), ("time", pa.timestamp("s", "UTC")),
                        ("value", pa.float64()), ("unit", pa.dictionary(pa.int32(), words)), ("flags", pa.int16())])
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in rows(start, end, keys.tolist()) if len(keys) else ():
            place = np.searchsorted(keys, part["series"].astype(np.int64))
            kind = of_kind[place]
            coded = [pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), pa.array(names, words)) for index, names in
                     ((of_station[place], stations.tolist()), (kind, kinds), (kind, [QUANTITIES[what].unit for what in kinds]))]
            value = np.round(part["value"].astype(np.int64) * quantum[kind], 6)
            writer.write_batch(pa.record_batch(
                [coded[0], coded[1], pa.array(part["time"].astype(np.int64), pa.int64()).cast(pa.timestamp("s", "UTC")), pa.array(value), coded[2],
                 pa.array(part["flags"].astype(np.int16))], schema=schema,
            ))
            count += len(part)
    with path.open("rb") as file:
        return count, "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


# --- forgetting ------------------------------------------------------------------------------------------------------


def whole_before(before: datetime) -> list[str]:
    """Partitions of readings that end before an instant and hold nothing that came in since."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, greatest(first, 'epoch'), after FROM sensing_part WHERE parent = 'sensing_reading' AND after <= %s ORDER BY after", [before])
        found = []
        for name, first, after in cursor.fetchall():
            cursor.execute("SELECT EXISTS (SELECT 1 FROM sensing_reading WHERE time >= %s AND time < %s AND received_at >= %s)", [first, after, before])
            if not cursor.fetchone()[0]:  # type: ignore[index]
                found.append(name)
        return found


def drop(name: str) -> tuple[int, datetime, datetime, str] | None:
    """Drop a partition of readings: (how many, first and last event time, SHA-256 over `series time value flags` in order); None when it was empty."""
    digest, count = hashlib.sha256(), 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(first, 'epoch'), after FROM sensing_part WHERE name = %s", [name])
        span = cursor.fetchone()
        cursor.execute("SELECT min(time), max(time) FROM sensing_reading WHERE time >= %s AND time < %s", span)
        first, last = cursor.fetchone() or (None, None)
        if first is not None:
            with cursor.copy(  # type: ignore[attr-defined]
                "COPY (SELECT series_id, extract(epoch FROM time)::bigint, value, flags FROM sensing_reading WHERE time >= %s AND time < %s ORDER BY series_id, time) "
                "TO STDOUT (DELIMITER ' ')", span,
            ) as copy:
                for line in copy:
                    data = bytes(line)
                    digest.update(data)
                    count += data.count(b"\n")
        cursor.execute("SELECT sensing_drop_part(%s)", [name])
    return (count, first, last, f"sha256:{digest.hexdigest()}") if first is not None else None
