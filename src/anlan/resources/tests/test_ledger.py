"""The ledger of supplies: two sides to every line, never negative, one winner of the last item, units that are not mixed."""
from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from anlan.kernel import clock
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.resources import actions, supplies
from anlan.resources.models import Entry, Movement, Reservation, Stock
from anlan.runtime.testing import together

from .builders import issue, item, receive, warehouse


@pytest.fixture
def water(alice, actual):
    return item(alice, actual)


@pytest.fixture
def store(alice, actual, county):
    return warehouse(alice, actual, county)


def today():
    return clock.local(clock.now()).date()


@pytest.mark.django_db
def test_goods_come_go_and_change_place_and_the_book_says_so(alice, actual, county, store, water):
    other = warehouse(alice, actual, county)
    soon, late = today() + timedelta(days=100), today() + timedelta(days=500)
    receive(alice, actual, store, water, 3, unit="box", lot="B", expires_on=late.isoformat())
    receive(alice, actual, store, water, 30, lot="A", expires_on=soon.isoformat())
    issue(alice, actual, store, water, 40)
    lots = {row.lot: row for row in Stock.plain.filter(warehouse=store)}
    assert (lots["A"].quantity, lots["B"].quantity) == (0, 62)  # what expires first went first
    actions.transfer(Act(alice, actual), warehouse=store.pk, to=other.pk, lines=[{"item": str(water.pk), "quantity": 2, "unit": "box"}])
    actions.give_back(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "lot": "A", "quantity": 4}])
    actions.write_off(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "lot": "B", "quantity": 1}], reason="破损")
    moved = Stock.plain.get(warehouse=other)
    assert (moved.lot, moved.expires_on, moved.quantity) == ("B", late, 48)
    assert [line["balance"] for line in supplies.history(lots["B"])] == [72, 62, 14, 13]
    assert supplies.audit(actual) == []
    entry = Entry.plain.filter(movement__kind=Movement.TRANSFER).get()
    assert (entry.said, entry.unit, entry.quantity) == (2, "box", 48)


@pytest.mark.django_db
def test_the_database_itself_refuses_what_breaks_the_ledger(alice, actual, store, water):
    receive(alice, actual, store, water, 5)
    row, movement = Stock.plain.get(warehouse=store), Movement.plain.get()
    entry = Entry.plain.get()

    def refused(statement, *values):
        with pytest.raises(IntegrityError) as met, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement, values)
        return met.value.__cause__.diag.constraint_name

    assert refused("UPDATE resources_stock SET quantity = 99 WHERE id = %s", row.pk) == "stock_by_ledger"
    assert refused("UPDATE resources_entry SET quantity = 4 WHERE id = %s", entry.pk) == "entry_kept"
    assert refused("DELETE FROM resources_entry WHERE id = %s", entry.pk) == "entry_kept"
    into = "INSERT INTO resources_entry (id, version, home, created_at, realm_id, movement_id, item_id, source_id, target_id, quantity, said, unit) VALUES (%s, 1, %s, now(), %s, %s, %s, %s, %s, %s, 1, 'piece')"

    def entered(source, target, quantity, of=None):
        return refused(into, new_id(), new_id(), actual.pk, movement.pk, of or water.pk, source, target, quantity)

    assert entered(row.pk, None, 6) == "stock_not_negative"
    assert entered(row.pk, None, -1) in ("entry_positive", "stock_promised_is_there")
    assert entered(None, None, 1) == "entry_has_a_place"
    assert entered(row.pk, row.pk, 1) == "entry_moves"
    assert entered(row.pk, None, 1, item(alice, actual).pk) == "entry_fits"
    actions.reserve(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "quantity": 3}], party="甲一镇")
    assert entered(row.pk, None, 3) == "stock_promised_is_there"
    assert refused("DELETE FROM resources_reservation") == "reservation_kept"
    assert supplies.audit(actual) == []


@pytest.mark.django_db(transaction=True)
def test_the_last_item_has_one_winner_and_losers_who_know_why(alice, actual, store, water):
    receive(alice, actual, store, water, 1)
    answers = together(*[lambda: issue(alice, actual, store, water, 1) for _ in range(6)])
    lost = [answer for answer in answers if isinstance(answer, Problem)]
    assert len(lost) == 5 and {answer.kind.code for answer in lost} == {"resources.not_enough"} and "0" in lost[0].message
    assert Stock.plain.get().quantity == 0 and Entry.plain.filter(target=None).count() == 1 and supplies.audit(actual) == []


@pytest.mark.django_db
def test_a_repeat_books_once(alice, actual, store, water):
    receive(alice, actual, store, water, 5)
    key = new_id()
    assert issue(alice, actual, store, water, 2, op_id=key).pk == issue(alice, actual, store, water, 2, op_id=key).pk
    assert Stock.plain.get().quantity == 3


@pytest.mark.django_db
@pytest.mark.parametrize(("quantity", "unit", "code"), [
    ("-1", "", "bad_quantity"), ("0", "", "bad_quantity"), ("1e400", "", "bad_quantity"), ("NaN", "", "bad_quantity"), ("1.0001", "", "bad_quantity"), ("三", "", "bad_quantity"),
    ("1.5", "", "not_whole"), ("0.5", "box", "not_whole"), ("99999999", "", "absurd_quantity"), ("1", "l", "unit_mixed"), ("1", "斤", "unit_mixed"), ("0.001", "t", "not_whole"),
])
def test_negative_absurd_and_mixed_quantities_are_refused(alice, actual, store, water, quantity, unit, code):
    with pytest.raises(Problem) as refused:
        receive(alice, actual, store, water, quantity, unit=unit)
    assert refused.value.kind.code == f"resources.{code}" and refused.value.message
    assert not Stock.plain.exists()


@pytest.mark.django_db
def test_units_convert_only_as_somebody_has_said(alice, actual, store, water):
    receive(alice, actual, store, water, "0.9", unit="t")  # 900 kg of 1.5 kg each
    assert Stock.plain.get().quantity == 600
    rice = item(alice, actual, unit="kg", per_box="", weight_kg="")
    receive(alice, actual, store, rice, "2.5", unit="t")
    assert Stock.plain.get(item=rice).quantity == 2500
    for unit in ("box", "piece"):
        with pytest.raises(Problem) as refused:
            receive(alice, actual, store, rice, 1, unit=unit)
        assert refused.value.kind.code == "resources.unit_mixed"


@pytest.mark.django_db
def test_expired_goods_are_not_issued_and_the_last_day_counts(alice, actual, store, water):
    receive(alice, actual, store, water, 5, lot="last", expires_on=today().isoformat())
    receive(alice, actual, store, water, 5, lot="over", expires_on=(today() - timedelta(days=1)).isoformat())
    issue(alice, actual, store, water, 5)
    with pytest.raises(Problem) as refused:
        issue(alice, actual, store, water, 1)
    assert refused.value.kind.code in ("resources.expired", "resources.not_enough")
    with pytest.raises(Problem) as refused:
        issue(alice, actual, store, water, 1, lot="over")
    assert refused.value.kind.code == "resources.expired"
    actions.write_off(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "lot": "over", "quantity": 5}], reason="过期销毁")
    assert sum(Stock.plain.values_list("quantity", flat=True)) == 0
    with pytest.raises(Problem) as refused:
        receive(alice, actual, store, water, 1, lot="last", expires_on=(today() + timedelta(days=9)).isoformat())
    assert refused.value.kind.code == "resources.lot_differs"


@pytest.mark.django_db
def test_what_is_promised_goes_to_nobody_else_and_lapses(alice, actual, store, water):
    receive(alice, actual, store, water, 10)
    kept, = actions.reserve(Act(alice, actual), warehouse=store.pk, lines=[{"item": str(water.pk), "quantity": 8}], party="甲一镇", subject="order:1")
    with pytest.raises(Problem) as refused:
        issue(alice, actual, store, water, 3)
    assert refused.value.kind.code == "resources.not_enough" and "8" in refused.value.message
    Reservation.plain.filter(pk=kept).update(until=clock.now() - timedelta(minutes=1))
    actions.lapse(Act(alice, actual), reservation=kept)
    assert Stock.plain.get().reserved == 0
    with pytest.raises(Problem) as refused:
        actions.issue_kept(Act(alice, actual), warehouse=store.pk, subject="order:1")
    assert refused.value.kind.code == "resources.no_reservation"
    issue(alice, actual, store, water, 10)


@pytest.mark.django_db
def test_a_neighbour_moves_nothing_and_a_drill_has_stock_of_its_own(alice, charlie, actual, store, water):
    from anlan.kernel import realms

    receive(alice, actual, store, water, 10, lot="A")
    with pytest.raises(Problem) as refused:
        issue(charlie, actual, store, water, 1)
    assert refused.value.kind.code == "kernel.forbidden"
    assert not supplies.stock(charlie, actual).exists()
    drill = realms.start(Act(alice, actual), kind="exercise", name="演练")
    issue(alice, drill, store, water, 7)
    assert {row.realm_id: row.quantity for row in Stock.plain.all()} == {actual.pk: 10, drill.pk: 3}
    assert supplies.audit(actual) == [] and supplies.audit(drill) == []


@pytest.mark.django_db
def test_any_run_of_movements_leaves_the_book_exact(alice, actual, county, water):
    """Hypothesis plays movements against a model of plain numbers; the balances agree at every step and nothing becomes negative."""
    places = [warehouse(alice, actual, county) for _ in range(2)]
    line = lambda quantity, lot="": [{"item": str(water.pk), "quantity": quantity, **({"lot": lot} if lot else {})}]  # noqa: E731

    class Book(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            self.point = transaction.atomic()
            self.point.__enter__()
            self.held = {(n, lot): Decimal(0) for n in range(2) for lot in "AB"}

        def teardown(self):
            if hasattr(self, "point"):
                transaction.set_rollback(True)
                self.point.__exit__(None, None, None)

        def check(self, act, may, after):
            try:
                with transaction.atomic():
                    act()
                assert may
                self.held.update(after)
            except Problem as problem:
                assert not may and problem.kind.status in (404, 409, 422)
            found = {(places.index(row.warehouse), row.lot): row.quantity for row in Stock.plain.filter(item=water).select_related("warehouse")}
            assert {key: found.get(key, 0) for key in self.held} == self.held and min(self.held.values()) >= 0
            assert supplies.audit(actual) == []

        @rule(n=st.integers(0, 1), lot=st.sampled_from("AB"), quantity=st.integers(-1, 9))
        def comes(self, n, lot, quantity):
            self.check(lambda: receive(alice, actual, places[n], water, quantity, lot=lot), quantity > 0, {(n, lot): self.held[n, lot] + quantity})

        @rule(n=st.integers(0, 1), lot=st.sampled_from("AB"), quantity=st.integers(0, 12))
        def goes(self, n, lot, quantity):
            self.check(lambda: issue(alice, actual, places[n], water, quantity, lot=lot), 0 < quantity <= self.held[n, lot], {(n, lot): self.held[n, lot] - quantity})

        @rule(n=st.integers(0, 1), lot=st.sampled_from("AB"), quantity=st.integers(1, 12))
        def moves(self, n, lot, quantity):
            self.check(
                lambda: actions.transfer(Act(alice, actual), warehouse=places[n].pk, to=places[1 - n].pk, lines=line(quantity, lot)), quantity <= self.held[n, lot],
                {(n, lot): self.held[n, lot] - quantity, (1 - n, lot): self.held[1 - n, lot] + quantity},
            )

        @rule(n=st.integers(0, 1), lot=st.sampled_from("AB"), quantity=st.integers(1, 12))
        def is_lost(self, n, lot, quantity):
            self.check(
                lambda: actions.write_off(Act(alice, actual), warehouse=places[n].pk, lines=line(quantity, lot), reason="损坏"), quantity <= self.held[n, lot],
                {(n, lot): self.held[n, lot] - quantity},
            )

    run_state_machine_as_test(Book, settings=settings(max_examples=12, stateful_step_count=10, deadline=None, suppress_health_check=list(HealthCheck)))
