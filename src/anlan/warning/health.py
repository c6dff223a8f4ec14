"""Whether the channels live: their reports are fetched, their heartbeats watched; one that is silent too long is somebody's work."""
from __future__ import annotations

import logging
from datetime import timedelta
from uuid import UUID

from django.utils.translation import gettext_noop

from anlan.kernel import clock, parties, realms, work
from anlan.kernel.actions import Act, Actor, action
from anlan.kernel.errors import Problem

from . import delivery, devices, ports
from .facts import ChannelHeard, ChannelSilent
from .models import Channel
from .passing import keepers_post
from .ports import Adapter

log = logging.getLogger("anlan.warning")


def listen() -> dict[str, int]:
    """Fetch reports of every channel that is switched on and keeps them for us; {known, unknown} over all."""
    counts = {"known": 0, "unknown": 0}
    for channel in Channel.objects.filter(enabled=True, ended_at=None):
        adapter = ports.adapters().get(channel.adapter)
        if adapter is not None:
            _knock(channel, adapter)
        if adapter is None or type(adapter).collect is Adapter.collect:
            continue
        try:
            found = devices.take_reports(channel, adapter.collect(channel))
        except Exception as error:  # the other side is down: its silence is what tells, and the others are still heard
            log.warning("channel %s: %s", channel.name, error)
            Channel.objects.filter(pk=channel.pk).update(last_error=f"{type(error).__name__}: {error}"[:500], last_error_at=clock.now())
            continue
        counts = {key: counts[key] + found[key] for key in counts}
    return counts


def _knock(channel: Channel, adapter: Adapter) -> None:
    """Where a channel has to report and did not lately, ask whether its other side answers at all. Nothing is asked while nothing may leave."""
    now = clock.now()
    if not channel.heartbeat_minutes or (channel.heard_at and now - channel.heard_at < timedelta(minutes=channel.heartbeat_minutes) / 2):
        return
    try:
        delivery.held_back(channel)
    except Problem:
        return
    try:
        found = adapter.alive(channel)
    except Exception as error:  # whatever the other side does, the next channel is asked too
        found = ports.Outcome(False, f"{type(error).__name__}: {error}"[:300])
    if found is not None:
        Channel.objects.filter(pk=channel.pk).update(**({"heard_at": now} if found.ok else {"last_error": found.error[:500], "last_error_at": now}))


def watch() -> int:
    """Note channels that fell silent or were heard again since the last look; how many changed."""
    now, changed = clock.now(), 0
    for channel in Channel.objects.filter(enabled=True, ended_at=None, heartbeat_minutes__isnull=False):
        # One that was never heard is measured from when it was last tried or set up: it has to show once that it lives.
        since = channel.heard_at or channel.last_ok_at or channel.created_at
        silent = now - since > timedelta(minutes=channel.heartbeat_minutes)
        if silent != (channel.silent_since is not None):
            note(Act(Actor.machine("warning"), realms.actual()), channel=channel.pk, silent=silent)
            changed += 1
    return changed


@action("warning.note_channel_health")
def note(act: Act, *, channel: UUID, silent: bool) -> None:
    """State once that a channel fell silent, with work for whoever minds it; or that it reports again."""
    row = act.lock(Channel, channel, check_version=False)
    if silent == (row.silent_since is not None):
        return
    row.silent_since = act.now if silent else None
    row.save(update_fields=["silent_since"])
    if not silent:
        act.state(ChannelHeard(channel=row.pk, name=row.name), about=row)
        work.close(act, kind="warning.channel_silent", subject=f"channel:{row.pk}", outcome="overtaken")
        return
    cause = act.state(ChannelSilent(channel=row.pk, name=row.name, heard_at=row.heard_at.isoformat() if row.heard_at else ""), about=row)
    post = keepers_post(row, act.now) or parties.duty_post(row.region_id)
    if post is not None:
        work.open(
            act, post=post, kind="warning.channel_silent", subject=f"channel:{row.pk}", region=row.region_id,
            msgid=gettext_noop("The channel {channel} has given no sign of life for {minutes} minutes: have it looked at; warnings pass to the next channel meanwhile."),
            params={"channel": row.name, "minutes": row.heartbeat_minutes}, due_at=act.now + timedelta(hours=1), on_silence="", cause=cause,
        )
