"""What every row has: a key made by whoever creates it, a version, a home; and, on operational rows, the realm."""
from __future__ import annotations

from typing import Any, ClassVar, Self
from uuid import UUID

from django.db import models
from django.db.models.signals import class_prepared
from django.dispatch import receiver

from ..ids import new_id


class UnscopedRead(RuntimeError):
    """A query on scoped rows that did not say for whom it reads."""


class ScopedQuerySet(models.QuerySet):
    """Reads without a scope raise (design §3.5): say `.seen_by(actor, realm)`, `.of(realm)` or `.everything()`."""

    _scoped = False

    def _clone(self) -> Self:
        clone = super()._clone()  # type: ignore[misc]
        clone._scoped = self._scoped
        return clone

    def _mark(self) -> Self:
        clone = self._clone()
        clone._scoped = True
        return clone

    def everything(self) -> Self:
        """An explicit system read."""
        return self._mark()

    def of(self, realm: Any) -> Self:
        """All rows of a realm, for actions and reactions."""
        return self._mark().filter(realm_id=getattr(realm, "pk", realm))

    def seen_by(self, actor: Any, realm: Any = None) -> Self:
        """Only what this actor's posts and scopes allow, in the given realm."""
        from .. import access

        rows = self._mark()
        if realm is not None:
            rows = rows.filter(realm_id=getattr(realm, "pk", realm))
        return access.limit(rows, actor)  # type: ignore[return-value]

    def _check(self) -> None:
        if not self._scoped:
            raise UnscopedRead(f"{self.model.__name__}: a read must say for whom (seen_by, of or everything)")

    def _fetch_all(self) -> None:
        self._check()
        super()._fetch_all()  # type: ignore[misc]

    def iterator(self, *args: Any, **kwargs: Any) -> Any:
        self._check()
        return super().iterator(*args, **kwargs)

    def count(self) -> int:
        self._check()
        return super().count()

    def exists(self) -> bool:
        self._check()
        return super().exists()

    def aggregate(self, *args: Any, **kwargs: Any) -> dict:
        self._check()
        return super().aggregate(*args, **kwargs)

    def update(self, **kwargs: Any) -> int:
        self._check()
        return super().update(**kwargs)


class ScopedManager(models.Manager.from_queryset(ScopedQuerySet)):  # type: ignore[misc]
    def create(self, **kwargs: Any) -> Any:
        return self.everything().create(**kwargs)

    def bulk_create(self, *args: Any, **kwargs: Any) -> Any:
        return self.everything().bulk_create(*args, **kwargs)


_home: UUID | None = None


def home() -> UUID:
    """The key of this installation, read once a process: it never changes."""
    global _home
    if _home is None:
        from .realms import Installation

        _home = Installation.current().pk
    return _home


class Row(models.Model):
    """A row that can travel: its key is made where it is made, and only its home installation writes it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.PositiveIntegerField(default=1)
    home = models.UUIDField(default=home, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = models.Manager()  # Any: without a plugin the type checker takes every subclass's rows for plain Rows

    class Meta:
        abstract = True


class RealmRow(Row):
    """An operational row. Its realm has no default: whoever writes must know where he stands."""

    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")

    # `plain` comes first and is Django's default (relations, unique checks); reads of ours go through `objects`.
    plain: ClassVar[Any] = models.Manager()
    objects: ClassVar[Any] = ScopedManager()
    SCOPE: str = ""  # the capability needed to read

    class Meta:
        abstract = True


@receiver(class_prepared)
def _key_with_realm(sender: Any, **_: Any) -> None:
    """Give every operational table UNIQUE (realm, id), the target of `SameRealm`, whatever its own Meta says."""
    if not issubclass(sender, RealmRow) or sender._meta.abstract:
        return
    name = f"{sender._meta.db_table}_realm_id"
    if all(constraint.name != name for constraint in sender._meta.constraints):
        sender._meta.constraints = [*sender._meta.constraints, models.UniqueConstraint(fields=["realm", "id"], name=name)]
        sender._meta.original_attrs["constraints"] = sender._meta.constraints


class DatabaseRule(models.BaseConstraint):
    """A rule only the database judges, made at the end of the migration. A subclass writes `create_sql` and `remove_sql`."""

    def __init__(self, *, name: str) -> None:
        super().__init__(name=name)

    def deconstruct(self) -> tuple:
        return (f"{type(self).__module__}.{type(self).__name__}", (), {"name": self.name})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.deconstruct() == other.deconstruct()  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(self.name)

    def constraint_sql(self, model: Any, schema_editor: Any) -> None:
        self.create_sql(model, schema_editor)

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """The database is the judge."""


class Trigger(DatabaseRule):
    """A trigger of this table before `events`, and its function; `prelude` is SQL the function needs."""

    function, events, body, prelude = "", "", "", ""

    def create_sql(self, model: Any, schema_editor: Any) -> None:
        quote = schema_editor.quote_name
        schema_editor.deferred_sql.append(
            f"{self.prelude}CREATE OR REPLACE FUNCTION {self.function}() RETURNS trigger LANGUAGE plpgsql AS $$ {self.body} $$;"
            f"CREATE OR REPLACE TRIGGER {quote(self.name)} BEFORE {self.events} ON {quote(model._meta.db_table)} FOR EACH ROW EXECUTE FUNCTION {self.function}()"
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"DROP TRIGGER IF EXISTS {quote(self.name)} ON {quote(model._meta.db_table)}"


class SameRealm(DatabaseRule):
    """Composite foreign key (realm, field) → (realm, id): an exercise's row can never point at an actual one."""

    def __init__(self, field: str, *, name: str, to: str) -> None:
        super().__init__(name=name)
        self.field, self.to = field, to

    def deconstruct(self) -> tuple:
        return ("anlan.kernel.models.base.SameRealm", (self.field,), {"name": self.name, "to": self.to})

    def create_sql(self, model: Any, schema_editor: Any) -> None:
        # At the end of the migration: the other table's UNIQUE (realm, id) must be there first.
        quote = schema_editor.quote_name
        column = model._meta.get_field(self.field).column
        schema_editor.deferred_sql.append(
            f"ALTER TABLE {quote(model._meta.db_table)} ADD CONSTRAINT {quote(self.name)} "
            f"FOREIGN KEY (realm_id, {quote(column)}) REFERENCES {quote(self.to)} (realm_id, id) DEFERRABLE INITIALLY DEFERRED"
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        return f"ALTER TABLE {quote(model._meta.db_table)} DROP CONSTRAINT {quote(self.name)}"
