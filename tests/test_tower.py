"""This is the dependency tower. Arrows go down only; news travels up and sideways as facts (flow.py).

    web                                   doors and windows
    demo                                  the demonstration city and the replays
    exchange                              feeds in and out
    command                               acts and accounts
    warning    plans                      decide (neighbours that do not know each other)
    sensing    resources    inspection    know (neighbours, too)
    kernel                                ground
    engines    flow                       the sciences; the table of reactions

    runtime                               the cellar: settings, supervisor, command line; imported by nobody
"""
from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "anlan"


def test_arrows_go_down_only():
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"],
        cwd=ROOT, capture_output=True, text=True,
    )
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]


def _calls(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")), node.func.attr, node.lineno


def _sources(folder: Path):
    return [path for path in folder.rglob("*.py") if "tests" not in path.parts and "migrations" not in path.parts]


def test_engines_have_no_clock():
    late = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _sources(SOURCE / "engines")
        for owner, name, line in _calls(ast.parse(path.read_text()))
        if (owner, name) in {("datetime", "now"), ("datetime", "utcnow"), ("time", "time"), ("date", "today")}
    ]
    assert not late, late


def test_time_comes_from_the_kernel_clock():
    """Rooms ask kernel.clock; only the clock, the realm behind it and the cellar read the machine's."""
    allowed = {SOURCE / "kernel" / "clock.py", SOURCE / "kernel" / "models" / "realms.py"}
    late = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in _sources(SOURCE)
        if path not in allowed and "runtime" not in path.parts and "engines" not in path.parts
        for owner, name, line in _calls(ast.parse(path.read_text()))
        if (owner, name) in {("datetime", "now"), ("datetime", "utcnow"), ("timezone", "now"), ("date", "today")}
    ]
    assert not late, late


@pytest.mark.parametrize("room", sorted(path.parent.name for path in SOURCE.glob("*/models*") if path.parent.name != "kernel"))
def test_only_actions_write(room):
    """Pages, APIs, queries and commands parse, call and answer; the rows are written in actions (and what they call)."""
    writers = {"create", "bulk_create", "update", "delete", "save", "get_or_create", "update_or_create", "bulk_update"}
    wrong = []
    for name in ("pages.py", "api.py", "queries.py", "forms.py"):
        path = SOURCE / room / name
        if not path.exists():
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in writers:
                text = ast.unparse(node.func)
                if ".objects" in text or ".plain" in text or (node.func.attr == "save" and "form" not in text and "document" not in text):
                    wrong.append(f"{room}/{name}:{node.lineno} {text}")
    assert not wrong, wrong
