"""Rescue teams and the bases they stand at."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import RegisterRow


class Base(RegisterRow):
    """A place teams stand at (驻地): a fire station, a plant's rescue post, a township's yard."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    address = models.CharField(_("Address"), max_length=200, blank=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True, help_text=_("answered day and night; of the base, not of a person"))
    beds = models.PositiveIntegerField(_("Beds"), null=True, blank=True)
    aircraft = models.CharField(_("Aircraft"), max_length=20, blank=True, help_text=_("what flies from here"))
    aircraft_source = models.CharField(_("Source of the aircraft entry"), max_length=200, blank=True, help_text=_("licence, contract or letter that says so, with its date"))
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Team(RegisterRow):
    """A rescue team (救援队伍): who they are, for which hazards, how many, with what, how soon, and whether their papers hold."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=20)
    hazards = models.JSONField(_("Rescue work"), default=list, blank=True, help_text=_("what the team is trained and equipped for"))
    grade = models.CharField(_("Grade"), max_length=10, blank=True, help_text=_("of a social team, by ability test; only graded teams are sent on a task of that grade"))
    grade_evidence = models.CharField(_("Evidence of the grade"), max_length=200, blank=True)
    grade_score = models.PositiveSmallIntegerField(_("Points of the ability test"), null=True, blank=True, help_text=_("0 to 100; with them the grade is held against the rule"))
    registration = models.CharField(_("Registration number"), max_length=18, blank=True, help_text=_("unified social credit code, 18 characters"))
    base = models.ForeignKey(Base, verbose_name=_("Base"), null=True, blank=True, on_delete=models.PROTECT, related_name="teams")
    address = models.CharField(_("Address"), max_length=200, blank=True)
    # strength
    members = models.PositiveIntegerField(_("Members"), default=0)
    full_time = models.PositiveIntegerField(_("Full-time members"), default=0)
    certified = models.PositiveIntegerField(_("Members with a valid certificate"), default=0)
    # means
    vehicles = models.PositiveIntegerField(_("Rescue vehicles"), default=0)
    boats = models.PositiveIntegerField(_("Boats"), default=0)
    pump_m3h = models.PositiveIntegerField(_("Pumping capacity"), default=0)
    generator_kw = models.PositiveIntegerField(_("Generating capacity"), default=0)
    drones = models.PositiveIntegerField(_("Drones"), default=0)
    detectors = models.PositiveIntegerField(_("Life detectors"), default=0)
    satellite_phones = models.PositiveIntegerField(_("Satellite telephones"), default=0)
    equipment = models.TextField(_("Other equipment"), blank=True)
    # readiness
    readiness = models.CharField(_("Readiness"), max_length=20, default="standby")
    assemble_min = models.PositiveIntegerField(_("Response time"), null=True, blank=True, help_text=_("from the call until the team drives off"))
    speed_kmh = models.PositiveIntegerField(_("Marching speed"), default=50)
    # who answers
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True, help_text=_("of the team, not of a person"))
    leader = models.CharField(_("Team leader"), max_length=80, blank=True)
    leader_phone = models.CharField(_("Leader's mobile number"), max_length=40, blank=True)
    # papers
    certificates_until = models.DateField(_("Certificates valid until"), null=True, blank=True, help_text=_("the earliest date on which a member's certificate runs out"))
    insured_until = models.DateField(_("Insurance valid until"), null=True, blank=True, help_text=_("accident insurance of the members"))
    founded = models.DateField(_("Founded"), null=True, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Shift(RegisterRow):
    """A shift of a team (值班班次): who is on duty from when to when. Whoever had a long one rests before being sent."""

    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), on_delete=models.PROTECT, related_name="shifts")
    starts_at = models.DateTimeField(pgettext_lazy("time", "From"))
    ends_at = models.DateTimeField(_("Until"))
    crew = models.TextField(_("Who is on duty"), help_text=_("codes of the members, one a line or with commas"))
    note = models.CharField(_("Note"), max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.team} {self.starts_at:%Y-%m-%d %H:%M}"
