"""What those who were warned hear afterwards: the issuer's own end of what we passed on, and the all-clear where an update left places out.

A relay ends the moment its issuer lifts or changes the warning, so that nothing more of it leaves; whoever heard it from us hears the
end from us, in the issuer's words and by the same channels, when a person on shift lets it out: one step where the end came over a
link, two persons where somebody took it down by telephone.
"""
from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_noop

from anlan.kernel import parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.models import Region

from . import actions, compute, gate, hazards
from .errors import NOT_POSSIBLE, NOT_SENT
from .facts import AlertCancelled
from .models import Alert, AlertRegion

LIFTED, CHANGED, DROPPED, WITHDRAWN = "warning.lifted", "warning.changed", "warning.dropped", "warning.withdrawn"


def relays_of(source: Alert) -> list[Alert]:
    """What we passed on of the warnings a message from outside lifts, and have not passed the end of yet."""
    rows = Alert.plain.filter(kind=Alert.RELAY, relay_of__in=gate.chain(source), issued_at__isnull=False).exclude(msg_type="Cancel")
    # A change of it that went out has taken its place, and an end of it that is on its way waits for its second person; what was given up has done neither.
    after = Alert.plain.filter(Q(issued_at__isnull=False) | Q(msg_type="Cancel"), kind=Alert.RELAY).exclude(state=Alert.DROPPED)
    return [row for row in rows.order_by("issued_at") if gate.heard(row, own=True).exists() and not after.filter(predecessor=row).exists()]


def followed(act: Act, earlier: Alert, by: Alert, state: str) -> None:
    """An outside warning was lifted or changed by another message: our relays of it end with it, and a person is asked to say so where they went."""
    live = list(Alert.plain.select_for_update(of=("self",)).filter(relay_of=earlier, state=Alert.ISSUED))
    for row in live:
        actions.end(act, row, state, "")
    # Also what an earlier change had ended already, when nobody has passed that on: the newest is what they should hear.
    changed = {row.pk: row for row in (*live, *relays_of(by))} if by.msg_type != "Cancel" else {}
    for row in changed.values():
        _ask(
            act, row, CHANGED, by, gettext_noop("{issuer} has changed “{headline}”, which we passed on: relay the new one; it goes where the first went."),
            {"issuer": by.issuer_name, "headline": row.headline or row.event},
        )
    for row in relays_of(by) if by.msg_type == "Cancel" else []:
        _ask(
            act, row, LIFTED, by, gettext_noop("{issuer} has lifted “{headline}”, which we passed on: pass that on, too, to everybody who heard it from us."),
            {"issuer": by.issuer_name, "headline": row.headline or row.event},
        )


def withdrawn(act: Act, row: Alert) -> None:
    """We stopped passing a warning on that stands as far as its issuer goes: nothing of ours may say that it is over, so a person sees to whoever heard it."""
    names = sorted(set(gate.heard(row, own=True).values_list("channel__name", flat=True)))
    if names:
        _ask(
            act, row, WITHDRAWN, row, gettext_noop("“{headline}” of {issuer} is no longer passed on, and {count} targets heard it from us ({channels}): see that they learn why."),
            {"headline": row.headline or row.event, "issuer": row.issuer_name, "count": gate.heard(row, own=True).count(), "channels": "、".join(names[:8])},
        )


def left_out(act: Act, row: Alert) -> None:
    """An update went out that warns fewer places than the warning it replaces: a person is asked to give the rest the all-clear."""
    for earlier in Alert.plain.filter(pk__in=gate.chain(row), msg_type="Update") if row.msg_type == "Update" else []:
        if not waits(earlier):  # its places are warned again
            work.close(act, kind=DROPPED, subject=f"alert:{earlier.pk}", outcome="overtaken")
    before = row.predecessor
    places = compute.dropped(before.region_ids, row.region_ids) if before is not None and row.msg_type == "Update" and gate.heard(row).exists() else []
    if before is None or not places:
        return
    names = list(Region.objects.filter(pk__in=places).order_by("name").values_list("name", flat=True)[:8])
    params = {"headline": row.headline or row.event, "places": "、".join(names) + ("…" if len(places) > len(names) else ""), "issuer": row.issuer_name}
    if row.kind == Alert.RELAY:  # only its issuer says that it is over
        _ask(act, row, WITHDRAWN, row, gettext_noop("{issuer} has left out places of “{headline}” that heard it from us: see that they learn of it ({places})."), params)
    elif waits(row):
        _ask(act, row, DROPPED, row, gettext_noop("The update of “{headline}” leaves out places that were warned: give them the all-clear ({places})."), params)


def out_of_area(act: Act, row: Alert) -> None:
    """An update has been given to its targets: whoever heard what it replaces and is none of them stands outside its area now, and a person is asked to tell them."""
    if row.state != Alert.ISSUED or waits(row) != "end_dropped" or given(row, row) or gate.left_out(row.predecessor):
        return
    count = gate.out_of_area(row).values("channel_id", "target").distinct().count()
    _ask(
        act, row, DROPPED, row, gettext_noop("The update of “{headline}” has a smaller area: {count} persons who were warned are outside it now. Give them the all-clear."),
        {"headline": row.headline or row.event, "count": count},
    )


def _ask(act: Act, row: Alert, kind: str, about: Alert, msgid: str, params: dict[str, Any]) -> None:
    post = parties.duty_post(row.region_id) or parties.duty_post(None)
    if post is not None:
        minutes = hazards.proposal_rules()["answer_minutes"].get(row.colour, 30)
        work.open(
            act, post=post, kind=kind, subject=f"alert:{about.pk}", region=row.region_id, msgid=msgid, params=params, due_at=act.now + timedelta(minutes=minutes),
            level=row.colour, cause=about.last_fact,
        )


@action("warning.pass_on_end")
def pass_on_end(act: Act, *, alert: UUID) -> Alert:
    """Say by the same channels that the issuer has lifted what we passed on: its words and time; where it sent none, only that it has lifted it.

    Needs warning.issue_internal there, as any prepared end does. What was taken down by telephone is put to a second person first.
    """
    source = act.lock(Alert, alert, check_version=False)
    relays = relays_of(source) if source.kind == Alert.OUTSIDE and source.msg_type == "Cancel" else []
    if not relays:
        raise NOT_POSSIBLE(state=source.get_state_display())
    done = [_passed_on(act, source, row) for row in relays]
    work.close(act, kind=LIFTED, subject=f"alert:{source.pk}", outcome="relayed")
    return done[-1]


def _passed_on(act: Act, source: Alert, before: Alert) -> Alert:
    actions._must(act, before, "warning.issue_internal")
    person = actions._person(act)
    row = Alert(
        realm_id=act.realm.pk, kind=Alert.RELAY, state=Alert.APPROVED, msg_type="Cancel", relay_of=source, predecessor=before, series=before.thread,
        audience=before.audience, status=before.status, scope=before.scope, hazard=before.hazard, event=before.event, colour=before.colour,
        category=before.category, severity=before.severity, certainty=before.certainty, urgency="Past", channels=before.channels,
        identifier=source.identifier, sender=source.sender, sent=source.sent, issuer=source.issuer, issuer_name=source.issuer_name,
        language=source.language or before.language, headline=source.headline or actions._cancelled(before.headline or before.event), description=source.description,
        instruction=source.instruction, translations=source.translations, contact=source.contact, effective=source.effective, original_id=source.original_id,
        signature=source.signature, repairs=source.repairs, expires=actions.end_holds(act, before),
    )
    by_hand = source.heard_by in gate.BY_HAND
    if by_hand:
        row.author = row.editor = person
    else:
        row.ending, row.author, row.approver, row.approved_at = gate.ISSUERS, before.author, before.approver, before.approved_at
    row.save(force_insert=True)
    AlertRegion.plain.bulk_create(AlertRegion(realm_id=act.realm.pk, alert=row, region_id=UUID(key), how="chosen") for key in before.region_ids)
    row.region_id, row.area_wkb, row.area_text = before.region_id, before.area_wkb, before.area_text
    actions._settle(act, row, save=False)
    if not by_hand:
        row.approved_hash = row.content_hash
    row.save()
    if not by_hand and (why := gate.not_the_issuers(row)):
        raise NOT_SENT(reason=why)
    row.last_fact = act.state(actions._composed(row), about=row, cause=act.cause or source.last_fact)
    row.save(update_fields=["last_fact"])
    act.state(AlertCancelled(alert=before.pk, by=person, reason=source.issuer_name), about=before, cause=row.last_fact)
    if not by_hand:
        return actions._let_out(act, row, person)
    row.state = Alert.DRAFT
    row.save(update_fields=["state"])
    return actions.submit(act, alert=row.pk) if row.audience == "public" else actions.issue(act, alert=row.pk)


@action("warning.end_dropped")
def end_dropped(act: Act, *, alert: UUID) -> Alert:
    """Give the all-clear to the places an update leaves out, in the words approved with the warning it replaced. Needs warning.issue_internal there."""
    update = act.lock(Alert, alert)
    before = update.predecessor
    if before is None or waits(update) != "end_dropped":
        raise NOT_POSSIBLE(state=update.get_state_display())
    actions._must(act, before, "warning.issue_internal")
    if (places := gate.left_out(before)) and not given(update):
        row = actions._ended(act, before, "all_clear", "", places)
    if not given(update, update) and gate.out_of_area(update).exists():
        row = actions._ended(act, before, "all_clear", "", update.region_ids, only_left_by=update)
    work.close(act, kind=DROPPED, subject=f"alert:{update.pk}", outcome="done")
    return row


def waits(row: Alert) -> str:
    """The step that still waits after a message: "pass_on_end", "end_dropped", or ""."""
    if row.kind == Alert.OUTSIDE:
        return "pass_on_end" if row.msg_type == "Cancel" and relays_of(row) else ""
    before = row.predecessor
    # Also when the update is over itself: its end goes to its own places.
    if row.issued_at is None or row.msg_type != "Update" or before is None or "all_clear" not in before.endings:
        return ""
    return "end_dropped" if (not given(row) and gate.left_out(before)) or (not given(row, row) and gate.out_of_area(row).exists()) else ""


def given(update: Alert, only_left_by: Alert | None = None) -> bool:
    """Whether the places an update leaves out have had their all-clear, or the persons only its area leaves out."""
    return Alert.plain.filter(predecessor=update.predecessor_id, ending="all_clear", only_left_by=only_left_by).exists()
