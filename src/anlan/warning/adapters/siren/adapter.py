"""Sirens: a pattern of the settings for each colour; silence ends it.

Which pattern means what is the place's own decision and is set, not assumed: {"patterns": {"red": "…", "orange": "…", "all_clear": "…"}}.

settings and what is published: see `warning/devices.py`.
"""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from ...devices import DeviceAdapter
from ...models import Alert, Channel


class Siren(DeviceAdapter):
    code = "siren"
    name = _("Sirens (MQTT)")
    kind = "siren"

    def problem(self, settings: dict[str, Any]) -> str:
        patterns = settings.get("patterns")
        if not isinstance(patterns, dict) or not any(patterns.get(colour) for colour in ("red", "orange")):
            return "patterns says what sounds for which colour, as the place has decided: {\"red\": \"…\", \"all_clear\": \"…\"}"
        return super().problem(settings)

    def body(self, channel: Channel, alert: Alert) -> dict[str, Any] | None:
        pattern = channel.settings["patterns"].get("all_clear" if alert.msg_type == "Cancel" else alert.colour)
        return {"action": "sound", "pattern": pattern} if pattern else None


ADAPTER = Siren()
