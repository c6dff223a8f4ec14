from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("resources", "0005_grade_points")]

    operations = [
        migrations.AddField("base", "aircraft", models.CharField(blank=True, help_text="what flies from here", max_length=20, verbose_name="Aircraft")),
        migrations.AddField("base", "aircraft_source", models.CharField(blank=True, help_text="licence, contract or letter that says so, with its date", max_length=200, verbose_name="Source of the aircraft entry")),
    ]
