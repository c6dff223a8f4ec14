"""A closed loop worked through at the desk and on a narrow screen: two persons, a photograph, and a refusal that says why."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def photos(tmp_path: Any) -> list[str]:
    """Two photographs that are not the same."""
    from anlan.inspection.tests.builders import png

    made = [tmp_path / f"photo{number}.png" for number in range(2)]
    for path in made:
        path.write_bytes(png())
    return [str(path) for path in made]


def state(page: Any) -> str:
    return page.locator(".case-path li[aria-current]").inner_text()


def take(page: Any, step: str, files: str = "", **values: str) -> None:
    """Press the step's button on the case, fill its form in, and send it."""
    page.click(f"a[href$='/step/{step}']")
    fill(page, **values)
    if files:
        page.set_input_files("input[type=file]", files)
    page.click("form[method=post] .actions .btn-primary, form[method=post] .actions .btn-danger")
    page.wait_for_selector(".case-path")


def fill(page: Any, **values: str) -> None:
    for name, value in values.items():
        field = page.locator(f"[name={name}]")
        if field.evaluate("node => node.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)


def test_a_danger_from_the_report_to_being_struck_off_by_two_persons(open_browser, alice, bob, actual, county, photos):
    from anlan.kernel import clock

    today = clock.local(clock.now()).date()
    desk = open_browser(alice)
    desk.set_default_timeout(180_000)
    desk.goto(f"{desk.base}/loops/inspection.danger")
    desk.click("a[href$='/loops/inspection.danger/new']")
    fill(desk, title="配电箱无防护", source="self", kind="fire", premises="甲县化工厂", region=str(county.pk), text="箱门缺失", found_on=today.isoformat())
    desk.click("form[method=post] .actions .btn-primary")
    desk.wait_for_selector(".case-path")
    address, first = desk.url, state(desk)
    take(desk, "file")
    take(desk, "assess", grade="ordinary", basis="GB 50054 第 4.2 条")
    take(desk, "order", measures="加装防护门", responsible="张三", rectify_by=(today + timedelta(days=20)).isoformat(), precautions="断电挂牌")
    # Without its photograph the step is refused, beside the place where the file goes; nothing typed is lost.
    desk.click("a[href$='/step/rectify']")
    fill(desk, done="已加装")
    desk.click("form[method=post] .actions .btn-primary")
    desk.wait_for_selector("[role=alert]")
    assert desk.input_value("[name=done]") == "已加装"
    desk.set_input_files("input[type=file]", photos[0])
    desk.click("form[method=post] .actions .btn-primary")
    desk.wait_for_selector(".case-path")
    # Who put it right does not accept it: the page says so and offers no button.
    assert desk.locator("a[href$='/step/accept']").count() == 0
    assert "其他人员" in desk.locator(".plain-steps").inner_text()
    desk.goto(f"{address}/step/accept")
    assert "其他人员" in desk.locator("main").inner_text() and desk.locator("form [name=remark]").count() == 0

    phone = open_browser(bob, phone=True)
    phone.set_default_timeout(180_000)
    phone.goto(address)
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    take(phone, "accept", photos[1], remark="现场核验合格")
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    take(phone, "close", remark="销号")
    assert state(phone) not in ("", first)
    assert [link.get_attribute("href").rpartition("/")[2] for link in phone.locator(".case-steps a").all()] == ["reopen"]
    timeline = phone.locator(".case-timeline").inner_text()
    assert "alice" in timeline and "bob" in timeline and phone.locator(".case-timeline img").count() == 2
    assert [fault for page in (desk, phone) for fault in page.faults if "403" not in fault and "409" not in fault and "422" not in fault] == []


def test_a_line_of_a_plan_dragged_to_another_depot_by_mouse_is_judged_at_once_and_kept(open_browser, alice, actual, county, settings, tmp_path, drain):
    from anlan.logistics.tests.test_supply import Ground, searched

    home, settings.HOME = settings.HOME, tmp_path  # no road file
    ground = Ground(alice, actual, county)
    plan = ground.plan()
    found = searched(ground, plan, drain)
    settings.HOME = home
    assert ground.lines(found)["西库", "甲村", "水泵"] == 30
    desk = open_browser(alice)
    desk.goto(f"{desk.base}/logistics/plans/{plan.pk}?by=depot")
    line = desk.locator(f"tr[draggable=true][data-drag*='{ground.west.pk}'][data-drag*='{ground.pump.pk}']")
    onto = desk.locator(f"tr[data-drop='{ground.east.pk}']")
    line.drag_to(onto)
    desk.wait_for_url("**/line?*")
    # 40 wanted at the village: the east gives the thirty too, the west none; what it means stands there before anything is kept.
    assert desk.locator(f"input[name='units-{ground.west.pk}']").input_value() == "0"
    assert desk.locator(f"input[name='units-{ground.east.pk}']").input_value() == "40"
    judged = desk.locator("#judged")
    assert "不违反规则" in judged.inner_text()
    desk.fill(f"input[name='units-{ground.east.pk}']", "130")
    desk.locator("#judged", has_text="东库").wait_for()  # more than it holds
    desk.fill(f"input[name='units-{ground.east.pk}']", "40")
    desk.locator("#judged", has_text="不违反规则").wait_for()
    desk.click("form[method=post] .actions .btn-primary")
    desk.wait_for_url(f"**/logistics/plans/{plan.pk}*")
    plan.refresh_from_db()
    stands = plan.versions.order_by("-number").first()
    assert stands.kind == "hand" and ground.lines(stands)["东库", "甲村", "水泵"] == 40
