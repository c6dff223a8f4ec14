"""Regions: the hierarchies, one region with its codes and neighbours up and down, import of boundaries."""
from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import access, codes, places
from .errors import NOT_FOUND
from .forms import attempt
from .models import Region, RegionLink

HIERARCHIES = {"administrative": gettext_lazy("Administrative"), "grid": gettext_lazy("Grid"), "basin": gettext_lazy("River basins"), "zone": gettext_lazy("Zones")}


class ImportForm(forms.Form):
    file = forms.FileField(label=gettext_lazy("GeoJSON with the boundaries"), widget=forms.FileInput(attrs={"accept": ".geojson,.json"}))
    source = forms.CharField(label=gettext_lazy("Source"), max_length=200, help_text=gettext_lazy("Who made the boundaries, of which date; kept with every region."))
    frame = forms.ChoiceField(label=gettext_lazy("Coordinate frame"), choices=[("", gettext_lazy("as the file says, else WGS 84")), ("WGS84", "WGS 84"), ("CGCS2000", "CGCS2000"), ("GCJ02", "GCJ-02"), ("BD09", "BD-09")], required=False)
    hierarchy = forms.ChoiceField(label=gettext_lazy("Hierarchy"), choices=list(HIERARCHIES.items()))
    code = forms.CharField(label=gettext_lazy("Property with the code"), initial="code", max_length=40)
    name = forms.CharField(label=gettext_lazy("Property with the name"), initial="name", max_length=40)


def listing(request: HttpRequest) -> HttpResponse:
    hierarchy = request.GET.get("hierarchy", "administrative")
    if hierarchy not in HIERARCHIES:
        hierarchy = "administrative"
    # The tops of a hierarchy: nothing of it above them; a lone region belongs to the administrative one.
    children = RegionLink.objects.filter(hierarchy=hierarchy).values("child_id")
    tops = Region.objects.filter(below__hierarchy=hierarchy).exclude(pk__in=children).distinct()
    if hierarchy == "administrative":
        tops = tops.exclude(kind__in=("grid", "basin", "zone"))
    rows = _rows(tops.order_by("kind", "name")[:200], hierarchy)
    return render(request, "kernel/places/list.html", {"rows": rows, "hierarchy": hierarchy, "hierarchies": HIERARCHIES, "may": access.may(request.actor, "places.manage")})  # type: ignore[attr-defined]


def _rows(regions: Any, hierarchy: str) -> list[dict[str, Any]]:
    found = []
    for region in regions:
        found.append({"region": region, "kind": codes.name("region_kind", region.kind), "codes": [c.code for c in region.codes.all()], "below": places.below(region, hierarchy).filter(above__depth=1, above__ancestor=region, above__hierarchy=hierarchy).distinct().count()})
    return found


def region_page(request: HttpRequest, key: UUID) -> HttpResponse:
    region = Region.objects.filter(pk=key).first()
    if region is None:
        raise NOT_FOUND(kind=_("region"), key=key)
    lines = []
    for hierarchy, word in HIERARCHIES.items():
        up = places.above(region, hierarchy)
        down = Region.objects.filter(parent_links__parent=region, parent_links__hierarchy=hierarchy).order_by("name").distinct()
        if up or down.exists():
            lines.append({"word": word, "up": list(reversed(up)), "down": _rows(down[:300], hierarchy)})
    return render(request, "kernel/places/region.html", {"region": region, "kind": codes.name("region_kind", region.kind), "lines": lines, "codes": region.codes.all()})


def shape_json(request: HttpRequest, key: UUID) -> HttpResponse:
    """The region's outline for the map."""
    region = Region.objects.filter(pk=key).first()
    if region is None:
        raise NOT_FOUND(kind=_("region"), key=key)
    return JsonResponse(places.geojson([region], simplify=0.0005))


def upload(request: HttpRequest) -> HttpResponse:
    access.require(request.actor, "places.manage")  # type: ignore[attr-defined]
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        def take() -> dict:
            data = form.cleaned_data
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / (Path(data["file"].name).stem[:60] + ".geojson")
                with file.open("wb") as out:
                    for chunk in data["file"].chunks():
                        out.write(chunk)
                return places.import_file(request.act(), file, source=data["source"], code=data["code"], name=data["name"], frame=data["frame"], hierarchy=data["hierarchy"])  # type: ignore[attr-defined]

        done, counts = attempt(form, take)
        if done:
            messages.success(request, _("{new} new, {changed} changed, {same} as they were").format(**counts))
            return redirect("kernel:places")
    return render(request, "kernel/places/import.html", {"form": form})


urlpatterns = [
    path("places", listing, name="places"),
    path("places/import", upload, name="places_import"),
    path("places/<uuid:key>", region_page, name="region"),
    path("places/<uuid:key>.geojson", shape_json, name="region_shape"),
]
