"""The only writers of cases. Every way to a step (page, API, phone, command) ends in `step`, and the database checks it again."""
from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from .. import access, clock, due, files, journal, shell, work
from ..actions import Act, action
from ..errors import FORBIDDEN, INVALID, NOT_FOUND, OP_REUSED, REASON_NEEDED, STALE, Problem
from ..ids import derived_id, new_id
from ..models import Attachment, CaseRow, CaseStep, Grant, Post, Recheck, RecheckDraw, RegionPath
from ..registers.values import plain
from . import values
from .declare import Loop, Step, Within, get
from .errors import CASE_FILE, DRAWN, EVIDENCE, ILLEGAL, NO_DRAW, NO_STEP, NOT_ALLOWED, NOT_HOLDER, SAME_DOER, TOO_EARLY
from .facts import (
    CaseAssigned,
    CaseCommented,
    CaseDeadlineMoved,
    CaseOpened,
    CaseOverdue,
    CaseReminded,
    CaseStepped,
    RechecksDrawn,
)

WAITS, LATE, SOON = "loop.case", "loop.overdue", "loop.remind"


# --- what is possible --------------------------------------------------------------------------------------------------


def doers(case: CaseRow) -> dict[str, set[UUID]]:
    """Step → the natural persons who ever did it in this case."""
    found: dict[str, set[UUID]] = {}
    for step, person in CaseStep.plain.filter(case_id=case.pk, kind=CaseStep.STEP).exclude(person=None).values_list("step", "person"):
        found.setdefault(step, set()).add(person)
    return found


def check(declared: Loop, step: Step, case: CaseRow, actor: Any, done: dict[str, set[UUID]] | None = None, *, act: Act | None = None) -> None:
    """Raise unless this actor may take this step of this case now: state, right, holder, another person. Forms and guards come later."""
    if case.state not in step.from_:
        raise _illegal(declared, step, case)
    if act is not None:
        access.require(act, step.may, region=case.region_id, org=case.organisation_id)
    elif not access.may(actor, step.may, case.region_id, case.organisation_id):
        raise FORBIDDEN(capability=step.may)
    if step.holder and not {case.post_id, case.escalated_to_id} & set(access.posts(actor)):
        raise NOT_HOLDER(step=step.label, post=shell.post_name(case.post_id) if case.post_id else _("no post"))
    if step.other_than or step.not_by:
        done = doers(case) if done is None else done
        names = [name for name in step.other_than if actor.person_id is None or actor.person_id in done.get(name, ())]
        if names:
            raise SAME_DOER(step=step.label, done=declared.step_label(names[0]))
        if step.not_by and (actor.person_id is None or actor.person_id in set(step.not_by(case))):
            raise SAME_DOER(step=step.label, done=_("the earlier case"))


def _illegal(declared: Loop, step: Step, case: CaseRow) -> Problem:
    last = CaseStep.plain.filter(case_id=case.pk, kind=CaseStep.STEP).order_by("-seq").first()
    legal = [str(other.label) for other in declared.steps_from(case.state)]
    return ILLEGAL(
        number=case.number, state=declared.state_label(case.state), step=step.label, legal="、".join(legal) or _("none"), who=(shell.person_name(last.person) if last else "") or _("system"),
        since=f"{clock.local(case.state_since):%m-%d %H:%M}", state_code=case.state, step_code=step.name,
    )


def _find(act: Act, declared: Loop, case: UUID) -> CaseRow:
    """The case, locked. One the actor may not read is not there for him."""
    found = declared.model.objects.of(act.realm) if act.actor.machine_name else declared.model.objects.seen_by(act.actor, act.realm)
    row = found.select_for_update(of=("self",)).filter(pk=case, loop=declared.name).first()
    if row is None:
        raise NOT_FOUND(kind=declared.one, key=case)
    return row


def step_of(declared: Loop, name: str) -> Step:
    if name not in declared.step:
        raise NO_STEP(one=declared.one, step=name)
    return declared.step[name]


# --- opening and stepping ----------------------------------------------------------------------------------------------


@action("loop.open")
def open(act: Act, *, loop: str, values: dict, files: list | tuple = (), id: str | None = None, note: str = "") -> CaseRow:
    """Open a case. `values`: the fields of the opening form; `files`: attachments held for `id`, the key the case is to have.

    Needs the opening step's capability where the case lies. kernel.invalid, kernel.case_evidence.
    """
    return _open(act, get(loop), values, [UUID(str(one)) for one in files], UUID(str(id)) if id else None, note)


def _open(act: Act, declared: Loop, given: dict, attached: list[UUID], key: UUID | None, note: str, *, trusted: bool = False) -> CaseRow:
    step = declared.open
    row = declared.model(pk=key or new_id(), realm_id=act.realm.pk, loop=declared.name)
    if key is not None and CaseStep.plain.filter(case_id=key).exists():
        raise OP_REUSED()
    if not (trusted or declared.by_hand):
        raise FORBIDDEN(capability=step.may)
    data = _take(declared, step, row, given, trusted)
    if not trusted:
        if act.actor.is_nobody or not access.may(act.actor, step.may, row.region_id, row.organisation_id):
            access.require(act, step.may)  # who holds it nowhere is told so; who holds it elsewhere, which place is missing
            if row.region_id is None:
                raise INVALID([{"field": "region", "why": _("Say where it is: your post may do this only in its own region.")}])
        access.require(act, step.may, region=row.region_id, org=row.organisation_id)
        _evidence(act, declared, step, row, attached)
        _guard(step, row, data)
    at = _when(act, None)
    row.number, row.opened_at, row.opened_by = _number(act, declared), at, act.actor.person_id
    if not row.title:
        row.title = row.number
    _move(act, declared, step, row, data, attached, note, at, made=True)
    return row


def follow(act: Act, *, loop: str, values: dict) -> CaseRow:
    """A case that follows from a step of another loop, in its transaction and on its authority (`Step.after`); one follows by `Step.opens`, several by this."""
    return _open(act, get(loop), values, [], None, "", trusted=True)


@action("loop.step")
def step(act: Act, *, loop: str, case: UUID, step: str, data: dict | None = None, files: list | tuple = (), note: str = "") -> CaseRow:
    """Take one step. Needs its capability, the right state, the form, the evidence and, where asked, another natural person.

    kernel.case_illegal_step when the case is not (or no longer) in a state it leads from; kernel.stale when another version was seen.
    """
    declared = get(loop)
    chosen = step_of(declared, step)
    row = _find(act, declared, case)
    check(declared, chosen, row, act.actor, act=act)
    if act.expected_version is not None and act.expected_version != row.version:
        raise STALE(expected=act.expected_version, found=row.version)
    return _step(act, declared, chosen, row, data or {}, [UUID(str(one)) for one in files], note)


def _step(act: Act, declared: Loop, chosen: Step, row: CaseRow, given: dict, attached: list[UUID], note: str, *, trusted: bool = False) -> CaseRow:
    data = _take(declared, chosen, row, given, trusted)
    if not trusted:
        _evidence(act, declared, chosen, row, attached)
        _guard(chosen, row, data)
    _move(act, declared, chosen, row, data, attached, note, _when(act, row.state_since))
    return row


def take(act: Act, declared: Loop, chosen: Step, row: CaseRow, *, data: dict | None = None, note: str = "") -> CaseRow:
    """A step that follows from another one, in its transaction and on its authority: the state still counts, rights and evidence were judged there."""
    if row.state not in chosen.from_:
        raise _illegal(declared, chosen, row)
    return _step(act, declared, chosen, row, data or {}, [], note, trusted=True)


def _when(act: Act, not_before: datetime | None) -> datetime:
    """When it was done: the claimed time, never in the future and never before the step it follows."""
    at = min(act.occurred_at or act.now, act.now)
    return max(at, not_before) if not_before else at


def _take(declared: Loop, step: Step, row: CaseRow, given: dict, lax: bool) -> dict[str, Any]:
    """Check the form's values, write those that are columns of the case to it; returns them JSON-able. kernel.invalid."""
    taken = values.clean(declared, step, row, given, lax=lax)
    values.put(declared, step, row, taken)
    return {name: plain(value) for name, value in taken.items()}


def _guard(step: Step, row: CaseRow, data: dict[str, Any]) -> None:
    why = step.guard(row, data) if step.guard else None
    if why:
        raise NOT_ALLOWED(step=step.label, why=why)


def _evidence(act: Act, declared: Loop, step: Step, row: CaseRow, attached: list[UUID]) -> None:
    """The files belong to this case, are on it still, and were not handed in before; those of an opening are the opener's own."""
    found = {file.pk: file for file in Attachment.plain.filter(realm_id=act.realm.pk, pk__in=attached, subject=declared.subject_of(row), removed_at=None)}
    used = set(CaseStep.plain.filter(case_id=row.pk, files__overlap=attached).values_list("pk", flat=True)) if attached else set()
    foreign = [key for key, file in found.items() if step is declared.open and file.added_by != act.actor.person_id]
    wrong = next((key for key in attached if key not in found or key in foreign), None) or (attached[0] if used else None)
    if wrong is not None:
        raise CASE_FILE(file=found[wrong].name if wrong in found else str(wrong)[-6:], fields=[{"field": "files", "why": ""}])
    digests = {file.sha256 for file in found.values()}
    photos = {file.sha256 for file in found.values() if file.mime in files.PICTURES}
    if len(photos) < step.evidence.photos or len(digests) < step.evidence.photos + step.evidence.files:
        raise EVIDENCE(
            step=step.label, photos=step.evidence.photos, files=step.evidence.files, found_photos=len(photos), found_files=len(digests - photos),
            fields=[{"field": "files", "why": _("Evidence is missing.")}],
        )


def _number(act: Act, declared: Loop) -> str:
    """The next number of the loop in this realm: counted within what the pattern says besides {n}."""
    today = clock.local(act.now)
    parts = {"year": today.year, "month": f"{today.month:02}", "day": f"{today.day:02}"}
    prefix = f"{declared.name} " + declared.number.partition("{n")[0].format(**parts)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO kernel_loopcounter (realm_id, prefix, last) VALUES (%s, %s, 1) ON CONFLICT (realm_id, prefix) DO UPDATE SET last = kernel_loopcounter.last + 1 RETURNING last",
            [act.realm.pk, prefix],
        )
        return declared.number.format(n=cursor.fetchone()[0], **parts)


def _words(text: str) -> str:
    """What a person wrote, without the signs no column can hold; at most 4000 characters."""
    kept = "".join(char for char in text if char >= " " or char in "\n\t").encode("utf-8", "ignore").decode()
    return kept.strip()[:4000]


def _line(act: Act, declared: Loop, row: CaseRow, **more: Any) -> CaseStep:
    """The next line of the timeline."""
    last = CaseStep.plain.filter(case_id=row.pk).order_by("-seq").values_list("seq", flat=True).first()
    return act.create(
        CaseStep, **{
            "loop": declared.name, "case_id": row.pk, "seq": (last or 0) + 1, "at": act.now, "account": act.actor.account_id, "person": act.actor.person_id,
            "post": act.actor.post_id, "rules": declared.digest, "region_id": row.region_id, "organisation_id": row.organisation_id, "source": row.source, **more,
        }
    )


def _move(act: Act, declared: Loop, step: Step, row: CaseRow, data: dict[str, Any], attached: list[UUID], note: str, at: datetime, *, made: bool = False) -> None:
    """The move itself: the line of the timeline first (the database judges it), then the row, then who has it and until when."""
    before = "" if made else row.state
    stays = before == step.to
    reopens = declared.reopen is not None and step.name == declared.reopen.name
    on_time = None if made or stays or row.first_due_at is None or declared.state[before].final else at <= row.first_due_at
    _line(
        act, declared, row, kind=CaseStep.STEP, step=step.name, from_state=before, to_state=step.to, at=at, data=data, files=attached, note=_words(note),
        seconds=None if made else max(0.0, (at - row.state_since).total_seconds()), due_at=None if made else row.first_due_at, on_time=on_time, fact=(fact := new_id()),
    )
    row.state = step.to
    # A step that stays and gives no new deadline (a report of progress) leaves clock and escalation as they are.
    renewed = not stays or step.within is not None
    if not stays:
        row.state_since, row.first_due_at = at, None
    if renewed:
        row.escalated, row.escalated_to_id = 0, None
    if on_time is False:
        row.late = True
    if reopens:
        row.reopened += 1
        row.late = False
    final = declared.state[step.to].final
    row.closed_at = at if final else None
    if renewed:
        _deadline(declared, step, row, at)
    held = row.post_id
    row.post_id = None if final else next_post(declared, step, row)
    if declared.risk:
        row.risk = _weight(declared.risk(row))
    values.index(declared, row)
    if made:
        row.save(force_insert=True)
    else:
        act.save(row)
    until = row.due_at.isoformat() if row.due_at else ""
    about: dict[str, Any] = {"subject": declared.subject_of(row), "region": row.region_id, "id": fact}
    stated = act.state(
        CaseOpened(loop=declared.name, number=row.number, case_state=f"{declared.name}/{row.state}", post=row.post_id, due_at=until) if made else
        CaseStepped(
            loop=declared.name, number=row.number, case_step=f"{declared.name}/{step.name}", from_state=f"{declared.name}/{before}", case_state=f"{declared.name}/{row.state}",
            post=row.post_id, due_at=until,
        ), **about,
    )
    if renewed:
        _wait(act, declared, row, stated)
        _arm(act, declared, row)
    elif held != row.post_id:
        _wait(act, declared, row, stated, kinds=(WAITS, SOON))
    if step.after:
        step.after(act.child(cause=stated), row, data)
    if step.opens:
        _opens(act.child(cause=stated), declared, step, row, data)
    if final and declared.recheck:
        _arm_draw(act, declared, row)


def _weight(value: Any) -> float:
    """A weight of the draw: finite and not negative."""
    number = float(value or 0)
    return number if math.isfinite(number) and number > 0 else 0.0


def _deadline(declared: Loop, step: Step, row: CaseRow, at: datetime) -> None:
    limit = None if declared.state[step.to].final else step.limit(row)
    found = limit.after(at, row) if limit else None
    row.due_at = found.at if found else None
    row.due_provisional = bool(found and found.provisional)
    if row.first_due_at is None:
        row.first_due_at = row.due_at


def next_post(declared: Loop, step: Step, row: CaseRow) -> Any:
    """Who has it next: whom the step says; else whoever has it, if his post may do a next step; else the nearest post that may."""
    if step.assign:
        chosen = step.assign(row)
        if chosen is not None:
            return getattr(chosen, "pk", chosen)
    needed = {other.may for other in declared.steps_from(step.to)}
    able = posts_that_may(needed, row)
    return row.post_id if row.post_id in able else next(iter(able), None)


def posts_that_may(capabilities: Iterable[str], row: CaseRow) -> list[UUID]:
    """Active posts that hold one of these capabilities over the case's unit or place, the nearest first."""
    now = clock.now()
    depth = dict(RegionPath.objects.filter(descendant_id=row.region_id).values_list("ancestor_id", "depth")) if row.region_id else {}
    grants = Grant.objects.filter(capability__in=list(capabilities), post__active=True, starts_at__lte=now, incident=None).exclude(ends_at__lte=now)
    near: dict[UUID, tuple[int, str]] = {}
    for post, region, unit, name in grants.values_list("post_id", "region_id", "organisation_id", "post__name"):
        if unit:
            rank = 0 if unit == row.organisation_id else None
        elif region is None:
            rank = 99
        else:
            rank = 1 + depth[region] if region in depth else None
        if rank is not None and (post not in near or rank < near[post][0]):
            near[post] = (rank, name)
    return [post for post, _rank in sorted(near.items(), key=lambda pair: (*pair[1], pair[0]))]


# --- waiting, reminding, going up ----------------------------------------------------------------------------------------


def _params(declared: Loop, row: CaseRow) -> dict[str, Any]:
    return {"number": row.number, "title": row.title[:80], "case_state": f"{declared.name}/{row.state}"}


def _wait(act: Act, declared: Loop, row: CaseRow, cause: UUID, kinds: tuple[str, ...] = (WAITS, LATE, SOON)) -> None:
    """What waited no longer does; the case waits for whoever has it now."""
    subject = declared.subject_of(row)
    work.close(act, kind=kinds, subject=subject)
    if row.post_id and not declared.state[row.state].rest:
        work.open(
            act, post=row.post_id, kind=WAITS, subject=subject, region=row.region_id, due_at=row.due_at, on_silence="", cause=cause,
            msgid=gettext_noop("{number} “{title}”: {case_state}"), params=_params(declared, row),
        )


def _arm(act: Act, declared: Loop, row: CaseRow) -> None:
    """The reminder and the deadline of the present state."""
    subject = declared.subject_of(row)
    if row.due_at is None:
        due.cancel(act, ("loops.remind", "loops.overdue"), subject)
        return
    due.at(act, row.due_at, "loops.overdue", subject=subject, loop=declared.name)
    remind = reminder_at(declared, row)
    if remind is not None and remind > act.now:
        due.at(act, remind, "loops.remind", subject=subject, loop=declared.name)
    else:
        due.cancel(act, "loops.remind", subject)


def reminder_at(declared: Loop, row: CaseRow) -> datetime | None:
    """When whoever has it is reminded: as declared, else one working day before, else when a quarter of the time is left."""
    if row.due_at is None:
        return None
    whole = row.due_at - row.state_since
    wanted = (declared.remind or Within(working_days=1)).before(row.due_at)
    return wanted if wanted > row.state_since else row.due_at - whole / 4


def _of_subject(subject: str, params: dict) -> dict[str, Any]:
    return {"loop": params["loop"], "case": UUID(subject.partition(":")[2])}


def on_remind(act: Act, subject: str, params: dict) -> None:
    remind(act, **_of_subject(subject, params))


def on_overdue(act: Act, subject: str, params: dict) -> None:
    overdue(act, **_of_subject(subject, params))


@action("loop.remind")
def remind(act: Act, *, loop: str, case: UUID) -> None:
    """Timer: the deadline is near."""
    declared = get(loop)
    row = act.lock(declared.model, case)
    if row.due_at is None or row.closed_at or act.now >= row.due_at:
        return
    _line(act, declared, row, kind=CaseStep.REMIND, to_post=row.post_id)
    subject = declared.subject_of(row)
    stated = act.state(
        CaseReminded(loop=loop, number=row.number, case_state=f"{loop}/{row.state}", post=row.post_id, due_at=row.due_at.isoformat()), subject=subject, region=row.region_id
    )
    if row.post_id:
        work.open(
            act, post=row.post_id, kind=SOON, subject=subject, region=row.region_id, due_at=row.due_at, on_silence="", cause=stated,
            msgid=gettext_noop("Runs out soon: {number} “{title}”, {case_state}"), params=_params(declared, row),
        )


@action("loop.overdue")
def overdue(act: Act, *, loop: str, case: UUID) -> None:
    """Timer: the deadline, or a further period after it, has passed. One post up the line each time, as far as there is one."""
    declared = get(loop)
    row = act.lock(declared.model, case)
    if row.due_at is None or row.closed_at:
        return
    if row.due_provisional and _recount(act, declared, row):
        return
    if act.now < row.due_at:
        due.at(act, row.due_at, "loops.overdue", subject=declared.subject_of(row), loop=loop)
        return
    row.late = True
    up, subject = declared.escalate, declared.subject_of(row)
    line = Post.objects.filter(pk=row.escalated_to_id or row.post_id).values_list("superior_id", flat=True).first() if row.post_id else None
    superior = line if up and row.escalated < up.levels else None
    if superior:
        row.escalated += 1
        row.escalated_to_id = superior
    # Not a new version: whoever has the case open decides on what he sees; it is late, not another.
    row.save(update_fields=["late", "escalated", "escalated_to"])
    fact = new_id()
    _line(act, declared, row, kind=CaseStep.OVERDUE, to_post=superior, due_at=row.due_at, data={"level": row.escalated}, fact=fact)
    stated = act.state(
        CaseOverdue(loop=loop, number=row.number, case_state=f"{loop}/{row.state}", level=row.escalated, post=row.post_id, to_post=superior), subject=subject,
        region=row.region_id, id=fact,
    )
    if superior and up:
        work.open(
            act, post=superior, kind=LATE, subject=subject, region=row.region_id, due_at=None, on_silence="", cause=stated,
            msgid=gettext_noop("Overdue with {post}: {number} “{title}”, {case_state}"), params={**_params(declared, row), "post": str(row.post_id)},
        )
        again = up.every.after(act.now, row)
        if again is not None and again.at > act.now:
            due.at(act, again.at, "loops.overdue", subject=subject, loop=loop)


def _recount(act: Act, declared: Loop, row: CaseRow) -> bool:
    """Count a provisional deadline again by the calendar as it now is; whether it moved into the future."""
    last = CaseStep.plain.filter(case_id=row.pk, kind=CaseStep.STEP, to_state=row.state).order_by("-seq").first()
    if last is None:
        return False
    step = declared.open if last.step == declared.open.name else declared.step.get(last.step)
    limit = step.limit(row) if step else None
    found = limit.after(last.at, row) if limit else None
    if found is None or (found.at == row.due_at and found.provisional == row.due_provisional):
        return False
    before = row.due_at
    if row.first_due_at == before:
        row.first_due_at = found.at
    row.due_at, row.due_provisional = found.at, found.provisional
    row.save(update_fields=["due_at", "first_due_at", "due_provisional"])
    # That a provisional day holds after all is news too: it is stated, although the clock stays where it was.
    was = before.isoformat() if before else ""
    _line(act, declared, row, kind=CaseStep.DEADLINE, due_at=found.at, data={"before": was})
    act.state(CaseDeadlineMoved(loop=declared.name, number=row.number, before=was, due_at=found.at.isoformat()), subject=declared.subject_of(row), region=row.region_id)
    if found.at != before:
        _arm(act, declared, row)
    return found.at > act.now


@action("loop.recount")
def recount(act: Act, *, loop: str, case: UUID) -> None:
    """The calendar of working days has changed: count a provisional deadline again."""
    declared = get(loop)
    row = act.lock(declared.model, case)
    if row.due_provisional and not row.closed_at and not row.escalated:
        _recount(act, declared, row)


# --- comments, files, hands ------------------------------------------------------------------------------------------------


@action("loop.comment")
def comment(act: Act, *, loop: str, case: UUID, text: str, files: list | tuple = ()) -> CaseRow:
    """Write a remark into the timeline. Whoever may read the case may."""
    declared = get(loop)
    row = _find(act, declared, case)
    if not _words(text) and not files:
        raise REASON_NEEDED(fields=[{"field": "text", "why": _("Write something.")}])
    attached = [UUID(str(one)) for one in files]
    if Attachment.plain.filter(realm_id=act.realm.pk, pk__in=attached, subject=declared.subject_of(row)).count() != len(set(attached)):
        raise CASE_FILE(file="")
    fact = new_id()
    _line(act, declared, row, kind=CaseStep.COMMENT, note=_words(text), files=attached, fact=fact)
    act.state(CaseCommented(loop=loop, number=row.number), subject=declared.subject_of(row), region=row.region_id, id=fact)
    return row


def hold(act: Act, *, loop: str, case: UUID, name: str, content: bytes, note: str = "") -> Attachment:
    """Keep an upload for a step of a case, or for the case about to be opened under this key. Nobody can read it before that."""
    name = files.bare(name)
    mime = files.check(name, content)
    return _hold(act, loop=loop, case=case, name=name, mime=mime, size=len(content), sha256=files.store(content), note=note)


@action("loop.hold")
def _hold(act: Act, *, loop: str, case: UUID, name: str, mime: str, size: int, sha256: str, note: str = "") -> Attachment:
    declared = get(loop)
    row = declared.model.plain.filter(pk=case, realm_id=act.realm.pk).first()
    if row is not None:
        _find(act, declared, case)
    elif CaseStep.plain.filter(case_id=case).exists() or not access.may(act.actor, declared.open.may):
        raise NOT_FOUND(kind=declared.one, key=case)
    return files.record(
        act, subject=f"{declared.kind}:{case}", region=row.region_id if row else None, name=name, mime=mime, size=size, sha256=sha256, note=note
    )


@action("loop.assign")
def assign(act: Act, *, loop: str, case: UUID, post: UUID, note: str = "") -> CaseRow:
    """Give the case to another post that may do a next step. Needs the loop's `assign_may`, or one's own post holding the case."""
    declared = get(loop)
    row = _find(act, declared, case)
    if not (declared.assign_may and access.may(act.actor, declared.assign_may, row.region_id, row.organisation_id)):
        if not {row.post_id, row.escalated_to_id} & set(access.posts(act.actor)):
            raise FORBIDDEN(capability=declared.assign_may or "loop.assign")
    elif declared.assign_may:
        access.require(act, declared.assign_may, region=row.region_id, org=row.organisation_id)
    if act.expected_version is not None and act.expected_version != row.version:
        raise STALE(expected=act.expected_version, found=row.version)
    able = posts_that_may({step.may for step in declared.steps_from(row.state)}, row)
    if row.closed_at or post not in able:
        raise NOT_ALLOWED(step=_("Give to another post"), why=_("that post may do none of the next steps here.") if not row.closed_at else _("the case is closed."))
    before, row.post_id = row.post_id, post
    act.save(row)
    fact = new_id()
    _line(act, declared, row, kind=CaseStep.ASSIGN, to_post=post, note=_words(note), fact=fact)
    stated = act.state(CaseAssigned(loop=loop, number=row.number, from_post=before, to_post=post), subject=declared.subject_of(row), region=row.region_id, id=fact)
    _wait(act, declared, row, stated, kinds=(WAITS, SOON))  # what is late with a superior stays with him
    return row


def reopen(act: Act, *, loop: str, case: UUID, data: dict | None = None, files: list | tuple = (), note: str = "") -> CaseRow:
    """Take the loop's reopening step. kernel.no_step when it has none."""
    declared = get(loop)
    if declared.reopen is None:
        raise NO_STEP(one=declared.one, step="reopen")
    return step(act, loop=loop, case=case, step=declared.reopen.name, data=data, files=files, note=note)


# --- what a step opens next ----------------------------------------------------------------------------------------------


def _opens(act: Act, declared: Loop, step: Step, row: CaseRow, data: dict[str, Any]) -> None:
    if callable(step.opens):
        wanted = step.opens(row, data)
        if wanted is None:
            return
        other, given = get(wanted["loop"]), wanted.get("values", {})
    else:
        other, given = get(str(step.opens)), {"title": row.title}
    made = _open(act.child(step=f"opens:{other.name}"), other, {"region": row.region_id, "organisation": row.organisation_id, **given}, [], None, "", trusted=True)
    _line(act, declared, row, kind=CaseStep.COMMENT, data={"opened": other.subject_of(made), "number": made.number})


# --- re-checks -------------------------------------------------------------------------------------------------------------


def pick(population: list[tuple[UUID, float]], seed: str, count: int) -> list[UUID]:
    """`count` keys without replacement, likelier the greater the weight (Efraimidis and Spirakis 2006); the same for the same seed.

    Each key's number in (0, 1) is its hash with the seed, so that the draw can be repeated with pencil and a SHA-256.
    """
    import hashlib

    def rank(key: UUID, weight: float) -> float:
        u = (int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:8], "big") + 0.5) / 2**64
        return -math.log(u) / weight if weight > 0 else math.inf

    return [key for key, weight in sorted(population, key=lambda pair: (rank(*pair), str(pair[0])))[:count] if weight > 0]


@action("loop.draw")
def draw(act: Act, *, loop: str, closed_from: str, closed_to: str) -> RecheckDraw:
    """Draw closed cases of a period for re-checking and open a re-check of each. Needs loops.recheck.

    The seed is made now; seed, population and list are kept and stated in the journal. A period is drawn once.
    """
    declared = get(loop)
    access.require(act, "loops.recheck", region=None)  # everybody's cases: whoever draws answers for the whole
    start, end = datetime.fromisoformat(closed_from), datetime.fromisoformat(closed_to)
    if declared.recheck is None:
        raise NO_DRAW(loop=declared.label)
    if end > act.now:
        raise TOO_EARLY()
    with connection.cursor() as cursor:  # two draws of the same loop wait for one another
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"recheck {act.realm.pk} {loop}"])
    other = RecheckDraw.plain.filter(realm_id=act.realm.pk, loop=loop, closed_from__lt=end, closed_to__gt=start).first()
    if other is not None:
        raise DRAWN(when=f"{clock.local(other.drawn_at):%Y-%m-%d %H:%M}")
    weight = declared.recheck.weight
    rows = {
        row.pk: row for row in declared.model.plain.filter(realm_id=act.realm.pk, loop=loop, closed_at__gte=start, closed_at__lt=end).select_related("region").order_by("id")
    }
    if not rows:
        raise NO_DRAW(loop=declared.label)
    population = [(key, _weight(weight(row) if weight else row.risk)) for key, row in rows.items()]
    seed = secrets.token_hex(16)
    chosen = pick(population, seed, math.ceil(declared.recheck.share * len(population)))
    listed = [[str(key), value] for key, value in population]
    digest = journal._hash(journal.canonical(listed))
    made = act.create(
        RecheckDraw, loop=loop, closed_from=start, closed_to=end, seed=seed, share=declared.recheck.share, population=listed, digest=digest, chosen=chosen, drawn_at=act.now,
        drawn_by=act.actor.person_id,
    )
    stated = act.state(
        RechecksDrawn(loop=loop, closed_from=closed_from, closed_to=closed_to, seed=seed, population=len(population), digest=digest, chosen=[str(key) for key in chosen]),
        subject=f"loop:{loop}",
    )
    again = get("kernel.recheck")
    for key in chosen:
        row = rows[key]
        case = Recheck(draw=made, of_loop=loop, of_case=key, of_number=row.number)
        _recheck(act.child(cause=stated, step=f"recheck:{key}"), again, case, row)
    return made


def _recheck(act: Act, again: Loop, case: Recheck, row: CaseRow) -> None:
    case.pk, case.realm_id, case.loop = derived_id("recheck", case.draw_id, row.pk), act.realm.pk, again.name
    case.title, case.region_id, case.organisation_id, case.lon, case.lat = row.title, row.region_id, row.organisation_id, row.lon, row.lat
    case.number, case.opened_at, case.opened_by = _number(act, again), act.now, act.actor.person_id
    _move(act, again, again.open, case, {}, [], "", act.now, made=True)


def _arm_draw(act: Act, declared: Loop, row: CaseRow) -> None:
    """The month's draw, on the first of the next month at 08:00 local time. Looked for first: a hundred closings share one row."""
    from ..models import Due

    subject = f"loop:{declared.name}"
    if not Due.objects.filter(realm_id=act.realm.pk, timer="loops.draw", subject=subject).exists():
        today = clock.local(act.now)
        first = (today.replace(day=1) + timedelta(days=32)).replace(day=1, hour=8, minute=0, second=0, microsecond=0)
        due.at(act, first, "loops.draw", subject=subject)


def on_draw(act: Act, subject: str, params: dict) -> None:
    """Timer: draw the month that has ended, unless a person has done so."""
    end = clock.local(act.realm.time()).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = (end - timedelta(days=1)).replace(day=1)
    try:
        draw(act, loop=subject.partition(":")[2], closed_from=start.isoformat(), closed_to=end.isoformat())
    except Problem as problem:
        if problem.kind not in (DRAWN, NO_DRAW):
            raise
