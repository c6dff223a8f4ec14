"""Attempts are rows first; they are claimed once, sent after commit, asked at the gate last; a re-send is a new row."""
from __future__ import annotations

import json
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from django.conf import settings as django_settings
from django.urls import reverse

from anlan.kernel import clock, journal, work
from anlan.kernel.errors import Problem
from anlan.kernel.models import RegisterChange
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get, importing
from anlan.warning import actions, delivery, ports, secrets
from anlan.warning.adapters.webhook.adapter import cut, signature
from anlan.warning.models import Alert, Attempt, Channel, Receipt

from .builders import act, channel, draft, issued


@pytest.fixture
def gateway(far_side):
    """A text message and webhook gateway on a free port; `answers` are given in turn, the last one for ever."""
    seen, answers = [], [(200, {"code": 0, "id": "m-1"})]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, dict(self.headers), body))
            status, answer = answers.pop(0) if len(answers) > 1 else answers[0]
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

    return far_side(Handler, seen=seen, answers=answers)


def sms(gateway, **extra):
    body = {
        "url": gateway.url + "/send", "body": {"to": "{number}", "content": "{text}", "key": "{id}"}, "ok": {"path": "code", "value": 0}, "reference": "id",
        "numbers": ["13800000001", "13800000002"],
    }
    return channel("sms", settings=body | extra.pop("settings", {}), **extra)


def states(row, adapter):
    return sorted(Attempt.plain.filter(alert=row, channel__adapter=adapter).values_list("state", flat=True))


def test_each_number_is_one_row_and_one_message(actual, county, alice, bob, gateway, drain):
    one = sms(gateway)
    row = issued(alice, bob, actual, county)
    drain()
    assert states(row, "sms") == ["sent", "sent"]
    bodies = [json.loads(body) for _path, _headers, body in gateway.seen]
    assert sorted(body["to"] for body in bodies) == ["13800000001", "13800000002"]
    assert "山洪红色预警" in bodies[0]["content"] and "请立即转移至高处" in bodies[0]["content"]
    finished = [fact for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.DeliveryFinished" and fact.payload["channel"] == str(one.pk)]
    assert [fact.payload["counts"] for fact in finished] == [{"sent": 2}]


def test_running_the_job_again_sends_nothing_again(actual, county, alice, bob, gateway, drain):
    sms(gateway)
    row = issued(alice, bob, actual, county)
    drain()
    delivery.deliver(row.pk)
    delivery.deliver(row.pk)
    assert len(gateway.seen) == 2


def orphans(row, one):
    """Every row claimed by a sender that died."""
    delivery._queue(row, one)
    Attempt.plain.filter(alert=row, channel=one).update(state=Attempt.CLAIMED, claimed_at=clock.now() - timedelta(minutes=3))


def test_a_claimed_row_is_never_sent_by_a_second_worker_and_a_warning_whose_sender_died_goes_out_again(actual, county, alice, bob, gateway, drain):
    one = sms(gateway)
    row = issued(alice, bob, actual, county)
    orphans(row, one)
    Attempt.plain.filter(alert=row, channel=one).update(claimed_at=clock.now())
    drain()
    assert gateway.seen == [] and states(row, "sms") == ["claimed", "claimed"]
    Attempt.plain.filter(alert=row, channel=one).update(claimed_at=clock.now() - timedelta(minutes=3))
    delivery.deliver(row.pk)
    # Nobody knows of the first: it is shown, and its repeat is another row with another key.
    assert len(gateway.seen) == 2 and states(row, "sms") == ["sent", "sent", "unsure", "unsure"]
    assert {one.number for one in Attempt.plain.filter(alert=row, channel=one, state="sent")} == {2}


def test_a_gateway_that_drops_repeats_gets_the_same_key_again(actual, county, alice, bob, gateway, drain):
    one = sms(gateway, again_if_unsure=True)
    row = issued(alice, bob, actual, county)
    orphans(row, one)
    drain()
    assert states(row, "sms") == ["sent", "sent"]
    assert {json.loads(body)["key"] for _path, _headers, body in gateway.seen} == {str(key) for key in Attempt.plain.filter(channel=one).values_list("pk", flat=True)}


def test_an_all_clear_whose_sender_died_waits_for_a_person(actual, county, alice, bob, gateway, drain):
    one = sms(gateway)
    row = issued(alice, bob, actual, county)
    drain()
    clear = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    orphans(clear, one)
    drain()
    assert len(gateway.seen) == 2 and states(clear, "sms") == ["unsure", "unsure"]
    assert work.waiting_for(alice, actual).filter(kind="warning.call_down", subject=f"alert:{clear.pk}").exists()


def test_a_busy_gateway_is_tried_again_as_a_new_row(actual, county, alice, bob, gateway, drain):
    gateway.answers[:] = [(503, {}), (200, {"code": 0, "id": "m"})]
    sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county)
    drain()
    assert states(row, "sms") == ["failed", "queued"]
    Attempt.plain.filter(alert=row, state="queued").update(not_before=clock.now() - timedelta(seconds=1))
    delivery.ask_again(act(alice, actual), alert=row.pk)
    drain()
    assert states(row, "sms") == ["failed", "sent"]
    second = Attempt.plain.get(alert=row, channel__adapter="sms", number=2)
    assert second.first == Attempt.plain.get(alert=row, channel__adapter="sms", number=1)


def test_a_refusal_by_the_gateway_is_final_and_visible(actual, county, alice, bob, gateway, drain):
    gateway.answers[:] = [(200, {"code": 17, "message": "no credit"})]
    one = sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county)
    drain()
    attempt = Attempt.plain.get(alert=row, channel=one)
    assert attempt.state == "failed" and attempt.permanent and "no credit" in attempt.error
    assert "no credit" in Channel.objects.get(pk=one.pk).last_error


def test_cancelling_stops_what_still_waits(actual, county, alice, bob, gateway):
    one = sms(gateway)
    row = issued(alice, bob, actual, county)
    delivery._queue(row, one)
    actions.end(_open(alice, actual), Alert.plain.get(pk=row.pk), Alert.CANCELLED, "误报")
    delivery.send_waiting(row.pk, one)
    assert gateway.seen == [] and states(row, "sms") == ["refused", "refused"]


def _open(actor, realm):
    one = act(actor, realm)
    one._open, one.name = True, "test"
    return one


def test_an_exercise_sends_nothing_and_shows_that_the_gate_refused(exercise, county, alice, bob, gateway, drain):
    one = sms(gateway)
    row = issued(alice, bob, exercise, county, channels=[str(one.pk)])
    drain()
    assert gateway.seen == [] and states(row, "sms") == ["refused"]
    assert [item.subject for item in work.waiting_for(alice, exercise) if item.kind == "warning.alert"] == [f"alert:{row.pk}"]


def test_a_dead_supplier_stops_nothing_else(actual, county, alice, bob, drain, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    channel("webhook", settings={"url": "http://127.0.0.1:9/hook", "secret": "dead"})
    secrets.keep("dead", "s")
    row = issued(alice, bob, actual, county)
    drain()
    assert states(row, "webhook") == ["failed", "queued"] and states(row, "in_app") and set(states(row, "in_app")) == {"sent"}


def test_a_private_address_is_not_called_unless_listed(actual, county, alice, bob, gateway, drain, settings):
    settings.OUTBOUND_ALLOW = []
    one = sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county)
    drain()
    attempt = Attempt.plain.get(alert=row, channel=one)
    assert gateway.seen == [] and attempt.permanent and "ANLAN_OUTBOUND_ALLOW" in attempt.error


def test_the_webhook_is_signed_over_time_and_body(actual, county, alice, bob, gateway, drain):
    secrets.keep("hook", "topsecret")
    channel("webhook", settings={"url": gateway.url + "/hook", "secret": "hook"})
    issued(alice, bob, actual, county)
    drain()
    (path, headers, body), = gateway.seen
    assert headers["X-Anlan-Signature"] == signature("topsecret", headers["X-Anlan-Timestamp"], body)
    assert (django_settings.HOME / "keys" / "channels" / "hook").stat().st_mode & 0o777 == 0o600


def test_the_group_robot_gets_its_shape_and_its_refusal_is_read(actual, county, alice, bob, gateway, drain):
    gateway.answers[:] = [(200, {"errcode": 93000, "errmsg": "invalid webhook url"})]
    secrets.keep("robot", "key-1")
    one = channel("webhook", settings={"url": gateway.url + "/cgi-bin/webhook/send?key={secret}", "secret": "robot", "format": "wecom_markdown"})
    row = issued(alice, bob, actual, county, headline="山洪<红色>预警")
    drain()
    (path, _headers, body), = gateway.seen
    message = json.loads(body)
    assert path.endswith("?key=key-1") and message["msgtype"] == "markdown" and "＜红色＞" in message["markdown"]["content"]
    attempt = Attempt.plain.get(alert=row, channel=one)
    assert attempt.state == "failed" and attempt.permanent and "93000" in attempt.error


def test_long_texts_are_cut_at_whole_characters():
    assert len(cut("预" * 3000, 2048).encode()) <= 2048 and cut("预" * 3000, 2048).endswith("（全文见平台）")


def test_the_drop_folder_gets_text_and_cap(actual, county, alice, bob, drain):
    channel("text_file", settings={"folder": "broadcast"})
    row = issued(alice, bob, actual, county)
    drain()
    attempt = Attempt.plain.get(alert=row, channel__adapter="text_file")
    text = (django_settings.HOME / "outbox" / "broadcast" / attempt.reference).read_text()
    assert attempt.state == "delivered" and "山洪红色预警" in text and "甲县" in text
    assert (django_settings.HOME / "outbox" / "broadcast" / attempt.reference.replace(".txt", ".cap")).read_bytes() == bytes(row.cap_xml)


def test_a_gateways_receipt_counts_once(actual, county, alice, bob, gateway, drain):
    one = sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county)
    drain()
    assert delivery.record_receipt(one, "m-1", ok=True) and delivery.record_receipt(one, "m-1", ok=True)
    assert not delivery.record_receipt(one, "stranger", ok=True)
    assert states(row, "sms") == ["delivered"] and Receipt.plain.filter(attempt__alert=row, kind="delivered", attempt__channel=one).count() == 1


def test_a_person_sends_an_unsure_attempt_again(actual, county, alice, bob, gateway, drain):
    one = sms(gateway, settings={"numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county)
    drain()
    attempt = Attempt.plain.get(alert=row, channel=one)
    Attempt.plain.filter(pk=attempt.pk).update(state=Attempt.UNSURE)
    delivery.resend(act(alice, actual), attempt=attempt.pk)
    with pytest.raises(Problem) as caught:
        delivery.resend(act(alice, actual), attempt=attempt.pk)
    assert caught.value.kind.code == "warning.in_flight"
    drain()
    assert len(gateway.seen) == 2


def test_acknowledging_closes_the_work_and_leaves_a_receipt(actual, county, alice, bob, drain):
    row = draft(alice, actual, county, kind="call_down", hazard="11B03", headline="叫应")
    row = actions.issue(act(alice, actual), alert=row.pk)
    drain()
    actions.acknowledge(act(alice, actual), alert=row.pk)
    assert not work.waiting_for(alice, actual).filter(kind="warning.alert").exists()
    assert Receipt.plain.get(attempt__alert=row, kind="acknowledged").person == alice.person_id


def test_a_call_down_nobody_confirms_goes_one_post_up(replay, county, alice, bob, commander, drain):
    row = draft(alice, replay, county, kind="call_down", hazard="11B03", headline="叫应")
    actions.issue(act(alice, replay), alert=row.pk)
    drain()
    assert not work.waiting_for(commander, replay).filter(kind="warning.alert").exists()
    type(replay).objects.filter(pk=replay.pk).update(now_at=replay.now_at + timedelta(minutes=11))
    drain()
    assert work.waiting_for(commander, replay).filter(kind="warning.alert").exists()


def test_a_channel_is_an_entry_whose_every_change_voids_the_second_persons_word(actual, alice, bob, client, signed_in):
    body = {"url": "https://sms.invalid/send", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"], "secret": "gateway"}
    with pytest.raises(Problem) as caught:
        registers.create(act(alice, actual), register="warning.channel", values={"name": "x", "adapter": "sms", "settings": {"url": "ftp://x"}})
    assert [one["field"] for one in caught.value.fields] == ["settings"]
    row = registers.create(act(alice, actual), register="warning.channel", values={"name": "短信", "adapter": "sms", "settings": body})
    assert not row.enabled
    with pytest.raises(Problem):
        actions.confirm_channel(act(alice, actual), channel=row.pk, seen_version=row.version)
    assert actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version).enabled
    # From the page: another number, and the word is void; the history says who did what; the settings as text say the same.
    signed_in(client, alice)
    entry = client.get(reverse("warning:channel", args=[row.pk])).content.decode()
    assert "alice + bob" in entry and "13800000001" in entry
    edit = reverse("kernel:register_edit", args=["warning.channel", row.pk])
    seen = client.get(edit).context["form"]
    form = {"name": "短信", "adapter": "sms", "audience": "internal", "settings": json.dumps(body | {"numbers": ["13800000002"]}), "_seen": seen.base}
    assert client.post(edit, form).status_code == 302
    row.refresh_from_db()
    assert (row.enabled, row.confirmed_by, row.settings["numbers"]) == (False, None, ["13800000002"])
    with pytest.raises(Problem) as caught:  # bob's page still shows the first number
        actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=row.version - 1)
    assert caught.value.kind.code == "kernel.stale"
    assert f'name="seen_version" value="{row.version}"' in signed_in(client, bob).get(reverse("warning:channel", args=[row.pk])).content.decode()
    signed_in(client, alice)
    assert [list(one.changes) for one in RegisterChange.objects.filter(row=row.pk).order_by("version")][-1] == ["settings"]
    actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)
    answer = client.post(reverse("warning:channel_do", args=[row.pk, "secret"]), {"secret": "s3cret"})
    row.refresh_from_db()
    assert answer.status_code == 302 and not row.enabled and secrets.read("gateway") == "s3cret"
    for refused in (lambda: registers.end(act(alice, actual), register="warning.channel", row=actions.in_app_channel().pk, reason="x"), lambda: importing._ready(get("warning.channel"))):
        with pytest.raises(Problem):
            refused()
    actions.confirm_channel(act(bob, actual), channel=row.pk, seen_version=Channel.objects.get(pk=row.pk).version)
    assert not registers.end(act(alice, actual), register="warning.channel", row=row.pk, reason="合同到期").enabled
    assert [fact.payload["change"] for fact in journal.select("WHERE f.kind = 'warning.ChannelChanged'")] == ["added", "confirmed", "changed", "confirmed", "changed", "confirmed", "removed"]


def test_every_adapter_has_a_name_and_judges_settings():
    outward = {
        "sms", "webhook", "email", "text_file", "smpp", "voice", "cap_mqtt", "loudspeaker", "screen", "siren", "cell_broadcast", "release_12379",
    }
    assert set(ports.adapters()) == outward | {"in_app", "cap_feed"}
    for code in outward:
        assert ports.adapters()[code].problem({})


def test_numbers_are_erased_a_year_after_the_alert_and_the_attempts_still_count(actual, county, alice, bob, machine, gateway, drain):
    one = sms(gateway)
    old, recent = issued(alice, bob, actual, county), issued(alice, bob, actual, county, headline="another")
    drain()
    rows = Attempt.plain.filter(channel=one)
    before = rows.count()
    Alert.plain.filter(pk=old.pk).update(ended_at=clock.now() - timedelta(days=366))
    Alert.plain.filter(pk=recent.pk).update(ended_at=clock.now() - timedelta(days=300))
    assert delivery.forget_targets(act(machine, actual)) == 2
    assert not rows.filter(alert=old, target__contains="138").exists() and rows.count() == before
    assert rows.filter(alert=recent, target__contains="138").count() == 2
    assert delivery.forget_targets(act(machine, actual)) == 0
    assert "138" not in json.dumps([fact.payload for fact in journal.select("WHERE f.kind = 'kernel.PersonalErased'")])
