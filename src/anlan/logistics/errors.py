"""The room's error codes."""
from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from anlan.kernel.errors import Kind

PLAN_LOCKED = Kind("logistics.plan_locked", 409, _("The plan is {state}. Have it returned before you change it."))
NO_VERSION = Kind("logistics.no_version", 409, _("There is no such version of this plan. Start a search first."))
NOTHING_ASKED = Kind("logistics.nothing_asked", 422, _("Enter at least one need and one depot first."))
NOTHING_LISTED = Kind("logistics.nothing_listed", 422, _("List the people who leave first."))
SEARCHING = Kind("logistics.searching", 409, _("A search is under way. Wait for it, or stop it and take the best so far."))
NOBODY_ISSUES = Kind("logistics.nobody_issues", 409, _("No post may issue goods from {depot}. Have the right “Receive, issue, move, reserve and count supplies” granted there, or take the depot out."))
NO_AUTHORITY = Kind("logistics.no_authority", 403, _("{depot}: {why}. Have the plan approved by {who}, or plan without this depot."))
CHANGED_SINCE = Kind("logistics.changed_since", 409, _("Goods or loads have moved since this version was worked out: {what}. Search again; few lines will change."))
BROKEN_RULES = Kind("logistics.broken_rules", 409, _("The plan breaks {n} rules, first: {first}."))
