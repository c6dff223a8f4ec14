"""Commands: the demonstration, the replays, the figures."""
from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

SEED = 7


def register(sub: Any) -> None:
    demo_parser = sub.add_parser("demo", help=_("load the made-up city, start a synthetic storm over it, print address and sign-ins"))
    demo_parser.add_argument("--speed", default="20", help=_("storm seconds per second; 20 by default, max for no waiting"))
    demo_parser.add_argument("--no-storm", action="store_true", help=_("load the city and serve it, without a storm"))
    demo_parser.set_defaults(func=demo, services="all")

    replay_parser = sub.add_parser("replay", help=_("replay a documented event and show what Anlan would have proposed, and when"))
    replay_parser.add_argument("event", nargs="?", default="", help=_("zhengzhou-2021 or valencia-2024; without it the events are listed"))
    replay_parser.add_argument("--speed", default="max", help=_("event seconds per second, or max (default)"))
    replay_parser.add_argument("--json", action="store_true", help=_("answer as JSON"))
    replay_parser.add_argument("--keep", action="store_true", help=_("leave the replay's realm open, to look at it in the browser"))
    replay_parser.add_argument("--outcome", metavar="FILE", default="", help=_("write what happened in canonical form to a file, to compare two runs"))
    replay_parser.set_defaults(func=replay, services="workers", beforehand=replayable)

    drill_parser = sub.add_parser("drill", help=_("hold a drill that ships, with scripted players, and print its evaluation; everything in it is synthetic"))
    drill_parser.add_argument("drill", nargs="?", default="hengyang-2026", help=_("hengyang-2026"))
    drill_parser.add_argument("--speed", default="max", help=_("event seconds per second, or max (default)"))
    drill_parser.add_argument("--json", action="store_true", help=_("answer as JSON"))
    drill_parser.set_defaults(func=drill, services="workers")

    test_parser = sub.add_parser("backtest", help=_("score the rules on documented events: hit, miss, false alarm, lead, other thresholds"))
    test_parser.add_argument("event", nargs="+", help=_("names of events, as `anlan replay` lists them"))
    test_parser.add_argument("--horizon-h", type=float, default=6.0, help=_("hours before an incident within which an alarm counts"))
    test_parser.add_argument("--json", action="store_true", help=_("answer as JSON"))
    test_parser.add_argument("--page", metavar="FILE", default="", help=_("write it as a page"))
    test_parser.add_argument("--rules", action="append", default=[], metavar="SET", help=_("judge by a rule set in place of thresholds: a file, or the name of one that comes with Anlan; may be repeated"))
    test_parser.add_argument("--said", metavar="FILE", type=Path, default=None, help=_("score what models handed in: a JSON object a line with model, version, colour, at, valid_to"))
    test_parser.add_argument("--here", dest="services", action="store_const", const="data", default=None, help=_("look rule sets (NAME or NAME@LABEL) and the gauges' thresholds up in this installation"))
    test_parser.set_defaults(func=backtest)

    rehearse_parser = sub.add_parser("rehearse", help=_("run a plan file over a recorded event: which level when, beside what was done, and what was never touched"))
    rehearse_parser.add_argument("plan", type=Path, help=_("plan file (YAML), or the name of a plan that comes with Anlan"))
    rehearse_parser.add_argument("event", help=_("zhengzhou-2021 or valencia-2024"))
    rehearse_parser.add_argument("--place", action="append", default=[], metavar="NAME=WHERE", help=_("where a place of the plan lies in the record: gauge:CODE, region:CODE or site:NAME"))
    rehearse_parser.add_argument("--json", action="store_true", help=_("answer as JSON"))
    rehearse_parser.set_defaults(func=rehearsal, services=None)

    bench_parser = sub.add_parser("bench", help=_("measure this machine: signal to order, readings per second, starts, journal"))
    bench_parser.add_argument("--json", action="store_true", help=_("answer as JSON"))
    bench_parser.add_argument("--write", metavar="FILE", nargs="?", const="docs/benchmarks.md", default="", help=_("write the table to a file (docs/benchmarks.md)"))
    bench_parser.add_argument("--only", default="", help=_("only the figures whose name contains this"))
    # Without --here nothing runs yet; with it the services of this installation are used, or started.
    bench_parser.add_argument(
        "--here", dest="services", action="store_const", const="workers", default=None, help=_("measure this installation instead of a folder of its own")
    )
    bench_parser.set_defaults(func=bench)


def backtest(args: argparse.Namespace) -> int:
    """One answer for each event; nothing is run, only records are read."""
    from datetime import timedelta

    from . import backtest as tests

    sets = [_rule_text(name, args.services is not None) for name in args.rules]
    said = tests.read_said(args.said) if args.said else []
    answers = [
        tests.backtest(event, timedelta(hours=args.horizon_h), sets=sets, gauges=tests.gauges_here(event) if args.services is not None else None, said=said) for event in args.event
    ]
    if args.page:
        Path(args.page).write_text(tests.page(answers), encoding="utf-8")
    if args.json:
        print(json.dumps(answers, ensure_ascii=False, indent=1))
        return 0
    for answer in answers:
        print(f"{answer['event']}: {answer['name']}")
        for limit in answer["limits"]:
            print(f"  {limit}")
        for station in answer["stations"]:
            for rule in station["rules"]:
                leads = ", ".join(str(lead) for lead in rule["leads_min"]) or "—"
                window = f" / {rule['window_h']:g} h" if rule.get("window_h") else ""
                print(_("  {station} {colour} {threshold:g} {unit}{rule}: {hits} hits, {misses} misses, {false} false alarms; lead {leads} min").format(
                    station=station["station"], colour=rule["colour"], threshold=rule["threshold"], unit=station["unit"] + window, hits=rule["hits"], rule=f" ({rule['rule']})" if "rule" in rule else "",
                    misses=rule["misses"], false=rule["false_alarms"], leads=leads,
                ))
    return 0


def _rule_text(name: str, here: bool) -> str:
    """The text of a rule set: a file, NAME or NAME@LABEL of this installation, or one that comes with Anlan. demo.no_rules."""
    from anlan.sensing import rules
    from anlan.sensing.models import RuleSet

    from .errors import NO_RULES

    if Path(name).is_file():
        return Path(name).read_text(encoding="utf-8")
    shipped = dict(rules.default_files())
    if here:
        of, _at, label = name.partition("@")
        row = RuleSet.objects.filter(name=of, **({"label": label} if label else {"in_force": True})).order_by("-created_at").first()
        if row is not None:
            return row.text
        shipped = {str(one): "" for one in RuleSet.objects.order_by("name", "label")}
    elif name in shipped:
        return shipped[name]
    raise NO_RULES(name=name, known=", ".join(shipped))


def _broker(args: argparse.Namespace) -> Any:
    """A connection with the replay credential. The address is read afresh: a broker that came back may have another port."""
    from django.conf import settings

    from .playing import Broker

    def address() -> str:
        try:
            found = json.loads((settings.HOME / "run" / "addresses.json").read_text()).get("nats_replay", "")
        except (OSError, ValueError):
            found = ""
        return found or args.services.addresses.get("nats_replay", "") or settings.NATS_URL

    return Broker(address)


def demo(args: argparse.Namespace) -> int:
    from django.conf import settings
    from django.contrib.auth.hashers import make_password

    from anlan.kernel import clock, realms
    from anlan.kernel.actions import Act, Actor
    from anlan.kernel.ids import derived_id

    from . import actions, dangers, means, roads, sign_ins, storm
    from . import drill as drill_example
    from .playing import Player, speed_of

    speed = speed_of(args.speed)
    act = Act(Actor.machine("demo"), realms.actual())
    kept = sign_ins.read(settings.HOME)
    if not kept:
        actions.check_empty(SEED)
        kept = sign_ins.make(settings.HOME, SEED)
    if actions.load_city(act, seed=SEED):
        print(_("The made-up city is loaded."), flush=True)
    if not actions.have_sign_ins(kept["accounts"]):
        given = [{"name": a["name"], "encoded": make_password(a["password"]), "totp": a["totp"]} for a in kept["accounts"].values()]
        actions.give_sign_ins(Act(Actor.machine("demo"), realms.actual(), op_id=derived_id("demo.sign_ins", json.dumps(given))), accounts=given)
    if not storm.plan_adopted(SEED):
        storm.adopt_plan(storm.grow(SEED))
    _tell(args.services.addresses.get("web", ""), kept)

    def rain() -> None:
        broker = _broker(args)
        try:
            storm.Exercise(storm.grow(SEED), broker, speed).play()
            print(_("The storm has run off. The exercise stays open; anyone on duty can stop it."), flush=True)
        finally:
            broker.close()

    def fill() -> None:
        city, today = storm.grow(SEED), clock.local(clock.now()).date()
        roads.lay(city)
        actions.enter_teams(city, today)
        means.enter(city, today, lambda name: str(actions.key("unit", SEED, name)))
        means.let_speak(city)
        actions.play_dangers(SEED, dangers.of(city, today))
        broker = _broker(args)
        try:  # last, since it takes a minute
            drill_example.hold_once("hengyang-2026", lambda realm: Player(realm, broker))
        finally:
            broker.close()

    leaving = threading.Event()
    # Daemons: Ctrl-C ends the wait below, and with it the process; each goes on next time where it stood.
    for name, work in (("fill", fill), *([] if args.no_storm else [("storm", rain)])):
        threading.Thread(target=_told, args=(work, leaving), name=name, daemon=True).start()
    try:
        args.services.wait()
    finally:
        leaving.set()
    return 0


def _told(work: Callable[[], None], leaving: threading.Event) -> None:
    """Run in a thread: what goes wrong is said, unless the services are being stopped under it, and the connection given back."""
    from django.db import connection

    try:
        work()
    except BaseException as error:
        if not leaving.is_set():
            print(f"{type(error).__name__}: {error}", flush=True)
    finally:
        connection.close()


def _tell(address: str, kept: dict[str, Any]) -> None:
    import pyotp

    from .report import pad
    from .town_hall import PRINTED

    roles = {
        "duty": _("duty officer (city)"), "commander": _("commander (city)"), "water": _("water bureau (city)"), "township": _("township"),
        "admin": _("system administrator"),
    }
    print("\n" + _("A made-up city, made-up people and a synthetic storm: nothing here is real."))
    print(_("Open {address} and sign in as one of:").format(address=address) + "\n")
    print(f"  {pad(_('role'), 26)}{pad(_('name'), 14)}{pad(_('password'), 24)}{_('code now')}")
    for role in PRINTED:
        account = kept["accounts"][role]
        print(f"  {pad(roles[role], 26)}{pad(account['name'], 14)}{pad(account['password'], 24)}{pyotp.TOTP(account['totp']).now()}")
    print("\n" + _("Codes change every 30 seconds; `anlan account code NAME` shows the present one. Ctrl-C stops everything."), flush=True)


def rehearsal(args: argparse.Namespace) -> int:
    """Exit status 0 when the plan is sound and the event is known."""
    from anlan.kernel.errors import Problem
    from anlan.plans.commands import load_file

    from . import records
    from .rehearse import rehearse

    plan = load_file(args.plan)
    if plan is None:
        return 1
    try:
        record = records.load(args.event)
    except Problem as error:
        print(error, file=sys.stderr)
        return 1
    told = rehearse(plan, record, dict(pair.split("=", 1) for pair in args.place if "=" in pair) or None)
    if args.json:
        print(json.dumps(told, ensure_ascii=False))
        return 0
    for step in told["steps"]:
        print(f"{step['at']}  {step['level'] or '–'} {' '.join(step['measures'])}  {', '.join(step['by'])}")
    language = "zh" if (get_language() or "").startswith("zh") else "en"
    for row in told["decisions"]:
        words = _("{decision}: plan {plan}, done {done}") if row["hours_earlier"] is None else _("{decision}: plan {plan}, done {done}, {hours} h earlier")
        print(words.format(decision=row["decision"][language], plan=row["plan_says_at"] or "–", done=row["done_at"] or "–", hours=row["hours_earlier"]))
    cover = told["coverage"]
    print(_("{met} of {machine} conditions were met; never judged: {unjudged}; actions never reached: {actions}; places without a record: {places}").format(
        met=cover["met"], machine=cover["by_machine"], unjudged=len(cover["never_judged"]), actions=len(cover["actions_never_reached"]), places=", ".join(told["unmapped"]) or "–"))
    return 0


def replayable(args: argparse.Namespace) -> None:
    from . import records
    from .errors import NO_EVENT
    from .playing import speed_of

    if not args.event:
        raise NO_EVENT(event="—", known=", ".join(records.known()))
    speed_of(args.speed)
    records.load(args.event)


def replay(args: argparse.Namespace) -> int:
    from anlan.kernel import realms
    from anlan.kernel.actions import Act, Actor

    from . import report
    from .playing import speed_of, steady
    from .replay import run

    speed = speed_of(args.speed)

    def begun() -> None:
        print(_("Replaying {event} …").format(event=args.event), file=sys.stderr, flush=True)

    broker = _broker(args)
    try:
        # At a watchable speed the rows are told as they come; else the table at the end says it all.
        record, realm = run(args.event, broker, speed, say=(lambda text: print(text, flush=True)) if speed and not args.json else (lambda text: None), begun=begun)
    finally:
        broker.close()
    account = steady(lambda: report.Account(record, realm))
    if args.outcome:
        from . import outcome

        Path(args.outcome).write_text(json.dumps(steady(lambda: outcome.as_data(realm)), ensure_ascii=False, indent=1), encoding="utf-8")
    print(json.dumps(account.as_data(), ensure_ascii=False, indent=1) if args.json else report.as_text(account), flush=True)
    if not args.keep:
        realms.stop(Act(Actor.machine("replay"), realms.actual()), realm=realm.pk, reason="replay finished")
    return 0


def drill(args: argparse.Namespace) -> int:
    """Exit status 0 when the drill was held and evaluated."""
    from anlan.command.words import STEPS

    from .drill import Exercise
    from .playing import Player, speed_of

    speed, broker = speed_of(args.speed), _broker(args)
    try:
        report = Exercise(args.drill, lambda realm: Player(realm, broker, speed), say=(lambda text: None) if args.json else (lambda text: print(text, flush=True))).run()
    finally:
        broker.close()
    body = report.body
    if args.json:
        print(json.dumps({"drill": report.drill.number, **body}, ensure_ascii=False, indent=1))
        return 0
    print(_("{number} {title}: {total} of 100; measured {on} of {of} in time, {findings} findings").format(
        number=report.drill.number, title=report.drill.title, total=body["total"], on=body["on_time"], of=body["judged"], findings=body["findings"]))
    for row in body["levels"]:
        print(_("Level {level}: {min} min after the beginning (wanted within {by})").format(level=row["level"], min="–" if row["min"] is None else row["min"], by=row["by_min"]))
    for row in body["steps"]:
        if row["late"]:
            print(_("Late: {step}, {what}: {min} min, limit {limit}").format(step=STEPS.get(row["step"], row["step"]), what=row["what"][:60], min="–" if row["minutes"] is None else row["minutes"], limit=row["limit"]))
    touched = body["touched"]
    if touched:
        print(_("{never} of {of} conditions were never met, {actions} actions never ordered").format(
            never=len(touched["conditions_never"]), of=len(touched["conditions_met"]) + len(touched["conditions_never"]), actions=len(touched["actions_never"])))
    return 0


def bench(args: argparse.Namespace) -> int:
    from . import bench as figures

    if args.services is None:
        return figures.in_own_folder(sys.argv[2:])
    broker = _broker(args)
    try:
        parts = figures.collect(broker, args.only)
    finally:
        broker.close()
    rows = [row for part in parts.values() for row in part]
    print(json.dumps(rows, ensure_ascii=False, indent=1) if args.json else figures.as_table(rows), flush=True)
    if args.write:
        figures.write(args.write, parts)
        print(_("Written to {file}").format(file=args.write), flush=True)
    return 0
