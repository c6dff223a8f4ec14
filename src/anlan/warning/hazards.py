"""Hazards of the kernel's code list `hazard`: names, category of CAP, parents; and which hazard a foreign message speaks of."""
from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import get_language

from anlan.kernel import codes

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Hazard:
    code: str
    name: str
    name_zh: str
    parent: str
    category: str

    @property
    def text(self) -> str:
        """Its name in the reader's language."""
        return self.name_zh if (get_language() or "zh").startswith("zh") else self.name


def table() -> dict[str, Hazard]:
    """The list in force, by code."""
    return {
        code: Hazard(code, row["name"], row["name_zh"], str(row.get("parent") or ""), (row.get("data") or {}).get("cap_category", "Other"))
        for code, row in codes.entries("hazard").items()
    }


def name(code: str) -> str:
    """Its name in the reader's language; the code itself when it is not in the list."""
    return table()[code].text if code in table() else code


def choices() -> list[tuple[str, str]]:
    return [(code, hazard.text) for code, hazard in table().items()]


def matches(code: str, prefix: str) -> bool:
    """Whether a hazard falls under a rule's prefix: by its code, or by its parents' codes."""
    if prefix == "*":
        return True
    known, seen = table(), set()
    while code and code not in seen:
        if code == prefix or (prefix[:1] != "X" and code.startswith(prefix)):
            return True
        seen.add(code)  # an own version of the list may have a parent loop
        code = known[code].parent if code in known else ""
    return False


# Words of headlines and events → our code; the longest word that occurs wins. Chinese names come from the list itself.
OTHER_WORDS = {
    "洪水": "X-FLOOD", "江河洪峰": "X-FLOOD", "内涝": "X-WATERLOGGING", "积涝": "X-WATERLOGGING", "滑坡": "11D", "泥石流": "11D", "地质灾害": "11D", "地震": "11C",
    "森林火险": "11G", "森林火灾": "11G", "草原火灾": "11G", "海啸": "11E", "管涌": "X-DAM", "溃坝": "X-DAM", "强降水": "11B03", "强降雨": "11B03", "霾": "11B19",
    "rainstorm": "11B03", "heavy rain": "11B03", "rainfall": "11B03", "typhoon": "11B01", "cyclone": "11B01", "hurricane": "11B01", "monsoon": "11B06",
    "blizzard": "11B04", "snow": "11B04", "cold wave": "11B05", "gale": "11B06", "wind": "11B06", "sandstorm": "11B07", "dust storm": "11B07",
    "heat": "11B09", "high temperature": "11B09", "lightning": "11B14", "thunderstorm": "11B20", "hail": "11B15", "frost": "11B16", "fog": "11B17",
    "haze": "11B19", "icy road": "11B21", "drought": "11B22", "earthquake": "11C", "landslide": "11D", "debris flow": "11D", "storm surge": "11E02",
    "tsunami": "11E", "high seas": "11E06", "wildfire": "11G", "bushfire": "11G", "forest fire": "11G", "flash flood": "X-FLASHFLOOD",
    "flood": "X-FLOOD", "waterlogging": "X-WATERLOGGING", "dam": "X-DAM", "gas leak": "X-GAS",
}


def guess(event: str, event_codes: list[Any] | tuple = ()) -> str:
    """Our code for a foreign message: an 11B03-style code it carries, else a known word in its event; '' when unknown."""
    for _name, value in event_codes:
        code = value.strip().upper()
        if code in table():
            return code
        if re.fullmatch(r"11[A-G]\d{4}", code) and code[:5] in table():  # the compact form 11Bxxyy carries the colour behind
            return code[:5]
    words = {hazard.name_zh: code for code, hazard in table().items()} | OTHER_WORDS
    text = event.casefold()
    found = [word for word in words if (re.search(rf"\b{word}", text) if word.isascii() else word in text)]
    return words[max(found, key=len)] if found else ""


@cache
def proposal_rules() -> dict[str, Any]:
    """warning/data/proposals.yaml."""
    return yaml.safe_load((DATA / "proposals.yaml").read_text(encoding="utf-8"))
