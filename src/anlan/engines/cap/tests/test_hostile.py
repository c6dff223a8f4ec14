"""Hostile documents are refused with one named reason, quickly and without touching file or network."""
from __future__ import annotations

import pytest

from anlan.engines import cap
from anlan.engines.cap import safe

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + "".join(f'<!ENTITY lol{n} "{f"&lol{n - 1 or str()};" * 10}">' for n in range(1, 10))
    + ']><alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>&lol9;</identifier></alert>'
)
XXE = '<?xml version="1.0"?>\n<!-- c --><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><alert><identifier>&x;</identifier></alert>'


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (LAUGHS.encode(), "doctype"),
        (XXE.encode(), "doctype"),
        (XXE.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-16"?>').encode("utf-16"), "doctype"),
        (b"\xef\xbb\xbf" + XXE.encode(), "doctype"),
        (b'<?xml version="1.0" encoding="UTF-7"?><alert/>', "encoding"),
        (b"\x00\x00\xfe\xff" + "<alert/>".encode("utf-32-be"), "encoding"),
        (b"<alert>" + b"<info>" * 100_000, "too_deep"),
        (b"<alert>" + b"<a>" * 60 + b"</a>" * 60 + b"</alert>", "too_deep"),
        (b"<alert>" + b"<a/>" * (safe.MAX_ELEMENTS + 1) + b"</alert>", "too_many"),
        (b"<alert>" + b" " * (50 * 1024 * 1024) + b"</alert>", "too_large"),
        (b"", "not_xml"),
        (b"\x00\xff\x00", "not_xml"),
        (b"<alert><identifier>&undefined;</identifier></alert>", "not_xml"),
        (b"<html><body>no such page</body></html>", "not_cap"),
    ],
    ids=["laughs", "xxe", "xxe-utf16", "xxe-bom", "utf7", "utf32", "endless", "deep", "many", "50MB", "empty", "bytes", "entity", "html"],
)
def test_it_is_refused_before_it_costs_anything(raw, code):
    with pytest.raises(cap.CapError) as caught:
        cap.read(raw)
    assert caught.value.code == code, str(caught.value)


def test_xinclude_and_schema_locations_are_only_text():
    raw = (
        b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2" xmlns:xi="http://www.w3.org/2001/XInclude">'
        b'<identifier>a</identifier><xi:include href="file:///etc/passwd" parse="text"/></alert>'
    )
    message = cap.read(raw).messages[0]
    assert message.alert is None and b"root:" not in message.xml


def test_a_doctype_quoted_inside_a_description_is_no_doctype():
    raw = (
        b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier><sender>b</sender>'
        b"<sent>2026-07-20T06:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"
        b"<note><![CDATA[<!DOCTYPE html>]]></note></alert>"
    )
    assert cap.read(raw).messages[0].alert.note == "<!DOCTYPE html>"


def test_a_polygon_of_a_million_corners_is_refused():
    ring = " ".join(["30,110"] * 120_000)
    raw = (
        '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a</identifier><sender>b</sender>'
        "<sent>2026-07-20T06:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope><info><category>Met</category>"
        "<event>e</event><urgency>Past</urgency><severity>Minor</severity><certainty>Likely</certainty>"
        f"<area><areaDesc>x</areaDesc><polygon>{ring}</polygon></area></info></alert>"
    )
    message = cap.read(raw.encode()).messages[0]
    assert message.alert is None and "corners" in message.refused
