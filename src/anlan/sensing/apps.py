"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SensingConfig(AppConfig):
    name = "anlan.sensing"
    label = "sensing"
    verbose_name = "Sensing"

    def ready(self) -> None:
        from anlan.kernel import access, subjects

        from . import errors, facts  # noqa: F401

        access.declare("sensing.read", _("See stations, readings and signals of the region"))
        access.declare("sensing.manage", _("Change stations and their thresholds"))
        access.declare("sensing.sources", _("Manage sources of readings and their credentials"), second_factor=True)
        access.declare("sensing.rules", _("Put rule sets in force"), second_factor=True)
        subjects.register("source", "sensing.Source", "sensing:source", _("Source of readings"))
        subjects.register("ruleset", "sensing.RuleSet", "sensing:ruleset", _("Rule set"))
        subjects.register("readings", "", "sensing:health", _("Readings"))
