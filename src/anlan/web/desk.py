"""What the duty desk shows: what waits for this person, with its clock, its reason and the two or three things to do about it."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from anlan.kernel import journal, realms, seen, shell, subjects, work
from anlan.kernel.pages_journal import line

LIMIT = 60
LINES = 40
# Said many times a minute, or only of interest beside their order: the journal has them, the timeline does not.
QUIET = (
    "sensing.ReadingsAccepted", "kernel.WorkOpened", "kernel.WorkClosed", "kernel.WorkSeen", "kernel.OrderDelivered", "kernel.OrderRead", "web.SoundTested",
    "plans.TermChanged", "plans.TermsUpdated", "warning.DeliveryFinished",
)


@dataclass(frozen=True)
class Button:
    """A thing to do about a work item; it names what it does. `page` takes the subject's key."""

    label: Any
    page: str
    style: str = ""


# kind of work item → its buttons. A kind without an entry gets the page of its subject.
BUTTONS: dict[str, list[Button]] = {
    "plans.answer_proposal": [Button(_("Look and decide"), "command:decide", "btn-primary"), Button(_("Read the proposal"), "plans:proposal")],
    "plans.contact_test": [Button(_("Answer"), "plans:contacts", "btn-primary")],
    "command.inject": [Button(_("Read the message"), "command:inject", "btn-primary")],
    "plans.state_term": [Button(_("State what you know"), "plans:question", "btn-primary")],
    "warning.answer_proposal": [Button(_("Look and decide"), "warning:proposal", "btn-primary")],
    "warning.approve": [Button(_("Read and approve"), "warning:alert", "btn-primary")],
    "warning.outside": [Button(_("Read and relay"), "warning:alert", "btn-primary")],
    "warning.changed": [Button(_("Read and relay"), "warning:alert", "btn-primary")],
    "warning.lifted": [Button(_("Pass the end on"), "warning:alert", "btn-primary")],
    "warning.dropped": [Button(_("Give the all-clear"), "warning:alert", "btn-primary")],
    "warning.withdrawn": [Button(_("Read the alert"), "warning:alert", "btn-primary")],
    "warning.alert": [Button(_("Read the alert"), "warning:alert", "btn-primary")],
    "orders.overdue": [Button(_("Look after the order"), "kernel:order", "btn-primary")],
    "orders.unanswered": [Button(_("Look after the order"), "kernel:order", "btn-primary")],
    "orders.refused": [Button(_("Read the refusal"), "kernel:order", "btn-primary")],
    "parties.confirm": [Button(_("Look and confirm"), "kernel:request", "btn-primary")],
}


def buttons(item: Any) -> list[dict[str, Any]]:
    """At most two ways on, and "why"; an address that is not there is left out."""
    _kind, key = subjects.parse(item.subject)
    found = []
    for button in BUTTONS.get(item.kind, []):
        url = shell.address(button.page, "", key)
        if url:
            found.append({"label": button.label, "url": url, "style": button.style})
    if not found:
        url = subjects.url(item.subject)
        if url:
            found.append({"label": OPEN.get(item.subject.partition(":")[0], _("Open it")), "url": url, "style": "btn-primary"})
    return found[:2]


OPEN: dict[str, Any] = {
    "order": _("Open the order"), "alert": _("Open the alert"), "proposal": _("Look and decide"), "incident": _("Open the incident"), "report": _("Open the report"),
    "station": _("Look at the station"), "request": _("Look and confirm"), "instruction": _("Open the instruction"), "response": _("Open the response"),
}


def waiting(actor: Any, realm: Any) -> list[dict[str, Any]]:
    """Open items of the person's posts: actual ones first, then this exercise's; what runs out first on top."""
    actual = realms.actual()
    rows = work.waiting_for(actor).filter(realm__in={actual.pk, realm.pk}).select_related("region", "post__organisation")
    items = [
        {
            "item": item, "text": shell.work_text(item), "buttons": buttons(item), "place": shell.localname(item.region) if item.region_id else "",
            "real": item.realm_id == actual.pk, "alarm": item.level == "red" and item.seen_at is None,
        }
        for item in rows[:LIMIT]
    ]
    return sorted(items, key=lambda entry: not entry["real"])


def timeline(actor: Any, realm: Any) -> list[dict[str, Any]]:
    """What happened last, for this reader, newest first. Of signals only what turned orange or red; stations that did so together are one line."""
    sql, params = seen.condition(actor)
    facts = journal.select(
        f"WHERE {sql} AND f.realm_id = %s AND NOT f.kind = ANY(%s) AND (f.kind <> 'sensing.SignalChanged' OR p.payload->>'new' IN ('orange', 'red')) "
        f"ORDER BY s.number DESC NULLS FIRST LIMIT {5 * LINES}",
        [*params, realm.pk, list(QUIET)],
    )
    lines: list[dict[str, Any]] = []
    for fact in facts:
        last = lines[-1] if lines else None
        if last and fact.kind == "sensing.SignalChanged" == last["fact"].kind and fact.payload.get("new") == last["fact"].payload.get("new"):
            last["names"].append(fact.payload.get("name", ""))
            continue
        if len(lines) == LINES:
            break
        lines.append({**line(fact), "names": [fact.payload.get("name", "")]})
    for entry in lines:
        if len(entry["names"]) > 1:
            entry["text"] = _text_of_many(entry)
    return lines


def _text_of_many(entry: dict[str, Any]) -> str:
    mark = ", " if shell.localname_is_english() else "、"
    names = mark.join(dict.fromkeys(entry["names"][:3])) + ("…" if len(entry["names"]) > 3 else "")
    return gettext("{n} signals, the latest at {names}").format(n=len(entry["names"]), names=names)
