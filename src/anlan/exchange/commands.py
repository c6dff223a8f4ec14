"""Commands of exchange: judge a CAP document without taking it in."""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any) -> None:
    cap = sub.add_parser("cap", help=_("CAP documents: judge a file"))
    ways = cap.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("check", help=_("judge a CAP message, feed or envelope strictly, and say what lenient reading would repair"))
    way.add_argument("file", type=Path)
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=check, services=None)


def check(args: argparse.Namespace) -> int:
    """0 when valid, 1 when not."""
    from anlan.engines import cap
    from anlan.engines.cap.safe import MAX_BYTES

    answer: dict[str, Any]
    try:
        with args.file.open("rb") as file:
            document = cap.read(file.read(MAX_BYTES + 1))
    except OSError as error:
        raise SystemExit(str(error)) from None
    except cap.CapError as error:
        answer = {"valid": False, "kind": "", "code": error.code, "messages": [], "findings": [str(error)]}
    else:
        answer = {
            "valid": document.valid, "kind": document.kind, "code": "", "findings": [finding.message for finding in document.findings],
            "links": document.links,
            "messages": [
                {
                    "identifier": message.alert.identifier if message.alert else "", "version": message.version, "valid": message.valid,
                    "refused": message.refused, "repairs": list(message.repairs), "signature": message.signature,
                    "findings": [{"code": f.code, "where": f.where, "message": f.message, "note": f.note} for f in message.findings],
                }
                for message in document.messages
            ],
        }
    if args.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(f"{args.file.name}: {_('valid') if answer['valid'] else _('not valid')} {answer['kind']}")
        for line in answer["findings"]:
            print(f"  {line}")
        for message in answer["messages"]:
            print(f"  {message['identifier'] or '?'} (CAP {message['version']})")
            for finding in message["findings"]:
                print(f"    {_('advice') if finding['note'] else _('fault')}: {finding['where']}: {finding['message']}")
            if message["refused"]:
                print(f"    {_('refused')}: {message['refused']}")
            for repair in message["repairs"]:
                print(f"    {_('would be repaired')}: {repair}")
    return 0 if answer["valid"] else 1
