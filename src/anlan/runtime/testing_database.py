"""The tests' databases: made once as an installation makes its own (the baseline, then what came since), then copied for each worker."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import baseline, folder, postgres

TEMPLATE = "anlan_template"


def _admin(statement: str, *names: str) -> list[Any]:
    """Run one statement on the server's own database, outside any transaction."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return rows.fetchall() if rows.description else []


def dump(database: str) -> str:
    """Everything in the database as SQL, without owners."""
    from django.db import connection

    to = connection.settings_dict
    where = [f"--host={to['HOST']}", f"--username={to['USER']}", f"--dbname={database}", "--no-password"]
    return subprocess.run([postgres.programs() / "pg_dump", *where, "--no-owner", "--inserts", "--rows-per-insert=1000"], check=True, capture_output=True, text=True).stdout


def _use(name: str) -> None:
    from django.conf import settings
    from django.db import connection

    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


def migrated(name: str, *, afresh: bool) -> None:
    """Make the database `name` and its tables, by the migrations alone if `afresh`; the connection is to it afterwards."""
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    _admin("DROP DATABASE IF EXISTS {}", name)
    _admin("CREATE DATABASE {}", name)
    _use(name)
    if not afresh:
        baseline.load(connection_url(name))
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def connection_url(name: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))


def make(name: str, *, own_server: bool, afresh: bool = False) -> None:
    """Make the database `name` as a copy of the template, the first worker making the template, and use it.

    `afresh` does without the baseline; a server that is not `own_server` outlives the run, and so does its template.
    """
    from django.core.management.sql import emit_post_migrate_signal

    lock = folder.Lock(Path(os.environ["ANLAN_HOME"]) / "run" / "test-database.lock")
    lock.acquire(wait=True)
    try:
        if not own_server:
            _admin("DROP DATABASE IF EXISTS {}", TEMPLATE)
        if not _admin(f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"):
            migrated(half := f"{TEMPLATE}_new", afresh=afresh)
            # Always by the code of today.
            emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
            _use("postgres")
            _admin("ALTER DATABASE {} RENAME TO {}", half, TEMPLATE)
        _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        _admin("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, TEMPLATE)
    finally:
        lock.release()
    _use(name)


def drop(name: str) -> None:
    _use("postgres")
    _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
