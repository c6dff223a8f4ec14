"""Spreadsheets as offices send them: read, mapped, previewed, taken over whole or not at all, and again without a change."""
from __future__ import annotations

import csv
import io
import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.models import AccessLog, Fact, RegisterChange
from anlan.kernel.registers import exporting, get, importing, queries, reading
from anlan.runtime.testing import make_actor, make_post

TEAM = "resources.team"
HEAD = ["队伍编号", "队伍名称", "类型", "所在区域", "人数", "成立日期"]


def book(path: Path, rows: list[list[Any]], change: Any = None) -> Path:
    work = Workbook()
    for row in rows:
        work.active.append(row)
    if change:
        change(work)
    work.save(path)
    return path


def take(actor: Any, realm: Any, path: Path, **options: Any) -> importing.Judged:
    sheet = reading.read(path)
    return importing.run(Act(actor, realm), get(TEAM), sheet, importing.propose(get(TEAM), sheet), **options)


def rows() -> dict[str, Any]:
    return {row.code: row for row in get(TEAM).rows().filter(ended_at=None)}


def test_a_sheet_is_previewed_taken_over_and_a_second_run_changes_nothing(actual: Any, alice: Any, county: Any, town: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "teams.xlsx", [
        ["甲县救援队伍台账"], HEAD,
        ["A-1", "甲县消防大队", "综合性消防救援队伍", "甲县", 30, date(2019, 3, 1)],
        ["A-2", "甲一镇应急队", "township", "甲县/甲一镇", "１２人", "2026年7月20日"],
        ["A-3", "蓝天救援队", "社会应急力量", "甲县", "1,200", 46223],
        ["", "", "", "", "", ""],
        ["Ａ-4", "水务抢险队", "Department professional", "甲县", None, "2026/7/20"],
        ["A-5", "电力抢修队", "enterprise", "甲县", 8, "20260720"],
    ])
    sheet = reading.read(path)
    mapping = importing.propose(get(TEAM), sheet)
    assert (mapping.header, mapping.columns, mapping.missing) == (1, {"code": 0, "name": 1, "kind": 2, "region": 3, "members": 4, "founded": 5}, [])
    seen = importing.preview(alice, get(TEAM), sheet, mapping)
    assert (seen.read, seen.new, seen.refused, seen.written) == (5, 5, [], 0) and rows() == {}
    done = take(alice, actual, path)
    assert (done.read, done.written, done.refused) == (5, 5, [])
    found = rows()
    assert {code: (row.kind, row.members, str(row.founded)) for code, row in found.items()} == {
        "A-1": ("fire", 30, "2019-03-01"), "A-2": ("township", 12, "2026-07-20"), "A-3": ("social", 1200, "2026-07-20"), "A-4": ("department", 0, "2026-07-20"),
        "A-5": ("enterprise", 8, "2026-07-20"),
    }
    assert found["A-2"].region_id == town.pk and found["A-1"].readiness == "standby" and found["A-1"].verified_at is None
    assert [row.code for row in queries.listed(alice, get(TEAM), q="lantian").rows] == ["A-3"]
    from anlan.kernel import search

    assert [hit.title for hit in search.find(alice, actual, "蓝天").hits] == ["蓝天救援队"]
    assert queries.history(alice, get(TEAM), found["A-1"].pk)[0].op == "import"
    [fact] = Fact.objects.filter(kind="kernel.RegisterBatchDone")
    again = take(alice, actual, path)
    assert (again.new, again.changed, again.unchanged, again.written) == (0, 0, 5, 0)
    assert Fact.objects.filter(kind="kernel.RegisterBatchDone").count() == 1 and {row.version for row in rows().values()} == {1}


def test_known_rows_change_by_their_key_and_keep_what_the_sheet_does_not_say(actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    take(alice, actual, book(tmp_path / "1.xlsx", [[*HEAD, "负责人电话"], ["A-1", "甲县消防大队", "fire", "甲县", 30, None, "13812345678"]]))
    done = take(alice, actual, book(tmp_path / "2.xlsx", [["code", "Name", "人数", "负责人电话", "leader"], ["A-1", "", 31, "13987654321", "李"], ["A-2", "新队", 5, "", ""]]))
    assert [(fault.row, fault.field) for fault in done.refused] == [(3, "region")]
    assert done.written == 0 and rows()["A-1"].members == 30
    done = take(alice, actual, tmp_path / "2.xlsx", good_rows=True)
    assert (done.written, done.changed, done.refused_rows) == (1, 1, 1)
    row = rows()["A-1"]
    assert (row.name, row.members, row.leader_phone, row.kind, row.version) == ("甲县消防大队", 31, "13987654321", "fire", 2)
    change = RegisterChange.objects.get(row=row.pk, version=2)
    assert change.changes == {"members": [30, 31], "leader_phone": ["138****5678", "139****4321"], "leader": ["", "李*"]}
    assert change.personal == {"leader_phone": ["13812345678", "13987654321"], "leader": ["", "李"]}
    told = {one.name: (before, after) for one, before, after in queries.history(alice, get(TEAM), row.pk)[0].changes}
    assert told["leader_phone"] == ("13812345678", "13987654321")
    assert [hit.code for hit in queries.listed(alice, get(TEAM), q="消防").rows] == ["A-1"]


def test_the_role_the_server_works_under_can_import(actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    """It reads and writes rows and nothing else; it may not even make a temporary table (`postgres.grant_roles`)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"""CREATE ROLE rows_only; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO rows_only;
            GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO rows_only; REVOKE ALL ON DATABASE "{connection.settings_dict['NAME']}" FROM PUBLIC; SET LOCAL ROLE rows_only""")
        done = take(alice, actual, book(tmp_path / "new.xlsx", [HEAD, ["A-1", "甲队\\t'一'", "fire", "甲县", 30, ""], ["A-2", "乙队", "social", "甲县", 3, ""]]))
        again = take(alice, actual, book(tmp_path / "changed.xlsx", [HEAD, ["A-1", "甲队\\t'一'", "fire", "甲县", 31, date(2019, 3, 1)], ["A-2", "乙队", "social", "甲县", 3, ""]]))
        cursor.execute("RESET ROLE")
    assert (done.written, again.written, again.unchanged) == (2, 1, 1)
    found = rows()["A-1"]
    assert (found.name, found.members, str(found.founded), found.version) == ("甲队\\t'一'", 31, "2019-03-01", 2)
    assert [(one.version, one.changes) for one in RegisterChange.objects.filter(row=found.pk).order_by("version")] == [(1, {}), (2, {"members": [30, 31], "founded": [None, "2019-03-01"]})]


def test_every_wrong_cell_is_named_and_nothing_is_half_imported(actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    path = book(tmp_path / "bad.xlsx", [
        [*HEAD, "经度", "纬度"],
        ["A-1", "好队", "fire", "甲县", 3, None, 119.2, 28.2],
        ["A-2", "错队", "骑兵", "甲县", "许多", "2026-13-45", 119.2, 28.2],
        ["A-1", "重队", "fire", "甲县", 3, None, None, None],
        ["", "无号队", "fire", "甲县", 3, None, 300, 28],
        ["A-6", "远队", "fire", "乌有县", 3, None, None, None],
    ])
    done = take(alice, actual, path)
    assert (done.read, done.written, done.refused_rows) == (5, 0, 4) and rows() == {}
    assert [(fault.row, fault.field) for fault in done.refused] == [
        (3, "kind"), (3, "members"), (3, "founded"), (4, "code"), (5, "point"), (5, "code"), (6, "region"),
    ]
    assert "2" in next(fault.why for fault in done.refused if fault.row == 4)  # it says which row has the same key
    assert Fact.objects.filter(kind="kernel.RegisterBatchDone").count() == 0
    sheet = reading.read(path)
    content = exporting.refused_file(alice, get(TEAM), sheet, importing.propose(get(TEAM), sheet), done)
    lines = list(load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True))
    assert lines[1][:2] == ("队伍编号", "队伍名称") and [line[1] for line in lines[2:]] == ["错队", "重队", "无号队", "远队"] and lines[2][-2] == 3
    # Corrected where it stands, the file of refused rows can be sent again.
    (tmp_path / "refused.xlsx").write_bytes(content)
    assert importing.propose(get(TEAM), reading.read(tmp_path / "refused.xlsx")).columns["code"] == 0


def test_merged_cells_formulas_and_errors(actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    def shape(work: Workbook) -> None:
        sheet = work.active
        sheet.merge_cells("A1:F1")
        sheet.merge_cells("D3:D5")  # one region for three teams
        sheet["E4"] = "=E3+1"
        sheet["E5"] = "#N/A"
        sheet["E5"].data_type = "e"

    path = book(tmp_path / "merged.xlsx", [
        ["甲县", "", "", "", "", ""], HEAD, ["A-1", "一队", "fire", "甲县", 3, None], ["A-2", "二队", "fire", None, None, None], ["A-3", "三队", "fire", None, None, None],
    ], shape)
    sheet = reading.read(path)
    assert [row[3] for row in sheet.rows[2:5]] == ["甲县"] * 3
    done = take(alice, actual, path, good_rows=True)
    assert [(fault.row, fault.field) for fault in done.refused] == [(4, "members"), (5, "members")]
    assert set(rows()) == {"A-1"} and rows()["A-1"].region_id == county.pk
    # A formula whose value was saved counts as that value, and the reader is told.
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w") as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename == "xl/worksheets/sheet1.xml":
                assert b"<f>E3+1</f><v" in content
                content = content.replace(b"<f>E3+1</f><v></v>", b"<f>E3+1</f><v>4</v>").replace(b"<f>E3+1</f><v />", b"<f>E3+1</f><v>4</v>").replace(b"<f>E3+1</f><v/>", b"<f>E3+1</f><v>4</v>")
            new.writestr(item, content)
    path.write_bytes(packed.getvalue())
    sheet = reading.read(path)
    assert sheet.rows[3][4] == 4 and list(sheet.broken) == [(4, 4)] and any("1" in note for note in sheet.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_csv_in_the_encodings_of_offices(actual: Any, alice: Any, county: Any, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "teams.csv"
    path.write_text("# 说明，不是数据\r\n编号,名称,类型,区域,人数\r\nA-1,\"队,一\",fire,甲县,５\r\n", encoding=encoding, newline="")
    done = take(alice, actual, path)
    assert (done.written, done.refused) == (1, []) and (rows()["A-1"].name, rows()["A-1"].members) == ("队,一", 5)


def test_what_cannot_be_a_table_of_ours_is_refused_clearly(tmp_path: Path, alice: Any, county: Any) -> None:
    large = tmp_path / "large.xlsx"
    with large.open("wb") as file:  # 200 MB that are never read: a hole in the disk
        file.truncate(200 * 1024 * 1024)
    with pytest.raises(Problem, match="too_large"):
        reading.read(large)

    class Uploaded:
        size = 200 * 1024 * 1024

        def chunks(self) -> Any:
            raise AssertionError("read in spite of its size")

    with pytest.raises(Problem, match="too_large"):
        importing.keep(alice, get(TEAM), Uploaded(), "large.xlsx")
    for name, content in (("old.xls", b"\xd0\xcf\x11\xe0" + b"\0" * 512), ("photo.csv", b"\xff\xd8\xff\xe0\0\0"), ("empty.csv", b""), ("torn.xlsx", b"PK\x03\x04torn")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Problem, match="bad_sheet"):
            reading.read(tmp_path / name)
    with pytest.raises(Problem, match="no_header_row"):
        importing.propose(get(TEAM), reading.read(book(tmp_path / "other.xlsx", [["apples", "pears"], [1, 2]])))


def _edited(path: Path, edit: Any) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            new.writestr(item, edit(item.filename, old.read(item)))
    path.write_bytes(packed.getvalue())
    return path


@pytest.mark.parametrize("trick", ["corner", "wide", "doctype", "bomb", "macro"])
def test_hostile_workbooks(tmp_path: Path, trick: str) -> None:
    path = book(tmp_path / "x.xlsx", [HEAD, ["A-1", "队", "fire", "甲县", 3, None]])

    def edit(name: str, content: bytes) -> bytes:
        if name == "xl/worksheets/sheet1.xml":
            if trick in ("corner", "wide"):
                cell = b"XFD1048576" if trick == "corner" else b"ZZ3"
                return content.replace(b"</sheetData>", b'<row r="%d"><c r="%s"><v>1</v></c></row></sheetData>' % (1048576 if trick == "corner" else 3, cell))
            if trick == "doctype":
                return content.replace(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet', 1)
            if trick == "bomb":
                return content.replace(b"</sheetData>", b" " * (reading.MAX_UNPACKED + 1) + b"</sheetData>")
        return content

    _edited(path, edit)
    if trick == "macro":
        with zipfile.ZipFile(path, "a") as packed:
            packed.writestr("xl/vbaProject.bin", b"x")
    with pytest.raises(Problem, match="too_large" if trick == "bomb" else "bad_sheet"):
        reading.read(path)


def test_rights_hold_row_by_row_and_field_by_field(actual: Any, alice: Any, charlie: Any, county: Any, county2: Any, tmp_path: Path) -> None:
    take(alice, actual, book(tmp_path / "1.xlsx", [HEAD, ["A-1", "一队", "fire", "甲县", 3, None]]))
    path = book(tmp_path / "2.xlsx", [[*HEAD, "战备状态"], ["A-1", "一队", "fire", "甲县", 99, None, ""], ["C-1", "三队", "fire", "乙县", 5, None, "ready"]])
    done = take(charlie, actual, path)
    assert [fault.row for fault in done.refused] == [2] and done.written == 0 and rows()["A-1"].members == 3
    writer = make_actor("writer", make_post("录入员", county, capabilities=("resources.read", "resources.write")))
    done = take(writer, actual, book(tmp_path / "3.xlsx", [[*HEAD, "战备状态"], ["A-1", "一队", "fire", "甲县", 4, None, "ready"]]))
    assert [(fault.row, fault.field) for fault in done.refused] == [(2, "readiness")]
    reader = make_actor("reader", make_post("查看员", county, capabilities=("resources.read",)))
    with pytest.raises(Problem, match="forbidden"):
        take(reader, actual, path)


def test_an_export_is_watermarked_logged_escaped_and_can_come_back(actual: Any, alice: Any, county: Any, town: Any, tmp_path: Path) -> None:
    take(alice, actual, book(tmp_path / "1.xlsx", [
        [*HEAD, "负责人", "负责人电话", "经度", "纬度", "备注"], ["A-1", "甲县消防大队", "fire", "甲县", 30, date(2019, 3, 1), "王建国", "13812345678", 119.05, 28.05, "+1+1 is not run"],
        ["A-2", "甲一镇应急队", "township", "甲一镇", 12, date(2020, 5, 6), "李", "", None, None, ""],
    ]), verified=True)
    assert rows()["A-1"].verified_at is not None
    content, _media, name = exporting.export(alice, get(TEAM))
    lines = list(load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True))
    assert "alice" in lines[0][0] and name.endswith(".xlsx")
    first = next(line for line in lines if line[0] == "A-1")
    assert "'+1+1 is not run" in first and "13812345678" in first
    [log] = AccessLog.objects.filter(kind="export", account=alice.account_id)
    assert (log.subject, log.count, log.fields) == (f"register:{TEAM}", 2, ["leader", "leader_phone"])
    for kind in ("xlsx", "csv"):
        (tmp_path / f"out.{kind}").write_bytes(exporting.export(alice, get(TEAM), kind=kind)[0])
        back = take(alice, actual, tmp_path / f"out.{kind}")
        assert (back.read, back.unchanged, back.refused) == (2, 2, []), kind
    # Whoever may not see them gets masks, and a mask that comes back changes nothing.
    reader = make_actor("reader", make_post("录入员", county, capabilities=("resources.read", "resources.write", "resources.readiness")))
    content = exporting.export(reader, get(TEAM), kind="csv")[0]
    assert b"13812345678" not in content and b"138****5678" in content
    (tmp_path / "masked.csv").write_bytes(content)
    assert take(reader, actual, tmp_path / "masked.csv").unchanged == 2


def test_a_template_explains_itself_and_is_read_back(alice: Any, county: Any, tmp_path: Path) -> None:
    (tmp_path / "template.xlsx").write_bytes(exporting.template(get(TEAM), alice))
    work = load_workbook(tmp_path / "template.xlsx")
    told = str([cell for row in work.worksheets[1].iter_rows(values_only=True) for cell in row])
    assert "社会应急力量" in told and "social" in told
    mapping = importing.propose(get(TEAM), reading.read(tmp_path / "template.xlsx"))
    assert set(mapping.columns) >= {"code", "name", "kind", "region", "point.lon", "point.lat"} and not mapping.missing and not mapping.unknown


def test_the_template_of_every_register_maps_back(db: Any, tmp_path: Path) -> None:
    from anlan.kernel.registers import REGISTERS

    for declared in REGISTERS.values():
        if declared.steps_only:
            continue
        (tmp_path / "t.xlsx").write_bytes(exporting.template(declared))
        mapping = importing.propose(declared, reading.read(tmp_path / "t.xlsx"))
        assert len(mapping.columns) == len(exporting.template_rows(declared)), declared.name


def test_an_upload_waits_for_its_owner_only(actual: Any, alice: Any, bob: Any, county: Any, tmp_path: Path, settings: Any) -> None:
    settings.HOME = tmp_path
    path = book(tmp_path / "1.xlsx", [HEAD, ["A-1", "一队", "fire", "甲县", 3, None], ["A-2", "二队", "骑兵", "甲县", 3, None]])

    class Uploaded:
        size = path.stat().st_size

        def chunks(self) -> Any:
            yield path.read_bytes()

    upload = importing.keep(alice, get(TEAM), Uploaded(), "../../1.xlsx")
    with pytest.raises(Problem, match="not_found"):
        importing.kept(bob, upload.token)
    upload = importing.kept(alice, upload.token)
    assert upload.name == "1.xlsx" and upload.progress()["state"] == "waiting"
    sheet = upload.sheet()
    importing.start(Act(alice, actual), upload, sheet, importing.propose(get(TEAM), sheet), good_rows=True)
    told = upload.progress()
    assert (told["state"], told["result"]["written"], told["result"]["refused"][0]["row"]) == ("done", 1, 3)
    assert (upload.folder / "refused.xlsx").exists()


def test_thousands_of_rows(actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        writer.writerows([f"M-{n:05}", f"甲县第{n}队", "fire", "甲县", n % 50, "2020-01-01"] for n in range(6000))
    told: list[tuple[str, int, int]] = []
    done = take(alice, actual, path, progress=lambda *what: told.append(what))
    assert done.written == 6000 and {stage for stage, _done, _total in told} >= {"check", "match", "write", "done"}
    page = queries.listed(alice, get(TEAM), sort="-members", size=3)
    assert (page.count, page.estimated, [row.members for row in page.rows]) == (6000, False, [49, 49, 49])
    assert RegisterChange.objects.filter(register=TEAM, op="import").count() == 6000
    assert take(alice, actual, path).unchanged == 6000
