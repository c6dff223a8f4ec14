"""A calling service: it rings the number, reads the speech text, and reports who picked up or pressed the key (叫应).

settings as those of `sms`: {"url", "body": {… "{number}" "{text}" "{id}" …}, "numbers" | "list" | "posts", …}. "{text}" is the speech
form, made to be read aloud. The service reports to /api/v1/warning/receipts/<channel> with kind delivered (picked up) or acknowledged (key pressed).
"""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from ... import texts
from ...models import Alert
from ..sms.adapter import Sms


class Voice(Sms):
    code = "voice"
    name = _("Voice calls (hand-off)")
    segments = 0
    longest = 600  # about two minutes of speech

    def text(self, alert: Alert) -> str:
        return texts.speech(alert)


ADAPTER = Voice()
