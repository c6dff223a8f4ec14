"""The public CAP feed: sending is being listed. The feed itself asks the gate again for each reader."""
from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext_lazy as _

from ...models import Alert, Attempt, Channel
from ...ports import Adapter, Outcome, Target


class CapFeed(Adapter):
    code = "cap_feed"
    name = _("CAP feed (Atom)")
    quiet = True

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        yield Target("/exchange/cap.atom", "CAP")

    def count(self, channel: Channel, alert: Alert) -> None:
        return None

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        if not alert.cap_xml:
            # Heard by phone: there is no CAP original to pass on unchanged, and we do not write one in another's name.
            return Outcome(False, "it has no CAP message of its own", permanent=True)
        return Outcome(True, delivered=True, reference=alert.identifier)

    def alive(self, channel: Channel) -> Outcome:
        return Outcome(True)

    def test(self, channel: Channel) -> Outcome:
        return Outcome(True)


ADAPTER = CapFeed()
