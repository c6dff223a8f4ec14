"""Where a row stands: this installation, and the realm (actual, an exercise, a replay) with its clock."""
from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import models

from ..ids import derived_id, new_id


class Installation(models.Model):
    """One installation is one government. The row with `here` true is this one; others are linked levels."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120, default="")
    here = models.BooleanField(default=False)
    outward_held = models.BooleanField(default=False, help_text="After a restore no outward channel sends until a person releases them.")
    schema_tag = models.CharField(max_length=40, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["here"], condition=models.Q(here=True), name="one_installation_here")]

    @classmethod
    def current(cls) -> Installation:
        """This installation, read afresh (another process may have held the outward channels)."""
        return cls.objects.get_or_create(here=True)[0]

    def __str__(self) -> str:
        return self.name


class Realm(models.Model):
    """`actual`, or one exercise or replay. An exercise runs the same code in its own realm on its own clock."""

    ACTUAL, EXERCISE, REPLAY = "actual", "exercise", "replay"
    KINDS = [(ACTUAL, "actual"), (EXERCISE, "exercise"), (REPLAY, "replay")]

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=10, choices=KINDS)
    name = models.CharField(max_length=160)
    name_en = models.CharField(max_length=160, blank=True)
    # The clock: wall time, or a moment that is moved by hand (`manual`), or wall time shifted and scaled.
    clock = models.CharField(max_length=8, choices=[("wall", "wall"), ("manual", "manual"), ("scaled", "scaled")], default="wall")
    now_at = models.DateTimeField(null=True, help_text="Manual clock: the realm's present. Scaled clock: the realm's time at `clock_set_at`.")
    clock_set_at = models.DateTimeField(null=True, help_text="Wall time at which `now_at` held.")
    rate = models.FloatField(default=1.0, help_text="Scaled clock: realm seconds per wall second.")
    started_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.UUIDField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind"], condition=models.Q(kind="actual"), name="one_actual_realm"),
            models.CheckConstraint(condition=~models.Q(kind="actual") | models.Q(clock="wall", ended_at=None), name="actual_runs_on_wall_time"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_actual(self) -> bool:
        return self.kind == self.ACTUAL

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None

    def time(self) -> datetime:
        """Aware UTC on this realm's clock."""
        wall = datetime.now(UTC)
        if self.clock == "wall" or self.now_at is None:
            return wall
        if self.clock == "manual":
            return self.now_at
        return self.now_at + timedelta(seconds=(wall - self.clock_set_at).total_seconds() * self.rate)



ACTUAL_ID = derived_id("realm", "actual")
