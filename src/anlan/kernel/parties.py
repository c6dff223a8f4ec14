"""Who: organisations, posts, persons, accounts, dated assignments and grants; and what needs two natural persons.

Taking power away needs one person. Giving it (an account, a post or a grant of power, a reset of what guards it) is asked
for by one natural person and confirmed by another; the database refuses the same one twice.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from . import access, clock, sign_in, work
from .actions import Act, Actor, action
from .errors import ILLEGAL_STEP, INVALID, NOT_FOUND, REASON_NEEDED, SAME_PERSON, Kind
from .facts import (
    AccountClosed,
    AccountCreated,
    Assigned,
    AssignmentEnded,
    Granted,
    GrantEnded,
    PartyChanged,
    PasswordChanged,
    SecondFactorReset,
    TwoPersonAnswered,
    TwoPersonAsked,
)
from .models import Account, Assignment, Grant, Organisation, Person, Post, Region, RegionPath, TwoPersonRequest

NEEDS_TWO = Kind("kernel.needs_two_persons", 409, _("This gives power and needs two persons: ask for it, and let another administrator confirm."))
THREE_ADMINISTRATORS = Kind(
    "kernel.three_administrators", 409, _("{person} would hold two of the three administrator's roles (system, security, audit). Choose another person.")
)
NAME_TAKEN = Kind("kernel.name_taken", 409, _("There is already an account named {name}. Choose another name."))
ALREADY_SET_UP = Kind("kernel.already_set_up", 409, _("This installation is set up already; an administrator makes further accounts on the page “Administration”."))
NO_PERSON = Kind("kernel.no_person", 403, _("Only a natural person can do this, not a machine's account."))
CIRCLE = Kind("kernel.circle", 409, _("{name} stands further down the same line; it cannot also stand above."))

# The security administrator asks; another one, or the system administrator, is the second person.
ADMINISTER, SECOND = "kernel.administer_security", "kernel.administer_system"
# 等保 2.0: one person holds at most one of the three.
EXCLUSIVE = ("kernel.administer_system", "kernel.administer_security", "kernel.audit")
_POWER_LOCK = 0x616E6C02  # one at a time: two grants made at once must not add up to what neither may give


def in_force(at: Any) -> Q:
    """Of assignments and grants: those that hold at this instant (start included, end not)."""
    return Q(starts_at__lte=at) & (Q(ends_at=None) | Q(ends_at__gt=at))


def _not_over(at: Any) -> Q:
    return Q(ends_at=None) | Q(ends_at__gt=at)


# --- reading ---------------------------------------------------------------------------------------------------------


def held_posts(actor: Any) -> list[Assignment]:
    """The posts the actor's person holds now, A before B before acting."""
    if actor.person_id is None:
        return []
    rows = Assignment.objects.filter(in_force(clock.now()), person_id=actor.person_id, post__active=True)
    return list(rows.select_related("post__organisation", "post__region").order_by("role", "starts_at"))


def post_for(region: UUID | None, kinds: list[str]) -> Post | None:
    """The nearest post of these kinds, in order of kind, at the region or above it; without a region the one highest up."""
    posts = Post.objects.filter(active=True, kind__in=kinds).select_related("organisation", "region")
    near = around(region)
    if near:
        found = [post for post in posts.filter(Q(region_id__in=near) | Q(region=None))]
        place = {key: index for index, key in enumerate(near)}
        best = min(found, key=lambda post: (place.get(post.region_id, 99), kinds.index(post.kind), str(post.pk)), default=None)
        if best is not None:
            return best
    depth = Counter(RegionPath.objects.filter(hierarchy="administrative", descendant__in=posts.values("region")).values_list("descendant_id", flat=True))
    return min(posts, key=lambda post: (depth.get(post.region_id, 0), kinds.index(post.kind), str(post.pk)), default=None)


def around(region: UUID | None) -> list[UUID]:
    """Keys of the region and of what it lies in, nearest first."""
    if region is None:
        return []
    return [region, *RegionPath.objects.filter(hierarchy="administrative", descendant_id=region, depth__gt=0).order_by("depth").values_list("ancestor_id", flat=True)]


def duty_post(region: UUID | None) -> Post | None:
    """Whose desk it is there: the duty officer's, else the leader's of the shift."""
    return post_for(region, ["duty_officer", "duty_leader"])


def holders(post: Any, at: datetime | None = None) -> list[Assignment]:
    """Who holds a post at an instant: A, then B, then acting."""
    rows = Assignment.objects.filter(in_force(at or clock.now()), post_id=getattr(post, "pk", post), person__active=True)
    order = {"A": 0, "shift": 1, "acting": 2, "B": 3}
    return sorted(rows.select_related("person"), key=lambda row: (order.get(row.role, 9), row.starts_at))


def seen_by(actor: Any, model: Any, capability: str = "people.read") -> QuerySet:
    """Organisations, posts or persons of the regions where the actor holds the capability."""
    path = {Organisation: "region", Post: "region", Person: "organisation__region", Account: "person__organisation__region"}[model]
    rows = model.objects.all()
    reach = access.regions(actor, capability)
    if reach is access.ALL:
        return rows
    return rows.filter(**{f"{path}__in": reach}) if reach else rows.none()


@dataclass(frozen=True)
class Power:
    """A capability of an actor in words: what, where, and whether it wants the second factor."""

    code: str
    text: Any
    everywhere: bool
    where: str
    second_factor: bool


def powers(actor: Any) -> list[Power]:
    """What the actor may do, for the page “My account”."""
    from .shell import localname

    found = []
    for code, grants in sorted(access.grants(actor).items()):
        known = access.CAPABILITIES.get(code)
        regions = Region.objects.filter(pk__in=[grant.region_id for grant in grants if grant.region_id])
        everywhere = any(not (grant.region_id or grant.organisation_id or grant.own_only or grant.incident) for grant in grants)
        found.append(Power(code, known.text if known else code, everywhere, "、".join(localname(row) for row in regions), bool(known and known.second_factor)))
    return found


def of_power(capability: str) -> bool:
    known = access.CAPABILITIES.get(capability)
    return bool(known and known.second_factor)


def post_holds_power(post_id: Any) -> bool:
    """Whether the post holds, or will hold, a capability of power."""
    return any(of_power(code) for code in Grant.objects.filter(_not_over(clock.now()), post_id=post_id).values_list("capability", flat=True))


def person_holds_power(person_id: Any) -> bool:
    return any(post_holds_power(post) for post in Assignment.objects.filter(_not_over(clock.now()), person_id=person_id).values_list("post_id", flat=True))


def doubled_administrators() -> list[Person]:
    """Persons who hold two of the three administrator's roles: none, unless rows came in past these actions."""
    held: dict[Any, set[str]] = {}
    now = clock.now()
    for person_id, post_id in Assignment.objects.filter(_not_over(now)).values_list("person_id", "post_id"):
        codes = Grant.objects.filter(_not_over(now), post_id=post_id, capability__in=EXCLUSIVE).values_list("capability", flat=True)
        held.setdefault(person_id, set()).update(codes)
    return list(Person.objects.filter(pk__in=[person for person, codes in held.items() if len(codes) > 1]))


# --- organisations, posts, persons ------------------------------------------------------------------------------------


def _row(model: type, key: Any) -> Any:
    found = model.objects.filter(pk=key).first()  # type: ignore[attr-defined]
    if found is None:
        raise NOT_FOUND(kind=model._meta.verbose_name, key=key)  # type: ignore[attr-defined]
    return found


def _save(act: Act, model: type, kind: str, key: UUID | None, values: dict[str, Any]) -> Any:
    """Create or change a row; the fact names the fields, never personal values."""
    if key is None:
        row = act.create(model, **values)
        changed = sorted(values)
    else:
        row = act.lock(model, key)
        changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
        if not changed:
            return row
        for name in changed:
            setattr(row, name, values[name])
        act.save(row)
    act.state(PartyChanged(kind=kind, key=row.pk, fields=changed), about=row)
    return row


def _needed(**values: str) -> None:
    missing = [{"field": name, "why": str(_("is missing"))} for name, value in values.items() if not str(value or "").strip()]
    if missing:
        raise INVALID(missing)


def _no_circle(model: type, key: UUID | None, above: UUID | None, field: str) -> None:
    seen, step = {key}, above
    while key is not None and step is not None:
        if step in seen:
            raise CIRCLE(name=str(_row(model, key)), fields=[{"field": field.removesuffix("_id"), "why": str(_("makes a circle"))}])
        seen.add(step)
        step = model.objects.filter(pk=step).values_list(field, flat=True).first()  # type: ignore[attr-defined]


@action("parties.save_organisation")
def save_organisation(
    act: Act, *, key: UUID | None = None, name: str, name_en: str = "", kind: str = "department", business_line: str = "", parent: UUID | None = None, region: UUID | None = None
) -> Organisation:
    """Enter or change an organisation. Needs people.manage in its region, the old and the new one."""
    _needed(name=name)
    if key is not None:
        access.require(act, "people.manage", region=_row(Organisation, key).region_id)
    access.require(act, "people.manage", region=region)
    _no_circle(Organisation, key, parent, "parent_id")
    values = {"name": name.strip(), "name_en": name_en.strip(), "kind": kind, "business_line": business_line, "parent_id": parent, "region_id": region}
    row = _save(act, Organisation, "organisation", key, values)
    for person in Person.objects.filter(organisation=row).exclude(region_id=region):  # they lie where their unit lies
        person.left = [*person.left, *([person.region_id] if person.region_id else [])]
        person.save(update_fields=["region", "left"])
    return row


@action("parties.save_post")
def save_post(
    act: Act, *, key: UUID | None = None, organisation: UUID, name: str, name_en: str = "", kind: str = "", region: UUID | None = None, superior: UUID | None = None, phone: str = "", active: bool = True
) -> Post:
    """Enter or change a post. Its superior answers when it is silent. Needs people.manage in its region, the old and the new one."""
    _needed(name=name)
    if key is not None:
        old = _row(Post, key)
        access.require(act, "people.manage", region=old.region_id)
        # A post of power moved elsewhere takes its power along: that is a grant.
        if old.region_id != region and post_holds_power(key):
            access.require(act, ADMINISTER, region=region)
    access.require(act, "people.manage", region=region)
    _no_circle(Post, key, superior, "superior_id")
    values = {
        "organisation_id": organisation, "name": name.strip(), "name_en": name_en.strip(), "kind": kind, "region_id": region, "superior_id": superior,
        "phone": phone.strip(), "active": active,
    }
    return _save(act, Post, "post", key, values)


# --- accounts ---------------------------------------------------------------------------------------------------------


def _serial() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_POWER_LOCK])


def _region_of(person: Person) -> Any:
    return person.organisation.region_id if person.organisation_id else None


@action("parties.create_account")
def create_account(act: Act, *, name: str, person: UUID, encoded: str) -> Account:
    """Make an account for a person who holds no power; `encoded` is the hashed first password. kernel.needs_two_persons."""
    row = _row(Person, person)
    access.require(act, ADMINISTER, region=_region_of(row))
    _serial()
    if person_holds_power(person):
        raise NEEDS_TWO()
    return _create_account(act, name, row, encoded)


def _create_account(act: Act, name: str, person: Person, encoded: str) -> Account:
    name = name.strip()
    _needed(name=name)
    try:
        with transaction.atomic():
            account = act.create(Account, name=name, person=person, password=encoded, must_change_password=True)
    except IntegrityError:
        raise NAME_TAKEN(name=name, fields=[{"field": "name", "why": str(_("is taken"))}])
    act.state(AccountCreated(account=account.pk, person=person.pk), subject=f"account:{account.pk}", region=_region_of(person))
    return account


@action("parties.close_account")
def close_account(act: Act, *, account: UUID) -> None:
    """Close an account; its sessions end at once. One administrator is enough."""
    row = _row(Account, account)
    access.require(act, ADMINISTER, region=_region_of(row.person) if row.person_id else None)
    _close(act, row)


def close_accounts_of(act: Act, person: Person) -> None:
    """Close every account of somebody who has left."""
    for account in Account.objects.filter(person=person, is_active=True):
        _close(act, account)


def _close(act: Act, account: Account) -> None:
    account.is_active = False
    account.save(update_fields=["is_active"])
    sign_in.end_all(account, "inactive")
    act.state(AccountClosed(account=account.pk), subject=f"account:{account.pk}")


@action("parties.reset_password")
def reset_password(act: Act, *, account: UUID, encoded: str) -> None:
    """Give an account of no power a new first password. kernel.needs_two_persons for one of power."""
    row = _row(Account, account)
    access.require(act, ADMINISTER, region=_region_of(row.person) if row.person_id else None)
    if row.person_id and person_holds_power(row.person_id):
        raise NEEDS_TWO()
    _reset_password(act, row, encoded)


def _reset_password(act: Act, account: Account, encoded: str) -> None:
    account.password, account.must_change_password = encoded, True
    account.save(update_fields=["password", "must_change_password"])
    act.state(PasswordChanged(account=account.pk, by_other=True), subject=f"account:{account.pk}")
    sign_in.end_all(account, "password")


# --- assignments and grants -----------------------------------------------------------------------------------------


def _exclusive(person: Person, codes: set[str]) -> None:
    """Refuse what would put two of the three administrator's roles into one hand."""
    if len(codes & set(EXCLUSIVE)) > 1:
        raise THREE_ADMINISTRATORS(person=person.name)


def _codes_of_person(person_id: Any, at: datetime, but_post: Any = None) -> set[str]:
    posts = Assignment.objects.filter(_not_over(at), person_id=person_id).exclude(post_id=but_post).values("post_id")
    return set(Grant.objects.filter(_not_over(at), post_id__in=posts).values_list("capability", flat=True))


@action("parties.assign")
def assign(act: Act, *, person: UUID, post: UUID, role: str = "A", starts_at: datetime, ends_at: datetime | None = None) -> Assignment:
    """Give a person a post of no power, dated. kernel.needs_two_persons when the post holds power."""
    access.require(act, ADMINISTER, region=_row(Post, post).region_id)
    _serial()
    if post_holds_power(post):
        raise NEEDS_TWO()
    return _assign(act, person, post, role, starts_at, ends_at)


def _dates(starts_at: datetime, ends_at: datetime | None) -> None:
    if ends_at is not None and ends_at <= starts_at:
        raise INVALID([{"field": "ends_at", "why": str(_("must be after the start"))}])


def _assign(act: Act, person: UUID, post: UUID, role: str, starts_at: datetime, ends_at: datetime | None) -> Assignment:
    _dates(starts_at, ends_at)
    if role not in ("A", "B", "acting", "shift"):
        raise INVALID([{"field": "role", "why": "A, B, acting, shift"}])
    natural = _row(Person, person)
    codes = set(Grant.objects.filter(_not_over(starts_at), post_id=post).values_list("capability", flat=True))
    _exclusive(natural, codes | _codes_of_person(person, starts_at))
    row = act.create(Assignment, person_id=person, post_id=post, role=role, starts_at=starts_at, ends_at=ends_at)
    act.state(
        Assigned(assignment=row.pk, person=person, post=post, role=role, starts_at=starts_at.isoformat(), ends_at=ends_at.isoformat() if ends_at else ""),
        subject=f"post:{post}", region=row.post.region_id,
    )
    return row


@action("parties.end_assignment")
def end_assignment(act: Act, *, assignment: UUID) -> Assignment:
    """End a person's time at a post now. One administrator is enough."""
    row = act.lock(Assignment, assignment)
    access.require(act, ADMINISTER, region=row.post.region_id)
    now = clock.now()
    if row.ends_at is not None and row.ends_at <= now:
        return row
    # An assignment that has not begun never was: it ends a moment after its start, so that its dates stay in order.
    row.ends_at = now if row.starts_at < now else row.starts_at + timedelta(microseconds=1)
    act.save(row)
    act.state(AssignmentEnded(assignment=row.pk, person=row.person_id, post=row.post_id), subject=f"post:{row.post_id}", region=row.post.region_id)
    return row


def _grant(act: Act, request: TwoPersonRequest, confirmer: UUID, payload: dict[str, Any]) -> Grant:
    starts_at, ends_at = _moment(payload["starts_at"]), _moment(payload.get("ends_at"))
    capability, post = payload["capability"], _row(Post, payload["post"])
    for row in Assignment.objects.filter(_not_over(starts_at), post=post).select_related("person"):
        codes = _codes_of_person(row.person_id, starts_at) | {capability}
        _exclusive(row.person, codes)
    grant = act.create(
        Grant, post=post, capability=capability, region_id=payload.get("region") or None, organisation_id=payload.get("organisation") or None,
        business_line=payload.get("business_line", ""), own_only=bool(payload.get("own_only")), incident=payload.get("incident") or None,
        starts_at=starts_at, ends_at=ends_at, given_by=request.requested_by_id, confirmed_by=confirmer,
    )
    act.state(
        Granted(
            grant=grant.pk, post=post.pk, capability=capability, region=str(payload.get("region") or ""), starts_at=payload["starts_at"], ends_at=payload.get("ends_at") or ""
        ),
        subject=f"post:{post.pk}", region=post.region_id,
    )
    return grant


@action("parties.end_grant")
def end_grant(act: Act, *, grant: UUID) -> Grant:
    """Take a grant back now. One administrator is enough."""
    row = act.lock(Grant, grant)
    access.require(act, ADMINISTER, region=row.post.region_id)
    now = clock.now()
    if row.ends_at is None or row.ends_at > now:
        row.ends_at = now if row.starts_at < now else row.starts_at  # begins and ends at once: it never holds
        act.save(row)
        act.state(GrantEnded(grant=row.pk, post=row.post_id, capability=row.capability), subject=f"post:{row.post_id}", region=row.post.region_id)
    return row


# --- two natural persons ----------------------------------------------------------------------------------------------

KINDS = {
    "account": _("Account for a person of power"),
    "assignment": _("Post of power for a person"),
    "grant": _("Grant to a post"),
    "factor_reset": _("Reset of a second factor"),
    "password_reset": _("New password for an account of power"),
}


@dataclass(frozen=True)
class Elsewhere:
    """An act of power another room declares. Asked for and confirmed here, by the same two; judged and done by its own code."""

    text: Any
    check: Callable[[dict[str, Any]], None]  # raises what is wrong with it, when asked for and again when confirmed
    do: Callable[[Act, TwoPersonRequest], None]
    what: Callable[[dict[str, Any]], str]
    by: tuple[str, ...] = ()  # capabilities of that room whose holders may ask too; who confirms is the kernel's


ELSEWHERE: dict[str, Elsewhere] = {}


def declare(kind: str, of: Elsewhere) -> None:
    KINDS[kind], ELSEWHERE[kind] = of.text, of


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _region_of_request(kind: str, payload: dict[str, Any]) -> Any:
    if kind in ("grant", "assignment"):
        return _row(Post, payload.get("post")).region_id
    if kind == "account":
        return _region_of(_row(Person, payload.get("person")))
    if kind in ELSEWHERE:
        return None
    person = _row(Account, payload.get("account")).person
    return _region_of(person) if person else None


def may_ask(actor: Actor, kind: str, region: Any = None) -> bool:
    """Whether this person may ask for such an act."""
    return _asks_by(actor, kind, region) is not None


def _asks_by(actor: Actor, kind: str, region: Any) -> tuple[str, Any] | None:
    """The capability, and where it must be held, by which somebody may ask for such an act."""
    if access.may(actor, ADMINISTER, region=region):
        return ADMINISTER, region
    own = ELSEWHERE[kind].by if kind in ELSEWHERE else ()
    return next(((capability, access.ANYWHERE) for capability in own if access.may(actor, capability)), None)


def may_confirm(actor: Actor, region: Any = access.ANYWHERE) -> bool:
    """Whether this person may be the second one there."""
    return access.may(actor, ADMINISTER, region=region) or access.may(actor, SECOND, region=region)


def _require_second(act: Act, region: Any) -> str:
    """The capability by which the actor is a second person there; kernel.forbidden, kernel.second_factor."""
    by = SECOND if not access.may(act.actor, ADMINISTER, region=region) and access.may(act.actor, SECOND, region=region) else ADMINISTER
    access.require(act, by, region=region)
    return by


def _check_payload(act: Act, kind: str, payload: dict[str, Any], *, second: bool = False) -> None:
    """The same questions when it is asked for as when it is confirmed (`second`)."""
    if kind not in KINDS:
        raise INVALID([{"field": "kind", "why": ", ".join(KINDS)}])
    region = _region_of_request(kind, payload)
    by = ADMINISTER
    if second:
        by = _require_second(act, region)
    else:
        capability, where = _asks_by(act.actor, kind, region) or (ADMINISTER, region)
        access.require(act, capability, region=where)
    if kind == "grant":
        if payload.get("capability") not in access.CAPABILITIES:
            raise INVALID([{"field": "capability", "why": str(_("is not known"))}])
        # Nobody gives away more than he administers: the grant's own region, and "everywhere" only by who holds everywhere.
        reach = access.regions(act.actor, by)
        given = payload.get("region")
        if reach is not access.ALL and (not given or UUID(str(given)) not in reach):
            access.require(act, by, region=UUID(str(given)) if given else None)
    if kind in ("grant", "assignment"):
        try:
            starts_at, ends_at = _moment(payload.get("starts_at")), _moment(payload.get("ends_at"))
        except ValueError:
            raise INVALID([{"field": "starts_at", "why": str(_("is not a date and time"))}])
        if starts_at is None or starts_at.tzinfo is None:
            raise INVALID([{"field": "starts_at", "why": str(_("is missing"))}])
        _dates(starts_at, ends_at)
    if kind in ELSEWHERE:
        ELSEWHERE[kind].check(payload)
    if kind == "account":
        _needed(name=payload.get("name", ""))
        if Account.objects.filter(name=payload["name"].strip()).exists():
            raise NAME_TAKEN(name=payload["name"], fields=[{"field": "name", "why": str(_("is taken"))}])


@action("parties.ask")
def ask(act: Act, *, kind: str, payload: dict, reason: str) -> TwoPersonRequest:
    """Ask for an act of power (a key of KINDS). Another administrator finds it on the desk and confirms or refuses."""
    if act.actor.person_id is None:
        raise NO_PERSON()
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": str(_("is missing"))}])
    _check_payload(act, kind, payload)
    row = act.create(TwoPersonRequest, kind=kind, payload=payload, reason=reason.strip(), requested_by_id=act.actor.person_id, requested_at=act.now)
    region = _region_of_request(kind, payload)
    stated = act.state(TwoPersonAsked(request=row.pk, kind=kind, reason=row.reason), about=row, region=region)
    post = _who_confirms(act.actor, region)
    if post is not None:
        work.open(
            act, post=post, kind="parties.confirm", subject=f"request:{row.pk}", region=region, cause=stated, on_silence="",
            msgid=gettext_noop("{person} asks for: {what}. A second person must confirm or refuse."),
            params={"person": Person.objects.get(pk=act.actor.person_id).name, "what": describe(row)},
        )
    return row


def _who_confirms(actor: Actor, region: Any) -> UUID | None:
    """A post held now by another natural person who may administer there."""
    now = clock.now()
    for capability in (ADMINISTER, SECOND):
        others = Assignment.objects.filter(in_force(now), post__grants__capability=capability, person__active=True).exclude(person_id=actor.person_id)
        for row in others.select_related("person").order_by("starts_at").distinct():
            account = Account.objects.filter(person_id=row.person_id, is_active=True).first()
            if account is not None and access.may(Actor.of(account), capability, region=region):
                return row.post_id
    return None


@action("parties.confirm")
def confirm(act: Act, *, request: UUID, encoded: str = "") -> TwoPersonRequest:
    """Confirm what another person asked for, and do it. `encoded`: hashed first password where one is made. kernel.same_person."""
    row = _open_request(act, request)
    _check_payload(act, row.kind, row.payload, second=True)
    if row.requested_by_id == act.actor.person_id:
        raise SAME_PERSON()
    # The asker may have lost the right since; what he asked for then is nobody's wish now.
    asker = Account.objects.filter(person_id=row.requested_by_id, is_active=True).first()
    if asker is None or not may_ask(Actor.of(asker), row.kind, _region_of_request(row.kind, row.payload)):
        raise ILLEGAL_STEP(state=row.state)
    _serial()
    payload = row.payload
    if row.kind == "account":
        _create_account(act, payload["name"], _row(Person, payload["person"]), _password(encoded))
    elif row.kind == "assignment":
        starts_at = _moment(payload["starts_at"])
        _assign(act, UUID(payload["person"]), UUID(payload["post"]), payload.get("role", "A"), starts_at, _moment(payload.get("ends_at")))  # type: ignore[arg-type]
    elif row.kind == "grant":
        _grant(act, row, act.actor.person_id, payload)  # type: ignore[arg-type]
    elif row.kind == "password_reset":
        _reset_password(act, _row(Account, payload["account"]), _password(encoded))
    elif row.kind == "factor_reset":
        account = _row(Account, payload["account"])
        account.totp_secret, account.totp_last = "", 0
        account.save(update_fields=["totp_secret", "totp_last"])
        sign_in.end_all(account, "factor")
        act.state(SecondFactorReset(account=account.pk), subject=f"account:{account.pk}")
    else:
        ELSEWHERE[row.kind].do(act, row)
    _answer(act, row, TwoPersonRequest.CONFIRMED, confirmed_by=act.actor.person_id)
    return row


def _password(encoded: str) -> str:
    if not encoded:
        raise INVALID([{"field": "encoded", "why": str(_("is missing"))}])
    return encoded


def _open_request(act: Act, request: UUID) -> TwoPersonRequest:
    if act.actor.person_id is None:
        raise NO_PERSON()
    row = act.lock(TwoPersonRequest, request)
    if row.state != TwoPersonRequest.OPEN:
        raise ILLEGAL_STEP(state=row.state)
    return row


def _answer(act: Act, row: TwoPersonRequest, state: str, *, confirmed_by: Any = None, answer: str = "") -> None:
    row.state, row.answered_at, row.answer = state, act.now, answer
    if confirmed_by is not None:
        row.confirmed_by_id = confirmed_by
    act.save(row)
    act.state(TwoPersonAnswered(request=row.pk, kind=row.kind, state=state), about=row)
    work.close(act, kind="parties.confirm", subject=f"request:{row.pk}", outcome=state)


@action("parties.refuse")
def refuse(act: Act, *, request: UUID, reason: str) -> TwoPersonRequest:
    """Refuse what another person asked for, with a reason; one's own request is withdrawn by it."""
    row = _open_request(act, request)
    mine = row.requested_by_id == act.actor.person_id
    if not mine:
        _require_second(act, _region_of_request(row.kind, row.payload))
        if not reason.strip():
            raise REASON_NEEDED(fields=[{"field": "reason", "why": str(_("is missing"))}])
    _answer(act, row, TwoPersonRequest.WITHDRAWN if mine else TwoPersonRequest.REFUSED, answer=reason.strip())
    return row


def describe(row: TwoPersonRequest) -> str:
    """What a request would do, in one line of names."""
    payload, parts = row.payload, [str(KINDS.get(row.kind, row.kind))]
    if row.kind in ELSEWHERE:
        return " · ".join([*parts, ELSEWHERE[row.kind].what(payload)])
    if "account" in payload:
        parts.append(str(Account.objects.filter(pk=payload["account"]).first() or ""))
    if "name" in payload:
        parts.append(payload["name"])
    if "person" in payload:
        parts.append(str(Person.objects.filter(pk=payload["person"]).first() or ""))
    if "post" in payload:
        post = Post.objects.select_related("organisation").filter(pk=payload["post"]).first()
        parts.append(f"{post.organisation.name}{post.name}" if post else "")
    if "capability" in payload:
        known = access.CAPABILITIES.get(payload["capability"])
        parts.append(str(known.text if known else payload["capability"]))
    if payload.get("region"):
        parts.append(str(Region.objects.filter(pk=payload["region"]).first() or ""))
    return " · ".join(part for part in parts if part)


# --- the first three administrators ------------------------------------------------------------------------------------


@action("parties.set_up")
def set_up(act: Act, *, installation: str, region_name: str, region_kind: str, administrators: list) -> list:
    """Make an empty installation usable: its region, its office, and the three administrators as three different persons.

    `administrators`: system, security, audit, each {"name", "account", "encoded"}. Only while nobody holds any grant;
    nothing a page could not have done is left possible afterwards. Returns the accounts' keys.
    """
    from . import places
    from .models import Installation

    _serial()
    if Grant.objects.exists():
        raise ALREADY_SET_UP()
    if len(administrators) != 3 or len({one["account"] for one in administrators}) != 3 or len({one["name"] for one in administrators}) != 3:
        raise INVALID([{"field": "administrators", "why": str(_("three different persons are needed"))}])
    here = Installation.current()
    here.name = installation
    here.save(update_fields=["name"])
    region = Region.objects.filter(name=region_name, kind=region_kind).first()
    if region is None:
        region = act.create(Region, name=region_name, kind=region_kind)
        places.rebuild_paths()
    office = act.create(Organisation, name=installation, kind="department", business_line="emergency", region=region)
    made = []
    extra = {"kernel.administer_system": ("people.read", "people.manage", "places.manage", "codes.manage", "journal.read"), ADMINISTER: ("people.read",), "kernel.audit": ("people.read", "journal.read")}
    titles = {"kernel.administer_system": "系统管理员", ADMINISTER: "安全管理员", "kernel.audit": "审计管理员"}
    kinds = {"kernel.administer_system": "system_administrator", ADMINISTER: "security_administrator", "kernel.audit": "audit_administrator"}
    for capability, one in zip(EXCLUSIVE, administrators, strict=True):
        person = act.create(Person, name=one["name"], organisation=office)
        post = act.create(Post, organisation=office, name=titles[capability], kind=kinds[capability], region=region)
        for code in (capability, *extra[capability]):
            grant = act.create(Grant, post=post, capability=code, starts_at=act.now)
            act.state(Granted(grant=grant.pk, post=post.pk, capability=code, region="", starts_at=act.now.isoformat(), ends_at=""), subject=f"post:{post.pk}")
        assignment = act.create(Assignment, person=person, post=post, starts_at=act.now)
        act.state(Assigned(assignment=assignment.pk, person=person.pk, post=post.pk, role="A", starts_at=act.now.isoformat(), ends_at=""), subject=f"post:{post.pk}")
        made.append(str(_create_account(act, one["account"], person, one["encoded"]).pk))
    return made
