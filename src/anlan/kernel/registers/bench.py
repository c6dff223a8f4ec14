"""What a register costs: import of 100,000 rows, list, filter, search and map at 1,000,000, beside a stock Django admin.

`bench()` fills the register of rescue teams of an empty installation; it touches none that holds rows. The stock side is run by
`tools/stock_admin.py` on the same table in the same run, where that file and django-import-export are installed.
"""
from __future__ import annotations

import csv
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import psycopg
from django.conf import settings
from django.db import connection

from anlan.engines.text import document_tokens

from .. import realms
from ..actions import Act, Actor
from ..ids import new_id
from ..models import Region, RegionLink
from . import actions, exporting, importing, queries, reading, values
from .declare import get

TEAM = "resources.team"
MILLION = 1_000_000
IMPORTED = 100_000
STOCK_IMPORTED = 500
REPEATS = 15
Row = dict[str, Any]


def _row(figure: str, value: float | None, unit: str, note: str = "") -> Row:
    return {"figure": f"registers: {figure}", "value": value, "unit": unit, "note": note}


class Spent:
    """Wall time and processor time: of this process and of the database's (workers and whatever else it did meanwhile), where it runs here."""

    def __init__(self) -> None:
        self.server = None
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            try:
                self.server = psutil.Process(cursor.fetchone()[0]).parent()
            except psutil.Error:
                pass
        if self.server is not None and "postgres" not in self.server.name():
            self.server = None
        self.began = self._now()

    def _now(self) -> tuple[float, float, float]:
        theirs = 0.0
        if self.server is not None:
            own = self.server.cpu_times()
            theirs = own.children_user + own.children_system
            for child in self.server.children():
                try:
                    times = child.cpu_times()
                except psutil.Error:
                    continue
                theirs += times.user + times.system
        return time.perf_counter(), time.process_time(), theirs

    def so_far(self) -> tuple[float, float, float]:
        """(seconds, processor seconds here, processor seconds of the database)"""
        wall, here, there = (now - then for now, then in zip(self._now(), self.began, strict=True))
        return wall, here, there

    def words(self, times: int = 1, unit: str = "s") -> str:
        _wall, here, there = (part / times * (1000 if unit == "ms" else 1) for part in self.so_far())
        return f"processor {here + there:.{0 if unit == 'ms' else 1}f} {unit}" + (f", {there:.{0 if unit == 'ms' else 1}f} of it the database's" if self.server else " without the database's")


def _owner() -> Any:
    """A connection that may drop and build indexes: the application's own role may not."""
    url = os.environ.get("DATABASE_ADMIN_URL") or settings.ADDRESSES.get("database_admin")
    to = connection.settings_dict
    return psycopg.connect(url, autocommit=True) if url else psycopg.connect(
        host=to["HOST"] or None, port=to["PORT"] or None, user=to["USER"] or None, password=to["PASSWORD"] or None, dbname=to["NAME"], autocommit=True
    )


def _regions() -> list[tuple[Any, float, float]]:
    """A city of ten counties of ten towns, each with its south-west corner."""
    from .. import places

    city = Region.objects.create(name="测量市", kind="city")
    towns = []
    for number in range(10):
        county = Region.objects.create(name=f"测量{number}县", kind="county")
        RegionLink.objects.create(parent=city, child=county)
        for part in range(10):
            town = Region.objects.create(name=f"测量{number}县{part}镇", kind="town")
            RegionLink.objects.create(parent=county, child=town)
            towns.append((town.pk, 118.0 + 0.2 * number, 27.0 + 0.2 * part))
    places.rebuild_paths()
    return towns


WORDS = "应急 消防 水域 山岳 矿山 森林 防汛 医疗 通信 电力 燃气 道路 危化 蓝天 民兵 青年 志愿 特勤 机动 综合".split()
KINDS = [("fire", 5), ("government", 10), ("department", 15), ("enterprise", 25), ("township", 30), ("social", 15)]


def fill(towns: list[tuple[Any, float, float]], count: int = MILLION, seed: int = 1) -> float:
    """Put `count` rows into the table by COPY and build its indexes; returns the seconds it took. Names, regions, kinds and places as a province has them."""
    chance = random.Random(seed)
    declared = get(TEAM)
    table = declared.model._meta.db_table
    kinds = [kind for kind, weight in KINDS for _n in range(weight)]
    names = [f"{chance.choice(WORDS)}{chance.choice(WORDS)}{chance.choice(['救援队', '抢险队', '大队', '中队', '分队'])}" for _n in range(1500)]
    tokens = {name: sorted(document_tokens(name, name=True)) for name in names}
    started = time.perf_counter()
    from ..models.base import home

    keeper = str(home())
    columns = [
        "id", "version", "home", "created_at", "region_id", "lon", "lat", "cell", "words", "left", "changed_xid", "changed_seq", "code", "name", "kind", "members", "readiness", "leader",
        "leader_phone", "verified_at",
    ]
    given = set(columns)
    model_columns = {column.attname: column for column in declared.model._meta.concrete_fields}
    constant = {}
    for name, column in model_columns.items():
        if name not in given:
            default = column.get_default()
            constant[name] = json.dumps(default) if isinstance(default, (list, dict)) else default
    with _owner() as owner, owner.cursor() as cursor:
        # Defaults for the columns the measurement does not vary: COPY then names only those it does.
        for name, default in constant.items():
            if default is not None:
                cursor.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{model_columns[name].column}" SET DEFAULT {_literal(default)}')
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s AND indexdef NOT LIKE 'CREATE UNIQUE%%'", [table])
        indexes = cursor.fetchall()
        for name, _made in indexes:  # built afterwards: a third of the time
            cursor.execute(f'DROP INDEX "{name}"')
        with cursor.copy(f'COPY "{table}" ({", ".join(chr(34) + model_columns[name].column + chr(34) for name in columns)}) FROM STDIN') as copy:
            block = []
            for number in range(count):
                region, west, south = towns[chance.randrange(len(towns))]
                lon, lat = west + chance.random() * 0.2, south + chance.random() * 0.2
                name, code = chance.choice(names), f"B{number:07}"
                words = actions.tsvector([*tokens[name], code.lower()])
                verified = "\\N" if number % 3 else f"2026-{1 + number % 11:02}-01"
                block.append("\t".join((
                    str(new_id()), "1", keeper, "2026-01-01", str(region), f"{lon:.6f}", f"{lat:.6f}", str(values.cell(lon, lat)), words, "{}", "0", "0", code,
                    name, chance.choice(kinds), str(chance.randrange(3, 200)), "standby", "王某", f"138{number:08}", verified,
                )))
                if len(block) == 5000:
                    copy.write(("\n".join(block) + "\n").encode())
                    block.clear()
            if block:
                copy.write(("\n".join(block) + "\n").encode())
        for _name, made in indexes:
            cursor.execute(made)
        took = time.perf_counter() - started
        cursor.execute(f'VACUUM (ANALYZE) "{table}"')
        cursor.execute("VACUUM (ANALYZE) kernel_registercount")
    return took


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


def _timed(what: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, float, str]:
    """(median, worst) milliseconds, and the processor time of one."""
    what()
    times = []
    spent = Spent()
    for _n in range(repeats):
        started = time.perf_counter()
        what()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times), max(times), spent.words(repeats, "ms")


def reads(viewer: Any, county: Any) -> list[Row]:
    """List, filter, search, sort and map, as the page asks for them: rows fetched and made into what the reader may see."""
    declared = get(TEAM)
    columns = [one.name for one in declared.all if one.column]

    def page(**ask: Any) -> Callable[[], Any]:
        return lambda: queries.lines(viewer, declared, queries.listed(viewer, declared, **ask).rows, columns)

    def window(bbox: str, zoom: float, **ask: Any) -> Callable[[], Any]:
        return lambda: queries.clusters(viewer, declared, bbox=bbox, zoom=zoom, **ask)

    whole = "117.8,26.8,120.2,29.2"
    asked: list[tuple[str, Callable[[], Any], str]] = [
        ("list, first page", page(), "50 rows, count estimated"),
        ("list, page 150", page(page=150), ""),
        ("list sorted by members, downwards", page(sort="-members"), ""),
        ("filter by kind (5 % of the rows)", page(filters={"kind": "fire"}), ""),
        ("filter by county (10 %)", page(filters={"region": str(county)}), "its subtree of eleven regions"),
        ("filter by county and kind (0.5 %)", page(filters={"region": str(county), "kind": "fire"}), "exact count"),
        ("filter: not verified lately", page(filters={"stale": "yes"}), ""),
        ("search, a common word", page(q="消防"), "about 10 % of the rows"),
        ("search, a common word, page 150", page(q="消防", page=150), "all that have it sorted"),
        ("search, pinyin initials of two words", page(q="xfsy"), "prefix"),
        ("search, one row by its code", page(q="B0123456"), ""),
        ("search that finds nothing", page(q="蓬莱仙岛"), ""),
        ("map, the whole city", window(whole, 8), "every row counted, clusters exact, by the kept counts"),
        ("map, the whole city, one kind", window(whole, 8, filters={"kind": "fire"}), "by the kept counts"),
        ("map, the whole city, not verified lately", window(whole, 8, filters={"stale": "yes"}), "by the kept counts"),
        ("map, the whole city, a common word", window(whole, 8, q="消防"), "about 10 % of the rows, each looked at"),
        ("map, a county", window("118.4,27.0,118.6,29.0", 10), ""),
        ("map, a street", window("118.41,27.51,118.43,27.53", 15), "single rows"),
        ("one row with its history", lambda: queries.history(viewer, declared, first), ""),
    ]
    first = queries.listed(viewer, declared).rows[0].pk
    found = []
    for name, what, note in asked:
        middle, worst, spent = _timed(what)
        found.append(_row(f"{name}, at 1,000,000 rows, p50", round(middle, 1), "ms", "; ".join(part for part in (note, f"worst of {REPEATS}: {worst:.0f} ms", spent) if part)))
    return found


def sheet_of(path: Path, count: int, towns: list[tuple[Any, float, float]], first: int = 0) -> None:
    """A spreadsheet of teams as an office sends it."""
    chance = random.Random(2)
    head = ["队伍编号", "队伍名称", "类型", "所在区域", "人数", "成立日期", "负责人", "负责人电话", "经度", "纬度", "备注"]

    def lines() -> Any:
        for number in range(first, first + count):
            _region, west, south = towns[chance.randrange(len(towns))]
            yield [
                f"I{number:07}", f"{chance.choice(WORDS)}{chance.choice(WORDS)}第{number}救援队", chance.choice(KINDS)[0], f"测量{round((west - 118) / 0.2)}县", chance.randrange(3, 200), "2019年3月1日", "王某", f"139{number:08}",
                round(west + chance.random() * 0.2, 6), round(south + chance.random() * 0.2, 6), "入库装备齐全",
            ]

    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([head, *lines()])
    else:
        path.write_bytes(exporting._book("teams", head, lines(), ""))


def imports(act: Any, towns: list[tuple[Any, float, float]], folder: Path) -> list[Row]:
    declared = get(TEAM)
    found = []
    path = folder / "teams.xlsx"
    sheet_of(path, IMPORTED, towns)
    spent = Spent()
    sheet = reading.read(path)
    read = spent.so_far()[0]
    mapping = importing.propose(declared, sheet)
    done = importing.run(Act(act.actor, act.realm), declared, sheet, mapping)
    assert done.written == IMPORTED, (done.written, done.refused[:3])
    found.append(_row(
        "import of 100,000 rows from .xlsx, whole", round(spent.so_far()[0], 1), "s",
        f"11 columns, {path.stat().st_size // 2**20} MB; reading the file {read:.1f} s of it; into a table of 1,000,000 with its indexes, history and search; fsync on; {spent.words()}",
    ))
    spent = Spent()
    again = importing.run(Act(act.actor, act.realm), declared, sheet, mapping)
    assert again.unchanged == IMPORTED
    found.append(_row("the same file again: nothing to do", round(again.seconds, 1), "s", spent.words()))
    sheet_of(path, IMPORTED, towns, first=IMPORTED)
    sheet, spent = reading.read(path), Spent()
    seen = importing.preview(act.actor, declared, sheet, mapping)
    assert seen.new == IMPORTED
    found.append(_row("preview of 100,000 rows", round(spent.so_far()[0], 1), "s", f"judged whole, nothing written; {spent.words()}"))
    return found


def stock(folder: Path, towns: list[tuple[Any, float, float]], county: Any) -> list[Row]:
    """Django's admin and django-import-export on the same table, in a process of their own with settings of their own."""
    tool = Path(__file__).resolve().parents[4] / "tools" / "stock_admin.py"
    path = folder / "stock.csv"
    sheet_of(path, STOCK_IMPORTED, towns, first=5_000_000)
    if not tool.exists():
        return [_row("stock Django admin", None, "ms", "tools/stock_admin.py is not here (an installed package)")]
    to = connection.settings_dict
    url = f"postgresql://{to['USER']}@{'' if str(to['HOST']).startswith('/') else to['HOST']}{':' + str(to['PORT']) if to['PORT'] else ''}/{to['NAME']}" + (f"?host={to['HOST']}" if str(to["HOST"]).startswith("/") else "")
    table = get(TEAM).model._meta.db_table
    with _owner() as owner:  # a stock table has a plain index on its key; ours is of listed rows only and would not serve
        owner.execute(f'CREATE INDEX stock_code ON "{table}" (code)')
    run = subprocess.run(
        [sys.executable, str(tool), str(path), str(county)], capture_output=True, text=True, check=False,
        env={**os.environ, "DATABASE_URL": url, "PGPASSWORD": str(to["PASSWORD"] or "")},
    )
    with _owner() as owner:
        owner.execute("DROP INDEX stock_code")
    if run.returncode:
        return [_row("stock Django admin", None, "ms", "not measured: " + (run.stderr.strip().splitlines() or ["?"])[-1][:120])]
    return [_row(**one) for one in json.loads(run.stdout.splitlines()[-1])]


def bench() -> list[Row]:
    """Figures of registers at 1,000,000 rows, ours and a stock admin's."""
    declared = get(TEAM)
    if declared.rows().exists():
        return [_row("list, filter and map at 1,000,000 rows", None, "ms", "not measured: this installation has teams of its own")]
    towns = _regions()
    county = Region.objects.get(name="测量2县").pk
    act = Act(Actor.machine("bench"), realms.actual())
    took = fill(towns)
    found = [_row("rows by COPY", round(MILLION / took), "1/s", f"{MILLION:,} rows with {len(declared.model._meta.indexes)} indexes of their own; the script that makes them included")]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s), pg_indexes_size(%s)", [declared.model._meta.db_table] * 2)
        whole, indexes = cursor.fetchone()
    found.append(_row("space of 1,000,000 rows", round(whole / 2**20), "MB", f"{indexes // 2**20} MB of it indexes"))
    found += reads(act.actor, county)
    with tempfile.TemporaryDirectory() as name:
        found += imports(act, towns, Path(name))
        found += stock(Path(name), towns, county)
    return found
