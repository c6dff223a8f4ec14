"""The frame: signing in, both languages whole, keyboard, and nothing from or to another machine on any main page."""
from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = pytest.mark.django_db(transaction=True)


def main_pages() -> list[str]:
    """Every room of the left rail, and what a person needs besides."""
    from django.urls import reverse

    from anlan.kernel import shell

    more = ["web:me", "kernel:account", "sensing:rules", "warning:enter", "plans:terms", "command:reports"]
    return [reverse(name) for name in [*(room.page for room in shell.ROOMS), *more]]


# Latin letters that a Chinese page rightly shows: names of things that have no other name.
LATIN = re.compile(r"\b[A-Za-z][a-z]{3,}\b")
ALLOWED = {
    "alice", "English", "Anlan", "Enter", "JSON", "Atom", "WebGL", "MQTT", "HTTP", "HTTPS", "GeoJSON", "Excel", "xlsx", "json", "token", "curl", "html", "csv", "https",
    "http", "order", "zhengzhou", "anlan", "replay", "valencia", "Shift", "Ctrl", "Tab", "Esc", "email", "mail", "atom", "test", "cert", "SHA", "yaml", "rambla", "Poyo",
}


ADDRESSES_AND_KEYS = re.compile(r"https?://\S+|\b[a-z0-9]+(?:-[a-z0-9]+)+\b")


def english_in(text: str) -> list[str]:
    """English words left on a Chinese page; addresses and the keys of plans and rules are no words."""
    text = ADDRESSES_AND_KEYS.sub(" ", text)
    return sorted({word for word in LATIN.findall(text) if word not in ALLOWED})


def test_a_person_signs_in_and_stands_at_the_desk(open_browser, actual, alice):
    from anlan.kernel.models import Account

    page = open_browser(None)
    page.goto(page.base + "/")
    assert "/sign-in" in page.url
    page.fill("input[type=password]", "wrong horse")
    page.fill("input:not([type=hidden]):not([type=password])", Account.objects.get(pk=alice.account_id).name)
    page.click("main .btn-primary")
    assert "/sign-in" in page.url, "a wrong password leads nowhere"
    page.fill("input:not([type=hidden]):not([type=password])", Account.objects.get(pk=alice.account_id).name)
    page.fill("input[type=password]", "correct horse battery")
    page.click("main .btn-primary")
    page.wait_for_url(lambda url: "/sign-in" not in url)
    page.goto(page.base + "/")
    page.wait_for_selector("#waits, form [name=code], form[action*=enrol]")


def test_every_main_page_is_whole_in_chinese_and_asks_nobody_else(open_browser, actual, alice):
    page = open_browser(alice)
    untranslated: dict[str, Any] = {}
    for address in main_pages():
        response = page.goto(page.base + address)
        assert response.status == 200, f"{address} answers {response.status}"
        page.wait_for_selector("main")
        if found := english_in(page.inner_text("body")):
            untranslated[address] = found
    assert untranslated == {}
    assert page.outside == []
    assert page.faults == []


def test_every_main_page_is_whole_in_english(open_browser, actual, alice):
    page = open_browser(alice, lang="en")
    for address in main_pages():
        assert page.goto(page.base + address).status == 200, address
        frame = page.inner_text(".rail nav") + page.inner_text("h1")
        assert not re.search(r"[\u4e00-\u9fff]", frame), (address, frame)
    assert page.faults == []


def test_the_main_pages_fit_a_phone(open_browser, actual, alice):
    page = open_browser(alice, phone=True)
    wide = []
    for address in main_pages():
        page.goto(page.base + address)
        page.wait_for_selector("main")
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
            wide.append(address)
    assert wide == []


def test_the_keyboard_reaches_search_help_rooms_and_lists(open_browser, actual, alice):
    page = open_browser(alice)
    page.goto(page.base + "/")
    page.wait_for_selector("#waits")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    assert page.evaluate("document.getElementById('keys-help').open")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("j")
    page.wait_for_url("**/journal")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "the first stop leads past the frame"


def test_light_and_dark_are_readable(open_browser, actual, alice):
    """Contrast of the body text of each theme, from the colours the browser computed: WCAG's 4.5 : 1."""
    for dark in (False, True):
        page = open_browser(alice, dark=dark)
        page.goto(page.base + "/journal")
        page.wait_for_selector("main h1")
        ratios = page.evaluate(
            """() => {
              const lin = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
              const lum = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number); return 0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b); };
              const ground = (el) => { for (let e = el; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c) && c !== 'transparent') return c; } return 'rgb(255,255,255)'; };
              const out = {};
              const probe = document.createElement('div'); document.querySelector('main').append(probe);
              for (const cls of ['level level-red', 'level level-orange', 'level level-yellow', 'level level-blue', 'muted', 'btn', 'btn btn-primary', 'btn btn-danger', 'state state-done', 'chip']) {
                const el = document.createElement('span'); el.className = cls; el.textContent = 'x'; probe.append(el);
                const [a, b] = [lum(getComputedStyle(el).color), lum(ground(el))].sort((x, y) => y - x);
                out[cls] = (a + 0.05) / (b + 0.05);
              }
              probe.remove(); return out; }"""
        )
        assert {name: round(ratio, 2) for name, ratio in ratios.items() if ratio < 4.5} == {}, f"dark={dark}"
