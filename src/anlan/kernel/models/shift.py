"""The duty roster, its swaps, the shift log and the signed hand-over."""
from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import RealmRow, SameRealm
from .registers import Listed


class RosterEntry(RealmRow):
    """A person on duty at a post for a time: leader in charge (带班领导), A or B."""

    SCOPE = "shift.read"
    LEADER, A, B = "leader", "A", "B"
    ROLES = [(LEADER, "leader"), (A, "A"), (B, "B")]

    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="duties")
    role = models.CharField(max_length=6, choices=ROLES, default=A)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    note = models.CharField(max_length=160, blank=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "post", "starts_at"], name="roster_post"), models.Index(fields=["person", "starts_at"], name="roster_person")]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="roster_ends_after_start"),
            # A re-import of the same sheet updates; two people in one role of one shift would leave nobody knowing who answers.
            models.UniqueConstraint(fields=["realm", "post", "role", "starts_at"], name="roster_once"),
        ]

    def __str__(self) -> str:
        return f"{self.person} {self.role} {self.starts_at}"


class Swap(RealmRow):
    """A person asks another to take over a duty; it changes only when the other accepts."""

    SCOPE = "shift.read"
    ASKED, ACCEPTED, REFUSED, WITHDRAWN = "asked", "accepted", "refused", "withdrawn"

    entry = models.ForeignKey(RosterEntry, on_delete=models.PROTECT, related_name="swaps")
    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    asked_by = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="+")
    asked_of = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="+")
    in_return = models.ForeignKey(RosterEntry, null=True, on_delete=models.PROTECT, related_name="+", help_text="duty taken over in exchange")
    reason = models.CharField(max_length=200, blank=True)
    state = models.CharField(max_length=10, default=ASKED)
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            SameRealm("entry", name="swap_same_realm", to="kernel_rosterentry"),
            models.CheckConstraint(condition=~models.Q(asked_by=models.F("asked_of")), name="swap_two_persons"),
            models.UniqueConstraint(fields=["entry"], condition=models.Q(state="asked"), name="swap_one_open"),
        ]

    def __str__(self) -> str:
        return f"{self.entry_id} {self.state}"


class ShiftNote(Listed, RealmRow):
    """A line of the shift log, listed as `kernel.shift_log`. Never changed: a wrong line is corrected by another that names it."""

    SCOPE = "shift.read"
    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    person = models.ForeignKey("kernel.Person", verbose_name=_("Person"), null=True, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(_("Time"))
    text = models.TextField(_("What happened"))
    corrects = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="corrections")

    class Meta:
        indexes = [models.Index(fields=["realm", "post", "at"], name="shift_note_post")]
        constraints = [SameRealm("corrects", name="shift_note_same_realm", to="kernel_shiftnote")]

    def __str__(self) -> str:
        return f"{self.at} {self.text[:40]}"


class HandOver(RealmRow):
    """The signed hand-over of a shift: what was open, frozen when it was written; both persons sign it."""

    SCOPE = "shift.read"
    WRITTEN, SIGNED, WITHDRAWN = "written", "signed", "withdrawn"

    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    given_by = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="+")
    taken_by = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="+")
    written_at = models.DateTimeField()
    items = models.JSONField(default=list, help_text="open items as they stood: [{kind, subject, text, since, due}]")
    digest = models.CharField(max_length=80, help_text="algorithm:hex of items and remarks; what both sign")
    remarks = models.TextField(blank=True)
    given_signed_at = models.DateTimeField(null=True)
    taken_signed_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=10, default=WRITTEN)

    class Meta:
        indexes = [models.Index(fields=["realm", "post", "written_at"], name="hand_over_post")]
        constraints = [
            models.CheckConstraint(condition=~models.Q(given_by=models.F("taken_by")), name="hand_over_two_persons"),
            models.CheckConstraint(
                condition=~models.Q(state="signed") | models.Q(given_signed_at__isnull=False, taken_signed_at__isnull=False), name="hand_over_signed_by_both"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.written_at} {self.state}"
