"""The published terms, read once; and what their names and values are called in the reader's language."""
from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import get_language, gettext

from anlan.engines.conditions import Vocabulary

DATA = Path(__file__).parent / "data"


@cache
def vocabulary() -> Vocabulary:
    """plans/data/vocabulary.yaml."""
    return Vocabulary.from_data(yaml.safe_load((DATA / "vocabulary.yaml").read_text(encoding="utf-8")))


def in_words(text: Any) -> str:
    """A text by language ({"zh", "en"}) in the reader's, or in the one there is."""
    if not text:
        return ""
    first = "en" if (get_language() or "").startswith("en") else "zh"
    return text.get(first) or next(iter(text.values()), "")


def label(term: str) -> str:
    spec = vocabulary().get(term)
    return in_words(spec.label) if spec else term


def key_words(text: str) -> str:
    """A key as the engine writes it, "rain_24h(city)", with the term in words."""
    term, bracket, rest = text.partition("(")
    return label(term) + (f" ({rest}" if bracket else "")


def value_words(term: str, value: Any) -> str:
    """A value of a term for a reader, with its unit."""
    from django.utils.translation import gettext as _

    spec = vocabulary().get(term)
    if value is None:
        return _("unknown")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if spec and spec.type == "choice":
        return in_words(spec.choice_labels.get(str(value))) or str(value)
    return f"{value:g}{' ' + spec.unit if spec and spec.unit else ''}" if isinstance(value, (int, float)) else str(value)


QUALIFIER_WORDS = {
    "zh": {"rainstorm": "暴雨", "typhoon": "台风", "flood": "洪水", "flash_flood": "山洪", "geohazard": "地质灾害", "any": "任何灾种",
           "red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色", "small": "小型", "key_small_1": "重点小（一）型", "medium": "中型",
           "design": "设计水位", "check": "校核水位", "main_IV_or_lower": "干流Ⅳ级及以下堤防", "main_III_or_higher": "干流Ⅲ级以上堤防",
           "tributary_town": "主要支流城镇堤防", "severe": "严重", "extreme": "特大", "I": "Ⅰ级", "II": "Ⅱ级", "III": "Ⅲ级", "IV": "Ⅳ级"},
    "en": {"flash_flood": "flash flood", "any": "any hazard", "key_small_1": "key small (1)", "design": "above design", "check": "above check",
           "main_IV_or_lower": "main river, class IV or lower", "main_III_or_higher": "main river, class III or higher", "tributary_town": "tributary, town"},
}


def qualifier_words(qualifier: str) -> str:
    language = "en" if (get_language() or "").startswith("en") else "zh"
    words = QUALIFIER_WORDS[language]
    return {"en": ", ", "zh": ""}[language].join(words.get(part, part) for part in qualifier.split("|") if part)


def source_words(source: str) -> str:
    """Where a value comes from; gauges that told it ("18/20") and warnings it was counted from ("rainstorm/red、flood/blue") in words, anything else as it is."""
    told, _slash, of = source.partition("/")
    if told.isdecimal() and of.isdecimal():
        return gettext("{n} of {of} rain gauges").format(n=told, of=of)
    parts = source.split("、")
    if not all(part.count("/") == 1 and part.replace("/", "").replace("_", "").isascii() and part.islower() for part in parts):
        return source
    return "、".join(qualifier_words(part.replace("/", "|")) for part in parts)
