"""The search column: one place to find a station, a person, an alert, an order, by words, Chinese bigrams, pinyin or initials.

A room registers its kinds in `apps.ready()`; rows are put into the column when they are saved, in the same transaction.
`reindex` catches what was written in bulk.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.apps import apps
from django.db import connection
from django.db.models import Case, IntegerField, Model, Q, Value, When
from django.db.models.functions import Length
from django.db.models.signals import post_delete, post_save
from django.utils.translation import gettext_lazy as _

from anlan.engines.text import document_tokens, query_tokens

from . import access, subjects
from .journal import literals
from .models import SearchEntry

# Above this a count is PostgreSQL's estimate, and says so.
EXACT_UP_TO = 10_000


@dataclass(frozen=True)
class Findable:
    """A kind of thing that can be found. `text(row)` → (title, note, further words); `capability` empty: whoever is signed in.

    `named` false: its title is a sentence, not looked for by pinyin and initials (every three letters begin some sentence).
    """

    kind: str
    model: str
    text: Callable[[Any], tuple[str, str, str]]
    capability: str = ""
    region: str = "region_id"
    named: bool = True


KINDS: dict[str, Findable] = {}


def register(
    kind: str, model: str, text: Callable[[Any], tuple[str, str, str]], *, capability: str = "", region: str = "region_id", named: bool = True
) -> None:
    """Make a model's rows findable. `kind` is the subject kind, so that the result links to its page."""
    KINDS[kind] = Findable(kind, model, text, capability, region, named)


def _text_of_region(row: Any) -> tuple[str, str, str]:
    codes = " ".join(row.codes.values_list("code", flat=True)) if row.pk else ""
    return row.name, row.name_en, f"{row.short_name} {codes}"


def start() -> None:
    """Called by the kernel's app: its own kinds, and the hooks that keep the column fresh."""
    register("region", "kernel.Region", _text_of_region, region="id")
    register("organisation", "kernel.Organisation", lambda row: (row.name, row.name_en, ""), capability="people.read")
    register("post", "kernel.Post", lambda row: (row.name, row.organisation.name, row.phone), capability="people.read")
    register("order", "kernel.Order", lambda row: (row.text[:200], row.clause, row.text_en), capability="orders.read")
    post_save.connect(_saved, dispatch_uid="kernel.search")
    post_delete.connect(_deleted, dispatch_uid="kernel.search")


_by_model: dict[type, Findable] = {}


def _findable(model: type) -> Findable | None:
    if len(_by_model) != len(KINDS):
        _by_model.clear()
        _by_model.update({apps.get_model(kind.model): kind for kind in KINDS.values()})
    return _by_model.get(model)


def written(rows: Iterable[Model]) -> None:
    """Rows of one kind that were written in bulk, past the hooks, are found all the same."""
    rows = list(rows)
    kind = _findable(type(rows[0])) if rows else None
    if kind is not None:
        put(kind, rows)


def _saved(sender: type, instance: Model, raw: bool = False, **_: Any) -> None:
    kind = _findable(sender)
    if kind is not None and not raw:
        put(kind, [instance])


def _deleted(sender: type, instance: Model, **_: Any) -> None:
    kind = _findable(sender)
    if kind is not None:
        SearchEntry.objects.filter(kind=kind.kind, key=instance.pk).delete()


def _follow(row: Any, path: str) -> Any:
    for name in path.split("."):
        row = getattr(row, name, None)
        if row is None:
            return None
    return row


def put(kind: Findable, rows: Iterable[Any]) -> int:
    """Write these rows into the column; an inactive row leaves it."""
    values: dict[Any, tuple] = {}
    gone = []
    for row in rows:
        if getattr(row, "active", True) is False or getattr(row, "ended_at", None):
            gone.append(row.pk)
            continue
        title, note, more = (str(part or "") for part in kind.text(row))
        tokens = sorted(set(document_tokens(title, name=kind.named)) | set(document_tokens(f"{note} {more}")))
        values[row.pk] = (kind.kind, row.pk, getattr(row, "realm_id", None), _follow(row, kind.region), title[:200], note[:300], tokens)
    with connection.cursor() as cursor:
        if values:
            lines = literals(cursor, "(%s, %s, %s, %s, %s, %s, array_to_tsvector(%s::text[]), now())", values.values())
            cursor.execute(
                f"""INSERT INTO kernel_searchentry (kind, key, realm_id, region_id, title, note, words, updated_at) VALUES {lines}
                   ON CONFLICT (kind, key) DO UPDATE SET realm_id = EXCLUDED.realm_id, region_id = EXCLUDED.region_id, title = EXCLUDED.title,
                       note = EXCLUDED.note, words = EXCLUDED.words, updated_at = now()"""
            )
        if gone:
            cursor.execute("DELETE FROM kernel_searchentry WHERE kind = %s AND key = ANY(%s)", [kind.kind, gone])
    return len(values)


def reindex(kind: str | None = None, batch: int = 1000) -> int:
    """Write every row of one kind, or of all, into the column; returns how many. For rows written in bulk."""
    count = 0
    for one in [KINDS[kind]] if kind else list(KINDS.values()):
        model = apps.get_model(one.model)
        rows = getattr(model, "plain", model.objects).order_by("pk")  # type: ignore[attr-defined]
        last: Any = None
        while True:
            page = list((rows.filter(pk__gt=last) if last is not None else rows)[:batch])
            if not page:
                break
            count += put(one, page)
            last = page[-1].pk
    return count


@dataclass(frozen=True)
class Hit:
    """A found thing; `page` is its address, empty when it has none."""

    kind: str
    key: UUID
    word: Any
    title: str
    note: str
    page: str
    realm_id: UUID | None


@dataclass
class Found:
    """What was found: the page of hits, how many in all, and whether that number is an estimate."""

    hits: list[Hit] = field(default_factory=list)
    count: int = 0
    estimated: bool = False


def _tsquery(text: str) -> str:
    # Tokens hold only letters, digits and Chinese characters: nothing in them can leave the quotes.
    return " & ".join(f"'{token}':*" if prefix else f"'{token}'" for token, prefix in query_tokens(text))


def _seen_by(actor: Any, realm: Any, kinds: Iterable[str]) -> Q:
    """The rows of the column this actor may find."""
    scope = Q(pk__in=[])
    for kind in kinds:
        known = KINDS[kind]
        if not known.capability:
            scope |= Q(kind=kind)
            continue
        reach = access.regions(actor, known.capability)
        if reach is access.ALL:
            scope |= Q(kind=kind)
        elif reach:
            # What lies nowhere (a plan) may be found by whoever holds the capability anywhere.
            scope |= Q(kind=kind, region_id__in=reach) if known.region else Q(kind=kind)
    return scope & (Q(realm=None) | Q(realm_id=realm.pk))


def find(actor: Any, realm: Any, text: str, *, kinds: list[str] | None = None, limit: int = 20, offset: int = 0) -> Found:
    """Things of any registered kind that hold all that was asked, and that this actor may see. Exact titles come first."""
    query = _tsquery(text[:200])
    if not query or actor.is_nobody:
        return Found()
    rows = SearchEntry.objects.filter(_seen_by(actor, realm, [k for k in (kinds or KINDS) if k in KINDS])).extra(
        where=["words @@ %s::tsquery"], params=[query]
    )
    found = Found()
    found.count, found.estimated = count(rows)
    # The exact title, then titles that begin so, then short ones: a county before its thirty offices.
    plain = text.strip()
    rank = Case(When(title__iexact=plain, then=Value(0)), When(title__istartswith=plain, then=Value(1)), default=Value(2), output_field=IntegerField())
    for row in rows.annotate(rank=rank, length=Length("title")).order_by("rank", "length", "title")[offset : offset + limit]:
        found.hits.append(Hit(row.kind, row.key, _word(row.kind), row.title, row.note, subjects.url(f"{row.kind}:{row.key}"), row.realm_id))
    return found


def _word(kind: str) -> Any:
    known = subjects.KINDS.get(kind)
    return known.text if known and known.text else _("Found")


def count(rows: Any) -> tuple[int, bool]:
    """(number, estimated?): exact to 10,000; above that the planner's estimate, because counting would cost more than it tells."""
    exact = rows.order_by().values("pk")[: EXACT_UP_TO + 1].count()
    if exact <= EXACT_UP_TO:
        return exact, False
    sql, params = rows.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    if isinstance(plan, str):
        import json

        plan = json.loads(plan)
    return max(EXACT_UP_TO + 1, int(plan[0]["Plan"]["Plan Rows"])), True


