"""`anlan release-channels`: after a restore a person with the power to administer, by password and code, and nobody else."""
from __future__ import annotations

import argparse
from datetime import timedelta

import pyotp
import pytest

from anlan.kernel import clock, journal
from anlan.kernel.actions import Act, Actor
from anlan.kernel.errors import Problem
from anlan.kernel.installation import hold_channels
from anlan.kernel.models import Account, Grant, Installation
from anlan.runtime import backup

SECRET = pyotp.random_base32()


@pytest.fixture
def held(actual, alice):
    Account.objects.filter(pk=alice.account_id).update(totp_secret=SECRET)
    hold_channels(Act(Actor.machine("restore"), actual), why="restored from a backup")
    return alice


@pytest.fixture
def release(monkeypatch):
    def run(password="correct horse battery", code=None, why="the other machine is switched off", account="alice"):
        monkeypatch.setattr(backup.getpass, "getpass", lambda _prompt: password)
        monkeypatch.setattr("builtins.input", lambda _prompt: code or pyotp.TOTP(SECRET).now())
        return backup.release(argparse.Namespace(account=account, why=why))

    return run


def is_held() -> bool:
    return Installation.current().outward_held


@pytest.mark.django_db
def test_the_channels_send_again_after_password_code_and_reason(held, release):
    assert is_held() and release() == 0 and not is_held()
    (fact,) = journal.select("WHERE f.kind = 'kernel.ChannelsReleased'")
    assert fact.payload["why"] == "the other machine is switched off" and fact.person == held.person_id


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"password": "guessed"}, {"code": "000000"}, {"why": "  "}, {"account": "nobody"}])
def test_one_wrong_answer_and_they_stay_held(held, release, wrong):
    with pytest.raises(Problem):
        release(**wrong)
    assert is_held() and not journal.select("WHERE f.kind = 'kernel.ChannelsReleased'")


@pytest.mark.django_db
def test_whoever_does_not_administer_the_system_cannot(held, release):
    Grant.objects.filter(post_id=held.post_id, capability="kernel.administer_system").update(ends_at=clock.now() - timedelta(seconds=1))
    with pytest.raises(Problem) as refused:
        release()
    assert refused.value.kind.code == "kernel.forbidden" and is_held()
