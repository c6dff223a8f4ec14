"""Exchange's use cases: take a document in, manage links, sign what goes out."""
from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cryptography import x509
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from anlan.engines import cap
from anlan.kernel import access, parties, work
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import INVALID
from anlan.kernel.ids import derived_id
from anlan.kernel.models import TwoPersonRequest
from anlan.warning import actions as warning
from anlan.warning import issuers
from anlan.warning.models import Alert, Original

from . import keys
from .errors import BAD_ADDRESS, BAD_CERTIFICATE
from .facts import (
    AlertSigned,
    FeedFailed,
    FeedHeard,
    FeedRecovered,
    FeedSilent,
    MessagesTakenIn,
    PagePublished,
    SigningKeyChanged,
    SourceChanged,
)
from .models import FeedSource, SignedAlert


@action("exchange.take_in")
def take_in(act: Act, *, raw: bytes, digest: str, source: str, heard_by: str, link: UUID | None = None) -> dict[str, Any]:
    """Read a document from outside into warnings. Needs warning.enter.

    Answers {kind, received: [alert keys], duplicates, refused: [{identifier, reason}], links: [addresses], valid}. What cannot be
    read is kept with its reason and put on a desk; it is never an exception here, so that one bad document stops nothing.
    """
    return _take(act, [raw], digest, source, heard_by, link)[0]


@action("exchange.take_in_many")
def take_in_many(act: Act, *, documents: list[bytes], digest: str, source: str, heard_by: str, link: UUID | None = None) -> list[dict[str, Any]]:
    """Several documents of one source on the trips to the database of one; an answer for each, as `take_in` gives it."""
    return _take(act, documents, digest, source, heard_by, link)


def _take(act: Act, documents: list[bytes], digest: str, source: str, heard_by: str, link: UUID | None) -> list[dict[str, Any]]:
    access.require(act, "warning.enter")
    place = FeedSource.objects.filter(pk=link).first() if link else None
    answers: list[dict[str, Any]] = []
    cames: list[warning.Came] = []
    of: dict[UUID, dict[str, Any]] = {}  # whose answer a kept original counts for
    for raw in documents:
        answer: dict[str, Any] = {"kind": "", "received": [], "duplicates": 0, "refused": [], "links": [], "entries": [], "valid": False, "code": ""}
        answers.append(answer)
        for came in _read(act, raw, answer, source, heard_by, place):
            of[came.original.pk] = answer
            cames.append(came)
    Original.plain.bulk_create(came.original for came in cames)
    rows, left = warning.receive_many(act, cames)
    for row in rows:
        of[row.original_id]["received"].append(str(row.pk))
    first = rows[0].original_id if rows else None
    for came in left:
        alert, answer = came.message.alert, of[came.original.pk]
        inner = act.child(step=f"{alert.identifier} {alert.sent.isoformat()}")  # type: ignore[union-attr]
        row = warning.receive(inner, came)
        if row is None:
            answer["duplicates"] += 1
            came.original.delete()
        else:
            answer["received"].append(str(row.pk))
            first = first or came.original.pk
    counts = {name: sum(len(answer[name]) for answer in answers) for name in ("received", "refused")}
    if any(counts.values()):
        act.state(
            MessagesTakenIn(source=source[:200], kind=answers[0]["kind"], duplicates=sum(answer["duplicates"] for answer in answers), digest=f"sha256:{digest}", **counts),
            subject=f"feed_source:{link}" if link else f"original:{first or digest[:32]}",
        )
    return answers


def _read(act: Act, raw: bytes, answer: dict[str, Any], source: str, heard_by: str, place: FeedSource | None) -> list[warning.Came]:
    """The messages of one document that can be used, each with its own bytes kept; what cannot is refused here."""
    try:
        document = cap.read(raw)
    except cap.CapError as error:
        kept = warning.refuse_message(act, raw=raw, source=source, reason=f"{error.code}: {error}")
        answer |= {"refused": [{"identifier": "", "reason": str(error), "original": str(kept.pk)}], "code": error.code}
        return []
    answer |= {"kind": document.kind, "links": document.links, "valid": document.valid}
    strict = place is not None and place.mode == "strict"
    cames = []
    for message in document.messages:
        reason = message.refused
        if not reason and strict and not message.valid:
            reason = "; ".join(f"{finding.where}: {finding.message}" for finding in message.findings if not finding.note)[:500]
        if reason:
            kept = warning.refuse_message(act, raw=message.xml, source=source, reason=reason)
            identifier = message.alert.identifier if message.alert else ""
            answer["refused"].append({"identifier": identifier, "reason": reason, "original": str(kept.pk)})
            continue
        # Byte for byte: the whole document when it is one message; else each alert's own bytes as they stood in it.
        body = raw if document.kind == "cap" else message.xml
        original = Original(realm_id=act.realm.pk, raw=body, sha256=hashlib.sha256(body).hexdigest(), source=source[:200])
        signature = ""
        if place is not None and place.certificate:  # two persons said what proves its messages: one without proves as little as one that is wrong
            signature = cap.verify(message.xml, place.certificate).state if message.signature else "invalid"
        cames.append(warning.Came(message, heard_by, original, place.issuer if place else "other", place.issuer_name if place else "", signature))
    for finding in document.findings:
        if not document.messages and not finding.note:
            answer["refused"].append({"identifier": "", "reason": finding.message, "original": ""})
    if not document.messages and not document.links and any(not finding.note for finding in document.findings):
        warning.refuse_message(act, raw=raw, source=source, reason="; ".join(f.message for f in document.findings)[:500])
        answer["code"] = "feed"
    return cames


@action("exchange.save_source")
def save_source(act: Act, *, name: str, kind: str = FeedSource.POLL, interval_s: int = 300, enabled: bool = True, source: UUID | None = None, silent_after_min: int | None = None) -> FeedSource:
    """Add a link, or change what decides nothing about whom we believe. Everything that does is two persons' (`LINK_TRUST`): a new link fetches nothing and takes nothing until then."""
    access.require(act, "exchange.manage")
    if not name.strip() or kind not in (FeedSource.POLL, FeedSource.PUSH):
        raise INVALID(fields=[{"field": "name", "why": str(_("Name the link and choose its kind, reading and issuer."))}])
    values = {"name": name.strip()[:120], "interval_s": max(60, int(interval_s)), "enabled": enabled, "silent_after_min": silent_after_min or None}
    if source is None:
        row = act.create(FeedSource, **values, kind=kind, added_by=act.actor.person_id)
        change = "added"
    else:
        row = act.lock(FeedSource, source)
        for field, value in values.items():
            setattr(row, field, value)
        row.next_at = None
        act.save(row)
        change = "changed" if enabled else "off"
    act.state(SourceChanged(source=row.pk, change=change), about=row)
    return row


# The kind of request by which two persons say whom a link speaks for and what proves it: {"source", and what of TRUST shall be another}.
LINK_TRUST = "link_trust"
TRUST = {  # field → what the fact calls its change
    "kind": "changed", "url": "changed", "hosts": "changed", "mode": "changed", "issuer": "changed", "issuer_name": "changed", "certificate": "certificate", "token_hash": "credential",
}


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise BAD_CERTIFICATE(fields=[{"field": "certificate", "why": "PEM"}]) from None


def check_words(change: dict[str, Any]) -> None:
    """What is asked for can be a link's; its certificate is one."""
    known = {"kind": [FeedSource.POLL, FeedSource.PUSH], "mode": ["lenient", "strict"], "issuer": list(issuers.table().issuers)}
    hosts = change.get("hosts", [])
    if not set(change) & set(TRUST) or any(change.get(field, codes[0]) not in codes for field, codes in known.items()) or not (isinstance(hosts, list) and all(isinstance(one, str) for one in hosts)):
        raise INVALID(fields=[{"field": "source", "why": str(_("Name the link and choose its kind, reading and issuer."))}])
    if "url" in change:
        try:
            parts = urlsplit(change["url"])
            good = parts.scheme in ("http", "https") and parts.hostname and not parts.username
        except (ValueError, AttributeError, TypeError):
            good = False
        if not good or len(change["url"]) > 500:
            raise BAD_ADDRESS(fields=[{"field": "url", "why": "http(s)"}])
    if change.get("certificate"):
        _certificate(change["certificate"])


def check_trust(payload: dict[str, Any]) -> None:
    """The link is there, and what is asked for can be its."""
    if not FeedSource.objects.filter(pk=payload.get("source")).exists():
        raise INVALID(fields=[{"field": "source", "why": str(_("Name the link and what shall prove its messages."))}])
    check_words(payload)


def change_trust(act: Act, request: TwoPersonRequest) -> None:
    """The second person has confirmed it: from here on the link is fetched there, believed as that issuer, read that way, and checked by that."""
    row = act.lock(FeedSource, UUID(request.payload["source"]), check_version=False)
    for field in TRUST:
        if field in request.payload:
            setattr(row, field, request.payload[field])
    if {"kind", "url"} & set(request.payload):
        row.etag = row.last_modified = ""
        row.next_at = None
    for change in sorted({TRUST[field] for field in TRUST if field in request.payload}):
        act.state(SourceChanged(source=row.pk, change=change), about=row)
    act.save(row)


def describe_trust(payload: dict[str, Any]) -> str:
    """What it is now and what it shall be, so that the second person sees both."""
    row = FeedSource.objects.filter(pk=payload.get("source")).first()
    parts = [row.name if row else "?"]
    known = issuers.table().issuers
    for field, label in (("kind", _("way")), ("url", _("address")), ("hosts", _("further hosts")), ("mode", _("reading")), ("issuer", _("issuer")), ("issuer_name", _("issuer's name"))):
        if field in payload:
            said = []
            for value in (getattr(row, field, ""), payload[field]):
                choices: dict[Any, Any] = dict(FeedSource._meta.get_field(field).flatchoices)
                said.append(", ".join(value) if isinstance(value, list) else str(known[value].text if field == "issuer" and value in known else choices.get(value, value)))
            parts.append(_("{what}: {before} → {after}").format(what=label, before=said[0] or "–", after=said[1] or "–") if said[0] != said[1] else f"{label}: {said[1]}")
    if "certificate" in payload:
        pem = payload["certificate"]
        parts.append(_("certificate {fingerprint}").format(fingerprint=keys.fingerprint(pem.encode())) if pem else _("no certificate: signatures are not checked"))
    if "token_hash" in payload:
        parts.append(_("a new push credential; the present one ends"))
    return " · ".join(parts)


@action("exchange.note_health")
def note_health(act: Act, *, source: UUID, ok: bool, cause: str = "") -> None:
    """State when a feed's health changes; each single poll is a row, not a fact."""
    row = act.lock(FeedSource, source, check_version=False)
    act.state(FeedRecovered(source=row.pk, name=row.name) if ok else FeedFailed(source=row.pk, name=row.name, cause=cause[:300]), about=row)


@action("exchange.note_silence")
def note_silence(act: Act, *, source: UUID, silent: bool) -> None:
    """State once that a feed fell silent, with work for the duty officer, whose other ways to its issuer are open; or that it speaks again."""
    row = act.lock(FeedSource, source, check_version=False)
    if silent == (row.silent_since is not None):
        return
    row.silent_since = act.now if silent else None
    row.save(update_fields=["silent_since"])
    subject = f"feed_source:{row.pk}"
    if not silent:
        act.state(FeedHeard(source=row.pk, name=row.name), about=row)
        work.close(act, kind="exchange.feed_silent", subject=subject, outcome="overtaken")
        return
    cause = act.state(FeedSilent(source=row.pk, name=row.name, minutes=row.silent_after_min), about=row)
    post = parties.duty_post(None)
    if post is not None:
        work.open(
            act, post=post, kind="exchange.feed_silent", subject=subject, on_silence="", due_at=act.now + timedelta(hours=1), cause=cause,
            msgid=gettext_noop("{source} has said nothing new for {minutes} minutes: ask its issuer by telephone whether a warning is in force."),
            params={"source": row.name, "minutes": row.silent_after_min},
        )


@action("exchange.note_published")
def note_published(act: Act, *, version: str, digest: str, by: str) -> None:
    """The command line has no session: the machine's user is who there is to name."""
    act.state(PagePublished(version=version, digest=digest, by=by[:60]), subject=f"realm:{act.realm.pk}")


def check_key(payload: dict[str, Any]) -> None:
    """What two persons decide is the very pair that lies here now."""
    keys.staged(str(payload.get("key_id", "")))


def change_key(act: Act, request: TwoPersonRequest) -> None:
    """The second person has confirmed another signing key: from here on the row says so, and `keys.pair` reads it."""
    act.state(
        SigningKeyChanged(key_id=request.payload["key_id"], before=keys.key_id(), asked_by=request.requested_by_id, confirmed_by=act.actor.person_id), about=request,
    )


def describe_key(payload: dict[str, Any]) -> str:
    return str(payload.get("key_id", ""))


@action("exchange.sign_alert")
def sign_alert(act: Act, *, alert: UUID) -> SignedAlert | None:
    """Make the bytes our feed serves, once. Another issuer's message is passed on unchanged, with its own signature if it has one."""
    row = act.lock(Alert, alert, check_version=False)
    if not row.cap_xml or SignedAlert.plain.filter(alert=row).exists():
        return None
    xml, algorithm, key = bytes(row.cap_xml), "", ""
    if row.kind != Alert.RELAY:
        private, certificate = keys.pair()
        xml, algorithm, key = cap.sign(xml, private, certificate), cap.signing.ALGORITHM, keys.key_id()
    signed = act.create(
        SignedAlert, id=derived_id("exchange.signed", row.pk), alert=row, xml=xml, algorithm=algorithm, key_id=key, signed_at=act.now
    )
    act.state(AlertSigned(alert=row.pk, algorithm=algorithm or "unchanged", key_id=key), about=row, cause=act.cause or row.last_fact)
    return signed
