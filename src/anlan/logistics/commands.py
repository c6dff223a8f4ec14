"""Commands of the logistics room."""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

MAX_BYTES = 512 * 1024 * 1024


def register(sub: Any) -> None:
    parser = sub.add_parser("solve", help=_("choose sites: where to open p of n, with a proof of how near the best that is"))
    inner = parser.add_subparsers(dest="what", required=True)
    for kind, words in (
        ("pmedian", _("p sites with the least total distance")), ("pcenter", _("p sites with the least greatest distance")),
        ("lscp", _("the fewest sites that cover everybody")), ("mclp", _("p sites that cover the most")),
    ):
        one = inner.add_parser(kind, help=words)
        one.add_argument("file", type=Path, help=_("OR-Library pmed file or JSON (docs/solve.md); - reads standard input"))
        one.add_argument("--p", type=int, help=_("number of sites, instead of the file's"))
        one.add_argument("--radius", type=float, help=_("distance or time within which a demand is covered, instead of the file's"))
        one.add_argument("--seconds", type=float, default=60.0, help=_("CPU seconds after which the best so far is given, with its bound"))
        one.add_argument("--gap", type=float, default=0.0, help=_("stop when at most this share from the best (0.01 is one per cent)"))
        one.add_argument("--json", action="store_true", help=_("answer as JSON"))
        one.set_defaults(func=solve, services=None, kind=kind)


def solve(args: argparse.Namespace) -> int:
    """Exit status 0 with an answer, 1 when the question is wrong or has none."""
    from anlan.engines import siting

    try:
        with sys.stdin.buffer if str(args.file) == "-" else args.file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise siting.BadProblem("", _("larger than {limit} MB").format(limit=MAX_BYTES >> 20))
        answer = siting.solve(siting.read(raw, args.kind, p=args.p, radius=args.radius), budget=args.seconds, gap=args.gap)
    except OSError as error:
        return _refused(args, "", error.strerror or str(error))
    except siting.BadProblem as error:
        return _refused(args, error.where, error.why)
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
        return 0
    print(_("objective {objective:.10g}, nothing can be better than {bound:.10g}: at most {gap:.2f} % from the best").format(
        objective=answer["objective"], bound=answer["bound"], gap=100 * answer["gap"]))
    print(_("sites: {sites}").format(sites=", ".join(map(str, answer["sites"]))))
    if answer["unserved"]:
        print(_("not served: {demands}").format(demands=", ".join(map(str, answer["unserved"][:50]))))
    for note in answer["notes"]:
        print(note)
    print(_("{seconds} CPU seconds, {how}").format(seconds=answer["seconds"], how=answer["how"]))
    return 0


def _refused(args: argparse.Namespace, where: str, why: str) -> int:
    if args.json:
        print(json.dumps({"error": {"file": str(args.file), "where": where, "why": why}}, ensure_ascii=False))
    else:
        print(f"{args.file}: {where + ': ' if where else ''}{why}", file=sys.stderr)
    return 1
