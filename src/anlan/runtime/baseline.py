"""The tables of a fresh installation in one go.

Django renders every related model anew for each operation of a migration: a minute of processor for what the server does
in a second. So an empty database gets `baseline.sql.xz`, the outcome of the migrations up to some commit, and then the
migrations since. `tools/baseline.py` writes the file; tests/runtime/upgrade holds it against the migrations.
"""
from __future__ import annotations

import lzma
import re
from pathlib import Path

import psycopg

from . import postgres

FILE = Path(__file__).with_name("baseline.sql.xz")
_TO_PSQL = re.compile(r"^\\(?:un)?restrict .*\n", re.M)  # a word of its own in each dump


def pack(dump: str) -> bytes:
    """The file for a plain `pg_dump` with `--inserts`."""
    return lzma.compress(plain(dump).encode(), preset=9)


def plain(dump: str) -> str:
    """A dump without what it says to psql only."""
    return _TO_PSQL.sub("", dump)


def load(url: str) -> bool:
    """Make the baseline's tables, all or none; False where tables are or the server is older than the one that wrote the file."""
    with psycopg.connect(url) as connection:
        if connection.info.server_version // 10000 < postgres.MAJOR:
            return False
        # Two that start at once on one database: the second sees what the first has made.
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('anlan.baseline'))")
        if connection.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' LIMIT 1").fetchone():
            return False
        connection.execute(lzma.decompress(FILE.read_bytes()))
        connection.execute("UPDATE public.django_migrations SET applied = now()")
    return True
