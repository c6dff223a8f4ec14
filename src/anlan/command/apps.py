"""Command's Django app."""
from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CommandConfig(AppConfig):
    name = "anlan.command"
    label = "command"
    verbose_name = "Command"

    def ready(self) -> None:
        from anlan.kernel import access, search, shell, subjects

        from . import errors, facts  # noqa: F401

        access.declare("command.read", _("See reports, incidents and responses of the region"))
        access.declare("command.take_report", _("Take down reports and observed facts"))
        access.declare("command.incident", _("Open and close incidents"))
        access.declare("command.instruct", _("Record leaders' instructions"))
        access.declare("command.approve", _("Approve, refuse, change and end responses"), second_factor=True)
        access.declare("command.record", _("Record a decision given by telephone"), second_factor=True)
        access.declare("command.report", _("Make situation reports and notices"))
        access.declare("command.drill", _("Plan, script, hold and evaluate drills"), machine=False)
        subjects.register("inject", "command.Inject", "command:inject", _("Drill message"))
        subjects.register("incident", "command.Incident", "command:incident", _("Incident"))
        subjects.register("report", "command.Report", "command:report", _("Report"))
        subjects.register("observed", "command.ObservedFact", "", _("Observed fact"))
        subjects.register("instruction", "command.Instruction", "command:instructions", _("Leader's instruction"))
        subjects.register("response", "command.Response", "command:response", _("Response"))
        subjects.register("decision", "command.Decision", "command:confirm", _("Decision"))
        subjects.register("document", "command.Document", "command:document", _("Document"))
        subjects.register("review", "command.Review", "command:review", _("Review"))
        subjects.register("gap", "command.Gap", "command:gap", _("Gap"))
        search.register("incident", "command.Incident", lambda row: (row.title, row.place, ""), capability="command.read")
        shell.words_for({
            "command.ReportTaken": _("Report taken: {subject}"),
            "command.ReportPassedOn": _("Report passed on to the level above: {subject}"),
            "command.ReportAttached": _("Report attached to {incident}"),
            "command.ReportsMerged": _("Reports merged: {reason}"),
            "command.ReportLate": _("A time limit of reporting ran out ({limit})"),
            "command.InstructionRecorded": _("Instruction of {leader}: {text}"),
            "command.FactObserved": _("Observed: {term} at {place} = {value} {unit} ({source})"),
            "command.IncidentOpened": _("Incident opened: {title}"),
            "command.IncidentClosed": _("Incident closed: {reason}"),
            "command.ResponseApproved": _("Level {level} approved, {orders} orders given"),
            "command.ResponseRefused": _("Level {level} refused: {reason}"),
            "command.ResponseLevelChanged": _("Level changed from {before} to {level}: {reason}"),
            "command.ResponseEnded": _("Response ended: {reason}"),
            "command.DecisionConfirmed": _("The decision given by telephone was confirmed"),
            "command.DecisionDenied": _("The decision given by telephone was denied: {reason}"),
            "command.SituationReported": _("Document made: {number}"),
            "command.GapClosed": _("Gap of a review closed: {changed}"),
            "command.DrillScripted": _("Script of drill {subject} written"),
            "command.DrillBegun": _("Drill {subject} began"),
            "command.InjectTold": _("Told in the drill: {text}"),
            "command.DrillEnded": _("Drill {subject} ended"),
            "command.DrillScored": _("Drill {subject} scored by an observer"),
            "command.DrillEvaluated": _("Drill {subject} evaluated: {total} of 100, {late} steps late, {findings} findings"),
            "command.ReviewWritten": _("First review written: {late} of {steps} steps late"),
        })
