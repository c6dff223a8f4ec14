"""Files in, changes out: formats, order, bad rows, every kind of rule."""
from __future__ import annotations

import csv
import random

import pytest

from anlan.engines.series.filerun import judge_file
from anlan.engines.series.rulefile import RuleError, read_rules
from anlan.engines.series.tables import TableError

PLAIN = """
quantity: rain
unit: mm
quantum: 0.1
rules:
  - {colour: red,    window: 3h,  at_least: 100}
  - {colour: orange, window: 3h,  at_least: 50}
  - {colour: yellow, window: 6h,  at_least: 50}
  - {colour: blue,   window: 12h, at_least: 50}
"""
START = 1_780_272_000  # 2026-06-01T00:00:00Z


def storm():
    """Four gauges, eight hours: (station, seconds, mm); gauge B rains 16 mm every half hour for three hours."""
    rows = []
    for bin_ in range(1, 97):
        for name in ("A", "B", "C", "D"):
            rows.append((name, START + bin_ * 300, 16.0 if name == "B" and bin_ % 6 == 0 and bin_ <= 42 else 0.1 if name == "C" else 0.0))
    return rows


def written(path, rows, header="station,time,value", form=str):
    path.write_text(header + "\n" + "".join(f"{s},{form(t)},{v}\n" for s, t, v in rows))
    return path


def judge(tmp_path, path, rules=PLAIN, mode="exact", out="out.csv"):
    report = judge_file(path, read_rules(rules), mode, tmp_path / out)
    with open(tmp_path / out, newline="") as stream:
        return report, list(csv.DictReader(stream))


def brief(rows):
    return [(row["station"], int(row["time"]), row["old"], row["new"]) for row in rows]


WANT = [("B", START + 24 * 300, "none", "orange"), ("B", START + 42 * 300, "orange", "red")]


def test_csv_in_any_order_gives_the_same(tmp_path):
    rows = storm()
    report, got = judge(tmp_path, written(tmp_path / "in.csv", rows))
    assert list(got[0]) == ["station", "time", "quantity", "old", "new", "sum_3h", "sum_6h", "sum_12h"]
    assert got[0]["sum_3h"] == "64.0" and brief(got)[0] == WANT[0]
    first = brief(got)
    random.Random(4).shuffle(rows)
    again, got = judge(tmp_path, written(tmp_path / "mixed.csv", rows))
    assert brief(got) == first and (report.order, again.order) == ("file", "time")
    assert judge(tmp_path, written(tmp_path / "by_station.csv", sorted(rows)), mode="now")[1] == got


def test_parquet_arrow_iso_times_and_whole_numbers(tmp_path):
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    rows = storm()
    first = brief(judge(tmp_path, written(tmp_path / "in.csv", rows))[1])
    number = {"A": 1, "B": 2, "C": 3, "D": 4}
    table = pa.table({"station": [number[s] for s, _, _ in rows], "time": pa.array([t * 1000 for _, t, _ in rows], pa.timestamp("ms", "UTC")),
                      "value": [v for _, _, v in rows], "arrival": [t + 5 for _, t, _ in rows]})
    pq.write_table(table, tmp_path / "in.parquet")
    feather.write_feather(table, tmp_path / "in.arrow")
    for name in ("in.parquet", "in.arrow"):
        report, got = judge(tmp_path, tmp_path / name)
        assert [row["station"] for row in got] == ["2"] * len(first) and got[0]["time"] == "2026-06-01T02:00:00Z"
        assert report.order == "arrival"
    iso = written(tmp_path / "iso.csv", rows, form=lambda t: f"2026-06-01T{(t - START) // 3600:02}:{(t - START) // 60 % 60:02}")
    assert judge(tmp_path, iso)[1][0]["time"] == "2026-06-01T02:00:00"
    judge_file(tmp_path / "in.parquet", read_rules(PLAIN), "exact", tmp_path / "out.parquet")
    back = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [(row["station"], row["new"]) for row in back] == [(2, row[3]) for row in first]


def test_bad_rows_are_told_with_their_lines(tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("station;time;value\nA;2026-06-01T00:05:00Z;60\n\nA;yesterday;1\nB;2026-06-01T00:05:00Z;\nB;2026-06-01T00:10:00Z;wet\n"
                    "B;2026-06-01T00:15:00Z\n;2026-06-01T00:20:00Z;3\nB;2026-06-01T00:25:00+08:00;NaN\nB;2026-06-01T08:25:00+08:00;50.04\n")
    report, got = judge(tmp_path, path)
    assert [line for line, _ in sorted(report.faults)] == [4, 6, 7, 8] and report.bad == 4
    assert (report.missing, report.off_quantum, report.fates["new"]) == (2, 1, 2)
    assert [(row["station"], row["new"]) for row in got] == [("A", "orange"), ("B", "orange")]


def test_an_empty_file_is_no_fault_and_a_strange_one_is(tmp_path):
    for text in ("", "station,time,value\n"):
        (tmp_path / "in.csv").write_text(text)
        report, got = judge(tmp_path, tmp_path / "in.csv")
        assert (report.rows, got) == (0, [])
    for name, text in (("a.csv", "one,two\n1,2\n"), ("b.parquet", "PAR1 no"), ("missing.csv", None)):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(TableError):
            judge(tmp_path, tmp_path / name)


def test_late_future_and_double_are_counted_by_source(tmp_path):
    path = tmp_path / "in.csv"
    base = START + 3600
    path.write_text("station,time,value,arrival,source\n" + "".join(f"{s},{t},{v},{a},{src}\n" for s, t, v, a, src in (
        ("A", base, 1, base, "radio"), ("A", base, 1, base + 9, "radio"), ("A", base, 2, base + 10, "radio"), ("B", base + 21600, 9, base + 11, "sat"),
        ("B", base, 3, base + 12, "sat"), ("A", base + 1200, 1, base + 1200, "radio"), ("A", base + 300, 1, base + 1201, "radio"),
        ("B", base + 300, 4, base + 1202, "sat"))))
    report, _ = judge(tmp_path, path)
    pick = ("new", "duplicate", "conflict", "too_late", "future")
    assert [report.by_source["radio"][name] for name in pick] == [2, 1, 1, 1, 0]
    assert [report.by_source["sat"][name] for name in pick] == [2, 0, 0, 0, 1]


def test_every_kind_of_rule(tmp_path):
    rules = """
quantity: level
unit: m
quantum: 0.01
rules:
  - {colour: orange, at_least: {default: 5, B: 9}, hysteresis: 0.5}
  - {colour: red, kind: rise, window: 1h, at_least: 2}
  - {colour: blue, kind: over, window: 1h, over: 4, at_least: 1.5}
  - {kind: silence, after: 30min, window: 1h, rising_from: 1}
  - {kind: quorum, colour: red, of: orange, stations: 2}
areas: {valley: [A, B]}
"""
    rows = [(s, START + b * 300, v) for b, (a, c) in enumerate(((4.9, 4.9), (5, 5), (4.6, 8), (4.4, 9)), 1) for s, v in (("A", a), ("B", c))]
    rows += [("C", START + b * 300, 1.0) for b in range(1, 20)]
    path = written(tmp_path / "in.csv", rows)
    for mode in ("now", "exact"):
        got = [(row["station"], (int(row["time"]) - START) // 60, row["quantity"], row["new"]) for row in judge(tmp_path, path, rules, mode)[1]]
        assert [g for g in got if g[0] == "A" and g[2] == "level"] == [("A", 10, "level", "orange"), ("A", 20, "level", "blue")]
        assert [g for g in got if g[0] == "B" and g[2] == "level"] == [("B", 10, "level", "blue"), ("B", 15, "level", "red")]
        assert [(g[0], g[3]) for g in got if g[2] == "level.silence"] == [("A", "silent"), ("B", "silent_rising")]
        assert [g for g in got if g[2] == "level.quorum"] == [("valley", 15, "level.quorum", "red"), ("valley", 20, "level.quorum", "none")]
    rows = [("A", START + 300, 6), ("B", START + 600, 10), ("B", START + 900, 1)]
    got = judge(tmp_path, written(tmp_path / "q.csv", rows), rules)[1]
    assert [(row["station"], (int(row["time"]) - START) // 60, row["new"]) for row in got if row["quantity"] == "level.quorum"] == [("valley", 10, "red"), ("valley", 15, "none")]


@pytest.mark.parametrize("text, says", [
    ("rules: []", "list of rules"), ("quantum: 0.1\nrules: [{colour: red}]", "at_least"), ("quantum: 0\nrules: [{colour: red, at_least: 1}]", "quantum"),
    ("quantum: 1\nrules: [{colour: pink, at_least: 1}]", "colour"), ("quantum: 1\nrules: [{colour: red, window: soon, at_least: 1}]", "window"),
    ("quantum: 1\nrules: [{colour: red, at_least: 1, color: 2}]", "color"), ("quantum: 1\nrules: [{colour: red, kind: wish, at_least: 1}]", "wish"), ("{", "YAML"),
])
def test_a_rule_file_that_cannot_be_taken_says_where(text, says):
    with pytest.raises(RuleError, match=says):
        read_rules(text)
