"""What warning says to the others. Regions are lists of region keys as text; colours are red, orange, yellow, blue or empty."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from anlan.kernel.journal import fact, upcaster


@fact("warning.ProposalMade")
class ProposalMade:
    """Signals in an area became a proposal, or the colour of an open proposal rose."""

    proposal: UUID
    hazard: str
    colour: str
    kind: str
    region: UUID


@fact("warning.ModelSpoke")
class ModelSpoke:
    """A model said that a hazard threatens these regions, from when to when; `inputs` is what it was made from, `footprint` a digest (sha256) of its area."""

    model: str
    version: str
    hazard: str
    colour: str
    regions: list
    valid_from: datetime | None
    valid_to: datetime | None
    inputs: dict
    footprint: str


@fact("warning.ProposalRevised")
class ProposalRevised:
    """A late reading showed that a signal on which a proposal rests was not so: what was said of it, and what was true."""

    proposal: UUID
    region: UUID
    hazard: str
    name: str
    said: str
    true: str


@fact("warning.ProposalClosed")
class ProposalClosed:
    """A proposal was taken up, dismissed with a reason, or faded because every signal went back to normal."""

    proposal: UUID
    outcome: str
    reason: str


@fact("warning.AlertComposed")
class AlertComposed:
    """A person or a rule wrote a draft, or an edit changed its content."""

    alert: UUID
    kind: str
    hazard: str
    colour: str
    regions: list
    content_hash: str


@fact("warning.AreaDrawn")
class AreaDrawn:
    """The area of a draft was drawn, or drawn anew: an outline, a circle, a river's reach with a distance on both sides, a model's footprint."""

    alert: UUID
    shape: str
    text: str
    km2: float
    digest: str


@fact("warning.ApprovalVoided")
class ApprovalVoided:
    """An edit changed content that was approved; the approval no longer holds."""

    alert: UUID
    approver: UUID
    approved_hash: str


@fact("warning.AlertSubmitted")
class AlertSubmitted:
    """A draft was put to a second person."""

    alert: UUID
    content_hash: str


@fact("warning.AlertReturned")
class AlertReturned:
    """The second person sent a draft back, or the author dropped it, with a reason."""

    alert: UUID
    state: str
    reason: str


@fact("warning.AlertApproved")
class AlertApproved:
    """A second natural person approved exactly this content."""

    alert: UUID
    author: UUID
    approver: UUID
    content_hash: str


@fact("warning.AlertIssued")
class AlertIssued:
    """A person let an alert go out: an internal prompt, a call-down, a relay or a government warning."""

    alert: UUID
    kind: str
    hazard: str
    colour: str
    regions: list
    msg_type: str
    audience: str
    sent: datetime
    content_hash: str
    predecessor: str


@fact("warning.WarningEnded")
class WarningEnded:
    """A warning, ours or an outside one, is no longer in force: cancelled, expired, or replaced by an update."""

    alert: UUID
    kind: str
    hazard: str
    colour: str
    regions: list
    outcome: str
    reason: str


@fact("warning.AlertCancelled")
class AlertCancelled:
    """A person cancelled an alert of ours that was in force."""

    alert: UUID
    by: UUID
    reason: str


@fact("warning.OutsideWarningReceived")
class OutsideWarningReceived:
    """A real warning of another issuer came in, by feed, file, API, or entered by hand from a call, fax or chat."""

    alert: UUID
    issuer: str
    issuer_name: str
    hazard: str
    colour: str
    regions: list
    sent: datetime
    msg_type: str
    heard_by: str


@fact("warning.OutsideMessageNoted")
class OutsideMessageNoted:
    """A message came in that warns of nothing real: an exercise, a test, an acknowledgement, or one already over."""

    alert: UUID
    status: str
    msg_type: str


@fact("warning.OutsideMessageRefused")
class OutsideMessageRefused:
    """A message from outside could not be used; it is kept with the reason, and a person is asked."""

    original: UUID
    source: str
    reason: str


@fact("warning.DeliveryFinished", version=2)
class DeliveryFinished:
    """Every target of one channel was tried, or more receipts came; counts by state of the last tries.

    `digest` is a sum (sha256sum) that needs no order over every attempt up to `until` and every receipt up to `heard_until`: what `anlan cap prove` holds the rows against.
    """

    alert: UUID
    channel: UUID
    counts: dict
    attempts: int
    receipts: int
    until: str
    heard_until: str
    digest: str


@upcaster("warning.DeliveryFinished", from_version=1)
def _finished_without_receipts(payload: dict[str, Any]) -> dict[str, Any]:
    """Its digest was over numbers, and nobody could check it from a bundle that masks them."""
    return {**payload, "attempts": 0, "receipts": 0, "until": "", "heard_until": "", "digest": ""}


@fact("warning.DeliveryQueued")
class DeliveryQueued:
    """A channel was given so many targets; `digest` is a sum over them that needs no order (sha256sum)."""

    alert: UUID
    channel: UUID
    targets: int
    digest: str


@fact("warning.DeliveryPassedOn")
class DeliveryPassedOn:
    """What one channel did not bring went to the next, or, where there is none, to a person who calls (`to` is empty)."""

    alert: UUID
    channel: UUID
    to: str
    missing: int
    silent: bool


@fact("warning.PlaceTold")
class PlaceTold:
    """A person told a place by voice; the receipt says who confirmed it there."""

    alert: UUID
    region: UUID


@fact("warning.ChannelSilent")
class ChannelSilent:
    """A channel that reports by itself has given no sign of life for longer than it may."""

    channel: UUID
    name: str
    heard_at: str


@fact("warning.ChannelHeard")
class ChannelHeard:
    """A channel that had been silent reports again."""

    channel: UUID
    name: str


@fact("warning.TonesSounded")
class TonesSounded:
    """A test tone was asked of the devices of a channel; what each answers is a row."""

    channel: UUID
    devices: int


@fact("warning.DeliveryAsked")
class DeliveryAsked:
    """What still waits, or failed for the moment, is to be sent now."""

    alert: UUID


@fact("warning.AlertAcknowledged")
class AlertAcknowledged:
    """A person at a post confirmed having seen an alert."""

    alert: UUID
    post: UUID


@fact("warning.ChannelChanged")
class ChannelChanged:
    """A channel was added, changed, confirmed by a second person, switched on or off."""

    channel: UUID
    change: str


@fact("warning.ChannelTested")
class ChannelTested:
    """A test message was sent by a test channel."""

    channel: UUID
    ok: bool
    error: str


@fact("warning.IssuerTableAsked")
class IssuerTableAsked:
    """A person put another version of the issuer table forward, or a second person refused it, with the reason."""

    table: UUID
    label: str
    digest: str
    refused: bool
    reason: str


@fact("warning.IssuerTableChanged")
class IssuerTableChanged:
    """Another version of the issuer table came into force, asked for by one person and confirmed by another."""

    table: UUID
    label: str
    digest: str


@fact("warning.StandingAsked")
class StandingAsked:
    """A person put a standing authorisation forward: a public warning in these words, when so many independent sources agree."""

    standing: UUID
    hazard: str
    colour: str
    region: UUID
    least: int
    expires: datetime
    digest: str


@fact("warning.StandingConfirmed")
class StandingConfirmed:
    """A second natural person put a standing authorisation in force, for exactly the words and terms of `digest`."""

    standing: UUID
    asked_by: UUID
    confirmed_by: UUID
    digest: str
    expires: datetime


@fact("warning.StandingUsed")
class StandingUsed:
    """Enough independent, unflagged sources agreed: the public was warned under a standing authorisation, without a hand."""

    standing: UUID
    alert: UUID
    sources: list


@fact("warning.StandingEnded")
class StandingEnded:
    """A standing authorisation was refused or revoked by a person, or its time was over."""

    standing: UUID
    outcome: str
    reason: str
