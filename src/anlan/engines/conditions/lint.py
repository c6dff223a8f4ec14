"""A plan looked at before the day: what its levels can and cannot do, its own table tests, and what a new version changes.

    findings(plan, beside=())      what is odd, each with a kind, a place and the values
    triggers(plan)                 what each warning colour alone would set off (the Zhengzhou fault: nothing)
    run_tests(plan)                the plan's table tests, and which conditions and actions none of them touched
    changes(old, new)              thresholds, levels, posts and deadlines that differ

Values in, values out. Kinds are words for machines; the room says them in the reader's language.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .condition import Verdict
from .planfile import PlanFile
from .syntax import COMPARE, Binary, Call, Literal, Logic, Node, Unary
from .vocabulary import Key, Value, key_of

FLIP = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
COLOURS = ("blue", "yellow", "orange", "red")


@dataclass(frozen=True)
class Threshold:
    """One comparison of a term with a fixed number. `alone`: the condition is this comparison, or an `||` of which it is a branch."""

    level: str
    condition: str
    key: Key
    op: str
    value: float
    alone: bool


@dataclass(frozen=True)
class Finding:
    """`kind` (a word), `weight` fault or advice, `where` a key of the plan, `data` the values to say it with."""

    kind: str
    weight: str
    where: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "weight": self.weight, "where": self.where, **self.data}


def thresholds(plan: PlanFile) -> list[Threshold]:
    found: list[Threshold] = []

    def walk(node: Node, entry: Any, alone: bool, sign: bool = True) -> None:
        if isinstance(node, Logic):
            for part in node.operands:
                walk(part, entry, alone and node.op == "||", sign)
        elif isinstance(node, Unary) and node.op == "!":
            walk(node.operand, entry, False, not sign)
        elif isinstance(node, Call) and node.name == "at_least":
            for arg in getattr(node.args[1], "items", ()):
                walk(arg, entry, False, sign)
        elif isinstance(node, Binary) and node.op in COMPARE:
            left, op, right = node.left, node.op, node.right
            if isinstance(right, Call) and right.name != "mark":
                left, op, right = right, FLIP[op], left
            if isinstance(left, Call) and left.name not in ("mark", "at_least"):
                value = entry.compiled._mark(right) if isinstance(right, Call) and right.name == "mark" else right.value if isinstance(right, Literal) else None
                if isinstance(value, float):
                    found.append(Threshold(entry.level, entry.key, entry.compiled._key(left), op, value, alone and sign))

    for entry in plan.conditions:
        if entry.compiled is not None:
            walk(entry.compiled.tree, entry, True)
    return found


def _rising(op: str) -> bool:
    return op in (">", ">=")


def _levels(plan: PlanFile) -> list[Any]:
    """Response levels, the least severe first."""
    return sorted((level for level in plan.levels if level.kind == "response"), key=lambda level: level.rank)


def findings(plan: PlanFile, beside: Iterable[PlanFile] = ()) -> list[Finding]:
    out: list[Finding] = []
    levels = _levels(plan)
    rows = thresholds(plan)
    rank = {level.code: level.rank for level in levels}
    for level in levels:
        entries = [entry for entry in plan.conditions if entry.level == level.code]
        if not any(entry.compiled for entry in entries):
            out.append(Finding("level_only_by_person", "advice", level.code))
        if not any(action.level == level.code for action in plan.actions):
            out.append(Finding("level_without_action", "fault", level.code))
        if not level.approver or not plan.posts.get(level.approver):
            out.append(Finding("level_nobody_signs", "fault", level.code))
    # The same term at several levels: thresholds must rise with the level.
    by_key: dict[tuple[Key, bool], dict[str, list[Threshold]]] = {}
    for row in rows:
        if row.level in rank and row.op not in ("==", "!="):
            by_key.setdefault((row.key, _rising(row.op)), {}).setdefault(row.level, []).append(row)
    for (key, rising), at in by_key.items():
        if key.term in _shared(at):
            continue
        used = sorted(at, key=lambda code: rank[code])
        for low, high in zip(used[:-1], used[1:], strict=True):
            a, b = _edge(at[low], rising), _edge(at[high], rising)
            lower, upper = next(row for row in at[low] if row.value == a), next(row for row in at[high] if row.value == b)
            if not (lower.alone and upper.alone):
                continue
            if a == b:
                out.append(Finding("levels_overlap", "fault", upper.condition, {"term": str(key), "value": a, "lower": low, "higher": high}))
            elif (b < a) if rising else (b > a):
                out.append(Finding("levels_upside_down", "fault", upper.condition, {"term": str(key), "lower": low, "lower_value": a, "higher": high, "higher_value": b}))
            missing = [level.code for level in levels if rank[low] < level.rank < rank[high]]
            if missing:
                out.append(Finding("level_left_out", "advice", upper.condition, {"term": str(key), "lower": low, "higher": high, "missing": missing}))
    never = [entry for entry in plan.conditions if entry.compiled and not _possible(entry.compiled)]
    out += [Finding("condition_never_met", "fault", entry.key, {"level": entry.level}) for entry in never]
    out += [
        Finding("level_unreachable", "fault", level.code) for level in plan.levels
        if (own := [entry for entry in plan.conditions if entry.level == level.code]) and all(entry in never for entry in own)
    ]
    out += _gaps(plan, rank)
    # Terms used two ways: at one place both from above and from below, or with units nobody could mean together.
    ways: dict[Key, set[bool]] = {}
    for row in rows:
        if row.op not in ("==", "!=") and row.alone:
            ways.setdefault(row.key, set()).add(_rising(row.op))
    out += [Finding("term_used_two_ways", "advice", str(key), {"term": str(key)}) for key, seen in ways.items() if len(seen) == 2]
    for level in plan.levels:
        open_ended = [action.key for action in plan.actions if action.level == level.code and action.deadline_min is None and not action.deadline]
        if open_ended:
            out.append(Finding("actions_without_deadline", "advice", level.code, {"actions": open_ended, "count": len(open_ended), "of": sum(action.level == level.code for action in plan.actions)}))
    used_posts = {action.post for action in plan.actions} | {level.approver for level in plan.levels} | {level.consent for level in plan.levels} | set(plan.asks.values())
    out += [Finding("post_without_part", "advice", post) for post in plan.posts if post not in used_posts]
    for heard in triggers(plan):
        if not heard["met"]:
            out.append(Finding("warning_without_action", "fault", heard["colour"], {name: heard[name] for name in ("hazard", "colour", "counties", "asks")}))
    for other in beside:
        out += _against(plan, other)
    return out


def _shared(at: Mapping[str, list[Threshold]]) -> set[str]:
    """Terms whose number is the same at every level (a rain rule all levels share) tell the levels apart by another term."""
    values = {tuple(sorted({row.value for row in rows})) for rows in at.values()}
    return {rows[0].key.term for rows in at.values()} if len(values) == 1 and not all(row.alone for rows in at.values() for row in rows) else set()


def _edge(rows: list[Threshold], rising: bool) -> float:
    return min(row.value for row in rows) if rising else max(row.value for row in rows)


def _possible(compiled: Any) -> bool:
    """Whether some values meet it: not where each branch wants one number above and below at once (x > 50 && x < 30)."""
    tree = compiled.tree
    for branch in tree.operands if isinstance(tree, Logic) and tree.op == "||" else (tree,):
        spans: dict[Key, list[float]] = {}
        strict: set[Key] = set()
        for part in branch.operands if isinstance(branch, Logic) and branch.op == "&&" else (branch,):
            if not (isinstance(part, Binary) and part.op in COMPARE and isinstance(part.left, Call) and part.left.name not in ("mark", "at_least")):
                continue
            value = compiled._mark(part.right) if isinstance(part.right, Call) and part.right.name == "mark" else part.right.value if isinstance(part.right, Literal) else None
            if not isinstance(value, float) or part.op == "!=":
                continue
            key = compiled._key(part.left)
            low_high = spans.setdefault(key, [float("-inf"), float("inf")])
            if part.op != "<" and part.op != "<=":
                low_high[0] = max(low_high[0], value)
            if part.op != ">" and part.op != ">=":
                low_high[1] = min(low_high[1], value)
            if part.op in ("<", ">"):
                strict.add(key)
        if all(low < high or (low == high and key not in strict) for key, (low, high) in spans.items()):
            return True
    return False


def _gaps(plan: PlanFile, rank: Mapping[str, int]) -> Iterator[Finding]:
    """`x >= 10 && x < 30` at one level and `x >= 50` at the next: from 30 to 50 nothing holds."""
    spans: dict[Key, list[tuple[float, float, str]]] = {}
    for entry in plan.conditions:
        if entry.compiled is None or entry.level not in rank:
            continue
        tree = entry.compiled.tree
        for branch in tree.operands if isinstance(tree, Logic) and tree.op == "||" else (tree,):
            parts = branch.operands if isinstance(branch, Logic) and branch.op == "&&" else (branch,)
            seen: dict[Key, list[float]] = {}
            for part in parts:
                if not (isinstance(part, Binary) and part.op in ("<", "<=", ">", ">=") and isinstance(part.left, Call) and part.left.name != "mark" and isinstance(part.right, Literal) and isinstance(part.right.value, float)):
                    break
                low_high = seen.setdefault(entry.compiled._key(part.left), [float("-inf"), float("inf")])
                low_high[0 if _rising(part.op) else 1] = part.right.value
            else:
                if len(seen) == 1:
                    (key, (low, high)), = seen.items()
                    spans.setdefault(key, []).append((low, high, entry.level))
    for key, rows in spans.items():
        rows.sort()
        top, level = rows[0][1], rows[0][2]
        for low, high, here in rows[1:]:
            if low > top:
                yield Finding("gap_between_levels", "fault", here, {"term": str(key), "from": top, "to": low, "lower": level, "higher": here})
            if high > top:
                top, level = high, here


def _against(plan: PlanFile, other: PlanFile) -> Iterator[Finding]:
    """Where another plan (the higher level's, a neighbour's) says otherwise: another number for the same term and level, a level of its own, another signer."""
    mine = {level.code: level for level in _levels(plan)}
    theirs = {level.code: level for level in _levels(other)}
    for code in sorted(set(mine) ^ set(theirs)):
        yield Finding("level_only_here" if code in mine else "level_only_there", "advice", code, {"other": other.key})

    def numbers(one: PlanFile) -> dict[tuple[str, str, str, bool], float]:
        found: dict[tuple[str, str, str, bool], float] = {}
        for row in thresholds(one):
            if row.op in ("==", "!="):
                continue
            name = (row.level, row.key.term, row.key.qualifier, _rising(row.op))
            found[name] = min(found.get(name, row.value), row.value)
        return found

    def tasks(one: PlanFile) -> dict[tuple[str, str], tuple[str, set[str]]]:
        """Who does it, by level and words."""
        found: dict[tuple[str, str], tuple[str, set[str]]] = {}
        for action in one.actions:
            words = "".join((action.text.get("zh") or action.text.get("en", "")).split()).rstrip("。.；;")
            found.setdefault((action.level, words), (action.key, set()))[1].add(one.posts[action.post].get("zh") or one.posts[action.post].get("en", ""))
        return found

    ours, others = tasks(plan), tasks(other)
    for at in sorted(set(ours) & set(others)):
        if not ours[at][1] & others[at][1]:
            yield Finding("unit_differs", "advice", ours[at][0], {"here": sorted(ours[at][1]), "there": sorted(others[at][1]), "other": other.key})
    here, there = numbers(plan), numbers(other)
    for name in sorted(set(here) & set(there)):
        if here[name] != there[name] and name[1] not in ("water_level", "discharge", "level_forecast_peak"):
            yield Finding("threshold_differs", "advice", name[0], {"term": name[1], "qualifier": name[2], "here": here[name], "there": there[name], "other": other.key})


def triggers(plan: PlanFile) -> list[dict[str, Any]]:
    """For each hazard and colour the plan could hear of: which conditions one warning meets, and which three counties' warnings meet, all else unknown."""
    hazards = sorted({key.qualifier.split("|")[0] for entry in plan.conditions if entry.compiled for key in entry.compiled.keys if key.term in ("warned", "warned_counties")} - {"any", ""})
    hazards = hazards or {"flood": ["rainstorm"], "typhoon": ["typhoon"]}.get(plan.hazard, ["rainstorm"] if plan.hazard in ("rainstorm", "flood_drought", "urban_flood") else [])
    rows = []
    for hazard in hazards:
        for number, colour in enumerate(COLOURS):
            for counties in (1, 3):
                known: dict[Key, Value] = {}
                for key in _keys(plan):
                    if key.term in ("warned", "warned_counties"):
                        asked, shade = (*key.qualifier.split("|"), "")[:2]
                        counts = asked in (hazard, "any") and shade in COLOURS[: number + 1]  # a count is of that colour or a higher one
                        known[key] = (counties if key.term == "warned_counties" else 1) if counts else 0
                    elif key.term == "response_counties":
                        known[key] = 0
                verdicts = {entry.key: entry.compiled.evaluate(known) for entry in plan.conditions if entry.compiled}
                met = [key for key, outcome in verdicts.items() if outcome.verdict is Verdict.MET]
                rows.append({"hazard": hazard, "colour": colour, "counties": counties, "met": met, "levels": sorted({entry.level for entry in plan.conditions if entry.key in met}),
                             "asks": sorted({str(one) for outcome in verdicts.values() for one in outcome.ask})})
    return rows


def _keys(plan: PlanFile) -> set[Key]:
    return {key for entry in plan.conditions if entry.compiled for key in entry.compiled.keys}


def judge(plan: PlanFile, known: Mapping[Key, Value]) -> tuple[str, list[str], dict[str, Verdict]]:
    """(response level or "", measures, verdict of each condition) for given values."""
    verdicts = {entry.key: entry.compiled.verdict(known) for entry in plan.conditions if entry.compiled}
    met = {entry.level for entry in plan.conditions if verdicts.get(entry.key) is Verdict.MET}
    levels = [level for level in _levels(plan) if level.code in met]
    return (levels[-1].code if levels else ""), sorted(level.code for level in plan.levels if level.kind != "response" and level.code in met), verdicts


@dataclass
class Coverage:
    """Which conditions were ever met and ever not met, and which actions a reached level would have ordered."""

    met: set[str] = field(default_factory=set)
    not_met: set[str] = field(default_factory=set)
    levels: set[str] = field(default_factory=set)

    def take(self, level: str, measures: Iterable[str], verdicts: Mapping[str, Verdict]) -> None:
        self.met |= {key for key, verdict in verdicts.items() if verdict is Verdict.MET}
        self.not_met |= {key for key, verdict in verdicts.items() if verdict is Verdict.NOT_MET}
        self.levels |= {level, *measures} - {""}

    def as_json(self, plan: PlanFile) -> dict[str, Any]:
        machine = [entry.key for entry in plan.conditions if entry.compiled]
        return {
            "conditions": len(plan.conditions), "by_machine": len(machine), "met": len(self.met), "never_met": [key for key in machine if key not in self.met],
            "never_judged": [key for key in machine if key not in self.met and key not in self.not_met], "by_person": [entry.key for entry in plan.conditions if not entry.compiled],
            "actions": len(plan.actions), "actions_never_reached": [action.key for action in plan.actions if action.level not in self.levels],
        }


def with_absent(plan: PlanFile, known: dict[Key, Value]) -> dict[Key, Value]:
    """Counts of messages are 0 where nothing was heard."""
    for entry in plan.conditions:
        for key in entry.compiled.keys if entry.compiled else ():
            absent = entry.compiled.vocabulary[key.term].absent if entry.compiled else None
            if absent is not None:
                known.setdefault(key, absent)
    return known


def run_tests(plan: PlanFile) -> tuple[list[dict[str, Any]], Coverage]:
    """Each table test of the plan: given these values, this level (and these measures)."""
    coverage, rows = Coverage(), []
    for number, test in enumerate(plan.data.get("tests") or [], 1):
        known = with_absent(plan, {key: value for words, value in dict(test["given"]).items() if (key := key_of(words)) is not None})
        known = {key: float(value) if isinstance(value, int) and not isinstance(value, bool) else value for key, value in known.items()}
        level, measures, verdicts = judge(plan, known)
        coverage.take(level, measures, verdicts)
        wanted = str(test.get("level") or "")
        right = level == wanted and ("measures" not in test or sorted(test["measures"]) == measures)
        rows.append({"test": str(test.get("name") or number), "passed": right, "wanted": wanted, "found": level, "measures": measures, "met": [key for key, verdict in verdicts.items() if verdict is Verdict.MET]})
    return rows, coverage


def changes(old: PlanFile, new: PlanFile) -> list[dict[str, Any]]:
    """What a new version changes, in the units a reader thinks in: kind, where, before, after."""
    out: list[dict[str, Any]] = []

    def numbers(plan: PlanFile) -> dict[tuple[str, str, str], list[str]]:
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in thresholds(plan):
            found.setdefault((row.level, row.condition, str(row.key)), []).append(f"{row.op} {row.value:g}")
        return found

    a, b = numbers(old), numbers(new)
    for name in [*a, *(name for name in b if name not in a)]:
        if a.get(name) != b.get(name):
            out.append({"kind": "threshold", "level": name[0], "where": name[1], "term": name[2], "before": ", ".join(a.get(name, [])), "after": ", ".join(b.get(name, []))})
    touched = {row["where"] for row in out}
    for kind, before, after in (
        ("level", {level.code: (level.rank, level.approver, level.consent, level.answer_within_min) for level in old.levels}, {level.code: (level.rank, level.approver, level.consent, level.answer_within_min) for level in new.levels}),
        ("condition", {entry.key: (entry.level, " ".join(entry.when.split()) or "–") for entry in old.conditions}, {entry.key: (entry.level, " ".join(entry.when.split()) or "–") for entry in new.conditions}),
        ("action", {entry.key: (entry.level, entry.post, entry.text.get("zh") or entry.text.get("en", ""), entry.deadline_min) for entry in old.actions},
         {entry.key: (entry.level, entry.post, entry.text.get("zh") or entry.text.get("en", ""), entry.deadline_min) for entry in new.actions}),
        ("clause", {entry.key: (dict(entry.text).get("zh") or dict(entry.text).get("en", ""),) for entry in old.clauses.values()}, {entry.key: (dict(entry.text).get("zh") or dict(entry.text).get("en", ""),) for entry in new.clauses.values()}),
    ):
        one: dict[str, tuple[Any, ...]] = dict(before)
        two: dict[str, tuple[Any, ...]] = dict(after)
        for key in [*one, *(key for key in two if key not in one)]:
            if one.get(key) != two.get(key) and not (kind == "condition" and key in touched and key in one and key in two and one[key][0] == two[key][0]):
                out.append({"kind": kind, "level": "", "where": key, "term": "", "before": _said(one.get(key)), "after": _said(two.get(key))})
    return out


def _said(values: tuple[Any, ...] | None) -> str:
    return "" if values is None else " · ".join(str(value) for value in values if value not in (None, ""))
