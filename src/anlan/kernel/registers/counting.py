"""How many listed rows lie in each cell of the map, kept beside every register, so that a map of a million rows counts a few thousand.

Triggers of the table write differences into `kernel_registercount`: what is true is their sum. Nobody waits for anybody, however
long an import stays open; once a day the differences are folded. The table follows from the rows alone, so no migration keeps
it: it is made and filled after each of them, and may be dropped at any time.
"""
from __future__ import annotations

from bisect import bisect_right
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
_PARTS = f"cell >> {SHIFT} AS cell, region_id AS region, floor(extract(epoch FROM verified_at) / {WEEK_S})::integer AS week"
_WHERE = "WHERE ended_at IS NULL AND cell IS NOT NULL"
_INTO = 'INSERT INTO kernel_registercount ("table", cell, region, week, number)'
# `table`: counted in; `cell`: the row's, shifted; `week`: of its last verification, since 1970, null: never.
_MADE = f"""
CREATE TABLE IF NOT EXISTS kernel_registercount ("table" text NOT NULL, cell bigint NOT NULL, region uuid, week integer, number integer NOT NULL);
CREATE INDEX IF NOT EXISTS register_count_cell ON kernel_registercount ("table", cell);
CREATE OR REPLACE FUNCTION kernel_register_counted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        DELETE FROM kernel_registercount WHERE "table" = TG_TABLE_NAME;
    ELSIF TG_OP = 'INSERT' THEN
        {_INTO} SELECT TG_TABLE_NAME, x.*, count(*) FROM (SELECT {_PARTS} FROM new_rows {_WHERE}) x GROUP BY cell, region, week;
    ELSIF TG_OP = 'DELETE' THEN
        {_INTO} SELECT TG_TABLE_NAME, x.*, -count(*) FROM (SELECT {_PARTS} FROM old_rows {_WHERE}) x GROUP BY cell, region, week;
    ELSE
        {_INTO} SELECT TG_TABLE_NAME, cell, region, week, sum(n) FROM (
            SELECT {_PARTS}, 1 AS n FROM new_rows {_WHERE} UNION ALL SELECT {_PARTS}, -1 FROM old_rows {_WHERE}
        ) x GROUP BY cell, region, week HAVING sum(n) <> 0;
    END IF;
    RETURN NULL;
END $$"""
_OLD, _NEW = "OLD TABLE AS old_rows", "NEW TABLE AS new_rows"
_TRIGGERS = (("insert", f"REFERENCING {_NEW}"), ("update", f"REFERENCING {_OLD} {_NEW}"), ("delete", f"REFERENCING {_OLD}"), ("truncate", ""))


def ensure() -> None:
    """After a migration, as the tables' owner: every register's table is counted, one that was not before is counted now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_MADE)
        for table in sorted({one.model._meta.db_table for one in REGISTERS.values() if issubclass(one.model, RegisterRow)}):
            cursor.execute("SELECT to_regclass(%s) IS NULL OR (SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname LIKE 'counted\\_%%') = %s", [f'"{table}"', f'"{table}"', len(_TRIGGERS)])
            if cursor.fetchone()[0]:  # counted already, or not made yet
                continue
            cursor.execute(f'LOCK TABLE "{table}" IN SHARE ROW EXCLUSIVE MODE')
            for event, seen in _TRIGGERS:
                cursor.execute(f'CREATE OR REPLACE TRIGGER counted_{event} AFTER {event} ON "{table}" {seen} FOR EACH STATEMENT EXECUTE FUNCTION kernel_register_counted()')
            cursor.execute('DELETE FROM kernel_registercount WHERE "table" = %s', [table])
            cursor.execute(f'{_INTO} SELECT %s, x.*, count(*) FROM (SELECT {_PARTS} FROM "{table}" {_WHERE}) x GROUP BY cell, region, week', [table])


def fold(act: Any = None) -> int:
    """Add the differences up (daily); returns how many lines it saved. Readers see the lines before or the lines after."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('kernel_registercount'))")
        cursor.execute('SELECT count(*), count(DISTINCT ("table", cell, region, week)) FROM kernel_registercount')
        lines, different = cursor.fetchone()
        if lines == different:
            return 0
        cursor.execute(f"""WITH gone AS (DELETE FROM kernel_registercount RETURNING "table", cell, region, week, number)
            {_INTO} SELECT "table", cell, region, week, sum(number) FROM gone GROUP BY 1, 2, 3, 4 HAVING sum(number) <> 0""")
        return lines - different


def cells(declared: Register, regions: set[UUID] | None, nowhere: bool, ranges: list[tuple[int, int]] | None) -> list[tuple[int, int, int]]:
    """(cell, rows, rows not verified lately) of the cells in `ranges`; `regions`: only these (and, with `nowhere`, rows without one). Cells as `cell >> SHIFT`."""
    table, fresh = declared.model._meta.db_table, declared.good_for
    where, given = ("", []) if regions is None else (f" AND (region = ANY(%s){' OR region IS NULL' if nowhere else ''})", [list(regions)])
    cut = clock.now() - (fresh or timedelta())
    week = int(cut.timestamp() // WEEK_S)
    with connection.cursor() as cursor:
        cursor.execute(
            f'SELECT cell, sum(number), coalesce(sum(number) FILTER (WHERE week IS NULL OR week < %s), 0) FROM kernel_registercount WHERE "table" = %s{where} GROUP BY cell',
            [week, table, *given],
        )
        found = {cell: [int(number), int(old)] for cell, number, old in cursor.fetchall() if number > 0}
        if fresh is not None:  # the week the limit falls in is counted row by row
            cursor.execute(
                f'SELECT cell >> {SHIFT}, count(*) FROM "{table}" {_WHERE} AND verified_at >= %s AND verified_at < %s{where.replace("region ", "region_id ")} GROUP BY 1',
                [datetime.fromtimestamp(week * WEEK_S, UTC), cut, *given],
            )
            for cell, number in cursor.fetchall():
                if cell in found:
                    found[cell][1] += number
    if ranges is not None:
        lows = [low >> SHIFT for low, _high in ranges]
        found = {cell: pair for cell, pair in found.items() if (at := bisect_right(lows, cell)) and cell <= ranges[at - 1][1] >> SHIFT}
    return [(cell, number, old if fresh is not None else 0) for cell, (number, old) in found.items()]
