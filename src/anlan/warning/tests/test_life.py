"""An alert's life: corrections that wake nobody, ends that were approved beforehand, one thread, and the proof of it all."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from anlan.engines import cap
from anlan.engines.cap.proving import prove
from anlan.kernel import clock, journal
from anlan.kernel.errors import Problem
from anlan.kernel.models import Due
from anlan.warning import actions, gate, proof, queries, texts
from anlan.warning.forms import Compose, names
from anlan.warning.gate import may_be_sent
from anlan.warning.models import Alert, Attempt

from .builders import act, channel, draft, issued, lie, of, read_lines


@pytest.fixture
def out(actual, county, alice, bob, drain):
    """A public warning that has left by a feed and a text file."""
    feed, file = channel("cap_feed"), channel("text_file", settings={"folder": "led"})
    row = issued(alice, bob, actual, county)
    drain()
    return Alert.plain.get(pk=row.pk), feed, file


def corrected(alice, bob, realm, row, **changes):
    silent = actions.correct(act(alice, realm), alert=row.pk, changes=changes)
    actions.submit(act(alice, realm), alert=silent.pk)
    actions.approve(act(bob, realm), alert=silent.pk, seen_hash=silent.content_hash)
    return actions.issue(act(bob, realm), alert=silent.pk)


def test_a_silent_correction_reaches_the_feed_and_wakes_nobody_again(out, actual, alice, bob, drain):
    row, feed, file = out
    silent = corrected(alice, bob, actual, row, contact="12345")
    drain()
    assert may_be_sent(silent, feed) and not may_be_sent(silent, file)
    assert Alert.plain.get(pk=row.pk).state == "updated"
    told = set(Attempt.plain.filter(alert=row, channel__adapter="in_app").values_list("target", flat=True))
    again = set(Attempt.plain.filter(alert=silent, channel__adapter="in_app", state="sent").values_list("target", flat=True))
    assert again == told  # nobody has confirmed yet: the duty to confirm goes on with the corrected text
    assert cap.read(bytes(silent.cap_xml)).messages[0].alert.infos[0].parameter("anlan:silent") == "true"
    assert draft(alice, actual, row.region).series != row.pk == silent.series


@pytest.mark.parametrize("changes", [{"colour": "orange"}, {"hazard": "11A"}, {"regions": []}, {"expires": None}, {}])
def test_a_correction_of_more_than_words_is_refused(out, actual, alice, changes):
    with pytest.raises(Problem) as caught:
        actions.correct(act(alice, actual), alert=out[0].pk, changes=changes)
    assert caught.value.kind.code == "warning.not_silent"


def test_a_silent_draft_cannot_be_edited_into_more(out, actual, alice):
    silent = actions.correct(act(alice, actual), alert=out[0].pk, changes={"contact": "1"})
    with pytest.raises(Problem) as caught:
        actions.edit(act(alice, actual), alert=silent.pk, colour="blue")
    assert caught.value.kind.code == "warning.not_silent"


@pytest.mark.parametrize("how", ["cancel", "all_clear"])
def test_one_person_on_shift_lets_out_the_end_that_two_approved(out, actual, alice, drain, how):
    row, feed, file = out
    done = actions.end_as_prepared(act(alice, actual), alert=row.pk, how=how)
    drain()
    done = Alert.plain.get(pk=done.pk)
    assert (done.state, done.msg_type, done.headline) == ("issued", "Cancel", row.endings[how]["headline"])
    assert Alert.plain.get(pk=row.pk).state == "cancelled" and not may_be_sent(Alert.plain.get(pk=row.pk), feed)
    assert may_be_sent(done, feed) and may_be_sent(done, file)
    assert Attempt.plain.get(alert=done, channel=file).state in ("sent", "delivered")
    assert ("AllClear" in done_info(done).response_types) == (how == "all_clear")


def done_info(row):
    return cap.read(bytes(row.cap_xml)).messages[0].alert.infos[0]


def test_an_end_whose_words_were_changed_does_not_leave(out, actual, alice):
    row, feed, _file = out
    done = actions.end_as_prepared(act(alice, actual), alert=row.pk, how="all_clear")
    done.description = "一切正常，不必理会任何预警。"
    done.content_hash = done.approved_hash = gate.content_hash(done)
    assert not may_be_sent(done, feed)


TIBETAN = {"headline": "ཆུ་ལོག", "description": "ཆུ་ལོག་ཡོང་གི་འདུག"}


@pytest.mark.parametrize("how", ["prepared", "written"])
def test_an_end_stands_as_long_as_its_warning_would_and_until_the_last_has_it(actual, county, alice, bob, how):
    paced = channel("text_file", settings={"folder": "slow"})
    row = issued(alice, bob, actual, county, expires=clock.now() + timedelta(days=2))
    Attempt.plain.create(realm=actual, alert=row, channel=paced, target="a", state="sent")
    if how == "prepared":
        clear = actions.end_as_prepared(act(alice, actual), alert=row.pk, how="all_clear")
    else:
        clear = actions.cancel(act(alice, actual), alert=row.pk, reason="误报")
        actions.approve(act(bob, actual), alert=clear.pk, seen_hash=clear.content_hash)
        clear = actions.issue(act(bob, actual), alert=clear.pk)
    timer = Due.objects.get(timer="warning.expire", subject=f"alert:{clear.pk}")
    assert clear.expires == timer.due_at == row.expires, "whoever fetches late still holds the warning until then"
    waits = Attempt.plain.create(realm=actual, alert=clear, channel=paced, target="a")
    actions.expire(act(alice, actual), alert=clear.pk)
    clear.refresh_from_db()
    assert clear.state == "issued" and may_be_sent(clear, paced) and Due.objects.filter(timer="warning.expire", subject=f"alert:{clear.pk}").exists()
    Attempt.plain.filter(pk=waits.pk).update(state="delivered")
    actions.expire(act(alice, actual), alert=clear.pk)
    clear.refresh_from_db()
    assert clear.state == "expired"


@pytest.mark.parametrize("said", [{}, {"all_clear": "ཉེན་ཁ་མེད\nཕྱིར་ལོག", "cancel": "ནོར་འཁྲུལ"}])
def test_an_end_is_said_in_every_language_of_its_warning(actual, county, alice, bob, drain, said):
    feed = channel("cap_feed")
    row = issued(alice, bob, actual, county, translations={"bo-CN": TIBETAN | said, "en-US": {"headline": "Flood", "description": "It rises."}})
    drain()
    assert (("no_ending", "bo-CN") in texts.remarks(row)) == (not said)
    done = actions.end_as_prepared(act(alice, actual), alert=row.pk, how="all_clear")
    assert may_be_sent(done, feed) and [info.language for info in cap.read(bytes(done.cap_xml)).messages[0].alert.infos] == [row.language, "bo-CN", "en-US"]
    told = (done.translations["bo-CN"]["headline"], done.translations["bo-CN"]["description"])
    assert told == ("ཉེན་ཁ་མེད", "ཕྱིར་ལོག") if said else TIBETAN["headline"] in told[0] and told[1] == done.translations["en-US"]["description"]


def test_the_form_keeps_other_languages_and_asks_how_they_end(actual, county, alice, client, signed_in):
    row = draft(alice, actual, county, translations={"bo-CN": TIBETAN, "en-US": {"headline": "Flood", "description": "It rises.", "instruction": "Go up."}})
    page = signed_in(client, alice).get(reverse("warning:edit", args=[row.pk]))
    assert 'name="all_clear_bo-CN"' in page.content.decode() and 'name="cancel_bo-CN"' in page.content.decode()
    form = Compose({
        "kind": "government", "colour": "red", "hazard": row.hazard, "places": names(row.region_ids), "headline": "新", "headline_en": "Flood", "description_en": "It falls.",
        "all_clear_bo-CN": "ཉེན་ཁ་མེད", "cancel_bo-CN": "ནོར་འཁྲུལ",
    }, said=row.translations)
    assert form.is_valid(), form.errors
    said = form.values()["translations"]
    assert said["bo-CN"] == TIBETAN | {"all_clear": "ཉེན་ཁ་མེད", "cancel": "ནོར་འཁྲུལ"}
    assert said["en-US"]["instruction"] == "Go up." and said["en-US"]["description"] == "It falls."


@pytest.mark.parametrize("kind", ["prompt", "call_down"])
def test_a_message_to_our_posts_has_its_end_prepared_too(actual, county, alice, drain, kind):
    row = actions.issue(act(alice, actual), alert=draft(alice, actual, county, kind=kind).pk)
    drain()
    done = actions.end_as_prepared(act(alice, actual), alert=row.pk, how="all_clear")
    drain()
    assert done.headline == row.endings["all_clear"]["headline"] and Alert.plain.get(pk=row.pk).state == "cancelled"
    assert may_be_sent(done, actions.in_app_channel()) and Attempt.plain.filter(alert=done, state__in=["sent", "delivered"]).exists()
    done.description = "x"
    done.content_hash = gate.content_hash(done)
    assert not may_be_sent(done, actions.in_app_channel())
    journal.seal()
    lines = prove(proof.bundle(alice, row.pk))
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]


def test_what_no_channel_took_is_not_cancelled_on_it(out, actual, alice, bob, county, drain):
    row, _feed, _file = out
    late = channel("cap_feed", name="added later")
    Alert.plain.filter(pk=row.pk).update(channels=[*row.channels, str(late.pk)])
    done = actions.cancel(act(alice, actual), alert=row.pk, reason="误报")
    done = actions.approve(act(bob, actual), alert=done.pk, seen_hash=done.content_hash)
    done = actions.issue(act(bob, actual), alert=done.pk)
    drain()
    assert not may_be_sent(done, late) and may_be_sent(done, out[1])


@pytest.mark.parametrize(("state", "may"), [("sent", True), ("unsure", True), ("claimed", True), ("failed", False), ("refused", False), ("queued", False)])
def test_an_end_leaves_by_a_channel_that_may_have_taken_what_it_ends(out, actual, alice, bob, state, may):
    row, _feed, file = out
    Attempt.plain.filter(alert=row, channel=file).update(state=state)
    newer = actions.update(act(alice, actual), alert=row.pk)
    actions.submit(act(alice, actual), alert=newer.pk)
    actions.approve(act(bob, actual), alert=newer.pk, seen_hash=newer.content_hash)
    newer = actions.issue(act(bob, actual), alert=newer.pk)
    assert may_be_sent(newer, file), "an update is for those, too, who have not heard the first"
    done = actions.end_as_prepared(act(bob, actual), alert=newer.pk, how="all_clear")
    assert bool(may_be_sent(done, file)) == may


def test_update_correction_and_end_stand_in_one_thread(out, actual, alice, bob):
    row = out[0]
    silent = corrected(alice, bob, actual, row, contact="12345")
    done = actions.end_as_prepared(act(bob, actual), alert=silent.pk, how="all_clear")
    assert [one.pk for one in queries.thread(bob, row)] == [row.pk, silent.pk, done.pk]


def test_a_text_too_long_for_a_channel_does_not_leave_and_is_not_cut(actual, county, alice, bob):
    short = channel("sms", settings={"longest": 30, "numbers": []})
    row = issued(alice, bob, actual, county)
    verdict = may_be_sent(row, short)
    assert not verdict and "30" in verdict.reason


def test_no_adapter_can_go_round_the_gate():
    from anlan.warning.ports import Adapter

    with pytest.raises(TypeError):
        type("Rogue", (Adapter,), {"send": lambda self, channel, alert, attempt: None})


@pytest.fixture
def bundle(out, actual, alice, bob, drain):
    row = out[0]
    actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear", reason="水位回落")
    drain()
    journal.seal()
    return list(proof.bundle(bob, row.pk))


def drop(records, kind, which=0):
    records.remove([record for record in records if kind in record][which])


LIES = {
    "text": lambda b: of(b, "alert")[0]["content"].update(headline="没有危险"),
    "one person": lambda b: of(b, "alert")[0].update(approver=of(b, "alert")[0]["author"]),
    "message": lambda b: of(b, "alert")[0].update(cap_xml=of(b, "alert")[0]["cap_xml"].replace("山洪", "小雨")),
    "attempt": lambda b: drop(b, "attempt"),
    "attempt twice": lambda b: b.append({"attempt": of(b, "attempt")[0]}),
    "fact": lambda b: drop(b, "fact"),
    "payload": lambda b: of(b, "fact")[-1]["payload"].update(reason="x"),
    "heads": lambda b: [drop(b, "head") for _each in of(b, "head")],
    "realm": lambda b: b[0].update(realm="exercise"),
    "ending": lambda b: of(b, "alert")[1]["content"].update(description="x"),
    "strange": lambda b: b.append({"other": {}}),
}


def test_the_proof_holds_without_the_database_and_lies_show(bundle):
    records = read_lines(bundle)
    key = records[0]["public_key"]
    lines = prove(bundle, key)
    assert all(line.ok for line in lines), [line.what for line in lines if not line.ok]
    assert len(of(records, "alert")) == 2 and any(fact["kind"] == "warning.AlertApproved" for fact in of(records, "fact"))
    assert all(line.ok for line in prove(lie(bundle, lambda b: None)))
    believed = [name for name, change in LIES.items() if all(line.ok for line in prove(lie(bundle, change)))]
    assert believed == [], "signed again by the installation itself, and still they must show"
    assert not prove([bundle[0].replace(b'"algorithm"', b'"algorism"'), *bundle[1:]])[0].ok and not prove(bundle, "00" * 32)[0].ok
    assert "cut off" in prove(bundle[:-1])[0].what and not prove([*bundle, bundle[-1]])[0].ok and not prove(bundle[:-2] + bundle[-1:])[0].ok
    assert all(not all(line.ok for line in prove(broken)) for broken in ([], [b"{}"], [b"x"], [bundle[0], b"[]"], [bundle[0], b'{"attempt":{"alert":"x"}}']))


def test_a_stranger_gets_no_proof(bundle, charlie, out):
    with pytest.raises(Problem):
        proof.bundle(charlie, out[0].pk)


def test_a_drawn_area_is_sent_as_drawn_and_stays_so_through_correction_and_end(actual, county, alice, bob, drain):
    west, south = county.west, county.south
    ring = [[west + 0.01, south + 0.01], [west + 0.05, south + 0.01], [west + 0.05, south + 0.05], [west + 0.01, south + 0.01]]
    channel("cap_feed")
    row = issued(alice, bob, actual, county, drawn={"polygon": ring})
    drain()
    (polygon,) = cap.read(bytes(row.cap_xml)).messages[0].alert.infos[0].areas[0].polygons
    assert {(lon, lat) for lat, lon in polygon} == {(round(lon, 5), round(lat, 5)) for lon, lat in ring}
    silent = corrected(alice, bob, actual, row, contact="1")
    done = actions.end_as_prepared(act(bob, actual), alert=silent.pk, how="all_clear")
    assert bytes(row.area_wkb) == bytes(silent.area_wkb) == bytes(done.area_wkb)


@pytest.mark.parametrize("drawn", [{"polygon": [[110, 30]]}, {"polygon": "x"}, {"circle": [200, 30, 5]}, {}, {"circle": ["a", 1, 2]}])
def test_a_drawing_that_is_no_area_is_refused(actual, county, alice, drawn):
    with pytest.raises(Problem) as caught:
        draft(alice, actual, county, drawn=drawn or {"other": 1})
    assert caught.value.kind.code == "warning.bad_content"
