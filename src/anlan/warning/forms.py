"""Warning's forms. They parse and call one action; the actions judge."""
from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from anlan.kernel import shell
from anlan.kernel.errors import Problem
from anlan.kernel.forms import LocalDateTime
from anlan.kernel.models import Region

from . import compute, hazards, issuers, texts
from .models import COLOURS, Alert, Channel


class PlacesField(forms.CharField):
    """Places by name, separated by spaces or commas; regions come out. A unique beginning is enough."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("label", gettext_lazy("Warned places"))
        kwargs.setdefault("help_text", gettext_lazy("Names, separated by spaces or commas; the beginning is enough."))
        super().__init__(max_length=2000, widget=forms.TextInput(attrs={"autocomplete": "off"}), **kwargs)

    def clean(self, value: Any) -> list[str]:
        text = super().clean(value)
        regions, unknown = resolve(text)
        if unknown:
            raise forms.ValidationError(_("There is no place called {names}.").format(names="、".join(unknown)))
        return [str(region.pk) for region in regions]


def resolve(text: str) -> tuple[list[Region], list[str]]:
    """(regions, words nobody knows) for names typed in a line."""
    regions: list[Region] = []
    unknown = []
    for word in filter(None, re.split(r"[\s、，,;；]+", text.strip())):
        base = Region.objects.exclude(kind__in=["basin", "grid"])
        found = list(base.filter(name=word)[:2]) or list(base.filter(short_name=word)[:2]) or list(base.filter(name_en__iexact=word)[:2])
        if len(found) != 1:
            begins = list(base.filter(name__startswith=word).order_by("kind", "name")[:2])
            found = begins if len(begins) == 1 else found
        if len(found) == 1:
            if found[0] not in regions:
                regions.append(found[0])
        else:
            unknown.append(word)
    return regions, unknown


def names(keys: Any) -> str:
    """Regions as the line a person would type."""
    known = dict(Region.objects.filter(pk__in=[UUID(str(key)) for key in keys]).values_list("pk", "name"))
    return " ".join(known[UUID(str(key))] for key in keys if UUID(str(key)) in known)


class HandEntry(forms.Form):
    """An outside warning taken down while the telephone is still warm."""

    text = forms.CharField(label=gettext_lazy("What was heard or received"), required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 4, "autofocus": True}),
                           help_text=gettext_lazy("Paste the message or type what you hear; the fields below fill themselves. Check them."))
    colour = forms.ChoiceField(label=gettext_lazy("Colour"), choices=COLOURS, widget=forms.RadioSelect)
    hazard = forms.ChoiceField(label=gettext_lazy("Hazard"))
    issuer = forms.ChoiceField(label=gettext_lazy("Issuer"))
    issuer_name = forms.CharField(label=gettext_lazy("Issuer's name"), required=False, max_length=200)
    places = PlacesField()
    sent = LocalDateTime(label=gettext_lazy("Issued at"), required=False, help_text=gettext_lazy("Empty: now."))
    heard_by = forms.ChoiceField(label=gettext_lazy("Heard by"), choices=[
        ("phone", gettext_lazy("telephone")), ("fax", gettext_lazy("fax")), ("chat", gettext_lazy("group chat")), ("other", gettext_lazy("another way")),
    ])
    contact = forms.CharField(label=gettext_lazy("Who called, from which number"), required=False, max_length=200)
    expires = LocalDateTime(label=gettext_lazy("Valid until"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["hazard"].choices = hazards.choices()  # type: ignore[attr-defined]
        self.fields["issuer"].choices = [(one.code, one.text) for one in issuers.table().issuers.values() if not one.ours]  # type: ignore[attr-defined]


class Area(forms.Form):
    """Whom: the places as they are, or what is drawn on the map. The map only fills these fields; all of it can be typed."""

    shape = forms.ChoiceField(label=gettext_lazy("Area"), required=False, widget=forms.RadioSelect, choices=[
        ("", gettext_lazy("The places as they are")), ("polygon", gettext_lazy("Outline")), ("circle", gettext_lazy("Circle")), ("river", gettext_lazy("River reach")),
        ("line", gettext_lazy("Along a line")), ("footprint", gettext_lazy("From a model")),
    ])
    places = PlacesField(required=False)
    corners = forms.CharField(label=gettext_lazy("Corners: longitude and latitude, one a line"), required=False, max_length=800_000,
                              widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false", "placeholder": "119.1234 28.1234"}))
    circle_lon = forms.FloatField(label=gettext_lazy("Longitude of the middle"), required=False, min_value=-180, max_value=180)
    circle_lat = forms.FloatField(label=gettext_lazy("Latitude of the middle"), required=False, min_value=-90, max_value=90)
    circle_km = forms.FloatField(label=gettext_lazy("Radius"), required=False, min_value=0.05, max_value=compute.FARTHEST_KM)
    river = forms.ChoiceField(label=gettext_lazy("River"), required=False)
    reach_from = forms.CharField(label=gettext_lazy("The reach begins at"), required=False, max_length=60, help_text=gettext_lazy("Kilometres from the source, or longitude and latitude of a place near it. Empty: its source."))
    reach_to = forms.CharField(label=gettext_lazy("The reach ends at"), required=False, max_length=60, help_text=gettext_lazy("As above. Empty: its mouth."))
    bank_km = forms.FloatField(label=gettext_lazy("Distance on both sides"), required=False, min_value=0.01, max_value=100, initial=1)
    footprint = forms.CharField(label=gettext_lazy("Footprint (GeoJSON polygon)"), required=False, max_length=2_000_000, widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}))
    model = forms.CharField(label=gettext_lazy("Model, version and run"), required=False, max_length=120)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rivers = Region.objects.filter(kind="river", valid_to=None, area_wkb__isnull=False).defer("area_wkb").order_by("name")
        self.fields["river"].choices = [("", "—"), *[(str(one.pk), shell.localname(one)) for one in rivers]]  # type: ignore[attr-defined]
        for name in ("circle_km", "bank_km"):
            self.fields[name].unit = "km"  # type: ignore[attr-defined]

    @staticmethod
    def drawn_as(drawn: dict[str, Any]) -> dict[str, Any]:
        """The fields as they stand for what was drawn."""
        shape = next((name for name in compute.SHAPES if name in drawn), "")
        found: dict[str, Any] = {"shape": shape, "bank_km": drawn.get("km", 1)}
        if shape in ("polygon", "line"):
            found["corners"] = "\n".join(f"{lon} {lat}" for lon, lat in drawn[shape])
        elif shape == "circle":
            found |= dict(zip(("circle_lon", "circle_lat", "circle_km"), drawn["circle"], strict=True))
        elif shape == "river":
            ends = {f"reach_{end}": " ".join(map(str, drawn[end])) if isinstance(drawn.get(end), list) else drawn.get(end, "") for end in ("from", "to")}
            found |= {"river": drawn["river"], **ends}
        elif shape == "footprint":
            found |= {"footprint": json.dumps(drawn["footprint"]), "model": drawn.get("model", "")}
        return found

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        data["drawn"] = {}
        shape = data.get("shape") or ""
        if not shape:
            if not data.get("places") and "places" not in self.errors:
                self.add_error("places", _("Name a place, or draw the area."))
            return data
        data["places"] = []  # they follow from what is drawn
        field = {"polygon": "corners", "line": "corners", "circle": "circle_km", "river": "river", "footprint": "footprint"}[shape]
        if any(name in self.errors for name in (field, "bank_km", "circle_lon", "circle_lat", "reach_from", "reach_to")):
            return data
        try:
            data["drawn"] = self._drawn(shape, data)
            self.area = compute.drawn(data["drawn"])
        except Problem:
            self.add_error(field, _("This is no area: check the coordinates and distances."))
        except ValueError as error:
            self.add_error(field, _("This is no area yet: {reason}").format(reason=error))
        return data

    def _drawn(self, shape: str, data: dict[str, Any]) -> dict[str, Any]:
        if shape in ("polygon", "line"):
            corners = [pair(line) for line in data["corners"].splitlines() if line.strip()]
            least = 3 if shape == "polygon" else 2
            if len(corners) < least:
                raise ValueError(_("at least {n} corners").format(n=least))
            return {shape: corners, **({"km": data["bank_km"] or 1} if shape == "line" else {})}
        if shape == "circle":
            if None in (data["circle_lon"], data["circle_lat"], data["circle_km"]):
                raise ValueError(_("middle and radius are needed"))
            return {"circle": [data["circle_lon"], data["circle_lat"], data["circle_km"]]}
        if shape == "river":
            if not data["river"]:
                raise ValueError(_("choose a river"))
            return {"river": data["river"], "from": end(data["reach_from"]), "to": end(data["reach_to"]), "km": data["bank_km"] or 1}
        try:
            found = json.loads(data["footprint"] or "null")
        except ValueError:
            raise ValueError(_("the file is no GeoJSON")) from None
        while isinstance(found, dict) and found.get("type") in ("Feature", "FeatureCollection"):
            found = found["geometry"] if found["type"] == "Feature" else (found.get("features") or [None])[0]
        if not isinstance(found, dict):
            raise ValueError(_("the file is no GeoJSON"))
        return {"footprint": {"type": found.get("type"), "coordinates": found.get("coordinates")}, "model": data["model"]}


def pair(text: str) -> list[float]:
    """[longitude, latitude] of a line somebody typed; anything but digits may stand between them."""
    numbers = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", text)]
    if len(numbers) != 2:
        raise ValueError(_("two numbers a line, not “{text}”").format(text=text.strip()[:40]))
    return numbers


def end(text: str) -> Any:
    """An end of a reach: kilometres, a place, or None for the river's own end."""
    if not text.strip():
        return None
    numbers = re.findall(r"-?\d+(?:\.\d+)?", text)
    return float(numbers[0]) if len(numbers) == 1 else pair(text)


class Compose(Area):
    """A message of our own, or an edit of one."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=[(code, text) for code, text in Alert.KINDS if code in ("prompt", "call_down", "government")],
                             help_text=gettext_lazy("A prompt and a call-down reach our own posts; a government warning reaches the public and needs a second person."))
    colour = forms.ChoiceField(label=gettext_lazy("Colour"), choices=COLOURS, widget=forms.RadioSelect)
    hazard = forms.ChoiceField(label=gettext_lazy("Hazard"))
    headline = forms.CharField(label=gettext_lazy("Headline"), max_length=300)
    description = forms.CharField(label=gettext_lazy("What happens"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4}))
    instruction = forms.CharField(label=gettext_lazy("What to do"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))
    headline_en = forms.CharField(label=gettext_lazy("Headline in English"), required=False, max_length=300)
    description_en = forms.CharField(label=gettext_lazy("Text in English"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}))
    expires = LocalDateTime(label=gettext_lazy("Valid until"), required=False, help_text=gettext_lazy("Empty: six hours from now."))
    contact = forms.CharField(label=gettext_lazy("Contact for questions"), required=False, max_length=200)
    channels = forms.MultipleChoiceField(label=gettext_lazy("Channels"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, said: dict[str, dict[str, str]] | None = None, **kwargs: Any) -> None:
        """`said`: the alert's translations so far, which are kept; how it ends is asked for in each language we have no words in."""
        super().__init__(*args, **kwargs)
        self.fields["hazard"].choices = hazards.choices()  # type: ignore[attr-defined]
        self.fields["channels"].choices = [(str(one.pk), one.name) for one in Channel.objects.filter(enabled=True).order_by("name")]  # type: ignore[attr-defined]
        self.said = said or {}
        self.asked = {f"{how}_{language}": (language, how) for language in sorted(self.said) if texts.unprepared(language) for how in ("all_clear", "cancel")}
        for name, (language, how) in self.asked.items():
            label = _("All-clear in {language}") if how == "all_clear" else _("Withdrawal in {language}")
            self.fields[name] = forms.CharField(
                label=label.format(language=language), required=False, max_length=10_000, initial=self.said[language].get(how, ""), widget=forms.Textarea(attrs={"rows": 2}),
                help_text=_("No words are prepared in this language: give them. The first line is the headline; left empty, the end is said in English."),
            )

    def ends(self) -> list[forms.BoundField]:
        """What asks how it ends, for the template."""
        return [self[name] for name in self.asked]

    def values(self) -> dict[str, Any]:
        """What compose and edit take."""
        data = self.cleaned_data
        english = {name: data[f"{name}_en"] for name in ("headline", "description") if data.get(f"{name}_en")}
        others = {language: dict(text) for language, text in self.said.items() if language != "en-US"}
        for name, (language, how) in self.asked.items():
            others[language][how] = data[name]
        return {
            "hazard": data["hazard"], "colour": data["colour"], "regions": data["places"], "drawn": data["drawn"], "headline": data["headline"], "description": data["description"],
            "instruction": data["instruction"], "expires": data["expires"], "contact": data["contact"], "channels": data["channels"],
            "translations": others | ({"en-US": {**self.said.get("en-US", {}), **english, "event": hazards.table()[data["hazard"]].name}} if english else {}),
        }


class StandingForm(forms.Form):
    """What two persons answer for beforehand."""

    places = PlacesField(label=gettext_lazy("Area"), help_text=gettext_lazy("One place: it is warned as a whole, and the sources stand in it."))
    hazard = forms.ChoiceField(label=gettext_lazy("Hazard"))
    colour = forms.ChoiceField(label=gettext_lazy("Colour"), choices=COLOURS, widget=forms.RadioSelect,
                               help_text=gettext_lazy("Colour of the warning; its sources must have reached it."))
    least = forms.IntegerField(label=gettext_lazy("Independent sources needed"), min_value=2, max_value=20, initial=2,
                               help_text=gettext_lazy("Gauges behind one credential count as one source; doubted readings and silent gauges count for nothing."))
    headline = forms.CharField(label=gettext_lazy("Headline"), max_length=300)
    description = forms.CharField(label=gettext_lazy("What happens"), max_length=10_000, widget=forms.Textarea(attrs={"rows": 4}))
    instruction = forms.CharField(label=gettext_lazy("What to do"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))
    headline_en = forms.CharField(label=gettext_lazy("Headline in English"), required=False, max_length=300)
    description_en = forms.CharField(label=gettext_lazy("Text in English"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}))
    hours = forms.IntegerField(label=gettext_lazy("A warning under it holds"), min_value=1, max_value=72, initial=6)
    expires = LocalDateTime(label=gettext_lazy("The authorisation ends"), help_text=gettext_lazy("Within a year; then two persons sign again."))
    channels = forms.MultipleChoiceField(label=gettext_lazy("Channels"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["hazard"].choices = hazards.choices()  # type: ignore[attr-defined]
        self.fields["channels"].choices = [(str(one.pk), one.name) for one in Channel.objects.filter(test=False).order_by("name")]  # type: ignore[attr-defined]
        self.fields["hours"].unit = _("hours")  # type: ignore[attr-defined]

    def clean_places(self) -> str:
        found = self.cleaned_data["places"]
        if len(found) != 1:
            raise forms.ValidationError(_("Name exactly one place."))
        return str(found[0])

    def values(self) -> dict[str, Any]:
        """What standing.ask takes."""
        data = self.cleaned_data
        english = {name: data[f"{name}_en"] for name in ("headline", "description") if data.get(f"{name}_en")}
        return {
            "region": UUID(data["places"]), **{name: data[name] for name in ("hazard", "colour", "least", "headline", "description", "instruction", "hours", "expires", "channels")},
            "translations": {"en-US": {**english, "event": hazards.table()[data["hazard"]].name}} if english else {},
        }


class IssuerTableForm(forms.Form):
    label = forms.CharField(label=gettext_lazy("Name of the version"), max_length=40)
    source = forms.CharField(label=gettext_lazy("Why, and by which document"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    text = forms.CharField(label=gettext_lazy("The table (YAML)"), max_length=200_000, widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "mono"}),
                           help_text=gettext_lazy("Issuers, then rules: issuer, hazards by code or prefix, class, audience, source, mark."))
