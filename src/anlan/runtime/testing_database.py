"""The tests' databases: migrated once per state of the migrations, then copied for each worker.

Replaying the migrations costs some twenty seconds of processor; a copy of the outcome a tenth of one. What the migrations
alone make is kept as a dump in the user's cache folder, named by a digest of everything it depends on; the default data
are always filled in anew, so that no code of today meets rows of yesterday.
"""
from __future__ import annotations

import hashlib
import os
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

from . import folder, postgres

TEMPLATE = "anlan_template"
KEEP = 8  # dumps in the cache; several branches may be worked on in turn


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "anlan" / "test-database"


def digest() -> str:
    """Names a schema: the migrations of every app installed, the code they call, the versions of Django and the server."""
    import django
    from django.apps import apps

    found = hashlib.sha256(f"{django.VERSION} {postgres.version()}".encode())
    # `models` and `ids` are what migrations import of ours (defaults, fields, constraints that write SQL).
    places = [Path(__file__), *(Path(__file__).parents[1] / "kernel" / name for name in ("ids.py", "models/base.py", "models/registers.py", "models/loops.py"))]
    for app in apps.get_app_configs():
        try:
            package = import_module(f"{app.name}.migrations")
        except ModuleNotFoundError:
            continue
        for place in package.__path__:
            places += sorted(Path(place).glob("*.py"))
    for path in places:
        found.update(f"\n{path.parent.parent.name}/{path.name}\n".encode() + path.read_bytes())
    return found.hexdigest()[:24]


def _admin(statement: str, *names: str) -> list[Any]:
    """Run one statement on the server's own database, outside any transaction."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        rows = connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        return rows.fetchall() if rows.description else []


def _tool(tool: str, database: str, *arguments: str) -> None:
    from django.db import connection

    to = connection.settings_dict
    where = [f"--host={to['HOST']}", f"--username={to['USER']}", f"--dbname={database}", "--no-password"]
    subprocess.run([postgres.programs() / tool, *where, *arguments], check=True, capture_output=True)


def _use(name: str) -> None:
    from django.conf import settings
    from django.db import connection

    connection.close()
    settings.DATABASES["default"]["NAME"] = connection.settings_dict["NAME"] = name


def _migrate() -> None:
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def _build(keep: bool) -> None:
    """Make the template: from the cache if the very same schema is there, else by the migrations (and cache it)."""
    from django.core.management.sql import emit_post_migrate_signal

    dump = cache_folder() / f"{digest()}.dump"
    # Two runs that need the same new schema do not both work it out.
    making = folder.Lock(dump.with_suffix(".lock"))
    if keep:
        making.acquire(wait=True)
    half = f"{TEMPLATE}_new"
    _admin("DROP DATABASE IF EXISTS {}", half)
    _admin("CREATE DATABASE {}", half)
    _use(half)
    if keep and dump.exists():
        _tool("pg_restore", half, "--no-owner", "--exit-on-error", str(dump))
        dump.touch()
    else:
        _migrate()
        if keep:
            fresh = folder.private(dump.parent) / f".{dump.name}.{os.getpid()}"
            _tool("pg_dump", half, "--format=custom", f"--file={fresh}")
            os.replace(fresh, dump)
            for old in sorted(dump.parent.glob("*.dump"), key=lambda path: path.stat().st_mtime)[:-KEEP]:
                old.unlink(missing_ok=True)
                old.with_suffix(".lock").unlink(missing_ok=True)
    making.release()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    _use("postgres")
    _admin("ALTER DATABASE {} RENAME TO {}", half, TEMPLATE)


def make(name: str, *, own_server: bool, afresh: bool = False) -> None:
    """Make the database `name` as a copy of the template, the first worker making the template, and use it.

    The cache serves the server of the wheel only (`own_server`); `afresh` does without it.
    """
    lock = folder.Lock(Path(os.environ["ANLAN_HOME"]) / "run" / "test-database.lock")
    lock.acquire(wait=True)
    try:
        if not own_server:
            # A server that outlives the run: its template may be of another schema.
            _admin("DROP DATABASE IF EXISTS {}", TEMPLATE)
        if not _admin(f"SELECT 1 FROM pg_database WHERE datname = '{TEMPLATE}'"):
            _build(keep=own_server and not afresh)
        _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        _admin("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, TEMPLATE)
    finally:
        lock.release()
    _use(name)


def drop(name: str) -> None:
    _use("postgres")
    _admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
