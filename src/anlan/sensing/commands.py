"""Commands of the sensing room."""
from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

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
    check = inner.add_parser("quality", help=_("judge a rain network's reports against their neighbours: which gauges are not to be believed, and why"))
    check.add_argument("input", type=Path, metavar="IN", help=_("Parquet, Arrow or CSV with station,time,value; or CSV with a column of times and one for each station"))
    check.add_argument("--stations", type=Path, required=True, help=_("CSV with station,lon,lat"))
    check.add_argument("--out", type=Path, help=_("CSV for the flags: station,time,value,flags"))
    check.set_defaults(func=quality, services=None)
    take = inner.add_parser("import", help=_("take readings of a file in by a mapping: CSV, coded text reports, frames of telemetry stations"))
    take.add_argument("input", type=Path, metavar="FILE")
    take.add_argument("--mapping", required=True, metavar="NAME", help=_("what stands where: {names}, or a file of yours in ANLAN_HOME/mappings").format(names=", ".join(sorted(path.stem for path in (Path(__file__).parent / "data" / "mappings").glob("*.yaml")))))
    take.add_argument("--dry-run", action="store_true", help=_("only read the file and say what would be taken"))
    take.add_argument("--json", action="store_true", help=_("answer as JSON"))
    take.set_defaults(func=import_, services="workers")
    out = inner.add_parser("export", help=_("write readings to a Parquet file, which `sense file` reads again"))
    out.add_argument("out", type=Path, metavar="OUT")
    out.add_argument("--start", type=_instant, required=True, metavar="TIME", help=_("first event time, ISO 8601"))
    out.add_argument("--end", type=_instant, required=True, metavar="TIME", help=_("event time up to which, without it"))
    out.add_argument("--station", action="append", default=[], metavar="CODE", help=_("only this one; may be given again"))
    out.add_argument("--quantity", default="", help=_("only this quantity"))
    out.add_argument("--json", action="store_true", help=_("answer as JSON"))
    out.set_defaults(func=export, services="data")


def _give_back_memory() -> None:
    """Columns of some megabytes come and go: without this the allocators of C and Arrow keep half a gigabyte of them for later."""
    import ctypes

    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())
    try:
        ctypes.CDLL(None).mallopt(-3, 1 << 20)  # M_MMAP_THRESHOLD of glibc: larger blocks go back at once
    except (AttributeError, OSError):
        pass


def _instant(text: str) -> datetime:
    """An aware instant; without a zone the installation's."""
    from django.conf import settings

    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=ZoneInfo(settings.TIME_ZONE_LOCAL))


def import_(args: argparse.Namespace) -> int:
    """Exit status 0 when readings were taken, whatever else stands in the file."""
    from . import imports, reports

    how = reports.mapping(args.mapping)
    told = imports.take(args.input, how, dry=args.dry_run)
    if args.json:
        print(json.dumps({
            "readings": told.readings, "history": told.history, "mapping": how.name, "label": how.label, "digest": how.digest, "taken": not args.dry_run,
            "refused": [{"line": each.line, "station": each.station, "reason": each.why, "detail": each.detail} for each in told.faults],
        }, ensure_ascii=False))
        return 0
    for each in told.faults[:50]:
        print(f"{args.input}:{imports.reason(each)}", file=sys.stderr)
    if len(told.faults) > 50:
        print(_("and {count} more rows that cannot be read").format(count=len(told.faults) - 50), file=sys.stderr)
    if how.mark == "M":
        print(_("Mapping {name} was written from memory; compare it with your stations' reports before you rely on it.").format(name=how.name), file=sys.stderr)
    words = _("{count} readings would be taken by mapping {name} {label}, {history} of them as history no rule hears; {bad} lines refused") if args.dry_run else _(
        "{count} readings taken by mapping {name} {label}, {history} of them as history no rule hears; {bad} lines refused")
    print(words.format(count=told.readings, name=how.name, label=how.label, history=told.history, bad=len(told.faults)))
    return 0


def export(args: argparse.Namespace) -> int:
    from anlan.kernel import realms

    from . import actions

    count = actions.export_readings(actions.machine_act(realms.actual()), path=args.out, start=args.start, end=args.end, stations=args.station, quantity=args.quantity)
    print(json.dumps({"readings": count, "file": str(args.out)}) if args.json else _("{count} readings in {out}").format(count=count, out=args.out))
    return 0


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
    _give_back_memory()
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


def quality(args: argparse.Namespace) -> int:
    """Which gauges of a network are not to be believed, and why."""
    import csv

    import numpy as np

    from anlan.engines.series.quality import DOUBTFUL, NAMES, Network
    from anlan.engines.series.tables import TableError, grid_of

    try:
        with args.stations.open(encoding="utf-8-sig", newline="") as file:
            at = {row["station"]: (float(row["lon"]), float(row["lat"])) for row in csv.DictReader(file)}
        times, names, values = grid_of(args.input)
    except (OSError, KeyError, ValueError) as error:
        print(f"{error}" if isinstance(error, TableError) else f"{args.stations}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    lacking = [name for name in names if name not in at]
    if lacking:
        print(f"{args.stations}: {', '.join(lacking[:10])}: {_('no position')}", file=sys.stderr)
        return 1
    network = Network([at[name][0] for name in names], [at[name][1] for name in names])
    flags = np.array([network.step(row) for row in values])
    doubtful = (flags & DOUBTFUL) > 0
    if args.out:
        with args.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["station", "time", "value", "flags"])
            for t, n in zip(*np.nonzero(flags), strict=True):
                writer.writerow([names[n], times[t], values[t, n], " ".join(word for bit, word in NAMES.items() if flags[t, n] & bit)])
    for n in np.argsort(-doubtful.sum(0), kind="stable").tolist():
        if doubtful[:, n].any():
            print(f"{names[n]}: " + "; ".join(str(reason) for reason in network.why(n)))
    total, kept = float(np.nansum(values)), float(np.nansum(np.where(doubtful, 0, values)))
    print(_("{doubtful} of {all} reports are doubtful, at {stations} of {gauges} gauges; {share} % of the rain is undoubted").format(
        doubtful=int(doubtful.sum()), all=int((~np.isnan(values)).sum()), stations=int(doubtful.any(0).sum()), gauges=len(names),
        share=f"{100 * kept / total:.1f}" if total else "100"))
    return 0
