"""The order inbox on a phone: one hand, large targets, read → accept → progress → done, or refuse with a reason."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from anlan.kernel import orders
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


@action("tests.order")
def give(act: Act, *, post: Any, text: str, region: Any) -> Order:
    return orders.issue(act, post=post, text=text, source="test:1", region=region, due_at=act.now + timedelta(hours=1))


@pytest.fixture
def order(actual: Any, duty_post: Any, county: Any) -> Order:
    return give(Act(Actor.machine("tests"), actual), post=duty_post.pk, text="转移低洼地带群众", region=county.pk)


def state(order: Order) -> str:
    return Order.objects.everything().get(pk=order.pk).state


def test_an_order_goes_from_delivered_to_done_by_thumb(open_browser, order, alice):
    page = open_browser(alice, phone=True)
    page.goto(page.base + "/orders")
    page.wait_for_selector(".order-card")
    page.tap(".order-card")
    page.wait_for_selector("form[action$='/accept'] button")
    page.wait_for_timeout(1200)
    assert state(order) == "read", "opening it is reading it, without a press"
    small = page.evaluate(
        "[...document.querySelectorAll('main button, .tabs-bottom a')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 48).map(e => e.textContent.trim())"
    )
    assert small == [], "targets of 48 px and more"
    page.tap("form[action$='/accept'] button")
    page.wait_for_selector("form[action$='/progress']")
    assert state(order) == "accepted"
    page.locator("form[action$='/progress'] input[value='50']").check(force=True)
    page.fill("#progress-text", "已转移 620 人")
    page.tap("form[action$='/progress'] button")
    page.wait_for_selector(".state:has-text('50')")
    page.fill("#done-text", "全部转移完毕")
    page.tap("form[action$='/done'] button")
    page.wait_for_selector(".state-done")
    assert state(order) == "done"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing runs over the edge"
    assert page.faults == []


def test_a_refusal_needs_its_reason(open_browser, order, alice):
    page = open_browser(alice, phone=True)
    page.goto(page.base + f"/orders/{order.pk}")
    page.tap("details summary")
    page.tap("form[action$='/refuse'] button")
    assert page.evaluate("document.querySelector('#refuse-text').validity.valueMissing")
    page.fill("#refuse-text", "桥断，车辆过不去")
    page.tap("form[action$='/refuse'] button")
    page.wait_for_selector(".state-failed")
    assert state(order) == "refused"


def test_a_new_order_appears_in_the_open_inbox_by_itself(open_browser, actual, alice, duty_post, county, drain):
    page = open_browser(alice, phone=True)
    page.goto(page.base + "/orders")
    page.wait_for_selector("#order-list .empty")
    page.wait_for_selector("body[data-stream=open]")
    give(Act(Actor.machine("tests"), actual), post=duty_post.pk, text="关闭长河隧道", region=county.pk)
    drain()
    page.wait_for_selector(".order-card")
    assert "关闭长河隧道" in page.inner_text("#order-list")
