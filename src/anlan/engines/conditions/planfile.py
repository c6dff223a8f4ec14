"""A contingency plan as a data file: read, checked with the place and remedy of each fault, and digested.

A file from outside is hostile until shown otherwise: bounded size, depth and number of values; no YAML aliases, anchors or
tags; no repeated keys. Nothing in it is executed; conditions are compiled against the published vocabulary.
"""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from .condition import Condition, PlaceSpec, compile_condition
from .syntax import ConditionError
from .vocabulary import Key, Vocabulary, key_of

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_TROUBLES = 1_000_000, 12, 30_000, 50
# libyaml where it is there: ten times faster, same events and marks.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
COLOURS = ("red", "orange", "yellow", "blue", "")
LANGUAGES = ("zh", "en")
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.()-]{0,59}$")
Text = Mapping[str, str]


@dataclass(frozen=True)
class Trouble:
    """One fault: the path in the file, line and column (1-based), what is wrong and what to do."""

    where: str
    line: int
    column: int
    what: str
    todo: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"where": self.where, "line": self.line, "column": self.column, "what": self.what, "todo": self.todo}

    def __str__(self) -> str:
        return f"{self.line}:{self.column} {self.where}: {self.what}" + (f"; {self.todo}" if self.todo else "")


@dataclass(frozen=True)
class PlaceEntry(PlaceSpec):
    label: Text = field(default_factory=dict)
    quantity: str = ""
    also: tuple[str, ...] = ()
    source: str = ""


@dataclass(frozen=True)
class LevelEntry:
    """A response level, or a measure: something the plan ties to a condition without calling it a level."""

    code: str
    kind: str
    rank: int
    colour: str
    label: Text
    approver: str
    clause: str
    answer_within_min: int
    consent: str = ""


@dataclass(frozen=True)
class ClauseEntry:
    key: str
    title: Text
    text: Text
    source: str = ""


@dataclass(frozen=True)
class ConditionEntry:
    """A sentence of the plan. `when` empty: left to a person's judgement, or not published (`note` says which)."""

    key: str
    level: str
    clause: str
    label: Text
    when: str
    ask_when: str
    note: Text
    compiled: Condition | None
    compiled_ask: Condition | None

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """What it asks for, in its own order."""
        return tuple(key for rule in (self.compiled, self.compiled_ask) if rule for key in rule.keys)


@dataclass(frozen=True)
class ActionEntry:
    key: str
    level: str
    post: str
    text: Text
    clause: str
    deadline_min: int | None
    deadline: Text


@dataclass(frozen=True)
class PlanFile:
    """A plan that passed every check. `data` is the file as plain values; `digest` names it."""

    key: str
    title: Text
    number: str
    issuer: Text
    hazard: str
    adopted: str
    source: str
    notes: Text
    places: Mapping[str, PlaceEntry]
    posts: Mapping[str, Text]
    asks: Mapping[str, str]
    levels: tuple[LevelEntry, ...]
    clauses: Mapping[str, ClauseEntry]
    conditions: tuple[ConditionEntry, ...]
    actions: tuple[ActionEntry, ...]
    data: Mapping[str, Any]
    digest: str

    @cached_property
    def askers(self) -> Mapping[Key, tuple[int, ...]]:
        """Which conditions, by number, ask for a key; every key, in the order of the plan."""
        found: dict[Key, list[int]] = {}
        for number, entry in enumerate(self.conditions):
            for key in dict.fromkeys(entry.keys):
                found.setdefault(key, []).append(number)
        return {key: tuple(numbers) for key, numbers in found.items()}

    def level(self, code: str) -> LevelEntry:
        return next(level for level in self.levels if level.code == code)


def digest_of(data: Any) -> str:
    """Digest of plain values, whatever their order in the file: algorithm and hex."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class _Refused(Exception):
    pass


class _Reader:
    """YAML to plain values, remembering where each value stands."""

    def __init__(self) -> None:
        self.marks: dict[str, tuple[int, int]] = {}
        self.troubles: list[Trouble] = []
        self.nodes = 0
        self.maker = yaml.SafeLoader("")

    def refuse(self, mark: Any, where: str, what: str, todo: str) -> _Refused:
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        self.troubles.append(Trouble(where, line, column, what, todo))
        return _Refused()

    def load(self, raw: bytes | str) -> Any:
        size = len(raw if isinstance(raw, bytes) else raw.encode("utf-8", "replace"))
        if size > MAX_BYTES:
            raise self.refuse(None, "file", f"the file has {size} bytes", f"at most {MAX_BYTES} are taken")
        try:
            text = raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw
        except UnicodeDecodeError as error:
            raise self.refuse(None, "file", f"byte {error.start} is not UTF-8", "save the file as UTF-8")
        try:
            depth = 0
            # Events first: an anchor or a deep nest is refused before anything is built from it.
            for event in yaml.parse(text, Loader=LOADER):
                self.nodes += 1
                if self.nodes > MAX_NODES:
                    raise self.refuse(event.start_mark, "file", "too many values", f"at most {MAX_NODES}")
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    raise self.refuse(event.start_mark, "file", "anchors and aliases (& and *) are not taken", "write the text out")
                tag = getattr(event, "tag", None)
                if tag:
                    raise self.refuse(event.start_mark, "file", f"the tag {tag} is not taken", "remove the !tag")
                if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise self.refuse(event.start_mark, "file", "values are nested too deep", f"at most {MAX_DEPTH} levels")
                elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                    depth -= 1
            node = yaml.compose(text, Loader=LOADER)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            raise self.refuse(mark, "file", f"not YAML: {getattr(error, 'problem', None) or error}", "check indentation, colons and quotes there")
        except RecursionError:
            raise self.refuse(None, "file", "values are nested too deep", f"at most {MAX_DEPTH} levels")
        if node is None:
            raise self.refuse(None, "file", "the file is empty", "start from one of the plans that come with Anlan")
        return self.plain(node, "")

    def plain(self, node: yaml.Node, path: str) -> Any:
        self.marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise self.refuse(key_node.start_mark, path or "file", "a key must be a text", "use a plain word")
                key = str(key_node.value)
                if key in result:
                    raise self.refuse(key_node.start_mark, path or "file", f"{key!r} is given twice", "keep one of them")
                result[key] = self.plain(value_node, f"{path}.{key}" if path else key)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(item, f"{path}[{index}]") for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            if node.tag == "tag:yaml.org,2002:timestamp":
                return node.value
            return self.maker.construct_object(node)
        except (yaml.YAMLError, ValueError):
            raise self.refuse(node.start_mark, path, f"{node.value!r} cannot be read", "put it in quotes")


class _Checker:
    def __init__(self, reader: _Reader, vocabulary: Vocabulary) -> None:
        self.reader, self.vocabulary, self.troubles = reader, vocabulary, reader.troubles

    def fault(self, path: str, what: str, todo: str = "", offset: tuple[int, int] = (0, 0)) -> None:
        place = path
        while place and place not in self.reader.marks:
            place = re.sub(r"(\.[^.\[]*|\[\d+\]|^[^.\[]*)$", "", place)
        line, column = self.reader.marks.get(place, (1, 1))
        if len(self.troubles) < MAX_TROUBLES:
            self.troubles.append(Trouble(path or "file", line + offset[0], column + offset[1] if not offset[0] else offset[1] + 1, what, todo))

    def mapping(self, value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.fault(path, "a table of keys and values is needed here", "write key: value, indented")
        return {}

    def sequence(self, value: Any, path: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self.fault(path, "a list is needed here", "start each entry with a dash")
        return []

    def keys(self, row: Mapping[str, Any], path: str, needed: Sequence[str], allowed: Sequence[str]) -> None:
        for key in needed:
            if key not in row:
                self.fault(path, f"{key!r} is missing", f"add {key}:")
        for key in row:
            if key not in needed and key not in allowed:
                self.fault(f"{path}.{key}" if path else key, f"{key!r} is not known here", f"known are {', '.join([*needed, *allowed])}")

    def text(self, row: Mapping[str, Any], key: str, path: str, limit: int = 300) -> str:
        value = row.get(key, "")
        if not isinstance(value, (str, int, float)) or isinstance(value, bool):
            self.fault(f"{path}.{key}" if path else key, "a text is needed here", "put it in quotes")
            return ""
        if len(str(value)) > limit:
            self.fault(f"{path}.{key}" if path else key, f"the text has {len(str(value))} characters", f"at most {limit}")
        return str(value).strip()

    def both(self, row: Mapping[str, Any], key: str, path: str, needed: bool = True, limit: int = 6000) -> Text:
        """A text in languages: {zh: …, en: …}; at least one of them."""
        where = f"{path}.{key}" if path else key
        if key not in row:
            return {}
        value = row[key]
        if not isinstance(value, dict) or not value:
            self.fault(where, "a text by language is needed here", "write {zh: …, en: …}")
            return {}
        for language, text in value.items():
            if language not in LANGUAGES or not isinstance(text, str) or not text.strip() or len(text) > limit:
                self.fault(f"{where}.{language}", "a text in zh or en is needed here", f"at most {limit} characters, in quotes if it holds a colon")
                return {}
        return {language: text.strip() for language, text in value.items()}

    def whole(self, row: Mapping[str, Any], key: str, path: str, low: int, high: int, default: int | None) -> int | None:
        value = row.get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(f"{path}.{key}", f"a whole number from {low} to {high} is needed here, not {value!r}")
            return default
        return value

    def known(self, value: str, among: Mapping[str, Any] | Sequence[str], path: str, what: str) -> None:
        if value not in among:
            self.fault(path, f"there is no {what} {value!r}", f"known are {', '.join(map(str, among)) or 'none'}")

    def condition(self, text: Any, path: str, places: Mapping[str, PlaceSpec]) -> Condition | None:
        if not isinstance(text, str):
            self.fault(path, "a condition is a text", "put it in quotes or after a |")
            return None
        try:
            return compile_condition(text, self.vocabulary, places)
        except ConditionError as error:
            # Inside a block text (|) the condition begins on the next line.
            block = self.reader.marks.get(path, (1, 1))[0] and text.endswith("\n")
            self.fault(path, f"{error.what} (line {error.line}, column {error.column} of the condition)", error.todo,
                       (error.line, error.column - 1) if block else (error.line - 1, error.column if error.line == 1 else error.column - 1))
            return None

    def plan(self, data: Any) -> PlanFile | None:
        data = self.mapping(data, "")
        self.keys(data, "", ("anlan_plan", "id", "title", "places", "posts", "levels", "clauses", "conditions", "actions"),
                  ("number", "issuer", "hazard", "adopted", "source", "notes", "asks", "tests"))
        if data.get("anlan_plan") != 1:
            self.fault("anlan_plan", "the format must be 1", "write anlan_plan: 1")
        key = self.text(data, "id", "", 60)
        if not NAME.match(key):
            self.fault("id", f"{key!r} cannot be the id of a plan", "letters, digits, . _ - only, at most 60")
        title = self.both(data, "title", "")
        places = self.table(data, "places", self.place_entry)
        posts = {name: self.both({"label": row}, "label", f"posts.{name}") for name, row in self.mapping(data.get("posts", {}), "posts").items()}
        clauses = self.table(data, "clauses", self.clause_entry)
        levels = [self.level_entry(row, f"levels[{index}]", posts, clauses) for index, row in enumerate(self.sequence(data.get("levels", []), "levels"))]
        codes = [level.code for level in levels]
        if len(set(codes)) < len(codes):
            self.fault("levels", "a level code is given twice", "keep one of them")
        ranks = [level.rank for level in levels if level.kind == "response"]
        if len(set(ranks)) < len(ranks):
            self.fault("levels", "two response levels have the same rank", "the most severe has the highest number")
        asks = {str(term): str(post) for term, post in self.mapping(data.get("asks", {}), "asks").items()}
        for term, post in asks.items():
            self.known(term, [*self.vocabulary, "default"], f"asks.{term}", "term")
            self.known(post, posts, f"asks.{term}", "post")
        conditions = [self.condition_entry(row, f"conditions[{index}]", codes, clauses, places) for index, row in enumerate(self.sequence(data.get("conditions", []), "conditions"))]
        actions = [self.action_entry(row, f"actions[{index}]", codes, clauses, posts) for index, row in enumerate(self.sequence(data.get("actions", []), "actions"))]
        both: tuple[tuple[str, list[Any]], ...] = (("conditions", conditions), ("actions", actions))
        for what, rows in both:
            seen: set[str] = set()
            for index, entry in enumerate(rows):
                if entry.key in seen:
                    self.fault(f"{what}[{index}].id", f"{entry.key!r} is given twice", "each needs its own id")
                seen.add(entry.key)
        for code in codes:
            if not any(entry.level == code for entry in conditions):
                self.fault("conditions", f"level {code} has no condition", "a level nobody can reach is a mistake; add one, even without `when`")
        known = {key for entry in conditions if entry.compiled for key in entry.compiled.keys}
        for index, row in enumerate(self.sequence(data.get("tests", []), "tests")):
            self.test_entry(row, f"tests[{index}]", codes, known)
        if self.troubles:
            return None
        return PlanFile(key, title, self.text(data, "number", ""), self.both(data, "issuer", ""), self.text(data, "hazard", ""), self.text(data, "adopted", ""),
                        self.text(data, "source", "", 1000), self.both(data, "notes", ""), places, posts, asks, tuple(levels), clauses,
                        tuple(conditions), tuple(actions), data, digest_of(data))

    def table(self, data: Mapping[str, Any], key: str, make: Callable[[str, dict[str, Any], str], Any]) -> dict[str, Any]:
        table = {}
        for name, row in self.mapping(data.get(key, {}), key).items():
            path = f"{key}.{name}"
            if not NAME.match(name):
                self.fault(path, f"{name!r} cannot be a key", "letters, digits, . _ - ( ) only, at most 60")
            table[name] = make(name, self.mapping(row, path), path)
        return table

    def place_entry(self, name: str, row: dict[str, Any], path: str) -> PlaceEntry:
        self.keys(row, path, ("kind", "label"), ("quantity", "marks", "also", "source"))
        kind = self.text(row, "kind", path)
        self.known(kind, ("gauge", "region", "site"), f"{path}.kind", "kind of place")
        marks = self.mapping(row.get("marks", {}), f"{path}.marks")
        for mark, value in marks.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                self.fault(f"{path}.marks.{mark}", f"a mark is a number, not {value!r}", "leave a mark out that the plan does not set")
        also = self.sequence(row.get("also", []), f"{path}.also")
        return PlaceEntry(name, kind, {key: float(value) for key, value in marks.items() if isinstance(value, (int, float))}, self.both(row, "label", path),
                          self.text(row, "quantity", path), tuple(map(str, also)), self.text(row, "source", path))

    def clause_entry(self, name: str, row: dict[str, Any], path: str) -> ClauseEntry:
        self.keys(row, path, ("text",), ("title", "source"))
        return ClauseEntry(name, self.both(row, "title", path), self.both(row, "text", path), self.text(row, "source", path))

    def level_entry(self, row: Any, path: str, posts: Mapping[str, Any], clauses: Mapping[str, Any]) -> LevelEntry:
        row = self.mapping(row, path)
        self.keys(row, path, ("code", "rank", "label", "approver", "clause"), ("kind", "colour", "answer_within_min", "consent"))
        colour = self.text(row, "colour", path)
        self.known(colour, COLOURS, f"{path}.colour", "colour")
        kind = self.text(row, "kind", path) or "response"
        self.known(kind, ("response", "measure"), f"{path}.kind", "kind of level")
        for key in ("approver", "consent"):
            if row.get(key):
                self.known(self.text(row, key, path), posts, f"{path}.{key}", "post")
        self.known(self.text(row, "clause", path), clauses, f"{path}.clause", "clause")
        return LevelEntry(self.text(row, "code", path, 20), kind, self.whole(row, "rank", path, 0, 20, 0) or 0, colour, self.both(row, "label", path), self.text(row, "approver", path),
                          self.text(row, "clause", path), self.whole(row, "answer_within_min", path, 1, 1440, 15) or 15, self.text(row, "consent", path))

    def condition_entry(self, row: Any, path: str, codes: Sequence[str], clauses: Mapping[str, Any], places: Mapping[str, PlaceSpec]) -> ConditionEntry:
        row = self.mapping(row, path)
        self.keys(row, path, ("id", "level", "clause"), ("when", "ask_when", "note", "label"))
        level, clause = self.text(row, "level", path), self.text(row, "clause", path)
        self.known(level, codes, f"{path}.level", "level")
        self.known(clause, clauses, f"{path}.clause", "clause")
        note = self.both(row, "note", path)
        if "when" not in row and not note:
            self.fault(path, "neither `when` nor `note`", "give the condition, or say in a note why a machine cannot judge it")
        compiled = self.condition(row["when"], f"{path}.when", places) if "when" in row else None
        asked = self.condition(row["ask_when"], f"{path}.ask_when", places) if "ask_when" in row else None
        return ConditionEntry(self.text(row, "id", path, 60), level, clause, self.both(row, "label", path), str(row.get("when", "")).strip(),
                              str(row.get("ask_when", "")).strip(), note, compiled, asked)

    def test_entry(self, row: Any, path: str, codes: Sequence[str], known: set[Key]) -> None:
        """A table test: `given` values by key (`water_level(hengyang): 57`), the response level they must give ("" for none), and measures."""
        row = self.mapping(row, path)
        self.keys(row, path, ("given", "level"), ("name", "measures"))
        if row.get("level"):
            self.known(self.text(row, "level", path), codes, f"{path}.level", "level")
        for code in self.sequence(row.get("measures", []), f"{path}.measures"):
            self.known(str(code), codes, f"{path}.measures", "level")
        for words, value in self.mapping(row.get("given", {}), f"{path}.given").items():
            where, key = f"{path}.given.{words}", key_of(words)
            if key is None or key.term not in self.vocabulary:
                self.fault(where, f"{words!r} names no term", "write term(place): value, for example water_level(hengyang): 57")
            elif key not in known:
                self.fault(where, f"no condition asks for {key}", "a test gives values that the conditions look at")
            elif why := self.vocabulary[key.term].refuse(value):
                self.fault(where, why)

    def action_entry(self, row: Any, path: str, codes: Sequence[str], clauses: Mapping[str, Any], posts: Mapping[str, Any]) -> ActionEntry:
        row = self.mapping(row, path)
        self.keys(row, path, ("id", "level", "post", "text", "clause"), ("deadline_min", "deadline"))
        level, clause, post = self.text(row, "level", path), self.text(row, "clause", path), self.text(row, "post", path)
        self.known(level, codes, f"{path}.level", "level")
        self.known(clause, clauses, f"{path}.clause", "clause")
        self.known(post, posts, f"{path}.post", "post")
        return ActionEntry(self.text(row, "id", path, 60), level, post, self.both(row, "text", path), clause,
                           self.whole(row, "deadline_min", path, 0, 100_000, None), self.both(row, "deadline", path))


def read_plan(raw: bytes | str, vocabulary: Vocabulary) -> tuple[PlanFile | None, list[Trouble]]:
    """The plan, or None and every fault found (at most 50), each with where, line, column, what and what to do."""
    reader = _Reader()
    try:
        data = reader.load(raw)
    except _Refused:
        return None, reader.troubles
    plan = _Checker(reader, vocabulary).plan(data)
    return plan, reader.troubles
