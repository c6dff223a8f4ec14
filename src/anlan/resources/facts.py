"""What resources says to the others."""
from __future__ import annotations

from uuid import UUID

from anlan.kernel.journal import fact


@fact("resources.StockMoved")
class StockMoved:
    """Supplies were received, issued, transferred, written off, counted, returned or rotated; one fact a movement, with its first lines."""

    movement: UUID
    kind: str
    warehouse: UUID | None
    other: UUID | None
    party: str
    voucher: str
    count: int
    lines: list
    digest: str


@fact("resources.StockReserved")
class StockReserved:
    """Supplies were kept for somebody until a time."""

    warehouse: UUID
    party: str
    about: str
    until: str
    lines: list


@fact("resources.ReservationEnded")
class ReservationEnded:
    """A reservation was given back or lapsed; what was left of it is free again."""

    reservation: UUID
    outcome: str
    remaining: str


@fact("resources.StockTakeOpened")
class StockTakeOpened:
    """A stock-take of a warehouse was opened: one count for every lot."""

    warehouse: UUID
    counts: int
    due_on: str


@fact("resources.ExpertsDrawn")
class ExpertsDrawn:
    """Experts were drawn, with the seed; who was concerned, away or no longer appointed was left out."""

    draw: UUID
    field: str
    about: str
    chosen: list
    pool: int
    left_out: int
    seed: str


@fact("resources.RollCallStarted")
class RollCallStarted:
    """A roll call over the command link began."""

    roll: UUID
    title: str
    sites: int


@fact("resources.RollCallEnded")
class RollCallEnded:
    """A roll call ended: how many sites were connected, how many in time, how many with good quality."""

    roll: UUID
    sites: int
    connected: int
    in_time: int
    good: int
