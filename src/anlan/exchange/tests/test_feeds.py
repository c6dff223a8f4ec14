"""Our feed out, and other people's feeds in: conditional requests, links, failures with cause and remedy, and no call to a private address."""
from __future__ import annotations

from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from django.urls import reverse

from anlan.engines import cap
from anlan.exchange import keys, polling
from anlan.exchange.models import FeedLog, FeedSource, SignedAlert
from anlan.kernel import clock, journal, outbound, parties, work
from anlan.kernel.errors import Problem
from anlan.kernel.models import TwoPersonRequest
from anlan.warning import actions as warning
from anlan.warning.models import Alert
from anlan.warning.tests.builders import act, channel, issued

from .builders import link, second
from .test_take_in import message


@pytest.fixture
def site(far_side):
    """A web site on a free port: path → (status, headers, body); requests are kept."""
    pages, seen = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            status, headers, body = pages.get(self.path, (404, {}, b"no"))
            if headers.get("ETag") and self.headers.get("If-None-Match") == headers["ETag"]:
                status, body = 304, b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return far_side(Handler, pages=pages, seen=seen)


def feed_of(site, alice, actual, path="/feed", **extra):
    return link(alice, actual, url=site.url + path, **extra)


def atom(*links):
    entries = "".join(f'<entry><id>{link}</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated><link href="{link}"/></entry>' for link in links)
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><id>f</id><title>t</title><updated>2026-07-20T06:00:00+08:00</updated>{entries}</feed>'.encode()


def test_an_index_is_followed_once_and_then_asked_conditionally(actual, county, alice, site):
    site.pages["/feed"] = (200, {"ETag": '"v1"'}, atom("/a.cap", f"{site.url}/b.cap"))
    site.pages["/a.cap"] = (200, {}, message("a1"))
    site.pages["/b.cap"] = (200, {}, message("b1"))
    source = feed_of(site, alice, actual)
    log = polling.poll(source)
    assert (log.ok, log.received) == (True, 2) and Alert.plain.count() == 2
    source.refresh_from_db()
    log = polling.poll(source)
    seen = [path for path, _headers in site.seen]
    assert log.unchanged and [seen[0], *sorted(seen[1:3]), *seen[3:]] == ["/feed", "/a.cap", "/b.cap", "/feed"]  # the two at once, in whichever order


def test_the_links_of_an_index_are_fetched_some_at_once_and_taken_in_together(actual, county, alice, site, monkeypatch):
    """Three warnings, the third replaced in the same poll; a dead link is asked for again, and only it."""
    monkeypatch.setattr(polling, "TOGETHER", 3)
    third = Alert.plain.filter(identifier="a3")
    names = [f"/a{number}.cap" for number in (1, 2, 3)]
    site.pages["/feed"] = (200, {"ETag": '"v1"'}, atom(*names, "/u.cap", "/dead.cap"))
    for name in names:
        site.pages[name] = (200, {}, message(name[1:-4]))
    site.pages["/u.cap"] = (200, {}, message("u1", "2026-07-20T06:10:00+08:00", kind="Update", references="met@example.invalid,a3,2026-07-20T06:00:00+08:00"))
    site.pages["/dead.cap"] = (503, {}, b"")
    source = feed_of(site, alice, actual)
    log = polling.poll(source)
    assert (log.received, log.duplicates, log.code) == (4, 0, "http") and third.get().state == "updated"
    told = [fact for fact in journal.about(f"feed_source:{source.pk}") if fact.kind == "exchange.MessagesTakenIn"]
    assert [fact.payload["received"] for fact in told] == [3, 1]
    assert len([item for item in work.waiting_for(alice, actual) if item.kind == "warning.outside"]) == 3
    polling.poll(FeedSource.objects.get())
    assert [path for path, _headers in site.seen][-2:] == ["/feed", "/dead.cap"]


def test_a_failure_says_cause_and_remedy_and_backs_off_and_recovers(actual, county, alice, site):
    source = feed_of(site, alice, actual)
    log = polling.poll(source)
    assert not log.ok and log.code == "http_404"
    source.refresh_from_db()
    first = source.next_at - log.at
    log = polling.poll(source)
    source.refresh_from_db()
    assert source.failures == 2 and source.next_at - log.at > first
    site.pages["/feed"] = (200, {}, message())
    assert polling.poll(source).ok
    kinds = [fact.kind for fact in journal.about(f"feed_source:{source.pk}")]
    assert kinds.count("exchange.FeedFailed") == 1 and kinds.count("exchange.FeedRecovered") == 1


def test_who_asks_us_to_wait_is_not_asked_before(actual, county, alice, site):
    source = feed_of(site, alice, actual)
    site.pages["/feed"] = (503, {"Retry-After": "7200"}, b"")
    log = polling.poll(source)
    assert not log.ok and source.next_at == log.at + timedelta(hours=2)
    site.pages["/feed"] = (429, {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, b"")
    assert polling.poll(source).at < source.next_at < clock.now() + timedelta(hours=2)


def test_the_same_message_by_two_links_is_one_warning_and_each_link_says_so(actual, county, alice, site):
    first, second = (link(alice, actual, name=name, url=f"{site.url}/{name}") for name in ("a", "b"))
    site.pages["/a"] = site.pages["/b"] = (200, {}, message())
    logs = [polling.poll(first), polling.poll(second)]
    assert [(log.received, log.duplicates) for log in logs] == [(1, 0), (0, 1)] and Alert.plain.count() == 1


def test_a_feed_that_answers_but_says_nothing_new_is_work_until_it_speaks(actual, county, alice, site):
    source = feed_of(site, alice, actual, silent_after_min=60)
    site.pages["/feed"] = (200, {}, atom())
    assert polling.poll(source).ok and polling.watch() == 0
    later = clock.now() + timedelta(minutes=61)
    assert polling.watch(later) == 1 and polling.watch(later) == 0
    waiting = work.waiting_for(alice, actual).filter(kind="exchange.feed_silent")
    assert waiting.count() == 1 and waiting[0].params["source"] == "feed"
    site.pages["/feed"] = (200, {}, message())
    polling.poll(FeedSource.objects.get())
    assert polling.watch() == 1 and not waiting.all().exists() and FeedSource.objects.get().silent_since is None
    assert [fact.kind for fact in journal.about(f"feed_source:{source.pk}") if "Silent" in fact.kind or "Heard" in fact.kind] == ["exchange.FeedSilent", "exchange.FeedHeard"]


def test_a_page_instead_of_a_feed_is_named(actual, alice, site):
    site.pages["/feed"] = (200, {}, b"<html><body>maintenance</body></html>")
    log = polling.poll(feed_of(site, alice, actual))
    assert not log.ok and log.code == "not_cap" and "html" in log.cause


def test_a_dead_host_is_a_row_not_an_exception(actual, alice, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.1"]
    source = link(alice, actual, url="http://127.0.0.1:9/feed")
    assert polling.poll(source).code == "unreachable"


def test_only_due_links_are_polled(actual, county, alice, site):
    site.pages["/feed"] = (200, {}, message())
    source = feed_of(site, alice, actual)
    assert polling.poll_due() == 1 and polling.poll_due() == 0
    FeedSource.objects.filter(pk=source.pk).update(next_at=clock.now())
    assert polling.poll_due() == 1
    FeedSource.objects.filter(pk=source.pk).update(next_at=clock.now(), enabled=False)
    assert polling.poll_due() == 0 and FeedLog.objects.count() == 2


# --- the outbound client ---------------------------------------------------------------------------------------------


def refused(url, **options):
    with pytest.raises(Problem) as caught:
        outbound.get(url, **options)
    return caught.value.kind.code


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://10.1.2.3/", "http://169.254.169.254/latest", "http://192.168.1.1/", "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/", "http://2130706433/"])
def test_private_addresses_are_not_called(settings, url):
    settings.OUTBOUND_ALLOW = []
    assert refused(url) == "kernel.outbound_refused"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "gopher://x/", "http://user@host.invalid/", "http:///x", "http://a b/", "http://x:99999/"])
def test_only_plain_web_addresses_are_called(url):
    assert refused(url) == "kernel.outbound_refused"


def test_a_redirect_to_another_host_is_judged_again(site, settings):
    site.pages["/go"] = (302, {"Location": "http://169.254.169.254/latest/meta-data"}, b"")
    site.pages["/loop"] = (302, {"Location": "/loop"}, b"")
    site.pages["/fine"] = (302, {"Location": "/end"}, b"")
    site.pages["/end"] = (200, {}, b"here")
    assert refused(site.url + "/go") == "kernel.outbound_refused"
    assert refused(site.url + "/go", hosts=["169.254.169.254"]) == "kernel.outbound_refused"
    assert refused(site.url + "/loop") == "kernel.outbound_failed"
    assert outbound.get(site.url + "/fine").content == b"here"


def test_an_answer_too_large_is_cut_off(site):
    site.pages["/big"] = (200, {}, b"x" * 200_000)
    assert refused(site.url + "/big", max_bytes=100_000) == "kernel.outbound_failed"


# --- our feed --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cap_channel(db):
    return channel("cap_feed")


def test_an_issued_warning_stands_signed_in_the_feed_and_validates(client, actual, county, alice, bob, cap_channel, drain):
    row = issued(alice, bob, actual, county)
    drain()
    answer = client.get(reverse("exchange:cap_atom"))
    document = cap.read(answer.content)
    assert answer["Content-Type"].startswith("application/atom+xml") and document.valid and len(document.links) == 1
    raw = client.get(document.links[0].removeprefix("http://testserver")).content
    (found,) = cap.read(raw).messages
    assert found.valid and found.alert.identifier == row.identifier and found.signature == "rsa-sha256"
    assert cap.verify(raw, client.get(reverse("exchange:certificate")).content.decode()).state == "valid"
    assert client.get(document.links[0].removeprefix("http://testserver")).content == raw
    from django.conf import settings

    assert (settings.HOME / "keys" / "cap-signing.pem").stat().st_mode & 0o777 == 0o600
    assert SignedAlert.plain.get(alert=row).key_id == keys.key_id()


def test_the_feed_answers_304_until_something_changes(client, actual, county, alice, bob, cap_channel, drain):
    etag = client.get(reverse("exchange:cap_atom"))["ETag"]
    assert client.get(reverse("exchange:cap_atom"), headers={"If-None-Match": etag}).status_code == 304
    issued(alice, bob, actual, county)
    drain()
    answer = client.get(reverse("exchange:cap_atom"), headers={"If-None-Match": etag})
    assert answer.status_code == 200 and answer["ETag"] != etag


def test_nothing_of_an_exercise_a_draft_or_the_house_stands_in_it(client, actual, exercise, county, alice, bob, cap_channel, drain):
    issued(alice, bob, exercise, county, channels=[str(cap_channel.pk)])
    issued(alice, bob, actual, county, status="Test", channels=[str(cap_channel.pk)])
    internal = warning.compose(act(alice, actual), kind="call_down", hazard="11B03", colour="red", regions=[str(county.pk)], headline="叫应", channels=[str(cap_channel.pk)])
    warning.issue(act(alice, actual), alert=internal.pk)
    drain()
    assert cap.read(client.get(reverse("exchange:cap_atom")).content).entries == ()
    for row in Alert.plain.all():
        assert client.get(reverse("exchange:cap_message", args=[row.pk])).status_code == 404


def test_a_cancel_takes_its_place_at_once(client, actual, county, alice, bob, cap_channel, drain):
    row = issued(alice, bob, actual, county)
    drain()
    cancelling = warning.cancel(act(alice, actual), alert=row.pk, reason="误报")
    warning.approve(act(bob, actual), alert=cancelling.pk, seen_hash=cancelling.content_hash)
    warning.issue(act(bob, actual), alert=cancelling.pk)
    drain()
    entries = cap.read(client.get(reverse("exchange:cap_atom")).content).entries
    assert [entry.id for entry in entries] == [f"urn:uuid:{cancelling.pk}"]


def test_a_relayed_cap_message_goes_out_byte_for_byte(client, actual, county, alice, bob, cap_channel, drain):
    from .test_take_in import take

    outside = take(alice, actual, message())["received"][0]
    from uuid import UUID

    row = warning.relay(act(alice, actual), alert=UUID(outside))
    warning.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    warning.issue(act(bob, actual), alert=row.pk)
    drain()
    assert client.get(reverse("exchange:cap_message", args=[row.pk])).content == message()


def test_our_own_feed_can_be_read_by_another_installation(client, actual, county, alice, bob, cap_channel, drain, site):
    row = issued(alice, bob, actual, county)
    drain()
    raw = client.get(reverse("exchange:cap_message", args=[row.pk])).content
    site.pages["/feed"] = (200, {}, raw)
    source = feed_of(site, alice, actual)
    source.certificate = keys.certificate().decode()
    source.save(update_fields=["certificate"])
    assert polling.poll(source).received == 1
    copy = Alert.plain.get(kind="outside")
    assert copy.signature == "valid" and copy.hazard == "X-FLASHFLOOD" and copy.region_ids == [str(county.pk)] and copy.repairs == []


def test_the_pages_answer(client, actual, county, alice, signed_in, site):
    signed_in(client, alice)
    site.pages["/feed"] = (200, {}, message())
    form = {"name": "气象局", "kind": "poll", "url": site.url + "/feed", "mode": "lenient", "issuer": "weather_service", "interval_min": "5", "enabled": "on"}
    assert client.post(reverse("exchange:source_new"), form).status_code == 422  # a second person reads why
    assert client.post(reverse("exchange:source_new"), {**form, "reason": "agreed with them"}).status_code == 302
    source, asked = FeedSource.objects.get(), TwoPersonRequest.objects.get()
    assert client.post(reverse("exchange:poll_now", args=[source.pk])).status_code == 404 and polling.poll_due() == 0 and site.seen == []
    parties.confirm(act(second(), actual), request=asked.pk)
    assert client.post(reverse("exchange:poll_now", args=[source.pk])).status_code == 302
    for page in (reverse("exchange:feeds"), reverse("exchange:source", args=[source.pk]), reverse("exchange:source_edit", args=[source.pk])):
        assert client.get(page).status_code == 200, page
    assert client.get("/api/v1/exchange/sources").json()[0]["name"] == "气象局"
    push = {"name": "推送", "kind": "push", "mode": "lenient", "issuer": "other", "enabled": "on"}
    assert client.post(reverse("exchange:source_new"), push).status_code == 422
    shown = client.post(reverse("exchange:source_new"), {**push, "reason": "约定"})
    assert shown.status_code == 200 and "Bearer" in shown.content.decode() and shown["Cache-Control"] == "no-store"
