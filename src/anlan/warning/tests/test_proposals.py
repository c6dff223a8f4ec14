"""Signals in an area combine into one proposal with its evidence; it fades when they do; its keys are repeatable."""
from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from anlan.kernel import journal, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import Problem
from anlan.kernel.ids import derived_id
from anlan.warning import actions
from anlan.warning.models import Alert, Proposal

from .builders import act, draft

AT = datetime(2026, 7, 20, 1, 0, tzinfo=UTC)


@action("test.warning_signal")
def _state(act, *, region, station, new, old, at, hazard, quantity):
    from anlan.sensing.facts import SignalChanged

    act.occurred_at = at
    body = SignalChanged(
        station=derived_id("station", station), code=station, name=f"{station}站", region=region, rule="cma-rainstorm/3h", rule_version="2007", kind="sum",
        hazard=hazard, quantity=quantity, old=old, new=new, value=62.5, unit="mm", window_s=10800, threshold=50.0, event_time=at, reading_time=at, late=False, flags=[],
    )
    act.state(body, subject=f"station:{derived_id('station', station)}", region=region)


def signal(realm, region, new, *, station="R1", old="none", at=AT, hazard="rainstorm", quantity="rain"):
    _state(Act(Actor.machine("test"), realm, op_id=uuid4()), region=region.pk, station=station, new=new, old=old, at=at, hazard=hazard, quantity=quantity)


def test_signals_of_a_county_become_one_proposal_with_evidence(actual, county, town, alice, drain):
    signal(actual, town, "yellow", station="R1")
    signal(actual, county, "orange", station="R2")
    drain()
    row = Proposal.plain.get()
    assert (row.region, row.hazard, row.colour, row.kind, row.state) == (county, "11B03", "orange", "call_down", "open")
    assert [(line["station"], line["colour"], line["value"], line["window"]) for line in row.evidence] == [
        (str(derived_id("station", "R2")), "orange", 62.5, "3 h"), (str(derived_id("station", "R1")), "yellow", 62.5, "3 h"),
    ]
    (item,) = work.waiting_for(alice, actual)
    assert item.kind == "warning.answer_proposal" and item.level == "orange"


def test_it_fades_when_every_signal_does_and_a_new_episode_is_a_new_proposal(actual, county, town, alice, drain):
    signal(actual, town, "yellow")
    drain()
    signal(actual, town, "none", old="yellow")
    drain()
    assert Proposal.plain.get().state == "faded" and not work.waiting_for(alice, actual).exists()
    signal(actual, town, "yellow")
    drain()
    assert Proposal.plain.filter(state="open").count() == 1 and Proposal.plain.count() == 2


def test_an_unknown_gauge_changes_nothing(actual, county, town, drain):
    signal(actual, town, "red")
    drain()
    signal(actual, town, "unknown", old="red")
    drain()
    assert Proposal.plain.get().now_colour == "red"


def test_the_key_is_derived_so_a_repeat_run_gives_the_same(actual, county, town, drain):
    signal(actual, town, "blue")
    drain()
    assert Proposal.plain.get().pk == derived_id("warning.proposal", actual.pk, county.pk, "11B03", 0)


def test_counties_and_hazards_stay_apart(actual, county, county2, town, drain):
    signal(actual, town, "red")
    signal(actual, county2, "red", station="R9")
    signal(actual, town, "red", station="L1", hazard="flood", quantity="level")
    drain()
    assert Proposal.plain.filter(state="open").count() == 3


def test_composing_from_it_takes_it_and_why_leads_to_the_reading(actual, county, town, alice, drain):
    signal(actual, town, "orange")
    drain()
    proposal = Proposal.plain.get()
    row = draft(alice, actual, county, kind="call_down", hazard="11B03", proposal=proposal.pk)
    proposal.refresh_from_db()
    assert proposal.state == "taken" and not work.waiting_for(alice, actual).exists()
    actions.issue(act(alice, actual), alert=row.pk)
    issued = next(fact for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.AlertIssued")
    kinds = [fact.kind for fact in journal.chain(issued.id)]
    assert kinds == ["warning.AlertIssued", "warning.AlertComposed", "warning.ProposalMade", "sensing.SignalChanged"]
    # While that alert is under way, a signal of no worse colour is evidence, not another question.
    signal(actual, town, "orange", station="R7")
    drain()
    assert Proposal.plain.count() == 1 and len(Proposal.plain.get().evidence) == 2
    signal(actual, town, "red", station="R7", old="orange")
    drain()
    assert Proposal.plain.filter(state="open", colour="red").count() == 1


def test_dismissing_needs_a_reason_and_reach(actual, county, town, alice, charlie, drain):
    signal(actual, town, "yellow")
    drain()
    key = Proposal.plain.get().pk
    for actor, reason in ((alice, " "), (charlie, "x")):
        with pytest.raises(Problem):
            actions.dismiss_proposal(act(actor, actual), proposal=key, reason=reason)
    assert actions.dismiss_proposal(act(alice, actual), proposal=key, reason="传感器检修").state == "dismissed"


def test_nobody_answers_and_it_goes_one_post_up_on_the_realms_clock(replay, county, town, alice, commander, drain):
    from datetime import timedelta

    signal(replay, town, "red", at=replay.now_at)
    drain()
    type(replay).objects.filter(pk=replay.pk).update(now_at=replay.now_at + timedelta(minutes=11))
    drain()
    assert [item.kind for item in work.waiting_for(commander, replay)] == ["warning.answer_proposal"]
    assert not Alert.plain.exists()


@action("test.warning_revision")
def _revise(act, *, region, station):
    from anlan.sensing.facts import SignalRevised

    key = derived_id("station", station)
    act.occurred_at = AT
    act.state(
        SignalRevised(
            station=key, code=station, name=f"{station}站", region=region, rule="cma-rainstorm/3h", rule_version="2007", hazard="rainstorm", quantity="rain", event_time=AT,
            until=None, said="orange", true="none",
        ),
        subject=f"station:{key}", region=region,
    )


def test_a_proposal_is_told_when_a_signal_it_rests_on_is_revised(actual, county, alice, drain):
    signal(actual, county, "orange", station="R1")
    signal(actual, county, "yellow", station="R2")
    drain()
    _revise(Act(Actor.machine("test"), actual, op_id=uuid4()), region=county.pk, station="R1")
    drain()
    drain()
    row = Proposal.plain.get()
    assert row.state == "open" and [line.get("revised", {}).get("true") for line in row.evidence] == ["none", None]
    (fact,) = [each for each in journal.about(f"warning_proposal:{row.pk}", actual) if each.kind == "warning.ProposalRevised"]
    assert fact.payload["said"] == "orange"
