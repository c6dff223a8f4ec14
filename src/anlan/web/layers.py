"""The layers of the one map (一张图), each from its room's query, each with its freshness, each for its reader."""
from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import shapely
from django.apps import apps
from django.db.models import Max, Q
from django.utils.translation import gettext_lazy as _

from anlan.kernel import access, clock, shell
from anlan.kernel.models import Region, RegionPath

TOLERANCE = 0.0008  # degrees (about 80 m): below what the map shows at the zooms boundaries are drawn
LEVELS = ("red", "orange", "yellow", "blue")


@dataclass(frozen=True)
class Layer:
    """A layer: how it is drawn, and who answers its GeoJSON. Without its room's query it is not offered."""

    id: str
    label: Any
    kind: str
    source: Callable[[Any, Any], dict | None]
    cluster: bool = False
    on: bool = True


def collection(features: list[dict]) -> dict:
    return {"type": "FeatureCollection", "features": features}


def room_query(room: str, *names: str) -> Callable | None:
    """A query of a room by name; None when the room, or that query, is not there."""
    path = f"anlan.{room}.queries"
    if not apps.is_installed(f"anlan.{room}") or importlib.util.find_spec(path) is None:
        return None
    module = importlib.import_module(path)
    return next((getattr(module, name) for name in names if hasattr(module, name)), None)


@lru_cache(maxsize=8)
def _shapes(stamp: str) -> tuple[tuple[Any, ...], ...]:
    """Simplified boundaries. A coverage is simplified as one, so that neighbours keep their common line."""
    found: list[tuple[Any, ...]] = []
    for kind in ("province", "city", "county", "town", "zone", "basin", "river"):
        rows = list(Region.objects.filter(kind=kind, area_wkb__isnull=False, valid_to=None).order_by("pk"))
        if not rows:
            continue
        areas = shapely.from_wkb([bytes(row.area_wkb) for row in rows])
        polygonal = shapely.get_type_id(areas) >= 3
        if polygonal.all():
            areas = shapely.coverage_simplify(areas, TOLERANCE)
        else:
            areas = shapely.simplify(areas, TOLERANCE)
        areas = shapely.set_precision(areas, 0.00001, mode="pointwise")
        found += [(row.pk, row.kind, row.name, row.name_en, row.lon, row.lat, area, bool(flag)) for row, area, flag in zip(rows, areas, polygonal, strict=True)]
    return tuple(found)


def _stamp() -> str:
    total = Region.objects.filter(area_wkb__isnull=False).aggregate(newest=Max("created_at"), version=Max("version"))
    return f"{Region.objects.count()}:{total['newest']}:{total['version']}"


def regions(actor: Any, realm: Any) -> dict:
    """Boundaries of our own regions: the quiet ground. Not secret: everybody signed in sees the same."""
    english = shell.localname_is_english()
    return collection([
        {
            "type": "Feature", "id": index, "geometry": shapely.geometry.mapping(area),
            "properties": {"id": str(key), "kind": kind, "name": (name_en if english and name_en else name), "lon": lon, "lat": lat},
        }
        for index, (key, kind, name, name_en, lon, lat, area, polygonal) in enumerate(_shapes(_stamp()))
        if polygonal and kind != "basin"
    ])


# Layer → the room that owns its data, and the names its query may go by.
OWNERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gauges": ("sensing", ("geojson",)),
    "alerts": ("warning", ("live",)),
    "incidents": ("command", ("geojson",)),
}


def offered(layer: str) -> bool:
    """Whether some room answers for this layer, and there is something of it."""
    if layer == "rivers":
        return Region.objects.filter(kind="river").exists()
    return layer not in OWNERS or room_query(OWNERS[layer][0], *OWNERS[layer][1]) is not None


def of(layer: str) -> Callable[[Any, Any], dict | None]:
    """The GeoJSON of a room's layer for a reader; None when no room offers it."""

    def ask(actor: Any, realm: Any) -> dict | None:
        room, names = OWNERS[layer]
        query = room_query(room, *names)
        return query(actor, realm) if query else None

    return ask


def alerts(actor: Any, realm: Any) -> dict | None:
    """Warnings in force as areas: their own polygons, else the regions they name; the worst lies on top."""
    live = room_query("warning", "live")
    if live is None:
        return None
    shapes = {shape[0]: shape[6] for shape in _shapes(_stamp()) if shape[7]}
    features = []
    for alert in reversed(live(actor, realm)):
        keys = [UUID(str(key)) for key in alert.region_ids]
        own = bytes(alert.area_wkb) if alert.area_wkb else None
        areas = [shapely.simplify(shapely.from_wkb(own), TOLERANCE)] if own else [shapes[key] for key in keys if key in shapes]
        properties = {
            "id": str(alert.pk), "name": alert.headline or alert.event or str(alert), "level": alert.colour, "text": alert.issuer_name,
            "url": shell.address("warning:alert", "", alert.pk), "regions": [str(key) for key in keys],
        }
        features += [{"type": "Feature", "geometry": shapely.geometry.mapping(area), "properties": properties} for area in areas]
    return collection(features)


def rivers(actor: Any, realm: Any) -> dict:
    """River lines: a river is a place whose line stands where other places have their area. Longer ones are drawn wider."""
    english = shell.localname_is_english()
    lines = [shape for shape in _shapes(_stamp()) if not shape[7]]
    lengths = sorted((shapely.length(shape[6]) for shape in lines), reverse=True)
    features = []
    for key, _kind, name, name_en, _lon, _lat, line, _flag in lines:
        rank = lengths.index(shapely.length(line)) / max(1, len(lengths))
        order = 4 if rank < 0.05 else 3 if rank < 0.2 else 2 if rank < 0.5 else 1
        features.append({
            "type": "Feature", "geometry": shapely.geometry.mapping(line),
            "properties": {"id": str(key), "name": name_en if english and name_en else name, "order": order},
        })
    return collection(features)


gauges, incidents = (of(name) for name in ("gauges", "incidents"))


LAYERS: list[Layer] = [
    Layer("regions", _("Boundaries"), "area", regions),
    Layer("rivers", _("Rivers"), "line", rivers),
    Layer("alerts", _("Alerts"), "area", alerts),
    Layer("gauges", _("Gauges"), "point", gauges, cluster=True),
    Layer("incidents", _("Incidents"), "point", incidents),
]


def bounds(region_ids: Any = None) -> list[float] | None:
    """west, south, east, north of the given regions, or of all."""
    rows = Region.objects.filter(west__isnull=False)
    if region_ids is not None and region_ids is not access.ALL:
        rows = rows.filter(pk__in=region_ids)
    values = list(rows.values_list("west", "south", "east", "north"))
    if not values:
        return None
    west, south, east, north = zip(*values, strict=True)
    return [min(west), min(south), max(east), max(north)]


def home(actor: Any) -> list[float] | None:
    """The view a person begins with: the place of his post."""
    from anlan.kernel.models import Post

    region_id = Post.objects.filter(pk=actor.post_id).values_list("region_id", flat=True).first() if actor.post_id else None
    return (bounds([region_id]) if region_id else None) or bounds()


def region_at(lon: float, lat: float) -> Region | None:
    """The smallest administrative region that holds the point."""
    rows = Region.objects.filter(west__lte=lon, east__gte=lon, south__lte=lat, north__gte=lat, area_wkb__isnull=False, valid_to=None).exclude(kind="basin")
    point = shapely.Point(lon, lat)
    holding = [row for row in rows if shapely.covers(shapely.from_wkb(bytes(row.area_wkb)), point)]
    return min(holding, key=lambda row: (row.east - row.west) * (row.north - row.south), default=None)


def subtree(region: Region) -> set[UUID]:
    return set(RegionPath.objects.filter(ancestor=region).values_list("descendant_id", flat=True)) | {region.pk}


def area_answer(actor: Any, realm: Any, region: Region) -> dict[str, Any]:
    """What a selected area answers: people, hazards, forces, supplies, shelters, roads; unknown where no register is kept yet."""
    below = subtree(region)
    answer: dict[str, Any] = {"region": region, "population": region.population, "population_source": region.population_source, "now": clock.now(realm)}
    towns = list(Region.objects.filter(pk__in=below - {region.pk}, kind="town").values_list("population", flat=True))
    if answer["population"] is None and towns and all(value is not None for value in towns):
        answer["population"] = sum(towns)
    answer["levels"] = _colours(actor, realm, region, below)
    answer["alerts"] = _alerts_in(actor, realm, below)
    answer["incidents"] = _incidents_in(actor, realm, below)
    answer["posts"] = _posts_in(below)
    answer["kept"] = _registers_in(actor, realm, region, below)
    return answer


# The questions of the side sheet (after people), and the registers that answer them when the house keeps them; "x.*" is every one of a room.
TOPICS: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (_("Dangers and risks"), ("inspection.danger", "risk.*")),
    (_("Forces"), ("resources.team", "resources.expert", "resources.hospital")),
    (_("Supplies"), ("resources.warehouse", "resources.holding", "resources.equipment", "resources.vehicle")),
    (_("Shelters"), ("resources.shelter",)),
    (_("Roads"), ("resources.road", "logistics.road")),
)
SHOWN = 4


def _registers_in(actor: Any, realm: Any, region: Region, below: set[UUID]) -> list[dict[str, Any]]:
    """Each question with its registers: how many rows lie in the area, the first few with their note, and where to see the rest of that area.

    `rows` None: no such register is kept in this house, which is not the same as none being there.
    """
    from anlan.kernel import shell, subjects
    from anlan.kernel.registers import REGISTERS, queries

    answer = []
    for words, names in TOPICS:
        found = []
        for name, declared in sorted(REGISTERS.items()):
            if not any(name == wanted or (wanted.endswith("*") and name.startswith(wanted[:-1])) for wanted in names) or not access.may(actor, declared.read):
                continue
            rows = queries.scope(actor, declared, realm=realm).filter(region_id__in=below)
            columns = {field.name for field in declared.model._meta.fields}
            rows = rows.filter(**{name: None for name in ("ended_at", "closed_at") if name in columns})
            total = rows.count()
            here = f"?{urlencode({'region': region.pk})}" if any(one.name == "region" for one in queries.filter_fields(declared)) else ""
            found.append({
                # A loop's cases have a list of their own: no register page shows them.
                "label": declared.label, "total": total, "url": shell.address("kernel:loop_list" if declared.steps_only else "kernel:register", "", name) + here,
                "rows": [{"name": str(getattr(row, declared.title, "") or row), "url": subjects.url(f"{declared.kind}:{row.pk}")} for row in rows.order_by("pk")[:SHOWN]],
            })
        answer.append({"label": words, "registers": found})
    return answer


def _colours(actor: Any, realm: Any, region: Region, below: set[UUID]) -> dict[str, Any] | None:
    data = gauges(actor, realm)
    if data is None:
        return None
    inside = [f["properties"] for f in data["features"] if str(f["properties"].get("region", "")) in {str(key) for key in below}]
    if not inside and region.area_wkb is not None:
        area = shapely.from_wkb(bytes(region.area_wkb))
        inside = [f["properties"] for f in data["features"] if f.get("geometry") and shapely.covers(area, shapely.geometry.shape(f["geometry"]))]
    counts = {level: sum(1 for p in inside if p.get("level") == level) for level in LEVELS}
    worst = [p for level in LEVELS for p in inside if p.get("level") == level][:5]
    return {"total": len(inside), "counts": {level: n for level, n in counts.items() if n}, "worst": worst}


def _alerts_in(actor: Any, realm: Any, below: set[UUID]) -> list[dict] | None:
    data = alerts(actor, realm)
    if data is None:
        return None
    keys = {str(key) for key in below}
    seen: dict[str, dict] = {}
    for f in data["features"]:
        p = f["properties"]
        if str(p.get("region", "")) in keys or keys & {str(key) for key in p.get("regions", [])}:
            seen.setdefault(str(p.get("id", p.get("url", ""))), p)
    return list(seen.values())


def _incidents_in(actor: Any, realm: Any, below: set[UUID]) -> list[dict] | None:
    data = incidents(actor, realm)
    if data is None:
        return None
    keys = {str(key) for key in below}
    return [f["properties"] for f in data["features"] if str(f["properties"].get("region", "")) in keys]


def _posts_in(below: set[UUID]) -> list[Any]:
    from anlan.kernel.models import Post

    return list(Post.objects.filter(Q(region_id__in=below), active=True).select_related("organisation", "region").order_by("organisation__name", "name")[:12])
