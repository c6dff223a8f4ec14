"""Village loudspeakers: the speech text, read aloud by the device, with priority, repeats and a stop.

settings and what is published: see `warning/devices.py`.
"""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ... import texts
from ...devices import DeviceAdapter
from ...models import Alert, Channel


class Loudspeaker(DeviceAdapter):
    code = "loudspeaker"
    name = _("Village loudspeakers (MQTT)")
    kind = "loudspeaker"
    longest = 600  # about two minutes of speech

    def text(self, alert: Alert) -> str:
        return texts.speech(alert)

    def body(self, channel: Channel, alert: Alert) -> dict[str, Any] | None:
        others = {language: texts.speech(alert, language) for language in sorted(alert.translations) if language != alert.language}
        return {"action": "play", "speech": texts.speech(alert), "language": alert.language, "speeches": others, "repeat": int(channel.settings.get("repeat", 3 if alert.msg_type != "Cancel" else 1))}


ADAPTER = Loudspeaker()
