"""What is said at once is judged again behind the watermark, and where it was wrong that is stated: as the engine's own `Both` says."""
from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest

from anlan.engines.series import Both, Colours, Measure, Term
from anlan.kernel import journal
from anlan.sensing import actions
from anlan.sensing.ingest import Sample
from anlan.sensing.models import Series
from anlan.sensing.quantities import COLOURS
from anlan.sensing.worker import Processor, feed

from .builders import T0, act, at, put, rain, station

pytestmark = pytest.mark.django_db


def revisions(realm):
    found = journal.select("WHERE f.realm_id = %s AND f.kind = 'sensing.SignalRevised'", [realm.pk])
    return sorted((f.payload["code"], f.occurred_at, f.payload["said"], f.payload["true"]) for f in found)


def by_both(samples):
    """The same stream through the engine: the default rainstorm rule, each gauge a source of its own."""
    codes = sorted({sample.station for sample in samples})
    limits = ((4, 3, 100_000), (3, 3, 50_000), (2, 6, 50_000), (1, 12, 50_000))
    rule = Colours(tuple(Term(colour, Measure("sum", hours * 3600), limit) for colour, hours, limit in limits))
    engine = Both(len(codes), [rule], lateness=900, sources=np.arange(len(codes)))
    columns = [[codes.index(s.station) for s in samples], [int(s.time.timestamp()) for s in samples], [round(s.value * 1000) for s in samples]]
    *_rest, found = engine.fold(*(np.array(column, np.int64) for column in columns))
    found += engine.finish()[1]
    return sorted((codes[r.series], T0 + timedelta(seconds=r.time - int(T0.timestamp())), COLOURS[r.said], COLOURS[r.true]) for r in found)


def stream(seed, gauges=4):
    dice = random.Random(seed)
    out = []
    for gauge in range(gauges):
        storm = dice.randrange(20, 60)
        for n in range(1, 140):
            value = round(dice.random() * (9 if storm < n < storm + 25 else 0.4), 1)
            late = dice.random() < 0.15
            out.append((5 * n + (dice.uniform(5.1, 14.9) if late else dice.uniform(0, 0.2)) + gauge / 100, Sample(f"R{gauge}", "rain", at(5 * n), value)))
    return [sample for _arrival, sample in sorted(out, key=lambda pair: pair[0])]


@pytest.mark.parametrize("seed", [1, 2])
def test_revisions_are_those_of_the_engine_however_the_stream_is_cut(seed, actual, replay):
    samples = stream(seed)
    for code in sorted({sample.station for sample in samples}):
        station(actual, code)
    put(replay, 5 * 141)
    dice, own, start = random.Random(seed), Processor(), 0
    while start < len(samples):
        step = dice.choice([1, 7, 60, 200])
        if dice.random() < 0.3:
            own = Processor()  # another worker takes over from what is stored
        feed(replay, samples[start : start + step], own)
        start += step
    put(replay, 5 * 141 + 60)
    actions.tick(act(replay))
    assert not Series.objects.exclude(late_to=None).exists(), "nothing waits once the clock is past it"
    want = by_both(samples)
    assert revisions(replay) == want and want


def test_rain_that_came_late_says_since_when_it_was_red_and_names_its_reading(actual, replay):
    station(actual, "R1")
    put(replay, 60)
    own = Processor()
    feed(replay, rain("R1", (5, 48.0), (15, 0.0), (20, 0.0)), own)
    feed(replay, rain("R1", (10, 60.0)), own)  # 108 mm by 00:10; said at 00:20, when it came
    feed(replay, rain("R1", (34, 0.0)), own)
    assert revisions(replay) == [], "something may still be on its way"
    feed(replay, rain("R1", (35, 0.0)), own)
    assert revisions(replay) == [("R1", at(10), "none", "red")]
    (fact,) = journal.select("WHERE f.kind = 'sensing.SignalRevised'")
    cause = journal.get(fact.cause_id)
    assert cause.kind == "sensing.ReadingsAccepted" and fact.payload["rule_version"]
    feed(replay, rain("R1", (12, 0.5)), own)  # later still: judged once more, and nothing is said twice
    feed(replay, rain("R1", (55, 0.0)), own)
    assert revisions(replay) == [("R1", at(10), "none", "red")]
