"""Calls: of teams, with their clocks and what their use is paid; of sites, who was reached by which channel and how well; surveys."""
from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import CaseRow, RealmRow
from anlan.kernel.models.base import SameRealm

from .places import Site
from .teams import Team


class CallOut(CaseRow):
    """A team is called out (队伍调动): requested, accepted, on the way, there, released; each with its clock."""

    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), on_delete=models.PROTECT, related_name="call_outs")
    hazard = models.CharField(_("Rescue work"), max_length=20)
    grade = models.CharField(_("Grade asked for"), max_length=10, blank=True)
    task = models.TextField(_("Task"))
    place = models.CharField(_("Where to"), max_length=200)
    crew = models.TextField(_("Who goes"), blank=True, help_text=_("codes of the members, one a line or with commas"))
    crew_count = models.PositiveIntegerField(_("Persons"), null=True, blank=True)
    vehicles = models.PositiveIntegerField(_("Vehicles"), null=True, blank=True)
    eta_min = models.PositiveIntegerField(_("Travel time"), null=True, blank=True, help_text=_("estimated from the distance and the team's speed"))
    departed_at = models.DateTimeField(_("Departed"), null=True, blank=True)
    arrived_at = models.DateTimeField(_("Arrived"), null=True, blank=True)
    accounted_at = models.DateTimeField(_("All accounted for at"), null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["realm", "team"], condition=Q(closed_at=None), name="call_out_one_at_a_time")]


class Requisition(CaseRow):
    """Something of somebody else's is taken for the emergency (应急征用): ordered, handed over, given back; then paid by the rates."""

    kind = models.CharField(_("Kind"), max_length=20)
    what = models.CharField(_("What is taken"), max_length=200)
    quantity = models.DecimalField(pgettext_lazy("supplies", "Quantity"), max_digits=12, decimal_places=2)
    owner = models.CharField(_("Owner"), max_length=160)
    owner_phone = models.CharField(_("Owner's telephone"), max_length=40, blank=True)
    decision = models.CharField(_("Number of the decision"), max_length=80)
    purpose = models.CharField(_("Purpose"), max_length=300)
    handed_over_at = models.DateTimeField(_("Handed over at"), null=True, blank=True)
    given_back_at = models.DateTimeField(_("Given back at"), null=True, blank=True)
    condition = models.CharField(_("Condition when given back"), max_length=300, blank=True)
    damage_yuan = models.DecimalField(_("Damage and what was used up"), max_digits=14, decimal_places=2, null=True, blank=True)


class Compensation(CaseRow):
    """What is paid for the use of a team or a thing that is not the government's (征用补偿), worked out by rates from the call-out's or the requisition's own times."""

    call_out = models.ForeignKey(CallOut, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    requisition = models.ForeignKey(Requisition, verbose_name=_("Requisition"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    payee = models.CharField(_("Paid to"), max_length=160, blank=True)
    persons = models.PositiveIntegerField(_("Persons"), null=True, blank=True)
    vehicles = models.PositiveIntegerField(_("Vehicles"), null=True, blank=True)
    hours = models.DecimalField(_("Time of use"), max_digits=9, decimal_places=2, null=True, blank=True)
    amount_yuan = models.DecimalField(_("Compensation"), max_digits=14, decimal_places=2, null=True, blank=True)
    working = models.TextField(_("How it was worked out"), blank=True)
    paid_on = models.DateField(_("Paid on"), null=True, blank=True)

    class Meta:
        constraints = [
            SameRealm("call_out", name="compensation_call_realm", to="resources_callout"), SameRealm("requisition", name="compensation_taken_realm", to="resources_requisition"),
        ]


class RollCall(RealmRow):
    """A roll call over the command link (连线点名)."""

    SCOPE = "resources.read"
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=160)
    sites = models.JSONField(help_text="keys of the sites called, as they were when it began")
    limit_min = models.PositiveIntegerField(help_text="connected within so many minutes counts as in time")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    person = models.UUIDField(null=True)

    def __str__(self) -> str:
        return self.title


class RollCallTry(RealmRow):
    """One try to reach a site by one channel, with what came of it. Never changed: the rates are counted from these rows."""

    SCOPE = "resources.read"
    RESULTS = [("connected", _("connected")), ("no_answer", _("no answer")), ("failed", _("no line"))]
    QUALITIES = [("good", _("picture and sound good")), ("poor", _("understood with difficulty")), ("", _("not judged"))]
    roll = models.ForeignKey(RollCall, on_delete=models.PROTECT, related_name="tries")
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="+")
    seq = models.PositiveIntegerField()
    channel = models.CharField(max_length=20)
    at = models.DateTimeField()
    result = models.CharField(max_length=12, choices=RESULTS)
    quality = models.CharField(max_length=8, choices=QUALITIES, blank=True)
    person = models.UUIDField(null=True)
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["roll", "site", "seq"], name="roll_try_once"), SameRealm("roll", name="roll_try_realm", to="resources_rollcall"),
        ]

    def __str__(self) -> str:
        return f"{self.site} {self.channel} {self.result}"


class Survey(CaseRow):
    """Part of a resource survey (资源调查): one register of one region, every entry of it to be checked on the spot by a day."""

    register = models.CharField(_("Register"), max_length=60)
    due_on = models.DateField(_("To be checked by"))
    found = models.PositiveIntegerField(_("Entries checked"), null=True, blank=True)
