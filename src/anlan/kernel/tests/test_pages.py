"""Every page of the kernel: opens for its people, is closed to outsiders, and loads nothing it may not."""
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from anlan.kernel import clock, codes, search, shift
from anlan.kernel.actions import Act
from anlan.kernel.errors import KINDS, NOT_FOUND, Kind, Problem
from anlan.kernel.models import AccessLog, Account, Fact, Organisation, Person, SearchEntry, TwoPersonRequest
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get, importing, queries, reading
from anlan.kernel.templatetags import anlan as tags

PLAIN = ["shift", "duty_new", "roster_import", "hand_over_new", "contacts", "contacts_print", "contact_new", "search", "codes", "places", "places_import", "admin", "organisations", "posts", "accounts", "requests", "logs", "account", "password", "change_person", "second_factor"]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("language", ["zh-hans", "en"])
@pytest.mark.django_db
def test_the_page_opens_for_the_duty_officer(client, alice, bob, signed_in, actual, name, language):
    from anlan.kernel.models import Account

    Account.objects.filter(pk=alice.account_id).update(totp_secret="JBSWY3DPEHPK3PXP")
    client.cookies["django_language"] = language
    answer = signed_in(client, alice).get(reverse(f"kernel:{name}"))
    assert answer.status_code == 200, answer.content[:400]
    page = answer.content.decode()
    assert " style=" not in page and "<style" not in page and "onclick" not in page
    assert answer["Content-Security-Policy"].startswith("default-src 'self'") and answer["Cache-Control"] != ""


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.django_db
def test_the_page_is_closed_to_whoever_is_not_signed_in(client, db, name):
    assert client.get(reverse(f"kernel:{name}")).status_code == 302


@pytest.fixture
def rows(alice, bob, actual, duty_post, county):
    """One row of each kind with a page of its own."""
    from datetime import timedelta

    start = clock.now() + timedelta(days=1)
    entry = shift.save_duty(Act(alice, actual), post=duty_post.pk, person=alice.person_id, starts_at=start, ends_at=start + timedelta(hours=12))
    request = TwoPersonRequest.objects.create(kind="factor_reset", payload={"account": str(bob.account_id)}, reason="x", requested_by_id=bob.person_id, requested_at=clock.now())
    return {
        "duty": entry.pk, "ask_swap": entry.pk, "swap": shift.ask_swap(Act(alice, actual), entry=entry.pk, asked_of=bob.person_id).pk,
        "hand_over": shift.write_hand_over(Act(alice, actual), post=duty_post.pk, taken_by=bob.person_id).pk, "contact": bob.person_id, "contact_edit": bob.person_id,
        "organisation": duty_post.organisation_id, "post": duty_post.pk, "request": request.pk,
    }


@pytest.mark.django_db
def test_a_rows_page_opens_for_its_people_and_is_not_there_for_an_outsider(client, alice, charlie, signed_in, rows):
    from django.test import Client

    outside = signed_in(Client(), charlie)
    signed_in(client, alice)
    for name, key in rows.items():
        url = reverse(f"kernel:{name}", args=[key])
        assert client.get(url).status_code == 200, name
        if name == "request":
            continue  # shown to administrators; the acts on it are refused by region (test_parties)
        assert outside.get(url).status_code == 404, name
    for name in ("duty", "swap", "hand_over", "contact_edit", "post", "organisation"):
        assert outside.post(reverse(f"kernel:{name}", args=[rows[name]]), {"do": "accept"}).status_code in (403, 404), name


@pytest.mark.django_db
def test_lists_hold_nothing_of_the_neighbour(client, alice, bob, charlie, signed_in, rows):
    signed_in(client, charlie)
    for name in ("shift", "contacts", "contacts_print", "posts", "organisations", "accounts"):
        page = client.get(reverse(f"kernel:{name}")).content.decode()
        assert "alice" not in page and "甲县应急管理局" not in page, name
    assert "bob" not in client.get("/search?q=bob").content.decode().split("<main")[1].replace('value="bob"', "").split("toast")[0].replace("q=bob", "")


# --- one shape of errors -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_problem_is_a_page_for_people_and_json_for_programs(client, alice, signed_in):
    signed_in(client, alice)
    url = reverse("kernel:contact", args=[uuid.uuid4()])
    page = client.get(url)
    assert page.status_code == 404 and "kernel.not_found" in page.content.decode()
    data = client.get(url, headers={"Accept": "application/json"})
    assert data.status_code == 404 and set(data.json()["error"]) == {"code", "message", "blame", "data", "fields"}
    part = client.get(url, headers={"HX-Request": "true"})
    assert part.status_code == 404 and part["X-Problem"] == "kernel.not_found" and b"<html" not in part.content


@pytest.mark.django_db
def test_what_nobody_foresaw_gets_a_reference_and_no_traceback(client, alice, signed_in, monkeypatch):
    signed_in(client, alice)

    def broken(*args, **kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(shift, "on_duty", broken)
    client.raise_request_exception = False
    answer = client.get("/shift", headers={"Accept": "application/json"})
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "kernel.unexpected" and error["blame"] == "ours" and len(error["data"]["reference"]) == 8
    assert "secret detail" not in answer.content.decode()


@pytest.mark.django_db
def test_an_act_that_needs_the_second_factor_leads_there_and_back(client, alice, signed_in, rows):
    from dataclasses import replace

    signed_in(client, replace(alice, second_factor=False))
    answer = client.get("/admin/accounts")
    assert answer.status_code == 302 and answer["Location"] == "/second-factor?next=%2Fadmin%2Faccounts"


@pytest.mark.django_db
def test_the_way_back_never_leaves_the_house(client, alice):
    for target in ("https://evil.example/", "//evil.example/", "javascript:alert(1)"):
        answer = client.post("/sign-in", {"name": "alice", "password": "correct horse battery", "next": target})
        assert answer.status_code == 302 and "evil" not in answer["Location"] and "javascript" not in answer["Location"]


@pytest.mark.django_db
def test_the_language_is_the_installations_not_the_browsers(client, db):
    page = client.get("/sign-in", headers={"Accept-Language": "en-US,en"})
    assert page["Content-Language"] == "zh-hans"
    client.cookies["django_language"] = "en"
    assert client.get("/sign-in")["Content-Language"] == "en"


@pytest.mark.django_db
def test_a_repeated_form_is_one_act(client, alice, actual, signed_in, duty_post):
    signed_in(client, alice)
    form = {"do": "note", "text": "电话报告", "op_id": str(uuid.uuid4())}
    assert client.post(f"/shift?post={duty_post.pk}", form).status_code == client.post(f"/shift?post={duty_post.pk}", form).status_code == 302
    assert Fact.objects.filter(kind="kernel.ShiftNoted").count() == 1


@pytest.mark.django_db
def test_a_form_seen_at_an_older_version_is_refused(client, alice, actual, signed_in, duty_post):
    signed_in(client, alice)
    unit = duty_post.organisation
    form = {"name": unit.name, "name_en": "Bureau", "kind": unit.kind, "region": str(unit.region_id), "version": str(unit.version)}
    url = reverse("kernel:organisation", args=[unit.pk])
    assert client.post(url, form).status_code == 302
    again = client.post(url, form | {"name_en": "Office"})
    assert again.status_code == 200 and again.context["form"].non_field_errors()
    unit.refresh_from_db()
    assert unit.name_en == "Bureau"


# --- contacts ------------------------------------------------------------------------------------------------------------

CONTACT = "kernel.contact"


@pytest.fixture
def zhang(alice, actual, duty_post):
    return registers.create(Act(alice, actual), register=CONTACT, values={"name": "张晓伟", "organisation": str(duty_post.organisation_id), "title": "站长", "mobile": "13812345678", "email": "z@example.org"})


def found(actor, text):
    return {row.name for row in queries.listed(actor, get(CONTACT), q=text).rows}


@pytest.mark.parametrize("text", ["张晓", "晓伟", "zhangx", "zxw", "ZXW", "站长", "甲县 张", "12345678"])
@pytest.mark.django_db
def test_a_person_is_found_by_name_pinyin_initials_title_and_office(alice, zhang, text, monkeypatch):
    from anlan.kernel import access

    if text.isdigit():
        monkeypatch.setattr(access, "regions", lambda actor, capability: access.ALL)
    assert found(alice, text) == {"张晓伟"}


@pytest.mark.django_db
def test_a_person_is_found_by_the_post_he_holds(alice, duty_post):
    assert "alice" in found(alice, duty_post.name[:2]) and "alice" in found(alice, f"{duty_post.name} ali")


@pytest.mark.django_db
def test_a_number_is_no_way_to_find_a_person_for_those_who_may_not_see_it(reader, zhang):
    assert found(reader, "张晓伟") and not found(reader, "12345678")


@pytest.fixture
def reader(county):
    from anlan.runtime.testing import make_actor, make_post

    return make_actor("reader", make_post("联络员", county, capabilities=["contacts.read"]))


@pytest.mark.django_db
def test_numbers_are_masked_without_the_right_and_each_look_is_kept(client, reader, zhang, signed_in, actual):
    signed_in(client, reader)
    url = reverse("kernel:contact", args=[zhang.pk])
    page = client.get(url).content.decode()
    assert "138****5678" in page and "13812345678" not in page and "z@example.org" not in page
    for address in ("/contacts", "/contacts/print", "/api/v1/registers/kernel.contact", f"/api/v1/registers/kernel.contact/{zhang.pk}", f"/api/v1/registers/kernel.contact/{zhang.pk}/history"):
        assert "13812345678" not in client.get(address).content.decode(), address
    from io import BytesIO

    from openpyxl import load_workbook

    cells = {cell.value for row in load_workbook(BytesIO(client.get("/contacts/export").content)).active for cell in row}
    assert "138****5678" in cells and "13812345678" not in cells
    out = AccessLog.objects.get()  # a list of persons went out, though masked
    assert (out.kind, out.fields) == ("export", [])
    reveal = reverse("kernel:register_reveal", args=[CONTACT, zhang.pk])
    assert client.post(reveal, {"purpose": " "}).status_code == 422
    shown = client.post(reveal, {"purpose": "通知转移"}).content.decode()
    assert "13812345678" in shown
    line = AccessLog.objects.exclude(kind="export").get()
    assert (line.person, line.subject, line.purpose, line.kind) == (reader.person_id, f"person:{zhang.pk}", "通知转移", "read")
    fact = Fact.objects.get(kind="kernel.PersonalShown")
    assert "138" not in json.dumps(fact.payload_row.payload)


@pytest.mark.django_db
def test_ones_own_entry_is_open_and_can_be_checked_without_a_right(client, alice, reader, signed_in, actual):
    registers.change(Act(alice, actual), register=CONTACT, row=reader.person_id, changes={"mobile": "13900000000"})
    signed_in(client, reader)
    assert 'href="tel:13900000000"' in client.get(reverse("kernel:contact", args=[reader.person_id])).content.decode()
    assert registers.verify(Act(reader, actual), register=CONTACT, row=reader.person_id).verified_by == reader.person_id
    with pytest.raises(Problem):
        registers.verify(Act(reader, actual), register=CONTACT, row=alice.person_id)
    assert not AccessLog.objects.filter(person=reader.person_id).exists()


@pytest.mark.django_db
def test_with_the_right_numbers_dial_and_lists_and_exports_are_logged(client, alice, zhang, signed_in, duty_post):
    signed_in(client, alice)
    page = client.get("/contacts?q=zxw").content.decode()
    assert 'href="tel:13812345678"' in page
    export = client.get("/contacts/export?q=zxw")
    assert export.status_code == 200 and export["Content-Disposition"].startswith("attachment")
    from io import BytesIO

    from openpyxl import load_workbook

    sheet = load_workbook(BytesIO(export.content)).active
    assert "alice" in sheet["A1"].value and {"张晓伟", "13812345678"} <= {cell.value for cell in sheet[3]}
    assert list(AccessLog.objects.order_by("at").values_list("kind", "count")) == [("list", 1), ("export", 1)]
    assert f"{duty_post.name} A" in client.get("/contacts/print?q=alice").content.decode()


@pytest.mark.django_db
def test_contact_data_go_stale_and_are_checked_again(alice, zhang, actual):
    from datetime import timedelta

    assert not queries.stale(get(CONTACT), zhang)
    zhang.verified_at = clock.now() - timedelta(days=181)
    assert queries.stale(get(CONTACT), zhang)
    zhang.save()
    registers.verify(Act(alice, actual), register=CONTACT, row=zhang.pk)
    zhang.refresh_from_db()
    assert not queries.stale(get(CONTACT), zhang)


@pytest.mark.django_db
def test_who_leaves_the_list_can_no_longer_sign_in(alice, reader, actual):
    registers.end(Act(alice, actual), register=CONTACT, row=reader.person_id, reason="调离")
    person = Person.objects.get(pk=reader.person_id)
    assert not person.active and not Account.objects.get(pk=reader.account_id).is_active
    registers.restore(Act(alice, actual), register=CONTACT, row=person.pk)
    person.refresh_from_db()
    assert person.active and not Account.objects.get(pk=reader.account_id).is_active


@pytest.mark.django_db
def test_a_sheet_of_contacts_comes_in_by_unit_and_name_and_a_name_borne_twice_is_left_to_a_person(alice, zhang, actual, duty_post, tmp_path):
    unit = duty_post.organisation.name
    path = tmp_path / "contacts.csv"
    path.write_text(f"单位,姓名,职务,手机\n{unit},张晓伟,副站长,138****5678\n{unit},欧阳小林,科员,１３９ ０００１ ０００２\n", encoding="utf-8")
    declared, sheet = get(CONTACT), reading.read(path, "contacts.csv")
    done = importing.run(Act(alice, actual), declared, sheet, importing.propose(declared, sheet))
    assert (done.new, done.changed, done.refused) == (1, 1, [])
    zhang.refresh_from_db()
    other = Person.objects.get(name="欧阳小林")
    assert (zhang.title, zhang.mobile) == ("副站长", "13812345678") and (other.initials, other.mobile, other.region_id) == ("oyxl", "139 0001 0002", duty_post.organisation.region_id)
    assert found(alice, "oyxl") == {"欧阳小林"}
    Person.objects.create(name="张晓伟", organisation=duty_post.organisation)
    again = importing.run(Act(alice, actual), declared, sheet, importing.propose(declared, sheet))
    assert again.written == 0 and [fault.field for fault in again.refused] == ["name"]


@pytest.mark.django_db
def test_a_person_moves_with_his_unit_and_only_where_the_keeper_may_write(alice, zhang, actual, county2, county):
    unit = Organisation.objects.create(name="邻县局", region=county2)
    with pytest.raises(Problem):
        registers.change(Act(alice, actual), register=CONTACT, row=zhang.pk, changes={"organisation": str(unit.pk)})
    zhang.refresh_from_db()
    assert zhang.region_id == county.pk


# --- search --------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_what_is_saved_is_found_at_once_and_only_by_those_who_may(alice, charlie, zhang, actual):
    assert [hit.title for hit in search.find(alice, actual, "zxw").hits] == ["张晓伟"]
    assert search.find(charlie, actual, "zxw").hits == [] and search.find(charlie, actual, "张晓").count == 0
    zhang.active = False
    zhang.save()
    assert search.find(alice, actual, "zxw").hits == []


@pytest.mark.django_db
def test_an_exercises_rows_are_not_found_from_actual_operations(alice, actual, exercise, zhang):
    SearchEntry.objects.filter(kind="person").update(realm=exercise)
    assert search.find(alice, actual, "zxw").hits == [] and search.find(alice, exercise, "zxw").hits


@pytest.mark.parametrize("text", ["'", "a' & 'b", "');drop table x;--", "\\", "& | !", ":*", "\x00张", "张'晓"])
@pytest.mark.django_db
def test_what_is_typed_cannot_break_out_of_the_query(client, alice, signed_in, zhang, text):
    signed_in(client, alice)
    expected = 422 if "\x00" in text else 200
    assert client.get("/search", {"q": text}).status_code == expected
    assert client.get("/search/quick", {"q": text}).status_code == expected


@pytest.mark.django_db
def test_many_hits_are_counted_by_estimate(alice, actual, monkeypatch):
    monkeypatch.setattr(search, "EXACT_UP_TO", 20)
    SearchEntry.objects.bulk_create(SearchEntry(kind="region", key=uuid.uuid4(), title=f"石桥{n}") for n in range(60))
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("UPDATE kernel_searchentry SET words = array_to_tsvector(ARRAY['石桥'])")
        cursor.execute("ANALYZE kernel_searchentry")
    found = search.find(alice, actual, "石桥", limit=5)
    assert found.estimated and found.count > 20 and len(found.hits) == 5


# --- code lists ------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_shipped_lists_are_in_force_with_source_and_mark(db):
    from anlan.kernel.models import CodeList

    assert set(CodeList.objects.filter(in_force=True).values_list("name", flat=True)) >= set(codes.shipped())
    assert codes.name("hazard", "11B03", "zh-hans") == "暴雨" and codes.name("hazard", "11B03", "en") == "Rainstorm"
    assert codes.data("hazard", "11B20")["mark"] == "V3" and codes.name("hazard", "no-such") == "no-such"
    for name, content in codes.shipped().items():
        assert content["source"] and content["mark"], name
        for entry in content["codes"]:
            assert entry["name"] and entry["name_zh"], (name, entry)
            if name == "hazard":
                assert {"mark", "gbt35561", "gbt35561_mark"} <= set(entry["data"]), entry


@pytest.mark.django_db
def test_an_own_version_is_never_overwritten_by_a_release(alice, actual, monkeypatch):
    own = [{"code": "1", "name": "One", "name_zh": "一", "parent": "", "data": {}}]
    codes.edit(Act(alice, actual), list="report_kind", label="本县", source="县政府文件", codes=own)
    assert list(codes.entries("report_kind")) == ["1"]
    newer = {**codes.shipped()["report_kind"], "version": "next"}
    monkeypatch.setattr(codes, "shipped", lambda: {"report_kind": newer})
    assert codes.load_defaults() == ["report_kind"]
    assert list(codes.entries("report_kind")) == ["1"]
    assert codes.difference("report_kind")["added"] == ["first", "follow_up", "final"]
    codes.use_default(Act(alice, actual), list="report_kind")
    codes.forget()
    assert list(codes.entries("report_kind")) == ["first", "follow_up", "final"]


@pytest.fixture(autouse=True)
def fresh_codes():
    codes.forget()
    yield
    codes.forget()


def test_every_error_says_what_and_how(db):
    assert all(isinstance(kind, Kind) and str(kind.text) for kind in KINDS.values()) and NOT_FOUND.status == 404


@pytest.mark.django_db
def test_what_lies_nowhere_is_found_by_whoever_holds_the_right_and_bulk_rows_after_a_reindex(reader, alice, actual, duty_post, monkeypatch):
    from anlan.kernel.models import Organisation

    monkeypatch.setitem(search.KINDS, "organisation", search.Findable("organisation", "kernel.Organisation", lambda row: (row.name, "", ""), "people.read", ""))
    Organisation.objects.bulk_create([Organisation(name="临江流域管理处")])
    assert search.find(alice, actual, "临江流域").hits == []
    search.reindex("organisation")
    assert [hit.title for hit in search.find(alice, actual, "临江流域").hits] == ["临江流域管理处"]
    assert search.find(reader, actual, "临江流域").hits == []  # he holds no people.read


@pytest.mark.parametrize(("minutes", "said"), [(None, "–"), (0, "0 min"), (119.4, "119 min"), (120, "2 h 0 min"), (2879, "47 h 59 min"), (19951, "13.9日")])
def test_a_span_is_read_as_one_says_it(minutes, said):
    assert tags.span(minutes) == said


@pytest.mark.django_db
def test_an_hour_of_another_day_says_which(monkeypatch):
    now = datetime(2026, 7, 20, 1, tzinfo=UTC)
    monkeypatch.setattr(tags.clock, "now", lambda realm=None: now)
    assert ">09:30<" in tags.day_hm(now + timedelta(minutes=30)) and ">07-21 09:00<" in tags.day_hm(now + timedelta(days=1)) and tags.day_hm(None) == ""
