"""What waits for a person, and what a person was told to do."""
from __future__ import annotations

from django.db import models

from .base import RealmRow, SameRealm


class WorkItem(RealmRow):
    """One row for everything that waits for a person (待办), from any room."""

    SCOPE = "work.read"
    OPEN, DONE, OVERTAKEN = "open", "done", "overtaken"

    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+")
    first_post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="+", help_text="whom it waited for at first")
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=80)
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    msgid = models.CharField(max_length=300, help_text="sentence in English with {names}; shown translated")
    params = models.JSONField(default=dict)
    level = models.CharField(max_length=8, blank=True, help_text="red, orange, yellow, blue or empty")
    since = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    on_silence = models.CharField(max_length=60, default="escalate", help_text="escalate, or a timer's name, or nothing")
    minutes = models.PositiveIntegerField(null=True, help_text="time a post has to answer; the next post up gets the same")
    state = models.CharField(max_length=10, default=OPEN)
    outcome = models.CharField(max_length=40, blank=True)
    closed_at = models.DateTimeField(null=True)
    closed_by = models.UUIDField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="when a person silenced its sound")
    escalations = models.PositiveSmallIntegerField(default=0)
    cause = models.UUIDField(null=True)

    class Meta:
        indexes = [models.Index(fields=["realm", "post", "state", "due_at"], name="work_desk")]
        constraints = [
            models.UniqueConstraint(fields=["realm", "kind", "subject", "first_post"], condition=models.Q(state="open"), name="work_once_open"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"


class Order(RealmRow):
    """An order to a post, with its deadline and the clause it rests on."""

    SCOPE = "orders.read"
    ISSUED, DELIVERED, READ, ACCEPTED, PROGRESS, DONE, REFUSED, WITHDRAWN = (
        "issued", "delivered", "read", "accepted", "progress", "done", "refused", "withdrawn",
    )
    OPEN_STATES = (ISSUED, DELIVERED, READ, ACCEPTED, PROGRESS)

    post = models.ForeignKey("kernel.Post", on_delete=models.PROTECT, related_name="orders")
    region = models.ForeignKey("kernel.Region", null=True, on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=80, help_text="what it came from: response:…, instruction:…")
    text = models.TextField()
    text_en = models.TextField(blank=True)
    clause = models.CharField(max_length=200, blank=True, help_text="clause of the plan")
    rule_version = models.CharField(max_length=120, blank=True, help_text="version of the plan it came from")
    state = models.CharField(max_length=10, default=ISSUED)
    issued_at = models.DateTimeField()
    issued_by = models.UUIDField(null=True)
    answer_by = models.DateTimeField(null=True, help_text="accept or refuse until then, else it goes up the line")
    due_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)
    percent = models.PositiveSmallIntegerField(default=0)
    refusal = models.TextField(blank=True)
    reminders = models.PositiveSmallIntegerField(default=0)
    escalated_to = models.ForeignKey("kernel.Post", null=True, on_delete=models.PROTECT, related_name="+")
    cause = models.UUIDField(null=True, help_text="fact that issued it")

    class Meta:
        indexes = [models.Index(fields=["realm", "post", "state"], name="order_inbox"), models.Index(fields=["realm", "source"], name="order_source")]

    def __str__(self) -> str:
        return f"{self.post}: {self.text[:40]}"


class OrderReceipt(RealmRow):
    """One answer to an order: who, when, which state, what was said."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="receipts")
    state = models.CharField(max_length=10)
    at = models.DateTimeField()
    person = models.UUIDField(null=True)
    post = models.UUIDField(null=True)
    text = models.TextField(blank=True)
    percent = models.PositiveSmallIntegerField(null=True)

    class Meta:
        constraints = [SameRealm("order", name="receipt_same_realm", to="kernel_order")]
        indexes = [models.Index(fields=["order", "at"], name="receipt_order")]

    def __str__(self) -> str:
        return f"{self.state} {self.at}"
