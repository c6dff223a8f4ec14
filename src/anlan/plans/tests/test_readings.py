"""The real way of a reading: taken in and judged by sensing, followed by the plans, to a proposal with its chain of causes."""
from __future__ import annotations

from datetime import timedelta

import pytest

from anlan.kernel import journal
from anlan.kernel.models import Realm
from anlan.plans import actions
from anlan.plans.models import Match, ResponseProposal, Term
from anlan.sensing.actions import import_stations
from anlan.sensing.ingest import Sample
from anlan.sensing.worker import feed

from .builders import act

pytestmark = pytest.mark.django_db


@pytest.fixture
def poyo(actual, replay, machine, city, county, duty_post):
    for code, quantity, more in (("POYO", "flow", {"thresholds": {"flow": {"yellow": 30, "orange": 70, "red": 150, "source": "LASPROV-PROT"}}}), ("CHIVA", "rain", {})):
        import_stations(act(machine, actual), origin="test", rows=[{"code": code, "name": code, "kind": quantity, "quantities": [quantity], "region": county.pk, "lon": -0.6, "lat": 39.5, **more}])
    return actions.adopt(act(machine, replay), plan="valencia-poyo-2024", region=city.pk, default_post=duty_post.pk, places={"poyo": {"station": "POYO"}})


def test_flow_and_rain_propose_the_level_with_the_signal_among_its_causes(replay, poyo, drain):
    begun = replay.now_at
    seen = []
    for n, flow, rain in ((5, 27.0, 4.0), (10, 75.0, 4.0), (15, 258.0, 4.0)):
        moment = begun + timedelta(minutes=n)
        Realm.objects.filter(pk=replay.pk).update(now_at=moment)
        replay.refresh_from_db()
        feed(replay, [Sample("POYO", "flow", moment, flow), Sample("CHIVA", "rain", moment, rain)])
        drain()
        seen.append([row.level.key for row in ResponseProposal.objects.of(replay).filter(state="open")])
    # Nothing below 30; orange waits for rain to reach 10 mm in a day, which it does with the third reading, when the flow is red.
    assert seen == [[], [], ["red"]]
    proposal = ResponseProposal.objects.of(replay).get(state="open")
    assert proposal.opened_at == begun + timedelta(minutes=15)
    chain = [(step.kind, step.occurred_at) for step in journal.why(f"proposal:{proposal.pk}")]
    assert [kind for kind, _ in chain][-2:] == ["plans.ConditionMet", "plans.LevelProposed"]
    assert chain[0][0].startswith("sensing.") and chain[-2][1] == begun + timedelta(minutes=15)
    assert {row["term"]: row["value"] for row in proposal.reasons[0]["inputs"]}["rain_24h"] == 12.0
    assert Term.objects.of(replay).get(name="discharge").source.startswith("POYO")


def test_a_gauge_that_falls_silent_leaves_the_plan_unable_to_tell(replay, poyo, drain):
    begun = replay.now_at
    Realm.objects.filter(pk=replay.pk).update(now_at=begun + timedelta(minutes=5))
    replay.refresh_from_db()
    feed(replay, [Sample("POYO", "flow", begun + timedelta(minutes=5), 258.0), Sample("CHIVA", "rain", begun + timedelta(minutes=5), 40.0)])
    drain()
    assert Match.objects.of(replay).get(condition__key="red").verdict == "met"
    Realm.objects.filter(pk=replay.pk).update(now_at=begun + timedelta(hours=2))
    replay.refresh_from_db()
    drain()
    assert Match.objects.of(replay).get(condition__key="red").verdict == "cannot_tell"
    assert ResponseProposal.objects.of(replay).get(level__key="red").state == "open"
