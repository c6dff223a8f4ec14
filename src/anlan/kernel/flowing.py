"""What makes the flow run: the sealer, the followers, the jobs and the ticker; one loop for `anlan work`, one for tests.

A follower reads sealed facts by number and commits its position with its effects. A job reaction is deferred, by a
follower of its own, in the transaction that moves that position. What fails N times is parked: it waits for a person
and blocks only its own subject. Killing the process at any point loses nothing and does nothing twice.
"""
from __future__ import annotations

import logging
import select as _select
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from . import access, clock, due, journal, work
from .actions import Act, Actor, action
from .errors import REASON_NEEDED, Kind
from .facts import ParkedDecided, ReactionParked
from .ids import derived_id
from .journal import FactView
from .models import Due, Grant, Parked, Position, Post, ReactionDone, Realm, Seal

log = logging.getLogger("anlan.flow")
ADMINISTER = "kernel.administer_system"
STILL_FAILING = Kind("kernel.still_failing", 409, _("It still fails: {why}. Mend the cause first, or give it up with a reason."))
TRIES = 4
BATCH = 500
Stop = threading.Event


def _table() -> Any:
    from anlan import flow

    return flow


def _handler(path: str) -> Callable:
    return import_string(path)


# --- followers -------------------------------------------------------------------------------------------------------


def _blocked(reaction: str, facts: list[FactView]) -> set[tuple[UUID, str]]:
    keys = {(fact.realm_id, fact.subject) for fact in facts}
    rows = Parked.objects.filter(reaction=reaction, released=False, subject__in={subject for _realm, subject in keys})
    return {(row.realm_id, row.subject) for row in rows}


BEHIND = "an earlier fact about the same subject is parked"
WAITS = "flow.parked"


@action("flow.park")
def park(act: Act, *, reaction: str, fact: UUID | None, subject: str, error: str, timer: dict | None = None) -> None:
    """Put what a reaction cannot digest on a person's desk. What queues up behind it waits with it, and opens no item of its own."""
    defaults = {"realm": act.realm, "subject": subject, "error": error[-4000:], "tries": TRIES, "timer": timer}
    if fact is None:
        row, made = Parked.objects.create(reaction=reaction, **defaults), True
    else:
        row, made = Parked.objects.get_or_create(reaction=reaction, fact_id=fact, defaults=defaults)
    if not made:
        if not row.released:
            return
        # It was let go and has failed anew: it waits again.
        row.released, row.outcome, row.error = False, "", error[-4000:]
        row.save(update_fields=["released", "outcome", "error"])
    stated = act.state(ReactionParked(reaction=reaction, fact=fact, error=error[-400:]), subject=f"fact:{fact}" if fact else subject, cause=fact)
    if error != BEHIND and (post := _administrator()) is not None:
        work.open(
            act, post=post, kind=WAITS, subject=f"parked:{row.pk}", region=post.region_id, cause=stated,
            msgid=gettext_noop("“{reaction}” failed {n} times and waits for a decision"), params={"reaction": reaction, "n": TRIES},
        )


def _administrator() -> Post | None:
    """The post that looks after the system: by its kind, else whichever may administer it."""
    posts = Post.objects.filter(active=True).order_by("created_at", "pk")
    may = Grant.objects.filter(capability=ADMINISTER, starts_at__lte=clock.now()).exclude(ends_at__lte=clock.now()).values("post_id")
    return posts.filter(kind="system_administrator").first() or posts.filter(pk__in=may).first()


def _park(reaction: str, fact: FactView, error: str) -> None:
    if fact.realm.is_over:
        return
    decided = Parked.objects.filter(reaction=reaction, fact_id=fact.id).values_list("decided_at", flat=True).first()
    act = Act(Actor.machine("flow"), fact.realm, op_id=derived_id("park", reaction, fact.id, decided or ""))
    park(act, reaction=reaction, fact=fact.id, subject=fact.subject, error=error)


def parked(realm_id: Any = None) -> Any:
    """What waits for a decision, oldest first; without what merely queues behind it."""
    rows = Parked.objects.filter(released=False).exclude(error=BEHIND).select_related("realm").order_by("parked_at")
    return rows if realm_id is None else rows.filter(realm_id=realm_id)


def _queue(row: Parked) -> list[Parked]:
    """Everything undecided about the same subject in the same reaction, in the order of the journal."""
    rows = Parked.objects.select_for_update().filter(reaction=row.reaction, realm_id=row.realm_id, subject=row.subject, released=False)
    numbers = dict(Seal.objects.filter(fact__in=[one.fact_id for one in rows if one.fact_id]).values_list("fact_id", "number"))
    return sorted(rows, key=lambda one: (numbers.get(one.fact_id, 0), one.pk))


@action("flow.retry")
def retry(act: Act, *, parked: int) -> None:
    """Let a parked reaction run again, and in order what piled up behind it. kernel.still_failing when it fails again."""
    access.require(act, ADMINISTER)
    row = Parked.objects.select_for_update().get(pk=parked)
    if not row.released:
        _decide(act, row, Parked.RETRIED, "")
        _run(_queue(row) if row.timer is None else [], first=row)


@action("flow.give_up")
def give_up(act: Act, *, parked: int, reason: str) -> None:
    """Do without this reaction to this fact, or without this timer; what piled up behind it runs now. Needs a reason."""
    access.require(act, ADMINISTER)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row = Parked.objects.select_for_update().get(pk=parked)
    if not row.released:
        _decide(act, row, Parked.GIVEN_UP, reason.strip())
        _run(_queue(row) if row.timer is None else [])


def _decide(act: Act, row: Parked, outcome: str, reason: str) -> None:
    row.released, row.outcome, row.reason, row.decided_by, row.decided_at = True, outcome, reason[:300], act.actor.person_id, act.now
    row.save()
    act.state(
        ParkedDecided(reaction=row.reaction, fact=row.fact_id, outcome=outcome, reason=reason), subject=f"fact:{row.fact_id}" if row.fact_id else row.subject
    )
    work.close(act, kind=WAITS, subject=f"parked:{row.pk}", outcome=outcome)


def _run(queue: list[Parked], first: Parked | None = None) -> None:
    """Run what was let go: a follower's facts here, in order; a job's by the workers; a timer by the ticker."""
    if first is not None and first.timer is not None:
        told = first.timer
        Due.objects.update_or_create(
            realm_id=first.realm_id, timer=first.reaction, subject=first.subject,
            defaults={"due_at": told["due_at"], "params": told["params"], "cause": told["cause"], "tries": 0},
        )
        return
    rows = ([first] if first is not None else []) + queue
    followers = {follower.name: follower for follower in _table().followers()}
    for row in rows:
        fact = journal.get(row.fact_id)
        assert fact is not None
        if row.reaction in followers:
            try:
                with transaction.atomic():
                    _handler(followers[row.reaction].handler)([fact])
            except Exception as error:
                if row is first:
                    raise STILL_FAILING(why=f"{type(error).__name__}: {error}"[:300]) from error
                # The next in the queue fails by itself: it is now the one that waits for a decision.
                Parked.objects.filter(pk=row.pk).update(error=traceback.format_exc()[-4000:])
                return
        else:
            _defer(row.reaction, fact)
        Parked.objects.filter(pk=row.pk).update(released=True, outcome=Parked.RETRIED)


def _defer(reaction: str, fact: FactView) -> None:
    from .tasks import react

    ReactionDone.objects.filter(reaction=reaction, fact_id=fact.id).update(done=False, tries=0)
    react.configure(lock=f"{reaction}:{fact.realm_id}:{fact.subject}").defer(reaction=reaction, fact=str(fact.id))


def step_follower(follower: Any, limit: int = BATCH) -> int:
    """One batch of one follower; returns how many seal numbers it moved on. Safe to run from several processes."""
    kinds = follower.facts or None
    with transaction.atomic():
        position = Position.objects.select_for_update(skip_locked=True).filter(follower=follower.name).first()
        if position is None:
            if Position.objects.filter(follower=follower.name).exists():
                return 0  # another process has it
            Position.objects.get_or_create(follower=follower.name)
            return step_follower(follower, limit)
        head = journal.head_number()
        if head <= position.number:
            return 0
        facts = journal.sealed_after(position.number, kinds, limit)
        facts = [fact for fact in facts if fact.number <= head]
        target = facts[-1].number if len(facts) == limit else head
        if facts:
            blocked = _blocked(follower.name, facts)
            free = [fact for fact in facts if (fact.realm_id, fact.subject) not in blocked]
            held = [fact for fact in facts if (fact.realm_id, fact.subject) in blocked]
            for fact in held:
                _park(follower.name, fact, BEHIND)
            if free:
                _feed(follower, free)
        moved = target - position.number
        position.number = target
        position.save(update_fields=["number"])
        return moved


def step_followers(followers: list[Any]) -> int:
    """`step_follower` for each that has something to read. The others move on in one statement: most facts concern few of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT follower, number FROM kernel_position")
        at = dict(cursor.fetchall())
        head, low = journal.head_number(), min((at.get(follower.name, 0) for follower in followers), default=0)
        if head <= low:
            return 0
        idle: list[str] = []
        if head - low <= 10 * BATCH:
            cursor.execute("SELECT kind, max(number) FROM kernel_seal WHERE number > %s AND number <= %s GROUP BY kind", [low, head])
            newest = dict(cursor.fetchall())
            idle = [
                follower.name for follower in followers
                if follower.facts and follower.name in at and all(newest.get(kind, 0) <= at[follower.name] for kind in follower.facts)
            ]
            cursor.execute(
                "UPDATE kernel_position SET number = %s WHERE follower IN "
                "(SELECT follower FROM kernel_position WHERE follower = ANY(%s) AND number < %s FOR UPDATE SKIP LOCKED)", [head, idle, head],
            )
    return sum(step_follower(follower) for follower in followers if follower.name not in idle)


def _feed(follower: Any, facts: list[FactView]) -> None:
    handler = _handler(follower.handler)
    try:
        with transaction.atomic():
            handler(facts)
        return
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("follower %s failed on a batch of %s; one by one now", follower.name, len(facts))
    stuck: set[tuple[UUID, str]] = set()
    for fact in facts:
        if (fact.realm_id, fact.subject) in stuck:
            _park(follower.name, fact, BEHIND)
            continue
        for attempt in range(TRIES):
            try:
                with transaction.atomic():
                    handler([fact])
                break
            except (OperationalError, InterfaceError):
                raise
            except Exception:
                error = traceback.format_exc()
                if attempt == TRIES - 1:
                    log.error("follower %s parks %s %s\n%s", follower.name, fact.kind, fact.subject, error)
                    stuck.add((fact.realm_id, fact.subject))
                    _park(follower.name, fact, error)


# --- jobs ------------------------------------------------------------------------------------------------------------


def defer_jobs(facts: list[FactView]) -> None:
    """The follower behind all job reactions: defers each once, in order per subject."""
    from .tasks import react

    for fact in facts:
        for job in _table().JOBS:
            if fact.kind in job.facts:
                _row, made = ReactionDone.objects.get_or_create(reaction=job.name, fact_id=fact.id, defaults={"realm_id": fact.realm_id})
                if made:
                    react.configure(lock=f"{job.name}:{fact.realm_id}:{fact.subject}").defer(reaction=job.name, fact=str(fact.id))


def run_job(reaction: str, fact_id: UUID) -> None:
    """Run a job reaction unless it has already finished. The handler must be idempotent: a crash runs it again."""
    row = ReactionDone.objects.filter(reaction=reaction, fact_id=fact_id).first()
    fact = journal.get(fact_id)
    if row is None or row.done or fact is None:
        return
    if fact.realm.is_over:
        ReactionDone.objects.filter(pk=row.pk).update(done=True)
        return
    job = next(job for job in _table().JOBS if job.name == reaction)
    earlier = Parked.objects.filter(reaction=reaction, realm_id=fact.realm_id, subject=fact.subject, released=False).exclude(fact_id=fact_id)
    try:
        if earlier.exists():
            _park(reaction, fact, BEHIND)
        else:
            _handler(job.handler)(fact)
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        row.tries += 1
        row.save(update_fields=["tries"])
        if row.tries < TRIES:
            raise
        error = traceback.format_exc()
        log.error("job %s parks %s %s\n%s", reaction, fact.kind, fact.subject, error)
        _park(reaction, fact, error)
    ReactionDone.objects.filter(pk=row.pk).update(done=True)


# --- the ticker ------------------------------------------------------------------------------------------------------


def sweep(limit: int = 200) -> int:
    """Run what is due on every realm's clock; returns how many. Each in a transaction with the removal of its row."""
    ran = 0
    for realm in Realm.objects.filter(ended_at=None, pk__in=Due.objects.values("realm_id")):
        now = realm.time()
        for key in Due.objects.filter(realm=realm, due_at__lte=now).order_by("due_at", "id").values_list("id", flat=True)[:limit]:
            ran += _fire(key)
    return ran


class _Overtaken(Exception):
    """The timer was cancelled or put off while its handler ran: what the handler did is undone."""


def _fire(key: UUID) -> int:
    """Fire one due row. A failure is tried again at the next sweep and, after N tries, parked: a person decides."""
    try:
        with transaction.atomic():
            # No row lock: a person's step locks its subject and then its timers; with ours locked first the two would wait for each
            # other, and a lock on the realm's row would hold up everybody who writes in it.
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"due {key}"])
                if not cursor.fetchone()[0]:
                    return 0  # another process has it
            row = Due.objects.select_related("realm").filter(pk=key).first()
            if row is None or row.due_at > row.realm.time():
                return 0
            timer = next((timer for timer in _table().TIMERS if timer.name == row.timer), None)
            if timer is None:
                log.error("no timer %s in flow.py; %s dropped", row.timer, row.subject)
                row.delete()
                return 1
            act = Act(
                Actor.machine(row.timer.partition(".")[0]), row.realm,
                op_id=derived_id("due", row.pk, row.due_at.isoformat()), cause=row.cause,
            )
            with due.watched() as touched:
                _handler(timer.handler)(act, row.subject, row.params)
            # Armed anew or cancelled by the handler itself, it is done with; by somebody else meanwhile, it never fired.
            if (row.timer, row.subject) not in touched and not Due.objects.filter(pk=row.pk, due_at=row.due_at).delete()[0]:
                raise _Overtaken
            return 1
    except _Overtaken:
        return 0
    except (OperationalError, InterfaceError):
        raise
    except Exception:
        log.exception("timer %s failed", key)
        error = traceback.format_exc()
        with transaction.atomic():
            row = Due.objects.select_for_update(of=("self",)).select_related("realm").filter(pk=key).first()
            if row is not None:
                row.tries += 1
                if row.tries < TRIES:
                    row.save(update_fields=["tries"])
                else:
                    log.error("timer %s for %s parked after %s tries", row.timer, row.subject, row.tries)
                    told = {"due_at": row.due_at.isoformat(), "params": row.params, "cause": str(row.cause) if row.cause else None}
                    act = Act(Actor.machine("flow"), row.realm, op_id=derived_id("park", row.timer, row.pk, row.due_at.isoformat()))
                    row.delete()
                    park(act, reaction=row.timer, fact=None, subject=row.subject, error=error, timer=told)
        return 1


# --- is it quiet? ----------------------------------------------------------------------------------------------------


def quiet(realm: Realm) -> bool:
    """Whether nothing is under way in a realm: all facts sealed and followed, all jobs done, nothing due."""
    flow = _table()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT 1 FROM kernel_unsealed u JOIN kernel_fact f ON f.id = u.fact_id WHERE f.realm_id = %(r)s) "
            "AND NOT EXISTS (SELECT 1 FROM kernel_reactiondone WHERE realm_id = %(r)s AND NOT done) "
            "AND NOT EXISTS (SELECT 1 FROM kernel_due WHERE realm_id = %(r)s AND due_at <= %(now)s)",
            {"r": realm.pk, "now": clock.now(realm)},
        )
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT coalesce(max(number), 0) FROM kernel_seal WHERE realm_id = %s", [realm.pk])
        head = cursor.fetchone()[0]
    positions = dict(Position.objects.values_list("follower", "number"))
    return all(positions.get(follower.name, 0) >= head for follower in flow.followers())


def drain(rounds: int = 200) -> None:
    """Run everything in this process until quiet: for tests and commands without workers."""
    flow = _table()
    for _round in range(rounds):
        busy = journal.seal()
        for follower in flow.followers():
            busy += step_follower(follower)
        for reaction, fact_id in list(ReactionDone.objects.filter(done=False).values_list("reaction", "fact_id")):
            try:
                run_job(reaction, fact_id)
            except Exception:
                log.exception("job %s", reaction)
            busy += 1
        busy += sweep()
        if not busy:
            return
    raise RuntimeError("the flow did not become quiet")


# --- the worker process ----------------------------------------------------------------------------------------------


def _listen(channels: list[str], stop: Stop, wake: threading.Event) -> None:
    """Set `wake` on every NOTIFY of the channels; reconnect for ever."""
    import psycopg

    while not stop.is_set():
        try:
            params = connection.get_connection_params()
            with psycopg.connect(**{k: v for k, v in params.items() if k not in ("cursor_factory", "context", "prepare_threshold")}, autocommit=True) as own:
                for channel in channels:
                    own.execute(f"LISTEN {channel}")
                wake.set()
                while not stop.is_set():
                    ready, _w, _x = _select.select([own.fileno()], [], [], 0.5)
                    if ready and list(own.notifies(timeout=0)):  # type: ignore[arg-type]
                        wake.set()
        except Exception as error:
            log.warning("listening to the database: %s; again in 0.5 s", error)
            stop.wait(0.5)


def _loop(name: str, stop: Stop, wake: threading.Event | None, pause: float, body: Callable[[], int], gap: float = 0.0) -> None:
    while not stop.is_set():
        started = time.monotonic()
        try:
            moved = body()
        except Exception as error:
            if not isinstance(error, (OperationalError, InterfaceError)):
                log.exception("%s", name)
            else:
                log.warning("%s: %s; again in 0.5 s", name, error)
            connection.close()
            stop.wait(0.5)
            continue
        if moved:
            if gap:
                stop.wait(max(0.0, gap - (time.monotonic() - started)))
            continue
        if wake is not None:
            wake.wait(pause)
            wake.clear()
        else:
            stop.wait(pause)
        close_old_connections()
    connection.close()


def _begin_days() -> None:
    from . import daily

    try:
        daily.ensure()
    except (OperationalError, InterfaceError) as error:  # the database is on its way; the next start arms it
        log.warning("the daily timer is not armed: %s", error)


def run_worker(stop: Stop, beat: Callable[[], None] | None = None) -> None:
    """`anlan work`: sealer, followers, ticker and job worker until `stop` is set. Several such processes may run."""
    from .tasks import run_jobs

    facts, sealed, advance = threading.Event(), threading.Event(), threading.Event()
    _begin_days()
    followers = list(_table().followers())

    def follow() -> int:
        return step_followers(followers)

    threads = [
        threading.Thread(target=_listen, args=(["fact"], stop, facts), name="listen-fact", daemon=True),
        threading.Thread(target=_listen, args=(["sealed"], stop, sealed), name="listen-sealed", daemon=True),
        threading.Thread(target=_listen, args=(["advance"], stop, advance), name="listen-advance", daemon=True),
        threading.Thread(target=_loop, args=("sealer", stop, facts, 1.0, journal.seal, settings.SEAL_INTERVAL_S), name="sealer", daemon=True),
        threading.Thread(target=_loop, args=("followers", stop, sealed, 1.0, follow), name="followers", daemon=True),
        threading.Thread(target=_loop, args=("ticker", stop, advance, 0.25, sweep), name="ticker", daemon=True),
        threading.Thread(target=run_jobs, args=(stop,), name="jobs", daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(1.0):
        if beat:
            beat()
    for event in (facts, sealed, advance):
        event.set()
    for thread in threads:
        thread.join(timeout=5)
