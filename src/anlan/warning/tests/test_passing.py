"""When a channel does not get through: the next takes over, then a person; pace, faults and floods of targets."""
import json
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.urls import reverse

from anlan.engines.cap.proving import prove
from anlan.kernel import clock, journal, outbound, work
from anlan.kernel.errors import Problem
from anlan.kernel.models import Due, Person
from anlan.kernel.registers import actions as registers
from anlan.runtime.testing import make_region
from anlan.warning import actions, arrival, delivery, following, gate, passing, people, ports, proof, queries
from anlan.warning.adapters.sms import adapter as sms_adapter
from anlan.warning.models import Alert, AlertRegion, Attempt, Channel, Device, Receipt, Responsible

from .builders import act, channel, issued, lie, of, read_lines
from .test_delivery import gateway, sms, states  # noqa: F401

BATCH = {"batch": 4, "each": {"to": "{number}", "key": "{id}", "content": "{text}"}, "body": {"messages": "{messages}"}, "results": "results"}


def passed(row):
    return [fact.payload for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.DeliveryPassedOn"]


def test_a_failed_channel_passes_its_places_to_the_next_and_at_last_to_a_named_person(actual, town, alice, bob, gateway, drain):  # noqa: F811
    village, other = make_region("东村", "village", town, population=300), make_region("西村", "village", town, population=900)
    calls = channel("voice", name="外呼", settings={"url": gateway.url + "/call", "body": {"n": "{number}", "say": "{text}"}, "ok": {"path": "code", "value": 0}, "posts": True}, keeper=Person.objects.get(pk=alice.person_id))
    loud = channel("loudspeaker", settings={"broker": {"host": "127.0.0.1", "port": 1, "tls": False}, "topic": "s/{device}"}, fallback=calls)
    for place in (village, other):
        Device.plain.create(code=place.name, name=place.name, kind="loudspeaker", channel=loud, region=place)
    row = issued(alice, bob, actual, town, channels=[str(loud.pk)])
    assert gate.may_be_sent(row, calls).ok  # a chosen channel passes on to it; two persons have set that
    assert not gate.may_be_sent(row, sms(gateway)).ok
    drain()
    Attempt.plain.filter(alert=row, channel=loud, state="queued").update(state="failed", permanent=True)
    delivery.deliver(row.pk)
    drain()
    # Nobody with a number holds a post there: the person who minds the channel gets the list.
    assert [(one["to"], one["missing"]) for one in passed(row)] == [("", 2)]
    item = work.waiting_for(alice, actual).get(kind=passing.CALL)
    assert item.params["count"] == 2 and item.level == "red"
    first = arrival.of(Alert.plain.get(pk=row.pk))["unreached"]
    assert [place.region.name for place in first[:2]] == ["西村", "东村"]
    for place in first:
        passing.told(act(alice, actual), alert=row.pk, region=place.region.pk, by="王支书")
    assert arrival.of(Alert.plain.get(pk=row.pk))["unreached"] == [] and not work.waiting_for(alice, actual).filter(kind=passing.CALL).exists()
    assert {receipt.person for receipt in Receipt.plain.filter(attempt__alert=row, text="王支书")} == {alice.person_id}
    assert "王支书" not in json.dumps([fact.payload for fact in journal.about(f"alert:{row.pk}")], ensure_ascii=False)
    delivery.deliver(row.pk)
    assert len(passed(row)) == 1


def test_what_fails_for_good_goes_out_by_the_next_channel_at_once(actual, county, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"code": 17}), (200, {"code": 0, "id": "v"})]
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    row = issued(alice, bob, actual, county, channels=[str(first.pk)])
    drain()
    assert [json.loads(body)["to"] for _path, _headers, body in gateway.seen] == ["13800000001", "13900000001"]
    assert [(one["to"], one["missing"], one["silent"]) for one in passed(row)] == [(str(second.pk), 1, False)]
    assert Attempt.plain.get(alert=row, channel=second).state == "sent" and not work.waiting_for(alice, actual).filter(kind=passing.CALL).exists()


def test_what_was_passed_on_and_told_by_voice_stands_in_the_proof_and_no_number_does(actual, town, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"code": 17, "message": "no such number 138-0000-0001"}), (200, {"code": 0, "id": "v"})]
    feed = channel("cap_feed")
    second = channel("voice", name="second", settings={"url": gateway.url + "/call", "body": {"n": "{number}", "say": "{text}"}, "ok": {"path": "code", "value": 0}, "numbers": ["13900000001"]}, audience="public")
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    row = issued(alice, bob, actual, town, channels=[str(first.pk), str(feed.pk)])
    drain()
    passing.told(act(alice, actual), alert=row.pk, region=town.pk, by="王支书")
    actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    journal.seal()
    made = list(proof.bundle(bob, row.pk))
    lines = prove(made, read_lines(made)[0]["public_key"])
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]
    assert {one["adapter"] for one in of(read_lines(made), "attempt")} >= {"sms", "voice", "cap_feed", "in_app"}
    assert any("told by voice" in line.what for line in lines)
    told = b"".join(made).decode()
    assert "13800000001" not in told and "13900000001" not in told and "138-0000-0001" not in told and "no such number …" in told

    def believed(change):
        def changed(records):
            first = next(record["alert"]["id"] for record in records if "alert" in record)
            attempts = [record["attempt"] for record in records if "attempt" in record and record["attempt"]["alert"] == first]
            others = [record for record in records if record.get("attempt", {}).get("alert") != first]
            change(attempts)
            records[:] = others + [{"attempt": one} for one in sorted(attempts, key=lambda one: (one["channel"], one["target"], one["number"]))]

        return all(line.ok for line in prove(lie(made, changed)))

    assert believed(lambda attempts: None)
    for adapter in ("sms", "voice", "cap_feed", "in_app"):
        assert not believed(lambda attempts, adapter=adapter: attempts.remove(next(one for one in attempts if one["adapter"] == adapter))), adapter
    assert not believed(lambda attempts: attempts.append({**attempts[0], "id": "x", "target": "somebody else"}))
    assert not believed(lambda attempts: next(one for one in attempts if one["adapter"] == "cap_feed").update(target="another")), "not the same ones"
    assert not believed(lambda attempts: attempts.remove(next(one for one in attempts if one["target"].startswith("voice:"))))


def test_an_attempt_or_receipt_changed_removed_or_added_since_it_was_counted_shows_in_the_proof(actual, town, alice, bob, gateway, drain, monkeypatch):  # noqa: F811
    monkeypatch.setattr(delivery, "SETTLED", timedelta())
    one = sms(gateway)
    row = issued(alice, bob, actual, town)
    drain()
    keys = [str(attempt.pk) for attempt in Attempt.plain.filter(alert=row, channel=one).order_by("target")]
    delivery.record_receipt(one, keys[0], True, kind="read")
    delivery.record_receipt(one, keys[1], False, "空号")
    delivery.recount(act(alice, actual), alert=row.pk)
    counted = [fact.payload for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.DeliveryFinished" and fact.payload["channel"] == str(one.pk)]
    assert [(said["attempts"], said["receipts"], said["counts"]) for said in counted] == [(2, 0, {"sent": 2}), (2, 2, {"delivered": 1, "failed": 1})]
    delivery.recount(act(alice, actual), alert=row.pk)
    delivery.record_receipt(one, keys[0], True, kind="acknowledged")  # not counted yet, and no lie
    journal.seal()
    made = list(proof.bundle(bob, row.pk))
    lines = prove(made)
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]
    assert any("its 2 attempts and 2 receipts are those the journal counted" in line.what for line in lines)

    def found(change):
        def changed(records):
            change({record["attempt"]["id"]: record["attempt"] for record in records if "attempt" in record}, records)

        return [line.what for line in prove(lie(made, changed)) if not line.ok]

    assert found(lambda rows, records: None) == []
    lies = [
        lambda rows, records: rows[keys[0]].update(state="failed"),
        lambda rows, records: rows[keys[0]].update(reference="another"),
        lambda rows, records: rows[keys[0]].update(claimed_at=(clock.now() + timedelta(hours=1)).isoformat()),
        lambda rows, records: rows[keys[1]].update(receipts=[], state="delivered"),
        lambda rows, records: rows[keys[1]]["receipts"][0].update(text="已收到"),
        lambda rows, records: rows[keys[1]]["receipts"][0].update(kind="read"),
        lambda rows, records: rows[keys[1]]["receipts"].append({"kind": "read", "at": rows[keys[1]]["receipts"][0]["at"], "text": ""}),
        lambda rows, records: records.remove({"attempt": rows[keys[1]]}),
        lambda rows, records: records.insert(records.index({"attempt": rows[keys[1]]}) + 1, {"attempt": {**rows[keys[1]], "number": 2, "state": "sent", "receipts": []}}),
    ]
    for lied in lies:
        assert any("sms" in what and "since the journal counted 2 attempts and 2 receipts" in what for what in found(lied)), lies.index(lied)


def test_the_end_goes_by_the_channel_that_stood_in_and_only_to_whom_it_told(actual, town, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"code": 17}), (200, {"code": 0, "id": "v"})]
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    row = issued(alice, bob, actual, town, channels=[str(first.pk)])
    drain()
    assert [one.channel.name for one in Attempt.plain.filter(alert=row, state="sent", channel__adapter="sms")] == ["second"]
    Channel.objects.filter(pk=second.pk).update(settings=second.settings | {"numbers": ["13900000001", "13900000002"]})
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    got = {(one.channel.name, one.target, one.state) for one in Attempt.plain.filter(alert=end, channel__adapter="sms")}
    assert got == {("first", "", "refused"), ("second", "13900000001", "sent")}, "nobody hears the end of what they never heard"


def test_the_next_channel_ends_what_the_first_one_told_and_cannot_end(actual, town, alice, bob, gateway, drain):  # noqa: F811
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    row = issued(alice, bob, actual, town, channels=[str(first.pk)])
    drain()
    gateway.answers[:] = [(200, {"code": 17}), (200, {"code": 0, "id": "v"})]
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    assert {(one.channel.name, one.state) for one in Attempt.plain.filter(alert=end, channel__adapter="sms")} == {("first", "failed"), ("second", "sent")}


def test_an_end_leaves_by_what_stood_in_though_it_would_not_stand_in_any_more(actual, town, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"code": 17}), (200, {"code": 0, "id": "v"}), (200, {"code": 0, "id": "w"}), (200, {"code": 0, "id": "x"})]
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    row = issued(alice, bob, actual, town, channels=[str(first.pk)])
    drain()
    assert {(one.channel.name, one.state) for one in Attempt.plain.filter(alert=row, channel__adapter="sms")} == {("first", "failed"), ("second", "sent")}
    Channel.objects.filter(pk=first.pk).update(fallback=None)
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    assert gate.may_be_sent(end, second) and not gate.may_be_sent(Alert.plain.get(pk=row.pk), second)
    drain()
    assert Attempt.plain.get(alert=end, channel=second).state == "sent"


@pytest.mark.parametrize("next_one", [True, False])
def test_an_end_that_a_channel_may_not_bring_any_more_goes_by_the_next_or_to_a_person(actual, town, alice, bob, gateway, drain, next_one):  # noqa: F811
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second if next_one else None)
    row = issued(alice, bob, actual, town, channels=[str(first.pk)])
    drain()
    assert states(row, "sms") == ["sent"]
    actions.switch_off_channel(act(alice, actual), channel=first.pk, reason="坏了")
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    assert {(one.channel.name, one.state) for one in Attempt.plain.filter(alert=end, channel__adapter="sms")} == {("first", "refused")} | ({("second", "sent")} if next_one else set())
    assert work.waiting_for(alice, actual).filter(kind=passing.CALL).count() == (0 if next_one else 1)
    delivery.deliver(end.pk)
    assert work.waiting_for(alice, actual).filter(kind=passing.CALL).count() == (0 if next_one else 1)


def test_nobody_still_warned_is_called_with_the_all_clear_of_others(actual, county, town, alice, bob, drain):
    far = make_region("甲二镇", "town", county)
    row = issued(alice, bob, actual, county, channels=[])
    drain()
    for place in (town, far):
        passing.told(act(alice, actual), alert=row.pk, region=place.pk, by="王支书")
    newer = actions.update(act(alice, actual), alert=row.pk, changes={"regions": [str(town.pk)]})
    actions.submit(act(alice, actual), alert=newer.pk)
    actions.approve(act(bob, actual), alert=newer.pk, seen_hash=newer.content_hash)
    newer = actions.issue(act(bob, actual), alert=newer.pk)
    drain()
    end = following.end_dropped(act(bob, actual), alert=newer.pk)
    drain()
    counts = {item.subject: item.params["count"] for item in work.waiting_for(alice, actual).filter(kind=passing.CALL)}
    assert counts == {f"alert:{newer.pk}": 1, f"alert:{end.pk}": 1}


def test_who_was_told_by_voice_is_called_again_when_it_ends(actual, town, alice, bob, drain):
    row = issued(alice, bob, actual, town, channels=[])
    drain()
    passing.told(act(alice, actual), alert=row.pk, region=town.pk, by="王支书")
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    (item,) = [item for item in work.waiting_for(alice, actual) if item.kind == passing.CALL]
    assert item.subject == f"alert:{end.pk}" and item.params["count"] == 1
    delivery.deliver(end.pk)
    assert work.waiting_for(alice, actual).filter(kind=passing.CALL).count() == 1
    passing.told(act(alice, actual), alert=end.pk, region=town.pk, by="王支书")
    assert not work.waiting_for(alice, actual).filter(kind=passing.CALL).exists()


def test_places_an_update_leaves_out_get_the_all_clear_that_was_approved(actual, county, town, alice, bob, gateway, drain):  # noqa: F811
    far = make_region("甲二镇", "town", county)
    one = sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    drain()
    newer = actions.update(act(alice, actual), alert=row.pk, changes={"regions": [str(town.pk)]})
    actions.submit(act(alice, actual), alert=newer.pk)
    actions.approve(act(bob, actual), alert=newer.pk, seen_hash=newer.content_hash)
    newer = actions.issue(act(bob, actual), alert=newer.pk)
    drain()
    (item,) = [item for item in work.waiting_for(alice, actual) if item.kind == following.DROPPED]
    assert item.params["places"] == "甲二镇" and item.subject == f"alert:{newer.pk}"
    end = following.end_dropped(act(bob, actual), alert=newer.pk)
    drain()
    assert end.region_ids == [str(far.pk)] and end.headline == row.endings["all_clear"]["headline"]
    assert Attempt.plain.get(alert=end, channel=one).state == "sent" and not work.waiting_for(alice, actual).filter(kind=following.DROPPED).exists()
    assert Alert.plain.get(pk=newer.pk).state == "issued" and Alert.plain.get(pk=row.pk).state == "updated"
    assert gate.may_be_sent(Alert.plain.get(pk=newer.pk), one), "the update itself stands"
    with pytest.raises(Problem):
        following.end_dropped(act(bob, actual), alert=newer.pk)
    end.content_hash = end.approved_hash = gate.content_hash(end, [county.pk])
    AlertRegion.plain.filter(alert=end).update(region_id=county.pk)
    assert not gate.may_be_sent(end, one), "never for what is still warned"
    journal.seal()
    AlertRegion.plain.filter(alert=end).update(region_id=far.pk)
    lines = prove(proof.bundle(bob, row.pk))
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]


def test_whom_a_smaller_area_in_the_same_places_holds_no_more_is_told_and_nobody_else(actual, county, town, alice, bob, gateway, drain):  # noqa: F811
    west, south, east, north = town.west, town.south, town.east, town.north

    def part(share):
        right = west + (east - west) * share
        return {"polygon": [[west, south], [right, south], [right, north], [west, north], [west, south]]}

    for code, share in (("in", 0.2), ("out", 0.8)):
        Responsible.objects.create(
            code=code, kind="village", place=code, name="张三", mobile=f"1380000000{int(share * 10)}", region=town, lon=west + (east - west) * share, lat=(south + north) / 2,
        )
    feed = channel("cap_feed")
    one = sms(gateway, settings={"numbers": ["13911111111"], "entries": [{"register": "warning.responsible", "phone": "mobile"}]})
    row = issued(alice, bob, actual, town, channels=[str(one.pk), str(feed.pk)], drawn=part(0.95))
    drain()
    assert {"13800000002", "13800000008"} <= set(Attempt.plain.filter(alert=row, channel=one, state="sent").values_list("target", flat=True))

    def narrowed(earlier, share):
        newer = actions.update(act(alice, actual), alert=earlier.pk, changes={"drawn": part(share), "regions": [str(town.pk)]})
        actions.submit(act(alice, actual), alert=newer.pk)
        actions.approve(act(bob, actual), alert=newer.pk, seen_hash=newer.content_hash)
        newer = actions.issue(act(bob, actual), alert=newer.pk)
        drain()
        return newer

    newer = narrowed(row, 0.5)
    (item,) = [item for item in work.waiting_for(alice, actual) if item.kind == following.DROPPED]
    assert item.params["count"] == 1 and following.waits(newer) == "end_dropped"
    end = following.end_dropped(act(bob, actual), alert=newer.pk)
    drain()
    assert [(one.channel.adapter, one.target, one.state) for one in Attempt.plain.filter(alert=end)] == [("sms", "13800000008", "sent")], "the others are warned still"
    assert not gate.may_be_sent(end, feed) and b"<geocode>" not in bytes(end.cap_xml) and b"<polygon>" not in bytes(end.cap_xml)
    assert not work.waiting_for(alice, actual).filter(kind__in=[following.DROPPED, passing.CALL], subject=f"alert:{end.pk}").exists() and following.waits(newer) == ""
    assert following.waits(narrowed(newer, 0.45)) == "", "told already"
    last = Alert.plain.filter(series=row.series, state="issued", msg_type="Update").get()
    over = actions.end_as_prepared(act(bob, actual), alert=last.pk, how="all_clear")
    drain()
    assert set(Attempt.plain.filter(alert=over, channel=one).values_list("target", flat=True)) == {"13800000002", "13911111111"}, "nobody hears the end twice"
    journal.seal()
    lines = prove(proof.bundle(bob, row.pk))
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]


@pytest.mark.parametrize("then", ["cleared", "updated", "warned again"])
def test_places_left_out_still_get_their_all_clear_when_the_update_is_over(actual, county, town, alice, bob, gateway, drain, then):  # noqa: F811
    far = make_region("甲二镇", "town", county)
    one = sms(gateway, settings={"numbers": ["13800000001"]})

    def changed(row, *places):
        newer = actions.update(act(alice, actual), alert=row.pk, changes={"regions": [str(place.pk) for place in places]})
        actions.submit(act(alice, actual), alert=newer.pk)
        actions.approve(act(bob, actual), alert=newer.pk, seen_hash=newer.content_hash)
        newer = actions.issue(act(bob, actual), alert=newer.pk)
        drain()
        return newer

    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    drain()
    newer = changed(row, town)
    if then == "cleared":
        actions.end_as_prepared(act(bob, actual), alert=newer.pk, how="all_clear")
    else:
        changed(newer, town, *([far] if then == "warned again" else []))
    drain()
    if then == "warned again":
        assert not following.waits(Alert.plain.get(pk=newer.pk)) and not work.waiting_for(alice, actual).filter(kind=following.DROPPED).exists()
        with pytest.raises(Problem):
            following.end_dropped(act(bob, actual), alert=newer.pk)
        return
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind == following.DROPPED] == [f"alert:{newer.pk}"]
    end = following.end_dropped(act(bob, actual), alert=newer.pk)
    drain()
    assert end.region_ids == [str(far.pk)] and Attempt.plain.get(alert=end, channel=one).state == "sent"


def test_who_was_taken_off_the_list_since_hears_the_end_and_who_was_put_on_it_too(actual, county, alice, bob, gateway, drain):  # noqa: F811
    one = sms(gateway, settings={"numbers": ["13800000001", "13800000002"]})
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    drain()
    Channel.objects.filter(pk=one.pk).update(settings=one.settings | {"numbers": ["13800000001", "13800000003"]})
    end = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    assert {(found.target, found.state) for found in Attempt.plain.filter(alert=end, channel=one)} == {(f"1380000000{n}", "sent") for n in (1, 2, 3)}
    (whole,) = [found for found in queries.nobody_skipped(end) if found["channel"] == str(one.pk)]
    assert whole["same"] and whole["targets"] == 3


def test_receipts_that_do_not_come_pass_on_by_the_clock(actual, county, alice, bob, gateway, drain):  # noqa: F811
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001", "13800000002"]}, fallback=second, silent_minutes=5)
    gateway.answers[:] = [(200, {"code": 0, "id": "a"}), (200, {"code": 0, "id": "b"}), (200, {"code": 0, "id": "c"})]
    row = issued(alice, bob, actual, county, channels=[str(first.pk)])
    drain()
    assert delivery.record_receipt(first, "a", ok=True) and passed(row) == []
    Attempt.plain.filter(alert=row, channel=first).update(ended_at=clock.now() - timedelta(minutes=6))
    passing.look_for_silence(act(alice, actual), alert=row.pk)
    drain()
    assert [(one["to"], one["missing"], one["silent"]) for one in passed(row)] == [(str(second.pk), 1, True)]
    assert Attempt.plain.get(alert=row, channel=second).state == "sent"


def test_what_the_gateway_took_and_then_could_not_bring_passes_on_without_waiting_for_silence(actual, county, alice, bob, gateway, drain):  # noqa: F811
    second = sms(gateway, name="second", settings={"numbers": ["13900000001"]})
    first = sms(gateway, name="first", settings={"numbers": ["13800000001"]}, fallback=second)
    gateway.answers[:] = [(200, {"code": 0, "id": "a"}), (200, {"code": 0, "id": "b"})]
    row = issued(alice, bob, actual, county, channels=[str(first.pk)])
    drain()
    assert delivery.record_receipt(first, "a", ok=False, text="no such number")
    timers = Due.objects.filter(timer="warning.retry", subject=f"alert:{row.pk}")
    assert timers.count() == 1
    timers.update(due_at=clock.now() - timedelta(seconds=1))
    drain()
    assert [(one["to"], one["missing"]) for one in passed(row)] == [(str(second.pk), 1)] and Attempt.plain.get(alert=row, channel=second).state == "sent"
    told = [fact.payload["counts"] for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.DeliveryFinished" and fact.payload["channel"] == str(first.pk)]
    assert told == [{"sent": 1}, {"failed": 1}]


def test_only_a_person_of_the_place_notes_who_was_told_and_only_where_it_is_warned(actual, county, county2, alice, bob, charlie, drain, client, signed_in):
    row = issued(alice, bob, actual, county, channels=[])
    drain()
    for actor, region, by in ((charlie, county, "x"), (alice, county2, "x"), (alice, county, " ")):
        with pytest.raises(Problem):
            passing.told(act(actor, actual), alert=row.pk, region=region.pk, by=by)
    signed_in(client, alice)
    assert client.post(reverse("warning:do", args=[row.pk, "told"]), {"region": str(county.pk), "by": "李镇长"}).status_code == 302
    assert "甲县" in client.get(reverse("warning:alert", args=[row.pk])).content.decode()


def test_a_channel_cannot_pass_back_to_itself(actual, alice):
    body = {"url": "https://sms.invalid/send", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"]}
    rows = [registers.create(act(alice, actual), register="warning.channel", values={"name": name, "adapter": "sms", "settings": body}) for name in "甲乙"]
    registers.change(act(alice, actual), register="warning.channel", row=rows[0].pk, changes={"fallback": str(rows[1].pk)})
    with pytest.raises(Problem):
        registers.change(act(alice, actual), register="warning.channel", row=rows[1].pk, changes={"fallback": str(rows[0].pk)})


def test_switching_a_channel_off_does_not_let_its_author_confirm_it(actual, alice, bob):
    body = {"url": "https://sms.invalid/send", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"]}
    row = registers.create(act(alice, actual), register="warning.channel", values={"name": "甲", "adapter": "sms", "settings": body})
    actions.switch_off_channel(act(bob, actual), channel=row.pk, reason="先停")
    with pytest.raises(Problem):
        actions.confirm_channel(act(alice, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)
    actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)
    actions.switch_off_channel(act(bob, actual), channel=row.pk, reason="坏了")
    with pytest.raises(Problem):
        actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)
    actions.confirm_channel(act(alice, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)


def test_nobody_confirms_what_they_set_in_a_channel_before_another_touched_it(actual, alice, bob, commander):
    body = {"url": "https://sms.invalid/send", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"]}
    row = registers.create(act(alice, actual), register="warning.channel", values={"name": "甲", "adapter": "sms", "settings": body})
    registers.change(act(bob, actual), register="warning.channel", row=row.pk, changes={"per_minute": 60})

    def confirmed(actor):
        return actions.confirm_channel(act(actor, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version).enabled

    for actor in (alice, bob):
        with pytest.raises(Problem):
            confirmed(actor)
    assert confirmed(commander)
    registers.change(act(bob, actual), register="warning.channel", row=row.pk, changes={"per_minute": 90})
    assert confirmed(alice), "what stood was confirmed: she has changed nothing since"


def test_the_pace_of_a_channel_holds_and_the_rest_waits(actual, county, alice, bob, gateway, drain, monkeypatch):  # noqa: F811
    at = [clock.now()]  # a machine that stands still for minutes must not let a minute of pace pass
    monkeypatch.setattr(clock, "now", lambda realm=None: at[0])
    sms(gateway, settings={"numbers": [f"1380000000{n}" for n in range(5)]}, per_minute=2)
    row = issued(alice, bob, actual, county)
    drain()
    assert states(row, "sms") == ["queued"] * 3 + ["sent"] * 2
    at[0] += timedelta(seconds=59)
    delivery.deliver(row.pk)
    assert len(gateway.seen) == 2
    at[0] += timedelta(seconds=2)
    delivery.deliver(row.pk)
    assert states(row, "sms") == ["queued"] + ["sent"] * 4


def test_a_claim_takes_no_more_than_it_was_told_however_it_is_planned(actual, county, alice, bob, gateway, drain):  # noqa: F811
    one = sms(gateway, settings={"numbers": [f"1380000000{n}" for n in range(5)]}, per_minute=1)
    row = issued(alice, bob, actual, county)
    drain()
    with connection.cursor() as cursor:
        for way in ("hashjoin", "hashagg", "mergejoin", "material", "memoize", "sort"):
            cursor.execute(f"SET LOCAL enable_{way} = off")
        now = clock.now()
        cursor.execute(delivery.CLAIM, [now, row.pk, one.pk, now, 2])
        assert len(cursor.fetchall()) == 2, "a subquery in a nested loop is run again for each row, and each time takes others"


def numbers(name, count):
    path = people.list_path(name)
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(f"139{n:08d}" for n in range(count)) + "\nnonsense\n139" + "0" * 8 + "\n", encoding="ascii")


class Bulk:
    """A gateway that takes many in one call, in this thread; drops keys it has had. `faults` go before answers, one a call."""

    def __init__(self, monkeypatch, *faults):
        self.had, self.calls, self.faults = {}, 0, list(faults)
        monkeypatch.setattr(sms_adapter.outbound, "request", self.request)

    def request(self, method, url, *, content, **_rest):
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else None
        messages = json.loads(content)["messages"]
        for one in messages if fault != "hangs" else []:
            self.had.setdefault(one["key"], one["to"])
        if fault == "hangs" or fault == "loses the answer":
            raise outbound.FAILED(host="gateway", reason="ReadTimeout")
        if callable(fault):
            fault()
        body = b"<html>down" if fault == "nonsense" else json.dumps({"results": [{"code": 0, "id": one["key"]} for one in messages]}).encode()
        return outbound.Response(503 if fault == "busy" else 200, {}, body, url)


def retry(row):
    Attempt.plain.filter(alert=row, state="queued").update(not_before=None)
    delivery.deliver(row.pk)


def test_a_gateway_that_hangs_talks_nonsense_is_busy_and_recovers_gets_each_message_and_nobody_is_skipped(actual, county, alice, bob, drain, monkeypatch):
    numbers("many", 10)
    one = channel("sms", settings={"url": "https://bulk.invalid/", "list": "many", "ok": {"path": "code", "value": 0}, "reference": "id", **BATCH})
    bulk = Bulk(monkeypatch, "hangs", "nonsense", "busy")
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    drain()
    assert states(row, "sms").count("failed") == 10 and bulk.calls == 3
    retry(row)
    assert states(row, "sms").count("sent") == 10 and set(bulk.had.values()) == {f"139{n:08d}" for n in range(10)}
    (whole,) = [found for found in queries.nobody_skipped(Alert.plain.get(pk=row.pk)) if found["channel"] == str(one.pk)]
    assert whole == {"channel": str(one.pk), "targets": 10, "rows": 10, "same": True, "open": 0}
    gone = Attempt.plain.filter(alert=row, channel=one, number=1).first()
    Attempt.plain.filter(first=gone).update(first=None)
    gone.delete()
    assert not next(found for found in queries.nobody_skipped(Alert.plain.get(pk=row.pk)) if found["channel"] == str(one.pk))["same"]


def test_devices_and_desks_do_not_wait_for_numbers_to_be_listed(actual, county, alice, bob, gateway, drain, monkeypatch):  # noqa: F811
    one, file = sms(gateway, settings={"numbers": ["13800000001"]}), channel("text_file", settings={"folder": "sign"})
    seen = []
    listed = people.ByNumber.targets

    def slow(self, channel, alert):
        seen.append(sorted(set(Attempt.plain.filter(alert=alert).values_list("channel__adapter", "state"))))
        return listed(self, channel, alert)

    monkeypatch.setattr(people.ByNumber, "targets", slow)
    row = issued(alice, bob, actual, county, channels=[str(one.pk), str(file.pk)])
    drain()
    assert seen == [[("in_app", "sent"), ("text_file", "delivered")]] and states(row, "sms") == ["sent"]
    order = [ports.adapters()[one.adapter].code for one in sorted([one, file, channel("siren"), channel("webhook"), actions.in_app_channel()], key=delivery._turn)]
    assert order[0] == "siren" and order[1] == "in_app" and order[-1] == "sms"


def test_a_crash_while_targets_are_listed_goes_on_where_it_was(actual, county, alice, bob, drain, monkeypatch):
    numbers("many", 9)
    one = channel("sms", settings={"url": "https://bulk.invalid/", "list": "many", "reference": "id", **BATCH})
    bulk = Bulk(monkeypatch)
    monkeypatch.setattr(delivery, "PORTION", 4)
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    delivery.queue_targets(row, one, [*people.targets(one, row)][:4])  # as the one that was killed had
    drain()
    assert len(bulk.had) == 9 and states(row, "sms") == ["sent"] * 9


def test_a_cancel_overtakes_a_running_send(actual, county, alice, bob, drain, monkeypatch):
    numbers("many", 12)
    one = channel("sms", settings={"url": "https://bulk.invalid/", "list": "many", "reference": "id", **BATCH})
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    bulk = Bulk(monkeypatch, lambda: actions.end_as_prepared(act(bob, actual), alert=row.pk, how="cancel"))
    delivery.deliver(row.pk)
    # One portion was on its way; not one more followed.
    assert bulk.calls == 1 and len(bulk.had) == 4 and states(row, "sms") == ["refused"] * 8 + ["sent"] * 4


def test_lost_receipts_pass_on_and_a_late_one_still_counts(actual, county, alice, bob, drain, monkeypatch):
    numbers("many", 2)
    one = channel("sms", settings={"url": "https://bulk.invalid/", "list": "many", "reference": "id", **BATCH}, silent_minutes=1)
    Bulk(monkeypatch)
    row = issued(alice, bob, actual, county, channels=[str(one.pk)])
    drain()
    Attempt.plain.filter(alert=row, channel=one).update(ended_at=clock.now() - timedelta(minutes=2))
    passing.look_for_silence(act(alice, actual), alert=row.pk)
    assert [(fact["to"], fact["missing"]) for fact in passed(row)] == [("", 2)]
    late = Attempt.plain.filter(alert=row, channel=one).first()
    assert delivery.record_receipt(one, late.reference, ok=True)
    assert [left.pk for left in passing.missing(Alert.plain.get(pk=row.pk), one, clock.now())] != [] and late.pk not in {left.pk for left in passing.missing(Alert.plain.get(pk=row.pk), one, clock.now())}


def test_lists_of_numbers_lie_beside_the_database(actual):
    numbers("many", 1)
    assert people.list_path("many").is_relative_to(django_settings.HOME)
    with pytest.raises(ValueError):
        people.list_path("../keys/x")
    assert not Channel.objects.filter(settings__icontains="13900000000").exists()
