"""Known answers: small messages made for this test, each with one defect met in real feeds, and the real sample set when present."""
from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from anlan.engines import cap

SAMPLES = Path(__file__).resolve().parents[6] / "shared" / "data" / "cap"

ALERT = """<?xml version="1.0" encoding="UTF-8"?>
<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2">
  <identifier>LZ-2026-07-20-001</identifier><sender>met@example.invalid</sender><sent>2026-07-20T06:00:00+08:00</sent>
  <status>Actual</status><msgType>Alert</msgType><scope>Public</scope>
  <info><language>zh-CN</language><category>Met</category><event>暴雨</event><urgency>Immediate</urgency>
    <severity>Extreme</severity><certainty>Observed</certainty>
    <expires>2026-07-20T12:00:00+08:00</expires><headline>暴雨红色预警</headline>
    <area><areaDesc>北岭县</areaDesc><polygon>30,110 30,111 31,111 30,110</polygon>
      <geocode><valueName>GB/T 2260</valueName><value>990101</value></geocode></area></info>
</alert>"""


def one(text: str) -> cap.Message:
    (message,) = cap.read(text.encode()).messages
    return message


def test_a_valid_message_is_read_without_repairs_and_its_bytes_stay():
    message = one(ALERT)
    assert message.valid and message.repairs == () and message.xml == ALERT.encode() and message.version == "1.2"
    alert = message.alert
    assert alert.sent == datetime(2026, 7, 20, 6, tzinfo=timezone(timedelta(hours=8)))
    assert alert.infos[0].areas[0].polygons == (((30, 110), (30, 111), (31, 111), (30, 110)),)
    assert alert.identity == ("met@example.invalid", "LZ-2026-07-20-001", datetime(2026, 7, 19, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("old", "new", "code", "repair"),
    [
        ("31,111 30,110<", "31,111<", "polygon", "closed by its first corner"),
        ("30,110 30,111 31,111 30,110", "", "polygon", "empty polygon, dropped"),
        ("30,110 30,111 31,111 30,110", "95,110 30,111 31,111 95,110", "polygon", "leaves the range"),
        ("<sent>2026-07-20T06:00:00+08:00", "<sent>2026-07-20 06:00:00+08:00", "schema", "a space for the T"),
        ("<sent>2026-07-20T06:00:00+08:00", "<sent>2026-07-19T22:00:00Z", "schema", "zone written 'Z'"),
        ("<sent>2026-07-20T06:00:00+08:00", "<sent>2026-07-20T06:00:00.123+08:00", "schema", "fractional seconds"),
        ("<headline>暴雨红色预警</headline>", "<headline>a</headline><senderName>b</senderName>", "schema", "read by name"),
        ("<valueName>GB/T 2260</valueName><value>990101</value>", "<value>990101</value><valueName>GB/T 2260</valueName>", "schema", "read by name"),
        ("<polygon>", "<circle></circle><polygon>", "circle", "empty circle, dropped"),
    ],
)
def test_a_known_defect_is_invalid_strictly_and_repaired_leniently(old, new, code, repair):
    assert old in ALERT
    message = one(ALERT.replace(old, new))
    assert not message.valid and code in {f.code for f in message.findings if not f.note}
    assert message.alert is not None and any(repair in text for text in message.repairs), message.repairs


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("<identifier>LZ-2026-07-20-001</identifier>", "", "alert/identifier is missing"),
        ("<status>Actual</status>", "", "alert/status is missing"),
        ("<severity>Extreme</severity>", "<severity>Foobar</severity>", "unknown code 'Foobar'"),
        ("<category>Met</category>", "", "alert/info/category is missing"),
        ("<sent>2026-07-20T06:00:00+08:00", "<sent>tomorrow", "sent is missing or not a date"),
    ],
)
def test_what_must_not_be_guessed_is_refused_with_its_reason(old, new, why):
    message = one(ALERT.replace(old, new))
    assert message.alert is None and why in message.refused and not message.valid


def test_an_update_must_name_what_it_updates():
    message = one(ALERT.replace("<msgType>Alert", "<msgType>Update"))
    assert not message.valid and {f.code for f in message.findings if not f.note} == {"references"}


def test_cap_10_with_its_own_spelling_is_read():
    old = ALERT.replace("urn:oasis:names:tc:emergency:cap:1.2", "http://www.incident.com/cap/1.0")
    old = old.replace("Observed", "Very Likely").replace("<valueName>GB/T 2260</valueName><value>990101</value>", "FIPS6=006017")
    message = one(old)
    assert message.version == "1.0" and message.alert.infos[0].certainty == "Likely"
    assert message.alert.infos[0].areas[0].geocodes == (("FIPS6", "006017"),)


OLD = ALERT.replace("urn:oasis:names:tc:emergency:cap:1.2", "http://www.incident.com/cap/1.0").replace("Observed", "Likely").replace(
    "<valueName>GB/T 2260</valueName><value>990101</value>", "FIPS6=006017")


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("<status>Actual", "<status>Draft", "status"),
        ("<urgency>Immediate", "<urgency>Foo", "urgency"),
        ("<certainty>Likely", "<certainty>Observed", "certainty"),
        ("<category>Met", "<category>CBRNE", "category"),
        ("<event>暴雨</event>", "", "event"),
        ("<event>", "<responseType>Shelter</responseType><event>", "responseType"),
        ("<event>", "<foo/><event>", "foo"),
        ("FIPS6=006017", "006017", "geocode"),
        ("FIPS6=006017", "<valueName>FIPS6</valueName><value>006017</value>", "geocode"),
    ],
)
def test_cap_10_is_held_to_its_own_tables(old, new, names):
    assert one(OLD).valid and old in OLD
    message = one(OLD.replace(old, new))
    assert not message.valid and any(names in finding.message for finding in message.findings if not finding.note), message.findings


@pytest.mark.parametrize("change", [("<category>Met</category>", ""), ("<scope>", "<password>x</password><scope>"), ("Likely", "Very Likely"), ("FIPS6=006017", " A=a=\n b c ")])
def test_what_cap_10_allows_conforms_and_is_read(change):
    message = one(OLD.replace(*change))
    assert message.valid and message.alert is not None, message.findings


@pytest.mark.parametrize(
    ("old", "new", "repair"),
    [
        ("<status>Actual", "<status>Actual ", "alert/status: trailing space taken away"),
        ("<identifier>", "<identifier> ", "alert/identifier: leading space taken away"),
        ("<severity>Extreme", "<severity>\n Extreme ", "alert/info/severity: leading space and trailing space taken away"),
        ("zh-CN", "zh_CN", "alert/info/language: 'zh_CN' read as zh-CN"),
        ("zh-CN", "Chinese language", "language: not a valid language, kept as written"),
        ("<area>", "<web>%%</web><area>", "web: not a valid anyURI, kept as written"),
    ],
)
def test_each_repair_of_a_text_is_named(old, new, repair):
    message = one(ALERT.replace(old, new, 1))
    assert not message.valid and message.alert is not None and repair in message.repairs, (message.repairs, message.findings)
    assert message.alert.identifier == "LZ-2026-07-20-001" and message.alert.status == "Actual" and message.alert.infos[0].severity == "Extreme"


@pytest.mark.parametrize("version", ["urn:oasis:names:tc:emergency:cap:1.2", "urn:oasis:names:tc:emergency:cap:1.1", "http://www.incident.com/cap/1.0"])
@pytest.mark.parametrize("name", ["identifier", "sender", "sent", "status", "msgType", "scope", "category", "event", "urgency", "severity", "certainty"])
@pytest.mark.parametrize("text", [None, "", " ", "x y", "24"])
def test_whatever_conforms_can_be_read(version, name, text):
    import re

    old = (ALERT if "cap:1." in version else OLD).replace("urn:oasis:names:tc:emergency:cap:1.2", version)
    changed = re.sub(f"<{name}>.*?</{name}>", "" if text is None else f"<{name}>{text}</{name}>", old, count=1)
    message = one(changed)
    assert changed != old and (message.alert is not None or not message.valid)


def test_an_envelope_marked_as_exercise_outranks_an_actual_alert_inside():
    body = ALERT.partition("?>")[2]
    raw = (
        '<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0"><distributionID>1</distributionID><senderID>a@b.c</senderID>'
        "<dateTimeSent>2026-07-20T06:00:00+08:00</dateTimeSent><distributionStatus>Exercise</distributionStatus>"
        f"<distributionType>Report</distributionType><contentObject><xmlContent><embeddedXMLContent>{body}</embeddedXMLContent></xmlContent>"
        "</contentObject></EDXLDistribution>"
    )
    document = cap.read(raw.encode())
    assert document.kind == "edxl-de" and document.valid
    assert document.messages[0].alert.status == "Exercise"


@pytest.mark.parametrize("way", ["atom", "rss", "wrapper", "base64", "nested"])
def test_an_envelope_outranks_the_alert_inside_wherever_it_lies(way):
    import base64

    body = ALERT.partition("?>")[2]
    inside = f"<contentData>{base64.b64encode(ALERT.encode()).decode()}</contentData>" if way == "base64" else f"<embeddedXMLContent>{body}</embeddedXMLContent>"
    envelope = (
        '<EDXLDistribution xmlns="urn:oasis:names:tc:emergency:EDXL:DE:1.0"><distributionID>1</distributionID><senderID>a@b.c</senderID>'
        f"<dateTimeSent>2026-07-20T06:00:00+08:00</dateTimeSent><distributionStatus>{'<StatusKindDefault>Exercise</StatusKindDefault>' if way == 'nested' else 'Exercise'}</distributionStatus>"
        f"<distributionType>Report</distributionType><contentObject>{inside}</contentObject></EDXLDistribution>"
    )
    raw = {
        "atom": f'<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated><entry><id>b</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated><content>{envelope}</content></entry></feed>',
        "rss": f'<rss version="2.0"><channel><title>t</title><link>http://a.invalid/</link><description>d</description><item><title>t</title>{envelope}</item></channel></rss>',
        "wrapper": f"<box>{envelope}</box>",
    }.get(way, envelope)
    (message,) = cap.read(raw.encode()).messages
    assert message.alert.status == "Exercise" and any("the envelope says Exercise" in repair for repair in message.repairs)


def test_a_feed_gives_links_and_embedded_alerts():
    body = ALERT.partition("?>")[2]
    raw = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated>'
        "<entry><id>a</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated>"
        '<link href="http://h.invalid/page"/><link type="application/cap+xml" href="http://h.invalid/a.cap"/></entry>'
        f"<entry><id>b</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated><content>{body}</content></entry></feed>"
    )
    document = cap.read(raw.encode())
    assert document.valid and document.links == ["http://h.invalid/a.cap"] and len(document.messages) == 1


def test_gbk_bytes_are_read_as_declared():
    message = cap.read(ALERT.replace("UTF-8", "GB18030").encode("gb18030")).messages[0]
    assert message.alert.infos[0].event == "暴雨"


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample set is not on this machine")
def test_the_strict_verdict_agrees_with_the_sample_sets_own_index():
    wrong = []
    for row in csv.DictReader((SAMPLES / "index.csv").open(encoding="utf-8")):
        try:
            valid = cap.read((SAMPLES / row["file"]).read_bytes()).valid
        except cap.CapError:
            valid = False
        if valid != (row["valid"] == "valid"):
            wrong.append(row["file"])
    assert wrong == []


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample set is not on this machine")
def test_real_issuers_defects_lose_only_the_broken_part():
    for row in csv.DictReader((SAMPLES / "index.csv").open(encoding="utf-8")):
        if row["suggested_handling"].startswith(("accept", "split")):
            document = cap.read((SAMPLES / row["file"]).read_bytes())
            assert all(message.alert is not None for message in document.messages), row["file"]
            if row["suggested_handling"].startswith("accept with"):
                assert any(message.repairs for message in document.messages), row["file"]
