"""Signing in: what was tried, which sessions are open, and what waits for a second person."""
from __future__ import annotations

from django.db import models

from ..ids import new_id
from .base import Row


class SignInTry(models.Model):
    """One attempt to sign in. Kept as the security log (at least six months) and counted for the lock-out."""

    at = models.DateTimeField()
    account_name = models.CharField(max_length=60)
    address = models.CharField(max_length=45)
    ok = models.BooleanField()
    why = models.CharField(max_length=24, blank=True, help_text="wrong, locked, inactive, factor, pin; empty when it went well")

    class Meta:
        indexes = [
            models.Index(fields=["account_name", "at"], name="try_account"),  # lock-out by account
            models.Index(fields=["address", "at"], name="try_address"),  # lock-out by address
        ]

    def __str__(self) -> str:
        return f"{self.account_name} {self.at} {'ok' if self.ok else self.why}"


class SignInSession(models.Model):
    """An account signed in on a device. Ended here, its authority is gone with the next request, whatever the cookie says."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("kernel.Account", on_delete=models.PROTECT, related_name="sessions")
    address = models.CharField(max_length=45, blank=True)
    device = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    step_up_at = models.DateTimeField(null=True, help_text="when the second factor was given")
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=24, blank=True, help_text="signed_out, ended, changed_person, password, inactive")

    class Meta:
        indexes = [models.Index(fields=["account", "started_at"], name="session_account")]

    def __str__(self) -> str:
        return f"{self.account_id} {self.started_at}"


class TwoPersonRequest(Row):
    """An act of power that one natural person asks for and another confirms: accounts, grants, second-factor resets."""

    OPEN, CONFIRMED, REFUSED, WITHDRAWN = "open", "confirmed", "refused", "withdrawn"
    kind = models.CharField(max_length=32, help_text="account, assignment, grant, revoke, factor_reset, password_reset")
    payload = models.JSONField(help_text="arguments of the act; no secret ever")
    reason = models.CharField(max_length=300)
    state = models.CharField(max_length=10, default=OPEN)
    requested_by = models.ForeignKey("kernel.Person", on_delete=models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    confirmed_by = models.ForeignKey("kernel.Person", null=True, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(null=True)
    answer = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["state", "requested_at"], name="two_person_open")]
        constraints = [
            models.CheckConstraint(condition=models.Q(confirmed_by=None) | ~models.Q(requested_by=models.F("confirmed_by")), name="two_natural_persons"),
            models.CheckConstraint(condition=~models.Q(state="confirmed") | models.Q(confirmed_by__isnull=False), name="confirmed_by_somebody"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.state}"
