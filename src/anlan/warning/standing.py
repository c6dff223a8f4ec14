"""Standing authorisations: two persons allow a public warning beforehand; the machine uses it when independent sources agree.

What leaves is judged again at the gate (`gate.not_authorised`); what is decided here is only *when*.
"""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import shapely
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.engines import cap
from anlan.kernel import access, due, parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import REASON_NEEDED
from anlan.kernel.models import Region, RegionPath
from anlan.sensing.models import Series, Signal
from anlan.sensing.quantities import COLOURS

from . import actions, compute, hazards, issuers, texts
from .errors import CONTENT_CHANGED, NOT_OURS, NOT_POSSIBLE, SECOND_PERSON, STANDING_TERMS
from .facts import AlertIssued, StandingAsked, StandingConfirmed, StandingEnded, StandingUsed
from .gate import content_hash, standing_digest
from .models import RANK, Alert, Channel, Standing

LONGEST = timedelta(days=366)  # a flood season and the next spring; who wants it longer signs again
MOST_HOURS = 72


# --- the persons' part -----------------------------------------------------------------------------------------------


@action("warning.ask_standing")
def ask(
    act: Act, *, region: UUID, hazard: str, colour: str, headline: str, description: str, expires: datetime, instruction: str = "", least: int = 2,
    hours: int = 6, channels: list | None = None, translations: dict | None = None,
) -> Standing:
    """Put a standing authorisation forward. Needs warning.issue there; a second person must confirm it.

    warning.standing_terms: fewer than two sources, no text, an end in the past or more than a year away; warning.not_ours.
    """
    access.require(act, "warning.issue", region=region)
    person = actions._person(act)
    if hazard not in hazards.table():
        raise STANDING_TERMS(reason=_("there is no such hazard"), fields=[{"field": "hazard", "why": "unknown"}])
    ours = issuers.table().ours
    allowed, why = issuers.table().allows(ours.code, hazard, Alert.GOVERNMENT, "public")
    if not allowed:
        raise NOT_OURS(reason=why, fields=[{"field": "hazard", "why": why}])
    if not headline.strip() or not description.strip():
        raise STANDING_TERMS(reason=_("headline and text are what two persons answer for"), fields=[{"field": "description", "why": "needed"}])
    if colour not in RANK or not colour:
        raise STANDING_TERMS(reason=_("choose a colour"), fields=[{"field": "colour", "why": "needed"}])
    if least < 2:
        raise STANDING_TERMS(reason=_("at least two independent sources"), fields=[{"field": "least", "why": "2 or more"}])
    if not 1 <= hours <= MOST_HOURS:
        raise STANDING_TERMS(reason=_("a warning under it holds 1 to {most} hours").format(most=MOST_HOURS), fields=[{"field": "hours", "why": f"1 to {MOST_HOURS}"}])
    if not act.now < expires <= act.now + LONGEST:
        raise STANDING_TERMS(reason=_("it ends within a year from now"), fields=[{"field": "expires", "why": "within a year"}])
    if not Region.objects.filter(pk=region).exists():
        raise STANDING_TERMS(reason=_("choose one area"), fields=[{"field": "region", "why": "unknown"}])
    chosen = Channel.objects.filter(test=False) if channels is None else Channel.objects.filter(pk__in=[UUID(str(key)) for key in channels])
    row = Standing(
        realm_id=act.realm.pk, region_id=region, hazard=hazard, colour=colour, least=least, headline=headline.strip(), description=description.strip(),
        instruction=instruction.strip(), translations=translations or {}, hours=hours, channels=sorted(str(key) for key in chosen.values_list("pk", flat=True)),
        expires=expires.replace(microsecond=0), asked_by=person, asked_at=act.now,
    )
    row.digest = standing_digest(row)
    _judge(act, row)
    row.save(force_insert=True)
    row.last_fact = act.state(
        StandingAsked(standing=row.pk, hazard=hazard, colour=colour, region=region, least=least, expires=row.expires, digest=row.digest), about=row
    )
    row.save(update_fields=["last_fact"])
    post = parties.post_for(region, ["duty_leader", "deputy_commander", "commander"])
    if post is not None:
        work.open(
            act, post=post, kind="warning.confirm_standing", subject=f"standing:{row.pk}", region=region,
            msgid=gettext_noop("A standing authorisation to warn the public waits for a second person: {headline}"), params={"headline": row.headline},
            due_at=act.now + timedelta(days=1), cause=row.last_fact,
        )
    return row


def _judge(act: Act, row: Standing) -> None:
    """Its words must make a valid message now, not in the night it is needed."""
    trial = _alert(act, row)
    shape = compute.shape_of([row.region_id])
    trial.area_wkb = shapely.to_wkb(shape) if shape is not None else None
    try:
        cap.build(compute.message_of(trial))
    except cap.CapError as error:
        raise STANDING_TERMS(reason=str(error)) from None


@action("warning.confirm_standing")
def confirm(act: Act, *, standing: UUID, seen_digest: str) -> Standing:
    """A second natural person puts exactly what was seen in force. Needs warning.approve there and the second factor."""
    row = act.lock(Standing, standing)
    access.require(act, "warning.approve", region=row.region_id)
    person = actions._person(act)
    if row.state != Standing.ASKED or row.expires <= act.now:
        raise NOT_POSSIBLE(state=row.get_state_display())
    if person == row.asked_by or act.actor.on_behalf_of is not None:
        raise SECOND_PERSON()
    if seen_digest != row.digest or standing_digest(row) != row.digest:
        raise CONTENT_CHANGED()
    row.state, row.confirmed_by, row.confirmed_at, row.confirmed_digest = Standing.IN_FORCE, person, act.now, row.digest
    act.save(row)
    row.last_fact = act.state(
        StandingConfirmed(standing=row.pk, asked_by=row.asked_by, confirmed_by=person, digest=row.digest, expires=row.expires), about=row, cause=act.cause or row.last_fact
    )
    row.save(update_fields=["last_fact"])
    work.close(act, kind="warning.confirm_standing", subject=f"standing:{row.pk}", outcome="confirmed")
    due.at(act, row.expires, "warning.standing_expire", subject=f"standing:{row.pk}")
    return row


@action("warning.end_standing")
def end(act: Act, *, standing: UUID, reason: str) -> Standing:
    """Refuse one that waits, or revoke one in force, at once. Taking power away needs one person: warning.issue_internal there."""
    row = act.lock(Standing, standing)
    access.require(act, "warning.issue_internal", region=row.region_id)
    actions._person(act)
    if row.state not in (Standing.ASKED, Standing.IN_FORCE):
        raise NOT_POSSIBLE(state=row.get_state_display())
    if not reason.strip():
        raise REASON_NEEDED(fields=[{"field": "reason", "why": "needed"}])
    _end(act, row, Standing.REVOKED if row.state == Standing.IN_FORCE else Standing.REFUSED, reason.strip())
    return row


@action("warning.expire_standing")
def expire(act: Act, *, standing: UUID) -> None:
    """Timer: its end has come; the post that answers for warnings there is told, so that it can be signed again."""
    row = act.lock(Standing, standing)
    if row.state != Standing.IN_FORCE or row.expires > act.now:
        return
    _end(act, row, Standing.EXPIRED, "")
    post = parties.duty_post(row.region_id)
    if post is not None:
        work.open(
            act, post=post, kind="warning.standing_over", subject=f"standing:{row.pk}", region=row.region_id,
            msgid=gettext_noop("The standing authorisation “{headline}” has ended: ask for a new one, or leave it."), params={"headline": row.headline},
            due_at=act.now + timedelta(days=2), on_silence="", cause=row.last_fact,
        )


@action("warning.seen_standing_over")
def seen_over(act: Act, *, standing: UUID) -> Standing:
    """A person has seen that one ended, and leaves it so."""
    row = act.lock(Standing, standing)
    access.require(act, "warning.issue_internal", region=row.region_id)
    work.close(act, kind="warning.standing_over", subject=f"standing:{row.pk}", outcome="seen")
    return row


def _end(act: Act, row: Standing, state: str, reason: str) -> None:
    row.state, row.reason, row.ended_at, row.ended_by = state, reason, act.now, act.actor.person_id
    act.save(row)
    due.cancel(act, "warning.standing_expire", f"standing:{row.pk}")
    row.last_fact = act.state(StandingEnded(standing=row.pk, outcome=state, reason=reason), about=row, cause=act.cause or row.last_fact)
    row.save(update_fields=["last_fact"])
    work.close(act, kind="warning.confirm_standing", subject=f"standing:{row.pk}", outcome=state)


# --- the machine's part ----------------------------------------------------------------------------------------------


def sources(row: Standing, realm: Any, now: datetime) -> list[dict[str, Any]]:
    """Independent, unflagged sources that stand at the colour or worse in the area now: one line for each, worst first.

    Gauges that report through one credential are one source: one stolen password, or one broken gateway, must not be able to
    warn a county. A warning of another issuer in force over the whole area is a source; what one person took down by hand is
    one source, however many issuers it names. Doubted readings, silent gauges and repaired or badly signed messages are none.
    """
    inside = RegionPath.objects.filter(ancestor_id=row.region_id).values("descendant_id")
    rules = hazards.proposal_rules()
    found: dict[str, dict[str, Any]] = {}

    def take(source: str, colour: str, **line: Any) -> None:
        known = found.get(source)
        if known is None or RANK[colour] > RANK[known["colour"]]:
            found[source] = {"source": source, "colour": colour, **line}

    signals = Signal.objects.of(realm).filter(station__region_id__in=inside, station__active=True, colour__gte=RANK[row.colour]).select_related("station")
    quiet = set(Series.objects.filter(realm_id=realm.pk, silent__gt=0, station__region_id__in=inside).values_list("station_id", "quantity"))
    for signal in signals.order_by("station__code", "rule"):
        hazard = rules["words"].get(signal.hazard) or rules["quantities"].get(signal.quantity, "")
        if signal.flags or (signal.station_id, signal.quantity) in quiet or not hazards.matches(hazard, row.hazard):
            continue
        place = signal.station
        take(
            f"credential:{place.source_id}" if place.source_id else f"station:{place.pk}", COLOURS[signal.colour], name=place.name, code=place.code,
            text=f"{signal.value:g} {signal.unit}", at=signal.since.isoformat(), fact=str(signal.fact or ""),
        )
    over = {str(key) for key in parties.around(row.region_id)}
    outside = Alert.plain.filter(realm=realm, kind=Alert.OUTSIDE, state=Alert.RECEIVED, status="Actual" if realm.is_actual else "Exercise")
    for alert in outside.exclude(expires__lte=now).order_by("sent", "pk"):
        if RANK[alert.colour] < RANK[row.colour] or not hazards.matches(alert.hazard, row.hazard) or not over & set(alert.region_ids):
            continue
        if alert.repairs or alert.signature == "invalid" or alert.expires is None:
            continue
        by_hand = alert.heard_by in ("phone", "fax", "chat", "other")
        take(
            f"hand:{alert.author}" if by_hand else f"issuer:{alert.issuer}:{alert.issuer_name}", alert.colour, name=alert.issuer_name, code="",
            text=alert.headline, at=(alert.sent or alert.created_at).isoformat(), fact=str(alert.last_fact or ""),
        )
    return sorted(found.values(), key=lambda line: (-RANK[line["colour"]], line["at"], line["source"]))


@action("warning.use_standing")
def use(act: Act, *, standing: UUID) -> Alert | None:
    """Warn the public if its sources agree now and it has not been used for this time. Called by the follower; no person's act.

    Repeatable by op_id. The warning's author and approver are the two who authorised it; `issued_by` stays empty.
    """
    row = act.lock(Standing, standing)
    if row.state != Standing.IN_FORCE or row.expires <= act.now:
        return None
    lines = sources(row, act.realm, act.now)
    enough = len(lines) >= max(2, row.least)
    if not enough or not row.armed:
        if not enough and not row.armed:
            row.armed = True
            act.save(row)
        return None
    row.armed = False
    act.save(row)
    if Alert.plain.filter(standing=row, state=Alert.ISSUED).exists():
        return None
    alert = _alert(act, row)
    alert.sources = lines
    alert.identifier = f"urn:uuid:{alert.pk}"
    alert.save(force_insert=True)
    actions._set_regions(act, alert, [row.region_id])
    alert.endings, alert.series = texts.endings(alert), alert.pk
    alert.content_hash = alert.approved_hash = content_hash(alert)
    alert.state = Alert.ISSUED
    alert.cap_xml = cap.build(compute.message_of(alert))
    alert.save()
    last = max((line for line in lines if line["fact"]), key=lambda line: line["at"], default=None)  # the source that made it enough
    cause = UUID(last["fact"]) if last else act.cause
    used = act.state(StandingUsed(standing=row.pk, alert=alert.pk, sources=lines), about=row, cause=cause)
    alert.last_fact = act.state(
        AlertIssued(
            alert=alert.pk, kind=alert.kind, hazard=alert.hazard, colour=alert.colour, regions=alert.region_ids, msg_type="Alert", audience="public",
            sent=alert.sent, content_hash=alert.content_hash, predecessor="",
        ),
        about=alert, cause=used,
    )
    alert.save(update_fields=["last_fact"])
    due.at(act, alert.expires, "warning.expire", subject=f"alert:{alert.pk}")
    post = parties.duty_post(row.region_id)
    if post is not None:
        work.open(
            act, post=post, kind="warning.standing_used", subject=f"alert:{alert.pk}", region=row.region_id,
            msgid=gettext_noop("The public was warned by standing authorisation: {headline}. Look at it; cancel it if it is wrong."),
            params={"headline": alert.headline}, due_at=act.now + timedelta(minutes=5), level=alert.colour, cause=alert.last_fact,
        )
    return alert


def _alert(act: Act, row: Standing) -> Alert:
    """The warning as it would go out at this instant, not yet stored."""
    table = issuers.table()
    region = Region.objects.get(pk=row.region_id)
    sent = act.now.replace(microsecond=0)
    alert = Alert(
        realm_id=act.realm.pk, kind=Alert.GOVERNMENT, audience="public", sender=actions.sender(), sent=sent, status=actions._status(act), scope="Public",
        hazard=row.hazard, event=hazards.table()[row.hazard].name_zh, colour=row.colour, category=compute.category_of(row.hazard),
        severity=compute.severity_of(row.colour), urgency="Immediate", certainty="Likely", headline=row.headline, description=row.description,
        instruction=row.instruction, translations=row.translations, channels=row.channels, expires=sent + timedelta(hours=row.hours), issuer=table.ours.code,
        issuer_name=table.ours.name_zh, table_version=table.version, author=row.asked_by, editor=row.asked_by, approver=row.confirmed_by,
        approved_at=row.confirmed_at, issued_at=act.now, standing=row, region_id=row.region_id, area_text=region.name,
    )
    alert.identifier = f"urn:uuid:{alert.pk}"
    return alert


def concerned(realm: Any) -> list[UUID]:
    """Authorisations in force in a realm, in order of their keys."""
    return list(Standing.objects.of(realm).filter(state=Standing.IN_FORCE).order_by("pk").values_list("pk", flat=True))

