"""Who read personal data, when and what for. A table of its own, one partition per month (migration 0002)."""
from __future__ import annotations

from django.db import models


class AccessLog(models.Model):
    """One read of personal fields, or one export. PostgreSQL holds it partitioned by `at`; rows are only ever added."""

    pk = models.CompositePrimaryKey("at", "id")
    id = models.UUIDField()
    at = models.DateTimeField()
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    address = models.CharField(max_length=45)
    kind = models.CharField(max_length=24, help_text="read, list, export, print, file")
    subject = models.CharField(max_length=80, help_text="kind:key of what was read; for a list its kind")
    fields = models.JSONField(default=list, help_text="personal fields shown")
    count = models.PositiveIntegerField(default=1, help_text="how many persons' data")
    purpose = models.CharField(max_length=120)

    class Meta:
        managed = False
        db_table = "kernel_accesslog"

    def __str__(self) -> str:
        return f"{self.at} {self.kind} {self.subject}"
