"""Working days in China: weekends, public holidays, and the weekends worked instead (调休).

The days of past years and of every year whose arrangement the State Council's General Office has published come with the
package `holidays`; an office adds or corrects days in its own version of the code list `work_calendar` (a day: working or
not; a year: its arrangement is complete). Of a year nobody has arranged yet the statutory holidays are known and the
swapped days are not: a deadline counted through it is *provisional*, says so, and is counted again when the list changes.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from .. import codes
from ..errors import Kind

LIST = "work_calendar"
NO_CALENDAR = Kind("kernel.no_work_calendar", 422, _("The working days of {year} are beyond the calendar (from {first} to {last}). Give the deadline as a date."))


@lru_cache(maxsize=1)
def published_years() -> frozenset[int]:
    """Years whose arrangement, swapped days included, is in the package: those it has a State Council notice for."""
    from holidays.countries.china import ChinaStaticHolidays

    return frozenset(ChinaStaticHolidays.special_public_holidays)


@lru_cache(maxsize=16)
def _year(year: int) -> tuple[dict[date, str], frozenset[date]]:
    """(holidays with their names, weekend days worked) of a year, from the package."""
    from holidays import country_holidays
    from holidays.countries.china import China

    if not China.start_year <= year <= China.end_year:
        raise NO_CALENDAR(year=year, first=China.start_year, last=China.end_year)
    found = country_holidays("CN", years=year, language="zh_CN")
    return dict(found.items()), frozenset(day for day in found.weekend_workdays if day.year == year)


@dataclass(frozen=True)
class Day:
    """What a day is, why, and whether its year is arranged."""

    working: bool
    name: str
    known: bool


def known(year: int) -> bool:
    """Whether the year's arrangement is published, or an office has declared its own list of it complete."""
    return year in published_years() or str(year) in codes.entries(LIST)


def day(at: date) -> Day:
    """A day's kind: own list first, then the package, then the weekday."""
    entry = codes.entries(LIST).get(at.isoformat())
    sure = known(at.year)
    if entry is not None:
        return Day(_yes(entry["data"].get("working")), codes.name(LIST, at.isoformat()), True)
    off, worked = _year(at.year)
    if at in worked:
        return Day(True, str(_("Working day instead of a holiday")), sure)
    if at in off:
        return Day(False, off[at], sure)
    return Day(at.weekday() < 5, "" if at.weekday() < 5 else str(_("Weekend")), sure)


def _yes(value: Any) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes", "是")


def _end_of(at: date) -> datetime:
    """The moment a day's deadline runs out, by the list (24:00 as 23:59:59, so that the date shown is that day)."""
    text = str(codes.data(LIST, "day_ends").get("at") or "23:59:59")
    return datetime.combine(at, time.fromisoformat(text), ZoneInfo(settings.TIME_ZONE_LOCAL)).astimezone(UTC)


def local_day(at: datetime) -> date:
    return at.astimezone(ZoneInfo(settings.TIME_ZONE_LOCAL)).date()


@dataclass(frozen=True)
class Deadline:
    """A moment (aware UTC) and whether a year not yet arranged was counted through."""

    at: datetime
    provisional: bool = False


def after(since: datetime, working_days: int) -> Deadline:
    """The end of the n-th working day after `since`; the day itself is not counted (Civil Code, article 201). n ≥ 1."""
    at, left, provisional = local_day(since), working_days, False
    while left > 0:
        at += timedelta(days=1)
        found = day(at)
        provisional |= not found.known
        left -= found.working
    return Deadline(_end_of(at), provisional)


def days_after(since: datetime, days: int) -> Deadline:
    """The end of the n-th calendar day after `since`; moved to the next working day when it is none (Civil Code, article 203)."""
    at, provisional = local_day(since) + timedelta(days=days), False
    while True:
        found = day(at)
        provisional |= not found.known
        if found.working:
            return Deadline(_end_of(at), provisional)
        at += timedelta(days=1)


def end_of(at: date) -> Deadline:
    """The end of a named day."""
    return Deadline(_end_of(at))


def working_days_between(start: datetime, end: datetime) -> int:
    """Working days after the day of `start` up to and including the day of `end`; negative when `end` is earlier."""
    first, last = local_day(start), local_day(end)
    if last < first:
        return -working_days_between(end, start)
    return sum(day(first + timedelta(days=n)).working for n in range(1, (last - first).days + 1))


def before(deadline: datetime, working_days: int) -> datetime:
    """The same hour, n working days earlier (for reminders)."""
    at, left = local_day(deadline), working_days
    while left > 0:
        at -= timedelta(days=1)
        left -= day(at).working
    return deadline - timedelta(days=(local_day(deadline) - at).days)
