"""The room's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SensingConfig(AppConfig):
    name = "anlan.sensing"
    label = "sensing"
    verbose_name = "Sensing"

    def ready(self) -> None:
        from anlan.kernel import access, daily, subjects

        from . import errors, facts  # noqa: F401

        access.declare("sensing.read", _("See stations, readings and signals of the region"))
        access.declare("sensing.manage", _("Change stations and their thresholds"))
        access.declare("sensing.judge", _("Say whether a doubtful reading is true"))
        access.declare("sensing.sources", _("Manage sources of readings and their credentials"), second_factor=True)
        access.declare("sensing.rules", _("Put rule sets in force"), second_factor=True)
        # A station's subject leads to what it reports; its entry in the register is one click from there.
        subjects.register("station", "sensing.Station", "sensing:station", _("Station"))
        subjects.register("source", "sensing.Source", "sensing:source", _("Source of readings"))
        subjects.register("ruleset", "sensing.RuleSet", "sensing:ruleset", _("Rule set"))
        daily.chore("sensing.forget_readings", "anlan.sensing.keeping.forget_readings")
        subjects.register("doubt", "sensing.Doubt", "sensing:doubt", _("Doubtful readings"))
        subjects.register("readings", "", "sensing:health", _("Readings"))
