"""Forms of supply. They parse what people type; the actions judge."""
from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from anlan.kernel import access, codes, shell
from anlan.kernel.models import Region, RegionPath
from anlan.resources.models import Item, Vehicle, Warehouse

from .models import SupplyPlan

BLANK = 4  # empty lines below those that are filled in
SWAPS, POINTS = 4, 3  # lines for what stands in and for transfer points
AT = re.compile(r"(-?\d{1,3}(?:\.\d+)?)\s*[,，\s]\s*(-?\d{1,2}(?:\.\d+)?)\s*$")


def places(plan: SupplyPlan) -> list[Region]:
    """Towns and villages below the plan's region that have a position."""
    rows = Region.objects.filter(lon__isnull=False, lat__isnull=False, valid_to=None, kind__in=("county", "town", "village"))
    if plan.region_id:
        rows = rows.filter(pk__in=RegionPath.objects.filter(ancestor_id=plan.region_id).values("descendant_id"))
    return list(rows.order_by("kind", "name")[:2000])


class PlanForm(forms.Form):
    title = forms.CharField(label=gettext_lazy("Matter"), max_length=200)
    region = forms.ChoiceField(label=gettext_lazy("Region"))
    vehicle = forms.ChoiceField(label=gettext_lazy("Vehicles"))
    weather = forms.ChoiceField(label=gettext_lazy("Weather"))
    about = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        reach = access.regions(actor, "logistics.plan")
        rows = Region.objects.filter(valid_to=None, kind__in=("province", "city", "county", "town"))
        if reach is not access.ALL:
            rows = rows.filter(pk__in=reach)
        self.fields["region"].choices = [(str(row.pk), shell.localname(row)) for row in rows.order_by("kind", "name")[:400]]  # type: ignore[attr-defined]
        self.fields["vehicle"].choices = [pair for pair in codes.choices("road_vehicle") if pair[0] != "foot"]  # type: ignore[attr-defined]
        self.fields["weather"].choices = codes.choices("road_weather")  # type: ignore[attr-defined]
        self.fields["vehicle"].initial = "truck"


class TeamForm(forms.Form):
    """For which work, where, how many teams."""

    hazard = forms.ChoiceField(label=gettext_lazy("Rescue work"))
    place = forms.CharField(label=gettext_lazy("Place"), max_length=160, help_text=gettext_lazy("a town or village, or longitude and latitude"))
    count = forms.IntegerField(label=gettext_lazy("Teams to send"), min_value=1, max_value=20, initial=2)

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["hazard"].choices = codes.choices("team_hazard")  # type: ignore[attr-defined]
        reach = access.regions(actor, "logistics.read")
        rows = Region.objects.filter(lon__isnull=False, lat__isnull=False, valid_to=None, kind__in=("county", "town", "village"))
        self.rows = rows if reach is access.ALL else rows.filter(pk__in=reach)

    def clean_place(self) -> tuple[str, float, float]:
        text = self.cleaned_data["place"].strip()
        if typed := AT.search(text):
            lon, lat = float(typed[1]), float(typed[2])
            if abs(lon) <= 180 and abs(lat) <= 90:
                return text[: typed.start()].strip() or text, lon, lat
        row = self.rows.filter(name=text).first() or self.rows.filter(name_en__iexact=text).first()
        if row is None:
            raise forms.ValidationError(_("Choose a place, or write a name with longitude and latitude: “camp 119.01, 28.02”."))
        return shell.localname(row), row.lon, row.lat


class NeedLine(forms.Form):
    place = forms.CharField(label=gettext_lazy("Place"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "places", "autocomplete": "off", "size": 20}))
    item = forms.CharField(label=pgettext_lazy("supplies", "Item"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "items", "autocomplete": "off", "size": 20}))
    units = forms.IntegerField(label=pgettext_lazy("supplies", "Quantity"), required=False, min_value=1, widget=forms.NumberInput(attrs={"inputmode": "numeric", "class": "num"}))
    priority = forms.ChoiceField(label=gettext_lazy("Urgency"), required=False)
    hours = forms.FloatField(label=gettext_lazy("Needed within"), required=False, min_value=0.1, widget=forms.NumberInput(attrs={"inputmode": "decimal", "class": "num", "step": "any"}))

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["priority"].choices = codes.choices("supply_priority")  # type: ignore[attr-defined]
        self.fields["priority"].initial = "basic"


class NeedsForm:
    """The lines of a plan's needs, one for each place and item; lines of the same place are one need."""

    def __init__(self, plan: SupplyPlan, data: Any = None) -> None:
        self.plan, self.places = plan, places(plan)
        self.items = {str(row.pk): row for row in Item.plain.filter(ended_at=None).order_by("name")[:2000]}
        kept = []
        for need in plan.needs:
            for line in need["items"]:
                item = self.items.get(line["item"])
                kept.append({"place": self._written(need), "item": f"{item.name} · {item.code}" if item else "", "units": line["units"], "priority": line.get("priority"), "hours": line.get("hours")})
        count = len(kept) + BLANK if data is None else min(400, int(data.get("lines") or 0) if str(data.get("lines", "")).isdigit() else 0)
        self.lines = [NeedLine(data, prefix=f"n{k}", initial=kept[k] if k < len(kept) else {}) for k in range(count)]

    def _written(self, need: dict[str, Any]) -> str:
        return need["name"] if any(shell.localname(row) == need["name"] for row in self.places) else f"{need['name']} {need['lon']:.5f}, {need['lat']:.5f}"

    def is_valid(self) -> bool:
        good = all([line.is_valid() for line in self.lines])
        named = {f"{row.name} · {row.code}": key for key, row in self.items.items()} | {row.name: key for key, row in self.items.items()} | {row.code: key for key, row in self.items.items()}
        at = {shell.localname(row): row for row in reversed(self.places)}
        ids = {(need["name"], round(need["lon"], 5), round(need["lat"], 5)): need["id"] for need in self.plan.needs}
        found: dict[tuple[str, float, float], dict[str, Any]] = {}
        for line in self.lines:
            got = line.cleaned_data if hasattr(line, "cleaned_data") else {}
            place, item = (got.get("place") or "").strip(), (got.get("item") or "").strip()
            if not place and not item and not got.get("units"):
                continue
            point = at.get(place)
            typed = AT.search(place) if point is None else None
            if item not in named:
                line.add_error("item", _("Choose an item of the catalogue."))
            if not got.get("units") and "units" not in line.errors:
                line.add_error("units", _("How many?"))
            if point is None and typed is None:
                line.add_error("place", _("Choose a place, or write a name with longitude and latitude: “camp 119.01, 28.02”."))
            if line.errors:
                good = False
                continue
            lon, lat = (point.lon, point.lat) if point is not None else (float(typed[1]), float(typed[2]))  # type: ignore[index]
            name = place if point is not None else place[: typed.start()].strip() or place  # type: ignore[union-attr]
            key = (name, round(lon, 5), round(lat, 5))
            need = found.setdefault(key, {"name": name, "lon": round(lon, 6), "lat": round(lat, 6), "items": [], **({"id": ids[key]} if key in ids else {})})
            need["items"].append({"item": named[item], "units": got["units"], "priority": got.get("priority") or "basic", **({"hours": got["hours"]} if got.get("hours") else {})})
        self.needs = list(found.values())
        return good


class CalculationForm(forms.Form):
    """People at a place and days, by stated rates: which goods and how much."""

    place = forms.CharField(label=gettext_lazy("Place"), max_length=160, widget=forms.TextInput(attrs={"list": "places", "autocomplete": "off"}))
    days = forms.IntegerField(label=gettext_lazy("Days"), min_value=1, max_value=60, initial=3)
    priority = forms.ChoiceField(label=gettext_lazy("Urgency"))
    hours = forms.FloatField(label=gettext_lazy("Needed within"), required=False, min_value=0.1)
    GROUPS = {"sheltered": gettext_lazy("Sheltered people"), "homeless": gettext_lazy("People without a roof"), "infants": gettext_lazy("Infants"), "injured": gettext_lazy("Injured")}

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["priority"].choices = codes.choices("supply_priority")  # type: ignore[attr-defined]
        for name, label in self.GROUPS.items():
            self.fields[name] = forms.IntegerField(label=label, required=False, min_value=0, max_value=10**7)
        offered = [("", "—"), *((str(row.pk), f"{row.name}（{codes.name('supply_unit', row.unit)}）") for row in Item.plain.filter(ended_at=None).order_by("name")[:500])]
        for code in codes.entries("need_rate"):
            self.fields[f"item_{code}"] = forms.ChoiceField(label=codes.name("need_rate", code), required=False, choices=offered)
            self.fields[f"each_{code}"] = forms.FloatField(label=gettext_lazy("one unit is"), required=False, min_value=0.001, initial=1)


class DepotsForm:
    """Every warehouse the planner sees, ticked or not, with its trucks."""

    def __init__(self, plan: SupplyPlan, actor: Any, realm: Any, data: Any = None) -> None:
        from . import supply

        rows = list(Warehouse.objects.seen_by(actor).filter(ended_at=None).select_related("region").defer("region__area_wkb").order_by("name"))
        chosen = {one["warehouse"]: one for one in plan.depots}
        items = {row.pk: row for row in Item.plain.filter(pk__in={line["item"] for need in plan.needs for line in need["items"]})}
        free = supply.free_stock(plan, [row.pk for row in rows], items) if items else {}
        self.rows, self.depots = [], []
        for row in rows:
            key = str(row.pk)
            kept = (chosen.get(key) or {}).get("trucks")
            first = kept[0] if kept else {}
            more = kept[1] if kept and len(kept) > 1 else {}
            if data is None:
                values: dict[str, Any] = {"on": key in chosen, "trucks": "" if kept is None else "1", "count": first.get("count", ""), "load_t": first.get("load_t", ""), "hours": first.get("hours", ""), "count2": more.get("count", ""), "load2_t": more.get("load_t", "")}
            else:
                values = {name: data.get(f"{name}-{key}", "") for name in ("on", "count", "load_t", "hours", "count2", "load2_t")}
            holds = [f"{items[item].name} {amount:,}" for (place, item), amount in free.items() if place == row.pk and amount > 0]
            self.rows.append({"row": row, "key": key, "holds": holds, **values})
            if data is not None and values["on"]:
                trucks = []
                for count, load in ((values["count"], values["load_t"]), (values["count2"], values["load2_t"])):
                    if count or load:
                        trucks.append({"count": count, "load_t": load, "hours": values["hours"] or 12})
                self.depots.append({"warehouse": key, **({"trucks": trucks} if trucks else {})})


        catalogue = list(Item.plain.filter(ended_at=None).order_by("name")[:2000])
        names = {str(row.pk): f"{row.name} · {row.code}" for row in catalogue}
        named = {text: key for key, text in names.items()} | {row.name: str(row.pk) for row in catalogue}
        self.items = list(names.values())
        kept_swaps = [(names.get(one["item"], ""), names.get(one["for"], "")) for one in plan.swaps]
        kept_points = [(f"{one['name']} {one['lon']:.5f}, {one['lat']:.5f}", f"{one['kmh']:g}", f"{one['minutes']:g}") for one in plan.transfers]
        self.swap_rows = [(data.get(f"swap{k}", ""), data.get(f"swap{k}-for", "")) if data is not None else kept_swaps[k] if k < len(kept_swaps) else ("", "") for k in range(SWAPS)]
        self.point_rows = [
            (data.get(f"point{k}", ""), data.get(f"point{k}-kmh", ""), data.get(f"point{k}-min", "")) if data is not None else kept_points[k] if k < len(kept_points) else ("", "", "") for k in range(POINTS)
        ]
        # What cannot be understood goes to the action as it is, which says what is wrong with it.
        self.swaps = [{"item": named.get(sent.strip(), sent), "for": named.get(meant.strip(), meant)} for sent, meant in self.swap_rows if sent.strip() or meant.strip()]
        self.transfers: list[dict[str, Any]] = []
        for where, kmh, minutes in self.point_rows:
            if where.strip():
                typed = AT.search(where)
                self.transfers.append({
                    "name": where[: typed.start()].strip() if typed else where, "lon": float(typed[1]) if typed else None, "lat": float(typed[2]) if typed else None, "kmh": _plain(kmh), "minutes": _plain(minutes or "0"),
                })


def _plain(text: str) -> float | str:
    return float(text) if text.replace(".", "", 1).isdecimal() else text


def default_depots(actor: Any, region: Any) -> list[dict[str, Any]]:
    """What a new plan begins with: warehouses of the region that have a position."""
    below = RegionPath.objects.filter(ancestor_id=region).values("descendant_id")
    rows = Warehouse.objects.seen_by(actor).filter(ended_at=None, lon__isnull=False, region_id__in=below).order_by("name")
    return [{"warehouse": str(row.pk)} for row in rows[:50]]


def fleet(actor: Any, region: Any) -> list[Vehicle]:
    """Serviceable vehicles with a load, of the plan's region: to see what there is while entering trucks."""
    below = RegionPath.objects.filter(ancestor_id=region).values("descendant_id")
    return list(Vehicle.objects.seen_by(actor).filter(ended_at=None, state="serviceable", load_t__gt=0, region_id__in=below).order_by("-load_t")[:40])
