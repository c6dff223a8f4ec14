"""Reading registers with access."""
from __future__ import annotations

from typing import Any


def may_read(actor: Any, declared: Any, row: Any, realm: Any = None) -> bool:
    """Whether the actor may read this row."""
    raise NotImplementedError
