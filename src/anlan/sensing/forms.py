"""Forms of the register. They parse; the actions judge."""
from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access
from anlan.kernel.models import Region

from .actions import CRS
from .models import Source
from .quantities import QUANTITIES
from .rules import COLOUR_NAMES

KINDS = [
    ("rain", _("Rain")), ("level", _("Water level")), ("flow", _("Discharge")), ("soil", _("Soil moisture")), ("wind", _("Wind")), ("gas", _("Gas")),
]


class StationForm(forms.Form):
    code = forms.CharField(label=_("Code"), max_length=40, help_text=_("Letters, digits and hyphens; it stands in the MQTT topic."))
    name = forms.CharField(label=_("Name"), max_length=120)
    name_en = forms.CharField(label=_("English name"), max_length=120, required=False)
    kind = forms.ChoiceField(label=_("Kind"), choices=KINDS)
    quantities = forms.MultipleChoiceField(label=_("Measures"), choices=[(q.code, q.name) for q in QUANTITIES.values()], widget=forms.CheckboxSelectMultiple)
    region = forms.ModelChoiceField(label=_("Place"), queryset=Region.objects.none(), required=False)
    river = forms.CharField(label=_("River"), max_length=80, required=False)
    lon = forms.FloatField(label=_("Longitude (°)"), required=False, min_value=-180, max_value=180)
    lat = forms.FloatField(label=_("Latitude (°)"), required=False, min_value=-90, max_value=90)
    source_crs = forms.ChoiceField(label=_("Coordinates are in"), choices=[(name, name) for name in CRS])
    elevation_m = forms.FloatField(label=_("Elevation (m)"), required=False)
    sensor_height_m = forms.FloatField(label=_("Sensor height (m)"), required=False)
    datum = forms.CharField(label=_("Datum of levels"), max_length=60, required=False)
    owner = forms.CharField(label=_("Owner"), max_length=120, required=False)
    source = forms.ModelChoiceField(label=_("Source of its readings"), queryset=Source.objects.none(), required=False)
    interval_s = forms.IntegerField(label=_("Reports every (s)"), min_value=1, max_value=30 * 86400, initial=300)
    silent_after_s = forms.IntegerField(label=_("Silent after (s)"), min_value=0, max_value=30 * 86400, initial=1800, help_text=_("0: it may be silent."))
    active = forms.BooleanField(label=_("In service"), required=False, initial=True)

    def __init__(self, *args: Any, actor: Any, station: Any = None, **kwargs: Any) -> None:
        self.station = station
        super().__init__(*args, **kwargs)
        places = access.regions(actor, "sensing.manage")
        rows = Region.objects.exclude(kind="basin").order_by("kind", "name")
        self.fields["region"].queryset = rows if places is access.ALL else rows.filter(pk__in=places)  # type: ignore[attr-defined]
        self.fields["source"].queryset = Source.objects.order_by("name")  # type: ignore[attr-defined]
        if station is not None:
            self.fields["code"].disabled = True
            self.initial.update({name: getattr(station, name) for name in self.fields if hasattr(station, name)})
            self.initial["source_crs"] = "EPSG:4326"  # coordinates are stored in our frame
        measured = station.quantities if station is not None else []
        # Thresholds of what the station measures, one field each; a new station gets its first ones on its own page.
        for quantity in measured:
            kind, given = QUANTITIES[quantity], (station.thresholds.get(quantity) or {})
            for name in (*COLOUR_NAMES, "hysteresis"):
                self.fields[f"{quantity}.{name}"] = forms.FloatField(label=f"{kind.name} · {LIMIT_WORDS[name]} ({kind.unit})", required=False, initial=given.get(name))
            self.fields[f"{quantity}.source"] = forms.CharField(
                label=_("{quantity} · source of these thresholds").format(quantity=kind.name), required=False, max_length=200, initial=given.get("source", "")
            )

    def values(self) -> dict[str, Any]:
        """As the action wants them."""
        data = self.cleaned_data
        values = {name: data[name] for name in data if "." not in name and name not in ("region", "source")}
        values["region"] = data["region"].pk if data["region"] else None
        values["source"] = data["source"].pk if data["source"] else None
        if data["lon"] is None or data["lat"] is None:
            values["lon"] = values["lat"] = None
        if self.station is not None and (data["lon"], data["lat"]) == (self.station.lon, self.station.lat):
            for name in ("lon", "lat", "source_crs"):
                del values[name]
        thresholds = dict(self.station.thresholds) if self.station is not None else {}
        for quantity in self.station.quantities if self.station is not None else []:
            own = {name: data.get(f"{quantity}.{name}") for name in (*COLOUR_NAMES, "hysteresis")}
            own = {name: value for name, value in own.items() if value is not None}
            if data.get(f"{quantity}.source"):
                own["source"] = data[f"{quantity}.source"]
            if own:
                thresholds[quantity] = own
            else:
                thresholds.pop(quantity, None)
        values["thresholds"] = {quantity: own for quantity, own in thresholds.items() if quantity in values["quantities"]}
        return values


LIMIT_WORDS = {"blue": _("blue"), "yellow": _("yellow"), "orange": _("orange"), "red": _("red"), "hysteresis": _("hysteresis")}


class SourceForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("User name of its credential: letters, digits, - and _."))
    title = forms.CharField(label=_("Title"), max_length=120, required=False)
    kind = forms.ChoiceField(label=_("Door"), choices=[(Source.MQTT, _("MQTT device")), (Source.HTTP, _("HTTP")), (Source.GATEWAY, _("Gateway: MQTT and HTTP"))])
    contact = forms.CharField(label=_("Contact"), max_length=120, required=False)
    active = forms.BooleanField(label=_("Switched on"), required=False, initial=True)


class BindForm(forms.Form):
    stations = forms.CharField(
        label=_("Codes of its stations"), required=False, widget=forms.Textarea(attrs={"rows": 6}), help_text=_("One on each line, or separated by commas.")
    )

    def codes(self) -> list[str]:
        return sorted({code for code in self.cleaned_data["stations"].replace(",", " ").split() if code})


class RulesForm(forms.Form):
    text = forms.CharField(label=_("Rule file (YAML)"), widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false"}))
    note = forms.CharField(label=_("Why"), max_length=200)


class AdoptForm(forms.Form):
    note = forms.CharField(label=_("Why"), max_length=200)
