"""Registers (台账): what every listed row has, and the tables beside them: history, conflicts, saved views."""
from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models.signals import class_prepared
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from ..ids import new_id
from .base import Row, ScopedManager, Trigger

# Points are kept to this H3 resolution (edge about 25 m); coarser cells are prefixes of its bits.
CELL_RESOLUTION = 11


def short(table: str, ending: str) -> str:
    """A name of an index of at most 30 characters, the same on every machine."""
    import hashlib

    name = f"{table}_{ending}"
    return name if len(name) <= 30 else f"{table[:10]}_{hashlib.sha256(name.encode()).hexdigest()[:6]}_{ending[:12]}"


class Changed(Trigger):
    """A trigger that stamps every written row with its transaction and a running number: the change feed's order.

    In the database, so that no way of writing (COPY, a bulk update, an import) can forget it.
    """

    function, events, prelude = "kernel_listed_changed", "INSERT OR UPDATE", "CREATE SEQUENCE IF NOT EXISTS kernel_change_seq;"
    body = """
        BEGIN
            NEW.changed_xid := pg_current_xact_id()::text::bigint;
            NEW.changed_seq := nextval('kernel_change_seq');
            RETURN NEW;
        END """


class Listed(models.Model):
    """What lists, maps, search and the change feed need of a row, be it of a register or a case of a loop."""

    region = models.ForeignKey("kernel.Region", verbose_name=_("Region"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    organisation = models.ForeignKey("kernel.Organisation", verbose_name=_("Unit"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    lon = models.FloatField(_("Longitude"), null=True, blank=True, help_text="degrees, WGS84/CGCS2000")
    lat = models.FloatField(_("Latitude"), null=True, blank=True)
    cell = models.BigIntegerField(null=True, editable=False, help_text="H3 index of the point, resolution 11; written with lon and lat")
    words = SearchVectorField(null=True, editable=False, help_text="words, Chinese bigrams, pinyin and initials of the searched fields")
    ended_at = models.DateTimeField(null=True, editable=False, help_text="left the list; the row stays as a tombstone")
    left = ArrayField(models.UUIDField(), default=list, editable=False, help_text="regions and units the row was moved away from: their readers get a tombstone")
    changed_xid = models.BigIntegerField(default=0, editable=False, help_text="transaction of the last write, set by a trigger")
    changed_seq = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True


class RegisterRow(Listed, Row):
    """A row of a register. It has no realm: a register is common knowledge, read-only in an exercise."""

    verified_at = models.DateTimeField(_("Last verified"), null=True, editable=False)
    verified_by = models.UUIDField(null=True, editable=False, help_text="person")

    # As with RealmRow: `plain` is Django's default; ours is read through `objects` with a scope.
    plain: ClassVar[Any] = models.Manager()
    objects: ClassVar[Any] = ScopedManager()
    SCOPE: str = ""  # the register's read capability, set where the register is declared

    class Meta:
        abstract = True


@receiver(class_prepared)
def _furnish(sender: Any, **_: Any) -> None:
    """The indexes every listed table needs, whatever its own Meta says; those of its fields come with its declaration."""
    if issubclass(sender, Listed) and not sender._meta.abstract and not sender._meta.proxy:
        table = sender._meta.db_table
        add_indexes(
            sender, GinIndex(fields=["words"], name=short(table, "words")),
            models.Index(fields=["changed_xid", "changed_seq"], name=short(table, "feed")),
        )
        add_constraints(sender, Changed(name=f"{table}_changed"))


def add_indexes(model: Any, *indexes: models.Index) -> None:
    """Give a model's table further indexes; its room's next migration makes them."""
    have = {index.name for index in model._meta.indexes}
    model._meta.indexes = [*model._meta.indexes, *(index for index in indexes if index.name not in have)]
    model._meta.original_attrs["indexes"] = model._meta.indexes


def add_constraints(model: Any, *constraints: models.BaseConstraint) -> None:
    """Give a model's table further constraints; its room's next migration makes them."""
    have = {constraint.name for constraint in model._meta.constraints}
    model._meta.constraints = [*model._meta.constraints, *(one for one in constraints if one.name not in have)]
    model._meta.original_attrs["constraints"] = model._meta.constraints


class RegisterChange(models.Model):
    """One line of a row's history: who changed what, before and after. Personal values lie apart, so that they can be erased."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    register = models.CharField(max_length=60)
    row = models.UUIDField()
    version = models.PositiveIntegerField(help_text="the row's version after it")
    op = models.CharField(max_length=12, help_text="create, change, import, bulk, verify, end, restore, decide, erase")
    at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True, help_text="when it is said to have happened, if that was told")
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    device = models.CharField(max_length=60, blank=True)
    note = models.CharField(max_length=400, blank=True)
    changes = models.JSONField(default=dict, help_text="{field: [before, after]}; for personal fields masked")
    personal = models.JSONField(null=True, help_text="{field: [before, after]} of personal fields; null once erased")
    act = models.UUIDField(help_text="op_id of the act or batch")

    class Meta:
        indexes = [models.Index(fields=["register", "row", "version"], name="register_change_row")]

    def __str__(self) -> str:
        return f"{self.register} {self.row} v{self.version}: {self.op}"


class FieldConflict(models.Model):
    """Two persons changed the same field from the same value: both values are kept until the owner decides."""

    OPEN, DECIDED = "open", "decided"
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.PositiveIntegerField(default=1)
    register = models.CharField(max_length=60)
    row = models.UUIDField()
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    field = models.CharField(max_length=60)
    base = models.JSONField(null=True, help_text="the value the later writer had seen")
    ours = models.JSONField(null=True, help_text="the value in the register")
    theirs = models.JSONField(null=True, help_text="the value that came later")
    at = models.DateTimeField()
    occurred_at = models.DateTimeField(null=True)
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    device = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=8, default=OPEN)
    act = models.UUIDField(help_text="op_id of the later writer's act")
    keep = models.CharField(max_length=8, blank=True, help_text="ours or theirs")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.UUIDField(null=True, help_text="person")

    class Meta:
        indexes = [models.Index(fields=["register", "row"], condition=models.Q(state="open"), name="field_conflict_open")]

    def __str__(self) -> str:
        return f"{self.register} {self.row}: {self.field}"


class SavedView(models.Model):
    """Search, filters, sorting and columns of a list, kept by a person, for himself or for whoever holds a post."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    version = models.PositiveIntegerField(default=1)
    register = models.CharField(max_length=60)
    owner = models.UUIDField(help_text="account")
    name = models.CharField(max_length=60)
    post = models.UUIDField(null=True, help_text="whose holders see it too; null: the owner alone")
    params = models.JSONField(default=dict, help_text="{q, filters, sort, columns}")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["register", "owner", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


class FeedEpoch(models.Model):
    """Which life of the database the change feed's numbers belong to; a restore begins a new one."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    identity = models.CharField(max_length=80)
    epoch = models.UUIDField(default=new_id)

    def __str__(self) -> str:
        return str(self.epoch)
