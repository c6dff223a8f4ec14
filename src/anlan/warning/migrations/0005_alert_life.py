from django.db import migrations, models


class Migration(migrations.Migration):
    """Threads, corrections that alarm nobody, and ends that are prepared with the warning."""

    dependencies = [("warning", "0004_channels_fill")]

    operations = [
        migrations.AddField("alert", "silent", models.BooleanField(default=False, help_text="corrects a detail of its predecessor without alarming again")),
        migrations.AddField(
            "alert", "endings",
            models.JSONField(default=dict, help_text="{cancel, all_clear: {headline, description, translations}} prepared with it and approved with it"),
        ),
        migrations.AddField("alert", "ending", models.CharField(max_length=10, blank=True, default="", help_text="cancel or all_clear, when it was let out as its predecessor had it prepared"), preserve_default=False),
        migrations.AddField("alert", "series", models.UUIDField(null=True, db_index=True, help_text="key of the first alert of its thread; empty on rows older than threads")),
    ]
