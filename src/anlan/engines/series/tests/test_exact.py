"""The exact engine, and both meanings of "when", against a reference that adds every window up from scratch."""
from __future__ import annotations

import bisect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlan.engines.series import (
    FATES,
    NEVER,
    Both,
    Colours,
    Engine,
    Exact,
    Grid,
    Measure,
    Quorum,
    Rule,
    Silence,
    Term,
    Transitions,
)

from .reference import Slow
from .test_engine import SERIES, all_rules, run, streams

DAY = 86400


def measured(measure, report, at):
    """A measure of {time: value} at a time, said as slowly as it can be."""
    if measure.kind == "level":
        return report[at]
    if measure.kind == "rise":
        return report[at] - min(v for t, v in report.items() if at - measure.window <= t <= at)
    if measure.kind == "index":
        total = 0
        for day in range(measure.window // DAY):
            total += round(measure.decay**day * 1_000_000) * sum(v for t, v in report.items() if at - (day + 1) * DAY < t <= at - day * DAY)
        return total
    inside = [v for t, v in report.items() if at - measure.window < t <= at]
    return sum(inside) if measure.kind == "sum" else sum(max(v - measure.floor, 0) for v in inside)


class SlowExact:
    """Take everything; what is not too late when it comes is judged at the end in order of event time."""

    def __init__(self, rules, lateness, sources, ahead):
        self.rules, self.lateness, self.sources, self.ahead = rules, lateness, sources, ahead
        self.reports = [{} for _ in sources]
        self.top = {}
        self.fates = []

    def take(self, s, t, v, clock=None):
        if s < 0:
            self.fates.append("unknown")
            return
        source = self.sources[s]
        if clock is not None and t > clock + self.ahead:
            self.fates.append("future")
        elif abs(v) > 2**31 - 2:
            self.fates.append("out_of_range")
        elif source in self.top and t <= self.top[source] - self.lateness:
            self.fates.append("too_late")
        else:
            self.top[source] = max(self.top.get(source, 0), t)
            if t in self.reports[s]:
                self.fates.append("duplicate" if self.reports[s][t] == v else "conflict")
            else:
                self.reports[s][t] = v
                self.fates.append("new")

    def judged(self):
        out = []
        for s, report in enumerate(self.reports):
            for index, rule in enumerate(self.rules):
                colour, held = 0, [False] * len(rule.terms)
                for at in sorted(report):
                    past = {t: v for t, v in report.items() if t <= at}
                    new = 0
                    for j, term in enumerate(rule.terms):
                        limit = int(np.broadcast_to(term.limit, len(self.reports))[s])
                        slack = int(np.broadcast_to(term.hysteresis, len(self.reports))[s])
                        if limit == NEVER:
                            continue
                        value = measured(term.measure, past, at)
                        limit *= 1_000_000 if term.measure.kind == "index" else 1
                        if value >= limit:
                            held[j] = True
                        elif value < limit - slack:
                            held[j] = False
                        if held[j]:
                            new = max(new, term.colour)
                    if new != colour:
                        out.append((at, s, index, colour, new))
                        colour = new
        return sorted(out)


def colour_rules(series):
    some = np.array([6, NEVER, 4, 9][:series], np.int64)
    return [
        Colours((Term(4, Measure("sum", 10), 20), Term(3, Measure("sum", 10), 12), Term(2, Measure("sum", 20), 12), Term(1, Measure("sum", 40), 12),
                 Term(4, Measure("over", 30, floor=5), 9))),
        Colours((Term(2, Measure("level"), some, 2), Term(3, Measure("level"), 8, 3), Term(4, Measure("rise", 15), 7), Term(1, Measure("rise", 8), 3))),
    ]


COUNT = 4
SOURCES = [0, 1, 0, 2]
on_grid = st.tuples(st.integers(0, COUNT - 1), st.integers(0, 40).map(lambda b: b * 5), st.integers(0, 9))
anywhere = st.tuples(st.integers(-1, COUNT - 1), st.integers(0, 200), st.one_of(st.integers(0, 9), st.sampled_from([-3, 40_000, 2**31 - 1])))
jumps = st.tuples(st.integers(0, COUNT - 1), st.sampled_from([5000, 5005, 21_600, 90_003]), st.integers(0, 9))
mixed = st.lists(st.one_of(on_grid, on_grid, on_grid, anywhere, jumps), max_size=80)
regular = st.lists(on_grid, max_size=80)


def exact_run(make, stream, cuts, through_snapshot=False, clock=None):
    engine, parts, fates, batch = make(), [], {}, []

    def flush():
        nonlocal engine
        if batch:
            series, time, value = (np.array(column, np.int64) for column in zip(*(item for _, item in batch), strict=True))
            told = np.array([clock[place] for place, _ in batch], np.int64) if clock is not None else None
            folded = engine.fold(series, time, value, told)
            parts.append(folded.transitions)
            for (place, _), fate in zip(batch, folded.status.tolist(), strict=True):
                fates[place] = FATES[fate]
            batch.clear()
        if through_snapshot:
            data = engine.snapshot()
            engine = make()
            engine.restore(data)

    for place, item in enumerate(stream):
        if place in cuts:
            flush()
        batch.append((place, item))
    flush()
    parts.append(engine.finish())
    found = Transitions.join(parts)
    return engine, sorted(zip(*(c.tolist() for c in (found.time, found.series, found.rule, found.old, found.new)), strict=True)), fates


@pytest.mark.parametrize("grid", [None, Grid(5)], ids=["lists", "grid"])
@settings(max_examples=60, deadline=None, print_blob=True)
@given(stream=mixed, cuts=st.sets(st.integers(0, 80)), lateness=st.sampled_from([1, 12, 60]))
def test_any_stream_gives_what_the_reference_gives(grid, stream, cuts, lateness):
    rules = colour_rules(COUNT)
    slow = SlowExact(rules, lateness, SOURCES, 600)
    for item in stream:
        slow.take(*item)
    engine, got, fates = exact_run(lambda: Exact(COUNT, rules, lateness=lateness, grid=grid, sources=SOURCES), stream, cuts)
    assert got == slow.judged()
    # What waits off the grid learns only behind the watermark that it was there before; the counts are whole at the end.
    told = dict(zip(FATES, engine.counts.sum(0).tolist(), strict=True))
    assert {name: told[name] for name in FATES[:-1]} == {name: slow.fates.count(name) for name in FATES[:-1]}
    for place, fate in fates.items():
        assert fate == slow.fates[place] or (fate == "new" and slow.fates[place] in ("duplicate", "conflict"))


@pytest.mark.parametrize("grid", [None, Grid(5)], ids=["lists", "grid"])
@settings(max_examples=60, deadline=None)
@given(stream=mixed, cuts=st.sets(st.integers(0, 80)))
def test_a_snapshot_at_any_place_goes_on_exactly(grid, stream, cuts):
    def make():
        return Exact(COUNT, colour_rules(COUNT), lateness=12, grid=grid, sources=SOURCES)

    whole, stitched = exact_run(make, stream, set()), exact_run(make, stream, cuts, through_snapshot=True)
    assert stitched[1] == whole[1] and stitched[0].counts.tolist() == whole[0].counts.tolist()


@settings(max_examples=60, deadline=None)
@given(stream=regular, seed=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(stream, seed):
    first = {}
    for s, t, v in stream:
        first.setdefault((s, t), v)  # of two values for one time the first to come counts: leave only one
    stream = [(s, t, v) for (s, t), v in first.items()]
    other = list(stream)
    seed.shuffle(other)

    def make():
        return Exact(COUNT, colour_rules(COUNT), lateness=10_000, grid=Grid(5), sources=SOURCES)

    assert exact_run(make, stream, set())[1] == exact_run(make, other, {3, 17, 40})[1]


@pytest.mark.parametrize("grid", [Grid(5, 0, 20), Grid(1, 0, 30)], ids=["5 s", "1 s"])
@settings(max_examples=60, deadline=None)
@given(stream=streams, cuts=st.sets(st.integers(0, 70)), through=st.booleans())
def test_at_once_on_a_grid_any_cutting_gives_what_one_by_one_gives(grid, stream, cuts, through):
    slow, expected = Slow(SERIES, all_rules(), keep=50), []
    for item in stream:
        expected += slow.tick(item[1]) if item[0] == "tick" else slow.take(*item)
    made = []

    def make():
        made.append(Engine(SERIES, all_rules(), keep=50, grid=grid))
        return made[-1]

    engine, got = run(make(), stream, cuts, through_snapshot=through, make=make)
    assert got == expected
    assert engine.colour.tolist() == slow.colour


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40).map(lambda b: b * 6 * 3600), st.integers(0, 50)), max_size=40), st.booleans())
def test_antecedent_rain_index(stream, exactly):
    rules = [Colours((Term(1, Measure("index", 5 * DAY, decay=0.84), 60), Term(3, Measure("index", 5 * DAY, decay=0.84), np.array([100, 150], np.int64))))]
    slow = SlowExact(rules, 100 * DAY, [0, 0], 600)
    for item in sorted(stream, key=lambda item: item[1]):
        slow.take(*item)
    ordered = sorted(stream, key=lambda item: item[1])
    if exactly:
        got = exact_run(lambda: Exact(2, rules, lateness=100 * DAY, grid=Grid(6 * 3600)), ordered, {5})[1]
    else:
        engine = Engine(2, rules, grid=Grid(6 * 3600))
        found = engine.fold(*(np.array(c, np.int64) for c in zip(*ordered, strict=True))).transitions if ordered else Transitions.join([])
        got = sorted(zip(*(c.tolist() for c in (found.time, found.series, found.rule, found.old, found.new)), strict=True))
    assert got == slow.judged()


# --- the traps -------------------------------------------------------------------------------------------------------


def rainstorm():
    hour = 3600
    return Colours((Term(4, Measure("sum", 3 * hour), 1000), Term(3, Measure("sum", 3 * hour), 500), Term(2, Measure("sum", 6 * hour), 500),
                    Term(1, Measure("sum", 12 * hour), 500)))


def storm(series, seed=20260601):
    """A day of 5-minute rain: 2 % late by up to 15 minutes, 1 % twice, 0.5 % missing. (series, time, value, arrival)."""
    rng = np.random.default_rng(seed)
    bins = 288
    value = np.floor(rng.gamma(0.05, 300, (bins, series)) * (rng.random(series) < 0.5)).astype(np.int64).ravel()
    s, t = np.tile(np.arange(series), bins), np.repeat(np.arange(1, bins + 1) * 300 + 1_780_272_000, series)
    came = rng.random(len(t)) > 0.005
    s, t, value = s[came], t[came], value[came]
    arrival = t + rng.integers(0, 30, len(t)) + np.where(rng.random(len(t)) < 0.02, rng.integers(30, 868, len(t)), 0)
    twice = np.flatnonzero(rng.random(len(t)) < 0.01)
    s, t, value = (np.r_[c, c[twice]] for c in (s, t, value))
    arrival = np.r_[arrival, np.minimum(arrival[twice] + rng.integers(0, 600, len(twice)), t[twice] + 899)]
    order = np.argsort(arrival, kind="stable")
    return tuple(np.ascontiguousarray(c[order]) for c in (s, t, value, arrival))


def judged(engine, columns, clock=None, batch=777):
    parts = []
    for start in range(0, len(columns[0]), batch):
        cut = slice(start, start + batch)
        parts.append(engine.fold(*(c[cut] for c in columns), clock[cut] if clock is not None else None).transitions)
    found = Transitions.join([*parts, engine.finish()])
    return sorted(zip(*(c.tolist() for c in (found.time, found.series, found.rule, found.old, found.new)), strict=True))


def expected_of(columns, series):
    slow = SlowExact([rainstorm()], 900, [0] * series, 600)
    for item in zip(*(c.tolist() for c in columns), strict=True):
        slow.take(*item)
    return slow.judged()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_day_of_rain_late_double_and_missing(seed):
    *columns, arrival = storm(12, seed)
    want = expected_of(columns, 12)
    assert len(want) > 20
    assert judged(Exact(12, [rainstorm()], grid=Grid(300)), columns) == want
    assert judged(Exact(12, [rainstorm()], grid=Grid(300)), columns, arrival, batch=5000) == want


def test_a_clock_six_hours_ahead_costs_only_its_own_readings():
    *columns, arrival = storm(6)
    honest = judged(Exact(6, [rainstorm()], grid=Grid(300)), columns)
    wrong = columns[0] == 4
    columns[1] = np.where(wrong & (arrival > arrival[len(arrival) // 2]), columns[1] + 21_600, columns[1])
    # Told by the receiver's clock ...
    engine = Exact(6, [rainstorm()], grid=Grid(300))
    got = judged(engine, columns, arrival)
    assert [row for row in got if row[1] != 4] == [row for row in honest if row[1] != 4]
    assert engine.counts[0, FATES.index("too_late")] == 0 and engine.counts[0, FATES.index("future")] > 100
    # ... and without one by the watermark of its own source.
    engine = Exact(6, [rainstorm()], grid=Grid(300), sources=[0, 0, 0, 0, 1, 0])
    got = judged(engine, columns)
    assert [row for row in got if row[1] != 4] == [row for row in honest if row[1] != 4]
    assert engine.counts[0, FATES.index("too_late")] == 0
    # The engine that judges at once needs neither: a series is its own measure.
    plain, ahead = Engine(6, [rainstorm()], grid=Grid(300, 0, 7200)), Engine(6, [rainstorm()], grid=Grid(300, 0, 7200))
    right = storm(6)[:3]
    others = [row for row in plain.fold(*right).transitions.rows() if row[0] != 4]
    assert [row for row in ahead.fold(*columns).transitions.rows() if row[0] != 4] == others


def test_a_reading_behind_the_watermark_is_counted_too_late():
    engine = Exact(2, [rainstorm()], grid=Grid(300), sources=[0, 1])
    engine.fold([0, 1], [90_000, 88_000 // 300 * 300], [1, 1])
    folded = engine.fold([0, 1, 0], [89_100, 87_600, 89_400], [5, 5, 5])
    assert [FATES[x] for x in folded.status] == ["too_late", "new", "new"]
    assert engine.counts[:, FATES.index("too_late")].tolist() == [1, 0, 0]


def test_silence_on_the_clock_and_the_idle_source():
    rules = [rainstorm(), Silence(1800, Measure("sum", 3600), 100)]
    engine = Exact(3, rules, grid=Grid(300), sources=[0, 0, 1], idle=3600)
    engine.fold([0, 1, 2], [3000, 3000, 3000], [150, 5, 600])
    engine.fold([0, 1], [6000, 6000], [120, 5])
    assert engine.tick(4800).rows() == []
    # Series 2 is heard of no more; its source is idle after an hour, and what it sent is judged to the end.
    silent = engine.tick(5000).rows()
    assert [(row[0], row[2], row[4]) for row in silent] == [(2, 1, 1)]
    assert [(row[0], row[2], row[4]) for row in engine.tick(6700).rows()] == [(2, 0, 3)]
    # 12 mm within the hour before its last reading, when that is judged: silent while rising.
    engine.fold([1], [7200], [0])
    assert [(row[0], row[4]) for row in engine.tick(7900).rows()] == [(0, 2)]


def test_what_was_said_at_once_and_was_not_so_is_revised():
    hour = 3600
    rules = [Colours((Term(3, Measure("level"), 100, 20),))]
    both = Both(1, rules, grid=Grid(300), lateness=900)
    _, said, exact, revised = both.fold([0, 0], [hour, hour + 600], [100, 85])
    assert [row[4] for row in said.rows()] == [3] and len(exact) == 0 and revised == []
    # A late low reading between: at once the colour goes; behind the watermark it had gone at its own time.
    _, said, exact, revised = both.fold([0], [hour + 300], [50])
    assert [(row[1], row[4]) for row in said.rows()] == [(hour + 600, 0)]
    exact, revised = both.finish()
    assert [(row[1], row[4]) for row in exact.rows()] == [(hour, 3), (hour + 300, 0)]
    assert [(r.time, r.said, r.true) for r in revised] == [(hour + 300, 3, 0)]


@settings(max_examples=40, deadline=None)
@given(stream=regular, cuts=st.sets(st.integers(0, 80)))
def test_revisions_are_where_the_two_differ(stream, cuts):
    """The reference: what had been said of each time by the end, against what was true at it."""
    rules = colour_rules(COUNT)
    both, said_rows, true_rows, revised, batch = Both(COUNT, rules, grid=Grid(5), lateness=60), [], [], [], []

    def flush():
        if batch:
            _, said, exact, news = both.fold(*(np.array(c, np.int64) for c in zip(*batch, strict=True)))
            said_rows.extend(said.rows())
            true_rows.extend(exact.rows())
            revised.extend(news)
            batch.clear()

    for place, item in enumerate(stream):
        if place in cuts:
            flush()
        batch.append(item)
    flush()
    exact, news = both.finish()
    true_rows.extend(exact.rows())
    revised.extend(news)
    want = set()
    for s in range(COUNT):
        for rule in range(len(rules)):
            said, true = [[(row[1], row[4]) for row in rows if row[0] == s and row[2] == rule] for rows in (said_rows, sorted(true_rows, key=lambda r: r[1]))]
            for at in {t for t, _ in said + true}:
                believed = next((c for t, c in reversed(said) if t <= at), 0)
                was = next((c for t, c in reversed(true) if t <= at), 0)
                if believed != was:
                    want.add((s, at, rule, believed, was))
    assert {(r.series, r.time, r.rule, r.said, r.true) for r in revised} == want


def test_quorum_over_an_area():
    quorum = Quorum({"north": [0, 1, 2], "south": [3]}, colour=3, at_least=2)
    hold = np.zeros(0, np.int64)

    def changes(*rows):
        table = np.array([(-1, s, t, 0, 0, new, 0, t) for s, t, new in rows], np.int64).reshape(-1, 8)
        return Transitions.of(np.concatenate((table, hold.reshape(0, 8))))

    assert quorum.take(changes((0, 10, 3), (3, 10, 4))) == []
    assert quorum.take(changes((1, 20, 4), (2, 20, 3)), ordered=True) == [("north", 20, True, 3)]
    assert quorum.take(changes((1, 30, 2))) == []
    assert quorum.take(changes((0, 30, 0))) == [("north", 30, False, 1)]


def test_old_table_rules_say_the_same_in_both_engines():
    rule = Rule("sum", np.array([40, 20, 10, 10], np.int64), np.tile(np.array([12, 12, 12, 20], np.int64), (1, 1)))
    rng = np.random.default_rng(5)
    time, value = np.arange(1, 200) * 5, rng.integers(0, 9, 199)
    exact = Exact(1, [rule], grid=Grid(5), lateness=1)
    at_once = Engine(1, [rule]).fold(np.zeros(199, np.int64), time, value).transitions
    found = Transitions.join([exact.fold(np.zeros(199, np.int64), time, value).transitions, exact.finish()])
    assert [row[:6] for row in found.rows()] == [row[:6] for row in at_once.rows()]
    assert bisect.bisect(found.time.tolist(), 10**9) == len(found) > 10
