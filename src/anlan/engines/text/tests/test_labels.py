"""What the rules find in six real plans, counted against labels made by hand: precision and recall per kind of element."""
from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from anlan.engines.text.elements import elements
from anlan.engines.text.reader import read

TEXTS = Path(__file__).resolve().parents[6] / "shared" / "data" / "plans" / "texts"
LABELS = sorted((Path(__file__).parent / "labels").glob("*.tsv"))
# Labelled, then run once, before any rule was changed for its actions.
NOT_TUNED_ON = {"04_guangdong_disaster_relief_plan"}


def bare(words: str) -> str:
    return re.sub(r"[\s、]+", "", words).translate(str.maketrans("（）", "()"))


def near(a: tuple[int, int], b: tuple[int, int], slack: int) -> bool:
    return a[0] < b[1] + slack and a[1] > b[0] - slack


def number(value: object) -> object:
    try:
        return float(str(value))
    except ValueError:
        return bare(str(value))


def matched(labels: list[tuple], found: list[tuple], slack: int) -> tuple[int, int, int]:
    """(right, labelled, found): each found row answers one label, where the values are equal and the places meet."""
    left = list(found)
    right = 0
    for span, *values in labels:
        hit = next((row for row in left if row[1:] == tuple(values) and near(row[0], span, slack)), None)
        if hit is not None:
            left.remove(hit)
            right += 1
    return right, len(labels), len(found)


def counts(file: Path) -> dict[str, tuple[int, int, int]]:
    source = (TEXTS / f"{file.stem}.txt").read_text()
    found = elements(read(source))
    rows = [line.split("\t") for line in file.read_text().splitlines()]
    for row in rows:
        if row[0] in ("condition", "action"):
            # The label's words stand at its place.
            assert bare(source[int(row[1]) : int(row[2])]) == bare(row[-1]), row
    for kind in ("conditions", "actions", "unmatched", "reporting_deadlines", "definitions"):
        for row in found[kind]:
            assert source[slice(*row["span"])] == row["text"]
    regions = [(int(row[1]), int(row[2])) for row in rows if row[0] == "region"]
    conditions = [((int(r[1]), int(r[2])), r[3], r[4], r[5], number(r[6]), r[7]) for r in rows if r[0] == "condition"]
    actions = [((int(r[1]), int(r[2])), r[3], bare(r[4])) for r in rows if r[0] == "action"]
    answer = {
        "conditions": matched(conditions, [(tuple(r["span"]), r["level"], r["quantity"], r["op"], number(r.get("warning") if r["quantity"] == "warning" else r["value"]), r["unit"]) for r in found["conditions"]], 12),
        "actions": matched(actions, [((r["span"][0], r["span"][0] + 1), r["level"], bare(r["unit"])) for r in found["actions"] if any(a <= r["span"][0] < b for a, b in regions)], 6),
    }
    for row in rows:
        if row[0] == "limits":
            want, have = Counter(map(int, row[1:])), Counter(r["minutes"] for r in found["reporting_deadlines"])
            answer["limits"] = ((want & have).total(), want.total(), have.total())
    decided = {(row[1], bare(row[2])) for row in rows if row[0] == "decides"}
    if decided:
        said = {(row["level"], bare(row["decides"])) for row in found["levels"] if row["kind"] == "response" and row["level"].startswith(("I", "V"))}
        answer["decides"] = (len(decided & said), len(decided), len(said))
    return answer


@pytest.mark.skipif(not TEXTS.exists(), reason="the real plans do not lie beside this checkout")
@pytest.mark.parametrize("file", LABELS, ids=lambda file: file.stem)
def test_what_is_found_is_what_was_labelled(file):
    for kind, (right, labelled, found) in counts(file).items():
        print(f"{file.stem} {kind}: recall {right}/{labelled}, precision {right}/{found}, {'not tuned on' if file.stem in NOT_TUNED_ON else 'tuned on'}")
        assert right >= 0.98 * labelled and right >= 0.98 * found, (kind, right, labelled, found)


def excerpt(file: Path) -> dict[str, tuple[int, int, int]]:
    """The same for a page of a plan that stands in one file with its labels, which name the words and not their places."""
    source, _, below = file.read_text().partition("\n=====\n")
    found, at, conditions, actions, limits = elements(read(source)), 0, [], [], Counter()
    for line in below.splitlines():
        row = line.split("\t")
        if row[0] == "limits":
            limits = Counter(map(int, row[1:]))
            continue
        if row[0] == "action":
            place = source.index(row[3])
            actions.append(((place, place + 1), row[1], bare(row[2])))
            continue
        at = source.find(row[5], at) if row[5] in source[at:] else source.index(row[5])
        conditions.append(((at, at + len(row[5])), row[0], row[1], row[2], number(row[3]), row[4]))
    have = Counter(row["minutes"] for row in found["reporting_deadlines"])
    return {
        "conditions": matched(conditions, [(tuple(r["span"]), r["level"], r["quantity"], r["op"], number(r.get("warning") or r["value"]), r["unit"]) for r in found["conditions"]], 12),
        "actions": matched(actions, [((r["span"][0], r["span"][0] + 1), r["level"], bare(r["unit"])) for r in found["actions"]], 6) if actions else (0, 0, 0),
        "limits": ((limits & have).total(), limits.total(), have.total()) if limits else (0, 0, 0),
    }


def test_pages_of_many_other_plans_are_read():
    total = {"conditions": Counter(), "actions": Counter(), "limits": Counter()}
    for file in sorted((Path(__file__).parent / "excerpts").glob("*.txt")):
        for kind, (right, labelled, found) in excerpt(file).items():
            total[kind].update(right=right, labelled=labelled, found=found)
            assert right >= 0.9 * labelled, (file.stem, kind, right, labelled, found)
    for kind, count in total.items():
        assert count["right"] >= 0.98 * count["labelled"] and count["right"] >= 0.98 * count["found"], (kind, count)


def rows(text: str) -> tuple[Counter, Counter]:
    found = elements(read(text))
    return (
        Counter((row["level"], row["quantity"], row["op"], row["value"], row["unit"]) for row in found["conditions"]),
        Counter((row["level"], row["unit"]) for row in found["actions"]),
    )


def wrapped(text: str, width: int) -> str:
    """As a page of so many characters breaks its lines, within numbers and brackets, too."""
    return "\n".join(line[k : k + width] for line in text.split("\n") for k in range(0, max(len(line), 1), width))


@pytest.mark.parametrize("name", ["04_guangdong_disaster_relief_plan", "05_suzhou_disaster_relief_plan", "06_jilin_disaster_relief_plan", "07_national_meteorological_plan"])
def test_a_plan_says_the_same_however_its_lines_end(name):
    """Broken every 35 characters, joined into paragraphs, or without a line end at all, as pages come out of web mirrors and scanners."""
    text = (TEXTS / f"{name}.txt").read_text()
    conditions, actions = rows(text)
    assert conditions
    for damaged in (wrapped(text, 35), re.sub(r"(?<!\n)\n(?!\n)", " ", text), re.sub(r"\s*\n\s*", " ", text)):
        got, done = rows(damaged)
        assert got == conditions
        assert sum((done & actions).values()) >= 0.85 * sum(actions.values())
