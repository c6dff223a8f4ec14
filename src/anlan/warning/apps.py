"""Warning's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

# Coded values of our facts, as words.
OUTCOMES = {
    "taken": _("taken up"), "dismissed": _("dismissed"), "faded": _("faded"), "updated": _("replaced"), "cancelled": _("cancelled"), "expired": _("expired"),
    "refused": _("refused"), "revoked": _("revoked"),
}
CHANGES = {"added": _("added"), "changed": _("changed"), "confirmed": _("confirmed by a second person"), "off": _("switched off"), "removed": _("taken off the list"), "restored": _("put back on the list")}
ATTEMPTS = {
    "sent": _("sent"), "delivered": _("delivered"), "failed": _("failed"), "refused": _("refused by the gate"), "unsure": _("not known whether sent"),
}


class WarningConfig(AppConfig):
    name = "anlan.warning"
    label = "warning"
    verbose_name = "Warning"

    def ready(self) -> None:
        from anlan.kernel import access, daily, search, shell, subjects

        from . import checks, errors, facts  # noqa: F401

        daily.chore("warning.forget_targets", "anlan.warning.delivery.forget_targets")
        access.declare("warning.read", _("See warnings of the region"))
        access.declare("warning.compose", _("Write and submit warnings"))
        access.declare("warning.enter", _("Take down outside warnings"))
        access.declare("warning.issue_internal", _("Issue internal prompts and call-downs"))
        access.declare("warning.approve", _("Approve public warnings as the second person"), second_factor=True)
        access.declare("warning.issue", _("Issue warnings to the public"), second_factor=True)
        access.declare("warning.channels", _("Manage warning channels and the table of issuers"), second_factor=True, placeless=True)
        subjects.register("alert", "warning.Alert", "warning:alert", _("Alert"))
        subjects.register("warning_proposal", "warning.Proposal", "warning:proposal", _("Warning proposal"))
        subjects.register("standing", "warning.Standing", "warning:standing", _("Standing authorisation"))
        subjects.register("original", "warning.Original", "warning:original", _("Message from outside"))
        subjects.register("channel", "warning.Channel", "warning:channel", _("Channel"))
        subjects.register("issuer_table", "warning.IssuerTable", "warning:issuer_version", _("Table of issuers"))
        search.register("alert", "warning.Alert", lambda row: (row.headline or row.event, row.issuer_name, row.area_text[:200]), capability="warning.read")
        from anlan.kernel import shift

        from . import hazards, queries

        shift.lists_open(queries.open_for_hand_over)

        shell.values_for({
            "hazard": hazards.name, "outcome": lambda value: OUTCOMES.get(value, value), "change": lambda value: CHANGES.get(value, value),
            "counts": lambda value: ", ".join(f"{ATTEMPTS.get(state, state)} {count}" for state, count in value.items()) if isinstance(value, dict) else value,
        })
        shell.words_for({
            "warning.ModelSpoke": _("Model {model} {version} says: {hazard}, {colour}"),
            "warning.ProposalMade": _("Signals of {hazard} in {place}, {colour}: a warning is proposed"),
            "warning.ProposalClosed": _("Warning proposal {outcome}: {reason}"),
            "warning.AlertComposed": _("Draft written: {subject}"),
            "warning.AreaDrawn": _("The area was drawn: {text}, {km2} km²"),
            "warning.ApprovalVoided": _("Edited after approval; the approval no longer holds"),
            "warning.AlertSubmitted": _("Put to a second person: {subject}"),
            "warning.AlertReturned": _("Sent back: {reason}"),
            "warning.AlertApproved": _("Approved by a second person: {subject}"),
            "warning.AlertIssued": _("Issued, {colour}: {subject}"),
            "warning.WarningEnded": _("No longer in force ({outcome}): {subject}"),
            "warning.AlertCancelled": _("Cancelled: {subject}. {reason}"),
            "warning.OutsideWarningReceived": _("{issuer_name} warns, {colour}: {subject}"),
            "warning.OutsideMessageNoted": _("A message that warns of nothing real came in ({status}, {msg_type})"),
            "warning.OutsideMessageRefused": _("A message from {source} could not be used: {reason}"),
            "warning.DeliveryAsked": _("What still waits is sent now"),
            "warning.DeliveryQueued": _("One channel was given {targets} targets"),
            "warning.DeliveryPassedOn": _("What one channel did not bring to {missing} targets went to the next, or to a person who calls"),
            "warning.PlaceTold": _("A place was told by voice and confirmed it"),
            "warning.ChannelSilent": _("Channel {name} gives no sign of life"),
            "warning.ChannelHeard": _("Channel {name} reports again"),
            "warning.TonesSounded": _("A test tone was asked of {devices} devices"),
            "warning.AlertAcknowledged": _("{post} confirmed the alert"),
            "warning.StandingAsked": _("Standing authorisation put forward: {subject}"),
            "warning.StandingConfirmed": _("Standing authorisation in force, given by two persons: {subject}"),
            "warning.StandingUsed": _("Independent sources agree: the public is warned by standing authorisation"),
            "warning.StandingEnded": _("Standing authorisation {outcome}: {reason}"),
            "warning.ChannelChanged": _("Channel {subject}: {change}"),
            "warning.ChannelTested": _("Channel {subject} was tested"),
            "warning.IssuerTableAsked": _("Another table of issuers put forward or refused: {label}"),
            "warning.IssuerTableChanged": _("The table of issuers is now {label}"),
        })
