"""Figures of the CAP reader: alerts read and strictly checked a second, ours and others' in the same run.

    python tools/cap_bench.py FOLDER [--peers]        # pip install capparser cap-tools xmlschema for --peers

FOLDER holds real CAP files. Every program gets the same bytes: the CAP 1.2 messages of the folder that conform. CPU time of one core
(user + system), the best of five rounds. What each does is not the same, and is said in its line:
  anlan            safe parse, OASIS schema, the rules the schema lacks, frozen values with every repair named
  lxml schema      parse and validate against the OASIS schema only: the floor of any strict check, no values
  cap-tools        values through xsdata; no schema validation
  capparser        values through ElementTree; no validation
  xmlschema        validate and decode against the OASIS schema in pure Python
"""
from __future__ import annotations

import argparse
import importlib
import resource
from collections.abc import Callable
from pathlib import Path

from lxml import etree

from anlan.engines import cap
from anlan.engines.cap.checking import SCHEMA

ROUNDS = 5


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(read: Callable[[bytes], object], files: list[bytes]) -> tuple[float, int]:
    """(best CPU seconds of a round, files it could not read)."""
    failed = 0
    for raw in files:
        try:
            read(raw)
        except Exception:
            failed += 1
    best = float("inf")
    for _ in range(ROUNDS):
        began = cpu()
        for raw in files:
            try:
                read(raw)
            except Exception:
                pass
        best = min(best, cpu() - began)
    return best, failed


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--peers", action="store_true")
    args = options.parse_args()
    files = []
    for path in sorted(args.folder.iterdir()):
        try:
            document = cap.read(path.read_bytes())
        except (cap.CapError, OSError):
            continue
        if document.kind == "cap" and document.valid and document.messages[0].version == "1.2":
            files.append(path.read_bytes())
    schema = etree.XMLSchema(etree.parse(str(SCHEMA)))
    ways: dict[str, Callable[[bytes], object]] = {"anlan": cap.read, "lxml schema": lambda raw: schema.assertValid(etree.fromstring(raw))}
    if args.peers:
        # Looked up by name: they are no dependencies of ours, only measured beside us.
        capparser, xmlschema, models, xsdata = (
            importlib.import_module(name) for name in ("capparser", "xmlschema", "cap_tools.models", "xsdata.formats.dataclass.parsers")
        )
        rules = xmlschema.XMLSchema10(str(SCHEMA))
        parser = xsdata.XmlParser()
        ways["cap-tools"] = lambda raw: parser.from_bytes(raw, models.Alert)
        ways["capparser"] = lambda raw: capparser.parse(stringXML=raw.decode())
        ways["xmlschema"] = lambda raw: rules.to_dict(etree.fromstring(raw))
    ours = 0.0
    print(f"{len(files)} messages, {sum(map(len, files)):,} bytes; median {sorted(map(len, files))[len(files) // 2]:,} bytes")
    for name, read in ways.items():
        spent, failed = measure(read, files)
        ours = ours or spent
        print(f"{name:12} {len(files) / spent:9,.0f} alerts/s {spent / len(files) * 1000:8.2f} ms each  x{spent / ours:5.2f} of ours" + (f"  {failed} not read" if failed else ""))


if __name__ == "__main__":
    main()
