"""Does the network report, does the platform hear itself, and what would other rules have said?"""
from __future__ import annotations

from datetime import timedelta

import orjson
import pytest

from anlan.kernel import clock
from anlan.kernel.models import Due, WorkItem
from anlan.sensing import actions, network, preview, probe, queries, rules, worker
from anlan.sensing.ingest import Message, Sample
from anlan.sensing.models import Doubt, Probe, Reading
from anlan.sensing.quantities import FAULTY
from anlan.sensing.worker import Processor, feed

from .builders import act, at, put, rain, source, station
from .test_record import facts

pytestmark = pytest.mark.django_db


def test_expected_against_received_by_station_source_and_region(actual, replay, county, city, town, alice, charlie):
    station(actual, "A", region=town, interval_s=3600)
    station(actual, "B", region=town, interval_s=3600)
    station(actual, "C", ("level", "battery"), region=city, interval_s=1800)
    source(actual, alice, "gw", "http", ["A", "B"])
    put(replay, 24 * 60 + 5)
    feed(replay, [*rain("A", *[(60 * n, 1.0 + n) for n in range(1, 25)]), *rain("B", *[(60 * n, 1.0 + n) for n in range(1, 7)]), Sample("C", "battery", at(60), 11.2)])
    found = {row.code: row for row in network.stations(alice, replay)[0]}
    assert [(found[code].received, found[code].expected) for code in "ABC"] == [(24, 24), (6, 24), (1, 96)]
    assert found["A"].lacking == [] and len(found["C"].lacking) == 1 and "11.2" in found["C"].lacking[0]
    whole = network.network(alice, replay)
    assert [row.code for row in whole.worst] == ["C", "B"]
    assert {group.name: (group.stations, group.received, group.expected) for group in whole.sources if group.key} == {"gw": (2, 30, 48)}
    assert {group.key: group.stations for group in whole.regions} == {county.pk: 2, city.pk: 1}  # a town counts for its county
    assert network.stations(charlie, replay)[0] == []


def test_what_people_work_on_is_neither_expected_nor_believed(actual, county, alice, duty_post):
    row = station(actual, "A", region=county, interval_s=300)
    source(actual, alice, "gw", "http", ["A"])
    worker.prepare()
    now = clock.now()
    actions.maintain(act(actual, alice), station=row.pk, begins=now - timedelta(hours=1), ends=now + timedelta(hours=1), reason="bucket cleaned")
    # As the worker takes it, over the device's own topic.
    feed(actual, [Sample("A", "rain", now - timedelta(minutes=5), 120.0)], Processor())
    assert Reading.objects.get().flags & FAULTY and not Doubt.objects.of(actual).filter(state=Doubt.OPEN).exists() and facts(actual) == []
    assert network.stations(alice, actual)[0][0].worked_on == "bucket cleaned" and network.network(alice, actual).worst == []
    actions.maintain(act(actual, alice), station=row.pk, begins=now, ends=now + timedelta(seconds=1), reason="done")
    feed(actual, [Sample("A", "rain", now + timedelta(seconds=2), 0.2)], Processor())
    assert Reading.objects.get(time__gt=now).flags == 0


def test_the_probe_goes_through_the_chain_and_its_loss_is_told_once(actual, duty_post):
    probe.ensure()
    assert Due.objects.filter(timer="sensing.probe").count() == 1
    worker.prepare()
    sender = probe.sender(act(actual))
    assert probe.sender(act(actual)) == sender
    assert [said["code"] for said in facts(actual, "sensing.StationChanged")] == [probe.CODE] and len(facts(actual, "sensing.SourceChanged")) == 1
    now = clock.now()
    row = probe.look(act(actual))
    assert row.lost_since is None and probe.state()["well"]

    def back(moment):
        own = Processor()
        for number, (subject, body) in enumerate(probe.message(sender, moment), 1):
            done = own.process([Message("local", number, subject, body)])
        return done

    assert back(now)["accepted"] == 1
    assert probe.look(act(actual)).back_at == now.replace(microsecond=0)
    # Three minutes of silence: said once, on a desk, and taken back when it is heard again.
    Probe.objects.update(sent_at=now + timedelta(seconds=180))
    for _again in range(2):
        assert probe.look(act(actual)).lost_since is not None
        Probe.objects.update(sent_at=now + timedelta(seconds=180))
    assert len(facts(actual, "sensing.ProbeLost")) == 1
    item = WorkItem.plain.get(kind="sensing.probe_lost")
    assert item.state == WorkItem.OPEN and item.post_id == duty_post.pk
    back(now + timedelta(seconds=170))
    assert probe.look(act(actual)).lost_since is None and len(facts(actual, "sensing.ProbeBack")) == 1
    assert WorkItem.plain.get(kind="sensing.probe_lost").state == WorkItem.DONE


def test_other_rules_are_judged_on_the_last_storm(actual, replay, alice, county):
    """Three gauges: one reaches 50 mm in 3 h, one 46, one 20. With 45 mm for orange there is one alarm more, and the other comes an hour earlier."""
    for code in ("A", "B", "C"):
        station(actual, code, region=county, interval_s=3600)
    put(replay, 24 * 60)
    feed(replay, [*rain("A", (600, 5), (660, 40.5), (720, 4.5)), *rain("B", (600, 6), (660, 20), (720, 20)), *rain("C", (600, 10), (660, 10))])
    ruleset = next(row for row in rules.in_force() if row.name == "cma-rainstorm")
    seen = queries.stations_seen_by(alice).values("pk")
    same = preview.compare(replay, ruleset.text, seen)
    assert (same["more"], same["fewer"], same["earlier"], same["later"]) == (0, 0, 0, 0) and same["readings"] == 8 and same["whole"]
    text = ruleset.text.replace('label: "2007"', 'label: "ours"').replace("thresholds: {blue: 50, yellow: 50, orange: 50, red: 100}", "thresholds: {blue: 50, yellow: 50, orange: 45, red: 100}")
    told = preview.compare(replay, text, seen)
    orange = next(line for line in told["lines"] if line.colour == "orange")
    assert (orange.now, orange.then, orange.more, orange.earlier, orange.typical) == (1, 2, 1, 1, -60)


def test_coverage_counts_objects_whose_gauges_report_and_names_the_others(actual, alice, county, client):
    """Five objects of two industries: heard; silent; served by a gauge out of service; never heard; served by none. One of five, and why of each."""
    from anlan.kernel.actions import Actor
    from anlan.sensing.coverage import coverage
    from anlan.sensing.models import RiskObject, Series, Station

    now = clock.now()
    rows = [RiskObject(code=f"O{n}", name=f"对象{n}", industry="chemical" if n < 3 else "mine", region=county) for n in range(5)]
    RiskObject.plain.bulk_create(rows)
    for n, (active, silent, last) in enumerate([(True, 0, now), (True, 1, now - timedelta(hours=3)), (False, 0, now), (True, 0, None)]):
        row = station(actual, f"G{n}", ("gas",), region=county, serves_id=rows[n].pk, active=active)
        Series.objects.create(realm=actual, station=row, quantity="gas", partition=0, silent=silent, last_time=last)
    found = coverage(alice, actual)
    assert (found.all.connected, found.all.objects, found.all.percent) == (1, 5, "20 %")
    assert [(share.objects, share.connected) for share in found.industries] == [(2, 0), (3, 1)]
    assert {each.code: each.why for each in found.lacking} == {"O1": "失联", "O2": "没有在用测站监测", "O3": "从未报数", "O4": "没有在用测站监测"}
    Series.objects.filter(station__code="G0").update(last_time=now - timedelta(hours=25))
    assert coverage(alice, actual).all.connected == 0
    assert coverage(Actor(), actual).all.objects == 0
    Station.objects.filter(code="G3").update(serves=None)
    assert {each.code: each.why for each in coverage(alice, actual).lacking}["O3"] == "没有在用测站监测"


def test_the_probe_comes_in_at_the_http_door_with_its_own_credential(actual, live_web, settings, tmp_path):
    settings.HOME = tmp_path
    sender = probe.sender(act(actual))
    at = clock.now()
    sent = live_web(settings)
    probe.send(sender, at)
    assert [(subject.rpartition(".")[0], orjson.loads(body)[0]["s"]) for subject, body in sent] == [(f"gate.v1.{sender.pk.hex}", probe.CODE)]
    (tmp_path / "keys" / "probe").unlink()  # another key folder: a new credential, and it goes on
    probe.send(probe.sender(act(actual)), at)
    assert len(sent) == 2 and oct((tmp_path / "keys" / "probe").stat().st_mode)[-3:] == "600"


@pytest.fixture
def live_web(client, monkeypatch):
    """Our HTTP door behind urllib, in place of a server; what it puts on the broker."""
    import asyncio
    import io

    from anlan.sensing import door

    sent = []

    class Bridge:
        def run(self, work, timeout=20):
            return asyncio.run(work)

        async def connection(self):
            return None

    async def publish(nc, messages, ids=""):
        sent.extend(messages)

    def urlopen(request, timeout, context):
        answer = client.post(request.selector, request.data, content_type=request.headers["Content-type"], HTTP_AUTHORIZATION=request.headers["Authorization"])
        body = io.BytesIO(answer.content)
        body.status = answer.status_code
        return body

    def serve(settings):
        settings.ADDRESSES = {"web": "http://here"}
        return sent

    monkeypatch.setattr(door, "_registry", None)
    monkeypatch.setattr(door, "_guesses", {})
    monkeypatch.setattr(door.broker, "bridge", Bridge)
    monkeypatch.setattr(door.ingest, "publish", publish)
    monkeypatch.setattr(probe.urllib.request, "urlopen", urlopen)
    return serve
