"""What is not documented is not there: settings, facts, error codes, commands, rooms."""
from __future__ import annotations

import re
from pathlib import Path

import pytest

from anlan.kernel import access, errors, journal
from anlan.runtime import settings

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "anlan"


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text()


def test_every_setting_is_documented_and_none_is_read_that_is_not(reference):
    for name in settings.SETTINGS:
        assert f"`{name}`" in reference, name
    read = set()
    for path in SOURCE.rglob("*.py"):
        if "tests" in path.parts:
            continue
        read |= set(re.findall(r"""(?:environ(?:\.get)?[\[(]|getenv\()\s*["']((?:ANLAN|DATABASE|NATS)_[A-Z_]+)""", path.read_text()))
    assert read <= set(settings.SETTINGS), read - set(settings.SETTINGS)


def test_every_fact_is_documented(reference):
    for kind, body in journal.REGISTRY.items():
        if kind.startswith("test."):
            continue
        assert (body.__doc__ or "").strip() and not body.__doc__.startswith(body.__name__ + "("), kind
        assert f"`{kind}`" in reference, f"{kind}: run `anlan docs`"


def test_every_error_code_is_documented(reference):
    missing = [code for code in errors.KINDS if f"`{code}`" not in reference]
    assert not missing, f"run `anlan docs`: {missing}"


def test_every_capability_is_documented(reference):
    missing = [code for code in access.CAPABILITIES if f"`{code}`" not in reference]
    assert not missing, f"run `anlan docs`: {missing}"


def test_every_command_is_documented(reference):
    from anlan.runtime.cli import parser

    for action in parser()._subparsers._group_actions:
        for name in action.choices:
            assert f"`anlan {name}" in reference, f"anlan {name}: run `anlan docs`"


def test_every_room_has_its_page():
    for path in SOURCE.glob("*/apps.py"):
        readme = path.parent / "README.md"
        assert readme.exists(), readme
        assert len(readme.read_text().split()) > 40, f"{readme} says too little"


def test_links_between_documents_hold():
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *SOURCE.glob("*/README.md")]:
        for target in re.findall(r"\]\((?!https?:|mailto:|#)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)} → {target}")
    assert not broken, broken
