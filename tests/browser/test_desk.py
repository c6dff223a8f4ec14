"""The duty desk in a browser: what comes appears without a reload, and sounds until somebody acknowledges it."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from anlan.kernel import work
from anlan.kernel.actions import Act, Actor, action

pytestmark = pytest.mark.django_db(transaction=True)


@action("tests.wait")
def let_wait(act: Act, *, post: Any, subject: str, level: str, msgid: str, region: Any = None) -> None:
    work.open(act, post=post, kind="tests.wait", subject=subject, msgid=msgid, level=level, region=region, due_at=act.now + timedelta(minutes=20))


def test_it_shows_a_new_item_without_a_reload_and_rings_until_acknowledged(open_browser, actual, alice, duty_post, county, drain):
    page = open_browser(alice)
    page.goto(page.base + "/")
    page.wait_for_selector("#waits .empty")
    page.wait_for_selector("body[data-stream=open]")
    page.evaluate("window.kept = 'same page'")

    let_wait(Act(Actor.machine("tests"), actual), post=duty_post.pk, subject="region:" + str(county.pk), level="red", msgid="A test waits for you", region=county.pk)
    drain()

    page.wait_for_selector("#waits .wait.edge-red")
    page.wait_for_selector("#alarm [data-alarm]")
    assert page.evaluate("window.kept") == "same page"
    assert "A test waits for you" in page.inner_text("#waits")
    page.click("#alarm button.btn-primary")
    page.wait_for_selector("#alarm", state="detached")
    assert page.locator("#waits .wait").count() == 1, "acknowledging stops the sound, not the item"
    assert page.faults == []
