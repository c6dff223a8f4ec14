"""The room's noun: a blocked road (道路阻断) on its way from the report to the first vehicle through."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import CaseRow


class Blockage(CaseRow):
    """One blocked, slowed or flooded stretch. Reported is `opened_at`, open to traffic again is `closed_at`: the loop's clock, not somebody's entry."""

    road = models.CharField(_("Road"), max_length=120, help_text=_("number and name, with the kilometre post"))
    road_class = models.CharField(_("Class of road"), max_length=20)
    kind = models.CharField(_("What it does to traffic"), max_length=10)
    speed_left = models.PositiveSmallIntegerField(_("Speed that is left"), null=True, blank=True, help_text=_("of a road that is slow, in per cent"))
    depth_cm = models.PositiveIntegerField(_("Water on the road"), null=True, blank=True)
    cause = models.CharField(_("Cause"), max_length=20, blank=True)
    severity = models.CharField(_("Grade of the disaster"), max_length=20)
    crew = models.CharField(_("Crew"), max_length=120, blank=True)
    expected_at = models.DateTimeField(_("Open again, expected"), null=True, blank=True)
