"""The access log, partitioned by month: Django has no words for partitions, so the table is made here.

`anlan.kernel.access_log.make_partitions` adds the coming months after every migration.
"""
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("kernel", "0001_initial")]
    operations = [
        migrations.RunSQL(
            """
            CREATE TABLE kernel_accesslog (
                id uuid NOT NULL,
                at timestamptz NOT NULL,
                account uuid, person uuid, post uuid,
                address varchar(45) NOT NULL DEFAULT '',
                kind varchar(24) NOT NULL,
                subject varchar(80) NOT NULL,
                fields jsonb NOT NULL DEFAULT '[]',
                count integer NOT NULL DEFAULT 1,
                purpose varchar(120) NOT NULL DEFAULT '',
                PRIMARY KEY (at, id)
            ) PARTITION BY RANGE (at);
            CREATE TABLE kernel_accesslog_rest PARTITION OF kernel_accesslog DEFAULT;
            CREATE INDEX access_log_subject ON kernel_accesslog (subject, at);
            CREATE INDEX access_log_person ON kernel_accesslog (person, at);
            """,
            "DROP TABLE kernel_accesslog",
        )
    ]
