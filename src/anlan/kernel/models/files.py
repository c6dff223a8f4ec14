"""Attachments: a row per use, the bytes once per content."""
from __future__ import annotations

from django.db import models

from .base import RealmRow


class Attachment(RealmRow):
    """A file attached to a record. Who may read the record may read it; the bytes lie under their SHA-256."""

    SCOPE = "files.read"
    subject = models.CharField(max_length=80, help_text="kind:key of the record it belongs to")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=160)
    mime = models.CharField(max_length=100)
    size = models.BigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    added_at = models.DateTimeField()
    added_by = models.UUIDField(null=True, help_text="person")
    note = models.CharField(max_length=200, blank=True)
    removed_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "subject"], name="attachment_subject"), models.Index(fields=["sha256"], name="attachment_content")]

    def __str__(self) -> str:
        return self.name
