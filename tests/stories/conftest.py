"""Stories run real `anlan` processes on folders of their own; the tools for that are those of the runtime's tests."""
from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from runtime.conftest import Installation


@pytest.fixture
def new_home() -> Iterator[Callable[[], Installation]]:
    """Makes installations; each is stopped and its folder removed afterwards. Short paths: a socket lies in each."""
    made: list[Installation] = []

    def make() -> Installation:
        base = Path(tempfile.mkdtemp(prefix="anlan-story-"))
        base.chmod(0o755)
        made.append(Installation(base / "home"))
        return made[-1]

    yield make
    for installation in made:
        if installation.server is not None and installation.server.poll() is None:
            installation.server.terminate()
            installation.server.wait(30)
        shutil.rmtree(installation.home.parent, ignore_errors=True)
