"""Every page and file opens for whom it is meant, and for nobody else; forms lead to the actions."""
from __future__ import annotations

import html
import io
import json
import re

import pytest
from django.urls import reverse

from anlan.command import actions, queries
from anlan.command.models import Decision, Document, Gap, Incident, Instruction, Report, Response, Review
from anlan.kernel.ids import new_id
from anlan.kernel.middleware import LANGUAGE_COOKIE
from anlan.kernel.models import Order

from .builders import act, forward

pytestmark = pytest.mark.django_db


def enter(client, signed_in, actor, realm):
    signed_in(client, actor)
    session = client.session
    session["realm"] = str(realm.pk)
    session.save()
    return client


@pytest.fixture
def loop(replay, plan, proposal, alice, commander, county, duty_post):
    """One run through the room: report, incident, instruction, approval by telephone, documents, end, review."""
    report = actions.take_report(act(alice, replay), kind="first", text="衡山站水位超警戒，堤脚渗水", place="甲县衡山", region=county.pk, event="11A", dead=0, moved=120)
    incident = actions.open_incident(act(alice, replay), kind="11A", title="甲县衡山超警戒洪水", report=report.pk)
    actions.record_instruction(act(alice, replay), leader="王市长", text="加强巡查", post=duty_post.pk, incident=incident.pk)
    forward(replay, 40)
    response = actions.approve_proposal(act(alice, replay), proposal=proposal.pk, behalf=commander.person_id, means="phone", incident=incident.pk)
    start = actions.make_document(act(alice, replay), kind="start", response=response.pk)
    flash = actions.make_document(act(alice, replay), kind="flash", incident=incident.pk)
    return {"report": report, "incident": incident, "response": response, "start": start, "flash": flash, "decision": response.decisions.get()}


def addresses(loop):
    pages = [reverse(f"command:{name}") for name in ("intake", "reports", "incidents", "board", "instruction_list", "documents", "shift_pack", "rain")]
    pages += [reverse(f"command:{name}", args=[loop[name].pk]) for name in ("report", "incident", "response", "decision")]
    pages += [reverse("command:document", args=[loop["start"].pk]), reverse("command:decide", args=[loop["response"].proposal_id])]
    pages += [reverse("command:document_file", args=[loop[name].pk, form]) for name in ("start", "flash") for form in ("pdf", "docx")]
    return pages


def test_every_page_opens_in_both_languages(client, signed_in, replay, loop, alice, commander):
    review = Review.objects.of(replay).filter(pk=None).first()
    assert review is None
    actions.end_response(act(commander, replay), response=loop["response"].pk, reason="水位已退", still_met=["IV-3"])
    review = Review.objects.of(replay).get()
    enter(client, signed_in, alice, replay)
    for language in ("zh-hans", "en"):
        client.cookies[LANGUAGE_COOKIE] = language
        for address in [*addresses(loop), reverse("command:review", args=[review.pk])]:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.content[:500])


def test_an_incident_leads_to_a_requisition_that_knows_what_it_is_for(client, signed_in, replay, loop, alice):
    enter(client, signed_in, alice, replay)
    page = client.get(reverse("command:incident", args=[loop["incident"].pk])).content.decode()
    found = re.search(r'href="([^"]*resources\.requisition/new[^"]*)"', page)
    assert found
    form = client.get(html.unescape(found[1])).context["form"]
    assert form["purpose"].value() == form["title"].value() == "甲县衡山超警戒洪水" and str(form["region"].value()) == str(loop["incident"].region_id)


def test_the_map_of_an_incident_is_the_house_map_turned_to_its_place(client, signed_in, replay, loop, alice, charlie):
    address = reverse("command:incident_map", args=[loop["incident"].pk])
    enter(client, signed_in, alice, replay)
    config = client.get(address, follow=True).json()
    assert config["mark"] == [loop["incident"].lon, loop["incident"].lat] and config["layers"]
    client.logout()
    assert enter(client, signed_in, charlie, replay).get(address).status_code == 404


def test_an_outsider_finds_none_of_it(client, signed_in, replay, loop, charlie):
    enter(client, signed_in, charlie, replay)
    for address in addresses(loop)[8:]:
        assert client.get(address).status_code == 404, address
    for name in ("reports", "incidents", "board", "instruction_list", "documents"):
        body = client.get(reverse(f"command:{name}")).content.decode()
        assert "衡山" not in body and "加强巡查" not in body, name


def test_the_intake_form_takes_down_a_report_with_the_place_found_from_its_words(client, signed_in, replay, alice, county, town):
    enter(client, signed_in, alice, replay)
    answer = client.post(reverse("command:intake"), {"op_id": str(new_id()), "kind": "first", "text": "桥面进水", "place": "甲一镇老桥", "means": "phone", "precision": "minute", "event": "", "first": ""})
    row = Report.objects.of(replay).get()
    assert answer.status_code == 302 and answer.url == reverse("command:report", args=[row.pk])
    assert row.region_id == town.pk and row.happened_at == replay.now_at
    wrong = client.post(reverse("command:intake"), {"kind": "follow_up", "text": "", "means": "phone", "precision": "minute"})
    assert wrong.status_code == 422 and Report.objects.of(replay).count() == 1


def test_hints_show_what_was_reported_already(client, signed_in, replay, loop, alice):
    enter(client, signed_in, alice, replay)
    body = client.post(reverse("command:hints"), {"text": "衡山站堤脚渗水", "place": "甲县衡山"}).content.decode()
    assert reverse("command:report", args=[loop["report"].pk]) in body and "甲县" in body


def test_the_button_says_how_many_orders_and_posts_before_it_is_pressed_and_then_gives_as_many(client, signed_in, replay, proposal, commander):
    enter(client, signed_in, commander, replay)
    client.cookies[LANGUAGE_COOKIE] = "en"
    address = reverse("command:decide", args=[proposal.pk])
    found = queries.preview(commander, replay, proposal.pk)
    assert f"give {found['orders']} orders to {found['posts']} posts" in client.get(address).content.decode()
    answer = client.post(address, {"step": "approve", "reason": "", "behalf": "", "means": ""})
    response = Response.objects.of(replay).get()
    assert answer.status_code == 302 and answer.url == reverse("command:response", args=[response.pk])
    given = Order.objects.of(replay).filter(source=f"response:{response.pk}")
    assert given.count() == found["orders"] and given.values("post").distinct().count() == found["posts"]


def test_refusing_on_the_page_without_a_reason_shows_the_field(client, signed_in, replay, proposal, commander):
    enter(client, signed_in, commander, replay)
    answer = client.post(reverse("command:decide", args=[proposal.pk]), {"step": "refuse", "reason": "", "behalf": "", "means": ""})
    assert answer.status_code == 422 and b'class="error"' in answer.content
    assert not Decision.objects.of(replay).exists()


def test_change_and_end_on_the_response_page(client, signed_in, replay, loop, commander):
    enter(client, signed_in, commander, replay)
    key = loop["response"].pk
    assert client.post(reverse("command:response_do", args=[key, "level"]), {"level": "II", "reason": "", "behalf": "", "means": ""}).status_code == 422
    assert client.post(reverse("command:response_do", args=[key, "level"]), {"level": "II", "reason": "雨势加强", "behalf": "", "means": ""}).status_code == 302
    assert Response.objects.of(replay).get().level == "II"
    assert client.post(reverse("command:response_do", args=[key, "end"]), {"reason": "退水", "behalf": "", "means": "", "still_met": "IV-3"}).status_code == 302
    gap = Gap.objects.of(replay).first()
    client.post(reverse("command:gap", args=[gap.pk]), {"changed": "值班制度第三条"})
    assert Gap.objects.of(replay).get(pk=gap.pk).state == "closed"


def test_a_document_is_numbered_frozen_and_says_the_exercise_on_paper(replay, loop, alice, commander):
    from docx import Document as read_docx

    from anlan.command import papers
    from anlan.engines import documents as engine

    start, flash = loop["start"], loop["flash"]
    assert start.number == flash.number == 1 and "〔2021〕1号" in start.number_text
    again = actions.make_document(act(alice, replay), kind="start", response=loop["response"].pk)
    assert again.number == 2
    text = json.dumps(start.values, ensure_ascii=False)
    assert "陈指挥" in text and "《衡阳市" in text and "应急响应" in start.title and "alice代为记录" in text and "待补签" in text and "5.4.1(3)" in text
    assert str(Order.objects.of(replay).filter(source=f"response:{loop['response'].pk}").count()) in text
    assert "转移120人" in json.dumps(flash.values, ensure_ascii=False) and "加强巡查" in json.dumps(flash.values, ensure_ascii=False)
    actions.change_level(act(commander, replay), response=loop["response"].pk, level="II", reason="雨势加强")
    assert Document.objects.of(replay).get(pk=start.pk).values == start.values
    official = papers.official(start.values)
    assert official.band is not None and "复盘" in official.band.text
    body = engine.docx(official)
    assert "复盘" in "".join(paragraph.text for paragraph in read_docx(io.BytesIO(body)).sections[0].header.paragraphs)
    assert engine.pdf(official)[:5] == b"%PDF-"


def test_the_notice_of_an_end_counts_the_orders(replay, loop, alice, commander):
    actions.end_response(act(commander, replay), response=loop["response"].pk, reason="水位已退", still_met=["IV-3"])
    row = actions.make_document(act(alice, replay), kind="end", response=loop["response"].pk)
    # Notices share one sequence: the one of the start was number 1.
    assert (loop["start"].number_text, row.number_text) == ("应急响应〔2021〕1号", "应急响应〔2021〕2号")
    count = Order.objects.of(replay).filter(source=f"response:{loop['response'].pk}").count()
    assert f"共下达命令{count}项" in json.dumps(row.values, ensure_ascii=False) and f"撤回{count}项" in json.dumps(row.values, ensure_ascii=False)


def test_the_wall_and_the_map_show_what_runs(replay, loop, alice, charlie):
    shown = queries.wall(alice, replay)
    assert [row["id"] for row in shown["responses"]] == [loop["response"].pk] and shown["responses"][0]["level"] == "blue"
    assert 120 in shown["losses"].values() and shown["orders"]["total"] > 0
    (feature,) = queries.geojson(alice, replay)["features"]
    assert feature["properties"]["level"] == "blue" and feature["geometry"]["coordinates"] == [loop["incident"].lon, loop["incident"].lat]
    assert queries.wall(charlie, replay)["responses"] == [] and queries.geojson(charlie, replay)["features"] == []


def test_the_timeline_of_an_incident_is_the_journal_from_reading_to_order(replay, loop, alice):
    kinds = [fact.kind for fact in reversed(queries.timeline(alice, replay, incident=loop["incident"]))]
    for earlier, later in (("plans.LevelProposed", "command.ResponseApproved"), ("command.ReportTaken", "command.IncidentOpened"), ("command.IncidentOpened", "command.ResponseApproved")):
        assert kinds.index(earlier) < kinds.index(later)
    assert "kernel.OrderIssued" in kinds and "command.InstructionRecorded" in kinds


def test_the_api_answers_like_the_pages(client, signed_in, replay, proposal, commander, alice, charlie, county):
    enter(client, signed_in, commander, replay)
    base = "/api/v1/command"
    found = client.get(f"{base}/proposals/{proposal.pk}").json()
    assert found["orders"] > 0
    key = str(new_id())
    first = client.post(f"{base}/proposals/{proposal.pk}/approve", {}, content_type="application/json", headers={"Idempotency-Key": key})
    again = client.post(f"{base}/proposals/{proposal.pk}/approve", {}, content_type="application/json", headers={"Idempotency-Key": key})
    assert first.status_code == again.status_code == 200 and first.json()["id"] == again.json()["id"]
    response = client.get(f"{base}/responses/{first.json()['id']}").json()
    assert len(response["orders"]) == response["counts"]["total"] == found["orders"]
    wrong = client.post(f"{base}/responses/{first.json()['id']}/end", {"reason": ""}, content_type="application/json")
    assert wrong.status_code == 422 and wrong.json()["error"]["code"] == "kernel.reason_needed"
    taken = client.post(f"{base}/reports", {"text": "桥面进水", "region": str(county.pk)}, content_type="application/json").json()
    assert client.get(f"{base}/reports").json()["reports"][0]["id"] == taken["id"]
    for address in ("wall", "board", "documents", "incidents", "instructions", "responses", "rain?day=2021-07-20"):
        assert client.get(f"{base}/{address}").status_code == 200, address
    client.logout()
    enter(client, signed_in, charlie, replay)
    assert client.get(f"{base}/responses/{first.json()['id']}").status_code == 404
    assert client.get(f"{base}/reports").json()["reports"] == []


def test_instructions_are_recorded_on_their_page(client, signed_in, replay, alice, duty_post):
    enter(client, signed_in, alice, replay)
    answer = client.post(reverse("command:instruction_list"), {"leader": "李书记", "text": "抓紧核实", "means": "phone", "post": str(duty_post.pk), "incident": ""})
    row = Instruction.objects.of(replay).get()
    assert answer.status_code == 302 and row.order.post_id == duty_post.pk and not Incident.objects.of(replay).exists()
