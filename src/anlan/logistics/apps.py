"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LogisticsConfig(AppConfig):
    name = "anlan.logistics"
    label = "logistics"
    verbose_name = _("Logistics")  # type: ignore[assignment]

    def ready(self) -> None:
        from anlan.kernel import access

        access.declare("logistics.read", _("See blocked roads, reach and clearing times"))
        access.declare("logistics.report", _("Report blocked roads"))
        access.declare("logistics.clear", _("Order crews and open roads to traffic"), machine=False)
