"""`anlan loop`: list, lint and show the closed loops declared here; open cases from a sheet."""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from ..registers.commands import by_whom, who


def register(sub: Any) -> None:
    parser = sub.add_parser("loop", help=_("closed loops: list, lint, import, show one"))
    ways = parser.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("list", help=_("the loops declared here, with what is open and overdue"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=list_command, services="data")
    way = ways.add_parser("lint", help=_("what is wrong with the declarations, and what they meet here: rights nobody holds, stranded cases"))
    way.add_argument("name", nargs="?", help=_("only this loop"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=lint_command, services="data")
    way = ways.add_parser("import", help=_("open a case for every row of a sheet; all of them or none"))
    way.add_argument("name", help=_("name of the loop, e.g. inspection.danger"))
    way.add_argument("file", type=Path, help=_("spreadsheet (.xlsx) or table (.csv)"))
    way.add_argument("--preview", action="store_true", help=_("only say what would happen"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    by_whom(way)
    way.set_defaults(func=import_command, services="data")
    way = ways.add_parser("show", help=_("states and steps of a loop"))
    way.add_argument("name")
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=show_command, services="data")


def list_command(args: argparse.Namespace) -> int:
    from django.db.models import Count, Q

    from .. import clock, realms
    from .declare import LOOPS

    realm = realms.actual()
    found = []
    for one in LOOPS.values():
        rows = one.model.plain.filter(realm=realm, loop=one.name, closed_at=None)
        counts = rows.aggregate(open=Count("id"), overdue=Count("id", filter=Q(due_at__lt=clock.now(realm))))
        found.append({"name": one.name, "label": str(one.label), "states": len(one.states), "steps": len(one.step) + 1, "rules": one.digest, **counts})
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for line in found:
        print(_("{name}  {label}: {states} states, {steps} steps; {open} open, {overdue} overdue").format(**line))
    return 0


def lint_command(args: argparse.Namespace) -> int:
    from . import lint
    from .declare import LOOPS, get

    loops = [get(args.name)] if args.name else list(LOOPS.values())
    faults = [{"loop": one.name, "code": fault.code, "fault": fault.text, "grave": fault.grave} for one in loops for fault in (*lint.lint(one), *lint.in_use(one))]
    if args.json:
        print(json.dumps({"loops": len(loops), "faults": faults}, ensure_ascii=False))
    else:
        for fault in faults:
            print(f"{fault['loop']}: {_('fault') if fault['grave'] else _('remark')} {fault['code']}: {fault['fault']}")
        if not faults:
            print(_("{n} loops, nothing wrong with them.").format(n=len(loops)))
    return 1 if any(fault["grave"] for fault in faults) else 0


def import_command(args: argparse.Namespace) -> int:
    """Exit status 1 when rows were refused: a script that ignores the answer must still stop."""
    from ..errors import NOT_FOUND
    from ..registers import reading
    from . import importing
    from .declare import get

    declared = get(args.name)
    if not args.file.is_file():
        raise NOT_FOUND(kind=_("file"), key=args.file)
    reading.check_size(args.file.stat().st_size)
    act = who(args)
    done = importing.run(act.actor, act.realm, declared, reading.read(args.file), preview=args.preview)
    if args.json:
        print(json.dumps(done, ensure_ascii=False, default=str))
    else:
        for fault in done["refused"]:
            print(f"  {fault['row']:>7}  {fault['field']:<20} {fault['why']}")
        print(_("{read} rows read, {written} cases opened, {refused} cells refused; {seconds} s").format(**{**done, "refused": len(done["refused"])}))
    return 1 if done["refused"] else 0


def show_command(args: argparse.Namespace) -> int:
    from .declare import get
    from .pages import within_words

    declared = get(args.name)
    if args.json:
        print(json.dumps(declared.as_json(), ensure_ascii=False, default=str))
        return 0
    print(f"{declared.name}  {declared.label}  ({declared.digest})")
    print(_("States:"))
    for state in declared.states:
        print(f"  {state.name:<16} {state.label}{' ■' if state.final else ''}")
    print(_("Steps:"))
    for step in (declared.open, *declared.step.values()):
        extra = [step.may, within_words(step.within) if not declared.state[step.to].final else "", f"≠ {', '.join(step.other_than)}" if step.other_than else ""]
        if step.evidence.photos or step.evidence.files:
            extra.append(_("{photos} photographs, {files} files").format(photos=step.evidence.photos, files=step.evidence.files))
        print(f"  {step.name:<16} {step.label}: {', '.join(step.from_) or '·'} → {step.to}   [{'; '.join(filter(None, extra))}]")
    return 0
