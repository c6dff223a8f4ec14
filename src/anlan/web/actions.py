"""The desk's own acts: presence, the test of the sound, and what happens when nobody looks."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_noop

from anlan.kernel import clock, due, realms, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.models import Assignment, Person, Post, RosterEntry

from .facts import DeskLive, NoDeskLive, SoundTested
from .models import DeskPresence, DeskWatch

LIVE_S = 90  # a desk says it is there every 20 s; three missed and it counts as gone
CHECK_S = 30
DESK = "duty_officer"  # kind of the post that keeps a desk
SUBJECT = "desk:actual"


def here(actor: Actor, sound: str, visible: bool) -> DeskPresence:
    """The page says it is looked at. Bulk data: not journaled. Sees to it that the watch over the desks runs."""
    now = clock.now()
    row, _made = DeskPresence.objects.update_or_create(
        account=actor.account_id,
        defaults={
            "person": actor.person_id, "post_id": actor.post_id, "seen_at": now, "visible": visible, "device": actor.device,
            "sound": sound if sound in ("on", "mute") else "unknown",
        },
    )
    watch, made = DeskWatch.objects.get_or_create(pk=1)
    if watch.checked_at is None or (now - watch.checked_at).total_seconds() > 3 * CHECK_S:
        arm(Act(Actor.machine("web"), realms.actual()))
    return row


@action("web.arm")
def arm(act: Act) -> None:
    """Start, or start anew, the timer that looks whether a desk is live."""
    due.at(act, act.now + timedelta(seconds=CHECK_S), "web.desk_check", subject=SUBJECT)


def newest(at: datetime) -> DeskPresence | None:
    """The desk that was looked at last."""
    return DeskPresence.objects.filter(seen_at__lte=at, post__kind=DESK).order_by("-seen_at").first()


def _next_person(now: datetime) -> tuple[Post | None, Any]:
    """Whom to call: of the duty officers' posts the highest region's, A before B; from the roster when it names somebody."""
    posts = Post.objects.filter(kind=DESK, active=True).select_related("region", "organisation")
    ranked = sorted(posts, key=lambda post: (RANK.get(post.region.kind if post.region else "", 9), post.name, str(post.pk)))
    for post in ranked:
        on_duty = roster(post, now)
        if on_duty is not None:
            return post, on_duty
        held = Assignment.objects.filter(post=post, starts_at__lte=now).exclude(ends_at__lte=now).select_related("person").order_by("role", "starts_at").first()
        if held:
            return post, held.person
    return (ranked[0] if ranked else None), None


RANK = {"province": 0, "city": 1, "county": 2, "town": 3}


def roster(post: Post, at: datetime) -> Person | None:
    """Who the duty roster of actual operations names at a post now, A before B before the leader; None when it names nobody."""
    rows = RosterEntry.objects.of(realms.actual()).filter(post=post, starts_at__lte=at, ends_at__gt=at).select_related("person").order_by("role")
    found = rows.first()
    return found.person if found else None


@action("web.check_desks")
def check_desks(act: Act) -> None:
    """Timer: is a desk live? When none is, say so once, let it wait for the next person, and call by another channel."""
    watch, _made = DeskWatch.objects.select_for_update().get_or_create(pk=1)
    last = newest(act.now)
    silent = (act.now - last.seen_at).total_seconds() if last else None
    watch.checked_at = act.now
    if silent is None or silent <= LIVE_S:
        if watch.dark_since is not None and last is not None:
            work.close(act, kind="web.no_desk", subject=SUBJECT, outcome="desk is live")
            act.state(DeskLive(post=last.post_id, dark_s=int((act.now - watch.dark_since).total_seconds())), subject=SUBJECT, region=last.post.region_id if last.post else None)
            watch.dark_since = None
    elif watch.dark_since is None:
        watch.dark_since = act.now
        post, person = _next_person(act.now)
        stated = act.state(
            NoDeskLive(post=post.pk if post else None, person=person.pk if person else None, silent_s=int(silent)), subject=SUBJECT,
            region=post.region_id if post else None,
        )
        if post is not None:
            work.open(
                act, post=post, kind="web.no_desk", subject=SUBJECT, region=post.region_id, cause=stated, due_at=act.now + timedelta(minutes=5),
                msgid=gettext_noop("No duty desk is live. Open the desk and test its sound."), params={},
            )
    watch.save()
    due.at(act, act.now + timedelta(seconds=CHECK_S), "web.desk_check", subject=SUBJECT)


@action("web.test_sound")
def test_sound(act: Act) -> None:
    """The person at the desk pressed the test and heard the tone start."""
    act.state(SoundTested(device=act.actor.device), subject=f"person:{act.actor.person_id}", region=None)


def stop_drill(act: Act, realm: Any, reason: str) -> Any:
    """Stop a drill in one step, from wherever the person stands; the act is of actual operations."""
    act.realm = realms.actual()
    act.expected_version = None
    return realms.stop(act, realm=realm, reason=reason)


