"""The desk, the map and the frame's small parts, through the HTTP door."""
from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import override_settings
from django.urls import get_resolver

from anlan.kernel import work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.models import Realm, WorkItem
from anlan.warning.models import Attempt
from anlan.warning.tests.builders import issued

pytestmark = pytest.mark.django_db


@action("tests.put")
def put(act: Act, *, post: Any, subject: str, msgid: str, level: str = "", minutes: int = 10, region: Any = None) -> WorkItem:
    return work.open(act, post=post, kind="tests.put", subject=subject, msgid=msgid, level=level, due_at=act.now + timedelta(minutes=minutes), region=region)


def machine(realm: Any) -> Act:
    return Act(Actor.machine("tests"), realm)


def test_what_runs_out_first_stands_on_top(client, signed_in, actual, alice, duty_post):
    put(machine(actual), post=duty_post.pk, subject="a:1", msgid="Later matter", minutes=30)
    put(machine(actual), post=duty_post.pk, subject="a:2", msgid="Sooner matter", minutes=3)
    text = signed_in(client, alice).get("/").content.decode()
    assert 0 < text.index("Sooner matter") < text.index("Later matter")


def test_an_outsider_sees_none_of_it(client, signed_in, actual, charlie, duty_post, county):
    put(machine(actual), post=duty_post.pk, subject="a:1", msgid="Secret matter", region=county.pk)
    client = signed_in(client, charlie)
    for address in ("/", "/desk/waits", "/desk/alarm", "/desk/line", "/journal", "/desk/actual"):
        response = client.get(address)
        assert response.status_code == 200
        assert "Secret matter" not in response.content.decode(), address


def test_actual_items_stand_above_an_exercise(client, signed_in, actual, exercise, alice, duty_post):
    put(machine(exercise), post=duty_post.pk, subject="a:1", msgid="Drill matter", minutes=1)
    put(machine(actual), post=duty_post.pk, subject="a:2", msgid="Real matter", minutes=50)
    client = signed_in(client, alice)
    client.post(f"/realms/{exercise.pk}/enter")
    text = client.get("/desk/waits").content.decode()
    assert text.index("Real matter") < text.index("Drill matter")
    assert "Real matter" in client.get("/desk/actual").content.decode()
    page = client.get("/").content.decode()
    assert "band-frame" in page and "演练一" in page


def test_in_actual_operations_no_exercise_shows(client, signed_in, actual, exercise, alice, duty_post):
    put(machine(exercise), post=duty_post.pk, subject="a:1", msgid="Drill matter", level="red")
    client = signed_in(client, alice)
    assert "Drill matter" not in client.get("/").content.decode()
    assert "Drill matter" not in client.get("/desk/alarm").content.decode()


def test_a_red_item_rings_until_acknowledged_and_still_waits(client, signed_in, actual, alice, duty_post):
    item = put(machine(actual), post=duty_post.pk, subject="a:1", msgid="Red matter", level="red")
    put(machine(actual), post=duty_post.pk, subject="a:2", msgid="Orange matter", level="orange")
    client = signed_in(client, alice)
    assert client.get("/desk/alarm").content.decode().count("data-alarm=") == 1
    client.post(f"/desk/seen/{item.pk}")
    assert "data-alarm=" not in client.get("/desk/alarm").content.decode()
    assert "Red matter" in client.get("/desk/waits").content.decode()


def test_an_alert_is_shown_when_a_desk_of_its_post_is_and_not_before(client, signed_in, actual, county, alice, bob, charlie, drain):
    row = issued(alice, bob, actual, county)
    drain()
    laid = Attempt.plain.get(alert=row, channel__adapter="in_app", target=f"post:{alice.post_id}")
    assert laid.state == "sent" and not laid.receipts.exists()
    signed_in(client, charlie).get("/")
    assert not laid.receipts.exists(), "another county's desk shows nothing of it"
    client = signed_in(client, alice)
    WorkItem.objects.everything().filter(subject=f"alert:{row.pk}").update(level="orange")
    client.get("/desk/alarm")
    assert not laid.receipts.exists(), "an alarm of red matters does not show it"
    client.get("/desk/waits", headers={"Anlan-Visible": "hidden"})
    assert not laid.receipts.exists(), "a tab that nobody looks at shows it to nobody"
    client.get("/desk/waits", headers={"Anlan-Visible": "visible"})
    assert [receipt.kind for receipt in laid.receipts.all()] == ["read"] and laid.receipts.get().person == alice.person_id
    laid.refresh_from_db()
    assert laid.state == "delivered"


def test_an_outsider_cannot_silence_it(client, signed_in, actual, alice, charlie, duty_post, county):
    item = put(machine(actual), post=duty_post.pk, subject="a:1", msgid="Red matter", level="red", region=county.pk)
    assert signed_in(client, charlie).post(f"/desk/seen/{item.pk}").status_code == 403
    assert WorkItem.objects.everything().get(pk=item.pk).seen_at is None


def test_anyone_on_duty_stops_a_drill_in_one_step(client, signed_in, actual, exercise, alice):
    client = signed_in(client, alice)
    client.post(f"/realms/{exercise.pk}/enter")
    response = client.post("/realms/stop")
    assert response.status_code == 302
    assert Realm.objects.get(pk=exercise.pk).is_over
    assert "band-frame" not in client.get("/").content.decode(), "who stopped it stands in actual operations again"


def test_an_actual_items_clock_runs_by_the_real_time_above_an_exercise(client, signed_in, actual, exercise, alice, duty_post):
    put(machine(actual), post=duty_post.pk, subject="a:1", msgid="Real matter", minutes=10)
    Realm.objects.filter(pk=exercise.pk).update(clock="manual", now_at=datetime(2031, 1, 1, tzinfo=UTC))
    client = signed_in(client, alice)
    client.post(f"/realms/{exercise.pk}/enter")
    for address in ("/desk/actual", "/desk/waits"):
        shown = client.get(address).content.decode()
        assert "data-at=" in shown and "overdue" not in shown, address


def test_language_and_light_are_kept_and_never_lead_elsewhere(client, signed_in, actual, alice):
    client = signed_in(client, alice)
    response = client.post("/desk/language", {"language": "en", "next": "https://elsewhere.example/"})
    assert response["Location"] == "/"
    assert 'lang="en"' in client.get("/").content.decode()
    client.post("/desk/theme", {"theme": "dark", "next": "/map"})
    assert 'data-theme="dark"' in client.get("/").content.decode()


def test_no_page_holds_an_inline_script_or_style(client, signed_in, actual, alice):
    client = signed_in(client, alice)
    for address in ("/", "/map", "/journal", "/orders", "/realms", "/me", "/?wall=1", "/nowhere"):
        response = client.get(address)
        text = response.content.decode()
        assert " style=" not in text and "<style" not in text and "onclick=" not in text and "javascript:" not in text, address
        assert text.count("<script") == text.count('type="module"') + text.count('type="application/json"'), address
        assert "'unsafe" not in response["Content-Security-Policy"]


def test_the_map_says_which_layers_there_are_and_where_the_post_is(client, signed_in, actual, alice, county, county2):
    client = signed_in(client, alice)
    data = client.get("/map/data").json()
    assert data["bbox"] == [119.0, 28.0, 119.4, 28.4]
    assert "regions" in [layer["id"] for layer in data["layers"]]
    shapes = client.get("/map/layers/regions").json()
    assert {f["properties"]["name"] for f in shapes["features"]} >= {"甲县", "乙县"}
    assert client.get("/map/data?at=119.1,nonsense").status_code == 422
    assert client.get("/map/layers/nothing").status_code == 404


def test_a_point_on_the_map_answers_the_smallest_region_that_holds_it(client, signed_in, actual, alice, county, town):
    client = signed_in(client, alice)
    assert "甲一镇" in client.get("/map/area?lon=119.05&lat=28.05").content.decode()
    assert "甲县" in client.get("/map/area?lon=119.3&lat=28.3").content.decode()
    sheet = client.get("/map/area?lon=119.05&lat=28.05").content.decode()
    # What the house keeps is counted with a link; what it keeps no register of says so, and is not "none".
    assert "/registers/resources.team" in sheet and "避难场所" in sheet and "尚未建立台账" in sheet
    links = set(re.findall(r'href="(/(?:registers|loops)[^"]*)"', sheet))
    assert "/loops/inspection.danger/list" in {link.partition("?")[0] for link in links}
    assert {link: client.get(html.unescape(link)).status_code for link in links} == dict.fromkeys(links, 200), "each leads to a page, not to a refusal"
    assert client.get("/map/area?lon=0&lat=0").status_code == 200
    assert client.get("/map/area?lon=x&lat=0").status_code == 422


def test_the_api_describes_itself_and_errs_in_the_one_shape(client, signed_in, actual, alice):
    assert client.get("/api/v1/openapi.json").status_code in (200, 401)
    signed = signed_in(client, alice)
    described = signed.get("/api/v1/openapi.json").json()
    assert described["info"]["title"] == "Anlan"
    missing = signed.get("/api/v1/nothing/here")
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "kernel.not_found"


@override_settings(DEBUG=False)
def test_an_unknown_page_says_so_in_words(client, signed_in, actual, alice):
    response = signed_in(client, alice).get("/nowhere/at/all")
    assert response.status_code == 404 and "kernel.not_found" in response.content.decode()


def test_why_leaves_out_what_the_reader_may_not_see(client, signed_in, actual, alice, charlie, county, county2, drain):
    from anlan.kernel import orders
    from anlan.kernel.models import Order

    @action("tests.order_across")
    def across(act: Act, *, post: Any, here: UUID, there: UUID) -> Order:
        from anlan.kernel.facts import RealmStarted

        cause = act.state(RealmStarted(realm=act.realm.pk, kind="x", name="cause elsewhere"), subject=f"region:{there}", region=there)
        return orders.issue(act, post=post, text="Close the sluice", source="test:1", region=here, cause=cause)

    from anlan.kernel.models import Post

    post = Post.objects.filter(region=county).first()
    order = across(machine(actual), post=post.pk, here=county.pk, there=county2.pk)
    drain()
    page = signed_in(client, alice).get(f"/why/order:{order.pk}").content.decode()
    assert "Close the sluice" in page
    assert "cause elsewhere" not in page and "hidden-step" in page
    refused = signed_in(client, charlie).get(f"/why/order:{order.pk}")
    assert "Close the sluice" not in refused.content.decode()


def test_every_page_that_asks_for_no_row_opens(client, signed_in, actual, alice):
    """Every address without a key, and the pages a person opens first of every register and loop, for somebody who may read all of them."""
    from anlan.kernel.loops import LOOPS
    from anlan.kernel.registers import REGISTERS

    client = signed_in(client, alice)
    found = [route for route in _routes(get_resolver()) if "<" not in route and not route.startswith(("api/", "sign-out", "readyz"))]
    found += [f"loops/{name}{page}" for name in LOOPS for page in ("", "/list", "/new", "/rules", "/statistics")]
    found += [f"registers/{name}{page}" for name, declared in REGISTERS.items() if not declared.steps_only for page in ("", "/new")]
    broken = {path: status for path in found if (status := _status(client, f"/{path}")) >= 500}
    assert len(found) > 150 and broken == {}


def _routes(resolver: Any, before: str = "") -> list[str]:
    found = []
    for item in resolver.url_patterns:
        route = before + str(item.pattern)
        found += _routes(item, route) if hasattr(item, "url_patterns") else [route]
    return found


def _status(client: Any, path: str) -> int:
    try:
        return client.get(path).status_code
    except Exception as error:  # the test client passes on what a server would answer with 500
        print(path, repr(error))
        return 500
