"""What the loops say to the others."""
from __future__ import annotations

from uuid import UUID

from ..journal import fact


@fact("kernel.CaseOpened")
class CaseOpened:
    """A case of a closed loop was opened."""

    loop: str
    number: str
    case_state: str
    post: UUID | None
    due_at: str


@fact("kernel.CaseStepped")
class CaseStepped:
    """A case went one step on: from which state to which, who has it now and until when."""

    loop: str
    number: str
    case_step: str
    from_state: str
    case_state: str
    post: UUID | None
    due_at: str


@fact("kernel.CaseCommented")
class CaseCommented:
    """Somebody wrote a remark on a case; the words stay in its timeline."""

    loop: str
    number: str


@fact("kernel.CaseAssigned")
class CaseAssigned:
    """A case was given to another post."""

    loop: str
    number: str
    from_post: UUID | None
    to_post: UUID


@fact("kernel.CaseReminded")
class CaseReminded:
    """A case's deadline is near; whoever has it was reminded."""

    loop: str
    number: str
    case_state: str
    post: UUID | None
    due_at: str


@fact("kernel.CaseOverdue")
class CaseOverdue:
    """A case stayed in a state past its deadline; it went up the line, or there was no post further up."""

    loop: str
    number: str
    case_state: str
    level: int
    post: UUID | None
    to_post: UUID | None


@fact("kernel.CaseDeadlineMoved")
class CaseDeadlineMoved:
    """The calendar of working days changed, and with it the deadline of a case; `before` the same: a provisional day is now certain."""

    loop: str
    number: str
    before: str
    due_at: str


@fact("kernel.RechecksDrawn")
class RechecksDrawn:
    """Closed cases were drawn for re-checking; seed and digest let anybody draw again."""

    loop: str
    closed_from: str
    closed_to: str
    seed: str
    population: int
    digest: str
    chosen: list


