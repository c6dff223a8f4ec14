"""Command's forms. They parse and call one action; the actions judge."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from anlan.kernel import access, codes
from anlan.kernel.forms import LocalDateTime
from anlan.kernel.models import Assignment, Post, Region
from anlan.kernel.parties import in_force
from anlan.kernel.shell import localname, post_name

from .models import Incident, Report
from .words import COUNTS


def region_in(text: str) -> Region | None:
    """The region a typed place lies in: the longest region name it contains; a name two regions share decides nothing."""
    text = text.strip()
    if not text:
        return None
    names = Region.objects.exclude(kind__in=["basin", "grid", "province"]).values_list("name", "short_name", "pk")
    hits = [(len(name), pk) for full, short, pk in names for name in (full, short) if name and len(name) >= 2 and name in text]
    if not hits:
        found = list(Region.objects.filter(name_en__iexact=text)[:2])
        return found[0] if len(found) == 1 else None
    longest = max(size for size, _pk in hits)
    best = {pk for size, pk in hits if size == longest}
    return Region.objects.get(pk=best.pop()) if len(best) == 1 else None


def regions_of(actor: Any, capability: str) -> list[Region]:
    """Regions to offer in a list: those the capability reaches, counties before towns, at most 400."""
    reach = access.regions(actor, capability)
    rows = Region.objects.exclude(kind__in=["basin", "grid", "zone"])
    if reach is not access.ALL:
        rows = rows.filter(pk__in=reach)
    return list(rows.order_by("kind", "name")[:400])


class RegionField(forms.CharField):
    """A region by its name; a list of names to choose from while typing."""

    def clean(self, value: Any) -> UUID | None:
        text = super().clean(value)
        if not text:
            return None
        found = region_in(text)
        if found is None:
            raise forms.ValidationError(_("There is no place called {names}.").format(names=text))
        return found.pk


def _number(label: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=10_000_000, widget=forms.NumberInput(attrs={"inputmode": "numeric", "min": 0}))


class IntakeForm(forms.Form):
    """A report, on one screen, in the order in which it is told. Enter in the last field sends it; nothing needs a mouse."""

    text = forms.CharField(label=gettext_lazy("What is reported"), max_length=5000, widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}))
    place = forms.CharField(label=gettext_lazy("Where"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "places", "autocomplete": "off"}))
    region = RegionField(label=gettext_lazy("County or town"), required=False, max_length=120, widget=forms.TextInput(attrs={"list": "regions", "autocomplete": "off"}),
                         help_text=gettext_lazy("Empty: taken from the place, else the area of your post."))
    event = forms.ChoiceField(label=gettext_lazy("Kind of event"), required=False)
    kind = forms.ChoiceField(label=gettext_lazy("Kind of report"), choices=Report.KINDS, initial="first")
    first = forms.ChoiceField(label=gettext_lazy("Follows"), required=False)
    happened_at = LocalDateTime(label=gettext_lazy("When it happened"), required=False, help_text=gettext_lazy("Empty: now."))
    precision = forms.ChoiceField(label=gettext_lazy("How exact"), choices=[("minute", gettext_lazy("to the minute")), ("about", gettext_lazy("about")), ("date", gettext_lazy("the day")), ("unknown", gettext_lazy("unknown"))])
    caller = forms.CharField(label=gettext_lazy("Who reports"), required=False, max_length=120)
    caller_phone = forms.CharField(label=gettext_lazy("Call back"), required=False, max_length=40, widget=forms.TextInput(attrs={"inputmode": "tel"}))
    means = forms.ChoiceField(label=gettext_lazy("By"), choices=Report.MEANS)
    dead = _number(COUNTS["dead"])
    missing = _number(COUNTS["missing"])
    injured = _number(COUNTS["injured"])
    trapped = _number(COUNTS["trapped"])
    moved = _number(COUNTS["moved"])

    def __init__(self, *args: Any, earlier: list[Report] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["event"].choices = [("", "—"), *codes.choices("hazard")]
        self.fields["first"].choices = [("", "—"), *((str(row.pk), f"{row.place} {row.text[:40]}".strip()) for row in earlier or [])]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if data.get("kind") in ("follow_up", "final") and not data.get("first") and "first" not in self.errors:
            self.add_error("first", _("Choose the first report it follows."))
        return data

    def values(self, actor: Any) -> dict[str, Any]:
        data = dict(self.cleaned_data)
        data["first"] = UUID(data["first"]) if data["first"] else None
        if data["region"] is None and data["first"] is None:
            found = region_in(data["place"])
            data["region"] = found.pk if found else Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first()
        return data


class FactForm(forms.Form):
    """An observed fact in the plans' own words."""

    what = forms.ChoiceField(label=gettext_lazy("What is observed, where"))
    value = forms.CharField(label=gettext_lazy("Value"), max_length=60)
    event_time = LocalDateTime(label=gettext_lazy("Seen at"), required=False, help_text=gettext_lazy("Empty: now."))
    source = forms.CharField(label=gettext_lazy("Who says so"), max_length=300)

    def __init__(self, *args: Any, offered: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["what"].choices = [("", "—"), *offered]


class IncidentForm(forms.Form):
    title = forms.CharField(label=gettext_lazy("Name of the incident"), max_length=160)
    kind = forms.ChoiceField(label=gettext_lazy("Kind of event"))
    region = RegionField(label=gettext_lazy("County or town"), max_length=120, widget=forms.TextInput(attrs={"list": "regions", "autocomplete": "off"}))
    place = forms.CharField(label=gettext_lazy("Where"), required=False, max_length=160)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["kind"].choices = codes.choices("hazard")


class InstructionForm(forms.Form):
    """A leader's instruction, word for word."""

    leader = forms.CharField(label=gettext_lazy("Leader"), max_length=80, widget=forms.TextInput(attrs={"autofocus": True}))
    leader_post = forms.CharField(label=gettext_lazy("Office of the leader"), required=False, max_length=80)
    text = forms.CharField(label=gettext_lazy("Instruction, word for word"), max_length=5000, widget=forms.Textarea(attrs={"rows": 3}))
    means = forms.ChoiceField(label=pgettext_lazy("means", "Given by"), choices=Report.MEANS)
    given_at = LocalDateTime(label=gettext_lazy("Given at"), required=False, help_text=gettext_lazy("Empty: now."))
    post = forms.ChoiceField(label=gettext_lazy("Carried out by"))
    due_at = LocalDateTime(label=gettext_lazy("To be done by"), required=False)
    incident = forms.ChoiceField(label=gettext_lazy("Incident"), required=False)

    def __init__(self, *args: Any, actor: Any, incidents: list[Incident], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reach = access.regions(actor, "command.instruct")
        rows = Post.objects.filter(active=True).select_related("organisation").order_by("organisation__name", "name")
        if reach is not access.ALL:
            rows = rows.filter(region_id__in=reach)
        self.fields["post"].choices = [("", "—"), *((str(row.pk), f"{localname(row.organisation)} {localname(row)}") for row in rows[:800])]
        self.fields["incident"].choices = [("", "—"), *((str(row.pk), row.title) for row in incidents)]

    def values(self) -> dict[str, Any]:
        data = dict(self.cleaned_data)
        return data | {"post": UUID(data["post"]), "incident": UUID(data["incident"]) if data["incident"] else None}


class DecisionForm(forms.Form):
    """Reason, and who decided if it was given by telephone."""

    reason = forms.CharField(label=gettext_lazy("Reason"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
    behalf = forms.ChoiceField(label=gettext_lazy("Decided by"), required=False, help_text=gettext_lazy("Choose a person only when the decision was given by telephone: it is recorded for that person, who has to confirm it."))
    means = forms.ChoiceField(label=pgettext_lazy("means", "Given by"), required=False, choices=[("", "—"), *Report.MEANS])
    decided_at = LocalDateTime(label=gettext_lazy("Given at"), required=False, help_text=gettext_lazy("Empty: now."))

    def __init__(self, *args: Any, posts: list[UUID], actor: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        from anlan.kernel import clock

        held = Assignment.objects.filter(in_force(clock.now()), post_id__in=posts).exclude(person_id=actor.person_id).select_related("person", "post").order_by("post__name", "role")
        self.fields["behalf"].choices = [("", _("I decide myself")), *dict((str(row.person_id), f"{row.person.name} · {post_name(row.post_id)}") for row in held).items()]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        return {"reason": data["reason"], "behalf": UUID(data["behalf"]) if data["behalf"] else None, "means": data["means"] if data["behalf"] else ""}
