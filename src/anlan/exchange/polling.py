"""Fetching feeds: conditional requests, links followed once, every poll a row with cause and remedy."""
from __future__ import annotations

import hashlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
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

FOLLOWED_FOR = 45.0  # seconds; the rest comes with the next poll: a feed of thousands must not hold a worker for an hour
AT_ONCE = 4  # calls at once: links of one feed, or feeds that are due
TOGETHER = 250  # documents taken in on the trips to the database of one
ENTRIES_KEPT = timedelta(days=14)
LONGEST_WAIT = timedelta(hours=1)
ACCEPT = "application/cap+xml, application/atom+xml, application/rss+xml, application/xml;q=0.9, text/xml;q=0.9"


def take(source: FeedSource, documents: list[bytes], heard_by: str) -> list[dict[str, Any]]:
    """Documents of a link into actual operations: the realm comes from the link, never from the payload."""
    act = Act(Actor.machine("exchange"), realms.actual(), op_id=new_id())
    digest = hashlib.sha256(documents[0] if len(documents) == 1 else b"".join(hashlib.sha256(raw).digest() for raw in documents)).hexdigest()
    return actions.take_in_many(act, documents=documents, digest=digest, source=source.name, heard_by=heard_by, link=source.pk)


def _ask(url: str, hosts: list[str], **headers: str) -> outbound.Response | Problem:
    """One call, by whichever thread: it touches nothing of ours, and answers what went wrong."""
    try:
        return outbound.get(url, headers={"Accept": ACCEPT, **headers}, hosts=hosts)
    except Problem as problem:
        return problem


def _ask_for(source: FeedSource) -> outbound.Response | Problem:
    """The link's document, if it changed since we had it whole."""
    known = {"If-None-Match": source.etag, "If-Modified-Since": source.last_modified}
    return _ask(source.url, source.hosts, **{name: value for name, value in known.items() if value})


def poll(source: FeedSource, answer: outbound.Response | Problem | None = None) -> FeedLog:
    """Fetch a link once (or take what was fetched) and write its log row. Never raises for what the other side does."""
    row = FeedLog(source=source, at=clock.now(), ok=False)
    try:
        _fetch(source, row, answer or _ask_for(source))
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


def _fetch(source: FeedSource, row: FeedLog, answer: outbound.Response | Problem) -> None:
    if isinstance(answer, Problem):
        raise answer
    row.status = answer.status
    if answer.status == 304:
        row.unchanged = True
        return
    if answer.status != 200:
        _asked_to_wait(source, row, answer.headers.get("retry-after", ""))
        row.code = f"http_{answer.status}" if answer.status in (401, 403, 404) else "http"
        row.code = {"http_403": "http_401"}.get(row.code, row.code)
        raise outbound.FAILED(host=source.url, reason=f"HTTP {answer.status}")
    (taken,) = take(source, [answer.content], "feed")
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
    """Fetch the alerts an index points to, each entry once, some at once, and take them in by the many; returns whether all were fetched."""
    from anlan.engines import cap

    links = {
        hashlib.sha256(f"{entry.id}\n{entry.updated}\n{entry.link}".encode()).hexdigest(): entry.link for entry in cap.read(raw).entries if entry.link and not entry.embedded
    }
    known = set(FeedEntry.objects.filter(source=source, key__in=list(links)).values_list("key", flat=True))
    fresh = [(key, link) for key, link in links.items() if key not in known]
    complete, until = True, time.monotonic() + FOLLOWED_FOR
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="follow") as pool:
        for first in range(0, len(fresh), TOGETHER):
            part = fresh[first:first + TOGETHER]
            answers = list(pool.map(lambda link: _ask(urljoin(base, link), source.hosts) if time.monotonic() < until else None, [link for _key, link in part]))
            documents, done = [], []
            for (key, link), answer in zip(part, answers, strict=True):
                if answer is None:
                    complete = False
                    continue
                if isinstance(answer, Problem):
                    complete = False
                    row.cause = answer.message[:2000]
                    row.code = "refused" if answer.kind is outbound.REFUSED else "unreachable"
                    continue
                if answer.status == 200:
                    documents.append(answer.content)
                else:
                    row.cause, row.code = f"{link}: HTTP {answer.status}", "http"
                    if answer.status >= 500:
                        complete = False
                        continue
                done.append(FeedEntry(source=source, key=key, seen_at=clock.now()))
            for taken in take(source, documents, "feed") if documents else []:
                _count(row, taken)
            FeedEntry.objects.bulk_create(done, ignore_conflicts=True)
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
    """Poll every link whose time has come, some at once, so that a slow one does not hold up the others; returns how many."""
    now = clock.now()
    due = []
    for source in FeedSource.objects.filter(kind=FeedSource.POLL, enabled=True).exclude(url="").exclude(next_at__gt=now).order_by("next_at"):
        # Claimed by moving its next time on, so that two workers do not fetch the same feed at once.
        if FeedSource.objects.filter(pk=source.pk, next_at=source.next_at).update(next_at=now + timedelta(seconds=source.interval_s)):
            source.refresh_from_db()
            due.append(source)
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="poll") as pool:
        asked = {pool.submit(_ask_for, source): source for source in due}
        for answer in as_completed(asked):
            poll(asked[answer], answer.result())
    watch(now)
    FeedEntry.objects.filter(seen_at__lt=now - ENTRIES_KEPT).delete()
    FeedLog.objects.filter(at__lt=now - timedelta(days=180)).delete()  # security logs are kept at least six months
    return len(due)
