"""A public warning needs two natural persons, for exactly the content that goes out."""
from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from anlan.engines import cap
from anlan.kernel import journal, work
from anlan.kernel.actions import Actor
from anlan.kernel.errors import Problem
from anlan.warning import actions
from anlan.warning.models import Alert

from .builders import act, approved, draft, issued


def code(caught):
    return caught.value.kind.code


def test_two_persons_issue_a_valid_cap_message(actual, county, alice, bob):
    row = issued(alice, bob, actual, county)
    (message,) = cap.read(bytes(row.cap_xml)).messages
    assert row.state == Alert.ISSUED and message.valid and message.repairs == ()
    info = message.alert.infos[0]
    assert (info.severity, info.parameter("colour"), info.areas[0].description) == ("Extreme", "red", "甲县")
    assert info.areas[0].polygons and message.alert.status == "Actual" and message.alert.sent == row.sent


def test_the_author_cannot_approve(actual, county, alice):
    row = actions.submit(act(alice, actual), alert=draft(alice, actual, county).pk)
    with pytest.raises(Problem) as caught:
        actions.approve(act(alice, actual), alert=row.pk, seen_hash=row.content_hash)
    assert code(caught) == "warning.second_person"


def test_whoever_edited_cannot_approve(actual, county, alice, bob):
    row = draft(alice, actual, county)
    row = actions.edit(act(bob, actual), alert=row.pk, headline="山洪红色预警（续）")
    with pytest.raises(Problem) as caught:
        actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    assert code(caught) == "warning.second_person"


def test_whoever_edited_before_somebody_else_did_cannot_approve(actual, county, alice, bob, commander):
    row = draft(alice, actual, county)
    actions.edit(act(bob, actual), alert=row.pk, headline="山洪红色预警（续）")
    row = actions.edit(act(alice, actual), alert=row.pk, contact="12345")
    with pytest.raises(Problem) as caught:
        actions.approve(act(bob, actual), alert=row.pk, seen_hash=row.content_hash)
    assert code(caught) == "warning.second_person"
    assert actions.approve(act(commander, actual), alert=row.pk, seen_hash=row.content_hash).state == Alert.APPROVED


def test_a_machine_and_a_decision_given_on_behalf_are_no_second_person(actual, county, alice, bob, machine):
    row = draft(alice, actual, county)
    with pytest.raises(Problem):
        actions.approve(act(machine, actual), alert=row.pk, seen_hash=row.content_hash)
    from dataclasses import replace

    deputy = replace(bob, on_behalf_of=alice.person_id)
    with pytest.raises(Problem) as caught:
        actions.approve(act(deputy, actual), alert=row.pk, seen_hash=row.content_hash)
    assert code(caught) == "warning.second_person"


def test_an_edit_voids_the_approval_and_says_so(actual, county, alice, bob):
    row = approved(alice, bob, actual, county)
    row = actions.edit(act(alice, actual), alert=row.pk, description="河道水位已超警。")
    assert row.state == Alert.DRAFT and row.approver is None and row.approved_hash == ""
    assert "warning.ApprovalVoided" in [fact.kind for fact in journal.about(f"alert:{row.pk}")]
    with pytest.raises(Problem) as caught:
        actions.issue(act(bob, actual), alert=row.pk)
    assert code(caught) == "warning.not_possible"


def test_an_approval_holds_only_for_what_was_seen(actual, county, alice, bob):
    row = draft(alice, actual, county)
    seen = row.content_hash
    actions.edit(act(alice, actual), alert=row.pk, instruction="另一句。")
    with pytest.raises(Problem) as caught:
        actions.approve(act(bob, actual), alert=row.pk, seen_hash=seen)
    assert code(caught) == "warning.content_changed"


def test_an_edit_that_changes_nothing_keeps_the_approval(actual, county, alice, bob, commander):
    row = approved(alice, bob, actual, county)
    row = actions.edit(act(alice, actual), alert=row.pk, headline=row.headline)
    assert row.state == Alert.APPROVED and row.approver == bob.person_id


def test_a_public_warning_cannot_be_issued_unapproved(actual, county, alice):
    row = draft(alice, actual, county)
    with pytest.raises(Problem):
        actions.issue(act(alice, actual), alert=row.pk)


def test_the_database_refuses_one_person_twice_whoever_writes_the_row(actual, county, alice, bob):
    row = approved(alice, bob, actual, county)
    for change in ({"approver": alice.person_id}, {"author": bob.person_id}, {"editor": bob.person_id}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Alert.plain.filter(pk=row.pk).update(**change)


def test_the_database_refuses_an_issued_public_alert_without_approval(actual, county, alice):
    row = draft(alice, actual, county)
    with pytest.raises(IntegrityError), transaction.atomic():
        Alert.plain.filter(pk=row.pk).update(state="issued", issued_by=alice.person_id)


def test_by_law_a_weather_warning_to_the_public_is_not_ours(actual, county, alice):
    with pytest.raises(Problem) as caught:
        draft(alice, actual, county, hazard="11B03", headline="暴雨红色预警")
    assert code(caught) == "warning.not_ours" and "气象" in caught.value.message or "Weather" in caught.value.message


def test_an_internal_prompt_goes_out_by_one_person_at_once(actual, county, alice, drain, duty_post):
    row = draft(alice, actual, county, kind="prompt", hazard="11B03", headline="雨量站超橙色阈值")
    row = actions.issue(act(alice, actual), alert=row.pk)
    drain()
    assert row.state == Alert.ISSUED
    assert [item.kind for item in work.waiting_for(alice, actual)] == ["warning.alert"]


def test_an_outsider_may_not_write_for_another_county(actual, county, charlie):
    with pytest.raises(Problem) as caught:
        draft(charlie, actual, county)
    assert code(caught) == "kernel.forbidden"
    assert not Alert.plain.exists()


def test_power_needs_the_second_factor(actual, county, alice, bob):
    from dataclasses import replace

    row = draft(alice, actual, county)
    with pytest.raises(Problem) as caught:
        actions.approve(act(replace(bob, second_factor=False, cache={}), actual), alert=row.pk, seen_hash=row.content_hash)
    assert code(caught) == "kernel.second_factor"


def test_a_repeat_of_the_same_operation_issues_once(actual, county, alice, bob):
    row = approved(alice, bob, actual, county)
    first = act(bob, actual)
    again = act(bob, actual, op_id=first.op_id)
    assert actions.issue(first, alert=row.pk).pk == actions.issue(again, alert=row.pk).pk
    assert [fact.kind for fact in journal.about(f"alert:{row.pk}")].count("warning.AlertIssued") == 1


def test_why_leads_from_the_alert_to_the_draft(actual, county, alice, bob):
    row = issued(alice, bob, actual, county)
    facts = {fact.kind: fact for fact in journal.about(f"alert:{row.pk}")}
    chain = [fact.kind for fact in journal.chain(facts["warning.AlertIssued"].id)]
    assert chain == ["warning.AlertIssued", "warning.AlertApproved", "warning.AlertSubmitted", "warning.AlertComposed"]


def test_nobody_signed_in_may_nothing(actual, county):
    with pytest.raises(Problem):
        draft(Actor(), actual, county)
