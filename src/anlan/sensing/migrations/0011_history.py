"""Readings in partitions by event time, and their roll-ups.

A table that holds readings already becomes the first partition, up to the month after its newest reading: nothing is copied, so
the upgrade of a large installation takes as long as reading it once.
"""
import django.db.models.deletion
from django.db import migrations, models

TABLES = """
CREATE TABLE sensing_part (
    name varchar(60) PRIMARY KEY, parent varchar(40) NOT NULL, first timestamptz NOT NULL, after timestamptz NOT NULL
);

-- The partition an instant lies in, made if need be. `unit`: day, week, month or year; where partitions of another length are,
-- the new one fits between them. LIKE and ATTACH, since CREATE ... PARTITION OF would shut everybody out of the table.
CREATE FUNCTION sensing_make_part(wanted text, at timestamptz, unit text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE low timestamptz; high timestamptz; called text;
BEGIN
    IF NOT has_table_privilege(session_user, 'sensing_part', 'INSERT') THEN
        RAISE insufficient_privilege;
    END IF;
    IF wanted NOT IN ('sensing_reading', 'sensing_rollup') OR unit NOT IN ('day', 'week', 'month', 'year') THEN
        RAISE EXCEPTION 'no such table or length: %, %', wanted, unit;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('sensing_make_part'));
    IF EXISTS (SELECT 1 FROM sensing_part p WHERE p.parent = wanted AND p.first <= at AND at < p.after) THEN
        RETURN;
    END IF;
    low := date_trunc(unit, at, 'UTC');
    high := date_trunc(unit, low + ('1 ' || unit)::interval + interval '12 hours', 'UTC');
    SELECT greatest(low, max(p.after)) INTO low FROM sensing_part p WHERE p.parent = wanted AND p.after <= at;
    SELECT least(high, min(p.first)) INTO high FROM sensing_part p WHERE p.parent = wanted AND p.first > at;
    called := wanted || '_' || to_char(low AT TIME ZONE 'UTC', 'YYYYMMDD');
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES INCLUDING STORAGE)', called, wanted);
    IF wanted = 'sensing_rollup' THEN
        -- Rows of the running hour and day change with every batch: room on the page spares the index.
        EXECUTE format('ALTER TABLE %I SET (fillfactor = 70)', called);
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', wanted, called, low, high);
    INSERT INTO sensing_part (name, parent, first, after) VALUES (called, wanted, low, high);
END $$;

CREATE FUNCTION sensing_drop_part(called text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF NOT has_table_privilege(session_user, 'sensing_part', 'DELETE') THEN
        RAISE insufficient_privilege;
    END IF;
    DELETE FROM sensing_part p WHERE p.name = called;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no such partition: %', called;
    END IF;
    EXECUTE format('DROP TABLE %I', called);
END $$;

ALTER TABLE sensing_reading RENAME TO sensing_reading_before;
ALTER INDEX reading_received RENAME TO sensing_reading_before_received;
DO $$
DECLARE of_series text;
BEGIN
    FOR of_series IN SELECT conname FROM pg_constraint WHERE conrelid = 'sensing_reading_before'::regclass AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE sensing_reading_before DROP CONSTRAINT %I', of_series);
    END LOOP;
END $$;
CREATE TABLE sensing_reading (
    series_id bigint NOT NULL, "time" timestamptz NOT NULL, value bigint NOT NULL, received_at timestamptz NOT NULL, flags smallint NOT NULL,
    PRIMARY KEY (series_id, "time")
) PARTITION BY RANGE ("time");
CREATE INDEX reading_received ON sensing_reading USING brin (received_at);
CREATE TABLE sensing_rollup (
    series_id bigint NOT NULL, span_s integer NOT NULL, start timestamptz NOT NULL, first timestamptz NOT NULL, last timestamptz NOT NULL,
    count integer NOT NULL, flagged integer NOT NULL, flags smallint NOT NULL, sum bigint NOT NULL, lowest bigint NOT NULL, highest bigint NOT NULL,
    PRIMARY KEY (series_id, span_s, start)
) PARTITION BY RANGE (start);

DO $$
DECLARE newest timestamptz; year timestamptz;
BEGIN
    SELECT max("time") INTO newest FROM sensing_reading_before;
    IF newest IS NULL THEN
        DROP TABLE sensing_reading_before;
        RETURN;
    END IF;
    -- A reading that lies ahead must not keep months in the old table that are still to come: it is at most minutes.
    newest := date_trunc('month', date_trunc('month', newest, 'UTC') + interval '40 days', 'UTC');
    EXECUTE format('ALTER TABLE sensing_reading ATTACH PARTITION sensing_reading_before FOR VALUES FROM (MINVALUE) TO (%L)', newest);
    INSERT INTO sensing_part (name, parent, first, after) VALUES ('sensing_reading_before', 'sensing_reading', '-infinity', newest);
    FOR year IN SELECT DISTINCT date_trunc('year', "time" - interval '1 second', 'UTC') FROM sensing_reading
                UNION SELECT DISTINCT date_trunc('year', "time" - interval '1 day', 'UTC') FROM sensing_reading LOOP
        PERFORM sensing_make_part('sensing_rollup', year, 'year');
    END LOOP;
END $$;
INSERT INTO sensing_rollup (series_id, span_s, start, first, last, count, flagged, flags, sum, lowest, highest)
SELECT series_id, span, to_timestamp(((extract(epoch FROM "time")::bigint - 1) / span) * span), min("time"), max("time"), count(*),
       count(*) FILTER (WHERE flags & 6 <> 0), bit_or(flags), sum(value), min(value), max(value)
FROM sensing_reading, unnest(ARRAY[3600, 86400]) AS span WHERE "time" > to_timestamp(0) GROUP BY 1, 2, 3;
"""

BACK = """
DROP TABLE sensing_rollup;
DROP FUNCTION sensing_make_part(text, timestamptz, text);
DROP FUNCTION sensing_drop_part(text);
ALTER INDEX reading_received RENAME TO reading_received_parts;
ALTER TABLE sensing_reading RENAME TO sensing_reading_parts;
CREATE TABLE sensing_reading (
    series_id bigint NOT NULL, "time" timestamptz NOT NULL, value bigint NOT NULL, received_at timestamptz NOT NULL, flags smallint NOT NULL,
    PRIMARY KEY (series_id, "time")
);
INSERT INTO sensing_reading SELECT * FROM sensing_reading_parts;
DROP TABLE sensing_reading_parts;
DROP TABLE sensing_part;
CREATE INDEX reading_received ON sensing_reading USING brin (received_at);
"""


class Migration(migrations.Migration):
    dependencies = [("sensing", "0010_station_entries")]
    operations = [
        migrations.AddField("Series", "late_from", models.DateTimeField(help_text="event time of the first late reading not judged again yet", null=True)),
        migrations.AddField("Series", "late_to", models.DateTimeField(help_text="newest event time when the last of them came", null=True)),
        migrations.AddIndex(
            "Series", models.Index(condition=models.Q(("late_to__isnull", False)), fields=["realm", "late_to"], name="series_late"),
        ),
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(TABLES, BACK)],
            [
                migrations.AlterField(
                    "Reading", "series",
                    models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="readings", to="sensing.series"),
                ),
                migrations.CreateModel(
                    name="Part",
                    fields=[
                        ("name", models.CharField(max_length=60, primary_key=True, serialize=False)),
                        ("parent", models.CharField(max_length=40)),
                        ("first", models.DateTimeField(help_text="-infinity for what was there before partitions were")),
                        ("after", models.DateTimeField()),
                    ],
                    options={"db_table": "sensing_part", "managed": False},
                ),
                migrations.CreateModel(
                    name="Rollup",
                    fields=[
                        ("pk", models.CompositePrimaryKey("series_id", "span_s", "start", blank=True, editable=False, primary_key=True, serialize=False)),
                        ("span_s", models.IntegerField()),
                        ("start", models.DateTimeField()),
                        ("first", models.DateTimeField()),
                        ("last", models.DateTimeField()),
                        ("count", models.IntegerField()),
                        ("flagged", models.IntegerField(help_text="how many of them are doubtful")),
                        ("flags", models.SmallIntegerField(help_text="every flag one of them carries")),
                        ("sum", models.BigIntegerField()),
                        ("lowest", models.BigIntegerField()),
                        ("highest", models.BigIntegerField()),
                        ("series", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="rollups", to="sensing.series")),
                    ],
                ),
            ],
        ),
    ]
