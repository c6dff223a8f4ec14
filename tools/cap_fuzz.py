"""Throw broken CAP at the reader for a while and say what came of it.

    python tools/cap_fuzz.py FOLDER [--seconds 600] [--seed 1]

Starts from the real files in FOLDER and breaks them: bytes flipped, cut and joined; elements dropped, doubled, moved, renamed; texts
replaced by what issuers and attackers write. What must hold for each document:
  1. `read` answers, or raises CapError; nothing else, and within a second of CPU time for each megabyte (at least 2 s);
  2. an alert it gives can be built again, or the builder says in a CapError what the standard forbids in it;
  3. what was built is valid, needs no repair, and reads as the same alert.
Every break of these is printed once, with the document kept beside it.
"""
from __future__ import annotations

import argparse
import collections
import random
import sys
import time
import traceback
from pathlib import Path

from lxml import etree

from anlan.engines import cap

WORDS = [
    "", " ", "\u00a0", "-", "0", "-0", "1e309", "NaN", "inf", "９０", "30,110", "30,110 31,111 30,110", "30,110 30,111 31,111 30,110 ", "91,181 0,0 1,1 91,181",
    "30 110", "30,110 -1", "30,110 1e400", "Actual", "actual", "Exercise", "Very Likely", "Foobar", "2026-02-30T00:00:00+08:00", "2026-07-20T06:00:00Z",
    "2026-07-20 06:00:00+08:00", "2026-07-20T06:00:00.1234567890+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0000-00-00T00:00:00-00:00",
    "a,b,2026-07-20T06:00:00+08:00", ",,", "a,b,c,2026-07-20T06:00:00+08:00 x", '"a b" c', '"', "&lt;alert&gt;", "<alert/>", "\ufffe", "\U0001f300", "x" * 5000,
    "=", "FIPS6=006017", "9" * 40, "urn:oasis:names:tc:emergency:cap:1.2",
]


def broken(rng: random.Random, seeds: list[bytes]) -> bytes:
    raw = rng.choice(seeds)
    if rng.random() < 0.5:
        data = bytearray(raw)
        for _ in range(rng.randint(1, 12)):
            if not data:
                break
            at, how = rng.randrange(len(data)), rng.random()
            if how < 0.4:
                data[at] = rng.randrange(256)
            elif how < 0.6:
                del data[at : at + rng.randint(1, 200)]
            elif how < 0.8:
                data[at:at] = data[max(0, at - rng.randint(1, 200)) : at]
            else:
                other = rng.choice(seeds)
                cut = rng.randrange(len(other))
                data[at : at + rng.randint(0, 50)] = other[cut : cut + rng.randint(1, 500)]
        return bytes(data)
    try:
        root = cap.safe.parse(raw)
    except cap.CapError:
        return raw[: rng.randrange(len(raw) + 1)]
    for _ in range(rng.randint(1, 6)):
        nodes = list(root.iter())
        node, how = rng.choice(nodes), rng.random()
        parent = node.getparent()
        if how < 0.45:
            try:
                node.text = rng.choice(WORDS)
            except ValueError:
                pass
        elif parent is None:
            continue
        elif how < 0.6:
            parent.remove(node)
        elif how < 0.75:
            parent.append(etree.fromstring(etree.tostring(node, with_tail=False)))
        elif how < 0.9:
            target = rng.choice(nodes)
            if target is not node and node not in target.iterancestors():
                target.insert(rng.randint(0, len(target)), node)
        else:
            node.tag = rng.choice([other.tag for other in nodes if isinstance(other.tag, str)])
    encoding = rng.choice(["utf-8", "utf-8", "utf-16", "iso-8859-1", "gb18030"])
    return etree.tostring(root, encoding=encoding, xml_declaration=rng.random() < 0.8 or encoding != "utf-8")


def judge(raw: bytes) -> str:
    """What was seen, in a word; raises AssertionError or whatever escaped."""
    began = time.process_time()
    try:
        document = cap.read(raw)
    except cap.CapError as error:
        return f"refused: {error.code}"
    finally:
        spent = time.process_time() - began
        assert spent < max(2.0, len(raw) / 1e6), f"{spent:.1f} s for {len(raw)} bytes"
    seen = "valid" if document.valid else "usable" if document.usable else "partly refused"
    for message in document.messages:
        if message.alert is None:
            assert message.refused
            continue
        for info in message.alert.infos:
            for area in info.areas:
                cap.area_geometry(area)
        try:
            again = cap.build(message.alert)
        except cap.CapError as error:
            assert error.code == "invalid", error.code
            continue
        (back,) = cap.read(again).messages
        assert back.valid and not back.repairs, back.repairs or back.findings
        assert cap.build(back.alert) == again, "build → read → build is not the identity"
    return seen


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    seeds = [path.read_bytes() for path in sorted(args.folder.iterdir()) if path.suffix not in (".csv", ".md", ".xsd")]
    rng, seen, faults = random.Random(args.seed), collections.Counter(), collections.Counter()
    end = time.monotonic() + args.seconds
    while time.monotonic() < end:
        raw = broken(rng, seeds)
        try:
            seen[judge(raw)] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            name = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}: {str(error)[:120]}"
            faults[name.split(": ")[0]] += 1
            if faults[name.split(": ")[0]] == 1:
                kept = Path(f"cap-fault-{len(faults)}.xml")
                kept.write_bytes(raw)
                print(f"{name}  ({kept})", flush=True)
    print(f"{sum(seen.values()) + sum(faults.values()):,} documents from {len(seeds)} real files in {args.seconds:.0f} s, seed {args.seed}: {sum(faults.values())} faults of {len(faults)} kinds")
    for word, count in seen.most_common():
        print(f"  {count:9,}  {word}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
