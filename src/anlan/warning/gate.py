"""The gate: may this alert leave by this channel? Asked once in words, last inside every channel adapter.

Drills, tests and drafts are turned away first; what no line lets through is refused.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _

from anlan.engines.cap.proving import ERASED
from anlan.kernel import clock
from anlan.kernel.journal import canonical
from anlan.kernel.models import Installation, RegionPath

from . import compute, issuers, ports
from .models import Alert, AlertRegion, Attempt, Channel, Standing

# What is approved is what is sent. A field that reaches a reader stands here; a test compares this list with the model.
CONTENT = (
    "kind", "identifier", "sender", "status", "msg_type", "scope", "audience", "hazard", "event", "colour", "category", "urgency", "severity",
    "certainty", "language", "headline", "description", "instruction", "translations", "effective", "onset", "expires", "contact", "area_text",
    "geocodes", "issuer", "issuer_name", "channels", "predecessor_id", "relay_of_id",
)

CONTENT_SINCE = ("silent", "ending", "endings", "only_left_by_id")


@dataclass(frozen=True)
class Verdict:
    ok: bool
    reason: str

    def __bool__(self) -> bool:
        return self.ok


def content(alert: Alert, regions: Iterable[Any] | None = None) -> dict[str, Any]:
    """Everything a reader gets, as it is hashed: text, times, places, issuer, channels. `regions`: of a row whose places are not written yet."""
    values: dict[str, Any] = {name: getattr(alert, name) for name in CONTENT}
    values["area"] = hashlib.sha256(bytes(alert.area_wkb or b"")).hexdigest()
    values["regions"] = sorted(str(key) for key in (AlertRegion.plain.filter(alert_id=alert.pk).values_list("region_id", flat=True) if regions is None else regions))
    if alert.relay_of_id:
        original = alert.relay_of.original if alert.relay_of else None
        values["original"] = original.sha256 if original else ""
    for name in ("effective", "onset", "expires"):
        values[name] = values[name].timestamp() if values[name] else None
    # Later fields count only where they say something: what was approved before there were any stays approved.
    values |= {name: getattr(alert, name) for name in CONTENT_SINCE if getattr(alert, name)}
    return orjson.loads(canonical(values))


def content_hash(alert: Alert, regions: Iterable[Any] | None = None) -> str:
    """algorithm:hex over everything a reader gets. Approval is bound to it."""
    return "sha256:" + hashlib.sha256(canonical(content(alert, regions))).hexdigest()


# What a silent correction leaves as it was: everything by which a reader decides whether to act.
KEPT = ("kind", "audience", "hazard", "colour", "category", "urgency", "severity", "certainty", "scope", "onset", "expires", "status", "channels")


def not_silent(alert: Alert) -> str:
    """Why an alert that says it corrects a detail does more than that; empty when it does not."""
    before = alert.predecessor
    if before is None or alert.msg_type != "Update":
        return _("a silent correction needs the warning it corrects")
    if any(getattr(alert, name) != getattr(before, name) for name in KEPT) or alert.region_ids != before.region_ids or bytes(alert.area_wkb or b"") != bytes(before.area_wkb or b""):
        return _("it changes more than a detail: write an update, which alarms again")
    return ""


TAKEN = ("claimed", "sent", "delivered", "unsure")
BY_HAND = ("phone", "fax", "chat", "other")  # heard by a person, not taken in over a link
ISSUERS = "issuer"  # an end in the issuer's words, of what we passed on


def chain(alert: Alert) -> list[Any]:
    """Keys of what an alert updates or ends, and what that did, nearest first; a message from outside may name warnings of several threads."""
    found: list[Any] = []
    front = [alert.predecessor_id, *map(UUID, alert.also)]
    while (front := [key for key in front if key is not None and key not in found]) and len(found) < 100:
        found += front
        before = {key: [up, *map(UUID, also)] for key, up, also in Alert.plain.filter(pk__in=front).values_list("pk", "predecessor_id", "also")}
        front = list(dict.fromkeys(up for key in front for up in before.get(key, [])))
    return found


def heard(alert: Alert, own: bool = False) -> Any:
    """Attempts by which somebody may have heard what an alert updates or ends; of itself if `own`."""
    return Attempt.plain.filter(alert__in=[*chain(alert), *([alert.pk] if own else [])], state__in=TAKEN)


def not_the_issuers(alert: Alert) -> str:
    """Why a relayed end is not the issuer's own, of just what two persons agreed to pass on; empty when it is."""
    before, source = alert.predecessor, alert.relay_of
    if before is None or source is None or source.kind != Alert.OUTSIDE or "Cancel" not in (source.msg_type, alert.msg_type):
        return _("no message of its issuer ends it")
    if source.msg_type != alert.msg_type or source.heard_by in BY_HAND or before.relay_of_id not in chain(source) or source.sender != before.sender:
        return _("no message of its issuer ends it")
    if before.approved_hash and (before.approved_hash != before.content_hash or content_hash(before) != before.content_hash):
        return _("the warning it ends is not what was approved")
    same = (alert.author, alert.approver, alert.audience, alert.scope, alert.status) == (before.author, before.approver, before.audience, before.scope, before.status)
    same = same and set(alert.channels) <= set(before.channels) and set(alert.region_ids) == set(before.region_ids)
    same = same and all(getattr(alert, name) == getattr(source, name) for name in ("identifier", "sender", "sent", "issuer", "issuer_name", "instruction"))
    same = same and (alert.description, alert.translations) == (source.description, source.translations) and (alert.headline == source.headline or not source.headline)
    return "" if same else _("it says something else than its issuer")


def left_out(before: Alert) -> list[str]:
    """Places a warning was for that none of the updates after it warned: what was approved as its end is theirs alone."""
    warned, front = set(), [before.pk]
    while front := list(Alert.plain.filter(predecessor__in=front, msg_type="Update", issued_at__isnull=False).values_list("pk", flat=True)):
        warned.update(map(str, AlertRegion.plain.filter(alert__in=front).values_list("region_id", flat=True)))
    return compute.dropped(before.region_ids, sorted(warned)) if warned else []


def out_of_area(update: Alert) -> Any:
    """Attempts by which persons heard what an update replaces, who are in its regions and on no list of it or of a later update: its area holds them no more.

    Persons only: posts, devices and feeds are told by region, and hear the update itself.
    """
    before = update.predecessor
    while before is not None and before.silent:
        before = before.predecessor
    if before is None or update.msg_type != "Update" or update.silent:
        return Attempt.plain.none()
    later, front = {update.pk}, [update.pk]
    while front := list(Alert.plain.filter(predecessor__in=front, msg_type="Update", issued_at__isnull=False).values_list("pk", flat=True)):
        later |= set(front)
    here = RegionPath.objects.filter(hierarchy="administrative", ancestor_id__in=update.region_ids).values("descendant_id")
    told = Attempt.plain.filter(alert__in=later, channel=OuterRef("channel"), target=OuterRef("target"))
    # Only where the update went by the same channel: elsewhere nobody of it was told, and nobody is out of it.
    went = set(Attempt.plain.filter(alert=update, state__in=TAKEN).values_list("channel_id", flat=True).distinct())
    found = Attempt.plain.filter(Q(region_id__in=here) | Q(region_id__in=update.region_ids), alert=before, state__in=TAKEN, channel__in=went, channel__adapter__in=ports.personal())
    return found.filter(~Exists(told)).exclude(target__startswith=ERASED)


def not_prepared(alert: Alert) -> str:
    """Why an end is not the one its predecessor had prepared and approved; empty when it is.

    Of a warning that an update has replaced, only the places the update leaves out can be given the all-clear.
    """
    if alert.kind == Alert.RELAY:
        return not_the_issuers(alert)
    before = alert.predecessor
    words = before.endings.get(alert.ending) if before is not None else None
    if before is None or words is None or alert.msg_type != "Cancel":
        return _("no such end was prepared with the warning")
    # To our own posts one person issues: what went out is then what its digest names, approved or not.
    agreed = before.approved_hash or ("" if before.audience == "public" else before.content_hash)
    if agreed != before.content_hash or content_hash(before) != before.content_hash:
        return _("the warning it ends is not what was approved")
    same = (alert.headline, alert.description, alert.translations) == (words["headline"], words["description"], words.get("translations", {}))
    same = same and (alert.author, alert.approver) == (before.author, before.approver) and set(alert.channels) <= set(before.channels)
    if not same or alert.instruction or any(getattr(alert, name) != getattr(before, name) for name in ("kind", "audience", "hazard", "scope", "status")):
        return _("it says something else than was prepared")
    places = left_out(before) if before.state == Alert.UPDATED and alert.ending == "all_clear" else before.region_ids
    if alert.only_left_by:
        places = alert.only_left_by.region_ids if alert.only_left_by.predecessor_id == before.pk and alert.ending == "all_clear" else []
    return "" if set(alert.region_ids) == set(places) else _("it says something else than was prepared")


def never_left_by(alert: Alert, channel: Channel) -> bool:
    """Whether nothing of what it ends was taken by this channel: an end of something nobody there heard of only confuses.

    What nobody knows of (claimed, unsure) counts as taken: somebody may have heard it. An update is no end and goes everywhere: who has
    not heard the first may need the second. A channel that passes on to this one counts, too: what it took and cannot end, this one ends.
    """
    behind, front = {channel.pk}, {channel.pk}
    while front := set(Channel.objects.filter(fallback__in=front).values_list("pk", flat=True)) - behind:
        behind |= front
    return not heard(alert).filter(channel__in=behind).exists()


def stood_in(alert: Alert, channel: Channel) -> bool:
    """Whether this channel brought what is ended in another's place: its end leaves by it, too, though the entry that let it has been changed since."""
    return alert.msg_type == "Cancel" and heard(alert).filter(channel=channel).exclude(alert__channels__contains=[str(channel.pk)]).exists()


def takes_over(alert: Alert, channel: Channel) -> bool:
    """Whether a chosen channel passes on to this one, over others or at once; two persons have set that it does."""
    front, seen = list(alert.channels), set()
    while front:
        seen |= set(front)
        front = [str(key) for key in Channel.objects.filter(pk__in=front, fallback__isnull=False).values_list("fallback_id", flat=True) if str(key) not in seen]
        if str(channel.pk) in front:
            return True
    return False


def touches(channel: Channel, alert: Alert) -> bool:
    """Whether the alert is for a place in, or around, the area a channel is registered for."""
    keys = alert.region_ids
    near = Q(ancestor=channel.region_id, descendant__in=keys) | Q(ancestor__in=keys, descendant=channel.region_id)
    return str(channel.region_id) in keys or RegionPath.objects.filter(near, hierarchy="administrative").exists()


TERMS = ("hazard", "colour", "least", "headline", "description", "instruction", "translations", "hours", "channels")
WORDS = ("hazard", "colour", "headline", "description", "instruction", "translations", "channels")  # of these, what reaches the public


def standing_digest(row: Standing) -> str:
    """algorithm:hex over everything the second person confirms: words, area, sources needed, channels, end."""
    values: dict[str, Any] = {name: getattr(row, name) for name in TERMS}
    values |= {"realm": str(row.realm_id), "region": str(row.region_id), "expires": row.expires.timestamp()}
    return "sha256:" + hashlib.sha256(canonical(values)).hexdigest()


def not_authorised(alert: Alert) -> str:
    """Why the standing authorisation an alert was issued under does not carry it now; empty when it does."""
    row = Standing.objects.everything().filter(pk=alert.standing_id, realm_id=alert.realm_id).first()
    if row is None or row.state != Standing.IN_FORCE or row.expires <= clock.now(alert.realm):
        return _("its standing authorisation is no longer in force")
    if row.confirmed_by is None or row.confirmed_by == row.asked_by or (alert.author, alert.approver) != (row.asked_by, row.confirmed_by):
        return _("its standing authorisation was not given by two persons")
    if row.digest != row.confirmed_digest or standing_digest(row) != row.digest:
        return _("its standing authorisation is not what was confirmed")
    if alert.msg_type != "Alert" or any(getattr(alert, name) != getattr(row, name) for name in WORDS) or alert.region_ids != [str(row.region_id)]:
        return _("it says something else than its standing authorisation")
    if len({line["source"] for line in alert.sources}) < max(2, row.least):
        return _("too few independent sources stood behind it")
    return ""


def may_be_sent(alert: Alert, channel: Channel) -> Verdict:
    """THE question. `reason` says why not, in the reader's language; read afresh, so that a late hold still holds."""

    def no(reason: str) -> Verdict:
        return Verdict(False, reason)

    # 1. Nothing of a drill, a test, or a draft.
    if channel.outward and not alert.realm.is_actual:
        return no(_("it belongs to the exercise {name}; nothing of an exercise leaves").format(name=alert.realm.name))
    if alert.realm.is_over:
        return no(_("the exercise {name} has ended").format(name=alert.realm.name))
    if alert.kind == Alert.OUTSIDE:
        return no(_("it is another issuer's message; relay it instead"))
    if channel.outward and channel.test != (alert.status == "Test"):
        if channel.test:
            return no(_("a test channel takes test messages only"))
        return no(_("its status is Test; test messages leave by test channels only"))
    if alert.status not in ("Actual", "Test") and channel.outward:
        return no(_("its status is {status}, not Actual").format(status=alert.status))
    if alert.state != Alert.ISSUED:
        return no(_("it is not in force (state: {state})").format(state=alert.get_state_display()))
    if channel.audience == "public" and alert.scope != "Public":
        return no(_("its scope is {scope}; only Public goes to a public channel").format(scope=alert.scope))
    if channel.audience == "public" and alert.audience != "public":
        return no(_("it is for our own posts, not for the public"))
    # 2. Nothing while the outward channels are held, or from demonstration data.
    if not channel.enabled:
        return no(_("the channel {name} is switched off").format(name=channel.name))
    if channel.outward and Installation.current().outward_held:
        return no(_("the outward channels are held after a restore; a person must release them"))
    if channel.outward and not channel.test and (settings.HOME / "demo.json").exists():
        return no(_("this data folder holds demonstration accounts"))
    # 3. A person's decision, for exactly this content: for this alert, or beforehand by a standing authorisation.
    if alert.standing_id is not None:
        why = not_authorised(alert)
        if why:
            return no(why)
    elif alert.issued_by is None:
        return no(_("no person issued it"))
    if content_hash(alert) != alert.content_hash:
        return no(_("its content is not what was issued"))
    if alert.audience == "public":
        if alert.approver is None or alert.author is None or alert.approver in (alert.author, alert.editor):
            return no(_("no second person approved it"))
        if alert.approved_hash != alert.content_hash:
            return no(_("it was changed after its approval"))
    if alert.ending:
        why = not_prepared(alert)
        if why:
            return no(why)
    # 4. Competence, and time.
    allowed, why = issuers.table().allows(alert.issuer if alert.kind != Alert.RELAY else issuers.table().ours.code, alert.hazard, alert.kind, alert.audience)
    if not allowed:
        return no(why)
    if alert.expires is not None and alert.expires <= clock.now(alert.realm) and alert.msg_type != "Cancel":
        return no(_("it has expired"))
    if alert.only_left_by_id and channel.adapter not in ports.personal():
        return no(_("it is for the persons an update leaves out; this channel reaches others, too"))
    if channel.outward and str(channel.pk) not in alert.channels and not stood_in(alert, channel) and not takes_over(alert, channel):
        return no(_("this channel was not chosen for it"))
    if channel.outward and channel.region_id is not None and not touches(channel, alert):
        return no(_("this channel is registered for {region}; the warning is for elsewhere").format(region=channel.region))
    # 5. What came before and after it, and what it holds.
    if Alert.plain.filter(predecessor=alert, state=Alert.ISSUED).exists():
        return no(_("a later message has overtaken it"))
    if alert.relay_of_id and alert.relay_of.state != Alert.RECEIVED and (alert.relay_of.msg_type, alert.msg_type) != ("Cancel", "Cancel"):
        return no(_("the warning it passes on is no longer in force"))
    if not alert.area_wkb and not alert.region_ids:
        return no(_("it names no place"))
    if channel.outward and alert.msg_type == "Cancel" and never_left_by(alert, channel):
        return no(_("what it ends never left by this channel"))
    adapter = ports.adapters().get(channel.adapter)
    if adapter is None:
        return no(_("there is no adapter {adapter}").format(adapter=channel.adapter))
    if alert.silent:
        why = not_silent(alert)
        if why:
            return no(why)
        if not adapter.quiet:
            return no(_("it corrects a detail: this channel would alarm people again"))
    why = adapter.misfit(channel, alert)
    if why:
        return no(why)
    return Verdict(True, "")
