"""The shift (值班): who is on duty, swaps, the log, and the signed hand-over of what is open."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from anlan.engines.text import document_tokens

from . import access, clock, journal, parties, realms, sheets, work
from .actions import Act, action
from .errors import FORBIDDEN, ILLEGAL_STEP, INVALID, NOT_FOUND, SAME_PERSON, Kind
from .facts import HandOverSigned, HandOverWritten, RosterChanged, RosterImported, ShiftNoted, SwapAnswered, SwapAsked
from .models import HandOver, Order, Person, Post, RosterEntry, ShiftNote, Swap, WorkItem
from .registers.actions import tsvector

OVERLAP = Kind("shift.overlap", 409, _("{person} is on the roster in this role from {start} to {end} already. Change that entry first."))
NOT_YOURS = Kind("shift.not_yours", 403, _("Only the person on duty can ask for a swap, and only the person asked can accept it."))
NOT_HOLDING = Kind("shift.not_holding", 409, _("{person} does not hold this post at that time and cannot take it over."))
CHANGED_SINCE = Kind("shift.changed_since", 409, _("The hand-over was changed after it was written; write a new one."))

# Who answers first when a post is called.
ORDER = {RosterEntry.A: 0, RosterEntry.B: 1, RosterEntry.LEADER: 2}


# --- who is on duty ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Duty:
    """A person on duty: from the roster (`entry`), or, where the roster is empty, because he holds the post."""

    person: Person
    role: str
    until: datetime | None
    entry: RosterEntry | None = None


def _roster(realm: Any, post_id: Any, at: datetime) -> list[RosterEntry]:
    return list(RosterEntry.objects.of(realm).filter(post_id=post_id, starts_at__lte=at, ends_at__gt=at, person__active=True).select_related("person"))


def on_duty(post: Any, at: datetime | None = None, realm: Any = None) -> list[Duty]:
    """Who answers for a post at an instant, in the order to be called: A, B, then the leader in charge.

    A realm that has no roster of its own (a replay) uses the actual one; a post without a roster is answered by who holds it.
    """
    post_id = getattr(post, "pk", post)
    realm = realm or realms.actual()
    at = at or clock.now(realm)
    entries = _roster(realm, post_id, at)
    if not entries and not realm.is_actual and not RosterEntry.objects.of(realm).exists():
        entries = _roster(realms.actual(), post_id, at)
    if entries:
        return [Duty(entry.person, entry.role, entry.ends_at, entry) for entry in sorted(entries, key=lambda entry: (ORDER[entry.role], entry.starts_at))]
    # Assignments hold in wall time: an exercise or a replay gives nobody a post.
    return [Duty(row.person, row.role, row.ends_at) for row in parties.holders(post_id)]


def leader(post: Any, at: datetime | None = None, realm: Any = None) -> Person | None:
    """The leader in charge (带班领导) of a post's shift; None when the roster names none."""
    return next((duty.person for duty in on_duty(post, at, realm) if duty.role == RosterEntry.LEADER), None)


def roster(actor: Any, realm: Any, since: datetime, until: datetime) -> QuerySet[RosterEntry]:
    """The entries of a span that this actor may see."""
    rows = RosterEntry.objects.seen_by(actor, realm).filter(starts_at__lt=until, ends_at__gt=since)
    return rows.select_related("person", "post__organisation", "region").order_by("starts_at", "post__name", "role")


# --- roster --------------------------------------------------------------------------------------------------------------


def _check(act: Act, key: UUID | None, post_id: Any, person: Person, role: str, starts_at: datetime, ends_at: datetime) -> None:
    if role not in ORDER:
        raise INVALID([{"field": "role", "why": ", ".join(ORDER)}])
    if ends_at <= starts_at:
        raise INVALID([{"field": "ends_at", "why": str(_("must be after the start"))}])
    if ends_at - starts_at > timedelta(days=31):
        raise INVALID([{"field": "ends_at", "why": str(_("a shift lasts at most 31 days"))}])
    clash = RosterEntry.objects.of(act.realm).filter(post_id=post_id, role=role, starts_at__lt=ends_at, ends_at__gt=starts_at).exclude(pk=key).select_related("person").first()
    if clash is not None:
        raise OVERLAP(person=clash.person.name, start=_short(clash.starts_at), end=_short(clash.ends_at))
    if not person.active:
        raise NOT_HOLDING(person=person.name)


def _short(at: datetime) -> str:
    return f"{clock.local(at):%m-%d %H:%M}"


@action("shift.save_duty")
def save_duty(act: Act, *, key: UUID | None = None, post: UUID, person: UUID, role: str = "A", starts_at: datetime, ends_at: datetime, note: str = "") -> RosterEntry:
    """Put a person on the roster, or change an entry. Needs shift.manage in the post's region. shift.overlap."""
    place = _post(post)
    access.require(act, "shift.manage", region=place.region_id)
    natural = _person(person)
    _check(act, key, post, natural, role, starts_at, ends_at)
    values = {"post_id": post, "region_id": place.region_id, "person_id": person, "role": role, "starts_at": starts_at, "ends_at": ends_at, "note": note.strip()}
    if key is None:
        row = act.create(RosterEntry, **values)
    else:
        row = act.lock(RosterEntry, key)
        access.require(act, "shift.manage", region=row.region_id)
        for name, value in values.items():
            setattr(row, name, value)
        act.save(row)
    act.state(RosterChanged(entry=row.pk, post=post, person=person, role=role, change="new" if key is None else "changed"), about=row)
    return row


@action("shift.remove_duty")
def remove_duty(act: Act, *, entry: UUID) -> None:
    """Take an entry that has not begun off the roster."""
    row = act.lock(RosterEntry, entry)
    access.require(act, "shift.manage", region=row.region_id)
    if row.starts_at <= act.now:
        raise ILLEGAL_STEP(state=_short(row.starts_at))
    for swap in Swap.objects.of(act.realm).filter(Q(entry=row) | Q(in_return=row)):
        if swap.state == Swap.ASKED:
            work.close(act, kind="shift.swap", subject=f"swap:{swap.pk}", outcome="overtaken")
        swap.delete()
    act.state(RosterChanged(entry=row.pk, post=row.post_id, person=row.person_id, role=row.role, change="removed"), about=row)
    row.delete()


def _post(key: Any) -> Post:
    row = Post.objects.filter(pk=key, active=True).first()
    if row is None:
        raise NOT_FOUND(kind=_("post"), key=key)
    return row


def _person(key: Any) -> Person:
    row = Person.objects.filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("person"), key=key)
    return row


def copy_roster(act: Act, source: Any) -> int:
    """What is still to come of a realm's roster, into the realm of the act."""
    rows = [
        RosterEntry(
            realm_id=act.realm.pk, post_id=row.post_id, region_id=row.region_id, person_id=row.person_id, role=row.role, starts_at=row.starts_at,
            ends_at=row.ends_at, note=row.note,
        )
        for row in RosterEntry.objects.of(source).filter(ends_at__gt=clock.now())
    ]
    RosterEntry.objects.bulk_create(rows)
    return len(rows)


realms.copies("rosters", copy_roster)


# --- import from a spreadsheet ---------------------------------------------------------------------------------------------

COLUMNS = {
    "post": ("岗位", "post"), "organisation": ("单位", "organisation"), "role": ("角色", "role"), "name": ("姓名", "name"),
    "start": ("开始", "start"), "end": ("结束", "end"), "note": ("备注", "note"),
}
ROLE_WORDS = {"带班领导": "leader", "带班": "leader", "leader": "leader", "a": "A", "a角": "A", "主班": "A", "b": "B", "b角": "B", "副班": "B"}


def template_sheet(watermark: str) -> bytes:
    """An empty roster sheet with its columns and one example row."""
    example = ["甲县应急管理局", "值班员", "A", "张三", "2026-07-20 08:00", "2026-07-21 08:00", ""]
    return sheets.write("值班表", ["单位", "岗位", "角色", "姓名", "开始", "结束", "备注"], [example], watermark=watermark)


def _moment(value: Any) -> datetime:
    zone = ZoneInfo(settings.TIME_ZONE_LOCAL)
    if isinstance(value, datetime):
        return value.replace(tzinfo=zone)
    text = str(value or "").strip().replace("/", "-").replace("T", " ").replace("：", ":")
    for shape in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"):
        try:
            return datetime.strptime(text, shape).replace(tzinfo=zone)
        except ValueError:
            continue
    raise ValueError(text)


def read_roster(content: bytes, actor: Any) -> list[dict[str, Any]]:
    """The entries of a roster sheet: [{post, person, role, starts_at, ends_at, note, row}]. Posts and persons are looked for
    among those the actor may put on a roster. Every wrong row is named: kernel.row_errors.
    """
    rows = sheets.read(content)
    head_at = next((i for i, row in enumerate(rows[:5]) if {"姓名", "name"} & {str(cell or "").strip().lower() for cell in row}), None)
    if head_at is None:
        raise sheets.BAD_SHEET(why=_("no row has the column heads 岗位, 角色, 姓名, 开始, 结束"))
    heads = [str(cell or "").strip().lower() for cell in rows[head_at]]
    at = {key: next((heads.index(word) for word in words if word in heads), None) for key, words in COLUMNS.items()}
    missing = [COLUMNS[key][0] for key in ("post", "role", "name", "start", "end") if at[key] is None]
    if missing:
        raise sheets.BAD_SHEET(why=str(_("columns are missing: {names}")).format(names="、".join(missing)))
    posts = parties.seen_by(actor, Post, "shift.manage").filter(active=True).select_related("organisation")
    people = parties.seen_by(actor, Person, "shift.manage").filter(active=True)
    wrong: list[dict[str, str]] = []
    found: list[dict[str, Any]] = []
    for number, cells in enumerate(rows[head_at + 1 :], head_at + 2):
        value = {key: cells[i] if i is not None and i < len(cells) else None for key, i in at.items()}
        if not any(str(cell or "").strip() for cell in value.values()):
            continue

        def bad(key: str, why: Any, number: int = number) -> None:
            wrong.append({"field": str(_("row {row}, {column}")).format(row=number, column=COLUMNS[key][0]), "why": str(why)})

        text = {key: str(cell or "").strip() for key, cell in value.items()}
        entry: dict[str, Any] = {"row": number, "note": text["note"][:160]}
        named = posts.filter(name=text["post"])
        if text["organisation"]:
            named = named.filter(organisation__name=text["organisation"])
        for key, rows_named in (("post", list(named[:2])), ("name", list(people.filter(name=text["name"])[:2]))):
            if not rows_named:
                bad(key, str(_("“{text}” is not known here")).format(text=text[key]))
            elif len(rows_named) > 1 and key == "name" and entry.get("post"):
                of_unit = [p for p in people.filter(name=text["name"]) if p.organisation_id == entry["post"].organisation_id]
                if len(of_unit) == 1:
                    entry["person"] = of_unit[0]
                else:
                    bad(key, str(_("several are called “{text}”")).format(text=text[key]))
            elif len(rows_named) > 1:
                bad(key, str(_("several are called “{text}”; fill in 单位")).format(text=text[key]))
            else:
                entry["post" if key == "post" else "person"] = rows_named[0]
        role = ROLE_WORDS.get(text["role"].lower())
        if role is None:
            bad("role", _("must be 带班领导, A or B"))
        entry["role"] = role
        for key, target in (("start", "starts_at"), ("end", "ends_at")):
            try:
                entry[target] = _moment(value[key])
            except ValueError:
                bad(key, _("write date and time as 2026-07-20 08:00"))
        if "starts_at" in entry and "ends_at" in entry and entry["ends_at"] <= entry["starts_at"]:
            bad("end", _("must be after the start"))
        found.append(entry)
    if not wrong:
        for i, one in enumerate(found):
            for other in found[:i]:
                if (one["post"], one["role"]) == (other["post"], other["role"]) and one["starts_at"] < other["ends_at"] and other["starts_at"] < one["ends_at"]:
                    wrong.append({"field": str(_("row {row}")).format(row=one["row"]), "why": str(_("overlaps with row {row}")).format(row=other["row"])})
    if wrong:
        raise sheets.ROW_ERRORS(count=len(wrong), fields=wrong[:200])
    return found


def import_roster(act: Act, content: bytes) -> dict[str, int]:
    """Take a roster sheet over, wholly or not at all; the same sheet again changes nothing. {"new", "changed", "same"}."""
    entries = read_roster(content, act.actor)
    plain = [
        {"post": e["post"].pk, "person": e["person"].pk, "role": e["role"], "starts_at": e["starts_at"], "ends_at": e["ends_at"], "note": e["note"]} for e in entries
    ]
    return take_roster(act, digest="sha256:" + hashlib.sha256(content).hexdigest(), entries=plain)


@action("shift.import_roster")
def take_roster(act: Act, *, digest: str, entries: list) -> dict:
    """Enter a batch of duties, known again by post, role and start. Needs shift.manage in each post's region."""
    counts = {"new": 0, "changed": 0, "same": 0}
    for item in entries:
        place = _post(item["post"])
        access.require(act, "shift.manage", region=place.region_id)
        row = RosterEntry.objects.of(act.realm).filter(post=place, role=item["role"], starts_at=item["starts_at"]).first()
        _check(act, row.pk if row else None, place.pk, _person(item["person"]), item["role"], item["starts_at"], item["ends_at"])
        values = {"person_id": item["person"], "ends_at": item["ends_at"], "note": item["note"]}
        if row is None:
            act.create(RosterEntry, post=place, region_id=place.region_id, role=item["role"], starts_at=item["starts_at"], **values)
            counts["new"] += 1
        elif any(getattr(row, name) != value for name, value in values.items()):
            for name, value in values.items():
                setattr(row, name, value)
            act.save(row)
            counts["changed"] += 1
        else:
            counts["same"] += 1
    act.state(RosterImported(digest=digest, **counts), subject=f"roster:{digest[-16:]}")
    return counts


# --- swaps ---------------------------------------------------------------------------------------------------------------


def _may_take(person: Person, post_id: Any, at: datetime) -> bool:
    return person.active and any(row.person_id == person.pk for row in parties.holders(post_id, at))


@action("shift.ask_swap")
def ask_swap(act: Act, *, entry: UUID, asked_of: UUID, in_return: UUID | None = None, reason: str = "") -> Swap:
    """Ask another holder of the post to take over a duty of one's own, perhaps against one of his. shift.not_yours, shift.not_holding."""
    row = act.lock(RosterEntry, entry)
    if row.person_id != act.actor.person_id:
        raise NOT_YOURS()
    if row.starts_at <= act.now:
        raise ILLEGAL_STEP(state=_short(row.starts_at))
    other = _person(asked_of)
    if other.pk == row.person_id:
        raise SAME_PERSON()
    if not _may_take(other, row.post_id, row.starts_at):
        raise NOT_HOLDING(person=other.name)
    if in_return is not None:
        back = RosterEntry.objects.of(act.realm).filter(pk=in_return, post_id=row.post_id, person_id=asked_of, starts_at__gt=act.now).first()
        if back is None:
            raise NOT_FOUND(kind=_("duty"), key=in_return)
    if Swap.objects.of(act.realm).filter(entry=row, state=Swap.ASKED).exists():
        raise ILLEGAL_STEP(state=Swap.ASKED)
    swap = act.create(
        Swap, entry=row, post_id=row.post_id, region_id=row.region_id, asked_by_id=row.person_id, asked_of=other, in_return_id=in_return, reason=reason.strip(), asked_at=act.now
    )
    stated = act.state(SwapAsked(swap=swap.pk, entry=row.pk, asked_of=other.pk), about=swap)
    work.open(
        act, post=row.post_id, kind="shift.swap", subject=f"swap:{swap.pk}", region=row.region_id, cause=stated, due_at=row.starts_at, on_silence="",
        msgid=gettext_noop("{asker} asks {asked} to take over the duty of {start}"),
        params={"asker": row.person.name, "asked": other.name, "start": _short(row.starts_at)},
    )
    return swap


@action("shift.answer_swap")
def answer_swap(act: Act, *, swap: UUID, accept: bool) -> Swap:
    """Accept or refuse a swap one was asked for; the asker may take it back (accept false). An accepted one changes the roster."""
    row = act.lock(Swap, swap)
    if row.state != Swap.ASKED:
        raise ILLEGAL_STEP(state=row.state)
    me = act.actor.person_id
    if me is None or (accept and me != row.asked_of_id) or me not in (row.asked_of_id, row.asked_by_id):
        raise NOT_YOURS()
    row.state = Swap.ACCEPTED if accept else Swap.REFUSED if me == row.asked_of_id else Swap.WITHDRAWN
    row.answered_at = act.now
    if accept:
        entry = act.lock(RosterEntry, row.entry_id, check_version=False)
        if entry.person_id != row.asked_by_id or entry.starts_at <= act.now:
            raise ILLEGAL_STEP(state=_short(entry.starts_at))
        if not _may_take(row.asked_of, entry.post_id, entry.starts_at):
            raise NOT_HOLDING(person=row.asked_of.name)
        pairs = [(entry, row.asked_of_id)]
        if row.in_return_id:
            back = act.lock(RosterEntry, row.in_return_id, check_version=False)
            if back.person_id != row.asked_of_id or back.starts_at <= act.now:
                raise ILLEGAL_STEP(state=_short(back.starts_at))
            pairs.append((back, row.asked_by_id))
        for changed, person in pairs:
            changed.person_id = person
            act.save(changed)
            act.state(RosterChanged(entry=changed.pk, post=changed.post_id, person=person, role=changed.role, change="swapped"), about=changed)
    act.save(row)
    act.state(SwapAnswered(swap=row.pk, entry=row.entry_id, state=row.state), about=row)
    work.close(act, kind="shift.swap", subject=f"swap:{row.pk}", outcome=row.state)
    return row


# --- the log -------------------------------------------------------------------------------------------------------------


@action("shift.note")
def note(act: Act, *, post: UUID, text: str, at: datetime | None = None, corrects: UUID | None = None) -> ShiftNote:
    """Write a line into the shift log of a post; a wrong line is corrected by a further one that names it."""
    place = _post(post)
    if place.pk not in access.posts(act.actor):
        access.require(act, "shift.log", region=place.region_id)
    if not text.strip():
        raise INVALID([{"field": "text", "why": str(_("is missing"))}])
    if corrects is not None and not ShiftNote.objects.of(act.realm).filter(pk=corrects, post=place).exists():
        raise NOT_FOUND(kind=_("line"), key=corrects)
    row = act.create(
        ShiftNote, post=place, region_id=place.region_id, person_id=act.actor.person_id, at=at or act.now, text=text.strip()[:4000], corrects_id=corrects,
        words=tsvector(document_tokens(text.strip()[:2000])),
    )
    act.state(ShiftNoted(note=row.pk, post=place.pk, text=row.text), about=row)
    return row


# --- hand-over -------------------------------------------------------------------------------------------------------------

# Other rooms add what a hand-over must list (open alerts …): function(realm, post) → [{kind, subject, text, since, due}].
LISTS: list[Callable[[Any, Post], list[dict[str, Any]]]] = []


def lists_open(function: Callable[[Any, Post], list[dict[str, Any]]]) -> Callable:
    """Register a room's list of what is open for the shift hand-over; call it in `apps.ready()`."""
    if function not in LISTS:
        LISTS.append(function)
    return function


def _iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""


def open_items(realm: Any, post: Post) -> list[dict[str, Any]]:
    """What is open at a post: work items, orders, and what other rooms list. Sentences in Chinese and as msgid with params."""
    items: list[dict[str, Any]] = []
    for item in WorkItem.objects.of(realm).filter(post=post, state=WorkItem.OPEN).order_by("due_at", "since"):
        items.append({"kind": "work", "subject": item.subject, "msgid": item.msgid, "params": item.params, "level": item.level, "since": _iso(item.since), "due": _iso(item.due_at)})
    for order in Order.objects.of(realm).filter(Q(post=post) | Q(escalated_to=post), state__in=Order.OPEN_STATES).order_by("due_at", "issued_at"):
        items.append({"kind": "order", "subject": f"order:{order.pk}", "text": order.text, "state": order.state, "since": _iso(order.issued_at), "due": _iso(order.due_at)})
    for function in LISTS:
        items += function(realm, post)
    return items


def _digest(items: list, remarks: str) -> str:
    return "sha256:" + hashlib.sha256(journal.canonical({"items": items, "remarks": remarks})).hexdigest()


@action("shift.write_hand_over")
def write_hand_over(act: Act, *, post: UUID, taken_by: UUID, remarks: str = "") -> HandOver:
    """Write the hand-over of a post: what is open now is frozen in it. Both persons then sign this same text."""
    place = _post(post)
    if act.actor.person_id is None:
        raise FORBIDDEN(capability="shift.log")
    if place.pk not in access.posts(act.actor):
        access.require(act, "shift.log", region=place.region_id)
    other = _person(taken_by)
    if other.pk == act.actor.person_id:
        raise SAME_PERSON(fields=[{"field": "taken_by", "why": str(_("must be another person"))}])
    if not _may_take(other, place.pk, clock.now()) and other.pk not in {duty.person.pk for duty in on_duty(place, act.now + timedelta(hours=1), act.realm)}:
        raise NOT_HOLDING(person=other.name)
    for old in HandOver.objects.of(act.realm).filter(post=place, state=HandOver.WRITTEN):
        old.state = HandOver.WITHDRAWN
        act.save(old)
    items = open_items(act.realm, place)
    digest = _digest(items, remarks.strip())
    row = act.create(
        HandOver, post=place, region_id=place.region_id, given_by_id=act.actor.person_id, taken_by=other, written_at=act.now, items=items, digest=digest, remarks=remarks.strip()
    )
    act.state(HandOverWritten(hand_over=row.pk, post=place.pk, items=len(items), digest=digest), about=row)
    return row


@action("shift.sign_hand_over")
def sign_hand_over(act: Act, *, hand_over: UUID, digest: str) -> HandOver:
    """Sign the hand-over as the one who gives or the one who takes; the page has checked password or PIN. shift.changed_since."""
    row = act.lock(HandOver, hand_over)
    if row.state != HandOver.WRITTEN:
        raise ILLEGAL_STEP(state=row.state)
    if digest != row.digest or _digest(row.items, row.remarks) != row.digest:
        raise CHANGED_SINCE()
    me = act.actor.person_id
    if me == row.given_by_id:
        side = "given"
        row.given_signed_at = row.given_signed_at or act.now
    elif me is not None and me == row.taken_by_id:
        side = "taken"
        row.taken_signed_at = row.taken_signed_at or act.now
    else:
        raise NOT_YOURS()
    complete = bool(row.given_signed_at and row.taken_signed_at)
    if complete:
        row.state = HandOver.SIGNED
    act.save(row)
    act.state(HandOverSigned(hand_over=row.pk, person=me, side=side, complete=complete), about=row)
    return row


def week_of(at: datetime) -> tuple[datetime, datetime]:
    """Monday 00:00 to Monday 00:00 local time around an instant."""
    local = clock.local(at)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time(0), local.tzinfo)
    return monday, monday + timedelta(days=7)
