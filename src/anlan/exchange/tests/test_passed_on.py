"""What we passed on and its issuer then changed or lifted: whoever heard the one hears the other."""
from __future__ import annotations

import pytest

from anlan.engines.cap.proving import prove
from anlan.kernel import journal, work
from anlan.kernel.errors import Problem
from anlan.runtime.testing import make_region
from anlan.warning import actions, following, gate, proof
from anlan.warning.models import Alert, AlertRegion, Attempt, Channel
from anlan.warning.tests.builders import act, channel

from .test_take_in import message, take

FIRST = "met@example.invalid,a1,2026-07-20T06:00:00+08:00"
SECOND = "met@example.invalid,u1,2026-07-20T07:00:00+08:00"


@pytest.fixture
def passed(actual, county, alice, bob, drain):
    """An outside warning that went to the public through us by one of two channels."""
    sign, other = channel("text_file", settings={"folder": "signs"}), channel("text_file", name="other", settings={"folder": "other"})
    outside = take(alice, actual, message())["received"][0]
    row = actions.relay(act(alice, actual), alert=outside, channels=[str(sign.pk)])
    actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    row = actions.issue(act(bob, actual), alert=row.pk)
    drain()
    assert Attempt.plain.get(alert=row, channel=sign).state == "delivered"
    return row, sign, other


def lift(actor, realm, **extra):
    return Alert.plain.get(pk=take(actor, realm, message(identifier="c1", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references=FIRST), **extra)["received"][0])


def test_the_issuers_cancel_ends_it_at_once_and_one_step_tells_whoever_heard_it(passed, actual, alice, bob, drain):
    row, sign, other = passed
    said = lift(alice, actual)
    row.refresh_from_db()
    assert row.state == "cancelled" and not gate.may_be_sent(row, sign)
    (item,) = [item for item in work.waiting_for(alice, actual) if item.kind == following.LIFTED]
    assert item.subject == f"alert:{said.pk}" and item.level == "red"
    end = following.pass_on_end(act(bob, actual), alert=said.pk)
    drain()
    assert (end.kind, end.msg_type, end.sender, end.sent, end.identifier, end.channels) == ("relay", "Cancel", said.sender, said.sent, "c1", [str(sign.pk)])
    assert bytes(end.cap_xml) == bytes(said.original.raw), "the issuer's own message"
    assert {one.channel.adapter: one.state for one in Attempt.plain.filter(alert=end)} == {"text_file": "delivered", "in_app": "sent"}
    assert not Attempt.plain.filter(alert=end, channel=other).exists()
    assert not work.waiting_for(alice, actual).filter(kind=following.LIFTED).exists()
    with pytest.raises(Problem):
        following.pass_on_end(act(bob, actual), alert=said.pk)
    journal.seal()
    lines = prove(proof.bundle(bob, end.pk))
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]
    assert any("words of the issuer" in line.what for line in lines)


@pytest.mark.parametrize("change", [{"headline": "x"}, {"description": "x"}, {"sender": "met2@example.invalid"}, {"channels": []}])
def test_nothing_but_the_issuers_words_leaves_in_one_step(passed, actual, alice, bob, change):
    _row, sign, _other = passed
    end = following.pass_on_end(act(bob, actual), alert=lift(alice, actual).pk)
    assert gate.may_be_sent(end, sign)
    for name, value in change.items():
        setattr(end, name, value)
    end.content_hash = end.approved_hash = gate.content_hash(end)  # as if it had been approved so
    assert not gate.may_be_sent(end, sign)


def test_strangers_and_what_never_left_pass_nothing_on(passed, actual, alice, bob, charlie):
    said = lift(alice, actual)
    with pytest.raises(Problem):
        following.pass_on_end(act(charlie, actual), alert=said.pk)
    Attempt.plain.all().update(state="failed")
    with pytest.raises(Problem):
        following.pass_on_end(act(bob, actual), alert=said.pk)


def test_who_heard_what_we_stop_passing_on_is_seen_to_by_a_person(passed, actual, alice, bob, client, signed_in):
    row, sign, _other = passed
    actions.cancel(act(alice, actual), alert=row.pk, reason="选错渠道")
    (item,) = [one for one in work.waiting_for(alice, actual) if one.kind == following.WITHDRAWN]
    assert item.subject == f"alert:{row.pk}" and sign.name in item.params["channels"] and item.params["count"] == gate.heard(row, own=True).count() >= 1
    assert Alert.plain.filter(kind="relay").count() == 1, "nothing of ours says that the issuer's warning is over"
    page = signed_in(client, alice).get(f"/warning/alerts/{row.pk}").content.decode()
    assert "/do/acknowledge" in page and ("并未解除" in page or "has not lifted it" in page), "what the button says is said before it"
    actions.acknowledge(act(alice, actual), alert=row.pk)
    assert not [one for one in work.waiting_for(alice, actual) if one.kind == following.WITHDRAWN]


def test_nobody_is_asked_about_what_nobody_heard(passed, actual, alice):
    row, _sign, _other = passed
    Attempt.plain.filter(alert=row).update(state="failed")
    actions.cancel(act(alice, actual), alert=row.pk, reason="选错渠道")
    assert not [one for one in work.waiting_for(alice, actual) if one.kind == following.WITHDRAWN]


def test_a_change_of_it_goes_where_it_went_and_replaces_it_there(passed, actual, alice, bob, drain):
    row, sign, _other = passed
    newer = take(alice, actual, message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST))["received"][0]
    row.refresh_from_db()
    assert row.state == "updated"
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind == following.CHANGED] == [f"alert:{newer}"]
    again = actions.relay(act(alice, actual), alert=newer)
    assert again.channels == [str(sign.pk)] and again.predecessor_id == row.pk
    actions.approve(act(bob, actual), alert=again.pk, seen_hash=again.content_hash)
    again = actions.issue(act(bob, actual), alert=again.pk)
    drain()
    assert Attempt.plain.get(alert=again, channel=sign).state == "delivered" and not work.waiting_for(alice, actual).filter(kind=following.CHANGED).exists()
    said = Alert.plain.get(pk=take(alice, actual, message(identifier="c2", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references="met@example.invalid,u1,2026-07-20T07:00:00+08:00"))["received"][0])
    end = following.pass_on_end(act(bob, actual), alert=said.pk)
    assert end.predecessor_id == again.pk and Alert.plain.filter(kind="relay", msg_type="Cancel").count() == 1


def test_places_the_issuer_leaves_out_are_seen_to_by_a_person(passed, actual, county, alice, bob, drain):
    row, _sign, _other = passed
    far = make_region("丙县", "county")
    AlertRegion.plain.create(realm_id=row.realm_id, alert=row, region=far, how="chosen")
    newer = take(alice, actual, message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST))["received"][0]
    again = actions.relay(act(alice, actual), alert=newer)
    actions.approve(act(bob, actual), alert=again.pk, seen_hash=again.content_hash)
    actions.issue(act(bob, actual), alert=again.pk)
    (item,) = [one for one in work.waiting_for(alice, actual) if one.kind == following.WITHDRAWN]
    assert item.subject == f"alert:{again.pk}" and item.params["places"] == "丙县"


@pytest.mark.parametrize("references", [f"{FIRST} {SECOND}", f"{SECOND} {FIRST}"])
def test_an_end_that_names_all_before_it_ends_the_newest_we_passed_on(passed, actual, alice, bob, drain, references):
    newer = take(alice, actual, message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST))["received"][0]
    again = actions.relay(act(alice, actual), alert=newer)
    actions.approve(act(bob, actual), alert=again.pk, seen_hash=again.content_hash)
    actions.issue(act(bob, actual), alert=again.pk)
    drain()
    said = take(alice, actual, message(identifier="c2", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references=references))["received"][0]
    assert following.pass_on_end(act(bob, actual), alert=said).predecessor_id == again.pk


@pytest.mark.parametrize("given_up", [True, False])
def test_a_change_that_never_went_out_does_not_stand_between_the_people_and_the_end(passed, actual, alice, bob, given_up):
    row, sign, _other = passed
    newer = take(alice, actual, message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST))["received"][0]
    draft = actions.relay(act(alice, actual), alert=newer)
    if given_up:
        actions.drop(act(alice, actual), alert=draft.pk, reason="不转")
    said = take(alice, actual, message(identifier="c2", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references="met@example.invalid,u1,2026-07-20T07:00:00+08:00"))["received"][0]
    assert [item.kind for item in work.waiting_for(alice, actual) if item.kind == following.LIFTED] == [following.LIFTED]
    end = following.pass_on_end(act(bob, actual), alert=said)
    assert end.predecessor_id == row.pk and gate.may_be_sent(end, sign)


def test_what_was_lifted_by_telephone_needs_two_persons_to_say_so(actual, county, alice, bob, drain):
    sign = channel("text_file", settings={"folder": "signs"})
    outside = actions.enter_by_hand(act(alice, actual), hazard="11B03", colour="red", issuer="weather_service", regions=[str(county.pk)], text="大暴雨")
    row = actions.relay(act(alice, actual), alert=outside.pk, channels=[str(sign.pk)])
    actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    actions.issue(act(bob, actual), alert=row.pk)
    drain()
    actions.end_outside(act(alice, actual), alert=outside.pk, reason="气象台 15 时电话解除")
    row.refresh_from_db()
    assert row.state == "cancelled"
    said = Alert.plain.get(kind="outside", msg_type="Cancel")
    end = following.pass_on_end(act(alice, actual), alert=said.pk)
    assert end.state == "review" and not gate.may_be_sent(end, sign)
    with pytest.raises(Problem):
        actions.approve(act(alice, actual), alert=end.pk, seen_hash=end.content_hash)
    actions.approve(act(bob, actual), alert=end.pk, seen_hash=end.content_hash)
    end = actions.issue(act(bob, actual), alert=end.pk)
    drain()
    assert Attempt.plain.get(alert=end, channel=sign).state == "delivered" and end.description == "气象台 15 时电话解除"


def test_loudspeakers_stop_when_the_end_is_passed_on(passed, actual, county, alice, bob, monkeypatch, drain):
    from anlan.warning import broker
    from anlan.warning.models import Device
    from anlan.warning.ports import Outcome

    row, _sign, _other = passed
    loud = channel("loudspeaker", settings={"broker": {"host": "127.0.0.1", "port": 1, "tls": False}, "topic": "s/{device}"})
    village = make_region("东村", "village", county)
    Device.plain.create(code="d1", name="d1", kind="loudspeaker", channel=loud, region=village)
    Alert.plain.filter(pk=row.pk).update(channels=[*row.channels, str(loud.pk)])
    row.refresh_from_db()
    row.content_hash = row.approved_hash = gate.content_hash(row)
    row.save()
    played = Attempt.plain.create(realm=actual, alert=row, channel=loud, target="d1", state="delivered", region=village)
    told = []
    monkeypatch.setattr(broker, "publish", lambda channel, messages: told.extend(messages) or Outcome(True))
    following.pass_on_end(act(bob, actual), alert=lift(alice, actual).pk)
    drain()
    assert [topic for topic, _body in told] == ["s/d1"] and str(played.pk).encode() in told[0][1] and Channel.objects.filter(pk=loud.pk).exists()


def test_an_end_that_came_before_the_change_it_ends_still_reaches_whoever_heard_the_first(passed, actual, alice, bob):
    row, sign, _other = passed
    said = take(alice, actual, message(identifier="c2", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references="met@example.invalid,u1,2026-07-20T07:00:00+08:00"))["received"][0]
    newer = take(alice, actual, message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST))["received"][0]
    row.refresh_from_db()
    assert row.state == "updated" and Alert.plain.get(pk=newer).state == "cancelled"
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind in (following.LIFTED, following.CHANGED)] == [f"alert:{said}"]
    end = following.pass_on_end(act(bob, actual), alert=said)
    assert end.predecessor_id == row.pk and gate.may_be_sent(end, sign)


@pytest.mark.parametrize("relayed", [True, False])
def test_what_was_changed_and_then_lifted_by_telephone_is_lifted_where_the_first_went(actual, county, alice, bob, drain, relayed):
    sign, _other = channel("text_file", settings={"folder": "signs"}), channel("text_file", name="other", settings={"folder": "other"})

    def told(colour):
        return actions.enter_by_hand(act(alice, actual), hazard="11B03", colour=colour, issuer="weather_service", regions=[str(county.pk)], text="大暴雨")

    def passed_on(outside, **extra):
        row = actions.relay(act(alice, actual), alert=outside.pk, **extra)
        actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
        row = actions.issue(act(bob, actual), alert=row.pk)
        drain()
        return row

    last = first = passed_on(told("orange"), channels=[str(sign.pk)])
    newer = told("red")
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind == following.CHANGED] == [f"alert:{newer.pk}"]
    if relayed:
        last = passed_on(newer)
        assert last.predecessor_id == first.pk and last.channels == [str(sign.pk)] and Attempt.plain.get(alert=last, channel=sign).state == "delivered"
    actions.end_outside(act(alice, actual), alert=newer.pk, reason="气象台 15 时电话解除")
    said = Alert.plain.get(kind="outside", msg_type="Cancel")
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind in (following.LIFTED, following.CHANGED)] == [f"alert:{said.pk}"]
    assert following.pass_on_end(act(alice, actual), alert=said.pk).predecessor_id == last.pk


@pytest.mark.parametrize("order", ["12", "21"])
def test_two_changes_ask_for_the_newest_to_be_passed_on_whichever_came_first(passed, actual, alice, bob, drain, order):
    row, sign, _other = passed
    texts = {
        "1": message(identifier="u1", sent="2026-07-20T07:00:00+08:00", kind="Update", references=FIRST),
        "2": message(identifier="u2", sent="2026-07-20T08:00:00+08:00", kind="Update", references=SECOND),
    }
    for one in order:
        take(alice, actual, texts[one])
    row.refresh_from_db()
    newest = Alert.plain.get(identifier="u2")
    assert row.state == "updated" and Alert.plain.get(identifier="u1").state == "updated" and newest.state == "received"
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind == following.CHANGED] == [f"alert:{newest.pk}"]
    after = actions.relay(act(alice, actual), alert=newest.pk)
    assert after.predecessor_id == row.pk and after.channels == [str(sign.pk)]


@pytest.mark.parametrize("status", ["Draft", "System", "Test"])
def test_what_its_issuer_did_not_mean_for_anybody_is_not_passed_on_as_real(actual, alice, status):
    outside = take(alice, actual, message().replace(b"<status>Actual</status>", f"<status>{status}</status>".encode()))["received"][0]
    assert Alert.plain.get(pk=outside).status == status
    with pytest.raises(Problem):
        actions.relay(act(alice, actual), alert=outside)


@pytest.mark.parametrize("late", [False, True])
def test_an_end_of_two_unrelated_warnings_is_passed_on_for_both(passed, actual, county2, alice, bob, drain, late):
    first, sign, other = passed
    outside = take(alice, actual, message(identifier="b1", sent="2026-07-20T06:30:00+08:00"))["received"][0]
    row = actions.relay(act(alice, actual), alert=outside, channels=[str(other.pk)])
    actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    second = actions.issue(act(bob, actual), alert=row.pk)
    drain()
    names = [FIRST, "met@example.invalid,b1,2026-07-20T06:30:00+08:00"]
    raw = message(identifier="c2", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references=" ".join(reversed(names) if late else names))
    said = Alert.plain.get(pk=take(alice, actual, raw)["received"][0])
    assert said.also and {row.pk for row in following.relays_of(said)} == {first.pk, second.pk}
    following.pass_on_end(act(bob, actual), alert=said.pk)
    drain()
    journal.seal()
    for before, way in ((first, sign), (second, other)):
        end = Alert.plain.get(predecessor=before, kind="relay")
        assert end.msg_type == "Cancel" and Attempt.plain.get(alert=end, channel=way).state == "delivered"
        lines = prove(proof.bundle(bob, end.pk))
        assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]
