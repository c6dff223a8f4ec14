"""Who is looking at a duty desk. Presence is bulk data of a browser, not a fact; that no desk is live is one."""
from __future__ import annotations

from django.db import models

from anlan.kernel.models import Row


class DeskPresence(Row):
    """One row per account that keeps a desk: when its page last said it is looked at, and whether it can sound."""

    account = models.UUIDField(unique=True)
    person = models.UUIDField(null=True)
    post = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+")
    seen_at = models.DateTimeField()
    sound = models.CharField(max_length=8, default="unknown", help_text="on, mute or unknown")
    visible = models.BooleanField(default=True)
    device = models.CharField(max_length=60, blank=True)

    def __str__(self) -> str:
        return f"{self.account} {self.seen_at}"


class DeskWatch(models.Model):
    """One row: since when no desk is live, so that its going and coming back are each stated once."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    dark_since = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"dark since {self.dark_since}" if self.dark_since else "a desk is live"
