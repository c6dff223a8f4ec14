"""CAP messages on an MQTT topic, for neighbours that subscribe.

settings: {"broker": {"host", "port": 8883, "tls": true, "user", "secret", "ca"}, "topic": "cap/anlan", "retain": false}
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext_lazy as _

from ... import broker, texts
from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target


class CapMqtt(Adapter):
    code = "cap_mqtt"
    name = _("CAP over MQTT")
    quiet = True

    def problem(self, settings: dict[str, Any]) -> str:
        return broker.problem(settings) or ("" if broker.TOPIC.match(str(settings.get("topic", ""))) else "topic is where messages are published, without + and #")

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        yield Target(channel.settings["topic"], "CAP")

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        if not alert.cap_xml:
            return Outcome(False, "it has no CAP message of its own", permanent=True)
        return broker.publish(channel, [(channel.settings["topic"], bytes(alert.cap_xml))], retain=bool(channel.settings.get("retain")))

    def alive(self, channel: Channel) -> Outcome:
        return broker.publish(channel, [])

    def test(self, channel: Channel) -> Outcome:
        return broker.publish(channel, [(f"{channel.settings['topic']}/test", texts.TEST_SENTENCE.encode())])


ADAPTER = CapMqtt()
