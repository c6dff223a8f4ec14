"""Writing registers: create, change (merging what others changed meanwhile), verify, end, restore, change many, decide conflicts."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Case, F, Q, UUIDField, Value, When
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop

from .. import access, access_log, clock, places, work
from ..actions import Act, action
from ..errors import FORBIDDEN, ILLEGAL_STEP, INVALID, NOT_FOUND, REASON_NEEDED, Kind
from ..models import Assignment, FieldConflict, Grant, Organisation, RegionPath, RegisterChange, SavedView, SearchEntry
from . import queries, values
from .declare import REGISTERS, Field, Register, get
from .facts import PersonalShown, RegisterBatchDone, RegisterConflictDecided, RegisterConflictFound, RegisterRowChanged

ONLY_ACTUAL = Kind("kernel.register_only_actual", 409, gettext_lazy("Registers are kept in actual operations, not in an exercise. Switch there first."))
STEPS_ONLY = Kind("kernel.register_steps_only", 409, gettext_lazy("{register} are changed by their steps only."))
ROW_ENDED = Kind("kernel.register_row_ended", 409, gettext_lazy("This entry has left the register. Restore it first."))
STILL_USED = Kind("kernel.register_still_used", 409, gettext_lazy("{count} entries of {register} still refer to this one. Change them first."))
TOO_MANY = Kind("kernel.register_too_many", 422, gettext_lazy("{count} entries at once are too many; narrow it to {limit}."))

BULK_MOST = 200_000
DECIDE_WITHIN = timedelta(days=3)


# --- shared by the acts and the import ----------------------------------------------------------------------------------


def writable(act: Act, declared: Register) -> None:
    """Whether this register can be written by hand, here: kernel.register_steps_only, kernel.register_only_actual."""
    if declared.steps_only:
        raise STEPS_ONLY(register=declared.label)
    if "realm" not in declared.columns and act.realm.kind != act.realm.ACTUAL:
        raise ONLY_ACTUAL()


def tsvector(words: Iterable[str]) -> str:
    """Tokens as PostgreSQL reads a tsvector; they hold letters, digits and Chinese characters only."""
    listed = "' '".join(words)
    return f"'{listed}'" if listed else ""


def settle(declared: Register, row: Any) -> None:
    """Fill what follows from other fields: the region from the point or the unit, the search column."""
    if row.region_id is None and row.lon is not None:
        row.region = places.smallest_at(row.lon, row.lat)
    if not declared.placed:
        row.region_id = None
    if row.region_id is None and row.organisation_id is not None:
        row.region_id = Organisation.objects.filter(pk=row.organisation_id).values_list("region_id", flat=True).first()
    for name, worked_out in declared.of_title:
        setattr(row, name, worked_out(getattr(row, declared.title)))
    row.words = tsvector(values.words(declared, row))


def pair(one: Field, before: Any, after: Any) -> tuple[list[Any], list[Any] | None]:
    """([before, after] for the history, the same unmasked where the field is personal)."""
    plain = [values.plain(before), values.plain(after)]
    if one.personal is None:
        return plain, None
    return [values.mask(one.personal, value) for value in plain], plain


def entry(act: Act, declared: Register, row: Any, op: str, changed: dict[str, tuple[Any, Any]], note: str = "") -> RegisterChange:
    """A line of history, not yet saved. `changed`: {field: (before, after)}."""
    shown, personal = {}, {}
    for name, (before, after) in changed.items():
        shown[name], secret = pair(declared.by_name[name], before, after)
        if secret is not None:
            personal[name] = secret
    actor = act.actor
    return RegisterChange(
        register=declared.name, row=row.pk, version=row.version, op=op, at=act.now, occurred_at=act.occurred_at, account=actor.account_id, person=actor.person_id,
        post=actor.post_id, device=actor.device[:60], note=note[:400], changes=shown, personal=personal or None, act=act.op_id,
    )


def forbidden_fields(actor: Any, declared: Register, names: Iterable[str], region: Any, org: Any) -> list[dict[str, str]]:
    """The fields among these the actor may not write on a row lying there."""
    faults = []
    for name in names:
        one = declared.by_name.get(name)
        if one is None:
            continue
        if one.readonly:
            faults.append({"field": name, "why": _("is worked out, not entered")})
        elif one.write and not access.may(actor, one.write, region, org):
            faults.append({"field": name, "why": _("your post may not change this")})
    return faults


def _save(act: Act, declared: Register, row: Any, *, op: str = "", new: bool = False) -> None:
    if declared.before is not None and op:
        declared.before(act, row, op)
    try:
        with transaction.atomic():
            if new:
                row.save(force_insert=True)
            else:
                act.save(row)
    except IntegrityError as error:
        if declared.key and "_key" in str(error):
            raise _taken(declared)
        raise


def _taken(declared: Register) -> Exception:
    return INVALID([{"field": name, "why": _("is in the register already")} for name in declared.key])


def _key_free(declared: Register, row: Any) -> None:
    if not declared.key or not declared.unique:
        return
    where = {values.attribute(declared.model, name): getattr(row, values.attribute(declared.model, name)) for name in declared.key}
    rows = declared.rows().filter(ended_at=None, **where)
    if "realm" in declared.columns:
        rows = rows.filter(realm_id=row.realm_id)
    if rows.exclude(pk=row.pk).exists():
        raise _taken(declared)


def _locked(act: Act, declared: Register, key: Any, *, check_version: bool = True) -> Any:
    row = act.lock(declared.model, key, check_version=check_version)
    if not queries.may_read(act.actor, declared, row, act.realm):
        raise NOT_FOUND(kind=declared.one, key=key)
    return row


def _require(act: Act, capability: str, region: Any, org: Any) -> None:
    access.require(act, capability, region, org)


# --- acts ---------------------------------------------------------------------------------------------------------------


@action("register.create")
def create(act: Act, *, register: str, values: dict, id: UUID | None = None, note: str = "") -> Any:
    """Put a new row into a register. `id`: the key its maker (a phone) gave it. kernel.invalid names each wrong field."""
    declared = get(register)
    writable(act, declared)
    row = build(act, declared, values)
    if id is not None:
        row.pk = UUID(str(id))
        if declared.rows().filter(pk=row.pk).exists():
            raise INVALID([{"field": "id", "why": _("is in the register already")}])
    if hasattr(row, "verified_at"):
        row.verified_at, row.verified_by = act.occurred_at or act.now, act.actor.person_id
    _key_free(declared, row)
    _save(act, declared, row, op="create", new=True)
    entry(act, declared, row, "create", {}, note).save(force_insert=True)
    act.state(RegisterRowChanged(register=register, row=row.pk, op="create", fields=sorted(values), version=row.version), about=row, region=row.region_id)
    return row


def build(act: Act, declared: Register, given: dict[str, Any], look: values.Lookup | None = None) -> Any:
    """A new row of clean values, its region found and its rights checked; not saved."""
    given = {name: value for name, value in given.items() if not values.empty(value)}
    for one in declared.all:
        if one.name not in given and one.default not in (None, ""):
            given[one.name] = one.default
    found, faults = values.clean_all(declared, declared.all, given, look or values.Lookup())
    if faults:
        raise INVALID(faults)
    row = declared.model(**({"realm_id": act.realm.pk} if "realm" in declared.columns else {}))
    for name, value in found.items():
        values.put(declared.by_name[name], row, value)
    settle(declared, row)
    _require(act, declared.capability("write"), row.region_id, row.organisation_id)
    defaults = {one.name for one in declared.all if one.default is not None and found.get(one.name) == one.default}
    faults = forbidden_fields(act.actor, declared, set(found) - defaults, row.region_id, row.organisation_id)
    if faults:
        raise INVALID(faults)
    return row


@action("register.change")
def change(act: Act, *, register: str, row: UUID, changes: dict, base: dict | None = None, note: str = "") -> Any:
    """Change fields of a row.

    Without `base`, the row must still be at the version the act expects. With `base` ({field: value the writer had seen}),
    fields nobody else touched are written, and a field whose present value is neither the base nor the new one is a
    conflict: both values are kept and the owner decides. The returned row carries `.conflicts` (list of FieldConflict).
    """
    declared = get(register)
    writable(act, declared)
    found = _locked(act, declared, row, check_version=base is None)
    if found.ended_at is not None:
        raise ROW_ENDED()
    written, disputed = _apply(act, declared, found, changes, base)
    found.conflicts = []
    if written:
        _key_free(declared, found)
        _save(act, declared, found, op="change")
        entry(act, declared, found, "change", written, note).save(force_insert=True)
        act.state(RegisterRowChanged(register=register, row=found.pk, op="change", fields=sorted(written), version=found.version), about=found, region=found.region_id)
    if disputed:
        found.conflicts = _dispute(act, declared, found, disputed, base or {})
    return found


def _apply(act: Act, declared: Register, row: Any, changes: dict[str, Any], base: dict[str, Any] | None) -> tuple[dict, dict]:
    """Put clean changes on a locked row, rights checked. Returns (written {field: (before, after)}, disputed {field: value})."""
    look = values.Lookup()
    have = {one.name: values.of(one, row) for one in declared.all}
    _require(act, declared.capability("write"), row.region_id, row.organisation_id)
    clean, faults = values.clean_all(declared, declared.all, changes, look, have=have)
    wanted = {name: value for name, value in clean.items() if values.plain(value) != values.plain(have[name])}
    disputed = {}
    for name in list(wanted):
        if base is None or name not in base:
            continue
        try:
            seen = values.plain(values.clean(declared.by_name[name], base[name], look))
        except values.Refused:
            seen = base[name]
        if seen == values.plain(wanted[name]):
            del wanted[name]  # sent along as he saw it: no edit, whatever another wrote meanwhile
        elif seen != values.plain(have[name]):
            disputed[name] = wanted.pop(name)
    faults += forbidden_fields(act.actor, declared, {**wanted, **disputed}, row.region_id, row.organisation_id)
    if faults:
        raise INVALID(faults)
    region, org = row.region_id, row.organisation_id
    for name, value in wanted.items():
        values.put(declared.by_name[name], row, value)
    if wanted:
        settle(declared, row)
        moved(act, declared, row, region, org)
    return {name: (have[name], value) for name, value in wanted.items()}, disputed


def moved(act: Act, declared: Register, row: Any, region: Any, org: Any) -> None:
    """A row that changes hands needs the right at its new place too, and its old readers get a tombstone."""
    if (row.region_id, row.organisation_id) == (region, org):
        return
    _require(act, declared.capability("write"), row.region_id, row.organisation_id)
    gone = {key for key in (region, org) if key} - {row.region_id, row.organisation_id}
    row.left = sorted(set(row.left) | gone, key=str)


def _dispute(act: Act, declared: Register, row: Any, disputed: dict[str, Any], base: dict[str, Any]) -> list[FieldConflict]:
    made = []
    actor = act.actor
    for name, value in disputed.items():
        one = declared.by_name[name]
        made.append(FieldConflict.objects.create(
            register=declared.name, row=row.pk, region_id=row.region_id, field=name, base=values.plain(base.get(name)), ours=values.plain(values.of(one, row)),
            theirs=values.plain(value), at=act.now, occurred_at=act.occurred_at, account=actor.account_id, person=actor.person_id, post=actor.post_id,
            device=actor.device[:60], act=act.op_id,
        ))
    act.state(RegisterConflictFound(register=declared.name, row=row.pk, fields=sorted(disputed)), about=row, region=row.region_id)
    post = owner_post(declared, row)
    if post is not None:
        work.open(
            act, post=post, kind="registers.conflict", subject=f"{declared.kind}:{row.pk}", region=row.region_id,
            msgid=gettext_noop("Two persons changed {what} differently: decide which holds"), params={"what": values.label(row)[:80]}, due_at=act.now + DECIDE_WITHIN,
        )
    return made


def owner_post(declared: Register, row: Any) -> UUID | None:
    """The post that answers for a row: one of its unit that may write it, else the nearest above its region; held posts first."""
    now = clock.now()
    grants = list(Grant.objects.filter(
        Q(starts_at__lte=now) & (Q(ends_at=None) | Q(ends_at__gt=now)), capability=declared.capability("write"), post__active=True, own_only=False, incident=None,
    ).select_related("post"))
    if not grants:
        return None
    above = dict(RegionPath.objects.filter(descendant_id=row.region_id).values_list("ancestor_id", "depth")) if row.region_id else {}
    held = set(Assignment.objects.filter(Q(starts_at__lte=now) & (Q(ends_at=None) | Q(ends_at__gt=now)), post_id__in=[g.post_id for g in grants]).values_list("post_id", flat=True))

    def distance(grant: Any) -> tuple | None:
        own = row.organisation_id is not None and grant.post.organisation_id == row.organisation_id
        if grant.organisation_id:
            depth = 0 if grant.organisation_id == row.organisation_id else None
        elif grant.region_id is None:
            depth = 99
        else:
            depth = above.get(grant.region_id) if row.region_id else 98
        return None if depth is None else (grant.post_id not in held, not own, depth, str(grant.post_id))

    ranked = sorted((rank, grant.post_id) for grant in grants if (rank := distance(grant)) is not None)
    return ranked[0][1] if ranked else None


@action("register.decide")
def decide(act: Act, *, conflict: UUID, keep: str) -> Any:
    """Settle a conflict: `ours` (what the register holds) or `theirs` (what came later). Needs the right to write the field."""
    dispute = act.lock(FieldConflict, conflict)
    declared = get(dispute.register)
    writable(act, declared)
    row = _locked(act, declared, dispute.row, check_version=False)
    if dispute.state != FieldConflict.OPEN:
        raise ILLEGAL_STEP(state=dispute.state)
    if keep not in ("ours", "theirs"):
        raise INVALID([{"field": "keep", "why": _("ours or theirs")}])
    one = declared.by_name[dispute.field]
    if keep == "theirs":
        written, _none = _apply(act, declared, row, {dispute.field: dispute.theirs}, None)
        if written:
            _key_free(declared, row)
            _save(act, declared, row, op="change")
            entry(act, declared, row, "decide", written).save(force_insert=True)
    else:
        _require(act, declared.capability("write"), row.region_id, row.organisation_id)
        faults = forbidden_fields(act.actor, declared, [dispute.field], row.region_id, row.organisation_id)
        if faults:
            raise INVALID(faults)
    dispute.state, dispute.keep, dispute.decided_at, dispute.decided_by = FieldConflict.DECIDED, keep, act.now, act.actor.person_id
    if one.personal:  # decided: the losing value has no purpose any more
        dispute.base, dispute.ours, dispute.theirs = (values.mask(one.personal, value) for value in (dispute.base, dispute.ours, dispute.theirs))
    act.save(dispute)
    act.state(RegisterConflictDecided(register=declared.name, row=row.pk, field=one.name, keep=keep), about=row, region=row.region_id)
    _close_work(act, declared, row)
    return row


def _close_work(act: Act, declared: Register, row: Any) -> None:
    if not FieldConflict.objects.filter(register=declared.name, row=row.pk, state=FieldConflict.OPEN).exists():
        work.close(act, kind="registers.conflict", subject=f"{declared.kind}:{row.pk}")


@action("register.verify")
def verify(act: Act, *, register: str, row: UUID, note: str = "") -> Any:
    """Say that a row was checked and is right: at the time claimed, or now."""
    declared = get(register)
    writable(act, declared)
    found = _locked(act, declared, row)
    if found.ended_at is not None:
        raise ROW_ENDED()
    if not declared.is_own(act.actor, found):
        _require(act, declared.capability("verify"), found.region_id, found.organisation_id)
    at = min(act.occurred_at or act.now, act.now)
    if found.verified_at is None or at > found.verified_at:
        found.verified_at, found.verified_by = at, act.actor.person_id
    act.save(found)
    entry(act, declared, found, "verify", {}, note).save(force_insert=True)
    act.state(RegisterRowChanged(register=register, row=found.pk, op="verify", fields=[], version=found.version), about=found, region=found.region_id)
    return found


def _to_remove(act: Act, register: str, row: UUID, reason: str | None) -> tuple[Register, Any]:
    """The register and the locked row somebody with the right to remove it takes off, puts back or erases; `reason` where one is asked."""
    declared = get(register)
    writable(act, declared)
    found = _locked(act, declared, row)
    _require(act, declared.capability("remove"), found.region_id, found.organisation_id)
    if reason is not None and not reason.strip():
        raise REASON_NEEDED()
    return declared, found


@action("register.end")
def end(act: Act, *, register: str, row: UUID, reason: str) -> Any:
    """Take a row off the list. It stays as a tombstone with its history. kernel.reason_needed, kernel.register_still_used."""
    declared, found = _to_remove(act, register, row, reason)
    if found.ended_at is not None:
        raise ROW_ENDED()
    _unused(declared, [found.pk])
    found.ended_at = act.now
    _save(act, declared, found, op="end")
    entry(act, declared, found, "end", {}, reason.strip()).save(force_insert=True)
    for dispute in FieldConflict.objects.select_for_update().filter(register=declared.name, row=found.pk, state=FieldConflict.OPEN):
        dispute.state, dispute.keep, dispute.decided_at, dispute.decided_by = FieldConflict.DECIDED, "ours", act.now, act.actor.person_id
        act.save(dispute)
    _close_work(act, declared, found)
    act.state(RegisterRowChanged(register=register, row=found.pk, op="end", fields=[], version=found.version), about=found, region=found.region_id)
    return found


@action("register.restore")
def restore(act: Act, *, register: str, row: UUID, reason: str = "") -> Any:
    """Put an ended row back on the list, unless its key is taken meanwhile."""
    declared, found = _to_remove(act, register, row, None)
    if found.ended_at is None:
        raise ILLEGAL_STEP(state="listed")
    found.ended_at = None
    _key_free(declared, found)
    _save(act, declared, found, op="restore")
    entry(act, declared, found, "restore", {}, reason.strip()).save(force_insert=True)
    act.state(RegisterRowChanged(register=register, row=found.pk, op="restore", fields=[], version=found.version), about=found, region=found.region_id)
    return found


@action("register.bulk")
def bulk(act: Act, *, register: str, changes: dict, rows: list | None = None, filter: dict | None = None, q: str = "", note: str = "") -> dict:
    """Give the same values to many rows, named or all that a filter finds; all of them or none. One fact for the batch.

    Returns {"changed", "unchanged"}. kernel.invalid, kernel.forbidden (one row beyond the actor's reach refuses all), kernel.register_too_many.
    """
    declared = get(register)
    writable(act, declared)
    if not changes or (rows is None) == (filter is None and not q):
        raise INVALID([{"field": "changes" if not changes else "rows", "why": _("is missing")}])
    if any(name in declared.key for name in changes):
        raise INVALID([{"field": name, "why": _("is the key of each entry and cannot be the same for many")} for name in changes if name in declared.key])
    from .. import search

    keys = _selected(act, declared, rows, filter, q)
    names: list[str] = []
    sum_, changed, fields = hashlib.sha256(), 0, set()
    for part in _parts(keys):
        history, written = [], []
        for row in declared.rows().select_for_update(of=("self",)).filter(pk__in=part).order_by("pk"):
            done, _none = _apply(act, declared, row, changes, None)
            if not done:
                continue
            if declared.before is not None:
                declared.before(act, row, "change")
            row.version += 1
            fields |= set(done)
            written.append(row)
            history.append(entry(act, declared, row, "bulk", done, note))
        if not written:
            continue
        columns = {"version", "words", "region_id", "left", *(name for name, _worked_out in declared.of_title), *declared.before_writes}
        for name in fields:
            columns |= {"lon", "lat", "cell"} if name == "point" else {name}
        names = sorted({declared.model._meta.get_field(name.removesuffix("_id") if name == "region_id" else name).name for name in columns})
        declared.rows().bulk_update(written, names)
        RegisterChange.objects.bulk_create(history)
        search.put(search.KINDS[declared.kind], written)
        changed += len(written)
        for row in written:
            sum_.update(f"{row.pk} {row.version}\n".encode())
    if changed:
        act.state(
            RegisterBatchDone(register=register, op="bulk", created=0, changed=changed, fields=sorted(fields), digest=f"sha256:{sum_.hexdigest()}"), subject=f"register:{register}",
        )
    return {"changed": changed, "unchanged": len(keys) - changed}


# Who watches a long act: (rows done, rows in all). It may raise, and then nothing is done.
watched: ContextVar[Callable[[int, int], None]] = ContextVar("register_watched", default=lambda done, total: None)


def _parts(keys: list[UUID]) -> Iterator[list[UUID]]:
    """A thousand at a time, so that a hundred thousand fit into memory and whoever waits sees them go."""
    for start in range(0, len(keys), 1000):
        watched.get()(start, len(keys))
        yield keys[start : start + 1000]


def _selected(act: Act, declared: Register, rows: list | None, filter: dict | None, q: str) -> list[UUID]:
    """The keys of these rows, or of all listed ones a filter finds. kernel.not_found, kernel.register_too_many."""
    wanted = {**(filter or {}), **({"id": rows} if rows is not None else {})}
    found = queries.narrow(queries.scope(act.actor, declared, realm=act.realm), declared, q=q, filters=wanted, actor=act.actor)
    keys = list(found.order_by("pk").values_list("pk", flat=True)[: BULK_MOST + 1])
    if len(keys) > BULK_MOST:
        raise TOO_MANY(count=f"> {BULK_MOST:,}", limit=f"{BULK_MOST:,}")
    if rows is not None and len(keys) != len({str(one) for one in rows}):
        raise NOT_FOUND(kind=declared.one, key="")
    return keys


@action("register.mark")
def mark(act: Act, *, register: str, do: str, rows: list | None = None, filter: dict | None = None, q: str = "", reason: str = "") -> int:
    """Verify many rows, or take them off the list (`do`: verify, end), named or all that a filter finds; all of them or none. How many.

    One fact for the batch. kernel.forbidden (one row beyond the actor's reach refuses all), kernel.reason_needed, kernel.register_still_used.
    """
    declared = get(register)
    writable(act, declared)
    if do not in ("verify", "end") or (rows is None) == (filter is None and not q):
        raise INVALID([{"field": "do" if do not in ("verify", "end") else "rows", "why": _("is missing")}])
    if do == "end" and not reason.strip():
        raise REASON_NEEDED()
    keys = _selected(act, declared, rows, filter, q)
    listed = declared.rows().filter(ended_at=None)
    if do == "end" and declared.before is not None:  # it must see each
        for part in _parts(keys):
            for key in part:
                end(act.child(step=f"end:{key}"), register=register, row=key, reason=reason)
        return len(keys)
    sum_, at = hashlib.sha256(), min(act.occurred_at or act.now, act.now)
    for part in _parts(keys):
        held = list(listed.select_for_update(of=("self",)).filter(pk__in=part).order_by("pk").values_list("pk", "version", "region_id", "organisation_id", *([declared.own] if declared.own else [])))
        if len(held) < len(part):
            raise ROW_ENDED()
        # One's own entry anybody may verify.
        for region, org in {(region, org) for _key, _version, region, org, *own in held if do == "end" or not own or own[0] is None or own[0] != act.actor.person_id}:
            _require(act, declared.capability("verify" if do == "verify" else "remove"), region, org)
        if do == "verify":
            later = When(Q(verified_at=None) | Q(verified_at__lt=at), then=Value(act.actor.person_id, output_field=UUIDField()))
            declared.rows().filter(pk__in=part).update(verified_by=Case(later, default=F("verified_by")), verified_at=Greatest(F("verified_at"), at), version=F("version") + 1)
        else:
            _unused(declared, part)
            declared.rows().filter(pk__in=part).update(ended_at=act.now, version=F("version") + 1)
            SearchEntry.objects.filter(kind=declared.kind, key__in=part).delete()
            for dispute in FieldConflict.objects.select_for_update().filter(register=declared.name, row__in=part, state=FieldConflict.OPEN):
                dispute.state, dispute.keep, dispute.decided_at, dispute.decided_by = FieldConflict.DECIDED, "ours", act.now, act.actor.person_id
                act.save(dispute)
                work.close(act, kind="registers.conflict", subject=f"{declared.kind}:{dispute.row}")
        RegisterChange.objects.bulk_create(
            entry(act, declared, declared.model(pk=key, version=version + 1), do, {}, reason.strip()) for key, version, *_where in held
        )
        for key, version, *_where in held:
            sum_.update(f"{key} {version + 1}\n".encode())
    if keys:
        act.state(
            RegisterBatchDone(register=register, op=do, created=0, changed=len(keys), fields=[], digest=f"sha256:{sum_.hexdigest()}"), subject=f"register:{register}",
        )
    return len(keys)


def _unused(declared: Register, keys: list[UUID]) -> None:
    """No listed entry refers to one of these: kernel.register_still_used."""
    for other in REGISTERS.values():
        for one in other.all:
            if one.ref == declared.name:
                used = other.rows().filter(ended_at=None, **{f"{values.attribute(other.model, one.name)}__in": keys}).count()
                if used:
                    raise STILL_USED(count=used, register=other.label)


@action("register.erase")
def erase(act: Act, *, register: str, row: UUID, reason: str) -> Any:
    """Erase the personal data of a row, in its fields, its history and its conflicts, because the law asks for it or its time is over."""
    declared, found = _to_remove(act, register, row, reason)
    names = [one.name for one in declared.personal if not values.empty(values.of(one, found))]
    for one in declared.personal:
        values.put(one, found, values.blank(one, declared.model))
    settle(declared, found)
    act.save(found)
    RegisterChange.objects.filter(register=declared.name, row=found.pk).update(personal=None)
    for dispute in FieldConflict.objects.filter(register=declared.name, row=found.pk, field__in=[one.name for one in declared.personal]):
        dispute.base = dispute.ours = dispute.theirs = None
        act.save(dispute)
    entry(act, declared, found, "erase", {}, reason.strip()).save(force_insert=True)
    act.state(RegisterRowChanged(register=register, row=found.pk, op="erase", fields=names, version=found.version), about=found, region=found.region_id)
    return found


@action("register.reveal")
def reveal(act: Act, *, register: str, row: UUID, purpose: str, address: str = "") -> list:
    """Open the covered personal fields of one entry for a stated purpose; who, when and why is kept. Returns the fields' names."""
    declared = get(register)
    found = queries.row(act.actor, declared, row, realm=act.realm)
    if not purpose.strip():
        raise INVALID([{"field": "purpose", "why": _("say what you need it for")}])
    opened = sorted({one.name for one in declared.personal if not values.empty(values.of(one, found))} & queries.open_fields(act.actor, declared, found))
    if opened:
        access_log.note(act.actor, "read", f"{declared.kind}:{found.pk}", fields=opened, purpose=purpose.strip()[:120], address=address)
        act.state(PersonalShown(register=declared.name, row=found.pk, fields=opened, purpose=purpose.strip()[:120]), subject=f"{declared.kind}:{found.pk}", region=found.region_id)
    return opened


def forget(act: Act, *, most: int = 1000) -> int:
    """Erase personal data of rows that left their register longer ago than every personal field's retention allows; how many rows."""
    count = 0
    for declared in REGISTERS.values():
        days = [one.personal.retention_days for one in declared.personal if one.personal and one.personal.retention_days is not None]
        if not days or declared.steps_only or "realm" in declared.columns:
            continue
        held = Q(pk__in=[])
        for one in declared.personal:
            column = values.attribute(declared.model, one.name)
            held |= ~Q(**{column: ""}) if one.kind in ("text", "longtext", "phone", "url", "code", "choice") else Q(**{f"{column}__isnull": False})
        for key in declared.rows().filter(held, ended_at__lt=clock.now() - timedelta(days=max(days))).values_list("pk", flat=True)[:most]:
            erase(Act(act.actor, act.realm, cause=act.cause), register=declared.name, row=key, reason=_("retention period over"))
            count += 1
    return count


# --- saved views ---------------------------------------------------------------------------------------------------------


@action("register.save_view")
def save_view(act: Act, *, register: str, name: str, params: dict, post: UUID | None = None) -> SavedView:
    """Keep search, filters, sorting and columns of a list under a name, for oneself or for the holders of a post of one's own.
    Again under the same name replaces it."""
    access.require(act, get(register).read)
    if not name.strip():
        raise INVALID([{"field": "name", "why": _("is missing")}])
    if post is not None and UUID(str(post)) not in access.posts(act.actor):
        raise FORBIDDEN(capability="saved view")
    params = {key: params[key] for key in ("q", "filters", "sort", "columns", "shape") if key in params}
    view, _made = SavedView.objects.update_or_create(
        register=register, owner=act.actor.account_id, name=name.strip()[:60], defaults={"params": params, "post": post},
    )
    return view


@action("register.drop_view")
def drop_view(act: Act, *, view: UUID) -> None:
    """Forget one's own saved view."""
    found = SavedView.objects.filter(pk=view).first()
    if found is None:
        raise NOT_FOUND(kind=_("saved view"), key=view)
    if found.owner != act.actor.account_id:
        raise FORBIDDEN(capability="saved view")
    found.delete()
