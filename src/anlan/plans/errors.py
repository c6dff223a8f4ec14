"""This room's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

BAD_FILE = Kind("plans.bad_file", 422, _("The plan file has {count} faults. Correct them and send it again; each is named below."))
SAME_VERSION = Kind("plans.same_version", 409, _("This is exactly version {number} of the plan; there is nothing to add."))
BAD_BINDING = Kind("plans.bad_binding", 422, _("The plan cannot be adopted like this; correct the marked entries."))
ALREADY_ADOPTED = Kind("plans.already_adopted", 409, _("This plan is already adopted for {place}. Change that adoption, or end it first."))
TWO_PERSONS = Kind("plans.two_persons", 409, _("A plan is adopted by two persons: propose it, and another person puts it in force."))
NOT_OPEN = Kind("plans.not_open", 409, _("This proposal is no longer open (state: {state}). Look at the newest proposal of the plan."))
QUESTION_CLOSED = Kind("plans.question_closed", 409, _("This question no longer waits for an answer."))
BAD_VALUE = Kind("plans.bad_value", 422, _("The value cannot be taken: {why}."))
UNKNOWN_TERM = Kind("plans.unknown_term", 422, _("There is no term {term}. The page “Known terms” lists them."))
UNKNOWN_PLACE = Kind("plans.unknown_place", 422, _("No adopted plan knows the place {place}. Choose one from the list."))
BAD_PAPER = Kind("plans.bad_paper", 422, _("The document cannot be read: {why}."))
DRAFT_CLOSED = Kind("plans.draft_closed", 409, _("This draft is closed (state: {state})."))
ITEMS_OPEN = Kind("plans.items_open", 409, _("{count} items still wait to be confirmed, corrected, marked for people only or left out."))
BAD_RULE = Kind("plans.bad_rule", 422, _("The rule cannot be used: {why}"))
