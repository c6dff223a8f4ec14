"""Signing in: password with lock-out, second factor kept for the shift, sessions that end at once, quick change of person."""
from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pyotp
from django.contrib.auth import login as django_login
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from . import access, clock, codes
from .actions import Act, Actor, action
from .errors import INVALID, NOT_FOUND, Kind
from .facts import AccountLocked, PasswordChanged, PersonChanged, PinSet, SecondFactorEnrolled, SessionEnded
from .models import Account, Assignment, SignInSession, SignInTry

WRONG = Kind("kernel.wrong_password", 401, _("Name and password do not match. Check both; after {tries} failed tries the account is locked for {minutes} minutes."))
LOCKED = Kind("kernel.locked", 429, _("Too many failed tries. Wait until {until}, or ask the security administrator for a new password."))
WRONG_CODE = Kind("kernel.wrong_code", 401, _("This code is wrong, too old, or was used before. Wait for the next one and enter it."))
NO_FACTOR = Kind("kernel.no_factor", 409, _("This account has no second factor yet. Set one up on the page “My account”."))
FACTOR_THERE = Kind("kernel.factor_there", 409, _("This account has a second factor already. Two administrators together can reset it."))
WEAK_PIN = Kind("kernel.weak_pin", 422, _("A PIN has 6 to 12 digits, not all the same and not simply counting up or down."))
NOT_THIS_POST = Kind("kernel.not_this_post", 403, _("This person does not hold the post of this duty computer. Sign out, then sign in with name and password."))
FORM_TOO_OLD = Kind("kernel.form_too_old", 403, _("This page was open too long or came from elsewhere. Go back, reload it and send again."))

# Spent on unknown names too, so that the time taken does not tell which names exist.
_DUMMY: str = ""
SEEN_EVERY = timedelta(minutes=1)


def _policy(name: str) -> int:
    return int(codes.data("sign_in_policy", name)["value"])


def lock_ends(name: str, address: str) -> datetime | None:
    """When the lock of this account or address ends; None when it is open.

    Failures count within the window. A success clears the account's count, not the address's: otherwise one known
    account would let an address guess at all the others.
    """
    now, window = clock.now(), timedelta(minutes=_policy("window_minutes"))
    since = now - window
    success = SignInTry.objects.filter(account_name=name, ok=True, at__gte=since).order_by("-at").values_list("at", flat=True).first()
    ends: list[datetime] = []
    for limit, failed in (
        (_policy("tries_per_account"), SignInTry.objects.filter(account_name=name, ok=False, at__gte=max(since, success or since))),
        (_policy("tries_per_address"), SignInTry.objects.filter(address=address, ok=False, at__gte=since)),
    ):
        times = list(failed.exclude(why="locked").order_by("-at").values_list("at", flat=True)[:limit])
        if len(times) >= limit:
            ends.append(times[-1] + window)
    return max(ends, default=None)


def _note(name: str, address: str, why: str = "") -> None:
    SignInTry.objects.create(at=clock.now(), account_name=name[:60], address=address, ok=not why, why=why)


def _check_lock(name: str, address: str) -> None:
    until = lock_ends(name, address)
    if until is not None:
        _note(name, address, "locked")
        raise LOCKED(until=clock.local(until).strftime("%H:%M:%S"))


def _failed(name: str, address: str, why: str, account: Account | None) -> None:
    _note(name, address, why)
    if account is not None and lock_ends(name, address) is not None:
        note_locked(Act(Actor.machine("sign_in"), _actual()), account=account.pk, address=address)


def _actual() -> Any:
    from . import realms

    return realms.actual()


@action("kernel.note_locked")
def note_locked(act: Act, *, account: UUID, address: str) -> None:
    """State in the journal that an account was locked by failed tries."""
    act.state(AccountLocked(account=account, address=address), subject=f"account:{account}")


def verify(name: str, password: str, address: str, *, pin: bool = False) -> Account:
    """The account whose password (or PIN) this is. kernel.locked, kernel.wrong_password. Every try is kept."""
    global _DUMMY
    name = name.strip()[:60]
    _check_lock(name, address)
    account = Account.objects.filter(name=name, machine=False).first()
    if not _DUMMY:
        _DUMMY = make_password(secrets.token_urlsafe(16))
    stored = (account.pin_hash if pin else account.password) if account else ""
    good = check_password(password, stored or _DUMMY) and bool(stored)
    if account is None or not good or not account.is_active:
        _failed(name, address, "inactive" if good else ("pin" if pin else "wrong"), account)
        raise WRONG(tries=_policy("tries_per_account"), minutes=_policy("window_minutes"), fields=[{"field": "password", "why": str(_("does not match"))}])
    _note(name, address)
    if not pin and account.password and _needs_rehash(account):
        account.set_password(password)
        account.save(update_fields=["password"])
    return account


def _needs_rehash(account: Account) -> bool:
    from django.contrib.auth.hashers import get_hasher, identify_hasher

    hasher = identify_hasher(account.password)
    return hasher.algorithm != get_hasher().algorithm or hasher.must_update(account.password)


# --- sessions --------------------------------------------------------------------------------------------------------


def begin(request: HttpRequest, account: Account) -> None:
    """Sign the account in on this device, under a fresh session key."""
    keep = request.session.get("realm")
    request.session.flush()
    django_login(request, account, backend="django.contrib.auth.backends.ModelBackend")
    if keep:
        request.session["realm"] = keep


def renew(request: HttpRequest, account: Account) -> None:
    """Keep this session after its password changed: Django ties a session to the password's hash."""
    from django.contrib.auth import update_session_auth_hash

    update_session_auth_hash(request, account)


def _on_login(sender: Any, request: HttpRequest, user: Account, **_: Any) -> None:
    now = clock.now()
    row = SignInSession.objects.create(
        account=user, address=request.META.get("REMOTE_ADDR", "")[:45], device=request.META.get("HTTP_USER_AGENT", "")[:60], started_at=now, seen_at=now
    )
    request.session["sign_in"] = str(row.pk)


user_logged_in.connect(_on_login, dispatch_uid="kernel.sign_in")


def account_of(request: HttpRequest) -> Account | None:
    """The signed-in account, if its session has not been ended anywhere."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return None
    row = SignInSession.objects.filter(pk=request.session.get("sign_in") or None).first()
    if row is None or row.ended_at is not None or not user.is_active:
        request.session.flush()
        return None
    now = clock.now()
    if now - row.seen_at > SEEN_EVERY:
        SignInSession.objects.filter(pk=row.pk).update(seen_at=now)
    return user


def actor_of(request: HttpRequest, account: Account, language: str) -> Actor:
    """The actor of this request: the post chosen at sign-in while it is still held, and the second factor while it lasts."""
    extra: dict[str, Any] = {"device": request.META.get("REMOTE_ADDR", "")[:45], "second_factor": factor_holds(request)}
    chosen = request.session.get("post")
    if chosen and account.person_id:
        now = clock.now()
        held = Assignment.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), person_id=account.person_id, post_id=chosen, starts_at__lte=now)
        if held.exists():
            extra["post_id"] = UUID(chosen)
    return replace(Actor.of(account, **extra), lang=language)


def end(session_id: Any, why: str) -> int:
    """End a session; the next request it sends is nobody's. Returns how many were still open (0 or 1)."""
    return SignInSession.objects.filter(pk=session_id or None, ended_at=None).update(ended_at=clock.now(), ended_why=why)


def end_all(account: Account, why: str, *, but: Any = None) -> int:
    """End every open session of the account, `but` one."""
    return SignInSession.objects.filter(account=account, ended_at=None).exclude(pk=but or None).update(ended_at=clock.now(), ended_why=why)


def open_sessions(account: Account) -> list[SignInSession]:
    """The account's open sessions, the last used first."""
    from django.conf import settings

    since = clock.now() - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return list(SignInSession.objects.filter(account=account, ended_at=None, started_at__gte=since).order_by("-seen_at"))


@action("kernel.end_session")
def end_session(act: Act, *, session: UUID) -> None:
    """End one's own session on another device; the security administrator may end anybody's."""
    row = SignInSession.objects.select_related("account").filter(pk=session).first()
    if row is None:
        raise NOT_FOUND(kind=_("session"), key=session)
    if row.account_id != act.actor.account_id:
        access.require(act, "kernel.administer_security")
    if end(session, "ended"):
        act.state(SessionEnded(account=row.account_id, session=session), subject=f"account:{row.account_id}")


def holds_power(account: Account) -> bool:
    """Whether the account's posts hold a capability of power, so that it needs a second factor."""
    held = access.grants(Actor.of(account))
    return any(access.CAPABILITIES[code].second_factor for code in held if code in access.CAPABILITIES)


# --- second factor ---------------------------------------------------------------------------------------------------


def factor_holds(request: HttpRequest) -> bool:
    """Whether the second factor was given in this session and still lasts (one shift)."""
    until = request.session.get("second_factor_until")
    return bool(until) and datetime.fromisoformat(until) > clock.now()


def check_code(account: Account, code: str, address: str) -> None:
    """Accept a code of the account's authenticator once. kernel.wrong_code, kernel.no_factor, kernel.locked."""
    if not account.totp_secret:
        raise NO_FACTOR()
    _check_lock(account.name, address)
    step = _step_of(account.totp_secret, code)
    # A conditional update: of two requests with the same code, one wins.
    if step is None or not Account.objects.filter(pk=account.pk, totp_last__lt=step).update(totp_last=step):
        _failed(account.name, address, "factor", account)
        raise WRONG_CODE(fields=[{"field": "code", "why": str(_("wrong, too old or used before"))}])


def _step_of(secret: str, code: str) -> int | None:
    """The 30-second step whose code this is, one step early or late; None when there is none."""
    totp, code = pyotp.TOTP(secret), "".join(code.split())
    if not (code.isascii() and code.isdigit() and len(code) == 6):
        return None
    now = int(clock.now().timestamp()) // totp.interval
    for step in (now, now - 1, now + 1):
        if secrets.compare_digest(totp.generate_otp(step), code):
            return step
    return None


def step_up(request: HttpRequest, account: Account, code: str) -> None:
    """Give the second factor; it holds for the shift, in this session only."""
    check_code(account, code, request.META.get("REMOTE_ADDR", "")[:45])
    mark_step_up(request)


def mark_step_up(request: HttpRequest) -> None:
    now = clock.now()
    request.session["second_factor_until"] = (now + timedelta(hours=_policy("step_up_hours"))).isoformat()
    # A session that has gained power gets a new key: an old copy of the cookie must not gain it too.
    request.session.cycle_key()
    SignInSession.objects.filter(pk=request.session.get("sign_in") or None).update(step_up_at=now)


def new_secret() -> str:
    return pyotp.random_base32()


def enrolment(account: Account, secret: str, issuer: str) -> dict[str, str]:
    """What an authenticator needs: the otpauth URI, the secret in groups of four, and the QR code as inline SVG."""
    import segno

    uri = pyotp.TOTP(secret).provisioning_uri(name=account.name, issuer_name=issuer)
    svg = segno.make(uri, error="m").svg_inline(scale=5, dark="#111", light="#fff", omitsize=True)
    return {"uri": uri, "secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)), "svg": svg}


def enrol(act: Act, account: Account, secret: str, code: str) -> None:
    """Bind an authenticator to one's own account, proved by a code of it. kernel.factor_there, kernel.wrong_code."""
    step = _step_of(secret, code)
    if step is None:
        raise WRONG_CODE(fields=[{"field": "code", "why": str(_("wrong, too old or used before"))}])
    _bind(act, account=account.pk)
    # Outside the action's arguments: a secret has no place in the journal or among the keys of operations.
    if not Account.objects.filter(pk=account.pk, totp_secret="").update(totp_secret=secret, totp_last=step):
        raise FACTOR_THERE()


@action("kernel.enrol_factor")
def _bind(act: Act, *, account: UUID) -> None:
    if account != act.actor.account_id:
        raise NOT_FOUND(kind="account", key=account)
    row = Account.objects.select_for_update().get(pk=account)
    if row.totp_secret:
        raise FACTOR_THERE()
    act.state(SecondFactorEnrolled(account=account), subject=f"account:{account}")


# --- password and PIN ------------------------------------------------------------------------------------------------


def check_strength(password: str, account: Account) -> None:
    """kernel.invalid with what is wrong with the password."""
    try:
        password_validation.validate_password(password, account)
    except ValidationError as error:
        raise INVALID([{"field": "new", "why": message} for message in error.messages])
    if account.name and account.name.lower() in password.lower():
        raise INVALID([{"field": "new", "why": str(_("must not contain the account's name"))}])


def change_password(act: Act, account: Account, old: str, new: str, *, address: str, keep_session: Any = None) -> None:
    """Change one's own password; every other session of the account ends. kernel.wrong_password, kernel.invalid."""
    if not account.check_password(old):
        _check_lock(account.name, address)
        _failed(account.name, address, "wrong", account)
        raise INVALID([{"field": "old", "why": str(_("does not match"))}])
    if old == new:
        raise INVALID([{"field": "new", "why": str(_("must differ from the old one"))}])
    check_strength(new, account)
    set_password(act, account=account.pk, encoded=make_password(new), must_change=False)
    end_all(account, "password", but=keep_session)
    account.refresh_from_db()


@action("kernel.set_password")
def set_password(act: Act, *, account: UUID, encoded: str, must_change: bool) -> None:
    """Store a hashed password: of one's own account, or of another's as security administrator."""
    if account != act.actor.account_id:
        access.require(act, "kernel.administer_security")
    row = Account.objects.select_for_update().get(pk=account)
    row.password, row.must_change_password = encoded, must_change
    row.save(update_fields=["password", "must_change_password"])
    act.state(PasswordChanged(account=account, by_other=account != act.actor.account_id), subject=f"account:{account}")


def set_pin(act: Act, account: Account, pin: str) -> None:
    """Set the PIN for the quick change of person. kernel.weak_pin."""
    steps = {(int(b) - int(a)) % 10 for a, b in zip(pin, pin[1:], strict=False)} if pin.isascii() and pin.isdigit() else {0}
    if not (pin.isdigit() and 6 <= len(pin) <= 12) or steps in ({0}, {1}, {9}):
        raise WEAK_PIN(fields=[{"field": "pin", "why": str(_("6 to 12 digits, not a simple row"))}])
    _set_pin(act, account=account.pk, encoded=make_password(pin))


@action("kernel.set_pin")
def _set_pin(act: Act, *, account: UUID, encoded: str) -> None:
    if account != act.actor.account_id:
        raise NOT_FOUND(kind="account", key=account)
    Account.objects.filter(pk=account).update(pin_hash=encoded)
    act.state(PinSet(account=account), subject=f"account:{account}")


def check_signature(account: Account, secret: str, address: str) -> None:
    """A person signs with password or PIN (hand-over). kernel.wrong_password, kernel.locked; failures count."""
    verify(account.name, secret, address, pin=secret.isdigit() and bool(account.pin_hash))


# --- quick change of person on the shared duty PC ----------------------------------------------------------------------


def mates(actor: Actor) -> list[Account]:
    """Accounts of the other persons who hold the actor's post: whom this computer can be handed to."""
    if actor.post_id is None:
        return []
    now = clock.now()
    people = Assignment.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), post_id=actor.post_id, starts_at__lte=now).values("person_id")
    return list(
        Account.objects.filter(person_id__in=people, is_active=True, machine=False).exclude(pk=actor.account_id).select_related("person").order_by("person__pinyin", "name")
    )


def change_person(request: HttpRequest, name: str, secret: str) -> Account:
    """Hand this computer to another person of the same post, by PIN or password.

    The previous person's session ends before the new one begins; the second factor does not pass on.
    """
    previous: Actor = request.actor  # type: ignore[attr-defined]
    candidates = {account.name: account for account in mates(previous)}
    if name not in candidates:
        raise NOT_THIS_POST()
    account = verify(name, secret, request.META.get("REMOTE_ADDR", "")[:45], pin=secret.isdigit() and bool(candidates[name].pin_hash))
    post_id = previous.post_id
    with transaction.atomic():
        end(request.session.get("sign_in"), "changed_person")
        actor = Actor.of(account, post_id=post_id, device=previous.device)
        note_change(Act(actor, _actual()), before=previous.account_id, after=account.pk, post=post_id)
    begin(request, account)
    request.session["post"] = str(post_id)
    return account


@action("kernel.change_person")
def note_change(act: Act, *, before: UUID, after: UUID, post: UUID) -> None:
    """State that a duty computer passed from one person to another."""
    act.state(PersonChanged(before=before, after=after, post=post), subject=f"post:{post}")
