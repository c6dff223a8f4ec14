"""The search column: one row per findable thing, of any room."""
from __future__ import annotations

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class SearchEntry(models.Model):
    """What a thing is found by, and who may find it (capability, region, realm)."""

    kind = models.CharField(max_length=40)
    key = models.UUIDField()
    realm = models.ForeignKey("kernel.Realm", null=True, on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    note = models.CharField(max_length=300, blank=True)
    words = SearchVectorField(help_text="words, Chinese bigrams, pinyin and initials; no parser is asked")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "key"], name="search_once")]
        indexes = [GinIndex(fields=["words"], name="search_words"), models.Index(fields=["kind", "realm"], name="search_kind")]

    def __str__(self) -> str:
        return self.title
