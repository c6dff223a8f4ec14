"""Pages and API: what is asked for is there, in both languages, and an outsider sees nothing of it."""
from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import translation

from anlan.kernel import clock
from anlan.sensing import actions, queries
from anlan.sensing.ingest import Sample
from anlan.sensing.models import RuleSet, Source, Station
from anlan.sensing.worker import feed

from .builders import act, source, station

pytestmark = pytest.mark.django_db


@pytest.fixture
def storm(actual, alice, county, town):
    """Three gauges in Alice's county: a downpour, a quiet one, and one that never reported."""
    station(actual, "R1", region=town, name="上溪雨量站", name_en="Upper Creek")
    station(actual, "L1", ("level", "rain"), region=county, thresholds={"level": {"yellow": 2.0, "red": 3.0, "source": "test"}})
    station(actual, "R0", region=town)
    source(actual, alice, "gw", "gateway", ["R1", "L1", "R0"])
    now = clock.now()
    ago = [now - timedelta(minutes=m) for m in (60, 50, 40, 30, 20, 10)]
    feed(actual, [*[Sample("R1", "rain", at, 20.5) for at in ago], *[Sample("L1", "level", at, 1 + n / 4) for n, at in enumerate(ago)]])
    return actual


PAGES = ["stations", "rain", "health", "refused", "rules", "sources", "new_source", "incoming", "coverage"]


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_answers(storm, alice, client, signed_in, name, language):
    signed_in(client, alice)
    client.cookies["django_language"] = language
    answer = client.get(reverse(f"sensing:{name}"))
    assert answer.status_code == 200 and b"<h1" in answer.content


def test_the_stations_as_they_report_are_filtered(storm, alice, client, signed_in):
    signed_in(client, alice)
    page = client.get(reverse("sensing:stations") + "?colour=red").content.decode()
    assert "上溪雨量站" in page and "站L1" not in page
    assert "站L1" in client.get(reverse("sensing:stations") + "?kind=level").content.decode()
    assert "站R0" in client.get(reverse("sensing:stations") + "?state=never").content.decode()
    assert client.get(reverse("sensing:stations") + "?region=nonsense").status_code == 422


def test_the_feed_is_of_one_size_whatever_comes_in(storm, alice, client, signed_in, monkeypatch):
    """A part without the page around it, as many lines as there may be, newest first; and rules' sources in the reader's language."""
    signed_in(client, alice)
    part = client.get(reverse("sensing:incoming") + "?quantity=", HTTP_HX_REQUEST="true").content.decode()
    assert "<html" not in part and "上溪雨量站" in part and "20.5 mm" in part and "2.25 m" in part
    monkeypatch.setattr(queries, "FEED", 1)
    assert client.get(reverse("sensing:incoming"), HTTP_HX_REQUEST="true").content.decode().count("<tr>") == 2
    assert "20.5 mm" not in client.get(reverse("sensing:incoming") + "?quantity=level").content.decode()
    rules = client.get(reverse("sensing:rules")).content.decode()
    assert "中国气象局令第16号" in rules and "own defaults" not in rules and "hysteresis used" not in rules
    client.cookies["django_language"] = "en"
    assert "CMA Order No. 16" in client.get(reverse("sensing:rules")).content.decode()


def test_a_person_enters_a_station_by_sensor_things_where_they_may(storm, alice, client, signed_in):
    signed_in(client, alice)
    body = {"name": "新站", "description": "x", "properties": {"code": "P-1"}, "Datastreams": [{"ObservedProperty": {"@iot.id": "rain"}}]}
    url = "/api/v1/sensing/sta/v1.1"
    made = client.post(f"{url}/Things", body, content_type="application/json")
    assert made.status_code == 201 and made.headers["Location"].endswith("/Things('P-1')") and Station.objects.get(code="P-1").source is None
    assert client.get(f"{url}/Datastreams('R1:rain')/Observations?$count=true&$top=0").json()["@iot.count"] == 6
    # Readings are a source's to send; nothing else can be made; and only what was entered like this is changed or taken away like this.
    refused = client.post(f"{url}/Datastreams('R1:rain')/Observations", {"result": 1}, content_type="application/json")
    assert refused.status_code == 403 and client.post(f"{url}/Sensors", body, content_type="application/json").status_code == 405
    assert client.delete(f"{url}/Things('R1')").json()["error"]["code"] == "sensing.sta_fixed"
    assert client.patch(f"{url}/Things('P-1')", {"name": "另名"}, content_type="application/json").json()["name"] == "另名"
    assert client.delete(f"{url}/Things('P-1')").status_code == 200 and Station.plain.get(code="P-1").ended_at is not None


def test_the_station_page_and_its_curve(storm, alice, client, signed_in):
    signed_in(client, alice)
    row = Station.objects.get(code="L1")
    page = client.get(reverse("sensing:station", args=[row.pk]) + "?hours=24").content.decode()
    assert "2.25" in page
    curve = client.get(reverse("sensing:curve", args=[row.pk])).json()
    level = curve["panels"][0]
    assert [point[1] for point in level["series"][0]["points"]] == [1, 1.25, 1.5, 1.75, 2, 2.25]
    assert {(line["level"], line["value"]) for line in level["thresholds"]} == {("yellow", 2.0), ("red", 3.0)}
    assert curve["now"] and curve["gap_s"] == 900
    rows = b"".join(client.get(reverse("sensing:station_csv", args=[row.pk])).streaming_content).decode()
    assert rows.count("L1,level") == 6
    assert client.get(reverse("sensing:station_csv", args=[row.pk]) + "?start=yesterday").status_code == 422


def test_an_outsider_sees_no_station_no_signal_no_reading(storm, charlie, client, signed_in):
    signed_in(client, charlie)
    row = Station.objects.get(code="R1")
    assert "上溪雨量站" not in client.get(reverse("sensing:stations")).content.decode()
    for name in ("station", "curve", "station_csv", "thresholds"):
        assert client.get(reverse(f"sensing:{name}", args=[row.pk])).status_code == 404
    assert "上溪雨量站" not in client.get("/registers/sensing.station").content.decode()
    assert client.get(f"/registers/sensing.station/{row.pk}").status_code == 404
    assert "甲一镇" not in client.get(reverse("sensing:rain")).content.decode()
    assert client.get("/api/v1/sensing/stations").json()["items"] == []
    for path in (f"stations/{row.pk}", "stations/R1", "stations/R1/readings?quantity=rain&start=2020-01-01T00:00:00Z"):
        assert client.get(f"/api/v1/sensing/{path}").status_code == 404
    assert client.get("/api/v1/sensing/signals").json() == [] and client.get("/api/v1/sensing/map").json()["features"] == []
    today = clock.local(clock.now()).date() + timedelta(days=1)
    assert client.get(f"/api/v1/sensing/rain?day={today}").json() == []


def test_nobody_signed_in_gets_nothing(storm, client):
    for path in ("/sensing/", "/sensing/health", "/registers/sensing.station"):
        assert client.get(path).status_code == 302
    assert client.get("/api/v1/sensing/stations").status_code == 401


def test_the_api_tells_of_a_station(storm, alice, client, signed_in):
    signed_in(client, alice)
    found = client.get("/api/v1/sensing/stations/R1").json()
    assert found["colour"] == "red" and found["signals"][0]["value"] == 102.5  # when it turned red
    assert len(client.get("/api/v1/sensing/stations/R1/readings?quantity=rain&start=2020-01-01T00:00:00Z").json()["items"]) == 6
    features = client.get("/api/v1/sensing/map").json()["features"]
    assert {f["properties"]["code"]: f["properties"]["level"] for f in features}["R1"] == "red"


def test_a_station_entered_by_the_registers_form_is_heard_and_its_thresholds_judge(storm, alice, county, client, signed_in, drain):
    from anlan.sensing import compute

    signed_in(client, alice)
    data = {"code": "N1", "name": "新站", "kind": "level", "quantities": ["level"], "region": county.pk, "point_lon": "119.2", "point_lat": "28.2", "interval_s": 300, "silent_after_s": 1800, "active": "on"}
    made = client.post("/registers/sensing.station/new", data)
    assert made.status_code == 302, made.content.decode()
    row = Station.objects.get(code="N1")
    assert (row.lon, row.cell is not None) == (119.2, True)
    before = compute.revision()
    drain()
    assert compute.revision() > before and compute.registry().stations["N1"].active  # the workers look again
    limits = {"version": row.version, "level.yellow": "5", "level.red": "6", "level.source": "县水利局"}
    assert client.post(reverse("sensing:thresholds", args=[row.pk]), limits).status_code == 302
    row.refresh_from_db()
    assert row.thresholds == {"level": {"yellow": 5.0, "red": 6.0, "source": "县水利局"}}
    client.cookies["django_language"] = "en"
    answer = client.post(reverse("sensing:thresholds", args=[row.pk]), {**limits, "version": row.version, "level.yellow": "7"})
    assert answer.status_code == 200 and "must rise" in answer.content.decode()
    assert client.post(reverse("sensing:thresholds", args=[row.pk]), {**limits, "version": 1}).status_code == 409
    assert client.post("/registers/sensing.station/new", data).status_code in (200, 422)  # the code is taken: said beside the field
    page = client.get(f"/registers/sensing.station/{row.pk}").content.decode()
    assert "data-chart" in page and reverse("sensing:station", args=[row.pk]) in page
    actions.registers.end(act(storm, alice), register="sensing.station", row=row.pk, reason="拆除")
    drain()
    assert not compute.registry().stations["N1"].active and row not in list(queries.stations_seen_by(alice))


def test_sources_and_rules_are_the_whole_installations_not_a_countys(storm, charlie):
    from anlan.kernel.errors import Problem

    for use in (
        lambda: actions.save_source(act(storm, charlie), name="mine", kind="mqtt"),
        lambda: actions.adopt_rules(act(storm, charlie), ruleset=RuleSet.objects.first().pk, note="x"),
        lambda: actions.bind(act(storm, charlie), source=Source.objects.get().pk, stations=[]),
    ):
        with pytest.raises(Problem) as refused:
            use()
        assert refused.value.kind.code == "kernel.forbidden"


def test_a_station_in_another_county_cannot_be_changed(storm, charlie, county):
    from anlan.kernel.errors import Problem

    row = Station.objects.get(code="L1")
    with pytest.raises(Problem) as refused:
        actions.registers.change(act(storm, charlie), register="sensing.station", row=row.pk, changes={"name": "x"})
    assert refused.value.kind.code == "kernel.not_found"
    with pytest.raises(Problem) as refused:
        actions.set_thresholds(act(storm, charlie), station=row.pk, thresholds={})
    assert refused.value.kind.code == "kernel.forbidden"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"code": "a.b"}, "code"), ({"code": "_x"}, "code"), ({"code": "x>"}, "code"), ({"name": " "}, "name"), ({"quantities": ["happiness"]}, "quantities"),
        ({"lon": 500, "lat": 1}, "lon"), ({"lon": 1, "lat": None}, "lon"), ({"source_crs": "MARS"}, "source_crs"), ({"silent_after_s": -1}, "silent_after_s"),
        ({"thresholds": {"rain": {"red": 5, "yellow": 9}}}, "thresholds"), ({"thresholds": {"rain": {"purple": 1}}}, "thresholds"),
        ({"thresholds": {"rain": {"red": float("nan")}}}, "thresholds"), ({"thresholds": []}, "thresholds"), ({"thresholds": {"level": {"red": 1}}}, "thresholds"),
    ],
)
def test_a_bad_station_is_refused_with_its_field(actual, values, field):
    from anlan.kernel.errors import Problem

    good = {"code": "X1", "name": "x", "kind": "rain", "quantities": ["rain"], "lon": 119.0, "lat": 28.0}
    with pytest.raises(Problem) as refused:
        actions.import_stations(act(actual), rows=[{**good, **values}], origin="test")
    assert [fault["field"] for fault in refused.value.fields] == [f"rows[0].{field}"]
    assert Station.objects.count() == 0


def test_an_import_with_one_bad_row_enters_nothing(actual):
    from anlan.kernel.errors import Problem

    rows = [{"code": f"I{n}", "name": "x", "kind": "rain", "quantities": ["rain"]} for n in range(3)]
    assert actions.import_stations(act(actual), rows=rows, origin="test") == 3
    with pytest.raises(Problem) as refused:
        actions.import_stations(act(actual), rows=[*rows, {"code": "bad code", "name": "x", "quantities": ["rain"]}], origin="test")
    assert refused.value.fields[0]["field"] == "rows[3].code"
    assert Station.objects.count() == 3


def test_a_password_is_shown_once_and_kept_nowhere(storm, alice, client, signed_in):
    from anlan.kernel.models import FactPayload, Operation

    signed_in(client, alice)
    row = Source.objects.get(name="gw")
    answer = client.post(reverse("sensing:credential", args=[row.pk]))
    word = answer.content.decode().split("<code>")[2].split("</code>")[0]
    assert len(word) > 20 and answer["Cache-Control"] == "no-store"
    from anlan.sensing import sources

    assert sources.check("gw", word) == row
    everything = repr(list(FactPayload.objects.values_list("payload", flat=True))) + repr(list(Operation.objects.values_list("answer", flat=True)))
    assert word not in everything


def test_rules_of_the_release_and_an_own_version(storm, alice, client, signed_in):
    signed_in(client, alice)
    default = RuleSet.objects.get(name="cma-rainstorm", in_force=True)
    own = default.text.replace('label: "2007"', 'label: "2007-lower"').replace("red: 100}", "red: 80}")
    assert client.post(reverse("sensing:adopt"), {"text": own, "note": "试行"}).status_code == 302
    now = RuleSet.objects.get(name="cma-rainstorm", in_force=True)
    assert now.label == "2007-lower" and now.origin == "own" and now.based_on == default
    page = client.get(reverse("sensing:ruleset", args=[default.pk])).content.decode()
    assert "red: 100" in page and "<ins>" in page
    # An upgrade enters new defaults beside it and does not put them in force.
    actions.load_defaults(actions.machine_act(storm))
    assert RuleSet.objects.get(name="cma-rainstorm", in_force=True) == now
    assert client.post(reverse("sensing:adopt"), {"ruleset": default.pk, "note": "回到国家标准"}).status_code == 302
    assert RuleSet.objects.get(name="cma-rainstorm", in_force=True) == default


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("kind: sum", "kind: magic"), "kind must be"), (("red: 100}", "red: .nan}"), "no usable number"), (("quantity: rain", "quantity: level"), "cannot be added up"),
        (("red: 3}", "red: 0}"), "at most 72 h"), (("windows_h: {blue: 12, ", "windows_h: {"), "needs both"), (("rules:", "rools:"), "exactly the entries"),
        (("mark: V2", "mark: sure"), "mark"), (("key: rainstorm", "key: rainstorm\n    extra: 1"), "unknown entry"),
        (("rules:", "rules: &a\n  - *a\nx:"), "aliases"), (('label: "2007"', "label: 2007"), "text is needed"),
    ],
)
def test_bad_rule_files_are_refused_with_place_and_reason(change, why):
    from anlan.kernel.errors import Problem
    from anlan.sensing import rules

    text = dict(rules.default_files())["cma-rainstorm"]
    assert change[0] in text
    with translation.override("en"):
        with pytest.raises(Problem) as refused:
            rules.parse(text.replace(*change))
        assert why in str(refused.value)


def test_a_yaml_bomb_is_refused():
    from anlan.kernel.errors import Problem
    from anlan.sensing import rules

    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
    for text in (bomb, "[" * 100_000, "x" * 300_000, "!!python/object/apply:os.system ['true']"):
        with pytest.raises(Problem):
            rules.parse(text)


def test_rain_by_town_ranks_and_tells_unknown_from_zero(storm, county, town):
    from anlan.runtime.testing import make_region

    dry, mute = make_region("甲二镇", "town", county), make_region("甲三镇", "town", county)
    station(storm, "D1", region=dry, source=str(Source.objects.get(name="gw").pk))
    station(storm, "M1", region=mute)
    now = clock.now()
    feed(storm, [Sample("D1", "rain", now - timedelta(minutes=1), 0)])
    day = clock.local(now).date()
    day += timedelta(days=1 if clock.local(now).hour >= 8 else 0)
    rows = {row["name"]: row for row in queries.rain_by_town(storm, day)}
    start, end = queries.rain_day(day)
    assert (end - start) == timedelta(days=1) and clock.local(end).hour == 8
    assert rows["甲二镇"]["highest"] == 0 and rows["甲三镇"]["highest"] is None
    assert rows["甲一镇"]["county"] == "甲县" and (rows["甲一镇"]["reported"], rows["甲一镇"]["stations"]) == (1, 2)
    assert [row["name"] for row in queries.rain_by_town(storm, day)][-1] in ("甲三镇", "甲县")
    inside = sum(20.5 for m in (60, 50, 40, 30, 20, 10) if start < now - timedelta(minutes=m) <= end)
    assert rows["甲一镇"]["highest"] == (inside or None) or rows["甲一镇"]["highest"] == inside


def test_window_sum_and_change(storm):
    row, low = Station.objects.get(code="R1"), Station.objects.get(code="L1")
    sums = queries.window_sum(storm, "rain", 1)
    assert sums[row.pk]["sum"] in (102.5, 123.0) and sums[row.pk]["count"] in (5, 6)
    assert queries.change_over(storm, low, "level", 1)["rise"] == pytest.approx(1.25)
    assert queries.value_at(storm, low, "level")["value"] == 2.25
    with pytest.raises(ValueError):
        queries.window_sum(storm, "level", 1)


def test_exercise_pages_show_the_exercise(storm, replay, alice):
    assert queries.summary(alice, replay)["colours"]["red"] == 0 and queries.summary(alice, storm)["colours"]["red"] == 1


@pytest.mark.parametrize(
    "path",
    [
        "stations?text=%00", "stations?kind=%00&colour=%00&state=%00", "stations?offset=99999999999999999999&limit=-5", "stations/%00", "stations/R1/readings?quantity=rain&start=0001-01-01T00:00:00Z",
        "stations/R1/readings?quantity=rain&start=9999-12-31T23:59:59Z", "stations/R1/readings?quantity=rain&start=2020-01-01T00:00:00", "rain?day=0001-01-01", "rain?day=9999-12-31", "rain?day=2026-07-20&kind=%00",
    ],
)
def test_odd_questions_get_a_clear_answer(storm, alice, client, signed_in, path):
    signed_in(client, alice)
    client.raise_request_exception = False
    assert client.get(f"/api/v1/sensing/{path}").status_code in (200, 404, 422)


@pytest.mark.parametrize("path", ["?text=%00&page=x", "rain?day=0001-01-01", "rain?day=9999-12-31&kind=20-20", "refused?station=%00&reason=%00", "rain?kind=x"])
def test_odd_page_addresses_do_not_break(storm, alice, client, signed_in, path):
    signed_in(client, alice)
    client.raise_request_exception = False
    assert client.get(f"/sensing/{path}").status_code in (200, 404, 422)
