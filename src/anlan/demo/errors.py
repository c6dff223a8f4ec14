"""Errors of the demonstration and the replays."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

NO_EVENT = Kind("demo.no_event", 404, _("There is no event {event} to replay. There are: {known}."))
BAD_PACK = Kind("demo.bad_pack", 500, _("The event pack {event} is damaged: {why}."), blame="ours")
BAD_SPEED = Kind("demo.bad_speed", 422, _("The speed {speed} is not one: say max, or how many seconds of the event pass in one second."))
NOT_EMPTY = Kind(
    "demo.not_empty", 409,
    _("{home} already holds other data. The demonstration city goes only into a folder of its own: set ANLAN_HOME to another one."),
)
STUCK = Kind("demo.stuck", 500, _("The replay waited {seconds} s at {at} and its queues did not drain: {what}."), blame="ours")
NO_DRILL = Kind("demo.no_drill", 404, _("There is no drill {drill} that ships. There are: {known}."))
BAD_SAID = Kind("demo.bad_said", 422, _("Line {line} of {file} is not what a model hands in: {why}"))
NO_RULES = Kind("demo.no_rules", 404, _("There is no rule set {name}: it is no file and none of {known}."))
BAD_BACKTEST = Kind("demo.bad_backtest", 422, _("Choose at least one event, a time before the incident of up to 72 hours, and thresholds above zero or at least one set of rules, not both."))
