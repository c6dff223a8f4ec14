"""Command's data files: reporting limits, how documents are named."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"


@cache
def _read(name: str) -> dict[str, Any]:
    return yaml.safe_load((DATA / name).read_text())


def reporting_limits() -> list[dict[str, Any]]:
    """[{code, applies_to, minutes, text, source, mark}]"""
    return _read("reporting.yaml")["limits"]


def review_limits() -> dict[str, int]:
    """Step of a review → minutes it may take."""
    return {entry["step"]: entry["minutes"] for entry in _read("reporting.yaml")["review"]}


def documents() -> dict[str, Any]:
    return _read("documents.yaml")
