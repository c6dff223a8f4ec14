"""Reading cases with access: the board, a case with its timeline, and which steps its reader may take now."""
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from .. import access, clock, files, realms, shell
from ..actions import Actor
from ..errors import NOT_FOUND, WRONG_REALM, Problem
from ..models import Attachment, CaseRow, CaseStep
from . import actions, holidays, values
from .declare import LOOPS, Loop, Step, get

CARDS = 12  # of each column of the board


def readable(actor: Actor) -> list[Loop]:
    """The loops the actor may read anywhere, or has cases of."""
    return [one for one in LOOPS.values() if access.may(actor, one.read)]


def cases(actor: Actor, realm: Any, declared: Loop) -> QuerySet:
    """The cases of a loop this actor may read in this realm."""
    return declared.model.objects.seen_by(actor, realm).filter(loop=declared.name)


def find(actor: Actor, realm: Any, key: UUID) -> tuple[Loop, CaseRow]:
    """A case and its loop. kernel.not_found; kernel.wrong_realm for a case of actual operations looked for in an exercise."""
    name = CaseStep.plain.filter(case_id=key, seq=1, realm_id=getattr(realm, "pk", realm)).values_list("loop", flat=True).first()
    if name in LOOPS:
        declared = LOOPS[name]
        row = cases(actor, realm, declared).select_related("post__organisation", "escalated_to__organisation", "organisation", "region", "realm").filter(pk=key).first()
        if row is not None:
            return declared, row
    # What is drilled in an exercise is kept in actual operations, and lists of both lead to it. Of exercises nothing is said: some are secret.
    actual = realms.actual()
    if getattr(realm, "pk", realm) != actual.pk:
        name = CaseStep.plain.filter(case_id=key, seq=1, realm_id=actual.pk).values_list("loop", flat=True).first()
        if name in LOOPS and cases(actor, actual, LOOPS[name]).filter(pk=key).exists():
            raise WRONG_REALM()
    raise NOT_FOUND(kind=_("case"), key=str(key)[-6:])


# --- what may be done -----------------------------------------------------------------------------------------------------


@dataclass
class Choice:
    """A step from the present state; `why` says why this reader may not take it, empty when he may."""

    step: Step
    why: str = ""
    code: str = ""
    next_label: str = ""
    next_post: str = ""
    due_at: datetime | None = None
    provisional: bool = False
    final: bool = False

    @property
    def due_words(self) -> str:
        return day_words(self.due_at)


class _Unasked(dict):
    """The form nobody has filled in yet: a guard that looks into it cannot be answered before."""

    def __getitem__(self, key: Any) -> Any:
        raise LookupError(key)

    def get(self, key: Any, default: Any = None) -> Any:
        raise LookupError(key)

    __contains__ = __getitem__  # type: ignore[assignment]


def choices(actor: Actor, declared: Loop, row: CaseRow) -> list[Choice]:
    """Every step from the case's state, with what it leads to, or why the reader may not take it. Rights he lacks altogether are left out."""
    found = []
    done = actions.doers(row)
    over = row.realm.is_over
    for step in sorted(declared.steps_from(row.state), key=lambda one: one.danger):  # what cannot be taken back stands last
        choice = Choice(step, next_label=declared.state_label(step.to), final=declared.state[step.to].final)
        try:
            actions.check(declared, step, row, actor, done)
            why = _guarded(step, row)
            if why:
                choice.why, choice.code = why, "kernel.case_not_allowed"
        except Problem as problem:
            if problem.kind.code == "kernel.forbidden":
                continue
            choice.why, choice.code = problem.message, problem.kind.code
        if over:
            choice.why, choice.code = _("The exercise has ended."), "kernel.exercise_over"
        if not choice.why:
            _outlook(declared, step, row, choice)
        found.append(choice)
    return found


def _guarded(step: Step, row: CaseRow) -> str:
    """The guard's answer before the form is filled in; empty when it depends on the form."""
    if step.guard is None:
        return ""
    try:
        return str(step.guard(row, _Unasked()) or "")
    except Exception:
        return ""


def _outlook(declared: Loop, step: Step, row: CaseRow, choice: Choice) -> None:
    """What pressing the button leads to: who has it then, and until when, as far as that is known before the form is filled in."""
    now = clock.now(row.realm)
    if choice.final:
        return
    try:
        limit = step.limit(row)
        if limit is not None and not limit.field:
            found = limit.after(now, row)
            if found is not None:
                choice.due_at, choice.provisional = found.at, found.provisional
        post = actions.next_post(declared, step, row)
    except Exception:
        return  # a declaration's function that needs the form's values
    choice.next_post = shell.post_name(post) if post else ""


# --- the timeline -----------------------------------------------------------------------------------------------------------


@dataclass
class Line:
    """A line of the timeline in words."""

    row: CaseStep
    what: str
    who: str
    data: list[tuple[str, str]] = field(default_factory=list)
    files: list[Attachment] = field(default_factory=list)
    late: bool = False
    to_label: str = ""


def timeline(actor: Actor, declared: Loop, row: CaseRow, opened: frozenset[str] = frozenset()) -> list[Line]:
    """Every line of a case the actor may read, the newest first."""
    rows = list(CaseStep.objects.of(row.realm_id).filter(case_id=row.pk).order_by("-seq"))
    kept = {file.pk: file for file in files.of(actor, row.realm, declared.subject_of(row))}
    found = []
    for line in rows:
        who = " ".join(filter(None, (shell.post_name(line.post) if line.post else "", shell.person_name(line.person)))) or _("system")
        data = _data(actor, declared, row, line, opened)
        found.append(Line(line, _what(declared, line), who, data, [kept[key] for key in line.files if key in kept], line.on_time is False or line.kind == CaseStep.OVERDUE, declared.state_label(line.to_state)))
    return found


def _what(declared: Loop, line: CaseStep) -> str:
    if line.kind == CaseStep.STEP:
        return declared.step_label(line.step)
    post = shell.post_name(line.to_post) if line.to_post else ""
    return {
        CaseStep.COMMENT: _("Opened {number}").format(number=line.data.get("number", "")) if line.data.get("opened") else _("Remark"),
        CaseStep.ASSIGN: _("Given to {post}").format(post=post),
        CaseStep.REMIND: _("Reminded {post}").format(post=post),
        CaseStep.OVERDUE: _("Overdue; gone up to {post}").format(post=post) if post else _("Overdue; no post further up"),
        CaseStep.DEADLINE: _("Deadline counted again"),
    }[line.kind]


def _data(actor: Actor, declared: Loop, row: CaseRow, line: CaseStep, opened: frozenset[str]) -> list[tuple[str, str]]:
    if line.kind != CaseStep.STEP:
        return []
    step = declared.open if line.step == declared.open.name else declared.step.get(line.step)
    return values.shown(declared, step, line.data, actor, row, opened)


@dataclass
class Fact:
    """A field of the case as its page shows it."""

    name: str
    label: str
    text: str
    masked: bool = False
    lines: bool = False


def facts(actor: Actor, declared: Loop, row: CaseRow, opened: frozenset[str] = frozenset()) -> list[Fact]:
    """The case's own fields that say something; personal ones masked unless `opened`."""
    from ..registers.values import empty, mask, of, text

    found = []
    for item in declared.fields_bound:
        value = of(item, row)
        if empty(value) or item.name == "title" or not item.asked({one.name: of(one, row) for one in declared.fields_bound if one.kind != "point"}):
            continue
        hidden = item.personal is not None and item.name not in opened
        if not hidden and item.read and not access.may(actor, item.read, row.region_id, row.organisation_id):
            continue
        found.append(Fact(item.name, item.title, mask(item.personal, value) if hidden else text(item, row), hidden, item.kind == "longtext"))
    return found


def may_open(actor: Actor, declared: Loop, row: CaseRow) -> frozenset[str]:
    """The personal fields of the case and its steps this reader may have shown, for a purpose."""
    every = [*declared.fields_bound, *(item for step in (declared.open, *declared.step.values()) for item in declared.form_of(step))]
    return frozenset(item.name for item in every if item.personal and access.may(actor, item.read or declared.read, row.region_id, row.organisation_id))


# --- lists ------------------------------------------------------------------------------------------------------------------


@dataclass
class Column:
    """A state on the board: how many cases, how many of them overdue, and the first ones."""

    name: str
    label: str
    final: bool
    count: int = 0
    overdue: int = 0
    cards: list[CaseRow] = field(default_factory=list)

    @property
    def more(self) -> int:
        return self.count - len(self.cards)


FILTERS = ("source", "organisation", "region", "mine", "late")


def chosen(actor: Actor, rows: QuerySet, params: dict[str, str]) -> QuerySet:
    """The board's filters: source, unit, region (with what lies in it), mine, late. Nonsense filters nothing."""
    from ..models import RegionPath

    if params.get("source"):
        rows = rows.filter(source=params["source"])
    for name in ("organisation", "region"):
        try:
            key = UUID(params.get(name, ""))
        except ValueError:
            continue
        rows = rows.filter(organisation_id=key) if name == "organisation" else rows.filter(region_id__in=RegionPath.objects.filter(ancestor_id=key).values("descendant_id"))
    if params.get("mine"):
        posts = access.posts(actor)
        rows = rows.filter(Q(post_id__in=posts) | Q(escalated_to_id__in=posts))
    if params.get("late"):
        rows = rows.filter(late=True)
    return rows


def board(actor: Actor, realm: Any, declared: Loop, params: dict[str, str] | None = None) -> list[Column]:
    """One column for each state, overdue first, then what runs out first. Final states show what was closed in the last 30 days."""
    now = clock.now(realm)
    rows = chosen(actor, cases(actor, realm, declared), params or {}).filter(Q(closed_at=None) | Q(closed_at__gte=now - timedelta(days=30)))
    columns = {state.name: Column(state.name, str(state.label), state.final) for state in declared.states}
    for state, count, overdue in rows.values("state").annotate(n=Count("id"), late_now=Count("id", filter=Q(due_at__lt=now))).values_list("state", "n", "late_now"):
        column = columns.setdefault(state, Column(state, state, False))
        column.count, column.overdue = count, overdue
    order = [F("due_at").asc(nulls_last=True), F("closed_at").desc(nulls_last=True), F("opened_at").desc()]
    # The name is ours alone: a loop's model has fields of its own, and one of them is called `place`.
    ranked = rows.annotate(nth_of_board=Window(RowNumber(), partition_by=[F("state")], order_by=order)).filter(nth_of_board__lte=CARDS)
    for row in ranked.select_related("post__organisation", "organisation", "region").defer("region__area_wkb").order_by("state", "nth_of_board"):
        columns[row.state].cards.append(row)
    return list(columns.values())


def counts(actor: Actor, realm: Any, declared: Loop) -> dict[str, int]:
    """Open, overdue, mine and closed in the last 30 days: for the index of loops."""
    now, posts = clock.now(realm), access.posts(actor)
    still = Q(closed_at=None)
    return cases(actor, realm, declared).aggregate(
        open=Count("id", filter=still), overdue=Count("id", filter=still & Q(due_at__lt=now)), mine=Count("id", filter=still & (Q(post_id__in=posts) | Q(escalated_to_id__in=posts))),
        closed=Count("id", filter=Q(closed_at__gte=now - timedelta(days=30))),
    )


def day_words(at: datetime | None) -> str:
    """A deadline as a person writes it: the day alone when it runs to the day's end."""
    if at is None:
        return ""
    here = clock.local(at)
    return f"{here:%Y-%m-%d}" if (here.hour, here.minute) == (23, 59) else f"{here:%Y-%m-%d %H:%M}"


def left(row: CaseRow, now: datetime) -> dict[str, Any]:
    """The countdown of a case: working days and hours left, or over."""
    if row.due_at is None:
        return {}
    seconds = (row.due_at - now).total_seconds()
    return {"seconds": seconds, "over": seconds < 0, "words": day_words(row.due_at), "days": abs(holidays.working_days_between(now, row.due_at)), "hours": abs(seconds) / 3600, "provisional": row.due_provisional}


def as_json(actor: Actor, declared: Loop, row: CaseRow, *, steps: bool = False) -> dict[str, Any]:
    """A case for the API and the phone: its fields as the reader may see them, and with `steps` what he may do now."""
    from ..registers.values import mask, of, plain

    fields = {}
    for item in declared.fields_bound:
        value = plain(of(item, row))
        if item.personal:
            value = mask(item.personal, value)
        elif item.read and not access.may(actor, item.read, row.region_id, row.organisation_id):
            continue
        fields[item.name] = value
    found = {
        "id": str(row.pk), "loop": declared.name, "number": row.number, "title": row.title, "state": row.state, "state_label": declared.state_label(row.state),
        "since": plain(row.state_since), "due_at": plain(row.due_at), "due_provisional": row.due_provisional, "first_due_at": plain(row.first_due_at), "late": row.late,
        "post": plain(row.post_id), "escalated": row.escalated, "escalated_to": plain(row.escalated_to_id), "organisation": plain(row.organisation_id), "region": plain(row.region_id),
        "lon": row.lon, "lat": row.lat, "source": row.source, "opened_at": plain(row.opened_at), "closed_at": plain(row.closed_at), "reopened": row.reopened,
        "version": row.version, "subject": declared.subject_of(row), "fields": fields,
    }
    if steps:
        found["steps"] = [
            {"name": choice.step.name, "label": str(choice.step.label), "legal": not choice.why, "why": choice.why, "code": choice.code, "to": choice.step.to, "due_at": plain(choice.due_at)}
            for choice in choices(actor, declared, row)
        ]
    return found


def case_of(subject: str) -> tuple[Loop, UUID] | None:
    """The loop and key behind a subject of a case, or None."""
    kind, _sep, key = subject.partition(":")
    try:
        name = CaseStep.plain.filter(case_id=UUID(key), seq=1).values_list("loop", flat=True).first()
    except ValueError:
        return None
    return (get(name), UUID(key)) if name in LOOPS and LOOPS[name].kind == kind else None
