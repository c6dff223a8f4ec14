"""Nothing of an exercise, a test or a draft leaves; nothing public leaves unapproved, held, expired, cancelled or beyond our competence."""
from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.kernel import clock
from anlan.kernel.errors import Problem
from anlan.kernel.ids import new_id
from anlan.kernel.models import Installation, Realm
from anlan.warning import actions, gate, issuers
from anlan.warning.gate import may_be_sent
from anlan.warning.models import Alert, Channel

from .builders import act, channel, draft, issued

OUTWARD = ["cap_feed", "sms", "webhook", "email", "text_file"]


@pytest.fixture
def feed(db):
    return channel("cap_feed")


def test_an_issued_warning_passes_a_chosen_channel(actual, county, alice, bob, feed):
    row = issued(alice, bob, actual, county)
    assert may_be_sent(row, feed) == gate.Verdict(True, "")


def test_what_was_not_chosen_does_not_pass(actual, county, alice, bob, feed):
    other = channel("text_file", name="other")
    row = issued(alice, bob, actual, county, channels=[str(feed.pk)])
    assert may_be_sent(row, feed) and not may_be_sent(row, other)


@pytest.mark.parametrize("adapter", OUTWARD)
def test_an_exercise_leaves_by_no_channel_and_still_reaches_its_own_posts(exercise, county, alice, bob, adapter):
    out, test = channel(adapter), channel(adapter, name="sim", test=True)
    row = issued(alice, bob, exercise, county, channels=[str(out.pk), str(test.pk)])
    assert row.status == "Exercise"
    assert not may_be_sent(row, out) and not may_be_sent(row, test)
    assert may_be_sent(row, actions.in_app_channel())


def test_an_exercise_message_cannot_be_told_to_be_actual(exercise, county, alice):
    assert draft(alice, exercise, county, status="Actual").status == "Exercise"


def test_a_test_message_leaves_by_test_channels_only(actual, county, alice, bob, feed):
    simulator = channel("sms", name="simulator", test=True)
    row = issued(alice, bob, actual, county, status="Test", channels=[str(feed.pk), str(simulator.pk)])
    assert not may_be_sent(row, feed) and may_be_sent(row, simulator)
    real = issued(alice, bob, actual, county, channels=[str(feed.pk), str(simulator.pk)])
    assert may_be_sent(real, feed) and not may_be_sent(real, simulator)


def test_a_restored_installation_holds_every_outward_channel(actual, county, alice, bob, feed):
    row = issued(alice, bob, actual, county)
    here = Installation.current()
    here.outward_held = True
    here.save()
    assert not may_be_sent(row, feed) and may_be_sent(row, actions.in_app_channel())


def test_a_folder_with_demonstration_accounts_sends_nothing_outward(actual, county, alice, bob, feed):
    row = issued(alice, bob, actual, county)
    mark = django_settings.HOME / "demo.json"
    mark.write_text("{}")
    try:
        assert not may_be_sent(row, feed) and may_be_sent(row, actions.in_app_channel())
    finally:
        mark.unlink()


def test_a_text_changed_in_the_database_after_issue_does_not_leave(actual, county, alice, bob, feed):
    row = issued(alice, bob, actual, county)
    Alert.plain.filter(pk=row.pk).update(headline="无事")
    assert "content" in may_be_sent(Alert.plain.get(pk=row.pk), feed).reason or "内容" in may_be_sent(Alert.plain.get(pk=row.pk), feed).reason


def test_expired_and_cancelled_warnings_do_not_leave(replay, actual, county, alice, bob, feed, drain):
    row = issued(alice, bob, actual, county)
    row.expires = clock.now() - timedelta(seconds=1)
    row.content_hash = row.approved_hash = gate.content_hash(row)
    assert not may_be_sent(row, feed)
    other = issued(alice, bob, actual, county)
    drain()  # the feed has it: only then is there anything to cancel there
    actions.cancel(act(alice, actual), alert=other.pk, reason="误报")
    assert may_be_sent(Alert.plain.get(pk=other.pk), feed)  # the cancel is itself a public message and waits for its second person
    cancelling = Alert.plain.get(predecessor=other)
    row = actions.approve(act(bob, actual), alert=cancelling.pk, seen_hash=cancelling.content_hash)
    row = actions.issue(act(bob, actual), alert=row.pk)
    assert not may_be_sent(Alert.plain.get(pk=other.pk), feed) and may_be_sent(row, feed)


def test_a_later_table_of_issuers_still_counts(actual, county, alice, bob, feed, commander):
    row = issued(alice, bob, actual, county)
    body = json.loads(json.dumps(issuers.default_body()))
    body["rules"] = [rule for rule in body["rules"] if rule["class"] != "government"]
    table = actions.ask_issuer_table(act(alice, actual), label="own", body=body)
    with pytest.raises(Problem):
        actions.confirm_issuer_table(act(alice, actual), table=table.pk)
    actions.confirm_issuer_table(act(bob, actual), table=table.pk)
    assert not may_be_sent(row, feed)


def test_an_outside_message_never_passes_by_itself(actual, county, alice, feed):
    row = actions.enter_by_hand(act(alice, actual), hazard="11B03", colour="red", issuer="weather_service", regions=[str(county.pk)], text="暴雨红色预警")
    row.channels = [str(feed.pk)]
    assert not may_be_sent(row, feed)


def test_the_content_list_covers_every_field_a_reader_gets():
    inside = {*gate.CONTENT, *gate.CONTENT_SINCE, "area_wkb", "original_id", "original"}
    not_content = {
        "id", "version", "home", "created_at", "realm", "state", "region", "sent", "cap_xml", "table_version", "original", "heard_by", "heard_at",
        "repairs", "signature", "author", "editor", "approver", "approved_at", "approved_hash", "content_hash", "issued_by", "issued_at", "ended_at",
        "reason", "proposal", "last_fact", "unmapped", "standing", "sources", "series", "drawn", "also",
    }
    fields = {field.name for field in Alert._meta.fields} | {field.attname for field in Alert._meta.fields}
    unknown = {name for name in fields if name not in inside and name not in not_content and name.removesuffix("_id") not in not_content and f"{name}_id" not in inside}
    assert unknown == set(), "a new field is neither content nor listed as no content"


steps = st.sampled_from(["edit", "submit", "approve_self", "approve", "issue", "issue_self", "cancel", "update", "drop", "send_back", "tamper", "expire", "correct", "withdraw", "all_clear", "widen"])


@given(
    realm_kind=st.sampled_from(["actual", "exercise", "replay"]), status=st.sampled_from(["", "Actual", "Test", "Exercise", "Draft", "System"]),
    kind=st.sampled_from(["prompt", "call_down", "government"]), scope=st.sampled_from(["", "Public", "Restricted", "Private"]),
    path=st.lists(steps, max_size=6), adapter=st.sampled_from(OUTWARD), public=st.booleans(), test=st.booleans(), enabled=st.booleans(), held=st.booleans(),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_of_an_exercise_test_or_draft_leaves_by_any_path(
    realm_kind, status, kind, scope, path, adapter, public, test, enabled, held, actual, county, alice, bob
):
    """Random alerts × edits × realms × channels: whatever passes was issued by a person, in the actual realm, approved as it stands."""
    realm = actual if realm_kind == "actual" else Realm.objects.create(kind=realm_kind, name=realm_kind)
    here = Installation.current()
    here.outward_held = held
    here.save()
    out = channel(adapter, name=str(new_id()), audience="public" if public else "internal", test=test, enabled=enabled)
    row = draft(alice, realm, county, kind=kind, status=status, scope=scope, channels=[str(out.pk)])
    tampered = False
    for step in path:
        row = Alert.plain.get(pk=row.pk)
        try:
            if step == "edit":
                row = actions.edit(act(alice, realm), alert=row.pk, headline=f"改{len(row.headline)}")
            elif step == "submit":
                actions.submit(act(alice, realm), alert=row.pk)
            elif step in ("approve", "approve_self"):
                actions.approve(act(bob if step == "approve" else alice, realm), alert=row.pk, seen_hash=row.content_hash)
            elif step in ("issue", "issue_self"):
                actions.issue(act(bob if step == "issue" else alice, realm), alert=row.pk)
            elif step == "cancel":
                actions.cancel(act(alice, realm), alert=row.pk, reason="x")
            elif step == "update":
                actions.update(act(alice, realm), alert=row.pk)
            elif step == "correct":
                actions.correct(act(alice, realm), alert=row.pk, changes={"description": "更正"})
            elif step in ("withdraw", "all_clear"):
                actions.end_as_prepared(act(alice, realm), alert=row.pk, how="cancel" if step == "withdraw" else step)
            elif step == "widen":
                Alert.plain.filter(predecessor=row).update(colour="blue", content_hash="sha256:x")
            elif step == "drop":
                actions.drop(act(alice, realm), alert=row.pk, reason="x")
            elif step == "send_back":
                actions.send_back(act(bob, realm), alert=row.pk, reason="x")
            elif step == "expire":
                actions.expire(act(alice, realm), alert=row.pk)
            else:
                Alert.plain.filter(pk=row.pk).update(description="被改")
                tampered = True
        except Problem:
            pass
    for one in Alert.plain.filter(realm=realm, channels__contains=[str(out.pk)]):
        verdict = may_be_sent(one, out)
        if verdict.ok:
            assert realm.is_actual and one.state == "issued" and one.issued_by is not None and enabled and not held
            assert (one.status == "Test") == test and one.status in ("Actual", "Test")
            assert one.content_hash == gate.content_hash(one) and not (tampered and one.description == "被改" and one.approved_hash != one.content_hash and kind == "government")
            if one.audience == "public":
                assert one.approver and one.approver not in (one.author, one.editor) and one.approved_hash == one.content_hash
            assert not one.silent or not gate.not_silent(one)
            assert not one.ending or not gate.not_prepared(one)
            assert one.silent <= (adapter == "cap_feed")
            if public:
                assert one.scope == "Public" and one.audience == "public"
        else:
            assert verdict.reason
    assert Channel.objects.filter(pk=out.pk).exists()
