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

from . import queries
from .models import SupplyPlan

BLANK = 4  # empty lines below those that are filled in
SWAPS, POINTS = 4, 3  # lines for what stands in and for transfer points
GATE = ("t_per_h", "from_h", "until_h")  # what goes through a transfer point, and when
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
    vehicle = forms.ChoiceField(label=pgettext_lazy("road", "Vehicle"))
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


class PlaceForm(forms.Form):
    """A place by its name, or by longitude and latitude."""

    place = forms.CharField(label=gettext_lazy("Place"), max_length=160, widget=forms.TextInput(attrs={"list": "places", "autocomplete": "off"}), help_text=gettext_lazy("a town or village, or longitude and latitude"))

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
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


class TeamForm(PlaceForm):
    """For which work, where, how many teams."""

    hazard = forms.ChoiceField(label=gettext_lazy("Rescue work"))
    count = forms.IntegerField(label=gettext_lazy("Teams to send"), min_value=1, max_value=20, initial=2)
    field_order = ["hazard", "place", "count"]

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(actor, *args, **more)
        self.fields["hazard"].choices = codes.choices("team_hazard")  # type: ignore[attr-defined]


class ReachForm(PlaceForm):
    """From where, within how many minutes, with what."""

    minutes = forms.CharField(label=gettext_lazy("Minutes"), max_length=60, initial="15, 30, 60", help_text=gettext_lazy("up to five limits"))
    vehicle = forms.ChoiceField(label=pgettext_lazy("road", "Vehicle"))
    weather = forms.ChoiceField(label=gettext_lazy("Weather"))

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(actor, *args, **more)
        self.fields["vehicle"].choices = codes.choices("road_vehicle")  # type: ignore[attr-defined]
        self.fields["weather"].choices = codes.choices("road_weather")  # type: ignore[attr-defined]

    def clean_minutes(self) -> list[float]:
        try:
            found = sorted({float(one) for one in re.split(r"[\s,，、;；]+", self.cleaned_data["minutes"].strip()) if one})
        except ValueError:
            found = []
        if not 0 < len(found) <= 5 or not 0 < found[0] <= found[-1] <= 1440:
            raise forms.ValidationError(_("Up to five numbers above 0, such as 15, 30, 60."))
        return found


class NeedLine(forms.Form):
    place = forms.CharField(label=gettext_lazy("Place"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "places", "autocomplete": "off", "size": 20}))
    item = forms.CharField(label=pgettext_lazy("supplies", "Item"), required=False, max_length=160, widget=forms.TextInput(attrs={"list": "items", "autocomplete": "off", "size": 20}))
    units = forms.IntegerField(label=pgettext_lazy("supplies", "Quantity"), required=False, min_value=1, widget=forms.NumberInput(attrs={"inputmode": "numeric", "class": "num"}))
    priority = forms.ChoiceField(label=gettext_lazy("Urgency"), required=False)
    hours = forms.FloatField(label=gettext_lazy("Within (h)"), required=False, min_value=0.1, widget=forms.NumberInput(attrs={"inputmode": "decimal", "class": "num", "step": "any"}))

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
        serving(self)


class ReserveForm(forms.Form):
    """For whom and how long a reserve is kept, and which item of the catalogue serves which need."""

    region = forms.ChoiceField(label=gettext_lazy("Region"))
    share = forms.FloatField(label=gettext_lazy("People to be sheltered, of all"), required=False, min_value=0, max_value=100)
    days = forms.IntegerField(label=gettext_lazy("Days"), min_value=1, max_value=60, initial=7)

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        reach = access.regions(actor, "logistics.read")
        rows = Region.objects.filter(valid_to=None, kind__in=("province", "city", "county", "town"))
        if reach is not access.ALL:
            rows = rows.filter(pk__in=reach)
        self.fields["region"].choices = [(str(row.pk), shell.localname(row)) for row in rows.defer("area_wkb").order_by("kind", "name")[:400]]  # type: ignore[attr-defined]
        self.fields["share"].unit = "%"  # type: ignore[attr-defined]
        serving(self)


def serving(form: forms.Form) -> None:
    """The fields of people by group, and for each rate the item that serves it and what one unit of it is."""
    for name, label in CalculationForm.GROUPS.items():
        form.fields[name] = forms.IntegerField(label=label, required=False, min_value=0, max_value=10**7)
    offered = [("", "—"), *((str(row.pk), f"{row.name}（{codes.name('supply_unit', row.unit)}）") for row in Item.plain.filter(ended_at=None).order_by("name")[:500])]
    for code in codes.entries("need_rate"):
        form.fields[f"item_{code}"] = forms.ChoiceField(label=codes.name("need_rate", code), required=False, choices=offered)
        form.fields[f"each_{code}"] = forms.FloatField(label=gettext_lazy("one unit is"), required=False, min_value=0.001, initial=1)


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
        def typed_rows(count: int, prefix: str, fields: tuple[str, ...], kept: list[dict[str, str]]) -> list[dict[str, str]]:
            blank = dict.fromkeys(("of", *fields), "")
            if data is None:
                return [kept[k] if k < len(kept) else blank for k in range(count)]
            return [{"of": data.get(f"{prefix}{k}", ""), **{name: data.get(f"{prefix}{k}-{name}", "") for name in fields}} for k in range(count)]

        self.swap_rows = typed_rows(SWAPS, "swap", ("for", "number"), [{"of": names.get(one["item"], ""), "for": names.get(one["for"], ""), "number": f"{one.get('number', 1):g}"} for one in plan.swaps])
        self.point_rows = typed_rows(POINTS, "point", ("kmh", "minutes", *GATE), [
            {"of": f"{one['name']} {one['lon']:.5f}, {one['lat']:.5f}", **{name: f"{one[name]:g}" if name in one else "" for name in ("kmh", "minutes", *GATE)}} for one in plan.transfers
        ])
        # What cannot be understood goes to the action as it is, which says what is wrong with it.
        self.swaps = [
            {"item": named.get(one["of"].strip(), one["of"]), "for": named.get(one["for"].strip(), one["for"]), "number": _plain(one["number"] or "1")} for one in self.swap_rows if one["of"].strip() or one["for"].strip()
        ]
        self.transfers: list[dict[str, Any]] = []
        for one in self.point_rows:
            if where := one["of"].strip():
                typed = AT.search(where)
                self.transfers.append({
                    "name": where[: typed.start()].strip() if typed else where, "lon": float(typed[1]) if typed else None, "lat": float(typed[2]) if typed else None, "kmh": _plain(one["kmh"]), "minutes": _plain(one["minutes"] or "0"),
                    **{name: _plain(one[name]) for name in GATE if one[name].strip()},
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


# --- sheltering ----------------------------------------------------------------------------------------------------------


class DangerForm(forms.Form):
    """The danger area and what its roads still allow. The map fills these fields; all of it can be typed."""

    shape = forms.ChoiceField(label=gettext_lazy("Danger area"), required=False, widget=forms.RadioSelect, choices=[
        ("", gettext_lazy("None: everybody listed leaves")), ("polygon", gettext_lazy("Outline")), ("circle", gettext_lazy("Circle")), ("footprint", gettext_lazy("From a model")),
    ])
    corners = forms.CharField(label=gettext_lazy("Corners: longitude and latitude, one a line"), required=False, max_length=400_000, widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false", "placeholder": "119.1234 28.1234"}))
    circle_lon = forms.FloatField(label=gettext_lazy("Longitude of the middle"), required=False, min_value=-180, max_value=180)
    circle_lat = forms.FloatField(label=gettext_lazy("Latitude of the middle"), required=False, min_value=-85, max_value=85)
    circle_km = forms.FloatField(label=gettext_lazy("Radius"), required=False, min_value=0.05, max_value=200)
    footprint = forms.CharField(label=gettext_lazy("Area (GeoJSON polygon)"), required=False, max_length=2_000_000, widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}))
    impassable = forms.BooleanField(label=gettext_lazy("The danger area is impassable already"), required=False, help_text=gettext_lazy("else nobody enters it, and who is in it may leave"))
    buses = forms.IntegerField(label=gettext_lazy("Buses"), required=False, min_value=0, max_value=10_000, help_text=gettext_lazy("empty: as many as are needed; 0: everybody walks"))
    fill = forms.BooleanField(label=gettext_lazy("List the villages, schools and homes of the area anew"), required=False, initial=True)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fields["circle_km"].unit = "km"  # type: ignore[attr-defined]
        for name in ("impassable", "fill"):
            self.fields[name].is_check = True  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        shape, data["area"] = data.get("shape") or "", None
        field = {"polygon": "corners", "circle": "circle_km", "footprint": "footprint"}.get(shape)
        if field and not self.errors:
            try:
                data["area"] = self._area(shape, data)
            except (ValueError, TypeError, KeyError) as error:
                self.add_error(field, _("This is no area yet: {reason}").format(reason=error))
        return data

    def _area(self, shape: str, data: dict[str, Any]) -> dict[str, Any]:
        import json

        if shape == "polygon":
            corners = [[float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", line)] for line in data["corners"].splitlines() if line.strip()]
            if len(corners) < 3 or any(len(one) != 2 for one in corners):
                raise ValueError(_("at least three corners, two numbers a line"))
            return {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
        if shape == "circle":
            if None in (data["circle_lon"], data["circle_lat"], data["circle_km"]):
                raise ValueError(_("middle and radius are needed"))
            return queries.circle(data["circle_lon"], data["circle_lat"], data["circle_km"])
        found = json.loads(data["footprint"] or "null")
        while isinstance(found, dict) and found.get("type") in ("Feature", "FeatureCollection"):
            found = found.get("geometry") if found["type"] == "Feature" else (found.get("features") or [None])[0]
        if not isinstance(found, dict):
            raise ValueError("GeoJSON")
        return {"type": found.get("type"), "coordinates": found.get("coordinates")}

    @staticmethod
    def of(plan: Any) -> dict[str, Any]:
        """The fields as they stand for a plan."""
        import json

        given: dict[str, Any] = {"impassable": plan.impassable, "buses": plan.buses, "fill": False, "shape": ""}
        if plan.area and plan.area["type"] == "Polygon" and len(plan.area["coordinates"]) == 1 and len(plan.area["coordinates"][0]) <= 200:
            given |= {"shape": "polygon", "corners": "\n".join(f"{lon} {lat}" for lon, lat, *_z in plan.area["coordinates"][0][:-1])}
        elif plan.area:
            given |= {"shape": "footprint", "footprint": json.dumps(plan.area)}
        return given


class ShelteringForm(DangerForm):
    """A new plan of sheltering."""

    title = forms.CharField(label=gettext_lazy("Matter"), max_length=200)
    region = forms.ChoiceField(label=gettext_lazy("Region"))
    hazard = forms.ChoiceField(label=gettext_lazy("Hazard"))
    stay = forms.ChoiceField(label=gettext_lazy("Stay"))
    weather = forms.ChoiceField(label=gettext_lazy("Weather"))
    about = forms.CharField(required=False, max_length=80, widget=forms.HiddenInput)

    def __init__(self, actor: Any, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        reach = access.regions(actor, "logistics.plan")
        rows = Region.objects.filter(valid_to=None, kind__in=("province", "city", "county", "town"))
        if reach is not access.ALL:
            rows = rows.filter(pk__in=reach)
        self.fields["region"].choices = [(str(row.pk), shell.localname(row)) for row in rows.order_by("kind", "name")[:400]]  # type: ignore[attr-defined]
        for name, listed in (("hazard", "team_hazard"), ("stay", "shelter_stay"), ("weather", "road_weather")):
            self.fields[name].choices = codes.choices(listed)  # type: ignore[attr-defined]
        self.fields["stay"].initial = "short"


class PeopleForm:
    """The rows of who leaves, and lines pasted from a sheet: name, longitude, latitude, persons, of them needing help."""

    def __init__(self, plan: Any, data: Any = None) -> None:
        self.plan, self.data, self.errors = plan, data, []
        self.rows: list[dict[str, Any]] = [dict(one) for one in plan.people]
        self.pasted = (data.get("pasted") or "") if data is not None else ""

    def is_valid(self) -> bool:
        kept: list[dict[str, Any]] = []
        for one in self.rows:
            key = one["id"]
            if f"persons-{key}" not in self.data:
                kept.append(one)  # beyond the rows shown
                continue
            if self.data.get(f"drop-{key}"):
                continue
            try:
                kept.append({**one, "persons": int(self.data[f"persons-{key}"]), "helpless": int(self.data.get(f"helpless-{key}") or 0), "urgency": int(self.data.get(f"urgency-{key}") or 1)})
            except ValueError:
                self.errors.append(_("{name}: write whole numbers").format(name=one["name"]))
        for number, line in enumerate(self.pasted.splitlines(), start=1):
            cells = [cell.strip() for cell in re.split(r"[\t,，;；]", line)]
            if not any(cells):
                continue
            try:
                name, lon, lat, persons, *more = cells
                kept.append({"name": name, "lon": float(lon), "lat": float(lat), "persons": int(persons), "helpless": int(more[0]) if more and more[0] else 0, "urgency": int(more[1]) if len(more) > 1 and more[1] else 1})
            except ValueError:
                self.errors.append(_("line {n}: name, longitude, latitude, persons, persons who need help").format(n=number))
        self.people = kept
        return not self.errors
