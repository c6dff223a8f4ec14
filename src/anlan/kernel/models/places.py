"""Where: regions with their own key, dated codes and several hierarchies (design §3.6)."""
from __future__ import annotations

from django.db import models

from .base import Row


class Region(Row):
    """A county, town, grid cell, river basin or zone. Its key is its own; codes come and go with dates."""

    name = models.CharField(max_length=120)
    name_en = models.CharField(max_length=120, blank=True)
    short_name = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=12, help_text="province, city, county, town, village, grid, basin, zone")
    lon = models.FloatField(null=True, help_text="degrees, WGS84/CGCS2000, of a point inside")
    lat = models.FloatField(null=True)
    h3 = models.CharField(max_length=16, blank=True, db_index=True, help_text="H3 cell of the point, resolution 7")
    area_wkb = models.BinaryField(null=True, help_text="(multi)polygon, WKB, lon lat, WGS84/CGCS2000")
    west = models.FloatField(null=True)
    south = models.FloatField(null=True)
    east = models.FloatField(null=True)
    north = models.FloatField(null=True)
    source_crs = models.CharField(max_length=20, default="EPSG:4326", help_text="frame the coordinates came in")
    source = models.CharField(max_length=200, blank=True)
    population = models.PositiveIntegerField(null=True)
    population_source = models.CharField(max_length=200, blank=True)
    successor = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="predecessors")
    valid_from = models.DateField(null=True)
    valid_to = models.DateField(null=True)

    class Meta:
        indexes = [models.Index(fields=["west", "east", "south", "north"], name="region_bbox"), models.Index(fields=["kind"], name="region_kind")]

    def __str__(self) -> str:
        return self.name


class RegionCode(models.Model):
    """A dated code of a region in a code system (GB/T 2260, GB/T 10114, the 12-digit statistical code …)."""

    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="codes")
    system = models.CharField(max_length=40, default="GB/T 2260")
    code = models.CharField(max_length=20)
    valid_from = models.DateField(null=True)
    valid_to = models.DateField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["system", "code", "valid_from"], name="region_code_once", nulls_distinct=False)]

    def __str__(self) -> str:
        return f"{self.system} {self.code}"


class RegionLink(models.Model):
    """Parent and child in one hierarchy, dated."""

    HIERARCHIES = ["administrative", "grid", "basin", "zone"]
    hierarchy = models.CharField(max_length=16, default="administrative")
    parent = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="child_links")
    child = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="parent_links")
    valid_from = models.DateField(null=True)
    valid_to = models.DateField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hierarchy", "parent", "child"], name="region_link_once")]

    def __str__(self) -> str:
        return f"{self.parent} > {self.child} ({self.hierarchy})"


class RegionPath(models.Model):
    """Closure of the links in force: every ancestor of every region, itself included (depth 0). Rebuilt by `places.rebuild_paths`."""

    hierarchy = models.CharField(max_length=16, default="administrative")
    ancestor = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="below")
    descendant = models.ForeignKey(Region, on_delete=models.CASCADE, related_name="above")
    depth = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hierarchy", "ancestor", "descendant"], name="region_path_once")]
        indexes = [models.Index(fields=["descendant", "hierarchy"], name="region_path_up")]

    def __str__(self) -> str:
        return f"{self.ancestor_id} … {self.descendant_id} ({self.depth})"
