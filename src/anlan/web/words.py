"""One sentence for every fact, for the timeline, the journal and "why". Only this room knows them all."""
from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

WORDS: dict[str, Any] = {}


def furnish(shell: Any) -> None:
    shell.words_for(WORDS)
