"""Calling a person by the channels that need no desk, text message and work messenger: to the duty desk that nobody looks at, or to
what has waited half its time for a post without an answer.

Not a warning: nobody outside is told anything. It still keeps to the holds on outward channels (after a restore, and in a
data folder with demonstration accounts), because it opens a connection out of the house.
"""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import override

from anlan.kernel import clock, shell
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.ids import derived_id
from anlan.kernel.models import Installation, Operation, Person

from .facts import PersonCalled

ADAPTERS = ("sms", "webhook")


@action("web.note_call")
def note_call(act: Act, *, person: str, channel: str, ok: bool, error: str) -> None:
    key = UUID(person) if person else None
    act.state(PersonCalled(person=key, channel=channel, ok=ok, error=error), subject=f"person:{person}" if person else "desk:actual")


def held() -> str:
    """Why nothing goes out now; empty when it may."""
    if Installation.current().outward_held:
        return _("the outward channels are held after a restore")
    if (settings.HOME / "demo.json").exists():
        return _("this data folder holds demonstration accounts")
    return ""


def _words(fact: Any) -> str:
    if fact.kind == "kernel.DutyCalled":
        return _("Something waits for {post} and nobody has answered. Please open the desk.").format(post=shell.post_name(fact.payload["post"]))
    return _("No duty desk is live since {time}. Please open the desk.").format(time=f"{clock.local(fact.occurred_at):%H:%M}")


def call(fact: Any) -> None:
    """Job on web.NoDeskLive and kernel.DutyCalled. One try per channel; a channel whose try is on record is not tried again."""
    from anlan.warning import ports
    from anlan.warning.models import Channel

    if not fact.realm.is_actual:
        return
    person = Person.objects.filter(pk=fact.payload.get("person")).first() if fact.payload.get("person") else None
    name = str(person.pk) if person else ""
    machine = Actor.machine("web")
    with override(settings.LANGUAGE_CODE):
        why = held()
        channels = list(Channel.objects.filter(adapter__in=ADAPTERS, enabled=True, test=False, audience="internal").order_by("pk")) if not why else []
        text = _words(fact)
        if not channels:
            why = why or _("no text message or messenger channel is switched on")
            note_call(Act(machine, fact.realm, op_id=derived_id("web.call", fact.id, ""), cause=fact.id), person=name, channel="—", ok=False, error=why)
        for channel in channels:
            key = derived_id("web.call", fact.id, channel.pk)
            if Operation.objects.filter(pk=key).exists():
                continue
            try:
                outcome = ports.adapters()[channel.adapter].call(channel, person.mobile if person else "", text, str(key))
                ok, error = outcome.ok, outcome.error
            except Exception as failure:  # a supplier that fails is an answer, not a stopped flow
                ok, error = False, f"{type(failure).__name__}: {failure}"
            note_call(Act(machine, fact.realm, op_id=key, cause=fact.id), person=name, channel=channel.name, ok=ok, error=error[:300])
