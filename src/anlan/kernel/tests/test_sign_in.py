"""Signing in: lock-out, sessions, second factor, quick change of person."""
from datetime import timedelta

import pyotp
import pytest

from anlan.kernel import clock, sign_in
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.models import Account, Fact, SignInSession, SignInTry

PASSWORD = "correct horse battery"


def account_of(actor):
    return Account.objects.get(pk=actor.account_id)


def post_sign_in(client, name="alice", password=PASSWORD, **extra):
    return client.post("/sign-in", {"name": name, "password": password, **extra})


@pytest.mark.django_db
def test_the_sign_in_page_is_open_and_every_other_page_is_not(client, alice):
    assert client.get("/sign-in").status_code == 200
    answer = client.get("/account")
    assert answer.status_code == 302 and answer["Location"] == "/sign-in?next=%2Faccount"
    assert client.get("/api/v1/nothing-here", headers={"Accept": "application/json"}).status_code in (401, 404)


@pytest.mark.django_db
def test_name_and_password_open_a_session_and_wrong_ones_do_not(client, alice):
    assert post_sign_in(client, password="wrong").status_code == 401
    assert post_sign_in(client).status_code == 302
    assert client.get("/account").status_code == 200
    assert list(SignInTry.objects.order_by("at").values_list("ok", "why")) == [(False, "wrong"), (True, "")]


@pytest.mark.django_db
def test_an_unknown_name_is_answered_like_a_wrong_password(client, alice):
    unknown, wrong = post_sign_in(client, "nobody"), post_sign_in(client, password="x")
    assert unknown.status_code == wrong.status_code == 401
    assert unknown.context["form"].non_field_errors() == wrong.context["form"].non_field_errors()


@pytest.mark.django_db
def test_five_wrong_tries_lock_the_account_even_for_the_right_password_and_time_opens_it(client, alice, actual):
    for _ in range(5):
        post_sign_in(client, password="wrong")
    locked = post_sign_in(client)
    assert locked.status_code == 401 and "account" not in client.session
    assert Fact.objects.filter(kind="kernel.AccountLocked").count() == 1
    # From another address it is locked too; another account is not.
    assert client.post("/sign-in", {"name": "alice", "password": PASSWORD}, REMOTE_ADDR="10.0.0.9").status_code == 401
    SignInTry.objects.update(at=clock.now() - timedelta(minutes=16))
    assert post_sign_in(client).status_code == 302


@pytest.mark.django_db
def test_one_address_cannot_guess_at_many_accounts(client, alice, bob):
    for number in range(30):
        post_sign_in(client, f"name{number}", "guess")
    with pytest.raises(Problem) as refused:
        sign_in.verify("bob", PASSWORD, "127.0.0.1")
    assert refused.value.kind is sign_in.LOCKED
    assert sign_in.verify("bob", PASSWORD, "10.1.1.1").name == "bob"


@pytest.mark.django_db
def test_a_success_clears_the_accounts_count(client, alice):
    for _ in range(4):
        post_sign_in(client, password="wrong")
    post_sign_in(client)
    for _ in range(4):
        post_sign_in(client, password="wrong")
    assert sign_in.lock_ends("alice", "10.0.0.2") is None


@pytest.mark.django_db
def test_a_session_ended_elsewhere_is_nobodys_at_the_next_request(client, alice, signed_in):
    signed_in(client, alice)
    assert client.get("/account").status_code == 200
    sign_in.end_all(account_of(alice), "ended")
    assert client.get("/account").status_code == 302


@pytest.mark.django_db
def test_a_closed_account_is_out_at_once(client, alice, signed_in):
    signed_in(client, alice)
    Account.objects.filter(pk=alice.account_id).update(is_active=False)
    assert client.get("/account").status_code == 302


@pytest.mark.django_db
def test_one_may_not_end_a_strangers_session(alice, charlie, actual, client, signed_in):
    signed_in(client, alice)
    session = SignInSession.objects.get()
    from dataclasses import replace

    plain = replace(charlie, second_factor=False, cache={})
    with pytest.raises(Problem):
        sign_in.end_session(Act(plain, actual), session=session.pk)
    session.refresh_from_db()
    assert session.ended_at is None


@pytest.mark.django_db
def test_the_first_password_must_be_changed_before_anything_else(client, alice, signed_in):
    account = account_of(alice)
    account.must_change_password = True
    account.save()
    signed_in(client, alice)
    assert client.get("/account")["Location"] == "/account/password"
    weak = client.post("/account/password", {"old": PASSWORD, "new": "short", "again": "short"})
    assert weak.status_code == 200 and weak.context["form"].errors["new"]
    good = client.post("/account/password", {"old": PASSWORD, "new": "three blue herons", "again": "three blue herons"})
    assert good.status_code == 302
    assert client.get("/account").status_code == 200  # this session goes on
    assert account_of(alice).check_password("three blue herons")


@pytest.mark.django_db
def test_changing_the_password_ends_the_other_sessions(client, alice, signed_in):
    from django.test import Client

    other = signed_in(Client(), alice)
    signed_in(client, alice)
    client.post("/account/password", {"old": PASSWORD, "new": "three blue herons", "again": "three blue herons"})
    assert client.get("/account").status_code == 200
    assert other.get("/account").status_code == 302


# --- second factor ----------------------------------------------------------------------------------------------------


@pytest.fixture
def secret(alice):
    made = pyotp.random_base32()
    Account.objects.filter(pk=alice.account_id).update(totp_secret=made)
    return made


@pytest.mark.django_db
def test_a_code_gives_the_second_factor_for_this_session_and_counts_once(client, alice, secret):
    assert "/second-factor" in post_sign_in(client)["Location"]
    code = pyotp.TOTP(secret).now()
    assert client.post("/second-factor", {"code": code, "next": "/account"}).status_code == 302
    assert client.get("/account").wsgi_request.actor.second_factor
    from django.test import Client

    other = Client()
    post_sign_in(other)
    assert not other.get("/account").wsgi_request.actor.second_factor
    assert other.post("/second-factor", {"code": code}).status_code == 401  # replayed


@pytest.mark.django_db
def test_an_old_code_and_nonsense_are_refused(alice, secret):
    account = account_of(alice)
    old = pyotp.TOTP(secret).at(clock.now() - timedelta(minutes=5))
    for code in (old, "12345", "abcdef", "", "１２３４５６"):
        with pytest.raises(Problem) as refused:
            sign_in.check_code(account, code, f"10.0.0.{len(code)}")
        assert refused.value.kind in (sign_in.WRONG_CODE, sign_in.LOCKED)


@pytest.mark.django_db
def test_guessing_codes_locks_the_account(alice, secret):
    for _ in range(5):
        with pytest.raises(Problem):
            sign_in.check_code(account_of(alice), "000000", "10.0.0.1")
    with pytest.raises(Problem) as refused:
        sign_in.check_code(account_of(alice), pyotp.TOTP(secret).now(), "10.0.0.1")
    assert refused.value.kind is sign_in.LOCKED


@pytest.mark.django_db
def test_a_second_factor_is_bound_by_proving_a_code_and_cannot_be_bound_twice(client, alice, signed_in):
    signed_in(client, alice)
    page = client.get("/second-factor/enrol")
    assert b"<svg" in page.content and b"style=" not in page.content.split(b"<svg")[1].split(b"</svg>")[0]
    secret = page.context["secret"].replace(" ", "")
    assert client.post("/second-factor/enrol", {"code": "000000"}).status_code == 401
    assert account_of(alice).totp_secret == ""
    assert client.post("/second-factor/enrol", {"code": pyotp.TOTP(secret).now(), "next": "/account"}).status_code == 302
    assert account_of(alice).totp_secret == secret
    assert client.get("/second-factor/enrol").status_code == 302  # now it asks for the code instead


@pytest.mark.django_db
def test_the_factor_ends_with_the_shift(client, alice, signed_in):
    signed_in(client, alice)
    session = client.session
    session["second_factor_until"] = (clock.now() - timedelta(seconds=1)).isoformat()
    session.save()
    assert not client.get("/account").wsgi_request.actor.second_factor


# --- change of person -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_duty_computer_passes_to_the_next_person_by_pin_and_the_first_ones_power_ends(client, alice, bob, actual, signed_in):
    sign_in.set_pin(Act(bob, actual), account_of(bob), "482913")
    signed_in(client, alice)
    old_key = client.session.session_key
    assert client.post("/change-person", {"name": "bob", "secret": "000111"}).status_code == 200  # refused, form again
    assert client.post("/change-person", {"name": "bob", "secret": "482913"}).status_code == 302
    request = client.get("/account").wsgi_request
    assert request.actor.account_id == bob.account_id and request.actor.post_id == alice.post_id
    assert not request.actor.second_factor, "the second factor must not pass on"
    assert SignInSession.objects.get(account_id=alice.account_id).ended_why == "changed_person"
    client.cookies["sessionid"] = old_key
    assert client.get("/account").status_code == 302, "the old cookie is dead"


@pytest.mark.django_db
def test_an_outsider_cannot_take_over_with_a_pin(client, alice, charlie, actual, signed_in):
    sign_in.set_pin(Act(charlie, actual), account_of(charlie), "482913")
    signed_in(client, alice)
    answer = client.post("/change-person", {"name": "charlie", "secret": "482913"})
    assert answer.status_code == 200 and answer.context["form"].non_field_errors()
    assert client.get("/account").wsgi_request.actor.account_id == alice.account_id


@pytest.mark.django_db
def test_a_pin_does_not_sign_in_at_the_front_door(client, bob, actual):
    sign_in.set_pin(Act(bob, actual), account_of(bob), "482913")
    assert post_sign_in(client, "bob", "482913").status_code == 401


@pytest.mark.parametrize("pin", ["111111", "123456", "654321", "12345", "abcdef", "9012345678901"])
@pytest.mark.django_db
def test_simple_pins_are_refused(alice, actual, pin):
    with pytest.raises(Problem) as refused:
        sign_in.set_pin(Act(alice, actual), account_of(alice), pin)
    assert refused.value.kind is sign_in.WEAK_PIN


@pytest.mark.django_db
def test_no_secret_of_a_person_enters_the_journal(client, alice, actual, signed_in):
    from anlan.kernel.models import FactPayload, Operation

    signed_in(client, alice)
    client.post("/account/password", {"old": PASSWORD, "new": "three blue herons", "again": "three blue herons"})
    client.post("/account", {"do": "pin", "pin": "482913"})
    written = str(list(FactPayload.objects.values_list("payload", flat=True))) + str(list(Operation.objects.values_list("answer", flat=True)))
    assert "herons" not in written and "482913" not in written and not any(f"{name}$" in written for name in ("scrypt", "md5"))
