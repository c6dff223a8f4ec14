"""The runtime's own commands: running the parts, and looking after the installation."""
from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import serve, settings
from .pulse import Pulse
from .speak import gettext as _
from .speak import say


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--level", choices=sorted(serve.LEVELS), default="all", help=_("which parts: data, workers, or all (default)"))
    parser.add_argument("--quiet", action="store_true", help=_("say nothing but problems"))
    parser.add_argument("--ready-fd", type=int, default=None, help=argparse.SUPPRESS)


def serve_directly(argv: list[str]) -> int:
    """`anlan serve`, before and without Django."""
    from anlan.kernel.errors import Problem

    from .cli import Parser

    parser = Parser(prog="anlan serve", description=_("Run everything: database, broker, workers, web server"))
    _serve_arguments(parser)
    args = parser.parse_args(argv)
    ready = os.fdopen(args.ready_fd, "w") if args.ready_fd is not None else None
    try:
        return serve.Supervisor(settings.HOME, args.level, announce=not args.quiet, ready=ready).run()
    except Problem as problem:
        if ready is not None and not ready.closed:
            ready.write(f"{problem.kind.code}\n")
            ready.close()
        raise


def register_running(sub: Any) -> None:
    parser = sub.add_parser("serve", help=_("run everything: database, broker, workers, web server"))
    _serve_arguments(parser)
    parser.set_defaults(func=lambda args: serve_directly(sys.argv[2:]), services=None)

    parser = sub.add_parser("web", help=_("run the web server alone"))
    parser.add_argument("--fd", type=int, default=None, help=argparse.SUPPRESS)
    parser.set_defaults(func=web, services=None)

    parser = sub.add_parser("work", help=_("run a job worker alone (journal, reactions, deadlines, sending)"))
    parser.set_defaults(func=work, services=None)

    parser = sub.add_parser("sense", help=_("run a sensing worker alone (readings to signals)"))
    parser.set_defaults(func=sense, services=None)


def register_keeping(sub: Any) -> None:
    from . import backup, certificate, doctor, reference

    parser = sub.add_parser("migrate", help=_("bring the tables up to this version and set the database roles"))
    parser.set_defaults(func=migrate, services=None)
    doctor.register(sub)
    backup.register(sub)
    certificate.register(sub)
    reference.register(sub)
    parser = sub.add_parser("shell", help=_("a Python shell with the application loaded"))
    parser.set_defaults(func=shell)


def _need_addresses() -> None:
    from . import errors

    if not (settings.env("DATABASE_URL") or settings.ADDRESSES.get("database")):
        raise errors.NOT_RUNNING(folder=settings.HOME)


def web(args: argparse.Namespace) -> int:
    from . import web as server

    _need_addresses()
    return server.run(args.fd)


def work(args: argparse.Namespace) -> int:
    from anlan.kernel import flowing

    _need_addresses()
    flowing.run_worker(Pulse(settings.HOME / "run" / "work.beat"))
    return 0


def sense(args: argparse.Namespace) -> int:
    from anlan.sensing import worker

    _need_addresses()
    worker.run(Pulse(settings.HOME / "run" / "sense.beat"))
    return 0


@contextmanager
def _options_by_themselves() -> Iterator[None]:
    """Let an index or a constraint change the model it is on and no other, while migrations run: half the time of an upgrade.

    Django renders that model and all it is bound to anew, and by the realm nearly everything is bound to everything. What a model's
    neighbours are rendered from says nothing of its indexes and constraints. `tests/runtime/upgrade` holds the tables that come of it.
    """
    from django.db.migrations.state import ProjectState

    def append(self: Any, app_label: str, model_name: str, option_name: str, obj: Any) -> None:
        options = self.models[app_label, model_name].options
        options[option_name] = [*options[option_name], obj]
        if "apps" in vars(self):
            setattr(self.apps.get_model(app_label, model_name)._meta, option_name, options[option_name])

    states: Any = ProjectState
    usual, states._append_option = states._append_option, append
    try:
        yield
    finally:
        states._append_option = usual


def migrate(args: argparse.Namespace, verbosity: int = 1) -> int:
    """As the owner role: migrate, then take from the application's role what it must not do (design §3.9)."""
    from urllib.parse import urlsplit

    import psycopg
    from django.core.management import call_command
    from django.db import connection

    from anlan.kernel.models import APPEND_ONLY

    from . import baseline, cli, errors, postgres

    addresses = settings.ADDRESSES
    admin = settings.env("DATABASE_ADMIN_URL") or settings.env("DATABASE_URL") or addresses.get("database_admin", "")
    if not admin:
        raise errors.NOT_RUNNING(folder=settings.HOME)
    postgres.check_server(admin)
    found = settings.database(admin)
    if not settings.env("DATABASE_URL"):
        # Some eighty small transactions: their commits need not wait for the disk one by one. The grants below, committed in
        # the ordinary way, carry them all with them; until then this version has not been noted as migrated.
        found["OPTIONS"] = {**found["OPTIONS"], "options": "-c synchronous_commit=off"}
    cli.connect_as(found)
    baseline.load(admin)
    with _options_by_themselves():
        call_command("migrate", interactive=False, verbosity=verbosity)
    app_url = settings.env("DATABASE_URL") or addresses.get("database", "")
    app, owner = urlsplit(app_url).username or "", urlsplit(admin).username or ""
    connection.close()
    if app and app != owner:
        with psycopg.connect(admin) as direct:
            postgres.grant_roles(direct, APPEND_ONLY, app, postgres.READ)
    else:
        say(_("The application uses the role that owns the tables, so nothing but its own code keeps it from changing the journal. Set DATABASE_ADMIN_URL to another role."))
    return 0


def shell(args: argparse.Namespace) -> int:
    from django.core.management import call_command

    call_command("shell")
    return 0
