"""Command's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

NOT_YOURS = Kind("command.not_yours", 403, _("This decision waits for {post}. Only that post or one above it may take it; record a decision given by telephone instead."))
NOT_ACTIVE = Kind("command.not_active", 409, _("This response has ended; nothing more can be decided in it."))
NOT_OPEN = Kind("command.not_open", 409, _("This incident is closed; open a new one or attach the report elsewhere."))
SAME_LEVEL = Kind("command.same_level", 409, _("The response already runs at this level ({level})."))
NO_LEVEL = Kind("command.no_level", 422, _("The plan has no level {level}. Choose one of: {levels}."))
NO_DECIDER = Kind("command.no_decider", 422, _("Name the person who decided and the means by which the decision was given."))
NOT_THE_DECIDER = Kind("command.not_the_decider", 403, _("Only {person}, who gave this decision, can confirm or deny it."))
ALREADY_CONFIRMED = Kind("command.already_confirmed", 409, _("This decision has already been answered ({state})."))
MERGE_ITSELF = Kind("command.merge_itself", 422, _("A report cannot be merged into itself or into one that was itself merged."))
UNKNOWN_TERM = Kind("command.unknown_term", 422, _("No plan knows the observation {term}. Choose one from the list."))
BAD_VALUE = Kind("command.bad_value", 422, _("{term}: {why}"))
NOT_PRINTED = Kind("command.not_printed", 422, _("The document could not be laid out: {why}"))
CONDITIONS_HOLD = Kind("command.conditions_hold", 409, _("These conditions of the plan still hold: {conditions}. Confirm that you stand down although they do, and say why."))
