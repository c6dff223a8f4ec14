"""Words of this room that are not stored: counts, steps of a review, states."""
from __future__ import annotations

from typing import Any

from django.utils.translation import get_language, gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

COUNTS = {"dead": _("Dead"), "missing": _("Missing"), "injured": _("Injured"), "trapped": _("Trapped"), "moved": _("Moved to safety")}
STEPS = {
    "reading_to_signal": _("From the reading to the signal"), "warning_to_decision": _("From the warning to the decision"),
    "proposal_to_decision": _("From the proposal to the decision"), "decision_to_order": _("From the decision to the last order given"),
    "order_to_read": _("From the order to its reading"), "order_to_accept": _("From the order to its acceptance"), "order_to_done": _("From the order to its completion"),
    "message_to_read": _("From the drill message to its reading"),
}
CONFIRMATION = {
    "direct": "", "waiting": _("recorded by telephone, not yet confirmed"), "confirmed": _("recorded by telephone, confirmed"), "denied": _("recorded by telephone, denied"),
}
PRECISION = {"second": _("to the second"), "minute": _("to the minute"), "about": _("about"), "date": _("the day"), "unknown": _("unknown")}
STATES = {"open": _("open"), "closed": pgettext_lazy("incident", "closed"), "active": _("active"), "ended": _("ended")}


def local_words(texts: dict[str, str] | None, lang: str = "") -> str:
    """{zh, en} in the reader's language, else in the other."""
    texts = texts or {}
    english = (lang or get_language() or "").startswith("en")
    first, second = ("en", "zh") if english else ("zh", "en")
    return str(texts.get(first) or texts.get(second) or "")


def step_words(step: dict[str, Any]) -> dict[str, str]:
    """What a measured step is called, and what it was about."""
    return {"words": str(STEPS.get(step["step"], step["step"])), "what": gettext("Orders: {n}").format(n=step["what"]) if step["step"] == "decision_to_order" else step["what"]}


def level_words(row: Any, lang: str = "") -> str:
    """The level of a response as the plan names it."""
    return local_words(row.label, lang) or row.level
