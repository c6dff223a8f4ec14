"""The command `anlan`.

Each room may bring commands in `<room>/commands.py`:

    def register(sub):                       # an argparse subparsers object
        parser = sub.add_parser("replay", help=_("…"))
        parser.set_defaults(func=replay, services="workers")

`func(args) -> int` (or None) runs with Django set up. `services` says what must run: None, "data" (database and broker; the
default), "workers" (and the job and sensing workers), "all" (and the web server). What does not run yet is started for the
time of the command. `args.services` is then the running `Services`: `.addresses` (web, nats, nats_replay, mqtt …),
`.temporary`, `.wait()` (until Ctrl-C). `beforehand(args)`, if given, refuses what needs no service to be seen wrong. Problems print `code: message` and exit 1 (input), 2 (ours) or 3 (supplier).
"""
from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import secrets
import signal
import sys
import traceback
from typing import Any, NoReturn

from . import folder, settings, speak
from .speak import gettext as _
from .speak import say

EXIT = {"input": 1, "ours": 2, "supplier": 3}


class Parser(argparse.ArgumentParser):
    """A wrong command line is wrong input: exit status 1, so that 2 always means our fault."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT["input"], f"anlan: {message}\n")


def _setup(part: str = "") -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "anlan.runtime.settings")
    import django

    if part:  # seen in pg_stat_activity: who holds which session
        settings.DATABASES["default"]["OPTIONS"]["application_name"] = f"anlan-{part}"
    django.setup()
    from django.utils import translation

    translation.activate(speak.language())


def use(addresses: dict[str, Any], role: str = "database") -> None:
    """Point Django at the services just found; before the first connection."""
    from django.conf import settings as live

    settings.ADDRESSES = live.ADDRESSES = addresses
    url = settings.env("DATABASE_URL") or addresses.get(role)
    if url:
        connect_as(settings.database(url))
    live.NATS_URL = settings.NATS_URL = settings.env("NATS_URL") or addresses.get("nats", "")


def connect_as(found: dict[str, Any]) -> None:
    """Make Django's one connection go to another address or role."""
    from django.db import connections

    connections["default"].close()
    found["OPTIONS"] = {**found["OPTIONS"], "application_name": "anlan-cli"}
    connections["default"].settings_dict.update(found)


def build() -> tuple[Parser, dict[str, list[tuple[str, str]]]]:
    """The parser with our commands and those of every room, and the groups for the help page."""
    parser = Parser(prog="anlan", description=_("Anlan (安澜): from warning to action"), formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="command", metavar=_("COMMAND"), parser_class=Parser)
    groups: dict[str, list[tuple[str, str]]] = {}

    def grouped(name: str, register: Any) -> None:
        before = len(sub._choices_actions)
        register(sub)
        groups[name] = [(action.dest, action.help or "") for action in sub._choices_actions[before:]]

    from . import commands

    grouped("run", commands.register_running)
    grouped("keep", commands.register_keeping)
    for room in settings.ROOMS:
        name = f"anlan.{room}.commands"
        if f"anlan.{room}" in settings.INSTALLED_APPS and importlib.util.find_spec(name):
            grouped(room, importlib.import_module(name).register)
    return parser, groups


def parser() -> Parser:
    """The parser with every command, of ours and of the rooms."""
    return build()[0]


def _titles() -> dict[str, str]:
    return {
        "run": _("Running"),
        "keep": _("Looking after the installation"),
        "kernel": _("People, places, journal"),
        "sensing": _("Sensing"),
        "warning": _("Warning"),
        "plans": _("Plans"),
        "command": _("Command"),
        "exchange": _("Exchange"),
        "demo": _("Demonstration, replays, figures"),
        "web": _("Web"),
    }


def help_text(parser: Parser, groups: dict[str, list[tuple[str, str]]]) -> str:
    from django.apps import apps

    lines = [_("Anlan (安澜): from warning to action"), "", _("Usage: anlan COMMAND [options]; anlan COMMAND --help explains a command."), ""]
    titles = _titles()
    width = max(len(name) for entries in groups.values() for name, _help in entries)
    for room, entries in groups.items():
        if entries:
            lines += [titles.get(room) or _(str(apps.get_app_config(room).verbose_name)), *(f"  {name:<{width}}  {text}" for name, text in entries), ""]
    lines.append(_("All data are in ANLAN_HOME (now {home}). Settings: docs/reference.md.").format(home=settings.HOME))
    return "\n".join(lines)


def _problem(problem: Any, as_json: bool) -> int:
    if as_json:
        say(json.dumps(problem.as_json(), ensure_ascii=False))
    else:
        print(problem, file=sys.stderr)
        for field in problem.fields:
            print(f"  {field.get('field')}: {field.get('why')}", file=sys.stderr)
    return EXIT[problem.kind.blame]


def _unexpected(error: BaseException, as_json: bool) -> int:
    from anlan.kernel import errors as kernel_errors

    reference = secrets.token_hex(4)
    with folder.open_log(settings.HOME, "cli") as log:
        log.write(f"--- {reference} {sys.argv[1:]!r}\n{traceback.format_exc()}\n".encode())
    if settings.DEBUG:
        traceback.print_exc()
    else:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return _problem(kernel_errors.UNEXPECTED(reference=reference), as_json)


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    as_json = "--json" in argv
    from anlan.kernel.errors import Problem

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "anlan.runtime.settings")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        if argv[:1] == ["serve"]:  # the supervisor stays small: no Django in it
            from . import commands

            return commands.serve_directly(argv[1:])
        _setup(argv[0] if argv and argv[0] in ("web", "work", "sense") else "cli")
        parser, groups = build()
        if not argv or argv[0] in ("-h", "--help", "help"):
            say(help_text(parser, groups))
            return 0
        if argv[0] in ("-V", "--version"):
            from importlib.metadata import version

            say(version("anlan"))
            return 0
        args = parser.parse_args(argv)
        return _run(args)
    except Problem as problem:
        _ready_for_words()
        return _problem(problem, as_json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        _ready_for_words()
        return _unexpected(error, as_json)


def _ready_for_words() -> None:
    try:
        _setup()
    except Exception:  # the sentence stays in English then; hiding the problem behind this one would be worse
        logging.getLogger("anlan").debug("no translations", exc_info=True)


def _run(args: argparse.Namespace) -> int:
    if beforehand := getattr(args, "beforehand", None):
        beforehand(args)
    level = getattr(args, "services", "data")
    if level is None:
        return int(args.func(args) or 0)
    from .serve import Services

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop our services, too, when told to end
    with Services(settings.HOME, level) as services:
        args.services = services
        use(services.addresses, getattr(args, "database_role", "database"))
        return int(args.func(args) or 0)


if __name__ == "__main__":
    sys.exit(main())
