"""Code lists as versioned data with their source."""
from __future__ import annotations

from django.db import models

from .base import Row


class CodeList(Row):
    """One version of a code list: a default from a file of the release, or the user's own."""

    DEFAULT, OWN = "default", "own"
    name = models.CharField(max_length=40)
    title = models.CharField(max_length=120)
    title_zh = models.CharField(max_length=120)
    label = models.CharField(max_length=40, help_text="the version's name: an edition, a date")
    origin = models.CharField(max_length=8, default=DEFAULT)
    source = models.TextField()
    source_zh = models.TextField(blank=True)
    mark = models.CharField(max_length=8, help_text="V1 own text or run, V2 two sources, V3 one source, M from memory, own")
    digest = models.CharField(max_length=80)
    in_force = models.BooleanField(default=True)
    loaded_at = models.DateTimeField()
    based_on = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "origin", "digest"], name="code_list_version"),
            models.UniqueConstraint(fields=["name"], condition=models.Q(in_force=True), name="code_list_in_force"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.label}"


class Code(models.Model):
    """One entry of one version of a list."""

    list = models.ForeignKey(CodeList, on_delete=models.PROTECT, related_name="codes")
    code = models.CharField(max_length=40)
    name = models.CharField(max_length=160)
    name_zh = models.CharField(max_length=160)
    parent = models.CharField(max_length=40, blank=True)
    position = models.PositiveIntegerField(default=0)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["list", "code"], name="code_once")]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"
