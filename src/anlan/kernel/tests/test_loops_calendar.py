"""Working days by the State Council's notices, own days over them, and years nobody has arranged yet."""
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anlan.kernel import codes, journal
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.loops import Within, actions, holidays
from anlan.kernel.models import CaseStep

from .test_loops_steps import fix, opened  # noqa: F401

pytestmark = pytest.mark.django_db
ZONE = ZoneInfo("Asia/Shanghai")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).astimezone(UTC)


# 国办发明电〔2025〕7号 for 2026 and 〔2024〕12号 for 2025, as published.
@pytest.mark.parametrize(
    ("day", "working"),
    [
        ("2026-01-02", False), ("2026-01-04", True), ("2026-02-14", True), ("2026-02-16", False), ("2026-02-20", False), ("2026-02-23", False), ("2026-02-28", True),
        ("2026-04-06", False), ("2026-05-05", False), ("2026-05-09", True), ("2026-09-20", True), ("2026-10-07", False), ("2026-10-10", True),
        ("2026-11-21", False), ("2026-11-23", True), ("2025-10-08", False), ("2025-10-11", True), ("2025-01-26", True), ("2025-02-04", False),
    ],
)
def test_the_published_days(day, working):
    found = holidays.day(date.fromisoformat(day))
    assert (found.working, found.known) == (working, True)


@pytest.mark.parametrize(
    ("since", "days", "end"),
    [
        ("2026-09-30 10:00", 1, "2026-10-08"),  # the whole of the National Day holiday lies between
        ("2026-09-30 23:59", 3, "2026-10-10"),  # the Saturday worked instead counts
        ("2026-09-18 09:00", 1, "2026-09-20"),  # so does this Sunday
        ("2026-11-20 09:00", 5, "2026-11-27"),
        ("2026-11-21 00:01", 1, "2026-11-23"),  # begun on a Saturday
        ("2026-02-13 17:00", 2, "2026-02-24"),  # Saturday the 14th is worked, then the Spring Festival
    ],
)
def test_working_days_are_counted_without_the_first(since, days, end):
    found = holidays.after(at(since), days)
    assert found.at.astimezone(ZONE).strftime("%Y-%m-%d %H:%M:%S") == f"{end} 23:59:59" and not found.provisional
    assert holidays.working_days_between(at(since), found.at) == days


def test_calendar_days_that_end_on_a_holiday_end_on_the_next_working_day():
    assert holidays.days_after(at("2026-09-28 08:00"), 5).at.astimezone(ZONE).date() == date(2026, 10, 8)
    assert Within(hours=2).after(at("2026-10-01 08:00")).at == at("2026-10-01 10:00")


@settings(max_examples=60, deadline=None)
@given(start=st.datetimes(datetime(2002, 1, 1), datetime(2025, 12, 1)), days=st.integers(1, 60))  # noqa: DTZ001
def test_a_deadline_is_a_working_day_and_exactly_that_many_lie_between(start, days):
    since = start.replace(tzinfo=UTC)
    found = holidays.after(since, days)
    first, last = since.astimezone(ZONE).date(), found.at.astimezone(ZONE).date()
    between = [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]
    assert holidays.day(last).working and sum(holidays.day(one).working for one in between) == days
    assert holidays.local_day(holidays.before(found.at, days)) <= first or days > 1


def test_a_year_nobody_has_arranged_is_said_to_be_unknown():
    assert not holidays.known(2027) and holidays.known(2026)
    found = holidays.after(at("2026-12-30 09:00"), 3)
    assert found.provisional and found.at.astimezone(ZONE).date() == date(2027, 1, 5)  # New Year's Day is statutory, also then
    assert not holidays.after(at("2026-12-28 09:00"), 3).provisional
    with pytest.raises(Problem) as refused:
        holidays.day(date(2150, 1, 1))
    assert refused.value.kind.code == "kernel.no_work_calendar"


def own_days(act, days: dict[str, bool], *years: str):
    entries = [{"code": "day_ends", "name": "End", "name_zh": "截止", "data": {"at": "23:59:59"}}]
    entries += [{"code": day, "name": "Own", "name_zh": "调休", "data": {"working": working}} for day, working in days.items()]
    entries += [{"code": year, "name": "Arranged", "name_zh": "已公布", "data": {}} for year in years]
    codes.edit(act, list=holidays.LIST, label="2027", source="国务院办公厅通知", codes=entries)
    codes.forget()


def test_own_days_go_over_the_published_and_can_complete_a_year(actual, alice):
    own_days(Act(alice, actual), {"2026-11-23": False, "2027-01-04": False, "2027-01-09": True}, "2027")
    try:
        assert not holidays.day(date(2026, 11, 23)).working
        assert holidays.after(at("2026-11-20 09:00"), 1).at.astimezone(ZONE).date() == date(2026, 11, 24)
        found = holidays.after(at("2026-12-31 09:00"), 5)
        assert found.at.astimezone(ZONE).date() == date(2027, 1, 9) and not found.provisional
    finally:
        codes.forget()


def test_a_provisional_deadline_is_counted_again_when_the_year_is_arranged(fix, replay, alice, county, drain):  # noqa: F811
    replay.now_at = at("2026-12-30 09:00")
    replay.save()
    case = opened(replay, alice, county)
    assert case.due_provisional and case.due_at.astimezone(ZONE).date() == date(2027, 1, 5)
    from anlan.kernel import realms

    own_days(Act(alice, realms.actual()), {"2027-01-04": False}, "2027")
    try:
        drain()
        case.refresh_from_db()
        assert case.due_at.astimezone(ZONE).date() == date(2027, 1, 6) and not case.due_provisional and case.first_due_at == case.due_at
        assert CaseStep.plain.filter(case_id=case.pk, kind="deadline").count() == 1
        # A year arranged as it was guessed moves no clock; that the day is certain now is stated all the same.
        type(case).plain.filter(pk=case.pk).update(due_provisional=True)
        actions.recount(Act(Actor.machine("loops"), replay), loop=case.loop, case=case.pk)
        case.refresh_from_db()
        facts = [fact.payload for fact in journal.select("WHERE f.kind = 'kernel.CaseDeadlineMoved' ORDER BY f.recorded_at")]
        assert not case.due_provisional and [fact["before"] == fact["due_at"] for fact in facts] == [False, True]
        from anlan.kernel.models import Due

        assert Due.objects.get(realm=replay, timer="loops.overdue", subject=fix.subject_of(case)).due_at == case.due_at
    finally:
        codes.forget()


def test_an_extension_moves_the_deadline_but_not_the_judgement(actual, replay, alice, county):
    from django.utils.translation import gettext_lazy as _

    from anlan.kernel.loops import Step, declare, loop

    from .test_loops_steps import make_loop, mend

    sound = make_loop("test.extend")
    loop(make_loop("test.extend", steps=(*sound.steps, Step("extend", _("Extend"), from_=("reported",), to="reported", may="loops.recheck", within=Within(working_days=20)))))
    declare.write_rules()
    try:
        case = opened(replay, alice, county, name="test.extend")
        first = case.due_at
        actions.step(Act(alice, replay), loop="test.extend", case=case.pk, step="extend")
        case.refresh_from_db()
        assert case.due_at > first and case.first_due_at == first
        replay.now_at = first + timedelta(hours=1)
        replay.save()
        mend(replay, alice, case, name="test.extend")
        case.refresh_from_db()
        assert CaseStep.plain.get(case_id=case.pk, step="mend").on_time is False and case.late
    finally:
        declare.forget("test.extend")
