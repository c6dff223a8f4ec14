"""What the web room does when something happens elsewhere: call the next person when no desk is live."""
from __future__ import annotations

from typing import Any

from anlan.kernel.actions import Act

from . import actions


def desk_check(act: Act, subject: str, params: dict) -> None:
    actions.check_desks(act)


def call_next(fact: Any) -> None:
    """Job: reach the person on duty by the channels that do not need a desk."""
    from .calling import call

    call(fact)
