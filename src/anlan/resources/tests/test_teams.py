"""The register of rescue teams by its declaration, and the readiness board over it."""
from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.urls import reverse

from anlan.kernel import clock
from anlan.kernel.actions import Act
from anlan.kernel.errors import Problem
from anlan.kernel.registers import actions, get, queries
from anlan.resources import queries as board
from anlan.resources.models import Team

pytestmark = pytest.mark.django_db
TODAY = date(2026, 7, 20)


@pytest.fixture
def enter(alice, actual, county):
    def make(code: str, actor=alice, place=county, **more):
        values = {"code": code, "name": f"{code}队", "kind": "government", "hazards": ["flood"], "readiness": "ready", "members": 20, "region": str(place.pk), **more}
        return actions.create(Act(actor, actual), register="resources.team", values=values)

    return make


def test_a_team_is_entered_changed_and_its_history_kept(enter, alice, actual):
    row = enter("DW1", hazards="防汛抢险、水域救援", kind="社会应急力量", grade="二级", grade_evidence="2026年测评")
    assert (row.kind, row.hazards, row.grade) == ("social", ["flood", "water"], "2")
    actions.change(Act(alice, actual), register="resources.team", row=row.pk, changes={"members": "２５ 人", "readiness": "备勤"}, base={"members": 20, "readiness": "ready"})
    steps = queries.history(alice, get("resources.team"), row.pk)
    assert [step.op for step in steps] == ["change", "create"]
    assert Team.plain.get(pk=row.pk).members == 25


def test_parts_are_no_more_than_the_whole_and_a_grade_has_its_evidence(enter):
    for values, field in (({"certified": 21}, "certified"), ({"kind": "social", "grade": "1"}, "grade_evidence"), ({"registration": "9133"}, "registration"),
                          ({"kind": "social", "grade": "1", "grade_evidence": "测评", "grade_score": 90, "members": 40, "certified": 20}, "grade"), ({"kind": "social", "grade": "3", "grade_evidence": "测评", "grade_score": 59, "certified": 20}, "grade")):
        with pytest.raises(Problem) as refused:
            enter("DW2", **values)
        assert field in {fault["field"] for fault in refused.value.fields}
    assert not Team.plain.exists()
    assert enter("DW2", kind="social", grade="2", grade_evidence="测评", grade_score=90, members=40, certified=20).grade == "2"  # half with a certificate: by the rule grade 2


def test_the_leader_is_personal(enter, alice, charlie, county, client, signed_in):
    from anlan.runtime.testing import make_actor, make_post

    row = enter("DW3", leader="王强", leader_phone="12900000001")
    reader = make_actor("reader", make_post("资料员", county, capabilities=("resources.read",)))
    signed_in(client, reader)
    page = client.get(f"/api/v1/registers/resources.team/{row.pk}").content.decode()
    assert "12900000001" not in page and "王强" not in page and "0001" in page
    signed_in(client, alice)
    assert "12900000001" in client.get(f"/api/v1/registers/resources.team/{row.pk}").content.decode()
    signed_in(client, charlie)
    assert client.get(f"/api/v1/registers/resources.team/{row.pk}").status_code == 404


def test_the_board_counts_who_can_go_and_where_nobody_is(enter, alice, city, county, county2, charlie, client, signed_in):
    enter("A", certificates_until=(TODAY + timedelta(days=400)).isoformat())
    enter("B", readiness="resting")
    enter("C", hazards=["mountain"], insured_until=(TODAY - timedelta(days=1)).isoformat())
    enter("D", actor=charlie, place=county2, hazards=["chemical"])
    assert {row.code for row in board.usable(Team.plain.filter(ended_at=None), TODAY)} == {"A", "D"}
    found = board.board(alice, TODAY)
    assert (found["teams"], found["usable"]) == (3, 1)  # of her own county; the neighbour's are not hers to see
    cells = {(line["code"], cell["place"].pk): cell for line in found["cover"] for cell in line["cells"]}
    assert cells["flood", county.pk]["n"] == 1 and not cells["flood", county.pk]["gap"]
    assert cells["mountain", county.pk]["gap"]
    assert [line["team"].code for line in found["papers"]] == ["C"]
    signed_in(client, alice)
    assert "A队" not in client.get(reverse("resources:board")).content.decode()  # names appear where papers run out, and nowhere else
    assert clock.now()
