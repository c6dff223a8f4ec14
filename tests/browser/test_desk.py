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


EAR = """
(() => {
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (to, ...rest) {
    if (to instanceof AudioDestinationNode) {
      const ear = this.context.createAnalyser(); ear.fftSize = 2048; window.ear = ear;
      connect.call(this, ear);
    }
    return connect.call(this, to, ...rest);
  };
  window.peak = () => { if (!window.ear) return 0; const wave = new Float32Array(2048); ear.getFloatTimeDomainData(wave); return Math.max(...wave.map(Math.abs)); };
})()
"""


def listen(page: Any, right: Any, tries: int = 200) -> None:
    """Wait until what is heard is right (the page's policy forbids the eval that Playwright's own waiting uses)."""
    for _ in range(tries):
        peak = page.evaluate("window.peak()")
        if right(peak):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"heard a peak of {peak}")


def test_the_alarm_is_heard_until_acknowledged(open_browser, actual, alice, duty_post, county, drain):
    """What reaches the loudspeaker is listened to: the tone of the sound test, the alarm of a red item, silence after."""
    page = open_browser(alice)
    page.context.add_init_script(EAR)
    page.goto(page.base + "/")
    page.wait_for_selector("body[data-stream=open]")
    page.click("[data-sound-test]:visible, [data-sound-button]:visible")
    listen(page, lambda peak: peak > 0.2)
    listen(page, lambda peak: peak < 0.001)

    let_wait(Act(Actor.machine("tests"), actual), post=duty_post.pk, subject="region:" + str(county.pk), level="red", msgid="A test waits for you", region=county.pk)
    drain()
    page.wait_for_selector("#alarm [data-alarm]")
    listen(page, lambda peak: peak > 0.2)
    page.click("#alarm button.btn-primary")
    page.wait_for_selector("#alarm", state="detached")
    listen(page, lambda peak: peak < 0.001)
    assert page.faults == []


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
