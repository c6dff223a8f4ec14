"""Pages and API, through the HTTP door, by insider and outsider."""
from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from django.urls import reverse

from anlan.kernel import clock, journal
from anlan.warning import actions, secrets
from anlan.warning.models import Alert, Attempt, Proposal

from .builders import act, approved, channel, draft, issued


@pytest.fixture
def alice_web(client, alice, signed_in):
    signed_in(client, alice)
    return client


def test_every_page_answers_for_the_duty_officer(alice_web, actual, county, town, alice, bob, drain):
    from .test_proposals import signal

    signal(actual, town, "orange")
    drain()
    row = issued(alice, bob, actual, county)
    drain()
    outside = actions.enter_by_hand(act(alice, actual), hazard="11B03", colour="red", issuer="weather_service", regions=[str(county.pk)], text="暴雨红色预警信号")
    proposal = Proposal.plain.get()
    pages = [
        reverse("warning:alerts"), reverse("warning:alerts") + "?state=all&colour=red&q=山洪", reverse("warning:alert", args=[row.pk]),
        reverse("warning:alert", args=[outside.pk]), reverse("warning:compose"), reverse("warning:compose") + f"?proposal={proposal.pk}",
        reverse("warning:enter"), reverse("warning:proposals"), reverse("warning:proposal", args=[proposal.pk]), reverse("warning:channels"),
        reverse("warning:channel_new"), reverse("warning:issuers"), reverse("warning:original", args=[outside.original_id]),
        reverse("warning:alert_map", args=[row.pk]), reverse("warning:cap_file", args=[row.pk]), reverse("warning:places") + "?places=甲",
    ]
    for page in pages:
        answer = alice_web.get(page)
        assert answer.status_code == 200, (page, answer.content[:500])
        assert b"null</textarea>" not in answer.content  # nothing yet is an empty field


def test_an_outsider_sees_nothing_of_another_county(client, actual, county, alice, bob, charlie, signed_in, drain):
    row = issued(alice, bob, actual, county)
    drain()
    signed_in(client, charlie)
    for name in ("alert", "cap_file", "alert_map", "edit"):
        assert client.get(reverse(f"warning:{name}", args=[row.pk])).status_code == 404, name
    assert row.headline not in client.get(reverse("warning:alerts") + "?state=all").content.decode()
    assert client.get(f"/api/v1/warning/alerts/{row.pk}").status_code == 404
    assert client.get("/api/v1/warning/alerts?state=all").json()["count"] == 0
    assert client.post(reverse("warning:do", args=[row.pk, "cancel"]), {"reason": "x"}).status_code == 404
    assert Alert.plain.get(pk=row.pk).state == "issued"


def test_nobody_signed_in_sees_nothing(client, actual, county, alice, bob):
    row = issued(alice, bob, actual, county)
    for page in (reverse("warning:alerts"), reverse("warning:alert", args=[row.pk])):
        assert client.get(page).status_code in (302, 401)
    assert client.get("/api/v1/warning/alerts").status_code == 401


def test_a_pasted_message_fills_the_form_and_one_press_takes_it_down(alice_web, actual, county, settings):
    text = "澜州市气象台7时30分发布暴雨红色预警信号：过去3小时甲县降雨量已达100毫米以上，预计强降雨持续。"
    parsed = alice_web.post(reverse("warning:enter_parse"), {"text": text}).content.decode()
    assert 'value="red"' in parsed and "checked" in parsed.split('value="red"')[1].split(">")[0]
    assert "甲县" in parsed and "澜州市气象台" in parsed
    form = {"text": text, "colour": "red", "hazard": "11B03", "issuer": "weather_service", "issuer_name": "澜州市气象台", "places": "甲县", "heard_by": "chat"}
    answer = alice_web.post(reverse("warning:enter"), form)
    row = Alert.plain.get(kind="outside")
    assert answer.status_code == 302 and (row.colour, row.hazard, row.region_ids) == ("red", "11B03", [str(county.pk)])
    assert bytes(row.original.raw).decode() == text


def test_a_form_with_faults_comes_back_with_words_beside_the_fields(alice_web, actual, county):
    answer = alice_web.post(reverse("warning:enter"), {"text": "", "places": "不存在县", "heard_by": "phone"})
    body = answer.content.decode()
    assert answer.status_code == 422 and "不存在县" in body and not Alert.plain.exists()


def test_compose_submit_approve_issue_through_the_pages(client, actual, county, alice, bob, signed_in):
    signed_in(client, alice)
    form = {
        "kind": "government", "colour": "red", "hazard": "X-FLASHFLOOD", "places": "甲县", "headline": "山洪红色预警", "description": "上游强降雨。",
        "instruction": "立即转移。",
    }
    answer = client.post(reverse("warning:compose"), form)
    assert answer.status_code == 302, answer.content.decode()[:2000]
    row = Alert.plain.get()
    client.post(reverse("warning:do", args=[row.pk, "submit"]))
    row.refresh_from_db()
    refused = client.post(reverse("warning:do", args=[row.pk, "approve"]), {"seen_hash": row.content_hash})
    assert refused.status_code == 409
    signed_in(client, bob)
    page = client.get(reverse("warning:alert", args=[row.pk])).content.decode()
    assert row.content_hash in page
    client.post(reverse("warning:do", args=[row.pk, "approve"]), {"seen_hash": row.content_hash})
    client.post(reverse("warning:do", args=[row.pk, "issue"]))
    row.refresh_from_db()
    assert row.state == "issued" and row.approver == bob.person_id


def test_the_api_gives_one_error_shape(alice_web, actual, county):
    answer = alice_web.post("/api/v1/warning/alerts", {"hazard": "11B03", "colour": "red", "regions": [str(county.pk)], "kind": "government", "headline": "x", "description": "y"}, content_type="application/json")
    assert answer.status_code == 409 and answer.json()["error"]["code"] == "warning.not_ours"


def test_a_hostile_headline_is_text_everywhere(alice_web, actual, county, alice, bob):
    row = issued(alice, bob, actual, county, headline="<script>alert(1)</script>", description="<img src=x onerror=alert(1)>")
    for page in (reverse("warning:alerts"), reverse("warning:alert", args=[row.pk])):
        body = alice_web.get(page).content.decode()
        assert "<script>alert(1)" not in body and "<img src=x" not in body and "&lt;script&gt;" in body


def test_a_gateway_signs_its_receipts(client, actual, county, alice, bob, drain, settings):
    settings.OUTBOUND_ALLOW = []
    secrets.keep("sms-main", "s3")
    one = channel("sms", settings={"url": "http://127.0.0.1:1/x", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"], "secret": "sms-main"})
    row = approved(alice, bob, actual, county)
    row = actions.issue(act(bob, actual), alert=row.pk)
    drain()
    Attempt.plain.filter(alert=row, channel=one).update(state="sent", reference="r-1")
    body = json.dumps({"reference": "r-1", "ok": True}).encode()
    timestamp = str(int(clock.now().timestamp()))
    path = f"/api/v1/warning/receipts/{one.pk}"
    sign = "sha256=" + hmac.new(b"s3", timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    bad = client.post(path, body, content_type="application/json", headers={"X-Anlan-Timestamp": timestamp, "Authorization": "Anlan sha256=00"})
    assert bad.status_code == 401
    good = client.post(path, body, content_type="application/json", headers={"X-Anlan-Timestamp": timestamp, "Authorization": f"Anlan {sign}"})
    assert good.status_code == 200 and good.json() == {"known": True}
    assert Attempt.plain.get(alert=row, channel=one).state == "delivered"


def test_a_draft_of_another_realm_is_not_there(alice_web, exercise, county, alice):
    row = draft(alice, exercise, county)
    assert alice_web.get(reverse("warning:alert", args=[row.pk])).status_code == 404
    assert journal.about(f"alert:{row.pk}")


def test_an_own_table_of_issuers_is_asked_for_shown_and_confirmed_by_another(client, actual, county, alice, bob, signed_in):
    import yaml

    from anlan.warning import issuers
    from anlan.warning.models import IssuerTable

    signed_in(client, alice)
    page = client.get(reverse("warning:issuers")).content.decode()
    assert "未核实" in page, "a law named from memory says so"
    body = issuers.default_body()
    body["rules"].append({"issuer": "government", "hazards": ["11B03"], "class": "government", "audience": "public", "source": "本县授权文件〔2026〕1号", "mark": "V1"})
    for text in ("rules: [", "a: 1", "- 1", "x" * 10, yaml.safe_dump({**body, "issuers": []})):
        assert client.post(reverse("warning:issuers"), {"label": "坏", "source": "x", "text": text}).status_code == 422
    answer = client.post(reverse("warning:issuers"), {"label": "2026-县", "source": "授权文件", "text": yaml.safe_dump(body, allow_unicode=True)})
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    row = IssuerTable.objects.get()
    url = reverse("warning:issuer_version", args=[row.pk])
    assert client.post(url, {"step": "confirm", "seen_digest": row.digest}).status_code == 409
    signed_in(client, bob)
    shown = client.get(url).content.decode()
    assert "<ins>" in shown and "本县授权文件" in shown
    assert not issuers.table().allows("government", "11B03", "government", "public")[0]
    assert client.post(url, {"step": "confirm", "seen_digest": row.digest}).status_code == 302
    assert issuers.table().allows("government", "11B03", "government", "public")[0]
    assert "<ins>" in client.get(reverse("warning:issuers")).content.decode(), "an own version shows how it differs from the default"
    assert [fact.kind for fact in journal.about(f"issuer_table:{row.pk}")] == ["warning.IssuerTableAsked", "warning.IssuerTableChanged"]
