"""The tests' databases: made once as an installation makes its own (the baseline, then what came since), then copied for each worker."""
from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from . import baseline, folder, postgres

TEMPLATE = "anlan_template"
KEPT = "kept"  # schema with the rows every test begins with


def _admin(statement: str, *names: str) -> list[Any]:
    """Run one statement on the server's own database, outside any transaction."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return rows.fetchall() if rows.description else []


def dump(url: str, *options: str) -> str:
    """The database at `url` as SQL, without owners and grants."""
    return subprocess.run(
        [postgres.programs() / "pg_dump", f"--dbname={url}", "--no-password", "--no-owner", "--no-privileges", "--inserts", "--rows-per-insert=1000", *options],
        check=True, capture_output=True, text=True,
    ).stdout


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


def _tables() -> list[str]:
    from django.db import connection

    return connection.introspection.django_table_names(only_existing=True, include_views=False)


def _keep() -> None:
    """Set the default rows aside, to put them back after a test that committed its own."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {KEPT}")
        for table in _tables():
            cursor.execute(f'SELECT 1 FROM public."{table}" LIMIT 1')
            if cursor.fetchone() and table != "django_migrations":
                cursor.execute(f'CREATE TABLE {KEPT}."{table}" AS TABLE public."{table}"')


@cache
def _put_back() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns c "
            "WHERE table_schema = 'public' AND is_generated = 'NEVER' AND EXISTS (SELECT FROM pg_tables WHERE schemaname = %s AND tablename = c.table_name) GROUP BY table_name",
            [KEPT],
        )
        kept = cursor.fetchall()
    emptied = [f'DELETE FROM public."{table}"' for table in _tables() if table != "django_migrations"]
    filled = [f'INSERT INTO public."{table}" ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {KEPT}."{table}"' for table, columns in kept]
    return "; ".join(["SET LOCAL session_replication_role = replica", *emptied, *filled])


def put_back() -> None:
    """Leave only the default rows. Emptying tables by TRUNCATE and filling them by the rooms' code took twenty times as long."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_put_back())


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
            _keep()
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
