"""Commands of the plans room."""
from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any) -> None:
    parser = sub.add_parser("plan", help=_("check a plan file; list plans"))
    inner = parser.add_subparsers(dest="what", required=True)
    check = inner.add_parser("check", help=_("check a plan file: every fault with its line and what to do"))
    check.add_argument("file", type=Path, help=_("plan file (YAML); - reads standard input"))
    check.add_argument("--json", action="store_true", help=_("answer as JSON"))
    check.set_defaults(func=check_file, services=None)
    linting = inner.add_parser("lint", help=_("look at a sound plan file before the day: levels that overlap or leave gaps, warnings that set off nothing, its own table tests, what they never touch"))
    linting.add_argument("file", type=Path, help=_("plan file (YAML), or the name of a plan that comes with Anlan; - reads standard input"))
    linting.add_argument("--beside", type=Path, action="append", default=[], metavar="FILE", help=_("the plan of the higher level or of a neighbour, to compare with"))
    linting.add_argument("--json", action="store_true", help=_("answer as JSON"))
    linting.set_defaults(func=lint_file, services=None)
    diff = inner.add_parser("diff", help=_("what a version of a plan changes, in words"))
    diff.add_argument("old", type=Path, help=_("plan file (YAML)"))
    diff.add_argument("new", type=Path, help=_("plan file (YAML)"))
    diff.add_argument("--json", action="store_true", help=_("answer as JSON"))
    diff.set_defaults(func=diff_files, services=None)
    reading = inner.add_parser("read", help=_("read a plan's document (.docx, .pdf, .txt, .md) into a tree of clauses"))
    reading.add_argument("file", type=Path, help=_("document; - reads standard input"))
    reading.add_argument("--json", action="store_true", help=_("answer as JSON"))
    reading.set_defaults(func=read_file, services=None)
    finding = inner.add_parser("elements", help=_("what a plan's document says: levels, conditions, actions, units, contacts, reporting limits (docs/plan-elements.md)"))
    finding.add_argument("file", type=Path, help=_("document; - reads standard input"))
    finding.add_argument("--json", action="store_true", help=_("answer as JSON"))
    finding.set_defaults(func=elements_of, services=None)
    asking = inner.add_parser("ask", help=_("ask the plans who must do what, at which level, within what time; the answer is clauses"))
    asking.add_argument("question", help=_("in Chinese or English, such as: what must the water bureau do at level II within the first hour?"))
    asking.add_argument("--plan", default="", help=_("key of one plan"))
    asking.add_argument("--json", action="store_true", help=_("answer as JSON"))
    asking.set_defaults(func=ask)
    matching = inner.add_parser("match", help=_("the plans that apply to an event, in order, with reasons; and what no plan covers"))
    matching.add_argument("--hazard", default="", help=_("event code of the code list hazard, such as 11B03"))
    matching.add_argument("--region", default="", help=_("code or name of the place"))
    matching.add_argument("--colour", default="", choices=["", "blue", "yellow", "orange", "red"], help=_("colour of a warning"))
    matching.add_argument("--level", default="", help=_("response level, such as II"))
    matching.add_argument("--json", action="store_true", help=_("answer as JSON"))
    matching.set_defaults(func=match)
    listing = inner.add_parser("list", help=_("list plans, versions and where they are adopted"))
    listing.add_argument("--json", action="store_true", help=_("answer as JSON"))
    listing.set_defaults(func=list_plans)


def _bytes(file: Path, limit: int) -> bytes:
    """The file, or standard input for -, up to one byte more than `limit`: whoever reads it says that it is too large. OSError."""
    if str(file) == "-":
        return sys.stdin.buffer.read(limit + 1)
    with file.open("rb") as stream:
        return stream.read(limit + 1)


def check_file(args: argparse.Namespace) -> int:
    """Exit status 0 when the file is sound, 1 when it is not or cannot be read."""
    from anlan.engines.conditions import read_plan
    from anlan.engines.conditions.planfile import MAX_BYTES

    from .vocabulary import vocabulary

    try:
        raw = _bytes(args.file, MAX_BYTES)
    except OSError as error:
        print(_("{file} cannot be read: {why}").format(file=args.file, why=error.strerror), file=sys.stderr)
        return 1
    plan, troubles = read_plan(raw, vocabulary())
    if args.json:
        answer = {"file": str(args.file), "ok": plan is not None, "troubles": [trouble.as_json() for trouble in troubles]}
        if plan is not None:
            answer |= {"id": plan.key, "digest": plan.digest, "levels": len(plan.levels), "conditions": len(plan.conditions),
                       "judged_by_machine": sum(entry.compiled is not None for entry in plan.conditions), "actions": len(plan.actions)}
        print(json.dumps(answer, ensure_ascii=False))
    elif plan is None:
        for trouble in troubles:
            print(f"{args.file}:{trouble}")
        print(_("{count} faults").format(count=len(troubles)))
    else:
        machine = sum(entry.compiled is not None for entry in plan.conditions)
        print(_("{file} is sound: {id}, {levels} levels, {conditions} conditions ({machine} judged by machine), {actions} actions, {digest}").format(
            file=args.file, id=plan.key, levels=len(plan.levels), conditions=len(plan.conditions), machine=machine, actions=len(plan.actions), digest=plan.digest))
    return 0 if plan is not None else 1


def load_file(file: Path) -> Any:
    """A sound plan from a file or by the name of one that comes with Anlan; None after its faults were printed."""
    from anlan.engines.conditions import read_plan
    from anlan.engines.conditions.planfile import MAX_BYTES

    from .actions import PACKS
    from .vocabulary import vocabulary

    # By the name of the file or by the plan's id, as lists show it.
    packs = {} if file.exists() else {name: path for path in PACKS.glob("*.yaml") for name in (path.stem, path.stem.replace("_", "-"), path.name, *re.findall(r"^id: *(\S+)", path.read_text(encoding="utf-8"), re.M)[:1])}
    try:
        raw = _bytes(packs.get(str(file), file), MAX_BYTES)
    except OSError as error:
        print(_("{file} cannot be read: {why}").format(file=file, why=error.strerror), file=sys.stderr)
        return None
    plan, troubles = read_plan(raw, vocabulary())
    for trouble in troubles:
        print(f"{file}:{trouble}", file=sys.stderr)
    return plan


def lint_file(args: argparse.Namespace) -> int:
    """Exit status 0 when nothing is a fault and every table test passes, 1 otherwise."""
    from anlan.engines.conditions import lint

    from .words import finding_words, trigger_words

    plan = load_file(args.file)
    beside = [load_file(file) for file in args.beside]
    if plan is None or None in beside:
        return 1
    found = lint.findings(plan, beside)
    tests, coverage = lint.run_tests(plan)
    triggers = lint.triggers(plan)
    bad = any(one.weight == "fault" for one in found) or any(not row["passed"] for row in tests)
    if args.json:
        print(json.dumps({"id": plan.key, "ok": not bad, "findings": [one.as_json() | {"words": finding_words(one)} for one in found], "triggers": triggers, "tests": tests, "coverage": coverage.as_json(plan)}, ensure_ascii=False))
        return int(bad)
    for one in sorted(found, key=lambda one: one.weight != "fault"):
        print(("✗ " if one.weight == "fault" else "· ") + finding_words(one))
    for row in triggers:
        if row["met"]:
            print("→ " + trigger_words(row))
    for row in tests:
        print(_("{mark} test {test}: {found} (wanted {wanted})").format(mark="✓" if row["passed"] else "✗", test=row["test"], found=row["found"] or "–", wanted=row["wanted"] or "–"))
    told = coverage.as_json(plan)
    print(_("{met} of {machine} conditions were met by a test; never met: {never}; actions never reached: {actions}").format(
        met=told["met"], machine=told["by_machine"], never=", ".join(told["never_met"]) or "–", actions=len(told["actions_never_reached"])))
    return int(bad)


def diff_files(args: argparse.Namespace) -> int:
    """Exit status 0 when nothing differs, 1 when something does or a file is not sound."""
    from anlan.engines.conditions import lint

    from .words import change_words

    old, new = load_file(args.old), load_file(args.new)
    if old is None or new is None:
        return 1
    rows = lint.changes(old, new)
    if args.json:
        print(json.dumps([row | {"words": change_words(row)} for row in rows], ensure_ascii=False))
    else:
        for row in rows:
            print(change_words(row))
    return int(bool(rows))


def list_plans(args: argparse.Namespace) -> int:
    from . import queries
    from .models import Plan

    rows = []
    for plan in Plan.objects.order_by("key"):
        version = queries.latest(plan)
        rows.append({"plan": plan.key, "title": plan.title_zh or plan.title_en, "version": version.number if version else None, "origin": version.origin if version else "",
                     "adopted": [row.region.name for row in plan.bindings.filter(active=True).select_related("region")]})
    if args.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    for row in rows:
        print(f"{row['plan']}  v{row['version']} ({row['origin']})  {row['title']}" + (f"  → {'、'.join(row['adopted'])}" if row["adopted"] else ""))
    return 0


def ask(args: argparse.Namespace) -> int:
    """Exit status 0 when the plans say something to it, 1 when they do not."""
    from . import finding
    from .vocabulary import in_words
    from .words import unmatched_words, until_words

    told = finding.ask(args.question, plan=args.plan)
    if args.json:
        print(json.dumps(finding.ask_json(told), ensure_ascii=False))
        return int(not told["answers"])
    for row in told["answers"]:
        item = row["item"]
        print(f"{item.version_of.plan.key} {item.clause.key} [{item.level.key}] {row['unit']} ({until_words(item, row['timing'])}): {in_words(item.text)}")
    for line in told["unmatched"]:
        print("· " + unmatched_words(line))
    return int(not told["answers"])


def match(args: argparse.Namespace) -> int:
    """Exit status 0 when a plan applies, 1 when none does."""
    from anlan.kernel import realms
    from anlan.kernel.models import Region

    from . import finding

    region = None
    if args.region:
        row = Region.objects.filter(codes__code=args.region).first() or Region.objects.filter(name=args.region).first()
        if row is None:
            print(_("There is no place {name}.").format(name=args.region), file=sys.stderr)
            return 1
        region = row.pk
    told = finding.match_json(finding.match(realms.actual(), hazard=args.hazard, region=region, colour=args.colour, level=args.level))
    if args.json:
        print(json.dumps(told, ensure_ascii=False))
        return int(not told["plans"])
    for number, one in enumerate(told["plans"], 1):
        print(f"{number}. {one['plan']}  {one['title']['zh'] or one['title']['en']}: {one['words']}")
    for line in told["unmatched"]:
        print("· " + line["words"])
    return int(not told["plans"])


def _paper(args: argparse.Namespace) -> Any:
    """The document as a tree, or None after its fault was printed."""
    from anlan.engines.text import files, reader

    from .words import unread_words

    try:
        content, warnings = files.text_of(_bytes(args.file, files.MAX_BYTES))
        paper = reader.read(content)
        paper.warnings[:0] = warnings
        return paper
    except OSError as error:
        why, code = error.strerror or str(error), "unreadable"
    except files.BadPaper as error:
        why, code = unread_words(error), error.code
    if args.json:
        print(json.dumps({"error": {"file": str(args.file), "code": code, "why": why}}, ensure_ascii=False))
    else:
        print(_("{file} cannot be read: {why}").format(file=args.file, why=why), file=sys.stderr)
    return None


def read_file(args: argparse.Namespace) -> int:
    """Exit status 0 when the document was read, 1 when it cannot be."""
    paper = _paper(args)
    if paper is None:
        return 1
    if args.json:
        print(json.dumps(paper.as_json(), ensure_ascii=False))
        return 0
    print(" ".join(part for part in (paper.title, paper.number, paper.date, paper.issuer) if part))
    for clause in paper.clauses:
        print(f"{'  ' * clause.level}{clause.number} {clause.heading or clause.text[:40]}".rstrip())
    for warning in paper.warnings:
        print(_("Note: {text}").format(text=warning))
    return 0


def elements_of(args: argparse.Namespace) -> int:
    """Exit status 0 when the document was read, 1 when it cannot be."""
    from anlan.engines.text.elements import elements

    paper = _paper(args)
    if paper is None:
        return 1
    found = elements(paper) | {"warnings": paper.warnings}
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for row in found["conditions"]:
        print(f"{row['level']:4} {row['clause']:12} {row['cel'] or row['text']}")
    for row in found["actions"]:
        print(f"{row['level']:4} {row['clause']:12} {row['unit']}: {' '.join(row['text'].split())[:80]}")
    print(_("{conditions} thresholds, {actions} actions, {units} duties, {unmatched} conditions for people only").format(
        conditions=len(found["conditions"]), actions=len(found["actions"]), units=len(found["units"]), unmatched=len(found["unmatched"])))
    return 0
