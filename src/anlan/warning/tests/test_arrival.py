"""Who has not been reached, as a list that shrinks, and the rates of Q28 to Q30: known answers."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from anlan.kernel import clock
from anlan.kernel.models import Region
from anlan.runtime.testing import make_actor, make_post, make_region
from anlan.sensing.models import Signal, Station
from anlan.warning import actions, arrival, delivery, queries
from anlan.warning.models import Alert, Attempt, Receipt

from .builders import act, channel, issued

pytestmark = pytest.mark.django_db


@pytest.fixture
def towns(county):
    """Three towns of 100, 300 and 200 people; nobody is posted in the third."""
    made = []
    for number, people in enumerate((100, 300, 200), 1):
        town = make_region(f"{number}镇", "town", county, square=(119.0 + number / 10, 28.0, 0.05), population=people)
        made.append((town, make_actor(f"值班{number}", make_post("乡镇值班", town, kind="town_duty", capabilities=("warning.read",))) if number < 3 else None))
    return made


@pytest.fixture
def sent(actual, county, towns, alice, bob, drain):
    channel("in_app")
    row = issued(alice, bob, actual, county)
    drain()
    laid = arrival.of(Alert.plain.select_related("realm").get(pk=row.pk))
    assert (laid["accepted"], laid["shown"]) == (2, 0), "nobody has looked at a desk yet"
    for _town, actor in towns[:2]:
        delivery.note_shown(actor, [row.pk])
    return Alert.plain.select_related("realm").get(pk=row.pk)


def names(found):
    return [place.region.name for place in found["unreached"]]


def test_the_list_shrinks_and_names_who_it_waits_for(sent, actual, towns, alice, client, signed_in):
    found = arrival.of(sent)
    assert (len(found["places"]), found["accepted"], found["shown"], found["acted"]) == (3, 2, 2, 0)
    assert names(found) == ["2镇", "3镇", "1镇"], "the most people first"
    assert [place.region.name for place in found["nobody"]] == ["3镇"] and found["people"] == 200, "where nobody is posted nobody has it"
    assert all("乡镇值班" in target.name for place in found["unreached"] for target in place.waiting)

    actions.acknowledge(act(towns[1][1], actual), alert=sent.pk)
    found = arrival.of(sent)
    assert names(found) == ["3镇", "1镇"] and found["acted"] == 1

    signed_in(client, alice)
    said = client.get(f"/api/v1/warning/alerts/{sent.pk}/arrival").json()
    assert (said["places"], said["shown"], said["acted"], said["people"]) == (3, 2, 1, 200)
    assert [place["name"] for place in said["unreached"]] == ["3镇", "1镇"] and said["unreached"][0]["waiting"] == []
    page = client.get(reverse("warning:alert", args=[sent.pk])).content.decode()
    assert 'id="arrival"' in page and "3镇" in page


def test_what_no_channel_took_is_not_reached(sent, towns):
    Attempt.plain.filter(alert=sent, region=towns[0][0]).update(state=Attempt.FAILED, error="no answer")
    Receipt.plain.filter(attempt__alert=sent, attempt__region=towns[0][0]).delete()
    found = arrival.of(sent)
    first = next(place for place in found["places"] if place.region == towns[0][0])
    assert first.level == arrival.NOTHING and first.waiting[0].error == "no answer" and found["people"] == 300


def test_a_village_is_told_by_its_town_and_nobody_by_the_county_alone(actual, county, towns, duty_post, alice, bob, drain):
    for number in (1, 2, 3):
        make_region(f"{number}村", "village", towns[number - 1][0], population=10 * number)
    own = make_region("自有村", "village", towns[0][0], population=5)
    make_post("村值班", own, kind="town_duty")
    channel("in_app")
    row = issued(alice, bob, actual, county)
    drain()
    assert Attempt.plain.filter(alert=row, region=county).exists(), "the county's own desk was told, too"
    found = arrival.of(Alert.plain.select_related("realm").get(pk=row.pk))
    assert sorted((place.region.name, place.level) for place in found["places"]) == [("1镇", 1), ("2镇", 1), ("3镇", 0), ("自有村", 1)]
    assert [place.region.name for place in found["nobody"]] == ["3镇"]


def test_one_unknown_number_of_people_makes_the_sum_unknown(sent, towns):
    Region.objects.filter(pk=towns[0][0].pk).update(population=None)
    assert arrival.of(sent)["people"] is None


def test_the_rates(sent, actual, county, towns, alice, client, signed_in):
    # Two of three places have it, one of them only after eleven minutes: red must be there within ten.
    Receipt.plain.filter(attempt__alert=sent, attempt__region=towns[0][0]).update(at=sent.sent + timedelta(minutes=11))
    Receipt.plain.filter(attempt__alert=sent, attempt__region=towns[1][0]).update(at=sent.sent + timedelta(minutes=1))
    found = arrival.record([sent])
    assert (found.coverage, found.timeliness, found.minutes) == (66.7, 33.3, 6.0)
    assert found.accuracy is None and found.cannot_tell == 1, "no gauge of this hazard stands there"

    station = Station.objects.create(code="R1", name="雨量站", kind="rain", region=towns[0][0], quantities=["rain"])
    signal = Signal.plain.create(
        realm=actual, station=station, region=towns[0][0], quantity="rain", rule="r", rule_version="1", hazard=sent.hazard, colour=3, since=sent.sent - timedelta(hours=1), value=60,
        unit="mm",
    )
    assert arrival.borne_out([sent]) == {sent.pk: False}, "orange does not bear out red"
    assert arrival.record([sent]).accuracy is None, "while it is in force nobody knows"
    Alert.plain.filter(pk=sent.pk).update(state=Alert.EXPIRED, ended_at=clock.now())
    over = list(queries.issued(alice, actual, 7))
    assert [row.pk for row in over] == [sent.pk] and arrival.record(over).accuracy == 0.0
    Signal.plain.filter(pk=signal.pk).update(colour=4)
    assert arrival.record(over).accuracy == 100.0

    signed_in(client, alice)
    said = client.get("/api/v1/warning/record?days=7").json()
    assert said == json.loads(json.dumps(said)) and (said["coverage"], said["accuracy"], said["timeliness"]) == (66.7, 100.0, 33.3)
    page = client.get(reverse("warning:record")).content.decode()
    assert "66.7" in page and "33.3" in page and "Q29" in page


def test_a_reader_of_another_county_sees_none_of_it(sent, charlie, client, signed_in):
    signed_in(client, charlie)
    assert client.get(f"/api/v1/warning/alerts/{sent.pk}/arrival").status_code == 404
    assert client.get("/api/v1/warning/record").json()["alerts"] == 0
