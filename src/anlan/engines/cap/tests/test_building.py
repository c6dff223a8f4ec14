"""build → read → build gives the same bytes and the same values, for any alert the standard allows."""
from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import Point

from anlan.engines import cap
from anlan.engines.cap import model

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp", "Cn"]), min_size=1, max_size=20)
text = st.lists(words, min_size=1, max_size=4).map(" ".join)
maybe = st.just("") | text
token = st.text(st.characters(codec="ascii", categories=["Lu", "Ll", "Nd"]) | st.sampled_from("-._:@/"), min_size=1, max_size=30)
dates = st.builds(
    lambda seconds, quarters: datetime.fromtimestamp(seconds, timezone(timedelta(minutes=15 * quarters)) if quarters else UTC),
    st.integers(0, 4_000_000_000), st.integers(-48, 56),
)
pairs = st.lists(st.tuples(words, maybe), max_size=3).map(tuple)
lat = st.integers(-900_000_000, 900_000_000).map(lambda n: n / 1e7)
lon = st.integers(-1_800_000_000, 1_800_000_000).map(lambda n: n / 1e7)
rings = st.lists(st.tuples(lat, lon), min_size=3, max_size=6).map(lambda points: (*points, points[0]))
codes = st.sampled_from
areas = st.builds(
    lambda ceiling, **kw: cap.Area(ceiling=ceiling if kw["altitude"] is not None else None, **kw),
    ceiling=st.none() | st.integers(0, 30_000).map(float),
    description=text, polygons=st.lists(rings, max_size=2).map(tuple),
    circles=st.lists(st.tuples(lat, lon, st.integers(0, 5000).map(lambda n: n / 10)), max_size=2).map(tuple),
    geocodes=pairs, altitude=st.none() | st.integers(0, 30_000).map(float),
)
infos = st.builds(
    cap.Info, event=text, categories=st.lists(codes(model.CATEGORY), min_size=1, max_size=2).map(tuple), urgency=codes(model.URGENCY),
    severity=codes(model.SEVERITY), certainty=codes(model.CERTAINTY), language=codes(["", "zh-CN", "en-US", "bo-CN"]),
    response_types=st.lists(codes(model.RESPONSE_TYPE), max_size=2).map(tuple), audience=maybe, event_codes=pairs,
    effective=st.none() | dates, onset=st.none() | dates, expires=st.none() | dates, sender_name=maybe, headline=maybe, description=maybe,
    instruction=maybe, contact=maybe, parameters=pairs,
    resources=st.lists(st.builds(cap.Resource, description=text, mime_type=token, size=st.none() | st.integers(0, 10**9)), max_size=1).map(tuple),
    areas=st.lists(areas, max_size=2).map(tuple),
)
references = st.lists(st.builds(cap.Reference, sender=token, identifier=token, sent=dates), min_size=1, max_size=2).map(tuple)
alerts = st.builds(
    cap.Alert, identifier=token, sender=token, sent=dates, status=codes(model.STATUS), msg_type=codes(model.MSG_TYPE),
    scope=codes(model.SCOPE), source=maybe, addresses=st.lists(text.filter(lambda t: '"' not in t), min_size=1, max_size=2).map(tuple),
    codes=st.lists(words, max_size=2).map(tuple), note=maybe, references=references, infos=st.lists(infos, max_size=2).map(tuple),
)


@pytest.mark.parametrize("version", ["1.2", "1.1", "1.0"])
@given(alert=alerts)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_build_read_build_is_the_identity(version, alert):
    alert = placed(alert, version)
    raw = cap.build(alert, version)
    (message,) = cap.read(raw).messages
    assert message.valid and message.repairs == () and message.version == version
    assert message.alert == alert
    assert cap.build(message.alert, version) == raw


def placed(alert, version):
    """The alert without what that version has no place for."""
    if version == "1.2":
        return alert
    first = version == "1.0"

    def named(pairs):
        return tuple((re.sub(r"[\s=,]", "_", name), value) for name, value in pairs) if first else pairs

    return replace(alert, status="Test" if first and alert.status == "Draft" else alert.status, infos=tuple(
        replace(
            info, response_types=() if first else tuple(one for one in info.response_types if one not in ("Avoid", "AllClear")),
            categories=tuple("Other" if first and one == "CBRNE" else one for one in info.categories),
            certainty="Likely" if first and info.certainty == "Observed" else info.certainty, event_codes=named(info.event_codes),
            parameters=named(info.parameters), areas=tuple(replace(area, geocodes=named(area.geocodes)) for area in info.areas),
        )
        for info in alert.infos
    ))


INFO = cap.Info(event="x", categories=("Met",), urgency="Past", severity="Minor", certainty="Likely")


@pytest.mark.parametrize(
    ("version", "change", "names"),
    [
        ("1.1", {"response_types": ("Avoid",)}, "responseType"),
        ("1.0", {"response_types": ("Shelter",)}, "responseType"),
        ("1.0", {"certainty": "Observed"}, "certainty"),
        ("1.0", {"categories": ("CBRNE",)}, "category"),
        ("1.0", {"parameters": (("a b", "c"),)}, "parameter"),
        ("1.0", {"event_codes": (("a=b", "c"),)}, "eventCode"),
        ("1.0", {"resources": (cap.Resource(description="x", mime_type="text/plain", deref_uri="eA=="),)}, "derefUri"),
    ],
)
def test_what_an_older_version_has_no_place_for_is_refused_by_name(version, change, names):
    alert = replace(SMALL, infos=(replace(INFO, **change),))
    assert cap.read(cap.build(alert)).valid
    with pytest.raises(cap.CapError, match=names):
        cap.build(alert, version)


SMALL = cap.Alert(
    identifier="a1", sender="duty@example.invalid", sent=datetime(2026, 7, 20, 22, tzinfo=UTC), status="Actual", msg_type="Alert", scope="Public",
)


def test_utc_is_written_minus_zero():
    assert b"<sent>2026-07-20T22:00:00-00:00</sent>" in cap.build(SMALL)


@pytest.mark.parametrize("change", [{"status": "Real"}, {"identifier": "a b"}, {"msg_type": "Update"}, {"scope": "Private"}, {"note": "\x07"}])
def test_nothing_invalid_is_built(change):
    with pytest.raises(cap.CapError, match=r"."):
        cap.build(replace(SMALL, **change))


def test_a_circle_has_its_radius_in_kilometres():
    shape = cap.area_geometry(cap.Area(description="x", circles=((30.0, 110.0, 111.2),)))
    # One degree of latitude is about 110.85 km at 30° N, so the circle reaches just over one degree north.
    assert shape.contains(Point(110, 31.0)) and not shape.contains(Point(110, 31.01))


@pytest.fixture(scope="module")
def pair():
    def make():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        start = datetime(2020, 1, 1, tzinfo=UTC)
        certificate = (
            x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
            .not_valid_before(start).not_valid_after(start + timedelta(days=36500)).sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return pem, certificate.public_bytes(serialization.Encoding.PEM)

    return make(), make()


def test_a_signature_verifies_with_its_certificate_only(pair):
    (key, certificate), (_, stranger) = pair
    signed = cap.sign(cap.build(SMALL), key, certificate)
    assert cap.read(signed).valid and cap.read(signed).messages[0].alert == SMALL
    assert cap.verify(signed, certificate.decode()) == cap.Signature("valid", "rsa-sha256", "")
    assert cap.verify(signed, stranger.decode()).state == "invalid"
    assert cap.verify(signed).state == "unchecked"
    assert cap.verify(cap.build(SMALL)).state == "absent"


def test_a_changed_message_and_a_wrapped_signature_are_invalid(pair):
    (key, certificate), _ = pair
    signed = cap.sign(cap.build(SMALL), key, certificate)
    assert cap.verify(signed.replace(b"a1", b"a2"), certificate.decode()).state == "invalid"
    body = signed.partition(b"?>")[2].strip()
    wrapped = b'<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>evil</identifier>' + body + b"</alert>"
    assert cap.verify(wrapped, certificate.decode()).state == "invalid"
