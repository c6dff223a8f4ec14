"""`anlan register list | template | import | export`: what the pages do, from the command line and under the same rights."""
from __future__ import annotations

import argparse
import csv
import getpass
import json
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any, named: Any) -> None:
    """`named(parser)` adds the options that say as whom it is done."""
    parser = sub.add_parser("register", help=_("registers: list, template, import, export"))
    ways = parser.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("list", help=_("the registers of this installation"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=listed, services="data")
    way = ways.add_parser("template", help=_("the header row of a register, with its codes explained"))
    way.add_argument("name", help=_("name of the register, e.g. resources.team"))
    way.add_argument("--out", type=Path, metavar="FILE", help=_("write an .xlsx instead"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=template, services="data")
    way = ways.add_parser("import", help=_("take over a spreadsheet; all of it or nothing"))
    way.add_argument("name", help=_("name of the register, e.g. resources.team"))
    way.add_argument("file", type=Path, help=_("spreadsheet (.xlsx) or table (.csv)"))
    way.add_argument("--good-rows", action="store_true", help=_("take the good rows although others are wrong"))
    way.add_argument("--preview", action="store_true", help=_("only say what would happen"))
    way.add_argument("--clear", action="store_true", help=_("an empty cell empties the field of an entry that is there already"))
    way.add_argument("--verified", action="store_true", help=_("the sheet says how things are today"))
    way.add_argument("--frame", default="", help=_("coordinate frame, when the file does not say: WGS84, CGCS2000, GCJ02, BD09"))
    way.add_argument("--refused", type=Path, metavar="FILE", help=_("write the refused rows, with what is wrong, to an .xlsx"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    by_whom(way)
    way.set_defaults(func=import_, services="data")
    way = ways.add_parser("export", help=_("write a register to a file, watermarked and logged"))
    way.add_argument("name", help=_("name of the register, e.g. resources.team"))
    way.add_argument("file", type=Path, help=_("spreadsheet (.xlsx) or table (.csv)"))
    way.add_argument("--q", default="", help=_("only what holds these words"))
    way.add_argument("--filter", action="append", default=[], metavar="FIELD=VALUE", help=_("only what has this value; may be given again"))
    way.add_argument("--purpose", default="", help=_("what it is taken out for; kept in the access log"))
    named(way)
    way.set_defaults(func=export)


def by_whom(way: Any) -> None:
    """The options of a command that an account or, as a nightly transfer, this machine runs."""
    way.add_argument("--as", dest="account", default="", metavar="ACCOUNT", help=_("account in whose name this is done; its password is asked for. Without it: this machine, with what machines may do"))
    way.add_argument("--factor", default="", metavar="CODE", help=_("code of its authenticator, where the right needs it"))


def listed(args: argparse.Namespace) -> int:
    from .declare import REGISTERS

    found = [
        {
            "name": one.name, "label": str(one.label), "key": list(one.key), "fields": len(one.all), "fresh_days": one.good_for.days if one.good_for else None,
            "rows": one.rows().filter(ended_at=None).count(),
        }
        for one in sorted(REGISTERS.values(), key=lambda one: one.name)
    ]
    if args.json:
        print(json.dumps(found, ensure_ascii=False))
        return 0
    for one in found:
        print(f"{one['name']:<28} {one['rows']:>9,}  {one['label']}")
    return 0


def template(args: argparse.Namespace) -> int:
    from . import exporting
    from .declare import get

    declared = get(args.name)
    lines = exporting.template_rows(declared)
    if args.out:
        args.out.write_bytes(exporting.template(declared))
        print(args.out)
    elif args.json:
        print(json.dumps([{"name": name, "label": label, "explanation": text} for name, label, text in lines], ensure_ascii=False))
    else:
        # A header to put rows under; the import passes over lines that begin with #.
        csv.writer(sys.stdout, lineterminator="\n").writerow([name for name, _label, _text in lines])
        for name, label, text in lines:
            print(f"# {name} ({label}): {text}")
    return 0


def import_(args: argparse.Namespace) -> int:
    """Exit status 1 when rows were refused: a script that ignores the answer must still stop."""
    from ..errors import NOT_FOUND
    from . import exporting, importing, reading
    from .declare import get

    declared = get(args.name)
    if not args.file.is_file():
        raise NOT_FOUND(kind=_("file"), key=args.file)
    reading.check_size(args.file.stat().st_size)
    act = who(args)
    sheet = reading.read(args.file)
    mapping = importing.propose(declared, sheet)
    bar = _bar(args.json)
    options = {"frame": args.frame, "blanks": "clear" if args.clear else "keep", "progress": bar}
    if args.preview:
        result = importing.preview(act.actor, declared, sheet, mapping, **options)
    else:
        result = importing.run(act, declared, sheet, mapping, good_rows=args.good_rows, verified=args.verified, **options)
    if args.refused and result.refused:
        args.refused.write_bytes(exporting.refused_file(act.actor, declared, sheet, mapping, result))
    if args.json:
        print(json.dumps(result.as_json(), ensure_ascii=False, default=str))
    else:
        for note in result.notes:
            print(note)
        if mapping.unknown:
            print(_("Columns nobody knows, left out: {names}").format(names="、".join(mapping.unknown)))
        for fault in result.refused[: importing.SHOWN]:
            print(f"  {fault.row:>7}  {fault.field:<20} {fault.why}")
        print(_("{read} rows read: {new} new, {changed} changed, {unchanged} unchanged, {refused} refused; {written} written in {seconds} s").format(
            read=result.read, new=result.new, changed=result.changed, unchanged=result.unchanged, refused=result.refused_rows, written=result.written, seconds=round(result.seconds, 1)))
    return 1 if result.refused else 0


def who(args: argparse.Namespace) -> Any:
    """The account named; else this machine, as a nightly transfer is: journaled as such, with the system user beside it."""
    from dataclasses import replace

    from .. import realms
    from ..actions import Act, Actor
    from ..commands import _act

    if args.account:
        return _act(args)
    return Act(replace(Actor.machine("import"), device=f"command:{getpass.getuser()}"[:60]), realms.actual())


def _bar(silent: bool) -> Any:
    """Progress on the terminal, on the error stream, so that --json stays JSON."""

    def tell(stage: str, done: int, total: int) -> None:
        if not silent and sys.stderr.isatty():
            print(f"\r{stage:<6} {done:>8,} / {total:,}   ", end="\n" if stage == "done" else "", file=sys.stderr, flush=True)

    return tell


def export(args: argparse.Namespace) -> int:
    from ..commands import _act
    from ..errors import INVALID
    from . import exporting
    from .declare import get

    declared = get(args.name)
    filters: dict[str, list[str]] = {}
    for pair in args.filter:
        name, sep, value = pair.partition("=")
        if not sep:
            raise INVALID([{"field": "filter", "why": "FIELD=VALUE"}])
        filters.setdefault(name, []).append(value)
    kind = args.file.suffix.lower().lstrip(".")
    if kind not in ("xlsx", "csv"):
        raise INVALID([{"field": "file", "why": ".xlsx, .csv"}])
    act = _act(args)
    content, _media, _name = exporting.export(act.actor, declared, realm=act.realm, q=args.q, filters=filters, kind=kind, purpose=args.purpose)
    args.file.write_bytes(content)
    print(args.file)
    return 0
