"""Personal data are kept as long as their declaration says and no longer (design §3.10): erased by a timer, stated in the journal.

Registers declare it per field (`Personal.retention_days`, counted from the day the row left its register); persons here;
other rooms add a chore of their own (`daily.chore`). The journal speaks of persons by key, so the chain is not touched.
Security logs are the exception: sign-in tries and reads of personal data can only be added to, and are kept.
"""
from __future__ import annotations

from datetime import timedelta

from django.db.models import Max, Q

from . import access
from .actions import Act, action
from .facts import PersonalErased
from .models import Assignment, Person, RegisterChange

CONTACT_DAYS = 90  # after the last post ended: hand-over questions are asked for some weeks
NAME_DAYS = 3650  # ten years: as long as decisions may be asked after
BASIS = "个人信息保护法 第四十七条"  # the time it was kept for is over
NOBODY = "—"
MOST = 500  # rows a day


def forget_persons(act: Act) -> int:
    """Erase telephone number and address of persons long without a post, and much later their names; how many."""
    held = Assignment.objects.filter(Q(ends_at=None) | Q(ends_at__gt=act.now)).values("person_id")
    gone = Person.objects.exclude(pk__in=held).annotate(last=Max("assignments__ends_at"))
    old = gone.filter(last__lt=act.now - timedelta(days=CONTACT_DAYS)).exclude(mobile="", email="")
    ancient = gone.filter(last__lt=act.now - timedelta(days=NAME_DAYS)).exclude(name=NOBODY)
    count = 0
    for rows, fields in ((old, ("mobile", "email")), (ancient, ("name", "pinyin", "initials", "title"))):
        for key in list(rows.values_list("pk", flat=True)[:MOST]):
            erase_person(act.child(step=f"{fields[0]} {key}"), person=key, fields=list(fields))
            count += 1
    return count


@action("people.erase")
def erase_person(act: Act, *, person: str, fields: list, basis: str = BASIS) -> None:
    """Erase fields of a person whose time is over. The row stays: facts name it by its key."""
    row = act.lock(Person, person)
    access.require(act, "people.erase", region=row.organisation.region_id if row.organisation_id else None)
    for name in fields:
        setattr(row, name, NOBODY if name == "name" else "")
    row.active = False
    act.save(row)
    RegisterChange.objects.filter(row=row.pk).update(personal=None)
    act.state(PersonalErased(about=f"person:{row.pk}", fields=fields, basis=basis), about=row)


def forget_registers(act: Act) -> int:
    """Erase personal fields of rows that left their registers longer ago than the fields' declarations allow."""
    from .registers import actions

    return actions.forget(act)
