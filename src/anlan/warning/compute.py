"""The doorway between rows and the CAP engine: areas → our regions, alerts ⇄ CAP messages."""
from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import shapely
import yaml
from django.db.models import Count, Q
from django.utils import translation
from django.utils.translation import gettext as _
from numpy.typing import NDArray
from shapely import union_all
from shapely.geometry.base import BaseGeometry

from anlan.engines import cap
from anlan.engines.cap import geometry
from anlan.engines.geo.outlines import covering
from anlan.engines.geo.reaches import Reach
from anlan.kernel import shell
from anlan.kernel.models import Region, RegionCode, RegionPath

from . import hazards
from .errors import BAD_CONTENT
from .models import RANK, SEVERITY, Alert

DATA = Path(__file__).parent / "data"
COUNTY_SHARE = 0.5  # from here a county counts as a whole; below, its towns are named
LEAST_SHARE = 0.05  # a sliver of overlap along a boundary is not a warned place
COLOUR_WORDS = {"红": "red", "橙": "orange", "黄": "yellow", "蓝": "blue", "red": "red", "orange": "orange", "amber": "orange", "yellow": "yellow", "blue": "blue"}
BY_SEVERITY = {"Extreme": "red", "Severe": "orange", "Moderate": "yellow", "Minor": "blue"}


@dataclass(frozen=True)
class Place:
    region: UUID
    how: str  # geocode, polygon, name
    share: float | None = None


@cache
def _lists() -> dict[str, str]:
    rows = yaml.safe_load((DATA / "geocodes.yaml").read_text(encoding="utf-8"))["lists"]
    return {name.casefold(): row["rule"] for row in rows for name in row["names"]}


def _candidates(value: str, rule: str) -> list[str]:
    """Codes a geocode value may stand for in our tables, most exact first."""
    value = value.strip()
    if rule == "exact" or not re.fullmatch(r"\d{6}|\d{9}|\d{12}", value):
        return [value]
    found = [value]
    for length in (9, 6, 4, 2):
        if len(value) > length and not value[length:].strip("0"):
            found.append(value[:length])
    if len(value) == 6 and value.endswith("00"):
        found.append(value[:4].removesuffix("00") if value.endswith("0000") else value[:4])
    return found


class Ground:
    """Our places for many messages: boundaries of counties and towns (`whole`: read once), and what codes, names and groups of regions stood for so far."""

    def __init__(self, whole: bool = True) -> None:
        self.known: dict[Any, Any] = {}
        self.whole = whole
        if not whole:
            return
        self.regions = list(Region.objects.filter(kind__in=["county", "town"], area_wkb__isnull=False))
        self.areas = [shapely.from_wkb(bytes(region.area_wkb)) for region in self.regions]
        self.tree = shapely.STRtree(self.areas)
        self.above = _above(self.regions)

    def near(self, shape: BaseGeometry) -> list[tuple[Region, BaseGeometry]]:
        return [(self.regions[index], self.areas[index]) for index in sorted(self.tree.query(shapely.box(*shape.bounds)))]

    def once(self, ask: Any, *key: Any) -> Any:
        """The answer of a question that does not change within the act, asked once."""
        found = (ask.__name__, *key)
        if found not in self.known:
            self.known[found] = ask(*key)
        return self.known[found]


def _above(regions: list[Region]) -> dict[UUID, UUID]:
    """The county of each town among them."""
    kinds = {kind: [region.pk for region in regions if region.kind == kind] for kind in ("county", "town")}
    if not all(kinds.values()):
        return {}
    rows = RegionPath.objects.filter(hierarchy="administrative", descendant__in=kinds["town"], ancestor__in=kinds["county"])
    return dict(rows.values_list("descendant_id", "ancestor_id"))


def by_geocode(pairs: Iterable[tuple[str, str]]) -> set[UUID]:
    """Our regions named by geocodes of known lists. A list we do not share says nothing (a SAME code is not one of ours)."""
    found: set[UUID] = set()
    for name, value in pairs:
        rule = _lists().get(name.strip().casefold())
        if rule is None:
            continue
        if rule == "exact":
            try:
                found |= set(Region.objects.filter(pk=UUID(value.strip())).values_list("pk", flat=True))
            except ValueError:
                pass
            continue
        for code in _candidates(value, rule):
            hits = set(RegionCode.objects.filter(code=code, valid_to=None).values_list("region_id", flat=True))
            if hits:
                found |= hits
                break
    return found


def by_shape(shape: BaseGeometry, ground: Ground | None = None) -> list[Place]:
    """Counties inside the shape, and the towns of counties it only touches. Shares are planar in degrees: only ratios are used."""
    if ground is not None and ground.whole:
        near = ground.near(shape)
    else:
        west, south, east, north = shape.bounds
        rows = Region.objects.filter(kind__in=["county", "town"], area_wkb__isnull=False, west__lte=east, east__gte=west, south__lte=north, north__gte=south)
        near = [(region, shapely.from_wkb(bytes(region.area_wkb))) for region in rows]
    shares: dict[UUID, float] = {}
    held: set[UUID] = set()
    for region, area in near:
        overlap = area.intersection(shape)
        shares[region.pk] = overlap.area / area.area if area.area else 0.0
        if shape.area and overlap.area / shape.area >= LEAST_SHARE:  # a small area in a large town is a warned place all the same
            shares[region.pk] = max(shares[region.pk], LEAST_SHARE if region.kind == "town" else 0.0)
            held.add(region.pk)
        if shape.area == 0 and area.intersects(shape):  # an epicentre: the region around the point
            shares[region.pk] = 1.0 if region.kind == "town" else LEAST_SHARE
    places = []
    counties = [region for region, _area in near if region.kind == "county"]
    towns = [region for region, _area in near if region.kind == "town"]
    here = {county.pk for county in counties}
    above = {town: county for town, county in (ground.above if ground is not None and ground.whole else _above([region for region, _area in near])).items() if county in here}
    for county in counties:
        if shares[county.pk] >= COUNTY_SHARE:
            places.append(Place(county.pk, "polygon", round(shares[county.pk], 3)))
            continue
        inside = [town for town in towns if above.get(town.pk) == county.pk and shares[town.pk] >= LEAST_SHARE]
        places += [Place(town.pk, "polygon", round(shares[town.pk], 3)) for town in inside]
        if not inside and (shares[county.pk] >= LEAST_SHARE or county.pk in held):
            places.append(Place(county.pk, "polygon", round(shares[county.pk], 3)))
    loose = [town for town in towns if town.pk not in above and shares[town.pk] >= LEAST_SHARE]
    return places + [Place(town.pk, "polygon", round(shares[town.pk], 3)) for town in loose]


def by_name(text: str) -> set[UUID]:
    """Our regions whose whole name stands in a description's list of places."""
    words = {word.strip() for word in re.split(r"[、，,;；/\n。]+|\s{2,}", text) if word.strip()}
    if not words or len(words) > 500:
        return set()
    return set(Region.objects.filter(Q(name__in=words) | Q(name_en__in=words)).values_list("pk", flat=True))


def place_areas(areas: Iterable[cap.Area], ground: Ground | None = None) -> tuple[list[Place], list[str], BaseGeometry | None]:
    """(our regions, descriptions of areas we could not place, union of the shapes). Geocodes first, then shapes, then names."""
    places: dict[UUID, Place] = {}
    unmapped: list[str] = []
    shapes = []
    for area in areas:
        shape = cap.area_geometry(area)
        if shape is not None:
            shapes.append(shape)
        ask = ground.once if ground is not None else lambda question, *key: question(*key)
        found = [Place(key, "geocode") for key in ask(by_geocode, tuple(area.geocodes))] if area.geocodes else []
        if not found and shape is not None:
            found = by_shape(shape, ground)
        if not found:
            found = [Place(key, "name") for key in ask(by_name, area.description)]
        for place in found:
            places.setdefault(place.region, place)
        if not found:
            codes = ", ".join(f"{name}={value}" for name, value in area.geocodes[:5])
            unmapped.append(area.description or codes or "?")
    return list(places.values()), unmapped, union_all(shapes) if shapes else None


def around(regions: Iterable[UUID]) -> UUID | None:
    """The smallest administrative region around all of them (one region is around itself); None when there is none."""
    keys = list(dict.fromkeys(regions))
    if not keys:
        return None
    if len(keys) == 1:
        return keys[0]
    rows = (
        RegionPath.objects.filter(hierarchy="administrative", descendant__in=keys).values("ancestor").annotate(n=Count("descendant", distinct=True))
        .filter(n=len(keys))
    )
    common = [row["ancestor"] for row in rows]
    if not common:
        return None
    # The deepest of the common ancestors has the most ancestors itself.
    deep = RegionPath.objects.filter(hierarchy="administrative", descendant__in=common).values("descendant").annotate(n=Count("ancestor")).order_by("-n").first()
    return deep["descendant"] if deep else None


def shape_of(regions: Iterable[UUID]) -> BaseGeometry | None:
    """The union of the regions' areas, each part with few corners so that a message stays readable for small receivers; no place of ours in it is cut off."""
    areas = [shapely.from_wkb(bytes(wkb)) for wkb in Region.objects.filter(pk__in=list(regions), area_wkb__isnull=False).values_list("area_wkb", flat=True)]
    if not areas:
        return None
    whole = union_all(areas)
    places = _points(whole)
    return union_all([covering(part, places, CORNERS).area for part in getattr(whole, "geoms", [whole]) if part.area])


CORNERS = 100  # of an outline we send: receivers with small memories take no more
MOST_CORNERS = 20_000  # of what is drawn or comes from a model
FARTHEST_KM = 500
SHAPES = ("polygon", "circle", "river", "line", "footprint")


def drawn(area: dict[str, Any]) -> BaseGeometry:
    """What a person drew or a model gave, as a geometry; warning.bad_content says what is wrong with it."""
    try:
        shape = _shape(area)
        west, south, east, north = shape.bounds
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, shapely.errors.ShapelyError) as error:
        raise BAD_CONTENT(reason=str(error)) from None
    if shape.is_empty or shape.area == 0 or west < -180 or east > 180 or south < -90 or north > 90:
        raise BAD_CONTENT(reason=f"{west:g},{south:g},{east:g},{north:g}")
    return shape


def _shape(area: dict[str, Any]) -> BaseGeometry:
    if "circle" in area:
        lon, lat, radius = map(float, area["circle"])
        if not (-180 <= lon <= 180 and -90 <= lat <= 90 and 0 < radius <= FARTHEST_KM):  # the geodesic would wrap round
            raise ValueError(f"{lon:g},{lat:g} {radius:g} km")
        return geometry.circle(lat, lon, radius)
    if "river" in area:
        reach, from_km, to_km = river_reach(area)
        return reach.strip(_bank(area), from_km, to_km)
    if "line" in area:
        return Reach(np.array([(float(lon), float(lat)) for lon, lat in area["line"]][:MOST_CORNERS])).strip(_bank(area))
    if "footprint" in area:
        found = shapely.geometry.shape(area["footprint"])
        if found.geom_type not in ("Polygon", "MultiPolygon") or shapely.get_num_coordinates(found) > MOST_CORNERS:
            raise ValueError(f"{found.geom_type}, {shapely.get_num_coordinates(found)} corners")
        return shapely.make_valid(shapely.force_2d(found))
    if len(area["polygon"]) > MOST_CORNERS:
        raise ValueError(f"{len(area['polygon'])} corners")
    return shapely.make_valid(shapely.Polygon([(float(lon), float(lat)) for lon, lat in area["polygon"]]))


def _bank(area: dict[str, Any]) -> float:
    km = float(area["km"])
    if not 0 < km <= FARTHEST_KM:
        raise ValueError(f"{km:g} km")
    return km


def river_reach(area: dict[str, Any]) -> tuple[Reach, float, float]:
    """(the river, where the reach begins and ends in km from its source). Ends are km, or [lon, lat] of a place near it; none: its own ends."""
    river = Region.objects.filter(pk=UUID(str(area["river"])), kind="river", area_wkb__isnull=False).first()
    if river is None:
        raise ValueError(f"river {area['river']}")
    line = shapely.from_wkb(bytes(river.area_wkb))
    if line.geom_type == "MultiLineString":
        line = shapely.line_merge(line)
        line = max(getattr(line, "geoms", [line]), key=shapely.length)
    reach = Reach(shapely.get_coordinates(line))

    def at(end: Any, other: float) -> float:
        if end in (None, ""):
            return other
        km = reach.at_km(float(end[0]), float(end[1])) if isinstance(end, list | tuple) else float(end)
        return min(max(km, 0.0), reach.long_km)

    ends = sorted((at(area.get("from"), 0.0), at(area.get("to"), reach.long_km)))
    if ends[1] - ends[0] < 0.001:
        raise ValueError(f"{ends[0]:.1f} km – {ends[1]:.1f} km")
    return reach, ends[0], ends[1]


def said(area: dict[str, Any]) -> str:
    """What was drawn, in words, in the reader's language; empty for nothing drawn or what can no longer be read."""
    try:
        if "circle" in area:
            lon, lat, km = map(float, area["circle"])
            return _("circle of {km} km around {lon}° E, {lat}° N").format(km=f"{km:g}", lon=f"{lon:.4f}", lat=f"{lat:.4f}")
        if "river" in area:
            reach, from_km, to_km = river_reach(area)
            river = Region.objects.get(pk=UUID(str(area["river"])))
            ends = [_place_at(*reach.point(km)) for km in (from_km, to_km)]
            if ends[0] and ends[1] and ends[0] != ends[1]:
                return _("{river} from {begin} to {end}, {km} km on both sides").format(river=shell.localname(river), begin=ends[0], end=ends[1], km=f"{_bank(area):g}")
            return _("{river}, {long} km of it, {km} km on both sides").format(river=shell.localname(river), long=f"{to_km - from_km:.1f}", km=f"{_bank(area):g}")
        if "line" in area:
            return _("{km} km on both sides of a drawn line").format(km=f"{_bank(area):g}")
        if "footprint" in area:
            return _("footprint of the model {name}").format(name=area.get("model") or "—")
        return _("drawn outline of {n} corners").format(n=len(area["polygon"])) if area.get("polygon") else ""
    except (LookupError, TypeError, ValueError, Region.DoesNotExist):
        return ""


def area_words(area: dict[str, Any]) -> str:
    """What a message says before the names of its places: a reach by name. Of other drawings the names say more to whoever stands there."""
    if "river" not in area:
        return ""
    with translation.override("zh-hans"):
        return said(area)


def km2(shape: BaseGeometry) -> float:
    return round(abs(geometry.WGS84.geometry_area_perimeter(shape)[0]) / 1e6, 2)


def _place_at(lon: float, lat: float) -> str:
    """The smallest of our towns and counties a point lies in, by name; empty outside them."""
    near = Region.objects.filter(kind__in=["town", "county"], west__lte=lon, east__gte=lon, south__lte=lat, north__gte=lat, area_wkb__isnull=False)
    point = shapely.Point(lon, lat)
    holding = [one for one in near if shapely.from_wkb(bytes(one.area_wkb)).covers(point)]
    best = min(holding, key=lambda one: (one.kind != "town", one.name), default=None)
    return shell.localname(best) if best else ""


def outline(shape: BaseGeometry) -> BaseGeometry:
    """The drawn area with few corners; no place of ours that lies in it is cut off by that."""
    return covering(shape, _points(shape), CORNERS).area


def _points(shape: BaseGeometry) -> NDArray[np.float64]:
    """Where our places near an area lie: (N, 2) lon, lat."""
    west, south, east, north = shape.bounds
    return np.array(list(Region.objects.filter(lon__gte=west, lon__lte=east, lat__gte=south, lat__lte=north).values_list("lon", "lat")), np.float64).reshape(-1, 2)


def warned_by(shape: BaseGeometry) -> list[UUID]:
    """The places a drawn area warns: those it covers enough of, and every village in it, by its town. Nobody inside is told nothing."""
    found = [place.region for place in by_shape(shape)]
    inside = [region.pk for region in villages_in(shape)]
    told = set(RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=found, descendant_id__in=inside).values_list("descendant_id", flat=True))
    missed = dict(RegionPath.objects.filter(hierarchy="administrative", descendant_id__in=set(inside) - told, ancestor__kind="town").values_list("descendant_id", "ancestor_id"))
    return list(dict.fromkeys([*found, *(missed.get(key, key) for key in inside if key not in told)]))


def villages_in(shape: BaseGeometry) -> list[Region]:
    west, south, east, north = shape.bounds
    near = list(Region.objects.filter(kind="village", valid_to=None, lon__gte=west, lon__lte=east, lat__gte=south, lat__lte=north).defer("area_wkb"))
    held = shapely.contains_xy(shape, [one.lon for one in near], [one.lat for one in near]) if near else []
    return [one for one, inside in zip(near, held, strict=True) if inside]


@dataclass(frozen=True)
class Villages:
    """Villages by where they lie: inside the area; told though they lie outside it; inside, and of no warned place."""

    inside: list[Region]
    beyond: list[Region]
    untold: list[Region]

    @staticmethod
    def people(rows: list[Region]) -> int | None:
        """None when it is not known of every one."""
        return None if any(one.population is None for one in rows) else sum(one.population or 0 for one in rows)

    @property
    def counts(self) -> list[tuple[str, int, int | None]]:
        return [(name, len(rows), self.people(rows)) for name, rows in (("inside", self.inside), ("beyond", self.beyond), ("untold", self.untold))]

    @property
    def source(self) -> str:
        return "; ".join(sorted({one.population_source for one in [*self.inside, *self.beyond] if one.population_source}))


def villages(shape: BaseGeometry, regions: Iterable[UUID]) -> Villages:
    """Who lies inside an area, and who is told though he does not: whoever tells a town tells all of it."""
    keys = list(regions)
    below = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=keys).values("descendant_id")
    told = list(Region.objects.filter(Q(pk__in=keys) | Q(pk__in=below), kind="village", valid_to=None).defer("area_wkb").order_by("name"))
    inside, known = villages_in(shape), {one.pk for one in told}
    held = {one.pk for one in inside}
    return Villages(sorted(inside, key=lambda one: -(one.population or 0)), [one for one in told if one.pk not in held], [one for one in inside if one.pk not in known])


def area_of(alert: Alert) -> BaseGeometry | None:
    if alert.only_left_by_id:
        return None
    shape = shapely.from_wkb(bytes(alert.area_wkb)) if alert.area_wkb else shape_of([UUID(key) for key in alert.region_ids])
    return None if shape is None or shape.is_empty else shape


def reach(alert: Alert) -> list[dict[str, Any]]:
    """Counties and towns the area touches, with the share of each inside and the people that makes, by area: an estimate, and said so."""
    shape = area_of(alert)
    return [] if shape is None else reach_of(shape)


def reach_of(shape: BaseGeometry) -> list[dict[str, Any]]:
    shares = {place.region: place.share for place in by_shape(shape)}
    found = []
    for region in Region.objects.filter(pk__in=list(shares)).order_by("name"):
        share = min(1.0, shares[region.pk] or 0.0)
        inside = None if region.population is None else round(region.population * share)
        found.append({
            "region": str(region.pk), "name": region.name, "kind": region.kind, "share": round(share, 4), "inside": inside,
            "outside": None if inside is None else region.population - inside, "source": region.population_source, "how": "by area",
        })
    return found


def colour_of(info: cap.Info) -> tuple[str, bool]:
    """(colour, whether the message says it). A colour in a parameter, the event or headline; else from severity, by convention."""
    for name in ("colour", "color", "warning colour", "预警级别", "awareness_level", "ColourCode"):
        value = info.parameter(name).casefold()
        for word, colour in COLOUR_WORDS.items():
            if word in value:
                return colour, True
    text = f"{info.event} {info.headline}"
    for word in ("红色", "橙色", "黄色", "蓝色"):
        if word in text:
            return COLOUR_WORDS[word[0]], True
    match = re.search(r"\b(red|orange|amber|yellow|blue)\b", text, re.I)
    if match:
        return COLOUR_WORDS[match[1].casefold()], True
    return BY_SEVERITY.get(info.severity, ""), False


def best_info(alert: cap.Alert) -> cap.Info | None:
    """The info to show: Chinese if there is one, else English, else the worst; among equals the first."""

    def rank(info: cap.Info) -> tuple[int, int]:
        language = (info.language or "en-US").casefold()
        return (0 if language.startswith("zh") else 1 if language.startswith("en") else 2, -RANK.get(BY_SEVERITY.get(info.severity, ""), 0))

    return min(alert.infos, key=rank) if alert.infos else None


def message_of(alert: Alert) -> cap.Alert:
    """One of our alerts as CAP. Both the colour and the severity are carried."""
    areas: list[cap.Area] = []
    if alert.msg_type != "Cancel" or alert.event:
        shape = shapely.from_wkb(bytes(alert.area_wkb)) if alert.area_wkb else None
        whole = [] if alert.only_left_by_id else alert.region_ids  # these are warned still
        geocodes = [("anlan:region", key) for key in whole]
        codes = RegionCode.objects.filter(region_id__in=whole, valid_to=None).values_list("system", "code")
        areas = [cap.Area(description=alert.area_text or "—", polygons=_rings(shape), geocodes=tuple([*codes, *geocodes]))]
    parameters = [("colour", alert.colour)] if alert.colour else []
    parameters += [("anlan:hazard", alert.hazard)] if alert.hazard else []
    parameters += [("anlan:silent", "true")] if alert.silent else []

    def info(language: str, text: dict[str, Any]) -> cap.Info:
        return cap.Info(
            language=language, categories=(alert.category,), event=text.get("event") or alert.event or alert.headline, urgency=alert.urgency,
            severity=alert.severity, certainty=alert.certainty, event_codes=(("anlan:hazard", alert.hazard),) if alert.hazard else (),
            response_types=("AllClear",) if alert.msg_type == "Cancel" and alert.ending != "cancel" else (), effective=alert.effective, onset=alert.onset, expires=alert.expires,
            sender_name=alert.issuer_name, headline=text.get("headline", ""), description=text.get("description", ""),
            instruction=text.get("instruction", ""), contact=alert.contact, parameters=tuple(parameters), areas=tuple(areas),
        )

    infos = [info(alert.language, {"headline": alert.headline, "description": alert.description, "instruction": alert.instruction})]
    infos += [info(language, text) for language, text in sorted(alert.translations.items())]
    references: tuple[cap.Reference, ...] = ()
    if alert.predecessor_id and alert.predecessor and alert.predecessor.sent:
        before = alert.predecessor
        references = (cap.Reference(sender=before.sender, identifier=before.identifier, sent=before.sent),)
    return cap.Alert(
        identifier=alert.identifier, sender=alert.sender, sent=alert.sent, status=alert.status, msg_type=alert.msg_type, scope=alert.scope,
        restriction="" if alert.scope != "Restricted" else "posts of this installation",
        addresses=("duty",) if alert.scope == "Private" else (), references=references, infos=tuple(infos),
    )


def _rings(shape: BaseGeometry | None) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Outer rings as lat,lon. CAP has no holes: a hole is warned too, which errs to the safe side."""
    if shape is None or shape.is_empty:
        return ()
    parts = [part for part in getattr(shape, "geoms", [shape]) if part.geom_type == "Polygon"]
    rings = []
    for part in parts:
        ring = [(round(lat, 5), round(lon, 5)) for lon, lat, *_ in part.exterior.coords]
        if len(ring) >= 4:
            rings.append(tuple([*ring[:-1], ring[0]]))
    return tuple(rings)


def category_of(hazard: str) -> str:
    return hazards.table()[hazard].category if hazard in hazards.table() else "Other"


def severity_of(colour: str) -> str:
    return SEVERITY.get(colour, "Unknown")


def features(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """Alerts as GeoJSON features for the map: properties id, name, level, text, url; what has no shape takes its regions' shapes."""
    from django.urls import reverse

    found = []
    for alert in alerts:
        shape = area_of(alert)
        if shape is None:
            continue
        found.append({
            "type": "Feature", "id": str(alert.pk), "geometry": shapely.geometry.mapping(shape.simplify(0.001)),
            "properties": {
                "id": str(alert.pk), "name": alert.headline or alert.event, "level": alert.colour, "text": alert.issuer_name, "kind": alert.kind,
                "status": alert.status, "url": reverse("warning:alert", args=[alert.pk]), "at": (alert.sent or alert.created_at).isoformat(),
            },
        })
    return found


def bounds(alert: Alert) -> list[float] | None:
    """west, south, east, north around an alert's area, with a margin; None when it has none."""
    shape = area_of(alert)
    if shape is None:
        return None
    west, south, east, north = shape.bounds
    margin = max(east - west, north - south, 0.02) * 0.3
    return [west - margin, south - margin, east + margin, north + margin]


def dropped(before: list[str], after: list[str]) -> list[str]:
    """Regions that were warned before and are not any more: the widest that lie in none of the regions now warned, wholly or in part."""
    paths = RegionPath.objects.filter(hierarchy="administrative")
    inside = set(paths.filter(ancestor_id__in=after).values_list("descendant_id", flat=True)) | {UUID(key) for key in after}
    around_ = set(paths.filter(descendant_id__in=after).values_list("ancestor_id", flat=True))
    found: list[str] = []
    front = [UUID(key) for key in before]
    while front:
        split = []
        for key in front:
            if key in inside:
                continue
            if key in around_:
                split.append(key)
            else:
                found.append(str(key))
        front = list(paths.filter(ancestor_id__in=split, depth=1).values_list("descendant_id", flat=True))
    return sorted(dict.fromkeys(found))
