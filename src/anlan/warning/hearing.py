"""What a pasted or typed message says: colour, hazard, issuer, time, places. Guesses to be looked at, never more."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from . import hazards

COLOURS = (("red", r"红色|红警|\bred\b"), ("orange", r"橙色|橙警|\borange\b|\bamber\b"), ("yellow", r"黄色|黄警|\byellow\b"), ("blue", r"蓝色|蓝警|\bblue\b"))
ISSUERS = (
    ("weather_service", r"气象台|气象局|气象部门|气象中心|weather service|met office"),
    ("water", r"水利|水文|防汛|防指|water"),
    ("natural_resources", r"自然资源|地质|国土"),
    ("earthquake_service", r"地震局|地震台|seismolog|earthquake service"),
    ("forestry", r"林业|林草|森防"),
    ("marine_service", r"海洋预报|海洋局"),
    ("health", r"卫健|卫生健康|疾控"),
    ("higher_government", r"人民政府|指挥部|应急管理厅|应急管理局|减灾委"),
)
NAMED = re.compile(
    r"([\u4e00-\u9fff]{2,16}?(?:气象台|气象局|气象中心|水文局|水文中心|水利局|水利厅|防汛抗旱指挥部|防汛指挥部|自然资源局|自然资源厅|地震局|林业局|林草局|应急管理局|应急管理厅|人民政府))"
)
WHEN = re.compile(
    r"(?:(?P<year>\d{4})[年/-])?(?:(?P<month>\d{1,2})[月/-](?P<day>\d{1,2})[日号]?)?\s*(?P<noon>上午|下午|晚上|凌晨|晚)?\s*(?P<hour>[01]?\d|2[0-4])(?:[:：时点](?P<minute>[0-5]?\d)?)(?:分)?"
)


@dataclass
class Heard:
    colour: str = ""
    hazard: str = ""
    issuer: str = ""
    issuer_name: str = ""
    sent: datetime | None = None
    regions: list[UUID] = field(default_factory=list)


def read(text: str, now: datetime, zone: ZoneInfo, places: Iterable[tuple[UUID, str]] = ()) -> Heard:
    """Guess from the words. `now` is aware; a time without a date is the latest such time before `now`."""
    text = text[:20_000]
    heard = Heard()
    # The colour the message is about stands before 预警; a sentence may name others ("由橙色升级为红色").
    upgraded = re.search(r"(?:升级|变更|提升|降级|调整)[为到至]\s*(红|橙|黄|蓝)色", text)
    found = [(match.start(), colour) for colour, pattern in COLOURS for match in [re.search(pattern, text, re.I)] if match]
    if upgraded:
        heard.colour = {"红": "red", "橙": "orange", "黄": "yellow", "蓝": "blue"}[upgraded[1]]
    elif found:
        heard.colour = min(found)[1]
    heard.hazard = hazards.guess(text)
    named = NAMED.search(text)
    if named:
        heard.issuer_name = re.sub(r"^(?:据|由|根据|接到|接|按照)", "", named[1])
    for code, pattern in ISSUERS:
        if re.search(pattern, heard.issuer_name or text, re.I):
            heard.issuer = code
            break
    heard.sent = _time(text, now, zone)
    heard.regions = _places(text.replace(heard.issuer_name, "") if heard.issuer_name else text, places) or _places(text, places)
    return heard


def _time(text: str, now: datetime, zone: ZoneInfo) -> datetime | None:
    here = now.astimezone(zone)
    for match in WHEN.finditer(text):
        hour, minute = int(match["hour"]), int(match["minute"] or 0)
        if match["noon"] in ("下午", "晚上", "晚") and hour < 12:
            hour += 12
        if hour > 23:
            continue
        if text[match.end():match.end() + 1] in ("时", "个") or re.match(r"\s*(?:小时|h\b)", text[match.end():]):
            continue  # "3小时" is a span
        try:
            at = here.replace(
                year=int(match["year"] or here.year), month=int(match["month"] or here.month), day=int(match["day"] or here.day), hour=hour, minute=minute,
                second=0, microsecond=0,
            )
        except ValueError:
            continue
        if at > here and not match["month"]:
            from datetime import timedelta

            at -= timedelta(days=1)
        if at > here:
            continue  # the hour it is forecast for, not the hour it was issued
        return at
    return None


def _places(text: str, places: Iterable[tuple[UUID, str]]) -> list[UUID]:
    """Regions whose name occurs, longest first, each piece of text used once."""
    found: list[tuple[int, UUID]] = []
    for key, name in sorted(places, key=lambda place: -len(place[1])):
        if len(name) < 2:
            continue
        at = text.find(name)
        if at >= 0:
            found.append((at, key))
            text = text.replace(name, "\0" * len(name))
    return [key for _at, key in sorted(found, key=lambda one: one[0])]
