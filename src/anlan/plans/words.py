"""Sentences for this room's facts, and the words of states."""
from __future__ import annotations

import shutil
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop, pgettext_lazy

from anlan.engines.text import files, reader
from anlan.engines.text.files import BadPaper
from anlan.kernel import codes
from anlan.kernel.models import Region
from anlan.kernel.shell import localname, together

from .vocabulary import in_words, key_words, qualifier_words

FACT_WORDS: dict[str, Any] = {
    "plans.PlanVersionAdded": _("Version {number} of plan {key} added"),
    "plans.PlanDrafted": _("“{subject}” read into a draft: {conditions} conditions and {actions} actions wait for a person"),
    "plans.DraftItemDecided": _("“{subject}”, clause {clause}: {item_state}"),
    "plans.DraftItemsDecided": _("“{subject}”, {number} items: {item_state}"),
    "plans.DraftAskNamed": _("“{subject}”: asked for {term} will be {post}"),
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
    "plans.ContactTreeTested": _("{subject}: contact tree tested, {posts} posts asked"),
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
    gettext_noop("Test of the contact tree of “{plan}”: answer that you are reached"),
)
# What lint finds, said with the values of the finding.
FINDINGS: dict[str, Any] = {
    "level_only_by_person": _("Level {where}: no condition a machine can judge; only a person starts it"),
    "level_without_action": _("Level {where} orders nothing: no action stands under it"),
    "level_nobody_signs": _("Level {where}: nobody may sign it"),
    "levels_overlap": _("{where}: {term} reaches levels {lower} and {higher} at the same number, {value}: {lower} can never stand alone"),
    "levels_upside_down": _("{where}: {term} reaches level {higher} at {higher_value}, before level {lower} at {lower_value}"),
    "level_left_out": _("{where}: {term} counts for levels {lower} and {higher} but not for {missing} between them"),
    "condition_never_met": _("{where} (level {level}) can never be met: it wants one number above and below at once"),
    "level_unreachable": _("Level {where} can never be reached: none of its conditions can be met"),
    "unit_differs": _("{where}: here {here} does it, in {other} {there}"),
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
    told = {key: [key_words(str(one)) for one in value] if key == "asks" else key_words(value) if key == "term" else value for key, value in finding.data.items()}
    # The first of many; the file has them all, and so has --json.
    values = {key: ", ".join([*map(str, value[:8]), *(["…"] if len(value) > 8 else [])]) or "–" if isinstance(value, (list, tuple)) else value for key, value in told.items()}
    if "colour" in values:
        values["warning"] = qualifier_words(f"{values['hazard']}|{values['colour']}")
    return str(FINDINGS[finding.kind]).format(where=finding.where, **values)


def trigger_words(row: dict[str, Any]) -> str:
    """What one warning sets off, as a line."""
    return str(_("“{warning}” in {counties} counties → {levels}")).format(
        warning=qualifier_words(f"{row['hazard']}|{row['colour']}"), counties=row["counties"], levels=", ".join(row["levels"]) or "–")


def change_words(row: dict[str, Any]) -> str:
    return str(CHANGES[row["kind"]]).format(**{**row, "before": row["before"] or "–", "after": row["after"] or "–"})


# Why a plan applies, and what nothing was found for.
REASONS: dict[str, Any] = {
    "met_now": _("{level}: conditions met now ({conditions})"), "hazard_own": _("made for {hazard}"), "hazard_leads": _("{hazard} leads to what it is made for ({kind})"),
    "hazard_all": _("general plan: all hazards"), "place_own": _("the place's own"), "place_above": _("of {place}, which contains the place"), "place_below": _("of {place}, inside the place"),
    "adopted": _("in force"), "not_adopted": _("not adopted here"), "level": _("has level {level}"),
}
UNMATCHED: dict[str, Any] = {
    "no_plan_for_hazard": _("No plan here is made for {hazard} itself."), "no_plan_of_place": _("{place} has no plan of its own for this."), "no_such_level": _("“{plan}” has no level {level}."),
    "warning_sets_off_nothing": _("“{plan}”: a {colour} warning for this sets off NOTHING by itself."), "word": _("No action speaks of “{word}”; it was left out of the search."),
    "unit": _("No action is given to “{unit}” itself{at}; what names it among others, or all units, is listed."),
    "no_limit": _("For {count} of these actions the plan sets no time limit: whether they fall within the time asked for cannot be told."),
}


def _values(values: dict[str, Any]) -> dict[str, Any]:
    """Codes, keys and rows of a finding in words."""
    out = dict(values)
    if "hazard" in out:
        out["hazard"] = codes.name("hazard", out["hazard"])
    if "kind" in out:
        out["kind"] = codes.name("plan_hazard", out["kind"])
    if "colour" in out:
        out["colour"] = codes.name("warning_colour", out["colour"])
    if "place" in out:
        out["place"] = localname(Region.objects.filter(pk=out["place"]).defer("area_wkb").first())
    if "plan" in out:
        out["plan"] = localname(out["plan"])
    if "conditions" in out:
        out["conditions"] = together(out["conditions"])
    if "unit" in out:
        out["at"] = str(_(" at level {level}")).format(level=out["level"]) if out.get("level") else ""
    return out


def reason_words(row: Any) -> str:
    """Why a plan applies, as a line."""
    return "; ".join(str(REASONS[kind]).format(**_values(values)) for kind, values in row.reasons)


def unmatched_words(row: tuple[str, dict[str, Any]]) -> str:
    return str(UNMATCHED[row[0]]).format(**_values(row[1]))


def until_words(item: Any, timing: str = "") -> str:
    """An action's limit in the plan's words or in minutes; says so where the plan sets none."""
    if item.deadline_min is not None:
        return str(_("{n} min")).format(n=item.deadline_min)
    return in_words(item.deadline) or str(_("at once") if timing == "at_once" else _("not set by the plan"))


# Why a document cannot be read, by the code of BadPaper, and what to do.
UNREAD = {
    "too_large": _("it is larger than what is read: {mb} MB, {pages} pages, {unpacked} MB unpacked, {chars} characters; hand it in by parts"),
    "empty": _("there is no text in it"),
    "encoding": _("its letters are written in none of UTF-8, GB 18030, Big5 or UTF-16; save it as UTF-8"),
    "encrypted": _("it is locked with a password; save it without one"),
    "broken": _("it is damaged; open it with the program that made it and save it anew"),
    "no_text": _("it holds pictures of pages and no text; have its text recognised first (OCR), for example with ocrmypdf and tesseract"),
    "unknown": _("it is no .docx, .pdf or text that can be opened; save an old .doc, or a file locked with a password, as .docx without one first"),
}


def unread_words(error: BadPaper) -> str:
    """For people, in their language. Where tesseract is installed a picture of a page can be made into text here, and it says how."""
    if error.code == "no_text" and shutil.which("tesseract"):
        return str(_("it holds pictures of pages and no text; tesseract is installed here: “ocrmypdf -l chi_sim+chi_tra+eng FILE.pdf TEXT.pdf” makes one that can be read"))
    limits = {"mb": files.MAX_BYTES >> 20, "pages": f"{files.MAX_PAGES:,}", "unpacked": files.MAX_UNPACKED >> 20, "chars": f"{reader.MAX_CHARS:,}"}
    return str(UNREAD[error.code]).format(**limits)
