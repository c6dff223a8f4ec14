"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InspectionConfig(AppConfig):
    name = "anlan.inspection"
    label = "inspection"
    verbose_name = _("Inspection")  # type: ignore[assignment]

    def ready(self) -> None:
        from anlan.kernel import access

        access.declare("inspection.read", _("See hidden dangers"))
        access.declare("inspection.report", _("Report hidden dangers"))
        access.declare("inspection.handle", _("File, assess, accept and strike off hidden dangers"), machine=False)
        access.declare("inspection.rectify", _("Report hidden dangers as put right"))
        access.declare("inspection.supervise", _("List major dangers for supervision, release and review them"), machine=False)
