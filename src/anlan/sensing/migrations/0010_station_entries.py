"""Stations of 0.1.0 become entries of the register: the cell of their point, and the words they are found by."""
from django.db import migrations


def fill(apps, schema_editor):
    from anlan.engines.text import document_tokens
    from h3.api import basic_int

    found = []
    for row in apps.get_model("sensing", "Station").objects.iterator(2000):
        if row.lon is not None and row.lat is not None:
            row.cell = basic_int.latlng_to_cell(row.lat, row.lon, 11)
        words = set(document_tokens(row.name, name=True))
        for text in (row.code, row.name_en, row.river, row.owner):
            words.update(document_tokens(text))
        row.words = " ".join(f"'{word}'" for word in sorted(words))
        row.verified_at = row.created_at
        found.append(row)
    apps.get_model("sensing", "Station").objects.bulk_update(found, ["cell", "words", "verified_at"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("sensing", "0002_second")]
    operations = [
        # For processes of 0.1.0 that still run during the upgrade and do not name the new columns.
        migrations.RunSQL(
            """ALTER TABLE sensing_station ALTER COLUMN "left" SET DEFAULT '{}', ALTER COLUMN changed_xid SET DEFAULT 0, ALTER COLUMN changed_seq SET DEFAULT 0""",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
