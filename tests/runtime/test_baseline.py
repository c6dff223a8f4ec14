"""What a fresh installation gets at once is what the migrations make one by one."""
import re

import psycopg

from anlan.runtime import baseline, testing_database


def tables(database: str) -> str:
    """The dump after one more way through a dump, without when each migration was applied and in which order.

    PostgreSQL writes some checks in another way once they were read from a dump; apps without a bond may be migrated in any order.
    """
    again = f"{database}_again"
    testing_database._admin("CREATE DATABASE {}", again)
    with psycopg.connect(testing_database.connection_url(again)) as connection:
        connection.execute(baseline.plain(testing_database.dump(database)))
    text = baseline.plain(testing_database.dump(again))
    head, rows, rest = re.split(r"(INSERT INTO public\.django_migrations .*?;\n)", text, maxsplit=1, flags=re.S)
    names = sorted(re.findall(r"\(\d+, '([^']+)', '([^']+)'", rows))
    return head + repr(names) + rest


def test_the_baseline_and_what_came_since_equal_the_migrations(django_db_setup, django_db_blocker):
    from django.db import connection

    mine = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        try:
            found = []
            for name, afresh in (("from_baseline", False), ("one_by_one", True)):
                testing_database.migrated(name, afresh=afresh)
                found.append(tables(name).splitlines())
        finally:
            testing_database._use(mine)
            for name in ("from_baseline", "one_by_one", "from_baseline_again", "one_by_one_again"):
                testing_database._admin("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    assert len(found[1]) > 5000
    assert found[0] == found[1]


def test_only_an_empty_database_gets_it(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        from django.db import connection

        assert baseline.load(testing_database.connection_url(connection.settings_dict["NAME"])) is False
