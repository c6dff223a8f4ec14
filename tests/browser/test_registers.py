"""A register worked with from end to end: list, filter, view, import with a wrong row, the row mended, many at once, labels; and on a telephone."""
from __future__ import annotations

from typing import Any

import openpyxl
import pytest

pytestmark = pytest.mark.django_db(transaction=True)
TEAM = "resources.team"
SHEET = "队伍编号\t队伍名称\t类型\t人数\t经度\t纬度\nJY-1\t蓝天救援队\t\t４４\t\t\nN-1\t新矿山队\tdepartment\t20\t119.11\t28.12\nN-2\t改正队\tdepartment\t二十\t119.12\t28.13\n"


def patient(page: Any) -> Any:
    """What is proved here is that it works; how fast is measured elsewhere, on a machine that does nothing else."""
    page.set_default_timeout(180_000)
    return page


@pytest.fixture
def teams(alice: Any, actual: Any, county: Any) -> list[Any]:
    from anlan.kernel.actions import Act
    from anlan.kernel.registers import actions

    made = [("JY-1", "蓝天救援队", "social"), ("JY-2", "矿山救护队", "department"), ("JY-3", "水上救援队", "department")]
    return [
        actions.create(Act(alice, actual), register=TEAM, values={
            "code": code, "name": name, "kind": kind, "members": 30, "leader_phone": "13812345678", "point": [119.1 + number / 50, 28.1], **({"grade": "1", "grade_evidence": "2025"} if kind == "social" else {}),
        })
        for number, (code, name, kind) in enumerate(made)
    ]


def test_from_the_list_to_the_label(open_browser, alice, teams, tmp_path):
    from anlan.kernel.registers import get

    page = patient(open_browser(alice))
    page.goto(f"{page.base}/registers")
    page.click(".register-card h3 a[href$='resources.team']")
    assert page.locator(".register-table tbody tr").count() == 3

    # A filter is a link at once, and the link is kept as a view.
    page.select_option("#f-kind", "department")
    page.wait_for_url("**kind=department**")
    page.wait_for_function("document.querySelectorAll('.register-table tbody tr').length === 2")
    page.click("[data-open='save-view']")
    page.fill("#view-name", "专业队")
    page.click("#save-view .btn-primary")
    page.wait_for_selector(".views .chip[aria-current]:has-text('专业队')")
    assert page.locator(".register-table tbody tr").count() == 2
    page.click(".views .chip >> nth=0")
    page.wait_for_function("document.querySelectorAll('.register-table tbody tr').length === 3")

    # Arrow keys and e, as in every table.
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.activeElement.matches('.register-table tbody tr:nth-child(2)')")
    page.keyboard.press("e")
    page.wait_for_url("**/edit")
    page.go_back()

    # Cells pasted from a spreadsheet, one of them wrong.
    page.goto(f"{page.base}/registers/{TEAM}/import")
    page.fill("#pasted", SHEET)
    page.click("form:has(#pasted) .btn-primary")
    page.wait_for_url("**/columns")
    assert page.input_value("[name=column_0]") == "code" and page.input_value("[name=column_5]") == "point.lat", "columns are matched by their words"
    page.click("main form .btn-primary")
    page.wait_for_url("**/look")
    assert "二十" in page.inner_text("main") and page.locator("ins", has_text="44").count() == 1
    with page.expect_download() as download:
        page.click("a[href$='refused.xlsx']")
    refused = tmp_path / "refused.xlsx"
    download.value.save_as(refused)
    page.click("button[value=run]")
    page.wait_for_url("**/progress")
    page.wait_for_selector("text=1")
    rows = get(TEAM).rows()
    assert set(rows.values_list("code", "members")) >= {("JY-1", 44), ("N-1", 20)} and not rows.filter(code="N-2").exists()

    # The downloaded sheet, mended, goes in as it is.
    book = openpyxl.load_workbook(refused)
    for line in book.active.iter_rows():
        for cell in line:
            if cell.value == "二十":
                cell.value = 20
    book.save(refused)
    page.goto(f"{page.base}/registers/{TEAM}/import")
    page.set_input_files("#file", refused)
    page.click("form:has(#file) .btn-primary")
    page.wait_for_url("**/columns")
    page.click("main form .btn-primary")
    page.wait_for_url("**/look")
    page.click("button[value=run]")
    page.wait_for_url("**/progress")
    page.click("a.btn-primary[href$='resources.team']")
    assert rows.filter(code="N-2", members=20).exists()

    # Many at once.
    for name in ("新矿山队", "改正队"):
        page.check(f"tr:has-text('{name}') input[name=row]")
    assert "2" in page.inner_text("[data-count]")
    page.click("[data-chosen] button[value=change]")
    page.check("input[name=set][value=vehicles]")
    page.fill("#id_to-vehicles", "5")
    page.click("main form .btn-primary")
    page.wait_for_url(f"**/registers/{TEAM}?*")
    assert rows.filter(vehicles=5).count() == 2

    # A label, its code, and where it leads.
    page.goto(f"{page.base}/registers/{TEAM}/labels?q=N-1")
    assert page.locator(".label svg").count() == 1 and "N-1" in page.inner_text(".label")
    row = rows.get(code="N-1")
    page.goto(f"{page.base}/registers/{TEAM}/{row.pk}/label")
    page.click("form[action$='/verify'] button")
    assert get(TEAM).rows().get(code="N-1").version == row.version + 1
    assert page.faults == []


def test_on_the_map_and_on_a_telephone(open_browser, alice, teams):
    from anlan.kernel.registers import get

    page = patient(open_browser(alice))
    page.goto(f"{page.base}/registers/{TEAM}/map")
    page.wait_for_selector("[data-drawn]")
    page.wait_for_function("document.querySelector('[data-map]').map.querySourceFeatures('rows').length > 0")
    names = page.evaluate("document.querySelector('[data-map]').map.querySourceFeatures('rows').map((one) => one.properties.name)")
    assert set(names) == {"蓝天救援队", "矿山救护队", "水上救援队"}
    assert page.faults == []

    phone = patient(open_browser(alice, phone=True))
    row = teams[0]
    for address in ("", "/map", "/new", "/import", f"/{row.pk}", f"/{row.pk}/edit", f"/{row.pk}/label"):
        phone.goto(f"{phone.base}/registers/{TEAM}{address}")
        wide = phone.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390, f"{address or 'the list'} is {wide} px wide"
    # A point from where the telephone is; what was typed outlives a page that is left.
    phone.context.grant_permissions(["geolocation"], origin=phone.base)
    phone.context.set_geolocation({"longitude": 119.2, "latitude": 28.2, "accuracy": 8})
    phone.goto(f"{phone.base}/registers/{TEAM}/{row.pk}/edit")
    phone.fill("#id_members", "31")
    phone.click("[data-pick-here]")
    phone.wait_for_function("document.querySelector('[data-lon]').value === '119.200000'")
    phone.reload()
    assert phone.input_value("#id_members") == "31"
    phone.click(".sticky-actions .btn-primary")
    phone.wait_for_url(f"**/{row.pk}")
    assert get(TEAM).rows().get(pk=row.pk).members == 31
    assert phone.faults == []
