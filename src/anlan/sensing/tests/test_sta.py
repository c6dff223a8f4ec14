"""OGC SensorThings 1.1 on our own tables: read and written by an independent client (frost_sta_client), and by plain HTTP where it has no words."""
from __future__ import annotations

import asyncio
import base64
import re
from datetime import timedelta
from urllib.parse import quote, urlsplit

import frost_sta_client as fsc
import orjson
import pytest
import requests
from geojson import Point

from anlan.kernel import clock
from anlan.kernel.models import RegisterChange
from anlan.sensing import actions, door, sources, worker
from anlan.sensing.errors import BAD_QUERY
from anlan.sensing.ingest import Message
from anlan.sensing.models import Reading, Source, Station
from anlan.sensing.sta_query import BOOL, TEXT, Filter, Term, Values, options
from anlan.sensing.worker import Processor

from .builders import act, source, station

pytestmark = pytest.mark.django_db
URL = "/api/v1/sensing/sta/v1.1"


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(door, "_guesses", {})
    monkeypatch.setattr(door, "_registry", None)


@pytest.fixture
def net(actual, alice):
    """Two stations with an hour of reports, three each, R1 with a battery; a source of R1, and one that reads all."""
    station(actual, "R1", ("rain", "battery"), name="上游站", river="小溪", lon=119.1, lat=28.1)
    station(actual, "W1", ("level",), name="桥头站", lon=119.4, lat=28.4)
    own, word = source(actual, alice, "gw", "gateway", ["R1"])
    source(actual, alice, "other", "gateway", ["W1"])
    reader, secret = source(actual, alice, "reader", "http")
    actions.save_source(act(actual, alice), source=reader.pk, name="reader", kind="http", reads=True)
    now = clock.now().replace(microsecond=0)
    at = [now - timedelta(minutes=minutes) for minutes in (30, 20, 10)]
    rows = [("R1", "rain", when, value, "mm") for when, value in zip(at, (0.5, 7.25, 2), strict=True)] + [("W1", "level", when, value, "m") for when, value in zip(at, (54, 54.5, 55.125), strict=True)]
    worker.prepare()
    processor = Processor()
    processor.process([
        Message("local", n, f"anlan.v1.x.{code}.{quantity}", orjson.dumps({"t": when.isoformat(), "v": value, "u": unit})) for n, (code, quantity, when, value, unit) in enumerate(rows, 1)
    ])
    return {"at": at, "gw": word, "reader": secret, "processor": processor}


@pytest.fixture
def wire(client, net, monkeypatch):
    """The client's requests come to our views; what is put on the broker is at once taken by a worker."""
    class Bridge:
        def run(self, work, timeout=20):
            return asyncio.run(work)

        async def connection(self):
            return None

    sent = []

    async def publish(nc, messages, ids=""):
        sent.extend(messages)
        return len(messages)

    def take(*args, **more):
        done = real(*args, **more)
        net["processor"].process([Message("local", 1000 + n, subject, body) for n, (subject, body) in enumerate(sent)])
        sent.clear()
        return done

    real = door.take
    monkeypatch.setattr(door.broker, "bridge", Bridge)
    monkeypatch.setattr(door.ingest, "publish", publish)
    monkeypatch.setattr(door, "take", take)

    def request(method, url, proxies=None, auth=None, json=None, headers=None):
        url = str(getattr(url, "url", url))
        parts = urlsplit(url)
        extra = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()} if auth else {}
        body = {"data": orjson.dumps(json), "content_type": "application/json"} if json is not None else {}
        answer = getattr(client, method)(parts.path + (f"?{parts.query}" if parts.query else ""), **body, **extra)
        out = requests.Response()
        out.status_code, out._content, out.url = answer.status_code, answer.content, url
        out.headers.update(dict(answer.headers))
        return out

    monkeypatch.setattr(requests, "request", request)

    def service(name):
        return fsc.SensorThingsService(f"http://testserver{URL}", auth_handler=fsc.AuthHandler(name, net[name]))

    return service


def get(client, net, path, who="reader", **query):
    extra = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{who}:{net[who]}".encode()).decode()}
    return client.get(f"{URL}/{path}" + ("?" + "&".join(f"${name}={quote(str(value))}" for name, value in query.items()) if query else ""), **extra)


def test_an_independent_client_reads_lists_links_and_values(wire, net):
    things = wire("reader").things().query().orderby("name", "ASC").list()
    assert [thing.id for thing in things] == ["R1", "W1"] and things.entities[0].name == "上游站"
    found = wire("reader").datastreams().query().filter("Thing/id eq 'R1' and ObservedProperty/id eq 'rain'").expand("Thing,ObservedProperty,Sensor").list()
    assert [stream.id for stream in found] == ["R1:rain"]
    stream = found.entities[0]
    assert stream.unit_of_measurement.symbol == "mm" and stream.thing.id == "R1" and stream.observed_property.id == "rain" and stream.sensor.encoding_type == "text/html"
    wet = stream.get_observations().query().filter("result gt 1 and phenomenonTime lt now()").orderby("phenomenonTime", "ASC").count().list()
    assert [seen.result for seen in wet] == [7.25, 2] and wet.count == 2
    place = wire("reader").locations().find("R1")
    assert place.location["coordinates"] == [119.1, 28.1]
    one = wire("reader").observations().find(wet.entities[0].id)
    assert one.result == 7.25 and one.phenomenon_time == net["at"][1].strftime("%Y-%m-%dT%H:%M:%SZ")
    # Pages follow each other without gap or repeat.
    listed = wire("reader").observations().query().top(2).orderby("result", "ASC").list()
    assert [seen.result for seen in listed] == [0.5, 2, 7.25, 54, 54.5, 55.125]


def test_an_independent_client_creates_an_observation_that_is_judged_like_any(wire, net, client):
    at = clock.now().replace(microsecond=0) - timedelta(minutes=2)
    made = fsc.Observation(phenomenon_time=at.isoformat(), result=120.5, datastream=fsc.Datastream(id="R1:rain"))
    wire("gw").create(made)
    assert made.id == f"R1:rain:{int(at.timestamp())}"
    assert wire("gw").observations().find(made.id).result == 120.5
    from anlan.sensing.models import Signal

    assert Signal.objects.everything().filter(station__code="R1", colour=4).exists()
    with pytest.raises(requests.exceptions.HTTPError) as refused:  # another's station
        wire("gw").create(fsc.Observation(phenomenon_time=at.isoformat(), result=1, datastream=fsc.Datastream(id="W1:level")))
    assert refused.value.response.status_code == 422
    with pytest.raises(requests.exceptions.HTTPError) as missing:
        wire("gw").create(fsc.Observation(phenomenon_time=at.isoformat(), result=1, datastream=fsc.Datastream(id="nonsense")))
    assert missing.value.response.status_code == 404
    # Many at once, each with its own answer.
    start = clock.now().replace(microsecond=0) - timedelta(minutes=8)
    body = [{"Datastream": {"@iot.id": "R1:rain"}, "components": ["phenomenonTime", "result"], "dataArray": [[(start + timedelta(minutes=n)).isoformat(), n] for n in range(3)] + [["never", 1]]}]
    extra = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"gw:{net['gw']}".encode()).decode()}
    answer = client.post(f"{URL}/CreateObservations", orjson.dumps(body), content_type="application/json", **extra)
    assert answer.status_code == 201 and [text.rpartition("/")[2] for text in answer.json()] == [f"Observations('R1:rain:{int((start + timedelta(minutes=n)).timestamp())}')" for n in range(3)] + ["error"]
    assert get(client, net, "Datastreams('R1:rain')/Observations", count="true").json()["@iot.count"] == 7
    users = sources.broker_users()
    assert "anlan.v1.sta.Datastreams('R1:rain')" in users["gw"]["publish"] and not any("W1" in subject for subject in users["gw"]["publish"]) and "subscribe" not in users["gw"]


def new_thing():
    rain = fsc.Datastream(
        name="雨", description="雨", observation_type="http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement",
        unit_of_measurement=fsc.UnitOfMeasurement(name="mm", symbol="mm", definition="ucum:mm"),
        observed_property=fsc.ObservedProperty(name="Rain since the report before", definition="x", description="x"), sensor=fsc.Sensor(name="s", description="s", encoding_type="text/html", metadata="x"),
    )
    thing = fsc.Thing(name="新站", description="新站", properties={"code": "NEW-1", "interval_s": 600})
    thing.locations = [fsc.Location(name="l", description="l", encoding_type="application/geo+json", location=Point((119.2, 28.2)))]
    thing.datastreams = [rain]
    return thing


def test_a_source_enters_stations_only_where_it_may_and_sees_its_own(wire, net, actual, alice, client):
    with pytest.raises(requests.exceptions.HTTPError) as refused:
        wire("gw").create(new_thing())
    assert refused.value.response.status_code == 403 and not Station.objects.filter(code="NEW-1").exists()
    gw = Source.objects.get(name="gw")
    actions.save_source(act(actual, alice), source=gw.pk, name="gw", kind="gateway", enters=True)
    thing = new_thing()
    wire("gw").create(thing)
    row = Station.objects.get(code="NEW-1")
    assert thing.id == "NEW-1" and (row.name, row.quantities, row.lon, row.interval_s, row.source_id) == ("新站", ["rain"], 119.2, 600, gw.pk)
    with pytest.raises(requests.exceptions.HTTPError) as again:
        wire("gw").create(new_thing())
    assert again.value.response.status_code == 422
    wire("gw").create(fsc.Datastream(
        name="电", description="电", observation_type="x", unit_of_measurement=fsc.UnitOfMeasurement(name="V", symbol="V", definition="ucum:V"), thing=fsc.Thing(id="NEW-1"),
        observed_property=fsc.ObservedProperty(name="battery", definition="urn:anlan:quantity:battery", description="x"),
    ))
    row.refresh_from_db()
    assert row.quantities == ["rain", "battery"] and row.lon == 119.2
    # Who sees what: a source its own, one that reads everything, nobody nothing; another's entity is not there.
    assert [row["@iot.id"] for row in get(client, net, "Things", "gw").json()["value"]] == ["NEW-1", "R1"]
    assert get(client, net, "Things('W1')", "gw").status_code == 404 and get(client, net, "Datastreams('W1:level')/Observations", "gw").status_code == 404
    assert get(client, net, "Observations", "gw", count="true").json()["@iot.count"] == 3
    assert get(client, net, "Observations", count="true").json()["@iot.count"] == 6
    assert client.get(f"{URL}/Things").status_code == 401


def test_what_was_entered_here_can_be_changed_and_taken_off_and_nothing_else(wire, net, actual, alice, client):
    gw = Source.objects.get(name="gw")
    with pytest.raises(requests.exceptions.HTTPError) as refused:
        wire("gw").delete(fsc.Thing(id="R1"))
    assert refused.value.response.status_code == 403
    actions.save_source(act(actual, alice), source=gw.pk, name="gw", kind="gateway", enters=True)
    thing = new_thing()
    wire("gw").create(thing)
    wire("gw").patch(thing, [{"op": "replace", "path": "/name", "value": "改名站"}, {"op": "add", "path": "/properties/river", "value": "大溪"}])
    send("patch", client, net, "Locations('NEW-1')", {"location": {"type": "Point", "coordinates": [119.25, 28.25]}})
    row = Station.objects.get(code="NEW-1")
    assert (row.name, row.river, row.lon, row.lat, row.version) == ("改名站", "大溪", 119.25, 28.25, 3)
    assert RegisterChange.objects.filter(row=row.pk, op="change").count() == 2
    # A wrong value, another's, one that people keep, and what is never changed: each with its reason.
    for method, path, status, code in (
        ("patch", "Things('NEW-1')", 422, "kernel.invalid"), ("patch", "Things('W1')", 404, "kernel.not_found"), ("delete", "Things('R1')", 405, "sensing.sta_fixed"),
        ("delete", "Datastreams('R1:rain')", 405, "sensing.sta_fixed"), ("patch", "Observations('R1:rain:1')", 405, "sensing.sta_fixed"), ("delete", "Things", 405, "sensing.sta_fixed"),
    ):
        answer = send(method, client, net, path, {"properties": {"interval_s": -5}})
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), path
    wire("gw").create(fsc.Observation(result=1.5, phenomenon_time=net["at"][0].isoformat(), datastream=fsc.Datastream(id="NEW-1:rain")))
    wire("gw").delete(thing)
    assert not Station.objects.filter(code="NEW-1", ended_at=None).exists() and get(client, net, "Things('NEW-1')", "gw").status_code == 404
    assert Reading.objects.filter(series__station=row.pk).count() == 1


def send(method, client, net, path, body, who="gw"):
    extra = {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{who}:{net[who]}".encode()).decode()}
    return getattr(client, method)(f"{URL}/{path}", data=orjson.dumps(body), content_type="application/json", **extra)


def test_paths_expansions_and_selections_of_the_standard(client, net):
    root = get(client, net, "").json()
    assert {row["name"] for row in root["value"]} == {"Things", "Locations", "HistoricalLocations", "Datastreams", "Sensors", "ObservedProperties", "Observations", "FeaturesOfInterest"}
    assert all(url.startswith("http://www.opengis.net/spec/iot_sensing/1.1/req/") for url in root["serverSettings"]["conformance"])
    newest = get(client, net, "Things", expand="Datastreams($select=id,name;$filter=ObservedProperty/id eq 'rain';$expand=Observations($top=1;$orderby=phenomenonTime desc;$select=result))", filter="id eq 'R1'").json()
    (stream,) = newest["value"][0]["Datastreams"]
    assert stream["@iot.id"] == "R1:rain" and stream["Observations"] == [{"result": 2}] and "Observations@iot.nextLink" in stream
    deep = get(client, net, "Observations", expand="Datastream/Thing/Locations,FeatureOfInterest", top=1).json()["value"][0]
    assert deep["Datastream"]["Thing"]["Locations"][0]["location"]["type"] == "Point" and deep["FeatureOfInterest"]["feature"]["type"] == "Point"
    ((key, _),) = [(row["@iot.id"], row) for row in get(client, net, "Datastreams('R1:rain')/Observations", top=1).json()["value"]]
    assert get(client, net, f"Observations('{key}')/Datastream/Thing/name").json() == {"name": "上游站"}
    assert get(client, net, "Things('R1')/name/$value").content.decode() == "上游站"
    assert get(client, net, "Things('R1')/Datastreams/$ref").json()["value"][0]["@iot.selfLink"].endswith("Datastreams('R1:battery')")
    assert get(client, net, "FeaturesOfInterest('W1')/Observations", count="true").json()["@iot.count"] == 3
    assert get(client, net, "HistoricalLocations('R1')/Thing").json()["@iot.id"] == "R1"
    assert get(client, net, "ObservedProperties('level')/Datastreams").json()["value"][0]["Thing@iot.navigationLink"].endswith("Datastreams('W1:level')/Thing")
    span = get(client, net, "Datastreams('R1:rain')").json()["phenomenonTime"]
    assert span == "/".join(net["at"][place].strftime("%Y-%m-%dT%H:%M:%SZ") for place in (0, 2))


WHERE = (
    ("startswith(name,'桥')", ["W1"]), ("substringof('游', name)", ["R1"]), ("not contains(name,'游')", ["W1"]), ("properties/kind eq 'rain'", ["R1"]), ("properties/interval_s ge 300", ["R1", "W1"]),
    ("name eq 'x' or (id ne 'R1' and length(id) eq 2)", ["W1"]), ("concat(id, 'x') eq 'W1x'", ["W1"]), ("2 add 2 mul 3 eq 8 and id eq 'R1'", ["R1"]), ("properties/nothing eq 'x'", []),
    ("properties/river eq null", []), ("name eq '''; drop table sensing_station; --'", []),
)


def test_filters(client, net):
    for where, found in WHERE:
        assert [row["@iot.id"] for row in get(client, net, "Things", filter=where).json()["value"]] == found, where
    inside = get(client, net, "Locations", filter="st_within(location, geography'POLYGON((119 28,119.2 28,119.2 28.2,119 28.2,119 28))')").json()["value"]
    assert [row["@iot.id"] for row in inside] == ["R1"]
    at = net["at"][1].isoformat()
    for text in (at.replace("+00:00", "Z"), f"'{at}'"):
        assert [row["result"] for row in get(client, net, "Datastreams('W1:level')/Observations", filter=f"phenomenonTime ge {text}", orderby="result").json()["value"]] == [54.5, 55.125]
    assert get(client, net, "Observations", filter=f"year(phenomenonTime) eq {net['at'][0].year} and Datastream/Thing/name eq '桥头站'", count="true", top=0).json() == {"@iot.count": 3, "value": []}


WRONG = (
    ("Nothing", {}, 404), ("Things('nobody')", {}, 404), ("Things('R1')/Thing", {}, 404), ("Datastreams('R1')", {}, 404), ("Observations('R1:rain:1')", {}, 404), ("Things('R1')/secret", {}, 404),
    ("Things", {"filter": "name eq"}, 400), ("Things", {"filter": "password eq 'x'"}, 400), ("Things", {"filter": "name gt 5"}, 400), ("Things", {"filter": "(" * 200 + "true"}, 400), ("Things", {"filter": "pg_sleep(5)"}, 400),
    ("Things", {"filter": "'a'"}, 400), ("Things", {"orderby": "name sideways"}, 400), ("Things", {"top": "-1"}, 400), ("Things", {"top": "x"}, 400), ("Things", {"expand": "Nothing"}, 400), ("Things", {"select": "nothing"}, 400),
    ("Things", {"whatever": "1"}, 400), ("Things", {"expand": "Datastreams(" * 50}, 400), ("Things", {"filter": "Datastreams/name eq 'x'"}, 400), ("Observations", {"filter": "result div 0 gt 1"}, 200), ("Things", {"filter": "name eq 'a\x00b'"}, 200),
)


def test_what_cannot_be_answered_is_told(client, net):
    for path, query, status in WRONG:
        answer = get(client, net, path, **query)
        assert answer.status_code == status and (status == 200 or answer.json()["error"]["code"]), (path, query)


def test_every_literal_is_a_parameter():
    values = Values()
    sql = Filter("name eq 'x''; --' and length('y') gt 2.5", lambda path: Term(path.upper(), TEXT), values).where()
    assert re.fullmatch(r"\(\(NAME = %\(v0\)s::text\) AND \(length\(%\(v1\)s::text\) > %\(v2\)s::float8\)\)", sql) and values.given == {"v0": "x'; --", "v1": "y", "v2": 2.5}
    with pytest.raises(Exception) as wrong:
        Filter("name", lambda path: Term("x", TEXT), values).where()
    assert wrong.value.kind is BAD_QUERY and Filter("true", None, values)._or().kind == BOOL
    assert options({"$expand": "A($top=3;$expand=B/C($filter=x eq ')')),D"}).expand["A"].expand["B"].expand["C"].filter == "x eq ')'"
