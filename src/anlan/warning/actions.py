"""Warning's use cases, and the only code that writes its rows (attempts and receipts are written by `delivery`)."""
from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import shapely
from django.db import IntegrityError, transaction
from django.db.models import F, Func, IntegerField, Max, Q, Value
from django.utils import translation
from django.utils.translation import gettext_noop
from shapely.geometry.base import BaseGeometry

from anlan.engines import cap
from anlan.kernel import access, due, journal, parties, search, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import REASON_NEEDED, STALE
from anlan.kernel.ids import derived_id, new_id
from anlan.kernel.journal import canonical
from anlan.kernel.models import Region, WorkItem
from anlan.kernel.models.base import home

from . import compute, hazards, issuers, queries, texts
from .errors import (
    BAD_COLOUR,
    BAD_CONTENT,
    BAD_HAZARD,
    BAD_TIMES,
    CONTENT_CHANGED,
    NO_PERSON,
    NO_REGION,
    NO_TEXT,
    NOT_OURS,
    NOT_POSSIBLE,
    NOT_SENT,
    NOT_SILENT,
    SECOND_PERSON,
    UNKNOWN_ISSUER,
)
from .facts import (
    AlertAcknowledged,
    AlertApproved,
    AlertCancelled,
    AlertComposed,
    AlertIssued,
    AlertReturned,
    AlertSubmitted,
    ApprovalVoided,
    AreaDrawn,
    ChannelChanged,
    IssuerTableAsked,
    IssuerTableChanged,
    OutsideMessageNoted,
    OutsideMessageRefused,
    OutsideWarningReceived,
    ProposalClosed,
    ProposalMade,
    ProposalRevised,
    WarningEnded,
)
from .gate import BY_HAND, chain, content_hash, not_prepared, not_silent
from .models import RANK, Alert, AlertRegion, Attempt, Channel, IssuerTable, Original, Proposal, Receipt

DEFAULT_HOURS = 6  # how long a warning without a stated end is taken to hold; the author may set any other end
STILL_SENDING = timedelta(minutes=15)  # looked at again: an end that has not gone out to all does not expire
FEW = 8  # messages for which places are asked for one by one: reading all boundaries pays from here on
KEPT_BYTES = 1024 * 1024  # of a message that could not be used; its digest covers the whole
COLOUR_ZH = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}
HEARD_BY = ("phone", "fax", "chat", "file", "feed", "api", "other")
SEEING = ("warning.alert", "warning.outside", "warning.standing_used", "warning.changed")  # work that asks to see a message: done when seen, overtaken when it is over
UNKNOWN = "other"  # the issuer of a link nobody has said more of


# --- proposals from signals ------------------------------------------------------------------------------------------


@action("warning.propose")
def propose(
    act: Act, *, region: UUID, hazard: str, station: str, name: str, rule: str, rule_version: str, quantity: str, value: float | None, unit: str,
    window: str, threshold: float | None, colour: str, at: str, fact: UUID, model: dict | None = None,
) -> Proposal | None:
    """A signal changed colour, or a model spoke (`model`, see `modelled`): put it into the area's open proposal, open one, or let the proposal fade.

    Keys are derived from (realm, region, hazard, how many came before), so that the same signals give the same proposals.
    """
    open_one = Proposal.plain.select_for_update(of=("self",)).filter(realm=act.realm, region_id=region, hazard=hazard, state=Proposal.OPEN).first()
    if open_one is None and not colour:
        return None
    line = {
        "station": station, "name": name, "rule": rule, "rule_version": rule_version, "quantity": quantity, "value": value, "unit": unit,
        "window": window, "threshold": threshold, "colour": colour, "at": at, "fact": str(fact), **({"model": model} if model else {}),
    }
    before = ""
    if open_one is None:
        # A taken proposal still covers its area: new signals of no worse colour are evidence for the alert, not another question.
        taken = (
            Proposal.plain.select_for_update(of=("self",)).filter(realm=act.realm, region_id=region, hazard=hazard, state=Proposal.TAKEN)
            .order_by("-opened_at").first()
        )
        if taken is not None and RANK[colour] <= RANK[taken.colour] and Alert.plain.filter(proposal=taken, state__in=queries.UNDER_WAY).exists():
            _enter(taken, line)
            taken.changed_at = act.now
            act.save(taken)
            return taken
        count = Proposal.plain.filter(realm=act.realm, region_id=region, hazard=hazard).count()
        key = derived_id("warning.proposal", act.realm.pk, region, hazard, count)
        open_one = act.create(
            Proposal, id=key, region_id=region, hazard=hazard, colour=colour, now_colour=colour, kind=_kind(colour), opened_at=act.now,
            changed_at=act.now, evidence=[line],
        )
    else:
        before = open_one.colour
        _enter(open_one, line)
        worst = max((row["colour"] for row in open_one.evidence), key=RANK.__getitem__)
        open_one.now_colour, open_one.changed_at = worst, act.now
        if RANK[worst] > RANK[open_one.colour]:
            open_one.colour, open_one.kind = worst, _kind(worst)
        if not worst:
            _close(act, open_one, Proposal.FADED, "")
            return open_one
        act.save(open_one)
    if RANK[open_one.colour] > RANK[before]:
        open_one.made_by = act.state(
            ProposalMade(proposal=open_one.pk, hazard=hazard, colour=open_one.colour, kind=open_one.kind, region=region), about=open_one,
            id=derived_id("warning.ProposalMade", open_one.pk, open_one.colour),
        )
        open_one.save(update_fields=["made_by"])
        _ask(act, open_one, cause=open_one.made_by)
    return open_one


@action("warning.note_revision")
def note_revision(act: Act, *, station: str, name: str, rule: str, said: str, true: str, at: str, fact: UUID) -> int:
    """A signal was not what was said of it: mark it in the evidence of the proposals that rest on it; how many. What is decided stays a person's."""
    rows = Proposal.plain.select_for_update(of=("self",)).filter(
        realm=act.realm, state__in=[Proposal.OPEN, Proposal.TAKEN], evidence__contains=[{"station": station, "rule": rule}]
    )
    for row in rows.order_by("pk"):
        row.evidence = [
            {**line, "revised": {"said": said, "true": true, "at": at, "fact": str(fact)}} if (line["station"], line["rule"]) == (station, rule) else line
            for line in row.evidence
        ]
        row.changed_at = act.now
        act.save(row)
        act.state(ProposalRevised(proposal=row.pk, region=row.region_id, hazard=row.hazard, name=name, said=said, true=true), about=row)
    return len(rows)


def _kind(colour: str) -> str:
    """Below the set colour a prompt, from there on a call-down; a government warning is always a person's choice."""
    rules = hazards.proposal_rules()
    return Alert.CALL_DOWN if RANK[colour] >= RANK[rules["call_down_from"]] else Alert.PROMPT


def _enter(proposal: Proposal, line: dict[str, Any]) -> None:
    rest = [row for row in proposal.evidence if (row["station"], row["rule"]) != (line["station"], line["rule"])]
    proposal.evidence = sorted([*rest, line], key=lambda row: (-RANK[row["colour"]], row["at"], row["station"], row["rule"]))


def _ask(act: Act, proposal: Proposal, cause: UUID) -> None:
    post = parties.duty_post(proposal.region_id)
    if post is None:
        return
    subject = f"warning_proposal:{proposal.pk}"
    work.close(act, kind="warning.answer_proposal", subject=subject, outcome="overtaken")
    minutes = hazards.proposal_rules()["answer_minutes"][proposal.colour]
    work.open(
        act, post=post, kind="warning.answer_proposal", subject=subject, region=proposal.region_id,
        msgid=gettext_noop("{count} signals of {hazard} in {region}: warn the posts there?"),
        params={"count": sum(bool(row["colour"]) for row in proposal.evidence), "hazard": proposal.hazard, "region": str(proposal.region_id)},
        due_at=act.now + timedelta(minutes=minutes), level=proposal.colour, cause=cause,
    )


def _close(act: Act, proposal: Proposal, state: str, reason: str) -> None:
    proposal.state, proposal.reason, proposal.closed_at, proposal.closed_by = state, reason, act.now, act.actor.person_id
    act.save(proposal)
    act.state(ProposalClosed(proposal=proposal.pk, outcome=state, reason=reason), about=proposal, cause=act.cause or proposal.made_by)
    work.close(act, kind="warning.answer_proposal", subject=f"warning_proposal:{proposal.pk}", outcome="overtaken" if state == Proposal.FADED else state)


@action("warning.dismiss_proposal")
def dismiss_proposal(act: Act, *, proposal: UUID, reason: str) -> Proposal:
    """A person decides not to warn, and says why. Needs warning.compose there."""
    row = act.lock(Proposal, proposal)
    access.require(act, "warning.compose", region=row.region_id)
    if row.state != Proposal.OPEN:
        raise NOT_POSSIBLE(state=row.get_state_display())
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    _close(act, row, Proposal.DISMISSED, reason.strip())
    return row


# --- composing -------------------------------------------------------------------------------------------------------


@action("warning.compose")
def compose(
    act: Act, *, kind: str, hazard: str, colour: str, regions: list, headline: str = "", description: str = "", instruction: str = "",
    urgency: str = "Immediate", certainty: str = "Likely", expires: datetime | None = None, onset: datetime | None = None,
    translations: dict | None = None, channels: list | None = None, scope: str = "", status: str = "", contact: str = "",
    proposal: UUID | None = None, predecessor: UUID | None = None, msg_type: str = "Alert", silent: bool = False, drawn: dict | None = None, area: bytes | None = None,
) -> Alert:
    """Write a draft of our own: prompt, call-down or government warning. In an exercise its status is Exercise, whatever was asked.

    Needs warning.compose in every region. Raises warning.not_ours at once when the table of issuers will never let it go.
    `drawn` narrows the area (README, "Whom"); without regions those it touches are taken. `area` is the WKB of a predecessor's area, kept as it is.
    """
    if kind not in (Alert.PROMPT, Alert.CALL_DOWN, Alert.GOVERNMENT):
        raise NOT_POSSIBLE(state=kind)
    audience = "public" if kind == Alert.GOVERNMENT else "internal"
    ours = issuers.table().ours
    allowed, why = issuers.table().allows(ours.code, hazard, kind, audience)
    if not allowed:
        raise NOT_OURS(reason=why)
    row = Alert(
        realm_id=act.realm.pk, kind=kind, audience=audience, identifier="", sender=sender(), issuer=ours.code, issuer_name=ours.name_zh,
        author=act.actor.person_id, editor=act.actor.person_id, msg_type=msg_type, predecessor_id=predecessor, proposal_id=proposal, silent=silent,
    )
    row.series = _thread(row)
    row.identifier = f"urn:uuid:{row.pk}"
    row.status = _status(act, status)
    in_app_channel()
    found = None
    if proposal is not None:
        found = act.lock(Proposal, proposal, check_version=False)
        if found.state != Proposal.OPEN:
            raise NOT_POSSIBLE(state=found.get_state_display())
    _fill(
        act, row, hazard=hazard, colour=colour, headline=headline, description=description, instruction=instruction, urgency=urgency,
        certainty=certainty, expires=expires, onset=onset, translations=translations, channels=channels, scope=scope, contact=contact,
    )
    row.save(force_insert=True)
    shape = _draw(act, row, drawn or {}, regions)
    if area and shape is None:
        row.area_wkb, row.drawn = area, row.predecessor.drawn if row.predecessor else {}
        row.area_text = row.predecessor.area_text if row.predecessor and row.drawn else row.area_text
    for key in row.region_ids:
        access.require(act, "warning.compose", region=UUID(key))
    _settle(act, row)
    cause = act.cause or (found.made_by if found else None)
    row.last_fact = act.state(_composed(row), about=row, cause=cause)
    row.save(update_fields=["last_fact"])
    _say_drawn(act, row, shape)
    if found is not None:
        _close(act.child(cause=row.last_fact), found, Proposal.TAKEN, "")
    return row


@action("warning.edit")
def edit(
    act: Act, *, alert: UUID, hazard: str | None = None, colour: str | None = None, regions: list | None = None, headline: str | None = None,
    description: str | None = None, instruction: str | None = None, urgency: str | None = None, certainty: str | None = None,
    expires: datetime | None = None, onset: datetime | None = None, translations: dict | None = None, channels: list | None = None,
    scope: str | None = None, contact: str | None = None, drawn: dict | None = None,
) -> Alert:
    """Change a draft. Content that was approved loses its approval; whoever edited can no longer be the second person.

    `drawn` as in compose; given regions and no drawing, the area is these regions again.
    """
    row = act.lock(Alert, alert)
    if row.state not in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED):
        raise NOT_POSSIBLE(state=row.get_state_display())
    if row.kind == Alert.RELAY and any(value is not None for value in (hazard, colour, headline, description, instruction, urgency, certainty, expires, onset, translations, scope, contact)):
        raise NOT_OURS(reason="relay")  # a relay goes out unchanged; only its places and channels are ours to choose
    _must(act, row, "warning.compose")
    before, old_hash, old_approver, old_editor = row.content_hash, row.approved_hash, row.approver, row.editor
    keep = row.expires
    if row.kind != Alert.RELAY:
        _fill(
            act, row, hazard=row.hazard if hazard is None else hazard, colour=row.colour if colour is None else colour,
            headline=row.headline if headline is None else headline, description=row.description if description is None else description,
            instruction=row.instruction if instruction is None else instruction, urgency=urgency or row.urgency, certainty=certainty or row.certainty,
            expires=expires or keep, onset=onset or row.onset, translations=row.translations if translations is None else translations,
            channels=row.channels if channels is None else channels, scope=row.scope if scope is None else scope,
            contact=row.contact if contact is None else contact,
        )
    elif channels is not None:
        row.channels = _channels(channels)
    shape = None
    if (regions is not None or drawn) and not (drawn and drawn == row.drawn and not regions):
        shape = _draw(act, row, drawn or {}, regions or [])
        for key in row.region_ids:
            access.require(act, "warning.compose", region=UUID(key))
    row.editor = act.actor.person_id
    _settle(act, row, save=False)
    if row.content_hash != before:
        row.approver = row.approved_at = None
        row.approved_hash = ""
        row.state = Alert.DRAFT
    else:
        row.editor = old_editor  # nothing changed: the approval stands, and so does the second person
    act.save(row)
    if row.content_hash != before:
        row.last_fact = act.state(_composed(row), about=row, cause=act.cause or row.last_fact)
        _say_drawn(act, row, shape)
        if old_hash:
            act.state(ApprovalVoided(alert=row.pk, approver=old_approver, approved_hash=old_hash), about=row, cause=row.last_fact)
        row.save(update_fields=["last_fact"])
        work.close(act, kind="warning.approve", subject=f"alert:{row.pk}", outcome="overtaken")
    return row


def _thread(row: Alert) -> UUID:
    """An update, correction or end stands in its predecessor's thread; a relay in its source's; what comes of one proposal together."""
    first = row.predecessor or row.relay_of
    if first is None and row.proposal_id:
        first = Alert.plain.filter(proposal_id=row.proposal_id).order_by("created_at").first()
    return first.thread if first is not None else row.pk


def _status(act: Act, asked: str = "") -> str:
    """An exercise never makes an actual message; asking for Test or Draft is always allowed."""
    if not act.realm.is_actual:
        return "Exercise"
    return asked if asked in ("Test", "Exercise") else "Actual"


def sender() -> str:
    """Our name in CAP: unique in the world, without spaces or commas."""
    return f"{home()}@anlan"


def _fill(act: Act, row: Alert, *, hazard: str, colour: str, channels: list | None, expires: datetime | None, scope: str, **text: Any) -> None:
    if hazard not in hazards.table():
        raise BAD_HAZARD(hazard=hazard)
    if colour not in RANK:
        raise BAD_COLOUR(colour=colour)
    for name, value in text.items():
        setattr(row, name, value if value is not None else ({} if name == "translations" else None))
    row.hazard, row.colour, row.category, row.severity = hazard, colour, compute.category_of(hazard), compute.severity_of(colour)
    row.event = hazards.table()[hazard].name_zh
    row.expires = expires or act.now + timedelta(hours=DEFAULT_HOURS)
    row.scope = scope or ("Public" if row.audience == "public" else "Restricted")
    if not row.headline.strip():
        raise NO_TEXT(fields=[{"field": "headline", "why": "needed"}])
    if row.audience == "public" and not row.description.strip():
        raise NO_TEXT(fields=[{"field": "description", "why": "needed"}])
    if row.expires <= act.now or (row.onset and row.expires <= row.onset):
        raise BAD_TIMES(fields=[{"field": "expires", "why": "after now and after the start"}])
    row.channels = _channels(channels, row)


def in_app_channel() -> Channel:
    """The one channel every installation has: its own posts."""
    key = derived_id("warning.channel", "in_app")
    return Channel.objects.get_or_create(pk=key, defaults={"name": "站内（声音提醒）", "adapter": "in_app", "enabled": True})[0]


def _channels(chosen: list | None, row: Alert | None = None) -> list[str]:
    """The chosen channels that exist; none chosen means every channel switched on for this audience."""
    if chosen is None:
        if row is None:
            return []
        found = Channel.objects.filter(enabled=True, test=row.status == "Test")
        if row.audience == "internal":
            found = found.filter(audience="internal")
        return sorted(str(key) for key in found.values_list("pk", flat=True))
    return sorted(str(key) for key in Channel.objects.filter(pk__in=[UUID(str(key)) for key in chosen]).values_list("pk", flat=True))


def _set_regions(act: Act, row: Alert, regions: list, how: str = "chosen") -> None:
    keys = list(dict.fromkeys(UUID(str(key)) for key in regions))
    known = dict(Region.objects.filter(pk__in=keys).values_list("pk", "name"))
    if not known:
        raise NO_REGION(fields=[{"field": "regions", "why": "at least one"}])
    AlertRegion.plain.filter(alert=row).delete()
    AlertRegion.plain.bulk_create(AlertRegion(realm_id=act.realm.pk, alert=row, region_id=key, how=how) for key in keys if key in known)
    row.region_id = compute.around([key for key in keys if key in known])
    row.area_text = "、".join(known[key] for key in keys if key in known)
    shape = compute.shape_of(known)
    row.area_wkb = shapely.to_wkb(shape) if shape is not None else None


def _draw(act: Act, row: Alert, drawn: dict[str, Any], regions: list) -> BaseGeometry | None:
    """The places, and the area as drawn (None: as the places are); without places named, those it warns."""
    shape = compute.drawn(drawn) if drawn else None
    drawn = {name: drawn[name] for name in (*compute.SHAPES, "from", "to", "km", "model") if name in drawn}
    _set_regions(act, row, regions or (compute.warned_by(shape) if shape is not None else []))
    row.drawn = drawn
    if shape is not None:
        row.area_wkb = shapely.to_wkb(compute.outline(shape))
        row.area_text = "：".join(filter(None, [compute.area_words(drawn), row.area_text]))
    return shape


def _say_drawn(act: Act, row: Alert, shape: BaseGeometry | None) -> None:
    if shape is None:
        return
    with translation.override("zh-hans"):
        text = compute.said(row.drawn)
    kind, digest = next(name for name in compute.SHAPES if name in row.drawn), "sha256:" + hashlib.sha256(canonical(row.drawn)).hexdigest()
    act.state(AreaDrawn(alert=row.pk, shape=kind, text=text, km2=compute.km2(shape), digest=digest), about=row, cause=row.last_fact)


def _settle(act: Act, row: Alert, save: bool = True) -> None:
    """Judge the whole as CAP before anybody approves it, and bind its digest."""
    if row.silent and (why := not_silent(row)):
        raise NOT_SILENT(reason=why)
    row.endings = texts.endings(row) if row.kind not in (Alert.RELAY, Alert.OUTSIDE) and row.msg_type != "Cancel" else {}
    trial_sent, row.sent = row.sent, row.sent or act.now
    if row.kind != Alert.RELAY:
        try:
            cap.build(compute.message_of(row))
        except cap.CapError as error:
            raise BAD_CONTENT(reason=str(error)) from None
    row.sent = trial_sent
    row.content_hash = content_hash(row)
    if save:
        row.save()


def _composed(row: Alert) -> AlertComposed:
    return AlertComposed(alert=row.pk, kind=row.kind, hazard=row.hazard, colour=row.colour, regions=row.region_ids, content_hash=row.content_hash)


def _must(act: Act, row: Alert, capability: str) -> None:
    keys = row.region_ids or ([str(row.region_id)] if row.region_id else [])
    for key in keys:
        access.require(act, capability, region=UUID(key))
    if not keys:
        access.require(act, capability)


def _person(act: Act) -> UUID:
    if act.actor.person_id is None or act.actor.machine_name:
        raise NO_PERSON()
    return act.actor.person_id


# --- two persons -----------------------------------------------------------------------------------------------------


@action("warning.submit")
def submit(act: Act, *, alert: UUID) -> Alert:
    """Put a draft to a second person: whoever is on duty as leader there gets it as work."""
    row = act.lock(Alert, alert)
    _must(act, row, "warning.compose")
    if row.state != Alert.DRAFT:
        raise NOT_POSSIBLE(state=row.get_state_display())
    _person(act)
    row.state = Alert.REVIEW
    act.save(row)
    row.last_fact = act.state(AlertSubmitted(alert=row.pk, content_hash=row.content_hash), about=row, cause=act.cause or row.last_fact)
    row.save(update_fields=["last_fact"])
    post = queries.approver_post(row)
    if post is not None:
        minutes = hazards.proposal_rules()["answer_minutes"].get(row.colour, 30)
        work.open(
            act, post=post, kind="warning.approve", subject=f"alert:{row.pk}", region=row.region_id, msgid=gettext_noop("Approve for the public: {headline}"),
            params={"headline": row.headline}, due_at=act.now + timedelta(minutes=minutes), level=row.colour, cause=row.last_fact,
        )
    return row


@action("warning.approve")
def approve(act: Act, *, alert: UUID, seen_hash: str) -> Alert:
    """A second natural person approves exactly the content seen. Needs warning.approve and the second factor."""
    row = act.lock(Alert, alert)
    _must(act, row, "warning.approve")
    person = _person(act)
    if row.state not in (Alert.REVIEW, Alert.DRAFT):
        raise NOT_POSSIBLE(state=row.get_state_display())
    if row.author is None or person in {row.author, row.editor} | wrote(row) or act.actor.on_behalf_of is not None:
        raise SECOND_PERSON()
    if seen_hash != row.content_hash or content_hash(row) != row.content_hash:
        raise CONTENT_CHANGED()
    row.state, row.approver, row.approved_at, row.approved_hash = Alert.APPROVED, person, act.now, row.content_hash
    act.save(row)
    row.last_fact = act.state(
        AlertApproved(alert=row.pk, author=row.author, approver=person, content_hash=row.content_hash), about=row, cause=act.cause or row.last_fact
    )
    row.save(update_fields=["last_fact"])
    work.close(act, kind="warning.approve", subject=f"alert:{row.pk}", outcome="approved")
    return row


def wrote(row: Alert) -> set[UUID | None]:
    """Every person who ever changed its content, by the journal: the row names the first and the last."""
    return {fact.person for fact in journal.about(f"alert:{row.pk}") if fact.kind == "warning.AlertComposed"}


@action("warning.send_back")
def send_back(act: Act, *, alert: UUID, reason: str) -> Alert:
    """The second person refuses, with a reason; the draft goes back to its author."""
    row = act.lock(Alert, alert)
    _must(act, row, "warning.approve")
    if row.state not in (Alert.REVIEW, Alert.APPROVED):
        raise NOT_POSSIBLE(state=row.get_state_display())
    return _return(act, row, Alert.DRAFT, reason)


@action("warning.drop")
def drop(act: Act, *, alert: UUID, reason: str) -> Alert:
    """Give up a draft that never went out."""
    row = act.lock(Alert, alert)
    _must(act, row, "warning.compose")
    if row.state not in (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED):
        raise NOT_POSSIBLE(state=row.get_state_display())
    return _return(act, row, Alert.DROPPED, reason)


def _return(act: Act, row: Alert, state: str, reason: str) -> Alert:
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row.state, row.reason = state, reason.strip()
    row.approver = row.approved_at = None
    row.approved_hash = ""
    act.save(row)
    row.last_fact = act.state(AlertReturned(alert=row.pk, state=state, reason=row.reason), about=row, cause=act.cause or row.last_fact)
    row.save(update_fields=["last_fact"])
    work.close(act, kind="warning.approve", subject=f"alert:{row.pk}", outcome="refused")
    return row


@action("warning.issue")
def issue(act: Act, *, alert: UUID) -> Alert:
    """Let an alert go out. Internal ones by one person; public ones only approved, with exactly the approved content.

    What was issued is frozen: `sent`, the CAP message, the digest. Sending happens after the transaction (flow: warning.deliver).
    """
    row = act.lock(Alert, alert)
    public = row.audience == "public"
    _must(act, row, "warning.issue" if public else "warning.issue_internal")
    return _let_out(act, row, _person(act))


def _let_out(act: Act, row: Alert, person: UUID) -> Alert:
    from . import following

    public = row.audience == "public"
    if row.state not in ((Alert.APPROVED,) if public else (Alert.DRAFT, Alert.REVIEW, Alert.APPROVED)):
        raise NOT_POSSIBLE(state=row.get_state_display())
    if content_hash(row) != row.content_hash or (public and row.approved_hash != row.content_hash):
        raise CONTENT_CHANGED()
    table = issuers.table()
    allowed, why = table.allows(table.ours.code, row.hazard, row.kind, row.audience)
    if not allowed:
        raise NOT_OURS(reason=why)
    if row.expires and row.expires <= act.now and row.msg_type != "Cancel":
        raise BAD_TIMES(fields=[{"field": "expires", "why": "has passed"}])
    before = act.lock(Alert, row.predecessor_id, check_version=False) if row.predecessor_id else None
    # What the issuer changed or lifted is over already, and so is what an update has replaced in all places but some.
    late = row.kind == Alert.RELAY or (before is not None and before.state == Alert.UPDATED and row.ending == "all_clear")
    if before is not None and before.state != Alert.ISSUED and not late:
        raise NOT_POSSIBLE(state=before.get_state_display())
    row.state, row.issued_by, row.issued_at, row.table_version = Alert.ISSUED, person, act.now, table.version
    if row.kind == Alert.RELAY:
        row.cap_xml = bytes(row.relay_of.original.raw) if row.relay_of and row.relay_of.original else None
    else:
        row.sent = act.now.replace(microsecond=0)
        row.cap_xml = cap.build(compute.message_of(row))
    act.save(row)
    row.last_fact = act.state(
        AlertIssued(
            alert=row.pk, kind=row.kind, hazard=row.hazard, colour=row.colour, regions=row.region_ids, msg_type=row.msg_type, audience=row.audience,
            sent=row.sent, content_hash=row.content_hash, predecessor=str(row.predecessor_id or ""),
        ),
        about=row, cause=act.cause or row.last_fact,
    )
    row.save(update_fields=["last_fact"])
    work.close(act, kind="warning.approve", subject=f"alert:{row.pk}", outcome="issued")
    if row.relay_of_id:
        for kind in ("warning.outside", "warning.changed"):
            work.close(act, kind=kind, subject=f"alert:{row.relay_of_id}", outcome="relayed")
    if before is not None and before.state == Alert.ISSUED:
        end(act.child(cause=row.last_fact), before, Alert.CANCELLED if row.msg_type == "Cancel" else Alert.UPDATED, row.reason)
    following.left_out(act, row)
    if row.expires:
        due.at(act, max(row.expires, act.now), "warning.expire", subject=f"alert:{row.pk}")
    return row


def end_holds(act: Act, row: Alert) -> datetime:
    """Until when an end stands: at least as long as its warning would have, for whoever fetches messages late and still holds that."""
    return max(act.now + timedelta(hours=DEFAULT_HOURS), row.expires or act.now)


def end(act: Act, row: Alert, state: str, reason: str) -> None:
    """A live alert is over. Called inside an action with the row locked."""
    row.state, row.ended_at = state, act.now
    row.reason = reason or row.reason
    act.save(row)
    due.cancel(act, "warning.expire", f"alert:{row.pk}")
    if row.issued_at:
        due.at(act, act.now + timedelta(minutes=10), "warning.recount", subject=f"alert:{row.pk}")  # what came back until the end
    row.last_fact = act.state(
        WarningEnded(
            alert=row.pk, kind=row.kind, hazard=row.hazard, colour=row.colour, regions=row.region_ids, outcome=state, reason=row.reason
        ),
        about=row, cause=act.cause or row.last_fact,
    )
    row.save(update_fields=["last_fact"])
    work.close(act, kind=SEEING, subject=f"alert:{row.pk}", outcome="overtaken")


@action("warning.update")
def update(act: Act, *, alert: UUID, changes: dict | None = None) -> Alert:
    """Start an update of an issued alert: a new draft with the old content, that replaces it when it is issued."""
    row = act.lock(Alert, alert)
    if row.state != Alert.ISSUED or row.kind == Alert.RELAY:
        raise NOT_POSSIBLE(state=row.get_state_display())
    values = {
        "hazard": row.hazard, "colour": row.colour, "regions": row.region_ids, "headline": row.headline, "description": row.description,
        "instruction": row.instruction, "urgency": row.urgency, "certainty": row.certainty, "translations": row.translations,
        "channels": row.channels, "scope": row.scope, "contact": row.contact, "status": row.status, "expires": row.expires, "onset": row.onset,
        "area": bytes(row.area_wkb) if row.area_wkb else None,
    }
    if changes and ("regions" in changes or "drawn" in changes):
        values["area"] = None
    draft = compose(act, kind=row.kind, predecessor=row.pk, msg_type="Update", **(values | (changes or {})))
    return draft


@action("warning.correct")
def correct(act: Act, *, alert: UUID, changes: dict) -> Alert:
    """Start a silent correction: words, contact or translations of an issued alert, nothing a reader would act on. It alarms nobody again."""
    if not changes or set(changes) - {"headline", "description", "instruction", "translations", "contact"}:
        raise NOT_SILENT(reason=", ".join(sorted(set(changes) - {"headline", "description", "instruction", "translations", "contact"})) or "-")
    return update(act, alert=alert, changes={**changes, "silent": True})


@action("warning.end_as_prepared")
def end_as_prepared(act: Act, *, alert: UUID, how: str, reason: str = "") -> Alert:
    """Withdraw an alert of ours (`cancel`) or give the all-clear (`all_clear`) in the words prepared, and to the public approved, with it: one step, one person on shift.

    Needs warning.issue_internal there. Ending takes nothing from anybody that two persons did not agree to beforehand.
    """
    row = act.lock(Alert, alert)
    _must(act, row, "warning.issue_internal")
    if row.state != Alert.ISSUED or how not in row.endings:
        raise NOT_POSSIBLE(state=row.get_state_display())
    return _ended(act, row, how, reason)


def _ended(act: Act, row: Alert, how: str, reason: str, places: list[str] | None = None, only_left_by: Alert | None = None) -> Alert:
    """The end prepared with an alert, let out: for all it warned, for some of its places, or only for whom an update's area leaves out."""
    person, words = _person(act), row.endings[how]
    ended = Alert(
        realm_id=act.realm.pk, kind=row.kind, audience=row.audience, identifier="", sender=row.sender, issuer=row.issuer, issuer_name=row.issuer_name,
        status=row.status, scope=row.scope, msg_type="Cancel", hazard=row.hazard, event=row.event, colour=row.colour, category=row.category,
        severity=row.severity, urgency="Past", certainty=row.certainty, language=row.language, headline=words["headline"],
        description=words["description"], translations=words.get("translations", {}), contact=row.contact, channels=row.channels,
        expires=end_holds(act, row), predecessor=row, series=row.thread, ending=how, reason=reason.strip(), state=Alert.APPROVED,
        author=row.author, approver=row.approver, approved_at=row.approved_at, only_left_by=only_left_by,
    )
    ended.identifier = f"urn:uuid:{ended.pk}"
    ended.save(force_insert=True)
    _set_regions(act, ended, places or row.region_ids)
    if not places:
        ended.area_wkb, ended.drawn, ended.area_text = row.area_wkb, row.drawn, row.area_text
    if only_left_by is not None:  # its regions are warned still, and no shape without holes says where it is over
        ended.area_wkb, ended.area_text = None, f"原预警范围以内、更新后的范围以外（{ended.area_text}）"
    _settle(act, ended, save=False)
    ended.approved_hash = ended.content_hash
    ended.save()
    if why := not_prepared(ended):
        raise NOT_SENT(reason=why)
    ended.last_fact = act.state(_composed(ended), about=ended, cause=act.cause or row.last_fact)
    ended.save(update_fields=["last_fact"])
    act.state(AlertCancelled(alert=row.pk, by=person, reason=reason.strip() or how), about=row, cause=ended.last_fact)
    return _let_out(act, ended, person)


@action("warning.cancel")
def cancel(act: Act, *, alert: UUID, reason: str) -> Alert:
    """Start the cancellation of an issued alert: for internal ones it goes out at once, for the public a second person approves it.

    Withdrawing a wrong public warning is itself a public message. Returns the cancelling alert.
    """
    from . import following

    row = act.lock(Alert, alert)
    _must(act, row, "warning.compose")
    if row.state != Alert.ISSUED:
        raise NOT_POSSIBLE(state=row.get_state_display())
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    person = _person(act)
    if row.kind == Alert.RELAY:
        # The message is not ours to cancel; we stop passing it on.
        act.state(AlertCancelled(alert=row.pk, by=person, reason=reason.strip()), about=row, cause=row.last_fact)
        end(act, row, Alert.CANCELLED, reason.strip())
        following.withdrawn(act, row)
        return row
    draft = compose(
        act, kind=row.kind, hazard=row.hazard, colour=row.colour, regions=row.region_ids, headline=_cancelled(row.headline), description=reason.strip(),
        urgency="Past", certainty=row.certainty, channels=row.channels, scope=row.scope, contact=row.contact, status=row.status, predecessor=row.pk,
        msg_type="Cancel", area=bytes(row.area_wkb) if row.area_wkb else None, expires=end_holds(act, row),
    )
    act.state(AlertCancelled(alert=row.pk, by=person, reason=reason.strip()), about=row, cause=draft.last_fact)
    if row.audience == "internal":
        return issue(act, alert=draft.pk)
    return submit(act, alert=draft.pk)


def _cancelled(headline: str) -> str:
    return f"解除：{headline}"[:300]


@action("warning.expire")
def expire(act: Act, *, alert: UUID) -> None:
    """Timer: the end of an alert has come on the realm's clock. A cancel that still waits for somebody stands: whoever heard the warning hears its end, however long the queue."""
    row = act.lock(Alert, alert)
    waits = Attempt.plain.filter(alert=row, state__in=[Attempt.QUEUED, Attempt.CLAIMED]).exists() or WorkItem.objects.everything().filter(
        realm=act.realm, kind="warning.call_down", subject=f"alert:{row.pk}", state=WorkItem.OPEN
    ).exists()
    if row.state == Alert.ISSUED and row.msg_type == "Cancel" and waits:
        due.at(act, act.now + STILL_SENDING, "warning.expire", subject=f"alert:{row.pk}")
    elif row.state in Alert.LIVE:
        end(act, row, Alert.EXPIRED, "")


@action("warning.acknowledge")
def acknowledge(act: Act, *, alert: UUID) -> Alert:
    """A person at a post has seen the alert: the work item closes, the in-app attempt gets its receipt."""
    row = act.lock(Alert, alert, check_version=False)
    held = access.posts(act.actor)
    attempts = list(Attempt.plain.filter(alert=row, channel__adapter="in_app", target__in=[f"post:{key}" for key in held]))
    if not attempts and not work.waiting_for(act.actor, act.realm).filter(subject=f"alert:{row.pk}").exists():
        access.require(act, "warning.read", region=row.region_id)
    for attempt in attempts:
        Receipt.plain.get_or_create(
            attempt=attempt, kind="acknowledged", defaults={"realm_id": act.realm.pk, "at": act.now, "person": act.actor.person_id}
        )
    for post in held:
        closed = work.close(act, kind=(*SEEING, "warning.withdrawn"), subject=f"alert:{row.pk}", outcome="acknowledged", post=post)
        if closed or any(attempt.target == f"post:{post}" for attempt in attempts):
            act.state(AlertAcknowledged(alert=row.pk, post=post), about=row, cause=row.last_fact)
    return row


# --- from outside ----------------------------------------------------------------------------------------------------


def _outside(act: Act, row: Alert, real: bool) -> None:
    """State what came in, wake the duty officer when it is real, arm its end."""
    if not real:
        row.last_fact = act.state(OutsideMessageNoted(alert=row.pk, status=row.status, msg_type=row.msg_type), about=row)
        row.save(update_fields=["last_fact"])
        return
    row.last_fact = act.state(_received(row, row.region_ids), about=row)
    row.save(update_fields=["last_fact"])
    if row.expires:
        due.at(act, row.expires, "warning.expire", subject=f"alert:{row.pk}")
    post = parties.duty_post(row.region_id)
    if post is not None:
        work.open(act, post=post, kind="warning.outside", subject=f"alert:{row.pk}", **_asks(act, row))


def _received(row: Alert, regions: list[str]) -> OutsideWarningReceived:
    return OutsideWarningReceived(
        alert=row.pk, issuer=row.issuer, issuer_name=row.issuer_name, hazard=row.hazard, colour=row.colour, regions=regions, sent=row.sent, msg_type=row.msg_type, heard_by=row.heard_by,
    )


def _asks(act: Act, row: Alert) -> dict[str, Any]:
    """What the duty officer is asked about a warning from outside."""
    minutes = hazards.proposal_rules()["answer_minutes"].get(row.colour, 30)
    return {
        "region": row.region_id, "msgid": gettext_noop("{issuer}: {headline}. Relay it, or confirm you have seen it."),
        "params": {"issuer": row.issuer_name, "headline": row.headline or row.event}, "due_at": act.now + timedelta(minutes=minutes), "level": row.colour, "cause": row.last_fact,
    }


@action("warning.enter_by_hand")
def enter_by_hand(
    act: Act, *, hazard: str, colour: str, issuer: str, regions: list, text: str = "", headline: str = "", heard_by: str = "phone",
    sent: datetime | None = None, heard_at: datetime | None = None, expires: datetime | None = None, issuer_name: str = "", identifier: str = "",
    contact: str = "",
) -> Alert:
    """Take down an outside warning heard by phone, fax or chat: colour, hazard, issuer, places, text, time. Needs warning.enter.

    `sent` is the issuer's own time, `heard_at` when we heard it; the fact's event time is `act.occurred_at` or `sent`.
    """
    access.require(act, "warning.enter")
    table = issuers.table()
    if issuer not in table.issuers or table.issuers[issuer].ours:
        raise UNKNOWN_ISSUER(issuer=issuer, fields=[{"field": "issuer", "why": "unknown"}])
    if hazard not in hazards.table():
        raise BAD_HAZARD(hazard=hazard, fields=[{"field": "hazard", "why": "unknown"}])
    if colour not in RANK or not colour:
        raise BAD_COLOUR(colour=colour, fields=[{"field": "colour", "why": "unknown"}])
    sent = sent or act.occurred_at or act.now
    act.occurred_at = act.occurred_at or sent
    event = hazards.table()[hazard].name_zh
    raw = "\n".join(filter(None, [headline, text])).encode()
    original = act.create(Original, raw=raw, sha256=hashlib.sha256(raw).hexdigest(), source=f"{heard_by}: {contact}".strip(": "))
    names = issuer_name or table.issuers[issuer].name_zh
    row = Alert(
        realm_id=act.realm.pk, kind=Alert.OUTSIDE, state=Alert.RECEIVED, audience="public", sender=f"{issuer}@by-hand", issuer=issuer,
        issuer_name=names, sent=sent, status=_status(act), hazard=hazard, colour=colour, event=event, category=compute.category_of(hazard),
        severity=compute.severity_of(colour), urgency="Immediate" if RANK[colour] >= 3 else "Expected", certainty="Likely",
        headline=headline or f"{event}{COLOUR_ZH[colour]}预警", description=text, expires=expires,
        heard_by=heard_by if heard_by in HEARD_BY else "other", heard_at=heard_at or act.now, author=act.actor.person_id, original=original,
        contact=contact, table_version=table.version, signature="absent", effective=sent,
    )
    # Repeatable: the same operation gives the same key. Entered twice by two people it is two rows, both kept.
    row.identifier = identifier or f"by-hand-{act.op_id}"
    _end_older(act, row, regions)
    row.save(force_insert=True)
    _set_regions(act, row, regions)
    row.save()
    row.content_hash = content_hash(row)
    row.save(update_fields=["content_hash"])
    _outside(act, row, real=True)
    return row


def _end_older(act: Act, row: Alert, regions: list) -> None:
    """A later warning of the same issuer and hazard for all of an earlier one's places replaces it, by hand as in a feed."""
    from . import following

    keys = {str(key) for key in regions}
    # The newest last: that is the one it follows.
    for old in Alert.plain.select_for_update(of=("self",)).filter(
        realm=act.realm, kind=Alert.OUTSIDE, state=Alert.RECEIVED, issuer=row.issuer, issuer_name=row.issuer_name, hazard=row.hazard, heard_by__in=["phone", "fax", "chat", "other"]
    ).order_by("sent"):
        if old.sent and row.sent and old.sent <= row.sent and set(old.region_ids) <= keys and old.identifier != row.identifier:
            row.predecessor, row.series = old, old.thread
            end(act.child(), old, Alert.UPDATED, "")
            following.followed(act.child(), old, row, Alert.UPDATED)


@action("warning.end_outside")
def end_outside(act: Act, *, alert: UUID, reason: str, outcome: str = "cancelled") -> Alert:
    """The issuer has lifted its warning, as heard by phone, fax or chat. Needs warning.enter."""
    from . import following

    access.require(act, "warning.enter")
    row = act.lock(Alert, alert)
    if row.state != Alert.RECEIVED:
        raise NOT_POSSIBLE(state=row.get_state_display())
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    end(act, row, Alert.CANCELLED if outcome != Alert.EXPIRED else Alert.EXPIRED, reason.strip())
    if outcome != Alert.EXPIRED and Alert.plain.filter(relay_of__in=[row.pk, *chain(row)], issued_at__isnull=False).exists():
        following.followed(act.child(cause=row.last_fact), row, _lifted(act, row, reason.strip()), Alert.CANCELLED)
    return row


def _lifted(act: Act, row: Alert, reason: str) -> Alert:
    """The issuer's word that its warning is over, as somebody took it down: a message of its own, that can be passed on."""
    said = reason.encode()
    found = Alert(
        realm_id=act.realm.pk, kind=Alert.OUTSIDE, state=Alert.CANCELLED, msg_type="Cancel", audience=row.audience, sender=row.sender, issuer=row.issuer,
        issuer_name=row.issuer_name, sent=act.occurred_at or act.now, status=row.status, scope=row.scope, hazard=row.hazard, colour=row.colour, event=row.event,
        category=row.category, severity=row.severity, urgency="Past", certainty=row.certainty, headline=_cancelled(row.headline), description=reason,
        heard_by=row.heard_by if row.heard_by in BY_HAND else "other", heard_at=act.now, author=act.actor.person_id, table_version=row.table_version,
        signature="absent", predecessor=row, series=row.thread, ended_at=act.now,
        original=act.create(Original, raw=said, sha256=hashlib.sha256(said).hexdigest(), source=row.heard_by), area_text=row.area_text, area_wkb=row.area_wkb,
    )
    found.identifier = f"by-hand-{act.op_id}"
    found.save(force_insert=True)
    AlertRegion.plain.bulk_create(AlertRegion(realm_id=act.realm.pk, alert=found, region_id=UUID(key), how="chosen") for key in row.region_ids)
    found.region_id = row.region_id
    found.content_hash = content_hash(found)
    found.last_fact = act.state(OutsideMessageNoted(alert=found.pk, status=found.status, msg_type=found.msg_type), about=found, cause=row.last_fact)
    found.save()
    return found


@dataclass(frozen=True)
class Came:
    """One message from outside: how it came, and from whom by our own knowledge of the link."""

    message: cap.Message
    heard_by: str
    original: Original
    issuer: str = UNKNOWN
    issuer_name: str = ""
    signature: str = ""


def _counts(act: Act, value: cap.Alert) -> bool:
    """Whether it speaks of what is real here: a drill's message ends nothing in actual operations."""
    return value.status == "Actual" or (value.status == "Exercise" and not act.realm.is_actual)


def _as_row(act: Act, came: Came, ground: compute.Ground | None = None) -> tuple[Alert, list[compute.Place]]:
    """The alert a message becomes, not written yet, and our places it is about."""
    message, value = came.message, came.message.alert
    assert value is not None
    ask = ground.once if ground is not None else lambda question, *key: question(*key)
    info = compute.best_info(value)
    areas = [area for one in value.infos for area in one.areas]
    places, unmapped, shape = compute.place_areas(areas, ground)
    hazard = hazards.guess(f"{info.event} {info.headline}", info.event_codes) if info else ""
    colour, said = compute.colour_of(info) if info else ("", False)
    if value.msg_type != "Cancel" and not areas:
        unmapped = [value.infos[0].headline or value.infos[0].event if value.infos else value.identifier]  # it names no place at all: shown with those we could not place
    repairs = list(message.repairs) + [f"not valid: {f.where}: {f.message}" for f in message.findings if not f.note][:10]
    if colour and not said:
        repairs.append("colour taken from severity, by convention")
    row = Alert(
        realm_id=act.realm.pk, kind=Alert.OUTSIDE, state=Alert.RECEIVED, audience="public", identifier=value.identifier[:200], sender=value.sender[:200],
        sent=value.sent, status=value.status if act.realm.is_actual or value.status != "Actual" else "Exercise", msg_type=value.msg_type, scope=value.scope,
        hazard=hazard, colour=colour, issuer=came.issuer, issuer_name=came.issuer_name or (info.sender_name[:200] if info else "") or value.sender[:200],
        heard_by=came.heard_by, heard_at=act.now, original=came.original, repairs=repairs, signature=came.signature or ("unchecked" if message.signature else "absent"),
        unmapped=unmapped, area_text="；".join(dict.fromkeys(area.description for area in areas if area.description))[:20_000],
        area_wkb=shapely.to_wkb(shape) if shape is not None else None, geocodes=[list(pair) for area in areas for pair in area.geocodes][:500],
        table_version=ask(_table_version), expires=value.expires, region_id=ask(compute.around, tuple(place.region for place in places)),
    )
    if info is not None:
        row.event, row.category = info.event[:200], info.categories[0]
        row.urgency, row.severity, row.certainty, row.language = info.urgency, info.severity, info.certainty, (info.language or "en-US")[:20]
        row.headline, row.description, row.instruction = (info.headline or info.event)[:300], info.description, info.instruction
        row.effective, row.onset, row.contact = info.effective or value.sent, info.onset, info.contact[:200]
        row.translations = {
            one.language: {"event": one.event, "headline": one.headline, "description": one.description, "instruction": one.instruction}
            for one in value.infos if one is not info and one.language and one.language != info.language
        }
    row.content_hash = content_hash(row, {place.region for place in places})
    return row, places


def _table_version() -> str:
    return issuers.table().version


def receive_many(act: Act, cames: list[Came]) -> tuple[list[Alert], list[Came]]:
    """Take in what only warns anew, many messages on a few trips to the database: (the alerts, the messages that need `receive`, one by one).

    Left over are updates, cancels, drills, what is over, what may be here already or was ended before it came. Each taken in has its fact and its work all the same.
    """
    senders, wanted = {one.message.alert.sender[:200] for one in cames if one.message.alert}, {one.message.alert.sent for one in cames if one.message.alert}
    known = set(Alert.plain.filter(realm=act.realm, kind=Alert.OUTSIDE, sender__in=senders, sent__in=wanted).values_list("sender", "identifier", "sent"))
    # When each last updated or cancelled something: what was sent before that may be ended already.
    ends = Alert.plain.filter(realm=act.realm, kind=Alert.OUTSIDE, msg_type__in=["Update", "Cancel"], sent__gte=min(wanted)) if wanted else Alert.plain.none()
    restless = dict(ends.filter(sender__in=senders).values_list("sender").annotate(Max("sent")))
    issuing = dict(ends.filter(issuer__in={came.issuer for came in cames} - {UNKNOWN}).values_list("issuer").annotate(Max("sent")))
    plain, left = [], []
    for came in cames:
        value = came.message.alert
        assert value is not None
        triple = (value.sender[:200], value.identifier[:200], value.sent)
        new = value.msg_type == "Alert" and not value.references and _counts(act, value) and (value.expires is None or value.expires > act.now)
        if new and triple not in known and not any(last is not None and last >= value.sent for last in (restless.get(triple[0]), issuing.get(came.issuer))):
            plain.append(came)
            known.add(triple)
        else:
            left.append(came)
    if not plain:
        return [], left
    ground = compute.Ground(whole=len(plain) > FEW)
    made = [_as_row(act, came, ground) for came in plain]
    rows = [row for row, _places in made]
    for row in rows:
        row.last_fact = new_id()  # named beforehand, so that the row need not be written twice
    try:
        with transaction.atomic():
            Alert.plain.bulk_create(rows)
    except IntegrityError:
        return [], cames  # another worker took one of them in meanwhile
    AlertRegion.plain.bulk_create(
        AlertRegion(realm_id=act.realm.pk, alert=row, region_id=place.region, how=place.how, share=place.share) for row, places in made for place in places
    )
    act.state_many((_received(row, sorted(str(place.region) for place in places)), row, None, row.sent, row.last_fact) for row, places in made)
    search.written(rows)
    due.at_many(act, [(row.expires, "warning.expire", f"alert:{row.pk}") for row in rows if row.expires])
    posts = [(row, ground.once(parties.duty_post, row.region_id)) for row in rows]
    work.open_many(act, [{"post": post.pk, "kind": "warning.outside", "subject": f"alert:{row.pk}", **_asks(act, row)} for row, post in posts if post is not None])
    return rows, left


def _speaks_for(row: Alert, earlier: Alert) -> bool:
    """Whether a message may change or lift another one, whichever came first: it has the same sender, or came over a link of the same known issuer, and is not badly signed.

    What else a link says of others' warnings is kept and not applied.
    """
    return row.signature != "invalid" and (row.sender == earlier.sender or row.issuer == earlier.issuer != UNKNOWN)


def receive(act: Act, came: Came) -> Alert | None:
    """Take in one CAP message. None when it is already here. Called inside an action (exchange.take_in).

    Updates and cancels end what they refer to; what they refer to may come later, and is then ended on arrival.
    """
    from . import following

    value = came.message.alert
    assert value is not None
    if Alert.plain.filter(realm=act.realm, kind=Alert.OUTSIDE, sender=value.sender[:200], identifier=value.identifier[:200], sent=value.sent).exists():
        return None
    row, places = _as_row(act, came)
    act.occurred_at = value.sent
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return None  # another worker took the same message in
    AlertRegion.plain.bulk_create(
        AlertRegion(realm_id=act.realm.pk, alert=row, region_id=place.region, how=place.how, share=place.share) for place in places
    )
    over = row.expires is not None and row.expires <= act.now
    counts = _counts(act, value)
    real = counts and value.msg_type in ("Alert", "Update") and not over
    _outside(act, row, real)
    inner = act.child(cause=row.last_fact)
    inner.occurred_at = None
    named: list[Alert] = []
    strange: list[Alert] = []
    if counts:
        for reference in value.references:
            earlier = Alert.plain.select_for_update(of=("self",)).filter(
                realm=act.realm, kind=Alert.OUTSIDE, sender=reference.sender[:200], identifier=reference.identifier[:200], sent=reference.sent
            ).first()
            if earlier is not None and value.msg_type in ("Update", "Cancel") and not _speaks_for(row, earlier):
                strange.append(earlier)
            elif earlier is not None and value.msg_type in ("Update", "Cancel"):
                if row.predecessor is None or row.predecessor.sent < earlier.sent:  # it may name all that came before it
                    row.predecessor, row.series = earlier, earlier.thread
                if earlier.state == Alert.RECEIVED:
                    end(inner, earlier, Alert.CANCELLED if value.msg_type == "Cancel" else Alert.UPDATED, "")
                named.append(earlier)
        why = "its signature is missing or wrong" if row.signature == "invalid" else "that is another sender's"
        row.repairs = [*row.repairs, *(f"not applied to {one.identifier}: {why} ({one.sender})" for one in strange)]
        before = chain(row) if len(named) > 1 else [row.predecessor_id]
        row.also = [str(one.pk) for one in named if one.pk not in before]
        if row.predecessor or strange:
            row.content_hash = content_hash(row)
            row.save(update_fields=["predecessor", "also", "series", "content_hash", "repairs"])
    for earlier in named:
        following.followed(inner, earlier, row, Alert.CANCELLED if value.msg_type == "Cancel" else Alert.UPDATED)
    if over:
        end(inner, row, Alert.EXPIRED, "")
    elif counts and value.msg_type == "Cancel":
        end(inner, row, Alert.CANCELLED, "")
        _ask_what_is_lifted(inner, row, strange, lost=not value.references)
    elif real:
        _ended_before_it_came(inner, row)
    return row


def _ask_what_is_lifted(act: Act, row: Alert, strange: list[Alert], lost: bool) -> None:
    """A cancel that is not applied, or names nothing that can be read, while warnings of its sender stand: a person asks the issuer."""
    said = gettext_noop("{issuer} lifts “{headline}”, which another sender issued: it is not lifted here. Ask its issuer.")
    if strange and row.signature == "invalid":
        said = gettext_noop("“{headline}” is lifted by a message whose signature is missing or wrong: it is not lifted here. Ask {issuer}.")
    about = strange[:1]
    if not about and lost:
        said = gettext_noop("{issuer} lifts a warning and does not say which; “{headline}” stands. Ask its issuer which one is over.")
        about = list(Alert.plain.filter(realm=act.realm, kind=Alert.OUTSIDE, state=Alert.RECEIVED, sender=row.sender).order_by("-sent")[:1])
    post = parties.duty_post(row.region_id or (about[0].region_id if about else None)) if about else None
    if post is not None:
        asked = {**_asks(act, about[0]), "msgid": said, "cause": row.last_fact}
        asked["params"] = {**asked["params"], "issuer": row.issuer_name}
        work.open(act, post=post, kind="warning.outside", subject=f"alert:{row.pk}", **asked)


def _ended_before_it_came(act: Act, row: Alert) -> None:
    """Feeds come out of order: a cancel or update that named this message may already be here."""
    from . import following

    naming = Func(Value(row.identifier.encode()), F("original__raw"), template="position(%(expressions)s)", arg_joiner=" in ", output_field=IntegerField())
    for later in Alert.plain.annotate(naming=naming).filter(
        Q(sender=row.sender) | Q(issuer=row.issuer), realm=act.realm, kind=Alert.OUTSIDE, status=row.status, msg_type__in=["Update", "Cancel"], sent__gte=row.sent, naming__gt=0
    ).exclude(pk=row.pk).select_related("original"):
        if not _speaks_for(later, row):
            continue
        for message in cap.read(bytes(later.original.raw)).messages:
            value = message.alert
            if value and value.identifier == later.identifier and any(
                (one.sender, one.identifier, one.sent) == (row.sender, row.identifier, row.sent) for one in value.references
            ):
                state = Alert.CANCELLED if later.msg_type == "Cancel" else Alert.UPDATED
                end(act, row, state, "")
                if later.predecessor is None:  # through this one it ends what we may have passed on
                    later.predecessor, later.series = row, row.thread
                    later.content_hash = content_hash(later)
                    later.save(update_fields=["predecessor", "series", "content_hash"])
                    following.followed(act, row, later, state)
                return


def refuse_message(act: Act, *, raw: bytes, source: str, reason: str) -> Original:
    """Keep what could not be read, with its reason, and ask a person to look. Called inside an action."""
    digest = hashlib.sha256(raw).hexdigest()
    known = Original.plain.filter(realm=act.realm, sha256=digest).exclude(refused="").first()
    if known is not None:
        return known  # a feed that serves the same broken bytes each minute asks once
    row = act.create(Original, raw=raw[:KEPT_BYTES], sha256=digest, source=source[:200], refused=reason[:2000])
    fact = act.state(OutsideMessageRefused(original=row.pk, source=source[:200], reason=reason[:500]), about=row)
    post = parties.duty_post(None)
    if post is not None:
        work.open(
            act, post=post, kind="warning.unreadable", subject=f"original:{row.pk}", msgid=gettext_noop("A message from {source} could not be read: look at it."),
            params={"source": source[:120]}, due_at=act.now + timedelta(minutes=30), level="", cause=fact,
        )
    return row


@action("warning.looked_at_refused")
def looked_at_refused(act: Act, *, original: UUID) -> Original:
    """A person has looked at a message that could not be read. Needs warning.enter."""
    access.require(act, "warning.enter")
    row = act.lock(Original, original)
    work.close(act, kind="warning.unreadable", subject=f"original:{row.pk}", outcome="seen")
    return row


@action("warning.relay")
def relay(act: Act, *, alert: UUID, regions: list | None = None, channels: list | None = None, audience: str = "public") -> Alert:
    """Pass an outside warning on, unchanged: text, issuer, time. To the public it still needs the second person."""
    source = act.lock(Alert, alert)
    if source.kind != Alert.OUTSIDE or source.state != Alert.RECEIVED or source.status not in ("Actual", "Exercise"):
        raise NOT_POSSIBLE(state=source.get_state_display())
    row = Alert(realm_id=act.realm.pk, kind=Alert.RELAY, state=Alert.DRAFT, author=_person(act), editor=act.actor.person_id, relay_of=source)
    for name in (
        "identifier", "sender", "sent", "msg_type", "scope", "hazard", "event", "colour", "category", "urgency", "severity", "certainty", "language",
        "headline", "description", "instruction", "translations", "effective", "onset", "expires", "contact", "area_text", "area_wkb", "geocodes",
        "unmapped", "issuer", "issuer_name", "original_id", "signature", "repairs",
    ):
        setattr(row, name, getattr(source, name))
    row.series = source.thread
    in_app_channel()
    row.status = _status(act, source.status)
    row.audience = "public" if audience == "public" else "internal"
    # A change of what we passed on goes where that went, and replaces it there.
    before = Alert.plain.filter(kind=Alert.RELAY, relay_of__in=chain(source), audience=row.audience, issued_at__isnull=False).order_by("-issued_at").first()
    row.predecessor = before
    row.channels = _channels(before.channels if before is not None and channels is None else channels, row)
    row.save(force_insert=True)
    keys = regions if regions is not None else source.region_ids
    AlertRegion.plain.bulk_create(AlertRegion(realm_id=act.realm.pk, alert=row, region_id=UUID(str(key)), how="chosen") for key in keys)
    row.region_id = compute.around(UUID(str(key)) for key in keys)
    _must(act, row, "warning.compose")
    _settle(act, row)
    row.last_fact = act.state(_composed(row), about=row, cause=source.last_fact)
    row.save(update_fields=["last_fact"])
    return row if row.audience == "internal" else submit(act, alert=row.pk)


# --- channels and the table of issuers -------------------------------------------------------------------------------


def unconfirmed(act: Act, row: Channel, op: str) -> None:
    """Whatever is done to a channel's entry voids the second person's word: it is off until it is given anew. In-app and test channels need none."""
    if op == "end" and not row.outward:
        raise NOT_POSSIBLE(state=row.name)  # our own posts are always reached
    row.added_by, row.confirmed_by = act.actor.person_id, None
    row.enabled = row.ended_at is None and (not row.outward or row.test)
    act.state(ChannelChanged(channel=row.pk, change={"create": "added", "change": "changed", "end": "removed", "restore": "restored"}[op]), subject=f"channel:{row.pk}")


@action("warning.renew_secret")
def renew_secret(act: Act, *, channel: UUID) -> Channel:
    """The secret of a channel is about to be another: it is off until a second person confirms it. The secret itself never comes here."""
    access.require(act, "warning.channels")
    row = act.lock(Channel, channel)
    unconfirmed(act, row, "change")
    act.save(row)
    return row


@action("warning.confirm_channel")
def confirm_channel(act: Act, *, channel: UUID, seen_version: int) -> Channel:
    """A second natural person switches an outward channel on, as it stood when they read it (`seen_version`). Needs warning.channels and the second factor."""
    access.require(act, "warning.channels")
    row = act.lock(Channel, channel)
    if row.version != seen_version:
        raise STALE(expected=seen_version, found=row.version)
    person = _person(act)
    if person in {row.added_by} | _changed_by(row):
        raise SECOND_PERSON()
    row.confirmed_by, row.enabled = person, True
    act.save(row)
    act.state(ChannelChanged(channel=row.pk, change="confirmed"), about=row)
    return row


def _changed_by(row: Channel) -> set[UUID | None]:
    """Every person who changed its entry since a second one last gave their word, by the journal: the row names the last."""
    found: set[UUID | None] = set()
    for fact in journal.about(f"channel:{row.pk}"):
        if fact.kind == "warning.ChannelChanged" and fact.payload["change"] != "off":
            found = set() if fact.payload["change"] == "confirmed" else found | {fact.person}
    return found


@action("warning.switch_off_channel")
def switch_off_channel(act: Act, *, channel: UUID, reason: str) -> Channel:
    """Stop a channel at once; one person may. Switching it on again needs two."""
    access.require(act, "warning.issue_internal")
    row = act.lock(Channel, channel)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    if row.confirmed_by is not None:  # what still waits for a second person is not this one's entry
        row.added_by = act.actor.person_id
    row.enabled, row.confirmed_by = False, None
    act.save(row)
    act.state(ChannelChanged(channel=row.pk, change="off"), about=row)
    return row


@action("warning.ask_issuer_table")
def ask_issuer_table(act: Act, *, label: str, body: dict, source: str = "") -> IssuerTable:
    """Put an own version of the table of issuers forward; it takes effect when a second person confirms it."""
    access.require(act, "warning.channels")
    issuers.parse(body, label)
    row = act.create(IssuerTable, label=label, body=body, source=source, digest=issuers.digest(body), asked_by=_person(act))
    fact = act.state(IssuerTableAsked(table=row.pk, label=label, digest=row.digest, refused=False, reason=source), about=row)
    post = parties.post_for(None, ["duty_leader", "deputy_commander", "commander"])
    if post is not None:
        work.open(
            act, post=post, kind="warning.confirm_issuers", subject=f"issuer_table:{row.pk}", params={"label": label},
            msgid=gettext_noop("Another table of who may warn waits for a second person: {label}"), due_at=act.now + timedelta(days=1), cause=fact,
        )
    return row


@action("warning.confirm_issuer_table")
def confirm_issuer_table(act: Act, *, table: UUID, seen_digest: str = "") -> IssuerTable:
    """A second natural person puts a version of the table in force, exactly as seen."""
    access.require(act, "warning.channels")
    row = act.lock(IssuerTable, table)
    if row.asked_by == _person(act):
        raise SECOND_PERSON()
    if row.confirmed_by or row.refused_by:
        raise NOT_POSSIBLE(state=row.label)
    if seen_digest and seen_digest != row.digest:
        raise CONTENT_CHANGED()
    issuers.parse(row.body, row.label)
    IssuerTable.objects.filter(in_force=True).update(in_force=False)
    row.confirmed_by, row.in_force = act.actor.person_id, True
    act.save(row)
    act.state(IssuerTableChanged(table=row.pk, label=row.label, digest=row.digest), about=row)
    work.close(act, kind="warning.confirm_issuers", subject=f"issuer_table:{row.pk}", outcome="confirmed")
    return row


@action("warning.refuse_issuer_table")
def refuse_issuer_table(act: Act, *, table: UUID, reason: str) -> IssuerTable:
    """A version that waits is not taken, with the reason; whoever asked may withdraw it the same way."""
    access.require(act, "warning.channels")
    row = act.lock(IssuerTable, table)
    if row.confirmed_by or row.refused_by:
        raise NOT_POSSIBLE(state=row.label)
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    row.refused_by, row.reason = _person(act), reason.strip()
    act.save(row)
    act.state(IssuerTableAsked(table=row.pk, label=row.label, digest=row.digest, refused=True, reason=row.reason), about=row)
    work.close(act, kind="warning.confirm_issuers", subject=f"issuer_table:{row.pk}", outcome="refused")
    return row
