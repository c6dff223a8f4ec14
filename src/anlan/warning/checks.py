"""Looked at when the program starts, not at three in the morning."""
from __future__ import annotations

from typing import Any

from django.core.checks import Error, register

from anlan.kernel.errors import Problem


@register()
def data_files(app_configs: Any, **_: Any) -> list[Error]:
    """The shipped table of issuers and the proposal rules can be used."""
    from . import hazards, issuers

    try:
        rules = hazards.proposal_rules()
        for name in ("words", "quantities", "call_down_from", "answer_minutes", "area"):
            rules[name]
        issuers.default_body()["rules"]
    except (Problem, KeyError, OSError) as error:
        return [Error(f"warning's data files cannot be used: {error}", hint="Restore src/anlan/warning/data from the release.", id="warning.E001")]
    return []
