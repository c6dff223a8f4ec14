"""Equipment and vehicles: what a team must have, what it has, in what state, and when it was last tested."""
from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Upper
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import RegisterRow

from .supplies import Warehouse
from .teams import Team


class Equipment(RegisterRow):
    """A piece of equipment (装备), or several of one kind that are kept as one."""

    code = models.CharField(_("Asset number"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=30)
    amount = models.PositiveIntegerField(_("Number of pieces"), default=1)
    ability = models.FloatField(_("Ability"), null=True, blank=True, help_text=_("of one piece, in the unit of its kind: m³/h, kW, t …"))
    state = models.CharField(_("State"), max_length=20, default="serviceable")
    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), null=True, blank=True, on_delete=models.PROTECT, related_name="gear")
    warehouse = models.ForeignKey(Warehouse, verbose_name=_("Warehouse"), null=True, blank=True, on_delete=models.PROTECT, related_name="gear")
    shared = models.BooleanField(_("May be called up by others"), default=False)
    maker = models.CharField(_("Maker"), max_length=80, blank=True)
    serial = models.CharField(_("Serial number"), max_length=80, blank=True)
    bought_on = models.DateField(_("In service since"), null=True, blank=True)
    retire_on = models.DateField(_("To be replaced by"), null=True, blank=True)
    note = models.TextField(_("Note"), blank=True)

    class Meta:
        constraints = [
            # The plate says who made it and its number: the same asset is not entered twice under two asset numbers.
            models.UniqueConstraint(Upper("maker"), Upper("serial"), condition=Q(ended_at=None) & ~Q(serial=""), name="equipment_plate_key"),
        ]
        # The search by ability.
        indexes = [models.Index(fields=["kind", "ability"], condition=Q(ended_at=None, state="serviceable"), name="equipment_able")]

    def __str__(self) -> str:
        return self.name


class EquipmentTest(RegisterRow):
    """A test, link test, maintenance or repair of a piece of equipment, with its outcome."""

    equipment = models.ForeignKey(Equipment, verbose_name=_("Equipment"), on_delete=models.PROTECT, related_name="tests")
    kind = models.CharField(_("Kind"), max_length=20)
    done_on = models.DateField(_("Done on"))
    passed = models.BooleanField(_("Passed"), default=True)
    valid_until = models.DateField(_("Valid until"), null=True, blank=True)
    done_by = models.CharField(_("Done by"), max_length=120, blank=True)
    note = models.CharField(_("Note"), max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.equipment} {self.done_on}"


class EquipmentNorm(RegisterRow):
    """How many pieces of a kind a team or office of a kind must have (配备标准)."""

    OPEN_WITHOUT_REGION = True  # a standard of no region is for every team of the kind
    holder = models.CharField(_("Kind of team or office"), max_length=20)
    kind = models.CharField(_("Equipment"), max_length=30)
    quantity = models.PositiveIntegerField(_("Required"))
    basis = models.CharField(_("Basis"), max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.holder} · {self.kind}"


class Vehicle(RegisterRow):
    """A vehicle or vessel that can be sent (运力): what it carries, who drives it."""

    code = models.CharField(_("Plate or number"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=20)
    state = models.CharField(_("State"), max_length=20, default="serviceable")
    load_t = models.FloatField(_("Load"), null=True, blank=True)
    volume_m3 = models.FloatField(_("Volume"), null=True, blank=True)
    seats = models.PositiveIntegerField(_("Seats"), null=True, blank=True)
    wading_cm = models.PositiveIntegerField(_("Wading depth"), null=True, blank=True)
    speed_kmh = models.PositiveIntegerField(_("Speed"), default=50)
    team = models.ForeignKey(Team, verbose_name=_("Rescue team"), null=True, blank=True, on_delete=models.PROTECT, related_name="fleet")
    dangerous = models.BooleanField(_("May carry dangerous goods"), default=False)
    insured_until = models.DateField(_("Insurance valid until"), null=True, blank=True)
    inspected_until = models.DateField(_("Inspection valid until"), null=True, blank=True)
    driver = models.CharField(_("Driver"), max_length=80, blank=True)
    driver_phone = models.CharField(_("Driver's mobile number"), max_length=40, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name
