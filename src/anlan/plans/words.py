"""Sentences for this room's facts, and the words of states."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

FACT_WORDS: dict[str, Any] = {
    "plans.PlanVersionAdded": _("Version {number} of plan {key} added"),
    "plans.PlanAdopted": _("{subject} in force"),
    "plans.AdoptionEnded": _("{subject} ended: {reason}"),
    "plans.TermStated": _("Stated: {term} = {value} {unit} ({source})"),
    "plans.TermRefused": _("Reported value could not be used by the plans: {why}"),
    "plans.ConditionMet": _("Condition {condition} (clause {clause}) is met"),
    "plans.ConditionEnded": _("Condition {condition} (clause {clause}) is no longer met"),
    "plans.ConditionUnknown": _("Condition {condition} (clause {clause}): cannot tell, a person is asked"),
    "plans.LevelProposed": _("Proposed for {place}: {level}, clause {clauses}"),
    "plans.ProposalApproved": _("Proposal approved: {level}"),
    "plans.ProposalRefused": _("Proposal refused: {level}. {reason}"),
    "plans.ProposalOvertaken": _("Proposal overtaken: {level}"),
    "plans.ProposalGroundless": _("What the proposal of {level} rested on is no longer met"),
    "plans.ProposalGrounded": _("What the proposal of {level} rests on is met again"),
    "plans.ProposalLapsed": _("Proposal of {level} lapsed: its conditions stayed unmet and nobody had answered"),
}
VERDICTS = {"met": _("Met"), "not_met": _("Not met"), "cannot_tell": _("Cannot tell"), "": _("Not judged")}
STATES = {
    "open": _("Waits for an answer"), "approved": _("Approved"), "refused": _("Refused"), "overtaken": _("Overtaken"), "lapsed": _("Lapsed"), "answered": _("Answered"),
}
SOURCES = {
    "machine": _("measured"), "warning": _("counted from warnings"), "response": _("counted from responses"), "forecast": _("forecast, stated by a person"),
    "reported": _("reported by a person"),
}
KINDS = {"gauge": _("Station"), "region": _("Region"), "site": _("Site")}
ORIGINS = {"default": _("comes with Anlan"), "own": _("own")}
# Sentences of work items: stored in English, shown translated.
WORK = (
    gettext_noop("{level} proposed for {place}: {reason}"),
    gettext_noop("Measure for {place}: {level}. {reason}"),
    gettext_noop("{level} was proposed for {place}, but its conditions are no longer met: answer, or it lapses at {until}"),
    gettext_noop("{level} for {place} lapsed unanswered at {until}: its conditions had fallen away. Take note."),
    gettext_noop("Cannot tell whether “{plan}” applies. Please state: {term}, {where}"),
)
