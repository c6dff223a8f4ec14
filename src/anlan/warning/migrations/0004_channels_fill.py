"""Channels of earlier releases become entries of their register: the words they are found by."""
from django.db import migrations


def fill(apps, schema_editor):
    from anlan.engines.text import document_tokens

    for row in apps.get_model("warning", "Channel")._default_manager.all():
        row.words = " ".join(f"'{word}'" for word in sorted(document_tokens(row.name, name=True)))
        row.save(update_fields=["words"])


class Migration(migrations.Migration):
    dependencies = [("warning", "0003_channels_register")]
    operations = [
        # For processes of the release before that still run during the upgrade and do not name the new columns.
        migrations.RunSQL(
            """ALTER TABLE warning_channel ALTER COLUMN "left" SET DEFAULT '{}', ALTER COLUMN changed_xid SET DEFAULT 0, ALTER COLUMN changed_seq SET DEFAULT 0""",
            migrations.RunSQL.noop,
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
