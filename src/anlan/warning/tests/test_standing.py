"""Standing authorisations: two persons beforehand, two independent unflagged sources on the night; nothing of a drill leaves."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines import cap
from anlan.kernel import clock, journal, work
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.models import Realm
from anlan.sensing.models import Series, Signal, Source, Station
from anlan.warning import actions, standing
from anlan.warning.gate import may_be_sent, standing_digest
from anlan.warning.models import Alert, Standing
from anlan.warning.reactions import on_sources

from .builders import act, channel

MACHINE = Actor.machine("warning")


def ask(actor, realm, region, **changes):
    values = {
        "region": region.pk, "hazard": "X-FLOOD", "colour": "red", "headline": "洪水红色预警", "description": "上游水位快速上涨。", "instruction": "请立即向高处转移。",
        "expires": clock.now(realm) + timedelta(days=90),
    }
    return standing.ask(act(actor, realm), **(values | changes))


def in_force(one, other, realm, region, **changes):
    row = ask(one, realm, region, **changes)
    return standing.confirm(act(other, realm), standing=row.pk, seen_digest=row.digest)


def gauge(code, region, credential):
    source = Source.objects.get_or_create(name=credential, defaults={"kind": "mqtt", "id": derived_id("source", credential)})[0] if credential else None
    return Station.objects.create(id=derived_id("gauge", code), code=code, name=f"{code}站", kind="level", quantities=["level"], region=region, source=source)


def says(realm, station, colour, flags=(), silent=0):
    Signal.objects.of(realm).filter(station=station).delete()
    Signal.objects.create(
        realm=realm, station=station, region=station.region, quantity="level", rule="level/own", rule_version="1", hazard="flood", colour=colour, since=clock.now(realm),
        value=58.2, unit="m", flags=list(flags),
    )
    Series.objects.update_or_create(realm=realm, station=station, quantity="level", defaults={"partition": 0, "silent": silent})


def use(realm, row):
    return standing.use(Act(MACHINE, realm, op_id=new_id()), standing=row.pk)


@pytest.fixture
def feed(db):
    return channel("cap_feed")


@pytest.fixture
def pair(county, town):
    return gauge("L1", county, "telemetry"), gauge("L2", town, "reservoir")


def test_two_agreeing_sources_warn_the_public_in_the_words_two_persons_gave(actual, county, alice, bob, feed, pair, drain):
    row = in_force(alice, bob, actual, county)
    says(actual, pair[0], 4)
    assert use(actual, row) is None, "one source is not two"
    says(actual, pair[1], 4)
    alert = use(actual, row)
    assert alert.state == "issued" and alert.issued_by is None and (alert.author, alert.approver) == (alice.person_id, bob.person_id)
    assert may_be_sent(alert, feed)
    (message,) = cap.read(bytes(alert.cap_xml)).messages
    assert message.valid and message.alert.infos[0].headline == row.headline and message.alert.status == "Actual"
    assert [line["name"] for line in alert.sources] == ["L1站", "L2站"]
    assert "warning.StandingUsed" in [fact.kind for fact in journal.why(f"alert:{alert.pk}")]
    drain()
    assert alert.attempts.get(channel=feed).state in ("sent", "delivered")
    (item,) = [item for item in work.waiting_for(alice, actual) if item.kind == "warning.standing_used"]
    actions.acknowledge(act(alice, actual), alert=alert.pk)
    item.refresh_from_db()
    assert item.state == "done"


def test_it_is_used_once_for_each_time_its_sources_agree(actual, county, alice, bob, feed, pair):
    row = in_force(alice, bob, actual, county)
    for one in pair:
        says(actual, one, 4)
    first = use(actual, row)
    assert use(actual, row) is None
    actions.expire(act(MACHINE, actual), alert=first.pk)
    assert use(actual, row) is None, "its end is not a new event"
    says(actual, pair[0], 0)
    assert use(actual, row) is None
    says(actual, pair[0], 4)
    assert use(actual, row) is not None


@pytest.mark.parametrize("spoilt", ["flagged", "silent", "lower", "elsewhere", "same credential", "other hazard"])
def test_what_does_not_count_as_a_second_source(actual, county, county2, alice, bob, feed, pair, spoilt):
    row = in_force(alice, bob, actual, county)
    says(actual, pair[0], 4)
    other = {"elsewhere": lambda: gauge("L9", county2, "neighbour"), "same credential": lambda: gauge("L3", county, "telemetry")}.get(spoilt, lambda: pair[1])()
    says(actual, other, 3 if spoilt == "lower" else 4, flags=["frozen"] if spoilt == "flagged" else [], silent=1 if spoilt == "silent" else 0)
    if spoilt == "other hazard":
        Signal.objects.of(actual).filter(station=other).update(hazard="wind")
    assert use(actual, row) is None and not Alert.plain.exists()


def test_an_outside_warning_is_a_source_and_one_hand_is_one_source(actual, county, city, alice, bob, feed, pair):
    row = in_force(alice, bob, actual, county)
    heard = {"hazard": "X-FLOOD", "colour": "red", "regions": [str(city.pk)], "text": "洪水红色预警", "expires": clock.now() + timedelta(hours=5)}
    actions.enter_by_hand(act(alice, actual), issuer="water", **heard)
    actions.enter_by_hand(act(alice, actual), issuer="higher_government", **heard)
    assert use(actual, row) is None, "two warnings taken down by one person are one source"
    says(actual, pair[0], 4)
    alert = use(actual, row)
    assert {line["source"].split(":")[0] for line in alert.sources} == {"hand", "credential"}


def test_the_flow_uses_it_when_the_second_source_speaks(actual, county, alice, bob, feed, pair, drain):
    from .test_proposals import signal

    in_force(alice, bob, actual, county)
    for one in pair:
        says(actual, one, 4)
        signal(actual, county, "red", station=one.code, hazard="flood", quantity="level")
    drain()
    assert Alert.plain.get(kind="government").state == "issued"
    facts = [fact for fact in journal.sealed_after(0) if fact.kind == "sensing.SignalChanged"]
    on_sources(facts)  # a batch read again after a crash
    assert Alert.plain.filter(kind="government").count() == 1


def test_an_authorisation_is_given_by_two_persons_for_what_they_saw(actual, county, alice, bob, charlie, machine):
    row = ask(alice, actual, county)
    for who in (alice, charlie, machine):
        with pytest.raises(Problem):
            standing.confirm(act(who, actual), standing=row.pk, seen_digest=row.digest)
    with pytest.raises(Problem) as caught:
        standing.confirm(act(bob, actual), standing=row.pk, seen_digest="sha256:other")
    assert caught.value.kind.code == "warning.content_changed"
    row = standing.confirm(act(bob, actual), standing=row.pk, seen_digest=row.digest)
    assert row.state == "in_force"
    for change in ({"confirmed_by": alice.person_id}, {"asked_by": bob.person_id}, {"confirmed_by": None}, {"confirmed_digest": "x"}, {"least": 1}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Standing.objects.of(actual).filter(pk=row.pk).update(**change)


@pytest.mark.parametrize("change", [{"least": 1}, {"hours": 0}, {"description": " "}, {"expires": datetime(2020, 1, 1, tzinfo=UTC)}, {"expires": datetime(2099, 1, 1, tzinfo=UTC)}])
def test_unsound_terms_are_refused(actual, county, alice, change):
    with pytest.raises(Problem) as caught:
        ask(alice, actual, county, **change)
    assert caught.value.kind.code == "warning.standing_terms"


def test_what_others_are_competent_for_cannot_be_authorised(actual, county, alice):
    with pytest.raises(Problem) as caught:
        ask(alice, actual, county, hazard="11B03")
    assert caught.value.kind.code == "warning.not_ours"


def test_it_ends_on_the_realms_clock_and_by_one_persons_word(replay, actual, county, alice, bob, pair, feed, drain):
    row = in_force(alice, bob, replay, county, expires=clock.now(replay) + timedelta(hours=1))
    Realm.objects.filter(pk=replay.pk).update(now_at=clock.now(replay) + timedelta(hours=2))
    replay.refresh_from_db()
    for one in pair:
        says(replay, one, 4)
    assert use(replay, row) is None
    drain()
    row.refresh_from_db()
    assert row.state == "expired" and "warning.standing_over" in [item.kind for item in work.waiting_for(alice, replay)]
    other = in_force(alice, bob, actual, county)
    for one in pair:
        says(actual, one, 4)
    alert = use(actual, other)
    assert may_be_sent(alert, feed)
    standing.end(act(alice, actual), standing=other.pk, reason="汛期结束")
    assert not may_be_sent(Alert.plain.get(pk=alert.pk), feed), "a revoked authorisation carries nothing further"


def test_in_a_drill_it_warns_its_own_posts_and_nobody_else(exercise, county, alice, bob, feed, pair, drain):
    row = in_force(alice, bob, exercise, county)
    for one in pair:
        says(exercise, one, 4)
    alert = use(exercise, row)
    drain()
    assert alert.status == "Exercise" and not may_be_sent(alert, feed) and may_be_sent(alert, actions.in_app_channel())
    assert set(alert.attempts.filter(channel=feed).values_list("state", flat=True)) <= {"refused"}


@given(
    realm_kind=st.sampled_from(["actual", "exercise", "replay"]), colours=st.lists(st.integers(-1, 4), min_size=1, max_size=4), credentials=st.lists(st.integers(0, 2), min_size=4, max_size=4),
    flags=st.lists(st.booleans(), min_size=4, max_size=4), confirmed=st.booleans(), least=st.integers(2, 3),
    after=st.sampled_from(["", "revoke", "expire", "tamper alert", "tamper standing", "fewer sources", "forge approver", "update"]),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_leaves_unattended_but_under_a_sound_authorisation(
    realm_kind, colours, credentials, flags, confirmed, least, after, actual, county, alice, bob
):
    """Random sources × realms × tampering: what passes a public channel was authorised by two, rests on enough sources, and says exactly that."""
    realm = actual if realm_kind == "actual" else Realm.objects.create(kind=realm_kind, name=realm_kind)
    out = channel("cap_feed", name=str(new_id()))
    Standing.objects.everything().update(state="expired")
    Alert.plain.filter(state="issued").update(state="expired")
    row = ask(alice, realm, county, least=least, channels=[str(out.pk)])
    if confirmed:
        row = standing.confirm(act(bob, realm), standing=row.pk, seen_digest=row.digest)
    good = set()
    for number, colour in enumerate(colours):
        name = f"P{number}{credentials[number]}"
        one = Station.objects.filter(code=name).first() or gauge(name, county, f"c{credentials[number]}")
        says(realm, one, colour, flags=["late"] if flags[number] else [])
        if colour == 4 and not flags[number]:
            good.add(credentials[number])
    alert = use(realm, row)
    assert (alert is not None) == (confirmed and len(good) >= least)
    Signal.objects.of(realm).delete()
    if alert is None:
        return
    spoilt = after != ""
    if after == "revoke":
        standing.end(act(alice, realm), standing=row.pk, reason="x")
    elif after == "expire":
        Standing.objects.everything().filter(pk=row.pk).update(expires=clock.now(realm) - timedelta(seconds=1))
    elif after == "tamper alert":
        Alert.plain.filter(pk=alert.pk).update(headline="无事")
    elif after == "tamper standing":
        Standing.objects.everything().filter(pk=row.pk).update(description="无事")
    elif after == "fewer sources":
        Alert.plain.filter(pk=alert.pk).update(sources=alert.sources[:1] * 5)
    elif after == "forge approver":
        Alert.plain.filter(pk=alert.pk).update(approver=new_id())
    elif after == "update":
        Alert.plain.filter(pk=alert.pk).update(msg_type="Alert", instruction="别的话")
    verdict = may_be_sent(Alert.plain.get(pk=alert.pk), out)
    assert bool(verdict) == (realm.is_actual and not spoilt), verdict.reason
    assert verdict or verdict.reason


def test_the_pages_ask_confirm_and_revoke(client, actual, county, alice, bob, charlie, signed_in):
    channel("text_file", name="大喇叭")
    signed_in(client, alice)
    answer = client.post(reverse("warning:standing_new"), {
        "places": county.name, "hazard": "X-FLOOD", "colour": "red", "least": "2", "headline": "洪水红色预警", "description": "水位上涨。", "hours": "6",
        "expires": (clock.local(clock.now()) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M"),
    })
    assert answer.status_code == 302, answer.content.decode()[:3000]
    row = Standing.objects.everything().get()
    page = reverse("warning:standing", args=[row.pk])
    assert client.get(page).status_code == client.get(reverse("warning:standings")).status_code == client.get(reverse("warning:standing_new")).status_code == 200
    assert client.post(page, {"step": "confirm", "seen_digest": row.digest}).status_code == 409
    signed_in(client, charlie)
    assert client.get(page).status_code == 404
    signed_in(client, bob)
    assert row.digest in client.get(page).content.decode()
    assert client.post(page, {"step": "confirm", "seen_digest": row.digest}).status_code == 302
    assert client.post(page, {"step": "end", "reason": "不再需要"}).status_code == 302
    row.refresh_from_db()
    assert row.state == "revoked" and standing_digest(row) == row.digest
    assert [fact.kind for fact in journal.about(f"standing:{row.pk}")] == ["warning.StandingAsked", "warning.StandingConfirmed", "warning.StandingEnded"]
