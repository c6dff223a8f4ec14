"""Code lists as versioned data with their source. Defaults come from each room's `data/codes/*.yaml`; a user's own version is never overwritten."""
from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.apps import apps
from django.db import transaction
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from . import access, clock, journal
from .actions import Act, Actor, action
from .errors import INVALID, Kind
from .facts import CodesLoaded
from .models import Code, CodeList

UNKNOWN_LIST = Kind("kernel.unknown_code_list", 404, _("There is no code list {list}."))


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _digest(content: dict[str, Any]) -> str:
    return "sha256:" + hashlib.sha256(journal.canonical(content)).hexdigest()


@lru_cache(maxsize=1)
def shipped() -> dict[str, dict[str, Any]]:
    """The lists this release ships, by name."""
    files = [path for app in apps.get_app_configs() if app.name.startswith("anlan.") for path in Path(app.path, "data", "codes").glob("*.yaml")]
    return {content["list"]: content for content in map(_read, sorted(files, key=lambda path: path.name))}


def load_defaults() -> list[str]:
    """Load the shipped versions that are not in the database yet; returns the names of the lists that got a new one.

    A new default comes into force over an older default, never over an own version: the page shows the difference.
    """
    new = [name for name, content in shipped().items() if not CodeList.objects.filter(name=name, origin="default", digest=_digest(content)).exists()]
    if new:
        from . import realms

        load(Act(Actor.machine("codes"), realms.actual()), names=new)
        forget()
    return new


@action("codes.load")
def load(act: Act, *, names: list[str]) -> None:
    """Take shipped versions into the database."""
    for name in names:
        content = shipped()[name]
        _store(act, content, CodeList.DEFAULT, own_stays=True)


def _store(act: Act, content: dict[str, Any], origin: str, *, own_stays: bool, based_on: CodeList | None = None) -> CodeList:
    digest = _digest(content)
    current = CodeList.objects.select_for_update().filter(name=content["list"], in_force=True).first()
    in_force = not (own_stays and current is not None and current.origin == CodeList.OWN)
    if in_force and current is not None:
        current.in_force = False
        act.save(current)
    row, made = CodeList.objects.get_or_create(
        name=content["list"], origin=origin, digest=digest,
        defaults={
            "title": content["title"], "title_zh": content["title_zh"], "label": str(content["version"]), "source": content["source"],
            "source_zh": content.get("source_zh", ""), "mark": content.get("mark", ""), "in_force": in_force, "loaded_at": clock.now(), "based_on": based_on,
        },
    )
    if made:
        Code.objects.bulk_create(
            Code(list=row, code=str(item["code"]), name=item["name"], name_zh=item["name_zh"], parent=item.get("parent", ""), position=position, data=item.get("data", {}))
            for position, item in enumerate(content["codes"])
        )
    elif row.in_force != in_force:
        row.in_force = in_force
        act.save(row)
    act.state(CodesLoaded(list=row.name, label=row.label, digest=digest, in_force=in_force), subject=f"codes:{row.name}")
    return row


@action("codes.edit")
def edit(act: Act, *, list: str, label: str, source: str, codes: list) -> CodeList:
    """Make an own version of a list and put it in force. `codes`: [{code, name, name_zh, parent?, data?}]. Needs codes.manage."""
    access.require(act, "codes.manage")
    current = CodeList.objects.filter(name=list, in_force=True).first()
    if current is None:
        raise UNKNOWN_LIST(list=list)
    fields, seen = [], set()
    for line, item in enumerate(codes, 1):
        for need in ("code", "name", "name_zh"):
            if not str(item.get(need, "")).strip():
                fields.append({"field": f"codes.{line}.{need}", "why": str(_("is missing"))})
        if item.get("code") in seen:
            fields.append({"field": f"codes.{line}.code", "why": str(_("is there twice"))})
        seen.add(item.get("code"))
    if not label.strip() or not source.strip():
        fields.append({"field": "source", "why": str(_("name the version and its source"))})
    if fields:
        raise INVALID(fields)
    content = {"list": list, "title": current.title, "title_zh": current.title_zh, "version": label, "source": source, "mark": "own", "codes": codes}
    row = _store(act, content, CodeList.OWN, own_stays=False, based_on=current)
    transaction.on_commit(forget)
    return row


@action("codes.use_default")
def use_default(act: Act, *, list: str) -> CodeList:
    """Put the newest shipped version of a list in force again; the own version stays on record. Needs codes.manage."""
    access.require(act, "codes.manage")
    if list not in shipped():
        raise UNKNOWN_LIST(list=list)
    row = _store(act, shipped()[list], CodeList.DEFAULT, own_stays=False)
    transaction.on_commit(forget)
    return row


# --- reading -----------------------------------------------------------------------------------------------------------

_cache: dict[str, tuple[float, dict[str, dict[str, Any]]]] = {}
CACHE_S = 5.0


def forget() -> None:
    """Drop what this process remembers; others notice within CACHE_S seconds."""
    _cache.clear()


def entries(list: str) -> dict[str, dict[str, Any]]:
    """The list in force: {code: {code, name, name_zh, parent, data}}, in its order. kernel.unknown_code_list."""
    import time

    now = time.monotonic()
    kept = _cache.get(list)
    if kept and kept[0] > now:
        return kept[1]
    rows = Code.objects.filter(list__name=list, list__in_force=True).order_by("position").values("code", "name", "name_zh", "parent", "data")
    found = {row["code"]: row for row in rows}
    if not found:
        # Before the first migration has loaded them, the shipped list is what is in force.
        if list not in shipped():
            raise UNKNOWN_LIST(list=list)
        return {str(item["code"]): {"parent": "", "data": {}, **item, "code": str(item["code"])} for item in shipped()[list]["codes"]}
    _cache[list] = (now + CACHE_S, found)
    return found


def name(list: str, code: str, language: str | None = None) -> str:
    """The name of a code in the reader's language; the code itself when the list does not know it."""
    entry = entries(list).get(str(code))
    if entry is None:
        return str(code)
    return entry["name_zh"] if (language or get_language() or "zh-hans").startswith("zh") else entry["name"]


def data(list: str, code: str) -> dict[str, Any]:
    """The further columns of a code; empty when the list does not know it."""
    return entries(list).get(str(code), {}).get("data", {})


def choices(list: str) -> list[tuple[str, str]]:
    """(code, name in the reader's language) for a form."""
    return [(code, name(list, code)) for code in entries(list)]


def difference(list: str) -> dict[str, Any]:
    """What the newest shipped version has otherwise than the version in force: {added, gone, changed: [code]}."""
    ours = entries(list)
    theirs = {str(item["code"]): item for item in shipped().get(list, {"codes": []})["codes"]}
    same = ("name", "name_zh")
    return {
        "added": [code for code in theirs if code not in ours],
        "gone": [code for code in ours if code not in theirs],
        "changed": [
            code for code in theirs if code in ours
            and (any(ours[code][key] != theirs[code][key] for key in same) or ours[code]["data"] != theirs[code].get("data", {}) or ours[code]["parent"] != theirs[code].get("parent", ""))
        ],
    }
