"""Sentences for this room's facts, and the words of states."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy

from .vocabulary import qualifier_words

FACT_WORDS: dict[str, Any] = {
    "plans.PlanVersionAdded": _("Version {number} of plan {key} added"),
    "plans.PlanDrafted": _("“{subject}” read into a draft: {conditions} conditions and {actions} actions wait for a person"),
    "plans.DraftItemDecided": _("“{subject}”, clause {clause}: {item_state}"),
    "plans.DraftItemSplit": _("“{subject}”, clause {clause}: an item split in two"),
    "plans.DraftItemsJoined": _("“{subject}”, clause {clause}: an item joined to the one before it"),
    "plans.DraftPublished": _("“{subject}” became a plan: {confirmed} items confirmed, {people} for people only, {dropped} left out"),
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
    "open": _("Waits for an answer"), "approved": _("Approved"), "refused": pgettext_lazy("proposal", "Refused"), "overtaken": _("Overtaken"), "lapsed": _("Lapsed"), "answered": _("Answered"),
}
ITEM_STATES = {"open": _("Waits to be confirmed"), "confirmed": pgettext_lazy("draft", "Confirmed"), "people": _("For people only"), "dropped": pgettext_lazy("draft", "Left out")}
ITEM_KINDS = {"condition": _("Condition"), "action": _("Action")}
DRAFT_STATES = {"open": _("Being confirmed"), "published": _("Published"), "dropped": _("Dropped")}
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
# What lint finds, said with the values of the finding.
FINDINGS: dict[str, Any] = {
    "level_only_by_person": _("Level {where}: no condition a machine can judge; only a person starts it"),
    "level_without_action": _("Level {where} orders nothing: no action stands under it"),
    "level_nobody_signs": _("Level {where}: nobody may sign it"),
    "levels_overlap": _("{where}: {term} reaches levels {lower} and {higher} at the same number, {value}: {lower} can never stand alone"),
    "levels_upside_down": _("{where}: {term} reaches level {higher} at {higher_value}, before level {lower} at {lower_value}"),
    "level_left_out": _("{where}: {term} counts for levels {lower} and {higher} but not for {missing} between them"),
    "gap_between_levels": _("{term}: from {from} to {to} neither level {lower} nor level {higher} holds"),
    "term_used_two_ways": _("{term} counts both from above and from below"),
    "actions_without_deadline": _("Level {where}: {count} of {of} actions have no time limit: {actions}"),
    "post_without_part": _("Post {where} has no part in this plan: it signs nothing, does nothing, is asked nothing"),
    "warning_without_action": _("Warning “{warning}” in {counties} counties sets off NOTHING by itself; asked would be: {asks}"),
    "level_only_here": _("Level {where} is not known to {other}"),
    "level_only_there": _("{other} has a level {where}; this plan has none"),
    "threshold_differs": _("Level {where}: {term} {qualifier} is {here} here and {there} in {other}"),
}
CHANGES: dict[str, Any] = {
    "threshold": _("{level} ({where}), {term}: {before} → {after}"), "level": _("Level {where}: {before} → {after}"), "condition": _("Condition {where}: {before} → {after}"),
    "action": _("Action {where}: {before} → {after}"), "clause": _("Clause {where}: {before} → {after}"),
}


def finding_words(finding: Any) -> str:
    """A finding of lint as a sentence."""
    values = {key: ", ".join(map(str, value)) or "–" if isinstance(value, (list, tuple)) else value for key, value in finding.data.items()}
    if "colour" in values:
        values["warning"] = qualifier_words(f"{values['hazard']}|{values['colour']}")
    return str(FINDINGS[finding.kind]).format(where=finding.where, **values)


def trigger_words(row: dict[str, Any]) -> str:
    """What one warning sets off, as a line."""
    return str(_("“{warning}” in {counties} counties → {levels}")).format(
        warning=qualifier_words(f"{row['hazard']}|{row['colour']}"), counties=row["counties"], levels=", ".join(row["levels"]) or "–")


def change_words(row: dict[str, Any]) -> str:
    return str(CHANGES[row["kind"]]).format(**{**row, "before": row["before"] or "–", "after": row["after"] or "–"})
