"""Writing a register: rights by region and field, merging, conflicts, history, personal data. The register is the rescue teams'."""
from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from anlan.kernel import clock, work
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.models import (
    AccessLog,
    Fact,
    FactPayload,
    FieldConflict,
    Grant,
    RegisterChange,
    SearchEntry,
    WorkItem,
)
from anlan.kernel.registers import actions, get, queries
from anlan.runtime.testing import make_actor, make_post

TEAM = "resources.team"


def team(actor: Any, realm: Any, region: Any, **extra: Any) -> Any:
    values = {"code": "T-1", "name": "甲县消防救援大队", "kind": "fire", "region": str(region.pk), "members": 20, "leader": "王建国", "leader_phone": "13812345678", **extra}
    return actions.create(Act(actor, realm), register=TEAM, values=values)


def change(actor: Any, realm: Any, row: Any, changes: dict, **extra: Any) -> Any:
    return actions.change(Act(actor, realm, **extra.pop("act", {})), register=TEAM, row=row.pk, changes=changes, **extra)


def test_a_row_is_created_found_and_remembered(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county, name="甲县消防 救援大队", members="２０", founded="2019年3月1日")
    assert (row.members, str(row.founded), row.version) == (20, "2019-03-01", 1)
    for q in ("消防", "xf", "xiaofang", "T-1"):
        assert queries.listed(alice, get(TEAM), q=q).rows == [row], q
    assert queries.listed(alice, get(TEAM), q="水上").rows == []
    [step] = queries.history(alice, get(TEAM), row.pk)
    assert (step.op, step.who) == ("create", "alice")
    assert Fact.objects.filter(kind="kernel.RegisterRowChanged", subject=f"team:{row.pk}", region_id=county.pk).count() == 1


def test_the_same_operation_makes_one_row(actual: Any, alice: Any, county: Any) -> None:
    act = {"op_id": new_id()}
    values = {"code": "T-9", "name": "一队", "kind": "fire", "region": str(county.pk)}
    first = actions.create(Act(alice, actual, **act), register=TEAM, values=values)
    again = actions.create(Act(alice, actual, **act), register=TEAM, values=values)
    assert first.pk == again.pk and get(TEAM).rows().count() == 1


def test_each_wrong_field_is_named(actual: Any, alice: Any, county: Any) -> None:
    team(alice, actual, county)
    with pytest.raises(Problem) as problem:
        team(alice, actual, county, code="", kind="no such kind", members="many", founded="2026-02-30", nothing="x")
    assert {fault["field"] for fault in problem.value.fields} == {"code", "kind", "members", "founded", "nothing"}
    with pytest.raises(Problem) as problem:
        team(alice, actual, county)
    assert [fault["field"] for fault in problem.value.fields] == ["code"]
    assert get(TEAM).rows().count() == 1


def test_an_outsider_neither_sees_nor_writes(actual: Any, alice: Any, charlie: Any, county: Any, county2: Any) -> None:
    row = team(alice, actual, county)
    assert queries.listed(charlie, get(TEAM)).rows == []
    with pytest.raises(Problem, match="not_found"):
        queries.line(charlie, get(TEAM), row.pk)
    with pytest.raises(Problem, match="not_found"):
        queries.history(charlie, get(TEAM), row.pk)
    for attempt in (
        lambda: change(charlie, actual, row, {"members": 1}), lambda: actions.verify(Act(charlie, actual), register=TEAM, row=row.pk),
        lambda: actions.end(Act(charlie, actual), register=TEAM, row=row.pk, reason="x"), lambda: team(charlie, actual, county, code="T-2"),
        lambda: actions.bulk(Act(charlie, actual), register=TEAM, rows=[str(row.pk)], changes={"members": 1}),
        lambda: change(alice, actual, row, {"region": str(county2.pk)}),  # nor can Alice push it where she has no say
    ):
        with pytest.raises(Problem) as problem:
            attempt()
        assert problem.value.kind.code in ("kernel.not_found", "kernel.forbidden")
    row.refresh_from_db()
    assert (row.members, row.region_id, row.version) == (20, county.pk, 1)


def reader(region: Any, *capabilities: str) -> Any:
    return make_actor(f"reader {'-'.join(capabilities)}"[:60], make_post(f"岗位 {'-'.join(capabilities)}", region, capabilities=capabilities))


def test_fields_have_rights_of_their_own_and_reads_of_personal_ones_are_noted(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county)
    plain = reader(county, "resources.read")
    seen = queries.line(plain, get(TEAM), row.pk)
    assert seen.cells["leader_phone"].text == "138****5678" and seen.cells["leader"].text == "王**" and seen.cells["leader_phone"].value is None
    assert "13812345678" not in str(seen.as_json())
    assert AccessLog.objects.filter(person=plain.person_id).count() == 0
    seen = queries.line(alice, get(TEAM), row.pk, purpose="call-out")
    assert seen.cells["leader_phone"].text == "13812345678"
    [log] = AccessLog.objects.filter(person=alice.person_id)
    assert (log.kind, log.subject, log.fields, log.purpose) == ("read", f"team:{row.pk}", ["leader", "leader_phone"], "call-out")
    writer = reader(county, "resources.read", "resources.write")
    with pytest.raises(Problem) as problem:
        change(writer, actual, row, {"readiness": "resting" if row.readiness != "resting" else "standby"})
    assert problem.value.fields and problem.value.fields[0]["field"] == "readiness"
    change(writer, actual, row, {"members": 21})


def test_personal_values_leave_the_history_when_erased(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county)
    change(alice, actual, row, {"leader_phone": "13987654321", "members": 25})
    plain = reader(county, "resources.read")
    told = {one.name: (before, after) for one, before, after in queries.history(plain, get(TEAM), row.pk)[0].changes}
    assert told["leader_phone"] == ("138****5678", "139****4321") and told["members"][0].startswith("20")
    told = {one.name: (before, after) for one, before, after in queries.history(alice, get(TEAM), row.pk)[0].changes}
    assert told["leader_phone"] == ("13812345678", "13987654321")
    actions.erase(Act(alice, actual), register=TEAM, row=row.pk, reason="asked for")
    assert "13812345678" not in str(list(RegisterChange.objects.values("changes", "personal")))
    row.refresh_from_db()
    assert (row.leader, row.leader_phone, row.members) == ("", "", 25)


def test_edits_of_different_fields_merge(actual: Any, alice: Any, bob: Any, county: Any) -> None:
    row = team(alice, actual, county)
    change(alice, actual, row, {"members": 30}, base={"members": 20})
    found = change(bob, actual, row, {"duty_phone": "0571-88881111"}, base={"duty_phone": ""})
    row.refresh_from_db()
    assert (row.members, row.duty_phone, row.version, found.conflicts) == (30, "0571-88881111", 3, [])


def test_a_value_sent_back_unchanged_is_no_edit(actual: Any, alice: Any, bob: Any, county: Any) -> None:
    """A form sends every field; one that its writer left as he saw it must not undo what another wrote meanwhile."""
    row = team(alice, actual, county)
    change(alice, actual, row, {"members": 30})
    found = change(bob, actual, row, {"members": 20, "boats": 2}, base={"members": "20", "boats": 0})
    row.refresh_from_db()
    assert (row.members, row.boats, found.conflicts) == (30, 2, [])


def test_edits_of_the_same_field_are_both_kept_and_the_owner_decides(actual: Any, alice: Any, bob: Any, county: Any, commander_post: Any) -> None:
    row = team(alice, actual, county)
    change(alice, actual, row, {"members": 30}, base={"members": 20})
    found = change(bob, actual, row, {"members": 40, "boats": 3}, base={"members": 20, "boats": 0})
    row.refresh_from_db()
    assert (row.members, row.boats) == (30, 3)
    [conflict] = found.conflicts
    assert (conflict.ours, conflict.theirs, conflict.person) == (30, 40, bob.person_id)
    [item] = WorkItem.objects.everything().filter(kind="registers.conflict")
    assert item.post_id in (alice.post_id, commander_post.pk)  # both may write it; the nearest that is held answers
    assert "甲县消防" in work.text(item)
    assert [one.pk for one in queries.conflicts(alice, get(TEAM), row.pk)] == [conflict.pk]
    actions.decide(Act(alice, actual), conflict=conflict.pk, keep="theirs")
    row.refresh_from_db()
    assert row.members == 40
    item.refresh_from_db()
    assert item.state == WorkItem.DONE
    with pytest.raises(Problem, match="illegal_step"):
        actions.decide(Act(alice, actual), conflict=conflict.pk, keep="ours")


def test_without_a_base_an_old_version_is_refused(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county)
    change(alice, actual, row, {"members": 21})
    with pytest.raises(Problem, match="stale"):
        change(alice, actual, row, {"members": 22}, act={"expected_version": 1})


def test_freshness_is_of_the_last_verification(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county)
    assert not queries.line(alice, get(TEAM), row.pk).stale
    get(TEAM).rows().filter(pk=row.pk).update(verified_at=clock.now() - timedelta(days=181))
    assert queries.line(alice, get(TEAM), row.pk).stale
    assert queries.listed(alice, get(TEAM), filters={"stale": "yes"}).count == 1
    actions.verify(Act(alice, actual), register=TEAM, row=row.pk)
    assert queries.listed(alice, get(TEAM), filters={"stale": "yes"}).count == 0


def test_what_is_ended_leaves_the_list_and_can_come_back_while_its_key_is_free(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county)
    with pytest.raises(Problem, match="reason_needed"):
        actions.end(Act(alice, actual), register=TEAM, row=row.pk, reason=" ")
    actions.end(Act(alice, actual), register=TEAM, row=row.pk, reason="disbanded")
    assert queries.listed(alice, get(TEAM)).count == 0
    assert queries.listed(alice, get(TEAM), filters={"ended": "yes"}).count == 1
    with pytest.raises(Problem, match="row_ended"):
        change(alice, actual, row, {"members": 1})
    second = team(alice, actual, county)
    with pytest.raises(Problem, match="invalid"):
        actions.restore(Act(alice, actual), register=TEAM, row=row.pk)
    actions.end(Act(alice, actual), register=TEAM, row=second.pk, reason="entered twice")
    assert actions.restore(Act(alice, actual), register=TEAM, row=row.pk).ended_at is None


def test_what_others_refer_to_cannot_be_ended(actual: Any, alice: Any, county: Any) -> None:
    base = actions.create(Act(alice, actual), register="resources.base", values={"code": "B-1", "name": "驻地", "region": str(county.pk)})
    row = team(alice, actual, county, base="B-1")
    assert row.base_id == base.pk
    with pytest.raises(Problem, match="still_used"):
        actions.end(Act(alice, actual), register="resources.base", row=base.pk, reason="closed")
    assert [(link["register"].name, link["count"]) for link in queries.linked(alice, get("resources.base"), base)] == [(TEAM, 1)]


def test_many_rows_change_at_once_or_none(actual: Any, alice: Any, county: Any, county2: Any, charlie: Any) -> None:
    rows = [team(alice, actual, county, code=f"T-{number}") for number in range(3)]
    other = team(charlie, actual, county2, code="T-other")
    with pytest.raises(Problem):
        actions.bulk(Act(alice, actual), register=TEAM, rows=[str(row.pk) for row in (*rows, other)], changes={"kind": "social"})
    answer = actions.bulk(Act(alice, actual), register=TEAM, filter={"kind": "fire"}, changes={"kind": "social", "members": 20})
    assert answer == {"changed": 3, "unchanged": 0}
    other.refresh_from_db()
    assert other.kind == "fire"
    assert queries.history(alice, get(TEAM), rows[0].pk)[0].op == "bulk"
    [fact] = Fact.objects.filter(kind="kernel.RegisterBatchDone")
    assert fact.subject == f"register:{TEAM}"


def test_many_rows_are_verified_or_removed_at_once_or_none(actual: Any, alice: Any, charlie: Any, county: Any, county2: Any) -> None:
    rows = [team(alice, actual, county, code=f"T-{number}") for number in range(3)]
    team(charlie, actual, county2, code="T-other")
    old = clock.now() - timedelta(days=500)
    get(TEAM).rows().update(verified_at=old, verified_by=None)
    get(TEAM).rows().filter(pk=rows[0].pk).update(verified_at=clock.now() + timedelta(days=1))  # later than now stays

    def stop(done: int, total: int) -> None:
        raise RuntimeError(f"{done} {total}")

    reader = make_actor("reader", make_post("网格员", county, capabilities=["resources.read"]))
    token = actions.watched.set(stop)
    with pytest.raises(RuntimeError, match="0 3"):
        actions.mark(Act(alice, actual), register=TEAM, do="verify", filter={"kind": "fire"})
    actions.watched.reset(token)
    with pytest.raises(Problem, match="forbidden"):
        actions.mark(Act(reader, actual), register=TEAM, do="verify", filter={})
    assert get(TEAM).rows().filter(verified_at=old).count() == 3 and not RegisterChange.objects.filter(op="verify").exists()
    assert actions.mark(Act(alice, actual), register=TEAM, do="verify", filter={"kind": "fire"}) == 3, "hers; the neighbour's are not found"
    assert get(TEAM).rows().filter(verified_at=old).count() == 1 and get(TEAM).rows().filter(verified_by=alice.person_id, version=2).count() == 2
    assert queries.history(alice, get(TEAM), rows[0].pk)[0].op == "verify"
    with pytest.raises(Problem, match="reason_needed"):
        actions.mark(Act(alice, actual), register=TEAM, do="end", rows=[str(rows[0].pk)])
    assert actions.mark(Act(alice, actual), register=TEAM, do="end", rows=[str(row.pk) for row in rows[:2]], reason="dissolved") == 2
    assert [row.code for row in queries.listed(alice, get(TEAM)).rows] == ["T-2"]
    assert not SearchEntry.objects.filter(kind="team", key=rows[0].pk).exists() and queries.history(alice, get(TEAM), rows[0].pk)[0].note == "dissolved"
    with pytest.raises(Problem, match="not_found"):
        actions.mark(Act(alice, actual), register=TEAM, do="end", rows=[str(row.pk) for row in rows], reason="again")
    assert [(one.payload["op"], one.payload["changed"]) for one in FactPayload.objects.filter(fact__kind="kernel.RegisterBatchDone").order_by("fact_id")] == [("verify", 3), ("end", 2)]


def test_a_register_is_read_only_in_an_exercise(exercise: Any, alice: Any, county: Any) -> None:
    with pytest.raises(Problem, match="only_actual"):
        team(alice, exercise, county)


def test_a_row_of_no_region_takes_that_of_its_point(actual: Any, alice: Any, county: Any) -> None:
    row = actions.create(Act(alice, actual), register=TEAM, values={"code": "P-1", "name": "点位队", "kind": "fire", "point": [119.2, 28.2]})
    assert row.region_id == county.pk and row.cell


def test_a_grant_over_a_unit_reaches_its_rows_anywhere(actual: Any, alice: Any, charlie: Any, county: Any) -> None:
    from anlan.kernel.models import Organisation

    unit = Organisation.objects.create(name="华安救援公司", region=None)
    row = team(alice, actual, county, organisation=str(unit.pk))
    charlie.cache.clear()
    for capability in ("resources.read", "resources.write"):
        Grant.objects.create(post_id=charlie.post_id, capability=capability, organisation=unit, starts_at=clock.now() - timedelta(days=1))
    assert queries.listed(charlie, get(TEAM)).rows == [row]
    change(charlie, actual, row, {"members": 22})
    assert FieldConflict.objects.count() == 0
