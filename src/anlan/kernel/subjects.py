"""Names of things in the journal: `kind:key`, and the page and model behind each kind."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.apps import apps
from django.urls import NoReverseMatch, reverse


@dataclass(frozen=True)
class Subject:
    kind: str
    model: str
    page: str | Callable[[str], str]
    text: Any = None


KINDS: dict[str, Subject] = {}
_BY_MODEL: dict[str, str] = {}


def register(kind: str, model: str = "", page: str | Callable[[str], str] = "", text: Any = None) -> None:
    """Tell which model and page (its address's name, or key → address) stand behind `kind:key`, and its translatable word."""
    KINDS[kind] = Subject(kind, model, page, text)
    if model:
        _BY_MODEL.setdefault(model.lower(), kind)


def of(row: Any) -> str:
    """`kind:key` of a row."""
    label = row._meta.label_lower
    return f"{_BY_MODEL.get(label, row._meta.model_name)}:{row.pk}"


def parse(subject: str) -> tuple[str, str]:
    kind, _, key = subject.partition(":")
    return kind, key


def row(subject: str) -> Any:
    """The row behind a subject, or None."""
    kind, key = parse(subject)
    known = KINDS.get(kind)
    if known is None or not known.model:
        return None
    model = apps.get_model(known.model)
    try:
        return getattr(model, "plain", model.objects).filter(pk=UUID(key)).first()
    except ValueError:
        return None


def url(subject: str) -> str:
    """Its page, or an empty string."""
    kind, key = parse(subject)
    known = KINDS.get(kind)
    if known is None or not known.page:
        return ""
    try:
        return known.page(key) if callable(known.page) else reverse(known.page, args=[key])
    except NoReverseMatch:
        return ""
