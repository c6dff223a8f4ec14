"""Whom a channel of numbers reaches: numbers of its settings, a list kept beside the database, whoever answers for register entries in the area, and the people who hold posts there."""
from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from django.conf import settings as django_settings
from django.db.models import Q
from shapely.geometry.base import BaseGeometry

from anlan.engines.geo.targeting import Contacts
from anlan.kernel import access_log, clock
from anlan.kernel.actions import Actor
from anlan.kernel.models import Assignment, RegionPath
from anlan.kernel.registers import REGISTERS

from . import secrets
from .adapters.in_app.adapter import KINDS
from .models import Alert, Channel
from .ports import Adapter, Target

PORTION = 50_000
NUMBER = re.compile(r"\+?[0-9]{5,20}\Z")


def list_path(name: str) -> Path:
    """Long lists of numbers are files, one number a line, 0600: ANLAN_HOME/lists/<name>."""
    if not secrets.NAME.match(name):
        raise ValueError(f"not a name of a list: {name[:40]!r}")
    return django_settings.HOME / "lists" / name


def problem(settings: dict[str, Any]) -> str:
    """What is wrong with the settings that say whom to reach; empty when they will do."""
    numbers = settings.get("numbers", [])
    if not isinstance(numbers, list) or not all(NUMBER.match(str(one)) for one in numbers):
        return "numbers must be a list of telephone numbers"
    if settings.get("list") and not secrets.NAME.match(str(settings["list"])):
        return "list is the name of a file in lists: small letters, digits, - and _"
    if reason := _entries_problem(settings.get("entries", [])):
        return reason
    if not any(settings.get(name) for name in ("numbers", "posts", "list", "entries")):
        return "name numbers, a list or entries of registers, or set posts to reach the people who hold posts"
    if settings.get("secret") and not secrets.NAME.match(str(settings["secret"])):
        return "secret is the name of a secret: small letters, digits, - and _"
    return ""


def _entries_problem(entries: Any) -> str:
    if not isinstance(entries, list) or not all(isinstance(one, dict) and {"register", "phone"} <= set(one) for one in entries):
        return "entries is a list of {register, phone, name, where}"
    for one in entries:
        declared = REGISTERS.get(str(one["register"]))
        if declared is None:
            return f"there is no register {one['register']}"
        phones = {field.name for field in declared.fields if field.kind == "phone"}
        known = {field.name for field in declared.fields}
        if one["phone"] not in phones or (one.get("name") and one["name"] not in known) or not set(one.get("where") or {}) <= known:
            return f"{one['register']} has these numbers: {', '.join(sorted(phones)) or 'none'}"
    return ""


def _entries(channel: Channel, alert: Alert) -> Iterator[Target]:
    """The numbers of register entries in the area: those with a position by the area itself, the others by their region."""
    wanted = channel.settings.get("entries") or []
    if not wanted:
        return
    keys = [UUID(key) for key in alert.region_ids]
    near = Q(region_id__in=keys) | Q(region_id__in=RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=keys).values("descendant_id"))
    shape = shapely.from_wkb(bytes(alert.area_wkb)) if alert.drawn and alert.area_wkb else None
    for one in wanted:
        declared = REGISTERS[one["register"]]
        rows = declared.model.plain.filter(near, ended_at=None, **(one.get("where") or {})).exclude(**{one["phone"]: ""}).order_by("pk")
        reached = 0
        for row in rows.iterator(2000) if shape is None else _inside(rows, shape):
            number = str(getattr(row, one["phone"])).replace(" ", "").replace("-", "")
            if not NUMBER.match(number):
                continue
            reached += 1
            yield Target(number, " ".join(filter(None, [str(getattr(row, declared.title, "") or row), str(getattr(row, one["name"])) if one.get("name") else ""]))[:160], row.region_id)
        if reached:
            access_log.note(Actor.machine("warning"), "list", f"alert:{alert.pk}", fields=[f"{declared.name}.{one['phone']}"], count=reached, purpose="warn")


def _inside(rows: Any, shape: BaseGeometry) -> Iterator[Any]:
    """The entries in a drawn area, by key; one without a position is told by its region. Only what is told is read whole: a province's register has a million."""
    west, south, east, north = shape.bounds
    near = rows.filter(Q(lon=None) | Q(lon__gte=west, lon__lte=east, lat__gte=south, lat__lte=north)).values_list("pk", "lon", "lat").iterator(PORTION)
    while portion := list(islice(near, PORTION)):
        placed = [one for one in portion if one[1] is not None and one[2] is not None]
        contacts = Contacts(np.array([lon for _pk, lon, _lat in placed], np.float64), np.array([lat for _pk, _lon, lat in placed], np.float64))
        keys = sorted({pk for pk, lon, lat in portion if lon is None or lat is None} | {placed[index][0] for index in contacts.inside(shape)})
        for first in range(0, len(keys), 2000):
            yield from rows.filter(pk__in=keys[first:first + 2000])


def _listed(channel: Channel) -> Iterator[str]:
    if not channel.settings.get("list"):
        return
    with list_path(channel.settings["list"]).open(encoding="ascii") as lines:
        for line in lines:
            if NUMBER.match(line.strip()):
                yield line.strip()


def targets(channel: Channel, alert: Alert) -> Iterable[Target]:
    """One target a number; a number that is named twice is dropped by whoever queues them."""
    for number in channel.settings.get("numbers", []):
        yield Target(str(number))
    for number in _listed(channel):
        yield Target(number)
    yield from _entries(channel, alert)
    if not channel.settings.get("posts"):
        return
    regions = [UUID(key) for key in alert.region_ids]
    below = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=regions).values("descendant_id")
    now = clock.now()
    held = (
        Assignment.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now, post__active=True, post__kind__in=KINDS.get(alert.kind, []), person__active=True)
        .filter(Q(post__region_id__in=regions) | Q(post__region_id__in=below)).exclude(person__mobile="")
        .select_related("person", "post").order_by("pk")
    )
    for one in held:
        number = one.person.mobile.replace(" ", "").replace("-", "")
        if NUMBER.match(number):
            yield Target(number, f"{one.post.name} {one.person.name}", one.post.region_id)


def fill(template: Any, values: dict[str, Any]) -> Any:
    """The template with {names} replaced in every string; a string that is one name takes the value as it is. Nothing else is interpreted."""
    if isinstance(template, str):
        if (whole := re.fullmatch(r"\{(\w+)\}", template)) and whole[1] in values:
            return values[whole[1]]
        return re.sub(r"\{(\w+)\}", lambda match: str(values[match[1]]) if match[1] in values else match[0], template)
    if isinstance(template, dict):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def pick(answer: Any, path: str) -> Any:
    """The value at a dotted path of a JSON answer; None when it is not there."""
    for part in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer


def parsed(raw: bytes) -> Any:
    """A gateway's answer as JSON; None when it is not."""
    try:
        return json.loads(raw)
    except ValueError:
        return None


class ByNumber(Adapter):
    """A channel that reaches numbers: what text messages by any door and calls have in common."""

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        return targets(channel, alert)
