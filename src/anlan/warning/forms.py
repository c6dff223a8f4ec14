"""Warning's forms. They parse and call one action; the actions judge."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from anlan.kernel.forms import LocalDateTime
from anlan.kernel.models import Region

from . import hazards, issuers
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
    import re

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


class Compose(forms.Form):
    """A message of our own, or an edit of one."""

    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=[(code, text) for code, text in Alert.KINDS if code in ("prompt", "call_down", "government")],
                             help_text=gettext_lazy("A prompt and a call-down reach our own posts; a government warning reaches the public and needs a second person."))
    colour = forms.ChoiceField(label=gettext_lazy("Colour"), choices=COLOURS, widget=forms.RadioSelect)
    hazard = forms.ChoiceField(label=gettext_lazy("Hazard"))
    places = PlacesField()
    headline = forms.CharField(label=gettext_lazy("Headline"), max_length=300)
    description = forms.CharField(label=gettext_lazy("What happens"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 4}))
    instruction = forms.CharField(label=gettext_lazy("What to do"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 3}))
    headline_en = forms.CharField(label=gettext_lazy("Headline in English"), required=False, max_length=300)
    description_en = forms.CharField(label=gettext_lazy("Text in English"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2}))
    expires = LocalDateTime(label=gettext_lazy("Valid until"), required=False, help_text=gettext_lazy("Empty: six hours from now."))
    contact = forms.CharField(label=gettext_lazy("Contact for questions"), required=False, max_length=200)
    channels = forms.MultipleChoiceField(label=gettext_lazy("Channels"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["hazard"].choices = hazards.choices()  # type: ignore[attr-defined]
        self.fields["channels"].choices = [(str(one.pk), one.name) for one in Channel.objects.filter(enabled=True).order_by("name")]  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """What compose and edit take."""
        data = self.cleaned_data
        english = {name: data[f"{name}_en"] for name in ("headline", "description") if data.get(f"{name}_en")}
        return {
            "hazard": data["hazard"], "colour": data["colour"], "regions": data["places"], "headline": data["headline"], "description": data["description"],
            "instruction": data["instruction"], "expires": data["expires"], "contact": data["contact"], "channels": data["channels"],
            "translations": {"en-US": {**english, "event": hazards.table()[data["hazard"]].name}} if english else {},
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
