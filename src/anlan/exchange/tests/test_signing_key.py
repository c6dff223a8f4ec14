"""What proves a message, ours or a link's, is changed only when two natural persons have said so, for exactly that key, certificate or credential."""
from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse

from anlan.exchange import actions, keys
from anlan.exchange.models import FeedSource
from anlan.kernel import journal, parties
from anlan.kernel.errors import Problem
from anlan.kernel.models import TwoPersonRequest
from anlan.runtime.testing import make_actor, make_post
from anlan.warning.tests.builders import act

from .builders import link
from .test_take_in import message


@pytest.fixture
def two(city):
    """Two security administrators of the whole installation."""
    from anlan.kernel.models import Grant

    found = []
    for name in ("admin1", "admin2"):
        post = make_post(name, city)
        Grant.objects.create(post=post, capability=parties.ADMINISTER, starts_at="2020-01-01T00:00Z")
        found.append(make_actor(name, post))
    return found


@pytest.fixture
def asked(two, actual, settings, tmp_path):
    settings.HOME = tmp_path
    before = keys.key_id()
    name = keys.stage()
    return before, name, parties.ask(act(two[0], actual), kind=keys.SIGNING_KEY, payload={"key_id": name}, reason="yearly change")


def test_a_key_that_lies_there_signs_nothing_until_a_second_person_says_so(asked, two, actual):
    before, name, request = asked
    assert keys.key_id() == before != name
    with pytest.raises(Problem) as caught:
        parties.confirm(act(two[0], actual), request=request.pk)
    assert caught.value.kind.code == "kernel.same_person" and keys.key_id() == before
    parties.confirm(act(two[1], actual), request=request.pk)
    assert keys.key_id() == name and keys.in_force().confirmed_by_id == two[1].person_id
    (fact,) = [one for one in journal.about(f"request:{request.pk}") if one.kind == "exchange.SigningKeyChanged"]
    assert (fact.payload["before"], fact.payload["key_id"]) == (before, name)


def test_the_confirmation_holds_only_for_the_pair_that_was_asked_for(asked, two, actual, settings):
    before, name, request = asked
    other = keys.stage()
    for end in ("pem", "crt"):  # somebody lays another pair in its place
        (settings.HOME / "keys" / f"cap-signing-{other[:16]}.{end}").replace(settings.HOME / "keys" / f"cap-signing-{name[:16]}.{end}")
    with pytest.raises(Problem) as caught:
        parties.confirm(act(two[1], actual), request=request.pk)
    assert caught.value.kind.code == "exchange.bad_key" and keys.key_id() == before


def test_the_database_refuses_one_person_twice_and_an_administrator_by_rows(asked, two):
    _before, _name, request = asked
    with pytest.raises(IntegrityError), transaction.atomic():
        TwoPersonRequest.objects.filter(pk=request.pk).update(state="confirmed", confirmed_by_id=two[0].person_id)
    with pytest.raises(IntegrityError), transaction.atomic():
        TwoPersonRequest.objects.filter(pk=request.pk).update(state="confirmed")


def test_a_pair_that_does_not_belong_together_is_refused(settings, tmp_path, db):
    settings.HOME = tmp_path
    one, other = keys._fresh(), keys._fresh()
    with pytest.raises(Problem) as caught:
        keys.stage(one[0], other[1])
    assert caught.value.kind.code == "exchange.bad_key"
    assert keys.stage(*one) == keys.fingerprint(one[1])
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "keys").glob("*.pem"))


def test_it_is_asked_for_and_confirmed_on_pages(asked, client, signed_in, two, alice):
    _before, name, request = asked
    signed_in(client, two[0])
    page = client.get(reverse("kernel:request", args=[request.pk]))
    assert name in page.content.decode()
    signed_in(client, two[1])
    assert client.post(reverse("kernel:request", args=[request.pk]), {"do": "confirm"}).status_code == 302
    signed_in(client, alice)
    shown = client.get(reverse("exchange:signing_key")).content.decode()
    assert name in shown and "admin1" in shown and "admin2" in shown


def test_a_links_credential_and_certificate_hold_only_from_the_second_person_on(two, actual, alice, client, signed_in, settings, tmp_path, county):
    """Alice minds the links; she asks, and opens nothing alone."""
    settings.HOME = tmp_path
    pem = keys.certificate().decode()
    signed_in(client, alice)
    shown = client.post(reverse("exchange:source_new"), {"name": "met office", "kind": "push", "issuer": "weather_service", "certificate": pem, "enabled": "on", "reason": "agreed with them"})
    token = shown.context["token"]
    source = FeedSource.objects.get()

    def pushes():
        return client.post("/api/v1/exchange/cap", message(), content_type="application/xml", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (source.certificate, source.token_hash) == ("", "") and pushes() == 401
    request = TwoPersonRequest.objects.get()
    assert keys.fingerprint(pem.encode()) in parties.describe(request) and parties.describe(request).startswith(str(parties.KINDS[actions.LINK_TRUST]))
    with pytest.raises(Problem):
        parties.confirm(act(alice, actual), request=request.pk)
    assert str(request.requested_by) in client.get(reverse("exchange:source", args=[source.pk])).content.decode()
    parties.confirm(act(two[1], actual), request=request.pk)
    source.refresh_from_db()
    assert source.certificate == pem.strip() and pushes() == 200
    # Kept as it is, nobody is asked again; without its certificate, they are.
    values = {"name": "met office", "kind": "push", "issuer": "weather_service", "enabled": "on", "version": source.version}
    client.post(reverse("exchange:source_edit", args=[source.pk]), {**values, "certificate": pem})
    assert TwoPersonRequest.objects.count() == 1
    source.refresh_from_db()
    client.post(reverse("exchange:source_edit", args=[source.pk]), {**values, "version": source.version, "certificate": "", "reason": "they changed it"})
    assert TwoPersonRequest.objects.count() == 2 and FeedSource.objects.get().certificate == pem.strip()
    with pytest.raises(Problem) as caught:
        parties.ask(act(two[0], actual), kind=actions.LINK_TRUST, payload={"source": str(source.pk), "certificate": "no"}, reason="x")
    assert caught.value.kind.code == "exchange.bad_certificate"


def test_address_issuer_and_reading_of_a_link_are_two_persons_too(two, actual, alice, client, signed_in, settings, tmp_path):
    """One person cannot point a trusted link at another address, or make a stranger the weather service."""
    settings.HOME = tmp_path
    row = link(alice, actual, name="met office", url="https://met.invalid/feed", issuer="weather_service", issuer_name="气象局", mode="strict")
    FeedSource.objects.filter(pk=row.pk).update(etag='"v1"', last_modified="x")
    row.refresh_from_db()
    kept = ("kind", "url", "hosts", "mode", "issuer", "issuer_name")
    before = {field: getattr(row, field) for field in kept}
    signed_in(client, alice)
    form = {"kind": "poll", "url": "https://evil.invalid/feed", "hosts": "a.invalid, b.invalid", "mode": "lenient", "issuer": "other", "issuer_name": "别人", "name": "met office", "enabled": "on", "version": row.version}
    assert client.post(reverse("exchange:source_edit", args=[row.pk]), form).status_code == 422  # without a reason for the second person
    answer = client.post(reverse("exchange:source_edit", args=[row.pk]), {**form, "reason": "they moved"})
    asked = TwoPersonRequest.objects.get(state="open")
    assert answer.url == reverse("kernel:request", args=[asked.pk])
    row.refresh_from_db()
    assert {field: getattr(row, field) for field in kept} == before and row.etag == '"v1"'
    for word in ("https://met.invalid/feed → https://evil.invalid/feed", "a.invalid, b.invalid", "气象局 → 别人"):
        assert word in parties.describe(asked)
    with pytest.raises(Problem):
        parties.confirm(act(alice, actual), request=asked.pk)
    parties.confirm(act(two[1], actual), request=asked.pk)
    row.refresh_from_db()
    assert (row.url, row.hosts, row.mode, row.issuer, row.etag) == ("https://evil.invalid/feed", ["a.invalid", "b.invalid"], "lenient", "other", "")
    # What decides nothing about trust stays one person's.
    form = {**form, "name": "met office 2", "version": row.version, "enabled": ""}
    assert client.post(reverse("exchange:source_edit", args=[row.pk]), form).url == reverse("exchange:source", args=[row.pk])
    row.refresh_from_db()
    assert (row.name, row.enabled) == ("met office 2", False) and not TwoPersonRequest.objects.filter(state="open").exists()


@pytest.mark.parametrize("change", [{"issuer": "nobody"}, {"mode": "blind"}, {"kind": "guess"}, {"url": "file:///etc/passwd"}, {"url": "https://a@b.invalid/"}, {"url": 7}, {"hosts": "x"}, {}])
def test_what_a_link_cannot_be_is_not_put_to_a_second_person(two, actual, alice, change):
    row = link(alice, actual, url="https://met.invalid/feed")
    with pytest.raises(Problem):
        parties.ask(act(alice, actual), kind=actions.LINK_TRUST, payload={"source": str(row.pk), **change}, reason="x")
