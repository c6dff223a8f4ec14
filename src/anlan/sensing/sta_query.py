"""The query language of SensorThings (OData's, with its own functions): options of an address into trees, and a $filter into SQL.

Every name is looked up by the caller and every literal is a parameter: nothing of an address becomes SQL.
"""
from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .errors import BAD_QUERY

MOST, USUAL = 1000, 100  # entities on a page
LONGEST, DEEPEST = 4000, 40
_TOKEN = re.compile(
    r"\s*(?:(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w:])|geography'(?P<geo>[^']*)'|'(?P<text>(?:[^']|'')*)'"
    r"|(?P<name>@?[A-Za-z_][\w.]*(?:/@?[A-Za-z_][\w.]*)*)|(?P<mark>[(),]))"
)
_COMPARE = {"eq": "=", "ne": "<>", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_ADD, _TIMES = {"add": "+", "sub": "-"}, {"mul": "*", "div": "/", "mod": "%%"}
TEXT, NUMBER, TIME, BOOL, NULL, GEO, POINT, JSON = "text", "number", "time", "bool", "null", "geo", "point", "json"


@dataclass
class Options:
    """What one collection is asked for."""

    top: int = USUAL
    skip: int = 0
    count: bool = False
    filter: str = ""
    orderby: str = ""
    select: tuple[str, ...] = ()
    expand: dict[str, Options] = field(default_factory=dict)
    raw: dict[str, str] = field(default_factory=dict)  # as given, for the link to the next page


def _whole(text: str, name: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise BAD_QUERY(why=f"{name}={text[:20]}")
    return int(text)


def options(given: Mapping[str, str]) -> Options:
    """The options of an address, or of one $expand. sensing.bad_query for what is unknown or malformed."""
    out = Options(raw=dict(given))
    for name, text in given.items():
        if name == "$top":
            out.top = min(_whole(text, name), MOST)
        elif name == "$skip":
            out.skip = _whole(text, name)
        elif name == "$count":
            if text not in ("true", "false"):
                raise BAD_QUERY(why=f"$count={text[:20]}")
            out.count = text == "true"
        elif name == "$filter":
            out.filter = text
        elif name == "$orderby":
            out.orderby = text
        elif name == "$select":
            out.select = tuple(part.strip() for part in text.split(",") if part.strip())
        elif name == "$expand":
            for part in _split(text, ","):
                _expand(out.expand, part.strip())
        else:
            raise BAD_QUERY(why=name[:40])
    return out


def _split(text: str, mark: str) -> list[str]:
    """At every mark that stands in no bracket and no quote."""
    if len(text) > LONGEST:
        raise BAD_QUERY(why=f"> {LONGEST}")
    parts, depth, quoted, start = [], 0, False, 0
    for place, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif not quoted:
            depth += (letter == "(") - (letter == ")")
            if letter == mark and depth == 0:
                parts.append(text[start:place])
                start = place + 1
    if depth or quoted:
        raise BAD_QUERY(why=text[:60])
    return [part for part in (*parts, text[start:]) if part.strip()]


def _expand(into: dict[str, Options], text: str, depth: int = 0) -> None:
    found = re.fullmatch(r"([A-Za-z]+)(?:/([A-Za-z/]+(?:\(.*\))?))?(?:\((.*)\))?", text, re.DOTALL)
    if not found or depth > 5:
        raise BAD_QUERY(why=f"$expand={text[:60]}")
    name, rest, inner = found.groups()
    given: dict[str, str] = {}
    for part in _split(inner or "", ";"):
        key, equals, value = part.strip().partition("=")
        if not equals:
            raise BAD_QUERY(why=part[:60])
        given[key] = value
    own = options(given)
    if name in into:
        own.expand = {**into[name].expand, **own.expand}
        own = own if given else Options(**{**into[name].__dict__, "expand": own.expand})
    into[name] = own
    if rest:
        _expand(own.expand, rest, depth + 1)


# --- $filter and $orderby --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Term:
    """A piece of SQL and what kind of value it gives."""

    sql: str
    kind: str
    value: Any = None  # of a literal


class Values:
    """Parameters of a statement, by name."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        name = f"v{len(self.given)}"
        self.given[name] = value
        return f"%({name})s"


# name -> (kinds of its arguments, kind of its value, SQL)
_PART = {name: ([TIME], NUMBER, f"extract({name} FROM {{0}} AT TIME ZONE 'UTC')") for name in ("year", "month", "day", "hour", "minute", "second")}
FUNCTIONS: dict[str, tuple[list[str], str, str]] = {
    "substringof": ([TEXT, TEXT], BOOL, "(position({0} IN {1}) > 0)"), "contains": ([TEXT, TEXT], BOOL, "(position({1} IN {0}) > 0)"),
    "startswith": ([TEXT, TEXT], BOOL, "starts_with({0}, {1})"), "endswith": ([TEXT, TEXT], BOOL, "(right({0}, length({1})) = {1})"),
    "length": ([TEXT], NUMBER, "length({0})"), "indexof": ([TEXT, TEXT], NUMBER, "(position({1} IN {0}) - 1)"), "substring": ([TEXT, NUMBER], TEXT, "substr({0}, ({1})::int + 1)"),
    "tolower": ([TEXT], TEXT, "lower({0})"), "toupper": ([TEXT], TEXT, "upper({0})"), "trim": ([TEXT], TEXT, "trim({0})"), "concat": ([TEXT, TEXT], TEXT, "({0} || {1})"),
    **_PART, "now": ([], TIME, "now()"), "round": ([NUMBER], NUMBER, "round(({0})::numeric)"), "floor": ([NUMBER], NUMBER, "floor({0})"), "ceiling": ([NUMBER], NUMBER, "ceil({0})"),
    "st_within": ([POINT, GEO], BOOL, "({0} <@ {1})"),
}
Look = Callable[[str], Term]


class Filter:
    """Reads one expression; `look` gives the term of a path or raises sensing.bad_query."""

    def __init__(self, text: str, look: Look, values: Values) -> None:
        if len(text) > LONGEST:
            raise BAD_QUERY(why=f"$filter > {LONGEST}")
        self.text, self.look, self.values = text, look, values
        self.tokens: list[tuple[str, str]] = []
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if not found or found.end() == place:
                raise BAD_QUERY(why=f"$filter: {text[place:place + 40]}")
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind]))
            place = found.end()
        self.at = self.depth = 0

    def where(self) -> str:
        term = self._or()
        if self.at < len(self.tokens) or term.kind != BOOL:
            raise self._wrong()
        return term.sql

    def _wrong(self) -> Exception:
        return BAD_QUERY(why=f"$filter: {self.text[:60]}… {' '.join(text for _kind, text in self.tokens[self.at:self.at + 3])}")

    def _next(self, *words: str) -> str:
        """Take the next token when it is one of these words or marks."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] in ("name", "mark") and self.tokens[self.at][1] in words:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return ""

    def _or(self) -> Term:
        self.depth += 1
        if self.depth > DEEPEST:
            raise BAD_QUERY(why="$filter: ((((")
        left = self._and()
        while self._next("or"):
            left = Term(f"({self._bool(left)} OR {self._bool(self._and())})", BOOL)
        self.depth -= 1
        return left

    def _and(self) -> Term:
        left = self._not()
        while self._next("and"):
            left = Term(f"({self._bool(left)} AND {self._bool(self._not())})", BOOL)
        return left

    def _bool(self, term: Term) -> str:
        if term.kind != BOOL:
            raise self._wrong()
        return term.sql

    def _not(self) -> Term:
        turned = False
        while self._next("not"):
            turned = not turned
        term = self._compare()
        return Term(f"(NOT {self._bool(term)})", BOOL) if turned else term

    def _compare(self) -> Term:
        left = self._sum()
        word = self._next(*_COMPARE)
        if not word:
            return left
        right = self._sum()
        if NULL in (left.kind, right.kind):
            if word not in ("eq", "ne"):
                raise self._wrong()
            return Term(f"({(left if right.kind == NULL else right).sql} IS {'' if word == 'eq' else 'NOT '}NULL)", BOOL)
        left, right = self._alike(left, right)
        return Term(f"({left.sql} {_COMPARE[word]} {right.sql})", BOOL)

    def _alike(self, left: Term, right: Term) -> tuple[Term, Term]:
        """Two terms as one kind: a time may be written in quotes, a value of `properties` is whatever it is compared with."""
        for one, other in ((left, right), (right, left)):
            if one.kind == TIME and other.kind == TEXT and isinstance(other.value, str):
                turned = self._time(other.value)
                return (one, turned) if one is left else (turned, one)
            if one.kind == JSON and other.kind != JSON:
                cast = {NUMBER: f"(CASE WHEN jsonb_typeof({one.sql}) = 'number' THEN ({one.sql})::text::float8 END)", BOOL: f"(({one.sql})::text = 'true')"}
                turned = Term(cast.get(other.kind, f"({one.sql} #>> '{{}}')"), other.kind)
                return (turned, other) if one is left else (other, turned)
        if left.kind != right.kind or left.kind in (GEO, POINT):
            raise self._wrong()
        return left, right

    def _sum(self) -> Term:
        return self._chain(lambda: self._chain(self._one, _TIMES), _ADD)

    def _chain(self, inner: Callable[[], Term], marks: dict[str, str]) -> Term:
        left = inner()
        while word := self._next(*marks):
            right = inner()
            if left.kind != NUMBER or right.kind != NUMBER:
                raise self._wrong()
            a, b = (f"({term.sql})::numeric" for term in (left, right))
            left = Term(f"({a} {marks[word]} {f'nullif({b}, 0)' if word in ('div', 'mod') else b})", NUMBER)
        return left

    def _time(self, text: str) -> Term:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise BAD_QUERY(why=f"$filter: {text[:40]}")
        return Term(f"{self.values.add(at if at.tzinfo else at.replace(tzinfo=UTC))}::timestamptz", TIME)

    def _one(self) -> Term:
        if self._next("("):
            inner = self._or()
            if not self._next(")"):
                raise self._wrong()
            return inner
        if self.at >= len(self.tokens):
            raise self._wrong()
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return Term(f"{self.values.add(float(text))}::float8", NUMBER, float(text))
        if kind == "text":
            text = text.replace("''", "'").replace("\x00", "")
            return Term(f"{self.values.add(text)}::text", TEXT, text)
        if kind == "time":
            return self._time(text)
        if kind == "geo":
            return self._area(text)
        if kind != "name":
            self.at -= 1
            raise self._wrong()
        if text in ("true", "false"):
            return Term(text, BOOL)
        if text == "null":
            return Term("NULL", NULL)
        if text in FUNCTIONS and self._next("("):
            return self._call(text)
        return self.look(text)

    def _call(self, name: str) -> Term:
        wanted, gives, sql = FUNCTIONS[name]
        given: list[Term] = []
        while not self._next(")"):
            if given and not self._next(","):
                raise self._wrong()
            given.append(self._or())
        if name == "substring" and len(given) == 3:
            return Term(f"substr({given[0].sql}, ({given[1].sql})::int + 1, ({given[2].sql})::int)", TEXT)
        given = [Term(f"({term.sql} #>> '{{}}')", TEXT) if term.kind == JSON and kind == TEXT else term for term, kind in zip(given, wanted, strict=False)] + given[len(wanted):]
        if [term.kind for term in given] != wanted:
            raise self._wrong()
        return Term(sql.format(*(term.sql for term in given)), gives)

    def _area(self, text: str) -> Term:
        """An outline in WKT as PostgreSQL's own polygon."""
        found = re.fullmatch(r"\s*POLYGON\s*\(\(([-\d.\s,eE]+)\)\)\s*", text)
        points = [pair.split() for pair in found[1].split(",")] if found else []
        try:
            corners = [(float(x), float(y)) for x, y in points]
        except ValueError:
            corners = []
        if len(corners) < 4:
            raise BAD_QUERY(why=f"geography'{text[:60]}'")
        return Term(f"{self.values.add('(' + ','.join(f'({x},{y})' for x, y in corners) + ')')}::polygon", GEO)


def ordered(text: str, look: Look) -> list[str]:
    """The SQL of an $orderby."""
    out = []
    for part in _split(text, ","):
        words = part.split()
        if not 1 <= len(words) <= 2 or (len(words) == 2 and words[1].lower() not in ("asc", "desc")):
            raise BAD_QUERY(why=f"$orderby={part[:60]}")
        term = look(words[0])
        if term.kind == POINT:
            raise BAD_QUERY(why=f"$orderby={part[:60]}")
        out.append(f"{term.sql} {words[1].upper() if len(words) == 2 else 'ASC'} NULLS LAST")
    return out
