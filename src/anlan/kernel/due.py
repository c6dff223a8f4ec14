"""What becomes due on a realm's clock: rows, swept by the realm's ticker (`flowing`)."""
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import orjson
from django.db import connection

from .actions import Act
from .ids import new_id

ARM = """INSERT INTO kernel_due (id, realm_id, due_at, timer, subject, params, cause, tries)
         SELECT r.id, %(realm)s, r.due_at, r.timer, r.subject, %(params)s::jsonb, %(cause)s, 0
         FROM jsonb_to_recordset(%(rows)s::jsonb) r(id uuid, due_at timestamptz, timer text, subject text)
         ON CONFLICT (realm_id, timer, subject) DO UPDATE SET due_at = EXCLUDED.due_at, params = EXCLUDED.params, cause = EXCLUDED.cause, tries = 0"""

_touched: ContextVar[set[tuple[str, str]] | None] = ContextVar("touched", default=None)


@contextmanager
def watched() -> Iterator[set[tuple[str, str]]]:
    """What is armed or cancelled inside, as (timer, subject): the ticker must know whether its handler did it or somebody else."""
    found: set[tuple[str, str]] = set()
    token = _touched.set(found)
    try:
        yield found
    finally:
        _touched.reset(token)


def _note(timer: str, subject: str) -> None:
    found = _touched.get()
    if found is not None:
        found.add((timer, subject))


def at(act: Act, when: datetime, timer: str, *, subject: str, **params: Any) -> None:
    """Arm a timer of flow.py for a subject; an earlier one of the same name and subject is replaced."""
    at_many(act, [(when, timer, subject)], **params)


def at_many(act: Act, timers: Iterable[tuple[datetime, str, str]], **params: Any) -> None:
    """Arm many: (when, timer, subject)."""
    rows = {(timer, subject): {"id": new_id(), "due_at": when, "timer": timer, "subject": subject} for when, timer, subject in timers}  # the last of one name and subject counts
    for timer, subject in rows:
        _note(timer, subject)
    if rows:
        with connection.cursor() as cursor:  # one statement and one value, however many: every step of every case arms a timer or two
            cursor.execute(ARM, {"realm": act.realm.pk, "params": json.dumps(params), "cause": act.cause, "rows": orjson.dumps(list(rows.values())).decode()})


def cancel(act: Act, timer: str | tuple[str, ...], subject: str) -> None:
    """Disarm a timer, or several, of a subject."""
    timers = [timer] if isinstance(timer, str) else list(timer)
    for name in timers:
        _note(name, subject)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kernel_due WHERE realm_id = %s AND timer = ANY(%s) AND subject = %s", [act.realm.pk, timers, subject])
