"""Pages about means: equipment rates, search by ability, what is near, training, drawing experts, roll calls."""
from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext, pgettext_lazy
from django.views.decorators.http import require_POST

from anlan.kernel import access, clock, codes, shell
from anlan.kernel.errors import NOT_FOUND
from anlan.kernel.forms import attempt
from anlan.kernel.models import Region
from anlan.kernel.registers import get, listing
from anlan.kernel.shell import localname

from . import calls, means
from .models import ExpertDraw, RollCall, RollCallTry, Site
from .supply_pages import _reader, _xlsx


def _tabs() -> list[dict[str, str]]:
    return listing.tabs(get("resources.team"))


def rates(request: HttpRequest) -> HttpResponse:
    """Q14–Q16 with each holder and what is missing; ?xlsx for the shortage list."""
    actor, realm, day = _reader(request)
    found = means.equipment_rates(actor, day)
    if "xlsx" in request.GET:
        head = [_("Team or office"), _("Equipment"), pgettext("supplies", "Missing")]
        return _xlsx(request, _("Missing equipment"), head, [[one["holder"], codes.name("equipment_kind", one["kind"]), one["short"]] for one in found["missing"]])
    cards = [
        (_("Team equipment rate"), "Q16", found["q16"]), (_("Communication equipment rate"), "Q14", found["q14"]), (_("Small portable terminal rate"), "Q15", found["q15"]),
    ]
    return render(request, "resources/rates.html", {**found, "cards": cards, "holders": found["holders"][:400], "missing": found["missing"][:200], "missing_count": len(found["missing"]), "dead_spots": means.dead_spots(actor, day), "tabs": _tabs(), "here": "resources:rates", "now": clock.now(realm)})


class PlaceForm(forms.Form):
    """A point, typed or taken from a region."""

    lon = forms.FloatField(label=gettext_lazy("Longitude"), required=False, min_value=-180, max_value=180, widget=forms.NumberInput(attrs={"step": "any"}))
    lat = forms.FloatField(label=gettext_lazy("Latitude"), required=False, min_value=-90, max_value=90, widget=forms.NumberInput(attrs={"step": "any"}))
    region = forms.ChoiceField(label=gettext_lazy("or the middle of"), required=False)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        rows = Region.objects.filter(kind__in=("city", "county", "town"), lon__isnull=False, valid_to=None).order_by("kind", "name")[:600]
        self.fields["region"].choices = [("", ""), *((str(row.pk), localname(row)) for row in rows)]  # type: ignore[attr-defined]

    def point(self) -> tuple[float, float] | None:
        given = self.cleaned_data
        if given.get("lon") is not None and given.get("lat") is not None:
            return given["lon"], given["lat"]
        row = Region.objects.filter(pk=given["region"]).first() if given.get("region") else None
        return (row.lon, row.lat) if row else None


class SearchForm(PlaceForm):
    kind = forms.ChoiceField(label=gettext_lazy("Equipment"))
    least = forms.FloatField(label=gettext_lazy("Can do at least"), required=False, min_value=0, widget=forms.NumberInput(attrs={"step": "any"}))
    within = forms.FloatField(label=gettext_lazy("There within (minutes)"), required=False, min_value=1, max_value=10_000)
    shared = forms.BooleanField(label=gettext_lazy("only what others may call up"), required=False)
    field_order = ["kind", "least", "within", "region", "lon", "lat", "shared"]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        zh = not shell.localname_is_english()
        named = []
        for code, entry in codes.entries("equipment_kind").items():
            what = entry["data"].get("ability_zh" if zh else "ability")
            unit = _unit(entry["data"])
            told = f"（{what}，{unit}）" if zh else f" ({what}, {unit})"
            named.append((code, codes.name("equipment_kind", code) + (told if what else "")))
        self.fields["kind"].choices = named  # type: ignore[attr-defined]


def _unit(kind: dict[str, Any]) -> str:
    """What the ability of a kind of equipment is counted in, for the reader."""
    return ("" if shell.localname_is_english() else kind.get("unit_zh", "")) or kind.get("unit", "")


def search(request: HttpRequest) -> HttpResponse:
    """"A pump of at least 500 m³/h that can be at X within 60 minutes"."""
    actor, realm, day = _reader(request)
    form = SearchForm(request.GET if request.GET else None)
    context: dict[str, Any] = {"form": form, "tabs": _tabs(), "here": "resources:search"}
    if request.GET and form.is_valid():
        point, given = form.point(), form.cleaned_data
        lon, lat = point or (None, None)
        found = means.able(actor, kind=given["kind"], least=given.get("least") or 0, lon=lon, lat=lat, within=given.get("within"), day=day, shared=given["shared"])
        context |= {"answer": found, "unit": _unit(codes.data("equipment_kind", given["kind"])), "placed": point is not None, "may_call": access.may(actor, "resources.call")}
    return render(request, "resources/search.html", context)


class NearForm(PlaceForm):
    km = forms.FloatField(label=gettext_lazy("Within (km)"), min_value=0.1, max_value=500, initial=10)
    within = forms.FloatField(label=gettext_lazy("There within (minutes)"), required=False, min_value=1, max_value=10_000)


def near(request: HttpRequest) -> HttpResponse:
    """What lies around a point, register by register, with how old each entry is."""
    actor, _realm, _day = _reader(request)
    form = NearForm(request.GET if request.GET else None)
    context: dict[str, Any] = {"form": form, "tabs": _tabs(), "here": "resources:near"}
    if request.GET and form.is_valid() and form.point():
        lon, lat = form.point()  # type: ignore[misc]
        context |= {"found": means.near(actor, lon, lat, form.cleaned_data["km"], within=form.cleaned_data.get("within")), "lon": lon, "lat": lat}
    return render(request, "resources/near.html", context)


def training(request: HttpRequest) -> HttpResponse:
    """Who may be sent by role, Q20, and whose papers run out."""
    actor, realm, day = _reader(request)
    found = means.training(actor, day)
    return render(request, "resources/training.html", {**found, "expiring": found["expiring"][:100], "expiring_count": len(found["expiring"]), "units": found["units"][:50], "units_count": len(found["units"]), "today": day, "now": clock.now(realm), "tabs": listing.tabs(get("resources.member")), "here": "resources:training"})


# --- experts -------------------------------------------------------------------------------------------------------------


class DrawForm(forms.Form):
    field = forms.ChoiceField(label=pgettext_lazy("expert", "Field"))
    count = forms.IntegerField(label=gettext_lazy("How many"), min_value=1, max_value=30, initial=3)
    about = forms.CharField(label=gettext_lazy("Matter"), max_length=300)
    question = forms.CharField(label=pgettext_lazy("expert", "Question"), max_length=4000, required=False, widget=forms.Textarea(attrs={"rows": 3}))
    parties = forms.CharField(label=gettext_lazy("Units the matter is about"), required=False, max_length=2000, widget=forms.Textarea(attrs={"rows": 2}), help_text=gettext_lazy("one a line; experts concerned with them are left out"))
    reason = forms.CharField(label=gettext_lazy("Reason for the draw"), max_length=300)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["field"].choices = codes.choices("expert_field")  # type: ignore[attr-defined]


def draw(request: HttpRequest) -> HttpResponse:
    """Draw experts; earlier draws below."""
    actor, realm, _day = _reader(request)
    form = DrawForm(request.POST or None)
    if request.method == "POST":
        region = shell_region(actor)
        done, row = attempt(form, lambda: calls.draw(request.act(), region=region, **{**form.cleaned_data, "parties": form.cleaned_data["parties"].splitlines()}))  # type: ignore[attr-defined]
        if done:
            messages.success(request, _("Drawn: {codes}.").format(codes="、".join(row.chosen)))
            return redirect("resources:drawn", row.pk)
    rows = ExpertDraw.objects.seen_by(actor, realm).order_by("-at")[:30]
    context = {"form": form, "rows": rows, "use": means.use_of_experts(actor, realm, _day), "may": access.may(actor, "resources.draw"), "tabs": listing.tabs(get("resources.expert")), "here": "resources:draw"}
    return render(request, "resources/draw.html", context, status=422 if request.method == "POST" else 200)


def shell_region(actor: Any) -> Any:
    """The region of the actor's post."""
    from anlan.kernel.models import Post

    return Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first() if actor.post_id else None


def drawn(request: HttpRequest, key: UUID) -> HttpResponse:
    """A draw: pool, who was left out and why, seed and order, so that anybody can draw again."""
    actor, realm, _day = _reader(request)
    row = ExpertDraw.objects.seen_by(actor, realm).filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("draw"), key=str(key)[-6:])
    order = calls.order_of(row.pool, row.seed)
    return render(request, "resources/drawn.html", {"row": row, "order": order, "same": order[: len(row.chosen)] == row.chosen, "field": codes.name("expert_field", row.field), "who": shell.person_name(row.person) if row.person else ""})


# --- roll calls ----------------------------------------------------------------------------------------------------------


def rolls(request: HttpRequest) -> HttpResponse:
    """Roll calls with their three rates; starting one."""
    actor, realm, _day = _reader(request)
    if request.method == "POST":
        row = calls.start_roll(request.act(), title=request.POST.get("title", ""), region=shell_region(actor))  # type: ignore[attr-defined]
        return redirect("resources:roll", row.pk)
    rows = [(row, means.roll_rates(row)) for row in RollCall.objects.seen_by(actor, realm).order_by("-started_at")[:30]]
    return render(request, "resources/rolls.html", {"rows": rows, "may": access.may(actor, "resources.call"), "tabs": listing.tabs(get("resources.site")), "here": "resources:rolls"})


def roll(request: HttpRequest, key: UUID) -> HttpResponse:
    """One roll call: each site, which channel is next, how it went."""
    actor, realm, _day = _reader(request)
    row = RollCall.objects.seen_by(actor, realm).filter(pk=key).first()
    if row is None:
        raise NOT_FOUND(kind=_("roll call"), key=str(key)[-6:])
    found = means.roll_rates(row)
    cards = [(_("Connected"), "Q17", found["q17"]), (_("Connected within {n} minutes").format(n=row.limit_min), "Q18", found["q18"]), (_("Quality up to standard"), "Q19", found["q19"])]
    context = {"row": row, **found, "cards": cards, "may": access.may(actor, "resources.call", row.region_id) and row.ended_at is None, "results": RollCallTry.RESULTS, "qualities": RollCallTry.QUALITIES[:2]}
    return render(request, "resources/roll.html", context)


@require_POST
def roll_try(request: HttpRequest, key: UUID) -> HttpResponse:
    given = request.POST
    result, _sep, quality = given.get("result", "").partition(":")
    calls.note_try(request.act(), roll=key, site=UUID(given.get("site", "")) if len(given.get("site", "")) == 36 else key, channel=given.get("channel", ""), result=result, quality=quality)  # type: ignore[attr-defined]
    return redirect("resources:roll", key)


def roll_answer(request: HttpRequest, key: UUID, site: UUID) -> HttpResponse:
    """The platform's call of a site, before the post that answers for it."""
    actor, realm = request.actor, request.realm  # type: ignore[attr-defined]
    row, place = RollCall.objects.of(realm).filter(pk=key).first(), Site.plain.filter(pk=site).first()
    if row is None or place is None:
        raise NOT_FOUND(kind=_("roll call"), key=str(key)[-6:])
    if request.method == "POST":
        calls.answer_roll(request.act(), roll=key, site=site, quality=request.POST.get("quality", ""), note=request.POST.get("note", ""))  # type: ignore[attr-defined]
        messages.success(request, _("Answered for {site}.").format(site=place.name))
        return redirect("/")
    item = calls.called(actor, realm, row, site)
    if item is None:
        raise NOT_FOUND(kind=_("call"), key=place.code)
    return render(request, "resources/roll_answer.html", {"row": row, "site": place, "item": item})


@require_POST
def roll_end(request: HttpRequest, key: UUID) -> HttpResponse:
    calls.end_roll(request.act(), roll=key)  # type: ignore[attr-defined]
    return redirect("resources:roll", key)


urlpatterns = [
    path("rates", rates, name="rates"), path("search", search, name="search"), path("near", near, name="near"), path("training", training, name="training"), path("experts/draw", draw, name="draw"),
    path("experts/draws/<uuid:key>", drawn, name="drawn"), path("rolls", rolls, name="rolls"), path("rolls/<uuid:key>", roll, name="roll"), path("rolls/<uuid:key>/try", roll_try, name="roll_try"),
    path("rolls/<uuid:key>/sites/<uuid:site>", roll_answer, name="roll_answer"), path("rolls/<uuid:key>/end", roll_end, name="roll_end"),
]
