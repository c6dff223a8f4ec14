"""The pages of registers: who sees what, what is covered, what is merged, and what goes onto paper.

The rooms above bring the registers; what is proved here holds for every one, on the register of rescue teams.
"""
from __future__ import annotations

import io
import re

import openpyxl
import pytest
from django.test import Client
from django.urls import reverse

from anlan.kernel.actions import Act
from anlan.kernel.models import AccessLog, FieldConflict, Grant, RegisterChange, SavedView
from anlan.kernel.registers import REGISTERS, actions
from anlan.runtime.testing import make_actor, make_post

pytestmark = pytest.mark.django_db
TEAM = "resources.team"


@pytest.fixture
def team(alice, actual, county):
    return actions.create(Act(alice, actual), register=TEAM, values={
        "code": "JY-1", "name": "甲县蓝天救援队", "kind": "social", "grade": "1", "grade_evidence": "2025 test", "members": 40, "leader": "张建国", "leader_phone": "13812345678", "point": [119.2, 28.2],
    })


@pytest.fixture
def reader(county):
    """May read the teams of the county, and nothing else."""
    return make_actor("reader", make_post("网格员", county, capabilities=["resources.read"]))


def at(page: str, *args: object) -> str:
    return reverse(f"kernel:{page}", args=[TEAM, *args])


def page(client: Client, address: str, code: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == code, (address, answer.status_code, answer.content[:500])
    return answer.content.decode()


@pytest.mark.parametrize("language", ["zh-hans", "en"])
def test_every_page_opens_without_inline_script_or_style(client, signed_in, alice, team, language):
    signed_in(client, alice)
    client.cookies["django_language"] = language
    for address in [
        reverse("kernel:registers"), *(at(name) for name in ("register", "register_map", "register_new", "register_import", "register_print", "register_labels")),
        *(at(name, team.pk) for name in ("register_row", "register_edit", "register_paper", "register_label")),
    ]:
        text = page(client, address)
        outside_svg = re.sub(r"<svg.*?</svg>", "", text, flags=re.S)
        assert " style=" not in outside_svg and "<style" not in text and "onclick" not in text, address


def test_an_outsider_sees_nothing(signed_in, charlie, alice, team):
    other = signed_in(Client(), charlie)
    assert "甲县蓝天救援队" not in page(other, at("register"))
    assert "甲县蓝天救援队" not in page(other, at("register") + "?ended=all&q=蓝天")
    assert "甲县蓝天救援队" not in page(other, at("register_print")) and "甲县蓝天救援队" not in page(other, at("register_labels"))
    assert other.get(at("register_map_points") + "?bbox=118,27,121,30&zoom=9").json()["features"] == []
    for name in ("register_row", "register_edit", "register_paper", "register_label"):
        page(other, at(name, team.pk), 404)
    for name in ("register_verify", "register_end", "register_relist", "register_restore", "register_reveal", "register_decide"):
        assert other.post(at(name, team.pk), {"reason": "x", "purpose": "x", "keep": "ours"}).status_code == 404, name
    assert other.post(at("register_chosen"), {"do": "verify", "row": str(team.pk), "sure": "1"}).status_code in (302, 404)
    team.refresh_from_db()
    assert team.version == 1 and team.ended_at is None
    book = openpyxl.load_workbook(io.BytesIO(other.get(at("register_export")).content))
    assert "蓝天" not in str([cell for row in book.active.iter_rows(values_only=True) for cell in row])


def test_whoever_reads_the_register_nowhere_does_not_find_it(signed_in, county, team):
    stranger = signed_in(Client(), make_actor("stranger", make_post("司机", county, capabilities=["contacts.read"])))
    assert "resources.team" not in page(stranger, reverse("kernel:registers"))
    page(stranger, at("register"), 403)
    page(stranger, at("register_map_points") + "?bbox=118,27,121,30&zoom=9", 403)
    page(stranger, reverse("kernel:register", args=["nobody.knows"]), 404)


def test_a_reader_reads_and_cannot_write(client, signed_in, reader, team):
    signed_in(client, reader)
    text = page(client, at("register")) + page(client, at("register_row", team.pk))
    assert "甲县蓝天救援队" in text and at("register_edit", team.pk) not in text and at("register_new") not in text and at("register_verify", team.pk) not in text
    for address in (at("register_new"), at("register_import"), at("register_edit", team.pk)):
        page(client, address, 403)
    assert client.post(at("register_verify", team.pk)).status_code == 403


def test_personal_fields_are_covered_and_shown_for_a_purpose_that_is_kept(client, signed_in, alice, reader, team):
    signed_in(client, alice)
    for address in (at("register") + "?col=leader_phone&col=leader", at("register_row", team.pk), at("register_print") + "?col=leader_phone", at("register_paper", team.pk), at("register_label", team.pk)):
        text = page(client, address)
        assert "13812345678" not in text and "张建国" not in text, address
    assert "138****5678" in page(client, at("register_row", team.pk))
    before = AccessLog.objects.count()
    assert client.post(at("register_reveal", team.pk), {"purpose": " "}).status_code == 422 and AccessLog.objects.count() == before
    shown = client.post(at("register_reveal", team.pk), {"purpose": "调派"})
    assert "13812345678" in shown.content.decode() and "张建国" in shown.content.decode() and "no-store" in shown["Cache-Control"]
    note = AccessLog.objects.order_by("-at").first()
    assert (note.purpose, sorted(note.fields), note.subject, note.person) == ("调派", ["leader", "leader_phone"], f"team:{team.pk}", alice.person_id)
    # Without the field's own capability there is nothing to press, and pressing all the same shows nothing.
    other = signed_in(Client(), reader)
    assert 'id="reveal"' not in page(other, at("register_row", team.pk))
    refused = other.post(at("register_reveal", team.pk), {"purpose": "调派"}).content.decode()
    assert "13812345678" not in refused and "张建国" not in refused


def test_a_field_may_be_closed_to_the_writer_of_the_others(client, signed_in, county, team):
    keeper = make_actor("keeper", make_post("队伍管理", county, capabilities=["resources.read", "resources.write"]))
    signed_in(client, keeper)
    form = page(client, at("register_edit", team.pk))
    assert 'name="readiness"' not in form and 'name="members"' in form and "13812345678" not in form
    base = re.search(r'name="_seen" value="([^"]*)"', form).group(1)
    assert "13812345678" not in base and "张建国" not in base
    client.post(at("register_edit", team.pk), {**_form(client, team), "members": "41", "readiness": "resting"})
    team.refresh_from_db()
    assert (team.members, team.leader_phone) == (41, "13812345678") and team.readiness != "resting"


def test_a_row_of_another_region_cannot_be_made(client, signed_in, alice, county2):
    signed_in(client, alice)
    answer = client.post(at("register_new"), {"code": "X-1", "name": "乙县队", "kind": "social", "grade": "1", "grade_evidence": "x", "members": "3", "point_lon": "119.6", "point_lat": "28.1"})
    assert answer.status_code in (200, 403) and not REGISTERS[TEAM].rows().filter(code="X-1").exists()


def test_wrong_entries_are_said_beside_their_fields(client, signed_in, alice, county):
    signed_in(client, alice)
    answer = client.post(at("register_new"), {"code": "X 1", "name": "", "kind": "social", "members": "二十", "full_time": "900000", "point_lon": "200", "point_lat": "28"})
    text = answer.content.decode()
    for name in ("name", "point"):
        assert re.search(rf'<div class="field invalid" id="field-{name}"', text), name
    answer = client.post(at("register_new"), {"code": "X 1", "name": "队", "kind": "social", "members": "二十", "full_time": "900000"})
    text = answer.content.decode()
    for name in ("code", "members", "full_time"):
        assert re.search(rf'<div class="field invalid" id="field-{name}"', text), name
    assert 'value="二十"' in text, "what was typed stays"


def _form(client, team):
    """The form as a browser would send it back unchanged."""
    import html

    text = page(client, at("register_edit", team.pk))
    sent = {}
    main = text[text.index("register-form"):]
    for tag in re.findall(r"<input[^>]*>", main):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and ('type="checkbox"' not in tag or " checked" in tag):
            sent.setdefault(name.group(1), []).append(html.unescape(value.group(1)) if value else "")
    for name, inside in re.findall(r'<select name="([^"]*)"[^>]*>(.*?)</select>', main, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', inside)
        sent[name] = [html.unescape(chosen.group(1)) if chosen else ""]
    for name, inside in re.findall(r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', main, re.S):
        sent[name] = [html.unescape(inside).strip("\n")]
    return sent


def test_a_form_sent_back_unchanged_changes_nothing(client, signed_in, alice, team):
    signed_in(client, alice)
    client.post(at("register_edit", team.pk), _form(client, team))
    team.refresh_from_db()
    assert team.version == 1


def test_two_forms_open_at_once_merge_and_what_they_dispute_is_decided(client, signed_in, alice, bob, team):
    signed_in(client, alice)
    second = signed_in(Client(), bob)
    hers, his = _form(client, team), _form(second, team)
    client.post(at("register_edit", team.pk), {**hers, "members": "45", "note": "新增冲锋舟"})
    second.post(at("register_edit", team.pk), {**his, "members": "60", "vehicles": "7"})
    team.refresh_from_db()
    assert (team.members, team.vehicles, team.note) == (45, 7, "新增冲锋舟"), "what only one changed is merged; the first value stays until somebody decides"
    text = page(client, at("register_row", team.pk))
    assert 'id="conflicts"' in text and "45" in text and "60" in text
    conflict = FieldConflict.objects.get(row=team.pk)
    client.post(at("register_decide", team.pk), {"conflict": str(conflict.pk), "keep": "theirs"})
    team.refresh_from_db()
    assert team.members == 60 and 'id="conflicts"' not in page(client, at("register_row", team.pk))


def test_earlier_values_can_be_put_back_and_an_ended_entry_too(client, signed_in, alice, actual, team):
    signed_in(client, alice)
    actions.change(Act(alice, actual), register=TEAM, row=team.pk, changes={"members": 55, "leader_phone": "13900001111"})
    client.post(at("register_restore", team.pk), {"change": "2"})
    team.refresh_from_db()
    assert (team.members, team.leader_phone, team.version) == (40, "13812345678", 3)
    text = page(client, at("register_row", team.pk))
    assert "13900001111" not in text and "139****1111" in text, "history is covered too"
    client.post(at("register_end", team.pk), {"reason": "撤销"})
    assert team.name not in page(client, at("register")) and team.name in page(client, at("register") + "?ended=yes")
    client.post(at("register_relist", team.pk))
    assert team.name in page(client, at("register"))


def test_filters_are_a_link_and_views_are_mine_or_my_posts(client, signed_in, alice, bob, charlie, actual, team):
    signed_in(client, alice)
    actions.create(Act(alice, actual), register=TEAM, values={"code": "JY-2", "name": "矿山队", "kind": "department", "point": [119.1, 28.1]})
    text = page(client, at("register") + "?kind=department&sort=-name")
    assert "矿山队" in text and "甲县蓝天救援队" not in text and "chip-on" in text
    client.post(at("register_views"), {"name": "专业", "query": "kind=department&sort=-name&page=7"})
    client.post(at("register_views"), {"name": "本岗位", "query": "stale=yes", "shared": "1"})
    assert "kind=department" in page(client, at("register"))
    colleague, outsider = page(signed_in(Client(), bob), at("register")), page(signed_in(Client(), charlie), at("register"))
    assert "本岗位" in colleague and ">专业<" not in colleague and "本岗位" not in outsider
    shared = SavedView.objects.get(name="本岗位")
    signed_in(Client(), bob).post(at("register_views"), {"drop": str(shared.pk)})
    assert SavedView.objects.filter(pk=shared.pk).exists(), "only its owner drops a view"
    page(client, at("register") + "?sort=nonsense&page=999999999&col=nonsense&nonsense=1")
    page(client, at("register") + "?region=nonsense", 422)


def test_many_at_once_is_all_or_none(client, signed_in, alice, charlie, actual, team, county2):
    theirs = actions.create(Act(charlie, actual), register=TEAM, values={"code": "YX-1", "name": "乙县队", "kind": "department", "members": 9, "point": [119.6, 28.1]})
    signed_in(client, alice)
    second = actions.create(Act(alice, actual), register=TEAM, values={"code": "JY-2", "name": "矿山队", "kind": "department", "point": [119.1, 28.1]})
    rows = [str(team.pk), str(second.pk)]
    asked = client.post(at("register_chosen"), {"do": "change", "row": rows}).content.decode()
    assert "矿山队" in asked and 'name="set" value="vehicles"' in asked and 'name="set" value="code"' not in asked and 'name="set" value="leader_phone"' not in asked
    client.post(at("register_chosen"), {"do": "change", "row": rows, "sure": "1", "set": "vehicles", "to-vehicles": "3", "to-members": "999"})
    team.refresh_from_db(), second.refresh_from_db()
    assert (team.vehicles, second.vehicles, team.members) == (3, 3, 40)
    client.post(at("register_chosen"), {"do": "change", "row": [*rows, str(theirs.pk)], "sure": "1", "set": "vehicles", "to-vehicles": "8"})
    team.refresh_from_db(), theirs.refresh_from_db()
    assert (team.vehicles, theirs.vehicles) == (3, 0), "one row out of reach refuses all"
    client.post(at("register_chosen"), {"do": "verify", "all": "2", "query": "kind=department", "sure": "1"})
    assert RegisterChange.objects.filter(op="verify").values_list("row", flat=True).get() == second.pk, "all under the filter is what the person reads, no more"


def test_a_long_selection_is_done_in_the_background_with_its_progress(client, signed_in, alice, bob, actual, team, monkeypatch):
    from types import SimpleNamespace

    from anlan.kernel.registers import importing

    begun = []
    monkeypatch.setattr(importing, "AT_ONCE", 0)
    monkeypatch.setattr(importing, "connection", SimpleNamespace(close=lambda: None))  # this one is the test's own
    monkeypatch.setattr(importing.threading, "Thread", lambda target, **_more: SimpleNamespace(start=lambda: begun.append(target)))
    signed_in(client, alice)
    where = client.post(at("register_chosen"), {"do": "verify", "all": "1", "query": "", "sure": "1"})["Location"]
    running = page(client, where)
    assert "<progress" in running and f"{where}/stop" in running
    page(signed_in(Client(), bob), where, 404)
    begun.pop()()
    assert "已标记核实 1 条。" in page(client, where) and RegisterChange.objects.get(op="verify").row == team.pk
    where = client.post(at("register_chosen"), {"do": "end", "all": "1", "query": "", "sure": "1", "reason": "x"})["Location"]
    client.post(f"{where}/stop")
    begun.pop()()
    team.refresh_from_db()
    assert "<progress" not in page(client, where) and team.ended_at is None
    where = client.post(at("register_chosen"), {"do": "change", "all": "1", "query": "", "sure": "1", "set": "vehicles", "to-vehicles": "3"})["Location"]
    begun.pop()()
    assert "已修改 1 条，0 条原本相同。" in page(client, where)


def test_the_import_wizard_keeps_what_is_wrong_apart(client, signed_in, alice, bob, actual, team):
    signed_in(client, alice)
    sheet = "队伍编号\t队伍名称\t类型\t人数\t经度\t纬度\nJY-1\t甲县蓝天救援队\t\t４４\t\t\nN-1\t新队\tdepartment\t20\t119.1\t28.1\nN-2\t坏队\t不存在\t二十\t119.1\t28.1\n"
    answer = client.post(at("register_import"), {"pasted": sheet})
    columns = answer["Location"]
    assert client.get(columns).status_code == 200
    assert signed_in(Client(), bob).get(columns).status_code == 404, "an upload belongs to who brought it"
    chosen = {f"column_{number}": value for number, value in enumerate(["code", "name", "kind", "members", "point.lon", "point.lat"])}
    twice = client.post(columns, {**chosen, "column_1": "code", "header": "0"})
    assert twice.status_code == 422
    look = client.post(columns, {**chosen, "header": "0"})["Location"]
    text = page(client, look)
    assert "不存在" in text and "<del>40" in text and "<ins>44" in text and not REGISTERS[TEAM].rows().filter(code="N-1").exists()
    refused = openpyxl.load_workbook(io.BytesIO(client.get(look.replace("/look", "/refused.xlsx")).content))
    cells = [cell for row in refused.active.iter_rows(values_only=True) for cell in row]
    assert "坏队" in cells and "新队" not in cells
    done = client.post(look.replace("/look", "/run"))["Location"]
    page(client, done)
    team.refresh_from_db()
    assert team.members == 44 and REGISTERS[TEAM].rows().filter(code="N-1").exists() and not REGISTERS[TEAM].rows().filter(code="N-2").exists()
    # What came of it is on the import page for a month; page and file of refused rows only for who brought the sheet.
    earlier = page(client, at("register_import"))
    assert "1 行" in earlier and look.replace("/look", "/refused.xlsx") in earlier and done in earlier
    others = page(signed_in(Client(), bob), at("register_import"))
    assert "alice" in others and look.replace("/look", "/refused.xlsx") not in others
    assert client.post(at("register_import"), {"pasted": "x"}).status_code in (302, 422) and client.post(at("register_import"), {}).status_code == 422


def test_labels_lead_to_their_entry(client, signed_in, alice, team):
    import segno

    signed_in(client, alice)
    expected = segno.make(f"http://testserver{at('register_label', team.pk)}", error="m", micro=False).svg_inline(border=2, omitsize=True, dark="#000", light="#fff")
    assert expected in page(client, at("register_labels"))
    assert at("register_verify", team.pk) in page(client, at("register_label", team.pk))


def test_in_an_exercise_registers_are_read_not_written(client, signed_in, alice, exercise, team):
    signed_in(client, alice)
    session = client.session
    session["realm"] = str(exercise.pk)
    session.save()
    text = page(client, at("register_row", team.pk))
    assert team.name in text and at("register_verify", team.pk) not in text
    page(client, at("register_new"), 409)
    assert client.post(at("register_verify", team.pk)).status_code == 409


def test_the_index_says_who_may_edit_and_how_fresh(client, signed_in, alice, team):
    Grant.objects.filter(capability="resources.write").exclude(post_id=alice.post_id).delete()
    text = page(signed_in(client, alice), reverse("kernel:registers"))
    assert at("register") in text and "100" in text and "值班员" in text
