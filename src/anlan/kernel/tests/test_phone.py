"""The telephone: what was done without a network becomes done here, once, in its order, at its time, or is kept for a person."""
from __future__ import annotations

import gzip
import hashlib
import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from anlan.kernel import clock, orders, parties, realms, work
from anlan.kernel.actions import Act, action
from anlan.kernel.ids import new_id
from anlan.kernel.models import (
    AccessLog,
    Attachment,
    Fact,
    FieldConflict,
    KeptEvidence,
    Order,
    OrderReceipt,
    PhoneDevice,
    PhoneFile,
    PhoneOp,
)
from anlan.kernel.phone import bundle, words
from anlan.kernel.phone.sync import KINDS, Done, kind
from anlan.kernel.registers import actions as registers
from anlan.kernel.registers import get

pytestmark = pytest.mark.django_db
SECRET = "s" * 64


@action("test.phone_order")
def issue(act: Act, *, post: UUID, text: str = "转移低洼地带群众") -> Order:
    return orders.issue(act, post=post, text=text, source="test:3", due_at=act.now + timedelta(hours=1))


@pytest.fixture
def order(actual, alice, duty_post) -> Order:
    return issue(Act(alice, actual), post=duty_post.pk)


class Phone:
    """What the app does, without its screens."""

    def __init__(self, client: Any, actor: Any, secret: str = SECRET) -> None:
        self.client, self.actor, self.device, self.secret, self.seq = client, actor, uuid4(), secret, 0
        answer = self.post("device", {"device": str(self.device), "secret": secret, "name": "Feature phone 7"})
        assert answer.status_code == 200, answer.content

    def post(self, path: str, body: dict, **headers: Any) -> Any:
        return self.client.post(f"/api/v1/phone/{path}", orjson.dumps(body, default=str), content_type="application/json", headers=headers)

    def op(self, kind: str, at: Any = None, **values: Any) -> dict:
        self.seq += 1
        return {"op_id": str(new_id()), "kind": kind, "seq": self.seq, "at": (at or clock.now()).isoformat(), **values}

    def sync(self, *ops: dict, sent_at: Any = None) -> Any:
        return self.post("sync", {"device": self.device, "sent_at": (sent_at or clock.now()).isoformat(), "ops": ops})

    def outcomes(self, *ops: dict, **more: Any) -> list[str]:
        found = {one["op_id"]: one["outcome"] for one in self.sync(*ops, **more).json()["answers"]}
        return [found[one["op_id"]] for one in ops]

    def file(self, op: dict, content: bytes, part: int = 700, name: str = "现场.jpg", size: int | None = None, **more: Any) -> dict:
        key = str(new_id())
        said = {"device": self.device, "id": key, "op": op["op_id"], "name": name, "size": size or len(content), "sha256": hashlib.sha256(content).hexdigest(), **more}
        answer = self.post("files", said)
        assert answer.status_code == 200, answer.content
        return self.send(key, content, part, answer.json())

    def send(self, key: str, content: bytes, part: int, state: dict) -> dict:
        while state["received"] < len(content):
            at = state["received"]
            answer = self.client.put(f"/api/v1/phone/files/{key}?device={self.device}&offset={at}", content[at : at + part], content_type="application/octet-stream")
            assert answer.status_code == 200, answer.content
            state = answer.json()
        return state

    def bundle(self, since: str = "") -> list[dict]:
        pages = []
        while True:
            answer = self.client.get("/api/v1/phone/bundle", {"device": str(self.device), "since": since}, headers={"Accept-Encoding": "gzip"})
            assert answer.status_code == 200, answer.content
            pages.append(orjson.loads(gzip.decompress(answer.content)))
            since = pages[-1]["cursor"]
            if not pages[-1]["more"]:
                return pages


@pytest.fixture
def phone(client, alice, signed_in) -> Phone:
    return Phone(signed_in(client, alice), alice)


def jpeg() -> bytes:
    from anlan.engines import pictures  # noqa: F401

    body = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + bytes(range(256)) * 8 + b"\xff\xd9"
    return body


def state(order: Order) -> str:
    return Order.objects.everything().get(pk=order.pk).state


# --- once, in any order, however late ----------------------------------------------------------------------------------


def answers_of(phone: Phone, order: Order) -> list[dict]:
    """Read, accepted, half way, done: each waits for the one before it."""
    ops: list[dict] = []
    for step, more in (("read", {}), ("accept", {}), ("progress", {"percent": 50, "text": "已转移 300 人"}), ("done", {"text": "完毕"})):
        ops.append(phone.op(f"orders.{step}", order=str(order.pk), after=[ops[-1]["op_id"]] if ops else [], **more))
    return ops


def test_a_device_renamed_says_so(phone):
    facts = lambda: list(Fact.objects.filter(kind="kernel.PhoneEnrolled", subject=f"account:{phone.actor.account_id}").order_by("recorded_at"))  # noqa: E731
    for name, count in (("Feature phone 7", 1), ("Feature phone 8", 2), ("Feature phone 8", 2)):
        assert phone.post("device", {"device": str(phone.device), "secret": phone.secret, "name": name}).status_code == 200
        assert len(facts()) == count
    assert facts()[-1].payload_row.payload["name"] == "Feature phone 8"


def test_a_queue_replayed_twice_does_nothing_twice(phone, order):
    ops = answers_of(phone, order)
    assert phone.outcomes(*ops) == ["done"] * 4
    first = phone.sync(*ops).json()["answers"]
    assert phone.outcomes(*ops) == ["done"] * 4
    assert phone.sync(*ops).json()["answers"] == first, "a repeat gets the first answer"
    assert state(order) == "done"
    assert list(OrderReceipt.objects.everything().filter(order=order).order_by("created_at").values_list("state", flat=True)) == ["read", "accepted", "progress", "done"]
    assert PhoneOp.objects.count() == 4


def test_an_order_of_things_comes_out_right_however_it_comes_in(phone, order):
    ops = answers_of(phone, order)
    assert phone.outcomes(*reversed(ops[1:])) == ["later"] * 3, "the first is not here yet"
    assert state(order) == "issued"
    assert phone.outcomes(ops[0]) == ["done"]
    assert phone.outcomes(*reversed(ops)) == ["done"] * 4, "within a batch the device's own numbers count"
    assert state(order) == "done"


def test_the_same_key_with_another_content_is_refused(phone, order):
    op = phone.op("orders.accept", order=str(order.pk))
    assert phone.outcomes(op) == ["done"]
    assert phone.outcomes({**op, "kind": "orders.refuse", "text": "不去"}) == ["refused"]
    assert state(order) == "accepted"


def test_one_bad_operation_does_not_break_its_batch(phone, order):
    ops = [phone.op("orders.accept", order=str(uuid4())), phone.op("no.such"), phone.op("orders.progress", order=str(order.pk)), phone.op("orders.accept", order=str(order.pk)), phone.op("orders.refuse", order=str(order.pk), text="a\x00b")]
    assert phone.outcomes(*ops) == ["kept", "refused", "refused", "done", "refused"]


def test_a_gzipped_batch_is_taken_and_a_bomb_is_not(phone, order):
    body = orjson.dumps({"device": str(phone.device), "sent_at": clock.now().isoformat(), "ops": [phone.op("orders.accept", order=str(order.pk))]})
    send = lambda content: phone.client.post("/api/v1/phone/sync", gzip.compress(content), content_type="application/json", headers={"Content-Encoding": "gzip"})  # noqa: E731
    assert send(body).json()["answers"][0]["outcome"] == "done"
    assert send(b" " * (20 * 1024 * 1024)).status_code == 422
    assert phone.client.post("/api/v1/phone/sync", b"\x1f\x8bnonsense", content_type="application/json", headers={"Content-Encoding": "gzip"}).status_code == 422


# --- clocks ---------------------------------------------------------------------------------------------------------------


def test_a_clock_three_hours_off_is_corrected_and_what_it_said_is_kept(phone, order):
    now, skew = clock.now(), timedelta(hours=3)
    op = phone.op("orders.accept", at=now - timedelta(minutes=20) + skew, order=str(order.pk))
    assert phone.outcomes(op, sent_at=now + skew) == ["done"]
    row = PhoneOp.objects.get(pk=op["op_id"])
    assert row.claimed_at - row.occurred_at == pytest.approx(skew, abs=timedelta(seconds=10))
    accepted = Order.objects.everything().get(pk=order.pk).accepted_at
    assert accepted == pytest.approx(now - timedelta(minutes=20), abs=timedelta(seconds=10))
    assert PhoneDevice.objects.get().offset_ms == pytest.approx(-3 * 3600_000, abs=10_000)


def test_nothing_is_said_to_have_happened_in_the_future(phone, order):
    op = phone.op("orders.accept", at=clock.now() + timedelta(hours=5), order=str(order.pk))
    assert phone.outcomes(op) == ["done"]
    assert Order.objects.everything().get(pk=order.pk).accepted_at <= clock.now()


def test_a_clock_in_another_century_is_not_guessed_at(phone):
    answer = phone.sync(sent_at=clock.now() - timedelta(days=20000))
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "phone.clock"


# --- what is no longer legal -----------------------------------------------------------------------------------------------


def test_an_answer_to_an_order_withdrawn_meanwhile_is_kept_and_a_person_decides(phone, order, actual, alice, commander, commander_post):
    accepted, done = phone.op("orders.accept", order=str(order.pk), title="转移"), phone.op("orders.done", order=str(order.pk), text="到 12 时已转移 410 人", title="转移")
    orders.withdraw(Act(commander, actual), order=order.pk, reason="改派")
    assert phone.outcomes(accepted, done) == ["kept", "kept"]
    assert phone.outcomes(accepted, done) == ["kept", "kept"]
    kept = list(KeptEvidence.objects.everything().order_by("received_at"))
    assert [one.kind for one in kept] == ["orders.accept", "orders.done"] and kept[1].payload["text"] == "到 12 时已转移 410 人"
    waiting = [item for item in work.waiting_for(commander) if item.kind == "phone.evidence"]
    assert {item.subject for item in waiting} == {f"evidence:{one.pk}" for one in kept}, "the superior of the post that had the order decides"
    # its photograph, sent afterwards, lies with it
    file = phone.file(done, jpeg())
    assert Attachment.objects.everything().get(pk=file["attachment"]).subject == f"evidence:{kept[1].pk}"


def test_what_was_kept_is_taken_over_or_set_aside_on_its_page(phone, order, actual, alice, charlie, commander, signed_in, client):
    done = phone.op("orders.done", order=str(order.pk), text="已转移 410 人", title="转移", at=clock.now() - timedelta(hours=2))
    orders.withdraw(Act(commander, actual), order=order.pk, reason="改派")
    phone.outcomes(done)
    phone.file(done, jpeg())
    kept = KeptEvidence.objects.everything().get()
    page = f"/evidence/{kept.pk}"
    assert "已转移 410 人" in client.get(page).content.decode(), "who did it sees what became of it"
    signed_in(client, charlie)
    assert client.get(page).status_code == 404 and client.post(page, {"do": "take", "note": "x"}).status_code == 404
    signed_in(client, commander)
    assert "转移" in client.get("/evidence").content.decode()
    assert client.post(page, {"do": "take", "note": ""}).status_code == 200, "not without a reason"
    assert client.post(page, {"do": "take", "note": "确已转移，计入"}).status_code == 302
    receipt = OrderReceipt.objects.everything().get(order=order, state="done")
    assert receipt.text == "已转移 410 人" and clock.now() - receipt.at > timedelta(minutes=110), "with its own time"
    assert Attachment.objects.everything().filter(subject=f"order:{order.pk}").exists(), "its photograph is on the order"
    assert state(order) == "withdrawn", "the order's state stays what it is"
    kept = KeptEvidence.objects.everything().get()
    assert kept.state == "taken"
    assert not [item for item in work.waiting_for(commander) if item.kind == "phone.evidence"]
    again = client.post(page, {"do": "aside", "note": "不"})
    assert again.status_code == 200 and KeptEvidence.objects.everything().get().state == "taken", "decided once"


def test_what_was_done_in_a_drill_stays_in_it(phone, exercise, actual, alice, duty_post):
    drill = issue(Act(alice, exercise), post=duty_post.pk)
    assert phone.outcomes(phone.op("orders.accept", order=str(drill.pk), realm=str(actual.pk))) == ["kept"], "not found in actual operations"
    assert phone.outcomes(phone.op("orders.accept", order=str(drill.pk), realm=str(exercise.pk))) == ["done"]
    realms.stop(Act(alice, actual), realm=exercise.pk, reason="结束")
    assert phone.outcomes(phone.op("orders.done", order=str(drill.pk), realm=str(exercise.pk))) == ["refused"]


# --- registers: merging ------------------------------------------------------------------------------------------------------


@pytest.fixture
def team(actual, alice, county) -> Any:
    return registers.create(Act(alice, actual), register="resources.team", values={"code": "D-001", "name": "甲县消防救援大队", "kind": "fire", "members": 30, "region": str(county.pk), "leader": "王强", "leader_phone": "13812345678"})


def test_edits_of_different_fields_merge_and_of_the_same_field_both_are_kept(phone, team, actual, bob, alice):
    seen = team.version
    registers.change(Act(bob, actual), register="resources.team", row=team.pk, changes={"members": 42, "vehicles": 6})
    change = lambda values, base: phone.op("register.change", register="resources.team", row=str(team.pk), values=values, base=base, version=seen)  # noqa: E731
    assert phone.outcomes(change({"boats": 4}, {"boats": team.boats})) == ["merged"]
    both = change({"members": 35, "drones": 2}, {"members": 30, "drones": team.drones})
    assert phone.outcomes(both) == ["conflict"]
    assert phone.outcomes(both) == ["conflict"]
    team.refresh_from_db()
    assert (team.members, team.vehicles, team.boats, team.drones) == (42, 6, 4, 2), "what is not disputed is merged"
    dispute = FieldConflict.objects.get()
    assert (dispute.field, dispute.ours, dispute.theirs) == ("members", 42, 35)


def test_a_row_made_on_the_telephone_keeps_its_key_and_what_follows_it_waits(phone, county, actual, alice):
    key = str(new_id())
    made = phone.op("register.create", register="resources.team", row=key, values={"code": "D-009", "name": "乡镇应急队", "kind": "fire", "members": 12, "region": str(county.pk)})
    changed = phone.op("register.change", register="resources.team", row=key, values={"members": 15}, base={"members": 12}, after=[made["op_id"]])
    assert phone.outcomes(changed) == ["later"]
    assert phone.outcomes(made, changed) == ["done", "done"]

    row = get("resources.team").rows().get(pk=key)
    assert row.members == 15
    assert phone.outcomes(phone.op("register.verify", register="resources.team", row=key)) == ["done"]
    registers.end(Act(alice, actual), register="resources.team", row=row.pk, reason="撤销")
    gone = phone.op("register.change", register="resources.team", row=key, values={"members": 16}, base={"members": 15}, title="乡镇应急队")
    assert phone.outcomes(gone) == ["kept"]


def test_a_masked_field_is_not_overwritten_from_the_telephone(phone, team):
    op = phone.op("register.change", register="resources.team", row=str(team.pk), values={"leader_phone": "13900000000"}, base={"leader_phone": "138****5678"})
    answer = phone.sync(op).json()["answers"][0]
    assert answer["outcome"] == "refused" and answer["fields"][0]["field"] == "leader_phone"


# --- cases ---------------------------------------------------------------------------------------------------------------------


def danger(phone: Phone, county: Any, **more: Any) -> tuple[dict, str]:
    from anlan.kernel import codes

    key = str(new_id())
    values = {
        "title": "烟花仓库消防通道堵塞", "source": next(iter(codes.entries("danger_source"))), "kind": next(iter(codes.entries("danger_kind"))), "premises": "甲县烟花仓库",
        "text": "通道被货物堵塞", "found_on": "2026-11-20", "region": str(county.pk),
    }
    return phone.op("loop.open", loop="inspection.danger", case=key, title=values["title"], values=values, **more), key


def test_a_case_reported_and_stepped_without_a_network_arrives_whole(phone, county, town):
    from anlan.kernel.models import CaseStep

    opened, key = danger(phone, county)
    filed = phone.op("loop.step", loop="inspection.danger", case=key, step="file", after=[opened["op_id"]])
    assert phone.outcomes(opened, filed) == ["done", "done"]
    assert phone.file(opened, jpeg(), taken_at="2026-11-20 09:12:33", lon=119.05, lat=28.05)["attachment"]
    lines = list(CaseStep.plain.filter(case_id=key).order_by("seq").values_list("kind", "step"))
    assert lines == [("step", "report"), ("step", "file"), ("comment", "")], "the photograph that came after stands on the timeline"
    note = Attachment.objects.everything().get().note
    assert "2026-11-20 09:12:33" in note and "119.05000" in note
    case = next(one for one in phone.bundle()[0]["parts"]["cases"] if one["id"] == key)
    assert case["state"] == "filed" and "assess" in case["steps"] and case["timeline"][0]["label"], "it comes back with the steps that are possible now"
    # no longer legal: somebody filed it already
    again = phone.op("loop.step", loop="inspection.danger", case=key, step="file")
    assert phone.outcomes(again) == ["kept"]


def test_a_step_that_needs_a_photograph_waits_for_it(phone, county, alice, actual, django_capture_on_commit_callbacks):
    from anlan.kernel.loops import actions as cases

    opened, key = danger(phone, county)
    assert phone.outcomes(opened) == ["done"]
    for step, data in (
        ("file", {}), ("assess", {"grade": _grade(), "basis": "GB 12158"}),
        ("order", {"measures": "清理", "rectify_by": (clock.now() + timedelta(days=9)).date().isoformat(), "precautions": "专人看守"}),
    ):
        cases.step(Act(alice, actual), loop="inspection.danger", case=UUID(key), step=step, data=data)
    photo = str(new_id())
    op = phone.op("loop.step", loop="inspection.danger", case=key, step="rectify", values={"done": "已清理"}, files=[photo])
    answer = phone.sync(op).json()["answers"][0]
    assert answer["outcome"] == "later" and answer["files"] == [photo]
    content = jpeg()
    phone.post("files", {"device": phone.device, "id": photo, "op": op["op_id"], "name": "整改后.jpg", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    phone.send(photo, content[:900], 300, {"received": 0})
    assert phone.outcomes(op) == ["later"], "half a photograph is none"
    phone.send(photo, content, 900, {"received": 900})
    with django_capture_on_commit_callbacks(execute=True):
        assert phone.outcomes(op) == ["done"]
    from anlan.kernel.models import CaseStep

    assert len(CaseStep.plain.get(case_id=key, step="rectify").files) == 1
    assert not (bundle.settings.HOME / "uploads" / f"{photo}.part").exists()


def _grade() -> str:
    from anlan.kernel import codes

    return next(code for code in codes.entries("danger_grade") if code != "major")


# --- files ---------------------------------------------------------------------------------------------------------------------


def test_a_file_goes_on_where_it_broke_off_and_arrives_once(phone, order):
    accept, op = phone.op("orders.accept", order=str(order.pk)), phone.op("orders.progress", order=str(order.pk), percent=10)
    assert phone.outcomes(accept, op) == ["done", "done"]
    content, key = jpeg(), str(new_id())
    said = {"device": phone.device, "id": key, "op": op["op_id"], "name": "a.jpg", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert phone.post("files", said).json()["received"] == 0
    put = lambda at, part: phone.client.put(f"/api/v1/phone/files/{key}?device={phone.device}&offset={at}", part, content_type="application/octet-stream")  # noqa: E731
    assert put(0, content[:500]).json()["received"] == 500
    wrong = put(0, content[:500])
    assert wrong.status_code == 409 and wrong.json()["error"]["data"]["received"] == 500, "a part sent twice is told where to go on"
    assert phone.post("files", said).json()["received"] == 500
    assert put(500, content[500:]).json()["attachment"]
    assert put(500, content[500:]).json()["attachment"], "the last part again"
    assert phone.post("files", {**said, "sha256": "0" * 64}).status_code == 409
    assert Attachment.objects.everything().filter(subject=f"order:{order.pk}").count() == 1


def test_a_photograph_that_is_none_is_refused_by_name_and_its_operation_stands(phone, order):
    op = phone.op("orders.accept", order=str(order.pk))
    assert phone.outcomes(op) == ["done"]
    refused = phone.file(op, b"<html><script>alert(1)</script></html>", name="照片.jpg")
    assert refused["attachment"] is None and "照片.jpg" in refused["refused"]
    assert state(order) == "accepted" and not Attachment.objects.everything().exists()


def test_a_damaged_file_begins_anew(phone, order):
    op = phone.op("orders.accept", order=str(order.pk))
    phone.outcomes(op)
    content, key = jpeg(), str(new_id())
    phone.post("files", {"device": phone.device, "id": key, "op": op["op_id"], "name": "a.jpg", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    damaged = phone.client.put(f"/api/v1/phone/files/{key}?device={phone.device}&offset=0", bytes(len(content)), content_type="application/octet-stream")
    assert damaged.status_code == 422 and damaged.json()["error"]["code"] == "phone.damaged"
    assert phone.send(key, content, 900, {"received": 0})["attachment"]


def test_a_file_may_come_before_its_operation(phone, order):
    op = phone.op("orders.accept", order=str(order.pk))
    assert phone.file(op, jpeg())["attachment"] is None
    assert phone.outcomes(op) == ["done"]
    assert PhoneFile.objects.get().attachment


# --- the stolen phone ---------------------------------------------------------------------------------------------------------------


def ask(phone: Phone, client: Any, **more: Any) -> Any:
    return client.post("/api/v1/phone/state", orjson.dumps({"device": str(phone.device), **more}), content_type="application/json", headers={"Authorization": f"Device {phone.secret}"})


def test_a_stolen_phone_whose_account_was_closed_hands_in_nothing_and_is_told_to_wipe(phone, order, actual, alice, commander, client):
    op = phone.op("orders.refuse", order=str(order.pk), text="x")
    assert ask(phone, client).json()["state"] == "open"
    parties.close_account(Act(commander, actual), account=alice.account_id)
    answer = phone.sync(op)
    assert answer.status_code == 401 and answer.json()["error"]["code"] == "kernel.sign_in"
    assert state(order) == "issued" and not PhoneOp.objects.exists()
    said = ask(phone, client).json()
    assert said["state"] == "closed" and said["why"]
    assert ask(phone, client, wiped=True).status_code == 200
    assert PhoneDevice.objects.get().wiped_at is not None
    from django.test import Client

    guess = Client().post("/api/v1/phone/state", orjson.dumps({"device": str(phone.device)}), content_type="application/json", headers={"Authorization": "Device " + "x" * 64})
    assert guess.status_code == 409, "only the holder of the device's own secret is told"


def test_a_device_withdrawn_on_its_page_is_signed_out_and_refused(phone, order, alice, client, signed_in):
    assert "Feature phone 7" in client.get("/devices").content.decode()
    assert client.post(f"/devices/{phone.device}/revoke", {"why": "丢失"}).status_code == 302
    assert phone.sync(phone.op("orders.accept", order=str(order.pk))).status_code == 401, "its session has ended"
    signed_in(client, alice)
    answer = phone.sync(phone.op("orders.accept", order=str(order.pk)))
    assert answer.status_code == 403 and answer.json()["error"]["code"] == "phone.revoked"
    assert ask(phone, client).json()["state"] == "revoked"
    assert client.get("/api/v1/phone/bundle", {"device": str(phone.device)}).status_code == 403


def test_nobody_uses_or_sees_anothers_device(phone, client, bob, charlie, signed_in, order):
    signed_in(client, charlie)
    assert phone.sync(phone.op("orders.accept", order=str(order.pk))).json()["error"]["code"] == "phone.unknown_device"
    assert phone.post("device", {"device": str(phone.device), "secret": SECRET}).status_code == 409
    from anlan.kernel.models import Grant

    Grant.objects.filter(post=charlie.post_id, capability="kernel.administer_security").delete()
    assert client.get(f"/devices/{phone.device}/revoke").status_code == 404
    assert "Feature phone 7" not in client.get("/devices?all=1").content.decode()


# --- the copy -------------------------------------------------------------------------------------------------------------------------


def rows_of(pages: list[dict], register: str = "resources.team") -> tuple[dict[str, dict], set[str]]:
    found, gone = {}, set()
    for page in pages:
        for one in page["rows"]:
            if one["of"] == register:
                found |= {row["id"]: row for row in one["upsert"]}
                gone |= set(one["gone"])
    return found, gone


def test_the_copy_holds_what_its_person_may_see_personal_fields_masked_and_only_what_changed_comes_again(phone, team, order, actual, alice, county, county2, charlie, transactional_db):
    other = registers.create(Act(charlie, actual), register="resources.team", values={"code": "D-002", "name": "乙县大队", "kind": "fire", "members": 9, "region": str(county2.pk)})
    pages = phone.bundle()
    assert {"me", "orders", "tasks", "forms", "map", "places", "cases"} <= set(pages[0]["parts"])
    assert [one["text"] for one in pages[0]["parts"]["orders"]] == [order.text]
    found, _gone = rows_of(pages)
    assert set(found) == {str(team.pk)} and str(other.pk) not in orjson.dumps(pages).decode()
    assert found[str(team.pk)]["shown"]["leader_phone"] == "138****5678"
    text = orjson.dumps(pages).decode()
    assert "13812345678" not in text and "王强" not in text, "masked even for who may see them: telephones get lost"
    assert pages[0]["parts"]["map"]["features"], "boundaries of my regions"
    log = AccessLog.objects.get(subject="register:resources.team", kind="export")
    assert log.count == 1 and log.account == alice.account_id
    again = phone.bundle(pages[-1]["cursor"])
    assert again[0]["parts"] == {} and again[0]["rows"] == [] and len(again) == 1, "nothing changed, nothing sent"
    registers.change(Act(alice, actual), register="resources.team", row=team.pk, changes={"members": 31})
    orders.accept(Act(alice, actual), order=order.pk)
    later = phone.bundle(again[-1]["cursor"])
    assert set(later[0]["parts"]) == {"orders"} and rows_of(later)[0][str(team.pk)]["values"]["members"] == 31
    registers.end(Act(alice, actual), register="resources.team", row=team.pk, reason="撤销")
    assert rows_of(phone.bundle(later[-1]["cursor"]))[1] == {str(team.pk)}, "a tombstone"
    assert phone.bundle("nonsense")[0]["fresh"]


def test_a_row_that_moved_away_leaves_the_copy(phone, team, actual, alice, county, county2, commander, city, transactional_db):
    from anlan.kernel.models import Grant
    from anlan.runtime.testing import LONG_AGO

    pages = phone.bundle()
    Grant.objects.create(post_id=commander.post_id, capability="resources.write", region=city, starts_at=LONG_AGO)
    registers.change(Act(commander, actual), register="resources.team", row=team.pk, changes={"region": str(county2.pk)})
    found, gone = rows_of(phone.bundle(pages[-1]["cursor"]))
    assert not found and gone == {str(team.pk)}


def registers_of(code):
    return get("resources.team").rows().get(code=code)


def test_a_large_register_comes_in_pages_and_a_broken_walk_goes_on(phone, county, actual, alice, monkeypatch, transactional_db):
    monkeypatch.setattr(bundle, "PAGE", 4)
    for number in range(11):
        registers.create(Act(alice, actual), register="resources.team", values={"code": f"D-{number:03}", "name": f"队伍{number}", "kind": "fire", "members": number, "region": str(county.pk)})
    pages = phone.bundle()
    assert len(pages) >= 3 and len(rows_of(pages)[0]) == 11
    assert len(rows_of(phone.bundle(pages[0]["cursor"]))[0]) == 11 - len(rows_of(pages[:1])[0]), "after a break only the rest comes"
    monkeypatch.setattr(bundle, "MAX_ROWS", 8)
    few = phone.bundle()
    assert len(rows_of(few)[0]) == 8 and few[-1]["parts"]["left"] == {"resources.team": 3}, "a telephone takes its share and says what is left out"
    monkeypatch.setattr(bundle, "MAX_ROWS", 2)
    cursor, taken = few[-1]["cursor"], set(rows_of(few)[0])
    registers.change(Act(alice, actual), register="resources.team", row=registers_of("D-009").pk, changes={"members": 77})
    registers.end(Act(alice, actual), register="resources.team", row=registers_of("D-010").pk, reason="x")
    changed = phone.bundle(cursor)
    assert [one["values"]["members"] for one in rows_of(changed)[0].values()] == [77] and rows_of(changed)[1] and changed[-1]["parts"]["left"] == {"resources.team": 1}
    for _lost in range(2):  # an answer that is lost is asked for again
        more = [bundle.page(alice, actual, changed[-1]["cursor"], "resources.team")]
    more += phone.bundle(more[-1]["cursor"])
    assert set(rows_of(more)[0]) | set(rows_of(changed)[0]) | taken == {str(row.pk) for row in get("resources.team").rows().exclude(code="D-010")}
    assert more[-1]["parts"]["left"] == {}


# --- hooks, pages, words ----------------------------------------------------------------------------------------------------------------


def test_a_room_lets_its_own_operations_come_from_a_telephone(phone, monkeypatch):
    monkeypatch.setattr("anlan.kernel.phone.sync.KINDS", dict(KINDS))
    counted: list[int] = []
    from anlan.kernel.errors import STALE
    from anlan.kernel.phone import sync

    def count(act: Act, op: sync.Op) -> Done:
        if op.values["seen"] != 10:  # counts are judged against the book as it is now, never merged
            raise STALE(expected=op.values["seen"], found=10)
        counted.append(op.values["counted"])
        return Done(subject="test:1")

    kind("count", count, about=lambda op: "")
    assert phone.outcomes(phone.op("count", values={"seen": 10, "counted": 9}), phone.op("count", values={"seen": 8, "counted": 9})) == ["done", "kept"]
    assert counted == [9]


def test_the_app_installs_and_its_page_holds_no_data(client, phone, signed_in, alice):
    page = client.get("/phone/").content.decode()
    assert "alice" not in page and "manifest.webmanifest" in page and not re.search(r"<script(?![^>]*(?:src|application/json))", page)
    manifest = client.get("/phone/manifest.webmanifest").json()
    assert manifest["start_url"] == manifest["scope"] == "/phone/" and {"192x192", "512x512"} <= {one["sizes"] for one in manifest["icons"]}
    from django.test import Client

    worker = Client().get("/phone/sw.js")
    assert worker.status_code == 200 and b"self.ANLAN=" in worker.content and worker["Content-Type"].startswith("text/javascript")


def test_every_word_the_scripts_say_is_translated():
    said = set()
    for path in (Path(__file__).resolve().parents[4] / "frontend" / "src" / "phone").glob("*.ts"):
        said |= {one.replace("\\'", "'") for one in re.findall(r"\b(?:say|mark)\(\s*'((?:[^'\\]|\\.)*)'", path.read_text(encoding="utf-8"))}
    assert said == set(words.WORDS)


