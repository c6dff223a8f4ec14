"""Command's forms."""
from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from anlan.kernel import codes
from anlan.kernel.forms import LocalDateTime
from anlan.kernel.models import Post, Region
from anlan.kernel.shell import localname

from .models import Document, Incident, Report


class RegionChoice(forms.ModelChoiceField):
    def label_from_instance(self, row: Any) -> str:
        return localname(row)


class PostChoice(forms.ModelChoiceField):
    def label_from_instance(self, row: Any) -> str:
        return f"{localname(row.organisation)} {localname(row)}"


def _regions() -> Any:
    return Region.objects.filter(valid_to=None, kind__in=("province", "city", "county", "district", "town")).order_by("kind", "name")


def _hazards() -> list[tuple[str, Any]]:
    return [("", _("not known yet")), *codes.choices("hazard")]


class ReportForm(forms.Form):
    """One screen, in the order a caller tells it; Tab and Enter are enough."""

    kind = forms.ChoiceField(label=_("Report"), choices=Report.KINDS, initial="first")
    text = forms.CharField(label=_("What the caller says"), widget=forms.Textarea(attrs={"rows": 4, "autofocus": True}), max_length=8000)
    place = forms.CharField(label=_("Place in the caller's words"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "known-places", "autocomplete": "off"}))
    region = RegionChoice(Region.objects.none(), label=_("Region"), required=False)
    event = forms.ChoiceField(label=_("Kind of event"), required=False)
    happened_at = LocalDateTime(label=_("When it happened"), required=False)
    means = forms.ChoiceField(label=_("How it came in"), choices=Report.MEANS, initial="phone")
    caller = forms.CharField(label=_("Caller, unit"), required=False, max_length=120)
    caller_phone = forms.CharField(label=_("Call back number"), required=False, max_length=40)
    dead = forms.IntegerField(label=_("Dead"), required=False, min_value=0)
    missing = forms.IntegerField(label=_("Missing"), required=False, min_value=0)
    injured = forms.IntegerField(label=_("Injured"), required=False, min_value=0)
    trapped = forms.IntegerField(label=_("Trapped"), required=False, min_value=0)
    moved = forms.IntegerField(label=_("Moved to safety"), required=False, min_value=0)

    COUNTS = Report.COUNTS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["region"].queryset = _regions()
        self.fields["event"].choices = _hazards()

    def values(self) -> dict[str, Any]:
        data = dict(self.cleaned_data)
        data["region"] = data["region"].pk if data["region"] else None
        return data


class IncidentForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=160)
    kind = forms.ChoiceField(label=_("Kind of event"), required=False)
    region = RegionChoice(Region.objects.none(), label=_("Region"))
    place = forms.CharField(label=_("Place"), required=False, max_length=160)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["region"].queryset = _regions()
        self.fields["kind"].choices = _hazards()

    def values(self) -> dict[str, Any]:
        return {**self.cleaned_data, "region": self.cleaned_data["region"].pk}


class InstructionForm(forms.Form):
    leader = forms.CharField(label=_("Leader"), max_length=80)
    leader_post = forms.CharField(label=_("Leader's post"), required=False, max_length=80)
    text = forms.CharField(label=_("Instruction, word for word"), widget=forms.Textarea(attrs={"rows": 3}))
    means = forms.ChoiceField(label=_("How it was given"), choices=Report.MEANS)
    given_at = LocalDateTime(label=_("When it was given"), required=False)
    post = PostChoice(Post.objects.none(), label=_("Who carries it out"))
    due_at = LocalDateTime(label=_("Report back by"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["post"].queryset = Post.objects.filter(active=True).select_related("organisation").order_by("organisation__name", "name")

    def values(self) -> dict[str, Any]:
        return {**self.cleaned_data, "post": self.cleaned_data["post"].pk}


class FactForm(forms.Form):
    term = forms.ChoiceField(label=_("What was observed"))
    place = forms.ChoiceField(label=_("Where"))
    value = forms.CharField(label=_("Value"), help_text=_("a number, yes or no, or one of the words of the plan"), max_length=80)
    observed_at = LocalDateTime(label=_("When it was seen"), required=False)
    source = forms.CharField(label=_("Who saw it"), max_length=300)

    def __init__(self, terms: list[tuple[str, str]], places: list[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["term"].choices, self.fields["place"].choices = terms, places


class DecideForm(forms.Form):
    """Approve or refuse; or write down what was decided by telephone (代录)."""

    reason = forms.CharField(label=_("Reason"), required=False, widget=forms.Textarea(attrs={"rows": 2}), help_text=_("needed to refuse, to change a level and to end a response"))
    behalf = forms.ChoiceField(label=_("Decided by telephone by"), required=False)
    means = forms.ChoiceField(label=_("Means"), required=False, choices=[("", "—"), *Report.MEANS])
    said_at = LocalDateTime(label=_("When it was said"), required=False)
    incident = forms.ModelChoiceField(Incident.plain.none(), label=_("Belongs to the incident"), required=False)

    def __init__(self, people: list[tuple[str, str]], incidents: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["behalf"].choices = [("", _("I decide this myself")), *people]
        self.fields["incident"].queryset = incidents


class DocumentForm(forms.Form):
    kind = forms.ChoiceField(label=_("Document"), choices=Document.KINDS)
