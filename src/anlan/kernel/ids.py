"""Keys: time-ordered for rows made by a person or a process, derived for rows that must come out the same when repeated."""
from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

# Fixed for good: a derived key is a promise to the past (design §3.2).
NAMESPACE = UUID("6f0d1a52-93f5-5b61-9d5c-616e6c616e00")


def new_id() -> UUID:
    """A fresh UUIDv7."""
    return uuid7()


def derived_id(*parts: object) -> UUID:
    """UUIDv5 of the parts, in order; the same parts give the same key on every machine."""
    return uuid.uuid5(NAMESPACE, "\x1f".join(str(part) for part in parts))


def key_of(value: Any) -> Any:
    """The key of a row, or the key itself."""
    return getattr(value, "pk", value)
