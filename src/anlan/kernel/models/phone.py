"""Telephones that carry a copy of the work: who holds one, what came from it, what could not be done any more, files on their way."""
from __future__ import annotations

from django.db import models

from ..ids import new_id
from .base import RealmRow, Row


class PhoneDevice(Row):
    """A telephone (or any browser) on which an account installed Anlan. Its key is made there; its secret is known here only as a digest."""

    account = models.ForeignKey("kernel.Account", on_delete=models.PROTECT, related_name="phones")
    secret_hash = models.CharField(max_length=64, help_text="SHA-256 of the device's secret: asks only whether it must wipe itself")
    name = models.CharField(max_length=120, blank=True, help_text="what the browser says it is")
    session = models.UUIDField(null=True, help_text="sign-in session it was last used with; ended with the device")
    seen_at = models.DateTimeField()
    synced_at = models.DateTimeField(null=True)
    offset_ms = models.BigIntegerField(default=0, help_text="our clock minus the device's at the last sync, milliseconds")
    waiting = models.PositiveIntegerField(default=0, help_text="operations the device said it still holds")
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.UUIDField(null=True, help_text="person")
    revoked_why = models.CharField(max_length=200, blank=True)
    wiped_at = models.DateTimeField(null=True, help_text="when the device said it has deleted its copy")

    class Meta:
        indexes = [models.Index(fields=["account", "seen_at"], name="phone_account")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.name}"


class PhoneOp(models.Model):
    """One operation done on a telephone and what became of it: a repeat gets this answer. Without its values: the rows hold those."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False, help_text="op_id, made by the device")
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(PhoneDevice, on_delete=models.PROTECT, related_name="ops")
    account = models.UUIDField()
    kind = models.CharField(max_length=40)
    digest = models.CharField(max_length=64, help_text="SHA-256 of what was asked; another content under the same key is refused")
    claimed_at = models.DateTimeField(help_text="what the device's clock said")
    occurred_at = models.DateTimeField(help_text="the same, corrected by the offset measured at this sync")
    received_at = models.DateTimeField()
    outcome = models.CharField(max_length=10, help_text="done, merged, conflict, kept, refused")
    subject = models.CharField(max_length=80, blank=True, help_text="record it became or changed; files of the operation go there")
    answer = models.JSONField()

    class Meta:
        indexes = [models.Index(fields=["device", "received_at"], name="phone_op_device")]

    def __str__(self) -> str:
        return f"{self.kind} {self.outcome}"


class KeptEvidence(RealmRow):
    """What somebody did in the field although the rules no longer allow it: kept whole, and a person decides what it is worth."""

    SCOPE = "phone.settle"
    OPEN, TAKEN, SET_ASIDE = "open", "taken", "set_aside"

    op = models.OneToOneField(PhoneOp, on_delete=models.PROTECT, related_name="evidence")
    subject = models.CharField(max_length=80, blank=True, help_text="record it was meant for")
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=160, help_text="the record's own words on the device")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    post = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+", help_text="who decides about it")
    person = models.UUIDField(null=True, help_text="who did it")
    device = models.UUIDField()
    payload = models.JSONField(help_text="the operation as it came")
    code = models.CharField(max_length=60, help_text="code of the error it met")
    why = models.CharField(max_length=300)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    state = models.CharField(max_length=10, default=OPEN)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.UUIDField(null=True, help_text="person")
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "state", "received_at"], name="evidence_open")]

    def __str__(self) -> str:
        return f"{self.kind} {self.title}"


class PhoneFile(Row):
    """A file on its way from a telephone, in parts. Its key is the device's; the bytes lie in `uploads/` until they are whole."""

    device = models.ForeignKey(PhoneDevice, on_delete=models.PROTECT, related_name="files")
    op = models.UUIDField(help_text="operation it belongs to; may come later than the file")
    name = models.CharField(max_length=160)
    size = models.BigIntegerField(help_text="bytes")
    sha256 = models.CharField(max_length=64)
    received = models.BigIntegerField(default=0, help_text="bytes that are here")
    taken_at = models.CharField(max_length=40, blank=True, help_text="the camera's own time (EXIF), as it says it")
    lon = models.FloatField(null=True)
    lat = models.FloatField(null=True)
    accuracy_m = models.FloatField(null=True)
    added_at = models.DateTimeField()
    attachment = models.UUIDField(null=True, help_text="the attachment it became")
    refused = models.CharField(max_length=300, blank=True, help_text="why it is not taken")

    class Meta:
        indexes = [models.Index(fields=["op"], name="phone_file_op"), models.Index(fields=["device", "added_at"], name="phone_file_device")]

    def __str__(self) -> str:
        return self.name


