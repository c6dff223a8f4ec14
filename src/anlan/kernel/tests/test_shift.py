"""The duty roster, who is on duty, swaps, the log, the signed hand-over, the import of a sheet."""
import io
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from anlan.kernel import orders, sheets, shift, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import FORBIDDEN, ILLEGAL_STEP, SAME_PERSON, Problem
from anlan.kernel.models import Account, Fact, HandOver, RosterEntry, ShiftNote, Swap

DAY = datetime(2030, 7, 20, 0, 0, tzinfo=UTC)  # 08:00 in Shanghai
H12, H24 = timedelta(hours=12), timedelta(hours=24)


@pytest.fixture
def duty(alice, actual, duty_post):
    """duty(person actor, start, role): an entry of 24 hours."""
    return lambda actor, start=DAY, role="A", length=H24: shift.save_duty(
        Act(alice, actual), post=duty_post.pk, person=actor.person_id, role=role, starts_at=start, ends_at=start + length
    )


@pytest.mark.django_db
def test_the_roster_says_who_answers_and_in_which_order(duty, alice, bob, commander, duty_post):
    duty(commander, role="leader")
    duty(bob, role="B")
    duty(alice)
    assert [(d.person.name, d.role) for d in shift.on_duty(duty_post, DAY)] == [("alice", "A"), ("bob", "B"), ("陈指挥", "leader")]
    assert shift.leader(duty_post, DAY + H12).name == "陈指挥"


@pytest.mark.django_db
def test_a_shift_holds_from_its_start_to_before_its_end(duty, alice, bob, duty_post):
    duty(bob)
    names = lambda at: [d.person.name for d in shift.on_duty(duty_post, at)]  # noqa: E731
    assert names(DAY) == ["bob"] and names(DAY + H24 - timedelta(seconds=1)) == ["bob"]
    # Off the roster, the post is answered by who holds it, A before B.
    assert names(DAY - timedelta(seconds=1)) == names(DAY + H24) == ["alice", "bob"]


@pytest.mark.django_db
def test_an_exercise_has_its_own_roster_and_else_the_actual_one(duty, alice, bob, actual, exercise, duty_post):
    duty(bob)
    assert [d.person.name for d in shift.on_duty(duty_post, DAY, exercise)] == ["bob"]
    shift.save_duty(Act(alice, exercise), post=duty_post.pk, person=alice.person_id, starts_at=DAY, ends_at=DAY + H24)
    assert [d.person.name for d in shift.on_duty(duty_post, DAY, exercise)] == ["alice"]
    assert [d.person.name for d in shift.on_duty(duty_post, DAY, actual)] == ["bob"]


@pytest.mark.django_db
def test_two_people_cannot_have_the_same_role_at_the_same_time(duty, alice, bob):
    duty(alice)
    with pytest.raises(Problem) as refused:
        duty(bob, DAY + H12)
    assert refused.value.kind is shift.OVERLAP
    duty(bob, DAY + H24)  # touching is no overlap


@pytest.mark.django_db
def test_an_outsider_can_neither_read_nor_write_the_roster(duty, alice, charlie, actual, duty_post):
    duty(alice)
    assert not shift.roster(charlie, actual, DAY, DAY + H24).exists()
    assert shift.roster(alice, actual, DAY, DAY + H24).count() == 1
    with pytest.raises(Problem) as refused:
        shift.save_duty(Act(charlie, actual), post=duty_post.pk, person=charlie.person_id, starts_at=DAY + H24, ends_at=DAY + 2 * H24)
    assert refused.value.kind is FORBIDDEN
    with pytest.raises(Problem):
        shift.remove_duty(Act(charlie, actual), entry=RosterEntry.objects.everything().get().pk)


# --- swaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_swap_changes_the_roster_only_when_the_other_accepts(duty, alice, bob, actual, duty_post):
    mine, his = duty(alice), duty(bob, DAY + H24)
    swap = shift.ask_swap(Act(alice, actual), entry=mine.pk, asked_of=bob.person_id, in_return=his.pk, reason="体检")
    mine.refresh_from_db()
    assert mine.person_id == alice.person_id
    assert "shift.swap" in [item.kind for item in work.waiting_for(bob, actual)]
    shift.answer_swap(Act(bob, actual), swap=swap.pk, accept=True)
    mine.refresh_from_db(), his.refresh_from_db()
    assert (mine.person_id, his.person_id) == (bob.person_id, alice.person_id)
    assert "shift.swap" not in [item.kind for item in work.waiting_for(bob, actual)]
    with pytest.raises(Problem) as refused:
        shift.answer_swap(Act(bob, actual), swap=swap.pk, accept=True)
    assert refused.value.kind is ILLEGAL_STEP


@pytest.mark.django_db
def test_nobody_accepts_for_another_and_nobody_offers_what_is_not_his(duty, alice, bob, charlie, commander, actual):
    mine, his = duty(alice), duty(bob, DAY + H24)
    with pytest.raises(Problem) as refused:
        shift.ask_swap(Act(alice, actual), entry=his.pk, asked_of=bob.person_id)
    assert refused.value.kind is shift.NOT_YOURS
    with pytest.raises(Problem) as refused:
        shift.ask_swap(Act(alice, actual), entry=mine.pk, asked_of=charlie.person_id)
    assert refused.value.kind is shift.NOT_HOLDING
    swap = shift.ask_swap(Act(alice, actual), entry=mine.pk, asked_of=bob.person_id)
    for actor in (alice, charlie, commander):
        with pytest.raises(Problem) as refused:
            shift.answer_swap(Act(actor, actual), swap=swap.pk, accept=True)
        assert refused.value.kind is shift.NOT_YOURS
    assert not Swap.objects.seen_by(charlie, actual).exists()
    assert shift.answer_swap(Act(alice, actual), swap=swap.pk, accept=False).state == "withdrawn"


# --- log and hand-over ------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_log_is_corrected_by_a_further_line(alice, actual, duty_post):
    first = shift.note(Act(alice, actual), post=duty_post.pk, text="20:10 接到电话")
    second = shift.note(Act(alice, actual), post=duty_post.pk, text="应为20:15", corrects=first.pk)
    assert list(first.corrections.all()) == [second] and ShiftNote.objects.of(actual).count() == 2


@pytest.mark.django_db
def test_the_whole_log_is_a_list_of_its_realm_that_nobody_changes(client, signed_in, alice, charlie, actual, exercise, duty_post):
    first = shift.note(Act(alice, actual), post=duty_post.pk, text="20:10 接到水库电话")
    shift.note(Act(alice, actual), post=duty_post.pk, text="应为20:15", corrects=first.pk)
    shift.note(Act(alice, exercise), post=duty_post.pk, text="演练：水库告急")
    signed_in(client, alice)
    page = client.get("/shift/log?q=水库").content.decode()
    assert "20:10 接到水库电话" in page and "演练：水库告急" not in page and duty_post.name in page
    assert "20:10 接到水库电话" in client.get("/shift/log/print").content.decode() and client.get("/shift/log/export").status_code == 200
    lines = client.get(f"/api/v1/registers/kernel.shift_log?q={duty_post.name}").json()["items"]
    assert {line["values"]["correction"] for line in lines} == {"", "20:10 接到水库电话"}
    for way, address in (("post", ""), ("patch", f"/{first.pk}")):
        answer = getattr(client, way)(f"/api/v1/registers/kernel.shift_log{address}", {"values": {"text": "x"}, "changes": {"text": "x"}}, content_type="application/json")
        assert answer.status_code == 409, answer.content
    signed_in(client, charlie)
    assert "水库" not in client.get("/shift/log").content.decode() and client.get("/api/v1/registers/kernel.shift_log").json()["items"] == []


@pytest.mark.django_db
def test_an_outsider_writes_no_log(charlie, actual, duty_post):
    with pytest.raises(Problem) as refused:
        shift.note(Act(charlie, actual), post=duty_post.pk, text="x")
    assert refused.value.kind is FORBIDDEN


@action("tests.open_things")
def open_things(act, *, post):
    work.open(act, post=post, kind="tests.thing", subject="thing:1", msgid="Something waits", level="red")
    orders.issue(act, post=post, text="巡查堤防", source="tests:1")


@pytest.mark.django_db
def test_the_hand_over_freezes_what_is_open_and_needs_both_signatures(alice, bob, actual, duty_post):
    open_things(Act(alice, actual), post=duty_post.pk)
    sheet = shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id, remarks="关注东河水位")
    assert {item["kind"] for item in sheet.items} == {"work", "order"} and sheet.items[1]["text"] == "巡查堤防"
    work_item_gone = sheet.items
    shift.sign_hand_over(Act(alice, actual), hand_over=sheet.pk, digest=sheet.digest)
    sheet.refresh_from_db()
    assert sheet.state == "written" and sheet.taken_signed_at is None
    shift.sign_hand_over(Act(bob, actual), hand_over=sheet.pk, digest=sheet.digest)
    sheet.refresh_from_db()
    assert sheet.state == "signed" and sheet.items == work_item_gone
    assert [f.payload_row.payload["complete"] for f in Fact.objects.filter(kind="kernel.HandOverSigned").order_by("recorded_at")] == [False, True]


@pytest.mark.django_db
def test_a_hand_over_that_was_touched_cannot_be_signed(alice, bob, actual, duty_post):
    sheet = shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id)
    HandOver.objects.of(actual).filter(pk=sheet.pk).update(remarks="另加一句")
    with pytest.raises(Problem) as refused:
        shift.sign_hand_over(Act(bob, actual), hand_over=sheet.pk, digest=sheet.digest)
    assert refused.value.kind is shift.CHANGED_SINCE


@pytest.mark.django_db
def test_a_shift_is_handed_to_another_person_who_holds_the_post(alice, charlie, actual, duty_post):
    with pytest.raises(Problem) as refused:
        shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=alice.person_id)
    assert refused.value.kind is SAME_PERSON
    with pytest.raises(Problem) as refused:
        shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=charlie.person_id)
    assert refused.value.kind is shift.NOT_HOLDING


@pytest.mark.django_db
def test_the_database_refuses_one_person_on_both_sides_and_a_signed_state_without_signatures(alice, bob, actual, duty_post):
    sheet = shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id)
    for change in ({"taken_by_id": alice.person_id}, {"state": "signed"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            HandOver.objects.of(actual).filter(pk=sheet.pk).update(**change)


@pytest.mark.django_db
def test_a_stranger_signs_nothing(alice, bob, commander, actual, duty_post):
    sheet = shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id)
    with pytest.raises(Problem) as refused:
        shift.sign_hand_over(Act(commander, actual), hand_over=sheet.pk, digest=sheet.digest)
    assert refused.value.kind is shift.NOT_YOURS


# --- sheets -----------------------------------------------------------------------------------------------------------


def sheet_of(*rows, head=("单位", "岗位", "角色", "姓名", "开始", "结束", "备注")):
    book = Workbook()
    book.active.append(["甲县2030年7月值班表"])
    book.active.append(list(head))
    for row in rows:
        book.active.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


ROW = ["甲县应急管理局", "值班员", "A角", "alice", "2030-07-20 08:00", datetime(2030, 7, 21, 8, 0), ""]  # noqa: DTZ001  (a spreadsheet knows no zone)


@pytest.mark.django_db
def test_a_sheet_becomes_a_roster_in_local_time_and_again_changes_nothing(alice, bob, actual, duty_post):
    content = sheet_of(ROW, ["", "值班员", "带班领导", "bob", "2030/7/20 8:00", "2030-07-21 08:00", "电话值守"])
    assert shift.import_roster(Act(alice, actual), content) == {"new": 2, "changed": 0, "same": 0}
    entry = RosterEntry.objects.of(actual).get(role="A")
    assert (entry.starts_at, entry.ends_at) == (DAY, DAY + H24)
    assert shift.import_roster(Act(alice, actual), content) == {"new": 0, "changed": 0, "same": 2}
    changed = sheet_of([*ROW[:3], "bob", *ROW[4:]])
    assert shift.import_roster(Act(alice, actual), changed) == {"new": 0, "changed": 1, "same": 0}


@pytest.mark.django_db
def test_every_wrong_row_is_named_and_nothing_is_taken(alice, actual, duty_post):
    content = sheet_of(
        ROW, ["", "不存在的岗位", "A", "alice", "2030-07-22 08:00", "2030-07-23 08:00", ""], ["", "值班员", "C", "无此人", "昨天", "2030-07-23 08:00", ""],
        ["", "值班员", "A", "alice", "2030-07-20 20:00", "2030-07-20 09:00", ""],
    )
    with pytest.raises(Problem) as refused:
        shift.import_roster(Act(alice, actual), content)
    said = {field["field"] for field in refused.value.fields}
    assert len(refused.value.fields) == 5 and any("4" in one for one in said) and any("6" in one for one in said)
    assert not RosterEntry.objects.of(actual).exists()


@pytest.mark.django_db
def test_rows_that_overlap_each_other_are_named(alice, bob, actual, duty_post):
    content = sheet_of(ROW, ["", "值班员", "A", "bob", "2030-07-20 20:00", "2030-07-21 20:00", ""])
    with pytest.raises(Problem) as refused:
        shift.import_roster(Act(alice, actual), content)
    assert refused.value.kind is sheets.ROW_ERRORS and len(refused.value.fields) == 1


@pytest.mark.django_db
def test_an_outsider_finds_no_posts_in_the_sheet(charlie, alice, actual, duty_post):
    with pytest.raises(Problem) as refused:
        shift.import_roster(Act(charlie, actual), sheet_of(ROW))
    assert refused.value.kind is sheets.ROW_ERRORS and not RosterEntry.objects.of(actual).exists()


def zipped(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name.replace("__", "/") + ".xml", content)
    return out.getvalue()


@pytest.mark.parametrize("content", [
    b"", b"not a sheet", b"PK\x03\x04broken", zipped(a="<x/>"), zipped(xl__workbook='<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'), zipped(bomb="0" * 70_000_000),
    sheet_of(["", "=cmd|' /C calc'!A0", "A", "alice", "2030-07-20 08:00", "2030-07-21 08:00"]), b"x" * (sheets.MAX_BYTES + 1),
    sheet_of(["1"], head=("完全", "不同", "的表")),
], ids=["empty", "text", "broken", "no-book", "doctype", "bomb", "formula", "large", "other"])
@pytest.mark.django_db
def test_hostile_sheets_are_refused_with_a_reason(alice, actual, content):
    with pytest.raises(Problem) as refused:
        shift.import_roster(Act(alice, actual), content)
    assert refused.value.kind.code in ("kernel.bad_sheet", "kernel.too_large")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=30))
def test_no_exported_cell_begins_as_a_formula(text):
    out = sheets.escape(text)
    assert not str(out).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_an_export_carries_who_took_it_out():
    book = load_workbook(io.BytesIO(sheets.write("名单", ["姓名"], [["=HYPERLINK(1)"]], watermark="甲县 张三 2030-07-20")))
    sheet = book.active
    assert sheet["A1"].value == "甲县 张三 2030-07-20" and sheet["A3"].value == "'=HYPERLINK(1)"
    assert "张三" in sheet.oddFooter.center.text


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_both_sign_at_the_duty_computer_with_their_own_secret(client, alice, bob, actual, duty_post, signed_in):
    sheet = shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id)
    signed_in(client, alice)
    url = f"/shift/hand-over/{sheet.pk}"
    sign = lambda person, secret: client.post(url, {"do": "sign", "person": str(person), "secret": secret, "digest": sheet.digest})  # noqa: E731
    assert sign(bob.person_id, "wrong").status_code == 200
    sheet.refresh_from_db()
    assert sheet.taken_signed_at is None
    assert sign(bob.person_id, "correct horse battery").status_code == 302
    assert sign(alice.person_id, "correct horse battery").status_code == 302
    sheet.refresh_from_db()
    assert sheet.state == "signed"
    fact = Fact.objects.filter(kind="kernel.HandOverSigned").order_by("recorded_at").first()
    assert fact.account == Account.objects.get(name="bob").pk
