"""The room's Django app."""
from __future__ import annotations

from uuid import UUID

from django.apps import AppConfig
from django.urls import reverse
from django.utils.translation import gettext_lazy as _


class ResourcesConfig(AppConfig):
    name = "anlan.resources"
    label = "resources"
    verbose_name = _("Resources")  # type: ignore[assignment]

    def ready(self) -> None:
        from anlan.kernel import access, daily, shell, subjects

        from . import errors, facts  # noqa: F401

        access.declare("resources.read", _("See forces, supplies, equipment and shelters"))
        access.declare("resources.write", _("Keep the registers of forces, supplies and equipment"), machine=True)
        access.declare("resources.readiness", _("Report the readiness of rescue teams"))
        access.declare("resources.contacts", _("See leaders of rescue teams and their numbers without a mask"), machine=False)
        access.declare("resources.stock", _("Receive, issue, move, reserve and count supplies"), machine=True)
        access.declare("resources.write_off", _("Write supplies off, book differences found by counting"), machine=False)
        access.declare("resources.release", _("Approve releases of supplies"), second_factor=True)
        access.declare("resources.call", _("Call teams out, hold roll calls, open surveys"), machine=False)
        access.declare("resources.draw", _("Draw experts and keep their opinions"), machine=False)
        access.declare("resources.compensate", _("Check and pay compensation for requisition"), machine=False)
        subjects.register("movement", "resources.Movement", "resources:movement", _("Movement of supplies"))
        subjects.register("reservation", "resources.Reservation", "", _("Reservation"))
        subjects.register("roll", "resources.RollCall", "resources:roll", _("Roll call"))
        subjects.register("roll_answer", "", lambda key: reverse("resources:roll_answer", args=[UUID(one) for one in key.split(".")]), _("Roll call"))
        subjects.register("expert_draw", "resources.ExpertDraw", "resources:drawn", _("Draw of experts"))
        daily.chore("resources.watch", "anlan.resources.reactions.watch")
        shell.words_for({
            "resources.StockMoved": _("Supplies: {kind}, {count} lines, {party}"),
            "resources.StockReserved": _("Supplies kept for {party}"),
            "resources.ReservationEnded": _("Reservation over: {outcome}"),
            "resources.ExpertsDrawn": _("Experts drawn: {about}"),
            "resources.RollCallStarted": _("Roll call began: {title}, {sites} sites"),
            "resources.RollCallEnded": _("Roll call ended: {connected} of {sites} connected, {in_time} in time"),
            "resources.StockTakeOpened": _("Stock-take opened: {counts} lots, until {due_on}"),
        })
