"""Who acts, where and when; and the wrapper every action wears.

An action opens one transaction, is done once per `op_id` (a repeat returns the first answer), freezes its instant on
the realm's clock, and states its facts in that same transaction.
"""
from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import connection, models, transaction

from . import clock, journal, subjects
from .errors import EXERCISE_OVER, NOT_FOUND, OP_REUSED, STALE
from .ids import derived_id, new_id

M = TypeVar("M", bound=models.Model)
ACTIONS: dict[str, Callable] = {}


@dataclass(frozen=True)
class Actor:
    """Who acts: the account, the person behind it, the post held, on behalf of whom, from which device."""

    account_id: UUID | None = None
    person_id: UUID | None = None
    post_id: UUID | None = None
    on_behalf_of: UUID | None = None
    device: str = ""
    lang: str = "zh-hans"
    second_factor: bool = False
    machine_name: str = ""
    cache: dict = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_nobody(self) -> bool:
        return self.account_id is None and not self.machine_name

    @classmethod
    def machine(cls, name: str) -> Actor:
        """A named process of ours. It holds no capability of power and can be nobody's second person."""
        return cls(account_id=derived_id("machine", name), machine_name=name, device="server")

    @classmethod
    def of(cls, account: Any, **extra: Any) -> Actor:
        """The actor of an account, at the post its person holds now (an A role before a B role)."""
        from .models import Assignment

        post_id = None
        if account.person_id:
            now = clock.now()
            held = Assignment.objects.filter(person_id=account.person_id, starts_at__lte=now).exclude(ends_at__lte=now).order_by("role", "starts_at")
            first = held.first()
            post_id = first.post_id if first else None
        return cls(
            account_id=account.pk, person_id=account.person_id, lang=account.language, machine_name=account.name if account.machine else "",
            **{"post_id": post_id, **extra},
        )


@dataclass
class Act:
    """One act: who, in which realm, under which key, what version was seen, when it is said to have happened, and why."""

    actor: Actor
    realm: Any
    op_id: UUID = field(default_factory=new_id)
    occurred_at: datetime | None = None
    precision: str = "minute"
    expected_version: int | None = None
    cause: UUID | None = None
    name: str = ""
    _now: datetime | None = None
    _open: bool = False

    @property
    def now(self) -> datetime:
        """The one instant of this act, on the realm's clock."""
        if self._now is None:
            self._now = clock.now(self.realm)
        return self._now

    def child(self, *, cause: UUID | None = None, step: str = "", occurred_at: datetime | None = None) -> Act:
        """An act inside this one: same transaction, same instant; its key derives from ours and the step's name."""
        key = derived_id("step", self.op_id, step) if step else new_id()
        return replace(self, op_id=key, cause=cause or self.cause, expected_version=None, occurred_at=occurred_at or self.occurred_at)

    def lock(self, model: type[M], key: Any, *, check_version: bool = True) -> M:
        """SELECT … FOR UPDATE of a row of this realm. kernel.not_found, kernel.stale when another version was seen."""
        manager = getattr(model, "plain", model.objects)  # type: ignore[attr-defined]
        rows = manager.select_for_update(of=("self",)).filter(pk=key)
        if any(f.name == "realm" for f in model._meta.fields):
            rows = rows.filter(realm_id=self.realm.pk)
        row = rows.first()
        if row is None:
            raise NOT_FOUND(kind=model._meta.verbose_name, key=key)
        if check_version and self.expected_version is not None:
            if row.version != self.expected_version:
                raise STALE(expected=self.expected_version, found=row.version)
            self.expected_version = None
        return row

    def create(self, model: type[M], **values: Any) -> M:
        """Insert a row, in this realm if it is of the kind that has one."""
        if any(f.name == "realm" for f in model._meta.fields):
            values.setdefault("realm_id", self.realm.pk)
        row = model(**values)
        row.save(force_insert=True)
        return row

    def save(self, row: models.Model) -> None:
        """Write a changed row under its next version."""
        if hasattr(row, "version"):
            row.version += 1
        row.save(force_update=True)

    def state(
        self, body: Any, *, about: models.Model | None = None, subject: str = "", region: Any = None, cause: UUID | None = None, id: UUID | None = None
    ) -> UUID:
        """Write a fact with its cause, in this transaction; returns its key."""
        if not self._open:
            raise RuntimeError("facts are stated inside an action")
        if region is None and about is not None:
            region = getattr(about, "region_id", None)
        return journal.write(
            self, body, subject=subject or subjects.of(about), region=getattr(region, "pk", region), cause=cause or self.cause, id=id
        )


    def state_many(self, facts: Iterable[tuple[Any, models.Model, UUID | None, datetime | None, UUID | None]]) -> list[UUID]:
        """Write many facts (body, about, cause, occurred_at, id) on one trip; their keys. For what comes by the thousand and still is a fact each."""
        if not self._open:
            raise RuntimeError("facts are stated inside an action")
        return journal.write_many(
            (replace(self, occurred_at=at or self.occurred_at), body, subjects.of(about), getattr(about, "region_id", None), cause or self.cause, id)
            for body, about, cause, at, id in facts
        )


def _encode(answer: Any) -> Any:
    if isinstance(answer, models.Model):
        return {"row": answer._meta.label, "pk": str(answer.pk)}
    return {"value": journal._plain(answer)}


def _decode(answer: Any) -> Any:
    if answer and "row" in answer:
        model = apps.get_model(answer["row"])
        return getattr(model, "plain", model.objects).get(pk=answer["pk"])
    return (answer or {}).get("value")


def _digest(name: str, values: dict[str, Any]) -> str:
    try:
        text = journal.canonical(values)
    except TypeError:
        text = repr(sorted(values)).encode()
    return hashlib.sha256(name.encode() + text).hexdigest()


def action(name: str) -> Callable[[Callable], Callable]:
    """Make a function `f(act, *, …)` an action: one transaction, once per op_id, on a realm that is not over."""

    def wrap(function: Callable) -> Callable:
        if name in ACTIONS:
            raise RuntimeError(f"action {name} is declared twice")

        @functools.wraps(function)
        def run(act: Act, **values: Any) -> Any:
            if act._open:
                # Inside another action: its transaction, its key.
                return function(replace(act, name=name, _open=True), **values)
            from .models import Realm

            with transaction.atomic():
                act.realm = Realm.objects.get(pk=act.realm.pk)  # the clock may have moved, the exercise ended
                if act.realm.is_over:
                    raise EXERCISE_OVER(name=act.realm.name)
                act._now = clock.now(act.realm)
                digest = _digest(name, values)
                with connection.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO kernel_operation (op_id, action, digest, account) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
                        [act.op_id, name, digest, act.actor.account_id],
                    )
                    if not cursor.rowcount:
                        cursor.execute("SELECT action, digest, answer, account FROM kernel_operation WHERE op_id = %s", [act.op_id])
                        first = cursor.fetchone()
                        if first[0] != name or first[1] != digest or first[3] != act.actor.account_id:
                            raise OP_REUSED()
                        import orjson

                        return _decode(orjson.loads(first[2]) if isinstance(first[2], str) else first[2])
                act.name, act._open = name, True
                try:
                    answer = function(act, **values)
                finally:
                    act._open = False
                with connection.cursor() as cursor:
                    cursor.execute(
                        "UPDATE kernel_operation SET answer = %s::jsonb WHERE op_id = %s", [journal.canonical(_encode(answer)).decode(), act.op_id]
                    )
                return answer

        run.action_name = name  # type: ignore[attr-defined]
        parameters = list(inspect.signature(function).parameters.values())
        if any(p.kind is not p.KEYWORD_ONLY for p in parameters[1:]):
            raise RuntimeError(f"action {name}: arguments after `act` are keyword-only")
        ACTIONS[name] = run
        return run

    return wrap
