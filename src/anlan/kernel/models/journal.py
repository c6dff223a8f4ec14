"""The journal: facts, their payloads, the seal that chains them, and the places of its readers."""
from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from ..ids import new_id


class Fact(models.Model):
    """One thing that happened. Inserted unchained and never changed; the sealer orders and chains it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=60)
    kind_version = models.PositiveSmallIntegerField(default=1)
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=80, help_text="kind:key of the thing it is about")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    cause = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="effects")
    action = models.CharField(max_length=60, blank=True)
    op_id = models.UUIDField(null=True)
    account = models.UUIDField(null=True)
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    on_behalf_of = models.UUIDField(null=True)
    device = models.CharField(max_length=60, blank=True)
    # Three times (design §2): when it happened, when we heard of it, when it was written.
    occurred_at = models.DateTimeField()
    precision = models.CharField(max_length=8, default="minute", help_text="second, minute, about, date, unknown")
    received_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    payload_digest = models.CharField(max_length=80, help_text="algorithm:hex of salt and canonical payload")
    digest = models.CharField(max_length=80, help_text="algorithm:hex of the canonical header with payload_digest")

    class Meta:
        indexes = [
            models.Index(fields=["realm", "subject"], name="fact_subject"),
            models.Index(fields=["realm", "kind", "occurred_at"], name="fact_kind"),
            models.Index(fields=["cause"], name="fact_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class FactPayload(models.Model):
    """What the fact says. A row of its own, so that it can be erased while the chain still verifies."""

    fact = models.OneToOneField(Fact, primary_key=True, on_delete=models.PROTECT, related_name="payload_row")
    payload = models.JSONField()
    salt = models.CharField(max_length=32)

    def __str__(self) -> str:
        return str(self.fact_id)


class Unsealed(models.Model):
    """Facts that wait for the sealer, in the order they were written. The sealer sees only what has committed."""

    id = models.BigAutoField(primary_key=True)
    fact = models.OneToOneField(Fact, on_delete=models.PROTECT, related_name="+")

    def __str__(self) -> str:
        return str(self.fact_id)


class Seal(models.Model):
    """A link of the chain: number, fact, digest over the previous digest. Append-only."""

    number = models.BigIntegerField(primary_key=True)
    fact = models.OneToOneField(Fact, on_delete=models.PROTECT, related_name="seal")
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=60)
    previous = models.CharField(max_length=80)
    digest = models.CharField(max_length=80)
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["realm", "number"], name="seal_realm")]

    def __str__(self) -> str:
        return f"{self.number}"


class Head(models.Model):
    """A signed head of the chain. Heads leave the machine, so that cutting off the tail shows."""

    number = models.BigIntegerField(primary_key=True)
    digest = models.CharField(max_length=80)
    algorithm = models.CharField(max_length=20, default="Ed25519")
    key_id = models.CharField(max_length=40)
    signature = models.CharField(max_length=200)
    signed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.number} {self.digest}"


class Operation(models.Model):
    """An action done once: the same key again returns the first answer."""

    op_id = models.UUIDField(primary_key=True)
    action = models.CharField(max_length=60)
    digest = models.CharField(max_length=64)
    account = models.UUIDField(null=True)
    answer = models.JSONField(null=True)
    done_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.action} {self.op_id}"


class Position(models.Model):
    """How far a follower has read the sealed journal; committed with its effects."""

    follower = models.CharField(max_length=60, primary_key=True)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.follower} {self.number}"


class Parked(models.Model):
    """A fact a reaction could not digest, or a timer that failed. It blocks only its own subject until a person decides."""

    RETRIED, GIVEN_UP = "retried", "given_up"

    reaction = models.CharField(max_length=60)
    fact = models.ForeignKey(Fact, null=True, on_delete=models.PROTECT, related_name="+", help_text="empty for a timer")
    timer = models.JSONField(null=True, help_text="of a timer: {due_at, params, cause}, to arm it again")
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    subject = models.CharField(max_length=80)
    error = models.TextField()
    tries = models.PositiveSmallIntegerField(default=0)
    parked_at = models.DateTimeField(db_default=Now())
    released = models.BooleanField(default=False, help_text="a person has decided: it blocks nothing any more")
    outcome = models.CharField(max_length=10, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    decided_by = models.UUIDField(null=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reaction", "fact"], name="parked_once")]
        indexes = [models.Index(fields=["reaction", "subject"], condition=models.Q(released=False), name="parked_open")]

    def __str__(self) -> str:
        return f"{self.reaction} {self.fact_id}"


class ReactionDone(models.Model):
    """A job reaction that has finished for a fact; makes redelivery harmless and `quiet` answerable."""

    reaction = models.CharField(max_length=60)
    fact = models.ForeignKey(Fact, on_delete=models.PROTECT, related_name="+")
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    done = models.BooleanField(default=False)
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reaction", "fact"], name="reaction_once")]
        indexes = [models.Index(fields=["realm"], condition=models.Q(done=False), name="reaction_open")]

    def __str__(self) -> str:
        return f"{self.reaction} {self.fact_id}"


class Due(models.Model):
    """Something that becomes due on a realm's clock: a deadline, silence, an expiry. Swept by the realm's ticker."""

    id = models.UUIDField(primary_key=True, default=new_id)
    realm = models.ForeignKey("kernel.Realm", on_delete=models.PROTECT, related_name="+")
    due_at = models.DateTimeField()
    timer = models.CharField(max_length=60)
    subject = models.CharField(max_length=80)
    params = models.JSONField(default=dict)
    cause = models.UUIDField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["realm", "due_at"], name="due_next")]
        constraints = [models.UniqueConstraint(fields=["realm", "timer", "subject"], name="due_once")]

    def __str__(self) -> str:
        return f"{self.timer} {self.subject} {self.due_at}"
