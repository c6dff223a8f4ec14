"""This room's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

CREDENTIAL = Kind("sensing.credential", 401, _("The source's name or password is wrong, or the source is switched off. Check the credential on the sources page."))
TOO_MANY = Kind("sensing.too_many", 413, _("{count} readings in one request; at most {limit} are taken. Send them in several requests."))
MALFORMED = Kind("sensing.malformed", 422, _("The body is neither a JSON list nor lines of JSON: {why}. Send [{{\"s\": station, \"q\": quantity, \"t\": time, \"v\": value, \"u\": unit}}]."))
NOTHING_GOOD = Kind("sensing.nothing_good", 422, _("None of the {count} readings can be taken; the reasons stand beside each."))
BROKER_DOWN = Kind("sensing.broker_down", 503, _("The readings could not be put on the broker ({why}); nothing was taken. Send them again."), blame="ours")
BAD_STATION = Kind("sensing.bad_station", 422, _("The station cannot be entered like this; correct the marked fields."))
BAD_SOURCE = Kind("sensing.bad_source", 422, _("The source cannot be entered like this; correct the marked fields."))
BAD_RULES = Kind("sensing.bad_rules", 422, _("The rule file cannot be used: {why}"))
WRONG_REALM = Kind("sensing.wrong_realm", 409, _("Stations, sources and rules are changed in actual operations only; leave the exercise first."))
BAD_FILTER = Kind("sensing.bad_filter", 422, _("The address of this page asks for something that cannot be: {why}"))
BAD_QUERY = Kind("sensing.bad_query", 400, _("The SensorThings request cannot be understood at: {why}"))
STA_REFUSED = Kind("sensing.sta_refused", 405, _("Nothing can be created at {path}: only Observations, Things with their Datastreams, and Datastreams of a Thing."))
STA_FIXED = Kind("sensing.sta_fixed", 405, _("{path} cannot be changed or deleted over SensorThings: {why}"))
BAD_MAPPING = Kind("sensing.bad_mapping", 422, _("The mapping {name} cannot be used: {why}"))
BAD_FILE = Kind("sensing.bad_file", 422, _("Nothing can be taken from {file}: {why}"))
ANSWERED = Kind("sensing.answered", 409, _("Somebody has answered this already; the page shows what was said."))
