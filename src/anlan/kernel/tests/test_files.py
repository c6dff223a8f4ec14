"""Attachments: who may, what is taken, what leaves."""
import io
import struct
import zipfile
import zlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from anlan.engines import pictures
from anlan.kernel import files, orders
from anlan.kernel.actions import Act, action
from anlan.kernel.errors import FORBIDDEN, NOT_FOUND, TOO_LARGE, Problem
from anlan.kernel.models import Attachment, Fact

# --- pictures made by hand, byte by byte ----------------------------------------------------------------------------------


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def exif(orientation=6, order=">"):
    """An Exif block with an orientation and a GPS pointer (latitude text in clear, so that a leak is seen)."""
    mark = b"MM\x00\x2a" if order == ">" else b"II\x2a\x00"
    entries = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0) + struct.pack(order + "HHII", 0x8825, 4, 1, 38)
    return b"Exif\x00\x00" + mark + struct.pack(order + "I", 8) + struct.pack(order + "H", 2) + entries + struct.pack(order + "I", 0) + b"GPS 28.4567N 119.9123E"


SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"pixels\xff\x00more\xff\xd0again"


def jpeg(*segments, tail=b""):
    return b"\xff\xd8" + segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00") + b"".join(segments) + segment(0xDB, b"q" * 65) + SCAN + b"\xff\xd9" + tail


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(b"\x00\x00")) + chunk(b"IEND", b"")


def webp(*chunks):
    body = b"WEBP" + b"".join(kind + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) & 1) for kind, data in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("order", [">", "<"])
def test_a_photograph_loses_position_and_texts_and_keeps_picture_and_orientation(order):
    marked = jpeg(segment(0xE1, exif(6, order)), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x>119.9123</x>"), segment(0xED, b"IPTC town"), segment(0xFE, b"comment"))
    clean = pictures.strip(marked)
    for secret in (b"28.4567", b"119.9123", b"IPTC", b"comment"):
        assert secret not in clean
    assert clean.endswith(SCAN + b"\xff\xd9") and segment(0xDB, b"q" * 65) in clean
    assert pictures._orientation(clean[clean.index(b"Exif\x00\x00") :]) == 6


def test_an_upright_picture_without_marks_comes_out_as_it_was():
    assert pictures.strip(jpeg()) == jpeg()
    assert pictures.strip(png()) == png()


def test_what_a_camera_hides_behind_the_end_is_cut_off():
    assert pictures.strip(jpeg(tail=b"second picture 119.9123")) == jpeg()


def test_a_progressive_picture_keeps_all_its_scans_and_loses_marks_between_them():
    second = segment(0xC4, b"huffman") + SCAN
    marked = b"\xff\xd8" + SCAN + segment(0xFE, b"119.9123") + second + b"\xff\xd9"
    assert pictures.strip(marked) == b"\xff\xd8" + SCAN + second + b"\xff\xd9"


def test_png_and_webp_lose_their_marks():
    assert pictures.strip(png(chunk(b"eXIf", exif()), chunk(b"tEXt", b"Comment\x00119.9123"), chunk(b"gAMA", b"\x00\x00\xb1\x8f"))) == png(chunk(b"gAMA", b"\x00\x00\xb1\x8f"))
    clean = pictures.strip(webp((b"VP8X", b"\x0c" + b"\x00" * 9), (b"VP8 ", b"pixel"), (b"EXIF", exif()), (b"XMP ", b"<x/>")))
    assert clean == webp((b"VP8X", b"\x00" * 10), (b"VP8 ", b"pixel"))


@pytest.mark.parametrize("broken", [b"", b"GIF89a", b"\xff\xd8\xff", jpeg()[:40], jpeg()[:-2], png()[:-4], png().replace(b"IDAT", b"IDAX"), b"\xff\xd8\xff\xe1\xff\xff", b"\xff\xd8\xff\xe0\x00\x00"])
def test_a_broken_picture_does_not_leave(broken):
    with pytest.raises(pictures.BadPicture):
        pictures.strip(broken)


@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\x00\x00\x00WEBP", b""]))
def test_any_bytes_end_in_a_picture_or_a_refusal(noise, head):
    try:
        assert pictures.strip(pictures.strip(head + noise)) == pictures.strip(head + noise)
    except pictures.BadPicture:
        pass


# --- what is taken ----------------------------------------------------------------------------------------------------


def office(part, *more):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name in ("[Content_Types].xml", part, *more):
            packed.writestr(name, "<x/>")
    return out.getvalue()


@pytest.mark.parametrize("name,content", [
    ("堤防.jpg", jpeg()), ("a.JPEG", jpeg()), ("a.png", png()), ("a.pdf", b"%PDF-1.7\n"), ("a.docx", office("word/document.xml")), ("a.xlsx", office("xl/workbook.xml")),
    ("a.txt", "水位 12.3 米".encode()), ("a.csv", "水位,12".encode("gb18030")), ("a.amr", b"#!AMR\n123"), ("a.mp3", b"ID3\x04"), ("a.mp4", b"\x00\x00\x00\x18ftypisom...."),
])
def test_these_are_taken(name, content):
    assert files.check(name, content)


@pytest.mark.parametrize("name,content", [
    ("a.html", b"<!doctype html><script>"), ("a.txt", b"<html><body>"), ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("a.txt", b"hello <script>x</script>"),
    ("a.jpg", b"MZ\x90\x00"), ("a.pdf", jpeg()), ("a.jpg", b"%PDF-1.7"), ("a.exe", b"MZ"), ("a.docx", office("word/document.xml", "word/vbaProject.bin")), ("a.docm", office("word/document.xml")),
    ("a.zip", office("x")), ("a.txt", b"#!/bin/sh\n"), ("a.txt", b"a\x00b"), ("a", jpeg()), ("a.jpg.html", jpeg()), ("a.docx", b"PK\x03\x04broken"), ("a.txt", b""),
])
def test_these_are_not(name, content):
    with pytest.raises(Problem) as refused:
        files.check(name, content)
    assert refused.value.kind in (files.BAD_TYPE, files.NOT_WHAT_IT_SAYS)


def test_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    with pytest.raises(Problem) as refused:
        files.check("a.jpg", jpeg())
    assert refused.value.kind is TOO_LARGE


# --- who may ----------------------------------------------------------------------------------------------------------


@action("tests.order_for_files")
def give_order(act, *, post, region):
    return orders.issue(act, post=post, text="巡查堤防", source="tests:2", region=region)


@pytest.fixture
def order(alice, actual, duty_post, county):
    return give_order(Act(alice, actual), post=duty_post.pk, region=county.pk)


@pytest.mark.django_db
def test_the_record_decides_who_reads_and_the_bytes_are_handed_out_as_attachment(client, alice, charlie, actual, order, signed_in):
    from django.test import Client

    subject, photo = f"order:{order.pk}", jpeg(segment(0xE1, exif(1)))
    signed_in(client, alice)
    assert client.post("/files", {"subject": subject, "file": SimpleUploadedFile("堤防 1.jpg", photo), "next": "/shift"}).status_code == 302
    row = Attachment.objects.of(actual).get()
    answer = client.get(f"/files/{row.pk}")
    assert answer.content == photo and answer["Content-Disposition"].startswith("attachment") and answer["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer["Content-Security-Policy"]
    assert b"28.4567" not in client.get(f"/files/{row.pk}?outward=1").content
    outside = signed_in(Client(), charlie)
    assert outside.get(f"/files/{row.pk}").status_code == 404
    assert outside.post("/files", {"subject": subject, "file": SimpleUploadedFile("a.jpg", photo)}).status_code == 404
    assert outside.post(f"/files/{row.pk}/remove").status_code == 404
    assert Client().get(f"/files/{row.pk}").status_code == 302
    assert files.of(charlie, actual, subject) == [] and [one.name for one in files.of(alice, actual, subject)] == ["堤防 1.jpg"]


@pytest.mark.django_db
def test_the_same_content_is_kept_once_and_a_removed_one_stays_provable(alice, bob, actual, order):
    subject = f"order:{order.pk}"
    first = files.attach(Act(alice, actual), subject, "../../etc/passwd.jpg", jpeg())
    second = files.attach(Act(bob, actual), subject, "b.jpg", jpeg())
    assert first.name == "passwd.jpg" and first.sha256 == second.sha256 and files.path_of(first.sha256).read_bytes() == jpeg()
    with pytest.raises(Problem) as refused:
        files.remove(Act(bob, actual), file=first.pk)
    assert refused.value.kind is FORBIDDEN
    files.remove(Act(alice, actual), file=first.pk)
    assert [row.pk for row in files.of(alice, actual, subject)] == [second.pk]
    assert files.path_of(first.sha256).exists() and Fact.objects.filter(kind="kernel.FileRemoved").exists()


@pytest.mark.django_db
def test_bytes_changed_on_disk_are_not_handed_out(alice, actual, order):
    row = files.attach(Act(alice, actual), f"order:{order.pk}", "a.jpg", jpeg(segment(0xFE, b"only here")))
    path = files.path_of(row.sha256)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Problem) as refused:
        files.content(row)
    assert refused.value.kind is files.FILE_GONE
    path.unlink()


@pytest.mark.django_db
def test_nothing_is_attached_to_what_is_not_there_or_of_another_realm(alice, actual, exercise, order):
    for subject in ("order:none", "nonsense", "", "region:" + str(order.pk)):
        with pytest.raises(Problem):
            files.attach(Act(alice, actual), subject, "a.jpg", jpeg())
    with pytest.raises(Problem) as refused:
        files.attach(Act(alice, exercise), f"order:{order.pk}", "a.jpg", jpeg())
    assert refused.value.kind is NOT_FOUND
    assert not Attachment.objects.everything().exists()
