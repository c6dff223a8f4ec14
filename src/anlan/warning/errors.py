"""Warning's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

NOT_POSSIBLE = Kind("warning.not_possible", 409, _("In state {state} this is not possible. Reload the page to see what is."))
SECOND_PERSON = Kind("warning.second_person", 409, _("A second person must approve: whoever wrote or edited the text cannot."))
NO_PERSON = Kind("warning.no_person", 403, _("Only a person signed in with their own account can do this, not a machine."))
CONTENT_CHANGED = Kind("warning.content_changed", 409, _("The text changed after it was approved; submit it for approval again."))
NOT_OURS = Kind("warning.not_ours", 409, _("By the table of issuers we may not issue this: {reason}. Relay the competent issuer's warning instead."))
NO_REGION = Kind("warning.no_region", 422, _("Choose at least one place."))
NO_TEXT = Kind("warning.no_text", 422, _("Write a headline and the text of the warning."))
BAD_TIMES = Kind("warning.bad_times", 422, _("The end must lie after now and after the start."))
BAD_CONTENT = Kind("warning.bad_content", 422, _("The message would not be valid CAP: {reason}"))
BAD_COLOUR = Kind("warning.bad_colour", 422, _("{colour} is not a warning colour; use red, orange, yellow or blue."))
BAD_HAZARD = Kind("warning.bad_hazard", 422, _("There is no hazard with the code {hazard}."))
UNKNOWN_ISSUER = Kind("warning.unknown_issuer", 422, _("There is no issuer with the code {issuer} in the table of issuers."))
UNKNOWN_PLACE = Kind("warning.unknown_place", 422, _("There is no place called {place}."))
DUPLICATE = Kind("warning.duplicate", 409, _("This message was already received."))
NOT_SENT = Kind("warning.not_sent", 409, _("Not sent: {reason}"))
NOT_SILENT = Kind("warning.not_silent", 422, _("This is more than a silent correction: {reason}"))
BAD_TABLE = Kind("warning.bad_table", 422, _("The table of issuers cannot be used: {reason}"))
IN_FLIGHT = Kind("warning.in_flight", 409, _("This is still being sent; wait for its result before sending again."))
STANDING_TERMS = Kind("warning.standing_terms", 422, _("A standing authorisation needs sound terms: {reason}"))
