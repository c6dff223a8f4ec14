"""Bytes -> alerts, leniently: real issuers' defects are repaired, and every repair is named.

What is never guessed: identity (identifier, sender, sent), status, message type, scope, event, and the required codes of
an info. A message without them is *refused with its reason*; the caller keeps it and asks a person.
Everything else that is broken is dropped alone (one polygon, one parameter), and said.
"""
from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from lxml import etree

from . import model
from .checking import Finding, check, circle_problem, numbers, polygon_problem
from .model import NS10, VERSIONS, Alert, Area, CapError, Info, Reference, Resource, parse_date_leniently
from .nodes import Node
from .safe import parse

ATOM = "http://www.w3.org/2005/Atom"
ATOM_FEED = {"id", "title", "updated", "author", "link", "category", "contributor", "generator", "icon", "logo", "rights", "subtitle", "entry"}
ATOM_ENTRY = {"id", "title", "updated", "author", "category", "content", "contributor", "link", "published", "rights", "source", "summary"}
LEADING = re.compile(rb"(?:\xef\xbb\xbf)?\s+<\?xml")
MAX_MESSAGES = 2_000  # of one document
MAX_POINTS = 100_000  # of one message, over all polygons
EXACT = {"alert": ("identifier", "sender", "status", "msgType", "scope"), "alert/info": ("category", "responseType", "urgency", "severity", "certainty")}
NO_VALUE = re.compile(r"Element '(language|web|uri)': .* is not a valid value of the atomic type 'xs:(\w+)'")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One alert of a document. `alert` is None when it was refused, and `refused` says why."""

    alert: Alert | None
    xml: bytes  # the alert's own bytes; for a plain CAP file the input itself, unchanged
    version: str  # CAP version: 1.0, 1.1, 1.2
    findings: tuple[Finding, ...]  # strict judgement
    repairs: tuple[str, ...]  # what lenient reading did
    refused: str = ""
    signature: str = ""  # algorithm named in an enclosed XML signature; not verified here

    @property
    def valid(self) -> bool:
        return not any(not finding.note for finding in self.findings)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry of a feed: a link to fetch, or alerts that came with it (then `embedded` > 0)."""

    id: str
    title: str
    updated: str
    link: str
    embedded: int


@dataclass(frozen=True, kw_only=True)
class Document:
    kind: str  # cap | atom | rss | edxl-de | wrapper
    messages: tuple[Message, ...]
    entries: tuple[Entry, ...] = ()
    findings: tuple[Finding, ...] = ()  # of the wrapping itself
    repairs: tuple[str, ...] = ()  # of the wrapping itself

    @property
    def usable(self) -> bool:
        """The lenient verdict: every alert can be used, and every entry of a feed leads somewhere."""
        return all(message.alert is not None for message in self.messages) and all(entry.link or entry.embedded for entry in self.entries)

    @property
    def valid(self) -> bool:
        return not any(not f.note for f in self.findings) and all(message.valid for message in self.messages)

    @property
    def links(self) -> list[str]:
        """Addresses of alerts this feed only points to."""
        return [entry.link for entry in self.entries if entry.link and not entry.embedded]


def read(raw: bytes) -> Document:
    """All alerts of a CAP 1.0/1.1/1.2 message, an Atom or RSS feed, an EDXL-DE envelope or a private wrapper.

    Raises CapError (code too_large, encoding, doctype, not_xml, too_deep, too_many, not_cap) when nothing can be read.
    """
    if match := LEADING.match(raw):  # servers put blank lines there; XML forbids it, and nothing is lost by passing over them
        what = "white space stands before the XML declaration"
        inner = _read(raw[match.end() - 5:], raw)
        return replace(inner, findings=(Finding("not_xml", "document", what), *inner.findings), repairs=(f"document: {what}, passed over", *inner.repairs))
    return _read(raw, raw)


def _read(raw: bytes, original: bytes) -> Document:
    root = parse(raw)
    name, namespace = etree.QName(root).localname, etree.QName(root).namespace or ""
    if name == "alert":
        return Document(kind="cap", messages=(_message(root, original),))
    if name == "feed" and namespace == ATOM:
        return _atom(root)
    if name in ("rss", "RDF"):
        return _rss(root)
    if name.casefold() == "edxldistribution":  # DE 2.0 writes it small
        return _edxl(root)
    alerts = _taken_out(root)
    if alerts:
        finding = Finding("wrapper", name, f"root is <{name}>, a wrapper no standard knows; its {len(alerts)} alerts were taken out one by one")
        return Document(kind="wrapper", messages=tuple(alerts), findings=(finding,))
    raise CapError("not_cap", f"no CAP alert in it: the root element is <{name[:60]}>")


def _alerts(root: etree._Element) -> list[tuple[etree._Element, str]]:
    """The alerts in it, each with what the envelope around it (EDXL-DE, also inside a feed) says of its status."""
    found = [(one, _envelope(one)) for one in root.iter("{*}alert") if etree.QName(one).namespace in VERSIONS or len(one)]
    found = found or [(one, _envelope(part)) for part in root.iter() if (one := _enclosed(part)) is not None]
    if len(found) > MAX_MESSAGES:
        raise CapError("too_many", f"more than {MAX_MESSAGES:,} alerts in one document")
    return found


def _envelope(element: etree._Element) -> str:
    stands = next((_text(one, "distributionStatus") for one in element.iterancestors() if _name(one).casefold() == "edxldistribution"), "")
    return " ".join(stands.split())


def _outranked(message: Message, status: str) -> Message:
    """An envelope marked as a drill outranks the letter inside: nothing of a drill may be taken for real."""
    if message.alert is None or not status or status == "Actual" or message.alert.status != "Actual":
        return message
    real = status if status in model.STATUS else "Test"
    said = f"the envelope says {status}: the alert's Actual is read as {real}"
    return replace(message, alert=replace(message.alert, status=real), repairs=(*message.repairs, said))


def _taken_out(root: etree._Element) -> list[Message]:
    return [_outranked(_message(element), status) for element, status in _alerts(root)]


def _enclosed(element: etree._Element) -> etree._Element | None:
    """A whole message that travels as text: escaped or CDATA in a feed's content, base64 in an envelope's contentData."""
    text = (element.text or "").strip() if isinstance(element.tag, str) and not len(element) else ""
    raw = b""
    if text.startswith("<") and "alert" in text[:2000]:
        raw = re.sub(r"^<\?xml.*?\?>", "", text, flags=re.S).strip().encode()
    elif _name(element) == "contentData" and len(text) > 100:
        try:
            raw = base64.b64decode(text, validate=False)
        except ValueError:
            return None
    if b"alert" not in raw[:2000]:
        return None
    try:
        root = parse(raw)
    except CapError:
        return None  # a web page, a picture: not ours to judge
    return root if _name(root) == "alert" else None


def _atom(root: etree._Element) -> Document:
    findings, entries, messages = [], [], []
    own = {_name(child) for child in root if etree.QName(child).namespace == ATOM}
    findings += [Finding("feed", "feed", f"Atom feed lacks {name}") for name in ("id", "title", "updated") if name not in own]
    findings += [Finding("feed", "feed", f"unknown element <{name}> in the Atom namespace") for name in sorted(own - ATOM_FEED)]
    for entry in root.iterchildren(f"{{{ATOM}}}entry"):
        parts = {_name(child) for child in entry if etree.QName(child).namespace == ATOM}
        findings += [Finding("feed", "feed/entry", f"Atom entry lacks {name}") for name in ("id", "title", "updated") if name not in parts]
        findings += [Finding("feed", "feed/entry", f"unknown element <{name}> in the Atom namespace") for name in sorted(parts - ATOM_ENTRY)]
        alerts = _taken_out(entry)
        content = entry.find(f"{{{ATOM}}}content")
        link = _atom_link(entry)
        if not alerts and not link:
            src = content.get("src", "") if content is not None else ""
            if src:
                link = src
            else:
                findings.append(Finding("feed", "feed/entry", "Atom entry lacks a link and has no alert in its content"))
        messages += alerts
        entries.append(Entry(
            id=_text(entry, "id"), title=_text(entry, "title"), updated=_text(entry, "updated"), link=link, embedded=len(alerts),
        ))
    return Document(kind="atom", messages=tuple(messages), entries=tuple(entries), findings=tuple(findings))


def _atom_link(entry: etree._Element) -> str:
    links = [link for link in entry.iterchildren(f"{{{ATOM}}}link") if link.get("href")]
    ranked = sorted(links, key=lambda link: (link.get("type") != "application/cap+xml", link.get("rel", "alternate") != "alternate"))
    return ranked[0].get("href", "") if ranked else ""


def _rss(root: etree._Element) -> Document:
    findings, entries, messages = [], [], []
    channel = next(root.iter("{*}channel"), None)
    if channel is None:
        raise CapError("not_cap", "an RSS document without a channel")
    have = {_name(child) for child in channel}
    findings += [Finding("feed", "channel", f"RSS channel lacks {name}") for name in ("title", "link", "description") if name not in have]
    for item in root.iter("{*}item"):
        alerts = _taken_out(item)
        link = _text(item, "link")
        if not link and _text(item, "guid").startswith("http"):
            link = _text(item, "guid")
        if not _text(item, "title") and not _text(item, "description"):
            findings.append(Finding("feed", "channel/item", "RSS item lacks title and description"))
        if not alerts and not link:
            findings.append(Finding("feed", "channel/item", "RSS item lacks a link and has no alert in it"))
        messages += alerts
        entries.append(Entry(
            id=_text(item, "guid") or link, title=_text(item, "title"), updated=_text(item, "pubDate"), link=link, embedded=len(alerts),
        ))
    return Document(kind="rss", messages=tuple(messages), entries=tuple(entries), findings=tuple(findings))


def _edxl(root: etree._Element) -> Document:
    findings = []
    kind = "distributionKind" if "DE:2" in (etree.QName(root).namespace or "") else "distributionType"
    for name in ("distributionID", "senderID", "dateTimeSent", "distributionStatus", kind):
        if not _text(root, name):
            findings.append(Finding("envelope", "EDXLDistribution", f"EDXL-DE lacks {name}"))
    return Document(kind="edxl-de", messages=tuple(_taken_out(root)), findings=tuple(findings))


# One alert

def _message(element: etree._Element, raw: bytes | None = None) -> Message:
    namespace = etree.QName(element).namespace or ""
    node = Node(element)
    findings = check(element, node)
    reader = _Reader(namespace)
    alert, refused = None, ""
    try:
        alert = reader.alert(node)
    except _Refused as reason:
        refused = str(reason)
        if all(finding.note for finding in findings):  # whatever conforms can be read
            findings.append(Finding("refused", "alert", refused))
    reader.repairs += [f"{match[1]}: not a valid {match[2]}, kept as written" for f in findings if f.code == "schema" and (match := NO_VALUE.match(f.message))]
    if any(f.code == "schema" and "not expected" in f.message for f in findings) and alert:
        reader.repairs.append("elements stand out of the schema's order or where it has no place for them: read by name")
    method = next(element.iter(f"{{{model.DSIG}}}SignatureMethod"), None)
    return Message(
        alert=alert,
        xml=raw if raw is not None else etree.tostring(element, encoding="utf-8", xml_declaration=True, with_tail=False),
        version=VERSIONS.get(namespace, "1.2"), findings=tuple(findings), repairs=tuple(dict.fromkeys(reader.repairs)), refused=refused,
        signature=(method.get("Algorithm", "").rpartition("#")[2] or "unnamed") if method is not None else "",
    )


class _Refused(Exception):
    pass


@dataclass
class _Reader:
    namespace: str
    repairs: list[str] = field(default_factory=list)
    points: int = 0

    def alert(self, element: Node) -> Alert:
        if self.namespace not in VERSIONS:
            self.repair("alert", "no CAP namespace, read as CAP 1.2")
        sent = self.date(element, "sent", "alert")
        if sent is None:
            raise _Refused("sent is missing or not a date")
        self.exact(element, "alert")
        return Alert(
            identifier=self.must(element, "identifier", "alert"),
            sender=self.must(element, "sender", "alert"),
            sent=sent,
            status=self.code(element, "status", model.STATUS, "alert"),
            msg_type=self.code(element, "msgType", model.MSG_TYPE, "alert"),
            scope=self.code(element, "scope", model.SCOPE, "alert"),
            source=element.one("source"),
            restriction=element.one("restriction"),
            addresses=_quoted(element.one("addresses")),
            codes=tuple(element.texts("code")),
            note=element.one("note"),
            references=tuple(self.references(element.one("references"))),
            incidents=_quoted(element.one("incidents")),
            infos=tuple(self.info(child) for child in element.all("info")),
        )

    def repair(self, where: str, what: str) -> None:
        self.repairs.append(f"{where}: {what}")

    def exact(self, parent: Node, where: str) -> None:
        """Space around a text is nobody's fault, around a name or code it is: others compare those letter by letter."""
        for name in EXACT[where]:
            for child in parent.all(name):
                if child.around:
                    self.repair(f"{where}/{name}", f"{child.around} taken away")

    def must(self, parent: Node, name: str, where: str) -> str:
        value = parent.one(name)
        if not value:
            raise _Refused(f"{where}/{name} is missing")
        return value

    def code(self, parent: Node, name: str, allowed: tuple[str, ...], where: str) -> str:
        return self.known(self.must(parent, name, where), allowed, f"{where}/{name}")

    def known(self, value: str, allowed: tuple[str, ...], where: str) -> str:
        if value in allowed:
            return value
        if allowed is model.CERTAINTY and value == "Very Likely":  # CAP 1.0's word
            self.repair(where, "Very Likely (CAP 1.0) read as Likely")
            return "Likely"
        for one in allowed:
            if value.casefold() == one.casefold():
                self.repair(where, f"{value!r} read as {one}")
                return one
        raise _Refused(f"{where} has the unknown code {value[:60]!r}")

    def date(self, parent: Node, name: str, where: str) -> datetime | None:
        text = parent.one(name)
        if not text:
            return None
        try:
            value, fault = parse_date_leniently(text)
        except (ValueError, OverflowError):
            self.repair(f"{where}/{name}", f"not a date, dropped: {text[:60]!r}")
            return None
        if fault:
            self.repair(f"{where}/{name}", fault)
        return value

    def references(self, text: str) -> Iterator[Reference]:
        for triple in text.split():
            sender, _, rest = triple.partition(",")
            identifier, _, sent = rest.rpartition(",")
            try:
                when, fault = parse_date_leniently(sent)
            except (ValueError, OverflowError):
                self.repair("alert/references", f"not sender,identifier,sent, dropped: {triple[:120]!r}")
                continue
            if not sender or not identifier:
                self.repair("alert/references", f"not sender,identifier,sent, dropped: {triple[:120]!r}")
                continue
            if fault:
                self.repair("alert/references", fault)
            yield Reference(sender=sender, identifier=identifier, sent=when)

    def info(self, element: Node) -> Info:
        where = "alert/info"
        self.exact(element, where)
        language = element.one("language")
        if "_" in language:
            self.repair(f"{where}/language", f"{language[:40]!r} read as {language.replace('_', '-')[:40]}")
            language = language.replace("_", "-")
        categories = tuple(self.known(text, model.CATEGORY, f"{where}/category") for text in element.texts("category"))
        if not categories and self.namespace == NS10:  # which does not ask for one
            self.repair(where, "no category (CAP 1.0), read as Other")
            categories = ("Other",)
        if not categories:
            raise _Refused(f"{where}/category is missing")
        responses = []
        for text in element.texts("responseType"):
            try:
                responses.append(self.known(text, model.RESPONSE_TYPE, f"{where}/responseType"))
            except _Refused:  # advice, not a judgement of danger: the rest of the message stands without it
                self.repair(f"{where}/responseType", f"unknown code dropped: {text[:60]!r}")
        return Info(
            language=language,
            categories=categories,
            event=self.must(element, "event", where),
            response_types=tuple(responses),
            urgency=self.code(element, "urgency", model.URGENCY, where),
            severity=self.code(element, "severity", model.SEVERITY, where),
            certainty=self.code(element, "certainty", model.CERTAINTY, where),
            audience=element.one("audience"),
            event_codes=tuple(self.pairs(element, "eventCode", where)),
            effective=self.date(element, "effective", where),
            onset=self.date(element, "onset", where),
            expires=self.date(element, "expires", where),
            sender_name=element.one("senderName"),
            headline=element.one("headline"),
            description=element.one("description"),
            instruction=element.one("instruction"),
            web=element.one("web"),
            contact=element.one("contact"),
            parameters=tuple(self.pairs(element, "parameter", where)),
            resources=tuple(self.resource(child) for child in element.all("resource")),
            areas=tuple(self.area(child) for child in element.all("area")),
        )

    def pairs(self, parent: Node, name: str, where: str) -> Iterator[model.Pair]:
        for child in parent.all(name):
            keys, values = child.texts("valueName", True), child.texts("value", True)
            if self.namespace == NS10 and not child.children:
                key, _, value = child.text.partition("=")
                keys, values = [key], [value]
            if not keys or len(keys) != len(values) or not all(keys):
                self.repair(f"{where}/{name}", "valueName and value do not pair, dropped")
                continue
            if len(keys) > 1:
                self.repair(f"{where}/{name}", "several names and values in one element, read in pairs")
            yield from zip(keys, values, strict=True)

    def resource(self, element: Node) -> Resource:
        size = element.one("size")
        if size and not re.fullmatch(r"\d{1,15}", size):
            self.repair("alert/info/resource/size", f"not a number of bytes, dropped: {size[:40]!r}")
            size = ""
        return Resource(
            description=element.one("resourceDesc"), mime_type=element.one("mimeType"), size=int(size) if size else None,
            uri=element.one("uri"), deref_uri=element.one("derefUri"), digest=element.one("digest"),
        )

    def area(self, element: Node) -> Area:
        where = "alert/info/area"
        description = element.one("areaDesc")
        if not element.all("areaDesc"):  # empty is allowed, absent is not
            self.repair(where, "areaDesc is missing")
        polygons = [ring for text in element.texts("polygon", True) if (ring := self.polygon(text))]
        circles = [one for text in element.texts("circle", True) if (one := self.circle(text))]
        return Area(
            description=description, polygons=tuple(polygons), circles=tuple(circles),
            geocodes=tuple(self.pairs(element, "geocode", where)),
            altitude=self.feet(element, "altitude"), ceiling=self.feet(element, "ceiling"),
        )

    def polygon(self, text: str) -> tuple[model.Point, ...] | None:
        where = "alert/info/area/polygon"
        problem = polygon_problem(text)
        if problem:
            # "lat, lon lat, lon" is the one spelling met whose meaning is plain.
            tidy = re.sub(r"\s*,\s+|\s+,\s*", ",", text)
            pairs = tidy.split()
            if problem == "polygon not closed" or (len(pairs) >= 3 and pairs[0] != pairs[-1]):
                same = problem == "polygon not closed" and numbers(pairs[0]) == numbers(pairs[-1])
                closed = " ".join([*(pairs[:-1] if same else pairs), pairs[0]])
                if not polygon_problem(closed):
                    self.repair(where, "not closed, closed by its first corner")
                    text, problem = closed, ""
            if problem and tidy != text and not polygon_problem(tidy):
                self.repair(where, "spaces after the commas")
                text, problem = tidy, ""
        if problem:
            self.repair(where, f"{problem}, dropped")
            return None
        ring = numbers(text)
        self.points += len(ring)
        if self.points > MAX_POINTS:
            raise _Refused(f"more than {MAX_POINTS:,} corners in its polygons")
        return ring

    def circle(self, text: str) -> tuple[float, float, float] | None:
        where = "alert/info/area/circle"
        problem = circle_problem(text)
        if problem and (match := re.fullmatch(r"(\S+?)\s*,\s*(\S+?)[\s,]+(\S+)", text)):
            tidy = f"{match[1]},{match[2]} {match[3]}"
            if not circle_problem(tidy):
                self.repair(where, "commas or spaces out of place")
                text, problem = tidy, ""
        if problem:
            self.repair(where, f"{problem}, dropped")
            return None
        centre, radius = text.split()
        lat, lon = centre.split(",")
        return float(lat), float(lon), float(radius)

    def feet(self, parent: Node, name: str) -> float | None:
        text = parent.one(name)
        if not text:
            return None
        if not re.fullmatch(r"[-+]?\d{1,7}(\.\d*)?", text):
            self.repair(f"alert/info/area/{name}", f"not a number of feet, dropped: {text[:40]!r}")
            return None
        return float(text)


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _children(parent: etree._Element, name: str) -> list[etree._Element]:
    return [child for child in parent if _name(child) == name]


def _texts(parent: etree._Element, name: str, empty: bool = False) -> list[str]:
    values = ["".join(child.itertext()).strip() for child in _children(parent, name)]
    return values if empty else [value for value in values if value]


def _text(parent: etree._Element, name: str) -> str:
    values = _texts(parent, name)
    return values[0] if values else ""


def _quoted(text: str) -> tuple[str, ...]:
    """Space-separated words; one with spaces stands in double quotes."""
    return tuple(quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', text) if quoted or word)


__all__ = ["Document", "Entry", "Message", "read"]
