"""The loop of hidden dangers: no state skipped, another person accepts, overdue goes up, a major one is listed, released and reviewed."""
from __future__ import annotations

import argparse
import json
import random
from datetime import timedelta

import pytest

from anlan.inspection.models import Danger
from anlan.kernel import commands, realms
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.loops import get
from anlan.kernel.models import CaseStep, WorkItem

from .builders import LOOP, report, take

pytestmark = pytest.mark.django_db
ORDINARY = ["file", "assess", "order", "rectify", "accept", "close"]
MAJOR = ["file", "assess", "list", "order", "rectify", "accept", "release", "review", "close"]


def code(excinfo) -> str:
    return excinfo.value.kind.code


def test_an_ordinary_danger_goes_its_way_and_the_timeline_keeps_who_when_and_evidence(actual, county, alice, bob):
    case = report(alice, actual, county)
    for step in ORDINARY:
        case = take(bob if step in ("accept", "close") else alice, actual, case, step)
    assert case.state == "closed" and case.closed_at and case.number.startswith("YH-")
    lines = list(CaseStep.plain.filter(case_id=case.pk, kind="step").order_by("seq"))
    assert [line.step for line in lines] == ["report", *ORDINARY]
    assert all(line.person and line.at and line.post for line in lines)
    assert len(lines[4].files) == len(lines[5].files) == 1 and not WorkItem.objects.everything().filter(state=WorkItem.OPEN).exists()


def test_acceptance_needs_another_natural_person_and_a_photograph(actual, county, alice, bob):
    case = report(alice, actual, county)
    for step in ORDINARY[:4]:
        case = take(alice, actual, case, step)
    with pytest.raises(Problem) as refused:
        take(alice, actual, case, "accept")
    assert code(refused) == "kernel.case_same_person"
    from anlan.kernel.loops import actions

    with pytest.raises(Problem) as refused:
        actions.step(Act(bob, actual), loop=LOOP, case=case.pk, step="accept", data={"remark": "ok"})
    assert code(refused) == "kernel.case_evidence"
    assert take(bob, actual, case, "return").state == "rectifying"


def test_a_major_danger_is_listed_released_and_reviewed_or_it_is_not_struck_off(replay, county, alice, bob):
    case = report(alice, replay, county)
    for step in ("file", "assess"):
        case = take(alice, replay, case, step, grade="major")
    with pytest.raises(Problem) as refused:
        take(alice, replay, case, "order")
    assert code(refused) == "kernel.case_not_allowed"
    for step in ("list", "order", "rectify"):
        case = take(alice, replay, case, step)
    case = take(bob, replay, case, "accept")
    with pytest.raises(Problem) as refused:
        take(bob, replay, case, "close")
    assert code(refused) == "kernel.case_not_allowed"
    case = take(bob, replay, case, "release")
    with pytest.raises(Problem) as refused:
        take(bob, replay, case, "review")  # too early: what was put right must have held
    assert code(refused) == "kernel.case_not_allowed"
    realms._set(replay, replay.now_at + timedelta(days=31))
    case = take(bob, replay, case, "review")
    assert take(bob, replay, case, "close").state == "closed"


def test_what_is_overdue_goes_one_level_up_each_period(replay, county, alice, bob, commander_post, duty_post, drain):
    case = report(alice, replay, county)
    assert case.post_id == duty_post.pk and case.due_at
    realms._set(replay, case.due_at + timedelta(minutes=1))
    drain()
    case.refresh_from_db()
    assert case.late and case.escalated == 1 and case.escalated_to_id == commander_post.pk
    assert WorkItem.objects.everything().filter(kind="loop.overdue", post=commander_post, state=WorkItem.OPEN).count() == 1
    case = take(alice, replay, case, "file")  # who has it may still go on; the next state has its own deadline
    assert case.escalated == 0 and not WorkItem.objects.everything().filter(kind="loop.overdue", state=WorkItem.OPEN).exists()


def test_an_ordinary_danger_is_neither_listed_nor_released(actual, county, alice, bob):
    case = report(alice, actual, county)
    for step in ("file", "assess"):
        case = take(alice, actual, case, step)
    with pytest.raises(Problem) as refused:
        take(alice, actual, case, "list")
    assert code(refused) == "kernel.case_not_allowed"
    assert Danger.plain.get(pk=case.pk).state == "assessed"


def test_no_illegal_step_can_be_taken_by_any_path(replay, county, alice, bob, charlie):
    """Every step is tried from every state on random ways; what the rules of the row say independently must hold of each history."""
    dice = random.Random(20)
    declared = get(LOOP)
    legal = {(state, name) for name, step in declared.step.items() for state in step.from_}
    for grade in ("ordinary", "major"):
        case = report(alice, replay, county)
        for _turn in range(60):
            name, actor = dice.choice(list(declared.step)), dice.choice([alice, bob, charlie])
            before = case.state
            try:
                case = take(actor, replay, case, name, grade=grade)
                assert (before, name) in legal and actor is not charlie
            except Problem:
                case = Danger.plain.get(pk=case.pk)
                assert case.state == before
            if dice.random() < 0.2:
                realms._set(replay, replay.now_at + timedelta(days=8))
        _history_is_right(case)


def _history_is_right(case) -> None:
    """The rules of requirement R20 told once more, from the timeline alone."""
    lines = list(CaseStep.plain.filter(case_id=case.pk, kind="step").order_by("seq"))
    assert all(later.from_state == earlier.to_state for earlier, later in zip(lines, lines[1:], strict=False))
    order = ["report", "file", "assess", "list", "order", "rectify", "accept", "release", "review", "close"]
    since: list[str] = []
    grade = ""
    for line in lines:
        if line.step in ("reopen", "relapse"):
            since = ["report", "file"] if line.step == "reopen" else ["report", "file", "assess"]
            continue
        if line.step == "assess":
            grade = line.data["grade"]
        if line.step in ("accept", "return"):
            assert line.person not in {one.person for one in lines if one.step == "rectify" and one.seq < line.seq}
        if line.step == "return":
            since = since[: since.index("rectify")]
            continue
        if line.step in order:
            needed = [one for one in order[: order.index(line.step)] if grade == "major" or one not in ("list", "release", "review")]
            assert since == needed, (line.step, since)
            since.append(line.step)


def test_the_two_lists_follow_the_state_and_leave_the_house_marked(replay, actual, county, alice, bob, charlie, client, signed_in):
    import io

    from openpyxl import load_workbook

    first = report(alice, actual, county, title="甲市场通道堵塞")
    second = report(alice, actual, county, title="乙工地脚手架缺件")
    for step in ("file", "assess", "order"):
        second = take(alice, actual, second, step)
    signed_in(client, alice)
    page = client.get("/inspection/lists").content.decode()
    assert first.number in page and second.number in page and "清空通道" in page
    rows = [[cell.value for cell in row] for row in load_workbook(io.BytesIO(client.get("/inspection/lists?xlsx=measures").content)).active.iter_rows()]
    assert [row[0] for row in rows[2:]] == [second.number] and "alice" in rows[0][0]
    for step in ("rectify", "accept", "close"):
        second = take(bob if step != "rectify" else alice, actual, second, step)
    page = client.get("/inspection/lists").content.decode()
    assert first.number in page and second.number not in page
    signed_in(client, charlie)
    assert first.number not in client.get("/inspection/lists").content.decode()


def test_the_on_time_closure_rate_is_told_by_source_and_by_unit(actual, county, alice, bob):
    from datetime import timedelta as days

    from anlan.kernel import clock
    from anlan.kernel.loops import statistics

    for source, late in (("self", False), ("self", True), ("government", False)):
        case = report(alice, actual, county, source=source)
        for step in ORDINARY:
            more = {"rectify_by": (clock.local(clock.now()).date() - days(days=3)).isoformat()} if step == "order" and late else {}
            case = take(bob if step in ("accept", "close") else alice, actual, case, step, **more)
    now = clock.now()
    by = {one.key: one for one in statistics.report(alice, actual, get(LOOP), start=now - days(days=1), end=now + days(days=1), by="source").groups}
    assert by["self"].closed_rate == 50.0 and by["government"].closed_rate == 100.0
    whole = statistics.report(alice, actual, get(LOOP), start=now - days(days=1), end=now + days(days=1), by="organisation").total
    assert (whole.closed, whole.closed_on_time) == (3, 2)


def test_a_ledger_of_dangers_is_taken_in_whole_or_not_at_all(actual, county, alice, charlie, client, signed_in, tmp_path, capsys):
    from django.core.files.uploadedfile import SimpleUploadedFile

    head = "隐患名称,隐患来源,隐患类别,受检单位,隐患描述,发现日期,所在区域\n"
    good = head + "通道堵塞,企业自查,消防安全,甲市场,占用通道,2026年7月1日,甲县\n报警器失效,department,危险化学品,甲化工,2台无信号,2026/7/2,甲县\n"
    bad = good + "护栏缺失,道听途说,道路交通,县道,缺30米,七月,甲县\n"

    def send(text: str, **more):
        return client.post(f"/loops/{LOOP}/import", {"file": SimpleUploadedFile("隐患.csv", text.encode()), **more})

    signed_in(client, alice)
    client.cookies["django_language"] = "en"
    answer = send(bad)
    page = answer.content.decode()
    wrong = [(fault["row"], fault["field"]) for fault in answer.context["refused"]]
    assert (answer.status_code, wrong) == (422, [(4, "source"), (4, "found_on")]) and "护栏缺失" not in page and not Danger.plain.exists()
    assert send(good, look="1").status_code == 200 and not Danger.plain.exists()
    for _again in range(2):
        assert send(good).status_code == 302
        assert set(Danger.plain.values_list("title", "source", "state")) == {("通道堵塞", "self", "reported"), ("报警器失效", "department", "reported")} and Danger.plain.count() == 2
    assert CaseStep.plain.filter(step="report", person=alice.person_id).count() == 2
    signed_in(client, charlie)
    assert send(good).status_code == 422 and Danger.plain.count() == 2  # not her county
    assert client.get(f"/loops/{LOOP}/import?template").content[:2] == b"PK"
    # From the command line, as a nightly transfer runs it: nothing when a row is wrong, all of it else, the same sheet once.
    file = tmp_path / "隐患.csv"
    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    for text, extra, code, written in ((bad, [], 1, 0), (head + "井盖破损,企业自查,道路交通,县道,缺盖,2026-07-03,甲县\n", ["--preview"], 0, 0), (None, [], 0, 1), (None, [], 0, 0)):
        if text is not None:
            file.write_text(text, encoding="utf-8")
        args = parser.parse_args(["loop", "import", LOOP, str(file), "--json", *extra])
        assert args.func(args) == code
        done = json.loads(capsys.readouterr().out)
        assert done["written"] == written and set(done) == {"read", "written", "refused", "seconds"}
    assert Danger.plain.count() == 3
