"""Rules as data: reading and checking a rule file, the defaults of the release, and what is in force."""
from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .errors import BAD_RULES
from .models import NAME, RuleSet
from .quantities import COLOUR_NUMBER, QUANTITIES

FOLDER = Path(__file__).parent / "data" / "rules"
COLOUR_NAMES = ("blue", "yellow", "orange", "red")
LIMIT = 256 * 1024  # bytes of a rule file
RULES_AT_MOST = 200
MARKS = ("V1", "V2", "V3", "M", "own")
HEAD = {"name", "label", "title", "title_zh", "source", "mark", "rules"}
COMMON = {"key", "kind", "quantity", "hazard", "text", "text_zh", "season", "regions"}
KEYS = {
    "sum": COMMON | {"windows_h", "thresholds", "stale_h"},
    "rise": COMMON | {"windows_h", "thresholds", "stale_h"},
    "level": COMMON | {"thresholds", "hysteresis", "stale_h"},
    "silence": COMMON | {"measure", "window_h", "rising_from", "colour", "after_s"},
}


@dataclass(frozen=True)
class RuleSpec:
    """One rule, in the quantity's unit. thresholds None: each station's own. windows_s: blue..red, seconds."""

    ruleset: str
    version: str
    key: str
    kind: str
    quantity: str
    hazard: str
    text: str
    text_zh: str
    windows_s: tuple[int, int, int, int]
    thresholds: tuple[float | None, ...] | None
    hysteresis: float
    stale_s: int
    measure: str
    rising_from: float | None
    colour: int
    after_s: int | None
    months: tuple[int, ...]
    regions: tuple[str, ...]

    @property
    def code(self) -> str:
        """Its name everywhere else: rule set and key."""
        return f"{self.ruleset}.{self.key}"


MARK_WORDS = {"V1": gettext_lazy("own text or run"), "V2": gettext_lazy("two sources"), "V3": gettext_lazy("one source"), "M": gettext_lazy("from memory, unverified"), "own": gettext_lazy("own")}


@lru_cache(maxsize=1)
def _chinese_sources() -> dict[str, str]:
    return yaml.safe_load((FOLDER.parent / "rule_sources.yaml").read_text(encoding="utf-8"))


def source_words(ruleset: RuleSet, chinese: bool) -> str:
    """The source of a rule set in the reader's language; of a user's own as it was written."""
    return _chinese_sources().get(ruleset.source.strip(), ruleset.source) if chinese else ruleset.source


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases: a file of a few lines must not unfold into gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError(_("aliases (*name) are not taken"))
        return super().compose_node(parent, index)


def _bad(where: str, why: str) -> Exception:
    return BAD_RULES(why=f"{where}: {why}" if where else why)


def _number(value: Any, where: str, lowest: float = -1e9) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or not lowest <= value <= 1e9:
        raise _bad(where, _("{value} is no usable number").format(value=repr(value)[:40]))
    return float(value)


def _colours(value: Any, where: str) -> dict[str, float]:
    if not isinstance(value, dict) or not value or set(value) - set(COLOUR_NAMES):
        raise _bad(where, _("a number for one or more of blue, yellow, orange, red"))
    return {name: _number(number, f"{where}.{name}") for name, number in value.items()}


def parse(text: str) -> tuple[dict[str, Any], list[RuleSpec]]:
    """Head and rules of a rule file. sensing.bad_rules says where and why it cannot be used."""
    if len(text.encode()) > LIMIT:
        raise _bad("", _("larger than {n} bytes").format(n=LIMIT))
    try:
        data = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _bad("", " ".join(str(error).split())[:300] or _("cannot be read as YAML"))
    if not isinstance(data, dict) or set(data) != HEAD:
        raise _bad("", _("needs exactly the entries {names}").format(names=", ".join(sorted(HEAD))))
    for name in HEAD - {"rules"}:
        if not isinstance(data[name], str) or not data[name].strip():
            raise _bad(name, _("a text is needed"))
    if not NAME.fullmatch(data["name"]) or len(data["name"]) > 60:
        raise _bad("name", _("letters, digits, - and _, at most {n}").format(n=60))
    if len(data["label"]) > 40 or len(data["title"]) > 160 or len(data["title_zh"]) > 160:
        raise _bad("label", _("label at most 40, titles at most 160 characters"))
    if data["mark"] not in MARKS:
        raise _bad("mark", _("one of {names}").format(names=", ".join(MARKS)))
    if not isinstance(data["rules"], list) or not 0 < len(data["rules"]) <= RULES_AT_MOST:
        raise _bad("rules", _("a list of 1 to {n} rules").format(n=RULES_AT_MOST))
    version = f"{data['name']}@{data['label']}"
    specs = [_rule(rule, data["name"], version, f"rules[{index}]") for index, rule in enumerate(data["rules"])]
    keys = [spec.key for spec in specs]
    if len(set(keys)) != len(keys):
        raise _bad("rules", _("two rules have the same key"))
    return data, specs


def _rule(rule: Any, ruleset: str, version: str, where: str) -> RuleSpec:
    if not isinstance(rule, dict) or rule.get("kind") not in KEYS:
        raise _bad(where, _("kind must be one of {names}").format(names=", ".join(KEYS)))
    kind = rule["kind"]
    if unknown := set(rule) - KEYS[kind]:
        raise _bad(where, _("unknown entry {name}").format(name=sorted(map(str, unknown))[0][:40]))
    if not isinstance(rule.get("key"), str) or not NAME.fullmatch(rule["key"]) or len(rule["key"]) > 40:
        raise _bad(where, _("letters, digits, - and _, at most {n}").format(n=40))
    if rule.get("quantity") not in QUANTITIES:
        raise _bad(where, _("quantity must be one of {names}").format(names=", ".join(QUANTITIES)))
    quantity = QUANTITIES[rule["quantity"]]
    thresholds: tuple[float | None, ...] | None = (None,) * 4
    windows = [0, 0, 0, 0]
    if kind != "silence":
        given = rule.get("thresholds")
        if given == "station" and kind == "level":
            thresholds = None
        else:
            colours = _colours(given, f"{where}.thresholds")
            thresholds = tuple(colours.get(name) for name in COLOUR_NAMES)
            if kind == "level":
                steps = [limit for limit in thresholds if limit is not None]
                if steps != sorted(steps):
                    raise _bad(f"{where}.thresholds", _("must rise from blue to red"))
    if kind in ("sum", "rise"):
        hours = _colours(rule.get("windows_h"), f"{where}.windows_h")
        for index, name in enumerate(COLOUR_NAMES):
            if (name in hours) != (thresholds[index] is not None):  # type: ignore[index]
                raise _bad(where, _("{name} needs both a window and a threshold").format(name=name))
            windows[index] = round(_number(hours.get(name, 0), f"{where}.windows_h.{name}", 0) * 3600)
            if windows[index] > 72 * 3600 or (name in hours and windows[index] <= 0):
                raise _bad(f"{where}.windows_h.{name}", _("more than 0, at most 72 h"))
        if kind == "sum" and not quantity.is_amount:
            raise _bad(where, _("{name} is not an amount: it cannot be added up").format(name=quantity.code))
    measure, rising_from, colour, after = "rise", None, 0, None
    if kind == "silence":
        measure = rule.get("measure", "rise")
        if measure not in ("rise", "sum") or (measure == "sum" and not quantity.is_amount):
            raise _bad(f"{where}.measure", _("rise, or sum for amounts"))
        if "rising_from" in rule:
            rising_from = _number(rule["rising_from"], f"{where}.rising_from", 0)
            windows[0] = round(_number(rule.get("window_h", 1), f"{where}.window_h", 0.01) * 3600)
            if windows[0] > 72 * 3600:
                raise _bad(f"{where}.window_h", _("more than 0, at most 72 h"))
            if rule.get("colour") not in COLOUR_NAMES:
                raise _bad(f"{where}.colour", _("needed with rising_from: blue, yellow, orange or red"))
            colour = COLOUR_NUMBER[rule["colour"]]
        if "after_s" in rule:
            after = round(_number(rule["after_s"], f"{where}.after_s", 60))
    season = rule.get("season", {})
    months = season.get("months", []) if isinstance(season, dict) else None
    if not isinstance(months, list) or any(not isinstance(month, int) or not 1 <= month <= 12 for month in months):
        raise _bad(f"{where}.season", _("a list of months, such as months: [5, 6]"))
    regions = rule.get("regions", [])
    if not isinstance(regions, list) or any(not isinstance(code, str) for code in regions):
        raise _bad(f"{where}.regions", _("a list of region codes, as text"))
    for name in ("text", "text_zh", "hazard"):
        if not isinstance(rule.get(name, ""), str) or len(rule.get(name, "")) > (40 if name == "hazard" else 600):
            raise _bad(f"{where}.{name}", _("a text, not too long"))
    longest = max(windows)
    stale = round(_number(rule.get("stale_h", 0), f"{where}.stale_h", 0) * 3600) or (longest if longest else 6 * 3600)
    return RuleSpec(
        ruleset=ruleset, version=version, key=rule["key"], kind=kind, quantity=quantity.code, hazard=rule.get("hazard", ""),
        text=rule.get("text", ""), text_zh=rule.get("text_zh", ""), windows_s=tuple(windows), thresholds=thresholds,  # type: ignore[arg-type]
        hysteresis=_number(rule.get("hysteresis", 0), f"{where}.hysteresis", 0), stale_s=stale, measure=measure,
        rising_from=rising_from, colour=colour, after_s=after, months=tuple(months), regions=tuple(regions),
    )


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=64)
def _specs(text: str) -> tuple[RuleSpec, ...]:
    return tuple(parse(text)[1])


def specs(ruleset: RuleSet) -> tuple[RuleSpec, ...]:
    """Its rules; parsed once a process."""
    return _specs(ruleset.text)


def default_files() -> list[tuple[str, str]]:
    """(name, text) of the rule files of this release."""
    return [(path.stem, path.read_text()) for path in sorted(FOLDER.glob("*.yaml"))]


def in_force() -> list[RuleSet]:
    return list(RuleSet.objects.filter(in_force=True).order_by("name"))
