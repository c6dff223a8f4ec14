"""Text messages are counted in parts: 160 characters of the GSM alphabet or 70 of UCS-2 in one, 153 or 67 in each of several.

One character outside the alphabet (any Chinese one) turns the whole message into UCS-2. 3GPP TS 23.038 and 23.040.
"""
from __future__ import annotations

from dataclasses import dataclass

GSM = frozenset("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ¿abcdefghijklmnopqrstuvwxyzäöñüà")
TWICE = frozenset("^{}\\[~]|€")  # escaped: two places each
ONE = {"GSM-7": 160, "UCS-2": 70}
EACH = {"GSM-7": 153, "UCS-2": 67}  # the rest holds the header that joins the parts


@dataclass(frozen=True)
class Size:
    encoding: str
    units: int
    segments: int


def _weight(character: str, gsm: bool) -> int:
    if gsm:
        return 2 if character in TWICE else 1
    return 2 if ord(character) > 0xFFFF else 1


def parts(text: str) -> tuple[str, list[str]]:
    """(encoding, the text in parts). No part ends inside a character: an escape or a surrogate pair is never torn."""
    gsm = all(character in GSM or character in TWICE for character in text)
    name = "GSM-7" if gsm else "UCS-2"
    if sum(_weight(one, gsm) for one in text) <= ONE[name]:
        return name, [text]
    found, room = [""], EACH[name]
    for character in text:
        weight = _weight(character, gsm)
        if weight > room:
            found.append("")
            room = EACH[name]
        found[-1] += character
        room -= weight
    return name, found


def measure(text: str) -> Size:
    """How a text message counts."""
    name, found = parts(text)
    return Size(name, sum(_weight(one, name == "GSM-7") for one in text), len(found))
