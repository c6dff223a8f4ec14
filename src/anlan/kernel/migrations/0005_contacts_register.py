import anlan.kernel.models.registers
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kernel', '0004_second'),
    ]

    operations = [
        migrations.AddField(
            model_name='person',
            name='cell',
            field=models.BigIntegerField(editable=False, help_text='H3 index of the point, resolution 11; written with lon and lat', null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='changed_seq',
            field=models.BigIntegerField(default=0, editable=False),
        ),
        migrations.AddField(
            model_name='person',
            name='changed_xid',
            field=models.BigIntegerField(default=0, editable=False, help_text='transaction of the last write, set by a trigger'),
        ),
        migrations.AddField(
            model_name='person',
            name='ended_at',
            field=models.DateTimeField(editable=False, help_text='left the list; the row stays as a tombstone', null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='lat',
            field=models.FloatField(blank=True, null=True, verbose_name='Latitude'),
        ),
        migrations.AddField(
            model_name='person',
            name='left',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), default=list, editable=False, help_text='regions and units the row was moved away from: their readers get a tombstone', size=None),
        ),
        migrations.AddField(
            model_name='person',
            name='lon',
            field=models.FloatField(blank=True, help_text='degrees, WGS84/CGCS2000', null=True, verbose_name='Longitude'),
        ),
        migrations.AddField(
            model_name='person',
            name='region',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='kernel.region', verbose_name='Region'),
        ),
        migrations.AddField(
            model_name='person',
            name='verified_by',
            field=models.UUIDField(editable=False, help_text='person', null=True),
        ),
        migrations.AddField(
            model_name='person',
            name='words',
            field=django.contrib.postgres.search.SearchVectorField(editable=False, help_text='words, Chinese bigrams, pinyin and initials of the searched fields', null=True),
        ),
        migrations.AlterField(
            model_name='person',
            name='email',
            field=models.CharField(blank=True, max_length=160, verbose_name='E-mail'),
        ),
        migrations.AlterField(
            model_name='person',
            name='mobile',
            field=models.CharField(blank=True, max_length=40, verbose_name='Mobile number'),
        ),
        migrations.AlterField(
            model_name='person',
            name='name',
            field=models.CharField(max_length=80, verbose_name='Full name'),
        ),
        migrations.AlterField(
            model_name='person',
            name='organisation',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='people', to='kernel.organisation', verbose_name='Organisation'),
        ),
        migrations.AlterField(
            model_name='person',
            name='title',
            field=models.CharField(blank=True, max_length=80, verbose_name='Job title'),
        ),
        migrations.AlterField(
            model_name='person',
            name='verified_at',
            field=models.DateTimeField(editable=False, help_text='when the contact data were last checked', null=True, verbose_name='Last verified'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=django.contrib.postgres.indexes.GinIndex(fields=['words'], name='kernel_person_words'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(fields=['changed_xid', 'changed_seq'], name='kernel_person_feed'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None), ('cell__isnull', False)), fields=['cell'], include=('region', 'verified_at', 'organisation'), name='kernel_person_map'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['organisation', 'pinyin', 'id'], name='kernel_person_by_organisation'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['region', 'pinyin', 'id'], name='kernel_person_by_region'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['pinyin', 'id'], name='kernel_person_in_pinyin'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['name', 'id'], name='kernel_person_in_name'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(models.OrderBy(models.F('verified_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), condition=models.Q(('ended_at', None)), name='kernel_person_down_verified_at'),
        ),
        migrations.AddIndex(
            model_name='person',
            index=models.Index(condition=models.Q(('ended_at', None)), fields=['verified_at', 'id'], name='kernel_person_verified'),
        ),
        migrations.AddConstraint(
            model_name='person',
            constraint=anlan.kernel.models.registers.Changed(name='kernel_person_changed'),
        ),
    ]
