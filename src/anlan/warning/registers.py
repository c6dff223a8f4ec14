"""Declared here: the register of channels. Whoever changes one switches it off; a second natural person switches it on again."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access
from anlan.kernel.models import Installation, Person
from anlan.kernel.registers import Field, Register, register

from . import actions, ports
from .models import Channel


def persons(rows: list[Channel]) -> dict[Any, str]:
    """Who added or last changed a channel, and who confirmed it."""
    names = dict(Person.objects.filter(pk__in={key for row in rows for key in (row.added_by, row.confirmed_by) if key}).values_list("pk", "name"))
    return {row.pk: " + ".join(names[key] for key in (row.added_by, row.confirmed_by) if key in names) for row in rows}


def check(values: dict[str, Any]) -> list[dict[str, str]]:
    """The settings are what the channel's adapter needs."""
    adapter = ports.adapters().get(values.get("adapter") or "")
    reason = adapter.problem(values.get("settings") or {}) if adapter else ""
    return [{"field": "settings", "why": reason}] if reason else []


def panel(request: Any, row: Channel) -> tuple[Any, str, dict[str, Any]]:
    """What is done with a channel: a test sentence, the second person's word, off, a new secret."""
    actor = request.actor
    return _("Two persons"), "warning/_channel.html", {
        "channel": row, "persons": persons([row])[row.pk], "me": actor.person_id, "held": Installation.current().outward_held, "demo": (settings.HOME / "demo.json").exists(),
        "may_manage": access.may(actor, "warning.channels"), "may_test": access.may(actor, "warning.issue_internal"), "secret": (row.settings or {}).get("secret", ""),
    }


CHANNELS = register(Register(
    "warning.channel", Channel, label=_("Channels"), one=_("Channel"), icon="megaphone", subject="channel", home="warning:channels",
    read="warning.read", write="warning.channels", key=("name",), placed=False, imported=False, fresh=timedelta(days=90), note=("adapter", "audience"), panels=(panel,), check=check,
    before=actions.unconfirmed, before_writes=("added_by", "confirmed_by", "enabled"),
    fields=(
        Field("name", required=True, column=True, search=True), Field("adapter", choices=tuple((code, adapter.name) for code, adapter in ports.adapters().items()), required=True, column=True, filter=True),
        Field("audience", column=True, filter=True), Field("test", column=True, help=_("Leads to a simulator or a test target: takes test messages, and nothing else")),
        Field("enabled", column=True, filter=True, readonly=True), Field("last_ok_at", column=True, readonly=True), Field("last_error_at", column=True, readonly=True), Field("last_error", readonly=True),
        Field("persons", label=_("Two persons"), column=True, of=persons),
        Field("settings", read="warning.channels", help=_("The settings of each kind are described in the room's README. Secrets are named here and kept outside the database.")),
    ),
))
