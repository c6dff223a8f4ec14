"""What becomes due on a realm's clock: rows, swept by the realm's ticker (`flowing`)."""
from __future__ import annotations

from datetime import datetime
from typing import Any

from .actions import Act
from .models import Due


def at(act: Act, when: datetime, timer: str, *, subject: str, **params: Any) -> None:
    """Arm a timer of flow.py for a subject; an earlier one of the same name and subject is replaced."""
    Due.objects.update_or_create(
        realm_id=act.realm.pk, timer=timer, subject=subject, defaults={"due_at": when, "params": params, "cause": act.cause, "tries": 0}
    )


def cancel(act: Act, timer: str, subject: str) -> None:
    Due.objects.filter(realm_id=act.realm.pk, timer=timer, subject=subject).delete()
