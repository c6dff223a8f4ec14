"""Rule files for streams of one quantity: the plain YAML that `anlan sense file` reads.

    quantity: rain
    unit: mm
    quantum: 0.1                # values are whole numbers of this; thresholds are met exactly
    rules:                      # the highest colour that holds wins; none when none does
      - {colour: red,    window: 3h, at_least: 100}                                  # kind: sum, when there is a window
      - {colour: yellow, kind: over, window: 6h, over: 2.5, at_least: 20}            # what each reading had above 2.5
      - {colour: yellow, kind: index, days: 15, decay: 0.84, at_least: 60}           # antecedent rain index
      - {colour: orange, kind: level, at_least: 5.0, hysteresis: 0.2}                # kind: level, when there is none
      - {colour: red,    kind: rise, window: 1h, at_least: 0.5}                      # above the lowest value of the hour
      - {kind: silence, after: 30min, measure: rise, window: 1h, rising_from: 0.3}   # told by the clock's ticks
      - {kind: quorum, colour: red, of: orange, stations: 3}                         # so many of an area at the same time
    areas: {north: [A1, A2, A3]}  # for quorum
    windows: [1h, 24h]          # sums to write out besides those judged
    lateness: 15min             # how far the watermark stays behind; ahead: 10min, how far a clock may be ahead
    tick: 1min                  # of the clock, for silence and stale_after
    stale_after: 12h            # a colour nobody feeds becomes unknown (default: never)
    step: 5min                  # the grid of times (default: found in the data)

`at_least` and `hysteresis` may also be {station: value, ...} with `default`. Times: 90s, 15min, 3h, 2d, or seconds.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import ceil
from typing import Any

import numpy as np
import yaml

from .rules import BLUE, DAY, INDEX_UNIT, NEVER, NONE, ORANGE, RED, UNKNOWN, YELLOW, Colours, Measure, Silence, Term

COLOURS = {"none": NONE, "blue": BLUE, "yellow": YELLOW, "orange": ORANGE, "red": RED}
WORDS = {number: name for name, number in COLOURS.items()} | {UNKNOWN: "unknown"}
SILENCE_WORDS = {0: "reporting", 1: "silent", 2: "silent_rising"}
_UNITS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": DAY}
_FILE = {"quantity", "unit", "quantum", "rules", "areas", "windows", "lateness", "ahead", "tick", "stale_after", "step", "idle"}
_RULE = {
    "sum": {"colour", "kind", "window", "at_least"}, "over": {"colour", "kind", "window", "over", "at_least"},
    "index": {"colour", "kind", "days", "decay", "at_least"}, "level": {"colour", "kind", "at_least", "hysteresis"},
    "rise": {"colour", "kind", "window", "at_least"}, "silence": {"kind", "after", "measure", "window", "rising_from", "colour"},
    "quorum": {"colour", "kind", "of", "stations", "at_least"},
}


class RuleError(ValueError):
    """A rule file that cannot be taken; says where and what to do."""


@dataclass(frozen=True)
class Watch:
    """A quorum rule: `stations` or more of an area with colour `of` or higher."""

    colour: int
    of: int
    stations: int


@dataclass
class RuleFile:
    """A rule file read; `signals(stations)` gives the engine's rules for a list of station ids."""

    quantity: str
    unit: str
    quantum: Decimal
    rules: list[dict[str, Any]]
    areas: dict[str, list[str]] = field(default_factory=dict)
    windows: list[int] = field(default_factory=list)
    lateness: int = 900
    ahead: int = 600
    tick: int = 60
    stale_after: int = 0
    step: int = 0
    idle: int = 0

    def whole(self, value: Any) -> int:
        """A threshold in quanta: the least whole number that reaches it."""
        return ceil(Decimal(str(value)) / self.quantum)

    def shown(self, quanta: int, scale: int = 1) -> str:
        """Quanta as a decimal number in `unit`, without the dirt of binary fractions."""
        value = Decimal(quanta) * self.quantum / scale
        places = max(0, -int(self.quantum.normalize().as_tuple().exponent))
        return f"{value:.{places if scale == 1 else max(places, 3)}f}"

    @property
    def extra(self) -> list[Measure]:
        return [Measure("sum", window) for window in self.windows]

    def signals(self, stations: Sequence[str]) -> list[Colours | Silence]:
        place = {name: index for index, name in enumerate(stations)}
        terms, silent = [], []
        for rule in self.rules:
            kind = rule["kind"]
            if kind == "silence":
                measure = Measure(rule["measure"], rule["window"]) if rule.get("rising_from") is not None else None
                rising = self.whole(rule["rising_from"]) if measure is not None else NEVER
                silent.append(Silence(np.full(len(stations), rule["after"], np.int64), measure, rising))
            elif kind != "quorum":
                if kind == "index":
                    measure = Measure("index", rule["days"] * DAY, decay=rule["decay"])
                elif kind == "over":
                    measure = Measure("over", rule["window"], floor=self.whole(rule["over"]))
                else:
                    measure = Measure(kind, rule.get("window", 0))
                terms.append(Term(COLOURS[rule["colour"]], measure, self._limit(rule["at_least"], place, NEVER), self._limit(rule.get("hysteresis", 0), place, 0)))
        return [Colours(tuple(terms), self.stale_after), *silent]

    def _limit(self, given: Any, place: Mapping[str, int], default: int) -> Any:
        if not isinstance(given, Mapping):
            return self.whole(given)
        out = np.full(len(place), self.whole(given["default"]) if "default" in given else default, np.int64)
        for station, value in given.items():
            if str(station) in place:
                out[place[str(station)]] = self.whole(value)
        return out

    @property
    def watches(self) -> list[Watch]:
        return [Watch(COLOURS[r["colour"]], COLOURS[r["of"]], r["stations"]) for r in self.rules if r["kind"] == "quorum"]


def name_of(measure: Measure) -> str:
    """Column name of a measure: sum_3h, rise_30min, level ..."""
    if not measure.window:
        return measure.kind
    return f"{measure.kind}_{span_words(measure.window)}"


def span_words(seconds: int) -> str:
    for unit, size in (("d", DAY), ("h", 3600), ("min", 60)):
        # 24h is how hydrologists call a day's window.
        if seconds % size == 0 and (unit != "d" or seconds > 2 * DAY):
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def scale_of(measure: Measure) -> int:
    return INDEX_UNIT if measure.kind == "index" else 1


def _span(value: Any, where: str, least: int = 1) -> int:
    if isinstance(value, bool):
        value = None
    if isinstance(value, (int, float)):
        seconds = float(value)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", str(value).lower())
        if not match or (match[2] or "s") not in _UNITS:
            raise RuleError(f"{where}: {value!r} is no time; write 90s, 15min, 3h or 2d")
        seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if seconds != int(seconds) or seconds < least or seconds > 400 * DAY:
        raise RuleError(f"{where}: {value!r} must be whole seconds, at least {least} and at most 400 days")
    return int(seconds)


def _number(value: Any, where: str) -> Decimal:
    try:
        number = Decimal(str(value))
        if isinstance(value, bool) or not number.is_finite():
            raise InvalidOperation
    except InvalidOperation:
        raise RuleError(f"{where}: {value!r} is no number") from None
    return number


def read_rules(text: str) -> RuleFile:
    """Read a rule file; RuleError says what is wrong and where."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"the rule file is not YAML: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("rules"), list) or not data["rules"]:
        raise RuleError("a rule file has quantity, unit, quantum and a list of rules")
    strange = set(map(str, data)) - _FILE
    if strange:
        raise RuleError(f"unknown: {', '.join(sorted(strange))}; a rule file may have {', '.join(sorted(_FILE))}")
    if "quantum" not in data:
        raise RuleError("quantum: the smallest step of a value, in its unit, is needed, such as 0.1")
    quantum = _number(data["quantum"], "quantum")
    if quantum <= 0:
        raise RuleError("quantum: must be above 0")
    rules = [_rule(rule, f"rules[{index}]") for index, rule in enumerate(data["rules"], 1)]
    file = RuleFile(str(data.get("quantity", "value")), str(data.get("unit", "")), quantum, rules)
    areas = data.get("areas") or {}
    if not isinstance(areas, dict) or any(not isinstance(members, list) for members in areas.values()):
        raise RuleError("areas: name: [station, station, ...]")
    file.areas = {str(area): [str(member) for member in members] for area, members in areas.items()}
    file.windows = [_span(window, "windows") for window in data.get("windows") or []]
    for name, least in (("lateness", 0), ("ahead", 0), ("tick", 1), ("stale_after", 0), ("step", 1), ("idle", 0)):
        if name in data:
            setattr(file, name, _span(data[name], name, least))
    if file.watches and not file.areas:
        raise RuleError("areas: needed by the quorum rule")
    if all(rule["kind"] in ("silence", "quorum") for rule in rules) and file.watches:
        raise RuleError("rules: a quorum counts colours, and no rule gives any")
    return file


def _rule(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise RuleError(f"{where}: a rule is like {{colour: red, window: 3h, at_least: 100}}")
    rule = dict(given)
    kind = rule.setdefault("kind", "sum" if "window" in rule else "level")
    if kind not in _RULE:
        raise RuleError(f"{where}: unknown kind {kind!r}; there are {', '.join(sorted(_RULE))}")
    strange = set(map(str, rule)) - _RULE[kind]
    if strange:
        raise RuleError(f"{where}: a rule of kind {kind} has no {', '.join(sorted(strange))}")
    if kind != "silence" and rule.get("colour") not in COLOURS or rule.get("colour") == "none":
        raise RuleError(f"{where}.colour: blue, yellow, orange or red")
    for name in ("window", "after"):
        if name in rule:
            rule[name] = _span(rule[name], f"{where}.{name}")
    if kind in ("sum", "over", "rise") and "window" not in rule:
        raise RuleError(f"{where}.window: needed, such as 3h")
    if kind == "over":
        _number(rule.get("over"), f"{where}.over")
    if kind == "index":
        if not isinstance(rule.get("days"), int) or not 1 <= rule["days"] <= 60:
            raise RuleError(f"{where}.days: whole days, 1 to 60")
        rule["decay"] = float(_number(rule.get("decay"), f"{where}.decay"))
        if not 0 < rule["decay"] <= 1:
            raise RuleError(f"{where}.decay: above 0 and at most 1, a day")
    if kind == "silence":
        if "after" not in rule:
            raise RuleError(f"{where}.after: needed, such as 30min")
        if rule.get("rising_from") is not None:
            _number(rule["rising_from"], f"{where}.rising_from")
            rule.setdefault("measure", "rise")
            rule.setdefault("window", 3600)
            if rule["measure"] not in ("rise", "sum"):
                raise RuleError(f"{where}.measure: rise or sum")
    elif kind == "quorum":
        if rule.get("of") not in COLOURS or rule["of"] == "none":
            raise RuleError(f"{where}.of: blue, yellow, orange or red")
        rule["stations"] = rule.get("stations", rule.get("at_least"))
        if not isinstance(rule["stations"], int) or rule["stations"] < 1:
            raise RuleError(f"{where}.stations: how many, at least 1")
    else:
        for name in ("at_least", "hysteresis"):
            value = rule.get(name, 0 if name == "hysteresis" else None)
            for each in value.values() if isinstance(value, dict) else [value]:
                if name == "hysteresis" and _number(each, f"{where}.{name}") < 0:
                    raise RuleError(f"{where}.hysteresis: at least 0")
                _number(each, f"{where}.{name}")
    return rule
