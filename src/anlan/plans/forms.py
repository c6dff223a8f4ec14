"""Forms of the plans room: state a value, answer a question, upload a version, adopt a plan."""
from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import validate_slug
from django.utils.translation import gettext_lazy as _

from anlan.engines.conditions import PlanFile
from anlan.engines.conditions.planfile import MAX_BYTES
from anlan.kernel.forms import LocalDateTime
from anlan.kernel.models import Post, Region
from anlan.kernel.shell import localname, post_name
from anlan.sensing.models import Station

from .vocabulary import in_words, qualifier_words, vocabulary


class ValueForm(forms.Form):
    """One value of one term; the field fits the term's type, the unit stands inside it."""

    value = forms.CharField(label=_("Value"))
    event_time = LocalDateTime(label=_("Held at"), help_text=_("When it was so, not when you type it."))
    source = forms.CharField(label=_("Who says so"), max_length=300, help_text=_("For example: hydrology bureau, 14:00 forecast; or the name of who reported it."))

    def __init__(self, term: str, *args: Any, qualified: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        spec = vocabulary()[term]
        self.unit = spec.unit
        field: forms.Field
        if spec.type == "bool":
            field = forms.ChoiceField(choices=[("true", _("Yes")), ("false", _("No"))], widget=forms.RadioSelect)
        elif spec.type == "choice":
            field = forms.ChoiceField(choices=[(choice, in_words(spec.choice_labels[choice])) for choice in spec.choices], widget=forms.RadioSelect)
        else:
            field = forms.FloatField(min_value=spec.low, max_value=spec.high, widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal", "autofocus": True}))
        field.label = in_words(spec.label)
        self.fields["value"] = field
        if qualified:
            for index, known in enumerate(spec.qualifiers):
                self.fields[f"qualifier_{index}"] = forms.ChoiceField(label=_("Class") if known.name == "class" else _("Which"), choices=[(choice, qualifier_words(choice)) for choice in known.choices])
            self.order_fields([*(f"qualifier_{index}" for index in range(len(spec.qualifiers))), "value", "event_time", "source"])

    def given(self) -> dict[str, Any]:
        data = self.cleaned_data
        parts = [data[name] for name in sorted(name for name in data if name.startswith("qualifier_"))]
        return {"value": data["value"], "event_time": data["event_time"], "source": data["source"], **({"qualifier": "|".join(parts)} if parts else {})}


class UploadForm(forms.Form):
    """A plan file, chosen or pasted."""

    file = forms.FileField(label=_("Plan file (YAML)"), required=False)
    text = forms.CharField(label=_("or paste it here"), required=False, widget=forms.Textarea(attrs={"rows": 16, "spellcheck": "false"}))
    note = forms.CharField(label=_("What is different in this version"), max_length=300, required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        upload = data.get("file")
        if upload is not None:
            if upload.size > MAX_BYTES:
                raise forms.ValidationError(_("The file has more than {limit} bytes.").format(limit=MAX_BYTES))
            try:
                data["text"] = upload.read().decode("utf-8-sig")
            except UnicodeDecodeError:
                raise forms.ValidationError(_("The file is not UTF-8. Save it as UTF-8 and send it again.")) from None
        if not data.get("text", "").strip():
            raise forms.ValidationError(_("Choose a file or paste the plan."))
        return data


class AdoptForm(forms.Form):
    """Where a plan applies, what its places are here and who its roles are."""

    region = forms.ChoiceField(label=_("For place"))
    default_post = forms.ChoiceField(label=_("Post for roles not bound below"))

    def __init__(self, file: PlanFile, regions: Any, *args: Any, binding: Any = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file = file
        regions = [(str(row.pk), localname(row)) for row in regions]
        posts = [("", "—"), *((str(row.pk), post_name(row.pk)) for row in Post.objects.filter(active=True).select_related("organisation").order_by("organisation__name", "name")[:3000])]
        self.fields["region"].choices = regions  # type: ignore[attr-defined]
        self.fields["default_post"].choices = posts[1:]  # type: ignore[attr-defined]
        if binding is not None:
            del self.fields["region"]
        bound = {row.alias: row for row in binding.places.all()} if binding else {}
        held: dict[str, list[str]] = {}
        for row in binding.posts.all() if binding else ():
            held.setdefault(row.role, []).append(str(row.post_id))
        for alias, entry in file.places.items():
            name = f"place-{alias}"
            if entry.kind == "gauge":
                quantity = Station.objects.filter(active=True, quantities__contains=entry.quantity) if entry.quantity else Station.objects.filter(active=True)
                choices = [("", str(_("not measured here"))), *((str(row.pk), f"{localname(row)} ({row.code})") for row in quantity.order_by("name")[:3000])]
                self.fields[name] = forms.ChoiceField(choices=choices, required=False)
                self.fields[name].initial = str(bound[alias].station_id or "") if alias in bound else ""
            elif entry.kind == "region":
                self.fields[name] = forms.ChoiceField(choices=[("", str(_("the adopted place itself"))), *regions], required=False)
                self.fields[name].initial = str(bound[alias].region_id or "") if alias in bound else ""
            else:
                self.fields[name] = forms.CharField(required=False, max_length=100)
                self.fields[name].initial = bound[alias].place.partition(":")[2] if alias in bound else in_words(entry.label)
            self.fields[name].label = in_words(entry.label) or alias
        for role, label in file.posts.items():
            name = f"post-{role}"
            self.fields[name] = forms.MultipleChoiceField(label=in_words(label) or role, choices=posts[1:], required=False, widget=forms.SelectMultiple(attrs={"size": 4}))
            self.fields[name].initial = held.get(role, [])
        for level in file.levels:
            name = f"minutes-{level.code}"
            self.fields[name] = forms.IntegerField(label=in_words(level.label), required=False, min_value=1, max_value=1440)
            self.fields[name].initial = (binding.answer_minutes.get(level.code) if binding else None) or level.answer_within_min
        if binding is not None:
            self.fields["default_post"].initial = str(binding.default_post_id)

    @property
    def place_fields(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith("place-")]

    @property
    def post_fields(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith("post-")]

    @property
    def minute_fields(self) -> list[Any]:
        return [self[name] for name in self.fields if name.startswith("minutes-")]

    def given(self) -> dict[str, Any]:
        data = self.cleaned_data
        kinds = {"gauge": "station", "region": "region", "site": "site"}
        places = {alias: ({kinds[entry.kind]: data[f"place-{alias}"]} if data.get(f"place-{alias}") else {}) for alias, entry in self.file.places.items()}
        posts = {role: data[f"post-{role}"] for role in self.file.posts if data.get(f"post-{role}")}
        minutes = {level.code: data[f"minutes-{level.code}"] for level in self.file.levels if data.get(f"minutes-{level.code}") not in (None, level.answer_within_min)}
        return {"places": places, "posts": posts, "default_post": data["default_post"], "answer_minutes": minutes}


def regions_to_adopt(reach: Any) -> Any:
    """Regions a person may adopt a plan for: provinces to counties, in his reach."""
    from anlan.kernel import access

    rows = Region.objects.filter(kind__in=["province", "city", "county", "basin", "zone"], valid_to=None).order_by("kind", "name")
    return rows if reach is access.ALL else rows.filter(pk__in=reach)


class DocumentForm(forms.Form):
    """A plan's document as it was issued."""

    file = forms.FileField(label=_("Document (.docx, .pdf, .txt, .md)"))


class ItemForm(forms.Form):
    """What one sentence of a draft means, to confirm or correct."""

    level = forms.CharField(label=_("Level"), max_length=20, required=False)
    when = forms.CharField(label=_("Rule (CEL over the known terms)"), required=False, widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}))
    post = forms.CharField(label=_("Who acts"), max_length=200, required=False)
    deadline_min = forms.IntegerField(label=_("Within (minutes)"), required=False, min_value=0, max_value=100_000)

    def __init__(self, *args: Any, item: Any, asked: dict[str, str], **kwargs: Any) -> None:
        """`asked`: label of each term that nobody feeds."""
        super().__init__(*args, **{**kwargs, "initial": item.now})
        for name in ("post", "deadline_min") if item.kind == "condition" else ("when",):
            del self.fields[name]
        for term, words in asked.items():
            self.fields[f"ask-{term}"] = forms.CharField(
                label=_("Asked for “{term}”").format(term=words), max_length=200, required=False, initial=item.draft.about.get("asks", {}).get(term, ""),
                help_text=_("Nobody feeds it: this post will be asked, in the whole plan. Empty: the post named when the plan is adopted."),
                widget=forms.TextInput(attrs={"list": "units", "placeholder": _("the post named when the plan is adopted")}),
            )

    def given(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.fields if not name.startswith("ask-")}

    def asks(self) -> dict[str, str]:
        return {name.removeprefix("ask-"): self.cleaned_data[name] for name in self.fields if name.startswith("ask-")}


class PublishForm(forms.Form):
    """Under which id the draft becomes a plan."""

    key = forms.CharField(label=_("Id of the plan"), max_length=60, validators=[validate_slug], help_text=_("A known id makes its next version; another a new plan."))
