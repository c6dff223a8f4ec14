"""Lines of the shift log of earlier releases are found by their words."""
from django.db import migrations


def fill(apps, schema_editor):
    from anlan.engines.text import document_tokens

    found = []
    for row in apps.get_model("kernel", "ShiftNote")._default_manager.iterator(2000):
        row.words = " ".join(f"'{word}'" for word in sorted(document_tokens(row.text[:2000])))
        found.append(row)
    apps.get_model("kernel", "ShiftNote")._default_manager.bulk_update(found, ["words"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("kernel", "0007_shift_log_list")]
    operations = [
        # For processes of the release before that still run during the upgrade and do not name the new columns.
        migrations.RunSQL(
            """ALTER TABLE kernel_shiftnote ALTER COLUMN "left" SET DEFAULT '{}', ALTER COLUMN changed_xid SET DEFAULT 0, ALTER COLUMN changed_seq SET DEFAULT 0""",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
