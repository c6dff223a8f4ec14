"""`anlan cap check`: a verdict and its reasons for each file."""
from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pytest

from anlan.exchange import commands

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "cap"


def run(capsys, *files: Path, strict: bool = True) -> tuple[int, list[dict]]:
    status = commands.check(argparse.Namespace(file=list(files), strict=strict, json=True))
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_each_file_has_its_line_and_any_fault_its_place(tmp_path, capsys):
    (tmp_path / "no.xml").write_text("<a/>")
    status, (first, second) = run(capsys, tmp_path / "no.xml", tmp_path / "gone.xml")
    assert status == 1 and not first["ok"] and first["errors"][0]["rule"] == "not_cap" and second["errors"][0]["rule"] == "unreadable"
    assert set(first) >= {"file", "ok", "version", "errors", "repairs"} and set(first["errors"][0]) == {"path", "rule", "message"}


@pytest.mark.skipif(not SAMPLES.exists(), reason="the sample set does not lie beside this checkout")
def test_strict_agrees_with_the_index_and_lenient_takes_what_real_issuers_send(capsys):
    index = list(csv.DictReader((SAMPLES / "index.csv").open(encoding="utf-8")))
    files = [SAMPLES / row["file"] for row in index]
    status, strict = run(capsys, *files)
    assert status == 1 and [row["ok"] for row in strict] == [row["valid"] == "valid" for row in index]
    assert all(row["ok"] or row["errors"] for row in strict)
    _status, lenient = run(capsys, *files, strict=False)
    assert all(row["ok"] for row, said in zip(lenient, index, strict=True) if said["suggested_handling"].startswith(("accept", "split")))
    # What is not taken says why; what is taken although it is not valid says what was repaired, or what is wrong with it.
    silent = [row["file"] for row, said in zip(lenient, index, strict=True) if (said["valid"] != "valid" or not row["ok"]) and not row["errors"] and not row["repairs"]]
    assert silent == []
    taken = [said for row, said in zip(lenient, index, strict=True) if row["ok"]]
    assert [said["file"] for said in taken if said["suggested_handling"].startswith("refuse") and "lenient" not in said["suggested_handling"]] == []


def test_who_publishes_by_hand_says_so_in_the_journal(actual, capsys):
    from anlan.kernel import journal

    assert commands.publish_now(argparse.Namespace()) == 0
    (said,) = journal.select("WHERE f.kind = 'exchange.PagePublished'")
    assert capsys.readouterr().out.strip().endswith(said.payload["version"]) and said.payload["digest"].startswith("sha256:") and said.payload["by"]
