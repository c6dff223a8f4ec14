"""The nouns of exchange: links to other systems, what their polling gave, and our signed messages."""
from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from anlan.kernel.models import RealmRow, Row, SameRealm


class FeedSource(Row):
    """Where warnings come from: an address we poll, or a system that pushes with a credential of its own."""

    POLL, PUSH = "poll", "push"
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=4, default=POLL, choices=[(POLL, _("we fetch")), (PUSH, _("they send"))])
    url = models.URLField(max_length=500, blank=True)
    hosts = models.JSONField(default=list, help_text="further hosts its entries may lead to")
    mode = models.CharField(max_length=7, default="lenient", choices=[("lenient", _("repair what can be repaired")), ("strict", _("valid messages only"))])
    issuer = models.CharField(max_length=40, default="other", help_text="code of the issuer table")
    issuer_name = models.CharField(max_length=200, blank=True)
    certificate = models.TextField(blank=True, help_text="PEM: the certificate its signatures are checked with")
    token_hash = models.CharField(max_length=80, blank=True, help_text="algorithm:hex of the credential it pushes with; never the credential")
    interval_s = models.PositiveIntegerField(default=300)
    enabled = models.BooleanField(default=True)
    added_by = models.UUIDField(null=True)
    # What the last polls gave. Wall time: polling has nothing to do with a realm's clock.
    etag = models.CharField(max_length=200, blank=True)
    last_modified = models.CharField(max_length=80, blank=True)
    next_at = models.DateTimeField(null=True)
    last_ok_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, help_text="in a row")
    # An answer is not a word: a feed that is served but never written looks healthy and says nothing.
    silent_after_min = models.PositiveIntegerField(null=True, help_text="minutes without a new message of any kind; empty: it may be silent")
    last_new_at = models.DateTimeField(null=True, help_text="when it last said something new, a test or a refused message too")
    silent_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token_hash"], condition=~Q(token_hash=""), name="feed_token_once")]

    def __str__(self) -> str:
        return self.name


class FeedEntry(models.Model):
    """An entry of a feed whose alert was fetched already: not fetched again while it does not change."""

    source = models.ForeignKey(FeedSource, on_delete=models.CASCADE, related_name="entries")
    key = models.CharField(max_length=64, help_text="sha256 of entry id, date and link")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="feed_entry_once")]

    def __str__(self) -> str:
        return self.key[:12]


class FeedLog(models.Model):
    """One poll or push: what came of it, and when it failed, the cause and what to do."""

    source = models.ForeignKey(FeedSource, on_delete=models.CASCADE, related_name="logs")
    at = models.DateTimeField()
    ok = models.BooleanField()
    unchanged = models.BooleanField(default=False)
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP")
    received = models.PositiveIntegerField(default=0)
    duplicates = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    cause = models.TextField(blank=True)
    code = models.CharField(max_length=20, blank=True, help_text="key of the remedy")

    class Meta:
        indexes = [models.Index(fields=["source", "-at"], name="feedlog_list")]

    def __str__(self) -> str:
        return f"{self.source_id} {self.at} {'ok' if self.ok else self.cause[:40]}"


class SignedAlert(RealmRow):
    """The message as it stands in our feed: signed once, the same bytes for every reader."""

    SCOPE = "warning.read"
    OPEN_WITHOUT_REGION = True
    alert = models.OneToOneField("warning.Alert", on_delete=models.PROTECT, related_name="signed")
    xml = models.BinaryField()
    algorithm = models.CharField(max_length=40, blank=True, help_text="empty: another issuer's message, passed on unchanged")
    key_id = models.CharField(max_length=64, blank=True)
    signed_at = models.DateTimeField()

    class Meta:
        constraints = [SameRealm("alert", name="signedalert_same_realm", to="warning_alert")]

    def __str__(self) -> str:
        return str(self.alert_id)
