"""Figures of a loop, counted anew from its timeline (`CaseStep`), so that nobody can improve them but by acting in time.

*Closed on time*: closed, and no deadline missed since the case was opened or last reopened. *Steps on time*: states left before their
first deadline, out of those that had one; an extension moves the deadline, not the judgement. *Reopened*: of the cases closed, those
that had to be opened again. A stay in a state counts once, however often it was extended.
"""
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext as _

from .. import clock, codes, shell
from ..models import CaseStep, Organisation, Region, RegionPath
from . import queries
from .declare import Loop

GROUPS = ("organisation", "region", "source", "month")
LEVELS = ("county", "town")


@dataclass
class Figures:
    """The figures of one group (a unit, a place, a source, a month) or of the whole."""

    key: Any = None
    label: str = ""
    opened: int = 0
    closed: int = 0
    closed_on_time: int = 0
    timed: int = 0
    on_time: int = 0
    reopened: int = 0
    days: float | None = None  # median from opening (or reopening) to closing, calendar days
    open_now: int = 0
    overdue_now: int = 0

    @staticmethod
    def _share(part: int, whole: int) -> float | None:
        return round(100 * part / whole, 1) if whole else None

    @property
    def closed_rate(self) -> float | None:
        """On-time closure rate (按期闭环率), percent; None when nothing was closed."""
        return self._share(self.closed_on_time, self.closed)

    @property
    def step_rate(self) -> float | None:
        return self._share(self.on_time, self.timed)

    @property
    def reopen_rate(self) -> float | None:
        return self._share(self.reopened, self.closed)

    def as_json(self) -> dict[str, Any]:
        return {
            "key": str(self.key) if self.key is not None else None, "label": self.label, "opened": self.opened, "closed": self.closed, "closed_on_time": self.closed_on_time,
            "on_time_closure_rate": self.closed_rate, "steps_with_deadline": self.timed, "steps_on_time": self.on_time, "on_time_step_rate": self.step_rate,
            "reopened": self.reopened, "reopen_rate": self.reopen_rate, "median_days": self.days, "open_now": self.open_now, "overdue_now": self.overdue_now,
        }


@dataclass
class Stay:
    """How long cases stayed in a state, in hours, and how many stays were too long."""

    state: str
    label: str
    count: int
    median: float
    p90: float
    timed: int
    late: int


@dataclass
class Report:
    """Everything the statistics page shows; the period is closed_from ≤ at < closed_to (aware UTC)."""

    start: datetime
    end: datetime
    by: str
    total: Figures
    groups: list[Figures] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)


def report(actor: Any, realm: Any, declared: Loop, *, start: datetime, end: datetime, by: str = "organisation", level: str = "county") -> Report:
    """The figures of a period over the cases this actor may read, in all and by unit, place (rolled up to `level`), source or month."""
    by, level = by if by in GROUPS else "organisation", level if level in LEVELS else LEVELS[0]
    seen = queries.cases(actor, realm, declared).values("id")
    lines = CaseStep.objects.of(realm).filter(loop=declared.name, kind=CaseStep.STEP, case_id__in=seen)
    sql, params = lines.query.sql_with_params()
    reopen = declared.reopen.name if declared.reopen else ""
    group = {
        "organisation": "organisation_id::text", "region": "region_id::text", "source": "source",
        "month": "to_char(at AT TIME ZONE %s, 'YYYY-MM')",
    }[by]
    zone = [settings.TIME_ZONE_LOCAL] if by == "month" else []
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS.format(lines=sql, group=group), [*params, reopen, list(declared.finals), list(declared.finals), *zone, start, end])
        rows = cursor.fetchall()
        cursor.execute(_STAYS.format(lines=sql), [*params, start, end])
        stays = {row[0]: row[1:] for row in cursor.fetchall()}
    groups: dict[Any, Figures] = {}
    total = Figures(label=_("All"))
    fold = _fold(by, level, {row[0] for row in rows})
    days: dict[Any, list[float]] = {}
    for key, opened, closed, closed_on_time, timed, on_time, reopened, lasted in rows:
        for figures in (groups.setdefault(fold.get(key, key), Figures(fold.get(key, key))), total):
            figures.opened += opened
            figures.closed += closed
            figures.closed_on_time += closed_on_time
            figures.timed += timed
            figures.on_time += on_time
            figures.reopened += reopened
            days.setdefault(figures.key, []).extend(lasted or [])
    for figures in (*groups.values(), total):
        figures.days = _median(days.get(figures.key, []))
    _now(actor, realm, declared, by, fold, groups, total)
    _label(by, declared, groups)
    order = sorted(groups.values(), key=lambda one: one.label) if by == "month" else sorted(groups.values(), key=lambda one: (-one.closed - one.open_now, one.label))
    return Report(start, end, by, total, order, [
        Stay(state.name, str(state.label), *stays[state.name]) for state in declared.states if state.name in stays
    ])


# One pass over the lines: `life` counts the reopenings, so that each closing is judged by its own life of the case.
_COUNTS = """
WITH lines AS ({lines}),
told AS (
    SELECT *, count(*) FILTER (WHERE step = %s AND step <> '') OVER (PARTITION BY case_id ORDER BY seq) AS life FROM lines
),
lives AS (
    SELECT *, bool_or(on_time IS FALSE) OVER (PARTITION BY case_id, life ORDER BY seq) AS missed,
        min(at) OVER (PARTITION BY case_id, life) AS began,
        to_state = ANY(%s) AND from_state <> to_state AS closes, life > 0 AND from_state = ANY(%s) AS reopens FROM told
)
SELECT {group},
    count(*) FILTER (WHERE from_state = ''), count(*) FILTER (WHERE closes), count(*) FILTER (WHERE closes AND NOT coalesce(missed, false)),
    count(*) FILTER (WHERE on_time IS NOT NULL), count(*) FILTER (WHERE on_time), count(*) FILTER (WHERE reopens),
    array_agg(extract(epoch FROM at - began)::float8 / 86400) FILTER (WHERE closes)
FROM lives WHERE at >= %s AND at < %s GROUP BY 1
"""

_STAYS = """
SELECT from_state, count(*), percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) / 3600, percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds) / 3600,
    count(*) FILTER (WHERE on_time IS NOT NULL), count(*) FILTER (WHERE on_time IS FALSE)
FROM ({lines}) AS lines WHERE from_state <> '' AND from_state <> to_state AND at >= %s AND at < %s GROUP BY 1
"""


def _median(values: list[float]) -> float | None:
    values = sorted(values)
    if not values:
        return None
    middle = len(values) // 2
    return round(values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2, 1)


def _fold(by: str, level: str, keys: set[Any]) -> dict[Any, Any]:
    """Places rolled up to the level (county, town): the nearest such region above each; itself when there is none."""
    if by != "region":
        return {}
    paths = RegionPath.objects.filter(descendant_id__in=[key for key in keys if key], ancestor__kind=level).order_by("-depth")
    return {str(below): str(above) for below, above in paths.values_list("descendant_id", "ancestor_id")}


def _now(actor: Any, realm: Any, declared: Loop, by: str, fold: dict[Any, Any], groups: dict[Any, Figures], total: Figures) -> None:
    """What is open and overdue at this moment, beside the figures of the period."""
    from django.db.models import Count, Q

    now = clock.now(realm)
    rows = queries.cases(actor, realm, declared).filter(closed_at=None)
    column = {"organisation": "organisation_id", "region": "region_id", "source": "source"}.get(by)
    grouped = rows.values(column) if column else rows.values("loop")
    for row in grouped.annotate(n=Count("id"), late_now=Count("id", filter=Q(due_at__lt=now))):
        total.open_now += row["n"]
        total.overdue_now += row["late_now"]
        if column:
            key = row[column]
            key = str(key) if key is not None and by != "source" else key
            figures = groups.setdefault(fold.get(key, key), Figures(fold.get(key, key)))
            figures.open_now += row["n"]
            figures.overdue_now += row["late_now"]


def _label(by: str, declared: Loop, groups: dict[Any, Figures]) -> None:
    keys = [key for key in groups if key]
    names: dict[str, str] = {}
    if by == "organisation":
        units = list(Organisation.objects.filter(pk__in=keys).select_related("region"))
        count = Counter(shell.localname(row) for row in units)
        # Township governments have one name in English: their place tells them apart.
        names = {str(row.pk): shell.localname(row) + (f" ({shell.localname(row.region)})" if count[shell.localname(row)] > 1 and row.region else "") for row in units}
    elif by == "region":
        names = {str(row.pk): shell.localname(row) for row in Region.objects.filter(pk__in=keys)}
    elif by == "source" and declared.sources:
        names = {key: codes.name(declared.sources, key) for key in keys}
    for key, figures in groups.items():
        figures.label = names.get(key, key) if key else _("not said")


def months(realm: Any, count: int = 12) -> list[datetime]:
    """The first instants of this and the months before it, local time, the newest first."""
    first = clock.local(clock.now(realm)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    found = [first]
    for _n in range(count - 1):
        found.append((found[-1] - timedelta(days=1)).replace(day=1))
    return found


HEAD = ("group", "opened", "closed", "closed_on_time", "on_time_closure_rate", "steps_with_deadline", "steps_on_time", "on_time_step_rate", "reopened", "reopen_rate", "median_days", "open_now", "overdue_now")


def head_words() -> list[str]:
    return [
        _("Group"), _("Cases opened"), _("Closed"), _("Closed on time"), _("On-time closure, %"), _("Steps with a deadline"), _("Steps on time"), _("On-time steps, %"), _("Reopened"),
        _("Reopened, %"), _("Median days to close"), _("Open now"), _("Overdue now"),
    ]


def rows(found: Report) -> list[list[Any]]:
    """The report as rows of a sheet, the total last; unknown shares are empty."""
    return [
        [one.label, one.opened, one.closed, one.closed_on_time, one.closed_rate, one.timed, one.on_time, one.step_rate, one.reopened, one.reopen_rate, one.days, one.open_now, one.overdue_now]
        for one in (*found.groups, found.total)
    ]
