"""What surrounds the ledger: approved releases, stock-takes, alerts that close by themselves only, layers beside their standard, pages, sheets."""
from __future__ import annotations

import io
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from anlan.kernel import clock
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.loops import actions as loops
from anlan.kernel.registers import actions as registers
from anlan.resources import actions, supplies
from anlan.resources.models import Movement, Release, Reservation, Stock, StockCount, SupplyAlert

from .builders import issue, item, receive, warehouse

pytestmark = pytest.mark.django_db


@pytest.fixture
def water(alice, actual):
    return item(alice, actual)


@pytest.fixture
def store(alice, actual, county):
    return warehouse(alice, actual, county)


def today():
    return clock.local(clock.now()).date()


def step(actor, realm, loop, case, name, **data):
    return loops.step(Act(actor, realm), loop=loop, case=case.pk, step=name, data=data)


def test_goods_under_release_leave_only_after_another_person_approved(alice, bob, actual, county, water):
    place = warehouse(alice, actual, county, release=True)
    receive(alice, actual, place, water, 100)
    with pytest.raises(Problem) as refused:
        issue(alice, actual, place, water, 1)
    assert refused.value.kind.code == "resources.needs_release"
    values = {"warehouse": str(place.pk), "item": str(water.pk), "quantity": "2", "unit": "box", "party": "甲一镇", "purpose": "安置点供水", "region": str(county.pk)}
    case = loops.open(Act(alice, actual), loop="resources.release", values=values)
    with pytest.raises(Problem) as refused:
        step(alice, actual, "resources.release", case, "approve")
    assert refused.value.kind.code == "kernel.case_same_person"
    step(bob, actual, "resources.release", case, "approve")
    assert Stock.plain.get().reserved == 48  # kept at once: an approval is never empty
    step(alice, actual, "resources.release", case, "issue", voucher="CK-1")
    made = Movement.plain.get(kind=Movement.ISSUE)
    assert (made.voucher, made.subject, Stock.plain.get().quantity) == ("CK-1", f"release:{case.pk}", 52)
    late = loops.open(Act(alice, actual), loop="resources.release", values={**values, "quantity": "3"})
    with pytest.raises(Problem) as refused:
        step(bob, actual, "resources.release", late, "approve")
    assert refused.value.kind.code == "resources.not_enough" and Release.plain.get(pk=late.pk).state == "asked"


def test_a_release_is_decided_where_the_goods_lie(alice, actual, county2, county, water):
    place = warehouse(alice, actual, county, release=True)
    values = {"warehouse": str(place.pk), "item": str(water.pk), "quantity": "1", "unit": "l", "party": "甲一镇", "purpose": "x", "region": str(county.pk)}
    with pytest.raises(Problem) as refused:
        loops.open(Act(alice, actual), loop="resources.release", values=values)
    assert refused.value.kind.code == "kernel.case_not_allowed"


def test_a_count_is_blind_agrees_or_is_booked_by_another_and_is_void_when_goods_moved(alice, bob, actual, store, water):
    for lot, quantity in (("A", 24), ("B", 10), ("C", 10)):
        receive(alice, actual, store, water, quantity, lot=lot)
    assert actions.open_stock_take(Act(alice, actual), warehouse=store.pk, due_on=today()) == 3
    assert actions.open_stock_take(Act(alice, actual), warehouse=store.pk, due_on=today()) == 0  # open already
    case = {row.lot: row for row in StockCount.plain.all()}
    assert step(alice, actual, "resources.count", case["A"], "count", counted="1", unit="box").state in ("counted", "agreed")
    assert StockCount.plain.get(pk=case["A"].pk).state == "agreed"
    step(alice, actual, "resources.count", case["B"], "count", counted="7", unit="piece")
    with pytest.raises(Problem) as refused:
        step(alice, actual, "resources.count", case["B"], "book", reason="少3")
    assert refused.value.kind.code == "kernel.case_same_person"
    step(bob, actual, "resources.count", case["B"], "book", reason="少3")
    assert Stock.plain.get(lot="B").quantity == 7 and Movement.plain.filter(kind=Movement.COUNT).count() == 1
    issue(alice, actual, store, water, 1, lot="C")
    with pytest.raises(Problem) as refused:
        step(alice, actual, "resources.count", case["C"], "count", counted="10", unit="piece")
    assert refused.value.kind.code == "resources.book_moved" and Stock.plain.get(lot="C").quantity == 9
    step(alice, actual, "resources.count", case["C"], "again", reason="其间出库")
    step(alice, actual, "resources.count", case["C"], "count", counted="9", unit="piece")
    assert StockCount.plain.get(pk=case["C"].pk).state == "agreed" and supplies.audit(actual) == []


def test_a_count_from_the_telephone_is_judged_again_and_kept_when_the_book_moved(alice, actual, store, water):
    from anlan.kernel.ids import new_id
    from anlan.kernel.models import KeptEvidence
    from anlan.kernel.phone import sync

    receive(alice, actual, store, water, 10, lot="A")
    receive(alice, actual, store, water, 10, lot="B")
    actions.open_stock_take(Act(alice, actual), warehouse=store.pk, due_on=today())
    case = {row.lot: row for row in StockCount.plain.all()}
    device = new_id()
    sync.enrol(Act(alice, actual), device=device, secret_hash="x" * 64, name="手机")
    counted = [
        sync.Op(op_id=new_id(), kind="loop.step", seq=n, at=clock.now(), loop="resources.count", case=case[lot].pk, step="count", values={"counted": "10", "unit": "piece"}, title="盘点")
        for n, lot in enumerate("AB")
    ]
    issue(alice, actual, store, water, 4, lot="B")  # while the telephone had no network
    answer = sync.take(alice, actual, sync.Batch(device=device, sent_at=clock.now(), ops=counted), clock.now())
    assert [one["outcome"] for one in answer["answers"]] == ["done", "kept"] and answer["answers"][1]["code"] == "resources.book_moved"
    assert Stock.plain.get(lot="B").quantity == 6 and KeptEvidence.plain.filter(code="resources.book_moved").count() == 1
    again = sync.take(alice, actual, sync.Batch(device=device, sent_at=clock.now(), ops=counted), clock.now())
    assert [one["outcome"] for one in again["answers"]] == ["done", "kept"] and Stock.plain.get(lot="A").quantity == 10


def test_alerts_open_by_themselves_and_close_only_when_it_is_put_right(alice, actual, county, store, water):
    registers.create(Act(alice, actual), register="resources.minimum", values={"warehouse": str(store.pk), "item": str(water.pk), "quantity": "20", "region": str(county.pk)})
    soon = (today() + timedelta(days=30)).isoformat()
    receive(alice, actual, store, water, 25, lot="A", expires_on=soon)
    issue(alice, actual, store, water, 10)
    below = SupplyAlert.plain.get()
    assert (below.kind, below.quantity) == ("below", 5)
    registers.create(Act(alice, actual), register="resources.holding", values={
        "code": "XY1", "name": "超市", "form": "agreement", "layer": "county", "item": str(water.pk), "quantity": "9", "agreement": "1号", "valid_until": (today() - timedelta(days=1)).isoformat(), "region": str(county.pk),
    })
    assert actions.watch(Act(alice, actual)) == 2 and actions.watch(Act(alice, actual)) == 0
    assert set(SupplyAlert.plain.values_list("kind", flat=True)) == {"below", "expiring", "agreement"}
    with pytest.raises(Problem) as refused:
        step(alice, actual, "resources.alert", below, "settle")
    assert "5" in refused.value.message
    receive(alice, actual, store, water, 5, lot="B")
    assert step(alice, actual, "resources.alert", below, "settle").state == "settled"
    actions.rotate(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "lot": "A", "quantity": 15}], party="敬老院")
    owed = SupplyAlert.plain.get(kind="replenish")
    with pytest.raises(Problem):
        step(alice, actual, "resources.alert", owed, "settle")
    receive(alice, actual, store, water, 15, lot="C")
    assert step(alice, actual, "resources.alert", owed, "settle").state == "settled"


def test_four_layers_stand_beside_their_standard(alice, actual, county, town, store, water):
    small = warehouse(alice, actual, town, layer="town")
    receive(alice, actual, store, water, 60)
    receive(alice, actual, small, water, 5, lot="old", expires_on=(today() - timedelta(days=2)).isoformat())
    for code, form, quantity, until in (("X1", "agreement", 30, 1), ("X2", "agreement", 99, -1), ("X3", "capacity", 500, 9)):
        registers.create(Act(alice, actual), register="resources.holding", values={
            "code": code, "name": code, "form": form, "layer": "county", "item": str(water.pk), "quantity": quantity, "agreement": code, "valid_until": (today() + timedelta(days=until)).isoformat(), "region": str(county.pk),
        })
    for layer, place, quantity in (("county", county, 100), ("town", town, 8)):
        registers.create(Act(alice, actual), register="resources.norm", values={"layer": layer, "item": str(water.pk), "quantity": quantity, "region": str(place.pk)})
    line, = supplies.layers(alice, actual, today())
    cells = {cell["layer"]: (cell["held"], cell["norm"], cell["gap"]) for cell in line["cells"]}
    assert cells["county"] == (90, 100, 10) and cells["town"] == (0, 8, 8) and cells["family"] == (0, None, None)
    assert line["forms"] == {"physical": 60, "agreement": 30, "capacity": 500, "social": 0} and line["gap"] == 18


def test_pages_forms_and_sheets(alice, charlie, actual, county, store, water, client, signed_in):
    signed_in(client, alice)
    assert client.get(reverse("resources:supplies")).status_code == 200
    page = client.get(reverse("resources:move", args=["receive"]))
    assert page.status_code == 200 and water.code in page.content.decode()
    line = {"l0-item": f"{water.name} · {water.code}", "l0-quantity": "2", "l0-unit": "box", "l0-lot": "A", "l0-expires_on": (today() + timedelta(days=30)).isoformat()}
    answer = client.post(reverse("resources:move", args=["receive"]), {"warehouse": str(store.pk), "party": "供应商", "voucher": "RK-1", **line})
    made = Movement.plain.get()
    assert answer.status_code == 302 and answer["Location"] == reverse("resources:movement", args=[made.pk])
    row = Stock.plain.get()
    assert row.quantity == 48
    for address in ("supplies", "stock", "ledger", "stock_print", "take", "receipts"):
        assert client.get(reverse(f"resources:{address}")).status_code == 200, address
    labels = client.get(reverse("resources:stock_labels")).content.decode()
    assert f"{water.code} A" in labels and "<svg" in labels
    assert "RK-1" in client.get(reverse("resources:ledger")).content.decode() and "48" in client.get(reverse("resources:lot", args=[row.pk])).content.decode()
    assert client.get(reverse("resources:movement", args=[made.pk])).status_code == 200
    for address in ("supplies", "ledger"):
        assert client.get(reverse(f"resources:{address}") + "?xlsx").content[:2] == b"PK"
    assert client.get(reverse("resources:stock_export")).content[:2] == b"PK" and client.get(reverse("resources:receipts") + "?template").content[:2] == b"PK"
    refused = client.post(reverse("resources:move", args=["issue"]), {"warehouse": str(store.pk), "party": "镇", "l0-item": water.code, "l0-quantity": "49"})
    assert refused.status_code == 422 and "48" in refused.content.decode()

    def sheet(text, **more):
        return client.post(reverse("resources:receipts"), {"file": SimpleUploadedFile("入库.csv", text.encode()), **more})

    head = "仓库,物资,数量,单位,批次,有效期至\n"
    wrong = sheet(head + f"{store.code},{water.code},3,升,X,\n{store.code},没有的,3,,X,\n")
    assert wrong.status_code == 422 and Stock.plain.count() == 1
    good = head + f"{store.code},{water.code},3,箱,X,2030-01-01\n{store.code},{water.code},10,,Y,\n"
    assert sheet(good, look="1").status_code == 200 and Stock.plain.count() == 1
    assert sheet(good).status_code == 302 and sheet(good).status_code == 302
    assert {row.lot: row.quantity for row in Stock.plain.all()} == {"A": 48, "X": 72, "Y": 10} and supplies.audit(actual) == []
    signed_in(client, charlie)
    assert client.get(reverse("resources:lot", args=[row.pk])).status_code == 404 and "RK-1" not in client.get(reverse("resources:ledger")).content.decode()
    assert Reservation.plain.count() == 0 and Decimal(0) == row.reserved and io
