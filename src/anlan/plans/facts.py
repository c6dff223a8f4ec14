"""What plans say to the others."""
from __future__ import annotations

from datetime import datetime
from uuid import UUID

from anlan.kernel.journal import fact


@fact("plans.PlanVersionAdded")
class PlanVersionAdded:
    """A version of a plan came in: with the release (default) or uploaded by a person (own). `digest` names its content."""

    plan: UUID
    key: str
    plan_version: UUID
    number: int
    origin: str
    digest: str


@fact("plans.PlanAdopted")
class PlanAdopted:
    """A plan was bound to a place and to posts, moved to another of its versions, or its binding was changed."""

    binding: UUID
    plan: UUID
    plan_version: UUID
    region: UUID
    digest: str
    replaced: str


@fact("plans.AdoptionEnded")
class AdoptionEnded:
    """A plan no longer applies at a place; it is not evaluated any more."""

    binding: UUID
    plan: UUID
    region: UUID
    reason: str


@fact("plans.TermStated")
class TermStated:
    """A person stated a value that no instrument gives: a forecast or an observed fact, with the unit of the vocabulary.

    `place` is a place key: station:<id>, region:<id> or site:<name>. `value` is the value as JSON text.
    """

    term: str
    place: str
    qualifier: str
    value: str
    unit: str
    event_time: datetime
    source: str
    question: str


@fact("plans.TermRefused")
class TermRefused:
    """A reported value could not be used as a term: unknown term or place, wrong type or unit. The report itself stands."""

    term: str
    place: str
    value: str
    why: str


@fact("plans.ConditionMet")
class ConditionMet:
    """A condition of an adopted plan became met. `inputs` are the values it was judged on, each with its age and source."""

    binding: UUID
    plan_version: UUID
    condition: str
    level: str
    clause: str
    inputs: list


@fact("plans.ConditionEnded")
class ConditionEnded:
    """A condition that was met is so no longer: not met now, or nobody can tell."""

    binding: UUID
    plan_version: UUID
    condition: str
    level: str
    clause: str
    verdict: str


@fact("plans.ConditionUnknown")
class ConditionUnknown:
    """Everything a machine can know speaks for a condition; a person is asked for what is missing."""

    binding: UUID
    plan_version: UUID
    condition: str
    level: str
    clause: str
    asked: list


@fact("plans.LevelProposed")
class LevelProposed:
    """Met conditions propose a response level (or a measure of the plan) at a place; one post must answer until `answer_by`."""

    proposal: UUID
    binding: UUID
    plan: UUID
    plan_version: UUID
    level: str
    kind: str
    colour: str
    place: UUID
    conditions: list
    clauses: list
    post: UUID
    answer_by: datetime


@fact("plans.ProposalApproved")
class ProposalApproved:
    """A person approved a proposal. The response itself is opened by command."""

    proposal: UUID
    level: str
    by: UUID | None


@fact("plans.ProposalRefused")
class ProposalRefused:
    """A person refused a proposal, with the reason."""

    proposal: UUID
    level: str
    reason: str
    by: UUID | None


@fact("plans.ProposalOvertaken")
class ProposalOvertaken:
    """A proposal was overtaken before it was answered: by a higher one, by a response already opened, or by the end of the adoption."""

    proposal: UUID
    level: str
    by: str


@fact("plans.ProposalGroundless")
class ProposalGroundless:
    """None of the conditions an open proposal rested on is met any more; it lapses at `lapses_at` unless one is met again or it is answered."""

    proposal: UUID
    level: str
    conditions: list
    lapses_at: datetime


@fact("plans.ProposalGrounded")
class ProposalGrounded:
    """A condition of a proposal that had become groundless is met again: it waits for its answer as before."""

    proposal: UUID
    level: str
    conditions: list


@fact("plans.ProposalLapsed")
class ProposalLapsed:
    """A proposal lapsed unanswered: its conditions had not been met for its whole answering time. Its post is told."""

    proposal: UUID
    level: str
    groundless_at: datetime


@fact("plans.PlanDrafted")
class PlanDrafted:
    """A document was read into a draft: so many items wait for a person. Nothing of it runs."""

    draft: UUID
    digest: str
    conditions: int
    actions: int


@fact("plans.DraftItemDecided")
class DraftItemDecided:
    """A person confirmed an item of a draft (as found, or as corrected by `said`), marked it for people only, left it out, or opened it again (`item_state`)."""

    draft: UUID
    item: UUID
    clause: str
    item_state: str
    said: dict


@fact("plans.DraftItemsDecided")
class DraftItemsDecided:
    """A person decided several waiting items of a draft at once, as found, or took such a step back (`item_state` open). `items`: item → its version after."""

    draft: UUID
    items: dict
    number: int
    item_state: str


@fact("plans.DraftAskNamed")
class DraftAskNamed:
    """A person said which post will be asked for a term that nobody feeds; an empty `post`: the one named when the plan is adopted."""

    draft: UUID
    term: str
    post: str


@fact("plans.DraftItemSplit")
class DraftItemSplit:
    """An item of a draft became two of the same words; the second is `half`."""

    draft: UUID
    item: UUID
    clause: str
    half: UUID


@fact("plans.DraftItemsJoined")
class DraftItemsJoined:
    """An item of a draft was joined to the one before it (`into`), which waits to be confirmed again as `said`; the item itself is left out."""

    draft: UUID
    item: UUID
    into: UUID
    clause: str
    said: dict


@fact("plans.DraftPublished")
class DraftPublished:
    """A draft became a version of a plan. `confirmed` items run, `people` ones are there for people only; `digest` covers what each item said and who decided it."""

    draft: UUID
    plan_version: UUID
    confirmed: int
    people: int
    dropped: int
    digest: str


@fact("plans.ContactTreeTested")
class ContactTreeTested:
    """Every post of an adopted plan was asked to answer; who does not is called and passed up."""

    binding: UUID
    posts: int
