"""How many listed rows lie in each cell of the map, kept beside every register, so that a map of a million rows counts a few thousand.

They are counted besides by each value of what the list is most often narrowed by: codes, choices, yes or no.
Triggers of the table write differences into `kernel_registercount`: what is true is their sum. Nobody waits for anybody, however
long an import stays open; once a day the differences are folded. The table follows from the rows alone, so no migration keeps
it: it is made and filled after each of them, and may be dropped at any time.
"""
from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from .. import clock
from ..models import RegisterRow
from .declare import REGISTERS, Register

RESOLUTION = 6  # H3, edge 3.7 km: what windows wider than a county need; smaller ones count rows
SHIFT = 3 * (15 - RESOLUTION)
WEEK_S = 7 * 86_400
_COUNT = 'INSERT INTO kernel_registercount ("table", cell, region, week, field, value, number)'
_KEY = '"table", cell, region, week, field, value'
# `table`: counted in; `cell`: the row's, shifted; `week`: of its last verification, since 1970, null: never; `field`, `value`: of rows with
# this value in this field, both empty: of all rows.
_MADE = """
CREATE TABLE IF NOT EXISTS kernel_registercount (
    "table" text NOT NULL, cell bigint NOT NULL, region uuid, week integer, field text NOT NULL, value text NOT NULL, number integer NOT NULL
);
CREATE INDEX IF NOT EXISTS register_count_of ON kernel_registercount ("table", field, value)"""
_OLD, _NEW = "OLD TABLE AS old_rows", "NEW TABLE AS new_rows"
_TRIGGERS = (("insert", f"REFERENCING {_NEW}"), ("update", f"REFERENCING {_OLD} {_NEW}"), ("delete", f"REFERENCING {_OLD}"), ("truncate", ""))


def fields(declared: Register) -> list[str]:
    """The filters whose values are counted apart: codes, choices, yes or no."""
    return sorted(one.name for one in declared.all if one.filter and not one.many and one.of is None and one.kind in ("code", "choice", "bool"))


def _sums(declared: Register, *rows: tuple[str, int]) -> str:
    """SQL that adds up listed, placed rows by cell, region and week, and besides by the value of each counted field; `rows`: (of what, times what)."""
    names = fields(declared)
    columns = [f'"{declared.model._meta.get_field(name).column}"' for name in names]
    parts = ", ".join([f"cell >> {SHIFT} AS cell", "region_id AS region", f"floor(extract(epoch FROM verified_at) / {WEEK_S})::integer AS week", *(f"coalesce({column}::text, '') AS f{n}" for n, column in enumerate(columns))])
    read = " UNION ALL ".join(f"SELECT {parts}, {times} AS n FROM {name} WHERE ended_at IS NULL AND cell IS NOT NULL" for name, times in rows)
    which = lambda given, none: f"CASE {' '.join(f'WHEN grouping(f{n}) = 0 THEN {given(n)}' for n in range(len(names)))} ELSE {none} END" if names else none  # noqa: E731
    sets = ", ".join(["(cell, region, week)", *(f"(cell, region, week, f{n})" for n in range(len(names)))])
    field, value = which(lambda n: f"'{names[n]}'", "''"), which(lambda n: f"f{n}", "''")
    return f"{_COUNT} SELECT '{declared.model._meta.db_table}', cell, region, week, {field}, {value}, sum(n) FROM ({read}) x GROUP BY GROUPING SETS ({sets}) HAVING sum(n) <> 0"


def _function(declared: Register) -> str:
    """The trigger function of a register's table."""
    table = declared.model._meta.db_table
    return f"""
CREATE OR REPLACE FUNCTION "{table}_counted"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM kernel_registercount WHERE "table" = TG_TABLE_NAME;
    ELSIF TG_OP = 'INSERT' THEN
        {_sums(declared, ("new_rows", 1))};
    ELSIF TG_OP = 'DELETE' THEN
        {_sums(declared, ("old_rows", -1))};
    ELSE
        {_sums(declared, ("new_rows", 1), ("old_rows", -1))};
    END IF;
    RETURN NULL;
END $$"""


def ensure() -> None:
    """After a migration, as the tables' owner: every register's table is counted; one that was not before, or by other fields, is counted now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('kernel_registercount') IS NOT NULL AND NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('kernel_registercount') AND attname = 'field')")
        if cursor.fetchone()[0]:  # of before fields were counted
            cursor.execute("DROP TABLE kernel_registercount; DROP FUNCTION IF EXISTS kernel_register_counted() CASCADE")
        cursor.execute(_MADE)
        for table, declared in sorted({one.model._meta.db_table: one for one in REGISTERS.values() if issubclass(one.model, RegisterRow)}.items()):
            function = _function(declared)
            mark = hashlib.sha256(function.encode()).hexdigest()
            cursor.execute(
                "SELECT to_regclass(%s) IS NULL OR (SELECT count(*) FROM pg_trigger t WHERE t.tgrelid = to_regclass(%s) AND t.tgname LIKE 'counted\\_%%' AND obj_description(t.tgfoid) = %s) = %s",
                [f'"{table}"', f'"{table}"', mark, len(_TRIGGERS)],
            )
            done = cursor.fetchone()[0]  # counted already, or not made yet
            cursor.execute("SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = ANY(%s)", [f'"{table}"', [declared.model._meta.get_field(name).column for name in fields(declared)]])
            if done or cursor.fetchone()[0] < len(fields(declared)):  # its room's migrations are not through
                continue
            cursor.execute(f'LOCK TABLE "{table}" IN SHARE ROW EXCLUSIVE MODE')
            cursor.execute(function)
            cursor.execute(f'COMMENT ON FUNCTION "{table}_counted"() IS \'{mark}\'')
            for event, seen in _TRIGGERS:
                cursor.execute(f'CREATE OR REPLACE TRIGGER counted_{event} AFTER {event} ON "{table}" {seen} FOR EACH STATEMENT EXECUTE FUNCTION "{table}_counted"()')
            cursor.execute('DELETE FROM kernel_registercount WHERE "table" = %s', [table])
            cursor.execute(_sums(declared, (f'"{table}"', 1)))


def fold(act: Any = None) -> int:
    """Add the differences up (daily); returns how many lines it saved. Readers see the lines before or the lines after."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('kernel_registercount'))")
        cursor.execute(f"SELECT count(*), count(DISTINCT ({_KEY})) FROM kernel_registercount")
        lines, different = cursor.fetchone()
        if lines == different:
            return 0
        cursor.execute(f"WITH gone AS (DELETE FROM kernel_registercount RETURNING {_KEY}, number) {_COUNT} SELECT {_KEY}, sum(number) FROM gone GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(number) <> 0")
        return lines - different


def cells(
    declared: Register, regions: set[UUID] | None, nowhere: bool, ranges: list[tuple[int, int]] | None, field: str = "", wanted: Sequence[str] = ("",),
) -> list[tuple[int, int, int]]:
    """(cell, rows, rows not verified lately) of the cells in `ranges`; `regions`: only these (and, with `nowhere`, rows without one); `field`, `wanted`:
    only rows with one of these values in it. Cells as `cell >> SHIFT`."""
    table, fresh = declared.model._meta.db_table, declared.good_for
    where, given = ("", []) if regions is None else (f" AND (region = ANY(%s){' OR region IS NULL' if nowhere else ''})", [list(regions)])
    cut = clock.now() - (fresh or timedelta())
    week = int(cut.timestamp() // WEEK_S)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT cell, sum(number), coalesce(sum(number) FILTER (WHERE week IS NULL OR week < %s), 0) FROM kernel_registercount
                WHERE "table" = %s AND field = %s AND value = ANY(%s){where} GROUP BY cell""",
            [week, table, field, list(wanted), *given],
        )
        found = {cell: [int(number), int(old)] for cell, number, old in cursor.fetchall() if number > 0}
        if fresh is not None:  # the week the limit falls in is counted row by row
            narrower = f""" AND coalesce("{declared.model._meta.get_field(field).column}"::text, '') = ANY(%s)""" if field else ""
            cursor.execute(
                f"""SELECT cell >> {SHIFT}, count(*) FROM "{table}" WHERE ended_at IS NULL AND cell IS NOT NULL AND verified_at >= %s AND verified_at < %s
                    {where.replace("region ", "region_id ")}{narrower} GROUP BY 1""",
                [datetime.fromtimestamp(week * WEEK_S, UTC), cut, *given, *([list(wanted)] if field else [])],
            )
            for cell, number in cursor.fetchall():
                if cell in found:
                    found[cell][1] += number
    if ranges is not None:
        lows = [low >> SHIFT for low, _high in ranges]
        found = {cell: pair for cell, pair in found.items() if (at := bisect_right(lows, cell)) and cell <= ranges[at - 1][1] >> SHIFT}
    return [(cell, number, old if fresh is not None else 0) for cell, (number, old) in found.items()]
