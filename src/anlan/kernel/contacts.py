"""Declared here: the contact list (通讯录), a register of persons. Who can be rung up now: what posts he holds, and a number to dial."""
from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from anlan.engines.text import initials, pinyin

from . import access, clock, parties
from .models import Assignment, Person
from .registers import Field, Personal, Register, actions, register
from .shell import localname

REACH: dict[str, Any] = {"purpose": _("Reach the person on duty"), "basis": "PIPL art. 13(2): duty of the post", "open": "contacts.numbers"}
ROLES = {"leader": _("Leader in charge"), "A": _("A"), "B": _("B"), "acting": _("acting"), "shift": _("this shift")}
OF_TITLE = (("pinyin", lambda name: pinyin(name)[:160]), ("initials", lambda name: initials(name)[:40]))


def held(people: list[Person]) -> dict[Any, list[Assignment]]:
    """The posts these persons hold now, A before B before acting."""
    found: dict[Any, list[Assignment]] = {}
    for row in Assignment.objects.filter(parties.in_force(clock.now()), person__in=people).select_related("post__organisation").order_by("role"):
        found.setdefault(row.person_id, []).append(row)
    return found


def posts(people: list[Person]) -> dict[Any, str]:
    return {key: "、".join(f"{localname(row.post)} {ROLES[row.role]}" for row in rows) for key, rows in held(people).items()}


def find(actor: Any, word: str) -> Q:
    """By post held and by unit; by the end of the number for those who see all numbers."""
    found = Q(organisation__name__icontains=word) | Q(pk__in=Assignment.objects.filter(parties.in_force(clock.now()), post__name__icontains=word).values("person_id"))
    if word.isdigit() and len(word) >= 3 and access.regions(actor, "contacts.numbers") is access.ALL:
        found |= Q(mobile__contains=word)
    return found


def before(act: Any, row: Person, op: str) -> None:
    """Who leaves the list can no longer sign in; coming back opens no account again."""
    row.active = row.ended_at is None
    if op == "end":
        parties.close_accounts_of(act, row)


def panel(request: Any, row: Person) -> tuple[Any, str, dict[str, Any]]:
    """The posts, each with its own telephone."""
    return _("Posts"), "kernel/contacts/_posts.html", {"held": held([row]).get(row.pk, []), "roles": ROLES}


CONTACTS = register(Register(
    "kernel.contact", Person, label=_("Contacts"), one=_("Person"), icon="contact", subject="person", home="kernel:contacts",
    read="contacts.read", write="contacts.manage", key=("organisation", "name"), unique=False, own="id", placed=False,
    fresh=("sign_in_policy", "contact_stale_days"), note=("title", "organisation"), sort="pinyin", find=find, of_title=OF_TITLE, before=before, before_writes=("active",), panels=(panel,),
    fields=(
        Field("name", required=True, column=True, search=True, synonyms=("姓名", "名字")),
        Field("organisation", required=True, column=True, filter=True, synonyms=("单位", "所属单位", "部门")),
        Field("title", column=True, search=True, synonyms=("职务",)),
        Field("posts", label=_("Post"), column=True, of=posts),
        Field("mobile", kind="phone", column=True, personal=Personal(mask="phone", **REACH), synonyms=("手机", "手机号", "联系电话", "电话")),
        Field("email", personal=Personal(mask="email", **REACH), synonyms=("电子邮件", "邮箱")),
        Field("region", filter=True, readonly=True),
    ),
))


@receiver(pre_save, sender=Person, dispatch_uid="kernel.contacts")
def _settle(sender: Any, instance: Person, **_more: Any) -> None:
    """A person lies where his unit lies and is found by his name, however the row came to be."""
    if not instance.active and instance.ended_at is None:
        instance.ended_at = clock.now()
    actions.settle(CONTACTS, instance)
