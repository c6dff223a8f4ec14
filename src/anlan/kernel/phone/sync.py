"""What was done on a telephone becomes done here: once per op_id, however often, late or out of order it arrives.

Every operation ends as one of
  done      it is done as if here
  merged    others changed other fields meanwhile; all changes stand
  conflict  others changed the same field; both values are kept, the owner decides
  kept      it is no longer legal; it is kept whole as evidence, and a person decides
  refused   it could never be done so; the person who did it corrects it
or is left unrecorded to come again: `later` (waits for an operation or a file before it, or for a second factor).

The device's clock is corrected by the offset measured at this sync; what it claimed is kept beside it.
"""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from ninja import Schema
from pydantic import Field

from .. import access, clock, files, journal, realms, subjects, work
from ..actions import Act, Actor, action
from ..errors import (
    EXERCISE_OVER,
    ILLEGAL_STEP,
    INVALID,
    NOT_FOUND,
    OP_REUSED,
    REASON_NEEDED,
    SECOND_FACTOR,
    SIGN_IN,
    Kind,
    Problem,
)
from ..facts import EvidenceKept, EvidenceSettled, PhoneEnrolled, PhoneRevoked, PhoneSynced
from ..ids import derived_id
from ..middleware import as_problem
from ..models import Attachment, KeptEvidence, PhoneDevice, PhoneFile, PhoneOp, Post, Realm, SignInSession

log = logging.getLogger("anlan.phone")

REVOKED = Kind("phone.revoked", 403, _("This device was withdrawn ({why}). Its copy is deleted; nothing is taken from it any more."))
UNKNOWN_DEVICE = Kind("phone.unknown_device", 409, _("This device is not registered for your account. Open Anlan on it while signed in, with a network."))
UNKNOWN_OP = Kind("phone.unknown_op", 422, _("Operations of the kind {kind} are not taken from a telephone. Update Anlan on it."))
CLOCK_TOO_FAR = Kind("phone.clock", 422, _("The device's clock is off by more than a year. Set it, then send again."))
EVIDENCE_WHY = gettext_noop("{person} reported from the field what can no longer be done by itself: {title}")

CLOSED = _("The account was closed.")

MAX_OPS = 200
DONE, MERGED, CONFLICT, KEPT, REFUSED, LATER = "done", "merged", "conflict", "kept", "refused", "later"
SETTLE_HOURS = 4
TEXT = 4000


class Op(Schema):
    """One operation done on a telephone."""

    op_id: UUID
    kind: str = Field(max_length=40)
    seq: int = Field(0, ge=0, lt=2**53, description="running number on the device; the order things were done in")
    at: datetime = Field(description="device clock, with its zone")
    realm: UUID | None = None
    after: list[UUID] = Field([], max_length=50, description="operations that must be in before this one")
    title: str = Field("", max_length=160)
    order: UUID | None = None
    of: str = Field("", alias="register", max_length=60, description="name of the register")
    row: UUID | None = None
    loop: str = Field("", max_length=60)
    case: UUID | None = None
    step: str = Field("", max_length=40)
    values: dict[str, Any] = {}
    base: dict[str, Any] | None = Field(None, description="values the device saw of the fields it changes")
    version: int | None = Field(None, ge=0, lt=2**31, description="version of the row the device saw")
    text: str = Field("", max_length=TEXT)
    percent: int | None = Field(None, ge=0, le=100)
    files: list[UUID] = Field([], max_length=20)


class Batch(Schema):
    """A handful of operations: small enough for a link that breaks."""

    device: UUID
    sent_at: datetime = Field(description="device clock when this was sent; tells its offset")
    ops: list[Op] = Field(max_length=MAX_OPS)
    waiting: int = Field(0, ge=0, lt=2**31, description="how many more the device holds")


@dataclass(frozen=True)
class Done:
    """What an operation became: its record, the record's version, and what the device should know."""

    subject: str = ""
    version: int | None = None
    outcome: str = DONE
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OpKind:
    """How a kind of operation is done, which record it is about, who decides when it cannot be done any more."""

    name: str
    run: Callable[[Act, Op], Done]
    about: Callable[[Op], str]
    settler: Callable[[Act, Op], UUID | None]
    take: Callable[[Act, KeptEvidence], str]
    files_first: Callable[[Op], bool]
    attached: Callable[[Act, str, Attachment], None] | None


KINDS: dict[str, OpKind] = {}


def _no_settler(act: Act, op: Op) -> UUID | None:
    return None


def _only_noted(act: Act, evidence: KeptEvidence) -> str:
    return evidence.subject


def kind(
    name: str, run: Callable[[Act, Op], Done], *, about: Callable[[Op], str], settler: Callable[[Act, Op], UUID | None] = _no_settler,
    take: Callable[[Act, KeptEvidence], str] = _only_noted, files_first: Callable[[Op], bool] = lambda op: False,
    attached: Callable[[Act, str, Attachment], None] | None = None,
) -> None:
    """Let a kind of operation come from a telephone. Call it in `apps.ready()`.

    `run` does it inside its transaction; `about` names the record it is meant for; `settler` the post that decides about
    it when it is no longer legal (default: the doer's superior); `take` does what is still possible when that post takes
    it over, returning the subject its files go to; `files_first` says that it cannot be done before its files are here;
    `attached` is told of a file that came after it was done.
    """
    KINDS[name] = OpKind(name, run, about, settler, take, files_first, attached)


# --- devices -----------------------------------------------------------------------------------------------------------


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def device_of(actor: Actor, key: UUID) -> PhoneDevice:
    """The actor's device. phone.unknown_device, phone.revoked."""
    device = PhoneDevice.objects.filter(pk=key, account_id=actor.account_id).first()
    if device is None:
        raise UNKNOWN_DEVICE()
    if device.revoked_at is not None:
        raise REVOKED(why=device.revoked_why)
    return device


@action("phone.enrol")
def enrol(act: Act, *, device: UUID, secret_hash: str, name: str, session: str = "") -> PhoneDevice:
    """Register a device under the account that uses it. Registering it again renews its name; phone.unknown_device if it is another's."""
    row = PhoneDevice.objects.select_for_update().filter(pk=device).first()
    if row is not None:
        if row.account_id != act.actor.account_id or row.secret_hash != secret_hash:
            raise UNKNOWN_DEVICE()
        if row.revoked_at is not None:
            raise REVOKED(why=row.revoked_why)
        renamed = row.name != name[:120]
        row.name, row.seen_at, row.session = name[:120], clock.now(), UUID(session) if session else None
        row.wiped_at = None
        row.save(update_fields=["name", "seen_at", "session", "wiped_at"])
        if renamed:
            act.state(PhoneEnrolled(device=row.pk, account=row.account_id, name=row.name), subject=f"account:{row.account_id}")
        return row
    row = PhoneDevice.objects.create(
        id=device, account_id=act.actor.account_id, secret_hash=secret_hash, name=name[:120], session=UUID(session) if session else None, seen_at=clock.now()
    )
    act.state(PhoneEnrolled(device=row.pk, account=row.account_id, name=row.name), subject=f"account:{row.account_id}")
    return row


@action("phone.revoke")
def revoke(act: Act, *, device: UUID, why: str) -> PhoneDevice:
    """Withdraw a device: one's own, or anybody's as security administrator. Its session ends; it deletes its copy when it asks next."""
    row = PhoneDevice.objects.select_for_update().filter(pk=device).first()
    if row is None or row.account_id != act.actor.account_id:
        access.require(act, "kernel.administer_security")
    if row is None:
        raise NOT_FOUND(kind=_("phone"), key=device)
    if not why.strip():
        raise REASON_NEEDED(fields=[{"field": "why", "why": "needed"}])
    if row.revoked_at is None:
        row.revoked_at, row.revoked_by, row.revoked_why = clock.now(), act.actor.person_id, why.strip()[:200]
        act.save(row)
        SignInSession.objects.filter(pk=row.session, ended_at=None).update(ended_at=clock.now(), ended_why="phone_revoked")
        act.state(PhoneRevoked(device=row.pk, account=row.account_id, why=row.revoked_why), subject=f"account:{row.account_id}")
    return row


# --- taking operations --------------------------------------------------------------------------------------------------


def offset_of(sent_at: datetime, received_at: datetime) -> timedelta:
    """Our clock minus the device's. phone.clock when it is beyond a year, which no clock drifts to by itself."""
    sent_at = sent_at if sent_at.tzinfo else sent_at.replace(tzinfo=UTC)
    offset = received_at - sent_at
    if abs(offset) > timedelta(days=366):
        raise CLOCK_TOO_FAR()
    return offset


def take(actor: Actor, standing: Realm, batch: Batch, received_at: datetime) -> dict[str, Any]:
    """Do a batch, in the order things were done on the device; each operation in a transaction of its own."""
    device = device_of(actor, batch.device)
    offset = offset_of(batch.sent_at, received_at)
    actor = replace(actor, device=f"phone:{device.pk}", cache={})
    answers, new = [], []
    for op in sorted(batch.ops, key=lambda op: (op.seq, op.at if op.at.tzinfo else op.at.replace(tzinfo=UTC))):
        answer, fresh = _take_one(actor, standing, device.pk, op, offset, received_at)
        answers.append(answer)
        if fresh:
            new.append(answer)
    PhoneDevice.objects.filter(pk=device.pk).update(
        seen_at=received_at, synced_at=received_at, offset_ms=round(offset / timedelta(milliseconds=1)), waiting=batch.waiting
    )
    if new:
        note_sync(
            Act(actor, realms.actual(), op_id=derived_id("phone.sync", *(answer["op_id"] for answer in new))),
            device=device.pk, count=len(new), kept=sum(a["outcome"] == KEPT for a in new), refused=sum(a["outcome"] == REFUSED for a in new),
            conflicts=sum(a["outcome"] == CONFLICT for a in new), offset_s=round(offset.total_seconds()), digest=_sha([a["op_id"] for a in new]),
        )
    return {"now": received_at, "offset_ms": round(offset / timedelta(milliseconds=1)), "answers": answers}


def _sha(value: Any) -> str:
    return hashlib.sha256(journal.canonical(value)).hexdigest()


def _digest(op: Op) -> str:
    asked = op.dict(exclude={"after", "seq", "title"}, by_alias=True)
    return hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()


def _take_one(actor: Actor, standing: Realm, device: UUID, op: Op, offset: timedelta, received_at: datetime) -> tuple[dict[str, Any], bool]:
    """(answer, whether it is newly recorded). An operation never breaks the batch it came in."""
    if b"\\u0000" in journal.canonical(op.dict()) or not 1980 < op.at.year < 2200:
        return _answer(op, REFUSED, INVALID()), False  # no column can hold a NUL, no clock of ours such a time
    try:
        with transaction.atomic():
            # One operation of a device at a time: a batch sent twice at once is done once.
            PhoneDevice.objects.select_for_update().get(pk=device, revoked_at=None)
            known = PhoneOp.objects.filter(pk=op.op_id).first()
            if known is not None:
                if known.account != actor.account_id or known.digest != _digest(op):
                    return _answer(op, REFUSED, OP_REUSED()), False
                return known.answer, False
            missing = set(op.after) - set(PhoneOp.objects.filter(pk__in=op.after).values_list("pk", flat=True))
            if missing:
                return {"op_id": str(op.op_id), "outcome": LATER, "after": sorted(map(str, missing))}, False
            return _do(actor, standing, device, op, offset, received_at)
    except PhoneDevice.DoesNotExist:
        raise REVOKED(why=PhoneDevice.objects.values_list("revoked_why", flat=True).get(pk=device))
    except Exception:
        log.exception("operation %s of device %s", op.op_id, device)
        return {"op_id": str(op.op_id), "outcome": LATER, "why": str(_("Something went wrong on our side; it is tried again."))}, False


def _answer(op: Op, outcome: str, problem: Problem | None = None, done: Done | None = None) -> dict[str, Any]:
    answer: dict[str, Any] = {"op_id": str(op.op_id), "outcome": outcome}
    if problem is not None:
        answer |= {"code": problem.kind.code, "why": problem.message, "fields": problem.fields}
    if done is not None:
        answer |= {"subject": done.subject, "version": done.version, **journal._plain(done.data)}
    return answer


def _do(actor: Actor, standing: Realm, device: UUID, op: Op, offset: timedelta, received_at: datetime) -> tuple[dict[str, Any], bool]:
    # An operation belongs to the realm it was done in, wherever its person stands now: a drill's must never become real, nor the other way.
    realm = standing if op.realm in (None, standing.pk) else Realm.objects.filter(pk=op.realm).first()
    claimed = op.at if op.at.tzinfo else op.at.replace(tzinfo=UTC)
    occurred = min(claimed + offset, received_at)
    done, problem, handler = None, None, KINDS.get(op.kind)
    if realm is None:
        problem = NOT_FOUND(kind=_("realm"), key=str(op.realm)[-6:])
    elif realm.is_over:
        problem = EXERCISE_OVER(name=realm.name)
    elif handler is None:
        problem = UNKNOWN_OP(kind=op.kind)
    else:
        if handler.files_first(op):
            missing = set(op.files) - set(PhoneFile.objects.filter(_whole(), pk__in=op.files, op=op.op_id).values_list("pk", flat=True))
            if missing:
                return {"op_id": str(op.op_id), "outcome": LATER, "files": sorted(map(str, missing))}, False
        act = Act(actor, realm, op_id=op.op_id, occurred_at=_realm_time(realm, received_at - occurred))
        try:
            with transaction.atomic():
                done = handler.run(act, op)
        except Exception as met:
            problem = as_problem(met)
            if problem is None:
                raise
            if problem.kind in (SIGN_IN, SECOND_FACTOR):
                return {**_answer(op, LATER, problem), "person": True}, False
    outcome = done.outcome if done else KEPT if handler and realm and not realm.is_over and problem and problem.kind.status in (403, 404, 409) else REFUSED
    answer = _answer(op, outcome, problem, done)
    row = PhoneOp.objects.create(
        id=op.op_id, realm=realm or standing, device_id=device, account=actor.account_id, kind=op.kind, digest=_digest(op), claimed_at=claimed, occurred_at=occurred,
        received_at=received_at, outcome=outcome, subject=done.subject if done else handler.about(op) if handler else "", answer=answer,
    )
    if outcome == KEPT and realm is not None and handler is not None and problem is not None:
        evidence = keep(
            Act(actor, realm, op_id=derived_id("phone.keep", op.op_id), occurred_at=_realm_time(realm, received_at - occurred)), op=row.pk, payload=op.dict(by_alias=True), subject=row.subject,
            post=handler.settler(Act(actor, realm), op), code=problem.kind.code, why=problem.message[:300], title=op.title or op.kind,
        )
        answer["evidence"] = str(evidence.pk)
        PhoneOp.objects.filter(pk=row.pk).update(answer=answer)
    from .files import hand_over

    for file in PhoneFile.objects.filter(op=op.op_id, attachment=None, refused="").filter(_whole()):
        hand_over(actor, file)
    return answer, True


def _realm_time(realm: Realm, age: timedelta) -> datetime:
    """The instant `age` (wall time) ago on the realm's clock; one that is moved by hand stood still."""
    return clock.now(realm) - age * {"scaled": realm.rate, "manual": 0.0}.get(realm.clock, 1.0)


def _whole() -> Q:
    """Files that are here entirely, or will never be taken."""
    return Q(received=F("size")) | ~Q(refused="")


@action("phone.synced")
def note_sync(act: Act, *, device: UUID, count: int, kept: int, refused: int, conflicts: int, offset_s: int, digest: str) -> None:
    """State that a batch of operations came in from a telephone."""
    act.state(
        PhoneSynced(device=device, count=count, kept=kept, refused=refused, conflicts=conflicts, offset_s=offset_s, digest=f"sha256:{digest}"),
        subject=f"account:{act.actor.account_id}",
    )


# --- what is no longer legal --------------------------------------------------------------------------------------------


@action("phone.keep")
def keep(act: Act, *, op: UUID, payload: dict, subject: str, post: UUID | None, code: str, why: str, title: str) -> KeptEvidence:
    """Keep as evidence what could not be done any more, and let it wait for the post that decides."""
    row = subjects.row(subject)
    own = Post.objects.filter(pk=act.actor.post_id).first()
    post = post or (own.superior_id or own.pk if own else None)
    region = getattr(row, "region_id", None) or (own.region_id if own else None)
    evidence = act.create(
        KeptEvidence, op_id=op, subject=subject, kind=payload["kind"], title=title, region_id=region, post_id=post, person=act.actor.person_id,
        device=PhoneOp.objects.values_list("device_id", flat=True).get(pk=op), payload=journal._plain(payload), code=code, why=why,
        occurred_at=act.occurred_at or act.now, received_at=clock.now(),
    )
    stated = act.state(EvidenceKept(evidence=evidence.pk, about=subject, code=code), about=evidence)
    if post:
        work.open(
            act, post=post, kind="phone.evidence", subject=f"evidence:{evidence.pk}", region=region, cause=stated, msgid=EVIDENCE_WHY,
            params={"person": str(act.actor.person_id), "title": title}, due_at=act.now + timedelta(hours=SETTLE_HOURS),
        )
    return evidence


@action("phone.settle")
def settle(act: Act, *, evidence: UUID, taken: bool, note: str) -> KeptEvidence:
    """Decide about kept evidence: take it over onto its record, or set it aside; both with a reason. The post it waits for, or phone.settle there."""
    row = act.lock(KeptEvidence, evidence)
    if row.post_id not in access.posts(act.actor):
        access.require(act, "phone.settle", region=row.region_id)
    if row.state != KeptEvidence.OPEN:
        raise ILLEGAL_STEP(state=row.state)
    if not note.strip():
        raise REASON_NEEDED(fields=[{"field": "note", "why": "needed"}])
    row.state = KeptEvidence.TAKEN if taken else KeptEvidence.SET_ASIDE
    row.settled_at, row.settled_by, row.note = act.now, act.actor.person_id, note.strip()[:300]
    act.save(row)
    if taken and row.kind in KINDS:
        subject = KINDS[row.kind].take(act, row)
        # The photographs stay with the evidence and go onto the record too: the bytes are one.
        for file in Attachment.plain.filter(realm_id=act.realm.pk, subject=f"evidence:{row.pk}", removed_at=None) if subject and subjects.row(subject) else ():
            act.create(
                Attachment, subject=subject, region_id=row.region_id, name=file.name, mime=file.mime, size=file.size, sha256=file.sha256, added_at=act.now,
                added_by=row.person, note=file.note,
            )
    work.close(act, kind="phone.evidence", subject=f"evidence:{row.pk}", outcome=row.state)
    act.state(EvidenceSettled(evidence=row.pk, about=row.subject, outcome=row.state, note=row.note), about=row)
    return row


def may_read_evidence(actor: Actor, realm: Any, row: KeptEvidence) -> bool:
    """Who did it, the post that decides, and who may settle in its region."""
    mine = row.person is not None and row.person == actor.person_id
    return bool(row.realm_id == realm.pk and (mine or row.post_id in access.posts(actor) or access.may(actor, "phone.settle", row.region_id)))


files.readable("evidence", may_read_evidence)
