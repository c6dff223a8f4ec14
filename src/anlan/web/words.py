"""One sentence for every fact, for the timeline, the journal and "why". Only this room knows them all."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

WORDS: dict[str, Any] = {
    # what was measured
    "sensing.ReadingsAccepted": _("{count} readings came in, {late} of them late"),
    "sensing.SignalChanged": _("{name}: {quantity} {value} {unit}, from {old} to {new}"),
    "sensing.SignalRevised": _("{name}, {quantity}: {said} was said at once, {true} was true once all readings were in"),
    "sensing.MaintenanceSet": _("{name} is worked on: {reason}"),
    "sensing.GaugesCompared": _("Rain gauges compared with their neighbours; doubted now: {doubted}; believed again: {cleared}"),
    "sensing.ProbeLost": _("The platform's own probe reading does not come back"),
    "sensing.ProbeBack": _("The platform's own probe reading comes back again"),
    "sensing.ReadingDoubted": _("{name}: {quantity} {value} {unit} is not believed ({stands}; if true {would})"),
    "sensing.DoubtAnswered": _("{name}: the doubted readings were answered, {reason}"),
    "sensing.GaugeSilent": _("{name} has fallen silent (last {last_value} {unit})"),
    "sensing.GaugeHeard": _("{name} reports again: {quantity} {value} {unit}"),
    "sensing.ReadingsErased": _("{count} readings older than the installation keeps were erased"),
    "sensing.ReadingsExported": _("{count} readings were written to a file"),
    "sensing.ReadingsImported": _("{readings} readings were taken from {file} by mapping {mapping} {label}, {history} of them as history; {refused} lines refused"),
    "sensing.StationChanged": _("Station {code} was changed in the register"),
    "sensing.StationsImported": _("{count} stations were entered from {origin}"),
    "sensing.SourceChanged": _("Source of readings {name} was changed"),
    "sensing.RulesAdopted": _("Rules {name} {label} are in force"),
    # warnings
    "warning.ProposalMade": _("Warning proposed for {region}: {hazard}, {colour}"),
    "warning.ProposalRevised": _("{name}: {said} was said, {true} was true; the warning proposal for {region} ({hazard}) rests on it"),
    "warning.ProposalClosed": _("Warning proposal closed: {outcome} {reason}"),
    "warning.AlertComposed": _("Draft written: {hazard}, {colour}, for {regions}"),
    "warning.ApprovalVoided": _("An edit voided the approval"),
    "warning.AlertSubmitted": _("The draft was put to a second person"),
    "warning.AlertReturned": _("The draft was sent back or dropped: {reason}"),
    "warning.AlertApproved": _("{approver} approved the text"),
    "warning.AlertIssued": _("{alert_kind} issued: {hazard}, {colour}, for {regions}"),
    "warning.WarningEnded": _("Warning no longer in force: {hazard}, {colour}, for {regions}"),
    "warning.AlertCancelled": _("Warning cancelled: {reason}"),
    "warning.OutsideWarningReceived": _("{issuer_name}: {hazard}, {colour}, for {regions}"),
    "warning.OutsideMessageNoted": _("A message that warns of nothing real came in"),
    "warning.OutsideMessageRefused": _("A message from {source} could not be used: {reason}"),
    "warning.DeliveryFinished": _("{channel}: delivery finished, {counts}"),
    "warning.DeliveryAsked": _("Delivery asked for again"),
    "warning.AlertAcknowledged": _("{post} has seen the alert"),
    "warning.ChannelChanged": _("Channel {channel}: {change}"),
    "warning.ChannelTested": _("Channel {channel} was tested"),
    "warning.IssuerTableChanged": _("The table of issuers {label} is in force"),
    # plans
    "plans.PlanVersionAdded": _("Plan {key}, version {number}, came in"),
    "plans.PlanAdopted": _("Plan adopted at {region}: {plan}"),
    "plans.AdoptionEnded": _("Plan no longer applies at {region}: {reason}"),
    "plans.TermStated": _("Stated: {term} {value} {unit} ({source})"),
    "plans.TermRefused": _("Report not usable for the plans: {term} {value}: {why}"),
    "plans.ConditionMet": _("Condition met: clause {clause}"),
    "plans.ConditionEnded": _("Condition no longer met: clause {clause}"),
    "plans.ConditionUnknown": _("Cannot tell, a person is asked: clause {clause}"),
    "plans.LevelProposed": _("Level {level} proposed for {place}, by {clauses}"),
    "plans.ProposalApproved": _("Proposal approved: level {level}"),
    "plans.ProposalRefused": _("Proposal refused: {reason}"),
    "plans.ProposalOvertaken": _("Proposal overtaken by a later one"),
    # exchange
    "exchange.MessagesTakenIn": _("{received} messages taken in from {source}, {refused} refused"),
    "exchange.SourceChanged": _("A link to another system was changed: {change}"),
    "exchange.FeedFailed": _("Feed {name} cannot be read: {cause}"),
    "exchange.FeedRecovered": _("Feed {name} can be read again"),
    "exchange.AlertSigned": _("The alert was signed for the feed"),
    # demonstration and replays
    "demo.CityLoaded": _("The made-up city was loaded"),
    "demo.EventLoaded": _("Places and gauges of {event} were loaded"),
    "demo.RecordStated": _("On record: {text}"),
    "demo.SignInsGiven": _("Demonstration accounts were given sign-ins"),
    # the house
    "kernel.PayloadErased": _("Personal data were erased: {legal_basis}"),
    "kernel.RealmStarted": _("Exercise begun: {name}"),
    "kernel.RealmEnded": _("Exercise stopped: {name} ({reason})"),
    "kernel.WorkOpened": _("Waits for {post}"),
    "kernel.WorkClosed": _("No longer waits: {outcome}"),
    "kernel.WorkEscalated": _("No answer from {from_post}: now waits for {to_post}"),
    "kernel.WorkUnanswered": _("No answer from {post}, and nobody further up"),
    "kernel.WorkSeen": _("A red item was acknowledged"),
    "kernel.OrderIssued": _("Order to {post}: {text}"),
    "kernel.OrderDelivered": _("The order reached a device of the post"),
    "kernel.OrderRead": _("The order was read"),
    "kernel.OrderAccepted": _("The order was accepted"),
    "kernel.OrderProgressed": _("Progress on the order: {percent} % {text}"),
    "kernel.OrderDone": _("The order is done: {text}"),
    "kernel.OrderRefused": _("The order was refused: {reason}"),
    "kernel.OrderWithdrawn": _("The order was withdrawn: {reason}"),
    "kernel.OrderReminded": _("The post was reminded of the order"),
    "kernel.OrderEscalated": _("The order stayed unanswered and went to {to_post}"),
    "kernel.OrderOverdue": _("The order is past its deadline"),
    "kernel.ReactionParked": _("A reaction failed and waits for a person: {reaction}"),
    "kernel.ParkedDecided": _("A stuck reaction was decided about: {reaction} ({outcome}) {reason}"),
    "kernel.DutyCalled": _("No answer yet: {person} is called for {post}"),
    "kernel.BalancesCopied": _("Copied into the exercise: {count} rows ({what})"),
    "kernel.PersonalErased": _("Personal data erased, their time is over ({basis})"),
    "kernel.HeadTaken": _("Head of the journal taken at fact {number}"),
    "kernel.HeadExported": _("Head of the journal at fact {number} has left the house: {where}"),
    "kernel.AccountLocked": _("An account was locked after failed tries"),
    "kernel.PasswordChanged": _("A password was changed"),
    "kernel.PinSet": _("A PIN was set for the shared duty computer"),
    "kernel.SecondFactorEnrolled": _("An authenticator was bound"),
    "kernel.SessionEnded": _("A session was ended from another device"),
    "kernel.PersonChanged": _("The duty computer passed from {before} to {after}"),
    "kernel.TwoPersonAsked": _("An act of power waits for a second person: {reason}"),
    "kernel.TwoPersonAnswered": _("A second person answered: {state}"),
    "kernel.AccountCreated": _("An account was made for {person}"),
    "kernel.AccountClosed": _("An account was closed"),
    "kernel.SecondFactorReset": _("A second factor was reset"),
    "kernel.Assigned": _("{person} holds the post {post}"),
    "kernel.AssignmentEnded": _("{person} no longer holds the post {post}"),
    "kernel.Granted": _("{post} was granted {capability}"),
    "kernel.GrantEnded": _("The grant {capability} of {post} ended"),
    "kernel.PartyChanged": _("The register of organisations, posts and persons was changed"),
    "kernel.PlacesImported": _("Regions were imported: {new} new, {changed} changed"),
    "kernel.CodesLoaded": _("Code list {list} {label} was loaded"),
    "kernel.RosterChanged": _("Roster changed: {person}, {post}"),
    "kernel.RosterImported": _("Roster imported: {new} new, {changed} changed"),
    "kernel.SwapAsked": _("{asked_of} is asked to take over a duty"),
    "kernel.SwapAnswered": _("Swap of duty: {state}"),
    "kernel.ShiftNoted": _("Shift log: {text}"),
    "kernel.HandOverWritten": _("A hand-over was written with {items} open items"),
    "kernel.HandOverSigned": _("{person} signed the hand-over"),
    "kernel.ContactVerified": _("The contact data of {person} were checked"),
    "kernel.NumberShown": _("A masked number was shown: {purpose}"),
    "kernel.FileAttached": _("A file was attached"),
    "kernel.FileRemoved": _("A file was taken off"),
    "kernel.ChannelsHeld": _("All outward channels are held: {why}"),
    "kernel.ChannelsReleased": _("The outward channels may send again"),
    # the desk
    "web.NoDeskLive": _("No duty desk is live; {person} is called"),
    "web.PersonCalled": _("{person} was called by {channel} {error}"),
    "web.DeskLive": _("A duty desk is live again"),
    "web.SoundTested": _("The sound of a desk was tested"),
}


def _hazard(code: Any) -> str:
    from anlan.kernel import codes

    return codes.name("hazard", str(code))


def _quantity(code: Any) -> str:
    from anlan.sensing.quantities import QUANTITIES

    return str(QUANTITIES[code].name) if code in QUANTITIES else str(code)


def _term(code: Any) -> str:
    from anlan.plans.vocabulary import in_words, vocabulary

    try:
        return in_words(vocabulary()[code].label)
    except KeyError:
        return str(code)


def _alert_kind(code: Any) -> str:
    from anlan.warning.models import Alert

    return str(dict(Alert.KINDS).get(code, code))


OUTCOMES: dict[str, Any] = {
    "done": _("done"), "overtaken": _("overtaken"), "issued": _("issued"), "dismissed": _("dismissed"), "faded": _("signals went back"), "taken": _("taken up"),
    "approved": _("approved"), "refused": _("refused"), "expired": _("expired"), "cancelled": _("cancelled"), "updated": _("replaced"), "confirmed": _("confirmed"),
    "accepted": _("accepted"), "asked": _("asked"), "withdrawn": _("withdrawn"), "desk is live": _("a desk is live"), "answered": _("answered"),
    "retried": _("run again"), "given_up": _("given up"),
}
COPIED: dict[str, Any] = {"rosters": _("rosters")}  # what an exercise starts from


def _outcome(code: Any) -> str:
    return str(OUTCOMES.get(str(code), code))


def furnish(shell: Any) -> None:
    shell.words_for(WORDS)
    shell.values_for({"hazard": _hazard, "quantity": _quantity, "term": _term, "alert_kind": _alert_kind, "outcome": _outcome, "state": _outcome, "what": lambda code: str(COPIED.get(str(code), code))})
