"""What the kernel says to the others."""
from __future__ import annotations

from uuid import UUID

from .journal import fact


@fact("kernel.PayloadErased")
class PayloadErased:
    """Personal data in a fact's payload were erased because the law asks for it."""

    fact: UUID
    legal_basis: str


@fact("kernel.RealmStarted")
class RealmStarted:
    """An exercise or a replay began in a realm of its own."""

    realm: UUID
    kind: str
    name: str


@fact("kernel.RealmEnded")
class RealmEnded:
    """An exercise or a replay was stopped; nothing more can be done in it."""

    realm: UUID
    name: str
    reason: str


@fact("kernel.WorkOpened")
class WorkOpened:
    """Something began to wait for a person."""

    item: UUID
    kind: str
    about: str
    post: UUID
    level: str
    due_at: str


@fact("kernel.WorkClosed")
class WorkClosed:
    """What waited was done, or was overtaken."""

    item: UUID
    kind: str
    about: str
    outcome: str


@fact("kernel.WorkEscalated")
class WorkEscalated:
    """Nobody answered in time; it now waits for the next post up the line."""

    item: UUID
    kind: str
    about: str
    from_post: UUID
    to_post: UUID


@fact("kernel.WorkUnanswered")
class WorkUnanswered:
    """Nobody answered in time and there is no post further up."""

    item: UUID
    kind: str
    about: str
    post: UUID


@fact("kernel.WorkSeen")
class WorkSeen:
    """A person acknowledged a red item; its sound stops."""

    item: UUID


@fact("kernel.OrderIssued")
class OrderIssued:
    """An order was given to a post, with its deadline and the clause it rests on."""

    order: UUID
    post: UUID
    source: str
    text: str
    clause: str
    due_at: str


@fact("kernel.OrderDelivered")
class OrderDelivered:
    """The order reached a device of the post."""

    order: UUID


@fact("kernel.OrderRead")
class OrderRead:
    """A person of the post opened the order."""

    order: UUID


@fact("kernel.OrderAccepted")
class OrderAccepted:
    """A person of the post accepted the order."""

    order: UUID


@fact("kernel.OrderProgressed")
class OrderProgressed:
    """The post reported progress on the order."""

    order: UUID
    percent: int
    text: str


@fact("kernel.OrderDone")
class OrderDone:
    """The post reported the order done."""

    order: UUID
    text: str


@fact("kernel.OrderRefused")
class OrderRefused:
    """The post refused the order, with a reason."""

    order: UUID
    reason: str


@fact("kernel.OrderWithdrawn")
class OrderWithdrawn:
    """The order was taken back."""

    order: UUID
    reason: str


@fact("kernel.OrderReminded")
class OrderReminded:
    """The order was not answered in time; the post was reminded."""

    order: UUID
    reminder: int


@fact("kernel.OrderEscalated")
class OrderEscalated:
    """The order stayed unanswered; it went up the line."""

    order: UUID
    to_post: UUID


@fact("kernel.OrderOverdue")
class OrderOverdue:
    """The deadline of the order passed and it is not done."""

    order: UUID


@fact("kernel.ReactionParked")
class ReactionParked:
    """A reaction failed again and again on a fact; it waits for a person and blocks only its subject."""

    reaction: str
    fact: UUID
    error: str
