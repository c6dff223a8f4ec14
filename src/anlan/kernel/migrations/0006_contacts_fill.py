"""Persons of earlier releases become entries of the contact list: where they lie, whether they left, the words they are found by."""
from django.db import migrations


def fill(apps, schema_editor):
    from anlan.engines.text import document_tokens, initials, pinyin

    found = []
    for row in apps.get_model("kernel", "Person")._default_manager.select_related("organisation").iterator(2000):
        row.region_id = row.organisation.region_id if row.organisation_id else None
        row.pinyin, row.initials = pinyin(row.name)[:160], initials(row.name)[:40]
        if not row.active:
            row.ended_at = row.created_at
        row.words = " ".join(f"'{word}'" for word in sorted({*document_tokens(row.name, name=True), *document_tokens(row.title)}))
        found.append(row)
    apps.get_model("kernel", "Person")._default_manager.bulk_update(found, ["region", "pinyin", "initials", "ended_at", "words"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("kernel", "0005_contacts_register")]
    operations = [
        # For processes of the release before that still run during the upgrade and do not name the new columns.
        migrations.RunSQL(
            """ALTER TABLE kernel_person ALTER COLUMN "left" SET DEFAULT '{}', ALTER COLUMN changed_xid SET DEFAULT 0, ALTER COLUMN changed_seq SET DEFAULT 0""",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
