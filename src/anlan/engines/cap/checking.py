"""Strict judgement of one alert: the schema, and the rules of the standard the schema does not carry.

A message conforms only if both hold (CAP 1.2 §4.2). Findings with `note` set are advice and do not make it invalid.
"""
from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from datetime import UTC
from functools import cache, lru_cache
from pathlib import Path

from lxml import etree

from .model import NS10, NS11, NS12, VERSIONS, parse_date, parse_date_leniently
from .nodes import Node

XS = "{http://www.w3.org/2001/XMLSchema}"
SCHEMA = Path(__file__).parent / "data" / "CAP-v1.2.xsd"
DATES = ("sent", "effective", "onset", "expires")
PAIRS = ("eventCode", "parameter", "geocode")
# What of 1.2 an older version has no place for. Code values by element, and whole elements.
VALUES = {
    NS11: {"responseType": {"Avoid", "AllClear"}},
    NS10: {"status": {"Draft"}, "category": {"CBRNE"}, "certainty": {"Observed"}},
}
GONE = {NS11: set(), NS10: {"responseType", "derefUri"}}
DESIGNATOR = r"[^\s=,]+"  # the name in CAP 1.0's name=value
MAX_FINDINGS = 50  # a broken message says the same thing a thousand times


@dataclass(frozen=True)
class Finding:
    code: str  # one word for machines
    where: str  # path of local names, e.g. alert/info/area/polygon
    message: str
    note: bool = False


@cache
def schema(namespace: str) -> etree.XMLSchema:
    """The schema of that version; 1.1 and 1.0 are derived from 1.2 by what they have otherwise."""
    tree = etree.parse(str(SCHEMA))
    if namespace == NS12:
        return etree.XMLSchema(tree)
    root = etree.fromstring(etree.tostring(tree).replace(NS12.encode(), namespace.encode()))
    for element in list(root.iter(f"{XS}element")):
        name = element.get("name")
        for value in list(element.iterfind(f"{XS}simpleType/{XS}restriction/{XS}enumeration")):
            if value.get("value") in VALUES[namespace].get(name, ()):
                value.getparent().remove(value)
        if name in GONE[namespace]:
            element.getparent().remove(element)
        elif name in DATES:
            element.remove(element.find(f"{XS}simpleType"))
            element.set("type", "xs:dateTime")
        elif name == "mimeType":
            element.set("minOccurs", "0")
        elif name in ("altitude", "ceiling"):
            element.set("type", "xs:string")
        elif namespace == NS10:
            _first(element, name)
    for anything in list(root.iter(f"{XS}any")):
        anything.getparent().remove(anything)
    return etree.XMLSchema(root)


def _first(element: etree._Element, name: str | None) -> None:
    """What CAP 1.0 alone has: pairs as name=value, no category needed, Very Likely, and a password."""
    def made(text: str) -> etree._Element:
        return etree.fromstring(f'<x xmlns:xs="{XS[1:-1]}">{text}</x>')[0]

    if name in PAIRS:
        element.remove(element.find(f"{XS}complexType"))
        element.append(made(f'<xs:simpleType><xs:restriction base="xs:string"><xs:pattern value="\\s*{DESIGNATOR}=[\\s\\S]*"/></xs:restriction></xs:simpleType>'))
    elif name == "category":
        element.set("minOccurs", "0")
    elif name == "certainty":
        element.find(f"{XS}simpleType/{XS}restriction").append(made('<xs:enumeration value="Very Likely"/>'))
    elif name == "msgType":
        element.addnext(made('<xs:element name="password" type="xs:string" minOccurs="0"/>'))


def check(alert: etree._Element, node: Node | None = None) -> list[Finding]:
    """Everything wrong with one `alert` element, in document order, at most MAX_FINDINGS. `node`: the same as a Node, where there is one."""
    namespace = etree.QName(alert).namespace or ""
    found: list[Finding] = []
    if namespace not in VERSIONS:
        found.append(Finding("namespace", "alert", f"not a CAP namespace: {namespace or '(none)'}"))
    else:
        rules = schema(namespace)
        alone = alert if alert.getparent() is None else copy.deepcopy(alert)  # as a document of its own, wherever it was embedded
        if not rules.validate(alone):
            found += [Finding("schema", "alert", _short(error.message)) for error in rules.error_log]
    found += _rules(node or Node(alert))
    return found[:MAX_FINDINGS]


def _rules(alert: Node) -> list[Finding]:
    found: list[Finding] = []

    def bad(code: str, where: str, message: str, note: bool = False) -> None:
        found.append(Finding(code, where, message, note))

    def dates(parent: Node, path: str) -> None:
        for name in DATES:
            for text in parent.texts(name, True):
                try:
                    offset = parse_date(text).utcoffset()
                    if offset and offset.total_seconds() % 900:
                        bad("odd_offset", f"{path}/{name}", f"no zone uses this UTC offset: {text[-6:]}", note=True)
                except ValueError as error:
                    bad("date", f"{path}/{name}", str(error))

    for name in ("identifier", "sender"):
        for node in alert.all(name):
            if not node.text or node.around or re.search(r"[\s,<&]", node.text):
                why = f" ({node.around})" if node.around else ""
                bad("identity", f"alert/{name}", f"{name} must not be empty or hold spaces, commas, < or &: {node.text[:80]!r}{why}")
    dates(alert, "alert")
    kind, scope = alert.one("msgType"), alert.one("scope")
    references = alert.one("references")
    if kind in ("Update", "Cancel", "Ack", "Error") and not references:  # each is defined as being about "the message(s) identified in references"
        bad("references", "alert/references", f"{kind} must name the message it is about")
    if kind == "Error" and not alert.one("note"):
        bad("note", "alert/note", "Error should say in note what was wrong", note=True)
    for triple in references.split():
        if not _reference(triple):
            bad("references", "alert/references", f"not sender,identifier,sent: {triple[:120]!r}")
    if scope == "Private" and not alert.one("addresses"):
        bad("addresses", "alert/addresses", "scope Private needs addresses")
    if scope == "Restricted" and not alert.one("restriction"):
        bad("restriction", "alert/restriction", "scope Restricted should say the rule of its restriction", note=True)
    if scope and scope != "Restricted" and alert.one("restriction"):
        bad("restriction", "alert/restriction", f"restriction is used with scope Restricted only, not {scope}")
    for info in alert.all("info"):
        dates(info, "alert/info")
        if not info.one("expires"):
            bad("expires", "alert/info/expires", "an info should say when it ends", note=True)
        for area in info.all("area"):
            _area_rules(area, bad)
    return found


def _area_rules(area: Node, bad) -> None:
    path = "alert/info/area"
    polygons, circles = area.texts("polygon", True), area.texts("circle", True)
    for text in polygons:
        if problem := polygon_problem(text):
            bad("polygon", f"{path}/polygon", problem)
    for text in circles:
        if problem := circle_problem(text):
            bad("circle", f"{path}/circle", problem)
    if area.one("ceiling") and not area.one("altitude"):
        bad("ceiling", f"{path}/ceiling", "ceiling is used only with altitude")
    geocodes = area.all("geocode")
    if not polygons and not circles:
        what = "only geocodes: receivers must share the code list" if geocodes else "only words: no place a machine can find"
        bad("place", path, f"the area has {what}", note=True)


STRANGE = re.compile(r"[^-+.,0-9eE\s]")  # float() also takes nan, inf, 1_0 and other scripts' digits


@lru_cache(maxsize=16)  # asked once to judge a ring and once to read it
def numbers(text: str) -> tuple[tuple[float, float], ...]:
    """Space-separated pairs as numbers; ValueError when one is no pair of numbers."""
    return tuple((float(lat), float(lon)) for lat, lon in (pair.split(",") for pair in text.split()))


def polygon_problem(text: str) -> str:
    """What is wrong with a polygon's text by CAP 1.2, or ''."""
    if not text:
        return "empty polygon"
    pairs = text.split()
    try:
        points = numbers(text) if not STRANGE.search(text) else ()
    except ValueError:
        points = ()
    if not points:
        return f"polygon is not space-separated lat,lon pairs: {text[:60]!r}"
    lats, lons = zip(*points, strict=True)
    if min(lats) < -90 or max(lats) > 90 or min(lons) < -180 or max(lons) > 180:
        return "polygon leaves the range of latitude or longitude"
    if len(points) < 4:
        return f"polygon has {len(points)} pairs, at least 4 are needed"
    if pairs[0] != pairs[-1]:
        # As written, not as numbers: receivers compare the text, and 21.28 and 21.280 do not close a ring for them.
        return "polygon not closed"
    return ""


def circle_problem(text: str) -> str:
    """What is wrong with a circle's text by CAP 1.2, or ''."""
    match = re.fullmatch(r"([^\s,]+),([^\s,]+)\s+([^\s,]+)", text)
    try:
        lat, lon, radius = map(_number, match.groups() if match else ())
    except ValueError:
        return f'circle is not "lat,lon radius": {text[:60]!r}' if text else "empty circle"
    if not (-90 <= lat <= 90 and -180 <= lon <= 180 and 0 <= radius <= 20_040):  # half the earth's girth in km
        return "circle leaves the range of latitude, longitude or radius"
    return ""


def _number(text: str) -> float:
    if STRANGE.search(text):
        raise ValueError(text)
    return float(text)


def _reference(triple: str) -> bool:
    sender, _, rest = triple.partition(",")
    identifier, _, sent = rest.rpartition(",")
    try:
        # Real senders write UTC and fractions their way in here, pointing at messages that did so; the triple stays readable.
        return bool(sender and identifier and parse_date_leniently(sent)[0].astimezone(UTC))
    except (ValueError, OverflowError):
        return False


def _short(message: str) -> str:
    return re.sub(rf"\{{({'|'.join(map(re.escape, VERSIONS))})\}}", "", message)[:300]
