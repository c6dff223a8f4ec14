"""The embedded database: safe, and able to start again after anything."""
from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import psutil
import psycopg
import pytest

from anlan.kernel.errors import Problem
from anlan.runtime import postgres
from anlan.runtime.postgres import APP, OWNER, READ, SUPERUSER, Postgres


@pytest.fixture(scope="module")
def server(places):
    with Postgres(places() / "home") as running:
        yield running


def ask(server: Postgres, sql: str, role: str = APP) -> object:
    with psycopg.connect(server.url(role)) as connection:
        row = connection.execute(sql).fetchone()
        return row[0] if row else None


def test_every_role_signs_in_with_its_own_password(server):
    assert [ask(server, "SELECT current_user", role) for role in (SUPERUSER, OWNER, APP, READ)] == [SUPERUSER, OWNER, APP, READ]


def test_nobody_gets_in_without_the_password(server):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.url(APP).replace(":" + server.url(APP).split(":")[2].split("@")[0], ":wrong"))
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://{SUPERUSER}@/{postgres.DATABASE}?host={server.socket}")


def test_it_listens_on_no_network_address_and_syncs_to_disk(server):
    assert ask(server, "SHOW listen_addresses") == ""
    assert ask(server, "SHOW fsync") == "on"
    assert ask(server, "SHOW full_page_writes") == "on"
    assert ask(server, "SHOW data_checksums") == "on"
    assert server.child is not None
    assert not [link for link in psutil.Process(server.child.pid).net_connections("inet") if link.status == "LISTEN"]


def test_the_passwords_are_readable_by_their_owner_only(server):
    assert stat.S_IMODE(server.keys.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700


def test_it_never_runs_as_root(server):
    assert psutil.Process(server.child.pid).uids().effective != 0


def test_the_app_role_may_not_make_or_change_tables(server):
    with psycopg.connect(server.url(APP)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (a int)")


def test_a_second_one_on_the_same_folder_is_refused(server):
    with pytest.raises(Problem, match="runtime.folder_busy"):
        Postgres(server.home).start()
    assert ask(server, "SELECT 1") == 1


def test_what_was_committed_survives_a_kill_and_a_leftover_pid_file(tmp_path):
    home = tmp_path / "home"
    first = Postgres(home)
    first.start()
    with psycopg.connect(first.url(OWNER)) as connection:
        connection.execute("CREATE TABLE kept (a int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    os.kill(first.child.pid, signal.SIGKILL)
    first.child.wait()
    first.lock.release()
    pid_file = home / "postgres" / "postmaster.pid"
    assert pid_file.exists()
    with Postgres(home) as again:
        assert ask(again, "SELECT a FROM kept", OWNER) == 7


def test_a_pid_file_that_names_a_stranger_does_not_keep_it_from_starting(tmp_path):
    """After a power cut the number may belong to any other program of the same user."""
    home = tmp_path / "home"
    with Postgres(home):
        pass
    account = postgres.process.service_account()
    stranger = postgres.process.spawn(["sleep", "300"], account=account)
    pid_file = home / "postgres" / "postmaster.pid"
    try:
        pid_file.write_text(f"{stranger.pid}\n{home / 'postgres'}\n1700000000\n5432\n\n\n\nready   \n")
        if account:
            os.chown(pid_file, account.pw_uid, account.pw_gid)
        with Postgres(home) as again:
            assert ask(again, "SELECT 1") == 1
        assert stranger.poll() is None, "the stranger must be left alone"
    finally:
        stranger.kill()
        stranger.wait()


def test_a_server_that_outlived_its_supervisor_is_stopped_first(tmp_path):
    home = tmp_path / "home"
    first = Postgres(home)
    first.start()
    first.lock.release()  # as if the supervisor had gone without its child
    with Postgres(home) as again:
        assert ask(again, "SELECT 1") == 1
        assert first.child.wait(30) == 0
        assert again.child.pid != first.child.pid


def test_a_folder_of_another_major_version_is_refused_untouched(tmp_path):
    home = tmp_path / "home"
    with Postgres(home):
        pass
    version = home / "postgres" / "PG_VERSION"
    version.write_text("16\n")
    before = sorted((path.name, path.stat().st_mtime_ns) for path in (home / "postgres").iterdir())
    with pytest.raises(Problem) as refused:
        Postgres(home).start()
    assert refused.value.kind.code == "runtime.other_major"
    assert refused.value.data == {"found": "16", "ours": postgres.MAJOR}
    assert "anlan restore" in str(refused.value)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in (home / "postgres").iterdir()) == before
    version.write_text(f"{postgres.MAJOR}\n")
    with Postgres(home) as again:
        assert ask(again, "SELECT 1") == 1


def test_a_database_without_its_passwords_says_where_to_find_them(tmp_path):
    home = tmp_path / "home"
    with Postgres(home) as made:
        keys = made.keys
    keys.unlink()
    with pytest.raises(Problem, match="runtime.keys_lost"):
        Postgres(home).start()
    assert not keys.exists()


def test_a_first_start_that_was_cut_off_begins_anew(tmp_path):
    home = tmp_path / "home"
    (home / "postgres" / "base").mkdir(parents=True)
    (home / "postgres.new").mkdir()
    with Postgres(home) as made:
        assert ask(made, "SELECT 1") == 1


def test_a_very_deep_folder_gets_a_short_socket(tmp_path):
    home = tmp_path / ("d" * 60) / ("e" * 60)
    with Postgres(home) as made:
        assert len(str(made.socket)) <= postgres.SOCKET_LIMIT
        assert ask(made, "SELECT 1") == 1
    assert Postgres(home).socket == made.socket, "every process must find the same one"


def test_someone_elses_socket_folder_is_refused(tmp_path):
    home = tmp_path / ("d" * 60) / ("e" * 60)
    made = Postgres(home)
    made.socket.parent.mkdir(exist_ok=True)
    elsewhere = tmp_path / "trap"
    elsewhere.mkdir()
    made.socket.symlink_to(elsewhere)
    try:
        with pytest.raises(Problem, match="runtime.folder_unreachable"):
            made.start()
    finally:
        made.socket.unlink()


def test_a_server_that_is_too_old_is_refused(server, monkeypatch):
    assert postgres.check_server(server.url(APP)) == postgres.version()
    monkeypatch.setattr(postgres, "LEAST_MAJOR", postgres.MAJOR + 1)
    with pytest.raises(Problem, match="runtime.database_too_old"):
        postgres.check_server(server.url(APP))


def test_a_server_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Problem) as refused:
        postgres.check_server(f"postgresql://x:y@/z?host={tmp_path}")
    assert refused.value.kind.code == "runtime.unreachable"
    assert refused.value.kind.blame == "supplier"
    assert str(tmp_path) in str(refused.value)


def test_root_lets_the_service_account_pass_but_not_look(tmp_path):
    account = postgres.process.service_account()
    if account is None:
        pytest.skip("only root starts programs as another account")
    closed = tmp_path / "closed"
    inner = closed / "inner"
    inner.mkdir(parents=True)
    inner.chmod(0o755)
    closed.chmod(0o700)
    postgres.process.let_pass(inner / "file", account)
    probe = postgres.process.spawn(["ls", str(inner)], account=account, log=os.open(os.devnull, os.O_WRONLY))
    assert probe.wait() == 0
    probe = postgres.process.spawn(["ls", str(closed)], account=account, log=os.open(os.devnull, os.O_WRONLY))
    assert probe.wait() != 0
    assert not Path(closed).stat().st_mode & stat.S_IRWXO
