"""What becomes due on a realm's clock: rows, swept by the realm's ticker (`flowing`)."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from .actions import Act
from .models import Due

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
    _note(timer, subject)
    Due.objects.update_or_create(
        realm_id=act.realm.pk, timer=timer, subject=subject, defaults={"due_at": when, "params": params, "cause": act.cause, "tries": 0}
    )


def cancel(act: Act, timer: str, subject: str) -> None:
    _note(timer, subject)
    Due.objects.filter(realm_id=act.realm.pk, timer=timer, subject=subject).delete()
