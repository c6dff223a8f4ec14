"""The terms a condition may speak of: a closed, published list, so that a plan can be checked before the day it is needed."""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NamedTuple

Value = float | bool | str
Source = Literal["machine", "warning", "response", "forecast", "reported"]
# What only a person can say: a forecaster's statement or a report from the field. These may be asked for.
ASKED: frozenset[str] = frozenset({"forecast", "reported"})


class Key(NamedTuple):
    """One known or unknown value: a term at a place, narrowed by qualifiers (hazard, colour, class …)."""

    term: str
    place: str = ""
    qualifier: str = ""

    def __str__(self) -> str:
        inner = ", ".join(part for part in (self.place, *self.qualifier.split("|")) if part)
        return f"{self.term}({inner})"


KEY = re.compile(r"^\s*([a-z_0-9]+)\s*\(\s*([^,()]*)\s*(?:,\s*([^()]*?)\s*)?\)\s*$")


def key_of(words: str) -> Key | None:
    """`water_level(hengyang)`, `warned_counties(city, rainstorm, red)`; None when it is no such thing."""
    match = KEY.match(words)
    return Key(match[1], match[2].strip().strip('"'), "|".join(part.strip().strip('"') for part in (match[3] or "").split(",") if part.strip())) if match else None


@dataclass(frozen=True)
class Qualifier:
    name: str
    choices: tuple[str, ...]


@dataclass(frozen=True)
class TermSpec:
    """One term: its type, unit, where it may be asked, who knows it and for how long a value holds."""

    name: str
    type: Literal["number", "bool", "choice"]
    label: Mapping[str, str]
    unit: str = ""
    choices: tuple[str, ...] = ()
    choice_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    qualifiers: tuple[Qualifier, ...] = ()
    source: Source = "reported"
    stale_after: timedelta | None = None
    # The value when nothing was ever heard: only for counts of messages, where silence means none. None: unknown.
    absent: Value | None = None
    quantity: str = ""
    window: timedelta | None = None
    low: float | None = None
    high: float | None = None

    def refuse(self, value: Any, unit: str | None = None) -> str:
        """Why this value cannot be taken for the term; empty when it can."""
        if unit and self.unit and unit != self.unit:
            return f"{self.name} is stated in {self.unit}, not in {unit}"
        if self.type == "bool":
            return "" if isinstance(value, bool) else f"{self.name} is true or false, not {value!r}"
        if self.type == "number":
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or value in (float("inf"), float("-inf")):
                return f"{self.name} is a number{f' in {self.unit}' if self.unit else ''}, not {value!r}"
            if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
                return f"{self.name} lies between {self.low} and {self.high}{f' {self.unit}' if self.unit else ''}; {value} does not"
            return ""
        return "" if value in self.choices else f"{self.name} is one of {', '.join(self.choices)}; not {value!r}"


class Vocabulary(Mapping[str, TermSpec]):
    """The terms by name, from the published file."""

    def __init__(self, terms: Mapping[str, TermSpec]) -> None:
        self._terms = dict(terms)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Vocabulary:
        """From the parsed vocabulary file; ValueError names the term at fault."""
        terms: dict[str, TermSpec] = {}
        for name, row in data["terms"].items():
            try:
                choices = row.get("choices", {})
                terms[name] = TermSpec(
                    name=name, type=row["type"], label={"zh": row["zh"], "en": row["en"]}, unit=row.get("unit", ""),
                    choices=tuple(choices), choice_labels={key: {"zh": pair[0], "en": pair[1]} for key, pair in dict(choices).items()},
                    places=tuple(row.get("places", ())),
                    qualifiers=tuple(Qualifier(key, tuple(map(str, values))) for key, values in row.get("qualifiers", {}).items()),
                    source=row["source"], absent=row.get("absent"), quantity=row.get("quantity", ""),
                    stale_after=timedelta(hours=row["stale_after_h"]) if "stale_after_h" in row else None,
                    window=timedelta(hours=row["window_h"]) if "window_h" in row else None,
                    low=row.get("low"), high=row.get("high"),
                )
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"vocabulary term {name}: {error!r}") from error
        return cls(terms)

    def __getitem__(self, name: str) -> TermSpec:
        return self._terms[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._terms)

    def __len__(self) -> int:
        return len(self._terms)
