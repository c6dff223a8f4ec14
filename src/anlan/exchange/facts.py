"""What exchange says to the others."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.journal import fact


@fact("exchange.MessagesTakenIn")
class MessagesTakenIn:
    """A document from outside was read: how many messages were new, known already, or refused, and the document's digest (sha256)."""

    source: str
    kind: str
    received: int
    duplicates: int
    refused: int
    digest: str


@fact("exchange.SourceChanged")
class SourceChanged:
    """A link to another system was added, changed, or switched."""

    source: UUID
    change: str


@fact("exchange.FeedFailed")
class FeedFailed:
    """A feed that could be read until now cannot be read any more."""

    source: UUID
    name: str
    cause: str


@fact("exchange.FeedRecovered")
class FeedRecovered:
    """A feed that had failed can be read again."""

    source: UUID
    name: str


@fact("exchange.FeedSilent")
class FeedSilent:
    """A feed has said nothing new for longer than it may, however well it answers."""

    source: UUID
    name: str
    minutes: int


@fact("exchange.FeedHeard")
class FeedHeard:
    """A feed that had been silent said something new."""

    source: UUID
    name: str


@fact("exchange.AlertSigned")
class AlertSigned:
    """The CAP message of an issued alert was signed for the feed."""

    alert: UUID
    algorithm: str
    key_id: str


@fact("exchange.SigningKeyChanged")
class SigningKeyChanged:
    """Two persons chose another key to sign our CAP messages with; fingerprints of the certificates."""

    key_id: str
    before: str
    asked_by: UUID
    confirmed_by: UUID


@fact("exchange.PagePublished")
class PagePublished:
    """Somebody at the machine had the public page written by hand; digest of its index (sha256). The page's own writing follows other facts and is none."""

    version: str
    digest: str
    by: str
