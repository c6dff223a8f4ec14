"""A plan's document confirmed by keyboard alone: letters and Enter item by item, then a section in one step, and back."""
from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_editor_is_worked_by_keyboard_alone(open_browser, alice, actual):
    from anlan.plans import actions
    from anlan.plans.models import DraftItem
    from anlan.plans.tests.builders import act
    from anlan.plans.tests.test_drafts_editor import PAPER

    draft = actions.draft(act(alice, actual), document=PAPER.encode())
    page = open_browser(alice)

    def press(key, wait=True):
        """A letter that decides brings another page."""
        if not wait:
            page.keyboard.press(key)
            return
        if key == "Enter":
            page.wait_for_selector("button[autofocus]:focus")  # a browser focuses it when it first paints, which may be after the page has loaded
        with page.expect_navigation():
            page.keyboard.press(key)

    def states():
        return [item.state for item in DraftItem.objects.filter(draft=draft)]

    page.goto(f"{page.base}/plans/drafts/{draft.pk}")
    press("Enter")
    press("x")
    press("p")
    assert states() == ["confirmed", "dropped", "people", "open", "open"]
    # In a field a letter is a letter; Esc leaves it.
    page.locator("[name=post]").focus()
    press("x", wait=False)
    assert "x" in page.input_value("[name=post]") and states()[3] == "open"
    press("Escape", wait=False)
    press("l")
    assert page.locator("[name=item]:checked").count() == 2
    press("Enter")
    assert states() == ["confirmed", "dropped", "people", "confirmed", "confirmed"]
    press("u")
    assert states() == ["confirmed", "dropped", "people", "open", "open"] and not page.faults
