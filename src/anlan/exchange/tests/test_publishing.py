"""The public page: whole files, swapped at once, that say what the gate lets leave and nothing else."""
from __future__ import annotations

import argparse
import gzip
import json
import re

import pytest

from anlan.engines import cap
from anlan.exchange import commands, publishing
from anlan.kernel import journal
from anlan.kernel.models import Region
from anlan.warning import actions, proof
from anlan.warning.models import Alert
from anlan.warning.tests.builders import act, channel, issued


@pytest.fixture
def place(settings, tmp_path):
    settings.PUBLIC_FOLDER, settings.PUBLIC_URL = str(tmp_path), "https://warn.example.invalid"
    return tmp_path / "current"


@pytest.fixture
def feed(db):
    return channel("cap_feed")


def told(place):
    return json.loads((place / "alerts.json").read_text())


def test_a_warning_stands_on_the_page_as_soon_as_the_jobs_have_run_and_is_gone_with_its_end(actual, county, alice, bob, feed, place, drain):
    row = issued(alice, bob, actual, county, translations={"en-US": {"headline": "Flash flood: go up", "description": "d", "instruction": ""}})
    drain()
    assert [one["id"] for one in told(place)["in_force"]] == [str(row.pk)]
    assert "山洪红色预警" in (place / "index.html").read_text() and "Flash flood: go up" in (place / "index.en.html").read_text()
    assert "请立即转移至高处" in (place / f"a/{row.pk}.html").read_text() and (place / "index.html").read_text().count("<script") == 0
    assert "● 红色" in (place / "index.html").read_text()  # nobody needs to see colour
    english = (place / f"a/{row.pk}.en.html").read_text()
    assert english.index("Flash flood: go up") < english.index("山洪红色预警") and "The local government" in english
    feeds = [cap.read((place / name).read_bytes()) for name in ("cap.atom", "cap.rss")]
    assert all(one.valid and one.links == [f"https://warn.example.invalid/cap/{row.pk}.xml"] for one in feeds)
    assert cap.verify((place / f"cap/{row.pk}.xml").read_bytes(), (place / "certificate.crt").read_text()).state == "valid"
    done = actions.end_as_prepared(act(alice, actual), alert=row.pk, how="all_clear")
    drain()
    page = told(place)
    assert [one["id"] for one in page["in_force"]] == [str(done.pk)] and [one["id"] for one in page["ended"]] == [str(row.pk)]
    assert not (place / f"cap/{row.pk}.xml").exists()
    journal.seal()
    bundle = place.parent / "proof.jsonl.gz"
    bundle.write_bytes(b"".join(proof.file(bob, row.pk)))
    key = json.loads(gzip.decompress(bundle.read_bytes()).split(b"\n")[0])["public_key"]
    assert commands.prove(argparse.Namespace(file=bundle, key=key, json=False)) == 0
    whole = bundle.read_bytes()
    for broken in (gzip.decompress(whole).replace(b"all_clear", b"cancel"), whole[:-20], whole[:200] + whole[220:], b"", b"{}"):
        bundle.write_bytes(broken)
        assert commands.prove(argparse.Namespace(file=bundle, key="", json=False)) == 1
    assert commands.prove(argparse.Namespace(file=place.parent / "none", key="", json=False)) == 1


@pytest.mark.parametrize("change", [{"status": "Test"}, {"scope": "Restricted"}])
def test_nothing_of_a_test_or_narrower_scope_is_written(actual, county, alice, bob, feed, place, drain, change):
    row = issued(alice, bob, actual, county, **change)
    drain()
    publishing.publish()
    assert not any(str(row.pk) in path.read_text(errors="replace") for path in place.resolve().rglob("*") if path.is_file() and path.suffix != ".gz")


def test_nothing_of_an_exercise_or_of_a_draft_is_written(actual, exercise, county, alice, bob, feed, place, drain):
    row = issued(alice, bob, exercise, county)
    drain()
    publishing.publish()
    assert told(place)["in_force"] == [] and str(row.pk) not in (place / "index.html").read_text()


def test_every_link_of_every_page_leads_somewhere_in_the_readers_language(actual, county, alice, bob, feed, place, drain):
    Region.objects.filter(pk=county.pk).update(name_en="County <A>")
    row = issued(alice, bob, actual, county, translations={"en-US": {"headline": "Flash flood: go up", "description": "d", "instruction": ""}})
    drain()
    pages = list(place.resolve().rglob("*.html"))
    assert len(pages) >= 6
    for page in pages:
        for link in re.findall(r'(?:href|src)="([^"]+)"', page.read_text()):
            if "://" not in link and not link.startswith(("#", "mailto:")):
                assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"
    english = (place / "index.en.html").read_text()
    assert f'href="a/{row.pk}.en.html"><path' in english and "<title>Flash flood: go up" in english and "County &lt;A&gt;" in english and county.name not in english.partition("<svg")[2].partition("</svg>")[0]


def test_a_version_is_written_beside_the_old_one_and_swapped(actual, county, alice, bob, feed, place, drain):
    first = publishing.publish()
    open_page = (place / "index.html").open()
    second = publishing.publish()
    assert first != second and place.resolve() == second.resolve() and first.exists()
    assert open_page.read() == (first / "index.html").read_text()


def test_markup_in_a_text_is_only_text(actual, county, alice, bob, feed, place, drain):
    row = issued(alice, bob, actual, county, headline="<b>山洪</b>", description="<script>alert(1)</script>")
    drain()
    for name in ("index.html", f"a/{row.pk}.html", "embed.html"):
        assert "<script" not in (place / name).read_text() and "<b>山洪" not in (place / name).read_text()
    assert Alert.plain.get(pk=row.pk).state == "issued"
