"""Forms of thresholds, sources and rules. They parse; the actions judge."""
from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .models import Source
from .quantities import QUANTITIES
from .rules import COLOUR_NAMES

LIMIT_WORDS = {"blue": _("blue"), "yellow": _("yellow"), "orange": _("orange"), "red": _("red"), "hysteresis": _("hysteresis")}


class ThresholdsForm(forms.Form):
    """Thresholds of what a station measures, one field each. The entry itself is the register's."""

    def __init__(self, *args: Any, station: Any, **kwargs: Any) -> None:
        self.station = station
        super().__init__(*args, **kwargs)
        for quantity in station.quantities:
            kind, given = QUANTITIES[quantity], (station.thresholds.get(quantity) or {})
            for name in (*COLOUR_NAMES, "hysteresis"):
                self.fields[f"{quantity}.{name}"] = forms.FloatField(label=f"{kind.name} · {LIMIT_WORDS[name]} ({kind.unit})", required=False, initial=given.get(name))
            self.fields[f"{quantity}.source"] = forms.CharField(
                label=_("{quantity} · source of these thresholds").format(quantity=kind.name), required=False, max_length=200, initial=given.get("source", "")
            )
        if {"level", "flow"} & set(station.quantities):
            given = station.upstream
            self.fields["upstream.rain"] = forms.CharField(
                label=_("Rain gauges upstream"), required=False, initial=" ".join(given.get("rain", ())), widget=forms.Textarea(attrs={"rows": 2}),
                help_text=_("Their codes. A rise here without rain at any of them is a question to a person before it is an alarm. Empty: nobody asks."),
            )
            self.fields["upstream.hours"] = forms.FloatField(label=_("Rain of the last hours (h)"), required=False, initial=given.get("hours", 12))
            self.fields["upstream.mm"] = forms.FloatField(label=_("Rain that explains a rise (mm)"), required=False, initial=given.get("mm", 5))
            self.fields["upstream.source"] = forms.CharField(label=_("Source of these"), required=False, max_length=200, initial=given.get("source", ""))

    def values(self) -> dict[str, Any]:
        """As the action wants them."""
        data, found = self.cleaned_data, {}
        for quantity in self.station.quantities:
            own = {name: data.get(f"{quantity}.{name}") for name in (*COLOUR_NAMES, "hysteresis")}
            own = {name: value for name, value in own.items() if value is not None}
            if data.get(f"{quantity}.source"):
                own["source"] = data[f"{quantity}.source"]
            if own:
                found[quantity] = own
        return found


    def upstream(self) -> dict[str, Any]:
        """As the action wants it."""
        data = self.cleaned_data
        codes = sorted({code for code in (data.get("upstream.rain") or "").replace(",", " ").replace("，", " ").split() if code})
        if not codes:
            return {}
        found: dict[str, Any] = {"rain": codes, "hours": data.get("upstream.hours") or 12, "mm": data.get("upstream.mm") or 5}
        return {**found, "source": data["upstream.source"]} if data.get("upstream.source") else found


class MaintainForm(forms.Form):
    hours = forms.FloatField(label=_("For how many hours"), min_value=0, max_value=8760, initial=4)
    reason = forms.CharField(label=_("Why"), max_length=200)


class AnswerForm(forms.Form):
    true = forms.TypedChoiceField(
        label=_("Is it true?"), choices=[("1", _("True: judge it, and believe the gauge")), ("0", _("Not true: do not believe the gauge"))],
        coerce=lambda text: text == "1", widget=forms.RadioSelect,
    )
    reason = forms.CharField(label=_("Why"), max_length=300, help_text=_("What was seen, by whom: a call to the place, a picture, another gauge."))


class SourceForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("User name of its credential: letters, digits, - and _."))
    title = forms.CharField(label=pgettext_lazy("source", "Title"), max_length=120, required=False)
    kind = forms.ChoiceField(label=_("Door"), choices=[(Source.MQTT, _("MQTT device")), (Source.HTTP, _("HTTP")), (Source.GATEWAY, _("Gateway: MQTT and HTTP"))])
    contact = forms.CharField(label=_("Contact person"), max_length=120, required=False)
    active = forms.BooleanField(label=_("Switched on"), required=False, initial=True)
    reads = forms.BooleanField(label=_("May read all stations"), required=False, help_text=_("By SensorThings over HTTP and MQTT; otherwise only its own, over HTTP."))
    enters = forms.BooleanField(label=_("May enter stations"), required=False, help_text=_("By SensorThings over HTTP; they are bound to it."))


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
