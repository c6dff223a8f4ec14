"""Feeds and envelopes of CAP: Atom (RFC 4287), RSS 2.0 and EDXL-DE 1.0 around messages that are already built, and perhaps signed.

No standard says what a CAP feed is (OASIS "CAP Feeds" v1.0 is a committee note): one entry an alert, stable ids, a link of type
application/cap+xml, `updated` the message's own time; the whole alert may stand in the entry.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from lxml import etree

from .building import ILLEGAL
from .model import CapError, format_date
from .safe import parse

ATOM = "http://www.w3.org/2005/Atom"
EDXL = "urn:oasis:names:tc:emergency:EDXL:DE:1.0"
MEDIA = "application/cap+xml"


@dataclass(frozen=True, kw_only=True)
class FeedEntry:
    id: str
    title: str
    updated: datetime
    published: datetime | None = None
    author: str = ""
    link: str = ""
    summary: str = ""
    message: bytes = b""  # the CAP message itself, when it is to stand in the entry


@dataclass(frozen=True, kw_only=True)
class Feed:
    id: str
    title: str
    updated: datetime
    author: str
    link: str  # of the feed itself
    entries: tuple[FeedEntry, ...] = ()


def build_atom(feed: Feed) -> bytes:
    root = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})
    _atom(root, "id", feed.id)
    _atom(root, "title", feed.title)
    _atom(root, "updated", format_date(feed.updated))
    _atom(_atom(root, "author"), "name", feed.author)
    _atom(root, "link", rel="self", href=feed.link, type="application/atom+xml")
    for one in feed.entries:
        entry = _atom(root, "entry")
        _atom(entry, "id", one.id)
        _atom(entry, "title", one.title)
        _atom(entry, "updated", format_date(one.updated))
        if one.published:
            _atom(entry, "published", format_date(one.published))
        _atom(_atom(entry, "author"), "name", one.author or feed.author)
        if one.link:
            _atom(entry, "link", rel="alternate", type=MEDIA, href=one.link)
        if one.summary:
            _atom(entry, "summary", one.summary)
        if one.message:
            _atom(entry, "content", type="text/xml").append(parse(one.message))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def build_rss(feed: Feed) -> bytes:
    root = etree.Element("rss", version="2.0")
    channel = etree.SubElement(root, "channel")
    for name, text in (("title", feed.title), ("link", feed.link), ("description", feed.title), ("lastBuildDate", _rfc822(feed.updated))):
        _put(channel, name, text)
    for one in feed.entries:
        item = etree.SubElement(channel, "item")
        _put(item, "title", one.title)
        _put(item, "link", one.link)
        _put(item, "description", one.summary or one.title)
        guid = _put(item, "guid", one.id)
        if guid is not None:
            guid.set("isPermaLink", "false")
        _put(item, "pubDate", _rfc822(one.published or one.updated))
        if one.message:
            item.append(parse(one.message))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def build_edxl(
    *, identifier: str, sender: str, sent: datetime, messages: tuple[bytes, ...], status: str = "Actual", kind: str = "Report",
    confidentiality: str = "UNCLASSIFIED AND NOT SENSITIVE",
) -> bytes:
    """An envelope around whole messages. A signature inside still verifies when its alert is taken out again."""
    root = etree.Element(f"{{{EDXL}}}EDXLDistribution", nsmap={None: EDXL})
    for name, text in (
        ("distributionID", identifier), ("senderID", sender), ("dateTimeSent", format_date(sent)), ("distributionStatus", status),
        ("distributionType", kind), ("combinedConfidentiality", confidentiality),
    ):
        _put(root, f"{{{EDXL}}}{name}", text)
    for message in messages:
        content = etree.SubElement(root, f"{{{EDXL}}}contentObject")
        inner = etree.SubElement(etree.SubElement(content, f"{{{EDXL}}}xmlContent"), f"{{{EDXL}}}embeddedXMLContent")
        inner.append(parse(message))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True)


def _atom(parent: etree._Element, name: str, text: str = "", **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{ATOM}}}{name}", {key: _legal(value) for key, value in attributes.items()})
    element.text = _legal(text) or None
    return element


def _put(parent: etree._Element, name: str, text: str) -> etree._Element | None:
    if not text:
        return None
    element = etree.SubElement(parent, name)
    element.text = _legal(text)
    return element


def _legal(text: str) -> str:
    if bad := ILLEGAL.search(text):
        raise CapError("invalid", f"the feed holds the character U+{ord(bad[0]):04X}, which XML cannot carry")
    return text


def _rfc822(when: datetime) -> str:
    return format_datetime(when.astimezone(UTC))
