"""A model's say: evidence with all it was made of, never a warning by itself."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from anlan.kernel import clock, journal, work
from anlan.kernel.actions import Actor
from anlan.kernel.errors import Problem
from anlan.kernel.models import Due
from anlan.warning import modelled
from anlan.warning.models import Alert, Attempt, Proposal

from .builders import act, channel


def square(west, south, side):
    return {"type": "Polygon", "coordinates": [[[west, south], [west + side, south], [west + side, south + side], [west, south + side], [west, south]]]}


def say(actor, realm, **changes):
    doing = act(actor, realm)
    values = {
        "model": "SWMM", "version": "5.2-a1", "hazard": "X-FLASHFLOOD", "colour": "orange", "footprint": square(119.02, 28.02, 0.05), "valid_from": doing.now + timedelta(hours=1),
        "valid_to": doing.now + timedelta(hours=4), "quantity": "level", "value": 87.4, "unit": "m", "inputs": {"rain": "QPF 06:00", "mesh": "v7"},
    }
    return list(Proposal.plain.filter(pk__in=modelled.hand_in(doing, **(values | changes))))


def test_it_lies_on_the_proposal_with_all_it_was_made_of_and_warns_nobody(actual, county, county2, alice, machine, drain, client, signed_in):
    channel("cap_feed")
    (row,) = say(machine, actual)
    drain()
    (line,) = row.evidence
    assert (row.region_id, row.colour, row.state, line["name"], line["rule_version"], line["value"]) == (county.pk, "orange", "open", "SWMM", "5.2-a1", 87.4)
    assert line["model"]["inputs"] == {"rain": "QPF 06:00", "mesh": "v7"} and line["model"]["drawn"]["footprint"]["type"] == "Polygon"
    assert [item.kind for item in work.waiting_for(alice, actual)] == ["warning.answer_proposal"]
    assert not Alert.plain.exists() and not Attempt.plain.exists()
    (said,) = journal.select("WHERE f.kind = 'warning.ModelSpoke'")
    assert said.payload["model"] == "SWMM" and said.payload["footprint"].startswith("sha256:") and line["fact"] == str(said.id)
    signed_in(client, alice)
    page = client.get(reverse("warning:proposal", args=[row.pk])).content.decode()
    assert "SWMM" in page and "5.2-a1" in page and "QPF 06:00" in page
    form = client.get(reverse("warning:compose") + f"?proposal={row.pk}").context["form"]
    assert "1个模型预报" in form.initial["headline"] and "监测站" not in form.initial["headline"] and "模型SWMM预报（" in form.initial["description"]
    assert form.initial["shape"] == "footprint" and json.loads(form.initial["footprint"])["coordinates"] and form.initial["model"] == "SWMM 5.2-a1"


def test_it_stands_beside_the_gauges_rises_and_takes_itself_back(actual, county, county2, machine, drain):
    (row,) = say(machine, actual)
    (again,) = say(machine, actual, colour="red", version="5.2-a2")
    assert again.pk == row.pk and again.colour == "red" and len(again.evidence) == 1
    (gone,) = say(machine, actual, colour="")
    assert gone.state == "faded" and Proposal.plain.count() == 1
    both = say(machine, actual, footprint=square(119.3, 28.1, 0.3))
    assert {one.region_id for one in both} == {county.pk, county2.pk}


@pytest.mark.parametrize(("change", "code"), [
    ({"model": " "}, "kernel.invalid"), ({"version": ""}, "kernel.invalid"), ({"hazard": "?"}, "warning.bad_hazard"), ({"colour": "pink"}, "warning.bad_colour"),
    ({"footprint": square(10, 10, 1)}, "warning.no_region"), ({"footprint": {"type": "Point", "coordinates": [1, 2]}}, "warning.bad_content"), ({"footprint": None}, "warning.no_region"),
    ({"inputs": {"x": "y" * 30_000}}, "kernel.invalid"),
])
def test_what_is_no_say_is_refused_by_name_and_leaves_nothing(actual, county, machine, change, code):
    with pytest.raises(Problem) as caught:
        say(machine, actual, **change)
    assert caught.value.kind.code == code and not Proposal.plain.exists() and not journal.select("WHERE f.kind = 'warning.ModelSpoke'")


def test_it_comes_over_the_interface_from_who_may_enter_and_not_too_late(client, signed_in, actual, county, alice):
    body = {"model": "SWMM", "version": "1", "hazard": "X-FLASHFLOOD", "colour": "yellow", "regions": [str(county.pk)]}
    signed_in(client, alice)
    answer = client.post("/api/v1/warning/proposals", json.dumps(body), content_type="application/json")
    assert answer.status_code == 200 and answer.json()[0]["colour"] == "yellow"
    late = client.post("/api/v1/warning/proposals", json.dumps(body | {"valid_to": "2001-01-01T00:00:00Z"}), content_type="application/json")
    assert late.status_code == 422 and late.json()["error"]["code"] == "warning.bad_times"
    with pytest.raises(Problem):
        say(Actor(account_id=None, person_id=None, post_id=None, device="x"), actual)


def test_what_a_model_spoke_of_is_over_when_its_window_is(actual, county, machine, monkeypatch):
    (row,) = say(machine, actual)
    say(machine, actual, model="other", valid_to=clock.now() + timedelta(hours=9))
    timer = Due.objects.get(timer="warning.model_over", subject=f"warning_proposal:{row.pk}")
    assert timer.due_at < clock.now() + timedelta(hours=5), "the first window that ends"
    modelled.over(act(machine, actual), proposal=row.pk)
    row.refresh_from_db()
    assert [line["colour"] for line in row.evidence] == ["orange", "orange"], "not yet"
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda realm=None: real(realm) + timedelta(hours=5))
    modelled.over(act(machine, actual), proposal=row.pk)
    row.refresh_from_db()
    assert row.state == "open" and {line["station"]: line["colour"] for line in row.evidence} == {"model:SWMM": "", "model:other": "orange"}
    monkeypatch.setattr(clock, "now", lambda realm=None: real(realm) + timedelta(hours=10))
    modelled.over(act(machine, actual), proposal=row.pk)
    row.refresh_from_db()
    assert row.state == "faded"


def test_no_place_a_model_names_is_passed_over(actual, county, machine):
    with pytest.raises(Problem) as caught:
        say(machine, actual, footprint=None, regions=[str(county.pk), str(actual.pk)])
    assert caught.value.kind.code == "warning.no_region" and not Proposal.plain.exists()
