"""A fresh installation gets its tables in one go. That they are those of the migrations is held in `upgrade`, where a folder has come through all of them."""
from anlan.runtime import baseline, testing_database


def test_only_an_empty_database_gets_it(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        from django.db import connection

        assert baseline.load(testing_database.connection_url(connection.settings_dict["NAME"])) is False
