"""The kernel's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KernelConfig(AppConfig):
    name = "anlan.kernel"
    label = "kernel"
    verbose_name = "Kernel"

    def ready(self) -> None:
        from . import access, checks, facts, subjects  # noqa: F401

        access.declare("work.read", _("See work items of the region"))
        access.declare("orders.read", _("See orders of the region"))
        access.declare("orders.withdraw", _("Withdraw orders"), second_factor=True)
        access.declare("realms.start", _("Start an exercise or a replay"), machine=True)
        access.declare("realms.stop", _("Stop an exercise or a replay"), machine=True)
        access.declare("journal.read", _("Read the journal of the region"))
        access.declare("kernel.administer_system", _("Administer the system"), second_factor=True)
        access.declare("kernel.administer_security", _("Administer accounts and grants"), second_factor=True)
        access.declare("kernel.audit", _("Audit"), second_factor=True)
        subjects.register("order", "kernel.Order", "order", _("Order"))
        subjects.register("work", "kernel.WorkItem", "", _("Work item"))
        subjects.register("realm", "kernel.Realm", "", _("Realm"))
        subjects.register("region", "kernel.Region", "", _("Region"))
        subjects.register("fact", "", "why", _("Fact"))
        subjects.register("post", "kernel.Post", "", _("Post"))
        subjects.register("person", "kernel.Person", "", _("Person"))
