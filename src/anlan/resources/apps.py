"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ResourcesConfig(AppConfig):
    name = "anlan.resources"
    label = "resources"
    verbose_name = _("Resources")  # type: ignore[assignment]

    def ready(self) -> None:
        from anlan.kernel import access

        access.declare("resources.read", _("See rescue teams and their bases"))
        access.declare("resources.write", _("Keep rescue teams and their bases"), machine=True)
        access.declare("resources.readiness", _("Report the readiness of rescue teams"))
        access.declare("resources.contacts", _("See leaders of rescue teams and their numbers without a mask"), machine=False)
