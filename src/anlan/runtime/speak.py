"""Words of the command line, in the language of the terminal (LANG): Chinese, else English.

The supervisor speaks before and without Django, so it reads the same message catalogue through the standard library.
"""
from __future__ import annotations

import gettext as _gettext
import os
import sys
from functools import cache
from pathlib import Path


def language() -> str:
    """`zh-hans` or `en`, by LC_ALL, LC_MESSAGES, LANG."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "zh-hans" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def _catalogue() -> _gettext.NullTranslations:
    languages = ["zh_Hans"] if language() == "zh-hans" else []
    return _gettext.translation("django", Path(__file__).parent / "locale", languages, fallback=True)


def gettext(text: str) -> str:
    return _catalogue().gettext(text)


def say(text: str) -> None:
    """One line for the person at the terminal."""
    print(text, flush=True)


def warn(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
