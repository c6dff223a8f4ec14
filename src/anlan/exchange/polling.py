"""Fetching feeds: conditional requests, links followed once, every poll a row with cause and remedy."""
from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from anlan.kernel import clock, outbound, realms
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id

from . import actions
from .models import FeedEntry, FeedLog, FeedSource

log = logging.getLogger("anlan.exchange")

LINKS_A_POLL = 50  # the rest comes with the next poll; a feed of thousands must not hold a worker for an hour
ENTRIES_KEPT = timedelta(days=14)
LONGEST_WAIT = timedelta(hours=1)
ACCEPT = "application/cap+xml, application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9"


def take(source: FeedSource, raw: bytes, heard_by: str) -> dict[str, Any]:
    """One document of a link into actual operations: the realm comes from the link, never from the payload."""
    act = Act(Actor.machine("exchange"), realms.actual(), op_id=new_id())
    return actions.take_in(act, raw=raw, digest=hashlib.sha256(raw).hexdigest(), source=source.name, heard_by=heard_by, link=source.pk)


def poll(source: FeedSource) -> FeedLog:
    """Fetch a link once and write its log row. Never raises for what the other side does."""
    now = clock.now()
    row = FeedLog(source=source, at=now, ok=False)
    try:
        _fetch(source, row)
        row.ok = True
    except Problem as problem:
        row.cause = problem.message[:2000]
        row.code = "refused" if problem.kind is outbound.REFUSED else row.code or "unreachable"
    if row.ok and row.refused and not row.code:
        row.code = "messages"
    if row.code in ("feed", "not_cap", "not_xml", "doctype", "too_large", "too_deep", "too_many", "encoding"):
        row.ok = False
    row.save()
    _note(source, row)
    _spoke(source, row)
    return row


def _fetch(source: FeedSource, row: FeedLog) -> None:
    headers = {"Accept": ACCEPT}
    if source.etag:
        headers["If-None-Match"] = source.etag
    if source.last_modified:
        headers["If-Modified-Since"] = source.last_modified
    answer = outbound.get(source.url, headers=headers, hosts=source.hosts)
    row.status = answer.status
    if answer.status == 304:
        row.unchanged = True
        return
    if answer.status != 200:
        _asked_to_wait(source, row, answer.headers.get("retry-after", ""))
        row.code = f"http_{answer.status}" if answer.status in (401, 403, 404) else "http"
        row.code = {"http_403": "http_401"}.get(row.code, row.code)
        raise outbound.FAILED(host=source.url, reason=f"HTTP {answer.status}")
    taken = take(source, answer.content, "feed")
    _count(row, taken)
    complete = _follow(source, answer.url, answer.content, row) if taken["links"] else True
    if complete:
        # Kept only when everything behind it was fetched: an unfinished index is asked for again in full.
        source.etag, source.last_modified = answer.headers.get("etag", "")[:200], answer.headers.get("last-modified", "")[:80]


def _asked_to_wait(source: FeedSource, row: FeedLog, word: str) -> None:
    """Retry-After, in seconds or as a date: the other side says when to come again, and we do, within a day."""
    try:
        wait = int(word) if word.isdigit() else (parsedate_to_datetime(word) - row.at).total_seconds() if word else 0
    except (TypeError, ValueError):
        return
    source.not_before = row.at + timedelta(seconds=max(0, min(wait, 86400)))


def _follow(source: FeedSource, base: str, raw: bytes, row: FeedLog) -> bool:
    """Fetch the alerts an index points to, each entry once; returns whether all were fetched."""
    from anlan.engines import cap

    complete, fetched = True, 0
    for entry in cap.read(raw).entries:
        if not entry.link or entry.embedded:
            continue
        key = hashlib.sha256(f"{entry.id}\n{entry.updated}\n{entry.link}".encode()).hexdigest()
        if FeedEntry.objects.filter(source=source, key=key).exists():
            continue
        if fetched >= LINKS_A_POLL:
            return False
        fetched += 1
        try:
            answer = outbound.get(urljoin(base, entry.link), headers={"Accept": ACCEPT}, hosts=source.hosts)
        except Problem as problem:
            complete = False
            row.cause = problem.message[:2000]
            row.code = "refused" if problem.kind is outbound.REFUSED else "unreachable"
            continue
        if answer.status != 200:
            row.cause, row.code = f"{entry.link}: HTTP {answer.status}", "http"
            if answer.status >= 500:
                complete = False
                continue
        else:
            _count(row, take(source, answer.content, "feed"))
        FeedEntry.objects.get_or_create(source=source, key=key, defaults={"seen_at": clock.now()})
    return complete


def _count(row: FeedLog, taken: dict[str, Any]) -> None:
    row.received += len(taken["received"])
    row.duplicates += taken["duplicates"]
    row.refused += len(taken["refused"])
    if taken["refused"] and not row.cause:
        row.cause = "; ".join(f"{one['identifier']} {one['reason']}".strip() for one in taken["refused"][:3])[:2000]
    row.code = row.code or taken["code"]


def _spoke(source: FeedSource, row: FeedLog) -> None:
    """Something new came, be it a test or something we could not use: it lives."""
    if row.received or row.refused:
        source.last_new_at = row.at
        FeedSource.objects.filter(pk=source.pk).update(last_new_at=row.at)


def watch(now: Any = None) -> int:
    """Note links that fell silent or speak again since the last look; how many changed."""
    now, changed = now or clock.now(), 0
    for source in FeedSource.objects.filter(enabled=True, silent_after_min__isnull=False):
        silent = now - (source.last_new_at or source.created_at) > timedelta(minutes=source.silent_after_min)
        if silent != (source.silent_since is not None):
            actions.note_silence(Act(Actor.machine("exchange"), realms.actual()), source=source.pk, silent=silent)
            changed += 1
    return changed


def note_push(source: FeedSource, taken: dict[str, Any], at: Any) -> None:
    """Log what a link pushed to us, as a poll is logged."""
    row = FeedLog(source=source, at=at, ok=not taken["code"], status=None)
    _count(row, taken)
    row.save()
    FeedSource.objects.filter(pk=source.pk).update(last_ok_at=at)
    _spoke(source, row)


def _note(source: FeedSource, row: FeedLog) -> None:
    """Keep the link's state; a change of health is stated once."""
    was_failing = source.failures > 0
    if row.ok:
        source.failures, source.last_ok_at = 0, row.at
        wait = timedelta(seconds=source.interval_s)
    else:
        source.failures += 1
        wait = min(timedelta(seconds=source.interval_s) * 2 ** min(source.failures - 1, 6), max(LONGEST_WAIT, timedelta(seconds=source.interval_s)))
    source.next_at = max(row.at + wait, getattr(source, "not_before", row.at))
    source.save(update_fields=["etag", "last_modified", "failures", "last_ok_at", "next_at"])
    if was_failing == row.ok:
        act = Act(Actor.machine("exchange"), realms.actual())
        actions.note_health(act, source=source.pk, ok=row.ok, cause=row.cause)


def poll_due() -> int:
    """Poll every link whose time has come; returns how many."""
    now = clock.now()
    count = 0
    for source in FeedSource.objects.filter(kind=FeedSource.POLL, enabled=True).exclude(next_at__gt=now).order_by("next_at"):
        # Claimed by moving its next time on, so that two workers do not fetch the same feed at once.
        claimed = FeedSource.objects.filter(pk=source.pk, next_at=source.next_at).update(next_at=now + timedelta(seconds=source.interval_s))
        if claimed:
            source.refresh_from_db()
            poll(source)
            count += 1
    watch(now)
    FeedEntry.objects.filter(seen_at__lt=now - ENTRIES_KEPT).delete()
    FeedLog.objects.filter(at__lt=now - timedelta(days=180)).delete()  # security logs are kept at least six months
    return count
