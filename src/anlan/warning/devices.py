"""Devices that speak to everybody within reach: loudspeakers, screens, sirens. Published one by one over MQTT; what they say comes back.

settings: {"broker": {…}, "topic": "speakers/{device}/play", "status": "speakers/+/status"}. Published is JSON:
  {"id", "action": "play" | "show" | "sound" | "stop" | "tone", "priority": 1–4, "ends": […], …what the kind needs}
`ends` names messages of ours the device stops when this one comes. Devices answer on `status`, or their platform posts the same to
/api/v1/warning/devices/<channel>: {"device", "kind": "heartbeat" | "delivered" | "failed" | "tone" | "tone_failed", "id", "text"}.
The format is ours: no public standard says what a county's broadcasting platform takes; a bridge there translates.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Max, QuerySet
from django.utils.translation import gettext as _

from anlan.kernel import access, clock
from anlan.kernel.actions import Act, action
from anlan.kernel.ids import new_id
from anlan.kernel.models import Region, RegionPath

from . import broker, ports
from .errors import NOT_SENT
from .facts import TonesSounded
from .models import RANK, Alert, Attempt, Channel, Device, DeviceState, ToneTest
from .ports import Adapter, Outcome, Report, Target

TONE_GOOD = timedelta(days=31)  # an inspection asks for a tone a month
SILENT = timedelta(minutes=30)  # where a channel does not say how often its devices report
TONE_WAIT = timedelta(minutes=10)
MOST = 64 * 1024


class DeviceAdapter(Adapter):
    """What the three kinds have in common."""

    urgent = True

    kind = ""

    def body(self, channel: Channel, alert: Alert) -> dict[str, Any] | None:
        """What a device of this kind is told; None when it has nothing to say to it."""
        raise NotImplementedError

    def problem(self, settings: dict[str, Any]) -> str:
        if why := broker.problem(settings):
            return why
        topic = str(settings.get("topic", ""))
        return "" if "{device}" in topic and broker.TOPIC.match(topic) else "topic is where a device listens and holds {device}"

    def devices(self, channel: Channel, alert: Alert) -> QuerySet[Device]:
        regions = [UUID(key) for key in alert.region_ids]
        below = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=regions).values("descendant_id")
        rows: Any = Device.plain.filter(channel=channel, kind=self.kind, ended_at=None)
        return (rows.filter(region_id__in=regions) | rows.filter(region_id__in=below)).order_by("code")

    def targets(self, channel: Channel, alert: Alert) -> Iterable[Target]:
        for row in self.devices(channel, alert):
            yield Target(row.code, row.name, row.region_id)

    def batch(self, channel: Channel) -> int:
        return 200  # one connection for many devices; each still gets its own message

    def hand_over(self, channel: Channel, alert: Alert, attempt: Attempt) -> Outcome:
        return self.hand_over_many(channel, alert, [attempt])[0]

    def hand_over_many(self, channel: Channel, alert: Alert, attempts: list[Attempt]) -> list[Outcome]:
        body = self.body(channel, alert)
        if body is None and alert.msg_type != "Cancel":
            return [Outcome(False, _("nothing is set for this colour"), permanent=True)] * len(attempts)
        ends = self._ends(channel, alert, [one.target for one in attempts])
        messages = []
        for one in attempts:
            said = {"id": str(one.pk), "priority": RANK.get(alert.colour, 0) or 4, "ends": ends.get(one.target, []), **(body or {"action": "stop"})}
            messages.append((_topic(channel, one.target), json.dumps(said, ensure_ascii=False).encode()))
        return [broker.publish(channel, messages)] * len(attempts)

    def _ends(self, channel: Channel, alert: Alert, codes: list[str]) -> dict[str, list[str]]:
        """What each device was told before in this chain: it stops that first."""
        found: dict[str, list[str]] = {}
        before = alert.predecessor
        while before is not None and before.pk:
            for key, target in Attempt.plain.filter(alert=before, channel=channel, target__in=codes).values_list("pk", "target"):
                found.setdefault(target, []).append(str(key))
            before = before.predecessor
        return found

    def collect(self, channel: Channel) -> Iterator[Report]:
        if not channel.settings.get("status"):
            return
        for _where, raw in broker.fetch(channel, channel.settings["status"]):
            if (report := parse(raw)) is not None:
                yield report

    def test(self, channel: Channel) -> Outcome:
        row: Any = Device.plain.filter(channel=channel, ended_at=None).order_by("code").first()
        code = channel.settings.get("test_device") or (row.code if row else "")
        if not code:
            return Outcome(False, "the channel has no device", permanent=True)
        return broker.publish(channel, [(_topic(channel, code), json.dumps({"id": str(new_id()), "action": "ping"}).encode())])


def _topic(channel: Channel, code: str) -> str:
    return str(channel.settings["topic"]).replace("{device}", code)


def parse(raw: bytes) -> Report | None:
    """One report of a device; None when it is none. Whatever else stands in it is left."""
    try:
        said = json.loads(raw) if len(raw) <= MOST else None
        return report_of(said) if isinstance(said, dict) else None
    except ValueError:
        return None


REPORTS = ("heartbeat", "delivered", "failed", "tone", "tone_failed")


def report_of(said: dict[str, Any]) -> Report | None:
    kind, device = str(said.get("kind", "heartbeat")), str(said.get("device", ""))[:60]
    if kind not in REPORTS or not device:
        return None
    return Report(kind, reference=str(said.get("id", ""))[:200], device=device, text=str(said.get("text", ""))[:200])


# --- what comes back -------------------------------------------------------------------------------------------------


def take_reports(channel: Channel, reports: Iterable[Report]) -> dict[str, int]:
    """Write what a channel's other side says; {known, unknown}. A device speaks for itself alone, and only by its own channel."""
    from . import delivery

    counts = {"known": 0, "unknown": 0}
    for report in reports:
        counts["known" if _take(channel, report, delivery.record_receipt) else "unknown"] += 1
    if counts["known"]:
        Channel.objects.filter(pk=channel.pk).update(heard_at=clock.now())
    return counts


def _take(channel: Channel, report: Report, receipt: Any) -> bool:
    now = clock.now()
    if report.device:
        device: Any = Device.plain.filter(code=report.device, channel=channel, ended_at=None).first()
        if device is None:
            return False
        said = {"heard_at": now} | ({"text": report.text} if report.kind == "heartbeat" else {}) | ({"tone_at": now} if report.kind == "tone" else {})
        DeviceState.objects.update_or_create(device=device, defaults=said)
        if report.kind in ("tone", "tone_failed"):
            asked = ToneTest.objects.filter(device=device, answered_at=None)
            asked.filter(pk__in=asked.order_by("-asked_at").values("pk")[:1]).update(answered_at=now, ok=report.kind == "tone", text=report.text)
            return True
        if report.kind == "heartbeat":
            return True
        if not Attempt.plain.filter(channel=channel, target=device.code, pk=_uuid(report.reference)).exists():
            return False
    return receipt(channel, report.reference, report.kind != "failed", report.text, report.kind)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


# --- the test tone ---------------------------------------------------------------------------------------------------


@action("warning.sound_tones")
def sound_tones(act: Act, *, channel: UUID) -> int:
    """Ask every device of a channel for its test tone: heard by everybody there, no word is said. Needs warning.issue_internal; answers how many were asked."""
    from .delivery import held_back

    access.require(act, "warning.issue_internal")
    row = act.lock(Channel, channel, check_version=False)
    adapter = ports.adapters()[row.adapter]
    if not act.realm.is_actual or not row.enabled or not isinstance(adapter, DeviceAdapter):
        raise NOT_SENT(reason=_("test tones are asked of a channel of devices that is switched on, and in no exercise"))
    held_back(row)
    listed: Any = Device.plain.filter(channel=row, ended_at=None)
    devices = list(listed.order_by("code"))
    for device in devices:
        act.create(ToneTest, device=device, channel=row, asked_at=act.now, asked_by=act.actor.person_id)
    act.state(TonesSounded(channel=row.pk, devices=len(devices)), about=row)
    return len(devices)


def ask_for_tones(channel: Channel) -> Outcome:
    """After the record of it is kept: the tones themselves."""
    asked = ToneTest.objects.filter(channel=channel, answered_at=None, asked_at__gt=clock.now() - TONE_WAIT).select_related("device")
    messages = [(_topic(channel, one.device.code), json.dumps({"id": str(one.pk), "action": "tone", "seconds": 3}).encode()) for one in asked]
    return broker.publish(channel, messages) if messages else Outcome(False, _("there is no device to ask"), permanent=True)


# --- Q21: which villages a loudspeaker reaches -----------------------------------------------------------------------


@dataclass(frozen=True)
class Village:
    """One village and the best of its loudspeakers."""

    region: Region
    state: str  # good, tone_due, silent, none
    devices: int
    heard_at: datetime | None
    tone_at: datetime | None


ORDER = ("none", "silent", "tone_due", "good")


def state_of(heard_at: datetime | None, tone_at: datetime | None, every: int | None, now: datetime) -> str:
    """A loudspeaker counts when it was heard of lately and its last tone is no older than a month."""
    limit = timedelta(minutes=every) if every else SILENT
    if heard_at is None or now - heard_at > limit:
        return "silent"
    return "good" if tone_at is not None and now - tone_at <= TONE_GOOD else "tone_due"


def villages(regions: Any, now: datetime) -> list[Village]:
    """The villages among these regions, those nobody reaches first and of them the most populous. `regions`: keys, or None for all."""
    rows = Region.objects.filter(kind="village").defer("area_wkb")
    if regions is not None:
        rows = rows.filter(pk__in=regions)
    listed: Any = Device.plain.filter(kind=Device.LOUDSPEAKER, ended_at=None, region__kind="village")
    found: dict[UUID, list[tuple[str, datetime | None, datetime | None]]] = {}
    for region, heard, tone, every in listed.values_list("region_id", "state__heard_at", "state__tone_at", "channel__heartbeat_minutes"):
        found.setdefault(region, []).append((state_of(heard, tone, every, now), heard, tone))
    out = []
    for region in rows:
        mine = found.get(region.pk, [])
        best = max((one[0] for one in mine), key=ORDER.index, default="none")
        out.append(Village(region, best, len(mine), max((one[1] for one in mine if one[1]), default=None), max((one[2] for one in mine if one[2]), default=None)))
    return sorted(out, key=lambda one: (ORDER.index(one.state), -(one.region.population or 0), one.region.name))


def coverage(actor: Any, now: datetime) -> dict[str, Any] | None:
    """Q21 over the villages a reader may see: per cent with a loudspeaker that works, and each that has none. None: no village is on the map of regions."""
    reach = access.regions(actor, "warning.read")
    found = villages(None if reach is access.ALL else reach, now)
    if not found:
        return None
    good = sum(one.state == "good" for one in found)
    return {
        "villages": found, "count": len(found), "good": good, "rate": round(100 * good / len(found), 1),
        "states": {state: sum(one.state == state for one in found) for state in ORDER}, "lacking": [one for one in found if one.state != "good"],
        "heard": DeviceState.objects.aggregate(at=Max("heard_at"))["at"],
    }
