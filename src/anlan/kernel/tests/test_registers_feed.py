"""What others read of a register: lists and cursors, the map, the change feed, the API, the command line."""
from __future__ import annotations

import argparse
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from anlan.kernel import commands
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.models import AccessLog, FeedEpoch
from anlan.kernel.registers import REGISTERS, Field, actions, declare, feed, get, queries, values
from anlan.runtime.testing import make_actor, make_post

TEAM = "resources.team"


def team(actor: Any, realm: Any, region: Any, code: str, **extra: Any) -> Any:
    return actions.create(Act(actor, realm), register=TEAM, values={"code": code, "name": f"{code}队", "kind": "fire", "region": str(region.pk), "leader": "王建国", **extra})


# --- declarations ---------------------------------------------------------------------------------------------------------


def test_declarations_are_sound_and_wrong_ones_are_told(db: Any) -> None:
    assert [fault for one in REGISTERS.values() for fault in declare.lint(one)] == []
    team_ = get(TEAM)
    from dataclasses import replace

    bad = replace(team_, name="Team", read="resources.raed", key=("cod",), fields=(
        Field("code"), Field("no_such"), Field("kind", codes="no_list", show_when="nothing=1"), Field("leader", personal=declare.Personal(mask="x"), search=True),
        Field("base", ref="resources.bsae"), Field("note", pattern="("),
    ))
    told = " | ".join(declare.lint(bad))
    for word in ("room.thing", "resources.raed", "'no_such'", "no_list", "nothing", "mask", "purpose", "searched", "bsae", "pattern", "cod:"):
        assert word in told, word


def test_every_filter_and_order_of_every_register_has_an_index(db: Any) -> None:
    """The promise of the list at a million rows; the migration makes what the declaration asks for."""
    for declared in REGISTERS.values():
        if declared.steps_only:
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s", [declared.model._meta.db_table])
            found = [row[0] for row in cursor.fetchall()]
            cursor.execute("SELECT 1 FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", [declared.model._meta.db_table])
            assert cursor.fetchone(), declared.name
        for name in {*declared.sorts, *(one.name for one in declared.all if one.filter)}:
            column = values.attribute(declared.model, name)
            assert any(f"({column}," in text or f"({column})" in text or f'("{column}"' in text for text in found), (declared.name, name)


@pytest.mark.parametrize(("kind", "raw", "want"), [
    ("date", "2026年7月20日", "2026-07-20"), ("date", "２０２６/７/２０", "2026-07-20"), ("date", "20260720", "2026-07-20"), ("date", 46223, "2026-07-20"), ("date", "46223", "2026-07-20"),
    ("date", "2026.7.20", "2026-07-20"), ("date", "2026-7-32", None), ("date", "soon", None), ("date", 5, None), ("datetime", "2026-07-20 08:30", "2026-07-20T00:30:00Z"),
    ("datetime", "2026年7月20日 8时30分", "2026-07-20T00:30:00Z"), ("datetime", 46223.5, "2026-07-20T04:00:00Z"), ("datetime", "2026-07-20T08:30:00+00:00", "2026-07-20T08:30:00Z"),
    ("integer", "１，２００", 1200), ("integer", "1,200", 1200), ("integer", 12.0, 12), ("integer", "12.5", None), ("integer", "1e9999", None), ("integer", True, None), ("integer", "nan", None),
    ("decimal", "3.5", 3.5), ("decimal", "inf", None), ("bool", "是", True), ("bool", "×", False), ("bool", "maybe", None), ("phone", "０５７１－８８８８１１１１", "0571-88881111"), ("phone", "abc", None),
    ("point", "119.2，28.1", [119.2, 28.1]), ("point", ["119.2", "91"], None), ("point", "119.2", None), ("url", "javascript:alert(1)", None), ("url", "https://a.cn/b", "https://a.cn/b"),
    ("text", "  a\x00b\n c ", "ab c"), ("text", 13812345678.0, "13812345678"),
])
def test_values_as_people_write_them(kind: str, raw: Any, want: Any) -> None:
    field, look = Field("x", kind=kind), values.Lookup()
    if want is None:
        with pytest.raises(values.Refused):
            values.clean(field, raw, look)
    else:
        assert values.plain(values.clean(field, raw, look)) == want


# --- lists and maps ---------------------------------------------------------------------------------------------------------


def test_a_list_is_filtered_sorted_and_walked_without_gap_or_repeat(actual: Any, alice: Any, county: Any, town: Any, monkeypatch: Any) -> None:
    for n in range(23):
        team(alice, actual, town if n % 2 else county, f"T-{n:02}", members=n % 4, kind="fire" if n % 3 else "social", assemble_min=None if n % 5 else n)
    declared = get(TEAM)
    assert queries.listed(alice, declared, filters={"region": str(town.pk)}).count == 11
    assert queries.listed(alice, declared, filters={"region": str(county.pk)}).count == 23
    assert queries.listed(alice, declared, filters={"kind": ["fire", "social"]}).count == 23
    assert {row.kind for row in queries.listed(alice, declared, filters={"kind": "社会应急力量"}).rows} == {"social"}
    for name in ("no_such", "leader", "kind__no", "point"):
        with pytest.raises(Problem, match="invalid"):
            queries.listed(alice, declared, filters={name: "x"})
    for most in (queries.EXACT_UP_TO, 5):  # below it the hits are sorted; above, the index is walked: the same answer
        monkeypatch.setattr(queries, "EXACT_UP_TO", most)
        for sort in ("name", "-members", "assemble_min", "-assemble_min"):
            walked, after = [], ""
            while True:
                page = queries.listed(alice, declared, sort=sort, size=4, after=after)
                walked += page.rows
                after = page.after
                if not page.more:
                    break
            assert len(walked) == len({row.pk for row in walked}) == 23, (most, sort)
            column = sort.lstrip("-")
            got = [getattr(row, column) for row in walked]
            held = [one for one in got if one is not None]
            assert held == sorted(held, reverse=sort.startswith("-")) and got[: len(held)] == held, (most, sort)
            numbered = [row.pk for n in range(1, 7) for row in queries.listed(alice, declared, sort=sort, size=4, page=n).rows]
            assert numbered == [row.pk for row in walked], (most, sort)
        assert queries.listed(alice, declared).estimated is (most == 5)
        for walk in (20_000, 1):  # found by walking the order, or by sorting all that have the word
            monkeypatch.setattr(queries, "WALK", walk)
            for sort, held in (("name", list(range(10, 20))), ("-members", sorted(range(10, 20), key=lambda n: -(n % 4)))):
                got = [int(row.code[2:]) for n in (1, 2, 3) for row in queries.listed(alice, declared, q="t-1", sort=sort, size=4, page=n).rows]
                first = queries.listed(alice, declared, q="t-1", sort=sort, size=4)
                after = [int(row.code[2:]) for row in queries.listed(alice, declared, q="t-1", sort=sort, size=4, after=first.after).rows]
                assert len(got) == 10 and set(got) == set(held) and after == got[4:8], (most, walk, sort)
                assert [n % 4 if sort == "-members" else n for n in got] == [n % 4 if sort == "-members" else n for n in held], (most, walk, sort)


def test_a_map_shows_rows_while_few_and_counts_when_many(actual: Any, alice: Any, charlie: Any, county: Any, monkeypatch: Any) -> None:
    for n in range(30):
        team(alice, actual, county, f"T-{n:02}", point=[119.05 + 0.01 * n, 28.05 + 0.005 * n])
    window = {"bbox": "118.9,27.9,119.6,28.6", "zoom": 9}
    few = queries.clusters(alice, get(TEAM), **window)
    assert (few["total"], len(few["points"]), few["clusters"]) == (30, 30, [])
    assert queries.clusters(charlie, get(TEAM), **window)["total"] == 0
    monkeypatch.setattr(queries, "POINTS", 10)
    for zoom in (2, 6, 9, 12):
        many = queries.clusters(alice, get(TEAM), bbox="118.9,27.9,119.6,28.6", zoom=zoom)
        assert sum(one["count"] for one in many["clusters"]) == 30 and many["points"] == [], zoom
        worded = queries.clusters(alice, get(TEAM), bbox="118.9,27.9,119.6,28.6", zoom=zoom, q="t")
        assert worded["total"] == 30 and [(one["cell"], one["count"]) for one in worded["clusters"]] == [(one["cell"], one["count"]) for one in many["clusters"]], zoom
    assert len(queries.clusters(alice, get(TEAM), **window, q="t-1")["points"]) == 10 and queries.clusters(charlie, get(TEAM), **window, q="t-1")["total"] == 0
    assert {one["title"] for one in queries.clusters(alice, get(TEAM), bbox="119.045,28.045,119.075,28.065", zoom=14, q="t-0")["points"]} == {"T-00队", "T-01队", "T-02队"}
    near = queries.clusters(alice, get(TEAM), bbox="119.045,28.045,119.075,28.065", zoom=14)
    assert {one["title"] for one in near["points"]} == {"T-00队", "T-01队", "T-02队"}
    assert queries.geojson(alice, get(TEAM), **window)["features"][0]["properties"]["point_count"] >= 1
    for bbox in ("1,2,3", "a,b,c,d", "3,4,1,2", "nan,0,1,1"):
        with pytest.raises(Problem, match="invalid"):
            queries.clusters(alice, get(TEAM), bbox=bbox, zoom=3)


# --- the feed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_commits_late_is_not_passed_over(actual: Any, alice: Any, county: Any) -> None:
    """The trap: A is written first and committed last. A reader who has taken B must still get A."""
    first, second = team(alice, actual, county, "A"), team(alice, actual, county, "B")
    start = feed.changes(alice, get(TEAM))
    assert {item["id"] for item in start["items"]} == {str(first.pk), str(second.pk)}
    late = connection.copy()
    try:
        late.set_autocommit(False)
        with late.cursor() as cursor:
            cursor.execute("UPDATE resources_team SET members = 7 WHERE id = %s", [first.pk])
        actions.change(Act(alice, actual), register=TEAM, row=second.pk, changes={"members": 8})
        meanwhile = feed.changes(alice, get(TEAM), since=start["cursor"])
        assert meanwhile["items"] == []  # B is committed, and held back for A's sake
        late.commit()
    finally:
        late.close()
    after = feed.changes(alice, get(TEAM), since=meanwhile["cursor"])
    assert [(item["id"], item["values"]["members"]) for item in after["items"]] == [(str(first.pk), 7), (str(second.pk), 8)]
    assert feed.changes(alice, get(TEAM), since=after["cursor"])["items"] == []


@pytest.mark.django_db(transaction=True)
def test_what_leaves_the_list_or_the_reach_leaves_a_tombstone(actual: Any, city: Any, county: Any, county2: Any, alice: Any, charlie: Any) -> None:
    everywhere = make_actor("city", make_post("市值班员", city, capabilities=("resources.read", "resources.write")))
    ended, moved, kept = (team(alice, actual, county, code) for code in ("E", "M", "K"))
    far = team(charlie, actual, county2, "F")
    start = feed.changes(alice, get(TEAM), limit=2)
    assert start["more"] and len(start["items"]) == 2
    start = feed.changes(alice, get(TEAM), since=start["cursor"])
    assert not start["more"] and [item["id"] for item in start["items"]] == [str(kept.pk)]
    actions.end(Act(alice, actual), register=TEAM, row=ended.pk, reason="disbanded")
    actions.change(Act(everywhere, actual), register=TEAM, row=moved.pk, changes={"region": str(county2.pk)})
    actions.change(Act(charlie, actual), register=TEAM, row=far.pk, changes={"members": 3})
    got = feed.changes(alice, get(TEAM), since=start["cursor"])["items"]
    assert got == [{"id": str(ended.pk), "gone": True}, {"id": str(moved.pk), "gone": True}]
    assert {item["id"] for item in feed.changes(charlie, get(TEAM))["items"] if "gone" not in item} == {str(moved.pk), str(far.pk)}


@pytest.mark.django_db(transaction=True)
def test_a_restore_begins_a_new_feed(actual: Any, alice: Any, county: Any) -> None:
    row = team(alice, actual, county, "A")
    start = feed.changes(alice, get(TEAM))
    FeedEpoch.objects.update(identity="another database")
    with connection.cursor() as cursor:  # restored rows bear the numbers of the old database, far ahead of ours
        cursor.execute("ALTER TABLE resources_team DISABLE TRIGGER USER; UPDATE resources_team SET changed_xid = 9000000000; ALTER TABLE resources_team ENABLE TRIGGER USER")
    with pytest.raises(Problem, match="feed_start_again"):
        feed.changes(alice, get(TEAM), since=start["cursor"])
    assert [item["id"] for item in feed.changes(alice, get(TEAM))["items"]] == [str(row.pk)]
    with pytest.raises(Problem, match="invalid"):
        feed.changes(alice, get(TEAM), since="rubbish")


# --- API and command line -----------------------------------------------------------------------------------------------------


def test_the_api_lists_changes_and_hides(actual: Any, alice: Any, charlie: Any, county: Any, client: Any, signed_in: Any) -> None:
    signed_in(client, alice)
    made = client.post(f"/api/v1/registers/{TEAM}", {"values": {"code": "A", "name": "一队", "kind": "fire", "region": str(county.pk), "leader": "王建国", "members": 5}}, content_type="application/json", headers={"Idempotency-Key": "one"})
    assert made.status_code == 201, made.content
    key = made.json()["id"]
    again = client.post(f"/api/v1/registers/{TEAM}", {"values": {"code": "A", "name": "一队", "kind": "fire", "region": str(county.pk), "leader": "王建国", "members": 5}}, content_type="application/json", headers={"Idempotency-Key": "one"})
    assert again.json()["id"] == key
    page = client.get(f"/api/v1/registers/{TEAM}?q=yd&kind=fire&members__gte=5&fields=name,leader").json()
    assert (page["count"], page["items"][0]["values"]) == (1, {"name": "一队", "leader": "王建国"})
    assert AccessLog.objects.filter(person=alice.person_id, kind="list").count() == 1
    wrong = client.post(f"/api/v1/registers/{TEAM}", {"values": {"code": "B"}}, content_type="application/json")
    assert wrong.status_code == 422 and {one["field"] for one in wrong.json()["error"]["fields"]} >= {"name", "kind"}
    assert client.get(f"/api/v1/registers/{TEAM}?sort=leader").status_code == 422
    assert client.get("/api/v1/registers/no.such").status_code == 404
    patched = client.patch(f"/api/v1/registers/{TEAM}/{key}", {"changes": {"members": 9}, "base": {"members": 4}}, content_type="application/json").json()
    assert (patched["conflicts"], patched["values"]["members"]) == (["members"], 5)
    assert client.patch(f"/api/v1/registers/{TEAM}/{key}", {"changes": {"members": 9}}, content_type="application/json", headers={"If-Match": '"99"'}).status_code == 409
    for path in (f"{key}/history", "changes", "map?bbox=118,27,121,30&zoom=8", "declaration"):
        assert client.get(f"/api/v1/registers/{TEAM}/{path}").status_code == 200, path
    assert client.get(f"/api/v1/registers/{TEAM}/changes?since=x").status_code == 422
    signed_in(client, charlie)
    assert client.get(f"/api/v1/registers/{TEAM}").json()["count"] == 0
    for path in (key, f"{key}/history"):
        assert client.get(f"/api/v1/registers/{TEAM}/{path}").status_code == 404
    for path, body in ((f"{key}/verify", {}), (f"{key}/end", {"reason": "x"})):
        assert client.post(f"/api/v1/registers/{TEAM}/{path}", body, content_type="application/json").status_code == 404
    nobody = make_actor("nobody", make_post("无权岗位", county))
    signed_in(client, nobody)
    assert client.get(f"/api/v1/registers/{TEAM}").status_code == 403
    assert client.get("/api/v1/registers").json() == []


@pytest.fixture
def run(monkeypatch: Any, capsys: Any) -> Any:
    def call(line: str) -> tuple[int, str]:
        parser = argparse.ArgumentParser()
        commands.register(parser.add_subparsers())
        args = parser.parse_args(line.split())
        monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
        code = args.func(args)
        return code, capsys.readouterr().out

    return call


def test_the_command_line_does_the_same(run: Any, actual: Any, alice: Any, county: Any, tmp_path: Path) -> None:
    code, out = run("register list --json")
    assert code == 0 and TEAM in {one["name"] for one in json.loads(out)}
    code, out = run(f"register template {TEAM}")
    head = out.splitlines()[0].split(",")
    assert code == 0 and {"code", "name", "kind", "region", "point.lon"} <= set(head) and "社会应急力量" in out
    # The template as it was printed, with rows put under it, is what the import takes.
    good = dict.fromkeys(head, "") | {"code": "A-1", "name": "一队", "kind": "fire", "region": "甲县", "members": "7"}
    bad = good | {"code": "A-2", "kind": "骑兵"}
    path = tmp_path / "teams.csv"
    path.write_text(out + "\n".join(",".join(row[name] for name in head) for row in (good, bad)) + "\n")
    code, out = run(f"register import {TEAM} {path} --json")
    answer = json.loads(out)
    assert code == 1 and (answer["read"], answer["written"]) == (2, 0) and answer["seconds"] >= 0
    [fault] = answer["refused"]
    assert set(fault) == {"row", "field", "why"} and fault["field"] == "kind" and fault["row"] == len(path.read_text().splitlines())
    code, out = run(f"register import {TEAM} {path} --json --good-rows --as alice --refused {tmp_path / 'refused.xlsx'}")
    assert code == 1 and json.loads(out)["written"] == 1 and (tmp_path / "refused.xlsx").exists()
    assert get(TEAM).rows().get(code="A-1").members == 7
    code, _out = run(f"register export {TEAM} {tmp_path / 'out.csv'} --as alice --filter kind=fire")
    assert code == 0 and "一队" in (tmp_path / "out.csv").read_text("utf-8-sig")


def test_a_machine_imports_only_what_machines_may(actual: Any, county: Any, tmp_path: Path) -> None:
    from anlan.kernel import access

    assert access.may(Actor.machine("import"), "resources.write") and not access.may(Actor.machine("import"), "resources.contacts")


def test_the_kept_counts_are_what_the_rows_say(actual: Any, alice: Any, charlie: Any, county: Any, town: Any, monkeypatch: Any) -> None:
    """After every way of writing: made, moved, verified, ended, put back, folded; and one who may not read them sees none."""
    from datetime import timedelta

    from anlan.kernel import clock
    from anlan.kernel.registers import counting

    declared = get(TEAM)

    def counted() -> dict[int, tuple[int, int]]:
        return {cell: (number, old) for cell, number, old in counting.cells(declared, None, False, None) if number}

    def true(**only: Any) -> dict[int, tuple[int, int]]:
        found: dict[int, tuple[int, int]] = {}
        for row in declared.rows().filter(ended_at=None, cell__isnull=False, **only):
            number, old = found.get(row.cell >> counting.SHIFT, (0, 0))
            found[row.cell >> counting.SHIFT] = (number + 1, old + queries.stale(declared, row))
        return found

    made = [actions.create(Act(alice, actual), register=TEAM, values={
        "code": f"C-{n}", "name": f"队{n}", "kind": "social" if n % 3 else "fire", "region": str(county.pk), "point": [119.02 + 0.02 * n, 28.05],
    }) for n in range(12)]
    limit = clock.now() - declared.good_for
    for row, age in zip(made, (-3, -1, 1, 3, 400), strict=False):  # about the limit, inside and outside its week
        declared.rows().filter(pk=row.pk).update(verified_at=limit - timedelta(days=age))
    declared.rows().filter(pk=made[5].pk).update(verified_at=None)
    assert counted() == true() and sum(old for _n, old in counted().values()) == 4
    actions.change(Act(alice, actual), register=TEAM, row=made[6].pk, changes={"point": [119.35, 28.3], "region": str(town.pk)})
    for row in made[7:9]:
        actions.end(Act(alice, actual), register=TEAM, row=row.pk, reason="test")
    actions.restore(Act(alice, actual), register=TEAM, row=made[7].pk)
    declared.rows().filter(pk=made[9].pk).delete()
    actions.change(Act(alice, actual), register=TEAM, row=made[10].pk, changes={"kind": "fire"})
    assert counted() == true() and sum(n for n, _old in counted().values()) == 10
    for kinds in (["fire"], ["fire", "social"], ["township"]):
        assert {cell: (number, old) for cell, number, old in counting.cells(declared, None, False, None, "kind", kinds)} == true(kind__in=kinds)
    assert counting.fold() > 0 and counting.fold() == 0 and counted() == true()
    monkeypatch.setattr(queries, "POINTS", 0)
    window: dict[str, Any] = {"bbox": "118,27,120.5,29.5", "zoom": 8}
    monkeypatch.setattr(queries, "_share", None)  # rows are not walked
    seen = queries.clusters(alice, declared, **window)
    assert (seen["total"], sum(one["stale"] for one in seen["clusters"])) == (10, 4)
    assert queries.clusters(alice, declared, **window, filters={"region": str(town.pk)})["total"] == declared.rows().filter(ended_at=None, region=town).count()
    assert queries.clusters(charlie, declared, **window)["total"] == 0
    asked: list[dict[str, Any]] = [{"kind": "fire"}, {"kind": ["fire", "social"]}, {"stale": "yes"}, {"stale": "no"}, {"kind": "social", "stale": "yes"}, {"kind": "fire", "region": str(town.pk)}, {"readiness": "standby"}]
    for filters in asked:
        seen = queries.clusters(alice, declared, **window, filters=filters)
        assert seen["total"] == queries.listed(alice, declared, filters=filters).count == sum(one["count"] for one in seen["clusters"]), filters
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE kernel_registercount")
        cursor.execute("DROP TRIGGER counted_update ON resources_team")
    counting.ensure()
    assert counted() == true()
