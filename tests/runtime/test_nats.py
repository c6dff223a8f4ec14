"""The embedded broker: nobody anonymous, everybody only where they belong, nothing acknowledged lost."""
from __future__ import annotations

import asyncio
import json
import os
import signal
import stat

import bcrypt
import nats as client
import paho.mqtt.client as mqtt
import pytest

from anlan.kernel.errors import Problem
from anlan.runtime import nats
from anlan.runtime.nats import INTERNAL, REPLAY, Nats

from .conftest import until

HASH = bcrypt.hashpw(b"gauge secret", bcrypt.gensalt(4)).decode()


def write_sources(home, **sources):
    (home / "keys").mkdir(parents=True, exist_ok=True)
    (home / "keys" / "sources.json").write_text(
        json.dumps({name: {"password_bcrypt": HASH, "publish": subjects} for name, subjects in sources.items()})
    )


@pytest.fixture
def broker(tmp_path, monkeypatch):
    monkeypatch.setenv("ANLAN_MQTT_PORT", "0")
    home = tmp_path / "home"
    write_sources(home, gw1=["anlan.v1.*.s1.>"])
    with Nats(home) as running:
        yield running


async def quiet(_error):
    return None


def talk(broker, user, work):
    async def run():
        nc = await client.connect(broker.url(user), error_cb=quiet)
        try:
            return await work(nc)
        finally:
            await nc.close()

    return asyncio.run(run())


def make_stream(broker):
    async def work(nc):
        await nc.jetstream().add_stream(name="READINGS", subjects=["anlan.v1.>", "replay.v1.>"])

    talk(broker, INTERNAL, work)


def stored(broker):
    async def work(nc):
        return (await nc.jetstream().stream_info("READINGS")).state.messages

    return talk(broker, INTERNAL, work)


def publish(broker, name, topic, secret="gauge secret"):
    """Publish once over MQTT with QoS 1; returns what the connection was answered."""
    answers = []
    gauge = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"{name}-client")
    gauge.username_pw_set(name, secret)
    gauge.on_connect = lambda _c, _u, _f, reason, _p: answers.append(str(reason))
    gauge.connect("127.0.0.1", broker.ports["mqtt"])
    gauge.loop_start()
    until(lambda: answers)
    if answers[0] == "Success":
        gauge.publish(topic, b'{"t":"2026-01-01T00:00:00Z","v":1,"u":"mm"}', qos=1).wait_for_publish(30)
    gauge.disconnect()
    gauge.loop_stop()
    return answers[0]


def test_nobody_is_anonymous_not_even_on_loopback(broker):
    async def connect(url):
        await client.connect(url, allow_reconnect=False, error_cb=quiet)

    for url in (f"nats://127.0.0.1:{broker.ports['nats']}", f"nats://{INTERNAL}:wrong@127.0.0.1:{broker.ports['nats']}"):
        with pytest.raises(client.errors.Error, match="Authorization"):
            asyncio.run(connect(url))
    assert publish(broker, "gw1", "anlan/v1/r/s1/rain", secret="wrong") != "Success"


def test_a_source_reaches_its_own_stations_only_and_refusals_are_counted(broker):
    make_stream(broker)
    assert publish(broker, "gw1", "anlan/v1/anywhere/s1/rain") == "Success"
    assert stored(broker) == 1
    publish(broker, "gw1", "anlan/v1/anywhere/s2/rain")
    publish(broker, "gw1", "replay/v1/realm/r/s1/rain")
    assert stored(broker) == 1
    assert until(lambda: nats.refused_publishes(broker.home)) == {"gw1-client": 2}


def test_a_replay_writes_into_replays_only(broker):
    make_stream(broker)

    async def work(nc):
        await nc.jetstream().publish("replay.v1.realm.r.s.rain", b"1")
        with pytest.raises(client.errors.TimeoutError):
            await nc.jetstream().publish("anlan.v1.r.s.rain", b"1", timeout=0.5)

    talk(broker, REPLAY, work)
    assert stored(broker) == 1


def test_a_new_source_is_let_in_without_a_restart(broker):
    assert publish(broker, "gw2", "anlan/v1/r/s2/rain") != "Success"
    pid = broker.child.pid
    write_sources(broker.home, gw1=["anlan.v1.*.s1.>"], gw2=["anlan.v1.*.s2.>"])
    assert broker.reload_if_changed()
    assert not broker.reload_if_changed()
    until(lambda: publish(broker, "gw2", "anlan/v1/r/s2/rain") == "Success")
    assert broker.child.pid == pid


def test_a_bad_entry_does_not_take_the_others_off_the_air(broker):
    write_sources(broker.home, gw1=["anlan.v1.*.s1.>"], gw2=['anlan.v1.x"] } { user: evil'])
    assert broker.reload_if_changed()
    assert "evil" not in broker.conf.read_text()
    assert "gw2" in (broker.home / "logs" / "nats.log").read_text()
    # The broker takes the signal to read its file again when it can.
    until(lambda: publish(broker, "gw1", "anlan/v1/r/s1/rain") == "Success")
    assert publish(broker, "gw2", "anlan/v1/r/s1/rain") != "Success"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("anlan", {"password_bcrypt": HASH, "publish": ["a"]}),
        ("replay", {"password_bcrypt": HASH, "publish": ["a"]}),
        ('x" }', {"password_bcrypt": HASH, "publish": ["a"]}),
        ("gw", {"password_bcrypt": "plain", "publish": ["a"]}),
        ("gw", {"publish": ["a"]}),
        ("gw", {"password_bcrypt": HASH, "publish": ["a b"]}),
        ("gw", {"password_bcrypt": HASH, "publish": ['a"']}),
        ("gw", {"password_bcrypt": HASH, "publish": [7]}),
    ],
)
def test_what_could_change_the_configuration_is_not_written_into_it(name, source):
    with pytest.raises(ValueError):
        nats._source(name, source)


def test_a_source_without_stations_may_publish_nothing():
    assert nats._source("gw", {"password_bcrypt": HASH, "publish": []})["permissions"]["publish"] == {"deny": [">"]}


def test_no_password_stands_in_the_configuration(broker):
    text = broker.conf.read_text()
    passwords = json.loads(broker.keys.read_text())
    assert set(passwords) == {INTERNAL, REPLAY}
    assert not any(password in text for password in passwords.values())
    assert stat.S_IMODE(broker.conf.stat().st_mode) == stat.S_IMODE(broker.keys.stat().st_mode) == 0o600
    assert "sync_interval: always" in text


def test_what_was_acknowledged_survives_a_kill_on_the_same_ports(broker):
    make_stream(broker)

    async def work(nc):
        for number in range(20):
            await nc.jetstream().publish("anlan.v1.r.s.rain", str(number).encode())

    talk(broker, INTERNAL, work)
    ports = dict(broker.ports)
    os.kill(broker.child.pid, signal.SIGKILL)
    broker.child.wait()
    broker.spawn()
    broker.wait_ready()
    assert stored(broker) == 20
    broker.stop()
    broker.start()
    assert broker.ports == ports
    assert stored(broker) == 20


def test_a_second_one_on_the_same_folder_is_refused(broker):
    with pytest.raises(Problem, match="runtime.folder_busy"):
        Nats(broker.home).start()


def test_a_broken_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("NATS_SERVER", str(tmp_path / "missing"))
    with pytest.raises(Problem) as refused:
        nats.program()
    assert refused.value.kind.code == "runtime.program_missing"
    monkeypatch.setenv("NATS_SERVER", "/bin/false")
    with pytest.raises(Problem, match="runtime.not_started"):
        Nats(tmp_path / "home").start()
