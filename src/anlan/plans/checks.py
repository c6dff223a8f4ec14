"""Start-up checks of this room."""
from __future__ import annotations

from typing import Any

from django.core.checks import Error, register


@register()
def packs_are_sound(**_: Any) -> list[Error]:
    """Every plan that ships reads without a fault against the vocabulary that ships."""
    from anlan.engines.conditions import read_plan

    from .actions import PACKS
    from .vocabulary import vocabulary

    problems = []
    for path in sorted(PACKS.glob("*.yaml")):
        for trouble in read_plan(path.read_bytes(), vocabulary())[1]:
            problems.append(Error(f"{path.name}:{trouble}", hint=trouble.todo or None, id="plans.E001"))
    return problems
