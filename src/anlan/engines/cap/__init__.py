"""CAP, the Common Alerting Protocol (OASIS CAP 1.2; ITU-T X.1303 bis): values in, values out.

    read(raw)            bytes -> Document: every alert in it, what was wrong and what was repaired
    check(element)       schema plus the rules the schema does not carry -> findings
    build(alert)         Alert -> bytes of a valid CAP 1.2 message, or of 1.1 or 1.0 where all of it has a place there
    sign(raw, key, cert) / verify(raw, cert)     enveloped XML signature
    build_atom / build_rss / build_edxl          feeds and envelopes around built messages
    area_geometry(area)  polygons and circles -> one shapely geometry, longitude/latitude, WGS 84

No Django, no network, no clock. CAP writes latitude first; geometry here is (longitude, latitude).
"""
from .building import build
from .checking import Finding, check
from .feeds import Feed, FeedEntry, build_atom, build_edxl, build_rss
from .geometry import area_geometry
from .model import Alert, Area, CapError, Info, Reference, Resource
from .reading import Document, Entry, Message, read
from .signing import Signature, sign, verify

__all__ = [
    "Alert", "Area", "CapError", "Document", "Entry", "Feed", "FeedEntry", "Finding", "Info", "Message", "Reference", "Resource",
    "Signature", "area_geometry", "build", "build_atom", "build_edxl", "build_rss", "check", "read", "sign", "verify",
]
