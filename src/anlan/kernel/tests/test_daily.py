"""Once a day: what may no longer be kept is erased, the journal's head leaves the house, and a cut tail shows."""
from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import timedelta

import pytest
from django.db import connection

from anlan.kernel import clock, commands, daily, due, flowing, heads, journal, outbound, realms, retention
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import Problem
from anlan.kernel.facts import RealmEnded
from anlan.kernel.models import Assignment, Due, Person, SearchEntry


@action("test.end_something")
def end_something(act, *, name):
    act.state(RealmEnded(realm=act.realm.pk, name=name, reason="test"), subject=f"realm:{act.realm.pk}")


@pytest.fixture
def chain(actual, machine):
    for number in range(6):
        end_something(Act(machine, actual), name=str(number))
    while journal.seal():
        pass


def cut(after: int) -> None:
    """What somebody with the whole machine in his hands would do."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM kernel_head WHERE number > %s", [after])
        cursor.execute("DELETE FROM kernel_seal WHERE number > %s", [after])
        cursor.execute("SELECT number, digest FROM kernel_seal WHERE number = %s", [after])
        number, digest = cursor.fetchone()
        cursor.execute(
            "INSERT INTO kernel_head (number, digest, algorithm, key_id, signature) VALUES (%s, %s, 'Ed25519', %s, %s) ON CONFLICT DO NOTHING",
            [number, digest, *journal.sign(number, digest)],
        )


def asked(*arguments: str) -> tuple[int, str]:
    import argparse

    parser = argparse.ArgumentParser()
    commands.register(parser.add_subparsers())
    args = parser.parse_args(["journal", *arguments])
    with redirect_stdout(io.StringIO()) as out:
        code = args.func(args)
    return code, out.getvalue()


@pytest.mark.django_db
def test_a_tail_cut_off_with_its_heads_verifies_here_and_is_found_by_a_head_kept_elsewhere(chain, tmp_path):
    kept = tmp_path / "head.json"
    code, _out = asked("head", "--file", str(kept))
    printed = heads.on_paper(json.loads(kept.read_text()))
    assert code == 0 and asked("verify", "--against", str(kept), printed)[0] == 0
    cut(3)
    assert journal.verify().ok, "what is left is a whole chain: the machine alone cannot tell"
    for known in (str(kept), printed):
        code, out = asked("verify", "--against", known, "--json")
        told = json.loads(out)
        assert code == 1 and not told["ok"] and told["against"][known] != ""
    assert asked("verify")[0] == 0


@pytest.mark.django_db
def test_a_chain_written_anew_is_found_too(chain, actual, machine):
    known = heads.head()
    cut(3)
    for number in range(5):
        end_something(Act(machine, actual), name=f"forged {number}")
    while journal.seal():
        pass
    assert journal.verify().ok and heads.compare(known) != ""
    assert heads.compare(heads.head()) == ""


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"number": 2}, {"digest": "sha256:" + "0" * 64}, {"key_id": "0" * 16}, {"format": "x"}, {"signature": "00"}])
def test_a_head_that_was_changed_proves_nothing(chain, tmp_path, change):
    file = tmp_path / "head.json"
    file.write_text(json.dumps({**heads.head(), **change}))
    with pytest.raises(Problem) as refused:
        heads.read(str(file))
    assert refused.value.kind.code == "kernel.bad_head"


@pytest.mark.django_db
def test_the_head_leaves_the_house_each_day_and_a_failure_waits_for_a_person(chain, alice, actual, settings, tmp_path, monkeypatch, drain):
    settings.HEAD_FOLDER, settings.HEAD_URL = str(tmp_path), "https://upper.example/heads"
    sent = []

    def answer(method, url, **more):
        sent.append((method, url, json.loads(more["content"])))
        return outbound.Response(503 if len(sent) == 1 else 201, {}, b"", url)

    monkeypatch.setattr(outbound, "request", answer)
    daily.on_daily(Act(alice, actual), "installation:here", {})
    drain()
    (file,) = tmp_path.glob("*.json")
    known = heads.read(str(file))
    assert sent[0] == sent[1] == ("POST", "https://upper.example/heads", known) and len(sent) == 2, "tried again until it was taken"
    assert heads.compare(known) == ""
    exported = [fact.payload["where"] for fact in journal.select("WHERE f.kind = 'kernel.HeadExported'")]
    assert sorted(exported) == sorted([str(tmp_path), "https://upper.example/heads"])

    settings.HEAD_URL, settings.HEAD_FOLDER = "", str(tmp_path / "not mounted")
    daily.on_daily(Act(alice, actual), "installation:here", {})
    drain()
    assert flowing.parked().get().reaction == "kernel.export_head" and not (tmp_path / "not mounted").exists()


@pytest.mark.django_db
def test_a_day_without_a_place_for_heads_states_nothing(chain, alice, actual, drain):
    daily.on_daily(Act(alice, actual), "installation:here", {})
    drain()
    assert not journal.select("WHERE f.kind IN ('kernel.HeadTaken', 'kernel.HeadExported')")


@pytest.mark.django_db
def test_the_day_begins_again_by_itself_and_one_failing_chore_holds_up_no_other(actual, alice, machine, monkeypatch, drain):
    daily.ensure()
    daily.ensure()
    row = Due.objects.get(timer="kernel.daily")
    assert timedelta(0) < row.due_at - clock.now() <= timedelta(days=1)
    assert (clock.local(row.due_at).hour, clock.local(row.due_at).minute) == daily.AT
    ran = []
    monkeypatch.setattr(daily, "CHORES", {"a": f"{__name__}.broken", "b": f"{__name__}.counted", "gone": f"{__name__}.counted"})
    monkeypatch.setattr("anlan.kernel.tests.test_daily.RAN", ran, raising=False)
    due.at(Act(machine, actual), clock.now() - timedelta(hours=5), "kernel.daily", subject=daily.SUBJECT)  # the machine was off at that hour
    drain()
    assert ran == ["b", "b"] and flowing.parked().get().subject == "chore:a"
    assert Due.objects.get(timer="kernel.daily").due_at > clock.now()


RAN: list[str] = []


def broken(act):
    raise RuntimeError("cannot")


def counted(act):
    RAN.append("b")


@pytest.mark.django_db
def test_numbers_go_90_days_after_the_last_post_and_names_after_ten_years(actual, machine, alice, bob, charlie, drain):
    now = clock.now()
    for actor, ended in ((alice, None), (bob, now - timedelta(days=91)), (charlie, now - timedelta(days=3700))):
        Person.objects.filter(pk=actor.person_id).update(mobile="13800000000", email="a@example.org", pinyin="x")
        Assignment.objects.filter(person_id=actor.person_id).update(ends_at=ended, starts_at=now - timedelta(days=5000))
    end_something(Act(bob, actual), name="what bob did")
    assert retention.forget_persons(Act(machine, actual)) == 3
    kept, recent, old = (Person.objects.get(pk=actor.person_id) for actor in (alice, bob, charlie))
    assert (kept.mobile, kept.email, kept.name) == ("13800000000", "a@example.org", "alice")
    assert (recent.mobile, recent.email, recent.name) == ("", "", "bob")
    assert (old.mobile, old.name, old.pinyin) == ("", retention.NOBODY, retention.NOBODY), "the pinyin is worked out from the name"
    assert not SearchEntry.objects.filter(words__contains="charlie").exists()
    told = [fact.payload for fact in journal.select("WHERE f.kind = 'kernel.PersonalErased'")]
    assert sorted(tuple(one["fields"]) for one in told) == [("mobile", "email"), ("mobile", "email"), ("name", "pinyin", "initials", "title")]
    assert not any("138" in json.dumps(one) or "charlie" in json.dumps(one) for one in told)
    assert retention.forget_persons(Act(machine, actual)) == 0, "once"
    while journal.seal():
        pass
    assert journal.verify().ok


@pytest.mark.django_db
def test_a_new_post_in_time_keeps_the_number(actual, machine, bob, duty_post):
    now = clock.now()
    Person.objects.filter(pk=bob.person_id).update(mobile="13800000000")
    Assignment.objects.filter(person_id=bob.person_id).update(ends_at=now - timedelta(days=200), starts_at=now - timedelta(days=300))
    Assignment.objects.create(person_id=bob.person_id, post=duty_post, role="B", starts_at=now + timedelta(days=3))
    assert retention.forget_persons(Act(machine, actual)) == 0


@pytest.mark.django_db
def test_only_who_may_erases(actual, charlie, bob):
    with pytest.raises(Problem) as refused:
        retention.erase_person(Act(charlie, actual), person=bob.person_id, fields=["mobile"])
    assert refused.value.kind.code == "kernel.forbidden"


@pytest.mark.django_db
def test_an_exercise_starts_from_the_rosters_of_actual_operations(actual, machine, alice, bob, commander, duty_post):
    from anlan.kernel import shift

    at = clock.now() + timedelta(hours=1)
    entry = shift.save_duty(Act(alice, actual), post=duty_post.pk, person=bob.person_id, starts_at=at, ends_at=at + timedelta(hours=8))
    drill = realms.start(Act(alice, actual), kind="exercise", name="drill")
    assert [duty.person.pk for duty in shift.on_duty(duty_post, at + timedelta(minutes=1), drill)] == [bob.person_id]
    (copied,) = shift.RosterEntry.objects.of(drill)
    assert copied.pk != entry.pk
    shift.remove_duty(Act(alice, drill), entry=copied.pk)
    assert shift.RosterEntry.objects.of(actual).filter(pk=entry.pk).exists(), "a drill changes nothing of the day"
    told = [fact.payload for fact in journal.select("WHERE f.kind = 'kernel.BalancesCopied' AND f.realm_id = %s", [drill.pk])]
    assert {"what": "rosters", "count": 1} in told
