"""Commands of exchange: judge CAP documents without taking them in."""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any) -> None:
    cap = sub.add_parser("cap", help=_("CAP documents: judge files"))
    ways = cap.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("check", help=_("judge CAP messages, feeds or envelopes, and say what lenient reading repairs"))
    way.add_argument("file", type=Path, nargs="+")
    mode = way.add_mutually_exclusive_group()
    mode.add_argument("--strict", dest="strict", action="store_true", default=True, help=_("ok when it conforms: what we hold our own alerts to (default)"))
    mode.add_argument("--lenient", dest="strict", action="store_false", help=_("ok when every alert in it can be used, repaired where needed, and every entry leads somewhere: what we hold others to"))
    way.add_argument("--json", action="store_true", help=_("one line of JSON for each file"))
    way.set_defaults(func=check, services=None)
    way = ways.add_parser("prove", help=_("check the proof a warning carries again: digests, seals, approvals, text, receipts; needs nothing but the file"))
    way.add_argument("file", type=Path)
    way.add_argument("--key", default="", metavar="HEX", help=_("the installation's public key, as it was given to you beforehand"))
    way.add_argument("--json", action="store_true", help=_("lines as JSON"))
    way.set_defaults(func=prove, services=None)
    way = sub.add_parser("publish", help=_("write the public page now, and say where"))
    way.set_defaults(func=publish_now, services="data")


def publish_now(args: argparse.Namespace) -> int:
    """One new version; prints its folder."""
    import getpass
    import hashlib

    from anlan.kernel import realms
    from anlan.kernel.actions import Act, Actor

    from . import actions, publishing

    found = publishing.publish()
    digest = "sha256:" + hashlib.sha256((found / "index.html").read_bytes()).hexdigest()
    actions.note_published(Act(Actor.machine("publish"), realms.actual()), version=found.name, digest=digest, by=getpass.getuser())
    print(found)
    return 0


def prove(args: argparse.Namespace) -> int:
    """0 when every line of the proof holds."""
    from anlan.engines.cap.proving import Line, lines_of
    from anlan.engines.cap.proving import prove as check_again

    try:
        lines = check_again(lines_of(args.file), args.key)
    except OSError as error:  # a broken gzip file is one, too
        lines = [Line(False, str(error))]
    for line in lines:
        print(json.dumps({"ok": line.ok, "what": line.what}, ensure_ascii=False) if args.json else f"{'✓' if line.ok else '✗'} {line.what}")
    if not args.json:
        print(_("The proof holds.") if all(line.ok for line in lines) else _("The proof does not hold."))
    return 0 if all(line.ok for line in lines) else 1


def judge(path: Path, strict: bool) -> dict[str, Any]:
    """{"file","ok","version","kind","errors":[{"path","rule","message"}],"advice":[…],"repairs":[…],"alerts":[…]} of one file."""
    from anlan.engines import cap
    from anlan.engines.cap.safe import MAX_BYTES

    answer: dict[str, Any] = {"file": str(path), "ok": False, "version": "", "kind": "", "errors": [], "advice": [], "repairs": [], "alerts": []}
    try:
        with path.open("rb") as file:
            document = cap.read(file.read(MAX_BYTES + 1))
    except OSError as error:
        answer["errors"].append({"path": "", "rule": "unreadable", "message": error.strerror or str(error)})
        return answer
    except cap.CapError as error:
        answer["errors"].append({"path": "", "rule": error.code, "message": str(error)})
        return answer
    answer["kind"], answer["links"] = document.kind, document.links
    answer["version"] = next((message.version for message in document.messages if message.version), "")
    many = len(document.messages) > 1
    answer["repairs"] += document.repairs
    for finding in document.findings:
        answer["advice" if finding.note else "errors"].append({"path": finding.where, "rule": finding.code, "message": finding.message})
    for number, message in enumerate(document.messages, 1):
        place = f"[{number}]" if many else ""
        answer["alerts"].append({"identifier": message.alert.identifier if message.alert else "", "version": message.version, "refused": message.refused, "signature": message.signature})
        for finding in message.findings:
            answer["advice" if finding.note else "errors"].append({"path": place + finding.where, "rule": finding.code, "message": finding.message})
        if message.refused:
            answer["errors"].append({"path": f"{place}alert", "rule": "refused", "message": message.refused})
        answer["repairs"] += [f"{place} {repair}".strip() for repair in message.repairs]
    answer["ok"] = document.valid if strict else document.usable
    return answer


def check(args: argparse.Namespace) -> int:
    """0 when every file is ok in the mode asked for, 1 when not."""
    good = True
    for path in args.file:
        answer = judge(path, args.strict)
        good &= answer["ok"]
        if args.json:
            print(json.dumps(answer, ensure_ascii=False))
            continue
        print(f"{answer['file']}: {_('valid') if answer['ok'] else _('not valid')} {answer['kind']} {answer['version']}".rstrip())
        for kind, word in (("errors", _("fault")), ("advice", _("advice"))):
            for row in answer[kind]:
                print(f"  {word}: {row['path']}: {row['message']} ({row['rule']})")
        for repair in answer["repairs"]:
            print(f"  {_('would be repaired')}: {repair}")
    return 0 if good else 1
