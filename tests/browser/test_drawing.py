"""The area of a warning drawn on the map: by mouse, by keyboard, by a river; it fills what can be typed, and says at once who lies inside."""
from __future__ import annotations

from typing import Any

import pytest
import shapely

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def land(town: Any, county: Any) -> Any:
    """Two villages and a river through the middle of the town."""
    from anlan.kernel.models import Region
    from anlan.runtime.testing import make_region

    lon = (town.west + town.east) / 2
    for name, x, y, people in (("河边村", lon + 0.004, 28.05, 300), ("坡上村", lon + 0.045, 28.09, 500)):
        make_region(name, "village", town, lon=x, lat=y, population=people, population_source="试验数据")
    line = shapely.LineString([(lon, 28.0), (lon, 28.4)])
    return Region.objects.create(name="霁水", name_en="Ji River", kind="river", lon=lon, lat=28.0, area_wkb=shapely.to_wkb(line), west=lon, east=lon, south=28.0, north=28.4)


def at(page: Any, lon: float, lat: float) -> None:
    """A press on that place of the map."""
    point = page.evaluate("([x, y]) => { const m = document.querySelector('[data-draw-map]').map, p = m.project([x, y]), b = m.getCanvas().getBoundingClientRect(); return [b.x + p.x, b.y + p.y]; }", [lon, lat])
    page.mouse.click(*point)


def test_an_outline_a_keyboard_and_a_river_give_the_area_of_a_warning(open_browser, alice, land):
    from anlan.warning.models import Alert

    page = open_browser(alice)
    page.set_default_timeout(180_000)
    page.goto(f"{page.base}/warning/compose?kind=prompt")
    page.check("#area input[value=polygon]")
    page.locator("[data-draw-map]").scroll_into_view_if_needed()  # it comes when it is looked at
    page.wait_for_selector("[data-draw-ready]")
    page.evaluate("document.querySelector('[data-draw-map]').map.jumpTo({center: [119.05, 28.05], zoom: 10.5})")
    corners = page.locator("[name=corners]")
    for place in ((119.04, 28.04), (119.07, 28.04), (119.07, 28.08), (119.1, 28.1)):
        at(page, *place)
    assert len(corners.input_value().splitlines()) == 4
    page.click("[data-draw-undo]")
    page.wait_for_selector("#whom:has-text('1 个村'):has-text('300')")

    # The same without a mouse: the map moves under the cross, Enter puts a corner there.
    page.click("[data-draw-clear]")
    assert corners.input_value() == ""
    page.locator("[data-draw-map] canvas").focus()
    for lon, lat in ((119.0, 28.0), (119.1, 28.0), (119.1, 28.1), (119.0, 28.1)):
        page.evaluate("([x, y]) => document.querySelector('[data-draw-map]').map.jumpTo({center: [x, y]})", [lon, lat])
        page.keyboard.press("Enter")
    page.wait_for_selector("#whom:has-text('2 个村'):has-text('800')")

    page.check("#area input[value=river]")
    page.evaluate("document.querySelector('[data-draw-map]').map.jumpTo({center: [119.05, 28.05], zoom: 10.5})")
    page.wait_for_function("document.querySelector('[data-draw-map]').map.loaded()")
    at(page, 119.05, 28.02)
    at(page, 119.05, 28.07)
    page.wait_for_selector("#whom:has-text('霁水'):has-text('河边村')")
    page.check("input[name=colour][value=red]")
    page.select_option("[name=hazard]", "X-FLASHFLOOD")
    page.fill("[name=headline]", "山洪红色提示")
    page.click("button.btn-big")
    page.wait_for_selector("#alert")
    row = Alert.plain.get()
    assert row.drawn["river"] == str(land.pk) and row.area_text.startswith("霁水") and row.drawn["from"][1] == pytest.approx(28.02, abs=0.003)
    assert page.faults == []
