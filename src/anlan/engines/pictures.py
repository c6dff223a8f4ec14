"""Pictures that leave the house: position, maker and time marks are cut out of the file, the picture itself is untouched.

Works on the segments of JPEG (ITU-T T.81), the chunks of PNG (RFC 2083) and the RIFF chunks of WebP (RFC 9649): nothing is
decoded, so nothing is lost. Of a JPEG's Exif block only the orientation is kept, or photographs would lie on their side.
"""
from __future__ import annotations

import struct
import zlib

# APP1 (Exif, XMP), APP13 (IPTC), COM; APP0 (JFIF), APP2 (colour profile) and APP14 (Adobe) say how to draw and stay.
_JPEG_DROP = {0xE1, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEA, 0xEB, 0xEC, 0xED, 0xEF, 0xFE}
_PNG_KEEP = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT"}


class BadPicture(ValueError):
    """The file's structure is not that of its kind; it cannot be cleaned and must not leave."""


def strip(content: bytes) -> bytes:
    """The same picture without its private marks. BadPicture for a broken file or another kind."""
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp(content)
    raise BadPicture("neither JPEG nor PNG nor WebP")


def _orientation(exif: bytes) -> int:
    """The orientation (1 to 8) of an Exif block; 1 when it says none."""
    tiff = exif[6:]
    try:
        order = {b"II": "<", b"MM": ">"}[tiff[:2]]
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(min(count, 200)):
            tag, kind, _number, value = struct.unpack_from(order + "HHIH", tiff, at + 2 + 12 * entry)
            if tag == 0x0112 and kind == 3 and 1 <= value <= 8:
                return value
    except (KeyError, struct.error):
        pass
    return 1


def _orientation_segment(value: int) -> bytes:
    body = b"Exif\x00\x00" + b"MM\x00\x2a" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, value, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _jpeg(content: bytes) -> bytes:
    out, at, turned = [b"\xff\xd8"], 2, 1
    while True:
        if at + 4 > len(content) or content[at] != 0xFF:
            raise BadPicture("JPEG segment expected")
        marker = content[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        (length,) = struct.unpack_from(">H", content, at + 2)
        if length < 2 or at + 2 + length > len(content):
            raise BadPicture("JPEG segment runs over the end")
        segment = content[at : at + 2 + length]
        if marker == 0xE1 and segment[4:10] == b"Exif\x00\x00":
            turned = _orientation(segment[4:])
        elif marker not in _JPEG_DROP:
            out.append(segment)
        at += 2 + length
        if marker == 0xDA:  # scan data follow; what cameras append behind the end of image (a second picture, its Exif) is cut off
            out.append(_scans(content, at))
            break
    if turned != 1:
        out.insert(1, _orientation_segment(turned))
    return b"".join(out)


def _scans(content: bytes, at: int) -> bytes:
    """Everything from the first scan to the end-of-image marker, private segments between scans left out."""
    out: list[bytes] = []
    begin = at
    while True:
        at = content.find(b"\xff", at)
        if at < 0 or at + 1 >= len(content):
            raise BadPicture("JPEG has no end")
        marker = content[at + 1]
        if marker == 0xD9:
            return b"".join([*out, content[begin : at + 2]])
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        if at + 4 > len(content):
            raise BadPicture("JPEG segment expected")
        (length,) = struct.unpack_from(">H", content, at + 2)
        if marker in _JPEG_DROP:
            out.append(content[begin:at])
            begin = at + 2 + length
        at += 2 + length


def _png(content: bytes) -> bytes:
    out, at = [content[:8]], 8
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        kind, end = content[at + 4 : at + 8], at + 12 + length
        if end > len(content):
            break
        if zlib.crc32(content[at + 4 : end - 4]) != struct.unpack_from(">I", content, end - 4)[0]:
            raise BadPicture("PNG chunk is damaged")
        if kind in _PNG_KEEP:
            out.append(content[at:end])
        if kind == b"IEND":
            return b"".join(out)
        at = end
    raise BadPicture("PNG has no end")


def _webp(content: bytes) -> bytes:
    out, at = [], 12
    while at + 8 <= len(content):
        kind, (length,) = content[at : at + 4], struct.unpack_from("<I", content, at + 4)
        end = at + 8 + length + (length & 1)
        if end > len(content) + 1:
            raise BadPicture("WebP chunk runs over the end")
        chunk = content[at:end]
        if kind == b"VP8X":
            # The flags must not promise Exif (bit 3) and XMP (bit 2) that are no longer there.
            chunk = chunk[:8] + bytes([chunk[8] & ~0x0C]) + chunk[9:]
        if kind not in (b"EXIF", b"XMP "):
            out.append(chunk)
        at = end
    body = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(body)) + body
