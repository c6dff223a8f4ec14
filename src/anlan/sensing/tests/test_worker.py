"""The worker with a real broker: in order, once, across kills of the worker and of the broker; MQTT; the barrier."""
from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import threading
import time
import urllib.request
from datetime import timedelta
from pathlib import Path
from random import Random

import bcrypt
import nats
import orjson
import pytest
from django.db import connection

from anlan.kernel import clock
from anlan.kernel.models import Fact
from anlan.sensing import broker, ingest, queries, sources, worker
from anlan.sensing.ingest import Sample
from anlan.sensing.models import BatchStat, Partition, Reading, Refused, Series, Station, StreamPosition
from anlan.sensing.worker import Processor

from .builders import act, at, put, source, station

PROGRAM = Path(sysconfig.get_path("scripts")) / "nats-server"
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(not (PROGRAM.exists() or shutil.which("nats-server")), reason="no nats-server here"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    """A nats-server of this test's own, with the users the runtime makes: anlan, replay, and one per source."""

    def __init__(self, folder: Path, users=()):
        self.folder, self.port, self.mqtt, self.http = folder, free_port(), free_port(), free_port()
        everyone = [{"user": "anlan", "password": "secret"}, {"user": "replay", "password": "secret", "permissions": {"publish": ["replay.v1.>"], "subscribe": ["_INBOX.>"]}}]
        for name, user in dict(users).items():
            everyone.append({
                "user": name, "password": user["password_bcrypt"], "allowed_connection_types": ["MQTT"],
                "permissions": {"publish": {"allow": user["publish"]} if user["publish"] else {"deny": [">"]}, "subscribe": {"allow": user["subscribe"]} if "subscribe" in user else {"deny": [">"]}},
            })
        self.conf = folder / "nats.conf"
        self.conf.write_text(
            f'server_name: "t"\nlisten: "127.0.0.1:{self.port}"\nhttp: "127.0.0.1:{self.http}"\n'
            f'jetstream {{ store_dir: "{folder}/js", sync_interval: always }}\nmqtt {{ listen: "127.0.0.1:{self.mqtt}" }}\n'
            'mappings: { "v1//1.*.Observations": "anlan.v1.sta.{{wildcard(1)}}" }\n'
            f"authorization {{ users: {json.dumps(everyone)} }}\n"
        )
        self.start()

    def start(self):
        self.child = subprocess.Popen([str(PROGRAM if PROGRAM.exists() else shutil.which("nats-server")), "-c", str(self.conf)], stderr=subprocess.DEVNULL)
        for _try in range(500):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/healthz", timeout=1) as answer:
                    if json.load(answer)["status"] == "ok":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("nats-server did not start")

    def url(self, user="anlan"):
        return f"nats://{user}:secret@127.0.0.1:{self.port}"

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()


@pytest.fixture
def server(tmp_path):
    made = []

    def make(users=()):
        made.append(Broker(tmp_path, users))
        return made[-1]

    yield make
    for one in made:
        one.kill()


class Running:
    """`worker.run` in a thread; `kill` drops it without a farewell, as SIGKILL would (its transaction is rolled back)."""

    def __init__(self, url):
        self.stop = threading.Event()
        self.thread = threading.Thread(target=worker.run, args=(self.stop, None, url), daemon=True)
        self.thread.start()

    def end(self):
        self.stop.set()
        self.thread.join(20)
        assert not self.thread.is_alive()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def publish(server, realm, samples, user="replay", ids=""):
    async def go():
        nc = await nats.connect(server.url(user))
        try:
            return await ingest.publish_replay(nc, realm, samples, ids=ids)
        finally:
            await nc.close()

    return asyncio.run(go())


def make_streams(server):
    async def go():
        nc = await nats.connect(server.url())
        await ingest.ensure_streams(nc.jetstream())
        await nc.close()

    asyncio.run(go())


@pytest.fixture
def here(settings):
    """Point the process's own bridge to a test's broker."""

    def point(server):
        settings.NATS_URL = server.url()
        settings.ADDRESSES = {}

    yield point
    if broker._bridge is not None:
        broker._bridge.close()
        broker._bridge = None


def storm(codes, bins=40):
    return [
        Sample(code, "rain", at(5 * (n + 1)), round(1.5 + (place * 7 + n * 3) % 11, 1)) for n in range(bins) for place, code in enumerate(codes)
    ]


def test_published_is_stored_judged_and_drained(actual, replay, server, here):
    codes = [f"R{n}" for n in range(20)]
    for code in codes:
        station(actual, code)
    put(replay, 300)
    broker_ = server()
    here(broker_)
    make_streams(broker_)
    samples = storm(codes)
    publish(broker_, replay, samples)
    assert queries.drained(replay) is False
    running = Running(broker_.url())
    try:
        until(lambda: queries.drained(replay))
        assert Reading.objects.count() == len(samples)
        assert queries.drained(actual) is True
        assert Fact.objects.filter(kind="sensing.SignalChanged").exists()
    finally:
        running.end()


def test_killed_again_and_again_the_outcome_is_the_same(actual, replay, server, here, monkeypatch):
    """The worker's session dies in mid-transaction and just after its commit, the broker is killed -9: nothing lost, nothing doubled."""
    from anlan.kernel.models import Realm

    codes = [f"R{n}" for n in range(12)]
    for code in codes:
        station(actual, code)
    put(replay, 300)
    calm = Realm.objects.create(kind="replay", name="calm", clock="manual", now_at=at(300))
    samples = storm(codes)
    worker.feed(calm, samples)
    broker_ = server()
    here(broker_)
    make_streams(broker_)
    deaths = {"before": 3, "after": 3}
    real = Processor.process

    def dying(self, messages):
        if deaths["before"] and deaths["before"] >= deaths["after"]:
            deaths["before"] -= 1
            from django.db import transaction

            with transaction.atomic():
                real(self, messages)
                transaction.set_rollback(True)
            self.forget()
            raise worker.LeaseLost("killed before the commit")
        done = real(self, messages)
        if deaths["after"]:
            deaths["after"] -= 1
            raise worker.LeaseLost("killed after the commit, before the broker heard of it")
        return done

    monkeypatch.setattr(Processor, "process", dying)
    monkeypatch.setattr(worker, "MESSAGES", 40)
    running = Running(broker_.url())
    try:
        for start in range(0, len(samples), 60):
            part = samples[start : start + 60]
            if start == 240:
                broker_.kill()
                broker_.start()
            for _try in range(10):
                try:
                    publish(broker_, replay, part, ids=f"p{start}")
                    break
                except (OSError, nats.errors.Error):
                    time.sleep(0.2)
            else:
                pytest.fail("could not publish")
        until(lambda: queries.drained(replay), 60)
    finally:
        running.end()
    assert deaths == {"before": 0, "after": 0}
    assert queries.canonical(replay) == queries.canonical(calm)

    def changes(realm):
        rows = Fact.objects.filter(realm=realm, kind="sensing.SignalChanged").select_related("payload_row")
        return sorted((row.payload_row.payload["code"], row.occurred_at, row.payload_row.payload["old"], row.payload_row.payload["new"]) for row in rows)

    assert changes(replay) == changes(calm) and changes(calm)


class Forked:
    """A worker in a process of its own, made by fork: it can be killed with SIGKILL at any instant."""

    def __init__(self, url):
        self.pid = os.fork()
        if self.pid:
            return
        try:
            from django.db import connections

            for one in connections.all(initialized_only=True):
                one.connection = None  # the parent's: not ours to close
            broker._bridge = None
            worker.run(threading.Event(), None, url)
        finally:
            os._exit(1)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def test_two_workers_killed_at_random_lose_and_double_nothing(actual, replay, server, here):
    """Two processes share the partitions; six times one of them is killed wherever it stands, and another begins. The same in the end as in one quiet process."""
    from anlan.kernel.models import Realm

    random = Random(20260720)
    codes = [f"R{n}" for n in range(24)]
    for code in codes:
        station(actual, code)
    put(replay, 300)
    calm = Realm.objects.create(kind="replay", name="calm", clock="manual", now_at=at(300))
    samples = storm(codes)
    worker.feed(calm, samples)
    broker_ = server()
    make_streams(broker_)
    workers = [Forked(broker_.url()) for _one in range(2)]
    # After the fork: a child must not inherit the bridge's thread.
    here(broker_)
    held, owners = 0, set()
    try:
        until(lambda: worker.Partition.objects.exclude(owner="").values("owner").distinct().count() == 2)
        for start in range(0, len(samples), len(samples) // 12):
            publish(broker_, replay, samples[start:start + len(samples) // 12], ids=f"p{start}")
            if start and held < 6:
                time.sleep(random.uniform(0, 0.3))
                owners |= set(worker.Partition.objects.exclude(owner="").values_list("owner", flat=True))
                place = random.randrange(2)
                workers[place].kill()
                workers[place] = Forked(broker_.url())
                held += 1
        until(lambda: queries.drained(replay), 90)
    finally:
        for one in workers:
            one.kill()
    assert held == 6 and len(owners) >= 2
    assert queries.canonical(replay) == queries.canonical(calm)

    def changes(realm):
        rows = Fact.objects.filter(realm=realm, kind="sensing.SignalChanged").select_related("payload_row")
        return sorted((row.payload_row.payload["code"], row.occurred_at, row.payload_row.payload["old"], row.payload_row.payload["new"]) for row in rows)

    assert changes(replay) == changes(calm) and changes(calm)


def test_a_stream_made_anew_is_read_from_its_beginning(actual, replay, server, here, tmp_path):
    station(actual, "R1")
    put(replay, 300)
    broker_ = server()
    here(broker_)
    make_streams(broker_)
    publish(broker_, replay, [Sample("R1", "rain", at(n), 1) for n in range(1, 6)])
    running = Running(broker_.url())
    until(lambda: queries.drained(replay))
    running.end()
    assert StreamPosition.objects.filter(stream="REPLAY").count() == 64

    async def lose():
        nc = await nats.connect(broker_.url())
        await nc.jetstream().delete_stream("REPLAY")
        await ingest.ensure_streams(nc.jetstream())
        await nc.close()

    asyncio.run(lose())
    publish(broker_, replay, [Sample("R1", "rain", at(10), 1)])
    running = Running(broker_.url())
    try:
        until(lambda: queries.drained(replay))
    finally:
        running.end()
    assert Reading.objects.count() == 6


def test_the_replay_credential_cannot_write_into_actual_operations(actual, server):
    broker_ = server()
    make_streams(broker_)

    async def go():
        errors = []

        async def note(error):
            errors.append(str(error))

        nc = await nats.connect(broker_.url("replay"), error_cb=note)
        with pytest.raises(nats.errors.Error):
            await ingest.publish(nc, [("anlan.v1.x.R1.rain", b"{}")], timeout=1)
        await nc.close()
        return errors

    assert any("ermissions" in error for error in asyncio.run(go()))


def test_mqtt_device_lands_and_a_foreign_topic_does_not(actual, alice, server, here):
    import paho.mqtt.client as mqtt

    station(actual, "R1")
    station(actual, "R2")
    _row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    broker_ = server(sources.broker_users())
    here(broker_)
    make_streams(broker_)
    running = Running(broker_.url())
    until(lambda: Partition.objects.exclude(owner="").exists())  # what comes before the worker looks is copied once more to be sure, and refused twice
    try:
        now = clock.now()
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="gauge-1", protocol=mqtt.MQTTv311)
        client.username_pw_set("gauge-1", word)
        client.connect("127.0.0.1", broker_.mqtt)
        client.loop_start()
        body = orjson.dumps({"t": now.isoformat(), "v": 2.5, "u": "mm"})
        client.publish("anlan/v1/anywhere/R2/rain", body, qos=1).wait_for_publish(5)
        client.publish("anlan/v1/anywhere/R1/rain", b"not json", qos=1).wait_for_publish(5)
        client.publish("anlan/v1/anywhere/R1/rain", body, qos=1).wait_for_publish(5)
        until(lambda: Reading.objects.exists())
        client.loop_stop()
        client.disconnect()
        until(lambda: queries.drained(actual))
    finally:
        running.end()
    assert [(row.station.code, row.last_value) for row in Series.objects.select_related("station")] == [("R1", 2500)]
    assert [row.reason for row in Refused.objects.all()] == ["malformed"]


def test_what_can_raise_nothing_waits_for_what_can(actual, alice, server, here, monkeypatch):
    monkeypatch.setattr(worker, "GATHER_S", 3600)
    station(actual, "R1")
    _row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    broker_ = server(sources.broker_users())
    here(broker_)
    make_streams(broker_)
    running = Running(broker_.url())
    try:
        gauge = device(broker_, "gauge-1", word)
        tell(gauge, [0], back=20)  # a gauge never heard before does not wait
        until(lambda: Reading.objects.count() == 1)
        known = BatchStat.objects.count()
        tell(gauge, [0, 0.5, 0, 20, 0], back=10)  # rain, and far from any limit
        tell(gauge, [60], back=0)  # with those 20 mm: red
        until(lambda: queries.drained(actual))
        gauge.loop_stop()
        gauge.disconnect()
    finally:
        running.end()
    assert [(row.messages, row.accepted) for row in BatchStat.objects.order_by("pk")[known:]] == [(6, 6)]
    assert Fact.objects.filter(kind="sensing.SignalChanged").exists()


def test_sensor_things_over_mqtt_is_judged_before_it_is_told(actual, alice, server, here):
    """A device publishes to its Datastream's topic; who may read hears what was stored, from this door and another, and nothing that was refused."""
    from anlan.sensing import actions

    station(actual, "R1")
    station(actual, "R2")
    _row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    reader, secret = source(actual, alice, "reader", "mqtt")
    actions.save_source(act(actual, alice), source=reader.pk, name="reader", kind="mqtt", reads=True)
    broker_ = server(sources.broker_users())
    here(broker_)
    make_streams(broker_)
    running = Running(broker_.url())
    heard = []
    try:
        until(lambda: Processor().positions("READINGS", "") == 0 and worker.Partition.objects.exclude(owner="").exists())
        listener = device(broker_, "reader", secret)
        listener.on_message = lambda _client, _data, message: heard.append((message.topic, orjson.loads(message.payload)))
        granted = []
        listener.on_subscribe = lambda _client, _data, _id, codes, _more: granted.append([code.value for code in codes])
        listener.subscribe("v1.1/Datastreams('R1:rain')/Observations", 1)
        until(lambda: granted)
        assert granted == [[1]]
        gauge = device(broker_, "gauge-1", word)
        now = clock.now().replace(microsecond=0)
        times = [(now - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ") for minutes in (3, 2, 1)]
        for topic, body in (
            ("v1.1/Datastreams('R2:rain')/Observations", {"phenomenonTime": times[0], "result": 9}),  # another's: the broker refuses
            ("v1.1/Datastreams('R1:rain')/Observations", {"phenomenonTime": times[0], "result": -5}),  # impossible: the worker refuses
            ("v1.1/Datastreams('R1:rain')/Observations", {"phenomenonTime": times[0], "result": 1.5}),
            ("v1.1/Datastreams(R1:rain)/Observations", {"phenomenonTime": f"{times[0]}/{times[1]}", "result": 2}),
        ):
            gauge.publish(topic, orjson.dumps(body), qos=1).wait_for_publish(5)
        gauge.publish("anlan/v1/anywhere/R1/rain", orjson.dumps({"t": times[2], "v": 2.5, "u": "mm"}), qos=1).wait_for_publish(5)
        until(lambda: len(heard) == 3)
        until(lambda: queries.drained(actual))
        for client in (gauge, listener):
            client.loop_stop()
            client.disconnect()
    finally:
        running.end()
    assert [(topic, body["phenomenonTime"], body["result"]) for topic, body in heard] == [
        ("v1.1/Datastreams('R1:rain')/Observations", when, value) for when, value in zip(times, (1.5, 2, 2.5), strict=True)
    ]
    assert [row.reason for row in Refused.objects.all()] == ["out_of_range"] and Reading.objects.filter(series__station__code="R1").count() == 3


def device(broker_, name, word):
    import paho.mqtt.client as mqtt

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv311)
    client.username_pw_set(name, word)
    client.connect("127.0.0.1", broker_.mqtt)
    client.loop_start()
    return client


def tell(client, values, back=0):
    """Publish with QoS 1 and return when the broker has acknowledged each; the last one is of a minute ago, or of `back` minutes more."""
    now = clock.now() - timedelta(minutes=len(values) + back)
    for n, value in enumerate(values):
        body = orjson.dumps({"t": (now + timedelta(minutes=n)).isoformat(), "v": value, "u": "mm"})
        client.publish("anlan/v1/anywhere/R1/rain", body, qos=1).wait_for_publish(10)


def on_broker(server, work):
    async def go():
        nc = await nats.connect(server.url())
        try:
            return await work(nc.jetstream())
        finally:
            await nc.close()

    return asyncio.run(go())


@pytest.mark.parametrize("readings", ["full", "gone"])
def test_what_a_device_was_told_is_taken_is_not_lost_when_the_copy_never_came(readings, actual, alice, server, settings):
    """The sensing side is down, READINGS takes nothing, the broker acknowledges and is killed: every reading is there in the end."""
    station(actual, "R1")
    _row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    broker_ = server(sources.broker_users())
    settings.NATS_URL, settings.ADDRESSES = broker_.url(), {"nats": broker_.url()}
    make_streams(broker_)

    async def spoil(js):
        await ingest.keep_mqtt(js)  # as the worker had done while it ran
        if readings == "gone":
            await js.delete_stream(ingest.READINGS)
        else:
            config = (await js.stream_info(ingest.READINGS)).config
            await js.update_stream(config.evolve(max_bytes=1))

    on_broker(broker_, spoil)
    client = device(broker_, "gauge-1", word)
    tell(client, [1.0, 2.0, 3.0])
    broker_.kill()
    client.loop_stop()
    broker_.start()
    running = Running(broker_.url())
    try:
        until(lambda: Reading.objects.count() == 3)
    finally:
        running.end()
    assert sorted(Reading.objects.values_list("value", flat=True)) == [1000, 2000, 3000]


def test_the_bridge_lets_go_of_what_is_in_the_database(actual, alice, server, settings, monkeypatch):
    monkeypatch.setattr(worker, "PURGE_S", 0.3)
    station(actual, "R1")
    _row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    broker_ = server(sources.broker_users())
    settings.NATS_URL, settings.ADDRESSES = broker_.url(), {"nats": broker_.url()}

    async def kept(js):
        return (await js.stream_info(ingest.MQTT_STREAM)).state.messages

    running = Running(broker_.url())
    try:
        until(lambda: running.thread.is_alive() and _there(broker_))
        client = device(broker_, "gauge-1", word)
        tell(client, [1.0, 2.0])
        until(lambda: Reading.objects.count() == 2)
        until(lambda: on_broker(broker_, kept) == 0)
        tell(client, [4.0], back=10)  # not in the second of an earlier one
        until(lambda: Reading.objects.count() == 3)
        client.loop_stop()
        client.disconnect()
    finally:
        running.end()
    assert not Refused.objects.exists()


def _there(server):
    async def look(js):
        try:
            return bool(await js.consumer_info(ingest.MQTT_STREAM, ingest.KEPT))
        except nats.js.errors.NotFoundError:
            return False

    return on_broker(server, look)


def test_a_wrong_password_does_not_get_in(actual, alice, server):
    import paho.mqtt.client as mqtt

    station(actual, "R1")
    source(actual, alice, "gauge-1", "mqtt", ["R1"])
    broker_ = server(sources.broker_users())
    answers = []
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="x", protocol=mqtt.MQTTv311)
    client.on_connect = lambda c, u, f, reason, p: answers.append(reason.is_failure)
    client.username_pw_set("gauge-1", "guess")
    client.connect("127.0.0.1", broker_.mqtt)
    client.loop_start()
    until(lambda: answers, 10)
    client.loop_stop()
    assert answers[0] is True


def test_broker_users_are_written_privately_and_only_for_who_may(actual, alice, settings, tmp_path):
    settings.HOME = tmp_path
    station(actual, "R1")
    station(actual, "R2")
    row, word = source(actual, alice, "gauge-1", "mqtt", ["R1"])
    source(actual, alice, "web-only", "http", ["R2"])
    path = tmp_path / "keys" / "sources.json"
    stored = json.loads(path.read_text())
    assert set(stored) == {"gauge-1"} and stored["gauge-1"]["publish"][0] == "anlan.v1.*.R1.*" and all("R1" in one for one in stored["gauge-1"]["publish"])
    assert bcrypt.checkpw(word.encode(), stored["gauge-1"]["password_bcrypt"].encode()) and word not in path.read_text()
    assert os.stat(path).st_mode & 0o777 == 0o600
    from anlan.sensing import actions

    actions.save_source(act(actual, alice), source=row.pk, name="gauge-1", kind="mqtt", active=False)
    assert json.loads(path.read_text()) == {}


def test_processed_messages_are_purged_and_the_position_stays(actual, replay, server, here, monkeypatch):
    monkeypatch.setattr(worker, "PURGE_S", 0.2)
    station(actual, "R1")
    put(replay, 300)
    broker_ = server()
    here(broker_)
    make_streams(broker_)
    publish(broker_, replay, [Sample("R1", "rain", at(n), 1) for n in range(1, 6)])
    running = Running(broker_.url())

    def left():
        async def go():
            nc = await nats.connect(broker_.url())
            info = await nc.jetstream().stream_info("REPLAY")
            await nc.close()
            return info.state.messages

        return asyncio.run(go())

    try:
        until(lambda: left() == 0)
        assert queries.drained(replay) is True
        publish(broker_, replay, [Sample("R1", "rain", at(20), 1)])
        until(lambda: Reading.objects.count() == 6)
    finally:
        running.end()
    assert Station.objects.count() == 1
    connection.close()
