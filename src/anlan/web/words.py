"""One sentence for every fact, for the timeline, the journal and "why". Only this room knows them all."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

WORDS: dict[str, Any] = {
    # kernel
    "kernel.PayloadErased": _("Personal data were erased: {legal_basis}"),
    "kernel.RealmStarted": _("Exercise begun: {name}"),
    "kernel.RealmEnded": _("Exercise stopped: {name} ({reason})"),
    "kernel.WorkOpened": _("Waits for {post}"),
    "kernel.WorkClosed": _("No longer waits: {outcome}"),
    "kernel.WorkEscalated": _("No answer from {from_post}: now waits for {to_post}"),
    "kernel.WorkUnanswered": _("No answer from {post}, and nobody further up"),
    "kernel.WorkSeen": _("A red item was acknowledged"),
    "kernel.OrderIssued": _("Order to {post}: {text}"),
    "kernel.OrderDelivered": _("The order reached a device of the post"),
    "kernel.OrderRead": _("The order was read"),
    "kernel.OrderAccepted": _("The order was accepted"),
    "kernel.OrderProgressed": _("Progress on the order: {percent} % {text}"),
    "kernel.OrderDone": _("The order is done: {text}"),
    "kernel.OrderRefused": _("The order was refused: {reason}"),
    "kernel.OrderWithdrawn": _("The order was withdrawn: {reason}"),
    "kernel.OrderReminded": _("The post was reminded of the order"),
    "kernel.OrderEscalated": _("The order stayed unanswered and went to {to_post}"),
    "kernel.OrderOverdue": _("The order is past its deadline"),
    "kernel.ReactionParked": _("A reaction failed and waits for a person: {reaction}"),
    # web
    "web.NoDeskLive": _("No duty desk is live; {person} is called"),
    "web.DeskLive": _("A duty desk is live again"),
    "web.SoundTested": _("The sound of a desk was tested"),
}


def furnish(shell: Any) -> None:
    shell.words_for(WORDS)
