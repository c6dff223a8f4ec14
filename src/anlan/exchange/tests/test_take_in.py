"""Documents from outside: every kind, duplicates, links between messages, defects, attacks; nothing is lost silently."""
from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest
from django.urls import reverse

from anlan.engines import cap
from anlan.exchange import actions
from anlan.exchange.models import FeedSource
from anlan.exchange.pages import token_digest
from anlan.kernel import journal, work
from anlan.kernel.actions import Act
from anlan.kernel.errors import KINDS
from anlan.kernel.models import RegionCode
from anlan.warning.gate import content_hash
from anlan.warning.models import Alert, Original

from .builders import link

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "cap"

ALERT = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>{identifier}</identifier><sender>met@example.invalid</sender><sent>{sent}</sent>
  <status>{status}</status><msgType>{kind}</msgType><scope>Public</scope>{references}
  <info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>
    <severity>Extreme</severity><certainty>Observed</certainty><expires>2099-07-20T12:00:00+08:00</expires><headline>暴雨红色预警</headline>
    <area><areaDesc>{area}</areaDesc>{shape}</area></info>
</alert>"""
SQUARE = "<polygon>28.0,119.0 28.0,119.4 28.4,119.4 28.4,119.0 28.0,119.0</polygon>"


def message(identifier="a1", sent="2026-07-20T06:00:00+08:00", status="Actual", kind="Alert", references="", area="某地", shape=SQUARE):
    if references:
        references = f"<references>{references}</references>"
    return ALERT.format(**locals()).encode()


def take(actor, realm, raw, **extra):
    return actions.take_in(Act(actor, realm), raw=raw, digest=hashlib.sha256(raw).hexdigest(), source="test", heard_by="file", **extra)


def test_a_message_becomes_a_warning_over_the_regions_of_its_polygon(actual, county, county2, alice):
    taken = take(alice, actual, message())
    row = Alert.plain.get(pk=taken["received"][0])
    assert taken["valid"] and row.region_ids == [str(county.pk)] and row.colour == "red" and row.hazard == "11B03"
    assert bytes(row.original.raw) == message()
    assert "warning.OutsideWarningReceived" in [fact.kind for fact in journal.about(f"alert:{row.pk}")]


def test_the_same_message_again_is_dropped(actual, county, alice):
    take(alice, actual, message())
    again = take(alice, actual, message())
    assert again["received"] == [] and again["duplicates"] == 1 and Alert.plain.count() == 1


def test_a_later_sent_is_another_message(actual, county, alice):
    take(alice, actual, message())
    assert take(alice, actual, message(sent="2026-07-20T07:00:00+08:00"))["received"]


@pytest.mark.parametrize(("kind", "state"), [("Update", "updated"), ("Cancel", "cancelled")])
def test_an_update_or_cancel_ends_what_it_names(actual, county, alice, kind, state):
    first = Alert.plain.get(pk=take(alice, actual, message())["received"][0])
    second = take(alice, actual, message("a2", sent="2026-07-20T08:00:00+08:00", kind=kind, references="met@example.invalid,a1,2026-07-19T22:00:00-00:00"))
    first.refresh_from_db()
    assert first.state == state and Alert.plain.get(pk=second["received"][0]).predecessor == first


def test_a_cancel_that_comes_first_still_ends_the_message_that_comes_late(actual, county, alice):
    take(alice, actual, message("a2", sent="2026-07-20T08:00:00+08:00", kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00"))
    late = Alert.plain.get(pk=take(alice, actual, message())["received"][0])
    assert late.state == "cancelled"


@pytest.mark.parametrize("status", ["Exercise", "Test", "System", "Draft"])
def test_a_drill_of_others_warns_of_nothing_and_its_cancel_ends_nothing(actual, county, alice, status):
    real = Alert.plain.get(pk=take(alice, actual, message())["received"][0])
    drill = Alert.plain.get(pk=take(alice, actual, message("d1", status=status))["received"][0])
    kinds = [fact.kind for fact in journal.about(f"alert:{drill.pk}")]
    assert "warning.OutsideWarningReceived" not in kinds and "warning.OutsideMessageNoted" in kinds
    take(alice, actual, message("d2", status=status, kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00"))
    real.refresh_from_db()
    assert real.state == "received"
    from anlan.warning import queries

    assert [row.pk for row in queries.live(alice, actual)] == [real.pk]


def test_an_actual_message_read_inside_an_exercise_is_the_exercises(exercise, actual, county, alice):
    row = Alert.plain.get(pk=take(alice, exercise, message())["received"][0])
    assert row.realm == exercise and row.status == "Exercise" and not Alert.plain.filter(realm=actual).exists()


def test_geocodes_of_a_known_list_find_our_regions_and_foreign_ones_do_not(actual, county, town, alice):
    RegionCode.objects.create(region=county, system="GB/T 2260", code="990101")
    for value, name, found in [("990101", "GB/T 2260", True), ("990101000000", "CPEAS Geographic Code", True), ("990101", "SAME", False)]:
        shape = f"<geocode><valueName>{name}</valueName><value>{value}</value></geocode>"
        row = Alert.plain.get(pk=take(alice, actual, message(f"{name}-{value}".replace(" ", "_").replace("/", "_"), shape=shape))["received"][0])
        assert row.region_ids == ([str(county.pk)] if found else []), name


def test_an_area_we_cannot_place_is_shown_and_never_dropped(actual, county, alice, client, signed_in):
    far = "<polygon>50.0,10.0 50.0,11.0 51.0,11.0 50.0,10.0</polygon>"
    row = Alert.plain.get(pk=take(alice, actual, message(area="远方地区", shape=far))["received"][0])
    assert row.region is None and row.unmapped == ["远方地区"]
    signed_in(client, alice)
    assert "远方地区" in client.get(reverse("exchange:feeds")).content.decode()
    assert "远方地区" in client.get(reverse("warning:alert", args=[row.pk])).content.decode()


def test_a_touched_county_is_named_by_its_towns(actual, county, town, alice):
    corner = "<polygon>28.0,119.0 28.0,119.08 28.08,119.08 28.08,119.0 28.0,119.0</polygon>"
    row = Alert.plain.get(pk=take(alice, actual, message(shape=corner))["received"][0])
    assert row.region_ids == [str(town.pk)]


def test_a_broken_message_is_kept_with_its_reason_and_asked_about_once(actual, county, alice):
    raw = message().replace(b"<severity>Extreme</severity>", b"<severity>Foobar</severity>")
    for _time in range(2):
        taken = take(alice, actual, raw)
        assert taken["received"] == [] and "Foobar" in taken["refused"][0]["reason"]
    kept = Original.plain.get()
    assert b"Foobar" in bytes(kept.raw) and [item.kind for item in work.waiting_for(alice, actual)] == ["warning.unreadable"]


def test_one_bad_alert_does_not_cost_its_neighbours(actual, county, alice):
    good, bad = message().partition(b"?>")[2], message("a2").replace(b"<status>Actual</status>", b"").partition(b"?>")[2]
    taken = take(alice, actual, b'<alerts xmlns="urn:oasis:names:tc:emergency:cap:1.2">' + bad + good + b"</alerts>")
    assert taken["kind"] == "wrapper" and len(taken["received"]) == 1 and len(taken["refused"]) == 1


def test_a_strict_link_refuses_what_a_lenient_one_repairs(actual, county, alice):
    raw = message(shape="<polygon/>" + SQUARE)
    strict = link(alice, actual, name="strict", url="https://a.invalid/x", mode="strict")
    lenient = link(alice, actual, name="lenient", url="https://b.invalid/x", mode="lenient")
    assert take(alice, actual, raw, link=strict.pk)["received"] == []
    row = Alert.plain.get(pk=take(alice, actual, raw, link=lenient.pk)["received"][0])
    assert any("empty polygon" in repair for repair in row.repairs)


def test_a_signature_is_checked_with_the_links_certificate(actual, county, alice):
    from anlan.exchange import keys

    private, certificate = keys.pair()
    source = link(alice, actual, name="signed", url="https://a.invalid/x", certificate=certificate.decode())
    signed = cap.sign(message(), private, certificate)
    row = Alert.plain.get(pk=take(alice, actual, signed, link=source.pk)["received"][0])
    assert row.signature == "valid"
    forged = cap.sign(message("a9"), private, certificate).replace("暴雨红色预警".encode(), "平安无事".encode())
    row = Alert.plain.get(pk=take(alice, actual, forged, link=source.pk)["received"][0])
    assert row.signature == "invalid"


@pytest.mark.parametrize("signed", ["wrong", "missing", "right"])
def test_only_a_message_that_proves_itself_lifts_anything_over_a_link_with_a_certificate(actual, county, alice, signed):
    from anlan.exchange import keys

    private, certificate = keys.pair()
    source = link(alice, actual, name="signed", url="https://a.invalid/x", certificate=certificate.decode(), issuer="weather_service")
    first = Alert.plain.get(pk=take(alice, actual, cap.sign(message(), private, certificate), link=source.pk)["received"][0])
    raw = message("c1", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00")
    if signed != "missing":
        raw = cap.sign(raw, private, certificate)
    if signed == "wrong":
        raw = raw.replace("暴雨红色预警".encode(), "平安无事".encode())
    said = Alert.plain.get(pk=take(alice, actual, raw, link=source.pk)["received"][0])
    first.refresh_from_db()
    assert first.state == ("cancelled" if signed == "right" else "received")
    asked = work.waiting_for(alice, actual).filter(subject=f"alert:{said.pk}")
    assert asked.exists() == (signed != "right") and all("signature" in item.msgid for item in asked)


@pytest.mark.parametrize("references", ["", "met@example.invalid/a1"])
def test_a_cancel_that_names_nothing_readable_is_put_to_a_person(actual, county, alice, references):
    first = Alert.plain.get(pk=take(alice, actual, message())["received"][0])
    said = Alert.plain.get(pk=take(alice, actual, message("c1", sent="2026-07-20T09:00:00+08:00", kind="Cancel", references=references))["received"][0])
    first.refresh_from_db()
    (asked,) = work.waiting_for(alice, actual).filter(subject=f"alert:{said.pk}")
    assert first.state == "received" and asked.params["headline"] == first.headline and "does not say which" in asked.msgid


def test_a_message_without_any_place_is_shown_with_those_we_could_not_place(actual, county, alice):
    from anlan.exchange import queries

    raw = message().decode().replace(f"<area><areaDesc>某地</areaDesc>{SQUARE}</area>", "").encode()
    row = Alert.plain.get(pk=take(alice, actual, raw)["received"][0])
    assert row.region_ids == [] and list(queries.unmapped(alice, actual)) == [row] and row.unmapped == ["暴雨红色预警"]


LAUGHS = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><alert>&b;</alert>'


@pytest.mark.parametrize(
    ("raw", "code"),
    [(LAUGHS, "doctype"), (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert>&x;</alert>', "doctype"), (b"<a>" * 5000, "too_deep"), (b"not xml", "not_xml"), (b"<html/>", "not_cap")],
)
def test_hostile_documents_are_refused_with_the_one_error_shape(actual, county, alice, client, signed_in, raw, code):
    signed_in(client, alice)
    answer = client.post("/api/v1/exchange/cap", raw, content_type="application/xml")
    error = answer.json()["error"]
    assert answer.status_code == 422 and error["code"] == "exchange.cap_refused" and error["data"]["code"] == code
    assert KINDS[error["code"]].blame == "input" and b"root:" not in answer.content
    assert Original.plain.exclude(refused="").exists()


def test_an_oversized_body_is_refused_unread(client, actual, alice, signed_in):
    signed_in(client, alice)
    answer = client.post("/api/v1/exchange/cap", b" " * (6 * 1024 * 1024), content_type="application/xml")
    assert answer.status_code == 413 and answer.json()["error"]["code"] == "exchange.too_large"


def test_a_push_link_has_a_credential_and_writes_into_actual_operations_only(client, actual, exercise, county, alice):
    source = link(alice, actual, name="met office", kind="push", issuer="weather_service", token_hash=token_digest("t0ken"))
    path = "/api/v1/exchange/cap"
    assert client.post(path, message(), content_type="application/xml", headers={"Authorization": "Bearer wrong"}).status_code == 401
    answer = client.post(path, message(), content_type="application/xml", headers={"Authorization": "Bearer t0ken"})
    assert answer.status_code == 200 and len(answer.json()["received"]) == 1
    row = Alert.plain.get()
    assert row.realm == actual and row.issuer == "weather_service" and row.heard_by == "api" and source.logs.get().received == 1
    FeedSource.objects.update(enabled=False)
    assert client.post(path, message("a2"), content_type="application/xml", headers={"Authorization": "Bearer t0ken"}).status_code == 401


def test_nobody_signed_in_may_push(client, actual):
    assert client.post("/api/v1/exchange/cap", message(), content_type="application/xml").status_code == 401


def test_a_file_is_uploaded_from_the_page(client, actual, county, alice, signed_in):
    from django.core.files.uploadedfile import SimpleUploadedFile

    signed_in(client, alice)
    answer = client.post(reverse("exchange:upload"), {"file": SimpleUploadedFile("a.cap", message())})
    assert answer.status_code == 302 and Alert.plain.get().heard_by == "file"
    broken = client.post(reverse("exchange:upload"), {"file": SimpleUploadedFile("b.cap", LAUGHS)})
    assert broken.status_code == 422 and "DOCTYPE" in broken.content.decode()


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample set is not on this machine")
def test_every_real_sample_is_taken_in_or_kept_with_a_reason(actual, county, alice):
    for row in csv.DictReader((SAMPLES / "index.csv").open(encoding="utf-8")):
        raw = (SAMPLES / row["file"]).read_bytes()
        before = Original.plain.exclude(refused="").count()
        taken = take(alice, actual, raw)
        something = taken["received"] or taken["duplicates"] or taken["links"] or "0 entries" in row["features"]
        if row["suggested_handling"].startswith("refuse (") or row["suggested_handling"].startswith("refuse before"):
            assert taken["refused"] and Original.plain.exclude(refused="").count() > before, row["file"]
        elif row["suggested_handling"].startswith(("accept", "split")):
            assert something and not taken["refused"], (row["file"], taken["refused"])
    assert not Alert.plain.filter(state="received", expires__lt="2026-01-01T00:00:00Z").exists(), "what is long over must not stand as in force"


def test_a_feed_of_many_is_taken_in_as_one_by_one_with_a_fact_and_work_each(actual, county, town, alice, duty_post):
    """The same alerts in one document and in single ones give the same rows; what updates, ends or repeats another is taken apart from the many."""
    texts = [message(f"m{n}") for n in range(4)]
    texts += [message("m2"), message("m9", kind="Cancel", sent="2026-07-20T07:00:00+08:00", references="met@example.invalid,m1,2026-07-20T06:00:00+08:00"), message("m8", status="Test")]
    entries = b"".join(b"<entry><id>%d</id><content type='application/cap+xml'>%s</content></entry>" % (n, raw[raw.index(b"<alert"):]) for n, raw in enumerate(texts))
    taken = take(alice, actual, b"<feed xmlns='http://www.w3.org/2005/Atom'>" + entries + b"</feed>")
    rows = {row.identifier: row for row in Alert.plain.all()}
    assert (len(taken["received"]), taken["duplicates"], len(taken["refused"])) == (6, 1, 0)
    assert rows["m1"].state == Alert.CANCELLED and rows["m2"].state == Alert.RECEIVED and b">m2<" in bytes(rows["m2"].original.raw) and b">m3<" not in bytes(rows["m2"].original.raw)
    facts = [fact.kind for fact in journal.about(f"alert:{rows['m0'].pk}")]
    assert "warning.OutsideWarningReceived" in facts and rows["m0"].last_fact is not None
    assert rows["m0"].content_hash == content_hash(rows["m0"]) and rows["m0"].region_ids == rows["m9"].region_ids != []
    assert work.waiting_for(alice, actual).filter(kind="warning.outside", subject=f"alert:{rows['m0'].pk}").count() == 1


OTHER = (b"<sender>met@", b"<sender>stranger@")


def test_a_stranger_cannot_lift_anothers_warning(actual, county, alice):
    first = Alert.plain.get(pk=take(alice, actual, message())["received"][0])
    lifting = message(identifier="x1", sent="2026-07-20T07:00:00+08:00", kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00")
    said = Alert.plain.get(pk=take(alice, actual, lifting.replace(*OTHER))["received"][0])
    first.refresh_from_db()
    assert first.state == "received" and said.predecessor is None and "another sender" in said.repairs[-1]
    assert [item.subject for item in work.waiting_for(alice, actual) if item.kind == "warning.outside"] == [f"alert:{first.pk}", f"alert:{said.pk}"]
    changing = message(identifier="x2", sent="2026-07-20T07:30:00+08:00", kind="Update", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00")
    take(alice, actual, changing.replace(*OTHER))
    first.refresh_from_db()
    assert first.state == "received"
    own = message(identifier="x3", sent="2026-07-20T08:00:00+08:00", kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00")
    take(alice, actual, own)
    first.refresh_from_db()
    assert first.state == "cancelled"


@pytest.mark.parametrize("first", ["warning", "cancel"])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(("issuer", "state"), [("weather_service", "cancelled"), ("other", "received")])
def test_an_issuers_other_sender_lifts_in_any_order_and_an_unknown_one_in_none(actual, county, alice, first, many, issuer, state):
    source = FeedSource.objects.create(name="feed", url="https://example.invalid/feed", issuer=issuer, issuer_name="气象台")
    texts = [message(), message(identifier="x1", sent="2026-07-20T07:00:00+08:00", kind="Cancel", references="met@example.invalid,a1,2026-07-20T06:00:00+08:00").replace(*OTHER)]
    for raw in texts if first == "warning" else texts[::-1]:
        if many:
            actions.take_in_many(Act(alice, actual), documents=[raw, message(identifier=f"z{texts.index(raw)}", sent="2026-07-20T05:00:00+08:00")], digest="d", source="test", heard_by="feed", link=source.pk)
        else:
            take(alice, actual, raw, link=source.pk)
    assert Alert.plain.get(identifier="a1").state == state
