"""Declared here: the registers of channels and of the devices some of them play. Whoever changes a channel switches it off; a second natural person switches it on again."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access, clock
from anlan.kernel.models import Installation, Person
from anlan.kernel.registers import Field, Personal, Register, register

from . import actions, devices, ports
from .models import Channel, Device, Responsible


def persons(rows: list[Channel]) -> dict[Any, str]:
    """Who added or last changed a channel, and who confirmed it."""
    names = dict(Person.objects.filter(pk__in={key for row in rows for key in (row.added_by, row.confirmed_by) if key}).values_list("pk", "name"))
    return {row.pk: " + ".join(names[key] for key in (row.added_by, row.confirmed_by) if key in names) for row in rows}


def check(values: dict[str, Any]) -> list[dict[str, str]]:
    """The settings are what the channel's adapter needs."""
    adapter = ports.adapters().get(values.get("adapter") or "")
    reason = adapter.problem(values.get("settings") or {}) if adapter else ""
    found = [{"field": "settings", "why": reason}] if reason else []
    if values.get("name") and (after := values.get("fallback")):
        row = Channel.objects.filter(name=values["name"]).first()
        seen = set()
        while after and after not in seen:  # a ring of channels would pass a target round for ever
            seen.add(after)
            if row is not None and str(after) == str(row.pk):
                found.append({"field": "fallback", "why": str(_("It passes back to this channel."))})
                break
            after = Channel.objects.filter(pk=after).values_list("fallback_id", flat=True).first()
    return found


def panel(request: Any, row: Channel) -> tuple[Any, str, dict[str, Any]]:
    """What is done with a channel: a test sentence, the second person's word, off, a new secret."""
    actor = request.actor
    return _("Two persons"), "warning/_channel.html", {
        "channel": row, "persons": persons([row])[row.pk], "me": actor.person_id, "held": Installation.current().outward_held, "demo": (settings.HOME / "demo.json").exists(),
        "state": health(row), "tones": isinstance(ports.adapters().get(row.adapter), devices.DeviceAdapter), "devices": Device.plain.filter(channel=row, ended_at=None).count(),
        "may_manage": access.may(actor, "warning.channels"), "may_test": access.may(actor, "warning.issue_internal"), "secret": (row.settings or {}).get("secret", ""),
    }


def health(row: Channel) -> str:
    """off, silent, failing, works or untried."""
    if not row.enabled:
        return "off"
    if row.silent_since:
        return "silent"
    if row.last_error_at and (row.last_ok_at is None or row.last_error_at > row.last_ok_at):
        return "failing"
    return "works" if row.last_ok_at or row.heard_at else "untried"


HEALTH = {"off": _("off"), "silent": _("silent"), "failing": _("failing"), "works": _("works"), "untried": _("not tried yet")}
DEVICE = {"good": _("heard, tone in time"), "tone_due": _("heard, tone overdue"), "silent": _("silent"), "none": _("silent")}


def device_states(rows: list[Device]) -> dict[Any, str]:
    """Whether each was heard of, and its tone in time."""
    now = clock.now()
    said = Device.plain.filter(pk__in=[row.pk for row in rows]).values_list("pk", "state__heard_at", "state__tone_at", "channel__heartbeat_minutes")
    return {key: str(DEVICE[devices.state_of(heard, tone, every, now)]) for key, heard, tone, every in said}


def device_panel(request: Any, row: Device) -> tuple[Any, str, dict[str, Any]]:
    """What it last said, and its test tones."""
    return _("Signs of life and test tones"), "warning/_device.html", {"device": row, "state": getattr(row, "state", None), "tones": row.tones.order_by("-asked_at")[:12], "wait": devices.TONE_WAIT, "now": clock.now()}


CHANNELS = register(Register(
    "warning.channel", Channel, label=_("Channels"), one=_("Channel"), icon="megaphone", subject="channel", home="warning:channels",
    read="warning.read", write="warning.channels", key=("name",), placed=False, imported=False, fresh=timedelta(days=90), note=("adapter", "audience"), panels=(panel,), check=check,
    tabs=((_("Loudspeakers, screens, sirens"), "warning:devices", "volume-2"), (_("Persons responsible for places"), "warning:responsible", "user-check")), before=actions.unconfirmed, before_writes=("added_by", "confirmed_by", "enabled"),
    fields=(
        Field("name", required=True, column=True, search=True), Field("adapter", choices=tuple((code, adapter.name) for code, adapter in ports.adapters().items()), required=True, column=True, filter=True, help=_("How it gets there; what its settings are follows from that.")),
        Field("audience", column=True, filter=True), Field("test", column=True, help=_("Leads to a simulator or a test target: takes test messages, and nothing else")),
        Field("enabled", column=True, filter=True, readonly=True), Field("health", label=_("State"), column=True, of=lambda rows: {row.pk: str(HEALTH[health(row)]) for row in rows}),
        Field("last_ok_at", column=True, readonly=True), Field("last_error_at", column=True, readonly=True), Field("last_error", readonly=True),
        Field("persons", label=_("Two persons"), column=True, of=persons),
        Field("fallback", ref="warning.channel", group=_("When it does not get through")), Field("silent_minutes", unit=_("min"), min=1, max=1440), Field("keeper", kind="person"),
        Field("per_minute", min=1, max=1_000_000), Field("heartbeat_minutes", unit=_("min"), min=1, max=10080), Field("heard_at", readonly=True), Field("again_if_unsure"),
        Field("settings", group=_("What its supplier needs"), read="warning.channels", help=_("The settings of each kind are described in the room's README. Secrets are named here and kept outside the database.")),
    ),
))

REACH: dict[str, Any] = {"purpose": _("Warn those a person answers for"), "basis": "PIPL art. 13(3)"}

RESPONSIBLE = register(Register(
    "warning.responsible", Responsible, label=_("Persons responsible for places"), one=_("Person responsible"), icon="user-check", subject="responsible",
    read="warning.read", write="warning.channels", key=("code",), fresh=timedelta(days=180), title="place", note=("kind", "duty"), tabs=((_("Channels"), "warning:channels", "megaphone"),),
    fields=(
        Field("code", required=True, column=True, search=True, synonyms=("编号", "序号")), Field("kind", required=True, column=True, filter=True, synonyms=("类别", "责任对象类别")), Field("place", required=True, column=True, search=True, synonyms=("责任对象", "名称", "村", "单位", "船名")),
        Field("people", unit=_("persons"), max=1_000_000, column=True, synonyms=("人数", "涉及人数")),
        Field("name", required=True, column=True, personal=Personal(mask="name", **REACH), synonyms=("责任人", "包保责任人", "姓名")), Field("duty", column=True, synonyms=("职务",)),
        Field("mobile", required=True, kind="phone", column=True, personal=Personal(mask="phone", **REACH), synonyms=("手机", "联系电话", "电话")),
    ),
))

CALL: dict[str, Any] = {"purpose": _("Call when a device is silent or a village was not reached"), "basis": "PIPL art. 13(3)"}

DEVICES = register(Register(
    "warning.device", Device, label=_("Loudspeakers, screens, sirens"), one=_("Device"), icon="volume-2", subject="device",
    read="warning.read", write="warning.channels", key=("code",), fresh=timedelta(days=365), note=("kind",), panels=(device_panel,),
    tabs=((_("Channels"), "warning:channels", "megaphone"),),
    fields=(
        Field("code", required=True, column=True, search=True, pattern=r"[A-Za-z0-9._:-]+", synonyms=("终端编码", "设备编码")), Field("name", required=True, column=True, search=True, synonyms=("终端名称", "名称")),
        Field("kind", choices=tuple(Device.KINDS), required=True, column=True, filter=True, synonyms=("终端类型",)), Field("channel", ref="warning.channel", column=True, filter=True),
        Field("health", label=_("State"), column=True, of=device_states),
        Field("keeper_name", personal=Personal(mask="name", **CALL), synonyms=("管护人",)), Field("keeper_phone", kind="phone", personal=Personal(mask="phone", **CALL), synonyms=("管护人电话",)),
    ),
))
