"""What `anlan bench --write` touches of the page of figures, and what it leaves alone."""
from __future__ import annotations

from pathlib import Path

import pytest

from anlan.demo import bench

ROW = {"figure": "journal: x", "value": 1234.5, "unit": "ms", "note": "n"}
PAGE = "# Figures\n\nby hand, above\n\n<!-- anlan bench: kernel -->\nold\n<!-- /anlan bench: kernel -->\n\n## The telephone\n\nby hand, below\n"


def test_a_part_is_written_between_its_marks_and_what_others_wrote_stays(tmp_path: Path, db: object) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text(PAGE)
    bench.write(str(page), {"kernel": [ROW]})
    once = page.read_text()
    assert "old" not in once and "| journal: x | 1,234.5 | ms | n |" in once and once.startswith("# Figures\n\nby hand, above\n\n<!--") and once.endswith("\n\n## The telephone\n\nby hand, below\n")
    bench.write(str(page), {"kernel": [ROW], "loops": [{**ROW, "figure": "loops: y", "value": None}]})
    twice = page.read_text()
    assert twice.startswith(once.split("<!--")[0]) and twice.count("journal: x") == 1 and "by hand, below" in twice and twice.index("## loops") > twice.index("by hand, below") and "| loops: y | — | ms | n |" in twice
    page.write_text(PAGE.replace("<!-- /anlan bench: kernel -->", ""))
    with pytest.raises(ValueError, match="not closed"):
        bench.write(str(page), {"kernel": [ROW]})
    assert page.read_text() == PAGE.replace("<!-- /anlan bench: kernel -->", ""), "nothing is written by halves"


def test_the_page_of_figures_has_its_marks_in_order() -> None:
    text = (Path(__file__).parents[4] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    for part in ("order", "import", "start", "kernel", "sensing", "loops", "registers"):
        assert text.count(f"<!-- anlan bench: {part} -->") == text.count(f"<!-- /anlan bench: {part} -->") == 1, part
