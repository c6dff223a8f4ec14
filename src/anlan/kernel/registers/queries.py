"""Reading registers with access: lists, counts, maps, single rows and their history, with personal fields masked and reads noted.

Made for a million rows: a list first asks for at most 10,001 hits; if there are fewer, their number is exact and they are
sorted as they are; if there are more, they lie so close together in any order's index that a page is found by walking it.
"""
from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.core.exceptions import FieldDoesNotExist
from django.db import connection
from django.db.models import BooleanField, F, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from .. import access, access_log, clock, search
from ..errors import FORBIDDEN, INVALID, NOT_FOUND
from ..models import FieldConflict, RegionPath, RegisterChange, RegisterRow, SavedView
from ..models.registers import CELL_RESOLUTION
from . import counting, values
from .declare import REGISTERS, Field, Register, get

EXACT_UP_TO = search.EXACT_UP_TO
MAX_SIZE = 500
# Beyond this, paging by number stops: nobody reads page 201; filters and the cursor are the way.
REACHABLE = 10_000
POINTS = 500
# So many rows of a list are looked at for those with a common word before all that have it are sorted.
WALK = 20_000
OPERATORS = ("gte", "lte", "gt", "lt", "empty", "not")


# --- who may see what --------------------------------------------------------------------------------------------------


def _reach(actor: Any, capability: str) -> Any:
    """Regions the capability reaches; ALL also when they hold every root, for then nothing lies outside."""
    reach = access.regions(actor, capability)
    if reach is access.ALL or not reach:
        return reach
    if "register_roots" not in actor.cache:
        actor.cache["register_roots"] = access._roots()
    roots = actor.cache["register_roots"]
    return access.ALL if roots and roots <= reach else reach


def _units(actor: Any, capability: str) -> set[UUID]:
    return {grant.organisation_id for grant in access.grants(actor).get(capability, ()) if grant.organisation_id}


def scope(actor: Any, declared: Register, what: str = "read", realm: Any = None) -> QuerySet:
    """Rows, ended ones included, for which the actor holds the register's capability where they lie or over their unit."""
    model, capability = declared.model, declared.capability(what)
    if any(column.name == "realm" for column in model._meta.fields):
        return model.objects.seen_by(actor, realm)
    rows = declared.rows()
    if actor.machine_name:
        return rows
    reach, units = _reach(actor, capability), _units(actor, capability)
    if reach is access.ALL:
        return rows
    where = Q(pk__in=[])
    if reach:
        where = Q(region_id__in=reach)
        if reach & access._roots() or getattr(model, "OPEN_WITHOUT_REGION", False):
            where |= Q(region=None)
    if units:
        where |= Q(organisation_id__in=units)
    if declared.own and actor.person_id and what == "read":
        where |= Q(**{declared.own: actor.person_id})
    return rows.filter(where)


def may_read(actor: Any, declared: Register, row: Any, realm: Any = None) -> bool:
    """Whether the actor may read this row."""
    return scope(actor, declared, realm=realm).filter(pk=row.pk).exists()


def registers(actor: Any) -> list[Register]:
    """The registers the actor may read somewhere, by their words."""
    return sorted((one for one in REGISTERS.values() if access.may(actor, one.read)), key=lambda one: (one.name.partition(".")[0], str(one.label)))


def open_fields(actor: Any, declared: Register, row: Any = None) -> set[str]:
    """Names of the fields the actor may read, on this row or (without one) anywhere."""
    if row is None:
        return {one.name for one in declared.all if not one.read or access.may(actor, one.read)}
    if declared.is_own(actor, row):
        return set(declared.by_name)
    return {one.name for one in declared.all if not one.read or access.may(actor, one.read, row.region_id, row.organisation_id)}


# --- narrowing ---------------------------------------------------------------------------------------------------------


def filter_fields(declared: Register) -> list[Field]:
    """The fields a list may be narrowed by."""
    return [one for one in declared.all if one.filter]


def _bad(name: str, why: str) -> Exception:
    return INVALID([{"field": name, "why": why}])


def _word(declared: Register, actor: Any, word: str) -> Q:
    """Rows one word finds: by their search column, or by what the register says besides."""
    query = search._tsquery(word)
    found = Q(RawSQL(f'"{declared.model._meta.db_table}"."words" @@ %s::tsquery', [query], output_field=BooleanField())) if query else Q(pk__in=[])
    also = declared.find(actor, word) if declared.find else None
    return found if also is None else found | also


def narrow(rows: QuerySet, declared: Register, *, q: str = "", filters: dict[str, Any] | None = None, actor: Any = None) -> QuerySet:
    """Rows that hold every word of `q` and pass every filter; `actor`: for whom, where a word finds more than the search column.

    `filters`: {field: value or list of values}; {field__gte|lte|gt|lt|not|empty: value} (the first four also of
    fields the list can be sorted by); region (its subtree); `stale`: yes (never
    verified, or longer ago than the register allows), no, never; `ended`: yes (only what left the list), all; `bbox`:
    west,south,east,north; `placed`: yes, no; `conflict`: yes; `id`: keys. kernel.invalid names a filter that is none.
    """
    filters = {name: value for name, value in (filters or {}).items() if not values.empty(value)}
    ended = filters.pop("ended", "")
    rows = rows.filter(ended_at__isnull=False) if ended == "yes" else rows if ended == "all" else rows.filter(ended_at=None)
    look = values.Lookup()
    for name, value in filters.items():
        base, _sep, operator = name.partition("__")
        if name in _BUILT_IN and name not in declared.by_name:
            rows = _BUILT_IN[name](rows, declared, value)
            continue
        one = declared.by_name.get(base)
        if one is None or (operator and operator not in OPERATORS) or one.kind == "point" or not (one.filter or (operator in OPERATORS[:4] and base in declared.sorts)):
            raise _bad(name, _("there is no such filter"))
        rows = _by_field(rows, declared, one, operator, value, look)
    query = search._tsquery(q[:200])
    if declared.find is not None and actor is not None and q.strip():
        for word in q[:200].split()[:5]:
            rows = rows.filter(_word(declared, actor, word))
    elif query:
        rows = rows.extra(where=[f'"{declared.model._meta.db_table}"."words" @@ %s::tsquery'], params=[query])
    elif q.strip():
        rows = rows.none()
    return rows


def _by_field(rows: QuerySet, declared: Register, one: Field, operator: str, value: Any, look: values.Lookup) -> QuerySet:
    column = values.attribute(declared.model, one.name)
    if operator == "empty":
        wanted = str(value) in values.YES
        nothing = Q(**{f"{column}__isnull": True}) | (Q(**{column: [] if one.many else ""}) if one.many or one.kind in ("text", "longtext", "code", "choice", "phone", "url") else Q(pk__in=[]))
        return rows.filter(nothing) if wanted else rows.exclude(nothing)
    wanted_all = []
    for part in value if isinstance(value, (list, tuple, set)) else [value]:
        try:
            wanted_all.append(values.clean(one if not one.many else _single(one), part, look))
        except values.Refused as error:
            raise _bad(one.name, str(error))
    if operator in ("gte", "lte", "gt", "lt"):
        return rows.filter(**{f"{column}__{operator}": wanted_all[0]})
    if one.kind == "region":
        wanted_all = list(RegionPath.objects.filter(ancestor_id__in=wanted_all).values_list("descendant_id", flat=True).distinct()) or wanted_all
    if one.many:
        where = Q(pk__in=[])
        for part in wanted_all:
            where |= Q(**{f"{column}__contains": [part]})
    else:
        where = Q(**{column: wanted_all[0]}) if len(wanted_all) == 1 else Q(**{f"{column}__in": wanted_all})
    return rows.exclude(where) if operator == "not" else rows.filter(where)


def _single(one: Field) -> Field:
    from dataclasses import replace

    return replace(one, many=False)


def _stale(rows: QuerySet, declared: Register, value: Any) -> QuerySet:
    if "verified_at" not in declared.columns:
        raise _bad("stale", _("there is no such filter"))
    if value == "never":
        return rows.filter(verified_at=None)
    before = clock.now() - (declared.good_for or timedelta(days=36500))
    old = Q(verified_at=None) | Q(verified_at__lt=before)
    return rows.filter(old) if str(value) in values.YES else rows.filter(verified_at__gte=before)


def box(value: Any) -> tuple[float, float, float, float]:
    """west, south, east, north in degrees, of a text or list; kernel.invalid."""
    parts = value.split(",") if isinstance(value, str) else list(value)
    try:
        west, south, east, north = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise _bad("bbox", _("four degrees are wanted: west,south,east,north"))
    if not all(map(math.isfinite, (west, south, east, north))) or south > north or west > east:
        raise _bad("bbox", _("four degrees are wanted: west,south,east,north"))
    return max(west, -180), max(south, -90), min(east, 180), min(north, 90)


def _bbox(rows: QuerySet, declared: Register, value: Any) -> QuerySet:
    west, south, east, north = box(value)
    rows = rows.filter(lon__gte=west, lon__lte=east, lat__gte=south, lat__lte=north)
    ranges = _cover((west, south, east, north))
    return rows if ranges is None else _within(rows, ranges)


def _within(rows: QuerySet, ranges: list[tuple[int, int]]) -> QuerySet:
    where = Q(pk__in=[])
    for low, high in ranges:
        where |= Q(cell__gte=low, cell__lte=high)
    return rows.filter(where)


def _keys(rows: QuerySet, declared: Register, value: Any) -> QuerySet:
    try:
        return rows.filter(pk__in=[UUID(str(one)) for one in (value if isinstance(value, (list, tuple, set)) else [value])][:5000])
    except ValueError:
        raise _bad("id", _("there is nothing of this key"))


def _conflict(rows: QuerySet, declared: Register, value: Any) -> QuerySet:
    return rows.filter(pk__in=FieldConflict.objects.filter(register=declared.name, state=FieldConflict.OPEN).values("row"))


_BUILT_IN = {
    "stale": _stale, "bbox": _bbox, "id": _keys, "conflict": _conflict,
    "placed": lambda rows, declared, value: rows.filter(cell__isnull=str(value) not in values.YES),
}
SPECIAL_FILTERS = (*_BUILT_IN, "ended")


# --- the list ----------------------------------------------------------------------------------------------------------


@dataclass
class Page:
    """One page of a list. `after` asks for the next by cursor; `estimated`: the count is the planner's, because it is large."""

    rows: list[Any] = field(default_factory=list)
    count: int = 0
    estimated: bool = False
    page: int = 1
    size: int = 50
    more: bool = False
    after: str = ""


def _order(declared: Register, sort: str) -> tuple[str, bool, bool]:
    """(column, descending?, nullable?)"""
    sort = sort or declared.order
    name, down = sort.lstrip("-"), sort.startswith("-")
    if name not in declared.sorts:
        raise _bad("sort", _("the list cannot be sorted by {name}").format(name=name[:40]))
    column = values.attribute(declared.model, name)
    return column, down, declared.model._meta.get_field(name).null


def _cursor(text: str) -> tuple[Any, UUID]:
    try:
        value, key = json.loads(base64.urlsafe_b64decode(text.encode() + b"==="))
        return value, UUID(key)
    except (ValueError, TypeError):
        raise _bad("after", _("this is no place in the list; begin again"))


def _past(rows: QuerySet, column: str, down: bool, nullable: bool, text: str) -> QuerySet:
    value, key = _cursor(text)
    further = "lt" if down else "gt"
    if value is None:
        return rows.filter(**{f"{column}__isnull": True, f"pk__{further}": key})
    beyond = Q(**{f"{column}__{further}e": value}) & (Q(**{f"{column}__{further}": value}) | Q(**{f"pk__{further}": key}))
    return rows.filter(beyond | Q(**{f"{column}__isnull": True}) if nullable else beyond)


def listed(
    actor: Any, declared: Register, *, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None, sort: str = "", page: int = 1, size: int = 50,
    after: str = "", related: Sequence[str] = (),
) -> Page:
    """A page of the rows the actor may read, by number (to 10,000 rows deep) or by the cursor `after`. kernel.forbidden, kernel.invalid."""
    access.require(actor, declared.read)
    rows = narrow(scope(actor, declared, realm=realm), declared, q=q, filters=filters, actor=actor)
    words = search._tsquery(q[:200]) if declared.find is None else ""
    every = narrow(scope(actor, declared, realm=realm), declared, filters=filters) if words else rows
    return _page(rows, declared, sort=sort, page=page, size=size, after=after, related=related, words=words, every=every)


def _page(rows: QuerySet, declared: Register, *, sort: str, page: int, size: int, after: str, related: Sequence[str], words: str = "", every: Any = None) -> Page:
    column, down, nullable = _order(declared, sort)
    size = min(max(1, size), MAX_SIZE)
    page = min(max(1, page), max(1, REACHABLE // size))
    found = Page(page=page, size=size)
    offset = 0 if after else (page - 1) * size
    hits = rows.order_by().values("pk", column)[: EXACT_UP_TO + 1]
    sql, params = hits.query.sql_with_params()
    direction = "DESC NULLS LAST" if down else "ASC NULLS LAST"
    with connection.cursor() as cursor:
        cursor.execute(f"WITH hit (id, sorted) AS MATERIALIZED ({sql}) SELECT count(*) FROM hit", params) if after else cursor.execute(
            f"WITH hit (id, sorted) AS MATERIALIZED ({sql}), total AS (SELECT count(*) AS n FROM hit) "
            f"SELECT total.n, page.id FROM total LEFT JOIN LATERAL (SELECT id, sorted FROM hit WHERE total.n <= {EXACT_UP_TO} ORDER BY sorted {direction}, id {'DESC' if down else 'ASC'} "
            f"LIMIT {size + 1} OFFSET {offset}) page ON true ORDER BY page.sorted {direction}, page.id {'DESC' if down else 'ASC'}",
            params,
        )
        answer = cursor.fetchall()
    found.count = answer[0][0]
    total = estimate(rows) if found.count > EXACT_UP_TO else 0
    if after or found.count > EXACT_UP_TO:
        by = (F(column).desc(nulls_last=True) if nullable else F(column).desc()) if down else F(column).asc()
        by_key = F("pk").desc() if down else F("pk").asc()
        past = (lambda some: _past(some, column, down, nullable, after)) if after else (lambda some: some)
        if words and total:
            keys = _with_words(declared, past(rows), past(every).order_by(by, by_key), words, total, column, f"sorted {direction}, id {'DESC' if down else 'ASC'}", offset, size + 1)
        else:
            keys = list(past(rows).order_by(by, by_key).values_list("pk", flat=True)[offset : offset + size + 1])
    else:
        keys = [row[1] for row in answer if row[1] is not None]
    if total:
        found.count, found.estimated = total, True
    found.more = len(keys) > size
    found.rows = fetch(declared, keys[:size], related)
    if found.more and found.rows:
        last = found.rows[-1]
        token = orjson.dumps([values.plain(getattr(last, column)), str(last.pk)])
        found.after = base64.urlsafe_b64encode(token).decode().rstrip("=")
    return found


def _with_words(declared: Register, rows: QuerySet, every: QuerySet, words: str, hits: int, column: str, order: str, offset: int, most: int) -> list[UUID]:
    """A page of rows that hold common words, `hits` of them. Where they lie thick, it is found by walking the list's order a little way; where they do
    not, though they are many (a word with which only names beginning with z begin), all of them are sorted: walking would read the whole table."""
    walk, keys = max(WALK, hits // 2), []
    with connection.cursor() as cursor:
        if (offset + most) * size(declared) <= walk * hits:
            walked, params = every.values("pk", column, "words")[:walk].query.sql_with_params()
            cursor.execute(f"SELECT id FROM ({walked}) x (id, sorted, words) WHERE words @@ %s::tsquery ORDER BY {order} LIMIT {most} OFFSET {offset}", [*params, words])
            keys = [one[0] for one in cursor.fetchall()]
        if len(keys) < most:
            found, params = rows.order_by().values("pk", column).query.sql_with_params()
            cursor.execute(f"WITH hit (id, sorted) AS MATERIALIZED ({found}) SELECT id FROM hit ORDER BY {order} LIMIT {most} OFFSET {offset}", params)
            keys = [one[0] for one in cursor.fetchall()]
    return keys


def fetch(declared: Register, keys: Sequence[UUID], related: Sequence[str] = ()) -> list[Any]:
    """These rows, in this order, without their search column; references come along."""
    references = [one.name for one in declared.all if one.kind in values.REFERENCES and one.of is None and declared.model._meta.get_field(one.name).is_relation]
    rows = {row.pk: row for row in declared.rows().filter(pk__in=keys).defer("words").select_related(*references, *related)}
    for one in declared.all:
        if one.of is not None and rows:
            texts = one.of(list(rows.values()))
            for key, row in rows.items():
                row.__dict__[one.name] = texts.get(key, "")
    return [rows[key] for key in keys if key in rows]


def estimate(rows: QuerySet) -> int:
    """The planner's idea of how many; more than 10,000."""
    sql, params = rows.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    return max(EXACT_UP_TO + 1, int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"]))


def known(rows: QuerySet) -> int:
    """How many; one above 10,000 stands for more."""
    return rows.order_by().values("pk")[: EXACT_UP_TO + 1].count()


def count(actor: Any, declared: Register, *, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None) -> tuple[int, bool]:
    """(number, estimated?): exact to 10,000."""
    rows = narrow(scope(actor, declared, realm=realm), declared, q=q, filters=filters, actor=actor)
    exact = known(rows)
    return (exact, False) if exact <= EXACT_UP_TO else (estimate(rows), True)


def row(actor: Any, declared: Register, key: Any, *, realm: Any = None) -> Any:
    """One row the actor may read, ended or not; kernel.not_found."""
    try:
        found = scope(actor, declared, realm=realm).filter(pk=key if isinstance(key, UUID) else UUID(str(key))).first()
    except ValueError:
        found = None
    if found is None:
        raise NOT_FOUND(kind=declared.one, key=str(key)[:60])
    return found


def by_key(actor: Any, declared: Register, given: dict[str, Any], *, realm: Any = None) -> Any | None:
    """The listed row of a natural key (raw values), if the actor may read it."""
    look = values.Lookup()
    try:
        where = {values.attribute(declared.model, name): values.clean(declared.by_name[name], given.get(name), look) for name in declared.key}
    except values.Refused:
        return None
    return scope(actor, declared, realm=realm).filter(ended_at=None, **where).first()


# --- lines: rows as a reader sees them -----------------------------------------------------------------------------------


@dataclass
class Cell:
    """A value as this reader sees it: `text` for people, `value` plain for programs; masked values have no plain one."""

    field: Field
    text: str
    value: Any
    masked: bool = False


@dataclass
class Line:
    """A row as this reader sees it."""

    row: Any
    cells: dict[str, Cell]
    stale: bool

    @property
    def id(self) -> UUID:
        return self.row.pk

    def as_json(self) -> dict[str, Any]:
        """For programs: plain values; masked fields are named and show their mask."""
        found = {
            "id": str(self.row.pk), "version": self.row.version, "values": {name: cell.text if cell.masked else cell.value for name, cell in self.cells.items()},
            "texts": {name: cell.text for name, cell in self.cells.items() if cell.field.kind in (*values.REFERENCES, "code", "choice") and cell.text and not cell.masked},
            "masked": [name for name, cell in self.cells.items() if cell.masked], "stale": self.stale, "ended": self.row.ended_at is not None,
        }
        if hasattr(self.row, "verified_at"):
            found["verified_at"] = values.plain(self.row.verified_at) if self.row.verified_at else None
        return found


def stale(declared: Register, row: Any, now: Any = None) -> bool:
    """Whether nobody has said lately enough that this row is still right."""
    if declared.good_for is None or not hasattr(row, "verified_at"):
        return False
    return row.verified_at is None or (now or clock.now()) - row.verified_at > declared.good_for


def lines(
    actor: Any, declared: Register, rows: Iterable[Any], fields: Sequence[str] | None = None, *, way: str = "list", purpose: str = "", address: str = "",
) -> list[Line]:
    """These rows as the actor may see them. What is personal and shown open is noted in the access log (`way`: list, read, export, print, feed, map;
    empty: the caller notes it itself). Fields closed to the reader are left out, personal ones masked."""
    rows = list(rows)
    wanted = [declared.by_name[name] for name in fields if name in declared.by_name] if fields is not None else list(declared.all)
    now = clock.now()
    names: dict[UUID, str] = {}
    for one in wanted:
        if one.kind in values.REFERENCES:
            keys = {values.of(one, row) for row in rows} - {None}
            names.update(values.names_of(one, keys - names.keys()))
    found, opened, persons = [], set(), 0
    memory: dict[tuple, bool] = {}
    for row in rows:
        cells, any_open = {}, False
        for one in wanted:
            value = values.of(one, row)
            if one.personal and one.personal.open and not declared.stands_open(actor, one, row):
                cells[one.name] = Cell(one, values.mask(one.personal, value), None, masked=not values.empty(value))
                continue
            if one.read and not declared.is_own(actor, row):
                asked = (one.read, row.region_id, row.organisation_id)
                if asked not in memory:
                    memory[asked] = access.may(actor, *asked)
                if not memory[asked]:
                    if one.personal:
                        cells[one.name] = Cell(one, values.mask(one.personal, value), None, masked=not values.empty(value))
                    continue
            if one.personal and not values.empty(value) and not declared.is_own(actor, row):
                opened.add(one.name)
                any_open = True
            cells[one.name] = Cell(one, values.shown(one, value, names=names), values.plain(value))
        persons += any_open
        found.append(Line(row, cells, stale(declared, row, now)))
    if persons and way:
        subject = f"{declared.kind}:{rows[0].pk}" if len(rows) == 1 else f"register:{declared.name}"
        access_log.note(actor, way, subject, fields=sorted(opened), count=persons, purpose=purpose, address=address)
    return found


def note_open(actor: Any, declared: Register, rows: Sequence[Any], fields: Sequence[Field], way: str, address: str = "") -> None:
    """Note that a page or paper shows personal fields of these rows open (`Personal.open`); one's own entry is no reading."""
    opened, persons = set(), 0
    shown = [one for one in fields if one.personal and one.personal.open]
    for row in rows if shown else ():
        names = [one.name for one in shown if not declared.is_own(actor, row) and not values.empty(values.of(one, row)) and declared.stands_open(actor, one, row)]
        opened.update(names)
        persons += bool(names)
    if persons:
        access_log.note(actor, way, f"{declared.kind}:{rows[0].pk}" if len(rows) == 1 else f"register:{declared.name}", fields=sorted(opened), count=persons, address=address)


def line(actor: Any, declared: Register, key: Any, *, realm: Any = None, purpose: str = "", address: str = "") -> Line:
    """One row with all its fields as the actor may see them; the read of personal fields is noted. kernel.not_found."""
    return lines(actor, declared, [row(actor, declared, key, realm=realm)], way="read", purpose=purpose, address=address)[0]


def columns(actor: Any, declared: Register, chosen: Sequence[str] | None = None) -> list[Field]:
    """The columns of the list: those chosen that the actor may see at least masked, else the declared ones."""
    may = open_fields(actor, declared)
    seen = [one for one in declared.all if one.name in may or one.personal]
    if chosen:
        order = {one.name: one for one in seen}
        picked = [order[name] for name in dict.fromkeys(chosen) if name in order]
        if picked:
            return picked
    return [one for one in seen if one.column] or [one for one in seen if one.name == declared.title]


# --- history -------------------------------------------------------------------------------------------------------------


@dataclass
class Step:
    """One entry of a row's history, as this reader may see it: `changes` are (field, before, after) in words."""

    at: Any
    occurred_at: Any
    op: str
    version: int
    account: UUID | None
    person: UUID | None
    who: str
    post: str
    device: str
    note: str
    changes: list[tuple[Field, str, str]]


def history(actor: Any, declared: Register, key: Any, *, realm: Any = None, limit: int = 200, covered: bool = False) -> list[Step]:
    """Who changed what, newest first, with the values before and after; `covered`: personal ones masked for everybody. kernel.not_found."""
    from ..models import Account, Person, Post

    found = row(actor, declared, key, realm=realm)
    entries = list(RegisterChange.objects.filter(register=declared.name, row=found.pk).order_by("-version", "-id")[:limit])
    may = open_fields(actor, declared, found) - {one.name for one in declared.personal if one.personal.open and not declared.stands_open(actor, one, found)}  # type: ignore[union-attr]
    people = dict(Person.objects.filter(pk__in={entry.person for entry in entries}).values_list("pk", "name"))
    accounts = dict(Account.objects.filter(pk__in={entry.account for entry in entries}).values_list("pk", "name"))
    posts = dict(Post.objects.filter(pk__in={entry.post for entry in entries}).values_list("pk", "name"))
    names: dict[str, dict[UUID, str]] = {}
    for one in declared.all:
        if one.kind in values.REFERENCES:
            keys = {value for entry in entries for value in entry.changes.get(one.name, ()) if value}
            names[one.name] = values.names_of(one, keys)
    steps, opened = [], set()
    for entry in entries:
        changes = []
        for name, pair in entry.changes.items():
            one = declared.by_name.get(name)
            if one is None or (name not in may and not one.personal):
                continue
            before, after = pair
            if one.personal and not covered and name in may and entry.personal and name in entry.personal:
                before, after = (values.shown(one, value, names=names.get(name)) for value in entry.personal[name])
                opened.add(name)
            elif not one.personal:
                before, after = (values.shown(one, value, names=names.get(name)) for value in pair)
            changes.append((one, before or "", after or ""))
        steps.append(Step(
            entry.at, entry.occurred_at, entry.op, entry.version, entry.account, entry.person, people.get(entry.person) or accounts.get(entry.account, ""),
            posts.get(entry.post, ""), entry.device, entry.note, changes,
        ))
    if opened:
        access_log.note(actor, "read", f"{declared.kind}:{found.pk}", fields=sorted(opened), purpose="history")
    return steps


def conflicts(actor: Any, declared: Register, key: Any = None, *, realm: Any = None) -> list[FieldConflict]:
    """Open conflicts of a row, or of all rows the actor may read; personal values masked for who may not see them."""
    rows = FieldConflict.objects.filter(register=declared.name, state=FieldConflict.OPEN).order_by("at")
    if key is not None:
        rows = rows.filter(row=row(actor, declared, key, realm=realm).pk)
    found = []
    visible = {one.pk: one for one in scope(actor, declared, realm=realm).filter(pk__in={entry.row for entry in rows})}
    for entry in rows:
        on, one = visible.get(entry.row), declared.by_name.get(entry.field)
        if on is None or one is None:
            continue
        closed = one.personal and one.personal.open and not declared.stands_open(actor, one, on) and not declared.may_field(actor, one, "write", on.region_id, on.organisation_id)
        if closed or entry.field not in open_fields(actor, declared, on):
            if not one.personal:
                continue
            entry.base, entry.ours, entry.theirs = (values.mask(one.personal, value) for value in (entry.base, entry.ours, entry.theirs))
        found.append(entry)
    return found


# --- the map -------------------------------------------------------------------------------------------------------------

_EDGE_M = [1281256.0, 483056.8, 182512.9, 68979.2, 26071.8, 9854.1, 3724.5, 1406.5, 531.4, 200.8, 75.9, 28.7]


def _resolution(zoom: float, width: float) -> int:
    """The H3 resolution whose cells are about 80 pixels wide at this zoom (256-pixel tiles, latitude 30°), and not wider than
    an eighth of the window: a position is known to a part of a cell, and must fall inside."""
    metres = min(135_600 / 2**zoom * 80, max(width / 8, 30.0))
    return min(range(len(_EDGE_M)), key=lambda one: abs(math.log(_EDGE_M[one] * 1.73 / metres)))


def _span(cell: int, resolution: int) -> tuple[int, int]:
    """First and last stored cell inside a cell of a coarser resolution: H3 writes children as further digits."""
    below = 3 * (15 - resolution)
    prefix = cell & ~((0xF << 52) | ((1 << below) - 1)) | (CELL_RESOLUTION << 52)
    return prefix, prefix | ((1 << below) - 1)


def _cover(bbox: tuple[float, float, float, float]) -> list[tuple[int, int]] | None:
    """Ranges of stored cells that hold every point of the box, and a ring around it; None: most of the world."""
    from h3.api import basic_int as h3

    west, south, east, north = bbox
    if (east - west) > 60 or (north - south) > 50:
        return None
    wide = (east - west) * 111_320 * math.cos(math.radians(max(0.0, min(abs(south), abs(north)))))
    high = (north - south) * 110_540
    # Cells a quarter of the shorter side: little lies outside; coarser where that would take too many.
    resolution = next((r for r, edge in enumerate(_EDGE_M) if edge * 4 < max(min(wide, high), 1.0)), CELL_RESOLUTION)
    while True:
        step = _EDGE_M[resolution] * 1.2  # below the height of a hexagon: none is stepped over
        rows, cols = max(1, math.ceil(high / step)), max(1, math.ceil(wide / step))
        if (rows + 1) * (cols + 1) <= 600 or resolution == 0:
            break
        resolution -= 1
    cells = {
        h3.latlng_to_cell(south + (north - south) * i / rows, west + (east - west) * j / cols, resolution) for i in range(rows + 1) for j in range(cols + 1)
    }
    merged: list[tuple[int, int]] = []
    for low, last in sorted(_span(cell, resolution) for cell in {near for cell in cells for near in h3.grid_disk(cell, 1)}):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((low, last))
    return merged


def _share(declared: Register, ranges: list[tuple[int, int]]) -> float:
    """About which part of the rows lies in these ranges, by the planner's own histogram of the cells."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT histogram_bounds::text::bigint[] FROM pg_stats WHERE tablename = %s AND attname = 'cell' AND schemaname = current_schema()", [declared.model._meta.db_table])
        found = cursor.fetchone()
    marks = (found[0] if found else None) or []
    return sum(any(low <= mark <= high for low, high in ranges) for mark in marks) / len(marks) if marks else 0.0


@dataclass
class _Kept:
    """What is read off the kept counts: these regions (and, with `nowhere`, rows without one), this value of this field, fresh ones or stale ones only."""

    regions: set[UUID] | None = None
    nowhere: bool = False
    field: str = ""
    wanted: tuple[str, ...] = ("",)
    old: bool | None = None

    def cells(self, declared: Register, ranges: list[tuple[int, int]] | None) -> list[tuple[int, int, int]]:
        found = counting.cells(declared, self.regions, self.nowhere, ranges, self.field, self.wanted)
        return found if self.old is None else [(cell, old, old) if self.old else (cell, number - old, 0) for cell, number, old in found if (old if self.old else number - old)]


def size(declared: Register) -> float:
    """About how many rows the table has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", [f'"{declared.model._meta.db_table}"'])
        return cursor.fetchone()[0]


def _counted(actor: Any, declared: Register, q: str, filters: dict[str, Any] | None) -> _Kept | None:
    """How to read what is asked for off the kept counts: no words, no filters but the region, freshness and one counted field, rights by region."""
    asked = {name: value for name, value in (filters or {}).items() if not values.empty(value)}
    if q.strip() or declared.own or not issubclass(declared.model, RegisterRow):
        return None
    kept = _Kept()
    if not actor.machine_name:
        reach = _reach(actor, declared.read)
        if _units(actor, declared.read):
            return None
        if reach is not access.ALL:
            kept.regions, kept.nowhere = set(reach), bool(reach & access._roots()) or getattr(declared.model, "OPEN_WITHOUT_REGION", False)
    look = values.Lookup()

    def wanted(name: str) -> list[Any]:
        return [values.clean(declared.by_name[name], part, look) for part in (asked[name] if isinstance(asked[name], (list, tuple, set)) else [asked[name]])]

    for name in asked:
        if name == "region":
            ancestors = wanted(name)
            below = set(RegionPath.objects.filter(ancestor_id__in=ancestors).values_list("descendant_id", flat=True)) or set(ancestors)
            kept.regions, kept.nowhere = below if kept.regions is None else below & kept.regions, False
        elif name == "stale" and declared.good_for is not None and asked[name] != "never":
            kept.old = str(asked[name]) in values.YES
        elif not kept.field and name in counting.fields(declared):
            kept.field, kept.wanted = name, tuple(str(one).lower() if isinstance(one, bool) else str(one) for one in wanted(name))
        else:
            return None
    return kept


def clusters(
    actor: Any, declared: Register, *, bbox: Any, zoom: float, realm: Any = None, q: str = "", filters: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What a map window shows: single rows while they are few (`points`), else exact counts by H3 cell (`clusters`). `total` is what is shown.

    points: [{id, lon, lat, title, note, stale}]; clusters: [{lon, lat, count, stale, cell}], at the mean of what they hold (to a
    seventh of the cell). kernel.forbidden, kernel.invalid.
    """
    from h3.api import basic_int as h3

    access.require(actor, declared.read)
    window = box(bbox)
    zoom = min(max(float(zoom), 0.0), 22.0)
    rows = narrow(scope(actor, declared, realm=realm), declared, q=q, filters=filters, actor=actor).filter(cell__isnull=False)
    west, south, east, north = window
    ranges = _cover(window)
    # The cover is a little larger than the window; so is what a map draws beyond its edge.
    margin_x, margin_y = (east - west) * 0.25, (north - south) * 0.25
    # Range by range, each a short walk of the map's index; a join would tempt the planner into reading the whole table.
    bounds: list[Any] = [[low for low, _high in ranges], [high for _low, high in ranges]] if ranges else []
    each = "unnest(%s::bigint[], %s::bigint[]) r (low, high) CROSS JOIN LATERAL"
    sql, params = rows.order_by().values_list("pk", "cell", "lon", "lat").query.sql_with_params()
    inside = f"SELECT t.id FROM ({sql}) t (id, cell, lon, lat) WHERE t.lon BETWEEN %s AND %s AND t.lat BETWEEN %s AND %s"
    limits = [*params, west, east, south, north]
    coarse = _resolution(zoom, max((east - west) * 111_320 * math.cos(math.radians((south + north) / 2)), (north - south) * 110_540))
    fine = min(coarse + 1, CELL_RESOLUTION)
    shift = 3 * (15 - fine)
    kept = _counted(actor, declared, q, filters) if fine <= counting.RESOLUTION else None
    cells = kept.cells(declared, ranges) if kept is not None else []
    ages = declared.good_for is not None and "verified_at" in declared.columns
    old = "count(*) FILTER (WHERE t.at IS NULL OR t.at < %s)" if ages else "0::bigint"
    before = [clock.now() - declared.good_for] if ages else []  # type: ignore[operator]
    counted: list[Any] | None = None
    if q.strip():
        # Once by the index of words, or by the map's where fewer lie there; range by range the first would be read for each.
        if ranges and estimate(rows) > _share(declared, ranges) * size(declared):
            rows = _within(rows, ranges)
        hits, hit_params = rows.order_by().values_list("pk", "cell", "lon", "lat", *(["verified_at"] if ages else [])).query.sql_with_params()
        here = "t.lon BETWEEN %s AND %s AND t.lat BETWEEN %s AND %s"
        with connection.cursor() as cursor:
            cursor.execute(
                f"WITH t (id, cell, lon, lat{', at' if ages else ''}) AS MATERIALIZED (SELECT * FROM ({hits}) t WHERE t.lon BETWEEN %s AND %s AND t.lat BETWEEN %s AND %s), "
                f"inside AS (SELECT count(*) AS n FROM t WHERE {here}) "
                f"SELECT t.cell >> {shift}, count(*), {old}, CASE WHEN (SELECT n FROM inside) <= {POINTS} THEN array_agg(t.id) FILTER (WHERE {here}) END, (SELECT n FROM inside) FROM t GROUP BY 1",
                [*hit_params, west - margin_x, east + margin_x, south - margin_y, north + margin_y, west, east, south, north, *before, west, east, south, north],
            )
            counted = cursor.fetchall()
        if not counted or counted[0][4] <= POINTS:
            keys = [key for found in counted for key in found[3] or ()]
            return {"total": len(keys), "clusters": [], "points": [_point(declared, one) for one in fetch(declared, keys)]}
        counted = [found[:3] for found in counted]
    # Where the kept counts say that there are many, nobody looks for the few.
    elif sum(number for _cell, number, _old in cells) <= 20 * POINTS:
        with connection.cursor() as cursor:
            if ranges:
                cursor.execute(f"SELECT x.id FROM {each} ({inside} AND t.cell BETWEEN r.low AND r.high LIMIT {POINTS + 1}) x LIMIT {POINTS + 1}", [*bounds, *limits])
            else:
                cursor.execute(f"{inside} LIMIT {POINTS + 1}", limits)
            keys = [one[0] for one in cursor.fetchall()]
            if len(keys) <= POINTS:
                return {"total": len(keys), "clusters": [], "points": [_point(declared, one) for one in fetch(declared, keys)]}
    if kept is not None:
        merged: dict[int, list[int]] = {}
        for cell, number, old_here in cells:
            sums = merged.setdefault(cell >> (shift - counting.SHIFT), [0, 0])
            sums[0] += number
            sums[1] += old_here
        counted = [(prefix, *sums) for prefix, sums in merged.items()]
    elif counted is None:
        # A window that holds most rows is counted in one walk, which two workers can share.
        whole = ranges is None or _share(declared, ranges) > 0.4
        walk, cell_params = rows.order_by().values_list("cell", *(["verified_at"] if ages else [])).query.sql_with_params()
        head, names = f"SELECT t.cell >> {shift} AS prefix, count(*) AS number, {old} AS old", f"t (cell{', at' if ages else ''})"
        grouped = f"{head} FROM ({walk}) {names}"
        with connection.cursor() as cursor:
            if whole:
                # The empty branch hides the column's statistics: by them the planner expects as many groups as cells, and one worker.
                nothing = f"SELECT NULL::bigint{', NULL::timestamptz' if ages else ''} WHERE false"
                cursor.execute(f"{head} FROM ({walk} UNION ALL {nothing}) {names} GROUP BY 1", [*before, *cell_params])
            else:
                cursor.execute(f"SELECT x.prefix, x.number, x.old FROM {each} ({grouped} WHERE t.cell BETWEEN r.low AND r.high GROUP BY 1) x", [*bounds, *before, *cell_params])
            counted = cursor.fetchall()
    groups: dict[int, list[float]] = {}
    for prefix, number, stale_here in counted:
        child = (prefix << shift) & ~(0xF << 52) | (fine << 52) | ((1 << shift) - 1)
        lat, lon = h3.cell_to_latlng(child)
        group = groups.setdefault(h3.cell_to_parent(child, coarse) if coarse < fine else child, [0, 0.0, 0.0, 0])
        group[0] += number
        group[1] += lon * number
        group[2] += lat * number
        group[3] += stale_here
    found = [
        {"lon": round(lon / number, 6), "lat": round(lat / number, 6), "count": int(number), "stale": int(old), "cell": h3.int_to_str(cell)}
        for cell, (number, lon, lat, old) in groups.items()
    ]
    found = [one for one in found if west - margin_x <= one["lon"] <= east + margin_x and south - margin_y <= one["lat"] <= north + margin_y]
    return {"total": sum(one["count"] for one in found), "clusters": sorted(found, key=lambda one: (-one["count"], one["cell"])), "points": []}


def _point(declared: Register, row: Any) -> dict[str, Any]:
    def words(name: str) -> str:
        one = declared.by_name.get(name)
        return values.text(one, row) if one else str(getattr(row, name, "") or "")

    return {
        "id": str(row.pk), "lon": row.lon, "lat": row.lat, "title": words(declared.title), "note": " · ".join(filter(None, map(words, declared.note))),
        "stale": stale(declared, row),
    }


def geojson(actor: Any, declared: Register, **window: Any) -> dict[str, Any]:
    """`clusters` as a GeoJSON FeatureCollection: clusters have `point_count`, rows their id, title, note, stale, page."""
    from .. import subjects

    found = clusters(actor, declared, **window)
    features = [
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [one["lon"], one["lat"]]}, "properties": {"cluster": True, "point_count": one["count"], "cell": one["cell"]}}
        for one in found["clusters"]
    ] + [
        {
            "type": "Feature", "id": one["id"], "geometry": {"type": "Point", "coordinates": [one["lon"], one["lat"]]},
            "properties": {"id": one["id"], "title": one["title"], "note": one["note"], "stale": one["stale"], "page": subjects.url(f"{declared.kind}:{one['id']}")},
        }
        for one in found["points"]
    ]
    return {"type": "FeatureCollection", "total": found["total"], "features": features}


# --- facets, saved views -----------------------------------------------------------------------------------------------


def saved_views(actor: Any, declared: Register) -> list[SavedView]:
    """The actor's own views, and those kept for a post he holds."""
    return list(SavedView.objects.filter(Q(owner=actor.account_id) | Q(post__in=access.posts(actor)), register=declared.name).order_by("name"))


def linked(actor: Any, declared: Register, row: Any, *, limit: int = 20) -> list[dict[str, Any]]:
    """Rows of other registers that refer to this one: [{register, field, count, rows}], as far as the actor may read them."""
    found = []
    for other in REGISTERS.values():
        for one in other.all:
            if one.ref != declared.name or not access.may(actor, other.read):
                continue
            try:
                if other.model._meta.get_field("realm"):
                    continue
            except FieldDoesNotExist:
                pass
            rows = scope(actor, other).filter(ended_at=None, **{values.attribute(other.model, one.name): row.pk})
            number = rows.order_by().values("pk")[: EXACT_UP_TO + 1].count()
            if number:
                found.append({"register": other, "field": one, "count": number, "rows": list(rows.order_by(values.attribute(other.model, other.title))[:limit])})
    return found


def require_read(actor: Any, name: str) -> Register:
    """The register, if the actor may read it somewhere; kernel.unknown_register, kernel.forbidden."""
    declared = get(name)
    if not access.may(actor, declared.read):
        raise FORBIDDEN(capability=declared.read)
    return declared
