"""The room's nouns: a blocked road (道路阻断), a plan of supply (调拨方案) with its versions, a transport order (运输令)."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from anlan.kernel.models import CaseRow, RealmRow
from anlan.kernel.models.base import SameRealm


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


class SupplyPlan(CaseRow):
    """A plan of supply (调拨方案): who needs what until when, from which depots and trucks; its answers are its versions.

    `needs`: [{id, name, lon, lat, items: [{item, units, priority, hours}]}], hours counted from `since`. `depots`: [{warehouse, trucks: [{kind, count, load_t, hours}] or none:
    trucks do not count}]. `manual`: what a person has decided, [{depot, need, item, units, by, at, why}]: it stands in every later version.
    """

    about = models.CharField(_("For"), max_length=80, blank=True, help_text=_("the incident or task it was made for"))
    vehicle = models.CharField(_("Vehicles"), max_length=20, default="truck")
    weather = models.CharField(_("Weather"), max_length=20, default="dry")
    since = models.DateTimeField(_("Needs counted from"), null=True, editable=False)
    needs = models.JSONField(default=list, blank=True)
    depots = models.JSONField(default=list, blank=True)
    manual = models.JSONField(default=list, blank=True)
    transfers = models.JSONField(default=list, blank=True, help_text="[{name, lon, lat, kmh, minutes}]: where loads change onto boats, bearers or aircraft that need no road")
    swaps = models.JSONField(default=list, blank=True, help_text="[{item, for}]: one unit of an item may stand for one of another where that is missing")
    current = models.PositiveIntegerField(default=0, editable=False, help_text="number of the version that stands; 0: none yet")
    approved = models.PositiveIntegerField(default=0, editable=False, help_text="number of the version the orders were written from")
    asked = models.UUIDField(null=True, editable=False, help_text="the search that is under way")


class Search(RealmRow):
    """One run of the search for a plan: asked for, under way, done, stopped or failed. How far it is, is told as it goes and decides nothing."""

    SCOPE = "logistics.read"
    WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
    STATES = [(WAITING, _("waiting")), (RUNNING, _("under way")), (DONE, _("done")), (FAILED, _("failed"))]
    plan = models.ForeignKey(SupplyPlan, on_delete=models.PROTECT, related_name="searches")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=STATES, default=WAITING)
    kind = models.CharField(max_length=8, default="solve", help_text="solve, or replan: with few changes against the version that stands")
    reason = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    stop = models.BooleanField(default=False, help_text="a person wants the best so far")
    progress = models.JSONField(default=dict, blank=True, help_text="{step, of, round, rounds, value, bound}")
    why = models.CharField(max_length=500, blank=True, help_text="of a failure")
    fact = models.UUIDField(null=True)

    class Meta:
        constraints = [SameRealm("plan", name="search_plan_realm", to="logistics_supplyplan")]


class PlanVersion(RealmRow):
    """What a search or a hand has made of a plan: never changed afterwards. `frozen` is the question as it stood: minutes, stock, loads, trucks."""

    SCOPE = "logistics.read"
    KINDS = [("solve", _("worked out")), ("replan", _("worked out anew")), ("hand", _("changed by hand")), ("choose", _("another alternative chosen"))]
    plan = models.ForeignKey(SupplyPlan, on_delete=models.PROTECT, related_name="versions")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=KINDS)
    at = models.DateTimeField()
    person = models.UUIDField(null=True)
    note = models.CharField(max_length=300, blank=True)
    frozen = models.JSONField()
    answers = models.JSONField(help_text="goal (fast, fair, cheap) → {lines, trips, unmet, numbers, breaks}")
    goal = models.CharField(max_length=8, default="fast", help_text="the answer that stands")
    changes = models.JSONField(default=list, blank=True, help_text="against the version before: [{depot, need, item, before, after, why}]")
    fact = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plan_version_once"), SameRealm("plan", name="plan_version_plan_realm", to="logistics_supplyplan")]

    @property
    def answer(self) -> dict:
        return self.answers[self.goal]


class Transport(CaseRow):
    """A transport order (运输令) with its waybill: one load from a place to a place, on its way from the order to the signature."""

    plan = models.ForeignKey(SupplyPlan, verbose_name=_("Plan of supply"), null=True, blank=True, on_delete=models.PROTECT, related_name="transports")
    plan_version = models.PositiveIntegerField(null=True, editable=False)
    depot = models.ForeignKey("resources.Warehouse", verbose_name=_("From warehouse"), null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    need = models.CharField(max_length=40, blank=True, editable=False, help_text="key of the need within the plan")
    start = models.CharField(pgettext_lazy("transport", "From"), max_length=160)
    goal = models.CharField(pgettext_lazy("transport", "To"), max_length=160)
    cargo = models.CharField(pgettext_lazy("transport", "Load"), max_length=400)
    lines = models.JSONField(default=list, blank=True, editable=False, help_text="[{item, name, units, unit}]")
    tonnes = models.FloatField(_("Weight"), null=True, blank=True)
    leave_by = models.DateTimeField(_("Leaves by"), null=True, blank=True)
    arrive_by = models.DateTimeField(_("There by"), null=True, blank=True)
    vehicle = models.CharField(_("Plates"), max_length=160, blank=True)
    driver = models.CharField(_("Drivers"), max_length=160, blank=True)
    convoy = models.CharField(_("Convoy"), max_length=80, blank=True, help_text=_("loads of one name drive together"))
    received = models.CharField(_("Received by"), max_length=120, blank=True)
    order = models.UUIDField(null=True, editable=False)

    class Meta:
        constraints = [SameRealm("plan", name="transport_plan_realm", to="logistics_supplyplan")]


class Pass(CaseRow):
    """A pass certificate (应急车辆通行证): who may drive where until when; anybody who reads its code hears whether it still holds."""

    transport = models.ForeignKey(Transport, verbose_name=_("Transport order"), null=True, blank=True, on_delete=models.PROTECT, related_name="passes")
    plates = models.CharField(_("Plates"), max_length=160)
    drivers = models.CharField(_("Drivers"), max_length=160, blank=True)
    start = models.CharField(pgettext_lazy("transport", "From"), max_length=160)
    goal = models.CharField(pgettext_lazy("transport", "To"), max_length=160)
    cargo = models.CharField(pgettext_lazy("transport", "Load"), max_length=400)
    route = models.CharField(_("Route"), max_length=400, blank=True)
    valid_until = models.DateTimeField(_("Valid until"))
    code = models.CharField(_("Code of the pass"), max_length=40, blank=True, editable=False, help_text=_("what its QR code carries; nobody can guess it"))

    class Meta:
        constraints = [SameRealm("transport", name="pass_transport_realm", to="logistics_transport"), models.UniqueConstraint(fields=["code"], condition=~models.Q(code=""), name="pass_code_once")]
