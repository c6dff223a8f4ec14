"""What command says to the others."""
from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from anlan.kernel.journal import fact, upcaster


@fact("command.ReportTaken")
class ReportTaken:
    """A report of an event was taken down (接报): first, follow-up or final."""

    report: UUID
    kind: str
    event: str
    place: str
    incident: UUID | None
    means: str


@fact("command.ReportPassedOn")
class ReportPassedOn:
    """A report was passed on to the next level up; its time limit stops."""

    report: UUID


@fact("command.ReportAttached")
class ReportAttached:
    """A report was attached to an incident."""

    report: UUID
    incident: UUID


@fact("command.ReportsMerged")
class ReportsMerged:
    """Two reports speak of the same event; one was merged into the other, both sources stay."""

    report: UUID
    into: UUID
    reason: str


@fact("command.ReportLate")
class ReportLate:
    """A time limit for passing on or following up a report ran out."""

    report: UUID
    limit: str


@fact("command.InstructionRecorded")
class InstructionRecorded:
    """A leader's instruction (领导批示) was recorded and given out as an order."""

    instruction: UUID
    leader: str
    text: str
    post: UUID
    order: UUID


@fact("command.FactObserved")
class FactObserved:
    """A person reported an observed fact; the plans judge it at once. `value` is a JSON value of the term's type."""

    term: str
    place: str
    qualifier: str
    value: Any
    unit: str
    occurred_at: datetime
    source: str
    observed: UUID


@fact("command.IncidentOpened")
class IncidentOpened:
    """An incident was opened: from here on its reports, responses and orders are kept together."""

    incident: UUID
    kind: str
    title: str


@fact("command.IncidentClosed")
class IncidentClosed:
    """An incident was closed, with the reason."""

    incident: UUID
    reason: str


@fact("command.ResponseApproved")
class ResponseApproved:
    """A person approved a proposed level; the response runs and its orders are given."""

    response: UUID
    plan: str
    version: str
    level: str
    place: UUID
    proposal: UUID
    clause: str
    orders: int
    decision: UUID


@fact("command.ResponseRefused")
class ResponseRefused:
    """A person refused a proposed level, with the reason."""

    proposal: UUID
    level: str
    reason: str
    decision: UUID


@fact("command.ResponseLevelChanged")
class ResponseLevelChanged:
    """A person raised or lowered a running response, with the reason."""

    response: UUID
    plan: str
    place: UUID
    level: str
    before: str
    reason: str
    proposal: UUID | None
    orders: int
    decision: UUID


@fact("command.ResponseEnded", version=2)
class ResponseEnded:
    """A person ended a response; open orders were withdrawn or carried over, and a first review was written.

    `still_met`: conditions of the plan that held at that moment, which the person was shown and named.
    """

    response: UUID
    level: str
    reason: str
    withdrawn: int
    carried: int
    decision: UUID
    still_met: list


@upcaster("command.ResponseEnded", from_version=1)
def _ended_1(payload: dict) -> dict:
    return {**payload, "still_met": []}


@fact("command.DecisionConfirmed")
class DecisionConfirmed:
    """Whoever gave a decision by telephone confirmed it (补签)."""

    decision: UUID


@fact("command.DecisionDenied")
class DecisionDenied:
    """Whoever was said to have given a decision denies it; it goes to the post above."""

    decision: UUID
    reason: str


@fact("command.SituationReported")
class SituationReported:
    """A situation report or notice was made, numbered and frozen."""

    document: UUID
    kind: str
    number: str


@fact("command.ReviewWritten")
class ReviewWritten:
    """A first review was written from the journal: each step against its limit."""

    review: UUID
    response: UUID
    steps: int
    late: int


@fact("command.GapClosed")
class GapClosed:
    """A gap a review had found was closed: what it names was changed."""

    gap: UUID
    changed: str


@fact("command.DrillScripted")
class DrillScripted:
    """The script of a drill was written or changed. Only its digest is stated: what it says is not for those who will be drilled."""

    drill: UUID
    digest: str


@fact("command.DrillBegun")
class DrillBegun:
    """A drill began in a realm of its own; so many injects wait for their time."""

    drill: UUID
    exercise: UUID
    injects: int


@fact("command.InjectTold")
class InjectTold:
    """An inject of a drill was given to the players (stated in the exercise)."""

    inject: UUID
    kind: str
    text: str


@fact("command.DrillEnded")
class DrillEnded:
    """A drill is over; its exercise was stopped."""

    drill: UUID
    exercise: UUID | None


@fact("command.DrillScored")
class DrillScored:
    """An observer scored criteria of a drill."""

    drill: UUID
    criteria: list


@fact("command.DrillEvaluated")
class DrillEvaluated:
    """The evaluation of a drill was written: its score of 100, how many steps were late, how many findings follow."""

    drill: UUID
    plan: str
    report: UUID
    total: float | str
    late: int
    findings: int
