"""Feeds and envelopes around any messages give the same messages back, signatures included; broken bytes break nothing."""
from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anlan.engines import cap

from .test_building import SMALL, alerts, pair  # noqa: F401
from .test_reading import ALERT, one

AT = datetime(2026, 7, 20, 22, tzinfo=UTC)


def wrap(way: str, messages: list[bytes]) -> bytes:
    if way == "edxl":
        return cap.build_edxl(identifier="d1", sender="a@example.invalid", sent=AT, messages=tuple(messages))
    entries = tuple(cap.FeedEntry(id=f"urn:{n}", title="t", updated=AT, message=raw) for n, raw in enumerate(messages))
    feed = cap.Feed(id="urn:feed", title="t", updated=AT, author="a", link="https://h.invalid/feed", entries=entries)
    return (cap.build_atom if way == "atom" else cap.build_rss)(feed)


@given(several=st.lists(alerts, min_size=1, max_size=3), way=st.sampled_from(["atom", "rss", "edxl"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_wrapping_gives_back_what_was_put_in(several, way):
    document = cap.read(wrap(way, [cap.build(alert) for alert in several]))
    assert document.kind == {"edxl": "edxl-de"}.get(way, way) and document.valid and document.usable
    assert [message.alert for message in document.messages] == several


@pytest.mark.parametrize("way", ["atom", "rss", "edxl"])
def test_a_signature_survives_its_wrapping(pair, way):  # noqa: F811
    (key, certificate), _ = pair
    signed = cap.sign(cap.build(SMALL), key, certificate)
    (message,) = cap.read(wrap(way, [signed])).messages
    assert cap.verify(message.xml, certificate.decode()).state == "valid"


def test_a_message_that_travels_as_text_is_found():
    body = ALERT.replace("&", "&amp;").replace("<", "&lt;")
    raw = (
        '<rss version="2.0"><channel><title>t</title><link>http://h.invalid</link><description>d</description>'
        f"<item><title>t</title><description>{body}</description></item></channel></rss>"
    )
    document = cap.read(raw.encode())
    assert document.usable and document.messages[0].alert == one(ALERT).alert


def test_blank_lines_before_the_declaration_are_a_fault_and_lose_nothing():
    document = cap.read(b"\r\n \n" + ALERT.encode())
    assert not document.valid and document.usable and "white space" in document.repairs[0]


def test_an_entry_that_leads_nowhere_makes_a_feed_unusable():
    feed = cap.Feed(id="f", title="t", updated=AT, author="a", link="https://h.invalid/", entries=(cap.FeedEntry(id="e", title="t", updated=AT),))
    assert not cap.read(cap.build_atom(feed)).usable


@pytest.mark.parametrize(("old", "new"), [
    ("<msgType>Alert", "<msgType>Ack"), ("<msgType>Alert", "<msgType>Error"), ("<scope>Public</scope>", "<scope>Public</scope><restriction>posts only</restriction>"),
])
def test_what_the_standard_ties_together_is_checked(old, new):
    message = one(ALERT.replace(old, new))
    assert not message.valid and message.alert is not None


@given(seed=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_broken_bytes_are_refused_or_read_and_never_crash(seed):
    rng, data = random.Random(seed), bytearray(ALERT.encode())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        data[at : at + rng.choice([0, 1, 1, 30])] = bytes(rng.randrange(256) for _ in range(rng.choice([0, 1, 1, 3])))
    try:
        document = cap.read(bytes(data))
    except cap.CapError as error:
        assert error.code
        return
    for message in document.messages:
        assert message.alert is not None or message.refused
