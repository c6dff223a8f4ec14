"""Whose plan it is, and which version the search finds."""
import django.db.models.deletion
from django.db import migrations, models


def older_ones(apps, schema_editor):
    versions = apps.get_model("plans", "PlanVersion")._default_manager
    newest = versions.order_by("plan_id", "-number").distinct("plan_id").values_list("pk", flat=True)
    versions.exclude(pk__in=list(newest)).update(newest=False)


class Migration(migrations.Migration):
    dependencies = [("kernel", "0004_second"), ("plans", "0004_drafts")]
    operations = [
        migrations.AddField("plan", "region", models.ForeignKey(help_text="whose plan it is; empty: nobody has said", null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="kernel.region")),
        migrations.AddField("planversion", "newest", models.BooleanField(db_default=True, default=True, help_text="the one the search finds; older ones are read from their plan")),
        migrations.RunPython(older_ones, migrations.RunPython.noop),
    ]
