"""LED screens: the text, its colour and how long it stands.

settings and what is published: see `warning/devices.py`.
"""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ... import texts
from ...devices import DeviceAdapter
from ...models import Alert, Channel


class Screen(DeviceAdapter):
    code = "screen"
    name = _("LED screens (MQTT)")
    kind = "screen"
    longest = 500
    quiet = True  # a corrected line wakes nobody

    def text(self, alert: Alert) -> str:
        return texts.short(alert)

    def body(self, channel: Channel, alert: Alert) -> dict[str, Any] | None:
        return {"action": "show", "text": texts.short(alert), "colour": alert.colour, "until": alert.expires.isoformat() if alert.expires else ""}


ADAPTER = Screen()
