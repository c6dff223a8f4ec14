"""What earlier releases left still starts, with everything in it: their backups (`releases/`), and the last tag's folder."""
from __future__ import annotations

import difflib
import http.cookiejar
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import psycopg
import pytest

from anlan.runtime import baseline, testing_database

from ..conftest import Installation

RELEASES = Path(__file__).parent / "releases"
ROOT = Path(__file__).resolve().parents[3]
FACTS = """
from anlan.kernel import journal, realms
from anlan.kernel.actions import Act, Actor
for number in range(5):
    realms.start(Act(Actor.machine("test"), realms.actual()), kind="exercise", name=f"drill {number}")
while journal.seal(): pass
"""


def sign_in(web: str, account: str, password: str) -> str:
    """Where the door leads whoever gives this name and password; "" when it stays closed."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    form = browser.open(f"{web}/sign-in").read().decode()
    token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[1]
    body = urllib.parse.urlencode({"csrfmiddlewaretoken": token, "name": account, "password": password}).encode()
    try:
        return browser.open(urllib.request.Request(f"{web}/sign-in", body, headers={"Referer": f"{web}/sign-in"})).url
    except urllib.error.HTTPError as refused:
        assert refused.code == 401
        return ""


def tables(url: str) -> list[str]:
    """Tables, indexes and checks of the database at `url` and which migrations it has had, after one way through a dump.

    PostgreSQL writes some checks in another way once they were read from a dump. Partitions are made day by day, and so left out.
    """
    again = "again"
    with psycopg.connect(url) as connection:
        partitions = [name for name, in connection.execute("SELECT inhrelid::regclass::text FROM pg_inherits")]
        had = connection.execute("SELECT app, name FROM django_migrations ORDER BY 1, 2").fetchall()
    first = testing_database.dump(url, "--schema=public", "--schema-only", *(f"--exclude-table={name}" for name in partitions))
    testing_database._admin("CREATE DATABASE {}", again)
    try:
        with psycopg.connect(testing_database.connection_url(again)) as connection:
            connection.execute("DROP SCHEMA public")
            connection.execute(baseline.plain(first))
        return baseline.plain(testing_database.dump(testing_database.connection_url(again), "--schema=public", "--schema-only")).splitlines() + [str(one) for one in had]
    finally:
        testing_database._admin("DROP DATABASE {} WITH (FORCE)", again)


@pytest.fixture
def fresh(django_db_setup, django_db_blocker):
    """The tables a new installation begins with: the baseline, and the migrations since."""
    from django.core.management.sql import emit_post_migrate_signal
    from django.db import connection

    mine, name = connection.settings_dict["NAME"], "from_baseline"
    with django_db_blocker.unblock():
        try:
            testing_database.migrated(name, afresh=False)
            emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        finally:
            testing_database._use(mine)
    try:
        yield tables(testing_database.connection_url(name))
    finally:
        testing_database._admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


@pytest.mark.parametrize("release", [path.name.removesuffix(".tar.xz") for path in sorted(RELEASES.glob("*.tar.xz"))])
def test_a_backup_of_an_earlier_release_is_taken_over_whole(release, installation, fresh, tmp_path):
    known = json.loads((RELEASES / f"{release}.json").read_text())
    archive = tmp_path / f"{release}.tar"
    archive.write_bytes(lzma.decompress((RELEASES / f"{release}.tar.xz").read_bytes()))
    shutil.copy(RELEASES / f"{release}.tar.keys", f"{archive}.keys")
    told = json.loads(installation.run("restore", str(archive), "--json", ANLAN_BACKUP_PASSPHRASE=known["passphrase"]).stdout)
    assert told["verified"] and told["sealed"] == known["sealed"]

    addresses = installation.serve("all")
    with psycopg.connect(addresses["database"]) as connection:
        for table, count in known["rows"].items():
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= count, table
    assert len(fresh) > 5000
    assert not list(difflib.unified_diff(fresh, tables(addresses["database_admin"]), n=0, lineterm="")), "the migrations one by one give what a new installation gets at once"
    verdict = json.loads(installation.run("journal", "verify", "--json").stdout)
    assert verdict["ok"] and verdict["sealed"] >= known["sealed"] and verdict["heads"] >= known["rows"]["kernel_head"], "the old key's heads count too"
    assert sign_in(addresses["web"], known["account"], known["password"]).endswith("/account/password"), "the first password must be changed"
    assert sign_in(addresses["web"], known["account"], "another password") == ""
    assert installation.stop() == 0


def git(*args: str) -> bytes:
    return subprocess.run(["git", *args], cwd=ROOT, capture_output=True, check=True).stdout


def previous_tag() -> str:
    """The newest release tag that is not the commit under test."""
    try:
        here = git("rev-parse", "HEAD").strip()
        tags = git("tag", "--list", "v*", "--sort=-v:refname", "--merged", "HEAD").decode().split()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return next((tag for tag in tags if git("rev-parse", f"{tag}^{{commit}}").strip() != here), "")


@pytest.fixture
def old():
    """An installation run by the previous release's code (with today's libraries)."""
    tag = previous_tag()
    if not tag:
        pytest.skip("there is no release tag before this commit: this is the first")
    place = Path(tempfile.mkdtemp(prefix="anlan-upgrade-"))
    with tarfile.open(fileobj=io.BytesIO(git("archive", tag, "src"))) as archive:
        archive.extractall(place / "code", filter="data")
    made = Installation(place / "home")
    made.env["PYTHONPATH"] = os.fspath(place / "code" / "src")
    yield made
    made.env.pop("PYTHONPATH", None)
    made.end()
    shutil.rmtree(place, ignore_errors=True)


def test_a_folder_of_the_previous_release_starts_with_everything_in_it(old):
    old.serve("data")
    done = subprocess.run(old.argv("shell"), env=old.env, input=FACTS + "\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    query = "SELECT number, digest FROM kernel_seal ORDER BY number"
    with psycopg.connect(old.addresses()["database"]) as connection:
        before = connection.execute(query).fetchall()
    assert len(before) >= 10
    assert old.stop() == 0

    new = Installation(old.home)
    try:
        addresses = new.serve("all")
        assert new.get("/readyz")[0] == 200
        with psycopg.connect(addresses["database"]) as connection:
            after = connection.execute(query).fetchall()
            assert after[: len(before)] == before
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("UPDATE kernel_fact SET digest = 'x'")
        new.run("doctor", "--json")
        assert new.stop() == 0
    finally:
        new.end()


def test_the_previous_release_is_found_by_its_tag(monkeypatch):
    """The skip above may only ever mean that there is no tag."""
    place = Path(tempfile.mkdtemp(prefix="anlan-tags-"))
    monkeypatch.setitem(globals(), "ROOT", place)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    try:
        assert previous_tag() == ""
        git("init", "-q")
        git(*who, "commit", "-q", "--allow-empty", "-m", "one")
        assert previous_tag() == ""
        git("tag", "v0.9.0")
        assert previous_tag() == "", "a tag on this very commit is not the one before"
        git(*who, "commit", "-q", "--allow-empty", "-m", "two")
        git("tag", "v0.10.0")
        git(*who, "commit", "-q", "--allow-empty", "-m", "three")
        assert previous_tag() == "v0.10.0"
    finally:
        shutil.rmtree(place, ignore_errors=True)
