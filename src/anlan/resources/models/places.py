"""Places other rooms count on: shelters, hospitals, key sites, and the sites of the command link."""
from __future__ import annotations

from collections.abc import Container

from django.db import models
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import RegisterRow


class Shelter(RegisterRow):
    """A place people are brought to (应急避难场所)."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Class"), max_length=20)
    indoor = models.BooleanField(_("Indoors"), default=True)
    hazards = models.JSONField(_("Fit for"), default=list, blank=True)
    capacity = models.PositiveIntegerField(_("Takes in"), default=0)
    area_m2 = models.PositiveIntegerField(_("Usable area"), null=True, blank=True)
    days = models.PositiveIntegerField(_("Can stay open for"), null=True, blank=True)
    facilities = models.JSONField(_("Facilities"), default=list, blank=True)
    accessible = models.BooleanField(_("Without steps"), default=False)
    ready_min = models.PositiveIntegerField(_("Ready within"), null=True, blank=True)
    address = models.CharField(_("Address"), max_length=200, blank=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True)
    manager = models.CharField(_("Manager"), max_length=80, blank=True)
    manager_phone = models.CharField(_("Manager's mobile number"), max_length=40, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Hospital(RegisterRow):
    """A hospital or first-aid station: beds, ambulances, what it can treat."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Grade"), max_length=20, blank=True)
    beds = models.PositiveIntegerField(_("Beds"), null=True, blank=True)
    icu_beds = models.PositiveIntegerField(_("Intensive-care beds"), null=True, blank=True)
    ambulances = models.PositiveIntegerField(_("Ambulances"), null=True, blank=True)
    specialties = models.JSONField(_("Can treat"), default=list, blank=True)
    helipad = models.BooleanField(_("Helicopter can land"), default=False)
    address = models.CharField(_("Address"), max_length=200, blank=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class KeySite(RegisterRow):
    """A site that must be thought of first (重点场所、重点单位): many people, or what must not fail."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    kind = models.CharField(_("Kind"), max_length=20)
    people = models.PositiveIntegerField(_("People there"), null=True, blank=True)
    helpless = models.PositiveIntegerField(_("Of them who need help to leave"), null=True, blank=True)
    address = models.CharField(_("Address"), max_length=200, blank=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True)
    contact = models.CharField(_("Person in charge"), max_length=80, blank=True)
    contact_phone = models.CharField(_("Mobile number"), max_length=40, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name


class Site(RegisterRow):
    """A site of the command link (连线点位): which channels are tried to reach it, in which order."""

    code = models.CharField(_("Code"), max_length=40)
    name = models.CharField(_("Name"), max_length=120)
    channels = models.JSONField(_("Channels, in the order they are tried"), default=list, blank=True)
    video = models.BooleanField(_("Joined to the video link"), default=True)
    duty_phone = models.CharField(_("Duty telephone"), max_length=40, blank=True)
    mobile = models.CharField(_("Duty mobile telephone"), max_length=40, blank=True, help_text=_("of the post, not of a person"))
    satellite = models.CharField(_("Satellite telephone"), max_length=40, blank=True)
    video_address = models.CharField(_("Address in the video link"), max_length=120, blank=True)
    call_sign = models.CharField(_("Radio channel and call sign"), max_length=60, blank=True)
    note = models.TextField(_("Note"), blank=True)

    def __str__(self) -> str:
        return self.name

    def turn(self, tried: Container[str]) -> str | None:
        """The channel whose turn it is: the first in the site's order that has not been tried."""
        return next((channel for channel in self.channels if channel not in tried), None)

    def number(self, channel: str) -> str:
        """What is dialled to reach it by that channel; empty when nobody has entered it."""
        return {"landline": self.duty_phone, "mobile": self.mobile, "satellite": self.satellite, "video": self.video_address, "radio": self.call_sign, "shortwave": self.call_sign}.get(channel, "")
