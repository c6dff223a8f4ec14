"""The room's nouns: a blocked road (道路阻断), a plan of supply (调拨方案) and one of sheltering (转移安置方案) with their versions, a transport order (运输令)."""
from __future__ import annotations

from typing import Any

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


class Sheltering(CaseRow):
    """A plan of sheltering (转移安置方案): who leaves which place for which shelter, how and when; its answers are its versions.

    `area`: the danger area as GeoJSON, or nothing: then the people listed leave, and only blocked roads are avoided. `people`: [{id, name, lon, lat, persons, helpless, urgency,
    region}]. `manual`: what a person has decided, [{group, shelter, by, at, why}]. `shut`: [{shelter, why}], not to be used.
    """

    about = models.CharField(_("For"), max_length=80, blank=True, help_text=_("the incident or task it was made for"))
    hazard = models.CharField(_("Hazard"), max_length=20)
    stay = models.CharField(_("Stay"), max_length=20, default="short")
    weather = models.CharField(_("Weather"), max_length=20, default="dry")
    impassable = models.BooleanField(_("The danger area is impassable already"), default=False, help_text=_("else nobody enters it, and who is in it may leave"))
    buses = models.PositiveIntegerField(_("Buses"), null=True, blank=True, help_text=_("empty: as many as are needed; 0: everybody walks"))
    area = models.JSONField(null=True, blank=True)
    people = models.JSONField(default=list, blank=True)
    manual = models.JSONField(default=list, blank=True)
    shut = models.JSONField(default=list, blank=True)
    current = models.PositiveIntegerField(default=0, editable=False, help_text="number of the version that stands; 0: none yet")
    approved = models.PositiveIntegerField(default=0, editable=False, help_text="number of the version the orders were written from")
    asked = models.UUIDField(null=True, editable=False, help_text="the search that is under way")


class Search(RealmRow):
    """One run of the search for a plan: asked for, under way, done, stopped or failed. How far it is, is told as it goes and decides nothing."""

    SCOPE = "logistics.read"
    WAITING, RUNNING, DONE, FAILED = "waiting", "running", "done", "failed"
    STATES = [(WAITING, _("waiting")), (RUNNING, _("under way")), (DONE, _("done")), (FAILED, _("failed"))]
    plan = models.ForeignKey(SupplyPlan, null=True, on_delete=models.PROTECT, related_name="searches")
    sheltering = models.ForeignKey(Sheltering, null=True, on_delete=models.PROTECT, related_name="searches")
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
        constraints = [SameRealm("plan", name="search_plan_realm", to="logistics_supplyplan"), SameRealm("sheltering", name="search_sheltering_realm", to="logistics_sheltering")]

    @property
    def owner(self) -> Any:
        """The plan it searches for."""
        return self.plan or self.sheltering


class ShelterVersion(RealmRow):
    """What a search has made of a plan of sheltering: never changed afterwards. `frozen` is the question as it stood: people, rooms, what is unfit and why."""

    SCOPE = "logistics.read"
    plan = models.ForeignKey(Sheltering, on_delete=models.PROTECT, related_name="versions")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=[("solve", _("worked out")), ("replan", _("worked out anew"))])
    at = models.DateTimeField()
    note = models.CharField(max_length=300, blank=True)
    frozen = models.JSONField()
    answer = models.JSONField(help_text="{moves, unplaced, divided, numbers, lines}")
    changes = models.JSONField(default=list, blank=True, help_text="against the version before: [{group, shelter, before, after}]")
    fact = models.UUIDField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="shelter_version_once"), SameRealm("plan", name="shelter_version_plan_realm", to="logistics_sheltering")]


class CheckIn(RealmRow):
    """How many people of a plan's group (none named: whoever else came) are in a shelter: counted on the day, the latest count stands."""

    SCOPE = "logistics.read"
    plan = models.ForeignKey(Sheltering, on_delete=models.PROTECT, related_name="counts")
    shelter = models.ForeignKey("resources.Shelter", on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    group = models.CharField(max_length=40, blank=True)
    persons = models.PositiveIntegerField()
    at = models.DateTimeField()
    person = models.UUIDField(null=True)
    fact = models.UUIDField(null=True)

    class Meta:
        constraints = [SameRealm("plan", name="check_in_plan_realm", to="logistics_sheltering")]
        indexes = [models.Index(fields=["plan", "shelter", "group", "-at"], name="check_in_latest")]  # shelters.arrived


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
