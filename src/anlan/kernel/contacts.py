"""The contact list (通讯录): found by name, pinyin, initials, office or region; numbers masked for those without the right."""
from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from anlan.engines.text import normal

from . import access, access_log, clock, codes, parties, sheets
from .actions import Act, action
from .errors import FORBIDDEN, INVALID, NOT_FOUND
from .facts import ContactVerified, NumberShown
from .models import Assignment, Person, RegionPath


@dataclass
class Contact:
    """A line of the list. `mobile` is masked unless the reader may see numbers; `dial` is empty then."""

    person: Person
    posts: list[Assignment] = field(default_factory=list)
    mobile: str = ""
    dial: str = ""
    masked: bool = True
    verified: Any = None
    verified_on: Any = None
    stale: bool = True


def mask(number: str) -> str:
    """138****0000; short numbers keep their first digit only."""
    digits = number.strip()
    if len(digits) >= 8:
        return f"{digits[:3]}****{digits[-4:]}"
    return digits[:1] + "*" * max(0, len(digits) - 1)


def seen_by(actor: Any) -> QuerySet[Person]:
    """Persons whose contact data this actor may find: of the regions of contacts.read, and oneself."""
    rows = parties.seen_by(actor, Person, "contacts.read")
    if actor.person_id:
        rows = Person.objects.filter(Q(pk__in=rows.values("pk")) | Q(pk=actor.person_id))
    return rows.filter(active=True).select_related("organisation__region")


def find(actor: Any, text: str = "", *, organisation: UUID | None = None, region: UUID | None = None) -> QuerySet[Person]:
    """Persons by any of: part of the name, pinyin from the start of the name, initials, title, office, post, end of the number
    (only for those who see numbers)."""
    rows = seen_by(actor)
    if organisation:
        rows = rows.filter(organisation_id=organisation)
    if region:
        rows = rows.filter(organisation__region__in=RegionPath.objects.filter(ancestor_id=region).values("descendant_id"))
    for word in normal(text).split()[:5]:
        match = Q(name__icontains=word) | Q(title__icontains=word) | Q(organisation__name__icontains=word)
        match |= Q(pk__in=Assignment.objects.filter(parties.in_force(clock.now()), post__name__icontains=word).values("person_id"))
        if word.isascii() and word.isalpha():
            match |= Q(pinyin__startswith=word) | Q(initials__startswith=word)
        if word.isdigit() and len(word) >= 3 and access.regions(actor, "contacts.numbers") is access.ALL:
            match |= Q(mobile__contains=word)
        rows = rows.filter(match)
    return rows.order_by("organisation__name", "pinyin", "name")


def may_see_number(actor: Any, person: Person) -> bool:
    """One's own number, or contacts.numbers in the region of the person's office."""
    if actor.person_id == person.pk:
        return True
    return access.may(actor, "contacts.numbers", region=person.organisation.region_id if person.organisation_id else None)


def lines(actor: Any, people: list[Person]) -> list[Contact]:
    """The lines for these persons, as this actor may see them, with the posts they hold now."""
    now = clock.now()
    fresh_for = timedelta(days=int(codes.data("sign_in_policy", "contact_stale_days").get("value", 180)))
    held: dict[UUID, list[Assignment]] = {}
    for row in Assignment.objects.filter(parties.in_force(now), person__in=people).select_related("post__organisation").order_by("role"):
        held.setdefault(row.person_id, []).append(row)
    found = []
    for person in people:
        open_number = may_see_number(actor, person)
        number = person.mobile.strip()
        found.append(
            Contact(
                person, held.get(person.pk, []), number if open_number else mask(number), "".join(c for c in number if c.isdigit() or c == "+") if open_number else "",
                not open_number, person.verified_at, clock.local(person.verified_at).date() if person.verified_at else None, person.verified_at is None or now - person.verified_at > fresh_for,
            )
        )
    return found


def note_read(actor: Any, found: list[Contact], kind: str = "list", purpose: str = "", address: str = "") -> None:
    """Write the access log for the numbers shown open on a page or paper."""
    open_ones = [line for line in found if not line.masked and line.mobile and line.person.pk != actor.person_id]
    if open_ones:
        subject = f"person:{open_ones[0].person.pk}" if len(open_ones) == 1 else "person"
        access_log.note(actor, kind, subject, fields=["name", "mobile"], count=len(open_ones), purpose=purpose, address=address)


@action("contacts.show_number")
def show_number(act: Act, *, person: UUID, purpose: str) -> None:
    """Unmask one number for a stated purpose. The journal and the access log keep who and why; the page then reads the number."""
    row = seen_by(act.actor).filter(pk=person).first()
    if row is None:
        raise NOT_FOUND(kind=_("person"), key=person)
    if not purpose.strip():
        raise INVALID([{"field": "purpose", "why": str(_("say what for"))}])
    access_log.note(act.actor, "read", f"person:{person}", fields=["mobile"], purpose=purpose.strip())
    act.state(NumberShown(person=person, purpose=purpose.strip()[:120]), subject=f"person:{person}", region=row.organisation.region_id if row.organisation_id else None)


@action("contacts.verify")
def verify(act: Act, *, person: UUID) -> Person:
    """Say that a person's contact data were checked today and are right: one's own, or with contacts.manage."""
    row = act.lock(Person, person)
    if row.pk != act.actor.person_id:
        access.require(act, "contacts.manage", region=row.organisation.region_id if row.organisation_id else None)
    row.verified_at = act.now
    act.save(row)
    act.state(ContactVerified(person=row.pk), about=row, region=row.organisation.region_id if row.organisation_id else None)
    return row


def export(actor: Any, people: list[Person], *, watermark: str, address: str = "") -> bytes:
    """The list as .xlsx with who took it out and when on every page; logged. Only with contacts.numbers, and only what it reaches."""
    if actor.is_nobody or not access.regions(actor, "contacts.numbers"):
        raise FORBIDDEN(capability="contacts.numbers")
    found = lines(actor, people)
    note_read(actor, found, "export", address=address)
    head = ["单位", "姓名", "职务", "岗位", "角色", "手机", "电子邮件", "最近核实"]
    rows = [
        [
            line.person.organisation.name if line.person.organisation_id else "", line.person.name, line.person.title, "、".join(a.post.name for a in line.posts),
            "、".join(a.role for a in line.posts), line.mobile, "" if line.masked else line.person.email, line.verified,
        ]
        for line in found
    ]
    return sheets.write("通讯录", head, rows, watermark=watermark)
