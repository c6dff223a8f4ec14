"""Accounts, assignments and grants: dates, scopes, and what needs two natural persons."""
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.kernel import access, clock, parties, work
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import FORBIDDEN, ILLEGAL_STEP, SAME_PERSON, SECOND_FACTOR, Problem
from anlan.kernel.models import Account, Assignment, Fact, Grant, Organisation, Person, Post, TwoPersonRequest
from anlan.runtime.testing import LONG_AGO, make_actor, make_post, make_region

ENCODED = "pbkdf2_sha256$1$salt$YmFk"
ADMIN = "kernel.administer_security"


@pytest.fixture
def admins(actual, city):
    """Two security administrators of the whole city and one of a county, on posts of their own."""
    post = make_post("安全管理员", city, kind="security_administrator", capabilities=[ADMIN, "people.read", "people.manage"])
    return make_actor("admin1", post), make_actor("admin2", post, role="B")


@pytest.fixture
def clerk(county):
    """A person without any post."""
    unit, _ = Organisation.objects.get_or_create(name="甲县水利局", defaults={"region": county})
    return Person.objects.create(name="钱小文", organisation=unit)


def asked(act_of, **payload):
    kind = payload.pop("kind")
    return parties.ask(act_of, kind=kind, payload=payload, reason="新岗位")


@pytest.mark.django_db
def test_a_grant_is_asked_for_by_one_and_given_by_another(admins, actual, county):
    first, second = admins
    post = make_post("水利值班员", county)
    request = asked(Act(first, actual), kind="grant", post=str(post.pk), capability="orders.withdraw", region=str(county.pk), starts_at="2020-01-01T00:00:00+00:00")
    assert not Grant.objects.filter(post=post).exists()
    with pytest.raises(Problem) as refused:
        parties.confirm(Act(first, actual), request=request.pk)
    assert refused.value.kind is SAME_PERSON
    parties.confirm(Act(second, actual), request=request.pk)
    grant = Grant.objects.get(post=post)
    assert (grant.given_by, grant.confirmed_by) == (first.person_id, second.person_id)
    with pytest.raises(Problem) as again:
        parties.confirm(Act(second, actual), request=request.pk)
    assert again.value.kind is ILLEGAL_STEP
    assert [f.kind for f in Fact.objects.filter(kind__startswith="kernel.").order_by("recorded_at") if "Two" in f.kind or "Grant" in f.kind] == [
        "kernel.TwoPersonAsked", "kernel.Granted", "kernel.TwoPersonAnswered",
    ]


@pytest.mark.django_db
def test_the_request_waits_on_the_other_administrators_desk_and_leaves_it(admins, actual, county):
    first, second = admins
    post = make_post("水利值班员", county)
    request = asked(Act(first, actual), kind="grant", post=str(post.pk), capability="orders.withdraw", region=str(county.pk), starts_at="2020-01-01T00:00:00+00:00")
    assert [item.subject for item in work.waiting_for(second, actual)] == [f"request:{request.pk}"]
    parties.refuse(Act(second, actual), request=request.pk, reason="不需要")
    assert not work.waiting_for(second, actual).exists()
    assert TwoPersonRequest.objects.get().state == "refused"


@pytest.mark.django_db
def test_the_database_itself_refuses_the_same_person_twice(admins, actual):
    first, _second = admins
    row = TwoPersonRequest.objects.create(kind="grant", payload={}, reason="x", requested_by_id=first.person_id, requested_at=clock.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        TwoPersonRequest.objects.filter(pk=row.pk).update(confirmed_by_id=first.person_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        TwoPersonRequest.objects.filter(pk=row.pk).update(state="confirmed")


@pytest.mark.django_db
def test_an_outsider_can_neither_ask_nor_confirm_nor_refuse(admins, actual, county, charlie):
    first, _second = admins
    post = make_post("水利值班员", county)
    payload = {"post": str(post.pk), "capability": "orders.withdraw", "region": str(county.pk), "starts_at": "2020-01-01T00:00:00+00:00"}
    with pytest.raises(Problem) as refused:
        parties.ask(Act(charlie, actual), kind="grant", payload=payload, reason="x")
    assert refused.value.kind is FORBIDDEN
    request = parties.ask(Act(first, actual), kind="grant", payload=payload, reason="x")
    for attempt in (lambda: parties.confirm(Act(charlie, actual), request=request.pk), lambda: parties.refuse(Act(charlie, actual), request=request.pk, reason="x")):
        with pytest.raises(Problem) as refused:
            attempt()
        assert refused.value.kind is FORBIDDEN
    assert not Grant.objects.filter(post=post).exists()


@pytest.mark.django_db
def test_a_county_administrator_cannot_grant_beyond_the_county(alice, actual, county, county2, city):
    post = make_post("水利值班员", county)
    for region in (str(county2.pk), str(city.pk), ""):
        with pytest.raises(Problem) as refused:
            asked(Act(alice, actual), kind="grant", post=str(post.pk), capability="orders.withdraw", region=region, starts_at="2020-01-01T00:00:00+00:00")
        assert refused.value.kind is FORBIDDEN, region


@pytest.mark.django_db
def test_without_the_second_factor_nothing_of_power_moves(admins, actual, county):
    first, second = admins
    plain = replace(first, second_factor=False, cache={})
    post = make_post("水利值班员", county)
    with pytest.raises(Problem) as refused:
        asked(Act(plain, actual), kind="grant", post=str(post.pk), capability="orders.withdraw", region=str(county.pk), starts_at="2020-01-01T00:00:00+00:00")
    assert refused.value.kind is SECOND_FACTOR


@pytest.mark.django_db
def test_an_account_without_power_takes_one_administrator_and_one_of_power_takes_two(admins, actual, county, clerk):
    first, second = admins
    made = parties.create_account(Act(first, actual), name="qian", person=clerk.pk, encoded=make_password("first-pass-word"))
    assert made.must_change_password and made.person_id == clerk.pk
    duty = make_post("值班员", county, capabilities=["orders.withdraw"])
    chief = Person.objects.create(name="孙科长", organisation=clerk.organisation)
    with pytest.raises(Problem) as refused:
        parties.assign(Act(first, actual), person=chief.pk, post=duty.pk, starts_at=LONG_AGO)
    assert refused.value.kind is parties.NEEDS_TWO
    request = asked(Act(first, actual), kind="assignment", person=str(chief.pk), post=str(duty.pk), role="A", starts_at="2020-01-01T00:00:00+00:00")
    parties.confirm(Act(second, actual), request=request.pk)
    with pytest.raises(Problem) as refused:
        parties.create_account(Act(first, actual), name="sun", person=chief.pk, encoded=ENCODED)
    assert refused.value.kind is parties.NEEDS_TWO
    request = asked(Act(first, actual), kind="account", person=str(chief.pk), name="sun")
    parties.confirm(Act(second, actual), request=request.pk, encoded=ENCODED)
    account = Account.objects.get(name="sun")
    assert account.must_change_password and access.may(Actor.of(account), "orders.withdraw", region=county.pk)


@pytest.mark.django_db
def test_a_second_factor_is_reset_only_by_two_and_ends_the_sessions(admins, actual, alice):
    first, second = admins
    Account.objects.filter(pk=alice.account_id).update(totp_secret="JBSWY3DPEHPK3PXP", totp_last=5)
    request = asked(Act(first, actual), kind="factor_reset", account=str(alice.account_id))
    assert Account.objects.get(pk=alice.account_id).totp_secret
    parties.confirm(Act(second, actual), request=request.pk)
    assert Account.objects.get(pk=alice.account_id).totp_secret == ""


@pytest.mark.django_db
def test_the_system_administrator_can_be_the_second_person_but_never_the_first(actual, city, county):
    security = make_actor("sec", make_post("安全管理员", city, capabilities=[ADMIN]))
    system = make_actor("sys", make_post("系统管理员", city, capabilities=["kernel.administer_system"]))
    post = make_post("水利值班员", county)
    payload = {"post": str(post.pk), "capability": "orders.withdraw", "region": str(county.pk), "starts_at": "2020-01-01T00:00:00+00:00"}
    with pytest.raises(Problem) as refused:
        parties.ask(Act(system, actual), kind="grant", payload=payload, reason="x")
    assert refused.value.kind is FORBIDDEN
    request = parties.ask(Act(security, actual), kind="grant", payload=payload, reason="x")
    assert [item.subject for item in work.waiting_for(system, actual)] == [f"request:{request.pk}"]
    parties.confirm(Act(system, actual), request=request.pk)
    assert Grant.objects.get(post=post).confirmed_by == system.person_id


@pytest.mark.django_db
def test_a_password_of_power_is_reset_only_by_two(admins, actual, alice):
    first, second = admins
    with pytest.raises(Problem) as refused:
        parties.reset_password(Act(first, actual), account=alice.account_id, encoded=ENCODED)
    assert refused.value.kind is parties.NEEDS_TWO
    request = asked(Act(first, actual), kind="password_reset", account=str(alice.account_id))
    parties.confirm(Act(second, actual), request=request.pk, encoded=ENCODED)
    row = Account.objects.get(pk=alice.account_id)
    assert row.must_change_password and row.password == ENCODED


@pytest.mark.django_db
def test_nobody_holds_two_of_the_three_administrators_roles(admins, actual, city):
    first, second = admins
    audit = make_post("审计管理员", city, capabilities=["kernel.audit"])
    request = asked(Act(first, actual), kind="assignment", person=str(first.person_id), post=str(audit.pk), role="A", starts_at="2020-01-01T00:00:00+00:00")
    with pytest.raises(Problem) as refused:
        parties.confirm(Act(second, actual), request=request.pk)
    assert refused.value.kind is parties.THREE_ADMINISTRATORS
    # Nor by granting the second role to a post already held.
    post = Assignment.objects.get(person_id=first.person_id).post
    request = asked(Act(first, actual), kind="grant", post=str(post.pk), capability="kernel.audit", region=str(city.pk), starts_at="2020-01-01T00:00:00+00:00")
    with pytest.raises(Problem) as refused:
        parties.confirm(Act(second, actual), request=request.pk)
    assert refused.value.kind is parties.THREE_ADMINISTRATORS
    assert parties.doubled_administrators() == []


@pytest.mark.django_db
def test_taking_power_away_needs_one_and_works_at_once(admins, actual, alice, county, duty_post):
    first, _second = admins
    assert access.may(Actor.of(Account.objects.get(pk=alice.account_id)), "orders.withdraw", region=county.pk)
    parties.end_assignment(Act(first, actual), assignment=Assignment.objects.get(person_id=alice.person_id).pk)
    assert not access.may(Actor.of(Account.objects.get(pk=alice.account_id)), "orders.withdraw", region=county.pk)
    grant = Grant.objects.filter(post=duty_post, capability="orders.withdraw").get()
    parties.end_grant(Act(first, actual), grant=grant.pk)
    grant.refresh_from_db()
    assert grant.ends_at is not None


@pytest.mark.django_db
def test_a_machine_can_be_nobodys_second_person(admins, actual, county, machine):
    first, _second = admins
    post = make_post("水利值班员", county)
    request = asked(Act(first, actual), kind="grant", post=str(post.pk), capability="orders.withdraw", region=str(county.pk), starts_at="2020-01-01T00:00:00+00:00")
    with pytest.raises(Problem):
        parties.confirm(Act(machine, actual), request=request.pk)
    assert not Grant.objects.filter(post=post).exists()


@pytest.mark.django_db
def test_a_line_of_superiors_cannot_close_into_a_circle(admins, actual, county):
    first, _second = admins
    upper = make_post("局长", county)
    lower = make_post("科长", county, superior=upper)
    with pytest.raises(Problem) as refused:
        parties.save_post(Act(first, actual), key=upper.pk, organisation=upper.organisation_id, name="局长", region=county.pk, superior=lower.pk)
    assert refused.value.kind is parties.CIRCLE


@pytest.mark.django_db
def test_who_keeps_persons_enters_one_who_gets_pinyin_and_initials(admins, actual, clerk):
    from anlan.kernel.registers import actions as registers

    first, _second = admins
    row = registers.create(Act(first, actual), register="kernel.contact", values={"name": " 诸葛亮 ", "organisation": str(clerk.organisation_id), "mobile": "13800000001"})
    assert (row.name, row.pinyin, row.initials, row.region_id) == ("诸葛亮", "zhugeliang", "zgl", clerk.organisation.region_id)
    fact = Fact.objects.filter(kind="kernel.RegisterRowChanged").latest("recorded_at")
    assert "13800000001" not in str(fact.payload_row.payload)


@pytest.mark.django_db
def test_an_empty_installation_is_set_up_once_with_three_persons(actual):
    three = [{"name": name, "account": name, "encoded": ENCODED} for name in ("甲", "乙", "丙")]
    act = lambda: Act(Actor.machine("setup"), actual)  # noqa: E731
    with pytest.raises(Problem):
        parties.set_up(act(), installation="x", region_name="某县", region_kind="county", administrators=[three[0], three[0], three[1]])
    assert len(parties.set_up(act(), installation="某县应急管理局", region_name="某县", region_kind="county", administrators=three)) == 3
    assert parties.doubled_administrators() == []
    with pytest.raises(Problem) as refused:
        parties.set_up(act(), installation="y", region_name="某县", region_kind="county", administrators=three)
    assert refused.value.kind is parties.ALREADY_SET_UP


# --- dates and scopes: the slow, obviously right answer beside ours ------------------------------------------------------

DAY = datetime(2026, 7, 1, tzinfo=UTC)
days = st.integers(-5, 5)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    held=st.lists(st.tuples(days, st.none() | st.integers(1, 6)), max_size=3),
    granted=st.lists(st.tuples(days, st.none() | st.integers(1, 6), st.sampled_from(["city", "county", "county2", "all"])), max_size=3),
    active=st.booleans(), where=st.sampled_from(["county", "county2"]),
)
@pytest.mark.django_db
def test_a_right_holds_exactly_while_post_and_grant_both_hold_there(monkeypatch, city, county, county2, held, granted, active, where):
    now = DAY
    monkeypatch.setattr(clock, "now", lambda realm=None: now)
    regions = {"city": city, "county": county, "county2": county2, "all": None}
    with transaction.atomic():
        unit = Organisation.objects.create(name="试", region=county)
        person = Person.objects.create(name="试", organisation=unit)
        post = Post.objects.create(name="试", organisation=unit, region=county, active=active)
        for start, length in held:
            Assignment.objects.create(person=person, post=post, starts_at=DAY + timedelta(days=start), ends_at=DAY + timedelta(days=start + length) if length else None)
        for start, length, scope in granted:
            Grant.objects.create(
                post=post, capability="shift.read", region=regions[scope], starts_at=DAY + timedelta(days=start), ends_at=DAY + timedelta(days=start + length) if length else None
            )

        def holds(start, length):
            return start <= 0 and (length is None or 0 < start + length)

        below = {"city": {"county", "county2"}, "county": {"county"}, "county2": {"county2"}, "all": {"county", "county2"}}
        right = active and any(holds(*one) for one in held) and any(holds(start, length) and where in below[scope] for start, length, scope in granted)
        actor = Actor(account_id=person.pk, person_id=person.pk)
        assert access.may(actor, "shift.read", region=regions[where].pk) is right
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_a_grant_on_a_region_reaches_a_region_made_later_below_it(alice, county):
    new = make_region("甲新镇", "town", county)
    assert access.may(Actor.of(Account.objects.get(pk=alice.account_id)), "orders.read", region=new.pk)
