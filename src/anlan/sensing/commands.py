"""Commands of the sensing room."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any) -> None:
    # `anlan sense` alone runs the worker (runtime); with `file` it judges a file.
    parser = sub.choices["sense"]
    inner = parser.add_subparsers(dest="what", metavar=_("WHAT"), parser_class=type(parser))
    file = inner.add_parser("file", help=_("judge a file of readings under a rule file and write every change of colour"))
    file.add_argument("input", type=Path, metavar="IN", help=_("Parquet, Arrow or CSV with station,time,value[,arrival][,source]"))
    file.add_argument("--rules", type=Path, required=True, help=_("rule file (YAML)"))
    file.add_argument("--mode", choices=("exact", "now", "both"), default="exact",
                      help=_("exact: each bin once, behind the watermark; now: each reading at once; both: and what exact revises"))
    file.add_argument("--out", type=Path, required=True, help=_("the changes: CSV, or Parquet or Arrow by the name's ending"))
    file.add_argument("--json", action="store_true", help=_("answer as JSON"))
    file.set_defaults(func=judge, services=None)


def judge(args: argparse.Namespace) -> int:
    """Exit status 0 when the file was judged (bad rows are told and counted), 1 when a file cannot be used."""
    from anlan.engines.series.filerun import judge_file
    from anlan.engines.series.rulefile import RuleError, read_rules
    from anlan.engines.series.tables import TableError

    try:
        rules = read_rules(args.rules.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RuleError) as error:
        print(f"{args.rules}: {error}", file=sys.stderr)
        return 1
    try:
        report = judge_file(args.input, rules, args.mode, args.out)
    except TableError as error:
        print(str(error), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    for line, why in report.faults:
        print(f"{args.input}:{line}: {why}", file=sys.stderr)
    if report.bad > len(report.faults):
        print(_("and {count} more rows that cannot be read").format(count=report.bad - len(report.faults)), file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_json(), ensure_ascii=False))
        return 0
    print(_("{changes} changes of colour in {out}; {revisions} revisions").format(changes=report.transitions - report.revisions, out=args.out, revisions=report.revisions))
    print(_("{rows} rows, {stations} stations: {bad} unreadable, {missing} without a value, {off} off the quantum (rounded)").format(
        rows=report.rows, stations=report.stations, bad=report.bad, missing=report.missing, off=report.off_quantum))
    for source, fates in report.by_source.items():
        print(_("source {source}: {new} taken ({late} late), {duplicate} duplicates, {conflict} conflicts, {too_late} too late, {future} in the future, "
                "{unknown} unknown, {out_of_range} out of range").format(source=source, **fates))
    print(_("order: {order}; grid: {grid} s; CPU: {read} s reading, {judge} s judging").format(
        order=report.order, grid=report.grid_s, read=f"{report.cpu_read_s:.2f}", judge=f"{report.cpu_judge_s:.2f}"))
    return 0
