"""Photographs on reports and orders: taken in, listed, printed without their position; gaps go to the post that was late."""
from __future__ import annotations

import io
import re
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from anlan.command import actions, papers
from anlan.command.models import Document, Gap
from anlan.kernel import files, work
from anlan.kernel.models import Attachment, Order
from anlan.kernel.tests.test_files import chunk, exif, jpeg, png, segment

from .builders import act, forward
from .test_decide import approve

pytestmark = pytest.mark.django_db
MARKED = png(chunk(b"eXIf", b"GPS 28.4567N 119.9123E"), chunk(b"tEXt", b"Comment\x00from my house"))


@pytest.fixture
def order(replay, plan, proposal, commander, alice):
    approve(commander, replay, proposal)
    return Order.objects.of(replay).filter(post=alice.post_id).first()


def upload(name="堤防.png", content=MARKED):
    return SimpleUploadedFile(name, content)


def test_a_post_answers_its_order_with_a_photograph_and_an_outsider_sees_none(client, signed_in, replay, order, alice, charlie):
    signed_in(client, alice)
    session = client.session
    session["realm"] = str(replay.pk)
    session.save()
    page = reverse("kernel:order", args=[order.pk])
    assert client.get(page).status_code == 200
    assert client.post(reverse("kernel:order_answer", args=[order.pk, "photo"]), {}).status_code == 422
    assert client.post(reverse("kernel:order_answer", args=[order.pk, "photo"]), {"file": upload("x.svg", b"<svg onload=alert(1)>"), "text": ""}).status_code == 422
    assert client.post(reverse("kernel:order_answer", args=[order.pk, "accept"])).status_code == 302
    answered = client.post(reverse("kernel:order_answer", args=[order.pk, "done"]), {"text": "已到位", "file": [upload(), upload("二.png")]})
    assert answered.status_code == 302
    order.refresh_from_db()
    found = Attachment.objects.of(replay).filter(subject=f"order:{order.pk}")
    assert order.state == "done" and found.count() == 2
    shown = client.get(page).content.decode()
    assert "堤防.png" in shown
    address = reverse("kernel:file", args=[found.first().pk])
    assert client.get(address).content == MARKED and b"28.4567" not in client.get(address + "?outward=1").content
    signed_in(client, charlie)
    assert client.get(address).status_code == 404 and files.of(charlie, replay, f"order:{order.pk}") == []


def test_a_refused_answer_keeps_no_photograph(client, signed_in, replay, order, alice):
    signed_in(client, alice)
    session = client.session
    session["realm"] = str(replay.pk)
    session.save()
    assert client.post(reverse("kernel:order_answer", args=[order.pk, "done"]), {"text": "x", "file": upload()}).status_code in (409, 422)
    assert not Attachment.objects.of(replay).exists()


def test_the_situation_report_prints_photographs_without_their_position(replay, proposal, order, commander, alice):
    incident = actions.open_incident(act(commander, replay), kind="", title="堤防险情", region=order.region_id)
    response = approve_of(replay)
    response.incident = incident
    response.save()
    report = actions.take_report(act(alice, replay), kind="first", text="堤防渗水", incident=incident.pk)
    files.attach(act(alice, replay), f"report:{report.pk}", "渗水点.png", MARKED, "渗水点")
    files.attach(act(alice, replay), f"order:{order.pk}", "坏.jpg", jpeg(segment(0xE1, exif())))  # a camera's file that no program can draw
    files.attach(act(alice, replay), f"order:{order.pk}", "说明.txt", "文字".encode())
    row = actions.make_document(act(commander, replay), kind="flash", incident=incident.pk)
    captions = [block["caption"] for block in row.values["body"] if block["kind"] == "picture"]
    assert len(captions) == 2 and captions[0].endswith("渗水点") and captions[1].endswith("坏.jpg")
    given = papers.pictures(row)
    assert len(given) == 2 and all(secret not in content for content in given.values() for secret in (b"28.4567", b"my house"))
    from anlan.engines import documents as engine

    official = papers.official(row.values)
    printed = engine.pdf(official, made_at=row.made_at, pictures=given)
    bare = engine.pdf(official, made_at=row.made_at)
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Subtype\s*/Image", printed)) == 1 > len(re.findall(rb"/Subtype\s*/Image", bare))
    word = zipfile.ZipFile(io.BytesIO(engine.docx(official, made_at=row.made_at, pictures=given)))
    media = [word.read(name) for name in word.namelist() if name.startswith("word/media/")]
    assert media and b"my house" not in b"".join(media) and "渗水点" in word.read("word/document.xml").decode()
    Attachment.objects.of(replay).update(removed_at=replay.now_at)
    assert papers.pictures(Document.objects.of(replay).get()) == {}, "what was taken off its record is printed no more"


def approve_of(realm):
    from anlan.command.models import Response

    return Response.objects.of(realm).get()


def test_a_late_step_becomes_the_task_of_the_post_that_had_it(replay, plan, proposal, commander, alice, charlie):
    forward(replay, 40)
    response = approve(commander, replay, proposal)
    forward(replay, 120)
    actions.end_response(act(commander, replay), response=response.pk, reason="结束", still_met=["IV-3"])
    late = {gap.step: gap.post_id for gap in Gap.objects.of(replay)}
    assert late["proposal_to_decision"] == commander.post_id and late["order_to_accept"] != commander.post_id
    mine = [item for item in work.waiting_for(alice, replay) if item.kind == "command.gap"]
    assert mine, "the post that did not answer has the task on its own desk"
    gap = Gap.objects.of(replay).filter(post=alice.post_id).first()
    from anlan.kernel.errors import Problem

    with pytest.raises(Problem):
        actions.close_gap(act(charlie, replay), gap=gap.pk, changed="x")
    assert actions.close_gap(act(alice, replay), gap=gap.pk, changed="值班安排：夜间增设第二人").state == "closed"
