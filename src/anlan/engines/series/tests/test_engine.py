"""The engine against hand calculation, against the slow reference, and against real streams."""
from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlan.engines.series import (
    BLUE,
    CONFLICT,
    DUPLICATE,
    NEVER,
    NEW,
    NONE,
    OLD,
    ORANGE,
    RED,
    UNKNOWN,
    YELLOW,
    Engine,
    Rule,
    Transitions,
)

from .reference import Slow

H, MIN = 3600, 60
SHARED = Path(__file__).resolve().parents[6] / "shared" / "data"


def ints(*values):
    return np.array(values, np.int64)


def table(series, *limits):
    return np.tile(np.array(limits, np.int64), (series, 1))


def rainstorm(series=1):
    """The CMA table in tenths of a millimetre: blue 12 h 50 mm, yellow 6 h 50, orange 3 h 50, red 3 h 100."""
    return Rule("sum", ints(12 * H, 6 * H, 3 * H, 3 * H), table(series, 500, 500, 500, 1000), stale_after=12 * H)


def level(series=1, hysteresis=20):
    return Rule("level", ints(0, 0, 0, 0), table(series, NEVER, 100, 200, 300),
                hysteresis=np.full(series, hysteresis, np.int64), stale_after=6 * H)


def feed(engine, *readings):
    series, time, value = (np.array(column, np.int64) for column in zip(*readings, strict=True))
    return engine.fold(series, time, value)


def colours(folded_or_transitions):
    got = getattr(folded_or_transitions, "transitions", folded_or_transitions)
    return list(zip(got.time.tolist(), got.old.tolist(), got.new.tolist(), got.value.tolist(), strict=True))


def test_rolling_sums_by_hand():
    engine = Engine(1, [rainstorm()])
    # 20 mm an hour: 20, 40, 60 (3 h = 60: orange at once), 80 in the 4th but 3 h still 60.
    got = feed(engine, (0, 1 * H, 200), (0, 2 * H, 200), (0, 3 * H, 200), (0, 4 * H, 200))
    assert colours(got) == [(3 * H, NONE, ORANGE, 600)]
    # 45 mm more in the fifth hour: 3 h = 20 + 20 + 45 = 85: still orange; 35 in the sixth: 20 + 45 + 35 = 100: red.
    assert colours(feed(engine, (0, 5 * H, 450))) == []
    assert colours(feed(engine, (0, 6 * H, 350))) == [(6 * H, ORANGE, RED, 1000)]
    # Dry: 3 h = 45 + 35 = 80 orange; 35: 6 h = 20+20+20+45+35 less the hours that left ...
    assert colours(feed(engine, (0, 7 * H, 0))) == [(7 * H, RED, ORANGE, 800)]
    assert colours(feed(engine, (0, 8 * H, 0))) == [(8 * H, ORANGE, YELLOW, 1200)]  # 6 h: hours 3..8


def test_a_window_leaves_out_its_far_end():
    engine = Engine(1, [rainstorm()])
    assert colours(feed(engine, (0, 0, 400), (0, 3 * H, 100))) == [(3 * H, NONE, YELLOW, 500)]  # 3 h sum: 100 only


def test_a_sum_exactly_on_the_threshold_counts():
    """0.1 mm x 500 is 50 mm in whole tenths; in binary fractions it is 49.99999999999...."""
    engine = Engine(1, [rainstorm()])
    got = engine.fold(np.zeros(500, np.int64), np.arange(1, 501) * 20, np.ones(500, np.int64))
    assert colours(got) == [(500 * 20, NONE, ORANGE, 500)]
    assert sum([0.1] * 500) != 50


def test_level_with_hysteresis():
    engine = Engine(1, [level()])
    got = feed(engine, (0, 10, 100), (0, 20, 85), (0, 30, 80), (0, 40, 79), (0, 50, 310), (0, 60, 285), (0, 70, 279), (0, 80, 0))
    assert colours(got) == [(10, NONE, YELLOW, 100), (40, YELLOW, NONE, 79), (50, NONE, RED, 310), (70, RED, ORANGE, 279), (80, ORANGE, NONE, 0)]


def test_a_late_low_reading_between_corrects_hysteresis():
    """100 raises, 85 holds it inside the band; a late 50 between the two says it had fallen: the colour goes."""
    engine = Engine(1, [level()])
    feed(engine, (0, 10, 100), (0, 30, 85))
    got = feed(engine, (0, 20, 50))
    assert colours(got) == [(30, YELLOW, NONE, 85)]
    assert got.late.tolist() == [True]


def test_rate_of_rise_is_from_the_lowest_of_the_window():
    rule = Rule("rise", ints(H, H, H, H), table(1, 50, 100, NEVER, NEVER))
    engine = Engine(1, [rule])
    got = feed(engine, (0, 0, 200), (0, 30 * MIN, 150), (0, 50 * MIN, 260), (0, 100 * MIN, 290), (0, 110 * MIN, 300))
    # 260 - 150 = 110 yellow; at 100 min the window is [40, 100]: 290 - 260 = 30: none; 300 - 260 = 40: none
    assert colours(got) == [(50 * MIN, NONE, YELLOW, 110), (100 * MIN, YELLOW, NONE, 30)]


def test_a_late_reading_raises_the_sum_at_once():
    engine = Engine(1, [rainstorm()])
    feed(engine, (0, 1 * H, 300), (0, 3 * H, 100))
    assert colours(feed(engine, (0, 2 * H, 100))) == [(3 * H, NONE, ORANGE, 500)]


def test_duplicates_are_ignored_and_conflicts_counted():
    engine = Engine(1, [rainstorm()])
    got = feed(engine, (0, H, 300), (0, H, 300), (0, H, 301), (0, 2 * H, 100), (0, H, 300))
    assert got.status.tolist() == [NEW, DUPLICATE, CONFLICT, NEW, DUPLICATE]
    assert len(got.transitions) == 0 and engine.readings()[2].tolist() == [300, 100]


def test_what_is_older_than_kept_moves_no_sum():
    engine = Engine(1, [rainstorm()])
    got = feed(engine, (0, 100 * H, 400), (0, 88 * H, 5000), (0, 88 * H + 1, 90))
    assert got.status.tolist() == [NEW, OLD, NEW]
    assert colours(got) == []  # 40 + 9 mm within 12 h; the 500 mm are outside every window


def test_silence_and_silence_while_rising():
    rule = Rule("silence", ints(H, 0, 0, 0), table(2, 100, 0, 0, 0), after=ints(1800, 1800), measure="rise")
    engine = Engine(2, [rule])
    feed(engine, (0, 0, 0), (0, 600, 500), (1, 0, 0), (1, 600, 50))
    assert engine.tick(2400).rows() == []
    assert engine.tick(2460).rows() == [(0, 2460, 0, 0, 2, 1860, 600), (1, 2460, 0, 0, 1, 1860, 600)]
    assert engine.tick(2520).rows() == []
    # An old stored reading that only now gets through does not end the silence; a fresh one does.
    assert feed(engine, (0, 630, 510)).transitions.rows() == []
    assert feed(engine, (0, 2500, 520)).transitions.rows() == [(0, 2500, 0, 2, 0, 20, 2500)]


def test_a_series_never_heard_is_not_silent():
    rule = Rule("silence", ints(H, 0, 0, 0), table(1, 100, 0, 0, 0), after=ints(60))
    assert Engine(1, [rule]).tick(10**9).rows() == []


def test_a_colour_nobody_feeds_becomes_unknown_not_green():
    engine = Engine(1, [rainstorm()])
    feed(engine, (0, H, 1000))
    assert engine.tick(13 * H).rows() == []
    assert engine.tick(13 * H + 60).rows() == [(0, 13 * H + 60, 0, RED, UNKNOWN, 1000, H)]
    assert colours(feed(engine, (0, 14 * H, 0))) == [(14 * H, UNKNOWN, NONE, 0)]


def test_the_value_unchanged_for_how_long():
    engine = Engine(1, [rainstorm()])
    got = feed(engine, (0, 100, 7), (0, 200, 7), (0, 300, 7), (0, 250, 9), (0, 400, 8), (0, 500, 8))
    assert got.same_s.tolist() == [0, 100, 200, 0, 0, 100]
    assert feed(engine, (0, 900, 8)).same_s.tolist() == [500]


def test_bad_input_is_refused():
    with pytest.raises(ValueError):
        feed(Engine(1, [rainstorm()]), (1, 0, 0))
    with pytest.raises(ValueError):
        feed(Engine(1, [rainstorm()]), (0, -5, 0))
    with pytest.raises(ValueError):
        Engine(2, [rainstorm(1)])
    with pytest.raises(ValueError):
        Rule("wish", ints(0, 0, 0, 0), table(1, 1, 1, 1))


# --- any cutting into batches, against the slow reference -----------------------------------------------------------

SERIES = 3


def all_rules():
    return [
        Rule("sum", ints(40, 20, 10, 10), table(SERIES, 12, 12, 12, 20), stale_after=30),
        Rule("level", ints(0, 0, 0, 0), np.array([[4, 6, 8, 9], [NEVER, 5, NEVER, 9], [NEVER] * 4], np.int64),
             hysteresis=ints(2, 1, 0), stale_after=25),
        Rule("rise", ints(15, 15, 8, 5), table(SERIES, 3, 5, 7, 7), stale_after=15),
        Rule("silence", ints(10, 0, 0, 0), table(SERIES, 4, 0, 0, 0), after=ints(12, 20, 0), measure="rise"),
        Rule("silence", ints(10, 0, 0, 0), table(SERIES, 6, 0, 0, 0), after=ints(9, 0, 30), measure="sum"),
    ]


reading = st.tuples(st.integers(0, SERIES - 1), st.integers(0, 120), st.integers(0, 9))
streams = st.lists(st.one_of(reading, st.tuples(st.just("tick"), st.integers(0, 160))), max_size=70)


def plain():
    return Engine(SERIES, all_rules(), keep=50)


def run(engine, stream, cuts, through_snapshot=False, make=plain):
    """Feed the stream, cut before the given positions and at every tick; the transitions in order."""
    out, batch = [], []

    def flush():
        nonlocal engine
        if batch:
            out.extend(feed(engine, *batch).transitions.rows())
            batch.clear()
        if through_snapshot:
            data = engine.snapshot()
            engine = make()
            engine.restore(data)

    for position, item in enumerate(stream):
        if position in cuts:
            flush()
        if item[0] == "tick":
            flush()
            out.extend(engine.tick(item[1]).rows())
        else:
            batch.append(item)
    flush()
    return engine, out


@settings(max_examples=400, deadline=None)
@given(streams, st.sets(st.integers(0, 70)))
def test_any_cutting_gives_what_one_by_one_gives(stream, cuts):
    slow, expected = Slow(SERIES, all_rules(), keep=50), []
    for item in stream:
        expected += slow.tick(item[1]) if item[0] == "tick" else slow.take(*item)
    engine, got = run(Engine(SERIES, all_rules(), keep=50), stream, cuts)
    assert got == expected
    assert engine.colour.tolist() == slow.colour


@settings(max_examples=100, deadline=None)
@given(streams, st.sets(st.integers(0, 70)))
def test_a_snapshot_goes_on_exactly(stream, cuts):
    _, whole = run(Engine(SERIES, all_rules(), keep=50), stream, set())
    _, stitched = run(Engine(SERIES, all_rules(), keep=50), stream, cuts, through_snapshot=True)
    assert stitched == whole


@settings(max_examples=100, deadline=None)
@given(streams, st.integers(1, SERIES))
def test_an_engine_that_grew_says_what_one_laid_out_at_once_says(stream, step):
    """Series come when something is first heard of them, with room in front of them or without."""
    whole, engine, there = plain(), Engine(0, tables(all_rules(), 0, 0), keep=50), 0
    expected, got = [], []
    for item in stream:
        while item[0] != "tick" and item[0] >= there:
            size = min(there + step, SERIES)
            if size > engine.series:
                engine.resize(max(size, 2 * engine.series))
            engine.amend(np.arange(there, size), tables(all_rules(), there, size))
            there = size
        for each, out in ((whole, expected), (engine, got)):
            out += (each.tick(item[1]) if item[0] == "tick" else feed(each, item).transitions).rows()
    assert got == expected
    assert engine.colour[:, :there].tolist() == whole.colour[:, :there].tolist() and engine.keep == whole.keep


def tables(rules, first, stop):
    """The rules as they speak of some series alone."""
    return [
        replace(rule, thresholds=rule.thresholds[first:stop], **{name: values[first:stop] for name in ("hysteresis", "after") if (values := getattr(rule, name)) is not None})
        for rule in rules
    ]


def test_rules_of_other_series_are_not_taken():
    engine = Engine(1, [rainstorm()])
    for series, rules in ((np.arange(2), [rainstorm()]), (np.arange(1, 2), [rainstorm()]), (np.arange(1), [])):
        with pytest.raises(ValueError, match="other"):
            engine.amend(series, rules)
    given = rainstorm()
    engine = Engine(1, [given])
    engine.resize(2)
    engine.amend(np.array([1]), [rainstorm()])
    assert given.thresholds.shape == (1, 4) and engine.rules[0].thresholds.tolist() == [[500, 500, 500, 1000]] * 2


@settings(max_examples=100, deadline=None)
@given(streams, streams, st.sets(st.integers(0, SERIES - 1)), st.integers(1, 4))
def test_series_under_other_limits_go_on_as_in_an_engine_built_anew(before, after, changed, factor):
    """What a register changes of some series: the engine amended against one under the new limits with the readings put back."""
    chosen = np.array(sorted(changed), np.int64)
    rules = [replace(rule, thresholds=rule.thresholds.copy(), **{n: v.copy() for n in ("hysteresis", "after") if (v := getattr(rule, n)) is not None}) for rule in all_rules()]
    for rule in rules:
        limits = rule.thresholds[chosen]
        rule.thresholds[chosen] = np.where(limits == NEVER, NEVER, limits // factor)
    engine, _ = run(Engine(SERIES, all_rules(), keep=50), before, set())
    engine.resize(SERIES)
    anew = Engine(SERIES, rules, keep=50)
    anew.clock = engine.clock
    anew.newest[:], anew.last[:], anew.since[:] = engine.newest, engine.last, engine.since
    anew.prime(*engine.readings())
    anew.colour[:], anew.entered[:], anew.fallen[:] = engine.colour, engine.entered, engine.fallen
    engine.amend(chosen, [replace(rule, thresholds=rule.thresholds[chosen], **{n: v[chosen] for n in ("hysteresis", "after") if (v := getattr(rule, n)) is not None}) for rule in rules])
    for each in (engine, anew):
        for index, rule in enumerate(rules):
            if rule.kind == "level":
                each.relearn(index, chosen)
    assert engine.rejudge(chosen).rows() == anew.rejudge().rows()
    assert run(engine, after, set())[1] == run(anew, after, set())[1]
    assert engine.colour.tolist() == anew.colour.tolist()


def test_random_stream_of_many_series_with_late_and_double_reports():
    """Longer than the property test: 40 gauges, a day of 5-minute reports, 2 % late, 1 % twice, in odd batches."""
    rng = np.random.default_rng(20260601)
    count, bins = 40, 288
    rain = rng.gamma(0.05, 120, (bins, count)).astype(np.int64)
    series, time = np.tile(np.arange(count), bins), np.repeat(np.arange(bins) * 300 + 300, count)
    value = rain.ravel()
    arrives = time + rng.integers(0, 30, len(time)) + np.where(rng.random(len(time)) < 0.02, rng.integers(30, 870, len(time)), 0)
    twice = rng.random(len(time)) < 0.01
    series, time, value, arrives = (np.r_[c, c[twice]] for c in (series, time, value, arrives))
    arrives[-twice.sum():] += rng.integers(0, 600, twice.sum())
    order = np.argsort(arrives, kind="stable")
    series, time, value = series[order], time[order], value[order]
    engine, slow = Engine(count, [rainstorm(count)]), Slow(count, [rainstorm(count)], 0)
    expected = [row for item in zip(series.tolist(), time.tolist(), value.tolist(), strict=True) for row in slow.take(*item)]
    got, start = [], 0
    while start < len(series):
        stop = start + int(rng.integers(1, 900))
        got += engine.fold(series[start:stop], time[start:stop], value[start:stop]).transitions.rows()
        start = stop
    assert len(expected) > 100  # the test would show nothing on a dry day
    assert got == expected
    assert slow.counts["duplicate"] == twice.sum()


# --- real streams ----------------------------------------------------------------------------------------------------


def seconds(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.skipif(not (SHARED / "streams").exists(), reason="the real streams are not beside the repository")
def test_plumtree_run_flash_flood():
    """31 Aug 2018, 0.05 to 64 m3/s within two hours: thresholds passed when the file says so, found by a plain scan."""
    with open(SHARED / "streams" / "usgs_01581752_plumtree_run_5min.csv") as file:
        rows = [(seconds(r["time_utc"]), round(float(r["discharge_m3s"]) * 1000)) for r in csv.DictReader(file) if r["discharge_m3s"]]
    rule = Rule("level", ints(0, 0, 0, 0), table(1, NEVER, 5000, 20000, 50000), hysteresis=ints(1000))
    engine = Engine(1, [rule])
    got = feed(engine, *[(0, t, v) for t, v in rows]).transitions
    first_red = got.time[got.new == RED][0]
    assert first_red == next(t for t, v in rows if v >= 50000)
    assert datetime.fromtimestamp(first_red, UTC).date().isoformat() == "2018-08-31"
    assert engine.colour[0, 0] == NONE
    raised = np.flatnonzero(got.new > got.old)
    assert all(got.value[i] >= {2: 5000, 3: 20000, 4: 50000}[int(got.new[i])] for i in raised)


@pytest.mark.skipif(not (SHARED / "events").exists(), reason="the event data are not beside the repository")
def test_poyo_passes_red_between_1125_and_1130_and_falls_silent_while_rising():
    with open(SHARED / "events" / "valencia_dana_20241029" / "poyo_flow_5min.csv") as file:
        rows = [(int(datetime.fromisoformat(r["time"]).timestamp()), round(float(r["discharge_m3s"]) * 1000))
                for r in csv.DictReader(file) if r["discharge_m3s"] != ""]
    engine = Engine(1, [
        Rule("level", ints(0, 0, 0, 0), np.array([[NEVER, 30001, 70001, 150001]], np.int64), hysteresis=ints(0), stale_after=6 * H),
        Rule("silence", ints(H, 0, 0, 0), table(1, 50000, 0, 0, 0), after=ints(1800), measure="rise"),
    ])
    got = feed(engine, *[(0, t, v) for t, v in rows]).transitions
    reds = [datetime.fromtimestamp(int(t), UTC).strftime("%d %H:%M") for t in got.time[got.new == RED]]
    assert reds[0] == "29 10:30"  # 11:30 local: the first reading after it passed "between 11:25 and 11:30"
    last = rows[-1][0]
    gone = engine.tick(last + 1860).rows()
    assert [(row[2], row[3], row[4]) for row in gone] == [(1, 0, 2)]  # 2,283 m3/s, then nothing


@pytest.mark.skipif(not (SHARED / "streams").exists(), reason="the real streams are not beside the repository")
def test_amsterdam_rain_with_its_gaps_agrees_with_the_reference():
    with open(SHARED / "streams" / "amsterdam_pws_rain_5min_20170906_09.csv") as file:
        rows = list(csv.reader(file))
    names, body = rows[0][1:], rows[1:]
    stream = [(s, seconds(row[0]), round(float(cell) * 1000)) for row in body for s, cell in enumerate(row[1:]) if cell != ""]
    count = len(names)
    rule = Rule("sum", ints(12 * H, 6 * H, 3 * H, 3 * H), table(count, 30000, 20000, 15000, 25000))
    got = feed(Engine(count, [rule]), *stream).transitions
    # Reference for a few stations: the busiest, the emptiest, one with faulty zeros.
    for s in (int(np.bincount(got.series).argmax()), 8, 0):
        slow = Slow(1, [Rule(rule.kind, rule.windows, rule.thresholds[:1])], 0)
        expected = [row for series, t, v in stream if series == s for row in slow.take(0, t, v)]
        chosen = got.series == s
        mine = Transitions(**{n: getattr(got, n)[chosen] for n in Transitions.__dataclass_fields__}).rows()
        assert [row[1:] for row in mine] == [row[1:] for row in expected]
    assert (got.new == BLUE).any()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_what_cannot_raise_a_colour_never_does(data):
    """Any history, then any readings at any times: a colour above the one held comes only where `may_rise` had said so."""
    rules = [rainstorm(), level(), Rule("rise", ints(H, H, 3 * H, 3 * H), table(1, 80, 150, 150, NEVER))]
    engine = Engine(1, rules)
    readings = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 320)), min_size=1, max_size=12)
    for at, value in data.draw(readings):
        engine.fold(ints(0), ints(at * 20 * MIN), ints(value))
    more = data.draw(readings)
    values = [value for _at, value in more]
    may, held = engine.may_rise(0, sum(values), min(values), max(values)), engine.colour[:, 0].copy()
    moved = engine.fold(np.zeros(len(more), np.int64), np.array([at for at, _value in more]) * 20 * MIN, np.array(values)).transitions
    assert may or all(new <= held[rule] for rule, new in zip(moved.rule, moved.new, strict=True))


def test_what_can_raise_a_colour_is_known_by_its_sums():
    engine = Engine(2, [rainstorm(2)])
    assert engine.may_rise(1, 0, 0, 0)  # never heard
    feed(engine, (0, 1 * H, 300))
    assert not engine.may_rise(0, 199, 0, 199) and engine.may_rise(0, 200, 0, 150)
    feed(engine, (0, 2 * H, 200))  # orange now: red is 100 mm in 3 h
    assert not engine.may_rise(0, 499, 0, 499) and engine.may_rise(0, 500, 0, 500)
