"""Exchange's reads: what stands in our feed, and the health of every link."""
from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _

from anlan.engines import cap
from anlan.kernel import clock, realms
from anlan.kernel.models import Installation
from anlan.warning.gate import may_be_sent
from anlan.warning.models import Alert, Channel, Original

from .models import FeedSource, SignedAlert

# What to do about a cause: for the person who minds the feeds.
REMEDIES: dict[str, Any] = {
    "too_large": _("The document is larger than we take. Ask the issuer for a feed of links instead of whole messages."),
    "encoding": _("The document names a character encoding we do not take. Ask the issuer for UTF-8."),
    "doctype": _("The document holds a DOCTYPE, which can be an attack. Check the address; ask the issuer to leave it out."),
    "not_xml": _("This is not well-formed XML. Open the address in a browser: is it a page, or an error message?"),
    "too_deep": _("The document is nested too deeply to be a warning. Check the address."),
    "too_many": _("The document holds too many elements. Ask the issuer for a smaller feed."),
    "not_cap": _("There is no CAP alert in it. Check the address with the issuer."),
    "feed": _("The feed itself is broken. Tell the issuer which part; messages already taken in stay."),
    "refused": _("We may not call this address. If it is a machine of your own network, the administrator lists its host in ANLAN_OUTBOUND_ALLOW."),
    "unreachable": _("The other side does not answer. Check the network and the address; we go on trying."),
    "http_401": _("The other side wants a sign-in we do not have. Ask the issuer for an open address or a push."),
    "http_404": _("The address does not exist any more. Ask the issuer for the new one."),
    "http": _("The other side reports an error of its own. If it lasts, call the issuer."),
    "messages": _("Some messages could not be used; they are listed below with their reasons and are kept."),
}


@dataclass(frozen=True)
class Listed:
    alert: Alert
    signed: SignedAlert


def feed() -> list[Listed]:
    """Our public feed: signed messages of actual operations the gate lets pass by an open CAP feed channel, newest first."""
    channels = list(Channel.objects.filter(adapter="cap_feed", audience="public", enabled=True, test=False))
    if not channels:
        return []
    realm = realms.actual()
    found = []
    rows = SignedAlert.objects.of(realm).filter(alert__state=Alert.ISSUED).select_related("alert", "alert__realm", "alert__relay_of__original").order_by("-alert__issued_at")
    for signed in rows:
        if any(may_be_sent(signed.alert, channel).ok for channel in channels):
            found.append(Listed(signed.alert, signed))
    return found


def feed_etag(listed: list[Listed]) -> str:
    digest = hashlib.sha256()
    for one in listed:
        digest.update(f"{one.signed.pk} {one.signed.signed_at.timestamp()}\n".encode())
    return digest.hexdigest()[:32]


def feed_updated(listed: list[Listed]) -> datetime | None:
    return max((one.signed.signed_at for one in listed), default=None)


def as_feed(listed: list[Listed], *, link: str, message: Callable[[UUID], str]) -> cap.Feed:
    """These messages as a feed that lies at `link`; `message` gives the address of each. An empty feed dates from the top of the hour, so that it does not look
    new at every poll."""
    here = Installation.current()
    name = here.name or "Anlan"
    return cap.Feed(
        id=f"urn:uuid:{here.pk}", title=f"{name} · CAP", updated=feed_updated(listed) or clock.now().replace(minute=0, second=0, microsecond=0), author=name, link=link,
        entries=tuple(
            cap.FeedEntry(
                id=f"urn:uuid:{one.alert.pk}", title=one.alert.headline or one.alert.event, updated=one.signed.signed_at, published=one.alert.sent,
                author=one.alert.issuer_name, link=message(one.alert.pk), summary=one.alert.description[:500] or one.alert.headline,
            )
            for one in listed
        ),
    )


def listed(alert_key: Any) -> Listed | None:
    """One message of the feed; None unless the gate lets it pass now."""
    return next((one for one in feed() if str(one.alert.pk) == str(alert_key)), None)


def sources() -> list[dict[str, Any]]:
    """Every link with its last log and what to do."""
    found = []
    for source in FeedSource.objects.order_by("name"):
        last = source.logs.order_by("-at").first()
        found.append({"source": source, "last": last, "remedy": remedy(last.code) if last and last.code else ""})
    return found


def remedy(code: str) -> Any:
    return REMEDIES.get(code) or REMEDIES.get(code.partition("_")[0], "")


def refused(realm: Any) -> Any:
    """Messages nothing could be made of, newest first."""
    return Original.objects.of(realm).exclude(refused="").order_by("-created_at")


def unmapped(actor: Any, realm: Any) -> Any:
    """Outside warnings with areas we could not place."""
    return Alert.objects.seen_by(actor, realm).filter(kind=Alert.OUTSIDE, state=Alert.RECEIVED).exclude(unmapped=[]).order_by("-created_at")
