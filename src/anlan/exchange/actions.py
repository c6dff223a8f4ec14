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
    access.require(act, "warning.enter")
    place = FeedSource.objects.filter(pk=link).first() if link else None
    answer: dict[str, Any] = {"kind": "", "received": [], "duplicates": 0, "refused": [], "links": [], "entries": [], "valid": False, "code": ""}
    try:
        document = cap.read(raw)
    except cap.CapError as error:
        kept = warning.refuse_message(act, raw=raw, source=source, reason=f"{error.code}: {error}")
        answer |= {"refused": [{"identifier": "", "reason": str(error), "original": str(kept.pk)}], "code": error.code}
        return answer
    answer |= {"kind": document.kind, "links": document.links, "valid": document.valid}
    strict = place is not None and place.mode == "strict"
    original, cames = None, []
    for message in document.messages:
        reason = message.refused
        if not reason and strict and not message.valid:
            reason = "; ".join(f"{finding.where}: {finding.message}" for finding in message.findings if not finding.note)[:500]
        if reason:
            kept = warning.refuse_message(act, raw=message.xml, source=source, reason=reason)
            identifier = message.alert.identifier if message.alert else ""
            answer["refused"].append({"identifier": identifier, "reason": reason, "original": str(kept.pk)})
            continue
        if original is None or document.kind != "cap":
            # Byte for byte: the whole document when it is one message; else each alert's own bytes as they stood in it.
            body = raw if document.kind == "cap" else message.xml
            original = Original(realm_id=act.realm.pk, raw=body, sha256=hashlib.sha256(body).hexdigest(), source=source[:200])
        signature = ""
        if message.signature and place is not None and place.certificate:
            signature = cap.verify(message.xml, place.certificate).state
        cames.append(warning.Came(message, heard_by, original, place.issuer if place else "other", place.issuer_name if place else "", signature))
    Original.plain.bulk_create(came.original for came in cames)
    rows, cames = warning.receive_many(act, cames) if len(cames) > 1 else ([], cames)
    answer["received"] += [str(row.pk) for row in rows]
    for came in cames:
        alert = came.message.alert
        inner = act.child(step=f"{alert.identifier} {alert.sent.isoformat()}")  # type: ignore[union-attr]
        row = warning.receive(inner, came)
        if row is None:
            answer["duplicates"] += 1
            original = None if original is came.original else original
            came.original.delete()
        else:
            answer["received"].append(str(row.pk))
    for finding in document.findings:
        if not document.messages and not finding.note:
            answer["refused"].append({"identifier": "", "reason": finding.message, "original": ""})
    if not document.messages and not document.links and any(not finding.note for finding in document.findings):
        kept = warning.refuse_message(act, raw=raw, source=source, reason="; ".join(f.message for f in document.findings)[:500])
        answer["code"] = "feed"
    if answer["received"] or answer["refused"]:
        act.state(
            MessagesTakenIn(
                source=source[:200], kind=document.kind, received=len(answer["received"]), duplicates=answer["duplicates"],
                refused=len(answer["refused"]), digest=f"sha256:{digest}",
            ),
            subject=f"feed_source:{link}" if link else f"original:{original.pk if original else digest[:32]}",
        )
    return answer


@action("exchange.save_source")
def save_source(
    act: Act, *, name: str, kind: str = FeedSource.POLL, url: str = "", hosts: list | None = None, mode: str = "lenient", issuer: str = "other",
    issuer_name: str = "", certificate: str = "", interval_s: int = 300, enabled: bool = True, token_hash: str = "", source: UUID | None = None,
    silent_after_min: int | None = None,
) -> FeedSource:
    """Add or change a link. A push link's credential is made by the caller; only its digest comes here."""
    access.require(act, "exchange.manage")
    if not name.strip() or kind not in (FeedSource.POLL, FeedSource.PUSH) or mode not in ("lenient", "strict") or issuer not in issuers.table().issuers:
        raise INVALID(fields=[{"field": "name", "why": str(_("Name the link and choose its kind, reading and issuer."))}])
    if kind == FeedSource.POLL:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise BAD_ADDRESS(fields=[{"field": "url", "why": "http(s)"}])
    if certificate.strip():
        try:
            x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            raise BAD_CERTIFICATE(fields=[{"field": "certificate", "why": "PEM"}]) from None
    values = {
        "name": name.strip()[:120], "kind": kind, "url": url.strip(), "hosts": [str(host).strip() for host in hosts or [] if str(host).strip()], "mode": mode,
        "issuer": issuer, "issuer_name": issuer_name.strip(), "certificate": certificate.strip(), "interval_s": max(60, int(interval_s)), "enabled": enabled,
        "silent_after_min": silent_after_min or None,
    }
    if source is None:
        row = act.create(FeedSource, **values, token_hash=token_hash, added_by=act.actor.person_id)
        change = "added"
    else:
        row = act.lock(FeedSource, source)
        for field, value in values.items():
            setattr(row, field, value)
        row.token_hash = token_hash or row.token_hash
        row.etag = row.last_modified = ""
        row.next_at = None
        act.save(row)
        change = "changed" if enabled else "off"
    act.state(SourceChanged(source=row.pk, change=change), about=row)
    return row


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
