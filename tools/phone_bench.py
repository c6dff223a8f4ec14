"""Measure the telephone: 500 things done without a network, handed in over a slow link by the app itself in Chromium.

    DATABASE_URL=postgresql://… ANLAN_HOME=/tmp/x .venv/bin/python tools/phone_bench.py [--items 500] [--kbit 100] [--latency 800]

Wants an empty, migrated database it may fill. Prints one line of docs/benchmarks.md, and beside it the same operations as
plain form posts, one request each, over the same link (what the order pages do without the app).
"""
from __future__ import annotations

import argparse
import os
import shutil
import socket
import threading
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "anlan.runtime.settings")
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

FILL = """async ({ count, orders }) => {
  const account = localStorage.getItem('anlan.current');
  const db = await new Promise((ok) => { const r = indexedDB.open('anlan-phone-' + account); r.onsuccess = () => ok(r.result); });
  const get = (s, k) => new Promise((ok) => { const r = db.transaction(s).objectStore(s).get(k); r.onsuccess = () => ok(r.result); });
  const me = await get('parts', 'me'); let seq = (await get('meta', 'seq')) ?? 0;
  const tx = db.transaction(['queue', 'meta'], 'readwrite'), last = {};
  const add = (order, kind, more) => { const op_id = crypto.randomUUID(); seq += 1;
    const op = { op_id, kind, seq, at: new Date().toISOString(), realm: me.realm.id, after: last[order] ? [last[order]] : [], title: '转移低洼地带群众', order, files: [], ...more };
    tx.objectStore('queue').put({ op_id, seq, about: 'order:' + order, op, state: 'waiting', tries: 0 }); last[order] = op_id; };
  for (const order of orders) add(order, 'orders.accept', {});
  for (let i = orders.length; i < count; i++) add(orders[i % orders.length], 'orders.progress', { percent: i % 100, text: '第 ' + i + ' 次报告：已转移 ' + (i * 7) + ' 人，道路通行正常，需要补充冲锋舟两艘。' });
  tx.objectStore('meta').put(seq, 'seq');
  await new Promise((ok) => { tx.oncomplete = ok; }); db.close();
}"""
POSTS = """async ({ orders, count }) => {
  const token = () => document.cookie.split('; ').find((one) => one.startsWith('csrftoken=')).slice(10), begun = performance.now();
  for (let i = 0; i < count; i++) {
    const answer = await fetch('/orders/' + orders[i % orders.length] + '/progress', { method: 'POST', headers: { 'X-CSRFToken': token() }, body: new URLSearchParams({ percent: i % 100, text: '第 ' + i + ' 次报告：已转移 ' + (i * 7) + ' 人，道路通行正常，需要补充冲锋舟两艘。', op_id: crypto.randomUUID() }) });
    await answer.text();
  }
  return (performance.now() - begun) / 1000;
}"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--kbit", type=float, default=100)
    parser.add_argument("--latency", type=float, default=800)
    parser.add_argument("--posts", type=int, default=20, help="plain form posts to measure; their time is scaled up")
    args = parser.parse_args()
    import django

    django.setup()
    import uvicorn
    from django.conf import settings
    from django.test import Client
    from playwright.sync_api import sync_playwright

    from anlan.kernel import clock, orders, realms
    from anlan.kernel.access import CAPABILITIES
    from anlan.kernel.actions import Act, action
    from anlan.kernel.models import Account, PhoneOp
    from anlan.runtime.testing import make_actor, make_post, make_region
    from anlan.web import asgi

    tag = f"{clock.now():%H%M%S}"
    county = make_region(f"县{tag}", "county", square=(119.0, 28.0, 0.4))
    post = make_post("值班员", county, kind="duty_officer", capabilities=list(CAPABILITIES))
    actor, realm = make_actor(f"bench{tag}", post), realms.actual()

    @action("bench.phone_order")
    def give(act: Act, *, text: str) -> Any:
        return orders.issue(act, post=post.pk, text=text, source="bench:1", region=county.pk)

    given = [str(give(Act(actor, realm), text=f"转移第 {n} 组群众").pk) for n in range(10)]
    client = Client()
    client.force_login(Account.objects.get(pk=actor.account_id))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(asgi.application, port=port, log_level="warning", access_log=False))
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.02)
    url = f"http://127.0.0.1:{port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value, "url": url}])
        page = context.new_page()
        page.goto(url + "/phone/")
        page.wait_for_selector(".bar[data-state=idle][data-unsent='0']", timeout=120_000)
        page.wait_for_timeout(1000)
        page.wait_for_selector(".bar[data-state=idle][data-unsent='0']", timeout=120_000)
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")  # from here on it opens without a network
        page.wait_for_timeout(2000)
        context.set_offline(True)
        before = PhoneOp.objects.count()
        page.evaluate(FILL, {"count": args.items, "orders": given})
        page.reload()
        page.wait_for_selector(f".bar[data-unsent='{args.items}']", timeout=120_000)
        link = context.new_cdp_session(page)
        link.send("Network.enable")
        context.set_offline(False)
        link.send("Network.emulateNetworkConditions", {"offline": False, "latency": args.latency, "downloadThroughput": args.kbit * 125, "uploadThroughput": args.kbit * 125})
        sent: list[int] = []
        link.on("Network.dataReceived", lambda event: sent.append(event["encodedDataLength"]))
        begun = time.perf_counter()
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_selector(".bar[data-unsent='0']", timeout=1_200_000)
        took = time.perf_counter() - begun
        assert PhoneOp.objects.count() - before == args.items
        posts = page.evaluate(POSTS, {"orders": given, "count": args.posts}) / args.posts * args.items
        browser.close()
    server.should_exit = True
    load = os.getloadavg()[0]
    print(f"| phone: {args.items} things done offline handed in over {args.kbit:g} kbit/s, {args.latency:g} ms | {took:.1f} | s | Chromium, its own throttling; batches of up to 40, gzipped; load of the machine {load:.1f} |")
    print(f"| the same {args.items} as plain form posts, one after another | {posts:.0f} | s | measured on {args.posts}, scaled; same link, same pages as without the app |")


if __name__ == "__main__":
    main()
