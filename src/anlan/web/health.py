"""Is this process alive (/healthz), and is the whole installation ready to work (/readyz)?

Both answer without sign-in, so they say only which part is missing, never why in detail.
"""
from __future__ import annotations

import socket
import time
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from anlan.kernel import brokers

BEAT_LIMIT = 15.0  # seconds; a worker shows its pulse once a second, a busy machine may delay it
_migrated = False


@never_cache
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 while this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when tables, broker and both workers are there; 503 names what is not."""
    checks = {"database": database_ready(), "broker": broker_ready(), "work": worker_ready("work"), "sense": worker_ready("sense")}
    ready = all(checks.values())
    return JsonResponse(
        {"status": "ok" if ready else "starting", "checks": {name: "ok" if good else "missing" for name, good in checks.items()}},
        status=200 if ready else 503,
    )


def database_ready() -> bool:
    """The database answers and every migration of this version has run."""
    global _migrated
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _migrated:  # once true it stays true for this process
            from django.db.migrations.executor import MigrationExecutor

            executor = MigrationExecutor(connection)
            _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
        return _migrated
    except Exception:
        connection.close()
        return False


def broker_ready() -> bool:
    """The broker greets us, with JetStream on. It greets before any password is asked."""
    for address in brokers.where(settings.NATS_URL):  # any member of a cluster will do
        try:
            with socket.create_connection(address, timeout=2) as link:
                link.settimeout(2)
                if link.recv(4096).startswith(b"INFO "):
                    return True
        except OSError:
            continue
    return False


def worker_ready(name: str) -> bool:
    """A worker on this machine shows a fresh pulse; one on another machine holds a session with the database."""
    beat = settings.HOME / "run" / f"{name}.beat"
    try:
        return time.time() - beat.stat().st_mtime < BEAT_LIMIT
    except OSError:
        pass
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [f"anlan-{name}"])
            found: Any = cursor.fetchone()
            return found[0] > 0
    except Exception:
        connection.close()
        return False
