"""MQTT 3.1.1 to a broker of somebody else's: publish, and fetch what was published for us while we were not there.

settings["broker"]: {"host": "…", "port": 8883, "tls": true, "user": "…", "secret": "name", "ca": "name of a kept PEM"}.
"""
from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from queue import Empty, Queue
from typing import Any

import paho.mqtt.client as mqtt

from anlan.kernel import outbound
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from . import secrets
from .models import Channel
from .ports import Outcome

TOPIC = re.compile(r"[^+#\s\0]{1,200}\Z")
TIMEOUT_S = 10
QUIET_S = 1.0
FETCH_S = 20


class Client(mqtt.Client):
    """Connects to the address that was judged, and checks the certificate by name."""

    pinned = ""

    def _create_socket_connection(self) -> Any:
        return socket.create_connection((self.pinned, self._port), TIMEOUT_S)


def problem(settings: dict[str, Any]) -> str:
    """What is wrong with the settings of a broker; empty when they will do."""
    found = settings.get("broker")
    if not isinstance(found, dict) or not found.get("host"):
        return "broker names its host"
    for name in ("secret", "ca"):
        if found.get(name) and not secrets.NAME.match(str(found[name])):
            return f"broker.{name} is the name of a secret: small letters, digits, - and _"
    return ""


def _client(channel: Channel, name: str, clean: bool, came: Queue[mqtt.MQTTMessage] | None = None) -> Client:
    settings = channel.settings["broker"]
    port = int(settings.get("port") or (8883 if settings.get("tls", True) else 1883))
    client = Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, clean_session=clean, protocol=mqtt.MQTTv311, manual_ack=not clean)
    client.pinned = outbound.pin(settings["host"], port)
    if settings.get("tls", True):
        client.tls_set_context(ssl.create_default_context(cadata=secrets.read(settings["ca"]) if settings.get("ca") else None))
    if settings.get("user"):
        client.username_pw_set(settings["user"], secrets.read(settings.get("secret", "")))
    if came is not None:  # before it connects: what was kept for us comes together with the broker's welcome
        client.on_message = lambda _client, _data, message: came.put(message)
    ready: Queue[str] = Queue()
    client.on_connect = lambda _client, _data, _flags, reason, _properties: ready.put(str(reason) if reason.is_failure else "")
    client.connect_timeout = TIMEOUT_S
    client.connect(settings["host"], port, keepalive=30)
    client.loop_start()
    try:
        said = ready.get(timeout=TIMEOUT_S)
    except Empty:
        said = "no answer"
    if said:
        _close(client)
        raise OSError(f"the broker refused: {said}")
    return client


def _close(client: Client) -> None:
    client.disconnect()
    client.loop_stop()


def publish(channel: Channel, messages: list[tuple[str, bytes]], retain: bool = False) -> Outcome:
    """Publish with QoS 1 and wait until the broker has each. Its word is the channel's, not the device's."""
    try:
        client = _client(channel, f"anlan-{new_id().hex[:16]}", clean=True)
        try:
            until = time.monotonic() + TIMEOUT_S
            for sent in [client.publish(topic, body, qos=1, retain=retain) for topic, body in messages]:
                sent.wait_for_publish(max(0.01, until - time.monotonic()))
                if not sent.is_published():
                    return Outcome(False, "the broker did not confirm in time")
        finally:
            _close(client)
    except Problem as problem_:
        return Outcome(False, str(problem_), permanent=problem_.kind is outbound.REFUSED)
    except (OSError, ValueError, RuntimeError) as error:
        return Outcome(False, f"{type(error).__name__}: {error}"[:300])
    return Outcome(True)


def fetch(channel: Channel, topic: str) -> Iterator[tuple[str, bytes]]:
    """What was published on a topic since the last time: the broker keeps it for our name. Each is confirmed when the next is asked for."""
    came: Queue[mqtt.MQTTMessage] = Queue()
    client = _client(channel, f"anlan-{channel.pk.hex}", clean=False, came=came)
    try:
        client.subscribe(topic, qos=1)
        until = time.monotonic() + FETCH_S
        while time.monotonic() < until:
            try:
                message = came.get(timeout=QUIET_S)
            except Empty:
                return
            yield message.topic, bytes(message.payload)
            client.ack(message.mid, message.qos)
    finally:
        _close(client)
