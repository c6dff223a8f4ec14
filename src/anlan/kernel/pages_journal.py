"""The journal as a page, and "why": the chain of causes behind a thing. Each step is filtered for its reader."""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path
from django.utils.translation import gettext as _

from . import journal, seen, shell, subjects
from .errors import NOT_FOUND

PAGE = 50
EFFECTS = 200


def who(fact: Any) -> str:
    """Person and post of a fact, or that no person did it."""
    if fact.person is None:
        return _("automatic")
    return " · ".join(part for part in (shell.post_name(fact.post), shell.person_name(fact.person)) if part)


def line(fact: Any) -> dict[str, Any]:
    """A fact as a row of a page."""
    return {
        "fact": fact, "text": shell.say(fact), "who": who(fact), "place": shell.region_name(fact.region_id), "own_page": subjects.url(fact.subject),
        "level": fact.payload.get("new") or fact.payload.get("level") or fact.payload.get("colour") or "",
    }


def _rooms() -> list[tuple[str, Any]]:
    """Rooms that have said something they can say, for the filter."""
    names = sorted({kind.partition(".")[0] for kind in journal.REGISTRY})
    return [(name, ROOM_WORDS[name]() if name in ROOM_WORDS else name) for name in names]


ROOM_WORDS = {
    "kernel": lambda: _("Orders and work"), "sensing": lambda: _("Sensing"), "warning": lambda: _("Warning"), "plans": lambda: _("Plans"),
    "command": lambda: _("Command"), "resources": lambda: _("Forces and supplies"), "inspection": lambda: _("Hidden dangers"), "logistics": lambda: _("Logistics"), "exchange": lambda: _("Exchange"), "web": lambda: _("Desk"), "demo": lambda: _("Demonstration"),
}


def _local(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(settings.TIME_ZONE_LOCAL))
    except ValueError:
        return None


def journal_page(request: HttpRequest) -> HttpResponse:
    """Newest first; filters are the address, so a filtered page can be sent to somebody (who sees what he may)."""
    sql, params = seen.condition(request.actor)  # type: ignore[attr-defined]
    where = [sql, "f.realm_id = %s"]
    params = [*params, request.realm.pk]  # type: ignore[attr-defined]
    room, about, day = request.GET.get("room", ""), request.GET.get("about", "").strip(), request.GET.get("day", "")
    if room:
        where.append("f.kind LIKE %s")
        params.append(room.replace("%", "").replace("_", r"\_") + ".%")
    if kind := request.GET.get("kind", ""):
        where.append("f.kind = %s")
        params.append(kind)
    if about:
        where.append("f.subject = %s")
        params.append(about)
    if begin := _local(day):
        where.append("f.occurred_at >= %s AND f.occurred_at < %s")
        params += [begin, begin + timedelta(days=1)]
    before = request.GET.get("before", "")
    if before.isdigit():
        where.append("s.number < %s")
        params.append(int(before))
    facts = journal.select(f"WHERE {' AND '.join(where)} ORDER BY s.number DESC NULLS FIRST, f.recorded_at DESC LIMIT {PAGE + 1}", params)
    more = len(facts) > PAGE
    facts = facts[:PAGE]
    numbers = [fact.number for fact in facts if fact.number]
    context = {
        "lines": [line(fact) for fact in facts], "rooms": _rooms(), "room": room, "about": about, "day": day, "kind": kind,
        "before": min(numbers) if more and numbers else None, "first_page": not before, "head": journal.head_number(),
    }
    return render(request, "kernel/journal/_lines.html" if request.headers.get("HX-Target") == "journal-lines" else "kernel/journal/journal.html", context)


def _chain(actor: Any, facts: list[Any]) -> list[dict[str, Any]]:
    """Steps with the time that passed between them; what the reader may not see is a gap that says so."""
    steps: list[dict[str, Any]] = []
    table = seen.scopes()
    last = None
    for fact in facts:
        if not seen.may_see(actor, fact, table):
            if steps and steps[-1].get("hidden"):
                steps[-1]["hidden"] += 1
            else:
                steps.append({"hidden": 1})
            continue
        step = line(fact)
        step["after"] = span((fact.occurred_at - last).total_seconds()) if last is not None and fact.occurred_at >= last else ""
        last = fact.occurred_at
        steps.append(step)
    return steps


def span(seconds: float) -> str:
    """A length of time in words: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return _("{n} s").format(n=f"{seconds:.1f}")
    if seconds < 90:
        return _("{n} s").format(n=round(seconds))
    if seconds < 5400:
        return _("{m} min {s} s").format(m=int(seconds // 60), s=int(seconds % 60))
    if seconds < 172800:
        return _("{h} h {m} min").format(h=int(seconds // 3600), m=int(seconds % 3600 // 60))
    return _("{d} days").format(d=round(seconds / 86400, 1))


def why_page(request: HttpRequest, subject: str) -> HttpResponse:
    """What led to a thing, step by step from the first cause; then what it set off."""
    actor = request.actor  # type: ignore[attr-defined]
    if subject.startswith("fact:"):
        own = _fact(subject)
        facts = [*reversed(list(journal.chain(own.id)))]
    else:
        facts = journal.why(subject)
    facts = [fact for fact in facts if fact.realm_id == request.realm.pk or fact.realm.is_actual]  # type: ignore[attr-defined]
    # Whoever may see only a cause of it, and nothing about the thing itself, does not learn that there is such a thing.
    if not seen.visible(actor, [fact for fact in facts if subject in (fact.subject, f"fact:{fact.id}")]):
        raise NOT_FOUND(kind=_("record"), key=subject)
    steps = _chain(actor, facts)
    ids = [fact.id for fact in facts if fact.subject == subject or subject == f"fact:{fact.id}"]
    known = {fact.id for fact in facts}
    effects = [fact for fact in journal.select("WHERE f.cause_id = ANY(%s) ORDER BY s.number LIMIT %s", [ids, EFFECTS]) if fact.id not in known]
    visible = [step for step in steps if not step.get("hidden")]
    took = (visible[-1]["fact"].occurred_at - visible[0]["fact"].occurred_at).total_seconds() if len(visible) > 1 else 0
    context = {
        "subject": subject, "title": shell.describe(subject)[0], "steps": steps, "effects": [line(fact) for fact in seen.visible(actor, effects)],
        "took": span(took) if took > 0 else "", "count": len(visible),
    }
    return render(request, "kernel/journal/why.html", context)


def _fact(subject: str) -> Any:
    try:
        found = journal.get(UUID(subject.partition(":")[2]))
    except ValueError:
        found = None
    if found is None:
        raise NOT_FOUND(kind=_("record"), key=subject)
    return found


def fact_page(request: HttpRequest, key: UUID) -> HttpResponse:
    """A fact's own page is its chain."""
    return redirect("kernel:why", f"fact:{key}")


urlpatterns = [
    path("journal", journal_page, name="journal"),
    path("why/<str:subject>", why_page, name="why"),
    path("facts/<uuid:key>", fact_page, name="fact"),
]
