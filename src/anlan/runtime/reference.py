"""`anlan docs`: writes docs/reference.md from the registries, so that it cannot fall behind the program."""
from __future__ import annotations

import argparse
import dataclasses
import inspect
import os
from pathlib import Path
from typing import Any

from . import settings, speak
from .speak import gettext as _
from .speak import say

HEAD = """# Reference

Written by `anlan docs` from the program itself. Do not edit; a test fails when it is out of date.

"""


def _cell(text: Any) -> str:
    return " ".join(str(text or "").split()).replace("|", "\\|")


def _table(head: list[str], rows: list[list[Any]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _sentence(thing: Any) -> str:
    return (inspect.getdoc(thing) or "").split("\n\n")[0]


def text() -> str:
    """The whole page, in English."""
    from django.utils import translation

    from anlan import flow
    from anlan.kernel import access, actions, errors, journal, subjects

    from . import cli

    with translation.override("en"):
        parts = [HEAD]
        parts.append("## Settings\n\nEnvironment variables.\n\n" + _table(["variable", "default", "meaning"], [[f"`{n}`", f"`{d}`" if d else "", m] for n, (d, m) in settings.SETTINGS.items()]))
        _parser, groups = cli.build()
        rows: list[list[Any]] = [[f"`anlan {name}`", room, help_] for room, entries in groups.items() for name, help_ in entries]
        parts.append("## Commands\n\nExit status: 0 done, 1 the input was wrong, 2 our fault, 3 a supplier's fault.\n\n" + _table(["command", "group", "what it does"], rows))
        rows = []
        for kind, cls in sorted(journal.REGISTRY.items()):
            fields = ", ".join(f"{field.name}: {getattr(field.type, '__name__', field.type)}" for field in dataclasses.fields(cls))
            rows.append([f"`{kind}`", getattr(cls, "VERSION", 1), _sentence(cls), fields])
        parts.append("## Facts\n\n" + _table(["fact", "version", "when it is stated", "payload"], rows))
        rows = [[f"`{code}`", kind.status, kind.blame, kind.text] for code, kind in sorted(errors.KINDS.items())]
        parts.append(
            "## Errors\n\nEverywhere in one shape: `{\"error\": {\"code\", \"message\", \"blame\", \"data\", \"fields\"}}`.\n\n"
            + _table(["code", "status", "blame", "message"], rows)
        )
        rows = [[f"`{code}`", c.text, "yes" if c.second_factor else "", "yes" if c.machine else ""] for code, c in sorted(access.CAPABILITIES.items())]
        parts.append("## Capabilities\n\n" + _table(["capability", "lets a post", "second factor", "machines may"], rows))
        rows = [[f"`{name}`", _sentence(function)] for name, function in sorted(actions.ACTIONS.items())]
        parts.append("## Actions\n\nThe only writers; each states what it did.\n\n" + _table(["action", "what it does"], rows))
        rows = [["follower", f"`{f.name}`", ", ".join(f.facts), f"`{f.handler}`"] for f in flow.FOLLOWERS]
        rows += [["job", f"`{j.name}`", ", ".join(j.facts), f"`{j.handler}`"] for j in flow.JOBS]
        rows += [["timer", f"`{t.name}`", "", f"`{t.handler}`"] for t in flow.TIMERS]
        parts.append("## Flow\n\n" + _table(["kind", "reaction", "facts", "handler"], rows))
        rows = [[f"`{kind}:…`", subject.text] for kind, subject in sorted(subjects.KINDS.items())]
        parts.append("## Subjects\n\nHow the journal names things.\n\n" + _table(["subject", "thing"], rows))
    return "\n".join(parts)


def load_everything() -> None:
    """Import every room's errors, facts and actions, so that the registries are full."""
    import importlib
    import importlib.util

    importlib.import_module("anlan.runtime.errors")
    for room in settings.ROOMS:
        for module in ("errors", "facts", "actions", "reactions", "api", "pages"):
            name = f"anlan.{room}.{module}"
            if f"anlan.{room}" in settings.INSTALLED_APPS and importlib.util.find_spec(name):
                importlib.import_module(name)


def command(args: argparse.Namespace) -> int:
    os.environ["LC_ALL"] = "C"  # the page is in English, whatever the terminal speaks
    speak._catalogue.cache_clear()
    load_everything()
    made = text()
    target = Path(args.to)
    if args.check:
        if target.exists() and target.read_text() == made:
            return 0
        say(_("{file} is out of date; run `anlan docs`.").format(file=target))
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made)
    say(_("Written: {file}").format(file=target))
    return 0


def register(sub: Any) -> None:
    parser = sub.add_parser("docs", help=_("write docs/reference.md from the program's registries"))
    parser.add_argument("--to", default="docs/reference.md")
    parser.add_argument("--check", action="store_true", help=_("only say whether it is up to date"))
    parser.set_defaults(func=command, services=None)
