"""The application cannot rewrite the journal, even when its code or an attacker tries."""
from __future__ import annotations

import psycopg
import pytest

from anlan.kernel.models import APPEND_ONLY
from anlan.runtime.postgres import APP, OWNER, READ, SECRET_TABLES, Postgres


@pytest.fixture(scope="module")
def database(prepared, places):
    import subprocess

    home = places() / "home"
    subprocess.run(["cp", "-a", str(prepared), str(home)], check=True)
    with Postgres(home) as running:
        yield running


def refuse(database, role, statement):
    with psycopg.connect(database.url(role)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_app_role_cannot_change_the_journal(database, table):
    with psycopg.connect(database.url(APP)) as connection:
        (column,) = connection.execute("SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1", [table]).fetchone()
    for statement in (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE", f"DROP TABLE {table} CASCADE"):
        refuse(database, APP, statement)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_app_role_reads_and_extends_the_journal(database, table):
    with psycopg.connect(database.url(APP)) as connection:
        connection.execute(f"SELECT * FROM {table}")
        for right, wanted in (("SELECT", True), ("INSERT", True), ("UPDATE", False), ("DELETE", False), ("TRUNCATE", False)):
            found = connection.execute("SELECT has_table_privilege(%s, %s, %s)", [APP, table, right]).fetchone()
            assert found == (wanted,), right


def test_a_partition_cannot_be_changed_by_its_own_name(database):
    refuse(database, APP, "DELETE FROM kernel_accesslog_rest")


def test_the_app_role_cannot_give_itself_more(database):
    with psycopg.connect(database.url(APP)) as connection:
        connection.execute(f"GRANT UPDATE ON kernel_fact TO {APP}")  # answered with a warning and nothing granted
        assert connection.execute("SELECT has_table_privilege(%s, 'kernel_fact', 'UPDATE')", [APP]).fetchone() == (False,)
    refuse(database, APP, f"SET ROLE {OWNER}")
    refuse(database, APP, "ALTER TABLE kernel_fact DISABLE TRIGGER ALL")
    refuse(database, APP, "DELETE FROM django_migrations")


def test_the_app_role_works_with_every_other_table(database):
    with psycopg.connect(database.url(APP)) as connection:
        names = [
            name
            for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            if name not in ("django_migrations", *APPEND_ONLY) and not name.startswith("kernel_accesslog_")
        ]
        lacking = [
            (name, right)
            for name in names
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if connection.execute("SELECT has_table_privilege(%s, %s::regclass, %s)", [APP, name, right]).fetchone() != (True,)
        ]
        assert len(names) > 20
        assert lacking == []
        # After a large import it brings the planner's statistics up to date itself (PostgreSQL 17 and later).
        assert connection.execute("SELECT has_table_privilege(%s, 'resources_team', 'MAINTAIN'), has_table_privilege(%s, 'kernel_fact', 'MAINTAIN')", [APP, APP]).fetchone() == (True, False)
        sequences = connection.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND NOT has_sequence_privilege(%s, sequencename::regclass, 'USAGE')", [APP]).fetchall()
        assert sequences == []


def test_the_read_role_only_reads_and_sees_no_secrets(database):
    with psycopg.connect(database.url(READ)) as connection:
        connection.execute("SELECT * FROM kernel_fact")
        tables = {name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    refuse(database, READ, "INSERT INTO kernel_position (follower, number) VALUES ('x', 1)")
    secret = [name for name in SECRET_TABLES if name in tables]
    assert {"django_session", "kernel_account"} <= set(secret)
    for name in secret:
        refuse(database, READ, f"SELECT * FROM {name}")
