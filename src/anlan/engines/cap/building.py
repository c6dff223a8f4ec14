"""An Alert as the bytes of a CAP message, in the schema's order, dates with offset, UTC as -00:00."""
from __future__ import annotations

import re

from lxml import etree

from .checking import DESIGNATOR, PAIRS, check
from .model import NS10, NS12, VERSIONS, Alert, Area, CapError, Info, Pair, Resource, format_date

ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

NAMESPACES = {version: namespace for namespace, version in VERSIONS.items()}


def build(alert: Alert, version: str = "1.2") -> bytes:
    """The message as UTF-8. CapError('invalid') names what the standard forbids, or has no place for in that version: nothing invalid leaves here."""
    root = etree.Element(f"{{{NS12}}}alert", nsmap={None: NS12})
    _put(root, "identifier", alert.identifier)
    _put(root, "sender", alert.sender)
    _put(root, "sent", format_date(alert.sent))
    _put(root, "status", alert.status)
    _put(root, "msgType", alert.msg_type)
    _put(root, "source", alert.source)
    _put(root, "scope", alert.scope)
    _put(root, "restriction", alert.restriction)
    _put(root, "addresses", " ".join(map(_quote, alert.addresses)))
    for code in alert.codes:
        _put(root, "code", code)
    _put(root, "note", alert.note)
    _put(root, "references", " ".join(f"{r.sender},{r.identifier},{format_date(r.sent)}" for r in alert.references))
    _put(root, "incidents", " ".join(map(_quote, alert.incidents)))
    for info in alert.infos:
        _info(root, info)
    if version != "1.2":
        root = _older(root, NAMESPACES[version])
    errors = [finding for finding in check(root) if not finding.note]
    if errors:
        raise CapError("invalid", "; ".join(f"{finding.where}: {finding.message}" for finding in errors[:5]))
    return etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True)


def _older(root: etree._Element, namespace: str) -> etree._Element:
    """The same in an older version's spelling; what that one has no place for stays, and its check names it."""
    if namespace == NS10:
        for pair in list(root.iter(*(f"{{{NS12}}}{name}" for name in PAIRS))):
            key, value = (child.text or "" for child in pair)
            if not re.fullmatch(DESIGNATOR, key):
                raise CapError("invalid", f"{etree.QName(pair).localname}: CAP 1.0 has no place for the name {key[:60]!r}")
            del pair[:]
            pair.text = f"{key}={value}"
    return etree.fromstring(etree.tostring(root).replace(NS12.encode(), namespace.encode(), 1))  # the root's own declaration stands first


def _info(root: etree._Element, info: Info) -> None:
    element = etree.SubElement(root, f"{{{NS12}}}info")
    _put(element, "language", info.language)
    for category in info.categories:
        _put(element, "category", category)
    _put(element, "event", info.event)
    for response in info.response_types:
        _put(element, "responseType", response)
    _put(element, "urgency", info.urgency)
    _put(element, "severity", info.severity)
    _put(element, "certainty", info.certainty)
    _put(element, "audience", info.audience)
    _pairs(element, "eventCode", info.event_codes)
    for name in ("effective", "onset", "expires"):
        if (when := getattr(info, name)) is not None:
            _put(element, name, format_date(when))
    _put(element, "senderName", info.sender_name)
    for name in ("headline", "description", "instruction", "web", "contact"):
        _put(element, name, getattr(info, name))
    _pairs(element, "parameter", info.parameters)
    for resource in info.resources:
        _resource(element, resource)
    for area in info.areas:
        _area(element, area)


def _resource(parent: etree._Element, resource: Resource) -> None:
    element = etree.SubElement(parent, f"{{{NS12}}}resource")
    _put(element, "resourceDesc", resource.description, always=True)
    _put(element, "mimeType", resource.mime_type or "application/octet-stream")
    _put(element, "size", "" if resource.size is None else str(resource.size))
    _put(element, "uri", resource.uri)
    _put(element, "derefUri", resource.deref_uri)
    _put(element, "digest", resource.digest)


def _area(parent: etree._Element, area: Area) -> None:
    element = etree.SubElement(parent, f"{{{NS12}}}area")
    _put(element, "areaDesc", area.description, always=True)
    for ring in area.polygons:
        _put(element, "polygon", " ".join(f"{_decimal(lat)},{_decimal(lon)}" for lat, lon in ring))
    for lat, lon, radius in area.circles:
        _put(element, "circle", f"{_decimal(lat)},{_decimal(lon)} {_decimal(radius)}")
    _pairs(element, "geocode", area.geocodes)
    if area.altitude is not None:
        _put(element, "altitude", _decimal(area.altitude))
    if area.ceiling is not None:
        _put(element, "ceiling", _decimal(area.ceiling))


def _pairs(parent: etree._Element, name: str, pairs: tuple[Pair, ...]) -> None:
    for key, value in pairs:
        element = etree.SubElement(parent, f"{{{NS12}}}{name}")
        _put(element, "valueName", key, always=True)
        _put(element, "value", value, always=True)


def _put(parent: etree._Element, name: str, text: str, always: bool = False) -> None:
    if not text and not always:
        return
    if bad := ILLEGAL.search(text):
        raise CapError("invalid", f"{name} holds the character U+{ord(bad[0]):04X}, which XML cannot carry")
    etree.SubElement(parent, f"{{{NS12}}}{name}").text = text


def _quote(word: str) -> str:
    return f'"{word}"' if re.search(r"\s", word) else word


def _decimal(value: float) -> str:
    """Plain decimal notation, seven decimals (about a centimetre), no exponent."""
    text = f"{value:.7f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
