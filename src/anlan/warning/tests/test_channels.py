"""The channels to the last metre: what each carries, in which shape, and what comes back."""
import base64
import hashlib
import hmac
import json
import queue
import shutil
import socket
import struct
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.urls import reverse
from lxml import etree

from anlan.engines import cap
from anlan.kernel import clock, journal, places, work
from anlan.kernel.errors import Problem
from anlan.kernel.registers import actions as registers
from anlan.runtime.testing import make_region
from anlan.warning import actions, delivery, devices, encoding, gate, health, ports, secrets, texts
from anlan.warning.adapters.webhook.adapter import LIMIT, signature
from anlan.warning.models import Alert, Attempt, Channel, Device, DeviceState, Receipt, ToneTest
from anlan.warning.registers import health as state_of_channel

from .builders import act, channel, draft, issued
from .test_delivery import gateway  # noqa: F401


def test_text_messages_count_in_parts_and_no_character_is_torn():
    known = {"a" * 160: ("GSM-7", 160, 1), "a" * 161: ("GSM-7", 161, 2), "€" * 80: ("GSM-7", 160, 1), "预" * 70: ("UCS-2", 70, 1), "预" * 71: ("UCS-2", 71, 2), "a" * 69 + "😀": ("UCS-2", 71, 2)}
    for text, (name, units, segments) in known.items():
        assert encoding.measure(text) == encoding.Size(name, units, segments)
    for text in ("a" * 152 + "€" + "b" * 20, "预" * 66 + "😀" + "预" * 20):
        _name, parts = encoding.parts(text)
        assert "".join(parts) == text and len(parts) == 2 and parts[1][0] in "€😀"


def test_a_text_that_makes_too_many_parts_is_refused_whole(actual, county, alice, bob, gateway, drain):  # noqa: F811
    one = channel("sms", settings={"url": gateway.url + "/s", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county, description="很长。" * 250)
    drain()
    attempt = Attempt.plain.get(alert=row, channel=one)
    assert attempt.state == "refused" and "UCS-2" in attempt.error and gateway.seen == []


class Centre:
    """An SMPP 3.4 centre on loopback: binds, takes submit_sm, keeps receipts until somebody binds as receiver."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port, self.messages, self.receipts, self.confirmed = self.server.getsockname()[1], [], [], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                line, _address = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(line,), daemon=True).start()

    def talk(self, line):
        with line, line.makefile("rb") as stream:
            while len(head := stream.read(16)) == 16:
                size, command, _status, number = struct.unpack(">IIII", head)
                body = stream.read(size - 16)

                def say(code, payload=b"", status=0, seq=number):
                    line.sendall(struct.pack(">IIII", 16 + len(payload), code, status, seq) + payload)

                if command in (1, 2):  # bind_receiver, bind_transmitter
                    good = body.split(b"\0")[:2] == [b"anlan", b"pw"]
                    say(0x80000000 | command, b"sim\0", 0 if good else 0x0E)
                    if command == 1:
                        for place, text in enumerate(list(self.receipts), 1):
                            say(5, b"\0\0\0" + b"138\0" + b"\0\0" + b"106\0" + b"\x04\0\0\0\0\0\0\0\0" + bytes([len(text)]) + text, seq=place)
                elif command == 4:
                    parts = body.split(b"\0", 1)[1]
                    _source, rest = parts[2:].split(b"\0", 1)
                    to, rest = rest[2:].split(b"\0", 1)
                    kind, coding = rest[0], rest[7]
                    text = rest[10:10 + rest[9]]
                    if to == b"13800000009":
                        say(0x80000004, b"", 0x0B)
                        continue
                    self.messages.append((to.decode(), kind, coding, text))
                    key = f"m{len(self.messages)}".encode()
                    self.receipts.append(b"id:" + key + b" sub:001 stat:DELIVRD err:000")
                    say(0x80000004, key + b"\0")
                elif command == 0x80000005:
                    self.confirmed.append(number)
                elif command == 6:
                    say(0x80000006)
                    return


def test_smpp_sends_joined_parts_reads_refusals_and_fetches_receipts(actual, county, alice, bob, drain, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    centre = Centre()
    secrets.keep("smpp", "pw")
    one = channel("smpp", settings={"host": "127.0.0.1", "port": centre.port, "system_id": "anlan", "secret": "smpp", "source": "106", "numbers": ["13800000001", "13800000009"]})
    row = issued(alice, bob, actual, county, description="上游强降雨。" * 10)
    drain()
    good, bad = (Attempt.plain.get(alert=row, channel=one, target=to) for to in ("13800000001", "13800000009"))
    assert good.state == "sent" and bad.state == "failed" and bad.permanent and "11" in bad.error
    parts = [text for to, kind, coding, text in centre.messages if to == "13800000001"]
    assert len(parts) == 2 and {(kind, coding) for _to, kind, coding, _text in centre.messages} == {(0x40, 8)}
    assert [part[3:6][1:] for part in parts] == [bytes((2, 1)), bytes((2, 2))] and parts[0][3] == parts[1][3]
    assert "".join(part[6:].decode("utf-16-be") for part in parts) == texts.short(Alert.plain.get(pk=row.pk))
    assert good.reference == "m2" and health.listen()["known"] == 1
    good.refresh_from_db()
    assert good.state == "delivered" and centre.confirmed and Channel.objects.get(pk=one.pk).heard_at
    assert ports.adapters()["smpp"].alive(one).ok and ports.adapters()["smpp"].test(Channel(adapter="smpp", settings=one.settings | {"test_number": "13800000001"})).ok
    assert "测试".encode("utf-16-be") in centre.messages[-1][3] + centre.messages[-2][3]
    secrets.keep("smpp", "wrong")
    assert not ports.adapters()["smpp"].test(Channel(adapter="smpp", settings=one.settings | {"test_number": "13800000001"})).ok
    centre.server.close()


def test_a_call_reads_the_speech_form_and_a_pressed_key_is_acted_on(actual, county, alice, bob, gateway, drain, client):  # noqa: F811
    secrets.keep("calls", "s")
    one = channel("voice", settings={"url": gateway.url + "/call", "body": {"n": "{number}", "say": "{text}"}, "reference": "id", "secret": "calls", "numbers": ["13800000001"]})
    row = issued(alice, bob, actual, county, description="雨量60mm，14:05前转移。")
    drain()
    said = json.loads(gateway.seen[0][2])["say"]
    assert said.startswith("注意，注意。") and "60毫米" in said and "14点5分" in said and "mm" not in said
    body = json.dumps({"reference": "m-1", "ok": True, "kind": "acknowledged"}).encode()
    at = str(int(clock.now().timestamp()))
    answer = client.post(f"/api/v1/warning/receipts/{one.pk}", body, content_type="application/json", headers={"X-Anlan-Timestamp": at, "Authorization": f"Anlan {signature('s', at, body)}"})
    assert answer.json() == {"known": True} and Receipt.plain.get(attempt__alert=row, attempt__channel=one).kind == "acknowledged"


def test_dingtalk_and_feishu_get_their_shape_and_their_signature(actual, county, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"errcode": 0, "code": 0})]
    secrets.keep("key", "k1")
    secrets.keep("word", "SECabc")
    for form in ("dingtalk", "feishu"):
        channel("webhook", name=form, settings={"url": gateway.url + f"/{form}?access_token={{secret}}", "secret": "key", "sign": "word", "format": form})
    row = issued(alice, bob, actual, county)
    drain()
    assert set(Attempt.plain.filter(alert=row, channel__adapter="webhook").values_list("state", flat=True)) == {"sent"}
    (ding, ding_body), (shu, shu_body) = sorted((path, json.loads(body)) for path, _headers, body in gateway.seen)
    query = parse_qs(urlsplit(ding).query)
    at = query["timestamp"][0]
    assert query["access_token"] == ["k1"] and len(at) == 13
    assert query["sign"] == [base64.b64encode(hmac.new(b"SECabc", f"{at}\nSECabc".encode(), hashlib.sha256).digest()).decode()]
    assert ding_body["msgtype"] == "markdown" and ding_body["at"] == {"isAtAll": True} and "请立即转移" in ding_body["markdown"]["text"]
    at = shu_body["timestamp"]
    assert shu_body["sign"] == base64.b64encode(hmac.new(f"{at}\nSECabc".encode(), b"", hashlib.sha256).digest()).decode()
    assert shu_body["msg_type"] == "text" and "请立即转移" in shu_body["content"]["text"]


def test_cell_broadcast_keeps_the_order_for_each_carrier(actual, county, alice, bob, gateway, drain):  # noqa: F811
    gateway.answers[:] = [(200, {"id": "a"}), (503, {})]
    one = channel("cell_broadcast", settings={"carriers": [{"name": "甲", "url": gateway.url + "/a"}, {"name": "乙", "url": gateway.url + "/b"}]})
    row = issued(alice, bob, actual, county)
    drain()
    taken = {attempt.target: attempt for attempt in Attempt.plain.filter(alert=row, channel=one, number=1)}
    assert sorted(attempt.state for attempt in taken.values()) == ["failed", "sent"] and gateway.seen[0][2] == bytes(row.cap_xml)
    had = next(target for target, attempt in taken.items() if attempt.state == "sent")
    # The other's first message waits to be tried again: its end must not overtake it.
    gateway.answers[:] = [(200, {"id": "c"})]
    clear = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    ends = {attempt.target: attempt for attempt in Attempt.plain.filter(alert=clear, channel=one, number=1)}
    assert ends[had].state == "sent" and {attempt.state for target, attempt in ends.items() if target != had} == {"failed"}
    Attempt.plain.filter(alert=row, channel=one, state="queued").update(state="failed")
    last = next(attempt for target, attempt in ends.items() if target != had)
    assert ports.adapters()["cell_broadcast"].send(one, Alert.plain.get(pk=clear.pk), last).permanent


def test_the_national_release_system_gets_a_file_by_the_layout(actual, county, alice, bob, drain):
    one = channel("release_12379", settings={"way": "file", "folder": "release", "division": "330381"})
    row = issued(alice, bob, actual, county)
    drain()
    attempt = Attempt.plain.get(alert=row, channel=one)
    found = etree.parse(str(django_settings.HOME / "outbox" / "release" / f"{attempt.reference}.xml"))
    assert len(attempt.reference) == 31 and attempt.reference.startswith("33038100000000_") and found.findtext("identifier") == attempt.reference
    assert found.findtext("info/color") == "1" and found.findtext("sendTime").endswith("+08:00") and found.findtext("info/instruction") == "请立即转移至高处。"


@pytest.fixture
def web(far_side):
    """Any far side that speaks HTTP: each path answers what `says` holds for it; what came is kept."""
    came, says = [], {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            came.append((self.command, self.path, body))
            status, answer = says.get(self.path, (200, b'{"code": 0, "errcode": 0, "id": "m"}'))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_POST = do_GET

    return far_side(Handler, came=came, says=says)


def by_web(code, url):
    """A channel of each kind that speaks HTTP: what it needs to be tried and asked whether it lives."""
    secrets.keep("web", "s")
    numbers = {"url": url + "/send", "body": {"n": "{number}", "t": "{text}"}, "numbers": ["13800000001"], "test_number": "13800000009", "health_url": url + "/health", "ok": {"path": "code", "value": 0}}
    carrier = {"name": "甲", "url": url + "/send", "test_url": url + "/test", "health_url": url + "/health"}
    return channel(code, heartbeat_minutes=10, settings={
        "sms": numbers, "voice": numbers, "webhook": {"url": url + "/send", "secret": "web", "health_url": url + "/health"}, "cell_broadcast": {"carriers": [carrier]},
        "release_12379": {"way": "api", "url": url + "/send", "test_url": url + "/test", "health_url": url + "/health", "division": "330381"},
    }[code])


@pytest.mark.parametrize("code", ["sms", "voice", "webhook", "cell_broadcast", "release_12379"])
def test_a_channel_is_tried_and_asked_whether_it_lives_without_a_word_to_anybody(code, actual, county, duty_post, alice, web):
    one = by_web(code, web.url)
    assert ports.adapters()[code].problem(one.settings) == "" and delivery.test_channel(act(alice, actual), one).ok
    (_way, path, body), = web.came
    said = json.dumps(json.loads(body), ensure_ascii=False) if body[:1] == b"{" else body.decode()
    assert path == ("/test" if code in ("cell_broadcast", "release_12379") else "/send") and "通道测试" in said
    if code in ("sms", "voice"):
        assert b"13800000009" in body and b"13800000001" not in body
    if code == "cell_broadcast":
        (found,) = cap.read(body).messages
        assert found.valid and (found.alert.status, found.alert.scope) == ("Test", "Private")
    one.refresh_from_db()
    assert one.last_ok_at and state_of_channel(one) == "works"
    # It lives as long as its gateway answers; when that stops, it falls silent and is somebody's work.
    web.came.clear()
    health.listen()
    assert [(way, path) for way, path, _body in web.came] == [("GET", "/health")]
    health.listen()
    assert len(web.came) == 1  # heard lately: not asked again
    web.says["/health"] = (503, b"")
    Channel.objects.filter(pk=one.pk).update(heard_at=clock.now() - timedelta(minutes=11))
    health.listen()
    assert health.watch() == 1 and "503" in Channel.objects.get(pk=one.pk).last_error
    assert work.waiting_for(alice, actual).filter(kind="warning.channel_silent").count() == 1
    web.says["/health"] = (200, b"")
    health.listen()
    assert health.watch() == 1 and not work.waiting_for(alice, actual).filter(kind="warning.channel_silent").exists()
    # A test that is refused says so on the entry.
    web.says[path] = (500, b"broken")
    assert not delivery.test_channel(act(alice, actual), one).ok
    one.refresh_from_db()
    assert "500" in one.last_error and state_of_channel(one) == "failing"


def test_without_an_address_for_tests_what_rings_everybody_is_not_tried(actual, county, alice, web):
    for code, settings_ in (("cell_broadcast", {"carriers": [{"name": "甲", "url": web.url}]}), ("release_12379", {"way": "api", "url": web.url, "division": "330381"})):
        outcome = delivery.test_channel(act(alice, actual), channel(code, settings=settings_))
        assert not outcome.ok and "test_url" in outcome.error
    assert web.came == []


def test_nothing_is_knocked_at_while_the_demonstration_or_a_restore_holds_the_channels(actual, web):
    one = by_web("sms", web.url)
    (django_settings.HOME / "demo.json").write_text("{}")
    try:
        health.listen()
    finally:
        (django_settings.HOME / "demo.json").unlink()
    assert web.came == [] and Channel.objects.get(pk=one.pk).heard_at is None


@pytest.mark.parametrize("code", ["text_file", "release_12379"])
def test_a_drop_folder_lives_while_something_can_be_laid_there(code, actual, county, alice):
    one = channel(code, heartbeat_minutes=10, settings={"folder": "drop", "way": "file", "division": "330381"})
    assert delivery.test_channel(act(alice, actual), one).ok and "通道测试" in (django_settings.HOME / "outbox" / "drop" / "channel-test.txt").read_text()
    health.listen()
    assert Channel.objects.get(pk=one.pk).heard_at
    Channel.objects.filter(pk=one.pk).update(heard_at=None)
    folder = django_settings.HOME / "outbox" / "drop"
    shutil.rmtree(folder)
    folder.write_text("no folder")  # the share is gone
    try:
        health.listen()
        assert Channel.objects.get(pk=one.pk).heard_at is None and Channel.objects.get(pk=one.pk).last_error
    finally:
        folder.unlink()


@pytest.mark.parametrize("form", ["wecom_markdown", "wecom_text", "dingtalk", "feishu"])
def test_a_robot_gets_a_warning_whole_or_not_at_all(form, actual, county, alice, bob, web, drain):
    secrets.keep("robot", "k")
    one = channel("webhook", settings={"url": web.url + "/robot", "secret": "robot", "format": form})
    row = issued(alice, bob, actual, county, description="很长。" * 2200)
    fits = issued(alice, bob, actual, county, description="上游强降雨。" * 20)
    drain()
    (said,) = Attempt.plain.filter(alert=row, channel=one)
    assert said.state == "refused" and str(LIMIT[form]) in said.error
    assert Attempt.plain.get(alert=fits, channel=one).state == "sent" and len(web.came) == 1 and ("上游强降雨。" * 20).encode() in web.came[0][2]


def test_a_channel_speaks_in_the_area_it_is_registered_for(actual, county, county2, town, alice, bob, web, drain):
    """A warning of the whole county leaves by a town's channel to that town only; one of the neighbour does not leave by it."""
    body = {"url": web.url + "/send", "body": {"n": "{number}", "t": "{text}"}, "entries": [{"register": "warning.responsible", "phone": "mobile"}]}
    one = channel("sms", region=town, settings=body)
    village, far = make_region("东村", "village", town), make_region("远村", "village", county)
    places.rebuild_paths()
    for number, place in (("13800000001", village), ("13800000002", far)):
        registers.create(act(alice, actual), register="warning.responsible", values={"code": number, "kind": "village", "place": place.name, "name": "甲", "mobile": number, "region": place.pk})
    row = issued(alice, bob, actual, county)
    drain()
    assert ports.adapters()["sms"].count(one, row) == 1
    assert [json.loads(body)["n"] for _way, _path, body in web.came] == ["13800000001"]
    elsewhere = actions.compose(act(alice, actual), kind="call_down", hazard="11B03", colour="red", regions=[str(far.pk)], headline="叫应", channels=[str(one.pk)])
    one.audience = "internal"
    elsewhere = actions.issue(act(alice, actual), alert=elsewhere.pk)
    verdict = gate.may_be_sent(elsewhere, one)
    assert not verdict.ok and town.name in verdict.reason


# --- devices ---------------------------------------------------------------------------------------------------------


def speakers(regions, **extra):
    one = channel("loudspeaker", settings={"broker": {"host": "127.0.0.1", "port": 1, "tls": False}, "topic": "s/{device}/play", "status": "s/+/status", "secret": "plat"}, **extra)
    return one, [Device.plain.create(code=f"D{n}", name=f"{region.name}喇叭", kind="loudspeaker", channel=one, region=region) for n, region in enumerate(regions)]


def test_loudspeakers_play_over_a_broker_stop_what_they_played_and_report_back(actual, town, alice, bob, drain, settings, tmp_path):
    from anlan.sensing.tests.test_worker import Broker

    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    server = Broker(tmp_path)
    try:
        import paho.mqtt.client as mqtt

        heard, ready = [], threading.Event()
        village = make_region("东村", "village", town, population=800)
        secrets.keep("mq", "secret")
        one, (device,) = speakers([village])
        one.settings["broker"] = {"host": "127.0.0.1", "port": server.mqtt, "tls": False, "user": "anlan", "secret": "mq"}
        one.save()
        health.listen()  # from now on the broker keeps reports for us
        box = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="D0", protocol=mqtt.MQTTv311)
        box.username_pw_set("anlan", "secret")

        def answer(client, _data, message):
            said = json.loads(message.payload)
            heard.append(said)
            client.publish("s/D0/status", json.dumps({"device": "D0", "kind": "tone" if said["action"] == "tone" else "delivered", "id": said["id"]}), qos=1)

        box.on_message = answer
        box.on_subscribe = lambda *_: ready.set()
        box.connect("127.0.0.1", server.mqtt)
        box.subscribe("s/D0/play", qos=1)
        box.loop_start()
        assert ready.wait(10)
        row = issued(alice, bob, actual, town)
        drain()
        attempt = Attempt.plain.get(alert=row, channel=one)
        assert attempt.state == "sent", attempt.error
        clear = actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
        drain()
        assert devices.sound_tones(act(alice, actual), channel=one.pk) == 1 and devices.ask_for_tones(one).ok
        for _try in range(3):
            health.listen()
        assert [(said["action"], said.get("ends")) for said in heard] == [("play", []), ("play", [str(attempt.pk)]), ("tone", None)]
        assert heard[0]["speech"].startswith("注意，注意。") and heard[0]["priority"] == 4 and heard[1]["speech"].startswith("大家请听。")
        assert set(Attempt.plain.filter(alert__in=[row, clear], channel=one).values_list("state", flat=True)) == {"delivered"}
        state = DeviceState.objects.get(device=device)
        assert ToneTest.objects.get().ok and state.tone_at and state.heard_at
        box.disconnect()
        box.loop_stop()
    finally:
        server.kill()


@pytest.fixture
def bus(settings, tmp_path):
    """A broker, and everything that is published on it: (port, topic → bodies in their order)."""
    import paho.mqtt.client as mqtt

    from anlan.sensing.tests.test_worker import Broker

    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    server, ready, heard = Broker(tmp_path), threading.Event(), queue.Queue()
    box = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="listener", protocol=mqtt.MQTTv311)
    try:
        box.username_pw_set("anlan", "secret")
        box.on_message = lambda _client, _data, message: heard.put((message.topic, message.payload))
        box.on_subscribe = lambda *_: ready.set()
        box.connect("127.0.0.1", server.mqtt)
        box.subscribe("w/#", qos=1)
        box.loop_start()
        assert ready.wait(10)
        secrets.keep("mq", "secret")
        yield {"host": "127.0.0.1", "port": server.mqtt, "tls": False, "user": "anlan", "secret": "mq"}, heard
        box.disconnect()
        box.loop_stop()
    finally:
        server.kill()


def test_cap_goes_out_over_a_broker_as_it_was_issued_and_the_line_is_tried_beside_it(actual, county, alice, bob, drain, bus):
    broker, heard = bus
    one = channel("cap_mqtt", settings={"broker": broker, "topic": "w/cap"}, heartbeat_minutes=10)
    assert delivery.test_channel(act(alice, actual), one).ok
    topic, body = heard.get(timeout=10)
    assert topic == "w/cap/test" and "通道测试" in body.decode()
    row = issued(alice, bob, actual, county)
    drain()
    assert heard.get(timeout=10) == ("w/cap", bytes(row.cap_xml)) and Attempt.plain.get(alert=row, channel=one).state == "sent"
    health.listen()
    assert Channel.objects.get(pk=one.pk).heard_at and heard.empty()  # the broker answers; nothing was said
    one.settings["broker"]["port"] = 1
    one.save()
    Channel.objects.filter(pk=one.pk).update(heard_at=None)
    health.listen()
    assert Channel.objects.get(pk=one.pk).heard_at is None and Channel.objects.get(pk=one.pk).last_error


def test_screens_show_sirens_sound_loudspeakers_speak_and_each_ends_what_it_began(actual, town, alice, bob, drain, bus):
    """A screen shows the text in its colour until its end; a siren sounds the place's own pattern, or says that none is set for this colour. Each is tried without a sound."""
    broker, heard = bus
    village = make_region("东村", "village", town)
    made = {}
    for kind, more in (("screen", {}), ("siren", {"patterns": {"red": "一分钟长鸣", "all_clear": "三声"}}), ("loudspeaker", {})):
        made[kind] = channel(kind, settings={"broker": broker, "topic": "w/{device}/" + kind, **more})
        Device.plain.create(code=kind, name=kind, kind=kind, channel=made[kind], region=village)
        assert delivery.test_channel(act(alice, actual), made[kind]).ok
        topic, body = heard.get(timeout=10)
        assert topic == f"w/{kind}/{kind}" and json.loads(body)["action"] == "ping"  # nothing is shown, nothing sounds
        devices.sound_tones(act(alice, actual), channel=made[kind].pk)
        assert devices.ask_for_tones(made[kind]).ok and json.loads(heard.get(timeout=10)[1])["action"] == "tone"
        said = devices.parse(json.dumps({"device": kind, "kind": "tone", "id": "x"}).encode())
        assert devices.take_reports(made[kind], [said]) == {"known": 1, "unknown": 0} and ToneTest.objects.get(device__code=kind).ok
    row = issued(alice, bob, actual, town)
    drain()
    told = dict(heard.get(timeout=10) for _one in made)
    show, sound = json.loads(told["w/screen/screen"]), json.loads(told["w/siren/siren"])
    assert (show["action"], show["colour"], show["until"]) == ("show", "red", row.expires.isoformat()) and "山洪红色预警" in show["text"] and show["priority"] == 4
    assert (sound["action"], sound["pattern"]) == ("sound", "一分钟长鸣") and json.loads(told["w/loudspeaker/loudspeaker"])["speech"].startswith("注意，注意。")
    actions.end_as_prepared(act(bob, actual), alert=row.pk, how="all_clear")
    drain()
    told = dict(heard.get(timeout=10) for _one in made)
    show, sound = json.loads(told["w/screen/screen"]), json.loads(told["w/siren/siren"])
    assert sound["pattern"] == "三声" and [len(one["ends"]) for one in (show, sound)] == [1, 1]
    blue = issued(alice, bob, actual, town, colour="blue")
    drain()
    attempt = Attempt.plain.get(alert=blue, channel=made["siren"])
    assert attempt.state == "failed" and attempt.permanent and ports.adapters()["siren"].problem({"broker": broker, "topic": "w/{device}"})


def test_a_device_speaks_for_itself_alone_and_only_through_its_own_channel(actual, town, alice, bob, client):
    village = make_region("东村", "village", town)
    one, _none = speakers([])
    device = registers.create(act(alice, actual), register="warning.device", values={"code": "D0", "name": "东村喇叭", "kind": "loudspeaker", "channel": one.pk, "region": village.pk})
    other = channel("screen", name="其他", settings={"secret": "plat"})
    secrets.keep("plat", "p")

    def post(where, reports):
        body, at = json.dumps({"reports": reports}).encode(), str(int(clock.now().timestamp()))
        return client.post(f"/api/v1/warning/devices/{where.pk}", body, content_type="application/json", headers={"X-Anlan-Timestamp": at, "Authorization": f"Anlan {signature('p', at, body)}"})

    assert post(one, [{"device": "D0"}, {"device": "stranger"}]).json() == {"known": 1, "unknown": 1}
    assert post(other, [{"device": "D0"}]).json() == {"known": 0, "unknown": 1}
    assert client.post(f"/api/v1/warning/devices/{one.pk}", "{}", content_type="application/json").status_code in (401, 403)
    assert DeviceState.objects.get(device=device).tone_at is None


def test_q21_counts_villages_by_heartbeat_and_tone_and_names_those_that_lack(actual, town, county2, alice, charlie, client, signed_in):
    villages = [make_region(name, "village", town, population=people) for name, people in (("甲村", 500), ("乙村", 900), ("丙村", 700), ("丁村", 100))]
    _one, (good, due, quiet) = speakers(villages[:3], heartbeat_minutes=60)
    now = clock.now()
    DeviceState.objects.create(device=good, heard_at=now, tone_at=now - timedelta(days=3))
    DeviceState.objects.create(device=due, heard_at=now, tone_at=now - timedelta(days=40))
    DeviceState.objects.create(device=quiet, heard_at=now - timedelta(hours=2), tone_at=now)
    found = devices.coverage(alice, now)
    assert (found["rate"], found["states"]) == (25.0, {"none": 1, "silent": 1, "tone_due": 1, "good": 1})
    assert [(one.region.name, one.state) for one in found["lacking"]] == [("丁村", "none"), ("丙村", "silent"), ("乙村", "tone_due")]
    assert devices.coverage(charlie, now) is None  # his county has no village on the map
    signed_in(client, alice)
    page = client.get(reverse("warning:record")).content.decode()
    assert "Q21" in page and "25.0" in page and "丁村" in page
    assert client.get("/api/v1/warning/loudspeakers").json()["rate"] == 25.0
    entry = client.get(reverse("kernel:register_row", args=["warning.device", good.pk])).content.decode()
    assert "甲村喇叭" in entry


def test_test_tones_are_kept_back_like_everything_else(actual, exercise, town, alice, charlie):
    one, _devices = speakers([make_region("东村", "village", town)])
    with pytest.raises(Problem):
        devices.sound_tones(act(alice, exercise), channel=one.pk)
    (django_settings.HOME / "demo.json").write_text("{}")
    try:
        with pytest.raises(Problem):
            devices.sound_tones(act(alice, actual), channel=one.pk)
    finally:
        (django_settings.HOME / "demo.json").unlink()
    assert not ToneTest.objects.exists()


def test_a_silent_channel_is_somebodys_work_until_it_is_heard_again(actual, county, duty_post, alice):
    one = channel("sms", heartbeat_minutes=10, heard_at=clock.now() - timedelta(minutes=11), region=county)
    assert health.watch() == 1 and health.watch() == 0
    assert work.waiting_for(alice, actual).filter(kind="warning.channel_silent").count() == 1
    Channel.objects.filter(pk=one.pk).update(heard_at=clock.now())
    assert health.watch() == 1 and not work.waiting_for(alice, actual).filter(kind="warning.channel_silent").exists()
    assert [fact.kind for fact in journal.about(f"channel:{one.pk}")] == ["warning.ChannelSilent", "warning.ChannelHeard"]


# --- words -----------------------------------------------------------------------------------------------------------


def test_every_hazard_colour_and_language_has_plain_words(actual):
    assert texts.gaps() == []
    words = texts.prepared("X-FLASHFLOOD", "red", "甲县")
    assert words["headline"] == "甲县山洪红色预警" and "高处" in words["instruction"] and words["description_en"].startswith("A flash flood is coming.")
    assert texts.prepared("X-FLASHFLOOD", "blue")["instruction"] != words["instruction"]
    assert texts.prepared("11E02", "red")["instruction"] == texts.prepared("11E", "red")["instruction"]  # its parent's
    assert texts.hard("这是一句非常非常长的话" * 4, "zh") and not texts.hard("马上离开。去高处。", "zh")


def test_the_spoken_form_says_signs_and_times_as_people_do(actual, county, alice):
    assert texts.spoken("3小时雨量100.5mm，-3℃，风速20m/s，40%，08:05，18:00，Ⅰ级，【甲】") == "3小时雨量100.5毫米，零下3摄氏度，风速每秒20米，百分之40，8点5分，18点整，一级，甲"
    row = draft(alice, actual, county, status="Test", translations={"en": {"headline": "Red warning: flash flood", "description": "60 mm in 3 h, at 08:05", "instruction": "Go to high ground."}})
    assert texts.speech(row).startswith("现在是测试，不是预警。注意，注意。")
    assert texts.speech(row, "en") == "This is a test, not a warning. Attention, attention. Red warning: flash flood. 60 millimetres in 3 hours, at 8 05. Go to high ground."


def test_the_spoken_form_in_english():
    known = {
        "100.5 mm in 3 h, -3 °C, wind 20 m/s, 40 %, 08:05, 18:00": "100.5 millimetres in 3 hours, minus 3 degrees Celsius, wind 20 metres a second, 40 percent, 8 05, 18 o'clock",
        "level Ⅱ (20 mm/h), 150 m³/s, 1 m": "level 2 20 millimetres an hour, 150 cubic metres a second, 1 metre", "Stay 5–10 km away. https://a.example/b": "Stay 5 to 10 kilometres away.",
    }
    for written, said in known.items():
        assert texts.spoken(written, "en") == said
    assert texts.spoken("60 mm en 3 h, -3 °C", "fr") == "60 mm en 3 h, -3 °C"  # no English words in the middle of French


def test_whoever_writes_gets_the_words_and_is_told_what_is_missing(actual, county, alice, client, signed_in):
    signed_in(client, alice)
    form = {"hazard": "11B03", "colour": "red", "places": county.name, "headline": "", "description": ""}
    page = client.post(reverse("warning:compose_words"), form).content.decode()
    assert f"{county.name}暴雨红色预警" in page and "不要涉水" in page and "Do not walk or drive through water" in page
    row = draft(alice, actual, county, instruction="", description="这是一句怎么也说不完的话，" * 6)
    kinds = {kind for kind, _where in texts.remarks(Alert.plain.get(pk=row.pk))}
    assert kinds == {"no_advice", "no_english", "long"}
    assert client.get(reverse("warning:alert", args=[row.pk])).status_code == 200


def test_the_page_of_words_shows_each_hazard_and_what_is_missing(actual, alice, client, signed_in, monkeypatch):
    signed_in(client, alice)
    page = client.get(reverse("warning:words"))
    assert page.context["lacking"] == 0 and page.context["cells"] == len(page.context["rows"]) * 8
    assert "A flash flood is coming." in page.content.decode() and client.get(reverse("warning:words") + "?colour=pink").status_code == 404
    whole = texts._entry
    monkeypatch.setattr(texts, "_entry", lambda hazard, colour: {} if (hazard, colour) == ("X-FLASHFLOOD", "blue") else whole(hazard, colour))
    page = client.get(reverse("warning:words") + "?colour=blue")
    assert page.context["lacking"] == 2 and "what: missing" in page.content.decode()
