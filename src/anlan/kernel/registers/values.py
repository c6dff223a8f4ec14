from typing import Any


def text(field: Any, row: Any) -> str:
    return str(getattr(row, field.name, "") or "")
