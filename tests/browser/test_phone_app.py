"""The installed app in Chromium: no network, a reload without one, a clock three hours off, killed while it sends; nothing lost, nothing doubled."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from anlan.kernel import clock, orders
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.models import Attachment, Order, OrderReceipt, PhoneDevice, PhoneOp

pytestmark = pytest.mark.django_db(transaction=True)


@action("tests.phone_order")
def give(act: Act, *, post: Any, text: str, region: Any) -> Order:
    return orders.issue(act, post=post, text=text, source="test:4", region=region, due_at=act.now + timedelta(hours=1))


@pytest.fixture
def some_orders(actual: Any, duty_post: Any, county: Any) -> list[Order]:
    return [give(Act(Actor.machine("tests"), actual), post=duty_post.pk, text=f"转移第 {n} 组群众", region=county.pk) for n in range(1, 8)]


def states() -> list[str]:
    return list(Order.objects.everything().order_by("issued_at").values_list("state", flat=True))


def settle(page: Any, unsent: int = 0) -> None:
    page.wait_for_selector(f".bar[data-unsent='{unsent}'][data-state=idle]", timeout=40_000)


def until(page: Any, holds: str, seconds: float = 40) -> None:
    """Ask the page until it holds; a string to evaluate in the page itself is what our content security policy forbids."""
    for _turn in range(round(seconds * 20)):
        if page.evaluate(holds):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {holds}")


def here(page: Any, holds: Callable[[], bool], seconds: float = 40) -> None:
    """Wait, in the browser's own time, for something to be so on the server."""
    for _turn in range(round(seconds * 20)):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it never came to be")


def open_app(page: Any) -> None:
    page.goto(page.base + "/phone/")
    page.wait_for_selector(".tabs-bottom a")
    settle(page)


def kept(page: Any) -> None:
    until(page, "navigator.serviceWorker.ready.then(() => true)")
    until(page, "caches.keys().then((names) => names.some((name) => name.startsWith('anlan-phone-')))")


def real_jpeg(page: Any) -> bytes:
    data = page.evaluate("""async () => { const c = new OffscreenCanvas(640, 480), x = c.getContext('2d'); x.fillStyle = '#386'; x.fillRect(0, 0, 640, 480); x.fillStyle = '#fff'; x.fillRect(99, 99, 200, 99);
      return [...new Uint8Array(await (await c.convertToBlob({ type: 'image/jpeg' })).arrayBuffer())]; }""")
    return bytes(data[:2]) + exif() + bytes(data[2:])


def exif() -> bytes:
    """An APP1 segment with DateTimeOriginal and a GPS position, little-endian."""
    import struct

    def entry(tag: int, kind: int, count: int, value: bytes) -> bytes:
        return struct.pack("<HHI", tag, kind, count) + value.ljust(4, b"\0")

    def degrees(value: float) -> bytes:
        return b"".join(struct.pack("<II", round(part * 1000), 1000) for part in (int(value), (value - int(value)) * 60, 0))

    inner_at, time_at = 38, 38 + 18
    gps_at = time_at + 20
    la_at = gps_at + 2 + 4 * 12 + 4
    tiff = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 2) + entry(0x8769, 4, 1, struct.pack("<I", inner_at)) + entry(0x8825, 4, 1, struct.pack("<I", gps_at)) + b"\0\0\0\0"
    tiff += struct.pack("<H", 1) + entry(0x9003, 2, 20, struct.pack("<I", time_at)) + b"\0\0\0\0" + b"2026:07:20 09:12:33\0"
    tiff += struct.pack("<H", 4) + entry(1, 2, 2, b"N\0") + entry(2, 5, 3, struct.pack("<I", la_at)) + entry(3, 2, 2, b"E\0") + entry(4, 5, 3, struct.pack("<I", la_at + 24)) + b"\0\0\0\0"
    tiff += degrees(28.05) + degrees(119.05)
    return b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff


def answer(page: Any, text: str, photo: bytes | None = None) -> None:
    """By thumb: open, accept, report half way with a photograph, done."""
    page.tap(f".item:has-text('{text}')")
    page.tap("button:has-text('接受命令')")
    page.wait_for_selector("button:has-text('上报进展')")
    if photo:
        page.set_input_files("input[type=file]", {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photo})
        page.wait_for_selector(".photos img")
    page.tap(".choice:has-text('50 %')")
    page.fill("#say", "已到位")
    page.tap("button:has-text('上报进展')")
    page.wait_for_selector(f".item:has-text('{text}')")
    page.tap(f".item:has-text('{text}')")
    page.tap("button:has-text('报告完成')")
    page.wait_for_selector(".tabs a")


def test_a_shift_without_a_network_is_handed_in_once_when_it_is_back(open_browser: Callable, some_orders: list[Order], alice: Any) -> None:
    page = open_browser(alice, phone=True)
    open_app(page)
    kept(page)
    here(page, lambda: set(states()) == {"delivered"})  # what reached the device is said so
    photo = real_jpeg(page)
    page.context.set_offline(True)
    page.wait_for_selector(".bar[data-state=off]")
    for number, order in enumerate(some_orders[:5]):
        answer(page, order.text, photo if number == 0 else None)
    until(page, "Number(document.querySelector('.bar').dataset.unsent) >= 20")
    small = page.evaluate("[...document.querySelectorAll('button, .tabs-bottom a, .item, .btn')].filter(e => e.offsetParent && e.getBoundingClientRect().height < 48).map(e => e.textContent.trim())")
    assert small == [], "targets of 48 px and more"
    page.reload()
    page.wait_for_selector(".tabs-bottom a")
    page.wait_for_selector("[data-count=me]")
    assert int(page.inner_text("[data-count=me]")) >= 20, "the queue is still there, and counted on the tab"
    page.goto(page.base + "/phone/#/queue")
    page.wait_for_selector(".queued")
    assert page.locator(".queued").count() >= 20
    page.locator(".queued:has-text('转移第 5 组') button:has-text('删除')").last.tap()
    page.tap("dialog .btn-danger")
    until(page, "!document.querySelector('dialog')")
    assert states() == ["delivered"] * 7
    page.context.set_offline(False)
    settle(page)
    assert states() == ["done"] * 4 + ["progress"] + ["delivered"] * 2, "the dropped answer was not sent, every other once"
    receipts = list(OrderReceipt.objects.everything().filter(order=some_orders[0]).order_by("at", "created_at").values_list("state", flat=True))
    assert receipts == ["delivered", "read", "accepted", "progress", "done"]
    file = Attachment.objects.everything().get()
    assert file.subject == f"order:{some_orders[0].pk}" and file.mime == "image/jpeg"
    assert "2026-07-20 09:12:33" in file.note and "119.05000, 28.05000" in file.note, "the camera's time and place"
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert [fault for fault in page.faults if "ERR_INTERNET_DISCONNECTED" not in fault] == []


def test_a_clock_three_hours_ahead_is_corrected(open_browser: Callable, some_orders: list[Order], alice: Any) -> None:
    page = open_browser(alice, phone=True)
    page.clock.install(time=clock.now() + timedelta(hours=3))
    page.clock.resume()
    open_app(page)
    page.tap(f".item:has-text('{some_orders[0].text}')")
    page.tap("button:has-text('接受命令')")
    settle(page)
    row = PhoneOp.objects.get(kind="orders.accept")
    assert abs(row.claimed_at - row.occurred_at - timedelta(hours=3)) < timedelta(minutes=1)
    accepted = Order.objects.everything().get(pk=some_orders[0].pk).accepted_at
    assert accepted is not None and abs(clock.now() - accepted) < timedelta(minutes=2)


def test_killed_while_it_sends_it_goes_on_and_doubles_nothing(chromium: Any, server: Any, some_orders: list[Order], alice: Any, client: Any, signed_in: Callable, tmp_path: Path) -> None:
    from django.conf import settings

    signed_in(client, alice)
    cookies = [{"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value, "url": server.url}, {"name": "django_language", "value": "zh-hans", "url": server.url}]

    def start() -> Any:
        # A profile on disk: what a killed browser leaves is what the next one finds.
        context = chromium.browser_type.launch_persistent_context(str(tmp_path / "profile"), executable_path=shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"), args=["--no-sandbox"], viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, locale="zh-CN")
        context.add_cookies(cookies)
        page = context.pages[0] if context.pages else context.new_page()
        page.base = server.url
        return context, page

    context, page = start()
    open_app(page)
    kept(page)
    context.set_offline(True)
    page.evaluate(FILL, {"count": 90, "order": str(some_orders[0].pk)})
    page.reload()
    until(page, "Number(document.querySelector('.bar')?.dataset.unsent) >= 90")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.url.endswith("/phone/sync") else None)
    context.set_offline(False)
    for _turn in range(2000):
        if len(sent) >= 2:
            break
        page.wait_for_timeout(20)
    context.close()  # the second batch is on its way: done or not, its answer finds nobody
    assert PhoneOp.objects.filter(kind="orders.progress").count() < 90, "it was killed in the middle"
    context, page = start()
    open_app(page)
    assert page.locator(".bar").get_attribute("data-unsent") == "0"
    assert PhoneOp.objects.filter(kind="orders.progress").count() == 90, "nothing lost"
    progress = OrderReceipt.objects.everything().filter(order=some_orders[0], state="progress")
    assert progress.count() == 90 and len(set(progress.values_list("text", flat=True))) == 90, "nothing doubled"
    context.close()


# Puts answers into the queue as the screens do, without ninety taps.
FILL = """async ({ count, order }) => {
  const account = localStorage.getItem('anlan.current');
  const db = await new Promise((ok, no) => { const r = indexedDB.open('anlan-phone-' + account); r.onsuccess = () => ok(r.result); r.onerror = () => no(r.error); });
  const get = (s, k) => new Promise((ok) => { const r = db.transaction(s).objectStore(s).get(k); r.onsuccess = () => ok(r.result); });
  const me = await get('parts', 'me'); let seq = (await get('meta', 'seq')) ?? 0, before = null;
  const tx = db.transaction(['queue', 'meta'], 'readwrite');
  const add = (kind, more) => { const op_id = crypto.randomUUID(); seq += 1; const op = { op_id, kind, seq, at: new Date().toISOString(), realm: me.realm.id, after: before ? [before] : [], title: '转移', order, files: [], ...more };
    tx.objectStore('queue').put({ op_id, seq, about: 'order:' + order, op, state: 'waiting', tries: 0 }); before = op_id; };
  add('orders.accept', {});
  for (let i = 0; i < count; i++) add('orders.progress', { percent: i % 100, text: 'n' + i + ' ' + 'x'.repeat(300) });
  tx.objectStore('meta').put(seq, 'seq');
  await new Promise((ok) => { tx.oncomplete = ok; }); db.close();
}"""


def test_a_device_withdrawn_clears_itself_and_says_why(open_browser: Callable, some_orders: list[Order], alice: Any, actual: Any) -> None:
    from anlan.kernel.phone import sync

    page = open_browser(alice, phone=True)
    open_app(page)
    sync.revoke(Act(alice, actual), device=PhoneDevice.objects.get().pk, why="丢失")
    page.goto(page.base + "/phone/#/me")
    page.reload()
    page.wait_for_selector("h1:has-text('本机数据已清除')", timeout=20_000)
    assert "丢失" in page.inner_text("main")
    left = page.evaluate("indexedDB.databases().then((all) => all.map((one) => one.name))")
    assert left == [], json.dumps(left)
    here(page, lambda: PhoneDevice.objects.get().wiped_at is not None)  # said by a page that may have been left before its answer came


CAMERA = """(said) => {
  window.BarcodeDetector = class { static getSupportedFormats() { return Promise.resolve(['qr_code']); } detect() { return Promise.resolve([{ rawValue: said }]); } };
  const canvas = document.createElement('canvas'), paint = canvas.getContext('2d'); let n = 0;
  setInterval(() => { paint.fillStyle = n++ % 2 ? '#000' : '#fff'; paint.fillRect(0, 0, 99, 99); }, 50);  // a picture that never changes is never sent
  navigator.mediaDevices.getUserMedia = () => Promise.resolve(canvas.captureStream(5));
}"""


LEFT_WHILE_WRITING = """() => {  // what a browser does to a page that goes before its transaction is through
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (...given) { const asked = put.apply(this, given); if (this.name === 'drafts') this.transaction.abort(); return asked; };
}"""


def a_lot_to_count(alice: Any, actual: Any, county: Any) -> Any:
    from anlan.kernel import clock
    from anlan.resources import actions
    from anlan.resources.models import StockCount
    from anlan.resources.tests.builders import item, receive, warehouse

    water, store = item(alice, actual), warehouse(alice, actual, county)
    receive(alice, actual, store, water, 9, lot="A7")
    actions.open_stock_take(Act(alice, actual), warehouse=store.pk, due_on=clock.local(clock.now()).date())
    return StockCount.plain.get()


def test_registers_and_cases_are_kept_by_the_same_forms_without_a_network(open_browser: Callable, actual: Any, alice: Any, county: Any) -> None:
    from anlan.kernel.loops import LOOPS
    from anlan.kernel.registers import actions as registers
    from anlan.kernel.registers import get

    team = registers.create(Act(alice, actual), register="resources.team", values={"code": "D-001", "name": "甲县消防救援大队", "kind": "fire", "members": 30, "region": str(county.pk), "point": [119.1, 28.1]})
    count = a_lot_to_count(alice, actual, county)
    page = open_browser(alice, phone=True)
    open_app(page)
    kept(page)
    page.context.set_offline(True)
    page.wait_for_selector(".bar[data-state=off]")
    # a stock-take: the camera reads the lot's label, and its count is asked for
    page.goto(page.base + "/phone/#/report")
    page.evaluate(CAMERA, f"https://example.org/resources/supplies/stock/{count.stock_id}")
    page.tap("button:has-text('扫标签')")
    page.wait_for_selector("#f-counted")
    page.evaluate("window.BarcodeDetector = undefined")
    page.fill("#f-counted", "７")
    page.locator("#f-unit").select_option("piece")
    page.tap("form .btn-primary")
    page.wait_for_url("**/phone/#/orders")
    # by its label: the code typed, for this browser reads no QR codes
    page.goto(page.base + "/phone/#/report")
    page.tap("button:has-text('扫标签')")
    page.fill("dialog input", "d-001")
    page.tap("dialog .btn-primary")
    page.wait_for_selector("h1:has-text('甲县消防救援大队')")
    page.tap("a:has-text('修改')")
    page.fill("#f-members", "三十")
    page.tap("form .btn-primary")
    page.wait_for_selector(".field.invalid[data-name=members]")
    assert not page.locator(".field[data-name=grade]").is_visible(), "asked only of social teams"
    page.evaluate(LEFT_WHILE_WRITING)
    page.fill("#f-members", "３６")
    page.reload()
    page.wait_for_selector("#f-members")
    assert page.input_value("#f-members") == "36", "every keystroke is kept, full-width digits as digits"
    page.tap("form .btn-primary")
    page.wait_for_selector("a:has-text('修改')")
    # a danger: photograph first
    page.goto(page.base + "/phone/#/report")
    page.wait_for_selector(".photo-button")
    page.set_input_files("input[type=file]", {"name": "IMG_2.jpg", "mimeType": "image/jpeg", "buffer": real_jpeg(page)})
    page.wait_for_selector(".photos img")
    page.tap("button.pick:has-text('上报隐患')")
    page.wait_for_selector("#f-title")
    assert page.locator(".photos img").count() == 1, "it came along into the form"
    page.fill("#f-title", "烟花仓库消防通道堵塞")
    page.fill("#f-premises", "甲县烟花仓库")
    page.fill("#f-text", "通道被货物堵塞")
    for name in ("source", "kind"):
        field = page.locator(f".field[data-name={name}]")
        if field.locator("select").count():
            field.locator("select").select_option(index=1)
        else:
            field.locator(".choice").first.tap()
    page.locator("#f-region").select_option(str(county.pk))
    page.tap("form .btn-primary")
    page.wait_for_selector(".item:has-text('烟花仓库消防通道堵塞')")
    page.context.set_offline(False)
    settle(page)
    assert get("resources.team").rows().get(pk=team.pk).members == 36
    count.refresh_from_db()
    assert (count.state, count.counted, count.difference) == ("counted", 7, -2), "another person decides about the two that are missing"
    case = LOOPS["inspection.danger"].model.plain.get()
    assert case.title == "烟花仓库消防通道堵塞" and Attachment.objects.everything().filter(subject=f"danger:{case.pk}").count() == 1
    assert case.number in page.inner_text("main") or page.goto(page.base + f"/phone/#/case/{case.pk}") is None


def test_both_languages_and_both_lights(open_browser: Callable, some_orders: list[Order], alice: Any, actual: Any) -> None:
    import re

    for lang, dark in (("en", False), ("zh-hans", True)):
        page = open_browser(alice, phone=True, lang=lang, dark=dark)
        open_app(page)
        for tab in ("orders", "map", "report", "me", "queue", "registers"):
            page.goto(page.base + f"/phone/#/{tab}")
            page.wait_for_selector("main > *")
            page.wait_for_timeout(60)
            frame = page.inner_text(".tabs-bottom") + page.inner_text(".bar") + (page.inner_text("main h1") if page.locator("main h1").count() else "")
            if lang == "en":
                assert not re.search(r"[\u4e00-\u9fff]", frame.replace("中文", "")), (tab, frame)
            else:
                assert not re.search(r"[A-Za-z]{4,}", frame.replace("alice", "")), (tab, frame)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), tab
        assert page.faults == []
