"""Commands of warning: a text message gateway to try the channel against."""
from __future__ import annotations

import argparse
from typing import Any

from django.utils.translation import gettext as _


def register(sub: Any) -> None:
    way = sub.add_parser("sms-simulator", help=_("a text message gateway on this machine that sends nothing: to try the channel against"))
    way.add_argument("--port", type=int, default=0, help=_("port to listen on; a free one by default"))
    way.add_argument("--callback", default="", metavar="URL", help=_("address for delivery receipts: …/api/v1/warning/receipts/CHANNEL"))
    way.add_argument("--secret", default="", help=_("the channel's secret, to sign the receipts with"))
    way.set_defaults(func=simulate, services=None)


def simulate(args: argparse.Namespace) -> int:
    """Serve until interrupted; every message is printed as one JSON line."""
    from .adapters.sms.simulator import Simulator

    with Simulator(port=args.port, callback=args.callback, secret=args.secret, echo=True) as simulator:
        print(_("Text message simulator on {url}; nothing is really sent. Stop with Ctrl-C.").format(url=simulator.url), flush=True)
        try:
            simulator.wait()
        except KeyboardInterrupt:
            pass
    return 0
