from django.db import migrations, models


class Migration(migrations.Migration):
    """What was drawn, kept beside the area that came of it, so that it can be said in words and drawn on."""

    dependencies = [("warning", "0006_last_metre")]

    operations = [
        migrations.AddField(
            "alert", "drawn", models.JSONField(default=dict, blank=True, help_text="what was drawn: polygon, circle, river or line with km on both sides, or footprint of a model; empty: the places as they are"),
        ),
    ]
