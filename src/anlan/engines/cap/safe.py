"""Bytes of a stranger to an element tree: no DTD, no entities, no network, limits on size, depth and count.

The DOCTYPE is refused by reading the prolog ourselves, *before* any XML parser sees the document: an entity that is
declared can still cost memory or touch the network in a parser that is told not to use it.
"""
from __future__ import annotations

import re

from lxml import etree

from .model import CapError

MAX_BYTES = 5 * 1024 * 1024  # the largest real message met is 166 KB, the largest national feeds are some MB
MAX_DEPTH = 40  # CAP itself is five deep; EDXL-DE in Atom with a signature stays under fifteen
MAX_ELEMENTS = 200_000
ENCODINGS = re.compile(
    r"(utf-?8|utf-?16(le|be)?|us-ascii|ascii|iso-8859-\d+|windows-125\d|gb2312|gbk|gb18030|big5|shift_jis|euc-(jp|kr)|koi8-[ru])\Z",
    re.I,
)
PROLOG = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.S)


def parse(raw: bytes) -> etree._Element:
    """The root element; CapError with code too_large, encoding, doctype, not_xml, too_deep or too_many."""
    if len(raw) > MAX_BYTES:
        raise CapError("too_large", f"{len(raw):,} bytes; the limit is {MAX_BYTES:,}")
    _refuse_doctype(raw)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, attribute_defaults=False,
        huge_tree=False, recover=False, remove_comments=True, remove_pis=True,
    )
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError) as error:
        text = str(error)
        if "depth" in text.lower():
            raise CapError("too_deep", f"nested deeper than {MAX_DEPTH} elements") from None
        raise CapError("not_xml", f"not well-formed XML: {text[:200]}") from None
    if root.getroottree().docinfo.internalDTD is not None:  # belt to the braces above
        raise CapError("doctype", "a DOCTYPE is not accepted")
    _measure(root)
    return root


def _refuse_doctype(raw: bytes) -> None:
    if raw[:4] in (b"\x00\x00\xfe\xff", b"\xff\xfe\x00\x00", b"\x00\x00\x00<", b"<\x00\x00\x00") or raw[:4] == b"Lo\xa7\x94":
        raise CapError("encoding", "the character encoding is not accepted")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in raw[:4]:
        text = raw.decode("utf-16-be" if raw[:2] == b"\xfe\xff" or raw[:1] == b"\x00" else "utf-16-le", "replace").lstrip("\ufeff")
    else:
        text = raw.removeprefix(b"\xef\xbb\xbf").decode("latin-1")  # the prolog's markup is ASCII in all of ENCODINGS
    declared = re.match(r"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']", text)
    if declared and not ENCODINGS.match(declared[1]):
        raise CapError("encoding", f"the character encoding {declared[1][:40]!r} is not accepted")
    at = 0
    while match := PROLOG.match(text, at):
        at = match.end()
    if text.startswith("<!", at):
        raise CapError("doctype", "a DOCTYPE is not accepted: entities and external references are refused before parsing")


DEEP = etree.XPath("boolean(" + "/*" * (MAX_DEPTH + 1) + ")")
COUNT = etree.XPath("count(//*)")


def _measure(root: etree._Element) -> None:
    if DEEP(root):
        raise CapError("too_deep", f"nested deeper than {MAX_DEPTH} elements")
    if COUNT(root) > MAX_ELEMENTS:
        raise CapError("too_many", f"more than {MAX_ELEMENTS:,} elements")
